/* Is this server's history the one followed so far? Computed by us: after a RESET with more new transactions
 * than before, a GTID dump silently sends only the tail. */
#ifndef SM_SOURCE_HISTORY_H
#define SM_SOURCE_HISTORY_H

#include "db/server.h"
#include "source/stream.h"

/* Our set is within the server's executed one and covers its purged one. ERR_SOURCE_HISTORY,
 * ERR_SOURCE_PURGED. */
NODISCARD bool history_check_gtids(Conn *c, const ServerFacts *facts, const ServerLogs *logs,
                                   const GtidSet *ours, Err *err);
/* Pure part of it: both sets as the server told them; purged may be NULL (not known). */
NODISCARD bool history_compare(const GtidSet *ours, const GtidSet *executed, const GtidSet *purged, Err *err);
/* File and position exist. ERR_SOURCE_PURGED, ERR_SOURCE_HISTORY. */
NODISCARD bool history_check_position(const ServerLogs *logs, Str file, uint64_t pos, Err *err);
/* The last transaction's last event is still what it was, read through a connection of its own. A file that
 * was purged meanwhile proves nothing and passes when by_gtid. ERR_SOURCE_HISTORY. */
NODISCARD bool history_check_evidence(const StreamOpts *opts, const ServerFacts *facts,
                                      const ServerLogs *logs, const StreamPoint *from, uint32_t server_id,
                                      Err *err);
/* pos is between transactions: what begins there is a transaction, or nothing yet. ERR_SOURCE_SETTING. */
NODISCARD bool history_check_boundary(const StreamOpts *opts, const ServerFacts *facts, uint32_t server_id,
                                      Str file, uint64_t pos, Err *err);
/* The GTID set of everything before (file, pos): for a start by file:position of a stream that goes on by
 * GTID. ERR_SOURCE_SETTING when pos is not between transactions. */
NODISCARD bool history_gtids_at(Conn *c, const StreamOpts *opts, const ServerFacts *facts, uint32_t server_id,
                                Str file, uint64_t pos, GtidSet **out, Err *err);

#endif
