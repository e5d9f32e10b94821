#include "unit.h"
#include <stdio.h>
#include "ddl/parse.h"
#include "ddl/scan.h"
#include "base/poison.h"

static bool take_mode(Str *line, const char *mode)
{
    Str m = str_of(mode);
    if (!str_starts(*line, m)) return false;
    line->ptr += m.len;
    line->len -= m.len;
    return true;
}

static void unescape(Str s, StrBuf *out)
{
    for (size_t i = 0; i < s.len; i++) {
        bool escape = s.ptr[i] == '\\' && i + 1 < s.len && (s.ptr[i + 1] == 'n' || s.ptr[i + 1] == 't');
        if (escape) i++;
        sb_ch(out, !escape ? s.ptr[i] : s.ptr[i] == 'n' ? '\n' : '\t');
    }
}

/* The tables and the kind that the tree names are those that the scan names. */
static void same_as_scan(const DdlStmt *stmt, const StmtScan *scan, unsigned number)
{
    size_t n = 0;
    for (const DdlTable *t = stmt->tables; t; t = t->next, n++)
        ck_assert_msg(n < scan->n_tables && table_name_eq(t->name, scan->tables[n]),
                      "line %u: table %zu is " STR_FMT "." STR_FMT, number, n, STR_ARG(t->name.schema),
                      STR_ARG(t->name.table));
    if (scan->kind == STMT_DATABASE_DDL) {
        ck_assert_msg(str_eq(stmt->database, scan->tables[0].schema), "line %u: database", number);
        return;
    }
    ck_assert_msg(n == scan->n_tables, "line %u: %zu tables instead of %zu", number, n, scan->n_tables);
    ck_assert_msg(stmt->temporary == (scan->kind == STMT_TEMPORARY), "line %u: temporary", number);
    if (stmt->kind == DDL_SEQUENCE) return;
    static const DdlKind kinds[] = {[STMT_ACTION_CREATE] = DDL_CREATE_TABLE,
                                    [STMT_ACTION_ALTER] = DDL_ALTER_TABLE,
                                    [STMT_ACTION_DROP] = DDL_DROP_TABLES,
                                    [STMT_ACTION_RENAME] = DDL_RENAME_TABLES,
                                    [STMT_ACTION_TRUNCATE] = DDL_TRUNCATE_TABLE};
    ck_assert_msg(stmt->kind == kinds[scan->action], "line %u: kind %d", number, stmt->kind);
    ck_assert_msg(stmt->if_not_exists == scan->if_not_exists, "line %u: IF NOT EXISTS", number);
}

static void run_case(Str line, unsigned number)
{
    DdlContext ctx = {.flavor = FLAVOR_MARIADB, .default_schema = STR("db")};
    for (bool any = true; any;) {
        any = false;
        if (take_mode(&line, "@ansi ")) ctx.modes |= STMT_ANSI_QUOTES, any = true;
        if (take_mode(&line, "@nbe ")) ctx.modes |= STMT_NO_BACKSLASH_ESCAPES, any = true;
        if (take_mode(&line, "@mysql ")) ctx.flavor = FLAVOR_MYSQL, any = true;
    }
    size_t arrow = str_find(line, STR(" ==> "));
    ck_assert_msg(arrow != SIZE_MAX, "line %u has no ==>", number);
    StrBuf sql = {0};
    Arena arena = {0};
    Err err = {0};
    StmtScan scan;
    DdlStmt *stmt;
    unescape((Str){line.ptr, arrow}, &sql);
    stmt_scan(sb_view(&sql), ctx.default_schema, ctx.flavor, ctx.modes, &arena, &scan);
    bool ok = ddl_parse(sb_view(&sql), &ctx, &arena, &stmt, &err);
    if (scan.kind == STMT_UNKNOWN) {
        ck_assert_msg(!ok && err.code == ERR_DDL_SYNTAX, "line %u: read although nobody knows it", number);
    } else {
        ck_assert_msg(ok, "line %u: %s: %s", number, sql.ptr, err.message);
        bool tracked =
            scan.kind == STMT_TABLE_DDL || scan.kind == STMT_DATABASE_DDL || scan.kind == STMT_TEMPORARY;
        ck_assert_msg(tracked == (stmt->kind != DDL_OTHER), "line %u: tracked", number);
        if (tracked) same_as_scan(stmt, &scan, number);
    }
    err_clear(&err);
    arena_done(&arena);
    sb_done(&sql);
}

START_TEST(cases_of_the_scan)
{
    FILE *f = fopen("fixtures/ddl/scan-cases.txt", "r");
    ck_assert_msg(f != NULL, "fixtures/ddl/scan-cases.txt: run from the repository's root");
    char line[4096];
    unsigned number = 0, run = 0;
    while (fgets(line, sizeof line, f)) {
        Str s = str_of(line);
        number++;
        while (s.len && (s.ptr[s.len - 1] == '\n' || s.ptr[s.len - 1] == '\r'))
            s.len--;
        if (!s.len || str_starts(s, STR("# -"))) continue;
        run_case(s, number);
        run++;
    }
    fclose(f);
    ck_assert_uint_ge(run, 275);
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("ddl/parse");
    TCase *c = tcase_create("parse");
    tcase_add_test(c, cases_of_the_scan);
    suite_add_tcase(s, c);
    return s;
}

UNIT_MAIN(suite)
