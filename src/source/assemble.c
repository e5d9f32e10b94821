#include "source/assemble_impl.h"
#include <stdlib.h>
#include "base/check.h"
#include "decode/event_minor.h"
#include "decode/event_inflate.h"
#include "base/poison.h"

Assembler *assembler_new(const AssembleOpts *opts)
{
    Assembler *a = mem_zalloc(sizeof *a);
    a->opts = *opts;
    a->server = str_dup(str_of(opts->server));
    a->server_interned = server_intern(a->server);
    a->point.flavor = opts->flavor;
    if (!a->opts.split_rows) a->opts.split_rows = UINT64_MAX;
    if (!a->opts.spill_bytes) a->opts.spill_bytes = UINT64_MAX;
    a->sink.arena = &a->keys_arena;
    if (opts->flavor == FLAVOR_MARIADB) a->domains = gtidset_new(FLAVOR_MARIADB);
    if (opts->applied) {
        size_t iter = 0;
        void *v;
        while (map_next(&opts->applied->txns, &iter, NULL, &v))
            a->applied_has_ranges |= !((const AppliedTxn *)v)->whole;
    }
    if (opts->spill_dir) spill_sweep(opts->spill_dir, opts->source_id);
    return a;
}

void assembler_free(Assembler *a)
{
    if (!a) return;
    group_drop(a);
    for (size_t i = 0; i < a->n_tables; i++)
        table_entry_free(a->tables[i]);
    free(a->tables);
    map_done(&a->tables_by_body);
    free(a->current);
    free(a->savepoints);
    free(a->segments);
    free(a->ops);
    free(a->fields);
    payload_free(a->payload);
    xa_close(a->xa);
    sb_done(&a->xid);
    sb_done(&a->inflated);
    sb_done(&a->rewritten);
    arena_done(&a->keys_arena);
    gtidset_free(a->domains);
    point_done(&a->point);
    free(a->server);
    free(a);
}

void assembler_reset(Assembler *a, const char *server)
{
    group_drop(a);
    char *copy = str_dup(str_of(server));
    free(a->server);
    a->server = copy;
    a->server_interned = server_intern(copy);
}

bool assembler_in_transaction(const Assembler *a)
{
    return a->group.state != GROUP_NONE;
}

void assembler_set_point(Assembler *a, const StreamPoint *p)
{
    StreamPoint copy = {0};
    point_copy(&copy, p);
    point_done(&a->point);
    a->point = copy;
    if (a->domains && a->point.gtids) gtidset_merge(a->domains, a->point.gtids);
    xa_look(a);
}

const StreamPoint *assembler_point(const Assembler *a)
{
    return &a->point;
}

void assemble_note(Assembler *a, const char *what, Str text)
{
    if (a->opts.hooks.note) a->opts.hooks.note(a->opts.hooks.ctx, a->opts.source, what, text);
}

void group_drop(Assembler *a)
{
    Group *g = &a->group;
    if (g->xa) xa_drop(a->xa);
    if (g->txn) txn_free(g->txn);
    arena_done(&g->side);
    spill_close(g->spill);
    *g = (Group){0};
    a->n_segments = 0;
    a->n_current = 0;
    ops_clear(a);
    savepoints_clear(a);
}

void group_begin(Assembler *a, GroupState state)
{
    if (a->group.state == GROUP_NONE) {
        group_drop(a);
        a->group.txn = txn_new();
        a->group.keys_arena_before = a->keys_arena.bytes;
        a->group.keep_all = !a->opts.use_gtid && a->applied_has_ranges;
    }
    a->group.state = state;
}

/* By GTID the applied set answers before the first row: what is done is only counted, ranges are kept for
 * cutting. */
static void look_up_applied(Assembler *a)
{
    Group *g = &a->group;
    if (!a->opts.applied || !a->opts.use_gtid || !g->has_gtid) return;
    TxnId id = {.has_gtid = true, .gtid = g->gtid, .server = a->server_interned};
    g->applied = applied_set_find(a->opts.applied, &id, a->server);
    if (!g->applied) return;
    g->mode = g->applied->whole ? ROWS_COUNT : ROWS_RAW;
    g->keep_all = !g->applied->whole;
}

