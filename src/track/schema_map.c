#include "track/schema_map.h"
#include "model/charset.h"
#include "track/family.h"
#include "base/poison.h"

static bool refuse(const TableSchema *s, const ColumnDef *c, const char *why, Err *err)
{
    return err_set_remedy(err, ERR_NOT_SUPPORTED, "leave the table out by a rule",
                          STR_FMT "." STR_FMT ", column `" STR_FMT "` " STR_FMT ": %s",
                          STR_ARG(s->name.schema), STR_ARG(s->name.table), STR_ARG(c->name),
                          STR_ARG(c->column_type), why);
}

/* As servers mark columns that still have the form of before MySQL 5.6 and MariaDB 10.1. */
static bool has_old_form(const ColumnDef *c)
{
    return str_find(c->column_type, STR("/* mariadb-5.3 */")) != SIZE_MAX ||
           str_find(c->column_type, STR("/* 5.5 binary format */")) != SIZE_MAX;
}

/* The binlog does not say how long such values are. */
static bool refuse_old_fraction(const TableSchema *s, const ColumnDef *c, Err *err)
{
    return err_set_remedy(err, ERR_NOT_SUPPORTED, "ALTER TABLE … FORCE on the source rewrites the column",
                          STR_FMT "." STR_FMT ", column `" STR_FMT "` " STR_FMT
                                  ": fractional seconds in the form of before MariaDB 10.1",
                          STR_ARG(s->name.schema), STR_ARG(s->name.table), STR_ARG(c->name),
                          STR_ARG(c->column_type));
}

/* Today's wire type → the old one without a fraction. */
static uint8_t old_temporal(uint8_t type)
{
    return type == COLTYPE_TIME2       ? COLTYPE_TIME
           : type == COLTYPE_DATETIME2 ? COLTYPE_DATETIME
                                       : COLTYPE_TIMESTAMP;
}

static uint16_t enum_bytes(uint32_t n_members)
{
    return n_members > 255 ? 2 : 1;
}

static uint16_t set_bytes(uint32_t n_members)
{
    uint32_t bytes = (n_members + 7) / 8;
    return (uint16_t)(bytes > 4 ? 8 : bytes);
}

/* CHAR, VARCHAR, TEXT and their binary forms: collation, and the greatest length in bytes or the bytes of the
 * length. */
static bool fill_text(const TableSchema *s, const ColumnDef *c, uint8_t size, MapColumn *m, Err *err)
{
    uint64_t per_char = 1;
    m->collation = COLLATION_ID_BINARY;
    if (family_of(c) == FAMILY_TEXT) {
        const Charset *charset = charset_by_name(c->charset);
        const Collation *collation = charset_collation_by_name(c->collation);
        if (!charset) return refuse(s, c, "its character set is not known here", err);
        per_char = charset->max_len;
        m->collation = collation ? collation->id : 0;
    }
    if (m->type == COLTYPE_BLOB) {
        m->meta = size;
        return true;
    }
    if (c->char_length * per_char > UINT16_MAX) return refuse(s, c, "its length makes no sense", err);
    m->meta = (uint16_t)(c->char_length * per_char);
    return true;
}

static void fill_members(const ColumnDef *c, MapColumn *m)
{
    const Collation *collation = charset_collation_by_name(c->collation);
    m->collation = collation ? collation->id : 0;
    m->meta = m->type == COLTYPE_ENUM ? enum_bytes(c->n_members) : set_bytes(c->n_members);
}

static void fill_sign(const ColumnDef *c, MapColumn *m)
{
    m->has_sign = true;
    m->is_unsigned = c->is_unsigned || family_of(c) == FAMILY_YEAR;
}

