/* The jobs that change a target with tables beside it, for the losers of collisions: what they plan and run,
 * in the job's thread. The target is changed first: it is the one that the server may refuse to change, and
 * then nothing has happened. New unique keys come last, behind the rows that share them
 * (docs/adr/0037-parked-rows-follow-schema-changes.md). */
#include <stdlib.h>
#include "apply/parked_rekey.h"
#include "base/log.h"
#include "db/schema_read.h"
#include "ddl/parse.h"
#include "pipeline/ddl_impl.h"
#include "track/schema_beside.h"
#include "track/schema_onto.h"
#include "base/poison.h"

enum { TABLES = 2 };

typedef struct BesidePlan {
    Pipeline *p;
    DdlTarget *t;
    DdlJob *j;
    Arena arena;
    TextOpts text;
    OntoChange onto;
    const struct ParkedTarget *parked;
    const TableSchema *live;     /* the target */
    TableSchema *tables[TABLES]; /* beside it */
    EmitChange whole;
} BesidePlan;

static bool has_dropped(const BesidePlan *b)
{
    return b->t->pending.drop;
}

/* -- the plan -- */

/* Appends the statements of one change. *after: a copy of the table behind them. */
static bool emit(BesidePlan *b, TableName table, const EmitChange *c, TableSchema **after, Err *err)
{
    EmitPlan plan = {0};
    if (!schema_emit_change(c, &b->text, &plan, err)) return false;
    emit_plan_append(&b->j->plan, table, &plan);
    if (after)
        *after = !plan.n                        ? schema_copy(c->from)
                 : plan.steps[plan.n - 1].after ? schema_copy(plan.steps[plan.n - 1].after)
                                                : NULL;
    emit_plan_done(&plan);
    return true;
}

static bool plan_beside(BesidePlan *b, const TableSchema *target, Err *err)
{
    for (size_t i = 0; i < TABLES; i++) {
        EmitChange change = {.from = b->tables[i], .drop = true};
        if (!b->tables[i]) continue;
        if (!has_dropped(b) && !schema_beside(b->tables[i], &b->onto, target, &b->arena, &change, err))
            return false;
        if (!emit(b, b->tables[i]->name, &change, NULL, err)) return false;
    }
    return true;
}

static bool keys_change(const BesidePlan *b)
{
    const struct ParkedTarget *p = b->parked;
    Str order = p->order_column == NO_COLUMN ? (Str){0} : p->target->schema->columns[p->order_column].name;
    return schema_keys_change(b->live, b->whole.to, b->whole.columns, order) ||
           schema_keys_change(b->onto.from->schema, b->onto.to->schema, b->onto.columns, order);
}

/* left: rows have left the target for keys that may not come any more, or are about to come in. */
static bool plan_all(BesidePlan *b, bool left, Err *err)
{
    static const TableName none = {{0}, {0}};
    EmitChange first, then;
    TableSchema *middle = NULL;
    if (has_dropped(b)) return emit(b, none, &b->whole, NULL, err) && plan_beside(b, b->live, err);
    bool later = schema_keys_later(&b->whole, &b->arena, &first);
    bool ok = emit(b, none, &first, &middle, err) && plan_beside(b, b->whole.to, err);
    if (ok && (later || left || keys_change(b)))
        emit_plan_add(&b->j->plan, none, STR(TARGET_DDL_SETTLE), schema_copy(middle), true);
    if (ok) {
        schema_keys_now(middle, b->whole.to, &b->arena, &then);
        ok = emit(b, none, &then, NULL, err);
    }
    schema_free(middle);
    return ok;
}

/* The tables beside the target, as they are. */
static bool read_beside(BesidePlan *b, Conn *c, bool may_miss, Err *err)
{
    for (size_t i = 0; i < TABLES; i++) {
        TableName table = {b->p->meta_task.schema, i ? b->parked->decided_name : b->parked->name};
        if (!schema_read(c, table, &b->tables[i], err)) return false;
        if (b->tables[i] || may_miss) continue;
        return err_set_remedy(err, ERR_DDL_DIFFERS, "start the task again: it says what can be done",
                              "table " STR_FMT "." STR_FMT " beside target " STR_FMT " is not there",
                              STR_ARG(table.schema), STR_ARG(table.table), STR_ARG(b->t->label));
    }
    return true;
}

