#include "decode/json_diff.h"
#include "base/arena.h"
#include "base/reader.h"
#include "decode/decode_internal.h"
#include "base/poison.h"

enum {
    SMALL_OBJECT,
    LARGE_OBJECT,
    SMALL_ARRAY,
    LARGE_ARRAY,
    LITERAL,
    INT16,
    UINT16,
    INT32,
    UINT32,
    INT64,
    UINT64,
    DOUBLE,
    STRING,
    OPAQUE = 15
};
enum { MAX_LEGS = 128 /* the server's own limit is 100 */, ENTRY_LEN = 5, KEY_ENTRY_LEN = 6 };

/* A value: its bytes as they stand in the document (all offsets in them count from their start, so that they
 * may be moved), or an opened container, of which parts may be changed. Only what paths lead through is
 * opened. */
typedef struct Node {
    uint8_t type;
    bool open;
    Str bytes; /* not open: from the value's first byte; may be longer than the value */
    struct Member *members;
    size_t n, cap;
} Node;

typedef struct Member {
    Str key; /* of an object's */
    Node *value;
} Member;

/* Parts of a valid document do not overlap, so that neither opening nor writing them takes more bytes than
 * went in. `left` counts them down: crafted offsets cannot make work or memory grow beyond the input. */
typedef struct Editor {
    Arena arena;
    Node *root;
    uint64_t open_left, write_left;
    StrBuf *out;
} Editor;

static bool spend(uint64_t *left, uint64_t n)
{
    if (n > *left) return false;
    *left -= n;
    return true;
}

static bool is_object(const Node *n)
{
    return n->type == SMALL_OBJECT || n->type == LARGE_OBJECT;
}

static bool is_array(const Node *n)
{
    return n->type == SMALL_ARRAY || n->type == LARGE_ARRAY;
}

/* ---- reading ---- */

static uint64_t read_var_length(Reader *r)
{
    uint64_t n = 0;
    for (unsigned shift = 0; shift < 35; shift += 7) {
        uint8_t byte = reader_u8(r);
        n |= (uint64_t)(byte & 0x7f) << shift;
        if (!(byte & 0x80)) return n;
    }
    r->failed = true;
    return 0;
}

/* Cuts data, which begins with a value of the type, behind it. */
static bool value_cut(uint8_t type, Str *data)
{
    Reader r = reader_of(*data);
    uint64_t n = 0;
    switch (type) {
    case SMALL_OBJECT:
    case SMALL_ARRAY:
    case LARGE_OBJECT:
    case LARGE_ARRAY: {
        unsigned wide = type == SMALL_OBJECT || type == SMALL_ARRAY ? 2 : 4;
        (void)reader_uint(&r, wide);
        n = reader_uint(&r, wide);
        if (n < 2 * wide) return false;
        r = reader_of(*data);
        break;
    }
    case LITERAL: n = 1; break;
    case INT16:
    case UINT16: n = 2; break;
    case INT32:
    case UINT32: n = 4; break;
    case INT64:
    case UINT64:
    case DOUBLE: n = 8; break;
    case OPAQUE:
        (void)reader_u8(&r);
        n = read_var_length(&r);
        break;
    case STRING: n = read_var_length(&r); break;
    default: return false;
    }
    (void)reader_bytes(&r, n);
    if (!reader_ok(&r)) return false;
    data->len -= reader_left(&r);
    return true;
}

static Node *node_new(Editor *e, uint8_t type, Str bytes)
{
    Node *n = arena_new(&e->arena, Node);
    n->type = type;
    n->bytes = bytes;
    return n;
}

/* Type byte, value. */
static Node *document_node(Editor *e, Str bytes)
{
    if (bytes.len == 0) return NULL;
    Str data = str_make(bytes.ptr + 1, bytes.len - 1);
    return value_cut((uint8_t)bytes.ptr[0], &data) ? node_new(e, (uint8_t)bytes.ptr[0], data) : NULL;
}

/* A container's value entry: type, then the value itself or where it begins. */
static Node *entry_node(Editor *e, Reader *entries, Str container, unsigned wide)
{
    uint8_t type = reader_u8(entries);
    Str data = reader_str(entries, wide);
    Reader r = reader_of(data);
    bool within = type == LITERAL || type == INT16 || type == UINT16 ||
                  (wide == 4 && (type == INT32 || type == UINT32));
    if (!within) {
        uint64_t at = reader_uint(&r, wide);
        if (at >= container.len) return NULL;
        data = str_make(container.ptr + at, container.len - at);
    }
    return value_cut(type, &data) ? node_new(e, type, data) : NULL;
}

