/* Name patterns: DM's wildcards with their documented traps, regular expressions with their limits. */
#include "route/pattern.h"
#include "unit.h"
#include <stdlib.h>

typedef struct MatchCase {
    const char *pattern, *name;
    bool hit;           /* case-insensitive, the default */
    bool hit_sensitive; /* the same with case-sensitive: true */
} MatchCase;

static const MatchCase matches[] = {
    /* literals and case */
    {"orders", "orders", true, true},
    {"orders", "ORDERS", true, false},
    {"Orders", "orders", true, false},
    {"orders", "orders_1", false, false},
    {"orders", "my_orders", false, false},
    {"ÜBER", "über", true, false},
    {"заказ_?", "ЗАКАЗ_1", true, false},
    /* *: zero or more, last */
    {"t_*", "t_", true, true},
    {"t_*", "t_1", true, true},
    {"t_*", "t", false, false},
    {"*", "anything", true, true},
    {"*", "", true, true},
    {"doc*", "doc", true, true},
    {"doc*", "document", true, true},
    {"doc*", "dodo", false, false},
    /* ?: exactly one character, not byte */
    {"t_?", "t_1", true, true},
    {"t_?", "t_", false, false},
    {"t_?", "t_12", false, false},
    {"t_?", "t_é", true, true},
    {"t_??", "t_é", false, false},
    {"?", "漢", true, true},
    {"t_?*", "t_1", true, true},
    {"t_?*", "t_", false, false},
    /* classes */
    {"t_[0-9]", "t_5", true, true},
    {"t_[0-9]", "t_a", false, false},
    {"t_[0-9]", "t_10", false, false},
    {"t_[0-9][0-9]", "t_10", true, true},
    {"t_[abc]", "t_b", true, true},
    {"t_[abc]", "t_d", false, false},
    {"t_[a-c]", "t_B", true, false},
    {"t_[!0-9]", "t_a", true, true},
    {"t_[!0-9]", "t_7", false, false},
    {"t_[!a-c]", "t_B", false, true},
    {"t_[!]", "t_!", true, true},
    {"t_[!]", "t_a", false, false},
    {"t_[a-]", "t_-", true, true},
    {"t_[a-]", "t_a", true, true},
    {"t_[-a]", "t_-", true, true},
    {"t_[^a]", "t_^", true, true},
    {"t_[^a]", "t_b", false, false},
    {"t_[\\]", "t_\\", true, true},
    {"t_[*?]", "t_*", true, true},
    {"t_[é-ü]", "t_ö", true, true},
    {"db_[0-9]*", "db_7_old", true, true},
    /* the documented trap: a class is one character, here 0..6 and 3 */
    {"table_[0-63]", "table_5", true, true},
    {"table_[0-63]", "table_63", false, false},
    {"table_[0-63]", "table_7", false, false},
    /* what is special elsewhere is itself here */
    {"t.1", "t.1", true, true},
    {"t.1", "tx1", false, false},
    {"t_(1)", "t_(1)", true, true},
    {"t$1", "t$1", true, true},
    {"t_%", "t_1", false, false},
    {"t|u", "t|u", true, true},
    {"t\\d", "t1", false, false},
    {"t\\d", "t\\d", true, true},
    {"t_[1", "t_[1", true, true},
    {"t]", "t]", true, true},
    {"a b", "a b", true, true},
    /* regular expressions */
    {"~^t_\\d+$", "t_63", true, true},
    {"~^t_\\d+$", "t_63_bak", false, false},
    {"~^t_\\d+$", "T_63", true, false},
    {"~t_\\d", "my_t_1_bak", true, true},
    {"~^(orders|items)_\\d{4}$", "items_2024", true, true},
    {"~^t$", "t\n", false, false},
    {"~^\\D+$", "abc", true, true},
    {"~^\\D+$", "a1", false, false},
    {"~^(?:a|b)(?!_tmp)", "a_tmp", false, false},
    {"~^(?:a|b)(?!_tmp)", "a_x", true, true},
    {"~^(?P<n>\\w+)_\\pN$", "x_1", true, true},
    {"~^ü.$", "Üé", true, false},
};

START_TEST(match)
{
    const MatchCase *c = &matches[_i];
    for (int sensitive = 0; sensitive < 2; sensitive++) {
        Pattern *p;
        Err err = {0};
        ck_assert_msg(pattern_new(str_of(c->pattern), sensitive, &p, &err), "%s: %s", c->pattern,
                      err.message);
        bool want = sensitive ? c->hit_sensitive : c->hit;
        PatternResult got = pattern_match(p, str_of(c->name), NULL, NULL);
        ck_assert_msg(got == (want ? PATTERN_HIT : PATTERN_MISS), "%s on %s (sensitive %d): %d", c->pattern,
                      c->name, sensitive, got);
        pattern_free(p);
    }
}
END_TEST

typedef struct BadCase {
    const char *pattern, *message;
} BadCase;

static const BadCase bad[] = {
    {"", "the pattern is empty"},
    {"~", "the pattern is empty"},
    {"*_t", "* stands at character 1"},
    {"a*b", "* stands at character 2"},
    {"t**", "* stands at character 2"},
    {"t_[]", "the class [] matches nothing"},
    {"t_[z-a]", "range out of order"},
    {"~(", "missing closing parenthesis at character 2"},
    {"~a{2,1}", "numbers out of order"},
    {"~[z-a]", "range out of order"},
    {"~*", "quantifier does not follow"},
    {"~\\C", "\\C is disabled"},
    {"~\xff", "UTF-8 error"},
};

