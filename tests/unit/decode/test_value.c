/* One value at a time: bytes made by hand. */
#include "unit.h"
#include <stdio.h>
#include "bytes.h"
#include "decode/value.h"
#include "decode/decode_internal.h"
#include "model/coltype.h"

static const Str members[] = {{"a", 1}, {"it's", 4}, {"c", 1}};

typedef struct Case {
    uint8_t type;
    uint16_t meta;
    bool is_unsigned;
    const char *bytes;
    const char *sql, *text; /* sql NULL: ERR_DECODE_VALUE */
} Case;

#define U true
#define S false

static const Case cases[] = {
    {COLTYPE_TINY, 0, S, "80", "-128", "-128"},
    {COLTYPE_TINY, 0, U, "80", "128", "128"},
    {COLTYPE_TINY, 0, S, "", NULL, NULL},
    {COLTYPE_TINY, 0, S, "0000", NULL, NULL},
    {COLTYPE_SHORT, 0, S, "ffff", "-1", "-1"},
    {COLTYPE_SHORT, 0, U, "ffff", "65535", "65535"},
    {COLTYPE_INT24, 0, S, "000080", "-8388608", "-8388608"},
    {COLTYPE_INT24, 0, S, "ffff7f", "8388607", "8388607"},
    {COLTYPE_INT24, 0, U, "ffffff", "16777215", "16777215"},
    {COLTYPE_LONG, 0, S, "00000080", "-2147483648", "-2147483648"},
    {COLTYPE_LONG, 0, U, "ffffffff", "4294967295", "4294967295"},
    {COLTYPE_LONGLONG, 0, S, "0000000000000080", "-9223372036854775808", "-9223372036854775808"},
    {COLTYPE_LONGLONG, 0, U, "ffffffffffffffff", "18446744073709551615", "18446744073709551615"},
    {COLTYPE_LONGLONG, 0, S, "ffffffffffffff", NULL, NULL},
    {COLTYPE_YEAR, 0, U, "00", "0", "0000"},
    {COLTYPE_YEAR, 0, U, "01", "1901", "1901"},
    {COLTYPE_YEAR, 0, S, "ff", "2155", "2155"},
    {COLTYPE_BIT, 0x0001, S, "01", "1", "1"},
    {COLTYPE_BIT, 0x0101, S, "0100", "256", "256"},
    {COLTYPE_BIT, 0x0800, S, "ffffffffffffffff", "18446744073709551615", "18446744073709551615"},
    {COLTYPE_BIT, 0x0800, S, "", NULL, NULL},
    {COLTYPE_BIT, 0x0800, S, "000000000000000000", NULL, NULL},
    {COLTYPE_FLOAT, 4, S, "0000c03f", "1.5e0", "1.5"},
    {COLTYPE_FLOAT, 4, S, "cdcccc3d", "0.10000000149011612e0", "0.1"},
    {COLTYPE_FLOAT, 4, S, "00000080", "-0e0", "-0"},
    {COLTYPE_FLOAT, 4, S, "ffff7f7f", "3.4028234663852886e38", "3.4028235e38"},
    {COLTYPE_FLOAT, 4, S, "0000807f", NULL, NULL}, /* infinity */
    {COLTYPE_FLOAT, 4, S, "0000c07f", NULL, NULL}, /* not a number */
    {COLTYPE_FLOAT, 4, S, "0000c03f00", NULL, NULL},
    {COLTYPE_DOUBLE, 8, S, "000000000000f03f", "1e0", "1"},
    {COLTYPE_DOUBLE, 8, S, "9a9999999999b93f", "0.1e0", "0.1"},
    {COLTYPE_DOUBLE, 8, S, "0000000000000080", "-0e0", "-0"},
    {COLTYPE_DOUBLE, 8, S, "0100000000000000", "5e-324", "5e-324"},
    {COLTYPE_DOUBLE, 8, S, "ffffffffffffefff", "-1.7976931348623157e308", "-1.7976931348623157e308"},
    {COLTYPE_DOUBLE, 8, S, "000000000000f07f", NULL, NULL},
    {COLTYPE_NEWDECIMAL, 0x0100, S, "81", "1", "1"},
    {COLTYPE_NEWDECIMAL, 0x0502, S, "807b2d", "123.45", "123.45"},
    {COLTYPE_NEWDECIMAL, 0x0502, S, "7f84d2", "-123.45", "-123.45"},
    {COLTYPE_NEWDECIMAL, 0x0502, S, "800001", "0.01", "0.01"},
    {COLTYPE_NEWDECIMAL, 0x0502, S, "7ffffe", "-0.01", "-0.01"},
    {COLTYPE_NEWDECIMAL, 0x0502, S, "800000", "0.00", "0.00"},
    {COLTYPE_NEWDECIMAL, 0x0502, S, "7fffff", "0.00", "0.00"},
    {COLTYPE_NEWDECIMAL, 0x0502, S, "800064", NULL, NULL}, /* 100 in a group of two digits */
    {COLTYPE_NEWDECIMAL, 0x0502, S, "8000", NULL, NULL},
    {COLTYPE_NEWDECIMAL, 0x0e04, S, "810dfb38d204d2", "1234567890.1234", "1234567890.1234"},
    {COLTYPE_DATE, 0, S, "5dd00f", "'2024-02-29'", "2024-02-29"},
    {COLTYPE_DATE, 0, S, "000000", "'0000-00-00'", "0000-00-00"},
    {COLTYPE_NEWDATE, 0, S, "e0c80f", "'2020-07-00'", "2020-07-00"},
    {COLTYPE_DATE, 0, S, "e0c9", NULL, NULL},
    {COLTYPE_TIME, 0, S, "40e201", "'12:34:56'", "12:34:56"},
    {COLTYPE_TIME, 0, S, "c01dfe", "'-12:34:56'", "-12:34:56"},
    {COLTYPE_TIME2, 0, S, "800000", "'00:00:00'", "00:00:00"},
    {COLTYPE_TIME2, 0, S, "7fffff", "'-00:00:01'", "-00:00:01"},
    {COLTYPE_TIME2, 0, S, "b46efb", "'838:59:59'", "838:59:59"},
    {COLTYPE_TIME2, 0, S, "4b9105", "'-838:59:59'", "-838:59:59"},
    {COLTYPE_TIME2, 2, S, "7fffffff", "'-00:00:00.01'", "-00:00:00.01"},
    {COLTYPE_TIME2, 1, S, "80000032", "'00:00:00.5'", "00:00:00.5"},
    {COLTYPE_TIME2, 1, S, "7fffffce", "'-00:00:00.5'", "-00:00:00.5"},
    {COLTYPE_TIME2, 4, S, "7fffffffff", "'-00:00:00.0001'", "-00:00:00.0001"},
    {COLTYPE_TIME2, 6, S, "7fffffffffff", "'-00:00:00.000001'", "-00:00:00.000001"},
    {COLTYPE_TIME2, 6, S, "800000ffffff", NULL, NULL}, /* 16777215 microseconds */
    {COLTYPE_TIME2, 7, S, "8000000000000000", NULL, NULL},
    {COLTYPE_DATETIME2, 0, S, "99b2bac8b8", "'2024-02-29 12:34:56'", "2024-02-29 12:34:56"},
    {COLTYPE_DATETIME2, 3, S, "99b2bac8b81ed2", "'2024-02-29 12:34:56.789'", "2024-02-29 12:34:56.789"},
    {COLTYPE_DATETIME2, 0, S, "8000000000", "'0000-00-00 00:00:00'", "0000-00-00 00:00:00"},
    {COLTYPE_DATETIME2, 6, S, "8000000000000000", "'0000-00-00 00:00:00.000000'",
     "0000-00-00 00:00:00.000000"},
    {COLTYPE_DATETIME2, 0, S, "0000000000", NULL, NULL},
    {COLTYPE_DATETIME2, 2, S, "8000000000ff", NULL, NULL},
    {COLTYPE_DATETIME, 0, S, "80c5aa8b68120000", "'2024-02-29 12:34:56'", "2024-02-29 12:34:56"},
    {COLTYPE_DATETIME, 0, S, "ffffffffffffffff", NULL, NULL},
    {COLTYPE_TIMESTAMP, 0, S, "00000000", "'0000-00-00 00:00:00'", "0000-00-00 00:00:00"},
    {COLTYPE_TIMESTAMP, 0, S, "01000000", "'1970-01-01 00:00:01'", "1970-01-01 00:00:01"},
    {COLTYPE_TIMESTAMP2, 0, S, "7fffffff", "'2038-01-19 03:14:07'", "2038-01-19 03:14:07"},
    {COLTYPE_TIMESTAMP2, 0, S, "ffffffff", "'2106-02-07 06:28:15'", "2106-02-07 06:28:15"},
    {COLTYPE_TIMESTAMP2, 0, S, "38bc2f3f", "'2000-02-29 20:42:39'", "2000-02-29 20:42:39"},
    {COLTYPE_TIMESTAMP2, 3, S, "000000000000", "'0000-00-00 00:00:00.000'", "0000-00-00 00:00:00.000"},
    {COLTYPE_TIMESTAMP2, 5, S, "00000001000a0a", "'1970-01-01 00:00:01.00257'", "1970-01-01 00:00:01.00257"},
    {COLTYPE_TIMESTAMP2, 1, S, "00000001", NULL, NULL},
    {COLTYPE_ENUM, 1, S, "01", "'a'", "a"},
    {COLTYPE_ENUM, 1, S, "02", "'it\\'s'", "it's"},
    {COLTYPE_ENUM, 1, S, "04", NULL, NULL}, /* not in the list */
    {COLTYPE_ENUM, 2, S, "0300", "'c'", "c"},
    {COLTYPE_ENUM, 2, S, "0001", NULL, NULL},
    {COLTYPE_ENUM, 2, S, "", NULL, NULL},
    {COLTYPE_SET, 1, S, "00", "''", ""},
    {COLTYPE_SET, 1, S, "05", "'a,c'", "a,c"},
    {COLTYPE_SET, 1, S, "02", "'it\\'s'", "it's"},
    {COLTYPE_SET, 1, S, "08", NULL, NULL},
    {COLTYPE_SET, 8, S, "0000000000000080", NULL, NULL},
    {COLTYPE_SET, 8, S, "", NULL, NULL},
    {COLTYPE_JSON, 4, S, "0c03'a\"b'", "'\"a\\\\\"b\"'", "\"a\\\"b\""},
    {COLTYPE_JSON, 4, S, "0c04'it''s'", NULL, NULL}, /* says 4, has 3 */
    {COLTYPE_JSON, 4, S, "", NULL, NULL},
};

