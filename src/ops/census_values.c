#include "ops/census_values.h"
#include <stdlib.h>
#include "base/check.h"
#include "base/str.h"
#include "base/poison.h"

void census_values_add(CensusValues *v, uint64_t hash, uint32_t shard)
{
    if (v->n == v->cap) {
        v->cap = v->cap ? v->cap * 2 : 4096;
        v->list = mem_realloc(v->list, v->cap * sizeof *v->list);
    }
    v->list[v->n++] = (CensusValue){hash, shard};
}

void census_values_done(CensusValues *v)
{
    free(v->list);
    *v = (CensusValues){0};
}

static int by_value(const void *a, const void *b)
{
    const CensusValue *x = a, *y = b;
    if (x->hash != y->hash) return x->hash < y->hash ? -1 : 1;
    return x->shard < y->shard ? -1 : x->shard > y->shard;
}

/* One value's places, by shard; a shard table may have it twice where its own collation tells it apart. */
static bool count_one(const CensusValue *list, size_t n, size_t n_shards, uint64_t *pairs)
{
    for (size_t i = 0; pairs && i < n; i++) {
        if (i && list[i].shard == list[i - 1].shard) continue;
        for (size_t j = i + 1; j < n; j++)
            if (list[j].shard != list[j - 1].shard) pairs[list[i].shard * n_shards + list[j].shard]++;
    }
    return list[0].shard != list[n - 1].shard;
}

uint64_t census_values_shared(CensusValues *v, size_t n_shards, uint64_t *pairs)
{
    uint64_t shared = 0;
    if (v->n) qsort(v->list, v->n, sizeof *v->list, by_value);
    for (size_t i = 0, end; i < v->n; i = end) {
        for (end = i + 1; end < v->n && v->list[end].hash == v->list[i].hash; end++) {
        }
        CHECK(v->list[end - 1].shard < n_shards, "a value is of one of the shard tables");
        shared += count_one(v->list + i, end - i, n_shards, pairs);
    }
    return shared;
}
