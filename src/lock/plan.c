#include <stdlib.h>
#include "base/check.h"
#include "lock/lock_impl.h"
#include "track/column.h"
#include "track/version_pool.h"
#include "base/poison.h"

/* -- what has to be done to the target -- */

static bool has_key(const TableSchema *in, const TableSchema *of, const KeyDef *k)
{
    for (uint32_t i = 0; i < in->n_keys; i++)
        if (key_same_parts(in, &in->keys[i], of, k) && str_ieq(in->keys[i].name, k->name)) return true;
    return false;
}

static bool needs_alter(const Version *from, const Version *to, const uint32_t *columns)
{
    const TableSchema *a = from->schema, *b = to->schema;
    if (a->n_columns != b->n_columns || a->n_keys != b->n_keys || from->gone != to->gone ||
        !str_eq(from->rows, to->rows))
        return true;
    for (uint32_t i = 0; i < b->n_columns; i++) {
        if (columns[i] == NO_COLUMN) return true;
        const ColumnDef *old = &a->columns[columns[i]];
        if (!str_ieq(old->name, b->columns[i].name) || !column_same(old, &b->columns[i])) return true;
    }
    for (uint32_t i = 0; i < a->n_keys; i++)
        if (!has_key(b, a, &a->keys[i])) return true;
    return false;
}

/* -- accepting -- */

static void accept_all(Lock *l, const int32_t *accept, const bool *replaced, LockActions *out)
{
    for (uint32_t i = 0; i < l->n_members; i++) {
        LockMember *m = &l->members[i];
        if (accept[i] == LOCK_OUTSIDE) continue;
        int32_t from = m->accepted;
        bool moves = accept[i] != from;
        LockWork work = lock_work_after(m, accept[i]);
        m->accepted = accept[i];
        lock_set_lost(l, m, from, replaced);
        if (!moves) continue;
        m->stopped = false;
        m->gate_work = work;
        if (!work) m->gate = m->accepted;
        lock_act_member(out, m);
    }
}

static void job_clear(Lock *l)
{
    free(l->job.columns);
    free(l->job.accept);
    l->job = (LockJob){0};
}

static void job_start(Lock *l, const int32_t *accept, const Version *to, uint32_t *columns, LockActions *out)
{
    l->job = (LockJob){.phase = JOB_DRAIN,
                       .id = ++l->last_job,
                       .to = to,
                       .columns = columns,
                       .accept = mem_alloc((l->n_members + 1) * sizeof *accept),
                       .rows = version_text(l->pool, lock_rows_since(l, to)),
                       .drop = to->gone && !l->target->gone};
    memcpy(l->job.accept, accept, l->n_members * sizeof *accept);
    if (l->opts.broken == LOCK_RULE_DRAIN) {
        l->job.phase = JOB_ALTER;
        lock_act_alter(l, out);
        return;
    }
    lock_act(out, LOCK_ACT_SHUT)->job = l->job.id;
}

/* Makes accept[] what is accepted, after a job if the target has to change for it. */
static void go_to(Lock *l, const int32_t *accept, const Version *to, const bool *replaces, LockActions *out)
{
    uint32_t n = to->schema->n_columns;
    uint32_t *columns = mem_zalloc((n + 1) * sizeof *columns);
    bool made = l->target->gone && !to->gone; /* it has no rows: a column of one name is the one that was */
    for (uint32_t i = 0; i < n; i++) {
        Str name = to->schema->columns[i].name;
        columns[i] =
            made ? schema_column(l->target->schema, name) : lock_predecessor(l, accept, name, replaces[i]);
    }
    bool there = !l->target->gone || !to->gone;
    if ((l->left && there) || needs_alter(l->target, to, columns)) {
        job_start(l, accept, to, columns, out);
        return;
    }
    free(columns);
    l->target = to;
    accept_all(l, accept, replaces, out);
}

