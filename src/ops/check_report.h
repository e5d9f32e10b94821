/* What `check` has found: findings, each with its level, its place and what mends it. Main thread. */
#ifndef SM_OPS_CHECK_REPORT_H
#define SM_OPS_CHECK_REPORT_H

#include <jansson.h>
#include "base/arena.h"
#include "base/err.h"

typedef enum CheckLevel { CHECK_OK, CHECK_NOTE, CHECK_WARN, CHECK_FAIL } CheckLevel;

typedef struct CheckFinding {
    CheckLevel level;
    Str where; /* "source s1", "downstream", "target `a`.`b`", "routes" */
    Str what;
    Str remedy; /* the GRANT, SET or ALTER that mends it; empty when nothing is to be done */
} CheckFinding;

/* {0} is an empty report. */
typedef struct CheckReport {
    Arena arena;
    CheckFinding *findings;
    size_t n, cap;
    size_t counts[CHECK_FAIL + 1];
    Str where;    /* of the findings to come */
    json_t *load; /* what there is to copy; owned; NULL: nothing */
} CheckReport;

void check_where(CheckReport *r, const char *fmt, ...) PRINTF_LIKE(2, 3);
/* remedy may be NULL. */
void check_add(CheckReport *r, CheckLevel level, const char *remedy, const char *fmt, ...) PRINTF_LIKE(4, 5);
/* The error as a finding with its remedy; clears it. */
void check_add_err(CheckReport *r, CheckLevel level, Err *err);
const char *check_level_name(CheckLevel level); /* "ok", "note", "warn", "fail" */

/* {"task","ok","counts":{…},"findings":[{"level","where","what","remedy"}],
 * "load":null|{"rows","bytes","seconds",…}} and a line break. */
void check_report_json(const CheckReport *r, Str task, StrBuf *out);
void check_report_human(const CheckReport *r, Str task, StrBuf *out);
void check_report_done(CheckReport *r);

#endif
