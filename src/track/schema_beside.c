#include "track/schema_beside.h"
#include "ddl/expr.h"
#include "model/binding.h"
#include "track/column.h"
#include "track/family.h"
#include "base/poison.h"

#define LATE_PREFIX "sm_late_"

/* -- keys by their columns -- */

/* Are the columns of key b of t those of key a of s, by name? */
static bool same_names(const TableSchema *s, const KeyDef *a, const TableSchema *t, const KeyDef *b)
{
    bool same = a->n_parts == b->n_parts;
    for (uint32_t i = 0; same && i < a->n_parts; i++) {
        uint32_t x = a->parts[i].column, y = b->parts[i].column;
        same = x != NO_COLUMN && y != NO_COLUMN && str_ieq(s->columns[x].name, t->columns[y].name);
    }
    return same;
}

/* Has s a key over the columns of key k of t, unique or not? */
static bool has_key(const TableSchema *s, const TableSchema *t, const KeyDef *k, bool unique)
{
    for (uint32_t i = 0; i < s->n_keys; i++)
        if (s->keys[i].unique == unique && same_names(s, &s->keys[i], t, k)) return true;
    return false;
}

static bool has_key_named(const TableSchema *s, Str name)
{
    for (uint32_t i = 0; i < s->n_keys; i++)
        if (str_ieq(s->keys[i].name, name)) return true;
    return false;
}

static Str free_name(const TableSchema *a, const TableSchema *b, const char *prefix, Arena *arena)
{
    for (unsigned n = 0;; n++) {
        Str name = arena_printf(arena, "%s%u", prefix, n);
        if (!has_key_named(a, name) && !has_key_named(b, name)) return name;
    }
}

/* Do values that differ differ after the change? exactly: they are compared and written as before. */
static bool stay_apart(const ColumnDef *was, const ColumnDef *is, bool exactly)
{
    CLEANUP(sb_done) StrBuf why = {0};
    if (!str_eq(was->collation, is->collation)) return false;
    return exactly ? str_eq(was->column_type, is->column_type) && (was->not_null || !is->not_null)
                   : family_fits(was, is, &why);
}

/* Is the column computed as before, of columns whose values are as before? */
static bool same_computation(const TableSchema *from, const ColumnDef *was, const TableSchema *to,
                             const ColumnDef *is, const uint32_t *columns)
{
    if (!was->generated || !is->generated) return was->generated == is->generated;
    bool same = column_same_generation(was, is) || column_stays_computed(from, was, to, is, columns);
    for (uint32_t i = 0; same && i < to->n_columns; i++) {
        const ColumnDef *base = columns[i] == NO_COLUMN ? NULL : &from->columns[columns[i]];
        if (!base)
            same = !ddl_expr_uses(is->generation_expr, to->columns[i].name);
        else if (ddl_expr_uses(was->generation_expr, base->name))
            same = stay_apart(base, &to->columns[i], true);
    }
    return same;
}

/* Is b of `to` key a of `from`, columns followed? exactly: its values are compared and written as before. */
static bool is_followed(const TableSchema *from, const KeyDef *a, const TableSchema *to, const KeyDef *b,
                        const uint32_t *columns, bool exactly)
{
    if (!a->unique || !b->unique || a->n_parts != b->n_parts) return false;
    for (uint32_t i = 0; i < a->n_parts; i++) {
        const KeyPart *x = &a->parts[i], *y = &b->parts[i];
        if (y->column == NO_COLUMN || x->column == NO_COLUMN || columns[y->column] != x->column ||
            x->prefix != y->prefix)
            return false;
        const ColumnDef *was = &from->columns[x->column], *is = &to->columns[y->column];
        if (!stay_apart(was, is, exactly) || !same_computation(from, was, to, is, columns)) return false;
    }
    return true;
}

