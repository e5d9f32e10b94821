/* What the task is doing and why, as JSON; pause and resume. Any thread. */
#include <stdlib.h>
#include "apply/parked.h"
#include "base/clock.h"
#include "base/err_json.h"
#include "pipeline/pipeline_impl.h"
#include "pipeline/stream_ask.h"
#include "base/poison.h"

enum { ANSWER_MS = 15000 };

const char *ctl_state_name(Pipeline *p, const StreamCtl *c)
{
    if (p->stopping)
        return c->state == CTL_FAILED   ? "paused-by-error"
               : c->state == CTL_PAUSED ? "paused-by-user"
                                        : "stopped";
    switch (c->state) {
    case CTL_UNBORN: return "starting";
    case CTL_RUNNING: return c->load && !load_is_complete(c->load) ? "loading" : "streaming";
    case CTL_CLOSING:
    case CTL_DRAINING: return "streaming"; /* coming to rest: what is in flight still moves */
    case CTL_GRACE:
        if (c->behind) return "waiting-for-lock";
        return err_is_set(&c->error) && c->error.code == ERR_APPLY_COLLISION ? "streaming" : "starting";
    case CTL_PAUSED: return "paused-by-user";
    case CTL_FAILED: return "paused-by-error";
    case CTL_IDLE: return "idle";
    }
    return "unknown";
}

bool stream_server_end(StreamCtl *c, StreamPoint *out, Err *err)
{
    Conn *conn = NULL;
    Flavor flavor = FLAVOR_UNKNOWN;
    *out = (StreamPoint){0};
    bool ok = stream_connect(c, &conn, err) && server_detect_flavor(conn, &flavor, err) &&
              server_current_point(conn, flavor, out, err);
    conn_close(conn);
    return ok;
}

bool stream_is_caught_up(StreamCtl *c, bool *caught_up, Err *err)
{
    *caught_up = false;
    if (!c->has_goal && !c->ask_goal) {
        c->ask_goal = stream_ask(c, STREAM_ASK_END, err);
        if (!c->ask_goal) return false;
    }
    if (!c->has_goal) {
        if (!stream_ask_is_over(c->ask_goal)) return true;
        StreamAsk *a = c->ask_goal;
        c->ask_goal = NULL;
        point_done(&c->goal);
        c->has_goal = stream_ask_take(a, &c->goal, err);
        if (!c->has_goal) return false;
    }
    pthread_mutex_lock(&c->pipeline->mutex);
    *caught_up = point_reaches(&c->written_floor, &c->goal);
    pthread_mutex_unlock(&c->pipeline->mutex);
    return true;
}

void stream_forget_goal(StreamCtl *c)
{
    stream_ask_free(c->ask_goal);
    c->ask_goal = NULL;
    c->has_goal = false;
}

/* What was caught up still is: no rows wait for a lock, and, asked behind that, since what a lock lets go is
 * copied from then on, everything is copied. */
static bool nothing_waits(Pipeline *p)
{
    bool all = !p->ddl || ddl_is_quiet(p->ddl);
    pthread_mutex_lock(&p->mutex);
    for (uint32_t i = 0; i < p->n_streams; i++)
        if (p->streams[i].state == CTL_RUNNING && p->streams[i].load)
            all = all && load_is_complete(p->streams[i].load);
    pthread_mutex_unlock(&p->mutex);
    return all;
}

bool streams_are_caught_up(Pipeline *p, bool *failed)
{
    bool all = true;
    *failed = false;
    for (uint32_t i = 0; i < p->n_streams; i++) {
        StreamCtl *c = &p->streams[i];
        pthread_mutex_lock(&p->mutex);
        CtlState state = c->state;
        pthread_mutex_unlock(&p->mutex);
        if (state == CTL_FAILED) *failed = true;
        if (state == CTL_FAILED || state == CTL_PAUSED || state == CTL_IDLE) continue;
        bool caught_up = false;
        Err err = {0};
        bool ok = state == CTL_RUNNING && (!c->load || load_is_complete(c->load)) &&
                  stream_is_caught_up(c, &caught_up, &err);
        err_clear(&err);
        all &= ok && caught_up; /* of the others, too, it is asked meanwhile */
    }
    return all && nothing_waits(p);
}

static json_t *json_str(const char *s)
{
    return s ? json_string(s) : json_null();
}

static json_t *point_json(const StreamPoint *p)
{
    json_t *o = json_object();
    json_object_set_new(o, "file", json_str(p->file));
    json_object_set_new(o, "pos", p->file ? json_integer((json_int_t)p->pos) : json_null());
    StrBuf gtid = {0};
    if (p->gtids) gtidset_format(p->gtids, &gtid);
    json_object_set_new(o, "gtid", p->gtids ? json_string(gtid.ptr ? gtid.ptr : "") : json_null());
    sb_done(&gtid);
    return o;
}

