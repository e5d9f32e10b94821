#include "ops/events_print.h"
#include <stdio.h>
#include <stdlib.h>
#include "decode/event_inflate.h"
#include "decode/event_minor.h"
#include "decode/event_payload.h"
#include "ops/events_print_impl.h"
#include "base/poison.h"

EventsPrinter *events_printer_new(EventsFilter *filter, EventsRows rows, uint64_t limit, bool json)
{
    EventsPrinter *p = mem_zalloc(sizeof *p);
    p->filter = filter;
    p->rows = rows;
    p->limit = limit;
    p->out.json = json;
    return p;
}

void events_printer_free(EventsPrinter *p)
{
    if (!p) return;
    events_tables_clear(p);
    map_done(&p->tables);
    payload_free(p->payload);
    err_clear(&p->problem);
    events_out_done(&p->out);
    StrBuf *bufs[] = {&p->gtid, &p->scratch, &p->body, &p->inflated, &p->rewritten};
    for (size_t i = 0; i < ARRAY_LEN(bufs); i++)
        sb_done(bufs[i]);
    free(p);
}

EventsOut *events_printer_out(EventsPrinter *p)
{
    return &p->out;
}
const EventsCounts *events_printer_counts(const EventsPrinter *p)
{
    return &p->counts;
}
const Err *events_printer_problem(const EventsPrinter *p)
{
    return &p->problem;
}

/* -- lines -- */

EventPlace events_place(const EventsPrinter *p, const RawEvent *ev)
{
    return (EventPlace){ev->header.timestamp, ev->file, ev->start_pos, ev->end_pos, sb_view(&p->gtid)};
}

void events_problem(EventsPrinter *p, const Err *err)
{
    p->counts.problems++;
    if (!err_is_set(&p->problem)) err_copy(&p->problem, err);
}

void events_line_begin(EventsPrinter *p, const RawEvent *ev)
{
    EventPlace at = events_place(p, ev);
    char unknown[24];
    const char *type = event_type_name(ev->header.type);
    if (strcmp(type, "UNKNOWN") == 0) {
        snprintf(unknown, sizeof unknown, "UNKNOWN_%u", ev->header.type);
        type = unknown;
    }
    events_out_begin(&p->out, &at, type);
    if (p->inner) events_out_count(&p->out, "inner", p->inner);
    if (p->relay && ev->header.next_pos) events_out_count(&p->out, "upstream_end", ev->header.next_pos);
    p->counts.shown++;
}

/* Ends a line; when *err is set, with the reason why its event could not be read. Clears it. */
void events_line_end(EventsPrinter *p, const RawEvent *ev, Err *err)
{
    if (err_is_set(err)) {
        events_out_error(&p->out, err, ev->body.len ? ev->body : ev->whole);
        events_problem(p, err);
        err_clear(err);
    }
    events_out_end(&p->out);
}

void events_print_damage(EventsPrinter *p, const RawEvent *ev, const Err *err)
{
    CLEANUP(err_clear) Err copy = {0};
    err_copy(&copy, err);
    p->counts.read += ev->whole.len > 0;
    p->inner = 0;
    EventPlace at = events_place(p, ev);
    events_out_begin(&p->out, &at, ev->header.type ? event_type_name(ev->header.type) : "DAMAGED");
    p->counts.shown++;
    events_line_end(p, ev, &copy);
}

void events_print_file(EventsPrinter *p)
{
    events_tables_clear(p);
    sb_clear(&p->gtid);
}

void events_print_summary(EventsPrinter *p)
{
    const EventsCounts *c = &p->counts;
    StrBuf *b = &p->out.text;
    bool json = p->out.json;
    sb_c(b, json ? "{\"summary\":{\"events\":" : "-- ");
    sb_u64(b, c->read);
    sb_c(b, json ? ",\"shown\":" : " events read, ");
    sb_u64(b, c->shown);
    sb_c(b, json ? ",\"rows\":" : " shown, ");
    sb_u64(b, c->rows);
    sb_c(b, json ? ",\"problems\":" : " rows, ");
    sb_u64(b, c->problems);
    sb_c(b, json ? "}}\n" : " not read\n");
}

/* -- single events -- */

static void query_fields(EventsPrinter *p, const QueryEvent *q)
{
    events_out_text(&p->out, "schema", q->schema);
    events_out_count(&p->out, "thread", q->thread_id);
    if (q->exec_seconds) events_out_count(&p->out, "seconds", q->exec_seconds);
    if (q->error_code) events_out_count(&p->out, "server_error", q->error_code);
    events_out_text(&p->out, "sql", q->sql);
    if (q->vars_cut) events_out_flag(&p->out, "unknown_status_variable");
}

