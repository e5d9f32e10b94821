#include "track/schema_recall.h"
#include "ddl/parse.h"
#include "model/charset.h"
#include "model/coltype.h"
#include "track/family.h"
#include "base/poison.h"

/* -- a column from the map alone -- */

static const Collation *collation_of(const MapColumn *c, Flavor flavor)
{
    return c->collation ? charset_by_collation_id(flavor, c->collation) : NULL;
}

static bool put_chars(const char *type, uint64_t n, const Collation *c, StrBuf *out)
{
    sb_c(out, type);
    if (n != UINT64_MAX) sb_printf(out, "(%llu)", (unsigned long long)n);
    sb_printf(out, " CHARACTER SET " STR_FMT " COLLATE " STR_FMT, STR_ARG(c->charset->name),
              STR_ARG(c->name));
    return true;
}

/* MariaDB's UUID and INET types look like these binary strings. */
static bool put_string(const MapColumn *m, Flavor flavor, StrBuf *out)
{
    const Collation *c = collation_of(m, flavor);
    bool variable = m->type != COLTYPE_STRING;
    if (!c) return false;
    if (c->id != COLLATION_ID_BINARY)
        return put_chars(variable ? "varchar" : "char", m->meta / c->charset->max_len, c, out);
    if (!variable && flavor == FLAVOR_MARIADB && (m->meta == 4 || m->meta == 16)) return false;
    sb_printf(out, "%s(%u)", variable ? "varbinary" : "binary", m->meta);
    return true;
}

static bool put_blob(const MapColumn *m, Flavor flavor, StrBuf *out)
{
    static const char *const blobs[] = {"tinyblob", "blob", "mediumblob", "longblob"}, *const texts[] = {
                                                                                           "tinytext", "text",
                                                                                           "mediumtext",
                                                                                           "longtext"};
    const Collation *c = collation_of(m, flavor);
    if (!c || m->meta < 1 || m->meta > 4) return false;
    if (c->id != COLLATION_ID_BINARY) return put_chars(texts[m->meta - 1], UINT64_MAX, c, out);
    sb_c(out, blobs[m->meta - 1]);
    return true;
}

/* Members are in the column's charset; definitions have them in UTF-8. */
static bool members_are_utf8(const MapColumn *m, const Collation *c)
{
    if (c->charset->form == CHARSET_UTF8) return true;
    for (uint32_t i = 0; i < m->n_members; i++)
        for (size_t k = 0; k < m->members[i].len; k++)
            if ((uint8_t)m->members[i].ptr[k] >= 0x80) return false;
    return c->charset->ascii_superset;
}

static bool put_members(const MapColumn *m, Flavor flavor, StrBuf *out)
{
    const Collation *c = collation_of(m, flavor);
    if (!m->n_members || !c || !members_are_utf8(m, c)) return false;
    sb_c(out, m->type == COLTYPE_ENUM ? "enum(" : "set(");
    for (uint32_t i = 0; i < m->n_members; i++) {
        if (i) sb_c(out, ",");
        sb_quoted(out, m->members[i]);
    }
    sb_c(out, ")");
    return put_chars("", UINT64_MAX, c, out);
}

static bool put_number(const MapColumn *m, StrBuf *out)
{
    static const struct {
        uint8_t type;
        const char *name;
    } names[] = {{COLTYPE_TINY, "tinyint"}, {COLTYPE_SHORT, "smallint"},  {COLTYPE_INT24, "mediumint"},
                 {COLTYPE_LONG, "int"},     {COLTYPE_LONGLONG, "bigint"}, {COLTYPE_FLOAT, "float"},
                 {COLTYPE_DOUBLE, "double"}};
    if (!m->has_sign) return false;
    if (m->type == COLTYPE_NEWDECIMAL) sb_printf(out, "decimal(%u,%u)", m->meta >> 8, m->meta & 0xff);
    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        if (names[i].type == m->type) sb_c(out, names[i].name);
    if (m->is_unsigned) sb_c(out, " unsigned");
    return true;
}

