/* The downstream meta schema: the truth for progress. Tables (prefix sm_, in the schema named by
 * meta-schema): sm_task      one row a task: uuid, epoch, checkpoint numbers. Every write but an applier's
 * locks it first. sm_progress  one row an applier: commit_seq and epoch, the fence of its transactions
 *   sm_applied   one row a committed batch: the transactions above the floor that are done, with their
 * outcome sm_floor     one row a stream: everything up to here is done, and the counters of exactly that
 *   sm_chunk     one row a chunk of copied rows: its range, and the point its rows are true to
 *   sm_ddl       one row a statement that changes a target: the journal of target_ddl.h
 *   sm_parked    one row a target with another on-collision than stop: where its parked rows stand
 *   sm_parked_number  the last number given to a parked row
 *   sm_decision  one row a decision of an operator about a parked row: what, by whom, when
 *   sm_remap     one row a target with new ids: where its map stands, and the next id (remap.h)
 *   sm_remap_member  the shard tables by their numbers in the maps
 *   sm_missed    UPDATEs and DELETEs that met no row (on-missing-row: record), with both images
 * Beside a target, as these name them: sm_parked_…, sm_decided_… (rows), sm_remap_… (the map).
 * Functions take a session from session_open; one thread each. */
#ifndef SM_APPLY_META_H
#define SM_APPLY_META_H

#include "apply/session.h"
#include "base/arena.h"
#include "model/applied_set.h"

typedef struct MetaTask {
    Str schema;       /* of the meta tables, plain */
    Str task;         /* name */
    const char *uuid; /* from the state folder */
} MetaTask;

/* Creates what is missing. ERR_APPLY_META with the GRANT when the user may not; ERR_STATE_BEHIND when one is
 * missing that had been made (all were before the first task was put on record; sm_missed may go). */
NODISCARD bool meta_create(Conn *c, const MetaTask *m, Err *err);

typedef struct MetaFloor {
    Str stream;
    Str point_json;
    RowCounts counts;
    uint64_t transactions;
} MetaFloor;

typedef struct MetaAppliedRow {
    uint32_t applier;
    uint64_t commit_seq;
    Str entries;
} MetaAppliedRow;

/* What a start reads, in one transaction with raising the epoch. All memory in arena. */
typedef struct MetaStart {
    uint64_t epoch;
    uint64_t checkpoint;       /* of the downstream */
    uint64_t state_checkpoint; /* of the state folder, as last seen here */
    bool task_is_new;
    uint64_t *commit_seqs; /* by applier, n_appliers */
    MetaFloor *floors;
    size_t n_floors;
    MetaAppliedRow *rows;
    size_t n_rows;
} MetaStart;

typedef struct MetaStartOpts {
    const MetaTask *task;
    uint32_t n_appliers;
    bool state_is_new;              /* the state folder has never seen this task run */
    uint64_t state_checkpoint;      /* its number */
    uint64_t downstream_checkpoint; /* the highest it has seen here */
} MetaStartOpts;

/* Takes the task over: waits for commits under way of an earlier process, fences it, reads everything.
 * Nothing is changed when the state folder and the downstream do not belong together (ERR_STATE_BEHIND). */
NODISCARD bool meta_start(Conn *c, const Dialect *d, const MetaStartOpts *opts, Arena *arena, MetaStart *out,
                          Err *err);

/* One stream's floor and all applied rows, read again while the task runs (the stream is quiet). *found
 * false: no floor yet. ERR_APPLY_FENCED when the epoch is not ours any more. */
NODISCARD bool meta_read_stream(Conn *c, const Dialect *d, const MetaTask *m, uint64_t epoch, Str stream,
                                Arena *arena, MetaFloor *floor, bool *found, MetaAppliedRow **rows,
                                size_t *n_rows, Err *err);

typedef struct MetaRowKey {
    uint32_t applier;
    uint64_t commit_seq;
} MetaRowKey;

/* Chunks of one stream that a floor covers become one: `keep` gets the range up to hi and loses its point. */
typedef struct MetaChunkMerge {
    Str stream;
    uint64_t keep;
    Str hi; /* chunk key bytes */
    uint64_t rows, bytes;
    const uint64_t *gone;
    size_t n_gone;
} MetaChunkMerge;

typedef struct MetaCheckpoint {
    uint64_t epoch, checkpoint, state_checkpoint;
    const MetaFloor *floors;
    size_t n_floors;
    const MetaRowKey *covered; /* rows of sm_applied that go */
    size_t n_covered;
    const MetaChunkMerge *merges;
    size_t n_merges;
} MetaCheckpoint;
/* Moves floors forward, deletes the applied rows and merges the chunks they cover wholly, in one
 * transaction. */
NODISCARD bool meta_write_floors(Conn *c, const Dialect *d, const MetaTask *m, const MetaCheckpoint *cp,
                                 Err *err);
/* Streams that are over for good: their floors go. ERR_APPLY_FENCED. */
NODISCARD bool meta_drop_floors(Conn *c, const Dialect *d, const MetaTask *m, uint64_t epoch,
                                const Str *streams, size_t n, Err *err);

/* A chunk found committed. */
typedef struct MetaChunk {
    uint64_t id;
    TableName table;
    Str lo, hi;     /* chunk key bytes; empty: no bound */
    uint64_t piece; /* of a unit; 0: by key */
    Str point_json; /* empty: the floor has passed it */
    uint64_t rows, bytes;
} MetaChunk;
/* The committed chunks of one stream (which is quiet), in arena, by id. ERR_APPLY_FENCED as in
 * meta_read_stream. */
NODISCARD bool meta_read_chunks(Conn *c, const Dialect *d, const MetaTask *m, uint64_t epoch, Str stream,
                                Arena *arena, MetaChunk **out, size_t *n, Err *err);
/* None of them is of that table any more. Its own transaction; idempotent. ERR_APPLY_FENCED, ERR_DB_*. */
NODISCARD bool meta_forget_chunks(Conn *c, const Dialect *d, const MetaTask *m, uint64_t epoch, Str stream,
                                  TableName table, Err *err);

/* The outcome of a commit whose answer was lost: locks the applier's progress row (waits for the old session)
 * and compares. *committed tells; ERR_APPLY_FENCED when neither number fits. Leaves no transaction open. */
NODISCARD bool meta_settle_commit(Conn *c, const Dialect *d, const MetaTask *m, uint32_t applier,
                                  uint64_t epoch, uint64_t seq_before, bool *committed, Err *err);

/* Statement texts of an applier's transaction. */
void meta_fence_sql(const MetaTask *m, uint32_t applier, uint64_t epoch, uint64_t seq_before, StrBuf *out);
/* The row of a chunk, for the transaction that writes its rows. */
void meta_chunk_sql(const MetaTask *m, Str stream, const TxnChunk *chunk, StrBuf *out);
void meta_applied_sql(const MetaTask *m, uint32_t applier, uint64_t seq, Str entries, StrBuf *out);

typedef struct MetaMissed {
    Str stream, identity, kind, source_table, target;
    uint64_t row_no;
    Str before_json, after_json; /* column → value text */
} MetaMissed;
void meta_missed_sql(const MetaTask *m, const MetaMissed *row, StrBuf *out);

#endif
