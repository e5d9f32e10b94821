#include "decode/value.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include "base/check.h"
#include "decode/decode_internal.h"
#include "decode/event_inflate.h"
#include "decode/json_binary.h"
#include "decode/json_sql.h"
#include "decode/native.h"
#include "decode/temporal.h"
#include "model/coltype.h"
#include "base/poison.h"

typedef enum Style { STYLE_SQL, STYLE_PLAIN } Style;

static COLD bool impossible(const ColumnCodec *codec, Field f, Err *err)
{
    return err_set(err, ERR_DECODE_VALUE, "%u bytes that are no value of column type %u (metadata %u)", f.len,
                   codec->type, codec->meta);
}

/* -- integers -- */

static inline uint64_t load_le(const uint8_t *p, uint32_t n)
{
    uint64_t v = 0;
    switch (n) {
    case 1: return p[0];
    case 2: memcpy(&v, p, 2); break;
    case 3: memcpy(&v, p, 2), v |= (uint64_t)p[2] << 16; break;
    case 4: memcpy(&v, p, 4); break;
    case 8: memcpy(&v, p, 8); break;
    default:
        for (uint32_t i = n; i-- > 0;)
            v = v << 8 | p[i];
        return v;
    }
    _Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "values are loaded as they lie");
    return v;
}

static inline uint64_t load_be(const uint8_t *p, uint32_t n)
{
    uint64_t v = 0;
    for (uint32_t i = 0; i < n; i++)
        v = v << 8 | p[i];
    return v;
}

static const char digit_pairs[] =
    "00010203040506070809101112131415161718192021222324252627282930313233343536373839"
    "40414243444546474849505152535455565758596061626364656667686970717273747576777879"
    "8081828384858687888990919293949596979899";

static inline unsigned count_digits(uint64_t v)
{
    static const uint64_t power[] = {0,
                                     10ull,
                                     100ull,
                                     1000ull,
                                     10000ull,
                                     100000ull,
                                     1000000ull,
                                     10000000ull,
                                     100000000ull,
                                     1000000000ull,
                                     10000000000ull,
                                     100000000000ull,
                                     1000000000000ull,
                                     10000000000000ull,
                                     100000000000000ull,
                                     1000000000000000ull,
                                     10000000000000000ull,
                                     100000000000000000ull,
                                     1000000000000000000ull,
                                     10000000000000000000ull};
    unsigned bits = 64 - (unsigned)__builtin_clzll(v | 1), guess = bits * 1233 >> 12; /* bits * log10(2) */
    return guess + (v >= power[guess]);
}

/* Digits straight to their place: no second copy. */
static inline void put_u64(StrBuf *out, uint64_t v, bool negative)
{
    enum { MOST = 20 + 1 };
    char *to = sb_room(out, MOST);
    if (negative) *to++ = '-';
    char *end = to + count_digits(v), *o = end;
    while (v >= 100) {
        o -= 2;
        memcpy(o, digit_pairs + v % 100 * 2, 2);
        v /= 100;
    }
    if (v >= 10)
        memcpy(o - 2, digit_pairs + v * 2, 2);
    else
        o[-1] = (char)('0' + v);
    sb_end(out, end);
}

static inline uint32_t integer_len(unsigned type)
{
    switch (type) {
    case COLTYPE_TINY:
    case COLTYPE_YEAR: return 1;
    case COLTYPE_SHORT: return 2;
    case COLTYPE_INT24: return 3;
    case COLTYPE_LONG: return 4;
    case COLTYPE_LONGLONG: return 8;
    default: return 0;
    }
}

static inline int64_t integer_value(const ColumnCodec *codec, const uint8_t *p, uint32_t len)
{
    uint64_t v = load_le(p, len);
    if (codec->type == COLTYPE_YEAR) return v ? (int64_t)v + 1900 : 0;
    if (codec->is_unsigned) return (int64_t)v;
    unsigned unused = 64 - len * 8;
    return (int64_t)(v << unused) >> unused;
}

int64_t value_int(const ColumnCodec *codec, Field f)
{
    uint32_t len = integer_len(codec->type);
    CHECK(len && f.state == FIELD_VALUE && f.len == len, "an integer column with a value");
    return integer_value(codec, f.ptr, len);
}

