/* Reads table definitions from a live server (source or downstream) through information_schema. */
#ifndef SM_DB_SCHEMA_READ_H
#define SM_DB_SCHEMA_READ_H

#include "db/conn.h"
#include "model/schema.h"

/* The definition of one table; *out NULL when there is no such table. Columns in ordinal order, invisible
 * ones too; keys from STATISTICS; foreign keys (this table as the child) noted, cascading ones too: where the
 * user may not see their rules, from the text of the definition, else taken for cascading (a user
 * with rights on single columns alone sees no keys); triggers noted, as
 * far as the user may see them. The name is matched exactly, or without case where the server compares so
 * (lower_case_table_names). One round trip per information_schema view. Works on MySQL 5.7+, MariaDB 10.3+,
 * TiDB. */
NODISCARD bool schema_read(Conn *c, TableName name, TableSchema **out, Err *err);

/* As schema_read for n names: out[i] belongs to names[i], NULL where there is no such table. Many names of
 * one schema cost one scan of each information_schema view. out is the caller's array; on error nothing is
 * left in it. */
NODISCARD bool schema_read_many(Conn *c, const TableName *names, size_t n, TableSchema **out, Err *err);

/* All base tables of the server outside system schemas, as names in the arena. */
NODISCARD bool schema_list_tables(Conn *c, Arena *arena, TableName **out, size_t *n, Err *err);

#endif
