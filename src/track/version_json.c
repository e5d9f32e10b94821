#include "track/version_json.h"
#include <stdlib.h>
#include "track/json_text.h"
#include "track/schema_json.h"
#include "track/step_json.h"
#include "track/version_pool.h"
#include "base/poison.h"

static const char *const kinds[] = {[ORIGIN_BASE] = "base", [ORIGIN_ADDED] = "added", [ORIGIN_ANY] = "any"};
static const char *const fills[] = {[FILL_NONE] = "none",
                                    [FILL_NULL] = "null",
                                    [FILL_VALUE] = "value",
                                    [FILL_COMPUTED] = "computed",
                                    [FILL_VOLATILE] = "volatile"};

static json_t *schema_value(const TableSchema *s)
{
    StrBuf text = {0};
    schema_to_json(s, &text);
    json_t *v = json_loadb(text.ptr, text.len, 0, NULL);
    sb_done(&text);
    return v;
}

static void put_text(json_t *o, const char *key, Str s)
{
    if (s.len) json_object_set_new(o, key, json_of_text(s));
}

json_t *version_to_json(const Version *v)
{
    json_t *o = json_object(), *origins = json_array(), *feeds = json_array();
    json_object_set_new(o, "schema", schema_value(v->schema));
    if (v->shape != v->schema) json_object_set_new(o, "shape", schema_value(v->shape));
    for (uint32_t i = 0; i < v->schema->n_columns; i++) {
        json_t *c = json_object();
        json_object_set_new(c, "kind", json_string(kinds[v->origins[i].kind]));
        json_object_set_new(c, "fill", json_string(fills[v->origins[i].fill]));
        put_text(c, "base", v->origins[i].base);
        put_text(c, "text", v->origins[i].fill_text);
        put_text(c, "lossy", v->origins[i].lossy);
        if (v->origins[i].left) json_object_set_new(c, "left", json_true());
        json_array_append_new(origins, c);
    }
    for (uint32_t i = 0; i < v->shape->n_columns; i++)
        json_array_append_new(feeds, json_integer(v->feeds[i] == NO_COLUMN ? -1 : (json_int_t)v->feeds[i]));
    json_object_set_new(o, "origins", origins);
    json_object_set_new(o, "feeds", feeds);
    put_text(o, "rows", v->rows);
    if (v->gone) json_object_set_new(o, "gone", json_true());
    return o;
}

static bool bad(Err *err)
{
    return err_set(err, ERR_CORRUPT, "stored version of a table: a field is missing or out of range");
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

static bool schema_read(VersionPool *p, const json_t *o, const TableSchema **out, Err *err)
{
    char *text = o ? json_dumps(o, JSON_COMPACT) : NULL;
    if (!text) return bad(err);
    TableSchema *s;
    bool ok = schema_from_json(str_of(text), &s, err);
    free(text);
    if (!ok) return false;
    *out = version_schema(p, s);
    schema_free(s);
    return true;
}

static bool origin_read(Arena *arena, const json_t *o, ColumnOrigin *out)
{
    unsigned kind, fill;
    if (!name_index(kinds, ARRAY_LEN(kinds), json_object_get(o, "kind"), &kind) ||
        !name_index(fills, ARRAY_LEN(fills), json_object_get(o, "fill"), &fill))
        return false;
    *out = (ColumnOrigin){
        .kind = (OriginKind)kind, .fill = (FillKind)fill, .left = json_is_true(json_object_get(o, "left"))};
    return json_to_text(arena, json_object_get(o, "base"), &out->base) &&
           json_to_text(arena, json_object_get(o, "text"), &out->fill_text) &&
           json_to_text(arena, json_object_get(o, "lossy"), &out->lossy);
}

static bool lists_read(Arena *arena, const json_t *o, Version *v)
{
    const json_t *origins = json_object_get(o, "origins"), *feeds = json_object_get(o, "feeds");
    uint32_t n = v->schema->n_columns, n_shape = v->shape->n_columns;
    if (json_array_size(origins) != n || json_array_size(feeds) != n_shape) return false;
    ColumnOrigin *list = arena_array(arena, ColumnOrigin, n + 1);
    uint32_t *feed = arena_array(arena, uint32_t, n_shape + 1);
    for (uint32_t i = 0; i < n; i++)
        if (!origin_read(arena, json_array_get(origins, i), &list[i])) return false;
    for (uint32_t i = 0; i < n_shape; i++) {
        const json_t *f = json_array_get(feeds, i);
        if (!json_is_integer(f) || json_integer_value(f) < -1 || json_integer_value(f) >= n) return false;
        feed[i] = json_integer_value(f) < 0 ? NO_COLUMN : (uint32_t)json_integer_value(f);
    }
    v->origins = list;
    v->feeds = feed;
    return json_to_text(arena, json_object_get(o, "rows"), &v->rows);
}

bool version_from_json(VersionPool *p, const json_t *o, const Version **out, Err *err)
{
    Version v = {.gone = json_is_true(json_object_get(o, "gone"))};
    const json_t *shape = json_object_get(o, "shape");
    if (!schema_read(p, json_object_get(o, "schema"), &v.schema, err)) return false;
    v.shape = v.schema;
    if (shape && !schema_read(p, shape, &v.shape, err)) return false;
    Arena arena = {0};
    bool ok = lists_read(&arena, o, &v) || bad(err);
    if (ok) *out = version_intern(p, &v);
    arena_done(&arena);
    return ok;
}

json_t *version_step_to_json(const SchemaStep *s)
{
    StrBuf text = {0};
    step_to_json(s, &text);
    json_t *v = json_loadb(text.ptr, text.len, 0, NULL);
    sb_done(&text);
    return v;
}

bool version_step_from_json(VersionPool *p, const json_t *o, const SchemaStep **out, Err *err)
{
    char *text = o ? json_dumps(o, JSON_COMPACT) : NULL;
    if (!text) return bad(err);
    SchemaStep *s;
    bool ok = step_from_json(str_of(text), &s, err);
    free(text);
    if (!ok) return false;
    *out = version_keep_step(p, s);
    step_free(s);
    return true;
}
