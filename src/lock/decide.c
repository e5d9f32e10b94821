#include "lock/lock_impl.h"
#include "track/schema_json.h"
#include "base/poison.h"

static bool refuse(const Lock *l, Err *err, const char *why)
{
    return err_set(err, ERR_LOCK_DECISION, STR_FMT ": %s", STR_ARG(l->name), why);
}

static int32_t find_node(const LockMember *m, uint64_t number)
{
    for (uint32_t i = 0; m && i < m->n_nodes; i++)
        if (m->nodes[i].number == number) return (int32_t)i;
    return -1;
}

/* Is the version somewhere in the rest of the member's history? */
static bool will_have(const Lock *l, const LockMember *m, const VersionView *v)
{
    for (uint32_t i = (uint32_t)MAX(m->accepted, 0); i < m->n_nodes; i++) {
        VersionView own = lock_view(l, m, i);
        if (version_agreement(&own, v, NULL) >= AGREE_ROWS) return true;
    }
    return false;
}

/* From here on the member counts as having model. What it has accepted already stays as it is: the decision
 * is a place of its own in the history, with rows of the same number. */
static void take_for(Lock *l, LockMember *m, const Version *model)
{
    uint32_t last = m->n_nodes - 1;
    if ((int32_t)last <= m->accepted) {
        LockNode *n = lock_add_node(m);
        n->number = m->nodes[last].number;
        n->at_ms = m->nodes[last].at_ms;
        n->passed = m->nodes[last].passed;
        n->written = m->nodes[last].written;
        last++;
    }
    m->nodes[last].model = model;
    lock_recompute(l, m, last);
}

/* Its rows before that version may themselves wait for the one that is released. The target holds them all.
 */
static void let_early(const Lock *l, LockMember *m, const VersionView *v)
{
    for (int32_t i = m->accepted + 1; i < (int32_t)m->n_nodes; i++) {
        VersionView own = lock_view(l, m, (uint32_t)i);
        if (version_agreement(&own, v, NULL) >= AGREE_ROWS) m->nodes[i].early = true;
    }
}

static bool release(Lock *l, LockMember *m, int32_t at, Err *err)
{
    if (at < 0) return refuse(l, err, "release needs the step whose version all are to have");
    LockNode *n = &m->nodes[at];
    VersionView v = lock_view(l, m, (uint32_t)at);
    for (uint32_t i = 0; v.version->gone && i < l->n_members; i++)
        if (!will_have(l, &l->members[i], &v))
            return refuse(l, err,
                          "other shards have their tables, and the target would be dropped: skip the "
                          "step, or detach the shard");
    n->hold = false;
    for (uint32_t i = 0; i < l->n_members; i++) {
        LockMember *other = &l->members[i];
        if (will_have(l, other, &v)) {
            if (other != m) let_early(l, other, &v);
            continue;
        }
        if (other != m) {
            take_for(l, other, v.version);
        } else { /* values nobody can compute are taken as they come */
            n->model = v.version;
            lock_recompute(l, m, (uint32_t)at);
        }
    }
    return true;
}

static bool skip(Lock *l, LockMember *m, int32_t at, Err *err)
{
    if (at <= 0)
        return refuse(l, err, "the shard's table has not been let in yet: there is nothing to leave out");
    if (at <= m->accepted) return refuse(l, err, "the step has been followed already");
    if (m->before_sent && at == m->accepted + 1)
        return refuse(l, err, "the shard's rows are being deleted by its policy already");
    LockNode *n = &m->nodes[at];
    n->skip = true;
    n->replaced = n->hold = false;
    n->before = LOCK_WORK_NONE;
    n->model = NULL;
    if (n->kind == LOCK_STEP_DROP || n->kind == LOCK_STEP_RENAME_OUT)
        m->leaving = (uint32_t)at == m->n_nodes - 1;
    lock_recompute(l, m, (uint32_t)at);
    return true;
}

bool lock_schema_before(const Lock *l, uint32_t member, uint64_t number, const TableSchema **out)
{
    const LockMember *m = lock_find(l, member);
    int32_t at = find_node(m, number);
    if (at <= 0) return false;
    *out = m->nodes[at - 1].version->schema;
    return true;
}

/* What the statements make of the version before; came: one per column of it, where it stood there. */
static bool make_model(Lock *l, const Version *before, const LockEvent *e, Arena *arena,
                       const Version **model, uint32_t **came, Err *err)
{
    *model = version_plain(l->pool, before);
    for (uint32_t i = 0; i < e->n_steps; i++) {
        const SchemaStep *s = e->steps[i];
        bool form =
            s->before && s->after && s->rows == ROWS_KEPT && table_name_eq(s->name_before, s->name_after);
        if (!form)
            return refuse(l, err, "replace takes statements that change columns and keys, and nothing else");
        const VersionStep *step = version_step(l->pool, *model, s);
        uint32_t n = step->after->schema->n_columns, *now = arena_array(arena, uint32_t, n + 1);
        for (uint32_t c = 0; c < n; c++) {
            now[c] = step->from[c];
            if (i && now[c] != NO_COLUMN) now[c] = (*came)[now[c]];
        }
        *model = step->after;
        *came = now;
    }
    return true;
}

