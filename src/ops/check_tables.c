#include <stdlib.h>
#include "db/schema_read.h"
#include "ops/check_load.h"
#include "ops/route_keys.h"
#include "track/bind.h"
#include "track/keyed_schema.h"
#include "track/schema_json.h"
#include "base/poison.h"

/* What the servers have of the plan's tables. */
typedef struct Tables {
    const CheckTables *in;
    CheckReport *report;
    Arena arena;
    RoutePlan *plan;
    TableSchema **shards;  /* by entry */
    TableSchema **targets; /* by target */
    RouteKeys keys;
} Tables;

static bool build_plan(Tables *t, Err *err)
{
    const Task *task = t->in->task;
    PlanSource *sources = arena_array(&t->arena, PlanSource, task->n_sources);
    for (size_t i = 0; i < task->n_sources; i++) {
        const SourceConfig *s = &task->sources[i];
        TableName *tables = NULL;
        sources[i] = (PlanSource){.id = s->id,
                                  .allow_list = s->allow_list,
                                  .rules = s->routes,
                                  .n_rules = s->n_routes,
                                  .place = s->place,
                                  .mappings = s->mappings,
                                  .n_mappings = s->n_mappings};
        Conn *c = t->in->sources[i].conn;
        if (c && !schema_list_tables(c, &t->arena, &tables, &sources[i].n_tables, err))
            return err_wrap(err, "source " STR_FMT, STR_ARG(s->id));
        sources[i].tables = tables;
    }
    PlanOpts opts = {sources, task->n_sources, task->case_sensitive, task->meta_schema};
    return route_plan_build(&opts, &t->plan, err);
}

static void report_routes(Tables *t)
{
    static const CheckLevel levels[] = {
        [ROUTE_NOTE] = CHECK_NOTE, [ROUTE_PROBLEM] = CHECK_WARN, [ROUTE_BLOCKER] = CHECK_FAIL};
    check_where(t->report, "routes");
    size_t routed = 0;
    for (size_t i = 0; i < t->plan->n; i++)
        routed += t->plan->entries[i].target != ROUTE_NO_TARGET;
    for (size_t i = 0; i < t->plan->n_problems; i++) {
        const RouteProblem *p = &t->plan->problems[i];
        StrBuf text = {0};
        route_problem_format(p, &text);
        check_add(t->report, levels[p->level], NULL, STR_FMT, STR_ARG(sb_view(&text)));
        sb_done(&text);
    }
    check_add(t->report, routed ? CHECK_OK : CHECK_FAIL,
              routed ? NULL : "see shardmerge route for what is left out and why",
              "%zu tables go into %zu targets", routed, t->plan->n_targets);
}

static bool read_shards(Tables *t, Err *err)
{
    RoutePlan *p = t->plan;
    TableName *names = arena_array(&t->arena, TableName, p->n + 1);
    TableSchema **found = arena_array(&t->arena, TableSchema *, p->n + 1);
    size_t *places = arena_array(&t->arena, size_t, p->n + 1);
    t->shards = arena_array(&t->arena, TableSchema *, p->n + 1);
    for (size_t s = 0; s < t->in->task->n_sources; s++) {
        size_t n = 0;
        for (size_t i = 0; i < p->n; i++) {
            if (p->entries[i].source != s || p->entries[i].target == ROUTE_NO_TARGET) continue;
            places[n] = i;
            names[n++] = p->entries[i].table;
        }
        if (n && !schema_read_many(t->in->sources[s].conn, names, n, found, err))
            return err_wrap(err, "source " STR_FMT, STR_ARG(t->in->task->sources[s].id));
        for (size_t i = 0; i < n; i++)
            t->shards[places[i]] = found[i];
    }
    return true;
}

static bool read_targets(Tables *t, Err *err)
{
    size_t n = t->plan->n_targets;
    TableName *names = arena_array(&t->arena, TableName, n + 1);
    t->targets = arena_array(&t->arena, TableSchema *, n + 1);
    for (size_t i = 0; i < n; i++)
        names[i] = t->plan->targets[i].name;
    return !t->in->target || !n || schema_read_many(t->in->target, names, n, t->targets, err);
}

