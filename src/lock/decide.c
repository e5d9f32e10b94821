#include "lock/lock_impl.h"
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
        n->passed = n->written = true;
        last++;
    }
    m->nodes[last].model = model;
    lock_recompute(l, m, last);
}

static bool release(Lock *l, LockMember *m, int32_t at, Err *err)
{
    if (at < 0) return refuse(l, err, "release needs the step whose version all are to have");
    LockNode *n = &m->nodes[at];
    n->hold = false;
    VersionView v = lock_view(l, m, (uint32_t)at);
    for (uint32_t i = 0; i < l->n_members; i++) {
        LockMember *other = &l->members[i];
        if (will_have(l, other, &v)) continue;
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
    LockNode *n = &m->nodes[at];
    n->skip = true;
    n->hold = false;
    n->before = LOCK_WORK_NONE;
    n->model = NULL;
    if (n->kind == LOCK_STEP_DROP || n->kind == LOCK_STEP_RENAME_OUT)
        m->leaving = (uint32_t)at == m->n_nodes - 1;
    lock_recompute(l, m, (uint32_t)at);
    return true;
}

static bool replace(Lock *l, LockMember *m, int32_t at, const TableSchema *schema, Err *err)
{
    if (!schema) return refuse(l, err, "replace needs the definition that counts instead");
    if (!skip(l, m, at, err)) return false;
    const Version *before = m->nodes[at - 1].version;
    const SchemaStep *between = version_step_between(l->pool, before->schema, schema);
    /* the change is one of the group's view, whatever the rows look like */
    m->nodes[at].model = version_step(l->pool, version_plain(l->pool, before), between)->after;
    lock_recompute(l, m, (uint32_t)at);
    return true;
}

/* Do they differ in nothing but what rows that were there got, and could that be set by a statement? */
static bool differs_in_fill(const VersionView *a, const VersionView *b)
{
    bool differs = false;
    for (uint32_t i = 0; i < a->version->schema->n_columns; i++) {
        uint32_t at = schema_column(b->version->schema, a->version->schema->columns[i].name);
        if (at == NO_COLUMN) return false;
        if (version_same_origin(a, i, b, at)) continue;
        const ColumnOrigin *x = &a->version->origins[i], *y = &b->version->origins[at];
        bool fills = x->kind == ORIGIN_ADDED && y->kind == ORIGIN_ADDED && x->fill != FILL_VOLATILE &&
                     x->fill != FILL_COMPUTED && y->fill != FILL_VOLATILE && y->fill != FILL_COMPUTED &&
                     str_eq(x->lossy, y->lossy);
        if (!fills) return false;
        differs = true;
    }
    return differs && str_eq(a->version->rows, b->version->rows);
}

/* Data-differs: the member's table is to count as what another member has. */
static bool agree_with_others(Lock *l, LockMember *m, LockWork work, Err *err)
{
    if (work != LOCK_WORK_NONE && !l->opts.provenance)
        return refuse(l, err, "the target's rows do not tell their shard: this needs provenance columns");
    uint32_t last = m->n_nodes - 1;
    if ((int32_t)last <= m->accepted) return refuse(l, err, "the member is not held");
    VersionView own = lock_view(l, m, last);
    for (uint32_t i = 0; i < l->n_members; i++) {
        const LockMember *other = &l->members[i]; /* values nobody can compute differ from themselves */
        VersionView v = lock_view(l, other, other->n_nodes - 1);
        Agreement a = version_agreement(&own, &v, NULL);
        if (a != AGREE_DATA) continue;
        if (work == LOCK_WORK_REFILL && !differs_in_fill(&own, &v))
            return refuse(l, err, "nobody can compute its values again: copy the member again, or accept");
        m->nodes[last].model = v.version;
        m->nodes[last].after = work;
        m->nodes[last].hold = false;
        lock_recompute(l, m, last);
        m->n_lost = 0; /* what it added again counts as what the others have */
        return true;
    }
    return refuse(l, err, "no other member has an equal definition with other data");
}

static bool decide(Lock *l, const LockEvent *e, LockActions *out, Err *err)
{
    LockMember *m = lock_find(l, e->member);
    if (e->decision == LOCK_RETRY)
        return l->job.phase == JOB_FAILED || refuse(l, err, "nothing failed that could be tried again");
    if (!m) return refuse(l, err, "no such member");
    int32_t at = find_node(m, e->number);
    if (at < 0 && (e->decision == LOCK_SKIP || e->decision == LOCK_REPLACE))
        return refuse(l, err, "the member has no such step");
    switch (e->decision) {
    case LOCK_RELEASE: return release(l, m, at, err);
    case LOCK_SKIP: return skip(l, m, at, err);
    case LOCK_REPLACE: return replace(l, m, at, e->schema, err);
    case LOCK_ACCEPT: return agree_with_others(l, m, LOCK_WORK_NONE, err);
    case LOCK_REFILL: return agree_with_others(l, m, LOCK_WORK_REFILL, err);
    case LOCK_RECOPY: return agree_with_others(l, m, LOCK_WORK_RECOPY, err);
    case LOCK_DETACH:
        lock_act(out, LOCK_ACT_GONE)->member = m->id;
        lock_remove_member(l, (uint32_t)(m - l->members));
        return true;
    case LOCK_RETRY: break;
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
    if (l->job.phase == JOB_FAILED) lock_job_cancel(l);
    lock_plan(l, out);
    return true;
}

/* -- shards that keep their own fills -- */

bool lock_refill_own(Lock *l)
{
    if (l->n_members < 2 || !lock_all_agree(l, AGREE_DATA)) return false;
    for (uint32_t i = 1; i < l->n_members; i++) {
        LockMember *m = &l->members[i];
        uint32_t last = m->n_nodes - 1;
        VersionView first = lock_view(l, &l->members[0], l->members[0].n_nodes - 1),
                    own = lock_view(l, m, last);
        if ((int32_t)last <= m->accepted || m->nodes[last].model || !differs_in_fill(&own, &first)) continue;
        m->nodes[last].model = first.version;
        m->nodes[last].after = LOCK_WORK_REFILL;
        lock_recompute(l, m, last);
        return true;
    }
    return false;
}
