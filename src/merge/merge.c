#include "merge/merge.h"
#include <stdatomic.h>
#include <stdlib.h>
#include "base/check.h"
#include "base/clock.h"
#include "base/fault.h"
#include "base/queue.h"
#include "merge/inbox.h"
#include "merge/keytable.h"
#include "base/poison.h"

enum { STICKY_ROWS = 256 }; /* rows an applier gets in a row before another one is looked for */

typedef struct Stream {
    Window window;
    _Atomic uint32_t run;
    _Atomic uint64_t in_flight; /* dispatched and not finished, plus the one in the dispatcher's hands */
    _Atomic uint64_t delivered; /* in the inbox, not yet taken by the dispatcher */
    _Atomic bool open;
    _Atomic bool pinned;
    uint32_t pinned_to;
} Stream;

/* Per target, for transactions that conflict with the whole table. Dispatcher only. */
typedef struct TargetFlight {
    uint64_t *any;            /* by applier: last order that touched the target */
    uint64_t exclusive_order; /* last exclusive one; all before it are done when it is */
    uint32_t exclusive_applier;
} TargetFlight;

typedef struct Lane {
    Queue queue;
    _Atomic uint64_t queued_rows;
    _Atomic uint64_t wanted; /* highest order somebody waits for */
    bool given_up;           /* its applier: has handed back what it did not do; committed stays before it */
    pthread_mutex_t mutex;
    uint64_t *orders; /* ring of the unfinished orders, ascending; this and below guarded by mutex */
    size_t head, count, cap;
} Lane;

struct Merge {
    MergeOpts opts;
    Inbox inbox;
    Stream *streams;
    Lane *lanes;
    _Atomic uint64_t *committed; /* by applier */
    KeyTable keys;               /* dispatcher */
    TargetFlight *targets;       /* dispatcher; by target id */
    size_t n_targets;
    uint64_t order;  /* dispatcher: last given */
    uint32_t sticky; /* dispatcher: applier that gets transactions without conflicts */
    uint64_t sticky_rows;
    uint64_t *need; /* dispatcher scratch, by applier */
    _Atomic uint64_t n_dispatched, n_waits, n_exclusive;
    pthread_mutex_t progress_mutex; /* pairs with progress: orders finished, runs raised, streams quiet */
    pthread_cond_t progress;
    _Atomic int n_waiting; /* threads in a progress wait */
    _Atomic bool aborted;
};

static bool stream_has_room(void *ctx, uint32_t stream)
{
    return window_has_room(&((Merge *)ctx)->streams[stream].window);
}

Merge *merge_new(const MergeOpts *opts)
{
    Merge *m = mem_zalloc(sizeof *m);
    m->opts = *opts;
    inbox_init(&m->inbox, opts->n_streams, opts->queue_items, opts->queue_bytes, stream_has_room, m);
    m->streams = mem_zalloc(opts->n_streams * sizeof *m->streams);
    for (uint32_t i = 0; i < opts->n_streams; i++)
        window_init(&m->streams[i].window, opts->window_slots);
    m->lanes = mem_zalloc(opts->n_appliers * sizeof *m->lanes);
    for (uint32_t i = 0; i < opts->n_appliers; i++) {
        queue_init(&m->lanes[i].queue, opts->queue_items, opts->queue_bytes);
        pthread_mutex_init(&m->lanes[i].mutex, NULL);
    }
    m->committed = mem_zalloc(opts->n_appliers * sizeof *m->committed);
    m->need = mem_zalloc(opts->n_appliers * sizeof *m->need);
    keytable_init(&m->keys, m->committed);
    pthread_mutex_init(&m->progress_mutex, NULL);
    clock_cond_init(&m->progress);
    return m;
}

static void drop_txn(void *ctx, Txn *t)
{
    Merge *m = ctx;
    budget_give(m->opts.budget, t->budget_bytes);
    txn_free(t);
}

