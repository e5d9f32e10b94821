#include <stdlib.h>
#include "base/check.h"
#include "lock/lock_impl.h"
#include "track/version_pool.h"
#include "base/poison.h"

LockMember *lock_find(const Lock *l, uint32_t id)
{
    for (uint32_t i = 0; i < l->n_members; i++)
        if (l->members[i].id == id) return &l->members[i];
    return NULL;
}

LockMember *lock_add_member(Lock *l, uint32_t id, Str name, int64_t at_ms)
{
    CHECK(l->job.phase == JOB_NONE || l->job.accept, "a job knows its members");
    if (l->n_members == l->cap_members) {
        l->cap_members = l->cap_members ? l->cap_members * 2 : 4;
        l->members = mem_realloc(l->members, l->cap_members * sizeof *l->members);
    }
    if (l->job.accept) {
        l->job.accept = mem_realloc(l->job.accept, (l->n_members + 1) * sizeof *l->job.accept);
        l->job.accept[l->n_members] = LOCK_OUTSIDE;
    }
    LockMember *m = &l->members[l->n_members++];
    *m =
        (LockMember){.id = id, .name = version_text(l->pool, name), .at_ms = at_ms, .accepted = LOCK_OUTSIDE};
    m->gate = LOCK_OUTSIDE;
    LockNode *n = lock_add_node(m);
    n->at_ms = at_ms;
    n->passed = n->written = true;
    return m;
}

void lock_remove_member(Lock *l, uint32_t index)
{
    free(l->members[index].nodes);
    free(l->members[index].lost);
    l->n_members--;
    for (uint32_t i = index; i < l->n_members; i++) {
        l->members[i] = l->members[i + 1];
        if (l->job.accept) l->job.accept[i] = l->job.accept[i + 1];
    }
}

LockNode *lock_add_node(LockMember *m)
{
    if (m->n_nodes == m->cap_nodes) {
        m->cap_nodes = m->cap_nodes ? m->cap_nodes * 2 : 2;
        m->nodes = mem_realloc(m->nodes, m->cap_nodes * sizeof *m->nodes);
    }
    LockNode *n = &m->nodes[m->n_nodes++];
    *n = (LockNode){0};
    return n;
}

static void move(LockNode *n, const VersionStep *s)
{
    n->moves[n->n_moves++] = s;
    n->version = s->after;
}

void lock_recompute(Lock *l, LockMember *m, uint32_t at)
{
    for (uint32_t i = MAX(at, 1); i < m->n_nodes; i++) {
        LockNode *n = &m->nodes[i];
        const Version *before = m->nodes[i - 1].version;
        n->n_moves = 0;
        n->version = before;
        if (n->step)
            move(n,
                 n->skip ? version_skip(l->pool, before, n->step) : version_step(l->pool, before, n->step));
        if (n->model)
            move(n, n->replaced ? version_replace(l->pool, n->version, n->model)
                                : version_adopt(l->pool, n->version, n->model));
    }
}

uint32_t lock_low(const LockMember *m, int32_t accepted)
{
    uint32_t low = 0;
    for (int32_t i = 0; i <= accepted; i++)
        if (m->nodes[i].written) low = (uint32_t)i;
    return low;
}

static bool in_list(const Str *list, uint32_t n, Str name)
{
    for (uint32_t i = 0; i < n; i++)
        if (str_ieq(list[i], name)) return true;
    return false;
}

Str lock_name_at(const LockMember *m, int32_t from, int32_t i, uint32_t column)
{
    for (; column != NO_COLUMN && i > from; i--)
        for (uint32_t k = m->nodes[i].n_moves; column != NO_COLUMN && k-- > 0;)
            column = m->nodes[i].moves[k]->from[column];
    return column == NO_COLUMN ? (Str){0} : m->nodes[from].version->schema->columns[column].name;
}

/* Was the column of node i added after node `from`, which had one of that name? */
static bool is_added_again(const LockMember *m, int32_t from, uint32_t i, uint32_t column)
{
    const Version *had = m->nodes[from].version, *now = m->nodes[i].version;
    if (now->origins[column].kind != ORIGIN_ADDED) return false;
    if (schema_column(had->schema, now->schema->columns[column].name) == NO_COLUMN) return false;
    return !lock_name_at(m, from, (int32_t)i, column).len;
}

/* Has the target what the member's rows bring for the column under another name, and another column under
 * this one? */
