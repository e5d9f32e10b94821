#include "ops/route_list.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include "base/poison.h"

enum { LIST_BYTES_MAX = 64 << 20, PARTS_MAX = 3 };

typedef struct Line {
    const char *name;
    unsigned number;
    Str whole;
} Line;

static bool line_error(const Line *l, const char *at, const char *what, Err *err)
{
    return err_set(err, ERR_ROUTE_LIST, "%s:%u:%zu: %s", l->name, l->number, (size_t)(at - l->whole.ptr) + 1,
                   what);
}

/* The next part of a name: up to a dot or the end, or in back quotes. */
static bool next_part(const Line *l, Str *rest, Arena *arena, Str *part, Err *err)
{
    const char *start = rest->ptr;
    if (rest->len == 0 || rest->ptr[0] != '`') {
        size_t dot = str_find(*rest, STR("."));
        *part = (Str){start, dot == SIZE_MAX ? rest->len : dot};
        *rest = (Str){start + part->len, rest->len - part->len};
        if (str_find(*part, STR("`")) != SIZE_MAX)
            return line_error(l, start, "a back quote inside a name", err);
    } else {
        StrBuf b = {0};
        size_t i = 1;
        for (; i < rest->len; i++) {
            if (rest->ptr[i] == '`' && (i + 1 == rest->len || rest->ptr[i + 1] != '`')) break;
            if (rest->ptr[i] == '`') i++;
            sb_ch(&b, rest->ptr[i]);
        }
        *part = arena_str(arena, sb_view(&b));
        sb_done(&b);
        if (i >= rest->len) return line_error(l, start, "a back quote is not closed", err);
        *rest = (Str){rest->ptr + i + 1, rest->len - i - 1};
    }
    if (part->len == 0) return line_error(l, start, "an empty name", err);
    if (rest->len > 0 && rest->ptr[0] != '.')
        return line_error(l, rest->ptr, "a dot is missing after `…`", err);
    return true;
}

/* Splits a line into 2 or 3 parts. */
static bool split_line(const Line *l, Arena *arena, Str parts[PARTS_MAX], size_t *n, Err *err)
{
    Str rest = l->whole;
    *n = 0;
    for (;;) {
        if (*n == PARTS_MAX) return line_error(l, rest.ptr, "more than source.schema.table", err);
        if (!next_part(l, &rest, arena, &parts[*n], err)) return false;
        ++*n;
        if (rest.len == 0) break;
        rest = (Str){rest.ptr + 1, rest.len - 1};
    }
    if (*n < 2) return line_error(l, l->whole.ptr, "only one name; a schema and a table are needed", err);
    return true;
}

static bool find_source(const Line *l, Str id, const Str *sources, size_t n, size_t *found, Err *err)
{
    for (size_t i = 0; i < n; i++)
        if (str_eq(sources[i], id)) {
            *found = i;
            return true;
        }
    return err_set(err, ERR_OPS_NO_SUCH_SOURCE, "%s:%u:1: no source \"" STR_FMT "\" in the task", l->name,
                   l->number, STR_ARG(id));
}

static size_t count_lines(Str text)
{
    size_t n = 1;
    for (size_t i = 0; i < text.len; i++)
        n += text.ptr[i] == '\n';
    return n;
}

bool route_list_parse(const char *name, Str text, const Str *sources, size_t n_sources, Arena *arena,
                      RouteList *lists, Err *err)
{
    size_t cap = count_lines(text);
    text = arena_str(arena, text); /* names are views into it */
    for (size_t i = 0; i < n_sources; i++)
        lists[i] = (RouteList){arena_array(arena, TableName, cap), 0};
    for (Line l = {name, 1, {0}}; text.len > 0; l.number++) {
        l.whole = str_trim(str_split(&text, '\n'));
        if (l.whole.len == 0 || l.whole.ptr[0] == '#') continue;
        Str parts[PARTS_MAX];
        size_t n, only = 0;
        if (!split_line(&l, arena, parts, &n, err)) return false;
        if (n == 3 && !find_source(&l, parts[0], sources, n_sources, &only, err)) return false;
        TableName table = {parts[n - 2], parts[n - 1]};
        for (size_t i = 0; i < n_sources; i++)
            if (n == 2 || i == only) lists[i].tables[lists[i].n++] = table;
    }
    return true;
}

bool route_list_read(const char *path, StrBuf *out, Err *err)
{
    bool standard = strcmp(path, "-") == 0;
    FILE *f = standard ? stdin : fopen(path, "rb");
    if (!f) return err_set(err, ERR_ROUTE_LIST, "%s: %s", path, strerror(errno));
    for (;;) {
        sb_reserve(out, 64 * 1024);
        size_t n = fread(out->ptr + out->len, 1, 64 * 1024, f);
        if (n == 0) break;
        sb_wrote(out, n);
        if (out->len > LIST_BYTES_MAX) break;
    }
    bool failed = ferror(f);
    int why = errno;
    if (!standard) fclose(f);
    if (failed) return err_set(err, ERR_ROUTE_LIST, "%s: %s", path, strerror(why));
    if (out->len > LIST_BYTES_MAX)
        return err_set_remedy(err, ERR_ROUTE_LIST, "cut the list", "%s: larger than 64 MiB", path);
    return true;
}
