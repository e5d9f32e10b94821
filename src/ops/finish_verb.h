/* The `finish` verb: after cut-over the application inserts into the merged tables itself. Sets the next
 * AUTO_INCREMENT of each target above every id there is, and gives it back to a target that was made without
 * it. Without --yes it only says what it would do. */
#ifndef SM_OPS_FINISH_VERB_H
#define SM_OPS_FINISH_VERB_H

#include "base/err.h"
#include "config/task.h"

typedef struct FinishOpts {
    bool json;
    bool yes;   /* do it */
    bool force; /* though the task runs, or its sources have changes that are not merged */
    bool color;
} FinishOpts;

/* dir: the task's state folder. Returns the exit status: 0 all targets are ready, or would be; 1 something is
 * in the way (the answer says what). 2 and above with *err: ERR_STORE_*, ERR_DB_*. Holds the task's lock
 * meanwhile, so that no run begins. Main thread; blocks on the servers. */
int finish_verb(const Task *task, const char *dir, const FinishOpts *opts, StrBuf *out, Err *err);

/* -- the parts that need no server, for tests -- */

/* The largest id of a column of this DATA_TYPE; 0: not an integer type. */
uint64_t finish_type_limit(Str data_type, bool is_unsigned);

#endif
