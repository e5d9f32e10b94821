/* Which source table goes where: allow-lists and route rules, compiled. Immutable after load; any thread. */
#ifndef SM_ROUTE_ROUTER_H
#define SM_ROUTE_ROUTER_H

#include "base/arena.h"
#include "base/err.h"
#include "model/rule.h"
#include "model/schema.h"

typedef struct Router Router; /* of one source */

typedef struct RouterOpts {
    const AllowList *allow_list; /* NULL: everything but system schemas */
    RouteRule *const *rules;     /* in order */
    size_t n_rules;
    bool case_sensitive;
    Str meta_schema; /* never replicated, like the system schemas */
    Str source_id;   /* for values that say where a row came from */
    MappingRule *const *mappings;
    size_t n_mappings;
} RouterOpts;

/* Compiles patterns. ERR_ROUTE_PATTERN with file:line:column for a bad one; a capture in a target that the
 * pattern does not have is an error as well. */
NODISCARD bool router_new(const RouterOpts *opts, Router **out, Err *err);
void router_free(Router *r);

typedef enum RouteOutcome {
    ROUTE_FILTERED,  /* the allow-list (or a system schema) keeps it out: `by` names the rule */
    ROUTE_UNMATCHED, /* kept, no rule matches: same name downstream */
    ROUTE_MATCHED,
    ROUTE_AMBIGUOUS, /* several rules with different targets at the deciding level */
    ROUTE_FAILED, /* a regex met its limit of work, or the target's name came out empty or too long: `by` says
                     which pattern and where; the table must not be touched (ERR_ROUTE_PATTERN) */
} RouteOutcome;

typedef struct RouteAnswer {
    RouteOutcome outcome;
    TableName target;       /* MATCHED and UNMATCHED; in arena */
    const RouteRule *rule;  /* MATCHED: the one that decided */
    const RouteRule *other; /* AMBIGUOUS: one more (rule is the first) */
    Str by; /* FILTERED: "system schema", "allow-list bw1: ignore-tables[2]", …; FAILED: why; in arena */
    Str *captures; /* groups of the deciding regexes, table's first; in arena */
    size_t n_captures;
    Str *provenance;            /* MATCHED: values of rule->key.provenance, one each; in arena */
    Str *reference_of;          /* MATCHED: `of` of rule->key.references filled in, one each; in arena */
    const MappingRule *mapping; /* MATCHED and UNMATCHED: DM's column mapping of the table, or NULL */
} RouteAnswer;

/* Decides one table. Pure; any thread; work is bounded for any pattern. Answers by DM's rules: system schemas
 * and the meta schema are out, then the allow-list, then table-level rules before schema-level ones. A caller
 * must treat AMBIGUOUS and FAILED as errors, never as the table's own name. */
void router_table(const Router *r, TableName source, Arena *arena, RouteAnswer *out);
Str router_source_id(const Router *r);
/* For DDL on databases: may any table of this schema be routed (allow-list keeps the schema)? */
bool router_schema_wanted(const Router *r, Str schema);

/* -- for the dry run: every place of the configuration that holds patterns -- */
typedef enum RouterPatternKind {
    ROUTER_DO_DB,
    ROUTER_IGNORE_DB,
    ROUTER_DO_TABLE,
    ROUTER_IGNORE_TABLE,
    ROUTER_RULE
} RouterPatternKind;

typedef struct RouterPattern {
    RouterPatternKind kind;
    Str what;     /* "route rule r1", "allow-list bw1: do-dbs[1]"; lives as long as the router */
    Str patterns; /* as written: "db_*" or "db_*.t_*" */
    ConfigPlace place;
    const void *identity;  /* the same for the same entry used by several sources */
    const RouteRule *rule; /* of a ROUTER_RULE */
} RouterPattern;

size_t router_n_patterns(const Router *r);
const RouterPattern *router_pattern(const Router *r, size_t i);
/* Does this entry match the table, whatever the others say? How often is for the caller to count.
 * A regex that fails on the name counts as a match: nobody can say that the entry matches nothing. */
bool router_pattern_matches(const Router *r, size_t i, TableName table);
/* Is the entry there to keep a system schema out, which is done anyway (ignore-dbs: [mysql])? */
bool router_pattern_is_for_system(const Router *r, size_t i);
/* Never replicated: the servers' own schemas and the meta schema. */
bool router_is_system_schema(const Router *r, Str schema);

/* What is legal but hardly meant, in arena: "table_[0-63] …: a class stands for one character". Returns how
 * many. */
typedef struct RouterWarning {
    ConfigPlace place;
    Str text; /* without the place */
} RouterWarning;
size_t router_lint(const Router *r, Arena *arena, RouterWarning **out);

#endif
