#include "track/schema_beside.h"
#include "unit.h"
#include "track/ddl_tables.h"
#include "base/poison.h"

#define OWN                                                                                                  \
    ", sm_id BIGINT UNSIGNED NOT NULL, sm_decided BIGINT UNSIGNED NOT NULL, PRIMARY KEY (sm_id), KEY "       \
    "sm_own (sm_decided)"
#define SHARD "CREATE TABLE t (id INT PRIMARY KEY, u VARCHAR(9), v INT, UNIQUE KEY k_u (u))"
#define TARGET "CREATE TABLE t (src VARCHAR(9), id INT PRIMARY KEY, u VARCHAR(9), v INT, UNIQUE KEY k_u (u))"
#define BESIDE                                                                                               \
    "CREATE TABLE t (src VARCHAR(9), id INT NOT NULL, u VARCHAR(9), v INT, KEY sm_key_0 (id), KEY sm_key_1 " \
    "(u)" OWN ")"

/* What the shards do, and what the table beside the target becomes (NULL: it is refused). first: what the
 * target becomes before rows that share a new key have left it; NULL: there is no such key. changes: other
 * rows share keys then. stays: the key that finds rows does. */
typedef struct Case {
    const char *live, *change, *beside, *first;
    bool changes, leaves, reuses;
} Case;

