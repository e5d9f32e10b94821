#include "track/schema_onto.h"
#include "ddl/expr.h"
#include "model/binding.h"
#include "track/column.h"
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
    bool judges; /* there are rows, and what they hold in the end must be what the shards' hold */
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

/* Has the change from → to changed values that are there, so that the live column's have to be changed too?
 */
static bool converts(const Onto *o, uint32_t from, uint32_t to)
{
    return o->judges && !str_eq(o->c->from->origins[from].lossy, o->c->to->origins[to].lossy);
}

/* It is what it was but for NULL and collation of its own, which it keeps. */
static void convert_column(const ColumnDef *live, const ColumnDef *from, const ColumnDef *to, ColumnDef *out)
{
    *out = *to;
    if (str_eq(from->collation, to->collation)) {
        out->charset = live->charset;
        out->collation = live->collation;
    }
    if (live->not_null || !to->not_null || !from->not_null) return;
    out->not_null = false;
    if (out->default_kind == DEFAULT_NONE) out->default_kind = DEFAULT_NULL;
}

static bool not_converted(const ColumnDef *live, const ColumnDef *to, Err *err)
{
    return err_set_remedy(
        err, ERR_TRACK_TARGET,
        "make it that type by hand (ALTER TABLE … MODIFY), or give its rows the values that the shards have "
        "now, and decide give-up; after MODIFY retry does as well",
        "column `" STR_FMT "` of the target is " STR_FMT ", and the shards' became " STR_FMT
        " by a conversion that may have changed values",
        STR_ARG(live->name), STR_ARG(live->column_type), STR_ARG(to->column_type));
}

/* Somebody has done it by hand. */
static bool is_converted(const ColumnDef *live, const ColumnDef *from, const ColumnDef *to)
{
    bool null_too = live->not_null || !to->not_null || from->not_null;
    return column_same_type(live, to) && str_ieq(live->charset, to->charset) && null_too;
}

/* Rows of shard tables that have left have values there that would not go into it. */
static bool holds_left(const Onto *o, const ColumnDef *live, uint32_t was, const ColumnDef *to)
{
    CLEANUP(sb_done) StrBuf why = {0};
    return o->judges && o->c->from->origins[was].left && !family_fits(live, to, &why);
}

/* Will its values be others than they were, in rows that are there? */
static bool is_computed_anew(const Onto *o, uint32_t was, uint32_t now)
{
    const TableSchema *from = o->c->from->schema, *to = o->c->to->schema;
    const ColumnDef *is = &to->columns[now];
    if (!is->generated) return false;
    bool anew = !column_stays_computed(from, &from->columns[was], to, is, o->c->columns);
    for (uint32_t k = 0; !anew && k < to->n_columns; k++)
        if (ddl_expr_uses(is->generation_expr, to->columns[k].name))
            anew = o->c->columns[k] == NO_COLUMN || converts(o, o->c->columns[k], k);
    return anew;
}

static bool not_computed(const ColumnDef *live, const ColumnDef *to, Err *err)
{
    return err_set_remedy(
        err, ERR_TRACK_TARGET,
        "make it a generated column like the shards', or give its rows the values that the shards have now, "
        "and decide give-up; in the first case retry does as well",
        "column `" STR_FMT "` of the target is an ordinary one, and the shards' is computed now as " STR_FMT
        ", also in rows that are there",
        STR_ARG(live->name), STR_ARG(to->generation_expr));
}

/* *out: to, for a live column that may be an ordinary one where the shards' is generated, or say the same in
 * words of its own. Whether values are stored is nobody's business but the target's. */
static void compute_as(const Onto *o, const ColumnDef *live, const ColumnDef *to, ColumnDef *out)
{
    if (!to->generated) return;
    out->generated = live->generated;
    out->generated_stored = live->generated_stored;
    out->generation_expr = live->generation_expr;
    if (!live->generated) {
        out->default_kind = live->default_kind;
        out->default_text = live->default_text;
    } else if (!column_stays_computed(o->c->from->schema, live, o->c->to->schema, to, o->c->columns)) {
        out->generation_expr = to->generation_expr;
    }
}

