#include "base/map.h"
#include <stdlib.h>
#include "base/check.h"
#include "base/poison.h"

struct MapSlot {
    uint64_t hash;
    Str key; /* key.ptr NULL: free; a heap copy otherwise */
    void *value;
};

/* Linear probing; at most 3/4 full. Removal closes the gap, so there are no tombstones. */
static size_t slot_for(const Map *m, Str key, uint64_t hash)
{
    size_t i = hash & (m->cap - 1);
    while (m->slots[i].key.ptr && (m->slots[i].hash != hash || !str_eq(m->slots[i].key, key)))
        i = (i + 1) & (m->cap - 1);
    return i;
}

static void grow(Map *m)
{
    Map old = *m;
    m->cap = old.cap ? old.cap * 2 : 16;
    m->slots = mem_zalloc(m->cap * sizeof *m->slots);
    for (size_t i = 0; i < old.cap; i++)
        if (old.slots[i].key.ptr) m->slots[slot_for(m, old.slots[i].key, old.slots[i].hash)] = old.slots[i];
    free(old.slots);
}

void *map_get(const Map *m, Str key)
{
    if (!m->cap) return NULL;
    return m->slots[slot_for(m, key, str_hash(key))].value;
}

void *map_put(Map *m, Str key, void *value)
{
    CHECK(value, "a map holds no NULL");
    if ((m->count + 1) * 4 > m->cap * 3) grow(m);
    uint64_t hash = str_hash(key);
    MapSlot *s = &m->slots[slot_for(m, key, hash)];
    void *before = s->value;
    if (!s->key.ptr) {
        s->key = (Str){str_dup(key), key.len};
        s->hash = hash;
        m->count++;
    }
    s->value = value;
    return before;
}

void *map_take(Map *m, Str key)
{
    if (!m->cap) return NULL;
    size_t gap = slot_for(m, key, str_hash(key));
    void *value = m->slots[gap].value;
    if (!m->slots[gap].key.ptr) return NULL;
    free((char *)m->slots[gap].key.ptr);
    m->count--;
    for (size_t i = (gap + 1) & (m->cap - 1); m->slots[i].key.ptr; i = (i + 1) & (m->cap - 1)) {
        size_t home = m->slots[i].hash & (m->cap - 1);
        /* May the entry at i move back into the gap? Only if its home is not between the gap and i. */
        if (((i - home) & (m->cap - 1)) >= ((i - gap) & (m->cap - 1))) {
            m->slots[gap] = m->slots[i];
            gap = i;
        }
    }
    m->slots[gap] = (MapSlot){0};
    return value;
}

bool map_next(const Map *m, size_t *iter, Str *key, void **value)
{
    for (; *iter < m->cap; (*iter)++) {
        const MapSlot *s = &m->slots[*iter];
        if (!s->key.ptr) continue;
        if (key) *key = s->key;
        *value = s->value;
        (*iter)++;
        return true;
    }
    return false;
}

void map_done(Map *m)
{
    for (size_t i = 0; i < m->cap; i++)
        free((char *)m->slots[i].key.ptr);
    free(m->slots);
    *m = (Map){0};
}
