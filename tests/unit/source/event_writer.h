/* Makes binlog events for tests of the assembler: bodies as the servers write them, framed as stream_next
 * hands them over. One table shape: id INT NOT NULL, v VARCHAR(80) NULL. */
#ifndef SM_TESTS_EVENT_WRITER_H
#define SM_TESTS_EVENT_WRITER_H

#include "base/err.h"
#include "source/stream.h"

typedef struct EventWriter {
    FormatDescription fmt;
    const char *file;
    uint64_t pos;
    uint32_t timestamp;
    uint32_t server_id;
    StrBuf body; /* of the event being made; valid until the next one begins */
    RawEvent ev;
} EventWriter;

enum { HAS_ID = 1, HAS_V = 2, FULL_ROW = 3, END_OF_STATEMENT = 1 };
enum { MARIA_STANDALONE = 1, MARIA_DDL = 32, MARIA_PREPARED_XA = 64 };

static inline void ew_init(EventWriter *w, bool maria)
{
    *w = (EventWriter){.file = "bin.000001", .pos = 4, .timestamp = 1700000000, .server_id = 7};
    w->fmt.binlog_version = 4;
    w->fmt.is_mariadb = maria;
    for (unsigned t = EVENT_TABLE_MAP; t <= EVENT_DELETE_ROWS_V2; t++)
        w->fmt.post_header_len[t] = t >= EVENT_WRITE_ROWS_V2 ? 10 : 8;
}

static inline void ew_done(EventWriter *w)
{
    sb_done(&w->body);
}

static inline void ew_uint(StrBuf *b, uint64_t v, unsigned n)
{
    for (unsigned i = 0; i < n; i++)
        sb_ch(b, (char)(v >> (8 * i)));
}

static inline StrBuf *ew_start(EventWriter *w)
{
    sb_clear(&w->body);
    return &w->body;
}

/* Frames what is in body. */
static inline const RawEvent *ew_event(EventWriter *w, unsigned type, uint16_t flags)
{
    size_t size = EVENT_HEADER_LEN + w->body.len;
    w->ev = (RawEvent){
        .header = {.timestamp = w->timestamp++,
                   .type = (uint8_t)type,
                   .server_id = w->server_id,
                   .size = (uint32_t)size,
                   .next_pos = (uint32_t)(w->pos + size),
                   .flags = flags},
        .body = sb_view(&w->body),
        .file = str_of(w->file),
        .start_pos = w->pos,
        .end_pos = w->pos + size,
        .crc = (uint32_t)(0x1000 + w->pos),
    };
    w->pos += size;
    return &w->ev;
}

static inline const RawEvent *ew_plain(EventWriter *w, unsigned type, uint16_t flags, Str body)
{
    sb_str(ew_start(w), body);
    return ew_event(w, type, flags);
}

/* charset: collation id of the client, 0 = none said; sql_mode UINT64_MAX = none said. */
static inline const RawEvent *ew_query_in(EventWriter *w, const char *schema, Str sql, uint64_t sql_mode,
                                          unsigned charset)
{
    StrBuf vars = {0};
    if (sql_mode != UINT64_MAX) {
        sb_ch(&vars, 1);
        ew_uint(&vars, sql_mode, 8);
    }
    if (charset) {
        sb_ch(&vars, 4);
        ew_uint(&vars, charset, 2);
        ew_uint(&vars, 0, 4);
    }
    StrBuf *b = ew_start(w);
    ew_uint(b, 1, 4);
    ew_uint(b, 0, 4);
    ew_uint(b, strlen(schema), 1);
    ew_uint(b, 0, 2);
    ew_uint(b, vars.len, 2);
    sb_str(b, sb_view(&vars));
    sb_c(b, schema);
    sb_ch(b, 0);
    sb_str(b, sql);
    sb_done(&vars);
    return ew_event(w, EVENT_QUERY, 0);
}

static inline const RawEvent *ew_query(EventWriter *w, const char *schema, const char *sql)
{
    return ew_query_in(w, schema, str_of(sql), 0, 45);
}

