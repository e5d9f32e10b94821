#include "load/pack.h"
#include "base/poison.h"

static inline void put_le(uint8_t *to, uint64_t v, unsigned n)
{
    for (unsigned i = 0; i < n; i++, v >>= 8)
        to[i] = (uint8_t)v;
}

static inline void put_be(uint8_t *to, uint64_t v, unsigned n)
{
    for (unsigned i = n; i-- > 0; v >>= 8)
        to[i] = (uint8_t)v;
}

/* -- decimals -- */

static const uint8_t rest_bytes[] = {0, 1, 1, 2, 2, 3, 3, 4, 4, 4};
enum { GROUP_DIGITS = 9, GROUP_BYTES = 4 };

uint32_t pack_decimal_bytes(unsigned precision, unsigned scale)
{
    unsigned whole = precision - scale;
    return whole / GROUP_DIGITS * GROUP_BYTES + rest_bytes[whole % GROUP_DIGITS] +
           scale / GROUP_DIGITS * GROUP_BYTES + rest_bytes[scale % GROUP_DIGITS];
}

/* Digits of the text without sign and point at their places among `precision` digits; false when they do not
 * fit. */
static bool place_digits(Str text, unsigned precision, unsigned scale, char *digits)
{
    Str fraction = text, whole = str_split(&fraction, '.');
    while (whole.len && whole.ptr[0] == '0')
        whole = str_make(whole.ptr + 1, whole.len - 1);
    if (whole.len > precision - scale || fraction.len > scale) return false;
    memset(digits, '0', precision);
    if (whole.len) memcpy(digits + (precision - scale - whole.len), whole.ptr, whole.len);
    if (fraction.len) memcpy(digits + (precision - scale), fraction.ptr, fraction.len);
    for (unsigned i = 0; i < precision; i++)
        if (digits[i] < '0' || digits[i] > '9') return false;
    return true;
}

/* n digits in their bytes; returns the end. */
static uint8_t *put_group(uint8_t *to, const char *digits, unsigned n)
{
    uint32_t v = 0;
    for (unsigned i = 0; i < n; i++)
        v = v * 10 + (uint32_t)(digits[i] - '0');
    put_be(to, v, rest_bytes[n]);
    return to + rest_bytes[n];
}

bool pack_decimal(uint8_t *to, Str text, unsigned precision, unsigned scale)
{
    char digits[PACK_DECIMAL_MAX_PRECISION + 1];
    bool negative = text.len && text.ptr[0] == '-';
    if (negative) text = str_make(text.ptr + 1, text.len - 1);
    if (!text.len || precision == 0 || precision > PACK_DECIMAL_MAX_PRECISION || scale > precision ||
        !place_digits(text, precision, scale, digits))
        return false;
    const char *from = digits;
    uint8_t *at = to;
    unsigned first = (precision - scale) % GROUP_DIGITS, last = scale % GROUP_DIGITS;
    at = put_group(at, from, first);
    from += first;
    for (; from + GROUP_DIGITS <= digits + precision - last; from += GROUP_DIGITS)
        at = put_group(at, from, GROUP_DIGITS);
    at = put_group(at, from, last);
    for (uint8_t *p = to; negative && p < at; p++)
        *p = (uint8_t) ~*p;
    *to ^= 0x80;
    return true;
}

/* -- temporals -- */

uint32_t pack_temporal_bytes(unsigned type, unsigned fsp)
{
    unsigned fraction = (fsp + 1) / 2;
    switch (type) {
    case COLTYPE_DATE:
    case COLTYPE_NEWDATE:
    case COLTYPE_TIME: return 3;
    case COLTYPE_TIMESTAMP: return 4;
    case COLTYPE_DATETIME: return 8;
    case COLTYPE_TIME2: return 3 + fraction;
    case COLTYPE_TIMESTAMP2: return 4 + fraction;
    case COLTYPE_DATETIME2: return 5 + fraction;
    default: return 0;
    }
}

/* Microseconds → hundredths, ten-thousandths or millionths. */
static inline uint32_t fraction_of(uint32_t micros, unsigned fsp)
{
    static const uint32_t unit[] = {1000000, 10000, 10000, 100, 100, 1, 1};
    return micros / unit[fsp];
}

