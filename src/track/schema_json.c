#include "track/schema_json.h"
#include <stdlib.h>
#include "track/json_text.h"
#include "base/poison.h"

/* {"format":1,"schema","table","engine","collation","comment","view","triggers","foreign_keys","cascade",
 *  "columns":[{"name","data_type","column_type",…}],"keys":[{"name",…,"parts":[{"column","prefix"}]}],
 *  "parents":[{"schema","table","columns":[…],"parent_columns":[…]}]}
 * Flags and numbers that are false or 0, and empty texts, are left out. */
enum { FORMAT = 1 };

static void put_text(json_t *o, const char *key, Str s)
{
    if (s.len) json_object_set_new(o, key, json_of_text(s));
}

static void put_flag(json_t *o, const char *key, bool v)
{
    if (v) json_object_set_new(o, key, json_true());
}

static void put_number(json_t *o, const char *key, uint64_t v)
{
    if (v) json_object_set_new(o, key, json_integer((json_int_t)v));
}

static const char *const default_kinds[] = {[DEFAULT_NONE] = "none",
                                            [DEFAULT_NULL] = "null",
                                            [DEFAULT_LITERAL] = "literal",
                                            [DEFAULT_EXPR] = "expression"};

static json_t *column_to_json(const ColumnDef *c)
{
    json_t *o = json_object();
    json_object_set_new(o, "name", json_of_text(c->name));
    json_object_set_new(o, "data_type", json_of_text(c->data_type));
    json_object_set_new(o, "column_type", json_of_text(c->column_type));
    put_flag(o, "unsigned", c->is_unsigned);
    put_flag(o, "not_null", c->not_null);
    put_flag(o, "auto_increment", c->auto_increment);
    put_flag(o, "generated", c->generated);
    put_flag(o, "stored", c->generated_stored);
    put_flag(o, "invisible", c->invisible);
    put_flag(o, "on_update_now", c->on_update_now);
    put_number(o, "char_length", c->char_length);
    put_number(o, "precision", c->precision);
    put_number(o, "scale", c->scale);
    put_number(o, "fsp", c->fsp);
    put_text(o, "charset", c->charset);
    put_text(o, "collation", c->collation);
    json_object_set_new(o, "default_kind", json_string(default_kinds[c->default_kind]));
    put_text(o, "default", c->default_text);
    put_text(o, "generation", c->generation_expr);
    put_text(o, "comment", c->comment);
    put_flag(o, "has_srid", c->has_srid);
    put_number(o, "srid", c->srid);
    put_flag(o, "unversioned", c->unversioned);
    if (c->n_members) {
        json_t *members = json_array();
        for (uint32_t i = 0; i < c->n_members; i++)
            json_array_append_new(members, json_of_text(c->members[i]));
        json_object_set_new(o, "members", members);
    }
    return o;
}

static json_t *key_to_json(const KeyDef *k)
{
    json_t *o = json_object(), *parts = json_array();
    json_object_set_new(o, "name", json_of_text(k->name));
    put_flag(o, "primary", k->primary);
    put_flag(o, "unique", k->unique);
    put_flag(o, "expression", k->has_expression);
    put_text(o, "index_type", k->index_type);
    put_flag(o, "invisible", k->invisible);
    put_flag(o, "for_foreign_key", k->for_foreign_key);
    put_text(o, "comment", k->comment);
    for (uint32_t i = 0; i < k->n_parts; i++) {
        json_t *p = json_object();
        if (k->parts[i].column != UINT32_MAX)
            json_object_set_new(p, "column", json_integer((json_int_t)k->parts[i].column));
        put_number(p, "prefix", k->parts[i].prefix);
        put_flag(p, "descending", k->parts[i].descending);
        put_text(p, "expression", k->parts[i].expression);
        json_array_append_new(parts, p);
    }
    json_object_set_new(o, "parts", parts);
    return o;
}

