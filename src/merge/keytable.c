#include "merge/keytable.h"
#include <stdlib.h>
#include "base/poison.h"

enum { FIRST_CAP = 4096 };

void keytable_init(KeyTable *t, const _Atomic uint64_t *committed)
{
    *t = (KeyTable){.cap = FIRST_CAP, .committed = committed};
    t->entries = mem_zalloc(t->cap * sizeof *t->entries);
}

void keytable_done(KeyTable *t)
{
    free(t->entries);
}

static bool is_live(const KeyTable *t, const KeyEntry *e)
{
    return e->order > atomic_load_explicit(&t->committed[e->applier], memory_order_acquire);
}

static KeyEntry *slot_for(KeyEntry *entries, size_t cap, uint64_t key)
{
    size_t i = key & (cap - 1);
    while (entries[i].order && entries[i].key != key)
        i = (i + 1) & (cap - 1);
    return &entries[i];
}

const KeyEntry *keytable_find(const KeyTable *t, uint64_t key)
{
    const KeyEntry *e = slot_for(t->entries, t->cap, key);
    return e->order && is_live(t, e) ? e : NULL;
}

/* Half full: keep the live ones, in a table they fill to a quarter at most. */
static void rebuild(KeyTable *t)
{
    size_t live = 0;
    for (size_t i = 0; i < t->cap; i++)
        live += t->entries[i].order && is_live(t, &t->entries[i]);
    size_t cap = FIRST_CAP;
    while (cap < live * 4)
        cap *= 2;
    KeyEntry *entries = mem_zalloc(cap * sizeof *entries);
    t->count = 0;
    for (size_t i = 0; i < t->cap; i++) {
        const KeyEntry *e = &t->entries[i];
        if (!e->order || !is_live(t, e)) continue;
        *slot_for(entries, cap, e->key) = *e;
        t->count++;
    }
    free(t->entries);
    t->entries = entries;
    t->cap = cap;
}

void keytable_put(KeyTable *t, uint64_t key, uint64_t order, uint32_t applier)
{
    KeyEntry *e = slot_for(t->entries, t->cap, key);
    if (!e->order) {
        if ((t->count + 1) * 2 > t->cap) {
            rebuild(t);
            e = slot_for(t->entries, t->cap, key);
        }
        if (!e->order) t->count++;
    }
    *e = (KeyEntry){.key = key, .order = order, .applier = applier};
}