START_TEST(by_type)
{
    const Case *c = &cases[_i];
    Str b = bytes_of(c->bytes);
    ColumnCodec codec = {
        .type = c->type, .meta = c->meta, .is_unsigned = c->is_unsigned, .members = members, .n_members = 3};
    Field f = {.ptr = (const uint8_t *)b.ptr, .len = (uint32_t)b.len, .state = FIELD_VALUE};
    StrBuf sql = {0}, text = {0};
    Err err = {0};
    sb_c(&sql, "x"); /* what was there stays */
    if (c->sql) {
        ck_assert_msg(value_sql(&sql, &codec, f, &err), "%s: %s", c->bytes, err.message);
        ck_assert_str_eq(sql.ptr + 1, c->sql);
        ck_assert(value_text(&text, &codec, f, &err));
        ck_assert_str_eq(text.ptr ? text.ptr : "", c->text);
    } else {
        ck_assert_msg(!value_sql(&sql, &codec, f, &err), "%s is taken for %s", c->bytes, sql.ptr);
        ck_assert_int_eq(err.code, ERR_DECODE_VALUE);
        ck_assert_str_eq(sql.ptr, "x");
        err_clear(&err);
        ck_assert(!value_text(&text, &codec, f, &err));
        ck_assert_int_eq(err.code, ERR_DECODE_VALUE);
        err_clear(&err);
    }
    f.state = FIELD_NULL;
    sb_clear(&sql);
    ck_assert(value_sql(&sql, &codec, f, &err));
    ck_assert_str_eq(sql.ptr, "NULL");
    sb_done(&sql);
    sb_done(&text);
    bytes_free(b);
}
END_TEST

