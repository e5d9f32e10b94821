/* Which statements pass and which stop the source. */
#include "assemble_world.h"
#include "base/poison.h"

enum {
    UTF8MB4 = 45,
    LATIN1 = 8,
    GBK = 28,
    CP1250 = 26,
    BINARY = 63,
    SWE7 = 10,
    NOBODYS = 4000,
    SQL_ANSI_QUOTES = 4
};

static const struct {
    const char *schema, *sql;
    ErrCode code; /* ERR_NONE: passes as an empty transaction */
    unsigned notes;
} cases[] = {
    /* schema changes */
    {"db", "ALTER TABLE a ADD c INT", ERR_SOURCE_DDL, 0},
    {"db", "ALTER TABLE A ADD c INT", ERR_SOURCE_DDL, 0}, /* the server may hold names in lower case */
    {"other", "ALTER TABLE `DB`.`b` ADD c INT", ERR_SOURCE_DDL, 0},
    {"other", "ALTER TABLE a ADD c INT", ERR_NONE, 0},
    {"db", "ALTER TABLE x ADD c INT", ERR_NONE, 0},
    {"db", "ALTER TABLE x RENAME TO a", ERR_SOURCE_DDL, 0},
    {"db", "ALTER TABLE x ADD c INT /*!50100 , RENAME TO a */", ERR_SOURCE_DDL, 0},
    {"db", "ALTER TABLE other.p EXCHANGE PARTITION p0 WITH TABLE db.b", ERR_SOURCE_DDL, 0},
    {"db", "RENAME TABLE x TO y, y TO z", ERR_NONE, 0},
    {"db", "RENAME TABLE x TO y, b TO z", ERR_SOURCE_DDL, 0},
    {"db", "RENAME TABLE x TO b", ERR_SOURCE_DDL, 0},
    {"db", "TRUNCATE a", ERR_SOURCE_DDL, 0},
    {"db", "TRUNCATE x", ERR_NONE, 0},
    {"db", "DROP TABLE IF EXISTS x, a", ERR_SOURCE_DDL, 0},
    {"db", "DROP TABLE IF EXISTS x, y", ERR_NONE, 0},
    {"db", "DROP TEMPORARY TABLE a", ERR_NONE, 0},
    {"db", "DROP /*!40005 TEMPORARY */ TABLE IF EXISTS `a`", ERR_NONE, 0},
    {"db", "CREATE TEMPORARY TABLE a (id INT)", ERR_NONE, 0},
    {"db", "CREATE TABLE a (id INT)", ERR_NONE, 1},
    {"db", "CREATE TABLE IF NOT EXISTS b (id INT)", ERR_NONE, 1},
    {"db", "CREATE TABLE IF NOT EXISTS a (id INT)", ERR_NONE, 1}, /* exists in this test */
    {"db", "CREATE OR REPLACE TABLE a (id INT)", ERR_SOURCE_DDL, 0},
    {"db", "CREATE TABLE copy LIKE a", ERR_NONE, 0},
    {"db", "CREATE TABLE a LIKE x", ERR_NONE, 1},
    {"db", "CREATE INDEX i ON a (v)", ERR_SOURCE_DDL, 0},
    {"db", "DROP INDEX i ON x", ERR_NONE, 0},
    {"db", "SET STATEMENT max_statement_time=1 FOR DROP TABLE a", ERR_SOURCE_DDL, 0},
    {"db", "CREATE SEQUENCE s", ERR_NONE, 0},
    /* databases */
    {"", "DROP DATABASE db", ERR_SOURCE_DDL, 0},
    {"", "DROP DATABASE DB", ERR_SOURCE_DDL, 0},
    {"", "CREATE OR REPLACE DATABASE db", ERR_SOURCE_DDL, 0},
    {"", "DROP DATABASE other", ERR_NONE, 0},
    {"", "CREATE DATABASE db", ERR_NONE, 0},
    {"", "ALTER DATABASE db CHARACTER SET latin1", ERR_NONE, 0},
    /* administration */
    {"db", "GRANT ALL ON a TO u", ERR_NONE, 0},
    {"db", "CREATE TRIGGER tr BEFORE INSERT ON a FOR EACH ROW SET NEW.v = 1", ERR_NONE, 0},
    {"db", "ANALYZE TABLE a", ERR_NONE, 0},
    {"db", "FLUSH TABLES a", ERR_NONE, 0},
    {"db", "/* nothing */", ERR_NONE, 0},
    /* statements whose rows are not in the binlog */
    {"db", "INSERT INTO a VALUES (1)", ERR_SOURCE_STATEMENT, 0},
    {"db", "INSERT INTO x VALUES (1)", ERR_SOURCE_STATEMENT, 0}, /* its triggers may write to a */
    {"DB", "INSERT INTO x VALUES (1)", ERR_SOURCE_STATEMENT, 0},
    {"db", "INSERT INTO mysql.heartbeat VALUES (1) ON DUPLICATE KEY UPDATE v = 1", ERR_NONE, 0},
    {"db", "UPDATE sys.config SET v = 1", ERR_NONE, 0},
    {"mysql", "DELETE FROM t", ERR_NONE, 0},
    {"mysql", "UPDATE t JOIN db.a USING (id) SET a.v = 1", ERR_SOURCE_STATEMENT, 0},
    {"other", "INSERT INTO x VALUES (1)", ERR_NONE, 1},
    {"other", "INSERT INTO x SELECT * FROM `db`.`a`", ERR_SOURCE_STATEMENT, 0},
    {"other", "INSERT INTO x VALUES ('db.a', 1.5)", ERR_NONE, 1},
    {"other", "CALL db.a()", ERR_SOURCE_STATEMENT, 0},
    {"db", "LOAD DATA INFILE 'x' INTO TABLE x", ERR_SOURCE_STATEMENT, 0},
    {"db", "SELECT f()", ERR_SOURCE_STATEMENT, 0},
    /* not understood */
    {"db", "FROBNICATE a", ERR_SOURCE_DDL, 0},
    {"other", "FROBNICATE db.a", ERR_SOURCE_DDL, 0},
    {"other", "FROBNICATE \"db\".\"a\"", ERR_SOURCE_DDL, 0},
    {"other", "FROBNICATE a", ERR_NONE, 1},
    {"db", "FROBNICATE x 'a'", ERR_NONE, 1},
};

