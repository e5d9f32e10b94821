/* The least target that holds the rows of all members, as far as each is accepted. Pure. */
#include <stdlib.h>
#include "base/check.h"
#include "lock/lock_impl.h"
#include "track/column.h"
#include "track/version_pool.h"
#include "base/poison.h"

typedef struct Try {
    const Lock *l;
    const int32_t *accept;
    Arena arena;
    const Version *to;
    bool *replaces;
    uint32_t n_joined; /* columns before widening */
} Try;

static bool heads_join(Try *t, Clashes *why)
{
    VersionView *heads = arena_array(&t->arena, VersionView, t->l->n_members + 1);
    uint32_t n = 0;
    for (uint32_t i = 0; i < t->l->n_members; i++)
        if (t->accept[i] != LOCK_OUTSIDE)
            heads[n++] = lock_view(t->l, &t->l->members[i], (uint32_t)t->accept[i]);
    for (uint32_t i = 1; t->l->opts.broken == LOCK_RULE_LINEAGE && i < n; i++)
        if (version_agreement(&heads[i], &heads[0], NULL) == AGREE_DATA) heads[i] = heads[0];
    if (!n) {
        t->to = t->l->target;
        t->replaces = mem_zalloc(t->to->schema->n_columns + 1);
        t->n_joined = t->to->schema->n_columns;
        return true;
    }
    JoinOpts opts = {.base = t->l->base, .target = t->l->target};
    if (!join_versions(t->l->pool, heads, n, &opts, &t->to, &t->replaces, why)) return false;
    t->n_joined = t->to->schema->n_columns;
    return true;
}

/* Is a row of node i on its way that the explorer's broken rules do not hide? */
static bool is_live(const Lock *l, const LockMember *m, uint32_t i)
{
    bool accepted = (int32_t)i <= m->accepted;
    return l->opts.broken != (accepted ? LOCK_RULE_CARRIED : LOCK_RULE_WIDEN);
}

/* Rows on their way that still carry the old column of a name that becomes another column: not yet. */
static bool replacing_carried(const Try *t, const LockMember *m, int32_t accept)
{
    for (uint32_t c = 0; c < t->n_joined; c++) {
        if (!t->replaces[c]) continue;
        Str name = t->to->schema->columns[c].name;
        uint32_t old = schema_column(t->l->target->schema, name);
        for (uint32_t i = lock_low(m, accept); (int32_t)i < accept; i++) {
            if ((int32_t)i <= m->accepted && is_live(t->l, m, i) && old != NO_COLUMN &&
                join_same_column(m->nodes[i].version, t->l->target, old) != NO_COLUMN)
                return true;
        }
    }
    return false;
}

/* -- conversions that change values -- */

static const ColumnDef *column_at(const LockMember *m, int32_t node, uint32_t column)
{
    return &m->nodes[node].version->schema->columns[column];
}

/* A conversion that changed values has to happen to the target's rows too: the target must have been of the
 * type it led to. So nobody goes past one to another type before the target has followed it. */
static bool skips_conversion(const Try *t, const LockMember *m, int32_t accept, uint32_t column)
{
    const Version *v = m->nodes[accept].version;
    const ColumnDef *last = &v->schema->columns[column];
    uint32_t conversions = 0, at = column;
    if (!v->origins[column].lossy.len) return false;
    for (int32_t i = accept; i > MAX(m->accepted, 0); i--) {
        size_t length = m->nodes[i].version->origins[at].lossy.len;
        uint32_t now = at;
        for (uint32_t k = m->nodes[i].n_moves; at != NO_COLUMN && k-- > 0;)
            at = m->nodes[i].moves[k]->from[at];
        if (at == NO_COLUMN) return false; /* added since: the target has no rows of it */
        if (m->nodes[i - 1].version->origins[at].lossy.len == length) continue;
        if (++conversions > 1 || !column_same_type(last, column_at(m, i, now))) return true;
    }
    uint32_t joined = schema_column(t->to->schema, last->name); /* the others may have gone on from there */
    if (conversions && (joined == NO_COLUMN || !column_same_type(&t->to->schema->columns[joined], last)))
        return true;
    if (m->accepted == LOCK_OUTSIDE || !m->nodes[m->accepted].version->origins[at].lossy.len) return false;
    const ColumnDef *was = column_at(m, m->accepted, at);
    uint32_t old = schema_column(t->l->target->schema, was->name);
    bool followed = old != NO_COLUMN && (column_same_type(&t->l->target->schema->columns[old], was) ||
                                         str_starts(t->l->target->origins[old].lossy,
                                                    m->nodes[m->accepted].version->origins[at].lossy));
    return !followed && !column_same_type(was, last);
}

