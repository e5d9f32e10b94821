/* The running task, shared by pipeline.c (life), streams.c (one stream's states), checkpoint.c (floors) and
 * status.c. */
#ifndef SM_PIPELINE_PIPELINE_IMPL_H
#define SM_PIPELINE_PIPELINE_IMPL_H

#include <pthread.h>
#include <stdatomic.h>
#include "apply/applier.h"
#include "base/budget.h"
#include "load/load.h"
#include "merge/merge.h"
#include "pipeline/catalog.h"
#include "pipeline/ddl.h"
#include "pipeline/ledger.h"
#include "pipeline/pipeline.h"
#include "source/source.h"

/* A stream's life, driven by the coordinator:
 *
 *   UNBORN ──floor known──► RUNNING ──source gave up──► DRAINING ──all applied──► FAILED
 *                             │ ▲                                                  │
 *         eject, pause, stop  │ └───────────── resume (floor read again) ◄─────────┤
 *                             ▼                                                    │
 *                          CLOSING ──quiet──► PAUSED | GRACE (retry later) | FAILED
 */
typedef enum CtlState {
    CTL_UNBORN, /* no floor yet, or not started yet */
    CTL_RUNNING,
    CTL_CLOSING,  /* closed in the merge; waiting for the thread's end and for what is in flight */
    CTL_DRAINING, /* the source ended by itself; what it delivered is still applied */
    CTL_GRACE,    /* waits for retry_at_ms, then runs again */
    CTL_PAUSED,   /* by the user */
    CTL_FAILED,   /* by an error; needs a resume */
    CTL_IDLE,     /* a catch-up stream without a round */
} CtlState;

typedef struct StreamCtl {
    struct Pipeline *pipeline;
    uint32_t index;
    const SourceConfig *config;
    const char *id;     /* in the meta schema; of a catch-up stream SOURCE#ROUND, heap */
    const char *name;   /* for messages; of a catch-up stream SOURCE#held, heap */
    Flavor flavor;      /* known when it runs */
    uint32_t round_run; /* of a catch-up stream: the first run of its round; 0: of an earlier process */
    Source *source;
    Load *load;  /* the copy of existing rows; NULL: mode incremental, and catch-up streams */
    Load *judge; /* of a catch-up stream: by what is copied; NULL: mode incremental, and main streams */

    /* the coordinator's */
    AppliedSet *applied; /* of the run under way; the source's thread reads it */
    bool digested;       /* the floor has passed everything in it */
    uint32_t run;
    _Atomic uint64_t written_first; /* window.first at the last floor write; status reads it */
    bool has_floor;                 /* a floor is stored downstream */
    int64_t trouble_since_ms;       /* first passing failure to begin a run; 0 none */
    struct StreamAsk *ask_first;    /* before it runs first; NULL: nothing is asked */
    struct StreamAsk *ask_goal;     /* likewise, for the goal */
    bool has_goal;                  /* until caught up: */
    StreamPoint goal;               /* where the server was when the copy was done */

    /* guarded by Pipeline.mutex */
    StreamPoint written_floor; /* the last one stored downstream: a restart begins here */
    CtlState state;
    CtlState after_closing; /* PAUSED, GRACE or FAILED */
    bool ask_pause, ask_resume;
    bool pinned;
    struct Holders *holders; /* CLOSING, DRAINING: it rests; who holds its key is asked. The coordinator's */
    Err error;               /* why FAILED, GRACE, or the last failed try */
    int64_t retry_at_ms;
    int64_t grace_since_ms;     /* first collision of the culprit; 0 none */
    uint64_t behind;            /* GRACE: it waits for rows that are held (ddl_held_beside); 0: no */
    uint64_t behind_seen;       /* the coordinator's: ddl_held_beside as asked last */
    unsigned behind_tries;      /* without any of them written */
    TxnId culprit;              /* the transaction that was ejected last; file is heap */
    const Member *culprit_copy; /* it was a chunk of this member's rows; NULL: a transaction */
    const Binding *collision_binding;
    char *collision_key, *collision_condition; /* heap */
    int64_t since_ms;                          /* in this state */
} StreamCtl;

/* How far the copy was at some moment. */
typedef struct LoadSample {
    int64_t at_ms;
    uint64_t rows, bytes;
} LoadSample;