static const Case cases[] = {
    {BESIDE, "ALTER TABLE t ADD c INT NOT NULL DEFAULT 3 AFTER u",
     "CREATE TABLE t (src VARCHAR(9), id INT NOT NULL, u VARCHAR(9), c INT NOT NULL DEFAULT 3, v INT, KEY "
     "sm_key_0 (id), KEY sm_key_1 (u)" OWN ")",
     NULL, false, false, false},
    {BESIDE, "ALTER TABLE t ADD c INT FIRST",
     "CREATE TABLE t (c INT, src VARCHAR(9), id INT NOT NULL, u VARCHAR(9), v INT, KEY sm_key_0 (id), KEY "
     "sm_key_1 (u)" OWN ")",
     NULL, false, false, false},
    {BESIDE, "ALTER TABLE t DROP v",
     "CREATE TABLE t (src VARCHAR(9), id INT NOT NULL, u VARCHAR(9), KEY sm_key_0 (id), KEY sm_key_1 (u)" OWN
     ")",
     NULL, false, false, false},
    {BESIDE, "ALTER TABLE t RENAME COLUMN u TO name, MODIFY v BIGINT",
     "CREATE TABLE t (src VARCHAR(9), id INT NOT NULL, name VARCHAR(9), v BIGINT, KEY sm_key_0 (id), KEY "
     "sm_key_1 (name)" OWN ")",
     NULL, false, false, false},
    {BESIDE, "ALTER TABLE t RENAME COLUMN v TO w, RENAME COLUMN u TO v",
     "CREATE TABLE t (src VARCHAR(9), id INT NOT NULL, v VARCHAR(9), w INT, KEY sm_key_0 (id), KEY sm_key_1 "
     "(v)" OWN ")",
     NULL, false, false, true},
    {BESIDE, "ALTER TABLE t DROP v, ADD v INT",
     "CREATE TABLE t (src VARCHAR(9), id INT NOT NULL, u VARCHAR(9), v INT, KEY sm_key_0 (id), KEY sm_key_1 "
     "(u)" OWN ")",
     NULL, false, false, true},
    /* keys */
    {BESIDE, "ALTER TABLE t ADD UNIQUE KEY k_v (v, u)",
     "CREATE TABLE t (src VARCHAR(9), id INT NOT NULL, u VARCHAR(9), v INT, KEY sm_key_0 (id), KEY sm_key_1 "
     "(u), KEY sm_key_2 (v, u)" OWN ")",
     "CREATE TABLE t (src VARCHAR(9), id INT PRIMARY KEY, u VARCHAR(9), v INT, UNIQUE KEY k_u (u), KEY "
     "sm_late_0 (v, u))",
     true, false, false},
    {BESIDE, "ALTER TABLE t DROP INDEX k_u",
     "CREATE TABLE t (src VARCHAR(9), id INT NOT NULL, u VARCHAR(9), v INT, KEY sm_key_0 (id)" OWN ")", NULL,
     true, false, false},
    {BESIDE, "ALTER TABLE t DROP INDEX k_u, ADD UNIQUE KEY k_u (v)",
     "CREATE TABLE t (src VARCHAR(9), id INT NOT NULL, u VARCHAR(9), v INT, KEY sm_key_0 (id), KEY sm_key_2 "
     "(v)" OWN ")",
     "CREATE TABLE t (src VARCHAR(9), id INT PRIMARY KEY, u VARCHAR(9), v INT, KEY sm_late_0 (v))", true,
     false, false},
    {BESIDE, "ALTER TABLE t ADD c INT, ADD UNIQUE KEY k_c (c)",
     "CREATE TABLE t (src VARCHAR(9), id INT NOT NULL, u VARCHAR(9), v INT, c INT, KEY sm_key_0 (id), KEY "
     "sm_key_1 (u), KEY sm_key_2 (c)" OWN ")",
     "CREATE TABLE t (src VARCHAR(9), id INT PRIMARY KEY, u VARCHAR(9), v INT, c INT, UNIQUE KEY k_u (u), "
     "KEY sm_late_0 (c))",
     true, false, false},
    {BESIDE, "ALTER TABLE t MODIFY u VARCHAR(9) COLLATE utf8mb4_general_ci",
     "CREATE TABLE t (src VARCHAR(9), id INT NOT NULL, u VARCHAR(9) COLLATE utf8mb4_general_ci, v INT, KEY "
     "sm_key_0 (id), KEY sm_key_1 (u)" OWN ")",
     "CREATE TABLE t (src VARCHAR(9), id INT PRIMARY KEY, u VARCHAR(9) COLLATE utf8mb4_general_ci, v INT, "
     "KEY sm_late_0 (u))",
     true, false, false},
    {BESIDE, "ALTER TABLE t MODIFY u VARCHAR(90), ADD KEY plain (v)",
     "CREATE TABLE t (src VARCHAR(9), id INT NOT NULL, u VARCHAR(90), v INT, KEY sm_key_0 (id), KEY sm_key_1 "
     "(u)" OWN ")",
     NULL, true, false, false},
    {BESIDE, "ALTER TABLE t DROP PRIMARY KEY, ADD PRIMARY KEY (id, v)",
     "CREATE TABLE t (src VARCHAR(9), id INT NOT NULL, u VARCHAR(9), v INT NOT NULL, KEY sm_key_1 (u), KEY "
     "sm_key_2 (id, v)" OWN ")",
     NULL, true, true, false},
    /* done before, by half, or by somebody */
    {"CREATE TABLE t (src VARCHAR(9), id INT NOT NULL, u VARCHAR(9), v INT, c INT, KEY sm_key_0 (id), KEY "
     "sm_key_1 (u), KEY mine (c)" OWN ")",
     "ALTER TABLE t ADD c INT",
     "CREATE TABLE t (src VARCHAR(9), id INT NOT NULL, u VARCHAR(9), v INT, c INT, KEY sm_key_0 (id), KEY "
     "sm_key_1 (u)" OWN ")",
     NULL, false, false, false},
    {"CREATE TABLE t (src VARCHAR(9), id INT NOT NULL, name VARCHAR(9), v INT, KEY sm_key_0 (id), KEY "
     "sm_key_1 (name)" OWN ")",
     "ALTER TABLE t RENAME COLUMN u TO name",
     "CREATE TABLE t (src VARCHAR(9), id INT NOT NULL, name VARCHAR(9), v INT, KEY sm_key_0 (id), KEY "
     "sm_key_1 (name)" OWN ")",
     NULL, false, false, false},
    /* it would not have the target's columns */
    {"CREATE TABLE t (id INT NOT NULL, u VARCHAR(9), v INT, KEY sm_key_0 (id)" OWN ")",
     "ALTER TABLE t ADD c INT", NULL, NULL, false, false, false},
    {"CREATE TABLE t (src VARCHAR(9), id INT NOT NULL, u VARCHAR(8), v INT, KEY sm_key_0 (id)" OWN ")",
     "ALTER TABLE t ADD c INT", NULL, NULL, false, false, false},
};

/* A statement that makes the one of the other must be there, too. */
static void check_made(const EmitChange *c, const char *want, const ApplyContext *ctx, const char *change)
{
    StrBuf a = {0}, b = {0};
    EmitPlan plan;
    Err err = {0};
    TextOpts text = {.dialect = DIALECT_MYSQL, .version = ctx->version};
    TableSchema *expected = ddl_table(want, ctx);
    bool ok = schema_emit_change(c, &text, &plan, &err);
    ck_assert_msg(ok, "%s: %s", change, err.message);
    schema_fingerprint(plan.n ? plan.steps[plan.n - 1].after : c->from, &a);
    schema_fingerprint(expected, &b);
    ck_assert_msg(str_eq(sb_view(&a), sb_view(&b)), "%s\ngot\n%s\nnot\n%s", change, a.ptr, b.ptr);
    emit_plan_done(&plan);
    schema_free(expected);
    sb_done(&a);
    sb_done(&b);
}

