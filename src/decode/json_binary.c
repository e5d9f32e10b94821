#include "decode/json_binary.h"
#include "base/reader.h"
#include "decode/decode_internal.h"
#include "decode/temporal.h"
#include "model/coltype.h"
#include "base/poison.h"

enum {
    JSON_SMALL_OBJECT = 0,
    JSON_LARGE_OBJECT = 1,
    JSON_SMALL_ARRAY = 2,
    JSON_LARGE_ARRAY = 3,
    JSON_LITERAL = 4,
    JSON_INT16 = 5,
    JSON_UINT16 = 6,
    JSON_INT32 = 7,
    JSON_UINT32 = 8,
    JSON_INT64 = 9,
    JSON_UINT64 = 10,
    JSON_DOUBLE = 11,
    JSON_STRING = 12,
    JSON_OPAQUE = 15,
    MAX_DEPTH = 128, /* the server's own limit is 100 */
};

/* Parts of a valid document do not overlap, so that reading it takes no more bytes than it has. `left` counts
 * them down: crafted offsets cannot make the work or the text grow beyond the input. */
typedef struct JsonWalk {
    StrBuf *out;
    size_t left;
    bool decimals;
} JsonWalk;

static bool json_value(JsonWalk *w, uint8_t type, Str data, unsigned depth);

static bool spend(JsonWalk *w, size_t n)
{
    if (n > w->left) return false;
    w->left -= n;
    return true;
}

static void json_quote(StrBuf *out, Str s)
{
    static const char hex[] = "0123456789abcdef";
    sb_reserve(out, s.len * 6 + 2);
    char *o = out->ptr + out->len, *start = o;
    *o++ = '"';
    for (size_t i = 0; i < s.len; i++) {
        unsigned char c = (unsigned char)s.ptr[i];
        char escape = 0;
        switch (c) {
        case '"':
        case '\\': escape = (char)c; break;
        case '\b': escape = 'b'; break;
        case '\f': escape = 'f'; break;
        case '\n': escape = 'n'; break;
        case '\r': escape = 'r'; break;
        case '\t': escape = 't'; break;
        default: break;
        }
        if (escape) {
            *o++ = '\\', *o++ = escape;
        } else if (c < 0x20) {
            memcpy(o, "\\u00", 4);
            o[4] = hex[c >> 4], o[5] = hex[c & 15];
            o += 6;
        } else {
            *o++ = (char)c;
        }
    }
    *o++ = '"';
    sb_wrote(out, (size_t)(o - start));
}

/* Length of 1..5 bytes, 7 bits each, lowest first; the high bit says that more follow. */
static Str var_length_bytes(Reader *r)
{
    uint64_t n = 0;
    for (unsigned shift = 0; shift < 35; shift += 7) {
        uint8_t byte = reader_u8(r);
        n |= (uint64_t)(byte & 0x7f) << shift;
        if (!(byte & 0x80)) return reader_str(r, n);
    }
    r->failed = true;
    return (Str){0};
}

/* As the server writes it: a line break, escaped for JSON, behind every 76 characters that are not the last.
 */
