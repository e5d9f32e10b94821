/* GTID events of both flavors and the sets at the head of a binlog file. */
#include "decode/event.h"
#include "decode/decode_internal.h"
#include "base/poison.h"

/* Integer of MySQL's serialization format: the count of trailing one bits of the first byte is the count of
 * bytes that follow; the value stands above those bits, little-endian. 1 to 9 bytes. */
static uint64_t read_varlen(Reader *r)
{
    uint8_t first = reader_u8(r);
    unsigned extra = first == 0xff ? 8 : (unsigned)__builtin_ctz(~(unsigned)first);
    uint64_t rest = extra ? reader_uint(r, extra) : 0;
    if (extra == 8) return rest;
    return rest << (7 - extra) | (uint64_t)(first >> (extra + 1));
}

/* The sign is the lowest bit; negative values have the others inverted. */
static int64_t read_varlen_signed(Reader *r)
{
    uint64_t v = read_varlen(r);
    return (int64_t)(v & 1 ? ~(v >> 1) : v >> 1);
}

static bool read_tag(Reader *r, char tag[33])
{
    uint64_t n = read_varlen(r);
    if (n > 32) return false;
    Str s = reader_str(r, n);
    if (s.len) memcpy(tag, s.ptr, s.len);
    tag[s.len] = 0;
    return true;
}

/* GTID_TAGGED body: varlen 1 (format version), body size, last field id that must be understood plus one,
 * then fields (id, value) with ascending ids until the end. */
static bool gtid_tagged(Str body, GtidEvent *out, Err *err)
{
    enum {
        FLAGS,
        UUID,
        GNO,
        TAG,
        LAST_COMMITTED,
        SEQUENCE,
        IMMEDIATE_TS,
        ORIGINAL_TS,
        LENGTH,
        IMMEDIATE_VERSION,
        ORIGINAL_VERSION,
        TICKET,
        N_FIELDS
    };
    Reader r = reader_of(body);
    uint64_t version = read_varlen(&r), size = read_varlen(&r), needed = read_varlen(&r);
    if (reader_ok(&r) && (version != 1 || needed > N_FIELDS))
        return err_set(err, ERR_DECODE_UNSUPPORTED, "GTID_TAGGED event of format %llu with fields up to %llu",
                       (unsigned long long)version, (unsigned long long)needed);
    if (size != body.len) return decode_event_cut(err, EVENT_GTID_TAGGED);
    while (reader_left(&r)) {
        uint64_t id = read_varlen(&r);
        switch (id) {
        case UUID:
            for (unsigned i = 0; i < sizeof out->gtid.uuid; i++)
                out->gtid.uuid[i] = (uint8_t)read_varlen(&r);
            break;
        case GNO: out->gtid.gno = (uint64_t)read_varlen_signed(&r); break;
        case TAG:
            if (!read_tag(&r, out->gtid.tag))
                return err_set(err, ERR_CORRUPT, "GTID_TAGGED event: tag too long");
            break;
        case LENGTH: out->transaction_length = read_varlen(&r); break;
        default:
            if (id >= N_FIELDS)
                r.at = r.end; /* newer and ignorable, and so are all behind it */
            else
                (void)read_varlen(&r); /* signed and unsigned have the same length */
        }
    }
    return reader_ok(&r) || decode_event_cut(err, EVENT_GTID_TAGGED);
}

/* GTID, ANONYMOUS_GTID body:
 *   0   1   flags
 *   1   16  uuid
 *   17  8   gno
 *   25  1   2: logical clock follows
 *   26  16  last committed, sequence number
 *   42  7   commit time, microseconds; bit 55: 7 bytes of the original commit time follow
 *   …   1…9 transaction length (8.0.2+), then server versions */
static bool gtid_mysql(const EventHeader *h, Str body, GtidEvent *out, Err *err)
{
    enum { LOGICAL_CLOCK = 2, HAS_ORIGINAL_TS = 0x80 };
    Reader r = reader_of(body);
    (void)reader_u8(&r);
    Str uuid = reader_str(&r, sizeof out->gtid.uuid);
    out->gtid.gno = reader_u64(&r);
    if (!reader_ok(&r) || !uuid.ptr) return decode_event_cut(err, h->type);
    memcpy(out->gtid.uuid, uuid.ptr, uuid.len);
    if (reader_left(&r) < 1 + 16 + 7 || reader_u8(&r) != LOGICAL_CLOCK) return true;
    (void)reader_bytes(&r, 16);
    const uint8_t *commit_ts = reader_bytes(&r, 7);
    if (commit_ts && (commit_ts[6] & HAS_ORIGINAL_TS)) (void)reader_bytes(&r, 7);
    if (reader_left(&r)) out->transaction_length = reader_lenenc(&r);
    return reader_ok(&r) || decode_event_cut(err, h->type);
}

/* MariaDB GTID body:
 *   0   8   sequence number
 *   8   4   domain
 *   12  1   flags
 *   13  8   commit id, with flag GROUP_COMMIT_ID
 *   …   6+  format id, lengths, bytes of the xid, with the XA flags
 *   …   1   more flags (10.8+; else padding of zeros)
 *   …   1   engines besides the first, with flag MULTI_ENGINE
 *   …   8   sequence number of START ALTER, with COMMIT_ALTER and ROLLBACK_ALTER */
