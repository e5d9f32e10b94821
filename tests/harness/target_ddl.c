/* Changes of a target by the real journal, for tests/e2e/test_target_ddl.py: one plan against a live server,
 * with fault points. target_ddl KEY=VALUE… verb=start            makes the meta schema, takes the task over;
 * prints its epoch verb=run              epoch job schema table; the plan leads from the definition of `base`
 * to that of `want`, tables of the same schema ("": no table), or is the one statement `sql` that does so
 *   verb=history|pending  prints the journal
 *   verb=skip             epoch job schema table
 * The server: socket, and host and port when run goes another way; user, password. meta, task. rows: what
 * happens to rows. settle: what a step that moves rows asks of the server; settled=1: such a step comes
 * first. dialect=tidb. retry=0: an error in passing ends the run. Prints progress and at the end "ok", or
 * "error NAME CLASS MESSAGE" and "remedy …". SIGTERM cancels. */
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include "apply/target_ddl.h"
#include "base/check.h"
#include "base/fault.h"
#include "db/schema_read.h"
#include "base/poison.h"

typedef struct Tool {
    char **args;
    SessionOpts session;
    MetaTask meta;
    Waker wake;
    TextOpts text;
    TableSchema *base, *want;
    uint32_t *columns;
    EmitPlan plan;
    pthread_mutex_t out; /* progress comes from any thread */
} Tool;

static const char *arg(const Tool *t, const char *key, const char *otherwise)
{
    for (char **a = t->args; *a; a++)
        if (strncmp(*a, key, strlen(key)) == 0 && (*a)[strlen(key)] == '=') return *a + strlen(key) + 1;
    return otherwise;
}

static uint64_t number(const Tool *t, const char *key)
{
    uint64_t n = 0;
    CHECK(str_to_u64(str_of(arg(t, key, "0")), &n), "an argument is no number");
    return n;
}

static TableName table(const Tool *t, const char *key)
{
    return (TableName){str_of(arg(t, "schema", "")), str_of(arg(t, key, ""))};
}

/* -- the plan -- */

static bool definition(Tool *t, Conn *c, const char *key, TableSchema **out, Err *err)
{
    *out = NULL;
    if (!*arg(t, key, "")) return true;
    if (!schema_read(c, table(t, key), out, err)) return false;
    if (!*out) return err_set(err, ERR_BUG, "no table for %s", key);
    (*out)->name = table(t, "table");
    return true;
}

/* "10.11.14-MariaDB…" → 101114 */
static uint32_t version_number(const char *text)
{
    unsigned a = 0, b = 0, c = 0;
    CHECK(sscanf(text, "%u.%u.%u", &a, &b, &c) == 3, "the server's version");
    return a * 10000 + b * 100 + c;
}

static bool single_step(Tool *t, Str sql, bool repeatable)
{
    t->plan.steps = arena_array(&t->plan.arena, EmitStep, 1);
    t->plan.steps[0] = (EmitStep){.sql = arena_str(&t->plan.arena, sql),
                                  .after = t->want ? schema_copy(t->want) : NULL,
                                  .repeatable = repeatable};
    t->plan.n = t->plan.cap = 1;
    return true;
}

static bool make_plan(Tool *t, Conn *c, Err *err)
{
    if (!definition(t, c, "base", &t->base, err) || !definition(t, c, "want", &t->want, err)) return false;
    const char *version = conn_server_version(c), *dialect = arg(t, "dialect", "");
    bool mariadb = strstr(version, "MariaDB") != NULL, tidb = strcmp(dialect, "tidb") == 0;
    t->text = (TextOpts){.dialect = tidb      ? DIALECT_TIDB
                                    : mariadb ? DIALECT_MARIADB
                                              : DIALECT_MYSQL,
                         .version = tidb ? 0 : version_number(version)};
    if (*arg(t, "sql", "")) return single_step(t, str_of(arg(t, "sql", "")), number(t, "repeatable"));
    if (!t->base) {
        CLEANUP(sb_done) StrBuf sql = {0};
        return schema_emit_create(t->want, &t->text, &sql, err) && single_step(t, sb_view(&sql), false);
    }
    const TableSchema *to = t->want ? t->want : t->base;
    t->columns = mem_zalloc(sizeof *t->columns * (to->n_columns + 1));
    for (uint32_t i = 0; i < to->n_columns; i++)
        t->columns[i] = schema_column(t->base, to->columns[i].name);
    EmitChange change = {.from = t->base,
                         .to = to,
                         .columns = t->columns,
                         .rows = str_of(arg(t, "rows", "")),
                         .drop = !t->want};
    if (number(t, "settled")) {
        static const TableName none = {{0}, {0}};
        EmitPlan change_plan = {0};
        bool ok = schema_emit_change(&change, &t->text, &change_plan, err);
        emit_plan_add(&t->plan, none, STR(TARGET_DDL_SETTLE), schema_copy(t->base), true);
        if (ok) emit_plan_append(&t->plan, none, &change_plan);
        emit_plan_done(&change_plan);
        return ok;
    }
    return schema_emit_change(&change, &t->text, &t->plan, err);
}

