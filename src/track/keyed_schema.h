/* The definition of a target that fits the key strategy of its shard tables, from the definition they share:
 * wide ids, provenance columns, keys. Pure. */
#ifndef SM_TRACK_KEYED_SCHEMA_H
#define SM_TRACK_KEYED_SCHEMA_H

#include "route/keys.h"
#include "track/schema_json.h"

/* *out borrows the strings of shard and keys, which must outlive it; schema_free frees it. keys NULL: the
 * shard's own definition. ERR_KEY_STRATEGY: a unique key holds a dropped column. */
NODISCARD bool keyed_schema(const TableSchema *shard, const MemberKeys *keys, bool target_is_tidb,
                            TableSchema **out, Err *err);
/* Sets what a CREATE TABLE of it says besides on TiDB: clustered or not, where rows of no primary key go. */
void keyed_words(const MemberKeys *keys, const TableSchema *keyed, CreateOpts *opts);
/* What the operator should know of this table beside the statement: one line each, without markers. */
void keyed_advice(const MemberKeys *keys, const TableSchema *keyed, const CreateOpts *opts, StrBuf *out);

#endif
