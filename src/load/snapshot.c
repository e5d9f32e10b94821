/* Reading rows that are true to a position, without a lock that lasts.
 *
 *   SNAPSHOT  MariaDB: a snapshot of the engine and the binlog position that belongs to it are taken in one
 *             (Binlog_snapshot_file, _position): exact, but for XA (unseen.h). Asked for it the server may
 *             answer with another session's (snapshot_place).
 *   WINDOW    MySQL with GTIDs: gtid_executed holds everything before the mark, then the SELECT, then the
 *             binlog's position. Rows may be newer than the first and never newer than the second.
 *             (gtid_executed lags behind what is visible, so it may not stand at the end; the binlog's
 *             position runs ahead of it, so it may not stand at the beginning.)
 *   LOCK      LOCK TABLES t READ waits for the commits of everybody who writes t; while it holds, a second
 *             connection takes its snapshot and the position is read: exact for t.
 *
 *   TASK      consistency: snapshot. All tables are locked for a moment while every reader's connection takes
 *             its snapshot. Changes behind it wait until their rows are copied. A connection that is lost
 *             takes its snapshot along: the run begins anew with another one.
 *   HELD      a table of an engine without transactions has no snapshot: the lock is held for as long as the
 *             chunk is read.
 *
 * A snapshot is of rows, not of definitions: read after an ALTER, an older snapshot may show the old rows
 * under the new columns (measured: MariaDB, DROP and ADD of one column in place; both, two columns that
 * change names). Where tables may change (follows), the definition at U is kept until the rows are read: by
 * the table's lock, or by a second connection that has read the table in an open transaction when the
 * snapshot is taken, until the first one has done so too. WINDOW needs none: its U is asked for behind the
 * SELECT, so a change that the SELECT could see lies before U.
 *
 * A server sends a transaction to its replicas before others can see it. So the mark may be ahead of what is
 * visible: every way waits until what it sees contains the mark. */
#include <stdlib.h>
#include "base/clock.h"
#include "base/fault.h"
#include "db/server.h"
#include "load/load_impl.h"
#include "load/unseen.h"
#include "base/poison.h"

enum { VISIBLE_MS = 60000, LOCK_WAIT_S = 2, LOCK_TRIES = 30, DEFINITION_WAIT_S = 60 };

void snapshot_done(Snapshot *s)
{
    free(s->file);
    doubt_free(s->doubt);
    *s = (Snapshot){0};
}

/* Of a MySQL. */
static bool read_settings(Conn *c, bool *gtid, bool *full, Err *err)
{
    Rows rows;
    Str v[2];
    *gtid = false;
    *full = true;
    if (!conn_query(c, STR("SELECT @@global.gtid_mode, @@global.binlog_row_image"), &rows, err)) return false;
    if (rows_next(&rows, v)) {
        *gtid = str_ieq(v[0], STR("ON"));
        *full = str_ieq(v[1], STR("FULL"));
    }
    rows_done(&rows);
    return true;
}

static bool no_snapshot_of(const Load *l, const Work *w, Err *err)
{
    return err_set_remedy(
        err, ERR_NOT_SUPPORTED,
        "ALTER TABLE … ENGINE=InnoDB, or begin anew with consistency: chunk or without the table, " ERR_PAST,
        "source %s: table " STR_FMT "." STR_FMT ": engine " STR_FMT
        " has no transactions, so no snapshot of the task",
        l->opts.source_id, STR_ARG(w->table->member->name.schema), STR_ARG(w->table->member->name.table),
        STR_ARG(w->shape->info.schema->engine));
}

bool snapshot_way(Load *l, Conn *c, const Work *w, ReadWay *out, Err *err)
{
    bool gtid, full, transactional = engine_has_transactions(w->shape->info.schema->engine);
    *out = READ_TASK;
    if (load_has_snapshot(l)) return transactional || no_snapshot_of(l, w, err);
    *out = READ_HELD;
    if (!transactional) return true;
    *out = READ_SNAPSHOT;
    if (l->flavor == FLAVOR_MARIADB) return true;
    *out = READ_LOCK;
    if (!w->shape->key || !l->use_gtid) return true;
    if (!read_settings(c, &gtid, &full, err)) return false;
    if (gtid && full) *out = READ_WINDOW;
    return true;
}

/* ---- SNAPSHOT ---- */

