#include "apply/target_ddl_impl.h"
#include "unit.h"

#define PRINT_A "column a int null default null\ncolumn b int null default null\n"
#define PRINT_B "column a int null default null\ncolumn b bigint null default null\n"
#define PRINT_C "column a int null default null\n"

static const Str none = {0};

static TargetDdlRow row_of(const char *state, const char *before, const char *after, bool repeatable)
{
    return (TargetDdlRow){.job = 7,
                          .n = 2,
                          .target = {STR("shop"), STR("orders")},
                          .statement = STR("ALTER TABLE `shop`.`orders` MODIFY COLUMN `b` bigint"),
                          .state = str_of(state),
                          .repeatable = repeatable,
                          .before = before ? str_of(before) : none,
                          .after = after ? str_of(after) : none};
}

START_TEST(verdicts)
{
    static const struct {
        const char *state, *before, *after, *live; /* NULL: no table */
        bool repeatable;
        DdlJobs jobs;
        DdlVerdict want;
    } cases[] = {
        /* not sent yet */
        {"planned", PRINT_A, PRINT_B, PRINT_A, false, DDL_JOBS_UNKNOWN, DDL_RUN},
        {"planned", PRINT_A, PRINT_B, PRINT_B, false, DDL_JOBS_UNKNOWN, DDL_DONE},
        {"planned", PRINT_A, PRINT_B, PRINT_C, false, DDL_JOBS_UNKNOWN, DDL_DIFFERS},
        {"planned", PRINT_A, PRINT_B, NULL, false, DDL_JOBS_UNKNOWN, DDL_DIFFERS},
        {"planned", PRINT_A, PRINT_A, PRINT_A, false, DDL_JOBS_UNKNOWN, DDL_RUN},
        /* it may have been sent */
        {"intent", PRINT_A, PRINT_B, PRINT_A, false, DDL_JOBS_UNKNOWN, DDL_RUN},
        {"intent", PRINT_A, PRINT_B, PRINT_B, false, DDL_JOBS_UNKNOWN, DDL_DONE},
        {"intent", PRINT_A, PRINT_B, PRINT_C, true, DDL_JOBS_DONE, DDL_DIFFERS},
        {"intent", PRINT_A, PRINT_A, PRINT_A, false, DDL_JOBS_UNKNOWN, DDL_UNCLEAR},
        {"intent", PRINT_A, PRINT_A, PRINT_A, true, DDL_JOBS_UNKNOWN, DDL_RUN},
        {"intent", PRINT_A, PRINT_A, PRINT_B, true, DDL_JOBS_UNKNOWN, DDL_DIFFERS},
        {"intent", PRINT_A, PRINT_A, PRINT_A, false, DDL_JOBS_DONE, DDL_DONE},
        {"intent", PRINT_A, PRINT_A, PRINT_A, false, DDL_JOBS_UNDONE, DDL_RUN},
        /* refused before */
        {"failed", PRINT_A, PRINT_B, PRINT_A, false, DDL_JOBS_UNKNOWN, DDL_RUN},
        {"failed", PRINT_A, PRINT_B, PRINT_B, false, DDL_JOBS_UNKNOWN, DDL_DONE},
        /* CREATE and DROP */
        {"intent", NULL, PRINT_A, NULL, false, DDL_JOBS_UNKNOWN, DDL_RUN},
        {"intent", NULL, PRINT_A, PRINT_A, false, DDL_JOBS_UNKNOWN, DDL_DONE},
        {"intent", NULL, PRINT_A, PRINT_B, false, DDL_JOBS_UNKNOWN, DDL_DIFFERS},
        {"intent", PRINT_A, NULL, PRINT_A, false, DDL_JOBS_UNKNOWN, DDL_RUN},
        {"intent", PRINT_A, NULL, NULL, false, DDL_JOBS_UNKNOWN, DDL_DONE},
        {"intent", PRINT_A, NULL, PRINT_B, false, DDL_JOBS_UNKNOWN, DDL_DIFFERS},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        TargetDdlRow row = row_of(cases[i].state, cases[i].before, cases[i].after, cases[i].repeatable);
        Str live = cases[i].live ? str_of(cases[i].live) : none;
        ck_assert_msg(ddl_judge(&row, live, cases[i].jobs) == cases[i].want, "case %zu", i);
    }
}
END_TEST