void merge_free(Merge *m)
{
    for (uint32_t i = 0; i < m->opts.n_appliers; i++) {
        for (Txn *t; (t = queue_pop_now(&m->lanes[i].queue));)
            txn_free(t);
        queue_done(&m->lanes[i].queue);
        pthread_mutex_destroy(&m->lanes[i].mutex);
        free(m->lanes[i].orders);
    }
    inbox_done(&m->inbox);
    for (uint32_t i = 0; i < m->opts.n_streams; i++)
        window_done(&m->streams[i].window);
    for (size_t i = 0; i < m->n_targets; i++)
        free(m->targets[i].any);
    free(m->targets);
    keytable_done(&m->keys);
    free(m->streams);
    free(m->lanes);
    free((void *)m->committed);
    free(m->need);
    pthread_mutex_destroy(&m->progress_mutex);
    pthread_cond_destroy(&m->progress);
    free(m);
}

/* -- lanes: which orders an applier has not finished -- */

static void lane_add(Lane *l, uint64_t order)
{
    pthread_mutex_lock(&l->mutex);
    if (l->count == l->cap) {
        size_t cap = l->cap ? l->cap * 2 : 256;
        uint64_t *orders = mem_alloc(cap * sizeof *orders);
        for (size_t i = 0; i < l->count; i++)
            orders[i] = l->orders[(l->head + i) % l->cap];
        free(l->orders);
        l->orders = orders;
        l->head = 0;
        l->cap = cap;
    }
    l->orders[(l->head + l->count++) % l->cap] = order;
    pthread_mutex_unlock(&l->mutex);
}

static void lane_finish(Lane *l, uint64_t last)
{
    pthread_mutex_lock(&l->mutex);
    while (l->count && l->orders[l->head] <= last) {
        l->head = (l->head + 1) % l->cap;
        l->count--;
    }
    pthread_mutex_unlock(&l->mutex);
}

static uint64_t lane_oldest(Lane *l)
{
    pthread_mutex_lock(&l->mutex);
    uint64_t oldest = l->count ? l->orders[l->head] : UINT64_MAX;
    pthread_mutex_unlock(&l->mutex);
    return oldest;
}

/* -- progress: one condition for everything that waits for others to get on -- */

static void progress_signal(Merge *m)
{
    /* What the caller has just stored must be seen before n_waiting is read: the waiter does it the other way
     * round. */
    atomic_thread_fence(memory_order_seq_cst);
    if (atomic_load(&m->n_waiting) == 0) return;
    pthread_mutex_lock(&m->progress_mutex);
    pthread_cond_broadcast(&m->progress);
    pthread_mutex_unlock(&m->progress_mutex);
}

/* Blocks until ready(m, arg); false when aborted. n_waiting is raised before the first look at the condition,
 * and signallers look at it after changing what the condition reads, so that no wake-up is lost. */
static bool progress_wait(Merge *m, bool (*ready)(const Merge *m, const void *arg), const void *arg)
{
    atomic_fetch_add(&m->n_waiting, 1);
    pthread_mutex_lock(&m->progress_mutex);
    while (!atomic_load(&m->aborted) && !ready(m, arg))
        pthread_cond_wait(&m->progress, &m->progress_mutex);
    pthread_mutex_unlock(&m->progress_mutex);
    atomic_fetch_sub(&m->n_waiting, 1);
    return !atomic_load(&m->aborted);
}

/* -- sources -- */

bool merge_deliver(Merge *m, Txn *t)
{
    Stream *s = &m->streams[t->source];
    atomic_fetch_add(&s->delivered, 1);
    if (inbox_push(&m->inbox, t)) return true;
    atomic_fetch_sub(&s->delivered, 1);
    progress_signal(m);
    return false;
}

/* -- dispatcher -- */

static TargetFlight *target_flight(Merge *m, const Target *target)
{
    if (target->id >= m->n_targets) {
        size_t n = target->id + 16;
        m->targets = mem_realloc(m->targets, n * sizeof *m->targets);
        for (size_t i = m->n_targets; i < n; i++)
            m->targets[i] = (TargetFlight){.any = mem_zalloc(m->opts.n_appliers * sizeof(uint64_t))};
        m->n_targets = n;
    }
    return &m->targets[target->id];
}