static bool fill_column(const TableSchema *s, const ColumnDef *c, Flavor flavor, MapColumn *m, Err *err)
{
    enum { JSON_TEXT_LENGTH_BYTES = 4, LONG_LENGTH_BYTES = 4 };
    uint8_t size;
    if (!family_wire(c, &m->type, &size)) return refuse(s, c, "this type cannot be read yet", err);
    m->nullable = !c->not_null;
    m->visible = !c->invisible || flavor == FLAVOR_MARIADB; /* whose maps do not say it */
    switch (family_of(c)) {
    case FAMILY_INT:
    case FAMILY_YEAR: fill_sign(c, m); return true;
    case FAMILY_FLOAT:
        fill_sign(c, m);
        m->meta = size;
        return true;
    case FAMILY_DECIMAL:
        fill_sign(c, m);
        m->meta = (uint16_t)(c->precision << 8 | c->scale);
        return true;
    case FAMILY_BIT: m->meta = (uint16_t)(c->precision / 8 << 8 | c->precision % 8); return true;
    case FAMILY_DATE: return true;
    case FAMILY_TIME:
    case FAMILY_DATETIME:
    case FAMILY_TIMESTAMP:
        m->meta = (uint16_t)c->fsp;
        if (!has_old_form(c)) return true;
        m->type = old_temporal(m->type);
        return c->fsp == 0 || refuse_old_fraction(s, c, err);
    case FAMILY_TEXT:
    case FAMILY_BINARY: return fill_text(s, c, size, m, err);
    case FAMILY_ENUM:
    case FAMILY_SET: fill_members(c, m); return true;
    case FAMILY_JSON:
        m->type = COLTYPE_BLOB;
        m->meta = JSON_TEXT_LENGTH_BYTES;
        m->collation = charset_collation_by_name(STR("utf8mb4_bin"))->id;
        return true;
    case FAMILY_GEOMETRY:
        m->meta = LONG_LENGTH_BYTES;
        m->collation = flavor == FLAVOR_MARIADB ? COLLATION_ID_BINARY : 0;
        return true;
    case FAMILY_VECTOR:
        if (flavor == FLAVOR_MARIADB) m->type = COLTYPE_VARCHAR;
        m->meta =
            flavor == FLAVOR_MARIADB ? (uint16_t)(family_dimensions(c) * sizeof(float)) : LONG_LENGTH_BYTES;
        m->collation = COLLATION_ID_BINARY;
        return true;
    case FAMILY_UUID:
    case FAMILY_INET4:
    case FAMILY_INET6:
        m->meta = size;
        m->collation = COLLATION_ID_BINARY;
        return true;
    default: return refuse(s, c, "this type cannot be read yet", err);
    }
}

static void fill_primary_key(const TableSchema *s, Arena *arena, TableMap *m)
{
    const KeyDef *k = schema_primary(s);
    if (!k || k->has_expression) return;
    m->key_columns = arena_array(arena, uint32_t, k->n_parts);
    for (uint32_t i = 0; i < k->n_parts; i++)
        m->key_columns[m->n_key_columns++] = k->parts[i].column;
}

bool schema_table_map(const TableSchema *s, Flavor flavor, Arena *arena, TableMap **out, Err *err)
{
    TableMap *m = arena_new(arena, TableMap);
    *out = NULL;
    if (s->is_view)
        return err_set(err, ERR_NOT_SUPPORTED, STR_FMT "." STR_FMT " is a view", STR_ARG(s->name.schema),
                       STR_ARG(s->name.table));
    m->name = (TableName){arena_str(arena, s->name.schema), arena_str(arena, s->name.table)};
    m->n_columns = s->n_columns;
    m->columns = arena_array(arena, MapColumn, s->n_columns + 1);
    m->has_names = true;
    for (uint32_t i = 0; i < s->n_columns; i++) {
        m->columns[i].name = arena_str(arena, s->columns[i].name);
        if (!fill_column(s, &s->columns[i], flavor, &m->columns[i], err)) return false;
    }
    fill_primary_key(s, arena, m);
    *out = m;
    return true;
}