static void add_fault(Tables *t, const KeyFault *f)
{
    check_add(t->report, CHECK_FAIL, f->remedy.ptr, "[SM-%d %s] " STR_FMT, (int)f->code,
              err_code_name(f->code), STR_ARG(f->text));
}

static void check_member(Tables *t, uint32_t entry, const TableSchema *shard, const Target *target)
{
    const RouteEntry *e = &t->plan->entries[entry];
    const CheckedSource *s = &t->in->sources[e->source];
    if (t->keys.faults[entry].text.len) {
        add_fault(t, &t->keys.faults[entry]);
        return;
    }
    BindOpts opts = {.source_flavor = s->is_mariadb ? FLAVOR_MARIADB : FLAVOR_MYSQL,
                     .target_is_tidb = t->in->target_is_tidb,
                     .allow_keyless = t->in->task->allow_keyless_tables,
                     .source_logs_cascades = vars_is(&s->vars, "innodb_native_foreign_keys", "OFF"),
                     .keys = t->keys.keys[entry]};
    Err err = {0};
    if (!binding_check(e->table, shard, target, &opts, &err)) {
        err_wrap(&err, "source " STR_FMT, STR_ARG(s->config->id));
        check_add_err(t->report, CHECK_FAIL, &err);
    }
}

/* Statements that change nothing, for the privileges; what they begin is rolled back. */
static void check_dml(Tables *t, const Target *target)
{
    Conn *c = t->in->target;
    Err err = {0};
    StrBuf columns = {0}, sql[4] = {{0}};
    Str first = {0};
    for (uint32_t i = 0; i < target->schema->n_columns; i++) {
        const ColumnDef *d = &target->schema->columns[i];
        if (d->generated) continue;
        if (!first.len) first = d->name;
        if (columns.len) sb_ch(&columns, ',');
        sb_ident(&columns, d->name);
    }
    Str name = target->sql_name;
    sb_printf(&sql[0], "INSERT INTO " STR_FMT " (%s) SELECT %s FROM " STR_FMT " WHERE 1 = 0", STR_ARG(name),
              columns.ptr, columns.ptr, STR_ARG(name));
    sb_printf(&sql[1], "DELETE FROM " STR_FMT " WHERE 1 = 0", STR_ARG(name));
    sb_printf(&sql[2], "SELECT 1 FROM " STR_FMT " WHERE 1 = 0 FOR UPDATE", STR_ARG(name));
    sb_printf(&sql[3], "UPDATE " STR_FMT " SET ", STR_ARG(name));
    sb_ident(&sql[3], first);
    sb_ch(&sql[3], '=');
    sb_ident(&sql[3], first);
    sb_c(&sql[3], " WHERE 1 = 0");
    bool ok = conn_exec(c, STR("START TRANSACTION"), NULL, &err);
    for (size_t i = 0; ok && i < ARRAY_LEN(sql); i++)
        ok = conn_exec(c, sb_view(&sql[i]), NULL, &err);
    if (!ok) {
        if (err.code == ERR_DB_ACCESS_DENIED && !err.remedy) {
            StrBuf remedy = {0};
            sb_printf(&remedy,
                      "GRANT SELECT, INSERT, UPDATE, DELETE ON " STR_FMT " TO the user of target-database",
                      STR_ARG(name));
            err.remedy = sb_take(&remedy);
        }
        check_add_err(t->report, CHECK_FAIL, &err);
    } else {
        check_add(t->report, CHECK_OK, NULL, "may be read and written");
    }
    Err none = {0};
    if (!conn_exec(c, STR("ROLLBACK"), NULL, &none)) err_clear(&none);
    sb_done(&columns);
    for (size_t i = 0; i < ARRAY_LEN(sql); i++)
        sb_done(&sql[i]);
}

