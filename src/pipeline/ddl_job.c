/* The jobs that change a target: its statement is planned from the live definition, runs in a thread of its
 * own while no row of the target is on the way, and the lock is told the outcome. Coordinator. */
#include <stdlib.h>
#include "apply/parked.h"
#include "base/fault.h"
#include "base/log.h"
#include "db/schema_read.h"
#include "ddl/parse.h"
#include "pipeline/ddl_impl.h"
#include "track/schema_fingerprint.h"
#include "track/schema_json.h"
#include "track/schema_onto.h"
#include "base/poison.h"

enum { GIVE_UP_WAIT_S = 5, READ_RETRY_MS = 1000, TELL_EVERY = 60 };

void ddl_job_done(DdlJob *j)
{
    if (!j->id) return;
    if (j->running) pthread_join(j->thread, NULL);
    emit_plan_done(&j->plan);
    catalog_prepared_free(j->prepared);
    schema_free(j->before);
    schema_free(j->after);
    err_clear(&j->err);
    err_clear(&j->unread);
    err_clear(&j->doubt);
    waker_done(&j->wake);
    *j = (DdlJob){0};
}

/* -- the job's thread -- */

/* What the journal knows of a job that does not go on is closed. */
static bool give_up_statements(DdlTarget *t, Conn *conn, const Dialect *dialect, uint64_t job, Err *err)
{
    uint32_t n;
    TargetDdlSkip skip = {.meta = t->job.job.meta,
                          .epoch = t->job.job.epoch,
                          .job = job,
                          .target = t->name,
                          .wait_s = GIVE_UP_WAIT_S};
    return target_ddl_skip(conn, dialect, &skip, &n, err) &&
           (!FAULT("ddl.given_up") || err_set(err, ERR_DB_LOST, "fault ddl.given_up"));
}

/* The target as it is now; *after NULL: there is none. What passes is waited for, and told once a minute. */
static bool read_target(DdlTarget *t, Err *err)
{
    DdlJob *j = &t->job;
    for (unsigned tries = 0;; tries++) {
        Conn *conn = NULL;
        Dialect dialect;
        bool ok = session_open(&j->job.session, &conn, &dialect, err) &&
                  (!j->gives_up || give_up_statements(t, conn, &dialect, j->gives_up, err)) &&
                  schema_read(conn, t->name, &j->after, err);
        conn_close(conn);
        if (ok || err->code == ERR_CANCELLED || err_class(err) != ERR_CLASS_RETRY) return ok;
        if (tries % TELL_EVERY == 0) log_error(LOGEV_CHECK_WARNING, err, LOG_STR("target", t->label));
        if (conn_cancel_fired(j->job.session.conn.cancel) || waker_sleep(&j->wake, READ_RETRY_MS)) {
            err_clear(err);
            return err_set(err, ERR_CANCELLED, "stopped on request");
        }
        err_clear(err);
    }
}

/* What the journal has begun goes on, whatever is in doubt. */
static bool may_begin(DdlTarget *t, Err *err)
{
    DdlJob *j = &t->job;
    for (bool ok = !err_is_set(&j->doubt); !ok;) {
        Conn *conn = NULL;
        Dialect dialect;
        TargetDdlStand stand = {0};
        TargetDdlAsked asked = {.meta = j->job.meta, .target = t->name, .job = j->id};
        ok = session_open(&j->job.session, &conn, &dialect, err) &&
             target_ddl_stands(conn, &asked, &stand, err);
        conn_close(conn);
        if (ok && !stand.begun) {
            err_copy(err, &j->doubt);
            return false;
        }
        if (!ok && !ddl_job_pause(j, err)) return false;
    }
    return true;
}

