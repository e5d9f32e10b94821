#include "load/moment.h"
#include "base/poison.h"

enum { MICROS = 1000000, DAY_S = 86400 };
static const uint64_t SIGN = 1ull << 63;
static const uint32_t power_of_10[] = {1, 10, 100, 1000, 10000, 100000, 1000000};

typedef struct Parts {
    uint32_t year, month, day, hour, minute, second, micros;
} Parts;

/* Months of 32 days, years of 13 months. */
static uint64_t number_of(const Parts *p)
{
    uint64_t days = ((uint64_t)p->year * 13 + p->month) * 32 + p->day;
    return (days * DAY_S + p->hour * 3600 + p->minute * 60 + p->second) * MICROS + p->micros;
}

static void clock_of(uint64_t number, Parts *p)
{
    p->micros = (uint32_t)(number % MICROS);
    uint64_t seconds = number / MICROS;
    p->second = (uint32_t)(seconds % 60);
    p->minute = (uint32_t)(seconds / 60 % 60);
    p->hour = (uint32_t)(seconds / 3600);
}

static Parts parts_of(uint64_t number)
{
    Parts p = {0};
    uint64_t day_micros = (uint64_t)DAY_S * MICROS, days = number / day_micros;
    clock_of(number % day_micros, &p);
    p.day = (uint32_t)(days % 32);
    p.month = (uint32_t)(days / 32 % 13);
    p.year = (uint32_t)(days / (32 * 13));
    return p;
}

/* Seconds since 1970 (UTC) → parts. Days to a civil date: Howard Hinnant, "chrono-compatible low-level date
 * algorithms". */
static Parts civil_of(uint64_t number)
{
    Parts p = {0};
    uint64_t day_micros = (uint64_t)DAY_S * MICROS;
    uint32_t z = (uint32_t)(number / day_micros) + 719468;
    clock_of(number % day_micros, &p);
    uint32_t era = z / 146097, day_of_era = z % 146097;
    uint32_t year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
    uint32_t day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    uint32_t mp = (5 * day_of_year + 2) / 153;
    p.day = day_of_year - (153 * mp + 2) / 5 + 1;
    p.month = mp < 10 ? mp + 3 : mp - 9;
    p.year = era * 400 + year_of_era + (p.month <= 2);
    return p;
}

/* -- fields -- */

static uint64_t le(const uint8_t *p, unsigned n)
{
    uint64_t v = 0;
    for (unsigned i = n; i-- > 0;)
        v = v << 8 | p[i];
    return v;
}

static uint64_t be(const uint8_t *p, unsigned n)
{
    uint64_t v = 0;
    for (unsigned i = 0; i < n; i++)
        v = v << 8 | p[i];
    return v;
}

/* (fsp + 1) / 2 bytes of hundredths, ten-thousandths or millionths. */
static uint32_t fraction(const uint8_t *p, unsigned fsp)
{
    unsigned bytes = (fsp + 1) / 2;
    return (uint32_t)be(p, bytes) * power_of_10[6 - bytes * 2];
}

static bool date_field(const MapColumn *m, Field f, uint64_t *out)
{
    Parts p = {0};
    if ((m->type != COLTYPE_DATE && m->type != COLTYPE_NEWDATE) || f.len != 3) return false;
    uint32_t v = (uint32_t)le(f.ptr, 3);
    p.year = v >> 9;
    p.month = v >> 5 & 15;
    p.day = v & 31;
    *out = number_of(&p);
    return p.month <= 12;
}

static bool datetime_field(const MapColumn *m, Field f, uint64_t *out)
{
    Parts p = {0};
    if (m->type == COLTYPE_DATETIME && f.len == 8) {
        uint64_t v = le(f.ptr, 8), date = v / 1000000, clock = v % 1000000;
        p = (Parts){(uint32_t)(date / 10000),
                    (uint32_t)(date / 100 % 100),
                    (uint32_t)(date % 100),
                    (uint32_t)(clock / 10000),
                    (uint32_t)(clock / 100 % 100),
                    (uint32_t)(clock % 100),
                    0};
    } else if (m->type == COLTYPE_DATETIME2 && m->meta <= 6 && f.len == 5u + (m->meta + 1u) / 2) {
        uint64_t v = be(f.ptr, 5) - 0x8000000000;
        uint32_t ym = (uint32_t)(v >> 22);
        p = (Parts){
            ym / 13, ym % 13, v >> 17 & 31, v >> 12 & 31, v >> 6 & 63, v & 63, fraction(f.ptr + 5, m->meta)};
    } else {
        return false;
    }
    *out = number_of(&p);
    return p.year <= 9999 && p.month <= 12 && p.day <= 31 && p.hour <= 23 && p.minute <= 59 &&
           p.second <= 59 && p.micros < MICROS;
}

static bool timestamp_field(const MapColumn *m, Field f, uint64_t *out)
{
    uint32_t micros = 0;
    uint64_t seconds;
    if (m->type == COLTYPE_TIMESTAMP && f.len == 4) {
        seconds = le(f.ptr, 4);
    } else if (m->type == COLTYPE_TIMESTAMP2 && m->meta <= 6 && f.len == 4u + (m->meta + 1u) / 2) {
        seconds = be(f.ptr, 4);
        micros = fraction(f.ptr + 4, m->meta);
    } else {
        return false;
    }
    *out = seconds * MICROS + micros;
    return micros < MICROS;
}

