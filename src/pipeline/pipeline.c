/* Starts the stages in order, supervises them, takes them down. */
#include "pipeline/pipeline.h"
#include <stdlib.h>
#include "apply/parked.h"
#include "apply/remap.h"
#include "base/check.h"
#include "base/clock.h"
#include "base/err_json.h"
#include "base/fault.h"
#include "base/log.h"
#include "pipeline/pipeline_impl.h"
#include "pipeline/unfollow.h"
#include "base/poison.h"

enum {
    TICK_MS = 20,
    ASK_MS = 200, /* between questions for the servers' ends, when waiting to be caught up */
    WINDOW_SLOTS = 16384,
    STATEMENT_ROWS = 1000,
    STATEMENT_BYTES = 512 * 1024,
    BATCH_BYTES = 4 * 1024 * 1024,
    START_RETRY_MS = 100,
    START_RETRY_MAX_MS = 3000,
    STOP_PATIENCE_MS = 10000, /* for batches under way, at a clean stop */
};

/* -- hooks: merge to sources and appliers -- */

static bool hook_resolve(void *ctx, uint32_t stream, const TableMap *map, const Binding **binding, Err *err)
{
    Pipeline *p = ctx;
    SourceStatus s;
    source_status(p->streams[stream].source, &s);
    bool ok = catalog_resolve(p->catalog, stream, map, &s.read, binding, err);
    point_done(&s.read);
    err_clear(&s.error);
    return ok;
}
/* A catch-up stream reads the tables of its source. */
static uint32_t source_of(const Pipeline *p, uint32_t stream)
{
    return stream % p->n_sources;
}
static bool hook_routed(void *ctx, uint32_t stream, TableName name)
{
    Pipeline *p = ctx;
    return catalog_routed(p->catalog, source_of(p, stream), name) ||
           (p->ddl && ddl_bears(p->ddl, stream, name));
}
static bool hook_schema_routed(void *ctx, uint32_t stream, Str schema)
{
    Pipeline *p = ctx;
    return catalog_schema_routed(p->catalog, source_of(p, stream), schema) ||
           (p->ddl && ddl_bears_schema(p->ddl, stream, schema));
}
static bool hook_ddl(void *ctx, uint32_t stream, const DdlEvent *e, Err *err)
{
    return ddl_statement(((Pipeline *)ctx)->ddl, stream, e, err);
}
static bool hook_held(void *ctx, uint32_t stream, const TableMap *map, const StreamPoint *at)
{
    return ddl_held(((Pipeline *)ctx)->ddl, stream, map, at);
}
static uint64_t hook_generation(void *ctx, uint32_t stream)
{
    return ddl_generation(((Pipeline *)ctx)->ddl, stream);
}
static void hook_boundary(void *ctx, uint32_t stream, const StreamPoint *at)
{
    ddl_boundary(((Pipeline *)ctx)->ddl, stream, at);
}
static bool hook_deliver(void *ctx, Txn *t)
{
    Pipeline *p = ctx;
    Load *load = stream_load(&p->streams[t->source]);
    if (p->ddl && !ddl_filter(p->ddl, t)) return false;
    return load ? load_deliver(load, t) : merge_deliver(p->merge, t);
}
static void hook_place(void *ctx, uint32_t source, Str file, uint64_t pos)
{
    Load *load = ((Pipeline *)ctx)->streams[source].load;
    if (load) load_place(load, file, pos);
}
static bool hook_exists(void *ctx, uint32_t stream, TableName name)
{
    Pipeline *p = ctx;
    return catalog_member_exists(p->catalog, source_of(p, stream), name);
}
static void hook_note(void *ctx, uint32_t source, const char *what, Str text)
{
    enum { SHOWN = 200 };
    Pipeline *p = ctx;
    log_write(LOGEV_CHECK_WARNING, LOG_S("source", p->streams[source].id), LOG_S("what", what),
              LOG_STR("text", ((Str){text.ptr, MIN(text.len, (size_t)SHOWN)})));
}

static bool hook_covered(void *ctx, uint32_t source, const TxnId *id)
{
    Pipeline *p = ctx;
    pthread_mutex_lock(&p->mutex);
    bool covered = point_covers(&p->streams[source].written_floor, id);
    pthread_mutex_unlock(&p->mutex);
    return covered;
}

