/* JSON diffs over documents, compared as text; what does not fit, and broken bytes. The servers' own diffs
 * are in fixtures/binlog (mysql_ev_partial). */
#include "unit.h"
#include "decode/json_binary.h"
#include "decode/json_diff.h"

/* {"a": 1, "l": [1, "x", true], "o": {}}, in the small form. */
static const char document[] = "\x00\x03\x00\x37\x00"
                               "\x19\x00\x01\x00\x1a\x00\x01\x00\x1b\x00\x01\x00"
                               "\x05\x01\x00\x02\x1c\x00\x00\x33\x00"
                               "alo"
                               "\x03\x00\x15\x00\x05\x01\x00\x0c\x0d\x00\x04\x01\x00"
                               "\x01x\x00\x00\x00\x00\x00\x00"
                               "\x00\x00\x00\x00\x04\x00";

static const Str the_document = {document, sizeof document - 1};

static void put_diff(StrBuf *b, unsigned kind, const char *path, Str value)
{
    sb_ch(b, (char)kind);
    sb_ch(b, (char)strlen(path));
    sb_c(b, path);
    if (kind == 2) return;
    sb_ch(b, (char)value.len);
    sb_str(b, value);
}

enum { REPLACE, INSERT, REMOVE };
#define TRUE_VALUE STR("\x04\x01")
#define NINE STR("\x05\x09\x00")
#define TEXT STR("\x0c\x04text")
#define EMPTY_OBJECT STR("\x00\x00\x00\x04\x00")

typedef struct Case {
    unsigned kind;
    const char *path;
    Str value;
    const char *want; /* NULL: refused */
} Case;

static const Case cases[] = {
    {REPLACE, "$.a", NINE, "{\"a\": 9, \"l\": [1, \"x\", true], \"o\": {}}"},
    {REPLACE, "$.l[1]", TEXT, "{\"a\": 1, \"l\": [1, \"text\", true], \"o\": {}}"},
    {REPLACE, "$", TEXT, "\"text\""},
    {REPLACE, "$.a[0]", NINE,
     "{\"a\": 9, \"l\": [1, \"x\", true], \"o\": {}}"}, /* a value is its own cell 0 */
    {REPLACE, "$[0].a[0][0]", NINE, "{\"a\": 9, \"l\": [1, \"x\", true], \"o\": {}}"},
    {INSERT, "$.b", TRUE_VALUE, "{\"a\": 1, \"b\": true, \"l\": [1, \"x\", true], \"o\": {}}"},
    {INSERT, "$.\"two words\"", NINE, "{\"a\": 1, \"l\": [1, \"x\", true], \"o\": {}, \"two words\": 9}"},
    {INSERT, "$.\"\\u00e4\\\"\\ud834\\udd1e\"", NINE,
     "{\"a\": 1, \"l\": [1, \"x\", true], \"o\": {}, \"ä\\\"𝄞\": 9}"},
    {INSERT, "$.o.x", EMPTY_OBJECT, "{\"a\": 1, \"l\": [1, \"x\", true], \"o\": {\"x\": {}}}"},
    {INSERT, "$.l[0]", NINE, "{\"a\": 1, \"l\": [9, 1, \"x\", true], \"o\": {}}"},
    {INSERT, "$.l[3]", NINE, "{\"a\": 1, \"l\": [1, \"x\", true, 9], \"o\": {}}"},
    {INSERT, "$.l[77]", NINE, "{\"a\": 1, \"l\": [1, \"x\", true, 9], \"o\": {}}"},
    {REMOVE, "$.a", {0}, "{\"l\": [1, \"x\", true], \"o\": {}}"},
    {REMOVE, "$.l[0]", {0}, "{\"a\": 1, \"l\": [\"x\", true], \"o\": {}}"},
    {REPLACE, "$.b", NINE, NULL},
    {REPLACE, "$.l[3]", NINE, NULL},
    {REPLACE, "$.a.b", NINE, NULL},
    {REPLACE, "$.l.x", NINE, NULL},
    {INSERT, "$.a", NINE, NULL},
    {INSERT, "$", NINE, NULL},
    {INSERT, "$.a[1]", NINE, NULL},
    {REMOVE, "$.b", {0}, NULL},
    {REMOVE, "$", {0}, NULL},
    {REMOVE, "$.l[3]", {0}, NULL},
    {REMOVE, "", {0}, NULL},
    {REMOVE, "a", {0}, NULL},
    {REMOVE, "$a", {0}, NULL},
    {REMOVE, "$.", {0}, NULL},
    {REMOVE, "$.\"a", {0}, NULL},
    {REMOVE, "$.l[", {0}, NULL},
    {REMOVE, "$.l[x]", {0}, NULL},
    {REMOVE, "$.l[1", {0}, NULL},
    {REMOVE, "$.\"\\u00g0\"", {0}, NULL},
    {REMOVE, "$.\"\\ud834x\"", {0}, NULL},
    {3, "$.a", {0}, NULL},
    {REPLACE, "$.a", {0}, NULL},
    {REPLACE, "$.a", {"\x07", 1}, NULL},
    {REPLACE, "$.a", {"\x63xxxx", 5}, NULL},
};

