/* The `check` verb: looks at sources and downstream before anything runs, and says what would stop the task,
 * what would hurt it, and which GRANT or setting mends it. Touches nothing that stays: the downstream probe
 * is undone. */
#ifndef SM_OPS_CHECK_VERB_H
#define SM_OPS_CHECK_VERB_H

#include "base/err.h"
#include "config/task.h"

typedef struct CheckOpts {
    bool json;
} CheckOpts;

/* Runs all checks and appends the report to out (a table for people, or one JSON object). Returns the exit
 * status: 0 nothing fails, 1 some finding fails; 2 and above when the check itself could not be made (*err is
 * set; out then holds what was found until then). Main thread; blocks on the servers' answers. */
int check_verb(const Task *task, const CheckOpts *opts, StrBuf *out, Err *err);

#endif
