#include "track/keyhash.h"
#define XXH_INLINE_ALL
#include <xxhash.h>
#include "base/check.h"
#include "track/keyplan.h"
#include "base/poison.h"

/* Canonical bytes of one key; starts on the stack, moves to the transaction's arena when a key is longer. */
typedef struct KeyBytes {
    uint8_t *ptr;
    size_t len, cap;
    Arena *arena;
    uint8_t local[256];
} KeyBytes;

static uint8_t *bytes_room(KeyBytes *b, size_t n)
{
    if (UNLIKELY(b->cap - b->len < n)) {
        size_t cap = (b->cap + n) * 2;
        uint8_t *p = arena_alloc(b->arena, cap);
        memcpy(p, b->ptr, b->len);
        b->ptr = p;
        b->cap = cap;
    }
    return b->ptr + b->len;
}

/* A length before the bytes keeps ('a','bc') and ('ab','c') apart. */
static void bytes_put(KeyBytes *b, const void *p, size_t n)
{
    uint32_t len = (uint32_t)n;
    uint8_t *o = bytes_room(b, n + sizeof len);
    memcpy(o, &len, sizeof len);
    if (n) memcpy(o + sizeof len, p, n);
    b->len += n + sizeof len;
}

/* negative keeps -1 and 2^64-1 apart. */
static void bytes_put_number(KeyBytes *b, uint64_t v, bool negative)
{
    uint8_t *o = bytes_room(b, 9);
    memcpy(o, &v, 8);
    o[8] = negative;
    b->len += 9;
}

static uint64_t get_le(const uint8_t *p, size_t n)
{
    uint64_t v = 0;
    for (size_t i = n; i-- > 0;)
        v = v << 8 | p[i];
    return v;
}

static uint64_t get_be(const uint8_t *p, size_t n)
{
    uint64_t v = 0;
    for (size_t i = 0; i < n; i++)
        v = v << 8 | p[i];
    return v;
}

typedef enum PartOutcome { PART_DONE, PART_NULL, PART_UNKNOWN } PartOutcome;

static PartOutcome int_value(const ColumnCodec *c, Field f, uint64_t *v, bool *negative)
{
    if (f.len == 0 || f.len > 8) return PART_UNKNOWN;
    uint64_t u = 0;
    _Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "integers are loaded as they lie");
    memcpy(&u, f.ptr, f.len);
    *negative = false;
    if (!c->is_unsigned && c->type != COLTYPE_YEAR && f.ptr[f.len - 1] & 0x80) {
        if (f.len < 8) u |= ~UINT64_C(0) << (8 * f.len);
        *negative = true;
    }
    *v = u;
    return PART_DONE;
}

/* Digits of a NEWDECIMAL: groups of nine digits in four bytes, big-endian, the odd ones in front and at the
 * end; the first bit inverted; negative: all bits inverted. *n_int = digits before the point. Source of
 * truth: decimal2bin in strings/decimal.c of both servers. */
static bool decimal_digits(const ColumnCodec *c, Field f, char digits[81], unsigned *n_int, unsigned *n_all,
                           bool *negative)
{
    static const uint8_t bytes_of[10] = {0, 1, 1, 2, 2, 3, 3, 4, 4, 4};
    unsigned precision = c->meta >> 8, scale = c->meta & 0xff;
    if (precision == 0 || precision > 65 || scale > precision) return false;
    unsigned whole = precision - scale, n = 0;
    size_t want = whole / 9 * 4 + bytes_of[whole % 9] + scale / 9 * 4 + bytes_of[scale % 9];
    if (f.len != want) return false;
    *negative = !(f.ptr[0] & 0x80);
    size_t at = 0;
    unsigned groups[16], n_groups = 0;
    if (whole % 9) groups[n_groups++] = whole % 9;
    for (unsigned i = 0; i < whole / 9; i++)
        groups[n_groups++] = 9;
    for (unsigned i = 0; i < scale / 9; i++)
        groups[n_groups++] = 9;
    if (scale % 9) groups[n_groups++] = scale % 9;
    for (unsigned g = 0; g < n_groups; g++) {
        uint32_t v = 0;
        for (unsigned i = 0; i < bytes_of[groups[g]]; i++, at++) {
            uint8_t byte = f.ptr[at] ^ (uint8_t)(at == 0 ? 0x80 : 0);
            v = v << 8 | (uint8_t)(*negative ? ~byte : byte);
        }
        for (unsigned i = groups[g]; i-- > 0; v /= 10)
            digits[n + i] = (char)('0' + v % 10);
        n += groups[g];
    }
    *n_int = whole;
    *n_all = n;
    return true;
}