static bool hook_load_deliver(void *ctx, Txn *t)
{
    return merge_deliver(((Pipeline *)ctx)->merge, t);
}
static bool hook_load_table(void *ctx, uint32_t stream, const Member *m, const StreamPoint *at,
                            LoadTableInfo *out, Err *err)
{
    return catalog_load_table(((Pipeline *)ctx)->catalog, stream, m, at, out, err);
}
static void hook_load_failed(void *ctx, uint32_t source, Err *err)
{
    pipeline_source_failed(ctx, source, err);
}
/* Behind by the source's clock, as far as the last event tells. */
static bool hook_load_behind(void *ctx, uint32_t source)
{
    Pipeline *p = ctx;
    SourceStatus s;
    source_status(p->streams[source].source, &s);
    int64_t lag_ms =
        s.at_server_end || !s.last_timestamp ? 0 : clock_wall_ms() - (int64_t)s.last_timestamp * 1000;
    point_done(&s.read);
    err_clear(&s.error);
    return lag_ms > (int64_t)p->task->load.max_lag_ms;
}

static Txn *hook_next(void *ctx, uint32_t applier, bool block)
{
    return merge_next(((Pipeline *)ctx)->merge, applier, block);
}
static bool hook_is_stale(void *ctx, const Txn *t)
{
    return merge_is_stale(((Pipeline *)ctx)->merge, t);
}
static bool hook_may_start(void *ctx, const Txn *t)
{
    return merge_may_start(((Pipeline *)ctx)->merge, t);
}
static bool hook_wait_start(void *ctx, const Txn *t)
{
    return merge_wait_start(((Pipeline *)ctx)->merge, t);
}
static bool hook_wait_before(void *ctx, uint32_t applier, uint64_t order)
{
    return merge_wait_before(((Pipeline *)ctx)->merge, applier, order);
}
static bool hook_is_wanted(void *ctx, uint32_t applier, uint64_t order)
{
    return merge_is_wanted(((Pipeline *)ctx)->merge, applier, order);
}

static void hook_finish(void *ctx, uint32_t applier, const ApplyOutcome *done, size_t n)
{
    Finished *all = mem_alloc((n + 1) * sizeof *all);
    for (size_t i = 0; i < n; i++)
        all[i] = (Finished){.txn = done[i].txn, .dropped = done[i].dropped};
    merge_finish(((Pipeline *)ctx)->merge, applier, all, n);
    free(all);
}

static void hook_committed(void *ctx, uint32_t applier, uint64_t seq, const ApplyOutcome *done, size_t n)
{
    Pipeline *p = ctx;
    LedgerPart *parts = mem_alloc((p->n_streams + 1) * sizeof *parts);
    uint32_t n_parts = 0;
    for (size_t i = 0; i < n; i++) {
        if (done[i].dropped) continue;
        const Txn *t = done[i].txn;
        if (t->chunk) load_committed(p->streams[t->source].load, t->chunk, t->window_slot);
        uint32_t k = 0;
        while (k < n_parts && parts[k].stream != t->source)
            k++;
        if (k == n_parts) parts[n_parts++] = (LedgerPart){.stream = t->source, .run = t->run};
        /* A batch never holds two runs of one stream: a run ends only when the stream is quiet. */
        CHECK(parts[k].run == t->run, "one run of a stream in a batch");
        parts[k].slot = MAX(parts[k].slot, t->window_slot);
    }
    ledger_add(&p->ledger, (MetaRowKey){.applier = applier, .commit_seq = seq}, parts, n_parts);
    free(parts);
}

static void hook_eject(void *ctx, const Txn *t, Err *err, const ApplyCollision *collision)
{
    pipeline_eject(ctx, t, err, collision);
}
static void hook_fail(void *ctx, Err *err)
{
    pipeline_fail(ctx, err);
}

/* -- state and downstream -- */

void pipeline_fail(Pipeline *p, Err *err)
{
    pthread_mutex_lock(&p->mutex);
    /* Being fenced is told even while stopping: progress read since may be another process's. */
    if ((!p->stopping || err->code == ERR_APPLY_FENCED) && !err_is_set(&p->fatal)) err_move(&p->fatal, err);
    p->stopping = true;
    pthread_cond_broadcast(&p->changed);
    pthread_mutex_unlock(&p->mutex);
    err_clear(err);
}

