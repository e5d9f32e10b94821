#include "unit.h"
#include "track/ddl_tables.h"
#include "base/poison.h"

/* A history and a CREATE TABLE that makes the same table, as the servers do. */
static const struct {
    Flavor flavor;
    const char *history, *same;
} equal[] = {
    {FLAVOR_MYSQL, "CREATE TABLE t (a INT);;ALTER TABLE t ADD b INT FIRST, ADD c INT AFTER b",
     "CREATE TABLE t (b INT, c INT, a INT)"},
    {FLAVOR_MYSQL,
     "CREATE TABLE t (a INT, b INT, c INT);;ALTER TABLE t MODIFY c BIGINT FIRST, CHANGE a d INT AFTER b",
     "CREATE TABLE t (c BIGINT, b INT, d INT)"},
    {FLAVOR_MYSQL, "CREATE TABLE t (a INT, b INT, KEY k (a, b));;ALTER TABLE t DROP a",
     "CREATE TABLE t (b INT, KEY k (b))"},
    {FLAVOR_MYSQL, "CREATE TABLE t (a INT, KEY k (a));;ALTER TABLE t DROP COLUMN a, ADD b INT",
     "CREATE TABLE t (b INT)"},
    {FLAVOR_MYSQL, "CREATE TABLE t (a INT);;ALTER TABLE t ADD INDEX (a), ADD INDEX (a)",
     "CREATE TABLE t (a INT, KEY a (a), KEY a_2 (a))"},
    {FLAVOR_MYSQL,
     "CREATE TABLE t (a INT);;CREATE UNIQUE INDEX u ON t (a DESC);;ALTER TABLE t RENAME INDEX u TO v",
     "CREATE TABLE t (a INT, UNIQUE KEY v (a DESC))"},
    {FLAVOR_MYSQL,
     "CREATE TABLE t (a INT, b INT, KEY k (a), KEY l (b));;ALTER TABLE t RENAME INDEX k TO l, RENAME INDEX l "
     "TO k",
     "CREATE TABLE t (a INT, b INT, KEY l (a), KEY k (b))"},
    {FLAVOR_MARIADB,
     "CREATE TABLE t (a INT, b INT, KEY k (a), KEY l (b));;ALTER TABLE t RENAME KEY k TO l, DROP KEY l",
     "CREATE TABLE t (a INT, b INT, KEY l (a))"},
    {FLAVOR_MYSQL, "CREATE TABLE t (a INT, KEY k (a));;DROP INDEX k ON t", "CREATE TABLE t (a INT)"},
    {FLAVOR_MYSQL, "CREATE TABLE t (a INT, b INT);;ALTER TABLE t ADD PRIMARY KEY (b)",
     "CREATE TABLE t (a INT, b INT NOT NULL PRIMARY KEY)"},
    {FLAVOR_MYSQL, "CREATE TABLE t (a SERIAL)",
     "CREATE TABLE t (a BIGINT UNSIGNED NOT NULL AUTO_INCREMENT UNIQUE)"},
    {FLAVOR_MYSQL,
     "CREATE TABLE t (a VARCHAR(10) CHARACTER SET latin1, b TEXT CHARACTER SET latin1);;ALTER TABLE t "
     "CONVERT TO CHARACTER SET utf8mb4",
     "CREATE TABLE t (a VARCHAR(10), b MEDIUMTEXT) CHARACTER SET utf8mb4"},
    {FLAVOR_MYSQL,
     "CREATE TABLE t (a INT DEFAULT 1, b INT NOT NULL DEFAULT 2);;ALTER TABLE t ALTER a DROP DEFAULT, ALTER "
     "b SET DEFAULT 3",
     "CREATE TABLE t (a INT, b INT NOT NULL DEFAULT 3)"},
    {FLAVOR_MYSQL,
     "CREATE TABLE t (a INT, CHECK (a > 0), CHECK (a < 9));;ALTER TABLE t DROP CHECK t_chk_1, ADD CHECK (a "
     "<> 5)",
     "CREATE TABLE t (a INT, CONSTRAINT t_chk_2 CHECK (a < 9), CONSTRAINT t_chk_3 CHECK (a <> 5))"},
    {FLAVOR_MYSQL,
     "CREATE TABLE t (a INT, CHECK (a > 0));;ALTER TABLE t DROP CHECK t_chk_1, DROP CHECK t_chk_1",
     "CREATE TABLE t (a INT)"},
    {FLAVOR_MYSQL, "CREATE TABLE u (a INT, CHECK (a > 0));;RENAME TABLE u TO t",
     "CREATE TABLE t (a INT, CONSTRAINT t_chk_1 CHECK (a > 0))"},
    {FLAVOR_MYSQL, "CREATE TABLE t (a INT);;RENAME TABLE x TO y, t TO u, u TO t", "CREATE TABLE t (a INT)"},
    {FLAVOR_MYSQL, "CREATE TABLE t (a INT);;ALTER TABLE t ADD b INT /*!99999 , FROB */",
     "CREATE TABLE t (a INT, b INT)"},
    {FLAVOR_MYSQL, "CREATE TABLE t (a BINARY(3) DEFAULT 'a')",
     "CREATE TABLE t (a BINARY(3) DEFAULT 0x610000)"},
    {FLAVOR_MYSQL, "CREATE TABLE t (a VARCHAR(2) DEFAULT 'a   ')",
     "CREATE TABLE t (a VARCHAR(2) DEFAULT 'a ')"},
    {FLAVOR_MYSQL, "CREATE TABLE t (a INT, b INT AS (a + 1), KEY (b, (a * 2)))",
     "CREATE TABLE t (a INT, b INT GENERATED ALWAYS AS (`a`+1) VIRTUAL, KEY functional_index (b, ((a * "
     "2))))"},
    {FLAVOR_MYSQL,
     "CREATE TABLE t (a INT) PARTITION BY RANGE (a) (PARTITION p0 VALUES LESS THAN (10));;"
     "ALTER TABLE t ADD PARTITION (PARTITION p1 VALUES LESS THAN (20));;ALTER TABLE t DROP PARTITION p0",
     "CREATE TABLE t (a INT) PARTITION BY RANGE (a) (PARTITION p1 VALUES LESS THAN (20))"},
    {FLAVOR_MARIADB,
     "CREATE TABLE t (a INT);;ALTER TABLE t ADD IF NOT EXISTS a TEXT, ADD b INT, DROP IF EXISTS c",
     "CREATE TABLE t (a INT, b INT)"},
    {FLAVOR_MARIADB, "CREATE TABLE t (a INT, b INT);;ALTER TABLE t DROP a, DROP COLUMN IF EXISTS a",
     "CREATE TABLE t (b INT)"},
    {FLAVOR_MARIADB,
     "CREATE TABLE t (a INT, b INT AS (a + 1), CHECK (a > 0)) PARTITION BY HASH (a);;ALTER TABLE t RENAME "
     "COLUMN a TO c",
     "CREATE TABLE t (c INT, b INT AS (c + 1), CHECK (c > 0)) PARTITION BY HASH (c)"},
    {FLAVOR_MARIADB, "CREATE TABLE t (a POINT NOT NULL, UNIQUE (a), SPATIAL (a))",
     "CREATE TABLE t (a POINT NOT NULL, UNIQUE (a(25)), SPATIAL a_2 (a))"},
    {FLAVOR_MARIADB, "CREATE TABLE t (a JSON)",
     "CREATE TABLE t (a LONGTEXT COLLATE utf8mb4_bin CHECK (json_valid(a)))"},
    {FLAVOR_MARIADB, "CREATE TABLE t (a BLOB, UNIQUE (a));;ALTER TABLE t MODIFY a INT",
     "CREATE TABLE t (a INT, UNIQUE (a))"},
    {FLAVOR_MARIADB, "CREATE TABLE t (a INT, KEY (a));;ALTER TABLE t MODIFY a TEXT",
     "CREATE TABLE t (a TEXT, KEY (a(768)))"},
    {FLAVOR_MARIADB,
     "CREATE TABLE t (a TIMESTAMP NOT NULL DEFAULT now() ON UPDATE now());;ALTER TABLE t ALTER a DROP "
     "DEFAULT",
     "CREATE TABLE t (a TIMESTAMP NOT NULL)"},
    {FLAVOR_MARIADB,
     "CREATE TABLE t (a INT);;ALTER TABLE t CONVERT TO CHARACTER SET latin1, ADD b TEXT(60000) CHARACTER SET "
     "utf8mb4",
     "CREATE TABLE t (a INT, b TEXT) CHARACTER SET latin1"},
    {FLAVOR_MARIADB, "CREATE TABLE t (a INT);;CREATE OR REPLACE TABLE t (b INT)", "CREATE TABLE t (b INT)"},
};

