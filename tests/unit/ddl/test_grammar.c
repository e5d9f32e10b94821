#include "unit.h"
#include <stdio.h>
#include "ddl/parse.h"
#include "ddl/scan.h"
#include "base/poison.h"

static DdlContext context(Flavor flavor)
{
    return (DdlContext){
        .flavor = flavor, .version = flavor == FLAVOR_MARIADB ? 101108 : 90700, .default_schema = STR("db")};
}

/* What no server of ours knows: an error that tells the byte and the word, in either dialect. */
static const struct {
    const char *sql;
    const char *at; /* the first text that is not understood; NULL: the end */
} unknown[] = {
    {"ALTER TABLE t FROBNICATE c", "FROBNICATE"},
    {"ALTER TABLE t ADD COLUMN a INT FROB", "FROB"},
    {"ALTER TABLE t ADD COLUMN a FROB", "FROB"},
    {"ALTER TABLE t ADD COLUMN a INT, FROB b", "FROB"},
    {"ALTER TABLE t ADD COLUMN a INT AFTER", NULL},
    {"ALTER TABLE t ADD COLUMN a INT BEFORE b", "BEFORE"},
    {"ALTER TABLE t MODIFY", NULL},
    {"ALTER TABLE t CHANGE a", NULL},
    {"ALTER TABLE t DROP", NULL},
    {"ALTER TABLE t ADD INDEX i (a) FROB", "FROB"},
    {"ALTER TABLE t ADD INDEX i a", "a"},
    {"ALTER TABLE t RENAME COLUMN a b", "b"},
    {"ALTER TABLE t SPLIT PARTITION p0 INTO (PARTITION p1)", "SPLIT"},
    {"ALTER TABLE t ALTER a SET DEFAULT", NULL},
    {"ALTER TABLE t ALGORITHM", NULL},
    {"ALTER TABLE t ADD CONSTRAINT c EXCLUDE (a)", "EXCLUDE"},
    {"CREATE TABLE t (a INT) FROB", "FROB"},
    {"CREATE TABLE t (a INT, FROB)", ")"},
    {"CREATE TABLE t (a FROB(3))", "FROB"},
    {"CREATE TABLE t (a INT", NULL},
    {"CREATE TABLE t (a INT) PARTITION BY FROB (a)", "FROB"},
    {"CREATE TABLE t (a INT DEFAULT 1 + 2)", "+"},
    {"CREATE INDEX i ON t", NULL},
    {"CREATE INDEX i ON t (a) FROB", "FROB"},
    {"DROP TABLE t FROB", "FROB"},
    {"DROP INDEX i ON t FROB", "FROB"},
    {"DROP TABLE t, ", NULL},
    {"RENAME TABLE a TO b, c", NULL},
    {"RENAME TABLE a b", "b"},
    {"TRUNCATE TABLE t FROB", "FROB"},
    {"ALTER DATABASE d FROB", "FROB"},
    {"CREATE DATABASE d FROB 1", "FROB"},
    {"ALTER TABLE t ADD a INT /* no end", NULL},
    {"ALTER TABLE t ADD a INT COMMENT 'no end", NULL},
    {"ALTER TABLE `t ADD a INT", NULL},
    {"ALTER TABLE t ADD a INT /*!50000 FIRST", NULL},
};

START_TEST(unknown_grammar_is_an_error_with_its_place)
{
    static const Flavor flavors[] = {FLAVOR_MARIADB, FLAVOR_MYSQL};
    Str sql = str_of(unknown[_i].sql);
    for (size_t f = 0; f < ARRAY_LEN(flavors); f++) {
        Arena arena = {0};
        Err err = {0};
        DdlStmt *stmt;
        DdlContext ctx = context(flavors[f]);
        ck_assert_msg(!ddl_parse(sql, &ctx, &arena, &stmt, &err), "%s: read", sql.ptr);
        ck_assert_int_eq(err.code, ERR_DDL_SYNTAX);
        Str message = str_of(err.message);
        ck_assert_msg(str_find(message, STR("byte ")) != SIZE_MAX, "%s: %s", sql.ptr, err.message);
        if (unknown[_i].at) {
            size_t at = str_find(message, str_of(unknown[_i].at)), byte = 0;
            ck_assert_msg(at != SIZE_MAX, "%s: %s", sql.ptr, err.message);
            ck_assert_int_eq(sscanf(err.message + str_find(message, STR("byte ")), "byte %zu", &byte), 1);
            ck_assert_msg(str_starts((Str){sql.ptr + byte, sql.len - byte}, str_of(unknown[_i].at)),
                          "%s: byte %zu", sql.ptr, byte);
        }
        err_clear(&err);
        arena_done(&arena);
    }
}
END_TEST

