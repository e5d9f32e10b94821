#include "pipeline/scout.h"
#include <stdlib.h>
#include "base/budget.h"
#include "base/clock.h"
#include "base/fault.h"
#include "base/log.h"
#include "pipeline/catalog.h"
#include "base/poison.h"

enum { HEARTBEAT_MS = 50, STOP_LOOK_MS = 100 };

typedef struct Look {
    Scout *scout;
    const ScoutOpts *opts;
    Budget budget;
} Look;

void scout_done(Scout *s)
{
    arena_done(&s->arena);
    point_done(&s->from);
    point_done(&s->to);
    free(s->changes);
    free(s->maps);
    *s = (Scout){0};
}

/* -- what the assembler tells -- */

static bool hook_routed(void *ctx, uint32_t source, TableName name)
{
    const ScoutOpts *o = ((Look *)ctx)->opts;
    return o->routed(o->ctx, source, name);
}

static bool hook_schema_routed(void *ctx, uint32_t source, Str schema)
{
    const ScoutOpts *o = ((Look *)ctx)->opts;
    return o->schema_routed(o->ctx, source, schema);
}

static bool hook_deliver(void *ctx, Txn *t)
{
    budget_give(&((Look *)ctx)->budget, t->budget_bytes);
    txn_free(t);
    return true;
}

static bool hook_ddl(void *ctx, uint32_t source, const DdlEvent *e, Err *err)
{
    Scout *s = ((Look *)ctx)->scout;
    Arena *arena = &s->arena;
    (void)source;
    (void)err;
    if (s->n == s->cap) {
        s->cap = s->cap ? s->cap * 2 : 16;
        s->changes = mem_realloc(s->changes, s->cap * sizeof *s->changes);
    }
    ScoutChange *c = &s->changes[s->n++];
    *c = (ScoutChange){.query = *e->query,
                       .id = e->id,
                       .timestamp = e->timestamp,
                       .server_version = arena_str(arena, e->server_version),
                       .what = arena_str(arena, str_of(e->what)),
                       .n_tables = e->n_tables,
                       .of_database = e->of_database};
    c->query.sql = arena_str(arena, e->query->sql);
    c->query.schema = arena_str(arena, e->query->schema);
    c->query.time_zone = arena_str(arena, e->query->time_zone);
    c->id.file = arena_str(arena, e->id.file);
    c->place = arena_printf(arena, STR_FMT ":%llu", STR_ARG(e->id.file), (unsigned long long)e->id.end_pos);
    c->tables = arena_array(arena, TableName, e->n_tables + 1);
    for (size_t i = 0; i < e->n_tables; i++)
        c->tables[i] =
            (TableName){arena_str(arena, e->tables[i].schema), arena_str(arena, e->tables[i].table)};
    return true;
}

static void hook_named(void *ctx, uint32_t source, const TableMap *map)
{
    Scout *s = ((Look *)ctx)->scout;
    (void)source;
    if (s->n_maps == s->cap_maps) {
        s->cap_maps = s->cap_maps ? s->cap_maps * 2 : 16;
        s->maps = mem_realloc(s->maps, s->cap_maps * sizeof *s->maps);
    }
    s->maps[s->n_maps++] = (ScoutMap){table_map_copy(map, &s->arena), s->n};
}

/* -- reading -- */

static bool is_at(const StreamPoint *end, Str file, uint64_t pos)
{
    int order = 0;
    if (!end->file || !binlog_file_cmp(file, str_of(end->file), &order)) return false;
    return order > 0 || (order == 0 && pos >= end->pos);
}

static bool read_until(const ScoutOpts *o, Stream *stream, Assembler *a, const StreamPoint *end, Err *err)
{
    for (int64_t asked_ms = 0;;) {
        RawEvent ev;
        int64_t now_ms = clock_mono_ms();
        if (o->stopping && now_ms - asked_ms >= STOP_LOOK_MS) {
            asked_ms = now_ms;
            if (o->stopping(o->stop_ctx))
                return err_set(err, ERR_CANCELLED, "source " STR_FMT ": stopped on request",
                               STR_ARG(o->config->id));
        }
        (void)FAULT("scout.event");
        StreamResult r = stream_next(stream, &ev, err);
        if (r == STREAM_FAILED) return false;
        if (r == STREAM_EVENT && !assembler_event(a, stream_format(stream), &ev, err)) return false;
        bool between = r != STREAM_EVENT || !assembler_in_transaction(a);
        if (between && is_at(end, ev.file, ev.end_pos)) return true;
    }
}

