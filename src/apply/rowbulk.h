/* Rows as values of a bulk INSERT (db/bulk.h). A value means the same as in the text that value_sql writes:
 * the same digits, charsets and padding. What has no such form stays with the text. Pure. */
#ifndef SM_APPLY_ROWBULK_H
#define SM_APPLY_ROWBULK_H

#include "db/bulk.h"
#include "model/binding.h"
#include "model/txn.h"

/* How a binding's rows go. {0} is a valid empty one. */
typedef struct RowBulk {
    const Binding *binding;
    uint32_t n, cap;             /* columns of its full shape */
    BulkType *types;             /* of the placeholders */
    struct RowBulkColumn *parts; /* where each value comes from */
} RowBulk;

/* Plans the rows of b. False: they need SQL text (text of another charset, JSON numbers, native types,
 * spatial values, compressed columns, values on record). */
bool rowbulk_plan(RowBulk *r, const Binding *b);
void rowbulk_done(RowBulk *r);
/* INSERT INTO t (cols) VALUES (?,…), appended. */
void rowbulk_sql(const Target *target, const Shape *shape, StrBuf *out);
/* Appends the values of one full image. On an error out holds a part of it: the command is given up, and
 * rowsql has the last word on the row. */
NODISCARD bool rowbulk_add(StrBuf *out, const RowBulk *r, const RowImage *image, Err *err);

#endif
