#include "pipeline/catalog_impl.h"
#include <pthread.h>
#include <stdlib.h>
#include "base/check.h"
#include "base/log.h"
#include "base/map.h"
#include "db/schema_read.h"
#include "pipeline/loss.h"
#include "pipeline/policy.h"
#include "route/plan.h"
#include "source/stream.h"
#include "store/store_ddl.h"
#include "track/bind.h"
#include "track/keyed_schema.h"
#include "track/map_check.h"
#include "track/schema_json.h"
#include "track/schema_map.h"
#include "base/poison.h"

void endpoint_conn(const Endpoint *e, const char *role, ConnOpts *out)
{
    *out = (ConnOpts){.role = role,
                      .host = e->host.ptr,
                      .port = e->port,
                      .socket = e->socket.len ? e->socket.ptr : NULL,
                      .user = e->user.ptr,
                      .password = e->password.ptr,
                      .tls = e->tls,
                      .connect_timeout_s = 10};
}

void target_session(const Task *task, SessionVarText *vars, SessionOpts *out)
{
    *out = (SessionOpts){.vars = vars, .n_vars = task->target.n_session};
    endpoint_conn(&task->target, "downstream", &out->conn);
    /* A dead host must not hang a thread for ever; longer than a lock wait, which the server ends by itself.
     */
    out->conn.read_timeout_s = out->conn.write_timeout_s = 60;
    for (size_t i = 0; i < task->target.n_session; i++)
        vars[i] = (SessionVarText){task->target.session[i].name, task->target.session[i].value};
}

void endpoint_hint(const Endpoint *e, Err *err)
{
    if (!e->password_looks_encrypted || err->code != ERR_DB_ACCESS_DENIED) return;
    free(err->remedy);
    err->remedy = str_dup(STR("the password in the file looks as if dmctl had encrypted it: such passwords "
                              "cannot be read; give the plain one by password-env or password-file"));
}

static bool source_connect(const Task *task, uint32_t source, ConnCancel *cancel, Conn **out, Err *err)
{
    const SourceConfig *s = &task->sources[source];
    StrBuf role = {0};
    ConnOpts opts;
    sb_printf(&role, "source " STR_FMT, STR_ARG(s->id));
    endpoint_conn(&s->from, role.ptr, &opts);
    opts.connect_timeout_s = 5;
    opts.read_timeout_s = 30;
    opts.cancel = cancel;
    bool ok = conn_open(&opts, out, err);
    if (!ok) endpoint_hint(&s->from, err);
    sb_done(&role);
    return ok;
}

bool catalog_source_connect(Catalog *c, uint32_t source, ConnCancel *cancel, Conn **out, Err *err)
{
    return source_connect(c->opts.task, source, cancel, out, err);
}

bool catalog_target_connect(Catalog *c, Conn **out, Dialect *dialect, Err *err)
{
    const Task *task = c->opts.task;
    SessionVarText *vars = mem_zalloc((task->target.n_session + 1) * sizeof *vars);
    SessionOpts opts;
    target_session(task, vars, &opts);
    bool ok = session_open(&opts, out, dialect, err);
    if (!ok) endpoint_hint(&task->target, err);
    free(vars);
    return ok;
}

void catalog_member_key(uint32_t source, TableName name, StrBuf *out)
{
    sb_printf(out, "%u:", source);
    table_name_plain(name, out);
}

/* -- members -- */

bool catalog_add_member(Catalog *c, uint32_t source, TableName name, TableName target, CatalogMember **out,
                        Err *err)
{
    StrBuf key = {0};
    catalog_member_key(source, name, &key);
    CatalogMember *m = map_get(&c->members, sb_view(&key));
    bool ok = true;
    if (!m) {
        m = arena_new(&c->arena, CatalogMember);
        m->m = (Member){.id = c->n_members,
                        .source = source,
                        .name = {arena_str(&c->arena, name.schema), arena_str(&c->arena, name.table)}};
        ok = store_member(c->opts.store, c->opts.task->sources[source].id, name, target, &m->number, err);
        TableName origin = {0};
        ok = ok && store_member_origin(c->opts.store, m->number, &c->arena, &origin, err);
        if (ok) {
            m->now = m->m.name;
            if (origin.table.len) m->m.name = origin;
            m->goes_to = (TableName){arena_str(&c->arena, target.schema), arena_str(&c->arena, target.table)};
            map_put(&c->members, sb_view(&key), m);
            m->next = c->member_list;
            c->member_list = m;
            c->n_members++;
            catalog_tell_apart(c, m);
        }
    }
    sb_done(&key);
    *out = m;
    return ok;
}

