/* One client connection to a MySQL, MariaDB or TiDB server, over libmariadb. One thread at a time. Every
 * error comes back with the server's number and a class. */
#ifndef SM_DB_CONN_H
#define SM_DB_CONN_H

#include "base/err.h"
#include "base/str.h"
#include "model/tls.h"

/* Ends, from any thread, whatever the connections opened with it are blocked in, also while they connect (not
 * name resolution). Sticky until conn_cancel_reset: a connection opened later fails at once with
 * ERR_CANCELLED. */
typedef struct ConnCancel ConnCancel;
ConnCancel *conn_cancel_new(void);
void conn_cancel_fire(ConnCancel *x);
void conn_cancel_reset(ConnCancel *x);
bool conn_cancel_fired(ConnCancel *x);
void conn_cancel_free(ConnCancel *x); /* its connections are closed before; NULL allowed */

typedef struct ConnOpts {
    const char *role; /* "source shard1", "downstream": for messages */
    const char *host;
    unsigned port;
    const char *socket; /* instead of host:port when set */
    const char *user, *password;
    TlsOpts tls;
    unsigned connect_timeout_s, read_timeout_s, write_timeout_s; /* 0 = library default */
    bool found_rows;                                             /* CLIENT_FOUND_ROWS */
    bool multi_statements;
    ConnCancel *cancel; /* NULL: only conn_kill_socket ends it; must outlive the connection */
} ConnOpts;

typedef struct Conn Conn;

/* Connects and authenticates (utf8mb4, no reconnect, no LOCAL INFILE); blocks up to the time-outs (connect:
 * 10 s by default). TLS is used when required or when one of its files is given, and then never given up.
 * ERR_DB_CONNECT, ERR_DB_ACCESS_DENIED, ERR_DB_TLS, ERR_CANCELLED. */
NODISCARD bool conn_open(const ConnOpts *opts, Conn **out, Err *err);
void conn_close(Conn *c); /* NULL allowed */
/* Ends what the connection is blocked in, from another thread: shuts the socket down. The connection is dead
 * then. */
void conn_kill_socket(Conn *c);

/* A statement without a result set (a result is read and dropped). *affected may be NULL. Errors by server
 * number, all in db/server_errors.def: ERR_DB_DUPLICATE_KEY (1062), ERR_DB_RETRY (1205, 1213, 1020, TiDB's T
 * rows…), ERR_DB_LOST (2006, 2013, 2055, TiDB's 9002 and 9005: outcome unknown), ERR_DB_SCHEMA (1146, 1054…),
 * ERR_DB_VALUE (1048, 1264, 1292, 1366, 1406…), ERR_DB_ACCESS_DENIED (1044, 1045, 1142, 1227…),
 * ERR_DB_TXN_TOO_LARGE (1153, 8004, 8025…), else ERR_DB_SERVER. err->server_errno is always set. Row values
 * in the server's text are hidden. With several statements in one text the counts are summed. */
NODISCARD bool conn_exec(Conn *c, Str sql, uint64_t *affected, Err *err);
/* As conn_exec, for a statement that may raise warnings: their number (SHOW WARNINGS tells more). */
NODISCARD bool conn_exec_warn(Conn *c, Str sql, uint64_t *affected, unsigned *warnings, Err *err);
/* Several statements in one round trip (multi_statements): affected rows of each into affected[cap]; *n_done
 * is the number that succeeded, on error too; *warnings (may be NULL) their sum. More statements than cap:
 * ERR_BUG. */
NODISCARD bool conn_exec_multi(Conn *c, Str sql, uint64_t *affected, size_t cap, size_t *n_done,
                               unsigned *warnings, Err *err);
NODISCARD bool conn_execf(Conn *c, Err *err, const char *fmt, ...) PRINTF_LIKE(3, 4);

/* Rows of a result, whole in memory. Values are views until rows_done; SQL NULL has ptr == NULL. */
typedef struct Rows {
    void *handle;
    uint64_t n_rows;
    unsigned n_columns;
} Rows;
NODISCARD bool conn_query(Conn *c, Str sql, Rows *out, Err *err);
NODISCARD bool conn_queryf(Conn *c, Rows *out, Err *err, const char *fmt, ...) PRINTF_LIKE(4, 5);
/* Next row into values[n_columns]; false at the end. */
bool rows_next(Rows *r, Str *values);
/* Index of the column of that name (case-insensitive) or -1: answers are read by name, servers add columns.
 */
int rows_column(const Rows *r, const char *name);
void rows_done(Rows *r);
/* First column of the first row as a heap string into *out (NULL for SQL NULL or no row; free()). */
NODISCARD bool conn_scalar(Conn *c, Str sql, char **out, Err *err);

const char *conn_server_version(const Conn *c);
uint64_t conn_id(const Conn *c); /* CONNECTION_ID() */
bool conn_has_tls(const Conn *c);
/* Our class for a server's error number (and text: 1105 is told apart by it). Pure; for tests and the
 * reference page. */
ErrCode conn_classify(unsigned server_errno, Str text);
/* Walks server_errors.def; false at the end. *text is "" when the number alone decides. */
bool conn_error_row(size_t i, unsigned *number, const char **text, ErrCode *code, const char **family,
                    const char **note);
/* Appends the server's message with row values and statement text hidden. Pure. */
void conn_redact(unsigned server_errno, Str text, StrBuf *out);

/* For source/ only: the dump protocol under the same authenticated socket. Sends one command packet, waits
 * for no answer: read it with conn_read_packet. */
NODISCARD bool conn_send_command(Conn *c, unsigned char command, Str body, Err *err);
/* Next packet's payload (a view until the next call); packets of 16 MiB and more come joined. Blocks up to
 * read_timeout_s. ERR_DB_LOST on time-out or end. An ERR packet (0xff) is recognised here and becomes an
 * error with server_errno; an EOF packet (0xfe, length < 9) is the caller's to see. */
NODISCARD bool conn_read_packet(Conn *c, Str *out, Err *err);

/* Once per process, before threads; and at the end. */
void conn_library_init(void);
void conn_library_end(void);
/* Once per thread that uses connections, when it ends. */
void conn_thread_end(void);

#endif
