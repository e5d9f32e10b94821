/* Values of types that one server family alone has. Pure. */
#ifndef SM_DECODE_NATIVE_H
#define SM_DECODE_NATIVE_H

#include "base/str.h"

/* MariaDB's UUID, INET4 and INET6 as their server prints them. The binlog has them in network order, with the
 * zero bytes at the end cut off; p is the whole value: 16, 4, 16 bytes. */
void native_uuid_text(StrBuf *out, const uint8_t p[16]);
void native_inet4_text(StrBuf *out, const uint8_t p[4]);
void native_inet6_text(StrBuf *out, const uint8_t p[16]);

#endif
