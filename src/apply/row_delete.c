#include "apply/row_delete.h"
#include <stdlib.h>
#include "apply/meta_sql.h"
#include "base/fault.h"
#include "base/poison.h"

enum { LONGEST_PAUSE_MS = 1000 };

/* The first key value among the rows that are left: all below it are gone, so that no batch reads over the
 * rows of others again and again. *from NULL: not known. */
static bool find_first(Conn *c, const RowDeleteJob *j, char **from, Err *err)
{
    CLEANUP(sb_done) StrBuf sql = {0};
    char *was = *from;
    if (!j->first.len) return true;
    sb_printf(&sql, "SELECT " STR_FMT " FROM " STR_FMT " WHERE " STR_FMT, STR_ARG(j->first),
              STR_ARG(j->table), STR_ARG(j->where));
    if (was) {
        sb_printf(&sql, " AND " STR_FMT " >= ", STR_ARG(j->first));
        sb_quoted(&sql, str_of(was));
    }
    sb_printf(&sql, " ORDER BY " STR_FMT " LIMIT 1", STR_ARG(j->order));
    *from = NULL;
    bool ok = conn_scalar(c, sb_view(&sql), from, err);
    free(was);
    return ok;
}

static bool delete_batch(Conn *c, const Dialect *d, const RowDeleteJob *j, const char *from, uint64_t *n,
                         Err *err)
{
    CLEANUP(sb_done) StrBuf sql = {0};
    sb_printf(&sql, "DELETE FROM " STR_FMT " WHERE " STR_FMT, STR_ARG(j->table), STR_ARG(j->where));
    if (from) {
        sb_printf(&sql, " AND " STR_FMT " >= ", STR_ARG(j->first));
        sb_quoted(&sql, str_of(from));
    }
    if (j->order.len) sb_printf(&sql, " ORDER BY " STR_FMT, STR_ARG(j->order));
    sb_printf(&sql, " LIMIT %llu", (unsigned long long)j->batch_rows);
    *n = 0;
    if (conn_exec(c, str_of(session_begin_sql(d)), NULL, err) &&
        meta_lock_epoch(c, &j->meta, j->epoch, err) && conn_exec(c, sb_view(&sql), n, err) &&
        !FAULT("loss.deleted") && conn_exec(c, STR("COMMIT"), NULL, err))
        return true;
    if (!err_is_set(err)) err_set(err, ERR_DB_LOST, "fault loss.deleted");
    meta_rollback(c);
    return false;
}

bool row_delete_run(const RowDeleteJob *j, uint64_t *deleted, Err *err)
{
    Conn *c = NULL;
    Dialect d;
    char *from = NULL;
    *deleted = 0;
    bool ok = session_open(&j->session, &c, &d, err), more = true;
    while (ok && more) {
        uint64_t n = 0;
        int64_t began = clock_mono_ms();
        ok = find_first(c, j, &from, err) && delete_batch(c, &d, j, from, &n, err);
        if (!ok) break;
        *deleted += n;
        more = n > 0;
        (void)FAULT("loss.batch");
        int64_t pause = clock_mono_ms() - began;
        if (more && n == j->batch_rows && waker_sleep(j->wake, MIN(pause, (int64_t)LONGEST_PAUSE_MS)))
            ok = err_set(err, ERR_CANCELLED, "stopping");
    }
    free(from);
    conn_close(c);
    return ok;
}
