/* Rows that were there when a column was added: which of a member's hold another value in the target than in
 * its own table, and can get their own by a statement. Pure.
 *
 * A member's rows in the target are, while work after an acceptance runs, all of versions up to its gate, and
 * all of those are there: nothing later is written before the work is done (plan.c). A column that one of the
 * member's own steps added behind the gate holds, in its table as it was at that step, one value in all of
 * these rows: the fill. What changed them later comes behind the work, with values of its own. */
#include "base/check.h"
#include "lock/lock_impl.h"
#include "track/column.h"
#include "track/family.h"
#include "track/version_pool.h"
#include "base/poison.h"

typedef enum Came {
    CAME_BEFORE, /* it was there at the earlier node */
    CAME_BY_STEP,
    CAME_BY_DECISION, /* the member's table has no such column */
} Came;

typedef struct Added {
    const ColumnOrigin *origin; /* as the member's own step added it */
    bool as_is;                 /* no conversion since then that the fill would have to follow */
} Added;

static bool keeps_fill(const ColumnDef *was, const ColumnDef *is)
{
    bool integers = family_of(was) == FAMILY_INT && family_of(is) == FAMILY_INT;
    return column_same_type(was, is) ? str_eq(was->charset, is->charset) : integers;
}

/* How the column of node `at` came about behind node `from`. */
static Came came_about(const LockMember *m, int32_t from, int32_t at, uint32_t column, Added *a)
{
    *a = (Added){.as_is = true};
    for (int32_t i = at; i > from; i--)
        for (uint32_t k = m->nodes[i].n_moves; k-- > 0;) {
            const VersionStep *s = m->nodes[i].moves[k];
            uint32_t was = s->from[column];
            bool own = m->nodes[i].step && k == 0;
            if (was == NO_COLUMN) {
                a->origin = &s->after->origins[column];
                return own ? CAME_BY_STEP : CAME_BY_DECISION;
            }
            a->as_is &= keeps_fill(&s->before->schema->columns[was], &s->after->schema->columns[column]);
            if (own) a->as_is &= s->before->origins[was].lossy.len == s->after->origins[column].lossy.len;
            column = was;
        }
    return CAME_BEFORE;
}

static bool can_set(const Added *a)
{
    return a->as_is && (a->origin->fill == FILL_NULL || a->origin->fill == FILL_VALUE);
}

/* Will rows of this member hold its values when the others take it as the common one? */
static bool is_right(const Lock *l, LockPlace p, uint32_t column)
{
    const LockMember *m = p.m;
    Added a;
    if (p.at <= m->accepted) return true;
    if (lock_work_after(m, p.at)) return true;
    Came came = came_about(m, m->accepted, p.at, column, &a);
    if (came == CAME_BEFORE) return true;
    if (came == CAME_BY_STEP && !a.as_is) return false;
    VersionView own = lock_view(l, m, (uint32_t)p.at), target = version_view(l->target);
    uint32_t at = schema_column(l->target->schema, own.version->schema->columns[column].name);
    return at == NO_COLUMN || version_same_column(&own, column, &target, at);
}

static const char *column_no(const Lock *l, LockPlace p, LockPlace as, uint32_t column, uint32_t at)
{
    const ColumnOrigin *other = &as.m->nodes[as.at].version->origins[at];
    Added a;
    Came came = came_about(p.m, p.m->accepted, p.at, column, &a);
    if (other->kind == ORIGIN_ADDED && (other->fill == FILL_VOLATILE || other->fill == FILL_COMPUTED))
        return "nobody can compute what the other shard's rows hold: accept, or copy the tables anew";
    if (came == CAME_BEFORE)
        return "its rows in the target hold their own values, and those of another shard do not: refill "
               "that one, or accept";
    if (came == CAME_BY_DECISION) return "it has no such column, by a decision: accept";
    if (a.origin->fill == FILL_VOLATILE || a.origin->fill == FILL_COMPUTED)
        return "nobody can compute its values again: accept, or copy the table anew";
    if (!a.as_is)
        return "the column was converted since it was added, nobody can compute its values again: accept, or "
               "copy the table anew";
    if (!is_right(l, as, at)) return "the rows of the other shard do not hold their values: refill that one";
    return NULL;
}

