#include "route/plan.h"
#include <stdlib.h>
#include "base/map.h"
#include "base/poison.h"

enum { EXAMPLES_MAX = 3 };

/* One finding while it is gathered: the same words for many tables are one problem with a count and examples.
 */
typedef struct Finding {
    RouteProblem problem; /* text: the words without count and examples */
    size_t tables;
    StrBuf examples;
} Finding;

/* How often one entry of the configuration matched, over all sources that use it. */
typedef struct Usage {
    const RouterPattern *pattern;
    bool for_system;
    size_t matched, kept; /* tables; kept: those the allow-list does not drop */
    size_t sources;
    const PlanSource *idle; /* a source where it matches nothing */
} Usage;

typedef struct Builder {
    const PlanOpts *opts;
    RoutePlan *plan;
    Finding *findings;
    size_t n_findings, cap_findings;
    Map by_text; /* text of a finding -> its index + 1 */
    Usage *usages;
    size_t n_usages;
    Map by_identity; /* bytes of RouterPattern.identity -> index + 1 */
} Builder;

/* -- findings -- */

/* Text must come from the plan's arena. table NULL: not about single tables. */
static void find(Builder *b, RouteLevel level, ErrCode code, ConfigPlace place, Str text,
                 const RouteEntry *table)
{
    size_t i = (size_t)(uintptr_t)map_get(&b->by_text, text);
    if (i == 0) {
        if (b->n_findings == b->cap_findings) {
            b->cap_findings = b->cap_findings ? b->cap_findings * 2 : 16;
            b->findings = mem_realloc(b->findings, b->cap_findings * sizeof *b->findings);
        }
        b->findings[b->n_findings++] = (Finding){.problem = {level, code, text, place}};
        i = b->n_findings;
        map_put(&b->by_text, text, (void *)(uintptr_t)i);
    }
    if (!table) return;
    Finding *f = &b->findings[i - 1];
    if (f->tables++ >= EXAMPLES_MAX) return;
    if (f->tables > 1) sb_c(&f->examples, ", ");
    sb_str(&f->examples, b->opts->sources[table->source].id);
    sb_ch(&f->examples, ' ');
    table_name_plain(table->table, &f->examples);
}

static void write_problems(Builder *b)
{
    RoutePlan *p = b->plan;
    p->problems = arena_array(&p->arena, RouteProblem, b->n_findings);
    for (int level = ROUTE_BLOCKER; level >= ROUTE_NOTE; level--)
        for (size_t i = 0; i < b->n_findings; i++) {
            Finding *f = &b->findings[i];
            if ((int)f->problem.level != level) continue;
            RouteProblem *out = &p->problems[p->n_problems++];
            *out = f->problem;
            if (f->tables)
                out->text = arena_printf(&p->arena, STR_FMT ": %zu table%s, %s%s", STR_ARG(f->problem.text),
                                         f->tables, f->tables > 1 ? "s" : "", f->examples.ptr,
                                         f->tables > EXAMPLES_MAX ? ", …" : "");
        }
}

/* -- deciding -- */

static int compare_names(TableName a, TableName b)
{
    int c = str_cmp(a.schema, b.schema);
    return c ? c : str_cmp(a.table, b.table);
}

static int compare_tables(const void *a, const void *b)
{
    return compare_names(*(const TableName *)a, *(const TableName *)b);
}

static bool make_routers(Builder *b, Err *err)
{
    const PlanOpts *o = b->opts;
    RoutePlan *p = b->plan;
    p->routers = arena_array(&p->arena, Router *, o->n_sources);
    for (size_t i = 0; i < o->n_sources; i++) {
        const PlanSource *s = &o->sources[i];
        RouterOpts opts = {.allow_list = s->allow_list,
                           .rules = s->rules,
                           .n_rules = s->n_rules,
                           .case_sensitive = o->case_sensitive,
                           .meta_schema = o->meta_schema,
                           .source_id = s->id,
                           .mappings = s->mappings,
                           .n_mappings = s->n_mappings};
        if (!router_new(&opts, &p->routers[i], err)) return false;
        p->n_routers++;
    }
    return true;
}