void lock_job_done(Lock *l, LockActions *out)
{
    LockJob job = l->job;
    bool *replaced = mem_zalloc(job.to->schema->n_columns + 1);
    for (uint32_t i = 0; i < job.to->schema->n_columns; i++) {
        Str name = job.to->schema->columns[i].name;
        uint32_t old = schema_column(l->target->schema, name);
        replaced[i] = old != NO_COLUMN && job.columns[i] != old;
    }
    l->target = job.to;
    l->job = (LockJob){0};
    l->left = 0;
    accept_all(l, job.accept, replaced, out);
    lock_act(out, LOCK_ACT_OPEN);
    free(replaced);
    free(job.columns);
    free(job.accept);
}

void lock_job_cancel(Lock *l)
{
    job_clear(l);
}

void lock_job_leave(Lock *l)
{
    if (!l->left) l->left = l->job.id;
    job_clear(l);
}

/* -- what may be accepted -- */

static void present(const Lock *l, int32_t *accept)
{
    for (uint32_t i = 0; i < l->n_members; i++)
        accept[i] = l->members[i].accepted;
}

/* A table made anew has nothing of the old one: no row of that may be on its way any more. Nor any that goes
 * with a step that takes rows away: it would come into the target behind it. */
static bool waits_for_rows(const Lock *l, const LockNode *n)
{
    if (!n->step || n->written) return false;
    bool takes = !n->skip && (n->step->rows != ROWS_KEPT || !n->step->after);
    return !n->step->before || (takes && l->opts.broken != LOCK_RULE_LOSS);
}

static bool waits_for_operator(const Lock *l, const LockNode *n)
{
    return n->hold && l->opts.broken != LOCK_RULE_HELD;
}

static bool waits_for_work(const Lock *l, const LockNode *n)
{
    return n->before && l->opts.broken != LOCK_RULE_WORK;
}

/* The node by which a member leaves that has not come back since; 0: none. Rows behind it are never written.
 */
static int32_t leaving_node(const LockMember *m)
{
    int32_t found = 0;
    for (int32_t i = (int32_t)m->n_nodes - 1; m->leaving && i > MAX(m->accepted, 0); i--) {
        LockStepKind kind = m->nodes[i].kind;
        if (m->nodes[i].step && (kind == LOCK_STEP_CREATE || kind == LOCK_STEP_RENAME)) break;
        if (kind == LOCK_STEP_DROP || kind == LOCK_STEP_RENAME_OUT) found = i;
    }
    return found;
}

/* over: as if all rows were written that a step waits for because it takes them away. */
static int32_t limit_over(const Lock *l, const LockMember *m, bool over)
{
    if (m->gate != m->accepted) return m->accepted;
    int32_t leaves = leaving_node(m);
    for (int32_t i = m->accepted + 1; i < (int32_t)m->n_nodes; i++)
        if (waits_for_operator(l, &m->nodes[i]) || waits_for_work(l, &m->nodes[i]) ||
            (!over && waits_for_rows(l, &m->nodes[i])) || (leaves && i == leaves))
            return i - 1;
    return (int32_t)m->n_nodes - 1;
}

/* The last node before one that waits for work, for the operator, or for rows of another table. */
int32_t lock_limit(const Lock *l, const LockMember *m)
{
    return limit_over(l, m, false);
}

/* Does the member's node mean the same for rows as all that is accepted of the others? A member inside is
 * compared with itself. */
static bool same_rows(const Lock *l, const LockMember *m, int32_t node)
{
    VersionView own = lock_view(l, m, (uint32_t)node);
    if (m->accepted != LOCK_OUTSIDE) {
        VersionView was = lock_view(l, m, (uint32_t)m->accepted);
        return version_agreement(&own, &was, NULL) >= AGREE_ROWS;
    }
    bool any = false; /* else nobody says what the target holds */
    for (uint32_t i = 0; i < l->n_members; i++) {
        if (l->members[i].accepted == LOCK_OUTSIDE) continue;
        VersionView other = lock_view(l, &l->members[i], (uint32_t)l->members[i].accepted);
        if (version_agreement(&own, &other, NULL) < AGREE_ROWS) return false;
        any = true;
    }
    return any;
}

