/* Inside the part of pipeline/ that follows schema changes:
 *
 *   ddl.c         the state, from and to the state folder
 *   ddl_stream.c  what the sources' threads ask
 *   ddl_step.c    a statement → a step of a shard table
 *   ddl_replace.c an operator's statements in its place
 *   ddl_round.c   forks and the rounds that read them again
 *   ddl_lock.c    locks: events, actions
 *   ddl_job.c     the jobs that change targets
 *   ddl_beside.c  those of targets with losers of collisions beside them
 *   ddl_work.c    work on rows that are in a target
 *   ddl_recopy.c  tables that are copied again
 *   ddl_news.c    what locks are told of steps, and when
 *   ddl_rename.c  the names of shard tables, as each stream has come to know them
 *   ddl_leave.c   members that leave their target, and come back
 *   ddl_enter.c   tables with rows of their own that become members
 *   ddl_strict.c  sources that stop before a schema change without a lossless join
 *   ddl_json.c    for operators */
#ifndef SM_PIPELINE_DDL_IMPL_H
#define SM_PIPELINE_DDL_IMPL_H

#include <stdatomic.h>
#include "apply/row_delete.h"
#include "apply/target_ddl.h"
#include "ddl/parse.h"
#include "lock/lock.h"
#include "pipeline/ddl.h"
#include "pipeline/loss.h"
#include "pipeline/pipeline_impl.h"
#include "pipeline/refill.h"
#include "store/store_ddl.h"
#include "track/schema_apply.h"

typedef struct DdlStep {
    uint64_t number;
    Str identity;
    TxnId id; /* the statement's transaction */
    StreamPoint before;
    SchemaStep *step; /* from step_from_json: owns its definitions */
    LockStepKind kind;
    bool told;            /* the lock knows it */
    bool passed, written; /* the lock has been told so */
} DdlStep;

/* How long the source keeps the binlog that a fork begins in. */
typedef struct DdlBinlog {
    bool asked;
    bool purged;      /* the file is not there any more */
    bool warned;      /* told in the log */
    uint64_t keeps_s; /* the server's setting; 0: for ever */
} DdlBinlog;

typedef struct DdlBinlogLook DdlBinlogLook;

typedef struct DdlFork {
    struct DdlFork *next; /* of the source; oldest first */
    struct DdlMember *member;
    uint64_t no;
    StreamPoint from, to;
    bool has_to;
    uint64_t needs; /* the first version of its rows */
    uint64_t round; /* 0: waits */
    bool finished;
    int64_t since_ms; /* wall clock */
    DdlBinlog binlog; /* of what waits there */
} DdlFork;

typedef struct DdlMember {
    struct DdlMember *next;
    const Member *m;
    uint32_t source;
    uint64_t no; /* durable; the lock's name for it */
    Str label;   /* "source schema.table" */
    const TableSchema *first;
    DdlStep **steps; /* number 1 first */
    size_t n_steps, cap_steps;
    uint64_t cursor[2]; /* by kind of stream: the version of rows read now */
    struct DdlTarget *target;
    bool joined; /* the lock knows it */
    /* It has left its target: no row of it is written any more. */
    bool left;
    uint64_t left_step;  /* … with this step; what it ran later was never told */
    uint64_t left_round; /* its source's round at that moment: rows of it may be on the way there */
    bool has_barrier;    /* likewise in the main stream, before this point */
    StreamPoint barrier;
    bool clean;        /* no row of it is on its way */
    bool was_no_table; /* it was found on the server before it was read how it came to its name: it is another
                        */
} DdlMember;

typedef enum DdlJobKind {
    DDL_JOB_ALTER, /* the target's statements are planned and run */
    DDL_JOB_MAKE,  /* the same: it was dropped with its shard tables, and is made again */
    DDL_JOB_MADE,  /* an operator made it again: it is read */
    DDL_JOB_AS_IS, /* an operator gave them up: the target is read */
    DDL_JOB_LOOK,  /* the last job failed: the target is read before this one is planned */
} DdlJobKind;

