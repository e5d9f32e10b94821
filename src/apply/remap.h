/* New ids: the key strategy remap. Each target whose ids are new has a map in the meta schema, a table of
 * (shard table, old id) → new id, unique both ways; sm_remap names it and holds the next new id,
 * sm_remap_member numbers the shard tables.
 *
 *   Txn ──wanted ids──► cache ──miss──► SELECT ──miss──► allocation ──► the images' ids ──► rows
 *
 * An entry is made when its old id is seen for the first time, by the row or by a reference to it, whichever
 * comes first. It is committed before the transaction that needs it begins, and never changed or removed. So:
 *  - a row never stands in a target without its entry; a transaction that is given up or repeated finds the
 *    entries that it made;
 *  - what was read of a map stays true, in any applier and after any error: it is kept without a lock on it;
 *  - a DELETE and an INSERT of the same id give the same new id.
 *
 * An allocation is one transaction: the map's row in sm_remap is locked, what others have made meanwhile is
 * read, the rest gets the next numbers, which the same transaction moves on. A number is therefore given
 * once, whoever is killed when, and two processes of one task (an old one that does not know that it was
 * replaced) cannot disagree; the epoch in that row tells the old one. A map starts above the ids that the
 * target holds when it is made. */
#ifndef SM_APPLY_REMAP_H
#define SM_APPLY_REMAP_H

#include "apply/meta.h"
#include "model/txn.h"

typedef struct Remap Remap; /* of a task's run; any thread */

Remap *remap_new(const MetaTask *m, uint64_t epoch); /* the task's strings outlive it */
void remap_free(Remap *r);                           /* NULL allowed */

/* Gives the images of these transactions (of one applier) the new ids of their mapped columns; those that
 * have them already are passed over. c: outside of a transaction; blocks. ERR_APPLY_FENCED, ERR_KEY_RANGE: no
 * number is left; else the connection's errors: call it again then. */
NODISCARD bool remap_resolve(Remap *r, Conn *c, const Dialect *d, Txn *const *txns, size_t n, Err *err);

/* The next new id of a target, whoever runs; 0 where it has no map. */
NODISCARD bool remap_next_id(Conn *c, const MetaTask *m, TableName target, uint64_t *next, Err *err);

#endif
