/* Deletes the rows of a target that meet a condition, in bounded transactions, in the order of a key, each of
 * them fenced: a process that was taken over deletes nothing more. What was deleted is deleted, so that
 * another run goes on where a killed one was. The caller makes sure that nobody writes such a row meanwhile.
 */
#ifndef SM_APPLY_ROW_DELETE_H
#define SM_APPLY_ROW_DELETE_H

#include "apply/meta.h"
#include "base/clock.h"

typedef struct RowDeleteJob {
    MetaTask meta;
    uint64_t epoch;
    SessionOpts session; /* session.conn.cancel ends what is waited for */
    Str table;           /* `schema`.`table` */
    Str where;           /* the condition, for that table alone */
    Str order;           /* "`a`,`b`": columns of a key; empty: no order */
    Str first;           /* "`a`" of order when its values can be compared as text literals; else empty */
    uint64_t batch_rows;
    Waker *wake; /* sleeps between batches, as long as a batch took; waking it ends the run */
} RowDeleteJob;

/* *deleted: rows, also on error. ERR_CANCELLED, ERR_APPLY_FENCED, ERR_DB_*. Blocks; a thread of its own. */
NODISCARD bool row_delete_run(const RowDeleteJob *j, uint64_t *deleted, Err *err);

#endif
