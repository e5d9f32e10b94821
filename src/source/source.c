#include "source/source.h"
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include "base/check.h"
#include "base/clock.h"
#include "base/fault.h"
#include "base/log.h"
#include "db/server.h"
#include "base/poison.h"

enum { BACKOFF_FIRST_MS = 100, BACKOFF_MAX_MS = 10000, BACKOFF_JITTER_PERCENT = 25 };

struct Source {
    SourceOpts opts;
    ConnCancel *cancel; /* wakes the thread from the network */
    Waker waker;        /* wakes it from backoff */
    atomic_bool stop;

    /* set by source_start, then the thread's */
    pthread_t thread;
    bool joinable; /* the caller's */
    StreamPoint from;
    const AppliedSet *applied;
    uint32_t run;
    Stream *stream;
    Assembler *assembler;
    PointEvidence last;    /* the last event read, for position-only transactions */
    uint64_t last_end;     /* where it ends */
    bool progress;         /* since the last failure: a transaction or a heartbeat */
    int64_t trouble_since; /* monotonic ms of the first failure without progress since; 0 none */
    unsigned failures;     /* in a row */
    uint64_t random;

    pthread_mutex_t gate; /* held while the thread works on an event: guards assembler */
    atomic_bool poked;

    atomic_uint_fast64_t events, bytes, transactions;
    atomic_uint_fast32_t last_timestamp;
    atomic_int_fast64_t last_event_mono_ms;
    atomic_bool at_server_end;

    pthread_mutex_t mutex; /* guards what follows */
    SourceState state;
    StreamPoint read;
    unsigned reconnects;
    Err error;
};

/* -- what others see -- */

static void set_state(Source *s, SourceState state, const Err *err)
{
    pthread_mutex_lock(&s->mutex);
    s->state = state;
    err_clear(&s->error);
    if (err) err_copy(&s->error, err);
    pthread_mutex_unlock(&s->mutex);
}

static void publish_point(Source *s, const StreamPoint *p)
{
    StreamPoint copy;
    point_copy(&copy, p);
    pthread_mutex_lock(&s->mutex);
    point_done(&s->read);
    s->read = copy;
    pthread_mutex_unlock(&s->mutex);
}

/* The published point follows each delivered transaction in place: no copy of the whole set for each. */
static void publish_txn(Source *s, const TxnId *id)
{
    pthread_mutex_lock(&s->mutex);
    StreamPoint *p = &s->read;
    if (id->has_gtid && p->gtids) gtidset_add(p->gtids, &id->gtid);
    if (id->file.len) point_set_file(p, id->file, id->end_pos);
    p->evidence = id->evidence;
    if (id->server && (!p->server || strcmp(p->server, id->server) != 0)) {
        free(p->server);
        p->server = str_dup(str_of(id->server));
    }
    pthread_mutex_unlock(&s->mutex);
}

void source_status(Source *s, SourceStatus *out)
{
    *out = (SourceStatus){.events = atomic_load(&s->events),
                          .bytes = atomic_load(&s->bytes),
                          .transactions = atomic_load(&s->transactions),
                          .last_timestamp = (uint32_t)atomic_load(&s->last_timestamp),
                          .last_event_mono_ms = atomic_load(&s->last_event_mono_ms),
                          .at_server_end = atomic_load(&s->at_server_end)};
    pthread_mutex_lock(&s->mutex);
    out->state = s->state;
    out->reconnects = s->reconnects;
    point_copy(&out->read, &s->read);
    err_copy(&out->error, &s->error);
    pthread_mutex_unlock(&s->mutex);
}

/* -- hooks: the caller's, with our counting around deliver -- */

static bool hook_resolve(void *ctx, uint32_t source, const TableMap *map, const Binding **binding, Err *err)
{
    const AssembleHooks *h = &((Source *)ctx)->opts.assemble.hooks;
    return h->resolve(h->ctx, source, map, binding, err);
}

static bool hook_routed(void *ctx, uint32_t source, TableName name)
{
    const AssembleHooks *h = &((Source *)ctx)->opts.assemble.hooks;
    return h->routed(h->ctx, source, name);
}

static bool hook_schema_routed(void *ctx, uint32_t source, Str schema)
{
    const AssembleHooks *h = &((Source *)ctx)->opts.assemble.hooks;
    return h->schema_routed(h->ctx, source, schema);
}

static bool hook_exists(void *ctx, uint32_t source, TableName name)
{
    const AssembleHooks *h = &((Source *)ctx)->opts.assemble.hooks;
    return h->exists(h->ctx, source, name);
}

