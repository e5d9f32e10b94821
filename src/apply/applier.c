#include "apply/applier.h"
#include <stdlib.h>
#include "apply/applier_internal.h"
#include "apply/remap.h"
#include "base/check.h"
#include "base/clock.h"
#include "base/fault.h"
#include "base/log.h"
#include "base/poison.h"

enum { BACKOFF_FIRST_MS = 20, BACKOFF_LAST_MS = 2000, UPDATES_A_TRIP = 100 };

Applier *applier_new(const ApplierOpts *opts)
{
    Applier *a = mem_zalloc(sizeof *a);
    a->opts = *opts;
    a->commit_seq = opts->commit_seq;
    a->cancel = conn_cancel_new();
    waker_init(&a->waker);
    a->opts.session.conn.cancel = a->cancel;
    return a;
}

void applier_free(Applier *a)
{
    if (!a) return;
    CHECK(a->n_pending == 0 && a->n_work == 0, "an applier hands back what it took");
    insert_done(a);
    conn_close(a->conn);
    conn_cancel_free(a->cancel);
    waker_done(&a->waker);
    batch_done(&a->batch);
    sb_done(&a->statement.sql);
    sb_done(&a->lock.sql);
    sb_done(&a->text);
    sb_done(&a->missed);
    free(a->parked);
    free(a->pending);
    free(a->work);
    free(a->mapping);
    free(a);
}

void applier_interrupt(Applier *a)
{
    waker_wake(&a->waker);
    conn_cancel_fire(a->cancel);
}

void applier_stats(Applier *a, ApplierStats *out)
{
    *out = (ApplierStats){.batches = atomic_load(&a->n_batches),
                          .transactions = atomic_load(&a->n_transactions),
                          .rows = atomic_load(&a->n_rows),
                          .statements = atomic_load(&a->n_statements),
                          .careful = atomic_load(&a->n_careful),
                          .retries = atomic_load(&a->n_retries),
                          .connected = atomic_load(&a->connected)};
}

/* -- the downstream transaction -- */

/* Warnings that say nothing of the row: deprecated syntax and names. */
static bool is_harmless(Str number)
{
    static const char *const harmless[] = {"1287", "1681", "3719", "3778"};
    for (size_t i = 0; i < ARRAY_LEN(harmless); i++)
        if (str_eqc(number, harmless[i])) return true;
    return false;
}

/* In strict mode a row that is stored as it is raises no warning: any other one refuses the statement. */
static bool check_warnings(Conn *c, unsigned warnings, Err *err)
{
    if (!warnings) return true;
    Rows rows = {0};
    unsigned seen = 0;
    if (!conn_query(c, STR("SHOW WARNINGS"), &rows, err)) return false;
    for (Str v[3]; rows_next(&rows, v); seen++)
        if (!is_harmless(v[1]))
            err_set(err, ERR_DB_VALUE,
                    "the downstream warns (number " STR_FMT ") where a row must be stored as it is",
                    STR_ARG(v[1]));
    rows_done(&rows);
    if (seen < warnings)
        err_set(err, ERR_DB_VALUE, "the downstream warns %u times, and shows %u", warnings, seen);
    return !err_is_set(err);
}

bool applier_fits_packet(const Applier *a, size_t bytes, Err *err)
{
    if (bytes <= a->dialect.max_packet) return true;
    return err_set(err, ERR_APPLY_TOO_LARGE, "%zu bytes as a statement, max_allowed_packet is %zu", bytes,
                   a->dialect.max_packet);
}

bool applier_check_rows(Applier *a, uint64_t expected, uint64_t affected, unsigned warnings, Err *err)
{
    return applier_check_answer(a->conn, expected, affected, warnings, err);
}

bool applier_check_answer(Conn *c, uint64_t expected, uint64_t affected, unsigned warnings, Err *err)
{
    if (!check_warnings(c, warnings, err)) return false;
    if (affected == expected) return true;
    if (affected > expected)
        return err_set(err, ERR_APPLY_TARGET,
                       "%llu rows expected, %llu met: the target's key is not unique there",
                       (unsigned long long)expected, (unsigned long long)affected);
    return err_set(err, ERR_APPLY_MISSED, "%llu rows expected, %llu met", (unsigned long long)expected,
                   (unsigned long long)affected);
}

