/* Statements that make or change a target, in its dialect. What the target cannot do is an error before
 * anything runs; what it can do another way is written that way. TiDB's rules are a table (tidb_ddl.def).
 * Pure. */
#ifndef SM_TRACK_SCHEMA_EMIT_H
#define SM_TRACK_SCHEMA_EMIT_H

#include "base/err.h"
#include "model/lineage.h"
#include "track/schema_text.h"

/* CREATE TABLE s->name exactly as it is: for the same family of servers also its options, checks, foreign
 * keys (as TextOpts says) and partitions. */
NODISCARD bool schema_emit_create(const TableSchema *s, const TextOpts *opts, StrBuf *sql, Err *err);

typedef struct EmitChange {
    const TableSchema *from, *to; /* the table is from->name; to's name does not matter */
    const uint32_t *columns;      /* one per column of to: its predecessor in from, or UINT32_MAX: new */
    const FillKind *fills; /* one per column of to (may be NULL: by their defaults): what rows that are there
                              get in a new column */
    const Str *fill_texts;
    Str rows;  /* "truncate;", "drop partition p0,p1;", "truncate partition p0;": what happens to its rows; or
                  empty */
    bool drop; /* the table goes */
    bool make; /* it is not there: it is made as `from` first */
    bool move; /* bring columns that are there into to's order; else only new ones are placed */
} EmitChange;

/* One statement, to be journalled and run by itself. */
typedef struct EmitStep {
    TableName table; /* another one than the plan's own; empty: that */
    Str sql;
    TableSchema *after; /* predicted; NULL: the table is gone */
    bool repeatable;    /* running it twice is running it once, while nobody writes */
} EmitStep;

typedef struct EmitPlan {
    Arena arena;
    EmitStep *steps;
    uint32_t n, cap;
    StrBuf notes; /* what of `to` is left out, one line each */
} EmitPlan;

/* No steps: nothing to do. ERR_TRACK_TARGET: the target refuses it; the message says what and the remedy what
 * to do. ERR_NOT_SUPPORTED: rows that cannot be followed. */
NODISCARD bool schema_emit_change(const EmitChange *c, const TextOpts *opts, EmitPlan *out, Err *err);
/* Is that fill what rows get that lack the column, by its default or its type's zero? */
bool emit_default_fills(const ColumnDef *def, FillKind kind, Str fill_text, Arena *arena);
/* Appends a step; takes after over. */
void emit_plan_add(EmitPlan *p, TableName table, Str sql, TableSchema *after, bool repeatable);
/* Appends copies of all steps of another plan, as steps of that table. */
void emit_plan_append(EmitPlan *p, TableName table, const EmitPlan *more);
void emit_plan_done(EmitPlan *p);

#endif
