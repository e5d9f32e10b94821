/* The statement's parts that give a shard table's rows in its target other values in some columns. */
#ifndef SM_PIPELINE_REFILL_H
#define SM_PIPELINE_REFILL_H

#include "apply/row_refill.h"
#include "pipeline/catalog.h"
#include "track/bind.h"

typedef struct RefillSql {
    Arena arena;
    StrBuf where; /* exactly the member's rows */
    StrBuf set;   /* the fills; columns that would change by themselves keep their values */
    RowRefillKey *keys;
    uint32_t n_keys; /* 0: no key of the target can be gone by */
} RefillSql;

/* ERR_KEY_STRATEGY: the rows are not told apart; ERR_NOT_SUPPORTED: a key strategy makes the column's values
 * others than the shard's; ERR_TRACK_TARGET: the target lacks a column. Takes the catalog's mutex. */
NODISCARD bool refill_sql_of(Catalog *c, const Member *m, const BindFill *fills, uint32_t n, RefillSql *out,
                             Err *err);
void refill_sql_done(RefillSql *r);

#endif