static const KeyDef *followed(const TableSchema *from, const TableSchema *to, const KeyDef *k,
                              const uint32_t *columns, bool exactly)
{
    for (uint32_t i = 0; i < from->n_keys; i++)
        if (is_followed(from, &from->keys[i], to, k, columns, exactly)) return &from->keys[i];
    return NULL;
}

/* -- the tables beside -- */

/* Of its own columns alone, which the target has not. */
static bool is_own_key(const TableSchema *beside, const KeyDef *k, const TableSchema *target)
{
    bool own = k->n_parts > 0;
    for (uint32_t i = 0; i < k->n_parts; i++)
        own &= k->parts[i].column != NO_COLUMN &&
               schema_column(target, beside->columns[k->parts[i].column].name) == NO_COLUMN;
    return own;
}

static bool stands_for_unique(const TableSchema *beside, const KeyDef *k, const TableSchema *target)
{
    for (uint32_t i = 0; i < target->n_keys; i++)
        if (target->keys[i].unique && same_names(beside, k, target, &target->keys[i])) return true;
    return false;
}

/* The key of another table over s's columns of the same names. */
static KeyDef plain_key(const TableSchema *s, const TableSchema *other, const KeyDef *k, Str name,
                        Arena *arena)
{
    KeyDef out = *k;
    out.name = name;
    out.primary = out.unique = false;
    out.parts = arena_array(arena, KeyPart, k->n_parts + 1);
    for (uint32_t i = 0; i < k->n_parts; i++) {
        uint32_t at = k->parts[i].column;
        out.parts[i] = k->parts[i];
        if (at != NO_COLUMN) out.parts[i].column = schema_column(s, other->columns[at].name);
    }
    return out;
}

static void keys_beside(TableSchema *to, const TableSchema *live, const TableSchema *target, Arena *arena)
{
    KeyDef *keys = arena_array(arena, KeyDef, to->n_keys + target->n_keys + 1);
    TableSchema all = *to; /* names in use */
    uint32_t n = 0;
    for (uint32_t i = 0; i < to->n_keys; i++)
        if (is_own_key(to, &to->keys[i], target) || stands_for_unique(to, &to->keys[i], target))
            keys[n++] = to->keys[i];
    all.keys = keys;
    all.n_keys = n;
    for (uint32_t i = 0; i < target->n_keys; i++) {
        const KeyDef *k = &target->keys[i];
        if (!k->unique || has_key(&all, target, k, false)) continue;
        keys[n++] = plain_key(to, target, k, free_name(live, &all, "sm_key_", arena), arena);
        all.n_keys = n;
    }
    to->keys = keys;
    to->n_keys = n;
}

bool schema_beside_fits(const TableSchema *target, const TableSchema *beside, Err *err)
{
    for (uint32_t i = 0; i < target->n_columns; i++) {
        const ColumnDef *a = &target->columns[i];
        uint32_t at = schema_column(beside, a->name);
        const ColumnDef *b = at == NO_COLUMN ? NULL : &beside->columns[at];
        if (b && str_eq(a->column_type, b->column_type) && str_eq(a->collation, b->collation) &&
            a->generated == b->generated)
            continue;
        return err_set_remedy(err, ERR_TRACK_TARGET,
                              "change the two tables beside the target (sm_parked names the first) so that "
                              "they have the target's columns, with the same types and collations",
                              "target " STR_FMT "." STR_FMT ": column " STR_FMT " is not as in " STR_FMT
                              "." STR_FMT ", beside it",
                              STR_ARG(target->name.schema), STR_ARG(target->name.table), STR_ARG(a->name),
                              STR_ARG(beside->name.schema), STR_ARG(beside->name.table));
    }
    return true;
}

static Version without_keys(const Version *v, Arena *arena)
{
    TableSchema *s = arena_new(arena, TableSchema);
    Version out = *v;
    *s = *v->schema;
    s->arena = (Arena){0};
    s->keys = NULL;
    s->n_keys = 0;
    out.schema = s;
    return out;
}

