#include "load/encode.h"
#include <stdlib.h>
#include "base/check.h"
#include "load/pack.h"
#include "model/charset.h"
#include "track/family.h"
#include "base/poison.h"

/* How a value becomes bytes. */
typedef enum Form {
    FORM_INT, /* the low bytes of a number: integers, ENUM, SET */
    FORM_YEAR,
    FORM_FLOAT,
    FORM_DOUBLE,
    FORM_DECIMAL,
    FORM_TEMPORAL,
    FORM_BIT,
    FORM_TEXT,   /* length and bytes */
    FORM_PADDED, /* BINARY(n): the same, without the zeros at its end */
} Form;

/* One column of the row, as it is written. */
typedef struct Column {
    uint8_t form, type;
    uint8_t size;    /* bytes of the value, or of its length */
    uint8_t scale;   /* DECIMAL: digits behind the point; temporals: fraction digits */
    uint32_t most;   /* DECIMAL: precision; text: most bytes */
    uint8_t expects; /* StmtValueKind */
} Column;

/* Owner: one thread. */
struct RowEncoder {
    const TableMap *map;
    uint32_t n_columns;
    Column *columns;
    uint8_t *present; /* all columns */
    size_t fixed;     /* bytes of the null bitmap and of all columns without their text */
    uint32_t *texts;  /* columns with text */
    uint32_t n_texts;
    uint8_t unused_nulls; /* the null bitmap's last byte when nothing is NULL */
    StrBuf select_list;
};

static Column column_of(const MapColumn *m)
{
    Column c = {.type = m->type, .expects = STMT_INT};
    switch (m->type) {
    case COLTYPE_TINY: c.size = 1; break;
    case COLTYPE_SHORT: c.size = 2; break;
    case COLTYPE_INT24: c.size = 3; break;
    case COLTYPE_LONG: c.size = 4; break;
    case COLTYPE_LONGLONG: c.size = 8; break;
    case COLTYPE_ENUM:
    case COLTYPE_SET: c.size = (uint8_t)m->meta; break;
    case COLTYPE_YEAR: c.form = FORM_YEAR, c.size = 1; break;
    case COLTYPE_FLOAT: c.form = FORM_FLOAT, c.size = 4, c.expects = STMT_FLOAT; break;
    case COLTYPE_DOUBLE: c.form = FORM_DOUBLE, c.size = 8, c.expects = STMT_DOUBLE; break;
    case COLTYPE_NEWDECIMAL:
        c.form = FORM_DECIMAL, c.expects = STMT_BYTES;
        c.scale = (uint8_t)m->meta;
        c.most = m->meta >> 8;
        c.size = (uint8_t)pack_decimal_bytes(c.most, c.scale);
        break;
    case COLTYPE_BIT:
        c.form = FORM_BIT, c.expects = STMT_BYTES;
        c.size = (uint8_t)((m->meta >> 8) + ((m->meta & 0xff) != 0));
        break;
    case COLTYPE_DATE:
    case COLTYPE_NEWDATE:
    case COLTYPE_TIME:
    case COLTYPE_DATETIME:
    case COLTYPE_TIMESTAMP:
    case COLTYPE_TIME2:
    case COLTYPE_DATETIME2:
    case COLTYPE_TIMESTAMP2:
        c.form = FORM_TEMPORAL, c.expects = STMT_TIME;
        c.scale = (uint8_t)m->meta;
        c.size = (uint8_t)pack_temporal_bytes(c.type, c.scale);
        break;
    case COLTYPE_STRING:
    case COLTYPE_VARCHAR:
        c.form = m->type == COLTYPE_STRING && m->collation == COLLATION_ID_BINARY ? FORM_PADDED : FORM_TEXT;
        c.expects = STMT_BYTES;
        c.most = m->meta;
        c.size = m->meta > 255 ? 2 : 1;
        break;
    case COLTYPE_BLOB:
    case COLTYPE_GEOMETRY:
    case COLTYPE_VECTOR:
        c.form = FORM_TEXT, c.expects = STMT_BYTES;
        c.most = (uint32_t)(UINT64_MAX >> (64 - 8 * m->meta));
        c.size = (uint8_t)m->meta;
        break;
    default: break; /* size 0: not supported */
    }
    return c;
}

