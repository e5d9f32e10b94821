/* The whole merge under real threads: sources deliver random transactions, appliers follow the protocol of
 * apply/applier.c, streams are ejected and opened again, the task stops half-way and starts anew. An oracle
 * beside it knows every key: who holds it, which order and which transaction of each source wrote it last. */
#include "unit.h"
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <time.h>
#include "base/clock.h"
#include "merge/merge.h"
#include "random.h"
#include "base/poison.h"

enum { STREAMS = 4, APPLIERS = 4, KEYS = 40, TARGETS = 2, TXNS = 300, PIECES = 3, PATIENCE_MS = 30000 };

typedef struct Config {
    uint64_t seed;
    uint32_t n_appliers;
    size_t queue_items, window_slots;
    uint32_t ejects;    /* how many, over the whole run */
    uint32_t stops;     /* how often the task is stopped and started again */
    uint32_t exclusive; /* percent */
    uint32_t pinned;    /* percent of the openings */
} Config;

/* What a transaction (or one piece of it) writes; made from (seed, stream, number, piece) alone. */
typedef struct Work {
    uint32_t n_pieces;
    bool empty;
    bool exclusive[TARGETS];
    uint32_t n_keys, keys[4];
} Work;

typedef struct World World;

typedef struct Stream {
    World *w;
    uint32_t index, run;
    pthread_t thread;
    bool running;       /* main thread */
    bool pinned;        /* main thread */
    _Atomic bool ended; /* the thread has nothing more to deliver */
    _Atomic bool closed;
    uint64_t from; /* first transaction to deliver */
    StreamPoint floor;
    RowCounts counts;
    uint64_t transactions;
} Stream;

typedef struct ApplierState {
    World *w;
    uint32_t index;
    pthread_t thread;
    Random rnd;
    Txn *pending[64];
    size_t n_pending;
    Finished work[64];
    size_t n_work;
    bool failed;
} ApplierState;

struct World {
    Config c;
    Merge *m;
    Budget budget;
    Target targets[TARGETS];
    Binding bindings[TARGETS];
    Stream streams[STREAMS];
    ApplierState appliers[APPLIERS];
    pthread_t dispatcher;
    _Atomic bool failing; /* one applier shall give up */
    _Atomic uint32_t ejects_left;
    pthread_mutex_t mutex; /* guards all below */
    char wrong[300];
    uint8_t done[STREAMS][TXNS + 1][PIECES];
    uint64_t last_order[KEYS], last_any[TARGETS], last_exclusive[TARGETS]; /* of the merge of now */
    uint64_t last_no[KEYS][STREAMS], last_any_no[TARGETS][STREAMS], last_exclusive_no[TARGETS][STREAMS];
    int holder[KEYS], exclusive_holder[TARGETS], shared[TARGETS][APPLIERS]; /* -1: nobody */
    uint64_t in_hand[APPLIERS]; /* lowest order of the batch under way; UINT64_MAX: none */
    uint64_t committed, dropped;
};

static void wrong(World *w, const char *what, const Txn *t)
{
    if (w->wrong[0]) return;
    snprintf(w->wrong, sizeof w->wrong, "%s: stream %u transaction %llu order %llu applier %u", what,
             t->source, (unsigned long long)t->id.gtid.seq, (unsigned long long)t->order, t->applier);
}

static void work_of(const World *w, uint32_t stream, uint64_t no, uint32_t piece, Work *out)
{
    Random r = {w->c.seed * 1000003 + stream * 7919 + no * 31};
    *out = (Work){.n_pieces = random_chance(&r, 8) ? PIECES : 1};
    r.state += piece * 1299709;
    out->empty = random_chance(&r, 8);
    if (out->empty) return;
    for (uint32_t t = 0; t < TARGETS; t++)
        out->exclusive[t] = random_chance(&r, w->c.exclusive);
    uint32_t n = 1 + random_below(&r, 4);
    for (uint32_t i = 0; i < n; i++) {
        uint32_t k = random_below(&r, KEYS);
        bool twice = out->exclusive[k % TARGETS];
        for (uint32_t j = 0; j < out->n_keys; j++)
            twice |= out->keys[j] == k;
        if (!twice) out->keys[out->n_keys++] = k;
    }
    out->empty = !out->n_keys && !out->exclusive[0] && !out->exclusive[1];
}

