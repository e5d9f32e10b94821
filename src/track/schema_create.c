#include "model/charset.h"
#include "track/family.h"
#include "track/schema_json.h"
#include "base/poison.h"

typedef struct Create {
    const TableSchema *schema;
    const CreateOpts *opts;
    StrBuf *sql;
    StrBuf notes; /* what was left out or replaced, for the comment at the end */
    const char *separator;
} Create;

static bool refuse(const Create *c, Str column, const char *what, Str text, Err *err)
{
    return err_set_remedy(
        err, ERR_TRACK_TARGET, "create the target by hand, with a type and collation of your choice",
        "cannot create " STR_FMT "." STR_FMT ": `" STR_FMT "`: %s " STR_FMT, STR_ARG(c->opts->name.schema),
        STR_ARG(c->opts->name.table), STR_ARG(column), what, STR_ARG(text));
}

static void note(Create *c, const char *fmt, ...) PRINTF_LIKE(2, 3);
static void note(Create *c, const char *fmt, ...)
{
    va_list ap;
    if (c->notes.len) sb_c(&c->notes, "; ");
    va_start(ap, fmt);
    sb_vprintf(&c->notes, fmt, ap);
    va_end(ap);
}

/* -- collations -- */

static bool tidb_has(Str name, bool collation)
{
    static const char *const charsets[] = {
#define TIDB_CHARSET(n) #n,
#include "model/tidb.def"
    };
    static const char *const collations[] = {
#define TIDB_COLLATION(n) #n,
#include "model/tidb.def"
    };
    const char *const *list = collation ? collations : charsets;
    size_t n = collation ? ARRAY_LEN(collations) : ARRAY_LEN(charsets);
    for (size_t i = 0; i < n; i++)
        if (str_eqc(name, list[i])) return true;
    return false;
}

/* The nearest collation of another server family. Where they call other strings equal, a unique key shows it
 * as a collision; no value changes. */
typedef struct CollationStep {
    const char *from, *to;
} CollationStep;

static const CollationStep to_mariadb[] = {
    {"utf8mb4_0900_ai_ci", "utf8mb4_uca1400_nopad_ai_ci"},
    {"utf8mb4_0900_as_ci", "utf8mb4_uca1400_nopad_as_ci"},
    {"utf8mb4_0900_as_cs", "utf8mb4_uca1400_nopad_as_cs"},
    {"utf8mb4_0900_bin", "utf8mb4_nopad_bin"},
};
static const CollationStep to_mysql[] = {
    {"utf8mb4_uca1400_ai_ci", "utf8mb4_0900_ai_ci"},
    {"utf8mb4_uca1400_as_ci", "utf8mb4_0900_as_ci"},
    {"utf8mb4_uca1400_as_cs", "utf8mb4_0900_as_cs"},
    {"utf8mb4_uca1400_nopad_ai_ci", "utf8mb4_0900_ai_ci"},
    {"utf8mb4_uca1400_nopad_as_ci", "utf8mb4_0900_as_ci"},
    {"utf8mb4_uca1400_nopad_as_cs", "utf8mb4_0900_as_cs"},
    {"utf8mb4_nopad_bin", "utf8mb4_0900_bin"},
    {"utf8mb3_uca1400_ai_ci", "utf8mb3_unicode_ci"},
    {"utf8mb4_general_nopad_ci", "utf8mb4_general_ci"},
    {"utf8mb4_unicode_nopad_ci", "utf8mb4_unicode_ci"},
};
static const CollationStep to_tidb[] = {
    {"utf8mb4_0900_as_cs", "utf8mb4_0900_bin"},       {"utf8mb4_unicode_520_ci", "utf8mb4_unicode_ci"},
    {"utf8mb3_unicode_520_ci", "utf8mb3_unicode_ci"}, {"utf8mb4_swedish_ci", "utf8mb4_general_ci"},
    {"ascii_general_ci", "utf8mb4_general_ci"},       {"latin1_swedish_ci", "utf8mb4_general_ci"},
    {"latin1_general_ci", "utf8mb4_general_ci"},      {"latin1_bin", "utf8mb4_bin"},
    {"utf8mb4_uca1400_ai_ci", "utf8mb4_unicode_ci"},  {"utf8mb4_uca1400_nopad_ai_ci", "utf8mb4_0900_ai_ci"},
    {"utf8mb4_nopad_bin", "utf8mb4_0900_bin"},        {"utf8mb3_uca1400_ai_ci", "utf8mb3_unicode_ci"},
};

