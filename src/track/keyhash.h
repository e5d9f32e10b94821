/* Write-set hashes of a row: every unique key of the target row, before and after, and the shard's own key.
 * Too coarse only costs parallelism; too fine would lose order: a key part whose collation has no proven
 * folding makes the row exclusive on its target. Pure; hot path. */
#ifndef SM_TRACK_KEYHASH_H
#define SM_TRACK_KEYHASH_H

#include "model/txn.h"

/* Appends the hashes of one row op to a growing array (arena-owned by the transaction). */
typedef struct KeySink {
    Arena *arena;
    uint64_t *keys;
    size_t n, cap;
} KeySink;

/* Fills op->exclusive, keys_at, n_keys, row_hash_before/after, keys_unchanged. before/after: the op's fields
 * for ALL map columns (NULL when it has no such image). A key with a NULL part adds nothing (NULLs never
 * collide). A key whose columns are not all present in a partial image: a part that the after image lacks is
 * unchanged and taken from the before image. A key that cannot be hashed makes the row exclusive, unless it
 * is not the row key and the UPDATE keeps all its bytes: then it adds nothing (the op neither frees nor
 * claims it). An exclusive row has no keys and row hashes 0. row_hash_before is 0 for an INSERT,
 * row_hash_after for a DELETE; a hash that stands for a key is never 0. Equal row hashes do NOT prove equal
 * keys (folds are coarse): they order rows; whoever folds two changes into one must compare the key values
 * themselves. */
void keyhash_row(RowOp *op, const Field *before, const Field *after, KeySink *sink);

#endif
