/* Changes of a target's definition that survive a crash of anybody. Every statement has a row in the journal
 * sm_ddl of the meta schema, with the target's fingerprint before and after it:
 *
 *   planned → intent → (the statement runs) → done      failed: the server refused it, which the next
 *                                                       run tries again
 *                                                       skipped: an operator took the target as it is
 *
 * A statement runs in a session of its own that holds a named lock. When its client dies, the server may go
 * on with it for hours while the table still looks like before; the lock is held as long. A later run takes
 * the lock first, then reads epoch and journal in that session, compares the live table with both
 * fingerprints, and only then sends anything:
 *
 *   live table is     before            run it
 *                     after             it is done
 *                     both at once      not sent yet, or repeatable: run it; else an operator decides
 *                     neither           an operator decides (ERR_DDL_DIFFERS, with the difference in words)
 *
 * "Already exists" and the like are no success by their number: only an equal definition is.
 *
 * TiDB: GET_LOCK alone does not prove that no DDL job runs: the statement's marker comment is looked for in
 * information_schema.DDL_JOBS. Unproven on a real TiDB. The lock is one server's: behind several nodes that
 * take writes at once (Galera) it guards only those who come to the same node. */
#ifndef SM_APPLY_TARGET_DDL_H
#define SM_APPLY_TARGET_DDL_H

#include "apply/meta.h"
#include "base/clock.h"
#include "track/schema_emit.h"

typedef enum TargetDdlPhase {
    TARGET_DDL_CONNECTING,
    TARGET_DDL_WAITING_LOCK, /* a statement of an earlier session, perhaps of a killed process, still runs */
    TARGET_DDL_WAITING_JOB,  /* TiDB: its job still runs */
    TARGET_DDL_RUNNING,
    TARGET_DDL_RETRYING, /* an error in passing: looked at again after a pause */
    TARGET_DDL_FINISHED,
} TargetDdlPhase;

typedef struct TargetDdlProgress {
    TargetDdlPhase phase;
    uint32_t done, steps; /* statements; steps 0: not known yet */
    Str statement;        /* RUNNING, WAITING_*: the one at hand; a view for the call */
    uint64_t connection;  /* RUNNING: its connection id; WAITING_LOCK: the lock's holder, 0: not known */
    int percent;          /* RUNNING: of the statement, as the server tells; -1: it does not */
    const Err *why;       /* RETRYING: what failed; for the call */
} TargetDdlProgress;

/* A step that is no statement: rows are moved, by TargetDdlJob.settle. Repeatable. */
#define TARGET_DDL_SETTLE "DO /* parked rows take their places under the new keys */ 0"

/* Another table that the plan changes too. */
typedef struct TargetDdlBeside {
    TableName name;
    const TableSchema *before;
} TargetDdlBeside;

typedef struct TargetDdlJob {
    MetaTask meta;
    uint64_t epoch;
    SessionOpts
        session;  /* session.conn.cancel ends whatever is waited for; time-outs of reading are not used */
    uint64_t job; /* of the target, in 32 bits; rises; the same after a restart */
    TableName target;
    const TableSchema *before; /* what the plan starts from; NULL: there is no table */
    const EmitPlan *plan;
    const TargetDdlBeside *beside;
    uint32_t n_beside;
    /* Does what TARGET_DDL_SETTLE stands for, in transactions of its own, which compare the epoch; the lock
     * is held meanwhile. Repeated until it returns true. NULL: the plan has no such step. */
    bool (*settle)(void *ctx, Conn *c, const Dialect *d, Err *err);
    void *settle_ctx;
    bool by_number; /* the job's number says what it leads to: a plan that sets out in the middle of the
                       journal's is not compared */
    /* Sleeps between tries; waking it ends the run (fire the cancel too). NULL: an error in passing is
     * returned instead of tried again. */
    Waker *wake;
    unsigned watch_ms; /* how often a running statement is looked at; 0: every two seconds */
    void (*progress)(void *ctx, const TargetDdlProgress *p); /* may be NULL; any thread, must not block */
    void *ctx;
} TargetDdlJob;