START_TEST(refuse)
{
    const BadCase *c = &bad[_i];
    Pattern *p;
    Err err = {0};
    ck_assert_msg(!pattern_new(str_of(c->pattern), false, &p, &err), "%s was taken", c->pattern);
    ck_assert_ptr_null(p);
    ck_assert_int_eq(err.code, ERR_ROUTE_PATTERN);
    ck_assert_msg(strcasestr(err.message, c->message) != NULL, "%s: %s", c->pattern, err.message);
    err_clear(&err);
}
END_TEST

START_TEST(refuse_long)
{
    char *text = malloc(5001);
    memset(text, 'a', 5000);
    text[5000] = 0;
    Pattern *p;
    Err err = {0};
    ck_assert(!pattern_new(str_of(text), false, &p, &err));
    ck_assert_int_eq(err.code, ERR_ROUTE_PATTERN);
    err_clear(&err);
    free(text);
}
END_TEST

START_TEST(groups)
{
    Pattern *p;
    Err err = {0};
    Arena arena = {0};
    ck_assert(pattern_new(STR("~^(\\w)_(?<year>\\d+)(_old)?(x)?$"), false, &p, &err));
    ck_assert(pattern_is_regex(p));
    ck_assert_uint_eq(pattern_n_groups(p), 4);
    ck_assert_uint_eq(pattern_group_named(p, STR("year")), 2);
    ck_assert_uint_eq(pattern_group_named(p, STR("month")), 0);
    PatternGroups g;
    ck_assert_int_eq(pattern_match(p, STR("A_2024x"), &arena, &g), PATTERN_HIT);
    ck_assert_uint_eq(g.n, 4);
    ck_assert(str_eqc(g.groups[0], "A"));
    ck_assert(str_eqc(g.groups[1], "2024"));
    ck_assert(g.groups[2].ptr == NULL);
    ck_assert(str_eqc(g.groups[3], "x"));
    ck_assert_int_eq(pattern_match(p, STR("A_2024"), &arena, &g), PATTERN_HIT);
    ck_assert_uint_eq(g.n, 4);
    ck_assert(g.groups[3].ptr == NULL);
    ck_assert_int_eq(pattern_match(p, STR("A"), &arena, &g), PATTERN_MISS);
    ck_assert_uint_eq(g.n, 0);
    pattern_free(p);
    ck_assert(pattern_new(STR("t_(1)*"), false, &p, &err));
    ck_assert(!pattern_is_regex(p));
    ck_assert_uint_eq(pattern_n_groups(p), 0);
    pattern_free(p);
    arena_done(&arena);
}
END_TEST

/* A pattern that explodes is answered by "cannot say" within the time limit of the test, never by a wrong yes
 * or no. */
static const char *const explosive[] = {"~^(a+)+$", "~^(a|aa)+$", "~^(a|a?)+$", "~^(\\w+\\w+)+$"};

START_TEST(limits)
{
    Pattern *p;
    Err err = {0};
    ck_assert(pattern_new(str_of(explosive[_i]), false, &p, &err));
    char name[66];
    memset(name, 'a', 64);
    name[64] = '!';
    for (int round = 0; round < 20; round++)
        ck_assert_int_eq(pattern_match(p, str_make(name, 65), NULL, NULL), PATTERN_FAILED);
    pattern_free(p);
}
END_TEST

typedef struct LintCase {
    const char *pattern;
    const char *warning; /* part of it; NULL: none */
} LintCase;

static const LintCase lints[] = {
    {"t_*", NULL},
    {"t_[0-9]", NULL},
    {"t_[0-9a-f]", NULL},
    {"t_[!0-9]", NULL},
    {"t_[0-9][0-9]", NULL},
    {"table_[0-63]", "[0-63] is one digit"},
    {"table_[1-12]", "[1-12] is one digit"},
    {"table_[10-20]", "[10-20] is one digit"},
    {"~^table_[0-63]$", "[0-63] is one digit"},
    {"~^table_[0-9]{1,2}$", NULL},
    {"~^t\\[0-63\\]$", NULL},
    {"~t_\\d", "anywhere in the name"},
    {"~^t_\\d", NULL},
    {"~t_\\d$", NULL},
    {"^t_[0-9]", "looks like a regular expression"},
    {"t_\\d", "looks like a regular expression"},
    {"(a|b)", "looks like a regular expression"},
    {"t_%", "% stands for itself"},
    {"t_[0-9", "[ without ]"},
};

START_TEST(lint)
{
    const LintCase *c = &lints[_i];
    Pattern *p;
    Err err = {0};
    Arena arena = {0};
    ck_assert_msg(pattern_new(str_of(c->pattern), false, &p, &err), "%s: %s", c->pattern, err.message);
    Str texts[PATTERN_LINT_MAX];
    size_t n = pattern_lint(p, &arena, texts);
    ck_assert_msg(n == (c->warning ? 1 : 0), "%s: %zu warnings", c->pattern, n);
    if (n) ck_assert_msg(str_find(texts[0], str_of(c->warning)) != SIZE_MAX, "%s", texts[0].ptr);
    pattern_free(p);
    arena_done(&arena);
}
END_TEST

static Suite *pattern_suite(void)
{
    Suite *s = suite_create("route/pattern");
    TCase *t = tcase_create("all");
    tcase_add_loop_test(t, match, 0, ARRAY_LEN(matches));
    tcase_add_loop_test(t, refuse, 0, ARRAY_LEN(bad));
    tcase_add_test(t, refuse_long);
    tcase_add_test(t, groups);
    tcase_add_loop_test(t, limits, 0, ARRAY_LEN(explosive));
    tcase_add_loop_test(t, lint, 0, ARRAY_LEN(lints));
    suite_add_tcase(s, t);
    return s;
}

UNIT_MAIN(pattern_suite)
