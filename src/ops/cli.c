#include "ops/cli.h"
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include "base/fault.h"
#include "db/conn.h"
#include "ops/check_verb.h"
#include "base/err_json.h"
#include "ops/conflicts_verb.h"
#include "ops/control.h"
#include "ops/docs.h"
#include "ops/events_verb.h"
#include "ops/finish_verb.h"
#include "ops/json_out.h"
#include "ops/locks_verb.h"
#include "ops/live.h"
#include "ops/options.h"
#include "ops/remote_verbs.h"
#include "ops/ddl_verb.h"
#include "ops/route_verb.h"
#include "ops/schema_verb.h"
#include "ops/run_verb.h"
#include "base/poison.h"

static void print(FILE *to, Str s)
{
    /* Nobody is left to tell when standard error cannot be written; for standard output the caller looks. */
    size_t ignored = fwrite(s.ptr, 1, s.len, to);
    (void)ignored;
}

/* What a verb answers. */
typedef struct Answer {
    StrBuf out;      /* for standard output */
    StrBuf problems; /* of the configuration, one a line */
    bool logged;     /* the error stands in the log already */
    bool streamed;   /* the answer went out line by line, with --json the error too */
} Answer;

static void answer_done(Answer *a)
{
    sb_done(&a->out);
    sb_done(&a->problems);
}

static void print_error(const Err *err, const CliOpts *opts, Answer *a)
{
    StrBuf *out = &a->out;
    Str problems = sb_view(&a->problems);
    CLEANUP(sb_done) StrBuf text = {0};
    if (problems.len)
        sb_str(&text, problems);
    else if (!a->logged)
        sb_printf(&text, "shardmerge: [SM-%d %s, %s] %s\n  what to do: %s\n", (int)err->code,
                  err_code_name(err->code), err_class_name(err_class(err)), err->message ? err->message : "",
                  err_remedy(err));
    print(stderr, sb_view(&text));
    if (!opts->json || out->len || a->streamed) return;
    json_t *o = json_pack("{s:b, s:o}", "ok", 0, "error", err_to_json(err));
    if (problems.len) {
        json_t *list = json_array();
        Str rest = problems;
        while (rest.len) {
            Str line = str_split(&rest, '\n');
            json_array_append_new(list, json_stringn(line.ptr, line.len));
        }
        json_object_set_new(o, "problems", list);
    }
    json_out(o, out);
    json_decref(o);
}

/* Does the verb connect to no server? It needs no passwords then. */
static bool is_offline(const CliOpts *opts)
{
    switch (opts->verb) {
    case VERB_RUN:
    case VERB_CHECK:
    case VERB_CONFLICTS:
    case VERB_FINISH:
    case VERB_EVENTS: return false;
    case VERB_DDL: return opts->decision != NULL;
    case VERB_ROUTE: return opts->tables != NULL;
    case VERB_SCHEMA: return !opts->set_file;
    default: return true; /* they talk to the running task, or to its folder */
    }
}

/* What the command line says wins over the task file. */
static void throttle(Task *task, const CliOpts *opts)
{
    if (opts->max_lag_ms >= 0) task->load.max_lag_ms = (unsigned)opts->max_lag_ms;
    if (opts->rows_per_second >= 0) task->load.rows_per_second = (uint64_t)opts->rows_per_second;
}

