/* The example rule sets under rules/: every case of every folder, and nothing but the problems they name. */
#include "config/task.h"
#include "route/plan.h"
#include "unit.h"
#include <dirent.h>
#include <stdio.h>

enum { SETS_MIN = 6, CASES_MIN = 5 };

typedef struct Case {
    Str line, source, want;
    TableName table;
} Case;

typedef struct RuleSet {
    Arena arena;
    Task *task;
    Case *cases;
    size_t n_cases;
    Str problems[16], unused[16];
    size_t n_problems, n_unused;
    RoutePlan *plan;
} RuleSet;

static Str read_file(Arena *arena, const char *path)
{
    FILE *f = fopen(path, "rb");
    ck_assert_msg(f != NULL, "%s: cannot be opened (tests run in the repository's root)", path);
    StrBuf b = {0};
    sb_reserve(&b, 1 << 16);
    size_t n = fread(b.ptr, 1, 1 << 16, f);
    ck_assert_msg(n > 0 && n < (1 << 16), "%s: empty or too long", path);
    sb_wrote(&b, n);
    fclose(f);
    Str text = arena_str(arena, sb_view(&b));
    sb_done(&b);
    return text;
}

static void parse_case(RuleSet *set, Str line)
{
    Case *c = &set->cases[set->n_cases++];
    c->line = line;
    size_t arrow = str_find(line, STR("->"));
    ck_assert_msg(arrow != SIZE_MAX, "no -> in: " STR_FMT, STR_ARG(line));
    Str name = str_trim((Str){line.ptr, arrow});
    c->want = str_trim((Str){line.ptr + arrow + 2, line.len - arrow - 2});
    c->source = str_split(&name, '.');
    c->table.schema = str_split(&name, '.');
    c->table.table = name;
    ck_assert_msg(name.len > 0, "not source.schema.table: " STR_FMT, STR_ARG(line));
}

static void parse_cases(RuleSet *set, const char *path)
{
    Str text = read_file(&set->arena, path);
    set->cases = arena_array(&set->arena, Case, 256);
    while (text.len > 0) {
        Str line = str_trim(str_split(&text, '\n'));
        if (line.len == 0 || line.ptr[0] == '#') continue;
        if (str_starts(line, STR("problem ")))
            set->problems[set->n_problems++] = (Str){line.ptr + 8, line.len - 8};
        else if (str_starts(line, STR("unused ")))
            set->unused[set->n_unused++] = (Str){line.ptr + 7, line.len - 7};
        else
            parse_case(set, line);
        ck_assert(set->n_cases < 256 && set->n_problems < 16 && set->n_unused < 16);
    }
    ck_assert_msg(set->n_cases >= CASES_MIN, "%s: %zu cases", path, set->n_cases);
}

static void load(RuleSet *set, const char *folder)
{
    *set = (RuleSet){0};
    Err err = {0};
    StrBuf problems = {0};
    Str path = arena_printf(&set->arena, "rules/%s/task.yaml", folder);
    setenv("SOURCE_PASSWORD", "x", 1);
    setenv("TARGET_PASSWORD", "x", 1);
    TaskOpts none = {0};
    ck_assert_msg(task_load(path.ptr, &none, &set->task, &problems, &err), "%s\n%s", err.message,
                  problems.ptr);
    sb_done(&problems);
    parse_cases(set, arena_printf(&set->arena, "rules/%s/cases.txt", folder).ptr);
    const Task *t = set->task;
    PlanSource *sources = arena_array(&set->arena, PlanSource, t->n_sources);
    for (size_t i = 0; i < t->n_sources; i++) {
        const SourceConfig *s = &t->sources[i];
        TableName *tables = arena_array(&set->arena, TableName, set->n_cases);
        size_t n = 0;
        for (size_t k = 0; k < set->n_cases; k++)
            if (str_eq(set->cases[k].source, s->id)) tables[n++] = set->cases[k].table;
        sources[i] = (PlanSource){.id = s->id,
                                  .allow_list = s->allow_list,
                                  .rules = s->routes,
                                  .n_rules = s->n_routes,
                                  .tables = tables,
                                  .n_tables = n,
                                  .place = s->place};
    }
    PlanOpts opts = {sources, t->n_sources, t->case_sensitive, t->meta_schema};
    ck_assert_msg(route_plan_build(&opts, &set->plan, &err), "%s: %s", folder, err.message);
}

static void unload(RuleSet *set)
{
    route_plan_free(set->plan);
    task_free(set->task);
    arena_done(&set->arena);
}