static void check_case(World *w, size_t i, bool inside)
{
    unsigned notes = w->noted;
    size_t before = w->n_txns;
    const char *schema = cases[i].schema, *sql = cases[i].sql;
    StreamPoint at = {0};
    point_copy(&at, assembler_point(w->a));
    feed(w, ew_gtid_mysql(&w->w, i + 1));
    if (inside) feed(w, ew_query(&w->w, schema, "BEGIN"));
    const RawEvent *ev = ew_query(&w->w, schema, sql);
    bool ok = assembler_event(w->a, &w->w.fmt, ev, &w->err);
    ck_assert_msg(w->err.code == cases[i].code, "%s in %s: %s", sql, schema, w->err.message);
    ck_assert(ok == (cases[i].code == ERR_NONE));
    if (ok) {
        if (inside) feed(w, ew_query(&w->w, schema, "COMMIT"));
        ck_assert_uint_eq(w->n_txns, before + 1);
        ck_assert_uint_eq(w->txns[before]->n_ops, 0);
        ck_assert_uint_eq(w->noted, notes + cases[i].notes);
    } else {
        /* The place, the GTID and the statement; the point stays before the group. */
        ck_assert_ptr_nonnull(strstr(w->err.message, "source shard-3, bin.000001:"));
        ck_assert_ptr_nonnull(strstr(w->err.message, "GTID 11111111-1111-1111-1111-111111111111:"));
        ck_assert_ptr_nonnull(strstr(w->err.message, sql));
        ck_assert_uint_eq(w->n_txns, before);
        ck_assert_uint_eq(assembler_point(w->a)->pos, at.pos);
        ck_assert(!assembler_in_transaction(w->a));
        err_clear(&w->err);
    }
    point_done(&at);
}