static bool hook_covered(void *ctx, uint32_t source, const TxnId *id)
{
    const AssembleHooks *h = &((Source *)ctx)->opts.assemble.hooks;
    return h->covered(h->ctx, source, id);
}

static void hook_note(void *ctx, uint32_t source, const char *what, Str text)
{
    const AssembleHooks *h = &((Source *)ctx)->opts.assemble.hooks;
    h->note(h->ctx, source, what, text);
}

static bool hook_ddl(void *ctx, uint32_t source, const DdlEvent *e, Err *err)
{
    const AssembleHooks *h = &((Source *)ctx)->opts.assemble.hooks;
    return h->ddl(h->ctx, source, e, err);
}

static bool hook_held(void *ctx, uint32_t source, const TableMap *map, const StreamPoint *at)
{
    const AssembleHooks *h = &((Source *)ctx)->opts.assemble.hooks;
    return h->held(h->ctx, source, map, at);
}

static uint64_t hook_generation(void *ctx, uint32_t source)
{
    const AssembleHooks *h = &((Source *)ctx)->opts.assemble.hooks;
    return h->generation(h->ctx, source);
}

static bool hook_deliver(void *ctx, Txn *txn)
{
    Source *s = ctx;
    const AssembleHooks *h = &s->opts.assemble.hooks;
    TxnId id = txn->id; /* the transaction is not ours once delivered */
    bool last = txn->last_piece;
    char *file = last ? str_dup(id.file) : NULL;
    bool ok = h->deliver(h->ctx, txn);
    if (ok && last) {
        id.file = str_of(file);
        publish_txn(s, &id);
        atomic_fetch_add(&s->transactions, 1);
        s->progress = true;
    }
    free(file);
    return ok;
}

/* -- one connection -- */

static void make_assembler(Source *s, const StreamPoint *start)
{
    AssembleOpts o = s->opts.assemble;
    const AssembleHooks *h = &s->opts.assemble.hooks;
    o.run = s->run;
    o.server = stream_server(s->stream);
    o.flavor = stream_flavor(s->stream);
    o.use_gtid = s->opts.stream.use_gtid;
    o.applied = s->applied;
    o.hooks = (AssembleHooks){.ctx = s,
                              .resolve = hook_resolve,
                              .routed = hook_routed,
                              .schema_routed = hook_schema_routed,
                              .deliver = hook_deliver,
                              .exists = h->exists ? hook_exists : NULL,
                              .ddl = h->ddl ? hook_ddl : NULL,
                              .held = h->held ? hook_held : NULL,
                              .generation = h->generation ? hook_generation : NULL,
                              .note = h->note ? hook_note : NULL,
                              .covered = h->covered ? hook_covered : NULL};
    s->assembler = assembler_new(&o);
    assembler_set_point(s->assembler, start);
}

static bool connect_stream(Source *s, Err *err)
{
    StreamOpts o = s->opts.stream;
    o.conn.cancel = s->cancel;
    StreamPoint start = {0};
    set_state(s, SOURCE_CONNECTING, NULL);
    if (FAULT("source.connect"))
        return err_set(err, ERR_DB_CONNECT, "source %s: connection refused (injected)", o.source_id);
    Stream *stream = NULL;
    if (!stream_open(&o, s->assembler ? assembler_point(s->assembler) : &s->from, &stream, &start, err))
        return false;
    pthread_mutex_lock(&s->gate);
    s->stream = stream;
    if (s->assembler) {
        assembler_reset(s->assembler, stream_server(s->stream));
        assembler_set_point(s->assembler, &start);
    } else
        make_assembler(s, &start);
    pthread_mutex_unlock(&s->gate);
    publish_point(s, &start);
    StrBuf at = {0};
    point_format_human(&start, &at);
    log_write(LOGEV_SOURCE_CONNECTED, LOG_S("source", o.source_id), LOG_S("server", stream_server(s->stream)),
              LOG_STR("position", sb_view(&at)));
    sb_done(&at);
    point_done(&start);
    s->last = (PointEvidence){0};
    set_state(s, SOURCE_STREAMING, NULL);
    return true;
}

/* Moves the point without a transaction: the beginning of a file, or where the server waits. By GTID only
 * forward into another file: the server begins in an older one, skips there, and the evidence held is worth
 * more than the place. */