/* The first line in which the two fingerprints differ. */
static bool refuse_change(Str before, Str now, Err *err)
{
    while (before.len || now.len) {
        Str a = str_split(&before, '\n'), b = str_split(&now, '\n');
        if (str_eq(a, b)) continue;
        if (str_starts(b, STR("task-mode: ")))
            return err_set_remedy(
                err, ERR_STATE_TASK_CHANGED,
                "set task-mode back; or begin anew: another task name, an empty state folder "
                "and empty targets",
                "was '" STR_FMT "', is '" STR_FMT
                "': whether existing rows are copied is decided when a task begins",
                STR_ARG(a), STR_ARG(b));
        return err_set(err, ERR_STATE_TASK_CHANGED, "was '" STR_FMT "', is '" STR_FMT "'", STR_ARG(a),
                       STR_ARG(b));
    }
    return true;
}

/* Another configuration than the state's: refused, unless nothing has begun (a refused first start). */
static bool take_change(Pipeline *p, const StoreTask *st, Str now, Err *err)
{
    bool begun = true;
    if (str_eq(str_of(st->fingerprint), now)) return true;
    if (!store_task_has_begun(p->store, &begun, err)) return false;
    return begun ? refuse_change(str_of(st->fingerprint), now, err)
                 : store_task_renew(p->store, p->task->name, now, err);
}

static bool open_state(Pipeline *p, StoreTask *st, bool *is_new, Err *err)
{
    StrBuf now = {0};
    bool found = false;
    task_fingerprint(p->task, &now);
    bool ok = store_task_read(p->store, st, &found, err);
    *is_new = ok && !found;
    if (ok && !found)
        ok = store_task_create(p->store, p->task->name, sb_view(&now), err) &&
             store_task_read(p->store, st, &found, err);
    else if (ok)
        ok = take_change(p, st, sb_view(&now), err) && (p->follows || unfollow_check(p->store, err));
    sb_done(&now);
    if (!ok) return false;
    p->uuid = str_dup(str_of(st->uuid));
    p->state_checkpoint = st->checkpoint;
    return true;
}

/* One part per stream that has entries in a row found at start. */
typedef struct RowParts {
    Pipeline *p;
    LedgerPart *parts;
    uint32_t n;
} RowParts;

static void add_row_stream(void *ctx, Str stream)
{
    RowParts *r = ctx;
    uint32_t index = UINT32_MAX;
    for (uint32_t i = 0; i < r->p->n_streams; i++)
        if (str_eq(r->p->stream_ids[i], stream)) index = i;
    if (index == UINT32_MAX && r->p->ddl && ddl_is_old_round(r->p->ddl, stream)) index = LEDGER_OVER;
    for (uint32_t k = 0; k < r->n; k++)
        if (r->parts[k].stream == index) return;
    r->parts[r->n++] = (LedgerPart){.stream = index};
}

static bool keep_old_rows(Pipeline *p, const MetaStart *start, Err *err)
{
    RowParts r = {.p = p, .parts = mem_alloc((p->n_streams + 2) * sizeof(LedgerPart))};
    bool ok = true;
    for (size_t i = 0; ok && i < start->n_rows; i++) {
        r.n = 0;
        ok = applied_row_streams(start->rows[i].entries, add_row_stream, &r, err);
        if (ok)
            ledger_add(&p->ledger, (MetaRowKey){start->rows[i].applier, start->rows[i].commit_seq}, r.parts,
                       r.n);
    }
    free(r.parts);
    return ok;
}

/* Of rounds that ended when nobody could be told any more. */
static bool drop_old_floors(Pipeline *p, const MetaStart *start, Err *err)
{
    Str *old = mem_alloc((start->n_floors + 1) * sizeof *old);
    size_t n = 0;
    for (size_t i = 0; p->ddl && i < start->n_floors; i++)
        if (ddl_is_old_round(p->ddl, start->floors[i].stream)) old[n++] = start->floors[i].stream;
    bool ok = meta_drop_floors(p->meta, &p->dialect, &p->meta_task, p->epoch, old, n, err);
    free(old);
    return ok;
}

