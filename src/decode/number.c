/* Numbers as text: packed decimals and shortest doubles. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include "base/check.h"
#include "decode/decode_internal.h"
#include "base/poison.h"

enum { GROUP_DIGITS = 9 };

/* A group of n digits in its 1..4 bytes, big-endian; inverted when negative; the value's first byte has its
 * sign bit turned as well. UINT32_MAX: too large for n digits. */
static uint32_t decimal_group(const uint8_t *p, unsigned n, uint8_t invert, uint8_t sign)
{
    static const uint32_t limit[] = {1,      10,      100,      1000,      10000,
                                     100000, 1000000, 10000000, 100000000, 1000000000};
    unsigned bytes = decimal_bytes(n, 0);
    uint32_t v = (uint8_t)(p[0] ^ invert ^ sign);
    for (unsigned i = 1; i < bytes; i++)
        v = v << 8 | (uint8_t)(p[i] ^ invert);
    return v < limit[n] ? v : UINT32_MAX;
}

static char *put_group(char *o, uint32_t v, unsigned n)
{
    unsigned i = n;
    for (; i >= 2; v /= 100) {
        uint32_t two = v % 100;
        o[--i] = (char)('0' + two % 10);
        o[--i] = (char)('0' + two / 10);
    }
    if (i) o[0] = (char)('0' + v % 10);
    return o + n;
}

bool decimal_text(StrBuf *out, const uint8_t *p, uint32_t n, unsigned precision, unsigned scale)
{
    char digits[DECIMAL_MAX_PRECISION + 1];
    if (precision == 0 || precision > DECIMAL_MAX_PRECISION || scale > precision ||
        n != decimal_bytes(precision, scale))
        return false;
    uint8_t invert = p[0] & 0x80 ? 0 : 0xff, sign = 0x80;
    const uint8_t *at = p;
    char *o = digits;
    unsigned whole = precision - scale;
    for (unsigned left[2] = {whole, scale}, part = 0; part < 2; part++) {
        bool short_first = part == 0; /* the incomplete group leads the whole part and ends the fraction */
        while (left[part]) {
            unsigned take = left[part] < GROUP_DIGITS ? left[part] : GROUP_DIGITS;
            if (short_first && left[part] % GROUP_DIGITS) take = left[part] % GROUP_DIGITS;
            uint32_t v = decimal_group(at, take, invert, sign);
            sign = 0;
            if (v == UINT32_MAX) return false;
            o = put_group(o, v, take);
            at += decimal_bytes(take, 0);
            left[part] -= take;
        }
    }
    unsigned skip = 0;
    while (skip < precision && digits[skip] == '0')
        skip++;
    bool zero = skip == precision;
    if (skip > whole) skip = whole;
    char *to = sb_room(out, precision + 4u);
    if (invert && !zero) *to++ = '-';
    if (skip == whole) *to++ = '0';
    for (unsigned i = skip; i < precision; i++) {
        if (i == whole) *to++ = '.';
        *to++ = digits[i];
    }
    sb_end(out, to);
    return true;
}

/* Decimal digits of m without trailing zeros. */
static unsigned integer_digits(uint64_t m, char digits[24], unsigned *n_all)
{
    char tmp[20];
    unsigned n = 0;
    do {
        tmp[sizeof tmp - ++n] = (char)('0' + m % 10);
        m /= 10;
    } while (m);
    memcpy(digits, tmp + sizeof tmp - n, n);
    *n_all = n;
    while (n > 1 && digits[n - 1] == '0')
        n--;
    return n;
}

/* The quick way for what people store: v is m / 10^k with m < 2^53 and k small. Both are exact doubles, so
 * that the division rounds as reading the text would. */
