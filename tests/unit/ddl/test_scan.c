#include "unit.h"
#include <stdio.h>
#include "ddl/lex.h"
#include "ddl/scan.h"
#include "base/poison.h"

static const char *const kinds[] = {
    [STMT_BEGIN] = "BEGIN",
    [STMT_COMMIT] = "COMMIT",
    [STMT_ROLLBACK] = "ROLLBACK",
    [STMT_SAVEPOINT] = "SAVEPOINT",
    [STMT_ROLLBACK_TO] = "ROLLBACK_TO",
    [STMT_RELEASE_SAVEPOINT] = "RELEASE_SAVEPOINT",
    [STMT_XA] = "XA",
    [STMT_DML] = "DML",
    [STMT_TABLE_DDL] = "TABLE_DDL",
    [STMT_DATABASE_DDL] = "DATABASE_DDL",
    [STMT_TEMPORARY] = "TEMPORARY",
    [STMT_ADMIN] = "ADMIN",
    [STMT_NOOP] = "NOOP",
    [STMT_UNKNOWN] = "UNKNOWN",
};
static const char *const actions[] = {
    [STMT_ACTION_OTHER] = "",     [STMT_ACTION_CREATE] = " CREATE", [STMT_ACTION_ALTER] = " ALTER",
    [STMT_ACTION_DROP] = " DROP", [STMT_ACTION_RENAME] = " RENAME", [STMT_ACTION_TRUNCATE] = " TRUNCATE",
};

/* The result as the case file writes it. */
static void describe(const StmtScan *s, StrBuf *out)
{
    sb_c(out, kinds[s->kind]);
    sb_c(out, actions[s->action]);
    for (size_t i = 0; i < s->n_tables; i++) {
        sb_ch(out, ' ');
        sb_str(out, s->tables[i].schema);
        sb_ch(out, '.');
        sb_str(out, s->tables[i].table);
    }
    if (s->if_not_exists) sb_c(out, " +ine");
    if (s->savepoint.len) {
        sb_c(out, " =");
        sb_str(out, s->savepoint);
    }
}

static bool take_mode(Str *line, const char *mode)
{
    Str m = str_of(mode);
    if (!str_starts(*line, m)) return false;
    line->ptr += m.len;
    line->len -= m.len;
    return true;
}

/* Only \n and \t are escapes; any other backslash is itself. */
static void unescape(Str s, StrBuf *out)
{
    for (size_t i = 0; i < s.len; i++) {
        bool escape = s.ptr[i] == '\\' && i + 1 < s.len && (s.ptr[i + 1] == 'n' || s.ptr[i + 1] == 't');
        if (!escape) {
            sb_ch(out, s.ptr[i]);
        } else {
            i++;
            sb_ch(out, s.ptr[i] == 'n' ? '\n' : '\t');
        }
    }
}

static void run_case(Str line, unsigned number)
{
    Flavor flavor = FLAVOR_MARIADB;
    unsigned modes = 0;
    for (bool any = true; any;) {
        any = false;
        if (take_mode(&line, "@ansi ")) modes |= STMT_ANSI_QUOTES, any = true;
        if (take_mode(&line, "@nbe ")) modes |= STMT_NO_BACKSLASH_ESCAPES, any = true;
        if (take_mode(&line, "@mysql ")) flavor = FLAVOR_MYSQL, any = true;
    }
    size_t arrow = str_find(line, STR(" ==> "));
    ck_assert_msg(arrow != SIZE_MAX, "line %u has no ==>", number);
    Str want = {line.ptr + arrow + 5, line.len - arrow - 5};
    StrBuf sql = {0}, got = {0};
    unescape((Str){line.ptr, arrow}, &sql);
    Arena arena = {0};
    StmtScan scan;
    stmt_scan(sb_view(&sql), STR("db"), flavor, modes, &arena, &scan);
    describe(&scan, &got);
    ck_assert_msg(str_eq(sb_view(&got), want), "line %u: " STR_FMT "\n  want " STR_FMT "\n  got  %s", number,
                  (int)arrow, line.ptr, STR_ARG(want), got.ptr);
    ck_assert(scan.what != NULL);
    arena_done(&arena);
    sb_done(&sql);
    sb_done(&got);
}

START_TEST(cases_of_the_file)
{
    FILE *f = fopen("fixtures/ddl/scan-cases.txt", "r");
    ck_assert_msg(f != NULL, "run from the top of the repository");
    char *line = NULL;
    size_t cap = 0;
    ssize_t n;
    unsigned number = 0, ran = 0;
    while ((n = getline(&line, &cap, f)) >= 0) {
        Str s = {line, (size_t)n};
        number++;
        if (s.len && s.ptr[s.len - 1] == '\n') s.len--;
        if (!s.len || str_starts(s, STR("# ----"))) continue;
        run_case(s, number);
        ran++;
    }
    free(line);
    fclose(f);
    ck_assert_uint_ge(ran, 150);
}
END_TEST