static Txn *make(Stream *s, uint64_t no, uint32_t piece, bool known)
{
    Work work;
    work_of(s->w, s->index, no, piece, &work);
    Txn *t = txn_new();
    t->source = s->index;
    t->run = s->run;
    t->id = (TxnId){.has_gtid = true, .server = "server_id:1", .end_pos = no * 100};
    t->id.gtid = (Gtid){.flavor = FLAVOR_MARIADB, .domain = s->index, .server_id = 1, .seq = no};
    t->id.file = arena_str(&t->arena, STR("bin.000001"));
    t->timestamp = (uint32_t)no;
    t->is_piece = work.n_pieces > 1;
    t->last_piece = piece + 1 == work.n_pieces;
    t->row_from = piece;
    t->row_to = piece + 1;
    t->counts.read = 1;
    t->budget_bytes = 100 + no % 50;
    t->already_applied = known;
    if (known || work.empty) return t;
    t->keys = arena_array(&t->arena, uint64_t, work.n_keys);
    t->targets = arena_array(&t->arena, TxnTarget, TARGETS);
    t->n_ops = 20 + no % 100; /* enough for appliers to take turns */
    t->ops = arena_array(&t->arena, RowOp, t->n_ops);
    for (size_t i = 0; i < t->n_ops; i++)
        t->ops[i].binding = &s->w->bindings[0];

    bool touched[TARGETS] = {work.exclusive[0], work.exclusive[1]};
    for (uint32_t i = 0; i < work.n_keys; i++) {
        t->keys[t->n_keys++] = (work.keys[i] + 1) * 0x9e3779b97f4a7c15u;
        touched[work.keys[i] % TARGETS] = true;
    }
    for (uint32_t i = 0; i < TARGETS; i++)
        if (touched[i]) t->targets[t->n_targets++] = (TxnTarget){&s->w->targets[i], work.exclusive[i]};
    return t;
}

static void nap(Random *r)
{
    if (random_chance(r, 30)) return;
    struct timespec t = {.tv_nsec = random_chance(r, 15) ? 1500000 : random_below(r, 100000)};
    nanosleep(&t, NULL);
}

static void *source_main(void *arg)
{
    Stream *s = arg;
    World *w = s->w;
    Random r = {w->c.seed + s->index * 17 + s->run};
    bool open = true;
    for (uint64_t no = s->from; open && no <= TXNS; no++) {
        Work work;
        work_of(w, s->index, no, 0, &work);
        for (uint32_t piece = 0; open && piece < work.n_pieces; piece++) {
            pthread_mutex_lock(&w->mutex);
            bool known = w->done[s->index][no][piece];
            pthread_mutex_unlock(&w->mutex);
            Txn *t = make(s, no, piece, known);
            open = budget_take(&w->budget, t->budget_bytes);
            if (open && !merge_deliver(w->m, t)) {
                budget_give(&w->budget, t->budget_bytes);
                open = false;
            }
            if (!open) txn_free(t);
        }
        if (random_chance(&r, 10)) nap(&r);
    }
    atomic_store(&s->ended, true);
    return NULL;
}

/* -- the appliers' protocol -- */

static void put_back(ApplierState *a, Txn *t)
{
    memmove(a->pending + 1, a->pending, a->n_pending++ * sizeof *a->pending);
    a->pending[0] = t;
}

static Txn *take(ApplierState *a, bool block)
{
    if (!a->n_pending) return merge_next(a->w->m, a->index, block);
    Txn *t = a->pending[0];
    memmove(a->pending, a->pending + 1, --a->n_pending * sizeof *a->pending);
    return t;
}

static void push(ApplierState *a, Txn *t)
{
    a->work[a->n_work++] = (Finished){.txn = t};
}

static bool gather(ApplierState *a)
{
    Merge *m = a->w->m;
    a->n_work = 0;
    Txn *t = take(a, true);
    if (!t) return false;
    if (!merge_may_start(m, t) && !merge_wait_start(m, t)) {
        put_back(a, t);
        return false;
    }
    push(a, t);
    while (a->n_work < 6 && !merge_is_wanted(m, a->index, t->order)) {
        t = take(a, false);
        if (!t) break;
        if (!merge_may_start(m, t)) {
            put_back(a, t);
            break;
        }
        push(a, t);
    }
    return true;
}