bool applier_exec_rows(Applier *a, Str sql, uint64_t expected, Err *err)
{
    uint64_t affected = 0;
    unsigned warnings = 0;
    if (!applier_fits_packet(a, sql.len, err)) return false;
    atomic_fetch_add(&a->n_statements, 1);
    return conn_exec_warn(a->conn, sql, &affected, &warnings, err) &&
           applier_check_rows(a, expected, affected, warnings, err);
}

static bool connect(Applier *a, Err *err)
{
    if (a->conn) return true;
    if (!session_open(&a->opts.session, &a->conn, &a->dialect, err)) return false;
    a->bulk_offered = a->dialect.is_mariadb && !a->dialect.is_tidb && bulk_is_offered(a->conn);
    atomic_store(&a->connected, true);
    log_write(LOGEV_APPLIER_CONNECTED, LOG_U("applier", a->opts.index), LOG_S("server", a->dialect.version));
    return true;
}

static void disconnect(Applier *a)
{
    insert_forget(a);
    conn_close(a->conn);
    a->conn = NULL;
    atomic_store(&a->connected, false);
}

static bool needs_ids(const Txn *t)
{
    for (size_t i = 0; !t->has_ids && i < t->n_ops; i++)
        if (t->ops[i].binding->n_mapped) return true;
    return false;
}

bool applier_map_ids(Applier *a, const ApplyOutcome *work, size_t n, Err *err)
{
    size_t wanting = 0;
    a->began = false;
    if (n > a->mapping_cap) {
        a->mapping_cap = n * 2;
        a->mapping = mem_realloc(a->mapping, a->mapping_cap * sizeof(Txn *));
    }
    for (size_t i = 0; i < n; i++)
        if (needs_ids(work[i].txn)) a->mapping[wanting++] = work[i].txn;
    return !wanting ||
           (connect(a, err) && remap_resolve(a->opts.remap, a->conn, &a->dialect, a->mapping, wanting, err));
}

bool applier_begin(Applier *a, Err *err)
{
    a->began = false;
    a->n_parked = 0;
    if (!connect(a, err)) return false;
    if (FAULT("apply.begin")) return err_set(err, ERR_DB_LOST, "fault apply.begin");
    if (!conn_exec(a->conn, str_of(session_begin_sql(&a->dialect)), NULL, err)) return false;
    uint64_t matched = 0;
    sb_clear(&a->text);
    meta_fence_sql(&a->opts.meta, a->opts.index, a->opts.epoch, a->commit_seq, &a->text);
    if (!conn_exec(a->conn, sb_view(&a->text), &matched, err)) return false;
    a->began = matched == 1;
    if (a->began) return true;
    return err_set(err, ERR_APPLY_FENCED,
                   "applier %u: its progress row is not at commit %llu of epoch %llu any more", a->opts.index,
                   (unsigned long long)a->commit_seq, (unsigned long long)a->opts.epoch);
}

bool applier_commit(Applier *a, const ApplyOutcome *work, size_t n, Err *err)
{
    AppliedEncoder e = {0};
    for (size_t i = 0; i < n; i++)
        if (!work[i].dropped && !work[i].txn->chunk)
            applied_encode(&e, a->opts.streams[work[i].txn->source], work[i].txn);
    for (size_t i = 0; i < n; i++) {
        if (work[i].dropped || !work[i].txn->chunk) continue;
        sb_clear(&a->text);
        meta_chunk_sql(&a->opts.meta, a->opts.streams[work[i].txn->source], work[i].txn->chunk, &a->text);
        if (!conn_exec(a->conn, sb_view(&a->text), NULL, err)) {
            sb_done(&e.out);
            return false;
        }
    }
    sb_clear(&a->text);
    meta_applied_sql(&a->opts.meta, a->opts.index, a->commit_seq + 1, sb_view(&e.out), &a->text);
    sb_done(&e.out);
    if (!applier_fits_packet(a, a->text.len, err)) return false;
    if (FAULT("apply.after_rows")) return err_set(err, ERR_DB_LOST, "fault apply.after_rows");
    if (!conn_exec(a->conn, sb_view(&a->text), NULL, err)) return false;
    if (FAULT("apply.before_commit")) return err_set(err, ERR_DB_LOST, "fault apply.before_commit");
    if (!conn_exec(a->conn, STR("COMMIT"), NULL, err)) return false;
    if (FAULT("apply.after_commit")) return err_set(err, ERR_DB_LOST, "fault apply.after_commit");
    a->commit_seq++;
    a->trouble_since_ms = 0;
    return true;
}

