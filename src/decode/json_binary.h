/* MySQL's binary JSON → text, as the server prints it (JSON_PRETTY is not used: the compact form with ", "
 * and ": "). Source of truth: sql-common/json_binary.h of MySQL; the tests compare with the server's own
 * text. Pure. */
#ifndef SM_DECODE_JSON_BINARY_H
#define SM_DECODE_JSON_BINARY_H

#include "base/err.h"
#include "base/str.h"

/* An empty value (0 bytes; written by old servers for failed generated columns) is ERR_DECODE_VALUE. */
NODISCARD bool json_binary_text(Str bytes, StrBuf *out, Err *err);
/* The same; *decimals: the document holds a DECIMAL, which no server reads back from the text as such. */
NODISCARD bool json_binary_text_of(Str bytes, StrBuf *out, bool *decimals, Err *err);

#endif
