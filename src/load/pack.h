/* Values as a row image holds them: decimals and temporals into bytes. Pure; for this folder. The other
 * direction: decode/value.h. Fractions: n digits stand in (n + 1) / 2 bytes. */
#ifndef SM_LOAD_PACK_H
#define SM_LOAD_PACK_H

#include "db/stmt.h"
#include "model/coltype.h"

enum { PACK_DECIMAL_MAX_PRECISION = 65 };

/* Bytes of a DECIMAL(precision, scale): 9 digits in 4 bytes, a rest of 1..8 digits in 1..4. */
uint32_t pack_decimal_bytes(unsigned precision, unsigned scale);
/* Writes pack_decimal_bytes bytes of a decimal text ("-0012.30"); false when it is none of that precision and
 * scale. Layout: groups of digits big-endian, the first byte's highest bit turned; all bits inverted when
 * negative. */
NODISCARD bool pack_decimal(uint8_t *to, Str text, unsigned precision, unsigned scale);

/* Bytes of a temporal column; type: ColType; fsp: digits of the fraction (0 for the types without). */
uint32_t pack_temporal_bytes(unsigned type, unsigned fsp);
/* Writes them; false when the parts are out of their bits or make no moment (TIMESTAMP, which is UTC; all
 * parts zero is its zero date). Partial and impossible dates are kept as they are. */
NODISCARD bool pack_temporal(uint8_t *to, unsigned type, unsigned fsp, const StmtTime *t);

#endif
