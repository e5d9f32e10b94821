/* The plan: targets with members, and what is wrong. */
#include "route/plan.h"
#include "unit.h"

#define RULE(n, s, t, ts, tt, l)                                                                             \
    {                                                                                                        \
        .name = STR(n), .schema_pattern = STR(s), .table_pattern = STR(t), .target_schema = STR(ts),         \
        .target_table = STR(tt), .place = {                                                                  \
            "task.yaml",                                                                                     \
            l,                                                                                               \
            3                                                                                                \
        }                                                                                                    \
    }
#define SOURCE(i, list, r, n_r, t, n_t)                                                                      \
    {                                                                                                        \
        .id = STR(i), .allow_list = (list), .rules = (r), .n_rules = (n_r), .tables = (t), .n_tables = (n_t) \
    }
#define T(s, t)                                                                                              \
    {                                                                                                        \
        STR(s), STR(t)                                                                                       \
    }

static RoutePlan *build(const PlanSource *sources, size_t n)
{
    PlanOpts opts = {.sources = sources, .n_sources = n, .meta_schema = STR("dm_meta")};
    RoutePlan *p;
    Err err = {0};
    ck_assert_msg(route_plan_build(&opts, &p, &err), "%s", err.message);
    return p;
}

static void expect_problem(const RoutePlan *p, size_t i, RouteLevel level, ErrCode code, const char *text)
{
    ck_assert_msg(i < p->n_problems, "%zu problems, expected: %s", p->n_problems, text);
    const RouteProblem *q = &p->problems[i];
    ck_assert_msg(str_eqc(q->text, text), "%s\nexpected: %s", q->text.ptr, text);
    ck_assert_int_eq(q->level, level);
    ck_assert_int_eq(q->code, code);
}

START_TEST(members)
{
    static RouteRule rule = RULE("orders", "db_*", "orders_*", "m", "orders", 4);
    RouteRule *rules[] = {&rule};
    static const TableName one[] = {T("db_2", "orders_2"), T("db_1", "orders_1"), T("db_1", "orders_1"),
                                    T("mysql", "user"), T("db_1", "users")};
    static const TableName two[] = {T("db_3", "orders_1")};
    PlanSource sources[] = {SOURCE("s1", NULL, rules, 1, one, 5), SOURCE("s2", NULL, rules, 1, two, 1)};
    RoutePlan *p = build(sources, 2);
    ck_assert_uint_eq(p->n, 5); /* sorted, the name given twice counts once */
    ck_assert(str_eqc(p->entries[0].table.table, "orders_1") && str_eqc(p->entries[0].table.schema, "db_1"));
    ck_assert_int_eq(p->entries[1].answer.outcome, ROUTE_UNMATCHED);
    ck_assert_int_eq(p->entries[3].answer.outcome, ROUTE_FILTERED);
    ck_assert(p->entries[3].target == ROUTE_NO_TARGET);
    ck_assert_uint_eq(p->n_targets, 2);
    ck_assert(str_eqc(p->targets[0].name.table, "users") && p->targets[0].n_members == 1);
    ck_assert(str_eqc(p->targets[1].name.schema, "m") && p->targets[1].n_members == 3);
    static const uint32_t want[] = {0, 2, 4};
    for (size_t i = 0; i < 3; i++) {
        ck_assert_uint_eq(p->targets[1].members[i], want[i]);
        ck_assert_uint_eq(p->entries[want[i]].target, 1);
    }
    ck_assert_uint_eq(p->n_problems, 0);
    ck_assert_uint_eq(p->n_routers, 2);
    Err err = {0};
    ck_assert(route_plan_check(p, &err));
    route_plan_free(p);
}
END_TEST

START_TEST(ambiguous)
{
    static RouteRule a = RULE("a", "db", "t_*", "m", "t", 4), b = RULE("b", "db", "~_\\d$", "n", "", 8);
    RouteRule *rules[] = {&a, &b};
    static const TableName tables[] = {T("db", "t_1"), T("db", "t_2"), T("db", "t_3"), T("db", "t_4"),
                                       T("db", "t_x")};
    PlanSource sources[] = {SOURCE("s1", NULL, rules, 2, tables, 5), SOURCE("s2", NULL, rules, 1, tables, 5)};
    RoutePlan *p = build(sources, 2);
    ck_assert_uint_eq(p->n_problems, 1); /* one finding, not one per table */
    expect_problem(
        p, 0, ROUTE_BLOCKER, ERR_ROUTE_AMBIGUOUS,
        "route rule a (to m.t) and route rule b (to n.<same name>) both match: 4 tables, s1 db.t_1, s1 "
        "db.t_2, s1 db.t_3, …");
    StrBuf line = {0};
    route_problem_format(&p->problems[0], &line);
    ck_assert_msg(strstr(line.ptr, "task.yaml:8:3: [SM-1702 ROUTE_AMBIGUOUS] route rule a") == line.ptr, "%s",
                  line.ptr);
    ck_assert_msg(strstr(line.ptr, "; make the patterns exclude each other") != NULL, "%s", line.ptr);
    sb_done(&line);
    Err err = {0};
    ck_assert(!route_plan_check(p, &err));
    ck_assert_int_eq(err.code, ERR_ROUTE_AMBIGUOUS);
    ck_assert_msg(strstr(err.message, "task.yaml:8:3: route rule a") == err.message, "%s", err.message);
    err_clear(&err);
    route_plan_free(p);
}
END_TEST