static bool check_gtid(const Assembler *a, const Gtid *gtid, Err *err)
{
    bool maria = gtid->flavor == FLAVOR_MARIADB;
    Gtid last;
    bool behind =
        maria ? a->domains && gtidset_domain_last(a->domains, gtid->domain, &last) && gtid->seq <= last.seq
              : a->point.gtids && gtidset_contains(a->point.gtids, gtid);
    if (!behind) return true;
    StrBuf b = {0};
    gtid_format(gtid, &b);
    if (maria) {
        sb_c(&b, " comes after ");
        gtid_format(&last, &b);
        err_set(err, ERR_SOURCE_GTID_ORDER, "%s", b.ptr);
    } else {
        err_set(err, ERR_SOURCE_HISTORY, "the server sent GTID %s, which is done already", b.ptr);
    }
    sb_done(&b);
    return false;
}

static bool gtid_event(Assembler *a, const FormatDescription *fmt, const RawEvent *ev, Err *err)
{
    GtidEvent e;
    if (!event_gtid(&ev->header, fmt, ev->body, &e, err)) return false;
    if (a->group.state != GROUP_NONE)
        return err_set(err, ERR_SOURCE_PROTOCOL, "a transaction begins before the one before it has ended");
    if (e.gtid.flavor != a->opts.flavor)
        return err_set(err, ERR_SOURCE_PROTOCOL, "a GTID of %s from a server of %s",
                       flavor_name(e.gtid.flavor), flavor_name(a->opts.flavor));
    if (e.anonymous && a->opts.use_gtid)
        return err_set_remedy(err, ERR_SOURCE_SETTING,
                              "set gtid_mode=ON on the source, or follow it by file:position",
                              "a transaction without GTID in a stream that is followed by GTID");
    if (!e.anonymous && !a->opts.only_statements && !check_gtid(a, &e.gtid, err)) return false;
    bool maria = ev->header.type == EVENT_MARIADB_GTID;
    group_begin(a, maria && !e.standalone ? GROUP_OPEN : GROUP_GTID);
    a->group.has_gtid = !e.anonymous;
    a->group.gtid = e.gtid;
    a->group.alter = e.alter;
    look_up_applied(a);
    return !e.prepared_xa || xa_start(a, err);
}

static bool xid_event(Assembler *a, const RawEvent *ev, Err *err)
{
    uint64_t xid;
    if (!event_xid(ev->body, &xid, err)) return false;
    if (a->group.state != GROUP_OPEN)
        return err_set(err, ERR_SOURCE_PROTOCOL, "XID event outside a transaction");
    return group_commit(a, ev, err);
}

static bool query_event(Assembler *a, const FormatDescription *fmt, const RawEvent *ev, Err *err)
{
    QueryEvent q;
    Str body = ev->body;
    if (ev->header.type == EVENT_QUERY_COMPRESSED) {
        sb_clear(&a->inflated);
        if (!event_query_inflate(body, &a->inflated, err)) return false;
        body = sb_view(&a->inflated);
    }
    return event_query(body, &q, err) && assemble_query(a, fmt, ev, &q, false, err);
}

/* EXECUTE_LOAD_QUERY is a QUERY whose post-header of 13 bytes is followed by 13 more: file id 4, where the
 * file's name begins in the statement 4, where it ends 4, how duplicates are handled 1. */
static bool load_query_event(Assembler *a, const FormatDescription *fmt, const RawEvent *ev, Err *err)
{
    StrBuf body = {0};
    uint32_t file_id;
    QueryEvent q;
    bool ok =
        event_load_query(ev->body, &body, &file_id, &q, err) && assemble_query(a, fmt, ev, &q, true, err);
    sb_done(&body);
    return ok;
}

