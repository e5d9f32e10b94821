/* ddl: the journal of statements that changed targets, from the meta schema downstream. */
#ifndef SM_OPS_DDL_VERB_H
#define SM_OPS_DDL_VERB_H

#include "config/task.h"
#include "ops/options.h"

/* 0: nothing failed, or what failed is done by now; 1: a statement has failed. Main thread. */
NODISCARD int ddl_verb(const Task *task, const CliOpts *opts, StrBuf *out, Err *err);
/* What an operator decides about a statement that failed: "retry", "skip". dir: the state folder of the
 * running task. */
NODISCARD int ddl_verb_decide(const char *dir, const CliOpts *opts, StrBuf *out, Err *err);

#endif
