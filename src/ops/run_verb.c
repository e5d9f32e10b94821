#include "ops/run_verb.h"
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <unistd.h>
#include "base/check.h"
#include "base/clock.h"
#include "base/err_json.h"
#include "ops/control.h"
#include "ops/json_out.h"
#include "ops/live.h"
#include "ops/rates.h"
#include "ops/status.h"
#include "pipeline/pipeline.h"
#include "base/poison.h"

enum {
    PAGE_MS = 500,
    PROGRESS_MS = 10000,
    START_GRACE_MS = 3000, /* a start that is asked to stop may hang on a server for this long */
};

/* Three threads: main (starts and waits for the pipeline), control (answers requests), watch (signals, page,
 * progress). The pipeline outlives the other two. */
typedef struct Run {
    const CliOpts *opts;
    Store *store;
    pthread_mutex_t mutex;
    Pipeline *pipeline; /* guarded by mutex; NULL while starting */
    bool stop_asked;    /* guarded by mutex */
    int64_t give_up_ms; /* watch's: when a start that was asked to stop is cut short; 0 = not */
    sigset_t signals;
    int signal_fd, wake_fd, stop_fd; /* stop_fd: a stop has been asked for */
    pthread_t watch;
    Live *live;  /* watch's after start; NULL: progress lines */
    Rates rates; /* watch's */
} Run;

static Pipeline *pipeline_of(Run *r)
{
    pthread_mutex_lock(&r->mutex);
    Pipeline *p = r->pipeline;
    pthread_mutex_unlock(&r->mutex);
    return p;
}

static json_t *status_now(Run *r, bool ask)
{
    Pipeline *p = pipeline_of(r);
    json_t *status = NULL;
    CLEANUP(err_clear) Err err = {0};
    if (p)
        status = pipeline_status(p, ask);
    else if (!status_offline(r->store, "starting", &status, &err))
        status = json_pack("{s:s, s:o}", "state", "starting", "error", err_to_json(&err));
    json_object_set_new(status, "running", json_true());
    json_object_set_new(status, "pid", json_integer(getpid()));
    json_object_set_new(status, "version", json_string(SHARDMERGE_VERSION));
    return status;
}

/* ---- requests
 * ------------------------------------------------------------------------------------------------ */

/* The clean stop, once; before the pipeline runs it is remembered. */
static void ask_stop(Run *r, const char *by)
{
    pthread_mutex_lock(&r->mutex);
    bool first = !r->stop_asked;
    r->stop_asked = true;
    Pipeline *p = r->pipeline;
    pthread_mutex_unlock(&r->mutex);
    if (first) log_write(LOGEV_TASK_STOPPING, LOG_S("by", by));
    if (first && p) pipeline_request_stop(p);
    if (first) CHECK(eventfd_write(r->stop_fd, 1) == 0, "wake the watch thread");
}

static bool request_pause(Run *r, const json_t *request, bool pause, Err *err)
{
    const char *source = json_string_value(json_object_get(request, "source"));
    const char *by = json_string_value(json_object_get(request, "by"));
    Pipeline *p = pipeline_of(r);
    if (!p) return err_set(err, ERR_OPS_STARTING, "the task is still starting");
    Str who = by ? str_of(by) : STR("operator");
    return pause ? pipeline_pause(p, source, who, err) : pipeline_resume(p, source, who, err);
}

static const char *asked(const json_t *request, const char *key)
{
    return json_string_value(json_object_get(request, key));
}

/* NULL: *err tells. */
static json_t *request_locks(Run *r, const json_t *request, bool decide, Err *err)
{
    Pipeline *p = pipeline_of(r);
    if (!p) {
        err_set(err, ERR_OPS_STARTING, "the task is starting");
        return NULL;
    }
    if (!decide)
        return json_pack("{s:b, s:o}", "ok", 1, "locks", pipeline_locks(p, asked(request, "target")));
    const json_t *sql = json_object_get(request, "sql"), *one;
    const char **texts = mem_zalloc((json_array_size(sql) + 1) * sizeof *texts);
    size_t i;
    PipelineDecision d = {.decision = asked(request, "decision"),
                          .target = asked(request, "target"),
                          .source = asked(request, "source"),
                          .table = asked(request, "table"),
                          .by = asked(request, "by"),
                          .preview = !json_is_false(json_object_get(request, "preview"))};
    d.sql = texts;
    json_array_foreach(sql, i, one) if (json_is_string(one)) texts[d.n_sql++] = json_string_value(one);
    StrBuf words = {0};
    bool ok = pipeline_decide(p, &d, &words, err);
    free(texts);
    json_t *reply =
        ok ? json_pack("{s:b, s:s%}", "ok", 1, "words", words.ptr ? words.ptr : "", words.len) : NULL;
    sb_done(&words);
    return reply;
}

