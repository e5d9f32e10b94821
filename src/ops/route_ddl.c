#include "ops/route_ddl.h"
#include <jansson.h>
#include <stdlib.h>
#include "base/poison.h"

static bool exists(const RouteComparison *c)
{
    return c->state == TARGET_EQUAL || c->state == TARGET_DIFFERS;
}

static const char *strategy_of(const RouteReport *r, size_t target)
{
    const MemberKeys *keys = r->keys ? route_keys_of_target(r->plan, r->keys, target) : NULL;
    return keys_strategy_name(keys ? keys->strategy : KEY_STRATEGY_ERROR);
}

/* Each line of text behind a comment mark. */
static void comment(StrBuf *out, Str lines)
{
    while (lines.len) {
        Str line = str_split(&lines, '\n');
        if (line.len) sb_printf(out, "-- " STR_FMT "\n", STR_ARG(line));
    }
}

static void why_not(const RouteComparison *c, StrBuf *out)
{
    sb_c(out, "-- no statement: ");
    for (size_t i = 0; i < c->n_problems; i++)
        sb_printf(out, "%s" STR_FMT, i ? "; " : "", STR_ARG(c->problems[i].text));
    if (!c->n_problems) sb_c(out, "no shard table could be read");
    sb_ch(out, '\n');
}

void route_ddl_human(const RouteReport *r, StrBuf *out)
{
    for (size_t i = 0; i < r->plan->n_targets; i++) {
        const RouteTarget *t = &r->plan->targets[i];
        const RouteComparison *c = &r->comparisons[i];
        sb_printf(out, "%s-- ", i ? "\n" : "");
        table_name_plain(t->name, out);
        sb_printf(out, ": %zu shard tables, key strategy %s\n", t->n_members, strategy_of(r, i));
        comment(out, c->advice);
        if (exists(c) && c->misfit.len) {
            sb_c(out, "-- it exists and does not fit: ");
            sb_str(out, c->misfit);
            sb_c(out, "\n-- to run: ");
            sb_str(out, c->remedy);
            sb_ch(out, '\n');
        } else if (exists(c)) {
            sb_c(out, "-- it exists\n");
        }
        if (!c->fit_sql.len) {
            why_not(c, out);
            continue;
        }
        sb_str(out, c->fit_sql);
        sb_c(out, ";\n");
    }
}

static json_t *text_json(Str s)
{
    if (!s.len) return json_null();
    json_t *j = json_stringn(s.ptr, s.len);
    return j ? j : json_string("(not UTF-8)");
}

void route_ddl_json(const RouteReport *r, StrBuf *out)
{
    json_t *targets = json_array();
    for (size_t i = 0; i < r->plan->n_targets; i++) {
        const RouteTarget *t = &r->plan->targets[i];
        const RouteComparison *c = &r->comparisons[i];
        json_t *advice = json_array(), *o = json_object();
        for (Str rest = c->advice; rest.len;) {
            Str line = str_split(&rest, '\n');
            if (line.len) json_array_append_new(advice, text_json(line));
        }
        json_object_set_new(o, "schema", text_json(t->name.schema));
        json_object_set_new(o, "table", text_json(t->name.table));
        json_object_set_new(o, "strategy", json_string(strategy_of(r, i)));
        json_object_set_new(o, "create", text_json(c->fit_sql));
        json_object_set_new(o, "advice", advice);
        json_object_set_new(o, "exists", json_boolean(exists(c)));
        json_object_set_new(o, "fits", exists(c) ? json_boolean(!c->misfit.len) : json_null());
        json_object_set_new(o, "misfit", text_json(c->misfit));
        json_object_set_new(o, "alter", text_json(c->remedy));
        json_array_append_new(targets, o);
    }
    json_t *root = json_pack("{s:o, s:o}", "task", text_json(r->task), "targets", targets);
    char *text = json_dumps(root, JSON_COMPACT);
    sb_c(out, text);
    sb_ch(out, '\n');
    free(text);
    json_decref(root);
}
