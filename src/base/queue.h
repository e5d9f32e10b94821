/* Bounded queue between two stages: by items and by bytes, many producers, many consumers. A full queue is
 * backpressure. close = no more pushes, pops drain what is there; abort = pushes and pops fail at once. */
#ifndef SM_BASE_QUEUE_H
#define SM_BASE_QUEUE_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/attrs.h"

typedef struct QueueItem {
    void *ptr;
    size_t bytes;
} QueueItem;

typedef struct Queue {
    pthread_mutex_t mutex;
    pthread_cond_t not_full, not_empty;
    QueueItem *ring; /* all below guarded by mutex */
    size_t cap, head, count;
    size_t bytes, limit_bytes;
    bool closed, aborted;
} Queue;

void queue_init(Queue *q, size_t limit_items, size_t limit_bytes);
/* The items left are the caller's problem: take them with queue_pop_now first. */
void queue_done(Queue *q);
/* Blocks while full (one item larger than the byte limit passes when the queue is empty). False when closed
 * or aborted: the item stays the caller's. Wake-up: a pop, queue_close, queue_abort. */
NODISCARD bool queue_push(Queue *q, void *ptr, size_t bytes);
/* Blocks until an item is there; NULL when aborted, or closed and drained. Wake-up: a push, close, abort. */
void *queue_pop(Queue *q);
/* As queue_pop, waiting at most until the monotonic time deadline_ms (base/clock.h); NULL then as well. */
void *queue_pop_until(Queue *q, int64_t deadline_ms);
/* Never blocks; also works after abort, to free what is left. */
void *queue_pop_now(Queue *q);
void queue_close(Queue *q);
void queue_abort(Queue *q);
bool queue_is_done(Queue *q); /* aborted, or closed and empty */
size_t queue_count(Queue *q);

#endif