static void put_decimal(KeyBytes *out, const char *digits, unsigned n_int, unsigned n_all, bool negative)
{
    char text[84];
    unsigned from = 0, to = n_all, n = 0;
    while (from < n_int && digits[from] == '0')
        from++;
    while (to > n_int && digits[to - 1] == '0')
        to--;
    if (negative && from < to) text[n++] = '-'; /* -0 is 0 */
    memcpy(text + n, digits + from, n_int - from);
    n += n_int - from;
    if (to > n_int) {
        text[n++] = '.';
        memcpy(text + n, digits + n_int, to - n_int);
        n += to - n_int;
    }
    bytes_put(out, text, n);
}

/* A new id that a map gives is equal exactly where the shard table and its id are: both are put instead, so
 * that nobody is asked here. 0 that stays 0 is of no shard table. */
static bool put_rewritten(const KeyRewrite *r, bool *negative, uint64_t *v, KeyBytes *out)
{
    if (!r->space) return key_rewrite(r, negative, v);
    bool stays = r->keep_zero && *v == 0;
    bytes_put_number(out, stays ? 0 : (uint64_t)r->space->id + 1, true);
    return true;
}

static PartOutcome put_number(const KeyPlanPart *p, const ColumnCodec *c, Field f, KeyBytes *out)
{
    uint64_t v = 0;
    bool negative = false;
    char digits[81];
    unsigned n_int = 0, n_all = 0;
    switch (p->canon) {
    case KEY_CANON_INT:
        if (int_value(c, f, &v, &negative) != PART_DONE) return PART_UNKNOWN;
        if (UNLIKELY(p->rewrite) && !put_rewritten(p->rewrite, &negative, &v, out)) return PART_UNKNOWN;
        bytes_put_number(out, v, negative);
        return PART_DONE;
    case KEY_CANON_DECIMAL:
        if (!decimal_digits(c, f, digits, &n_int, &n_all, &negative)) return PART_UNKNOWN;
        put_decimal(out, digits, n_int, n_all, negative);
        return PART_DONE;
    case KEY_CANON_INT_DECIMAL:
        if (int_value(c, f, &v, &negative) != PART_DONE) return PART_UNKNOWN;
        if (negative) v = 0 - v;
        for (n_int = 20; n_int-- > 0; v /= 10)
            digits[n_int] = (char)('0' + v % 10);
        put_decimal(out, digits, 20, 20, negative);
        return PART_DONE;
    case KEY_CANON_BIT:
        if (f.len > 8) return PART_UNKNOWN;
        bytes_put_number(out, get_be(f.ptr, f.len), false);
        return PART_DONE;
    default: return PART_UNKNOWN;
    }
}

static PartOutcome put_float(const KeyPlanPart *p, Field f, KeyBytes *out)
{
    double d;
    if (p->canon == KEY_CANON_FLOAT) {
        float single;
        uint32_t bits = (uint32_t)get_le(f.ptr, f.len);
        if (f.len != 4) return PART_UNKNOWN;
        memcpy(&single, &bits, 4);
        d = (double)single;
    } else {
        uint64_t bits = f.len == 8 ? get_le(f.ptr, 8) : 0;
        if (f.len != 8) return PART_UNKNOWN;
        memcpy(&d, &bits, 8);
    }
    if (d != d) return PART_UNKNOWN;
    if (d == 0) d = 0; /* -0 = 0 */
    uint64_t u;
    memcpy(&u, &d, 8);
    bytes_put_number(out, u, false);
    return PART_DONE;
}

/* Fraction of a *2 temporal as microseconds: one byte for 1–2 digits, two for 3–4, three for 5–6, big-endian.
 */
static uint32_t fraction_us(const uint8_t *p, size_t n)
{
    static const uint32_t unit[] = {0, 10000, 100, 1};
    return n ? (uint32_t)get_be(p, n) * unit[n] : 0;
}

/* TIME2 as the servers' packed number: (seconds part << 24) + microseconds; negative values keep their
 * fraction in two's complement over the whole. Source of truth: my_time_packed_from_binary. */
