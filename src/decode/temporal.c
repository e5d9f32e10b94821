#include "decode/temporal.h"
#include "model/coltype.h"
#include "base/poison.h"

static const uint32_t power_of_10[] = {1, 10, 100, 1000, 10000, 100000, 1000000};

static inline uint64_t load_le(const uint8_t *p, unsigned n)
{
    uint64_t v = 0;
    for (unsigned i = n; i-- > 0;)
        v = v << 8 | p[i];
    return v;
}

static inline uint64_t load_be(const uint8_t *p, unsigned n)
{
    uint64_t v = 0;
    for (unsigned i = 0; i < n; i++)
        v = v << 8 | p[i];
    return v;
}

/* v with at least n digits, leading zeros. */
static inline char *put_digits(char *o, uint32_t v, unsigned n)
{
    while (n < 10 && v >= (n < 7 ? power_of_10[n] : 1000000u * power_of_10[n - 6]))
        n++;
    for (unsigned i = n; i-- > 0; v /= 10)
        o[i] = (char)('0' + v % 10);
    return o + n;
}

static inline char *put_2(char *o, uint32_t v)
{
    if (v > 99) return put_digits(o, v, 2);
    o[0] = (char)('0' + v / 10);
    o[1] = (char)('0' + v % 10);
    return o + 2;
}

static inline char *put_date(char *o, uint32_t year, uint32_t month, uint32_t day)
{
    if (LIKELY(year <= 9999))
        o = put_2(put_2(o, year / 100), year % 100);
    else
        o = put_digits(o, year, 4);
    *o++ = '-';
    o = put_2(o, month);
    *o++ = '-';
    return put_2(o, day);
}

static inline char *put_clock(char *o, uint32_t hour, uint32_t minute, uint32_t second)
{
    o = put_2(o, hour);
    *o++ = ':';
    o = put_2(o, minute);
    *o++ = ':';
    return put_2(o, second);
}

static inline char *put_fraction(char *o, uint32_t micros, unsigned fsp)
{
    if (fsp == 0) return o;
    *o++ = '.';
    return put_digits(o, micros / power_of_10[6 - fsp], fsp);
}

/* Stored fraction → microseconds: bytes hold hundredths, ten-thousandths or millionths. */
static inline uint32_t fraction_micros(uint32_t stored, unsigned fsp)
{
    return stored * power_of_10[6 - (fsp + 1) / 2 * 2];
}

/* Seconds since 1970 (UTC) → date and time. Days to a civil date: Howard Hinnant, "chrono-compatible
 * low-level date algorithms", with eras of 400 years that begin on 1 March. */
static char *put_unix(char *o, uint32_t seconds)
{
    uint32_t clock = seconds % 86400, z = seconds / 86400 + 719468;
    uint32_t era = z / 146097, day_of_era = z % 146097;
    uint32_t year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
    uint32_t day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    uint32_t mp = (5 * day_of_year + 2) / 153;
    uint32_t day = day_of_year - (153 * mp + 2) / 5 + 1, month = mp < 10 ? mp + 3 : mp - 9;
    o = put_date(o, era * 400 + year_of_era + (month <= 2), month, day);
    *o++ = ' ';
    return put_clock(o, clock / 3600, clock / 60 % 60, clock % 60);
}

static char *put_timestamp(char *o, uint32_t seconds, uint32_t micros, unsigned fsp)
{
    if (seconds == 0 && micros == 0) {
        memcpy(o, "0000-00-00 00:00:00", 19);
        o += 19;
    } else {
        o = put_unix(o, seconds);
    }
    return put_fraction(o, micros, fsp);
}

/* Upper 40 bits of a packed DATETIME: year * 13 + month 17 bits, day 5, hour 5, minute 6, second 6. */
static char *put_packed_datetime(char *o, uint64_t v, bool with_clock)
{
    uint32_t ymd = (uint32_t)(v >> 17), hms = (uint32_t)(v & 0x1ffff), ym = ymd >> 5;
    o = put_date(o, ym / 13, ym % 13, ymd & 31);
    if (!with_clock) return o;
    *o++ = ' ';
    return put_clock(o, hms >> 12, hms >> 6 & 63, hms & 63);
}

/* Packed TIME: hour 10 bits, minute 6, second 6. */
static char *put_packed_time(char *o, bool negative, uint32_t v)
{
    if (negative) *o++ = '-';
    return put_clock(o, v >> 12 & 0x3ff, v >> 6 & 63, v & 63);
}

