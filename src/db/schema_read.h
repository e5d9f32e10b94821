/* Reads table definitions from a live server (source or downstream) through information_schema. */
#ifndef SM_DB_SCHEMA_READ_H
#define SM_DB_SCHEMA_READ_H

#include "db/conn.h"
#include "model/schema.h"

/* The definition of one table; *out NULL when there is no such table. Columns in ordinal order, invisible ones too;
 * keys from STATISTICS; foreign keys and triggers noted. Works on MySQL 5.7+, MariaDB 10.3+, TiDB. */
NODISCARD bool schema_read(Conn *c, TableName name, TableSchema **out, Err *err);

/* All base tables of the server outside system schemas, as names in the arena. */
NODISCARD bool schema_list_tables(Conn *c, Arena *arena, TableName **out, size_t *n, Err *err);

#endif