static void decide_tables(Builder *b)
{
    RoutePlan *p = b->plan;
    size_t total = 0;
    for (size_t i = 0; i < b->opts->n_sources; i++)
        total += b->opts->sources[i].n_tables;
    p->entries = arena_array(&p->arena, RouteEntry, total);
    for (uint32_t i = 0; i < b->opts->n_sources; i++) {
        const PlanSource *s = &b->opts->sources[i];
        TableName *tables = arena_array(&p->arena, TableName, s->n_tables);
        if (s->n_tables) memcpy(tables, s->tables, s->n_tables * sizeof *tables);
        qsort(tables, s->n_tables, sizeof *tables, compare_tables);
        for (size_t t = 0; t < s->n_tables; t++) {
            if (t > 0 && table_name_eq(tables[t], tables[t - 1])) continue;
            RouteEntry *e = &p->entries[p->n++];
            *e = (RouteEntry){.source = i, .target = ROUTE_NO_TARGET, .table = tables[t]};
            router_table(p->routers[i], tables[t], &p->arena, &e->answer);
        }
    }
}

static bool has_target(const RouteEntry *e)
{
    return e->answer.outcome == ROUTE_MATCHED || e->answer.outcome == ROUTE_UNMATCHED;
}

static int compare_by_target(const void *a, const void *b, void *entries)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    const RouteEntry *list = entries;
    int c = compare_names(list[x].answer.target, list[y].answer.target);
    return c ? c : x < y ? -1 : x > y;
}

static void group_targets(RoutePlan *p)
{
    uint32_t *order = arena_array(&p->arena, uint32_t, p->n);
    size_t n = 0;
    for (uint32_t i = 0; i < p->n; i++)
        if (has_target(&p->entries[i])) order[n++] = i;
    qsort_r(order, n, sizeof *order, compare_by_target, p->entries);
    p->targets = arena_array(&p->arena, RouteTarget, n);
    RouteTarget *t = NULL;
    for (size_t i = 0; i < n; i++) {
        RouteEntry *e = &p->entries[order[i]];
        if (!t || !table_name_eq(t->name, e->answer.target)) {
            t = &p->targets[p->n_targets++];
            *t = (RouteTarget){.name = e->answer.target, .members = &order[i]};
        }
        t->n_members++;
        e->target = (uint32_t)(p->n_targets - 1);
    }
}

/* -- what is wrong -- */

static void rule_words(const RouteRule *r, StrBuf *b)
{
    sb_printf(b, "route rule " STR_FMT " (to " STR_FMT "." STR_FMT ")", STR_ARG(r->name),
              STR_ARG(r->target_schema), STR_ARG(r->target_table.len ? r->target_table : STR("<same name>")));
}

static void check_answers(Builder *b)
{
    RoutePlan *p = b->plan;
    for (size_t i = 0; i < p->n; i++) {
        const RouteEntry *e = &p->entries[i];
        const RouteAnswer *a = &e->answer;
        if (a->outcome == ROUTE_FAILED)
            find(b, ROUTE_BLOCKER, ERR_ROUTE_PATTERN, a->rule ? a->rule->place : (ConfigPlace){0}, a->by, e);
        if (a->outcome != ROUTE_AMBIGUOUS) continue;
        StrBuf text = {0};
        rule_words(a->rule, &text);
        sb_c(&text, " and ");
        rule_words(a->other, &text);
        sb_c(&text, " both match");
        find(b, ROUTE_BLOCKER, ERR_ROUTE_AMBIGUOUS, a->other->place, arena_str(&p->arena, sb_view(&text)), e);
        sb_done(&text);
    }
}

/* One code point in lower case: ASCII, Latin-1, Latin Extended-A, Greek and Cyrillic capitals; others stay.
 */
