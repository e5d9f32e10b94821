/* The verb events: prints what stands in binlog files, or in the binlog of a live source. */
#ifndef SM_OPS_EVENTS_VERB_H
#define SM_OPS_EVENTS_VERB_H

#include "config/task.h"
#include "ops/options.h"

/* Prints to standard output as it reads. task NULL: the files of opts->arguments; else its source
 * opts->source_id, up to the server's end at the start of the call (or on and on with follow). Returns the
 * exit status; *err says why it is not 0: what could not be read stands among the lines as well. Blocks; main
 * thread. */
int events_verb(const Task *task, const CliOpts *opts, Err *err);

#endif