static const char *step(const CollationStep *steps, size_t n, Str from)
{
    for (size_t i = 0; i < n; i++)
        if (str_eqc(from, steps[i].from)) return steps[i].to;
    return NULL;
}

/* Does the downstream know it as it is? */
static bool target_has(const CreateOpts *o, const Collation *c)
{
    if (o->target_is_tidb) return tidb_has(c->charset->name, false) && tidb_has(c->name, true);
    Flavor f = o->target_is_mariadb ? FLAVOR_MARIADB : FLAVOR_MYSQL;
    return c->family == FLAVOR_UNKNOWN || c->family == f;
}

const Collation *create_collation(const CreateOpts *opts, Str collation)
{
    const Collation *from = charset_collation_by_name(collation);
    if (!from || target_has(opts, from)) return from;
    const char *near = opts->target_is_tidb      ? step(to_tidb, ARRAY_LEN(to_tidb), from->name)
                       : opts->target_is_mariadb ? step(to_mariadb, ARRAY_LEN(to_mariadb), from->name)
                                                 : step(to_mysql, ARRAY_LEN(to_mysql), from->name);
    return near ? charset_collation_by_name(str_of(near)) : NULL;
}

/* *charset and *name: what to write for the collation. False: the target has nothing near. */
static bool target_collation(Create *c, Str collation, Str *charset, Str *name)
{
    const Collation *to = create_collation(c->opts, collation);
    *charset = *name = (Str){0};
    if (!to) return false;
    if (to != charset_collation_by_name(collation))
        note(c, "collation " STR_FMT " became " STR_FMT, STR_ARG(collation), STR_ARG(to->name));
    *charset = to->charset->name;
    *name = to->name;
    return true;
}

/* -- columns -- */

/* COLUMN_TYPE without what only its own family writes: MariaDB's executable comments. */
static void put_type(Create *c, const ColumnDef *def)
{
    if (str_ieq(def->data_type, STR("geomcollection"))) { /* MySQL's name for it */
        sb_c(c->sql, "geometrycollection");
        return;
    }
    size_t comment = str_find(def->column_type, STR("/*"));
    sb_str(c->sql,
           str_trim((Str){def->column_type.ptr, comment == SIZE_MAX ? def->column_type.len : comment}));
}

static bool is_blob_like(const ColumnDef *def)
{
    TypeFamily f = family_of(def);
    bool sized = str_ieq(def->data_type, STR("char")) || str_ieq(def->data_type, STR("varchar")) ||
                 str_ieq(def->data_type, STR("binary")) || str_ieq(def->data_type, STR("varbinary"));
    return f == FAMILY_JSON || ((f == FAMILY_TEXT || f == FAMILY_BINARY) && !sized);
}

/* b'101' is SQL as it stands; bytes that are not text go as hex. */
static void put_literal(Create *c, const ColumnDef *def)
{
    Str text = def->default_text;
    bool plain = true;
    for (size_t i = 0; i < text.len; i++)
        plain = plain && text.ptr[i] >= ' ' && text.ptr[i] <= '~';
    if (family_of(def) == FAMILY_BIT) {
        sb_str(c->sql, text);
    } else if (family_of(def) == FAMILY_BINARY && !plain) {
        sb_c(c->sql, "X'");
        sb_hex(c->sql, text.ptr, text.len);
        sb_ch(c->sql, '\'');
    } else {
        sb_quoted(c->sql, text);
    }
}