/* The batch begins: nobody else may hold what it writes. */
static void hold(ApplierState *a, const Finished *work, size_t n)
{
    World *w = a->w;
    for (size_t i = 0; i < n; i++) {
        const Txn *t = work[i].txn;
        Work x;
        if (work[i].dropped) continue;
        work_of(w, t->source, t->id.gtid.seq, (uint32_t)t->row_from, &x);
        w->in_hand[a->index] = MIN(w->in_hand[a->index], t->order);
        for (uint32_t k = 0; k < x.n_keys; k++) {
            int *holder = &w->holder[x.keys[k]], *whole = &w->exclusive_holder[x.keys[k] % TARGETS];
            if (*holder >= 0 && *holder != (int)a->index) wrong(w, "a key is in two hands", t);
            if (*whole >= 0 && *whole != (int)a->index) wrong(w, "a key of a table in another hand", t);
            *holder = (int)a->index;
            w->shared[x.keys[k] % TARGETS][a->index]++;
        }
        for (uint32_t g = 0; g < TARGETS; g++) {
            if (!x.exclusive[g]) continue;
            for (uint32_t o = 0; o < w->c.n_appliers; o++)
                if (o != a->index && w->shared[g][o]) wrong(w, "a whole table with a key in another hand", t);
            if (w->exclusive_holder[g] >= 0 && w->exclusive_holder[g] != (int)a->index)
                wrong(w, "a table is in two hands", t);
            w->exclusive_holder[g] = (int)a->index;
        }
    }
}

static void let_go(ApplierState *a)
{
    World *w = a->w;
    for (uint32_t k = 0; k < KEYS; k++)
        if (w->holder[k] == (int)a->index) w->holder[k] = -1;
    for (uint32_t g = 0; g < TARGETS; g++) {
        if (w->exclusive_holder[g] == (int)a->index) w->exclusive_holder[g] = -1;
        w->shared[g][a->index] = 0;
    }
    w->in_hand[a->index] = UINT64_MAX;
}

/* The oracle's commit: orders and numbers of what conflicts only grow. */
static void commit(World *w, const Txn *t)
{
    Work x;
    uint32_t piece = (uint32_t)t->row_from, s = t->source;
    uint64_t no = t->id.gtid.seq * PIECES + piece;
    work_of(w, s, t->id.gtid.seq, piece, &x);
    if (w->done[s][t->id.gtid.seq][piece]++) wrong(w, "done twice", t);
    w->committed++;
    for (uint32_t k = 0; k < x.n_keys; k++) {
        uint32_t key = x.keys[k], g = key % TARGETS;
        if (w->last_order[key] >= t->order) wrong(w, "a key out of order", t);
        if (w->last_exclusive[g] >= t->order) wrong(w, "a key before its table", t);
        if (w->last_no[key][s] >= no) wrong(w, "a key out of its source's order", t);
        if (w->last_exclusive_no[g][s] >= no) wrong(w, "a key before its table by its source's order", t);
        w->last_order[key] = t->order;
        w->last_any[g] = MAX(w->last_any[g], t->order);
        w->last_no[key][s] = no;
        w->last_any_no[g][s] = MAX(w->last_any_no[g][s], no);
    }
    for (uint32_t g = 0; g < TARGETS; g++) {
        if (!x.exclusive[g]) continue;
        if (w->last_any[g] >= t->order) wrong(w, "a table out of order", t);
        if (w->last_any_no[g][s] >= no) wrong(w, "a table out of its source's order", t);
        w->last_any[g] = w->last_exclusive[g] = t->order;
        w->last_any_no[g][s] = w->last_exclusive_no[g][s] = no;
    }
}

static void mark_stale(ApplierState *a, Finished *work, size_t n)
{
    for (size_t i = 0; i < n; i++)
        work[i].dropped = merge_is_stale(a->w->m, work[i].txn);
}

static void maybe_eject(ApplierState *a, Finished *work, size_t n)
{
    World *w = a->w;
    if (!random_chance(&a->rnd, 6)) return;
    uint32_t left = atomic_load(&w->ejects_left);
    if (!left || !atomic_compare_exchange_strong(&w->ejects_left, &left, left - 1)) return;
    uint32_t stream = work[random_below(&a->rnd, (uint32_t)n)].txn->source;
    merge_stream_close(w->m, stream);
    atomic_store(&w->streams[stream].closed, true);
    mark_stale(a, work, n);
}