static void make_appliers(Pipeline *p, const uint64_t *commit_seqs)
{
    p->remap = remap_new(&p->meta_task, p->epoch);
    p->appliers = mem_zalloc(p->n_appliers * sizeof *p->appliers);
    p->applier_threads = mem_zalloc(p->n_appliers * sizeof *p->applier_threads);
    for (uint32_t i = 0; i < p->n_appliers; i++) {
        ApplierOpts o = {.index = i,
                         .session = p->session,
                         .meta = p->meta_task,
                         .epoch = p->epoch,
                         .commit_seq = commit_seqs[i],
                         .streams = p->stream_ids,
                         .batch_rows = p->task->batch_rows,
                         .batch_bytes = BATCH_BYTES,
                         .statement_rows = STATEMENT_ROWS,
                         .statement_bytes = STATEMENT_BYTES,
                         .remap = p->remap,
                         .record_missing = p->task->on_missing_row == MISS_RECORD,
                         .retry_max_s = p->task->retry_max_seconds,
                         .hooks = {.ctx = p,
                                   .next = hook_next,
                                   .is_stale = hook_is_stale,
                                   .may_start = hook_may_start,
                                   .wait_start = hook_wait_start,
                                   .wait_before = hook_wait_before,
                                   .is_wanted = hook_is_wanted,
                                   .finish = hook_finish,
                                   .committed = hook_committed,
                                   .eject = hook_eject,
                                   .fail = hook_fail}};
        p->appliers[i] = applier_new(&o);
    }
}

/* What is parked, once nobody else writes there. */
static bool load_parked(Pipeline *p, Err *err)
{
    const Target *t;
    size_t members;
    for (size_t i = 0; catalog_target(p->catalog, i, &t, &members); i++)
        if (t->parked && !parked_load(p->meta, &p->dialect, &p->meta_task, t->parked, err)) return false;
    return true;
}

/* How far a stream is, before it runs. */
static bool take_floor(Pipeline *p, StreamCtl *c, const MetaFloor *floor, Err *err)
{
    StreamPoint at = {0};
    c->has_floor = true;
    bool ok = point_parse(floor->point_json, &at, err);
    if (ok) {
        window_reset(merge_window(p->merge, c->index), &at, &floor->counts, floor->transactions);
        stream_floor_written(p, c, &at);
    }
    point_done(&at);
    return ok;
}

/* Fences whoever ran this task before and reads where it stands. */
static bool take_over(Pipeline *p, const StoreTask *st, bool is_new, Err *err)
{
    Arena arena = {0};
    MetaStart start;
    MetaStartOpts o = {.task = &p->meta_task,
                       .n_appliers = p->n_appliers,
                       .state_is_new = is_new,
                       .state_checkpoint = st->checkpoint,
                       .downstream_checkpoint = st->downstream_checkpoint};
    bool ok = checkpoint_connect(p, err) && meta_create(p->meta, &p->meta_task, err) &&
              meta_start(p->meta, &p->dialect, &o, &arena, &start, err);
    if (ok) {
        (void)FAULT("start.after_epoch");
        memcpy(p->downstream_version, p->dialect.version, sizeof p->downstream_version);
        p->downstream_is_tidb = p->dialect.is_tidb;
        p->epoch = start.epoch;
        p->checkpoint = start.checkpoint;
        for (size_t i = 0; i < start.n_floors; i++)
            for (uint32_t k = 0; k < p->n_streams; k++)
                if (str_eq(p->stream_ids[k], start.floors[i].stream))
                    ok = ok && take_floor(p, &p->streams[k], &start.floors[i], err);
        ok = ok && keep_old_rows(p, &start, err) && drop_old_floors(p, &start, err) && load_parked(p, err) &&
             store_run_begin(p->store, p->epoch, str_of(SHARDMERGE_VERSION), &p->run_no, err);
    }
    if (ok) make_appliers(p, start.commit_seqs);
    arena_done(&arena);
    return ok;
}