START_TEST(case_clash)
{
    static RouteRule a = RULE("a", "db_1", "t", "m", "Orders", 4),
                     b = RULE("b", "db_2", "t", "m", "orders", 8), c = RULE("c", "db_3", "t", "M", "x", 12);
    RouteRule *rules[] = {&a, &b, &c};
    static const TableName tables[] = {T("db_1", "t"), T("db_2", "t"), T("db_3", "t"), T("db_4", "ÄÖ"),
                                       T("db_4", "äö")};
    PlanSource sources[] = {SOURCE("s1", NULL, rules, 3, tables, 5)};
    RoutePlan *p = build(sources, 1);
    ck_assert_uint_eq(p->n_problems, 3);
    expect_problem(
        p, 0, ROUTE_BLOCKER, ERR_ROUTE_CASE,
        "targets db_4.ÄÖ (from s1 db_4.ÄÖ) and db_4.äö (from s1 db_4.äö) differ only by case; to TiDB they "
        "are one");
    expect_problem(p, 1, ROUTE_BLOCKER, ERR_ROUTE_CASE,
                   "target schemas M and m differ only by case; to TiDB they are one");
    expect_problem(
        p, 2, ROUTE_BLOCKER, ERR_ROUTE_CASE,
        "targets m.Orders (from s1 db_1.t) and m.orders (from s1 db_2.t) differ only by case; to TiDB they "
        "are one");
    ck_assert_uint_eq(p->problems[2].place.line, 8);
    Err err = {0};
    ck_assert(!route_plan_check(p, &err));
    ck_assert_msg(strstr(err.message, "(and 2 more") != NULL, "%s", err.message);
    err_clear(&err);
    route_plan_free(p);
    const TableName one = {STR("m"), STR("Ä")};
    ck_assert(route_case_clash(one, (TableName){STR("m"), STR("ä")}));
    ck_assert(route_case_clash(one, (TableName){STR("M"), STR("x")}));
    ck_assert(!route_case_clash(one, one));
    ck_assert(!route_case_clash(one, (TableName){STR("n"), STR("ä")}));
}
END_TEST

START_TEST(nothing)
{
    static RouteRule used = RULE("used", "app", "t_*", "m", "t", 4),
                     half = RULE("half", "app", "u_*", "m", "u", 5),
                     typo = RULE("typo", "ap", "t_*", "m", "t", 6),
                     hidden = RULE("hidden", "app", "log", "m", "l", 7);
    RouteRule *rules[] = {&used, &half, &typo, &hidden};
    static Str ignored[] = {{"mysql", 5}, {"gone", 4}};
    static TablePattern drop[] = {{STR("app"), STR("log"), {"task.yaml", 20, 7}},
                                  {STR("app"), STR("tmp*"), {"task.yaml", 21, 7}}};
    static const AllowList list = {.name = STR("bw"),
                                   .ignore_dbs = ignored,
                                   .n_ignore_dbs = 2,
                                   .ignore_tables = drop,
                                   .n_ignore_tables = 2,
                                   .place = {"task.yaml", 18, 3}};
    static const TableName one[] = {T("app", "t_1"), T("app", "log"), T("app", "u_1")},
                           two[] = {T("app", "t_2")}, three[] = {T("sys", "x"), T("app", "log")};
    PlanSource sources[] = {SOURCE("s1", &list, rules, 4, one, 3),
                            SOURCE("s2", &list, rules, 2, two, 1),
                            {.id = STR("s3"),
                             .allow_list = &list,
                             .rules = NULL,
                             .n_rules = 0,
                             .tables = three,
                             .n_tables = 2,
                             .place = {"task.yaml", 40, 3}},
                            {.id = STR("s4"),
                             .allow_list = NULL,
                             .rules = NULL,
                             .n_rules = 0,
                             .tables = NULL,
                             .n_tables = 0,
                             .place = {"task.yaml", 44, 3}}};
    RoutePlan *p = build(sources, 4);
    ck_assert_uint_eq(p->n_problems, 7);
    expect_problem(p, 0, ROUTE_PROBLEM, ERR_ROUTE_NOTHING,
                   "allow-list bw: ignore-dbs[2] \"gone\" matches no table");
    expect_problem(p, 1, ROUTE_PROBLEM, ERR_ROUTE_NOTHING,
                   "allow-list bw: ignore-tables[2] \"app.tmp*\" matches no table");
    expect_problem(p, 2, ROUTE_PROBLEM, ERR_ROUTE_NOTHING, "route rule typo \"ap.t_*\" matches no table");
    expect_problem(p, 3, ROUTE_PROBLEM, ERR_ROUTE_NOTHING,
                   "route rule hidden \"app.log\" matches only tables that the allow-list keeps out");
    expect_problem(p, 4, ROUTE_PROBLEM, ERR_ROUTE_NOTHING, "source s3: none of its 2 tables is replicated");
    expect_problem(p, 5, ROUTE_PROBLEM, ERR_ROUTE_NOTHING, "source s4: has no tables");
    expect_problem(p, 6, ROUTE_NOTE, ERR_NONE, "route rule half \"app.u_*\" matches no table of source s2");
    Err err = {0};
    ck_assert(route_plan_check(p, &err)); /* to be said, but no reason not to run */
    route_plan_free(p);
}
END_TEST