static bool is_there(const DdlTarget *t, Err *err)
{
    const DdlJob *j = &t->job;
    if (j->after || t->pending.drop || j->kind == DDL_JOB_LOOK || j->kind == DDL_JOB_ALTER) return true;
    if (j->kind == DDL_JOB_MAKE)
        return err_set_remedy(err, ERR_DDL_DIFFERS, "decide give-up when it has been created by hand",
                              "target " STR_FMT " was made again, and is not there: somebody dropped it",
                              STR_ARG(t->label));
    if (j->kind == DDL_JOB_AS_IS)
        return err_set_remedy(err, ERR_DDL_DIFFERS,
                              "create it as its shards have it (shardmerge route --ddl shows how), then "
                              "decide give-up again",
                              "target " STR_FMT " is not there", STR_ARG(t->label));
    return err_set_remedy(err, ERR_DDL_DIFFERS,
                          "create it as its shards have it (shardmerge route --ddl shows how), then "
                          "decide retry",
                          "target " STR_FMT " was dropped when all its shard tables were, some were made "
                          "again, and nothing is on record of what it was",
                          STR_ARG(t->label));
}

/* Whatever the outcome, what the target is then is what counts from here on. */
static void *job_main(void *arg)
{
    DdlTarget *t = arg;
    DdlJob *j = &t->job;
    Err unread = {0};
    bool runs = j->kind == DDL_JOB_ALTER || j->kind == DDL_JOB_MAKE;
    if (runs)
        j->ok = j->parked && j->kind == DDL_JOB_ALTER
                    ? ddl_beside_run(j->ddl, t, &j->err)
                    : may_begin(t, &j->err) && target_ddl_run(&j->job, &j->err);
    else
        j->ok = true;
    bool over = !j->ok && (j->err.code == ERR_CANCELLED || j->err.code == ERR_APPLY_FENCED);
    bool read =
        over || (read_target(t, &unread) && (!j->parked || !j->after || ddl_beside_look(j->ddl, t, &unread)));
    if (!read) err_copy(&j->unread, &unread);
    if (!read && j->ok) {
        err_move(&j->err, &unread);
        j->ok = false;
    }
    err_clear(&unread);
    j->there = j->after != NULL;
    j->ok = j->ok && is_there(t, &j->err);
    conn_thread_end();
    __atomic_store_n(&j->ended, true, __ATOMIC_RELEASE);
    return NULL;
}

/* -- its beginning -- */

static bool make_plan(Ddl *d, DdlTarget *t, DdlJob *j, Err *err)
{
    Pipeline *p = d->p;
    Arena arena = {0};
    EmitChange change;
    const TableSchema *live = t->dropped;
    bool make = j->kind == DDL_JOB_MAKE;
    if (!make && j->kind != DDL_JOB_ALTER) return true;
    if (!make && j->parked) { /* its thread plans */
        if (t->pending.drop && catalog_target_live(p->catalog, t->name, &live)) j->before = schema_copy(live);
        return true;
    }
    if (!make && !catalog_target_live(p->catalog, t->name, &live))
        return t->pending.drop || /* it has gone already */
               err_set(err, ERR_BUG, "no target " STR_FMT "." STR_FMT, STR_ARG(t->name.schema),
                       STR_ARG(t->name.table));
    TextOpts text = {.dialect = p->dialect.is_tidb      ? DIALECT_TIDB
                                : p->dialect.is_mariadb ? DIALECT_MARIADB
                                                        : DIALECT_MYSQL,
                     .version = p->dialect.is_tidb ? 0 : ddl_server_version(str_of(p->dialect.version))};
    OntoChange onto = {.from = t->pending.from,
                       .to = t->pending.to,
                       .columns = t->pending.columns,
                       .rows = t->pending.rows,
                       .drop = t->pending.drop,
                       .keyed = catalog_target_keyed(p->catalog, t->name)};
    bool ok = schema_onto(live, &onto, &arena, &change, &j->doubt);
    if (!ok) { /* a process before this one may have been at it */
        onto.begun = true;
        ok = schema_onto(live, &onto, &arena, &change, err);
    }
    change.make = make;
    ok = ok && schema_emit_change(&change, &text, &j->plan, err);
    if (ok && !make) j->before = schema_copy(live);
    arena_done(&arena);
    return ok;
}

/* Kept before it goes: it is made again from that. */
static bool keep_dropped(Ddl *d, DdlTarget *t, Err *err)
{
    if (t->job.kind != DDL_JOB_ALTER || !t->pending.drop || !t->job.before) return true;
    StrBuf json = {0};
    schema_to_json(t->job.before, &json);
    bool ok = store_dropped_put(d->p->store, t->name, sb_view(&json), err);
    sb_done(&json);
    if (!ok) return false;
    schema_free(t->dropped);
    t->dropped = schema_copy(t->job.before);
    (void)FAULT("ddl.kept");
    return true;
}