/* The type as a statement names it; false: more than one can be meant. */
static bool put_type(const MapColumn *m, Flavor flavor, StrBuf *out)
{
    switch ((ColType)m->type) {
    case COLTYPE_TINY:
    case COLTYPE_SHORT:
    case COLTYPE_INT24:
    case COLTYPE_LONG:
    case COLTYPE_LONGLONG:
    case COLTYPE_FLOAT:
    case COLTYPE_DOUBLE:
    case COLTYPE_NEWDECIMAL: return put_number(m, out);
    case COLTYPE_YEAR: sb_c(out, "year"); return true;
    case COLTYPE_DATE:
    case COLTYPE_NEWDATE: sb_c(out, "date"); return true;
    case COLTYPE_TIMESTAMP2: sb_printf(out, "timestamp(%u)", m->meta); return true;
    case COLTYPE_DATETIME2: sb_printf(out, "datetime(%u)", m->meta); return true;
    case COLTYPE_TIME2: sb_printf(out, "time(%u)", m->meta); return true;
    case COLTYPE_BIT: sb_printf(out, "bit(%u)", (m->meta >> 8) * 8 + (m->meta & 0xff)); return true;
    case COLTYPE_JSON: sb_c(out, "json"); return true;
    case COLTYPE_VARCHAR:
    case COLTYPE_VAR_STRING:
    case COLTYPE_STRING: return put_string(m, flavor, out);
    case COLTYPE_TINY_BLOB:
    case COLTYPE_MEDIUM_BLOB:
    case COLTYPE_LONG_BLOB:
    case COLTYPE_BLOB: return put_blob(m, flavor, out);
    case COLTYPE_ENUM:
    case COLTYPE_SET: return put_members(m, flavor, out);
    case COLTYPE_DECIMAL_OLD:
    case COLTYPE_NULL:
    case COLTYPE_TIMESTAMP:
    case COLTYPE_TIME:
    case COLTYPE_DATETIME:
    case COLTYPE_BLOB_COMPRESSED:
    case COLTYPE_VARCHAR_COMPRESSED:
    case COLTYPE_VECTOR:
    case COLTYPE_GEOMETRY: return false;
    }
    return false;
}

/* A table with this one column; NULL: its type is not known. */
static TableSchema *table_of(const MapColumn *m, const ApplyContext *ctx)
{
    StrBuf sql = {0};
    Arena arena = {0};
    DdlStmt *stmt;
    TableSchema *out = NULL;
    SchemaStep *step = NULL;
    Err ignored = {0};
    DdlContext parse = {.flavor = ctx->flavor, .version = ctx->version, .default_schema = STR("x")};
    ApplyContext apply = *ctx;
    apply.sql_mode = 0;
    apply.implicit_timestamps = false;
    sb_c(&sql, "CREATE TABLE x (");
    sb_ident(&sql, m->name);
    sb_c(&sql, " ");
    bool ok = put_type(m, ctx->flavor, &sql);
    sb_c(&sql, m->nullable ? " NULL)" : " NOT NULL)");
    ok = ok && ddl_parse(sb_view(&sql), &parse, &arena, &stmt, &ignored) &&
         schema_apply(NULL, stmt, &apply, &out, &step, &ignored);
    schema_step_free(step);
    err_clear(&ignored);
    arena_done(&arena);
    sb_done(&sql);
    return ok ? out : NULL;
}

/* -- what the statements added and renamed -- */

static Str new_name(const DdlChange *c)
{
    if (c->kind == DDL_RENAME_COLUMN) return c->to;
    return c->kind == DDL_CHANGE_COLUMN ? c->column->name : (Str){0};
}

/* All at once: names may change places. */
static void name_back(TableSchema *s, const DdlStmt *stmt)
{
    Arena arena = {0};
    Str *was = arena_array(&arena, Str, s->n_columns + 1);
    for (uint32_t i = 0; i < s->n_columns; i++)
        was[i] = s->columns[i].name;
    for (const DdlChange *c = stmt->changes; c; c = c->next)
        for (uint32_t i = 0; new_name(c).len && i < s->n_columns; i++)
            if (str_ieq(was[i], new_name(c))) s->columns[i].name = arena_str(&s->arena, c->name);
    arena_done(&arena);
}

static void drop_key(TableSchema *s, Str name)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < s->n_keys; i++)
        if (s->keys[i].primary || !str_ieq(s->keys[i].name, name)) s->keys[n++] = s->keys[i];
    s->n_keys = n;
}

