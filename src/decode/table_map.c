/* TABLE_MAP: a table's columns as the row images that follow are written. */
#include "decode/event.h"
#include "decode/decode_internal.h"
#include "base/poison.h"

enum { MAX_COLUMNS = 4096 };

bool decode_type_supported(const MapColumn *column, const char **why)
{
    *why = NULL;
    switch (column->type) {
    case COLTYPE_DECIMAL_OLD: *why = "DECIMAL of before MySQL 5.0"; break;
    case COLTYPE_VAR_STRING: *why = "VARCHAR of before MySQL 5.0"; break;
    case COLTYPE_NULL: *why = "NULL as a column type"; break;
    default: break;
    }
    return *why == NULL;
}

static bool corrupt(Err *err, const TableMap *m, const char *what)
{
    return err_set(err, ERR_CORRUPT, "TABLE_MAP of %.*s.%.*s: %s", STR_ARG(m->name.schema),
                   STR_ARG(m->name.table), what);
}

/* STRING's two bytes: real type and length; lengths above 255 keep their bits 8 and 9 inverted in bits 4 and
 * 5 of the type byte. */
static void string_meta(MapColumn *c, uint8_t type, uint8_t len)
{
    unsigned bytes = len;
    if ((type & 0x30) != 0x30) {
        bytes |= ((unsigned)(type & 0x30) ^ 0x30) << 4;
        type |= 0x30;
    }
    if (type == COLTYPE_ENUM || type == COLTYPE_SET || type == COLTYPE_STRING) c->type = type;
    c->meta = (uint16_t)bytes;
}

static bool meta_valid(const MapColumn *c)
{
    switch (c->type) {
    case COLTYPE_ENUM: return c->meta == 1 || c->meta == 2;
    case COLTYPE_SET: return c->meta >= 1 && c->meta <= 8;
    case COLTYPE_BIT: return (c->meta & 0xff) < 8 && (c->meta >> 8) + ((c->meta & 0xff) != 0) <= 8;
    case COLTYPE_NEWDECIMAL: return c->meta >> 8 <= 65 && (c->meta & 0xff) <= c->meta >> 8;
    case COLTYPE_TIMESTAMP2:
    case COLTYPE_DATETIME2:
    case COLTYPE_TIME2: return c->meta <= 6;
    case COLTYPE_TINY_BLOB:
    case COLTYPE_MEDIUM_BLOB:
    case COLTYPE_LONG_BLOB:
    case COLTYPE_BLOB:
    case COLTYPE_BLOB_COMPRESSED:
    case COLTYPE_JSON:
    case COLTYPE_GEOMETRY:
    case COLTYPE_VECTOR: return c->meta >= 1 && c->meta <= 4;
    default: return true;
    }
}

/* Metadata of one column by its type; false for a type that is not known. */
static bool read_meta(Reader *r, MapColumn *c)
{
    switch (c->type) {
    case COLTYPE_DECIMAL_OLD:
    case COLTYPE_TINY:
    case COLTYPE_SHORT:
    case COLTYPE_INT24:
    case COLTYPE_LONG:
    case COLTYPE_LONGLONG:
    case COLTYPE_NULL:
    case COLTYPE_YEAR:
    case COLTYPE_DATE:
    case COLTYPE_NEWDATE:
    case COLTYPE_TIME:
    case COLTYPE_DATETIME:
    case COLTYPE_TIMESTAMP: return true;
    case COLTYPE_FLOAT:
    case COLTYPE_DOUBLE:
    case COLTYPE_TIMESTAMP2:
    case COLTYPE_DATETIME2:
    case COLTYPE_TIME2:
    case COLTYPE_TINY_BLOB:
    case COLTYPE_MEDIUM_BLOB:
    case COLTYPE_LONG_BLOB:
    case COLTYPE_BLOB:
    case COLTYPE_BLOB_COMPRESSED:
    case COLTYPE_JSON:
    case COLTYPE_GEOMETRY:
    case COLTYPE_VECTOR: c->meta = reader_u8(r); return true;
    case COLTYPE_VARCHAR:
    case COLTYPE_VARCHAR_COMPRESSED:
    case COLTYPE_BIT: c->meta = reader_u16(r); return true;
    case COLTYPE_NEWDECIMAL: c->meta = (uint16_t)reader_uint_be(r, 2); return true;
    case COLTYPE_STRING:
    case COLTYPE_VAR_STRING:
    case COLTYPE_ENUM:
    case COLTYPE_SET: {
        uint8_t type = reader_u8(r);
        string_meta(c, type, reader_u8(r));
        return true;
    }
    default: return false;
    }
}

/* Which columns an optional metadata list speaks of. YEAR is a number. The two servers differ in what is
 * text: MariaDB counts geometry, MySQL counts VECTOR. */
static bool is_numeric(const MapColumn *c)
{
    switch (c->type) {
    case COLTYPE_TINY:
    case COLTYPE_SHORT:
    case COLTYPE_INT24:
    case COLTYPE_LONG:
    case COLTYPE_LONGLONG:
    case COLTYPE_FLOAT:
    case COLTYPE_DOUBLE:
    case COLTYPE_DECIMAL_OLD:
    case COLTYPE_NEWDECIMAL:
    case COLTYPE_YEAR: return true;
    default: return false;
    }
}

