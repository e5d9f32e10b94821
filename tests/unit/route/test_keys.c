#include <stdio.h>
#include "random.h"
#include "route/keys.h"
#include "unit.h"

static TableName name(const char *schema, const char *table)
{
    return (TableName){str_of(schema), str_of(table)};
}

static bool rewrite(const KeyRewrite *r, int64_t id, uint64_t *out)
{
    bool negative = id < 0;
    *out = (uint64_t)id;
    return key_rewrite(r, &negative, out);
}

/* The numbers of the old column mapping, worked out by hand from its layout. */
START_TEST(partition_bits)
{
    static const struct {
        int instance;
        const char *schema_prefix, *table_prefix, *separator, *schema, *table;
        uint64_t share;
    } cases[] = {
        {1, "schema_", "t_", "", "schema_2", "t_3",
         UINT64_C(1) << 59 | UINT64_C(2) << 52 | UINT64_C(3) << 44},
        {15, "schema", "t", "_", "schema_127", "t_255",
         UINT64_C(15) << 59 | UINT64_C(127) << 52 | UINT64_C(255) << 44},
        {-1, "schema_", "t_", "", "schema_2", "t_3", UINT64_C(2) << 56 | UINT64_C(3) << 48},
        {-1, "", "t_", "", "anything", "t_3", UINT64_C(3) << 55},
        {3, "", "", "", "anything", "x", UINT64_C(3) << 59},
        {0, "s", "t", "_", "s", "t", 0},
        {0, "s", "t", "_", "s", "t_007", UINT64_C(7) << 44},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        PartitionRule p = {.instance_bits = 4,
                           .schema_bits = 7,
                           .table_bits = 8,
                           .schema_prefix = str_of(cases[i].schema_prefix),
                           .table_prefix = str_of(cases[i].table_prefix),
                           .separator = str_of(cases[i].separator)};
        p.has_schema = p.schema_prefix.len > 0;
        p.has_table = p.table_prefix.len > 0;
        uint64_t instance = (uint64_t)cases[i].instance, out;
        KeyRewrite r;
        Err err = {0};
        ck_assert_msg(keys_partition(&p, cases[i].instance < 0 ? NULL : &instance,
                                     name(cases[i].schema, cases[i].table), &r, &err),
                      "case %zu: %s", i, err.message);
        ck_assert_uint_eq(r.add, cases[i].share);
        ck_assert(rewrite(&r, 0, &out) && out == cases[i].share);
        ck_assert(rewrite(&r, (INT64_C(1) << 44) - 1, &out) &&
                  out == (cases[i].share | ((UINT64_C(1) << 44) - 1)));
        ck_assert(!rewrite(&r, INT64_C(1) << 44, &out));
        ck_assert(!rewrite(&r, -1, &out));
    }
}
END_TEST

START_TEST(partition_refusals)
{
    static const struct {
        const char *schema, *table, *what;
    } cases[] = {{"s_128", "t_1", "schema"}, {"s_1", "t_256", "table"},  {"s_1", "t_a", "decimal"},
                 {"s_1", "u_1", "decimal"},  {"s_1", "t_-1", "decimal"}, {"s_1", "t_", "decimal"}};
    PartitionRule p = {.instance_bits = 4,
                       .schema_bits = 7,
                       .table_bits = 8,
                       .has_schema = true,
                       .has_table = true,
                       .schema_prefix = STR("s"),
                       .table_prefix = STR("t"),
                       .separator = STR("_")};
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        KeyRewrite r;
        Err err = {0};
        ck_assert(!keys_partition(&p, NULL, name(cases[i].schema, cases[i].table), &r, &err));
        ck_assert_int_eq(err.code, ERR_KEY_STRATEGY);
        ck_assert_msg(strstr(err.message, cases[i].what) != NULL, "%s", err.message);
        err_clear(&err);
    }
    KeyRewrite r;
    Err err = {0};
    uint64_t instance = 16;
    ck_assert(!keys_partition(&p, &instance, name("s", "t"), &r, &err));
    err_clear(&err);
    ck_assert(!keys_stride(4, 4, &r, &err));
    ck_assert_int_eq(err.code, ERR_KEY_STRATEGY);
    err_clear(&err);
}
END_TEST

/* Every id of every shard, for widths small enough to try all: no number twice, nothing beyond the widths. */
START_TEST(injective_exhaustive)
{
    enum { BITS = 2, IDS = 40 };
    PartitionRule p = {.instance_bits = BITS,
                       .schema_bits = BITS,
                       .table_bits = 63 - 2 * BITS - 5, /* five bits for the id: 0 … 31 */
                       .has_schema = true,
                       .has_table = true};
    static char seen[1 << (BITS * 2 + 2)][32];
    memset(seen, 0, sizeof seen);
    for (uint64_t i = 0; i < 1 << BITS; i++)
        for (unsigned s = 0; s < 1 << BITS; s++)
            for (unsigned t = 0; t < 4; t++) {
                char schema[8], table[8];
                snprintf(schema, sizeof schema, "%u", s);
                snprintf(table, sizeof table, "%u", t);
                KeyRewrite r;
                Err err = {0};
                ck_assert_msg(keys_partition(&p, &i, name(schema, table), &r, &err), "%s", err.message);
                for (int64_t id = -2; id < IDS; id++) {
                    uint64_t out;
                    bool fits = rewrite(&r, id, &out);
                    ck_assert(fits == (id >= 0 && id < 32));
                    if (!fits) continue;
                    ck_assert(out >> 63 == 0);
                    uint64_t slot = (out >> 61 & 3) << 4 | (out >> 59 & 3) << 2 | (out >> 5 & 3);
                    ck_assert_msg(!seen[slot][out & 31], "two ids became %llu", (unsigned long long)out);
                    seen[slot][out & 31] = 1;
                }
            }
    for (uint64_t shards = 2; shards <= 9; shards++) {
        bool taken[1000] = {false};
        for (uint32_t n = 0; n < shards; n++)
            for (int64_t id = -50; id <= 50; id++) {
                KeyRewrite r;
                Err err = {0};
                uint64_t out;
                ck_assert(keys_stride(shards, n, &r, &err) && rewrite(&r, id, &out));
                int64_t at = (int64_t)out + 500;
                ck_assert(at >= 0 && at < 1000 && !taken[at]);
                taken[at] = true;
            }
    }
}
END_TEST

