/* Lists of table names for the dry run without servers. */
#include "ops/route_list.h"
#include "unit.h"
#include <stdio.h>
#include <unistd.h>

typedef struct Case {
    const char *text;
    const char *a, *b; /* tables of the two sources, each "schema|table;" */
    const char *error; /* else part of the message */
    ErrCode code;
} Case;

static const Case cases[] = {
    {"db.t\n", "db|t;", "db|t;", NULL, 0},
    {"a.db.t\nb.db.u", "db|t;", "db|u;", NULL, 0},
    {"\n# a comment\n  db.t \r\n\na.db.t2\n", "db|t;db|t2;", "db|t;", NULL, 0},
    {"`d.b`.`t``x`\n", "d.b|t`x;", "d.b|t`x;", NULL, 0},
    {"a.`b`.c\n", "b|c;", "", NULL, 0},
    {"`a`.b.c\n", "b|c;", "", NULL, 0},
    {"", "", "", NULL, 0},
    {"db.тест\n", "db|тест;", "db|тест;", NULL, 0},
    {"t\n", NULL, NULL, "list:1:1: only one name", ERR_ROUTE_LIST},
    {"db.t\na.b.c.d\n", NULL, NULL, "list:2:7: more than source.schema.table", ERR_ROUTE_LIST},
    {"db.\n", NULL, NULL, "list:1:4: an empty name", ERR_ROUTE_LIST},
    {".t\n", NULL, NULL, "list:1:1: an empty name", ERR_ROUTE_LIST},
    {"a..t\n", NULL, NULL, "list:1:3: an empty name", ERR_ROUTE_LIST},
    {"db.`t\n", NULL, NULL, "list:1:4: a back quote is not closed", ERR_ROUTE_LIST},
    {"db.`t``\n", NULL, NULL, "list:1:4: a back quote is not closed", ERR_ROUTE_LIST},
    {"db.``\n", NULL, NULL, "list:1:4: an empty name", ERR_ROUTE_LIST},
    {"`db`t\n", NULL, NULL, "list:1:5: a dot is missing", ERR_ROUTE_LIST},
    {"d`b.t\n", NULL, NULL, "list:1:1: a back quote inside a name", ERR_ROUTE_LIST},
    {"\n\nc.db.t\n", NULL, NULL, "list:3:1: no source \"c\"", ERR_OPS_NO_SUCH_SOURCE},
};

static void expect(const RouteList *l, const char *want)
{
    StrBuf got = {0};
    for (size_t i = 0; i < l->n; i++)
        sb_printf(&got, STR_FMT "|" STR_FMT ";", STR_ARG(l->tables[i].schema), STR_ARG(l->tables[i].table));
    ck_assert_msg(str_eqc(sb_view(&got), want), "%s, expected %s", got.ptr, want);
    sb_done(&got);
}

START_TEST(parse)
{
    const Case *c = &cases[_i];
    const Str sources[] = {STR("a"), STR("b")};
    RouteList lists[2];
    Arena arena = {0};
    Err err = {0};
    bool ok = route_list_parse("list", str_of(c->text), sources, 2, &arena, lists, &err);
    if (c->error) {
        ck_assert_msg(!ok, "%s was taken", c->text);
        ck_assert_int_eq(err.code, c->code);
        ck_assert_msg(strstr(err.message, c->error) == err.message, "%s", err.message);
        err_clear(&err);
    } else {
        ck_assert_msg(ok, "%s", err.message);
        expect(&lists[0], c->a);
        expect(&lists[1], c->b);
    }
    arena_done(&arena);
}
END_TEST

START_TEST(read_file)
{
    char path[] = "/tmp/route_list_XXXXXX";
    int fd = mkstemp(path);
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(write(fd, "db.t\n", 5), 5);
    close(fd);
    StrBuf text = {0};
    Err err = {0};
    ck_assert(route_list_read(path, &text, &err));
    ck_assert_str_eq(text.ptr, "db.t\n");
    unlink(path);
    ck_assert(!route_list_read(path, &text, &err));
    ck_assert_int_eq(err.code, ERR_ROUTE_LIST);
    ck_assert_msg(strstr(err.message, path) == err.message, "%s", err.message);
    err_clear(&err);
    ck_assert(!route_list_read("/", &text, &err));
    ck_assert_int_eq(err.code, ERR_ROUTE_LIST);
    err_clear(&err);
    sb_done(&text);
}
END_TEST

static Suite *list_suite(void)
{
    Suite *s = suite_create("ops/route_list");
    TCase *t = tcase_create("all");
    tcase_add_loop_test(t, parse, 0, ARRAY_LEN(cases));
    tcase_add_test(t, read_file);
    suite_add_tcase(s, t);
    return s;
}

UNIT_MAIN(list_suite)
