/* What could not be applied as a batch: transaction by transaction, row by row, so that a failing row is
 * named.
 *
 * A row that fails by a duplicate key or by meeting no row may only be early: another applier may be about to
 * free the key. So the transaction waits, with nothing open, until everything before it is done, and tries
 * again. A duplicate that a later operation of the same transaction, or of the same source in this queue,
 * frees is not a collision either: the freeing operation is moved before the claiming one and both are
 * applied as one. Only what is left is a collision or a missed row. */
#include <stdlib.h>
#include "apply/applier_internal.h"
#include "base/fault.h"
#include "base/log.h"
#include "base/poison.h"

/* The operations of one or more transactions in the order they are to be applied. */
typedef struct Plan {
    ApplyOutcome *work; /* the transactions, consecutive in the applier's work[] */
    size_t n_work;
    const RowOp **ops;
    uint32_t *owner; /* of each operation: index into work */
    size_t n_ops;
    size_t failed_at; /* of the last attempt */
    bool final;       /* everything before is done: a missed row is missed, a duplicate is a duplicate */
} Plan;

static void plan_done(Plan *p)
{
    free(p->ops);
    free(p->owner);
}

/* The operations of these transactions in their own order; stale ones are marked dropped and left out. */
static void plan_fill(Applier *a, Plan *p, ApplyOutcome *work, size_t n_work)
{
    plan_done(p);
    p->work = work;
    p->n_work = n_work;
    size_t n = 0;
    for (size_t i = 0; i < n_work; i++) {
        work[i].dropped = a->opts.hooks.is_stale(a->opts.hooks.ctx, work[i].txn);
        n += work[i].txn->n_ops;
    }
    p->ops = mem_alloc((n + 1) * sizeof *p->ops);
    p->owner = mem_alloc((n + 1) * sizeof *p->owner);
    p->n_ops = 0;
    for (size_t i = 0; i < n_work; i++)
        for (size_t k = 0; !work[i].dropped && k < work[i].txn->n_ops; k++) {
            p->ops[p->n_ops] = &work[i].txn->ops[k];
            p->owner[p->n_ops++] = (uint32_t)i;
        }
}

static const char *kind_name(RowKind k)
{
    return k == ROW_INSERT ? "INSERT" : k == ROW_UPDATE ? "UPDATE" : "DELETE";
}

static bool record_missed(Applier *a, Plan *p, size_t at, Err *err)
{
    const RowOp *op = p->ops[at];
    Txn *t = p->work[p->owner[at]].txn;
    StrBuf before = {0}, after = {0}, id = {0}, table = {0}, target = {0};
    bool ok = rowsql_image_json(op->binding, &op->before, &before, err) &&
              (op->kind != ROW_UPDATE || rowsql_image_json(op->binding, &op->after, &after, err));
    if (ok) {
        txn_identity(&t->id, t->id.server, &id);
        table_name_plain(op->binding->member->name, &table);
        table_name_plain(op->binding->target->name, &target);
        MetaMissed m = {.stream = a->opts.streams[t->source],
                        .identity = sb_view(&id),
                        .kind = str_of(kind_name(op->kind)),
                        .source_table = sb_view(&table),
                        .target = sb_view(&target),
                        .row_no = op->row_no,
                        .before_json = sb_view(&before),
                        .after_json = op->kind == ROW_UPDATE ? sb_view(&after) : (Str){0}};
        sb_clear(&a->text);
        meta_missed_sql(&a->opts.meta, &m, &a->text);
        ok = conn_exec(a->conn, sb_view(&a->text), NULL, err);
        log_write(LOGEV_ROW_MISSED, LOG_STR("source", m.stream), LOG_STR("table", m.source_table),
                  LOG_STR("transaction", m.identity), LOG_U("row", op->row_no));
        t->counts.missed++;
        t->counts.applied--;
    }
    sb_done(&before);
    sb_done(&after);
    sb_done(&id);
    sb_done(&table);
    sb_done(&target);
    return ok;
}

