/* New ids kept in memory: what the maps downstream say, as far as it was asked lately. Of a fixed size, so
 * that the memory does not grow with the maps. An entry of a map never changes, so what is found here is
 * true. Pure; the owner guards it. */
#ifndef SM_APPLY_REMAP_CACHE_H
#define SM_APPLY_REMAP_CACHE_H

#include "base/attrs.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* An id of a shard table: 64 bits, read as signed when negative. */
typedef struct RemapOld {
    uint32_t space; /* KeySpace.id */
    bool negative;
    uint64_t value;
} RemapOld;

static inline bool remap_old_eq(const RemapOld *a, const RemapOld *b)
{
    return a->value == b->value && a->space == b->space && a->negative == b->negative;
}

typedef struct RemapCache RemapCache;

/* entries: how many it holds, rounded up to a power of two. The memory is taken with the first entry. */
RemapCache *remap_cache_new(size_t entries);
void remap_cache_free(RemapCache *c); /* NULL allowed */
/* The new id, or 0: not known here. */
uint64_t remap_cache_get(const RemapCache *c, const RemapOld *old);
/* Keeps it; another entry may have to go. new_id is not 0. */
void remap_cache_put(RemapCache *c, const RemapOld *old, uint64_t new_id);

#endif