struct Pipeline {
    const Task *task;
    Store *store;
    bool until_caught_up;
    Catalog *catalog;
    Budget budget;
    Merge *merge;
    Ledger ledger;
    StreamCtl *streams;
    uint32_t n_streams; /* main streams, then one catch-up stream for each */
    uint32_t n_sources;
    bool follows;    /* schema changes */
    struct Ddl *ddl; /* NULL: schema changes of routed tables stop their source */
    Applier **appliers;
    pthread_t *applier_threads;
    uint32_t n_appliers;
    struct Remap *remap;           /* the appliers' */
    bool (*stop_asked)(void *ctx); /* PipelineOpts' */
    void *stop_ctx;
    pthread_t dispatcher, coordinator;
    bool threads_run;
    Str *stream_ids;
    SessionVarText *vars;

    /* the coordinator's (and start's, before it runs) */
    Conn *meta;
    Dialect dialect;
    SessionOpts session;
    ConnCancel *cancel;           /* of the coordinator's connections: fired when a stop takes too long */
    char downstream_version[128]; /* as found at start; never written later */
    bool downstream_is_tidb;
    MetaTask meta_task;
    char *uuid;
    uint64_t epoch, checkpoint, state_checkpoint;
    uint64_t run_no;
    int64_t last_checkpoint_ms, last_ask_ms;
    int64_t meta_trouble_since_ms;

    pthread_mutex_t mutex;  /* guards the streams' states and below */
    pthread_cond_t changed; /* a state changed, or something is asked for */
    bool stopping, ended;
    LoadSample load_samples[2]; /* older, newer */
    PipelineEnd end;
    Err fatal;
    _Atomic int64_t started_ms;
};

/* What a stream's changes are asked of before they are dispatched. */
static inline Load *stream_load(const StreamCtl *c)
{
    return c->load ? c->load : c->judge;
}

/* streams.c */
void stream_set_state(StreamCtl *c, CtlState state); /* mutex held */
void stream_tick(Pipeline *p, StreamCtl *c);         /* coordinator: one step of its life */
void pipeline_eject(Pipeline *p, const Txn *t, Err *err, const ApplyCollision *collision);
/* Ends the run from outside: closes the stream in the merge, wakes its thread and the copy's. Any thread. */
void stream_halt(StreamCtl *c);
/* Ends the run of this source because of what another part found: its copy cannot go on, a lock stops it.
 * *err is moved from. Any thread. */
void pipeline_source_failed(Pipeline *p, uint32_t source, Err *err);
void stream_ctl_done(StreamCtl *c);
/* A catch-up stream gets another identity; it is idle. mutex held. */
void stream_new_round(StreamCtl *c, Str id);

/* checkpoint.c */
/* Writes the floors when something moved and it is time (or force). False: try again later (*err passing), or
 * fatal. */
NODISCARD bool checkpoint_tick(Pipeline *p, bool force, Err *err);
NODISCARD bool checkpoint_connect(Pipeline *p, Err *err);
/* The floor with which a stream begins. */
NODISCARD bool checkpoint_first_floor(Pipeline *p, Str stream, const StreamPoint *at, Err *err);
void checkpoint_disconnect(Pipeline *p);
const char *ctl_state_name(Pipeline *p, const StreamCtl *c); /* mutex held */

/* status.c */
/* This floor is stored downstream now. */
void stream_floor_written(Pipeline *p, StreamCtl *c, const StreamPoint *floor);
/* A copy of it, for point_done. Takes the pipeline's mutex. */
void stream_written_floor(const StreamCtl *c, StreamPoint *out);
/* Has this stream's floor, as it is stored, reached the goal: the server's end behind the first call? The
 * server is asked by a thread of its own, and false is the answer meanwhile. A source that is written to
 * without a pause is caught up, too. Coordinator. */
NODISCARD bool stream_is_caught_up(StreamCtl *c, bool *caught_up, Err *err);
/* Is every stream that can go on? *failed: one cannot go on. Coordinator. */
bool streams_are_caught_up(Pipeline *p, bool *failed);
/* There is something to be done before it may count as caught up. Coordinator. */
void stream_forget_goal(StreamCtl *c);
/* A short question to the source, by any thread but the stream's own. */
NODISCARD bool stream_connect(StreamCtl *c, Conn **out, Err *err);
/* The same, ended by another cancel than the pipeline's. */
NODISCARD bool stream_connect_until(StreamCtl *c, ConnCancel *cancel, Conn **out, Err *err);
NODISCARD bool stream_server_end(StreamCtl *c, StreamPoint *out, Err *err);

/* load_status.c: new reference. Any thread. */
json_t *load_status_json(Pipeline *p);

/* pipeline.c */
void pipeline_fail(Pipeline *p, Err *err); /* *err is moved from; the first one counts */

#endif
