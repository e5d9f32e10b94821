#include "unit.h"
#include "track/ddl_tables.h"
#include "track/schema_emit.h"
#include "base/poison.h"

#define D_MY DIALECT_MYSQL
#define D_MA DIALECT_MARIADB
#define D_TI DIALECT_TIDB
#define T "ALTER TABLE `db`.`t` "

/* A target, what happens on the shards (which are MySQL), and what the target must run: statements parted by
 * a line break, or an error's words. */
typedef struct Case {
    TextDialect dialect;
    const char *before, *change;
    const char *statements; /* NULL: refused */
    const char *words;
} Case;

static const Case cases[] = {
    {D_MY, "CREATE TABLE t (a INT)", "ALTER TABLE t ADD b INT NOT NULL DEFAULT 3, ADD c INT FIRST",
     T "ADD COLUMN `c` int NULL DEFAULT NULL FIRST, ADD COLUMN `b` int NOT NULL DEFAULT '3' AFTER `a`", NULL},
    {D_TI, "CREATE TABLE t (a INT)", "ALTER TABLE t ADD b INT NOT NULL DEFAULT 3, ADD c INT FIRST",
     T "ADD COLUMN `c` int NULL DEFAULT NULL FIRST\n" T "ADD COLUMN `b` int NOT NULL DEFAULT '3' AFTER `a`",
     NULL},
    {D_TI, "CREATE TABLE t (a INT, b INT, KEY k (a, b))", "ALTER TABLE t DROP COLUMN a",
     T "DROP KEY `k`\n" T "DROP COLUMN `a`\n" T "ADD KEY `k` (`b`)", NULL},
    {D_TI, "CREATE TABLE t (a INT, b INT)", "ALTER TABLE t RENAME COLUMN a TO b, RENAME COLUMN b TO a",
     T "RENAME COLUMN `a` TO `_waiting_0`\n" T "RENAME COLUMN `b` TO `a`\n" T
       "RENAME COLUMN `_waiting_0` TO `b`",
     NULL},
    {D_MY, "CREATE TABLE t (a INT, b INT)", "ALTER TABLE t RENAME COLUMN a TO b, RENAME COLUMN b TO a",
     T "RENAME COLUMN `a` TO `b`, RENAME COLUMN `b` TO `a`", NULL},
    {D_MY, "CREATE TABLE t (a INT)", "ALTER TABLE t CHANGE a b BIGINT NOT NULL",
     T "CHANGE COLUMN `a` `b` bigint NOT NULL", NULL},
    {D_TI, "CREATE TABLE t (a INT)", "ALTER TABLE t CHANGE a b BIGINT NOT NULL",
     T "RENAME COLUMN `a` TO `b`\n" T "MODIFY COLUMN `b` bigint NOT NULL", NULL},
    {D_TI, "CREATE TABLE t (a INT, b INT)", "ALTER TABLE t ADD UNIQUE (a), ADD KEY (b), COMMENT 'x'",
     T "ADD UNIQUE KEY `a` (`a`)\n" T "ADD KEY `b` (`b`)\n" T "COMMENT='x'", NULL},
    {D_MA, "CREATE TABLE t (a INT)", "ALTER TABLE t ADD j JSON",
     T "ADD COLUMN `j` longtext NULL DEFAULT NULL AFTER `a`", NULL},
    {D_MA, "CREATE TABLE t (a INT)", "ALTER TABLE t ADD s VARCHAR(9) COLLATE utf8mb4_0900_bin",
     T
     "ADD COLUMN `s` varchar(9) CHARACTER SET utf8mb4 COLLATE utf8mb4_nopad_bin NULL DEFAULT NULL AFTER `a`",
     NULL},
    {D_MY, "CREATE TABLE t (a INT, b INT)", "ALTER TABLE t DROP b, ADD b INT AS (a + 1)",
     T "DROP COLUMN `b`, ADD COLUMN `b` int GENERATED ALWAYS AS (a + 1) VIRTUAL AFTER `a`", NULL},
    {D_MA, "CREATE TABLE t (a INT, b INT, KEY (b))", "ALTER TABLE t MODIFY b INT AS (a + 1) STORED",
     T "DROP KEY `b`, DROP COLUMN `b`, ADD COLUMN `b` int GENERATED ALWAYS AS (a + 1) STORED AFTER `a`, ADD "
       "KEY `b` (`b`)",
     NULL},
    {D_MY, "CREATE TABLE t (a INT) PARTITION BY RANGE (a) (PARTITION p0 VALUES LESS THAN (9))",
     "ALTER TABLE t ADD PARTITION (PARTITION p1 VALUES LESS THAN (99))",
     T "ADD PARTITION (PARTITION `p1` VALUES LESS THAN (99))", NULL},
    {D_MY, "CREATE TABLE t (a INT) PARTITION BY RANGE (a) (PARTITION p0 VALUES LESS THAN (9))",
     "ALTER TABLE t REORGANIZE PARTITION p0 INTO (PARTITION x VALUES LESS THAN (5), PARTITION p0 VALUES LESS "
     "THAN (9))",
     "", NULL},
    {D_MY, "CREATE TABLE t (a INT)", "ALTER TABLE t FORCE", "", NULL},
    /* what the target cannot do */
    {D_MY, "CREATE TABLE t (a INT, b INT AS (a + 1))", "ALTER TABLE t MODIFY b INT", NULL, "VIRTUAL"},
    {D_MY, "CREATE TABLE t (a INT, b INT) PARTITION BY HASH (b)", "ALTER TABLE t DROP b REMOVE PARTITIONING",
     NULL, "parted by"},
    {D_MA, "CREATE TABLE t (a INT)", "ALTER TABLE t ADD KEY ((a + 1)), ADD UNIQUE KEY u ((a + 2))", NULL,
     "expressions"},
    {D_TI, "CREATE TABLE t (a INT)", "ALTER TABLE t ADD b INT AS (a + 1) STORED", NULL, "STORED"},
    {D_TI, "CREATE TABLE t (a INT PRIMARY KEY, b INT)", "ALTER TABLE t DROP PRIMARY KEY", NULL,
     "primary key"},
    {D_TI, "CREATE TABLE t (a INT)", "ALTER TABLE t ADD PRIMARY KEY (a)", NULL, "rimary key"},
    {D_TI, "CREATE TABLE t (a BIGINT PRIMARY KEY)", "ALTER TABLE t MODIFY a INT NOT NULL", NULL,
     "primary key"},
    {D_TI, "CREATE TABLE t (a DECIMAL(9,2))", "ALTER TABLE t MODIFY a DATE", NULL, "between these types"},
    {D_TI, "CREATE TABLE t (a VARCHAR(9))", "ALTER TABLE t MODIFY a VARCHAR(9) CHARACTER SET latin1", NULL,
     "character sets"},
    {D_TI, "CREATE TABLE t (a VARCHAR(9) COLLATE utf8mb4_general_ci, KEY (a))",
     "ALTER TABLE t MODIFY a VARCHAR(9) COLLATE utf8mb4_unicode_ci", NULL, "collation of an indexed column"},
    {D_TI, "CREATE TABLE t (a INT, b INT AS (a + 1))",
     "ALTER TABLE t RENAME COLUMN a TO c, DROP b, ADD d INT AS (c + 1)", NULL, "rename"},
    {D_TI, "CREATE TABLE t (a INT)", "ALTER TABLE t ADD b VARCHAR(40) DEFAULT (concat('a', 'b'))", NULL,
     "default expression"},
    {D_TI, "CREATE TABLE t (a INT)", "ALTER TABLE t ADD b TEXT DEFAULT ('x')", NULL, "default"},
    {D_TI, "CREATE TABLE t (a INT, b BIGINT) PARTITION BY HASH (a)", "ALTER TABLE t MODIFY b INT", NULL,
     "partitioned"},
};

