#include "track/family.h"
#include "track/column.h"
#include "track/join.h"
#include "track/schema_apply.h"
#include "track/version_pool.h"
#include "base/poison.h"

/* The definition and origins that the rows' table has in the end. */
static const Version *last_version(const RowsOf *rows)
{
    return rows->n ? rows->chain[rows->n - 1]->after : rows->version;
}

/* Where a column of the last version stood in the rows' own: its column there, or NO_COLUMN and the origin
 * under which it was added. */
static uint32_t trace(const RowsOf *rows, uint32_t column, const ColumnOrigin **added)
{
    *added = NULL;
    for (uint32_t i = rows->n; i-- > 0;) {
        const VersionStep *s = rows->chain[i];
        if (s->from[column] == NO_COLUMN) {
            *added = &s->after->origins[column];
            return NO_COLUMN;
        }
        column = s->from[column];
    }
    return column;
}

static uint32_t feeder(const Version *v, uint32_t column)
{
    for (uint32_t i = 0; i < v->shape->n_columns; i++)
        if (v->feeds[i] == column) return i;
    return NO_COLUMN;
}

/* A fill on record, or what stands for none: the default, NULL. False: the column can take neither. */
static bool fill_feed(const ColumnDef *t, const ColumnOrigin *o, Arena *arena, ColumnFeed *f)
{
    *f = (ColumnFeed){.kind = FEED_FILL, .fill = FILL_NULL};
    if (o && (o->fill == FILL_VALUE || (o->fill == FILL_NULL && !t->not_null))) {
        f->fill = o->fill;
        f->fill_text = o->fill_text;
        return true;
    }
    if ((o && o->fill == FILL_COMPUTED) || t->auto_increment) {
        f->kind = FEED_TARGET;
        return true;
    }
    if (!t->not_null) return true;
    if (t->default_kind == DEFAULT_LITERAL) {
        f->fill = FILL_VALUE;
        f->fill_text = lineage_literal(t->default_text, family_of(t) == FAMILY_BINARY, arena);
        return true;
    }
    return false;
}

static bool row_fits(const ColumnDef *s, const ColumnDef *t, StrBuf *why)
{
    StrBuf words = {0};
    bool ok = family_fits(s, t, &words);
    if (!ok && why)
        sb_printf(why, "column `" STR_FMT "`: " STR_FMT " does not fit " STR_FMT ": " STR_FMT "\n",
                  STR_ARG(t->name), STR_ARG(s->column_type), STR_ARG(t->column_type),
                  STR_ARG(sb_view(&words)));
    sb_done(&words);
    return ok;
}

static bool from_row(const RowsOf *rows, uint32_t shape, const ColumnDef *t, ColumnFeed *f, StrBuf *why)
{
    *f = (ColumnFeed){.kind = FEED_COLUMN, .column = shape};
    return row_fits(&rows->version->shape->columns[shape], t, why);
}

static bool no_fill(const ColumnDef *t, StrBuf *why)
{
    if (why)
        sb_printf(why, "column `" STR_FMT "` is NOT NULL, and nothing is known to fill it with\n",
                  STR_ARG(t->name));
    return false;
}

uint32_t join_same_column(const Version *v, const Version *other, uint32_t column)
{
    const ColumnOrigin *o = &other->origins[column];
    VersionView a = version_view(v), b = version_view(other);
    uint32_t named = schema_column(v->schema, other->schema->columns[column].name);
    if (named != NO_COLUMN && version_same_column(&a, named, &b, column)) return named;
    for (uint32_t i = 0; o->kind != ORIGIN_ANY && i < v->schema->n_columns; i++)
        if (v->origins[i].kind == o->kind && str_ieq(v->origins[i].base, o->base) &&
            !v->schema->columns[i].generated && version_same_column(&a, i, &b, column))
            return i;
    return NO_COLUMN;
}

/* Does the column of the rows stand in their table in the end, and so has its place in the target? */
static bool goes_on(const RowsOf *rows, uint32_t column)
{
    const ColumnOrigin *added;
    for (uint32_t i = 0; i < last_version(rows)->schema->n_columns; i++)
        if (trace(rows, i, &added) == column) return true;
    return false;
}

static bool feed_column(const RowsOf *rows, const Version *target, uint32_t at, Arena *arena, ColumnFeed *f,
                        StrBuf *why)
{
    const ColumnDef *t = &target->schema->columns[at];
    const Version *last = last_version(rows);
    uint32_t in_last = schema_column(last->schema, t->name);
    if (t->generated) {
        *f = (ColumnFeed){.kind = FEED_TARGET};
        return true;
    }
    if (in_last != NO_COLUMN) {
        const ColumnOrigin *added;
        uint32_t column = trace(rows, in_last, &added);
        if (column == NO_COLUMN) return fill_feed(t, added, arena, f) || no_fill(t, why);
        uint32_t shape = feeder(rows->version, column);
        if (shape != NO_COLUMN) return from_row(rows, shape, t, f, why);
        return fill_feed(t, &rows->version->origins[column], arena, f) || no_fill(t, why);
    }
    /* the table has given it up, or never had it */
    uint32_t own = join_same_column(rows->version, target, at);
    if (own != NO_COLUMN && !goes_on(rows, own) && feeder(rows->version, own) != NO_COLUMN)
        return from_row(rows, feeder(rows->version, own), t, f, why);
    return fill_feed(t, &target->origins[at], arena, f) || no_fill(t, why);
}

