#include "source/stream.h"
#include <stdlib.h>
#include "base/check.h"
#include "base/crc.h"
#include "source/dump.h"
#include "source/frame.h"
#include "source/history.h"
#include "db/server.h"
#include "base/poison.h"

enum { HEARTBEAT_DEFAULT_MS = 5000, SILENCE_EXTRA_S = 10, CHECKSUM_LEN = 4, FILE_HEAD_LEN = 4 };

/* Owner: the source's thread. */
struct Stream {
    StreamOpts opts;
    Conn *conn;
    ServerFacts facts;
    char *identity;
    Frame frame;
    Arena format_arena;
    FormatDescription format;
    bool has_format;
    Str first; /* packet read by stream_open already */
};

/* Name and place in front of an error; a connection's own messages name the source already. */
static StreamResult fail_at(const Stream *s, Err *err)
{
    StrBuf place = {0};
    bool named = s->opts.conn.role && str_find(str_of(err->message), str_of(s->opts.conn.role)) != SIZE_MAX;
    if (!named) sb_printf(&place, "source %s%s", s->opts.source_id, s->frame.file.len ? ", " : "");
    if (s->frame.file.len)
        sb_printf(&place, "behind " STR_FMT ":%llu", STR_ARG(sb_view(&s->frame.file)),
                  (unsigned long long)s->frame.pos);
    if (place.len) err_wrap(err, "%s", place.ptr);
    sb_done(&place);
    return STREAM_FAILED;
}

/* -- opening -- */

static bool check_settings(const Stream *s, Err *err)
{
    const ServerFacts *f = &s->facts;
    if (s->opts.flavor != FLAVOR_UNKNOWN && s->opts.flavor != f->flavor)
        return err_set_remedy(err, ERR_SOURCE_SETTING,
                              "correct flavor: in the source configuration, or connect to the right server",
                              "the source is configured as %s, the server is %s " STR_FMT,
                              flavor_name(s->opts.flavor), flavor_name(f->flavor), STR_ARG(f->version));
    if (!str_ieq(f->log_bin, STR("ON")) && !str_eqc(f->log_bin, "1"))
        return err_set_remedy(err, ERR_SOURCE_SETTING,
                              "set log_bin in the server's configuration and restart it",
                              "the source writes no binlog (log_bin is off)");
    if (f->binlog_format.len && !str_ieq(f->binlog_format, STR("ROW")))
        return err_set_remedy(
            err, ERR_SOURCE_SETTING, "SET GLOBAL binlog_format = 'ROW', and reconnect all clients",
            "binlog_format is " STR_FMT ", only ROW holds the changed rows", STR_ARG(f->binlog_format));
    if (f->server_id == 0)
        return err_set_remedy(err, ERR_SOURCE_SETTING, "set server_id on the source",
                              "the source's server_id is 0: it refuses replicas");
    if (s->opts.use_gtid && f->flavor == FLAVOR_MYSQL && !str_ieq(f->gtid_mode, STR("ON")))
        return err_set_remedy(err, ERR_SOURCE_SETTING,
                              "set gtid_mode = ON on the source, or enable-gtid: false",
                              "GTIDs are asked for, but gtid_mode is " STR_FMT, STR_ARG(f->gtid_mode));
    return true;
}

/* A file position means nothing on another server. */
static bool check_binding(const Stream *s, const StreamPoint *from, Err *err)
{
    if (s->opts.use_gtid && from->gtids) return true;
    if (!from->server || str_eqc(s->facts.identity, from->server)) return true;
    return err_set_remedy(
        err, ERR_SOURCE_HISTORY, "connect to that server, or follow this source by GTID (enable-gtid: true)",
        "the position %s:%llu belongs to server %s, this one is " STR_FMT, from->file ? from->file : "",
        (unsigned long long)from->pos, from->server, STR_ARG(s->facts.identity));
}

