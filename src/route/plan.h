/* The routing plan: every table of every source with its target, and all that is wrong with it. Pure: names
 * in, plan out. The dry run prints it; a run builds the same plan before anything starts. */
#ifndef SM_ROUTE_PLAN_H
#define SM_ROUTE_PLAN_H

#include "route/router.h"

/* One source's share of the input. */
typedef struct PlanSource {
    Str id;
    const AllowList *allow_list; /* NULL: everything */
    RouteRule *const *rules;
    size_t n_rules;
    const TableName *tables; /* what the source has, any order */
    size_t n_tables;
    ConfigPlace place;
    MappingRule *const *mappings; /* DM's column mappings */
    size_t n_mappings;
} PlanSource;

typedef struct PlanOpts {
    const PlanSource *sources;
    size_t n_sources;
    bool case_sensitive;
    Str meta_schema;
} PlanOpts;

typedef struct RouteEntry {
    uint32_t source; /* index into PlanOpts.sources */
    uint32_t target; /* index into RoutePlan.targets; ROUTE_NO_TARGET when filtered, ambiguous or failed */
    TableName table;
    RouteAnswer answer;
} RouteEntry;
enum { ROUTE_NO_TARGET = UINT32_MAX };

/* A merged table and the shard tables that go into it. */
typedef struct RouteTarget {
    TableName name;
    uint32_t *members; /* indices into RoutePlan.entries, ascending */
    size_t n_members;
} RouteTarget;

typedef enum RouteLevel {
    ROUTE_NOTE,    /* worth a look */
    ROUTE_PROBLEM, /* the dry run ends with status 1; a run may start and says it */
    ROUTE_BLOCKER, /* a run must not start */
} RouteLevel;

typedef struct RouteProblem {
    RouteLevel level;
    ErrCode code; /* ERR_ROUTE_…; ERR_NONE for notes */
    Str text;     /* names rule, source and tables; without place and remedy */
    ConfigPlace place;
} RouteProblem;

typedef struct RoutePlan {
    Arena arena;
    RouteEntry *entries; /* by source, then schema, then table (byte order) */
    size_t n;
    RouteTarget *targets; /* by schema, then table */
    size_t n_targets;
    RouteProblem *problems; /* blockers first, then problems, then notes */
    size_t n_problems;
    Router **routers; /* one per source, for tables that appear later; owned by the plan */
    size_t n_routers;
} RoutePlan;

/* Compiles every source's rules and decides every table. False only when a pattern or target cannot be
 * compiled (ERR_ROUTE_PATTERN with its place); what is wrong with the routes themselves is in problems.
 * Strings of opts must outlive the plan. Does not block; one thread. */
NODISCARD bool route_plan_build(const PlanOpts *opts, RoutePlan **out, Err *err);
void route_plan_free(RoutePlan *p); /* NULL allowed */

/* True when there is no blocker; else *err holds the first one with its place, and how many more there are.
 */
NODISCARD bool route_plan_check(const RoutePlan *p, Err *err);
/* Do the names of two targets differ by case alone, in schema or table? */
bool route_case_clash(TableName a, TableName b);
/* "file:line:col: [SM-1702 ROUTE_AMBIGUOUS] text; remedy" (what is not known is left out). */
void route_problem_format(const RouteProblem *p, StrBuf *out);
const char *route_level_name(RouteLevel level); /* "note", "problem", "blocker" */

#endif