/* Half of the memory is for chunks on their way, the other half for transactions. */
static void make_load(Pipeline *p, StreamCtl *c, const char *dir)
{
    bool catch_up = c->index >= p->n_sources;
    LoadOpts o = {.source = c->index,
                  .source_id = c->name,
                  .follows = p->follows,
                  .judges_only = catch_up,
                  .options = &p->task->load,
                  .memory_bytes = p->task->memory_limit / 2 / p->n_sources,
                  .dir = dir,
                  .retry_max_ms = (int64_t)p->task->retry_max_seconds * 1000,
                  .hooks = {.ctx = p,
                            .deliver = hook_load_deliver,
                            .table = hook_load_table,
                            .failed = hook_load_failed,
                            .is_behind = hook_load_behind}};
    endpoint_conn(&c->config->from, c->id, &o.conn);
    *(catch_up ? &c->judge : &c->load) = load_new(&o);
}

static void make_stream(Pipeline *p, uint32_t i, const char *spill_dir)
{
    const Task *task = p->task;
    StreamCtl *c = &p->streams[i];
    c->pipeline = p;
    c->index = i;
    bool catch_up = i >= p->n_sources;
    c->config = &task->sources[i % p->n_sources];
    c->id = c->name = c->config->id.ptr;
    if (catch_up) {
        StrBuf name = {0};
        sb_printf(&name, "%s#held", c->config->id.ptr);
        c->name = sb_take(&name);
        c->id = str_dup(str_of(c->name));
    }
    p->stream_ids[i] = str_of(c->id);
    SourceOpts o = {.retry_max_s = task->retry_max_seconds, .boundary = p->follows ? hook_boundary : NULL};
    o.stream = (StreamOpts){.source_id = c->name,
                            .flavor = c->config->flavor,
                            .server_id = catch_up ? 0 : c->config->server_id,
                            .heartbeat_ms = task->heartbeat_ms,
                            .use_gtid = c->config->enable_gtid};
    endpoint_conn(&c->config->from, c->name, &o.stream.conn);
    o.assemble = (AssembleOpts){.source = i,
                                .source_id = c->name,
                                .spill_dir = spill_dir,
                                .spill_bytes = task->spill_bytes,
                                .split_rows = task->split_transaction_rows,
                                .budget = &p->budget,
                                .hooks = {.ctx = p,
                                          .resolve = hook_resolve,
                                          .routed = hook_routed,
                                          .schema_routed = hook_schema_routed,
                                          .deliver = hook_deliver,
                                          .exists = hook_exists,
                                          .note = hook_note,
                                          .place = hook_place,
                                          .covered = hook_covered}};
    if (p->follows) {
        o.assemble.hooks.ddl = hook_ddl;
        o.assemble.hooks.held = hook_held;
        o.assemble.hooks.generation = hook_generation;
    }
    c->source = source_new(&o);
    if (task->mode != TASK_MODE_INCREMENTAL) make_load(p, c, spill_dir);
    stream_set_state(c, catch_up ? CTL_IDLE : CTL_UNBORN);
}

/* -- threads -- */

static void *dispatcher_main(void *arg)
{
    merge_dispatch(((Pipeline *)arg)->merge);
    return NULL;
}

static void *applier_main(void *arg)
{
    applier_run(arg);
    return NULL;
}

static void check_until(Pipeline *p)
{
    int64_t now = clock_mono_ms();
    bool failed;
    if (!p->until_caught_up || now - p->last_ask_ms < ASK_MS) return;
    p->last_ask_ms = now;
    if (!streams_are_caught_up(p, &failed)) return;
    pthread_mutex_lock(&p->mutex);
    if (failed && !err_is_set(&p->fatal))
        for (uint32_t i = 0; i < p->n_streams; i++)
            if (p->streams[i].state == CTL_FAILED && !err_is_set(&p->fatal))
                err_copy(&p->fatal, &p->streams[i].error);
    if (!p->stopping) p->end = failed ? PIPELINE_FAILED : PIPELINE_CAUGHT_UP;
    p->stopping = true;
    pthread_mutex_unlock(&p->mutex);
}