/* The target's statement, run by a thread of its own. */
typedef struct DdlJob {
    pthread_t thread;
    DdlJobKind kind;
    uint64_t gives_up; /* the job whose statements the journal gives up; 0: none */
    bool running, ended, ok;
    uint64_t id;
    TargetDdlJob job;
    EmitPlan plan;
    TableSchema *before;
    Waker wake;
    Err err, unread;    /* unread: why it could not be looked at afterwards */
    Err doubt;          /* why it must not begin; when the journal has begun it, it goes on */
    TableSchema *after; /* as read when it had ended, well or not */
    bool there;         /* it was there then */
    struct Ddl *ddl;
    struct ParkedTarget *parked; /* losers of collisions stand beside the target; NULL: none do */
    Target *prepared;            /* the target as it is then, with what stands beside it */
} DdlJob;

/* Work on a member's rows, by a thread of its own. */
typedef struct DdlWork {
    struct DdlWork *next;
    struct DdlTarget *target;
    uint64_t member_no, number;
    LockWork kind;
    pthread_t thread;
    bool running, ended, ok;
    RowDeleteJob job;
    RowRefillJob refill;
    StrBuf table, where, order, first; /* what they refer to */
    RefillSql sql;
    RowRefillPlace place; /* what the tries so far have set, of the job that place_of tells */
    StrBuf place_of;
    Waker wake;
    Err err;
    uint64_t rows, total; /* of the last try, of all */
    int64_t again_ms;
} DdlWork;

/* The mutex guards it; besides, without it: the coordinator alone writes job, pending, plain, dropped and
 * loss, and so reads them; the job's thread reads pending and what of job was there when it began, and writes
 * its outcome until `ended`. name, label: never written again. lock and pool: any thread that holds the
 * mutex; definitions and versions in the pool are never written again. */
typedef struct DdlTarget {
    struct DdlTarget *next;
    TableName name;
    Str label; /* "schema.table" */
    VersionPool *pool;
    Lock *lock;               /* NULL: no schema has changed yet */
    bool altering;            /* drained; the job runs, or is about to */
    const TableSchema *plain; /* the target, as a lock begins with it; the catalog's */
    DdlJob job;
    uint64_t pending_job; /* to be started; 0 none */
    uint64_t jobs_ended;  /* in this process */
    uint64_t failed_job;  /* the target may have been changed by hand since it failed; 0: none */
    TableSchema *dropped; /* what it was before it was dropped with all its shard tables; NULL: it was not */
    bool made;            /* dropped, and somebody made it again by hand */
    LockAlter pending;    /* memory: pending_arena */
    Arena pending_arena;
    DdlWork *work;   /* owed */
    LossAnswer loss; /* the policies of its routes, once asked for */
    LossAnswer says; /* likewise, as the sources' threads have asked for them; the mutex guards it */
    Str ask;         /* what the operator is asked for; heap, or empty */
} DdlTarget;

typedef struct DdlSource {
    _Atomic uint64_t generation; /* of the answers given to its streams */
    _Atomic uint32_t n_forks;
    int64_t binlog_asked_ms; /* the coordinator's: when it was asked last */
    _Atomic uint32_t n_left; /* members that have left */
    DdlFork *forks;
    uint64_t last_round, round; /* 0: none runs */
    RowCounts total;            /* of finished rounds */
    StreamPoint kept;           /* everything that the catch-up stream may have written of its round */
    StreamPoint begun; /* everything that the main stream had written when it began, also above its floor */
    StreamPoint followed; /* the main stream has followed all statements below it, in this process */
    bool want_rejoin;     /* asked of the main stream's next boundary */
    bool want_hold;       /* likewise: members of changing targets fork */
    bool ending;          /* the round is through, its stream comes to rest */
    Err failed;           /* something durable could not be written at a boundary */
    Str judged;           /* strict: the statement that the main stream has come to, and not passed; heap */
} DdlSource;

struct Ddl {
    Pipeline *p;
    uint32_t n_sources;
    pthread_mutex_t mutex; /* guards everything below */
    pthread_cond_t changed;
    DdlMember *members;
    DdlMember **by_id; /* by Member.id; NULL: not known here */
    size_t n_by_id;
    DdlTarget *targets;
    DdlSource *sources;
    DdlBinlogLook *look; /* the coordinator's; NULL: nobody was asked yet */
    Arena arena;         /* members, targets, names */
};