static bool apply_one(Applier *a, Plan *p, size_t at, Err *err)
{
    const RowOp *op = p->ops[at];
    bool ok = false, parked = false;
    if (op->binding->target->parked) {
        ok = parked_apply(a, op, &parked, err);
        Txn *t = p->work[p->owner[at]].txn;
        t->counts.parked += parked;
        t->counts.applied -= parked;
        if (ok) return true;
    } else {
        sb_clear(&a->text);
        switch (op->kind) {
        case ROW_INSERT: ok = rowsql_insert_one(&a->text, op, err); break;
        case ROW_UPDATE: ok = rowsql_update_one(&a->text, op, &op->after, err); break;
        case ROW_DELETE: ok = rowsql_delete_one(&a->text, op, err); break;
        }
        if (!ok) return false;
        if (applier_exec_rows(a, sb_view(&a->text), 1, err)) return true;
    }
    if (err->code != ERR_APPLY_MISSED || !p->final || !a->opts.record_missing) return false;
    err_clear(err);
    return record_missed(a, p, at, err);
}

static bool attempt(Applier *a, Plan *p, Err *err)
{
    p->failed_at = SIZE_MAX;
    for (size_t i = 0; i < p->n_work; i++) {
        p->work[i].txn->counts.applied = p->work[i].txn->n_ops;
        p->work[i].txn->counts.missed = 0;
        p->work[i].txn->counts.parked = 0;
    }
    if (!applier_map_ids(a, p->work, p->n_work, err) || !applier_begin(a, err)) return false;
    for (size_t i = 0; i < p->n_ops; i++) {
        if (apply_one(a, p, i, err)) continue;
        p->failed_at = i;
        return false;
    }
    return applier_commit(a, p->work, p->n_work, err);
}

/* -- moving the freeing operation forward -- */

static bool share_key(const Plan *p, size_t i, size_t j)
{
    const RowOp *x = p->ops[i], *y = p->ops[j];
    const uint64_t *kx = p->work[p->owner[i]].txn->keys + x->keys_at,
                   *ky = p->work[p->owner[j]].txn->keys + y->keys_at;
    if (x->binding->target != y->binding->target) return false;
    if (x->exclusive || y->exclusive) return true;
    for (uint32_t a = 0; a < x->n_keys; a++)
        for (uint32_t b = 0; b < y->n_keys; b++)
            if (kx[a] == ky[b]) return true;
    return false;
}

static bool frees_keys(const RowOp *op)
{
    return op->kind == ROW_DELETE || (op->kind == ROW_UPDATE && !op->keys_unchanged);
}

/* Moves operation j, and what must stay before it, in front of operation i. Only operations of the freeing
 * shard table must: order within one table is what the source promises; the claiming row's own later changes
 * stay behind it. */
static void move_before(Plan *p, size_t i, size_t j)
{
    bool *chosen = mem_zalloc((j + 1) * sizeof *chosen);
    chosen[j] = true;
    for (size_t k = j; k-- > i + 1;)
        for (size_t c = k + 1; c <= j && !chosen[k]; c++)
            chosen[k] =
                chosen[c] && p->ops[k]->binding->member == p->ops[c]->binding->member && share_key(p, k, c);
    size_t at = i;
    for (size_t k = i + 1; k <= j; k++) {
        if (!chosen[k]) continue;
        const RowOp *op = p->ops[k];
        uint32_t owner = p->owner[k];
        memmove(&p->ops[at + 1], &p->ops[at], (k - at) * sizeof *p->ops);
        memmove(&p->owner[at + 1], &p->owner[at], (k - at) * sizeof *p->owner);
        p->ops[at] = op;
        p->owner[at++] = owner;
    }
    free(chosen);
}

/* Does op free a key that the failed operation claims, as the row of ANOTHER shard table of the same source?
 * Within one shard table the source itself saw to it that the key was free. */
static bool frees_claim(const Plan *p, const Txn *t, const RowOp *op)
{
    const RowOp *claim = p->ops[p->failed_at];
    const uint64_t *keys = p->work[p->owner[p->failed_at]].txn->keys + claim->keys_at;
    if (!frees_keys(op) || op->binding->target != claim->binding->target) return false;
    if (op->binding->member == claim->binding->member || op->exclusive || claim->exclusive) return false;
    for (uint32_t x = 0; x < claim->n_keys; x++)
        for (uint32_t y = 0; y < op->n_keys; y++)
            if (keys[x] == t->keys[op->keys_at + y]) return true;
    return false;
}

