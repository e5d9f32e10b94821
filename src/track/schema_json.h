/* TableSchema to and from JSON, for the durable schema history; and comparisons of schemas in words. Pure. */
#ifndef SM_TRACK_SCHEMA_JSON_H
#define SM_TRACK_SCHEMA_JSON_H

#include "base/err.h"
#include "model/charset.h"
#include "model/schema.h"

void schema_to_json(const TableSchema *s, StrBuf *out);
NODISCARD bool schema_from_json(Str json, TableSchema **out, Err *err);

/* Differences that matter to data, one line each ("column `c`: int(11) against bigint(20)", "missing key
 * uk(a,b)"); a_name and b_name name the sides. Returns the number of lines. Comments, engine, AUTO_INCREMENT
 * value do not count. */
size_t schema_diff(const TableSchema *a, const char *a_name, const TableSchema *b, const char *b_name,
                   StrBuf *out);

/* CREATE TABLE for the downstream from the shards' common definition: column types, charsets and collations
 * spelled out, keys, no AUTO_INCREMENT attribute on TiDB-safe grounds (comment says so), no engine options
 * but InnoDB; for TiDB: what its table of refused forms says. ERR_TRACK_TARGET for a type the target has not.
 */
typedef struct CreateOpts {
    TableName name;
    bool target_is_tidb, target_is_mariadb;
    bool source_is_mariadb;
    const char *primary_words; /* behind PRIMARY KEY (…); NULL: nothing */
    const char *table_words;   /* behind the table's options; NULL: nothing */
} CreateOpts;
NODISCARD bool schema_create_sql(const TableSchema *s, const CreateOpts *opts, StrBuf *sql, Err *err);
/* The collation itself where the downstream has it, else the nearest it has; NULL: nothing near. */
const Collation *create_collation(const CreateOpts *opts, Str collation);

#endif
