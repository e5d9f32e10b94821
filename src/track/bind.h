/* Binding: a shard table, as its table map and tracked schema describe it, to its target. Pure. */
#ifndef SM_TRACK_BIND_H
#define SM_TRACK_BIND_H

#include "base/err.h"
#include "model/binding.h"
#include "model/flavor.h"
#include "route/keys.h"

/* A column of the target that gets one value in every row of a shard table. */
typedef struct BindFill {
    Str column;
    Str literal; /* SQL; empty: NULL */
} BindFill;

/* How rows of one version of a shard table go into the target, where the names of columns alone do not say
 * it. */
typedef struct BindFeeds {
    const Str *columns; /* one per column of the shard table: the target's that it feeds; empty: left out */
    const BindFill *fills;
    uint32_t n_fills;
} BindFeeds;

typedef struct BindOpts {
    Flavor source_flavor;
    bool target_is_tidb;
    bool allow_keyless;
    bool source_logs_cascades; /* rows that foreign keys change are in the binlog: innodb_native_foreign_keys
                                  is there and OFF */
    const MemberKeys *keys; /* what the key strategies make of this shard table; NULL: nothing. Must outlive
                               the binding */
    const BindFeeds *feeds; /* NULL: by name */
} BindOpts;

/* Checks map against schema (column count, types, names where FULL metadata has them: ERR_TRACK_MISMATCH with
 * both sides) and both against the target by column NAME (missing column, incompatible family, narrower
 * column, keyless without permission, FLOAT/DOUBLE/JSON in a keyless table, unsupported type:
 * ERR_TRACK_TARGET / ERR_NOT_SUPPORTED). map, schema, member must outlive the binding, which is never freed
 * but with binding_free in tests. Columns that the map has behind the schema's last (MariaDB's DB_ROW_HASH_n
 * of long unique keys) are bound to nothing; schema->columns must not be indexed with them. */
NODISCARD bool binding_new(const Member *member, const TableMap *map, const TableSchema *schema,
                           const BindOpts *opts, Binding **out, Err *err);
void binding_free(Binding *b);

/* The part of binding_new that needs no table map: does the definition of a shard table fit this target? For
 * checks before anything runs. Same errors. */
NODISCARD bool binding_check(TableName source, const TableSchema *schema, const Target *target,
                             const BindOpts *opts, Err *err);

/* A target from its live definition: keys, folds, row key. ERR_TRACK_TARGET, ERR_APPLY_TARGET when it cannot
 * be a target (view, engine without transactions, triggers, foreign keys). schema must outlive the target. */
NODISCARD bool target_new(uint32_t id, const TableSchema *schema, Target **out, Err *err);
void target_free(Target *t);
/* Chooses the key that finds the target's rows by what a shard table feeds, and what its strategy says: under
 * plain-index a logical key of provenance columns and the shard's own key. Before the first binding; calls
 * with further members change nothing. */
void target_choose_row_key(Target *t, const TableSchema *shard, const MemberKeys *keys);
/* The interned shape of these target columns (ascending). Thread-safe. */
Shape *target_shape(Target *t, const uint32_t *columns, uint32_t n);

/* -- shared inside track/ -- */

/* The key that finds rows of a shard table: its primary key, else its first unique NOT NULL one; NULL: none.
 */
const KeyDef *source_row_key(const TableSchema *s);
/* What the strategies say of a column of the shard table; NULL: nothing. keys may be NULL. */
const KeyColumn *keys_column(const MemberKeys *keys, Str shard_column);
/* Index of the constant that feeds a target column; NO_COLUMN: none. */
uint32_t keys_constant(const MemberKeys *keys, Str target_column);
/* Does the rule leave this column of the shards out? */
bool keys_drop(const MemberKeys *keys, Str shard_column);

/* One part of a key of this table with its fold. */
TargetKeyPart target_key_part(const TableSchema *s, KeyPart part);
/* Can rows be found by this key: unique, all parts plain NOT NULL columns? */
bool target_key_finds_rows(const TableSchema *s, const KeyDef *k);

#endif
