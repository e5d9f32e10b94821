#include "track/schema_onto.h"
#include "model/binding.h"
#include "track/family.h"
#include "track/join.h"
#include "base/poison.h"

typedef struct Onto {
    const TableSchema *live;
    const OntoChange *c;
    Arena *arena;
    TableSchema *to;
    uint32_t *columns; /* of to: predecessors in live */
    FillKind *fills;
    Str *fill_texts;
    uint32_t *at; /* one per column of live: its place in to, or NO_COLUMN */
    bool *dropped;
} Onto;

static bool same_column(const ColumnDef *a, const ColumnDef *b)
{
    return str_eq(a->column_type, b->column_type) && str_eq(a->collation, b->collation) &&
           a->not_null == b->not_null && a->default_kind == b->default_kind &&
           str_eq(a->default_text, b->default_text) && a->on_update_now == b->on_update_now &&
           a->generated == b->generated && a->generated_stored == b->generated_stored &&
           str_eq(a->generation_expr, b->generation_expr) && a->invisible == b->invisible &&
           a->auto_increment == b->auto_increment && str_eq(a->comment, b->comment);
}

static bool same_type(const ColumnDef *a, const ColumnDef *b)
{
    return str_eq(a->column_type, b->column_type) && str_eq(a->collation, b->collation) &&
           a->not_null == b->not_null;
}

/* The live column after the change from → to of what it stands for. */
static bool change_column(const Onto *o, const ColumnDef *live, const ColumnDef *from, const ColumnDef *to,
                          ColumnDef *out, Err *err)
{
    StrBuf why = {0};
    *out = *live;
    out->name = to->name;
    if (same_column(from, to)) return true;
    *out = *to;
    if (same_type(from, to) || !same_type(live, from)) {
        /* the type stays, or was another one here: it need only hold the new values */
        bool fits = same_type(from, to) || family_fits(to, live, &why);
        sb_done(&why);
        ColumnDef joined = *live;
        if (!fits && !join_column_type(o->arena, live, to, &joined))
            return err_set(err, ERR_TRACK_TARGET,
                           "column `" STR_FMT "` of the target is " STR_FMT ", which cannot become " STR_FMT,
                           STR_ARG(live->name), STR_ARG(live->column_type), STR_ARG(to->column_type));
        joined.name = to->name;
        joined.default_kind = to->default_kind;
        joined.default_text = to->default_text;
        joined.on_update_now = to->on_update_now;
        joined.comment = to->comment;
        joined.invisible = to->invisible;
        joined.not_null = live->not_null && to->not_null;
        if (to->default_kind == DEFAULT_NULL && joined.not_null) joined.default_kind = DEFAULT_NONE;
        *out = joined;
    }
    return true;
}

static void put(Onto *o, const ColumnDef *c, uint32_t live, uint32_t before)
{
    TableSchema *t = o->to;
    for (uint32_t i = t->n_columns; i > before; i--) {
        t->columns[i] = t->columns[i - 1];
        o->columns[i] = o->columns[i - 1];
        o->fills[i] = o->fills[i - 1];
        o->fill_texts[i] = o->fill_texts[i - 1];
    }
    t->columns[before] = *c;
    o->columns[before] = live;
    o->fills[before] = FILL_NONE;
    o->fill_texts[before] = (Str){0};
    t->n_columns++;
}

/* What stays of the live columns, in their order. */
static bool keep_columns(Onto *o, Err *err)
{
    const TableSchema *from = o->c->from->schema, *to = o->c->to->schema;
    for (uint32_t i = 0; i < o->live->n_columns; i++) {
        const ColumnDef *live = &o->live->columns[i];
        uint32_t was = schema_column(from, live->name), now = NO_COLUMN;
        for (uint32_t k = 0; was != NO_COLUMN && k < to->n_columns; k++)
            if (o->c->columns[k] == was) now = k;
        if (was != NO_COLUMN && now == NO_COLUMN) continue; /* dropped */
        ColumnDef c = *live;
        if (now != NO_COLUMN && !change_column(o, live, &from->columns[was], &to->columns[now], &c, err))
            return false;
        put(o, &c, i, o->to->n_columns);
    }
    return true;
}

/* New columns stand behind the one that they follow. One that the target has already is taken as it is. */
static void add_columns(Onto *o)
{
    const TableSchema *to = o->c->to->schema;
    for (uint32_t k = 0; k < to->n_columns; k++) {
        if (o->c->columns[k] != NO_COLUMN || schema_column(o->to, to->columns[k].name) != NO_COLUMN) continue;
        uint32_t before = k ? schema_column(o->to, to->columns[k - 1].name) : NO_COLUMN;
        before = !k ? 0 : before == NO_COLUMN ? o->to->n_columns : before + 1;
        put(o, &to->columns[k], UINT32_MAX, before);
        const ColumnOrigin *origin = &o->c->to->origins[k];
        if (origin->kind != ORIGIN_ADDED) continue;
        o->fills[before] = origin->fill;
        o->fill_texts[before] = origin->fill_text;
    }
}

/* Does s have this key of t, by its parts? */
static const KeyDef *find_key(const TableSchema *s, const TableSchema *t, const KeyDef *k)
{
    for (uint32_t i = 0; i < s->n_keys; i++)
        if (s->keys[i].unique == k->unique && s->keys[i].primary == k->primary &&
            key_same_parts(s, &s->keys[i], t, k))
            return &s->keys[i];
    return NULL;
}