static void put_steps(const EmitPlan *p, StrBuf *out)
{
    sb_c(out, "");
    for (uint32_t i = 0; i < p->n; i++) {
        if (i) sb_ch(out, '\n');
        sb_str(out, p->steps[i].sql);
    }
}

/* A refusal says where, and what to do. */
static void check_refusal(const Case *c, Err *err)
{
    ck_assert_int_eq(err->code, ERR_TRACK_TARGET);
    ck_assert_msg(str_find(str_of(err->message), str_of(c->words)) != SIZE_MAX, "%s", err->message);
    ck_assert_msg(str_find(str_of(err->message), STR("db.t")) != SIZE_MAX, "%s", err->message);
    const char *remedy = err_remedy(err);
    ck_assert(remedy && remedy[0]);
    err_clear(err);
}

/* Each step's prediction is the table before the next, and the last is what was wanted. */
START_TEST(statements_for_the_target)
{
    const Case *c = &cases[_i];
    ApplyContext ctx = ddl_context(FLAVOR_MYSQL);
    TableSchema *before = ddl_table(c->before, &ctx), *after;
    SchemaStep *step;
    Err err = {0};
    EmitPlan plan = {0};
    uint32_t columns[8] = {0};
    TextOpts opts = {.dialect = c->dialect,
                     .version = c->dialect == D_MA   ? 101108
                                : c->dialect == D_TI ? 70500
                                                     : 90700};
    ck_assert_msg(ddl_run(before, c->change, &ctx, &after, &step, &err), "%s", err.message);
    for (uint32_t i = 0; i < after->n_columns; i++)
        columns[i] = step->columns[i].from;
    EmitChange change = {.from = before, .to = after, .columns = columns};
    bool ok = schema_emit_change(&change, &opts, &plan, &err);
    if (c->statements) {
        StrBuf text = {0};
        ck_assert_msg(ok, "%s: %s", c->change, err.message);
        put_steps(&plan, &text);
        ck_assert_str_eq(text.ptr, c->statements);
        bool same = c->dialect == D_MY && plan.n && !after->partitioning.method.len;
        ck_assert(!same || schema_same_fingerprint(plan.steps[plan.n - 1].after, after));
        sb_done(&text);
        emit_plan_done(&plan);
    } else {
        ck_assert_msg(!ok, "%s: taken", c->change);
        check_refusal(c, &err);
    }
    schema_step_free(step);
    schema_free(before);
    schema_free(after);
}
END_TEST