static void keys_back(TableSchema *s, const DdlStmt *stmt)
{
    for (const DdlChange *c = stmt->changes; c; c = c->next) {
        if (c->kind == DDL_ADD_KEY) drop_key(s, c->key->name.len ? c->key->name : c->key->constraint);
        for (uint32_t i = 0; c->kind == DDL_RENAME_KEY && i < s->n_keys; i++)
            if (str_ieq(s->keys[i].name, c->to)) s->keys[i].name = arena_str(&s->arena, c->name);
    }
}

/* -- the definition -- */

/* What types alone do not tell: the list of members, the charset, MariaDB's types that look like BINARY. */
static bool same_values(const ColumnDef *c, const MapColumn *m, Flavor flavor)
{
    TypeFamily family = family_of(c);
    if (family == FAMILY_UUID || family == FAMILY_INET4 || family == FAMILY_INET6) return false;
    if (family == FAMILY_ENUM || family == FAMILY_SET) {
        if (m->n_members != c->n_members) return false;
        for (uint32_t i = 0; i < m->n_members; i++)
            if (!str_eq(m->members[i], c->members[i])) return false;
    }
    const Collation *of = collation_of(m, flavor);
    return !c->charset.len || (of && of->charset == charset_by_name(c->charset));
}

/* One that differs in NULL alone keeps the rest. */
static bool take_column(const ColumnDef *now, const MapColumn *m, Flavor flavor, ColumnDef *out)
{
    ColumnDef c = *now;
    if (c.not_null == m->nullable) {
        c.not_null = !m->nullable;
        if (c.default_kind == DEFAULT_NONE || c.default_kind == DEFAULT_NULL)
            c.default_kind = c.not_null ? DEFAULT_NONE : DEFAULT_NULL;
    }
    *out = c;
    return !family_wire_mismatch(&c, m) && same_values(&c, m, flavor);
}

/* *own: what the column refers to, or NULL. */
static bool recall_column(TableSchema *s, const TableSchema *now, const MapColumn *m, const ApplyContext *ctx,
                          TableSchema **own)
{
    uint32_t at = schema_column(now, m->name);
    ColumnDef *out = &s->columns[s->n_columns++];
    *own = NULL;
    if (at != UINT32_MAX && take_column(&now->columns[at], m, ctx->flavor, out)) return true;
    *own = table_of(m, ctx);
    if (*own) *out = (*own)->columns[0];
    return *own;
}

/* Keys over columns that are there. */
static void recall_keys(TableSchema *s, const TableSchema *now)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < s->n_keys; i++) {
        KeyDef k = s->keys[i];
        bool all = true;
        for (uint32_t p = 0; p < k.n_parts && all; p++) {
            if (k.parts[p].column == UINT32_MAX) continue;
            k.parts[p].column = schema_column(s, now->columns[k.parts[p].column].name);
            all = k.parts[p].column != UINT32_MAX;
        }
        if (all) s->keys[n++] = k;
    }
    s->n_keys = n;
}

static bool same_primary(const TableSchema *s, const TableMap *map)
{
    const KeyDef *key = schema_primary(s);
    if (!key || !map->n_key_columns) return !key && !map->n_key_columns;
    if (key->n_parts != map->n_key_columns) return false;
    for (uint32_t i = 0; i < key->n_parts; i++)
        if (key->parts[i].column != map->key_columns[i]) return false;
    return true;
}

TableSchema *schema_recall(const TableSchema *now, const DdlStmt *const *since, size_t n, const TableMap *map,
                           const ApplyContext *ctx)
{
    if (!map->has_names || now->n_foreign_keys || now->partitioning.method.len) return NULL;
    TableSchema *was = schema_copy(now), *s;
    for (size_t i = n; i > 0; i--) {
        if (since[i - 1]->kind != DDL_ALTER_TABLE) continue;
        keys_back(was, since[i - 1]);
        name_back(was, since[i - 1]);
    }
    s = schema_copy(was);
    s->columns = arena_array(&s->arena, ColumnDef, map->n_columns + 1);
    s->n_columns = 0;
    TableSchema **own = arena_array(&was->arena, TableSchema *, map->n_columns + 1);
    bool ok = true;
    for (uint32_t i = 0; ok && i < map->n_columns; i++)
        ok = recall_column(s, was, &map->columns[i], ctx, &own[i]);
    if (ok) recall_keys(s, was);
    TableSchema *out = ok && same_primary(s, map) ? schema_copy(s) : NULL;
    for (uint32_t i = 0; i < map->n_columns; i++)
        schema_free(own[i]);
    schema_free(was);
    schema_free(s);
    return out;
}