/* All lengths of all types: an answer or an error, nothing else (the address sanitizer watches). */
START_TEST(any_length)
{
    Err err = {0};
    StrBuf out = {0};
    for (uint8_t fill = 0; fill < 3; fill++) {
        for (uint32_t len = 0; len <= 32; len++) {
            uint8_t *p = mem_alloc(len);
            memset(p, fill == 0 ? 0 : fill == 1 ? 0xff : 0x7f, len);
            for (unsigned meta = 0; meta < 16; meta++) {
                ColumnCodec codec = {
                    .type = (uint8_t)_i, .meta = (uint16_t)(meta * 0x0101), .text = TEXT_BINARY};
                Field f = {.ptr = p, .len = len, .state = FIELD_VALUE};
                bool ok = value_sql(&out, &codec, f, &err);
                ck_assert(ok == !err_is_set(&err));
                err_clear(&err);
                sb_clear(&out);
                ok = value_text(&out, &codec, f, &err);
                ck_assert(ok == !err_is_set(&err));
                err_clear(&err);
                sb_clear(&out);
                value_key_bytes(&out, &codec, f);
                ck_assert_uint_eq(out.len, len);
                sb_clear(&out);
            }
            free(p);
        }
    }
    sb_done(&out);
}
END_TEST

static void expect_text(const ColumnCodec *codec, const char *bytes, const char *sql, const char *text)
{
    Str b = bytes_of(bytes);
    Field f = {.ptr = (const uint8_t *)b.ptr, .len = (uint32_t)b.len, .state = FIELD_VALUE};
    StrBuf out = {0};
    Err err = {0};
    ck_assert(value_sql(&out, codec, f, &err));
    ck_assert_str_eq(out.ptr, sql);
    sb_clear(&out);
    ck_assert(value_text(&out, codec, f, &err));
    ck_assert_str_eq(out.ptr ? out.ptr : "", text);
    sb_done(&out);
    bytes_free(b);
}

