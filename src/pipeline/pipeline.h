/* Wires the stages of one task, supervises them, shuts them down. */
#ifndef SM_PIPELINE_PIPELINE_H
#define SM_PIPELINE_PIPELINE_H

#include <jansson.h>
#include "base/err.h"
#include "config/task.h"
#include "store/store.h"

typedef struct Pipeline Pipeline;

typedef struct PipelineOpts {
    const Task *task;     /* outlives the pipeline */
    Store *store;         /* open and locked; outlives the pipeline */
    bool until_caught_up; /* end by itself once caught up */
    bool (*stop_asked)(
        void *ctx); /* asked while a start reaches its servers, any thread; may be NULL. Then
                       pipeline_start fails with ERR_CANCELLED or what it was about to try again */
    void *ctx;
} PipelineOpts;

typedef enum PipelineEnd {
    PIPELINE_STOPPED,   /* asked to, cleanly */
    PIPELINE_CAUGHT_UP, /* until_caught_up reached */
    PIPELINE_FAILED,    /* *err tells */
} PipelineEnd;

/* Checks the state against the task and the downstream, creates meta schema and missing targets, takes the
 * epoch, starts all threads. Blocks on servers; what passes (a server that restarts) is tried again for as
 * long as the task's retry-max says. Main thread. */
NODISCARD bool pipeline_start(const PipelineOpts *opts, Pipeline **out, Err *err);
/* Any thread, also a signal-handling one (not a handler): begins a clean stop. */
void pipeline_request_stop(Pipeline *p);
/* Waits for the end and joins every thread. Main thread. */
PipelineEnd pipeline_wait(Pipeline *p, Err *err);
void pipeline_free(Pipeline *p);

/* The status object of the design's section 11, new reference. ask_servers: asks every source for its present
 * end, so that caught_up is exact at the moment of the call (blocks on the servers); otherwise caught_up
 * comes from the last heartbeat. Any thread. */
json_t *pipeline_status(Pipeline *p, bool ask_servers);
/* source_id NULL = all. Durable. Any thread. ERR_OPS_NO_SUCH_SOURCE. */
NODISCARD bool pipeline_pause(Pipeline *p, const char *source_id, Str by, Err *err);
NODISCARD bool pipeline_resume(Pipeline *p, const char *source_id, Str by, Err *err);

/* Locks of targets as JSON, new reference; NULL target: all. Any thread. */
json_t *pipeline_locks(Pipeline *p, const char *target);
/* An operator's decision; words: what it does, or (preview) would do. Any thread. ERR_LOCK_*, ERR_USAGE,
 * ERR_NOT_SUPPORTED. */
typedef struct PipelineDecision {
    const char *decision, *target, *source, *table, *by; /* NULL: not given */
    const char *const *sql;                              /* replace: the statements */
    size_t n_sql;
    bool preview;
} PipelineDecision;
NODISCARD bool pipeline_decide(Pipeline *p, const PipelineDecision *d, StrBuf *words, Err *err);

/* An operator's decision about a row that lost a collision, exactly once; words: what it does, or (preview)
 * would do. Any thread; blocks on the downstream. ERR_USAGE, ERR_PARKED_DECISION, ERR_DB_*. */
typedef struct PipelineConflict {
    const char *decision; /* keep, swap, rename, undo */
    const char *target;   /* schema.table; NULL: the only one that parks */
    uint64_t id;          /* of the parked row; undo: the decision's number */
    const char **set;     /* rename: COLUMN=VALUE */
    size_t n_set;
    const char *by;
    bool preview;
} PipelineConflict;
NODISCARD bool pipeline_conflict(Pipeline *p, const PipelineConflict *c, StrBuf *words, Err *err);

#endif
