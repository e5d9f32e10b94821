/* One stream's life: begin at its floor, run, be ejected or paused, come to rest, begin again. Coordinator
 * thread, but for pipeline_eject (appliers). */
#include <stdlib.h>
#include "base/clock.h"
#include "base/fault.h"
#include "base/log.h"
#include "pipeline/holders.h"
#include "pipeline/stream_ask.h"
#include "base/poison.h"

enum { UNBORN_RETRY_MS = 2000, GRACE_RETRY_MS = 250, BEHIND_RETRY_MS = 5000, BEHIND_MOST = 12 };

void stream_set_state(StreamCtl *c, CtlState state)
{
    c->state = state;
    c->since_ms = clock_mono_ms();
    pthread_cond_broadcast(&c->pipeline->changed);
}

void stream_ctl_done(StreamCtl *c)
{
    holders_free(c->holders);
    stream_ask_free(c->ask_first);
    stream_ask_free(c->ask_goal);
    source_free(c->source);
    load_free(c->load);
    load_free(c->judge);
    applied_set_free(c->applied);
    err_clear(&c->error);
    free((char *)c->culprit.file.ptr);
    point_done(&c->written_floor);
    point_done(&c->goal);
    free(c->collision_key);
    free(c->collision_condition);
    if (c->index < c->pipeline->n_sources) return;
    free((char *)c->id);
    free((char *)c->name);
}

void stream_new_round(StreamCtl *c, Str id)
{
    free((char *)c->id);
    c->id = str_dup(id);
    c->pipeline->stream_ids[c->index] = str_of(c->id);
    c->has_floor = false;                   /* until it runs: the window is still that of the round before */
    c->round_run = c->run ? c->run + 1 : 0; /* what an earlier process wrote, run 0, is of this round still */
    point_done(&c->written_floor);
}

/* -- the first floor -- */

/* A short question to a source. The coordinator must not wait long for one of many: 3 s to connect, 5 s to
 * answer. */
bool stream_connect(StreamCtl *c, Conn **out, Err *err)
{
    return stream_connect_until(c, c->pipeline->cancel, out, err);
}

bool stream_connect_until(StreamCtl *c, ConnCancel *cancel, Conn **out, Err *err)
{
    ConnOpts opts;
    StrBuf role = {0};
    sb_printf(&role, "source %s", c->id);
    endpoint_conn(&c->config->from, role.ptr, &opts);
    opts.connect_timeout_s = 3;
    opts.read_timeout_s = opts.write_timeout_s = 5;
    opts.cancel = cancel;
    bool ok = conn_open(&opts, out, err);
    if (!ok) endpoint_hint(&c->config->from, err);
    sb_done(&role);
    return ok;
}

/* What its source has to say before it runs first. *waits: it is being asked. A catch-up stream's floor was
 * written with its round. */
static bool know_source(Pipeline *p, StreamCtl *c, bool *waits, Err *err)
{
    StreamPoint at = {0};
    bool catch_up = c->index >= p->n_sources, ok = true;
    *waits = false;
    if (catch_up) return true;
    if (!c->ask_first &&
        (!c->has_floor || ((c->load || p->ddl) && !catalog_is_listed(p->catalog, c->index)))) {
        c->ask_first = stream_ask(c, STREAM_ASK_FIRST, err);
        *waits = c->ask_first != NULL;
        return *waits;
    }
    if (c->ask_first) {
        *waits = !stream_ask_is_over(c->ask_first);
        if (*waits) return true;
        StreamAsk *a = c->ask_first;
        c->ask_first = NULL;
        ok = stream_ask_take(a, &at, err);
    }
    if (ok && !c->has_floor) {
        const RowCounts none = {0};
        window_reset(merge_window(p->merge, c->index), &at, &none, 0);
        ok = c->has_floor = checkpoint_first_floor(p, str_of(c->id), &at, err);
    }
    point_done(&at);
    if (ok && p->ddl) ddl_know_source(p->ddl, c->index);
    return ok;
}

/* -- a run -- */