/* Comments, hints and conditional comments around and inside. */
static const struct {
    Flavor flavor;
    uint32_t version; /* 0: the context's */
    const char *sql;
    unsigned changes; /* that must come out */
} known[] = {
    {FLAVOR_MYSQL, 0, "/* a */ ALTER /* b */ TABLE -- c\n t # d\n ADD a INT /* e */", 1},
    {FLAVOR_MYSQL, 0, "ALTER TABLE t ADD a INT /* xid=17 */", 1},
    {FLAVOR_MYSQL, 0, "ALTER TABLE t ADD a INT;", 1},
    {FLAVOR_MYSQL, 0, "ALTER TABLE t ADD a INT; -- the end", 1},
    {FLAVOR_MYSQL, 0, "/*+ SET_VAR(sort_buffer_size = 1M) */ ALTER TABLE t ADD a INT", 1},
    {FLAVOR_MYSQL, 0, "ALTER TABLE t ADD a INT, ALGORITHM=INPLACE, LOCK=NONE", 1},
    {FLAVOR_MYSQL, 0, "ALTER TABLE t /*!50606 ADD a INT */ /*!99999 , FROB */", 1},
    {FLAVOR_MYSQL, 50744, "ALTER TABLE t ADD a INT /*!80023 INVISIBLE */, ADD b INT", 2},
    {FLAVOR_MYSQL, 0, "ALTER TABLE t ADD a INT /*M! FROB */", 1},
    {FLAVOR_MARIADB, 0, "ALTER TABLE t ADD a INT /*M!100301 COMPRESSED*/", 1},
    {FLAVOR_MARIADB, 0, "ALTER TABLE t ADD a INT /*!80023 FROB */", 1}, /* a version of MySQL alone */
    {FLAVOR_MARIADB, 0, "ALTER TABLE t ADD a INT /*!50100 COMMENT 'x' */", 1},
    {FLAVOR_MARIADB, 0, "SET STATEMENT max_statement_time=0, lock_wait_timeout=1 FOR ALTER TABLE t ADD a INT",
     1},
    {FLAVOR_MARIADB, 0, "ALTER TABLE t ADD IF NOT EXISTS a INT, DROP COLUMN IF EXISTS b", 2},
    {FLAVOR_MARIADB, 0, "ALTER ONLINE TABLE IF EXISTS t NOWAIT ADD a INT", 1},
    {FLAVOR_MARIADB, 0, "ALTER TABLE t ADD SYSTEM VERSIONING, ADD a INT WITHOUT SYSTEM VERSIONING", 2},
    {FLAVOR_MARIADB, 0, "ALTER TABLE t ADD a UUID, ADD b INET6, ADD c VECTOR(3), ADD VECTOR INDEX (c)", 4},
    {FLAVOR_MARIADB, 0, "ALTER TABLE t CONVERT PARTITION p0 TO TABLE u", 1},
    {FLAVOR_MYSQL, 0, "ALTER TABLE t ADD a VECTOR(3), ADD b INT NOT NULL DEFAULT (uuid_to_bin(uuid()))", 2},
    {FLAVOR_MYSQL, 0,
     "ALTER TABLE t ALTER INDEX i INVISIBLE, ALTER CHECK c NOT ENFORCED, RENAME COLUMN a TO b", 3},
    {FLAVOR_MYSQL, 0, "ALTER TABLE t ADD INDEX ((CAST(j->'$.a' AS UNSIGNED ARRAY)))", 1},
    {FLAVOR_MYSQL, 0, "ALTER TABLE t ADD a POINT NOT NULL SRID 4326", 1},
    {FLAVOR_MYSQL, 0, "CREATE UNIQUE INDEX i ON t (a DESC, b(3)) COMMENT 'x' ALGORITHM = INPLACE LOCK = NONE",
     1},
    {FLAVOR_MYSQL, 0, "DROP INDEX i ON t ALGORITHM = COPY", 1},
};

START_TEST(comments_hints_and_dialects_are_read)
{
    Arena arena = {0};
    Err err = {0};
    DdlStmt *stmt;
    unsigned n = 0;
    DdlContext ctx = context(known[_i].flavor);
    if (known[_i].version) ctx.version = known[_i].version;
    ck_assert_msg(ddl_parse(str_of(known[_i].sql), &ctx, &arena, &stmt, &err), "%s: %s", known[_i].sql,
                  err.message);
    ck_assert_msg(stmt->kind == DDL_ALTER_TABLE, "%s: kind %d", known[_i].sql, stmt->kind);
    ck_assert_msg(table_name_eq(stmt->tables->name, (TableName){STR("db"), STR("t")}), "%s", known[_i].sql);
    for (const DdlChange *c = stmt->changes; c; c = c->next)
        n++;
    ck_assert_msg(n == known[_i].changes, "%s: %u changes", known[_i].sql, n);
    arena_done(&arena);
}
END_TEST

