/* Makes events that hold others in another form: payloads, compressed rows and statements, and XA. Beside
 * event_writer.h. */
#ifndef SM_TESTS_PAYLOAD_WRITER_H
#define SM_TESTS_PAYLOAD_WRITER_H

#include <check.h>
#include <zlib.h>
#include <zstd.h>
#include "event_writer.h"

enum { PAYLOAD_ZSTD = 0, PAYLOAD_NONE = 255 };
enum { MARIA_COMPLETED_XA = 128 };

/* Appends the event, as it stands in a payload, and takes its place in the file back. */
static inline void pw_add(StrBuf *payload, EventWriter *w, const RawEvent *ev)
{
    ew_uint(payload, ev->header.timestamp, 4);
    ew_uint(payload, ev->header.type, 1);
    ew_uint(payload, ev->header.server_id, 4);
    ew_uint(payload, ev->header.size, 4);
    ew_uint(payload, 0, 4);
    ew_uint(payload, ev->header.flags, 2);
    sb_str(payload, ev->body);
    w->pos = ev->start_pos;
}

static inline void pw_lenenc(StrBuf *b, uint64_t v)
{
    if (v < 251) {
        ew_uint(b, v, 1);
    } else {
        ew_uint(b, 254, 1);
        ew_uint(b, v, 8);
    }
}

static inline void pw_field(StrBuf *b, unsigned field, uint64_t v)
{
    pw_lenenc(b, field);
    pw_lenenc(b, v < 251 ? 1 : 9);
    pw_lenenc(b, v);
}

/* The body of a payload event; says that it inflates to `says` bytes. */
static inline void pw_body(StrBuf *b, unsigned compression, Str payload, uint64_t says)
{
    StrBuf packed = {0};
    if (compression == PAYLOAD_ZSTD) {
        sb_reserve(&packed, ZSTD_compressBound(payload.len));
        size_t n = ZSTD_compress(packed.ptr, ZSTD_compressBound(payload.len), payload.ptr, payload.len, 3);
        ck_assert(!ZSTD_isError(n));
        sb_wrote(&packed, n);
    } else {
        sb_str(&packed, payload);
    }
    pw_field(b, 2, compression);
    pw_field(b, 1, packed.len);
    if (compression == PAYLOAD_ZSTD) pw_field(b, 3, says);
    sb_ch(b, 0);
    sb_str(b, sb_view(&packed));
    sb_done(&packed);
}

static inline const RawEvent *pw_event(EventWriter *w, unsigned compression, Str payload)
{
    pw_body(ew_start(w), compression, payload, payload.len);
    return ew_event(w, EVENT_TRANSACTION_PAYLOAD, 0);
}

/* MariaDB's compressed record of plain, appended. */
static inline void pw_record(StrBuf *b, Str plain)
{
    uLongf n = compressBound(plain.len);
    StrBuf packed = {0};
    sb_reserve(&packed, n);
    ck_assert_int_eq(compress((Bytef *)packed.ptr, &n, (const Bytef *)plain.ptr, plain.len), Z_OK);
    sb_ch(b, (char)0x84);
    for (unsigned i = 4; i-- > 0;)
        sb_ch(b, (char)(plain.len >> (8 * i)));
    sb_add(b, packed.ptr, n);
    sb_done(&packed);
}

/* type: any of the WRITE/UPDATE/DELETE_ROWS_COMPRESSED; rows are compressed here. */
static inline const RawEvent *pw_rows(EventWriter *w, unsigned type, uint64_t id, unsigned present, Str rows)
{
    StrBuf record = {0};
    pw_record(&record, rows);
    StrBuf *b = ew_start(w);
    ew_uint(b, id, 6);
    ew_uint(b, END_OF_STATEMENT, 2);
    if (type >= EVENT_WRITE_ROWS_COMPRESSED_V2) ew_uint(b, 2, 2);
    ew_uint(b, 2, 1);
    ew_uint(b, present, 1);
    if (type == EVENT_UPDATE_ROWS_COMPRESSED_V1 || type == EVENT_UPDATE_ROWS_COMPRESSED_V2)
        ew_uint(b, present, 1);
    sb_str(b, sb_view(&record));
    sb_done(&record);
    return ew_event(w, type, 0);
}

static inline const RawEvent *pw_query(EventWriter *w, const char *schema, const char *sql)
{
    ew_query(w, schema, sql);
    w->pos = w->ev.start_pos;
    size_t head = w->body.len - strlen(sql);
    StrBuf b = {0};
    sb_add(&b, w->body.ptr, head);
    pw_record(&b, str_of(sql));
    sb_done(&w->body);
    w->body = b;
    return ew_event(w, EVENT_QUERY_COMPRESSED, 0);
}

/* xid is one byte of gtrid, no bqual, format 1. */
static inline const RawEvent *pw_xa_prepare(EventWriter *w, char xid, bool one_phase)
{
    StrBuf *b = ew_start(w);
    ew_uint(b, one_phase, 1);
    ew_uint(b, 1, 4);
    ew_uint(b, 1, 4);
    ew_uint(b, 0, 4);
    sb_ch(b, xid);
    return ew_event(w, EVENT_XA_PREPARE, 0);
}

static inline const RawEvent *pw_xa_query(EventWriter *w, const char *verb, char xid)
{
    char sql[60];
    snprintf(sql, sizeof sql, "XA %s X'%02x',X'',1", verb, (unsigned)xid);
    return ew_query(w, "", sql);
}

#endif