static uint32_t fold_char(uint32_t c)
{
    if (c < 0x80) return c >= 'A' && c <= 'Z' ? c + 32 : c;
    if (c >= 0xc0 && c <= 0xde && c != 0xd7) return c + 32;
    if ((c >= 0x100 && c <= 0x137 && c != 0x130) || (c >= 0x14a && c <= 0x177)) return c | 1;
    if ((c >= 0x139 && c <= 0x148) || (c >= 0x179 && c <= 0x17e)) return c & 1 ? c + 1 : c;
    if (c >= 0x391 && c <= 0x3ab && c != 0x3a2) return c + 32;
    if (c >= 0x410 && c <= 0x42f) return c + 32;
    if (c >= 0x400 && c <= 0x40f) return c + 80;
    return c;
}

/* Appends s folded; only two-byte UTF-8 sequences hold letters that fold_char knows. */
static void fold(Str s, StrBuf *out)
{
    for (size_t i = 0; i < s.len; i++) {
        unsigned char c = (unsigned char)s.ptr[i];
        if (c >= 0xc3 && c <= 0xdf && i + 1 < s.len) {
            uint32_t f = fold_char((uint32_t)(c & 0x1f) << 6 | ((unsigned char)s.ptr[i + 1] & 0x3f));
            sb_ch(out, (char)(0xc0 | f >> 6));
            sb_ch(out, (char)(0x80 | (f & 0x3f)));
            i++;
        } else {
            sb_ch(out, (char)fold_char(c));
        }
    }
}

static bool differ_by_case(Str a, Str b)
{
    StrBuf x CLEANUP(sb_done) = {0}, y CLEANUP(sb_done) = {0};
    if (str_eq(a, b)) return false;
    fold(a, &x);
    fold(b, &y);
    return str_eq(sb_view(&x), sb_view(&y));
}

bool route_case_clash(TableName a, TableName b)
{
    return differ_by_case(a.schema, b.schema) ||
           (str_eq(a.schema, b.schema) && differ_by_case(a.table, b.table));
}

static void add_member(const Builder *b, const RouteTarget *t, StrBuf *text)
{
    const RouteEntry *e = &b->plan->entries[t->members[0]];
    sb_c(text, " (from ");
    sb_str(text, b->opts->sources[e->source].id);
    sb_ch(text, ' ');
    table_name_plain(e->table, text);
    if (t->n_members > 1) sb_printf(text, " and %zu more", t->n_members - 1);
    sb_ch(text, ')');
}

static void find_clash(Builder *b, const RouteTarget *one, const RouteTarget *two)
{
    bool schemas = !str_eq(one->name.schema, two->name.schema);
    StrBuf text = {0};
    sb_c(&text, schemas ? "target schemas " : "targets ");
    schemas ? sb_str(&text, one->name.schema) : table_name_plain(one->name, &text);
    if (!schemas) add_member(b, one, &text);
    sb_c(&text, " and ");
    schemas ? sb_str(&text, two->name.schema) : table_name_plain(two->name, &text);
    if (!schemas) add_member(b, two, &text);
    sb_c(&text, " differ only by case; to TiDB they are one");
    const RouteRule *rule = b->plan->entries[two->members[0]].answer.rule;
    find(b, ROUTE_BLOCKER, ERR_ROUTE_CASE, rule ? rule->place : (ConfigPlace){0},
         arena_str(&b->plan->arena, sb_view(&text)), NULL);
    sb_done(&text);
}

static void check_case(Builder *b)
{
    Map schemas = {0}, tables = {0};
    StrBuf key = {0};
    for (size_t i = 0; i < b->plan->n_targets; i++) {
        RouteTarget *t = &b->plan->targets[i];
        sb_clear(&key);
        fold(t->name.schema, &key);
        RouteTarget *first = map_get(&schemas, sb_view(&key));
        if (!first)
            map_put(&schemas, sb_view(&key), t);
        else if (!str_eq(first->name.schema, t->name.schema))
            find_clash(b, first, t);
        sb_ch(&key, 0);
        fold(t->name.table, &key);
        first = map_get(&tables, sb_view(&key));
        if (!first)
            map_put(&tables, sb_view(&key), t);
        else if (str_eq(first->name.schema, t->name.schema))
            find_clash(b, first, t);
    }
    sb_done(&key);
    map_done(&schemas);
    map_done(&tables);
}