/* One answer of the server, which may be that of another session (docs/adr/0039). */
static bool ask_place(LoadReader *r, char **file, uint64_t *pos, Err *err)
{
    Rows rows;
    Str v[2];
    bool has_pos = false;
    *file = NULL;
    if (!conn_query(r->conn, STR("SHOW STATUS LIKE 'binlog\\_snapshot\\_%'"), &rows, err)) return false;
    while (rows_next(&rows, v)) {
        if (str_ieq(v[0], STR("Binlog_snapshot_file")) && v[1].len) {
            free(*file);
            *file = str_dup(v[1]);
        }
        if (str_ieq(v[0], STR("Binlog_snapshot_position"))) has_pos = str_to_u64(v[1], pos);
    }
    rows_done(&rows);
    if (*file && has_pos) return true;
    free(*file);
    *file = NULL;
    return err_set_remedy(err, ERR_SOURCE_SETTING, "switch log_bin on on the source",
                          "source %s: a snapshot has no binlog position: the source writes no binlog",
                          r->load->opts.source_id);
}

/* The snapshot's own place never changes; another's gets between a question and its answer now and then. So
 * it is what was answered SAME times one after the other. Our own readers ask in turn. */
static bool snapshot_place(LoadReader *r, Snapshot *out, Err *err)
{
    enum { SAME = 4, MOST = 400 };
    pthread_mutex_lock(&r->load->place_mutex);
    unsigned same = 0;
    bool ok = true;
    for (unsigned i = 0; ok && same < SAME && i < MOST; i++) {
        char *file;
        uint64_t pos = 0;
        ok = ask_place(r, &file, &pos, err);
        if (!ok) break;
        bool again = out->file && strcmp(out->file, file) == 0 && out->pos == pos;
        same = i && again ? same + 1 : 1;
        free(out->file);
        out->file = file;
        out->pos = pos;
    }
    pthread_mutex_unlock(&r->load->place_mutex);
    return ok &&
           (same == SAME ||
            err_set_remedy(err, ERR_DB_RETRY, "let fewer sessions run SHOW STATUS on the source at a time",
                           "source %s: the server does not answer the same twice when asked for the "
                           "position of a snapshot",
                           r->load->opts.source_id));
}

/* Reads nothing of the table in the open transaction: its definition stays until the end of that. */
static bool keep_definition(Conn *c, const Work *w, Err *err)
{
    StrBuf sql = {0};
    sb_c(&sql, "SELECT 1 FROM ");
    table_name_sql(w->shape->info.name, &sql);
    sb_c(&sql, " LIMIT 0");
    bool ok = conn_exec(c, sb_view(&sql), NULL, err);
    sb_done(&sql);
    return ok;
}

/* While we hold it nobody may wait long: a change that comes in between waits for us, and we would wait
 * behind it. *again: that has happened. */
static bool keep_definition_too(Conn *c, const Work *w, bool *again, Err *err)
{
    enum { LOCK_WAIT_TIMEOUT = 1205 };
    bool ok = conn_execf(c, err, "SET SESSION lock_wait_timeout = 1") && keep_definition(c, w, err);
    *again = !ok && err->server_errno == LOCK_WAIT_TIMEOUT;
    if (*again) err_clear(err);
    return (ok || *again) && conn_execf(c, err, "SET SESSION lock_wait_timeout = %d", DEFINITION_WAIT_S);
}

static bool guard_begin(LoadReader *r, const Work *w, Err *err)
{
    if (!r->load->opts.follows) return true;
    return (r->guard || reader_connect(r, &r->guard, err)) &&
           conn_exec(r->guard, STR("START TRANSACTION"), NULL, err) && keep_definition(r->guard, w, err);
}

/* *again: the snapshot is given up, and is to be taken anew. */
static bool guard_end(LoadReader *r, const Work *w, bool *again, Err *err)
{
    *again = false;
    if (!r->load->opts.follows) return true;
    bool ok = keep_definition_too(r->conn, w, again, err) && conn_exec(r->guard, STR("ROLLBACK"), NULL, err);
    return ok && (!*again || conn_exec(r->conn, STR("ROLLBACK"), NULL, err));
}

