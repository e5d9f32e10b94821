#include "ops/events_table.h"
#include <stdlib.h>
#include "decode/value.h"
#include "model/charset.h"
#include "base/poison.h"

/* -- making ready -- */

static bool is_character(const MapColumn *c)
{
    switch (c->type) {
    case COLTYPE_STRING:
    case COLTYPE_VARCHAR:
    case COLTYPE_VAR_STRING:
    case COLTYPE_TINY_BLOB:
    case COLTYPE_MEDIUM_BLOB:
    case COLTYPE_LONG_BLOB:
    case COLTYPE_BLOB:
    case COLTYPE_VARCHAR_COMPRESSED:
    case COLTYPE_BLOB_COMPRESSED: return true;
    default: return false;
    }
}

static bool is_integer(const MapColumn *c)
{
    switch (c->type) {
    case COLTYPE_TINY:
    case COLTYPE_SHORT:
    case COLTYPE_INT24:
    case COLTYPE_LONG:
    case COLTYPE_LONGLONG: return true;
    default: return false;
    }
}

/* What the collation says of text, and of the names of ENUM and SET members. */
static void fill_text(EventsColumn *x, const MapColumn *c, Flavor flavor)
{
    const Collation *k = c->collation ? charset_by_collation_id(flavor, c->collation) : NULL;
    x->kind = EVENTS_GUESS;
    if (!k) return;
    x->charset = k->charset->name;
    x->is_utf8 = k->charset->form == CHARSET_UTF8;
    x->has_ascii = k->charset->ascii_superset;
    x->kind = k->charset->form == CHARSET_BINARY ? EVENTS_BYTES : EVENTS_TEXT;
    if (x->kind != EVENTS_BYTES) return;
    x->codec.text = TEXT_BINARY;
    if (c->type == COLTYPE_STRING) x->codec.pad_to = c->meta;
}

static void fill_column(EventsColumn *x, const MapColumn *c, Flavor flavor)
{
    x->codec = (ColumnCodec){.type = c->type, .meta = c->meta, .is_unsigned = c->is_unsigned};
    if (!decode_type_supported(c, &x->why)) {
        x->kind = EVENTS_UNREAD;
    } else if (is_character(c)) {
        x->codec.text = TEXT_UTF8; /* bytes as they are; what they mean is said when they are printed */
        fill_text(x, c, flavor);
    } else if (c->members) {
        x->codec.members = c->members;
        x->codec.n_members = c->n_members;
        fill_text(x, c, flavor);
        x->kind = EVENTS_TEXT;
        x->is_utf8 |= !x->charset.len; /* not said: as it is, when it can be text */
    } else if (c->type == COLTYPE_JSON) {
        x->kind = EVENTS_TEXT;
        x->is_utf8 = true;
        x->charset = STR("utf8mb4");
    } else if (c->type == COLTYPE_GEOMETRY || c->type == COLTYPE_VECTOR) {
        x->kind = EVENTS_BYTES;
    } else if (is_integer(c) && !c->has_sign) {
        x->kind = EVENTS_NUMBER;
    }
}

bool events_table_new(const FormatDescription *fmt, Str body, EventsTable **out, Err *err)
{
    EventsTable *t = mem_zalloc(sizeof *t);
    *out = NULL;
    if (!event_table_map(fmt, body, &t->arena, &t->map, err)) {
        events_table_free(t);
        return false;
    }
    t->columns = arena_array(&t->arena, EventsColumn, t->map.n_columns);
    t->before = arena_array(&t->arena, Field, t->map.n_columns);
    t->after = arena_array(&t->arena, Field, t->map.n_columns);
    for (uint32_t i = 0; i < t->map.n_columns; i++) {
        const MapColumn *c = &t->map.columns[i];
        t->columns[i].name = c->name.len ? c->name : arena_printf(&t->arena, "@%u", i + 1);
        fill_column(&t->columns[i], c, fmt->is_mariadb ? FLAVOR_MARIADB : FLAVOR_MYSQL);
    }
    *out = t;
    return true;
}

void events_table_free(EventsTable *t)
{
    if (!t) return;
    arena_done(&t->arena);
    free(t);
}

/* -- types -- */