static void check_keys(const Case *c, const EmitChange *whole, const ApplyContext *ctx, Arena *arena)
{
    EmitChange first, then;
    Str key;
    TextOpts text = {.dialect = DIALECT_MYSQL, .version = ctx->version};
    Err err = {0};
    bool later = schema_keys_later(whole, arena, &first);
    ck_assert_msg(later == (c->first != NULL), "%s: a new key", c->change);
    ck_assert_msg(schema_keys_change(whole->from, whole->to, whole->columns, STR("id")) == c->changes,
                  "%s: keys change", c->change);
    ck_assert_msg(schema_row_key_stays(whole, &key) != c->leaves, "%s: the row key", c->change);
    if (!later) return;
    check_made(&first, c->first, ctx, c->change);
    /* and from there the target becomes what it should be, also when it is planned anew in the middle */
    TableSchema *middle = ddl_table(c->first, ctx), *counted = schema_copy(middle);
    EmitPlan plan, at_once;
    StrBuf a = {0}, b = {0};
    schema_keys_now(middle, whole->to, arena, &then);
    ck_assert(schema_emit_change(&then, &text, &plan, &err) && plan.n == 1);
    ck_assert(schema_emit_change(whole, &text, &at_once, &err) && at_once.n > 0);
    TableSchema *end = schema_copy(at_once.steps[at_once.n - 1].after);
    schema_late_as_unique(counted);
    uint32_t unique = 0, wanted = 0;
    for (uint32_t i = 0; i < counted->n_keys; i++)
        unique += counted->keys[i].unique;
    for (uint32_t i = 0; i < end->n_keys; i++)
        wanted += end->keys[i].unique;
    ck_assert_uint_eq(unique, wanted);
    schema_fingerprint(plan.steps[0].after, &a);
    schema_fingerprint(end, &b);
    ck_assert_msg(str_eq(sb_view(&a), sb_view(&b)), "%s\ngot\n%s\nnot\n%s", c->change, a.ptr, b.ptr);
    sb_done(&a);
    sb_done(&b);
    schema_free(end);
    schema_free(middle);
    schema_free(counted);
    emit_plan_done(&plan);
    emit_plan_done(&at_once);
}

START_TEST(tables_beside_a_target_follow_it)
{
    const Case *c = &cases[_i];
    ApplyContext ctx = ddl_context(FLAVOR_MYSQL);
    TableSchema *live = ddl_table(c->live, &ctx), *target = ddl_table(TARGET, &ctx),
                *before = ddl_table(SHARD, &ctx), *after;
    SchemaStep *step;
    Err err = {0};
    Arena arena = {0};
    EmitChange whole, out;
    ck_assert_msg(ddl_run(before, c->change, &ctx, &after, &step, &err), "%s", err.message);
    VersionPool *pool = version_pool_new();
    const VersionStep *v = version_step(pool, version_start(pool, before, ORIGIN_BASE), step);
    OntoChange onto = {.from = v->before, .to = v->after, .columns = v->from};
    ck_assert_msg(schema_onto(target, &onto, &arena, &whole, &err), "%s", err.message);
    ck_assert_msg(schema_reuses_names(v->before->schema, v->after->schema, v->from) == c->reuses, "%s",
                  c->change);
    check_keys(c, &whole, &ctx, &arena);
    bool ok = schema_beside(live, &onto, whole.to, &arena, &out, &err);
    ck_assert_msg(ok == (c->beside != NULL), "%s: %s", c->change, err.message ? err.message : "went well");
    if (ok) check_made(&out, c->beside, &ctx, c->change);
    err_clear(&err);
    arena_done(&arena);
    version_pool_free(pool);
    schema_step_free(step);
    schema_free(after);
    schema_free(before);
    schema_free(target);
    schema_free(live);
}
END_TEST