BindOpts catalog_bind_opts(const Catalog *c, uint32_t source, const Dialect *downstream)
{
    return (BindOpts){.source_flavor = c->flavors[source],
                      .target_is_tidb = downstream->is_tidb,
                      .allow_keyless = c->opts.task->allow_keyless_tables,
                      .source_logs_cascades = c->logs_cascades[source]};
}

/* -- targets -- */

Target *catalog_find_target(Catalog *c, TableName name)
{
    StrBuf key = {0};
    table_name_plain(name, &key);
    Target *t = map_get(&c->targets, sb_view(&key));
    sb_done(&key);
    return t;
}

static bool add_target(Catalog *c, TableSchema *schema, Target **out, Err *err)
{
    Target *t;
    if (!target_new((uint32_t)c->n_targets, schema, &t, err)) return false;
    StrBuf key = {0};
    table_name_plain(t->name, &key);
    map_put(&c->targets, sb_view(&key), t);
    sb_done(&key);
    c->target_list = mem_realloc(c->target_list, (c->n_targets + 1) * sizeof *c->target_list);
    c->target_list[c->n_targets++] = t;
    *out = t;
    return true;
}

typedef struct TargetWork {
    Conn *conn;
    Dialect dialect;
} TargetWork;

static bool disagreement(Catalog *c, TableName name, const CatalogMember *a, const CatalogMember *b, Err *err)
{
    StrBuf x = {0}, y = {0}, diff = {0};
    sb_str(&x, c->opts.task->sources[a->m.source].id);
    sb_ch(&x, ' ');
    table_name_plain(a->m.name, &x);
    sb_str(&y, c->opts.task->sources[b->m.source].id);
    sb_ch(&y, ' ');
    table_name_plain(b->m.name, &y);
    bool differ = schema_diff(a->schema, x.ptr, b->schema, y.ptr, &diff) > 0;
    if (differ)
        err_set_remedy(err, ERR_TRACK_TARGET, "create the target table by hand, wide enough for all shards",
                       "target " STR_FMT "." STR_FMT " does not exist, and its shards disagree: %s",
                       STR_ARG(name.schema), STR_ARG(name.table), diff.ptr);
    sb_done(&x);
    sb_done(&y);
    sb_done(&diff);
    return differ;
}

/* Makes a missing target from the definition that all given members share. */
static bool create_target(Catalog *c, TargetWork *w, TableName name, CatalogMember *const *members, size_t n,
                          Err *err)
{
    const Task *task = c->opts.task;
    if (!task->create_tables)
        return err_set_remedy(err, ERR_TRACK_TARGET, "create the table, or set create-tables: true",
                              "target " STR_FMT "." STR_FMT " does not exist", STR_ARG(name.schema),
                              STR_ARG(name.table));
    for (size_t i = 1; i < n; i++)
        if (disagreement(c, name, members[0], members[i], err)) return false;
    StrBuf sql = {0};
    TableSchema *keyed = NULL;
    if (!keyed_schema(members[0]->schema, members[0]->keys, w->dialect.is_tidb, &keyed, err)) return false;
    CreateOpts opts = {.name = name,
                       .target_is_tidb = w->dialect.is_tidb,
                       .target_is_mariadb = w->dialect.is_mariadb,
                       .source_is_mariadb = c->flavors[members[0]->m.source] == FLAVOR_MARIADB};
    keyed_words(members[0]->keys, keyed, &opts);
    bool ok = schema_create_sql(keyed, &opts, &sql, err);
    schema_free(keyed);
    if (ok) {
        StrBuf db = {0};
        sb_c(&db, "CREATE DATABASE IF NOT EXISTS ");
        sb_ident(&db, name.schema);
        ok = conn_exec(w->conn, sb_view(&db), NULL, err) && conn_exec(w->conn, sb_view(&sql), NULL, err);
        sb_done(&db);
        if (!ok)
            err_wrap(err, "creating target " STR_FMT "." STR_FMT, STR_ARG(name.schema), STR_ARG(name.table));
    }
    if (ok) {
        log_write(LOGEV_TARGET_CREATED, LOG_STR("schema", name.schema), LOG_STR("table", name.table),
                  LOG_STR("statement", sb_view(&sql)));
        ok = store_event(c->opts.store, (Str){0}, STR("target-created"), sb_view(&sql), err);
    }
    sb_done(&sql);
    return ok;
}

