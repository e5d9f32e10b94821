#include <jansson.h>
#include <stdlib.h>
#include "../unit.h"
#include "ops/load_text.h"
#include "ops/status.h"

static char *text_of(const char *json, bool color)
{
    json_error_t e;
    json_t *o = json_loads(json, JSON_DECODE_ANY, &e);
    StrBuf out = {0};
    ck_assert_msg(o != NULL, "%s", e.text);
    load_text(o, color, &out);
    json_decref(o);
    sb_reserve(&out, 1);
    out.ptr[out.len] = 0;
    return sb_take(&out);
}

static void has(const char *text, const char *part)
{
    ck_assert_msg(strstr(text, part), "%s\nlacks '%s'", text, part);
}

static const char loading[] =
    "{\"state\":\"loading\",\"rows\":1234567,\"bytes\":157286400,\"rows_estimated\":2000000,"
    "\"bytes_estimated\":268435456,\"percent\":61.7,\"rows_per_s\":85000,\"bytes_per_s\":11010047.8,\"eta_"
    "s\":"
    "130,"
    "\"tables\":["
    "{\"source\":\"s1\",\"schema\":\"shop_0\",\"table\":\"orders_0\",\"target_schema\":\"shop\",\"target_"
    "table\":"
    "\"orders\",\"phase\":\"following\",\"rows\":500000,\"bytes\":1,\"rows_estimated\":500000,\"percent\":"
    "100},"
    "{\"source\":\"s1\",\"schema\":\"shop_0\",\"table\":\"orders_1\",\"target_schema\":\"shop\",\"target_"
    "table\":"
    "\"orders\",\"phase\":\"copying\",\"rows\":234567,\"bytes\":2097152,\"rows_estimated\":500000,"
    "\"percent\":46.9},"
    "{\"source\":\"s2\",\"schema\":\"shop_1\",\"table\":\"notes\",\"target_schema\":\"shop\",\"target_"
    "table\":"
    "\"notes\",\"phase\":\"unit\",\"rows\":0,\"bytes\":0,\"rows_estimated\":7,\"percent\":0},"
    "{\"source\":\"s2\",\"schema\":\"shop_1\",\"table\":\"orders_2\",\"target_schema\":\"shop\",\"target_"
    "table\":"
    "\"orders\",\"phase\":\"waiting\",\"rows\":0,\"bytes\":0,\"rows_estimated\":9,\"percent\":0}],"
    "\"readers\":[{\"source\":\"s1\",\"state\":\"reading\",\"table\":\"orders_1\",\"chunks\":3},"
    "{\"source\":\"s2\",\"state\":\"idle\",\"table\":null,\"chunks\":0},"
    "{\"source\":\"s1\",\"state\":\"waiting for room\",\"table\":\"orders_1\",\"chunks\":3},"
    "{\"source\":\"s1\",\"state\":\"reading\",\"table\":\"orders_1\",\"chunks\":3}]}";

START_TEST(a_copy_under_way_tells_all_of_it)
{
    char *text = text_of(loading, false);
    has(text,
        "COPY  61.7 %  1,234,567 of about 2,000,000 rows, 150 MiB of about 256 MiB  85,000 rows/s, 10 MiB/s  "
        "about 2 min left\n");
    has(text, "4 tables: 1 copied and followed, 1 being copied, 1 being copied as one unit, 1 waiting\n");
    has(text, "s1:shop_0.orders_1  shop.orders  copying  234,567   500,000  2.0 MiB  46.9 %\n");
    has(text, "s2:shop_1.notes     shop.notes   unit           0         7      0 B   0.0 %\n");
    ck_assert_ptr_null(strstr(text, "orders_0"));
    ck_assert_ptr_null(strstr(text, "orders_2"));
    has(text, "READERS  s1: 2 reading, 1 waiting for room; s2: 1 idle\n");
    ck_assert_ptr_null(strchr(text, '\x1b'));
    free(text);
    text = text_of(loading, true);
    has(text, "\x1b[2mCOPY\x1b[0m  \x1b[32m61.7 %\x1b[0m");
    free(text);
}
END_TEST