/* Do its rows go into the target as that is? Those of a step that was skipped may not. */
static bool target_holds(const Lock *l, const LockMember *m, int32_t node)
{
    Arena arena = {0};
    RowMap map;
    RowsOf rows = lock_rows_of(m, (uint32_t)node, (uint32_t)node, &arena);
    bool holds = row_map(&rows, l->target, &arena, &map, NULL);
    arena_done(&arena);
    return holds;
}

/* Steps that change nothing for rows. */
static bool accept_same(Lock *l, LockActions *out)
{
    for (uint32_t i = 0; i < l->n_members; i++) {
        LockMember *m = &l->members[i];
        int32_t next = m->accepted + 1;
        if (next > lock_limit(l, m) || !same_rows(l, m, next) || !target_holds(l, m, next)) continue;
        if (m->accepted == LOCK_OUTSIDE && l->opts.mode == LOCK_OPTIMISTIC) continue;
        m->gate_work = m->nodes[next].after;
        m->accepted = next;
        m->stopped = false;
        if (!m->gate_work) m->gate = next;
        lock_set_lost(l, m, next - 1, NULL);
        lock_act_member(out, m);
        return true;
    }
    return false;
}

static void stop_member(const Lock *l, LockMember *m, LockActions *out)
{
    if (m->stopped || m->nodes[m->accepted + 1].decided) return;
    m->stopped = true;
    lock_act_stop(l, m, out);
}

/* Inputs of a join are the members inside; their names for words. */
static const char **input_names(const Lock *l, const int32_t *accept, Arena *arena)
{
    const char **names = arena_array(arena, const char *, l->n_members + 1);
    uint32_t n = 0;
    for (uint32_t i = 0; i < l->n_members; i++)
        if (accept[i] != LOCK_OUTSIDE) names[n++] = arena_str(arena, l->members[i].name).ptr;
    return names;
}

/* -- by way of conversions -- */

/* The first place of the member, from what it accepts on, that has a join with that version; LOCK_OUTSIDE:
 * none. */
static int32_t first_joining(const Lock *l, const LockMember *m, const VersionView *v, int32_t most)
{
    JoinOpts opts = {.base = l->base, .target = l->target};
    for (int32_t p = MAX(m->accepted, 0); p <= most; p++) {
        VersionView in[2] = {*v, lock_view(l, m, (uint32_t)p)};
        const Version *to;
        if (join_versions(l->pool, in, 2, &opts, &to, NULL, NULL)) return p;
    }
    return LOCK_OUTSIDE;
}

/* The lead goes as far as can be on the way to most[], the others no further than that takes. */
static bool join_led(const Lock *l, uint32_t lead, const int32_t *most, int32_t *at, const Version **to,
                     bool **replaces)
{
    const LockMember *m = &l->members[lead];
    for (int32_t h = most[lead]; h > m->accepted; h--) {
        VersionView v = lock_view(l, m, (uint32_t)h);
        bool all = true;
        for (uint32_t i = 0; all && i < l->n_members; i++) {
            at[i] = i == lead ? h : LOCK_OUTSIDE;
            if (i == lead || most[i] == LOCK_OUTSIDE) continue;
            at[i] = first_joining(l, &l->members[i], &v, most[i]);
            all = at[i] != LOCK_OUTSIDE;
        }
        if (all && lock_join(l, at, to, replaces, NULL)) return true;
    }
    return false;
}

/* The target's values have to be converted as the members' were, one conversion after another: how far do
 * they go first, on the way to at[]? */
static bool join_stage(const Lock *l, int32_t *at, const Version **to, bool **replaces)
{
    int32_t *most = mem_alloc(l->n_members * sizeof *most);
    bool joins = false;
    memcpy(most, at, l->n_members * sizeof *most);
    for (uint32_t i = 0; !joins && i < l->n_members; i++)
        joins = join_led(l, i, most, at, to, replaces);
    free(most);
    return joins;
}