static json_t *parents_to_json(const TableSchema *s)
{
    json_t *list = json_array();
    for (uint32_t i = 0; i < s->n_foreign_keys; i++) {
        const ForeignKey *k = &s->foreign_keys[i];
        json_t *columns = json_array(), *theirs = json_array();
        for (uint32_t c = 0; c < k->n_columns; c++) {
            json_array_append_new(columns, json_integer((json_int_t)k->columns[c]));
            json_array_append_new(theirs, json_of_text(k->parent_columns[c]));
        }
        json_t *o = json_pack("{s:o, s:o, s:o, s:o}", "schema", json_of_text(k->parent.schema), "table",
                              json_of_text(k->parent.table), "columns", columns, "parent_columns", theirs);
        put_text(o, "name", k->name);
        put_text(o, "on_update", k->on_update);
        put_text(o, "on_delete", k->on_delete);
        json_array_append_new(list, o);
    }
    return list;
}

static void details_to_json(const TableSchema *s, json_t *o)
{
    json_t *checks = json_array(), *options = json_array();
    for (uint32_t i = 0; i < s->n_checks; i++) {
        json_t *c = json_object();
        json_object_set_new(c, "name", json_of_text(s->checks[i].name));
        json_object_set_new(c, "expression", json_of_text(s->checks[i].expr));
        put_flag(c, "column_level", s->checks[i].column_level);
        put_flag(c, "not_enforced", s->checks[i].not_enforced);
        json_array_append_new(checks, c);
    }
    for (uint32_t i = 0; i < s->n_options; i++)
        json_array_append_new(options, json_pack("{s:o, s:o}", "name", json_of_text(s->options[i].name),
                                                 "value", json_of_text(s->options[i].value)));
    if (s->n_checks) json_object_set(o, "checks", checks);
    if (s->n_options) json_object_set(o, "options", options);
    json_decref(checks);
    json_decref(options);
    put_number(o, "auto_increment", MIN(s->auto_increment, (uint64_t)INT64_MAX));
}

static json_t *partitioning_to_json(const Partitioning *by)
{
    json_t *o = json_object(), *parts = json_array();
    put_text(o, "method", by->method);
    put_text(o, "expression", by->expr);
    put_text(o, "sub_method", by->sub_method);
    put_text(o, "sub_expression", by->sub_expr);
    for (uint32_t i = 0; i < by->n_parts; i++) {
        json_t *p = json_object(), *subs = json_array();
        json_object_set_new(p, "name", json_of_text(by->parts[i].name));
        put_text(p, "values", by->parts[i].values);
        put_text(p, "comment", by->parts[i].comment);
        for (uint32_t k = 0; k < by->parts[i].n_subpartitions; k++)
            json_array_append_new(subs, json_of_text(by->parts[i].subpartitions[k]));
        if (json_array_size(subs)) json_object_set(p, "subpartitions", subs);
        json_decref(subs);
        json_array_append_new(parts, p);
    }
    json_object_set_new(o, "parts", parts);
    return o;
}

void schema_to_json(const TableSchema *s, StrBuf *out)
{
    json_t *o = json_object(), *columns = json_array(), *keys = json_array();
    json_object_set_new(o, "format", json_integer(FORMAT));
    json_object_set_new(o, "schema", json_of_text(s->name.schema));
    json_object_set_new(o, "table", json_of_text(s->name.table));
    put_text(o, "engine", s->engine);
    put_text(o, "collation", s->collation);
    put_text(o, "comment", s->comment);
    put_flag(o, "view", s->is_view);
    put_flag(o, "versioned", s->is_versioned);
    put_flag(o, "sequence", s->is_sequence);
    put_flag(o, "triggers", s->has_triggers);
    put_flag(o, "foreign_keys", s->has_foreign_keys);
    put_flag(o, "cascade", s->has_cascade);
    for (uint32_t i = 0; i < s->n_columns; i++)
        json_array_append_new(columns, column_to_json(&s->columns[i]));
    for (uint32_t i = 0; i < s->n_keys; i++)
        json_array_append_new(keys, key_to_json(&s->keys[i]));
    json_object_set_new(o, "columns", columns);
    json_object_set_new(o, "keys", keys);
    if (s->n_foreign_keys) json_object_set_new(o, "parents", parents_to_json(s));
    details_to_json(s, o);
    if (s->partitioning.method.len)
        json_object_set_new(o, "partitioning", partitioning_to_json(&s->partitioning));
    char *text = json_dumps(o, JSON_COMPACT);
    sb_c(out, text);
    free(text);
    json_decref(o);
}

