#include "track/schema_undo.h"
#include "unit.h"
#include "track/ddl_tables.h"
#include "base/poison.h"

static TableSchema *undo(const TableSchema *after, const char *sql, const ApplyContext *ctx)
{
    Arena arena = {0};
    DdlStmt *stmt;
    Err err = {0};
    DdlContext parse = {.flavor = ctx->flavor, .version = ctx->version, .default_schema = STR("db")};
    ck_assert_msg(ddl_parse(str_of(sql), &parse, &arena, &stmt, &err), "%s: %s", sql, err.message);
    TableSchema *out = schema_undo(after, stmt);
    arena_done(&arena);
    return out;
}

/* A table and a statement: undoing the statement gives the table again. */
static const struct {
    const char *table, *sql;
} undone[] = {
    {"CREATE TABLE t (a INT)", "ALTER TABLE t ADD COLUMN b INT"},
    {"CREATE TABLE t (a INT, c INT)", "ALTER TABLE t ADD b INT NOT NULL DEFAULT 1 AFTER a, ADD d TEXT FIRST"},
    {"CREATE TABLE t (a INT, c INT, KEY kc (c), UNIQUE KEY u (a, c))",
     "ALTER TABLE t ADD b INT FIRST, ADD KEY kb (b), ADD UNIQUE INDEX ub (c, b)"},
    {"CREATE TABLE t (a INT)", "CREATE INDEX k ON t (a)"},
    {"CREATE TABLE t (a INT, b INT, KEY k (a))", "ALTER TABLE t RENAME COLUMN a TO b, RENAME COLUMN b TO a"},
    {"CREATE TABLE t (a INT, KEY k (a))", "ALTER TABLE t RENAME INDEX k TO l, ADD COLUMN z INT"},
    {"CREATE TABLE t (a INT)", "TRUNCATE TABLE t"},
    {"CREATE TABLE t (a INT)", "ALTER TABLE t FORCE"},
    {"CREATE TABLE t (a INT, b INT AS (a + 1))", "ALTER TABLE t ADD c INT AS (b + 1)"},
};

START_TEST(a_statement_that_tells_all_is_undone)
{
    ApplyContext ctx = ddl_context(FLAVOR_MYSQL);
    TableSchema *before = ddl_table(undone[_i].table, &ctx), *after, *back;
    SchemaStep *step;
    Err err = {0};
    ck_assert_msg(ddl_run(before, undone[_i].sql, &ctx, &after, &step, &err), "%s", err.message);
    back = undo(after, undone[_i].sql, &ctx);
    ck_assert_msg(back != NULL, "%s", undone[_i].sql);
    ck_assert_msg(schema_same_fingerprint(before, back), "%s", undone[_i].sql);
    schema_step_free(step);
    schema_free(before);
    schema_free(after);
    schema_free(back);
}
END_TEST

/* The table as it is afterwards, and a statement that does not tell what was there before. */
static const struct {
    const char *table, *sql;
} unknown[] = {
    {"CREATE TABLE t (a INT)", "ALTER TABLE t DROP COLUMN b"},
    {"CREATE TABLE t (a BIGINT)", "ALTER TABLE t MODIFY a BIGINT"},
    {"CREATE TABLE t (b INT)", "ALTER TABLE t CHANGE a b INT"},
    {"CREATE TABLE t (a INT, b INT)", "ALTER TABLE t ADD COLUMN IF NOT EXISTS b INT"},
    {"CREATE TABLE t (a INT)", "ALTER TABLE t DROP INDEX k"},
    {"CREATE TABLE t (a INT PRIMARY KEY)", "ALTER TABLE t ADD PRIMARY KEY (a)"},
    {"CREATE TABLE t (a INT, b INT UNIQUE)", "ALTER TABLE t ADD b INT UNIQUE"},
    {"CREATE TABLE t (a INT, KEY a (a))", "ALTER TABLE t ADD KEY (a)"},
    {"CREATE TABLE t (a INT, b INT AS (a + 1))", "ALTER TABLE t RENAME COLUMN c TO a"},
    {"CREATE TABLE t (a VARCHAR(3))", "ALTER TABLE t CONVERT TO CHARACTER SET utf8mb4"},
    {"CREATE TABLE t (a INT)", "ALTER TABLE t ADD b INT"},
    {"CREATE TABLE t (a INT)", "DROP TABLE t"},
    {"CREATE TABLE t (a INT)", "CREATE TABLE t (a INT)"},
    {"CREATE TABLE t (a INT)", "RENAME TABLE u TO t"},
};

START_TEST(what_nobody_can_know_is_not_guessed)
{
    ApplyContext ctx = ddl_context(FLAVOR_MARIADB);
    TableSchema *after = ddl_table(unknown[_i].table, &ctx);
    TableSchema *back = undo(after, unknown[_i].sql, &ctx);
    ck_assert_msg(back == NULL, "%s", unknown[_i].sql);
    schema_free(after);
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("track/schema_undo");
    TCase *c = tcase_create("undo");
    tcase_add_loop_test(c, a_statement_that_tells_all_is_undone, 0, ARRAY_LEN(undone));
    tcase_add_loop_test(c, what_nobody_can_know_is_not_guessed, 0, ARRAY_LEN(unknown));
    suite_add_tcase(s, c);
    return s;
}

UNIT_MAIN(suite)
