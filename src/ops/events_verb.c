#include "ops/events_verb.h"
#include <errno.h>
#include <stdio.h>
#include "base/err_json.h"
#include "ops/events_live.h"
#include "ops/events_print.h"
#include "source/file.h"
#include "base/poison.h"

enum { FLUSH_BYTES = 64 << 10 };

typedef struct Events {
    const CliOpts *opts;
    EventsFilter *filter;
    EventsPrinter *printer;
    bool reader_gone; /* the other end of the pipe was closed: nobody wants more */
} Events;

/* Hands lines on to standard output. */
static bool flush(Events *e, Err *err)
{
    StrBuf *text = &events_printer_out(e->printer)->text;
    size_t n = text->len, done = n ? fwrite(text->ptr, 1, n, stdout) : 0;
    sb_clear(text);
    if (done == n && fflush(stdout) == 0) return true;
    e->reader_gone = errno == EPIPE;
    return e->reader_gone || err_set(err, ERR_IO, "standard output: %s", strerror(errno));
}

static bool flush_much(Events *e, Err *err)
{
    return events_printer_out(e->printer)->text.len < FLUSH_BYTES || flush(e, err);
}

/* -- files -- */

/* *end: --until or --limit. */
static bool print_file(Events *e, const char *path, bool *end, Err *err)
{
    BinlogFile *f = NULL;
    if (!file_open(path, &f, err)) return false;
    bool ok = true, more = true;
    events_print_file(e->printer);
    while (ok && more && !*end && !e->reader_gone) {
        RawEvent ev;
        CLEANUP(err_clear) Err bad = {0};
        switch (file_next(f, &ev, &bad)) {
        case FILE_EVENT:
            ok = events_print(e->printer, file_format(f), &ev, file_is_relay(f), end, err);
            break;
        case FILE_DAMAGED: events_print_damage(e->printer, &ev, &bad); break;
        case FILE_END: more = false; break;
        case FILE_FAILED:
            events_print_damage(e->printer, &ev, &bad);
            more = false;
            break;
        }
        ok = ok && flush_much(e, err);
    }
    file_close(f);
    return ok;
}

static bool print_files(Events *e, Err *err)
{
    bool end = false;
    for (size_t i = 0; i < e->opts->n_arguments && !end && !e->reader_gone; i++)
        if (!print_file(e, e->opts->arguments[i], &end, err)) return false;
    return true;
}

/* -- a live source -- */

static const SourceConfig *find_source(const Task *task, const char *id, Err *err)
{
    for (size_t i = 0; i < task->n_sources; i++)
        if (str_eqc(task->sources[i].id, id)) return &task->sources[i];
    CLEANUP(sb_done) StrBuf list = {0};
    for (size_t i = 0; i < task->n_sources; i++)
        sb_printf(&list, "%s" STR_FMT, i ? ", " : "", STR_ARG(task->sources[i].id));
    err_set(err, ERR_OPS_NO_SUCH_SOURCE, "no source %s in %s; it has: %s", id, task->path, list.ptr);
    return NULL;
}

static bool print_live(Events *e, const Task *task, const EventsPoint *from, Err *err)
{
    const SourceConfig *source = find_source(task, e->opts->source_id, err);
    EventsLive *l = NULL;
    bool ok = source && events_live_open(source, from, &l, err), end = false;
    while (ok && !e->reader_gone) {
        RawEvent ev;
        ok = events_live_next(l, e->opts->follow, &ev, &end, err);
        if (!ok || end) break;
        if (ev.header.type == EVENT_FORMAT_DESCRIPTION) events_print_file(e->printer);
        if (ev.whole.len) ok = events_print(e->printer, events_live_format(l), &ev, false, &end, err);
        if (end) break;
        /* a heartbeat: whoever looks on wants what there is */
        if (ok) ok = ev.whole.len ? flush_much(e, err) : flush(e, err);
    }
    events_live_close(l);
    return ok;
}

/* -- the verb -- */

/* With --json an error is a line too. */
static void error_line(Events *e, const Err *err)
{
    StrBuf *text = &events_printer_out(e->printer)->text;
    if (!e->opts->json) return;
    sb_c(text, "{\"error\":");
    err_json_text(err, text);
    sb_c(text, "}\n");
}

static void say_problems(Events *e, Err *err)
{
    const EventsCounts *c = events_printer_counts(e->printer);
    const Err *first = events_printer_problem(e->printer);
    if (c->problems == 0) return;
    err_set_remedy(err, first->code, err_remedy(first),
                   "%llu events or values could not be read; the first: %s", (unsigned long long)c->problems,
                   first->message);
}

int events_verb(const Task *task, const CliOpts *opts, Err *err)
{
    Events e = {.opts = opts};
    EventsFilterOpts filter = {
        .tables = opts->table_patterns, .n_tables = opts->n_table_patterns, .ordered = task != NULL};
    if (!events_point_parse("--from", opts->from_point, &filter.from, err) ||
        !events_point_parse("--until", opts->until_point, &filter.until, err) ||
        !events_filter_new(&filter, &e.filter, err))
        return err_exit_status(err);
    EventsRows rows = opts->rows_only ? EVENTS_ROWS_ONLY : opts->no_rows ? EVENTS_NO_ROWS : EVENTS_WITH_ROWS;
    e.printer = events_printer_new(e.filter, rows, opts->limit, opts->json);
    bool ok = (task ? print_live(&e, task, &filter.from, err) : print_files(&e, err)) &&
              (e.reader_gone || events_filter_finish(e.filter, err));
    if (ok) events_print_summary(e.printer);
    if (ok) say_problems(&e, err);
    if (err_is_set(err) && !ok) error_line(&e, err);
    int status = err_is_set(err) ? err_exit_status(err) : 0;
    CLEANUP(err_clear) Err ignored = {0};
    if (!e.reader_gone && !flush(&e, &ignored) && status == 0) {
        err_move(err, &ignored);
        status = err_exit_status(err);
    }
    events_printer_free(e.printer);
    events_filter_free(e.filter);
    return status;
}