START_TEST(text_and_bytes)
{
    ColumnCodec utf8 = {.type = COLTYPE_VARCHAR, .meta = 40, .text = TEXT_UTF8};
    ColumnCodec latin1 = {
        .type = COLTYPE_STRING, .meta = 40, .text = TEXT_OTHER, .introducer = STR("_latin1")};
    ColumnCodec binary = {.type = COLTYPE_STRING, .meta = 4, .text = TEXT_BINARY, .pad_to = 4};
    ColumnCodec blob = {.type = COLTYPE_BLOB, .meta = 2, .text = TEXT_BINARY};
    expect_text(&utf8, "", "''", "");
    expect_text(&utf8, "'abc'", "'abc'", "abc");
    expect_text(&utf8, "c3a4 27", "'ä\\''", "ä'");
    expect_text(&latin1, "e9", "_latin1 x'e9'", "\xe9");
    expect_text(&latin1, "", "''", "");
    expect_text(&binary, "61", "_binary'a\\0\\0\\0'", "0x61000000");
    expect_text(&binary, "", "_binary'\\0\\0\\0\\0'", "0x00000000");
    expect_text(&binary, "27 5c 00 0a", "_binary'\\'\\\\\\0\\n'", "0x275c000a");
    expect_text(&blob, "", "''", "0x");
    expect_text(&blob, "1a 0d ff 80", "_binary'\\Z\\r\xff\x80'", "0x1a0dff80");
}
END_TEST

/* Every byte at every place of what is looked at together is escaped as sb_quoted does, alone and beside
 * another.
 */
START_TEST(escapes_like_base)
{
    enum { MOST = 52 };
    ColumnCodec utf8 = {.type = COLTYPE_BLOB, .meta = 2, .text = TEXT_UTF8};
    StrBuf got = {0}, want = {0};
    Err err = {0};
    for (unsigned c = 0; c < 256; c++) {
        for (size_t len = 1; len < MOST; len++) {
            for (size_t at = 0; at < len; at++) {
                uint8_t text[MOST];
                memset(text, 'a' + (int)(c % 7), sizeof text);
                if (at % 3 == 0) text[at * 7 % len] = '\'';
                text[at] = (uint8_t)c;
                sb_clear(&got);
                sb_clear(&want);
                ck_assert(value_sql(&got, &utf8,
                                    (Field){.ptr = text, .len = (uint32_t)len, .state = FIELD_VALUE}, &err));
                sb_quoted(&want, str_make(text, len));
                ck_assert_msg(str_eq(sb_view(&got), sb_view(&want)), "byte %u at %zu of %zu", c, at, len);
            }
        }
    }
    sb_done(&got);
    sb_done(&want);
}
END_TEST

