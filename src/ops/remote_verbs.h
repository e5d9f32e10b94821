/* The verbs that talk to a running task through its control socket: status, pause, resume, stop. */
#ifndef SM_OPS_REMOTE_VERBS_H
#define SM_OPS_REMOTE_VERBS_H

#include "ops/options.h"

/* dir: the state folder. Appends the answer to out and returns the exit status; *err is set when there is
 * none. Main thread; block on the running process, which may ask its servers. */

/* Without a running process: what the state folder keeps. 1 when the task or a source has failed. --wait: 0
 * once caught up, 1 when time is up, a source has failed, or no process runs for ten seconds. */
NODISCARD int status_verb(const char *dir, const CliOpts *opts, StrBuf *out, Err *err);
/* pause, resume; stop with a source pauses it, without one waits until the process has ended. */
NODISCARD int control_verb(const char *dir, const CliOpts *opts, StrBuf *out, Err *err);

/* Appends the name of the user who runs this program. */
void who_asks(StrBuf *out);

#endif
