/* What a census concludes: verdicts, for how long they hold, the recommendation, pairs that collide. */
#include <math.h>
#include <string.h>
#include "ops/census_values.h"
#include "ops/route_census.h"
#include "unit.h"

enum { MOST = 40, YES = 1, NO = 0 };
#define YEAR 31557600.0

typedef struct Case {
    const char *name;
    CensusShard shards[3];
    size_t n_shards; /* beyond 3: copies of the last one, without ids */
    bool no_id;
    double id_collisions, other_collisions;
    bool other_unknown; /* not looked at */
    size_t other_lacks;
    double room;
    KeyRule rule;
    bool tidb;
    bool fits[CENSUS_VERDICTS]; /* error, partition-id, stride, composite, plain-index, remap */
    KeyStrategy recommended;
    KeyStrategy timed;
    double seconds_left; /* of that strategy */
} Case;

#define IDS(lo, hi, rate)                                                                                    \
    {                                                                                                        \
        .has_ids = true, .lowest = (lo), .highest = (hi), .ids_per_second = (rate)                           \
    }
#define BIG 9e18
#define ALL                                                                                                  \
    {                                                                                                        \
        YES, YES, YES, YES, YES, YES                                                                         \
    }
#define ALL_BUT_ERROR                                                                                        \
    {                                                                                                        \
        NO, YES, YES, YES, YES, YES                                                                          \
    }
#define NO_IDS_HELP                                                                                          \
    {                                                                                                        \
        NO, NO, NO, YES, YES, NO                                                                             \
    }

