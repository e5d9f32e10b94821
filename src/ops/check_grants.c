#include "ops/check_grants.h"
#include <stdlib.h>
#include "base/poison.h"

/* A name in back quotes (or bare up to a stop character) off the front of *s. */
static Str take_name(Str *s, const char *stops, Arena *arena)
{
    StrBuf b = {0};
    size_t i = 0;
    if (s->len && s->ptr[0] == '`') {
        for (i = 1; i < s->len; i++) {
            if (s->ptr[i] == '`' && (i + 1 == s->len || s->ptr[i + 1] != '`')) break;
            if (s->ptr[i] == '`') i++;
            sb_ch(&b, s->ptr[i]);
        }
        i = MIN(i + 1, s->len);
    } else {
        while (i < s->len && !strchr(stops, s->ptr[i]))
            sb_ch(&b, s->ptr[i++]);
    }
    *s = (Str){s->ptr + i, s->len - i};
    Str name = arena_str(arena, sb_view(&b));
    sb_done(&b);
    return name;
}

bool grants_parse(Str line, Arena *arena, GrantLine *out)
{
    *out = (GrantLine){0};
    if (!str_istarts(line, STR("GRANT "))) return false;
    Str rest = {line.ptr + 6, line.len - 6};
    size_t on = str_find(rest, STR(" ON "));
    if (on == SIZE_MAX || str_istarts(rest, STR("PROXY"))) return false;
    out->privileges = arena_str(arena, (Str){rest.ptr, on});
    rest = (Str){rest.ptr + on + 4, rest.len - on - 4};
    if (str_istarts(rest, STR("PROCEDURE ")) || str_istarts(rest, STR("FUNCTION ")) ||
        str_istarts(rest, STR("PACKAGE ")))
        return false;
    if (str_istarts(rest, STR("TABLE "))) rest = (Str){rest.ptr + 6, rest.len - 6};
    out->schema = take_name(&rest, ". ", arena);
    if (!rest.len || rest.ptr[0] != '.') return false;
    rest = (Str){rest.ptr + 1, rest.len - 1};
    out->table = take_name(&rest, " ", arena);
    return out->table.len > 0;
}

static void quote_account(Str account, Arena *arena, Str *out)
{
    size_t at = account.len;
    while (at > 0 && account.ptr[at - 1] != '@')
        at--;
    StrBuf b = {0};
    Str user = {account.ptr, at ? at - 1 : account.len}, host = {account.ptr + at, account.len - at};
    sb_quoted(&b, user);
    if (at) {
        sb_ch(&b, '@');
        sb_quoted(&b, host);
    }
    *out = arena_str(arena, sb_view(&b));
    sb_done(&b);
}

bool grants_read(Conn *c, Grants *out, Err *err)
{
    *out = (Grants){0};
    char *text = NULL;
    if (!conn_scalar(c, STR("SELECT CURRENT_USER()"), &text, err)) return false;
    quote_account(str_of(text), &out->arena, &out->user);
    free(text);
    text = NULL;
    Err none = {0};
    Str roles = {0};
    if (conn_scalar(c, STR("SELECT CURRENT_ROLE()"), &text, &none) && text &&
        !str_ieq(str_of(text), STR("NONE")))
        roles = arena_str(&out->arena, str_of(text));
    err_clear(&none); /* servers without roles do not know the function */
    free(text);
    Rows rows;
    bool ok = false;
    if (roles.len && roles.ptr[0] == '`') /* MySQL: only USING spells out what roles bring */
        ok = conn_queryf(c, &rows, &none, "SHOW GRANTS FOR CURRENT_USER() USING " STR_FMT, STR_ARG(roles));
    err_clear(&none);
    if (!ok && !conn_query(c, STR("SHOW GRANTS"), &rows, err)) {
        grants_done(out);
        return false;
    }
    out->lines = arena_array(&out->arena, GrantLine, rows.n_rows + 1);
    Str *v = mem_zalloc(sizeof *v * (rows.n_columns + 1));
    while (rows_next(&rows, v)) {
        if (grants_parse(v[0], &out->arena, &out->lines[out->n]))
            out->n++;
        else if (str_find(v[0], STR(" ON ")) == SIZE_MAX && str_istarts(v[0], STR("GRANT ")))
            out->has_roles = !ok;
    }
    free(v);
    rows_done(&rows);
    return true;
}

/* LIKE of schema patterns in grants: % any text, _ any character, a backslash takes the next one as it is. */
static bool like(Str pattern, Str s)
{
    if (!pattern.len) return !s.len;
    Str p1 = {pattern.ptr + 1, pattern.len - 1};
    if (pattern.ptr[0] == '%') {
        for (size_t i = 0; i <= s.len; i++)
            if (like(p1, (Str){s.ptr + i, s.len - i})) return true;
        return false;
    }
    if (!s.len) return false;
    char want = pattern.ptr[0];
    if (want == '\\' && p1.len) {
        want = p1.ptr[0];
        p1 = (Str){p1.ptr + 1, p1.len - 1};
    } else if (want == '_') {
        want = s.ptr[0];
    }
    return want == s.ptr[0] && like(p1, (Str){s.ptr + 1, s.len - 1});
}

static bool lists(Str privileges, const char *privilege)
{
    if (str_istarts(privileges, STR("ALL PRIVILEGES")) || str_ieq(privileges, STR("ALL"))) return true;
    while (privileges.len) {
        Str one = str_trim(str_split(&privileges, ','));
        if (str_ieq(one, str_of(privilege)))
            return true; /* a list of columns in brackets is not the whole table */
    }
    return false;
}

bool grants_have(const Grants *g, const char *privilege, Str schema, Str table)
{
    for (size_t i = 0; i < g->n; i++) {
        const GrantLine *l = &g->lines[i];
        bool all = str_eqc(l->schema, "*");
        if (!all && (!schema.len || !like(l->schema, schema))) continue;
        if (!str_eqc(l->table, "*") && !(table.len && str_ieq(l->table, table))) continue;
        if (lists(l->privileges, privilege)) return true;
    }
    return false;
}

void grants_done(Grants *g)
{
    arena_done(&g->arena);
    *g = (Grants){0};
}