START_TEST(a_history_ends_in_the_table)
{
    ApplyContext ctx = ddl_context(equal[_i].flavor);
    TableSchema *a = ddl_table(equal[_i].history, &ctx), *b = ddl_table(equal[_i].same, &ctx);
    StrBuf x = {0}, y = {0};
    schema_fingerprint(a, &x);
    schema_fingerprint(b, &y);
    ck_assert_str_eq(x.ptr, y.ptr);
    sb_done(&x);
    sb_done(&y);
    schema_free(a);
    schema_free(b);
}
END_TEST

/* What does not fit, or cannot be followed, is an error that names it; nothing passes unseen. */
static const struct {
    const char *before, *sql;
    ErrCode code;
    const char *words;
} refused[] = {
    {"CREATE TABLE t (a INT)", "ALTER TABLE t DROP b", ERR_DDL_APPLY, "no such column: `b`"},
    {"CREATE TABLE t (a INT)", "ALTER TABLE t MODIFY b INT", ERR_DDL_APPLY, "db.t"},
    {"CREATE TABLE t (a INT)", "ALTER TABLE t ADD A INT", ERR_DDL_APPLY, "there already: `A`"},
    {"CREATE TABLE t (a INT, b INT)", "ALTER TABLE t CHANGE b b INT FIRST, DROP b", ERR_DDL_APPLY,
     "no such column: `b`"},
    {"CREATE TABLE t (a INT)", "ALTER TABLE t ADD b INT AFTER c", ERR_DDL_APPLY, "AFTER"},
    {"CREATE TABLE t (a INT)", "ALTER TABLE t DROP KEY k", ERR_DDL_APPLY, "no such key: `k`"},
    {"CREATE TABLE t (a INT)", "ALTER TABLE t DROP PRIMARY KEY", ERR_DDL_APPLY, "PRIMARY"},
    {"CREATE TABLE t (a INT)", "ALTER TABLE t ADD KEY (b)", ERR_DDL_APPLY, "`b`"},
    {"CREATE TABLE t (a INT)", "ALTER TABLE t DROP CONSTRAINT c", ERR_DDL_APPLY, "no such constraint: `c`"},
    {"CREATE TABLE t (a INT)", "ALTER TABLE t DROP PARTITION p0", ERR_DDL_APPLY, "no partitions"},
    {"CREATE TABLE t (a INT)", "CREATE TABLE t (b INT)", ERR_DDL_APPLY, "there already"},
    {"CREATE TABLE t (a INT)", "ALTER TABLE t ADD b VARCHAR(9) CHARACTER SET frob", ERR_DDL_APPLY,
     "not known"},
    {"CREATE TABLE t (a INT)", "ALTER TABLE t CONVERT TO CHARACTER SET frob", ERR_DDL_APPLY, "not known"},
    {"CREATE TABLE t (a INT)", "ALTER TABLE t FROB", ERR_DDL_SYNTAX, "FROB"},
    {"CREATE TABLE t (a ENUM('x') CHARACTER SET latin1)", "ALTER TABLE t CONVERT TO CHARACTER SET ucs2",
     ERR_NOT_SUPPORTED, "members"},
    {NULL, "CREATE TABLE t AS SELECT 1 AS a", ERR_NOT_SUPPORTED, "SELECT"},
    {NULL, "CREATE TABLE t LIKE u", ERR_DDL_APPLY, "LIKE"},
    {NULL, "CREATE TABLE t (a INT DEFAULT 'x')", ERR_DDL_APPLY, "`a`"},
};