static bool take_position(Source *s, Str file, uint64_t pos, Err *err)
{
    PointEvidence none = {0};
    if (assembler_in_transaction(s->assembler)) return true;
    const StreamPoint *p = assembler_point(s->assembler);
    if (p->file && str_eqc(file, p->file) && p->pos == pos) return true; /* keeps its evidence */
    bool same_server = p->server && strcmp(p->server, stream_server(s->stream)) == 0;
    if (s->opts.stream.use_gtid && same_server && p->file && !server_log_newer(file, str_of(p->file))) {
        const AssembleHooks *h = &s->opts.assemble.hooks;
        if (h->place) h->place(h->ctx, s->opts.assemble.source, file, pos);
        return true;
    }
    return assembler_position(s->assembler, file, pos, (uint32_t)atomic_load(&s->last_timestamp),
                              s->last_end == pos ? &s->last : &none, err);
}

static bool take_event(Source *s, const RawEvent *ev, Err *err)
{
    if (FAULT("source.event"))
        return err_set(err, ERR_DECODE_CHECKSUM, "source %s: wrong CRC32 (injected)",
                       s->opts.stream.source_id);
    atomic_fetch_add(&s->events, 1);
    atomic_fetch_add(&s->bytes, ev->whole.len);
    if (ev->header.timestamp) atomic_store(&s->last_timestamp, ev->header.timestamp);
    if (!assembler_event(s->assembler, stream_format(s->stream), ev, err)) return false;
    /* A server sends its FORMAT_DESCRIPTION changed (in-use flag, creation time): no evidence of anything. */
    if (ev->end_pos > ev->start_pos && ev->header.type != EVENT_FORMAT_DESCRIPTION) {
        s->last = (PointEvidence){true, ev->start_pos, ev->header.size, ev->header.timestamp, ev->crc};
        s->last_end = ev->end_pos;
    }
    /* the second event of every file of both families, and its bytes never change */
    bool file_begins = (ev->header.type == EVENT_PREVIOUS_GTIDS || ev->header.type == EVENT_GTID_LIST) &&
                       ev->end_pos > ev->start_pos;
    return !file_begins || take_position(s, ev->file, ev->end_pos, err);
}

/* Gate held. */
static void at_boundary(Source *s)
{
    const AssembleHooks *h = &s->opts.assemble.hooks;
    if (!s->opts.boundary || !s->assembler || assembler_in_transaction(s->assembler)) return;
    if (atomic_exchange(&s->poked, false))
        s->opts.boundary(h->ctx, s->opts.assemble.source, assembler_point(s->assembler));
}

void source_poke(Source *s)
{
    atomic_store(&s->poked, true);
    if (pthread_mutex_trylock(&s->gate) != 0) return; /* the thread looks when it is through */
    if (s->stream) at_boundary(s);
    pthread_mutex_unlock(&s->gate);
}

/* Reads until something fails: *err says what. */
static void read_stream(Source *s, Err *err)
{
    for (;;) {
        RawEvent ev;
        if (FAULT("source.read")) {
            err_set(err, ERR_DB_LOST, "source %s: connection lost (injected)", s->opts.stream.source_id);
            return;
        }
        StreamResult r = stream_next(s->stream, &ev, err);
        if (r == STREAM_FAILED) return;
        atomic_store(&s->last_event_mono_ms, clock_mono_ms());
        atomic_store(&s->at_server_end, r == STREAM_HEARTBEAT);
        if (atomic_load(&s->stop)) {
            err_set(err, ERR_CANCELLED, "source %s: stopped on request", s->opts.stream.source_id);
            return;
        }
        bool ok = true;
        pthread_mutex_lock(&s->gate);
        if (r == STREAM_EVENT) ok = take_event(s, &ev, err);
        if (r == STREAM_HEARTBEAT) {
            s->progress = true;
            ok = take_position(s, ev.file, ev.end_pos, err);
        }
        if (r == STREAM_ROTATED) s->last = (PointEvidence){0}; /* what begins the new file moves the point */
        if (ok) at_boundary(s);
        pthread_mutex_unlock(&s->gate);
        if (!ok) return;
    }
}

/* -- trying again -- */

static int64_t backoff_ms(Source *s)
{
    int64_t ms = BACKOFF_FIRST_MS;
    for (unsigned i = 1; i < s->failures && ms < BACKOFF_MAX_MS; i++)
        ms *= 2;
    ms = MIN(ms, (int64_t)BACKOFF_MAX_MS);
    s->random = s->random * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    int64_t spread = ms * BACKOFF_JITTER_PERCENT / 100;
    return ms - spread + (int64_t)(s->random >> 33) % (2 * spread + 1);
}