enum { DDL_MAIN = 0, DDL_CATCH_UP = 1 };
static inline unsigned ddl_kind(const Ddl *d, uint32_t stream)
{
    return stream >= d->n_sources ? DDL_CATCH_UP : DDL_MAIN;
}
static inline uint32_t ddl_source(const Ddl *d, uint32_t stream)
{
    return stream >= d->n_sources ? stream - d->n_sources : stream;
}

/* Is the fork read again now? */
static inline bool ddl_in_round(const DdlSource *s, const DdlFork *f)
{
    return s->round && f->round == s->round && !f->finished;
}

/* -- ddl.c; mutex held -- */
DdlMember *ddl_member(Ddl *d, const Member *m);            /* or NULL */
DdlMember *ddl_member_numbered(const Ddl *d, uint64_t no); /* by the lock's name for it; or NULL */
/* Made when first asked for. */
DdlMember *ddl_know_member(Ddl *d, const Member *m, uint64_t no, const TableSchema *first, TableName target);
DdlTarget *ddl_know_target(Ddl *d, TableName name);
const TableSchema *ddl_schema_at(const DdlMember *m, uint64_t number);
void ddl_add_step(DdlMember *m, DdlStep *s);
void ddl_step_done(DdlStep *s);
DdlFork *ddl_add_fork(Ddl *d, DdlMember *m, const StreamPoint *from, uint64_t needs, uint64_t no);
void ddl_bump(Ddl *d, uint32_t source); /* answers of streams count no more */
void ddl_txn_json(const TxnId *id, StrBuf *out);
/* The fork that waits, or is open: has no end yet. NULL: the main stream has the member. */
DdlFork *ddl_open_fork(const Ddl *d, const DdlMember *m);

/* -- ddl_step.c -- */
/* What its session and server add to the text of a statement. */
typedef struct DdlReading {
    DdlContext parse;
    ApplyContext apply; /* points into this struct */
    char now[32];
} DdlReading;
void ddl_read_event(Flavor flavor, const DdlEvent *e, DdlReading *out);
typedef struct DdlLook {
    bool conditional; /* IF [NOT] EXISTS, OR REPLACE */
    bool by_others;   /* CREATE TABLE … LIKE, … SELECT: its text does not tell the definition */
    bool by_default;  /* CREATE TABLE without a charset: that of its database */
    bool renames;     /* ALTER TABLE … RENAME TO */
    bool exchanges;   /* ALTER TABLE … EXCHANGE PARTITION … WITH TABLE */
} DdlLook;
/* False: it cannot be read. */
bool ddl_look(Flavor flavor, const DdlEvent *e, DdlLook *out);
/* What the statement does to this table; *out NULL: nothing. In a heap SchemaStep that owns its definitions.
 */
NODISCARD bool ddl_make_step(Flavor flavor, const TableSchema *before, TableName name, const DdlEvent *e,
                             SchemaStep **out, LockStepKind *kind, Err *err);
/* A step that makes a table of this definition; NULL: err. */
SchemaStep *ddl_creation(const TableSchema *made, TableName name, const DdlEvent *e, Err *err);
const char *ddl_step_kind_name(LockStepKind k);
bool ddl_step_kind_of(Str name, LockStepKind *out);

/* -- ddl_replace.c -- */
typedef struct DdlReplacement {
    TableSchema **after;
    SchemaStep **steps; /* the first from `before` on, each other from the one before */
    uint32_t n;
} DdlReplacement;
/* What the decision's statements make of the member's table. ERR_USAGE, ERR_DDL_SYNTAX, ERR_DDL_APPLY. The
 * mutex held. */
NODISCARD bool ddl_replacement(const DdlMember *m, Flavor flavor, const TableSchema *before,
                               const DdlDecision *w, DdlReplacement *out, Err *err);
void ddl_replacement_done(DdlReplacement *r);

/* -- ddl_stream.c; mutex held -- */
DdlStep *ddl_find_step(const DdlMember *m, Str identity);
/* The statement that made its table is a member's first step, which the lock does not see: it joins with it.
 */
NODISCARD bool ddl_begin_member(Ddl *d, uint32_t stream, const CatalogMemberInfo *info, const DdlEvent *e,
                                SchemaStep *step, Err *err);

/* -- ddl_stream.c; mutex not held -- */
/* What the statement does to one shard table. */
NODISCARD bool ddl_one_table(Ddl *d, uint32_t stream, const CatalogMemberInfo *info, const DdlEvent *e,
                             Err *err);
