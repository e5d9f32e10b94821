#include "load/chunk_key.h"
#include <stdlib.h>
#include "base/check.h"
#include "base/reader.h"
#include "decode/row.h"
#include "load/key_part.h"
#include "base/poison.h"

/* Immutable; any thread. */
struct ChunkKey {
    uint32_t n_parts;
    KeyPartCodec *parts; /* in the order of the key */
    uint32_t *columns;   /* their columns, ascending, as the row walker wants them */
    uint32_t *place;     /* part i is the place[i]-th of columns */
    bool complete;
    uint32_t n_rest; /* columns of the key that are not compared: none when it is complete */
    uint32_t *rest;  /* ascending */
    Str index;       /* the schema's; empty: not to be named */
};
enum { MOST_COLUMNS = 64 }; /* servers allow 16 and 32 columns in a key */

/* -- which key -- */

/* How many leading columns of the key are comparable here. */
static uint32_t usable_parts(const TableSchema *s, const TableMap *map, const KeyDef *k)
{
    uint32_t n = 0;
    if (!k->unique && !k->primary) return 0;
    if (k->index_type.len && !str_ieq(k->index_type, STR("BTREE"))) return 0;
    for (uint32_t i = 0; i < k->n_parts; i++)
        if (k->parts[i].column >= s->n_columns || !s->columns[k->parts[i].column].not_null) return 0;
    for (; n < k->n_parts; n++) {
        const KeyPart *p = &k->parts[n];
        KeyPartCodec unused;
        if (p->prefix || s->columns[p->column].generated) break;
        if (!key_part_init(&unused, &s->columns[p->column], &map->columns[p->column])) break;
    }
    return n;
}

/* The primary key if all of it is comparable, else another such key, else the first with a comparable
 * beginning. */
static const KeyDef *choose(const TableSchema *s, const TableMap *map, uint32_t *n_parts)
{
    const KeyDef *partly = NULL;
    for (uint32_t i = 0; i < s->n_keys; i++) {
        uint32_t n = usable_parts(s, map, &s->keys[i]);
        if (n && n == s->keys[i].n_parts) {
            *n_parts = n;
            return &s->keys[i];
        }
        if (n && !partly) {
            partly = &s->keys[i];
            *n_parts = n;
        }
    }
    return partly;
}

