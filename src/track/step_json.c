#include "track/step_json.h"
#include <stdlib.h>
#include "track/json_text.h"
#include "track/schema_json.h"
#include "base/poison.h"

static const char *const fill_names[] = {[FILL_NONE] = "none",
                                         [FILL_NULL] = "null",
                                         [FILL_VALUE] = "value",
                                         [FILL_COMPUTED] = "computed",
                                         [FILL_VOLATILE] = "volatile"};
static const char *const rows_names[] = {[ROWS_KEPT] = "kept",
                                         [ROWS_SOME_GONE] = "some-gone",
                                         [ROWS_ALL_GONE] = "all-gone",
                                         [ROWS_UNKNOWN] = "unknown"};

/* -- writing -- */

static json_t *schema_value(const TableSchema *s)
{
    if (!s) return json_null();
    StrBuf text = {0};
    schema_to_json(s, &text);
    json_t *v = json_loadb(text.ptr, text.len, 0, NULL);
    sb_done(&text);
    return v;
}

static void put_true(json_t *o, const char *key, bool v)
{
    if (v) json_object_set_new(o, key, json_true());
}

static json_t *column_value(const ColumnLineage *c)
{
    json_t *o = json_object();
    if (c->from != UINT32_MAX) json_object_set_new(o, "from", json_integer(c->from));
    put_true(o, "renamed", c->renamed);
    put_true(o, "converted", c->converted);
    put_true(o, "lossy", c->lossy);
    if (c->fill != FILL_NONE) json_object_set_new(o, "fill", json_string(fill_names[c->fill]));
    if (c->fill_text.len) json_object_set_new(o, "text", json_of_text(c->fill_text));
    return o;
}

static json_t *name_value(TableName n)
{
    json_t *a = json_array();
    json_array_append_new(a, json_of_text(n.schema));
    json_array_append_new(a, json_of_text(n.table));
    return a;
}

void step_to_json(const SchemaStep *s, StrBuf *out)
{
    json_t *o = json_object(), *columns = json_array(), *dropped = json_array();
    json_object_set_new(o, "before", schema_value(s->before));
    json_object_set_new(o, "after", schema_value(s->after));
    for (uint32_t i = 0; s->after && i < s->after->n_columns; i++)
        json_array_append_new(columns, column_value(&s->columns[i]));
    for (uint32_t i = 0; s->before && s->dropped && i < s->before->n_columns; i++)
        if (s->dropped[i]) json_array_append_new(dropped, json_integer(i));
    json_object_set_new(o, "columns", columns);
    json_object_set_new(o, "dropped", dropped);
    json_object_set_new(o, "name_before", name_value(s->name_before));
    json_object_set_new(o, "name_after", name_value(s->name_after));
    json_object_set_new(o, "rows", json_string(rows_names[s->rows]));
    if (s->rows_what.len) json_object_set_new(o, "what", json_of_text(s->rows_what));
    json_object_set_new(o, "statement", json_of_text(s->statement));
    char *text = json_dumps(o, JSON_COMPACT);
    sb_c(out, text);
    free(text);
    json_decref(o);
}

/* -- reading -- */

static bool schema_read(const json_t *v, const TableSchema **out, Err *err)
{
    *out = NULL;
    if (json_is_null(v)) return true;
    char *text = v ? json_dumps(v, JSON_COMPACT) : NULL;
    if (!text) return err_set(err, ERR_CORRUPT, "stored schema change: a definition is missing");
    TableSchema *s;
    bool ok = schema_from_json(str_of(text), &s, err);
    free(text);
    if (ok) *out = s;
    return ok;
}

static bool name_index(const char *const *names, size_t n, const json_t *v, unsigned *out)
{
    const char *text = json_string_value(v);
    for (size_t i = 0; text && i < n; i++)
        if (strcmp(names[i], text) == 0) {
            *out = (unsigned)i;
            return true;
        }
    return false;
}