static json_t *counts_json(const RowCounts *n)
{
    return json_pack("{s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I}", "read", (json_int_t)n->read, "applied",
                     (json_int_t)n->applied, "filtered", (json_int_t)n->filtered, "held", (json_int_t)n->held,
                     "parked", (json_int_t)n->parked, "missed", (json_int_t)n->missed, "refused",
                     (json_int_t)n->refused, "loaded", (json_int_t)n->loaded);
}

/* Milliseconds between the newest thing applied and now; 0 when everything the server has is applied. */
static json_t *lag_json(const SourceStatus *s, const WindowView *v, bool running)
{
    if (running && v->open == 0 && s->at_server_end) return json_integer(0);
    uint32_t stamp = v->floor_timestamp ? v->floor_timestamp : s->last_timestamp;
    if (!stamp) return json_null();
    int64_t lag = clock_wall_ms() - (int64_t)stamp * 1000;
    return json_integer(lag > 0 ? lag : 0);
}

/* What its catch-up stream met, unless the source itself has something to say. True: the stream has stopped;
 * rows that were held wait for a hand, while the source's other tables go on. Mutex held. */
static bool catch_up_error(Pipeline *p, const StreamCtl *c, Err *error)
{
    if (!p->follows) return false;
    const StreamCtl *round = &p->streams[p->n_sources + c->index];
    bool failed = round->state == CTL_FAILED;
    if ((failed || round->state == CTL_GRACE) && !err_is_set(error) && err_is_set(&round->error)) {
        err_copy(error, &round->error);
        err_wrap(error, "writing rows that were held; other tables of the source go on");
    }
    return failed;
}

static json_t *source_json(Pipeline *p, StreamCtl *c, bool ask, bool *caught_up)
{
    SourceStatus s;
    WindowView v;
    source_status(c->source, &s);
    window_snapshot(merge_window(p->merge, c->index), &v);
    pthread_mutex_lock(&p->mutex);
    const char *state = ctl_state_name(p, c);
    bool running = c->state == CTL_RUNNING, pinned = c->pinned;
    Err error = {0};
    bool at_rest =
        c->state != CTL_CLOSING && c->state != CTL_DRAINING; /* before, the error is not told in full */
    if (at_rest) err_copy(&error, err_is_set(&c->error) ? &c->error : &s.error);
    bool round_failed = catch_up_error(p, c, &error);
    int64_t since_ms = clock_mono_ms() - c->since_ms;
    pthread_mutex_unlock(&p->mutex);
    if (running && s.state != SOURCE_STREAMING) state = "starting";
    bool there = running && v.open == 0 && s.at_server_end && v.first == atomic_load(&c->written_first);
    json_t *end = json_null();
    if (ask && running) {
        StreamPoint server = {0};
        Err ignored = {0}; /* an unreachable source is simply not caught up; its state says why */
        there = stream_server_end(c, &server, &ignored);
        if (there) {
            json_decref(end);
            end = point_json(&server);
            there = v.first == atomic_load(&c->written_first) && point_reaches(&v.floor, &server);
        }
        err_clear(&ignored);
        point_done(&server);
    }
    if (c->load && !load_is_complete(c->load)) there = false;
    *caught_up = there;
    json_t *o = json_object();
    json_object_set_new(o, "id", json_string(c->id));
    json_object_set_new(o, "state", json_string(state));
    json_object_set_new(o, "state_ms", json_integer(since_ms));
    json_object_set_new(o, "caught_up", json_boolean(there));
    json_object_set_new(o, "position", point_json(&v.floor));
    json_object_set_new(o, "read_position", point_json(&s.read));
    json_object_set_new(o, "server_position", end);
    json_object_set_new(o, "lag_ms", lag_json(&s, &v, running));
    if (p->ddl) {
        RowCounts rounds; /* held before, written since by rounds */
        json_t *held = ddl_held_json(p->ddl, c->index, &rounds);
        if (json_array_size(held) && running) state = round_failed ? "paused-by-error" : "waiting-for-lock";
        json_object_set_new(o, "state", json_string(state));
        json_object_set_new(o, "held", held);
        v.counts.applied += rounds.applied;
        v.counts.parked += rounds.parked;
        v.counts.missed += rounds.missed;
        v.counts.loaded += rounds.loaded;
        v.counts.held -= MIN(v.counts.held, rounds.applied + rounds.parked + rounds.missed + rounds.loaded);
    }
    json_object_set_new(o, "counters", counts_json(&v.counts));
    json_object_set_new(o, "transactions", json_integer((json_int_t)v.transactions));
    json_object_set_new(o, "split_transactions", json_integer((json_int_t)v.split));
    json_object_set_new(o, "in_flight", json_integer((json_int_t)v.open));
    json_object_set_new(o, "bytes_read", json_integer((json_int_t)s.bytes));
    json_object_set_new(o, "reconnects", json_integer(s.reconnects));
    json_object_set_new(o, "waiting_for_freed_key", json_boolean(pinned));
    json_object_set_new(o, "error", err_to_json(&error));
    err_clear(&error);
    point_done(&v.floor);
    point_done(&s.read);
    err_clear(&s.error);
    return o;
}