/* What happens to all rows; of partitions the tables beside the target have none. */
static Str rows_of_all(Str rows, Arena *arena)
{
    Str all = {0};
    while (rows.len) {
        Str what = str_split(&rows, ';');
        bool part = str_starts(what, STR("drop partition ")) || str_starts(what, STR("truncate partition "));
        if (!part) all = arena_printf(arena, STR_FMT STR_FMT ";", STR_ARG(all), STR_ARG(what));
    }
    return all;
}

bool schema_beside(const TableSchema *live, const OntoChange *c, const TableSchema *target, Arena *arena,
                   EmitChange *out, Err *err)
{
    OntoChange change = *c;
    Version from = without_keys(c->from, arena), to = without_keys(c->to, arena);
    change.from = &from;
    change.to = &to;
    change.keyed = false;
    change.beside = true;
    change.rows = rows_of_all(c->rows, arena);
    if (!schema_onto(live, &change, arena, out, err)) return false;
    TableSchema *s = arena_new(arena, TableSchema);
    *s = *out->to;
    s->columns = arena_array(arena, ColumnDef, s->n_columns + 1);
    memcpy(s->columns, out->to->columns, s->n_columns * sizeof *s->columns);
    for (uint32_t i = 0; i < s->n_columns; i++)
        s->columns[i].auto_increment = false; /* nothing counts there */
    keys_beside(s, live, target, arena);
    out->to = s;
    return schema_beside_fits(target, s, err);
}

/* -- unique keys that come later -- */

static bool is_late_name(Str name)
{
    return str_starts(name, STR(LATE_PREFIX));
}

/* Another index over its columns is none that a key is made of. */
static bool has_late_key(const TableSchema *s, const TableSchema *t, const KeyDef *k)
{
    for (uint32_t i = 0; i < s->n_keys; i++)
        if (is_late_name(s->keys[i].name) && same_names(s, &s->keys[i], t, k)) return true;
    return false;
}

/* Was it there, so that the server may be asked to change it where it stands? */
static bool comes_now(const EmitChange *c, const KeyDef *k)
{
    if (k->primary || followed(c->from, c->to, k, c->columns, false)) return true;
    if (schema_primary(c->from)) return false;
    for (uint32_t i = 0; i < c->from->n_keys; i++) { /* it may be the key that finds rows */
        const KeyDef *was = &c->from->keys[i];
        bool same = was->unique && was->n_parts == k->n_parts;
        for (uint32_t p = 0; same && p < k->n_parts; p++)
            same = k->parts[p].column != NO_COLUMN && c->columns[k->parts[p].column] == was->parts[p].column;
        if (same) return true;
    }
    return false;
}

/* Is the index in the place of a key that is to come? Else an earlier change left it behind. */
static bool stands_for_late(const EmitChange *c, const KeyDef *index)
{
    for (uint32_t i = 0; i < c->to->n_keys; i++) {
        const KeyDef *k = &c->to->keys[i];
        if (k->unique && !comes_now(c, k) && same_names(c->to, index, c->to, k)) return true;
    }
    return false;
}

bool schema_keys_later(const EmitChange *c, Arena *arena, EmitChange *first)
{
    TableSchema *to = arena_new(arena, TableSchema);
    bool any = false, stale = false;
    *first = *c;
    *to = *c->to;
    to->arena = (Arena){0};
    to->keys = arena_array(arena, KeyDef, c->to->n_keys + 1);
    to->n_keys = 0;
    for (uint32_t i = 0; i < c->to->n_keys; i++) {
        const KeyDef *k = &c->to->keys[i];
        bool late = k->unique && !comes_now(c, k), left = is_late_name(k->name) && !stands_for_late(c, k);
        any |= late;
        stale |= left;
        if (!late && !left) to->keys[to->n_keys++] = *k;
    }
    if (stale) first->to = to;
    if (!any) return false;
    for (uint32_t i = 0; i < c->to->n_keys; i++) {
        const KeyDef *k = &c->to->keys[i];
        if (!k->unique || comes_now(c, k) || has_late_key(to, c->to, k)) continue;
        to->keys[to->n_keys] = plain_key(to, c->to, k, free_name(c->from, to, LATE_PREFIX, arena), arena);
        to->n_keys++;
    }
    first->to = to;
    return true;
}