LockWork lock_work_after(const LockMember *m, int32_t to)
{
    LockWork work = LOCK_WORK_NONE; /* rows that come again need no other work */
    for (int32_t i = m->accepted + 1; i <= to && work != LOCK_WORK_RECOPY; i++)
        if (m->nodes[i].after) work = m->nodes[i].after;
    return work;
}

/* Its rows of before are not asked for: they come again, from its table. */
static bool comes_again(const LockMember *m, int32_t accept)
{
    return lock_work_after(m, accept) == LOCK_WORK_RECOPY;
}

static bool conversions_followed(const Try *t)
{
    for (uint32_t k = 0; t->l->target && k < t->l->n_members; k++) {
        const LockMember *m = &t->l->members[k];
        if (t->accept[k] == m->accepted || comes_again(m, t->accept[k])) continue;
        for (uint32_t c = 0; c < m->nodes[t->accept[k]].version->schema->n_columns; c++)
            if (skips_conversion(t, m, t->accept[k], c)) return false;
    }
    return true;
}

static bool rows_fit(Try *t, bool widen)
{
    for (uint32_t k = 0; k < t->l->n_members; k++) {
        const LockMember *m = &t->l->members[k];
        int32_t accept = t->accept[k];
        if (accept == LOCK_OUTSIDE) continue;
        if (replacing_carried(t, m, accept)) return false;
        for (uint32_t i = lock_low(m, accept); (int32_t)i <= accept; i++) {
            if ((int32_t)i < accept && !is_live(t->l, m, i)) continue;
            RowsOf rows = lock_rows_of(m, i, (uint32_t)accept, &t->arena);
            RowMap map;
            /* the last one's own rows fit by the join, but for what a decision left out */
            const Version *v = m->nodes[i].version;
            bool other = (int32_t)i < accept || v->schema != v->shape;
            if (widen && other && !join_widen(t->l->pool, &t->to, &rows, t->l->target)) return false;
            if (!widen && !row_map(&rows, t->to, &t->arena, &map, NULL)) return false;
        }
    }
    return true;
}

/* What a join was found to be. */
typedef struct Found {
    const Version *to; /* NULL: none */
    const bool *replaces;
} Found;

static void list_lost(StrBuf *key, char mark, const Str *lost, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++)
        sb_printf(key, "%c" STR_FMT, mark, STR_ARG(lost[i]));
}

/* All that a join depends on, by what the pool has numbered. */
static void join_key(const Lock *l, const int32_t *accept, StrBuf *key)
{
    sb_printf(key, "%u,%u,%d", l->base ? l->base->id : 0, l->target ? l->target->id : 0, l->opts.broken);
    for (uint32_t k = 0; k < l->n_members; k++) {
        const LockMember *m = &l->members[k];
        sb_printf(key, "|%d,%d%s", accept[k], m->accepted, comes_again(m, accept[k]) ? "r" : "");
        if (accept[k] == LOCK_OUTSIDE) continue;
        uint32_t low = lock_low(m, accept[k]), from = MIN(low, (uint32_t)MAX(m->accepted, 0));
        sb_printf(key, ":%u", low - from);
        for (uint32_t i = from; (int32_t)i <= accept[k]; i++) {
            sb_printf(key, ",%u", m->nodes[i].version->id);
            sb_add(key, m->nodes[i].moves, m->nodes[i].n_moves * sizeof *m->nodes[i].moves);
        }
        VersionView head = lock_view(l, m, (uint32_t)accept[k]);
        if (head.no_rows) sb_ch(key, '0');
        list_lost(key, '-', head.lost, head.n_lost);
        list_lost(key, '~', m->lost, m->n_lost);
    }
}

static void join_remember(VersionPool *p, Str key, const Try *t, bool ok)
{
    Found *f = arena_new(&p->arena, Found);
    if (ok) {
        bool *replaces = arena_array(&p->arena, bool, t->to->schema->n_columns + 1);
        memcpy(replaces, t->replaces, t->n_joined);
        *f = (Found){t->to, replaces};
    }
    map_put(&p->memo, key, f);
}

