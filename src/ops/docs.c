#include "ops/docs.h"
#include "base/log.h"
#include "config/reference.h"
#include "ops/options.h"
#include "base/poison.h"

/* Text in a table cell: | would end it. */
static void cell(StrBuf *out, const char *text)
{
    for (; *text; text++) {
        if (*text == '|') sb_ch(out, '\\');
        sb_ch(out, *text);
    }
}

static void errors_page(StrBuf *out)
{
    sb_c(out,
         "# Errors\n\nMade by `shardmerge docs errors` from `src/base/err.def`. Numbers are stable.\n\n"
         "The class says who must act: `retry` we do, with backoff; `stop-source` this source stops, the "
         "others go on; "
         "`stop-task` everything stops; `operator` a human decides; `config` the task file, the command line "
         "or a "
         "server setting must change; `bug` our own mistake.\n\n"
         "| Code | Name | Class | Exit status | What it means | What to do |\n|---|---|---|---|---|---|\n");
    ErrCode code;
    ErrClass cls;
    int status;
    const char *name, *summary, *remedy;
    for (size_t i = 0; err_table_row(i, &code, &cls, &status, &name, &summary, &remedy); i++) {
        sb_printf(out, "| SM-%d | %s | %s | %d | ", (int)code, name, err_class_name(cls), status);
        cell(out, summary);
        sb_c(out, " | ");
        cell(out, remedy);
        sb_c(out, " |\n");
    }
}

static void log_events_page(StrBuf *out)
{
    static const char *const levels[] = {"debug", "info", "warn", "error"};
    sb_c(out, "# Log events\n\nMade by `shardmerge docs log-events` from `src/base/log.def`.\n\n"
              "One line each on standard error. JSON lines (`--log-format json`) carry `time`, `level`, "
              "`event`, the event's own "
              "fields, and for errors `class`, `code`, `error`, `message`, `remedy`. The same event more "
              "than 20 times in a "
              "second is dropped and counted in the next line's `suppressed`.\n\n"
              "| Event | Level | What it says |\n|---|---|---|\n");
    const char *name, *text;
    LogLevel level;
    for (size_t i = 0; log_table_row(i, &name, &level, &text); i++) {
        sb_printf(out, "| `%s` | %s | ", name, levels[level]);
        cell(out, text);
        sb_c(out, " |\n");
    }
}

typedef struct Page {
    const char *name;
    void (*write)(StrBuf *out);
} Page;

static const Page pages[] = {
    {"commands", options_reference},
    {"configuration", config_write_reference},
    {"errors", errors_page},
    {"log-events", log_events_page},
};

bool docs_page(const char *name, StrBuf *out, Err *err)
{
    CLEANUP(sb_done) StrBuf list = {0};
    for (size_t i = 0; i < ARRAY_LEN(pages); i++) {
        if (!strcmp(name, pages[i].name)) {
            pages[i].write(out);
            return true;
        }
        sb_printf(&list, "%s%s", i ? ", " : "", pages[i].name);
    }
    return err_set(err, ERR_USAGE, "no page '%s'; there are: %s", name, list.ptr);
}
