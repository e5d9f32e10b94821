/* The definition that a table had before a statement, from the one that it has after it: where the statement
 * tells all that it changed. Pure. */
#ifndef SM_TRACK_SCHEMA_UNDO_H
#define SM_TRACK_SCHEMA_UNDO_H

#include "ddl/stmt.h"

/* NULL: the statement does not tell what was there before (a dropped column, another type, IF [NOT] EXISTS).
 * stmt has run, and concerns this one table. Added columns and keys go, renamed ones get their names back,
 * TRUNCATE and what moves rows alone changes nothing. The caller applies the statement to the answer again
 * and compares. schema_free. */
TableSchema *schema_undo(const TableSchema *after, const DdlStmt *stmt);

#endif
