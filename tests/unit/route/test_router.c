/* Allow-lists and route rules: DM's algorithm, captures, what cannot be decided. */
#include "route/router.h"
#include "unit.h"

#define TB(s, t, l)                                                                                          \
    {                                                                                                        \
        STR(s), STR(t),                                                                                      \
        {                                                                                                    \
            "task.yaml", l, 5                                                                                \
        }                                                                                                    \
    }
#define RULE(n, s, t, ts, tt, l)                                                                             \
    {                                                                                                        \
        .name = STR(n), .schema_pattern = STR(s), .table_pattern = STR(t), .target_schema = STR(ts),         \
        .target_table = STR(tt), .place = {                                                                  \
            "task.yaml",                                                                                     \
            l,                                                                                               \
            3                                                                                                \
        }                                                                                                    \
    }

typedef struct Case {
    const char *schema, *table;
    RouteOutcome outcome;
    const char *want; /* target "schema.table", rules "r1/r2" when ambiguous, or part of `by` */
} Case;

static void check_cases(const RouterOpts *opts, const Case *cases, size_t n)
{
    Router *r;
    Err err = {0};
    Arena arena = {0};
    ck_assert_msg(router_new(opts, &r, &err), "%s", err.message);
    for (size_t i = 0; i < n; i++) {
        const Case *c = &cases[i];
        RouteAnswer a;
        router_table(r, (TableName){str_of(c->schema), str_of(c->table)}, &arena, &a);
        ck_assert_msg(a.outcome == c->outcome, "%s.%s: outcome %d, by " STR_FMT, c->schema, c->table,
                      a.outcome, STR_ARG(a.by));
        StrBuf got = {0};
        if (a.outcome == ROUTE_FILTERED || a.outcome == ROUTE_FAILED)
            sb_str(&got, a.by);
        else if (a.outcome == ROUTE_AMBIGUOUS)
            sb_printf(&got, STR_FMT "/" STR_FMT, STR_ARG(a.rule->name), STR_ARG(a.other->name));
        else
            table_name_plain(a.target, &got);
        ck_assert_msg(strstr(got.ptr, c->want) != NULL, "%s.%s: %s, expected %s", c->schema, c->table,
                      got.ptr, c->want);
        if (a.outcome == ROUTE_MATCHED) ck_assert_ptr_nonnull(a.rule);
        if (a.outcome == ROUTE_UNMATCHED) ck_assert_ptr_null(a.rule);
        sb_done(&got);
    }
    router_free(r);
    arena_done(&arena);
}

START_TEST(no_rules)
{
    static const Case cases[] = {
        {"app", "users", ROUTE_UNMATCHED, "app.users"},
        {"App", "Users", ROUTE_UNMATCHED, "App.Users"},
        {"mysql", "user", ROUTE_FILTERED, "system schema"},
        {"MYSQL", "user", ROUTE_FILTERED, "system schema"},
        {"information_schema", "tables", ROUTE_FILTERED, "system schema"},
        {"performance_schema", "x", ROUTE_FILTERED, "system schema"},
        {"sys", "x", ROUTE_FILTERED, "system schema"},
        {"METRICS_SCHEMA", "x", ROUTE_FILTERED, "system schema"},
        {"INSPECTION_SCHEMA", "x", ROUTE_FILTERED, "system schema"},
        {"DM_HEARTBEAT", "heartbeat", ROUTE_FILTERED, "system schema"},
        {"dm_meta", "progress", ROUTE_FILTERED, "meta schema"},
        {"system", "x", ROUTE_UNMATCHED, "system.x"},
    };
    RouterOpts opts = {.meta_schema = STR("dm_meta")};
    check_cases(&opts, cases, ARRAY_LEN(cases));
}
END_TEST