static bool same_gtid_mode(StreamCtl *c, const StreamPoint *floor, Err *err)
{
    if ((floor->gtids != NULL) == c->config->enable_gtid) return true;
    return err_set_remedy(err, ERR_STATE_TASK_CHANGED, "set enable-gtid back; or go on from here, " ERR_PAST,
                          "source %s: enable-gtid is %s now, the stored progress is by %s", c->id,
                          c->config->enable_gtid ? "on" : "off", floor->gtids ? "GTID" : "file position");
}

/* What of the existing rows is copied, from the downstream; then the readers go on with the rest. */
static bool begin_load(Pipeline *p, StreamCtl *c, const StreamPoint *at, Err *err)
{
    Arena arena = {0};
    MetaChunk *chunks = NULL;
    size_t n = 0;
    uint32_t source = c->index % p->n_sources;
    if (!stream_load(c)) return true;
    bool ok = meta_read_chunks(p->meta, &p->dialect, &p->meta_task, p->epoch, p->stream_ids[source], &arena,
                               &chunks, &n, err);
    LoadDone *done = arena_array(&arena, LoadDone, n + 1);
    for (size_t i = 0; i < n; i++)
        done[i] = (LoadDone){.table = chunks[i].table,
                             .chunk = {.id = chunks[i].id,
                                       .lo = chunks[i].lo,
                                       .hi = chunks[i].hi,
                                       .piece = chunks[i].piece,
                                       .point_json = chunks[i].point_json,
                                       .rows = chunks[i].rows,
                                       .bytes = chunks[i].bytes}};
    const Member **members = NULL;
    LoadRun run = {.run = c->run, .flavor = at->flavor, .from = at, .done = done, .n_done = n};
    if (ok) run.n_members = catalog_source_members(p->catalog, source, &members);
    run.members = members;
    bool *frozen = arena_array(&arena, bool, run.n_members + 1);
    if (p->ddl) ddl_copy_frozen(p->ddl, members, run.n_members, frozen);
    run.frozen = frozen;
    ok = ok && load_begin(stream_load(c), &run, err) &&
         (!p->ddl || !c->load || ddl_copy_may_begin(p->ddl, source, err));
    if (ok && p->ddl && c->load) ddl_copy_begun(p->ddl, source);
    free(members);
    arena_done(&arena);
    return ok;
}

/* Before its threads are: what one of them fails on at once is this run's failure (pipeline_source_failed and
 * pipeline_eject take none of a stream that does not run). */
static void becomes_running(Pipeline *p, StreamCtl *c)
{
    pthread_mutex_lock(&p->mutex);
    if (!c->pinned) err_clear(&c->error);
    stream_set_state(c, CTL_RUNNING);
    pthread_mutex_unlock(&p->mutex);
}

/* Reads the floor and what is done above it from the downstream, and starts the thread there. */
static bool begin_run(Pipeline *p, StreamCtl *c, Err *err)
{
    Arena arena = {0};
    MetaFloor floor = {0};
    MetaAppliedRow *rows = NULL;
    size_t n_rows = 0, n_entries = 0;
    bool found = false;
    StreamPoint at = {0};
    AppliedSet *set = applied_set_new();
    bool ok = checkpoint_connect(p, err) &&
              meta_read_stream(p->meta, &p->dialect, &p->meta_task, p->epoch, str_of(c->id), &arena, &floor,
                               &found, &rows, &n_rows, err);
    if (ok && !found)
        ok = err_set(err, ERR_APPLY_META, "source %s: its floor is gone from the meta schema", c->id);
    ok = ok && point_parse(floor.point_json, &at, err) && same_gtid_mode(c, &at, err);
    for (size_t i = 0; ok && i < n_rows; i++)
        ok = applied_set_decode(set, rows[i].entries, str_of(c->id), &at, &n_entries, err);
    ok = ok && (!p->ddl || ddl_stream_begins(p->ddl, c->index, &at, set, err));
    if (ok) {
        catalog_set_flavor(p->catalog, c->index % p->n_sources, at.flavor);
        c->flavor = at.flavor;
        applied_set_free(c->applied);
        c->applied = set;
        c->digested = false;
        c->has_floor = true;
        set = NULL;
        c->run = merge_stream_open(p->merge, c->index, &at, &floor.counts, floor.transactions, c->pinned);
        WindowView view;
        window_snapshot(merge_window(p->merge, c->index), &view);
        c->written_first = view.first;
        point_done(&view.floor);
        stream_floor_written(p, c, &at);
        becomes_running(p, c);
        ok = begin_load(p, c, &at, err) && source_start(c->source, &at, c->applied, c->run, err);
        if (!ok) stream_halt(c);
    }
    applied_set_free(set);
    point_done(&at);
    arena_done(&arena);
    return ok;
}