/* A column of the rows that goes nowhere may do so only when their own table gives it up later, or a decision
 * left it out. */
static bool left_out_ok(const RowsOf *rows, uint32_t shape, StrBuf *why)
{
    uint32_t column = rows->version->feeds[shape];
    const ColumnOrigin *added;
    const Version *last = last_version(rows);
    if (column == NO_COLUMN) return true;
    bool kept = false;
    for (uint32_t i = 0; i < last->schema->n_columns; i++)
        kept |= trace(rows, i, &added) == column;
    if (kept && why)
        sb_printf(why, "column `" STR_FMT "` is missing\n",
                  STR_ARG(rows->version->shape->columns[shape].name));
    return !kept;
}

/* A column of the rows goes into one of the target: that of its name, else the first. The other one lacks it.
 * fed: one per column of the rows: that of the target so far, plus 1. */
static bool feed_once(const RowsOf *rows, const Version *target, Arena *arena, ColumnFeed *feeds, uint32_t at,
                      uint32_t *fed, StrBuf *why)
{
    if (feeds[at].kind != FEED_COLUMN) return true;
    uint32_t column = feeds[at].column, other = fed[column];
    bool named = str_ieq(target->schema->columns[at].name, rows->version->shape->columns[column].name);
    if (!other || named) fed[column] = at + 1;
    if (!other) return true;
    other = named ? other - 1 : at;
    const ColumnDef *t = &target->schema->columns[other];
    return fill_feed(t, &target->origins[other], arena, &feeds[other]) || no_fill(t, why);
}

bool row_map(const RowsOf *rows, const Version *target, Arena *arena, RowMap *out, StrBuf *why)
{
    const TableSchema *shape = rows->version->shape;
    bool ok = true;
    *out = (RowMap){.version = rows->version, .target = target};
    out->feeds = arena_array(arena, ColumnFeed, target->schema->n_columns + 1);
    out->left_out = arena_array(arena, bool, shape->n_columns + 1);
    uint32_t *fed = arena_array(arena, uint32_t, shape->n_columns + 1);
    for (uint32_t i = 0; i < shape->n_columns; i++)
        out->left_out[i] = !shape->columns[i].generated;
    for (uint32_t i = 0; i < target->schema->n_columns; i++) {
        ok &= feed_column(rows, target, i, arena, &out->feeds[i], why) &&
              feed_once(rows, target, arena, out->feeds, i, fed, why);
        if (out->feeds[i].kind == FEED_COLUMN) out->left_out[out->feeds[i].column] = false;
        if (out->feeds[i].kind == FEED_TARGET) {
            uint32_t same = schema_column(shape, target->schema->columns[i].name);
            if (same != NO_COLUMN) out->left_out[same] = false;
        }
    }
    for (uint32_t i = 0; i < shape->n_columns; i++)
        if (out->left_out[i]) ok &= left_out_ok(rows, i, why);
    return ok;
}

/* -- widening -- */

typedef struct Wide {
    Arena arena;
    TableSchema schema;
    ColumnOrigin *origins;
    bool failed;
} Wide;

bool join_hold_both(Arena *arena, ColumnDef *t, const ColumnDef *other)
{
    CLEANUP(sb_done) StrBuf why = {0};
    if (family_fits(other, t, &why)) return true;
    const ColumnDef was = *t;
    bool ok = join_column_type(arena, &was, other, t);
    t->name = was.name;
    t->default_kind = was.default_kind;
    t->default_text = was.default_text;
    t->on_update_now = was.on_update_now;
    t->not_null = was.not_null && other->not_null;
    if (!t->not_null && t->default_kind == DEFAULT_NONE) t->default_kind = DEFAULT_NULL;
    return ok;
}

static void widen_column(Wide *w, const RowsOf *rows, uint32_t at, const ColumnFeed *f)
{
    ColumnDef *t = &w->schema.columns[at];
    if (f->kind == FEED_FILL && f->fill == FILL_NULL && t->not_null) {
        t->not_null = false;
        if (t->default_kind == DEFAULT_NONE) t->default_kind = DEFAULT_NULL;
    }
    if (f->kind == FEED_COLUMN)
        w->failed |= !join_hold_both(&w->arena, t, &rows->version->shape->columns[f->column]);
}

bool join_keep(VersionPool *p, const Version **t, uint32_t column, const ColumnDef *former)
{
    Arena arena = {0};
    Version v = **t;
    TableSchema s = *v.schema;
    schema_bare(&s);
    s.columns = arena_array(&arena, ColumnDef, s.n_columns + 1);
    memcpy(s.columns, v.schema->columns, s.n_columns * sizeof *s.columns);
    bool ok = s.columns[column].generated || join_hold_both(&arena, &s.columns[column], former);
    if (ok) {
        v.schema = v.shape = version_schema(p, &s);
        *t = version_intern(p, &v);
    }
    arena_done(&arena);
    return ok;
}

