#include "source/history.h"
#include <stdlib.h>
#include "base/check.h"
#include "base/crc.h"
#include "source/dump.h"
#include "source/frame.h"
#include "base/poison.h"

/* -- sets -- */

static char *set_text(const GtidSet *s)
{
    StrBuf b = {0};
    gtidset_format(s, &b);
    return sb_take(&b);
}

bool history_compare(const GtidSet *ours, const GtidSet *executed, const GtidSet *purged, Err *err)
{
    if (!gtidset_subset(ours, executed)) {
        char *a = set_text(ours), *b = set_text(executed);
        err_set(err, ERR_SOURCE_HISTORY,
                "we have followed up to %s, but the server has only executed %s: it was reset, "
                "restored, or is not a replica that has caught up",
                a, b ? b : "nothing");
        free(a);
        free(b);
        return false;
    }
    if (purged && !gtidset_subset(purged, ours)) {
        char *a = set_text(ours), *b = set_text(purged);
        err_set(err, ERR_SOURCE_PURGED, "we have followed up to %s, but the server's binlogs begin behind %s",
                a ? a : "nothing", b);
        free(a);
        free(b);
        return false;
    }
    return true;
}

static bool read_set(Conn *c, Flavor flavor, Str sql, GtidSet **out, Err *err)
{
    char *text = NULL;
    *out = NULL;
    if (!conn_scalar(c, sql, &text, err)) return false;
    bool ok = !text || gtidset_parse(flavor, str_of(text), out, err);
    free(text);
    return ok;
}

bool history_check_gtids(Conn *c, const ServerFacts *facts, const ServerLogs *logs, const GtidSet *ours,
                         Err *err)
{
    GtidSet *executed = NULL, *purged = NULL;
    bool maria = facts->flavor == FLAVOR_MARIADB;
    StrBuf sql = {0};
    if (maria && logs->n) {
        sb_c(&sql, "SELECT BINLOG_GTID_POS(");
        sb_quoted(&sql, logs->logs[0].name);
        sb_c(&sql, ", 4)");
    } else if (!maria)
        sb_c(&sql, "SELECT @@global.gtid_purged");
    /* purged first: a purge in between makes ours look better than it is, never the server refuses less for
     * it */
    bool ok = !sql.len || read_set(c, facts->flavor, sb_view(&sql), &purged, err);
    if (ok)
        ok = read_set(c, facts->flavor,
                      maria ? STR("SELECT @@global.gtid_binlog_pos") : STR("SELECT @@global.gtid_executed"),
                      &executed, err);
    if (!ok) err_wrap(err, "reading the source's GTID state");
    if (ok && !executed) executed = gtidset_new(facts->flavor);
    if (ok) ok = history_compare(ours, executed, purged, err);
    gtidset_free(executed);
    gtidset_free(purged);
    sb_done(&sql);
    return ok;
}

/* -- positions -- */

bool history_check_position(const ServerLogs *logs, Str file, uint64_t pos, Err *err)
{
    const ServerLog *l = server_logs_find(logs, file);
    if (!l && server_logs_purged(logs, file))
        return err_set(err, ERR_SOURCE_PURGED,
                       "binlog " STR_FMT " is not there any more, the oldest is " STR_FMT, STR_ARG(file),
                       STR_ARG(logs->logs[0].name));
    if (!l)
        return err_set(err, ERR_SOURCE_HISTORY,
                       "the server has no binlog " STR_FMT ": it has " STR_FMT " to " STR_FMT, STR_ARG(file),
                       STR_ARG(logs->n ? logs->logs[0].name : STR("none")),
                       STR_ARG(logs->n ? logs->logs[logs->n - 1].name : STR("none")));
    if (pos > l->size)
        return err_set(err, ERR_SOURCE_HISTORY,
                       STR_FMT ":%llu lies beyond the end of that binlog (%llu bytes)", STR_ARG(file),
                       (unsigned long long)pos, (unsigned long long)l->size);
    return true;
}

/* -- a short look into the binlog -- */

/* A second connection that reads from (file, pos) to the current end. */
typedef struct Peek {
    Conn *conn;
    Arena arena;
    FormatDescription format;
    Frame frame;
} Peek;

static void peek_close(Peek *p)
{
    conn_close(p->conn);
    arena_done(&p->arena);
    frame_done(&p->frame);
}