/* Where the member's column stood in what it has accepted, by name; empty: it had none. */
static Str former_name(const LockMember *m, int32_t accept, Str name)
{
    if (accept == LOCK_OUTSIDE) return (Str){0};
    uint32_t column = schema_column(m->nodes[accept].version->schema, name);
    if (m->accepted == LOCK_OUTSIDE) return column == NO_COLUMN ? (Str){0} : name;
    return lock_name_at(m, m->accepted, accept, column);
}

uint32_t lock_predecessor(const Lock *l, const int32_t *accept, Str name, bool replaced)
{
    for (uint32_t i = 0; i < l->n_members; i++) {
        Str was = former_name(&l->members[i], accept[i], name);
        uint32_t at = was.len ? schema_column(l->target->schema, was) : NO_COLUMN;
        if (at != NO_COLUMN && !(replaced && str_ieq(was, name))) return at;
    }
    return replaced ? NO_COLUMN : schema_column(l->target->schema, name);
}

/* Does each column of the target become one column at most? */
static bool becomes_one(const Try *t)
{
    uint32_t n = t->to->schema->n_columns;
    bool *taken = mem_zalloc(t->l->target ? t->l->target->schema->n_columns + 1 : 1), ok = true;
    for (uint32_t i = 0; t->l->target && ok && i < n; i++) {
        bool replaced = i < t->n_joined && t->replaces[i];
        uint32_t at = lock_predecessor(t->l, t->accept, t->to->schema->columns[i].name, replaced);
        if (at == NO_COLUMN) continue;
        ok = !taken[at];
        taken[at] = true;
    }
    free(taken);
    return ok;
}

/* Did the member bring values into the target's column of that name, and has given it up since? */
static bool gave_up(const LockMember *m, int32_t accept, Str was, Str now)
{
    if (accept == LOCK_OUTSIDE || schema_column(m->nodes[accept].version->schema, now) != NO_COLUMN)
        return false;
    for (uint32_t i = 0; i < m->n_lost; i++)
        if (str_ieq(m->lost[i], was)) return true;
    return m->accepted != LOCK_OUTSIDE &&
           schema_column(m->nodes[m->accepted].version->schema, was) != NO_COLUMN;
}

/* Have rows in the target, of those who are in, values in the column of that name? */
static bool had_before(const Try *t, Str name)
{
    bool had = false;
    for (uint32_t k = 0; k < t->l->n_members; k++)
        had |= t->l->members[k].accepted != LOCK_OUTSIDE &&
               former_name(&t->l->members[k], t->accept[k], name).len;
    return had;
}

/* Values that stand in the target though their shard has given the column up are nobody's, but the server
 * would refuse a narrower type for them; those of shards that have left count as rows do. A conversion that
 * shards ran goes on: it is theirs to change values. */
static bool holds_given_up(Try *t, const Version *heads)
{
    const Version *target = t->l->target;
    for (uint32_t i = 0; target && i < t->n_joined; i++) {
        Str name = t->to->schema->columns[i].name;
        uint32_t at = lock_predecessor(t->l, t->accept, name, t->replaces[i]);
        if (at == NO_COLUMN) continue;
        bool converts = column_same_type(&t->to->schema->columns[i], &heads->schema->columns[i]) &&
                        !str_eq(target->origins[at].lossy, t->to->origins[i].lossy);
        if (converts) continue;
        bool any = false, left = target->origins[at].left;
        for (uint32_t k = 0; k < t->l->n_members; k++)
            any |= gave_up(&t->l->members[k], t->accept[k], target->schema->columns[at].name, name);
        if ((!any && !left) || join_keep(t->l->pool, &t->to, i, &target->schema->columns[at])) continue;
        if (any) return false;
        if (!had_before(t, name)) t->replaces[i] = true; /* else it is seen to when the target is changed */
    }
    return true;
}

static bool anybody_has(const Try *t, Str name)
{
    bool any = false;
    for (uint32_t k = 0; k < t->l->n_members; k++)
        any |= t->accept[k] != LOCK_OUTSIDE &&
               schema_column(t->l->members[k].nodes[t->accept[k]].version->schema, name) != NO_COLUMN;
    return any;
}

Str lock_rows_since(const Lock *l, const Version *to)
{
    Str rows = to->rows, was = l->target->rows;
    if (was.len && str_starts(rows, was)) rows = (Str){rows.ptr + was.len, rows.len - was.len};
    return rows;
}

/* Do the target's rows go? */
static bool is_emptied(const Try *t)
{
    Str rows = lock_rows_since(t->l, t->to);
    bool all = t->to->gone;
    while (rows.len)
        all |= str_eq(str_split(&rows, ';'), STR("truncate"));
    return all;
}