/* A checkpoint that fails in passing is tried again; one that fails for good ends the task. */
static void tick_checkpoint(Pipeline *p)
{
    Err err = {0};
    if (checkpoint_tick(p, false, &err)) {
        p->meta_trouble_since_ms = 0;
        return;
    }
    checkpoint_disconnect(p);
    int64_t now = clock_mono_ms();
    if (!p->meta_trouble_since_ms) p->meta_trouble_since_ms = now;
    bool passing = err_class(&err) == ERR_CLASS_RETRY &&
                   now - p->meta_trouble_since_ms < (int64_t)p->task->retry_max_seconds * 1000;
    if (passing) {
        log_error(LOGEV_APPLIER_RETRY, &err, LOG_S("what", "checkpoint"));
        err_clear(&err);
    } else {
        pipeline_fail(p, &err);
    }
}

/* Schema changes: what fails in passing is tried again at the next tick. */
static void tick_ddl(Pipeline *p)
{
    Err err = {0};
    if (!p->ddl || ddl_tick(p->ddl, &err)) return;
    if (err_class(&err) == ERR_CLASS_RETRY) {
        checkpoint_disconnect(p);
        log_error(LOGEV_APPLIER_RETRY, &err, LOG_S("what", "schema changes"));
        err_clear(&err);
    } else {
        pipeline_fail(p, &err);
    }
}

static void join_threads(Pipeline *p)
{
    for (uint32_t i = 0; i < p->n_streams; i++) {
        source_stop(p->streams[i].source);
        if (stream_load(&p->streams[i])) load_stop(stream_load(&p->streams[i]));
    }
    budget_close(&p->budget);
    merge_abort(p->merge);
    for (uint32_t i = 0; i < p->n_streams; i++) {
        source_join(p->streams[i].source);
        if (stream_load(&p->streams[i])) load_join(stream_load(&p->streams[i]));
    }
    pthread_join(p->dispatcher, NULL);
    for (uint32_t i = 0; i < p->n_appliers; i++)
        pthread_join(p->applier_threads[i], NULL); /* await_end ends one that is stuck */
}

static void *coordinator_main(void *arg)
{
    Pipeline *p = arg;
    for (;;) {
        pthread_mutex_lock(&p->mutex);
        if (!p->stopping) (void)clock_cond_wait_until(&p->changed, &p->mutex, clock_mono_ms() + TICK_MS);
        bool stop = p->stopping;
        pthread_mutex_unlock(&p->mutex);
        if (stop) break;
        for (uint32_t i = 0; i < p->n_streams; i++)
            stream_tick(p, &p->streams[i]);
        tick_ddl(p);
        tick_checkpoint(p);
        check_until(p);
    }
    join_threads(p);
    if (p->ddl) ddl_stop(p->ddl);
    pthread_mutex_lock(&p->mutex);
    bool fenced = p->fatal.code == ERR_APPLY_FENCED;
    pthread_mutex_unlock(&p->mutex);
    Err err = {0};
    if (!fenced && !checkpoint_tick(p, true, &err)) {
        /* The applied rows say the same as the floor would have: nothing is lost, the next start reads a
         * little more. */
        log_error(LOGEV_CHECK_WARNING, &err, LOG_S("what", "last checkpoint"));
        if (err.code == ERR_APPLY_FENCED) pipeline_fail(p, &err);
        err_clear(&err);
    }
    checkpoint_disconnect(p);
    conn_thread_end();
    pthread_mutex_lock(&p->mutex);
    p->ended = true;
    pthread_cond_broadcast(&p->changed);
    pthread_mutex_unlock(&p->mutex);
    return NULL;
}

static bool start_threads(Pipeline *p, Err *err)
{
    bool ok = pthread_create(&p->dispatcher, NULL, dispatcher_main, p) == 0;
    for (uint32_t i = 0; ok && i < p->n_appliers; i++)
        ok = pthread_create(&p->applier_threads[i], NULL, applier_main, p->appliers[i]) == 0;
    ok = ok && pthread_create(&p->coordinator, NULL, coordinator_main, p) == 0;
    /* Without threads there is no way to go on or to take the others down in order. */
    CHECK(ok, "threads can be started");
    p->threads_run = true;
    (void)err;
    return true;
}

/* -- life -- */

static bool read_pauses(Pipeline *p, Err *err)
{
    bool all = false;
    if (!store_pause_get(p->store, (Str){0}, &all, err)) return false;
    for (uint32_t i = 0; i < p->n_sources; i++) {
        bool one = false;
        if (!store_pause_get(p->store, p->stream_ids[i], &one, err)) return false;
        if (!all && !one) continue;
        stream_set_state(&p->streams[i], CTL_PAUSED);
        if (p->follows && p->streams[p->n_sources + i].state != CTL_IDLE)
            stream_set_state(&p->streams[p->n_sources + i], CTL_PAUSED);
    }
    return true;
}

