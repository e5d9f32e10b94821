/* What a streamed statement does when things go wrong, on a live server.
 *   stmt_check SOCKET USER PASSWORD
 * Prints each fault; exit status 1 when there is one. */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include "db/stmt.h"

static unsigned faults;

#define EXPECT(condition, ...)                                                                               \
    do {                                                                                                     \
        if (!(condition)) {                                                                                  \
            faults++;                                                                                        \
            printf("%d: %s: ", __LINE__, #condition);                                                        \
            printf(__VA_ARGS__);                                                                             \
            printf("\n");                                                                                    \
        }                                                                                                    \
    } while (0)

/* Numbers from 1 on. */
#define NUMBERS "WITH RECURSIVE r AS (SELECT 1 AS n UNION ALL SELECT n + 1 FROM r WHERE n < %u) SELECT "

static Conn *connected(const ConnOpts *opts)
{
    Conn *c;
    Err err = {0};
    if (!conn_open(opts, &c, &err)) {
        fprintf(stderr, "stmt_check: %s\n", err.message);
        exit(2);
    }
    return c;
}

static bool alive(Conn *c)
{
    char *value = NULL;
    Err err = {0};
    bool ok = conn_scalar(c, STR("SELECT 41 + 1"), &value, &err) && strcmp(value, "42") == 0;
    free(value);
    err_clear(&err);
    return ok;
}

static Stmt *opened(Conn *c, const char *sql)
{
    Stmt *s;
    Err err = {0};
    if (!stmt_open(c, str_of(sql), &s, &err)) {
        fprintf(stderr, "stmt_check: %s\n", err.message);
        exit(2);
    }
    return s;
}

static void refused_statements(Conn *c)
{
    static const struct {
        const char *sql;
        ErrCode code;
    } cases[] = {{"SELEC 1", ERR_DB_SERVER}, {"SELECT 1 FROM mysql.no_such_table", ERR_DB_SCHEMA}};
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        Stmt *s;
        Err err = {0};
        EXPECT(!stmt_open(c, str_of(cases[i].sql), &s, &err), "%s", cases[i].sql);
        EXPECT(err.code == cases[i].code && err.server_errno, "%s: %s", cases[i].sql, err.message);
        EXPECT(s == NULL, "%s", cases[i].sql);
        err_clear(&err);
        EXPECT(alive(c), "after %s", cases[i].sql);
    }
}

/* Closed after none, some and all of the rows. */
static void closed_early(Conn *c)
{
    for (unsigned rows = 0; rows <= 6; rows += 3) {
        StrBuf sql CLEANUP(sb_done) = {0};
        const StmtValue *v;
        Err err = {0};
        sb_printf(&sql, NUMBERS "n, REPEAT('x', 3000), NULL FROM r", 6u);
        Stmt *s = opened(c, sql.ptr);
        EXPECT(stmt_columns(s) == 3, "%u", stmt_columns(s));
        for (unsigned i = 1; i <= rows; i++) {
            EXPECT(stmt_next(s, &v, &err) == STMT_ROW, "row %u", i);
            EXPECT(v[0].kind == STMT_INT && v[0].i == i && v[1].bytes.len == 3000 && v[2].kind == STMT_NULL,
                   "row %u", i);
        }
        if (rows == 6) {
            EXPECT(stmt_next(s, &v, &err) == STMT_END, "the end");
            EXPECT(stmt_next(s, &v, &err) == STMT_END, "the end again");
        }
        EXPECT(stmt_close(s), "after %u rows", rows);
        EXPECT(alive(c), "after %u rows", rows);
    }
    EXPECT(stmt_close(NULL), "nothing to close");
    Stmt *s = opened(c, "DO 1");
    const StmtValue *v;
    Err err = {0};
    EXPECT(stmt_columns(s) == 0 && stmt_next(s, &v, &err) == STMT_END, "no result set");
    EXPECT(stmt_close(s) && alive(c), "no result set");
}

