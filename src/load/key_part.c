#include "load/key_part.h"
#include "base/check.h"
#include "load/moment.h"
#include "model/charset.h"
#include "base/poison.h"

static const uint64_t SIGN = 1ull << 63;

bool key_part_init(KeyPartCodec *p, const ColumnDef *c, const MapColumn *m)
{
    *p = (KeyPartCodec){.name = c->name, .fsp = c->fsp, .bytes = (uint32_t)c->char_length};
    bool fixed = false;
    switch (m->type) {
    case COLTYPE_TINY: p->bytes = 1; break;
    case COLTYPE_SHORT: p->bytes = 2; break;
    case COLTYPE_INT24: p->bytes = 3; break;
    case COLTYPE_LONG: p->bytes = 4; break;
    case COLTYPE_LONGLONG: p->bytes = 8; break;
    case COLTYPE_YEAR: p->kind = KEY_YEAR; return true;
    case COLTYPE_DATE:
    case COLTYPE_NEWDATE: p->kind = KEY_DATE; return true;
    case COLTYPE_DATETIME:
    case COLTYPE_DATETIME2: p->kind = KEY_DATETIME; return c->fsp <= 6;
    case COLTYPE_TIMESTAMP:
    case COLTYPE_TIMESTAMP2: p->kind = KEY_TIMESTAMP; return c->fsp <= 6;
    case COLTYPE_TIME:
    case COLTYPE_TIME2: p->kind = KEY_TIME; return c->fsp <= 6;
    case COLTYPE_STRING: fixed = true; /* fall through */
    case COLTYPE_VARCHAR:
        p->kind = fixed ? KEY_BINARY : KEY_VARBINARY;
        return m->collation == COLLATION_ID_BINARY && p->bytes > 0;
    default: return false;
    }
    p->kind = c->is_unsigned ? KEY_UINT : KEY_INT;
    return true;
}

/* -- bytes -- */

static void put_number(uint64_t v, StrBuf *out)
{
    uint8_t bytes[8];
    for (unsigned i = 8; i-- > 0; v >>= 8)
        bytes[i] = (uint8_t)v;
    sb_add(out, bytes, sizeof bytes);
}

static void put_escaped(const uint8_t *p, size_t n, StrBuf *out)
{
    while (n) {
        const uint8_t *zero = memchr(p, 0, n);
        size_t plain = zero ? (size_t)(zero - p) : n;
        sb_add(out, p, plain);
        if (zero) sb_add(out, "\0\xff", 2);
        p += plain + (zero != NULL);
        n -= plain + (zero != NULL);
    }
    sb_add(out, "\0\0", 2);
}

static void put_binary(const KeyPartCodec *p, const uint8_t *bytes, size_t n, StrBuf *out)
{
    if (p->kind == KEY_VARBINARY) {
        put_escaped(bytes, n, out);
        return;
    }
    CHECK(n <= p->bytes, "BINARY(n) holds n bytes");
    sb_add(out, bytes, n);
    size_t pad = p->bytes - n;
    sb_reserve(out, pad);
    memset(out->ptr + out->len, 0, pad);
    sb_wrote(out, pad);
}

/* The bytes that `encoded` stands for. */
static void unescape(const KeyPartCodec *p, Str encoded, StrBuf *out)
{
    sb_reserve(out, encoded.len);
    if (p->kind == KEY_BINARY) {
        sb_str(out, encoded);
        return;
    }
    for (size_t i = 0; i + 2 < encoded.len; i++) {
        sb_ch(out, encoded.ptr[i]);
        if (encoded.ptr[i] == 0) i++;
    }
}

static bool take_binary(const KeyPartCodec *p, Reader *key, Str *out)
{
    const uint8_t *start = key->at;
    if (p->kind == KEY_BINARY) {
        *out = reader_str(key, p->bytes);
        return reader_ok(key);
    }
    for (;;) {
        if (reader_u8(key) == 0 && reader_u8(key) == 0) break;
    }
    *out = str_make(start, (size_t)(key->at - start));
    return reader_ok(key);
}

