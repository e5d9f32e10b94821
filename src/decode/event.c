#include "decode/event.h"
#include "base/crc.h"
#include "decode/decode_internal.h"
#include "base/poison.h"

enum {
    CHECKSUM_LEN = 4,
    FLAG_IN_USE = 1,
    FD_VERSION_LEN = 50,
    FD_FIXED_LEN = 2 + FD_VERSION_LEN + 4 + 1, /* in front of the post-header lengths */
    BINLOG_VERSION = 4,
    MARIADB_EVENTS_BEGIN = 160,
};

const char *event_type_name(unsigned type)
{
    switch (type) {
#define X(name, code)                                                                                        \
    case code:                                                                                               \
        return #name;
#include "decode/event_types.def"
#undef X
    default: return "UNKNOWN";
    }
}

bool decode_event_cut(Err *err, unsigned type)
{
    return err_set(err, ERR_DECODE_TRUNCATED, "%s event is shorter than its contents", event_type_name(type));
}

/* CRC32 over event without its last 4 bytes. The in-use flag of FORMAT_DESCRIPTION is not part of it: the
 * server sets that flag after the sum was made. */
static bool checksum_matches(Str event)
{
    const uint8_t *p = (const uint8_t *)event.ptr;
    size_t n = event.len - CHECKSUM_LEN;
    uint32_t crc;
    if (p[4] == EVENT_FORMAT_DESCRIPTION && (p[17] & FLAG_IN_USE)) {
        uint8_t head[EVENT_HEADER_LEN];
        memcpy(head, p, sizeof head);
        head[17] = (uint8_t)(head[17] & ~FLAG_IN_USE);
        crc = crc_sum(crc_sum(0, head, sizeof head), p + sizeof head, n - sizeof head);
    } else {
        crc = crc_sum(0, p, n);
    }
    Reader r = reader_of(str_make(p + n, CHECKSUM_LEN));
    return reader_u32(&r) == crc;
}

bool event_split(Str event, bool has_checksum, EventHeader *h, Str *body, Err *err)
{
    Reader r = reader_of(event);
    *h = (EventHeader){0};
    *body = (Str){0};
    h->timestamp = reader_u32(&r);
    h->type = reader_u8(&r);
    h->server_id = reader_u32(&r);
    h->size = reader_u32(&r);
    h->next_pos = reader_u32(&r);
    h->flags = reader_u16(&r);
    if (!reader_ok(&r))
        return err_set(err, ERR_DECODE_TRUNCATED, "event of %zu bytes: the header alone has %d", event.len,
                       EVENT_HEADER_LEN);
    if (h->size != event.len)
        return err_set(err, ERR_DECODE_TRUNCATED, "%s event says %u bytes, %zu arrived",
                       event_type_name(h->type), h->size, event.len);
    size_t tail = has_checksum ? CHECKSUM_LEN : 0;
    if (event.len < EVENT_HEADER_LEN + tail)
        return err_set(err, ERR_DECODE_TRUNCATED, "%s event of %zu bytes has no room for its checksum",
                       event_type_name(h->type), event.len);
    if (has_checksum && !checksum_matches(event))
        return err_set(err, ERR_DECODE_CHECKSUM, "%s event of %u bytes (next position %u): wrong CRC32",
                       event_type_name(h->type), h->size, h->next_pos);
    *body = str_make(event.ptr + EVENT_HEADER_LEN, event.len - EVENT_HEADER_LEN - tail);
    return true;
}

/* "10.11.14-MariaDB-log" → 10, 11, 14; missing parts are 0. */
static void version_parts(Str v, unsigned part[3])
{
    size_t at = 0;
    for (unsigned i = 0; i < 3; i++) {
        part[i] = 0;
        while (at < v.len && v.ptr[at] >= '0' && v.ptr[at] <= '9' && part[i] < 10000)
            part[i] = part[i] * 10 + (unsigned)(v.ptr[at++] - '0');
        if (at >= v.len || v.ptr[at] != '.') {
            while (++i < 3)
                part[i] = 0;
            return;
        }
        at++;
    }
}

/* Servers since MySQL 5.6.1 and MariaDB 5.3 end FORMAT_DESCRIPTION with the algorithm byte and 4 checksum
 * bytes, even when the algorithm is "none". */
static bool has_checksum_fields(Str version, bool mariadb)
{
    unsigned v[3];
    version_parts(version, v);
    if (mariadb) return v[0] > 5 || (v[0] == 5 && v[1] >= 3);
    return v[0] > 5 || (v[0] == 5 && (v[1] > 6 || (v[1] == 6 && v[2] >= 1)));
}

/* FORMAT_DESCRIPTION body:
 *   offset length meaning
 *   0      2      binlog version (4)
 *   2      50     server version, zero-padded
 *   52     4      creation time
 *   56     1      common header length (19)
 *   57     n      post-header length of type 1, 2, …
 *   57+n   1      checksum algorithm: 0 none, 1 CRC32
 *   58+n   4      checksum of this event */