static bool losses_agree(Catalog *c, const Target *t, Err *err)
{
    PolicyMember *members;
    LossAnswer answer;
    size_t n = catalog_policy_members(c, t, &members);
    bool ok = loss_check(c->opts.task, t, members, n, &answer, err);
    free(members);
    return ok;
}

static bool is_locked(const Catalog *c, TableName name)
{
    for (size_t i = 0; i < c->n_locked; i++)
        if (table_name_eq(c->locked[i].target, name)) return true;
    return false;
}

static bool may_join(Catalog *c, const TargetWork *w, const Target *t, const CatalogMember *m, Err *err)
{
    BindOpts opts = catalog_bind_opts(c, m->m.source, &w->dialect);
    opts.keys = m->keys;
    if (!catalog_shares_differ(c, t, m, err)) return false;
    if (t->changes || is_locked(c, m->goes_to)) return true; /* its lock says what fits */
    if (binding_check(m->m.name, m->schema, t, &opts, err)) return true;
    if (err->code == ERR_TRACK_TARGET) { /* a target is read once */
        StrBuf remedy = {0};
        sb_printf(&remedy, "%s; then start the task again", err_remedy(err));
        free(err->remedy);
        err->remedy = sb_take(&remedy);
    }
    return err_wrap(err, "source " STR_FMT, STR_ARG(c->opts.task->sources[m->m.source].id));
}

/* The plan has looked at those of the start; shard tables come later, too. */
static bool is_spelled_once(const Catalog *c, TableName name, Err *err)
{
    for (size_t i = 0; i < c->n_targets; i++) {
        TableName other = c->target_list[i]->name;
        if (route_case_clash(other, name))
            return err_set(err, ERR_ROUTE_CASE,
                           "targets " STR_FMT "." STR_FMT " and " STR_FMT "." STR_FMT
                           " differ only by case; to TiDB they are one",
                           STR_ARG(other.schema), STR_ARG(other.table), STR_ARG(name.schema),
                           STR_ARG(name.table));
    }
    return true;
}

/* The target, made if need be; every given member is checked against it and bound to it. */
static bool ensure_target(Catalog *c, TargetWork *w, TableName name, CatalogMember *const *members, size_t n,
                          Err *err)
{
    Target *t = catalog_find_target(c, name);
    for (size_t i = 0; i < n; i++)
        if (!catalog_resolve_keys(c, members[i], err)) return false;
    if (!t) {
        TableSchema *schema = NULL;
        if (!is_spelled_once(c, name, err) || !catalog_last_target(c, w->conn, name, &schema, err))
            return false;
        if (!schema &&
            (!create_target(c, w, name, members, n, err) || !schema_read(w->conn, name, &schema, err)))
            return false;
        if (!schema)
            return err_set(err, ERR_TRACK_TARGET,
                           "target " STR_FMT "." STR_FMT " is not there after CREATE TABLE",
                           STR_ARG(name.schema), STR_ARG(name.table));
        if (!add_target(c, schema, &t, err)) return false;
    }
    if (n && !t->n_members) target_choose_row_key(t, members[0]->schema, members[0]->keys);
    bool *added = mem_zalloc(n + 1), ok = true;
    for (size_t i = 0; ok && i < n; i++) {
        ok = may_join(c, w, t, members[i], err);
        added[i] = ok && !members[i]->m.target;
        if (ok) members[i]->m.target = t;
        t->n_members += added[i];
    }
    ok = ok && catalog_park(c, w->conn, &w->dialect, t, err) && losses_agree(c, t, err);
    for (size_t i = 0; !ok && i < n; i++) { /* refused: as if they had never been asked for */
        if (!added[i]) continue;
        members[i]->m.target = NULL;
        t->n_members--;
    }
    free(added);
    return ok;
}