static bool print_query(EventsPrinter *p, const RawEvent *ev, Err *err)
{
    QueryEvent q = {0};
    bool compressed = ev->header.type == EVENT_QUERY_COMPRESSED,
         load = ev->header.type == EVENT_EXECUTE_LOAD_QUERY;
    uint32_t file_id = 0;
    sb_clear(&p->body);
    bool ok = true;
    if (load)
        ok = event_load_query(ev->body, &p->body, &file_id, &q, err);
    else if (compressed)
        ok = event_query_inflate(ev->body, &p->body, err) && event_query(sb_view(&p->body), &q, err);
    else
        ok = event_query(ev->body, &q, err);
    if (ok && events_filter_by_table(p->filter) && !events_filter_statement(p->filter, q.sql, q.schema))
        return true;
    if (ok && p->rows == EVENTS_ROWS_ONLY) return true;
    events_line_begin(p, ev);
    if (ok && load) events_out_count(&p->out, "load_file", file_id);
    if (ok) query_fields(p, &q);
    events_line_end(p, ev, err);
    return true;
}

static void print_statement_text(EventsPrinter *p, const RawEvent *ev, Err *err)
{
    Str sql = {0};
    bool ok = event_rows_query(ev->header.type, ev->body, &sql, err);
    if (ok && events_filter_by_table(p->filter) && !events_filter_statement(p->filter, sql, (Str){0})) return;
    if (ok && p->rows == EVENTS_ROWS_ONLY) return;
    events_line_begin(p, ev);
    if (ok) events_out_text(&p->out, "sql", sql);
    events_line_end(p, ev, err);
}

static void format_fields(EventsPrinter *p, const FormatDescription *fmt, const RawEvent *ev)
{
    enum { IN_USE = 1 };
    events_out_text(&p->out, "server_version", fmt->server_version);
    events_out_word(&p->out, "checksum", fmt->checksum_crc32 ? STR("CRC32") : STR("none"));
    events_out_count(&p->out, "server_id", ev->header.server_id);
    if (ev->header.flags & IN_USE) events_out_flag(&p->out, "in_use");
    if (p->relay) events_out_flag(&p->out, "relay_log");
}

static void gtid_fields(EventsPrinter *p, const GtidEvent *g, const RawEvent *ev)
{
    static const char *const phases[] = {"", "start", "commit", "rollback"};
    if (g->anonymous) events_out_flag(&p->out, "anonymous");
    events_out_count(&p->out, "server_id", ev->header.server_id);
    if (g->standalone) events_out_flag(&p->out, "standalone");
    if (g->is_ddl) events_out_flag(&p->out, "ddl");
    if (g->prepared_xa) events_out_flag(&p->out, "xa_prepared");
    if (g->completed_xa) events_out_flag(&p->out, "xa_completed");
    if (g->alter != ALTER_WHOLE) events_out_word(&p->out, "alter", str_of(phases[g->alter]));
    if (g->alter_start) events_out_count(&p->out, "alter_start", g->alter_start);
    if (g->transaction_length) events_out_count(&p->out, "transaction_bytes", g->transaction_length);
}

static bool gtid_list_fields(EventsPrinter *p, const RawEvent *ev, Err *err)
{
    GtidSet *set = NULL;
    Flavor flavor = ev->header.type == EVENT_GTID_LIST ? FLAVOR_MARIADB : FLAVOR_MYSQL;
    if (!event_gtid_list(flavor, ev->body, &set, err)) return false;
    sb_clear(&p->scratch);
    gtidset_format(set, &p->scratch);
    events_out_word(&p->out, "gtids", sb_view(&p->scratch));
    gtidset_free(set);
    return true;
}

static bool user_var_fields(EventsPrinter *p, Str body, Err *err)
{
    UserVarEvent v;
    sb_clear(&p->scratch);
    if (!event_user_var(body, &v, err) || !event_user_var_text(&v, &p->scratch, err)) return false;
    events_out_text(&p->out, "name", v.name);
    events_out_text(&p->out, "value", sb_view(&p->scratch));
    return true;
}

static bool rotate_fields(EventsPrinter *p, const RawEvent *ev, Err *err)
{
    RotateEvent r;
    bool ok = ev->header.type == EVENT_ROTATE ? event_rotate(ev->body, &r, err)
                                              : event_heartbeat(&ev->header, ev->body, &r, err);
    if (!ok) return false;
    events_out_word(&p->out, "to_file", r.file);
    events_out_count(&p->out, "to_pos", r.pos);
    return true;
}