/* The server finds an error when rows are under way. */
static void error_among_rows(Conn *c)
{
    StrBuf sql CLEANUP(sb_done) = {0};
    const StmtValue *v;
    Err err = {0};
    unsigned rows = 0;
    sb_printf(&sql, NUMBERS "n, (SELECT 1 UNION SELECT 1 + (r.n > 300)) FROM r", 600u);
    for (int early = 0; early < 2; early++) {
        Stmt *s = opened(c, sql.ptr);
        StmtResult got = STMT_ROW;
        for (rows = 0; rows < (early ? 5u : 600u) && got == STMT_ROW; rows++)
            got = stmt_next(s, &v, &err);
        if (!early) {
            EXPECT(got == STMT_FAILED && rows > 1, "%u rows", rows);
            EXPECT(err.server_errno == 1242, "%s", err.message ? err.message : "no error");
            EXPECT(stmt_next(s, &v, &err) == STMT_END, "nothing after an error");
        }
        err_clear(&err);
        EXPECT(stmt_close(s), "the connection lives");
        EXPECT(alive(c), "the connection lives");
    }
}

/* Values of 3 × 20 MiB in one row, joined from several packets. */
static void large_values(Conn *c)
{
    enum { BIG = 20 << 20 };
    StrBuf sql CLEANUP(sb_done) = {0};
    const StmtValue *v;
    Err err = {0};
    sb_printf(&sql, NUMBERS "n, REPEAT('a', %d), 7, REPEAT('b', %d + n) FROM r", 2u, BIG, BIG);
    Stmt *s = opened(c, sql.ptr);
    for (int row = 1; row <= 2; row++) {
        EXPECT(stmt_next(s, &v, &err) == STMT_ROW, "%s", err.message ? err.message : "");
        if (err_is_set(&err)) break;
        EXPECT(v[1].bytes.len == BIG && v[1].bytes.ptr[BIG - 1] == 'a', "%zu", v[1].bytes.len);
        EXPECT(v[2].i == 7, "the value between");
        EXPECT(v[3].bytes.len == (size_t)(BIG + row) && v[3].bytes.ptr[0] == 'b', "%zu", v[3].bytes.len);
    }
    EXPECT(stmt_close(s) && alive(c), "after large values");
    err_clear(&err);
}

static void *cut(void *conn)
{
    conn_kill_socket(conn);
    return NULL;
}

/* The connection ends among the rows. */
static void lost_among_rows(const ConnOpts *opts, bool by_server)
{
    Conn *c = connected(opts);
    StrBuf sql CLEANUP(sb_done) = {0};
    const StmtValue *v;
    Err err = {0};
    unsigned rows = 0;
    sb_printf(&sql, NUMBERS "n, REPEAT('x', 60000) FROM r", 900u);
    Stmt *s = opened(c, sql.ptr);
    EXPECT(stmt_next(s, &v, &err) == STMT_ROW, "the first row");
    if (by_server) {
        Conn *other = connected(opts);
        EXPECT(conn_execf(other, &err, "KILL CONNECTION %llu", (unsigned long long)conn_id(c)), "%s",
               err.message);
        conn_close(other);
    } else {
        pthread_t thread;
        pthread_create(&thread, NULL, cut, c);
        pthread_join(thread, NULL);
    }
    StmtResult got = STMT_ROW;
    while (got == STMT_ROW) {
        got = stmt_next(s, &v, &err);
        rows++;
    }
    EXPECT(got == STMT_FAILED && rows < 900, "%u rows", rows);
    /* a killed server thread may say so before it goes */
    EXPECT(err.code == ERR_DB_LOST || (by_server && err.server_errno), "%s", err.message ? err.message : "");
    bool usable = stmt_close(s);
    EXPECT(!usable || by_server, "the connection is lost");
    EXPECT(!alive(c), "the connection is lost");
    err_clear(&err);
    conn_close(c);
}

/* As above, found out by closing. */
static void lost_while_closing(const ConnOpts *opts)
{
    Conn *c = connected(opts);
    StrBuf sql CLEANUP(sb_done) = {0};
    sb_printf(&sql, NUMBERS "n, REPEAT('x', 60000) FROM r", 900u);
    Stmt *s = opened(c, sql.ptr);
    cut(c);
    EXPECT(!stmt_close(s), "the connection is lost");
    conn_close(c);
}

int main(int argc, char **argv)
{
    if (argc != 4) {
        fprintf(stderr, "stmt_check SOCKET USER PASSWORD\n");
        return 2;
    }
    conn_library_init();
    ConnOpts opts = {.role = "server", .socket = argv[1], .user = argv[2], .password = argv[3]};
    Conn *c = connected(&opts);
    refused_statements(c);
    closed_early(c);
    error_among_rows(c);
    large_values(c);
    conn_close(c);
    lost_among_rows(&opts, false);
    lost_among_rows(&opts, true);
    lost_while_closing(&opts);
    conn_library_end();
    printf("%u faults\n", faults);
    return faults ? 1 : 0;
}
