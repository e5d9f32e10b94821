/* Inside lock/: the state. */
#ifndef SM_LOCK_IMPL_H
#define SM_LOCK_IMPL_H

#include "lock/lock.h"
#include "model/binding.h"

/* A place in a member's history: node 0 is where it began, each other one step. */
typedef struct LockNode {
    uint64_t number;
    int64_t at_ms;
    Str identity, point;    /* the pool's */
    const SchemaStep *step; /* NULL in node 0 */
    LockStepKind kind;
    bool passed, written; /* everything before the step is … */
    bool hold;            /* waits for the operator: the policy says so */
    bool skip;            /* does not count */
    bool replaced;        /* skipped for another statement: rows go into columns of their names */
    bool early;   /* an operator released it: it is followed while rows before it are still to be written */
    bool deleted; /* the member's rows of before are gone from the target: that work is done */
    bool decided; /* an operator has decided about it: it may wait, under strict too */
    LockWork before;      /* work owed on the target before it is accepted */
    LockWork after;       /* … after, before its rows are written */
    const Version *model; /* a decision: from here on the table counts as this */
    /* computed */
    const Version *version;
    const VersionStep *moves[2]; /* from the version of the node before */
    uint32_t n_moves;
} LockNode;

enum { LOCK_OUTSIDE = -1 };

typedef struct LockMember {
    uint32_t id;
    Str name;
    int64_t at_ms; /* joined, or last found agreeing */
    LockNode *nodes;
    uint32_t n_nodes, cap_nodes;
    int32_t accepted; /* index of a node; LOCK_OUTSIDE: none */
    int32_t gate; /* while work after an acceptance runs: the index up to which rows go; else = accepted */
    LockWork gate_work;
    bool gate_sent, before_sent;
    bool stopped;
    bool fresh;   /* it joined new and empty, or is copied whole from then on */
    bool leaving; /* its table is gone; it goes when all its rows are written */
    Str *lost;    /* the pool's; columns it gave up that the target still has */
    uint32_t n_lost;
} LockMember;

typedef enum LockPhase { JOB_NONE, JOB_DRAIN, JOB_ALTER, JOB_FAILED } LockPhase;

typedef struct LockJob {
    LockPhase phase;
    uint64_t id;
    const Version *to;
    uint32_t *columns; /* of to->schema: predecessors in the target's */
    int32_t *accept;   /* per member, in the order of members */
    Str rows, words;
    bool drop, as_is;
} LockJob;

struct Lock {
    VersionPool *pool;
    LockOpts opts;
    Str name;
    const TableSchema *live; /* the target as found; NULL after lock_begin */
    bool begun;
    const Version *base, *target;
    LockMember *members;
    uint32_t n_members, cap_members;
    LockJob job;
    uint64_t last_job;
    uint64_t left;    /* the first job that failed and did not go on: the next one to end says what the target
                         is; 0: none */
    int64_t since_ms; /* of the present lock; 0: closed */
};

static inline bool lock_rule(const Lock *l, LockRule rule, bool holds)
{
    return holds || l->opts.broken == rule;
}

/* -- history.c -- */
LockMember *lock_find(const Lock *l, uint32_t id); /* or NULL */
LockMember *lock_add_member(Lock *l, uint32_t id, Str name, int64_t at_ms);
void lock_remove_member(Lock *l, uint32_t index);
/* GONE. Where its written rows stay, so do in the target the columns that hold their values. */
void lock_member_leaves(Lock *l, LockMember *m, bool rows_stay, LockActions *out);
LockNode *lock_add_node(LockMember *m);
/* Computes versions of the nodes from index `at` on. */
void lock_recompute(Lock *l, LockMember *m, uint32_t at);
/* The last node before which everything is written, up to `accepted`. */
uint32_t lock_low(const LockMember *m, int32_t accepted);
/* The name at node `from` of what is a column at the later node i; empty: there was none. */
Str lock_name_at(const LockMember *m, int32_t from, int32_t i, uint32_t column);
/* Node i as a side of an agreement or join: columns the member lost count for versions not accepted yet. */
VersionView lock_view(const Lock *l, const LockMember *m, uint32_t i);
/* Rows of node `from` after the steps up to `to`; chain is in the arena. */
RowsOf lock_rows_of(const LockMember *m, uint32_t from, uint32_t to, Arena *arena);
/* The member has come from node `from` to what it accepts now: which columns it gave up that the target
 * keeps. replaced: columns of the target that have just become other ones; or NULL. */
