/* Dates and times as bytes → text. Pure; for this folder. Fractions: n digits stand in (n + 1) / 2 bytes. */
#ifndef SM_DECODE_TEMPORAL_H
#define SM_DECODE_TEMPORAL_H

#include "base/str.h"

/* Longest text any of these writes, "-838:59:59.000000" and "0000-00-00 00:00:00.000000" included. */
enum { TEMPORAL_TEXT_MAX = 40 };

/* Writes the text of a column's value at o, no quotes and no terminator, at most TEMPORAL_TEXT_MAX bytes;
 * returns its end, or NULL when the type is not a temporal, len is not its length, or the bytes are
 * impossible. Impossible months and the like are text as they are stored. TIMESTAMP is UTC; second 0 is the
 * zero date. type: ColType; fsp: digits of the fraction (0 for the types without). */
char *temporal_put(char *o, unsigned type, unsigned fsp, const uint8_t *p, uint32_t len);

/* The 64 bit packed form inside JSON: DATE prints its date, the others six fraction digits. */
void temporal_packed_text(StrBuf *out, unsigned type, int64_t packed);

#endif