START_TEST(what_does_not_fit_is_named)
{
    ApplyContext ctx = ddl_context(FLAVOR_MYSQL);
    TableSchema *before = refused[_i].before ? ddl_table(refused[_i].before, &ctx) : NULL, *after;
    SchemaStep *step;
    Err err = {0};
    ck_assert_msg(!ddl_run(before, refused[_i].sql, &ctx, &after, &step, &err), "%s", refused[_i].sql);
    ck_assert_msg(err.code == refused[_i].code, "%s: %s", refused[_i].sql, err.message);
    ck_assert_msg(str_find(str_of(err.message), str_of(refused[_i].words)) != SIZE_MAX, "%s: %s",
                  refused[_i].sql, err.message);
    ck_assert(!after && !step);
    err_clear(&err);
    schema_free(before);
}
END_TEST

/* Statements that do nothing to the table give no step. */
START_TEST(what_does_nothing_is_no_step)
{
    static const char *const statements[] = {
        "CREATE TABLE IF NOT EXISTS t (b INT)", "DROP TABLE u",        "ALTER TABLE u ADD b INT",
        "DROP TABLE IF EXISTS other.t",         "RENAME TABLE u TO v", "TRUNCATE TABLE u",
        "CREATE TEMPORARY TABLE t (b INT)",     "DROP DATABASE other", "CREATE VIEW t AS SELECT 1",
        "ALTER DATABASE db CHARSET utf8mb4",    "ANALYZE TABLE t",     "CREATE USER u",
    };
    ApplyContext ctx = ddl_context(FLAVOR_MYSQL);
    TableSchema *before = ddl_table("CREATE TABLE t (a INT)", &ctx), *after;
    for (size_t i = 0; i < ARRAY_LEN(statements); i++) {
        SchemaStep *step;
        Err err = {0};
        ck_assert_msg(ddl_run(before, statements[i], &ctx, &after, &step, &err), "%s: %s", statements[i],
                      err.message);
        ck_assert_msg(!after && !step, "%s", statements[i]);
    }
    schema_free(before);
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("track/schema_apply");
    TCase *c = tcase_create("apply");
    tcase_add_loop_test(c, a_history_ends_in_the_table, 0, ARRAY_LEN(equal));
    tcase_add_loop_test(c, what_does_not_fit_is_named, 0, ARRAY_LEN(refused));
    tcase_add_test(c, what_does_nothing_is_no_step);
    suite_add_tcase(s, c);
    return s;
}

UNIT_MAIN(suite)
