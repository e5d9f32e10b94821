/* The `conflicts` verb: the rows that lost a collision and are parked beside their target, and what operators
 * decide about them. */
#ifndef SM_OPS_CONFLICTS_VERB_H
#define SM_OPS_CONFLICTS_VERB_H

#include "base/err.h"
#include "config/task.h"
#include "ops/options.h"

typedef struct ConflictsOpts {
    bool json;
    bool show;      /* values too: the parked row, and the rows of the target that have its keys */
    uint64_t limit; /* rows a target; 0: 100 */
    bool color;
} ConflictsOpts;

/* Exit status: 0 nothing is parked, 1 something is; 2 and above with *err. Works beside the running task.
 * Main thread; blocks on the downstream. */
int conflicts_verb(const Task *task, const ConflictsOpts *opts, StrBuf *out, Err *err);

/* --decide: through the running task (dir: its state folder), a preview without --yes. 0: decided, or it
 * could be; ERR_OPS_NOT_RUNNING, ERR_PARKED_DECISION. Main thread. */
int conflicts_decide(const char *dir, const CliOpts *opts, StrBuf *out, Err *err);

#endif