/* -- start -- */

typedef struct SourceTables {
    Conn *conn; /* NULL: not reachable now */
    TableName *names;
    size_t n;
} SourceTables;

/* MySQL 9.6 and later log what foreign keys change while innodb_native_foreign_keys is OFF; no other server
 * has the variable. */
bool catalog_detect_cascades(Conn *conn, bool *logged, Err *err)
{
    Rows rows;
    Str v[2] = {{0}};
    *logged = false;
    if (!conn_query(conn, STR("SHOW GLOBAL VARIABLES LIKE 'innodb\\_native\\_foreign\\_keys'"), &rows, err))
        return false;
    if (rows.n_columns == 2 && rows_next(&rows, v)) *logged = str_ieq(v[1], STR("OFF"));
    rows_done(&rows);
    return true;
}

static bool list_sources(Catalog *c, SourceTables *tables, Arena *arena, Err *err)
{
    const Task *task = c->opts.task;
    for (uint32_t i = 0; i < task->n_sources; i++) {
        Err one = {0};
        SourceTables *s = &tables[i];
        bool ok = source_connect(task, i, NULL, &s->conn, &one) &&
                  server_detect_flavor(s->conn, &c->flavors[i], &one) &&
                  catalog_detect_cascades(s->conn, &c->logs_cascades[i], &one) &&
                  schema_list_tables(s->conn, arena, &s->names, &s->n, &one);
        c->starts[i].listed = ok;
        if (ok) continue;
        conn_close(s->conn);
        s->conn = NULL;
        if (err_class(&one) != ERR_CLASS_RETRY) {
            err_move(err, &one);
            return false;
        }
        c->flavors[i] = task->sources[i].flavor;
        log_error(LOGEV_CHECK_WARNING, &one, LOG_STR("source", task->sources[i].id));
        err_clear(&one);
    }
    return true;
}

static bool make_plan(Catalog *c, const SourceTables *tables, Err *err)
{
    const Task *task = c->opts.task;
    PlanSource *sources = mem_zalloc((task->n_sources + 1) * sizeof *sources);
    for (size_t i = 0; i < task->n_sources; i++) {
        const SourceConfig *s = &task->sources[i];
        sources[i] = (PlanSource){.id = s->id,
                                  .allow_list = s->allow_list,
                                  .rules = s->routes,
                                  .n_rules = s->n_routes,
                                  .tables = tables[i].names,
                                  .n_tables = tables[i].n,
                                  .place = s->place,
                                  .mappings = s->mappings,
                                  .n_mappings = s->n_mappings};
    }
    PlanOpts opts = {.sources = sources,
                     .n_sources = task->n_sources,
                     .case_sensitive = task->case_sensitive,
                     .meta_schema = task->meta_schema};
    bool ok = route_plan_build(&opts, &c->plan, err);
    free(sources);
    if (!ok) return false;
    for (size_t i = 0; i < c->plan->n_problems; i++) {
        if (c->plan->problems[i].level == ROUTE_NOTE) continue;
        StrBuf text = {0};
        route_problem_format(&c->plan->problems[i], &text);
        log_write(LOGEV_CHECK_WARNING, LOG_STR("route", sb_view(&text)));
        sb_done(&text);
    }
    return route_plan_check(c->plan, err);
}

/* All definitions before any target: references lead from one target's tables to another's. */
static bool open_members(Catalog *c, SourceTables *tables, Err *err)
{
    for (size_t i = 0; i < c->plan->n_targets; i++) {
        const RouteTarget *rt = &c->plan->targets[i];
        for (size_t k = 0; k < rt->n_members; k++) {
            const RouteEntry *e = &c->plan->entries[rt->members[k]];
            CatalogMember *m;
            if (!catalog_add_member(c, e->source, e->table, rt->name, &m, err)) return false;
        }
    }
    for (uint32_t i = 0; i < c->opts.task->n_sources; i++)
        if (!catalog_source_schemas(c, i, tables[i].conn, err)) return false;
    return true;
}

