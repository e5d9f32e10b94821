/* The verb `run`: one task in the foreground, with its control socket, signals, live page or progress lines.
 */
#ifndef SM_OPS_RUN_VERB_H
#define SM_OPS_RUN_VERB_H

#include "config/task.h"
#include "ops/options.h"

/* Runs the task to its end and returns the exit status; *err is set when that is not 0, and has been logged.
 * out: the last status object with
 * --json. SIGINT, SIGTERM and SIGHUP begin a clean stop; a second one, or one before the stages run, ends the
 * process at once (128 + signal): the state is safe at any instant. Main thread, before other threads; blocks
 * until the end. */
NODISCARD int run_verb(const Task *task, const CliOpts *opts, StrBuf *out, Err *err);

#endif