/* Text in the charset and under the mode of the session that wrote it. */
START_TEST(charset_and_mode_of_the_session)
{
    Arena arena = {0};
    Err err = {0};
    DdlStmt *stmt;
    DdlContext ctx = context(FLAVOR_MYSQL);
    ctx.charset = STR("latin1");
    ck_assert(ddl_parse(STR("ALTER TABLE `gr\xf6\xdf`.t ADD `\xe4` INT"), &ctx, &arena, &stmt, &err));
    ck_assert(str_eqc(stmt->tables->name.schema, "gr\xc3\xb6\xc3\x9f"));
    ck_assert(str_eqc(stmt->changes->column->name, "\xc3\xa4"));
    ctx.charset = STR("gbk"); /* the second byte of a character may be a backslash */
    ck_assert(ddl_parse(STR("ALTER TABLE t COMMENT '\x81\x5c'"), &ctx, &arena, &stmt, &err));
    ctx = context(FLAVOR_MYSQL);
    ctx.modes = STMT_ANSI_QUOTES;
    ck_assert(ddl_parse(STR("ALTER TABLE \"t\" ADD \"a \"\"b\" INT"), &ctx, &arena, &stmt, &err));
    ck_assert(str_eqc(stmt->changes->column->name, "a \"b"));
    ctx.modes = STMT_NO_BACKSLASH_ESCAPES;
    ck_assert(ddl_parse(STR("ALTER TABLE t COMMENT '\\'"), &ctx, &arena, &stmt, &err));
    ck_assert(str_eqc(stmt->changes->option->value, "\\"));
    arena_done(&arena);
}
END_TEST

/* '…', _charset'…', N'…' and x'…': text in UTF-8, bytes for the column's character set, or what a column of
 * bytes takes. text NULL: refused. */
static const struct {
    const char *client, *connection, *literal;
    DdlValueKind kind;
    const char *text;
    bool raw;
    const char *bytes;
} literals[] = {
    {"", "", "'é'", DDL_VALUE_STRING, "é", false, ""},
    {"", "", "_latin1'é'", DDL_VALUE_STRING, "Ã©", false, "é"},
    {"", "", "_latin1 x'E9'", DDL_VALUE_STRING, "é", false, ""},
    {"", "", "_ucs2'ab'", DDL_VALUE_STRING, "慢", false, "ab"},
    {"", "", "_binary'é'", DDL_VALUE_STRING, "é", true, ""},
    {"", "", "x'E9'", DDL_VALUE_HEX, "\xE9", false, ""},
    {"", "", "_binary x'E9'", DDL_VALUE_HEX, "\xE9", false, ""},
    {"", "", "_frob'a'", DDL_VALUE_STRING, NULL, false, ""},
    {"", "", "_utf8mb4 x'E9'", DDL_VALUE_STRING, NULL, false, ""},
    {"latin1", "latin1", "'\xE9'", DDL_VALUE_STRING, "é", false, "\xE9"},
    {"latin1", "latin1", "_latin1'\xE9'", DDL_VALUE_STRING, "é", false, "\xE9"},
    {"latin1", "latin1", "_gbk'\xD6\xD0'", DDL_VALUE_STRING, "中", false, "\xD6\xD0"},
    {"latin1", "latin1", "N'\xC3\xA9'", DDL_VALUE_STRING, "é", false, "é"},
    {"latin1", "latin1", "N'\xE9'", DDL_VALUE_STRING, NULL, false, ""},
    {"latin1", "binary", "'\xE9'", DDL_VALUE_STRING, "\xE9", true, ""},
    {"binary", "binary", "'é'", DDL_VALUE_STRING, "é", true, ""},
    {"utf8mb4", "latin1", "'é'", DDL_VALUE_STRING, "é", false, "\xE9"},
    {"utf8mb4", "latin1", "'中'", DDL_VALUE_STRING, NULL, false, ""}, /* the server keeps a question mark */
    {"utf8mb4", "latin1", "_utf8mb4'中'", DDL_VALUE_STRING, "中", false, "中"},
};

