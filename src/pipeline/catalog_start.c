/* The definitions of shard tables, true for the point at which their rows are read. A definition can only be
 * read as it is now; the statements between the point and now say whether it was the same then:
 *
 *   none of this table      it was
 *   CREATE TABLE first      there was none; it comes with that statement
 *   others, that tell all   they are undone, and applied again to compare
 *   others, and the binlog  the columns are those it names there; the statements are applied to compare
 *   names the columns
 *   others                  nobody knows: rows of the table stop their source (ERR_TRACK_START)
 *
 * A start at the present end is moved until nothing of this lies between. */
#include <stdlib.h>
#include "base/check.h"
#include "base/log.h"
#include "db/schema_read.h"
#include "db/server.h"
#include "pipeline/catalog_impl.h"
#include "pipeline/ddl_impl.h"
#include "pipeline/start_point.h"
#include "store/store_start.h"
#include "track/schema_fingerprint.h"
#include "track/schema_json.h"
#include "track/schema_recall.h"
#include "track/schema_undo.h"
#include "track/step_json.h"
#include "base/poison.h"

/* -- one table -- */

/* Statements that concern the definition of one table. */
typedef struct Since {
    const ScoutChange **list;
    size_t n;
} Since;

/* CREATE TABLE IF NOT EXISTS changes nothing where the table was, and makes what is there where it was not:
 * what it is now counts in both cases. CREATE TABLE … LIKE t leaves t alone. */
static bool concerns(const Catalog *c, uint32_t source, const ScoutChange *s, TableName name)
{
    DdlEvent e;
    DdlLook look;
    if (!str_starts(s->what, STR("CREATE TABLE"))) return true;
    scout_event(s, NULL, &e);
    return !ddl_look(c->flavors[source], &e, &look) ||
           (!look.conditional && str_ieq(s->tables[0].table, name.table));
}

static Since changes_since(const Catalog *c, uint32_t source, const Scout *scout, const StreamPoint *at,
                           TableName name)
{
    Since out = {.list = mem_zalloc((scout->n + 1) * sizeof *out.list)};
    size_t iter = 0;
    for (const ScoutChange *s; (s = scout_next(scout, at, name, &iter));)
        if (concerns(c, source, s, name)) out.list[out.n++] = s;
    return out;
}

static void since_done(Since *s)
{
    free(s->list);
}

/* What the statement leads to from this definition: is it the one that is known? */
static bool leads_to(Flavor flavor, const TableSchema *before, const DdlEvent *e, const TableSchema *after)
{
    SchemaStep *step = NULL;
    LockStepKind kind;
    Err ignored = {0};
    bool ok = ddl_make_step(flavor, before, before->name, e, &step, &kind, &ignored) && step && step->after &&
              schema_same_fingerprint(step->after, after);
    step_free(step);
    err_clear(&ignored);
    return ok;
}

/* *schema becomes the found one, or that goes; true: it is known. */
static bool take_if(bool known, TableSchema *found, TableSchema **schema)
{
    schema_free(known ? *schema : found);
    if (known) *schema = found;
    return known;
}

/* *schema becomes what it was before all of them; false: nobody knows. */
static bool undo_all(Flavor flavor, const Since *since, TableSchema **schema)
{
    TableSchema *now = schema_copy(*schema);
    bool ok = true;
    for (size_t i = since->n; ok && i > 0; i--) {
        Arena arena = {0};
        DdlStmt *stmt;
        DdlEvent e;
        DdlReading read;
        Err ignored = {0};
        scout_event(since->list[i - 1], NULL, &e);
        ddl_read_event(flavor, &e, &read);
        TableSchema *before = NULL;
        if (!e.of_database && ddl_parse(e.query->sql, &read.parse, &arena, &stmt, &ignored))
            before = schema_undo(now, stmt);
        ok = before && leads_to(flavor, before, &e, now);
        arena_done(&arena);
        err_clear(&ignored);
        if (ok) {
            schema_free(now);
            now = before;
        } else {
            schema_free(before);
        }
    }
    return take_if(ok, now, schema);
}

/* The definition before the first of them as the binlog names its columns there, when they lead from it to
 * *schema; else false. */
