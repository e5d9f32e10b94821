/* A source: one thread that keeps a stream open, feeds the assembler, and reconnects with backoff by class of
 * error. */
#ifndef SM_SOURCE_SOURCE_H
#define SM_SOURCE_SOURCE_H

#include "source/assemble.h"

typedef enum SourceState {
    SOURCE_IDLE, /* thread not running */
    SOURCE_CONNECTING,
    SOURCE_STREAMING,
    SOURCE_BACKOFF, /* waiting before the next try; error says why */
    SOURCE_FAILED,  /* stopped by an error that needs a hand; the thread has ended */
} SourceState;

typedef struct SourceOpts {
    StreamOpts stream;
    AssembleOpts assemble; /* source, source_id, spill_dir, limits, budget, hooks; run, server, flavor,
                              applied are set per start */
    /* Between two transactions, at this point: in the source's thread, or in that of source_poke. Short,
     * never blocks. NULL: nobody asks. */
    void (*boundary)(void *ctx, uint32_t source, const StreamPoint *at);
    unsigned retry_max_s; /* the same retryable error without any progress for longer than this: failed */
} SourceOpts;

typedef struct Source Source;

typedef struct SourceStatus {
    SourceState state;
    uint64_t events, bytes, transactions; /* read in this process */
    StreamPoint read;           /* behind the last delivered transaction; the caller calls point_done */
    uint32_t last_timestamp;    /* of the last event, source's clock, seconds; 0 none yet */
    int64_t last_event_mono_ms; /* when the last event or heartbeat came in */
    bool at_server_end;         /* the last thing read was a heartbeat: nothing more to read then */
    unsigned reconnects;
    Err error; /* BACKOFF, FAILED; the caller calls err_clear */
} SourceStatus;

Source *source_new(const SourceOpts *opts);
/* Starts the thread at `from` with the applied set above it (owned by the caller until source_join). */
NODISCARD bool source_start(Source *s, const StreamPoint *from, const AppliedSet *applied, uint32_t run,
                            Err *err);
/* Asks the thread to end; returns at once. Wakes it from network waits, backoff and (through the caller's
 * hooks) nothing else: the caller makes a blocked deliver return false. */
void source_stop(Source *s);
/* Calls the boundary hook soon: at once when the thread waits for the server between two transactions, else
 * at its next boundary. Nothing while it does not stream. Any thread; never blocks for long. */
void source_poke(Source *s);
bool source_is_stopping(Source *s);
/* Waits for the thread; then source_start may be called again. */
void source_join(Source *s);
void source_free(Source *s);
void source_status(Source *s, SourceStatus *out); /* any thread */

#endif
