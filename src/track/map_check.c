#include "track/map_check.h"
#include "model/charset.h"
#include "track/family.h"
#include "base/poison.h"

static bool is_row_hash(Str name)
{
    return str_istarts(name, STR("DB_ROW_HASH_"));
}

static uint32_t hash_keys(const TableSchema *s)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < s->n_keys; i++)
        if (s->keys[i].unique && str_ieq(s->keys[i].index_type, STR("HASH"))) n++;
    return n;
}

static bool extra_are_hidden(const TableMap *map, const TableSchema *s, Flavor flavor)
{
    if (flavor == FLAVOR_MYSQL) return false;
    uint32_t extra = map->n_columns - s->n_columns;
    for (uint32_t i = s->n_columns; i < map->n_columns; i++) {
        if (map->columns[i].type != COLTYPE_LONGLONG) return false;
        if (map->has_names && !is_row_hash(map->columns[i].name)) return false;
    }
    return map->has_names || extra == hash_keys(s);
}

static void list_names(StrBuf *out, const TableMap *map, const TableSchema *s)
{
    if (map->has_names) {
        sb_c(out, "; the binlog has (");
        for (uint32_t i = 0; i < map->n_columns; i++)
            sb_printf(out, "%s" STR_FMT, i ? "," : "", STR_ARG(map->columns[i].name));
        sb_c(out, ")");
    }
    sb_c(out, "; the schema has (");
    for (uint32_t i = 0; i < s->n_columns; i++)
        sb_printf(out, "%s" STR_FMT, i ? "," : "", STR_ARG(s->columns[i].name));
    sb_c(out, ")");
}

static bool has_name(const TableMap *map, const char *name)
{
    for (uint32_t i = 0; map->has_names && i < map->n_columns; i++)
        if (str_ieq(map->columns[i].name, str_of(name))) return true;
    return false;
}

static bool count_mismatch(TableName name, const TableMap *map, const TableSchema *s, Err *err)
{
    StrBuf names = {0};
    list_names(&names, map, s);
    bool gipk = has_name(map, "my_row_id") && schema_column(s, STR("my_row_id")) == UINT32_MAX;
    err_set(err, ERR_TRACK_MISMATCH,
            STR_FMT "." STR_FMT ": the binlog has %u columns, the schema known for this position %u%s",
            STR_ARG(name.schema), STR_ARG(name.table), map->n_columns, s->n_columns, names.ptr);
    if (has_name(map, "row_end") && schema_column(s, STR("row_end")) == UINT32_MAX && !err->remedy)
        err->remedy =
            str_dup(STR("the table is system-versioned: ALTER TABLE … DROP SYSTEM VERSIONING, or leave "
                        "it out by a rule"));
    if (gipk && !err->remedy)
        err->remedy = str_dup(
            STR("set show_gipk_in_create_table_and_information_schema=ON for the sessions of this user: "
                "the table has a generated invisible primary key"));
    sb_done(&names);
    return false;
}

static const char *wire_name(uint8_t type)
{
    switch (type) {
    case COLTYPE_TINY: return "TINYINT";
    case COLTYPE_SHORT: return "SMALLINT";
    case COLTYPE_INT24: return "MEDIUMINT";
    case COLTYPE_LONG: return "INT";
    case COLTYPE_LONGLONG: return "BIGINT";
    case COLTYPE_FLOAT: return "FLOAT";
    case COLTYPE_DOUBLE: return "DOUBLE";
    case COLTYPE_NEWDECIMAL: return "DECIMAL";
    case COLTYPE_BIT: return "BIT";
    case COLTYPE_YEAR: return "YEAR";
    case COLTYPE_DATE:
    case COLTYPE_NEWDATE: return "DATE";
    case COLTYPE_TIME:
    case COLTYPE_TIME2: return "TIME";
    case COLTYPE_DATETIME:
    case COLTYPE_DATETIME2: return "DATETIME";
    case COLTYPE_TIMESTAMP:
    case COLTYPE_TIMESTAMP2: return "TIMESTAMP";
    case COLTYPE_STRING: return "CHAR or BINARY";
    case COLTYPE_VARCHAR:
    case COLTYPE_VAR_STRING: return "VARCHAR or VARBINARY";
    case COLTYPE_BLOB: return "TEXT or BLOB";
    case COLTYPE_ENUM: return "ENUM";
    case COLTYPE_SET: return "SET";
    case COLTYPE_JSON: return "JSON";
    case COLTYPE_GEOMETRY: return "a spatial type";
    case COLTYPE_VECTOR: return "VECTOR";
    case COLTYPE_BLOB_COMPRESSED:
    case COLTYPE_VARCHAR_COMPRESSED: return "a COMPRESSED column";
    default: return "an unknown type";
    }
}

/* Another charset than the schema says would turn bytes into other characters. */
static const char *charset_mismatch(const ColumnDef *c, const MapColumn *m, Flavor flavor)
{
    TypeFamily f = family_of(c);
    if (m->collation == 0 || (f != FAMILY_TEXT && f != FAMILY_BINARY)) return NULL;
    if (f == FAMILY_BINARY) return m->collation == COLLATION_ID_BINARY ? NULL : "text in the binlog";
    const Collation *known = charset_by_collation_id(flavor, m->collation);
    const Charset *said = charset_by_name(c->charset);
    return !known || !said || known->charset == said ? NULL : "another character set";
}

static bool column_ok(TableName name, uint32_t i, const TableMap *map, const ColumnDef *c, Flavor flavor,
                      Err *err)
{
    const MapColumn *m = &map->columns[i];
    const char *what = NULL;
    if (map->has_names && !str_ieq(m->name, c->name)) what = "another name";
    if (!what) what = family_wire_mismatch(c, m);
    if (!what) what = charset_mismatch(c, m, flavor);
    if (!what) return true;
    return err_set(err, ERR_TRACK_MISMATCH,
                   STR_FMT "." STR_FMT ", column %u: %s: the binlog has %s" STR_FMT
                           "%s%s (meta 0x%04x), the schema known "
                           "for this position `" STR_FMT "` " STR_FMT "%s",
                   STR_ARG(name.schema), STR_ARG(name.table), i + 1, what, map->has_names ? "`" : "",
                   STR_ARG(m->name), map->has_names ? "` " : "", wire_name(m->type), m->meta,
                   STR_ARG(c->name), STR_ARG(c->column_type), c->not_null ? " NOT NULL" : "");
}

bool map_check(TableName name, const TableMap *map, const TableSchema *schema, Flavor flavor, Err *err)
{
    bool longer = map->n_columns > schema->n_columns;
    if (map->n_columns != schema->n_columns && !(longer && extra_are_hidden(map, schema, flavor)))
        return count_mismatch(name, map, schema, err);
    for (uint32_t i = 0; i < schema->n_columns; i++)
        if (!column_ok(name, i, map, &schema->columns[i], flavor, err)) return false;
    return true;
}

bool map_like_sequence(const TableMap *map)
{
    enum { COLUMNS = 8, CYCLE_OPTION = 6 };
    if (map->n_columns != COLUMNS) return false;
    for (uint32_t i = 0; i < COLUMNS; i++)
        if (map->columns[i].nullable ||
            map->columns[i].type != (i == CYCLE_OPTION ? COLTYPE_TINY : COLTYPE_LONGLONG))
            return false;
    return !map->has_names || (has_name(map, "next_not_cached_value") && has_name(map, "cycle_count"));
}
