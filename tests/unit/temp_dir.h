/* A folder of its own for each test: a checked fixture that makes it and removes it. */
#ifndef SM_TESTS_TEMP_DIR_H
#define SM_TESTS_TEMP_DIR_H

#include <check.h>
#include <stdlib.h>
#include "base/str.h"

static char *temp_dir;

static void temp_dir_setup(void)
{
    char pattern[] = "/tmp/sm-unit-XXXXXX";
    ck_assert_ptr_nonnull(mkdtemp(pattern));
    temp_dir = str_dup(str_of(pattern));
}

static void temp_dir_teardown(void)
{
    StrBuf command = {0};
    sb_printf(&command, "rm -rf '%s'", temp_dir);
    ck_assert_int_eq(system(command.ptr), 0);
    sb_done(&command);
    free(temp_dir);
}

#endif
