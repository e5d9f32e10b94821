#include "apply/remap_cache.h"
#include <stdlib.h>
#include "base/check.h"
#include "base/str.h"
#include "base/poison.h"

enum { WAYS = 4 };

typedef struct Slot {
    RemapOld old;
    uint64_t new_id; /* 0: free */
} Slot;

struct RemapCache {
    Slot *slots;
    size_t sets; /* power of two */
    size_t turn; /* which way goes next */
};

RemapCache *remap_cache_new(size_t entries)
{
    RemapCache *c = mem_zalloc(sizeof *c);
    c->sets = 1;
    while (c->sets * WAYS < entries)
        c->sets *= 2;
    return c;
}

void remap_cache_free(RemapCache *c)
{
    if (!c) return;
    free(c->slots);
    free(c);
}

/* Neighbouring ids go to neighbouring sets; spaces and signs apart. */
static size_t set_of(const RemapCache *c, const RemapOld *old)
{
    uint64_t h = old->value + (uint64_t)old->space * UINT64_C(0x9E3779B97F4A7C15);
    h ^= h >> 29;
    return (size_t)(h + old->negative) & (c->sets - 1);
}

uint64_t remap_cache_get(const RemapCache *c, const RemapOld *old)
{
    if (!c->slots) return 0;
    const Slot *s = &c->slots[set_of(c, old) * WAYS];
    for (unsigned i = 0; i < WAYS; i++)
        if (s[i].new_id && remap_old_eq(&s[i].old, old)) return s[i].new_id;
    return 0;
}

void remap_cache_put(RemapCache *c, const RemapOld *old, uint64_t new_id)
{
    CHECK(new_id != 0, "new ids begin with 1");
    if (!c->slots) c->slots = mem_zalloc(c->sets * WAYS * sizeof *c->slots);
    Slot *s = &c->slots[set_of(c, old) * WAYS], *to = NULL;
    for (unsigned i = 0; i < WAYS; i++) {
        if (s[i].new_id && remap_old_eq(&s[i].old, old)) {
            CHECK(s[i].new_id == new_id, "an id has one new id, for ever");
            return;
        }
        if (!s[i].new_id && !to) to = &s[i];
    }
    if (!to) to = &s[c->turn++ % WAYS];
    *to = (Slot){*old, new_id};
}