/* Is op the DELETE that ends the row which the failed INSERT begins? */
static bool ends_claim(const Plan *p, const RowOp *op)
{
    const RowOp *claim = p->ops[p->failed_at];
    return claim->kind == ROW_INSERT && op->kind == ROW_DELETE && op->binding == claim->binding &&
           rowsql_same_row_key(op->binding, &claim->after, &op->before);
}

/* A later operation that frees the key; SIZE_MAX when there is none. */
static size_t find_freeing(const Plan *p)
{
    for (size_t j = p->failed_at + 1; j < p->n_ops; j++)
        if (frees_claim(p, p->work[p->owner[j]].txn, p->ops[j])) return j;
    return SIZE_MAX;
}

static size_t find_end(const Plan *p)
{
    for (size_t j = p->failed_at + 1; j < p->n_ops; j++)
        if (ends_claim(p, p->ops[j])) return j;
    return SIZE_MAX;
}

/* The failed INSERT's row is deleted again by its own shard before this queue's end: another shard took the
 * key in the meantime, and arrived first. Nothing of that row remains, so none of its changes is sent. False
 * when the row's changes between the two cannot all be told. */
static bool leave_out(Plan *p, size_t end)
{
    const RowOp *claim = p->ops[p->failed_at];
    size_t kept = p->failed_at;
    for (size_t j = p->failed_at + 1; j < end; j++) {
        const RowOp *op = p->ops[j];
        bool same_row = op->binding == claim->binding && op->kind == ROW_UPDATE &&
                        rowsql_same_row_key(op->binding, &claim->after, &op->before);
        if (same_row && !rowsql_same_row_key(op->binding, &op->before, &op->after)) return false;
    }
    for (size_t j = p->failed_at + 1; j < p->n_ops; j++) {
        const RowOp *op = p->ops[j];
        bool same_row = j <= end && op->binding == claim->binding && op->kind != ROW_INSERT &&
                        rowsql_same_row_key(op->binding, &claim->after, &op->before);
        if (same_row) continue;
        p->ops[kept] = op;
        p->owner[kept++] = p->owner[j];
    }
    p->n_ops = kept;
    return true;
}

static bool txn_frees(const Plan *p, const Txn *t)
{
    for (size_t i = 0; i < t->n_ops; i++)
        if (frees_claim(p, t, &t->ops[i]) || ends_claim(p, &t->ops[i])) return true;
    return false;
}

/* Looks through what this queue holds for a later transaction of the same source that frees the key; when
 * there is one, takes everything up to it into work[] behind `from`. Transactions already in work[] come
 * first. */
static bool widen(Applier *a, Plan *p, size_t from)
{
    const ApplyHooks *h = &a->opts.hooks;
    uint32_t source = p->work[p->owner[p->failed_at]].txn->source;
    for (size_t i = from + p->n_work; i < a->n_work; i++)
        if (a->work[i].txn->source == source && txn_frees(p, a->work[i].txn)) {
            plan_fill(a, p, &a->work[from], i + 1 - from);
            return true;
        }
    size_t taken = a->n_work;
    bool found = false;
    while (!found) {
        Txn *t = applier_take_next(a, false);
        if (!t) break;
        if (!h->may_start(h->ctx, t)) {
            applier_put_back(a, t);
            break;
        }
        applier_push_work(a, t);
        p->work = &a->work[from]; /* work[] may have moved */
        found = t->source == source && txn_frees(p, t);
    }
    if (found) {
        plan_fill(a, p, &a->work[from], a->n_work - from);
        return true;
    }
    while (a->n_work > taken)
        applier_put_back(a, a->work[--a->n_work].txn);
    return false;
}

/* -- telling -- */

