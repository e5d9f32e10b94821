/* What it means for a target that a shard table loses rows without row events, and which of the target's rows
 * are one shard table's. Pure. */
#ifndef SM_PIPELINE_LOSS_H
#define SM_PIPELINE_LOSS_H

#include "pipeline/policy.h"

typedef struct LossAnswer {
    LossPolicies policies; /* of all members */
    bool tells_rows;       /* the rows of each member are told from those of all others */
    bool can_refill;       /* … and all of them are in the target: none is parked */
} LossAnswer;

/* Do all members say the same, and are their rows told apart where a policy needs that? ERR_KEY_STRATEGY
 * names two shard tables. */
NODISCARD bool loss_check(const Task *task, const Target *t, const PolicyMember *members, size_t n,
                          LossAnswer *out, Err *err);
/* Appends the condition that exactly the member's rows meet, as long as loss_check says that rows are told
 * apart: `shard` = 'a' AND … ERR_KEY_STRATEGY: the target's columns do not allow it. */
NODISCARD bool loss_rows_of(const Target *t, const MemberKeys *k, StrBuf *sql, Err *err);

#endif
