/* A downstream connection with the pinned session: strict, UTC, utf8mb4, READ COMMITTED, no foreign key
 * checks. What was set is read back and compared, so that a proxy or an init_connect cannot change the
 * meaning of rows. */
#ifndef SM_APPLY_SESSION_H
#define SM_APPLY_SESSION_H

#include "db/conn.h"

typedef struct Dialect {
    bool is_tidb, is_mariadb;
    bool multi_statements; /* several UPDATEs in one round trip: never with TiDB */
    bool upsert_alias;     /* INSERT … AS new (MySQL 8.0.19+), where VALUES() raises a warning */
    size_t max_packet;     /* bytes of one statement */
    char version[128];
} Dialect;

typedef struct SessionVarText {
    Str name, value;
} SessionVarText;

typedef struct SessionOpts {
    ConnOpts conn;
    const SessionVarText *vars; /* extra session variables of the task file */
    size_t n_vars;
} SessionOpts;

/* Connects and pins. *dialect gets what the server is. Blocks. ERR_DB_*; ERR_APPLY_TARGET when a pinned value
 * does not stick. The connection uses CLIENT_FOUND_ROWS. */
NODISCARD bool session_open(const SessionOpts *opts, Conn **out, Dialect *dialect, Err *err);
/* BEGIN in the form this server needs. */
const char *session_begin_sql(const Dialect *d);

#endif
