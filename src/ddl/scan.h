/* What a statement from a QUERY event is and which tables it touches: enough to let foreign statements pass
 * and to stop before those that touch a routed table. Not the DDL grammar: it never guesses. Pure. */
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
    STMT_XA,           /* XA START/END/PREPARE/COMMIT/ROLLBACK */
    STMT_DML,          /* INSERT, UPDATE, DELETE, REPLACE, LOAD DATA, CALL, …: statement format */
    STMT_TABLE_DDL,    /* CREATE/ALTER/DROP/RENAME/TRUNCATE TABLE, CREATE/DROP INDEX: tables are listed */
    STMT_DATABASE_DDL, /* DROP/ALTER/CREATE DATABASE: tables[0].schema, empty table */
    STMT_TEMPORARY,    /* temporary tables: never a shard table */
    STMT_ADMIN, /* GRANT, FLUSH, ANALYZE, users, views, routines, triggers, events, …: harmless to tables */
    STMT_NOOP,  /* comments only, "# Dum" dummies */
    STMT_UNKNOWN, /* nobody knows: stop if a routed table's name occurs in it, else pass with a note */
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
    TableName *tables; /* all tables named as its objects (ALTER … RENAME TO and LIKE too); default schema
                          filled in. CREATE: tables[0] is made, LIKE's table follows and stays as it is. DML:
                          the tables it writes, where that can be read off with certainty (its triggers may
                          write more), else none. */
    size_t n_tables;
    bool if_not_exists; /* CREATE TABLE IF NOT EXISTS: nothing happens where the table exists */
    Str savepoint;      /* SAVEPOINT / ROLLBACK TO / RELEASE: the name without quotes */
    bool unreadable;    /* STMT_UNKNOWN: a quote or comment never ends, so that no quote can be trusted */
    const char *what;   /* "ALTER TABLE" */
} StmtScan;

/* Of the session's sql_mode, what changes the meaning of quotes. */
enum { STMT_ANSI_QUOTES = 1, STMT_NO_BACKSLASH_ESCAPES = 2 };
static inline unsigned stmt_modes(uint64_t sql_mode)
{
    return (sql_mode & 0x4 ? STMT_ANSI_QUOTES : 0U) | (sql_mode & 0x100000 ? STMT_NO_BACKSLASH_ESCAPES : 0U);
}

/* sql as in the event; default_schema from the event; modes: stmt_modes of its sql_mode. Conditional comments
 * count as text (slash-star-! always, slash-star-M! unless flavor is MySQL, where it is a plain comment),
 * whatever version they name. Results live in arena or are views into sql. Never fails: what it cannot read
 * is STMT_UNKNOWN. */
void stmt_scan(Str sql, Str default_schema, Flavor flavor, unsigned modes, Arena *arena, StmtScan *out);

/* Calls fn for every name the text could mean a table by: (default schema, x) for each word or quoted name x
 * (double quotes too), and (x, y), qualified, for each x.y; numbers are no names; repetitions come again. For
 * statements that nobody can read: too many, never too few. flat: quotes and comments mean nothing, all their
 * words count, for text whose quotes cannot be trusted. Ends early, returning false, when fn returns false.
 */
bool stmt_each_name(Str sql, Str default_schema, bool flat,
                    bool (*fn)(void *ctx, TableName name, bool qualified), void *ctx);

/* Does the identifier occur as a word or quoted name in the text (any case)? */
bool stmt_mentions(Str sql, Str identifier);

#endif