static VersionView view_of(const Lock *l, LockPlace p)
{
    return lock_view(l, p.m, (uint32_t)p.at);
}

const char *lock_cannot_refill(const Lock *l, LockPlace p, LockPlace as)
{
    VersionView own = view_of(l, p), other = view_of(l, as);
    if (p.m->accepted == LOCK_OUTSIDE) return "the shard's table has not been let in yet";
    if (!str_eq(own.version->rows, other.version->rows))
        return "rows went away without row events: accept, or copy the table anew";
    for (uint32_t i = 0; i < own.version->schema->n_columns; i++) {
        Str name = own.version->schema->columns[i].name;
        uint32_t at = schema_column(other.version->schema, name);
        if (at == NO_COLUMN) return "the definitions differ";
        bool holds_other = version_is_lost(&own, name) && !version_is_lost(&other, name);
        if (version_same_origin(&own, i, &other, at) && !holds_other) continue;
        const char *why = column_no(l, p, as, i, at);
        if (why) return why;
    }
    return NULL;
}

bool lock_knows_values(const VersionView *v)
{
    return version_agreement(v, v, NULL) >= AGREE_ROWS;
}

/* The version with the keys of another one, whose columns it has: an index that its table has, or lacks, is
 * told of it from then on, too. */
static const Version *with_keys_of(VersionPool *pool, const Version *v, const TableSchema *own)
{
    Arena arena = {0};
    Version out = *v;
    TableSchema s = *v->schema;
    s.n_keys = own->n_keys;
    s.keys = arena_array(&arena, KeyDef, own->n_keys + 1);
    for (uint32_t i = 0; i < own->n_keys; i++) {
        KeyDef *k = &s.keys[i];
        *k = own->keys[i];
        k->parts = arena_array(&arena, KeyPart, k->n_parts + 1);
        for (uint32_t j = 0; j < k->n_parts; j++) {
            uint32_t column = own->keys[i].parts[j].column;
            k->parts[j] = own->keys[i].parts[j];
            if (column == NO_COLUMN) continue;
            k->parts[j].column = schema_column(v->schema, own->columns[column].name);
            CHECK(k->parts[j].column != NO_COLUMN, "versions with equal definitions have the same columns");
        }
    }
    out.schema = version_schema(pool, &s);
    const Version *found = version_intern(pool, &out);
    arena_done(&arena);
    return found;
}

void lock_take_as(Lock *l, LockPlace p, LockPlace as, LockWork work)
{
    LockNode *n = &p.m->nodes[p.at];
    n->model = with_keys_of(l->pool, as.m->nodes[as.at].version, n->version->schema);
    if (n->after != LOCK_WORK_RECOPY) n->after = work;
    if (p.at == 0) n->version = version_adopt(l->pool, n->version, n->model)->after; /* it is outside */
    lock_recompute(l, p.m, (uint32_t)p.at);
    uint32_t kept = 0; /* what it added again counts as what the others have */
    for (uint32_t i = 0; i < p.m->n_lost; i++)
        if (schema_column(n->version->schema, p.m->lost[i]) == NO_COLUMN) p.m->lost[kept++] = p.m->lost[i];
    p.m->n_lost = kept;
}

/* -- shards that keep their own fills -- */

static bool is_decided(LockPlace p)
{
    return p.m->nodes[p.at].model || p.m->nodes[p.at].after;
}

typedef enum Keeps { KEEPS_SAME, KEEPS_OWN, KEEPS_NOT } Keeps;

/* When `as` counts for all: what becomes of this one? */
static Keeps keeps(const Lock *l, LockPlace p, LockPlace as)
{
    VersionView own = view_of(l, p), other = view_of(l, as);
    Agreement a = version_agreement(&own, &other, NULL);
    if (a >= AGREE_ROWS) return KEEPS_SAME;
    bool held = p.at > p.m->accepted;
    return a == AGREE_DATA && held && !is_decided(p) && !lock_cannot_refill(l, p, as) ? KEEPS_OWN : KEEPS_NOT;
}

