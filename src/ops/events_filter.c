#include "ops/events_filter.h"
#include <stdlib.h>
#include <time.h>
#include "db/server.h"
#include "route/pattern.h"
#include "base/poison.h"

typedef struct TablePattern {
    Pattern *schema, *table; /* schema NULL: any */
} TablePattern;

struct EventsFilter {
    EventsFilterOpts opts;
    TablePattern *patterns;
    size_t n_patterns;
    Str first_file; /* in arena */
    Arena arena;
    bool begun, ended, last_group;
    bool in_group;
    int64_t group_time;
};

/* -- points -- */

static bool two_digits(Reader *r, unsigned least, unsigned most, int *out)
{
    unsigned tens = reader_u8(r), ones = reader_u8(r);
    if (!reader_ok(r) || tens < '0' || tens > '9' || ones < '0' || ones > '9') return false;
    unsigned v = (tens - '0') * 10 + (ones - '0');
    *out = (int)v;
    return v >= least && v <= most;
}

static bool is_next(Reader *r, char a, char b)
{
    if (!reader_left(r) || (*r->at != (uint8_t)a && *r->at != (uint8_t)b)) return false;
    r->at++;
    return true;
}

/* 2026-11-21, then nothing or a T or blank and 14:03 or 14:03:00, then nothing or Z. */
static bool parse_time(Str text, int64_t *out)
{
    struct tm tm = {.tm_mday = 1};
    int century, year;
    uint64_t seconds;
    if (text.len > 1 && text.ptr[0] == '@') {
        if (!str_to_u64(str_make(text.ptr + 1, text.len - 1), &seconds) || seconds > UINT32_MAX) return false;
        *out = (int64_t)seconds;
        return true;
    }
    Reader r = reader_of(text);
    if (!two_digits(&r, 19, 21, &century) || !two_digits(&r, 0, 99, &year) || !is_next(&r, '-', '-') ||
        !two_digits(&r, 1, 12, &tm.tm_mon) || !is_next(&r, '-', '-') || !two_digits(&r, 1, 31, &tm.tm_mday))
        return false;
    if (is_next(&r, 'T', ' ')) {
        if (!two_digits(&r, 0, 23, &tm.tm_hour) || !is_next(&r, ':', ':') ||
            !two_digits(&r, 0, 59, &tm.tm_min))
            return false;
        if (is_next(&r, ':', ':') && !two_digits(&r, 0, 60, &tm.tm_sec)) return false;
    }
    (void)is_next(&r, 'Z', 'z');
    if (reader_left(&r)) return false;
    tm.tm_year = century * 100 + year - 1900;
    tm.tm_mon--;
    *out = (int64_t)timegm(&tm);
    return true;
}

static bool parse_gtid(Str text, Gtid *out)
{
    CLEANUP(err_clear) Err err = {0};
    if (gtid_parse(FLAVOR_MYSQL, text, out, &err)) return true;
    err_clear(&err);
    return gtid_parse(FLAVOR_MARIADB, text, out, &err);
}

static bool parse_pos(Str text, EventsPoint *out)
{
    size_t colon = text.len;
    while (colon > 0 && text.ptr[colon - 1] != ':')
        colon--;
    if (!str_to_u64(str_make(text.ptr + colon, text.len - colon), &out->pos)) return false;
    out->file = str_make(text.ptr, colon ? colon - 1 : 0);
    return colon != 1;
}

bool events_point_parse(const char *option, const char *text, EventsPoint *out, Err *err)
{
    Str s = str_trim(str_of(text));
    *out = (EventsPoint){.text = text};
    if (!text) return true;
    if (parse_time(s, &out->time)) /* before MariaDB's GTIDs: 2026-11-21 looks like one */
        out->kind = EVENTS_AT_TIME;
    else if (parse_gtid(s, &out->gtid))
        out->kind = EVENTS_AT_GTID;
    else if (parse_pos(s, out))
        out->kind = EVENTS_AT_POS;
    else
        return err_set(err, ERR_USAGE,
                       "%s: '%s' is no point in a binlog; write FILE:POS, a GTID, or a time in UTC "
                       "(2026-11-21T14:03:00 or @SECONDS)",
                       option, text);
    return true;
}

/* -- tables -- */

static bool add_pattern(EventsFilter *f, const char *text, Err *err)
{
    TablePattern *p = &f->patterns[f->n_patterns++];
    Str rest = str_of(text), schema = {0};
    if (str_find(rest, STR(".")) != SIZE_MAX && rest.ptr[0] != '~') schema = str_split(&rest, '.');
    size_t dot = str_find(rest, STR(".~"));
    if (!schema.len && rest.ptr && rest.ptr[0] == '~' && dot != SIZE_MAX) { /* ~regex.~regex */
        schema = str_make(rest.ptr, dot);
        rest = str_make(rest.ptr + dot + 1, rest.len - dot - 1);
    }
    if (!rest.len) return err_set(err, ERR_USAGE, "--table: '%s' names no table; write SCHEMA.TABLE", text);
    bool ok = (!schema.len || pattern_new(schema, true, &p->schema, err)) &&
              pattern_new(rest, true, &p->table, err);
    return ok || err_wrap(err, "--table %s", text);
}

bool events_filter_new(const EventsFilterOpts *opts, EventsFilter **out, Err *err)
{
    EventsFilter *f = mem_zalloc(sizeof *f);
    f->opts = *opts;
    f->begun = opts->from.kind == EVENTS_NOWHERE || opts->from.kind == EVENTS_AT_TIME;
    f->patterns = arena_array(&f->arena, TablePattern, opts->n_tables);
    *out = NULL;
    for (size_t i = 0; i < opts->n_tables; i++) {
        if (add_pattern(f, opts->tables[i], err)) continue;
        events_filter_free(f);
        return false;
    }
    *out = f;
    return true;
}