/* May the thread try again after *err? Tells why not in it. */
static bool may_retry(Source *s, Err *err)
{
    int64_t now = clock_mono_ms();
    if (err_class(err) != ERR_CLASS_RETRY) return false;
    if (err->code == ERR_SOURCE_SERVER_ID && s->opts.stream.server_id)
        return false; /* the two would drive each other out */
    if (s->progress || !s->trouble_since) {
        s->trouble_since = now;
        s->failures = 0;
    }
    s->progress = false;
    s->failures++;
    int64_t for_ms = now - s->trouble_since;
    if (!s->opts.retry_max_s || for_ms <= (int64_t)s->opts.retry_max_s * 1000) return true;
    err_wrap(err, "no progress for %lld s", (long long)(for_ms / 1000));
    return false;
}

static void *source_main(void *arg)
{
    Source *s = arg;
    SourceState end = SOURCE_IDLE;
    Err err = {0};
    while (!atomic_load(&s->stop)) {
        if (connect_stream(s, &err)) read_stream(s, &err);
        pthread_mutex_lock(&s->gate);
        if (s->stream)
            assembler_reset(s->assembler, stream_server(s->stream)); /* an open one is read again */
        stream_close(s->stream);
        s->stream = NULL;
        pthread_mutex_unlock(&s->gate);
        atomic_store(&s->at_server_end, false);
        if (atomic_load(&s->stop) || err.code == ERR_CANCELLED) break;
        if (!may_retry(s, &err)) {
            end = SOURCE_FAILED;
            log_error(LOGEV_SOURCE_STOPPED, &err, LOG_S("source", s->opts.stream.source_id));
            break;
        }
        int64_t wait_ms = backoff_ms(s);
        log_error(LOGEV_SOURCE_RETRY, &err, LOG_S("source", s->opts.stream.source_id),
                  LOG_I("wait_ms", wait_ms));
        set_state(s, SOURCE_BACKOFF, &err);
        pthread_mutex_lock(&s->mutex);
        s->reconnects++;
        pthread_mutex_unlock(&s->mutex);
        err_clear(&err);
        if (waker_sleep(&s->waker, wait_ms)) break;
    }
    pthread_mutex_lock(&s->gate);
    assembler_free(s->assembler);
    s->assembler = NULL;
    pthread_mutex_unlock(&s->gate);
    set_state(s, end, end == SOURCE_FAILED ? &err : NULL);
    err_clear(&err);
    conn_thread_end();
    return NULL;
}

/* -- life -- */

Source *source_new(const SourceOpts *opts)
{
    Source *s = mem_zalloc(sizeof *s);
    s->opts = *opts;
    s->cancel = conn_cancel_new();
    waker_init(&s->waker);
    CHECK(pthread_mutex_init(&s->mutex, NULL) == 0 && pthread_mutex_init(&s->gate, NULL) == 0, "mutex");
    s->state = SOURCE_IDLE;
    s->random = str_hash(str_of(opts->stream.source_id)) ^ (uint64_t)clock_mono_ms();
    return s;
}

bool source_start(Source *s, const StreamPoint *from, const AppliedSet *applied, uint32_t run, Err *err)
{
    CHECK(!s->joinable, "the source runs already");
    bool fails = FAULT("source.start");
    point_done(&s->from);
    point_copy(&s->from, from);
    publish_point(s, from);
    s->applied = applied;
    s->run = run;
    s->progress = false;
    s->trouble_since = 0;
    s->failures = 0;
    atomic_store(&s->stop, false);
    conn_cancel_reset(s->cancel);
    waker_reset(&s->waker);
    set_state(s, SOURCE_CONNECTING, NULL);
    if (fails || pthread_create(&s->thread, NULL, source_main, s) != 0) {
        set_state(s, SOURCE_IDLE, NULL);
        return err_set(err, ERR_IO, "source %s: no thread could be started", s->opts.stream.source_id);
    }
    s->joinable = true;
    return true;
}

void source_stop(Source *s)
{
    atomic_store(&s->stop, true);
    waker_wake(&s->waker);
    conn_cancel_fire(s->cancel);
}

bool source_is_stopping(Source *s)
{
    return atomic_load(&s->stop);
}

void source_join(Source *s)
{
    if (!s->joinable) return;
    CHECK(pthread_join(s->thread, NULL) == 0, "join");
    s->joinable = false;
}

void source_free(Source *s)
{
    if (!s) return;
    source_stop(s);
    source_join(s);
    conn_cancel_free(s->cancel);
    waker_done(&s->waker);
    pthread_mutex_destroy(&s->mutex);
    pthread_mutex_destroy(&s->gate);
    point_done(&s->from);
    point_done(&s->read);
    err_clear(&s->error);
    free(s);
}