static bool put_default(Create *c, const ColumnDef *def, Err *err)
{
    bool bare = str_istarts(def->default_text, STR("current_timestamp")) ||
                str_istarts(def->default_text, STR("now("));
    bool wrap = is_blob_like(def) && !c->opts->target_is_mariadb;
    switch (def->default_kind) {
    case DEFAULT_NONE: break;
    case DEFAULT_NULL: sb_c(c->sql, " DEFAULT NULL"); break;
    case DEFAULT_LITERAL:
        if (wrap && c->opts->target_is_tidb) {
            note(c, "default of `" STR_FMT "` left out", STR_ARG(def->name));
            break;
        }
        sb_c(c->sql, wrap ? " DEFAULT (" : " DEFAULT ");
        put_literal(c, def);
        if (wrap) sb_ch(c->sql, ')');
        break;
    case DEFAULT_EXPR:
        if (!bare && c->opts->target_is_tidb)
            return refuse(c, def->name, "TiDB may not have the default expression", def->default_text, err);
        sb_printf(c->sql, bare ? " DEFAULT " STR_FMT : " DEFAULT (" STR_FMT ")", STR_ARG(def->default_text));
        break;
    }
    if (def->on_update_now) {
        sb_c(c->sql, " ON UPDATE CURRENT_TIMESTAMP");
        if (def->fsp) sb_printf(c->sql, "(%u)", def->fsp);
    }
    return true;
}

static bool tidb_has_type(Str data_type)
{
    static const char *const types[] = {
#define TIDB_TYPE(n) #n,
#include "model/tidb.def"
    };
    for (size_t i = 0; i < ARRAY_LEN(types); i++)
        if (str_ieq(data_type, str_of(types[i]))) return true;
    return false;
}

/* A type that only some servers have: not on this target. */
static bool type_missing(const CreateOpts *o, const ColumnDef *def)
{
    if (o->target_is_tidb) return !tidb_has_type(def->data_type);
    switch (family_of(def)) {
    case FAMILY_UUID:
    case FAMILY_INET4:
    case FAMILY_INET6: return !o->target_is_mariadb;
    default: return false;
    }
}

static bool refuse_type(const Create *c, const ColumnDef *def, Err *err)
{
    StrBuf remedy = {0};
    sb_printf(&remedy,
              "create the target by hand, with `" STR_FMT "` as %s, or leave the table out by a rule",
              STR_ARG(def->name), family_elsewhere(def));
    err_set_remedy(err, ERR_TRACK_TARGET, remedy.ptr,
                   "cannot create " STR_FMT "." STR_FMT ": `" STR_FMT
                   "`: the downstream has no type " STR_FMT,
                   STR_ARG(c->opts->name.schema), STR_ARG(c->opts->name.table), STR_ARG(def->name),
                   STR_ARG(def->column_type));
    sb_done(&remedy);
    return false;
}

static bool put_column(Create *c, const ColumnDef *def, Err *err)
{
    if (family_of(def) == FAMILY_UNKNOWN)
        return refuse(c, def->name, "no such type is replicated:", def->column_type, err);
    if (type_missing(c->opts, def)) return refuse_type(c, def, err);
    if (family_is_compressed(def)) note(c, "COMPRESSED of `" STR_FMT "` left out", STR_ARG(def->name));
    sb_c(c->sql, c->separator);
    c->separator = ",\n  ";
    sb_ident(c->sql, def->name);
    sb_ch(c->sql, ' ');
    put_type(c, def);
    if (def->collation.len && family_of(def) != FAMILY_JSON && family_of(def) != FAMILY_BINARY) {
        Str charset, collation;
        if (!target_collation(c, def->collation, &charset, &collation))
            return refuse(c, def->name, "the downstream has no collation", def->collation, err);
        sb_printf(c->sql, " CHARACTER SET " STR_FMT " COLLATE " STR_FMT, STR_ARG(charset),
                  STR_ARG(collation));
    }
    if (def->generated) {
        sb_printf(c->sql, " GENERATED ALWAYS AS (" STR_FMT ") %s", STR_ARG(def->generation_expr),
                  def->generated_stored ? "STORED" : "VIRTUAL");
        if (def->not_null && !c->opts->target_is_mariadb) sb_c(c->sql, " NOT NULL");
    } else {
        sb_c(c->sql, def->not_null ? " NOT NULL" : " NULL");
        if (def->auto_increment)
            note(c, "AUTO_INCREMENT of `" STR_FMT "` left out while shards feed it", STR_ARG(def->name));
        else if (!put_default(c, def, err))
            return false;
    }
    if (def->comment.len) {
        sb_c(c->sql, " COMMENT ");
        sb_quoted(c->sql, def->comment);
    }
    return true;
}

/* -- keys -- */

typedef enum KeyForm { KEY_PLAIN, KEY_FULLTEXT, KEY_SPATIAL } KeyForm;

