#include "pipeline/start_point.h"
#include <stdlib.h>
#include "db/server.h"
#include "db/xa_recover.h"
#include "base/poison.h"

bool start_is_given(const Task *task, const SourceConfig *source)
{
    /* With a copy of the rows there is only one start: now. As in DM, meta counts in mode incremental alone.
     */
    return task->mode == TASK_MODE_INCREMENTAL && source->start.set;
}

/* MariaDB can say which GTIDs stand before a file position. */
static bool gtids_of_position(const SourceConfig *s, Conn *conn, StreamPoint *at, Err *err)
{
    if (at->flavor != FLAVOR_MARIADB)
        return err_set_remedy(err, ERR_CONFIG_VALUE, "give binlog-gtid in meta, or leave enable-gtid off",
                              "source " STR_FMT ": enable-gtid is on, but the start is a file position",
                              STR_ARG(s->id));
    StrBuf sql = {0};
    char *text = NULL;
    sb_c(&sql, "SELECT BINLOG_GTID_POS(");
    sb_quoted(&sql, str_of(at->file));
    sb_printf(&sql, ", %llu)", (unsigned long long)at->pos);
    bool ok = conn_scalar(conn, sb_view(&sql), &text, err);
    if (ok && !text)
        ok = err_set(err, ERR_SOURCE_PURGED, "source " STR_FMT ": the server does not know position %s:%llu",
                     STR_ARG(s->id), at->file, (unsigned long long)at->pos);
    if (ok) ok = gtidset_parse(at->flavor, str_of(text), &at->gtids, err);
    free(text);
    sb_done(&sql);
    return ok;
}

static bool flavor_of(const SourceConfig *s, Conn *conn, Flavor *out, Err *err)
{
    if (!server_detect_flavor(conn, out, err)) return false;
    if (s->flavor == FLAVOR_UNKNOWN || *out == s->flavor) return true;
    return err_set(err, ERR_CONFIG_VALUE, "source " STR_FMT ": flavor says %s, the server is %s",
                   STR_ARG(s->id), flavor_name(s->flavor), flavor_name(*out));
}

/* Nothing is prepared on the server. One that may not be asked passes: should there be something, the stream
 * stops at its XA COMMIT (and `check` names the privilege). */
static bool no_xa_open(const SourceConfig *s, Conn *conn, Err *err)
{
    PreparedXids p;
    if (!xa_recover(conn, &p, err)) {
        if (err->code != ERR_DB_ACCESS_DENIED) return err_wrap(err, "source " STR_FMT, STR_ARG(s->id));
        err_clear(err);
        return true;
    }
    size_t n = p.n;
    if (n)
        err_set(err, ERR_SOURCE_XA_OPEN, "source " STR_FMT ": %zu prepared, one of them " STR_FMT,
                STR_ARG(s->id), n, STR_ARG(p.xids[0]));
    xa_recover_done(&p);
    return n == 0;
}

/* How many statements that end XA transactions the server has begun. Each is counted before it does anything.
 */
static bool xa_ends(const SourceConfig *s, Conn *conn, uint64_t *out, Err *err)
{
    Rows rows;
    *out = 0;
    if (!conn_query(conn,
                    STR("SHOW GLOBAL STATUS WHERE Variable_name IN ('Com_xa_commit', "
                        "'Com_xa_rollback')"),
                    &rows, err))
        return err_wrap(err, "source " STR_FMT, STR_ARG(s->id));
    bool ok = true;
    Str row[2];
    while (ok && rows.n_columns == 2 && rows_next(&rows, row)) {
        uint64_t n;
        ok = str_to_u64(row[1], &n) ||
             err_set(err, ERR_DB_SERVER, "source " STR_FMT ": " STR_FMT " is no number", STR_ARG(s->id),
                     STR_ARG(row[0]));
        if (ok) *out += n;
    }
    rows_done(&rows);
    return ok;
}

/* The point, between two looks: no XA transaction was prepared there, else ERR_SOURCE_XA_OPEN, with the point
 * all the same. One that came and went between the looks is seen by its end. */
static bool try_present(const SourceConfig *s, Conn *conn, Flavor flavor, StreamPoint *out, Err *err)
{
    uint64_t ended, then;
    Err open = {0};
    if (!xa_ends(s, conn, &ended, err)) return false;
    bool looked = no_xa_open(s, conn, &open) || open.code == ERR_SOURCE_XA_OPEN;
    bool ok = looked && server_current_point(conn, flavor, out, err);
    if (open.code && (ok || !looked)) {
        err_move(err, &open);
        return false;
    }
    err_clear(&open);
    return ok && no_xa_open(s, conn, err) && xa_ends(s, conn, &then, err) &&
           (then == ended || err_set(err, ERR_SOURCE_XA_OPEN,
                                     "source " STR_FMT ": XA transactions end all the time", STR_ARG(s->id)));
}

/* No XA transaction prepared before it may end behind it: its rows would stand in front of the stream, and
 * the copy could not tell whether it has them. Where XA transactions come and go, there is soon a moment
 * without any. */
bool start_present(const SourceConfig *s, Conn *conn, StreamPoint *out, Err *err)
{
    enum { TRIES = 40 };
    Flavor flavor = FLAVOR_UNKNOWN;
    *out = (StreamPoint){0};
    bool ok = flavor_of(s, conn, &flavor, err);
    for (unsigned i = 0; ok; i++) {
        point_done(out);
        ok = try_present(s, conn, flavor, out, err);
        if (ok || err->code != ERR_SOURCE_XA_OPEN || i == TRIES) break;
        err_clear(err);
        ok = true;
    }
    if (!s->enable_gtid) {
        gtidset_free(out->gtids);
        out->gtids = NULL;
    } else if (!out->gtids) {
        out->gtids = gtidset_new(flavor);
    }
    return ok;
}

bool start_given(const SourceConfig *s, Conn *conn, StreamPoint *out, Err *err)
{
    const StartPoint *start = &s->start;
    Flavor flavor = FLAVOR_UNKNOWN;
    *out = (StreamPoint){0};
    if (!flavor_of(s, conn, &flavor, err)) return false;
    out->flavor = flavor;
    if (start->binlog_name.len) point_set_file(out, start->binlog_name, start->binlog_pos);
    bool ok = true;
    if (s->enable_gtid && start->binlog_gtid.len)
        ok = gtidset_parse(flavor, start->binlog_gtid, &out->gtids, err) ||
             err_wrap(err, "source " STR_FMT, STR_ARG(s->id));
    else if (s->enable_gtid)
        ok = gtids_of_position(s, conn, out, err);
    ok = ok && server_identity(conn, flavor, &out->server, err);
    if (ok && s->enable_gtid && !out->gtids) out->gtids = gtidset_new(flavor);
    return ok;
}
