#include "track/schema_text.h"
#include "track/column_build.h"
#include "track/family.h"
#include "track/schema_json.h"
#include "base/poison.h"

static bool refuse(Str name, const char *what, Str text, Err *err)
{
    return err_set(err, ERR_TRACK_TARGET, "`" STR_FMT "`: %s " STR_FMT, STR_ARG(name), what, STR_ARG(text));
}

Str text_collation(Str collation, const TextOpts *o)
{
    CreateOpts c = {.target_is_tidb = o->dialect == DIALECT_TIDB,
                    .target_is_mariadb = o->dialect == DIALECT_MARIADB};
    const Collation *to = create_collation(&c, collation);
    return to ? to->name : (Str){0};
}

/* -- columns -- */

static bool is(const ColumnDef *c, const char *type)
{
    return str_ieq(c->data_type, str_of(type));
}

/* The type without comments of another family; names that only one of them knows are changed. */
static bool put_type(const ColumnDef *c, const TextOpts *o, StrBuf *out, Err *err)
{
    size_t comment = str_find(c->column_type, STR("/*"));
    Str type = str_trim((Str){c->column_type.ptr, comment == SIZE_MAX ? c->column_type.len : comment});
    bool mariadb = o->dialect == DIALECT_MARIADB;
    bool mariadb_only = is(c, "uuid") || is(c, "inet4") || is(c, "inet6");
    if (mariadb_only && !mariadb) return refuse(c->name, "the downstream has no type", type, err);
    if (is(c, "json") && mariadb)
        sb_c(out, "longtext");
    else if (is(c, "geomcollection"))
        sb_c(out, "geometrycollection");
    else
        sb_str(out, type);
    if (comment != SIZE_MAX && mariadb) sb_c(out, " COMPRESSED");
    return true;
}

static void put_literal(const ColumnDef *c, StrBuf *out)
{
    Str text = c->default_text;
    bool plain = true;
    for (size_t i = 0; i < text.len; i++)
        plain = plain && (uint8_t)text.ptr[i] >= ' ' && (uint8_t)text.ptr[i] <= '~';
    if (family_of(c) == FAMILY_BIT) {
        sb_str(out, text);
    } else if (family_of(c) == FAMILY_BINARY && !plain) {
        sb_c(out, "X'");
        sb_hex(out, text.ptr, text.len);
        sb_ch(out, '\'');
    } else {
        sb_quoted(out, text);
    }
}

bool text_default(const ColumnDef *c, const TextOpts *o, StrBuf *out, Err *err)
{
    bool temporal = family_of(c) == FAMILY_DATETIME || family_of(c) == FAMILY_TIMESTAMP;
    bool now = temporal && (str_istarts(c->default_text, STR("current_timestamp")) ||
                            str_istarts(c->default_text, STR("localtimestamp")) ||
                            str_istarts(c->default_text, STR("now(")));
    bool wrap = column_is_blob(c) && o->dialect != DIALECT_MARIADB;
    if (o->literal_default.len) {
        if (wrap && o->dialect == DIALECT_TIDB)
            return refuse(c->name, "TiDB has no defaults for", c->column_type, err);
        sb_printf(out, wrap ? " DEFAULT (" STR_FMT ")" : " DEFAULT " STR_FMT, STR_ARG(o->literal_default));
        return true;
    }
    switch (c->default_kind) {
    case DEFAULT_NONE: return true;
    case DEFAULT_NULL: sb_c(out, " DEFAULT NULL"); return true;
    case DEFAULT_LITERAL:
        if (wrap && o->dialect == DIALECT_TIDB)
            return refuse(c->name, "TiDB has no defaults for", c->column_type, err);
        sb_c(out, wrap ? " DEFAULT (" : " DEFAULT ");
        put_literal(c, out);
        if (wrap) sb_ch(out, ')');
        return true;
    case DEFAULT_EXPR:
        if (!now && o->dialect == DIALECT_TIDB)
            return refuse(c->name, "TiDB may not have the default expression", c->default_text, err);
        sb_printf(out, now ? " DEFAULT " STR_FMT : " DEFAULT (" STR_FMT ")", STR_ARG(c->default_text));
        return true;
    }
    return true;
}

