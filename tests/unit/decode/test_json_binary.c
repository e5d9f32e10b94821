/* MySQL's binary JSON made by hand; what the server itself writes is in the fixtures. */
#include "unit.h"
#include "bytes.h"
#include "decode/json_binary.h"

static const struct {
    const char *bytes;
    const char *text; /* NULL: ERR_DECODE_VALUE */
} cases[] = {
    {"04 00", "null"},
    {"04 01", "true"},
    {"04 02", "false"},
    {"04 03", NULL},
    {"05 ffff", "-1"},
    {"06 ffff", "65535"},
    {"07 ffffffff", "-1"},
    {"08 ffffffff", "4294967295"},
    {"09 0000000000000080", "-9223372036854775808"},
    {"0a ffffffffffffffff", "18446744073709551615"},
    {"0b 000000000000f03f", "1.0"},
    {"0b 0000000000000080", "-0.0"},
    {"0b 000000000000f07f", NULL},
    {"0c 00", "\"\""},
    {"0c 06 22 5c 0a 01 1f 7f", "\"\\\"\\\\\\n\\u0001\\u001f\x7f\""},
    {"0c 05 08 0c 0d 09 2f", "\"\\b\\f\\r\\t/\""},
    {"0c 01 00", "\"\\u0000\""},
    {"0c 8000", "\"\""}, /* a length may be longer than it needs */
    {"0c ffffffff0f", NULL},
    {"0c 8080808080 00", NULL},
    {"0d", NULL},
    {"0e 00", NULL},
    {"", NULL},
    /* small containers */
    {"00 0000 0400", "{}"},
    {"02 0000 0400", "[]"},
    {"02 0300 0d00 05 ffff 04 0100 06 ffff", "[-1, true, 65535]"},
    {"02 0200 0e00 0c 0a00 0c 0c00 01'a' 01'b'", "[\"a\", \"b\"]"},
    {"00 0100 0c00 0b00 0100 05 0100 'k'", "{\"k\": 1}"},
    {"00 0200 1600 1200 0000 1200 0200 04 0000 0c 1400 'kk' 01'v'", "{\"\": null, \"kk\": \"v\"}"},
    {"02 0100 0b00 02 0700 0000 0400", "[[]]"},
    /* large ones, with inlined 32 bit numbers */
    {"03 02000000 12000000 07 00000080 08 ffffffff", "[-2147483648, 4294967295]"},
    {"01 01000000 14000000 13000000 0100 05 ffff0000 'k'", "{\"k\": -1}"},
    /* numbers of 32 bits behind their offset in small containers */
    {"02 0200 1200 07 0a00 08 0e00 ffffffff 00000080", "[-1, 2147483648]"},
    /* opaque values */
    {"0f f6 05 05 02 807b2d", "123.45"},
    {"0f f6 05 05 02 7f84d2", "-123.45"},
    {"0f f6 04 05 02 807b", NULL},
    {"0f f6 01 05", NULL},
    {"0f 0a 08 0000000000bab219", "\"2024-02-29\""},
    {"0f 0c 08 40e201b8c8bab219", "\"2024-02-29 12:34:56.123456\""},
    {"0f 0b 08 0000000000000000", "\"00:00:00.000000\""},
    {"0f 0b 08 ffffffffffffffff", "\"-00:00:00.000001\""},
    {"0f 0b 07 00000000000000", NULL},
    {"0f 0f 04 'abcd'", "\"base64:type15:YWJjZA==\""},
    {"0f fc 00", "\"base64:type252:\""},
    {"0f 10 02 ffff", "\"base64:type16://8=\""},
    {"0f 0f 3a '0123456789012345678901234567890123456789012345678901234567'",
     "\"base64:type15:MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2\\nNw==\""},
    {"0f 0f 05 'abcd'", NULL},
    /* broken containers */
    {"02 0100 0400", NULL},                   /* no room for the entry */
    {"02 0000 0500", NULL},                   /* longer than the value */
    {"02 0000 0300", NULL},                   /* shorter than its head */
    {"02 ffff 0700 05 0000", NULL},           /* too many elements */
    {"02 0100 0700 0c 0700", NULL},           /* offset at the end */
    {"02 0100 0700 0c ffff", NULL},           /* offset beyond */
    {"00 0100 0b00 0b00 0100 05 0100", NULL}, /* key beyond */
    {"02 0100 0700 02 0000", NULL},           /* an array inside itself */
    {"02 0100 0700 04 0500", NULL},
    {"02 0200 0c00 0c 0a00 0c 0a00 01'a'", NULL}, /* two values at one place: more work than bytes */
};

START_TEST(documents)
{
    Str b = bytes_of(cases[_i].bytes);
    StrBuf out = {0};
    Err err = {0};
    sb_c(&out, "x");
    bool ok = json_binary_text(b, &out, &err);
    ck_assert_msg(ok == (cases[_i].text != NULL), "%s: %s", cases[_i].bytes, ok ? out.ptr : err.message);
    if (ok) {
        ck_assert_str_eq(out.ptr + 1, cases[_i].text);
        for (size_t n = 0; n < b.len; n++) { /* any cut fails, or reads less */
            char *copy = mem_alloc(n);
            memcpy(copy, b.ptr, n);
            ck_assert_msg(!json_binary_text(str_make(copy, n), &out, &err), "%zu bytes of %s", n,
                          cases[_i].bytes);
            ck_assert_int_eq(err.code, ERR_DECODE_VALUE);
            err_clear(&err);
            free(copy);
        }
    } else {
        ck_assert_int_eq(err.code, ERR_DECODE_VALUE);
        ck_assert_uint_eq(out.len, 1);
    }
    err_clear(&err);
    sb_done(&out);
    bytes_free(b);
}
END_TEST

/* Arrays in arrays: 100 levels (the server's limit) are read, endless ones are not. */
START_TEST(depth)
{
    for (unsigned levels = 90; levels <= 200; levels += 10) {
        StrBuf b = {0}, out = {0};
        Err err = {0};
        sb_ch(&b, 2);
        for (unsigned i = levels; i-- > 0;) {
            unsigned size = 4 + 7 * i;
            char head[7] = {(char)(i > 0), 0, (char)(size & 255), (char)(size >> 8), 2, 7, 0};
            sb_add(&b, head, i ? 7 : 4);
        }
        bool ok = json_binary_text(sb_view(&b), &out, &err);
        if (levels <= 100) ck_assert_msg(ok && out.len == 2 * levels, "%u levels", levels);
        if (levels >= 150) ck_assert(!ok && err.code == ERR_DECODE_VALUE);
        err_clear(&err);
        sb_done(&b);
        sb_done(&out);
    }
}
END_TEST

static Suite *json_suite(void)
{
    Suite *s = suite_create("decode/json_binary");
    TCase *t = tcase_create("documents");
    tcase_add_loop_test(t, documents, 0, (int)ARRAY_LEN(cases));
    tcase_add_test(t, depth);
    suite_add_tcase(s, t);
    return s;
}

UNIT_MAIN(json_suite)
