/* What a query gives over a connection that may end within the answer.
 *   conn_check HOST PORT USER PASSWORD query|exec|stream SQL
 *   conn_check HOST PORT USER PASSWORD identity mariadb|mysql     (what the caller takes the server for)
 * Prints "rows N", "done", the identity, or the name of the error. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "db/server.h"
#include "db/stmt.h"

static void stream(Conn *c, const char *sql, Err *err)
{
    Stmt *s;
    const StmtValue *values;
    StmtResult got;
    unsigned n = 0;
    if (!stmt_open(c, str_of(sql), &s, err)) return;
    while ((got = stmt_next(s, &values, err)) == STMT_ROW)
        n++;
    if (got == STMT_END) printf("rows %u\n", n);
    (void)stmt_close(s);
}

static void identity(Conn *c, const char *flavor, Err *err)
{
    char *who;
    if (!server_identity(c, strcmp(flavor, "mariadb") == 0 ? FLAVOR_MARIADB : FLAVOR_MYSQL, &who, err))
        return;
    printf("%s\n", who);
    free(who);
}

int main(int argc, char **argv)
{
    if (argc != 7) return 2;
    ConnOpts opts = {.role = "server",
                     .host = argv[1],
                     .port = (unsigned)atoi(argv[2]),
                     .user = argv[3],
                     .password = argv[4],
                     .multi_statements = true};
    Conn *c;
    Err err = {0};
    Rows rows;
    if (!conn_open(&opts, &c, &err)) {
        fprintf(stderr, "conn_check: %s\n", err.message);
        return 2;
    }
    if (strcmp(argv[5], "stream") == 0) {
        stream(c, argv[6], &err);
    } else if (strcmp(argv[5], "identity") == 0) {
        identity(c, argv[6], &err);
    } else if (strcmp(argv[5], "exec") == 0) {
        if (conn_exec(c, str_of(argv[6]), NULL, &err)) printf("done\n");
    } else if (conn_query(c, str_of(argv[6]), &rows, &err)) {
        printf("rows %llu\n", (unsigned long long)rows.n_rows);
        rows_done(&rows);
    }
    if (err_is_set(&err)) printf("%s\n", err_code_name(err.code));
    err_clear(&err);
    conn_close(c);
    return 0;
}
