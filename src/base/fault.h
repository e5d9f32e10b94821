/* Named fault points, for the crash matrix. Off (one load of a NULL pointer) unless SHARDMERGE_FAULTS is set:
 *   SHARDMERGE_FAULTS="apply.after_commit=kill@3;source.read=error@1;apply.before_commit=delay:200"
 * NAME=ACTION[@N]: at the N-th passage (default 1; @* = every one); ACTION is kill (SIGKILL to ourselves),
 * error (FAULT yields true, the caller fails as the real thing would) or delay:MS. */
#ifndef SM_BASE_FAULT_H
#define SM_BASE_FAULT_H

#include <stdbool.h>
#include "base/err.h"

struct FaultSet;
extern struct FaultSet *fault_set; /* NULL: no faults */

/* Reads the environment variable; called once by main before any thread starts. */
NODISCARD bool fault_init(Err *err);
/* Slow path; use FAULT. True when the caller shall fail. */
bool fault_hit(const char *name);

#define FAULT(name) (UNLIKELY(fault_set != NULL) && fault_hit(name))

#endif