static bool open_targets(Catalog *c, SourceTables *tables, Err *err)
{
    TargetWork w = {0};
    bool ok = open_members(c, tables, err) && catalog_target_connect(c, &w.conn, &w.dialect, err);
    for (size_t i = 0; ok && i < c->plan->n_targets; i++) {
        const RouteTarget *rt = &c->plan->targets[i];
        CatalogMember **members = mem_zalloc((rt->n_members + 1) * sizeof *members);
        size_t n = 0;
        for (size_t k = 0; ok && k < rt->n_members; k++) {
            const RouteEntry *e = &c->plan->entries[rt->members[k]];
            ok = catalog_add_member(c, e->source, e->table, rt->name, &members[n], err);
            n += ok && members[n]->schema; /* else it comes with its first statement or row */
        }
        if (ok && n) ok = ensure_target(c, &w, rt->name, members, n, err);
        free(members);
    }
    for (size_t i = 0; ok && i < c->n_locked; i++) { /* also when none of its shard tables is there now */
        TableSchema *schema = NULL;
        Target *t = catalog_find_target(c, c->locked[i].target);
        ok = t || catalog_last_target(c, w.conn, c->locked[i].target, &schema, err);
        if (ok && schema) ok = add_target(c, schema, &t, err);
    }
    c->dialect = w.dialect;
    conn_close(w.conn);
    return ok;
}

bool catalog_open(const CatalogOpts *opts, Catalog **out, Err *err)
{
    Catalog *c = mem_zalloc(sizeof *c);
    c->opts = *opts;
    c->flavors = mem_zalloc((opts->task->n_sources + 1) * sizeof *c->flavors);
    c->logs_cascades = mem_zalloc(opts->task->n_sources + 1);
    c->starts = mem_zalloc((opts->task->n_sources + 1) * sizeof *c->starts);
    for (size_t i = 0; i < opts->task->n_sources; i++)
        pthread_mutex_init(&c->starts[i].mutex, NULL);
    pthread_mutex_init(&c->mutex, NULL);
    SourceTables *tables = mem_zalloc((opts->task->n_sources + 1) * sizeof *tables);
    Arena arena = {0};
    bool ok = store_locks(opts->store, &c->arena, &c->locked, &c->n_locked, err) &&
              list_sources(c, tables, &arena, err) && make_plan(c, tables, err) &&
              open_targets(c, tables, err);
    for (size_t i = 0; i < opts->task->n_sources; i++)
        conn_close(tables[i].conn);
    free(tables);
    arena_done(&arena);
    if (ok)
        *out = c;
    else
        catalog_free(c);
    return ok;
}

void catalog_free(Catalog *c)
{
    if (!c) return;
    size_t iter = 0;
    for (void *v; map_next(&c->bindings, &iter, NULL, &v);)
        binding_free(v);
    for (CatalogMember *m = c->member_list; m; m = m->next) {
        schema_free((TableSchema *)m->schema);
    }
    for (size_t i = 0; i < c->n_targets; i++) {
        TableSchema *schema = (TableSchema *)c->target_list[i]->schema;
        parked_free(c->target_list[i]->parked);
        target_free(c->target_list[i]);
        schema_free(schema);
    }
    for (size_t i = 0; i < c->n_old_targets; i++) {
        TableSchema *schema = (TableSchema *)c->old_targets[i]->schema;
        parked_free(c->old_targets[i]->parked);
        target_free(c->old_targets[i]);
        schema_free(schema);
    }
    for (size_t i = 0; i < c->opts.task->n_sources; i++) {
        scout_done(&c->starts[i].scout);
        point_done(&c->starts[i].point);
        pthread_mutex_destroy(&c->starts[i].mutex);
    }
    free(c->starts);
    free(c->old_targets);
    route_plan_free(c->plan);
    map_done(&c->targets);
    map_done(&c->members);
    map_done(&c->bindings);
    map_done(&c->spaces);
    arena_done(&c->arena);
    free(c->target_list);
    free(c->flavors);
    free(c->logs_cascades);
    pthread_mutex_destroy(&c->mutex);
    free(c);
}

/* -- while running -- */

/* A table the binlog shows for the first time. The mutex is held, and given up while servers are connected
 * to: one that does not answer holds up its own source only. Members of a source are added by its thread
 * alone. */