/* The tables beside a target have no partitions: of rows only what goes for all is theirs. */
START_TEST(rows_of_partitions_are_the_targets_alone)
{
    static const char *const rows[][2] = {{"drop partition p0,p1;", ""},
                                          {"truncate partition p0;", ""},
                                          {"truncate partition p0;truncate;drop partition p1;", "truncate;"},
                                          {"truncate;", "truncate;"},
                                          {"", ""}};
    ApplyContext ctx = ddl_context(FLAVOR_MYSQL);
    TableSchema *live = ddl_table(BESIDE, &ctx), *target = ddl_table(TARGET, &ctx),
                *before = ddl_table(SHARD, &ctx), *after;
    SchemaStep *step;
    Err err = {0};
    Arena arena = {0};
    ck_assert(ddl_run(before, "ALTER TABLE t COMMENT 'x'", &ctx, &after, &step, &err));
    VersionPool *pool = version_pool_new();
    const VersionStep *v = version_step(pool, version_start(pool, before, ORIGIN_BASE), step);
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        EmitChange out;
        OntoChange onto = {.from = v->before, .to = v->after, .columns = v->from, .rows = str_of(rows[i][0])};
        ck_assert_msg(schema_beside(live, &onto, target, &arena, &out, &err), "%s", err.message);
        ck_assert_msg(str_eqc(out.rows, rows[i][1]), "%s: " STR_FMT, rows[i][0], STR_ARG(out.rows));
    }
    arena_done(&arena);
    version_pool_free(pool);
    schema_step_free(step);
    schema_free(after);
    schema_free(before);
    schema_free(target);
    schema_free(live);
}
END_TEST

#define LEFT                                                                                                 \
    "CREATE TABLE t (src VARCHAR(9), id INT PRIMARY KEY, u VARCHAR(9), v INT, UNIQUE KEY k_u (u), KEY "      \
    "sm_late_0 (v)"

/* An index in the place of a key that has not come is none of a key to come in the next change. */
START_TEST(what_an_earlier_change_left)
{
    static const struct {
        const char *change, *first;
        uint32_t unique; /* keys that count as such when rows take their places */
        bool later;
    } left[] = {
        {"ALTER TABLE t COMMENT 'x'", TARGET, 2, false},
        {"ALTER TABLE t ADD UNIQUE KEY k_v (v)", LEFT ")", 3, true},
        {"ALTER TABLE t ADD UNIQUE KEY k_x (v, u)",
         "CREATE TABLE t (src VARCHAR(9), id INT PRIMARY KEY, u VARCHAR(9), v INT, UNIQUE KEY k_u (u), KEY "
         "sm_late_1 (v, u))",
         3, true},
    };
    for (size_t i = 0; i < ARRAY_LEN(left); i++) {
        ApplyContext ctx = ddl_context(FLAVOR_MYSQL);
        TableSchema *target = ddl_table(LEFT ")", &ctx), *before = ddl_table(SHARD, &ctx), *after;
        SchemaStep *step;
        Err err = {0};
        Arena arena = {0};
        EmitChange whole, first;
        ck_assert(ddl_run(before, left[i].change, &ctx, &after, &step, &err));
        VersionPool *pool = version_pool_new();
        const VersionStep *v = version_step(pool, version_start(pool, before, ORIGIN_BASE), step);
        OntoChange onto = {.from = v->before, .to = v->after, .columns = v->from};
        ck_assert_msg(schema_onto(target, &onto, &arena, &whole, &err), "%s", err.message);
        ck_assert(schema_keys_later(&whole, &arena, &first) == left[i].later);
        TableSchema *middle = schema_copy(first.to);
        uint32_t unique = 0, late = 0;
        for (uint32_t k = 0; k < middle->n_keys; k++)
            late += str_starts(middle->keys[k].name, STR("sm_late_"));
        schema_late_as_unique(middle);
        for (uint32_t k = 0; k < middle->n_keys; k++)
            unique += middle->keys[k].unique;
        ck_assert_uint_eq(unique, left[i].unique);
        ck_assert_uint_eq(late, left[i].later);
        if (i) check_made(&first, left[i].first, &ctx, left[i].change);
        schema_free(middle);
        arena_done(&arena);
        version_pool_free(pool);
        schema_step_free(step);
        schema_free(after);
        schema_free(before);
        schema_free(target);
    }
}
END_TEST