/* What the table looks like behind the statement: as it is on the server, when nothing has changed it since.
 * Blocks. ERR_TRACK_START. */
NODISCARD bool ddl_made_there(Ddl *d, uint32_t stream, TableName name, const DdlEvent *e, TableSchema **out,
                              Err *err);
/* May the catch-up stream run, as far as targets that change are concerned? */
bool ddl_round_may_go_on(Ddl *d, uint32_t source);

/* -- ddl_round.c; mutex held but where it says so -- */
NODISCARD bool ddl_rounds_tick(Ddl *d, Err *err); /* not held */
/* Has the main stream to rest, because a target is to change and the round has failed? Not held. */
bool ddl_main_makes_room(Ddl *d, uint32_t source);
/* The catch-up stream takes up the source's round. The pipeline's mutex held, or before the streams run. */
void ddl_start_round(Ddl *d, uint32_t source);
NODISCARD bool ddl_end_fork(Ddl *d, DdlFork *f, const StreamPoint *to, bool next_waits, uint64_t needs,
                            Err *err);
/* The main stream takes the round's members back at this point, when all of them can be. */
NODISCARD bool ddl_rejoin(Ddl *d, uint32_t source, const StreamPoint *at, Err *err);
uint64_t ddl_accepted(const DdlMember *m); /* the last version of its rows that may be written */
NODISCARD bool ddl_begin_fork(Ddl *d, DdlMember *m, const StreamPoint *from, uint64_t needs, Err *err);

/* -- ddl_strict.c -- */
/* The main stream comes to a statement, before its steps are stored; and may it go on behind it? Waits for
 * the coordinator. ERR_LOCK_CLASH. Source's thread, the mutex not held. */
void ddl_strict_meets(Ddl *d, uint32_t source, const DdlEvent *e);
NODISCARD bool ddl_strict_passes(Ddl *d, uint32_t source, Err *err);
/* Did a shard table clash before the place where the main stream begins? ERR_LOCK_CLASH. Mutex held. */
NODISCARD bool ddl_strict_begins(Ddl *d, uint32_t source, Err *err);
/* The lock asks to stop the source of the member, before that step. Mutex held. */
void ddl_strict_stop(Ddl *d, uint64_t member_no, uint64_t number);
void ddl_strict_done(DdlSource *s);

/* -- ddl_rename.c; mutex held -- */
/* The name after that step. */
TableName ddl_name_at(const DdlMember *m, uint64_t number);
/* Is the table dropped after that step? */
bool ddl_gone_at(const DdlMember *m, uint64_t number);
/* Whose table bears this name where the stream is now; NULL: nobody's that is known. */
DdlMember *ddl_bearer(const Ddl *d, uint32_t stream, TableName name);
bool ddl_creates(const DdlEvent *e); /* CREATE TABLE */
/* What the step is when it gives the table another name. */
void ddl_judge_rename(Ddl *d, const DdlMember *m, const DdlEvent *e, const SchemaStep *step,
                      LockStepKind *what);
/* The step just added gave the member its name: a member that bears it still was none. */
NODISCARD bool ddl_take_name(Ddl *d, uint32_t stream, const DdlMember *m, const DdlEvent *e, Err *err);

/* -- ddl_rename.c; mutex not held -- */
typedef struct DdlRename {
    TableName from, to;
} DdlRename;
enum { DDL_MOST_RENAMES = 256 };
/* The tables of a RENAME TABLE with their last names; more than cap: UINT32_MAX. */
uint32_t ddl_renames(const DdlEvent *e, DdlRename *out, uint32_t cap);
/* The shard table of that name where the stream is now. *there: it exists, and takes part. */
bool ddl_find(Ddl *d, uint32_t stream, TableName name, CatalogMemberInfo *out, bool *there);
/* False: rows would come into a group that were never copied. */
bool ddl_may_rename(Ddl *d, uint32_t stream, const CatalogMemberInfo *info, const DdlRename *r);
/* The source's shard tables in a database; heap. */
CatalogMemberInfo *ddl_of_database(Ddl *d, uint32_t stream, Str schema, size_t *n);