static bool begin_snapshot(LoadReader *r, const Work *w, Snapshot *out, Err *err)
{
    int64_t deadline = clock_mono_ms() + VISIBLE_MS;
    bool again;
    if (!unseen_wait(r, err)) return false;
    for (int64_t wait_ms = 1;; wait_ms = MIN(wait_ms * 2, (int64_t)50)) {
        int c = 0;
        doubt_free(out->doubt);
        out->doubt = NULL;
        if (!doubt_read(r, &out->doubt, err) || !guard_begin(r, w, err) ||
            !conn_exec(r->conn, STR("START TRANSACTION WITH CONSISTENT SNAPSHOT"), NULL, err))
            return false;
        if (FAULT("load.in_snapshot")) return err_set(err, ERR_DB_LOST, "fault load.in_snapshot");
        if (!guard_end(r, w, &again, err)) return false;
        if (again) {
            if (reader_sleep(r, 50)) return err_set(err, ERR_CANCELLED, "stopping");
            if (clock_mono_ms() <= deadline) continue;
            return err_set(err, ERR_DB_RETRY, "source %s: a schema change of the table waits on the server",
                           r->load->opts.source_id);
        }
        if (!snapshot_place(r, out, err)) return false;
        if (!place_cmp(out->file, out->pos, str_of(w->mark.file), w->mark.pos, &c))
            return err_set(err, ERR_DB_LOST,
                           "source %s: the snapshot stands at %s, which is not of the stream",
                           r->load->opts.source_id, out->file);
        if (c >= 0) return true;
        if (!conn_exec(r->conn, STR("ROLLBACK"), NULL, err)) return false;
        if (clock_mono_ms() > deadline)
            return err_set(err, ERR_DB_RETRY,
                           "source %s: what the stream has read (up to %s:%llu) does not become visible",
                           r->load->opts.source_id, w->mark.file, (unsigned long long)w->mark.pos);
        if (reader_sleep(r, wait_ms)) return err_set(err, ERR_CANCELLED, "stopping");
    }
}

/* ---- WINDOW ---- */

static bool begin_window(LoadReader *r, const Work *w, Err *err)
{
    int64_t deadline = clock_mono_ms() + VISIBLE_MS;
    StrBuf sql = {0}, set = {0};
    bool ok = true, seen = false;
    if (w->mark.gtids) gtidset_format(w->mark.gtids, &set);
    sb_c(&sql, "SELECT GTID_SUBSET(");
    sb_quoted(&sql, sb_view(&set));
    sb_c(&sql, ", @@global.gtid_executed)");
    for (int64_t wait_ms = 1; ok && !seen; wait_ms = MIN(wait_ms * 2, (int64_t)50)) {
        char *text = NULL;
        ok = conn_scalar(r->conn, sb_view(&sql), &text, err);
        seen = ok && text && strcmp(text, "1") == 0;
        free(text);
        if (!ok || seen) break;
        if (clock_mono_ms() > deadline)
            ok = err_set(err, ERR_DB_RETRY,
                         "source %s: what the stream has read does not get into gtid_executed",
                         r->load->opts.source_id);
        else if (reader_sleep(r, wait_ms))
            ok = err_set(err, ERR_CANCELLED, "stopping");
    }
    sb_done(&sql);
    sb_done(&set);
    return ok;
}

static bool read_place(LoadReader *r, Conn *c, Snapshot *out, Err *err)
{
    StreamPoint at;
    if (!server_current_point(c, r->load->flavor, &at, err)) return false;
    free(out->file);
    out->file = str_dup(str_of(at.file));
    out->pos = at.pos;
    point_done(&at);
    return true;
}

/* ---- LOCK ---- */

static bool lock_table(LoadReader *r, Conn *c, const Work *w, Err *err)
{
    enum { LOCK_WAIT_TIMEOUT = 1205 };
    StrBuf sql = {0};
    sb_c(&sql, "LOCK TABLES ");
    table_name_sql(w->shape->info.name, &sql);
    sb_c(&sql, " READ");
    bool ok = conn_execf(c, err, "SET SESSION lock_wait_timeout = %d", LOCK_WAIT_S);
    for (unsigned tries = 0; ok; tries++) {
        ok = conn_exec(c, sb_view(&sql), NULL, err);
        if (ok || err->server_errno != LOCK_WAIT_TIMEOUT || tries == LOCK_TRIES) break;
        /* A long transaction holds the table. Waiting on would make everybody else wait behind us. */
        err_clear(err);
        ok = !reader_sleep(r, 500) || err_set(err, ERR_CANCELLED, "stopping");
    }
    if (!ok && err->code == ERR_DB_ACCESS_DENIED) {
        Err cause = {0};
        err_move(&cause, err);
        err_set_remedy(err, ERR_SOURCE_SETTING,
                       engine_has_transactions(w->shape->info.schema->engine)
                           ? "GRANT LOCK TABLES on the routed schemas to the source's user, or set "
                             "gtid_mode=ON on the source and enable-gtid: true"
                           : "GRANT LOCK TABLES on the routed schemas to the source's user, or ALTER TABLE … "
                             "ENGINE=InnoDB",
                       "source %s: %s", r->load->opts.source_id, cause.message);
        err_clear(&cause);
    }
    sb_done(&sql);
    return ok;
}

