/* A table map against the schema known for its position: what contradicts stops the source instead of
 * shifting values into wrong columns. Pure. */
#ifndef SM_TRACK_MAP_CHECK_H
#define SM_TRACK_MAP_CHECK_H

#include "base/err.h"
#include "model/flavor.h"
#include "model/table_map.h"

/* ERR_TRACK_MISMATCH with both sides. Columns behind the schema's last pass only where they are MariaDB's
 * hidden DB_ROW_HASH_n (named so; or, without names, as many 8-byte integers as the table has unique keys
 * USING HASH). */
NODISCARD bool map_check(TableName name, const TableMap *map, const TableSchema *schema, Flavor flavor,
                         Err *err);

/* Has it the columns of a MariaDB sequence? With names it is one; without, a table may look the same. */
bool map_like_sequence(const TableMap *map);

#endif