static Str answer_words(RuleSet *set, const RouteEntry *e)
{
    const RouteAnswer *a = &e->answer;
    switch (a->outcome) {
    case ROUTE_FILTERED: return arena_printf(&set->arena, "filtered by " STR_FMT, STR_ARG(a->by));
    case ROUTE_FAILED: return arena_printf(&set->arena, "failed by " STR_FMT, STR_ARG(a->by));
    case ROUTE_UNMATCHED: ck_assert(table_name_eq(a->target, e->table)); return STR("same name");
    case ROUTE_AMBIGUOUS:
        return arena_printf(&set->arena, "ambiguous by " STR_FMT ", " STR_FMT, STR_ARG(a->rule->name),
                            STR_ARG(a->other->name));
    case ROUTE_MATCHED: break;
    }
    return arena_printf(&set->arena, STR_FMT "." STR_FMT " by " STR_FMT, STR_ARG(a->target.schema),
                        STR_ARG(a->target.table), STR_ARG(a->rule->name));
}

static void check_answers(RuleSet *set, const char *folder)
{
    for (size_t k = 0; k < set->n_cases; k++) {
        const Case *c = &set->cases[k];
        const RouteEntry *found = NULL;
        for (size_t i = 0; i < set->plan->n && !found; i++) {
            const RouteEntry *e = &set->plan->entries[i];
            if (str_eq(set->task->sources[e->source].id, c->source) && table_name_eq(e->table, c->table))
                found = e;
        }
        ck_assert_msg(found != NULL, "%s: no such source: " STR_FMT, folder, STR_ARG(c->line));
        Str got = answer_words(set, found);
        ck_assert_msg(str_eq(got, c->want), "%s: " STR_FMT "\n  got: " STR_FMT, folder, STR_ARG(c->line),
                      STR_ARG(got));
    }
}

/* "CODE words": each is reported exactly once, and no other. */
static void check_problems(RuleSet *set, const char *folder)
{
    size_t reported = 0;
    for (size_t i = 0; i < set->plan->n_problems; i++)
        if (set->plan->problems[i].level != ROUTE_NOTE) reported++;
    for (size_t k = 0; k < set->n_problems; k++) {
        Str words = set->problems[k], code = str_split(&words, ' ');
        size_t hits = 0;
        for (size_t i = 0; i < reported; i++)
            hits += str_eqc(code, err_code_name(set->plan->problems[i].code)) &&
                    str_find(set->plan->problems[i].text, words) != SIZE_MAX;
        ck_assert_msg(hits == 1, "%s: %zu times: " STR_FMT, folder, hits, STR_ARG(set->problems[k]));
    }
    ck_assert_msg(reported == set->n_problems, "%s: %zu problems, first: %s", folder, reported,
                  set->plan->problems[0].text.ptr);
}

static void check_rules_used(RuleSet *set, const char *folder)
{
    for (size_t r = 0; r < set->task->n_routes; r++) {
        const RouteRule *rule = &set->task->routes[r];
        bool used = false, excused = false;
        for (size_t i = 0; i < set->plan->n; i++)
            used = used || (set->plan->entries[i].answer.outcome == ROUTE_MATCHED &&
                            str_eq(set->plan->entries[i].answer.rule->name, rule->name));
        for (size_t i = 0; i < set->n_unused; i++)
            excused = excused || str_eq(set->unused[i], rule->name);
        ck_assert_msg(used != excused, "%s: rule " STR_FMT " decides %s case", folder, STR_ARG(rule->name),
                      used ? "a" : "no");
    }
}

START_TEST(rule_sets)
{
    DIR *dir = opendir("rules");
    ck_assert_msg(dir != NULL, "rules/: cannot be opened (tests run in the repository's root)");
    size_t sets = 0;
    for (struct dirent *d; (d = readdir(dir));) {
        if (d->d_name[0] == '.' || strchr(d->d_name, '.')) continue;
        RuleSet set;
        load(&set, d->d_name);
        check_answers(&set, d->d_name);
        check_problems(&set, d->d_name);
        check_rules_used(&set, d->d_name);
        unload(&set);
        sets++;
    }
    closedir(dir);
    ck_assert_uint_ge(sets, SETS_MIN);
}
END_TEST

/* The trap is named by the lint, as a note. */
START_TEST(mistakes_are_explained)
{
    RuleSet set;
    load(&set, "mistakes");
    bool trap = false;
    for (size_t i = 0; i < set.plan->n_problems; i++)
        trap = trap || (set.plan->problems[i].level == ROUTE_NOTE &&
                        str_find(set.plan->problems[i].text, STR("[0-63] is one digit")) != SIZE_MAX);
    ck_assert(trap);
    for (size_t i = 0; i < set.plan->n_problems; i++)
        ck_assert_msg(set.plan->problems[i].place.line > 0, "no place: %s", set.plan->problems[i].text.ptr);
    unload(&set);
}
END_TEST

static Suite *rules_suite(void)
{
    Suite *s = suite_create("rules");
    TCase *t = tcase_create("all");
    tcase_add_test(t, rule_sets);
    tcase_add_test(t, mistakes_are_explained);
    suite_add_tcase(s, t);
    return s;
}

UNIT_MAIN(rules_suite)