static void set_error(Pipeline *p, StreamCtl *c, Err *err, CtlState state)
{
    pthread_mutex_lock(&p->mutex);
    err_move(&c->error, err);
    stream_set_state(c, state);
    pthread_mutex_unlock(&p->mutex);
}

/* Its source is being asked; one that is to go on is not at rest any more. */
static void becomes_unborn(Pipeline *p, StreamCtl *c)
{
    pthread_mutex_lock(&p->mutex);
    if (c->state == CTL_PAUSED || c->state == CTL_FAILED) stream_set_state(c, CTL_UNBORN);
    pthread_mutex_unlock(&p->mutex);
}

static void keep_collision(StreamCtl *c, const ApplyCollision *collision)
{
    free(c->collision_key);
    free(c->collision_condition);
    c->collision_key = c->collision_condition = NULL;
    c->collision_binding = collision ? collision->binding : NULL;
    if (!collision) return;
    c->collision_key = str_dup(collision->key_name);
    c->collision_condition = str_dup(collision->condition);
}

/* Chunks may be on their way by then: it comes to rest first. What another thread has found before counts.
 * False: the failed run had not begun. */
static bool close_begun(Pipeline *p, StreamCtl *c, Err *err, CtlState next)
{
    pthread_mutex_lock(&p->mutex);
    bool runs = c->state == CTL_RUNNING, begun = runs || c->state == CTL_CLOSING;
    if (runs) {
        if (next == CTL_FAILED) keep_collision(c, NULL);
        c->after_closing = next;
        err_move(&c->error, err);
        stream_set_state(c, CTL_CLOSING);
    }
    pthread_mutex_unlock(&p->mutex);
    if (begun) err_clear(err);
    return begun;
}

/* Unborn, or about to run again. A passing failure is tried again; another one leaves the stream failed. */
static void try_begin(Pipeline *p, StreamCtl *c)
{
    Err err = {0};
    bool waits, ok = know_source(p, c, &waits, &err);
    if (waits) {
        becomes_unborn(p, c);
        return;
    }
    ok = ok && begin_run(p, c, &err);
    if (ok) {
        c->trouble_since_ms = 0;
        if (!c->behind) log_write(LOGEV_SOURCE_RESUMED, LOG_S("source", c->id));
        return;
    }
    if (err.code == ERR_DB_LOST) checkpoint_disconnect(p);
    int64_t now = clock_mono_ms();
    if (!c->trouble_since_ms) c->trouble_since_ms = now;
    bool passing = err_class(&err) == ERR_CLASS_RETRY &&
                   now - c->trouble_since_ms < (int64_t)p->task->retry_max_seconds * 1000;
    if (passing) {
        c->retry_at_ms = clock_mono_ms() + UNBORN_RETRY_MS;
        log_error(LOGEV_SOURCE_RETRY, &err, LOG_S("source", c->id));
    } else {
        log_error(LOGEV_SOURCE_STOPPED, &err, LOG_S("source", c->id));
        c->trouble_since_ms = 0;
    }
    CtlState next = passing ? CTL_GRACE : CTL_FAILED;
    if (!close_begun(p, c, &err, next)) set_error(p, c, &err, next);
}

/* -- eject -- */

static bool same_txn(const TxnId *a, const TxnId *b)
{
    if (a->has_gtid || b->has_gtid) return a->has_gtid && b->has_gtid && gtid_equal(&a->gtid, &b->gtid);
    return a->end_pos == b->end_pos && str_eq(a->file, b->file);
}

