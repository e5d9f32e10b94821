/* One binlog stream: connects as a replica, checks identity and history, reads framed events. No decoding
 * beyond what framing needs (FORMAT_DESCRIPTION, ROTATE, HEARTBEAT). Owned by its source's thread;
 * stream_interrupt from any. */
#ifndef SM_SOURCE_STREAM_H
#define SM_SOURCE_STREAM_H

#include "db/server.h"
#include "decode/event.h"
#include "model/point.h"

typedef struct StreamOpts {
    const char *source_id; /* for messages; all texts here must outlive the stream */
    ConnOpts conn; /* conn.cancel, when set, ends a blocked stream_open and stream_next from another thread */
    Flavor flavor; /* FLAVOR_UNKNOWN: detect; otherwise it must match the server */
    uint32_t server_id;    /* 0: choose one that no other replica of this server uses */
    uint64_t heartbeat_ms; /* 0: 5 s. Silence for three of them (and 10 s) counts as a lost connection */
    bool use_gtid;         /* false: file:position even where the server has GTIDs */
} StreamOpts;

typedef struct Stream Stream;

typedef struct RawEvent {
    EventHeader header;
    Str body;                    /* without header and checksum; view until the next stream_next */
    Str whole;                   /* as received */
    Str file;                    /* file it stands in; view */
    uint64_t start_pos, end_pos; /* 64-bit running positions in file */
    uint32_t crc; /* CRC32 of the event less its own checksum; 0 for row events without checksums */
} RawEvent;

typedef enum StreamResult {
    STREAM_EVENT,   /* any event that stands in a file, FORMAT_DESCRIPTION too; ROTATE and HEARTBEAT never */
    STREAM_ROTATED, /* now in another file: *out.file, end_pos tell where; header is set. A transaction still
                       open then was never finished: the server crashed while it wrote it */
    STREAM_HEARTBEAT, /* alive; *out.file/end_pos: how far the server has read; header is set */
    STREAM_FAILED,    /* *err: class says retry or stop */
} StreamResult;

/* `from` by file:position while use_gtid: the set at that position is read first, the stream goes on by GTID.
 * Connects, reads the server's identity, compares history (from->evidence; design: RESET, restored server,
 * failover to a replica whose files differ), checks that our set is within the executed set and covers the
 * purged one, chooses server_id, and asks for the dump from `from`. An empty `from` (no gtids, no file) = the
 * server's current end. On success *resolved (may be NULL; the caller calls point_done) is the point it
 * starts at, with server identity. ERR_SOURCE_PURGED, ERR_SOURCE_HISTORY, ERR_SOURCE_SERVER_ID,
 * ERR_SOURCE_SETTING (log_bin off, format …), ERR_DB_*. */
NODISCARD bool stream_open(const StreamOpts *opts, const StreamPoint *from, Stream **out,
                           StreamPoint *resolved, Err *err);
StreamResult stream_next(Stream *s, RawEvent *out, Err *err);
/* Ends a blocked stream_next from another thread (stream_open: fire opts.conn.cancel). */
void stream_interrupt(Stream *s);
void stream_close(Stream *s);
const FormatDescription *stream_format(const Stream *s);
const char *stream_server(const Stream *s); /* server_uuid, or "server_id:N" for MariaDB */
Flavor stream_flavor(const Stream *s);

#endif
