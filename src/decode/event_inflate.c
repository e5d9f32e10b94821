#include "decode/event_inflate.h"
#include <zlib.h>
#include "base/check.h"
#include "decode/decode_internal.h"
#include "decode/event.h"
#include "base/poison.h"

enum {
    COMPRESSED = 0x80,
    ALGORITHM_BITS = 0x70,
    LENGTH_BITS = 0x07,
    LENGTH_BYTES_MAX = 4,
    DEFLATE_MOST = 1032, /* a byte of a deflate stream cannot make more than that */
};

static bool corrupt(Err *err, const char *what)
{
    return err_set(err, ERR_CORRUPT, "compressed %s: its bytes do not inflate to the length they say", what);
}

/* The stream to its end makes exactly `length` bytes, appended to out. */
static bool inflate_to(Str stream, uint64_t length, bool wrapped, StrBuf *out, const char *what, Err *err)
{
    if (length / DEFLATE_MOST > stream.len || stream.len > UINT32_MAX) return corrupt(err, what);
    z_stream z = {.next_in = (Bytef *)(uintptr_t)stream.ptr, .avail_in = (uInt)stream.len};
    CHECK(inflateInit2(&z, wrapped ? MAX_WBITS : -MAX_WBITS) == Z_OK, "memory for inflating");
    sb_reserve(out, length);
    z.next_out = (Bytef *)out->ptr + out->len;
    z.avail_out = (uInt)length;
    int end = inflate(&z, Z_FINISH);
    bool ok = end == Z_STREAM_END && z.avail_out == 0 && z.avail_in == 0;
    (void)inflateEnd(&z);
    if (!ok) {
        out->ptr[out->len] = 0;
        return corrupt(err, what);
    }
    sb_wrote(out, length);
    return true;
}

/* Head and length; the reader then stands at the stream. */
static bool read_length(Reader *r, uint8_t head, uint64_t *length)
{
    unsigned n = head & LENGTH_BITS;
    if (n < 1 || n > LENGTH_BYTES_MAX) return false;
    *length = reader_uint_be(r, n);
    return reader_ok(r);
}

static bool unknown_algorithm(Err *err, const char *what, uint8_t head)
{
    return err_set(err, ERR_DECODE_UNSUPPORTED, "compressed %s: algorithm byte 0x%02x; only zlib is known",
                   what, head);
}

bool event_inflate(Str record, StrBuf *out, Err *err)
{
    static const char what[] = "record of an event";
    Reader r = reader_of(record);
    uint64_t length;
    uint8_t head = reader_u8(&r);
    if (!(head & COMPRESSED)) return corrupt(err, what);
    if (head & ALGORITHM_BITS) return unknown_algorithm(err, what, head);
    if (!read_length(&r, head, &length)) return corrupt(err, what);
    return inflate_to(reader_str(&r, reader_left(&r)), length, true, out, what, err);
}

/* Only the statement, behind the schema's zero byte, is compressed: event_query has the layout. */
bool event_query_inflate(Str body, StrBuf *out, Err *err)
{
    size_t start = out->len;
    Reader r = reader_of(body);
    (void)reader_bytes(&r, 8);
    size_t n_schema = reader_u8(&r);
    (void)reader_u16(&r);
    size_t n_vars = reader_u16(&r);
    (void)reader_bytes(&r, n_vars + n_schema + 1);
    if (!reader_ok(&r)) return decode_event_cut(err, EVENT_QUERY_COMPRESSED);
    sb_add(out, body.ptr, body.len - reader_left(&r));
    if (event_inflate(reader_str(&r, reader_left(&r)), out, err)) return true;
    out->len = start;
    out->ptr[start] = 0;
    return false;
}

bool column_inflate(Str value, StrBuf *out, Err *err)
{
    enum { NOT_WRAPPED = 8 };
    static const char what[] = "column value";
    if (value.len == 0) return true;
    Reader r = reader_of(value);
    uint64_t length;
    uint8_t head = reader_u8(&r);
    if (head == 0) {
        sb_str(out, reader_str(&r, reader_left(&r)));
        return true;
    }
    if ((head & (COMPRESSED | ALGORITHM_BITS)) != COMPRESSED) return unknown_algorithm(err, what, head);
    if (!read_length(&r, head, &length)) return corrupt(err, what);
    return inflate_to(reader_str(&r, reader_left(&r)), length, !(head & NOT_WRAPPED), out, what, err);
}
