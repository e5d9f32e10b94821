/* The problems found while a configuration is read: all of them, each with its place and remedy. */
#ifndef SM_CONFIG_PROBLEM_H
#define SM_CONFIG_PROBLEM_H

#include "base/err.h"
#include "model/rule.h"

typedef struct Problem Problem;

/* {0} is a valid empty list. Main thread. */
typedef struct Problems {
    Problem *list;
    size_t n, cap;
} Problems;

/* Adds one; remedy NULL: the error table's. Returns false, so that `return problem_add(…)` reads well. A
 * second problem of the same code at the same place (an alias read twice) is dropped. */
bool problem_add(Problems *ps, ErrCode code, ConfigPlace place, const char *remedy, const char *fmt, ...)
    PRINTF_LIKE(5, 6);
/* Sorts by file, line and column, fills *err with the first and appends one line each to lines (may be NULL):
 * "task.yaml:12:5: [SM-1203 CONFIG_UNKNOWN_KEY] …; remedy". True when there is no problem. */
NODISCARD bool problems_report(Problems *ps, StrBuf *lines, Err *err);
void problems_done(Problems *ps);

#endif
