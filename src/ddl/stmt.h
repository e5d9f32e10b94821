/* The syntax tree of one statement that changes tables or databases, in MySQL's (5.7–9.x) or MariaDB's
 * (10.3–12.x) dialect. Made by ddl_parse (ddl/parse.h). Lists are linked in the order of the text. All memory
 * is the arena's that the parse was given; texts are UTF-8, names without quotes, strings decoded. Immutable
 * once made. */
#ifndef SM_DDL_STMT_H
#define SM_DDL_STMT_H

#include "base/arena.h"
#include "model/schema.h"

typedef struct DdlName { /* a list of names or of strings */
    Str name;
    bool raw;  /* bytes in the column's own character set */
    Str bytes; /* of a member: what a column of bytes holds; empty: name */
    struct DdlName *next;
} DdlName;

typedef enum DdlValueKind {
    DDL_VALUE_NONE, /* not written */
    DDL_VALUE_NULL,
    DDL_VALUE_NUMBER, /* text: as written, with its sign: -1, 1.50, 1e3 */
    DDL_VALUE_STRING, /* text: decoded; raw: bytes in the column's own character set */
    DDL_VALUE_HEX,    /* text: the bytes */
    DDL_VALUE_BIT,    /* text: '0' and '1' */
    DDL_VALUE_TRUE,
    DDL_VALUE_FALSE,
    DDL_VALUE_NOW,  /* CURRENT_TIMESTAMP and its synonyms; fsp */
    DDL_VALUE_EXPR, /* text: canonical text (ddl/expr.h), without brackets of its own */
} DdlValueKind;

typedef struct DdlValue {
    DdlValueKind kind;
    Str text;
    uint32_t fsp;
    bool bracketed; /* written as DEFAULT (…) */
    bool raw;       /* of DDL_VALUE_STRING */
    Str bytes;      /* of DDL_VALUE_STRING: what a column of bytes takes; empty: text */
} DdlValue;

/* FIRST, AFTER column */
typedef enum DdlPlace { DDL_PLACE_SAME, DDL_PLACE_FIRST, DDL_PLACE_AFTER } DdlPlace;

typedef struct DdlType {
    Str name; /* lower case, synonyms resolved: "int", "varchar", "double", "enum", …; SERIAL is "serial" */
    Str length, scale; /* digits; empty: not written */
    DdlName *members;  /* ENUM, SET */
    bool is_bool;      /* BOOL: tinyint(1) */
    bool is_real;      /* REAL: DOUBLE, or FLOAT under REAL_AS_FLOAT */
    bool national;     /* NCHAR, NATIONAL VARCHAR: utf8mb3 */
} DdlType;

typedef struct DdlCheck {
    Str name; /* empty: the server makes one */
    Str expr;
    bool not_enforced;
    struct DdlCheck *next;
} DdlCheck;

typedef enum DdlKeyKind {
    DDL_KEY_PRIMARY,
    DDL_KEY_UNIQUE,
    DDL_KEY_PLAIN,
    DDL_KEY_FULLTEXT,
    DDL_KEY_SPATIAL,
    DDL_KEY_VECTOR,
    DDL_KEY_FOREIGN,
} DdlKeyKind;

typedef struct DdlKeyPart {
    Str column; /* empty: expr */
    Str expr;
    uint32_t prefix;
    bool descending;
    bool without_overlaps; /* MariaDB: an application-time period */
    struct DdlKeyPart *next;
} DdlKeyPart;

typedef struct DdlKey {
    DdlKeyKind kind;
    Str name, constraint; /* empty: not written */
    DdlKeyPart *parts;
    Str index_type; /* upper case: "BTREE", "HASH", "RTREE"; empty: not written */
    Str comment, parser;
    bool invisible, if_not_exists;
    /* FOREIGN KEY */
    TableName ref;
    DdlName *ref_columns;
    Str on_update, on_delete; /* upper case; empty: not written */
    struct DdlKey *next;
} DdlKey;

typedef enum DdlNull { DDL_NULL_UNSAID, DDL_NULL_YES, DDL_NULL_NO } DdlNull;

typedef struct DdlColumn {
    Str name;
    DdlType type;
    bool is_unsigned, is_signed, zerofill, compressed;
    bool binary, ascii, unicode, byte; /* CHAR … BINARY, ASCII, UNICODE, BYTE */
    Str charset, collation;            /* "" not written; charset "binary" for BINARY; DEFAULT is "default" */
    DdlNull null;
    DdlValue dflt;
    bool on_update_now;
    uint32_t on_update_fsp;
    bool auto_increment, unique, primary;
    bool serial_default; /* SERIAL DEFAULT VALUE */
    bool invisible;
    bool generated, stored;
    Str generation_expr;
    bool row_start, row_end; /* MariaDB: GENERATED ALWAYS AS ROW START / END */
    bool has_comment;
    Str comment;
    DdlCheck *checks;
    DdlKey *references; /* inline REFERENCES */
    bool has_srid;
    uint32_t srid;
    bool with_versioning, without_versioning;
    bool if_not_exists; /* ALTER … ADD COLUMN IF NOT EXISTS */
    DdlPlace place;     /* ALTER */
    Str after;
    struct DdlColumn *next;
} DdlColumn;

typedef struct DdlOption {
    Str name;        /* lower case, one blank between words: "engine", "row_format", "data directory",
                        "default character set" and its spellings: "charset" */
    Str value;       /* decoded */
    bool is_default; /* DEFAULT written as the value */
    bool is_string;
    struct DdlOption *next;
} DdlOption;