/* -- verbs -- */

static void progress(void *ctx, const TargetDdlProgress *p)
{
    static const char *const names[] = {"connecting", "waiting-lock", "waiting-job",
                                        "running",    "retrying",     "finished"};
    Tool *t = ctx;
    pthread_mutex_lock(&t->out);
    printf("%s %u/%u connection=%llu percent=%d %s\n", names[p->phase], p->done, p->steps,
           (unsigned long long)p->connection, p->percent, p->why ? p->why->message : "");
    fflush(stdout);
    pthread_mutex_unlock(&t->out);
}

/* Stands for rows that are moved: many short statements, for as long as the server says so. */
static bool settle(void *ctx, Conn *c, const Dialect *d, Err *err)
{
    const Tool *t = ctx;
    char *more = NULL;
    bool ok = true;
    (void)d;
    do {
        free(more);
        more = NULL;
        ok = conn_scalar(c, str_of(arg(t, "settle", "")), &more, err);
    } while (ok && more && strcmp(more, "0") != 0);
    free(more);
    return ok;
}

static bool run(Tool *t, Conn *c, Err *err)
{
    if (!make_plan(t, c, err)) return false;
    TargetDdlJob j = {.meta = t->meta,
                      .epoch = number(t, "epoch"),
                      .session = t->session,
                      .job = number(t, "job"),
                      .target = table(t, "table"),
                      .before = t->base,
                      .plan = &t->plan,
                      .settle = settle,
                      .settle_ctx = t,
                      .wake = strcmp(arg(t, "retry", "1"), "0") == 0 ? NULL : &t->wake,
                      .watch_ms = (unsigned)number(t, "watch"),
                      .progress = progress,
                      .ctx = t};
    return target_ddl_run(&j, err);
}

static bool start(Tool *t, Conn *c, const Dialect *d, Err *err)
{
    Arena arena = {0};
    MetaStart out;
    char *known = NULL;
    StrBuf sql = {0};
    bool ok = meta_create(c, &t->meta, err);
    sb_printf(&sql, "SELECT COUNT(*) FROM `%s`.sm_task WHERE task = '%s'", arg(t, "meta", ""),
              arg(t, "task", ""));
    ok = ok && conn_scalar(c, sb_view(&sql), &known, err);
    MetaStartOpts o = {.task = &t->meta, .n_appliers = 1, .state_is_new = ok && strcmp(known, "0") == 0};
    ok = ok && meta_start(c, d, &o, &arena, &out, err);
    if (ok) printf("%llu\n", (unsigned long long)out.epoch);
    free(known);
    sb_done(&sql);
    arena_done(&arena);
    return ok;
}

static bool history(Tool *t, Conn *c, Err *err)
{
    Arena arena = {0};
    TargetDdlRow *rows;
    size_t n;
    bool ok = target_ddl_history(c, &t->meta, number(t, "limit"), &arena, &rows, &n, err);
    for (size_t i = 0; ok && i < n; i++)
        printf("%llu.%u " STR_FMT " attempts=%u epoch=%llu before=%d after=%d ended=%d " STR_FMT "\n",
               (unsigned long long)rows[i].job, rows[i].n, STR_ARG(rows[i].state), rows[i].attempts,
               (unsigned long long)rows[i].epoch, rows[i].before.ptr != NULL, rows[i].after.ptr != NULL,
               rows[i].ended.len > 0, STR_ARG(rows[i].statement));
    arena_done(&arena);
    return ok;
}

