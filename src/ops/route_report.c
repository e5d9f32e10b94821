#include "ops/route_report.h"
#include <jansson.h>
#include <stdlib.h>
#include "base/map.h"
#include "ops/text_table.h"
#include "base/poison.h"

enum { NAMES_MAX = 5 }; /* members named per group, for people */

static const char *const outcome_names[] = {
    [ROUTE_FILTERED] = "filtered",   [ROUTE_UNMATCHED] = "unmatched", [ROUTE_MATCHED] = "matched",
    [ROUTE_AMBIGUOUS] = "ambiguous", [ROUTE_FAILED] = "failed",
};

static const char *const state_names[] = {
    [TARGET_NOT_ASKED] = "not looked at",
    [TARGET_EQUAL] = "fits its shards",
    [TARGET_DIFFERS] = "differs from its shards",
    [TARGET_CREATABLE] = "missing, would be created",
    [TARGET_MISSING] = "missing",
};

typedef struct Counts {
    size_t by_outcome[ROUTE_FAILED + 1], tables;
} Counts;

static Counts count_source(const RouteReport *r, size_t source)
{
    Counts c = {0};
    for (size_t i = 0; i < r->plan->n; i++)
        if (r->plan->entries[i].source == source || source == SIZE_MAX) {
            c.tables++;
            c.by_outcome[r->plan->entries[i].answer.outcome]++;
        }
    return c;
}

/* All problems in the order they are shown; index from 0, NULL at the end. */
static const RouteProblem *problem_at(const RouteReport *r, size_t i)
{
    if (r->downstream) {
        if (i == 0) return r->downstream;
        i--;
    }
    size_t serious = 0;
    while (serious < r->plan->n_problems && r->plan->problems[serious].level != ROUTE_NOTE)
        serious++;
    if (i < serious) return &r->plan->problems[i];
    i -= serious;
    for (size_t t = 0; r->comparisons && t < r->plan->n_targets; t++) {
        if (i < r->comparisons[t].n_problems) return &r->comparisons[t].problems[i];
        i -= r->comparisons[t].n_problems;
    }
    return serious + i < r->plan->n_problems ? &r->plan->problems[serious + i] : NULL;
}

static size_t count_problems(const RouteReport *r)
{
    size_t n = 0;
    const RouteProblem *p;
    for (size_t i = 0; (p = problem_at(r, i)) && p->level != ROUTE_NOTE; i++)
        n++;
    return n;
}

bool route_report_has_problems(const RouteReport *r)
{
    return count_problems(r) > 0;
}

/* -- for people -- */

static void put(TextTable *t, StrBuf *cell)
{
    table_text(t, sb_view(cell));
    sb_clear(cell);
}

static void add_counted(StrBuf *b, size_t n, const char *what)
{
    sb_c(b, ", ");
    text_count(b, n);
    sb_c(b, what);
}

static void human_summary(const RouteReport *r, StrBuf *out)
{
    Counts c = count_source(r, SIZE_MAX);
    sb_printf(out, "task " STR_FMT ": ", STR_ARG(r->task));
    text_count(out, r->n_sources);
    sb_c(out, r->n_sources == 1 ? " source" : " sources");
    add_counted(out, c.tables, c.tables == 1 ? " table" : " tables");
    sb_c(out, ": ");
    text_count(out, c.by_outcome[ROUTE_MATCHED]);
    sb_c(out, " routed by a rule");
    if (c.by_outcome[ROUTE_UNMATCHED])
        add_counted(out, c.by_outcome[ROUTE_UNMATCHED], " without a rule (same name)");
    if (c.by_outcome[ROUTE_FILTERED]) add_counted(out, c.by_outcome[ROUTE_FILTERED], " filtered");
    if (c.by_outcome[ROUTE_AMBIGUOUS]) add_counted(out, c.by_outcome[ROUTE_AMBIGUOUS], " ambiguous");
    if (c.by_outcome[ROUTE_FAILED]) add_counted(out, c.by_outcome[ROUTE_FAILED], " failed");
    sb_c(out, "\n");
}

