#include "decode/event_rewrite.h"
#include <stdlib.h>
#include "decode/event_inflate.h"
#include "decode/json_diff.h"
#include "decode/row.h"
#include "model/coltype.h"
#include "base/poison.h"

static bool is_compressed(const MapColumn *c)
{
    return c->type == COLTYPE_BLOB_COMPRESSED || c->type == COLTYPE_VARCHAR_COMPRESSED;
}

bool table_map_compressed(const TableMap *wire)
{
    for (uint32_t i = 0; i < wire->n_columns; i++)
        if (is_compressed(&wire->columns[i])) return true;
    return false;
}

void table_map_plain(const TableMap *wire, Arena *arena, TableMap *plain)
{
    *plain = *wire;
    plain->columns = arena_alloc(arena, wire->n_columns * sizeof *plain->columns);
    memcpy(plain->columns, wire->columns, wire->n_columns * sizeof *plain->columns);
    for (uint32_t i = 0; i < plain->n_columns; i++) {
        MapColumn *c = &plain->columns[i];
        if (c->type == COLTYPE_BLOB_COMPRESSED) c->type = COLTYPE_BLOB;
        if (c->type != COLTYPE_VARCHAR_COMPRESSED) continue;
        c->type = COLTYPE_VARCHAR;
        if (c->meta) c->meta--; /* the byte in front of the value */
    }
}

bool row_partial_head(const TableMap *map, Reader *r, const uint8_t **diffs, Err *err)
{
    enum { PARTIAL_JSON = 1 };
    uint64_t options = reader_lenenc(r);
    *diffs = NULL;
    if (reader_ok(r) && (options & ~(uint64_t)PARTIAL_JSON))
        return err_set_remedy(err, ERR_DECODE_UNSUPPORTED,
                              "set binlog_row_value_options='' on the source; bring the rows of this "
                              "transaction by hand and go on behind it, " ERR_PAST,
                              "PARTIAL_UPDATE_ROWS event with value options %llu",
                              (unsigned long long)options);
    size_t n = 0;
    for (uint32_t i = 0; i < map->n_columns; i++)
        n += map->columns[i].type == COLTYPE_JSON;
    if (options & PARTIAL_JSON) *diffs = reader_bytes(r, (n + 7) / 8);
    return reader_ok(r) || err_set(err, ERR_CORRUPT, "PARTIAL_UPDATE_ROWS event: a row is cut off");
}

/* One event being rewritten. */
typedef struct Rewrite {
    const TableMap *wire;
    StrBuf *out;
    StrBuf value;  /* scratch */
    Field *before; /* of the row's before image */
    Field *after;  /* of the image being written */
} Rewrite;

static unsigned prefix_len(const MapColumn *c)
{
    return c->type == COLTYPE_VARCHAR_COMPRESSED ? c->meta > 255 ? 2 : 1 : c->meta;
}

/* The value in x->value, behind its length as the plain column has it. */
static bool put_value(Rewrite *x, uint32_t column, Err *err)
{
    const MapColumn *c = &x->wire->columns[column];
    unsigned prefix = c->type == COLTYPE_VARCHAR_COMPRESSED ? c->meta > 256 ? 2 : 1 : c->meta;
    uint64_t n = x->value.len;
    if (n >> (8 * prefix)) return err_set(err, ERR_CORRUPT, "its value is longer than the column");
    for (unsigned i = 0; i < prefix; i++)
        sb_ch(x->out, (char)(n >> (8 * i)));
    sb_str(x->out, sb_view(&x->value));
    return true;
}

static bool new_value(Rewrite *x, uint32_t column, bool diff, Err *err)
{
    Str wire = str_make(x->after[column].ptr, x->after[column].len);
    sb_clear(&x->value);
    if (!diff) return column_inflate(wire, &x->value, err);
    const Field *old = &x->before[column];
    if (old->state == FIELD_ABSENT)
        return err_set(err, ERR_DECODE_PARTIAL,
                       "it holds a JSON diff, and the before image lacks the document");
    if (old->state == FIELD_NULL)
        return err_set(err, ERR_CORRUPT, "it holds a JSON diff, and was NULL before");
    return json_diff_apply(str_make(old->ptr, old->len), wire, &x->value, err);
}

/* image's fields are in x->after; diffs: NULL, or a bit for each JSON column. */
static bool put_image(Rewrite *x, Str image, const uint8_t *diffs, Err *err)
{
    const char *from = image.ptr; /* what comes from here on is not copied yet */
    uint32_t json = 0;
    for (uint32_t i = 0; i < x->wire->n_columns; i++) {
        const MapColumn *c = &x->wire->columns[i];
        bool diff = false;
        if (c->type == COLTYPE_JSON) {
            diff = diffs && (diffs[json / 8] >> json % 8 & 1);
            json++;
        }
        if (!diff && !is_compressed(c)) continue;
        if (x->after[i].state != FIELD_VALUE) continue;
        const char *start = (const char *)x->after[i].ptr - prefix_len(c);
        sb_add(x->out, from, (size_t)(start - from));
        if (!new_value(x, i, diff, err) || !put_value(x, i, err)) return err_wrap(err, "column %u", i + 1);
        from = (const char *)x->after[i].ptr + x->after[i].len;
    }
    sb_add(x->out, from, (size_t)(image.ptr + image.len - from));
    return true;
}

static bool put_row(Rewrite *x, const RowsEvent *e, Reader *r, Err *err)
{
    const uint8_t *present_before = (const uint8_t *)e->present_before.ptr,
                  *present_after = (const uint8_t *)e->present_after.ptr, *diffs = NULL;
    Str image;
    if (e->kind != ROWS_WRITE) {
        Field *fields = x->after;
        if (!row_image_split(x->wire, present_before, r, &image, fields, err)) return false;
        if (!put_image(x, image, NULL, err)) return false;
        x->after = x->before; /* the two change places */
        x->before = fields;
    }
    if (e->kind == ROWS_DELETE) return true;
    if (e->partial && !row_partial_head(x->wire, r, &diffs, err)) return false;
    return row_image_split(x->wire, present_after, r, &image, x->after, err) &&
           put_image(x, image, diffs, err);
}

bool event_rows_rewrite(const TableMap *wire, const RowsEvent *e, StrBuf *out, Err *err)
{
    Rewrite x = {.wire = wire, .out = out};
    bool ok = true;
    x.before = mem_alloc((size_t)wire->n_columns * 2 * sizeof *x.before + 1);
    x.after = x.before + wire->n_columns;
    Field *fields = x.before;
    Reader r = reader_of(e->rows);
    while (ok && reader_left(&r)) {
        const uint8_t *start = r.at;
        ok = put_row(&x, e, &r, err);
        if (ok && r.at == start)
            ok = err_set(err, ERR_DECODE_UNSUPPORTED, "rows without any column cannot be counted");
    }
    free(fields);
    sb_done(&x.value);
    return ok;
}
