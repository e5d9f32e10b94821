#include "apply/row_refill.h"
#include <stdlib.h>
#include "apply/meta_sql.h"
#include "base/check.h"
#include "base/fault.h"
#include "base/poison.h"

enum { LONGEST_PAUSE_MS = 1000 };

void row_refill_place_done(RowRefillPlace *p)
{
    for (uint32_t i = 0; i < p->n; i++)
        free((char *)p->values[i].ptr);
    free(p->values);
    *p = (RowRefillPlace){0};
}

static void put_literal(const RowRefillKey *k, Str value, StrBuf *out)
{
    switch (k->literal) {
    case ROW_LITERAL_NUMBER: sb_str(out, value); return;
    case ROW_LITERAL_TEXT: sb_quoted(out, value); return;
    case ROW_LITERAL_BYTES: break;
    }
    sb_c(out, "X'");
    sb_hex(out, value.ptr, value.len);
    sb_ch(out, '\'');
}

/* " AND (…)": rows behind the place, or (last) up to it. The first column alone comes first, for an index. */
static void put_bound(const RowRefillJob *j, const RowRefillPlace *p, bool last, StrBuf *sql)
{
    const char *way = last ? "<" : ">";
    if (!p->n) return;
    sb_printf(sql, " AND " STR_FMT " %s= " STR_FMT " AND (", STR_ARG(j->keys[0].column), way,
              STR_ARG(p->values[0]));
    for (uint32_t i = 0; i < j->n_keys; i++) {
        if (i) sb_c(sql, " OR (");
        for (uint32_t k = 0; k < i; k++)
            sb_printf(sql, STR_FMT " = " STR_FMT " AND ", STR_ARG(j->keys[k].column), STR_ARG(p->values[k]));
        bool end = last && i + 1 == j->n_keys;
        sb_printf(sql, STR_FMT " %s%s " STR_FMT, STR_ARG(j->keys[i].column), way, end ? "=" : "",
                  STR_ARG(p->values[i]));
        if (i) sb_ch(sql, ')');
    }
    sb_ch(sql, ')');
}

/* The last row of the batch behind `from`; none: there are no more rows than a batch has. */
static bool find_end(Conn *c, const RowRefillJob *j, const RowRefillPlace *from, RowRefillPlace *to, Err *err)
{
    CLEANUP(sb_done) StrBuf sql = {0}, order = {0};
    Rows rows = {0};
    if (!j->n_keys) return true;
    for (uint32_t i = 0; i < j->n_keys; i++)
        sb_printf(&order, "%s" STR_FMT, i ? "," : "", STR_ARG(j->keys[i].column));
    sb_printf(&sql, "SELECT " STR_FMT " FROM " STR_FMT " WHERE " STR_FMT, STR_ARG(sb_view(&order)),
              STR_ARG(j->table), STR_ARG(j->where));
    put_bound(j, from, false, &sql);
    sb_printf(&sql, " ORDER BY " STR_FMT " LIMIT 1 OFFSET %llu", STR_ARG(sb_view(&order)),
              (unsigned long long)(j->batch_rows - 1));
    if (!conn_query(c, sb_view(&sql), &rows, err)) return false;
    Str *values = mem_zalloc(j->n_keys * sizeof *values);
    if (rows_next(&rows, values)) {
        to->n = j->n_keys;
        to->values = mem_zalloc(j->n_keys * sizeof *to->values);
        for (uint32_t i = 0; i < j->n_keys; i++) {
            CLEANUP(sb_done) StrBuf literal = {0};
            put_literal(&j->keys[i], values[i], &literal);
            to->values[i] = (Str){str_dup(sb_view(&literal)), literal.len};
        }
    }
    free(values);
    rows_done(&rows);
    return true;
}

static bool set_batch(Conn *c, const Dialect *d, const RowRefillJob *j, const RowRefillPlace *from,
                      const RowRefillPlace *to, uint64_t *n, Err *err)
{
    CLEANUP(sb_done) StrBuf sql = {0};
    sb_printf(&sql, "UPDATE " STR_FMT " SET " STR_FMT " WHERE " STR_FMT, STR_ARG(j->table), STR_ARG(j->set),
              STR_ARG(j->where));
    put_bound(j, from, false, &sql);
    put_bound(j, to, true, &sql);
    *n = 0;
    if (conn_exec(c, str_of(session_begin_sql(d)), NULL, err) &&
        meta_lock_epoch(c, &j->meta, j->epoch, err) && conn_exec(c, sb_view(&sql), n, err) &&
        !FAULT("ddl.refill_set") && conn_exec(c, STR("COMMIT"), NULL, err))
        return true;
    if (!err_is_set(err)) err_set(err, ERR_DB_LOST, "fault ddl.refill_set");
    meta_rollback(c);
    return false;
}

bool row_refill_run(const RowRefillJob *j, RowRefillPlace *at, uint64_t *done, Err *err)
{
    Conn *c = NULL;
    Dialect d;
    RowRefillPlace to = {0};
    CHECK(!at->n || at->n == j->n_keys, "a place is one in the order of the job's key");
    *done = 0;
    bool ok = session_open(&j->session, &c, &d, err), more = true;
    while (ok && more) {
        uint64_t n = 0;
        int64_t began = clock_mono_ms();
        ok = find_end(c, j, at, &to, err) && set_batch(c, &d, j, at, &to, &n, err);
        if (!ok) break;
        *done += n;
        more = to.n > 0;
        if (more) {
            row_refill_place_done(at);
            *at = to;
            to = (RowRefillPlace){0};
        }
        (void)FAULT("ddl.refill_batch");
        int64_t pause = clock_mono_ms() - began;
        if (more && waker_sleep(j->wake, MIN(pause, (int64_t)LONGEST_PAUSE_MS)))
            ok = err_set(err, ERR_CANCELLED, "stopping");
    }
    row_refill_place_done(&to);
    conn_close(c);
    return ok;
}
