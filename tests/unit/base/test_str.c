#include "base/arena.h"
#include "base/err.h"
#include "random.h"
#include "unit.h"

static const struct {
    const char *text;
    bool ok_u, ok_i;
    uint64_t u;
    int64_t i;
} numbers[] = {
    {"0", true, true, 0, 0},
    {"007", true, true, 7, 7},
    {"18446744073709551615", true, false, UINT64_MAX, 0},
    {"18446744073709551616", false, false, 0, 0},
    {"99999999999999999999999", false, false, 0, 0},
    {"9223372036854775807", true, true, INT64_MAX, INT64_MAX},
    {"9223372036854775808", true, false, 9223372036854775808u, 0},
    {"-9223372036854775808", false, true, 0, INT64_MIN},
    {"-9223372036854775809", false, false, 0, 0},
    {"-0", false, true, 0, 0},
    {"", false, false, 0, 0},
    {"-", false, false, 0, 0},
    {"--1", false, false, 0, 0},
    {"+1", false, false, 0, 0},
    {" 1", false, false, 0, 0},
    {"1 ", false, false, 0, 0},
    {"0x1", false, false, 0, 0},
};

START_TEST(reads_numbers)
{
    uint64_t u = 77;
    int64_t i = 77;
    ck_assert_int_eq(str_to_u64(str_of(numbers[_i].text), &u), numbers[_i].ok_u);
    ck_assert_uint_eq(u, numbers[_i].ok_u ? numbers[_i].u : 77);
    ck_assert_int_eq(str_to_i64(str_of(numbers[_i].text), &i), numbers[_i].ok_i);
    ck_assert_int_eq(i, numbers[_i].ok_i ? numbers[_i].i : 77);
}
END_TEST

START_TEST(compares)
{
    Str empty = {0};
    ck_assert(str_eq(empty, STR("")));
    ck_assert(str_eq(str_of(NULL), empty));
    ck_assert(!str_eq(STR("a"), STR("A")));
    ck_assert(str_ieq(STR("Key"), STR("kEY")));
    ck_assert(!str_ieq(STR("key"), STR("keys")));
    ck_assert(str_starts(STR("abc"), STR("ab")) && str_starts(STR("abc"), empty));
    ck_assert(!str_starts(STR("ab"), STR("abc")) && !str_starts(STR("Abc"), STR("ab")));
    ck_assert(str_istarts(STR("Abc"), STR("aB")));
    ck_assert_int_lt(str_cmp(STR("a"), STR("b")), 0);
    ck_assert_int_lt(str_cmp(STR("a"), STR("aa")), 0);
    ck_assert_int_gt(str_cmp(STR("\xff"), STR("a")), 0); /* bytes, not signed characters */
    ck_assert_int_eq(str_cmp(empty, STR("")), 0);
    ck_assert(str_hash(STR("abc")) == str_hash(str_make("abcd", 3)) &&
              str_hash(STR("a")) != str_hash(STR("b")));
}
END_TEST

START_TEST(cuts)
{
    Str s = STR("a,,b");
    ck_assert(str_eqc(str_split(&s, ','), "a"));
    ck_assert(str_eqc(str_split(&s, ','), ""));
    ck_assert(str_eqc(str_split(&s, ','), "b"));
    ck_assert(str_eqc(s, "") && str_eqc(str_split(&s, ','), ""));
    s = STR("a,");
    ck_assert(str_eqc(str_split(&s, ','), "a") && s.len == 0);
    ck_assert(str_eqc(str_trim(STR(" \t\r\n\f\va b ")), "a b"));
    ck_assert(str_eqc(str_trim(STR(" \n")), "") && str_eqc(str_trim((Str){0}), ""));
    ck_assert_uint_eq(str_find(STR("abcabc"), STR("ca")), 2);
    ck_assert_uint_eq(str_find(STR("abc"), STR("")), 0);
    ck_assert_uint_eq(str_find(STR("ab"), STR("abc")), SIZE_MAX);
    ck_assert_uint_eq(str_find((Str){0}, STR("a")), SIZE_MAX);
}
END_TEST

