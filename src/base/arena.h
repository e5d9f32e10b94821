/* Bump allocator: one arena per transaction, batch or loaded document; freed as a whole. Not thread-safe: it
 * belongs to whoever holds the pointer, and moves with it through queues. */
#ifndef SM_BASE_ARENA_H
#define SM_BASE_ARENA_H

#include <stddef.h>
#include "base/str.h"

typedef struct ArenaChunk ArenaChunk;

/* {0} is a valid empty arena. */
typedef struct Arena {
    ArenaChunk *head;
    size_t bytes; /* held from the system, for accounting */
} Arena;

/* n bytes aligned to 16, not cleared. Never NULL. */
void *arena_alloc(Arena *a, size_t n);
void *arena_zalloc(Arena *a, size_t n);
/* A terminated copy that lives as long as the arena. */
Str arena_str(Arena *a, Str s);
Str arena_printf(Arena *a, const char *fmt, ...) PRINTF_LIKE(2, 3);
void arena_done(Arena *a);

#define arena_new(a, Type) ((Type *)arena_zalloc((a), sizeof(Type)))
#define arena_array(a, Type, n) ((Type *)arena_zalloc((a), sizeof(Type) * (n)))

#endif