/* What is known of schema changes; rounds under way go on. */
static bool open_ddl(Pipeline *p, Err *err)
{
    if (!p->follows) return true;
    p->ddl = ddl_new(p);
    catalog_follow(p->catalog, p->ddl);
    return ddl_open(p->ddl, err);
}

static bool stop_wanted(void *ctx)
{
    Pipeline *p = ctx;
    pthread_mutex_lock(&p->mutex);
    bool stopping = p->stopping;
    pthread_mutex_unlock(&p->mutex);
    return stopping || (p->stop_asked && p->stop_asked(p->stop_ctx));
}

/* The part of a start that talks to servers, tried again while what fails passes by itself. */
static bool reach_servers(Pipeline *p, const PipelineOpts *opts, const StoreTask *st, bool is_new, Err *err)
{
    CatalogOpts co = {
        .task = p->task, .store = p->store, .cancel = p->cancel, .stopping = stop_wanted, .ctx = p};
    int64_t began_ms = clock_mono_ms(), wait_ms = START_RETRY_MS;
    for (;;) {
        if (catalog_open(&co, &p->catalog, err) && (p->follows || catalog_know_stored(p->catalog, err)) &&
            open_ddl(p, err) && take_over(p, st, is_new, err))
            return true;
        ddl_free(p->ddl);
        p->ddl = NULL;
        catalog_free(p->catalog);
        p->catalog = NULL;
        checkpoint_disconnect(p);
        bool stop = opts->stop_asked && opts->stop_asked(opts->ctx);
        bool in_time = clock_mono_ms() - began_ms < (int64_t)p->task->retry_max_seconds * 1000;
        if (err_class(err) != ERR_CLASS_RETRY || stop || !in_time) return false;
        log_error(LOGEV_SOURCE_RETRY, err, LOG_S("what", "start"), LOG_I("wait_ms", wait_ms));
        err_clear(err);
        for (int64_t waited = 0; waited < wait_ms && !(opts->stop_asked && opts->stop_asked(opts->ctx));
             waited += START_RETRY_MS)
            nanosleep(&(struct timespec){.tv_nsec = START_RETRY_MS * 1000000L}, NULL);
        wait_ms = MIN(wait_ms * 2, (int64_t)START_RETRY_MAX_MS);
    }
}

bool pipeline_start(const PipelineOpts *opts, Pipeline **out, Err *err)
{
    Pipeline *p = mem_zalloc(sizeof *p);
    p->task = opts->task;
    p->store = opts->store;
    p->stop_asked = opts->stop_asked;
    p->stop_ctx = opts->ctx;
    p->until_caught_up = opts->until_caught_up || p->task->mode == TASK_MODE_FULL;
    p->n_sources = (uint32_t)p->task->n_sources;
    p->follows = p->task->shard_mode != SHARD_MODE_NONE;
    p->n_streams = p->follows ? 2 * p->n_sources : p->n_sources;
    p->n_appliers = MAX(p->task->worker_count, 1u);
    pthread_mutex_init(&p->mutex, NULL);
    clock_cond_init(&p->changed);
    ledger_init(&p->ledger);
    bool copies = p->task->mode != TASK_MODE_INCREMENTAL;
    budget_init(&p->budget, copies ? p->task->memory_limit / 2 : p->task->memory_limit);
    MergeOpts mo = {.n_streams = p->n_streams,
                    .n_appliers = p->n_appliers,
                    .queue_items = MAX(p->task->queue_size, 1u),
                    .queue_bytes = p->task->memory_limit,
                    .window_slots = WINDOW_SLOTS,
                    .budget = &p->budget};
    p->merge = merge_new(&mo);
    p->streams = mem_zalloc((p->n_streams + 1) * sizeof *p->streams);
    p->stream_ids = mem_zalloc((p->n_streams + 1) * sizeof *p->stream_ids);
    p->vars = mem_zalloc((p->task->target.n_session + 1) * sizeof *p->vars);
    target_session(p->task, p->vars, &p->session);
    p->cancel = conn_cancel_new();
    p->session.conn.cancel = p->cancel;
    for (uint32_t i = 0; i < p->n_streams; i++)
        make_stream(p, i, store_dir(p->store));
    StoreTask st = {0};
    bool is_new = false;
    bool ok = open_state(p, &st, &is_new, err);
    p->meta_task = (MetaTask){.schema = p->task->meta_schema, .task = p->task->name, .uuid = p->uuid};
    ok = ok && reach_servers(p, opts, &st, is_new, err) && read_pauses(p, err) && start_threads(p, err);
    store_task_done(&st);
    if (!ok) {
        pipeline_free(p);
        return false;
    }
    atomic_store(&p->started_ms, clock_wall_ms());
    log_write(LOGEV_TASK_STARTED, LOG_STR("task", p->task->name), LOG_U("epoch", p->epoch),
              LOG_U("sources", p->n_sources), LOG_U("appliers", p->n_appliers));
    *out = p;
    return true;
}