/* The table of the behaviour: do-dbs, ignore-dbs, do-tables, ignore-tables in every relevant mixture. */
START_TEST(allow_do_dbs)
{
    static Str dbs[] = {{"app_*", 5}, {"~^shop_\\d+$", 11}}, ignored[] = {{"app_tmp", 7}};
    AllowList list = {
        .name = STR("bw"), .do_dbs = dbs, .n_do_dbs = 2, .ignore_dbs = ignored, .n_ignore_dbs = 1};
    static const Case cases[] = {
        {"app_1", "t", ROUTE_UNMATCHED, "app_1.t"},
        {"APP_1", "t", ROUTE_UNMATCHED, "APP_1.t"},
        {"shop_12", "t", ROUTE_UNMATCHED, "shop_12.t"},
        {"shop_x", "t", ROUTE_FILTERED, "allow-list bw: do-dbs has no match"},
        {"app_tmp", "t", ROUTE_UNMATCHED, "app_tmp.t"}, /* do-dbs given: ignore-dbs is not looked at */
        {"mysql", "t", ROUTE_FILTERED, "system schema"},
    };
    RouterOpts opts = {.allow_list = &list, .meta_schema = STR("dm_meta")};
    check_cases(&opts, cases, ARRAY_LEN(cases));
    opts.case_sensitive = true;
    static const Case sensitive[] = {{"APP_1", "t", ROUTE_FILTERED, "do-dbs has no match"},
                                     {"app_1", "t", ROUTE_UNMATCHED, "app_1.t"}};
    check_cases(&opts, sensitive, ARRAY_LEN(sensitive));
}
END_TEST

START_TEST(allow_ignore_dbs)
{
    static Str ignored[] = {{"test", 4}, {"tmp*", 4}};
    AllowList list = {.name = STR("bw"), .ignore_dbs = ignored, .n_ignore_dbs = 2};
    static const Case cases[] = {
        {"app", "t", ROUTE_UNMATCHED, "app.t"},
        {"test", "t", ROUTE_FILTERED, "allow-list bw: ignore-dbs[1] \"test\""},
        {"tmp_1", "t", ROUTE_FILTERED, "allow-list bw: ignore-dbs[2] \"tmp*\""},
    };
    RouterOpts opts = {.allow_list = &list};
    check_cases(&opts, cases, ARRAY_LEN(cases));
}
END_TEST

START_TEST(allow_tables)
{
    static TablePattern keep[] = {TB("app", "orders_*", 3), TB("~^app$", "user?", 4)};
    static TablePattern drop[] = {TB("app", "~_bak$", 6), TB("app", "orders_1", 7)};
    AllowList both = {
        .name = STR("b"), .do_tables = keep, .n_do_tables = 2, .ignore_tables = drop, .n_ignore_tables = 2};
    static const Case cases_both[] = {
        {"app", "orders_1", ROUTE_UNMATCHED, "app.orders_1"}, /* do-tables before ignore-tables */
        {"app", "orders_bak", ROUTE_UNMATCHED, "app.orders_bak"},
        {"app", "users", ROUTE_UNMATCHED, "app.users"},
        {"app", "x_bak", ROUTE_FILTERED, "allow-list b: ignore-tables[1] \"app.~_bak$\""},
        {"app", "other", ROUTE_FILTERED, "allow-list b: do-tables has no match"},
        {"app2", "orders_1", ROUTE_FILTERED, "allow-list b: do-tables has no match"},
    };
    RouterOpts opts = {.allow_list = &both};
    check_cases(&opts, cases_both, ARRAY_LEN(cases_both));
    AllowList only_drop = {.name = STR("d"), .ignore_tables = drop, .n_ignore_tables = 2};
    static const Case cases_drop[] = {
        {"app", "orders_1", ROUTE_FILTERED, "ignore-tables[2]"},
        {"app", "orders_2", ROUTE_UNMATCHED, "app.orders_2"},
        {"other", "x_bak", ROUTE_UNMATCHED, "other.x_bak"},
    };
    opts.allow_list = &only_drop;
    check_cases(&opts, cases_drop, ARRAY_LEN(cases_drop));
    static Str dbs[] = {{"app", 3}};
    AllowList schema_first = {
        .name = STR("s"), .do_dbs = dbs, .n_do_dbs = 1, .ignore_tables = drop, .n_ignore_tables = 2};
    static const Case cases_schema[] = {
        {"app", "t", ROUTE_UNMATCHED, "app.t"},
        {"app", "t_bak", ROUTE_FILTERED, "ignore-tables[1]"},
        {"web", "t", ROUTE_FILTERED, "do-dbs has no match"},
    };
    opts.allow_list = &schema_first;
    check_cases(&opts, cases_schema, ARRAY_LEN(cases_schema));
}
END_TEST

