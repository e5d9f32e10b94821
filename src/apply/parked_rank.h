/* Who wins where two rows claim one key: a total order on rows of different shard tables. Pure.
 *
 *   1. a row that an operator keeps, before others
 *   2. under keep-first and keep-newest the value of the column; none (NULL) comes last
 *   3. the order of the sources in the task, then the shard table's name
 *   4. within a shard table a row with its own key, before one that an operator renamed, the older decision
 * first */
#ifndef SM_APPLY_PARKED_RANK_H
#define SM_APPLY_PARKED_RANK_H

#include "base/err.h"
#include "model/schema.h"

typedef struct ParkedRank {
    bool pinned;
    bool has_order;
    uint64_t order; /* lower wins */
    uint32_t source;
    Str schema, table;
    uint64_t decided; /* number of the decision about this row; 0: none */
    bool renamed;
} ParkedRank;

/* Below 0: a wins. 0: the same rank. */
int parked_rank_cmp(const ParkedRank *a, const ParkedRank *b);
/* Rows of one shard table? */
bool parked_same_table(const ParkedRank *a, const ParkedRank *b);

/* What may be compared: integers, DATE, DATETIME, TIMESTAMP, written by the shards. */
bool parked_can_order(const ColumnDef *c);
/* A value, as the server writes it as text (ptr NULL: NULL), into rank. ERR_CORRUPT: not such a value. */
NODISCARD bool parked_order_of(const ColumnDef *c, bool newest_wins, Str text, ParkedRank *rank, Err *err);

#endif
