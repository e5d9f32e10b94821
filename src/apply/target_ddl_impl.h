/* Shared by the files of target_ddl; apply/ only. */
#ifndef SM_APPLY_TARGET_DDL_IMPL_H
#define SM_APPLY_TARGET_DDL_IMPL_H

#include "apply/target_ddl.h"

enum { TARGET_DDL_KEEP_ROWS = 200 }; /* of a target */

/* -- judging; pure (target_ddl_judge.c) -- */

typedef enum DdlVerdict {
    DDL_RUN,
    DDL_DONE,
    DDL_UNCLEAR, /* it looks the same before and after, may have run, and must not run twice */
    DDL_DIFFERS,
} DdlVerdict;

/* What the server's list of jobs says of a marked statement. */
typedef enum DdlJobs {
    DDL_JOBS_UNKNOWN, /* no such list, or nothing in it */
    DDL_JOBS_ACTIVE,
    DDL_JOBS_DONE,
    DDL_JOBS_UNDONE, /* rolled back or cancelled */
} DdlJobs;

/* live: the table's fingerprint, ptr NULL: no table. ACTIVE is no case of this. */
DdlVerdict ddl_judge(const TargetDdlRow *row, Str live, DdlJobs jobs);
bool ddl_same_print(Str a, Str b);
bool ddl_row_finished(const TargetDdlRow *row);
/* The first row that is not finished, or n. */
size_t ddl_first_open(const TargetDdlRow *rows, size_t n);
/* One row of DDL_JOBS more: an active one wins over all, then one that is done. */
DdlJobs ddl_jobs_add(DdlJobs so_far, Str state);
/* The lines of `have` that `want` lacks and the other way round, in words; bounded. */
void ddl_difference(Str have, Str want, StrBuf *out);
/* ERR_DDL_DIFFERS for a verdict of UNCLEAR or DIFFERS. ran: the server took the statement just now. */
bool ddl_differs_error(const TargetDdlRow *row, Str live, DdlVerdict v, bool ran, Err *err);
/* Turns the server's refusal of a statement into ERR_DDL_REFUSED with its choices; a missing privilege stays
 * what it is, with the GRANT. Moves cause. */
bool ddl_refused_error(const TargetDdlRow *row, Err *cause, Err *err);

/* -- the journal (target_ddl_journal.c); each call is a transaction of its own that compares the epoch -- */

/* The rows of the job in order; writes the plan when there are none. ERR_DDL_JOURNAL. */
NODISCARD bool ddl_journal_open(Conn *c, const Dialect *d, const TargetDdlJob *j, Arena *arena,
                                TargetDdlRow **rows, size_t *n, Err *err);
typedef enum DdlMark {
    DDL_MARK_INTENT,
    DDL_MARK_DONE,
    DDL_MARK_FAILED, /* the server refused it: it has changed nothing; rows moved for it are to move again */
    DDL_MARK_ERROR,  /* only the error: the state stays, since it may have run */
} DdlMark;
typedef struct DdlMarking {
    const MetaTask *meta;
    uint64_t epoch;
    const TargetDdlRow *row;
    DdlMark mark;
    const char *error; /* FAILED, ERROR */
    bool last;         /* DONE: of the job; old rows of the target go */
} DdlMarking;
NODISCARD bool ddl_journal_mark(Conn *c, const Dialect *d, const DdlMarking *m, Err *err);

/* -- watching (target_ddl_watch.c) -- */

/* The session of a try has no time-out of reading: a statement may take hours. Instead a thread with a
 * connection of its own looks whether the server is still at what it was asked: an answer that the network
 * lost would be waited for in vain. Then, or when nobody at the server answers any more, it shuts the
 * session's socket down (ERR_DB_LOST there). watched outlives it. */
typedef struct DdlWatch DdlWatch;
DdlWatch *ddl_watch_start(const TargetDdlJob *j, const Dialect *d, Conn *watched);
/* From here on a statement runs, and how far it is is told to the job's progress (p, by copy; its statement
 * outlives that); NULL: none does. */
void ddl_watch_tell(DdlWatch *w, const TargetDdlProgress *p);
void ddl_watch_stop(DdlWatch *w); /* NULL allowed */

#endif
