/* The copy of one source's existing rows, joined to its stream without a lock (design, section 5).
 *
 * A table is cut into chunks along its key. A reader thread marks the range of a chunk, reads it with one
 * SELECT, and learns a position U that the rows are true to; when the stream has come to U, the chunk goes
 * to the dispatcher as a transaction of its source. The stream asks here about every change before it is
 * dispatched:
 *
 *   range of the row                         what happens to the change
 *   not yet read                             dropped: the SELECT to come will see it
 *   being read                               waits until the chunk is read
 *   read, U contains the change              already in the rows; where the read was not exact, it is put
 *                                            into the chunk in memory
 *   sent to the dispatcher, not committed    waits for the commit: a restart must not find it without its
 *                                            chunk
 *   committed                                U contains it: dropped; else applied like any other
 *
 * So what is dispatched of a transaction is decided when it is read, and nothing is ever mended on the
 * target. The stream never waits for more than a chunk; of a table without a usable key it waits for the
 * whole table (a unit).
 *
 *   UNREAD ──mark──► MARKED ──read──► READY ──stream at U──► SENT ──committed──► DONE ──floor past U──►
 * covered └── failed: UNREAD                (merged with its neighbours, downstream too)
 *
 * Chunks in memory end with the stream's run; those committed are read back from the meta schema. */
#ifndef SM_LOAD_LOAD_H
#define SM_LOAD_LOAD_H

#include "config/task.h"
#include "db/conn.h"
#include "model/flavor.h"
#include "model/lineage.h"
#include "model/txn.h"

typedef struct Load Load;

/* What a version of a shard table needs to be copied; all of it lives as long as the process. */
typedef struct LoadTableInfo {
    const TableSchema *schema;
    const TableMap *map;            /* track/schema_map.h */
    const Binding *binding;         /* by that map */
    TableName name;                 /* on the server */
    uint64_t version;               /* so many schema changes lie before */
    const TableSchema *first;       /* before the first change; NULL: as it is */
    const SchemaStep *const *steps; /* `version` of them */
} LoadTableInfo;

typedef struct LoadHooks {
    void *ctx;
    /* Takes the transaction over; blocks. False: the stream is closed, t stays the caller's. */
    bool (*deliver)(void *ctx, Txn *t);
    /* As the stream reads the table now, or (at not NULL) as it is at that point. Any thread of the load;
     * never called with a mutex of the load held, nor are the others but is_behind. */
    bool (*table)(void *ctx, uint32_t source, const Member *m, const StreamPoint *at, LoadTableInfo *out,
                  Err *err);
    /* The copy cannot go on; the source stops. *err is moved from. Any thread of the load. */
    void (*failed)(void *ctx, uint32_t source, Err *err);
    /* Is the stream too far behind for another chunk (max-lag)? Called with the load's mutex held: it must
     * neither wait nor call the load. */
    bool (*is_behind)(void *ctx, uint32_t source);
} LoadHooks;

typedef struct LoadOpts {
    uint32_t source; /* index */
    const char *source_id;
    ConnOpts conn; /* of the source */
    const LoadOptions *options;
    size_t memory_bytes;  /* for chunks read and not yet committed */
    const char *dir;      /* where the rows of a unit too large for memory wait */
    int64_t retry_max_ms; /* the same passing error for longer is none any more */
    bool follows;         /* tables may change while they are copied */
    bool judges_only;     /* nothing is read: what is copied decides what becomes of changes (a catch-up
                             stream's) */
    LoadHooks hooks;
} LoadOpts;

/* A chunk found committed when a run begins. */
typedef struct LoadDone {
    TxnChunk chunk; /* member is NULL; point_json empty: the floor has passed it */
    TableName table;
} LoadDone;

typedef struct LoadRun {
    uint32_t run;
    Flavor flavor;
    const StreamPoint *from;      /* the floor */
    const Member *const *members; /* of this source */
    const bool *frozen;           /* one for each; NULL: none is */
    size_t n_members;
    const LoadDone *done;
    size_t n_done;
} LoadRun;

Load *load_new(const LoadOpts *opts);
void load_free(Load *l); /* after load_join */
/* A run of the stream begins: takes up what is done, starts the readers. Coordinator; before the stream
 * delivers. */
NODISCARD bool load_begin(Load *l, const LoadRun *run, Err *err);
/* The run ends: wakes everything that waits here or on the network. Any thread; does not wait. */
void load_stop(Load *l);
/* Waits for the readers. Coordinator. */
void load_join(Load *l);

/* The stream's thread: everything it delivers goes through here. Blocks. False: stopping; t stays the
 * caller's. */
