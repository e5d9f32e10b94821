#include "model/charset_text.h"
#include "unit.h"

/* A few of each kind; all characters of all sets are compared with the servers in
 * tests/e2e/test_charset_text.py. utf8 NULL: not to be converted. */
static const struct {
    const char *charset, *text, *utf8;
} cases[] = {
    {"latin1", "ALTER TABLE t", "ALTER TABLE t"},
    {"latin1", "caf\xE9 \x80 \x81", "café € \xC2\x81"}, /* cp1252, and what that leaves out */
    {"cp1250", "\xE8", "č"},
    {"cp1250", "\x81", NULL},
    {"koi8r", "\xD6", "ж"},
    {"ascii", "plain", "plain"},
    {"ascii", "\xE9", NULL},
    {"gbk", "\x95\x5C\x80", NULL},
    {"gbk", "'\x81\x5C'", "'乗'"}, /* its second byte is a backslash */
    {"gbk", "\x81", NULL},
    {"sjis", "\\~ \x95\x5C \xB1", "\\~ 表 ｱ"},
    {"sjis", "\x81\x5F", NULL}, /* a backslash to the servers, a full-width one to others */
    {"cp932", "\x81\x60 \x87\x40", "～ ①"},
    {"ujis", "\xA4\xA2 \x8E\xB1 \x8F\xB0\xA1", "あ ｱ 丂"},
    {"eucjpms", "\xAD\xA1", "①"},
    {"big5", "\xA4\xA4", "中"},
    {"big5", "\xC6\xE7", NULL},
    {"euckr", "\xB0\xA1 \x81\x41", "가 갂"},
    {"euckr", "\x41\xFF", NULL},
    {"gb2312", "\xD6\xD0", "中"},
    {"gb18030", "\xD6\xD0 \x81\x30\x81\x30 \x90\x30\x81\x30", "中 \xC2\x80 𐀀"},
    {"binary", "café", "café"},
    {"binary", "caf\xE9", NULL},
    {"utf8mb4", "café 😀", "café 😀"},
    {"utf8mb4", "\xED\xA0\x80", NULL}, /* a surrogate */
    {"utf8mb4", "\xC0\x80", NULL},
    {"swe7", "DROP TABLE `t`", "DROP TABLE `t`"},
    {"swe7", "a{b", NULL},
    {"swe7", "'`'", NULL},
    {"ucs2", "ab", "慢"},
};

START_TEST(there_and_back)
{
    Arena arena = {0};
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        Str out, in = str_of(cases[i].text);
        const Charset *c = charset_by_name(str_of(cases[i].charset));
        ck_assert_ptr_nonnull(c);
        bool ok = charset_text_to_utf8(c, in, &arena, &out);
        ck_assert_msg(ok == (cases[i].utf8 != NULL), "%s %zu", cases[i].charset, i);
        if (!ok) continue;
        ck_assert_msg(str_eqc(out, cases[i].utf8), "%s %zu: " STR_FMT, cases[i].charset, i, STR_ARG(out));
        ck_assert_msg(charset_text_from_utf8(c, out, &arena, &out), "%s %zu", cases[i].charset, i);
        ck_assert_msg(str_eq(out, in), "%s %zu: not the same again", cases[i].charset, i);
    }
    arena_done(&arena);
}
END_TEST

START_TEST(wide_ones_are_padded)
{
    Arena arena = {0};
    Str out;
    ck_assert(charset_text_to_utf8(charset_by_name(STR("ucs2")), STR("\xE9"), &arena, &out));
    ck_assert(str_eqc(out, "é"));
    ck_assert(charset_text_to_utf8(charset_by_name(STR("utf32")), STR("\x01\xF6\x00"), &arena, &out));
    ck_assert(str_eqc(out, "😀"));
    ck_assert(charset_text_to_utf8(charset_by_name(STR("utf16le")), STR("a\0"), &arena, &out));
    ck_assert(str_eqc(out, "a"));
    ck_assert(!charset_text_to_utf8(charset_by_name(STR("utf16")), STR("\xD8\x00"), &arena, &out));
    arena_done(&arena);
}
END_TEST

START_TEST(what_a_set_lacks)
{
    static const struct {
        const char *charset, *utf8;
    } lacking[] = {
        {"latin1", "č"}, {"gbk", "😀"},   {"utf8mb3", "😀"}, {"ascii", "é"},
        {"sjis", "＼"},  {"big5", "あ"}, {"ucs2", "😀"},
    };
    Arena arena = {0};
    Str out;
    for (size_t i = 0; i < ARRAY_LEN(lacking); i++)
        ck_assert_msg(!charset_text_from_utf8(charset_by_name(str_of(lacking[i].charset)),
                                              str_of(lacking[i].utf8), &arena, &out),
                      "%s", lacking[i].charset);
    arena_done(&arena);
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("charset_text");
    TCase *c = tcase_create("charset_text");
    tcase_add_test(c, there_and_back);
    tcase_add_test(c, wide_ones_are_padded);
    tcase_add_test(c, what_a_set_lacks);
    suite_add_tcase(s, c);
    return s;
}
UNIT_MAIN(suite)