/* The GTID set of everything before start's file and position. */
static bool find_gtids(Stream *s, uint32_t server_id, StreamPoint *start, Err *err)
{
    ServerLogs logs;
    Str file = str_of(start->file);
    if (!server_logs(s->conn, &logs, err)) return false;
    bool ok = history_check_position(&logs, file, start->pos, err) &&
              history_gtids_at(s->conn, &s->opts, &s->facts, server_id, file, start->pos, &start->gtids, err);
    server_logs_done(&logs);
    return ok;
}

/* Fills *start: from, or the current end, with a GTID set when the stream runs by GTID. */
static bool resolve_start(Stream *s, const StreamPoint *from, uint32_t server_id, StreamPoint *start,
                          Err *err)
{
    bool by_gtid = s->opts.use_gtid;
    *start = (StreamPoint){0};
    if (from->flavor != FLAVOR_UNKNOWN && from->flavor != s->facts.flavor)
        return err_set(err, ERR_SOURCE_HISTORY,
                       "this stream came from a %s server, the source is now %s " STR_FMT,
                       flavor_name(from->flavor), flavor_name(s->facts.flavor), STR_ARG(s->facts.version));
    if (!from->gtids && !from->file) {
        if (!server_current_point(s->conn, s->facts.flavor, start, err)) return false;
    } else
        point_copy(start, from);
    start->flavor = s->facts.flavor;
    if (!by_gtid) {
        if (!start->file)
            return err_set(err, ERR_CONFIG_MISSING, "a start without GTIDs needs a binlog file and position");
        gtidset_free(start->gtids);
        start->gtids = NULL;
        return true;
    }
    return start->gtids || find_gtids(s, server_id, start, err);
}

/* Everything that must hold before a dump from *start makes sense. */
static bool check_history(Stream *s, const StreamPoint *start, uint32_t server_id, Err *err)
{
    ServerLogs logs;
    bool by_gtid = s->opts.use_gtid;
    if (!server_logs(s->conn, &logs, err)) return false;
    bool ok = by_gtid ? history_check_gtids(s->conn, &s->facts, &logs, start->gtids, err)
                      : history_check_position(&logs, str_of(start->file), start->pos, err);
    bool same = start->server && str_eqc(s->facts.identity, start->server);
    if (ok && same && start->evidence.set && start->file)
        ok = history_check_evidence(&s->opts, &s->facts, &logs, start, server_id, err);
    Str file = str_of(start->file);
    if (ok && !by_gtid && !start->evidence.set)
        ok = history_check_boundary(&s->opts, &s->facts, server_id, file, start->pos, err);
    enum { IBB_LEN = 4 };
    if (ok && !by_gtid && file.len > IBB_LEN &&
        str_eqc(str_make(file.ptr + file.len - IBB_LEN, IBB_LEN), ".ibb"))
        ok = err_set_remedy(err, ERR_NOT_SUPPORTED, "use GTIDs (enable-gtid: true)",
                            "positions in InnoDB binlogs (%s) are not supported", start->file);
    server_logs_done(&logs);
    return ok;
}

static bool start_dump(Stream *s, const StreamPoint *start, uint32_t server_id, Err *err)
{
    DumpRequest q = {.flavor = s->facts.flavor,
                     .server_id = server_id,
                     .heartbeat_ms = s->opts.heartbeat_ms,
                     .gtids = s->opts.use_gtid ? start->gtids : NULL,
                     .file = str_of(start->file),
                     .pos = start->pos};
    bool end;
    if (!dump_prepare(s->conn, &q, err) || !dump_register(s->conn, server_id, err) ||
        !dump_start(s->conn, &q, err))
        return false;
    /* the server answers at once, with the fake ROTATE or with its refusal */
    if (!dump_read(s->conn, &s->first, &end, err)) {
        StrBuf at = {0};
        point_format_human(start, &at);
        err_wrap(err, "asking for the binlog from " STR_FMT, STR_ARG(sb_view(&at)));
        sb_done(&at);
        return false;
    }
    if (end) return err_set(err, ERR_DB_LOST, "the server ended the dump at its start");
    return true;
}

