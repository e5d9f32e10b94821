/* Which source table goes where: allow-lists and route rules, compiled. Immutable after load; any thread. */
#ifndef SM_ROUTE_ROUTER_H
#define SM_ROUTE_ROUTER_H

#include "base/arena.h"
#include "base/err.h"
#include "model/rule.h"
#include "model/schema.h"

typedef struct Router Router; /* of one source */

typedef struct RouterOpts {
    const AllowList *allow_list;  /* NULL: everything but system schemas */
    RouteRule *const *rules;      /* in order */
    size_t n_rules;
    bool case_sensitive;
    Str meta_schema;              /* never replicated, like the system schemas */
} RouterOpts;

/* Compiles patterns. ERR_ROUTE_PATTERN with file:line:column for a bad one; a capture in a target that the pattern
 * does not have is an error as well. */
NODISCARD bool router_new(const RouterOpts *opts, Router **out, Err *err);
void router_free(Router *r);

typedef enum RouteOutcome {
    ROUTE_FILTERED,  /* the allow-list (or a system schema) keeps it out: `by` names the rule */
    ROUTE_UNMATCHED, /* kept, no rule matches: same name downstream */
    ROUTE_MATCHED,
    ROUTE_AMBIGUOUS, /* several rules with different targets at the deciding level */
} RouteOutcome;

typedef struct RouteAnswer {
    RouteOutcome outcome;
    TableName target;        /* MATCHED and UNMATCHED; in arena */
    const RouteRule *rule;   /* MATCHED: the one that decided */
    const RouteRule *other;  /* AMBIGUOUS: one more (rule is the first) */
    Str by;                  /* FILTERED: "system schema", "allow-list bw1: ignore-tables[2]", … in arena */
    Str *captures;           /* groups of the deciding regexes, table's first; in arena */
    size_t n_captures;
} RouteAnswer;

void router_table(const Router *r, TableName source, Arena *arena, RouteAnswer *out);
/* For DDL on databases: may any table of this schema be routed (allow-list keeps the schema)? */
bool router_schema_wanted(const Router *r, Str schema);
/* How often each rule matched since load is not kept here: the dry run counts for itself. */

#endif
