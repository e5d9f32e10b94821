/* Decimals and temporals into bytes: vectors that servers wrote, and the way back through decode/value.h. */
#include "unit.h"
#include "decode/bytes.h"
#include "decode/value.h"
#include "load/pack.h"
#include "random.h"

typedef struct Decimal {
    unsigned precision, scale;
    const char *text, *bytes; /* bytes NULL: refused */
} Decimal;

static const Decimal decimals[] = {
    {1, 0, "1", "81"},
    {1, 0, "-1", "7e"},
    {1, 1, "0.5", "85"},
    {1, 1, ".5", "85"},
    {5, 2, "123.45", "807b2d"},
    {5, 2, "-123.45", "7f84d2"},
    {5, 2, "0.01", "800001"},
    {5, 2, "-0.01", "7ffffe"},
    {5, 2, "0", "800000"},
    {5, 2, "7", "800700"},
    {5, 2, "0000123.4", "807b28"}, /* ZEROFILL shows leading zeros */
    {9, 9, "0.000000001", "80000001"},
    {14, 4, "1234567890.1234", "810dfb38d204d2"},
    {5, 2, "1234.5", NULL},
    {5, 2, "1.234", NULL},
    {5, 2, "", NULL},
    {5, 2, "-", NULL},
    {5, 2, "1e2", NULL},
    {5, 2, "+1", NULL},
    {5, 2, "1.2.3", NULL},
    {5, 2, "--1", NULL},
    {0, 0, "1", NULL},
    {66, 0, "1", NULL},
    {5, 6, "1", NULL},
};

START_TEST(decimal_vectors)
{
    const Decimal *d = &decimals[_i];
    uint8_t got[64];
    bool ok = pack_decimal(got, str_of(d->text), d->precision, d->scale);
    ck_assert_msg(ok == (d->bytes != NULL), "%s", d->text);
    if (!ok) return;
    Str want = bytes_of(d->bytes);
    ck_assert_uint_eq(pack_decimal_bytes(d->precision, d->scale), want.len);
    ck_assert_msg(memcmp(got, want.ptr, want.len) == 0, "%s", d->text);
    bytes_free(want);
}
END_TEST

/* Every precision and scale: random digits go in and come out. */
START_TEST(decimal_round_trip)
{
    Random r = {77};
    for (unsigned precision = 1; precision <= 65; precision++) {
        for (unsigned scale = 0; scale <= precision && scale <= 38; scale++) {
            StrBuf text CLEANUP(sb_done) = {0}, back CLEANUP(sb_done) = {0};
            Err err = {0};
            uint8_t bytes[64];
            unsigned whole = precision - scale, digits = random_below(&r, whole + 1);
            if (random_chance(&r, 50)) sb_ch(&text, '-');
            if (!digits) sb_ch(&text, '0');
            for (unsigned i = 0; i < digits; i++)
                sb_ch(&text, (char)('0' + (i ? random_below(&r, 10) : 1 + random_below(&r, 9))));
            if (scale) sb_ch(&text, '.');
            for (unsigned i = 0; i < scale; i++)
                sb_ch(&text, (char)('0' + (i + 1 < scale ? random_below(&r, 10) : 1 + random_below(&r, 9))));
            if (str_eqc(sb_view(&text), "-0")) continue;
            ck_assert_msg(pack_decimal(bytes, sb_view(&text), precision, scale), "%s", text.ptr);
            ColumnCodec codec = {.type = COLTYPE_NEWDECIMAL, .meta = (uint16_t)(precision << 8 | scale)};
            Field f = {bytes, pack_decimal_bytes(precision, scale), FIELD_VALUE};
            ck_assert(value_text(&back, &codec, f, &err));
            ck_assert_str_eq(back.ptr, text.ptr);
        }
    }
}
END_TEST

typedef struct Temporal {
    unsigned type, fsp;
    StmtTime t;
    const char *bytes; /* NULL: refused */
} Temporal;

