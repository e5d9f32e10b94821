#include <jansson.h>
#include "ops/check_server.h"
#include "unit.h"

static Grants grants(const char *const *lines)
{
    Grants g = {0};
    g.lines = arena_array(&g.arena, GrantLine, 16);
    for (; *lines; lines++)
        if (grants_parse(str_of(*lines), &g.arena, &g.lines[g.n])) g.n++;
    return g;
}

START_TEST(test_grant_lines)
{
    static const char *const lines[] = {
        "GRANT REPLICATION SLAVE, SELECT ON *.* TO `u`@`%` IDENTIFIED BY PASSWORD '*X ON `y`.*'",
        "GRANT ALL PRIVILEGES ON `shop`.* TO `u`@`%` WITH GRANT OPTION",
        "GRANT INSERT, UPDATE (`a`, `b`) ON `logs\\_%`.* TO `u`@`%`",
        "GRANT DELETE ON `x``y`.`t` TO 'u'@'%'",
        "GRANT EXECUTE ON PROCEDURE `p`.`q` TO `u`@`%`",
        "GRANT PROXY ON ``@`` TO `root`@`localhost` WITH GRANT OPTION",
        "GRANT `role`@`%` TO `u`@`%`",
        "REVOKE SELECT ON `shop`.* FROM `u`@`%`",
        NULL,
    };
    Grants g = grants(lines);
    Str none = {0};
    ck_assert_uint_eq(g.n, 4);
    ck_assert(grants_have(&g, "REPLICATION SLAVE", none, none));
    ck_assert(grants_have(&g, "select", STR("any"), STR("t")));
    ck_assert(!grants_have(&g, "INSERT", none, none));
    ck_assert(grants_have(&g, "CREATE", STR("shop"), none));
    ck_assert(!grants_have(&g, "CREATE", STR("shop2"), none));
    ck_assert(grants_have(&g, "INSERT", STR("logs_2026"), none));
    ck_assert(!grants_have(&g, "INSERT", STR("logs2026"), none));
    ck_assert(!grants_have(&g, "UPDATE", STR("logs_2026"), none)); /* only columns of it */
    ck_assert(grants_have(&g, "DELETE", STR("x`y"), STR("t")));
    ck_assert(!grants_have(&g, "DELETE", STR("x`y"), none));
    ck_assert(!grants_have(&g, "EXECUTE", STR("p"), STR("q")));
    grants_done(&g);
}
END_TEST

START_TEST(test_versions)
{
    ck_assert_uint_eq(version_number("10.11.6-MariaDB-log"), 1011);
    ck_assert_uint_eq(version_number("9.7.4"), 907);
    ck_assert_uint_eq(version_number("5.7"), 507);
    ck_assert_uint_eq(version_number(""), 0);
}
END_TEST

START_TEST(test_report)
{
    CheckReport r = {0};
    Err err = {0};
    StrBuf out = {0};
    check_where(&r, "source %s", "s1");
    check_add(&r, CHECK_OK, NULL, "fine \"%d\"", 1);
    check_add(&r, CHECK_WARN, "do it", "hm");
    check_where(&r, "downstream");
    err_set_remedy(&err, ERR_DB_CONNECT, "start it", "away");
    check_add_err(&r, CHECK_FAIL, &err);
    ck_assert(!err_is_set(&err));
    check_report_human(&r, STR("t"), &out);
    ck_assert_str_eq(out.ptr, "source s1\n  ok    fine \"1\"\n  warn  hm\n        → do it\n\ndownstream\n"
                              "  fail  [SM-1901 DB_CONNECT] away\n        → start it\n\n"
                              "t: 1 ok, 0 notes, 1 warnings, 1 failures\n");
    sb_clear(&out);
    check_report_json(&r, STR("t"), &out);
    json_t *o = json_loads(out.ptr, 0, NULL);
    ck_assert_ptr_nonnull(o);
    ck_assert(json_is_false(json_object_get(o, "ok")));
    ck_assert_uint_eq(json_array_size(json_object_get(o, "findings")), 3);
    const json_t *last = json_array_get(json_object_get(o, "findings"), 2);
    ck_assert_str_eq(json_string_value(json_object_get(last, "level")), "fail");
    ck_assert_str_eq(json_string_value(json_object_get(last, "where")), "downstream");
    ck_assert_str_eq(json_string_value(json_object_get(last, "remedy")), "start it");
    ck_assert(json_is_null(json_object_get(json_array_get(json_object_get(o, "findings"), 0), "remedy")));
    ck_assert_int_eq(json_integer_value(json_object_get(json_object_get(o, "counts"), "warn")), 1);
    json_decref(o);
    sb_done(&out);
    check_report_done(&r);
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("check");
    TCase *t = tcase_create("check");
    tcase_add_test(t, test_grant_lines);
    tcase_add_test(t, test_versions);
    tcase_add_test(t, test_report);
    suite_add_tcase(s, t);
    return s;
}
UNIT_MAIN(suite)