/* One downstream transaction over these. */
static void run_some(ApplierState *a, Finished *work, size_t n)
{
    World *w = a->w;
    mark_stale(a, work, n);
    maybe_eject(a, work, n);
    pthread_mutex_lock(&w->mutex);
    hold(a, work, n);
    pthread_mutex_unlock(&w->mutex);
    nap(&a->rnd);
    pthread_mutex_lock(&w->mutex);
    for (size_t i = 0; i < n; i++) {
        w->dropped += work[i].dropped;
        if (work[i].dropped) continue;
        work[i].txn->counts.applied = 1;
        commit(w, work[i].txn);
    }
    let_go(a);
    pthread_mutex_unlock(&w->mutex);
    nap(&a->rnd);
    merge_finish(w->m, a->index, work, n);
}

/* Transaction by transaction, each when everything before it is done. */
static bool run_careful(ApplierState *a)
{
    World *w = a->w;
    for (size_t i = 0; i < a->n_work; i++) {
        uint64_t order = a->work[i].txn->order;
        if (!merge_wait_before(w->m, a->index, order)) {
            memmove(a->work, a->work + i, (a->n_work - i) * sizeof *a->work);
            a->n_work -= i;
            return false;
        }
        pthread_mutex_lock(&w->mutex);
        for (uint32_t o = 0; o < w->c.n_appliers; o++)
            if (o != a->index && w->in_hand[o] < order)
                wrong(w, "not everything before is done", a->work[i].txn);
        pthread_mutex_unlock(&w->mutex);
        run_some(a, &a->work[i], 1);
    }
    a->n_work = 0;
    return true;
}

static void *applier_main(void *arg)
{
    ApplierState *a = arg;
    bool careful_failed = false;
    while (!careful_failed && gather(a)) {
        bool expected = true;
        if (atomic_compare_exchange_strong(&a->w->failing, &expected, false)) break; /* gives up */
        if (random_chance(&a->rnd, 5)) {
            careful_failed = !run_careful(a);
        } else {
            run_some(a, a->work, a->n_work);
            a->n_work = 0;
        }
    }
    while (a->n_pending)
        push(a, take(a, false));
    for (size_t i = 0; i < a->n_work; i++)
        a->work[i].dropped = true;
    merge_finish(a->w->m, a->index, a->work, a->n_work);
    a->n_work = 0;
    return NULL;
}

static void *dispatcher_main(void *arg)
{
    merge_dispatch(arg);
    return NULL;
}

/* -- supervision -- */

static void open_stream(World *w, Stream *s, Random *r)
{
    Gtid last;
    s->from = gtidset_domain_last(s->floor.gtids, s->index, &last) ? last.seq + 1 : 1;
    s->pinned = random_chance(r, w->c.pinned);
    atomic_store(&s->ended, false);
    atomic_store(&s->closed, false);
    s->run = merge_stream_open(w->m, s->index, &s->floor, &s->counts, s->transactions, s->pinned);
    ck_assert_int_eq(pthread_create(&s->thread, NULL, source_main, s), 0);
    s->running = true;
}

static void read_floor(World *w, Stream *s)
{
    WindowView v;
    window_snapshot(merge_window(w->m, s->index), &v);
    point_done(&s->floor);
    s->floor = v.floor;
    s->counts = v.counts;
    s->transactions = v.transactions;
}

static bool at_end(World *w, Stream *s)
{
    WindowView v;
    Gtid last;
    window_snapshot(merge_window(w->m, s->index), &v);
    bool end = gtidset_domain_last(v.floor.gtids, s->index, &last) && last.seq == TXNS && v.open == 0 &&
               merge_stream_is_quiet(w->m, s->index, true);
    point_done(&v.floor);
    return end;
}