/* Chunks have no place in the binlog; theirs is the member. */
static bool same_culprit(const StreamCtl *c, const Txn *t)
{
    const Member *copy = t->chunk ? t->chunk->member : NULL;
    return c->culprit_copy == copy && (copy || same_txn(&c->culprit, &t->id));
}

void pipeline_eject(Pipeline *p, const Txn *t, Err *err, const ApplyCollision *collision)
{
    StreamCtl *c = &p->streams[t->source];
    (void)FAULT("eject.begin");
    pthread_mutex_lock(&p->mutex);
    bool first = c->state == CTL_RUNNING || c->state == CTL_DRAINING;
    if (first && !merge_is_stale(p->merge, t)) {
        int64_t now = clock_mono_ms();
        bool again = c->grace_since_ms && same_culprit(c, t);
        free((char *)c->culprit.file.ptr);
        c->culprit = t->id;
        c->culprit_copy = t->chunk ? t->chunk->member : NULL;
        c->culprit.file = (Str){str_dup(t->id.file), t->id.file.len};
        if (!again) c->grace_since_ms = now;
        bool in_grace = collision && now - c->grace_since_ms < (int64_t)p->task->collision_grace_ms;
        keep_collision(c, collision);
        c->after_closing = in_grace ? CTL_GRACE : CTL_FAILED;
        c->retry_at_ms = now + GRACE_RETRY_MS;
        err_move(&c->error, err);
        stream_set_state(c, CTL_CLOSING);
    }
    pthread_mutex_unlock(&p->mutex);
    err_clear(err);
    stream_halt(c);
}

void stream_halt(StreamCtl *c)
{
    merge_stream_close(c->pipeline->merge, c->index);
    source_stop(c->source);
    if (stream_load(c)) load_stop(stream_load(c));
}

void pipeline_source_failed(Pipeline *p, uint32_t source, Err *err)
{
    StreamCtl *c = &p->streams[source];
    pthread_mutex_lock(&p->mutex);
    if (c->state == CTL_RUNNING) {
        c->after_closing = err_class(err) == ERR_CLASS_RETRY ? CTL_GRACE : CTL_FAILED;
        c->retry_at_ms = clock_mono_ms() + GRACE_RETRY_MS;
        keep_collision(c, NULL);
        err_move(&c->error, err);
        stream_set_state(c, CTL_CLOSING);
    }
    pthread_mutex_unlock(&p->mutex);
    err_clear(err);
    stream_halt(c);
}

static const TxnId *waits_with(const StreamCtl *c)
{
    return c->culprit_copy ? NULL : &c->culprit;
}

/* The row in the target is old, and what frees its key is among rows that are held: the stream waits for
 * them, and tries again when some are written, else ever more rarely, as each try asks all shards. It is told
 * once. */
static bool waits_for_held(Pipeline *p, StreamCtl *c)
{
    StrBuf who = {0};
    Err err = {0};
    uint64_t behind =
        p->ddl ? ddl_held_beside(p->ddl, c->index, c->collision_binding->member, waits_with(c), &who) : 0;
    if (behind) {
        err_set(&err, ERR_LOCK_KEY, "%s; rows of " STR_FMT " are held and may free it: waiting for them",
                c->error.message, STR_ARG(sb_view(&who)));
        pthread_mutex_lock(&p->mutex);
        bool told = c->behind != 0;
        if (c->behind != behind) c->behind_tries = 0;
        c->behind_seen = behind;
        if (c->behind_tries < BEHIND_MOST) c->behind_tries++;
        c->behind = behind;
        c->pinned = true;
        c->retry_at_ms = clock_mono_ms() + c->behind_tries * BEHIND_RETRY_MS;
        err_clear(&c->error);
        err_copy(&c->error, &err);
        stream_set_state(c, CTL_GRACE);
        pthread_mutex_unlock(&p->mutex);
        if (!told) log_error(LOGEV_SOURCE_EJECTED, &err, LOG_S("source", c->id));
    }
    err_clear(&err);
    sb_done(&who);
    return behind != 0;
}

