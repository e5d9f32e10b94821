/* A held member whose rows in the target go, and are copied from its table as that is then. Pure.
 *
 * How its rows came about does not matter any more: what it shares with the others are definitions. So steps
 * that took rows away count for nothing, and what differs in data counts as what another member has. Values
 * that nobody can compute are right in its own rows afterwards; another member that has such ones needs a
 * decision of its own. */
#include <stdlib.h>
#include "lock/lock_impl.h"
#include "base/poison.h"

static bool takes_rows(LockStepKind kind)
{
    switch (kind) {
    case LOCK_STEP_TRUNCATE:
    case LOCK_STEP_PARTITION:
    case LOCK_STEP_DROP:
    case LOCK_STEP_RENAME_OUT:
    case LOCK_STEP_SWAP: return true;
    case LOCK_STEP_ALTER:
    case LOCK_STEP_CREATE:
    case LOCK_STEP_RENAME: break;
    }
    return false;
}

/* The target's rows go when all have done as it did. Its own would go again with them, were it copied. */
static bool waits_for_all(const LockNode *n)
{
    return n->step && takes_rows(n->kind) && !n->hold && !n->skip;
}

static const char *why_not(const Lock *l, const LockMember *m)
{
    int32_t last = (int32_t)m->n_nodes - 1;
    if (!l->opts.provenance)
        return "the target's rows do not tell their shard: this needs provenance columns, or ids of the "
               "shards' own, and on-collision: stop";
    if (m->accepted == LOCK_OUTSIDE) return "the shard's table has not been let in yet";
    if (last <= m->accepted || m->nodes[last].number == m->nodes[m->accepted].number)
        return "the member is not held"; /* by a step of its own: its rows go on behind a decision */
    if (m->gate != m->accepted) return "work on the shard's rows is under way";
    if (m->before_sent) return "the shard's rows are being deleted by its policy already";
    for (int32_t i = last; i > m->accepted; i--) {
        LockStepKind kind = m->nodes[i].kind;
        if (!m->nodes[i].step) continue;
        if (kind == LOCK_STEP_CREATE || kind == LOCK_STEP_RENAME) break;
        if (kind == LOCK_STEP_DROP || kind == LOCK_STEP_RENAME_OUT)
            return "the shard's table is gone: there is nothing to copy; skip the step, or detach the shard";
    }
    for (int32_t i = m->accepted + 1; i <= last; i++)
        if (waits_for_all(&m->nodes[i]))
            return "a step of it that takes rows away waits until all shards have run it: wait for them, or "
                   "skip it: "
                   "its rows stay then";
    return NULL;
}

static void forget_losses(Lock *l, LockMember *m)
{
    for (int32_t i = m->accepted + 1; i < (int32_t)m->n_nodes; i++) {
        LockNode *n = &m->nodes[i];
        n->hold = false;
        n->before = LOCK_WORK_NONE;
        if (n->step && takes_rows(n->kind)) n->skip = true;
    }
    lock_recompute(l, m, (uint32_t)m->accepted + 1);
}

/* Whose version the member's counts as: one that knows its values goes first. *same: no need, they agree.
 * NULL: nobody's. *lost: those that it might be lost rows, and the target's would go with them. */
static const LockMember *whose(const Lock *l, const LockMember *m, bool *same, bool *lost)
{
    const LockMember *found = NULL;
    bool known = false;
    *lost = false;
    VersionView own = lock_view(l, m, m->n_nodes - 1);
    *same = l->n_members == 1 && lock_knows_values(&own);
    for (uint32_t i = 0; i < l->n_members; i++) {
        const LockMember *other = &l->members[i];
        VersionView v = lock_view(l, other, other->n_nodes - 1);
        Agreement a = version_agreement(&own, &v, NULL);
        if (a < AGREE_DATA || (other == m && l->n_members > 1)) continue;
        bool as_many = str_eq(own.version->rows, v.version->rows);
        *lost |= !as_many;
        if (!as_many) continue;
        *same |= a >= AGREE_ROWS && lock_knows_values(&own);
        if (!found || (!known && lock_knows_values(&v))) {
            found = other;
            known = lock_knows_values(&v);
        }
    }
    return found;
}

bool lock_recopy(Lock *l, LockMember *m, Err *err)
{
    const char *why = why_not(l, m);
    if (why) return err_set(err, ERR_LOCK_DECISION, STR_FMT ": %s", STR_ARG(l->name), why);
    size_t size = m->n_nodes * sizeof *m->nodes;
    LockNode *kept = mem_alloc(size);
    memcpy(kept, m->nodes, size);
    forget_losses(l, m);
    bool same, lost;
    uint32_t last = m->n_nodes - 1;
    const LockMember *as = whose(l, m, &same, &lost);
    if (same) {
        m->nodes[last].after = LOCK_WORK_RECOPY;
        m->n_lost = 0;
    } else if (as) {
        lock_take_as(l, (LockPlace){m, (int32_t)last},
                     (LockPlace){(LockMember *)as, (int32_t)as->n_nodes - 1}, LOCK_WORK_RECOPY);
    } else {
        memcpy(m->nodes, kept, size);
        err_set(err, ERR_LOCK_DECISION, STR_FMT ": %s", STR_ARG(l->name),
                lost ? "the others with an equal definition lost rows without row events: decide about those "
                       "first"
                     : "no other member has an equal definition: run the missing ALTER, or release, then "
                       "decide");
    }
    free(kept);
    return same || as;
}
