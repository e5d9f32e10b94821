/* A schema change of a shard table, as its server ran it: definition before + statement → definition after
 * and what became of columns and rows. Follows the servers' own rules: implicit types and NOT NULL, generated
 * key names, keys that go with their columns, charset conversions, the TIMESTAMP rules of old servers. Proven
 * against both servers by tests/e2e/test_ddl_model.py. Pure; any thread. */
#ifndef SM_TRACK_SCHEMA_APPLY_H
#define SM_TRACK_SCHEMA_APPLY_H

#include "base/err.h"
#include "ddl/stmt.h"
#include "model/flavor.h"
#include "model/lineage.h"

/* What the session and the server add to a statement's text. */
typedef struct ApplyContext {
    Flavor flavor;
    uint32_t version;      /* 80036, 101108; 0: the newest */
    Str schema_collation;  /* default collation of the table's database; empty: the server's own default */
    Str utf8mb4_collation; /* what CHARACTER SET utf8mb4 alone means; empty: the version's default */
    uint64_t sql_mode;
    bool ignores_case;        /* lower_case_table_names is not 0 */
    bool implicit_timestamps; /* explicit_defaults_for_timestamp is OFF */
    const TableSchema *like;  /* CREATE TABLE … LIKE: the model table; EXCHANGE, CONVERT need none */
    Str now_utc, now_local; /* the statement's time, YYYY-MM-DD hh:mm:ss[.ffffff], in UTC and in the session's
                               zone; empty: not known, then now() is a value nobody else can compute */
    Str text;               /* the statement, for SchemaStep.statement */
} ApplyContext;

/* The part of the statement that concerns one table: that of before, or for CREATE TABLE (before NULL) the
 * one it makes. Statements on many tables (DROP, RENAME, DROP DATABASE) are asked once for each.
 *
 * *after (schema_free) is the new definition, NULL when the table is gone; *step (schema_step_free) refers to
 * before and *after, which must outlive it. *step is NULL, and *after too, when the statement does nothing to
 * the table: IF [NOT] EXISTS, another table, a view.
 *
 * ERR_DDL_APPLY: it does not fit the definition (a column it names is not there). ERR_NOT_SUPPORTED: the
 * effect cannot be told from the text (CREATE … SELECT) or is not kept yet. */
NODISCARD bool schema_apply(const TableSchema *before, const DdlStmt *stmt, const ApplyContext *ctx,
                            TableSchema **after, SchemaStep **step, Err *err);
void schema_step_free(SchemaStep *step);
/* What rows that are there get in a new NOT NULL column without a default, as an SQL literal. */
Str lineage_zero(const ColumnDef *c, Arena *arena);
/* As it stands in SQL: '…', or x'…' where it is of a column of bytes. */
Str lineage_literal(Str s, bool binary, Arena *arena);

#endif