static PartOutcome put_time(const ColumnCodec *c, Field f, KeyBytes *out)
{
    int64_t packed;
    if (c->type == COLTYPE_TIME) { /* HHMMSS as a signed 24-bit number */
        if (f.len != 3) return PART_UNKNOWN;
        int32_t n = (int32_t)get_le(f.ptr, 3);
        if (n & 0x800000) n -= 0x1000000;
        int64_t u = n < 0 ? -(int64_t)n : n;
        packed = (u / 10000 << 12 | (u / 100 % 100) << 6 | u % 100) << 24;
        if (n < 0) packed = -packed;
    } else {
        if (f.len < 3 || f.len > 6) return PART_UNKNOWN;
        static const uint32_t unit[] = {0, 10000, 100, 1};
        size_t n = f.len - 3;
        if (n == 3) {
            packed = (int64_t)get_be(f.ptr, 6) - INT64_C(0x800000000000);
        } else {
            int64_t whole = (int64_t)get_be(f.ptr, 3) - 0x800000;
            int64_t frac = n ? (int64_t)get_be(f.ptr + 3, n) : 0;
            if (whole < 0 && frac) whole++, frac -= INT64_C(1) << (8 * n);
            packed = whole * (1 << 24) + frac * unit[n];
        }
    }
    bytes_put_number(out, (uint64_t)packed, packed < 0);
    return PART_DONE;
}

/* DATETIME2: 40 bits big-endian: sign(1) year*13+month(17) day(5) hour(5) minute(6) second(6); then the
 * fraction. DATETIME (old): YYYYMMDDhhmmss as a 64-bit number. */
static PartOutcome put_datetime(const ColumnCodec *c, Field f, KeyBytes *out)
{
    uint64_t v;
    uint32_t us = 0;
    if (c->type == COLTYPE_DATETIME) {
        if (f.len != 8) return PART_UNKNOWN;
        uint64_t n = get_le(f.ptr, 8);
        uint64_t date = n / 1000000, time = n % 1000000;
        uint64_t ym = date / 10000 * 13 + date / 100 % 100;
        v = (ym << 5 | date % 100) << 17 | time / 10000 << 12 | (time / 100 % 100) << 6 | time % 100;
        v |= UINT64_C(0x8000000000);
    } else {
        if (f.len < 5 || f.len > 8) return PART_UNKNOWN;
        v = get_be(f.ptr, 5);
        us = fraction_us(f.ptr + 5, f.len - 5);
    }
    bytes_put_number(out, v << 20 | us, false);
    return PART_DONE;
}

static PartOutcome put_temporal(const KeyPlanPart *p, const ColumnCodec *c, Field f, KeyBytes *out)
{
    switch (p->canon) {
    case KEY_CANON_DATE:
        if (f.len != 3) return PART_UNKNOWN;
        bytes_put_number(out, get_le(f.ptr, 3), false);
        return PART_DONE;
    case KEY_CANON_TIME: return put_time(c, f, out);
    case KEY_CANON_DATETIME: return put_datetime(c, f, out);
    case KEY_CANON_TIMESTAMP: /* *2: seconds big-endian and fraction; old: seconds little-endian */
        if (c->type == COLTYPE_TIMESTAMP) {
            if (f.len != 4) return PART_UNKNOWN;
            bytes_put_number(out, get_le(f.ptr, 4) << 20, false);
            return PART_DONE;
        }
        if (f.len < 4 || f.len > 7) return PART_UNKNOWN;
        bytes_put_number(out, get_be(f.ptr, 4) << 20 | fraction_us(f.ptr + 4, f.len - 4), false);
        return PART_DONE;
    default: return PART_UNKNOWN;
    }
}

/* ENUM: number → number in the target's list. SET: mask → mask over the target's list. */
static PartOutcome put_members(const KeyPlanPart *p, Field f, KeyBytes *out)
{
    if (f.len == 0 || f.len > 8) return PART_UNKNOWN;
    uint64_t v = get_le(f.ptr, f.len), mapped = 0;
    if (p->canon == KEY_CANON_ENUM) {
        if (v > p->n_numbers) return PART_UNKNOWN;
        mapped = v ? p->numbers[v - 1] : 0;
    } else {
        for (unsigned bit = 0; bit < 64; bit++) {
            if (!(v >> bit & 1)) continue;
            if (bit >= p->n_numbers) return PART_UNKNOWN;
            mapped |= UINT64_C(1) << p->numbers[bit];
        }
    }
    bytes_put_number(out, mapped, false);
    return PART_DONE;
}

static size_t trim_spaces(const uint8_t *s, size_t n)
{
    while (n && s[n - 1] == ' ')
        n--;
    return n;
}

