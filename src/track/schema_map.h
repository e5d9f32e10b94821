/* The table map that the binlog would hold for a table of this definition: so that rows read by SELECT become
 * row images of the same bytes that a row event would carry, and everything behind them is one path. Pure. */
#ifndef SM_TRACK_SCHEMA_MAP_H
#define SM_TRACK_SCHEMA_MAP_H

#include "base/err.h"
#include "model/flavor.h"
#include "model/table_map.h"

/* Every column of the schema in its order (generated and invisible ones too), with type, meta, nullability,
 * sign, collation and name; ENUM and SET by their numbers. JSON of MySQL is a LONGBLOB of utf8mb4 text here,
 * since SELECT gives text. All memory in arena; body stays empty. ERR_NOT_SUPPORTED names a column whose type
 * cannot be read. */
NODISCARD bool schema_table_map(const TableSchema *s, Flavor flavor, Arena *arena, TableMap **out, Err *err);

#endif
