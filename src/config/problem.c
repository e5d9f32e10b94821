#include "config/problem.h"
#include <stdlib.h>
#include "base/poison.h"

struct Problem {
    ErrCode code;
    ConfigPlace place; /* file borrowed from the task's arena */
    size_t seq;        /* as found: keeps the sort stable */
    char *message;
    char *remedy; /* NULL: the table's */
};

bool problem_add(Problems *ps, ErrCode code, ConfigPlace place, const char *remedy, const char *fmt, ...)
{
    StrBuf b = {0};
    va_list ap;
    va_start(ap, fmt);
    sb_vprintf(&b, fmt, ap);
    va_end(ap);
    for (size_t i = ps->n > 32 ? ps->n - 32 : 0; i < ps->n; i++) {
        const Problem *p = &ps->list[i];
        if (p->code == code && p->place.file == place.file && p->place.line == place.line &&
            p->place.column == place.column && str_eqc(sb_view(&b), p->message)) {
            sb_done(&b);
            return false;
        }
    }
    if (ps->n == ps->cap) {
        ps->cap = ps->cap ? ps->cap * 2 : 16;
        ps->list = mem_realloc(ps->list, ps->cap * sizeof *ps->list);
    }
    ps->list[ps->n] = (Problem){.code = code,
                                .place = place,
                                .seq = ps->n,
                                .message = sb_take(&b),
                                .remedy = remedy ? str_dup(str_of(remedy)) : NULL};
    ps->n++;
    return false;
}

static int by_place(const void *a, const void *b)
{
    const Problem *x = a, *y = b;
    int c = str_cmp(str_of(x->place.file), str_of(y->place.file));
    if (c) return c;
    if (x->place.line != y->place.line) return x->place.line < y->place.line ? -1 : 1;
    if (x->place.column != y->place.column) return x->place.column < y->place.column ? -1 : 1;
    return x->seq < y->seq ? -1 : x->seq > y->seq;
}

static void place_write(StrBuf *out, ConfigPlace place)
{
    sb_c(out, place.file);
    if (place.line) sb_printf(out, ":%u:%u", place.line, place.column);
}

bool problems_report(Problems *ps, StrBuf *lines, Err *err)
{
    if (ps->n == 0) return true;
    qsort(ps->list, ps->n, sizeof *ps->list, by_place);
    const Problem *first = &ps->list[0];
    StrBuf where = {0};
    place_write(&where, first->place);
    if (first->remedy)
        err_set_remedy(err, first->code, first->remedy, STR_FMT ": %s", STR_ARG(sb_view(&where)),
                       first->message);
    else
        err_set(err, first->code, STR_FMT ": %s", STR_ARG(sb_view(&where)), first->message);
    sb_done(&where);
    for (size_t i = 0; lines && i < ps->n; i++) {
        const Problem *p = &ps->list[i];
        Err one = {.code = p->code, .remedy = p->remedy};
        place_write(lines, p->place);
        sb_printf(lines, ": [SM-%d %s] %s; %s\n", (int)p->code, err_code_name(p->code), p->message,
                  err_remedy(&one));
    }
    return false;
}

void problems_done(Problems *ps)
{
    for (size_t i = 0; i < ps->n; i++) {
        free(ps->list[i].message);
        free(ps->list[i].remedy);
    }
    free(ps->list);
    *ps = (Problems){0};
}