/* Planned from the middle, a name that another column had before is not told from its bearer. */
static bool can_plan(BesidePlan *b, Conn *c, const TargetDdlStand *stand, Err *err)
{
    if (stand->left_midway && !has_dropped(b) &&
        schema_reuses_names(b->onto.from->schema, b->onto.to->schema, b->onto.columns))
        return err_set_remedy(
            err, ERR_NOT_SUPPORTED,
            "end the change by hand, on the target and on both tables beside it; then shardmerge locks "
            "TASK.yaml --decide give-up --yes",
            "target " STR_FMT
            ": the last change of it was left in the middle, and gives a column the name of "
            "another",
            STR_ARG(b->t->label));
    return parked_may_change(c, b->parked, &b->whole, err);
}

static bool make_plan(BesidePlan *b, Conn *c, const Dialect *d, Err *err)
{
    TargetDdlStand stand;
    TargetDdlAsked asked = {
        .meta = b->p->meta_task, .target = b->t->name, .job = b->j->id, .left = b->t->pending.left};
    if (!catalog_target_live(b->p->catalog, b->t->name, &b->live))
        return err_set(err, ERR_BUG, "no target " STR_FMT, STR_ARG(b->t->label));
    b->whole = (EmitChange){.from = b->live, .drop = true};
    if (!target_ddl_stands(c, &asked, &stand, err) || !read_beside(b, c, has_dropped(b), err)) return false;
    if (stand.begun) return true; /* the journal has the plan */
    ParkedRekey r = {
        .meta = b->p->meta_task, .epoch = b->p->epoch, .parked = (struct ParkedTarget *)b->parked};
    return (has_dropped(b) || schema_onto(b->live, &b->onto, &b->arena, &b->whole, err)) &&
           can_plan(b, c, &stand, err) && (has_dropped(b) || parked_refresh(c, d, &r, err)) &&
           plan_all(b, stand.left, err);
}

/* -- the run -- */

/* Rows take their places under the keys that the target has, or (coming) is about to get. */
static bool rekey(BesidePlan *b, Conn *c, const Dialect *d, bool coming, Err *err)
{
    Target *next = NULL;
    TableSchema *schema = NULL;
    int64_t moved = 0;
    if (!schema_read(c, b->t->name, &schema, err)) return false;
    if (!schema) return err_set(err, ERR_DDL_DIFFERS, "target " STR_FMT " is gone", STR_ARG(b->t->label));
    if (coming) schema_late_as_unique(schema);
    if (!catalog_prepare_target(b->p->catalog, c, d, schema, &next, err)) return false;
    ParkedRekey r = {.meta = b->p->meta_task, .epoch = b->p->epoch, .parked = next->parked};
    bool ok = catalog_may_park(next, err) && parked_rekey(c, d, &r, &moved, err);
    if (ok)
        log_write(LOGEV_PARKED_MOVED, LOG_STR("target", b->t->label), LOG_I("parked", moved),
                  LOG_I("now", atomic_load(&next->parked->n_rows)));
    catalog_prepared_free(next);
    return ok;
}

static bool settle(void *ctx, Conn *c, const Dialect *d, Err *err)
{
    return rekey(ctx, c, d, true, err);
}

bool ddl_job_pause(DdlJob *j, Err *err)
{
    enum { PAUSE_MS = 1000 };
    bool stops = conn_cancel_fired(j->job.session.conn.cancel);
    if (!stops && (err->code == ERR_CANCELLED || err_class(err) != ERR_CLASS_RETRY)) return false;
    if (!stops) log_error(LOGEV_CHECK_WARNING, err, LOG_STR("table", j->job.target.table));
    stops = stops || waker_sleep(&j->wake, PAUSE_MS);
    err_clear(err);
    return !stops || err_set(err, ERR_CANCELLED, "stopped on request");
}

static void plan_done(BesidePlan *b)
{
    for (size_t i = 0; i < TABLES; i++)
        schema_free(b->tables[i]);
    arena_done(&b->arena);
}

static BesidePlan plan_of(Ddl *d, DdlTarget *t)
{
    const Dialect *dialect = &d->p->dialect;
    return (BesidePlan){
        .p = d->p,
        .t = t,
        .j = &t->job,
        .parked = t->job.parked,
        .text = {.dialect = dialect->is_tidb      ? DIALECT_TIDB
                            : dialect->is_mariadb ? DIALECT_MARIADB
                                                  : DIALECT_MYSQL,
                 .version = dialect->is_tidb ? 0 : ddl_server_version(str_of(dialect->version))},
        .onto = {.from = t->pending.from,
                 .to = t->pending.to,
                 .columns = t->pending.columns,
                 .rows = t->pending.rows,
                 .drop = t->pending.drop,
                 .keyed = catalog_target_keyed(d->p->catalog, t->name)}};
}

