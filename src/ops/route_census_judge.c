/* What follows from a census: which ranges of ids overlap, which strategy fits and for how long. Pure. */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "ops/route_census.h"
#include "base/poison.h"

enum { YEAR_S = 31557600, YEARS_ENOUGH = 10 };

/* -- pairs of shard tables -- */

static bool overlap(const CensusShard *a, const CensusShard *b, CensusPair *out)
{
    if (!a->has_ids || !b->has_ids) return false;
    bool a_below = b->lowest >= 0 && a->highest < (uint64_t)b->lowest;
    bool b_below = a->lowest >= 0 && b->highest < (uint64_t)a->lowest;
    out->from = MAX(a->lowest, b->lowest);
    out->to = MIN(a->highest, b->highest);
    return !a_below && !b_below;
}

static int by_number(const void *x, const void *y)
{
    uint64_t p = *(const uint64_t *)x, q = *(const uint64_t *)y;
    return p < q ? -1 : p > q;
}

/* All pairs but those of which one ends before the other begins. */
static size_t count_overlapping(const CensusTarget *t)
{
    size_t n = 0, apart = 0;
    uint64_t *ends = mem_alloc((t->n_shards + 1) * sizeof *ends);
    for (size_t i = 0; i < t->n_shards; i++)
        if (t->shards[i].has_ids) ends[n++] = t->shards[i].highest;
    if (n) qsort(ends, n, sizeof *ends, by_number);
    for (size_t i = 0; i < t->n_shards; i++) {
        size_t low = 0, high = n;
        if (!t->shards[i].has_ids || t->shards[i].lowest < 0) continue;
        while (low < high) { /* the first end that is not below it */
            size_t middle = low + (high - low) / 2;
            if (ends[middle] < (uint64_t)t->shards[i].lowest)
                low = middle + 1;
            else
                high = middle;
        }
        apart += low;
    }
    free(ends);
    return n ? n * (n - 1) / 2 - apart : 0;
}

static int by_place(const void *x, const void *y)
{
    const CensusCommon *p = x, *q = y;
    if (p->a != q->a) return p->a < q->a ? -1 : 1;
    return p->b < q->b ? -1 : p->b > q->b;
}

static void list_pair(CensusTarget *t, size_t a, size_t b, uint64_t both)
{
    CensusPair pair = {.a = a, .b = b};
    if (t->n_listed == CENSUS_PAIRS_LISTED || !overlap(&t->shards[a], &t->shards[b], &pair)) return;
    pair.collisions = t->common ? (double)both * (double)t->sample : NAN;
    if (t->common && t->sample > 1)
        pair.error = 1.96 * (double)t->sample * sqrt((double)MAX(both, UINT64_C(1)));
    t->pairs[t->n_listed++] = pair;
}

/* Those without common ids that were seen. */
static void list_others(CensusTarget *t)
{
    CensusCommon *seen = mem_alloc((t->n_common + 1) * sizeof *seen);
    if (t->n_common) memcpy(seen, t->common, t->n_common * sizeof *seen);
    if (t->n_common) qsort(seen, t->n_common, sizeof *seen, by_place);
    for (uint32_t a = 0; a < t->n_shards && t->n_listed < MIN(t->n_pairs, (size_t)CENSUS_PAIRS_LISTED); a++)
        for (uint32_t b = a + 1; b < t->n_shards; b++) {
            CensusCommon pair = {.a = a, .b = b};
            bool is_listed = t->n_common && bsearch(&pair, seen, t->n_common, sizeof *seen, by_place);
            if (!is_listed) list_pair(t, a, b, 0);
        }
    free(seen);
}

void census_find_pairs(CensusTarget *t, Arena *arena)
{
    t->n_pairs = count_overlapping(t);
    t->pairs = arena_array(arena, CensusPair, MIN(t->n_pairs, (size_t)CENSUS_PAIRS_LISTED) + 1);
    t->n_listed = 0;
    for (size_t i = 0; i < t->n_common; i++)
        list_pair(t, t->common[i].a, t->common[i].b, t->common[i].values);
    if (t->n_common < CENSUS_PAIRS_LISTED) list_others(t); /* else there may be pairs that were not kept */
}

