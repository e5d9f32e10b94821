#include "merge/inbox.h"
#include <stdlib.h>
#include "base/check.h"
#include "base/clock.h"
#include "base/poison.h"

enum { GATHER_MS = 200 };

struct InboxRing {
    Txn **items;
    size_t head, count, bytes;
    bool open, gather, letting_out;
    int64_t last_push_ms;
};

void inbox_init(Inbox *in, uint32_t n_streams, size_t limit_items, size_t limit_bytes,
                bool (*has_room)(void *ctx, uint32_t stream), void *ctx)
{
    *in = (Inbox){.n_streams = n_streams,
                  .limit_items = limit_items,
                  .limit_bytes = limit_bytes,
                  .has_room = has_room,
                  .ctx = ctx};
    in->rings = mem_zalloc(n_streams * sizeof *in->rings);
    for (uint32_t i = 0; i < n_streams; i++)
        in->rings[i].items = mem_zalloc(limit_items * sizeof(Txn *));
    pthread_mutex_init(&in->mutex, NULL);
    clock_cond_init(&in->not_empty);
    clock_cond_init(&in->not_full);
}

static Txn *take(Inbox *in, InboxRing *r)
{
    Txn *t = r->items[r->head];
    r->head = (r->head + 1) % in->limit_items;
    r->count--;
    r->bytes -= t->budget_bytes;
    if (r->count == 0) r->letting_out = false;
    return t;
}

void inbox_done(Inbox *in)
{
    for (uint32_t i = 0; i < in->n_streams; i++) {
        InboxRing *r = &in->rings[i];
        while (r->count)
            txn_free(take(in, r));
        free(r->items);
    }
    free(in->rings);
    pthread_mutex_destroy(&in->mutex);
    pthread_cond_destroy(&in->not_empty);
    pthread_cond_destroy(&in->not_full);
}

static bool is_full(const Inbox *in, const InboxRing *r, size_t bytes)
{
    return r->count && (r->count >= in->limit_items || r->bytes + bytes > in->limit_bytes);
}

bool inbox_push(Inbox *in, Txn *t)
{
    CHECK(t->source < in->n_streams, "a transaction belongs to a stream");
    InboxRing *r = &in->rings[t->source];
    pthread_mutex_lock(&in->mutex);
    while (!in->closed && r->open && is_full(in, r, t->budget_bytes)) {
        r->letting_out = true; /* a full ring is let out, gathering or not */
        pthread_cond_signal(&in->not_empty);
        pthread_cond_wait(&in->not_full, &in->mutex);
    }
    bool open = !in->closed && r->open;
    if (open) {
        r->items[(r->head + r->count) % in->limit_items] = t;
        r->count++;
        r->bytes += t->budget_bytes;
        r->last_push_ms = clock_mono_ms();
        pthread_cond_signal(&in->not_empty);
    }
    pthread_mutex_unlock(&in->mutex);
    return open;
}

/* Is the ring ready? If it only waits for time to pass, *wake_ms gets the moment. */
static bool is_ready(Inbox *in, uint32_t stream, int64_t now_ms, int64_t *wake_ms)
{
    InboxRing *r = &in->rings[stream];
    if (r->count == 0) return false;
    if (r->gather && !r->letting_out) {
        int64_t ready_ms = r->last_push_ms + GATHER_MS;
        if (now_ms < ready_ms) {
            *wake_ms = MIN(*wake_ms, ready_ms);
            return false;
        }
        r->letting_out = true;
    }
    return in->has_room(in->ctx, stream);
}

Txn *inbox_pop(Inbox *in)
{
    pthread_mutex_lock(&in->mutex);
    Txn *t = NULL;
    while (!in->closed && !t) {
        int64_t now_ms = clock_mono_ms(), wake_ms = INT64_MAX;
        for (uint32_t i = 0; i < in->n_streams && !t; i++) {
            uint32_t stream = (in->turn + i) % in->n_streams;
            if (!is_ready(in, stream, now_ms, &wake_ms)) continue;
            t = take(in, &in->rings[stream]);
            in->turn = stream + 1;
        }
        if (t)
            pthread_cond_broadcast(&in->not_full);
        else if (wake_ms == INT64_MAX)
            pthread_cond_wait(&in->not_empty, &in->mutex);
        else
            (void)clock_cond_wait_until(&in->not_empty, &in->mutex, wake_ms);
    }
    pthread_mutex_unlock(&in->mutex);
    return t;
}

void inbox_poke(Inbox *in)
{
    pthread_mutex_lock(&in->mutex);
    pthread_cond_signal(&in->not_empty);
    pthread_mutex_unlock(&in->mutex);
}

void inbox_stream_close(Inbox *in, uint32_t stream, void (*drop)(void *ctx, Txn *t), void *ctx)
{
    pthread_mutex_lock(&in->mutex);
    InboxRing *r = &in->rings[stream];
    r->open = false;
    while (r->count)
        drop(ctx, take(in, r));
    pthread_cond_broadcast(&in->not_full);
    pthread_mutex_unlock(&in->mutex);
}

void inbox_stream_open(Inbox *in, uint32_t stream, bool gather)
{
    pthread_mutex_lock(&in->mutex);
    InboxRing *r = &in->rings[stream];
    CHECK(r->count == 0, "a stream opens empty");
    r->open = true;
    r->gather = gather;
    r->letting_out = false;
    pthread_mutex_unlock(&in->mutex);
}

void inbox_stream_ungather(Inbox *in, uint32_t stream)
{
    pthread_mutex_lock(&in->mutex);
    in->rings[stream].gather = false;
    pthread_cond_signal(&in->not_empty);
    pthread_mutex_unlock(&in->mutex);
}

void inbox_close(Inbox *in)
{
    pthread_mutex_lock(&in->mutex);
    in->closed = true;
    pthread_cond_broadcast(&in->not_empty);
    pthread_cond_broadcast(&in->not_full);
    pthread_mutex_unlock(&in->mutex);
}

size_t inbox_count(Inbox *in, uint32_t stream)
{
    pthread_mutex_lock(&in->mutex);
    size_t n = in->rings[stream].count;
    pthread_mutex_unlock(&in->mutex);
    return n;
}