/* -- reading -- */

typedef struct Load {
    TableSchema *schema;
    bool bad;
} Load;

static Str get_value(Load *l, const json_t *v)
{
    Str text;
    if (!json_to_text(&l->schema->arena, v, &text)) l->bad = true;
    return text;
}

static Str get_text(Load *l, const json_t *o, const char *key)
{
    return get_value(l, json_object_get(o, key));
}

static Str need_text(Load *l, const json_t *o, const char *key)
{
    if (!json_object_get(o, key)) l->bad = true;
    return get_text(l, o, key);
}

static uint64_t get_number(Load *l, const json_t *o, const char *key, uint64_t most)
{
    const json_t *v = json_object_get(o, key);
    if (!v) return 0;
    if (!json_is_integer(v) || json_integer_value(v) < 0 || (uint64_t)json_integer_value(v) > most) {
        l->bad = true;
        return 0;
    }
    return (uint64_t)json_integer_value(v);
}

static bool get_flag(const json_t *o, const char *key)
{
    return json_is_true(json_object_get(o, key));
}

static DefaultKind get_default_kind(Load *l, const json_t *o)
{
    const char *kind = json_string_value(json_object_get(o, "default_kind"));
    for (size_t i = 0; kind && i < ARRAY_LEN(default_kinds); i++)
        if (strcmp(kind, default_kinds[i]) == 0) return (DefaultKind)i;
    l->bad = true;
    return DEFAULT_NONE;
}

static void column_from_json(Load *l, const json_t *o, ColumnDef *c)
{
    *c = (ColumnDef){
        .name = need_text(l, o, "name"),
        .data_type = need_text(l, o, "data_type"),
        .column_type = need_text(l, o, "column_type"),
        .is_unsigned = get_flag(o, "unsigned"),
        .not_null = get_flag(o, "not_null"),
        .auto_increment = get_flag(o, "auto_increment"),
        .generated = get_flag(o, "generated"),
        .generated_stored = get_flag(o, "stored"),
        .invisible = get_flag(o, "invisible"),
        .on_update_now = get_flag(o, "on_update_now"),
        .char_length = get_number(l, o, "char_length", INT64_MAX),
        .precision = (uint32_t)get_number(l, o, "precision", UINT32_MAX),
        .scale = (uint32_t)get_number(l, o, "scale", UINT32_MAX),
        .fsp = (uint32_t)get_number(l, o, "fsp", UINT32_MAX),
        .charset = get_text(l, o, "charset"),
        .collation = get_text(l, o, "collation"),
        .default_kind = get_default_kind(l, o),
        .default_text = get_text(l, o, "default"),
        .generation_expr = get_text(l, o, "generation"),
        .comment = get_text(l, o, "comment"),
        .has_srid = get_flag(o, "has_srid"),
        .srid = (uint32_t)get_number(l, o, "srid", UINT32_MAX),
        .unversioned = get_flag(o, "unversioned"),
    };
    const json_t *members = json_object_get(o, "members");
    if (!members) return;
    Str *list = arena_array(&l->schema->arena, Str, json_array_size(members));
    for (size_t i = 0; i < json_array_size(members); i++)
        list[i] = get_value(l, json_array_get(members, i));
    c->members = list;
    c->n_members = (uint32_t)json_array_size(members);
}

