#include "../unit.h"
#include "../temp_dir.h"
#include "ops/rates.h"
#include "ops/status.h"

#define OK(call)                                                                                             \
    do {                                                                                                     \
        Err err = {0};                                                                                       \
        ck_assert_msg((call), "%s", err.message ? err.message : "");                                         \
    } while (0)

static json_t *load(const char *text)
{
    json_error_t e;
    json_t *o = json_loads(text, JSON_DECODE_ANY, &e);
    ck_assert_msg(o != NULL, "%s", e.text);
    return o;
}

static void same_json(const json_t *got, const char *expected)
{
    json_t *want = load(expected);
    char *text = json_dumps(got, JSON_COMPACT | JSON_ENCODE_ANY);
    ck_assert_msg(json_equal(got, want), "%s\nis not %s", text, expected);
    free(text);
    json_decref(want);
}

static void has(const char *text, const char *part)
{
    ck_assert_msg(strstr(text, part), "%s\nlacks '%s'", text, part);
}

static void fill(Store *s, const char *outcome)
{
    uint64_t run;
    const StoreFloor floors[] = {
        {.source_id = STR("s1"),
         .point_json = STR("{\"flavor\":\"mariadb\",\"gtid\":\"0-1-7\",\"file\":\"b.000002\",\"pos\":4711}"),
         .counts = {.read = 13, .applied = 7, .filtered = 2, .missed = 1, .loaded = 3},
         .state = STR("streaming")},
        {.source_id = STR("s2"),
         .state = STR("paused-by-error"),
         .error_json = STR("{\"code\":\"SM-1910\",\"class\":\"operator\",\"message\":\"two "
                           "shards\",\"remedy\":\"choose\"}")},
        {.source_id = STR("s3"), .state = STR("waiting-for-lock")},
    };
    OK(store_task_create(s, STR("orders"), STR("f"), &err));
    OK(store_run_begin(s, 1, STR("0.1"), &run, &err));
    OK(store_checkpoint(s, 1, 1, floors, ARRAY_LEN(floors), &err));
    OK(store_pause_set(s, STR("s3"), true, STR("anna"), &err));
    if (outcome) OK(store_run_end(s, run, str_of(outcome), STR(""), &err));
}

static json_t *offline(Store *s, const char *state)
{
    json_t *status;
    OK(status_offline(s, state, &status, &err));
    return status;
}

START_TEST(offline_status_tells_pauses_and_errors_apart)
{
    Store *s;
    OK(store_open(temp_dir, false, &s, &err));
    fill(s, "stopped");
    json_t *status = offline(s, NULL);
    const json_t *sources = json_object_get(status, "sources");
    ck_assert_str_eq(json_string_value(json_object_get(status, "task")), "orders");
    ck_assert_str_eq(json_string_value(json_object_get(status, "state")), "stopped");
    ck_assert(json_is_false(json_object_get(status, "caught_up")));
    ck_assert(json_is_false(json_object_get(status, "running")));
    ck_assert_uint_eq(json_array_size(sources), 3);
    const char *states[] = {"stopped", "paused-by-error", "paused-by-user"};
    for (size_t i = 0; i < 3; i++)
        ck_assert_str_eq(json_string_value(json_object_get(json_array_get(sources, i), "state")), states[i]);
    same_json(json_object_get(json_array_get(sources, 0), "position"),
              "{\"file\":\"b.000002\",\"pos\":4711,\"gtid\":\"0-1-7\"}");
    same_json(json_object_get(json_array_get(sources, 0), "counters"),
              "{\"read\":13,\"applied\":7,\"filtered\":2,\"held\":0,\"parked\":0,\"missed\":1,"
              "\"refused\":0,\"loaded\":3}");
    same_json(json_object_get(json_array_get(sources, 0), "error"), "null");
    same_json(json_object_get(json_array_get(sources, 2), "position"),
              "{\"file\":null,\"pos\":null,\"gtid\":null}");
    ck_assert_str_eq(
        json_string_value(json_object_get(json_object_get(json_array_get(sources, 1), "error"), "code")),
        "SM-1910");
    ck_assert(status_has_problem(status));
    json_decref(status);
    status = offline(s, "starting");
    ck_assert_str_eq(json_string_value(json_object_get(status, "state")), "starting");
    ck_assert(json_is_true(json_object_get(status, "running")));
    ck_assert(!status_has_problem(status));
    json_decref(status);
    store_close(s);
}
END_TEST