/* len is a constant where this is called: one case of the type switch each. */
static inline __attribute__((always_inline)) bool put_integer(StrBuf *out, const ColumnCodec *codec, Field f,
                                                              uint32_t len, Err *err)
{
    if (UNLIKELY(f.len != len)) return impossible(codec, f, err);
    int64_t v = integer_value(codec, f.ptr, len);
    bool negative = v < 0 && !codec->is_unsigned;
    put_u64(out, negative ? 0 - (uint64_t)v : (uint64_t)v, negative);
    return true;
}

/* -- floating point -- */

/* Shortest text that reads back as the same float, for people. */
static void float_text(StrBuf *out, float v)
{
    char text[40];
    for (int digits = 6; digits <= 9; digits++) {
        snprintf(text, sizeof text, "%.*g", digits, (double)v);
        if (strtof(text, NULL) == v) break;
    }
    /* the same digits, in the servers' way of writing exponents */
    double_text(out, strtod(text, NULL));
}

static bool put_floating(StrBuf *out, const ColumnCodec *codec, Field f, Style style, Err *err)
{
    bool single = codec->type == COLTYPE_FLOAT;
    if (f.len != (single ? sizeof(float) : sizeof(double))) return impossible(codec, f, err);
    float narrow = 0;
    double v;
    if (single) {
        memcpy(&narrow, f.ptr, sizeof narrow);
        v = (double)narrow;
    } else {
        memcpy(&v, f.ptr, sizeof v);
    }
    if (!isfinite(v)) return impossible(codec, f, err);
    if (style == STYLE_SQL)
        double_sql(out, v);
    else if (single)
        float_text(out, narrow);
    else
        double_text(out, v);
    return true;
}

/* -- text and bytes -- */

enum { LANES = 16 };
typedef uint8_t Lanes __attribute__((vector_size(LANES)));

/* Does one of these bytes need an escape, or may it? (bytes below 27, quote, backslash; false alarms are
 * fine)
 */
static inline bool may_need_escape(Lanes x)
{
    uint64_t hits[2];
    Lanes hit = (Lanes)((x < 27) | (x == '\'') | (x == '\\'));
    _Static_assert(sizeof hits == sizeof hit, "all lanes are looked at");
    memcpy(hits, &hit, sizeof hits);
    return (hits[0] | hits[1]) != 0;
}

static inline char *put_escaped(char *o, char c)
{
    switch (c) {
    case '\'':
    case '\\': *o++ = '\\'; break;
    case 0: *o++ = '\\', c = '0'; break;
    case '\n': *o++ = '\\', c = 'n'; break;
    case '\r': *o++ = '\\', c = 'r'; break;
    case 26: *o++ = '\\', c = 'Z'; break;
    default: break;
    }
    *o++ = c;
    return o;
}

/* The same as sb_quoted, many bytes at a time where nothing needs an escape; then pad zero bytes. */
static inline void put_quoted(StrBuf *out, const uint8_t *p, size_t n, size_t pad)
{
    char *o = sb_room(out, (n + pad) * 2 + 2);
    *o++ = '\'';
    size_t i = 0;
    for (; i + LANES <= n; i += LANES) {
        Lanes x;
        memcpy(&x, p + i, LANES);
        if (may_need_escape(x)) {
            for (size_t k = 0; k < LANES; k++)
                o = put_escaped(o, (char)p[i + k]);
        } else {
            memcpy(o, &x, LANES);
            o += LANES;
        }
    }
    if (i < n && n >= LANES) {
        Lanes x; /* ends with the last byte: what it has of those before was not escaped, and is written again
                  */
        memcpy(&x, p + n - LANES, LANES);
        if (!may_need_escape(x)) {
            o += n - i;
            memcpy(o - LANES, &x, LANES);
            i = n;
        }
    }
    for (; i < n; i++)
        o = put_escaped(o, (char)p[i]);
    for (i = 0; i < pad; i++)
        *o++ = '\\', *o++ = '0';
    *o++ = '\'';
    sb_end(out, o);
}

static inline size_t padding(const ColumnCodec *codec, Field f)
{
    return codec->pad_to > f.len ? codec->pad_to - f.len : 0;
}

