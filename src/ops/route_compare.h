/* Do the shard tables of one target look alike, and does the target fit them? Pure. */
#ifndef SM_OPS_ROUTE_COMPARE_H
#define SM_OPS_ROUTE_COMPARE_H

#include "ops/route_keys.h"
#include "track/schema_json.h"

/* Members of one target with equal definitions. */
typedef struct SchemaGroup {
    uint32_t *members; /* indices into the plan's entries */
    size_t n;
    const TableSchema *schema;
    Str differences; /* lines against the first group; empty for the first itself */
} SchemaGroup;

typedef enum TargetState {
    TARGET_NOT_ASKED, /* the downstream was not reached */
    TARGET_EQUAL,
    TARGET_DIFFERS,
    TARGET_CREATABLE, /* missing; create_sql would be sent */
    TARGET_MISSING,   /* and not created: the members differ, or the task says so */
} TargetState;

/* What the servers say about one target. */
typedef struct RouteComparison {
    SchemaGroup *groups; /* the largest first */
    size_t n_groups;
    TargetState state;
    Str differences; /* lines: the target against the first group */
    Str create_sql;  /* TARGET_CREATABLE */
    Str advice;      /* lines: what the operator should know of the target that fits */
    Str fit_sql; /* the CREATE TABLE that fits, whether the target exists or not; empty: it cannot be made */
    Str misfit;  /* why the existing target does not fit the key strategy; empty: it does */
    Str remedy;  /* then: the ALTER to run */
    RouteProblem problems[6];
    size_t n_problems;
} RouteComparison;

typedef struct RouteCompareOpts {
    const RoutePlan *plan;
    const Str *source_ids;
    const TableSchema *const *shards; /* by entry of the plan; NULL where not read */
    const TableSchema *const
        *targets; /* by target; NULL: no such table. The list itself NULL: downstream not reached */
    const bool *source_is_mariadb; /* by source */
    bool target_is_tidb, target_is_mariadb;
    bool create_tables; /* the task creates missing targets */
    bool allow_keyless;
    const RouteKeys *keys; /* of the same plan */
} RouteCompareOpts;

/* Compares every target of the plan: one RouteComparison each, in arena. Problems are ERR_ROUTE_SHARDS and
 * ERR_ROUTE_TARGET. The schemas must outlive the answer. */
RouteComparison *route_compare(const RouteCompareOpts *opts, Arena *arena);

#endif