static unsigned scaled_digits(double v, char digits[24], int *point)
{
    static const double power[] = {1, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9};
    const double limit = 1e15;
    for (unsigned k = 0; k < ARRAY_LEN(power); k++) {
        double m = v * power[k];
        if (m >= limit) return 0;
        double whole = (double)(uint64_t)(m + 0.5);
        if (fabs(m - whole) > 0.25)
            continue; /* m is off by at most an eighth below the limit: no candidate */
        if (whole / power[k] != v) continue;
        unsigned n_all;
        unsigned n = integer_digits((uint64_t)whole, digits, &n_all);
        *point = (int)n_all - (int)k;
        return n;
    }
    return 0;
}

/* A power of two lies nearer to its lower neighbour: the text next above the rounded one may read back when
 * the rounded one does not (2^-44 = 5.6843418860808015e-14 is printed as …802e-14). Changes text when it
 * does. */
static bool above_reads_back(char *text, double v)
{
    int exponent;
    if (frexp(v, &exponent) != 0.5) return false;
    char *last = strchr(text, 'e') - 1;
    if (*last < '0' || *last >= '9') return false;
    ++*last;
    if (strtod(text, NULL) == v) return true;
    --*last;
    return false;
}

unsigned double_digits(double v, char digits[24], int *point)
{
    enum { ENOUGH = 17, FIRST = 15 };
    v = fabs(v);
    unsigned n = v >= 1e-6 || v == 0 ? scaled_digits(v, digits, point) : 0;
    if (n) return n;
    char text[40];
    for (int p = v < 2.3e-308 ? 1 : FIRST; p <= ENOUGH; p++) {
        int len = snprintf(text, sizeof text, "%.*e", p - 1, v);
        CHECK(len > 0 && (size_t)len < sizeof text, "17 digits and an exponent fit");
        if (p == ENOUGH || strtod(text, NULL) == v || (p == ENOUGH - 1 && above_reads_back(text, v))) break;
    }
    char *e = strchr(text, 'e');
    *point = (int)strtol(e + 1, NULL, 10) + 1;
    for (const char *c = text; c < e; c++)
        if (*c >= '0' && *c <= '9') digits[n++] = *c;
    CHECK(n > 0, "the text of a number has digits");
    while (n > 1 && digits[n - 1] == '0')
        n--;
    return n;
}

/* Plain digits with the point where it belongs: -14 <= point <= 17. */
static void put_plain(StrBuf *out, const char *digits, unsigned n, int point)
{
    static const char zeros[] = "00000000000000000000";
    if (point <= 0) {
        sb_c(out, "0.");
        sb_add(out, zeros, (size_t)-point);
        sb_add(out, digits, n);
    } else if ((unsigned)point >= n) {
        sb_add(out, digits, n);
        sb_add(out, zeros, (unsigned)point - n);
    } else {
        sb_add(out, digits, (size_t)point);
        sb_ch(out, '.');
        sb_add(out, digits + point, n - (unsigned)point);
    }
}

static void put_scientific(StrBuf *out, const char *digits, unsigned n, int point)
{
    sb_ch(out, digits[0]);
    if (n > 1) {
        sb_ch(out, '.');
        sb_add(out, digits + 1, n - 1);
    }
    sb_ch(out, 'e');
    sb_i64(out, point - 1);
}

void double_text(StrBuf *out, double v)
{
    enum { PLAIN_MAX_POINT = 15, PLAIN_MIN_POINT = -14 };
    char digits[24];
    int point;
    unsigned n = double_digits(v, digits, &point);
    if (signbit(v)) sb_ch(out, '-');
    if (v == 0) {
        sb_ch(out, '0');
        return;
    }
    if (point >= PLAIN_MIN_POINT && point <= PLAIN_MAX_POINT)
        put_plain(out, digits, n, point);
    else
        put_scientific(out, digits, n, point);
}

void double_sql(StrBuf *out, double v)
{
    char digits[24];
    int point;
    unsigned n = double_digits(v, digits, &point);
    if (signbit(v)) sb_ch(out, '-');
    if (v == 0) {
        sb_c(out, "0e0");
    } else if (point >= -3 && point <= 17) {
        put_plain(out, digits, n, point);
        sb_c(out, "e0");
    } else {
        put_scientific(out, digits, n, point);
    }
}