static void put_generated(const ColumnDef *c, const TextOpts *o, StrBuf *out)
{
    if (str_starts(c->generation_expr, STR("ROW "))) {
        sb_printf(out, " GENERATED ALWAYS AS " STR_FMT, STR_ARG(c->generation_expr));
        return;
    }
    sb_printf(out, " GENERATED ALWAYS AS (" STR_FMT ") %s", STR_ARG(c->generation_expr),
              c->generated_stored ? "STORED" : "VIRTUAL");
    if (c->not_null && o->dialect != DIALECT_MARIADB) sb_c(out, " NOT NULL");
}

static void put_own_checks(const TableSchema *s, const ColumnDef *c, const TextOpts *o, StrBuf *out)
{
    for (uint32_t i = 0; i < s->n_checks && o->dialect == DIALECT_MARIADB; i++)
        if (s->checks[i].column_level && str_ieq(s->checks[i].name, c->name))
            sb_printf(out, " CHECK (" STR_FMT ")", STR_ARG(s->checks[i].expr));
}

bool text_column(const TableSchema *s, const ColumnDef *c, const TextOpts *o, StrBuf *out, Err *err)
{
    sb_ident(out, c->name);
    sb_ch(out, ' ');
    if (!put_type(c, o, out, err)) return false;
    if (c->collation.len && !is(c, "json")) {
        Str to = text_collation(c->collation, o);
        if (!to.len) return refuse(c->name, "the downstream has no collation", c->collation, err);
        sb_printf(out, " CHARACTER SET " STR_FMT " COLLATE " STR_FMT, STR_ARG(charset_of_collation(to)),
                  STR_ARG(to));
    }
    if (c->n_members && !c->collation.len) sb_c(out, " CHARACTER SET binary"); /* MySQL shows none */
    if (c->has_srid && o->dialect == DIALECT_MYSQL) sb_printf(out, " SRID %u", c->srid);
    if (c->generated) {
        put_generated(c, o, out);
    } else {
        sb_c(out, c->not_null ? " NOT NULL" : " NULL");
        if (c->auto_increment && o->auto_increment)
            sb_c(out, " AUTO_INCREMENT");
        else if (!c->auto_increment && !text_default(c, o, out, err))
            return false;
        if (c->on_update_now) sb_c(out, " ON UPDATE CURRENT_TIMESTAMP");
        if (c->on_update_now && c->fsp) sb_printf(out, "(%u)", c->fsp);
    }
    bool needs_value = c->not_null && c->default_kind == DEFAULT_NONE && !c->generated && !c->auto_increment;
    bool hides = o->dialect == DIALECT_MYSQL || (o->dialect == DIALECT_MARIADB && !needs_value);
    if (c->invisible && hides) sb_c(out, " INVISIBLE");
    if (c->unversioned && o->dialect == DIALECT_MARIADB && s->is_versioned)
        sb_c(out, " WITHOUT SYSTEM VERSIONING");
    if (c->comment.len) {
        sb_c(out, " COMMENT ");
        sb_quoted(out, c->comment);
    }
    put_own_checks(s, c, o, out);
    return true;
}

/* -- keys -- */

bool text_key_possible(const TableSchema *s, const KeyDef *k, const TextOpts *o)
{
    bool special = str_ieq(k->index_type, STR("FULLTEXT")) || str_ieq(k->index_type, STR("SPATIAL")) ||
                   str_ieq(k->index_type, STR("VECTOR"));
    (void)s;
    if (k->unique || k->primary) return true;
    if (o->dialect == DIALECT_TIDB) return !special && !k->has_expression;
    return !(k->has_expression && o->dialect == DIALECT_MARIADB);
}