/* Makes the members of a container changeable. Layout: json_container in json_binary.c. */
static bool node_open(Editor *e, Node *node)
{
    if (node->open) return true;
    bool object = is_object(node);
    unsigned wide = node->type == SMALL_OBJECT || node->type == SMALL_ARRAY ? 2 : 4;
    Str all = node->bytes;
    if (!value_cut(node->type, &all)) return false;
    Reader r = reader_of(all);
    uint64_t n = reader_uint(&r, wide);
    (void)reader_uint(&r, wide);
    size_t per_element = (object ? wide + 2u : 0) + 1 + wide;
    if (n > reader_left(&r) / per_element || !spend(&e->open_left, n * per_element)) return false;
    Reader keys = reader_of(reader_str(&r, object ? n * (wide + 2) : 0));
    node->members = arena_array(&e->arena, Member, n + 1);
    node->n = n;
    node->cap = n + 1;
    for (uint64_t i = 0; i < n; i++) {
        Member *m = &node->members[i];
        if (object) {
            uint64_t at = reader_uint(&keys, wide), len = reader_u16(&keys);
            if (at > all.len || len > all.len - at) return false;
            m->key = str_make(all.ptr + at, len);
        }
        m->value = entry_node(e, &r, all, wide);
        if (!m->value) return false;
    }
    node->open = true;
    return true;
}

/* ---- paths ---- */

typedef struct Leg {
    bool cell;
    uint64_t index;
    Str key;
} Leg;

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9') return c - '0';
    c = (char)(c | 32);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static bool read_code_unit(Reader *r, uint32_t *out)
{
    *out = 0;
    for (unsigned i = 0; i < 4; i++) {
        int digit = hex_digit((char)reader_u8(r));
        if (digit < 0) return false;
        *out = *out << 4 | (uint32_t)digit;
    }
    return true;
}

static void put_utf8(StrBuf *b, uint32_t c)
{
    if (c < 0x80) {
        sb_ch(b, (char)c);
        return;
    }
    if (c < 0x800) {
        sb_ch(b, (char)(0xC0 | c >> 6));
    } else {
        if (c < 0x10000) {
            sb_ch(b, (char)(0xE0 | c >> 12));
        } else {
            sb_ch(b, (char)(0xF0 | c >> 18));
            sb_ch(b, (char)(0x80 | (c >> 12 & 0x3F)));
        }
        sb_ch(b, (char)(0x80 | (c >> 6 & 0x3F)));
    }
    sb_ch(b, (char)(0x80 | (c & 0x3F)));
}

static bool read_escape(Reader *r, StrBuf *b)
{
    uint8_t c = reader_u8(r);
    uint32_t high, low;
    switch (c) {
    case '"':
    case '\\':
    case '/': sb_ch(b, (char)c); return true;
    case 'b': sb_ch(b, '\b'); return true;
    case 'f': sb_ch(b, '\f'); return true;
    case 'n': sb_ch(b, '\n'); return true;
    case 'r': sb_ch(b, '\r'); return true;
    case 't': sb_ch(b, '\t'); return true;
    case 'u':
        if (!read_code_unit(r, &high)) return false;
        if (high >= 0xD800 && high < 0xDC00) {
            if (reader_u8(r) != '\\' || reader_u8(r) != 'u' || !read_code_unit(r, &low) || low < 0xDC00 ||
                low > 0xDFFF)
                return false;
            high = 0x10000 + ((high - 0xD800) << 10 | (low - 0xDC00));
        }
        put_utf8(b, high);
        return true;
    default: return false;
    }
}

/* Behind the opening quote, to behind the closing one. */
static bool read_quoted(Editor *e, Reader *r, Str *key)
{
    StrBuf b = {0};
    bool ok = false;
    while (reader_left(r)) {
        uint8_t c = reader_u8(r);
        if (c == '"') {
            ok = true;
            break;
        }
        if (c != '\\')
            sb_ch(&b, (char)c);
        else if (!read_escape(r, &b))
            break;
    }
    if (ok) *key = arena_str(&e->arena, sb_view(&b));
    sb_done(&b);
    return ok;
}