/* An integer field's value as the number that orders it. */
static bool integer_number(const KeyPartCodec *p, Field f, uint64_t *out)
{
    if (f.len == 0 || f.len > 8) return false;
    uint64_t v = 0;
    for (uint32_t i = f.len; i-- > 0;)
        v = v << 8 | f.ptr[i];
    unsigned unused = 64 - f.len * 8;
    if (p->kind == KEY_INT) v = (uint64_t)((int64_t)(v << unused) >> unused) ^ SIGN;
    *out = v;
    return true;
}

static bool is_integer(uint8_t type)
{
    return type == COLTYPE_TINY || type == COLTYPE_SHORT || type == COLTYPE_INT24 || type == COLTYPE_LONG ||
           type == COLTYPE_LONGLONG;
}

bool key_part_put(const KeyPartCodec *p, const MapColumn *m, Field f, StrBuf *out)
{
    uint64_t v = 0;
    if (f.state != FIELD_VALUE) return false;
    switch (p->kind) {
    case KEY_INT:
    case KEY_UINT:
        if (!is_integer(m->type) || !integer_number(p, f, &v)) return false;
        break;
    case KEY_YEAR:
        if (m->type != COLTYPE_YEAR || f.len != 1) return false;
        v = f.ptr[0];
        break;
    case KEY_DATE:
    case KEY_DATETIME:
    case KEY_TIMESTAMP:
    case KEY_TIME:
        if (!moment_of_field(p->kind, m, f, &v)) return false;
        break;
    case KEY_BINARY:
    case KEY_VARBINARY:
        if ((m->type != COLTYPE_STRING && m->type != COLTYPE_VARCHAR) || f.len > p->bytes) return false;
        put_binary(p, f.ptr, f.len, out);
        return true;
    }
    put_number(v, out);
    return true;
}

bool key_part_take(const KeyPartCodec *p, Reader *key, KeyValue *out)
{
    *out = (KeyValue){.is_binary = p->kind == KEY_BINARY || p->kind == KEY_VARBINARY};
    if (out->is_binary) return take_binary(p, key, &out->encoded);
    out->number = reader_uint_be(key, 8);
    return reader_ok(key);
}

void key_part_put_value(const KeyPartCodec *p, const KeyValue *v, StrBuf *out)
{
    (void)p;
    if (v->is_binary)
        sb_str(out, v->encoded);
    else
        put_number(v->number, out);
}

/* -- SQL -- */

void key_part_literal(const KeyPartCodec *p, const KeyValue *v, StrBuf *sql)
{
    switch (p->kind) {
    case KEY_INT: sb_i64(sql, (int64_t)(v->number ^ SIGN)); return;
    case KEY_UINT: sb_u64(sql, v->number); return;
    case KEY_YEAR: sb_u64(sql, v->number ? v->number + 1900 : 0); return;
    case KEY_TIME:
        sb_c(sql, "TIME"); /* with a bare string MySQL sorts again what the key has in order */
        /* fall through */
    case KEY_DATE:
    case KEY_DATETIME:
    case KEY_TIMESTAMP:
        sb_ch(sql, '\'');
        moment_text(p->kind, p->fsp, v->number, sql);
        sb_ch(sql, '\'');
        return;
    case KEY_BINARY:
    case KEY_VARBINARY: {
        StrBuf bytes CLEANUP(sb_done) = {0};
        unescape(p, v->encoded, &bytes);
        sb_c(sql, "x'");
        sb_hex(sql, bytes.ptr, bytes.len);
        sb_ch(sql, '\'');
    }
    }
}

/* -- ends and middles -- */

static uint64_t highest_number(const KeyPartCodec *p)
{
    switch (p->kind) {
    case KEY_INT: return SIGN + (UINT64_MAX >> (65 - p->bytes * 8));
    case KEY_UINT: return UINT64_MAX >> (64 - p->bytes * 8);
    case KEY_YEAR: return UINT8_MAX;
    default: return moment_highest(p->kind, p->fsp);
    }
}

