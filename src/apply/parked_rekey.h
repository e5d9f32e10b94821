/* What becomes of parked rows when their target's definition changes
 * (docs/adr/0037-parked-rows-follow-schema-changes.md). No row of the target is on the way meanwhile, and no
 * decision is made. */
#ifndef SM_APPLY_PARKED_REKEY_H
#define SM_APPLY_PARKED_REKEY_H

#include "apply/parked.h"
#include "track/schema_emit.h"

/* May the target change so, with the rows and decisions that stand beside it? Asked before anything is
 * changed. ERR_NOT_SUPPORTED, ERR_PARKED_DECISION: what cannot be followed, and what to do. Blocks. */
NODISCARD bool parked_may_change(Conn *c, const ParkedTarget *p, const EmitChange *change, Err *err);

typedef struct ParkedRekey {
    MetaTask meta;
    uint64_t epoch;
    ParkedTarget *parked; /* of the target as it will be: its columns, its keys */
} ParkedRekey;

/* A decision's own columns of its row become what they are now, but for keys: what stands there from before
 * must not keep a change back that every row fits. r->parked: of the target as it is. Nothing where the
 * tables are apart. ERR_APPLY_FENCED. Blocks. */
NODISCARD bool parked_refresh(Conn *c, const Dialect *d, const ParkedRekey *r, Err *err);

/* Every row takes the place that its rank gives it under the target's new keys: rows that share one that is
 * not unique in the target yet are parked but for one, parked rows whose keys are free come in. The tables
 * have their new columns. In transactions of some rows each; when it was interrupted it is simply done again.
 * *moved: parked more than before. ERR_DB_DUPLICATE_KEY: two rows of one shard table, or a row of nobody that
 * is known; ERR_APPLY_FENCED. Blocks as long as it takes. */
NODISCARD bool parked_rekey(Conn *c, const Dialect *d, const ParkedRekey *r, int64_t *moved, Err *err);

#endif
