/* Tables with rows of their own that become shard tables: RENAME TABLE x TO a name that is routed, ALTER
 * TABLE … RENAME, where x is none.
 *
 * From the statement on, at P, the table is a member like one that CREATE TABLE makes: its definition there
 * is its first, which its target's lock lets in. Only it is not empty: nothing of it counts as copied, so the
 * copy drops what the stream brings of it, and reads it like any table that is seen for the first time. What
 * is read contains everything from before P, because the statement waited for whoever wrote to x, and nothing
 * is read before the stream has come to P. A kill at any moment leaves a member without chunks, which is
 * copied, or none, which P makes again.
 *
 * Rows of x before P are nobody's. The definition at P is the live one, with the statements since then undone
 * (catalog_start.c); where that cannot be, the source stops, and an operator gives it (shardmerge schema).
 *
 * A name that another shard table bears, began with, or has left with, is not taken over: which rows of the
 * target belong to whom could not be told. Source's thread. */
#include "base/fault.h"
#include "base/log.h"
#include "pipeline/ddl_impl.h"
#include "track/step_json.h"
#include "base/poison.h"

static bool refuse(const DdlEvent *e, const char *why, const char *remedy, Err *err)
{
    return err_set_remedy(err, ERR_SOURCE_DDL, remedy,
                          "%s gives a table with rows of its own the name of a shard table, %s: " STR_FMT,
                          e->what, why, STR_ARG(e->query->sql));
}

/* Found on the server before the stream has come to the statement that gave it its name: it was never read
 * under another one. Mutex held. */
static bool was_seen(const DdlMember *m, TableName name)
{
    return !m->n_steps && !m->left && !m->was_no_table && table_name_eq(m->m->name, name);
}

/* The member that this statement is known to have made under the name. */
static bool find_entered(Ddl *d, uint32_t stream, TableName name, const DdlEvent *e, CatalogMemberInfo *out)
{
    CLEANUP(sb_done) StrBuf identity = {0};
    const DdlMember *found = NULL;
    txn_identity(&e->id, e->id.server, &identity);
    pthread_mutex_lock(&d->mutex);
    for (const DdlMember *m = d->members; m && !found; m = m->next) {
        const DdlStep *birth = m->source == ddl_source(d, stream) ? ddl_birth(m) : NULL;
        if (birth && birth == ddl_find_step(m, sb_view(&identity)) &&
            table_name_eq(birth->step->name_after, name))
            found = m;
    }
    if (found)
        *out = (CatalogMemberInfo){
            .member = found->m, .number = found->no, .first = found->first, .target = found->target->name};
    pthread_mutex_unlock(&d->mutex);
    return found != NULL;
}

/* Is it the first name of a shard table that bears another one now? Its rows in the target, its provenance
 * and share of ids go by that. Mutex held. */
static bool began_as(const Ddl *d, uint32_t stream, TableName name)
{
    const DdlMember *bearer = ddl_bearer(d, stream, name);
    bool any = false;
    for (const DdlMember *m = d->members; m; m = m->next)
        any |= m != bearer && m->source == ddl_source(d, stream) && table_name_eq(m->m->name, name);
    return any;
}

bool ddl_may_enter(Ddl *d, uint32_t stream, TableName name, const DdlRename *renames, uint32_t n,
                   const DdlEvent *e, Err *err)
{
    CatalogMemberInfo known;
    bool vacated = false;
    if (find_entered(d, stream, name, e, &known)) return true; /* read again */
    if (!d->p->streams[stream].load)
        return refuse(e, "and this task copies no rows",
                      "bring its rows by hand, or leave that name out by block-allow-list, and go on behind "
                      "it, " ERR_PAST,
                      err);
    if (d->p->task->load.consistency == LOAD_CONSISTENCY_SNAPSHOT)
        return refuse(
            e, "and this task copies from one snapshot",
            "begin anew with consistency: chunk, or go on behind it with that name left out, " ERR_PAST, err);
    for (uint32_t i = 0; i < n; i++)
        vacated |= table_name_eq(renames[i].from, name);
    pthread_mutex_lock(&d->mutex);
    const DdlMember *m = ddl_bearer(d, stream, name);
    bool taken = (m && (vacated || !was_seen(m, name))) || began_as(d, stream, name);
    pthread_mutex_unlock(&d->mutex);
    return !taken ||
           refuse(e, "which another shard table bears, began with, or has left with",
                  "begin anew, so that it is copied; or go on behind it with that name left out, " ERR_PAST,
                  err);
}

