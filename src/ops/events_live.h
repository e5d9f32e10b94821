/* A live source for the verb events: where its binlog is to be read from, and when its end is reached. */
#ifndef SM_OPS_EVENTS_LIVE_H
#define SM_OPS_EVENTS_LIVE_H

#include "config/task.h"
#include "ops/events_filter.h"

typedef struct EventsLive EventsLive;

/* Finds the file that `from` stands in and opens a stream there, as one more replica with a server_id of its
 * own. Blocks. ERR_SOURCE_PURGED and what stream_open says. */
NODISCARD bool events_live_open(const SourceConfig *source, const EventsPoint *from, EventsLive **out,
                                Err *err);
void events_live_close(EventsLive *l); /* NULL allowed */
/* The next event; *end: follow is off and the server's end of the time of the call to open is reached: then
 * there is no event. *out->whole is empty when nothing came but a heartbeat. Blocks; wake-up: heartbeats. */
NODISCARD bool events_live_next(EventsLive *l, bool follow, RawEvent *out, bool *end, Err *err);
const FormatDescription *events_live_format(const EventsLive *l);

#endif