START_TEST(distances)
{
    ck_assert_uint_eq(str_distance(STR("kitten"), STR("sitting")), 3);
    ck_assert_uint_eq(str_distance(STR("Meta-Schema"), STR("meta-schema")), 0);
    ck_assert_uint_eq(str_distance(STR(""), STR("abc")), 3);
    char longer[200];
    memset(longer, 'x', sizeof longer);
    ck_assert_uint_eq(str_distance(str_make(longer, 200), STR("")), 64);
}
END_TEST

START_TEST(buffers_grow)
{
    StrBuf b = {0};
    ck_assert(str_eqc(sb_view(&b), ""));
    for (int i = 0; i < 1000; i++) {
        sb_ch(&b, 'a');
        ck_assert_int_eq(b.ptr[b.len], 0);
    }
    sb_clear(&b);
    sb_u64(&b, UINT64_MAX);
    sb_ch(&b, ' ');
    sb_i64(&b, INT64_MIN);
    sb_printf(&b, " %d%s", 5, "");
    ck_assert_str_eq(b.ptr, "18446744073709551615 -9223372036854775808 5");
    char *taken = sb_take(&b);
    ck_assert_ptr_null(b.ptr);
    free(taken);
    taken = sb_take(&b);
    ck_assert_str_eq(taken, "");
    free(taken);
    sb_hex(&b, "\x00\xa9\xff", 3);
    ck_assert_str_eq(b.ptr, "00a9ff");
    sb_done(&b);
}
END_TEST

START_TEST(quotes)
{
    StrBuf b = {0};
    sb_ident(&b, STR("a`b"));
    sb_quoted(&b, STR("it's \\ \0\n\r\x1a \"\xc3\xa4"));
    ck_assert_str_eq(b.ptr, "`a``b`'it\\'s \\\\ \\0\\n\\r\\Z \"\xc3\xa4'");
    sb_clear(&b);
    sb_ident(&b, (Str){0});
    sb_quoted(&b, (Str){0});
    ck_assert_str_eq(b.ptr, "``''");
    sb_done(&b);
}
END_TEST

static bool is_all(const char *p, size_t n, char c)
{
    while (n && p[n - 1] == c)
        n--;
    return n == 0;
}