static void place(const Applier *a, const Plan *p, StrBuf *out)
{
    size_t at = p->failed_at == SIZE_MAX ? 0 : p->failed_at;
    const Txn *t = p->work[p->n_ops ? p->owner[at] : 0].txn;
    sb_printf(out, "source " STR_FMT, STR_ARG(a->opts.streams[t->source]));
    if (p->n_ops) {
        sb_c(out, ", ");
        sb_c(out, kind_name(p->ops[at]->kind));
        sb_c(out, " on ");
        table_name_plain(p->ops[at]->binding->member->name, out);
        sb_c(out, " -> ");
        table_name_plain(p->ops[at]->binding->target->name, out);
        if (t->chunk)
            sb_printf(out, ", copying existing rows (chunk %llu)", (unsigned long long)t->chunk->id);
        else
            sb_printf(out, ", row %llu", (unsigned long long)p->ops[at]->row_no);
    }
    if (t->id.file.len)
        sb_printf(out, ", transaction ending at " STR_FMT ":%llu", STR_ARG(t->id.file),
                  (unsigned long long)t->id.end_pos);
    if (t->id.has_gtid) {
        sb_c(out, ", GTID ");
        gtid_format(&t->id.gtid, out);
    }
}

/* Which unique key is taken? The first one whose value stands in the target. */
static void find_key(Applier *a, const RowOp *op, ApplyCollision *c, StrBuf *condition)
{
    const Binding *b = op->binding;
    for (uint32_t k = 0; a->conn && k < b->target->n_keys && !c->key_name.len; k++) {
        sb_clear(condition);
        /* An UPDATE keeps what it does not change: that key is its own. */
        if (op->kind == ROW_UPDATE && rowsql_same_key(b, k, &op->before, &op->after)) continue;
        if (!rowsql_key_condition(b, k, &op->after, false, condition)) continue;
        char *there = NULL;
        Err ignored = {0};
        StrBuf sql = {0};
        sb_printf(&sql, "SELECT COUNT(*) FROM " STR_FMT " WHERE %s", STR_ARG(b->target->sql_name),
                  condition->ptr);
        if (conn_scalar(a->conn, sb_view(&sql), &there, &ignored) && there && strcmp(there, "0") != 0)
            c->key_name = b->target->keys[k].name;
        sb_done(&sql);
        free(there);
        err_clear(&ignored);
    }
    c->condition = sb_view(condition);
}

/* The server does not say whose bytes are no text of their character set: each column is tried by itself. */
static void name_broken_text(Applier *a, const RowOp *op, Err *err)
{
    enum { ER_INVALID_CHARACTER_STRING = 1300 };
    const RowImage *images[] = {&op->after, &op->before};
    StrBuf sql = {0}, literal = {0};
    bool found = false;
    if (err->server_errno != ER_INVALID_CHARACTER_STRING || !a->conn) return;
    for (size_t i = 0; !found && i < ARRAY_LEN(images); i++) {
        for (uint32_t at = 0;
             !found && images[i]->present && rowsql_next_converted(op->binding, images[i], &at, &literal);
             at++) {
            Err why = {0};
            char *ignored = NULL;
            sb_clear(&sql);
            sb_printf(&sql, "SELECT CHAR_LENGTH(%s)", literal.ptr);
            found =
                !conn_scalar(a->conn, sb_view(&sql), &ignored, &why) && why.server_errno == err->server_errno;
            if (found) err_wrap(err, "column %s", op->binding->columns[at].sql_name.ptr);
            free(ignored);
            err_clear(&why);
        }
    }
    sb_done(&sql);
    sb_done(&literal);
}

static void tell_and_eject(Applier *a, Plan *p, Err *err)
{
    StrBuf where = {0}, condition = {0};
    Err told = {0};
    ApplyCollision collision = {0};
    bool duplicate = err->code == ERR_DB_DUPLICATE_KEY && p->failed_at != SIZE_MAX;
    place(a, p, &where);
    if (duplicate) {
        collision.binding = p->ops[p->failed_at]->binding;
        find_key(a, p->ops[p->failed_at], &collision, &condition);
        err_set(&told, ERR_APPLY_COLLISION, "%s: the row's key %s" STR_FMT "%s is taken in the target",
                where.ptr, collision.key_name.len ? "`" : "", STR_ARG(collision.key_name),
                collision.key_name.len ? "`" : "");
    } else {
        err_move(&told, err);
        if (p->failed_at != SIZE_MAX) name_broken_text(a, p->ops[p->failed_at], &told);
        err_wrap(&told, "%s", where.ptr);
    }
    const Txn *culprit = p->work[p->failed_at == SIZE_MAX || !p->n_ops ? 0 : p->owner[p->failed_at]].txn;
    if (duplicate && culprit->is_piece && !culprit->last_piece)
        err_wrap(
            &told,
            "in a transaction so large that it is applied in pieces (a later piece may free the key: raise "
            "split-transaction-rows, spill-bytes and memory-limit)");
    err_clear(err);
    a->opts.hooks.eject(a->opts.hooks.ctx, culprit, &told, duplicate ? &collision : NULL);
    err_clear(&told);
    sb_done(&where);
    sb_done(&condition);
}