/* Printable ASCII, lower case. */
static PartOutcome put_ascii_ci(const KeyPlanPart *p, const uint8_t *s, size_t n, KeyBytes *out)
{
    if (!p->ascii_superset) return PART_UNKNOWN;
    if (p->prefix && n > p->prefix)
        n = p->prefix; /* one byte a character: the loop sees to it that all are ASCII */
    size_t len = trim_spaces(s, n);
    uint32_t len32 = (uint32_t)len;
    uint8_t *o = bytes_room(out, len + sizeof len32);
    memcpy(o, &len32, sizeof len32);
    o += sizeof len32;
    for (size_t i = 0; i < len; i++) {
        uint8_t ch = s[i];
        if (ch < 0x20 || ch > 0x7e) return PART_UNKNOWN;
        o[i] = ch >= 'A' && ch <= 'Z' ? ch | 0x20 : ch;
    }
    out->len += len + sizeof len32;
    return PART_DONE;
}

/* Bytes of the first `prefix` characters; SIZE_MAX when that cannot be told. */
static size_t prefix_bytes(const KeyPlanPart *p, const uint8_t *s, size_t n)
{
    if (!p->prefix || n <= p->prefix) return n;
    size_t chars = 0, i = 0;
    switch (p->form) {
    case CHARSET_BINARY:
    case CHARSET_SINGLE: return p->prefix;
    case CHARSET_UTF8:
        for (; i < n; i++)
            if ((s[i] & 0xc0) != 0x80 && chars++ == p->prefix) break;
        return i;
    default:
        for (; i < p->prefix; i++)
            if (s[i] & 0x80) return SIZE_MAX;
        return i;
    }
}

static PartOutcome put_bin_pad(const KeyPlanPart *p, const uint8_t *s, size_t n, KeyBytes *out)
{
    if (p->same_bytes) {
        n = prefix_bytes(p, s, n);
        if (n == SIZE_MAX) return PART_UNKNOWN;
    } else {
        if (!p->ascii_superset) return PART_UNKNOWN;
        if (p->prefix && n > p->prefix) n = p->prefix;
        for (size_t i = 0; i < n; i++)
            if (s[i] & 0x80) return PART_UNKNOWN;
    }
    bytes_put(out, s, trim_spaces(s, n));
    return PART_DONE;
}

static PartOutcome put_text(const KeyPlanPart *p, const uint8_t *s, size_t n, KeyBytes *out)
{
    return p->fold == KEY_FOLD_ASCII_CI  ? put_ascii_ci(p, s, n, out)
           : p->fold == KEY_FOLD_BIN_PAD ? put_bin_pad(p, s, n, out)
                                         : PART_UNKNOWN;
}

static PartOutcome put_part(const KeyPlanPart *p, const ColumnCodec *c, Field f, KeyBytes *out)
{
    switch (p->canon) {
    case KEY_CANON_NONE: return PART_UNKNOWN;
    case KEY_CANON_INT:
    case KEY_CANON_DECIMAL:
    case KEY_CANON_INT_DECIMAL:
    case KEY_CANON_BIT: return put_number(p, c, f, out);
    case KEY_CANON_FLOAT:
    case KEY_CANON_DOUBLE: return put_float(p, f, out);
    case KEY_CANON_ENUM:
    case KEY_CANON_SET: return put_members(p, f, out);
    case KEY_CANON_MEMBER: {
        uint64_t v = f.len <= 2 ? get_le(f.ptr, f.len) : 0;
        if (v == 0 || v > c->n_members) return PART_UNKNOWN;
        return put_text(p, (const uint8_t *)c->members[v - 1].ptr, c->members[v - 1].len, out);
    }
    case KEY_CANON_DATE:
    case KEY_CANON_TIME:
    case KEY_CANON_DATETIME:
    case KEY_CANON_TIMESTAMP: return put_temporal(p, c, f, out);
    case KEY_CANON_TEXT: return put_text(p, f.ptr, f.len, out);
    case KEY_CANON_BYTES: {
        size_t n = p->prefix && f.len > p->prefix ? p->prefix : f.len;
        while (n && f.ptr[n - 1] == 0)
            n--; /* BINARY(n) of any width; coarse for VARBINARY */
        bytes_put(out, f.ptr, n);
        return PART_DONE;
    }
    }
    return PART_UNKNOWN;
}

typedef enum KeyOutcome { KEY_HASHED, KEY_NOTHING, KEY_EXCLUSIVE } KeyOutcome;

/* The images that tell a key's value: `main` first; where it lacks a column, `fallback` (NULL: none). */
typedef struct KeyView {
    const Field *main, *fallback;
} KeyView;

