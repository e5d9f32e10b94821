/* A start without shard-mode of a task that had it: does anything on record need it? */
#ifndef SM_PIPELINE_UNFOLLOW_H
#define SM_PIPELINE_UNFOLLOW_H

#include "store/store.h"

/* True when no schema change was followed: only shard tables that were made since then are on record, and
 * their definitions with them. Else ERR_STATE_TASK_CHANGED names a table and what waits: nobody would read
 * held rows again, keep tables out that have left, or know which definition rows have. Blocks on disk. */
NODISCARD bool unfollow_check(Store *s, Err *err);

#endif
