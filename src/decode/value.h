/* One column's bytes → a value. Pure; hot path of the appliers. */
#ifndef SM_DECODE_VALUE_H
#define SM_DECODE_VALUE_H

#include "base/err.h"
#include "base/str.h"
#include "model/codec.h"

/* Appends the value as a SQL literal for a session with utf8mb4, time_zone +00:00 and without
 * NO_BACKSLASH_ESCAPES:
 *   integers, YEAR, BIT, DECIMAL: digits (YEAR 0 → 0);
 *   FLOAT, DOUBLE: shortest text that reads back to the same bits as a DOUBLE, always with an exponent (a
 * FLOAT is written as the exact double it is, so that it also compares equal in WHERE); temporals: quoted
 * text with their fsp digits; zero, partial and impossible dates as they are stored; text: '…' for TEXT_UTF8,
 * _charset x'…' for TEXT_OTHER, _binary'…' for TEXT_BINARY (BINARY(n) padded to n); ENUM, SET: member text
 * where the codec lists members and knows the value, else the number; JSON: MySQL's binary form as quoted
 * utf8mb4 text; NULL: NULL. FIELD_ABSENT is a CHECK failure, and so is text of TEXT_NONE. On an error out is
 * as it was. ERR_DECODE_VALUE: impossible bytes; the message names the type, never the value. */
NODISCARD bool value_sql(StrBuf *out, const ColumnCodec *codec, Field f, Err *err);

/* The value as people read it (no quotes; text bytes as they are; binary as 0x hex), for events and messages
 * that were asked to show values. Same errors. */
NODISCARD bool value_text(StrBuf *out, const ColumnCodec *codec, Field f, Err *err);

/* Canonical bytes for equality of keys under KEY_FOLD_EXACT/BYTES: the raw bytes for all types but those that
 * need care (BINARY padding, negative zero). Appends to out. */
void value_key_bytes(StrBuf *out, const ColumnCodec *codec, Field f);

/* Unsigned/signed integer value of an integer-typed field (TINY…LONGLONG, YEAR): sign-extended to 64
 * bits. */
int64_t value_int(const ColumnCodec *codec, Field f);

#endif
