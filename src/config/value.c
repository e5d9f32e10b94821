#include "config/value.h"
#include "base/poison.h"

bool value_bool(Str s, bool *out)
{
    static const char *const words[2][4] = {{"false", "no", "off", "n"}, {"true", "yes", "on", "y"}};
    for (size_t v = 0; v < 2; v++) {
        for (size_t i = 0; i < ARRAY_LEN(words[v]); i++) {
            if (!str_ieq(s, str_of(words[v][i]))) continue;
            *out = v == 1;
            return true;
        }
    }
    return false;
}

/* Takes digits (and one point with digits) off the front: the value in units of 1/1000. */
static bool take_milli(Str *s, uint64_t *out)
{
    uint64_t whole = 0, milli = 0, scale = 1000;
    size_t i = 0, digits = 0;
    for (; i < s->len && s->ptr[i] >= '0' && s->ptr[i] <= '9'; i++, digits++) {
        whole = whole * 10 + (uint64_t)(s->ptr[i] - '0');
        if (whole > (uint64_t)1 << 40) return false;
    }
    if (i < s->len && s->ptr[i] == '.') {
        for (i++; i < s->len && s->ptr[i] >= '0' && s->ptr[i] <= '9'; i++, digits++) {
            scale /= 10;
            milli += scale * (uint64_t)(s->ptr[i] - '0');
        }
    }
    *s = (Str){s->ptr + i, s->len - i};
    *out = whole * 1000 + milli;
    return digits > 0;
}

bool value_duration_ms(Str s, uint64_t *out)
{
    static const struct {
        const char *name;
        uint64_t us;
    } units[] = {{"ms", 1000}, {"us", 1}, {"µs", 1}, {"h", 3600000000u}, {"m", 60000000u}, {"s", 1000000u}};
    if (str_eq(s, STR("0"))) {
        *out = 0;
        return true;
    }
    uint64_t total_us = 0;
    bool any = false;
    while (s.len) {
        uint64_t milli;
        size_t u = 0;
        if (!take_milli(&s, &milli)) return false;
        while (u < ARRAY_LEN(units) && !str_starts(s, str_of(units[u].name)))
            u++;
        if (u == ARRAY_LEN(units)) return false;
        if (milli > UINT64_MAX / 4 / units[u].us) return false;
        total_us += milli * units[u].us / 1000;
        if (total_us > UINT64_MAX / 4) return false;
        size_t n = strlen(units[u].name);
        s = (Str){s.ptr + n, s.len - n};
        any = true;
    }
    *out = (total_us + 999) / 1000;
    return any;
}

bool value_seconds_ms(Str s, uint64_t *out)
{
    uint64_t seconds;
    if (!str_to_u64(s, &seconds)) return value_duration_ms(s, out);
    if (seconds > UINT64_MAX / 1000) return false;
    *out = seconds * 1000;
    return true;
}

bool value_bytes(Str s, uint64_t *out)
{
    size_t n = 0;
    while (n < s.len && s.ptr[n] >= '0' && s.ptr[n] <= '9')
        n++;
    uint64_t v, factor = 1;
    if (!str_to_u64((Str){s.ptr, n}, &v)) return false;
    Str unit = str_trim((Str){s.ptr + n, s.len - n});
    if (unit.len && !str_ieq(unit, STR("b"))) {
        static const char letters[] = "kmgt";
        const char *at = memchr(letters, unit.ptr[0] | 0x20, sizeof letters - 1);
        Str rest = {unit.ptr + 1, unit.len - 1};
        uint64_t base = str_ieq(rest, STR("b")) ? 1000 : 1024;
        if (!at || (rest.len && base == 1024 && !str_ieq(rest, STR("ib")))) return false;
        for (const char *c = letters; c <= at; c++)
            factor *= base;
    }
    if (v > UINT64_MAX / factor) return false;
    *out = v * factor;
    return true;
}

static int base64_digit(char c)
{
    if (c >= 'A' && c <= 'Z') return c - 'A';
    if (c >= 'a' && c <= 'z') return c - 'a' + 26;
    if (c >= '0' && c <= '9') return c - '0' + 52;
    return c == '+' ? 62 : c == '/' ? 63 : -1;
}

bool value_base64(Str s, StrBuf *out)
{
    uint32_t bits = 0;
    unsigned n = 0, pad = 0;
    for (size_t i = 0; i < s.len; i++) {
        char c = s.ptr[i];
        if (c == ' ' || c == '\t' || c == '\r' || c == '\n') continue;
        int d = base64_digit(c);
        if (c == '=' && n >= 2) {
            pad++;
            d = 0;
        } else if (d < 0 || pad) {
            return false;
        }
        bits = bits << 6 | (uint32_t)d;
        if (++n < 4) continue;
        for (unsigned k = 0; k < 3 - pad; k++)
            sb_ch(out, (char)(bits >> (16 - 8 * k) & 255));
        n = 0;
        bits = 0;
        if (pad) {
            Str rest = str_trim((Str){s.ptr + i + 1, s.len - i - 1});
            return rest.len == 0;
        }
    }
    return n == 0;
}

bool value_looks_encrypted(Str password)
{
    StrBuf raw = {0};
    bool yes = password.len >= 24 && value_base64(password, &raw) && raw.len > 17 && raw.ptr[16] == '@';
    sb_done(&raw);
    return yes;
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

bool value_is_timezone(Str s)
{
    if (s.len && (s.ptr[0] == '+' || s.ptr[0] == '-')) {
        Str minute = {s.ptr + 1, s.len - 1};
        Str hour = str_split(&minute, ':');
        uint64_t h, m;
        if (hour.len < 1 || hour.len > 2 || minute.len != 2) return false;
        if (!str_to_u64(hour, &h) || !str_to_u64(minute, &m)) return false;
        return m < 60 && h * 60 + m <= 14 * 60;
    }
    for (size_t i = 0; i < s.len; i++) {
        char c = s.ptr[i];
        bool letter = (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
        if (!letter && !(i && (is_digit(c) || c == '/' || c == '_' || c == '-' || c == '+'))) return false;
    }
    return s.len > 0 && s.len <= 64;
}