/* Columns in which shards that have left have values: nobody else need have them. One whose name another
 * column takes is seen to when the target is changed. */
static void keep_left(Try *t)
{
    const Version *target = t->l->target;
    if (!target || target->gone || is_emptied(t)) return;
    uint32_t n = t->to->schema->n_columns;
    uint32_t *becomes = arena_array(&t->arena, uint32_t, target->schema->n_columns + 1);
    for (uint32_t i = 0; i < target->schema->n_columns; i++)
        becomes[i] = NO_COLUMN;
    for (uint32_t i = 0; i < n; i++) {
        bool replaced = i < t->n_joined && t->replaces[i];
        uint32_t at = lock_predecessor(t->l, t->accept, t->to->schema->columns[i].name, replaced);
        if (at != NO_COLUMN) becomes[at] = i;
    }
    for (uint32_t i = 0; i < target->schema->n_columns; i++) {
        if (!target->origins[i].left || becomes[i] != NO_COLUMN) continue;
        if (schema_column(t->to->schema, target->schema->columns[i].name) != NO_COLUMN) continue;
        becomes[i] = t->to->schema->n_columns;
        join_carry(t->l->pool, &t->to, target, i);
    }
    Version v = *t->to;
    ColumnOrigin *origins = arena_array(&t->arena, ColumnOrigin, v.schema->n_columns + 1);
    memcpy(origins, v.origins, v.schema->n_columns * sizeof *origins);
    for (uint32_t i = 0; i < target->schema->n_columns; i++) {
        uint32_t now = becomes[i];
        if (!target->origins[i].left || now == NO_COLUMN) continue;
        origins[now].left = true; /* what nobody has any more is converted by nobody */
        if (!anybody_has(t, v.schema->columns[now].name)) origins[now].lossy = (Str){0};
    }
    v.origins = origins;
    t->to = version_intern(t->l->pool, &v);
}

/* Without the last of the conversions. */
static Str unconverted(Str lossy)
{
    if (lossy.len) lossy.len--;
    while (lossy.len && lossy.ptr[lossy.len - 1] != ';')
        lossy.len--;
    return lossy;
}

/* A column that is wider than the join of the members', for rows on their way, has not been converted yet as
 * theirs have: that stays on record. It may have been for others: these rows have it still before them. */
static void keep_unconverted(Try *t, const Version *heads)
{
    const Version *target = t->l->target;
    Version v = *t->to;
    ColumnOrigin *origins = arena_array(&t->arena, ColumnOrigin, v.schema->n_columns + 1);
    memcpy(origins, v.origins, v.schema->n_columns * sizeof *origins);
    for (uint32_t i = 0; target && i < t->n_joined; i++) {
        const ColumnDef *c = &v.schema->columns[i];
        uint32_t at = lock_predecessor(t->l, t->accept, c->name, t->replaces[i]);
        if (at == NO_COLUMN || column_same_type(c, &heads->schema->columns[i])) continue;
        Str lossy = target->origins[at].lossy;
        origins[i].lossy = str_eq(lossy, heads->origins[i].lossy) ? unconverted(lossy) : lossy;
    }
    v.origins = origins;
    t->to = version_intern(t->l->pool, &v);
}

bool lock_join(const Lock *l, const int32_t *accept, const Version **out, bool **replaces, Clashes *why)
{
    StrBuf key = {0};
    join_key(l, accept, &key);
    const Found *f = map_get(&l->pool->memo, sb_view(&key));
    if (!f || (why && !f->to)) {
        Try t = {.l = l, .accept = accept};
        bool ok = heads_join(&t, why);
        const Version *heads = t.to;
        ok = ok && conversions_followed(&t) && rows_fit(&t, true) && holds_given_up(&t, heads);
        if (ok) keep_left(&t);
        ok = ok && rows_fit(&t, false) && becomes_one(&t);
        if (ok) keep_unconverted(&t, heads);
        join_remember(l->pool, sb_view(&key), &t, ok);
        free(t.replaces);
        arena_done(&t.arena);
        f = map_get(&l->pool->memo, sb_view(&key));
    }
    sb_done(&key);
    if (!f->to) return false;
    *out = f->to;
    *replaces = mem_zalloc(f->to->schema->n_columns + 1);
    memcpy(*replaces, f->replaces, f->to->schema->n_columns);
    return true;
}
