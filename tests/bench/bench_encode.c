/* Rows a second of reading a table by prepared SELECT and encoding its rows as row images; prints, asserts
 * nothing. Makes its two tables in SCHEMA (which is there) and drops them:
 *   bench_encode FLAVOR SOCKET USER PASSWORD SCHEMA [ROWS] */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include "db/schema_read.h"
#include "load/encode.h"
#include "track/schema_map.h"

enum { ROUNDS = 3, ROWS_PER_ARENA = 5000 };

typedef struct Bench {
    const char *table, *columns, *values; /* values: of row n */
} Bench;

static const Bench benches[] = {
    {"bench_narrow", "id BIGINT NOT NULL PRIMARY KEY, k INT NOT NULL, v INT", "n, n * 7919 % 100003, n % 10"},
    {"bench_sysbench",
     "id INT NOT NULL PRIMARY KEY, k INT NOT NULL, c CHAR(120) NOT NULL, pad CHAR(60) NOT NULL",
     "n, n * 7919 % 100003, RPAD(n, 119, '0123456789-'), RPAD(n, 59, '9876543210-')"},
    {"bench_wide",
     "id BIGINT NOT NULL PRIMARY KEY, customer INT UNSIGNED, status TINYINT, name VARCHAR(60), email "
     "VARCHAR(100), price DECIMAL(10,2), tax DECIMAL(20,6), weight DOUBLE, share FLOAT, created DATETIME(3), "
     "updated TIMESTAMP NULL, day DATE, clock TIME, note TEXT, flags SMALLINT, kind ENUM('a','b','c'), marks "
     "SET('x','y','z'), hash BINARY(16), bits BIT(9), year YEAR, a INT, b INT, c INT, d INT, e VARCHAR(20), "
     "f "
     "VARCHAR(20)",
     "n, n % 100000, n % 5, CONCAT('Somebody ', n), CONCAT('somebody.', n, '@example.org'), n / 100, n / "
     "1000, "
     "n / 7, n / 3, '2024-02-29 12:34:56.789', '2024-02-29 12:34:56', '2024-02-29', '12:34:56', NULL, n % "
     "1000, "
     "1 + n % 3, n % 8, UNHEX(LEFT(SHA2(n, 256), 32)), n % 512, 2000 + n % 100, n, n, NULL, n, 'short', "
     "CONCAT(n)"},
};

static void die(const char *what, const Err *err)
{
    fprintf(stderr, "bench_encode: %s: %s\n", what, err->message ? err->message : "");
    exit(1);
}

static double seconds(clockid_t clock)
{
    struct timespec t;
    clock_gettime(clock, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void make_table(Conn *c, const char *schema, const Bench *b, unsigned long rows, bool mariadb)
{
    Err err = {0};
    if (!conn_execf(c, &err, "DROP TABLE IF EXISTS %s.%s", schema, b->table) ||
        !conn_execf(c, &err, "CREATE TABLE %s.%s (%s) DEFAULT CHARSET=utf8mb4", schema, b->table,
                    b->columns) ||
        !conn_execf(c, &err,
                    mariadb ? "SET max_recursive_iterations = %lu" : "SET cte_max_recursion_depth = %lu",
                    rows + 1) ||
        !conn_execf(
            c, &err,
            "INSERT INTO %s.%s WITH RECURSIVE r AS (SELECT 1 AS n UNION ALL SELECT n + 1 FROM r WHERE n < "
            "%lu) SELECT %s FROM r",
            schema, b->table, rows, b->values))
        die(b->table, &err);
}

/* encode false: the rows are read and dropped. */
static void read_table(Conn *c, RowEncoder *e, Str sql, bool encode, const char *label)
{
    Err err = {0};
    Arena arena = {0};
    Stmt *stmt;
    const StmtValue *values;
    StmtResult got;
    unsigned long rows = 0, bytes = 0;
    double cpu = seconds(CLOCK_PROCESS_CPUTIME_ID), wall = seconds(CLOCK_MONOTONIC);
    for (int round = 0; round < ROUNDS; round++) {
        if (!stmt_open(c, sql, &stmt, &err)) die(label, &err);
        while ((got = stmt_next(stmt, &values, &err)) == STMT_ROW) {
            RowImage image;
            rows++;
            if (!encode) continue;
            if (!row_encoder_row(e, values, &arena, &image, &err)) die(label, &err);
            bytes += image.bytes.len;
            if (rows % ROWS_PER_ARENA == 0) arena_done(&arena);
        }
        if (got == STMT_FAILED) die(label, &err);
        (void)stmt_close(stmt);
    }
    arena_done(&arena);
    cpu = seconds(CLOCK_PROCESS_CPUTIME_ID) - cpu;
    wall = seconds(CLOCK_MONOTONIC) - wall;
    printf("%-16s %-16s %6.2f million rows/s of our CPU  %6.1f ns/row  %6.2f million rows/s with the server  "
           "%5.1f bytes/row\n",
           label, encode ? "read and encoded" : "read", (double)rows / cpu / 1e6, cpu / (double)rows * 1e9,
           (double)rows / wall / 1e6, (double)bytes / (double)rows);
}

int main(int argc, char **argv)
{
    if (argc < 6) {
        fprintf(stderr, "bench_encode FLAVOR SOCKET USER PASSWORD SCHEMA [ROWS]\n");
        return 2;
    }
    unsigned long n_rows = argc > 6 ? strtoul(argv[6], NULL, 10) : 300000;
    Flavor flavor = str_eqc(str_of(argv[1]), "mysql") ? FLAVOR_MYSQL : FLAVOR_MARIADB;
    Err err = {0};
    Conn *c;
    conn_library_init();
    ConnOpts opts = {.role = "server", .socket = argv[2], .user = argv[3], .password = argv[4]};
    if (!conn_open(&opts, &c, &err) || !conn_execf(c, &err, "USE %s", argv[5])) die("connect", &err);
    for (size_t i = 0; i < ARRAY_LEN(benches); i++) {
        const Bench *b = &benches[i];
        Arena arena = {0};
        TableSchema *schema;
        TableMap *map;
        RowEncoder *e;
        StrBuf sql = {0};
        TableName name = {str_of(argv[5]), str_of(b->table)};
        make_table(c, argv[5], b, n_rows, flavor == FLAVOR_MARIADB);
        if (!conn_execf(c, &err, "SET time_zone = '+00:00', character_set_results = NULL")) die("SET", &err);
        if (!schema_read(c, name, &schema, &err) || !schema ||
            !schema_table_map(schema, flavor, &arena, &map, &err) ||
            !row_encoder_new(schema, map, flavor, &e, &err))
            die(b->table, &err);
        sb_c(&sql, "SELECT ");
        sb_str(&sql, row_encoder_select_list(e));
        sb_c(&sql, " FROM ");
        table_name_sql(name, &sql);
        read_table(c, e, sb_view(&sql), false, b->table);
        read_table(c, e, sb_view(&sql), true, b->table);
        if (!conn_execf(c, &err, "DROP TABLE %s.%s", argv[5], b->table)) die("drop", &err);
        row_encoder_free(e);
        schema_free(schema);
        arena_done(&arena);
        sb_done(&sql);
    }
    conn_close(c);
    conn_library_end();
    return 0;
}