void lock_clash_words(const Lock *l, const LockMember *m, StrBuf *out)
{
    Arena arena = {0};
    Clashes why = {0};
    const Version *to;
    bool *replaces;
    int32_t *accept = arena_array(&arena, int32_t, l->n_members + 1);
    present(l, accept);
    accept[m - l->members] = m->accepted + 1;
    if (lock_join(l, accept, &to, &replaces, &why)) free(replaces);
    const char **names = input_names(l, accept, &arena);
    StrBuf line = {0};
    for (uint32_t i = 0; i < why.n; i++) {
        sb_clear(&line);
        clash_words(&why.list[i], names, &line);
        sb_printf(out, "%s" STR_FMT, i ? "; " : "", STR_ARG(str_trim(sb_view(&line))));
    }
    sb_done(&line);
    clashes_done(&why);
    arena_done(&arena);
}

/* Optimistic: each member as far as a join goes. */
static bool accept_joined(Lock *l, LockActions *out)
{
    int32_t *accept = mem_alloc((l->n_members + 1) * sizeof *accept);
    const Version *to = NULL;
    bool *replaces = NULL, moves = false;
    present(l, accept);
    for (uint32_t i = 0; i < l->n_members; i++) {
        LockMember *m = &l->members[i];
        int32_t was = accept[i], limit = lock_limit(l, m);
        Clashes why = {0};
        for (int32_t h = limit; h > m->accepted; h--) {
            const Version *v;
            bool *r;
            why.n = 0;
            accept[i] = h;
            if (!lock_join(l, accept, &v, &r, l->opts.strict ? &why : NULL)) {
                accept[i] = was;
                continue;
            }
            free(replaces);
            to = v;
            replaces = r;
            moves = true;
            break;
        }
        if (l->opts.strict && accept[i] == was && limit > was && why.n) stop_member(l, m, out);
        clashes_done(&why);
    }
    if (moves) go_to(l, accept, to, replaces, out);
    free(replaces);
    free(accept);
    return moves;
}

/* -- the common version -- */

/* Is everything written that stands before the first step behind node `from`, up to node `to`? What stands
 * behind a decision belongs to the step before that: nobody says when it is written but the next step. */
static bool is_written_behind(const LockMember *m, int32_t from, int32_t to)
{
    int32_t next = from + 1;
    while (next < to && from >= 0 && m->nodes[next].number == m->nodes[from].number)
        next++;
    return m->nodes[next].written;
}

static bool is_ready(const Lock *l, const LockMember *m, int32_t at)
{
    if (at == m->accepted || m->nodes[at].early) return true; /* the join holds rows on their way */
    return lock_rule(l, LOCK_RULE_WRITTEN, is_written_behind(m, m->accepted, at)) &&
           lock_rule(l, LOCK_RULE_FLOOR, m->nodes[at].passed);
}

static bool agrees(const Lock *l, const VersionView *a, const VersionView *b)
{
    Agreement least = l->opts.broken == LOCK_RULE_LINEAGE ? AGREE_DATA : AGREE_ROWS;
    return version_agreement(a, b, NULL) >= least;
}

/* Is the version of node i that of v? Not while it has values that nobody can compute: they agree with what a
 * decision takes as it comes, but not among themselves. */
static bool is_place(const Lock *l, const LockMember *m, int32_t i, const VersionView *v)
{
    VersionView own = lock_view(l, m, (uint32_t)i);
    return agrees(l, &own, v) && agrees(l, &own, &own);
}

/* The members that are asked: all. */
static uint32_t n_asked(const Lock *l)
{
    return l->n_members - (l->n_members > 1 && l->opts.broken == LOCK_RULE_ALL);
}

/* Members that went the same way come to the same version after the same number of steps: the greatest number
 * after which all have it. 0: none. */
static int32_t same_way(const Lock *l, const VersionView *v, bool over)
{
    const LockMember *first = &l->members[0];
    for (int32_t d = limit_over(l, first, over) - first->accepted; d > 0; d--) {
        bool all = true;
        for (uint32_t i = 0; all && i < n_asked(l); i++) {
            const LockMember *m = &l->members[i];
            all = m->accepted + d <= limit_over(l, m, over) && is_place(l, m, m->accepted + d, v);
        }
        if (all) return d;
    }
    return 0;
}