/* Doubles of all sizes: both texts read back to the same bits, and none shorter does. */
START_TEST(doubles_read_back)
{
    uint64_t state = 88172645463325252ull + (uint64_t)_i * 977;
    StrBuf out = {0};
    for (unsigned n = 0; n < 20000; n++) {
        state ^= state << 13, state ^= state >> 7, state ^= state << 17;
        double v;
        uint64_t bits = state;
        if (n % 4 == 1)
            v = (double)(int64_t)(state % 2000000) / 100;
        else if (n % 4 == 2)
            v = (double)(state % 100000000) / 1e6;
        else if (n % 4 == 3)
            bits = (bits >> 52 | 1) << 52 & ~(1ull << 63), memcpy(&v, &bits, sizeof v); /* powers of two */
        else
            memcpy(&v, &bits, sizeof v);
        if (!__builtin_isfinite(v)) continue;
        sb_clear(&out);
        double_sql(&out, v);
        double back = strtod(out.ptr, NULL);
        ck_assert_msg(memcmp(&back, &v, sizeof v) == 0, "seed %d, %u: %s for %.17g", _i, n, out.ptr, v);
        ck_assert(strchr(out.ptr, 'e') != NULL);
        sb_clear(&out);
        double_text(&out, v);
        back = strtod(out.ptr, NULL);
        ck_assert_msg(memcmp(&back, &v, sizeof v) == 0, "seed %d, %u: %s for %.17g", _i, n, out.ptr, v);
        char digits[24], shorter[40];
        int point;
        unsigned len = double_digits(v, digits, &point);
        ck_assert_uint_le(len, 17);
        if (len > 1) {
            snprintf(shorter, sizeof shorter, "%.*e", (int)len - 2, v);
            ck_assert_msg(strtod(shorter, NULL) != v, "%s is shorter than %s", shorter, out.ptr);
        }
    }
    sb_done(&out);
}
END_TEST

START_TEST(keys)
{
    StrBuf out = {0};
    ColumnCodec binary = {.type = COLTYPE_STRING, .meta = 4, .text = TEXT_BINARY, .pad_to = 4};
    value_key_bytes(&out, &binary, (Field){.ptr = (const uint8_t *)"a", .len = 1, .state = FIELD_VALUE});
    ck_assert(str_eq(sb_view(&out), str_make("a\0\0\0", 4)));
    sb_clear(&out);
    double zero = -0.0;
    ColumnCodec number = {.type = COLTYPE_DOUBLE, .meta = 8};
    value_key_bytes(&out, &number, (Field){.ptr = (const uint8_t *)&zero, .len = 8, .state = FIELD_VALUE});
    ck_assert(str_eq(sb_view(&out), str_make("\0\0\0\0\0\0\0\0", 8)));
    sb_clear(&out);
    float minus = -1.5f;
    number.type = COLTYPE_FLOAT;
    value_key_bytes(&out, &number, (Field){.ptr = (const uint8_t *)&minus, .len = 4, .state = FIELD_VALUE});
    ck_assert(str_eq(sb_view(&out), str_make(&minus, 4)));
    sb_done(&out);
}
END_TEST

START_TEST(integers_as_numbers)
{
    static const uint8_t ff[8] = {255, 255, 255, 255, 255, 255, 255, 255};
    static const struct {
        uint8_t type;
        uint32_t len;
        int64_t as_signed, as_unsigned;
    } t[] = {{COLTYPE_TINY, 1, -1, 255},       {COLTYPE_SHORT, 2, -1, 65535},
             {COLTYPE_INT24, 3, -1, 16777215}, {COLTYPE_LONG, 4, -1, 4294967295},
             {COLTYPE_LONGLONG, 8, -1, -1},    {COLTYPE_YEAR, 1, 2155, 2155}};
    for (size_t i = 0; i < ARRAY_LEN(t); i++) {
        ColumnCodec codec = {.type = t[i].type};
        Field f = {.ptr = ff, .len = t[i].len, .state = FIELD_VALUE};
        ck_assert_int_eq(value_int(&codec, f), t[i].as_signed);
        codec.is_unsigned = true;
        ck_assert_int_eq(value_int(&codec, f), t[i].as_unsigned);
    }
}
END_TEST

START_TEST(absent_is_a_mistake)
{
    StrBuf out = {0};
    Err err = {0};
    ColumnCodec codec = {.type = COLTYPE_TINY};
    (void)!value_sql(&out, &codec, (Field){.state = FIELD_ABSENT}, &err);
}
END_TEST

START_TEST(unreadable_types)
{
    static const uint8_t types[] = {COLTYPE_DECIMAL_OLD, COLTYPE_VAR_STRING, COLTYPE_NULL, 99};
    StrBuf out = {0};
    Err err = {0};
    for (size_t i = 0; i < sizeof types; i++) {
        ColumnCodec codec = {.type = types[i], .text = TEXT_BINARY};
        ck_assert(!value_sql(&out, &codec, (Field){.ptr = types, .len = 1, .state = FIELD_VALUE}, &err));
        ck_assert_int_eq(err.code, ERR_DECODE_TYPE);
        err_clear(&err);
    }
}
END_TEST