/* The key's parts by the columns of o->to; false: a column is not there. */
static bool carry_key(const Onto *o, const TableSchema *s, const KeyDef *k, KeyDef *out)
{
    *out = *k;
    out->parts = arena_array(o->arena, KeyPart, k->n_parts + 1);
    uint32_t n = 0;
    for (uint32_t i = 0; i < k->n_parts; i++) {
        KeyPart p = k->parts[i];
        if (p.column != NO_COLUMN) p.column = schema_column(o->to, s->columns[p.column].name);
        if (p.column == NO_COLUMN && !p.expression.len) continue;
        out->parts[n++] = p;
    }
    out->n_parts = n;
    return n > 0;
}

static bool key_refused(const Onto *o, const KeyDef *k, Err *err)
{
    if (!o->c->keyed || !k->unique) return true;
    return err_set_remedy(err, ERR_TRACK_TARGET,
                          "change the target's key by hand as the strategy needs it, then decide with "
                          "the locks command",
                          "unique key `" STR_FMT
                          "` changes on the shards, and the target's keys are those of a "
                          "key strategy",
                          STR_ARG(k->name));
}

/* A live key whose columns keep their names: by the predecessors of the columns in o->to. */
static bool live_key(const Onto *o, const KeyDef *k, KeyDef *out)
{
    *out = *k;
    out->parts = arena_array(o->arena, KeyPart, k->n_parts + 1);
    uint32_t n = 0;
    for (uint32_t i = 0; i < k->n_parts; i++) {
        KeyPart p = k->parts[i];
        uint32_t now = NO_COLUMN;
        for (uint32_t c = 0; p.column != NO_COLUMN && c < o->to->n_columns; c++)
            if (o->columns[c] == p.column) now = c;
        if (p.column != NO_COLUMN && now == NO_COLUMN) continue;
        p.column = now;
        out->parts[n++] = p;
    }
    out->n_parts = n;
    return n > 0;
}

static bool change_keys(Onto *o, Err *err)
{
    const TableSchema *from = o->c->from->schema, *to = o->c->to->schema, *live = o->live;
    TableSchema *t = o->to;
    t->keys = arena_array(o->arena, KeyDef, live->n_keys + to->n_keys + 1);
    t->n_keys = 0;
    for (uint32_t i = 0; i < live->n_keys; i++) {
        const KeyDef *was = find_key(from, live, &live->keys[i]);
        bool named = was != NULL;
        for (uint32_t k = 0; named && k < to->n_keys;
             k++) /* it is still there, if under its columns' new names */
            if (str_ieq(to->keys[k].name, was->name) && to->keys[k].unique == was->unique) named = false;
        if (named && find_key(to, from, was)) named = false;
        if (named) {
            if (!key_refused(o, was, err)) return false;
            continue; /* dropped */
        }
        KeyDef k;
        if (live_key(o, &live->keys[i], &k)) t->keys[t->n_keys++] = k;
    }
    for (uint32_t i = 0; i < to->n_keys; i++) {
        const KeyDef *k = &to->keys[i];
        KeyDef key;
        if (find_key(from, to, k) || !carry_key(o, to, k, &key) || find_key(t, to, k)) continue;
        bool same_name = false;
        for (uint32_t x = 0; x < t->n_keys; x++)
            same_name |= str_ieq(t->keys[x].name, k->name);
        bool was_there = false; /* the same key under a renamed column */
        for (uint32_t x = 0; x < from->n_keys; x++)
            was_there |= str_ieq(from->keys[x].name, k->name) && from->keys[x].n_parts == k->n_parts;
        if (same_name && was_there) continue;
        if (!key_refused(o, k, err)) return false;
        if (same_name)
            key.name = arena_printf(o->arena, STR_FMT "_%u", STR_ARG(k->name), (unsigned)t->n_keys);
        if (k->primary) { /* stands first */
            for (uint32_t x = t->n_keys; x > 0; x--)
                t->keys[x] = t->keys[x - 1];
            t->keys[0] = key;
            t->n_keys++;
        } else {
            t->keys[t->n_keys++] = key;
        }
    }
    return true;
}

static void change_table(Onto *o)
{
    const TableSchema *from = o->c->from->schema, *to = o->c->to->schema;
    if (!str_eq(from->collation, to->collation)) o->to->collation = to->collation;
    if (!str_eq(from->comment, to->comment)) o->to->comment = to->comment;
}

bool schema_onto(const TableSchema *live, const OntoChange *c, Arena *arena, EmitChange *out, Err *err)
{
    uint32_t most = live->n_columns + c->to->schema->n_columns + 1;
    Onto o = {.live = live, .c = c, .arena = arena, .to = arena_new(arena, TableSchema)};
    *o.to = *live;
    o.to->arena = (Arena){0};
    o.to->n_columns = 0;
    o.to->columns = arena_array(arena, ColumnDef, most);
    o.columns = arena_array(arena, uint32_t, most);
    o.fills = arena_array(arena, FillKind, most);
    o.fill_texts = arena_array(arena, Str, most);
    *out = (EmitChange){.from = live, .rows = c->rows, .drop = c->drop};
    if (!keep_columns(&o, err)) return false;
    add_columns(&o);
    if (!change_keys(&o, err)) return false;
    change_table(&o);
    out->to = o.to;
    out->columns = o.columns;
    out->fills = o.fills;
    out->fill_texts = o.fill_texts;
    return true;
}
