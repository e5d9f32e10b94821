/* What `status` says: the status object of a task without a running process, and its form for people. */
#ifndef SM_OPS_STATUS_H
#define SM_OPS_STATUS_H

#include <jansson.h>
#include "store/store.h"

/* The status object from what the state folder keeps (no server is asked; "running" is false, positions and
 * counters are those of the last checkpoint; store NULL: there is no state yet). state NULL: derived from the
 * last run; "starting" while the process starts. *out is a new reference. Blocks on disk; any thread. */
NODISCARD bool status_offline(Store *store, const char *state, json_t **out, Err *err);

/* Appends the status object for people. Pure: the object says everything. rates (per source "rows_per_s"
 * members) are shown when there. */
void status_text(const json_t *status, bool color, StrBuf *out);

/* Does anything need a hand? (a failed or error-paused source, a failed task) */
bool status_has_problem(const json_t *status);

/* A member that is a count, or a rate rounded to one; 0 when it is not there. */
uint64_t status_count(const json_t *object, const char *key);

#endif