static json_t *appliers_json(Pipeline *p)
{
    json_t *a = json_array();
    for (uint32_t i = 0; i < p->n_appliers; i++) {
        ApplierStats s;
        applier_stats(p->appliers[i], &s);
        json_array_append_new(a,
                              json_pack("{s:i, s:b, s:I, s:I, s:I, s:I, s:I, s:I}", "id", (int)i, "connected",
                                        (int)s.connected, "batches", (json_int_t)s.batches, "transactions",
                                        (json_int_t)s.transactions, "rows", (json_int_t)s.rows, "statements",
                                        (json_int_t)s.statements, "careful", (json_int_t)s.careful, "retries",
                                        (json_int_t)s.retries));
    }
    return a;
}

static json_t *targets_json(Pipeline *p)
{
    json_t *a = json_array();
    const Target *t;
    size_t members;
    for (size_t i = 0; catalog_target(p->catalog, i, &t, &members); i++)
        json_array_append_new(
            a, json_pack("{s:s#, s:s#, s:I, s:I, s:o}", "schema", t->name.schema.ptr, (int)t->name.schema.len,
                         "table", t->name.table.ptr, (int)t->name.table.len, "members", (json_int_t)members,
                         "parked", t->parked ? (json_int_t)atomic_load(&t->parked->n_rows) : 0, "lock",
                         p->ddl ? ddl_target_lock_json(p->ddl, t->name) : json_null()));
    return a;
}

json_t *pipeline_status(Pipeline *p, bool ask_servers)
{
    json_t *o = json_object(), *sources = json_array();
    bool all = p->n_sources > 0;
    for (uint32_t i = 0; i < p->n_sources; i++) {
        bool one;
        json_array_append_new(sources, source_json(p, &p->streams[i], ask_servers, &one));
        all &= one;
    }
    pthread_mutex_lock(&p->mutex);
    unsigned running = 0, paused = 0, loading = 0;
    for (uint32_t i = 0; i < p->n_sources; i++) {
        running += p->streams[i].state != CTL_FAILED && p->streams[i].state != CTL_PAUSED;
        paused += p->streams[i].state == CTL_PAUSED;
        loading +=
            p->streams[i].state == CTL_RUNNING && p->streams[i].load && !load_is_complete(p->streams[i].load);
    }
    bool finished = p->stopping && p->end == PIPELINE_CAUGHT_UP;
    const char *state = err_is_set(&p->fatal)    ? "failed"
                        : finished               ? "finished"
                        : p->stopping            ? "stopped"
                        : loading                ? "loading"
                        : running                ? "streaming"
                        : paused == p->n_sources ? "paused-by-user"
                                                 : "paused-by-error";
    json_t *fatal = err_to_json(&p->fatal);
    pthread_mutex_unlock(&p->mutex);
    MergeStats ms;
    merge_stats(p->merge, &ms);
    json_object_set_new(o, "task", json_stringn(p->task->name.ptr, p->task->name.len));
    json_object_set_new(o, "state", json_string(state));
    all = all && nothing_waits(p);
    json_object_set_new(o, "caught_up", json_boolean(all));
    json_object_set_new(o, "sources", sources);
    json_object_set_new(o, "targets", targets_json(p));
    json_object_set_new(o, "appliers", appliers_json(p));
    json_object_set_new(o, "load", load_status_json(p));
    json_object_set_new(o, "error", fatal);
    json_object_set_new(o, "epoch", json_integer((json_int_t)p->epoch));
    json_object_set_new(o, "uptime_ms", json_integer(clock_wall_ms() - atomic_load(&p->started_ms)));
    json_object_set_new(o, "downstream",
                        json_pack("{s:s, s:b}", "version", p->downstream_version, "unproven_here",
                                  (int)p->downstream_is_tidb));
    json_object_set_new(o, "queues",
                        json_pack("{s:I, s:I, s:I, s:I, s:I}", "dispatched", (json_int_t)ms.dispatched,
                                  "waits", (json_int_t)ms.waits, "exclusive", (json_int_t)ms.exclusive,
                                  "queued", (json_int_t)ms.queued, "memory_bytes",
                                  (json_int_t)budget_used(&p->budget)));
    return o;
}

/* -- pause and resume -- */

/* Waits until the stream rests or runs, as wanted. A catch-up stream whose round ends meanwhile rests for
 * good. */