START_TEST(statements)
{
    for (unsigned inside = 0; inside < 2; inside++) {
        World w;
        world_init(&w, FLAVOR_MYSQL, true);
        w.a_exists = true;
        for (size_t i = 0; i < ARRAY_LEN(cases); i++)
            check_case(&w, i, inside);
        world_done(&w);
    }
}
END_TEST

START_TEST(long_statements_are_cut)
{
    World w;
    world_init(&w, FLAVOR_MYSQL, false);
    StrBuf sql = {0};
    sb_c(&sql, "ALTER TABLE a COMMENT '");
    while (sql.len < 5000)
        sb_c(&sql, "ä");
    sb_c(&sql, "'");
    const RawEvent *ev = ew_query_in(&w.w, "db", sb_view(&sql), 0, UTF8MB4);
    ck_assert(!assembler_event(w.a, &w.w.fmt, ev, &w.err));
    ck_assert_int_eq(w.err.code, ERR_SOURCE_DDL);
    size_t n = strlen(w.err.message);
    ck_assert_uint_lt(n, 420);
    ck_assert_int_eq((unsigned char)w.err.message[n - 1] & 0xC0, 0x80); /* ends with a whole character */
    ck_assert_int_eq((unsigned char)w.err.message[n - 2], 0xC3);
    sb_done(&sql);
    world_done(&w);
}
END_TEST

/* What the session's sql_mode and client charset make of the text. */
START_TEST(session_of_the_statement)
{
    static const struct {
        const char *sql;
        uint64_t sql_mode;
        unsigned charset;
        ErrCode code;
    } table[] = {
        {"ALTER TABLE \"a\" ADD c INT", SQL_ANSI_QUOTES, UTF8MB4, ERR_SOURCE_DDL},
        {"ALTER TABLE \"x\" ADD c INT", SQL_ANSI_QUOTES, UTF8MB4, ERR_NONE},
        {"ALTER TABLE x COMMENT 'a\\', RENAME TO a, COMMENT 'b'", UINT64_C(1) << 20, UTF8MB4, ERR_SOURCE_DDL},
        /* the sql_mode is not known, and it matters: names decide */
        {"ALTER TABLE x COMMENT 'a\\', RENAME TO a, COMMENT 'c'", UINT64_MAX, UTF8MB4, ERR_SOURCE_DDL},
        {"ALTER TABLE \"x\" ADD c INT", UINT64_MAX, UTF8MB4, ERR_SOURCE_DDL},
        {"ALTER TABLE x ADD c INT", UINT64_MAX, 0, ERR_NONE},
        /* names outside ASCII */
        {"ALTER TABLE größe ADD c INT", 0, UTF8MB4, ERR_SOURCE_DDL},
        {"ALTER TABLE gr\xF6\xDF\x65 ADD c INT", 0, LATIN1, ERR_SOURCE_DDL}, /* may be größe: in doubt */
        {"ALTER TABLE x COMMENT 'gr\xF6\xDF\x65'", 0, LATIN1, ERR_NONE},
        {"ALTER TABLE other.gr\xF6\xDF\x65 ADD c INT", 0, LATIN1, ERR_NONE},
        {"ALTER TABLE x COMMENT '\x81\x5C', RENAME TO a", 0, GBK, ERR_SOURCE_DDL},
        {"ALTER TABLE x COMMENT 'plain'", 0, GBK, ERR_NONE},
    };
    World w;
    world_init(&w, FLAVOR_MYSQL, false);
    for (size_t i = 0; i < ARRAY_LEN(table); i++) {
        const RawEvent *ev =
            ew_query_in(&w.w, "db", str_of(table[i].sql), table[i].sql_mode, table[i].charset);
        bool ok = assembler_event(w.a, &w.w.fmt, ev, &w.err);
        ck_assert_msg(w.err.code == table[i].code, "case %zu: %s", i, w.err.message);
        ck_assert(ok == (table[i].code == ERR_NONE));
        err_clear(&w.err);
    }
    world_done(&w);
}
END_TEST

