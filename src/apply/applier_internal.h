/* Shared between applier.c (batches) and careful.c (row by row). Applier thread only, but for stats and
 * cancel. */
#ifndef SM_APPLY_APPLIER_INTERNAL_H
#define SM_APPLY_APPLIER_INTERNAL_H

#include <stdatomic.h>
#include "apply/applier.h"
#include "apply/batch.h"
#include "apply/rowsql.h"
#include "base/clock.h"

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
    Batch batch;
    SqlStatement statement, lock;
    StrBuf text;
    StrBuf missed;            /* statements that record missed rows of the attempt under way */
    int64_t trouble_since_ms; /* first of a row of retryable errors; 0 = none */
    bool failed;
    bool began; /* the attempt under way has passed its fence: what fails now is about its rows */
    _Atomic uint64_t n_batches, n_transactions, n_rows, n_statements, n_careful, n_retries;
    _Atomic bool connected;
};

/* A statement of replicated rows: an error, a warning or another row count than expected (ERR_APPLY_MISSED)
 * fails. */
NODISCARD bool applier_exec_rows(Applier *a, Str sql, uint64_t expected, Err *err);
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

/* Replays what is in work[] one transaction at a time. False: the task fails. */
NODISCARD bool careful_run(Applier *a);

#endif