START_TEST(rules_levels)
{
    static RouteRule tables = RULE("tables", "db_*", "orders_*", "merged", "orders", 10);
    static RouteRule schema = RULE("schema", "db_*", "", "merged", "", 15);
    static RouteRule one = RULE("one", "db_?", "", "merged", "everything", 16);
    RouteRule *rules[] = {&tables, &schema};
    static const Case cases[] = {
        {"db_1", "orders_1", ROUTE_MATCHED,
         "merged.orders"}, /* the table-level rule beats the schema-level one */
        {"DB_1", "Orders_X", ROUTE_MATCHED, "merged.orders"},
        {"db_1", "Users", ROUTE_MATCHED, "merged.Users"},
        {"db", "orders_1", ROUTE_UNMATCHED, "db.orders_1"},
    };
    RouterOpts opts = {.rules = rules, .n_rules = 2};
    check_cases(&opts, cases, ARRAY_LEN(cases));
    RouteRule *twice[] = {&tables, &schema, &one};
    static const Case clash[] = {
        {"db_1", "orders_1", ROUTE_MATCHED, "merged.orders"},
        {"db_1", "users", ROUTE_AMBIGUOUS, "schema/one"},
        {"db_1", "everything", ROUTE_MATCHED, "merged.everything"}, /* both give the same name */
        {"db_12", "users", ROUTE_MATCHED, "merged.users"},
    };
    opts.rules = twice;
    opts.n_rules = 3;
    check_cases(&opts, clash, ARRAY_LEN(clash));
}
END_TEST

START_TEST(rules_several)
{
    static RouteRule a = RULE("a", "db", "t_*", "m", "t", 1), b = RULE("b", "db", "~_1$", "m", "t", 2),
                     c = RULE("c", "db", "?_2", "m", "T", 3);
    RouteRule *rules[] = {&a, &b, &c};
    static const Case cases[] = {
        {"db", "t_1", ROUTE_MATCHED, "m.t"},   /* two rules, one target: fine */
        {"db", "t_2", ROUTE_AMBIGUOUS, "a/c"}, /* a target that differs by case is another */
        {"db", "x_1", ROUTE_MATCHED, "m.t"},
    };
    RouterOpts opts = {.rules = rules, .n_rules = 3};
    check_cases(&opts, cases, ARRAY_LEN(cases));
}
END_TEST

START_TEST(rules_captures)
{
    static RouteRule year =
        RULE("year", "~^pay_(\\d\\d)$", "~^(?<what>[a-z]+)_(\\d{4})$", "merged_$1", "${what}", 1);
    static RouteRule tenant = RULE("tenant", "~^tenant_(\\w+)$", "", "$1", "", 2);
    RouteRule *rules[] = {&year, &tenant};
    static const Case cases[] = {
        {"pay_03", "orders_2024", ROUTE_MATCHED, "merged_03.orders"},
        {"pay_03", "Orders_2024", ROUTE_MATCHED, "merged_03.Orders"},
        {"pay_03", "orders", ROUTE_UNMATCHED, "pay_03.orders"},
        {"tenant_Acme", "users", ROUTE_MATCHED, "Acme.users"},
        {"tenant_mysql", "user", ROUTE_FAILED, "the target is in a system schema"},
        {"tenant_dm_meta", "user", ROUTE_FAILED, "meta schema"},
    };
    RouterOpts opts = {.rules = rules, .n_rules = 2, .meta_schema = STR("dm_meta")};
    check_cases(&opts, cases, ARRAY_LEN(cases));
    Router *r;
    Err err = {0};
    Arena arena = {0};
    RouteAnswer a;
    ck_assert(router_new(&opts, &r, &err));
    router_table(r, (TableName){STR("pay_03"), STR("orders_2024")}, &arena, &a);
    ck_assert_uint_eq(a.n_captures, 3); /* the table's first */
    ck_assert(str_eqc(a.captures[0], "orders") && str_eqc(a.captures[1], "2024") &&
              str_eqc(a.captures[2], "03"));
    ck_assert_ptr_eq(a.rule, &year);
    router_free(r);
    arena_done(&arena);
}
END_TEST