static bool gtid_mariadb(const EventHeader *h, Str body, GtidEvent *out, Err *err)
{
    enum { STANDALONE = 1, GROUP_COMMIT_ID = 2, DDL = 32, PREPARED_XA = 64, COMPLETED_XA = 128 };
    enum { EXTRA_MULTI_ENGINE = 1, EXTRA_START_ALTER = 2, EXTRA_COMMIT_ALTER = 4, EXTRA_ROLLBACK_ALTER = 8 };
    Reader r = reader_of(body);
    out->gtid.seq = reader_u64(&r);
    out->gtid.domain = reader_u32(&r);
    out->gtid.server_id = h->server_id;
    uint8_t flags = reader_u8(&r);
    out->standalone = flags & STANDALONE;
    out->is_ddl = flags & DDL;
    out->prepared_xa = flags & PREPARED_XA;
    out->completed_xa = flags & COMPLETED_XA;
    if (flags & GROUP_COMMIT_ID) (void)reader_u64(&r);
    if (flags & (PREPARED_XA | COMPLETED_XA)) {
        (void)reader_u32(&r);
        size_t n = reader_u8(&r);
        n += reader_u8(&r);
        (void)reader_bytes(&r, n);
    }
    uint8_t extra = reader_left(&r) ? reader_u8(&r) : 0;
    if (extra & EXTRA_MULTI_ENGINE) (void)reader_u8(&r);
    if (extra & EXTRA_START_ALTER) out->alter = ALTER_START;
    if (extra & EXTRA_COMMIT_ALTER) out->alter = ALTER_COMMIT;
    if (extra & EXTRA_ROLLBACK_ALTER) out->alter = ALTER_ROLLBACK;
    if (extra & (EXTRA_COMMIT_ALTER | EXTRA_ROLLBACK_ALTER)) out->alter_start = reader_u64(&r);
    return reader_ok(&r) || decode_event_cut(err, h->type);
}

bool event_gtid(const EventHeader *h, const FormatDescription *fmt, Str body, GtidEvent *out, Err *err)
{
    (void)fmt;
    *out = (GtidEvent){0};
    out->gtid.flavor = FLAVOR_MYSQL;
    switch (h->type) {
    case EVENT_ANONYMOUS_GTID: out->anonymous = true; return gtid_mysql(h, body, out, err);
    case EVENT_GTID: return gtid_mysql(h, body, out, err);
    case EVENT_GTID_TAGGED: return gtid_tagged(body, out, err);
    case EVENT_MARIADB_GTID: out->gtid.flavor = FLAVOR_MARIADB; return gtid_mariadb(h, body, out, err);
    default: return err_set(err, ERR_DECODE_UNSUPPORTED, "%s event is not a GTID", event_type_name(h->type));
    }
}

/* GTID_LIST body: u32 count (lower 28 bits) and flags, then per entry u32 domain, u32 server id, u64 sequence
 * number. A domain's last entry is its newest. */
static bool gtid_list_mariadb(Str body, GtidSet *set, Err *err)
{
    Reader r = reader_of(body);
    uint32_t n = reader_u32(&r) & 0x0fffffff;
    if (!reader_ok(&r) || reader_left(&r) / 16 < n) return decode_event_cut(err, EVENT_GTID_LIST);
    for (uint32_t i = 0; i < n; i++) {
        Gtid g = {.flavor = FLAVOR_MARIADB};
        g.domain = reader_u32(&r);
        g.server_id = reader_u32(&r);
        g.seq = reader_u64(&r);
        gtidset_add(set, &g);
    }
    return true;
}

static void uuid_text(StrBuf *out, Str uuid)
{
    for (unsigned i = 0; i < 16; i++) {
        if (i == 4 || i == 6 || i == 8 || i == 10) sb_ch(out, '-');
        sb_hex(out, uuid.ptr + i, 1);
    }
}

/* PREVIOUS_GTIDS as text. Plain form: u64 count; tagged form: byte 1, 6 bytes count, byte 1. Then per entry:
 * 16 bytes uuid, (tagged: varlen length and tag), u64 number of intervals, then u64 start, u64 end behind the
 * last, each. */
static bool previous_gtids_text(Str body, StrBuf *text)
{
    Reader r = reader_of(body);
    uint64_t n = reader_u64(&r);
    bool tagged = n >> 56 == 1;
    if (tagged) n = n >> 8 & 0xffffffffffff;
    for (uint64_t i = 0; i < n && reader_ok(&r); i++) {
        char tag[33] = "";
        Str uuid = reader_str(&r, 16);
        if (tagged && !read_tag(&r, tag)) return false;
        uint64_t n_intervals = reader_u64(&r);
        if (!reader_ok(&r) || n_intervals > reader_left(&r) / 16) return false;
        if (n_intervals == 0) continue;
        if (text->len) sb_ch(text, ',');
        uuid_text(text, uuid);
        if (tag[0]) sb_printf(text, ":%s", tag);
        for (uint64_t k = 0; k < n_intervals; k++) {
            uint64_t start = reader_u64(&r), end = reader_u64(&r);
            if (start == 0 || end <= start) return false;
            sb_ch(text, ':');
            sb_u64(text, start);
            sb_ch(text, '-');
            sb_u64(text, end - 1);
        }
    }
    return reader_ok(&r);
}

bool event_gtid_list(Flavor flavor, Str body, GtidSet **out, Err *err)
{
    *out = NULL;
    if (flavor == FLAVOR_MARIADB) {
        GtidSet *set = gtidset_new(flavor);
        if (!gtid_list_mariadb(body, set, err)) {
            gtidset_free(set);
            return false;
        }
        *out = set;
        return true;
    }
    StrBuf text CLEANUP(sb_done) = {0};
    if (!previous_gtids_text(body, &text)) return decode_event_cut(err, EVENT_PREVIOUS_GTIDS);
    return gtidset_parse(flavor, sb_view(&text), out, err);
}
