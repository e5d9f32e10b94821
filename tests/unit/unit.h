/* Every unit test file is a program: define suites with Check and end with UNIT_MAIN(suite_function). */
#ifndef SM_TESTS_UNIT_H
#define SM_TESTS_UNIT_H

#include <check.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>

/* Check writes down the place of each assertion that holds, for what it says of a crash, and reads all of
 * them when the test has ended: in loops that is most of a test's time. Here a place is written once. */
#undef ck_assert_msg
#define ck_assert_msg(expr, ...)                                                                             \
    ((expr) ? unit_mark_once()                                                                               \
            : _ck_assert_failed(__FILE__, __LINE__, "Assertion '" #expr "' failed", ##__VA_ARGS__))
#define unit_mark_once()                                                                                     \
    __extension__({                                                                                          \
        static atomic_bool marked_;                                                                          \
        if (!atomic_exchange_explicit(&marked_, true, memory_order_relaxed)) mark_point();                   \
    })

#define UNIT_MAIN(suite_fn)                                                                                  \
    int main(void)                                                                                           \
    {                                                                                                        \
        SRunner *runner = srunner_create(suite_fn());                                                        \
        srunner_run_all(runner, CK_NORMAL);                                                                  \
        int failed = srunner_ntests_failed(runner);                                                          \
        srunner_free(runner);                                                                                \
        return failed ? EXIT_FAILURE : EXIT_SUCCESS;                                                         \
    }

#endif
