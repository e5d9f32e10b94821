#include "db/conn_internal.h"
#include <errno.h>
#include <fcntl.h>
#include <errmsg.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>
#include "base/check.h"
#include "base/poison.h"

enum { CONNECT_TIMEOUT_S = 10 };
/* The library connects on a stack of its own, name resolution and TLS included; its default of 60 KiB is
 * narrow. */
static const size_t CONNECT_STACK_BYTES = 512UL * 1024;
static const unsigned long MAX_PACKET_BYTES = 1024UL * 1024 * 1024;

struct ConnCancel {
    pthread_mutex_t mutex;
    bool fired;  /* guarded by mutex, as are the list and each member's kill_fd */
    Conn *first; /* connections opened with it */
};

/* Owner: the thread that uses it. kill_fd is a duplicate of the library's socket: shutting it down acts on
 * the same connection, and no other thread ever touches the library's handle. */
struct Conn {
    MYSQL *my;
    char *role;
    ConnCancel *cancel;
    bool own_cancel;
    int kill_fd;
    Conn *next, *prev;
};

/* -- cancelling -- */

ConnCancel *conn_cancel_new(void)
{
    ConnCancel *x = mem_zalloc(sizeof *x);
    CHECK(pthread_mutex_init(&x->mutex, NULL) == 0, "mutex");
    return x;
}

void conn_cancel_fire(ConnCancel *x)
{
    pthread_mutex_lock(&x->mutex);
    x->fired = true;
    for (Conn *c = x->first; c; c = c->next)
        if (c->kill_fd >= 0) (void)shutdown(c->kill_fd, SHUT_RDWR);
    pthread_mutex_unlock(&x->mutex);
}

void conn_cancel_reset(ConnCancel *x)
{
    pthread_mutex_lock(&x->mutex);
    x->fired = false;
    pthread_mutex_unlock(&x->mutex);
}

bool conn_cancel_fired(ConnCancel *x)
{
    pthread_mutex_lock(&x->mutex);
    bool fired = x->fired;
    pthread_mutex_unlock(&x->mutex);
    return fired;
}

void conn_cancel_free(ConnCancel *x)
{
    if (!x) return;
    CHECK(x->first == NULL, "connections outlive their cancel");
    pthread_mutex_destroy(&x->mutex);
    free(x);
}

static void cancel_link(Conn *c)
{
    ConnCancel *x = c->cancel;
    pthread_mutex_lock(&x->mutex);
    c->next = x->first;
    if (x->first) x->first->prev = c;
    x->first = c;
    pthread_mutex_unlock(&x->mutex);
}

static void cancel_unlink(Conn *c)
{
    ConnCancel *x = c->cancel;
    pthread_mutex_lock(&x->mutex);
    if (c->next) c->next->prev = c->prev;
    if (c->prev)
        c->prev->next = c->next;
    else
        x->first = c->next;
    if (c->kill_fd >= 0) close(c->kill_fd);
    c->kill_fd = -1;
    pthread_mutex_unlock(&x->mutex);
}

/* Remembers the socket in use (fd < 0: none); false when cancelled meanwhile. */
static bool cancel_watch(Conn *c, int fd)
{
    ConnCancel *x = c->cancel;
    pthread_mutex_lock(&x->mutex);
    if (c->kill_fd >= 0) close(c->kill_fd);
    c->kill_fd = fd >= 0 ? fcntl(fd, F_DUPFD_CLOEXEC, 0) : -1;
    bool go_on = !x->fired;
    pthread_mutex_unlock(&x->mutex);
    return go_on;
}

void conn_kill_socket(Conn *c)
{
    pthread_mutex_lock(&c->cancel->mutex);
    if (c->kill_fd >= 0) (void)shutdown(c->kill_fd, SHUT_RDWR);
    pthread_mutex_unlock(&c->cancel->mutex);
}

/* -- errors -- */

/* What the library says went wrong, on a connection or a statement of it. */
typedef struct Said {
    unsigned number;
    const char *text, *state;
} Said;

/* connecting: where to, or NULL once connected. */
static bool set_error_said(const Conn *c, const Said *said, const char *connecting, Err *err)
{
    if (err_is_set(err)) return false;
    unsigned number = said->number;
    Str text = str_of(said->text);
    ErrCode code = conn_classify(number, text);
    if (connecting && (code == ERR_DB_LOST || code == ERR_DB_RETRY)) code = ERR_DB_CONNECT;
    StrBuf shown = {0};
    conn_redact(number, text, &shown);
    err_set(err, code, "%s: %s%s" STR_FMT " (%u)", c->role, connecting ? connecting : "",
            connecting ? ": " : "", STR_ARG(sb_view(&shown)), number);
    sb_done(&shown);
    err->server_errno = number;
    const char *state = said->state;
    for (size_t i = 0; i < 5 && state && state[i]; i++) {
        err->sqlstate[i] = state[i];
        err->sqlstate[i + 1] = 0;
    }
    return false;
}