static bool is_text(const Column *c)
{
    return c->form == FORM_TEXT || c->form == FORM_PADDED;
}

/* ENUM and SET: with + 0 it would be a DOUBLE, and a SET has 64 bits. Types that SELECT gives as text or that
 * the client library does not know come as the bytes that are stored. */
static void add_expression(StrBuf *list, const MapColumn *m, const ColumnDef *def)
{
    bool numbered = m->type == COLTYPE_ENUM || m->type == COLTYPE_SET;
    bool bytes = family_of(def) >= FAMILY_GEOMETRY;
    if (list->len) sb_ch(list, ',');
    if (numbered || bytes) sb_c(list, "CAST(");
    sb_ident(list, m->name);
    if (numbered) sb_c(list, " AS UNSIGNED)");
    if (bytes && m->type == COLTYPE_STRING)
        sb_printf(list, " AS BINARY(%u))", m->meta);
    else if (bytes)
        sb_c(list, " AS BINARY)");
}

bool row_encoder_new(const TableSchema *schema, const TableMap *map, Flavor flavor, RowEncoder **out,
                     Err *err)
{
    *out = NULL;
    CHECK(map->has_names && map->n_columns > 0 && map->n_columns == schema->n_columns,
          "the map was made of the schema");
    RowEncoder *e = mem_zalloc(sizeof *e);
    e->map = map;
    if (flavor == FLAVOR_MARIADB && map->n_columns % 8)
        e->unused_nulls = (uint8_t)(0xff << map->n_columns % 8);
    e->n_columns = map->n_columns;
    e->columns = mem_zalloc(sizeof *e->columns * (map->n_columns + 1));
    e->texts = mem_zalloc(sizeof *e->texts * (map->n_columns + 1));
    size_t bitmap = (map->n_columns + 7) / 8;
    e->present = mem_alloc(bitmap + 1);
    memset(e->present, 0xff, bitmap);
    e->fixed = bitmap;
    for (uint32_t i = 0; i < map->n_columns; i++) {
        Column *c = &e->columns[i];
        *c = column_of(&map->columns[i]);
        if (c->size == 0) {
            err_set_remedy(err, ERR_NOT_SUPPORTED, "begin anew without the table, " ERR_PAST,
                           STR_FMT "." STR_FMT ", column `" STR_FMT "` " STR_FMT
                                   ": this type cannot be copied yet",
                           STR_ARG(map->name.schema), STR_ARG(map->name.table), STR_ARG(map->columns[i].name),
                           STR_ARG(schema->columns[i].column_type));
            row_encoder_free(e);
            return false;
        }
        e->fixed += c->size;
        if (is_text(c)) e->texts[e->n_texts++] = i;
        add_expression(&e->select_list, &map->columns[i], &schema->columns[i]);
    }
    *out = e;
    return true;
}

void row_encoder_free(RowEncoder *e)
{
    if (!e) return;
    free(e->columns);
    free(e->texts);
    free(e->present);
    sb_done(&e->select_list);
    free(e);
}

Str row_encoder_select_list(const RowEncoder *e)
{
    return sb_view(&e->select_list);
}