static bool is_committed(const Merge *m, uint32_t applier, uint64_t order)
{
    return order <= atomic_load_explicit(&m->committed[applier], memory_order_acquire);
}

static void need_order(Merge *m, uint32_t applier, uint64_t order)
{
    if (order > m->need[applier] && !is_committed(m, applier, order)) m->need[applier] = order;
}

/* Fills need[]: the highest uncommitted order per applier that this transaction must come after. */
static void find_conflicts(Merge *m, const Txn *t)
{
    memset(m->need, 0, m->opts.n_appliers * sizeof *m->need);
    for (uint32_t i = 0; i < t->n_targets; i++) {
        const TargetFlight *f = target_flight(m, t->targets[i].target);
        if (f->exclusive_order) need_order(m, f->exclusive_applier, f->exclusive_order);
        if (!t->targets[i].exclusive) continue;
        for (uint32_t a = 0; a < m->opts.n_appliers; a++)
            need_order(m, a, f->any[a]);
    }
    for (size_t i = 0; i < t->n_keys; i++) {
        const KeyEntry *e = keytable_find(&m->keys, t->keys[i]);
        if (e) need_order(m, e->applier, e->order);
    }
}

static uint32_t least_loaded(Merge *m)
{
    uint32_t best = m->sticky;
    for (uint32_t a = 0; a < m->opts.n_appliers; a++)
        if (atomic_load(&m->lanes[a].queued_rows) < atomic_load(&m->lanes[best].queued_rows)) best = a;
    return best;
}

static uint32_t choose_applier(Merge *m, const Stream *s, const Txn *t)
{
    if (s->pinned) return s->pinned_to;
    uint32_t chosen = UINT32_MAX;
    for (uint32_t a = 0; a < m->opts.n_appliers; a++)
        if (m->need[a] && (chosen == UINT32_MAX || m->need[a] > m->need[chosen])) chosen = a;
    if (chosen != UINT32_MAX) return chosen;
    m->sticky_rows += t->n_ops;
    if (m->sticky_rows >= STICKY_ROWS || queue_count(&m->lanes[m->sticky].queue) == 0) {
        m->sticky = least_loaded(m);
        m->sticky_rows = 0;
    }
    return m->sticky;
}

static void register_keys(Merge *m, const Txn *t)
{
    for (size_t i = 0; i < t->n_keys; i++)
        keytable_put(&m->keys, t->keys[i], t->order, t->applier);
    for (uint32_t i = 0; i < t->n_targets; i++) {
        TargetFlight *f = target_flight(m, t->targets[i].target);
        f->any[t->applier] = t->order;
        if (!t->targets[i].exclusive) continue;
        f->exclusive_order = t->order;
        f->exclusive_applier = t->applier;
        atomic_fetch_add(&m->n_exclusive, 1);
    }
}

static void set_waits(Merge *m, Txn *t)
{
    uint32_t n = 0;
    for (uint32_t a = 0; a < m->opts.n_appliers; a++)
        n += m->need[a] && a != t->applier;
    if (!n) return;
    t->waits = arena_array(&t->arena, WaitFor, n);
    for (uint32_t a = 0; a < m->opts.n_appliers; a++) {
        if (!m->need[a] || a == t->applier) continue;
        CHECK(m->need[a] < t->order, "waits point backwards only");
        t->waits[t->n_waits++] = (WaitFor){.applier = a, .order = m->need[a]};
    }
    atomic_fetch_add(&m->n_waits, 1);
}

static void leave_flight(Merge *m, Stream *s)
{
    if (atomic_fetch_sub(&s->in_flight, 1) == 1) progress_signal(m);
}