static const char *plain_type(unsigned type)
{
    switch ((ColType)type) {
    case COLTYPE_DECIMAL_OLD: return "OLD DECIMAL";
    case COLTYPE_TINY: return "TINYINT";
    case COLTYPE_SHORT: return "SMALLINT";
    case COLTYPE_LONG: return "INT";
    case COLTYPE_FLOAT: return "FLOAT";
    case COLTYPE_DOUBLE: return "DOUBLE";
    case COLTYPE_NULL: return "NULL";
    case COLTYPE_TIMESTAMP:
    case COLTYPE_TIMESTAMP2: return "TIMESTAMP";
    case COLTYPE_LONGLONG: return "BIGINT";
    case COLTYPE_INT24: return "MEDIUMINT";
    case COLTYPE_DATE:
    case COLTYPE_NEWDATE: return "DATE";
    case COLTYPE_TIME:
    case COLTYPE_TIME2: return "TIME";
    case COLTYPE_DATETIME:
    case COLTYPE_DATETIME2: return "DATETIME";
    case COLTYPE_YEAR: return "YEAR";
    case COLTYPE_VARCHAR: return "VARCHAR";
    case COLTYPE_VAR_STRING: return "OLD VARCHAR";
    case COLTYPE_BIT: return "BIT";
    case COLTYPE_BLOB_COMPRESSED: return "BLOB COMPRESSED";
    case COLTYPE_VARCHAR_COMPRESSED: return "VARCHAR COMPRESSED";
    case COLTYPE_VECTOR: return "VECTOR";
    case COLTYPE_JSON: return "JSON";
    case COLTYPE_NEWDECIMAL: return "DECIMAL";
    case COLTYPE_ENUM: return "ENUM";
    case COLTYPE_SET: return "SET";
    case COLTYPE_TINY_BLOB:
    case COLTYPE_MEDIUM_BLOB:
    case COLTYPE_LONG_BLOB:
    case COLTYPE_BLOB: return "BLOB";
    case COLTYPE_STRING: return "CHAR";
    case COLTYPE_GEOMETRY: return "GEOMETRY";
    }
    return "?";
}

void events_table_type(const MapColumn *c, StrBuf *out)
{
    bool binary = c->collation == COLLATION_ID_BINARY, text = is_character(c) && c->collation && !binary;
    static const char *const blobs[2][5] = {{"", "TINYBLOB", "BLOB", "MEDIUMBLOB", "LONGBLOB"},
                                            {"", "TINYTEXT", "TEXT", "MEDIUMTEXT", "LONGTEXT"}};
    switch (c->type) {
    case COLTYPE_TINY_BLOB:
    case COLTYPE_MEDIUM_BLOB:
    case COLTYPE_LONG_BLOB:
    case COLTYPE_BLOB: sb_c(out, blobs[text][c->meta]); return;
    case COLTYPE_STRING:
    case COLTYPE_VARCHAR:
        if (binary) {
            sb_printf(out, c->type == COLTYPE_STRING ? "BINARY(%u)" : "VARBINARY(%u)", c->meta);
            return;
        }
        break;
    default: break;
    }
    sb_c(out, plain_type(c->type));
    switch (c->type) {
    case COLTYPE_NEWDECIMAL: sb_printf(out, "(%u,%u)", c->meta >> 8, c->meta & 0xffu); break;
    case COLTYPE_TIMESTAMP2:
    case COLTYPE_DATETIME2:
    case COLTYPE_TIME2:
        if (c->meta) sb_printf(out, "(%u)", c->meta);
        break;
    case COLTYPE_BIT: sb_printf(out, "(%u)", (c->meta >> 8) * 8u + (c->meta & 0xffu)); break;
    default: break;
    }
    if (is_integer(c) && c->has_sign && c->is_unsigned) sb_c(out, " UNSIGNED");
}

/* -- values -- */

static uint64_t unsigned_value(Field f)
{
    uint64_t v = 0;
    for (uint32_t i = f.len; i-- > 0;)
        v = v << 8 | f.ptr[i];
    return v;
}

EventsOutText events_column_text(const EventsColumn *x)
{
    return x->is_utf8 ? EVENTS_OUT_UTF8 : x->has_ascii ? EVENTS_OUT_ASCII : EVENTS_OUT_OTHER;
}

bool events_table_value(const EventsTable *t, uint32_t column, Field f, StrBuf *scratch, EventsOut *out)
{
    const EventsColumn *x = &t->columns[column];
    Str bytes = str_make(f.ptr, f.len);
    events_out_column(out, x->name);
    if (f.state == FIELD_NULL) {
        events_out_null(out);
        return true;
    }
    if (x->kind == EVENTS_UNREAD) {
        events_out_unread(out, bytes, x->why);
        return false;
    }
    CLEANUP(err_clear) Err err = {0};
    sb_clear(scratch);
    if (!value_text(scratch, &x->codec, f, &err)) {
        events_out_unread(out, bytes, err.message);
        return false;
    }
    Str text = sb_view(scratch);
    switch (x->kind) {
    case EVENTS_NUMBER: {
        int64_t v = value_int(&x->codec, f);
        if (v < 0)
            events_out_signs(out, v, unsigned_value(f));
        else
            events_out_plain(out, text);
        break;
    }
    case EVENTS_TEXT: events_out_string(out, text, x->charset, events_column_text(x)); break;
    case EVENTS_BYTES: events_out_bytes(out, str_make(text.ptr + 2, text.len - 2)); break; /* behind 0x */
    case EVENTS_GUESS: events_out_string(out, text, (Str){0}, EVENTS_OUT_UTF8); break;
    case EVENTS_PLAIN:
    case EVENTS_UNREAD: events_out_plain(out, text); break;
    }
    return true;
}