static bool peek_open(const StreamOpts *opts, Flavor flavor, uint32_t server_id, Str file, uint64_t pos,
                      Peek *p, Err *err)
{
    *p = (Peek){0};
    DumpRequest q = {.flavor = flavor, .server_id = server_id, .non_block = true, .file = file, .pos = pos};
    frame_move(&p->frame, file, pos);
    if (conn_open(&opts->conn, &p->conn, err) && dump_prepare(p->conn, &q, err) &&
        dump_start(p->conn, &q, err))
        return true;
    peek_close(p);
    return false;
}

typedef struct Peeked {
    EventHeader header;
    Str whole, body;
    uint64_t start, end;
} Peeked;

/* Next event that stands in the file; *more false at the end, or when the file ends. */
static bool peek_next(Peek *p, Peeked *out, bool *more, Err *err)
{
    *more = false;
    for (;;) {
        bool end;
        if (!dump_read(p->conn, &out->whole, &end, err)) return false;
        if (end) return true;
        bool artificial =
            out->whole.len >= EVENT_HEADER_LEN &&
            ((uint8_t)out->whole.ptr[17] & EVENT_FLAG_ARTIFICIAL || out->whole.ptr[4] == EVENT_ROTATE);
        if (!event_split(out->whole, p->format.checksum_crc32 && !artificial, &out->header, &out->body, err))
            return false;
        unsigned type = out->header.type;
        if (type == EVENT_FORMAT_DESCRIPTION &&
            !event_format_description(out->whole, &p->arena, &p->format, err))
            return false;
        if (type == EVENT_ROTATE && !(out->header.flags & EVENT_FLAG_ARTIFICIAL)) return true;
        if (type == EVENT_ROTATE || type == EVENT_HEARTBEAT || type == EVENT_HEARTBEAT_V2) continue;
        if (!frame_place(&p->frame, &out->header, &out->start, &out->end, err)) return false;
        if (out->start == out->end) continue; /* artificial, or the FORMAT_DESCRIPTION of a mid-file start */
        *more = true;
        return true;
    }
}

/* Is this how it looks when no event begins at the place asked for? */
static bool nothing_there(const Err *err)
{
    return err->code == ERR_CORRUPT || err->code == ERR_SOURCE_SETTING || err->code == ERR_SOURCE_HISTORY ||
           err->code == ERR_SOURCE_PROTOCOL || err->code == ERR_DECODE_CHECKSUM ||
           err->code == ERR_DECODE_TRUNCATED;
}

static bool differs(const StreamPoint *from, const char *how, Err *err)
{
    return err_set(err, ERR_SOURCE_HISTORY,
                   "the transaction that ended at %s:%llu is not there any more (%s): the server was "
                   "reset or restored since",
                   from->file, (unsigned long long)from->pos, how);
}

bool history_check_evidence(const StreamOpts *opts, const ServerFacts *facts, const ServerLogs *logs,
                            const StreamPoint *from, uint32_t server_id, Err *err)
{
    const PointEvidence *e = &from->evidence;
    Str file = str_of(from->file);
    bool by_gtid = opts->use_gtid && from->gtids;
    if (!server_logs_find(logs, file) && by_gtid && server_logs_purged(logs, file)) return true;
    if (!history_check_position(logs, file, e->event_pos + e->event_size, err)) return false;
    if (e->event_pos > UINT32_MAX) return true; /* the protocol cannot ask for it */
    Peek p;
    Peeked ev;
    bool more = false;
    if (!peek_open(opts, facts->flavor, server_id, file, e->event_pos, &p, err)) return false;
    bool ok = peek_next(&p, &ev, &more, err);
    if (!ok && nothing_there(err)) {
        err_clear(err);
        differs(from, "no event begins there", err);
    } else if (ok && !more)
        ok = differs(from, "the binlog ends before it", err);
    else if (ok) {
        size_t tail = p.format.checksum_crc32 ? 4 : 0;
        uint32_t crc = crc_sum(0, ev.whole.ptr, ev.whole.len - tail);
        if (ev.start != e->event_pos || ev.header.size != e->event_size)
            ok = differs(from, "its size differs", err);
        else if (ev.header.timestamp != e->timestamp)
            ok = differs(from, "its time differs", err);
        else if (crc != e->crc)
            ok = differs(from, "its bytes differ", err);
    }
    peek_close(&p);
    return ok;
}

