/* A batch: the row operations of several transactions, put into as few statements as keep the meaning.
 *
 * Operations that share a key hash keep their order by getting rising levels; operations of one level have
 * disjoint keys, so they may be grouped by kind and column list. Changes of one row are folded into one where
 * a collision stays visible (design, promise 3): only for the same shard table, the same key bytes and keys
 * that do not change. Pure. */
#ifndef SM_APPLY_BATCH_H
#define SM_APPLY_BATCH_H

#include "model/txn.h"

typedef struct BatchOp {
    const RowOp *op; /* the first change of the row: binding and before image come from it */
    RowKind kind;    /* after folding */
    RowImage after;  /* INSERT, UPDATE: of the last change */
    uint32_t level;
    bool replaced; /* a DELETE and an INSERT of the same row, folded into an UPDATE */
} BatchOp;

typedef struct Batch {
    BatchOp *ops;
    size_t n_ops, cap;
    uint64_t n_changes;    /* row operations before folding */
    struct BatchKey *keys; /* hash table: key → last op that touched it */
    size_t keys_cap, keys_used;
    struct BatchTarget *targets;
    size_t n_targets, targets_cap;
} Batch;

void batch_clear(Batch *b);
void batch_done(Batch *b);
/* Adds the operations of t in their order; t outlives the batch's use. */
void batch_add(Batch *b, const Txn *t);
/* Sorts the operations into the order they shall be sent: by target, level, kind, shard's column list. Call
 * once. */
void batch_sort(Batch *b);
/* May the two stand in one statement? (same target, level, kind; the shape is the caller's) */
bool batch_same_group(const BatchOp *x, const BatchOp *y);

#endif
