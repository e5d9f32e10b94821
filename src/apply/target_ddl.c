#include "apply/target_ddl.h"
#include <stdlib.h>
#include "apply/target_ddl_impl.h"
#include "db/schema_read.h"
#include "track/schema_fingerprint.h"
#include "base/fault.h"
#include "base/poison.h"

enum {
    LOCK_TRY_S = 10,
    JOB_LOOK_MS = 1000,
    RETRY_FIRST_MS = 200,
    RETRY_LONGEST_MS = 15000,
};

/* One try: a session, from taking the lock to the end of at most one statement. Owner: the thread of
 * target_ddl_run. */
typedef struct Try {
    const TargetDdlJob *j;
    Conn *c;
    DdlWatch *watch; /* of c */
    Dialect d;
    Arena arena;
    TargetDdlRow *rows;
    size_t n, at; /* at: the statement at hand; n: none is left */
    StrBuf live;  /* fingerprint */
    bool exists;
} Try;

static TargetDdlProgress progress_of(const Try *t, TargetDdlPhase phase)
{
    TargetDdlProgress p = {.phase = phase, .done = (uint32_t)t->at, .steps = (uint32_t)t->n, .percent = -1};
    if (t->at < t->n) p.statement = t->rows[t->at].statement;
    return p;
}

static void report(const Try *t, const TargetDdlProgress *p)
{
    if (t->j->progress) t->j->progress(t->j->ctx, p);
}

static void report_phase(const Try *t, TargetDdlPhase phase)
{
    TargetDdlProgress p = progress_of(t, phase);
    report(t, &p);
}

/* -- the session -- */

/* What a change of a definition needs beside the pinned session: a session whose client is gone gives the
 * lock back soon after its statement; a waiting ALTER holds up everybody else on the table, so it gives way
 * after a while and comes again; the server chooses the cheapest algorithm. */
static bool set_session(Try *t, Err *err)
{
    static const struct {
        bool mariadb, mysql, tidb;
        const char *sql;
    } settings[] = {
        {true, true, true, "SET SESSION wait_timeout = 60"},
        {true, true, false, "SET SESSION lock_wait_timeout = 60"},
        {true, true, false, "SET SESSION explicit_defaults_for_timestamp = ON"},
        {true, false, false, "SET SESSION max_statement_time = 0"},
        {true, false, false, "SET SESSION alter_algorithm = 'DEFAULT'"},
        {false, true, false, "SET SESSION old_alter_table = 0"},
    };
    for (size_t i = 0; i < ARRAY_LEN(settings); i++) {
        bool wanted = t->d.is_tidb      ? settings[i].tidb
                      : t->d.is_mariadb ? settings[i].mariadb
                                        : settings[i].mysql;
        if (wanted && !conn_exec(t->c, str_of(settings[i].sql), NULL, err)) return false;
    }
    return true;
}

static bool open_session(Try *t, Err *err)
{
    SessionOpts o = t->j->session;
    o.conn.read_timeout_s = 0; /* a statement may take hours: it is watched */
    report_phase(t, TARGET_DDL_CONNECTING);
    if (!session_open(&o, &t->c, &t->d, err)) return false;
    t->watch = ddl_watch_start(t->j, &t->d, t->c);
    return set_session(t, err);
}

/* Waits as long as it takes: whoever holds the lock still changes the table. */
static bool take_lock(Try *t, Err *err)
{
    CLEANUP(sb_done) StrBuf name = {0}, sql = {0};
    target_ddl_lock_name(&t->j->meta, t->j->target, &name);
    for (int seconds = 0;; seconds = LOCK_TRY_S) {
        char *got = NULL, *holder = NULL;
        sb_clear(&sql);
        sb_printf(&sql, "SELECT GET_LOCK('%s', %d)", name.ptr, seconds);
        if (!conn_scalar(t->c, sb_view(&sql), &got, err)) return false;
        bool answered = got != NULL, held = answered && str_eqc(str_of(got), "1");
        free(got);
        if (held) return !FAULT("ddl.locked") || err_set(err, ERR_DB_LOST, "fault ddl.locked");
        if (!answered) return err_set(err, ERR_DB_RETRY, "downstream: waiting for the lock was interrupted");
        sb_clear(&sql);
        sb_printf(&sql, "SELECT IS_USED_LOCK('%s')", name.ptr);
        if (!conn_scalar(t->c, sb_view(&sql), &holder, err)) return false;
        TargetDdlProgress p = progress_of(t, TARGET_DDL_WAITING_LOCK);
        if (holder && !str_to_u64(str_of(holder), &p.connection)) p.connection = 0;
        free(holder);
        report(t, &p);
    }
}