static bool recall(Flavor flavor, const Since *since, const TableMap *map, TableSchema **schema)
{
    Arena arena = {0};
    const DdlStmt **stmts = arena_array(&arena, const DdlStmt *, since->n + 1);
    DdlReading *read = arena_array(&arena, DdlReading, since->n + 1);
    bool ok = map != NULL;
    Err ignored = {0};
    for (size_t i = 0; ok && i < since->n; i++) {
        DdlEvent e;
        DdlStmt *stmt = NULL;
        scout_event(since->list[i], NULL, &e);
        ddl_read_event(flavor, &e, &read[i]);
        ok = !e.of_database && ddl_parse(e.query->sql, &read[i].parse, &arena, &stmt, &ignored) &&
             (stmt->kind == DDL_ALTER_TABLE || stmt->kind == DDL_TRUNCATE_TABLE);
        stmts[i] = stmt;
    }
    TableSchema *before = ok ? schema_recall(*schema, stmts, since->n, map, &read[0].apply) : NULL,
                *now = before ? schema_copy(before) : NULL;
    for (size_t i = 0; now && i < since->n; i++) {
        DdlEvent e;
        SchemaStep *step = NULL;
        LockStepKind kind;
        TableSchema *next = NULL;
        scout_event(since->list[i], NULL, &e);
        if (ddl_make_step(flavor, now, now->name, &e, &step, &kind, &ignored))
            next = step ? (step->after ? schema_copy(step->after) : NULL) : schema_copy(now);
        step_free(step);
        schema_free(now);
        now = next;
    }
    ok = now && schema_same_fingerprint(now, *schema);
    schema_free(now);
    err_clear(&ignored);
    arena_done(&arena);
    return take_if(ok, before, schema);
}

/* -- a source -- */

static bool hook_routed(void *ctx, uint32_t source, TableName name)
{
    return catalog_routed(ctx, source, name);
}

static bool hook_schema_routed(void *ctx, uint32_t source, Str schema)
{
    return catalog_schema_routed(ctx, source, schema);
}

static bool look(Catalog *c, uint32_t source, const StreamPoint *from, const StreamPoint *end, Err *err)
{
    ScoutOpts opts = {.config = &c->opts.task->sources[source],
                      .source = source,
                      .ctx = c,
                      .routed = hook_routed,
                      .schema_routed = hook_schema_routed,
                      .cancel = c->opts.cancel,
                      .stopping = c->opts.stopping,
                      .stop_ctx = c->opts.ctx};
    return scout_look(&c->starts[source].scout, &opts, from, end, err);
}

/* MySQL's binlog has a statement before information_schema shows its effect, while the table is locked: who
 * has waited for the lock sees it. MariaDB's information_schema waits by itself. */
static bool wait_for_changes(Conn *conn, Flavor flavor, const TableName *names, size_t n, Err *err)
{
    StrBuf sql = {0};
    bool ok = true;
    for (size_t i = 0; flavor == FLAVOR_MYSQL && ok && i < n; i++) {
        sb_clear(&sql);
        sb_c(&sql, "DO (SELECT 1 FROM ");
        table_name_sql(names[i], &sql);
        sb_c(&sql, " LIMIT 0)");
        ok = conn_exec(conn, sb_view(&sql), NULL, err);
        if (ok || err_class(err) == ERR_CLASS_RETRY) continue;
        err_clear(err); /* not there any more, or not allowed: what is read then is all there is */
        ok = true;
    }
    sb_done(&sql);
    return ok;
}

/* Definitions that were read, and what is known of them at the point. */
typedef struct Found {
    CatalogMember **members;
    TableName *names;
    TableSchema **schemas; /* NULL: none is known for the point */
    char **why;
    size_t n, changed; /* changed: whose table was changed behind the point */
} Found;

static Found found_new(size_t cap)
{
    return (Found){.members = mem_zalloc((cap + 1) * sizeof(CatalogMember *)),
                   .names = mem_zalloc((cap + 1) * sizeof(TableName)),
                   .schemas = mem_zalloc((cap + 1) * sizeof(TableSchema *)),
                   .why = mem_zalloc((cap + 1) * sizeof(char *))};
}

static void found_add(Found *f, CatalogMember *m)
{
    f->members[f->n] = m;
    f->names[f->n++] = m->m.name;
}

static void found_done(Found *f)
{
    for (size_t i = 0; i < f->n; i++) {
        schema_free(f->schemas[i]);
        free(f->why[i]);
    }
    free(f->members);
    free(f->names);
    free(f->schemas);
    free(f->why);
    *f = (Found){0};
}