START_TEST(an_unclear_statement)
{
    TargetDdlRow row = row_of("intent", PRINT_A, PRINT_A, false);
    Err err = {0};
    ck_assert(!ddl_differs_error(&row, STR(PRINT_A), DDL_UNCLEAR, false, &err));
    ck_assert_int_eq(err.code, ERR_DDL_DIFFERS);
    ck_assert_int_eq(err_class(&err), ERR_CLASS_OPERATOR);
    ck_assert_ptr_nonnull(strstr(err.message, "looks alike before and after"));
    ck_assert_ptr_nonnull(strstr(err_remedy(&err), "--decide retry"));
    err_clear(&err);
}
END_TEST

START_TEST(first_open_row)
{
    TargetDdlRow rows[3] = {{.state = STR("done")}, {.state = STR("skipped")}, {.state = STR("failed")}};
    ck_assert_uint_eq(ddl_first_open(rows, 3), 2);
    ck_assert_uint_eq(ddl_first_open(rows, 2), 2);
    ck_assert_uint_eq(ddl_first_open(rows, 0), 0);
    static const char *const open[] = {"planned", "intent", "failed"};
    for (size_t i = 0; i < ARRAY_LEN(open); i++) {
        rows[0].state = str_of(open[i]);
        ck_assert_uint_eq(ddl_first_open(rows, 3), 0);
    }
}
END_TEST

START_TEST(jobs_of_a_statement)
{
    static const struct {
        const char *states[3];
        DdlJobs want;
    } cases[] = {
        {{NULL}, DDL_JOBS_UNKNOWN},
        {{"synced"}, DDL_JOBS_DONE},
        {{"done"}, DDL_JOBS_ACTIVE}, /* not every node knows yet */
        {{"none"}, DDL_JOBS_ACTIVE},
        {{"queueing"}, DDL_JOBS_ACTIVE},
        {{"running"}, DDL_JOBS_ACTIVE},
        {{"rollingback"}, DDL_JOBS_ACTIVE},
        {{"cancelling"}, DDL_JOBS_ACTIVE},
        {{"pausing"}, DDL_JOBS_ACTIVE},
        {{"paused"}, DDL_JOBS_ACTIVE},
        {{"a state of tomorrow"}, DDL_JOBS_ACTIVE},
        {{"rollback done"}, DDL_JOBS_UNDONE},
        {{"cancelled"}, DDL_JOBS_UNDONE},
        {{"cancelled", "synced"}, DDL_JOBS_DONE},
        {{"synced", "rollback done"}, DDL_JOBS_DONE},
        {{"synced", "running"}, DDL_JOBS_ACTIVE},
        {{"running", "cancelled", "synced"}, DDL_JOBS_ACTIVE},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        DdlJobs got = DDL_JOBS_UNKNOWN;
        for (size_t k = 0; k < 3 && cases[i].states[k]; k++)
            got = ddl_jobs_add(got, str_of(cases[i].states[k]));
        ck_assert_msg(got == cases[i].want, "case %zu", i);
    }
}
END_TEST

START_TEST(differences_in_words)
{
    static const struct {
        const char *have, *want, *words;
    } cases[] = {
        {PRINT_A, PRINT_A, ""},
        {PRINT_A, PRINT_C, "has column b int null default null"},
        {PRINT_C, PRINT_A, "lacks column b int null default null"},
        {PRINT_A, PRINT_B, "lacks column b bigint null default null; has column b int null default null"},
        {"a\nb\n", "b\na\n", "columns or keys in another order"},
        {NULL, PRINT_A, "the table is not there"},
        {PRINT_A, NULL, "the table is there"},
        {NULL, NULL, ""},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        StrBuf out = {0};
        ddl_difference(cases[i].have ? str_of(cases[i].have) : none,
                       cases[i].want ? str_of(cases[i].want) : none, &out);
        ck_assert_str_eq(out.ptr ? out.ptr : "", cases[i].words);
        sb_done(&out);
    }
    StrBuf many = {0}, out = {0};
    for (int i = 0; i < 100; i++)
        sb_printf(&many, "column c%d %0400d\n", i, 0);
    ddl_difference(sb_view(&many), STR(""), &out);
    ck_assert(out.len < 12 * 330 && strstr(out.ptr, "and 88 more"));
    sb_done(&many);
    sb_done(&out);
}
END_TEST