/* -- looking -- */

static bool read_live(Try *t, Err *err)
{
    TableSchema *s;
    if (!schema_read(t->c, t->rows[t->at].target, &s, err)) return false;
    sb_clear(&t->live);
    t->exists = s != NULL;
    if (s) schema_fingerprint(s, &t->live);
    schema_free(s);
    return true;
}

static Str live_print(const Try *t)
{
    return t->exists ? sb_view(&t->live) : (Str){0};
}

/* TiDB runs a DDL as a job of the cluster, which outlives its session. */
static bool look_at_jobs(Try *t, DdlJobs *jobs, Err *err)
{
    *jobs = DDL_JOBS_UNKNOWN;
    if (!t->d.is_tidb) return true;
    CLEANUP(sb_done) StrBuf marker = {0}, sql = {0};
    target_ddl_marker(&t->j->meta, t->rows[t->at].job, t->rows[t->at].n, &marker);
    sb_c(&sql, "SELECT STATE FROM information_schema.DDL_JOBS WHERE QUERY LIKE ");
    sb_ch(&marker, '%');
    sb_quoted(&sql, sb_view(&marker));
    for (;;) {
        Rows rows;
        if (!conn_query(t->c, sb_view(&sql), &rows, err))
            return err_wrap(err, "looking for the job of a schema change");
        *jobs = DDL_JOBS_UNKNOWN;
        for (Str v[1]; rows.n_columns == 1 && rows_next(&rows, v);)
            *jobs = ddl_jobs_add(*jobs, v[0]);
        rows_done(&rows);
        if (*jobs != DDL_JOBS_ACTIVE) return true;
        report_phase(t, TARGET_DDL_WAITING_JOB);
        if (!t->j->wake)
            return err_set(err, ERR_DB_RETRY, "downstream: the job of a schema change still runs");
        if (waker_sleep(t->j->wake, JOB_LOOK_MS)) return err_set(err, ERR_CANCELLED, "stopped on request");
    }
}

/* -- one statement -- */

static bool mark(Try *t, DdlMark what, const char *error, Err *err)
{
    DdlMarking m = {.meta = &t->j->meta,
                    .epoch = t->j->epoch,
                    .row = &t->rows[t->at],
                    .mark = what,
                    .error = error,
                    .last = t->at + 1 == t->n};
    return ddl_journal_mark(t->c, &t->d, &m, err);
}

static bool step_done(Try *t, Err *err)
{
    if (!mark(t, DDL_MARK_DONE, NULL, err)) return false;
    if (FAULT("ddl.done")) return err_set(err, ERR_DB_LOST, "fault ddl.done");
    t->at++;
    return true;
}

/* Writes down why it does not go on; why is moved to err. A failure to write it is the error that is
 * returned.
 */
static bool step_stuck(Try *t, DdlMark what, Err *why, Err *err)
{
    if (mark(t, what, why->message, err)) err_move(err, why);
    err_clear(why);
    return false;
}

/* May the statement have run, or still run, although there was an error? Then the next try looks. */
static bool look_again(const Err *e)
{
    return e->code == ERR_CANCELLED || err_class(e) == ERR_CLASS_RETRY;
}

static bool refused(Try *t, Err *cause, Err *err)
{
    const TargetDdlRow *row = &t->rows[t->at];
    /* "already exists", "no such column" and whatever else: done only when the table is what it shall be */
    if (!read_live(t, err)) {
        err_clear(cause);
        return false;
    }
    if (ddl_same_print(live_print(t), row->after) && !ddl_same_print(row->before, row->after)) {
        err_clear(cause);
        return step_done(t, err);
    }
    Err why = {0};
    ddl_refused_error(row, cause, &why);
    return step_stuck(t, DDL_MARK_FAILED, &why, err);
}

static bool send_statement(Try *t, Err *err)
{
    const TargetDdlRow *row = &t->rows[t->at];
    if (str_eqc(row->statement, TARGET_DDL_SETTLE)) /* it does nothing by itself: never sent */
        return t->j->settle ? t->j->settle(t->j->settle_ctx, t->c, &t->d, err)
                            : err_set(err, ERR_BUG, "rows beside the target are to be settled, by nobody");
    CLEANUP(sb_done) StrBuf sql = {0};
    target_ddl_marker(&t->j->meta, row->job, row->n, &sql);
    sb_ch(&sql, ' ');
    sb_str(&sql, row->statement);
    TargetDdlProgress p = progress_of(t, TARGET_DDL_RUNNING);
    p.connection = conn_id(t->c);
    report(t, &p);
    ddl_watch_tell(t->watch, &p);
    bool ok = conn_exec(t->c, sb_view(&sql), NULL, err);
    ddl_watch_tell(t->watch, NULL);
    return ok;
}

