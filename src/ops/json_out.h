/* What verbs answer with --json. Pure. */
#ifndef SM_OPS_JSON_OUT_H
#define SM_OPS_JSON_OUT_H

#include <jansson.h>
#include "base/str.h"

/* Appends the value as people and programs read it, indented, and a line end. */
void json_out(const json_t *value, StrBuf *out);

#endif