static inline bool in_range(const StmtTime *t)
{
    return t->year <= 9999 && t->month <= 12 && t->day <= 31 && t->hour <= 23 && t->minute <= 59 &&
           t->second <= 59 && t->microsecond <= 999999;
}

static inline bool is_leap(uint32_t year)
{
    return year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
}

/* Seconds since 1970 of a moment in UTC; false when there is no such day, or it lies outside 32 bits.
 * Civil date → days: Howard Hinnant, "chrono-compatible low-level date algorithms". */
static bool unix_seconds(const StmtTime *t, uint32_t *out)
{
    static const uint8_t month_days[] = {31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    if (t->year < 1970 || t->month < 1 || t->day < 1 || t->day > month_days[t->month - 1]) return false;
    if (t->month == 2 && t->day == 29 && !is_leap(t->year)) return false;
    uint32_t year = t->year - (t->month <= 2);
    uint32_t era = year / 400, year_of_era = year % 400;
    uint32_t day_of_year = (153 * (t->month + (t->month > 2 ? -3u : 9u)) + 2) / 5 + t->day - 1;
    uint32_t day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    uint64_t days = (uint64_t)era * 146097 + day_of_era - 719468;
    uint64_t seconds = days * 86400 + t->hour * 3600 + t->minute * 60 + t->second;
    *out = (uint32_t)seconds;
    return seconds <= UINT32_MAX;
}

static bool timestamp_seconds(const StmtTime *t, uint32_t *out)
{
    *out = 0;
    if ((t->year | t->month | t->day | t->hour | t->minute | t->second | t->microsecond) == 0) return true;
    return unix_seconds(t, out);
}

static bool pack_time(uint8_t *to, unsigned type, unsigned fsp, const StmtTime *t)
{
    uint64_t hours = (uint64_t)t->day * 24 + t->hour;
    if (hours > 838 || t->minute > 59 || t->second > 59 || t->microsecond > 999999) return false;
    if (type == COLTYPE_TIME) {
        int32_t v = (int32_t)(hours * 10000 + t->minute * 100 + t->second);
        put_le(to, (uint32_t)(t->negative ? -v : v), 3);
        return true;
    }
    unsigned bits = (fsp + 1) / 2 * 8;
    int64_t v = (int64_t)(hours << 12 | t->minute << 6 | t->second);
    v = (v << bits) + fraction_of(t->microsecond, fsp);
    if (t->negative) v = -v;
    put_be(to, (uint64_t)(v + (0x800000ll << bits)), 3 + bits / 8);
    return true;
}

bool pack_temporal(uint8_t *to, unsigned type, unsigned fsp, const StmtTime *t)
{
    uint32_t seconds;
    if (fsp > 6) return false;
    if (type == COLTYPE_TIME || type == COLTYPE_TIME2) return pack_time(to, type, fsp, t);
    if (!in_range(t)) return false;
    switch (type) {
    case COLTYPE_DATE:
    case COLTYPE_NEWDATE: put_le(to, t->year << 9 | t->month << 5 | t->day, 3); return true;
    case COLTYPE_DATETIME: {
        uint64_t date = t->year * 10000 + t->month * 100 + t->day;
        put_le(to, date * 1000000 + t->hour * 10000 + t->minute * 100 + t->second, 8);
        return true;
    }
    case COLTYPE_DATETIME2: {
        uint64_t date = (uint64_t)(t->year * 13 + t->month) << 5 | t->day;
        uint64_t clock = t->hour << 12 | t->minute << 6 | t->second;
        put_be(to, (date << 17 | clock) + 0x8000000000, 5);
        put_be(to + 5, fraction_of(t->microsecond, fsp), (fsp + 1) / 2);
        return true;
    }
    case COLTYPE_TIMESTAMP:
        if (!timestamp_seconds(t, &seconds)) return false;
        put_le(to, seconds, 4);
        return true;
    case COLTYPE_TIMESTAMP2:
        if (!timestamp_seconds(t, &seconds)) return false;
        put_be(to, seconds, 4);
        put_be(to + 4, fraction_of(t->microsecond, fsp), (fsp + 1) / 2);
        return true;
    default: return false;
    }
}
