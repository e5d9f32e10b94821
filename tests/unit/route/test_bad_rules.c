/* Broken rules under fixtures/bad/rules: each is found, under its code and at its place. */
#include "config/task.h"
#include "route/plan.h"
#include "unit.h"
#include <stdio.h>

enum { FILES_MIN = 25, FILE_MAX = 1 << 16 };

static Str read_file(Arena *arena, const char *path)
{
    FILE *f = fopen(path, "rb");
    ck_assert_msg(f != NULL, "%s: cannot be opened (tests run in the repository's root)", path);
    StrBuf b = {0};
    sb_reserve(&b, FILE_MAX);
    size_t n = fread(b.ptr, 1, FILE_MAX, f);
    fclose(f);
    ck_assert_msg(n > 0 && n < FILE_MAX, "%s: empty or too long", path);
    sb_wrote(&b, n);
    Str text = arena_str(arena, sb_view(&b));
    sb_done(&b);
    return text;
}

/* Lines "#: s1.schema.table" of the file. */
static size_t read_tables(Arena *arena, Str text, TableName **out)
{
    *out = arena_array(arena, TableName, 16);
    size_t n = 0;
    while (text.len > 0) {
        Str line = str_trim(str_split(&text, '\n'));
        if (!str_starts(line, STR("#: "))) continue;
        str_split(&line, '.');
        (*out)[n].schema = str_split(&line, '.');
        (*out)[n].table = line;
        ck_assert(++n < 16);
    }
    return n;
}

/* Appends "CODE line:column" for each problem, or for the error that ended it. */
static void findings(const char *path, Arena *arena, StrBuf *out)
{
    Err err = {0};
    StrBuf problems = {0};
    Task *task;
    TaskOpts none = {0};
    ck_assert_msg(task_load(path, &none, &task, &problems, &err), "%s: %s", path, err.message);
    sb_done(&problems);
    const SourceConfig *s = &task->sources[0];
    TableName *tables;
    size_t n = read_tables(arena, read_file(arena, path), &tables);
    ck_assert_msg(n > 0, "%s: names no tables", path);
    PlanSource source = {.id = s->id,
                         .allow_list = s->allow_list,
                         .rules = s->routes,
                         .n_rules = s->n_routes,
                         .tables = tables,
                         .n_tables = n,
                         .place = s->place};
    PlanOpts opts = {&source, 1, task->case_sensitive, task->meta_schema};
    RoutePlan *plan;
    if (!route_plan_build(&opts, &plan, &err)) {
        size_t at = strlen(path) + 1;
        ck_assert_msg(strncmp(err.message, path, at - 1) == 0, "no place: %s", err.message);
        Str place = str_of(err.message + at);
        Str line = str_split(&place, ':'), column = str_split(&place, ':');
        sb_printf(out, "%s " STR_FMT ":" STR_FMT, err_code_name(err.code), STR_ARG(line), STR_ARG(column));
        ck_assert_ptr_nonnull(err_remedy(&err));
        err_clear(&err);
    } else {
        for (size_t i = 0; i < plan->n_problems && plan->problems[i].level != ROUTE_NOTE; i++)
            sb_printf(out, "%s%s %u:%u", i ? " " : "", err_code_name(plan->problems[i].code),
                      plan->problems[i].place.line, plan->problems[i].place.column);
        route_plan_free(plan);
    }
    task_free(task);
}

/* EXPECTED: one line a file, "file<tab>CODE line:column[ CODE line:column…]". */
START_TEST(bad_rules)
{
    Arena arena = {0};
    Str expected = read_file(&arena, "fixtures/bad/rules/EXPECTED");
    size_t files = 0;
    while (expected.len > 0) {
        Str want = str_split(&expected, '\n');
        if (want.len == 0) continue;
        Str name = str_split(&want, '\t');
        StrBuf got = {0};
        findings(arena_printf(&arena, "fixtures/bad/rules/" STR_FMT, STR_ARG(name)).ptr, &arena, &got);
        ck_assert_msg(got.len > 0, STR_FMT ": nothing was found", STR_ARG(name));
        ck_assert_msg(str_eq(want, sb_view(&got)), STR_FMT ": %s, expected " STR_FMT, STR_ARG(name), got.ptr,
                      STR_ARG(want));
        sb_done(&got);
        files++;
    }
    ck_assert_uint_ge(files, FILES_MIN);
    arena_done(&arena);
}
END_TEST

static Suite *bad_suite(void)
{
    Suite *s = suite_create("route/bad rules");
    TCase *t = tcase_create("all");
    tcase_add_test(t, bad_rules);
    suite_add_tcase(s, t);
    return s;
}

UNIT_MAIN(bad_suite)