static void put_zeros(StrBuf *out, char zero, size_t n)
{
    sb_reserve(out, n);
    memset(out->ptr + out->len, zero, n);
    sb_wrote(out, n);
}

/* UUID, INET4, INET6: 16 or 4 bytes whose zeros at the end are not in the image. */
static bool put_native(StrBuf *out, const ColumnCodec *codec, Field f, Style style, Err *err)
{
    uint8_t whole[16] = {0};
    size_t n = codec->text == TEXT_INET4 ? 4 : sizeof whole;
    if (f.len > n) return impossible(codec, f, err);
    if (f.len) memcpy(whole, f.ptr, f.len);
    if (style == STYLE_SQL) sb_ch(out, '\'');
    if (codec->text == TEXT_UUID)
        native_uuid_text(out, whole);
    else if (codec->text == TEXT_INET4)
        native_inet4_text(out, whole);
    else
        native_inet6_text(out, whole);
    if (style == STYLE_SQL) sb_ch(out, '\'');
    return true;
}

static void put_text_sql(StrBuf *out, const ColumnCodec *codec, Field f)
{
    switch (codec->text) {
    case TEXT_UTF8: put_quoted(out, f.ptr, f.len, 0); return;
    case TEXT_OTHER:
        if (f.len == 0) {
            sb_c(out, "''");
            return;
        }
        sb_str(out, codec->introducer);
        sb_c(out, " x'");
        sb_hex(out, f.ptr, f.len);
        sb_ch(out, '\'');
        return;
    case TEXT_BINARY: {
        size_t pad = padding(codec, f);
        if (f.len + pad) sb_add(out, "_binary", 7);
        put_quoted(out, f.ptr, f.len, pad);
        return;
    }
    case TEXT_UUID:
    case TEXT_INET4:
    case TEXT_INET6:
    case TEXT_LITERAL:
    case TEXT_NONE: break;
    }
    CHECK(false, "a text column's codec says what kind of text it is");
}

static void put_text_plain(StrBuf *out, const ColumnCodec *codec, Field f)
{
    if (codec->text == TEXT_BINARY) {
        sb_add(out, "0x", 2);
        sb_hex(out, f.ptr, f.len);
        put_zeros(out, '0', padding(codec, f) * 2);
    } else {
        sb_add(out, f.ptr, f.len);
    }
}

/* GEOMETRY (SRID, then WKB) and VECTOR (floats): both servers take the bytes that they store. */
static void put_bytes(StrBuf *out, Field f, Style style)
{
    if (style == STYLE_SQL) {
        sb_add(out, "_binary", 7);
        put_quoted(out, f.ptr, f.len, 0);
    } else {
        sb_add(out, "0x", 2);
        sb_hex(out, f.ptr, f.len);
    }
}

static inline bool put_text(StrBuf *out, const ColumnCodec *codec, Field f, Style style, Err *err)
{
    if (codec->text == TEXT_LITERAL) {
        sb_add(out, f.ptr, f.len);
        return true;
    }
    if (codec->text >= TEXT_UUID) return put_native(out, codec, f, style, err);
    if (style == STYLE_SQL && codec->json != JSON_TEXT && codec->text == TEXT_UTF8)
        return json_sql(str_make(f.ptr, f.len), codec->json, out, err);
    if (style == STYLE_SQL)
        put_text_sql(out, codec, f);
    else
        put_text_plain(out, codec, f);
    return true;
}

static bool put_compressed(StrBuf *out, const ColumnCodec *codec, Field f, Style style, Err *err)
{
    StrBuf plain = {0};
    bool ok = column_inflate(str_make(f.ptr, f.len), &plain, err);
    if (ok) {
        Str s = sb_view(&plain);
        ok = s.len <= UINT32_MAX || impossible(codec, f, err);
        Field whole = {(const uint8_t *)s.ptr, (uint32_t)s.len, FIELD_VALUE};
        ok = ok && put_text(out, codec, whole, style, err);
    }
    sb_done(&plain);
    return ok;
}