static const Case cases[] = {
    {.name = "ranges apart, nothing grows",
     .shards = {IDS(1, 1000, 0), IDS(2001, 3000, 0)},
     .n_shards = 2,
     .room = BIG,
     .fits = ALL,
     .recommended = KEY_STRATEGY_ERROR,
     .timed = KEY_STRATEGY_ERROR,
     .seconds_left = INFINITY},
    {.name = "ranges apart, one grows into the next",
     .shards = {IDS(1, 1000, 1), IDS(2001, 3000, 0)},
     .n_shards = 2,
     .room = BIG,
     .fits = ALL,
     .recommended = KEY_STRATEGY_STRIDE,
     .timed = KEY_STRATEGY_ERROR,
     .seconds_left = 1001},
    {.name = "the upper one grows away",
     .shards = {IDS(1, 1000, 0), IDS(2001, 3000, 1)},
     .n_shards = 2,
     .room = BIG,
     .fits = ALL,
     .recommended = KEY_STRATEGY_ERROR,
     .timed = KEY_STRATEGY_ERROR,
     .seconds_left = INFINITY},
    {.name = "TiDB takes partition-id before stride",
     .shards = {IDS(1, 1000, 1), IDS(2001, 3000, 0)},
     .n_shards = 2,
     .room = BIG,
     .tidb = true,
     .fits = ALL,
     .recommended = KEY_STRATEGY_PARTITION_ID,
     .timed = KEY_STRATEGY_PARTITION_ID,
     .seconds_left = 17592186044415.0 - 1000},
    {.name = "one range, ids collide",
     .shards = {IDS(1, 1000, 2), IDS(1, 500, 4)},
     .n_shards = 2,
     .id_collisions = 500,
     .room = BIG,
     .fits = ALL_BUT_ERROR,
     .recommended = KEY_STRATEGY_STRIDE,
     .timed = KEY_STRATEGY_STRIDE,
     .seconds_left = 576460752303423487.0 / 4},
    {.name = "one range, odd and even",
     .shards = {IDS(1, 999, 0), IDS(2, 1000, 0)},
     .n_shards = 2,
     .room = BIG,
     .fits = ALL_BUT_ERROR,
     .recommended = KEY_STRATEGY_STRIDE,
     .timed = KEY_STRATEGY_ERROR,
     .seconds_left = 0},
    {.name = "another key collides",
     .shards = {IDS(1, 10, 0), IDS(11, 20, 0)},
     .n_shards = 2,
     .other_collisions = 1,
     .room = BIG,
     .fits = NO_IDS_HELP,
     .recommended = KEY_STRATEGY_COMPOSITE,
     .timed = KEY_STRATEGY_REMAP,
     .seconds_left = 0},
    {.name = "another key was not looked at",
     .shards = {IDS(1, 10, 0), IDS(11, 20, 0)},
     .n_shards = 2,
     .other_unknown = true,
     .room = BIG,
     .fits = NO_IDS_HELP,
     .recommended = KEY_STRATEGY_COMPOSITE,
     .timed = KEY_STRATEGY_STRIDE,
     .seconds_left = 0},
    {.name = "one shard table has another key alone",
     .shards = {IDS(1, 10, 0), IDS(11, 20, 0)},
     .n_shards = 2,
     .other_lacks = 1,
     .room = BIG,
     .fits = NO_IDS_HELP,
     .recommended = KEY_STRATEGY_COMPOSITE,
     .timed = KEY_STRATEGY_ERROR,
     .seconds_left = 0},
    {.name = "negative ids",
     .shards = {IDS(-5, 10, 0), IDS(1, 20, 0)},
     .n_shards = 2,
     .id_collisions = 10,
     .room = BIG,
     .tidb = true,
     .fits = {NO, NO, YES, YES, YES, YES},
     .recommended = KEY_STRATEGY_STRIDE,
     .timed = KEY_STRATEGY_STRIDE,
     .seconds_left = INFINITY},
    {.name = "ids beyond 44 bits",
     .shards = {IDS(1, UINT64_C(1) << 44, 0), IDS(1, 20, 0)},
     .n_shards = 2,
     .id_collisions = 10,
     .room = BIG,
     .tidb = true,
     .fits = {NO, NO, YES, YES, YES, YES},
     .recommended = KEY_STRATEGY_STRIDE,
     .timed = KEY_STRATEGY_PARTITION_ID,
     .seconds_left = 0},
    {.name = "the last id of 44 bits",
     .shards = {IDS(1, (UINT64_C(1) << 44) - 1, 1), IDS(1, 20, 0)},
     .n_shards = 2,
     .id_collisions = 10,
     .room = BIG,
     .tidb = true,
     .fits = ALL_BUT_ERROR,
     .recommended = KEY_STRATEGY_STRIDE,
     .timed = KEY_STRATEGY_PARTITION_ID,
     .seconds_left = 0},
    {.name = "ids too wide for every share",
     .shards = {IDS(1, UINT64_C(1) << 62, 1), IDS(1, 20, 1)},
     .n_shards = 2,
     .id_collisions = 10,
     .room = 4.6e18,
     .fits = {NO, NO, NO, YES, YES, YES},
     .recommended = KEY_STRATEGY_REMAP,
     .timed = KEY_STRATEGY_REMAP,
     .seconds_left = 2.3e18},
    {.name = "the type is nearly full, so that new ids do not last either",
     .shards = {IDS(1, UINT64_C(1) << 62, 1), IDS(1, 20, 1)},
     .n_shards = 2,
     .id_collisions = 10,
     .room = 10 * YEAR,
     .fits = {NO, NO, NO, YES, YES, YES},
     .recommended = KEY_STRATEGY_COMPOSITE,
     .timed = KEY_STRATEGY_COMPOSITE,
     .seconds_left = 10 * YEAR},
    {.name = "no id column",
     .shards = {{0}, {0}},
     .n_shards = 2,
     .no_id = true,
     .fits = {YES, NO, NO, YES, YES, NO},
     .recommended = KEY_STRATEGY_ERROR,
     .timed = KEY_STRATEGY_COMPOSITE,
     .seconds_left = INFINITY},
    {.name = "the rule's own widths",
     .shards = {IDS(1, 1024, 0), IDS(1, 20, 0)},
     .n_shards = 2,
     .id_collisions = 10,
     .room = BIG,
     .rule = {.strategy = KEY_STRATEGY_PARTITION_ID,
              .partition = {.instance_bits = 32, .schema_bits = 20, .table_bits = 1}},
     .fits = {NO, NO, YES, YES, YES, YES},
     .recommended = KEY_STRATEGY_STRIDE,
     .timed = KEY_STRATEGY_PARTITION_ID,
     .seconds_left = 0},
    {.name = "the rule's own stride",
     .shards = {IDS(1, 1000, 1), IDS(1, 20, 0)},
     .n_shards = 2,
     .id_collisions = 10,
     .room = BIG,
     .rule = {.strategy = KEY_STRATEGY_STRIDE, .shards = UINT64_C(1) << 40},
     .fits = ALL_BUT_ERROR,
     .recommended = KEY_STRATEGY_PARTITION_ID, /* 97 days are too few */
     .timed = KEY_STRATEGY_STRIDE,
     .seconds_left = 8388607 - 1000},
    {.name = "more shards take a larger stride",
     .shards = {IDS(1, 1000, 1), IDS(1, 20, 0), {0}},
     .n_shards = MOST,
     .id_collisions = 10,
     .room = BIG,
     .fits = ALL_BUT_ERROR,
     .recommended = KEY_STRATEGY_STRIDE,
     .timed = KEY_STRATEGY_STRIDE,
     .seconds_left = 72057594037927935.0 - 1000}, /* 2^63 / 128 */
    {.name = "one shard table",
     .shards = {IDS(1, 1000, 5)},
     .n_shards = 1,
     .room = BIG,
     .fits = ALL,
     .recommended = KEY_STRATEGY_ERROR,
     .timed = KEY_STRATEGY_ERROR,
     .seconds_left = INFINITY},
    {.name = "new ids fill a small type by the growth of all shards",
     .shards = {IDS(1, 1000, 3), IDS(1, 900, 7)},
     .n_shards = 2,
     .id_collisions = 900,
     .room = 5000,
     .fits = ALL_BUT_ERROR,
     .recommended = KEY_STRATEGY_STRIDE,
     .timed = KEY_STRATEGY_REMAP,
     .seconds_left = 500},
};

