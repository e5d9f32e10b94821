/* One row of a target whose losers are parked, and a batch of them; see parked.h for what holds. Inside an
 * applier's transaction. */
#include "apply/parked.h"
#include <stdlib.h>
#include "apply/applier_internal.h"
#include "apply/meta_sql.h"
#include "apply/parked_impl.h"
#include "base/poison.h"

enum { LOOKS = 8, CONDITIONS = 100 };

static void count_parked(Applier *a, ParkedTarget *p, int64_t rows)
{
    for (size_t i = 0; i < a->n_parked; i++)
        if (a->parked[i].target == p) {
            a->parked[i].rows += rows;
            return;
        }
    a->parked = mem_realloc(a->parked, (a->n_parked + 1) * sizeof *a->parked);
    a->parked[a->n_parked++] = (ParkedChange){p, rows};
}

/* -- one operation -- */

typedef enum Place { NOWHERE, IN_TARGET, IS_PARKED } Place;

/* Where the row of an operation stands, and what an operator has decided about it. */
typedef struct Found {
    Place place;
    uint64_t id;     /* IS_PARKED */
    Decided decided; /* number 0: nothing */
} Found;

/* By the keys that the shard knows; f stays as it is when nobody has decided about the row. */
static bool locate_decided(Settle *s, Str where, Found *f, Err *err)
{
    if (!settle_decides(s)) return true;
    if (!decided_find(s, SIDE_OWN, where, &f->decided, err)) return false;
    if (!f->decided.number) return true;
    f->place = f->decided.parked ? IS_PARKED : IN_TARGET;
    f->id = f->decided.id;
    return true;
}

/* Is what stands under this key in the target a row of the same shard that was renamed to it? */
static bool is_anothers(Settle *s, Str where, bool *anothers, Err *err)
{
    Decided d = {0};
    *anothers = false;
    if (!settle_decides(s)) return true;
    if (!decided_find(s, SIDE_WRITTEN, where, &d, err)) return false;
    *anothers = d.number != 0;
    return true;
}

/* The row of the before image, locked. It may be moved from one side to the other between two looks. */
static bool locate(Settle *s, const RowOp *op, Found *f, Err *err)
{
    CLEANUP(sb_done) StrBuf where = {0};
    *f = (Found){.place = NOWHERE};
    if (!rowsql_where(&where, op, err)) return false;
    for (unsigned look = 0; look < LOOKS && f->place == NOWHERE; look++) {
        bool parked = look % 2 == 0, found = false;
        /* Before each look: one that waited for a decision's locks has missed the row that was decided about.
         */
        if (!locate_decided(s, sb_view(&where), f, err)) return false;
        if (f->place != NOWHERE) break;
        sb_clear(&s->sql);
        sb_printf(&s->sql, "SELECT %s FROM " STR_FMT STR_FMT "%s FOR UPDATE", parked ? "sm_id" : "1",
                  STR_ARG(parked ? s->p->table : s->t->sql_name), STR_ARG(sb_view(&where)),
                  parked ? " AND sm_decided=0" : "");
        if (!settle_number(s, &f->id, &found, err)) return false;
        bool anothers = false;
        if (found && !parked && !is_anothers(s, sb_view(&where), &anothers, err)) return false;
        if (found && !anothers) f->place = parked ? IS_PARKED : IN_TARGET;
    }
    return true;
}

static Str source_of(const Settle *s, const Member *m)
{
    return s->p->world.source_id(s->p->world.ctx, m->source);
}

static ParkedMark mark_of(Settle *s, const Member *m)
{
    return (ParkedMark){.id = settle_new_id(s), .source = source_of(s, m), .table = m->name};
}

static bool take_out_plain(Settle *s, const RowOp *op, uint64_t *id, Err *err)
{
    ParkedMark mark = mark_of(s, op->binding->member);
    *id = mark.id;
    settle_insert_head(s);
    sb_c(&s->sql, "SELECT ");
    settle_bookkeeping(&s->sql, &mark);
    sb_printf(&s->sql, "," STR_FMT " FROM " STR_FMT, STR_ARG(s->p->columns), STR_ARG(s->t->sql_name));
    if (!rowsql_where(&s->sql, op, err) || !settle_run(s, 1, err)) return false;
    sb_clear(&s->sql);
    sb_printf(&s->sql, "DELETE FROM " STR_FMT, STR_ARG(s->t->sql_name));
    if (!rowsql_where(&s->sql, op, err) || !settle_run(s, 1, err)) return false;
    s->rows++;
    return true;
}

/* The rank of the operation's row, which is parked as `id` now. */
static bool rank_now(Settle *s, const RowOp *op, uint64_t id, ParkedRank *out, Err *err)
{
    const Member *m = op->binding->member;
    if (s->p->order_column != NO_COLUMN || settle_decides(s)) return settle_rank(s, id, out, err);
    *out = (ParkedRank){.source = m->source, .schema = m->name.schema, .table = m->name.table};
    return true;
}

/* The row of the before image leaves the target for the other side. Who waited for its keys are candidates.
 */
