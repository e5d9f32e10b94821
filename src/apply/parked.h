/* Rows that lost a collision: on-collision: conflict-table, keep-first, keep-newest.
 *
 * Each target under these policies has a table beside it in the meta schema with the same columns, without
 * its unique keys: what stands there is parked. sm_parked says which table belongs to which target. The
 * bookkeeping columns are sm_id, sm_source, sm_schema, sm_table (whose row it is), sm_since, and what an
 * operator has decided about it: sm_decided (number), sm_pinned, sm_renamed. A second table has two rows for
 * each decision in force (sm_side): the keys of its row as the shard has them, and as they are written; it is
 * the first one's name with sm_decided_ for sm_parked_.
 *
 * What holds whenever a transaction has committed:
 *  - every row of every shard stands in the target or is parked, never both;
 *  - a parked row shares a unique key with a row of the target of lower rank (parked_rank.h).
 * So who is in the target depends on what the shards hold and what operators have decided, not on what
 * arrived first: by induction over the ranks, a row is in the target exactly when no row of lower rank that
 * is in the target shares a key with it.
 *
 * How it holds while appliers run side by side:
 *  - A transaction that takes a row of the target away, or changes its keys or rank, looks for rows parked on
 * these keys and settles them in itself, lowest rank first. What settling puts in may put others out; those
 * have a higher rank, so it ends.
 *  - Whoever decides that a row stays parked holds a lock on the row that keeps it out. Whoever takes a row
 * away looks for parked rows after that. One of the two waits for the other (or a deadlock makes one try
 * again).
 *  - A row may be put out by a transaction that shares no key with its shard's next change, so that the two
 * are in no order. Therefore every statement that finds a row by its key asks for its provenance too: it then
 * meets no row instead of another shard's, and the change is made again here, where parked rows are looked
 * at.
 *  - A batch looks for parked rows behind its last statement and before its COMMIT, when it has freed keys.
 * Until a row has been parked for the first time it need not look: the first one shares its key, and so its
 * place in the order, with the row that it lost to.
 *  - While there are decisions, it looks whether one of its rows has a key of a decided row, on either side:
 * the shard's, then the row stands under another one; the written one, then another row of the shard may have
 * been met. */
#ifndef SM_APPLY_PARKED_H
#define SM_APPLY_PARKED_H

#include <pthread.h>
#include <stdatomic.h>
#include "apply/meta.h"
#include "model/binding.h"

/* Whose row a row of the target is, by the text of its provenance columns; NULL: nobody's that is known. Any
 * thread. */
typedef struct ParkedWorld {
    const Member *(*owner)(void *ctx, const Target *t, const Str *provenance, uint32_t n);
    /* The rank of a source; UINT32_MAX: the task has none of that id. */
    uint32_t (*source_rank)(void *ctx, Str source_id);
    Str (*source_id)(void *ctx, uint32_t source);
    void *ctx;
} ParkedWorld;

/* The bookkeeping columns of a parked row. */
#define PARKED_BOOKKEEPING "sm_id,sm_source,sm_schema,sm_table,sm_since,sm_decided,sm_pinned,sm_renamed"

/* Lives as long as its target. Immutable but for the last ones; gate guards inside and shut. */
typedef struct ParkedTarget ParkedTarget;
struct ParkedTarget {
    Arena arena;
    const Target *target;
    ParkedWorld world;
    Str name, decided_name; /* plain, in the meta schema */
    Str table;              /* `meta`.`sm_parked_…` */
    Str decided_table;      /* `meta`.`sm_decided_…` */
    Str columns;            /* `a`,`b`: all columns of the target that are written */
    Str prefixed;           /* t.`a`,t.`b` */
    uint32_t *provenance;   /* columns of the target */
    uint32_t n_provenance;
    Str provenance_list; /* t.`shard` */
    uint32_t
        *key_columns; /* columns of unique keys that a decision may rename: no provenance, not computed */
    uint32_t n_key_columns;
    uint32_t order_column;  /* whose values rank the rows; NO_COLUMN: the shards' order alone */
    bool newest_wins;       /* the highest value of it, not the lowest */
    Str order_value;        /* t.`updated_at`, or NULL */
    _Atomic bool decisions; /* there are, or were in this run; set before the first one is written */
    _Atomic bool ever;      /* there is, or was in this run, a parked row; set before the first one is */
    _Atomic uint64_t next_id;
    _Atomic int64_t n_rows; /* parked now, as committed */
    Err apart; /* set: the tables beside the target have not its columns, nothing may be written there */
    pthread_mutex_t gate;
    pthread_cond_t left;
    bool inside;     /* a decision is under way */
    bool shut;       /* none may be: the target's definition changes, or it is apart */
    bool missing;    /* the target has gone, and what stood beside it: both are made again together */
    bool registered; /* sm_parked said that both tables stand beside the target */
};