void pipeline_request_stop(Pipeline *p)
{
    pthread_mutex_lock(&p->mutex);
    p->stopping = true;
    pthread_cond_broadcast(&p->changed);
    pthread_mutex_unlock(&p->mutex);
}

/* Waits for the coordinator's end. A stop that takes too long (a server that does not answer) is cut short:
 * what is in flight then counts as not done, and is settled by the next start. */
static void await_end(Pipeline *p)
{
    int64_t deadline_ms = INT64_MAX;
    pthread_mutex_lock(&p->mutex);
    while (!p->ended) {
        if (p->stopping && deadline_ms == INT64_MAX) deadline_ms = clock_mono_ms() + STOP_PATIENCE_MS;
        int64_t now = clock_mono_ms();
        if (now >= deadline_ms) {
            conn_cancel_fire(p->cancel);
            for (uint32_t i = 0; i < p->n_appliers; i++)
                applier_interrupt(p->appliers[i]);
            deadline_ms = now + STOP_PATIENCE_MS;
        }
        (void)clock_cond_wait_until(&p->changed, &p->mutex, MIN(deadline_ms, now + 1000));
    }
    pthread_mutex_unlock(&p->mutex);
}

PipelineEnd pipeline_wait(Pipeline *p, Err *err)
{
    await_end(p);
    pthread_join(p->coordinator, NULL);
    p->threads_run = false;
    if (err_is_set(&p->fatal)) {
        p->end = PIPELINE_FAILED;
        err_copy(err, &p->fatal);
    }
    static const char *const outcomes[] = {"stopped", "caught-up", "failed"};
    Err e = {0};
    StrBuf why = {0};
    err_json_text(&p->fatal, &why);
    if (!store_run_end(p->store, p->run_no, str_of(outcomes[p->end]), sb_view(&why), &e)) {
        log_error(LOGEV_CHECK_WARNING, &e);
        err_clear(&e);
    }
    sb_done(&why);
    if (p->end == PIPELINE_FAILED)
        log_error(LOGEV_TASK_FAILED, &p->fatal, LOG_STR("task", p->task->name));
    else
        log_write(LOGEV_TASK_STOPPED, LOG_STR("task", p->task->name), LOG_S("outcome", outcomes[p->end]));
    return p->end;
}

void pipeline_free(Pipeline *p)
{
    if (!p) return;
    CHECK(!p->threads_run, "pipeline_wait comes first");
    for (uint32_t i = 0; p->appliers && i < p->n_appliers; i++)
        applier_free(p->appliers[i]);
    remap_free(p->remap);
    for (uint32_t i = 0; i < p->n_streams; i++)
        stream_ctl_done(&p->streams[i]);
    merge_free(p->merge);
    ddl_free(p->ddl);
    catalog_free(p->catalog);
    checkpoint_disconnect(p);
    conn_cancel_free(p->cancel);
    ledger_done(&p->ledger);
    budget_done(&p->budget);
    free(p->appliers);
    free(p->applier_threads);
    free(p->streams);
    free(p->stream_ids);
    free(p->vars);
    free(p->uuid);
    err_clear(&p->fatal);
    pthread_mutex_destroy(&p->mutex);
    pthread_cond_destroy(&p->changed);
    free(p);
}