static void key_from_json(Load *l, const json_t *o, KeyDef *k)
{
    *k = (KeyDef){
        .name = need_text(l, o, "name"),
        .primary = get_flag(o, "primary"),
        .unique = get_flag(o, "unique"),
        .has_expression = get_flag(o, "expression"),
        .index_type = get_text(l, o, "index_type"),
        .invisible = get_flag(o, "invisible"),
        .for_foreign_key = get_flag(o, "for_foreign_key"),
        .comment = get_text(l, o, "comment"),
    };
    const json_t *parts = json_object_get(o, "parts");
    k->n_parts = (uint32_t)json_array_size(parts);
    k->parts = arena_array(&l->schema->arena, KeyPart, k->n_parts);
    for (uint32_t i = 0; i < k->n_parts; i++) {
        const json_t *p = json_array_get(parts, i);
        bool column = json_object_get(p, "column") != NULL;
        k->parts[i].column = column ? (uint32_t)get_number(l, p, "column", UINT32_MAX - 1) : UINT32_MAX;
        k->parts[i].prefix = (uint32_t)get_number(l, p, "prefix", UINT32_MAX);
        k->parts[i].descending = get_flag(p, "descending");
        k->parts[i].expression = get_text(l, p, "expression");
        if (column && k->parts[i].column >= l->schema->n_columns) l->bad = true;
    }
}

static void parent_from_json(Load *l, const json_t *o, ForeignKey *k)
{
    const json_t *columns = json_object_get(o, "columns"), *theirs = json_object_get(o, "parent_columns");
    k->parent = (TableName){need_text(l, o, "schema"), need_text(l, o, "table")};
    k->name = get_text(l, o, "name");
    k->on_update = get_text(l, o, "on_update");
    k->on_delete = get_text(l, o, "on_delete");
    k->n_columns = (uint32_t)json_array_size(columns);
    if (json_array_size(theirs) != k->n_columns) l->bad = true;
    k->columns = arena_array(&l->schema->arena, uint32_t, k->n_columns + 1);
    k->parent_columns = arena_array(&l->schema->arena, Str, k->n_columns + 1);
    for (uint32_t i = 0; i < k->n_columns; i++) {
        json_int_t at = json_integer_value(json_array_get(columns, i));
        if (at < 0 || at >= (json_int_t)l->schema->n_columns) l->bad = true;
        k->columns[i] = l->bad ? 0 : (uint32_t)at;
        k->parent_columns[i] = get_value(l, json_array_get(theirs, i));
    }
}

static void details_from_json(Load *l, const json_t *o)
{
    TableSchema *s = l->schema;
    const json_t *checks = json_object_get(o, "checks"), *options = json_object_get(o, "options");
    s->n_checks = (uint32_t)json_array_size(checks);
    s->checks = arena_array(&s->arena, CheckDef, s->n_checks + 1);
    for (uint32_t i = 0; i < s->n_checks; i++) {
        const json_t *c = json_array_get(checks, i);
        s->checks[i] = (CheckDef){.name = need_text(l, c, "name"),
                                  .expr = need_text(l, c, "expression"),
                                  .column_level = get_flag(c, "column_level"),
                                  .not_enforced = get_flag(c, "not_enforced")};
    }
    s->n_options = (uint32_t)json_array_size(options);
    s->options = arena_array(&s->arena, TableOption, s->n_options + 1);
    for (uint32_t i = 0; i < s->n_options; i++) {
        const json_t *p = json_array_get(options, i);
        s->options[i] = (TableOption){need_text(l, p, "name"), need_text(l, p, "value")};
    }
    s->auto_increment = get_number(l, o, "auto_increment", INT64_MAX);
}

