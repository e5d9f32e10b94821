/* What one schema change did to a shard table and to the rows in it: the unit of a member's history. Equal
 * schemas reached on different ways hold different data; lineage tells the ways apart. Immutable. */
#ifndef SM_MODEL_LINEAGE_H
#define SM_MODEL_LINEAGE_H

#include "model/schema.h"

typedef enum FillKind {
    FILL_NONE,     /* the column was there before */
    FILL_NULL,     /* rows that existed got NULL */
    FILL_VALUE,    /* … this value, the same on every server (literal default, or the type's zero) */
    FILL_COMPUTED, /* … a value that depends on the row alone (generated column, default from other columns) */
    FILL_VOLATILE, /* … values nobody else can compute: now(), uuid(), rand(), AUTO_INCREMENT numbering */
} FillKind;

typedef struct ColumnLineage {
    uint32_t from;  /* index in before; UINT32_MAX: added */
    bool renamed;   /* kept its values under another name */
    bool converted; /* its values may have changed with the type, charset or nullability */
    bool lossy;     /* converted, and some value of the old type does not fit the new one */
    FillKind fill;
    Str fill_text; /* FILL_VALUE: the value as SQL literal; COMPUTED, VOLATILE: the expression */
} ColumnLineage;

typedef enum RowsChange {
    ROWS_KEPT,
    ROWS_SOME_GONE, /* partitions dropped, truncated or exchanged */
    ROWS_ALL_GONE,  /* TRUNCATE TABLE, DROP TABLE */
    ROWS_UNKNOWN,   /* IMPORT TABLESPACE and the like */
} RowsChange;

/* One statement's effect on one table. */
typedef struct SchemaStep {
    Arena arena;
    const TableSchema *before, *after; /* after NULL: the table is gone */
    ColumnLineage *columns;            /* one per column of after */
    bool *dropped;                     /* one per column of before: it has no successor */
    TableName name_before, name_after; /* differ after RENAME */
    RowsChange rows;
    Str statement; /* as it stood in the binlog */
} SchemaStep;

#endif