/* Places of the version of (first, q) in all histories: after the same number of steps, else each as late as
 * can be. */
static bool common_places(const Lock *l, uint32_t q, bool over, int32_t *at)
{
    VersionView v = lock_view(l, &l->members[0], q);
    int32_t way = same_way(l, &v, over);
    bool moves = false;
    for (uint32_t i = 0; i < l->n_members; i++) {
        const LockMember *m = &l->members[i];
        int32_t from = MAX(m->accepted, 0), p = way ? m->accepted + way : limit_over(l, m, over);
        at[i] = m->accepted;
        if (i >= n_asked(l)) continue;
        while (p >= from && !is_place(l, m, p, &v))
            p--;
        if (p < from || (!over && !is_ready(l, m, p))) return false;
        at[i] = p;
        moves |= p > m->accepted;
    }
    return moves;
}

/* All come to that version, and some have held rows before a step on the way there that takes rows away: the
 * target takes those rows first. */
static bool before_losses(const Lock *l, int32_t *at)
{
    bool moves = false;
    for (uint32_t i = 0; i < l->n_members; i++) {
        const LockMember *m = &l->members[i];
        int32_t limit = lock_limit(l, m);
        bool held = at[i] > limit && limit > m->accepted && is_ready(l, m, limit);
        at[i] = held ? limit : m->accepted;
        moves |= held;
    }
    return moves;
}

typedef enum Way {
    WAY_PLAIN,
    WAY_OVER,   /* as if all rows were written that a step waits for because it takes them away */
    WAY_STAGES, /* by way of conversions */
} Way;

static bool join_common(const Lock *l, Way way, int32_t *at, const Version **to, bool **replaces)
{
    if (way == WAY_OVER && !before_losses(l, at)) return false;
    return way == WAY_STAGES ? join_stage(l, at, to, replaces) : lock_join(l, at, to, replaces, NULL);
}

/* The last version that all have and that can be joined. */
static bool accept_common(Lock *l, Way way, LockActions *out)
{
    if (!l->n_members) return false;
    const LockMember *first = &l->members[0];
    bool over = way == WAY_OVER, done = false;
    int32_t *at = mem_alloc(l->n_members * sizeof *at);
    for (int32_t q = limit_over(l, first, over); !done && q >= MAX(first->accepted, 0); q--) {
        const Version *to;
        bool *replaces;
        if (!common_places(l, (uint32_t)q, over, at) || !join_common(l, way, at, &to, &replaces)) continue;
        go_to(l, at, to, replaces, out);
        free(replaces);
        done = true;
    }
    free(at);
    return done;
}

/* -- the target follows -- */

bool lock_all_agree(const Lock *l, Agreement least)
{
    if (!l->n_members) return true;
    const LockMember *m = &l->members[lock_witness(l)];
    VersionView first = lock_view(l, m, m->n_nodes - 1);
    for (uint32_t i = 0; i < l->n_members; i++) { /* the first may not even agree with itself */
        VersionView own = lock_view(l, &l->members[i], l->members[i].n_nodes - 1);
        if (version_agreement(&first, &own, NULL) < least || version_agreement(&own, &own, NULL) < least)
            return false;
    }
    return true;
}

/* How far those inside agree on what is accepted of them. */
static Agreement accepted_agreement(const Lock *l)
{
    const VersionView *first = NULL;
    VersionView views[2];
    Agreement least = AGREE_WHOLLY;
    for (uint32_t i = 0; i < l->n_members; i++) {
        if (l->members[i].accepted == LOCK_OUTSIDE) continue;
        views[first != NULL] = lock_view(l, &l->members[i], (uint32_t)l->members[i].accepted);
        if (first) least = MIN(least, version_agreement(first, &views[1], NULL));
        first = &views[0];
    }
    return least;
}

static bool same_columns(const TableSchema *a, const TableSchema *b)
{
    bool same = a->n_columns == b->n_columns;
    for (uint32_t i = 0; same && i < a->n_columns; i++)
        same = str_ieq(a->columns[i].name, b->columns[i].name) && column_same(&a->columns[i], &b->columns[i]);
    return same;
}