START_TEST(literals_of_character_sets)
{
    Arena arena = {0};
    Err err = {0};
    DdlStmt *stmt;
    StrBuf sql = {0};
    DdlContext ctx = context(FLAVOR_MYSQL);
    ctx.charset = str_of(literals[_i].client);
    ctx.connection = str_of(literals[_i].connection);
    sb_printf(&sql, "ALTER TABLE t ALTER c SET DEFAULT %s", literals[_i].literal);
    bool ok = ddl_parse(sb_view(&sql), &ctx, &arena, &stmt, &err);
    ck_assert_msg(ok == (literals[_i].text != NULL), "%s: %s", literals[_i].literal, err.message);
    if (ok) {
        const DdlValue *v = &stmt->changes->value;
        ck_assert_int_eq(v->kind, literals[_i].kind);
        ck_assert_msg(str_eqc(v->text, literals[_i].text), "%s: " STR_FMT, literals[_i].literal,
                      STR_ARG(v->text));
        ck_assert_int_eq(v->raw, literals[_i].raw);
        ck_assert_msg(str_eqc(v->bytes, literals[_i].bytes), "%s: " STR_FMT, literals[_i].literal,
                      STR_ARG(v->bytes));
    } else {
        ck_assert_ptr_nonnull(strstr(err.message, "a literal of"));
    }
    err_clear(&err);
    sb_done(&sql);
    arena_done(&arena);
}
END_TEST

/* In expressions, whose text goes to the target without introducers. */
START_TEST(literals_in_expressions)
{
    static const struct {
        const char *client, *connection, *expr;
        bool ok;
    } cases[] = {
        {"", "", "concat(_latin1'é')", true}, /* as a server prints it */
        {"utf8mb4", "utf8mb4", "concat('é', _utf8mb4'é', _utf8mb3'é', _latin1'e', x'E9', _binary x'E9')",
         true},
        {"utf8mb4", "utf8mb4", "concat(_latin1'é')", false},
        {"utf8mb4", "utf8mb4", "concat(_latin1 x'E9')", false},
        {"utf8mb4", "latin1", "concat('é')", true},
        {"utf8mb4", "latin1", "concat('中')", false},
        {"latin1", "latin1", "concat('\xE9', _latin1'\xE9')", true},
        {"latin1", "latin1", "concat(_utf8mb4'\xC3\xA9')", false},
        {"latin1", "binary", "concat('\xE9')", false},
        {"binary", "binary", "concat('é')", true},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        Arena arena = {0};
        Err err = {0};
        DdlStmt *stmt;
        StrBuf sql = {0};
        DdlContext ctx = context(FLAVOR_MYSQL);
        ctx.charset = str_of(cases[i].client);
        ctx.connection = str_of(cases[i].connection);
        sb_printf(&sql, "ALTER TABLE t ADD c VARCHAR(9) AS (%s)", cases[i].expr);
        bool ok = ddl_parse(sb_view(&sql), &ctx, &arena, &stmt, &err);
        ck_assert_msg(ok == cases[i].ok, "%s: %s", cases[i].expr, err.message);
        if (!ok) ck_assert_ptr_nonnull(strstr(err.message, "a literal of"));
        err_clear(&err);
        sb_done(&sql);
        arena_done(&arena);
    }
}
END_TEST

START_TEST(versions_of_servers)
{
    static const struct {
        const char *text;
        uint32_t version;
    } cases[] = {{"8.0.36-log", 80036},
                 {"9.7.0", 90700},
                 {"10.11.8-MariaDB-0+deb12u1-log", 101108},
                 {"5.5.5-10.6.14-MariaDB", 100614},
                 {"5.7.44-48-log", 50744},
                 {"5.5.5", 50505},
                 {"", 0},
                 {"8.0", 0},
                 {"8.0.x", 0},
                 {"8.0.123", 0},
                 {"frob", 0}};
    for (size_t i = 0; i < ARRAY_LEN(cases); i++)
        ck_assert_msg(ddl_server_version(str_of(cases[i].text)) == cases[i].version, "%s", cases[i].text);
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("ddl/grammar");
    TCase *c = tcase_create("grammar");
    tcase_add_loop_test(c, unknown_grammar_is_an_error_with_its_place, 0, ARRAY_LEN(unknown));
    tcase_add_loop_test(c, comments_hints_and_dialects_are_read, 0, ARRAY_LEN(known));
    tcase_add_test(c, charset_and_mode_of_the_session);
    tcase_add_test(c, literals_in_expressions);
    tcase_add_loop_test(c, literals_of_character_sets, 0, ARRAY_LEN(literals));
    tcase_add_test(c, versions_of_servers);
    suite_add_tcase(s, c);
    return s;
}

UNIT_MAIN(suite)