static bool late_member(Catalog *c, uint32_t source, TableName name, TableName target, const StreamPoint *at,
                        CatalogMember **out, Err *err)
{
    Conn *conn = NULL;
    TargetWork w = {0};
    TableSchema *schema = NULL;
    char *why = NULL;
    bool cascades = false, stored = false;
    if (!catalog_add_member(c, source, name, target, out, err) ||
        !catalog_stored_schema(c, *out, &stored, err))
        return false;
    pthread_mutex_unlock(&c->mutex);
    bool ok = source_connect(c->opts.task, source, NULL, &conn, err) &&
              catalog_detect_cascades(conn, &cascades, err) &&
              (stored || catalog_late_schema(c, *out, conn, at, &schema, &why, err)) &&
              catalog_target_connect(c, &w.conn, &w.dialect, err);
    pthread_mutex_lock(&c->mutex);
    if (ok) c->logs_cascades[source] = cascades;
    if (ok && !(*out)->schema) {
        ok = catalog_keep_schema(c, *out, schema, str_of(why), err);
        schema = NULL;
    }
    ok = ok && ensure_target(c, &w, target, out, 1, err);
    schema_free(schema);
    free(why);
    conn_close(conn);
    conn_close(w.conn);
    return ok;
}

bool catalog_bind(Catalog *c, const Member *member, Err *err)
{
    CatalogMember *m = (CatalogMember *)member;
    TargetWork w = {0};
    pthread_mutex_lock(&c->mutex);
    bool bound = m->m.target != NULL;
    pthread_mutex_unlock(&c->mutex);
    if (bound) return true;
    bool ok = catalog_target_connect(c, &w.conn, &w.dialect, err);
    pthread_mutex_lock(&c->mutex);
    ok = ok && (m->m.target || ensure_target(c, &w, m->goes_to, &m, 1, err));
    pthread_mutex_unlock(&c->mutex);
    conn_close(w.conn);
    return ok;
}

bool catalog_bind_all(Catalog *c, CatalogMember **list, size_t n, Err *err)
{
    TargetWork w = {0};
    CatalogMember **group = mem_zalloc((n + 1) * sizeof *group);
    bool ok = catalog_target_connect(c, &w.conn, &w.dialect, err);
    pthread_mutex_lock(&c->mutex);
    for (size_t i = 0; ok && i < n; i++) {
        size_t k = 0;
        for (size_t j = i; j < n && !list[i]->m.target; j++)
            if (!list[j]->m.target && table_name_eq(list[j]->goes_to, list[i]->goes_to)) group[k++] = list[j];
        if (k) ok = ensure_target(c, &w, list[i]->goes_to, group, k, err);
    }
    pthread_mutex_unlock(&c->mutex);
    conn_close(w.conn);
    free(group);
    return ok;
}

bool catalog_have_target(Catalog *c, const Member *member, Err *err)
{
    CatalogMember *m = (CatalogMember *)member;
    pthread_mutex_lock(&c->mutex);
    const Target *t = catalog_find_target(c, m->goes_to);
    bool there = (t && t->n_members) || !m->schema;
    pthread_mutex_unlock(&c->mutex);
    return there || catalog_bind(c, member, err);
}

/* NEXTVAL writes rows of the sequence: no table, whatever rule its name matches. A sequence that is gone is
 * known by its map alone. Gives the mutex up while it asks. */
static bool is_sequence(Catalog *c, uint32_t source, const TableMap *map, bool *yes, Err *err)
{
    Conn *conn = NULL;
    TableSchema *schema = NULL;
    *yes = false;
    if (c->flavors[source] != FLAVOR_MARIADB || !map_like_sequence(map)) return true;
    pthread_mutex_unlock(&c->mutex);
    bool ok =
        source_connect(c->opts.task, source, NULL, &conn, err) && schema_read(conn, map->name, &schema, err);
    pthread_mutex_lock(&c->mutex);
    if (ok) *yes = schema ? schema->is_sequence : map->has_names;
    schema_free(schema);
    conn_close(conn);
    return ok;
}

static bool make_binding(Catalog *c, CatalogMember *m, const DdlVersion *v, const TableMap *map, Str key,
                         const Binding **out, Err *err)
{
    BindOpts opts = catalog_bind_opts(c, m->m.source, &c->dialect);
    opts.keys = m->keys;
    opts.feeds = v->feeds;
    Binding *b;
    if (!binding_new(&m->m, table_map_copy(map, &c->arena), v->schema, &opts, &b, err)) return false;
    map_put(&c->bindings, key, b);
    *out = b;
    return true;
}