/* Is this error one that passes by itself? */
static bool is_passing(const Err *err)
{
    return err_class(err) == ERR_CLASS_RETRY && err->code != ERR_CANCELLED;
}

static ApplyVerdict give_up(Applier *a, Err *err)
{
    a->failed = true;
    disconnect(a);
    a->opts.hooks.fail(a->opts.hooks.ctx, err);
    return APPLY_FAILED;
}

/* Backoff before the next attempt; false when the same trouble has lasted beyond the bound, or on a stop. */
static bool back_off(Applier *a, Err *err)
{
    int64_t now = clock_mono_ms();
    if (!a->trouble_since_ms) a->trouble_since_ms = now;
    int64_t lasted = now - a->trouble_since_ms;
    if (lasted > (int64_t)a->opts.retry_max_s * 1000) return false;
    atomic_fetch_add(&a->n_retries, 1);
    log_error(LOGEV_APPLIER_RETRY, err, LOG_U("applier", a->opts.index));
    err_clear(err);
    int64_t ms = MIN(MAX(lasted / 2, (int64_t)BACKOFF_FIRST_MS), (int64_t)BACKOFF_LAST_MS);
    return !waker_sleep(&a->waker, ms);
}

ApplyVerdict applier_after_error(Applier *a, Err *err)
{
    for (;;) {
        if (err->code == ERR_CANCELLED || err->code == ERR_APPLY_FENCED || err->code == ERR_BUG)
            return give_up(a, err);
        bool lost = err->code == ERR_DB_LOST || err->code == ERR_DB_CONNECT || !a->conn;
        bool passing = is_passing(err);
        if (a->conn && !lost) {
            Err ignored = {0};
            if (!conn_exec(a->conn, STR("ROLLBACK"), NULL, &ignored)) lost = true;
            err_clear(&ignored);
        }
        if (!passing) {
            /* Before the first row it is the downstream that refuses us, not a transaction. */
            if (!a->conn || !a->began) return give_up(a, err);
            if (lost) disconnect(a);
            return APPLY_REFUSED;
        }
        if (lost) disconnect(a);
        if (!back_off(a, err)) {
            if (!err_is_set(err)) err_set(err, ERR_CANCELLED, "stopping");
            return give_up(a, err);
        }
        /* Whatever was sent before: the own row says whether it counts. A plain read would not do. */
        bool committed = false;
        if (connect(a, err) && meta_settle_commit(a->conn, &a->dialect, &a->opts.meta, a->opts.index,
                                                  a->opts.epoch, a->commit_seq, &committed, err)) {
            if (!committed) return APPLY_AGAIN;
            a->commit_seq++;
            a->trouble_since_ms = 0;
            return APPLY_COMMITTED;
        }
    }
}

/* -- a batch -- */