static void dispatch_one(Merge *m, Txn *t)
{
    Stream *s = &m->streams[t->source];
    /* In flight first, run looked at second: merge_stream_close raises the run first and then waits for the
     * flight. */
    atomic_fetch_add(&s->in_flight, 1);
    atomic_fetch_sub(&s->delivered, 1);
    if (merge_is_stale(m, t)) {
        drop_txn(m, t);
        leave_flight(m, s);
        return;
    }
    t->window_slot = window_open(&s->window, t);
    if (t->n_ops == 0 && !t->chunk) {
        window_finish(&s->window, t->window_slot, &t->counts);
        if (window_is_half_full(&s->window)) window_collect(&s->window);
        drop_txn(m, t);
        leave_flight(m, s);
        return;
    }
    find_conflicts(m, t);
    t->applier = choose_applier(m, s, t);
    t->order = ++m->order;
    set_waits(m, t);
    register_keys(m, t);
    Lane *lane = &m->lanes[t->applier];
    lane_add(lane, t->order);
    atomic_fetch_add(&lane->queued_rows, t->n_ops);
    atomic_fetch_add(&m->n_dispatched, 1);
    (void)FAULT("dispatch.before_enqueue");
    if (!queue_push(&lane->queue, t, t->budget_bytes)) { /* aborted */
        drop_txn(m, t);
        leave_flight(m, s);
    }
}

void merge_dispatch(Merge *m)
{
    for (Txn *t; (t = inbox_pop(&m->inbox));)
        dispatch_one(m, t);
}

/* -- appliers -- */

Txn *merge_next(Merge *m, uint32_t applier, bool block)
{
    Lane *lane = &m->lanes[applier];
    if (atomic_load(&m->aborted)) return NULL;
    Txn *t = block ? queue_pop(&lane->queue) : queue_pop_now(&lane->queue);
    if (t) atomic_fetch_sub(&lane->queued_rows, t->n_ops);
    return t;
}

bool merge_is_stale(const Merge *m, const Txn *t)
{
    return t->run != atomic_load(&m->streams[t->source].run);
}

bool merge_may_start(const Merge *m, const Txn *t)
{
    for (uint32_t i = 0; i < t->n_waits; i++)
        if (!is_committed(m, t->waits[i].applier, t->waits[i].order)) return false;
    return true;
}

static void want(Merge *m, uint32_t applier, uint64_t order)
{
    _Atomic uint64_t *wanted = &m->lanes[applier].wanted;
    uint64_t before = atomic_load(wanted);
    while (before < order && !atomic_compare_exchange_weak(wanted, &before, order)) {
    }
}

static bool ready_to_start(const Merge *m, const void *arg)
{
    return merge_may_start(m, arg);
}

bool merge_wait_start(Merge *m, const Txn *t)
{
    for (uint32_t i = 0; i < t->n_waits; i++)
        want(m, t->waits[i].applier, t->waits[i].order);
    return progress_wait(m, ready_to_start, t);
}

typedef struct Before {
    uint32_t applier;
    uint64_t order;
} Before;

static bool all_before_done(const Merge *m, const void *arg)
{
    const Before *b = arg;
    for (uint32_t a = 0; a < m->opts.n_appliers; a++)
        if (a != b->applier && lane_oldest(&m->lanes[a]) < b->order) return false;
    return true;
}

bool merge_wait_before(Merge *m, uint32_t applier, uint64_t order)
{
    for (uint32_t a = 0; a < m->opts.n_appliers; a++)
        if (a != applier) want(m, a, order);
    return progress_wait(m, all_before_done, &(Before){applier, order});
}

bool merge_is_wanted(const Merge *m, uint32_t applier, uint64_t order)
{
    uint64_t wanted = atomic_load(&m->lanes[applier].wanted);
    return wanted <= order && !is_committed(m, applier, wanted);
}

/* Dropped, but neither because its stream was closed nor in its turn: the applier stops, and the transaction
 * will be read again by the next process. */
static bool is_given_up(const Merge *m, const Finished *f)
{
    return f->dropped && !(merge_is_stale(m, f->txn) && merge_may_start(m, f->txn));
}

