/* LEB128 unsigned integers, for our own compact records (applied set, spill files). */
#ifndef SM_BASE_VARINT_H
#define SM_BASE_VARINT_H

#include "base/reader.h"
#include "base/str.h"

static inline void sb_varint(StrBuf *b, uint64_t v)
{
    while (v >= 0x80) {
        sb_ch(b, (char)(v | 0x80));
        v >>= 7;
    }
    sb_ch(b, (char)v);
}

static inline uint64_t reader_varint(Reader *r)
{
    uint64_t v = 0;
    for (unsigned shift = 0; shift < 64; shift += 7) {
        uint8_t byte = reader_u8(r);
        if (shift == 63 && byte > 1) break; /* does not fit */
        v |= (uint64_t)(byte & 0x7f) << shift;
        if (!(byte & 0x80)) return v;
    }
    r->failed = true;
    return 0;
}

#endif
