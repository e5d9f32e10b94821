/* schema: what the task knows of the definitions of shard tables; and the one of a table where its stream
 * begins, given by an operator. */
#ifndef SM_OPS_SCHEMA_VERB_H
#define SM_OPS_SCHEMA_VERB_H

#include "config/task.h"
#include "ops/options.h"

/* dir: the state folder; task: NULL with --state-dir. 0: answered, or (--set) shown to be true; 1: it is not
 * shown, and nothing was changed. Main thread. */
NODISCARD int schema_verb(const Task *task, const char *dir, const CliOpts *opts, StrBuf *out, Err *err);

#endif