START_TEST(enums_and_sets_without_a_list)
{
    static const struct {
        uint8_t type;
        const char *bytes, *sql;
    } numbers[] = {{COLTYPE_ENUM, "01", "1"},
                   {COLTYPE_ENUM, "0001", "256"},
                   {COLTYPE_ENUM, "ffff", "65535"},
                   {COLTYPE_SET, "00", "0"},
                   {COLTYPE_SET, "0000000000000080", "9223372036854775808"}};
    Err err = {0};
    for (size_t i = 0; i < ARRAY_LEN(numbers); i++) {
        Str b = bytes_of(numbers[i].bytes);
        ColumnCodec codec = {.type = numbers[i].type};
        StrBuf out = {0};
        ck_assert(
            value_sql(&out, &codec, (Field){(const uint8_t *)b.ptr, (uint32_t)b.len, FIELD_VALUE}, &err));
        ck_assert_str_eq(out.ptr, numbers[i].sql);
        sb_done(&out);
        bytes_free(b);
    }
}
END_TEST

/* No statement in strict mode stores it; text columns have it as ''. */
START_TEST(enum_error_value)
{
    static const uint8_t zero[] = {0, 0};
    Err err = {0};
    for (uint32_t len = 1; len <= 2; len++) {
        Field f = {zero, len, FIELD_VALUE};
        ColumnCodec codec = {.type = COLTYPE_ENUM, .members = members, .n_members = 3};
        StrBuf out = {0};
        ck_assert(!value_sql(&out, &codec, f, &err));
        ck_assert_int_eq(err.code, ERR_DECODE_VALUE);
        ck_assert_msg(strstr(err.message, "error value") && strstr(err.remedy, "UPDATE"), "%s", err.message);
        err_clear(&err);
        codec.members = NULL;
        ck_assert(!value_sql(&out, &codec, f, &err));
        err_clear(&err);
        codec.members = members;
        codec.as_text = true;
        ck_assert(value_sql(&out, &codec, f, &err));
        ck_assert_str_eq(out.ptr, "''");
        sb_clear(&out);
        ck_assert(value_text(&out, &codec, f, &err));
        ck_assert_uint_eq(out.len, 0);
        sb_done(&out);
    }
}
END_TEST

typedef struct NativeCase {
    ColumnCodec codec;
    const char *bytes, *sql, *text;
} NativeCase;