static void note_keys(Tables *t, const Target *target)
{
    for (uint32_t i = 0; i < target->n_keys; i++)
        if (!target->keys[i].hashable)
            check_add(t->report, CHECK_NOTE,
                      "a collation of the general, unicode, 0900, uca1400 or _bin families",
                      "key " STR_FMT
                      ": for its collation or kind it is not known here which values are equal, so its rows "
                      "are applied one transaction after the other",
                      STR_ARG(target->keys[i].name));
}

/* A server hides triggers from users without the privilege. */
static void check_trigger_grant(Tables *t, const Grants *g, TableName name)
{
    if (t->in->target_is_tidb || grants_have(g, "TRIGGER", name.schema, name.table)) return;
    StrBuf remedy = {0};
    sb_c(&remedy, "GRANT TRIGGER ON ");
    sb_ident(&remedy, name.schema);
    sb_c(&remedy, ".* TO ");
    sb_str(&remedy, g->user);
    check_add(t->report, CHECK_WARN, remedy.ptr,
              "without the TRIGGER privilege it cannot be seen whether the table has triggers, which would "
              "change rows");
    sb_done(&remedy);
}

static const TableSchema *first_shard(const Tables *t, const RouteTarget *rt)
{
    for (size_t i = 0; i < rt->n_members; i++)
        if (t->shards[rt->members[i]]) return t->shards[rt->members[i]];
    return NULL;
}

static void check_existing(Tables *t, size_t at)
{
    const RouteTarget *rt = &t->plan->targets[at];
    Target *target = NULL;
    Err err = {0};
    if (!target_new((uint32_t)at, t->targets[at], &target, &err)) check_add_err(t->report, CHECK_FAIL, &err);
    size_t failed = t->report->counts[CHECK_FAIL];
    const TableSchema *first = target ? first_shard(t, rt) : NULL;
    if (first) target_choose_row_key(target, first, route_keys_of_target(t->plan, &t->keys, at));
    if (t->keys.shares[at].text.len) add_fault(t, &t->keys.shares[at]);
    for (size_t i = 0; i < rt->n_members; i++) {
        const TableSchema *shard = t->shards[rt->members[i]];
        if (shard && target) check_member(t, rt->members[i], shard, target);
    }
    if (target && t->report->counts[CHECK_FAIL] == failed)
        check_add(t->report, CHECK_OK, NULL, "takes the rows of all %zu shard tables", rt->n_members);
    if (target) {
        note_keys(t, target);
        check_dml(t, target);
    }
    target_free(target);
}

/* Which shard tables differ from the first, and how: a few by name, the others as a number. */
static bool shards_differ(Tables *t, const RouteTarget *rt, const TableSchema *first)
{
    enum { SHOWN = 5 };
    size_t n_differ = 0;
    for (size_t i = 0; i < rt->n_members; i++) {
        const TableSchema *other = t->shards[rt->members[i]];
        if (!other || other == first) continue;
        StrBuf lines = {0};
        const RouteEntry *e = &t->plan->entries[rt->members[i]];
        Str id = t->in->task->sources[e->source].id;
        Str name = arena_printf(&t->arena, STR_FMT ":" STR_FMT "." STR_FMT, STR_ARG(id),
                                STR_ARG(e->table.schema), STR_ARG(e->table.table));
        if (schema_diff(first, "the first shard", other, name.ptr, &lines)) {
            Str rest = sb_view(&lines);
            n_differ++;
            while (rest.len && n_differ <= SHOWN) {
                Str line = str_split(&rest, '\n');
                if (line.len)
                    check_add(t->report, CHECK_FAIL, "create the target by hand so that it takes all of them",
                              "cannot be created, its shards differ: " STR_FMT, STR_ARG(line));
            }
        }
        sb_done(&lines);
    }
    if (n_differ > SHOWN)
        check_add(t->report, CHECK_FAIL, NULL, "and %zu more shard tables differ from the first",
                  n_differ - SHOWN);
    return n_differ > 0;
}

