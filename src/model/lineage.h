/* What one schema change did to a shard table and to the rows in it: the unit of a member's history. Equal
 * schemas reached on different ways hold different data; lineage tells the ways apart. Immutable. */
#ifndef SM_MODEL_LINEAGE_H
#define SM_MODEL_LINEAGE_H

#include "model/schema.h"

typedef enum FillKind {
    FILL_NONE,     /* the column was there before */
    FILL_NULL,     /* rows that existed got NULL */
    FILL_VALUE,    /* … this value: a literal default, the type's zero, what now() was for the statement */
    FILL_COMPUTED, /* … a value of the row itself (generated column, default from other columns) */
    FILL_VOLATILE, /* … values nobody else can compute: uuid(), rand(), AUTO_INCREMENT numbering */
} FillKind;

typedef struct ColumnLineage {
    uint32_t from;  /* index in before; UINT32_MAX: added */
    bool renamed;   /* kept its values under another name */
    bool converted; /* its values may have changed with the type, charset or nullability */
    bool lossy;     /* converted, and stored values may have been changed by it. Not lossy: a wider type, or a
                       narrower one under a sql_mode that would refuse rather than change a value */
    FillKind fill;
    Str fill_text; /* FILL_VALUE: the value as SQL literal; COMPUTED, VOLATILE: the expression */
} ColumnLineage;

typedef enum RowsChange {
    ROWS_KEPT,
    ROWS_SOME_GONE, /* partitions dropped or truncated */
    ROWS_ALL_GONE,  /* TRUNCATE TABLE, DROP TABLE */
    ROWS_UNKNOWN,   /* others came in: EXCHANGE PARTITION, IMPORT TABLESPACE and the like */
} RowsChange;

/* One statement's effect on one table. */
typedef struct SchemaStep {
    Arena arena;
    const TableSchema *before, *after; /* after NULL: the table is gone */
    ColumnLineage *columns;            /* one per column of after */
    bool *dropped;                     /* one per column of before: it has no successor */
    TableName name_before, name_after; /* differ after RENAME */
    RowsChange rows;
    Str rows_what; /* unless ROWS_KEPT: what went, in words that are equal when the same went, without the
                      table's name: "truncate", "drop partition p0,p1" */
    Str statement; /* as it stood in the binlog */
} SchemaStep;

#endif