/* Rows may come to share a key that was there: then it comes like a new one. changes: they may be others. */
static const struct {
    const char *table, *change, *first;
    bool changes;
} late_keys[] = {
    {"CREATE TABLE t (id INT PRIMARY KEY, v INT, KEY k_v (v))", "ALTER TABLE t ADD UNIQUE KEY u_v (v)",
     "CREATE TABLE t (id INT PRIMARY KEY, v INT, KEY k_v (v), KEY sm_late_0 (v))", true},
    {"CREATE TABLE t (id INT PRIMARY KEY, v DECIMAL(10,2), UNIQUE KEY k_v (v))",
     "ALTER TABLE t MODIFY v DECIMAL(10,1)",
     "CREATE TABLE t (id INT PRIMARY KEY, v DECIMAL(10,1), KEY sm_late_0 (v))", true},
    {"CREATE TABLE t (id INT PRIMARY KEY, v DECIMAL(10,1), UNIQUE KEY k_v (v))",
     "ALTER TABLE t MODIFY v DECIMAL(12,2)", NULL, true},
    {"CREATE TABLE t (id INT PRIMARY KEY, v INT, UNIQUE KEY k_v (v))", "ALTER TABLE t MODIFY v INT NOT NULL",
     "CREATE TABLE t (id INT PRIMARY KEY, v INT NOT NULL, KEY sm_late_0 (v))", true},
    {"CREATE TABLE t (id INT PRIMARY KEY, v INT NOT NULL, UNIQUE KEY k_v (v))", "ALTER TABLE t MODIFY v INT",
     NULL, false},
    {"CREATE TABLE t (id INT NOT NULL, v DECIMAL(10,2) NOT NULL, UNIQUE KEY k_v (v))",
     "ALTER TABLE t MODIFY v DECIMAL(10,1) NOT NULL", NULL, true}, /* it finds rows */
    {"CREATE TABLE t (id INT PRIMARY KEY, v INT, g INT AS (v + 1) STORED, UNIQUE KEY k_g (g))",
     "ALTER TABLE t MODIFY g INT AS (v DIV 2) STORED",
     "CREATE TABLE t (id INT PRIMARY KEY, v INT, g INT AS (v DIV 2) STORED, KEY sm_late_0 (g))", true},
    {"CREATE TABLE t (id INT PRIMARY KEY, v DECIMAL(9,2), g INT AS (v * 100) STORED, UNIQUE KEY k_g (g))",
     "ALTER TABLE t MODIFY v DECIMAL(9,1)",
     "CREATE TABLE t (id INT PRIMARY KEY, v DECIMAL(9,1), g INT AS (v * 100) STORED, KEY sm_late_0 (g))",
     true},
    {"CREATE TABLE t (id INT PRIMARY KEY, v INT, g INT AS (v + 1) STORED, UNIQUE KEY k_g (g))",
     "ALTER TABLE t MODIFY g INT AS (( `v` + 1 )) STORED, ADD c INT", NULL, false},
};

START_TEST(keys_that_rows_may_come_to_share)
{
    const char *sql = late_keys[_i].table, *first_sql = late_keys[_i].first;
    ApplyContext ctx = ddl_context(FLAVOR_MYSQL);
    TableSchema *target = ddl_table(sql, &ctx), *before = ddl_table(sql, &ctx), *after;
    SchemaStep *step;
    Err err = {0};
    Arena arena = {0};
    EmitChange whole, first;
    ck_assert_msg(ddl_run(before, late_keys[_i].change, &ctx, &after, &step, &err), "%s", err.message);
    VersionPool *pool = version_pool_new();
    const VersionStep *v = version_step(pool, version_start(pool, before, ORIGIN_BASE), step);
    OntoChange onto = {.from = v->before, .to = v->after, .columns = v->from};
    ck_assert_msg(schema_onto(target, &onto, &arena, &whole, &err), "%s", err.message);
    ck_assert(schema_keys_later(&whole, &arena, &first) == (first_sql != NULL));
    ck_assert(schema_keys_change(whole.from, whole.to, whole.columns, (Str){0}) == late_keys[_i].changes);
    if (first_sql) check_made(&first, first_sql, &ctx, late_keys[_i].change);
    arena_done(&arena);
    version_pool_free(pool);
    schema_step_free(step);
    schema_free(after);
    schema_free(before);
    schema_free(target);
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("track/schema_beside");
    TCase *c = tcase_create("beside");
    tcase_add_loop_test(c, tables_beside_a_target_follow_it, 0, ARRAY_LEN(cases));
    tcase_add_loop_test(c, keys_that_rows_may_come_to_share, 0, ARRAY_LEN(late_keys));
    tcase_add_test(c, rows_of_partitions_are_the_targets_alone);
    tcase_add_test(c, what_an_earlier_change_left);
    suite_add_tcase(s, c);
    return s;
}

UNIT_MAIN(suite)