/* It is there again. */
static bool forget_dropped(Ddl *d, DdlTarget *t, Err *err)
{
    t->made = false;
    if (!t->dropped || lock_target(t->lock)->gone) return true;
    schema_free(t->dropped);
    t->dropped = NULL;
    return store_dropped_put(d->p->store, t->name, (Str){0}, err);
}

static DdlJobKind kind_of(const DdlTarget *t)
{
    if (t->failed_job && t->failed_job != t->pending_job) return DDL_JOB_LOOK;
    if (t->pending.as_is) return DDL_JOB_AS_IS;
    if (!t->pending.from->gone || t->pending.to->gone) return DDL_JOB_ALTER;
    return t->dropped && !t->made ? DDL_JOB_MAKE : DDL_JOB_MADE;
}

bool ddl_job_start(Ddl *d, DdlTarget *t, Err *err)
{
    Pipeline *p = d->p;
    DdlJob *j = &t->job;
    pthread_mutex_lock(&d->mutex);
    ddl_job_done(j);
    waker_init(&j->wake);
    j->id = t->pending_job;
    j->kind = kind_of(t);
    if (j->kind == DDL_JOB_LOOK) j->gives_up = t->failed_job;
    if (j->kind == DDL_JOB_AS_IS) j->gives_up = j->id;
    t->pending_job = 0;
    pthread_mutex_unlock(&d->mutex);
    j->ddl = d;
    j->parked = catalog_target_parks(p->catalog, t->name);
    Err refused = {0};
    if (!make_plan(d, t, j, &refused)) {
        j->err = refused;
        j->ended = true;
        return true;
    }
    if (!keep_dropped(d, t, err)) return false;
    j->job = (TargetDdlJob){.meta = p->meta_task,
                            .epoch = p->epoch,
                            .session = p->session,
                            .job = j->id,
                            .target = t->name,
                            .before = j->before,
                            .plan = &j->plan,
                            .by_number = true,
                            .wake = &j->wake};
    for (uint32_t i = 0; i < j->plan.n; i++)
        log_write(LOGEV_TARGET_CHANGES, LOG_STR("schema", t->name.schema), LOG_STR("table", t->name.table),
                  LOG_STR("statement", j->plan.steps[i].sql));
    if (pthread_create(&j->thread, NULL, job_main, t) != 0)
        return err_set(err, ERR_IO, "no thread could be started");
    j->running = true;
    return true;
}

/* -- its end -- */

static bool job_failed(Ddl *d, DdlTarget *t, Err *err)
{
    StrBuf words = {0};
    DdlJob *j = &t->job;
    if (j->err.code == ERR_APPLY_FENCED || j->err.code == ERR_CANCELLED) {
        err_move(err, &j->err);
        return err->code == ERR_CANCELLED; /* stopping: the next start goes on */
    }
    sb_printf(&words, "%s", j->err.message ? j->err.message : "the target could not be changed");
    if (j->err.remedy) sb_printf(&words, "; %s", j->err.remedy);
    LockEvent e = {.kind = LOCK_EV_FAILED, .job = j->id, .at_ms = clock_wall_ms(), .words = sb_view(&words)};
    t->altering = false;
    bool ok = ddl_lock_event(d, t, &e, err);
    sb_done(&words);
    return ok;
}

/* The catalog gets what was read, while no row is on its way. The catalog's mutex comes before ours. */
static bool take_live(Ddl *d, DdlTarget *t, Err *err)
{
    DdlJob *j = &t->job;
    const TableSchema *live;
    if (j->prepared)
        catalog_take_prepared(d->p->catalog, j->prepared);
    else if (j->parked && err_is_set(&j->unread))
        catalog_set_apart(d->p->catalog, j->parked, &j->unread);
    if (j->parked) {
        if (j->ok && !j->after) atomic_store(&j->parked->n_rows, 0); /* they went with the target */
        j->prepared = NULL;
        return true;
    }
    bool changed = j->after && (!catalog_target_live(d->p->catalog, t->name, &live) ||
                                !schema_same_fingerprint(live, j->after));
    if (!changed) return true;
    if (!catalog_set_target(d->p->catalog, t->name, j->after, err)) return false;
    j->after = NULL;
    return true;
}