/* Brings all statements of the job to done, each once. Blocks as long as they take: hours. The caller has
 * drained and committed every transaction that writes to the target. Any thread that may use connections.
 *
 * A job that the journal knows goes on from there: its rows are the plan, and j->plan need only lead to the
 * same end (so it may be made anew from the live table). A row is written under the task row's lock after the
 * epoch was compared: ERR_APPLY_FENCED from a process that has been taken over; what it had sent is recorded
 * by its successor.
 *
 * ERR_CANCELLED: what was sent goes on in the server; the next run waits for it. ERR_DDL_DIFFERS,
 * ERR_DDL_REFUSED: operator, with the choices in the remedy; another run tries again. ERR_DDL_JOURNAL: the
 * journal's plan for this job leads elsewhere. Else ERR_DB_*, ERR_APPLY_META. */
NODISCARD bool target_ddl_run(const TargetDdlJob *j, Err *err);

/* The operator's "leave it as it is": what of the job is not done becomes skipped, and later runs of it do
 * nothing. The caller must read the target anew. Takes the named lock first, waiting up to wait_s seconds for
 * a statement that still runs: ERR_DB_RETRY. ERR_APPLY_FENCED. *n: statements skipped. */
typedef struct TargetDdlSkip {
    MetaTask meta;
    uint64_t epoch, job;
    TableName target;
    unsigned wait_s;
} TargetDdlSkip;
NODISCARD bool target_ddl_skip(Conn *c, const Dialect *d, const TargetDdlSkip *s, uint32_t *n, Err *err);

typedef struct TargetDdlRow {
    uint64_t job; /* of the task: the target's number, and above 32 bits its place in the journal */
    uint32_t n;   /* from 0 */
    TableName target;
    Str statement, state, error; /* state as above; error: empty or the last refusal */
    bool repeatable;
    Str before, after;           /* fingerprints; ptr NULL: no table */
    uint32_t attempts;           /* times that it was about to be sent */
    uint64_t epoch;              /* of the process that wrote the row last */
    Str planned, started, ended; /* UTC; empty: not yet */
} TargetDdlRow;

/* The journal, newest first, at most limit rows (0: all); in the arena. Empty where the meta schema is not
 * there yet. Any downstream connection. */
NODISCARD bool target_ddl_history(Conn *c, const MetaTask *m, size_t limit, Arena *arena, TargetDdlRow **out,
                                  size_t *n, Err *err);

/* What leads from one fingerprint to the other, in words. Pure. */
void target_ddl_change(Str before, Str after, StrBuf *out);

typedef struct TargetDdlAsked {
    MetaTask meta;
    TableName target;
    uint64_t job;
    uint64_t left; /* the first job since the target was known that did not go on; 0: none */
} TargetDdlAsked;
typedef struct TargetDdlStand {
    bool begun;       /* the journal knows the job */
    bool left;        /* the last other job since then did not run all of its statements */
    bool left_midway; /* one of those since the last that ran wholly ran some of them */
} TargetDdlStand;
NODISCARD bool target_ddl_stands(Conn *c, const TargetDdlAsked *a, TargetDdlStand *out, Err *err);

typedef struct TargetDdlPending {
    uint64_t job; /* as of a row */
    TableName target;
} TargetDdlPending;
/* Jobs that are not finished, oldest first: a start runs them before it writes to their targets. */
NODISCARD bool target_ddl_pending(Conn *c, const MetaTask *m, Arena *arena, TargetDdlPending **out, size_t *n,
                                  Err *err);

/* Appends the comment that marks a statement of the journal, in the server's process list and DDL jobs: it
 * names the task's uuid, the job (as of a row) and the statement. Pure. */
void target_ddl_marker(const MetaTask *m, uint64_t job, uint32_t n, StrBuf *out);
/* Appends the name of the target's lock, at most 64 characters. Pure. */
void target_ddl_lock_name(const MetaTask *m, TableName target, StrBuf *out);

#endif
