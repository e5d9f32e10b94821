#include "ops/ddl_verb.h"
#include <jansson.h>
#include <stdlib.h>
#include "apply/target_ddl.h"
#include "ops/json_out.h"
#include "ops/locks_verb.h"
#include "pipeline/catalog.h"
#include "base/poison.h"

enum { SHOWN = 100 };

static json_t *text(Str s)
{
    json_t *o = s.len ? json_stringn(s.ptr, s.len) : NULL;
    return o ? o : json_null();
}

static bool is_wanted(const CliOpts *opts, TableName target)
{
    CLEANUP(sb_done) StrBuf name = {0};
    table_name_plain(target, &name);
    return !opts->target || str_eqc(sb_view(&name), opts->target);
}

/* What the statement was to change, in words: the lines that differ between the two fingerprints. */
static json_t *change_json(const TargetDdlRow *r)
{
    CLEANUP(sb_done) StrBuf words = {0};
    if (!r->before.ptr)
        sb_c(&words, "the table is made");
    else if (!r->after.ptr)
        sb_c(&words, "the table goes");
    else
        target_ddl_change(r->before, r->after, &words);
    return text(sb_view(&words));
}

static json_t *row_json(const TargetDdlRow *r)
{
    json_t *o = json_object();
    json_object_set_new(o, "job", json_integer((json_int_t)r->job));
    json_object_set_new(o, "n", json_integer(r->n));
    json_object_set_new(o, "schema", text(r->target.schema));
    json_object_set_new(o, "table", text(r->target.table));
    json_object_set_new(o, "statement", text(r->statement));
    json_object_set_new(o, "state", text(r->state));
    json_object_set_new(o, "change", change_json(r));
    json_object_set_new(o, "error", text(r->error));
    json_object_set_new(o, "attempts", json_integer(r->attempts));
    json_object_set_new(o, "repeatable", json_boolean(r->repeatable));
    json_object_set_new(o, "planned", text(r->planned));
    json_object_set_new(o, "started", text(r->started));
    json_object_set_new(o, "ended", text(r->ended));
    return o;
}

static void put_row(const TargetDdlRow *r, StrBuf *out)
{
    bool times = r->started.len > 0;
    sb_printf(out, STR_FMT "." STR_FMT ": " STR_FMT "\n  " STR_FMT, STR_ARG(r->target.schema),
              STR_ARG(r->target.table), STR_ARG(r->statement), STR_ARG(r->state));
    if (times) sb_printf(out, ", started " STR_FMT " UTC", STR_ARG(r->started));
    if (r->ended.len) sb_printf(out, ", ended " STR_FMT, STR_ARG(r->ended));
    if (!times) sb_printf(out, ", planned " STR_FMT " UTC", STR_ARG(r->planned));
    if (r->attempts > 1) sb_printf(out, ", sent %u times", r->attempts);
    sb_printf(out, " (job %llu, statement %u)\n", (unsigned long long)r->job, r->n + 1);
    if (r->error.len) sb_printf(out, "  error: " STR_FMT "\n", STR_ARG(r->error));
}

/* Newest first: numbers of jobs rise within one target only. */
static int newest_first(const void *x, const void *y)
{
    const TargetDdlRow *a = x, *b = y;
    int order = str_cmp(b->planned, a->planned);
    if (order) return order;
    if (a->job != b->job) return a->job < b->job ? 1 : -1;
    return a->n < b->n ? 1 : -1;
}

static bool has_failed(const TargetDdlRow *r)
{
    return !str_eqc(r->state, "done") && !str_eqc(r->state, "skipped") && r->error.len;
}

int ddl_verb(const Task *task, const CliOpts *opts, StrBuf *out, Err *err)
{
    Arena arena = {0};
    Conn *conn = NULL;
    Dialect dialect;
    SessionOpts session;
    SessionVarText *vars = arena_array(&arena, SessionVarText, task->target.n_session + 1);
    MetaTask meta = {.schema = task->meta_schema, .task = task->name};
    TargetDdlRow *rows = NULL;
    size_t n = 0, shown = 0, limit = opts->limit ? (size_t)opts->limit : SHOWN;
    json_t *list = json_array();
    target_session(task, vars, &session);
    bool ok = session_open(&session, &conn, &dialect, err);
    if (!ok) endpoint_hint(&task->target, err);
    ok = ok && target_ddl_history(conn, &meta, 0, &arena, &rows, &n, err);
    if (ok && n) qsort(rows, n, sizeof *rows, newest_first);
    bool failed = false;
    for (size_t i = 0; ok && i < n && shown < limit; i++) {
        if (!is_wanted(opts, rows[i].target)) continue;
        shown++;
        failed |= has_failed(&rows[i]);
        if (opts->json)
            json_array_append_new(list, row_json(&rows[i]));
        else
            put_row(&rows[i], out);
    }
    if (ok && opts->json) json_out(list, out);
    if (ok && !opts->json && !shown) sb_c(out, "no statement has changed a target\n");
    if (ok && !opts->json && failed)
        sb_c(
            out,
            "when the cause is gone: shardmerge ddl TASK.yaml --target SCHEMA.TABLE --decide retry --yes; to "
            "take the target as it is: --decide skip\n");
    json_decref(list);
    conn_close(conn);
    arena_done(&arena);
    return ok ? failed : err_exit_status(err);
}

int ddl_verb_decide(const char *dir, const CliOpts *opts, StrBuf *out, Err *err)
{
    if (!strcmp(opts->decision, "retry")) return locks_decide(dir, opts, "retry", out, err);
    if (!strcmp(opts->decision, "skip")) return locks_decide(dir, opts, "give-up", out, err);
    err_set(err, ERR_USAGE, "no decision '%s' about a statement of the target; there are retry and skip",
            opts->decision);
    return err_exit_status(err);
}