static void tell_failed(Pipeline *p, StreamCtl *c)
{
    Err err = {0}, ignored = {0};
    pthread_mutex_lock(&p->mutex);
    c->behind = 0;
    err_copy(&err, &c->error);
    stream_set_state(c, CTL_FAILED);
    pthread_mutex_unlock(&p->mutex);
    log_error(LOGEV_SOURCE_STOPPED, &err, LOG_S("source", c->id));
    /* The log and the status have it; history that cannot be written must not hide it. */
    if (!store_event(p->store, str_of(c->id), STR("stopped"), str_of(err.message ? err.message : ""),
                     &ignored))
        log_error(LOGEV_CHECK_WARNING, &ignored, LOG_S("source", c->id));
    err_clear(&ignored);
    err_clear(&err);
}

/* The stream rests because of its error: told at once, but a collision when it was asked who holds the key;
 * it stays in its state until then. */
static void give_up(Pipeline *p, StreamCtl *c)
{
    Err err = {0};
    Holders *h = holders_ask(p, c, &err);
    err_clear(&err); /* without a thread nobody is asked */
    pthread_mutex_lock(&p->mutex);
    c->holders = h;
    pthread_mutex_unlock(&p->mutex);
    if (!h) tell_failed(p, c);
}

/* Which other member holds the key is added to the stream's error. When none does now, rows that are held may
 * be what frees it in the target. */
static void hear_holders(Pipeline *p, StreamCtl *c)
{
    bool nobody;
    StrBuf message = {0};
    Holders *h = c->holders;
    if (!holders_have_answered(h)) return;
    pthread_mutex_lock(&p->mutex);
    c->holders = NULL;
    sb_printf(&message, "%s; ", c->error.message);
    holders_say(h, &message, &nobody);
    free(c->error.message);
    c->error.message = sb_take(&message);
    pthread_mutex_unlock(&p->mutex);
    holders_free(h);
    if (!nobody || !waits_for_held(p, c)) tell_failed(p, c);
}

/* -- one step -- */

static bool thread_has_ended(StreamCtl *c, bool *failed, Err *err)
{
    SourceStatus s;
    source_status(c->source, &s);
    bool ended = s.state == SOURCE_IDLE || s.state == SOURCE_FAILED;
    *failed = s.state == SOURCE_FAILED;
    if (*failed && err) err_copy(err, &s.error);
    point_done(&s.read);
    err_clear(&s.error);
    return ended;
}

static void tick_running(Pipeline *p, StreamCtl *c)
{
    bool failed = false;
    Err err = {0};
    pthread_mutex_lock(&p->mutex);
    bool pause = c->ask_pause && c->state == CTL_RUNNING;
    if (pause) {
        c->ask_pause = false;
        c->after_closing = CTL_PAUSED;
        stream_set_state(c, CTL_CLOSING);
    }
    bool pinned = c->pinned;
    pthread_mutex_unlock(&p->mutex);
    if (pause) {
        stream_halt(c);
        return;
    }
    if (thread_has_ended(c, &failed, &err) && failed) {
        Err fatal = {0};
        if (err_class(&err) == ERR_CLASS_STOP_TASK) {
            err_copy(&fatal, &err);
            pipeline_fail(p, &fatal);
        }
        pthread_mutex_lock(&p->mutex);
        if (c->state == CTL_RUNNING) {
            err_move(&c->error, &err);
            keep_collision(c, NULL);
            stream_set_state(c, CTL_DRAINING);
        }
        pthread_mutex_unlock(&p->mutex);
        if (stream_load(c)) load_stop(stream_load(c));
    } else if (pinned) {
        WindowView view;
        window_snapshot(merge_window(p->merge, c->index), &view);
        pthread_mutex_lock(&p->mutex);
        bool past = c->culprit_copy ? load_member_moved(c->load, c->culprit_copy)
                                    : point_covers(&view.floor, &c->culprit);
        if (c->state == CTL_RUNNING && past) {
            c->pinned = false;
            c->grace_since_ms = 0;
            c->behind = 0;
            keep_collision(c, NULL);
            err_clear(&c->error);
            merge_stream_unpin(p->merge, c->index);
        }
        pthread_mutex_unlock(&p->mutex);
        point_done(&view.floor);
    }
    err_clear(&err);
}