static bool put_parts(const TableSchema *s, const KeyDef *k, const TextOpts *o, bool plain, StrBuf *out,
                      Err *err)
{
    sb_c(out, " (");
    for (uint32_t i = 0; i < k->n_parts; i++) {
        const KeyPart *p = &k->parts[i];
        if (i) sb_ch(out, ',');
        if (p->column == UINT32_MAX) {
            if (o->dialect == DIALECT_MARIADB || !p->expression.len)
                return refuse(k->name, "the downstream has no keys over expressions", (Str){0}, err);
            sb_printf(out, "(" STR_FMT ")", STR_ARG(p->expression));
        } else {
            const ColumnDef *c = &s->columns[p->column];
            bool whole_blob = column_is_blob(c) && !p->prefix && plain;
            if (whole_blob && o->dialect != DIALECT_MARIADB)
                return refuse(k->name, "the downstream has no keys over whole TEXT or BLOB columns", (Str){0},
                              err);
            sb_ident(out, c->name);
            if (p->prefix && plain) sb_printf(out, "(%u)", p->prefix);
        }
        bool sorts = o->dialect == DIALECT_MARIADB
                         ? !o->version || o->version >= 100800
                         : !o->version || o->version >= 80000 || o->dialect == DIALECT_TIDB;
        if (p->descending && sorts && o->dialect != DIALECT_TIDB) sb_c(out, " DESC");
    }
    sb_ch(out, ')');
    return true;
}

bool text_key(const TableSchema *s, const KeyDef *k, const TextOpts *o, StrBuf *out, Err *err)
{
    bool fulltext = str_ieq(k->index_type, STR("FULLTEXT")), spatial = str_ieq(k->index_type, STR("SPATIAL"));
    if (k->primary) {
        sb_c(out, "PRIMARY KEY");
    } else {
        sb_c(out, k->unique                               ? "UNIQUE KEY "
                  : fulltext                              ? "FULLTEXT KEY "
                  : spatial                               ? "SPATIAL KEY "
                  : str_ieq(k->index_type, STR("VECTOR")) ? "VECTOR KEY "
                                                          : "KEY ");
        sb_ident(out, k->name);
    }
    if (!put_parts(s, k, o, !fulltext && !spatial, out, err)) return false;
    bool memory = str_ieq(s->engine, STR("MEMORY"));
    if (memory && str_eqc(k->index_type, "BTREE")) sb_c(out, " USING BTREE");
    if (k->comment.len) {
        sb_c(out, " COMMENT ");
        sb_quoted(out, k->comment);
    }
    if (k->invisible && !k->primary) sb_c(out, o->dialect == DIALECT_MARIADB ? " IGNORED" : " INVISIBLE");
    return true;
}

/* -- constraints -- */

void text_check(const CheckDef *c, const TextOpts *o, StrBuf *out)
{
    sb_c(out, "CONSTRAINT ");
    sb_ident(out, c->name);
    sb_printf(out, " CHECK (" STR_FMT ")", STR_ARG(c->expr));
    if (c->not_enforced && o->dialect == DIALECT_MYSQL) sb_c(out, " NOT ENFORCED");
}

void text_foreign_key(const TableSchema *s, const ForeignKey *f, StrBuf *out)
{
    sb_c(out, "CONSTRAINT ");
    sb_ident(out, f->name);
    sb_c(out, " FOREIGN KEY (");
    for (uint32_t i = 0; i < f->n_columns; i++) {
        if (i) sb_ch(out, ',');
        sb_ident(out, s->columns[f->columns[i]].name);
    }
    sb_c(out, ") REFERENCES ");
    table_name_sql(f->parent, out);
    sb_c(out, " (");
    for (uint32_t i = 0; i < f->n_columns; i++) {
        if (i) sb_ch(out, ',');
        sb_ident(out, f->parent_columns[i]);
    }
    sb_ch(out, ')');
    if (f->on_delete.len) sb_printf(out, " ON DELETE " STR_FMT, STR_ARG(f->on_delete));
    if (f->on_update.len) sb_printf(out, " ON UPDATE " STR_FMT, STR_ARG(f->on_update));
}

/* -- options -- */

static bool is_number(Str s)
{
    uint64_t v;
    return str_to_u64(s, &v);
}

