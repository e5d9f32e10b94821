#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include "apply/target_ddl_impl.h"
#include "base/check.h"
#include "base/poison.h"

enum {
    TICK_MS = 2000,
    TICKS_GONE = 3,         /* so often in a row it has ended in the server, and nobody told us */
    TICKS_UNREACHABLE = 30, /* so long nobody there answers */
};

/* Owner: the thread that runs the statement; the watching thread has everything but `thread` until it is
 * joined. */
struct DdlWatch {
    pthread_t thread;
    Waker wake;
    ConnCancel *cancel; /* of the watching connection alone */
    ConnOpts conn;
    const TargetDdlJob *j;
    TargetDdlProgress p;
    Conn *watched;
    bool is_mariadb, is_tidb;
    int64_t tick_ms;
    bool seen; /* the statement, in the server's list */
    unsigned gone;
};

/* Row of the watched session in SHOW PROCESSLIST: which every server has, for the sessions of one's own user.
 * *running: it is there and does something. MariaDB tells how far it is. */
static bool look_at_session(DdlWatch *w, Conn *c, bool *running, Err *err)
{
    Rows rows;
    *running = false;
    w->p.percent = -1;
    if (!conn_query(c, STR("SHOW PROCESSLIST"), &rows, err)) return false;
    int id = rows_column(&rows, "Id"), command = rows_column(&rows, "Command"),
        progress = rows_column(&rows, "Progress");
    Str *v = mem_zalloc(sizeof *v * (rows.n_columns + 1));
    while (id >= 0 && command >= 0 && rows_next(&rows, v)) {
        uint64_t n;
        if (!str_to_u64(v[id], &n) || n != w->p.connection) continue;
        *running = !str_ieq(v[command], STR("Sleep"));
        Str whole = progress >= 0 ? v[progress] : (Str){0};
        uint64_t percent;
        if (str_to_u64(str_split(&whole, '.'), &percent) && percent <= 100) w->p.percent = (int)percent;
    }
    free(v);
    rows_done(&rows);
    return true;
}

/* MySQL tells it in the performance schema, where the stages are switched on. */
static void look_at_stages(DdlWatch *w, Conn *c)
{
    Err ignored = {0}; /* switched off, or not allowed: then nobody knows how far it is */
    Rows rows;
    if (!conn_queryf(
            c, &rows, &ignored,
            "SELECT e.WORK_COMPLETED, e.WORK_ESTIMATED FROM performance_schema.events_stages_current e "
            "JOIN performance_schema.threads t ON t.THREAD_ID = e.THREAD_ID WHERE t.PROCESSLIST_ID = "
            "%llu AND e.WORK_ESTIMATED > 0",
            (unsigned long long)w->p.connection)) {
        err_clear(&ignored);
        return;
    }
    uint64_t done, of;
    for (Str v[2]; rows_next(&rows, v);)
        if (str_to_u64(v[0], &done) && str_to_u64(v[1], &of) && of > 0)
            w->p.percent = (int)((double)MIN(done, of) * 100 / (double)of);
    rows_done(&rows);
}

/* False: nobody answered. */
static bool look(DdlWatch *w, Conn **c)
{
    Err err = {0};
    bool running = false;
    bool ok = (*c || conn_open(&w->conn, c, &err)) && look_at_session(w, *c, &running, &err);
    err_clear(&err);
    if (!ok) {
        conn_close(*c);
        *c = NULL;
        return false;
    }
    if (running && !w->is_mariadb && !w->is_tidb) look_at_stages(w, *c);
    w->seen = w->seen || running;
    w->gone = running || !w->seen ? 0 : w->gone + 1;
    if (running && w->j->progress) w->j->progress(w->j->ctx, &w->p);
    return true;
}

static void *watch(void *ctx)
{
    DdlWatch *w = ctx;
    Conn *c = NULL;
    int64_t answered = clock_mono_ms();
    while (!waker_sleep(&w->wake, w->tick_ms)) {
        if (look(w, &c)) answered = clock_mono_ms();
        bool unreachable = clock_mono_ms() - answered > w->tick_ms * TICKS_UNREACHABLE;
        if (unreachable || w->gone >= TICKS_GONE) conn_kill_socket(w->watched);
    }
    conn_close(c);
    conn_thread_end();
    return NULL;
}

DdlWatch *ddl_watch_start(const TargetDdlJob *j, const Dialect *d, Conn *watched, const TargetDdlProgress *p)
{
    DdlWatch *w = mem_zalloc(sizeof *w);
    w->j = j;
    w->p = *p;
    w->watched = watched;
    w->is_mariadb = d->is_mariadb;
    w->is_tidb = d->is_tidb;
    w->tick_ms = j->watch_ms ? j->watch_ms : TICK_MS;
    w->cancel = conn_cancel_new();
    w->conn = j->session.conn;
    w->conn.cancel = w->cancel;
    w->conn.connect_timeout_s = w->conn.read_timeout_s = w->conn.write_timeout_s = 10;
    waker_init(&w->wake);
    CHECK(pthread_create(&w->thread, NULL, watch, w) == 0, "cannot start a thread");
    return w;
}

void ddl_watch_stop(DdlWatch *w)
{
    waker_wake(&w->wake);
    conn_cancel_fire(w->cancel);
    pthread_join(w->thread, NULL);
    conn_cancel_free(w->cancel);
    waker_done(&w->wake);
    free(w);
}
