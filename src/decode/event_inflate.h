/* MariaDB's compressed pieces of events: log_bin_compress (statements, rows) and COMPRESSED columns. Pure.
 * Source of truth: query_event_uncompress, row_log_event_uncompress (sql/log_event.cc) and Compression_method
 * (sql/field_comp.cc) of MariaDB. */
#ifndef SM_DECODE_EVENT_INFLATE_H
#define SM_DECODE_EVENT_INFLATE_H

#include "base/err.h"
#include "base/str.h"

/* Appends what a compressed record inflates to:
 *   0     1   0x80 | bytes of the length (n, 1..4); bits 4..6 are the algorithm: 0 zlib
 *   1     n   length when inflated, big-endian
 *   1+n   …   zlib stream to the end
 * ERR_CORRUPT; ERR_DECODE_UNSUPPORTED: another algorithm. On an error out is as it was. */
NODISCARD bool event_inflate(Str record, StrBuf *out, Err *err);

/* Body of a QUERY_COMPRESSED event → body of a QUERY event, appended. */
NODISCARD bool event_query_inflate(Str body, StrBuf *out, Err *err);

/* Appends the value of a COMPRESSED column:
 *   empty: the empty value
 *   0     1   0: the value follows as it is; else 0x80 | (8: a stream without zlib's wrap) | bytes of the
 * length (n, 1..4) 1     n   length when inflated, big-endian 1+n   …   deflate stream to the end Same
 * errors. */
NODISCARD bool column_inflate(Str value, StrBuf *out, Err *err);

#endif