static COLD bool refuse(const RowEncoder *e, uint32_t column, const StmtValue *v, Err *err)
{
    static const char *const kinds[] = {"NULL", "integer", "FLOAT", "DOUBLE", "temporal", "text or bytes"};
    const MapColumn *m = &e->map->columns[column];
    const char *got = v->kind < ARRAY_LEN(kinds) ? kinds[v->kind] : "unknown";
    return err_set(err, ERR_DECODE_VALUE,
                   STR_FMT "." STR_FMT ", column `" STR_FMT
                           "`: a value (%s) that is none of its type (%u, metadata 0x%04x)",
                   STR_ARG(e->map->name.schema), STR_ARG(e->map->name.table), STR_ARG(m->name), got, m->type,
                   m->meta);
}

/* The n low bytes; the constant sizes spare a call. */
static inline uint8_t *put_int(uint8_t *to, uint64_t v, unsigned n)
{
    switch (n) {
    case 1: *to = (uint8_t)v; break;
    case 2: memcpy(to, &v, 2); break;
    case 4: memcpy(to, &v, 4); break;
    case 8: memcpy(to, &v, 8); break;
    default: memcpy(to, &v, n); break; /* MEDIUMINT; SET */
    }
    _Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "values are stored as they lie");
    return to + n;
}

static inline uint8_t *put_text(uint8_t *to, const Column *c, Str text)
{
    if (c->form == FORM_PADDED)
        while (text.len && text.ptr[text.len - 1] == 0)
            text.len--;
    if (UNLIKELY(text.len > c->most)) return NULL;
    to = put_int(to, text.len, c->size);
    if (text.len) memcpy(to, text.ptr, text.len);
    return to + text.len;
}

/* Writes one value; returns its end, or NULL when it is none of the column's. */
static inline uint8_t *put_value(uint8_t *to, const Column *c, const StmtValue *v)
{
    if (UNLIKELY(v->kind != c->expects)) return NULL;
    switch ((Form)c->form) {
    case FORM_INT: return put_int(to, (uint64_t)v->i, c->size);
    case FORM_YEAR:
        if (v->i != 0 && (v->i < 1901 || v->i > 2155)) return NULL;
        *to = (uint8_t)(v->i ? v->i - 1900 : 0);
        return to + 1;
    case FORM_FLOAT: memcpy(to, &v->f, 4); return to + 4;
    case FORM_DOUBLE: memcpy(to, &v->d, 8); return to + 8;
    case FORM_DECIMAL: return pack_decimal(to, v->bytes, c->most, c->scale) ? to + c->size : NULL;
    case FORM_TEMPORAL: return pack_temporal(to, c->type, c->scale, &v->t) ? to + c->size : NULL;
    case FORM_BIT:
        if (v->bytes.len != c->size) return NULL;
        memcpy(to, v->bytes.ptr, c->size);
        return to + c->size;
    case FORM_TEXT:
    case FORM_PADDED: return put_text(to, c, v->bytes);
    }
    return NULL;
}

/* Null bitmap: bit i = column i is NULL. What is unused of its last byte is set by MariaDB, clear by MySQL.
 */
bool row_encoder_row(RowEncoder *e, const StmtValue *values, Arena *arena, RowImage *out, Err *err)
{
    size_t room = e->fixed;
    for (uint32_t i = 0; i < e->n_texts; i++)
        if (values[e->texts[i]].kind == STMT_BYTES) room += values[e->texts[i]].bytes.len;
    uint8_t *start = arena_alloc(arena, room), *to = start + (e->n_columns + 7) / 8;
    memset(start, 0, (size_t)(to - start));
    to[-1] = e->unused_nulls;
    for (uint32_t i = 0; i < e->n_columns; i++) {
        if (values[i].kind == STMT_NULL) {
            if (UNLIKELY(!e->map->columns[i].nullable)) return refuse(e, i, &values[i], err);
            start[i / 8] |= (uint8_t)(1u << (i % 8));
            continue;
        }
        to = put_value(to, &e->columns[i], &values[i]);
        if (UNLIKELY(!to)) return refuse(e, i, &values[i], err);
    }
    *out = (RowImage){.bytes = str_make(start, (size_t)(to - start)), .present = e->present, .full = true};
    return true;
}