START_TEST(undecidable)
{
    static RouteRule evil = RULE("evil", "db", "~^(a+)+$", "m", "t", 1);
    static RouteRule empty = RULE("empty", "e", "~^t(_x)?$", "m", "$1", 2);
    static RouteRule grow = RULE("long", "l", "~^(.*)$", "m", "$1_$1", 3);
    RouteRule *rules[] = {&evil, &empty, &grow};
    static const char long_name[] = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa!";
    static const Case cases[] = {
        {"db", "aaa", ROUTE_MATCHED, "m.t"},
        {"db", long_name, ROUTE_FAILED,
         "route rule evil \"db.~^(a+)+$\": the regular expression needs too much work"},
        {"e", "t_x", ROUTE_MATCHED, "m._x"},
        {"e", "t", ROUTE_FAILED, "the target table's name comes out empty"},
        {"l", "abc", ROUTE_MATCHED, "m.abc_abc"},
        {"l", "a2345678901234567890123456789012", ROUTE_FAILED, "longer than 64 characters"},
    };
    RouterOpts opts = {.rules = rules, .n_rules = 3};
    check_cases(&opts, cases, ARRAY_LEN(cases));
    static TablePattern drop[] = {TB("db", "~^(a+)+$", 9)};
    AllowList list = {.name = STR("bw"), .ignore_tables = drop, .n_ignore_tables = 1};
    static const Case filter[] = {{"db", long_name, ROUTE_FAILED, "allow-list bw: ignore-tables[1]"}};
    RouterOpts with_list = {.allow_list = &list};
    check_cases(&with_list, filter, 1);
}
END_TEST

static void refused(const RouterOpts *opts, const char *place, const char *words)
{
    Router *r;
    Err err = {0};
    ck_assert(!router_new(opts, &r, &err));
    ck_assert_ptr_null(r);
    ck_assert_int_eq(err.code, ERR_ROUTE_PATTERN);
    ck_assert_msg(strncmp(err.message, place, strlen(place)) == 0, "%s", err.message);
    ck_assert_msg(strstr(err.message, words) != NULL, "%s", err.message);
    err_clear(&err);
}

START_TEST(bad_patterns)
{
    static RouteRule bad[] = {RULE("r", "d*b", "t", "m", "t", 7), RULE("r", "db", "~(", "m", "t", 8),
                              RULE("r", "db", "t_*", "m", "t_$1", 9),
                              RULE("r", "~(a)", "t_*", "m_$2", "t", 10)};
    static const char *const words[][2] = {
        {"task.yaml:7:3: route rule r: schema-pattern \"d*b\"", "* stands at character 2"},
        {"task.yaml:8:3: route rule r: table-pattern \"~(\"", "missing closing parenthesis"},
        {"task.yaml:9:3: route rule r: target-table \"t_$1\"", "a wildcard without groups"},
        {"task.yaml:10:3: route rule r: target-schema \"m_$2\"", "does not have (it has 1)"},
    };
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        RouteRule *rules[] = {&bad[i]};
        RouterOpts opts = {.rules = rules, .n_rules = 1};
        refused(&opts, words[i][0], words[i][1]);
    }
    static Str dbs[] = {{"ok", 2}, {"a*b", 3}};
    AllowList list = {.name = STR("bw"), .do_dbs = dbs, .n_do_dbs = 2, .place = {"task.yaml", 20, 1}};
    RouterOpts opts = {.allow_list = &list};
    refused(&opts, "task.yaml:20:1: allow-list bw: do-dbs[2]", "* stands at character 2");
    static TablePattern tables[] = {TB("db", "[]", 21)};
    AllowList other = {.name = STR("bw"), .ignore_tables = tables, .n_ignore_tables = 1};
    opts.allow_list = &other;
    refused(&opts, "task.yaml:21:5: allow-list bw: ignore-tables[1]: tbl-name \"[]\"", "matches nothing");
    static TablePattern nameless[] = {TB("db", "", 22)};
    AllowList third = {.name = STR("bw"), .do_tables = nameless, .n_do_tables = 1};
    opts.allow_list = &third;
    refused(&opts, "task.yaml:22:5: allow-list bw: do-tables[1]: tbl-name \"\"", "the pattern is empty");
}
END_TEST

