/* The window of one stream: its transactions in the order they were read, from the floor on, each done or
 * not. The floor is the last point below which everything is done; only this module moves it.
 *
 * Thread-safe by its own mutex: the dispatcher opens slots, appliers close them, the coordinator collects. */
#ifndef SM_MERGE_WINDOW_H
#define SM_MERGE_WINDOW_H

#include <pthread.h>
#include "model/txn.h"

typedef struct WindowSlot WindowSlot;

typedef struct Window {
    pthread_mutex_t mutex;
    WindowSlot *ring; /* all below guarded by mutex */
    size_t cap, limit;
    uint64_t first, next; /* slot numbers: [first, next) are open or not yet collected */
    StreamPoint floor;
    RowCounts counts;         /* exactly what the floor covers, since the task began */
    uint64_t transactions;    /* likewise */
    uint64_t split;           /* transactions applied in pieces */
    uint32_t floor_timestamp; /* of the last transaction under the floor */
} Window;

void window_init(Window *w, size_t limit_slots);
void window_done(Window *w);
/* A new run of the stream from `floor` on; all slots are forgotten. The counters are set, not added. */
void window_reset(Window *w, const StreamPoint *floor, const RowCounts *counts, uint64_t transactions);
/* May a transaction be opened within the bound? The dispatcher passes a stream without room by. */
bool window_has_room(Window *w);
bool window_is_half_full(Window *w);
/* The next slot for a transaction. Dispatcher. */
uint64_t window_open(Window *w, const Txn *t);
/* The transaction of this slot is done, with this outcome. Any thread. */
void window_finish(Window *w, uint64_t slot, const RowCounts *counts);
/* Moves the floor over everything done. True when it moved. Coordinator. */
bool window_collect(Window *w);
/* What the floor says, taken in one moment; the caller calls point_done(&out->floor). Any thread. */
typedef struct WindowView {
    StreamPoint floor;
    RowCounts counts;
    uint64_t transactions, split;
    uint64_t open;  /* slots not under the floor */
    uint64_t first; /* every slot below is under the floor */
    uint32_t floor_timestamp;
} WindowView;
void window_snapshot(Window *w, WindowView *out);

#endif
