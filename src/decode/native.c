#include "decode/native.h"
#include <zlib.h>
#include "base/reader.h"
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

static bool broken(Str in, Err *err)
{
    return err_set(err, ERR_DECODE_VALUE, "value of a COMPRESSED column, %zu bytes: it cannot be unpacked",
                   in.len);
}

bool native_inflate(Str in, StrBuf *out, Err *err)
{
    enum { DEFLATE = 8, BARE = 8, MOST_RATIO = 1032, SLACK = 1024 };
    if (!in.len) {
        sb_c(out, "");
        return true;
    }
    Reader r = reader_of(in);
    uint8_t head = reader_u8(&r);
    if (head == 0) {
        sb_add(out, r.at, reader_left(&r));
        return true;
    }
    unsigned n = head & 7;
    if (head >> 4 != DEFLATE || n == 0 || n > 4) return broken(in, err);
    uint64_t want = reader_uint_be(&r, n);
    size_t left = reader_left(&r);
    if (!reader_ok(&r) || want > (uint64_t)left * MOST_RATIO + SLACK) return broken(in, err);
    z_stream z = {.next_in = (z_const Bytef *)r.at, .avail_in = (uInt)left};
    if (inflateInit2(&z, head & BARE ? -MAX_WBITS : MAX_WBITS) != Z_OK) return broken(in, err);
    size_t start = out->len;
    sb_reserve(out, want + 1);
    z.next_out = (Bytef *)out->ptr + start;
    z.avail_out = (uInt)want + 1; /* one more: so that longer output shows */
    int end = inflate(&z, Z_FINISH);
    uint64_t got = z.total_out;
    inflateEnd(&z);
    if (end != Z_STREAM_END || got != want) {
        out->ptr[start] = 0;
        return broken(in, err);
    }
    sb_wrote(out, want);
    return true;
}
