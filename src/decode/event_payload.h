/* TRANSACTION_PAYLOAD: a whole transaction's events in one event, compressed with zstd or as they are. They
 * are inflated as a stream: no more is held than the largest of them. Pure; one owner at a time.
 *
 * Body: fields (type, length, value), each a length-encoded integer, until a type 0; then the payload.
 *   type  value
 *   1     bytes of the payload
 *   2     compression: 0 zstd, 255 none
 *   3     bytes of the payload when inflated
 * Source of truth: libs/mysql/binlog/event/codecs/binary.cpp and transaction_payload_codec of MySQL. Other
 * types are passed over. The events inside have headers and no checksums; their positions mean nothing. */
#ifndef SM_DECODE_EVENT_PAYLOAD_H
#define SM_DECODE_EVENT_PAYLOAD_H

#include "decode/event.h"

typedef struct PayloadReader PayloadReader;

/* Made once, used for any number of payloads. */
PayloadReader *payload_new(void);
void payload_free(PayloadReader *p);
/* Begins another payload; body must stay until its last event was taken. ERR_CORRUPT, ERR_DECODE_TRUNCATED,
 * ERR_DECODE_UNSUPPORTED (an unknown compression). */
NODISCARD bool payload_begin(PayloadReader *p, Str body, Err *err);
/* The next event; *body is a view until the next call. *last: nothing stands behind it, and the payload was
 * whole and as long as it said; do not call again. ERR_CORRUPT. */
NODISCARD bool payload_next(PayloadReader *p, EventHeader *h, Str *body, bool *last, Err *err);

#endif