static bool load_fields(EventsPrinter *p, const RawEvent *ev, Err *err)
{
    uint32_t file_id;
    Str block;
    if (!event_load_block(ev->header.type, ev->body, &file_id, &block, err)) return false;
    events_out_count(&p->out, "load_file", file_id);
    events_out_count(&p->out, "bytes", block.len);
    return true;
}

static bool context_fields(EventsPrinter *p, const RawEvent *ev, Err *err)
{
    static const char *const kinds[] = {"?", "LAST_INSERT_ID", "INSERT_ID"};
    unsigned kind;
    uint64_t value, seed[2];
    if (ev->header.type == EVENT_RAND) {
        if (!event_rand(ev->body, seed, err)) return false;
        events_out_count(&p->out, "seed1", seed[0]);
        events_out_count(&p->out, "seed2", seed[1]);
        return true;
    }
    if (!event_intvar(ev->body, &kind, &value, err)) return false;
    events_out_word(&p->out, "variable", str_of(kinds[kind < ARRAY_LEN(kinds) ? kind : 0]));
    events_out_count(&p->out, "value", value);
    return true;
}

static bool xa_fields(EventsPrinter *p, const RawEvent *ev, Err *err)
{
    bool one_phase;
    sb_clear(&p->scratch);
    if (!event_xa_prepare(ev->body, &one_phase, &p->scratch, err)) return false;
    events_out_word(&p->out, "xid", sb_view(&p->scratch));
    if (one_phase) events_out_flag(&p->out, "one_phase");
    return true;
}

static bool incident_fields(EventsPrinter *p, const RawEvent *ev, Err *err)
{
    unsigned number;
    Str message;
    if (!event_incident(ev->body, &number, &message, err)) return false;
    events_out_count(&p->out, "incident", number);
    events_out_text(&p->out, "message", message);
    return true;
}

static COLD bool not_decoded(const RawEvent *ev, Err *err)
{
    return err_set_remedy(
        err, ERR_DECODE_UNSUPPORTED,
        "look at it with the server's own binlog tool; what such an event holds is not known",
        "%s event (type %u)", event_type_name(ev->header.type), ev->header.type);
}

/* What stands behind the type on the line of an event that has no rows; every type has its line. */
static bool event_fields(EventsPrinter *p, const FormatDescription *fmt, const RawEvent *ev, Err *err)
{
    uint64_t number;
    uint32_t version;
    Str text;
    switch ((EventType)ev->header.type) {
    case EVENT_FORMAT_DESCRIPTION: format_fields(p, fmt, ev); return true;
    case EVENT_ROTATE:
    case EVENT_HEARTBEAT:
    case EVENT_HEARTBEAT_V2: return rotate_fields(p, ev, err);
    case EVENT_STOP: return true;
    case EVENT_PREVIOUS_GTIDS:
    case EVENT_GTID_LIST: return gtid_list_fields(p, ev, err);
    case EVENT_BINLOG_CHECKPOINT:
        if (!event_binlog_checkpoint(ev->body, &text, err)) return false;
        events_out_word(&p->out, "oldest_file", text);
        return true;
    case EVENT_XID:
        if (!event_xid(ev->body, &number, err)) return false;
        events_out_count(&p->out, "xid", number);
        return true;
    case EVENT_XA_PREPARE: return xa_fields(p, ev, err);
    case EVENT_INTVAR:
    case EVENT_RAND: return context_fields(p, ev, err);
    case EVENT_USER_VAR: return user_var_fields(p, ev->body, err);
    case EVENT_BEGIN_LOAD_QUERY:
    case EVENT_APPEND_BLOCK:
    case EVENT_DELETE_FILE: return load_fields(p, ev, err);
    case EVENT_INCIDENT: return incident_fields(p, ev, err);
    case EVENT_START_ENCRYPTION:
        if (!event_start_encryption(ev->body, &version, err)) return false;
        events_out_count(&p->out, "key_version", version);
        return true;
    case EVENT_TRANSACTION_CONTEXT: /* group replication's certification data, its membership */
    case EVENT_VIEW_CHANGE: events_out_count(&p->out, "bytes", ev->body.len); return true;
    default: return not_decoded(ev, err);
    }
}

static void print_plain(EventsPrinter *p, const FormatDescription *fmt, const RawEvent *ev, Err *err)
{
    bool hidden = events_filter_by_table(p->filter) || p->rows == EVENTS_ROWS_ONLY;
    size_t start = p->out.text.len;
    events_line_begin(p, ev);
    bool ok = event_fields(p, fmt, ev, err);
    if (ok && hidden && ev->header.type != EVENT_INCIDENT) { /* readable, and nothing of a table */
        p->out.text.len = start;
        p->counts.shown--;
        return;
    }
    events_line_end(p, ev, err);
}