START_TEST(what_is_not_known_is_not_made_up)
{
    char *text =
        text_of("{\"state\":\"loading\",\"rows\":5,\"bytes\":10,\"rows_estimated\":0,\"bytes_estimated\":0,"
                "\"percent\":null,\"rows_per_s\":0,\"bytes_per_s\":0,\"eta_s\":null,\"tables\":[],"
                "\"readers\":[]}",
                false);
    ck_assert_str_eq(text, "\nCOPY  -  5 rows, 10 B  0 rows/s, 0 B/s\n");
    free(text);
}
END_TEST

START_TEST(a_finished_copy_is_one_line)
{
    char *text = text_of(
        "{\"state\":\"done\",\"rows\":2000000,\"bytes\":1048576,\"percent\":100,\"tables\":[{}]}", false);
    ck_assert_str_eq(text, "\nCOPY  done  2,000,000 rows, 1.0 MiB\n");
    free(text);
}
END_TEST

START_TEST(without_a_copy_nothing_is_said)
{
    const char *none[] = {"null", "{\"state\":\"none\"}", "{}", "[]", "7"};
    for (size_t i = 0; i < ARRAY_LEN(none); i++) {
        char *text = text_of(none[i], false);
        ck_assert_str_eq(text, "");
        free(text);
    }
    char *odd = text_of(
        "{\"state\":\"loading\",\"tables\":[1,{},null,{\"phase\":\"copying\"}],\"readers\":[3]}", false);
    has(odd, "4 tables: 1 being copied\n");
    free(odd);
}
END_TEST

/* A thousand tables: those being copied are shown up to a dozen, the others are numbers. */
START_TEST(many_tables_are_counted)
{
    json_t *tables = json_array();
    for (int i = 0; i < 1000; i++) {
        const char *phase = i < 100 ? "following" : i < 120 ? "copying" : "waiting";
        json_array_append_new(tables,
                              json_pack("{s:s, s:s, s:s, s:s, s:s, s:s, s:i, s:i, s:f}", "source", "s1",
                                        "schema", "d", "table", "t", "target_schema", "m", "target_table",
                                        "t", "phase", phase, "rows", i, "rows_estimated", i, "percent", 1.0));
    }
    json_t *load = json_pack("{s:s, s:o}", "state", "loading", "tables", tables);
    char *json = json_dumps(load, 0);
    char *text = text_of(json, false);
    size_t lines = 0;
    for (const char *at = text; (at = strchr(at, '\n')); at++)
        lines++;
    has(text, "1,000 tables: 100 copied and followed, 20 being copied, 880 waiting\n");
    has(text, "… and 8 more\n");
    ck_assert_uint_eq(lines, 17); /* a blank, the head, the summary, the titles, 12 tables, the rest */
    free(json);
    free(text);
    json_decref(load);
}
END_TEST

START_TEST(sizes_and_times)
{
    static const struct {
        uint64_t n;
        const char *bytes, *duration;
    } cases[] = {{0, "0 B", "0 s"},
                 {119, "119 B", "119 s"},
                 {120, "120 B", "2 min"},
                 {1536, "1.5 KiB", "25 min"},
                 {7200, "7.0 KiB", "2 h 0 min"},
                 {90061, "88 KiB", "25 h 1 min"},
                 {187200, "183 KiB", "2 d 4 h"},
                 {UINT64_MAX, "16384 PiB", "213503982334601 d 7 h"}};
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        StrBuf b = {0};
        text_bytes(&b, cases[i].n);
        ck_assert_str_eq(b.ptr, cases[i].bytes);
        sb_clear(&b);
        text_duration(&b, cases[i].n);
        ck_assert_str_eq(b.ptr, cases[i].duration);
        sb_done(&b);
    }
}
END_TEST

static Suite *load_text_suite(void)
{
    Suite *s = suite_create("load_text");
    TCase *t = tcase_create("load_text");
    tcase_set_timeout(t, 30);
    tcase_add_test(t, a_copy_under_way_tells_all_of_it);
    tcase_add_test(t, what_is_not_known_is_not_made_up);
    tcase_add_test(t, a_finished_copy_is_one_line);
    tcase_add_test(t, without_a_copy_nothing_is_said);
    tcase_add_test(t, many_tables_are_counted);
    tcase_add_test(t, sizes_and_times);
    suite_add_tcase(s, t);
    return s;
}

UNIT_MAIN(load_text_suite)