/* Where a member can come to now: what waits behind that for work or for the operator waits on. */
static LockPlace place_of(Lock *l, uint32_t i)
{
    return (LockPlace){&l->members[i], lock_limit(l, &l->members[i])};
}

/* Equal definitions, other data. */
static bool data_differs(Lock *l)
{
    bool differs = false;
    uint32_t witness = lock_witness(l);
    for (uint32_t i = 0; i < l->n_members; i++) {
        if (place_of(l, i).at < 0 || place_of(l, witness).at < 0) return false;
        VersionView other = view_of(l, place_of(l, witness)), own = view_of(l, place_of(l, i));
        Agreement a = i == witness ? AGREE_WHOLLY : version_agreement(&other, &own, NULL);
        if (a < AGREE_DATA) return false;
        differs |= a < AGREE_ROWS;
    }
    return differs;
}

bool lock_refill_own(Lock *l)
{
    if (!data_differs(l)) return false;
    for (uint32_t r = 0; r < l->n_members; r++) {
        LockPlace as = place_of(l, r);
        bool all = true, any = false;
        for (uint32_t i = 0; all && i < l->n_members; i++)
            all = i == r || keeps(l, place_of(l, i), as) != KEEPS_NOT;
        for (uint32_t i = 0; all && i < l->n_members; i++) {
            if (i == r || keeps(l, place_of(l, i), as) != KEEPS_OWN) continue;
            lock_take_as(l, place_of(l, i), as, LOCK_WORK_REFILL);
            any = true;
        }
        if (any) return true;
    }
    return false;
}

/* -- shard tables that come later -- */

/* Had its table such a column up to that node, or do any of its rows from there bring a value of their own
 * for it under another name? */
static bool had_ever(const Lock *l, const LockMember *m, int32_t to, Str column, uint32_t at)
{
    bool had = false;
    for (int32_t i = 0; !had && i <= to; i++) {
        Arena arena = {0};
        RowsOf rows = lock_rows_of(m, (uint32_t)i, (uint32_t)m->accepted, &arena);
        RowMap map;
        had = schema_column(m->nodes[i].version->schema, column) != NO_COLUMN ||
              !row_map(&rows, l->target, &arena, &map, NULL) || map.feeds[at].kind != FEED_FILL;
        arena_done(&arena);
    }
    return had;
}

/* Do the member's accepted rows get, in the target, what its own step filled into this column? */
static bool was_filled(const Lock *l, const LockMember *m, Str column, const ColumnOrigin *own)
{
    Arena arena = {0};
    Err ignored = {0}; /* rows that have no place get nothing */
    RowMap map;
    uint32_t at = schema_column(l->target->schema, column);
    bool filled = at != NO_COLUMN && !m->n_lost && !had_ever(l, m, m->accepted, column, at) &&
                  lock_row_map(l, m->id, m->nodes[m->accepted].number, &arena, &map, &ignored) &&
                  map.feeds[at].kind == FEED_FILL && map.feeds[at].fill == own->fill &&
                  (own->fill == FILL_NULL || str_eq(map.feeds[at].fill_text, own->fill_text));
    err_clear(&ignored);
    arena_done(&arena);
    return filled;
}

/* Do all rows of the member hold what its table has, though the columns came about otherwise than in the
 * other? Those that are not written yet bring their own values, or get what their own step filled. Those that
 * are have what the target gives to rows that lack a column; so do those of a member that was there at the
 * start and is outside. */
static bool holds_own(const Lock *l, LockPlace p, const VersionView *other)
{
    VersionView own = view_of(l, p);
    bool outside = p.m->accepted == LOCK_OUTSIDE, none = outside && p.m->fresh;
    if (!str_eq(own.version->rows, other->version->rows)) return false;
    for (uint32_t i = 0; i < own.version->schema->n_columns; i++) {
        Added a;
        Str name = own.version->schema->columns[i].name;
        uint32_t at = schema_column(other->version->schema, name);
        if (at == NO_COLUMN || version_same_origin(&own, i, other, at)) continue;
        Came came = came_about(p.m, MAX(p.m->accepted, 0), p.at, i, &a);
        bool known = came == CAME_BY_STEP ? can_set(&a) : came == CAME_BEFORE && a.as_is && none;
        if (!known || (!none && (outside || !was_filled(l, p.m, name, a.origin)))) return false;
    }
    return true;
}

