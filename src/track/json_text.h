/* Texts in JSON: bytes that are not UTF-8 (a binary default) become {"hex":"…"}. Pure. */
#ifndef SM_TRACK_JSON_TEXT_H
#define SM_TRACK_JSON_TEXT_H

#include <jansson.h>
#include "base/arena.h"

/* A new reference. */
json_t *json_of_text(Str s);
/* Into the arena; v NULL is the empty text. False: v is neither form. */
NODISCARD bool json_to_text(Arena *arena, const json_t *v, Str *out);

#endif
