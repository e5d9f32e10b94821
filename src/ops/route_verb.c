#include "ops/route_verb.h"
#include <stdlib.h>
#include "db/conn.h"
#include "db/schema_read.h"
#include "ops/route_census.h"
#include "ops/route_compare.h"
#include "ops/route_ddl.h"
#include "ops/route_list.h"
#include "ops/route_report.h"
#include "route/plan.h"
#include "pipeline/catalog.h"
#include "base/poison.h"

enum { CONNECT_TIMEOUT_S = 10, READ_TIMEOUT_S = 120 };

/* Everything one answer is made of. */
typedef struct Dry {
    const Task *task;
    Arena arena;
    Str *ids;            /* by source */
    PlanSource *sources; /* by source */
    RoutePlan *plan;
    /* live only */
    Conn **conns;         /* by source */
    bool *is_mariadb;     /* by source */
    TableSchema **shards; /* by entry of the plan */
    Conn *target;
    TableSchema **targets; /* by target of the plan */
    RouteProblem downstream;
    RouteComparison *comparisons;
    RouteKeys keys;
} Dry;

static void dry_init(Dry *d, const Task *task)
{
    *d = (Dry){.task = task};
    d->ids = arena_array(&d->arena, Str, task->n_sources);
    d->sources = arena_array(&d->arena, PlanSource, task->n_sources);
    d->conns = arena_array(&d->arena, Conn *, task->n_sources);
    d->is_mariadb = arena_array(&d->arena, bool, task->n_sources);
    for (size_t i = 0; i < task->n_sources; i++) {
        const SourceConfig *s = &task->sources[i];
        d->ids[i] = s->id;
        d->sources[i] = (PlanSource){.id = s->id,
                                     .allow_list = s->allow_list,
                                     .rules = s->routes,
                                     .n_rules = s->n_routes,
                                     .place = s->place,
                                     .mappings = s->mappings,
                                     .n_mappings = s->n_mappings};
    }
}

static void dry_done(Dry *d)
{
    for (size_t i = 0; d->shards && i < d->plan->n; i++)
        schema_free(d->shards[i]);
    for (size_t i = 0; d->targets && i < d->plan->n_targets; i++)
        schema_free(d->targets[i]);
    for (size_t i = 0; i < d->task->n_sources; i++)
        conn_close(d->conns[i]);
    conn_close(d->target);
    route_plan_free(d->plan);
    arena_done(&d->arena);
}

static bool make_plan(Dry *d, Err *err)
{
    PlanOpts opts = {d->sources, d->task->n_sources, d->task->case_sensitive, d->task->meta_schema};
    return route_plan_build(&opts, &d->plan, err);
}

/* -- from a list -- */

static bool list_tables(Dry *d, const char *path, Err *err)
{
    StrBuf text = {0};
    RouteList *lists = arena_array(&d->arena, RouteList, d->task->n_sources);
    const char *name = strcmp(path, "-") == 0 ? "standard input" : path;
    bool ok = route_list_read(path, &text, err) &&
              route_list_parse(name, sb_view(&text), d->ids, d->task->n_sources, &d->arena, lists, err);
    for (size_t i = 0; ok && i < d->task->n_sources; i++) {
        d->sources[i].tables = lists[i].tables;
        d->sources[i].n_tables = lists[i].n;
    }
    sb_done(&text);
    return ok;
}

/* -- from the servers -- */

static bool connect_to(Dry *d, const Endpoint *e, Str role, Conn **out, Err *err)
{
    ConnOpts opts = {.role = arena_str(&d->arena, role).ptr,
                     .host = arena_str(&d->arena, e->host).ptr,
                     .port = e->port,
                     .socket = e->socket.len ? arena_str(&d->arena, e->socket).ptr : NULL,
                     .user = arena_str(&d->arena, e->user).ptr,
                     .password = arena_str(&d->arena, e->password).ptr,
                     .tls = e->tls,
                     .connect_timeout_s = CONNECT_TIMEOUT_S,
                     .read_timeout_s = READ_TIMEOUT_S,
                     .write_timeout_s = READ_TIMEOUT_S};
    if (conn_open(&opts, out, err)) return true;
    endpoint_hint(e, err);
    return false;
}

static bool version_has(const Conn *c, const char *word)
{
    return strcasestr(conn_server_version(c), word) != NULL;
}

static bool ask_sources(Dry *d, Err *err)
{
    for (size_t i = 0; i < d->task->n_sources; i++) {
        const SourceConfig *s = &d->task->sources[i];
        Str role = arena_printf(&d->arena, "source " STR_FMT, STR_ARG(s->id));
        TableName *tables = NULL;
        if (!connect_to(d, &s->from, role, &d->conns[i], err)) return false;
        if (!schema_list_tables(d->conns[i], &d->arena, &tables, &d->sources[i].n_tables, err))
            return err_wrap(err, "source " STR_FMT, STR_ARG(s->id));
        d->sources[i].tables = tables;
        d->is_mariadb[i] = version_has(d->conns[i], "mariadb");
    }
    return true;
}