static bool is_character(const MapColumn *c, bool mariadb)
{
    switch (c->type) {
    case COLTYPE_STRING:
    case COLTYPE_VAR_STRING:
    case COLTYPE_VARCHAR:
    case COLTYPE_VARCHAR_COMPRESSED:
    case COLTYPE_TINY_BLOB:
    case COLTYPE_MEDIUM_BLOB:
    case COLTYPE_LONG_BLOB:
    case COLTYPE_BLOB:
    case COLTYPE_BLOB_COMPRESSED: return true;
    case COLTYPE_GEOMETRY: return mariadb;
    case COLTYPE_VECTOR: return !mariadb;
    default: return false;
    }
}

static bool is_enum(const MapColumn *c, bool mariadb)
{
    (void)mariadb;
    return c->type == COLTYPE_ENUM;
}
static bool is_set(const MapColumn *c, bool mariadb)
{
    (void)mariadb;
    return c->type == COLTYPE_SET;
}
static bool is_enum_or_set(const MapColumn *c, bool mariadb)
{
    return is_enum(c, mariadb) || is_set(c, mariadb);
}

typedef bool (*ColumnKind)(const MapColumn *c, bool mariadb);

typedef struct MetaContext {
    TableMap *map;
    Arena *arena;
    bool mariadb;
} MetaContext;

/* Bit per numeric column, MSB first; 1 = unsigned. */
static void meta_signedness(const MetaContext *x, Reader *r)
{
    uint32_t bit = 0;
    uint8_t byte = 0;
    for (uint32_t i = 0; i < x->map->n_columns; i++) {
        MapColumn *c = &x->map->columns[i];
        if (!is_numeric(c)) continue;
        if (bit % 8 == 0) byte = reader_u8(r);
        if (!reader_ok(r)) return;
        c->is_unsigned = byte >> (7 - bit % 8) & 1;
        c->has_sign = true;
        bit++;
    }
}

/* The default collation, then (index among the columns of that kind, collation) for those that differ. */
static void meta_default_charset(const MetaContext *x, Reader *r, ColumnKind kind)
{
    uint32_t collation = (uint32_t)reader_lenenc(r), at = 0;
    bool more = reader_left(r) > 0;
    uint64_t next = more ? reader_lenenc(r) : 0;
    for (uint32_t i = 0; i < x->map->n_columns && reader_ok(r); i++) {
        MapColumn *c = &x->map->columns[i];
        if (!kind(c, x->mariadb)) continue;
        c->collation = collation;
        if (more && next == at) {
            c->collation = (uint32_t)reader_lenenc(r);
            more = reader_left(r) > 0;
            next = more ? reader_lenenc(r) : 0;
        }
        at++;
    }
    if (more) r->failed = true; /* an index beyond the columns, or not ascending */
}

static void meta_column_charset(const MetaContext *x, Reader *r, ColumnKind kind)
{
    for (uint32_t i = 0; i < x->map->n_columns && reader_ok(r); i++)
        if (kind(&x->map->columns[i], x->mariadb)) x->map->columns[i].collation = (uint32_t)reader_lenenc(r);
}

static void meta_names(const MetaContext *x, Reader *r)
{
    for (uint32_t i = 0; i < x->map->n_columns && reader_ok(r); i++)
        x->map->columns[i].name = reader_str(r, reader_lenenc(r));
    x->map->has_names = reader_ok(r);
}

static void meta_members(const MetaContext *x, Reader *r, ColumnKind kind)
{
    for (uint32_t i = 0; i < x->map->n_columns; i++) {
        MapColumn *c = &x->map->columns[i];
        if (!kind(c, x->mariadb)) continue;
        uint64_t n = reader_lenenc(r);
        if (n > reader_left(r)) r->failed = true;
        if (!reader_ok(r)) return;
        Str *members = arena_array(x->arena, Str, n);
        for (uint64_t k = 0; k < n; k++)
            members[k] = reader_str(r, reader_lenenc(r));
        c->members = members;
        c->n_members = (uint32_t)n;
    }
}

/* Primary key: column indexes; with_prefix: each followed by its prefix length (0 = whole). */
static void meta_primary_key(const MetaContext *x, Reader *r, bool with_prefix)
{
    TableMap *m = x->map;
    m->key_columns = arena_array(x->arena, uint32_t, reader_left(r));
    m->n_key_columns = 0;
    while (reader_left(r) && reader_ok(r)) {
        uint64_t column = reader_lenenc(r);
        if (with_prefix) (void)reader_lenenc(r);
        if (column >= m->n_columns) r->failed = true;
        if (reader_ok(r)) m->key_columns[m->n_key_columns++] = (uint32_t)column;
    }
}

/* Bit per column, MSB first; 0 = INVISIBLE. */
static void meta_visibility(const MetaContext *x, Reader *r)
{
    const uint8_t *bits = reader_bytes(r, (x->map->n_columns + 7) / 8);
    for (uint32_t i = 0; bits && i < x->map->n_columns; i++)
        x->map->columns[i].visible = bits[i / 8] >> (7 - i % 8) & 1;
}

