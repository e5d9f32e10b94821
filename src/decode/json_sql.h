/* JSON text → SQL that makes the same document in a server with a JSON type of its own. Pure. */
#ifndef SM_DECODE_JSON_SQL_H
#define SM_DECODE_JSON_SQL_H

#include "base/err.h"
#include "base/str.h"
#include "model/codec.h"

/* Does the text hold a number that is not what a server prints of a DOUBLE or a 64-bit integer? MySQL keeps
 * such numbers as decimals (1.10, 30 digits), but reads them from text as doubles: digits get lost. */
bool json_sql_needs_decimals(Str text);

/* Appends text as SQL for a JSON column.
 *   JSON_DECIMALS  a quoted literal, or, when a number needs it, JSON_OBJECT(…), JSON_ARRAY(…) and CAST(… AS
 *                  JSON) around just those numbers, so that they stay decimals with all their digits
 *   JSON_DOUBLES   a quoted literal; ERR_DECODE_VALUE when a double has not all digits of a number
 *   JSON_TEXT      a quoted literal
 * Text that is no JSON goes out as a literal: the server judges it. */
NODISCARD bool json_sql(Str text, JsonKind kind, StrBuf *out, Err *err);

#endif