/* -- position → set -- */

/* Event types that stand between transactions. */
static bool may_begin(unsigned type)
{
    switch (type) {
    case EVENT_GTID:
    case EVENT_ANONYMOUS_GTID:
    case EVENT_GTID_TAGGED:
    case EVENT_MARIADB_GTID:
    case EVENT_ROTATE:
    case EVENT_STOP:
    case EVENT_FORMAT_DESCRIPTION:
    case EVENT_PREVIOUS_GTIDS:
    case EVENT_GTID_LIST:
    case EVENT_BINLOG_CHECKPOINT:
    case EVENT_START_ENCRYPTION:
    case EVENT_INCIDENT:
    case EVENT_HEARTBEAT: return true;
    default: return false;
    }
}

static bool not_between(Str file, uint64_t pos, Err *err)
{
    err_clear(err);
    return err_set_remedy(
        err, ERR_SOURCE_SETTING, "give the end of a transaction, as the binlog tools print it",
        STR_FMT ":%llu is inside a transaction or an event", STR_ARG(file), (unsigned long long)pos);
}

bool history_check_boundary(const StreamOpts *opts, const ServerFacts *facts, uint32_t server_id, Str file,
                            uint64_t pos, Err *err)
{
    if (pos > UINT32_MAX) return true; /* the protocol cannot ask for it */
    Peek p;
    Peeked ev;
    bool more = false;
    if (!peek_open(opts, facts->flavor, server_id, file, pos, &p, err)) return false;
    bool ok = peek_next(&p, &ev, &more, err);
    if ((!ok && nothing_there(err)) || (ok && more && (ev.start != pos || !may_begin(ev.header.type))))
        ok = not_between(file, pos, err);
    peek_close(&p);
    return ok;
}

static bool add_previous(GtidSet *set, Str body, Err *err)
{
    GtidSet *before;
    if (!event_gtid_list(FLAVOR_MYSQL, body, &before, err)) return false;
    gtidset_merge(set, before);
    gtidset_free(before);
    return true;
}

/* What the file begins behind, and the GTIDs in it up to pos. */
static bool scan_gtids(Peek *p, uint64_t pos, GtidSet *set, Err *err)
{
    Peeked ev;
    bool more = true;
    for (;;) {
        if (!peek_next(p, &ev, &more, err)) return false;
        if (!more) return true;
        unsigned type = ev.header.type;
        if (type == EVENT_FORMAT_DESCRIPTION) continue;
        if (type == EVENT_PREVIOUS_GTIDS) {
            if (!add_previous(set, ev.body, err)) return false;
            if (pos <= ev.end) return true;
            continue;
        }
        if (ev.start == pos && may_begin(type)) return true;
        if (ev.start >= pos) return not_between(sb_view(&p->frame.file), pos, err);
        if (type == EVENT_GTID || type == EVENT_GTID_TAGGED) {
            GtidEvent g;
            if (!event_gtid(&ev.header, &p->format, ev.body, &g, err)) return false;
            gtidset_add(set, &g.gtid);
        }
    }
}

bool history_gtids_at(Conn *c, const StreamOpts *opts, const ServerFacts *facts, uint32_t server_id, Str file,
                      uint64_t pos, GtidSet **out, Err *err)
{
    *out = NULL;
    if (facts->flavor == FLAVOR_MARIADB) {
        StrBuf sql = {0};
        sb_c(&sql, "SELECT BINLOG_GTID_POS(");
        sb_quoted(&sql, file);
        sb_printf(&sql, ", %llu)", (unsigned long long)pos);
        bool ok = read_set(c, facts->flavor, sb_view(&sql), out, err);
        sb_done(&sql);
        if (ok && !*out) return not_between(file, pos, err);
        /* the function also answers in the middle of a transaction */
        if (ok) ok = history_check_boundary(opts, facts, server_id, file, pos, err);
        return ok;
    }
    Peek p;
    if (!peek_open(opts, facts->flavor, server_id, file, 4, &p, err)) return false;
    GtidSet *set = gtidset_new(facts->flavor);
    bool ok = scan_gtids(&p, pos, set, err);
    peek_close(&p);
    if (ok)
        *out = set;
    else
        gtidset_free(set);
    return ok;
}