static void entry_row(const RouteReport *r, const RouteEntry *e, TextTable *t, StrBuf *cell)
{
    const RouteAnswer *a = &e->answer;
    table_text(t, r->source_ids[e->source]);
    table_name_plain(e->table, cell);
    put(t, cell);
    if (e->target == ROUTE_NO_TARGET)
        sb_printf(cell, "(%s)", outcome_names[a->outcome]);
    else
        table_name_plain(a->target, cell);
    put(t, cell);
    switch (a->outcome) {
    case ROUTE_MATCHED: table_text(t, a->rule->name); return;
    case ROUTE_UNMATCHED: table_text(t, STR("(none)")); return;
    case ROUTE_AMBIGUOUS:
        sb_printf(cell, STR_FMT ", " STR_FMT, STR_ARG(a->rule->name), STR_ARG(a->other->name));
        put(t, cell);
        return;
    case ROUTE_FILTERED:
    case ROUTE_FAILED: table_text(t, a->by); return;
    }
}

static void human_tables(const RouteReport *r, bool all, StrBuf *out)
{
    TextTable t = {.columns = 4};
    StrBuf cell = {0};
    size_t rows = 0;
    static const char *const heads[] = {"source", "table", "target", "rule"};
    for (size_t i = 0; i < ARRAY_LEN(heads); i++)
        table_text(&t, str_of(heads[i]));
    for (size_t i = 0; i < r->plan->n; i++) {
        const RouteEntry *e = &r->plan->entries[i];
        if (e->answer.outcome == ROUTE_FILTERED && !all) continue;
        entry_row(r, e, &t, &cell);
        rows++;
    }
    if (rows) {
        sb_ch(out, '\n');
        table_print(&t, false, out);
    }
    sb_done(&cell);
    table_done(&t);
}

/* Filtered tables by source and reason, in the order they come. */
static void human_filtered(const RouteReport *r, StrBuf *out)
{
    TextTable t = {.columns = 3};
    Arena arena = {0};
    const RoutePlan *p = r->plan;
    size_t *counts = arena_array(&arena, size_t, p->n + 1), *firsts = arena_array(&arena, size_t, p->n + 1),
           n = 0;
    Map seen = {0};
    for (size_t i = 0; i < p->n; i++) {
        const RouteEntry *e = &p->entries[i];
        if (e->answer.outcome != ROUTE_FILTERED) continue;
        Str key = arena_printf(&arena, "%u " STR_FMT, e->source, STR_ARG(e->answer.by));
        size_t k = (size_t)(uintptr_t)map_get(&seen, key);
        if (k == 0) {
            firsts[n++] = i;
            k = n;
            map_put(&seen, key, (void *)(uintptr_t)k);
        }
        counts[k - 1]++;
    }
    static const char *const heads[] = {"source", "filtered", "by"};
    for (size_t i = 0; i < ARRAY_LEN(heads); i++)
        table_text(&t, str_of(heads[i]));
    for (size_t k = 0; k < n; k++) {
        table_text(&t, r->source_ids[p->entries[firsts[k]].source]);
        table_count(&t, counts[k]);
        table_text(&t, p->entries[firsts[k]].answer.by);
    }
    if (n) {
        sb_ch(out, '\n');
        table_print(&t, false, out);
    }
    map_done(&seen);
    arena_done(&arena);
    table_done(&t);
}

/* Different sources among a target's members, which come sorted by source. */
static size_t count_sources(const RoutePlan *p, const RouteTarget *t)
{
    size_t n = 0;
    for (size_t m = 0; m < t->n_members; m++)
        if (m == 0 || p->entries[t->members[m]].source != p->entries[t->members[m - 1]].source) n++;
    return n;
}

static void human_targets(const RouteReport *r, StrBuf *out)
{
    if (r->plan->n_targets == 0) return;
    TextTable t = {.columns = r->comparisons ? 4 : 3};
    StrBuf cell = {0};
    static const char *const heads[] = {"target", "tables", "sources", "downstream"};
    for (size_t i = 0; i < t.columns; i++)
        i == 1 || i == 2 ? table_right(&t, str_of(heads[i])) : table_text(&t, str_of(heads[i]));
    for (size_t i = 0; i < r->plan->n_targets; i++) {
        const RouteTarget *target = &r->plan->targets[i];
        table_name_plain(target->name, &cell);
        put(&t, &cell);
        table_count(&t, target->n_members);
        table_count(&t, count_sources(r->plan, target));
        if (r->comparisons) table_text(&t, str_of(state_names[r->comparisons[i].state]));
    }
    sb_ch(out, '\n');
    table_print(&t, false, out);
    sb_done(&cell);
    table_done(&t);
}

static void indent(Str lines, const char *by, StrBuf *out)
{
    while (lines.len > 0) {
        Str line = str_split(&lines, '\n');
        sb_printf(out, "%s" STR_FMT "\n", by, STR_ARG(line));
    }
}

