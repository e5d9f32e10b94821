/* Byte strings: Str is a borrowed view by value, StrBuf grows and owns its bytes. */
#ifndef SM_BASE_STR_H
#define SM_BASE_STR_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include "base/attrs.h"

/* A view of len bytes; not terminated; {NULL,0} is the empty string. Whoever made it says how long it lives.
 */
typedef struct Str {
    const char *ptr;
    size_t len;
} Str;

#define STR(literal) ((Str){(literal), sizeof(literal) - 1})
/* For printf("%.*s"): STR_ARG(s) passes length and pointer. */
#define STR_FMT "%.*s"
#define STR_ARG(s) (int)(s).len, ((s).ptr ? (s).ptr : "")

static inline Str str_of(const char *c)
{
    return (Str){c, c ? strlen(c) : 0};
}
static inline Str str_make(const void *p, size_t n)
{
    return (Str){(const char *)p, n};
}
static inline bool str_eq(Str a, Str b)
{
    return a.len == b.len && (a.len == 0 || memcmp(a.ptr, b.ptr, a.len) == 0);
}
static inline bool str_eqc(Str a, const char *c)
{
    return str_eq(a, str_of(c));
}
/* ASCII case-insensitive equality (SQL keywords, charset names; never data). */
bool str_ieq(Str a, Str b);
bool str_starts(Str s, Str prefix);
bool str_istarts(Str s, Str prefix);
/* Byte order, shorter first on a tie; returns <0, 0, >0. */
int str_cmp(Str a, Str b);
/* White space (space, tab, CR, LF, FF, VT) off both ends. */
Str str_trim(Str s);
/* Cuts s at the first sep: returns the head and moves *s behind the separator (empty when there was none). */
Str str_split(Str *s, char sep);
/* First place of needle, or SIZE_MAX. */
size_t str_find(Str s, Str needle);
/* Whole s as an unsigned decimal; false on anything else or overflow. */
NODISCARD bool str_to_u64(Str s, uint64_t *out);
NODISCARD bool str_to_i64(Str s, int64_t *out);
/* A terminated heap copy; free() it. Aborts when memory is out, as every allocation here does. */
char *str_dup(Str s);
/* Levenshtein distance, for "did you mean"; case-insensitive; both at most 64 bytes are compared. */
unsigned str_distance(Str a, Str b);
uint64_t str_hash(Str s);

/* Growing buffer. {0} is a valid empty one. ptr is always terminated when non-NULL. */
typedef struct StrBuf {
    char *ptr;
    size_t len, cap;
} StrBuf;

void sb_done(StrBuf *b);
static inline void sb_clear(StrBuf *b)
{
    b->len = 0;
    if (b->ptr) b->ptr[0] = 0;
}
/* Makes room for n more bytes (and a terminator); the bytes may be written at ptr+len, then sb_wrote(n). */
void sb_reserve(StrBuf *b, size_t n);
static inline void sb_wrote(StrBuf *b, size_t n)
{
    b->len += n;
    b->ptr[b->len] = 0;
}
void sb_add(StrBuf *b, const void *p, size_t n);
static inline void sb_str(StrBuf *b, Str s)
{
    sb_add(b, s.ptr, s.len);
}
static inline void sb_c(StrBuf *b, const char *c)
{
    sb_add(b, c, strlen(c));
}
static inline void sb_ch(StrBuf *b, char c)
{
    sb_add(b, &c, 1);
}
void sb_u64(StrBuf *b, uint64_t v);
void sb_i64(StrBuf *b, int64_t v);
/* Two lower-case hex digits a byte. */
void sb_hex(StrBuf *b, const void *p, size_t n);
/* Appends the text as UTF-8: each byte that is not of a well-formed character becomes U+FFFD. */
void sb_utf8(StrBuf *b, Str text);
/* `name` with back-quotes doubled. */
void sb_ident(StrBuf *b, Str name);
/* 'text' escaped for a session without NO_BACKSLASH_ESCAPES (ours never has it). */
void sb_quoted(StrBuf *b, Str text);
void sb_printf(StrBuf *b, const char *fmt, ...) PRINTF_LIKE(2, 3);
void sb_vprintf(StrBuf *b, const char *fmt, va_list ap) PRINTF_LIKE(2, 0);
static inline Str sb_view(const StrBuf *b)
{
    return (Str){b->ptr ? b->ptr : "", b->len};
}
/* Hands the terminated bytes over to the caller (free()), leaving *b empty. */
char *sb_take(StrBuf *b);

/* Allocation that cannot fail: aborts through CHECK when memory is out. */
void *mem_alloc(size_t n);
void *mem_zalloc(size_t n);
void *mem_realloc(void *p, size_t n);

#endif