void merge_finish(Merge *m, uint32_t applier, const Finished *done, size_t n)
{
    Lane *lane = &m->lanes[applier];
    uint64_t last = 0;
    for (size_t i = 0; i < n; i++) {
        Txn *t = done[i].txn;
        lane->given_up |= is_given_up(m, &done[i]);
        if (!lane->given_up) last = t->order;
        Stream *s = &m->streams[t->source];
        if (!done[i].dropped) {
            const RowCounts none = {0};
            window_finish(&s->window, t->window_slot, t->chunk ? &none : &t->counts);
            if (window_is_half_full(&s->window) && window_collect(&s->window)) inbox_poke(&m->inbox);
        }
        drop_txn(m, t);
        atomic_fetch_sub(&s->in_flight, 1);
    }
    if (last) {
        lane_finish(lane, last);
        atomic_store_explicit(&m->committed[applier], last, memory_order_release);
    }
    progress_signal(m);
}

/* -- supervision -- */

uint32_t merge_stream_open(Merge *m, uint32_t stream, const StreamPoint *floor, const RowCounts *counts,
                           uint64_t transactions, bool pinned)
{
    Stream *s = &m->streams[stream];
    CHECK(atomic_load(&s->in_flight) == 0, "a stream opens when it is quiet");
    window_reset(&s->window, floor, counts, transactions);
    s->pinned = pinned;
    s->pinned_to = stream % m->opts.n_appliers;
    uint32_t run = atomic_fetch_add(&s->run, 1) + 1;
    atomic_store(&s->open, true);
    inbox_stream_open(&m->inbox, stream, pinned);
    return run;
}

static void drop_delivered(void *ctx, Txn *t)
{
    Merge *m = ctx;
    atomic_fetch_sub(&m->streams[t->source].delivered, 1);
    drop_txn(m, t);
}

void merge_stream_close(Merge *m, uint32_t stream)
{
    Stream *s = &m->streams[stream];
    if (!atomic_exchange(&s->open, false)) return;
    atomic_fetch_add(&s->run, 1);
    inbox_stream_close(&m->inbox, stream, drop_delivered, m);
    progress_signal(m);
}

bool merge_stream_is_quiet(Merge *m, uint32_t stream, bool with_inbox)
{
    const Stream *s = &m->streams[stream];
    /* delivered first: a transaction enters the flight before it leaves the inbox */
    return (!with_inbox || atomic_load(&s->delivered) == 0) && atomic_load(&s->in_flight) == 0;
}

void merge_stream_unpin(Merge *m, uint32_t stream)
{
    atomic_store(&m->streams[stream].pinned, false);
    inbox_stream_ungather(&m->inbox, stream);
}

Window *merge_window(Merge *m, uint32_t stream)
{
    return &m->streams[stream].window;
}

bool merge_collect(Merge *m)
{
    bool moved = false;
    for (uint32_t i = 0; i < m->opts.n_streams; i++)
        moved |= window_collect(&m->streams[i].window);
    if (moved) inbox_poke(&m->inbox);
    return moved;
}

void merge_abort(Merge *m)
{
    atomic_store(&m->aborted, true);
    inbox_close(&m->inbox);
    for (uint32_t i = 0; i < m->opts.n_appliers; i++)
        queue_abort(&m->lanes[i].queue);
    pthread_mutex_lock(&m->progress_mutex);
    pthread_cond_broadcast(&m->progress);
    pthread_mutex_unlock(&m->progress_mutex);
}

void merge_stats(Merge *m, MergeStats *out)
{
    *out = (MergeStats){.dispatched = atomic_load(&m->n_dispatched),
                        .waits = atomic_load(&m->n_waits),
                        .exclusive = atomic_load(&m->n_exclusive)};
    for (uint32_t a = 0; a < m->opts.n_appliers; a++)
        out->queued += queue_count(&m->lanes[a].queue);
}