/* Whose version the member counts as at p: of all others inside, which agree with it in the definition. NULL:
 * it does not, or need not, for the data agree, too. */
static LockMember *counts_as(Lock *l, LockPlace p)
{
    LockMember *found = NULL;
    VersionView own = view_of(l, p);
    if (is_decided(p)) return NULL;
    for (uint32_t i = 0; i < l->n_members; i++) {
        LockMember *m = &l->members[i];
        if (m == p.m || m->accepted == LOCK_OUTSIDE) continue;
        VersionView other = lock_view(l, m, (uint32_t)m->accepted);
        Agreement a = version_agreement(&own, &other, NULL);
        if (a < AGREE_DATA || !holds_own(l, p, &other)) return NULL;
        if (a == AGREE_DATA && !found) found = m;
    }
    return found;
}

bool lock_let_in(Lock *l)
{
    for (uint32_t i = 0; i < l->n_members; i++) {
        LockPlace p = place_of(l, i);
        for (; p.at > p.m->accepted; p.at--) {
            LockMember *as = counts_as(l, p);
            if (!as) continue;
            lock_take_as(l, p, (LockPlace){as, as->accepted}, LOCK_WORK_NONE);
            return true;
        }
    }
    return false;
}

/* -- the work -- */

/* Do the rows hold the fill anyway: the target's column took it, and none of them ever held another value
 * there? A history that does not go back to the beginning does not tell of columns given up before: then what
 * can be set is set. What cannot be was not given up while the target kept it: lock_cannot_refill refuses
 * such a column by the list of what the member lost, which outlives its history. */
static bool has_it(const Lock *l, const LockMember *m, const Added *a, uint32_t at)
{
    const ColumnOrigin *is = &l->target->origins[at], *own = a->origin;
    bool known = m->nodes[0].number == 0 || !can_set(a);
    return known && is->kind == ORIGIN_ADDED && is->fill == own->fill &&
           str_eq(is->fill_text, own->fill_text) &&
           !had_ever(l, m, m->gate, l->target->schema->columns[at].name, at);
}

bool lock_fills(const Lock *l, uint32_t member, Arena *arena, BindFill **out, uint32_t *n, Err *err)
{
    const LockMember *m = lock_find(l, member);
    *n = 0;
    *out = NULL;
    if (!m || m->gate == m->accepted)
        return err_set(err, ERR_LOCK_EVENT, STR_FMT ": no work on rows is owed", STR_ARG(l->name));
    const TableSchema *s = m->nodes[m->accepted].version->schema;
    *out = arena_array(arena, BindFill, s->n_columns + 1);
    for (uint32_t i = 0; i < s->n_columns; i++) {
        Added a;
        uint32_t at = schema_column(l->target->schema, s->columns[i].name);
        if (came_about(m, m->gate, m->accepted, i, &a) != CAME_BY_STEP || s->columns[i].generated) continue;
        if (at == NO_COLUMN || has_it(l, m, &a, at)) continue;
        if (!can_set(&a))
            return err_set_remedy(err, ERR_NOT_SUPPORTED,
                                  "set the column in the shard's rows of the target by hand as the shard has "
                                  "it, then detach the shard table and copy it anew",
                                  STR_FMT ": " STR_FMT ": column `" STR_FMT
                                          "` cannot be refilled: its values cannot be computed again",
                                  STR_ARG(l->name), STR_ARG(m->name), STR_ARG(s->columns[i].name));
        bool null = a.origin->fill == FILL_NULL;
        (*out)[(*n)++] = (BindFill){arena_str(arena, l->target->schema->columns[at].name),
                                    null ? (Str){0} : arena_str(arena, a.origin->fill_text)};
    }
    return true;
}
