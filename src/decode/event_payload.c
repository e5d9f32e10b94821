#include "decode/event_payload.h"
#include <stdlib.h>
#include <zstd.h>
#include "base/check.h"
#include "decode/decode_internal.h"
#include "base/poison.h"

enum {
    COMPRESSION_ZSTD = 0,
    COMPRESSION_NONE = 255,
    CHUNK_BYTES = 64 * 1024,
    KEEP_BYTES = 1024 * 1024, /* a larger buffer is not kept for the next payload */
    WINDOW_LOG_MAX = 27,      /* of the highest compression level */
};

struct PayloadReader {
    ZSTD_DCtx *zstd;
    StrBuf inflated; /* bytes at..len are not taken yet */
    size_t at;
    Str rest; /* of the payload: not inflated, or not taken, yet */
    uint64_t compression;
    uint64_t left; /* inflated bytes still to come, by what the header says; none: 0 */
    bool ended;    /* everything is inflated */
};

PayloadReader *payload_new(void)
{
    PayloadReader *p = mem_zalloc(sizeof *p);
    p->zstd = ZSTD_createDCtx();
    CHECK(p->zstd, "memory for inflating");
    CHECK(!ZSTD_isError(ZSTD_DCtx_setParameter(p->zstd, ZSTD_d_windowLogMax, WINDOW_LOG_MAX)),
          "a valid bound");
    return p;
}

void payload_free(PayloadReader *p)
{
    if (!p) return;
    ZSTD_freeDCtx(p->zstd);
    sb_done(&p->inflated);
    free(p);
}

static bool corrupt(Err *err, const char *what)
{
    return err_set(err, ERR_CORRUPT, "TRANSACTION_PAYLOAD event: %s", what);
}

bool payload_begin(PayloadReader *p, Str body, Err *err)
{
    enum { FIELD_END, FIELD_SIZE, FIELD_COMPRESSION, FIELD_INFLATED };
    Reader r = reader_of(body);
    uint64_t size = UINT64_MAX, inflated = UINT64_MAX;
    p->compression = COMPRESSION_NONE;
    p->at = 0;
    p->ended = false;
    sb_clear(&p->inflated);
    if (p->inflated.cap > KEEP_BYTES) sb_done(&p->inflated);
    (void)ZSTD_DCtx_reset(p->zstd, ZSTD_reset_session_only);
    for (uint64_t field; (field = reader_lenenc(&r)) != FIELD_END && reader_ok(&r);) {
        Reader v = reader_of(reader_str(&r, reader_lenenc(&r)));
        if (field == FIELD_SIZE) size = reader_lenenc(&v);
        if (field == FIELD_COMPRESSION) p->compression = reader_lenenc(&v);
        if (field == FIELD_INFLATED) inflated = reader_lenenc(&v);
        if (!reader_ok(&v)) r.failed = true;
    }
    if (!reader_ok(&r)) return decode_event_cut(err, EVENT_TRANSACTION_PAYLOAD);
    p->rest = reader_str(&r, reader_left(&r));
    if (size != p->rest.len) return corrupt(err, "its payload has not the length it says");
    if (p->compression != COMPRESSION_ZSTD && p->compression != COMPRESSION_NONE)
        return err_set_remedy(err, ERR_DECODE_UNSUPPORTED,
                              "set binlog_transaction_compression=OFF on the source; bring the rows of this "
                              "transaction by hand "
                              "and go on behind it, " ERR_PAST,
                              "TRANSACTION_PAYLOAD event: compression %llu; only zstd and none are known",
                              (unsigned long long)p->compression);
    if (p->compression == COMPRESSION_NONE && inflated == UINT64_MAX) inflated = size;
    if (inflated == UINT64_MAX) return corrupt(err, "it does not say how long it is when inflated");
    if (p->compression == COMPRESSION_NONE && inflated != size) return corrupt(err, "its two lengths differ");
    p->left = p->compression == COMPRESSION_NONE ? 0 : inflated;
    return true;
}

/* Inflates until n bytes are there to be taken, or the end. */
static bool fill(PayloadReader *p, size_t n, Err *err)
{
    if (p->at && p->inflated.len - p->at < n) {
        memmove(p->inflated.ptr, p->inflated.ptr + p->at, p->inflated.len - p->at);
        p->inflated.len -= p->at;
        p->at = 0;
    }
    while (!p->ended && p->inflated.len - p->at < n) {
        /* grows with what has come, not with what an event says */
        sb_reserve(&p->inflated, MIN(n, MAX(p->inflated.len, (size_t)CHUNK_BYTES)));
        ZSTD_inBuffer in = {p->rest.ptr, p->rest.len, 0};
        ZSTD_outBuffer out = {p->inflated.ptr + p->inflated.len, p->inflated.cap - p->inflated.len - 1, 0};
        size_t more = ZSTD_decompressStream(p->zstd, &out, &in);
        if (ZSTD_isError(more)) return corrupt(err, ZSTD_getErrorName(more));
        if (out.pos > p->left) return corrupt(err, "it inflates to more bytes than it says");
        p->left -= out.pos;
        sb_wrote(&p->inflated, out.pos);
        p->rest = str_make(p->rest.ptr + in.pos, p->rest.len - in.pos);
        p->ended = more == 0 && p->rest.len == 0;
        if (!p->ended && out.pos == 0 && in.pos == 0) return corrupt(err, "its compressed bytes are cut off");
    }
    return true;
}

/* What is there of n bytes, without taking it; less only at the end. */
static bool look(PayloadReader *p, size_t n, Str *out, Err *err)
{
    if (p->compression == COMPRESSION_NONE) {
        *out = p->rest;
        return true;
    }
    if (!fill(p, n, err)) return false;
    *out = str_make(p->inflated.ptr + p->at, p->inflated.len - p->at);
    return true;
}

static void take(PayloadReader *p, size_t n)
{
    if (p->compression == COMPRESSION_NONE) {
        p->rest = str_make(p->rest.ptr + n, p->rest.len - n);
    } else {
        p->at += n;
    }
}

static uint32_t size_in_header(Str head)
{
    enum { SIZE_AT = 9 };
    Reader r = reader_of(head);
    (void)reader_bytes(&r, SIZE_AT);
    return reader_u32(&r);
}

bool payload_next(PayloadReader *p, EventHeader *h, Str *body, bool *last, Err *err)
{
    Str there;
    if (!look(p, EVENT_HEADER_LEN, &there, err)) return false;
    if (there.len < EVENT_HEADER_LEN) return corrupt(err, "an event inside is cut off");
    uint32_t size = size_in_header(there);
    if (size < EVENT_HEADER_LEN || size > there.len + p->left)
        return corrupt(err, "the length of an event inside makes no sense");
    if (!look(p, (size_t)size + 1, &there, err)) return false;
    if (there.len < size) return corrupt(err, "an event inside is cut off");
    if (!event_split(str_make(there.ptr, size), false, h, body, err)) return false;
    *last = there.len == size;
    take(p, size);
    if (*last && p->left) return corrupt(err, "it inflates to fewer bytes than it says");
    return true;
}
