/* From the sources to the dispatcher: one bounded ring per stream, taken round robin, so that sources cannot
 * starve each other. Thread-safe. */
#ifndef SM_MERGE_INBOX_H
#define SM_MERGE_INBOX_H

#include <pthread.h>
#include "model/txn.h"

typedef struct InboxRing InboxRing;

typedef struct Inbox {
    pthread_mutex_t mutex;
    pthread_cond_t not_empty, not_full;
    InboxRing *rings; /* all below guarded by mutex */
    uint32_t n_streams, turn;
    size_t limit_items, limit_bytes;              /* per stream */
    bool (*has_room)(void *ctx, uint32_t stream); /* may this stream's next transaction be dispatched? */
    void *ctx;
    bool closed;
} Inbox;

void inbox_init(Inbox *in, uint32_t n_streams, size_t limit_items, size_t limit_bytes,
                bool (*has_room)(void *ctx, uint32_t stream), void *ctx);
void inbox_done(Inbox *in); /* frees what is left */
/* Blocks while the stream's ring is full. False when the stream or the inbox is closed: t stays the caller's.
 * Wake-up: inbox_pop, inbox_stream_close, inbox_close. */
NODISCARD bool inbox_push(Inbox *in, Txn *t);
/* The next transaction of any stream with room; blocks; NULL when the inbox is closed. Wake-up: inbox_push,
 * inbox_poke, inbox_close. */
Txn *inbox_pop(Inbox *in);
/* Something that has_room depends on has changed. */
void inbox_poke(Inbox *in);
/* Drops what is queued (freed through drop) and refuses pushes until inbox_stream_open. */
void inbox_stream_close(Inbox *in, uint32_t stream, void (*drop)(void *ctx, Txn *t), void *ctx);
/* gather: transactions are let out only in bunches (all that came until nothing new arrived for 200 ms, or
 * the ring is full): gives a key that one transaction claims the time to be freed by a later one of the same
 * source. */
void inbox_stream_open(Inbox *in, uint32_t stream, bool gather);
void inbox_stream_ungather(Inbox *in, uint32_t stream);
void inbox_close(Inbox *in);
size_t inbox_count(Inbox *in, uint32_t stream);

#endif
