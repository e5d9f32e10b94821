/* Text of the servers' character sets to UTF-8 and back, by the servers' own tables: single bytes by one
 * (charset_bytes.def), characters of several bytes by iconv, but for those that it takes for others than the
 * servers do. What is not known to be the same is never guessed. Pure; any thread. */
#ifndef SM_MODEL_CHARSET_TEXT_H
#define SM_MODEL_CHARSET_TEXT_H

#include "base/arena.h"
#include "model/charset.h"

bool charset_text_is_ascii(Str s);
/* Is it well-formed: no surrogates, nothing beyond U+10FFFF, no overlong forms? */
bool charset_text_is_utf8(Str s);

/* *out: a view of in where nothing changes, else in arena. binary is taken where it is UTF-8. Characters of
 * fixed width that lack bytes get zeros in front, as the servers do with literals. False: some byte stands
 * for no character, or not surely for one. */
NODISCARD bool charset_text_to_utf8(const Charset *from, Str in, Arena *arena, Str *out);
/* in is UTF-8. False: the character set lacks one of its characters, or has it not surely. */
NODISCARD bool charset_text_from_utf8(const Charset *to, Str in, Arena *arena, Str *out);

#endif