static void partitioning_from_json(Load *l, const json_t *o, Partitioning *by)
{
    const json_t *parts = json_object_get(o, "parts");
    if (!o) return;
    Arena *arena = &l->schema->arena;
    *by = (Partitioning){.method = need_text(l, o, "method"),
                         .expr = get_text(l, o, "expression"),
                         .sub_method = get_text(l, o, "sub_method"),
                         .sub_expr = get_text(l, o, "sub_expression"),
                         .n_parts = (uint32_t)json_array_size(parts)};
    by->parts = arena_array(arena, PartitionDef, by->n_parts + 1);
    for (uint32_t i = 0; i < by->n_parts; i++) {
        const json_t *p = json_array_get(parts, i), *subs = json_object_get(p, "subpartitions");
        by->parts[i] = (PartitionDef){.name = need_text(l, p, "name"),
                                      .values = get_text(l, p, "values"),
                                      .comment = get_text(l, p, "comment"),
                                      .n_subpartitions = (uint32_t)json_array_size(subs)};
        Str *names = arena_array(arena, Str, by->parts[i].n_subpartitions + 1);
        for (uint32_t k = 0; k < by->parts[i].n_subpartitions; k++)
            names[k] = get_value(l, json_array_get(subs, k));
        by->parts[i].subpartitions = names;
    }
}

static void load_lists(Load *l, const json_t *o)
{
    TableSchema *s = l->schema;
    const json_t *columns = json_object_get(o, "columns"), *keys = json_object_get(o, "keys");
    if (!json_is_array(columns) || !json_is_array(keys)) l->bad = true;
    s->n_columns = (uint32_t)json_array_size(columns);
    s->columns = arena_array(&s->arena, ColumnDef, s->n_columns);
    for (uint32_t i = 0; i < s->n_columns; i++)
        column_from_json(l, json_array_get(columns, i), &s->columns[i]);
    s->n_keys = (uint32_t)json_array_size(keys);
    s->keys = arena_array(&s->arena, KeyDef, s->n_keys);
    for (uint32_t i = 0; i < s->n_keys; i++)
        key_from_json(l, json_array_get(keys, i), &s->keys[i]);
    const json_t *parents = json_object_get(o, "parents");
    s->n_foreign_keys = (uint32_t)json_array_size(parents);
    s->foreign_keys = arena_array(&s->arena, ForeignKey, s->n_foreign_keys + 1);
    for (uint32_t i = 0; i < s->n_foreign_keys; i++)
        parent_from_json(l, json_array_get(parents, i), &s->foreign_keys[i]);
}

bool schema_from_json(Str json, TableSchema **out, Err *err)
{
    *out = NULL;
    json_error_t why;
    json_t *o = json_loadb(json.ptr ? json.ptr : "", json.len, JSON_REJECT_DUPLICATES, &why);
    if (!o)
        return err_set(err, ERR_CORRUPT, "stored schema: not JSON at byte %d: %s", why.position, why.text);
    Load l = {.schema = mem_zalloc(sizeof *l.schema)};
    TableSchema *s = l.schema;
    const json_t *format = json_object_get(o, "format");
    if (!json_is_integer(format) || json_integer_value(format) != FORMAT) {
        err_set(err, ERR_CORRUPT, "stored schema: format is not %d", FORMAT);
        l.bad = true;
    } else {
        s->name = (TableName){need_text(&l, o, "schema"), need_text(&l, o, "table")};
        s->engine = get_text(&l, o, "engine");
        s->collation = get_text(&l, o, "collation");
        s->comment = get_text(&l, o, "comment");
        s->is_view = get_flag(o, "view");
        s->is_versioned = get_flag(o, "versioned");
        s->is_sequence = get_flag(o, "sequence");
        s->has_triggers = get_flag(o, "triggers");
        s->has_foreign_keys = get_flag(o, "foreign_keys");
        s->has_cascade = get_flag(o, "cascade");
        load_lists(&l, o);
        details_from_json(&l, o);
        partitioning_from_json(&l, json_object_get(o, "partitioning"), &s->partitioning);
        if (l.bad)
            err_set(err, ERR_CORRUPT,
                    "stored schema of " STR_FMT "." STR_FMT ": a field is missing or out of range",
                    STR_ARG(s->name.schema), STR_ARG(s->name.table));
    }
    json_decref(o);
    if (l.bad) {
        schema_free(s);
        return false;
    }
    *out = s;
    return true;
}