static bool time_field(const MapColumn *m, Field f, uint64_t *out)
{
    Parts p = {0};
    bool negative;
    if (m->type == COLTYPE_TIME && f.len == 3) {
        int32_t raw = (int32_t)((uint32_t)le(f.ptr, 3) << 8) >> 8;
        uint32_t v = (uint32_t)(raw < 0 ? -raw : raw);
        negative = raw < 0;
        p = (Parts){.hour = v / 10000, .minute = v / 100 % 100, .second = v % 100};
    } else if (m->type == COLTYPE_TIME2 && m->meta <= 6 && f.len == 3u + (m->meta + 1u) / 2) {
        unsigned bytes = (m->meta + 1u) / 2, bits = bytes * 8;
        int64_t v = (int64_t)be(f.ptr, 3 + bytes) - (0x800000ll << bits);
        negative = v < 0;
        if (negative) v = -v;
        uint32_t whole = (uint32_t)(v >> bits);
        p = (Parts){.hour = whole >> 12 & 0x3ff, .minute = whole >> 6 & 63, .second = whole & 63};
        p.micros = (uint32_t)(v & ((1ll << bits) - 1)) * power_of_10[6 - bytes * 2];
    } else {
        return false;
    }
    uint64_t size = number_of(&p);
    *out = (negative ? 0 - size : size) ^ SIGN;
    return p.minute <= 59 && p.second <= 59 && p.micros < MICROS;
}

bool moment_of_field(KeyPartKind kind, const MapColumn *m, Field f, uint64_t *out)
{
    switch (kind) {
    case KEY_DATE: return date_field(m, f, out);
    case KEY_DATETIME: return datetime_field(m, f, out);
    case KEY_TIMESTAMP: return timestamp_field(m, f, out);
    case KEY_TIME: return time_field(m, f, out);
    default: return false;
    }
}

/* -- text -- */

static void put_clock(const Parts *p, uint32_t fsp, StrBuf *out)
{
    sb_printf(out, "%02u:%02u:%02u", p->hour, p->minute, p->second);
    if (fsp) sb_printf(out, ".%0*u", (int)fsp, p->micros / power_of_10[6 - fsp]);
}

void moment_text(KeyPartKind kind, uint32_t fsp, uint64_t number, StrBuf *out)
{
    Parts p = {0};
    if (kind == KEY_TIME) {
        int64_t v = (int64_t)(number ^ SIGN);
        if (v < 0) sb_ch(out, '-');
        clock_of(v < 0 ? 0 - (uint64_t)v : (uint64_t)v, &p);
        put_clock(&p, fsp, out);
        return;
    }
    if (kind != KEY_TIMESTAMP)
        p = parts_of(number);
    else if (number)
        p = civil_of(number);
    sb_printf(out, "%04u-%02u-%02u", p.year, p.month, p.day);
    if (kind == KEY_DATE) return;
    sb_ch(out, ' ');
    put_clock(&p, fsp, out);
}

/* -- ends and middles -- */

static uint64_t unit_of(KeyPartKind kind, uint32_t fsp)
{
    return kind == KEY_DATE ? (uint64_t)DAY_S * MICROS : power_of_10[6 - fsp];
}

uint64_t moment_highest(KeyPartKind kind, uint32_t fsp)
{
    static const Parts last_day = {9999, 12, 31, 0, 0, 0, 0},
                       last_time = {.hour = 838, .minute = 59, .second = 59};
    uint64_t fraction_part = MICROS - unit_of(KEY_TIME, fsp);
    switch (kind) {
    case KEY_DATE: return number_of(&last_day);
    case KEY_DATETIME: return number_of(&last_day) + (uint64_t)(DAY_S - 1) * MICROS + fraction_part;
    case KEY_TIMESTAMP: return (uint64_t)INT32_MAX * MICROS + fraction_part;
    default: return SIGN + number_of(&last_time);
    }
}

uint64_t moment_lowest_time(uint32_t fsp)
{
    return SIGN - (moment_highest(KEY_TIME, fsp) - SIGN);
}

static uint32_t days_in_month(uint32_t year, uint32_t month)
{
    static const uint8_t days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    bool leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    return days[month - 1] + (month == 2 && leap);
}

/* A moment of a day that exists, near the number and between: the day itself, the month's first, the end of
 * the one before, the next one's first. Only days that do not exist lie between: the number itself. */
static uint64_t existing_day(KeyPartKind kind, uint64_t number, uint64_t lo, uint64_t hi)
{
    Parts p = parts_of(number);
    p.month = MAX(p.month, 1u);
    p.day = MIN(MAX(p.day, 1u), days_in_month(p.year, p.month));
    Parts first = {.year = p.year, .month = p.month, .day = 1}, next = first, last = first;
    if (++next.month > 12) next.year++, next.month = 1;
    if (--last.month < 1) last.year -= last.year > 0, last.month = 12;
    last.day = days_in_month(last.year, last.month);
    if (kind == KEY_DATETIME) last.hour = 23, last.minute = 59, last.second = 59;
    uint64_t near[] = {number_of(&p), number_of(&first), number_of(&last), number_of(&next)};
    for (size_t i = 0; i < ARRAY_LEN(near); i++)
        if (near[i] > lo && near[i] < hi) return near[i];
    return number;
}

uint64_t moment_middle(KeyPartKind kind, uint32_t fsp, uint64_t lo, uint64_t hi)
{
    uint64_t unit = unit_of(kind, fsp), middle = lo + (hi - lo) / 2;
    if (kind == KEY_TIME) {
        int64_t v = (int64_t)(middle ^ SIGN), rest = v % (int64_t)unit;
        return (uint64_t)(v - (rest < 0 ? rest + (int64_t)unit : rest)) ^ SIGN;
    }
    middle -= middle % unit;
    return kind == KEY_TIMESTAMP ? middle : existing_day(kind, middle, lo, hi);
}