/* By GTID on another server: its files are not those the point names. */
static void leave_place(StreamPoint *p)
{
    CHECK(p->gtids != NULL, "a position never moves to another server");
    free(p->file);
    p->file = NULL;
    p->pos = 0;
    p->evidence = (PointEvidence){0};
}

static bool open_checked(Stream *s, const StreamPoint *from, StreamPoint *start, Err *err)
{
    uint32_t server_id = s->opts.server_id;
    if (!conn_open(&s->opts.conn, &s->conn, err) || !server_facts(s->conn, &s->facts, err) ||
        !check_settings(s, err) || !check_binding(s, from, err))
        return false;
    if (!server_id && !server_id_choose(s->conn, &s->facts, s->opts.source_id, &server_id, err)) return false;
    if (server_id == s->facts.server_id)
        return err_set(err, ERR_SOURCE_SERVER_ID, "server-id %u is the source's own", server_id);
    if (!resolve_start(s, from, server_id, start, err) || !check_history(s, start, server_id, err))
        return false;
    if (!start_dump(s, start, server_id, err)) return false;
    if (start->server && !str_eqc(s->facts.identity, start->server)) leave_place(start);
    free(start->server);
    start->server = str_dup(s->facts.identity);
    s->identity = str_dup(s->facts.identity);
    return true;
}

bool stream_open(const StreamOpts *opts, const StreamPoint *from, Stream **out, StreamPoint *resolved,
                 Err *err)
{
    Stream *s = mem_zalloc(sizeof *s);
    *out = NULL;
    s->opts = *opts;
    if (!s->opts.heartbeat_ms) s->opts.heartbeat_ms = HEARTBEAT_DEFAULT_MS;
    unsigned silence_s = (unsigned)(3 * s->opts.heartbeat_ms / 1000) + SILENCE_EXTRA_S;
    s->opts.conn.read_timeout_s = MAX(s->opts.conn.read_timeout_s, silence_s);
    StreamPoint start = {0};
    if (!open_checked(s, from, &start, err)) {
        fail_at(s, err);
        point_done(&start);
        stream_close(s);
        return false;
    }
    if (!opts->use_gtid) frame_move(&s->frame, str_of(start.file), start.pos);
    if (resolved)
        *resolved = start;
    else
        point_done(&start);
    *out = s;
    return true;
}

void stream_close(Stream *s)
{
    if (!s) return;
    conn_close(s->conn);
    server_facts_done(&s->facts);
    frame_done(&s->frame);
    arena_done(&s->format_arena);
    free(s->identity);
    free(s);
}

void stream_interrupt(Stream *s)
{
    conn_kill_socket(s->conn);
}

/* -- reading -- */