static KeyOutcome key_hash(const KeyPlan *k, const Binding *b, KeyView v, Arena *arena, uint64_t *hash)
{
    KeyBytes bytes; /* its local bytes are not cleared */
    bytes.ptr = bytes.local;
    bytes.len = 0;
    bytes.cap = sizeof bytes.local;
    bytes.arena = arena;
    bool exclusive = false;
    for (uint32_t i = 0; i < k->n_parts; i++) {
        const KeyPlanPart *p = &k->parts[i];
        bool constant = p->column >= b->n_columns;
        Field f = constant ? b->constants[p->column - b->n_columns] : v.main[p->column];
        if (f.state == FIELD_ABSENT && v.fallback) f = v.fallback[p->column];
        if (f.state == FIELD_NULL) return k->is_row_key ? KEY_EXCLUSIVE : KEY_NOTHING;
        if (f.state == FIELD_ABSENT || put_part(p, &b->columns[p->column].codec, f, &bytes) != PART_DONE)
            exclusive = true; /* goes on: a NULL in a later part makes the key harmless */
    }
    if (exclusive) return KEY_EXCLUSIVE;
    uint64_t h = XXH3_64bits_withSeed(bytes.ptr, bytes.len, k->seed);
    *hash = h ? h : 1;
    return KEY_HASHED;
}

/* The UPDATE keeps every byte of the key's columns. */
static bool key_unchanged(const KeyPlan *k, const Field *before, const Field *after)
{
    if (k->computed) return false;
    for (uint32_t i = 0; i < k->n_columns; i++) {
        Field b = before[k->columns[i]], a = after[k->columns[i]];
        if (a.state == FIELD_ABSENT) continue;
        if (a.state != b.state) return false;
        if (a.state == FIELD_VALUE && (a.len != b.len || (a.len && memcmp(a.ptr, b.ptr, a.len) != 0)))
            return false;
    }
    return true;
}

static void sink_push(KeySink *s, uint64_t key)
{
    if (UNLIKELY(s->n == s->cap)) {
        size_t cap = s->cap ? s->cap * 2 : 16;
        uint64_t *p = arena_alloc(s->arena, cap * sizeof *p);
        if (s->n) memcpy(p, s->keys, s->n * sizeof *p);
        s->keys = p;
        s->cap = cap;
    }
    s->keys[s->n++] = key;
}

/* Hashes of one key of the row into the sink. same: an UPDATE that keeps the key. False: the row is
 * exclusive. */
static bool key_add(const KeyPlan *k, RowOp *op, const Field *before, const Field *after, bool same,
                    KeySink *sink)
{
    uint64_t was = 0, is = 0;
    if (k->always_null) return true;
    KeyOutcome o = k->exclusive ? KEY_EXCLUSIVE : KEY_NOTHING;
    if (before && o != KEY_EXCLUSIVE)
        o = key_hash(k, op->binding, (KeyView){before, NULL}, sink->arena, &was);
    /* an UPDATE that neither frees nor claims this key needs no order by it: its row key has that */
    if (o == KEY_EXCLUSIVE) return same && !k->is_row_key;
    if (same)
        is = was;
    else if (after && key_hash(k, op->binding, (KeyView){after, before}, sink->arena, &is) == KEY_EXCLUSIVE)
        return false;
    if (was) sink_push(sink, was);
    if (is && is != was) sink_push(sink, is);
    if (k->is_row_key) {
        op->row_hash_before = was;
        op->row_hash_after = is;
    }
    return true;
}

void keyhash_row(RowOp *op, const Field *before, const Field *after, KeySink *sink)
{
    const Binding *b = op->binding;
    CHECK(sink->n <= UINT32_MAX, "too many keys in one transaction");
    CHECK(before || after, "row without an image");
    op->keys_at = (uint32_t)sink->n;
    op->row_hash_before = op->row_hash_after = 0;
    op->exclusive = b->target->row_key == NO_COLUMN;
    op->keys_unchanged = before && after && !op->exclusive;
    for (uint32_t i = 0; i < b->n_key_plans; i++) {
        const KeyPlan *k = &b->key_plans[i];
        bool same = before && after && key_unchanged(k, before, after);
        if (!op->exclusive && !key_add(k, op, before, after, same, sink)) op->exclusive = true;
        if (!same) op->keys_unchanged = false;
    }
    if (op->exclusive) {
        sink->n = op->keys_at;
        op->row_hash_before = op->row_hash_after = 0;
    }
    op->n_keys = (uint32_t)(sink->n - op->keys_at);
}
