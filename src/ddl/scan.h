/* What a statement from a QUERY event is and which tables it touches: enough to let foreign statements pass and to
 * stop before those that touch a routed table. Not the DDL grammar: it never guesses. Pure. */
#ifndef SM_DDL_SCAN_H
#define SM_DDL_SCAN_H

#include "base/arena.h"
#include "base/err.h"
#include "model/flavor.h"
#include "model/schema.h"

typedef enum StmtKind {
    STMT_BEGIN,
    STMT_COMMIT,
    STMT_ROLLBACK,
    STMT_SAVEPOINT,
    STMT_ROLLBACK_TO,
    STMT_RELEASE_SAVEPOINT,
    STMT_XA,             /* XA START/END/PREPARE/COMMIT/ROLLBACK */
    STMT_DML,            /* INSERT, UPDATE, DELETE, REPLACE, LOAD DATA, CALL, …: statement format */
    STMT_TABLE_DDL,      /* CREATE/ALTER/DROP/RENAME/TRUNCATE TABLE, CREATE/DROP INDEX: tables are listed */
    STMT_DATABASE_DDL,   /* DROP/ALTER/CREATE DATABASE: tables[0].schema, empty table */
    STMT_TEMPORARY,      /* temporary tables: never a shard table */
    STMT_ADMIN,          /* GRANT, FLUSH, ANALYZE, users, views, routines, triggers, events, …: harmless to tables */
    STMT_NOOP,           /* comments only, "# Dum" dummies */
    STMT_UNKNOWN,        /* nobody knows: stop if a routed table's name occurs in it, else pass with a note */
} StmtKind;

typedef enum StmtAction { /* for STMT_TABLE_DDL and STMT_DATABASE_DDL */
    STMT_ACTION_OTHER,
    STMT_ACTION_CREATE,
    STMT_ACTION_ALTER,
    STMT_ACTION_DROP,
    STMT_ACTION_RENAME,
    STMT_ACTION_TRUNCATE,
} StmtAction;

typedef struct StmtScan {
    StmtKind kind;
    StmtAction action;
    TableName *tables; /* all tables named as its objects (ALTER … RENAME TO and LIKE too); default schema filled in */
    size_t n_tables;
    Str savepoint;     /* SAVEPOINT / ROLLBACK TO / RELEASE: the name without quotes */
    const char *what;  /* "ALTER TABLE" */
} StmtScan;

/* sql as in the event; default_schema from the event; ansi_quotes from its sql_mode. Conditional comments
 * (slash-star-! and slash-star-M!) count as text. Results live in arena. Never fails: what it cannot read is STMT_UNKNOWN. */
void stmt_scan(Str sql, Str default_schema, Flavor flavor, bool ansi_quotes, Arena *arena, StmtScan *out);

/* For STMT_UNKNOWN: does the identifier occur as a word or quoted name in the text? */
bool stmt_mentions(Str sql, Str identifier);

#endif