/* The last four bytes, little-endian. */
static uint32_t checksum_of(Str event)
{
    CHECK(event.len >= CHECKSUM_LEN, "an event has a checksum");
    const uint8_t *p = (const uint8_t *)event.ptr + event.len - CHECKSUM_LEN;
    return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

/* An artificial event may carry a checksum or not, whatever the file's own events do: its CRC tells. */
static bool crc_fits(Str event)
{
    if (event.len < EVENT_HEADER_LEN + CHECKSUM_LEN) return false;
    size_t n = event.len - CHECKSUM_LEN;
    return checksum_of(event) == crc_sum(0, event.ptr, n);
}

/* Row events never are the last of a transaction, so nobody asks for their CRC; they are most of the bytes.
 */
static bool may_be_evidence(unsigned type)
{
    return type != EVENT_TABLE_MAP && !(type >= EVENT_WRITE_ROWS_V0 && type <= EVENT_DELETE_ROWS_V1) &&
           !(type >= EVENT_WRITE_ROWS_V2 && type <= EVENT_DELETE_ROWS_V2) &&
           type != EVENT_PARTIAL_UPDATE_ROWS &&
           !(type >= EVENT_WRITE_ROWS_COMPRESSED_V1 && type <= EVENT_PARTIAL_ROW_DATA);
}

static bool take_format(Stream *s, const RawEvent *ev, Err *err)
{
    arena_done(&s->format_arena);
    s->format_arena = (Arena){0};
    s->has_format = event_format_description(ev->whole, &s->format_arena, &s->format, err);
    return s->has_format;
}

/* ROTATE: real at the end of a file, artificial at the beginning of what is sent (and of each file). */
static bool take_rotate(Stream *s, RawEvent *out, bool *moved, Err *err)
{
    RotateEvent r;
    if (!event_rotate(out->body, &r, err)) return false;
    bool first = s->frame.file.len == 0 || !s->has_format;
    bool other = !str_eq(r.file, sb_view(&s->frame.file));
    if (!other && !first && r.pos < s->frame.pos)
        return err_set(err, ERR_SOURCE_PROTOCOL, "the server goes back to " STR_FMT ":%llu", STR_ARG(r.file),
                       (unsigned long long)r.pos);
    *moved = other && !first;
    frame_move(&s->frame, r.file, r.pos);
    out->start_pos = out->end_pos = r.pos;
    return true;
}

static bool read_event(Stream *s, RawEvent *out, bool *has_checksum, Err *err)
{
    bool end = false;
    out->whole = s->first;
    s->first = (Str){0};
    if (!out->whole.ptr && !dump_read(s->conn, &out->whole, &end, err)) return false;
    if (end) return err_set(err, ERR_DB_LOST, "the server ended the dump");
    unsigned type = out->whole.len >= EVENT_HEADER_LEN ? (uint8_t)out->whole.ptr[4] : 0;
    if (type == EVENT_FORMAT_DESCRIPTION)
        *has_checksum = false; /* it always has one; event_format_description verifies it */
    else if (type == EVENT_ROTATE || type == EVENT_HEARTBEAT || type == EVENT_HEARTBEAT_V2)
        *has_checksum = crc_fits(out->whole);
    else if (!s->has_format)
        return err_set(err, ERR_SOURCE_PROTOCOL, "%s event before FORMAT_DESCRIPTION", event_type_name(type));
    else
        *has_checksum = s->format.checksum_crc32;
    return event_split(out->whole, *has_checksum, &out->header, &out->body, err);
}

StreamResult stream_next(Stream *s, RawEvent *out, Err *err)
{
    for (;;) {
        bool has_checksum = false, moved = false;
        *out = (RawEvent){0};
        if (!read_event(s, out, &has_checksum, err)) return fail_at(s, err);
        unsigned type = out->header.type;
        if (type == EVENT_ROTATE) {
            if (!take_rotate(s, out, &moved, err)) return fail_at(s, err);
            out->file = sb_view(&s->frame.file);
            if (moved) return STREAM_ROTATED;
            continue;
        }
        if (type == EVENT_HEARTBEAT || type == EVENT_HEARTBEAT_V2) {
            RotateEvent at;
            if (!event_heartbeat(&out->header, out->body, &at, err)) return fail_at(s, err);
            if (!frame_heartbeat(&s->frame, &out->header, &at, &out->end_pos))
                continue; /* of the file left behind */
            out->start_pos = out->end_pos;
            out->file = sb_view(&s->frame.file);
            return STREAM_HEARTBEAT;
        }
        if (type == EVENT_FORMAT_DESCRIPTION && !take_format(s, out, err)) return fail_at(s, err);
        if (!frame_place(&s->frame, &out->header, &out->start_pos, &out->end_pos, err))
            return fail_at(s, err);
        out->file = sb_view(&s->frame.file);
        bool checked = has_checksum || (type == EVENT_FORMAT_DESCRIPTION && s->format.checksum_crc32);
        if (checked) /* verified above, so what it says is what we would compute */
            out->crc = checksum_of(out->whole);
        else if (may_be_evidence(type))
            out->crc = crc_sum(0, out->whole.ptr, out->whole.len);
        return STREAM_EVENT;
    }
}

const FormatDescription *stream_format(const Stream *s)
{
    return &s->format;
}

const char *stream_server(const Stream *s)
{
    return s->identity;
}

Flavor stream_flavor(const Stream *s)
{
    return s->facts.flavor;
}
