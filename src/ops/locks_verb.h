/* locks: the sharding-DDL locks of a task, live or as the state folder keeps them; and decisions about them.
 */
#ifndef SM_OPS_LOCKS_VERB_H
#define SM_OPS_LOCKS_VERB_H

#include <jansson.h>
#include "ops/options.h"

/* dir: the state folder. 0: no lock waits, or the decision was taken; 1: a lock waits. Main thread. */
NODISCARD int locks_verb(const char *dir, const CliOpts *opts, StrBuf *out, Err *err);
/* Asks the running task for this decision about what the options name. */
NODISCARD int locks_decide(const char *dir, const CliOpts *opts, const char *decision, StrBuf *out, Err *err);
/* Locks as text. */
void locks_text(const json_t *locks, StrBuf *out);

#endif
