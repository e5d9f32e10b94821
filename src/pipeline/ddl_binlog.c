/* Held rows lie in the source's binlog: is it kept as long as they wait? Coordinator. */
#include <stdlib.h>
#include "base/log.h"
#include "db/server.h"
#include "pipeline/ddl_impl.h"
#include "pipeline/errand.h"
#include "base/poison.h"

enum { ASK_EVERY_MS = 30 * 1000 };

/* One source after the other. */
struct DdlBinlogLook {
    Errand errand;
    Ddl *d;
    uint32_t source;
};

/* MySQL 8 and MariaDB 10.6 count in seconds, others in days; 0 is for ever. */
static bool ask_keeps(Conn *conn, uint64_t *seconds, Err *err)
{
    enum { DAY = 86400 };
    Rows rows;
    Str v[2];
    uint64_t by_seconds = 0, by_days = 0, n;
    bool purges = true;
    if (!conn_query(conn,
                    STR("SHOW GLOBAL VARIABLES WHERE Variable_name IN ('binlog_expire_logs_seconds', "
                        "'expire_logs_days', 'binlog_expire_logs_auto_purge')"),
                    &rows, err))
        return false;
    while (rows.n_columns == 2 && rows_next(&rows, v)) {
        Str whole = str_split(&v[1], '.'); /* MariaDB: days as 0.000000 */
        if (str_ieq(v[0], STR("binlog_expire_logs_auto_purge")))
            purges = !str_ieq(whole, STR("OFF"));
        else if (str_to_u64(whole, &n) && str_ieq(v[0], STR("expire_logs_days")))
            by_days = n;
        else if (str_to_u64(whole, &n))
            by_seconds = n;
    }
    rows_done(&rows);
    *seconds = !purges ? 0 : by_seconds ? by_seconds : by_days * DAY;
    return true;
}

static bool waits(const DdlFork *f)
{
    return !f->finished && !f->has_to;
}

int64_t ddl_binlog_left_s(const DdlFork *f)
{
    if (!f->binlog.asked || !f->binlog.keeps_s || f->binlog.purged) return f->binlog.purged ? 0 : -1;
    int64_t left = (int64_t)f->binlog.keeps_s - (clock_wall_ms() - f->since_ms) / 1000;
    return MAX(left, (int64_t)0);
}

/* Half of the time is gone, or the file is. */
static void warn(Ddl *d, DdlFork *f)
{
    int64_t left = ddl_binlog_left_s(f);
    if (f->binlog.warned || left < 0 || (!f->binlog.purged && left > (int64_t)f->binlog.keeps_s / 2)) return;
    f->binlog.warned = true;
    StrBuf from = {0};
    point_format_human(&f->from, &from);
    log_write(LOGEV_BINLOG_EXPIRES, LOG_STR("source", d->p->task->sources[f->member->source].id),
              LOG_STR("table", f->member->label), LOG_STR("position", sb_view(&from)),
              LOG_S("state", f->binlog.purged ? "purged: restore it, or detach the table" : "expires"),
              LOG_I("left_s", left));
    sb_done(&from);
}

static void note(Ddl *d, uint32_t source, const ServerLogs *logs, uint64_t keeps_s)
{
    pthread_mutex_lock(&d->mutex);
    for (DdlFork *f = d->sources[source].forks; f; f = f->next) {
        if (!waits(f)) continue;
        f->binlog.asked = true;
        f->binlog.keeps_s = keeps_s;
        f->binlog.purged = f->from.file && server_logs_purged(logs, str_of(f->from.file));
        warn(d, f);
    }
    pthread_mutex_unlock(&d->mutex);
}

static void ask(void *ctx, ConnCancel *cancel)
{
    const DdlBinlogLook *look = ctx;
    Ddl *d = look->d;
    uint32_t source = look->source;
    Conn *conn = NULL;
    Err err = {0};
    ServerLogs logs = {0};
    uint64_t keeps_s = 0;
    if (stream_connect_until(&d->p->streams[source], cancel, &conn, &err) &&
        ask_keeps(conn, &keeps_s, &err) && server_logs(conn, &logs, &err))
        note(d, source, &logs, keeps_s);
    server_logs_done(&logs);
    conn_close(conn);
    err_clear(&err); /* the stream tells what is wrong with its server */
}

static bool is_due(Ddl *d, uint32_t source, int64_t now)
{
    DdlSource *s = &d->sources[source];
    if (!atomic_load(&s->n_forks) || (s->binlog_asked_ms && now - s->binlog_asked_ms < ASK_EVERY_MS))
        return false;
    bool any = false;
    pthread_mutex_lock(&d->mutex);
    for (const DdlFork *f = s->forks; f; f = f->next)
        any |= waits(f) && clock_wall_ms() - f->since_ms > 1000;
    pthread_mutex_unlock(&d->mutex);
    return any;
}

void ddl_binlog_tick(Ddl *d)
{
    int64_t now = clock_mono_ms();
    if (d->look && d->look->errand.under_way && !errand_is_over(&d->look->errand)) return;
    for (uint32_t i = 0; i < d->n_sources; i++) {
        Err err = {0};
        if (!is_due(d, i, now)) continue;
        d->sources[i].binlog_asked_ms = now;
        if (!d->look) d->look = mem_zalloc(sizeof *d->look);
        d->look->d = d;
        d->look->source = i;
        bool begun = errand_begin(&d->look->errand, ask, d->look, &err);
        err_clear(&err); /* without a thread it is asked later */
        if (begun) return;
    }
}

void ddl_binlog_stop(Ddl *d)
{
    if (d->look) errand_end(&d->look->errand);
    free(d->look);
    d->look = NULL;
}
