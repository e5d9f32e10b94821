#include "db/shown_text.h"
#include "unit.h"

START_TEST(expressions)
{
    static const struct {
        const char *shown, *meant;
    } cases[] = {
        {"(`a` + 1)", "(`a` + 1)"},
        {"(`a` <> _utf8mb4\\'it\\\\\\'s\\')", "(`a` <> _utf8mb4'it\\'s')"},
        {"(`gr\xc3\x83\xc2\xb6\xc3\x83\xc2\x9f"
         "e` >= 0)",
         "(`gr\xc3\xb6\xc3\x9f"
         "e` >= 0)"},
        {"(`\xe6\x97\xa5` >= 0)", "(`\xe6\x97\xa5` >= 0)"}, /* not encoded twice */
        {"(`\xc3", "(`\xc3"},                               /* cut off */
    };
    Arena arena = {0};
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        ck_assert_str_eq(shown_expression(&arena, str_of(cases[i].shown), true).ptr, cases[i].meant);
        ck_assert_str_eq(shown_expression(&arena, str_of(cases[i].shown), false).ptr, cases[i].shown);
    }
    arena_done(&arena);
}
END_TEST

START_TEST(defaults)
{
    static const struct {
        const char *shown;
        DefaultKind kind;
        const char *text;
    } mariadb[] = {
        {NULL, DEFAULT_NONE, NULL},
        {"NULL", DEFAULT_NULL, NULL},
        {"'it''s'", DEFAULT_LITERAL, "it's"},
        {"-1.50", DEFAULT_LITERAL, "-1.50"},
        {"b'101'", DEFAULT_LITERAL, "b'101'"},
        {"x'4142'", DEFAULT_LITERAL, "AB"},
        {"X''", DEFAULT_LITERAL, ""},
        {"x'", DEFAULT_EXPR, "x'"},
        {"current_timestamp()", DEFAULT_EXPR, "current_timestamp()"},
        {"'a' + 'b'", DEFAULT_EXPR, "'a' + 'b'"},
    };
    Arena arena = {0};
    for (size_t i = 0; i < ARRAY_LEN(mariadb); i++) {
        ColumnDef c = {.data_type = STR("varchar")};
        shown_default_mariadb(&c, &arena, mariadb[i].shown ? str_of(mariadb[i].shown) : (Str){0});
        ck_assert_int_eq(c.default_kind, mariadb[i].kind);
        if (mariadb[i].text) ck_assert_str_eq(c.default_text.ptr, mariadb[i].text);
    }
    ColumnDef c = {.data_type = STR("binary")};
    shown_default_mysql(&c, &arena, STR("0x414200"), (Str){0}, true);
    ck_assert(str_eq(c.default_text, STR("AB\0")));
    c = (ColumnDef){.data_type = STR("char")};
    shown_default_mysql(&c, &arena, STR("uuid()"), STR("DEFAULT_GENERATED"), true);
    ck_assert_int_eq(c.default_kind, DEFAULT_EXPR);
    shown_default_mysql(&c, &arena, (Str){0}, (Str){0}, true);
    ck_assert_int_eq(c.default_kind, DEFAULT_NULL);
    c.not_null = true;
    shown_default_mysql(&c, &arena, (Str){0}, (Str){0}, true);
    ck_assert_int_eq(c.default_kind, DEFAULT_NONE);
    arena_done(&arena);
}
END_TEST

START_TEST(members)
{
    Arena arena = {0};
    ColumnDef c = {.column_type = STR("enum('a','it''s','')")};
    ck_assert(shown_members(&c, &arena));
    ck_assert_uint_eq(c.n_members, 3);
    ck_assert_str_eq(c.members[1].ptr, "it's");
    static const char *const bad[] = {"enum", "enum(", "enum('a'", "enum('a';", "enum('a"};
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        c = (ColumnDef){.column_type = str_of(bad[i])};
        ck_assert_msg(!shown_members(&c, &arena), "%s", bad[i]);
    }
    arena_done(&arena);
}
END_TEST

static Suite *shown_text_suite(void)
{
    Suite *s = suite_create("db/shown_text");
    TCase *c = tcase_create("texts");
    tcase_add_test(c, expressions);
    tcase_add_test(c, defaults);
    tcase_add_test(c, members);
    suite_add_tcase(s, c);
    return s;
}

UNIT_MAIN(shown_text_suite)