static bool send(Applier *a, SqlStatement *s, Err *err)
{
    if (s->rows == 0) return true;
    rowsql_end(s, &a->dialect);
    if (!applier_fits_packet(a, s->sql.len, err)) return false;
    size_t rows = s->rows;
    if (s->kind == SQL_LOCK) {
        Rows found = {0};
        atomic_fetch_add(&a->n_statements, 1);
        if (!conn_query(a->conn, sb_view(&s->sql), &found, err)) return false;
        uint64_t n = found.n_rows;
        rows_done(&found);
        if (n != rows)
            return err_set(err, ERR_APPLY_MISSED, "%zu rows to update, %llu there", rows,
                           (unsigned long long)n);
        return true;
    }
    if (s->kind == SQL_UPSERT) { /* counted by the lock before; an upsert's own count says nothing */
        unsigned warnings = 0;
        atomic_fetch_add(&a->n_statements, 1);
        if (!conn_exec_warn(a->conn, sb_view(&s->sql), NULL, &warnings, err)) return false;
        return check_warnings(a->conn, warnings, err);
    }
    return applier_exec_rows(a, sb_view(&s->sql), rows, err);
}

static bool is_full(const Applier *a, const SqlStatement *s)
{
    return s->rows >= a->opts.statement_rows || s->sql.len >= a->opts.statement_bytes;
}

static bool run_deletes(Applier *a, const BatchOp *ops, size_t n, Err *err)
{
    SqlStatement *s = &a->statement;
    s->rows = 0;
    for (size_t i = 0; i < n; i++) {
        const Binding *b = ops[i].op->binding;
        bool other = b->target->parked && s->binding != b; /* rows of one shard table only */
        if (s->rows && (other || is_full(a, s))) {
            if (!send(a, s, err)) return false;
            s->rows = 0;
        }
        if (s->rows == 0) rowsql_begin(s, SQL_DELETE, ops[i].op->binding->target, NULL);
        if (!rowsql_add_row(s, ops[i].op->binding, &ops[i].op->before, err)) return false;
    }
    return send(a, s, err);
}

/* The fast UPDATE: lock and count the rows, then one multi-row upsert (design, promise 3). */
static bool may_upsert(const BatchOp *o)
{
    return o->op->binding->target->primary_is_only_key && !o->op->binding->target->parked && o->after.full &&
           (o->op->keys_unchanged || o->replaced);
}

static bool send_upsert(Applier *a, Err *err)
{
    if (!send(a, &a->lock, err) || !send(a, &a->statement, err)) return false;
    a->lock.rows = a->statement.rows = 0;
    return true;
}

static bool run_upserts(Applier *a, const BatchOp *ops, size_t n, Err *err)
{
    a->lock.rows = a->statement.rows = 0;
    for (size_t i = 0; i < n; i++) {
        const Binding *b = ops[i].op->binding;
        if (!may_upsert(&ops[i])) continue;
        if (a->statement.rows && (b->full_shape != a->statement.shape || is_full(a, &a->statement)))
            if (!send_upsert(a, err)) return false;
        if (a->statement.rows == 0) {
            rowsql_begin(&a->lock, SQL_LOCK, b->target, NULL);
            rowsql_begin(&a->statement, SQL_UPSERT, b->target, b->full_shape);
        }
        if (!rowsql_add_row(&a->lock, b, &ops[i].op->before, err)) return false;
        if (!rowsql_add_row(&a->statement, b, &ops[i].after, err)) return false;
    }
    return send_upsert(a, err);
}

static bool send_updates(Applier *a, size_t n, Err *err)
{
    if (n == 0) return true;
    if (!applier_fits_packet(a, a->text.len, err)) return false;
    uint64_t affected[UPDATES_A_TRIP];
    size_t done = 0;
    unsigned warnings = 0;
    atomic_fetch_add(&a->n_statements, n);
    if (!conn_exec_multi(a->conn, sb_view(&a->text), affected, UPDATES_A_TRIP, &done, &warnings, err))
        return false;
    if (!check_warnings(a->conn, warnings, err)) return false;
    for (size_t i = 0; i < done; i++)
        if (affected[i] != 1)
            return err_set(err, ERR_APPLY_MISSED, "a statement met %llu rows",
                           (unsigned long long)affected[i]);
    return true;
}

static bool one_statement(StrBuf *out, const BatchOp *o, Err *err)
{
    return o->kind == ROW_DELETE ? rowsql_delete_one(out, o->op, err)
                                 : rowsql_update_one(out, o->op, &o->after, err);
}

