/* Routing rules as the task file says them: text, not yet compiled. route/ compiles them. */
#ifndef SM_MODEL_RULE_H
#define SM_MODEL_RULE_H

#include "base/str.h"

/* Where in which file something was written; line and column from 1, 0 = not known. */
typedef struct ConfigPlace {
    const char *file;
    unsigned line, column;
} ConfigPlace;

typedef struct TablePattern {
    Str schema, table; /* DM wildcards, or ~regex; table empty = the schema itself */
    ConfigPlace place;
} TablePattern;

/* DM's block-allow-list, behaviour document 5.2. */
typedef struct AllowList {
    Str name; /* of the rule in the task file */
    Str *do_dbs, *ignore_dbs;
    size_t n_do_dbs, n_ignore_dbs;
    TablePattern *do_tables, *ignore_tables;
    size_t n_do_tables, n_ignore_tables;
    ConfigPlace place;
} AllowList;

/* What makes the keys of several shards fit into one table. */
typedef enum KeyStrategy {
    KEY_STRATEGY_ERROR,        /* they are as they are: a collision stops */
    KEY_STRATEGY_PARTITION_ID, /* id packed with the numbers of instance, schema and table */
    KEY_STRATEGY_STRIDE,       /* id × number of shards + number of the shard */
    KEY_STRATEGY_COMPOSITE,    /* provenance columns join the keys */
    KEY_STRATEGY_PLAIN_INDEX,  /* unique keys become ordinary indexes; rows are found with the provenance */
    KEY_STRATEGY_REMAP,        /* new ids, by a durable map */
} KeyStrategy;

typedef enum ProvenanceKind {
    PROVENANCE_TEMPLATE, /* text with ${source}, ${schema}, ${table}, $1, ${schema:1}, ${name} */
    PROVENANCE_TABLE,    /* DM's extract-table, -schema, -source: text is a regular expression, the value all
                            its groups, one after the other; no match: the empty text */
    PROVENANCE_SCHEMA,
    PROVENANCE_SOURCE,
} ProvenanceKind;

/* A column of the target that says where its row came from: one value for a shard table. */
typedef struct ProvenanceRule {
    Str column;
    ProvenanceKind kind;
    Str text;
    Str type;     /* of the column when the target is made; empty: VARCHAR(64) */
    Str position; /* then: empty (last), "first", or the column it stands behind */
    ConfigPlace place;
} ProvenanceRule;

/* A column that holds ids of another target, rewritten like those. */
typedef struct ReferenceRule {
    Str column;
    Str schema, table; /* the target whose ids it holds; schema empty: that of the rule's own target */
    Str of; /* template of the shard table whose ids they are; empty: the one of the same source and schema */
    bool map_zero; /* 0 is an id, not "none" */
    ConfigPlace place;
} ReferenceRule;

typedef struct InstanceNumber {
    Str source;
    uint64_t number;
} InstanceNumber;

/* How ids are packed. A part takes bits only when it is set. */
typedef struct PartitionRule {
    unsigned instance_bits, schema_bits, table_bits; /* the id has what is left of 63 */
    bool has_schema, has_table;
    Str schema_prefix, table_prefix, separator;
    InstanceNumber *instances; /* a source without an entry is refused when there are any */
    size_t n_instances;
} PartitionRule;

/* What happens to a row whose key another shard's row has. */
typedef enum ConflictPolicy {
    CONFLICT_STOP,        /* its source stops */
    CONFLICT_TABLE,       /* the row of the shard that stands later in the task is parked */
    CONFLICT_KEEP_FIRST,  /* the row with the higher value in a column is */
    CONFLICT_KEEP_NEWEST, /* the row with the lower value is */
} ConflictPolicy;

/* `key` of a routing rule; {0} when it has none. */
typedef struct KeyRule {
    KeyStrategy strategy;
    Str column; /* the id; empty: the AUTO_INCREMENT column, else the one integer column of the primary key */
    PartitionRule partition;
    uint64_t shards; /* stride: how many there may ever be */
    ProvenanceRule *provenance;
    size_t n_provenance;
    Str *global_keys; /* composite: unique keys (names on the shards) that stay as they are */
    size_t n_global_keys;
    Str *plain_keys; /* plain-index: unique keys that become indexes; none: all */
    size_t n_plain_keys;
    ReferenceRule *references;
    size_t n_references;
    ConflictPolicy on_conflict;
    Str conflict_column;  /* CONFLICT_KEEP_*: whose values are compared, of the target */
    bool no_foreign_keys; /* do not look for references in the shards' foreign keys */
    ConfigPlace place;
} KeyRule;

/* What a shard table's loss of rows without row events means for the target. */
typedef enum LossPolicy {
    LOSS_HOLD,           /* the shard table waits for an operator */
    LOSS_IGNORE,         /* the target keeps the rows */
    LOSS_DELETE_ROWS,    /* its rows are deleted from the target */
    LOSS_APPLY_WHEN_ALL, /* the target loses them when all shard tables have lost theirs alike */
} LossPolicy;

/* By what took the rows away. */
typedef struct LossPolicies {
    LossPolicy on_drop, on_truncate, on_drop_partition, on_rename_out;
} LossPolicies;

/* DM's route rule, 4.1. Targets may hold $1…$9 / ${name} of the regex captures. */
typedef struct RouteRule {
    Str name;
    Str schema_pattern, table_pattern;
    Str target_schema, target_table;
    ConfigPlace place;
    KeyRule key;
    Str *drop_columns; /* columns of the shards that the target does without */
    size_t n_drop_columns;
    LossPolicies loss;
} RouteRule;

/* DM's column mapping with the expression "partition id", 7.2. */
typedef struct MappingRule {
    Str name;
    Str schema_pattern, table_pattern;
    Str column;
    bool has_instance;
    uint64_t instance;
    PartitionRule partition; /* DM's widths; no instances of its own */
    ConfigPlace place;
} MappingRule;

#endif
