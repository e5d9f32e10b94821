/* Shared by the files of this folder only. */
#ifndef SM_DECODE_INTERNAL_H
#define SM_DECODE_INTERNAL_H

#include "base/err.h"
#include "base/str.h"

/* Sets ERR_DECODE_TRUNCATED for an event of that type; returns false. */
bool decode_event_cut(Err *err, unsigned type);

/* Room for n bytes at out's end without a call when it is there; then the bytes are written and sb_end says
 * where they end. */
static inline char *sb_room(StrBuf *out, size_t n)
{
    if (UNLIKELY(out->cap - out->len <= n)) sb_reserve(out, n);
    return out->ptr + out->len;
}
static inline void sb_end(StrBuf *out, char *end)
{
    *end = 0;
    out->len = (size_t)(end - out->ptr);
}

/* Bytes of a DECIMAL(precision, scale) in its packed form: 9 digits in 4 bytes, a rest of 1..8 digits
 * in 1..4. */
static inline uint32_t decimal_bytes(unsigned precision, unsigned scale)
{
    static const uint8_t rest[] = {0, 1, 1, 2, 2, 3, 3, 4, 4, 4};
    unsigned whole = precision - scale;
    return whole / 9 * 4 + rest[whole % 9] + scale / 9 * 4 + rest[scale % 9];
}
enum { DECIMAL_MAX_PRECISION = 81 }; /* JSON's opaque decimals go beyond a column's 65 */

/* Appends a packed DECIMAL as text with its whole scale; false when n is not its length or a digit group is
 * too large. Layout: sign bit of the first byte set = not negative; negative values have all bits inverted.
 */
bool decimal_text(StrBuf *out, const uint8_t *p, uint32_t n, unsigned precision, unsigned scale);

/* Shortest decimal digits that read back as v (finite): digits (at most 17, no trailing zero; "0" for zero)
 * with the decimal point in front of digits[*point]; returns their number. The sign is not among them. */
unsigned double_digits(double v, char digits[24], int *point);
/* As the servers print a DOUBLE: 0.1, 1e20, 1.5e-20. */
void double_text(StrBuf *out, double v);
/* A SQL DOUBLE literal: always with an exponent, so that it is never read as a DECIMAL. */
void double_sql(StrBuf *out, double v);

#endif