START_TEST(verdicts)
{
    const Case *c = &cases[_i];
    Arena arena = {0};
    CensusShard shards[MOST] = {0};
    CensusKey keys[] = {{.name = STR("PRIMARY"),
                         .of_ids = true,
                         .looked_at = true,
                         .exact = true,
                         .collisions = c->id_collisions},
                        {.name = STR("mail"),
                         .looked_at = !c->other_unknown,
                         .exact = true,
                         .collisions = c->other_collisions,
                         .lack_it = c->other_lacks}};
    for (size_t i = 0; i < c->n_shards; i++)
        shards[i] = c->shards[MIN(i, (size_t)2)];
    CensusTarget t = {.id = c->no_id ? (Str){0} : STR("id"),
                      .shards = shards,
                      .n_shards = c->n_shards,
                      .room = c->room,
                      .keys = keys,
                      .n_keys = ARRAY_LEN(keys)};
    census_find_pairs(&t, &arena);
    census_judge(&t, c->rule.strategy ? &c->rule : NULL, c->tidb, &arena);
    for (unsigned v = 0; v < CENSUS_VERDICTS; v++) {
        const char *name = keys_strategy_name((KeyStrategy)v);
        ck_assert_msg(t.verdicts[v].strategy == (KeyStrategy)v, "%s: %s", c->name, name);
        ck_assert_msg(t.verdicts[v].fits == c->fits[v], "%s: %s fits %d, " STR_FMT, c->name, name,
                      t.verdicts[v].fits, STR_ARG(t.verdicts[v].why));
        ck_assert_msg(t.verdicts[v].why.len > 0, "%s: %s gives no reason", c->name, name);
        if (!c->fits[v]) ck_assert_msg(t.verdicts[v].seconds_left <= 0, "%s: %s lasts", c->name, name);
    }
    double left = t.verdicts[c->timed].seconds_left;
    bool same = isinf(c->seconds_left)
                    ? isinf(left)
                    : !isinf(left) && fabs(left - c->seconds_left) <= c->seconds_left * 1e-6 + 1e-6;
    ck_assert_msg(same, "%s: %s for %f seconds", c->name, keys_strategy_name(c->timed), left);
    ck_assert_msg(t.recommended == c->recommended, "%s: recommends %s", c->name,
                  keys_strategy_name(t.recommended));
    ck_assert(t.reason.len > 0);
    arena_done(&arena);
}
END_TEST

