#include <check.h>
#include <stdlib.h>
#include "base/attrs.h"
#include "pipeline/ddl_impl.h"

/* Steps of one member, oldest first, and what is told of each: P passed, W written, - nothing, and nothing of
 * those behind a dot. */
static const struct {
    const char *name;
    DdlProgress steps[3];
    const char *told;
} cases[] = {
    {"not read by the lock yet", {{0}, {0}, {0}}, "---"},
    {"the floor has not come to any", {{.told = true}, {.told = true}, {.told = true}}, "..."},
    {"the floor has passed the first",
     {{.told = true, .covered = true}, {.told = true}, {.told = true}},
     "P.."},
    {"all before the first is written",
     {{.told = true, .covered = true, .all_written = true}, {.told = true}, {.told = true}},
     "W.."},
    {"passed before, written now",
     {{.told = true, .passed = true, .covered = true, .all_written = true}, {.told = true}, {.told = true}},
     "W.."},
    {"a later one is passed while rows before the first wait",
     {{.told = true, .passed = true, .covered = true},
      {.told = true, .covered = true},
      {.told = true, .covered = true}},
     "-PP"},
    {"nothing is told twice",
     {{.told = true, .passed = true, .written = true, .covered = true, .all_written = true},
      {.told = true, .passed = true, .covered = true},
      {.told = true, .passed = true, .covered = true}},
     "---"},
    {"one written long ago, the next not covered",
     {{.told = true, .passed = true, .written = true}, {.told = true}, {0}},
     "-.."},
    {"one that joined with its table is not told of, the next is",
     {{0}, {.told = true, .covered = true}, {.told = true, .covered = true, .all_written = true}},
     "-PW"},
};

START_TEST(what_is_told)
{
    static const char letters[] = {
        [DDL_NEWS_NONE] = '-', [DDL_NEWS_WAIT] = '.', [DDL_NEWS_PASSED] = 'P', [DDL_NEWS_WRITTEN] = 'W'};
    char got[4] = "...";
    for (int i = 0; i < 3; i++) {
        got[i] = letters[ddl_news(&cases[_i].steps[i])];
        if (got[i] == '.') break;
    }
    ck_assert_msg(strcmp(got, cases[_i].told) == 0, "%s: %s, not %s", cases[_i].name, got, cases[_i].told);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("pipeline/ddl_news");
    TCase *c = tcase_create("news");
    tcase_add_loop_test(c, what_is_told, 0, sizeof cases / sizeof *cases);
    suite_add_tcase(s, c);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_ENV);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