static int verb_with_task(const CliOpts *opts, Answer *a, Err *err)
{
    StrBuf *out = &a->out;
    TaskOpts task_opts = {.source_files = opts->source_files,
                          .n_source_files = opts->n_source_files,
                          .offline = is_offline(opts)};
    Task *task = NULL;
    int status = 0;
    if (!opts->state_dir && !task_load(opts->argument, &task_opts, &task, &a->problems, err))
        return err_exit_status(err);
    CLEANUP(sb_done) StrBuf dir = {0};
    if (opts->state_dir)
        sb_c(&dir, opts->state_dir);
    else
        sb_str(&dir, task->state_dir);
    switch (opts->verb) {
    case VERB_RUN:
        throttle(task, opts);
        status = run_verb(task, opts, out, err);
        a->logged = true;
        break;
    case VERB_EVENTS:
        a->streamed = true;
        status = events_verb(task, opts, err);
        break;
    case VERB_LOCKS: status = locks_verb(dir.ptr, opts, out, err); break;
    case VERB_SCHEMA: status = schema_verb(task, dir.ptr, opts, out, err); break;
    case VERB_DDL:
        status = opts->decision ? ddl_verb_decide(dir.ptr, opts, out, err) : ddl_verb(task, opts, out, err);
        break;
    case VERB_CHECK: status = check_verb(task, &(CheckOpts){.json = opts->json}, out, err); break;
    case VERB_ROUTE:
        status = route_verb(task,
                            &(RouteVerbOpts){.json = opts->json,
                                             .all = opts->all,
                                             .ddl = opts->ddl,
                                             .census = opts->census,
                                             .tables = opts->tables},
                            out, err);
        break;
    case VERB_CONFLICTS:
        if (opts->decision) {
            status = conflicts_decide(dir.ptr, opts, out, err);
            break;
        }
        status = conflicts_verb(task,
                                &(ConflictsOpts){.json = opts->json,
                                                 .show = opts->show,
                                                 .limit = opts->limit,
                                                 .color = isatty(STDOUT_FILENO) && live_color_wanted()},
                                out, err);
        break;
    case VERB_FINISH:
        status = finish_verb(task, dir.ptr,
                             &(FinishOpts){.json = opts->json,
                                           .yes = opts->yes,
                                           .force = opts->force,
                                           .color = isatty(STDOUT_FILENO) && live_color_wanted()},
                             out, err);
        break;
    case VERB_STATUS: status = status_verb(dir.ptr, opts, out, err); break;
    default: status = control_verb(dir.ptr, opts, out, err); break;
    }
    task_free(task);
    return status;
}

static int help_verb(const CliOpts *opts, StrBuf *out, Err *err)
{
    CliVerb verb;
    if (!opts->argument) {
        options_help(out);
        return 0;
    }
    if (!options_find_verb(str_of(opts->argument), &verb)) {
        err_set(err, ERR_USAGE, "no verb '%s'", opts->argument);
        return err_exit_status(err);
    }
    options_verb_help(verb, out);
    return 0;
}

static int dispatch(const CliOpts *opts, Answer *a, Err *err)
{
    StrBuf *out = &a->out;
    switch (opts->verb) {
    case VERB_HELP: return help_verb(opts, out, err);
    case VERB_VERSION:
        sb_printf(out, opts->json ? "{\"version\": \"%s\"}\n" : "shardmerge %s\n", SHARDMERGE_VERSION);
        return 0;
    case VERB_DOCS: return docs_page(opts->argument, out, err) ? 0 : err_exit_status(err);
    default: break;
    }
    log_init(2, opts->log_format, opts->log_level);
    if (!fault_init(err)) return err_exit_status(err);
    conn_library_init();
    int status;
    if (opts->verb == VERB_EVENTS && !opts->source_id) {
        a->streamed = true;
        status = events_verb(NULL, opts, err);
    } else
        status = verb_with_task(opts, a, err);
    conn_library_end();
    return status;
}

int cli_main(int argc, char **argv)
{
    CLEANUP(err_clear) Err err = {0};
    CLEANUP(options_done) CliOpts opts = {0};
    CLEANUP(answer_done) Answer answer = {0};
    signal(SIGPIPE, SIG_IGN); /* a closed pipe or socket is an error of its call, not a death */
    int status =
        options_parse(argc, argv, &opts, &err) ? dispatch(&opts, &answer, &err) : err_exit_status(&err);
    if (err_is_set(&err)) print_error(&err, &opts, &answer);
    print(stdout, sb_view(&answer.out));
    if (fflush(stdout) != 0 && status == 0) {
        fprintf(stderr, "shardmerge: standard output: %s\n", strerror(errno));
        status = 3;
    }
    if (argc < 2) {
        CLEANUP(sb_done) StrBuf help = {0};
        options_help(&help);
        print(stderr, sb_view(&help));
    }
    return status;
}