static bool set_error(Conn *c, const char *connecting, Err *err)
{
    Said said = {mysql_errno(c->my), mysql_error(c->my), mysql_sqlstate(c->my)};
    return set_error_said(c, &said, connecting, err);
}

MYSQL *conn_handle(Conn *c)
{
    return c->my;
}

const char *conn_role(const Conn *c)
{
    return c->role;
}

bool conn_stmt_error(const Conn *c, MYSQL_STMT *stmt, Err *err)
{
    Said said = {mysql_stmt_errno(stmt), mysql_stmt_error(stmt), mysql_stmt_sqlstate(stmt)};
    return set_error_said(c, &said, NULL, err);
}

/* -- opening and closing -- */

static bool set_options(Conn *c, const ConnOpts *o, Err *err)
{
    unsigned connect_s = o->connect_timeout_s ? o->connect_timeout_s : CONNECT_TIMEOUT_S;
    my_bool off = 0, on = 1;
    unsigned no_infile = 0;
    const TlsOpts *t = &o->tls;
    MYSQL *m = c->my;
    bool bad = mysql_options(m, MYSQL_OPT_NONBLOCK, &CONNECT_STACK_BYTES) ||
               mysql_options(m, MYSQL_OPT_CONNECT_TIMEOUT, &connect_s) ||
               mysql_options(m, MYSQL_OPT_RECONNECT, &off) ||
               mysql_options(m, MYSQL_OPT_LOCAL_INFILE, &no_infile) ||
               mysql_options(m, MYSQL_SET_CHARSET_NAME, "utf8mb4") ||
               mysql_options(m, MYSQL_OPT_MAX_ALLOWED_PACKET, &MAX_PACKET_BYTES);
    if (!o->socket) { /* "localhost" with a port means TCP */
        unsigned tcp = MYSQL_PROTOCOL_TCP;
        bad |= mysql_options(m, MYSQL_OPT_PROTOCOL, &tcp) != 0;
    }
    if (o->read_timeout_s) bad |= mysql_options(m, MYSQL_OPT_READ_TIMEOUT, &o->read_timeout_s) != 0;
    if (o->write_timeout_s) bad |= mysql_options(m, MYSQL_OPT_WRITE_TIMEOUT, &o->write_timeout_s) != 0;
    if (t->required || t->ca || t->cert || t->key) {
        my_bool verify = t->verify;
        bad |= mysql_options(m, MYSQL_OPT_SSL_ENFORCE, &on) ||
               mysql_options(m, MYSQL_OPT_SSL_VERIFY_SERVER_CERT, &verify);
        if (t->ca) bad |= mysql_options(m, MYSQL_OPT_SSL_CA, t->ca) != 0;
        if (t->cert) bad |= mysql_options(m, MYSQL_OPT_SSL_CERT, t->cert) != 0;
        if (t->key) bad |= mysql_options(m, MYSQL_OPT_SSL_KEY, t->key) != 0;
    }
    if (bad)
        return err_set(err, ERR_BUG, "%s: the client library refused an option: %s", c->role, mysql_error(m));
    return true;
}

/* Waits for what the library asks for; returns the events that came, MYSQL_WAIT_TIMEOUT when none did. */
static int wait_events(MYSQL *my, int want)
{
    struct pollfd p = {.fd = mysql_get_socket(my)};
    if (want & MYSQL_WAIT_READ) p.events |= POLLIN;
    if (want & MYSQL_WAIT_WRITE) p.events |= POLLOUT;
    if (want & MYSQL_WAIT_EXCEPT) p.events |= POLLPRI;
    int timeout = want & MYSQL_WAIT_TIMEOUT ? (int)mysql_get_timeout_value_ms(my) : -1;
    int n;
    do
        n = poll(&p, 1, timeout);
    while (n < 0 && errno == EINTR);
    if (n <= 0) return MYSQL_WAIT_TIMEOUT;
    int got = 0;
    if (p.revents & (POLLIN | POLLHUP | POLLERR)) got |= want & MYSQL_WAIT_READ;
    if (p.revents & (POLLOUT | POLLHUP | POLLERR)) got |= want & MYSQL_WAIT_WRITE;
    if (p.revents & POLLPRI) got |= MYSQL_WAIT_EXCEPT;
    return got ? got : MYSQL_WAIT_TIMEOUT;
}