START_TEST(texts_become_utf8)
{
    static const struct {
        const char *in, *out;
    } cases[] = {
        {"", ""},
        {"plain", "plain"},
        {"\xc3\xa4 \xe2\x82\xac \xf0\x9f\x98\x80", "\xc3\xa4 \xe2\x82\xac \xf0\x9f\x98\x80"},
        {"cut \xe2\x82", "cut \xef\xbf\xbd\xef\xbf\xbd"},
        {"latin1 \xe4.", "latin1 \xef\xbf\xbd."},
        {"\xc0\x80", "\xef\xbf\xbd\xef\xbf\xbd"},
        {"\xed\xa0\x80", "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd"},
        {"\xf4\x90\x80\x80", "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        StrBuf b = {0};
        sb_utf8(&b, str_of(cases[i].in));
        ck_assert_msg(str_eq(sb_view(&b), str_of(cases[i].out)), "case %zu", i);
        sb_done(&b);
    }
}
END_TEST

START_TEST(arenas)
{
    Arena a = {0};
    Random r = {3};
    char *pieces[500];
    size_t sizes[500];
    for (int i = 0; i < 500; i++) {
        sizes[i] = random_chance(&r, 3) ? random_below(&r, 600000) : random_below(&r, 300);
        pieces[i] = i % 2 ? arena_alloc(&a, sizes[i]) : arena_zalloc(&a, sizes[i]);
        ck_assert_uint_eq((uintptr_t)pieces[i] % 16, 0);
        if (i % 2 == 0) ck_assert(is_all(pieces[i], sizes[i], 0));
        memset(pieces[i], i & 0xff, sizes[i]);
    }
    size_t sum = 0;
    for (int i = 0; i < 500; i++) {
        sum += sizes[i];
        ck_assert(is_all(pieces[i], sizes[i], (char)i));
    }
    ck_assert_uint_ge(a.bytes, sum);
    Str s = arena_str(&a, STR("abc"));
    ck_assert_str_eq(s.ptr, "abc");
    ck_assert_str_eq(arena_str(&a, (Str){0}).ptr, "");
    ck_assert_str_eq(arena_printf(&a, "%s-%d", "x", 7).ptr, "x-7");
    arena_done(&a);
    ck_assert_uint_eq(a.bytes, 0);
    arena_done(&a);
}
END_TEST

START_TEST(errors_keep_their_first_cause)
{
    Err e = {0}, copy = {0}, moved = {0};
    ck_assert(!err_is_set(&e));
    ck_assert_int_eq(err_class(&e), ERR_CLASS_NONE);
    ck_assert_int_eq(err_exit_status(&e), 0);
    ck_assert(!err_set(&e, ERR_IO, "file %s", "x"));
    ck_assert(!err_set(&e, ERR_BUG, "later"));
    ck_assert(!err_set_remedy(&e, ERR_BUG, "later", "later"));
    ck_assert(!err_wrap(&e, "source %d", 3));
    ck_assert_int_eq(e.code, ERR_IO);
    ck_assert_str_eq(e.message, "source 3: file x");
    ck_assert_str_eq(err_remedy(&e), "look at the named path and the system's error");
    ck_assert_int_eq(err_class(&e), ERR_CLASS_STOP_TASK);
    err_copy(&copy, &e);
    err_copy(&copy, &copy);
    err_move(&moved, &e);
    ck_assert(!err_is_set(&e));
    ck_assert_str_eq(copy.message, moved.message);
    ck_assert_ptr_ne(copy.message, moved.message);
    err_clear(&copy);
    ck_assert(!err_set_remedy(&copy, ERR_USAGE, "do this", "that"));
    ck_assert_str_eq(err_remedy(&copy), "do this");
    err_move(&moved, &copy); /* over what is there */
    ck_assert_int_eq(moved.code, ERR_USAGE);
    err_clear(&moved);
}
END_TEST

START_TEST(the_error_table_is_sound)
{
    ErrCode code, last = ERR_NONE;
    ErrClass cls;
    int exit_status;
    const char *name, *summary, *remedy;
    size_t n = 0;
    for (; err_table_row(n, &code, &cls, &exit_status, &name, &summary, &remedy); n++) {
        Err e = {.code = code};
        ck_assert_msg(code > last, "%s: numbers ascend", name);
        ck_assert_msg(cls > ERR_CLASS_NONE && cls <= ERR_CLASS_BUG && exit_status >= 1, "%s", name);
        ck_assert_msg(*summary && *remedy, "%s says nothing", name);
        ck_assert_str_eq(err_code_name(code), name);
        ck_assert_str_eq(err_summary(code), summary);
        ck_assert_str_eq(err_remedy(&e), remedy);
        ck_assert_int_eq(err_class(&e), cls);
        ck_assert_int_eq(err_exit_status(&e), exit_status);
        ck_assert_ptr_nonnull(err_class_name(cls));
        last = code;
    }
    ck_assert_uint_gt(n, 30);
}
END_TEST

static Suite *str_suite(void)
{
    Suite *s = suite_create("base/str, arena, err");
    TCase *t = tcase_create("str");
    tcase_add_loop_test(t, reads_numbers, 0, ARRAY_LEN(numbers));
    tcase_add_test(t, compares);
    tcase_add_test(t, cuts);
    tcase_add_test(t, distances);
    tcase_add_test(t, buffers_grow);
    tcase_add_test(t, quotes);
    tcase_add_test(t, texts_become_utf8);
    tcase_add_test(t, arenas);
    tcase_add_test(t, errors_keep_their_first_cause);
    tcase_add_test(t, the_error_table_is_sound);
    suite_add_tcase(s, t);
    return s;
}
UNIT_MAIN(str_suite)