static Usage *usage_of(Builder *b, const RouterPattern *pattern)
{
    Str key = str_make(&pattern->identity, sizeof pattern->identity);
    size_t i = (size_t)(uintptr_t)map_get(&b->by_identity, key);
    if (i == 0) {
        b->usages = mem_realloc(b->usages, (b->n_usages + 1) * sizeof *b->usages);
        b->usages[b->n_usages++] = (Usage){.pattern = pattern};
        i = b->n_usages;
        map_put(&b->by_identity, key, (void *)(uintptr_t)i);
    }
    return &b->usages[i - 1];
}

/* Counts the tables that each entry of each source matches. */
static void count_usage(Builder *b)
{
    const RoutePlan *p = b->plan;
    size_t from = 0;
    for (size_t s = 0; s < p->n_routers; s++) {
        size_t to = from;
        while (to < p->n && p->entries[to].source == s)
            to++;
        for (size_t k = 0; k < router_n_patterns(p->routers[s]); k++) {
            Usage *u = usage_of(b, router_pattern(p->routers[s], k));
            size_t before = u->matched;
            u->sources++;
            u->for_system = router_pattern_is_for_system(p->routers[s], k);
            for (size_t i = from; i < to; i++) {
                if (router_is_system_schema(p->routers[s], p->entries[i].table.schema)) continue;
                if (!router_pattern_matches(p->routers[s], k, p->entries[i].table)) continue;
                u->matched++;
                if (p->entries[i].answer.outcome != ROUTE_FILTERED) u->kept++;
            }
            if (u->matched == before && !u->idle) u->idle = &b->opts->sources[s];
        }
        from = to;
    }
}

static void check_usage(Builder *b)
{
    Arena *arena = &b->plan->arena;
    count_usage(b);
    for (size_t i = 0; i < b->n_usages; i++) {
        const Usage *u = &b->usages[i];
        const RouterPattern *p = u->pattern;
        bool rule = p->kind == ROUTER_RULE;
        if (u->matched == 0 && !u->for_system)
            find(b, ROUTE_PROBLEM, ERR_ROUTE_NOTHING, p->place,
                 arena_printf(arena, STR_FMT " \"" STR_FMT "\" matches no table", STR_ARG(p->what),
                              STR_ARG(p->patterns)),
                 NULL);
        else if (rule && u->kept == 0)
            find(b, ROUTE_PROBLEM, ERR_ROUTE_NOTHING, p->place,
                 arena_printf(arena,
                              STR_FMT " \"" STR_FMT "\" matches only tables that the allow-list keeps out",
                              STR_ARG(p->what), STR_ARG(p->patterns)),
                 NULL);
        else if (rule && u->idle && u->sources > 1)
            find(b, ROUTE_NOTE, ERR_NONE, p->place,
                 arena_printf(arena, STR_FMT " \"" STR_FMT "\" matches no table of source " STR_FMT,
                              STR_ARG(p->what), STR_ARG(p->patterns), STR_ARG(u->idle->id)),
                 NULL);
    }
}

static void check_sources(Builder *b)
{
    const RoutePlan *p = b->plan;
    size_t i = 0;
    for (uint32_t s = 0; s < b->opts->n_sources; s++) {
        const PlanSource *source = &b->opts->sources[s];
        size_t tables = 0, kept = 0;
        for (; i < p->n && p->entries[i].source == s; i++) {
            tables++;
            if (p->entries[i].answer.outcome != ROUTE_FILTERED) kept++;
        }
        if (kept) continue;
        Str text =
            tables ? arena_printf(&b->plan->arena, "source " STR_FMT ": none of its %zu tables is replicated",
                                  STR_ARG(source->id), tables)
                   : arena_printf(&b->plan->arena, "source " STR_FMT ": has no tables", STR_ARG(source->id));
        find(b, ROUTE_PROBLEM, ERR_ROUTE_NOTHING, source->place, text, NULL);
    }
}

