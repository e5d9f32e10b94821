/* The merge: orders transactions of all streams by the keys they write and gives each to one applier.
 *
 * Invariants, written once here:
 *  - Only the dispatcher thread gives orders and registers keys. Orders only grow; each applier gets its
 * transactions in order, finishes them in order, and committed[applier] is the last finished one.
 *  - A transaction whose keys are in flight in one applier goes to that applier. With keys in several, it
 * goes to one of them and carries the last such order of each other: it may start when those are committed.
 * Waits point to lower orders only, so the transaction with the lowest uncommitted order never waits, and
 * nothing deadlocks.
 *  - An applier never waits with an open downstream transaction.
 *  - A stream has a run number. Ejecting or pausing it raises the number; transactions of an older run are
 * dropped by whoever meets them, and their orders count as finished: but only in their turn, when what they
 * wait for is done, because a later transaction on the same key waits for the last one alone. The stream is
 * quiet when none is in flight.
 *  - What an applier hands back because it stops (dropped, and not stale) counts as done for nobody: it will
 * be read again, and nothing that comes after it may be committed before.
 */
#ifndef SM_MERGE_MERGE_H
#define SM_MERGE_MERGE_H

#include "base/budget.h"
#include "base/err.h"
#include "merge/window.h"
#include "model/txn.h"

typedef struct Merge Merge;

typedef struct MergeOpts {
    uint32_t n_streams, n_appliers;
    size_t queue_items;  /* per stream and per applier */
    size_t queue_bytes;  /* likewise */
    size_t window_slots; /* per stream */
    Budget *budget;      /* given back when a transaction is freed */
} MergeOpts;

Merge *merge_new(const MergeOpts *opts);
void merge_free(Merge *m); /* after all threads have ended */

/* -- sources -- */
/* Takes the transaction over; blocks while the stream's ring is full. False: stream closed; t stays the
 * caller's. */
NODISCARD bool merge_deliver(Merge *m, Txn *t);

/* -- dispatcher: runs until merge_abort -- */
void merge_dispatch(Merge *m);

/* -- appliers -- */
/* The next transaction of this applier; NULL when aborted, or (block false) when none is there. */
Txn *merge_next(Merge *m, uint32_t applier, bool block);
/* True when the transaction belongs to an older run of its stream: drop it, in its turn. */
bool merge_is_stale(const Merge *m, const Txn *t);
/* May the transaction start now? */
bool merge_may_start(const Merge *m, const Txn *t);
/* Blocks until it may, stale or not. False when aborted. Wake-up: merge_finish of another applier, abort. */
NODISCARD bool merge_wait_start(Merge *m, const Txn *t);
/* Blocks until everything with a lower order in other appliers is finished. False when aborted. */
NODISCARD bool merge_wait_before(Merge *m, uint32_t applier, uint64_t order);
/* Does anybody wait for an order of this applier up to `order`? Then a batch is better closed now. */
bool merge_is_wanted(const Merge *m, uint32_t applier, uint64_t order);
typedef struct Finished {
    Txn *txn;     /* freed by merge_finish */
    bool dropped; /* not applied: stale, or its source was ejected because of it */
} Finished;
/* These, the next in this applier's order, are done (outcome in txn->counts), or given up: then whatever
 * waits for them waits until the abort. That applier's thread only. */
void merge_finish(Merge *m, uint32_t applier, const Finished *done, size_t n);

/* -- supervision -- */
/* Opens a stream at its floor for a new run; the stream must be quiet. Returns the run number for its
 * transactions. pinned: all its transactions go to one applier, in bunches (a source on its second try after
 * a collision). */
uint32_t merge_stream_open(Merge *m, uint32_t stream, const StreamPoint *floor, const RowCounts *counts,
                           uint64_t transactions, bool pinned);
/* No more of this stream: queued transactions are dropped, those in flight are dropped when met. Any thread,
 * at once. */
void merge_stream_close(Merge *m, uint32_t stream);
/* Is none of the stream in flight? with_inbox: nor delivered and waiting. Never blocks. */
bool merge_stream_is_quiet(Merge *m, uint32_t stream, bool with_inbox);
/* The stream goes on like any other: spread over the appliers, without gathering. */
void merge_stream_unpin(Merge *m, uint32_t stream);
Window *merge_window(Merge *m, uint32_t stream);
/* Moves the floors' prefixes on; true when any moved. Coordinator. */
bool merge_collect(Merge *m);
/* Stops everything: nothing more is dispatched, blocked calls return. Any thread. */
void merge_abort(Merge *m);

typedef struct MergeStats {
    uint64_t dispatched, waits, exclusive;
    size_t queued; /* in appliers' queues now */
} MergeStats;
void merge_stats(Merge *m, MergeStats *out);

#endif