void events_filter_free(EventsFilter *f)
{
    if (!f) return;
    for (size_t i = 0; i < f->n_patterns; i++) {
        pattern_free(f->patterns[i].schema);
        pattern_free(f->patterns[i].table);
    }
    arena_done(&f->arena);
    free(f);
}

bool events_filter_by_table(const EventsFilter *f)
{
    return f->n_patterns > 0;
}

/* A regular expression that meets its limit of work passes: rather too much than too little. */
static bool hit(const Pattern *p, Str name)
{
    return !p || pattern_match(p, name, NULL, NULL) != PATTERN_MISS;
}

bool events_filter_table(EventsFilter *f, TableName name)
{
    for (size_t i = 0; i < f->n_patterns; i++)
        if (hit(f->patterns[i].schema, name.schema) && hit(f->patterns[i].table, name.table)) return true;
    return f->n_patterns == 0;
}

static bool misses(void *ctx, TableName name, bool qualified)
{
    (void)qualified;
    return !events_filter_table(ctx, name);
}

bool events_filter_statement(EventsFilter *f, Str sql, Str schema)
{
    return f->n_patterns == 0 || !stmt_each_name(sql, schema, false, misses, f);
}

/* -- the window -- */

/* binlog.000012 → binlog */
static Str base_name(Str file)
{
    size_t n = file.len;
    while (n > 0 && file.ptr[n - 1] != '.')
        n--;
    return str_make(file.ptr, n);
}

/* -1, 0, 1: the event's file stands before, is, stands behind the point's. */
static int file_order(const EventsFilter *f, const RawEvent *ev, const EventsPoint *p)
{
    Str file = p->file.len ? p->file : f->first_file;
    if (str_eq(ev->file, file)) return 0;
    bool comparable = str_eq(base_name(ev->file), base_name(file));
    return comparable && server_log_newer(ev->file, file) ? 1 : -1;
}

static bool begin_at_pos(EventsFilter *f, const RawEvent *ev, Err *err)
{
    const EventsPoint *p = &f->opts.from;
    int order = file_order(f, ev, p);
    if (order < 0) return true;
    if (order == 0 && ev->start_pos < p->pos) {
        if (ev->end_pos > p->pos)
            return err_set(err, ERR_USAGE, "--from %s: no event begins there; events begin at %llu and %llu",
                           p->text, (unsigned long long)ev->start_pos, (unsigned long long)ev->end_pos);
        return true;
    }
    f->begun = true;
    return true;
}

static bool until_is_behind(EventsFilter *f, const RawEvent *ev, const Gtid *gtid, bool outside_groups)
{
    const EventsPoint *p = &f->opts.until;
    switch (p->kind) {
    case EVENTS_NOWHERE: return false;
    case EVENTS_AT_POS: {
        int order = file_order(f, ev, p);
        return order > 0 || (order == 0 && ev->start_pos >= p->pos);
    }
    case EVENTS_AT_GTID: {
        bool behind = f->last_group && (gtid || outside_groups);
        f->last_group |= gtid && gtid_equal(gtid, &p->gtid);
        return behind;
    }
    case EVENTS_AT_TIME: return f->opts.ordered && gtid && (int64_t)ev->header.timestamp >= p->time;
    }
    return false;
}

/* Of the file or the stream, not of a transaction. */
static bool stands_outside(const RawEvent *ev)
{
    switch (ev->header.type) {
    case EVENT_FORMAT_DESCRIPTION:
    case EVENT_ROTATE:
    case EVENT_STOP:
    case EVENT_PREVIOUS_GTIDS:
    case EVENT_GTID_LIST:
    case EVENT_BINLOG_CHECKPOINT:
    case EVENT_HEARTBEAT:
    case EVENT_HEARTBEAT_V2:
    case EVENT_START_ENCRYPTION: return true;
    default: return false;
    }
}

static bool in_times(EventsFilter *f, const RawEvent *ev, const Gtid *gtid, bool outside_groups)
{
    const EventsPoint *from = &f->opts.from, *until = &f->opts.until;
    if (outside_groups) f->in_group = false;
    if (gtid) {
        f->in_group = true;
        f->group_time = ev->header.timestamp;
    }
    int64_t at = f->in_group ? f->group_time : (int64_t)ev->header.timestamp;
    return (from->kind != EVENTS_AT_TIME || at >= from->time) &&
           (until->kind != EVENTS_AT_TIME || at < until->time);
}

EventsWindow events_filter_window(EventsFilter *f, const RawEvent *ev, const Gtid *gtid, bool *ok, Err *err)
{
    bool outside_groups = stands_outside(ev);
    *ok = true;
    if (f->ended) return EVENTS_BEHIND;
    if (!f->first_file.ptr) f->first_file = arena_str(&f->arena, ev->file);
    if (!f->begun && f->opts.from.kind == EVENTS_AT_POS && !begin_at_pos(f, ev, err)) {
        *ok = false;
        return EVENTS_BEHIND;
    }
    if (!f->begun && f->opts.from.kind == EVENTS_AT_GTID && gtid)
        f->begun = gtid_equal(gtid, &f->opts.from.gtid);
    if (until_is_behind(f, ev, gtid, outside_groups)) {
        f->ended = true;
        return EVENTS_BEHIND;
    }
    bool in = in_times(f, ev, gtid, outside_groups);
    return f->begun && in ? EVENTS_INSIDE : EVENTS_OUTSIDE;
}

bool events_filter_finish(const EventsFilter *f, Err *err)
{
    if (f->begun) return true;
    return err_set_remedy(err, ERR_USAGE, "look where it stands: shardmerge events without --from",
                          "--from %s was not met in what was read", f->opts.from.text);
}