/* Rows of one shard table, as they would go into the target when the job is done. */
typedef struct Passage {
    const Member *member;
    DdlVersion version;
} Passage;

/* Every version of which a row may still come. */
static bool passages_of(Ddl *d, DdlTarget *t, Arena *arena, Passage **out, size_t *n, Err *err)
{
    LockActions ignored = {0};
    Lock *then = lock_clone(t->lock);
    LockEvent e = {.kind = LOCK_EV_ALTERED, .job = t->job.id, .at_ms = clock_wall_ms()};
    size_t most = 0;
    for (const DdlMember *m = d->members; m; m = m->next)
        most += m->target == t ? m->n_steps + 1 : 0;
    *out = arena_array(arena, Passage, most + 1);
    bool ok = lock_step(then, &e, &ignored, err);
    for (const DdlMember *m = d->members; ok && m; m = m->next) {
        uint64_t last, accepted, from = 0;
        if (m->target != t || m->left || !lock_member(then, (uint32_t)m->no, &last, &accepted)) continue;
        for (size_t i = 0; i < m->n_steps; i++)
            if (m->steps[i]->written) from = m->steps[i]->number;
        for (uint64_t v = MIN(from, accepted); ok && v <= accepted; v++) {
            (*out)[*n].member = m->m;
            ok = ddl_version_by(then, m, v, arena, &(*out)[*n].version, err);
            ++*n;
        }
    }
    lock_actions_done(&ignored);
    lock_free(then);
    return ok;
}

/* The operator took the target as it is: does it hold what its shard tables write? */
static bool holds_rows(Ddl *d, DdlTarget *t, Err *err)
{
    Arena arena = {0};
    Passage *list = NULL;
    size_t n = 0;
    pthread_mutex_lock(&d->mutex);
    bool ok = passages_of(d, t, &arena, &list, &n, err);
    pthread_mutex_unlock(&d->mutex);
    for (size_t i = 0; ok && i < n; i++)
        ok = catalog_fits(d->p->catalog, list[i].member, &list[i].version, err);
    arena_done(&arena);
    return ok || err_wrap(err,
                          "target " STR_FMT " was taken as it is, and does not hold the rows of its shard "
                          "tables",
                          STR_ARG(t->label));
}

static bool target_is_ready(Ddl *d, DdlTarget *t, Err *err)
{
    bool took = take_live(d, t, err);
    bool by_hand = t->job.kind == DDL_JOB_AS_IS || t->job.kind == DDL_JOB_MADE;
    if (t->job.ok && took && by_hand && !t->pending.drop) return holds_rows(d, t, err);
    return took;
}

bool ddl_job_finish(Ddl *d, DdlTarget *t, Err *err)
{
    DdlJob *j = &t->job;
    Err why = {0};
    if (j->running) pthread_join(j->thread, NULL);
    j->running = false;
    bool ready = target_is_ready(d, t, &why), ok = j->ok && ready;
    if (j->ok && !ready) err_move(&j->err, &why);
    err_clear(&why);
    bool looked = ok && j->kind == DDL_JOB_LOOK;
    if (!looked) (void)FAULT("ddl.altered");
    pthread_mutex_lock(&d->mutex);
    t->jobs_ended++;
    if (looked) {
        t->failed_job = 0;
        t->made = t->pending.from->gone && j->there;
        t->pending_job = j->id;
    } else if (ok) {
        LockEvent e = {.kind = LOCK_EV_ALTERED, .job = j->id, .at_ms = clock_wall_ms()};
        t->altering = false;
        t->failed_job = 0;
        ok = ddl_lock_event(d, t, &e, err) && forget_dropped(d, t, err);
    } else {
        ok = job_failed(d, t, err);
    }
    ddl_job_done(j);
    pthread_mutex_unlock(&d->mutex);
    return ok || looked;
}
