#include "decode/native.h"
#include "base/poison.h"

void native_uuid_text(StrBuf *out, const uint8_t p[16])
{
    static const uint8_t groups[] = {4, 2, 2, 2, 6};
    for (size_t g = 0; g < ARRAY_LEN(groups); p += groups[g++]) {
        if (g) sb_ch(out, '-');
        sb_hex(out, p, groups[g]);
    }
}

void native_inet4_text(StrBuf *out, const uint8_t p[4])
{
    for (unsigned i = 0; i < 4; i++) {
        if (i) sb_ch(out, '.');
        sb_u64(out, p[i]);
    }
}

/* The longest run of zero words, the first of several. */
static unsigned longest_gap(const uint16_t words[8], unsigned *length)
{
    unsigned best = 8;
    *length = 0;
    for (unsigned i = 0; i < 8; i++) {
        unsigned n = 0;
        while (i + n < 8 && words[i + n] == 0)
            n++;
        if (n > *length) {
            best = i;
            *length = n;
        }
        i += n;
    }
    return best;
}

/* Eight words in hexadecimal without leading zeros, the longest run of zero words as "::"; an address that
 * holds an IPv4 one (::1.2.3.4, ::ffff:1.2.3.4) ends like that. As Inet6::to_string of MariaDB. */
void native_inet6_text(StrBuf *out, const uint8_t p[16])
{
    uint16_t words[8];
    unsigned length;
    for (unsigned i = 0; i < 8; i++)
        words[i] = (uint16_t)(p[2 * i] << 8 | p[2 * i + 1]);
    unsigned gap = longest_gap(words, &length);
    bool holds_inet4 = gap == 0 && (length == 6 || (length == 5 && words[5] == 0xffff));
    for (unsigned i = 0; i < 8; i++) {
        if (i == gap) {
            sb_c(out, i == 0 ? "::" : ":");
            i += length - 1;
            continue;
        }
        if (i == 6 && holds_inet4) {
            native_inet4_text(out, p + 12);
            return;
        }
        sb_printf(out, "%x", words[i]);
        if (i != 7) sb_ch(out, ':');
    }
}
