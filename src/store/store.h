/* The one owner of SQLite: task identity, durable shard identities, schema history, run history, pauses,
 * copies of the floors for offline status. One connection, WAL, synchronous=FULL; calls are serialised by a
 * mutex inside and block on disk: they are for start-up, the coordinator and rare events, never for the row
 * path. Schema: state/NNNN-*.sql, compiled in; operators read it with the sqlite3 shell through the views. */
#ifndef SM_STORE_STORE_H
#define SM_STORE_STORE_H

#include "base/err.h"
#include "base/arena.h"
#include "model/schema.h"
#include "model/txn.h"

typedef struct Store Store;

/* Opens <dir>/state.db (made with its folder, mode 0700, when missing), takes the flock on <dir>/lock
 * (ERR_STORE_LOCKED names the pid that holds it; not taken when read_only), migrates. A state of a newer
 * program is refused: ERR_STORE_VERSION. read_only: nothing is made or migrated, works beside the process
 * that holds the lock; a folder without a state is ERR_STORE_NONE. All calls below that write fail with
 * ERR_STORE_SQL on a read-only store. Any thread, also all below. */
NODISCARD bool store_open(const char *dir, bool read_only, Store **out, Err *err);
void store_close(Store *s);
const char *store_dir(const Store *s);

typedef struct StoreTask {
    char *name, *uuid;              /* owned; uuid made at first open by store_task_create */
    char *fingerprint;              /* of the configuration that may not change (task_fingerprint) */
    uint64_t checkpoint;            /* ours, raised at every floor write */
    uint64_t downstream_checkpoint; /* the highest seen in the downstream */
} StoreTask;
/* *found false when the state is new. */
NODISCARD bool store_task_read(Store *s, StoreTask *out, bool *found, Err *err);
void store_task_done(StoreTask *t);
/* Makes the task row with a new random uuid. */
NODISCARD bool store_task_create(Store *s, Str name, Str fingerprint, Err *err);
/* Has a stream of the task begun? Before that nothing of it is written anywhere. */
NODISCARD bool store_task_has_begun(Store *s, bool *begun, Err *err);
/* The task anew under another configuration, as nothing of it has begun: members, definitions and starting
 * points are forgotten; its uuid stays. One transaction. */
NODISCARD bool store_task_renew(Store *s, Str name, Str fingerprint, Err *err);

/* Durable identity of a shard table: made once, never reused. */
NODISCARD bool store_member(Store *s, Str source_id, TableName name, TableName target, uint64_t *member_no,
                            Err *err);

typedef struct StoreMember {
    uint64_t member_no;
    Str source_id;
    TableName name, target;
} StoreMember;
/* All members there ever were, oldest first; in arena. */
NODISCARD bool store_members(Store *s, Arena *arena, StoreMember **out, size_t *n, Err *err);

/* The member's number among the shard tables of its target, from 0: given at the first call, the same ever
 * after, never given to another. */
NODISCARD bool store_shard_number(Store *s, uint64_t member_no, TableName target, uint32_t *number, Err *err);

/* Schema history: the definition of a member that holds from a point on (point as JSON). */
NODISCARD bool store_schema_put(Store *s, uint64_t member_no, Str point_json, Str schema_json, Str why,
                                Err *err);
/* The newest definition, or *found false. *schema_json is a heap string. */
NODISCARD bool store_schema_get(Store *s, uint64_t member_no, char **schema_json, bool *found, Err *err);

/* One checkpoint: in one transaction raises the number and keeps each source's floor, state and counters. */
typedef struct StoreFloor {
    Str source_id;
    Str point_json;
    RowCounts counts;
    Str state;      /* "streaming", "paused-by-user", … */
    Str error_json; /* {"code","class","message","remedy"} or "" */
    Str copy_json;  /* {"rows","bytes","rows_estimated","bytes_estimated","tables","tables_done"}; written ""
                     * leaves what is kept */
    int64_t updated_ms; /* set by store_floors only: when it was kept, wall clock */
} StoreFloor;
/* FAULT("store.checkpoint") stands before its COMMIT. A number below the kept one is ERR_BUG: checkpoints
 * only rise. */
NODISCARD bool store_checkpoint(Store *s, uint64_t checkpoint, uint64_t downstream_checkpoint,
                                const StoreFloor *floors, size_t n, Err *err);
/* The last kept floors, for status without the process. Strings in arena. */
NODISCARD bool store_floors(Store *s, Arena *arena, StoreFloor **out, size_t *n, Err *err);

/* Pauses survive a restart. source_id empty = the whole task; store_pause_get answers for exactly that entry.
 */
NODISCARD bool store_pause_set(Store *s, Str source_id, bool paused, Str by, Err *err);
NODISCARD bool store_pause_get(Store *s, Str source_id, bool *paused, Err *err);

/* Run history. Begin closes runs that ended without a word (kill -9) with the outcome "killed". */
NODISCARD bool store_run_begin(Store *s, uint64_t epoch, Str version, uint64_t *run_no, Err *err);
NODISCARD bool store_run_end(Store *s, uint64_t run_no, Str outcome, Str error_json, Err *err);
typedef struct StoreRun {
    uint64_t run_no, epoch;
    Str version, outcome, error_json; /* outcome empty: it runs, or was killed */
    int64_t started_ms, ended_ms;     /* wall clock; ended 0: not ended */
} StoreRun;
/* The newest run; strings in arena. *found false: never ran. */
NODISCARD bool store_last_run(Store *s, Arena *arena, StoreRun *out, bool *found, Err *err);
/* Operator-visible happenings: ejects, stops, resumes, created targets. The newest 10000 are kept. */
NODISCARD bool store_event(Store *s, Str source_id, Str kind, Str text, Err *err);

#endif