/* The live column after the change from → to of what it stands for. */
static bool change_column(const Onto *o, const ColumnDef *live, uint32_t was, uint32_t now, ColumnDef *out,
                          Err *err)
{
    const ColumnDef *from = &o->c->from->schema->columns[was], *to = &o->c->to->schema->columns[now];
    StrBuf why = {0};
    *out = *live;
    out->name = to->name;
    if (o->judges && !live->generated && is_computed_anew(o, was, now)) return not_computed(live, to, err);
    if (same_column(from, to)) return true;
    *out = *to;
    if (!converts(o, was, now) && holds_left(o, live, was, to))
        return err_set_remedy(
            err, ERR_TRACK_TARGET,
            "change those rows and make the column that type by hand (ALTER TABLE … MODIFY), "
            "then decide retry",
            "column `" STR_FMT "` of the target is " STR_FMT
            ": values of shard tables that have left may not go into " STR_FMT,
            STR_ARG(live->name), STR_ARG(live->column_type), STR_ARG(to->column_type));
    bool computed = live->generated && to->generated && same_type(from, to);
    if (!computed && converts(o, was, now) && !same_type(live, from) && !is_converted(live, from, to)) {
        if (!column_same_type(live, from)) return not_converted(live, to, err);
        convert_column(live, from, to, out);
    } else if (same_type(from, to) || !same_type(live, from)) {
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
    if (from->generated || live->generated) compute_as(o, live, to, out);
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

/* Not where the rows of shard tables that have left have values that nothing else holds. */
static bool may_go(const Onto *o, const ColumnDef *live, uint32_t was, Err *err)
{
    bool another = schema_column(o->c->to->schema, live->name) != NO_COLUMN;
    if (!o->judges || !another || !o->c->from->origins[was].left) return true;
    return err_set_remedy(err, ERR_TRACK_TARGET,
                          "rename that column of the target, or drop it if nobody needs its values, then "
                          "decide retry",
                          "column `" STR_FMT
                          "` of the target holds values of shard tables that have left, and the others have "
                          "another column of that name now",
                          STR_ARG(live->name));
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
        if (was != NO_COLUMN && now == NO_COLUMN) {
            if (!may_go(o, live, was, err)) return false;
            continue; /* dropped */
        }
        ColumnDef c = *live;
        if (now != NO_COLUMN && !change_column(o, live, was, now, &c, err)) return false;
        put(o, &c, i, o->to->n_columns);
    }
    return true;
}

/* The column comes to hold the shards' values, too. */
static bool hold_both(const Onto *o, ColumnDef *own, const ColumnDef *to, Err *err)
{
    const ColumnDef live = *own;
    if (own->generated || to->generated) return true;
    if (!join_hold_both(o->arena, own, to))
        return err_set_remedy(err, ERR_TRACK_TARGET, "rename or drop that column, and decide retry",
                              "the target has a column `" STR_FMT "` of its own, which is " STR_FMT
                              ", and shards have added one that is " STR_FMT,
                              STR_ARG(live.name), STR_ARG(live.column_type), STR_ARG(to->column_type));
    own->comment = live.comment;
    own->invisible = live.invisible;
    return true;
}

/* 0.00 and 0, quoted or not. */
static bool same_number(Str a, Str b)
{
    Str *both[] = {&a, &b};
    for (size_t i = 0; i < ARRAY_LEN(both); i++) {
        Str *s = both[i];
        if (s->len >= 2 && s->ptr[0] == '\'' && s->ptr[s->len - 1] == '\'')
            *s = (Str){s->ptr + 1, s->len - 2};
        if (!s->len || memchr(s->ptr, '.', s->len) == NULL) continue;
        while (s->len && s->ptr[s->len - 1] == '0')
            s->len--;
        if (s->len && s->ptr[s->len - 1] == '.') s->len--;
    }
    return str_eq(a, b);
}

/* Do rows that are there hold in the column of the target's own what the shards' rows got in theirs? */
static bool own_is_filled(const Onto *o, const ColumnDef *own, uint32_t now)
{
    const ColumnDef *to = &o->c->to->schema->columns[now];
    const ColumnOrigin *origin = &o->c->to->origins[now];
    if (own->generated || to->generated)
        return own->generated == to->generated && column_same_generation(own, to);
    if (origin->kind != ORIGIN_ADDED || origin->fill == FILL_NONE) return column_same_default(own, to);
    return emit_default_fills(own, origin->fill, origin->fill_text, o->arena) ||
           (origin->fill == FILL_VALUE && own->default_kind == DEFAULT_LITERAL &&
            same_number(own->default_text, origin->fill_text));
}

/* A new column that the target has already. */
static bool take_own(const Onto *o, ColumnDef *own, uint32_t now, Err *err)
{
    if (!o->judges || own_is_filled(o, own, now))
        return hold_both(o, own, &o->c->to->schema->columns[now], err);
    return err_set_remedy(err, ERR_TRACK_TARGET,
                          "give the rows of the target what the shards have in it and decide give-up; or "
                          "rename or drop that column, and decide retry",
                          "the target has a column `" STR_FMT
                          "` of its own, and shards have added one of that name: by its default, rows that "
                          "are there hold other values than the shards' rows got",
                          STR_ARG(own->name));
}

/* New columns stand behind the one that they follow. One that the target has already is that one. */
static bool add_columns(Onto *o, Err *err)
{
    const TableSchema *to = o->c->to->schema;
    for (uint32_t k = 0; k < to->n_columns; k++) {
        if (o->c->columns[k] != NO_COLUMN) continue;
        uint32_t own = schema_column(o->to, to->columns[k].name);
        if (own != NO_COLUMN) {
            if (!take_own(o, &o->to->columns[own], k, err)) return false;
            continue;
        }
        uint32_t before = k ? schema_column(o->to, to->columns[k - 1].name) : NO_COLUMN;
        before = !k ? 0 : before == NO_COLUMN ? o->to->n_columns : before + 1;
        put(o, &to->columns[k], UINT32_MAX, before);
        const ColumnOrigin *origin = &o->c->to->origins[k];
        if (origin->kind != ORIGIN_ADDED) continue;
        o->fills[before] = origin->fill;
        o->fill_texts[before] = origin->fill_text;
    }
    return true;
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

static bool is_dropped(const OntoChange *c, uint32_t column)
{
    for (uint32_t i = 0; i < c->to->schema->n_columns; i++)
        if (c->columns[i] == column) return false;
    return true;
}

/* Is the shards' key the same before and afterwards: its columns under their new names, without those that
 * are dropped? */
static bool same_key(const OntoChange *c, const KeyDef *was, const KeyDef *is)
{
    uint32_t n = 0;
    if (was->unique != is->unique || was->primary != is->primary) return false;
    for (uint32_t i = 0; i < was->n_parts; i++) {
        const KeyPart *a = &was->parts[i], *b = &is->parts[n];
        if (a->column != NO_COLUMN && is_dropped(c, a->column)) continue;
        if (n == is->n_parts || a->prefix != b->prefix ||
            (a->column == NO_COLUMN) != (b->column == NO_COLUMN) ||
            (a->column != NO_COLUMN && c->columns[b->column] != a->column))
            return false;
        n++;
    }
    return n == is->n_parts;
}

/* What servers take as an identifier, in characters. */
enum { MOST_CHARACTERS = 64 };

/* Its first characters, as many as that at most; UTF-8. */
static Str first_characters(Str s, size_t most)
{
    size_t n = 0, at = 0;
    for (; at < s.len; at++)
        if (((unsigned char)s.ptr[at] & 0xC0) != 0x80 && ++n > most) break;
    return (Str){s.ptr, at};
}

static bool has_name(const TableSchema *t, Str name)
{
    for (uint32_t i = 0; i < t->n_keys; i++)
        if (str_ieq(t->keys[i].name, name)) return true;
    return false;
}

/* name_3 for a name that the table has a key of; a long name loses its end for that. */
static Str free_name(Onto *o, const TableSchema *t, Str name)
{
    Str is;
    unsigned n = t->n_keys;
    do {
        Str suffix = arena_printf(o->arena, "_%u", n++);
        Str start = first_characters(name, MOST_CHARACTERS - suffix.len);
        is = arena_printf(o->arena, STR_FMT STR_FMT, STR_ARG(start), STR_ARG(suffix));
    } while (has_name(t, is));
    return is;
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
        for (uint32_t k = 0; named && k < to->n_keys; k++)
            if (same_key(o->c, was, &to->keys[k])) named = false; /* it is still there */
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
        bool same_name = has_name(t, k->name);
        bool was_there = false; /* the same key under a renamed column */
        for (uint32_t x = 0; x < from->n_keys; x++)
            was_there |= same_key(o->c, &from->keys[x], k);
        if (same_name && was_there) continue;
        if (!key_refused(o, k, err)) return false;
        if (same_name) key.name = free_name(o, t, k->name);
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

/* Are there rows of the target in it that stay? */
static bool judges(const OntoChange *c)
{
    bool stay = !c->drop && !c->from->gone && !c->beside && !c->begun;
    for (Str rows = c->rows; rows.len;)
        stay &= !str_eq(str_split(&rows, ';'), STR("truncate"));
    return stay;
}

bool schema_onto(const TableSchema *live, const OntoChange *c, Arena *arena, EmitChange *out, Err *err)
{
    uint32_t most = live->n_columns + c->to->schema->n_columns + 1;
    Onto o = {.live = live, .c = c, .arena = arena, .to = arena_new(arena, TableSchema), .judges = judges(c)};
    *o.to = *live;
    o.to->arena = (Arena){0};
    o.to->n_columns = 0;
    o.to->columns = arena_array(arena, ColumnDef, most);
    o.columns = arena_array(arena, uint32_t, most);
    o.fills = arena_array(arena, FillKind, most);
    o.fill_texts = arena_array(arena, Str, most);
    *out = (EmitChange){.from = live, .rows = c->rows, .drop = c->drop};
    if (!keep_columns(&o, err) || !add_columns(&o, err)) return false;
    if (!change_keys(&o, err)) return false;
    change_table(&o);
    out->to = o.to;
    out->columns = o.columns;
    out->fills = o.fills;
    out->fill_texts = o.fill_texts;
    return true;
}