static bool await_state(Pipeline *p, StreamCtl *c, bool resting, Err *err)
{
    int64_t deadline = clock_mono_ms() + ANSWER_MS;
    pthread_mutex_lock(&p->mutex);
    for (;;) {
        bool rests = c->state == CTL_PAUSED || c->state == CTL_FAILED || c->state == CTL_IDLE;
        if (c->state == CTL_IDLE) c->ask_pause = c->ask_resume = false;
        if (p->stopping || (!c->ask_pause && !c->ask_resume && (resting ? rests : c->state != CTL_PAUSED)))
            break;
        if (!clock_cond_wait_until(&p->changed, &p->mutex, deadline) && clock_mono_ms() >= deadline) {
            pthread_mutex_unlock(&p->mutex);
            return err_set_remedy(err, ERR_DB_RETRY, "it goes on by itself; look at status",
                                  "source %s: asked for, but not done within %d s", c->id, ANSWER_MS / 1000);
        }
    }
    pthread_mutex_unlock(&p->mutex);
    return true;
}

static bool pause_one(Pipeline *p, StreamCtl *c, Str by, Err *err)
{
    if (!store_pause_set(p->store, str_of(c->id), true, by, err)) return false;
    pthread_mutex_lock(&p->mutex);
    c->ask_pause = c->state != CTL_PAUSED;
    c->ask_resume = false;
    pthread_cond_broadcast(&p->changed);
    pthread_mutex_unlock(&p->mutex);
    return await_state(p, c, true, err);
}

static bool resume_one(Pipeline *p, StreamCtl *c, Str by, Err *err)
{
    if (!store_pause_set(p->store, str_of(c->id), false, by, err)) return false;
    pthread_mutex_lock(&p->mutex);
    c->ask_resume = c->state == CTL_PAUSED || c->state == CTL_FAILED || c->state == CTL_GRACE;
    c->ask_pause = false;
    pthread_cond_broadcast(&p->changed);
    pthread_mutex_unlock(&p->mutex);
    return await_state(p, c, false, err);
}

/* The source's catch-up stream, when it has a round. */
static bool catch_up_too(Pipeline *p, uint32_t source, bool pause, Err *err)
{
    StreamCtl *c = &p->streams[p->n_sources + source];
    pthread_mutex_lock(&p->mutex);
    bool idle = c->state == CTL_IDLE;
    c->ask_pause = !idle && pause && c->state != CTL_PAUSED;
    c->ask_resume =
        !idle && !pause && (c->state == CTL_PAUSED || c->state == CTL_FAILED || c->state == CTL_GRACE);
    pthread_cond_broadcast(&p->changed);
    pthread_mutex_unlock(&p->mutex);
    return idle || await_state(p, c, pause, err);
}

static bool each(Pipeline *p, const char *source_id, bool (*fn)(Pipeline *p, StreamCtl *c, Str by, Err *err),
                 Str by, Err *err)
{
    bool found = false, ok = true;
    for (uint32_t i = 0; ok && i < p->n_sources; i++) {
        if (source_id && strcmp(source_id, p->streams[i].id) != 0) continue;
        found = true;
        ok = fn(p, &p->streams[i], by, err);
        if (ok && p->follows) ok = catch_up_too(p, i, fn == pause_one, err);
    }
    if (ok && !found)
        return err_set(err, ERR_OPS_NO_SUCH_SOURCE, "no source '%s' in task " STR_FMT,
                       source_id ? source_id : "", STR_ARG(p->task->name));
    return ok;
}

bool pipeline_pause(Pipeline *p, const char *source_id, Str by, Err *err)
{
    return (source_id || store_pause_set(p->store, (Str){0}, true, by, err)) &&
           each(p, source_id, pause_one, by, err);
}

bool pipeline_resume(Pipeline *p, const char *source_id, Str by, Err *err)
{
    return store_pause_set(p->store, (Str){0}, false, by, err) && each(p, source_id, resume_one, by, err);
}

/* -- locks -- */

json_t *pipeline_locks(Pipeline *p, const char *target)
{
    return p->ddl ? ddl_locks_json(p->ddl, str_of(target ? target : "")) : json_array();
}

static Str given(const char *s)
{
    return str_of(s ? s : "");
}

bool pipeline_decide(Pipeline *p, const PipelineDecision *w, StrBuf *words, Err *err)
{
    DdlDecision d = {.target = given(w->target),
                     .decision = given(w->decision),
                     .source = given(w->source),
                     .table = given(w->table),
                     .by = given(w->by),
                     .sql = w->sql,
                     .n_sql = w->n_sql,
                     .preview = w->preview};
    if (!p->ddl) return err_set(err, ERR_LOCK_DECISION, "the task has no shard-mode, and so no locks");
    return ddl_decide(p->ddl, &d, words, err);
}