static void check_missing(Tables *t, size_t at)
{
    const RouteTarget *rt = &t->plan->targets[at];
    const TableSchema *first = NULL;
    bool mariadb = false;
    for (size_t i = 0; i < rt->n_members; i++) {
        const RouteEntry *e = &t->plan->entries[rt->members[i]];
        const TableSchema *shard = t->shards[rt->members[i]];
        if (!shard) continue;
        if (!first) mariadb = t->in->sources[e->source].is_mariadb;
        if (!first) first = shard;
    }
    if (!t->in->task->create_tables) {
        check_add(t->report, CHECK_FAIL, "create it, or set create-tables: true", "the table does not exist");
        return;
    }
    if (!first || shards_differ(t, rt, first)) return;
    Err err = {0};
    Target *target = NULL;
    TableSchema *like = NULL; /* what is going to be created */
    const MemberKeys *keys = route_keys_of_target(t->plan, &t->keys, at);
    if (!keyed_schema(first, keys, t->in->target_is_tidb, &like, &err)) {
        check_add_err(t->report, CHECK_FAIL, &err);
        return;
    }
    like->name = rt->name;
    if (!target_new((uint32_t)at, like, &target, &err)) {
        check_add_err(t->report, CHECK_FAIL, &err);
        schema_free(like);
        return;
    }
    target_choose_row_key(target, first, keys);
    if (t->keys.shares[at].text.len) add_fault(t, &t->keys.shares[at]);
    for (size_t i = 0; i < rt->n_members; i++)
        if (t->shards[rt->members[i]]) check_member(t, rt->members[i], t->shards[rt->members[i]], target);
    note_keys(t, target);
    target_free(target);
    CreateOpts opts = {.name = rt->name,
                       .target_is_tidb = t->in->target_is_tidb,
                       .target_is_mariadb = t->in->target_is_mariadb,
                       .source_is_mariadb = mariadb};
    StrBuf sql = {0};
    keyed_words(keys, like, &opts);
    if (schema_create_sql(like, &opts, &sql, &err))
        check_add(t->report, CHECK_OK, NULL,
                  "does not exist yet: it will be created from the shards' definition");
    else
        check_add_err(t->report, CHECK_FAIL, &err);
    schema_free(like);
    sb_done(&sql);
}

static void check_create_grants(Tables *t, const Grants *g, TableName name)
{
    static const char *const wanted[] = {"CREATE", "SELECT", "INSERT", "UPDATE", "DELETE"};
    for (size_t i = 0; i < ARRAY_LEN(wanted); i++) {
        if (grants_have(g, wanted[i], name.schema, name.table)) continue;
        StrBuf remedy = {0};
        sb_c(&remedy, "GRANT CREATE, SELECT, INSERT, UPDATE, DELETE ON ");
        sb_ident(&remedy, name.schema);
        sb_c(&remedy, ".* TO ");
        sb_str(&remedy, g->user);
        check_add(t->report, g->has_roles ? CHECK_WARN : CHECK_FAIL, remedy.ptr, "%s is not granted%s",
                  wanted[i], g->has_roles ? ", unless a role brings it" : "");
        sb_done(&remedy);
        return;
    }
}

/* What following schema changes needs on a target: ALTER TABLE asks for CREATE and INSERT too; partitions and
 * tables go by DROP. */
static void check_alter_grants(Tables *t, const Grants *g, TableName name)
{
    static const char *const wanted[] = {"ALTER", "CREATE", "INDEX", "DROP"};
    enum { NEEDED = 2 };
    StrBuf missing = {0}, remedy = {0};
    bool stops = false;
    for (size_t i = 0; i < ARRAY_LEN(wanted); i++) {
        if (grants_have(g, wanted[i], name.schema, name.table)) continue;
        sb_printf(&missing, "%s%s", missing.len ? ", " : "", wanted[i]);
        stops |= i < NEEDED;
    }
    if (missing.len) {
        sb_c(&remedy, "GRANT ALTER, CREATE, INDEX, DROP ON ");
        sb_ident(&remedy, name.schema);
        sb_c(&remedy, ".* TO ");
        sb_str(&remedy, g->user);
        check_add(t->report, stops && !g->has_roles ? CHECK_FAIL : CHECK_WARN, remedy.ptr,
                  "shard-mode changes the target with its shards, but %s is not granted%s", missing.ptr,
                  g->has_roles ? ", unless a role brings it" : "");
    }
    sb_done(&missing);
    sb_done(&remedy);
}