static KeyForm form_of(const KeyDef *k)
{
    return str_ieq(k->index_type, STR("FULLTEXT"))  ? KEY_FULLTEXT
           : str_ieq(k->index_type, STR("SPATIAL")) ? KEY_SPATIAL
                                                    : KEY_PLAIN;
}

/* A unique key over long text without a prefix: MariaDB's alone. */
static bool needs_prefix(const Create *c, const KeyDef *k)
{
    for (uint32_t i = 0; i < k->n_parts; i++)
        if (k->parts[i].column < c->schema->n_columns && !k->parts[i].prefix &&
            is_blob_like(&c->schema->columns[k->parts[i].column]))
            return true;
    return false;
}

static bool put_key(Create *c, const KeyDef *k, Err *err)
{
    KeyForm form = form_of(k);
    bool unique = k->unique || k->primary;
    if (unique && k->has_expression)
        return refuse(c, k->name,
                      "a unique key over an expression cannot be created from the shards' definition",
                      (Str){0}, err);
    if (unique && !c->opts->target_is_mariadb && needs_prefix(c, k))
        return refuse(c, k->name, "the downstream has no unique keys over whole TEXT or BLOB columns",
                      (Str){0}, err);
    if (k->has_expression || form == KEY_SPATIAL || (form == KEY_FULLTEXT && c->opts->target_is_tidb)) {
        note(c, "index `" STR_FMT "` left out", STR_ARG(k->name));
        return true;
    }
    sb_c(c->sql, c->separator);
    if (k->primary) {
        sb_c(c->sql, "PRIMARY KEY");
    } else {
        sb_c(c->sql, unique ? "UNIQUE KEY " : form == KEY_FULLTEXT ? "FULLTEXT KEY " : "KEY ");
        sb_ident(c->sql, k->name);
    }
    sb_c(c->sql, " (");
    for (uint32_t i = 0; i < k->n_parts; i++) {
        if (i) sb_ch(c->sql, ',');
        sb_ident(c->sql, c->schema->columns[k->parts[i].column].name);
        if (k->parts[i].prefix && form == KEY_PLAIN) sb_printf(c->sql, "(%u)", k->parts[i].prefix);
    }
    sb_ch(c->sql, ')');
    if (k->primary && c->opts->primary_words) sb_c(c->sql, c->opts->primary_words);
    return true;
}

static bool put_options(Create *c, Err *err)
{
    sb_c(c->sql, "\n) ENGINE=InnoDB");
    if (c->schema->collation.len) {
        Str charset, collation;
        if (!target_collation(c, c->schema->collation, &charset, &collation))
            return refuse(c, c->schema->name.table, "the downstream has no collation", c->schema->collation,
                          err);
        sb_printf(c->sql, " DEFAULT CHARSET=" STR_FMT " COLLATE=" STR_FMT, STR_ARG(charset),
                  STR_ARG(collation));
    }
    if (c->opts->table_words) sb_c(c->sql, c->opts->table_words);
    if (c->schema->comment.len) {
        sb_c(c->sql, " COMMENT=");
        sb_quoted(c->sql, c->schema->comment);
    }
    if (c->notes.len) { /* a name may hold the end of a comment */
        sb_c(c->sql, " /* ");
        for (size_t i = 0; i < c->notes.len; i++)
            if (!(c->notes.ptr[i] == '/' && i && c->notes.ptr[i - 1] == '*')) sb_ch(c->sql, c->notes.ptr[i]);
        sb_c(c->sql, " */");
    }
    return true;
}

bool schema_create_sql(const TableSchema *s, const CreateOpts *opts, StrBuf *sql, Err *err)
{
    Create c = {.schema = s, .opts = opts, .sql = sql, .separator = "\n  "};
    bool ok = !s->is_view || err_set(err, ERR_TRACK_TARGET, STR_FMT "." STR_FMT " is a view",
                                     STR_ARG(s->name.schema), STR_ARG(s->name.table));
    sb_c(sql, "CREATE TABLE ");
    table_name_sql(opts->name, sql);
    sb_c(sql, " (");
    for (uint32_t i = 0; ok && i < s->n_columns; i++)
        ok = put_column(&c, &s->columns[i], err);
    for (uint32_t i = 0; ok && i < s->n_keys; i++)
        ok = put_key(&c, &s->keys[i], err);
    ok = ok && put_options(&c, err);
    sb_done(&c.notes);
    return ok;
}