static bool take_out(Settle *s, const RowOp *op, Found *f, Err *err)
{
    ParkedRank left;
    bool ok = f->decided.number ? decided_take_out(s, &f->decided, err) : take_out_plain(s, op, &f->id, err);
    if (f->decided.number) f->id = f->decided.id;
    return ok && rank_now(s, op, f->id, &left, err) && settle_add_waiting(s, f->id, &left, err);
}

static bool add_itself(Settle *s, const RowOp *op, uint64_t id, Err *err)
{
    ParkedRank rank;
    if (!rank_now(s, op, id, &rank, err)) return false;
    settle_add(s, id, &rank);
    return true;
}

static bool slow_insert(Settle *s, const RowOp *op, uint64_t *id, Err *err)
{
    CLEANUP(sb_done) StrBuf values = {0};
    ParkedMark mark = mark_of(s, op->binding->member);
    *id = mark.id;
    settle_bookkeeping(&values, &mark);
    RowsqlMore more = {.table = s->p->table, .columns = STR(PARKED_BOOKKEEPING), .values = sb_view(&values)};
    sb_clear(&s->sql);
    if (!rowsql_insert_more(&s->sql, op, &more, err) || !settle_run(s, 1, err)) return false;
    s->rows++;
    if (settle_decides(s) && !decided_own_is_free(s, *id, NULL, err)) return false;
    return add_itself(s, op, *id, err);
}

static bool slow_update(Settle *s, const RowOp *op, Found *f, Err *err)
{
    Decided *d = &f->decided;
    if (d->number && !decided_before_update(s, d, err)) return false;
    sb_clear(&s->sql);
    sb_printf(&s->sql, "UPDATE " STR_FMT " SET ", STR_ARG(s->p->table));
    if (!rowsql_assignments(&s->sql, op, err)) return false;
    sb_printf(&s->sql, " WHERE sm_id=%llu", (unsigned long long)f->id);
    if (!settle_run(s, 1, err)) return false;
    if (settle_decides(s)) {
        if (!d->number && !decided_own_is_free(s, f->id, NULL, err)) return false;
        if (d->number && !decided_after_update(s, d, err)) return false;
        if (d->number && !decided_own_is_free(s, f->id, d, err)) return false;
    }
    return add_itself(s, op, f->id, err);
}

static bool slow_change(Settle *s, const RowOp *op, uint64_t *id, Err *err)
{
    Found f;
    if (!locate(s, op, &f, err)) return false;
    if (f.place == NOWHERE)
        return err_set(err, ERR_APPLY_MISSED, "the row is neither in the target nor parked beside it");
    if (f.place == IN_TARGET && !take_out(s, op, &f, err)) return false;
    *id = f.id;
    if (op->kind == ROW_UPDATE) return slow_update(s, op, &f, err);
    if (!settle_drop_parked(s, f.id, err)) return false;
    f.decided.parked = false;
    return !f.decided.number || decided_forget(s, &f.decided, err);
}

static bool slow(Applier *a, const RowOp *op, bool *parked, Err *err)
{
    Settle s = {.applier = a, .conn = a->conn, .p = op->binding->target->parked, .t = op->binding->target};
    uint64_t id = 0;
    bool ok = (op->kind == ROW_INSERT ? slow_insert(&s, op, &id, err) : slow_change(&s, op, &id, err)) &&
              settle_all(&s, err);
    *parked = settle_is_parked(&s, id);
    if (ok) count_parked(a, s.p, s.rows);
    settle_done(&s);
    return ok;
}

/* Does it give the row another rank, without another key? */
static bool changes_rank(const RowOp *op, const RowImage *after)
{
    const ParkedTarget *p = op->binding->target->parked;
    return p->order_column != NO_COLUMN &&
           rowsql_changes_column(op->binding, p->order_column, &op->before, after);
}

/* Nothing can wait for what this operation frees, so that it may be tried as it is. */
static bool frees_nothing(const RowOp *op)
{
    const ParkedTarget *p = op->binding->target->parked;
    if (atomic_load(&p->decisions)) return false; /* it may not be its row that has its key */
    if (op->kind == ROW_INSERT) return true;
    if (op->kind == ROW_UPDATE && op->keys_unchanged && !changes_rank(op, &op->after)) return true;
    return !atomic_load(&p->ever);
}

bool parked_apply(Applier *a, const RowOp *op, bool *parked, Err *err)
{
    *parked = false;
    if (frees_nothing(op)) {
        bool ok = false;
        sb_clear(&a->text);
        switch (op->kind) {
        case ROW_INSERT: ok = rowsql_insert_one(&a->text, op, err); break;
        case ROW_UPDATE: ok = rowsql_update_one(&a->text, op, &op->after, err); break;
        case ROW_DELETE: ok = rowsql_delete_one(&a->text, op, err); break;
        }
        if (!ok) return false;
        if (applier_exec_rows(a, sb_view(&a->text), 1, err)) return true;
        if (err->code != ERR_DB_DUPLICATE_KEY && err->code != ERR_APPLY_MISSED) return false;
        err_clear(err);
    }
    return slow(a, op, parked, err);
}

/* -- a batch -- */