/* Any prefix of a statement, and any byte at its end, is read without a fault and never taken for harmless
 * where the whole is a change of a table. */
START_TEST(cut_statements)
{
    static const char *const whole[] = {
        "ALTER TABLE `a``b`.`c` /*!50100 ADD x INT COMMENT 'it''s \\' */, RENAME TO `d`",
        "RENAME TABLE a TO b, `c`.d TO \"e\"",
        "SET STATEMENT a=(1,2) FOR DROP TABLE IF EXISTS t, u",
        "DROP /*M!100100 TEMPORARY */ TABLE `x` -- y",
        "ROLLBACK TO SAVEPOINT `sp`",
    };
    for (size_t i = 0; i < ARRAY_LEN(whole); i++) {
        Str s = str_of(whole[i]);
        for (size_t n = 0; n <= s.len; n++) {
            for (unsigned modes = 0; modes < 4; modes++) {
                char *copy = str_dup((Str){s.ptr, n}); /* so that a read beyond the end is one of the heap */
                char *exact = mem_alloc(n ? n : 1);
                memcpy(exact, copy, n);
                Arena arena = {0};
                StmtScan scan;
                stmt_scan((Str){exact, n}, STR("db"), FLAVOR_MARIADB, modes, &arena, &scan);
                if (i != 2) ck_assert_int_ne(scan.kind, STMT_ADMIN); /* SET alone is one */
                if (scan.kind == STMT_UNKNOWN) ck_assert_uint_eq(scan.n_tables, 0);
                arena_done(&arena);
                free(exact);
                free(copy);
            }
        }
    }
}
END_TEST

static bool collect(void *ctx, TableName name, bool qualified)
{
    StrBuf *b = ctx;
    table_name_plain(name, b);
    sb_c(b, qualified ? "! " : " ");
    return true;
}

START_TEST(names_for_the_unknown)
{
    StrBuf b = {0};
    ck_assert(stmt_each_name(STR("FROB `x`.y, \"z\" 12 'no' /* no */ a.b.c"), STR("db"), false, collect, &b));
    ck_assert_str_eq(b.ptr, "db.FROB db.x x.y! db.y db.z db.a a.b! db.b b.c! db.c ");
    sb_clear(&b);
    ck_assert(stmt_each_name(STR("F 'a\\', x # `y`.\"z\" /* b"), STR("d"), true, collect, &b));
    ck_assert_str_eq(b.ptr, "d.F d.a d.x d.y y.z! d.z d.b ");
    sb_done(&b);
}
END_TEST

static bool stop_at_x(void *ctx, TableName name, bool qualified)
{
    (void)qualified;
    ++*(int *)ctx;
    return !str_eqc(name.table, "x");
}

START_TEST(names_end_early)
{
    int calls = 0;
    ck_assert(!stmt_each_name(STR("a x b c"), STR("db"), false, stop_at_x, &calls));
    ck_assert_int_eq(calls, 2);
}
END_TEST

START_TEST(mentions)
{
    ck_assert(stmt_mentions(STR("frob orders"), STR("orders")));
    ck_assert(stmt_mentions(STR("frob `ORDERS`"), STR("orders")));
    ck_assert(stmt_mentions(STR("frob \"orders\""), STR("orders")));
    ck_assert(stmt_mentions(STR("frob a.orders"), STR("orders")));
    ck_assert(stmt_mentions(STR("frob /*!50100 orders */"), STR("orders")));
    ck_assert(stmt_mentions(STR("frob `a``b`"), STR("a`b")));
    ck_assert(!stmt_mentions(STR("frob orders_1"), STR("orders")));
    ck_assert(!stmt_mentions(STR("frob 'orders'"), STR("orders")));
    ck_assert(!stmt_mentions(STR("frob /* orders */"), STR("orders")));
    ck_assert(!stmt_mentions((Str){0}, STR("orders")));
}
END_TEST

START_TEST(sql_mode_bits)
{
    ck_assert_uint_eq(stmt_modes(0), 0);
    ck_assert_uint_eq(stmt_modes(4), STMT_ANSI_QUOTES);
    ck_assert_uint_eq(stmt_modes(UINT64_C(1) << 20), STMT_NO_BACKSLASH_ESCAPES);
    ck_assert_uint_eq(stmt_modes(~UINT64_C(0)), STMT_ANSI_QUOTES | STMT_NO_BACKSLASH_ESCAPES);
}
END_TEST

static Suite *scan_suite(void)
{
    Suite *s = suite_create("ddl/scan");
    TCase *c = tcase_create("scan");
    tcase_add_test(c, cases_of_the_file);
    tcase_add_test(c, cut_statements);
    tcase_add_test(c, names_for_the_unknown);
    tcase_add_test(c, names_end_early);
    tcase_add_test(c, mentions);
    tcase_add_test(c, sql_mode_bits);
    suite_add_tcase(s, c);
    return s;
}

UNIT_MAIN(scan_suite)
