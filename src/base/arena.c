#include "base/arena.h"
#include <stdlib.h>
#include "base/poison.h"

struct ArenaChunk {
    ArenaChunk *next;
    size_t used, cap; /* of data[] */
    _Alignas(16) char data[];
};

enum { FIRST_CHUNK = 4096, LARGEST_CHUNK = 256 * 1024, ALIGN = 16 };

static ArenaChunk *chunk_add(Arena *a, size_t need)
{
    size_t cap = a->head ? MIN(a->head->cap * 2, (size_t)LARGEST_CHUNK) : FIRST_CHUNK;
    if (cap < need) cap = need;
    ArenaChunk *c = mem_alloc(sizeof *c + cap);
    c->used = 0;
    c->cap = cap;
    a->bytes += sizeof *c + cap;
    /* A chunk made for one large piece goes behind the head, so that the head's room is still used. */
    if (a->head && need > LARGEST_CHUNK / 2) {
        c->next = a->head->next;
        a->head->next = c;
    } else {
        c->next = a->head;
        a->head = c;
    }
    return c;
}

void *arena_alloc(Arena *a, size_t n)
{
    n = (n + ALIGN - 1) & ~(size_t)(ALIGN - 1);
    ArenaChunk *c = a->head;
    if (!c || c->cap - c->used < n) c = chunk_add(a, n);
    void *p = c->data + c->used;
    c->used += n;
    return p;
}

void *arena_zalloc(Arena *a, size_t n)
{
    void *p = arena_alloc(a, n);
    memset(p, 0, n);
    return p;
}

Str arena_str(Arena *a, Str s)
{
    char *p = arena_alloc(a, s.len + 1);
    if (s.len) memcpy(p, s.ptr, s.len);
    p[s.len] = 0;
    return (Str){p, s.len};
}

Str arena_printf(Arena *a, const char *fmt, ...)
{
    StrBuf b = {0};
    va_list ap;
    va_start(ap, fmt);
    sb_vprintf(&b, fmt, ap);
    va_end(ap);
    Str s = arena_str(a, sb_view(&b));
    sb_done(&b);
    return s;
}

void arena_done(Arena *a)
{
    for (ArenaChunk *c = a->head, *next; c; c = next) {
        next = c->next;
        free(c);
    }
    *a = (Arena){0};
}
