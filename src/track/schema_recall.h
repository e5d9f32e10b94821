/* The definition that a table had at an earlier point, where the binlog names its columns there (FULL row
 * metadata): also what DROP, MODIFY and CHANGE COLUMN do not tell. Pure. */
#ifndef SM_TRACK_SCHEMA_RECALL_H
#define SM_TRACK_SCHEMA_RECALL_H

#include "ddl/stmt.h"
#include "model/table_map.h"
#include "track/schema_apply.h"

/* now: the definition behind all of the statements; since: those on this one table, in their order; map: from
 * before the first of them. Columns are those of the map: as now has them where name and type are the same,
 * else from the map alone (then without a default, a comment, an expression). Keys: those of now over these
 * columns, less those that the statements added.
 * NULL: the map does not name a type that is the only one possible, or another primary key. The answer is a
 * guess until the caller has applied the statements to it and come to now. schema_free. */
TableSchema *schema_recall(const TableSchema *now, const DdlStmt *const *since, size_t n, const TableMap *map,
                           const ApplyContext *ctx);

#endif