START_TEST(one_diff)
{
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        const Case *c = &cases[i];
        StrBuf diffs = {0}, out = {0}, text = {0};
        Err err = {0};
        put_diff(&diffs, c->kind, c->path, c->value);
        sb_ch(&out, '!');
        bool ok = json_diff_apply(the_document, sb_view(&diffs), &out, &err);
        ck_assert_msg(ok == (c->want != NULL), "%s: %s", c->path, err.message);
        if (ok) {
            ck_assert(json_binary_text(str_make(out.ptr + 1, out.len - 1), &text, &err));
            ck_assert_str_eq(text.ptr, c->want);
        } else {
            ck_assert(err.code == ERR_CORRUPT || err.code == ERR_DECODE_VALUE);
            ck_assert_str_eq(out.ptr, "!");
        }
        err_clear(&err);
        sb_done(&diffs);
        sb_done(&out);
        sb_done(&text);
    }
}
END_TEST

START_TEST(many_diffs)
{
    StrBuf diffs = {0}, out = {0}, text = {0};
    Err err = {0};
    put_diff(&diffs, INSERT, "$.o.x", EMPTY_OBJECT);
    put_diff(&diffs, INSERT, "$.o.x.y", NINE);
    put_diff(&diffs, REPLACE, "$.o.x.y", TEXT);
    put_diff(&diffs, REMOVE, "$.l[1]", (Str){0});
    put_diff(&diffs, REMOVE, "$.l[1]", (Str){0});
    put_diff(&diffs, INSERT, "$.l[0]", TRUE_VALUE);
    put_diff(&diffs, REMOVE, "$.a", (Str){0});
    ck_assert_msg(json_diff_apply(the_document, sb_view(&diffs), &out, &err), "%s", err.message);
    ck_assert(json_binary_text(sb_view(&out), &text, &err));
    ck_assert_str_eq(text.ptr, "{\"l\": [true, 1], \"o\": {\"x\": {\"y\": \"text\"}}}");
    /* what came out is a document that more diffs may change */
    StrBuf more = {0};
    sb_clear(&diffs);
    put_diff(&diffs, REPLACE, "$.o.x.y", NINE);
    ck_assert(json_diff_apply(sb_view(&out), sb_view(&diffs), &more, &err));
    sb_clear(&text);
    ck_assert(json_binary_text(sb_view(&more), &text, &err));
    ck_assert_str_eq(text.ptr, "{\"l\": [true, 1], \"o\": {\"x\": {\"y\": 9}}}");
    sb_done(&more);
    sb_done(&diffs);
    sb_done(&out);
    sb_done(&text);
}
END_TEST

/* Every byte of document and diffs is changed to every value: never more bytes out than went in twice and a
 * little. */
START_TEST(flips)
{
    StrBuf diffs = {0};
    put_diff(&diffs, INSERT, "$.l[1]", TEXT);
    put_diff(&diffs, REPLACE, "$.o", EMPTY_OBJECT);
    put_diff(&diffs, INSERT, "$.o.x", NINE);
    unsigned taken = 0;
    for (size_t at = 0; at < the_document.len + diffs.len; at++) {
        for (unsigned v = 0; v < 256; v++) {
            char *a = mem_alloc(the_document.len), *b = mem_alloc(diffs.len);
            memcpy(a, the_document.ptr, the_document.len);
            memcpy(b, diffs.ptr, diffs.len);
            *(at < the_document.len ? &a[at] : &b[at - the_document.len]) = (char)v;
            StrBuf out = {0};
            Err err = {0};
            if (json_diff_apply(str_make(a, the_document.len), str_make(b, diffs.len), &out, &err)) {
                taken++;
                ck_assert_uint_lt(out.len, 4 * (the_document.len + diffs.len));
            }
            err_clear(&err);
            sb_done(&out);
            free(a);
            free(b);
        }
    }
    ck_assert_uint_gt(taken, 100);
    sb_done(&diffs);
}
END_TEST

static Suite *diff_suite(void)
{
    Suite *s = suite_create("decode/json_diff");
    TCase *c = tcase_create("diffs");
    tcase_set_timeout(c, 60);
    tcase_add_test(c, one_diff);
    tcase_add_test(c, many_diffs);
    tcase_add_test(c, flips);
    suite_add_tcase(s, c);
    return s;
}

UNIT_MAIN(diff_suite)
