/* The sharding-DDL lock of one target: which rows of which shard table may be written, and when the target
 * itself changes. Pure: (state, event) → (state, actions); no thread, clock or I/O. This comment is the law;
 * the explorer (tests/explore) runs every interleaving of small programs against it.
 *
 * WORDS. A group is a target; its members are the shard tables routed to it. A member's steps are the DDL
 * statements it ran, numbered 1, 2, … for ever; its version n is what its rows look like after step n, so
 * every row belongs to one version, told by the number of steps read before it. A version is ACCEPTED when
 * its rows may be written; rows of later versions are HELD. Accepted versions of a member are 0 … accepted.
 * S0 (base) is the last version that all had in common.
 *
 * WHAT HOLDS, at any moment and after any kill:
 *   1. A row is written only while its version is accepted and no job runs on the target; the target then has
 *      a column for each of its values, or a recorded decision leaves that value out; a column that the row
 *      lacks gets the fill on record. lock_row_map says how.
 *   2. Nobody but the members that differ is held, and never another table or target.
 *   3. Members that agree leave no lock.
 *   4. A lock names whom it waits for, and every wait can be ended by lock_decide.
 *
 * PESSIMISTIC. A member whose step changes columns or unique keys is held from that step. When all histories
 * contain one version (by agreement: definition and lineage), and each member's floor has passed its step to
 * it and everything before its first held step is written, then the target is drained, changed once, and rows
 * up to that version are written. Members beyond it stay held. Where members converted values on their way,
 * the target goes there in stages, for its values are converted as theirs were.
 * OPTIMISTIC. A step is accepted as soon as the join of all members' versions exists and the target has
 * become it. The target shrinks when the last row that could carry what goes is written. A step without a
 * lossless join makes its member wait as in pessimistic mode, or stops it (strict). BOTH. If rows between S0
 * and the common version do not fit it (narrower types, new unique keys), the target first becomes the join
 * of them and shrinks when they are written. Ordinary indexes never hold anybody.
 * A DROPPED TARGET (all had dropped their tables) has no members: they leave with it. The first whose table
 * is made again joins alone, and the target is made for it; the others join that one.
 *
 *                      step read, rows same                       step read, rows differ
 *        ┌─────────┐ ─────────────────────► accepted at once   ┌────────────────────────┐
 *        │ CLOSED  │ ◄────────────────────────────────────┐    ▼                        │
 *        └─────────┘   all agree, all written, target      │ ┌─────────┐  strict  ┌──────┴─────┐
 *             │        is what they agree on               └─┤ WAITING │ ───────► │ a member   │
 *             └────────────── step read ───────────────────► └┬──┬───▲─┘          │ is stopped │
 *                                                             │  │   │            └────────────┘
 *                definitions equal, data not                  │  │   │ done: accepted moves on
 *        ┌──────────────┐ ◄───────────────────────────────────┘  ▼   │
 *        │ DATA_DIFFERS │                             ┌───────────────┴───────────────┐
 *        └──────┬───────┘                             │ RELEASING  job: DRAIN → ALTER │
 *               │ accept, refill, recopy, more steps  └───────────────┬───────────────┘
 *               └──► WAITING                                          │ failed
 *                                            retry, replace ◄── OPERATOR
 *
 * PROTOCOL. One thread owns a lock. For each event: lock_step; write lock_to_json durably; only then act;
 * report what is asked back as an event. A kill between any two of these is safe:
 *   - before the write: the event comes again (steps by their identity, floors and jobs because they are
 * asked for again), or it never happened.
 *   - after the write: lock_restart gives again every action that is still owed. Actions are idempotent or
 * carry a job or step number: HOLD, ACCEPT, OPEN, SHUT say what is, not what changes; a job's ALTER is
 * journalled downstream under its number; work is journalled under (member, step).
 *   - A step read twice (same identity) changes nothing and gives no action.
 * A start opens no target before lock_restart has said so. */
#ifndef SM_LOCK_LOCK_H
#define SM_LOCK_LOCK_H

#include "base/err.h"
#include "track/bind.h"
#include "track/join.h"

typedef enum LockMode { LOCK_PESSIMISTIC, LOCK_OPTIMISTIC } LockMode;

