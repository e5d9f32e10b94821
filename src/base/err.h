/* Errors: what went wrong, who must act, and what to do next.
 *
 * Every fallible function is `NODISCARD bool f(…, Err *err)`: on false *err is set. The first cause wins;
 * callers add context with err_wrap. Codes come from err.def, which also makes the reference page and the
 * exit codes. */
#ifndef SM_BASE_ERR_H
#define SM_BASE_ERR_H

#include <stdbool.h>
#include <stdint.h>
#include "base/attrs.h"
#include "base/str.h"

/* Who must act. */
typedef enum ErrClass {
    ERR_CLASS_NONE = 0,
    ERR_CLASS_RETRY,       /* we do, with backoff */
    ERR_CLASS_STOP_SOURCE, /* this source stops; the others go on */
    ERR_CLASS_STOP_TASK,   /* everything stops */
    ERR_CLASS_OPERATOR,    /* a human decides (lock, conflict) */
    ERR_CLASS_CONFIG,      /* the task file, the command line or a server setting must change */
    ERR_CLASS_BUG,         /* our own mistake */
} ErrClass;

/* What cannot be passed, or not be changed once a task has begun; after "go on behind it, ", "begin anew, ".
 */
#define ERR_PAST "with a new task (docs/guide/operating.md: past a place that cannot be read)"

typedef enum ErrCode {
    ERR_NONE = 0,
#define X(code, number, class_, exit_, summary, remedy) ERR_##code = number,
#include "base/err.def"
#undef X
} ErrCode;

/* Owned by whoever declared it; {0} is "no error". message and remedy are heap text or NULL. */
typedef struct Err {
    ErrCode code;
    unsigned server_errno; /* MySQL error number of the server's answer, 0 if none */
    char sqlstate[6];
    char *message; /* what happened and where; never row values or passwords */
    char *remedy;  /* overrides the table's remedy when set */
} Err;

/* Sets err (unless it is set already) and returns false, so that `return err_set(…)` reads well. err may not
 * be NULL. */
bool err_set(Err *err, ErrCode code, const char *fmt, ...) PRINTF_LIKE(3, 4);
/* As err_set, with a remedy of its own instead of the table's. */
bool err_set_remedy(Err *err, ErrCode code, const char *remedy, const char *fmt, ...) PRINTF_LIKE(4, 5);
/* Puts "context: " in front of the message. Returns false. */
bool err_wrap(Err *err, const char *fmt, ...) PRINTF_LIKE(2, 3);
static inline bool err_is_set(const Err *err)
{
    return err->code != ERR_NONE;
}
void err_clear(Err *err);
/* Moves src over dst (dst's old content is freed), leaving src clear. */
void err_move(Err *dst, Err *src);
void err_copy(Err *dst, const Err *src);

ErrClass err_class(const Err *err);
const char *err_class_name(ErrClass c);  /* "stop-source" … */
const char *err_code_name(ErrCode code); /* "CONFIG_UNKNOWN_KEY" … */
const char *err_summary(ErrCode code);
const char *err_remedy(const Err *err); /* own remedy, else the table's */
int err_exit_status(const Err *err);
#ifdef __clang_analyzer__
/* The analyser reads one file at a time: tell it what these return. */
#define err_set(...) ((err_set)(__VA_ARGS__), false)
#define err_set_remedy(...) ((err_set_remedy)(__VA_ARGS__), false)
#define err_wrap(...) ((err_wrap)(__VA_ARGS__), false)
#endif
/* Walks the table, for the reference page and for tests. Index from 0; false at the end. */
bool err_table_row(size_t i, ErrCode *code, ErrClass *cls, int *exit_status, const char **name,
                   const char **summary, const char **remedy);

#endif