void schema_keys_now(const TableSchema *from, const TableSchema *to, Arena *arena, EmitChange *out)
{
    TableSchema *s = arena_new(arena, TableSchema);
    uint32_t *columns = arena_array(arena, uint32_t, from->n_columns + 1);
    *s = *from;
    s->arena = (Arena){0};
    s->keys = arena_array(arena, KeyDef, from->n_keys + to->n_keys + 1);
    s->n_keys = 0;
    for (uint32_t i = 0; i < from->n_columns; i++)
        columns[i] = i;
    for (uint32_t i = 0; i < from->n_keys; i++)
        if (!is_late_name(from->keys[i].name)) s->keys[s->n_keys++] = from->keys[i];
    for (uint32_t i = 0; i < to->n_keys; i++) {
        if (!to->keys[i].unique || has_key(from, to, &to->keys[i], true)) continue;
        KeyDef k = plain_key(s, to, &to->keys[i], to->keys[i].name, arena);
        k.unique = true;
        s->keys[s->n_keys++] = k;
    }
    *out = (EmitChange){.from = from, .to = s, .columns = columns};
}

void schema_late_as_unique(TableSchema *s)
{
    for (uint32_t i = 0; i < s->n_keys; i++)
        if (is_late_name(s->keys[i].name)) s->keys[i].unique = true;
}

/* -- what a change does to keys -- */

bool schema_keys_change(const TableSchema *from, const TableSchema *to, const uint32_t *columns, Str column)
{
    uint32_t unique = 0, kept = 0;
    for (uint32_t i = 0; i < from->n_keys; i++)
        unique += from->keys[i].unique;
    for (uint32_t i = 0; i < to->n_keys; i++) {
        if (!to->keys[i].unique) continue;
        if (!followed(from, to, &to->keys[i], columns, true)) return true;
        kept++;
    }
    if (kept != unique) return true;
    uint32_t is = column.len ? schema_column(to, column) : NO_COLUMN;
    uint32_t was = is == NO_COLUMN ? NO_COLUMN : columns[is];
    return was != NO_COLUMN && !str_eq(from->columns[was].column_type, to->columns[is].column_type);
}

bool schema_reuses_names(const TableSchema *from, const TableSchema *to, const uint32_t *columns)
{
    for (uint32_t i = 0; i < to->n_columns; i++) {
        uint32_t bearer = schema_column(from, to->columns[i].name);
        if (bearer != NO_COLUMN && columns[i] != bearer) return true;
    }
    return false;
}

static bool finds_rows(const TableSchema *s, const KeyDef *k)
{
    bool all = k->unique && k->n_parts > 0;
    for (uint32_t i = 0; i < k->n_parts; i++)
        all &= k->parts[i].column != NO_COLUMN && s->columns[k->parts[i].column].not_null &&
               !s->columns[k->parts[i].column].generated && !k->parts[i].prefix;
    return all;
}

static const KeyDef *row_key(const TableSchema *s)
{
    const KeyDef *primary = schema_primary(s);
    for (uint32_t i = 0; !primary && i < s->n_keys; i++)
        if (finds_rows(s, &s->keys[i])) return &s->keys[i];
    return primary;
}

bool schema_row_key_stays(const EmitChange *c, Str *was)
{
    const KeyDef *a = row_key(c->from), *b = row_key(c->to);
    *was = a ? a->name : (Str){0};
    if (!a || !b || a->n_parts != b->n_parts) return false;
    for (uint32_t i = 0; i < a->n_parts; i++) /* in any order */ {
        bool found = false;
        for (uint32_t k = 0; k < b->n_parts; k++)
            found |= c->columns[b->parts[k].column] == a->parts[i].column;
        if (!found) return false;
    }
    return true;
}
