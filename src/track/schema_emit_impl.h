/* Between schema_emit.c and tidb_ddl.c. */
#ifndef SM_TRACK_SCHEMA_EMIT_IMPL_H
#define SM_TRACK_SCHEMA_EMIT_IMPL_H

#include "track/schema_emit.h"

/* What TiDB would refuse; each sets ERR_TRACK_TARGET and returns false. s: the table as it is then. */
NODISCARD bool tidb_may_add(const TableSchema *s, const ColumnDef *c, Err *err);
NODISCARD bool tidb_may_drop(const TableSchema *s, uint32_t column, Err *err);
NODISCARD bool tidb_may_modify(const TableSchema *s, uint32_t column, const ColumnDef *to, Err *err);
NODISCARD bool tidb_may_change_primary(const TableSchema *s, Err *err);
NODISCARD bool tidb_may_partition(const Partitioning *by, Err *err);

/* Renames of a column, and the table's collation. */
NODISCARD bool tidb_may_rename(const TableSchema *s, uint32_t column, Err *err);
NODISCARD bool tidb_may_collate(const TableSchema *s, Str collation, Err *err);

#endif