/* Tables that come into a target by their own name, beside others: legal, often an oversight. */
static void check_own_names(Builder *b)
{
    const RoutePlan *p = b->plan;
    for (size_t i = 0; i < p->n_targets; i++) {
        const RouteTarget *t = &p->targets[i];
        size_t unmatched = 0;
        for (size_t m = 0; m < t->n_members; m++)
            if (p->entries[t->members[m]].answer.outcome == ROUTE_UNMATCHED) unmatched++;
        if (unmatched == 0 || t->n_members == 1) continue;
        Str text = unmatched < t->n_members
                       ? STR("tables without a rule have the name of a target that others are routed to")
                       : STR("tables of the same name in several sources meet without a rule");
        for (size_t m = 0; m < t->n_members; m++) {
            const RouteEntry *e = &p->entries[t->members[m]];
            if (e->answer.outcome == ROUTE_UNMATCHED)
                find(b, ROUTE_NOTE, ERR_NONE, (ConfigPlace){0}, text, e);
        }
    }
}

static void check_lint(Builder *b)
{
    for (size_t s = 0; s < b->plan->n_routers; s++) {
        RouterWarning *list;
        size_t n = router_lint(b->plan->routers[s], &b->plan->arena, &list);
        for (size_t i = 0; i < n; i++)
            find(b, ROUTE_NOTE, ERR_NONE, list[i].place, list[i].text, NULL);
    }
}

static void builder_done(Builder *b)
{
    for (size_t i = 0; i < b->n_findings; i++)
        sb_done(&b->findings[i].examples);
    free(b->findings);
    free(b->usages);
    map_done(&b->by_text);
    map_done(&b->by_identity);
}

bool route_plan_build(const PlanOpts *opts, RoutePlan **out, Err *err)
{
    *out = NULL;
    Builder b = {.opts = opts, .plan = mem_zalloc(sizeof(RoutePlan))};
    if (!make_routers(&b, err)) {
        route_plan_free(b.plan);
        return false;
    }
    decide_tables(&b);
    group_targets(b.plan);
    check_answers(&b);
    check_case(&b);
    check_usage(&b);
    check_sources(&b);
    check_own_names(&b);
    check_lint(&b);
    write_problems(&b);
    builder_done(&b);
    *out = b.plan;
    return true;
}

void route_plan_free(RoutePlan *p)
{
    if (!p) return;
    for (size_t i = 0; i < p->n_routers; i++)
        router_free(p->routers[i]);
    arena_done(&p->arena);
    free(p);
}

/* -- words -- */

const char *route_level_name(RouteLevel level)
{
    static const char *const names[] = {"note", "problem", "blocker"};
    return names[level];
}

static void place_words(ConfigPlace place, StrBuf *out)
{
    if (place.file && place.line) sb_printf(out, "%s:%u:%u: ", place.file, place.line, place.column);
}

void route_problem_format(const RouteProblem *p, StrBuf *out)
{
    place_words(p->place, out);
    if (p->code) sb_printf(out, "[SM-%d %s] ", (int)p->code, err_code_name(p->code));
    sb_str(out, p->text);
    Err remedy = {.code = p->code};
    if (p->code) sb_printf(out, "; %s", err_remedy(&remedy));
}

bool route_plan_check(const RoutePlan *p, Err *err)
{
    size_t blockers = 0;
    while (blockers < p->n_problems && p->problems[blockers].level == ROUTE_BLOCKER)
        blockers++;
    if (blockers == 0) return true;
    StrBuf text = {0};
    place_words(p->problems[0].place, &text);
    sb_str(&text, p->problems[0].text);
    if (blockers > 1) sb_printf(&text, " (and %zu more of this kind: see shardmerge route)", blockers - 1);
    err_set(err, p->problems[0].code, "%s", text.ptr);
    sb_done(&text);
    return false;
}