static void group_line(const RouteReport *r, const SchemaGroup *g, StrBuf *out)
{
    sb_printf(out, "  %zu table%s: ", g->n, g->n == 1 ? "" : "s alike");
    for (size_t m = 0; m < g->n && m < NAMES_MAX; m++) {
        const RouteEntry *e = &r->plan->entries[g->members[m]];
        sb_printf(out, "%s" STR_FMT " ", m ? ", " : "", STR_ARG(r->source_ids[e->source]));
        table_name_plain(e->table, out);
    }
    sb_c(out, g->n > NAMES_MAX ? ", …\n" : "\n");
}

static void human_comparison(const RouteReport *r, size_t i, StrBuf *out)
{
    const RouteComparison *c = &r->comparisons[i];
    TableName name = r->plan->targets[i].name;
    if (c->n_groups > 1) {
        sb_c(out, "\nshard tables of ");
        table_name_plain(name, out);
        sb_c(out, " differ:\n");
        for (size_t g = 0; g < c->n_groups; g++) {
            group_line(r, &c->groups[g], out);
            indent(c->groups[g].differences, "    ", out);
        }
    }
    if (c->state == TARGET_DIFFERS) {
        sb_c(out, "\ntarget ");
        table_name_plain(name, out);
        sb_c(out, " differs from its shard tables:\n");
        indent(c->differences, "    ", out);
    }
    if (c->state == TARGET_CREATABLE) {
        sb_c(out, "\ntarget ");
        table_name_plain(name, out);
        sb_c(out, " would be created:\n");
        indent(c->create_sql, "    ", out);
    }
}

static void human_problems(const RouteReport *r, StrBuf *out)
{
    const RouteProblem *p;
    if (problem_at(r, 0)) sb_ch(out, '\n');
    for (size_t i = 0; (p = problem_at(r, i)); i++) {
        sb_printf(out, "%s: ", route_level_name(p->level));
        route_problem_format(p, out);
        sb_ch(out, '\n');
    }
    size_t n = count_problems(r);
    sb_ch(out, '\n');
    if (n)
        sb_printf(out, "%zu problem%s to mend\n", n, n == 1 ? "" : "s");
    else
        sb_c(out, "nothing to mend\n");
}

void route_report_human(const RouteReport *r, bool all, StrBuf *out)
{
    human_summary(r, out);
    human_tables(r, all, out);
    if (!all) human_filtered(r, out);
    human_targets(r, out);
    for (size_t i = 0; r->comparisons && i < r->plan->n_targets; i++)
        human_comparison(r, i, out);
    human_problems(r, out);
}

/* -- JSON -- */

/* Text from a list may be no UTF-8; what is not becomes '?'. */
static json_t *json_of(Str s)
{
    json_t *j = json_stringn(s.ptr ? s.ptr : "", s.len);
    if (j) return j;
    StrBuf b = {0};
    sb_str(&b, s);
    for (size_t i = 0; i < b.len; i++)
        if ((unsigned char)b.ptr[i] >= 0x80) b.ptr[i] = '?';
    j = json_stringn(b.ptr, b.len);
    sb_done(&b);
    return j;
}

static json_t *json_number(size_t n)
{
    return json_integer((json_int_t)n);
}

static json_t *json_lines(Str lines)
{
    json_t *list = json_array();
    while (lines.len > 0) {
        Str line = str_trim(str_split(&lines, '\n'));
        if (line.len) json_array_append_new(list, json_of(line));
    }
    return list;
}

static json_t *json_name(TableName name)
{
    return json_pack("{s:o, s:o}", "schema", json_of(name.schema), "table", json_of(name.table));
}

static json_t *json_member(const RouteReport *r, uint32_t entry)
{
    const RouteEntry *e = &r->plan->entries[entry];
    json_t *o = json_name(e->table);
    json_object_set_new(o, "source", json_of(r->source_ids[e->source]));
    return o;
}

static json_t *json_members(const RouteReport *r, const uint32_t *members, size_t n)
{
    json_t *list = json_array();
    for (size_t i = 0; i < n; i++)
        json_array_append_new(list, json_member(r, members[i]));
    return list;
}