/* About a parked row. NULL: *err tells. */
static json_t *request_conflict(Run *r, const json_t *request, Err *err)
{
    Pipeline *p = pipeline_of(r);
    if (!p) {
        err_set(err, ERR_OPS_STARTING, "the task is starting");
        return NULL;
    }
    const json_t *set = json_object_get(request, "set"), *one;
    const char **texts = mem_zalloc((json_array_size(set) + 1) * sizeof *texts);
    size_t i;
    PipelineConflict c = {.decision = asked(request, "decision"),
                          .target = asked(request, "target"),
                          .id = (uint64_t)json_integer_value(json_object_get(request, "id")),
                          .set = texts,
                          .by = asked(request, "by"),
                          .preview = !json_is_false(json_object_get(request, "preview"))};
    json_array_foreach(set, i, one) if (json_is_string(one)) texts[c.n_set++] = json_string_value(one);
    CLEANUP(sb_done) StrBuf words = {0};
    bool ok = c.decision ? pipeline_conflict(p, &c, &words, err)
                         : err_set(err, ERR_USAGE, "control socket: the request has no decision");
    free(texts);
    return ok ? json_pack("{s:b, s:s%}", "ok", 1, "words", words.ptr ? words.ptr : "", words.len) : NULL;
}

static json_t *handle_request(void *ctx, const json_t *request)
{
    Run *r = ctx;
    const char *verb = json_string_value(json_object_get(request, "verb"));
    CLEANUP(err_clear) Err err = {0};
    if (!verb) {
        err_set(&err, ERR_USAGE, "control socket: the request has no verb");
    } else if (!strcmp(verb, "status")) {
        json_t *status = status_now(r, json_is_true(json_object_get(request, "ask")));
        return json_pack("{s:b, s:o}", "ok", 1, "status", status);
    } else if (!strcmp(verb, "stop")) {
        ask_stop(r, "request");
    } else if (!strcmp(verb, "pause") || !strcmp(verb, "resume")) {
        if (!request_pause(r, request, !strcmp(verb, "pause"), &err))
            return json_pack("{s:b, s:o}", "ok", 0, "error", err_to_json(&err));
    } else if (!strcmp(verb, "locks") || !strcmp(verb, "decide")) {
        json_t *reply = request_locks(r, request, !strcmp(verb, "decide"), &err);
        if (reply) return reply;
    } else if (!strcmp(verb, "conflict")) {
        json_t *reply = request_conflict(r, request, &err);
        if (reply) return reply;
    } else {
        err_set(&err, ERR_USAGE,
                "control socket: no verb '%.64s'; there are status, pause, resume, stop, locks, decide and "
                "conflict",
                verb);
    }
    if (err_is_set(&err)) return json_pack("{s:b, s:o}", "ok", 0, "error", err_to_json(&err));
    return json_pack("{s:b}", "ok", 1);
}

/* ---- watch
 * --------------------------------------------------------------------------------------------------- */

/* Safe at any instant: the next start goes on from what is durable. */
static void leave_at_once(Run *r, int status)
{
    live_restore(r->live);
    _exit(status);
}

static void on_signal(Run *r)
{
    struct signalfd_siginfo info;
    if (read(r->signal_fd, &info, sizeof info) != (ssize_t)sizeof info) return;
    pthread_mutex_lock(&r->mutex);
    bool second = r->stop_asked;
    pthread_mutex_unlock(&r->mutex);
    if (second) leave_at_once(r, 128 + (int)info.ssi_signo);
    ask_stop(r, strsignal((int)info.ssi_signo));
}

static void show_page(Run *r)
{
    CLEANUP(sb_done) StrBuf page = {0};
    json_t *status = status_now(r, false);
    rates_update(&r->rates, status, clock_mono_ms());
    sb_ch(&page, '\n');
    status_text(status, live_color_wanted(), &page);
    live_show(r->live, sb_view(&page));
    json_decref(status);
}

typedef struct Sums {
    uint64_t read, applied, filtered, missed, streaming, sources;
    int64_t lag_ms; /* largest known; -1 none */
} Sums;