typedef struct ParkedOpts {
    const MetaTask *meta;
    const Target *target;
    const Str *provenance; /* names of the target's columns */
    uint32_t n_provenance;
    Str order_column; /* name; empty: the shards' order alone */
    bool newest_wins;
    bool may_differ; /* a change of the target was interrupted: the tables beside it may have other columns */
    bool gone;       /* the target was dropped and is not made again yet: nothing is made beside it */
    ParkedWorld world;
} ParkedOpts;

/* Makes the tables beside the target when they are not there, else compares them with the target. sm_parked
 * names them once both stand. ERR_STATE_BEHIND: it does, and one is not there: what was parked is lost.
 * ERR_NOT_SUPPORTED: the target has what parking cannot do (no key, keys on prefixes or expressions, a column
 * that counts by itself); ERR_TRACK_TARGET: it was altered since (may_differ: then it is apart). Creates the
 * meta schema when it is missing. gone: what is not there is not made, and not missed. Blocks. */
NODISCARD bool parked_open(Conn *c, const Dialect *d, const ParkedOpts *opts, ParkedTarget **out, Err *err);
void parked_free(ParkedTarget *p);
/* The plain names of the tables beside a target, in the meta schema: parked rows, decisions. */
void parked_names(const MetaTask *m, TableName target, Arena *arena, Str out[2]);
/* The tables beside a target that was dropped go, or are made anew with it: nobody misses them. */
NODISCARD bool parked_forget(Conn *c, const MetaTask *m, TableName target, Err *err);
static inline bool parked_is_apart(const ParkedTarget *p)
{
    return err_is_set(&p->apart);
}
/* A decision begins; false: none may be made now. parked_leave ends it. Any thread. */
bool parked_enter(ParkedTarget *p);
void parked_leave(ParkedTarget *p);
/* From here on no decision is under way, nor begins until parked_reopen. Blocks as long as one takes. */
void parked_shut(ParkedTarget *p);
void parked_reopen(ParkedTarget *p); /* but for one that is apart */
/* Reads what is parked: once this process alone writes there. */
NODISCARD bool parked_load(Conn *c, const Dialect *d, const MetaTask *m, ParkedTarget *p, Err *err);

/* -- what operators decide (docs/adr/0031) -- */

typedef enum ParkedVerb {
    PARKED_KEEP,   /* the parked row takes its keys and keeps them */
    PARKED_SWAP,   /* the same, against an earlier decision for the row in its place */
    PARKED_RENAME, /* it gets other keys in the target */
    PARKED_UNDO,   /* a decision ends */
} ParkedVerb;
/* "keep", … False: no such verb. */
bool parked_verb_of(Str name, ParkedVerb *out);

typedef struct ParkedRename {
    Str column, value; /* of the target; as text */
} ParkedRename;

typedef struct ParkedDecision {
    ParkedVerb verb;
    uint64_t id; /* of the parked row; PARKED_UNDO: the decision's number */
    const ParkedRename *renames;
    size_t n_renames;
    Str by;
    bool preview; /* rolled back: what would happen */
} ParkedDecision;

typedef struct ParkedDecideOpts {
    const MetaTask *meta;
    uint64_t epoch;
    ParkedTarget *parked;
    ParkedDecision decision;
} ParkedDecideOpts;

typedef struct ParkedOutcome {
    uint64_t number; /* 0: it did not come so far */
    int64_t rows;    /* parked more than before */
} ParkedOutcome;

/* Decides in one transaction of its own, beside the appliers. words: what it does. ERR_PARKED_DECISION: it
 * cannot hold, or does not apply; ERR_DB_RETRY: another try may pass; ERR_DB_LOST with a number: the commit's
 * outcome is not known, ask parked_was_decided on a new connection. Blocks. One at a time. */
NODISCARD bool parked_decide(Conn *c, const Dialect *d, const ParkedDecideOpts *o, ParkedOutcome *out,
                             StrBuf *words, Err *err);
NODISCARD bool parked_was_decided(Conn *c, const Dialect *d, const ParkedDecideOpts *o,
                                  const ParkedOutcome *outcome, bool *yes, Err *err);

/* How many rows are parked beside a target, whoever runs; 0 where the task parks none, or the meta schema is
 * of a version that could not. */
NODISCARD bool parked_count(Conn *c, const MetaTask *m, TableName target, uint64_t *n, Err *err);
/* Raises *highest to the highest number above 0 in this integer column of the rows parked beside a target,
 * and of those that are renamed: their own values may come back. */
NODISCARD bool parked_highest(Conn *c, const MetaTask *m, TableName target, Str column, uint64_t *highest,
                              Err *err);

static inline bool parked_is_provenance(const ParkedTarget *p, uint32_t target_column)
{
    for (uint32_t i = 0; i < p->n_provenance; i++)
        if (p->provenance[i] == target_column) return true;
    return false;
}

/* Does the key stand for itself in the server (a logical one does not)? */
static inline bool parked_counts_key(const TargetKey *k)
{
    return !k->logical;
}

#endif
