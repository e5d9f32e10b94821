#include "ops/remote_verbs.h"
#include <pwd.h>
#include <stdlib.h>
#include <unistd.h>
#include "base/clock.h"
#include "ops/control.h"
#include "ops/json_out.h"
#include "ops/live.h"
#include "ops/status.h"
#include "base/poison.h"

enum {
    ANSWER_MS = 120 * 1000, /* the process may ask every source, each with its own connect time-out */
    POLL_MS = 300,
    FIRST_POLL_MS = 20,      /* --wait: doubled up to POLL_MS */
    STARTING_MS = 30 * 1000, /* pause and resume wait this long for a task that is starting */
    GONE_MS = 10 * 1000,     /* --wait: no process for this long ends the wait */
};

/* A task that was never started has no state yet, and that is an answer; a folder given by hand must have
 * one. */
static bool offline(const char *dir, bool must_exist, json_t **status, Err *err)
{
    Store *store = NULL;
    CLEANUP(err_clear) Err none = {0};
    if (!store_open(dir, true, &store, &none) && (must_exist || none.code != ERR_STORE_NONE)) {
        err_move(err, &none);
        return false;
    }
    bool ok = status_offline(store, NULL, status, err);
    store_close(store);
    return ok;
}

/* From the process, else from the folder. */
static bool fetch_status(const char *dir, const CliOpts *opts, json_t **status, Err *err)
{
    ControlCall call = {.dir = dir, .timeout_ms = ANSWER_MS};
    CLEANUP(err_clear) Err no_process = {0};
    json_t *reply = NULL;
    json_t *request = json_pack("{s:s, s:b}", "verb", "status", "ask", 1);
    bool ok = control_call(&call, request, &reply, &no_process);
    json_decref(request);
    if (ok) {
        *status = json_incref(json_object_get(reply, "status"));
        json_decref(reply);
        return *status || err_set(err, ERR_IO, "control socket: an answer without a status");
    }
    if (no_process.code == ERR_OPS_NOT_RUNNING) return offline(dir, opts->state_dir != NULL, status, err);
    err_move(err, &no_process);
    return false;
}

typedef enum WaitEnd { WAIT_GOES_ON, WAIT_REACHED, WAIT_FAILED } WaitEnd;

static WaitEnd judge(const json_t *status, int64_t *gone_since_ms, int64_t now_ms)
{
    if (json_is_true(json_object_get(status, "caught_up"))) return WAIT_REACHED;
    if (json_is_true(json_object_get(status, "running"))) {
        *gone_since_ms = now_ms;
        return status_has_problem(status) ? WAIT_FAILED : WAIT_GOES_ON;
    }
    return now_ms - *gone_since_ms > GONE_MS ? WAIT_FAILED : WAIT_GOES_ON;
}

/* *status: the last one seen, NULL when there was none. */
static WaitEnd wait_caught_up(const char *dir, const CliOpts *opts, json_t **status, Err *err)
{
    int64_t start_ms = clock_mono_ms(), gone_since_ms = start_ms, pause_ms = FIRST_POLL_MS;
    Waker never;
    waker_init(&never);
    WaitEnd end = WAIT_GOES_ON;
    while (end == WAIT_GOES_ON) {
        json_decref(*status);
        *status = NULL;
        bool answered = fetch_status(dir, opts, status, err);
        int64_t now_ms = clock_mono_ms();
        end = answered ? judge(*status, &gone_since_ms, now_ms) : WAIT_FAILED;
        if (opts->timeout_ms >= 0 && now_ms - start_ms >= opts->timeout_ms) break;
        if (end == WAIT_GOES_ON) waker_sleep(&never, pause_ms);
        pause_ms = MIN(pause_ms * 2, (int64_t)POLL_MS);
    }
    waker_done(&never);
    return end;
}

int status_verb(const char *dir, const CliOpts *opts, StrBuf *out, Err *err)
{
    json_t *status = NULL;
    WaitEnd end = WAIT_REACHED;
    if (opts->wait_caught_up)
        end = wait_caught_up(dir, opts, &status, err);
    else if (!fetch_status(dir, opts, &status, err))
        return err_exit_status(err);
    if (!status) return err_exit_status(err);
    if (opts->json)
        json_out(status, out);
    else
        status_text(status, isatty(STDOUT_FILENO) && live_color_wanted(), out);
    if (!opts->json && end == WAIT_GOES_ON) sb_c(out, "\nnot caught up: time is up\n");
    if (!opts->json && end == WAIT_FAILED) sb_c(out, "\nnot caught up: see the state above\n");
    bool good = opts->wait_caught_up ? end == WAIT_REACHED : !status_has_problem(status);
    json_decref(status);
    return good ? 0 : 1;
}

void who_asks(StrBuf *out)
{
    struct passwd entry, *found = NULL;
    char buf[1024];
    if (getpwuid_r(geteuid(), &entry, buf, sizeof buf, &found) == 0 && found)
        sb_c(out, entry.pw_name);
    else
        sb_printf(out, "uid %u", (unsigned)geteuid());
}

static bool call_when_started(const ControlCall *call, const json_t *request, Err *err)
{
    int64_t deadline_ms = clock_mono_ms() + STARTING_MS;
    bool ok = control_call(call, request, NULL, err);
    Waker never;
    waker_init(&never);
    while (!ok && err->code == ERR_OPS_STARTING && clock_mono_ms() < deadline_ms) {
        waker_sleep(&never, POLL_MS);
        err_clear(err);
        ok = control_call(call, request, NULL, err);
    }
    waker_done(&never);
    return ok;
}

int control_verb(const char *dir, const CliOpts *opts, StrBuf *out, Err *err)
{
    const char *verb = options_verb_name(opts->verb);
    bool whole_stop = opts->verb == VERB_STOP && !opts->source_id;
    if (opts->verb == VERB_STOP && !whole_stop) verb = options_verb_name(VERB_PAUSE);
    CLEANUP(sb_done) StrBuf by = {0};
    who_asks(&by);
    ControlCall call = {.dir = dir, .timeout_ms = ANSWER_MS, .until_end = whole_stop};
    json_t *request = json_pack("{s:s, s:s?, s:s}", "verb", verb, "source", opts->source_id, "by", by.ptr);
    bool ok = call_when_started(&call, request, err);
    json_decref(request);
    if (!ok) return err_exit_status(err);
    if (opts->json)
        sb_c(out, "{\"ok\": true}\n");
    else if (whole_stop)
        sb_c(out, "stopped\n");
    else
        sb_printf(out, "%sd %s\n", verb, opts->source_id ? opts->source_id : "all sources");
    return 0;
}