static bool refuse(const RawEvent *ev, const char *remedy, Err *err)
{
    return err_set_remedy(err, ERR_DECODE_UNSUPPORTED, remedy, "%s event (type %u)",
                          event_type_name(ev->header.type), ev->header.type);
}

static bool unknown_event(Assembler *a, const RawEvent *ev, Err *err)
{
    if (ev->header.flags & EVENT_FLAG_IGNORABLE) {
        assemble_note(a, "event that may be ignored", str_of(event_type_name(ev->header.type)));
        return true;
    }
    return refuse(ev, "report it with the server's version; what such an event holds is not known", err);
}

/* A FORMAT_DESCRIPTION of the server's own begins a file. A group that is still open then was cut off by a
 * crash of the server, which has rolled it back. */
static void format_event(Assembler *a, const RawEvent *ev)
{
    if (a->group.state == GROUP_NONE || ev->header.flags & EVENT_FLAG_ARTIFICIAL) return;
    assemble_note(a, "a transaction that a server crash cut off was dropped", ev->file);
    group_drop(a);
}

/* All that who looks for statements alone has to see. */
static bool is_statement_event(const RawEvent *ev)
{
    switch ((EventType)ev->header.type) {
    case EVENT_QUERY:
    case EVENT_QUERY_COMPRESSED:
    case EVENT_EXECUTE_LOAD_QUERY:
    case EVENT_XID:
    case EVENT_GTID:
    case EVENT_ANONYMOUS_GTID:
    case EVENT_GTID_TAGGED:
    case EVENT_MARIADB_GTID:
    case EVENT_XA_PREPARE:
    case EVENT_FORMAT_DESCRIPTION:
    case EVENT_TRANSACTION_PAYLOAD: return true;
    default: return false;
    }
}

/* Every type has its line: the compiler asks for a new one when the table of types grows. */
bool assemble_switch(Assembler *a, const FormatDescription *fmt, const RawEvent *ev, Err *err)
{
    if (a->opts.only_statements && !is_statement_event(ev))
        return ev->header.type != EVENT_TABLE_MAP || !a->opts.hooks.named || assemble_named(a, fmt, ev, err);
    switch ((EventType)ev->header.type) {
    case EVENT_TABLE_MAP: return assemble_table_map(a, fmt, ev, err);
    case EVENT_WRITE_ROWS_V0:
    case EVENT_UPDATE_ROWS_V0:
    case EVENT_DELETE_ROWS_V0:
    case EVENT_WRITE_ROWS_V1:
    case EVENT_UPDATE_ROWS_V1:
    case EVENT_DELETE_ROWS_V1:
    case EVENT_WRITE_ROWS_V2:
    case EVENT_UPDATE_ROWS_V2:
    case EVENT_DELETE_ROWS_V2:
    case EVENT_PARTIAL_UPDATE_ROWS:
    case EVENT_WRITE_ROWS_COMPRESSED_V1:
    case EVENT_UPDATE_ROWS_COMPRESSED_V1:
    case EVENT_DELETE_ROWS_COMPRESSED_V1:
    case EVENT_WRITE_ROWS_COMPRESSED_V2:
    case EVENT_UPDATE_ROWS_COMPRESSED_V2:
    case EVENT_DELETE_ROWS_COMPRESSED_V2: return assemble_rows(a, fmt, ev, err);
    case EVENT_QUERY:
    case EVENT_QUERY_COMPRESSED: return query_event(a, fmt, ev, err);
    case EVENT_EXECUTE_LOAD_QUERY: return load_query_event(a, fmt, ev, err);
    case EVENT_XID: return xid_event(a, ev, err);
    case EVENT_GTID:
    case EVENT_ANONYMOUS_GTID:
    case EVENT_GTID_TAGGED:
    case EVENT_MARIADB_GTID: return gtid_event(a, fmt, ev, err);
    case EVENT_XA_PREPARE: return assemble_xa_prepare(a, fmt, ev, err);
    case EVENT_FORMAT_DESCRIPTION: format_event(a, ev); return true;

    /* of the stream, or of the server's own bookkeeping: nothing for tables */
    case EVENT_ROTATE:
    case EVENT_STOP:
    case EVENT_HEARTBEAT:
    case EVENT_HEARTBEAT_V2:
    case EVENT_PREVIOUS_GTIDS:
    case EVENT_GTID_LIST:
    case EVENT_BINLOG_CHECKPOINT:
    case EVENT_TRANSACTION_CONTEXT: /* group replication's certification data */
    case EVENT_VIEW_CHANGE:         /* group replication's membership */
    case EVENT_START_ENCRYPTION:    /* of the file; over the wire events are plain */
    /* the statement's text beside its rows */
    case EVENT_ANNOTATE_ROWS:
    case EVENT_ROWS_QUERY:
    /* context of a statement-format statement that follows: that QUERY decides */
    case EVENT_INTVAR:
    case EVENT_RAND:
    case EVENT_USER_VAR:
    case EVENT_BEGIN_LOAD_QUERY:
    case EVENT_APPEND_BLOCK:
    case EVENT_DELETE_FILE: return true;

    case EVENT_IGNORABLE: return unknown_event(a, ev, err);
    case EVENT_INCIDENT: return err_set(err, ERR_SOURCE_INCIDENT, "INCIDENT event: the server lost events");
    case EVENT_TRANSACTION_PAYLOAD: return assemble_payload(a, fmt, ev, err);
    case EVENT_PARTIAL_ROW_DATA:
        return refuse(ev,
                      "keep rows below the server's limit for row events; bring the rows of this "
                      "transaction by hand and go on behind it, " ERR_PAST,
                      err);
    /* of servers before 5.0 */
    case EVENT_START_V3:
    case EVENT_LOAD:
    case EVENT_SLAVE:
    case EVENT_CREATE_FILE:
    case EVENT_EXEC_LOAD:
    case EVENT_NEW_LOAD: return refuse(ev, "use a server that writes binlog version 4", err);
    case EVENT_UNKNOWN: break;
    }
    return unknown_event(a, ev, err);
}

