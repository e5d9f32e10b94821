/* Hand-made bytes: "01 ff 'abc' 00" → the bytes. */
#ifndef SM_TESTS_DECODE_BYTES_H
#define SM_TESTS_DECODE_BYTES_H

#include <check.h>
#include "base/str.h"

static inline int bytes_digit(char c)
{
    return c <= '9' ? c - '0' : (c | 32) - 'a' + 10;
}

/* Hex digits in pairs, blanks between them ignored, 'text' as it is. The block has exactly the bytes' size,
 * so that the address sanitizer sees any read behind them; free() ptr. */
static inline Str bytes_of(const char *text)
{
    StrBuf b = {0};
    for (const char *c = text; *c; c++) {
        if (*c == ' ') continue;
        if (*c == '\'') {
            for (c++; *c != '\''; c++)
                sb_ch(&b, *c);
            continue;
        }
        ck_assert(c[1] != 0);
        sb_ch(&b, (char)(bytes_digit(c[0]) << 4 | bytes_digit(c[1])));
        c++;
    }
    char *exact = mem_alloc(b.len);
    if (b.len) memcpy(exact, b.ptr, b.len);
    Str out = {exact, b.len};
    sb_done(&b);
    return out;
}

static inline void bytes_free(Str s)
{
    free((void *)(uintptr_t)s.ptr);
}

#endif