/* The text that followers get is in UTF-8, whatever the client's character set. follower NULL: it is refused,
 * and says why, before anybody gets it; "": it concerns nobody. */
static const struct {
    const char *sql;
    unsigned charset;
    bool in_transaction; /* MariaDB writes its own statements so */
    const char *follower;
} followed[] = {
    {"ALTER TABLE a ADD c INT", LATIN1, false, "ALTER TABLE a ADD c INT"},
    {"ALTER TABLE a ADD c INT", BINARY, false, "ALTER TABLE a ADD c INT"},
    {"ALTER TABLE a ADD c INT", GBK, false, "ALTER TABLE a ADD c INT"},
    {"ALTER TABLE a ADD c INT", SWE7, false, "ALTER TABLE a ADD c INT"},
    {"ALTER TABLE a ADD c INT", NOBODYS, false, "ALTER TABLE a ADD c INT"},
    {"CREATE TABLE a (id INT COMMENT '\xE9')", LATIN1, false, "CREATE TABLE a (id INT COMMENT 'é')"},
    {"ALTER TABLE gr\xF6\xDF\x65 ADD c INT", LATIN1, false, "ALTER TABLE größe ADD c INT"},
    {"ALTER TABLE gr\xF6\xDF\xDF ADD c INT", LATIN1, false, ""},
    {"ALTER TABLE größe ADD c INT", BINARY, false, "ALTER TABLE größe ADD c INT"},
    {"DROP TABLE a, `\x81\x5C`", GBK, false, "DROP TABLE a, `乗`"},
    {"ALTER TABLE a COMMENT '\xE9'", BINARY, false, NULL},
    {"ALTER TABLE a COMMENT '\x81'", CP1250, false, NULL},
    {"ALTER TABLE a COMMENT 'é'", NOBODYS, false, NULL},
    {"ALTER TABLE a COMMENT '{'", SWE7, false, NULL},
    {"CREATE TABLE a (id INT COMMENT '\x81')", CP1250, false, NULL},
    {"DROP DATABASE `\x81`", CP1250, false, NULL},
    {"ALTER TABLE x COMMENT '\x81'", CP1250, false, ""},
    /* CREATE TABLE … SELECT as the servers write it: in UTF-8 */
    {"CREATE TABLE `a` (\n  `é` int\n)", LATIN1, true, "CREATE TABLE `a` (\n  `é` int\n)"},
    {"CREATE TABLE `größe` (\n  `id` int\n)", LATIN1, true, "CREATE TABLE `größe` (\n  `id` int\n)"},
    {"CREATE TABLE `a` (\n  `é` int\n)", LATIN1, false, NULL}, /* theirs or the client's: in doubt */
    {"CREATE TABLE `a` (\n  `\xE9` int\n)", LATIN1, false, "CREATE TABLE `a` (\n  `é` int\n)"},
    {"CREATE TABLE `a` (\n  `é` int\n)", BINARY, false, "CREATE TABLE `a` (\n  `é` int\n)"},
};

typedef struct Follower {
    World world;
    StrBuf text;
} Follower;

static bool follower_ddl(void *ctx, uint32_t source, const DdlEvent *e, Err *err)
{
    (void)source;
    (void)err;
    sb_str(&((Follower *)ctx)->text, e->query->sql);
    return true;
}

