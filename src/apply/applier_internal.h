/* Shared between applier.c (batches) and careful.c (row by row). Applier thread only, but for stats and
 * cancel. */
#ifndef SM_APPLY_APPLIER_INTERNAL_H
#define SM_APPLY_APPLIER_INTERNAL_H

#include <stdatomic.h>
#include "apply/applier.h"
#include "apply/batch.h"
#include "apply/parked.h"
#include "apply/rowbulk.h"
#include "apply/rowsql.h"
#include "base/clock.h"
#include "db/bulk.h"

/* How many rows more are parked by the attempt under way. */
typedef struct ParkedChange {
    ParkedTarget *target;
    int64_t rows;
} ParkedChange;

/* A prepared INSERT of the connection. */
typedef struct BulkStatement {
    char *sql; /* heap; NULL: free */
    Bulk *bulk;
    uint64_t used; /* Applier.bulk_clock of the last use */
} BulkStatement;
enum { BULK_STATEMENTS = 16 };

struct Applier {
    ApplierOpts opts;
    ConnCancel *cancel;
    Waker waker; /* ends a backoff */
    Conn *conn;  /* NULL: not connected */
    Dialect dialect;
    uint64_t commit_seq; /* of the last commit known */
    Txn **pending;       /* taken from the queue, not started; FIFO */
    size_t n_pending, pending_cap;
    ApplyOutcome *work; /* the batch in hand, in order */
    size_t n_work, work_cap;
    Txn **mapping; /* those whose rows need new ids */
    size_t mapping_cap;
    Batch batch;
    SqlStatement statement, lock;
    BulkStatement bulks[BULK_STATEMENTS];
    uint64_t bulk_clock;
    RowBulk plan;
    StrBuf command;    /* of a bulk INSERT */
    bool bulk_offered; /* by this connection's server */
    bool bulk_refused; /* once it refused what the same rows as text did not meet: not used any more */
    bool text_only;    /* the batch in hand is tried again without */
    bool bulk_used;    /* by the attempt under way */
    StrBuf text;
    StrBuf missed; /* statements that record missed rows of the attempt under way */
    ParkedChange *parked;
    size_t n_parked;
    int64_t trouble_since_ms; /* first of a row of retryable errors; 0 = none */
    bool failed;
    bool began; /* the attempt under way has passed its fence: what fails now is about its rows */
    _Atomic uint64_t n_batches, n_transactions, n_rows, n_statements, n_careful, n_retries;
    _Atomic bool connected;
};

/* A statement of replicated rows: an error, a warning or another row count than expected (ERR_APPLY_MISSED)
 * fails. */
NODISCARD bool applier_exec_rows(Applier *a, Str sql, uint64_t expected, Err *err);
/* ERR_APPLY_TOO_LARGE: more than the server takes as one statement; it would cut the connection, which looks
 * like a passing loss. */
NODISCARD bool applier_fits_packet(const Applier *a, size_t bytes, Err *err);
/* What a statement of `expected` rows has come to: warnings and counts as for applier_exec_rows. */
NODISCARD bool applier_check_rows(Applier *a, uint64_t expected, uint64_t affected, unsigned warnings,
                                  Err *err);
/* The same of any connection's statement. */
NODISCARD bool applier_check_answer(Conn *c, uint64_t expected, uint64_t affected, unsigned warnings,
                                    Err *err);
/* Gives the rows of these the new ids that they need, before the transaction that writes them. */
NODISCARD bool applier_map_ids(Applier *a, const ApplyOutcome *work, size_t n, Err *err);
/* Connects when needed and opens the fenced transaction. */
NODISCARD bool applier_begin(Applier *a, Err *err);
/* Writes the applied row for these and commits. On success commit_seq has moved. */
NODISCARD bool applier_commit(Applier *a, const ApplyOutcome *work, size_t n, Err *err);
/* After a failed attempt: rolls back, reconnects if needed and finds out whether the commit happened.
 * APPLY_COMMITTED: it did, all is well. APPLY_AGAIN: retry (the backoff has been waited). APPLY_REFUSED: *err
 * stands, not a passing error. APPLY_FAILED: the task fails (told already). */
typedef enum ApplyVerdict { APPLY_COMMITTED, APPLY_AGAIN, APPLY_REFUSED, APPLY_FAILED } ApplyVerdict;
ApplyVerdict applier_after_error(Applier *a, Err *err);

/* Work is taken from the front of the queue, through pending[]. */
Txn *applier_take_next(Applier *a, bool block);
void applier_put_back(Applier *a, Txn *t); /* to the front */
void applier_push_work(Applier *a, Txn *t);

/* parked.c: one operation on a target whose losers are parked, inside the open transaction. *parked: its row
 * stands beside the target now. ERR_APPLY_MISSED: no such row; ERR_DB_DUPLICATE_KEY: a collision that is not
 * settled by rank (two rows of one shard table, a row of nobody known). */
NODISCARD bool parked_apply(Applier *a, const RowOp *op, bool *parked, Err *err);
/* Behind the batch's last statement: does a parked row wait for a key that it frees? Then ERR_APPLY_MISSED,
 * and the batch is replayed row by row. */
NODISCARD bool parked_check_batch(Applier *a, Err *err);
void parked_committed(Applier *a);

/* -- insert.c -- */
/* Inserts of one target: bulk commands where the server offers them and the rows have such a form, else
 * text. */
NODISCARD bool insert_run(Applier *a, const BatchOp *ops, size_t n, Err *err);
/* Closes the prepared statements; before the connection is. */
void insert_forget(Applier *a);
void insert_done(Applier *a);

/* Replays what is in work[] one transaction at a time. False: the task fails. */
NODISCARD bool careful_run(Applier *a);

#endif