/* Large widths, at random: two (shard, id) never meet. */
START_TEST(injective_random)
{
    Random random = {20261121};
    for (int round = 0; round < 20000; round++) {
        uint64_t shards = 2 + random_next(&random) % 1000000,
                 share[2] = {random_below(&random, 16), random_below(&random, 16)};
        uint32_t n[2] = {(uint32_t)(random_next(&random) % shards),
                         (uint32_t)(random_next(&random) % shards)};
        int64_t id[2];
        PartitionRule p = {.instance_bits = 4, .schema_bits = 7, .table_bits = 8};
        uint64_t out[2];
        for (int i = 0; i < 2; i++)
            id[i] = (int64_t)(random_next(&random) % (round % 2 ? 8 : UINT64_C(1) << 42));
        KeyRewrite r;
        Err err = {0};
        for (int i = 0; i < 2; i++)
            ck_assert(keys_stride(shards, n[i], &r, &err) && rewrite(&r, id[i], &out[i]));
        ck_assert((out[0] == out[1]) == (n[0] == n[1] && id[0] == id[1]));
        for (int i = 0; i < 2; i++)
            ck_assert(keys_partition(&p, &share[i], name("s", "t"), &r, &err) && rewrite(&r, id[i], &out[i]));
        ck_assert((out[0] == out[1]) == (share[0] == share[1] && id[0] == id[1]));
    }
}
END_TEST

START_TEST(zero_of_a_reference)
{
    KeyRewrite r;
    Err err = {0};
    uint64_t out;
    ck_assert(keys_stride(8, 3, &r, &err));
    ck_assert(rewrite(&r, 0, &out) && out == 3);
    r.keep_zero = true;
    ck_assert(rewrite(&r, 0, &out) && out == 0);
    ck_assert(rewrite(&r, 1, &out) && out == 11);
}
END_TEST

/* New ids are told apart by their map alone: a column must hold ids of one map in all shard tables of a
 * target. */
START_TEST(one_map_a_column)
{
    const KeySpace orders[] = {
        {.id = 0, .source = STR("s1"), .shard = name("a", "orders"), .target = name("t", "orders")},
        {.id = 1, .source = STR("s2"), .shard = name("b", "orders"), .target = name("t", "orders")}};
    const KeySpace users = {
        .id = 2, .source = STR("s2"), .shard = name("b", "users"), .target = name("t", "users")};
    enum { OWN, PARENT, N };
    const struct {
        const KeySpace *a, *b; /* of `parent` */
        bool clash;
    } cases[] = {{&orders[0], &orders[1], false},
                 {NULL, NULL, false},
                 {&orders[0], NULL, true},
                 {NULL, &orders[1], true},
                 {&orders[0], &users, true}};
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        KeyColumn x[N] = {{.column = STR("id"), .rewrite = {.space = &orders[0]}},
                          {.column = STR("parent"), .rewrite = {.multiply = 1, .space = cases[i].a}}};
        KeyColumn y[N] = {{.column = STR("ID"), .rewrite = {.space = &orders[1]}},
                          {.column = STR("parent"), .rewrite = {.multiply = 1, .space = cases[i].b}}};
        MemberKeys a = {
            .strategy = KEY_STRATEGY_REMAP, .columns = x, .n_columns = cases[i].a ? N : 1, .own = OWN};
        MemberKeys b = {
            .strategy = KEY_STRATEGY_REMAP, .columns = y, .n_columns = cases[i].b ? N : 1, .own = OWN};
        ck_assert_msg((keys_clash(&a, &b) != NULL) == cases[i].clash, "case %zu", i);
        ck_assert_msg((keys_clash(&b, &a) != NULL) == cases[i].clash, "case %zu", i);
        y[OWN].rewrite.space = &orders[0]; /* two members that one name was first given to */
        ck_assert_msg(keys_clash(&a, &b) != NULL, "case %zu", i);
    }
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("route/keys");
    TCase *t = tcase_create("keys");
    tcase_set_timeout(t, 60);
    tcase_add_test(t, partition_bits);
    tcase_add_test(t, partition_refusals);
    tcase_add_test(t, injective_exhaustive);
    tcase_add_test(t, injective_random);
    tcase_add_test(t, zero_of_a_reference);
    tcase_add_test(t, one_map_a_column);
    suite_add_tcase(s, t);
    return s;
}

UNIT_MAIN(suite)