static Sums sum_up(const json_t *status)
{
    Sums sums = {.lag_ms = -1};
    size_t i;
    const json_t *s;
    json_array_foreach(json_object_get(status, "sources"), i, s)
    {
        const json_t *counters = json_object_get(s, "counters"), *lag = json_object_get(s, "lag_ms");
        const char *state = json_string_value(json_object_get(s, "state"));
        sums.read += status_count(counters, "read");
        sums.applied += status_count(counters, "applied");
        sums.filtered += status_count(counters, "filtered");
        sums.missed += status_count(counters, "missed");
        sums.streaming += state && !strcmp(state, "streaming");
        sums.sources++;
        if (json_is_integer(lag) && json_integer_value(lag) > sums.lag_ms)
            sums.lag_ms = json_integer_value(lag);
    }
    return sums;
}

/* While rows are copied; its end has a line of its own. */
static void log_load(const json_t *load)
{
    const char *state = json_string_value(json_object_get(load, "state"));
    const json_t *eta = json_object_get(load, "eta_s");
    if (!state || strcmp(state, "loading") != 0) return;
    CLEANUP(sb_done) StrBuf percent = {0};
    sb_printf(&percent, "%.1f", json_number_value(json_object_get(load, "percent")));
    log_write(
        LOGEV_LOAD_PROGRESS, LOG_STR("percent", sb_view(&percent)), LOG_U("rows", status_count(load, "rows")),
        LOG_U("rows_estimated", status_count(load, "rows_estimated")),
        LOG_U("bytes", status_count(load, "bytes")), LOG_U("rows_per_s", status_count(load, "rows_per_s")),
        LOG_U("bytes_per_s", status_count(load, "bytes_per_s")),
        LOG_I("eta_s", json_is_integer(eta) ? json_integer_value(eta) : -1));
}

static void log_progress(Run *r)
{
    json_t *status = status_now(r, false);
    uint64_t rate = rates_update(&r->rates, status, clock_mono_ms());
    Sums s = sum_up(status);
    const char *state = json_string_value(json_object_get(status, "state"));
    log_write(LOGEV_TASK_PROGRESS, LOG_S("state", state ? state : ""), LOG_U("streaming", s.streaming),
              LOG_U("sources", s.sources), LOG_U("rows_per_s", rate), LOG_I("lag_ms", s.lag_ms),
              LOG_U("read", s.read), LOG_U("applied", s.applied), LOG_U("filtered", s.filtered),
              LOG_U("missed", s.missed));
    log_load(json_object_get(status, "load"));
    json_decref(status);
}

static void *watch_thread(void *arg)
{
    Run *r = arg;
    int64_t period_ms = r->live ? PAGE_MS : PROGRESS_MS;
    int64_t due_ms = clock_mono_ms() + (r->live ? 0 : period_ms);
    for (;;) {
        struct pollfd fds[] = {{.fd = r->signal_fd, .events = POLLIN},
                               {.fd = r->wake_fd, .events = POLLIN},
                               {.fd = r->stop_fd, .events = POLLIN}};
        eventfd_t stops;
        int64_t left = (r->give_up_ms ? MIN(due_ms, r->give_up_ms) : due_ms) - clock_mono_ms();
        /* Wake-ups: a signal, wake_fd (the end of the run), stop_fd, the next page or line. */
        int rc = poll(fds, ARRAY_LEN(fds), left > 0 ? (int)left : 0);
        if (rc < 0) {
            CHECK(errno == EINTR, "poll on the signals");
            continue;
        }
        if (fds[0].revents) on_signal(r);
        if (fds[1].revents) break;
        if (fds[2].revents && eventfd_read(r->stop_fd, &stops) == 0 && !pipeline_of(r))
            r->give_up_ms = clock_mono_ms() + START_GRACE_MS;
        if (r->give_up_ms && clock_mono_ms() >= r->give_up_ms) {
            if (!pipeline_of(r)) leave_at_once(r, 0);
            r->give_up_ms = 0;
        }
        if (clock_mono_ms() < due_ms) continue;
        if (r->live)
            show_page(r);
        else
            log_progress(r);
        due_ms = clock_mono_ms() + period_ms;
    }
    /* the last state; without a pipeline there is none */
    if (r->live)
        show_page(r);
    else if (pipeline_of(r))
        log_progress(r);
    return NULL;
}