/* Turns out's bytes from `start` on into a quoted literal, in place. */
static void quote_tail(StrBuf *out, size_t start)
{
    size_t n = out->len - start, extra = 2;
    for (size_t i = start; i < out->len; i++) {
        char two[2];
        extra += (size_t)(put_escaped(two, out->ptr[i]) - two) - 1;
    }
    sb_reserve(out, extra);
    char *from = out->ptr + start + n, *to = from + extra, *first = out->ptr + start;
    *--to = '\'';
    while (from > first) {
        char two[2];
        size_t k = (size_t)(put_escaped(two, *--from) - two);
        to -= k;
        memcpy(to, two, k);
    }
    *first = '\'';
    sb_wrote(out, extra);
}

static bool put_json(StrBuf *out, const ColumnCodec *codec, Field f, Style style, Err *err)
{
    size_t start = out->len;
    bool decimals;
    if (!json_binary_text_of(str_make(f.ptr, f.len), out, &decimals, err)) return false;
    if (style != STYLE_SQL) return true;
    if (!decimals || codec->json == JSON_TEXT) {
        quote_tail(out, start);
        return true;
    }
    StrBuf text = {0};
    sb_add(&text, out->ptr + start, out->len - start);
    out->len = start;
    out->ptr[start] = 0;
    bool ok = json_sql(sb_view(&text), codec->json, out, err);
    sb_done(&text);
    return ok;
}

/* -- the others -- */

static void put_member(StrBuf *out, Str s, Style style)
{
    if (style == STYLE_SQL)
        put_quoted(out, (const uint8_t *)s.ptr, s.len, 0);
    else
        sb_str(out, s);
}

static COLD bool enum_error_value(Err *err)
{
    return err_set_remedy(
        err, ERR_DECODE_VALUE,
        "give the rows a member of the list on the shard (UPDATE … WHERE column = 0), or NULL",
        "an ENUM holds the error value (number 0, read as ''), which a server stores only "
        "outside of strict mode");
}

/* Number 0 is the server's "not a member", read as ''; no server takes it from a statement in strict mode.
 * Without a list of members the number is written. */
static bool put_enum(StrBuf *out, const ColumnCodec *codec, Field f, Style style, Err *err)
{
    if (f.len < 1 || f.len > 2) return impossible(codec, f, err);
    uint64_t v = load_le(f.ptr, f.len);
    if (style == STYLE_SQL && v == 0 && !codec->as_text) return enum_error_value(err);
    if (!codec->members)
        put_u64(out, v, false);
    else if (v == 0)
        put_member(out, STR(""), style);
    else if (v <= codec->n_members)
        put_member(out, codec->members[v - 1], style);
    else
        return impossible(codec, f, err);
    return true;
}

static bool put_set(StrBuf *out, const ColumnCodec *codec, Field f, Style style, Err *err)
{
    if (f.len < 1 || f.len > 8) return impossible(codec, f, err);
    uint64_t v = load_le(f.ptr, f.len);
    uint64_t known = codec->n_members >= 64 ? UINT64_MAX : (1ull << codec->n_members) - 1;
    if (!codec->members) {
        put_u64(out, v, false);
        return true;
    }
    if (v & ~known) return impossible(codec, f, err);
    size_t start = out->len;
    for (uint64_t rest = v; rest; rest &= rest - 1) {
        if (out->len > start) sb_ch(out, ',');
        sb_str(out, codec->members[__builtin_ctzll(rest)]);
    }
    if (style == STYLE_SQL) quote_tail(out, start);
    return true;
}

static bool put_bit(StrBuf *out, const ColumnCodec *codec, Field f, Err *err)
{
    if (f.len < 1 || f.len > 8) return impossible(codec, f, err);
    put_u64(out, load_be(f.ptr, f.len), false);
    return true;
}

static inline bool put_temporal(StrBuf *out, const ColumnCodec *codec, Field f, Style style, Err *err)
{
    char *start = sb_room(out, TEMPORAL_TEXT_MAX + 2), *o = start;
    bool fraction =
        codec->type == COLTYPE_TIMESTAMP2 || codec->type == COLTYPE_DATETIME2 || codec->type == COLTYPE_TIME2;
    if (style == STYLE_SQL) *o++ = '\'';
    o = temporal_put(o, codec->type, fraction ? codec->meta : 0, f.ptr, f.len);
    if (UNLIKELY(!o)) {
        *start = 0;
        return impossible(codec, f, err);
    }
    if (style == STYLE_SQL) *o++ = '\'';
    sb_end(out, o);
    return true;
}