typedef struct Outcome {
    const char *outcome, *state, *said;
} Outcome;

static const Outcome outcomes[] = {
    {"failed", "failed", "failed"},
    {"caught-up", "finished", "caught-up"},
    {"stopped", "stopped", "stopped"},
    {NULL, "stopped", "killed"},
};

START_TEST(offline_task_state_follows_the_last_run)
{
    const Outcome *o = &outcomes[_i];
    Store *s;
    OK(store_open(temp_dir, false, &s, &err));
    fill(s, o->outcome);
    json_t *status = offline(s, NULL);
    StrBuf text = {0};
    ck_assert_str_eq(json_string_value(json_object_get(status, "state")), o->state);
    ck_assert_str_eq(json_string_value(json_object_get(json_object_get(status, "last_run"), "outcome")),
                     o->said);
    status_text(status, false, &text);
    has(text.ptr, "no process runs");
    has(text.ptr, o->said);
    sb_done(&text);
    json_decref(status);
    store_close(s);
}
END_TEST

START_TEST(a_state_that_never_ran_is_answered_too)
{
    Store *s;
    StrBuf text = {0};
    OK(store_open(temp_dir, false, &s, &err));
    json_t *status = offline(s, NULL);
    same_json(json_object_get(status, "sources"), "[]");
    same_json(json_object_get(status, "last_run"), "null");
    status_text(status, false, &text);
    has(text.ptr, "stopped");
    sb_done(&text);
    json_decref(status);
    store_close(s);
    status = offline(NULL, NULL);
    same_json(json_object_get(status, "sources"), "[]");
    ck_assert(!status_has_problem(status));
    json_decref(status);
}
END_TEST

static const char live_status[] =
    "{\"task\":\"orders\",\"state\":\"streaming\",\"caught_up\":true,\"running\":true,\"sources\":["
    "{\"id\":\"s1\",\"state\":\"streaming\",\"position\":{\"file\":\"b.000002\",\"pos\":4711,\"gtid\":null},"
    "\"lag_ms\":1500,"
    "\"rows_per_s\":12345,\"counters\":{\"read\":1234567,\"applied\":1234500,\"filtered\":50,\"held\":0,"
    "\"parked\":0,"
    "\"missed\":2,\"refused\":0},\"error\":null},"
    "{\"id\":\"shard-two\",\"state\":\"failed\",\"position\":{\"file\":null,\"pos\":null,\"gtid\":null},"
    "\"lag_ms\":null,"
    "\"counters\":{\"read\":5,\"applied\":5},\"error\":{\"code\":\"SM-1301\",\"class\":\"stop-source\","
    "\"message\":\"purged\","
    "\"remedy\":\"copy again\"}}],"
    "\"targets\":[{\"schema\":\"shop\",\"table\":\"orders\",\"members\":4,\"lock\":null}],"
    "\"appliers\":[{\"id\":0,\"transactions\":10,\"state\":\"idle\"},{\"id\":1,\"transactions\":2000,"
    "\"state\":\"busy\"}]}";

START_TEST(people_see_the_sum_the_errors_and_what_to_do)
{
    json_t *status = load(live_status);
    StrBuf text = {0};
    status_text(status, false, &text);
    has(text.ptr, "task orders: streaming, caught up\n");
    has(text.ptr, "b.000002:4711");
    has(text.ptr, "1.5 s");
    has(text.ptr, "1,234,567 =  1,234,500 +        50 +       2 +        0 +         15\n");
    ck_assert_ptr_null(strstr(text.ptr, "parked"));
    ck_assert_ptr_null(strstr(text.ptr, "loaded"));
    ck_assert_ptr_null(strstr(text.ptr, "COPY"));
    has(text.ptr, "1,234,572 =  1,234,505 +");
    has(text.ptr, "shard-two: [SM-1301, stop-source] purged\n  what to do: copy again\n");
    has(text.ptr, "TARGETS\n");
    has(text.ptr, "2,000");
    ck_assert_ptr_null(strchr(text.ptr, '\x1b'));
    sb_clear(&text);
    status_text(status, true, &text);
    has(text.ptr, "\x1b[31mfailed\x1b[0m");
    sb_done(&text);
    json_decref(status);
}
END_TEST

