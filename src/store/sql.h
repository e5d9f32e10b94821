/* Statements on SQLite: one call binds, runs and reports. Inside store/ only; the caller holds the store's
 * mutex. */
#ifndef SM_STORE_SQL_H
#define SM_STORE_SQL_H

#include <sqlite3.h>
#include "base/arena.h"
#include "base/err.h"
#include "base/str.h"

typedef enum BindKind { BIND_END = 0, BIND_STR, BIND_INT, BIND_NULL } BindKind;

typedef struct Bind {
    BindKind kind;
    Str s;
    int64_t i;
} Bind;

#define BIND_S(str_) ((Bind){.kind = BIND_STR, .s = (str_)})
#define BIND_I(v_) ((Bind){.kind = BIND_INT, .i = (int64_t)(v_)})
#define BIND_N() ((Bind){.kind = BIND_NULL})

/* Sets err from the connection's last error: ERR_STORE_SQL with SQLite's text and the place. Returns false.
 */
bool sql_failed(sqlite3 *db, const char *what, Err *err);

/* A prepared statement with its parameters bound; the strings live until sql_end. */
NODISCARD bool sql_begin(sqlite3 *db, const char *sql, const Bind *binds, sqlite3_stmt **out, Err *err);
/* Next row: *row false at the end. Blocks on disk. */
NODISCARD bool sql_step(sqlite3_stmt *stmt, bool *row, Err *err);
static inline void sql_end(sqlite3_stmt **stmt)
{
    sqlite3_finalize(*stmt);
}

/* Runs a statement that answers no rows. */
#define sql_run(db, err, sql, ...)                                                                           \
    sql_run_bound((db), (sql), (const Bind[]){__VA_ARGS__ __VA_OPT__(, ){.kind = BIND_END}}, (err))
NODISCARD bool sql_run_bound(sqlite3 *db, const char *sql, const Bind *binds, Err *err);
/* Runs several statements without parameters, as a migration is. */
NODISCARD bool sql_script(sqlite3 *db, const char *what, const char *sql, Err *err);

/* Column as a view until the next step; empty for NULL. */
Str sql_text(sqlite3_stmt *stmt, int column);

#endif