static COLD bool unsupported(const ColumnCodec *codec, Err *err)
{
    return err_set(err, ERR_DECODE_TYPE, "values of column type %u are not decoded yet", codec->type);
}

static inline __attribute__((always_inline)) bool put_value(StrBuf *out, const ColumnCodec *codec, Field f,
                                                            Style style, Err *err)
{
    if (f.state != FIELD_VALUE) {
        CHECK(f.state == FIELD_NULL, "an absent column has no value to write");
        sb_add(out, "NULL", 4);
        return true;
    }
    switch (codec->type) {
    case COLTYPE_YEAR:
        if (style == STYLE_PLAIN && f.len == 1 && f.ptr[0] == 0) {
            sb_add(out, "0000", 4);
            return true;
        }
        return put_integer(out, codec, f, 1, err);
    case COLTYPE_TINY: return put_integer(out, codec, f, 1, err);
    case COLTYPE_SHORT: return put_integer(out, codec, f, 2, err);
    case COLTYPE_INT24: return put_integer(out, codec, f, 3, err);
    case COLTYPE_LONG: return put_integer(out, codec, f, 4, err);
    case COLTYPE_LONGLONG: return put_integer(out, codec, f, 8, err);
    case COLTYPE_FLOAT:
    case COLTYPE_DOUBLE: return put_floating(out, codec, f, style, err);
    case COLTYPE_NEWDECIMAL:
        return decimal_text(out, f.ptr, f.len, codec->meta >> 8, codec->meta & 0xff) ||
               impossible(codec, f, err);
    case COLTYPE_BIT: return put_bit(out, codec, f, err);
    case COLTYPE_DATE:
    case COLTYPE_NEWDATE:
    case COLTYPE_TIME:
    case COLTYPE_DATETIME:
    case COLTYPE_TIMESTAMP:
    case COLTYPE_TIMESTAMP2:
    case COLTYPE_DATETIME2:
    case COLTYPE_TIME2: return put_temporal(out, codec, f, style, err);
    case COLTYPE_ENUM: return put_enum(out, codec, f, style, err);
    case COLTYPE_SET: return put_set(out, codec, f, style, err);
    case COLTYPE_JSON: return put_json(out, codec, f, style, err);
    case COLTYPE_GEOMETRY:
    case COLTYPE_VECTOR: put_bytes(out, f, style); return true;
    case COLTYPE_VARCHAR_COMPRESSED:
    case COLTYPE_BLOB_COMPRESSED: return put_compressed(out, codec, f, style, err);
    case COLTYPE_STRING:
    case COLTYPE_VARCHAR:
    case COLTYPE_TINY_BLOB:
    case COLTYPE_MEDIUM_BLOB:
    case COLTYPE_LONG_BLOB:
    case COLTYPE_BLOB: return put_text(out, codec, f, style, err);
    default: return unsupported(codec, err);
    }
}

bool value_sql(StrBuf *out, const ColumnCodec *codec, Field f, Err *err)
{
    return put_value(out, codec, f, STYLE_SQL, err);
}

bool value_text(StrBuf *out, const ColumnCodec *codec, Field f, Err *err)
{
    return put_value(out, codec, f, STYLE_PLAIN, err);
}

void value_key_bytes(StrBuf *out, const ColumnCodec *codec, Field f)
{
    if (f.state != FIELD_VALUE) return;
    size_t start = out->len;
    sb_add(out, f.ptr, f.len);
    switch (codec->type) {
    case COLTYPE_FLOAT:
    case COLTYPE_DOUBLE: /* -0 equals 0: clear the sign when all other bits are zero */
        for (uint32_t i = 0; i < f.len; i++)
            if (f.ptr[i] & (i + 1 == f.len ? 0x7f : 0xff)) return;
        memset(out->ptr + start, 0, f.len);
        return;
    default:
        if (codec->text == TEXT_BINARY) put_zeros(out, 0, padding(codec, f));
    }
}
