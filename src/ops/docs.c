#include "ops/docs.h"
#include "base/log.h"
#include "config/keys.h"
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

static const char *verdict_text(KeyVerdict v)
{
    switch (v) {
    case KEY_USED: return "used";
    case KEY_ACCEPTED: return "accepted, without effect";
    case KEY_NOT_YET: return "not supported yet";
    case KEY_REFUSED: return "refused";
    }
    return "";
}

static const char *type_text(KeyType t)
{
    static const char *const names[] = {
        [KEY_STR] = "text",      [KEY_NAME] = "name",          [KEY_BOOL] = "true or false",
        [KEY_INT] = "number",    [KEY_DURATION] = "duration",  [KEY_SECONDS] = "seconds or duration",
        [KEY_BYTES] = "bytes",   [KEY_ENUM] = "one of",        [KEY_STRS] = "list of texts",
        [KEY_VARS] = "map",      [KEY_MAP] = "section",        [KEY_NAMED] = "named sections",
        [KEY_LIST] = "sections", [KEY_BLOB] = "text or bytes", [KEY_ANY] = "anything",
    };
    return names[t];
}

static void key_row_line(const KeyRow *k, StrBuf *out)
{
    sb_printf(out, "| `%s` | %s", k->key, type_text(k->type));
    if (k->arg[0]) {
        sb_ch(out, ' ');
        cell(out, k->arg);
    }
    if (k->sub != SECTION_NONE) sb_printf(out, " ([%s](#%s))", section_title(k->sub), section_title(k->sub));
    sb_printf(out, " | %s%s%s | %s | ", k->def[0] ? "`" : "", k->def, k->def[0] ? "`" : "",
              verdict_text(k->verdict));
    cell(out, k->help);
    sb_c(out, " |\n");
}

static void configuration_page(StrBuf *out)
{
    sb_c(out, "# Configuration\n\nMade by `shardmerge docs configuration` from `src/config/keys.def`.\n\n"
              "TiDB DM's task and source files are read as they are; own keys stand beside DM's. Every key "
              "is known: used, "
              "accepted (checked, without effect), or refused with file, line, column and what to do. "
              "Unknown keys are errors.\n");
    Section section = SECTION_NONE;
    const KeyRow *k;
    for (size_t i = 0; (k = key_row(i)); i++) {
        if (k->section != section) {
            section = k->section;
            sb_printf(out,
                      "\n## %s\n\n%s\n\n| Key | Value | Default | Verdict | What it does "
                      "|\n|---|---|---|---|---|\n",
                      section_title(section), section_where(section));
        }
        key_row_line(k, out);
    }
}

typedef struct Page {
    const char *name;
    void (*write)(StrBuf *out);
} Page;

static const Page pages[] = {
    {"commands", options_reference},
    {"configuration", configuration_page},
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