static void start(World *w, Random *r)
{
    MergeOpts o = {.n_streams = STREAMS,
                   .n_appliers = w->c.n_appliers,
                   .queue_items = w->c.queue_items,
                   .queue_bytes = 1000,
                   .window_slots = w->c.window_slots,
                   .budget = &w->budget};
    budget_init(&w->budget, 4000);
    w->m = merge_new(&o);
    memset(w->last_order, 0, sizeof w->last_order);
    memset(w->last_any, 0, sizeof w->last_any);
    memset(w->last_exclusive, 0, sizeof w->last_exclusive);
    ck_assert_int_eq(pthread_create(&w->dispatcher, NULL, dispatcher_main, w->m), 0);
    for (uint32_t i = 0; i < w->c.n_appliers; i++) {
        ApplierState *a = &w->appliers[i];
        *a = (ApplierState){.w = w, .index = i, .rnd = {random_next(r)}};
        w->in_hand[i] = UINT64_MAX;
        ck_assert_int_eq(pthread_create(&a->thread, NULL, applier_main, a), 0);
    }
    for (uint32_t i = 0; i < STREAMS; i++)
        open_stream(w, &w->streams[i], r);
}

static void stop(World *w)
{
    budget_close(&w->budget);
    merge_abort(w->m);
    for (uint32_t i = 0; i < STREAMS; i++) {
        if (w->streams[i].running) pthread_join(w->streams[i].thread, NULL);
        w->streams[i].running = false;
    }
    pthread_join(w->dispatcher, NULL);
    for (uint32_t i = 0; i < w->c.n_appliers; i++)
        pthread_join(w->appliers[i].thread, NULL);
    merge_collect(w->m);
    for (uint32_t i = 0; i < STREAMS; i++)
        read_floor(w, &w->streams[i]);
    merge_free(w->m);
    budget_done(&w->budget);
}

/* A closed stream that is quiet goes on from its floor. */
static void tend(World *w, Stream *s, Random *r)
{
    if (s->pinned && random_chance(r, 5)) {
        merge_stream_unpin(w->m, s->index);
        s->pinned = false;
    }
    if (!atomic_load(&s->closed) || !atomic_load(&s->ended) || !merge_stream_is_quiet(w->m, s->index, true))
        return;
    pthread_join(s->thread, NULL);
    read_floor(w, s);
    open_stream(w, s, r);
}

static bool is_wrong(World *w)
{
    pthread_mutex_lock(&w->mutex);
    bool is = w->wrong[0];
    pthread_mutex_unlock(&w->mutex);
    return is;
}

/* Until every floor is at the end (true), or the moment of a stop. */
static bool supervise(World *w, Random *r, uint64_t stop_at)
{
    int64_t patience = clock_mono_ms() + PATIENCE_MS;
    for (;;) {
        merge_collect(w->m);
        bool all = true;
        for (uint32_t i = 0; i < STREAMS; i++) {
            tend(w, &w->streams[i], r);
            all &= at_end(w, &w->streams[i]);
        }
        pthread_mutex_lock(&w->mutex);
        uint64_t committed = w->committed;
        pthread_mutex_unlock(&w->mutex);
        if (all || is_wrong(w)) return true;
        if (committed >= stop_at) return false;
        ck_assert_msg(clock_mono_ms() < patience, "stuck, seed %llu", (unsigned long long)w->c.seed);
        nanosleep(&(struct timespec){.tv_nsec = 500000}, NULL);
    }
}

static const Config configs[] = {
    {.seed = 1, .n_appliers = 3, .queue_items = 2, .window_slots = 16},
    {.seed = 2, .n_appliers = 4, .queue_items = 2, .window_slots = 8, .exclusive = 6},
    {.seed = 3,
     .n_appliers = 1,
     .queue_items = 2,
     .window_slots = 8,
     .exclusive = 6,
     .ejects = 10,
     .stops = 1},
    {.seed = 4, .n_appliers = 4, .queue_items = 2, .window_slots = 64, .ejects = 60},
    {.seed = 5, .n_appliers = 4, .queue_items = 8, .window_slots = 64, .exclusive = 4, .ejects = 60},
    {.seed = 6, .n_appliers = 4, .queue_items = 8, .window_slots = 64, .stops = 12},
    {.seed = 7,
     .n_appliers = 3,
     .queue_items = 8,
     .window_slots = 64,
     .exclusive = 3,
     .ejects = 20,
     .stops = 6},
    {.seed = 8,
     .n_appliers = 3,
     .queue_items = 4,
     .window_slots = 32,
     .exclusive = 2,
     .ejects = 8,
     .pinned = 60},
};

