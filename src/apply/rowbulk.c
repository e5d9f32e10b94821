#include "apply/rowbulk.h"
#include <math.h>
#include <stdlib.h>
#include "base/check.h"
#include "decode/row.h"
#include "decode/value.h"
#include "model/coltype.h"
#include "base/poison.h"

typedef enum Form {
    FORM_INT,
    FORM_BIT,
    FORM_NUMBER, /* ENUM, SET whose members are the target's */
    FORM_FLOATING,
    FORM_TEXT,    /* bytes as they are */
    FORM_PADDED,  /* the same, with its zeros at the end */
    FORM_PRINTED, /* as value_text prints it: digits, temporals, members */
} Form;

typedef struct RowBulkColumn {
    uint32_t from; /* column of the binding */
    Form form;
} RowBulkColumn;

static bool plan_string(const ColumnCodec *c, BulkType *type, Form *form)
{
    *type = c->text == TEXT_UTF8 ? BULK_TEXT : BULK_BYTES;
    *form = c->text == TEXT_UTF8 ? FORM_TEXT : FORM_PADDED;
    return c->text == TEXT_BINARY || (c->text == TEXT_UTF8 && c->json == JSON_TEXT);
}

static bool plan_column(const ColumnCodec *c, BulkType *type, Form *form)
{
    *form = FORM_PRINTED;
    *type = BULK_TEXT;
    switch (c->type) {
    case COLTYPE_TINY:
    case COLTYPE_SHORT:
    case COLTYPE_INT24:
    case COLTYPE_LONG:
    case COLTYPE_LONGLONG:
    case COLTYPE_YEAR:
        *form = FORM_INT;
        *type = c->is_unsigned ? BULK_UINT : BULK_INT;
        return true;
    case COLTYPE_BIT: *form = FORM_BIT, *type = BULK_UINT; return true;
    case COLTYPE_FLOAT:
    case COLTYPE_DOUBLE: *form = FORM_FLOATING, *type = BULK_DOUBLE; return true;
    case COLTYPE_NEWDECIMAL: *type = BULK_DECIMAL; return true;
    case COLTYPE_DATE:
    case COLTYPE_NEWDATE:
    case COLTYPE_TIME:
    case COLTYPE_DATETIME:
    case COLTYPE_TIMESTAMP:
    case COLTYPE_TIMESTAMP2:
    case COLTYPE_DATETIME2:
    case COLTYPE_TIME2: return true;
    case COLTYPE_ENUM:
    case COLTYPE_SET:
        if (!c->members) *form = FORM_NUMBER, *type = BULK_UINT;
        return true;
    case COLTYPE_STRING:
    case COLTYPE_VARCHAR:
    case COLTYPE_TINY_BLOB:
    case COLTYPE_MEDIUM_BLOB:
    case COLTYPE_LONG_BLOB:
    case COLTYPE_BLOB: return plan_string(c, type, form);
    default: return false; /* JSON, GEOMETRY, VECTOR, compressed columns */
    }
}

bool rowbulk_plan(RowBulk *r, const Binding *b)
{
    const Shape *shape = b->full_shape;
    uint32_t all = b->n_columns + b->n_constants, next = 0;
    r->binding = b;
    r->n = 0;
    if (!shape) return false;
    if (shape->n_columns > r->cap) {
        r->cap = shape->n_columns;
        r->types = mem_realloc(r->types, r->cap * sizeof *r->types);
        r->parts = mem_realloc(r->parts, r->cap * sizeof *r->parts);
    }
    for (; r->n < shape->n_columns; r->n++) {
        uint32_t tried = 0;
        while (tried < all && b->columns[next].target_column != shape->columns[r->n]) {
            next = next + 1 < all ? next + 1 : 0;
            tried++;
        }
        CHECK(tried < all, "every column of a shape comes from the binding");
        r->parts[r->n].from = next;
        if (!plan_column(&b->columns[next].codec, &r->types[r->n], &r->parts[r->n].form)) return false;
        next = next + 1 < all ? next + 1 : 0;
    }
    return true;
}

void rowbulk_done(RowBulk *r)
{
    free(r->types);
    free(r->parts);
    *r = (RowBulk){0};
}

void rowbulk_sql(const Target *target, const Shape *shape, StrBuf *out)
{
    sb_c(out, "INSERT INTO ");
    sb_str(out, target->sql_name);
    sb_str(out, shape->column_list);
    sb_c(out, "VALUES(");
    for (uint32_t i = 0; i < shape->n_columns; i++)
        sb_c(out, i ? ",?" : "?");
    sb_ch(out, ')');
}

static bool add_new_id(StrBuf *out, const BoundColumn *c, Field f, Err *err)
{
    uint64_t id;
    CHECK(f.len == sizeof id, "a new id");
    memcpy(&id, f.ptr, sizeof id);
    if (id > c->rewrite->high) return err_set(err, ERR_KEY_RANGE, "a new id beyond its column's type");
    bulk_put_u64(out, id);
    return true;
}

