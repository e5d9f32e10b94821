/* An applier: one thread and one downstream connection. Takes transactions in order, batches them, writes
 * rows and progress in one downstream transaction, and tells the merge when they are done.
 *
 * What fails as a batch is replayed transaction by transaction and row by row (careful.c), so that the row is
 * named and only its source stops. */
#ifndef SM_APPLY_APPLIER_H
#define SM_APPLY_APPLIER_H

#include "apply/meta.h"
#include "model/txn.h"

typedef struct ApplyOutcome {
    Txn *txn;
    bool dropped;
} ApplyOutcome;

/* Two rows claim one key: what is known of it, for naming both sides. Valid during the call. */
typedef struct ApplyCollision {
    const Binding *binding; /* of the row that came second */
    Str key_name;           /* of the target, "" when not found out */
    Str condition;          /* finds the row by that key: `a`=1 AND `b`='x' */
} ApplyCollision;

/* The merge, as an applier sees it (merge/merge.h). */
typedef struct ApplyHooks {
    void *ctx;
    Txn *(*next)(void *ctx, uint32_t applier, bool block);
    bool (*is_stale)(void *ctx, const Txn *t);
    bool (*may_start)(void *ctx, const Txn *t);
    bool (*wait_start)(void *ctx, const Txn *t);
    bool (*wait_before)(void *ctx, uint32_t applier, uint64_t order);
    bool (*is_wanted)(void *ctx, uint32_t applier, uint64_t order);
    void (*finish)(void *ctx, uint32_t applier, const ApplyOutcome *done, size_t n);
    /* A batch committed: its row in sm_applied (txns are still valid). Before finish. */
    void (*committed)(void *ctx, uint32_t applier, uint64_t commit_seq, const ApplyOutcome *done, size_t n);
    /* The source cannot go on because of t; closes its stream before returning. *err is moved from. collision
     * may be NULL. */
    void (*eject)(void *ctx, const Txn *t, Err *err, const ApplyCollision *collision);
    /* The whole task cannot go on. *err is moved from. */
    void (*fail)(void *ctx, Err *err);
} ApplyHooks;

typedef struct ApplierOpts {
    uint32_t index;
    SessionOpts session;
    MetaTask meta;
    uint64_t epoch, commit_seq;
    const Str *streams; /* source ids by index */
    size_t batch_rows;  /* rows a batch gathers; a source transaction is never cut */
    size_t batch_bytes;
    size_t statement_rows, statement_bytes;
    struct Remap *remap; /* new ids; shared by all appliers */
    bool record_missing; /* on-missing-row: record */
    unsigned retry_max_s;
    ApplyHooks hooks;
} ApplierOpts;

typedef struct Applier Applier;

typedef struct ApplierStats {
    uint64_t batches, transactions, rows, statements, careful, retries;
    bool connected;
} ApplierStats;

Applier *applier_new(const ApplierOpts *opts);
/* The thread's body: until next() yields NULL or the task fails. */
void applier_run(Applier *a);
/* Ends what the applier is blocked in on the network (a clean stop lets it finish instead). Any thread. */
void applier_interrupt(Applier *a);
void applier_stats(Applier *a, ApplierStats *out); /* any thread */
void applier_free(Applier *a);

#endif