/* -- ddl_leave.c; mutex held -- */
/* The statement that made its table, when that was read; NULL: the table was there. */
const DdlStep *ddl_birth(const DdlMember *m);
void ddl_is_born(DdlMember *m); /* the lock need not be told of that step */
/* What its lock has said is stored: it has left with the steps up to `last`. */
void ddl_leave(Ddl *d, DdlMember *m, uint64_t last);
/* The step behind `last` that has made its table anew already, when the fork that waits has only rows of
 * that; 0: none. */
uint64_t ddl_made_behind(const DdlMember *m, uint64_t last);
/* As read from the state folder; nothing is on its way. */
void ddl_has_left(Ddl *d, DdlMember *m);
/* One whose table was made anew since: the step that made it, or NULL. */
const DdlStep *ddl_step_back(const DdlMember *m);
/* It is in again, beginning with that step. */
void ddl_come_back(Ddl *d, DdlMember *m, const DdlStep *back);
/* Does the fork belong to what was given up? */
bool ddl_given_up(const DdlFork *f);
/* Between two transactions of the main stream: rows of the member behind it were never delivered. */
void ddl_set_barrier(DdlMember *m, const StreamPoint *at);
/* Does the stream rest, with nothing on its way, nothing of its copy either? *runs: it does, its floor says.
 */
bool ddl_rests(Ddl *d, uint32_t stream, bool *runs);
/* Is no row on its way that was delivered before it left? *ask: the main stream's boundary has to say. */
bool ddl_left_drained(Ddl *d, const DdlMember *m, bool *ask);

/* -- ddl_enter.c; mutex not held -- */
/* May the statement give a table that is no member this name, which is routed? renames: all of them.
 * ERR_SOURCE_DDL. */
NODISCARD bool ddl_may_enter(Ddl *d, uint32_t stream, TableName name, const DdlRename *renames, uint32_t n,
                             const DdlEvent *e, Err *err);
/* It is a member from the statement on, and its rows are copied. Blocks. */
NODISCARD bool ddl_enter(Ddl *d, uint32_t stream, TableName name, const DdlEvent *e, Err *err);

/* Tables that came into a task whose target had changed by then: of a source that could not be reached, or is
 * new. Nothing of theirs is written before the lock lets them in. Mutex held. */
NODISCARD bool ddl_hold_newcomers(Ddl *d, uint32_t source, const StreamPoint *at, Err *err);

/* -- ddl_work.c; coordinator -- */
void ddl_owe_work(DdlTarget *t, const LockAction *a); /* mutex held */
NODISCARD bool ddl_work_tick(Ddl *d, DdlTarget *t, Err *err);
void ddl_work_wake(DdlTarget *t);
void ddl_work_done(DdlTarget *t);

/* -- ddl_recopy.c -- */
/* ERR_NOT_SUPPORTED: this task cannot copy it again. */
NODISCARD bool ddl_recopy_allowed(const Ddl *d, const DdlMember *m, Err *err);
bool ddl_can_recopy(const Ddl *d);
/* Whom its lock holds has a fork: else rows behind those that go would be written already. ERR_LOCK_DECISION.
 * Mutex held. */
NODISCARD bool ddl_recopy_is_held(const Ddl *d, const DdlTarget *t, const DdlMember *m, Err *err);
/* What becomes of its rows, a line. */
void ddl_recopy_words(const Ddl *d, const DdlMember *m, StrBuf *words);
/* Its table is there, as far as the stream has come; else the rows in the target are all that there is of it:
 * ERR_LOCK_DECISION. Mutex held. */
NODISCARD bool ddl_recopy_begins(const DdlMember *m, Err *err);
/* The member is held, and its rows are not in the target any more: nothing counts as copied of it, here and
 * downstream. Idempotent. ERR_DB_*, ERR_APPLY_FENCED. Coordinator; mutex not held; blocks. */
NODISCARD bool ddl_recopy_forget(Ddl *d, const DdlMember *m, Err *err);