START_TEST(text_that_followers_get)
{
    Follower f = {0};
    World *w = &f.world;
    world_init(w, FLAVOR_MARIADB, true);
    w->opts.hooks.ddl = follower_ddl; /* its context is the world, which the follower begins with */
    world_reopen(w);
    feed(w, ew_gtid_maria(&w->w, 0, 1, followed[_i].in_transaction ? 0 : MARIA_STANDALONE));
    const RawEvent *ev = ew_query_in(&w->w, "db", str_of(followed[_i].sql), 0, followed[_i].charset);
    bool ok = assembler_event(w->a, &w->w.fmt, ev, &w->err);
    ck_assert_msg(ok == (followed[_i].follower != NULL), "%s: %s", followed[_i].sql, w->err.message);
    Str got = sb_view(&f.text);
    ck_assert_msg(str_eqc(got, ok ? followed[_i].follower : ""), "%s: " STR_FMT, followed[_i].sql,
                  STR_ARG(got));
    if (!ok) {
        ck_assert_int_eq(w->err.code, ERR_SOURCE_DDL);
        ck_assert_ptr_nonnull(strstr(w->err.message, "cannot be read in its character set"));
        ck_assert_ptr_nonnull(strstr(w->err.message, "bin.000001:"));
        ck_assert_ptr_nonnull(strstr(w->err.remedy, "utf8mb4"));
    }
    err_clear(&w->err);
    sb_done(&f.text);
    world_done(w);
}
END_TEST

START_TEST(load_data)
{
    World w;
    world_init(&w, FLAVOR_MYSQL, false);
    feed(&w, ew_query(&w.w, "db", "BEGIN"));
    feed(&w, ew_plain(&w.w, EVENT_BEGIN_LOAD_QUERY, 0, STR("data")));
    feed_fails(&w, ew_load_query(&w.w, "db", "LOAD DATA INFILE 'f' INTO TABLE `a`"), ERR_SOURCE_STATEMENT);
    feed(&w, ew_query(&w.w, "other", "BEGIN"));
    feed(&w, ew_plain(&w.w, EVENT_BEGIN_LOAD_QUERY, 0, STR("data")));
    feed(&w, ew_load_query(&w.w, "other", "LOAD DATA INFILE 'f' INTO TABLE `a`"));
    feed(&w, ew_query(&w.w, "other", "COMMIT"));
    ck_assert_uint_eq(w.n_txns, 1);
    feed_fails(&w, ew_plain(&w.w, EVENT_EXECUTE_LOAD_QUERY, 0, STR("short")), ERR_DECODE_TRUNCATED);
    world_done(&w);
}
END_TEST

START_TEST(dummy_events)
{
    World w;
    world_init(&w, FLAVOR_MARIADB, true);
    feed(&w, ew_query(&w.w, "", "# Dummy event replacing event type 160 that slave cannot handle."));
    feed(&w, ew_gtid_maria(&w.w, 0, 1, MARIA_STANDALONE));
    feed(&w, ew_query(&w.w, "", "# Dummy event replacing event type 160 that slave cannot handle."));
    ck_assert(assembler_in_transaction(w.a)); /* its own statement still comes */
    feed(&w, ew_query(&w.w, "other", "DROP TABLE t"));
    ck_assert_uint_eq(w.n_txns, 1);
    ck_assert_uint_eq(w.txns[0]->id.gtid.seq, 1);
    world_done(&w);
}
END_TEST

static Suite *stmt_suite(void)
{
    Suite *s = suite_create("source/assemble_stmt");
    TCase *c = tcase_create("statements");
    tcase_add_test(c, statements);
    tcase_add_test(c, long_statements_are_cut);
    tcase_add_test(c, session_of_the_statement);
    tcase_add_loop_test(c, text_that_followers_get, 0, ARRAY_LEN(followed));
    tcase_add_test(c, load_data);
    tcase_add_test(c, dummy_events);
    suite_add_tcase(s, c);
    return s;
}

UNIT_MAIN(stmt_suite)
