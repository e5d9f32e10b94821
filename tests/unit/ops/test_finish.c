#include "ops/finish_verb.h"
#include <check.h>
#include <stdlib.h>

static const struct {
    const char *type;
    bool is_unsigned;
    uint64_t limit;
} limits[] = {
    {"tinyint", false, 127},      {"tinyint", true, 255},        {"smallint", false, 32767},
    {"smallint", true, 65535},    {"mediumint", false, 8388607}, {"mediumint", true, 16777215},
    {"int", false, 2147483647},   {"int", true, 4294967295},     {"bigint", false, INT64_MAX},
    {"bigint", true, UINT64_MAX}, {"BIGINT", false, INT64_MAX},  {"decimal", false, 0},
    {"double", true, 0},
};

START_TEST(limits_of_types)
{
    ck_assert_uint_eq(finish_type_limit(str_of(limits[_i].type), limits[_i].is_unsigned), limits[_i].limit);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("finish");
    TCase *t = tcase_create("types");
    tcase_add_loop_test(t, limits_of_types, 0, sizeof limits / sizeof *limits);
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_NORMAL);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
