#include "base/log.h"
#include <pthread.h>
#include <stdio.h>
#include <unistd.h>
#include <jansson.h>
#include <stdlib.h>
#include "base/clock.h"
#include "base/err_json.h"
#include "base/poison.h"

/* Errors are few and each counts: a hundred shards may stop in one second. */
enum { RATE_LIMIT_PER_S = 20, ERROR_LIMIT_PER_S = 1000 };

typedef struct LogRow {
    const char *name;
    LogLevel level;
    const char *text;
} LogRow;

static const LogRow rows[] = {
#define X(ev, name, level, text) {name, LOG_##level, text},
#include "base/log.def"
#undef X
};

static const char *const level_names[] = {"debug", "info", "warn", "error"};

/* The sink: guarded by mutex. */
static struct {
    pthread_mutex_t mutex;
    int fd;
    LogFormat format;
    LogLevel least;
    void (*divert)(void *, Str);
    void *divert_ctx;
    struct {
        int64_t second;
        unsigned count, dropped;
    } rate[LOGEV_COUNT];
} sink = {.mutex = PTHREAD_MUTEX_INITIALIZER, .fd = 2, .least = LOG_INFO};

void log_init(int fd, LogFormat format, LogLevel least)
{
    sink.fd = fd;
    sink.format = format;
    sink.least = least;
}

void log_divert(void (*line)(void *ctx, Str text), void *ctx)
{
    pthread_mutex_lock(&sink.mutex);
    sink.divert = line;
    sink.divert_ctx = ctx;
    pthread_mutex_unlock(&sink.mutex);
}

static void json_field(json_t *o, const LogField *f)
{
    switch (f->kind) {
    case LOG_FIELD_STR: json_object_set_new(o, f->name, json_text(f->s)); break;
    case LOG_FIELD_INT: json_object_set_new(o, f->name, json_integer(f->i)); break;
    case LOG_FIELD_UINT: json_object_set_new(o, f->name, json_integer((json_int_t)f->u)); break;
    case LOG_FIELD_END: break;
    }
}

static void line_json(StrBuf *out, LogEvent ev, const Err *err, const LogField *fields, unsigned dropped)
{
    StrBuf t = {0};
    clock_format_utc(&t, clock_wall_ms());
    json_t *o = json_object();
    json_object_set_new(o, "time", json_string(t.ptr));
    json_object_set_new(o, "level", json_string(level_names[rows[ev].level]));
    json_object_set_new(o, "event", json_string(rows[ev].name));
    for (const LogField *f = fields; f->kind != LOG_FIELD_END; f++)
        json_field(o, f);
    if (err) {
        json_object_set_new(o, "class", json_string(err_class_name(err_class(err))));
        json_object_set_new(o, "code", json_sprintf("SM-%d", (int)err->code));
        json_object_set_new(o, "error", json_string(err_code_name(err->code)));
        json_object_set_new(o, "message", json_text(str_of(err->message)));
        json_object_set_new(o, "remedy", json_text(str_of(err_remedy(err))));
    }
    if (dropped) json_object_set_new(o, "suppressed", json_integer(dropped));
    char *text = json_dumps(o, JSON_COMPACT);
    sb_c(out, text ? text : "{}");
    free(text);
    json_decref(o);
    sb_done(&t);
}

static void line_human(StrBuf *out, LogEvent ev, const Err *err, const LogField *fields, unsigned dropped)
{
    clock_format_utc(out, clock_wall_ms());
    sb_printf(out, " %-5s %s: %s", level_names[rows[ev].level], rows[ev].name, rows[ev].text);
    for (const LogField *f = fields; f->kind != LOG_FIELD_END; f++) {
        sb_printf(out, " %s=", f->name);
        if (f->kind == LOG_FIELD_STR)
            sb_str(out, f->s);
        else if (f->kind == LOG_FIELD_INT)
            sb_i64(out, f->i);
        else
            sb_u64(out, f->u);
    }
    if (err)
        sb_printf(out, " [SM-%d %s, %s] %s; %s", (int)err->code, err_code_name(err->code),
                  err_class_name(err_class(err)), err->message ? err->message : "", err_remedy(err));
    if (dropped) sb_printf(out, " (%u like it not shown)", dropped);
    /* Names and servers' messages may hold anything: an event stays one line, and a terminal is safe. */
    for (size_t i = 0; i < out->len; i++)
        if ((uint8_t)out->ptr[i] < ' ' || out->ptr[i] == 0x7f) out->ptr[i] = ' ';
}

void log_emit_error(LogEvent ev, const Err *err, const LogField *fields)
{
    if (rows[ev].level < sink.least) return;
    pthread_mutex_lock(&sink.mutex);
    int64_t second = clock_mono_ms() / 1000;
    unsigned dropped = 0;
    if (sink.rate[ev].second != second) {
        sink.rate[ev].second = second;
        sink.rate[ev].count = 0;
        dropped = sink.rate[ev].dropped;
        sink.rate[ev].dropped = 0;
    }
    unsigned limit = rows[ev].level == LOG_ERROR ? ERROR_LIMIT_PER_S : RATE_LIMIT_PER_S;
    if (sink.rate[ev].count++ >= limit) {
        sink.rate[ev].dropped++;
        pthread_mutex_unlock(&sink.mutex);
        return;
    }
    StrBuf line = {0};
    if (sink.format == LOG_FORMAT_JSON)
        line_json(&line, ev, err, fields, dropped);
    else
        line_human(&line, ev, err, fields, dropped);
    if (sink.divert) {
        sink.divert(sink.divert_ctx, sb_view(&line));
    } else {
        sb_ch(&line, '\n');
        /* A log that cannot be written must not stop replication. */
        ssize_t ignored = write(sink.fd, line.ptr, line.len);
        (void)ignored;
    }
    pthread_mutex_unlock(&sink.mutex);
    sb_done(&line);
}

void log_emit(LogEvent ev, const LogField *fields)
{
    log_emit_error(ev, NULL, fields);
}

bool log_table_row(size_t i, const char **name, LogLevel *level, const char **text)
{
    if (i >= ARRAY_LEN(rows)) return false;
    *name = rows[i].name;
    *level = rows[i].level;
    *text = rows[i].text;
    return true;
}