void lock_set_lost(Lock *l, LockMember *m, int32_t from, const bool *replaced);
/* The member that others are compared with: one whose columns are not equal to any, where there is one. */
uint32_t lock_witness(const Lock *l);
/* Takes the last version that all have had and is written everywhere as the base. True: it moved. */
bool lock_rebase(Lock *l);

/* -- least_target.c -- */

/* The least target for members accepted up to accept[]. False: none, or not yet (why->n = 0). */
bool lock_join(const Lock *l, const int32_t *accept, const Version **out, bool **replaces, Clashes *why);
/* The target's column that becomes the one of that name; NO_COLUMN: it is new. replaced: as lock_join says.
 */
uint32_t lock_predecessor(const Lock *l, const int32_t *accept, Str name, bool replaced);

/* What happens to the target's rows on the way to that version: "truncate;", …; empty: nothing. */
Str lock_rows_since(const Lock *l, const Version *to);

/* The work owed when the member comes from what it accepts to node `to`. */
LockWork lock_work_after(const LockMember *m, int32_t to);

/* -- plan.c -- */

/* Does what can be done now, until nothing can. */
void lock_plan(Lock *l, LockActions *out);
/* The target has become job.to. */
void lock_job_done(Lock *l, LockActions *out);
void lock_job_cancel(Lock *l);
/* The failed job does not go on: another one follows it, though nothing need change any more. */
void lock_job_leave(Lock *l);
/* Why the member's next step has no join with what is accepted of the others. */
void lock_clash_words(const Lock *l, const LockMember *m, StrBuf *out);
bool lock_all_agree(const Lock *l, Agreement least); /* the last versions of all members */
/* The last node before one that waits for work, for the operator, or for rows of another table. */
int32_t lock_limit(const Lock *l, const LockMember *m);

/* -- actions.c -- */
LockAction *lock_act(LockActions *out, LockActionKind kind);
void lock_act_words(LockActions *out, LockAction *a, const char *fmt, ...) PRINTF_LIKE(3, 4);
void lock_act_member(LockActions *out, const LockMember *m); /* ACCEPT and HOLD as they stand */
void lock_act_alter(const Lock *l, LockActions *out);
void lock_act_stop(const Lock *l, const LockMember *m, LockActions *out);
void lock_act_gone(LockActions *out, const LockMember *m, int32_t last); /* with the steps up to that node */

/* -- decide.c -- */
bool lock_decide(Lock *l, const LockEvent *e, LockActions *out, Err *err);
/* Does the member wait for the operator because rows went away? */
bool lock_member_asks(const LockMember *m);

/* -- refill.c -- */
typedef struct LockPlace {
    LockMember *m;
    int32_t at; /* index of a node */
} LockPlace;
/* Why the member's rows in the target cannot be given the fills that they have there, `as` being what counts;
 * NULL: they can. The two have equal definitions, that of p is not accepted yet. */
const char *lock_cannot_refill(const Lock *l, LockPlace p, LockPlace as);
/* The version counts as that of `as`; work: owed when it is accepted, but a copy that is owed already stays.
 */
void lock_take_as(Lock *l, LockPlace p, LockPlace as, LockWork work);
/* Are there no values in it that nobody can compute? */
bool lock_knows_values(const VersionView *v);
/* Shards that differ in fills alone keep their own values. True: something was decided. */
bool lock_refill_own(Lock *l);
/* A shard table that comes to the others' definition in a way of its own, as one that was made later does,
 * agrees when all its rows hold its own values anyway. True: something was decided. */
bool lock_let_in(Lock *l);

/* -- recopy.c -- */
/* The member's last version counts as agreed in its definition; its rows are copied again when it is
 * accepted. ERR_LOCK_DECISION; the state is as before then. */
bool lock_recopy(Lock *l, LockMember *m, Err *err);

#endif