START_TEST(pairs_that_overlap)
{
    Arena arena = {0};
    CensusShard shards[] = {IDS(1, 100, 0),         IDS(50, 150, 0), IDS(-10, 60, 0), IDS(200, 300, 0), {0},
                            IDS(300, UINT64_MAX, 0)};
    enum { N = ARRAY_LEN(shards) };
    static const CensusCommon common[] = {{1, 2, 9}, {0, 1, 7}};
    CensusTarget t = {
        .shards = shards, .n_shards = N, .common = common, .n_common = ARRAY_LEN(common), .sample = 1};
    census_find_pairs(&t, &arena);
    static const struct {
        size_t a, b;
        int64_t from;
        uint64_t to;
        double collisions;
    } want[] = {{1, 2, 50, 60, 9}, {0, 1, 50, 100, 7}, {0, 2, 1, 60, 0}, {3, 5, 300, 300, 0}};
    ck_assert_uint_eq(t.n_pairs, ARRAY_LEN(want));
    ck_assert_uint_eq(t.n_listed, ARRAY_LEN(want));
    for (size_t i = 0; i < ARRAY_LEN(want); i++) {
        const CensusPair *p = &t.pairs[i];
        ck_assert_msg(p->a == want[i].a && p->b == want[i].b && p->from == want[i].from &&
                          p->to == want[i].to && fabs(p->collisions - want[i].collisions) < 1e-9 &&
                          p->error <= 0,
                      "pair %zu", i);
    }
    t.sample = 4; /* 9 of a sample stand for 36 */
    census_find_pairs(&t, &arena);
    ck_assert(fabs(t.pairs[0].collisions - 36) < 1e-9 && fabs(t.pairs[0].error - 1.96 * 4 * 3) < 1e-9);
    ck_assert(t.pairs[3].collisions <= 0 && t.pairs[3].error > 7); /* none seen proves not much */
    t.common = NULL;
    t.n_common = 0;
    census_find_pairs(&t, &arena);
    ck_assert_uint_eq(t.n_pairs, 4);
    ck_assert(isnan(t.pairs[0].collisions));
    arena_done(&arena);
}
END_TEST

/* Pairs are counted without looking at each, and few of many are listed. */
START_TEST(pairs_of_many_shards)
{
    enum { N = 120 };
    Arena arena = {0};
    CensusShard shards[N] = {0};
    srand((unsigned)_i);
    for (size_t i = 0; i < N; i++) {
        int64_t low = rand() % 1000 - 50, length = rand() % (_i < 5 ? 2000 : 10);
        uint64_t high = low + length < 0 ? 0 : (uint64_t)(low + length);
        shards[i] = (CensusShard){.has_ids = rand() % 10 > 0, .lowest = low, .highest = high};
    }
    CensusTarget t = {.shards = shards, .n_shards = N};
    census_find_pairs(&t, &arena);
    size_t n = 0;
    for (size_t a = 0; a < N; a++)
        for (size_t b = a + 1; b < N; b++) {
            const CensusShard *x = &shards[a], *y = &shards[b];
            bool apart = (y->lowest >= 0 && x->highest < (uint64_t)y->lowest) ||
                         (x->lowest >= 0 && y->highest < (uint64_t)x->lowest);
            if (!x->has_ids || !y->has_ids || apart) continue;
            if (n < CENSUS_PAIRS_LISTED)
                ck_assert_msg(t.pairs[n].a == a && t.pairs[n].b == b, "seed %d, pair %zu", _i, n);
            n++;
        }
    ck_assert_msg(t.n_pairs == n, "seed %d: %zu pairs, not %zu", _i, t.n_pairs, n);
    ck_assert_uint_eq(t.n_listed, MIN(n, (size_t)CENSUS_PAIRS_LISTED));
    arena_done(&arena);
}
END_TEST

/* Why it does not fit is said as it is. */
START_TEST(what_is_not_known)
{
    Arena arena = {0};
    CensusShard shards[] = {IDS(1, 10, 0), IDS(11, 20, 0), IDS(31, 40, 0)};
    CensusKey keys[] = {
        {.name = STR("PRIMARY"), .of_ids = true, .looked_at = true, .exact = true},
        {.name = STR("mail"), .looked_at = true, .exact = true, .lack_it = 2},
    };
    CensusTarget t = {
        .id = STR("id"), .shards = shards, .n_shards = 3, .room = BIG, .keys = keys, .n_keys = 2};
    static const KeyStrategy asks[] = {KEY_STRATEGY_ERROR, KEY_STRATEGY_PARTITION_ID, KEY_STRATEGY_STRIDE,
                                       KEY_STRATEGY_REMAP};
    static const char *const words[] = {
        "2 of 3 shard tables have no unique key mail: whether their values collide with the others' was not "
        "looked at",
        "unique key mail could not be looked at: it is over an expression"};
    for (unsigned round = 0; round < 2; round++) {
        census_find_pairs(&t, &arena);
        census_judge(&t, NULL, false, &arena);
        for (size_t i = 0; i < ARRAY_LEN(asks); i++) {
            const CensusVerdict *v = &t.verdicts[asks[i]];
            ck_assert_msg(!v->fits && str_eq(v->why, str_of(words[round])), "%s: " STR_FMT,
                          keys_strategy_name(asks[i]), STR_ARG(v->why));
        }
        keys[1].looked_at = false;
        keys[1].lack_it = 0;
        keys[1].note = STR("it is over an expression");
    }
    arena_done(&arena);
}
END_TEST