static bool pending(Tool *t, Conn *c, Err *err)
{
    Arena arena = {0};
    TargetDdlPending *jobs;
    size_t n;
    bool ok = target_ddl_pending(c, &t->meta, &arena, &jobs, &n, err);
    for (size_t i = 0; ok && i < n; i++)
        printf("%llu " STR_FMT "." STR_FMT "\n", (unsigned long long)jobs[i].job,
               STR_ARG(jobs[i].target.schema), STR_ARG(jobs[i].target.table));
    arena_done(&arena);
    return ok;
}

static bool skip(Tool *t, Conn *c, const Dialect *d, Err *err)
{
    TargetDdlSkip s = {.meta = t->meta,
                       .epoch = number(t, "epoch"),
                       .job = number(t, "job"),
                       .target = table(t, "table"),
                       .wait_s = (unsigned)number(t, "wait")};
    uint32_t n;
    if (!target_ddl_skip(c, d, &s, &n, err)) return false;
    printf("%u\n", n);
    return true;
}

static bool dispatch(Tool *t, Err *err)
{
    Conn *c;
    Dialect d;
    const char *verb = arg(t, "verb", "");
    SessionOpts own = t->session; /* what is not tested goes straight to the server */
    if (*arg(t, "socket", "")) own.conn.socket = arg(t, "socket", "");
    own.conn.read_timeout_s = 60; /* a machine under load is no reason to fail */
    if (!session_open(&own, &c, &d, err)) return false;
    bool ok = false;
    if (strcmp(verb, "start") == 0)
        ok = start(t, c, &d, err);
    else if (strcmp(verb, "run") == 0)
        ok = run(t, c, err);
    else if (strcmp(verb, "history") == 0)
        ok = history(t, c, err);
    else if (strcmp(verb, "pending") == 0)
        ok = pending(t, c, err);
    else if (strcmp(verb, "skip") == 0)
        ok = skip(t, c, &d, err);
    else
        err_set(err, ERR_USAGE, "verb");
    conn_close(c);
    return ok;
}

static void *wait_for_term(void *ctx)
{
    Tool *t = ctx;
    sigset_t set;
    int got;
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    if (sigwait(&set, &got) == 0) {
        conn_cancel_fire(t->session.conn.cancel);
        waker_wake(&t->wake);
    }
    return NULL;
}

int main(int argc, char **argv)
{
    (void)argc;
    Tool t = {.args = argv + 1};
    Err err = {0};
    sigset_t set;
    pthread_t thread;
    conn_library_init();
    waker_init(&t.wake);
    pthread_mutex_init(&t.out, NULL);
    t.meta = (MetaTask){str_of(arg(&t, "meta", "")), str_of(arg(&t, "task", "")),
                        "11111111-2222-3333-4444-555555555555"};
    t.session.conn =
        (ConnOpts){.role = "downstream",
                   .host = arg(&t, "host", NULL),
                   .port = (unsigned)number(&t, "port"),
                   .socket = number(&t, "port") ? NULL : arg(&t, "socket", NULL),
                   .user = arg(&t, "user", ""),
                   .password = arg(&t, "password", ""),
                   .connect_timeout_s = 5,
                   .read_timeout_s = 3, /* as an applier's: no statement of the journal may end by it */
                   .cancel = conn_cancel_new()};
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    CHECK(pthread_sigmask(SIG_BLOCK, &set, NULL) == 0 &&
              pthread_create(&thread, NULL, wait_for_term, &t) == 0,
          "thread");
    bool ok = fault_init(&err) && dispatch(&t, &err);
    if (ok)
        printf("ok\n");
    else
        printf("error %s %s %s\nremedy %s\n", err_code_name(err.code), err_class_name(err_class(&err)),
               err.message, err_remedy(&err));
    kill(getpid(), SIGTERM);
    pthread_join(thread, NULL);
    err_clear(&err);
    emit_plan_done(&t.plan);
    free(t.columns);
    schema_free(t.base);
    schema_free(t.want);
    conn_cancel_free(t.session.conn.cancel);
    waker_done(&t.wake);
    conn_library_end();
    return ok ? 0 : 1;
}