static void judge(Catalog *c, uint32_t source, const StreamPoint *at, Found *f, size_t i)
{
    Since since = changes_since(c, source, &c->starts[source].scout, at, f->names[i]);
    StrBuf why = {0};
    sb_c(&why, "live definition");
    if (since.n) {
        f->changed++;
        bool known = f->schemas[i] && undo_all(c->flavors[source], &since, &f->schemas[i]);
        if (known) sb_printf(&why, ", %zu statements since then undone", since.n);
        if (!known && f->schemas[i]) {
            const TableMap *map = scout_map(&c->starts[source].scout, at, f->names[i]);
            known = recall(c->flavors[source], &since, map, &f->schemas[i]);
            if (known)
                sb_printf(&why, ", with the columns that the binlog names before %zu statements since then",
                          since.n);
        }
        if (!known) {
            schema_free(f->schemas[i]);
            f->schemas[i] = NULL;
        }
    }
    f->why[i] = sb_take(&why);
    since_done(&since);
}

/* Reads what the members' tables look like at the point. It may lie inside of a transaction (CREATE … SELECT
 * and its rows are one): from is before that. */
static bool read_from(Catalog *c, uint32_t source, Conn *conn, const StreamPoint *from, const StreamPoint *at,
                      Found *f, Err *err)
{
    StreamPoint end = {0};
    bool ok = wait_for_changes(conn, c->flavors[source], f->names, f->n, err) &&
              schema_read_many(conn, f->names, f->n, f->schemas, err) &&
              server_current_point(conn, c->flavors[source], &end, err) && look(c, source, from, &end, err);
    for (size_t i = 0; ok && i < f->n; i++)
        judge(c, source, at, f, i);
    point_done(&end);
    return ok;
}

static bool read_at(Catalog *c, uint32_t source, Conn *conn, const StreamPoint *at, Found *f, Err *err)
{
    return read_from(c, source, conn, at, at, f, err);
}

/* Those without a stored definition. */
static bool list_wanted(Catalog *c, uint32_t source, Found *f, Err *err)
{
    *f = found_new(c->n_members);
    for (CatalogMember *m = c->member_list; m; m = m->next) {
        bool found = false;
        if (m->m.source != source || m->schema) continue;
        if (!catalog_stored_schema(c, m, &found, err)) return false;
        if (!found) found_add(f, m);
    }
    return true;
}

static bool keep(Catalog *c, uint32_t source, const StreamPoint *at, bool final, Found *f, Err *err)
{
    Arena arena = {0};
    StoreDefinition *list = arena_array(&arena, StoreDefinition, f->n + 1);
    StrBuf point = {0}, text = {0};
    size_t n = 0;
    point_format(at, &point);
    for (size_t i = 0; i < f->n; i++) {
        if (!f->schemas[i]) continue;
        sb_clear(&text);
        schema_to_json(f->schemas[i], &text);
        list[n++] = (StoreDefinition){.member_no = f->members[i]->number,
                                      .schema_json = arena_str(&arena, sb_view(&text)),
                                      .why = str_of(f->why[i])};
    }
    StoreStart start = {c->opts.task->sources[source].id, sb_view(&point), final};
    bool ok = store_start_put(c->opts.store, &start, list, n, err);
    for (size_t i = 0; ok && i < f->n; i++) {
        f->members[i]->schema = f->schemas[i];
        f->schemas[i] = NULL;
    }
    sb_done(&point);
    sb_done(&text);
    arena_done(&arena);
    return ok;
}

/* The point and the definitions of a source that was never read. */
static bool begin_anew(Catalog *c, uint32_t source, Conn *conn, Err *err)
{
    enum { TRIES = 20 };
    const SourceConfig *config = &c->opts.task->sources[source];
    CatalogStart *start = &c->starts[source];
    bool given = start_is_given(c->opts.task, config), ok = true;
    Found f = {0};
    if (!store_start_forget(c->opts.store, config->id, err)) return false;
    for (unsigned i = 0; ok; i++) {
        point_done(&start->point);
        start->moves = false;
        ok = given ? start_given(config, conn, &start->point, err)
                   : start_present(config, conn, &start->point, err);
        if (!ok && err->code == ERR_SOURCE_XA_OPEN) { /* it begins later, where none is */
            err_clear(err);
            ok = start->moves = true;
        }
        found_done(&f);
        ok = ok && list_wanted(c, source, &f, err) && read_at(c, source, conn, &start->point, &f, err);
        if (!ok || given || !f.changed || i == TRIES) break;
    }
    ok = ok && keep(c, source, &start->point, false, &f, err);
    start->known = ok;
    found_done(&f);
    return ok;
}

