/* Every unit test file is a program: define suites with Check and end with UNIT_MAIN(suite_function). */
#ifndef SM_TESTS_UNIT_H
#define SM_TESTS_UNIT_H

#include <check.h>
#include <stdlib.h>

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