/* -- one transaction (with those that free its keys), to its end -- */

static void finish_plan(Applier *a, Plan *p, bool committed)
{
    const ApplyHooks *h = &a->opts.hooks;
    for (size_t i = 0; i < p->n_work; i++) {
        p->work[i].dropped |= !committed;
        if (p->work[i].dropped) continue;
        atomic_fetch_add(&a->n_transactions, 1);
        atomic_fetch_add(&a->n_rows, p->work[i].txn->n_ops);
    }
    if (committed) {
        parked_committed(a);
        atomic_fetch_add(&a->n_batches, 1);
        h->committed(h->ctx, a->opts.index, a->commit_seq, p->work, p->n_work);
    }
    h->finish(h->ctx, a->opts.index, p->work, p->n_work);
}

static bool may_be_early(const Err *err)
{
    return err->code == ERR_DB_DUPLICATE_KEY || err->code == ERR_APPLY_MISSED;
}

/* After a refused attempt: true when another attempt makes sense. */
static bool try_otherwise(Applier *a, Plan *p, size_t from, const Err *err)
{
    const ApplyHooks *h = &a->opts.hooks;
    if (!may_be_early(err) || p->failed_at == SIZE_MAX) return false;
    if (!p->final) {
        /* The plan is still one transaction: waiting for orders above its own could be a circle. */
        p->final = true;
        a->failed = !h->wait_before(h->ctx, a->opts.index, p->work[0].txn->order);
        return true;
    }
    if (err->code != ERR_DB_DUPLICATE_KEY) return false;
    size_t freeing = find_freeing(p), end = find_end(p);
    if (freeing != SIZE_MAX)
        move_before(p, p->failed_at, freeing);
    else if (end == SIZE_MAX)
        return widen(a, p, from); /* the operations stand in their own order again */
    else
        return leave_out(p, end);
    return true;
}

enum { REORDERINGS = 64 }; /* beyond it the claims go in a circle */

/* *done: how many of work[from…] are finished. False: the task ends. */
static bool run_one(Applier *a, size_t from, size_t *done)
{
    Plan p = {0};
    unsigned tries = REORDERINGS;
    bool over = false;
    plan_fill(a, &p, &a->work[from], 1);
    while (!over && !a->failed) {
        Err err = {0};
        if (p.work[0].dropped) {
            p.n_work = 1;
            finish_plan(a, &p, false);
            break;
        }
        ApplyVerdict v = attempt(a, &p, &err) ? APPLY_COMMITTED : applier_after_error(a, &err);
        if (v == APPLY_COMMITTED) {
            finish_plan(a, &p, true);
            over = true;
        } else if (v == APPLY_REFUSED) {
            if (tries == 0 || !try_otherwise(a, &p, from, &err)) {
                tell_and_eject(a, &p, &err);
                plan_fill(a, &p, &a->work[from], 1);
            }
            tries -= tries > 0;
        } /* APPLY_AGAIN: once more; APPLY_FAILED: a->failed is set */
        err_clear(&err);
    }
    *done = a->failed ? 0 : p.n_work;
    plan_done(&p);
    return !a->failed;
}

bool careful_run(Applier *a)
{
    size_t at = 0;
    bool alive = true;
    while (alive && at < a->n_work) {
        size_t done = 0;
        alive = run_one(a, at, &done);
        if (alive) at += done;
    }
    /* what a failure left is handed back as dropped by the caller */
    memmove(a->work, a->work + at, (a->n_work - at) * sizeof *a->work);
    a->n_work -= at;
    return alive;
}