/* UPDATEs one by one, many in one round trip where the server takes several statements. */
static bool run_updates(Applier *a, const BatchOp *ops, size_t n, Err *err)
{
    size_t in_trip = 0, most = a->dialect.multi_statements ? UPDATES_A_TRIP : 1;
    sb_clear(&a->text);
    for (size_t i = 0; i < n; i++) {
        if (may_upsert(&ops[i])) continue;
        if (in_trip == most || (in_trip && a->text.len >= a->opts.statement_bytes)) {
            if (!send_updates(a, in_trip, err)) return false;
            sb_clear(&a->text);
            in_trip = 0;
        }
        size_t before = a->text.len;
        if (in_trip) sb_ch(&a->text, ';');
        if (!one_statement(&a->text, &ops[i], err)) return false;
        if (in_trip && a->text.len > a->dialect.max_packet) { /* the trip without it, then it alone */
            a->text.len = before;
            if (!send_updates(a, in_trip, err)) return false;
            sb_clear(&a->text);
            in_trip = 0;
            if (!one_statement(&a->text, &ops[i], err)) return false;
        }
        in_trip++;
    }
    return send_updates(a, in_trip, err);
}

static bool run_keyless(Applier *a, const BatchOp *ops, size_t n, Err *err)
{
    for (size_t i = 0; i < n; i++) {
        sb_clear(&a->text);
        if (!one_statement(&a->text, &ops[i], err) || !applier_exec_rows(a, sb_view(&a->text), 1, err))
            return false;
    }
    return true;
}

static bool run_group(Applier *a, const BatchOp *ops, size_t n, Err *err)
{
    if (ops[0].kind == ROW_INSERT) return insert_run(a, ops, n, err);
    if (ops[0].op->binding->target->row_key == NO_COLUMN) return run_keyless(a, ops, n, err);
    if (ops[0].kind == ROW_DELETE) return run_deletes(a, ops, n, err);
    return run_upserts(a, ops, n, err) && run_updates(a, ops, n, err);
}

static bool run_batch_once(Applier *a, Err *err)
{
    if (!applier_begin(a, err)) return false;
    for (size_t i = 0, end; i < a->batch.n_ops; i = end) {
        for (end = i + 1; end < a->batch.n_ops && batch_same_group(&a->batch.ops[i], &a->batch.ops[end]);
             end++) {
        }
        if (!run_group(a, &a->batch.ops[i], end - i, err)) return false;
    }
    return parked_check_batch(a, err) && applier_commit(a, a->work, a->n_work, err);
}

/* -- taking work -- */

void applier_push_work(Applier *a, Txn *t)
{
    if (a->n_work == a->work_cap) {
        a->work_cap = a->work_cap ? a->work_cap * 2 : 256;
        a->work = mem_realloc(a->work, a->work_cap * sizeof *a->work);
    }
    a->work[a->n_work++] = (ApplyOutcome){.txn = t};
}

Txn *applier_take_next(Applier *a, bool block)
{
    if (a->n_pending) {
        Txn *t = a->pending[0];
        memmove(a->pending, a->pending + 1, --a->n_pending * sizeof *a->pending);
        return t;
    }
    return a->opts.hooks.next(a->opts.hooks.ctx, a->opts.index, block);
}

void applier_put_back(Applier *a, Txn *t)
{
    if (a->n_pending == a->pending_cap) {
        a->pending_cap = a->pending_cap ? a->pending_cap * 2 : 16;
        a->pending = mem_realloc(a->pending, a->pending_cap * sizeof *a->pending);
    }
    memmove(a->pending + 1, a->pending, a->n_pending++ * sizeof *a->pending);
    a->pending[0] = t;
}

