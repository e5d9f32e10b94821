/* Target names with captures. */
#include "route/template.h"
#include "unit.h"

typedef struct Case {
    const char *schema_pattern, *table_pattern; /* table NULL: a schema-level rule */
    const char *text;
    TemplateSide own;
    const char *schema, *table; /* names to match */
    const char *want;           /* name, or part of the error when it begins with ! */
} Case;

static const Case cases[] = {
    {"db_*", "t_*", "merged", TEMPLATE_TABLE, "db_1", "t_1", "merged"},
    {"~^db_(\\d+)$", "~^(\\w+)_(\\d{4})$", "$1", TEMPLATE_TABLE, "db_7", "orders_2024", "orders"},
    {"~^db_(\\d+)$", "~^(\\w+)_(\\d{4})$", "all_$2_$1", TEMPLATE_TABLE, "db_7", "orders_2024",
     "all_2024_orders"},
    {"~^db_(\\d+)$", "~^(\\w+)_(\\d{4})$", "$1", TEMPLATE_SCHEMA, "db_7", "orders_2024", "7"},
    {"~^db_(\\d+)$", "~^(\\w+)_(\\d{4})$", "m${table:2}", TEMPLATE_SCHEMA, "db_7", "orders_2024", "m2024"},
    {"~^db_(\\d+)$", "~^(\\w+)_(\\d{4})$", "t_${schema:1}", TEMPLATE_TABLE, "db_7", "orders_2024", "t_7"},
    {"~^(?<tenant>\\w+)_app$", "~^(?<what>\\w+)$", "${what}_of_${schema:tenant}", TEMPLATE_TABLE, "acme_app",
     "users", "users_of_acme"},
    {"~^(\\w+)_app$", NULL, "$1", TEMPLATE_SCHEMA, "acme_app", "users", "acme"},
    {"~^(\\w+)_app$", NULL, "${schema:1}_x", TEMPLATE_TABLE, "acme_app", "users", "acme_x"},
    /* one digit only; more need braces */
    {"d", "~^(a)(b)$", "$20", TEMPLATE_TABLE, "d", "ab", "b0"},
    {"d", "~^(a)(b)(c)(d)(e)(f)(g)(h)(i)(j)$", "${10}$1", TEMPLATE_TABLE, "d", "abcdefghij", "ja"},
    /* dollars */
    {"d", "~^(a)$", "x$$1", TEMPLATE_TABLE, "d", "a", "x$1"},
    {"d", "~^(a)$", "x$$$1", TEMPLATE_TABLE, "d", "a", "x$a"},
    {"d", "t", "a$b$", TEMPLATE_TABLE, "d", "t", "a$b$"},
    {"d", "t", "sys$$x", TEMPLATE_TABLE, "d", "t", "sys$x"},
    /* a group that took no part adds nothing; captures keep the source's case */
    {"d", "~^t(_old)?$", "t$1", TEMPLATE_TABLE, "d", "t", "t"},
    {"d", "~^(t.)$", "$1", TEMPLATE_TABLE, "d", "Tü", "Tü"},
    /* errors */
    {"db_*", "~^t_(\\d+)$", "x_$2", TEMPLATE_TABLE, "", "",
     "!$2 refers to a group that table-pattern \"~^t_(\\d+)$\" does not have (it has 1)"},
    {"db_*", "~^t_(\\d+)$", "x_$0", TEMPLATE_TABLE, "", "", "!$0 refers to a group"},
    {"db_*", "~^t_(\\d+)$", "$1", TEMPLATE_SCHEMA, "", "",
     "!$1 refers to schema-pattern \"db_*\", a wildcard"},
    {"db_*", "t_*", "x$1", TEMPLATE_TABLE, "", "", "!a wildcard without groups"},
    {"~(a)", NULL, "x$1", TEMPLATE_TABLE, "", "", "!refers to the table-pattern, but the rule has none"},
    {"d", "~(a)", "x${1", TEMPLATE_TABLE, "", "", "!${ is not closed"},
    {"d", "~(a)", "x${}", TEMPLATE_TABLE, "", "", "!${} refers to a group"},
    {"d", "~(a)", "x${nam}", TEMPLATE_TABLE, "", "", "!${nam} refers to a group"},
    {"d", "~(a)", "x${tbl:1}", TEMPLATE_TABLE, "", "", "!${tbl:1} names neither schema nor table"},
    {"d", "~(a)", "x${table:2}", TEMPLATE_TABLE, "", "", "!${table:2} refers to a group"},
    {"d", "~(a)", "x${99999999999999999999}", TEMPLATE_TABLE, "", "", "!refers to a group"},
    {"d", "t", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", TEMPLATE_TABLE, "", "",
     "!65 characters"},
};

START_TEST(expand)
{
    const Case *c = &cases[_i];
    Err err = {0};
    Arena arena = {0};
    Pattern *p[2] = {0};
    ck_assert(pattern_new(str_of(c->schema_pattern), false, &p[0], &err));
    if (c->table_pattern) ck_assert(pattern_new(str_of(c->table_pattern), false, &p[1], &err));
    const Pattern *const both[2] = {p[0], p[1]};
    Template *t;
    bool ok = template_new(str_of(c->text), c->own, both, &arena, &t, &err);
    if (c->want[0] == '!') {
        ck_assert_msg(!ok, "%s was taken", c->text);
        ck_assert_int_eq(err.code, ERR_ROUTE_PATTERN);
        ck_assert_msg(strstr(err.message, c->want + 1) != NULL, "%s: %s", c->text, err.message);
        ck_assert_ptr_nonnull(err.remedy);
        err_clear(&err);
    } else {
        ck_assert_msg(ok, "%s: %s", c->text, err.message);
        PatternGroups g[2] = {0};
        ck_assert_int_eq(pattern_match(p[0], str_of(c->schema), &arena, &g[0]), PATTERN_HIT);
        if (p[1]) ck_assert_int_eq(pattern_match(p[1], str_of(c->table), &arena, &g[1]), PATTERN_HIT);
        Str got = template_expand(t, g, &arena);
        ck_assert_str_eq(got.ptr, c->want);
    }
    pattern_free(p[0]);
    pattern_free(p[1]);
    arena_done(&arena);
}
END_TEST

static Suite *template_suite(void)
{
    Suite *s = suite_create("route/template");
    TCase *t = tcase_create("all");
    tcase_add_loop_test(t, expand, 0, ARRAY_LEN(cases));
    suite_add_tcase(s, t);
    return s;
}

UNIT_MAIN(template_suite)