static int by_number(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

static void take_rest(ChunkKey *k, const KeyDef *def)
{
    k->rest = mem_zalloc(sizeof *k->rest * (def->n_parts + 1));
    for (uint32_t i = k->n_parts; i < def->n_parts; i++)
        k->rest[k->n_rest++] = def->parts[i].column;
    qsort(k->rest, k->n_rest, sizeof *k->rest, by_number);
}

/* The key of the first n parts of def. */
static ChunkKey *make(const TableSchema *schema, const TableMap *map, const KeyDef *def, uint32_t n)
{
    ChunkKey *k = mem_zalloc(sizeof *k);
    k->n_parts = n;
    k->complete = n == def->n_parts;
    k->parts = mem_zalloc(sizeof *k->parts * n);
    k->columns = mem_zalloc(sizeof *k->columns * n);
    k->place = mem_zalloc(sizeof *k->place * n);
    for (uint32_t i = 0; i < n; i++) {
        uint32_t column = def->parts[i].column, at = 0;
        CHECK(key_part_init(&k->parts[i], &schema->columns[column], &map->columns[column]), "usable");
        k->parts[i].column = column;
        for (uint32_t p = 0; p < n; p++)
            at += def->parts[p].column < column;
        k->columns[at] = column;
        k->place[i] = at;
    }
    take_rest(k, def);
    if (!def->invisible) k->index = def->primary ? STR("PRIMARY") : def->name;
    return k;
}

bool chunk_key_new(const TableSchema *schema, const TableMap *map, ChunkKey **out)
{
    *out = NULL;
    CHECK(map->n_columns >= schema->n_columns, "the map is the schema's");
    uint32_t n = 0;
    const KeyDef *def = choose(schema, map, &n);
    if (def) *out = make(schema, map, def, n);
    return def != NULL;
}

/* The column that holds the part's values now, written as before; NO_COLUMN: none. */
static uint32_t carried_column(const KeyPartCodec *p, const SchemaStep *step, const TableMap *map)
{
    const TableSchema *s = step->after;
    for (uint32_t i = 0; i < s->n_columns; i++) {
        const ColumnLineage *line = &step->columns[i];
        KeyPartCodec now;
        if (line->from != p->column) continue;
        bool same = !line->lossy && !s->columns[i].generated &&
                    key_part_init(&now, &s->columns[i], &map->columns[i]) && now.kind == p->kind &&
                    now.fsp >= p->fsp && now.bytes >= p->bytes;
        return same && (p->kind != KEY_BINARY || now.bytes == p->bytes) ? i : UINT32_MAX;
    }
    return UINT32_MAX;
}

bool chunk_key_carry(const ChunkKey *k, const SchemaStep *step, const TableMap *map, ChunkKey **out)
{
    const TableSchema *s = step->after;
    *out = NULL;
    if (!s || !step->before) return false;
    CHECK(map->n_columns >= s->n_columns, "the map is the schema's");
    for (uint32_t i = 0; i < s->n_keys && !*out; i++) {
        const KeyDef *def = &s->keys[i];
        bool same = usable_parts(s, map, def) >= k->n_parts;
        for (uint32_t p = 0; same && p < k->n_parts; p++)
            same = def->parts[p].column == carried_column(&k->parts[p], step, map);
        if (same) *out = make(s, map, def, k->n_parts);
    }
    return *out != NULL;
}

bool chunk_key_same_form(const ChunkKey *a, const ChunkKey *b)
{
    bool same = a->n_parts == b->n_parts;
    for (uint32_t i = 0; same && i < a->n_parts; i++)
        same = a->parts[i].kind == b->parts[i].kind && a->parts[i].bytes == b->parts[i].bytes &&
               a->parts[i].fsp == b->parts[i].fsp;
    return same;
}

void chunk_key_free(ChunkKey *k)
{
    if (!k) return;
    free(k->parts);
    free(k->columns);
    free(k->place);
    free(k->rest);
    free(k);
}

bool chunk_key_is_complete(const ChunkKey *k)
{
    return k->complete;
}

uint32_t chunk_key_n_columns(const ChunkKey *k)
{
    return k->n_parts;
}

bool chunk_key_of(const ChunkKey *k, const TableMap *map, const RowImage *image, StrBuf *out)
{
    Field fields[MOST_COLUMNS];
    CHECK(k->n_parts <= MOST_COLUMNS, "a key of more than 64 columns");
    row_fields_some(map, image->present, image->bytes, k->columns, k->n_parts, fields);
    size_t start = out->len;
    for (uint32_t i = 0; i < k->n_parts; i++) {
        const KeyPartCodec *p = &k->parts[i];
        if (key_part_put(p, &map->columns[p->column], fields[k->place[i]], out)) continue;
        out->len = start;
        return false;
    }
    return true;
}

bool chunk_key_row(const ChunkKey *k, const TableMap *map, const RowImage *image, StrBuf *out)
{
    size_t start = out->len;
    if (!chunk_key_of(k, map, image, out)) return false;
    if (!k->n_rest) return true;
    Field fields[MOST_COLUMNS];
    CHECK(k->n_rest <= MOST_COLUMNS, "a key of more than 64 columns");
    row_fields_some(map, image->present, image->bytes, k->rest, k->n_rest, fields);
    for (uint32_t i = 0; i < k->n_rest; i++) {
        const Field *f = &fields[i];
        if (f->state != FIELD_VALUE) {
            out->len = start;
            return false;
        }
        sb_add(out, &f->len, sizeof f->len);
        sb_add(out, f->ptr, f->len);
    }
    return true;
}

int chunk_key_cmp(Str a, Str b)
{
    int c = str_cmp(a, b);
    return (c > 0) - (c < 0);
}

/* -- keys as values -- */

/* The next part of a key; what is no key of this table is our own mistake. */
static KeyValue take(const KeyPartCodec *p, Reader *r)
{
    KeyValue v;
    CHECK(key_part_take(p, r, &v), "a chunk key of this table");
    return v;
}

/* Appends "`a` op literal". */
static void compare(const KeyPartCodec *p, const char *op, const KeyValue *v, StrBuf *sql)
{
    sb_ident(sql, p->name);
    sb_c(sql, op);
    key_part_literal(p, v, sql);
}

/* Appends "`a` > x OR (`a` = x AND (`b` > y OR …))" for the parts from `part` on; the reader stands before
 * x. op decides all columns but the last, last_op that one. */
static void put_side(const ChunkKey *k, uint32_t part, Reader key, const char *op, const char *last_op,
                     StrBuf *sql)
{
    uint32_t open = 0;
    for (; part < k->n_parts; part++) {
        KeyValue v = take(&k->parts[part], &key);
        bool last = part + 1 == k->n_parts;
        compare(&k->parts[part], last ? last_op : op, &v, sql);
        if (last) break;
        sb_c(sql, " OR (");
        compare(&k->parts[part], " = ", &v, sql);
        sb_c(sql, " AND (");
        open += 2;
    }
    while (open-- > 0)
        sb_ch(sql, ')');
}

/* Both bounds: the columns in which they agree by equality; of the first that differs what lies between, and
 * at its ends the rest. Each piece is one interval of the index, in its order. */
static void put_between(const ChunkKey *k, Reader lo, Reader hi, StrBuf *sql)
{
    for (uint32_t i = 0; i < k->n_parts; i++) {
        const KeyPartCodec *p = &k->parts[i];
        bool last = i + 1 == k->n_parts;
        KeyValue a = take(p, &lo), b = take(p, &hi);
        if (!last && key_value_eq(&a, &b)) {
            compare(p, " = ", &a, sql);
            sb_c(sql, " AND ");
            continue;
        }
        if (!last) sb_ch(sql, '(');
        if (!last) sb_ch(sql, '(');
        compare(p, " > ", &a, sql);
        sb_c(sql, " AND ");
        compare(p, last ? " <= " : " < ", &b, sql);
        if (last) return;
        sb_c(sql, ") OR (");
        compare(p, " = ", &a, sql);
        sb_c(sql, " AND (");
        put_side(k, i + 1, lo, " > ", " > ", sql);
        sb_c(sql, ")) OR (");
        compare(p, " = ", &b, sql);
        sb_c(sql, " AND (");
        put_side(k, i + 1, hi, " < ", " <= ", sql);
        sb_c(sql, ")))");
        return;
    }
}

void chunk_key_where(const ChunkKey *k, Str lo, Str hi, StrBuf *sql)
{
    if (!lo.len && !hi.len) {
        sb_c(sql, "TRUE");
        return;
    }
    sb_ch(sql, '(');
    if (!hi.len)
        put_side(k, 0, reader_of(lo), " > ", " > ", sql);
    else if (!lo.len)
        put_side(k, 0, reader_of(hi), " < ", " <= ", sql);
    else
        put_between(k, reader_of(lo), reader_of(hi), sql);
    sb_ch(sql, ')');
}

void chunk_key_index(const ChunkKey *k, StrBuf *sql)
{
    if (!k->index.len) return;
    sb_c(sql, " FORCE INDEX (");
    sb_ident(sql, k->index);
    sb_ch(sql, ')');
}

void chunk_key_order(const ChunkKey *k, bool descending, StrBuf *sql)
{
    for (uint32_t i = 0; i < k->n_parts; i++) {
        if (i) sb_ch(sql, ',');
        sb_ident(sql, k->parts[i].name);
        if (descending) sb_c(sql, " DESC");
    }
}

/* -- the middle -- */

typedef enum Edge { EDGE_LOWEST, EDGE_HIGHEST } Edge;

/* Appends the lowest or highest value of each part from `part` on. */
static void put_edges(const ChunkKey *k, uint32_t part, Edge edge, StrBuf *out)
{
    for (; part < k->n_parts; part++)
        key_part_edge(&k->parts[part], edge == EDGE_HIGHEST, out);
}

/* Is what stands behind start strictly between? Otherwise it is taken back. */
static bool keep_between(StrBuf *out, size_t start, Str lo, Str hi)
{
    Str key = str_make(out->ptr + start, out->len - start);
    if (chunk_key_cmp(lo, key) < 0 && chunk_key_cmp(key, hi) < 0) return true;
    out->len = start;
    out->ptr[start] = 0;
    return false;
}

bool chunk_key_middle(const ChunkKey *k, Str lo, Str hi, StrBuf *out)
{
    if (!lo.len || !hi.len || chunk_key_cmp(lo, hi) >= 0) return false;
    Reader a = reader_of(lo), b = reader_of(hi);
    size_t start = out->len;
    for (uint32_t i = 0; i < k->n_parts; i++) {
        const KeyPartCodec *p = &k->parts[i];
        Str before = str_make(lo.ptr, (size_t)((const char *)a.at - lo.ptr));
        KeyValue x = take(p, &a), y = take(p, &b);
        if (key_value_eq(&x, &y)) continue;
        sb_reserve(out, lo.len + hi.len);
        sb_str(out, before);
        if (key_part_middle(p, &x, &y, out)) {
            put_edges(k, i + 1, EDGE_HIGHEST, out);
            CHECK(keep_between(out, start, lo, hi), "the middle lies between");
            return true;
        }
        /* neighbours: all that begins with the lower one, or nothing that begins with the upper one */
        out->len = start;
        sb_str(out, before);
        key_part_put_value(p, &x, out);
        put_edges(k, i + 1, EDGE_HIGHEST, out);
        if (keep_between(out, start, lo, hi)) return true;
        sb_str(out, before);
        key_part_put_value(p, &y, out);
        put_edges(k, i + 1, EDGE_LOWEST, out);
        return keep_between(out, start, lo, hi);
    }
    return false;
}

void chunk_key_format(const ChunkKey *k, Str key, StrBuf *out)
{
    Reader r = reader_of(key);
    if (!key.len) {
        sb_c(out, "()");
        return;
    }
    sb_ch(out, '(');
    for (uint32_t i = 0; i < k->n_parts; i++) {
        KeyValue v = take(&k->parts[i], &r);
        if (i) sb_ch(out, ',');
        key_part_literal(&k->parts[i], &v, out);
    }
    sb_ch(out, ')');
}