/* Fills work[] with what may start now; blocks only for the first. False: nothing more comes. */
static bool gather(Applier *a)
{
    const ApplyHooks *h = &a->opts.hooks;
    a->n_work = 0;
    Txn *t = applier_take_next(a, true);
    if (!t) return false;
    if (!h->may_start(h->ctx, t) && !h->wait_start(h->ctx, t)) {
        applier_put_back(a, t);
        return false;
    }
    applier_push_work(a, t);
    size_t rows = t->n_ops, bytes = t->arena.bytes;
    while (rows < a->opts.batch_rows && bytes < a->opts.batch_bytes &&
           !h->is_wanted(h->ctx, a->opts.index, t->order)) {
        t = applier_take_next(a, false);
        if (!t) break;
        if (!h->may_start(h->ctx, t)) {
            applier_put_back(a, t);
            break;
        }
        applier_push_work(a, t);
        rows += t->n_ops;
        bytes += t->arena.bytes;
    }
    return true;
}

static void finish_work(Applier *a, bool committed)
{
    const ApplyHooks *h = &a->opts.hooks;
    if (committed) {
        parked_committed(a);
        atomic_fetch_add(&a->n_batches, 1);
        h->committed(h->ctx, a->opts.index, a->commit_seq, a->work, a->n_work);
    }
    for (size_t i = 0; i < a->n_work; i++) {
        if (a->work[i].dropped) continue;
        atomic_fetch_add(&a->n_transactions, 1);
        atomic_fetch_add(&a->n_rows, a->work[i].txn->n_ops);
    }
    h->finish(h->ctx, a->opts.index, a->work, a->n_work);
    a->n_work = 0;
}

/* Builds the batch from what is not stale; false when nothing is left. */
static bool build(Applier *a)
{
    const ApplyHooks *h = &a->opts.hooks;
    bool any = false;
    batch_clear(&a->batch);
    for (size_t i = 0; i < a->n_work; i++) {
        Txn *t = a->work[i].txn;
        a->work[i].dropped = h->is_stale(h->ctx, t);
        if (a->work[i].dropped) continue;
        t->counts.applied = t->n_ops;
        batch_add(&a->batch, t);
        any = true;
    }
    batch_sort(&a->batch);
    return any;
}

/* May the refusal be the bulk command's own? Then the same batch as text decides. */
static bool try_as_text(Applier *a, const Err *err)
{
    return a->bulk_used && err->code != ERR_DB_DUPLICATE_KEY;
}

/* The batch in work[], to its end. False: the task fails. */
static bool run_batch(Applier *a)
{
    a->text_only = false;
    for (;;) {
        Err err = {0};
        bool ok = applier_map_ids(a, a->work, a->n_work, &err); /* the batch copies images */
        if (ok && !build(a)) {
            finish_work(a, false);
            return true;
        }
        a->bulk_used = false;
        ok = ok && run_batch_once(a, &err);
        ApplyVerdict v = ok ? APPLY_COMMITTED : applier_after_error(a, &err);
        if (v == APPLY_REFUSED && try_as_text(a, &err)) {
            log_error(LOGEV_APPLIER_TEXT, &err, LOG_U("applier", a->opts.index));
            err_clear(&err);
            a->text_only = true;
            continue;
        }
        err_clear(&err);
        switch (v) {
        case APPLY_COMMITTED:
            a->bulk_refused |= a->text_only;
            (void)FAULT("apply.before_ack");
            finish_work(a, true);
            return true;
        case APPLY_AGAIN: continue;
        case APPLY_REFUSED: atomic_fetch_add(&a->n_careful, 1); return careful_run(a);
        case APPLY_FAILED: return false;
        }
    }
}

/* What was taken goes back as dropped: after a stop or a failure the stream is read again from its floor. */
static void drop_rest(Applier *a)
{
    for (Txn *t; a->n_pending;) {
        t = applier_take_next(a, false);
        applier_push_work(a, t);
    }
    for (size_t i = 0; i < a->n_work; i++)
        a->work[i].dropped = true;
    if (a->n_work) a->opts.hooks.finish(a->opts.hooks.ctx, a->opts.index, a->work, a->n_work);
    a->n_work = 0;
}

void applier_run(Applier *a)
{
    while (!a->failed && gather(a))
        if (!run_batch(a)) break;
    drop_rest(a);
    disconnect(a);
    conn_thread_end();
}