typedef struct DdlPartition {
    Str name;
    Str values; /* text inside VALUES LESS THAN (…) or IN (…), canonical; "MAXVALUE" */
    bool less_than, in, is_default, history, current;
    Str comment;
    struct DdlPartition *sub, *next;
} DdlPartition;

typedef struct DdlPartitioning {
    Str method; /* upper case: "HASH", "LINEAR KEY", "RANGE COLUMNS", "SYSTEM_TIME", … */
    Str expr;   /* canonical text of an expression */
    DdlName *columns;
    uint32_t count; /* PARTITIONS n; 0: not written */
    uint32_t algorithm;
    Str interval;                /* SYSTEM_TIME: the rest of the clause */
    struct DdlPartitioning *sub; /* SUBPARTITION BY */
    DdlPartition *parts;
} DdlPartitioning;

typedef enum DdlChangeKind {
    DDL_ADD_COLUMN,     /* column */
    DDL_ADD_KEY,        /* key */
    DDL_ADD_CHECK,      /* check */
    DDL_CHANGE_COLUMN,  /* name → column */
    DDL_MODIFY_COLUMN,  /* column */
    DDL_DROP_COLUMN,    /* name */
    DDL_RENAME_COLUMN,  /* name → to */
    DDL_SET_DEFAULT,    /* name, value; DROP DEFAULT: value NONE */
    DDL_COLUMN_VISIBLE, /* name, flag */
    DDL_DROP_PRIMARY,
    DDL_DROP_KEY,        /* name */
    DDL_DROP_FOREIGN,    /* name */
    DDL_DROP_CONSTRAINT, /* name, of any kind */
    DDL_DROP_CHECK,      /* name */
    DDL_RENAME_KEY,      /* name → to */
    DDL_KEY_VISIBLE,     /* name, flag */
    DDL_CHECK_ENFORCED,  /* name, flag */
    DDL_RENAME_TABLE,    /* table */
    DDL_CONVERT_CHARSET, /* charset, collation; charset "default" */
    DDL_OPTION,          /* option */
    DDL_ORDER_BY,
    DDL_FORCE, /* and what else changes nothing that is kept here: ALGORITHM, LOCK, ENABLE KEYS, VALIDATION */
    DDL_TABLESPACE, /* DISCARD, IMPORT: flag = IMPORT; of all or of partitions (names) */
    DDL_ADD_VERSIONING,
    DDL_DROP_VERSIONING,
    DDL_ADD_PERIOD,   /* name */
    DDL_DROP_PERIOD,  /* name */
    DDL_PARTITION_BY, /* partitioning */
    DDL_REMOVE_PARTITIONING,
    DDL_ADD_PARTITION,        /* parts, or count */
    DDL_DROP_PARTITION,       /* names */
    DDL_TRUNCATE_PARTITION,   /* names; ALL: none */
    DDL_COALESCE_PARTITION,   /* count */
    DDL_REORGANIZE_PARTITION, /* names → parts; neither: REORGANIZE PARTITION alone */
    DDL_EXCHANGE_PARTITION,   /* name, table */
    DDL_CONVERT_PARTITION,    /* name → table (MariaDB) */
    DDL_CONVERT_TABLE,        /* table → parts (MariaDB) */
    DDL_MAINTAIN_PARTITION,   /* ANALYZE, CHECK, OPTIMIZE, REBUILD, REPAIR: rows stay */
} DdlChangeKind;

typedef struct DdlChange {
    DdlChangeKind kind;
    bool if_exists, if_not_exists, flag;
    Str name, to;
    DdlColumn *column;
    DdlKey *key;
    DdlCheck *check;
    DdlValue value;
    TableName table;
    Str charset, collation;
    DdlOption *option;
    DdlName *names;
    DdlPartition *parts;
    uint32_t count;
    DdlPartitioning *partitioning;
    struct DdlChange *next;
} DdlChange;

typedef enum DdlKind {
    DDL_OTHER, /* no table or database is made, changed or removed: views, routines, triggers, events, users,
                  … */
    DDL_CREATE_TABLE, /* tables: the table; LIKE: the table, the model */
    DDL_ALTER_TABLE,  /* CREATE INDEX and DROP INDEX too */
    DDL_DROP_TABLES,
    DDL_RENAME_TABLES, /* tables: from, to, from, to, … */
    DDL_TRUNCATE_TABLE,
    DDL_SEQUENCE, /* CREATE, ALTER, DROP SEQUENCE: tables */
    DDL_CREATE_DATABASE,
    DDL_ALTER_DATABASE,
    DDL_DROP_DATABASE, /* and CREATE OR REPLACE DATABASE: replace */
} DdlKind;

typedef struct DdlTable {
    TableName name;
    struct DdlTable *next;
} DdlTable;

typedef struct DdlStmt {
    DdlKind kind;
    bool temporary, if_exists, if_not_exists;
    bool replace; /* CREATE OR REPLACE */
    bool ignore;  /* ALTER IGNORE TABLE: a new unique key removes rows */
    bool like, as_select;
    bool atomic_select; /* MySQL 8.0.21+ logs CREATE … SELECT so: START TRANSACTION */
    DdlTable *tables;
    Str database;
    DdlChange *changes; /* ALTER TABLE; CREATE TABLE: its elements as ADD_…, its options, PARTITION_BY */
    DdlOption *options; /* of a database */
} DdlStmt;

#endif