static bool frees_keys(const BatchOp *o)
{
    const ParkedTarget *p = o->op->binding->target->parked;
    if (!p || !atomic_load(&p->ever)) return false;
    if (o->kind == ROW_UPDATE && changes_rank(o->op, &o->after)) return true;
    return o->kind == ROW_DELETE || (o->kind == ROW_UPDATE && !o->op->keys_unchanged && !o->replaced);
}

/* Is there no row of that table under one of the conditions? Clears them. */
static bool none_there(Applier *a, Str table, StrBuf *conditions, const char *why, Err *err)
{
    Rows rows = {0};
    StrBuf sql = {0};
    if (!conditions->len) return true;
    sb_printf(&sql, "SELECT 1 FROM " STR_FMT " WHERE %s LIMIT 1 FOR UPDATE", STR_ARG(table), conditions->ptr);
    bool ok = conn_query(a->conn, sb_view(&sql), &rows, err);
    bool waits = ok && rows.n_rows > 0;
    rows_done(&rows);
    sb_done(&sql);
    sb_clear(conditions);
    return ok && (!waits || err_set(err, ERR_APPLY_MISSED, "%s", why));
}

/* The operations of one target, in a row. */
static bool check_target(Applier *a, const BatchOp *ops, size_t n, Err *err)
{
    static const char why[] = "a parked row waits for a key that is freed";
    const Target *t = ops[0].op->binding->target;
    StrBuf conditions = {0}, one = {0};
    bool ok = true;
    for (uint32_t k = 0; ok && k < t->n_keys; k++) {
        size_t gathered = 0;
        for (size_t i = 0; ok && i < n; i++) {
            if (!parked_counts_key(&t->keys[k]) || !frees_keys(&ops[i])) continue;
            const RowImage *before = &ops[i].op->before;
            sb_clear(&one);
            if (rowsql_key_condition(ops[i].op->binding, k, before, false, &one))
                sb_printf(&conditions, "%s(%s)", conditions.len ? " OR " : "", one.ptr);
            else if (!before->full) /* the key is not known: row by row it is read from the target */
                ok = err_set(err, ERR_APPLY_MISSED, "a key that is freed is not in the row image");
            if (ok && ++gathered % CONDITIONS == 0)
                ok = none_there(a, t->parked->table, &conditions, why, err);
        }
        ok = ok && none_there(a, t->parked->table, &conditions, why, err);
    }
    sb_done(&conditions);
    sb_done(&one);
    return ok;
}

/* "`id`=1 AND `shard`='s1'" of an image; the row key is always in it. */
static bool add_identity(const Binding *b, const RowImage *image, StrBuf *conditions, Err *err)
{
    const RowOp op = {.binding = b, .before = *image};
    enum { WHERE = sizeof " WHERE " - 1 };
    CLEANUP(sb_done) StrBuf where = {0};
    if (!rowsql_where(&where, &op, err)) return false;
    sb_printf(conditions, "%s(%s)", conditions->len ? " OR " : "", where.ptr + WHERE);
    return true;
}

/* Has one of these rows a key of a decided row, the shard's or the written one? Then its statement may have
 * met another row. */
static bool check_decided(Applier *a, const BatchOp *ops, size_t n, Err *err)
{
    static const char why[] = "an operator has decided about a row with this key";
    const ParkedTarget *p = ops[0].op->binding->target->parked;
    StrBuf conditions = {0};
    bool ok = true;
    for (size_t i = 0; ok && i < n; i++) {
        const Binding *b = ops[i].op->binding;
        if (ops[i].op->kind != ROW_INSERT) ok = add_identity(b, &ops[i].op->before, &conditions, err);
        if (ok && ops[i].kind != ROW_DELETE && ops[i].after.full)
            ok = add_identity(b, &ops[i].after, &conditions, err);
        else if (ok && ops[i].kind != ROW_DELETE) /* row by row its key is read from the target */
            ok = err_set(err, ERR_APPLY_MISSED, "a key is not in the row image");
        if (ok && (i + 1) % CONDITIONS == 0) ok = none_there(a, p->decided_table, &conditions, why, err);
    }
    ok = ok && none_there(a, p->decided_table, &conditions, why, err);
    sb_done(&conditions);
    return ok;
}

bool parked_check_batch(Applier *a, Err *err)
{
    const Batch *b = &a->batch;
    for (size_t i = 0, end; i < b->n_ops; i = end) {
        const Target *t = b->ops[i].op->binding->target;
        bool frees = false;
        for (end = i; end < b->n_ops && b->ops[end].op->binding->target == t; end++)
            frees |= frees_keys(&b->ops[end]);
        if (frees && !check_target(a, &b->ops[i], end - i, err)) return false;
        if (t->parked && atomic_load(&t->parked->decisions) && !check_decided(a, &b->ops[i], end - i, err))
            return false;
    }
    return true;
}

void parked_committed(Applier *a)
{
    for (size_t i = 0; i < a->n_parked; i++)
        atomic_fetch_add(&a->parked[i].target->n_rows, a->parked[i].rows);
    a->n_parked = 0;
}