static void world_init(World *w, const Config *c)
{
    *w = (World){.c = *c, .ejects_left = c->ejects};
    pthread_mutex_init(&w->mutex, NULL);
    memset(w->holder, -1, sizeof w->holder);
    memset(w->exclusive_holder, -1, sizeof w->exclusive_holder);
    for (uint32_t i = 0; i < TARGETS; i++) {
        w->targets[i].id = i * 20; /* sparse ids */
        w->bindings[i].target = &w->targets[i];
    }
    for (uint32_t i = 0; i < STREAMS; i++) {
        w->streams[i].w = w;
        w->streams[i].index = i;
        w->streams[i].floor = (StreamPoint){.flavor = FLAVOR_MARIADB, .gtids = gtidset_new(FLAVOR_MARIADB)};
    }
}

static void check_end(World *w)
{
    for (uint32_t s = 0; s < STREAMS; s++) {
        uint64_t pieces = 0;
        for (uint64_t no = 1; no <= TXNS; no++) {
            Work x;
            work_of(w, s, no, 0, &x);
            pieces += x.n_pieces;
            for (uint32_t p = 0; p < x.n_pieces; p++) {
                work_of(w, s, no, p, &x);
                ck_assert_msg(w->done[s][no][p] == !x.empty,
                              "seed %llu: stream %u transaction %llu done %u times",
                              (unsigned long long)w->c.seed, s, (unsigned long long)no, w->done[s][no][p]);
            }
        }
        ck_assert_uint_eq(w->streams[s].transactions, TXNS);
        ck_assert_uint_eq(w->streams[s].counts.read, pieces);
        ck_assert_str_eq(w->streams[s].floor.file, "bin.000001");
        ck_assert_uint_eq(w->streams[s].floor.pos, TXNS * 100);
        point_done(&w->streams[s].floor);
    }
}

START_TEST(keeps_order_and_loses_nothing)
{
    World *w = mem_alloc(sizeof *w);
    world_init(w, &configs[_i]);
    Random r = {w->c.seed};
    uint64_t step = STREAMS * TXNS / (w->c.stops + 1);
    bool end = false;
    for (uint32_t round = 1; !end; round++) {
        start(w, &r);
        end = supervise(w, &r, round <= w->c.stops ? step * round : UINT64_MAX);
        if (end && !is_wrong(w)) ck_assert_uint_eq(budget_used(&w->budget), 0);
        if (!end && round % 2) { /* every other time an applier fails first */
            atomic_store(&w->failing, true);
            nanosleep(&(struct timespec){.tv_nsec = 3000000}, NULL);
        }
        stop(w);
        atomic_store(&w->failing, false);
        ck_assert_msg(!w->wrong[0], "seed %llu: %s", (unsigned long long)w->c.seed, w->wrong);
    }
    check_end(w);
    if (w->c.ejects) ck_assert_uint_gt(w->dropped, 0);
    pthread_mutex_destroy(&w->mutex);
    free(w);
}
END_TEST

/* -- the same by hand: three transactions, the third on keys of the first two, which two appliers have -- */

typedef struct Trio {
    World w;
    Txn *first, *second, *third; /* first in applier 0, the others in applier 1 */
    _Atomic bool finished;
} Trio;

static Txn *trio_txn(Trio *t, uint32_t stream, uint64_t no, const uint64_t *keys, size_t n)
{
    Txn *x = txn_new();
    x->budget_bytes = 10;
    ck_assert(budget_take(&t->w.budget, x->budget_bytes));
    x->source = stream;
    x->run = t->w.streams[stream].run;
    x->id = (TxnId){.has_gtid = true};
    x->id.gtid = (Gtid){.flavor = FLAVOR_MARIADB, .domain = stream, .server_id = 1, .seq = no};
    x->n_ops = 300; /* more than one applier gets in a row */
    x->ops = arena_array(&x->arena, RowOp, x->n_ops);
    x->keys = arena_array(&x->arena, uint64_t, n);
    memcpy(x->keys, keys, n * sizeof *keys);
    x->n_keys = n;
    return x;
}