static bool column_read(SchemaStep *s, const json_t *o, ColumnLineage *c)
{
    const json_t *from = json_object_get(o, "from"), *fill = json_object_get(o, "fill");
    unsigned kind = FILL_NONE;
    *c = (ColumnLineage){.from = UINT32_MAX,
                         .renamed = json_is_true(json_object_get(o, "renamed")),
                         .converted = json_is_true(json_object_get(o, "converted")),
                         .lossy = json_is_true(json_object_get(o, "lossy"))};
    if (from) {
        json_int_t at = json_integer_value(from);
        if (!json_is_integer(from) || at < 0 || !s->before || at >= s->before->n_columns) return false;
        c->from = (uint32_t)at;
    }
    if (fill && !name_index(fill_names, ARRAY_LEN(fill_names), fill, &kind)) return false;
    c->fill = (FillKind)kind;
    return json_to_text(&s->arena, json_object_get(o, "text"), &c->fill_text);
}

static bool name_read(SchemaStep *s, const json_t *a, TableName *out)
{
    return json_array_size(a) == 2 && json_to_text(&s->arena, json_array_get(a, 0), &out->schema) &&
           json_to_text(&s->arena, json_array_get(a, 1), &out->table);
}

static bool lists_read(SchemaStep *s, const json_t *o)
{
    const json_t *columns = json_object_get(o, "columns"), *dropped = json_object_get(o, "dropped");
    uint32_t n = s->after ? s->after->n_columns : 0, n_before = s->before ? s->before->n_columns : 0;
    if (!json_is_array(columns) || json_array_size(columns) != n || !json_is_array(dropped)) return false;
    s->columns = arena_array(&s->arena, ColumnLineage, n);
    s->dropped = arena_array(&s->arena, bool, n_before);
    for (uint32_t i = 0; i < n; i++)
        if (!column_read(s, json_array_get(columns, i), &s->columns[i])) return false;
    for (size_t i = 0; i < json_array_size(dropped); i++) {
        const json_t *v = json_array_get(dropped, i);
        if (!json_is_integer(v) || json_integer_value(v) < 0 || json_integer_value(v) >= n_before)
            return false;
        s->dropped[json_integer_value(v)] = true;
    }
    return true;
}

static bool step_read(SchemaStep *s, const json_t *o, Err *err)
{
    unsigned rows;
    if (!schema_read(json_object_get(o, "before"), &s->before, err) ||
        !schema_read(json_object_get(o, "after"), &s->after, err))
        return false;
    if (!lists_read(s, o) || !name_read(s, json_object_get(o, "name_before"), &s->name_before) ||
        !name_read(s, json_object_get(o, "name_after"), &s->name_after) ||
        !name_index(rows_names, ARRAY_LEN(rows_names), json_object_get(o, "rows"), &rows) ||
        !json_to_text(&s->arena, json_object_get(o, "what"), &s->rows_what) ||
        !json_to_text(&s->arena, json_object_get(o, "statement"), &s->statement))
        return err_set(err, ERR_CORRUPT, "stored schema change: a field is missing or out of range");
    s->rows = (RowsChange)rows;
    return true;
}

bool step_from_json(Str json, SchemaStep **out, Err *err)
{
    *out = NULL;
    json_error_t why;
    json_t *o = json_loadb(json.ptr ? json.ptr : "", json.len, JSON_REJECT_DUPLICATES, &why);
    if (!o)
        return err_set(err, ERR_CORRUPT, "stored schema change: not JSON at byte %d: %s", why.position,
                       why.text);
    SchemaStep *s = mem_zalloc(sizeof *s);
    bool ok = step_read(s, o, err);
    json_decref(o);
    if (ok)
        *out = s;
    else
        step_free(s);
    return ok;
}

void step_free(SchemaStep *s)
{
    if (!s) return;
    schema_free((TableSchema *)(uintptr_t)s->before);
    schema_free((TableSchema *)(uintptr_t)s->after);
    arena_done(&s->arena);
    free(s);
}
