/* A held member's table is copied again (docs/adr/0036): when its rows have gone from the target, nothing
 * counts as copied of it, and when it is held no longer its copy begins as any table's does. */
#include "base/fault.h"
#include "pipeline/ddl_impl.h"
#include "base/poison.h"

bool ddl_recopy_allowed(const Ddl *d, const DdlMember *m, Err *err)
{
    if (!d->p->streams[m->source].load)
        return err_set_remedy(err, ERR_NOT_SUPPORTED,
                              "accept the data as it is; or detach the shard table, delete its rows from the "
                              "target, and copy it with a task of its own, of task-mode all",
                              STR_FMT ": the task is one of task-mode incremental, which copies nothing",
                              STR_ARG(m->label));
    if (d->p->task->load.consistency != LOAD_CONSISTENCY_SNAPSHOT) return true;
    return err_set_remedy(
        err, ERR_NOT_SUPPORTED, "set consistency: chunk in load, start the task again, and decide then",
        STR_FMT ": a snapshot of the task cannot outlive a change of its tables", STR_ARG(m->label));
}

bool ddl_can_recopy(const Ddl *d)
{
    const Task *task = d->p->task;
    return task->mode != TASK_MODE_INCREMENTAL && task->load.consistency != LOAD_CONSISTENCY_SNAPSHOT;
}

bool ddl_recopy_is_held(const Ddl *d, const DdlTarget *t, const DdlMember *m, Err *err)
{
    uint64_t last, accepted;
    bool waits = lock_member(t->lock, (uint32_t)m->no, &last, &accepted) && last > accepted;
    const DdlFork *fork = ddl_open_fork(d, m);
    if (waits && fork && fork->binlog.purged) /* what it wrote since then is passed over by reading it */
        return err_set_remedy(err, ERR_LOCK_DECISION,
                              "restore the binlog files; or detach the shard table, delete its rows from the "
                              "target, and copy it with a task of its own, of task-mode all",
                              STR_FMT ": the binlog that its rows wait in is purged", STR_ARG(m->label));
    return !waits || fork ||
           err_set_remedy(err, ERR_LOCK_DECISION, "decide again when status lists it as held",
                          STR_FMT ": its rows are not held yet", STR_ARG(m->label));
}

void ddl_recopy_words(const Ddl *d, const DdlMember *m, StrBuf *words)
{
    LoadProgress g;
    uint64_t rows = 0;
    load_progress(d->p->streams[m->source].load, &g);
    for (size_t i = 0; i < g.n_tables; i++)
        if (g.tables[i].member == m->m) rows = g.tables[i].rows_estimated;
    load_progress_done(&g);
    sb_printf(words,
              STR_FMT
              ": its rows in " STR_FMT
              " go, then its table is copied as it is then; it had about %llu rows when it was copied "
              "last\n",
              STR_ARG(m->label), STR_ARG(m->target->label), (unsigned long long)rows);
}

/* By the last step that took it away or gave it back. */
static bool has_gone(const DdlMember *m)
{
    for (size_t i = m->n_steps; i-- > 0;)
        switch (m->steps[i]->kind) {
        case LOCK_STEP_DROP:
        case LOCK_STEP_RENAME_OUT: return true;
        case LOCK_STEP_CREATE:
        case LOCK_STEP_RENAME: return false;
        case LOCK_STEP_ALTER:
        case LOCK_STEP_TRUNCATE:
        case LOCK_STEP_PARTITION:
        case LOCK_STEP_SWAP: break;
        }
    return false;
}

bool ddl_recopy_begins(const DdlMember *m, Err *err)
{
    return !has_gone(m) ||
           err_set_remedy(err, ERR_LOCK_DECISION,
                          "make the table again, or give it its name back; or detach it: its rows in the "
                          "target stay then",
                          STR_FMT ": it was to be copied again, and is gone", STR_ARG(m->label));
}

/* The coordinator merges chunks and takes up what is copied; so neither can come in between. */
bool ddl_recopy_forget(Ddl *d, const DdlMember *m, Err *err)
{
    Pipeline *p = d->p;
    StreamCtl *c = &p->streams[m->source], *round = &p->streams[d->n_sources + m->source];
    if (!c->load) return ddl_recopy_allowed(d, m, err);
    if (!load_forget(c->load, m->m) || !load_forget(round->judge, m->m))
        return err_set(err, ERR_DB_RETRY, STR_FMT ": rows of it that were copied are still on their way",
                       STR_ARG(m->label));
    stream_forget_goal(c); /* the copy is not done */
    if (FAULT("recopy.cleared")) return err_set(err, ERR_DB_LOST, "fault recopy.cleared");
    bool ok = checkpoint_connect(p, err) &&
              meta_forget_chunks(p->meta, &p->dialect, &p->meta_task, p->epoch, p->stream_ids[m->source],
                                 member_copied_as(m->m), err);
    if (!ok) checkpoint_disconnect(p);
    if (ok) load_forgotten(c->load, m->m);
    if (ok) (void)FAULT("recopy.forgotten");
    return ok;
}

/* With a snapshot of the task the rest of a held table would be read as of before its forks. */
bool ddl_copy_may_begin(Ddl *d, uint32_t source, Err *err)
{
    Load *copy = d->p->streams[source].load;
    if (!copy || d->p->task->load.consistency != LOAD_CONSISTENCY_SNAPSHOT) return true;
    bool ok = true;
    pthread_mutex_lock(&d->mutex);
    for (const DdlFork *f = d->sources[source].forks; ok && f; f = f->next) {
        if (f->finished || ddl_given_up(f) || load_member_is_complete(copy, f->member->m)) continue;
        ok =
            err_set_remedy(err, ERR_NOT_SUPPORTED, "set consistency: chunk in load, and start the task again",
                           STR_FMT ": its rows are held by a schema change, and it is not wholly copied: "
                                   "not from a snapshot of the task",
                           STR_ARG(f->member->label));
    }
    pthread_mutex_unlock(&d->mutex);
    return ok;
}