/* Columns that hold ids by their looks: an id that is rewritten and a reference that is not part ways. */
static void check_suspects(Tables *t)
{
    KeySuspect *list;
    size_t n = route_keys_suspects(t->plan, t->shards, &t->keys, &t->arena, &list);
    for (size_t i = 0; i < n; i++) {
        const RouteEntry *e = &t->plan->entries[list[i].entry];
        TableName child = t->plan->targets[e->target].name, parent = t->plan->targets[list[i].parent].name;
        StrBuf remedy = {0};
        sb_printf(&remedy,
                  "if it is one: key: {references: [{column: " STR_FMT ", table: " STR_FMT "." STR_FMT
                  "}]} in its rule; else nothing",
                  STR_ARG(list[i].column), STR_ARG(parent.schema), STR_ARG(parent.table));
        check_where(t->report, "target `" STR_FMT "`.`" STR_FMT "`", STR_ARG(child.schema),
                    STR_ARG(child.table));
        check_add(t->report, CHECK_WARN, remedy.ptr,
                  "column `" STR_FMT "` looks like a reference to " STR_FMT "." STR_FMT
                  ", whose ids are rewritten, but it is not declared and would keep its values",
                  STR_ARG(list[i].column), STR_ARG(parent.schema), STR_ARG(parent.table));
        sb_done(&remedy);
    }
}

static Str *source_ids(Tables *t)
{
    Str *ids = arena_array(&t->arena, Str, t->in->task->n_sources + 1);
    for (size_t i = 0; i < t->in->task->n_sources; i++)
        ids[i] = t->in->task->sources[i].id;
    return ids;
}

static bool check_targets(Tables *t, Err *err)
{
    Grants g = {0};
    if (t->in->target && !grants_read(t->in->target, &g, err)) return false;
    for (size_t i = 0; i < t->plan->n_targets; i++) {
        TableName name = t->plan->targets[i].name;
        StrBuf sql_name = {0};
        table_name_sql(name, &sql_name);
        check_where(t->report, "target %s", sql_name.ptr);
        sb_done(&sql_name);
        if (!t->in->target) continue;
        if (t->targets[i]) {
            check_existing(t, i);
            check_trigger_grant(t, &g, name);
        } else {
            check_missing(t, i);
            if (t->in->task->create_tables) check_create_grants(t, &g, name);
        }
        if (t->in->task->shard_mode != SHARD_MODE_NONE) check_alter_grants(t, &g, name);
    }
    grants_done(&g);
    return true;
}

/* What a copy of the existing rows needs and takes. */
static bool check_copy(Tables *t, Err *err)
{
    if (t->in->task->mode == TASK_MODE_INCREMENTAL) return true;
    CheckLoad load = {.task = t->in->task,
                      .sources = t->in->sources,
                      .plan = t->plan,
                      .shards = t->shards,
                      .targets = t->targets,
                      .target = t->in->target};
    return check_load(t->report, &load, err);
}

bool check_tables(CheckReport *r, const CheckTables *in, Err *err)
{
    Tables t = {.in = in, .report = r};
    bool ok = build_plan(&t, err);
    if (ok) report_routes(&t);
    ok = ok && read_shards(&t, err) && read_targets(&t, err);
    if (ok) route_keys_resolve(t.plan, source_ids(&t), t.shards, &t.arena, &t.keys);
    ok = ok && check_targets(&t, err);
    if (ok) check_suspects(&t);
    ok = ok && check_copy(&t, err);
    for (size_t i = 0; t.shards && i < t.plan->n; i++)
        schema_free(t.shards[i]);
    for (size_t i = 0; t.targets && i < t.plan->n_targets; i++)
        schema_free(t.targets[i]);
    route_plan_free(t.plan);
    arena_done(&t.arena);
    return ok;
}
