/* Shared by the files that move rows between a target and what stands beside it: parked.c (operations and
 * batches), parked_settle.c (who is in the target), parked_decide.c (what operators want), parked_target.c
 * (the tables). Inside one transaction of one thread. */
#ifndef SM_APPLY_PARKED_IMPL_H
#define SM_APPLY_PARKED_IMPL_H

#include "apply/parked.h"
#include "apply/parked_rank.h"
#include "base/arena.h"

/* The two sides of a decision in the table of decided rows: keys as the shard has them, keys as written. */
enum { SIDE_OWN = 0, SIDE_WRITTEN = 1 };

/* A parked row that may come in. */
typedef struct Candidate {
    uint64_t id;
    ParkedRank rank;
    bool decided, parked;
} Candidate;

/* A row of the target that has a key of a parked row. */
typedef struct Holder {
    const Member *owner;
    ParkedRank rank;
} Holder;

/* What the bookkeeping columns of a parked row say. */
typedef struct ParkedMark {
    uint64_t id;
    Str source;
    TableName table;
    uint64_t decided;
    bool pinned, renamed;
} ParkedMark;

typedef struct Settle {
    struct Applier *applier; /* whose transaction it is; NULL: a decision's */
    bool deciding;           /* a decision's: it is there, for this transaction */
    Conn *conn;
    ParkedTarget *p;
    const Target *t;
    Arena arena;
    Candidate *all; /* heap */
    size_t n, cap;
    int64_t rows;  /* parked more than before */
    StrBuf *moves; /* what was moved, in words; NULL: nobody asks */
    StrBuf sql;
} Settle;

/* Must decisions be looked at? */
static inline bool settle_decides(const Settle *s)
{
    return s->deciding || atomic_load(&s->p->decisions);
}

/* -- parked_target.c -- */
/* Is it a name of the bookkeeping columns of either table beside a target? */
bool parked_is_own_column(Str name);

/* -- parked_settle.c -- */
void settle_done(Settle *s);
/* s->sql, which changes exactly so many rows, without a warning. ERR_APPLY_MISSED, ERR_APPLY_TARGET. */
NODISCARD bool settle_run(Settle *s, uint64_t expected, Err *err);
/* The first number that s->sql selects. */
NODISCARD bool settle_number(Settle *s, uint64_t *out, bool *found, Err *err);
uint64_t settle_new_id(Settle *s);
/* Begins s->sql: "INSERT INTO parked (bookkeeping, columns) ". */
void settle_insert_head(Settle *s);
/* Appends the values of the bookkeeping columns; sm_since is now. */
void settle_bookkeeping(StrBuf *out, const ParkedMark *m);
/* Appends " AND x.`a`=y.`a`…" over row key and provenance: the same row. */
void settle_same_row(const Settle *s, StrBuf *out, const char *x, const char *y);
NODISCARD bool settle_drop_parked(Settle *s, uint64_t id, Err *err);
/* The rank of a parked row, as it stands; settle_rank: it is there, or ERR_APPLY_MISSED. */
NODISCARD bool settle_find_rank(Settle *s, uint64_t id, ParkedRank *out, bool *found, Err *err);
NODISCARD bool settle_rank(Settle *s, uint64_t id, ParkedRank *out, Err *err);
void settle_add(Settle *s, uint64_t id, const ParkedRank *rank);
/* Parked rows that share a key with the parked row `id`, which was in the target until now with the rank
 * `left`: those of higher rank may have waited for it. */
NODISCARD bool settle_add_waiting(Settle *s, uint64_t id, const ParkedRank *left, Err *err);
/* The row of the target that has key k of the parked row `id`; locked. */
NODISCARD bool settle_holder(Settle *s, uint64_t id, uint32_t k, Holder *out, bool *found, Err *err);
/* Every candidate gets its place, lowest rank first. */
NODISCARD bool settle_all(Settle *s, Err *err);
/* Where did this candidate end? */
bool settle_is_parked(const Settle *s, uint64_t id);

/* -- parked_decided.c: rows that an operator has decided about -- */
typedef struct Decided {
    uint64_t number; /* 0: none */
    bool pinned, renamed;
    bool parked; /* its row is; id: which one */
    uint64_t id;
} Decided;
/* The decision whose row has these keys on this side; where is "x.`a`=… AND …" as rowsql_where writes it,
 * with its WHERE. Locked. */
NODISCARD bool decided_find(Settle *s, int side, Str where, Decided *out, Err *err);
/* By its number; its row is looked up. */
NODISCARD bool decided_get(Settle *s, uint64_t number, Decided *out, Err *err);
/* Is the row of the target that joins (" FROM …", which names it t) and where (" WHERE …") select a decided
 * one? */
NODISCARD bool decided_in_target(Settle *s, Str joins, Str where, Decided *out, Err *err);
/* Takes the decided row out of the target: *d says where it stands then. */
NODISCARD bool decided_take_out(Settle *s, Decided *d, Err *err);
/* Before and behind an UPDATE of the decided row, which is parked, by its shard: its own keys are put back
 * for it, then what stays renamed is written anew, and the decision follows the row. */
NODISCARD bool decided_before_update(Settle *s, const Decided *d, Err *err);
NODISCARD bool decided_after_update(Settle *s, Decided *d, Err *err);
/* Its pinned and renamed become durable, beside its row too. */
NODISCARD bool decided_mark(Settle *s, const Decided *d, Err *err);
/* The parked row has other values in the chosen key columns: they are written from now on. *differs: all of
 * them differ from the shard's. */
NODISCARD bool decided_rename(Settle *s, Decided *d, const bool *chosen, bool *differs, Err *err);
/* Appends ",`c`=`c`" for columns that an UPDATE may change by itself. */
void decided_put_still(const Settle *s, StrBuf *out, Str but);
/* The row is gone, or the decision is taken back. A row that is parked is nobody's decision then. */
NODISCARD bool decided_forget(Settle *s, const Decided *d, Err *err);
/* Refuses a parked row whose own row key a decided row of its shard table has: two rows of one shard table
 * that are one in the target. */
NODISCARD bool decided_own_is_free(Settle *s, uint64_t id, const Decided *but, Err *err);

#endif