/* -- ddl_copy.c; mutex held -- */
/* The member has a fork: nothing more of it is read. */
void ddl_copy_forked(Ddl *d, const DdlMember *m);
/* Its forks of this round are finished: members without any go on being copied. */
void ddl_copy_round_over(Ddl *d, uint32_t source, uint64_t round);
void ddl_copy_left(Ddl *d, const DdlMember *m);
/* The stream has come to a step of the member. */
void ddl_copy_changed(Ddl *d, uint32_t stream, const DdlMember *m);
/* Nothing of its copy is on its way, and nothing will be. */
bool ddl_copy_is_settled(const Ddl *d, const DdlMember *m);
/* Are rows of a version before this one on their way from its copy? */
bool ddl_copy_carries(const Ddl *d, const DdlMember *m, uint64_t version);
/* Is it asked for? Mutex not held. */
bool ddl_copy_asks(Ddl *d, uint32_t stream, const Member *m);
/* For whom decides that the step is skipped: a line, or nothing. */
void ddl_copy_skip_words(const Ddl *d, const DdlMember *m, uint64_t number, StrBuf *words);
/* May it change so while it is copied? DdlTarget.says is known. ERR_SOURCE_DDL. */
NODISCARD bool ddl_copy_allows(Ddl *d, uint32_t stream, const DdlMember *m, const SchemaStep *step,
                               LockStepKind kind, const DdlEvent *e, Err *err);
/* Those of a member of this lock. */
NODISCARD bool ddl_version_by(const Lock *l, const DdlMember *m, uint64_t number, Arena *arena,
                              DdlVersion *out, Err *err);
/* What rows of that version look like, and where they go. *known as in ddl_version. */
NODISCARD bool ddl_version_at(Ddl *d, const DdlMember *m, uint64_t number, Arena *arena, bool *known,
                              DdlVersion *out, Err *err);

/* -- ddl_binlog.c -- */
/* Now and then: does the source still keep what held members wait for? Mutex not held. */
void ddl_binlog_tick(Ddl *d);
void ddl_binlog_stop(Ddl *d); /* the mutex not held */
/* Seconds that it is kept at least, as far as the server's setting tells; -1: for ever, or not known. */
int64_t ddl_binlog_left_s(const DdlFork *f);

/* -- ddl_news.c -- */
/* One step of a member: what its lock knows of it, and what is so. */
typedef struct DdlProgress {
    bool told, passed, written; /* as DdlStep says */
    bool covered;               /* the main stream's stored floor, and its copy, have passed it */
    bool all_written;           /* and every row before it is written */
} DdlProgress;
typedef enum DdlNews {
    DDL_NEWS_NONE, /* of this one; a later one may have been passed since */
    DDL_NEWS_WAIT, /* nor of any later one */
    DDL_NEWS_PASSED,
    DDL_NEWS_WRITTEN,
} DdlNews;
DdlNews ddl_news(const DdlProgress *p);

/* -- ddl_lock.c -- */
void ddl_ask(DdlTarget *t, Str words);           /* the operator; empty: nothing; mutex held */
NODISCARD bool ddl_locks_tick(Ddl *d, Err *err); /* not held */
/* Takes the event to the lock, stores it, does what follows. Mutex held. */
NODISCARD bool ddl_lock_event(Ddl *d, DdlTarget *t, const LockEvent *e, Err *err);
/* Likewise, with the operator's decision that the event is: on record together with what it does. */
NODISCARD bool ddl_lock_decide(Ddl *d, DdlTarget *t, const LockEvent *e, const StoreDecision *decision,
                               Err *err);
NODISCARD bool ddl_load_lock(Ddl *d, const StoreLock *l, Err *err);
/* All that was read of the target's members: before somebody decides about them. Mutex held. */
NODISCARD bool ddl_tell_steps(Ddl *d, DdlTarget *t, Err *err);

/* -- ddl_job.c; coordinator; mutex not held but for the last -- */
NODISCARD bool ddl_job_start(Ddl *d, DdlTarget *t, Err *err);
NODISCARD bool ddl_job_finish(Ddl *d, DdlTarget *t, Err *err);
void ddl_job_done(DdlJob *j);
/* The job's thread has met that error. True: it passes, and may be tried again now. False: it does not, or
 * the task stops (ERR_CANCELLED). */
NODISCARD bool ddl_job_pause(DdlJob *j, Err *err);

/* -- ddl_beside.c; the job's thread, of a target that parks; mutex not held -- */
/* Plans the job and runs it. Blocks as long as it takes. */
NODISCARD bool ddl_beside_run(Ddl *d, DdlTarget *t, Err *err);
/* Job.prepared, from what the target is now; AS_IS: its rows take their places. */
NODISCARD bool ddl_beside_look(Ddl *d, DdlTarget *t, Err *err);

#endif