/* What a member's DROP, TRUNCATE, … of rows or of the table means for the target. */
typedef enum LockPolicy {
    LOCK_POLICY_HOLD,           /* the member waits for the operator */
    LOCK_POLICY_IGNORE,         /* the target keeps the rows */
    LOCK_POLICY_DELETE_ROWS,    /* the member's rows are deleted from the target (needs provenance) */
    LOCK_POLICY_APPLY_WHEN_ALL, /* the target's rows go when all members did the same; a RENAME out of the
                                   group holds: its rows have not gone */
} LockPolicy;

/* Rules that the explorer can switch off, to show that it would notice. */
typedef enum LockRule {
    LOCK_RULE_NONE,
    LOCK_RULE_FLOOR,   /* a release waits until floors have passed the steps */
    LOCK_RULE_WRITTEN, /* a release waits until rows before the first held step are written */
    LOCK_RULE_CARRIED, /* the target shrinks only when nothing carries what goes */
    LOCK_RULE_LINEAGE, /* agreement compares lineage too */
    LOCK_RULE_LOST,    /* a column added again is another column */
    LOCK_RULE_DRAIN,   /* the target is drained before it changes */
    LOCK_RULE_REPEAT,  /* a step read again is known by its identity */
    LOCK_RULE_OWED,    /* a restart gives the owed actions again */
    LOCK_RULE_WIDEN,   /* rows between S0 and the common version must fit */
    LOCK_RULE_ALL,     /* all members must agree, not all but one */
    LOCK_RULE_LOSS,    /* rows go from the target only when those from before are all written */
    LOCK_RULE_HELD,    /* what the policy holds waits for the operator */
    LOCK_RULE_WORK,    /* a member's rows are deleted when they are all written, and before later ones are */
    LOCK_RULE_LEAVE,   /* a member leaves when its rows are written; none behind its leaving is */
    LOCK_RULE_LEFT,    /* what rows of members that have left need stays in the target */
    LOCK_RULES,
} LockRule;

typedef struct LockOpts {
    LockMode mode;
    bool strict;     /* optimistic: a step without a lossless join stops its member */
    bool provenance; /* target rows tell their shard: rows of one member can be deleted or refilled */
    bool can_delete; /* the rows of one member can be deleted by a policy; provenance implies it */
    bool refill_own; /* with provenance: shards that filled a new column differently keep their own values */
    bool can_recopy; /* with provenance: a shard's table can be copied again */
    LockPolicy on_drop, on_truncate, on_partition, on_rename;
    LockRule broken; /* for the explorer; LOCK_RULE_NONE */
} LockOpts;

/* What a step is beyond its change of columns and keys. */
typedef enum LockStepKind {
    LOCK_STEP_ALTER, /* and everything whose rows are kept */
    LOCK_STEP_TRUNCATE,
    LOCK_STEP_PARTITION,  /* some rows went (ROWS_SOME_GONE, ROWS_UNKNOWN) */
    LOCK_STEP_DROP,       /* the table, or its database */
    LOCK_STEP_CREATE,     /* the table came again under the same name */
    LOCK_STEP_RENAME,     /* within the group: identity and rows stay */
    LOCK_STEP_RENAME_OUT, /* out of the group */
    LOCK_STEP_SWAP,       /* it changed places with another table: its rows are others now */
} LockStepKind;

/* The kind of a step, for LOCK_EV_STEP. leaves: its new name is not routed to this target any more. swapped:
 * the same statement (RENAME TABLE a TO b, b TO a; EXCHANGE) gives the table's name to another table's rows.
 */
LockStepKind lock_step_kind(const SchemaStep *step, bool leaves, bool swapped);

typedef enum LockDecision {
    LOCK_RELEASE, /* take the version of (member, step) as the common one; whoever lacks it is taken to have
                     it; who has it, but rows before it still to be written, is not waited for */
    LOCK_SKIP,    /* the step of (member, step) does not count for the target; what it added is left out */
    LOCK_REPLACE, /* the step of (member, step) counts as what `steps` make of the version before it */
    LOCK_DETACH,  /* the member leaves; its held rows are given up, its written ones stay */
    LOCK_ACCEPT,  /* data-differs: take the member's data as agreed */
    LOCK_REFILL,  /* data-differs: give the member's rows in the target its own fills (needs provenance) */
    LOCK_RECOPY,  /* the member is copied again */
    LOCK_RETRY,   /* OPERATOR: run the failed job again */
    LOCK_GIVE_UP, /* OPERATOR: the failed job's statements do not run: the target is taken as it is, once it
                     holds the rows */
} LockDecision;