/* Blocks the signals in this thread and so in all that are made later: only the watch thread sees them. */
static void take_signals(sigset_t *set)
{
    sigemptyset(set);
    sigaddset(set, SIGINT);
    sigaddset(set, SIGTERM);
    sigaddset(set, SIGHUP);
    pthread_sigmask(SIG_BLOCK, set, NULL);
}

static bool watch_start(Run *r, Err *err)
{
    r->signal_fd = signalfd(-1, &r->signals, SFD_CLOEXEC);
    r->wake_fd = eventfd(0, EFD_CLOEXEC);
    if (r->signal_fd < 0 || r->wake_fd < 0 || r->stop_fd < 0)
        return err_set(err, ERR_IO, "signals: %s", strerror(errno));
    bool live = !r->opts->plain && r->opts->log_format == LOG_FORMAT_HUMAN && live_possible(STDERR_FILENO);
    if (live) r->live = live_open(STDERR_FILENO);
    if (pthread_create(&r->watch, NULL, watch_thread, r) != 0) {
        live_close(r->live);
        return err_set(err, ERR_IO, "signals: no thread");
    }
    return true;
}

static void watch_stop(Run *r)
{
    CHECK(eventfd_write(r->wake_fd, 1) == 0, "wake the watch thread");
    pthread_join(r->watch, NULL);
    live_close(r->live);
    r->live = NULL;
}

/* ---- the run
 * ------------------------------------------------------------------------------------------------- */

static bool stop_asked(void *ctx)
{
    Run *r = ctx;
    pthread_mutex_lock(&r->mutex);
    bool stop = r->stop_asked;
    pthread_mutex_unlock(&r->mutex);
    return stop;
}

static PipelineEnd run_pipeline(Run *r, const Task *task, Err *err)
{
    PipelineOpts opts = {.task = task,
                         .store = r->store,
                         .until_caught_up = r->opts->until_caught_up,
                         .stop_asked = stop_asked,
                         .ctx = r};
    Pipeline *p = NULL;
    if (!pipeline_start(&opts, &p, err)) {
        if (err->code != ERR_CANCELLED || !stop_asked(r)) return PIPELINE_FAILED;
        err_clear(err); /* nothing has begun */
        log_write(LOGEV_TASK_STOPPED, LOG_STR("task", task->name), LOG_S("outcome", "stopped"));
        return PIPELINE_STOPPED;
    }
    pthread_mutex_lock(&r->mutex);
    r->pipeline = p;
    bool stop = r->stop_asked;
    pthread_mutex_unlock(&r->mutex);
    if (stop) pipeline_request_stop(p);
    return pipeline_wait(p, err);
}

static void last_status(Run *r, StrBuf *out)
{
    json_t *status = status_now(r, false);
    json_object_set_new(status, "running", json_false());
    json_out(status, out);
    json_decref(status);
}

static void run_watched(Run *r, const Task *task, Control *control, StrBuf *out, Err *err)
{
    if (watch_start(r, err)) {
        PipelineEnd end = run_pipeline(r, task, err);
        watch_stop(r);
        if (end == PIPELINE_FAILED && !err_is_set(err))
            err_set(err, ERR_BUG, "the run failed without a reason");
    }
    control_stop(control);
    if (r->pipeline && r->opts->json) last_status(r, out);
    if (r->signal_fd >= 0) close(r->signal_fd);
    if (r->wake_fd >= 0) close(r->wake_fd);
}

int run_verb(const Task *task, const CliOpts *opts, StrBuf *out, Err *err)
{
    Run r = {.opts = opts, .signal_fd = -1, .wake_fd = -1, .stop_fd = eventfd(0, EFD_CLOEXEC)};
    CLEANUP(sb_done) StrBuf dir = {0};
    Control *control = NULL;
    sb_str(&dir, task->state_dir);
    pthread_mutex_init(&r.mutex, NULL);
    take_signals(&r.signals);
    if (store_open(dir.ptr ? dir.ptr : "", false, &r.store, err) &&
        control_open(dir.ptr, handle_request, &r, &control, err))
        run_watched(&r, task, control, out, err);
    /* what ends a pipeline that ran is in its own log line */
    if (err_is_set(err) && !r.pipeline) log_error(LOGEV_TASK_FAILED, err, LOG_STR("task", task->name));
    pipeline_free(r.pipeline);
    rates_done(&r.rates);
    pthread_mutex_destroy(&r.mutex);
    store_close(r.store);
    control_free(control); /* who asked for the stop learns here that the lock is free */
    if (r.stop_fd >= 0) close(r.stop_fd);
    return err_exit_status(err);
}