static uint64_t lowest_number(const KeyPartCodec *p)
{
    switch (p->kind) {
    case KEY_INT: return SIGN - (1ull << (p->bytes * 8 - 1));
    case KEY_TIME: return moment_lowest_time(p->fsp);
    default: return 0;
    }
}

void key_part_edge(const KeyPartCodec *p, bool highest, StrBuf *out)
{
    if (p->kind != KEY_BINARY && p->kind != KEY_VARBINARY) {
        put_number(highest ? highest_number(p) : lowest_number(p), out);
        return;
    }
    size_t n = highest || p->kind == KEY_BINARY ? p->bytes : 0;
    sb_reserve(out, n + 2);
    memset(out->ptr + out->len, highest ? 0xff : 0, n);
    sb_wrote(out, n);
    if (p->kind == KEY_VARBINARY) sb_add(out, "\0\0", 2);
}

static void pad_to(StrBuf *b, size_t n)
{
    while (b->len < n)
        sb_ch(b, 0);
}

/* (a + b) / 2 over two big-endian numbers of n bytes, into a. */
static void average(uint8_t *a, const uint8_t *b, size_t n)
{
    unsigned carry = 0;
    for (size_t i = n; i-- > 0;) {
        unsigned sum = a[i] + b[i] + carry;
        a[i] = (uint8_t)sum;
        carry = sum >> 8;
    }
    for (size_t i = 0; i < n; i++) {
        unsigned v = carry << 8 | a[i];
        a[i] = (uint8_t)(v >> 1);
        carry = v & 1;
    }
}

/* The next string of at most p->bytes bytes; false when v is the last. */
static bool successor(const KeyPartCodec *p, StrBuf *v)
{
    if (p->kind == KEY_VARBINARY && v->len < p->bytes) {
        sb_ch(v, 0);
        return true;
    }
    size_t n = v->len;
    while (n && (uint8_t)v->ptr[n - 1] == 0xff)
        n--;
    if (!n) return false;
    v->ptr[n - 1] = (char)(v->ptr[n - 1] + 1);
    if (p->kind == KEY_VARBINARY)
        v->len = n;
    else
        memset(v->ptr + n, 0, v->len - n);
    return true;
}

static bool binary_middle(const KeyPartCodec *p, const KeyValue *lo, const KeyValue *hi, StrBuf *out)
{
    StrBuf a CLEANUP(sb_done) = {0}, b CLEANUP(sb_done) = {0}, next CLEANUP(sb_done) = {0};
    unescape(p, lo->encoded, &a);
    unescape(p, hi->encoded, &b);
    sb_str(&next, sb_view(&a));
    size_t width = MIN((size_t)p->bytes, MAX(a.len, b.len) + 1);
    pad_to(&a, width);
    pad_to(&b, width);
    average((uint8_t *)a.ptr, (const uint8_t *)b.ptr, width);
    size_t start = out->len;
    bool more = true;
    do { /* the average, else what comes right behind lo */
        Str put = more ? sb_view(&a) : sb_view(&next);
        put_binary(p, (const uint8_t *)put.ptr, put.len, out);
        Str key = str_make(out->ptr + start, out->len - start);
        if (str_cmp(lo->encoded, key) < 0 && str_cmp(key, hi->encoded) < 0) return true;
        out->len = start;
        more = !more;
    } while (!more && successor(p, &next));
    return false;
}

bool key_part_middle(const KeyPartCodec *p, const KeyValue *lo, const KeyValue *hi, StrBuf *out)
{
    if (lo->is_binary) return binary_middle(p, lo, hi, out);
    bool temporal =
        p->kind == KEY_DATE || p->kind == KEY_DATETIME || p->kind == KEY_TIMESTAMP || p->kind == KEY_TIME;
    uint64_t middle = temporal ? moment_middle(p->kind, p->fsp, lo->number, hi->number)
                               : lo->number + (hi->number - lo->number) / 2;
    if (middle <= lo->number || middle >= hi->number) return false;
    put_number(middle, out);
    return true;
}
