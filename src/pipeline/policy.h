/* What the rules of a target's shard tables say of collisions, and whose row a row of the target is. Pure. */
#ifndef SM_PIPELINE_POLICY_H
#define SM_PIPELINE_POLICY_H

#include "apply/parked.h"
#include "config/task.h"
#include "route/keys.h"

typedef struct PolicyMember {
    const Member *member;
    const MemberKeys *keys; /* NULL: not resolved yet; such members are left out */
} PolicyMember;

typedef struct PolicyAnswer {
    ConflictPolicy policy; /* of all members; losers are parked under all but CONFLICT_STOP */
    Str column;            /* CONFLICT_KEEP_*: of the target, whose values rank the rows */
} PolicyAnswer;
/* Do all members say the same, and can their rows be told apart by their provenance? ERR_KEY_STRATEGY names
 * two shard tables. */
NODISCARD bool policy_check(const Task *task, const Target *t, const PolicyMember *members, size_t n,
                            PolicyAnswer *out, Err *err);
/* A value without the padding of CHAR and BINARY. */
Str policy_trimmed(Str s);
/* Are two texts one value of this column of the target? */
bool policy_same_value(const Target *t, Str column, Str a, Str b);
/* The member whose provenance these texts are; NULL: none. values: one for each provenance column. */
const Member *policy_owner(const Target *t, const PolicyMember *members, size_t n, const Str *values);
/* Does the key strategy of a member write other values into this column of the target than the shard has? */
bool policy_rewrites(const PolicyMember *members, size_t n, Str column);
/* ParkedWorld's answers from a task. */
uint32_t policy_source_rank(const Task *task, Str source_id);
Str policy_source_id(const Task *task, uint32_t source);

#endif
