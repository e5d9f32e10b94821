/* Where the stream of a source begins that was never read. */
#ifndef SM_PIPELINE_START_POINT_H
#define SM_PIPELINE_START_POINT_H

#include "config/task.h"
#include "db/conn.h"
#include "model/point.h"

/* Does the task file say where (mode incremental alone)? Else it is the server's present end. */
bool start_is_given(const Task *task, const SourceConfig *source);
/* What the task file says, as a point: with the server's identity, GTIDs where the source is followed by
 * GTID. Blocks. ERR_CONFIG_VALUE, ERR_SOURCE_PURGED. */
NODISCARD bool start_given(const SourceConfig *source, Conn *conn, StreamPoint *out, Err *err);
/* The server's present end. ERR_SOURCE_XA_OPEN: XA transactions are prepared there; *out is set all the same:
 * good for comparing, no place to begin at. */
NODISCARD bool start_present(const SourceConfig *source, Conn *conn, StreamPoint *out, Err *err);

#endif
