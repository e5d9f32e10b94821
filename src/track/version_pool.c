#include "track/version_pool.h"
#include <stdlib.h>
#include "base/check.h"
#include "track/schema_json.h"
#include "track/step_json.h"
#include "base/poison.h"

static Str address(const void *const *p)
{
    return str_make(p, sizeof *p);
}

static bool is_known(const VersionPool *p, const void *what)
{
    return map_get(&p->known, address(&what)) != NULL;
}

static void make_known(VersionPool *p, void *what)
{
    const void *key = what;
    map_put(&p->known, address(&key), what);
}

VersionPool *version_pool_new(void)
{
    return mem_zalloc(sizeof(VersionPool));
}

void version_pool_free(VersionPool *p)
{
    if (!p) return;
    size_t iter = 0;
    Str key;
    void *value;
    while (map_next(&p->schemas, &iter, &key, &value))
        schema_free(value);
    iter = 0;
    while (map_next(&p->steps, &iter, &key, &value)) {
        SchemaStep *s = value; /* its definitions are the pool's */
        arena_done(&s->arena);
        free(s);
    }
    map_done(&p->schemas);
    map_done(&p->steps);
    map_done(&p->versions);
    map_done(&p->moves);
    map_done(&p->texts);
    map_done(&p->memo);
    map_done(&p->known);
    arena_done(&p->arena);
    free(p);
}

Str version_text(VersionPool *p, Str text)
{
    if (!text.len) return (Str){0};
    Str *known = map_get(&p->texts, text);
    if (known) return *known;
    known = arena_new(&p->arena, Str);
    *known = arena_str(&p->arena, text);
    map_put(&p->texts, text, known);
    return *known;
}

const TableSchema *version_schema(VersionPool *p, const TableSchema *s)
{
    if (!s || is_known(p, s)) return s;
    StrBuf text = {0};
    schema_to_json(s, &text);
    TableSchema *own = map_get(&p->schemas, sb_view(&text));
    if (!own) {
        Err err = {0};
        CHECK(schema_from_json(sb_view(&text), &own, &err), "a definition that was just written");
        map_put(&p->schemas, sb_view(&text), own);
        make_known(p, own);
    }
    sb_done(&text);
    return own;
}

const SchemaStep *version_keep_step(VersionPool *p, const SchemaStep *s)
{
    if (is_known(p, s)) return s;
    StrBuf text = {0};
    step_to_json(s, &text);
    SchemaStep *own = map_get(&p->steps, sb_view(&text));
    if (!own) {
        Err err = {0};
        CHECK(step_from_json(sb_view(&text), &own, &err), "a schema change that was just written");
        TableSchema *before = (TableSchema *)(uintptr_t)own->before,
                    *after = (TableSchema *)(uintptr_t)own->after;
        own->before = version_schema(p, before);
        own->after = version_schema(p, after);
        schema_free(before);
        schema_free(after);
        map_put(&p->steps, sb_view(&text), own);
        make_known(p, own);
    }
    sb_done(&text);
    return own;
}

static void put_text(StrBuf *key, Str s)
{
    sb_u64(key, s.len);
    sb_ch(key, ':');
    sb_str(key, s);
}

static void version_key(const Version *v, StrBuf *key)
{
    sb_add(key, &v->schema, sizeof v->schema);
    sb_add(key, &v->shape, sizeof v->shape);
    sb_ch(key, v->gone ? 'g' : '-');
    put_text(key, v->rows);
    for (uint32_t i = 0; i < v->schema->n_columns; i++) {
        const ColumnOrigin *o = &v->origins[i];
        sb_printf(key, "%d,%d,%d,", o->kind, o->fill, o->left);
        put_text(key, o->base);
        put_text(key, o->fill_text);
        put_text(key, o->lossy);
    }
    sb_add(key, v->feeds, v->shape->n_columns * sizeof *v->feeds);
}

const Version *version_intern(VersionPool *p, const Version *v)
{
    StrBuf key = {0};
    version_key(v, &key);
    Version *own = map_get(&p->versions, sb_view(&key));
    if (!own) {
        uint32_t n = v->schema->n_columns;
        ColumnOrigin *origins = arena_array(&p->arena, ColumnOrigin, n);
        uint32_t *feeds = arena_array(&p->arena, uint32_t, v->shape->n_columns);
        for (uint32_t i = 0; i < n; i++) {
            origins[i] = v->origins[i];
            origins[i].base = version_text(p, v->origins[i].base);
            origins[i].fill_text = version_text(p, v->origins[i].fill_text);
            origins[i].lossy = version_text(p, v->origins[i].lossy);
        }
        if (v->shape->n_columns) memcpy(feeds, v->feeds, v->shape->n_columns * sizeof *feeds);
        own = arena_new(&p->arena, Version);
        *own = *v;
        own->id = ++p->last_id;
        own->origins = origins;
        own->feeds = feeds;
        own->rows = version_text(p, v->rows);
        map_put(&p->versions, sb_view(&key), own);
    }
    sb_done(&key);
    return own;
}

static Str move_key(const void *pair[2], const Version *before, const void *by)
{
    pair[0] = before;
    pair[1] = by;
    return str_make(pair, 2 * sizeof *pair);
}

const VersionStep *version_step_find(VersionPool *p, const Version *before, const void *by)
{
    const void *pair[2];
    return map_get(&p->moves, move_key(pair, before, by));
}

const VersionStep *version_step_intern(VersionPool *p, const Version *before, const void *by,
                                       const Version *after, const uint32_t *from)
{
    const void *pair[2];
    VersionStep *s = arena_new(&p->arena, VersionStep);
    uint32_t n = after->schema->n_columns;
    uint32_t *own = arena_array(&p->arena, uint32_t, n);
    if (n) memcpy(own, from, n * sizeof *own);
    *s = (VersionStep){before, after, own};
    map_put(&p->moves, move_key(pair, before, by), s);
    return s;
}
