#include "ops/check_report.h"
#include <stdlib.h>
#include "ops/json_out.h"
#include "base/poison.h"

static Str format(Arena *arena, const char *fmt, va_list ap) PRINTF_LIKE(2, 0);
static Str format(Arena *arena, const char *fmt, va_list ap)
{
    StrBuf b = {0};
    sb_vprintf(&b, fmt, ap);
    Str s = arena_str(arena, sb_view(&b));
    sb_done(&b);
    return s;
}

void check_where(CheckReport *r, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    r->where = format(&r->arena, fmt, ap);
    va_end(ap);
}

static void add(CheckReport *r, CheckLevel level, Str what, Str remedy)
{
    if (r->n == r->cap) {
        r->cap = r->cap ? r->cap * 2 : 32;
        r->findings = mem_realloc(r->findings, r->cap * sizeof *r->findings);
    }
    r->findings[r->n++] = (CheckFinding){level, r->where, what, remedy};
    r->counts[level]++;
}

void check_add(CheckReport *r, CheckLevel level, const char *remedy, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    Str what = format(&r->arena, fmt, ap);
    va_end(ap);
    add(r, level, what, arena_str(&r->arena, str_of(remedy)));
}

void check_add_err(CheckReport *r, CheckLevel level, Err *err)
{
    Str what =
        arena_printf(&r->arena, "[SM-%d %s] %s", (int)err->code, err_code_name(err->code), err->message);
    add(r, level, what, arena_str(&r->arena, str_of(err_remedy(err))));
    err_clear(err);
}

static const char *const names[] = {"ok", "note", "warn", "fail"};

const char *check_level_name(CheckLevel level)
{
    return names[level];
}

static json_t *text(Str s)
{
    json_t *t = json_stringn(s.ptr ? s.ptr : "", s.len);
    return t ? t : json_string("(text that is not UTF-8)");
}

void check_report_json(const CheckReport *r, Str task, StrBuf *out)
{
    json_t *o = json_object(), *counts = json_object(), *list = json_array();
    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        json_object_set_new(counts, names[i], json_integer((json_int_t)r->counts[i]));
    for (size_t i = 0; i < r->n; i++) {
        const CheckFinding *f = &r->findings[i];
        json_t *item = json_object();
        json_object_set_new(item, "level", json_string(names[f->level]));
        json_object_set_new(item, "where", text(f->where));
        json_object_set_new(item, "what", text(f->what));
        json_object_set_new(item, "remedy", f->remedy.len ? text(f->remedy) : json_null());
        json_array_append_new(list, item);
    }
    json_object_set_new(o, "task", text(task));
    json_object_set_new(o, "ok", json_boolean(r->counts[CHECK_FAIL] == 0));
    json_object_set_new(o, "counts", counts);
    json_object_set_new(o, "findings", list);
    json_object_set_new(o, "load", r->load ? json_incref(r->load) : json_null());
    json_out(o, out);
    json_decref(o);
}

void check_report_human(const CheckReport *r, Str task, StrBuf *out)
{
    Str where = {0};
    for (size_t i = 0; i < r->n; i++) {
        const CheckFinding *f = &r->findings[i];
        if (!str_eq(where, f->where)) sb_printf(out, "%s" STR_FMT "\n", i ? "\n" : "", STR_ARG(f->where));
        where = f->where;
        sb_printf(out, "  %-4s  " STR_FMT "\n", names[f->level], STR_ARG(f->what));
        if (f->remedy.len) sb_printf(out, "        → " STR_FMT "\n", STR_ARG(f->remedy));
    }
    sb_printf(out, "\n" STR_FMT ": %zu ok, %zu notes, %zu warnings, %zu failures\n", STR_ARG(task),
              r->counts[CHECK_OK], r->counts[CHECK_NOTE], r->counts[CHECK_WARN], r->counts[CHECK_FAIL]);
}

void check_report_done(CheckReport *r)
{
    free(r->findings);
    json_decref(r->load);
    arena_done(&r->arena);
    *r = (CheckReport){0};
}
