/* What the key strategies make of every shard table of a plan, before anything runs: for route and check.
 * Pure. */
#ifndef SM_OPS_ROUTE_KEYS_H
#define SM_OPS_ROUTE_KEYS_H

#include "route/keys.h"
#include "route/plan.h"

/* Why a shard table or a target cannot be had; text empty: it can. */
typedef struct KeyFault {
    ErrCode code;
    Str text, remedy;
} KeyFault;

typedef struct RouteKeys {
    MemberKeys **keys; /* by entry of the plan; NULL: without target, not read, or at fault */
    KeyFault *faults;  /* by entry */
    KeyFault *shares;  /* by target: two members with one share of its keys */
} RouteKeys;

/* shards: by entry, NULL where not read. Numbers of `stride` are those that a new task would give. Everything
 * in arena. */
void route_keys_resolve(const RoutePlan *plan, const Str *source_ids, TableSchema *const *shards,
                        Arena *arena, RouteKeys *out);

/* A column that looks like a reference to a target whose ids are rewritten, by its name and type, but that no
 * rule rewrites. */
typedef struct KeySuspect {
    uint32_t entry;  /* a shard table that has it */
    uint32_t parent; /* target whose ids it may hold */
    Str column;
} KeySuspect;

/* One for each column of each target's shard tables. In arena; returns how many. */
size_t route_keys_suspects(const RoutePlan *plan, TableSchema *const *shards, const RouteKeys *k,
                           Arena *arena, KeySuspect **out);

/* The keys of the target's first member that has any; NULL: none. */
const MemberKeys *route_keys_of_target(const RoutePlan *plan, const RouteKeys *k, size_t target);
/* Does the rule of these keys change anything: ids, columns or keys? */
bool route_keys_matter(const MemberKeys *keys);

#endif