/* One binding for each definition of the shard table, of the target, and way between them. */
static bool bind_as(Catalog *c, CatalogMember *m, const DdlVersion *v, const TableMap *map,
                    const Binding **binding, Err *err)
{
    StrBuf key = {0};
    sb_printf(&key, "%u:%llu:%p:", m->m.id, (unsigned long long)v->number, (void *)m->m.target);
    for (uint32_t i = 0; v->feeds && i < v->schema->n_columns; i++)
        sb_printf(&key, STR_FMT ",", STR_ARG(v->feeds->columns[i]));
    for (uint32_t i = 0; v->feeds && i < v->feeds->n_fills; i++)
        sb_printf(&key, STR_FMT "=" STR_FMT ",", STR_ARG(v->feeds->fills[i].column),
                  STR_ARG(v->feeds->fills[i].literal));
    sb_ch(&key, ':');
    sb_str(&key, map->body); /* empty: of rows read by SELECT */
    *binding = map_get(&c->bindings, sb_view(&key));
    bool ok = catalog_may_park(m->m.target, err);
    ok = ok && (*binding || make_binding(c, m, v, map, sb_view(&key), binding, err));
    sb_done(&key);
    return ok;
}

static bool bind_version(Catalog *c, uint32_t stream, CatalogMember *m, const TableMap *map, Arena *scratch,
                         const Binding **binding, Err *err)
{
    DdlVersion v = {.schema = m->schema};
    bool known;
    if (c->ddl && !ddl_version(c->ddl, stream, &m->m, scratch, &known, &v, err)) return false;
    if (!v.schema) v.schema = m->schema;
    return bind_as(c, m, &v, map, binding, err);
}

static bool resolve(Catalog *c, uint32_t stream, const TableMap *map, const StreamPoint *at,
                    const Binding **binding, Err *err)
{
    uint32_t source = stream % (uint32_t)c->opts.task->n_sources;
    Arena scratch = {0};
    StrBuf key = {0};
    RouteAnswer answer;
    CatalogMember *m = NULL;
    bool ok = true;
    *binding = NULL;
    router_table(c->plan->routers[source], map->name, &scratch, &answer);
    const Member *bearer = c->ddl ? ddl_member_named(c->ddl, stream, map->name) : NULL;
    if (answer.outcome == ROUTE_AMBIGUOUS && !bearer) {
        ok = err_set(err, ERR_ROUTE_AMBIGUOUS,
                     "table " STR_FMT "." STR_FMT " matches the rules " STR_FMT " and " STR_FMT,
                     STR_ARG(map->name.schema), STR_ARG(map->name.table), STR_ARG(answer.rule->name),
                     STR_ARG(answer.other->name));
    } else if (answer.outcome != ROUTE_FILTERED || bearer) {
        catalog_member_key(source, map->name, &key);
        m = bearer ? (CatalogMember *)bearer : map_get(&c->members, sb_view(&key));
        bool sequence = false;
        if (m && !m->m.target && c->ddl) ok = catalog_adopt(c, m, err);
        if (ok && (!m || !m->m.target))
            ok = is_sequence(c, source, map, &sequence, err) &&
                 (sequence || late_member(c, source, bearer ? m->now : map->name,
                                          bearer ? m->goes_to : answer.target, at, &m, err));
        if (ok && !sequence) ok = bind_version(c, stream, m, map, &scratch, binding, err);
    }
    sb_done(&key);
    arena_done(&scratch);
    return ok;
}

bool catalog_resolve(Catalog *c, uint32_t stream, const TableMap *map, const StreamPoint *at,
                     const Binding **binding, Err *err)
{
    pthread_mutex_lock(&c->mutex);
    bool ok = resolve(c, stream, map, at, binding, err);
    pthread_mutex_unlock(&c->mutex);
    return ok;
}

bool catalog_routed(Catalog *c, uint32_t source, TableName name)
{
    Arena scratch = {0};
    RouteAnswer answer;
    router_table(c->plan->routers[source], name, &scratch, &answer);
    arena_done(&scratch);
    return answer.outcome != ROUTE_FILTERED;
}