static bool read_member_leg(Editor *e, Reader *r, Leg *leg)
{
    if (reader_left(r) && *r->at == '"') {
        (void)reader_u8(r);
        return read_quoted(e, r, &leg->key);
    }
    const uint8_t *start = r->at;
    while (reader_left(r) && *r->at != '.' && *r->at != '[')
        r->at++;
    leg->key = str_make(start, (size_t)(r->at - start));
    return leg->key.len > 0;
}

static bool read_cell_leg(Reader *r, Leg *leg)
{
    const uint8_t *start = r->at;
    while (reader_left(r) && *r->at != ']')
        r->at++;
    Str digits = str_make(start, (size_t)(r->at - start));
    leg->cell = true;
    return reader_u8(r) == ']' && str_to_u64(digits, &leg->index);
}

/* $, then .name, ."name" and [n]. */
static bool read_path(Editor *e, Str path, Leg legs[MAX_LEGS], size_t *n)
{
    Reader r = reader_of(path);
    *n = 0;
    if (reader_u8(&r) != '$') return false;
    while (reader_left(&r)) {
        if (*n == MAX_LEGS) return false;
        Leg *leg = &legs[(*n)++];
        *leg = (Leg){0};
        uint8_t c = reader_u8(&r);
        if (c == '.' ? !read_member_leg(e, &r, leg) : c != '[' || !read_cell_leg(&r, leg)) return false;
    }
    return reader_ok(&r);
}

/* ---- changing ---- */

/* The order that the server keeps members in: shorter keys first, then by their bytes. *at: its place, or
 * where it would stand. */
static bool find_key(const Node *object, Str key, size_t *at)
{
    size_t low = 0, high = object->n;
    while (low < high) {
        size_t mid = (low + high) / 2;
        Str k = object->members[mid].key;
        int c = k.len != key.len ? k.len < key.len ? -1 : 1 : str_cmp(k, key);
        if (c == 0) {
            *at = mid;
            return true;
        }
        if (c < 0)
            low = mid + 1;
        else
            high = mid;
    }
    *at = low;
    return false;
}

/* The member that the leg names; *at as find_key. False: there is none. */
static bool find_leg(const Node *container, const Leg *leg, size_t *at)
{
    if (leg->cell) {
        *at = (size_t)MIN(leg->index, (uint64_t)container->n);
        return leg->index < container->n;
    }
    return find_key(container, leg->key, at);
}

/* Can the leg lead into the node? Opens it. *itself: [0] of a value that is no array is the value. */
static bool enter(Editor *e, Node *node, const Leg *leg, bool *itself)
{
    *itself = leg->cell && !is_array(node) && leg->index == 0;
    if (*itself) return true;
    return (leg->cell ? is_array(node) : is_object(node)) && node_open(e, node);
}

static void member_insert(Editor *e, Node *container, size_t at, Member m)
{
    if (container->n == container->cap) {
        size_t cap = container->cap * 2 + 2;
        Member *grown = arena_array(&e->arena, Member, cap);
        if (container->n) memcpy(grown, container->members, container->n * sizeof *grown);
        container->members = grown;
        container->cap = cap;
    }
    memmove(container->members + at + 1, container->members + at, (container->n - at) * sizeof m);
    container->members[at] = m;
    container->n++;
}

typedef enum DiffKind { DIFF_REPLACE, DIFF_INSERT, DIFF_REMOVE } DiffKind;

static bool change(Editor *e, DiffKind kind, const Leg *legs, size_t n, Node *value)
{
    Node **at = &e->root;
    size_t place = 0;
    bool itself = false;
    for (size_t i = 0; i + 1 < n; i++) {
        if (!enter(e, *at, &legs[i], &itself)) return false;
        if (itself) continue;
        if (!find_leg(*at, &legs[i], &place)) return false;
        at = &(*at)->members[place].value;
    }
    if (n == 0) {
        if (kind == DIFF_REPLACE) e->root = value;
        return kind == DIFF_REPLACE;
    }
    Node *parent = *at;
    const Leg *last = &legs[n - 1];
    if (!enter(e, parent, last, &itself)) return false;
    if (itself) {
        if (kind == DIFF_REPLACE) *at = value;
        return kind == DIFF_REPLACE;
    }
    bool found = find_leg(parent, last, &place);
    switch (kind) {
    case DIFF_REPLACE:
        if (found) parent->members[place].value = value;
        return found;
    case DIFF_REMOVE:
        if (!found) return false;
        parent->n--;
        memmove(parent->members + place, parent->members + place + 1,
                (parent->n - place) * sizeof *parent->members);
        return true;
    case DIFF_INSERT:
        if (found && !last->cell) return false;
        member_insert(e, parent, place, (Member){last->key, value});
        return true;
    }
    return false;
}