/* Rows that are there get the fill on record, whatever the column's own default is. */
START_TEST(rows_get_the_fill_on_record)
{
    ApplyContext ctx = ddl_context(FLAVOR_MYSQL);
    TableSchema *from = ddl_table("CREATE TABLE t (a INT)", &ctx),
                *to = ddl_table("CREATE TABLE t (a INT, b INT NOT NULL DEFAULT 5)", &ctx);
    uint32_t columns[] = {0, UINT32_MAX};
    FillKind fills[] = {FILL_NONE, FILL_VALUE};
    Str texts[] = {{0}, STR("'3'")};
    EmitChange change = {.from = from, .to = to, .columns = columns, .fills = fills, .fill_texts = texts};
    TextOpts opts = {.dialect = DIALECT_MYSQL, .version = 90700};
    EmitPlan plan;
    Err err = {0};
    StrBuf text = {0};
    ck_assert_msg(schema_emit_change(&change, &opts, &plan, &err), "%s", err.message);
    put_steps(&plan, &text);
    ck_assert_str_eq(text.ptr, T "ADD COLUMN `b` int NOT NULL DEFAULT '3' AFTER `a`\n" T
                                 "MODIFY COLUMN `b` int NOT NULL DEFAULT '5'");
    ck_assert(schema_same_fingerprint(plan.steps[1].after, to));
    sb_done(&text);
    emit_plan_done(&plan);
    change.rows = STR("truncate;drop partition p0,p1;");
    from->partitioning = (Partitioning){0};
    ck_assert(!schema_emit_change(&change, &opts, &plan, &err)); /* there are no partitions */
    err_clear(&err);
    change.rows = STR("drop table;"); /* and made again */
    ck_assert_msg(schema_emit_change(&change, &opts, &plan, &err), "%s", err.message);
    ck_assert(str_starts(plan.steps[0].sql, STR("TRUNCATE TABLE ")));
    emit_plan_done(&plan);
    change.rows = STR("exchange partition p0;");
    ck_assert(!schema_emit_change(&change, &opts, &plan, &err));
    ck_assert_int_eq(err.code, ERR_NOT_SUPPORTED);
    err_clear(&err);
    schema_free(from);
    schema_free(to);
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("track/schema_emit");
    TCase *c = tcase_create("emit");
    tcase_add_loop_test(c, statements_for_the_target, 0, ARRAY_LEN(cases));
    tcase_add_test(c, rows_get_the_fill_on_record);
    suite_add_tcase(s, c);
    return s;
}

UNIT_MAIN(suite)