typedef enum LockEventKind {
    LOCK_EV_JOIN,    /* member, name, source, schema, fresh; start: number of steps it begins with is 0 */
    LOCK_EV_LEAVE,   /* member: its shard is gone from the task */
    LOCK_EV_STEP,    /* member, identity, step, step_kind, point */
    LOCK_EV_PASSED,  /* member, number: the member's floor has passed that step: everything before it is
                        written or durable in a spool */
    LOCK_EV_WRITTEN, /* member, number: everything before that step is written; no spool, parked row, chunk
                        window or fork carries a row of an earlier version. Implies PASSED */
    LOCK_EV_DRAINED, /* job */
    LOCK_EV_ALTERED, /* job */
    LOCK_EV_FAILED,  /* job, words: the target refused; an operator must act */
    LOCK_EV_WORKED,  /* member, number: the work owed for that step is done */
    LOCK_EV_DECIDE,  /* decision, member, number, steps, words: user and reason */
} LockEventKind;

/* Everything is the caller's and copied as needed. */
typedef struct LockEvent {
    LockEventKind kind;
    uint32_t member; /* durable identity, chosen by the caller, never reused */
    uint64_t number; /* of a step */
    uint64_t job;
    int64_t at_ms;             /* wall clock, for `since` alone */
    Str name;                  /* JOIN: source and table, for people */
    Str identity;              /* STEP: the DDL's own: stream, transaction, number in it */
    Str point;                 /* STEP: where, for people */
    const TableSchema *schema; /* JOIN */
    bool fresh;                /* JOIN: new and empty, or copied whole from here on */
    const SchemaStep *step;
    LockStepKind step_kind;
    LockDecision decision;
    const SchemaStep *const *steps; /* DECIDE REPLACE: one after the other, from lock_schema_before on */
    uint32_t n_steps;
    Str words;
} LockEvent;

typedef enum LockActionKind {
    LOCK_ACT_HOLD,   /* member: rows of version `number` and later go to its fork's spool */
    LOCK_ACT_ACCEPT, /* member: rows up to and including version `number` may be written; when it is the
                        member's last version, it is held no longer */
    LOCK_ACT_SHUT,   /* job: take nothing of this target any more, drain it; report DRAINED */
    LOCK_ACT_ALTER,  /* job, alter: bring the target from one version to the next; report ALTERED or FAILED */
    LOCK_ACT_OPEN,   /* rows of this target may be written again; maps have changed: ask lock_row_map */
    LOCK_ACT_WORK,   /* member, number, work: on the target; report WORKED */
    LOCK_ACT_STOP,   /* member: stop its source before step `number`, at each start and resume too, until a
                        decision lets it wait or go on (lock_clashes); words say why */
    LOCK_ACT_GONE,   /* member, number: it has left with the steps up to that one; what it holds is given up.
                        A later step that makes its table is told with JOIN, and those behind it again */
    LOCK_ACT_ASK,    /* the operator is needed; words say for what */
    LOCK_ACT_NOTE,   /* for the log: words */
    LOCK_ACT_CLOSED, /* all agree */
} LockActionKind;

typedef enum LockWork {
    LOCK_WORK_NONE,
    LOCK_WORK_DELETE, /* delete the member's rows from the target */
    LOCK_WORK_REFILL, /* set columns to the member's fills, in the member's rows: lock_fills */
    LOCK_WORK_RECOPY, /* delete the member's rows and copy the table */
} LockWork;

/* A change of the target. */
typedef struct LockAlter {
    const Version *from, *to;
    uint32_t *columns; /* one per column of to->schema: its predecessor in from->schema, or NO_COLUMN: new,
                          filled as to->origins says; a predecessor of another name: renamed */
    Str rows;          /* what to do to its rows: "truncate;", "drop partition p0;"; empty: nothing */
    bool drop;         /* the target goes altogether */
    bool as_is;        /* nothing is to be done: report ALTERED if the target holds the rows, else FAILED */
    uint64_t left;     /* the first job since the last one that ended well that did not go on; 0: none */
} LockAlter;