/* third_stream: 0 is the stream of the others. */
static Trio *trio_new(uint32_t third_stream)
{
    Trio *t = mem_zalloc(sizeof *t);
    World *w = &t->w;
    Config c = {.n_appliers = 2};
    world_init(w, &c);
    budget_init(&w->budget, 1000);
    w->m = merge_new(&(MergeOpts){.n_streams = 2,
                                  .n_appliers = 2,
                                  .queue_items = 8,
                                  .queue_bytes = 1000,
                                  .window_slots = 8,
                                  .budget = &w->budget});
    ck_assert_int_eq(pthread_create(&w->dispatcher, NULL, dispatcher_main, w->m), 0);
    for (uint32_t i = 0; i < 2; i++)
        w->streams[i].run = merge_stream_open(w->m, i, &w->streams[i].floor, &(RowCounts){0}, 0, false);
    ck_assert(merge_deliver(w->m, trio_txn(t, 0, 1, (uint64_t[]){7}, 1)));
    ck_assert(merge_deliver(w->m, trio_txn(t, 0, 2, (uint64_t[]){8}, 1)));
    for (MergeStats s = {0}; s.queued < 2; merge_stats(w->m, &s))
        nanosleep(&(struct timespec){.tv_nsec = 100000}, NULL);
    ck_assert_ptr_nonnull(t->first = merge_next(w->m, 0, true));
    ck_assert(merge_deliver(w->m, trio_txn(t, third_stream, 3, (uint64_t[]){7, 8}, 2)));
    ck_assert_ptr_nonnull(t->second = merge_next(w->m, 1, true));
    ck_assert_ptr_nonnull(t->third = merge_next(w->m, 1, true));
    ck_assert_uint_eq(t->third->n_waits, 1);
    merge_finish(w->m, 1, &(Finished){.txn = t->second}, 1);
    return t;
}

static void trio_free(Trio *t)
{
    merge_abort(t->w.m);
    pthread_join(t->w.dispatcher, NULL);
    merge_free(t->w.m);
    for (uint32_t i = 0; i < STREAMS; i++)
        point_done(&t->w.streams[i].floor);
    budget_done(&t->w.budget);
    pthread_mutex_destroy(&t->w.mutex);
    free(t);
}

static void *finish_first(void *arg)
{
    Trio *t = arg;
    nanosleep(&(struct timespec){.tv_nsec = 30000000}, NULL);
    atomic_store(&t->finished, true);
    merge_finish(t->w.m, 0, &(Finished){.txn = t->first}, 1);
    return NULL;
}

/* A stale transaction is dropped in its turn: whoever waits for it waits for those before it through it. */
START_TEST(stale_ones_wait_for_their_turn)
{
    Trio *t = trio_new(1);
    pthread_t thread;
    merge_stream_close(t->w.m, 1);
    ck_assert(merge_is_stale(t->w.m, t->third));
    ck_assert(!merge_may_start(t->w.m, t->third));
    ck_assert_int_eq(pthread_create(&thread, NULL, finish_first, t), 0);
    ck_assert(merge_wait_start(t->w.m, t->third));
    ck_assert(atomic_load(&t->finished));
    merge_finish(t->w.m, 1, &(Finished){.txn = t->third, .dropped = true}, 1);
    pthread_join(thread, NULL);
    ck_assert(merge_stream_is_quiet(t->w.m, 0, true));
    ck_assert(merge_stream_is_quiet(t->w.m, 1, true));
    trio_free(t);
}
END_TEST

/* What an applier hands back because it stops was not done: nobody may go past it, now or after the abort. */
START_TEST(nothing_passes_what_is_given_up)
{
    Trio *t = trio_new(0);
    ck_assert(!merge_may_start(t->w.m, t->third));
    merge_finish(t->w.m, 0, &(Finished){.txn = t->first, .dropped = true}, 1);
    ck_assert(!merge_may_start(t->w.m, t->third));
    merge_abort(t->w.m);
    ck_assert(!merge_may_start(t->w.m, t->third));
    ck_assert(!merge_wait_start(t->w.m, t->third));
    ck_assert(!merge_wait_before(t->w.m, 1, t->third->order));
    merge_finish(t->w.m, 1, &(Finished){.txn = t->third, .dropped = true}, 1);
    ck_assert(merge_stream_is_quiet(t->w.m, 0, true));
    trio_free(t);
}
END_TEST

static Suite *merge_suite(void)
{
    Suite *s = suite_create("merge/merge");
    TCase *t = tcase_create("threads");
    tcase_set_timeout(t, 40);
    tcase_add_test(t, stale_ones_wait_for_their_turn);
    tcase_add_test(t, nothing_passes_what_is_given_up);
    tcase_add_loop_test(t, keeps_order_and_loses_nothing, 0, ARRAY_LEN(configs));
    suite_add_tcase(s, t);
    return s;
}
UNIT_MAIN(merge_suite)