static json_t *json_sources(const RouteReport *r)
{
    json_t *list = json_array();
    for (size_t i = 0; i < r->n_sources; i++) {
        Counts c = count_source(r, i);
        json_t *o = json_pack("{s:o, s:o}", "id", json_of(r->source_ids[i]), "tables", json_number(c.tables));
        for (size_t k = 0; k < ARRAY_LEN(outcome_names); k++)
            json_object_set_new(o, outcome_names[k], json_number(c.by_outcome[k]));
        json_array_append_new(list, o);
    }
    return list;
}

static json_t *json_tables(const RouteReport *r)
{
    json_t *list = json_array();
    for (uint32_t i = 0; i < r->plan->n; i++) {
        const RouteEntry *e = &r->plan->entries[i];
        const RouteAnswer *a = &e->answer;
        json_t *o = json_member(r, i), *captures = json_array();
        for (size_t k = 0; k < a->n_captures; k++)
            json_array_append_new(captures, json_of(a->captures[k]));
        json_object_set_new(o, "outcome", json_string(outcome_names[a->outcome]));
        json_object_set_new(o, "target", e->target == ROUTE_NO_TARGET ? json_null() : json_name(a->target));
        json_object_set_new(o, "rule", a->rule ? json_of(a->rule->name) : json_null());
        json_object_set_new(o, "other_rule", a->other ? json_of(a->other->name) : json_null());
        json_object_set_new(o, "by", a->by.len ? json_of(a->by) : json_null());
        json_object_set_new(o, "captures", captures);
        json_array_append_new(list, o);
    }
    return list;
}

static void json_add_comparison(const RouteReport *r, const RouteComparison *c, json_t *o)
{
    static const char *const states[] = {[TARGET_NOT_ASKED] = "not-asked",
                                         [TARGET_EQUAL] = "equal",
                                         [TARGET_DIFFERS] = "differs",
                                         [TARGET_CREATABLE] = "creatable",
                                         [TARGET_MISSING] = "missing"};
    json_t *groups = json_array();
    for (size_t g = 0; g < c->n_groups; g++)
        json_array_append_new(groups, json_pack("{s:o, s:o}", "members",
                                                json_members(r, c->groups[g].members, c->groups[g].n),
                                                "differences", json_lines(c->groups[g].differences)));
    json_object_set_new(o, "state", json_string(states[c->state]));
    json_object_set_new(o, "definitions", groups);
    json_object_set_new(o, "differences", json_lines(c->differences));
    json_object_set_new(o, "create", c->create_sql.len ? json_of(c->create_sql) : json_null());
}

static json_t *json_targets(const RouteReport *r)
{
    json_t *list = json_array();
    for (size_t i = 0; i < r->plan->n_targets; i++) {
        const RouteTarget *t = &r->plan->targets[i];
        json_t *o = json_name(t->name);
        json_object_set_new(o, "members", json_members(r, t->members, t->n_members));
        if (r->comparisons) json_add_comparison(r, &r->comparisons[i], o);
        json_array_append_new(list, o);
    }
    return list;
}

static json_t *json_problem(const RouteProblem *p)
{
    json_t *o = json_pack("{s:s, s:o}", "level", route_level_name(p->level), "text", json_of(p->text));
    Err err = {.code = p->code};
    bool placed = p->place.file && p->place.line;
    json_object_set_new(o, "code", p->code ? json_string(err_code_name(p->code)) : json_null());
    json_object_set_new(o, "number", p->code ? json_number(p->code) : json_null());
    json_object_set_new(o, "remedy", p->code ? json_string(err_remedy(&err)) : json_null());
    json_object_set_new(o, "file", placed ? json_of(str_of(p->place.file)) : json_null());
    json_object_set_new(o, "line", placed ? json_number(p->place.line) : json_null());
    json_object_set_new(o, "column", placed ? json_number(p->place.column) : json_null());
    return o;
}

void route_report_json(const RouteReport *r, StrBuf *out)
{
    json_t *problems = json_array();
    const RouteProblem *p;
    for (size_t i = 0; (p = problem_at(r, i)); i++)
        json_array_append_new(problems, json_problem(p));
    json_t *root =
        json_pack("{s:o, s:b, s:b, s:o, s:o, s:o, s:o}", "task", json_of(r->task), "live",
                  r->comparisons != NULL, "ok", !route_report_has_problems(r), "sources", json_sources(r),
                  "tables", json_tables(r), "targets", json_targets(r), "problems", problems);
    char *text = json_dumps(root, JSON_COMPACT);
    sb_c(out, text);
    sb_ch(out, '\n');
    free(text);
    json_decref(root);
}