static bool read_stretch(Look *l, Stream *stream, const StreamPoint *start, const StreamPoint *end, Err *err)
{
    const SourceConfig *config = l->opts->config;
    AssembleOpts o = {.source = l->opts->source,
                      .source_id = config->id.ptr,
                      .server = stream_server(stream),
                      .flavor = stream_flavor(stream),
                      .use_gtid = config->enable_gtid,
                      .only_statements = true,
                      .budget = &l->budget,
                      .hooks = {.ctx = l,
                                .routed = hook_routed,
                                .schema_routed = hook_schema_routed,
                                .deliver = hook_deliver,
                                .ddl = hook_ddl,
                                .named = hook_named}};
    Assembler *a = assembler_new(&o);
    assembler_set_point(a, start);
    bool ok = read_until(l->opts, stream, a, end, err);
    if (ok) {
        StreamPoint to;
        point_copy(&to, assembler_point(a));
        point_done(&l->scout->to);
        l->scout->to = to;
    }
    assembler_free(a);
    return ok;
}

/* Does nothing lie between the two? A definition is visible before MySQL's gtid_executed has its statement,
 * but never before the binlog has it; MariaDB's gtid_binlog_pos is exact. */
static bool is_empty(const ScoutOpts *opts, const StreamPoint *from, const StreamPoint *end)
{
    if (!opts->config->enable_gtid) return point_reaches(from, end);
    return end->flavor == FLAVOR_MARIADB && point_reaches(from, end);
}

/* What lies behind `from`; moves s->to. */
static bool look(Scout *s, const ScoutOpts *opts, const StreamPoint *from, const StreamPoint *end, Err *err)
{
    Look l = {.scout = s, .opts = opts};
    Stream *stream = NULL;
    StreamPoint start = {0};
    StreamOpts o = {.source_id = opts->config->id.ptr,
                    .flavor = opts->config->flavor,
                    .heartbeat_ms = HEARTBEAT_MS,
                    .use_gtid = opts->config->enable_gtid};
    endpoint_conn(&opts->config->from, o.source_id, &o.conn);
    o.conn.cancel = opts->cancel;
    int64_t began_ms = clock_mono_ms();
    budget_init(&l.budget, SIZE_MAX / 2);
    bool ok = stream_open(&o, from, &stream, &start, err);
    if (ok && end->server && strcmp(stream_server(stream), end->server) != 0)
        ok = err_set(err, ERR_DB_RETRY,
                     "source %s: two connections came to two servers (%s and %s) while definitions were read",
                     o.source_id, end->server, stream_server(stream));
    ok = ok && read_stretch(&l, stream, &start, end, err);
    stream_close(stream);
    point_done(&start);
    budget_done(&l.budget);
    if (ok)
        log_write(LOGEV_START_LOOKED, LOG_S("source", o.source_id), LOG_U("statements", s->n),
                  LOG_I("ms", clock_mono_ms() - began_ms));
    return ok;
}

bool scout_look(Scout *s, const ScoutOpts *opts, const StreamPoint *from, const StreamPoint *end, Err *err)
{
    if (s->looked && !point_reaches(from, &s->from)) scout_done(s);
    if (!s->looked) {
        point_copy(&s->from, from);
        point_copy(&s->to, from);
        s->looked = true;
    }
    size_t kept = s->n, kept_maps = s->n_maps;
    if (is_empty(opts, &s->to, end) || look(s, opts, &s->to, end, err)) return true;
    s->n = kept;
    s->n_maps = kept_maps;
    return false;
}

static bool is_of(const ScoutChange *c, TableName table)
{
    for (size_t i = 0; i < c->n_tables; i++)
        if (str_ieq(c->tables[i].schema, table.schema) &&
            (c->of_database || str_ieq(c->tables[i].table, table.table)))
            return true;
    return false;
}

const ScoutChange *scout_next(const Scout *s, const StreamPoint *at, TableName table, size_t *iter)
{
    while (*iter < s->n) {
        const ScoutChange *c = &s->changes[(*iter)++];
        if (is_of(c, table) && !point_covers(at, &c->id)) return c;
    }
    return NULL;
}

/* The statements behind the point begin with number `first`; a map counts that was read before that one, and
 * behind every earlier one. */
const TableMap *scout_map(const Scout *s, const StreamPoint *at, TableName table)
{
    size_t first = 0, from = 0;
    for (; first < s->n && (!is_of(&s->changes[first], table) || point_covers(at, &s->changes[first].id));
         first++)
        if (is_of(&s->changes[first], table)) from = first + 1;
    for (size_t i = 0; i < s->n_maps; i++) {
        const ScoutMap *m = &s->maps[i];
        if (m->after >= from && m->after <= first && str_ieq(m->map->name.schema, table.schema) &&
            str_ieq(m->map->name.table, table.table))
            return m->map;
    }
    return NULL;
}

void scout_event(const ScoutChange *c, const StreamPoint *before, DdlEvent *out)
{
    *out = (DdlEvent){.query = &c->query,
                      .point = before,
                      .id = c->id,
                      .timestamp = c->timestamp,
                      .server_version = c->server_version,
                      .what = c->what.ptr,
                      .tables = c->tables,
                      .n_tables = c->n_tables,
                      .of_database = c->of_database};
}
