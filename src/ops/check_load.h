/* The copy of existing rows as `check` sees it: how much, how long, what is in the way. Main thread; blocks
 * on the servers. */
#ifndef SM_OPS_CHECK_LOAD_H
#define SM_OPS_CHECK_LOAD_H

#include "ops/check_server.h"

typedef struct CheckLoad {
    const Task *task; /* mode full or all */
    CheckedSource *sources;
    const RoutePlan *plan;
    TableSchema *const *shards;  /* by entry of the plan; NULL: not there */
    TableSchema *const *targets; /* by target; NULL: does not exist yet */
    Conn *target;                /* NULL: could not be reached */
} CheckLoad;

/* Findings about every source (privileges, the way rows are read), every target (rows, bytes, tables without
 * a usable key, rows that are there already) and the whole (time), and the report's object `load`. */
NODISCARD bool check_load(CheckReport *r, const CheckLoad *in, Err *err);

#endif