static bool stands_elsewhere(const Lock *l, const LockMember *m, int32_t from, uint32_t i, uint32_t column)
{
    Str name = m->nodes[i].version->schema->columns[column].name;
    Str was = lock_name_at(m, from, (int32_t)i, column);
    return was.len && !str_ieq(was, name) && schema_column(l->target->schema, was) != NO_COLUMN &&
           schema_column(l->target->schema, name) != NO_COLUMN;
}

/* The columns of node i that are others than the target's of their names, though nothing has been lost yet:
 * rows in the target hold values that the member gave up, or that stand in another column. What a decision
 * took as agreed is as it says. */
static uint32_t others_on_way(const Lock *l, const LockMember *m, uint32_t i, Str *list)
{
    const TableSchema *s = m->nodes[i].version->schema;
    int32_t from = m->accepted;
    uint32_t n = 0;
    for (int32_t k = from + 1; k <= (int32_t)i; k++)
        if (m->nodes[k].model) from = k;
    for (uint32_t c = 0; c < s->n_columns; c++) {
        Str name = s->columns[c].name;
        if (in_list(m->lost, m->n_lost, name)) continue;
        if (is_added_again(m, from, i, c) || stands_elsewhere(l, m, from, i, c)) list[n++] = name;
    }
    return n;
}

/* The member's lost columns and those that are others on its way to node i. The list is the pool's. */
static void add_lost_on_way(const Lock *l, const LockMember *m, uint32_t i, VersionView *v)
{
    StrBuf key = {0};
    Str *others = mem_zalloc((v->version->schema->n_columns + 1) * sizeof *others);
    uint32_t n = others_on_way(l, m, i, others);
    sb_c(&key, "lost");
    for (uint32_t k = 0; k < m->n_lost; k++)
        sb_printf(&key, ";" STR_FMT, STR_ARG(m->lost[k]));
    for (uint32_t k = 0; k < n; k++)
        sb_printf(&key, ";" STR_FMT, STR_ARG(others[k]));
    if (n) {
        v->n_lost = m->n_lost + n;
        v->lost = map_get(&l->pool->memo, sb_view(&key));
    }
    if (n && !v->lost) {
        Str *list = arena_array(&l->pool->arena, Str, v->n_lost);
        for (uint32_t k = 0; k < v->n_lost; k++)
            list[k] = k < m->n_lost ? m->lost[k] : others[k - m->n_lost];
        map_put(&l->pool->memo, sb_view(&key), list);
        v->lost = list;
    }
    free(others);
    sb_done(&key);
}

VersionView lock_view(const Lock *l, const LockMember *m, uint32_t i)
{
    VersionView v = version_view(m->nodes[i].version);
    v.no_rows = m->accepted == LOCK_OUTSIDE && m->fresh;
    if ((int32_t)i > m->accepted && l->opts.broken != LOCK_RULE_LOST) {
        v.lost = m->lost;
        v.n_lost = m->n_lost;
        if (m->accepted != LOCK_OUTSIDE) add_lost_on_way(l, m, i, &v);
    }
    return v;
}

RowsOf lock_rows_of(const LockMember *m, uint32_t from, uint32_t to, Arena *arena)
{
    const VersionStep **chain = arena_array(arena, const VersionStep *, 2 * (size_t)(to - from) + 1);
    uint32_t n = 0;
    for (uint32_t i = from + 1; i <= to; i++)
        for (uint32_t k = 0; k < m->nodes[i].n_moves; k++)
            chain[n++] = m->nodes[i].moves[k];
    return (RowsOf){m->nodes[from].version, chain, n};
}

/* -- columns given up while the target has them -- */

void lock_set_lost(Lock *l, LockMember *m, int32_t from, const bool *replaced)
{
    const Version *now = m->nodes[m->accepted].version, *target = l->target;
    Str *list = mem_zalloc((target->schema->n_columns + 1) * sizeof *list);
    uint32_t n = 0;
    for (uint32_t i = 0; i < target->schema->n_columns; i++) {
        Str name = target->schema->columns[i].name;
        if (schema_column(now->schema, name) != NO_COLUMN) continue;
        bool had = false, other = replaced && replaced[i];
        /* rows on their way bring theirs; those written have brought it, if it was this column */
        int32_t low = (int32_t)lock_low(m, m->accepted);
        for (int32_t k = other ? low : MIN(low, MAX(from, 0)); k < m->accepted; k++)
            had |= schema_column(m->nodes[k].version->schema, name) != NO_COLUMN;
        if (had || (!other && in_list(m->lost, m->n_lost, name))) list[n++] = version_text(l->pool, name);
    }
    free(m->lost);
    m->lost = list;
    m->n_lost = n;
}