static bool run_statement(Try *t, Err *err)
{
    const TargetDdlRow *row = &t->rows[t->at];
    Err cause = {0};
    if (!mark(t, DDL_MARK_INTENT, NULL, err)) return false;
    if (FAULT("ddl.intent")) return err_set(err, ERR_DB_LOST, "fault ddl.intent");
    if (!send_statement(t, &cause)) {
        if (!look_again(&cause)) return refused(t, &cause, err);
        err_move(err, &cause);
        return false;
    }
    if (FAULT("ddl.sent")) return err_set(err, ERR_DB_LOST, "fault ddl.sent");
    if (!read_live(t, err)) return false;
    if (ddl_same_print(live_print(t), row->after)) return step_done(t, err);
    Err why = {0};
    ddl_differs_error(row, live_print(t), DDL_DIFFERS, true, &why);
    return step_stuck(t, DDL_MARK_ERROR, &why, err);
}

static bool step(Try *t, Err *err)
{
    const TargetDdlRow *row = &t->rows[t->at];
    DdlJobs jobs;
    if (!look_at_jobs(t, &jobs, err) || !read_live(t, err)) return false;
    DdlVerdict v = ddl_judge(row, live_print(t), jobs);
    switch (v) {
    case DDL_RUN: return run_statement(t, err);
    case DDL_DONE: return step_done(t, err);
    case DDL_UNCLEAR:
    case DDL_DIFFERS: break;
    }
    Err why = {0};
    ddl_differs_error(row, live_print(t), v, false, &why);
    return step_stuck(t, DDL_MARK_ERROR, &why, err);
}

/* -- tries -- */

static void try_done(Try *t)
{
    ddl_watch_stop(t->watch);
    conn_close(t->c);
    arena_done(&t->arena);
    sb_done(&t->live);
}

/* At most one statement. *left: some are. */
static bool try_once(const TargetDdlJob *j, bool *left, Err *err)
{
    Try t = {.j = j};
    *left = true;
    bool ok = open_session(&t, err) && take_lock(&t, err) &&
              ddl_journal_open(t.c, &t.d, j, &t.arena, &t.rows, &t.n, err);
    if (ok) {
        t.at = ddl_first_open(t.rows, t.n);
        ok = t.at == t.n || step(&t, err);
        *left = t.at < t.n;
    }
    if (ok && !*left) report_phase(&t, TARGET_DDL_FINISHED);
    try_done(&t);
    return ok;
}

/* Sleeps before the next try; false when there is none. */
static bool pause_before_retry(const TargetDdlJob *j, unsigned failures, Err *err)
{
    if (j->session.conn.cancel && conn_cancel_fired(j->session.conn.cancel)) {
        err_clear(err);
        return err_set(err, ERR_CANCELLED, "stopped on request");
    }
    if (!j->wake || err->code == ERR_CANCELLED || err_class(err) != ERR_CLASS_RETRY) return false;
    TargetDdlProgress p = {.phase = TARGET_DDL_RETRYING, .percent = -1, .why = err};
    if (j->progress) j->progress(j->ctx, &p);
    int64_t ms = RETRY_FIRST_MS;
    for (unsigned i = 1; i < failures && ms < RETRY_LONGEST_MS; i++)
        ms *= 2;
    bool woken = waker_sleep(j->wake, MIN(ms, RETRY_LONGEST_MS));
    err_clear(err);
    return !woken || err_set(err, ERR_CANCELLED, "stopped on request");
}

bool target_ddl_run(const TargetDdlJob *j, Err *err)
{
    unsigned failures = 0;
    for (bool left = true; left;) {
        if (try_once(j, &left, err)) {
            failures = 0;
            continue;
        }
        if (pause_before_retry(j, ++failures, err)) continue;
        bool placed =
            err->code == ERR_DDL_DIFFERS || err->code == ERR_DDL_REFUSED || err->code == ERR_DDL_JOURNAL;
        return placed ? false
                      : err_wrap(err, "schema change of " STR_FMT "." STR_FMT, STR_ARG(j->target.schema),
                                 STR_ARG(j->target.table));
    }
    return true;
}