/* Optional metadata: (type byte, length, value) until the end. Source of truth: Table_map_log_event of both
 * servers. */
static bool optional_metadata(const MetaContext *x, Reader *r, Err *err)
{
    enum {
        SIGNEDNESS = 1,
        DEFAULT_CHARSET,
        COLUMN_CHARSET,
        COLUMN_NAME,
        SET_VALUES,
        ENUM_VALUES,
        GEOMETRY_TYPE,
        SIMPLE_KEY,
        PREFIX_KEY,
        ENUM_SET_DEFAULT_CHARSET,
        ENUM_SET_COLUMN_CHARSET,
        VISIBILITY
    };
    while (reader_left(r)) {
        uint8_t type = reader_u8(r);
        Reader v = reader_of(reader_str(r, reader_lenenc(r)));
        if (!reader_ok(r)) return corrupt(err, x->map, "optional metadata is cut off");
        switch (type) {
        case SIGNEDNESS: meta_signedness(x, &v); break;
        case DEFAULT_CHARSET: meta_default_charset(x, &v, is_character); break;
        case COLUMN_CHARSET: meta_column_charset(x, &v, is_character); break;
        case COLUMN_NAME: meta_names(x, &v); break;
        case SET_VALUES: meta_members(x, &v, is_set); break;
        case ENUM_VALUES: meta_members(x, &v, is_enum); break;
        case SIMPLE_KEY: meta_primary_key(x, &v, false); break;
        case PREFIX_KEY: meta_primary_key(x, &v, true); break;
        case ENUM_SET_DEFAULT_CHARSET: meta_default_charset(x, &v, is_enum_or_set); break;
        case ENUM_SET_COLUMN_CHARSET: meta_column_charset(x, &v, is_enum_or_set); break;
        case VISIBILITY: meta_visibility(x, &v); break;
        default: break; /* geometry types, vector dimensions, and what newer servers add */
        }
        if (!reader_ok(&v)) return corrupt(err, x->map, "optional metadata does not fit the columns");
    }
    return true;
}

/* Types, metadata and null bits of all columns. */
static bool read_columns(TableMap *m, Reader *r, Arena *arena, Err *err)
{
    uint64_t n = reader_lenenc(r);
    if (!reader_ok(r) || n > MAX_COLUMNS) return corrupt(err, m, "the number of columns makes no sense");
    const uint8_t *types = reader_bytes(r, n);
    Reader meta = reader_of(reader_str(r, reader_lenenc(r)));
    const uint8_t *nulls = reader_bytes(r, (n + 7) / 8);
    if (!reader_ok(r)) return corrupt(err, m, "it is cut off");
    m->n_columns = (uint32_t)n;
    m->columns = arena_array(arena, MapColumn, n);
    for (uint32_t i = 0; i < n; i++) {
        MapColumn *c = &m->columns[i];
        c->type = types[i];
        c->visible = true;
        c->nullable = nulls[i / 8] >> (i % 8) & 1;
        if (!read_meta(&meta, c))
            return err_set(err, ERR_DECODE_TYPE, "TABLE_MAP of %.*s.%.*s: column %u has the unknown type %u",
                           STR_ARG(m->name.schema), STR_ARG(m->name.table), i + 1, c->type);
        if (!meta_valid(c)) meta.failed = true;
    }
    if (!reader_ok(&meta)) return corrupt(err, m, "column metadata does not fit the columns");
    return true;
}

/* TABLE_MAP body:
 *   0    6|4   table id
 *   …    2     flags
 *   …    1+n+1 schema: length, name, zero byte
 *   …    1+n+1 table: the same
 *   …    1…9   number of columns (c)
 *   …    c     types
 *   …    1…9+m metadata: length, bytes by type
 *   …    c/8   nullable, bit i = column i, LSB first
 *   …    …     optional metadata */
bool event_table_map(const FormatDescription *fmt, Str body, Arena *arena, TableMap *out, Err *err)
{
    enum { OLD_POST_HEADER_LEN = 6 };
    *out = (TableMap){0};
    unsigned id_len = fmt->post_header_len[EVENT_TABLE_MAP] == OLD_POST_HEADER_LEN ? 4 : 6;
    Reader r = reader_of(body);
    out->table_id = reader_uint(&r, id_len);
    if (!reader_ok(&r)) return decode_event_cut(err, EVENT_TABLE_MAP);
    out->body = arena_str(arena, reader_str(&r, reader_left(&r)));
    r = reader_of(out->body);
    out->flags = reader_u16(&r);
    out->name.schema = reader_str(&r, reader_u8(&r));
    (void)reader_u8(&r);
    out->name.table = reader_str(&r, reader_u8(&r));
    (void)reader_u8(&r);
    if (!reader_ok(&r)) return decode_event_cut(err, EVENT_TABLE_MAP);
    if (!read_columns(out, &r, arena, err)) return false;
    MetaContext x = {.map = out, .arena = arena, .mariadb = fmt->is_mariadb};
    return optional_metadata(&x, &r, err);
}