/* -- what stays of a member that leaves -- */

static const Version *marked(Lock *l, const Version *v, const bool *marks)
{
    Version out = *v;
    Arena arena = {0};
    ColumnOrigin *origins = arena_array(&arena, ColumnOrigin, v->schema->n_columns + 1);
    for (uint32_t i = 0; i < v->schema->n_columns; i++) {
        origins[i] = v->origins[i];
        origins[i].left |= marks[i];
    }
    out.origins = origins;
    v = version_intern(l->pool, &out);
    arena_done(&arena);
    return v;
}

/* The columns in which the member's rows have values, in the target and in what it is about to become. */
static void mark_left(Lock *l, const LockMember *m)
{
    if (m->accepted == LOCK_OUTSIDE || l->target->gone) return;
    const TableSchema *had = m->nodes[m->accepted].version->schema, *target = l->target->schema;
    bool runs = l->job.phase != JOB_NONE;
    uint32_t n = runs ? l->job.to->schema->n_columns : 0;
    bool *marks = mem_zalloc(target->n_columns + 1), *then = mem_zalloc(n + 1);
    for (uint32_t i = 0; i < target->n_columns; i++)
        marks[i] =
            !target->columns[i].generated &&
            (schema_column(had, target->columns[i].name) != NO_COLUMN ||
             in_list(m->lost, m->n_lost, target->columns[i].name)); /* it gave that up: others have it */
    for (uint32_t i = 0; i < n; i++)
        then[i] = l->job.columns[i] != NO_COLUMN && marks[l->job.columns[i]];
    l->target = marked(l, l->target, marks);
    if (runs && !l->job.to->gone) l->job.to = marked(l, l->job.to, then);
    free(marks);
    free(then);
}

void lock_member_leaves(Lock *l, LockMember *m, bool rows_stay, LockActions *out)
{
    lock_act_gone(out, m, (int32_t)m->n_nodes - 1);
    if (rows_stay && l->opts.broken != LOCK_RULE_LEFT) mark_left(l, m);
    lock_remove_member(l, (uint32_t)(m - l->members));
}

/* -- the base moves -- */

/* What has been accepted holds another column of one's name: seen from there it would be no common one. */
static bool adds_any_again(const LockMember *m, uint32_t from)
{
    for (uint32_t c = 0; c < m->nodes[m->accepted].version->schema->n_columns; c++)
        if (is_added_again(m, (int32_t)from, (uint32_t)m->accepted, c)) return true;
    return false;
}

/* The place of a version that agrees with v, written everywhere: the last one not above `most`. */
static bool find_common(const Lock *l, const LockMember *m, const VersionView *v, uint32_t most, uint32_t *at)
{
    for (uint32_t i = most + 1; i-- > 0;) {
        if (adds_any_again(m, i)) continue;
        VersionView own = lock_view(l, m, i);
        if (version_agreement(&own, v, NULL) != AGREE_WHOLLY) continue;
        *at = i;
        return true;
    }
    return false;
}

static bool has_model(const LockMember *m, uint32_t from)
{
    for (uint32_t i = from; i < m->n_nodes; i++)
        if (m->nodes[i].model) return true;
    return false;
}

/* Columns of a table that was new: equal to any, while it has no rows from before. What all agree on is the
 * base from then on, so that later changes are told apart. */
static bool is_of_any(const LockMember *m, uint32_t at)
{
    const Version *v = m->nodes[at].version;
    for (uint32_t i = 0; i < v->schema->n_columns; i++)
        if (v->origins[i].kind == ORIGIN_ANY && !v->schema->columns[i].generated) return true;
    return false;
}

uint32_t lock_witness(const Lock *l)
{
    for (uint32_t i = 0; i < l->n_members; i++)
        if (!is_of_any(&l->members[i], l->members[i].n_nodes - 1)) return i;
    return 0;
}

static bool same_root(const ColumnOrigin *a, const ColumnOrigin *b)
{
    if (a->kind != b->kind || a->kind == ORIGIN_ANY || !str_ieq(a->base, b->base)) return false;
    return a->kind == ORIGIN_BASE || (a->fill == b->fill && str_eq(a->fill_text, b->fill_text));
}

