/* strict-optimistic-shard-mode: a schema change without a lossless join stops its source.
 *
 * The main stream waits with each statement until the lock has been told of its steps, and stops there when
 * one clashes: nothing behind it is read. So does every later run, started or resumed, which reads it again,
 * until a decision is on record. A step may come to clash later, because the others went on or a decision
 * about another step lets it be looked at; its source is stopped then, and one that begins behind the step
 * stops at once. */
#include <stdlib.h>
#include "base/clock.h"
#include "pipeline/ddl_impl.h"
#include "base/poison.h"

static bool clash(const DdlMember *m, Str words, Err *err)
{
    return err_set_remedy(
        err, ERR_LOCK_CLASH,
        "decide: shardmerge locks TASK.yaml --decide skip (also when it is undone on the shard), release or "
        "replace --source ID --yes; then resume the source. Or let its rows wait for the other shards: set "
        "strict-optimistic-shard-mode: false and start again",
        STR_FMT ": a schema change without a lossless join%s" STR_FMT, STR_ARG(m->label),
        words.len ? ": " : "", STR_ARG(words));
}

/* Has a member clashed with a step up to that number? Mutex held. */
static bool clashes_up_to(const DdlMember *m, uint64_t number, Err *err)
{
    CLEANUP(sb_done) StrBuf words = {0};
    uint64_t at;
    if (m->left || !m->joined || !m->target->lock) return false;
    if (!lock_clashes(m->target->lock, (uint32_t)m->no, &at, &words) || at > number) return false;
    (void)clash(m, sb_view(&words), err);
    return true;
}

/* Has the lock been told of the step? One that makes a table is told by the member's joining. */
static bool is_told(const DdlMember *m, const DdlStep *s)
{
    if (m->left) return true;
    return m->target->lock ? m->joined && s->told : s == ddl_birth(m);
}

/* At the steps of a statement. *waits: some are not told yet. */
static bool look(const Ddl *d, uint32_t source, Str identity, bool *waits, Err *err)
{
    *waits = false;
    for (const DdlMember *m = d->members; m; m = m->next) {
        const DdlStep *s = m->source == source ? ddl_find_step(m, identity) : NULL;
        if (!s) continue;
        *waits |= !is_told(m, s);
        if (!*waits && clashes_up_to(m, s->number, err)) return false;
    }
    return true;
}

static void judge(DdlSource *s, Str identity)
{
    free((char *)s->judged.ptr);
    s->judged = identity.len ? (Str){str_dup(identity), identity.len} : (Str){0};
}

void ddl_strict_meets(Ddl *d, uint32_t source, const DdlEvent *e)
{
    CLEANUP(sb_done) StrBuf identity = {0};
    if (!d->p->task->strict_optimistic) return;
    txn_identity(&e->id, e->id.server, &identity);
    pthread_mutex_lock(&d->mutex);
    judge(&d->sources[source], sb_view(&identity));
    pthread_mutex_unlock(&d->mutex);
}

bool ddl_strict_passes(Ddl *d, uint32_t source, Err *err)
{
    DdlSource *s = &d->sources[source];
    Source *own = d->p->streams[source].source;
    bool waits = true, ok;
    if (!d->p->task->strict_optimistic) return true;
    pthread_mutex_lock(&d->mutex);
    while ((ok = look(d, source, s->judged, &waits, err)) && waits && !source_is_stopping(own))
        (void)clock_cond_wait_until(&d->changed, &d->mutex, clock_mono_ms() + 20);
    if (ok && !waits) judge(s, (Str){0});
    pthread_mutex_unlock(&d->mutex);
    return ok && waits ? err_set(err, ERR_CANCELLED, "stopping") : ok;
}

bool ddl_strict_begins(Ddl *d, uint32_t source, Err *err)
{
    if (!d->p->task->strict_optimistic) return true;
    judge(&d->sources[source], (Str){0});
    for (const DdlMember *m = d->members; m; m = m->next)
        if (m->source == source && clashes_up_to(m, m->cursor[DDL_MAIN], err)) return false;
    return true;
}

void ddl_strict_stop(Ddl *d, uint64_t member_no, uint64_t number)
{
    const DdlMember *m = ddl_member_numbered(d, member_no);
    Err err = {0};
    if (!m) return;
    const DdlStep *s = number && number <= m->n_steps ? m->steps[number - 1] : NULL;
    if (s && str_eq(s->identity, d->sources[m->source].judged)) return; /* it stops there by itself */
    if (clashes_up_to(m, m->cursor[DDL_MAIN], &err)) pipeline_source_failed(d->p, m->source, &err);
}

void ddl_strict_done(DdlSource *s)
{
    judge(s, (Str){0});
}
