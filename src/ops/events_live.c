#include "ops/events_live.h"
#include <stdlib.h>
#include "db/server.h"
#include "pipeline/catalog.h"
#include "base/poison.h"

enum { FILE_HEAD_LEN = 4, HEARTBEAT_MS = 1000 };

struct EventsLive {
    const SourceConfig *source;
    StrBuf role;
    Conn *conn;
    Flavor flavor;
    ServerLogs logs;
    StreamPoint end; /* the server's, when it was opened */
    Stream *stream;
    bool at_end;
};

static bool open_stream(EventsLive *l, Str file, uint64_t pos, Stream **out, Err *err)
{
    StreamOpts opts = {.source_id = l->source->id.ptr, .flavor = l->flavor, .heartbeat_ms = HEARTBEAT_MS};
    StreamPoint from = {.flavor = l->flavor};
    endpoint_conn(&l->source->from, l->role.ptr, &opts.conn);
    point_set_file(&from, file, pos);
    bool ok = stream_open(&opts, &from, out, NULL, err);
    point_done(&from);
    return ok;
}

/* -- where to begin -- */

/* What stands at a file's head: when it began, and what was written before it. */
static bool read_head(EventsLive *l, Str file, uint32_t *began, GtidSet **before, Err *err)
{
    Stream *s = NULL;
    RawEvent ev;
    *before = NULL;
    *began = 0;
    if (!open_stream(l, file, FILE_HEAD_LEN, &s, err)) return false;
    bool ok = true, done = false;
    while (ok && !done) {
        StreamResult r = stream_next(s, &ev, err);
        ok = r != STREAM_FAILED;
        if (!ok) break;
        unsigned type = ev.header.type;
        if (type == EVENT_FORMAT_DESCRIPTION && ev.header.timestamp) *began = ev.header.timestamp;
        if (type == EVENT_GTID_LIST || type == EVENT_PREVIOUS_GTIDS)
            ok = event_gtid_list(type == EVENT_GTID_LIST ? FLAVOR_MARIADB : FLAVOR_MYSQL, ev.body, before,
                                 err);
        done = *before || r != STREAM_EVENT || type == EVENT_GTID || type == EVENT_QUERY;
    }
    stream_close(s);
    return ok;
}

static bool begins_before(EventsLive *l, size_t i, const EventsPoint *from, bool *before, Err *err)
{
    uint32_t began;
    GtidSet *set;
    if (!read_head(l, l->logs.logs[i].name, &began, &set, err)) return false;
    if (from->kind == EVENTS_AT_TIME)
        *before = (int64_t)began < from->time;
    else
        *before = set && gtidset_flavor(set) == from->gtid.flavor && !gtidset_contains(set, &from->gtid);
    gtidset_free(set);
    return true;
}

/* The newest file that begins before the point, by bisection; the oldest when none does and a time is wanted.
 */
static bool find_file(EventsLive *l, const EventsPoint *from, Str *file, Err *err)
{
    size_t low = 0, high = l->logs.n; /* low: begins before, or the first; high: does not, or the end */
    bool before = false;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (!begins_before(l, middle, from, &before, err)) return false;
        if (before)
            low = middle + 1;
        else
            high = middle;
    }
    if (low == 0 && from->kind == EVENTS_AT_GTID)
        return err_set(err, ERR_SOURCE_PURGED,
                       "source " STR_FMT ": %s stands in no binlog that the server still has",
                       STR_ARG(l->source->id), from->text);
    *file = l->logs.logs[low ? low - 1 : 0].name;
    return true;
}

static bool open_at(EventsLive *l, const EventsPoint *from, Err *err)
{
    Str file = l->logs.logs[l->logs.n - 1].name;
    switch (from->kind) {
    case EVENTS_AT_POS: break;
    case EVENTS_AT_GTID:
    case EVENTS_AT_TIME:
        if (!find_file(l, from, &file, err)) return false;
        return open_stream(l, file, FILE_HEAD_LEN, &l->stream, err);
    case EVENTS_NOWHERE: return open_stream(l, file, FILE_HEAD_LEN, &l->stream, err);
    }
    if (from->file.len) file = from->file;
    if (open_stream(l, file, from->pos, &l->stream, err)) return true;
    /* inside a transaction, or further than the protocol can say: read the file from its start */
    if (err->code != ERR_SOURCE_SETTING && err->code != ERR_NOT_SUPPORTED) return false;
    err_clear(err);
    return open_stream(l, file, FILE_HEAD_LEN, &l->stream, err);
}

bool events_live_open(const SourceConfig *source, const EventsPoint *from, EventsLive **out, Err *err)
{
    EventsLive *l = mem_zalloc(sizeof *l);
    ConnOpts opts;
    *out = NULL;
    l->source = source;
    sb_printf(&l->role, "source " STR_FMT, STR_ARG(source->id));
    endpoint_conn(&source->from, l->role.ptr, &opts);
    bool ok = conn_open(&opts, &l->conn, err);
    if (!ok) endpoint_hint(&source->from, err);
    ok = ok && server_detect_flavor(l->conn, &l->flavor, err) && server_logs(l->conn, &l->logs, err) &&
         server_current_point(l->conn, l->flavor, &l->end, err);
    if (ok && l->logs.n == 0)
        ok =
            err_set(err, ERR_SOURCE_SETTING, "source " STR_FMT " lists no binlog files", STR_ARG(source->id));
    if (!ok || !open_at(l, from, err)) {
        events_live_close(l);
        return false;
    }
    *out = l;
    return true;
}

void events_live_close(EventsLive *l)
{
    if (!l) return;
    stream_close(l->stream);
    server_logs_done(&l->logs);
    point_done(&l->end);
    conn_close(l->conn);
    sb_done(&l->role);
    free(l);
}

/* -- reading -- */

static bool behind_end(const EventsLive *l, Str file, uint64_t pos)
{
    Str end = str_of(l->end.file);
    return str_eq(file, end) ? pos >= l->end.pos : server_log_newer(file, end);
}

bool events_live_next(EventsLive *l, bool follow, RawEvent *out, bool *end, Err *err)
{
    *end = l->at_end && !follow;
    if (*end) return true;
    StreamResult r = stream_next(l->stream, out, err);
    if (r == STREAM_FAILED) return false;
    l->at_end = behind_end(l, out->file, out->end_pos);
    if (r != STREAM_HEARTBEAT) return true;
    *end = l->at_end && !follow;
    *out = (RawEvent){.file = out->file};
    return true;
}

const FormatDescription *events_live_format(const EventsLive *l)
{
    return stream_format(l->stream);
}