START_TEST(schema_wanted)
{
    static Str dbs[] = {{"app_*", 5}};
    AllowList list = {.name = STR("bw"), .do_dbs = dbs, .n_do_dbs = 1};
    RouterOpts opts = {.allow_list = &list, .meta_schema = STR("dm_meta")};
    Router *r;
    Err err = {0};
    ck_assert(router_new(&opts, &r, &err));
    ck_assert(router_schema_wanted(r, STR("app_1")));
    ck_assert(router_schema_wanted(r, STR("APP_1")));
    ck_assert(!router_schema_wanted(r, STR("web")));
    ck_assert(!router_schema_wanted(r, STR("mysql")));
    ck_assert(!router_schema_wanted(r, STR("DM_META")));
    router_free(r);
}
END_TEST

START_TEST(patterns_and_lint)
{
    static Str dbs[] = {{"app", 3}}, ignored[] = {{"mysql", 5}, {"old", 3}};
    static TablePattern drop[] = {TB("sys", "*", 3), TB("app", "log_%", 4)};
    static RouteRule rule = RULE("r1", "app", "table_[0-63]", "m", "t", 10);
    RouteRule *rules[] = {&rule};
    AllowList list = {.name = STR("bw"),
                      .do_dbs = dbs,
                      .n_do_dbs = 1,
                      .ignore_dbs = ignored,
                      .n_ignore_dbs = 2,
                      .ignore_tables = drop,
                      .n_ignore_tables = 2,
                      .place = {"task.yaml", 2, 1}};
    RouterOpts opts = {.allow_list = &list, .rules = rules, .n_rules = 1};
    Router *r;
    Err err = {0};
    Arena arena = {0};
    ck_assert(router_new(&opts, &r, &err));
    ck_assert_uint_eq(router_n_patterns(r), 6);
    ck_assert(str_eqc(router_pattern(r, 0)->what, "allow-list bw: do-dbs[1]"));
    ck_assert(str_eqc(router_pattern(r, 4)->patterns, "app.log_%"));
    ck_assert_ptr_eq(router_pattern(r, 4)->identity, &drop[1]);
    ck_assert_ptr_eq(router_pattern(r, 5)->rule, &rule);
    static const bool for_system[] = {false, true, false, true, false, false};
    for (size_t i = 0; i < 6; i++)
        ck_assert_msg(router_pattern_is_for_system(r, i) == for_system[i], "%zu", i);
    ck_assert(router_pattern_matches(r, 5, (TableName){STR("app"), STR("table_3")}));
    ck_assert(!router_pattern_matches(r, 5, (TableName){STR("app"), STR("table_33")}));
    ck_assert(router_pattern_matches(r, 0, (TableName){STR("APP"), STR("x")}));
    RouterWarning *w;
    ck_assert_uint_eq(router_lint(r, &arena, &w), 3);
    ck_assert(str_find(w[0].text, STR("allow-list bw: ignore-tables[2]: \"log_%\": % stands for itself")) ==
              0);
    ck_assert_uint_eq(w[0].place.line, 4);
    ck_assert(str_find(w[1].text, STR("route rule r1: \"table_[0-63]\": a class stands for one character")) ==
              0);
    ck_assert(str_find(w[2].text, STR("ignore-dbs is not looked at")) != SIZE_MAX);
    router_free(r);
    arena_done(&arena);
}
END_TEST

static Suite *router_suite(void)
{
    Suite *s = suite_create("route/router");
    TCase *t = tcase_create("all");
    tcase_add_test(t, no_rules);
    tcase_add_test(t, allow_do_dbs);
    tcase_add_test(t, allow_ignore_dbs);
    tcase_add_test(t, allow_tables);
    tcase_add_test(t, rules_levels);
    tcase_add_test(t, rules_several);
    tcase_add_test(t, rules_captures);
    tcase_add_test(t, undecidable);
    tcase_add_test(t, bad_patterns);
    tcase_add_test(t, schema_wanted);
    tcase_add_test(t, patterns_and_lint);
    suite_add_tcase(s, t);
    return s;
}

UNIT_MAIN(router_suite)