bool catalog_member_exists(Catalog *c, uint32_t source, TableName name)
{
    StrBuf key = {0};
    catalog_member_key(source, name, &key);
    pthread_mutex_lock(&c->mutex);
    bool there = map_get(&c->members, sb_view(&key)) != NULL;
    pthread_mutex_unlock(&c->mutex);
    sb_done(&key);
    return there;
}

bool catalog_schema_routed(Catalog *c, uint32_t source, Str schema)
{
    return router_schema_wanted(c->plan->routers[source], schema);
}

void catalog_set_flavor(Catalog *c, uint32_t source, Flavor flavor)
{
    pthread_mutex_lock(&c->mutex);
    c->flavors[source] = flavor;
    pthread_mutex_unlock(&c->mutex);
}

size_t catalog_members(Catalog *c, const Target *t, const Member *except, CatalogPlace *out, size_t cap)
{
    size_t n = 0;
    pthread_mutex_lock(&c->mutex);
    for (const CatalogMember *m = c->member_list; m && n < cap; m = m->next)
        if (m->m.target == t && &m->m != except) out[n++] = (CatalogPlace){m->m.source, m->now};
    pthread_mutex_unlock(&c->mutex);
    return n;
}

size_t catalog_source_members(Catalog *c, uint32_t source, const Member ***out)
{
    size_t n = 0;
    pthread_mutex_lock(&c->mutex);
    *out = mem_zalloc((c->n_members + 1) * sizeof **out);
    for (CatalogMember *m = c->member_list; m; m = m->next) {
        Err later = {0}; /* said when its rows come */
        if (m->m.source != source) continue;
        if (!m->m.target && c->ddl && !catalog_adopt(c, m, &later)) err_clear(&later);
        if (m->m.target) (*out)[n++] = &m->m;
    }
    pthread_mutex_unlock(&c->mutex);
    /* the list is newest first */
    for (size_t i = 0; i < n / 2; i++) {
        const Member *x = (*out)[i];
        (*out)[i] = (*out)[n - 1 - i];
        (*out)[n - 1 - i] = x;
    }
    return n;
}

static bool load_table(Catalog *c, uint32_t stream, CatalogMember *m, const StreamPoint *at,
                       LoadTableInfo *out, Err *err)
{
    DdlVersion v = {.schema = m->schema};
    Arena scratch = {0};
    TableMap *map;
    *out = (LoadTableInfo){.name = m->m.name};
    if (!m->m.target && c->ddl && !catalog_adopt(c, m, err)) return false;
    bool ok = m->m.target || err_set(err, ERR_TRACK_TARGET, "its target is not known yet");
    ok = ok && (!c->ddl || ddl_copy_look(c->ddl, stream, &m->m, at, &c->arena, &v, out, err));
    if (!v.schema) v.schema = m->schema;
    ok = ok && schema_table_map(v.schema, c->flavors[m->m.source], &scratch, &map, err);
    if (ok) {
        map->name = out->name;
        ok = bind_as(c, m, &v, map, &out->binding, err);
    }
    if (ok) {
        out->schema = v.schema;
        out->map = out->binding->map;
    }
    arena_done(&scratch);
    return ok;
}

bool catalog_load_table(Catalog *c, uint32_t stream, const Member *member, const StreamPoint *at,
                        LoadTableInfo *out, Err *err)
{
    CatalogMember *m = (CatalogMember *)member; /* it is made as a part of one */
    pthread_mutex_lock(&c->mutex);
    bool ok = load_table(c, stream, m, at, out, err);
    pthread_mutex_unlock(&c->mutex);
    if (!ok)
        err_wrap(err, "source " STR_FMT ": table " STR_FMT "." STR_FMT,
                 STR_ARG(c->opts.task->sources[member->source].id), STR_ARG(member->name.schema),
                 STR_ARG(member->name.table));
    return ok;
}

bool catalog_target(Catalog *c, size_t i, const Target **out, size_t *n_members)
{
    pthread_mutex_lock(&c->mutex);
    bool there = i < c->n_targets;
    if (there) {
        *out = c->target_list[i];
        *n_members = c->target_list[i]->n_members;
    }
    pthread_mutex_unlock(&c->mutex);
    return there;
}