static void tick_closing(Pipeline *p, StreamCtl *c)
{
    bool failed;
    if (c->holders) {
        hear_holders(p, c);
        return;
    }
    stream_halt(c); /* again: threads that were being started then did not see it */
    if (!thread_has_ended(c, &failed, NULL) || !merge_stream_is_quiet(p->merge, c->index, true)) return;
    source_join(c->source);
    if (stream_load(c)) load_join(stream_load(c));
    (void)FAULT("eject.acked");
    pthread_mutex_lock(&p->mutex);
    CtlState next = c->after_closing;
    c->pinned = next == CTL_GRACE && c->collision_binding;
    if (next == CTL_GRACE) c->behind = 0;
    if (next != CTL_FAILED) stream_set_state(c, next);
    pthread_mutex_unlock(&p->mutex);
    if (next == CTL_FAILED) give_up(p, c);
    if (next == CTL_PAUSED) log_write(LOGEV_SOURCE_PAUSED, LOG_S("source", c->id));
    if (next == CTL_GRACE) log_write(LOGEV_SOURCE_EJECTED, LOG_S("source", c->id));
}

static void tick_draining(Pipeline *p, StreamCtl *c)
{
    if (c->holders) {
        hear_holders(p, c);
        return;
    }
    if (!merge_stream_is_quiet(p->merge, c->index, true)) return;
    source_join(c->source);
    if (stream_load(c)) load_join(stream_load(c));
    pthread_mutex_lock(&p->mutex);
    bool still = c->state == CTL_DRAINING;
    pthread_mutex_unlock(&p->mutex);
    if (!still) return;
    merge_stream_close(p->merge, c->index);
    give_up(p, c);
}

/* Has anything been written of the rows that it waits for, since it was asked last? */
static bool is_freed(Pipeline *p, StreamCtl *c)
{
    if (!c->behind) return false;
    uint64_t now = ddl_held_beside(p->ddl, c->index, c->collision_binding->member, waits_with(c), NULL);
    bool freed = now != c->behind_seen;
    c->behind_seen = now;
    return freed;
}

static void tick_resting(Pipeline *p, StreamCtl *c)
{
    int64_t now = clock_mono_ms();
    bool may = !p->ddl || ddl_may_begin(p->ddl, c->index), freed = is_freed(p, c);
    pthread_mutex_lock(&p->mutex);
    if (freed && c->state == CTL_GRACE) c->retry_at_ms = now;
    bool go = c->state == CTL_UNBORN || (c->state == CTL_GRACE && now >= c->retry_at_ms) || c->ask_resume;
    if (c->ask_resume) {
        c->grace_since_ms = 0;
        c->pinned = c->collision_binding != NULL;
    }
    bool paused = c->ask_pause;
    c->ask_pause = false;
    if (may || paused) c->ask_resume = false; /* else it is kept until it may */
    if (paused) {
        go = false;
        /* a failed stream rests already, and says why */
        stream_set_state(c, c->state == CTL_FAILED ? CTL_FAILED : CTL_PAUSED);
    }
    pthread_mutex_unlock(&p->mutex);
    if (!go || !may) return;
    source_join(c->source);
    try_begin(p, c);
}

void stream_tick(Pipeline *p, StreamCtl *c)
{
    pthread_mutex_lock(&p->mutex);
    CtlState state = c->state;
    pthread_mutex_unlock(&p->mutex);
    switch (state) {
    case CTL_RUNNING: tick_running(p, c); break;
    case CTL_CLOSING: tick_closing(p, c); break;
    case CTL_DRAINING: tick_draining(p, c); break;
    case CTL_UNBORN:
    case CTL_GRACE:
    case CTL_PAUSED:
    case CTL_FAILED: tick_resting(p, c); break;
    case CTL_IDLE: break;
    }
}