NODISCARD bool load_deliver(Load *l, Txn *t);
/* The stream's thread: it has come to this place of its server's binlog, between transactions, without having
 * anything to deliver (what lies before was skipped by GTID). Blocks. */
void load_place(Load *l, Str file, uint64_t pos);
/* Its transaction is committed downstream. slot: of the window. Applier threads. */
void load_committed(Load *l, const TxnChunk *chunk, uint64_t slot);

/* Chunks that the floor covers are merged, here and downstream, in two steps around the write. */
typedef struct LoadMerge {
    uint64_t keep; /* chunk id */
    Str hi;        /* view until load_merged */
    uint64_t rows, bytes;
    uint64_t *gone;
    size_t n_gone;
} LoadMerge;
/* What may be merged, given the floor that will be written; *out is heap, freed by load_merged. Coordinator.
 */
void load_mergeable(Load *l, const StreamPoint *floor, uint64_t window_first, LoadMerge **out, size_t *n);
/* written: the merge is durable. */
void load_merged(Load *l, LoadMerge *merges, size_t n, bool written);

/* -- tables that change while they are copied (docs/adr/0035) -- */

/* From here on the rows of the member are held: nothing more of it is read or sent; what was read and not
 * sent is thrown away. Or, with frozen false: they are the stream's again, and the rest is read. A member
 * that was not known is copied. Any thread. */
void load_freeze(Load *l, const Member *m, bool frozen);
/* The stream whose changes are judged here has come to a schema change of the member. Its thread. */
void load_changed(Load *l, const Member *m);
/* Its rows are not in the target any more: nothing of it counts as copied. It is frozen, or no run is;
 * thawed, all of it is read. False: rows of it are still on their way. Any thread; not between load_mergeable
 * and load_merged. */
NODISCARD bool load_forget(Load *l, const Member *m);
/* Nothing of it is on record downstream either: what the state folder holds of it goes. Still frozen, or no
 * run is. Any thread. */
void load_forgotten(Load *l, const Member *m);
/* A table with rows of its own has become a shard table: it is copied, unless it is known already. Any
 * thread.
 */
void load_take_in(Load *l, const Member *m);
/* The member takes part no more. Any thread. */
void load_leave(Load *l, const Member *m);
/* Is a part of it copied, or on its way? Constant while the member is frozen. Any thread. */
bool load_has_some(Load *l, const Member *m);
/* Can what is copied of the member be told from the rest after this change, too? Of a table that is made anew
 * under its name: by its ranges, which hold nothing of it yet. history: before it. Any thread. */
bool load_may_change(Load *l, const Member *m, const LoadTableInfo *history, const SchemaStep *step);
/* Are rows of a version before this one on their way from the copy to the target? Also true while nobody
 * knows, because the stream does not run. Any thread. */
bool load_carries(Load *l, const Member *m, uint64_t version);
/* Nothing is on its way, and nothing will be while the member is frozen. */
bool load_is_settled(Load *l, const Member *m);
/* A table that was never seen here, while the run goes on, has nothing that was copied. */
bool load_member_is_complete(Load *l, const Member *m);

/* Is every table copied and committed, so that the stream alone goes on? */
bool load_is_complete(Load *l);
/* Ends a collision's grace: has a chunk of this member been committed since the run began? */
bool load_member_moved(Load *l, const Member *m);

typedef enum LoadPhase {
    LOAD_WAITING,
    LOAD_COPYING,
    LOAD_UNIT,
    LOAD_FOLLOWING,
    LOAD_HELD, /* a schema change waits: the rest is read when its rows may be written */
} LoadPhase;
const char *load_phase_name(LoadPhase p); /* "waiting", … */

typedef struct LoadTableProgress {
    const Member *member;
    LoadPhase phase;
    uint64_t rows, bytes;    /* copied and committed */
    uint64_t rows_estimated; /* by the server's statistics; at least rows */
    uint64_t bytes_estimated;
} LoadTableProgress;

typedef struct LoadReaderProgress {
    const Member *member; /* NULL: idle */
    const char *doing;    /* "idle", "waiting for room", "reading", … */
    uint64_t chunks;
} LoadReaderProgress;

typedef struct LoadProgress {
    bool begun, complete;
    LoadTableProgress *tables; /* heap */
    size_t n_tables;
    LoadReaderProgress *readers; /* heap */
    size_t n_readers;
    uint64_t rows, bytes, rows_estimated, bytes_estimated;
} LoadProgress;
/* Any thread; the caller calls load_progress_done. */
void load_progress(Load *l, LoadProgress *out);
void load_progress_done(LoadProgress *p);

#endif
