#include "ops/check_verb.h"
#include "apply/session.h"
#include "ops/check_server.h"
#include "pipeline/catalog.h"
#include "base/poison.h"

enum { CONNECT_TIMEOUT_S = 10, READ_TIMEOUT_S = 120 };

static ConnOpts conn_opts(Arena *arena, const Endpoint *e, Str role)
{
    return (ConnOpts){.role = arena_str(arena, role).ptr,
                      .host = arena_str(arena, e->host).ptr,
                      .port = e->port,
                      .socket = e->socket.len ? arena_str(arena, e->socket).ptr : NULL,
                      .user = arena_str(arena, e->user).ptr,
                      .password = arena_str(arena, e->password).ptr,
                      .tls = e->tls,
                      .connect_timeout_s = CONNECT_TIMEOUT_S,
                      .read_timeout_s = READ_TIMEOUT_S,
                      .write_timeout_s = READ_TIMEOUT_S};
}

static void check_sources(CheckReport *r, const Task *task, CheckedSource *sources)
{
    for (size_t i = 0; i < task->n_sources; i++) {
        CheckedSource *s = &sources[i];
        Err err = {0};
        s->config = &task->sources[i];
        s->copies = task->mode != TASK_MODE_INCREMENTAL;
        check_where(r, "source " STR_FMT, STR_ARG(s->config->id));
        ConnOpts opts = conn_opts(&r->arena, &s->config->from, r->where);
        if (conn_open(&opts, &s->conn, &err))
            check_source(r, s);
        else {
            endpoint_hint(&s->config->from, &err);
            check_add_err(r, CHECK_FAIL, &err);
        }
    }
    for (size_t i = 0; i < task->n_sources; i++)
        for (size_t j = 0; j < i; j++) {
            if (!sources[i].identity.len || !str_eq(sources[i].identity, sources[j].identity)) continue;
            check_where(r, "source " STR_FMT, STR_ARG(sources[i].config->id));
            check_add(r, CHECK_WARN, "merge the two sources into one: each reads the whole binlog",
                      "is the same server as source " STR_FMT, STR_ARG(sources[j].config->id));
        }
}

/* The session that appliers use, so that what they pin is known to stick. */
static Conn *open_downstream(CheckReport *r, const Task *task, Dialect *dialect)
{
    Err err = {0};
    Conn *c = NULL;
    check_where(r, "downstream");
    SessionVarText *vars = arena_array(&r->arena, SessionVarText, task->target.n_session + 1);
    for (size_t i = 0; i < task->target.n_session; i++)
        vars[i] = (SessionVarText){task->target.session[i].name, task->target.session[i].value};
    SessionOpts opts = {.conn = conn_opts(&r->arena, &task->target, STR("downstream")),
                        .vars = vars,
                        .n_vars = task->target.n_session};
    if (!session_open(&opts, &c, dialect, &err)) {
        endpoint_hint(&task->target, &err);
        check_add_err(r, CHECK_FAIL, &err);
        return NULL;
    }
    check_downstream(r, task, c, dialect->is_tidb);
    return c;
}

/* Keys that say something and change nothing. */
static void check_idle_keys(CheckReport *r, const Task *task)
{
    if (!task->timezone.len) return;
    check_where(r, "task");
    check_add(r, CHECK_NOTE, NULL,
              "timezone: " STR_FMT " has no effect: every session runs at +00:00, so a TIMESTAMP is the same "
              "instant on both sides",
              STR_ARG(task->timezone));
}

int check_verb(const Task *task, const CheckOpts *opts, StrBuf *out, Err *err)
{
    CheckReport r = {0};
    Dialect dialect = {0};
    CheckedSource *sources = arena_array(&r.arena, CheckedSource, task->n_sources);
    check_idle_keys(&r, task);
    check_sources(&r, task, sources);
    Conn *target = open_downstream(&r, task, &dialect);
    CheckTables tables = {task, sources, target, dialect.is_tidb, dialect.is_mariadb};
    bool ok = check_tables(&r, &tables, err);
    int status = !ok ? err_exit_status(err) : r.counts[CHECK_FAIL] ? 1 : 0;
    if (opts->json)
        check_report_json(&r, task->name, out);
    else
        check_report_human(&r, task->name, out);
    for (size_t i = 0; i < task->n_sources; i++) {
        vars_done(&sources[i].vars);
        conn_close(sources[i].conn);
    }
    conn_close(target);
    check_report_done(&r);
    return status;
}