static char *put_datetime2(char *o, unsigned fsp, const uint8_t *p)
{
    uint64_t v = load_be(p, 5) - 0x8000000000ull;
    uint32_t micros = fraction_micros((uint32_t)load_be(p + 5, (fsp + 1) / 2), fsp);
    if (v > 0x7fffffffffull || micros > 999999) return NULL;
    return put_fraction(put_packed_datetime(o, v, true), micros, fsp);
}

/* TIME2 is one big-endian number with its fraction in the lowest bytes, offset by half its range: negative
 * values are the two's complement of the whole. */
static char *put_time2(char *o, unsigned fsp, const uint8_t *p)
{
    unsigned fraction_bits = (fsp + 1) / 2 * 8;
    int64_t v = (int64_t)load_be(p, 3 + fraction_bits / 8) - (0x800000ll << fraction_bits);
    bool negative = v < 0;
    if (negative) v = -v;
    uint32_t micros = fraction_micros((uint32_t)(v & ((1ll << fraction_bits) - 1)), fsp);
    if (micros > 999999) return NULL;
    return put_fraction(put_packed_time(o, negative, (uint32_t)(v >> fraction_bits)), micros, fsp);
}

static char *put_old_date(char *o, uint32_t v)
{
    return put_date(o, v >> 9, v >> 5 & 15, v & 31);
}

/* Decimal digits HHHMMSS with a sign in 24 bits. */
static char *put_old_time(char *o, uint32_t raw)
{
    int32_t v = (int32_t)(raw << 8) >> 8;
    uint32_t u = v < 0 ? (uint32_t)-v : (uint32_t)v;
    if (v < 0) *o++ = '-';
    return put_clock(o, u / 10000, u / 100 % 100, u % 100);
}

/* Decimal digits YYYYMMDDhhmmss. */
static char *put_old_datetime(char *o, uint64_t v)
{
    if (v > 99991231235959ull) return NULL;
    uint32_t date = (uint32_t)(v / 1000000), clock = (uint32_t)(v % 1000000);
    o = put_date(o, date / 10000, date / 100 % 100, date % 100);
    *o++ = ' ';
    return put_clock(o, clock / 10000, clock / 100 % 100, clock % 100);
}

char *temporal_put(char *o, unsigned type, unsigned fsp, const uint8_t *p, uint32_t len)
{
    unsigned fraction = (fsp + 1) / 2;
    if (fsp > 6) return NULL;
    switch (type) {
    case COLTYPE_DATE:
    case COLTYPE_NEWDATE: return len == 3 ? put_old_date(o, (uint32_t)load_le(p, 3)) : NULL;
    case COLTYPE_TIME: return len == 3 ? put_old_time(o, (uint32_t)load_le(p, 3)) : NULL;
    case COLTYPE_DATETIME: return len == 8 ? put_old_datetime(o, load_le(p, 8)) : NULL;
    case COLTYPE_TIMESTAMP: return len == 4 ? put_timestamp(o, (uint32_t)load_le(p, 4), 0, 0) : NULL;
    case COLTYPE_TIMESTAMP2: {
        if (len != 4 + fraction) return NULL;
        uint32_t micros = fraction_micros((uint32_t)load_be(p + 4, fraction), fsp);
        return micros > 999999 ? NULL : put_timestamp(o, (uint32_t)load_be(p, 4), micros, fsp);
    }
    case COLTYPE_DATETIME2: return len == 5 + fraction ? put_datetime2(o, fsp, p) : NULL;
    case COLTYPE_TIME2: return len == 3 + fraction ? put_time2(o, fsp, p) : NULL;
    default: return NULL;
    }
}

void temporal_packed_text(StrBuf *out, unsigned type, int64_t packed)
{
    bool negative = packed < 0;
    uint64_t v = negative ? 0 - (uint64_t)packed : (uint64_t)packed;
    uint32_t micros = (uint32_t)(v & 0xffffff);
    sb_reserve(out, TEMPORAL_TEXT_MAX);
    char *start = out->ptr + out->len, *o = start;
    if (type == COLTYPE_TIME) {
        o = put_packed_time(o, negative, (uint32_t)(v >> 24 & 0x3fffff));
    } else {
        o = put_packed_datetime(o, v >> 24 & 0x7fffffffff, type != COLTYPE_DATE);
    }
    if (type != COLTYPE_DATE) o = put_fraction(o, MIN(micros, 999999u), 6);
    sb_wrote(out, (size_t)(o - start));
}