/* Its rows wait where the lock has not let it in. Mutex held. */
static bool seen_comes(Ddl *d, DdlMember *m, const DdlEvent *e, Err *err)
{
    uint64_t last, accepted;
    bool in = !m->target->lock || lock_member(m->target->lock, (uint32_t)m->no, &last, &accepted);
    return in || ddl_open_fork(d, m) || ddl_begin_fork(d, m, e->point, 0, err);
}

static bool has_lock(Ddl *d, uint32_t source, TableName name)
{
    bool has = false;
    pthread_mutex_lock(&d->mutex);
    for (const DdlTarget *t = d->targets; t; t = t->next)
        has |= t->lock && catalog_routes_to(d->p->catalog, source, name, t->name);
    pthread_mutex_unlock(&d->mutex);
    return has;
}

/* What is not held is read now; what is, when its rows may be written. */
static void take_in(Ddl *d, uint32_t stream, const CatalogMemberInfo *info)
{
    pthread_mutex_lock(&d->mutex);
    const DdlMember *m = ddl_member(d, info->member);
    bool waits = m->left || ddl_open_fork(d, m) || (m->target->lock && !m->joined);
    for (const DdlFork *f = d->sources[m->source].forks; f; f = f->next)
        waits |= f->member == m && !f->finished;
    if (!waits) load_take_in(d->p->streams[stream].load, m->m);
    pthread_mutex_unlock(&d->mutex);
}

bool ddl_enter(Ddl *d, uint32_t stream, TableName name, const DdlEvent *e, Err *err)
{
    CatalogMemberInfo info;
    TableSchema *made;
    uint32_t source = ddl_source(d, stream);
    bool ok = true;
    if (find_entered(d, stream, name, e, &info)) {
        ok = ddl_one_table(d, stream, &info, e, err) &&
             (has_lock(d, source, name) || catalog_bind(d->p->catalog, info.member, err));
        if (ok && d->p->streams[stream].load) take_in(d, stream, &info);
        return ok;
    }
    pthread_mutex_lock(&d->mutex);
    DdlMember *seen = ddl_bearer(d, stream, name);
    if (seen) ok = seen_comes(d, seen, e, err);
    pthread_mutex_unlock(&d->mutex);
    if (seen || !ok) return ok;
    if (!ddl_made_there(d, stream, name, e, &made, err)) return false;
    SchemaStep *step = ddl_creation(made, name, e, err);
    ok = step &&
         catalog_enter_member(d->p->catalog, source, name, made, has_lock(d, source, name), &info, err);
    schema_free(made);
    if (!ok) {
        step_free(step);
        return false;
    }
    (void)FAULT("ddl.entered");
    pthread_mutex_lock(&d->mutex);
    ok = ddl_begin_member(d, stream, &info, e, step, err);
    if (ok)
        log_write(LOGEV_SHARD_ENTERS, LOG_STR("table", ddl_member(d, info.member)->label),
                  LOG_STR("target", ddl_member(d, info.member)->target->label),
                  LOG_STR("statement", e->query->sql));
    pthread_mutex_unlock(&d->mutex);
    if (ok) take_in(d, stream, &info);
    return ok;
}

bool ddl_hold_newcomers(Ddl *d, uint32_t source, const StreamPoint *at, Err *err)
{
    bool ok = true;
    for (DdlMember *m = d->members; ok && m; m = m->next) {
        if (m->source != source || m->left || ddl_birth(m) || !m->target->lock) continue;
        bool waits = !m->joined || lock_is_newcomer(m->target->lock, (uint32_t)m->no);
        for (const DdlFork *f = d->sources[source].forks; f; f = f->next)
            waits &= f->member != m || f->finished;
        if (waits) ok = ddl_begin_fork(d, m, at, m->cursor[DDL_MAIN], err);
    }
    return ok;
}