/* Members that came while nothing ran: as of where the source goes on at the earliest. */
static bool go_on(Catalog *c, uint32_t source, Conn *conn, Str point_json, Err *err)
{
    StreamPoint at = {0};
    Found f = {0};
    bool ok = point_parse(point_json, &at, err);
    pthread_mutex_lock(&c->mutex);
    ok = ok && list_wanted(c, source, &f, err);
    pthread_mutex_unlock(&c->mutex);
    pthread_mutex_lock(&c->starts[source].mutex);
    if (ok && f.n && conn) ok = read_at(c, source, conn, &at, &f, err);
    pthread_mutex_unlock(&c->starts[source].mutex);
    pthread_mutex_lock(&c->mutex);
    for (size_t i = 0; ok && i < f.n; i++) {
        if (!f.schemas[i]) continue;
        ok = catalog_keep_schema(c, f.members[i], f.schemas[i], str_of(f.why[i]), err);
        f.schemas[i] = NULL;
    }
    pthread_mutex_unlock(&c->mutex);
    found_done(&f);
    point_done(&at);
    return ok;
}

/* A start that the task file names wrongly, or that the binlog does not have any more: its stream says so,
 * and the others go on. */
static bool begin_or_leave(Catalog *c, uint32_t source, Conn *conn, Err *err)
{
    Err why = {0};
    if (begin_anew(c, source, conn, &why)) return true;
    bool stream_stops = start_is_given(c->opts.task, &c->opts.task->sources[source]) &&
                        err_class(&why) == ERR_CLASS_STOP_SOURCE;
    if (stream_stops)
        log_error(LOGEV_CHECK_WARNING, &why, LOG_STR("source", c->opts.task->sources[source].id));
    else
        err_move(err, &why);
    err_clear(&why);
    return stream_stops;
}

bool catalog_source_schemas(Catalog *c, uint32_t source, Conn *conn, Err *err)
{
    Arena arena = {0};
    Str id = c->opts.task->sources[source].id, at = {0};
    StoreStart start = {0};
    StoreFloor *floors;
    size_t n = 0;
    bool found = false;
    bool ok = store_start_get(c->opts.store, id, &arena, &start, &found, err) &&
              store_floors(c->opts.store, &arena, &floors, &n, err);
    if (ok && found && start.final) at = start.point_json;
    for (size_t i = 0; ok && i < n; i++)
        if (str_eq(floors[i].source_id, id)) at = floors[i].point_json;
    if (ok && at.len)
        ok = go_on(c, source, conn, at, err);
    else if (ok && conn)
        ok = begin_or_leave(c, source, conn, err);
    arena_done(&arena);
    return ok || err_wrap(err, "source " STR_FMT, STR_ARG(id));
}

/* -- the first floor -- */

/* It begins later than the definitions were read: they must be the same still. */
static bool still_true(Catalog *c, uint32_t source, const StreamPoint *end, Err *err)
{
    CatalogStart *start = &c->starts[source];
    pthread_mutex_lock(&start->mutex);
    bool ok = look(c, source, &start->point, end, err);
    pthread_mutex_lock(&c->mutex);
    for (const CatalogMember *m = c->member_list; ok && m; m = m->next) {
        if (m->m.source != source) continue;
        Since since = changes_since(c, source, &start->scout, &start->point, m->m.name);
        if (since.n)
            ok = err_set_remedy(
                err, ERR_TRACK_START, "start the task again: nothing of this source has begun",
                "source " STR_FMT ": %s at " STR_FMT " changed `" STR_FMT "`.`" STR_FMT
                "` while the source waited to begin",
                STR_ARG(c->opts.task->sources[source].id), since.list[0]->what.ptr,
                STR_ARG(since.list[0]->place), STR_ARG(m->m.name.schema), STR_ARG(m->m.name.table));
        since_done(&since);
    }
    pthread_mutex_unlock(&c->mutex);
    pthread_mutex_unlock(&start->mutex);
    return ok;
}

bool catalog_start_point(Catalog *c, uint32_t source, Conn *conn, StreamPoint *out, Err *err)
{
    const SourceConfig *config = &c->opts.task->sources[source];
    CatalogStart *start = &c->starts[source];
    Arena arena = {0};
    StoreStart stored = {0};
    Found none = {0};
    bool found = false;
    *out = (StreamPoint){0};
    bool ok = store_start_get(c->opts.store, config->id, &arena, &stored, &found, err);
    if (ok && found && stored.final) {
        ok = point_parse(stored.point_json, out, err);
    } else if (ok) {
        if (start->known && !start->moves)
            point_copy(out, &start->point);
        else
            ok = start_is_given(c->opts.task, config) ? start_given(config, conn, out, err)
                                                      : start_present(config, conn, out, err);
        if (ok && start->known && start->moves) ok = still_true(c, source, out, err);
        ok = ok && keep(c, source, out, true, &none, err);
    }
    arena_done(&arena);
    return ok;
}