static bool add_int(StrBuf *out, const BoundColumn *c, Field f, Err *err)
{
    if (UNLIKELY(c->rewrite && c->rewrite->space)) return add_new_id(out, c, f, err);
    uint64_t v = (uint64_t)value_int(&c->codec, f);
    if (UNLIKELY(c->rewrite)) {
        bool negative = !c->codec.is_unsigned && (int64_t)v < 0;
        if (!key_rewrite(c->rewrite, &negative, &v) ||
            (!c->codec.is_unsigned && negative != ((int64_t)v < 0)))
            return err_set(err, ERR_KEY_RANGE, "an id beyond its range");
    }
    bulk_put_u64(out, v);
    return true;
}

/* Number 0 of an ENUM is no member; no server takes it, and it must not become one. */
static bool is_enum_error(const ColumnCodec *c, Field f)
{
    if (c->type != COLTYPE_ENUM || c->as_text) return false;
    for (uint32_t i = 0; i < f.len; i++)
        if (f.ptr[i]) return false;
    return true;
}

/* ENUM and SET: little-endian; BIT: big-endian. */
static bool add_number(StrBuf *out, const ColumnCodec *c, Field f, Err *err)
{
    uint64_t v = 0;
    if (f.len < 1 || f.len > sizeof v || is_enum_error(c, f))
        return err_set(err, ERR_DECODE_VALUE, "no value of its type");
    for (uint32_t i = 0; i < f.len; i++)
        v = v << 8 | f.ptr[c->type == COLTYPE_BIT ? i : f.len - 1 - i];
    bulk_put_u64(out, v);
    return true;
}

static bool add_floating(StrBuf *out, const ColumnCodec *c, Field f, Err *err)
{
    double v = 0;
    float narrow;
    bool single = c->type == COLTYPE_FLOAT;
    if (f.len == (single ? sizeof narrow : sizeof v)) {
        if (single) {
            memcpy(&narrow, f.ptr, sizeof narrow);
            v = (double)narrow;
        } else {
            memcpy(&v, f.ptr, sizeof v);
        }
        if (isfinite(v)) {
            bulk_put_double(out, v);
            return true;
        }
    }
    return err_set(err, ERR_DECODE_VALUE, "no value of its type");
}

/* The text is written in its place; its length, mostly of one byte, goes before it afterwards. */
static bool add_printed(StrBuf *out, const ColumnCodec *c, Field f, Err *err)
{
    enum { HEAD = 2, SHORT_MOST = 250 };
    size_t start = out->len;
    if (is_enum_error(c, f)) return err_set(err, ERR_DECODE_VALUE, "no value of its type");
    sb_add(out, "\0", HEAD);
    if (!value_text(out, c, f, err)) return false;
    size_t n = out->len - start - HEAD;
    if (LIKELY(n <= SHORT_MOST)) {
        out->ptr[start + 1] = (char)n;
        return true;
    }
    char *text = str_dup(str_make(out->ptr + start + HEAD, n));
    out->len = start;
    bulk_put_bytes(out, str_make(text, n));
    free(text);
    return true;
}

static inline bool add_value(StrBuf *out, const BoundColumn *c, Form form, Field f, Err *err)
{
    if (f.state == FIELD_NULL) {
        bulk_put_null(out);
        return true;
    }
    CHECK(f.state == FIELD_VALUE, "a full image has all its columns");
    switch (form) {
    case FORM_INT: return add_int(out, c, f, err);
    case FORM_BIT:
    case FORM_NUMBER: return add_number(out, &c->codec, f, err);
    case FORM_FLOATING: return add_floating(out, &c->codec, f, err);
    case FORM_TEXT: bulk_put_bytes(out, str_make(f.ptr, f.len)); return true;
    case FORM_PADDED:
        bulk_put_padded(out, str_make(f.ptr, f.len), c->codec.pad_to > f.len ? c->codec.pad_to - f.len : 0);
        return true;
    case FORM_PRINTED: return add_printed(out, &c->codec, f, err);
    }
    return false;
}

bool rowbulk_add(StrBuf *out, const RowBulk *r, const RowImage *image, Err *err)
{
    enum { FEW_COLUMNS = 128 };
    const Binding *b = r->binding;
    Field few[FEW_COLUMNS],
        *fields = b->n_columns <= FEW_COLUMNS ? few : mem_alloc(b->n_columns * sizeof *fields);
    bool ok = true;
    row_fields(b->map, image->present, image->bytes, fields);
    for (uint32_t i = 0; i < b->n_mapped; i++) {
        Field *id = &fields[b->mapped[i]];
        CHECK(image->ids, "the new ids are known before a row is written");
        if (id->state == FIELD_VALUE)
            *id = (Field){(const uint8_t *)&image->ids[i], sizeof image->ids[i], FIELD_VALUE};
    }
    for (uint32_t i = 0; ok && i < r->n; i++) {
        uint32_t at = r->parts[i].from;
        Field f = at < b->n_columns ? fields[at] : b->constants[at - b->n_columns];
        ok = add_value(out, &b->columns[at], r->parts[i].form, f, err);
        if (UNLIKELY(!ok)) err_wrap(err, "column %s", b->columns[at].sql_name.ptr);
    }
    if (fields != few) free(fields);
    return ok;
}
