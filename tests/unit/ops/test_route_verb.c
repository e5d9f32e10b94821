/* The verb `route`: its whole answer against golden files, offline and with what servers would say.
 * SHARDMERGE_ACCEPT=1 rewrites the golden files; an empty one fails. */
#include "ops/route_report.h"
#include "ops/route_verb.h"
#include "unit.h"
#include <jansson.h>
#include <stdio.h>

static void read_whole(const char *path, StrBuf *out)
{
    FILE *f = fopen(path, "rb");
    ck_assert_msg(f != NULL, "%s: cannot be opened (tests run in the repository's root)", path);
    for (size_t n = 1; n > 0;) {
        sb_reserve(out, 65536);
        n = fread(out->ptr + out->len, 1, 65536, f);
        sb_wrote(out, n);
    }
    fclose(f);
}

static void expect_golden(const char *path, const StrBuf *got)
{
    ck_assert_msg(got->len > 0, "%s: nothing was printed", path);
    if (getenv("SHARDMERGE_ACCEPT")) {
        FILE *f = fopen(path, "wb");
        ck_assert_ptr_nonnull(f);
        ck_assert_uint_eq(fwrite(got->ptr, 1, got->len, f), got->len);
        fclose(f);
        return;
    }
    StrBuf want = {0};
    read_whole(path, &want);
    ck_assert_msg(want.len > 0, "%s is empty", path);
    ck_assert_msg(str_eq(sb_view(&want), sb_view(got)), "%s differs; got:\n%s", path, got->ptr);
    sb_done(&want);
}

static Task *load(const char *path)
{
    setenv("SOURCE_PASSWORD", "secret-of-the-source", 1);
    setenv("TARGET_PASSWORD", "secret-of-the-target", 1);
    Task *task;
    Err err = {0};
    TaskOpts none = {0};
    ck_assert_msg(task_load(path, &none, &task, NULL, &err), "%s", err.message);
    return task;
}

typedef struct Golden {
    const char *set; /* of rules/, and name of the files */
    int status;
} Golden;

static const Golden goldens[] = {{"mixed", 0}, {"region-captures", 0}, {"mistakes", 1}};

static void run_form(const Golden *g, const Task *task, const RouteVerbOpts *form, const char *suffix)
{
    char *tables, *golden;
    ck_assert_int_gt(asprintf(&tables, "fixtures/route/%s.tables", g->set), 0);
    ck_assert_int_gt(asprintf(&golden, "fixtures/route/%s.%s", g->set, suffix), 0);
    RouteVerbOpts opts = *form;
    opts.tables = tables;
    StrBuf out = {0};
    Err err = {0};
    int status = route_verb(task, &opts, &out, &err);
    ck_assert_msg(!err_is_set(&err), "%s", err.message);
    ck_assert_int_eq(status, g->status);
    ck_assert_ptr_null(strstr(out.ptr, "secret-of"));
    expect_golden(golden, &out);
    sb_done(&out);
    free(tables);
    free(golden);
}

START_TEST(offline)
{
    const Golden *g = &goldens[_i];
    char *path;
    ck_assert_int_gt(asprintf(&path, "rules/%s/task.yaml", g->set), 0);
    Task *task = load(path);
    run_form(g, task, &(RouteVerbOpts){0}, "txt");
    run_form(g, task, &(RouteVerbOpts){.all = true}, "all.txt");
    run_form(g, task, &(RouteVerbOpts){.json = true}, "json");
    task_free(task);
    free(path);
}
END_TEST

START_TEST(offline_errors)
{
    Task *task = load("rules/mixed/task.yaml");
    StrBuf out = {0};
    Err err = {0};
    RouteVerbOpts opts = {.tables = "fixtures/route/no-such-file"};
    ck_assert_int_eq(route_verb(task, &opts, &out, &err), 2);
    ck_assert_int_eq(err.code, ERR_ROUTE_LIST);
    ck_assert_uint_eq(out.len, 0);
    err_clear(&err);
    opts.tables =
        "fixtures/route/mistakes.tables"; /* names a source that this task has, and tables it filters */
    ck_assert_int_eq(route_verb(task, &opts, &out, &err), 1);
    ck_assert(!err_is_set(&err));
    ck_assert_msg(strstr(out.ptr, "source shard1: none of its") != NULL, "%s", out.ptr);
    sb_done(&out);
    task_free(task);
}
END_TEST