/* TiDB reads most of them and keeps none. */
void text_options(const TableSchema *s, const TextOpts *o, StrBuf *out)
{
    static const char *const mariadb_only[] = {"page_compressed", "page_compression_level",
                                               "encrypted",       "encryption_key_id",
                                               "transactional",   "page_checksum"};
    static const char *const mysql_only[] = {"compression", "encryption"};
    if (o->dialect == DIALECT_TIDB) return;
    if (s->engine.len) sb_printf(out, " ENGINE=" STR_FMT, STR_ARG(s->engine));
    for (uint32_t i = 0; i < s->n_options; i++) {
        const TableOption *p = &s->options[i];
        bool leave = false;
        for (size_t k = 0; k < ARRAY_LEN(mariadb_only); k++)
            leave = leave || (o->dialect != DIALECT_MARIADB && str_eqc(p->name, mariadb_only[k]));
        for (size_t k = 0; k < ARRAY_LEN(mysql_only); k++)
            leave = leave || (o->dialect == DIALECT_MARIADB && str_eqc(p->name, mysql_only[k]));
        if (leave) continue;
        sb_printf(out, " " STR_FMT "=", STR_ARG(p->name));
        bool word = is_number(p->value) || str_eqc(p->name, "row_format");
        if (word)
            sb_str(out, p->value);
        else
            sb_quoted(out, p->value);
    }
    if (s->is_versioned && o->dialect == DIALECT_MARIADB) sb_c(out, " WITH SYSTEM VERSIONING");
}

bool text_charset(const TableSchema *s, const TextOpts *o, StrBuf *out, Err *err)
{
    if (!s->collation.len) return true;
    Str to = text_collation(s->collation, o);
    if (!to.len) return refuse(s->name.table, "the downstream has no collation", s->collation, err);
    sb_printf(out, " DEFAULT CHARSET=" STR_FMT " COLLATE=" STR_FMT, STR_ARG(charset_of_collation(to)),
              STR_ARG(to));
    return true;
}

/* -- partitions -- */

void text_partition(const Partitioning *by, const PartitionDef *p, StrBuf *out)
{
    bool list = str_starts(by->method, STR("LIST")), range = str_starts(by->method, STR("RANGE"));
    sb_c(out, "PARTITION ");
    sb_ident(out, p->name);
    if (list && str_ieq(p->values, STR("DEFAULT")))
        sb_c(out, " DEFAULT");
    else if (list)
        sb_printf(out, " VALUES IN (" STR_FMT ")", STR_ARG(p->values));
    else if (range && str_eqc(p->values, "MAXVALUE") && str_eqc(by->method, "RANGE"))
        sb_c(out, " VALUES LESS THAN MAXVALUE");
    else if (range)
        sb_printf(out, " VALUES LESS THAN (" STR_FMT ")", STR_ARG(p->values));
    if (p->comment.len) {
        sb_c(out, " COMMENT = ");
        sb_quoted(out, p->comment);
    }
    for (uint32_t i = 0; i < p->n_subpartitions; i++) {
        sb_c(out, i ? ", SUBPARTITION " : " (SUBPARTITION ");
        sb_ident(out, p->subpartitions[i]);
    }
    if (p->n_subpartitions) sb_ch(out, ')');
}

static void put_method(Str method, Str expr, StrBuf *out)
{
    sb_printf(out, STR_FMT " (" STR_FMT ")", STR_ARG(method), STR_ARG(expr));
}

bool text_partitions(const TableSchema *s, StrBuf *out, Err *err)
{
    const Partitioning *by = &s->partitioning;
    if (!by->method.len) return true;
    if (str_starts(by->method, STR("SYSTEM_TIME")))
        return err_set(err, ERR_NOT_SUPPORTED, "`" STR_FMT "`: partitions by system time are not written yet",
                       STR_ARG(s->name.table));
    sb_c(out, "PARTITION BY ");
    put_method(by->method, by->expr, out);
    if (by->sub_method.len) {
        sb_c(out, " SUBPARTITION BY ");
        put_method(by->sub_method, by->sub_expr, out);
    }
    for (uint32_t i = 0; i < by->n_parts; i++) {
        sb_c(out, i ? ", " : " (");
        text_partition(by, &by->parts[i], out);
    }
    if (by->n_parts) sb_ch(out, ')');
    return true;
}