static void base64(StrBuf *out, Str s)
{
    enum { LINE_BYTES = 76 / 4 * 3 };
    static const char digit[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    sb_reserve(out, (s.len + 2) / 3 * 4);
    for (size_t i = 0; i < s.len; i += 3) {
        uint32_t v = 0;
        if (i && i % LINE_BYTES == 0) sb_c(out, "\\n");
        for (size_t k = 0; k < 3; k++)
            v = v << 8 | (i + k < s.len ? (uint8_t)s.ptr[i + k] : 0);
        char four[4] = {digit[v >> 18], digit[v >> 12 & 63], i + 1 < s.len ? digit[v >> 6 & 63] : '=',
                        i + 2 < s.len ? digit[v & 63] : '='};
        sb_add(out, four, sizeof four);
    }
}

/* A value of a SQL type that JSON does not have: field type, length, bytes. Decimals print as numbers,
 * temporals as strings with six fraction digits, all others as base64. */
static bool json_opaque(JsonWalk *w, Reader *r)
{
    uint8_t type = reader_u8(r);
    Str s = var_length_bytes(r);
    if (!reader_ok(r) || !spend(w, s.len + 2)) return false;
    Reader v = reader_of(s);
    switch (type) {
    case COLTYPE_NEWDECIMAL: {
        uint8_t precision = reader_u8(&v), scale = reader_u8(&v);
        w->decimals = true;
        return reader_ok(&v) && decimal_text(w->out, v.at, (uint32_t)reader_left(&v), precision, scale);
    }
    case COLTYPE_DATE:
    case COLTYPE_TIME:
    case COLTYPE_DATETIME:
    case COLTYPE_TIMESTAMP:
        if (s.len != 8) return false;
        sb_ch(w->out, '"');
        temporal_packed_text(w->out, type, (int64_t)reader_u64(&v));
        sb_ch(w->out, '"');
        return true;
    default:
        sb_printf(w->out, "\"base64:type%u:", type);
        base64(w->out, s);
        sb_ch(w->out, '"');
        return true;
    }
}

static bool json_literal(JsonWalk *w, uint64_t v)
{
    switch (v) {
    case 0: sb_c(w->out, "null"); return true;
    case 1: sb_c(w->out, "true"); return true;
    case 2: sb_c(w->out, "false"); return true;
    default: return false;
    }
}

/* A DOUBLE keeps its kind in text: a whole number gets ".0". */
static bool json_double(JsonWalk *w, uint64_t bits)
{
    double v;
    memcpy(&v, &bits, sizeof v);
    if (!__builtin_isfinite(v)) return false;
    size_t start = w->out->len;
    double_text(w->out, v);
    Str text = str_make(w->out->ptr + start, w->out->len - start);
    if (!memchr(text.ptr, '.', text.len) && !memchr(text.ptr, 'e', text.len)) sb_c(w->out, ".0");
    return true;
}

/* Value entry of a container: type byte, then offset or, for small values, the value itself. */
static bool json_entry(JsonWalk *w, Reader *entries, Str data, unsigned wide, unsigned depth)
{
    uint8_t type = reader_u8(entries);
    uint64_t v = reader_uint(entries, wide);
    if (!reader_ok(entries)) return false;
    switch (type) {
    case JSON_LITERAL: return json_literal(w, v & 0xff);
    case JSON_INT16: sb_i64(w->out, (int16_t)v); return true;
    case JSON_UINT16: sb_u64(w->out, (uint16_t)v); return true;
    case JSON_INT32:
        if (wide < 4) break;
        sb_i64(w->out, (int32_t)v);
        return true;
    case JSON_UINT32:
        if (wide < 4) break;
        sb_u64(w->out, (uint32_t)v);
        return true;
    default: break;
    }
    if (v >= data.len) return false;
    return json_value(w, type, str_make(data.ptr + v, data.len - v), depth + 1);
}

/* Object or array; offsets count from its first byte:
 *   0     w   number of elements (n)
 *   w     w   bytes of the whole
 *   2w    …   objects: n keys: offset w, length 2
 *   …     …   n values: type 1, offset or value w
 *   …     …   keys, values */
static bool json_container(JsonWalk *w, Str data, bool object, unsigned wide, unsigned depth)
{
    Reader r = reader_of(data);
    uint64_t n = reader_uint(&r, wide), size = reader_uint(&r, wide);
    if (!reader_ok(&r) || size > data.len || depth > MAX_DEPTH) return false;
    data.len = size;
    size_t per_element = (object ? wide + 2u : 0) + 1 + wide;
    if (size < 2 * wide || n > (size - 2 * wide) / per_element) return false;
    if (!spend(w, 2 * wide + n * per_element)) return false;
    r = reader_of(data);
    (void)reader_bytes(&r, 2 * wide);
    Reader keys = reader_of(reader_str(&r, object ? n * (wide + 2) : 0));
    sb_ch(w->out, object ? '{' : '[');
    for (uint64_t i = 0; i < n; i++) {
        if (i) sb_c(w->out, ", ");
        if (object) {
            uint64_t at = reader_uint(&keys, wide), len = reader_u16(&keys);
            if (at > size || len > size - at || !spend(w, len)) return false;
            json_quote(w->out, str_make(data.ptr + at, len));
            sb_c(w->out, ": ");
        }
        if (!json_entry(w, &r, data, wide, depth)) return false;
    }
    sb_ch(w->out, object ? '}' : ']');
    return true;
}

/* A value at the start of data; what it does not need of data belongs to others. */
static bool json_value(JsonWalk *w, uint8_t type, Str data, unsigned depth)
{
    Reader r = reader_of(data);
    switch (type) {
    case JSON_SMALL_OBJECT: return json_container(w, data, true, 2, depth);
    case JSON_LARGE_OBJECT: return json_container(w, data, true, 4, depth);
    case JSON_SMALL_ARRAY: return json_container(w, data, false, 2, depth);
    case JSON_LARGE_ARRAY: return json_container(w, data, false, 4, depth);
    case JSON_LITERAL: {
        uint8_t v = reader_u8(&r);
        return reader_ok(&r) && json_literal(w, v);
    }
    case JSON_INT16: sb_i64(w->out, (int16_t)reader_u16(&r)); return reader_ok(&r);
    case JSON_UINT16: sb_u64(w->out, reader_u16(&r)); return reader_ok(&r);
    case JSON_INT32: sb_i64(w->out, (int32_t)reader_u32(&r)); return reader_ok(&r);
    case JSON_UINT32: sb_u64(w->out, reader_u32(&r)); return reader_ok(&r);
    case JSON_INT64: sb_i64(w->out, (int64_t)reader_u64(&r)); return reader_ok(&r);
    case JSON_UINT64: sb_u64(w->out, reader_u64(&r)); return reader_ok(&r);
    case JSON_DOUBLE: {
        uint64_t bits = reader_u64(&r);
        return reader_ok(&r) && json_double(w, bits);
    }
    case JSON_STRING: {
        Str s = var_length_bytes(&r);
        if (!reader_ok(&r) || !spend(w, s.len + 1)) return false;
        json_quote(w->out, s);
        return true;
    }
    case JSON_OPAQUE: return json_opaque(w, &r);
    default: return false;
    }
}

bool json_binary_text(Str bytes, StrBuf *out, Err *err)
{
    bool decimals;
    return json_binary_text_of(bytes, out, &decimals, err);
}

bool json_binary_text_of(Str bytes, StrBuf *out, bool *decimals, Err *err)
{
    *decimals = false;
    if (bytes.len == 0) return err_set(err, ERR_DECODE_VALUE, "JSON value without any byte");
    size_t start = out->len;
    JsonWalk w = {.out = out, .left = bytes.len};
    if (json_value(&w, (uint8_t)bytes.ptr[0], str_make(bytes.ptr + 1, bytes.len - 1), 1)) {
        *decimals = w.decimals;
        return true;
    }
    out->len = start;
    if (out->ptr) out->ptr[start] = 0;
    return err_set(err, ERR_DECODE_VALUE, "JSON value of %zu bytes: its binary form is broken", bytes.len);
}
