#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include "apply/target_ddl_impl.h"
#include "base/check.h"
#include "base/poison.h"

enum {
    TICK_MS = 2000,
    TICKS_GONE = 3,         /* so often in a row the server has ended what was asked, and nobody told us */
    TICKS_UNREACHABLE = 30, /* so long nobody there answers */
};

/* The watched session, in the server's list. */
typedef struct Listed {
    bool there, running;
    uint64_t idle_s; /* there, not running */
    int percent;     /* running; -1: not told */
} Listed;

/* Owner: the thread that uses the session; the watching thread has everything but `thread` until it is
 * joined, and what the mutex guards with the other. */
struct DdlWatch {
    pthread_t thread;
    Waker wake;
    ConnCancel *cancel; /* of the watching connection alone */
    ConnOpts conn;
    const TargetDdlJob *j;
    Conn *watched;
    bool is_mariadb, is_tidb;
    int64_t tick_ms;
    pthread_mutex_t mutex; /* guards the rest */
    bool tells;            /* a statement runs that its progress is asked of: p */
    TargetDdlProgress p;
    bool listed; /* the session was in the list once */
    bool ran;    /* the statement was seen running */
    unsigned gone;
};

/* Row of the watched session in SHOW PROCESSLIST: which every server has, for the sessions of one's own user.
 * MariaDB tells how far its statement is. */
static bool look_at_session(DdlWatch *w, Conn *c, Listed *out, Err *err)
{
    Rows rows;
    *out = (Listed){.percent = -1};
    if (!conn_query(c, STR("SHOW PROCESSLIST"), &rows, err)) return false;
    int id = rows_column(&rows, "Id"), command = rows_column(&rows, "Command"),
        since = rows_column(&rows, "Time"), progress = rows_column(&rows, "Progress");
    Str *v = mem_zalloc(sizeof *v * (rows.n_columns + 1));
    while (id >= 0 && command >= 0 && rows_next(&rows, v)) {
        uint64_t n;
        if (!str_to_u64(v[id], &n) || n != conn_id(w->watched)) continue;
        out->there = true;
        out->running = !str_ieq(v[command], STR("Sleep"));
        if (since < 0 || !str_to_u64(v[since], &out->idle_s)) out->idle_s = 0;
        Str whole = progress >= 0 ? v[progress] : (Str){0};
        uint64_t percent;
        if (str_to_u64(str_split(&whole, '.'), &percent) && percent <= 100) out->percent = (int)percent;
    }
    free(v);
    rows_done(&rows);
    return true;
}

/* MySQL tells it in the performance schema, where the stages are switched on. */
static void look_at_stages(DdlWatch *w, Conn *c, Listed *l)
{
    Err ignored = {0}; /* switched off, or not allowed: then nobody knows how far it is */
    Rows rows;
    if (!conn_queryf(
            c, &rows, &ignored,
            "SELECT e.WORK_COMPLETED, e.WORK_ESTIMATED FROM performance_schema.events_stages_current e "
            "JOIN performance_schema.threads t ON t.THREAD_ID = e.THREAD_ID WHERE t.PROCESSLIST_ID = "
            "%llu AND e.WORK_ESTIMATED > 0",
            (unsigned long long)conn_id(w->watched))) {
        err_clear(&ignored);
        return;
    }
    uint64_t done, of;
    for (Str v[2]; rows_next(&rows, v);)
        if (str_to_u64(v[0], &done) && str_to_u64(v[1], &of) && of > 0)
            l->percent = (int)((double)MIN(done, of) * 100 / (double)of);
    rows_done(&rows);
}

/* Has the server ended what it was asked, so that its answer should be here? Between two statements a session
 * is idle for a moment. */
static bool has_ended(const DdlWatch *w, const Listed *l)
{
    if (l->running) return false;
    if (w->tells && w->ran) return true;
    return l->there ? (int64_t)l->idle_s * 1000 >= w->tick_ms : w->listed;
}

/* False: nobody answered. */
static bool look(DdlWatch *w, Conn **c)
{
    Err err = {0};
    Listed l = {0};
    bool ok = (*c || conn_open(&w->conn, c, &err)) && look_at_session(w, *c, &l, &err);
    err_clear(&err);
    if (!ok) {
        conn_close(*c);
        *c = NULL;
        return false;
    }
    if (l.running && !w->is_mariadb && !w->is_tidb) look_at_stages(w, *c, &l);
    pthread_mutex_lock(&w->mutex);
    w->gone = has_ended(w, &l) ? w->gone + 1 : 0;
    w->listed |= l.there;
    w->ran |= l.running;
    w->p.percent = l.percent;
    if (l.running && w->tells && w->j->progress) w->j->progress(w->j->ctx, &w->p);
    bool kill = w->gone >= TICKS_GONE;
    pthread_mutex_unlock(&w->mutex);
    if (kill) conn_kill_socket(w->watched);
    return true;
}

static void *watch(void *ctx)
{
    DdlWatch *w = ctx;
    Conn *c = NULL;
    int64_t answered = clock_mono_ms();
    while (!waker_sleep(&w->wake, w->tick_ms)) {
        if (look(w, &c)) answered = clock_mono_ms();
        if (clock_mono_ms() - answered > w->tick_ms * TICKS_UNREACHABLE) conn_kill_socket(w->watched);
    }
    conn_close(c);
    conn_thread_end();
    return NULL;
}

DdlWatch *ddl_watch_start(const TargetDdlJob *j, const Dialect *d, Conn *watched)
{
    DdlWatch *w = mem_zalloc(sizeof *w);
    w->j = j;
    w->watched = watched;
    w->is_mariadb = d->is_mariadb;
    w->is_tidb = d->is_tidb;
    w->tick_ms = j->watch_ms ? j->watch_ms : TICK_MS;
    w->cancel = conn_cancel_new();
    w->conn = j->session.conn;
    w->conn.cancel = w->cancel;
    w->conn.connect_timeout_s = w->conn.read_timeout_s = w->conn.write_timeout_s = 10;
    waker_init(&w->wake);
    pthread_mutex_init(&w->mutex, NULL);
    CHECK(pthread_create(&w->thread, NULL, watch, w) == 0, "cannot start a thread");
    return w;
}

void ddl_watch_tell(DdlWatch *w, const TargetDdlProgress *p)
{
    pthread_mutex_lock(&w->mutex);
    w->tells = p != NULL;
    if (p) w->p = *p;
    w->ran = false;
    w->gone = 0;
    pthread_mutex_unlock(&w->mutex);
}

void ddl_watch_stop(DdlWatch *w)
{
    if (!w) return;
    waker_wake(&w->wake);
    conn_cancel_fire(w->cancel);
    pthread_join(w->thread, NULL);
    conn_cancel_free(w->cancel);
    waker_done(&w->wake);
    pthread_mutex_destroy(&w->mutex);
    free(w);
}