/* The column of common that the target's column is, whatever the two call it. */
static uint32_t root_column(const Version *t, uint32_t column, const Version *common)
{
    for (uint32_t i = 0; i < common->schema->n_columns; i++) {
        if (!same_root(&t->origins[column], &common->origins[i])) continue;
        uint32_t named = schema_column(t->schema, common->schema->columns[i].name);
        bool other =
            named != NO_COLUMN && named != column && same_root(&t->origins[named], &common->origins[i]);
        if (!other) return i; /* else that one is it, and this one was left behind */
    }
    uint32_t at = schema_column(common->schema, t->schema->columns[column].name);
    VersionView a = version_view(t), b = version_view(common);
    return at != NO_COLUMN && version_same_column(&a, column, &b, at) ? at : NO_COLUMN;
}

/* The target's values have been converted as the shards' have. Seen from a base behind a conversion that it
 * has still to follow, nothing would say so. */
static bool target_followed(const Lock *l, const Version *v)
{
    bool all = true;
    for (uint32_t i = 0; i < l->target->schema->n_columns; i++) {
        uint32_t at = root_column(l->target, i, v);
        if (at != NO_COLUMN) all &= str_starts(l->target->origins[i].lossy, v->origins[at].lossy);
    }
    return all;
}

static bool find_places(const Lock *l, uint32_t *at)
{
    const LockMember *first = &l->members[0];
    for (uint32_t q = lock_low(first, first->accepted) + 1; q-- > 0;) {
        VersionView v = lock_view(l, first, q);
        bool all = !has_model(first, q + 1) && !adds_any_again(first, q) && target_followed(l, v.version),
             moves = q > 0 || (l->n_members > 1 && is_of_any(first, q));
        at[0] = q;
        for (uint32_t i = 1; all && i < l->n_members; i++) {
            const LockMember *m = &l->members[i];
            all = find_common(l, m, &v, lock_low(m, m->accepted), &at[i]) && !has_model(m, at[i] + 1);
            moves |= all && (at[i] > 0 || is_of_any(m, at[i]));
        }
        if (all && moves) return true;
    }
    return false;
}

static void cut_history(Lock *l, LockMember *m, uint32_t at)
{
    LockNode start = m->nodes[at];
    start.version = version_rebase(l->pool, start.version);
    start.step = NULL;
    start.model = NULL;
    start.n_moves = 0;
    start.skip = start.replaced = start.hold = start.early = false;
    start.kind = LOCK_STEP_ALTER;
    start.before = start.after = LOCK_WORK_NONE;
    start.passed = start.written = true;
    memmove(m->nodes, m->nodes + at, (m->n_nodes - at) * sizeof *m->nodes);
    m->nodes[0] = start;
    m->n_nodes -= at;
    m->accepted -= (int32_t)at;
    m->gate -= (int32_t)at;
    lock_recompute(l, m, 1);
}

/* The target seen from the new base: what is the base's there is the base's here. */
static void rebase_target(Lock *l, const Version *common)
{
    Arena arena = {0};
    Version t = *l->target;
    ColumnOrigin *origins = arena_array(&arena, ColumnOrigin, t.schema->n_columns + 1);
    for (uint32_t i = 0; i < t.schema->n_columns; i++) {
        uint32_t at = root_column(l->target, i, common);
        origins[i] = l->target->origins[i];
        if (at == NO_COLUMN) continue;
        Str lossy = origins[i].lossy, done = common->origins[at].lossy;
        if (done.len && str_starts(lossy, done)) lossy = (Str){lossy.ptr + done.len, lossy.len - done.len};
        origins[i] = (ColumnOrigin){.kind = ORIGIN_BASE,
                                    .base = common->schema->columns[at].name,
                                    .fill = origins[i].fill, /* what rows without it get */
                                    .fill_text = origins[i].fill_text,
                                    .lossy = lossy,
                                    .left = origins[i].left};
    }
    t.origins = origins;
    t.rows = (Str){0};
    l->target = version_intern(l->pool, &t);
    arena_done(&arena);
}

bool lock_rebase(Lock *l)
{
    if (!l->n_members || l->job.phase != JOB_NONE) return false;
    for (uint32_t i = 0; i < l->n_members; i++)
        if (l->members[i].accepted == LOCK_OUTSIDE || l->members[i].gate != l->members[i].accepted)
            return false;
    uint32_t *at = mem_zalloc(l->n_members * sizeof *at);
    bool moved = find_places(l, at);
    if (moved) rebase_target(l, l->members[0].nodes[at[0]].version);
    for (uint32_t i = 0; moved && i < l->n_members; i++)
        cut_history(l, &l->members[i], at[i]);
    free(at);
    if (moved) l->base = l->members[0].nodes[0].version;
    return moved;
}