START_TEST(messages)
{
    static const struct {
        const char *live;
        bool ran;
        const char *message, *remedy;
    } cases[] = {
        {PRINT_C, false,
         "shop.orders, schema change 7.2 (ALTER TABLE `shop`.`orders` MODIFY COLUMN `b` bigint): the table "
         "is "
         "neither as before nor as after: against before: lacks column b int null default null; against "
         "after: "
         "lacks column b bigint null default null",
         "before or after"},
        {PRINT_A, true,
         "shop.orders, schema change 7.2 (ALTER TABLE `shop`.`orders` MODIFY COLUMN `b` bigint) ran, but the "
         "table is not what it should have made: lacks column b bigint null default null; has column b int "
         "null "
         "default null",
         "its definition after"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        TargetDdlRow row = row_of("intent", PRINT_A, PRINT_B, false);
        Err err = {0};
        ck_assert(!ddl_differs_error(&row, str_of(cases[i].live), DDL_DIFFERS, cases[i].ran, &err));
        ck_assert_str_eq(err.message, cases[i].message);
        ck_assert_ptr_nonnull(strstr(err_remedy(&err), cases[i].remedy));
        err_clear(&err);
    }
}
END_TEST

START_TEST(refusals)
{
    static const struct {
        ErrCode cause, code;
        ErrClass cls;
        const char *remedy;
    } cases[] = {
        {ERR_DB_DUPLICATE_KEY, ERR_DDL_REFUSED, ERR_CLASS_OPERATOR, "key strategy"},
        {ERR_DB_VALUE, ERR_DDL_REFUSED, ERR_CLASS_OPERATOR, "do not fit"},
        {ERR_DB_SERVER, ERR_DDL_REFUSED, ERR_CLASS_OPERATOR, "by hand"},
        {ERR_DB_SCHEMA, ERR_DDL_REFUSED, ERR_CLASS_OPERATOR, "--decide retry"},
        {ERR_DB_ACCESS_DENIED, ERR_DB_ACCESS_DENIED, ERR_CLASS_CONFIG,
         "GRANT ALTER, CREATE, DROP, INDEX, "
         "INSERT, SELECT ON `shop`.*"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        TargetDdlRow row = row_of("intent", PRINT_A, PRINT_B, false);
        Err cause = {0}, err = {0};
        err_set(&cause, cases[i].cause, "the server says no (1234)");
        cause.server_errno = 1234;
        ck_assert(!ddl_refused_error(&row, &cause, &err));
        ck_assert(!err_is_set(&cause));
        ck_assert_int_eq(err.code, cases[i].code);
        ck_assert_int_eq(err_class(&err), cases[i].cls);
        ck_assert_uint_eq(err.server_errno, 1234);
        ck_assert_ptr_nonnull(strstr(err.message, "shop.orders, schema change 7.2 (ALTER"));
        ck_assert_ptr_nonnull(strstr(err.message, "the server says no (1234)"));
        ck_assert_ptr_nonnull(strstr(err_remedy(&err), cases[i].remedy));
        err_clear(&err);
    }
}
END_TEST

START_TEST(names_that_must_not_change)
{
    const MetaTask m = {STR("meta"), STR("task"), "01234567-89ab-cdef-0123-456789abcdef"};
    const MetaTask other_task = {STR("meta"), STR("task2"), m.uuid},
                   other_meta = {STR("met"), STR("atask"), m.uuid};
    const TableName t = {STR("shop"), STR("orders")}, u = {STR("sho"), STR("porders")};
    const struct {
        const MetaTask *m;
        TableName t;
    } cases[] = {{&m, t}, {&m, u}, {&other_task, t}, {&other_meta, t}};
    StrBuf names[4] = {0}, again = {0}, marker = {0};
    for (size_t i = 0; i < 4; i++) {
        target_ddl_lock_name(cases[i].m, cases[i].t, &names[i]);
        ck_assert_uint_le(names[i].len, 64);
        for (size_t k = 0; k < i; k++)
            ck_assert_str_ne(names[i].ptr, names[k].ptr);
    }
    target_ddl_lock_name(&m, t, &again);
    ck_assert_str_eq(names[0].ptr, again.ptr);
    ck_assert_str_eq(again.ptr, "shardmerge ddl f95b79d7f6270e6d"); /* a later version must take the same */
    target_ddl_marker(&m, 7, 2, &marker);
    ck_assert_str_eq(marker.ptr, "/* shardmerge 01234567-89ab-cdef-0123-456789abcdef job 7.2 */");
    for (size_t i = 0; i < 4; i++)
        sb_done(&names[i]);
    sb_done(&again);
    sb_done(&marker);
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("target_ddl_judge");
    TCase *t = tcase_create("all");
    tcase_add_test(t, verdicts);
    tcase_add_test(t, an_unclear_statement);
    tcase_add_test(t, first_open_row);
    tcase_add_test(t, jobs_of_a_statement);
    tcase_add_test(t, differences_in_words);
    tcase_add_test(t, messages);
    tcase_add_test(t, refusals);
    tcase_add_test(t, names_that_must_not_change);
    suite_add_tcase(s, t);
    return s;
}

UNIT_MAIN(suite)
