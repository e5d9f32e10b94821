#include "base/queue.h"
#include <stdlib.h>
#include "base/clock.h"
#include "base/check.h"
#include "base/str.h"
#include "base/poison.h"

void queue_init(Queue *q, size_t limit_items, size_t limit_bytes)
{
    CHECK(limit_items > 0, "a queue holds at least one item");
    *q = (Queue){.cap = limit_items, .limit_bytes = limit_bytes};
    q->ring = mem_zalloc(limit_items * sizeof *q->ring);
    pthread_mutex_init(&q->mutex, NULL);
    clock_cond_init(&q->not_full);
    clock_cond_init(&q->not_empty);
}

void queue_done(Queue *q)
{
    free(q->ring);
    pthread_mutex_destroy(&q->mutex);
    pthread_cond_destroy(&q->not_full);
    pthread_cond_destroy(&q->not_empty);
}

static bool has_room(const Queue *q, size_t bytes)
{
    if (q->count == 0) return true;
    return q->count < q->cap && q->bytes + bytes <= q->limit_bytes;
}

bool queue_push(Queue *q, void *ptr, size_t bytes)
{
    pthread_mutex_lock(&q->mutex);
    while (!q->closed && !q->aborted && !has_room(q, bytes))
        pthread_cond_wait(&q->not_full, &q->mutex);
    bool open = !q->closed && !q->aborted;
    if (open) {
        q->ring[(q->head + q->count) % q->cap] = (QueueItem){ptr, bytes};
        q->count++;
        q->bytes += bytes;
        pthread_cond_signal(&q->not_empty);
    }
    pthread_mutex_unlock(&q->mutex);
    return open;
}

static void *take(Queue *q)
{
    if (q->count == 0) return NULL;
    QueueItem item = q->ring[q->head];
    q->head = (q->head + 1) % q->cap;
    q->count--;
    q->bytes -= item.bytes;
    /* Room by bytes may serve several waiters. */
    pthread_cond_broadcast(&q->not_full);
    return item.ptr;
}

void *queue_pop(Queue *q)
{
    return queue_pop_until(q, INT64_MAX);
}

void *queue_pop_until(Queue *q, int64_t deadline_ms)
{
    pthread_mutex_lock(&q->mutex);
    bool waited_out = false;
    while (q->count == 0 && !q->closed && !q->aborted && !waited_out) {
        if (deadline_ms == INT64_MAX)
            pthread_cond_wait(&q->not_empty, &q->mutex);
        else
            waited_out = !clock_cond_wait_until(&q->not_empty, &q->mutex, deadline_ms);
    }
    void *p = q->aborted ? NULL : take(q);
    pthread_mutex_unlock(&q->mutex);
    return p;
}

void *queue_pop_now(Queue *q)
{
    pthread_mutex_lock(&q->mutex);
    void *p = take(q);
    pthread_mutex_unlock(&q->mutex);
    return p;
}

static void end(Queue *q, bool abort)
{
    pthread_mutex_lock(&q->mutex);
    if (abort)
        q->aborted = true;
    else
        q->closed = true;
    pthread_cond_broadcast(&q->not_full);
    pthread_cond_broadcast(&q->not_empty);
    pthread_mutex_unlock(&q->mutex);
}

void queue_close(Queue *q)
{
    end(q, false);
}
void queue_abort(Queue *q)
{
    end(q, true);
}

bool queue_is_done(Queue *q)
{
    pthread_mutex_lock(&q->mutex);
    bool done = q->aborted || (q->closed && q->count == 0);
    pthread_mutex_unlock(&q->mutex);
    return done;
}

size_t queue_count(Queue *q)
{
    pthread_mutex_lock(&q->mutex);
    size_t n = q->count;
    pthread_mutex_unlock(&q->mutex);
    return n;
}