/* -- judging -- */

/* Seconds until ids reach `bound` in the shard that gets there first. */
static double seconds_until(const CensusTarget *t, double bound)
{
    double least = INFINITY;
    for (size_t i = 0; i < t->n_shards; i++) {
        const CensusShard *s = &t->shards[i];
        if (!s->has_ids || s->ids_per_second <= 0) continue;
        double left = bound - (double)s->highest;
        least = fmin(least, left <= 0 ? 0 : left / s->ids_per_second);
    }
    return least;
}

/* Seconds until one shard's ids reach the next shard's range. */
static double seconds_until_meeting(const CensusTarget *t)
{
    double least = INFINITY;
    for (size_t i = 0; i < t->n_shards; i++)
        for (size_t j = 0; j < t->n_shards; j++) {
            const CensusShard *a = &t->shards[i], *b = &t->shards[j];
            if (i == j || !a->has_ids || !b->has_ids || a->ids_per_second <= 0) continue;
            double gap = (double)b->lowest - (double)a->highest;
            if (gap > 0) least = fmin(least, gap / a->ids_per_second);
        }
    return least;
}

static bool ids_within(const CensusTarget *t, double bound, bool negative_too)
{
    for (size_t i = 0; i < t->n_shards; i++)
        if (t->shards[i].has_ids &&
            ((double)t->shards[i].highest > bound || (!negative_too && t->shards[i].lowest < 0)))
            return false;
    return true;
}

static double other_collisions(const CensusTarget *t)
{
    double n = 0;
    for (size_t i = 0; i < t->n_keys; i++)
        if (!t->keys[i].of_ids) n += t->keys[i].collisions;
    return n;
}

static double all_collisions(const CensusTarget *t)
{
    double n = 0;
    for (size_t i = 0; i < t->n_keys; i++)
        n += t->keys[i].collisions;
    return n;
}

/* A key that could not be looked at, or not in every shard table, proves nothing: why. Empty: there is none.
 */
static Str unknown(const CensusTarget *t, bool ids_too, Arena *arena)
{
    for (size_t i = 0; i < t->n_keys; i++) {
        const CensusKey *k = &t->keys[i];
        if (k->of_ids && !ids_too) continue;
        if (!k->looked_at)
            return arena_printf(arena, "unique key " STR_FMT " could not be looked at: " STR_FMT,
                                STR_ARG(k->name), STR_ARG(k->note));
        if (k->lack_it)
            return arena_printf(arena,
                                "%zu of %zu shard tables have no unique key " STR_FMT
                                ": whether their values collide with the others' was not looked at",
                                k->lack_it, t->n_shards, STR_ARG(k->name));
    }
    return (Str){0};
}

static uint64_t stride_of(const CensusTarget *t, const KeyRule *rule)
{
    uint64_t n = 16;
    if (rule && rule->strategy == KEY_STRATEGY_STRIDE && rule->shards) return rule->shards;
    while (n < 2 * t->n_shards)
        n *= 2;
    return n;
}

static void judge_error(CensusTarget *t, Arena *arena, CensusVerdict *v)
{
    double n = all_collisions(t);
    Str not_known = unknown(t, true, arena);
    v->fits = n <= 0 && !t->n_pairs && !not_known.len;
    v->seconds_left = v->fits ? seconds_until_meeting(t) : 0;
    v->why = n > 0           ? STR("values of its keys are in more than one shard")
             : t->n_pairs    ? STR("the shards count in the same range: the next row may collide")
             : not_known.len ? not_known
                             : STR("the ranges are apart");
}

static void judge_rewriting(CensusTarget *t, double bound, bool negative_too, Str fits, Str not_known,
                            CensusVerdict *v)
{
    v->fits = t->id.len && ids_within(t, bound, negative_too) && other_collisions(t) <= 0 && !not_known.len;
    v->seconds_left = v->fits ? seconds_until(t, bound) : 0;
    v->why = !t->id.len                            ? STR("there is no integer id column")
             : !ids_within(t, bound, negative_too) ? STR("ids are beyond the width")
             : other_collisions(t) > 0
                 ? STR("another unique key has values in more than one shard, which no id mends")
             : not_known.len ? not_known
                             : fits;
}