/* A source that cannot be reached: no answer, an error that names it. */
START_TEST(live_unreachable)
{
    Task *task = load("rules/monthly-tables/task.yaml");
    task->sources[0].from.port = 1;
    StrBuf out = {0};
    Err err = {0};
    ck_assert_int_eq(route_verb(task, &(RouteVerbOpts){0}, &out, &err), 3);
    ck_assert_int_eq(err.code, ERR_DB_CONNECT);
    ck_assert_msg(strstr(err.message, "shard1") != NULL, "%s", err.message);
    ck_assert_ptr_null(strstr(err.message, "secret-of"));
    ck_assert_uint_eq(out.len, 0);
    err_clear(&err);
    sb_done(&out);
    task_free(task);
}
END_TEST

/* -- what servers would say -- */

enum { N_TABLES = 7 };

/* A table t(id bigint primary key, v <type>). */
static TableSchema *table(const char *type, const char *column_type)
{
    TableSchema *s = mem_zalloc(sizeof *s);
    s->engine = STR("InnoDB");
    s->collation = STR("utf8mb4_general_ci");
    s->n_columns = 2;
    s->columns = arena_array(&s->arena, ColumnDef, 2);
    s->columns[0] = (ColumnDef){
        .name = STR("id"), .data_type = STR("bigint"), .column_type = STR("bigint(20)"), .not_null = true};
    s->columns[1] = (ColumnDef){.name = STR("v"),
                                .data_type = str_of(type),
                                .column_type = str_of(column_type),
                                .default_kind = DEFAULT_NULL};
    s->n_keys = 1;
    s->keys = arena_array(&s->arena, KeyDef, 1);
    s->keys[0] = (KeyDef){
        .name = STR("PRIMARY"), .primary = true, .unique = true, .index_type = STR("BTREE"), .n_parts = 1};
    s->keys[0].parts = arena_array(&s->arena, KeyPart, 1);
    return s;
}