/* Puts the place in front of the message. */
static void name_place(const Assembler *a, const RawEvent *ev, Err *err)
{
    StrBuf gtid = {0};
    if (a->group.has_gtid) {
        sb_c(&gtid, ", GTID ");
        gtid_format(&a->group.gtid, &gtid);
    }
    err_wrap(err, "source %s, " STR_FMT ":%llu%s", a->opts.source_id, STR_ARG(ev->file),
             (unsigned long long)ev->start_pos, gtid.ptr ? gtid.ptr : "");
    sb_done(&gtid);
}

/* One large event does not hold its memory for ever. */
static void scratch_shrink(StrBuf *b)
{
    enum { KEEP_BYTES = 1024 * 1024 };
    if (b->cap > KEEP_BYTES) sb_done(b);
}

bool assembler_event(Assembler *a, const FormatDescription *fmt, const RawEvent *ev, Err *err)
{
    bool ok = assemble_switch(a, fmt, ev, err);
    scratch_shrink(&a->inflated);
    scratch_shrink(&a->rewritten);
    if (ok) return true;
    if (err->code != ERR_CANCELLED) name_place(a, ev, err);
    group_drop(a);
    return false;
}

bool assembler_position(Assembler *a, Str file, uint64_t pos, uint32_t timestamp,
                        const PointEvidence *evidence, Err *err)
{
    if (a->group.state != GROUP_NONE) {
        if (a->point.file && str_eqc(file, a->point.file))
            return true; /* of the open group: no place to stand on */
        assemble_note(a, "a transaction that a server crash cut off was dropped", file);
        group_drop(a);
    }
    if (a->point.file && str_eqc(file, a->point.file) && a->point.pos == pos) return true;
    return deliver_position(a, file, pos, timestamp, evidence, err);
}
