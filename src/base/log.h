/* One line per log event. Names, levels and texts come from log.def; fields are typed. Human lines on a
 * terminal or by default, JSON lines with --log-format json. The sink is one of the three globals of the
 * program. */
#ifndef SM_BASE_LOG_H
#define SM_BASE_LOG_H

#include <stdint.h>
#include "base/err.h"
#include "base/str.h"

typedef enum LogLevel { LOG_DEBUG, LOG_INFO, LOG_WARN, LOG_ERROR } LogLevel;

typedef enum LogEvent {
#define X(ev, name, level, text) LOGEV_##ev,
#include "base/log.def"
#undef X
    LOGEV_COUNT
} LogEvent;

typedef enum LogFieldKind { LOG_FIELD_END, LOG_FIELD_STR, LOG_FIELD_INT, LOG_FIELD_UINT } LogFieldKind;

typedef struct LogField {
    LogFieldKind kind;
    const char *name;
    Str s;
    int64_t i;
    uint64_t u;
} LogField;

#define LOG_S(name_, cstr_) ((LogField){.kind = LOG_FIELD_STR, .name = (name_), .s = str_of(cstr_)})
#define LOG_STR(name_, str_) ((LogField){.kind = LOG_FIELD_STR, .name = (name_), .s = (str_)})
#define LOG_I(name_, v_) ((LogField){.kind = LOG_FIELD_INT, .name = (name_), .i = (v_)})
#define LOG_U(name_, v_) ((LogField){.kind = LOG_FIELD_UINT, .name = (name_), .u = (v_)})

/* log_write(LOGEV_X, LOG_S("source", id), LOG_U("port", port)). Any thread; blocks only on stderr. A level
 * below the sink's is dropped; the same event more than 20 times in a second (errors: 1000) is dropped and
 * counted in the next line. */
#define log_write(ev, ...)                                                                                   \
    log_emit((ev), (const LogField[]){__VA_ARGS__ __VA_OPT__(, ){.kind = LOG_FIELD_END}})
void log_emit(LogEvent ev, const LogField *fields);
/* Logs an error with its class, code, message and remedy besides the fields. */
#define log_error(ev, err, ...)                                                                              \
    log_emit_error((ev), (err), (const LogField[]){__VA_ARGS__ __VA_OPT__(, ){.kind = LOG_FIELD_END}})
void log_emit_error(LogEvent ev, const Err *err, const LogField *fields);

typedef enum LogFormat { LOG_FORMAT_HUMAN, LOG_FORMAT_JSON } LogFormat;
/* Before threads start. fd stays the caller's. */
void log_init(int fd, LogFormat format, LogLevel least);
/* The live page owns the terminal while it is shown: lines go through this callback instead of the fd. NULL:
 * back. */
void log_divert(void (*line)(void *ctx, Str text), void *ctx);
/* Walks log.def, for the reference page. */
bool log_table_row(size_t i, const char **name, LogLevel *level, const char **text);

#endif