START_TEST(own_names)
{
    static RouteRule rule = RULE("r", "db_*", "t", "m", "t", 4);
    RouteRule *rules[] = {&rule};
    static const TableName one[] = {T("db_1", "t"), T("m", "t"), T("app", "u")},
                           two[] = {T("app", "u"), T("db_2", "t")};
    PlanSource sources[] = {SOURCE("s1", NULL, rules, 1, one, 3), SOURCE("s2", NULL, rules, 1, two, 2)};
    RoutePlan *p = build(sources, 2);
    ck_assert_uint_eq(p->n_problems, 2);
    expect_problem(
        p, 0, ROUTE_NOTE, ERR_NONE,
        "tables of the same name in several sources meet without a rule: 2 tables, s1 app.u, s2 app.u");
    expect_problem(
        p, 1, ROUTE_NOTE, ERR_NONE,
        "tables without a rule have the name of a target that others are routed to: 1 table, s1 m.t");
    route_plan_free(p);
}
END_TEST

START_TEST(failures)
{
    static RouteRule evil = RULE("evil", "db", "~^(a+)+$", "m", "t", 4),
                     trap = RULE("trap", "db", "x_[0-63]", "m", "x", 5);
    RouteRule *rules[] = {&evil, &trap};
    static const TableName tables[] = {
        T("db", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa!"), T("db", "a"),
        T("db", "x_1")};
    PlanSource sources[] = {SOURCE("s1", NULL, rules, 2, tables, 3)};
    RoutePlan *p = build(sources, 1);
    ck_assert_uint_eq(p->n_problems, 2);
    ck_assert_int_eq(p->problems[0].code, ERR_ROUTE_PATTERN);
    ck_assert_int_eq(p->problems[0].level, ROUTE_BLOCKER);
    ck_assert_msg(strstr(p->problems[0].text.ptr, "too much work on this name: 1 table, s1 db.aaa") != NULL,
                  "%s", p->problems[0].text.ptr);
    ck_assert_int_eq(p->problems[1].level, ROUTE_NOTE);
    ck_assert_msg(strstr(p->problems[1].text.ptr, "[0-63] is one digit") != NULL, "%s",
                  p->problems[1].text.ptr);
    route_plan_free(p);
    static RouteRule bad = RULE("bad", "d*b", "t", "m", "t", 9);
    RouteRule *bad_rules[] = {&bad};
    PlanSource broken[] = {SOURCE("s1", NULL, rules, 2, tables, 3),
                           SOURCE("s2", NULL, bad_rules, 1, tables, 3)};
    PlanOpts opts = {.sources = broken, .n_sources = 2};
    Err err = {0};
    ck_assert(!route_plan_build(&opts, &p, &err));
    ck_assert_ptr_null(p);
    ck_assert_int_eq(err.code, ERR_ROUTE_PATTERN);
    err_clear(&err);
}
END_TEST

static Suite *plan_suite(void)
{
    Suite *s = suite_create("route/plan");
    TCase *t = tcase_create("all");
    tcase_add_test(t, members);
    tcase_add_test(t, ambiguous);
    tcase_add_test(t, case_clash);
    tcase_add_test(t, nothing);
    tcase_add_test(t, own_names);
    tcase_add_test(t, failures);
    suite_add_tcase(s, t);
    return s;
}

UNIT_MAIN(plan_suite)