/* ---- writing ---- */

static void put_le(char *to, uint64_t v, unsigned n)
{
    for (unsigned i = 0; i < n; i++)
        to[i] = (char)(v >> (8 * i));
}

static bool fits_entry(uint8_t type)
{
    return type == LITERAL || type == INT16 || type == UINT16 || type == INT32 || type == UINT32;
}

static uint8_t written_type(const Node *n)
{
    return !n->open ? n->type : is_object(n) ? LARGE_OBJECT : LARGE_ARRAY;
}

static bool write_node(Editor *e, const Node *node);

/* Opened containers are written in their large form, which holds any length. */
static bool write_open(Editor *e, const Node *node)
{
    StrBuf *out = e->out;
    size_t start = out->len, per_element = (is_object(node) ? KEY_ENTRY_LEN : 0) + ENTRY_LEN;
    size_t head = 8 + node->n * per_element, key_at = start + 8,
           entry_at = start + head - node->n * ENTRY_LEN;
    sb_reserve(out, head);
    memset(out->ptr + out->len, 0, head);
    sb_wrote(out, head);
    for (size_t i = 0; is_object(node) && i < node->n; i++, key_at += KEY_ENTRY_LEN) {
        Str key = node->members[i].key;
        if (key.len > UINT16_MAX || !spend(&e->write_left, key.len)) return false;
        put_le(out->ptr + key_at, out->len - start, 4);
        put_le(out->ptr + key_at + 4, key.len, 2);
        sb_str(out, key);
    }
    for (size_t i = 0; i < node->n; i++, entry_at += ENTRY_LEN) {
        const Node *v = node->members[i].value;
        out->ptr[entry_at] = (char)written_type(v);
        if (!v->open && fits_entry(v->type)) {
            memcpy(out->ptr + entry_at + 1, v->bytes.ptr, v->bytes.len);
            continue;
        }
        put_le(out->ptr + entry_at + 1, out->len - start, 4);
        if (!write_node(e, v)) return false;
    }
    put_le(out->ptr + start, node->n, 4);
    put_le(out->ptr + start + 4, out->len - start, 4);
    return out->len - start <= UINT32_MAX;
}

static bool write_node(Editor *e, const Node *node)
{
    if (node->open) return write_open(e, node);
    if (!spend(&e->write_left, node->bytes.len)) return false;
    sb_str(e->out, node->bytes);
    return true;
}

/* ---- all of it ---- */

static bool corrupt(Err *err)
{
    return err_set(err, ERR_CORRUPT, "a JSON diff makes no sense");
}

static bool apply_one(Editor *e, Reader *r, Err *err)
{
    Leg legs[MAX_LEGS];
    size_t n;
    uint8_t kind = reader_u8(r);
    Str path = reader_str(r, reader_lenenc(r));
    Node *value = NULL;
    if (kind > DIFF_REMOVE || !reader_ok(r) || !read_path(e, path, legs, &n)) return corrupt(err);
    if (kind != DIFF_REMOVE) {
        Str bytes = reader_str(r, reader_lenenc(r));
        if (!reader_ok(r) || !(value = document_node(e, bytes))) return corrupt(err);
    }
    if (change(e, (DiffKind)kind, legs, n, value)) return true;
    return err_set(err, ERR_DECODE_VALUE, "a JSON diff does not fit the document it is for");
}

bool json_diff_apply(Str document, Str diffs, StrBuf *out, Err *err)
{
    size_t start = out->len;
    Editor e = {.out = out};
    bool ok = false;
    e.open_left = e.write_left = (uint64_t)document.len + diffs.len;
    e.root = document_node(&e, document);
    if (!e.root) {
        err_set(err, ERR_DECODE_VALUE, "JSON value of %zu bytes: its binary form is broken", document.len);
        goto out;
    }
    Reader r = reader_of(diffs);
    while (reader_left(&r))
        if (!apply_one(&e, &r, err)) goto out;
    sb_ch(out, (char)written_type(e.root));
    ok = write_node(&e, e.root);
    if (!ok)
        err_set(err, ERR_DECODE_VALUE, "JSON value of %zu bytes: its binary form is broken", document.len);
out:
    if (!ok) {
        out->len = start;
        if (out->ptr) out->ptr[start] = 0;
    }
    arena_done(&e.arena);
    return ok;
}