static bool run_plan(BesidePlan *b, Err *err)
{
    DdlJob *j = b->j;
    TargetDdlBeside beside[TABLES];
    uint32_t n = 0;
    for (size_t i = 0; i < TABLES; i++)
        if (b->tables[i]) beside[n++] = (TargetDdlBeside){b->tables[i]->name, b->tables[i]};
    schema_free(j->before);
    j->before = schema_copy(b->live);
    j->job.before = j->before;
    j->job.beside = beside;
    j->job.n_beside = n;
    j->job.settle = settle;
    j->job.settle_ctx = b;
    for (uint32_t i = 0; i < j->plan.n; i++)
        log_write(LOGEV_TARGET_CHANGES, LOG_STR("schema", b->t->name.schema),
                  LOG_STR("table", b->t->name.table), LOG_STR("statement", j->plan.steps[i].sql));
    bool ok = target_ddl_run(&j->job, err);
    j->job.beside = NULL;
    j->job.n_beside = 0;
    return ok;
}

bool ddl_beside_run(Ddl *d, DdlTarget *t, Err *err)
{
    BesidePlan b;
    bool ok = false;
    parked_shut(t->job.parked);
    for (;;) {
        Conn *c = NULL;
        Dialect dialect;
        b = plan_of(d, t);
        ok = session_open(&t->job.job.session, &c, &dialect, err) && make_plan(&b, c, &dialect, err);
        conn_close(c);
        if (ok || !ddl_job_pause(&t->job, err)) break;
        plan_done(&b);
        emit_plan_done(&t->job.plan);
    }
    ok = ok && run_plan(&b, err);
    plan_done(&b);
    return ok;
}

/* -- its end -- */

/* Of a target that was made anew: a start may have made what stands beside it like the one that was. */
static bool drop_empty(BesidePlan *b, Conn *c, Err *err)
{
    const Str names[TABLES] = {b->parked->table, b->parked->decided_table};
    CLEANUP(sb_done) StrBuf sql = {0};
    bool ok = parked_forget(c, &b->p->meta_task, b->t->name, err) && read_beside(b, c, true, err);
    for (size_t i = 0; ok && i < TABLES; i++) {
        char *row = NULL;
        if (!b->tables[i]) continue;
        sb_clear(&sql);
        sb_printf(&sql, "SELECT 1 FROM " STR_FMT " LIMIT 1", STR_ARG(names[i]));
        ok = conn_scalar(c, sb_view(&sql), &row, err);
        sb_clear(&sql);
        sb_printf(&sql, "DROP TABLE " STR_FMT, STR_ARG(names[i]));
        ok = ok && (row || conn_exec(c, sb_view(&sql), NULL, err));
        free(row);
    }
    return ok;
}

static bool look(BesidePlan *b, Err *err)
{
    DdlJob *j = b->j;
    Conn *c = NULL;
    Dialect dialect;
    Err why = {0};
    bool ok = session_open(&j->job.session, &c, &dialect, err);
    if (j->ok && (j->kind == DDL_JOB_MAKE || j->kind == DDL_JOB_MADE)) ok = ok && drop_empty(b, c, err);
    /* whatever an operator did by hand, and what was parked for keys that have not come: the rows take their
     * places under the keys that are there */
    bool moves = j->ok ? j->kind == DDL_JOB_AS_IS : !b->t->pending.drop;
    bool settled = !ok || !moves || rekey(b, c, &dialect, false, &why);
    ok = ok && catalog_prepare_target(b->p->catalog, c, &dialect, schema_copy(j->after), &j->prepared, err);
    if (ok && !settled) err_move(err, &why);
    err_clear(&why);
    conn_close(c);
    return ok && settled;
}

bool ddl_beside_look(Ddl *d, DdlTarget *t, Err *err)
{
    DdlJob *j = &t->job;
    BesidePlan b = plan_of(d, t);
    parked_shut(j->parked);
    bool ok;
    do {
        catalog_prepared_free(j->prepared);
        j->prepared = NULL;
        ok = look(&b, err);
    } while (!ok && ddl_job_pause(j, err));
    plan_done(&b);
    return ok;
}