static bool connect_now(Conn *c, const ConnOpts *o, Err *err)
{
    unsigned long flags = CLIENT_MULTI_RESULTS;
    if (o->found_rows) flags |= CLIENT_FOUND_ROWS;
    if (o->multi_statements) flags |= CLIENT_MULTI_STATEMENTS;
    MYSQL *done = NULL;
    /* a non-blocking connect, so that a cancel from another thread finds the socket */
    int want = mysql_real_connect_start(&done, c->my, o->socket ? NULL : o->host, o->user, o->password, NULL,
                                        o->socket ? 0 : o->port, o->socket, flags);
    bool go_on = true;
    while (want) {
        go_on = cancel_watch(c, mysql_get_socket(c->my));
        want = mysql_real_connect_cont(&done, c->my, go_on ? wait_events(c->my, want) : MYSQL_WAIT_TIMEOUT);
    }
    if (done) go_on = cancel_watch(c, mysql_get_socket(c->my));
    if (!go_on || conn_cancel_fired(c->cancel))
        return err_set(err, ERR_CANCELLED, "%s: stopped while connecting", c->role);
    if (done) return true;
    StrBuf where = {0};
    if (o->socket)
        sb_printf(&where, "connecting to %s as %s", o->socket, o->user ? o->user : "");
    else
        sb_printf(&where, "connecting to %s:%u as %s", o->host ? o->host : "localhost", o->port,
                  o->user ? o->user : "");
    set_error(c, where.ptr, err);
    sb_done(&where);
    return false;
}

/* Our quoting relies on backslash escapes; a server's global sql_mode may switch them off. */
static bool plain_escapes(Conn *c, Err *err)
{
    if (!(c->my->server_status & SERVER_STATUS_NO_BACKSLASH_ESCAPES)) return true;
    return conn_exec(c, STR("SET SESSION sql_mode = REPLACE(@@sql_mode, 'NO_BACKSLASH_ESCAPES', '')"), NULL,
                     err);
}

bool conn_open(const ConnOpts *opts, Conn **out, Err *err)
{
    *out = NULL;
    Conn *c = mem_zalloc(sizeof *c);
    c->kill_fd = -1;
    c->role = str_dup(str_of(opts->role ? opts->role : "server"));
    c->cancel = opts->cancel ? opts->cancel : conn_cancel_new();
    c->own_cancel = !opts->cancel;
    cancel_link(c);
    c->my = mysql_init(NULL);
    CHECK(c->my != NULL, "out of memory");
    if (set_options(c, opts, err) && connect_now(c, opts, err) && plain_escapes(c, err)) {
        *out = c;
        return true;
    }
    conn_close(c);
    return false;
}

void conn_close(Conn *c)
{
    if (!c) return;
    mysql_close(c->my);
    cancel_unlink(c);
    if (c->own_cancel) conn_cancel_free(c->cancel);
    free(c->role);
    free(c);
}

/* -- statements -- */

/* What a text of one or more statements did. */
typedef struct Tally {
    uint64_t *each; /* affected rows of the first cap statements, or NULL */
    size_t cap, n;
    uint64_t affected;
    unsigned warnings;
} Tally;

/* The answer to a statement, whole; *out NULL: it has no rows. The library forgets that rows were to come
 * when the connection ends among them: only its error number tells such an answer from one without rows. */
static bool take_result(Conn *c, MYSQL_RES **out, Err *err)
{
    *out = mysql_store_result(c->my);
    return *out || (!mysql_field_count(c->my) && !mysql_errno(c->my)) || set_error(c, NULL, err);
}

/* Likewise "no more results" is only true without an error number. */
static bool next_result(Conn *c, bool *more, Err *err)
{
    int r = mysql_next_result(c->my);
    *more = r == 0;
    return *more || (r < 0 && !mysql_errno(c->my)) || set_error(c, NULL, err);
}

/* Reads the results of all statements sent. */
static bool drain_results(Conn *c, Tally *t, Err *err)
{
    for (;;) {
        MYSQL_RES *res;
        if (!take_result(c, &res, err)) return false;
        uint64_t affected = res ? 0 : mysql_affected_rows(c->my);
        if (res) mysql_free_result(res);
        if (t->each && t->n < t->cap) t->each[t->n] = affected;
        t->affected += affected;
        t->warnings += mysql_warning_count(c->my);
        t->n++;
        bool more;
        if (!next_result(c, &more, err)) return false;
        if (!more) return true;
    }
}

static bool send_sql(Conn *c, Str sql, Err *err)
{
    if (mysql_real_query(c->my, sql.ptr ? sql.ptr : "", sql.len)) return set_error(c, NULL, err);
    return true;
}

bool conn_exec_warn(Conn *c, Str sql, uint64_t *affected, unsigned *warnings, Err *err)
{
    Tally t = {0};
    bool ok = send_sql(c, sql, err) && drain_results(c, &t, err);
    if (affected) *affected = t.affected;
    if (warnings) *warnings = t.warnings;
    return ok;
}

bool conn_exec(Conn *c, Str sql, uint64_t *affected, Err *err)
{
    return conn_exec_warn(c, sql, affected, NULL, err);
}

