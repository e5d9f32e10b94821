#include "base/err.h"
#include <stdlib.h>
#include "base/check.h"
#include "base/poison.h"

typedef struct ErrRow {
    ErrCode code;
    ErrClass cls;
    int exit_status;
    const char *name, *summary, *remedy;
} ErrRow;

static const ErrRow table[] = {
#define X(code, number, class_, exit_, summary, remedy)                                                      \
    {ERR_##code, ERR_CLASS_##class_, exit_, #code, summary, remedy},
#include "base/err.def"
#undef X
};

static const ErrRow *row_of(ErrCode code)
{
    for (size_t i = 0; i < ARRAY_LEN(table); i++)
        if (table[i].code == code) return &table[i];
    return NULL;
}

/* The first cause wins. */
PRINTF_LIKE(3, 0)
static void set_first(Err *err, ErrCode code, const char *fmt, va_list ap, const char *remedy)
{
    if (err_is_set(err)) return;
    StrBuf b = {0};
    sb_vprintf(&b, fmt, ap);
    err->code = code;
    err->message = sb_take(&b);
    if (remedy) err->remedy = str_dup(str_of(remedy));
}

/* Names in parentheses: the analyser sees macros of these names (err.h). */
bool(err_set)(Err *err, ErrCode code, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    set_first(err, code, fmt, ap, NULL);
    va_end(ap);
    return false;
}

bool(err_set_remedy)(Err *err, ErrCode code, const char *remedy, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    set_first(err, code, fmt, ap, remedy);
    va_end(ap);
    return false;
}

bool(err_wrap)(Err *err, const char *fmt, ...)
{
    CHECK(err_is_set(err), "err_wrap without an error");
    StrBuf b = {0};
    va_list ap;
    va_start(ap, fmt);
    sb_vprintf(&b, fmt, ap);
    va_end(ap);
    sb_c(&b, ": ");
    sb_c(&b, err->message);
    free(err->message);
    err->message = sb_take(&b);
    return false;
}

void err_clear(Err *err)
{
    free(err->message);
    free(err->remedy);
    *err = (Err){0};
}

void err_move(Err *dst, Err *src)
{
    err_clear(dst);
    *dst = *src;
    *src = (Err){0};
}

void err_copy(Err *dst, const Err *src)
{
    Err copy = *src;
    copy.message = src->message ? str_dup(str_of(src->message)) : NULL;
    copy.remedy = src->remedy ? str_dup(str_of(src->remedy)) : NULL;
    err_clear(dst);
    *dst = copy;
}

ErrClass err_class(const Err *err)
{
    const ErrRow *r = row_of(err->code);
    return r ? r->cls : ERR_CLASS_NONE;
}

const char *err_class_name(ErrClass c)
{
    static const char *const names[] = {"none",     "retry",  "stop-source", "stop-task",
                                        "operator", "config", "bug"};
    return names[c];
}

const char *err_code_name(ErrCode code)
{
    const ErrRow *r = row_of(code);
    return r ? r->name : "NONE";
}

const char *err_summary(ErrCode code)
{
    const ErrRow *r = row_of(code);
    return r ? r->summary : "";
}

const char *err_remedy(const Err *err)
{
    if (err->remedy) return err->remedy;
    const ErrRow *r = row_of(err->code);
    return r ? r->remedy : "";
}

int err_exit_status(const Err *err)
{
    const ErrRow *r = row_of(err->code);
    return r ? r->exit_status : 0;
}

bool err_table_row(size_t i, ErrCode *code, ErrClass *cls, int *exit_status, const char **name,
                   const char **summary, const char **remedy)
{
    if (i >= ARRAY_LEN(table)) return false;
    *code = table[i].code;
    *cls = table[i].cls;
    *exit_status = table[i].exit_status;
    *name = table[i].name;
    *summary = table[i].summary;
    *remedy = table[i].remedy;
    return true;
}
