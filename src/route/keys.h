/* Key strategies: what becomes of the ids of one shard table on their way into the target, and which columns
 * say where its rows came from. Decided once per shard table, by names and definitions alone. Pure; any
 * thread. */
#ifndef SM_ROUTE_KEYS_H
#define SM_ROUTE_KEYS_H

#include "model/binding.h"
#include "route/router.h"

/* A column of the shard table whose integers are rewritten. */
typedef struct KeyColumn {
    Str column; /* on the shard */
    KeyRewrite rewrite;
    bool is_reference; /* it holds ids of another table, or of another row */
} KeyColumn;

/* A value that every row of the shard table gets. */
typedef struct KeyConstant {
    const ProvenanceRule *rule;
    Str value;
} KeyConstant;

/* What the strategies make of one shard table. */
typedef struct MemberKeys {
    KeyStrategy strategy;  /* DM's column mapping counts as PARTITION_ID */
    const RouteRule *rule; /* NULL: the table has none */
    KeyColumn *columns;
    uint32_t n_columns;
    uint32_t own; /* the table's own id in columns; NO_COLUMN: not rewritten */
    KeyConstant *constants;
    uint32_t n_constants;
} MemberKeys;

/* What deciding needs of the task around the shard table. */
typedef struct KeyWorld {
    const Router *router; /* of the table's source */
    /* The durable number of a shard table in its target, from 0. */
    bool (*number)(void *ctx, TableName shard, TableName target, uint32_t *out, Err *err);
    /* The definition of another shard table of the source; NULL: not known. */
    const TableSchema *(*schema)(void *ctx, TableName shard);
    /* Walks the shard tables of the source that go into a target; *iter begins with 0; false at the end. */
    bool (*next_shard)(void *ctx, TableName target, size_t *iter, TableName *out);
    /* The space of these ids, one for the whole process; `like` lacks its id, its strings are the caller's.
     * NULL: any copy will do (nothing is written). */
    const KeySpace *(*space)(void *ctx, const KeySpace *like);
    void *ctx;
} KeyWorld;

/* Decides for one shard table. answer: its route (MATCHED or UNMATCHED); in arena, and it must outlive the
 * outcome. ERR_KEY_STRATEGY names rule, table and what to change; ERR_NOT_SUPPORTED: ids that are no
 * integers. */
NODISCARD bool keys_resolve(const KeyWorld *w, TableName shard, const RouteAnswer *answer,
                            const TableSchema *schema, Arena *arena, MemberKeys **out, Err *err);

/* Would two members of one target get the same share of its keys, or do they follow different strategies? The
 * words say which (they name neither table). NULL: they go together. */
const char *keys_clash(const MemberKeys *a, const MemberKeys *b);

/* Packs: bit 63 is 0, then instance, schema and table take their bits from the top, as far as they are set;
 * the id has the lowest 63 - (all three widths) bits. With DM's widths and the same arguments the numbers are
 * DM's, bit for bit. A name that is the prefix has number 0, else what follows prefix and separator must be a
 * decimal number that fits. ERR_KEY_STRATEGY. Source of truth: TiDB's column-mapping, partition id. */
NODISCARD bool keys_partition(const PartitionRule *p, const uint64_t *instance, TableName shard,
                              KeyRewrite *out, Err *err);
/* id × shards + number. ERR_KEY_STRATEGY when number is not below shards. */
NODISCARD bool keys_stride(uint64_t shards, uint32_t number, KeyRewrite *out, Err *err);

/* The column whose ids the rule's strategy rewrites: named, or AUTO_INCREMENT, or the primary key's one
 * integer column. Empty: none. */
Str keys_id_column(const KeyRule *key, const TableSchema *schema);
const char *keys_strategy_name(KeyStrategy s); /* "partition-id" */
/* May a column of this DATA_TYPE hold ids? */
bool keys_is_integer(Str data_type);

#endif