/* Do the rows that the member writes after its step fit what it counts as, and those before it too? */
static bool replaced_rows_fit(const Lock *l, const LockNode *n, const uint32_t *came, Err *err)
{
    Arena arena = {0};
    StrBuf why = {0};
    RowMap map;
    RowsOf rows = {.version = n->version};
    bool ok = row_map(&rows, n->version, &arena, &map, &why);
    const VersionStep *last = n->moves[n->n_moves - 1];
    for (uint32_t c = 0; ok && c < last->after->schema->n_columns; c++)
        if (last->from[c] != came[c]) {
            sb_printf(&why, "column `" STR_FMT "`: it cannot be told which column's rows it takes over",
                      STR_ARG(last->after->schema->columns[c].name));
            ok = false;
        }
    if (!ok)
        err_set(err, ERR_LOCK_DECISION, STR_FMT ": rows of the shard do not fit these statements: " STR_FMT,
                STR_ARG(l->name), STR_ARG(str_trim(sb_view(&why))));
    sb_done(&why);
    arena_done(&arena);
    return ok;
}

/* In words: what it counts as, and which values of its rows go nowhere. */
static void note_replaced(const LockMember *m, int32_t at, LockActions *out)
{
    const LockNode *n = &m->nodes[at];
    const TableSchema *shape = n->version->shape;
    StrBuf words = {0}, diff = {0};
    schema_diff(m->nodes[at - 1].version->schema, "before", n->version->schema, "then", &diff);
    sb_printf(&words, STR_FMT ": \"" STR_FMT "\" is taken for another change", STR_ARG(m->name),
              STR_ARG(n->step->statement));
    for (Str rest = sb_view(&diff); rest.len;) {
        Str line = str_split(&rest, '\n');
        if (line.len) sb_printf(&words, "; " STR_FMT, STR_ARG(line));
    }
    for (uint32_t i = 0; i < shape->n_columns; i++)
        if (n->version->feeds[i] == NO_COLUMN && !shape->columns[i].generated)
            sb_printf(&words, "; its column `" STR_FMT "` is left out", STR_ARG(shape->columns[i].name));
    LockAction *a = lock_act(out, LOCK_ACT_NOTE);
    a->member = m->id;
    lock_act_words(out, a, STR_FMT, STR_ARG(sb_view(&words)));
    sb_done(&words);
    sb_done(&diff);
}

static bool replace(Lock *l, LockMember *m, int32_t at, const LockEvent *e, LockActions *out, Err *err)
{
    if (!e->n_steps) return refuse(l, err, "replace needs the statements that count instead");
    if (at > 0 && m->nodes[at].kind != LOCK_STEP_ALTER)
        return refuse(l, err, "only a step that changes columns or keys can be replaced");
    Arena arena = {0};
    uint32_t *came = NULL;
    const Version *model = NULL;
    LockNode *n = &m->nodes[MAX(at, 0)], was = *n;
    bool ok = skip(l, m, at, err);
    ok = ok && make_model(l, m->nodes[at - 1].version, e, &arena, &model, &came, err);
    if (ok) {
        n->model = model;
        n->replaced = true;
        lock_recompute(l, m, (uint32_t)at);
        ok = replaced_rows_fit(l, n, came, err);
    }
    if (ok) {
        note_replaced(m, at, out);
    } else if (at > 0) {
        *n = was;
        lock_recompute(l, m, (uint32_t)at);
    }
    arena_done(&arena);
    return ok;
}

/* Others with values that nobody can compute are taken as they come, too. Not those that lost rows besides,
 * or whose last step waits for something else: that is a question of its own. */
static void take_unknown(Lock *l, LockMember *m)
{
    LockPlace as = {m, (int32_t)m->n_nodes - 1};
    VersionView v = lock_view(l, m, m->n_nodes - 1);
    for (uint32_t i = 0; i < l->n_members; i++) {
        LockMember *other = &l->members[i];
        LockPlace p = {other, (int32_t)other->n_nodes - 1};
        VersionView own = lock_view(l, other, other->n_nodes - 1);
        bool held = p.at > other->accepted && p.at <= lock_limit(l, other);
        if (other == m || !held || lock_knows_values(&own) || !str_eq(own.version->rows, v.version->rows))
            continue;
        if (version_agreement(&own, &v, NULL) >= AGREE_DATA) lock_take_as(l, p, as, other->nodes[p.at].after);
    }
}

/* Whose data the member can take for its own: equal definitions, other data. One that lost the same rows,
 * else one that has more: nobody's rows go because data is accepted. *lost: there is one that has fewer. */