/* -- tables that the binlog shows first -- */

static bool unknown(Catalog *c, uint32_t source, TableName name, const StreamPoint *at, Err *err)
{
    StrBuf remedy = {0}, point = {0};
    Str id = c->opts.task->sources[source].id;
    Since since = changes_since(c, source, &c->starts[source].scout, at, name);
    Str sql = since.n ? since.list[0]->query.sql : STR("a statement");
    Str place = since.n ? since.list[0]->place : STR("a place that was not looked at");
    point_format_human(at, &point);
    sb_printf(
        &remedy,
        "stop the task; give the definition that it had there: shardmerge schema TASK.yaml --source " STR_FMT
        " --table " STR_FMT "." STR_FMT " --set FILE --yes; start again",
        STR_ARG(id), STR_ARG(name.schema), STR_ARG(name.table));
    err_set_remedy(err, ERR_TRACK_START, remedy.ptr,
                   "source " STR_FMT ": table " STR_FMT "." STR_FMT
                   ": what it looked like at %s is not known: " STR_FMT " at " STR_FMT " changed it since",
                   STR_ARG(id), STR_ARG(name.schema), STR_ARG(name.table),
                   point.ptr ? point.ptr : "the start", STR_ARG(sql), STR_ARG(place));
    since_done(&since);
    sb_done(&remedy);
    sb_done(&point);
    return false;
}

bool catalog_is_unknown(Catalog *c, uint32_t source, TableName name)
{
    StrBuf key = {0};
    catalog_member_key(source, name, &key);
    pthread_mutex_lock(&c->mutex);
    const CatalogMember *m = map_get(&c->members, sb_view(&key));
    bool yes = m && !m->schema;
    pthread_mutex_unlock(&c->mutex);
    sb_done(&key);
    return yes;
}

bool catalog_unknown(Catalog *c, uint32_t source, TableName name, const StreamPoint *at, Err *err)
{
    pthread_mutex_lock(&c->starts[source].mutex);
    unknown(c, source, name, at, err);
    pthread_mutex_unlock(&c->starts[source].mutex);
    return false;
}

static bool late_schema(Catalog *c, CatalogMember *m, Conn *conn, const StreamPoint *from,
                        const StreamPoint *at, TableSchema **out, char **why, Err *err)
{
    CatalogStart *start = &c->starts[m->m.source];
    Found f = found_new(1);
    found_add(&f, m);
    pthread_mutex_lock(&start->mutex);
    bool ok = read_from(c, m->m.source, conn, from, at, &f, err);
    if (ok && !f.schemas[0] && f.changed) ok = unknown(c, m->m.source, m->m.name, at, err);
    pthread_mutex_unlock(&start->mutex);
    *out = NULL;
    *why = NULL;
    if (ok) {
        *out = f.schemas[0];
        *why = f.why[0];
        f.schemas[0] = NULL;
        f.why[0] = NULL;
    }
    found_done(&f);
    return ok;
}

bool catalog_late_schema(Catalog *c, CatalogMember *m, Conn *conn, const StreamPoint *at, TableSchema **out,
                         char **why, Err *err)
{
    return late_schema(c, m, conn, at, at, out, why, err);
}

bool catalog_made_table(Catalog *c, uint32_t source, TableName name, const StreamPoint *before,
                        const StreamPoint *after, TableSchema **out, Err *err)
{
    CatalogMember m = {.m = {.source = source, .name = name}};
    Conn *conn = NULL;
    char *why = NULL;
    *out = NULL;
    bool ok = catalog_source_connect(c, source, NULL, &conn, err) &&
              late_schema(c, &m, conn, before, after, out, &why, err);
    if (ok && !*out) ok = catalog_unknown(c, source, name, after, err);
    conn_close(conn);
    free(why);
    return ok;
}

bool catalog_schema_collation(Catalog *c, uint32_t source, Str schema, char **out, Err *err)
{
    Conn *conn = NULL;
    StrBuf sql = {0};
    *out = NULL;
    sb_c(&sql, "SELECT DEFAULT_COLLATION_NAME FROM information_schema.SCHEMATA WHERE SCHEMA_NAME = ");
    sb_quoted(&sql, schema);
    bool ok =
        catalog_source_connect(c, source, NULL, &conn, err) && conn_scalar(conn, sb_view(&sql), out, err);
    conn_close(conn);
    sb_done(&sql);
    return ok;
}