/* Changes that the copy contains are a column of the sum, and the copy itself stands before the targets. */
START_TEST(a_copy_is_part_of_the_page)
{
    json_t *status =
        load("{\"task\":\"t\",\"state\":\"streaming\",\"sources\":[{\"id\":\"s1\",\"state\":\"streaming\","
             "\"counters\":"
             "{\"read\":100,\"applied\":60,\"filtered\":0,\"held\":0,\"parked\":0,\"missed\":0,\"refused\":0,"
             "\"loaded\":40}}],\"targets\":[{\"schema\":\"m\",\"table\":\"t\"}],\"load\":{\"state\":\"done\","
             "\"rows\":1000,"
             "\"bytes\":2048}}");
    StrBuf text = {0};
    status_text(status, false, &text);
    has(text.ptr, "+  loaded +  in flight\n");
    has(text.ptr, "+      40 +          0\n");
    has(text.ptr, "\n\nCOPY  done  1,000 rows, 2.0 KiB\n\nTARGETS\n");
    sb_done(&text);
    json_decref(status);
}
END_TEST

START_TEST(odd_objects_do_not_break_the_page)
{
    const char *odd[] = {
        "{}",
        "[]",
        "null",
        "{\"sources\":[{}]}",
        "{\"sources\":[1,\"x\",null]}",
        "{\"load\":7,\"sources\":{},\"targets\":[{}],\"appliers\":[[]],\"last_run\":7,\"error\":\"x\"}"};
    for (size_t i = 0; i < ARRAY_LEN(odd); i++) {
        json_t *status = load(odd[i]);
        StrBuf text = {0};
        status_text(status, false, &text);
        has(text.ptr, "task ");
        ck_assert(!status_has_problem(status));
        sb_done(&text);
        json_decref(status);
    }
}
END_TEST

static json_t *rows(uint64_t applied)
{
    json_t *counters = json_pack("{s:i, s:I, s:i}", "read", 0, "applied", (json_int_t)applied, "filtered", 0);
    return json_pack("{s:[{s:s, s:o}]}", "sources", "id", "s1", "counters", counters);
}

START_TEST(rates_follow_and_never_are_negative)
{
    Rates r = {0};
    uint64_t applied = 0, rate = 0;
    for (int64_t ms = 0; ms <= 10000; ms += 500, applied += 1000) {
        json_t *status = rows(applied);
        rate = rates_update(&r, status, ms);
        const json_t *source = json_array_get(json_object_get(status, "sources"), 0);
        ck_assert_uint_eq(rate, (uint64_t)json_integer_value(json_object_get(source, "rows_per_s")));
        json_decref(status);
    }
    ck_assert_uint_ge(rate, 1900);
    ck_assert_uint_le(rate, 2000);
    json_t *status = rows(5); /* back at the floor */
    rate = rates_update(&r, status, 10500);
    ck_assert_uint_lt(rate, 2000);
    json_decref(status);
    status = rows(5);
    ck_assert_uint_eq(rates_update(&r, status, 60000), 0);
    json_decref(status);
    rates_done(&r);
}
END_TEST

static Suite *status_suite(void)
{
    Suite *s = suite_create("status");
    TCase *t = tcase_create("status");
    tcase_add_checked_fixture(t, temp_dir_setup, temp_dir_teardown);
    tcase_set_timeout(t, 30);
    tcase_add_test(t, offline_status_tells_pauses_and_errors_apart);
    tcase_add_loop_test(t, offline_task_state_follows_the_last_run, 0, (int)ARRAY_LEN(outcomes));
    tcase_add_test(t, a_state_that_never_ran_is_answered_too);
    tcase_add_test(t, people_see_the_sum_the_errors_and_what_to_do);
    tcase_add_test(t, a_copy_is_part_of_the_page);
    tcase_add_test(t, odd_objects_do_not_break_the_page);
    tcase_add_test(t, rates_follow_and_never_are_negative);
    suite_add_tcase(s, t);
    return s;
}

UNIT_MAIN(status_suite)
