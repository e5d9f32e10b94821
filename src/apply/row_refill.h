/* Sets columns of a target's rows that meet a condition to given values, in bounded transactions, in the
 * order of a key, each of them fenced. The values do not depend on the rows and the condition not on what is
 * set, so that another run over all of them does no harm where a killed one was. The caller makes sure that
 * nobody writes such a row meanwhile, nor between two runs of which the second goes on from the first's
 * place.
 */
#ifndef SM_APPLY_ROW_REFILL_H
#define SM_APPLY_ROW_REFILL_H

#include "apply/meta.h"
#include "base/clock.h"

/* How a value that was read is written as a literal. */
typedef enum RowLiteral { ROW_LITERAL_NUMBER, ROW_LITERAL_TEXT, ROW_LITERAL_BYTES } RowLiteral;

/* A column of the key to go by, whose values can be compared as literals. */
typedef struct RowRefillKey {
    Str column; /* `a` */
    RowLiteral literal;
} RowRefillKey;

typedef struct RowRefillJob {
    MetaTask meta;
    uint64_t epoch;
    SessionOpts session;      /* session.conn.cancel ends what is waited for */
    Str table;                /* `schema`.`table` */
    Str where;                /* the condition, for that table alone */
    Str set;                  /* "`c` = 1,`t` = `t`": the columns of the key are not among them */
    const RowRefillKey *keys; /* of a unique key without NULLs, in its order */
    uint32_t n_keys;          /* 0: all rows go in one transaction */
    uint64_t batch_rows;
    Waker *wake; /* sleeps between batches, as long as a batch took; waking it ends the run */
} RowRefillJob;

/* A row's place in the order of the key: literals, one per column; heap. Zeroed: before the first row. */
typedef struct RowRefillPlace {
    Str *values;
    uint32_t n;
} RowRefillPlace;

void row_refill_place_done(RowRefillPlace *p);

/* Begins behind *at, and leaves there the last row of the last batch whose commit is known: after an error
 * another run of the same job (table, condition, values, keys) goes on from it. *rows: that were looked at
 * and set by this run, also on error. ERR_CANCELLED, ERR_APPLY_FENCED, ERR_DB_*. Blocks; a thread of its own.
 */
NODISCARD bool row_refill_run(const RowRefillJob *j, RowRefillPlace *at, uint64_t *rows, Err *err);

#endif