/* Pessimistic: not for an index that some lack. The columns of members that are on their way can differ. */
static bool may_follow(const Lock *l, const Version *to)
{
    if (l->opts.mode == LOCK_OPTIMISTIC) return true;
    return accepted_agreement(l) == AGREE_WHOLLY || !same_columns(l->target->schema, to->schema);
}

static bool follow_target(Lock *l, LockActions *out)
{
    int32_t *accept = mem_alloc((l->n_members + 1) * sizeof *accept);
    const Version *was = l->target, *to;
    bool *replaces;
    present(l, accept);
    if (lock_join(l, accept, &to, &replaces, NULL)) {
        if (may_follow(l, to)) go_to(l, accept, to, replaces, out);
        free(replaces);
    }
    free(accept);
    return l->job.phase != JOB_NONE || l->target != was;
}

/* -- work and leaving -- */

static void send_work(LockMember *m, uint64_t number, LockWork work, LockActions *out)
{
    LockAction *a = lock_act(out, LOCK_ACT_WORK);
    a->member = m->id;
    a->number = number;
    a->work = work;
}

static void send_due_work(const Lock *l, LockMember *m, LockActions *out)
{
    if (m->gate != m->accepted && !m->gate_sent && is_written_behind(m, m->gate, m->accepted)) {
        m->gate_sent = true;
        send_work(m, m->nodes[m->accepted].number, m->gate_work, out);
    }
    int32_t next = m->accepted + 1;
    if (m->gate == m->accepted && next < (int32_t)m->n_nodes && m->nodes[next].before && !m->before_sent &&
        lock_rule(l, LOCK_RULE_WORK, m->nodes[next].written)) {
        m->before_sent = true;
        send_work(m, m->nodes[next].number, m->nodes[next].before, out);
    }
}

static bool let_leave(Lock *l, LockActions *out)
{
    for (uint32_t i = 0; i < l->n_members; i++) {
        LockMember *m = &l->members[i];
        int32_t at = leaving_node(m);
        if (!at || m->accepted != at - 1 || m->gate != m->accepted) continue;
        const LockNode *n = &m->nodes[at];
        if (n->hold || n->before || !lock_rule(l, LOCK_RULE_LEAVE, n->written)) continue;
        lock_member_leaves(l, m, !n->deleted, out);
        return true;
    }
    return false;
}

/* The target was dropped because all had dropped their tables: those that were in have nothing there any
 * more, and hold nobody up. One whose table is made again, or was already, joins as a new one. */
static bool leave_gone(Lock *l, LockActions *out)
{
    for (uint32_t i = 0; i < l->n_members; i++) {
        LockMember *m = &l->members[i];
        if (m->accepted == LOCK_OUTSIDE || !m->nodes[m->accepted].version->gone) continue;
        lock_act_gone(out, m, m->accepted);
        lock_remove_member(l, i);
        return true;
    }
    return false;
}

void lock_plan(Lock *l, LockActions *out)
{
    for (;;) {
        if (l->job.phase != JOB_NONE) break;
        if (leave_gone(l, out) || let_leave(l, out) || accept_same(l, out)) continue;
        if (accept_common(l, WAY_PLAIN, out) || accept_common(l, WAY_OVER, out)) continue;
        if (l->opts.mode == LOCK_OPTIMISTIC && accept_joined(l, out)) continue;
        if (follow_target(l, out) || accept_common(l, WAY_STAGES, out)) continue;
        if (lock_rebase(l)) continue;
        if (lock_let_in(l)) continue;
        if (l->opts.refill_own && l->opts.provenance && lock_refill_own(l)) continue;
        break;
    }
    for (uint32_t i = 0; i < l->n_members; i++)
        send_due_work(l, &l->members[i], out);
    if (l->since_ms && lock_state(l) == LOCK_CLOSED) {
        l->since_ms = 0;
        lock_act(out, LOCK_ACT_CLOSED);
    }
}
