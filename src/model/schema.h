/* Nouns of a table's definition, as read from a server's information_schema or kept by the tracker. Immutable
 * once built; all strings live in the owning TableSchema's arena. */
#ifndef SM_MODEL_SCHEMA_H
#define SM_MODEL_SCHEMA_H

#include "base/arena.h"
#include "base/str.h"

typedef struct TableName {
    Str schema, table;
} TableName;

static inline bool table_name_eq(TableName a, TableName b)
{
    return str_eq(a.schema, b.schema) && str_eq(a.table, b.table);
}
/* Appends `schema`.`table`. */
void table_name_sql(TableName n, StrBuf *out);
/* Appends schema.table, for people and map keys. */
void table_name_plain(TableName n, StrBuf *out);

typedef enum DefaultKind {
    DEFAULT_NONE, /* no default: NOT NULL without one */
    DEFAULT_NULL,
    DEFAULT_LITERAL, /* default_text is the value, unquoted */
    DEFAULT_EXPR,    /* default_text is an expression: current_timestamp(), uuid(), … */
} DefaultKind;

typedef struct ColumnDef {
    Str name;
    Str data_type;   /* lower case, DATA_TYPE: "int", "varchar", "enum", … */
    Str column_type; /* COLUMN_TYPE as the server prints it: "int(10) unsigned" */
    bool is_unsigned, not_null, auto_increment;
    bool generated; /* VIRTUAL or STORED: the target computes it, it is never written */
    bool generated_stored;
    bool invisible;
    bool on_update_now;
    uint64_t char_length; /* CHARACTER_MAXIMUM_LENGTH (characters; bytes for binary), 0 if none */
    uint32_t precision, scale, fsp;
    Str charset, collation; /* empty for non-text */
    DefaultKind default_kind;
    Str default_text;
    Str generation_expr;
    Str comment;
    const Str *members; /* ENUM, SET */
    uint32_t n_members;
    bool has_srid; /* spatial, MySQL 8+ */
    uint32_t srid;
    bool unversioned; /* MariaDB: WITHOUT SYSTEM VERSIONING in a versioned table */
} ColumnDef;

typedef struct KeyPart {
    uint32_t column; /* index into columns; UINT32_MAX for an expression part */
    uint32_t prefix; /* characters (bytes for binary); 0 = whole column */
    bool descending;
    Str expression; /* of an expression part (MySQL 8+), as the server or the statement wrote it */
} KeyPart;

typedef struct KeyDef {
    Str name; /* "PRIMARY" for the primary key */
    bool primary, unique;
    bool has_expression;
    Str index_type; /* BTREE, HASH, FULLTEXT, SPATIAL */
    KeyPart *parts;
    uint32_t n_parts;
    bool invisible;       /* MySQL INVISIBLE, MariaDB IGNORED */
    bool for_foreign_key; /* the server made it for a foreign key: it goes when another key covers it */
    Str comment;
} KeyDef;

/* CHECK constraint. */
typedef struct CheckDef {
    Str name; /* MariaDB: of a column's own CHECK its column */
    Str expr;
    bool column_level; /* MariaDB: written with its column, goes with it */
    bool not_enforced; /* MySQL */
} CheckDef;

/* One option of a table beyond engine, collation and comment, as CREATE_OPTIONS names it: lower case,
 * ("row_format", "COMPRESSED"). */
typedef struct TableOption {
    Str name, value;
} TableOption;

typedef struct PartitionDef {
    Str name;
    Str values; /* RANGE: the bound; LIST: the members; as PARTITION_DESCRIPTION shows them; HASH, KEY: empty
                 */
    Str comment;
    const Str *subpartitions; /* names */
    uint32_t n_subpartitions;
} PartitionDef;

typedef struct Partitioning {
    Str method, expr;         /* "RANGE COLUMNS", "`a`,`b`"; empty method: not partitioned */
    Str sub_method, sub_expr; /* empty: no subpartitions */
    PartitionDef *parts;
    uint32_t n_parts;
} Partitioning;

/* A foreign key of this table: its columns hold values of the parent's. */
typedef struct ForeignKey {
    TableName parent; /* on the same server */
    uint32_t *columns;
    Str *parent_columns;
    uint32_t n_columns;
    Str name;
    Str on_update, on_delete; /* "CASCADE", "SET NULL", "RESTRICT", "NO ACTION", …; empty: not known */
} ForeignKey;

typedef struct TableSchema {
    Arena arena;
    TableName name;
    ColumnDef *columns;
    uint32_t n_columns;
    KeyDef *keys; /* primary first, then by name */
    uint32_t n_keys;
    Str engine, collation, comment;
    bool has_triggers, has_foreign_keys, has_cascade; /* has_cascade: a child of ON … CASCADE / SET NULL */
    bool is_view;
    bool is_versioned, is_sequence; /* MariaDB: WITH SYSTEM VERSIONING; CREATE SEQUENCE */
    ForeignKey *foreign_keys; /* as far as the user may see them; for finding references, never for checks */
    uint32_t n_foreign_keys;
    CheckDef *checks; /* by name */
    uint32_t n_checks;
    TableOption *options; /* by name */
    uint32_t n_options;
    Partitioning partitioning;
    uint64_t
        auto_increment; /* the statement's or the server's next value; 0: not known; no part of the schema */
} TableSchema;

void schema_free(TableSchema *s);
/* False: what a statement has written stays, whatever happens to it, and no snapshot holds. */
bool engine_has_transactions(Str engine);
/* A copy that shares nothing with s. */
TableSchema *schema_copy(const TableSchema *s);
/* Index of the column of that name (ASCII case-insensitive, as the servers compare), or UINT32_MAX. */
uint32_t schema_column(const TableSchema *s, Str name);
const KeyDef *schema_primary(const TableSchema *s); /* or NULL */

#endif