#define DAY(y, m, d) .year = (y), .month = (m), .day = (d)
#define CLOCK(h, m, s) .hour = (h), .minute = (m), .second = (s)
static const Temporal temporals[] = {
    {COLTYPE_DATE, 0, {DAY(2024, 2, 29)}, "5dd00f"},
    {COLTYPE_DATE, 0, {0}, "000000"},
    {COLTYPE_NEWDATE, 0, {DAY(2020, 7, 0)}, "e0c80f"},
    {COLTYPE_DATE, 0, {DAY(10000, 1, 1)}, NULL},
    {COLTYPE_DATE, 0, {DAY(2024, 13, 1)}, NULL},
    {COLTYPE_DATE, 0, {DAY(2024, 1, 32)}, NULL},
    {COLTYPE_TIME, 0, {CLOCK(12, 34, 56)}, "40e201"},
    {COLTYPE_TIME, 0, {CLOCK(12, 34, 56), .negative = true}, "c01dfe"},
    {COLTYPE_TIME2, 0, {0}, "800000"},
    {COLTYPE_TIME2, 0, {.second = 1, .negative = true}, "7fffff"},
    {COLTYPE_TIME2, 0, {.day = 34, CLOCK(22, 59, 59)}, "b46efb"},
    {COLTYPE_TIME2, 0, {.day = 34, CLOCK(22, 59, 59), .negative = true}, "4b9105"},
    {COLTYPE_TIME2, 2, {.microsecond = 10000, .negative = true}, "7fffffff"},
    {COLTYPE_TIME2, 1, {.microsecond = 500000}, "80000032"},
    {COLTYPE_TIME2, 1, {.microsecond = 500000, .negative = true}, "7fffffce"},
    {COLTYPE_TIME2, 4, {.microsecond = 100, .negative = true}, "7fffffffff"},
    {COLTYPE_TIME2, 6, {.microsecond = 1, .negative = true}, "7fffffffffff"},
    {COLTYPE_TIME2, 0, {.day = 35}, NULL},
    {COLTYPE_TIME2, 0, {.day = UINT32_MAX}, NULL},
    {COLTYPE_TIME2, 7, {0}, NULL},
    {COLTYPE_TIME2, 6, {.microsecond = 1000000}, NULL},
    {COLTYPE_DATETIME2, 0, {DAY(2024, 2, 29), CLOCK(12, 34, 56)}, "99b2bac8b8"},
    {COLTYPE_DATETIME2, 3, {DAY(2024, 2, 29), CLOCK(12, 34, 56), .microsecond = 789000}, "99b2bac8b81ed2"},
    {COLTYPE_DATETIME2, 6, {0}, "8000000000000000"},
    {COLTYPE_DATETIME2, 0, {DAY(2024, 2, 29), CLOCK(24, 0, 0)}, NULL},
    {COLTYPE_DATETIME, 0, {DAY(2024, 2, 29), CLOCK(12, 34, 56)}, "80c5aa8b68120000"},
    {COLTYPE_TIMESTAMP, 0, {0}, "00000000"},
    {COLTYPE_TIMESTAMP, 0, {DAY(1970, 1, 1), CLOCK(0, 0, 1)}, "01000000"},
    {COLTYPE_TIMESTAMP2, 0, {DAY(2038, 1, 19), CLOCK(3, 14, 7)}, "7fffffff"},
    {COLTYPE_TIMESTAMP2, 0, {DAY(2106, 2, 7), CLOCK(6, 28, 15)}, "ffffffff"},
    {COLTYPE_TIMESTAMP2, 0, {DAY(2106, 2, 7), CLOCK(6, 28, 16)}, NULL},
    {COLTYPE_TIMESTAMP2, 0, {DAY(2000, 2, 29), CLOCK(20, 42, 39)}, "38bc2f3f"},
    {COLTYPE_TIMESTAMP2, 5, {DAY(1970, 1, 1), CLOCK(0, 0, 1), .microsecond = 2570}, "00000001000a0a"},
    {COLTYPE_TIMESTAMP2, 0, {DAY(1969, 12, 31)}, NULL},
    {COLTYPE_TIMESTAMP2, 0, {DAY(2024, 0, 0)}, NULL},
    {COLTYPE_TIMESTAMP2, 0, {DAY(2024, 2, 30)}, NULL},
    {COLTYPE_TIMESTAMP2, 0, {DAY(2023, 2, 29)}, NULL},
    {COLTYPE_TIMESTAMP2, 0, {DAY(2100, 2, 29)}, NULL},
    {COLTYPE_YEAR, 0, {0}, NULL},
};

START_TEST(temporal_vectors)
{
    const Temporal *t = &temporals[_i];
    uint8_t got[16];
    bool ok = pack_temporal(got, t->type, t->fsp, &t->t);
    ck_assert_msg(ok == (t->bytes != NULL), "%d", _i);
    if (!ok) return;
    Str want = bytes_of(t->bytes);
    ck_assert_uint_eq(pack_temporal_bytes(t->type, t->fsp), want.len);
    ck_assert_msg(memcmp(got, want.ptr, want.len) == 0, "%d", _i);
    bytes_free(want);
}
END_TEST

/* Days of all months through four centuries, by the text that comes back. */
START_TEST(timestamp_days)
{
    for (uint32_t year = 1970; year <= 2105; year++) {
        for (uint32_t month = 1; month <= 12; month++) {
            for (uint32_t day = 1; day <= 31; day++) {
                StmtTime t = {DAY(year, month, day), CLOCK(23, 59, 58)};
                uint8_t bytes[4];
                StrBuf want CLEANUP(sb_done) = {0}, got CLEANUP(sb_done) = {0};
                Err err = {0};
                if (!pack_temporal(bytes, COLTYPE_TIMESTAMP2, 0, &t)) {
                    ck_assert(day >= 29);
                    continue;
                }
                ColumnCodec codec = {.type = COLTYPE_TIMESTAMP2};
                sb_printf(&want, "%04u-%02u-%02u 23:59:58", year, month, day);
                ck_assert(value_text(&got, &codec, (Field){bytes, 4, FIELD_VALUE}, &err));
                ck_assert_str_eq(got.ptr, want.ptr);
            }
        }
    }
}
END_TEST

static Suite *pack_suite(void)
{
    Suite *s = suite_create("load/pack");
    TCase *t = tcase_create("values");
    tcase_add_loop_test(t, decimal_vectors, 0, ARRAY_LEN(decimals));
    tcase_add_test(t, decimal_round_trip);
    tcase_add_loop_test(t, temporal_vectors, 0, ARRAY_LEN(temporals));
    tcase_add_test(t, timestamp_days);
    suite_add_tcase(s, t);
    return s;
}

UNIT_MAIN(pack_suite)