static bool begin_lock(LoadReader *r, const Work *w, Snapshot *out, Err *err)
{
    Conn *locker = NULL;
    bool again = false;
    bool ok = reader_connect(r, &locker, err) && lock_table(r, locker, w, err) &&
              conn_exec(r->conn, STR("START TRANSACTION WITH CONSISTENT SNAPSHOT"), NULL, err) &&
              read_place(r, locker, out, err) &&
              (!r->load->opts.follows || keep_definition_too(r->conn, w, &again, err)) &&
              conn_exec(locker, STR("UNLOCK TABLES"), NULL, err);
    conn_close(locker); /* unlocks in any case */
    if (ok && again)
        return err_set(err, ERR_DB_RETRY, "source %s: a schema change of the table waits on the server",
                       r->load->opts.source_id);
    return ok;
}

static bool begin_held(LoadReader *r, const Work *w, Snapshot *out, Err *err)
{
    return lock_table(r, r->conn, w, err) && read_place(r, r->conn, out, err);
}

/* ---- TASK ---- */

static bool lock_all(LoadReader *r, Conn *c, Err *err)
{
    enum { LOCK_WAIT_TIMEOUT = 1205 };
    bool ok = conn_execf(c, err, "SET SESSION lock_wait_timeout = %d", LOCK_WAIT_S);
    for (unsigned tries = 0; ok; tries++) {
        ok = conn_exec(c, STR("FLUSH TABLES WITH READ LOCK"), NULL, err);
        if (ok || err->server_errno != LOCK_WAIT_TIMEOUT || tries == LOCK_TRIES) break;
        err_clear(err);
        ok = !reader_sleep(r, 500) || err_set(err, ERR_CANCELLED, "stopping");
    }
    if (ok || err->code != ERR_DB_ACCESS_DENIED) return ok;
    Err cause = {0};
    err_move(&cause, err);
    err_set_remedy(err, ERR_SOURCE_SETTING,
                   "GRANT RELOAD to the source's user, or take consistency: chunk in load", "source %s: %s",
                   r->load->opts.source_id, cause.message);
    err_clear(&cause);
    return false;
}

bool snapshot_of_task(LoadReader *first, Snapshot *out, Err *err)
{
    Load *l = first->load;
    Conn *locker = NULL;
    *out = (Snapshot){.exact = true};
    bool ok = reader_connect(first, &locker, err) && lock_all(first, locker, err);
    for (uint32_t i = 0; ok && i < l->n_readers; i++) {
        LoadReader *r = &l->readers[i];
        ok = (r->conn || reader_connect(r, &r->conn, err)) &&
             conn_exec(r->conn, STR("START TRANSACTION WITH CONSISTENT SNAPSHOT"), NULL, err);
    }
    ok = ok && read_place(first, locker, out, err) && conn_exec(locker, STR("UNLOCK TABLES"), NULL, err);
    conn_close(locker); /* unlocks in any case */
    return ok;
}

/* ---- */

bool snapshot_begin(LoadReader *r, ReadWay way, const Work *w, Snapshot *out, Err *err)
{
    *out = (Snapshot){.exact = way != READ_WINDOW};
    switch (way) {
    case READ_SNAPSHOT: return begin_snapshot(r, w, out, err);
    case READ_WINDOW: return begin_window(r, w, err);
    case READ_LOCK: return begin_lock(r, w, out, err);
    case READ_HELD: return begin_held(r, w, out, err);
    case READ_TASK:
        out->file = str_dup(str_of(r->load->start_file)); /* constant since it was taken */
        out->pos = r->load->start_pos;
        return true;
    }
    return false;
}

bool snapshot_end(LoadReader *r, ReadWay way, Snapshot *s, Err *err)
{
    if (way == READ_TASK) return true;
    if (way == READ_WINDOW) return read_place(r, r->conn, s, err);
    return conn_exec(r->conn, way == READ_HELD ? STR("UNLOCK TABLES") : STR("ROLLBACK"), NULL, err);
}
