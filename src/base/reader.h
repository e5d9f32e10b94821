/* Bounds-checked cursor over bytes: all wire and file input is read through it. A read beyond the end sets
 * `failed` and yields zeros; callers check reader_ok once per structure. Little-endian unless the name says
 * otherwise. */
#ifndef SM_BASE_READER_H
#define SM_BASE_READER_H

#include <stdint.h>
#include "base/str.h"

typedef struct Reader {
    const uint8_t *at, *end;
    bool failed;
} Reader;

static inline Reader reader_of(Str s)
{
    const uint8_t *p = (const uint8_t *)(s.ptr ? s.ptr : "");
    return (Reader){p, p + s.len, false};
}
static inline size_t reader_left(const Reader *r)
{
    return (size_t)(r->end - r->at);
}
static inline bool reader_ok(const Reader *r)
{
    return !r->failed;
}

/* n bytes as a view into the input, or NULL (and failed). */
static inline const uint8_t *reader_bytes(Reader *r, size_t n)
{
    if (UNLIKELY(n > reader_left(r))) {
        r->failed = true;
        r->at = r->end;
        return NULL;
    }
    const uint8_t *p = r->at;
    r->at += n;
    return p;
}

static inline Str reader_str(Reader *r, size_t n)
{
    const uint8_t *p = reader_bytes(r, n);
    return p ? str_make(p, n) : (Str){0};
}

/* Unsigned of n = 1..8 bytes, little-endian. */
static inline uint64_t reader_uint(Reader *r, unsigned n)
{
    const uint8_t *p = reader_bytes(r, n);
    uint64_t v = 0;
    if (!p) return 0;
    for (unsigned i = n; i-- > 0;)
        v = v << 8 | p[i];
    return v;
}
/* Unsigned of n = 1..8 bytes, big-endian. */
static inline uint64_t reader_uint_be(Reader *r, unsigned n)
{
    const uint8_t *p = reader_bytes(r, n);
    uint64_t v = 0;
    if (!p) return 0;
    for (unsigned i = 0; i < n; i++)
        v = v << 8 | p[i];
    return v;
}
static inline uint8_t reader_u8(Reader *r)
{
    return (uint8_t)reader_uint(r, 1);
}
static inline uint16_t reader_u16(Reader *r)
{
    return (uint16_t)reader_uint(r, 2);
}
static inline uint32_t reader_u32(Reader *r)
{
    return (uint32_t)reader_uint(r, 4);
}
static inline uint64_t reader_u64(Reader *r)
{
    return reader_uint(r, 8);
}

/* MySQL's length-encoded integer: 1, 3, 4 or 9 bytes; 251 (NULL) and 255 fail. */
static inline uint64_t reader_lenenc(Reader *r)
{
    uint8_t first = reader_u8(r);
    switch (first) {
    case 252: return reader_uint(r, 2);
    case 253: return reader_uint(r, 3);
    case 254: return reader_uint(r, 8);
    case 251:
    case 255: r->failed = true; return 0;
    default: return first;
    }
}

#endif