START_TEST(compared)
{
    static RouteRule rules[] = {{.name = STR("same"),
                                 .schema_pattern = STR("a_?"),
                                 .table_pattern = STR("t"),
                                 .target_schema = STR("m"),
                                 .target_table = STR("equal"),
                                 .place = {"task.yaml", 3, 1}},
                                {.name = STR("mixed"),
                                 .schema_pattern = STR("b_?"),
                                 .table_pattern = STR("t"),
                                 .target_schema = STR("m"),
                                 .target_table = STR("mixed"),
                                 .place = {"task.yaml", 4, 1}},
                                {.name = STR("new"),
                                 .schema_pattern = STR("c"),
                                 .table_pattern = STR("t"),
                                 .target_schema = STR("m"),
                                 .target_table = STR("new"),
                                 .place = {"task.yaml", 5, 1}},
                                {.name = STR("old"),
                                 .schema_pattern = STR("d"),
                                 .table_pattern = STR("t"),
                                 .target_schema = STR("m"),
                                 .target_table = STR("old"),
                                 .place = {"task.yaml", 6, 1}}};
    RouteRule *list[] = {&rules[0], &rules[1], &rules[2], &rules[3]};
    static const TableName names[N_TABLES] = {
        {STR("a_1"), STR("t")}, {STR("a_2"), STR("t")}, {STR("b_1"), STR("t")}, {STR("b_2"), STR("t")},
        {STR("b_3"), STR("t")}, {STR("c"), STR("t")},   {STR("d"), STR("t")}};
    static const Str ids[] = {STR("s1")};
    PlanSource source = {.id = ids[0], .rules = list, .n_rules = 4, .tables = names, .n_tables = N_TABLES};
    PlanOpts plan_opts = {.sources = &source, .n_sources = 1};
    RoutePlan *plan;
    Err err = {0};
    ck_assert(route_plan_build(&plan_opts, &plan, &err));
    /* b_2 and b_3 agree, b_1 differs: the largest group leads. Targets: equal, mixed (missing), new
     * (missing), old. */
    TableSchema *shards[N_TABLES] = {table("int", "int(11)"),       table("int", "int(11)"),
                                     table("int", "int(11)"),       table("bigint", "bigint(20)"),
                                     table("bigint", "bigint(20)"), table("int", "int(11)"),
                                     table("bigint", "bigint(20)")};
    TableSchema *targets[4] = {table("int", "int(11)"), NULL, NULL, table("int", "int(11)")};
    bool mariadb = true;
    RouteCompareOpts opts = {.plan = plan,
                             .source_ids = ids,
                             .shards = (const TableSchema *const *)shards,
                             .targets = (const TableSchema *const *)targets,
                             .source_is_mariadb = &mariadb,
                             .target_is_mariadb = true,
                             .create_tables = true};
    Arena arena = {0};
    RouteKeys keys;
    route_keys_resolve(plan, ids, shards, &arena, &keys);
    opts.keys = &keys;
    RouteReport report = {.task = STR("compared"), .source_ids = ids, .n_sources = 1, .plan = plan};
    RouteComparison *c = route_compare(&opts, &arena);
    report.comparisons = c;
    ck_assert_int_eq(c[0].state, TARGET_EQUAL);
    ck_assert_int_eq(c[1].state, TARGET_MISSING);
    ck_assert_uint_eq(c[1].n_groups, 2);
    ck_assert_uint_eq(c[1].groups[0].n, 2);
    ck_assert_int_eq(c[2].state, TARGET_CREATABLE);
    ck_assert_int_eq(c[3].state, TARGET_DIFFERS);
    ck_assert(route_report_has_problems(&report));
    StrBuf human = {0}, json = {0};
    route_report_human(&report, false, &human);
    expect_golden("fixtures/route/compared.txt", &human);
    route_report_json(&report, &json);
    expect_golden("fixtures/route/compared.json", &json);
    /* Without a downstream: shards are compared all the same. */
    opts.targets = NULL;
    report.comparisons = route_compare(&opts, &arena);
    RouteProblem away = {
        ROUTE_PROBLEM, ERR_DB_CONNECT, STR("the downstream was not looked at: no answer"), {0}};
    report.downstream = &away;
    sb_clear(&human);
    route_report_human(&report, false, &human);
    expect_golden("fixtures/route/compared-away.txt", &human);
    opts.create_tables = false;
    opts.targets = (const TableSchema *const *)targets;
    ck_assert_int_eq(route_compare(&opts, &arena)[2].state, TARGET_MISSING);
    for (size_t i = 0; i < N_TABLES; i++)
        schema_free(shards[i]);
    for (size_t i = 0; i < 4; i++)
        schema_free(targets[i]);
    sb_done(&human);
    sb_done(&json);
    arena_done(&arena);
    route_plan_free(plan);
}
END_TEST

/* The JSON is one line, parses, and is complete. */
START_TEST(json_form)
{
    Task *task = load("rules/mistakes/task.yaml");
    StrBuf out = {0};
    Err err = {0};
    RouteVerbOpts opts = {.json = true, .tables = "fixtures/route/mistakes.tables"};
    ck_assert_int_eq(route_verb(task, &opts, &out, &err), 1);
    json_t *root = json_loads(out.ptr, 0, NULL);
    ck_assert_ptr_nonnull(root);
    ck_assert_ptr_eq(strchr(out.ptr, '\n'), out.ptr + out.len - 1);
    ck_assert(json_is_false(json_object_get(root, "ok")));
    ck_assert(json_is_false(json_object_get(root, "live")));
    size_t tables = json_array_size(json_object_get(root, "tables")), sum = 0, i;
    ck_assert_uint_gt(tables, 0);
    json_t *source, *count;
    const char *key;
    json_array_foreach(json_object_get(root, "sources"), i, source)
        json_object_foreach(source, key, count) if (strcmp(key, "tables") != 0 && json_is_integer(count))
            sum += (size_t)json_integer_value(count);
    ck_assert_uint_eq(sum, tables); /* every table has exactly one outcome */
    json_decref(root);
    sb_done(&out);
    task_free(task);
}
END_TEST

static Suite *verb_suite(void)
{
    Suite *s = suite_create("ops/route_verb");
    TCase *t = tcase_create("all");
    tcase_add_loop_test(t, offline, 0, ARRAY_LEN(goldens));
    tcase_add_test(t, offline_errors);
    tcase_add_test(t, live_unreachable);
    tcase_add_test(t, compared);
    tcase_add_test(t, json_form);
    suite_add_tcase(s, t);
    return s;
}

UNIT_MAIN(verb_suite)