/* Definitions of all tables that have a target, source by source. */
static bool read_shards(Dry *d, Err *err)
{
    RoutePlan *p = d->plan;
    d->shards = arena_array(&d->arena, TableSchema *, p->n);
    TableName *names = arena_array(&d->arena, TableName, p->n);
    TableSchema **found = arena_array(&d->arena, TableSchema *, p->n);
    size_t *places = arena_array(&d->arena, size_t, p->n);
    for (size_t s = 0; s < d->task->n_sources; s++) {
        size_t n = 0;
        for (size_t i = 0; i < p->n; i++) {
            if (p->entries[i].source != s || p->entries[i].target == ROUTE_NO_TARGET) continue;
            places[n] = i;
            names[n++] = p->entries[i].table;
        }
        if (!schema_read_many(d->conns[s], names, n, found, err))
            return err_wrap(err, "source " STR_FMT, STR_ARG(d->ids[s]));
        for (size_t i = 0; i < n; i++)
            d->shards[places[i]] = found[i];
    }
    return true;
}

/* The downstream may be away: that is a finding, the routes can be answered without it. */
static bool read_targets(Dry *d, Err *err)
{
    RoutePlan *p = d->plan;
    TableName *names = arena_array(&d->arena, TableName, p->n_targets);
    for (size_t i = 0; i < p->n_targets; i++)
        names[i] = p->targets[i].name;
    TableSchema **found = arena_array(&d->arena, TableSchema *, p->n_targets);
    if (!connect_to(d, &d->task->target, STR("downstream"), &d->target, err)) return false;
    if (!schema_read_many(d->target, names, p->n_targets, found, err)) return err_wrap(err, "downstream");
    d->targets = found;
    return true;
}

static bool ask_servers(Dry *d, Err *err)
{
    if (!ask_sources(d, err) || !make_plan(d, err) || !read_shards(d, err)) return false;
    Err away = {0};
    if (!read_targets(d, &away))
        d->downstream = (RouteProblem){
            .level = ROUTE_PROBLEM,
            .code = away.code,
            .text = arena_printf(&d->arena, "the downstream was not looked at: %s", away.message),
            .place = d->task->target.place};
    err_clear(&away);
    RouteCompareOpts opts = {.plan = d->plan,
                             .source_ids = d->ids,
                             .shards = (const TableSchema *const *)d->shards,
                             .targets = (const TableSchema *const *)d->targets,
                             .source_is_mariadb = d->is_mariadb,
                             .create_tables = d->task->create_tables,
                             .allow_keyless = d->task->allow_keyless_tables,
                             .keys = &d->keys};
    route_keys_resolve(d->plan, d->ids, d->shards, &d->arena, &d->keys);
    if (d->target) {
        opts.target_is_tidb = version_has(d->target, "tidb");
        opts.target_is_mariadb = version_has(d->target, "mariadb");
    }
    d->comparisons = route_compare(&opts, &d->arena);
    return true;
}

static int census_verb(Dry *d, const RouteVerbOpts *opts, StrBuf *out, Err *err)
{
    enum { EXACT_VALUES = 2000000 };
    CensusOpts o = {.plan = d->plan,
                    .source_ids = d->ids,
                    .shards = d->shards,
                    .targets = d->targets,
                    .keys = &d->keys,
                    .conns = d->conns,
                    .is_mariadb = d->is_mariadb,
                    .target_is_tidb = d->target && version_has(d->target, "tidb"),
                    .exact_values = EXACT_VALUES};
    CensusTarget *list;
    if (!route_census(&o, &d->arena, &list, err)) return err_exit_status(err);
    opts->json ? census_json(&o, d->task->name, list, out) : census_human(&o, d->task->name, list, out);
    return census_has_problems(&o, list) ? 1 : 0;
}

static bool check_opts(const RouteVerbOpts *o, Err *err)
{
    if (o->ddl && o->census) return err_set(err, ERR_USAGE, "--ddl and --census are two answers: give one");
    if (o->tables && (o->ddl || o->census))
        return err_set(err, ERR_USAGE, "%s needs the servers: it does not go with --tables",
                       o->ddl ? "--ddl" : "--census");
    return true;
}

int route_verb(const Task *task, const RouteVerbOpts *opts, StrBuf *out, Err *err)
{
    Dry d;
    dry_init(&d, task);
    bool ok =
        check_opts(opts, err) &&
        (opts->tables ? list_tables(&d, opts->tables, err) && make_plan(&d, err) : ask_servers(&d, err));
    int status = 0;
    if (!ok) {
        status = err_exit_status(err);
    } else if (opts->census) {
        status = census_verb(&d, opts, out, err);
    } else {
        RouteReport report = {.task = task->name,
                              .source_ids = d.ids,
                              .n_sources = task->n_sources,
                              .plan = d.plan,
                              .comparisons = d.comparisons,
                              .keys = d.comparisons ? &d.keys : NULL,
                              .downstream = d.downstream.code ? &d.downstream : NULL};
        if (opts->ddl)
            opts->json ? route_ddl_json(&report, out) : route_ddl_human(&report, out);
        else
            opts->json ? route_report_json(&report, out) : route_report_human(&report, opts->all, out);
        status = route_report_has_problems(&report) ? 1 : 0;
    }
    dry_done(&d);
    return status;
}
