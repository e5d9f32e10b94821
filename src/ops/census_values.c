#include "ops/census_values.h"
#include <stdlib.h>
#include <string.h>
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

uint64_t census_values_shared(CensusValues *v, size_t n_shards)
{
    uint64_t shared = 0;
    if (v->n) qsort(v->list, v->n, sizeof *v->list, by_value);
    for (size_t i = 0, end; i < v->n; i = end) {
        for (end = i + 1; end < v->n && v->list[end].hash == v->list[i].hash; end++) {
        }
        CHECK(v->list[end - 1].shard < n_shards, "a value is of one of the shard tables");
        shared += v->list[i].shard != v->list[end - 1].shard;
    }
    return shared;
}

/* -- pairs -- */

/* Where each shard table's values are in the list, those that a later one has too. A shard table may have a
 * value twice where its own collation tells it apart: the last of them counts. */
typedef struct Places {
    size_t *at;    /* by shard table, ascending */
    size_t *first; /* [n_shards + 1] */
} Places;

static bool is_before_another(const CensusValues *v, size_t i)
{
    const CensusValue *x = &v->list[i];
    return i + 1 < v->n && x[1].hash == x->hash && x[1].shard != x->shard;
}

static void find_places(const CensusValues *v, size_t n_shards, Places *out)
{
    size_t *next = mem_zalloc((n_shards + 1) * sizeof *next);
    out->first = mem_zalloc((n_shards + 1) * sizeof *out->first);
    for (size_t i = 0; i < v->n; i++)
        if (is_before_another(v, i)) out->first[v->list[i].shard + 1]++;
    for (size_t s = 0; s < n_shards; s++)
        next[s + 1] = out->first[s + 1] += out->first[s];
    out->at = mem_alloc((out->first[n_shards] + 1) * sizeof *out->at);
    for (size_t i = 0; i < v->n; i++)
        if (is_before_another(v, i)) out->at[next[v->list[i].shard]++] = i;
    free(next);
}

/* How many values each later shard table has of those of `a`. */
static void count_for(const CensusValues *v, const Places *p, size_t a, uint64_t *counts)
{
    for (size_t i = p->first[a]; i < p->first[a + 1]; i++)
        for (size_t j = p->at[i] + 1; j < v->n && v->list[j].hash == v->list[j - 1].hash; j++)
            counts[v->list[j].shard] += v->list[j].shard != v->list[j - 1].shard;
}

static int by_rank(const void *x, const void *y)
{
    const CensusCommon *p = x, *q = y;
    if (p->values != q->values) return p->values > q->values ? -1 : 1;
    if (p->a != q->a) return p->a < q->a ? -1 : 1;
    return p->b < q->b ? -1 : p->b > q->b;
}

static void swap(CensusCommon *x, CensusCommon *y)
{
    CensusCommon was = *x;
    *x = *y;
    *y = was;
}

/* A heap with the lowest rank on top. */
static void sift_down(CensusCommon *heap, size_t n)
{
    for (size_t i = 0, child; (child = 2 * i + 1) < n; i = child) {
        if (child + 1 < n && by_rank(&heap[child + 1], &heap[child]) > 0) child++;
        if (by_rank(&heap[i], &heap[child]) >= 0) return;
        swap(&heap[i], &heap[child]);
    }
}

static void sift_up(CensusCommon *heap, size_t i)
{
    for (size_t parent; i && by_rank(&heap[i], &heap[parent = (i - 1) / 2]) > 0; i = parent)
        swap(&heap[i], &heap[parent]);
}

size_t census_values_common(const CensusValues *v, size_t n_shards, CensusCommon *out, size_t most)
{
    Places places;
    size_t n = 0;
    find_places(v, n_shards, &places);
    uint64_t *counts = mem_alloc((n_shards + 1) * sizeof *counts);
    for (uint32_t a = 0; a < n_shards; a++) {
        if (places.first[a] == places.first[a + 1]) continue;
        memset(counts, 0, n_shards * sizeof *counts);
        count_for(v, &places, a, counts);
        for (uint32_t b = a + 1; b < n_shards; b++) {
            CensusCommon pair = {a, b, counts[b]};
            if (!pair.values) continue;
            if (n < most) {
                out[n] = pair;
                sift_up(out, n++);
            } else if (by_rank(&pair, &out[0]) < 0) {
                out[0] = pair;
                sift_down(out, n);
            }
        }
    }
    free(counts);
    free(places.at);
    free(places.first);
    if (n) qsort(out, n, sizeof *out, by_rank);
    return n;
}