/* NOLINTNEXTLINE(readability-non-const-parameter): drain_results writes to affected */
bool conn_exec_multi(Conn *c, Str sql, uint64_t *affected, size_t cap, size_t *n_done, unsigned *warnings,
                     Err *err)
{
    Tally t = {.each = affected, .cap = cap};
    bool ok = send_sql(c, sql, err) && drain_results(c, &t, err);
    *n_done = t.n;
    if (warnings) *warnings = t.warnings;
    if (ok && t.n > cap)
        return err_set(err, ERR_BUG, "%s: %zu statements sent, %zu expected", c->role, t.n, cap);
    return ok;
}

bool conn_execf(Conn *c, Err *err, const char *fmt, ...)
{
    StrBuf sql = {0};
    va_list ap;
    va_start(ap, fmt);
    sb_vprintf(&sql, fmt, ap);
    va_end(ap);
    bool ok = conn_exec(c, sb_view(&sql), NULL, err);
    sb_done(&sql);
    return ok;
}

bool conn_query(Conn *c, Str sql, Rows *out, Err *err)
{
    *out = (Rows){0};
    if (!send_sql(c, sql, err)) return false;
    MYSQL_RES *res;
    if (!take_result(c, &res, err)) return false;
    if (mysql_more_results(c->my)) { /* a procedure's status, or later statements: read and dropped */
        Tally t = {0};
        bool more;
        if (!next_result(c, &more, err) || (more && !drain_results(c, &t, err))) {
            if (res) mysql_free_result(res);
            return false;
        }
    }
    if (!res) return true;
    *out = (Rows){.handle = res, .n_rows = mysql_num_rows(res), .n_columns = mysql_num_fields(res)};
    return true;
}

bool conn_queryf(Conn *c, Rows *out, Err *err, const char *fmt, ...)
{
    StrBuf sql = {0};
    va_list ap;
    va_start(ap, fmt);
    sb_vprintf(&sql, fmt, ap);
    va_end(ap);
    bool ok = conn_query(c, sb_view(&sql), out, err);
    sb_done(&sql);
    return ok;
}

bool rows_next(Rows *r, Str *values)
{
    MYSQL_ROW row = r->handle ? mysql_fetch_row(r->handle) : NULL;
    if (!row) return false;
    unsigned long *lengths = mysql_fetch_lengths(r->handle);
    for (unsigned i = 0; i < r->n_columns; i++)
        values[i] = row[i] ? str_make(row[i], lengths[i]) : (Str){0};
    return true;
}

int rows_column(const Rows *r, const char *name)
{
    if (!r->handle) return -1;
    const MYSQL_FIELD *fields = mysql_fetch_fields(r->handle);
    for (unsigned i = 0; i < r->n_columns; i++)
        if (str_ieq(str_make(fields[i].name, fields[i].name_length), str_of(name))) return (int)i;
    return -1;
}

void rows_done(Rows *r)
{
    if (r->handle) mysql_free_result(r->handle);
    *r = (Rows){0};
}

bool conn_scalar(Conn *c, Str sql, char **out, Err *err)
{
    *out = NULL;
    Rows rows;
    if (!conn_query(c, sql, &rows, err)) return false;
    Str *values = mem_zalloc(sizeof *values * (rows.n_columns + 1));
    if (rows_next(&rows, values) && values[0].ptr) *out = str_dup(values[0]);
    free(values);
    rows_done(&rows);
    return true;
}

/* -- facts -- */

const char *conn_server_version(const Conn *c)
{
    return mysql_get_server_info(c->my);
}

uint64_t conn_id(const Conn *c)
{
    return mysql_thread_id(c->my);
}

bool conn_has_tls(const Conn *c)
{
    return mysql_get_ssl_cipher(c->my) != NULL;
}

/* -- the dump protocol -- */

bool conn_send_command(Conn *c, unsigned char command, Str body, Err *err)
{
    if (c->my->methods->db_command(c->my, (enum enum_server_command)command, body.ptr ? body.ptr : "",
                                   body.len, 1, NULL))
        return set_error(c, NULL, err);
    return true;
}

bool conn_read_packet(Conn *c, Str *out, Err *err)
{
    unsigned long n = mysql_net_read_packet(c->my);
    const unsigned long PACKET_ERROR =
        UINT32_MAX; /* the library's packet_error: an unsigned int, returned as a long */
    if (n >= PACKET_ERROR) return set_error(c, NULL, err);
    *out = str_make(c->my->net.read_pos, n);
    return true;
}

/* -- the library -- */

void conn_library_init(void)
{
    CHECK(mysql_library_init(0, NULL, NULL) == 0, "libmariadb cannot start");
}

void conn_library_end(void)
{
    mysql_library_end();
}

void conn_thread_end(void)
{
    mysql_thread_end();
}