static bool is_gtid(unsigned type)
{
    return type == EVENT_GTID || type == EVENT_ANONYMOUS_GTID || type == EVENT_GTID_TAGGED ||
           type == EVENT_MARIADB_GTID;
}

static void print_gtid(EventsPrinter *p, const RawEvent *ev, const GtidEvent *g, Err *err)
{
    bool ok = !err_is_set(err);
    if (ok && (events_filter_by_table(p->filter) || p->rows == EVENTS_ROWS_ONLY)) return;
    events_line_begin(p, ev);
    if (ok) gtid_fields(p, g, ev);
    events_line_end(p, ev, err);
}

/* -- payloads -- */

static void print_payload(EventsPrinter *p, const FormatDescription *fmt, const RawEvent *ev)
{
    CLEANUP(err_clear) Err err = {0};
    if (!p->payload) p->payload = payload_new();
    bool ok = payload_begin(p->payload, ev->body, &err), last = false;
    bool hidden = events_filter_by_table(p->filter) || p->rows == EVENTS_ROWS_ONLY;
    if (!ok || !hidden) {
        events_line_begin(p, ev);
        if (ok) events_out_count(&p->out, "bytes", ev->body.len);
        events_line_end(p, ev, &err);
    }
    for (p->inner = 1; ok && !last; p->inner++) {
        RawEvent inner = {.file = ev->file, .start_pos = ev->start_pos, .end_pos = ev->end_pos};
        ok = payload_next(p->payload, &inner.header, &inner.body, &last, &err);
        if (!ok) break;
        p->counts.read++;
        inner.whole = inner.body;
        if (inner.header.type == EVENT_TRANSACTION_PAYLOAD)
            ok = err_set(&err, ERR_CORRUPT, "a payload inside of a payload");
        else
            events_print_one(p, fmt, &inner);
    }
    p->inner = 0;
    if (!err_is_set(&err)) return;
    events_line_begin(p, ev);
    events_line_end(p, ev, &err);
}

/* -- the switch -- */

/* An event inside the window. */
void events_print_one(EventsPrinter *p, const FormatDescription *fmt, const RawEvent *ev)
{
    CLEANUP(err_clear) Err err = {0};
    switch ((EventType)ev->header.type) {
    case EVENT_QUERY:
    case EVENT_QUERY_COMPRESSED:
    case EVENT_EXECUTE_LOAD_QUERY: (void)print_query(p, ev, &err); break;
    case EVENT_ANNOTATE_ROWS:
    case EVENT_ROWS_QUERY: print_statement_text(p, ev, &err); break;
    case EVENT_TABLE_MAP: events_print_table_map(p, fmt, ev); break;
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
    case EVENT_DELETE_ROWS_COMPRESSED_V2: events_print_rows(p, fmt, ev); break;
    case EVENT_TRANSACTION_PAYLOAD: print_payload(p, fmt, ev); break;
    default: print_plain(p, fmt, ev, &err); break;
    }
}

static bool limit_reached(const EventsPrinter *p)
{
    if (!p->limit) return false;
    return (p->rows == EVENTS_ROWS_ONLY ? p->counts.rows : p->counts.shown) >= p->limit;
}

bool events_print(EventsPrinter *p, const FormatDescription *fmt, const RawEvent *ev, bool relay, bool *end,
                  Err *err)
{
    CLEANUP(err_clear) Err bad = {0};
    GtidEvent gtid = {0};
    bool of_group = is_gtid(ev->header.type), readable = false, ok;
    p->counts.read++;
    p->relay = relay;
    p->inner = 0;
    if (of_group) {
        readable = event_gtid(&ev->header, fmt, ev->body, &gtid, &bad);
        sb_clear(&p->gtid);
        if (readable && !gtid.anonymous) gtid_format(&gtid.gtid, &p->gtid);
    }
    EventsWindow w = events_filter_window(p->filter, ev, readable ? &gtid.gtid : NULL, &ok, err);
    *end = w == EVENTS_BEHIND;
    if (*end) return ok;
    if (w == EVENTS_INSIDE && of_group)
        print_gtid(p, ev, &gtid, &bad);
    else if (w == EVENTS_INSIDE)
        events_print_one(p, fmt, ev);
    else
        events_pass(p, fmt, ev);
    *end = limit_reached(p);
    return true;
}