static LockMember *whose_data(const Lock *l, const LockMember *m, bool *lost)
{
    LockMember *found = NULL;
    VersionView own = lock_view(l, m, m->n_nodes - 1);
    bool as_many = false;
    *lost = false;
    for (uint32_t i = 0; !as_many && i < l->n_members; i++) {
        LockMember *other = &l->members[i]; /* values nobody can compute differ from themselves */
        VersionView v = lock_view(l, other, other->n_nodes - 1);
        Agreement a = version_agreement(&own, &v, NULL);
        bool unknown = other != m && a >= AGREE_ROWS && !lock_knows_values(&own);
        if (a != AGREE_DATA && !unknown) continue;
        as_many = str_eq(own.version->rows, v.version->rows);
        bool more = str_starts(own.version->rows, v.version->rows);
        *lost |= !more;
        if (as_many || (more && !found)) found = other;
    }
    return found;
}

bool lock_member_asks(const LockMember *m)
{
    for (int32_t i = m->accepted + 1; i < (int32_t)m->n_nodes; i++)
        if (m->nodes[i].hold) return true;
    return false;
}

/* Data-differs: the member's table is to count as what another member has. */
static bool agree_with_others(Lock *l, LockMember *m, LockWork work, Err *err)
{
    if (work != LOCK_WORK_NONE && !l->opts.provenance)
        return refuse(l, err, "the target's rows do not tell their shard: this needs provenance columns");
    int32_t last = (int32_t)m->n_nodes - 1;
    if (last <= m->accepted) return refuse(l, err, "the member is not held");
    if (lock_member_asks(m))
        return refuse(l, err, "rows went away by a step of the member: skip or release that first");
    bool lost;
    LockMember *other = whose_data(l, m, &lost);
    if (!other)
        return refuse(l, err,
                      lost ? "the others with an equal definition lost rows without row events: skip their "
                             "steps, or release them, first"
                           : "no other member has an equal definition with other data");
    LockPlace own = {m, last}, as = {other, (int32_t)other->n_nodes - 1};
    const char *why = work == LOCK_WORK_REFILL ? lock_cannot_refill(l, own, as) : NULL;
    if (why) return refuse(l, err, why);
    lock_take_as(l, own, as, work);
    if (work == LOCK_WORK_NONE) take_unknown(l, m);
    return true;
}

/* The same job goes on, drained anew: rows were written since it failed. */
static bool give_up(Lock *l, LockActions *out, Err *err)
{
    if (l->job.phase != JOB_FAILED) return refuse(l, err, "no statement of the target failed");
    l->job.phase = JOB_DRAIN;
    l->job.as_is = true;
    lock_act(out, LOCK_ACT_SHUT)->job = l->job.id;
    return true;
}

/* Under strict, the step that the member waits with is let wait. */
static void let_wait(LockMember *m)
{
    m->stopped = false;
    if (m->accepted + 1 < (int32_t)m->n_nodes) m->nodes[m->accepted + 1].decided = true;
}

/* What is released waits until all rows before it are written, also with those that are taken to have it. */
static void let_wait_with(Lock *l, const LockEvent *e)
{
    bool all = e->decision == LOCK_RELEASE;
    for (uint32_t i = 0; i < l->n_members; i++)
        if (all || l->members[i].id == e->member) let_wait(&l->members[i]);
}

static bool decide(Lock *l, const LockEvent *e, LockActions *out, Err *err)
{
    LockMember *m = lock_find(l, e->member);
    if (e->decision == LOCK_RETRY)
        return l->job.phase == JOB_FAILED || refuse(l, err, "nothing failed that could be tried again");
    if (e->decision == LOCK_GIVE_UP) return give_up(l, out, err);
    if (!m) return refuse(l, err, "no such member");
    int32_t at = find_node(m, e->number);
    if (at < 0 && (e->decision == LOCK_SKIP || e->decision == LOCK_REPLACE))
        return refuse(l, err, "the member has no such step");
    switch (e->decision) {
    case LOCK_RELEASE: return release(l, m, at, err);
    case LOCK_SKIP: return skip(l, m, at, err);
    case LOCK_REPLACE: return replace(l, m, at, e, out, err);
    case LOCK_ACCEPT: return agree_with_others(l, m, LOCK_WORK_NONE, err);
    case LOCK_REFILL: return agree_with_others(l, m, LOCK_WORK_REFILL, err);
    case LOCK_RECOPY: return lock_recopy(l, m, err);
    case LOCK_DETACH: lock_member_leaves(l, m, true, out); return true;
    case LOCK_RETRY:
    case LOCK_GIVE_UP: break;
    }
    return refuse(l, err, "an unknown decision");
}

bool lock_decide(Lock *l, const LockEvent *e, LockActions *out, Err *err)
{
    if (l->job.phase == JOB_DRAIN || l->job.phase == JOB_ALTER) {
        if (e->decision != LOCK_DETACH)
            return refuse(l, err, "the target is being changed; decide when that has ended");
    }
    if (!decide(l, e, out, err)) return false;
    if (e->decision != LOCK_RETRY && e->decision != LOCK_GIVE_UP) let_wait_with(l, e);
    if (l->job.phase == JOB_FAILED) lock_job_leave(l);
    lock_plan(l, out);
    return true;
}