static const NativeCase natives[] = {
    {{.type = COLTYPE_STRING, .text = TEXT_UUID, .pad_to = 16},
     "123e4567e89b12d3a45642665544",
     "'123e4567-e89b-12d3-a456-426655440000'",
     "123e4567-e89b-12d3-a456-426655440000"},
    {{.type = COLTYPE_STRING, .text = TEXT_UUID, .pad_to = 16},
     "",
     "'00000000-0000-0000-0000-000000000000'",
     "00000000-0000-0000-0000-000000000000"},
    {{.type = COLTYPE_STRING, .text = TEXT_UUID, .pad_to = 16},
     "0102030405060708090a0b0c0d0e0f1011",
     NULL,
     NULL},
    {{.type = COLTYPE_STRING, .text = TEXT_BINARY, .pad_to = 4},
     "c0",
     "_binary'\xc0\\0\\0\\0'",
     "0xc0000000"},
    {{.type = COLTYPE_STRING, .text = TEXT_INET4, .pad_to = 4}, "c0000221", "'192.0.2.33'", "192.0.2.33"},
    {{.type = COLTYPE_STRING, .text = TEXT_INET4, .pad_to = 4}, "01", "'1.0.0.0'", "1.0.0.0"},
    {{.type = COLTYPE_STRING, .text = TEXT_INET4, .pad_to = 4}, "0102030405", NULL, NULL},
    {{.type = COLTYPE_STRING, .text = TEXT_INET6, .pad_to = 16}, "", "'::'", "::"},
    {{.type = COLTYPE_STRING, .text = TEXT_INET6, .pad_to = 16},
     "00000000000000000000ffff01020304",
     "'::ffff:1.2.3.4'",
     "::ffff:1.2.3.4"},
    {{.type = COLTYPE_STRING, .text = TEXT_INET6, .pad_to = 16},
     "20010db8000000000001000000000001",
     "'2001:db8::1:0:0:1'",
     "2001:db8::1:0:0:1"},
    {{.type = COLTYPE_GEOMETRY, .meta = 4},
     "e6100000 01 01000000 000000000000f03f 0000000000000040",
     "_binary'\xe6\x10\\0\\0\x01\x01\\0\\0\\0\\0\\0\\0\\0\\0\\0\xf0?\\0\\0\\0\\0\\0\\0\\0@'",
     "0xe61000000101000000000000000000f03f0000000000000040"},
    {{.type = COLTYPE_VECTOR, .meta = 4}, "0000803f", "_binary'\\0\\0\x80?'", "0x0000803f"},
    {{.type = COLTYPE_VARCHAR_COMPRESSED, .text = TEXT_UTF8}, "", "''", ""},
    {{.type = COLTYPE_VARCHAR_COMPRESSED, .text = TEXT_UTF8}, "00 'it' 27 's'", "'it\\'s'", "it's"},
    {{.type = COLTYPE_BLOB_COMPRESSED, .text = TEXT_BINARY}, "00 00", "_binary'\\0'", "0x00"},
    {{.type = COLTYPE_BLOB_COMPRESSED, .text = TEXT_BINARY},
     "89 0a 4b 84 03 00",
     "_binary'aaaaaaaaaa'",
     "0x61616161616161616161"},
    {{.type = COLTYPE_BLOB_COMPRESSED, .text = TEXT_BINARY},
     "89 09 4b 84 03 00",
     NULL,
     NULL}, /* says 9, has 10 */
    {{.type = COLTYPE_BLOB_COMPRESSED, .text = TEXT_BINARY}, "89 0b 4b 84 03 00", NULL, NULL},
    {{.type = COLTYPE_BLOB_COMPRESSED, .text = TEXT_BINARY}, "8c ff ff ff ff 4b 84 03 00", NULL, NULL},
    {{.type = COLTYPE_BLOB_COMPRESSED, .text = TEXT_BINARY}, "99 0a 4b 84 03 00", NULL, NULL},
    {{.type = COLTYPE_BLOB_COMPRESSED, .text = TEXT_BINARY}, "8a 00", NULL, NULL},
};

START_TEST(native_types)
{
    const NativeCase *c = &natives[_i];
    Str b = bytes_of(c->bytes);
    Field f = {(const uint8_t *)b.ptr, (uint32_t)b.len, FIELD_VALUE};
    StrBuf sql = {0}, text = {0};
    Err err = {0};
    sb_c(&sql, "x");
    bool ok = value_sql(&sql, &c->codec, f, &err);
    ck_assert_msg(ok == (c->sql != NULL), "%s: %s", c->bytes, ok ? sql.ptr : err.message);
    if (ok) {
        ck_assert_str_eq(sql.ptr + 1, c->sql);
        ck_assert(value_text(&text, &c->codec, f, &err));
        ck_assert_str_eq(text.ptr ? text.ptr : "", c->text);
    } else {
        ck_assert_str_eq(sql.ptr, "x");
        err_clear(&err);
        ck_assert(!value_text(&text, &c->codec, f, &err));
        err_clear(&err);
    }
    sb_done(&sql);
    sb_done(&text);
    bytes_free(b);
}
END_TEST

static Suite *value_suite(void)
{
    Suite *s = suite_create("decode/value");
    TCase *t = tcase_create("values");
    tcase_set_timeout(t, 60);
    tcase_add_loop_test(t, by_type, 0, (int)ARRAY_LEN(cases));
    tcase_add_loop_test(t, any_length, 0, 256);
    tcase_add_test(t, text_and_bytes);
    tcase_add_test(t, escapes_like_base);
    tcase_add_loop_test(t, doubles_read_back, 0, 3);
    tcase_add_test(t, keys);
    tcase_add_test(t, integers_as_numbers);
    tcase_add_test_raise_signal(t, absent_is_a_mistake, 6);
    tcase_add_test(t, unreadable_types);
    tcase_add_test(t, enums_and_sets_without_a_list);
    tcase_add_test(t, enum_error_value);
    tcase_add_loop_test(t, native_types, 0, (int)ARRAY_LEN(natives));
    suite_add_tcase(s, t);
    return s;
}

UNIT_MAIN(value_suite)
