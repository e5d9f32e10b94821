#include "pipeline/schema_check.h"
#include <stdlib.h>
#include "db/schema_read.h"
#include "db/server.h"
#include "pipeline/catalog.h"
#include "pipeline/ddl_impl.h"
#include "pipeline/scout.h"
#include "track/schema_fingerprint.h"
#include "track/schema_json.h"
#include "track/step_json.h"
#include "base/poison.h"

static bool open_source(const Task *task, uint32_t source, Conn **out, Flavor *flavor, Err *err)
{
    const SourceConfig *s = &task->sources[source];
    ConnOpts opts;
    endpoint_conn(&s->from, s->id.ptr, &opts);
    opts.read_timeout_s = 30;
    if (!conn_open(&opts, out, err)) {
        endpoint_hint(&s->from, err);
        return false;
    }
    return server_detect_flavor(*out, flavor, err);
}

static bool make_table(Conn *conn, Flavor flavor, TableName name, Str sql, TableSchema **out, Err *err)
{
    Arena arena = {0};
    DdlStmt *stmt;
    SchemaStep *step = NULL;
    char *version = NULL, *collation = NULL;
    StrBuf ask = {0};
    sb_c(&ask, "SELECT DEFAULT_COLLATION_NAME FROM information_schema.SCHEMATA WHERE SCHEMA_NAME = ");
    sb_quoted(&ask, name.schema);
    bool ok = conn_scalar(conn, STR("SELECT VERSION()"), &version, err) &&
              conn_scalar(conn, sb_view(&ask), &collation, err);
    DdlContext parse = {.flavor = flavor,
                        .version = version ? ddl_server_version(str_of(version)) : 0,
                        .default_schema = name.schema};
    ApplyContext apply = {.flavor = flavor,
                          .version = parse.version,
                          .schema_collation = collation ? str_of(collation) : (Str){0},
                          .text = sql};
    ok = ok && ddl_parse(sql, &parse, &arena, &stmt, err);
    if (ok && (stmt->kind != DDL_CREATE_TABLE || stmt->like || stmt->as_select))
        ok = err_set(err, ERR_USAGE, "the file holds no CREATE TABLE with columns of its own");
    ok = ok && schema_apply(NULL, stmt, &apply, out, &step, err);
    if (ok)
        (*out)->name =
            (TableName){arena_str(&(*out)->arena, name.schema), arena_str(&(*out)->arena, name.table)};
    schema_step_free(step);
    arena_done(&arena);
    free(version);
    free(collation);
    sb_done(&ask);
    return ok;
}

bool schema_given(const Task *task, uint32_t source, TableName name, Str sql, TableSchema **given, Err *err)
{
    Conn *conn = NULL;
    Flavor flavor = FLAVOR_UNKNOWN;
    *given = NULL;
    bool ok = open_source(task, source, &conn, &flavor, err) &&
              make_table(conn, flavor, name, str_trim(sql), given, err);
    conn_close(conn);
    return ok;
}

static bool is_table(void *ctx, uint32_t source, TableName name)
{
    const TableName *t = ctx;
    (void)source;
    return str_ieq(t->schema, name.schema) && str_ieq(t->table, name.table);
}

static bool is_schema(void *ctx, uint32_t source, Str schema)
{
    (void)source;
    return str_ieq(((const TableName *)ctx)->schema, schema);
}

/* The statements applied one after the other; NULL: one does not fit, as words say. */
static TableSchema *lead(Flavor flavor, const TableSchema *given, const Scout *scout, const StreamPoint *at,
                         StrBuf *words)
{
    TableSchema *now = schema_copy(given);
    size_t iter = 0;
    for (const ScoutChange *c; now && (c = scout_next(scout, at, given->name, &iter));) {
        DdlEvent e;
        SchemaStep *step = NULL;
        LockStepKind kind;
        Err err = {0};
        scout_event(c, at, &e);
        sb_printf(words, "since then, at " STR_FMT ": " STR_FMT "\n", STR_ARG(c->place),
                  STR_ARG(c->query.sql));
        bool ok = ddl_make_step(flavor, now, given->name, &e, &step, &kind, &err);
        if (!ok) sb_printf(words, "this does not fit the definition: %s\n", err.message);
        err_clear(&err);
        if (ok && !step) continue;
        schema_free(now);
        now = ok && step->after ? schema_copy(step->after) : NULL;
        if (ok && !now) sb_c(words, "it is not there any more\n");
        step_free(step);
    }
    return now;
}

bool schema_check(const Task *task, uint32_t source, const TableSchema *given, const StreamPoint *at,
                  StrBuf *words, bool *shown, Err *err)
{
    Conn *conn = NULL;
    Flavor flavor = FLAVOR_UNKNOWN;
    TableSchema *live = NULL, *now = NULL;
    StreamPoint end = {0};
    Scout scout = {0};
    TableName name = given->name;
    ScoutOpts opts = {.config = &task->sources[source],
                      .source = source,
                      .ctx = &name,
                      .routed = is_table,
                      .schema_routed = is_schema};
    *shown = false;
    bool ok = open_source(task, source, &conn, &flavor, err) && schema_read(conn, name, &live, err) &&
              server_current_point(conn, flavor, &end, err) && scout_look(&scout, &opts, at, &end, err);
    if (ok) now = lead(flavor, given, &scout, at, words);
    if (ok && now && !live) sb_c(words, "the table is not on the server any more\n");
    if (now && live) {
        *shown = schema_same_fingerprint(now, live);
        if (!*shown && !schema_diff(now, "it would be", live, "it is", words))
            sb_c(words, "it is not what this leads to, in comments, options or the order of columns\n");
    }
    schema_free(now);
    schema_free(live);
    scout_done(&scout);
    point_done(&end);
    conn_close(conn);
    return ok;
}
