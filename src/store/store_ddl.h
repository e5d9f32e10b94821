/* What the state folder keeps of schema changes: the steps of shard tables, the forks of held members, the
 * locks of targets. As store.h: any thread, durable when a call returns, ERR_STORE_SQL. */
#ifndef SM_STORE_STORE_DDL_H
#define SM_STORE_STORE_DDL_H

#include "store/store.h"

typedef struct StoreStep {
    uint64_t member_no, number;
    Str identity, txn_json, point_json, kind, change_json;
    bool told;
    Str first_json, why; /* of the step that made its table: the definition, and what made it; empty: known */
    TableName renamed;   /* the table's new name; empty: it keeps its name. Whoever had it gets the old one */
    /* when read: whose it is */
    Str source_id;
    TableName member, target;
} StoreStep;

typedef struct StoreFork {
    uint64_t fork_no; /* set by store_step, store_fork_add */
    Str source_id;
    uint64_t member_no;
    Str from_json, to_json; /* to_json empty: not known */
    uint64_t needs, round;
    bool finished;
    int64_t since_ms; /* when read: wall clock */
    TableName member, target;
} StoreFork;

/* A step, and the fork that begins with it (NULL: none), in one transaction. */
NODISCARD bool store_step(Store *s, const StoreStep *step, StoreFork *fork, Err *err);
NODISCARD bool store_fork_add(Store *s, StoreFork *fork, Err *err);
/* The fork ends at a point; and (next not NULL) another begins there. */
NODISCARD bool store_fork_to(Store *s, uint64_t fork_no, Str to_json, StoreFork *next, Err *err);
/* Several forks end at one point, all or none. */
NODISCARD bool store_forks_to(Store *s, const uint64_t *fork_nos, size_t n, Str to_json, Err *err);
NODISCARD bool store_fork_round(Store *s, const uint64_t *fork_nos, size_t n, uint64_t round, Err *err);
/* A round is through: its forks are finished, its counts kept. */
NODISCARD bool store_round_end(Store *s, Str source_id, uint64_t round, const RowCounts *counts, Err *err);
/* Its rows are given up from here on: nobody reads it again. */
NODISCARD bool store_fork_give_up(Store *s, uint64_t fork_no, Err *err);
NODISCARD bool store_fork_drop(Store *s, uint64_t fork_no, Err *err);
/* Of all sources, oldest first; strings in arena. */
NODISCARD bool store_steps(Store *s, Arena *arena, StoreStep **out, size_t *n, Err *err);
NODISCARD bool store_forks(Store *s, Arena *arena, StoreFork **out, size_t *n, Err *err);
/* *last_round 0 and no counts: there was none. */
NODISCARD bool store_fork_total(Store *s, Str source_id, uint64_t *last_round, RowCounts *counts, Err *err);

typedef struct StoreLock {
    TableName target;
    Str state, lock_json, explained_json;
} StoreLock;
/* What an operator decided. */
typedef struct StoreDecision {
    Str decision, asked_by, outcome;
    uint64_t member_no, number;
} StoreDecision;
/* A member that has left its lock. */
typedef struct StoreLeft {
    uint64_t member_no;
    uint64_t last; /* the steps behind this one are told again when it comes back */
    uint64_t back; /* the step that has made its table anew: the fork that waits holds those rows; 0: none */
} StoreLeft;
/* What else is true together with the lock; {0}: nothing. */
typedef struct StoreLockNews {
    uint64_t member_no, number; /* it knows this step; member_no 0: none */
    uint64_t back;              /* a member that had left is in it again; 0: none */
    const StoreLeft *left;
    size_t n_left;
    const StoreDecision *decision; /* that the lock has followed; NULL: none */
} StoreLockNews;
/* In one transaction. */
NODISCARD bool store_lock_put(Store *s, const StoreLock *lock, const StoreLockNews *news, Err *err);
/* The numbers of all members that have left their targets. */
NODISCARD bool store_left_members(Store *s, Arena *arena, uint64_t **out, size_t *n, Err *err);
/* The name the member was first known by; empty: it still has it. */
NODISCARD bool store_member_origin(Store *s, uint64_t member_no, Arena *arena, TableName *out, Err *err);
NODISCARD bool store_locks(Store *s, Arena *arena, StoreLock **out, size_t *n, Err *err);
/* The definition that a target had before it was dropped with all its shard tables; json empty: forget it. */
NODISCARD bool store_dropped_put(Store *s, TableName target, Str json, Err *err);
/* *json empty: none is kept. */
NODISCARD bool store_dropped_get(Store *s, TableName target, Arena *arena, Str *json, Err *err);

#endif