bool event_format_description(Str event_with_header, Arena *arena, FormatDescription *out, Err *err)
{
    EventHeader h;
    Str body;
    *out = (FormatDescription){0};
    if (!event_split(event_with_header, false, &h, &body, err)) return false;
    if (h.type != EVENT_FORMAT_DESCRIPTION)
        return err_set(err, ERR_CORRUPT, "%s event where FORMAT_DESCRIPTION is due", event_type_name(h.type));
    Reader r = reader_of(body);
    out->binlog_version = reader_u16(&r);
    Str version = reader_str(&r, FD_VERSION_LEN);
    reader_u32(&r);
    uint8_t header_len = reader_u8(&r);
    if (!reader_ok(&r) || !version.ptr) return decode_event_cut(err, h.type);
    if (out->binlog_version != BINLOG_VERSION || header_len != EVENT_HEADER_LEN)
        return err_set(err, ERR_DECODE_UNSUPPORTED,
                       "binlog version %u with %u byte headers: only version 4 is read", out->binlog_version,
                       header_len);
    version.len = strnlen(version.ptr, version.len);
    out->server_version = arena_str(arena, version);
    out->is_mariadb = str_find(version, STR("MariaDB")) != SIZE_MAX || reader_left(&r) > MARIADB_EVENTS_BEGIN;

    size_t n = reader_left(&r);
    if (has_checksum_fields(version, out->is_mariadb)) {
        if (n < 1 + CHECKSUM_LEN) return decode_event_cut(err, h.type);
        n -= 1 + CHECKSUM_LEN;
        uint8_t algorithm = r.at[n];
        if (algorithm > 1)
            return err_set(err, ERR_DECODE_UNSUPPORTED,
                           "checksum algorithm %u: only none and CRC32 are known", algorithm);
        out->checksum_crc32 = algorithm == 1;
        if (out->checksum_crc32 && !checksum_matches(event_with_header))
            return err_set(err, ERR_DECODE_CHECKSUM, "FORMAT_DESCRIPTION event of %u bytes: wrong CRC32",
                           h.size);
    }
    for (size_t i = 0; i < n && i + 1 < ARRAY_LEN(out->post_header_len); i++)
        out->post_header_len[i + 1] = r.at[i];
    return true;
}

/* ROTATE body: 8 bytes position, then the file name to the end. */
bool event_rotate(Str body, RotateEvent *out, Err *err)
{
    Reader r = reader_of(body);
    *out = (RotateEvent){0};
    out->pos = reader_u64(&r);
    out->file = reader_str(&r, reader_left(&r));
    if (!reader_ok(&r) || out->file.len == 0) return decode_event_cut(err, EVENT_ROTATE);
    return true;
}

/* HEARTBEAT body: the file name; the position is the header's. MariaDB beyond 4 GiB: header position 0, then
 * 8 bytes position in front of the name. HEARTBEAT_V2 body: fields of (type, length, value), integers
 * length-encoded: 1 file name, 2 position, 0 end. */
bool event_heartbeat(const EventHeader *h, Str body, RotateEvent *out, Err *err)
{
    Reader r = reader_of(body);
    *out = (RotateEvent){0};
    if (h->type == EVENT_HEARTBEAT) {
        enum { SUB_HEADER_LEN = 8 };
        bool wide = h->next_pos == 0 && body.len > SUB_HEADER_LEN;
        out->pos = wide ? reader_u64(&r) : h->next_pos;
        out->file = reader_str(&r, reader_left(&r));
    } else if (h->type == EVENT_HEARTBEAT_V2) {
        while (reader_left(&r)) {
            uint64_t field = reader_lenenc(&r);
            if (field == 0) break;
            Str value = reader_str(&r, reader_lenenc(&r));
            Reader v = reader_of(value);
            if (field == 1) out->file = value;
            if (field == 2) out->pos = reader_lenenc(&v);
            if (!reader_ok(&v)) r.failed = true;
            if (r.failed) break;
        }
    } else {
        return err_set(err, ERR_DECODE_UNSUPPORTED, "%s event is not a heartbeat", event_type_name(h->type));
    }
    if (!reader_ok(&r) || out->file.len == 0) return decode_event_cut(err, h->type);
    return true;
}

bool event_xid(Str body, uint64_t *xid, Err *err)
{
    Reader r = reader_of(body);
    *xid = reader_u64(&r);
    return reader_ok(&r) || decode_event_cut(err, EVENT_XID);
}

/* XA_PREPARE body:
 *   0   1   one phase
 *   1   4   format id
 *   5   4   length of gtrid (at most 64)
 *   9   4   length of bqual (at most 64)
 *   13  …   gtrid, bqual */
bool event_xa_prepare(Str body, bool *one_phase, StrBuf *xid, Err *err)
{
    enum { XID_PART_MAX = 64 };
    Reader r = reader_of(body);
    *one_phase = reader_u8(&r) != 0;
    uint32_t format = reader_u32(&r), n_gtrid = reader_u32(&r), n_bqual = reader_u32(&r);
    if (n_gtrid > XID_PART_MAX || n_bqual > XID_PART_MAX)
        return err_set(err, ERR_CORRUPT, "XA_PREPARE event: an xid of %u and %u bytes; at most 64 each",
                       n_gtrid, n_bqual);
    Str gtrid = reader_str(&r, n_gtrid), bqual = reader_str(&r, n_bqual);
    if (!reader_ok(&r)) return decode_event_cut(err, EVENT_XA_PREPARE);
    sb_c(xid, "X'");
    sb_hex(xid, gtrid.ptr, gtrid.len);
    sb_c(xid, "',X'");
    sb_hex(xid, bqual.ptr, bqual.len);
    sb_c(xid, "',");
    sb_i64(xid, (int32_t)format);
    return true;
}
