#include "unit.h"
#include "track/ddl_tables.h"
#include "track/schema_onto.h"
#include "base/poison.h"

/* The target as it is, what the shards have in common, what they do, and what the target must become: NULL:
 * it is refused. */
typedef struct Case {
    const char *live, *before, *change, *after;
    bool keyed;
} Case;

#define S "CREATE TABLE t (id INT PRIMARY KEY, a INT, b VARCHAR(9))"

static const Case cases[] = {
    {S, S, "ALTER TABLE t ADD c INT NOT NULL DEFAULT 3 AFTER a",
     "CREATE TABLE t (id INT PRIMARY KEY, a INT, c INT NOT NULL DEFAULT 3, b VARCHAR(9))", false},
    {S, S, "ALTER TABLE t DROP b", "CREATE TABLE t (id INT PRIMARY KEY, a INT)", false},
    {S, S, "ALTER TABLE t RENAME COLUMN a TO x", "CREATE TABLE t (id INT PRIMARY KEY, x INT, b VARCHAR(9))",
     false},
    {S, S, "ALTER TABLE t RENAME COLUMN a TO b, RENAME COLUMN b TO a",
     "CREATE TABLE t (id INT PRIMARY KEY, b INT, a VARCHAR(9))", false},
    {S, S, "ALTER TABLE t ADD KEY k (a)",
     "CREATE TABLE t (id INT PRIMARY KEY, a INT, b VARCHAR(9), KEY k (a))", false},
    {S, S, "ALTER TABLE t ADD UNIQUE k (a)",
     "CREATE TABLE t (id INT PRIMARY KEY, a INT, b VARCHAR(9), UNIQUE KEY k (a))", false},
    /* more columns, wider types, other indexes of the target stay */
    {"CREATE TABLE t (src VARCHAR(9), id BIGINT PRIMARY KEY, a BIGINT, b VARCHAR(99), z INT DEFAULT 1, KEY "
     "kz (z))",
     S, "ALTER TABLE t DROP b, MODIFY a SMALLINT, ADD c INT",
     "CREATE TABLE t (src VARCHAR(9), id BIGINT PRIMARY KEY, a BIGINT, c INT, z INT DEFAULT 1, KEY kz (z))",
     false},
    {"CREATE TABLE t (id BIGINT PRIMARY KEY, a INT, b VARCHAR(9))", S, "ALTER TABLE t MODIFY id BIGINT",
     "CREATE TABLE t (id BIGINT PRIMARY KEY, a INT, b VARCHAR(9))", false},
    /* what the target has already is not added again */
    {"CREATE TABLE t (id INT PRIMARY KEY, a INT, b VARCHAR(9), c INT)", S, "ALTER TABLE t ADD c INT",
     "CREATE TABLE t (id INT PRIMARY KEY, a INT, b VARCHAR(9), c INT)", false},
    {"CREATE TABLE t (id INT PRIMARY KEY, a INT, b VARCHAR(9), KEY mine (a))", S,
     "ALTER TABLE t ADD KEY k (a)", "CREATE TABLE t (id INT PRIMARY KEY, a INT, b VARCHAR(9), KEY mine (a))",
     false},
    /* the keys of a key strategy are not the shards' */
    {"CREATE TABLE t (src VARCHAR(9), id INT, a INT, b VARCHAR(9), PRIMARY KEY (src, id))", S,
     "ALTER TABLE t ADD c INT, ADD KEY k (a)",
     "CREATE TABLE t (src VARCHAR(9), id INT, a INT, b VARCHAR(9), c INT, PRIMARY KEY (src, id), KEY k (a))",
     true},
    {"CREATE TABLE t (src VARCHAR(9), id INT, a INT, b VARCHAR(9), PRIMARY KEY (src, id))", S,
     "ALTER TABLE t ADD UNIQUE k (a)", NULL, true},
};

static void check_after(const TableSchema *got, const char *want, const ApplyContext *ctx, const char *change)
{
    StrBuf a = {0}, b = {0};
    TableSchema *expected = ddl_table(want, ctx);
    schema_fingerprint(got, &a);
    schema_fingerprint(expected, &b);
    ck_assert_msg(str_eq(sb_view(&a), sb_view(&b)), "%s\ngot\n%s\nnot\n%s", change, a.ptr, b.ptr);
    schema_free(expected);
    sb_done(&a);
    sb_done(&b);
}

START_TEST(changes_are_laid_onto_the_target)
{
    const Case *c = &cases[_i];
    ApplyContext ctx = ddl_context(FLAVOR_MYSQL);
    TableSchema *live = ddl_table(c->live, &ctx), *before = ddl_table(c->before, &ctx), *after;
    SchemaStep *step;
    Err err = {0};
    Arena arena = {0};
    EmitChange out;
    ck_assert(ddl_run(before, c->change, &ctx, &after, &step, &err));
    VersionPool *pool = version_pool_new();
    const VersionStep *v = version_step(pool, version_start(pool, before, ORIGIN_BASE), step);
    OntoChange onto = {.from = v->before, .to = v->after, .columns = v->from, .keyed = c->keyed};
    bool ok = schema_onto(live, &onto, &arena, &out, &err);
    ck_assert_msg(ok == (c->after != NULL), "%s: %s", c->change, err.message ? err.message : "went well");
    if (ok) check_after(out.to, c->after, &ctx, c->change);
    for (uint32_t i = 0; ok && i < out.to->n_columns; i++)
        ck_assert(out.columns[i] == UINT32_MAX || out.columns[i] < live->n_columns);
    err_clear(&err);
    arena_done(&arena);
    version_pool_free(pool);
    schema_step_free(step);
    schema_free(after);
    schema_free(before);
    schema_free(live);
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("track/schema_onto");
    TCase *c = tcase_create("onto");
    tcase_add_loop_test(c, changes_are_laid_onto_the_target, 0, ARRAY_LEN(cases));
    suite_add_tcase(s, c);
    return s;
}

UNIT_MAIN(suite)
