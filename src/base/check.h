/* CHECK guards data and is always on: a crash is safe (a restart resumes exactly), a wrong row is not. */
#ifndef SM_BASE_CHECK_H
#define SM_BASE_CHECK_H

#include "base/attrs.h"

/* Prints the failed condition with its place to stderr and aborts. Any thread. */
NORETURN COLD void check_failed(const char *cond, const char *file, int line, const char *why);

#define CHECK(cond, why)                                                                                     \
    do {                                                                                                     \
        if (UNLIKELY(!(cond))) check_failed(#cond, __FILE__, __LINE__, (why));                               \
    } while (0)

#endif
