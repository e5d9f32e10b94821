/* Inside the part of pipeline/ that follows schema changes:
 *
 *   ddl.c         the state, from and to the state folder
 *   ddl_stream.c  what the sources' threads ask
 *   ddl_step.c    a statement → a step of a shard table
 *   ddl_round.c   forks and the rounds that read them again
 *   ddl_lock.c    locks: events, actions, the jobs that change targets
 *   ddl_json.c    for operators */
#ifndef SM_PIPELINE_DDL_IMPL_H
#define SM_PIPELINE_DDL_IMPL_H

#include <stdatomic.h>
#include "apply/target_ddl.h"
#include "ddl/parse.h"
#include "lock/lock.h"
#include "pipeline/ddl.h"
#include "pipeline/pipeline_impl.h"
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
} DdlMember;

/* The target's statement, run by a thread of its own. */
typedef struct DdlJob {
    pthread_t thread;
    bool running, ended, ok;
    uint64_t id;
    TargetDdlJob job;
    EmitPlan plan;
    TableSchema *before;
    Waker wake;
    Err err;
    TableSchema *after; /* as read when it was done */
} DdlJob;

typedef struct DdlTarget {
    struct DdlTarget *next;
    TableName name;
    Str label; /* "schema.table" */
    VersionPool *pool;
    Lock *lock;               /* NULL: no schema has changed yet */
    bool altering;            /* drained; the job runs, or is about to */
    const TableSchema *plain; /* the target, as a lock begins with it; the catalog's */
    bool keyed;               /* the target's keys are other than the shards' */
    DdlJob job;
    uint64_t pending_job; /* to be started; 0 none */
    LockAlter pending;    /* memory: pending_arena */
    Arena pending_arena;
    Str ask; /* what the operator is asked for; heap, or empty */
} DdlTarget;

typedef struct DdlSource {
    _Atomic uint64_t generation; /* of the answers given to its streams */
    _Atomic uint32_t n_forks;
    DdlFork *forks;
    uint64_t last_round, round; /* 0: none runs */
    RowCounts total;            /* of finished rounds */
    StreamPoint kept;           /* everything that the catch-up stream may have written of its round */
    bool want_rejoin;           /* asked of the main stream's next boundary */
    bool want_hold;             /* likewise: members of changing targets fork */
    bool ending;                /* the round is through, its stream comes to rest */
    Err failed;                 /* something durable could not be written at a boundary */
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
    Arena arena; /* members, targets, names */
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
DdlMember *ddl_member(Ddl *d, const Member *m); /* or NULL */
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
} DdlLook;
/* False: it cannot be read. */
bool ddl_look(Flavor flavor, const DdlEvent *e, DdlLook *out);
/* What the statement does to this table; *out NULL: nothing. In a heap SchemaStep that owns its definitions.
 */
NODISCARD bool ddl_make_step(Flavor flavor, const TableSchema *before, TableName name, const DdlEvent *e,
                             SchemaStep **out, LockStepKind *kind, Err *err);
const char *ddl_step_kind_name(LockStepKind k);
bool ddl_step_kind_of(Str name, LockStepKind *out);

/* -- ddl_round.c; mutex held but where it says so -- */
NODISCARD bool ddl_rounds_tick(Ddl *d, Err *err); /* not held */
/* The catch-up stream takes up the source's round. The pipeline's mutex held, or before the streams run. */
void ddl_start_round(Ddl *d, uint32_t source);
NODISCARD bool ddl_end_fork(Ddl *d, DdlFork *f, const StreamPoint *to, bool next_waits, uint64_t needs,
                            Err *err);
NODISCARD bool ddl_begin_fork(Ddl *d, DdlMember *m, const StreamPoint *from, uint64_t needs, Err *err);

/* -- ddl_lock.c -- */
NODISCARD bool ddl_locks_tick(Ddl *d, Err *err); /* not held */
/* Takes the event to the lock, stores it, does what follows. Mutex held. */
NODISCARD bool ddl_lock_event(Ddl *d, DdlTarget *t, const LockEvent *e, Err *err);
NODISCARD bool ddl_load_lock(Ddl *d, const StoreLock *l, Err *err);
void ddl_job_done(DdlJob *j);

#endif
