/* An error as JSON, the same everywhere: status, control socket, state folder. */
#ifndef SM_BASE_ERR_JSON_H
#define SM_BASE_ERR_JSON_H

#include <jansson.h>
#include "base/err.h"

/* A JSON string of the text; bytes that are not UTF-8 become U+FFFD (a server may cut its message within a
 * character). New reference. */
json_t *json_text(Str s);
/* {"code":"SM-1908","name","class","message","remedy","exit"}, new reference; JSON null when no error is set.
 */
json_t *err_to_json(const Err *err);
/* The same as compact text; nothing when no error is set. */
void err_json_text(const Err *err, StrBuf *out);

#endif