/* Behind the others; rows that lack it must have something to put there. There is room for it. */
static void add_carried(TableSchema *s, ColumnOrigin *origins, const Version *carried, uint32_t column)
{
    ColumnDef *c = &s->columns[s->n_columns];
    ColumnOrigin *o = &origins[s->n_columns++];
    *c = carried->schema->columns[column];
    *o = carried->origins[column];
    bool has_fill = o->kind == ORIGIN_ADDED && o->fill == FILL_VALUE;
    if (c->generated || !c->not_null || has_fill || c->default_kind == DEFAULT_LITERAL) return;
    c->not_null = false;
    c->auto_increment = false;
    if (c->default_kind == DEFAULT_NONE) c->default_kind = DEFAULT_NULL;
}

void join_carry(VersionPool *p, const Version **t, const Version *carried, uint32_t column)
{
    Arena arena = {0};
    Version v = **t;
    TableSchema s = *v.schema;
    uint32_t n = s.n_columns;
    schema_bare(&s);
    s.columns = arena_array(&arena, ColumnDef, n + 1);
    ColumnOrigin *origins = arena_array(&arena, ColumnOrigin, n + 1);
    uint32_t *feeds = arena_array(&arena, uint32_t, n + 1);
    memcpy(s.columns, v.schema->columns, n * sizeof *s.columns);
    memcpy(origins, v.origins, n * sizeof *origins);
    for (uint32_t i = 0; i <= n; i++)
        feeds[i] = i;
    add_carried(&s, origins, carried, column);
    v.schema = v.shape = version_schema(p, &s);
    v.origins = origins;
    v.feeds = feeds;
    *t = version_intern(p, &v);
    arena_done(&arena);
}

/* A column that rows still bring, the former target still has, and no version wants any more. */
static void carry_columns(Wide *w, const RowsOf *rows, const RowMap *map, const Version *was,
                          const Version *carried)
{
    const Version *v = rows->version;
    for (uint32_t i = 0; i < v->shape->n_columns; i++) {
        if (!map->left_out[i] || v->feeds[i] == NO_COLUMN) continue;
        uint32_t old = join_same_column(carried, v, v->feeds[i]);
        if (old == NO_COLUMN || schema_column(&w->schema, carried->schema->columns[old].name) != NO_COLUMN ||
            join_same_column(was, carried, old) != NO_COLUMN)
            continue; /* the last: it is there under another name */
        add_carried(&w->schema, w->origins, carried, old);
    }
}

/* Unique keys hold for the rows of the version only if it had them. */
static void widen_keys(Wide *w, const Version *rows)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < w->schema.n_keys; i++) {
        KeyDef k = w->schema.keys[i];
        bool has = !k.unique || k.primary;
        for (uint32_t o = 0; !has && o < rows->schema->n_keys; o++)
            has = key_same_parts(&w->schema, &k, rows->schema, &rows->schema->keys[o]);
        if (has) w->schema.keys[n++] = k;
    }
    w->schema.n_keys = n;
}

bool join_widen(VersionPool *p, const Version **t, const RowsOf *rows, const Version *carried)
{
    const Version *was = *t;
    uint32_t n = was->schema->n_columns, most = n + rows->version->shape->n_columns;
    Wide w = {.schema = *was->schema};
    RowMap map;
    w.schema.columns = arena_array(&w.arena, ColumnDef, most + 1);
    w.schema.keys = arena_array(&w.arena, KeyDef, was->schema->n_keys + 1);
    w.origins = arena_array(&w.arena, ColumnOrigin, most + 1);
    for (uint32_t i = 0; i < n; i++) {
        w.schema.columns[i] = was->schema->columns[i];
        w.origins[i] = was->origins[i];
    }
    for (uint32_t i = 0; i < was->schema->n_keys; i++)
        w.schema.keys[i] = was->schema->keys[i];
    bool fits = row_map(rows, was, &w.arena, &map, NULL);
    for (uint32_t i = 0; i < n && !fits; i++)
        widen_column(&w, rows, i, &map.feeds[i]);
    if (carried) carry_columns(&w, rows, &map, was, carried);
    widen_keys(&w, rows->version);
    if (!w.failed) {
        uint32_t *feeds = arena_array(&w.arena, uint32_t, w.schema.n_columns + 1);
        for (uint32_t i = 0; i < w.schema.n_columns; i++)
            feeds[i] = i;
        w.schema.arena = (Arena){0};
        const TableSchema *s = version_schema(p, &w.schema);
        Version v = {.schema = s,
                     .origins = w.origins,
                     .rows = was->rows,
                     .gone = was->gone,
                     .shape = s,
                     .feeds = feeds};
        *t = version_intern(p, &v);
        w.failed = !row_map(rows, *t, &w.arena, &map, NULL);
    }
    arena_done(&w.arena);
    return !w.failed;
}
