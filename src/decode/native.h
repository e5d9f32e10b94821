/* Values of types that one server family alone has. Pure. */
#ifndef SM_DECODE_NATIVE_H
#define SM_DECODE_NATIVE_H

#include "base/err.h"
#include "base/str.h"

/* MariaDB's UUID, INET4 and INET6 as their server prints them. The binlog has them in network order, with the
 * zero bytes at the end cut off; p is the whole value: 16, 4, 16 bytes. */
void native_uuid_text(StrBuf *out, const uint8_t p[16]);
void native_inet4_text(StrBuf *out, const uint8_t p[4]);
void native_inet6_text(StrBuf *out, const uint8_t p[16]);

/* The value of a COMPRESSED column (MariaDB) as it was written: appends it to out.
 *   0    1    0: the rest is the value as it is; else bits 7..4 = 8 (deflate), bit 3 = without zlib's header
 *             and checksum, bits 2..0 = bytes of the length (n)
 *   1    n    length of the value, big-endian
 *   1+n  …    deflated bytes
 * No byte at all: the empty value. Source of truth: compression in sql/field_comp.cc of MariaDB.
 * ERR_DECODE_VALUE: broken; the output is bounded by what deflate can make of the input. */
NODISCARD bool native_inflate(Str in, StrBuf *out, Err *err);

#endif