static inline const RawEvent *ew_load_query(EventWriter *w, const char *schema, const char *sql)
{
    ew_query(w, schema, sql);
    w->pos = w->ev.start_pos;
    StrBuf b = {0};
    sb_add(&b, w->body.ptr, 13);
    ew_uint(&b, 1, 4);
    ew_uint(&b, 0, 4);
    ew_uint(&b, 4, 4);
    ew_uint(&b, 0, 1);
    sb_add(&b, w->body.ptr + 13, w->body.len - 13);
    sb_done(&w->body);
    w->body = b;
    return ew_event(w, EVENT_EXECUTE_LOAD_QUERY, 0);
}

static inline const RawEvent *ew_xid(EventWriter *w)
{
    ew_uint(ew_start(w), 4711, 8);
    return ew_event(w, EVENT_XID, 0);
}

/* uuid is sixteen times the byte 0x11. */
static inline const RawEvent *ew_gtid_mysql(EventWriter *w, uint64_t gno)
{
    StrBuf *b = ew_start(w);
    ew_uint(b, 0, 1);
    for (unsigned i = 0; i < 16; i++)
        sb_ch(b, 0x11);
    ew_uint(b, gno, 8);
    return ew_event(w, gno ? EVENT_GTID : EVENT_ANONYMOUS_GTID, 0);
}

static inline const RawEvent *ew_gtid_maria(EventWriter *w, uint32_t domain, uint64_t seq, unsigned flags)
{
    StrBuf *b = ew_start(w);
    ew_uint(b, seq, 8);
    ew_uint(b, domain, 4);
    ew_uint(b, flags, 1);
    if (flags & (MARIA_PREPARED_XA | 128)) { /* format id, one byte each of gtrid and bqual */
        ew_uint(b, 1, 4);
        ew_uint(b, 1, 1);
        ew_uint(b, 1, 1);
        sb_c(b, "ab");
    }
    ew_uint(b, 0, 6);
    return ew_event(w, EVENT_MARIADB_GTID, 0);
}

static inline const RawEvent *ew_table_map(EventWriter *w, uint64_t id, const char *schema, const char *table)
{
    StrBuf *b = ew_start(w);
    ew_uint(b, id, 6);
    ew_uint(b, 1, 2);
    ew_uint(b, strlen(schema), 1);
    sb_c(b, schema);
    sb_ch(b, 0);
    ew_uint(b, strlen(table), 1);
    sb_c(b, table);
    sb_ch(b, 0);
    ew_uint(b, 2, 1);
    sb_ch(b, COLTYPE_LONG);
    sb_ch(b, COLTYPE_VARCHAR);
    ew_uint(b, 2, 1);
    ew_uint(b, 80, 2);
    ew_uint(b, 2, 1);
    return ew_event(w, EVENT_TABLE_MAP, 0);
}

/* One image; present: HAS_ID | HAS_V. v NULL: NULL. */
static inline void ew_image(StrBuf *rows, unsigned present, uint32_t id, const char *v)
{
    unsigned n = 0, nulls = 0;
    if (present & HAS_ID) n++;
    if (present & HAS_V) {
        if (!v) nulls |= 1u << n;
        n++;
    }
    if (n) ew_uint(rows, nulls, 1);
    if (present & HAS_ID) ew_uint(rows, id, 4);
    if (present & HAS_V && v) {
        ew_uint(rows, strlen(v), 1);
        sb_c(rows, v);
    }
}

/* type: any of the WRITE/UPDATE/DELETE_ROWS of version 1 or 2. after: only for UPDATE. */
static inline const RawEvent *ew_rows(EventWriter *w, unsigned type, uint64_t id, unsigned flags,
                                      unsigned before, unsigned after, Str rows)
{
    StrBuf *b = ew_start(w);
    ew_uint(b, id, 6);
    ew_uint(b, flags, 2);
    if (type >= EVENT_WRITE_ROWS_V2) ew_uint(b, 2, 2);
    ew_uint(b, 2, 1);
    ew_uint(b, before, 1);
    if (type == EVENT_UPDATE_ROWS_V1 || type == EVENT_UPDATE_ROWS_V2) ew_uint(b, after, 1);
    sb_str(b, rows);
    return ew_event(w, type, 0);
}

#endif