START_TEST(values_of_several_shards)
{
    static const CensusValue list[] = {{7, 0}, {7, 1}, {7, 1}, {7, 2}, {8, 2},          {8, 2},
                                       {9, 1}, {5, 2}, {5, 0}, {4, 0}, {UINT64_MAX, 1}, {0, 0}};
    static const CensusCommon want[] = {{0, 2, 2}, {0, 1, 1}, {1, 2, 1}};
    CensusValues v = {0};
    CensusCommon common[9];
    ck_assert_uint_eq(census_values_shared(&v, 3), 0);
    ck_assert_uint_eq(census_values_common(&v, 3, common, 9), 0);
    for (size_t i = 0; i < ARRAY_LEN(list); i++)
        census_values_add(&v, list[i].hash, list[i].shard);
    /* 7 in all three, 5 in two; 8 is in one shard table, twice */
    ck_assert_uint_eq(census_values_shared(&v, 3), 2);
    for (size_t most = 0; most <= 9; most++) {
        ck_assert_uint_eq(census_values_common(&v, 3, common, most), MIN(most, ARRAY_LEN(want)));
        ck_assert_int_eq(memcmp(common, want, MIN(most, ARRAY_LEN(want)) * sizeof *want), 0);
    }
    census_values_done(&v);
    ck_assert_uint_eq(v.n, 0);
}
END_TEST

START_TEST(values_of_many_shards)
{
    enum { SHARDS = 40, VALUES = 3000, RANGE = 200, MOST_PAIRS = 50 };
    CensusValues v = {0};
    CensusCommon all[SHARDS * SHARDS], some[MOST_PAIRS];
    bool holds[SHARDS][RANGE] = {{0}};
    srand((unsigned)_i);
    for (size_t i = 0; i < VALUES; i++) {
        uint32_t shard = (uint32_t)rand() % SHARDS, value = (uint32_t)rand() % RANGE;
        if (shard == 3) continue; /* an empty one */
        holds[shard][value] = true;
        census_values_add(&v, value, shard);
    }
    (void)census_values_shared(&v, SHARDS);
    size_t n = census_values_common(&v, SHARDS, all, ARRAY_LEN(all));
    uint64_t total = 0;
    for (size_t i = 0; i < n; i++) {
        uint64_t both = 0;
        for (size_t x = 0; x < RANGE; x++)
            both += holds[all[i].a][x] && holds[all[i].b][x];
        ck_assert_msg(all[i].a < all[i].b && all[i].values == both, "seed %d, pair %zu", _i, i);
        if (i) ck_assert_msg(all[i - 1].values >= both, "seed %d, pair %zu is out of order", _i, i);
        total += both;
    }
    for (size_t a = 0; a < SHARDS; a++)
        for (size_t b = a + 1; b < SHARDS; b++)
            for (size_t x = 0; x < RANGE; x++)
                total -= holds[a][x] && holds[b][x];
    ck_assert_msg(total == 0, "seed %d: pairs are missing", _i);
    ck_assert_uint_eq(census_values_common(&v, SHARDS, some, MOST_PAIRS), MOST_PAIRS);
    ck_assert_msg(memcmp(some, all, sizeof some) == 0, "seed %d: others than the first", _i);
    census_values_done(&v);
}
END_TEST

static Suite *census_suite(void)
{
    Suite *s = suite_create("ops/route_census");
    TCase *t = tcase_create("census");
    tcase_add_loop_test(t, verdicts, 0, ARRAY_LEN(cases));
    tcase_add_test(t, pairs_that_overlap);
    tcase_add_loop_test(t, pairs_of_many_shards, 0, 10);
    tcase_add_test(t, what_is_not_known);
    tcase_add_test(t, values_of_several_shards);
    tcase_add_loop_test(t, values_of_many_shards, 0, 5);
    suite_add_tcase(s, t);
    return s;
}

UNIT_MAIN(census_suite)