/* New ids: as many as there ever are rows, whatever the old ones look like. */
static void judge_remap(CensusTarget *t, Str not_known, CensusVerdict *v)
{
    double rate = 0;
    for (size_t i = 0; i < t->n_shards; i++)
        rate += t->shards[i].ids_per_second;
    v->fits = t->id.len && other_collisions(t) <= 0 && !not_known.len;
    v->seconds_left = !v->fits ? 0 : rate > 0 ? t->room / rate : INFINITY;
    v->why =
        !t->id.len ? STR("there is no integer id column")
        : other_collisions(t) > 0
            ? STR("another unique key has values in more than one shard, which no id mends")
        : not_known.len
            ? not_known
            : STR("new ids, one after the other; a map of as many rows as there are ids stands downstream");
}

void census_judge(CensusTarget *t, const KeyRule *rule, bool target_is_tidb, Arena *arena)
{
    PartitionRule widths = {.instance_bits = 4, .schema_bits = 7, .table_bits = 8};
    if (rule && rule->strategy == KEY_STRATEGY_PARTITION_ID) widths = rule->partition;
    unsigned id_bits = 63 - widths.instance_bits - widths.schema_bits - widths.table_bits;
    uint64_t stride = stride_of(t, rule);
    CensusVerdict *v = t->verdicts;
    for (unsigned i = 0; i < CENSUS_VERDICTS; i++)
        v[i].strategy = (KeyStrategy)i;
    Str not_known = unknown(t, false, arena);
    judge_error(t, arena, &v[KEY_STRATEGY_ERROR]);
    judge_rewriting(t, ldexp(1, (int)id_bits) - 1, false, arena_printf(arena, "%u bits for the id", id_bits),
                    not_known, &v[KEY_STRATEGY_PARTITION_ID]);
    judge_rewriting(t, floor(ldexp(1, 63) / (double)stride) - 1, true,
                    arena_printf(arena, "shards: %llu", (unsigned long long)stride), not_known,
                    &v[KEY_STRATEGY_STRIDE]);
    for (unsigned i = KEY_STRATEGY_COMPOSITE; i <= KEY_STRATEGY_PLAIN_INDEX; i++) {
        double room = t->room;
        v[i].fits = true;
        v[i].seconds_left = INFINITY;
        for (size_t s = 0; t->id.len && s < t->n_shards; s++)
            if (t->shards[s].ids_per_second > 0)
                v[i].seconds_left = fmin(v[i].seconds_left, room / t->shards[s].ids_per_second);
        v[i].why = i == KEY_STRATEGY_COMPOSITE ? STR("ids stay; every unique key is unique within its shard")
                                               : STR("ids stay; nothing is unique downstream");
    }
    judge_remap(t, not_known, &v[KEY_STRATEGY_REMAP]);
    const double enough = (double)YEAR_S * YEARS_ENOUGH;
    KeyStrategy first = target_is_tidb ? KEY_STRATEGY_PARTITION_ID : KEY_STRATEGY_STRIDE;
    KeyStrategy second = target_is_tidb ? KEY_STRATEGY_STRIDE : KEY_STRATEGY_PARTITION_ID;
    KeyStrategy order[] = {KEY_STRATEGY_ERROR, first, second, KEY_STRATEGY_REMAP}; /* cheap ones first */
    t->recommended = KEY_STRATEGY_COMPOSITE;
    for (size_t i = 0; i < ARRAY_LEN(order); i++)
        if (v[order[i]].fits && v[order[i]].seconds_left >= enough) {
            t->recommended = order[i];
            break;
        }
    t->reason = t->n_shards == 1 ? STR("one shard table: nothing can collide") : v[t->recommended].why;
    if (t->n_shards == 1) t->recommended = KEY_STRATEGY_ERROR;
}