typedef struct LockAction {
    LockActionKind kind;
    uint32_t member;
    uint64_t number;
    uint64_t job;
    LockWork work;
    LockAlter alter;
    Str words;
} LockAction;

/* Actions of one call, in the order in which they are to be done. Memory: its arena. */
typedef struct LockActions {
    Arena arena;
    LockAction *list;
    uint32_t n, cap;
} LockActions;
void lock_actions_done(LockActions *a);

typedef enum LockState {
    LOCK_CLOSED,
    LOCK_WAITING,
    LOCK_DATA_DIFFERS,
    LOCK_RELEASING,
    LOCK_OPERATOR,
} LockState;
const char *lock_state_name(LockState s); /* "closed", "waiting", "data-differs", "releasing", "operator" */

typedef struct Lock Lock;

/* target: the live definition. Members are added with LOCK_EV_JOIN before the first row; lock_begin then
 * fixes S0: what the members have in common. The pool must outlive the lock. */
Lock *lock_new(VersionPool *pool, Str name, const TableSchema *target, const LockOpts *opts);
/* ERR_TRACK_TARGET: the target cannot take a member's rows, and the mode does not let it grow. */
NODISCARD bool lock_begin(Lock *l, LockActions *out, Err *err);
Lock *lock_clone(const Lock *l);
void lock_free(Lock *l);

/* Takes an event. False: the event contradicts the state (unknown member, a step out of turn, a decision that
 * does not apply here): ERR_LOCK_EVENT or ERR_LOCK_DECISION, the state is as before. */
NODISCARD bool lock_step(Lock *l, const LockEvent *e, LockActions *out, Err *err);
/* Every action still owed, for a start from a stored state. */
void lock_restart(const Lock *l, LockActions *out);

/* {"format":1,…}: everything, lock_from_json(lock_to_json(l)) is l. */
void lock_to_json(const Lock *l, StrBuf *out);
NODISCARD bool lock_from_json(VersionPool *pool, Str json, const LockOpts *opts, Lock **out, Err *err);

/* -- questions -- */

LockState lock_state(const Lock *l);
/* The number of the last step of the member (the version of a row read now), and the last accepted one. */
NODISCARD bool lock_member(const Lock *l, uint32_t member, uint64_t *last, uint64_t *accepted);
bool lock_knows(const Lock *l, uint32_t member);
/* Did it join new, and is it not let in yet? Nothing of it has been written. */
bool lock_is_newcomer(const Lock *l, uint32_t member);
/* The job that shuts the target; false: none runs. */
bool lock_job(const Lock *l, uint64_t *job);
/* Under strict: does the member wait with a step that has no lossless join, and nobody has decided? While a
 * job runs: as if it had gone well. *number: of that step; words: why. */
bool lock_clashes(const Lock *l, uint32_t member, uint64_t *number, StrBuf *words);
bool lock_is_open(const Lock *l); /* no job runs: accepted rows may be written */
const Version *lock_target(const Lock *l);
/* What the group takes the member's table for before that step. False: there is no such step. */
NODISCARD bool lock_schema_before(const Lock *l, uint32_t member, uint64_t number, const TableSchema **out);
/* How rows of a member's accepted version go into the target. ERR_LOCK_EVENT: not accepted. */
NODISCARD bool lock_row_map(const Lock *l, uint32_t member, uint64_t number, Arena *arena, RowMap *out,
                            Err *err);
/* What the owed refill sets, in the target's columns of all rows of the member that are there. Memory: arena.
 * ERR_LOCK_EVENT: none is owed; ERR_NOT_SUPPORTED: a value cannot be computed again. */
NODISCARD bool lock_fills(const Lock *l, uint32_t member, Arena *arena, BindFill **out, uint32_t *n,
                          Err *err);
/* {"state","since","ddl":[…],"target":…,"members":[{"source","table","state":"agreed|held|behind","difference",
 * "step","point","waits_for"}],"choices":[…]}: for status and `locks`. */
void lock_explain(const Lock *l, StrBuf *json);
/* What an event (a decision) would do, one line per action, without doing it. */
NODISCARD bool lock_preview(const Lock *l, const LockEvent *e, StrBuf *words, Err *err);
/* A number that is equal for equal states over one pool, but for the numbers of jobs and times. */
uint64_t lock_hash(const Lock *l);

#endif
