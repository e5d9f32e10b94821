#include "store/sql.h"
#include "base/poison.h"

bool sql_failed(sqlite3 *db, const char *what, Err *err)
{
    const char *file = sqlite3_db_filename(db, "main");
    return err_set(err, ERR_STORE_SQL, "%s: %s: %s (SQLite %d)", file && *file ? file : "state.db", what,
                   sqlite3_errmsg(db), sqlite3_extended_errcode(db));
}

bool sql_begin(sqlite3 *db, const char *sql, const Bind *binds, sqlite3_stmt **out, Err *err)
{
    *out = NULL;
    if (sqlite3_prepare_v2(db, sql, -1, out, NULL) != SQLITE_OK) return sql_failed(db, "prepare", err);
    for (int i = 0; binds && binds[i].kind != BIND_END; i++) {
        const Bind *b = &binds[i];
        int rc = SQLITE_OK;
        switch (b->kind) {
        case BIND_STR:
            rc = sqlite3_bind_text64(*out, i + 1, b->s.ptr ? b->s.ptr : "", b->s.len, SQLITE_STATIC,
                                     SQLITE_UTF8);
            break;
        case BIND_INT: rc = sqlite3_bind_int64(*out, i + 1, b->i); break;
        case BIND_NULL: rc = sqlite3_bind_null(*out, i + 1); break;
        case BIND_END: break;
        }
        if (rc != SQLITE_OK) {
            sql_failed(db, "bind", err);
            sqlite3_finalize(*out);
            *out = NULL;
            return false;
        }
    }
    return true;
}

bool sql_step(sqlite3_stmt *stmt, bool *row, Err *err)
{
    int rc = sqlite3_step(stmt);
    *row = rc == SQLITE_ROW;
    if (rc == SQLITE_ROW || rc == SQLITE_DONE) return true;
    return sql_failed(sqlite3_db_handle(stmt), "step", err);
}

bool sql_run_bound(sqlite3 *db, const char *sql, const Bind *binds, Err *err)
{
    CLEANUP(sql_end) sqlite3_stmt *stmt = NULL;
    bool row;
    return sql_begin(db, sql, binds, &stmt, err) && sql_step(stmt, &row, err);
}

bool sql_script(sqlite3 *db, const char *what, const char *sql, Err *err)
{
    return sqlite3_exec(db, sql, NULL, NULL, NULL) == SQLITE_OK || sql_failed(db, what, err);
}

Str sql_text(sqlite3_stmt *stmt, int column)
{
    const void *p = sqlite3_column_text(stmt, column);
    return p ? str_make(p, (size_t)sqlite3_column_bytes(stmt, column)) : str_of(NULL);
}
