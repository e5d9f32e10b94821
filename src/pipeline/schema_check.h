/* Was a definition true at a point of a source? Shown by what came since: the statements behind the point
 * lead from it to what the table is now. */
#ifndef SM_PIPELINE_SCHEMA_CHECK_H
#define SM_PIPELINE_SCHEMA_CHECK_H

#include "config/task.h"
#include "model/point.h"
#include "model/schema.h"

/* *given (schema_free): the table that a CREATE TABLE makes on the source's server, under the name asked for.
 * ERR_DDL_SYNTAX, ERR_DDL_APPLY, ERR_USAGE when it is another statement. Blocks. */
NODISCARD bool schema_given(const Task *task, uint32_t source, TableName name, Str sql, TableSchema **given,
                            Err *err);
/* words: the statements since, one line each; then, where it does not lead there, why. *shown: it does.
 * Blocks as long as reading that part of the binlog takes. */
NODISCARD bool schema_check(const Task *task, uint32_t source, const TableSchema *given,
                            const StreamPoint *at, StrBuf *words, bool *shown, Err *err);

#endif
