/* Chunk keys against a server: for every table of a schema that has one.
 *   key_check FLAVOR SOCKET USER PASSWORD SCHEMA SEED
 * The bytes must sort like ORDER BY; the WHERE of random bounds (rows' keys and middles) must select exactly
 * the rows between; of narrow bounds it must be a range on the key without a sort; a middle must lie between.
 * Prints each fault; the last line counts; exit status 1 when there is one. */
#include <stdio.h>
#include <stdlib.h>
#include "base/check.h"
#include "db/schema_read.h"
#include "load/chunk_key.h"
#include "load/encode.h"
#include "track/schema_map.h"

enum { PAIRS = 60, NARROW = 8 };

typedef struct Check {
    Arena arena; /* of the table at hand */
    Flavor flavor;
    Conn *conn;
    TableSchema *schema;
    TableMap *map;
    RowEncoder *encoder;
    ChunkKey *key;
    Str *keys; /* in the server's order */
    size_t n;
    uint64_t random;
    unsigned long tables, bounds, faults;
} Check;

static void die(const char *what, const Err *err)
{
    fprintf(stderr, "key_check: %s: %s\n", what, err && err->message ? err->message : "");
    exit(2);
}

static void fault(Check *x, const char *fmt, ...) PRINTF_LIKE(2, 3);
static void fault(Check *x, const char *fmt, ...)
{
    va_list ap;
    x->faults++;
    printf(STR_FMT ": ", STR_ARG(x->schema->name.table));
    va_start(ap, fmt);
    vprintf(fmt, ap);
    va_end(ap);
    printf("\n");
}

static size_t below(Check *x, size_t n)
{
    x->random ^= x->random << 13, x->random ^= x->random >> 7, x->random ^= x->random << 17;
    return (size_t)(x->random % n);
}

static void read_keys(Check *x)
{
    Err err = {0};
    StrBuf sql CLEANUP(sb_done) = {0}, key CLEANUP(sb_done) = {0};
    Stmt *stmt;
    const StmtValue *values;
    size_t cap = 0;
    x->n = 0;
    sb_c(&sql, "SELECT ");
    sb_str(&sql, row_encoder_select_list(x->encoder));
    sb_c(&sql, " FROM ");
    table_name_sql(x->schema->name, &sql);
    sb_c(&sql, " ORDER BY ");
    chunk_key_order(x->key, false, &sql);
    if (!stmt_open(x->conn, sb_view(&sql), &stmt, &err)) die(sql.ptr, &err);
    while (stmt_next(stmt, &values, &err) == STMT_ROW) {
        RowImage image;
        if (!row_encoder_row(x->encoder, values, &x->arena, &image, &err)) die("encode", &err);
        sb_clear(&key);
        if (!chunk_key_of(x->key, x->map, &image, &key)) die("a row without a key", NULL);
        if (x->n == cap) {
            cap = cap ? cap * 2 : 1024;
            x->keys = mem_realloc(x->keys, cap * sizeof *x->keys);
        }
        x->keys[x->n++] = arena_str(&x->arena, sb_view(&key));
    }
    if (err_is_set(&err)) die(sql.ptr, &err);
    if (!stmt_close(stmt)) die("close", NULL);
    for (size_t i = 1; i < x->n; i++) {
        int order = chunk_key_cmp(x->keys[i - 1], x->keys[i]);
        StrBuf a CLEANUP(sb_done) = {0}, b CLEANUP(sb_done) = {0};
        chunk_key_format(x->key, x->keys[i - 1], &a);
        chunk_key_format(x->key, x->keys[i], &b);
        if (order > 0 || (order == 0 && chunk_key_is_complete(x->key)))
            fault(x, "row %zu: %s is not below %s", i, a.ptr, b.ptr);
    }
}

static size_t count_between(const Check *x, Str lo, Str hi)
{
    size_t n = 0;
    for (size_t i = 0; i < x->n; i++)
        n +=
            (!lo.len || chunk_key_cmp(lo, x->keys[i]) < 0) && (!hi.len || chunk_key_cmp(x->keys[i], hi) <= 0);
    return n;
}

static bool any_between(const Check *x, Str lo, Str hi)
{
    for (size_t i = 0; i < x->n; i++)
        if (chunk_key_cmp(lo, x->keys[i]) < 0 && chunk_key_cmp(x->keys[i], hi) < 0) return true;
    return false;
}

/* A plan is fine when it reads the key in its order. */
static void explain(Check *x, Str where)
{
    Err err = {0};
    StrBuf sql CLEANUP(sb_done) = {0};
    Rows rows;
    Str values[32];
    sb_c(&sql, x->flavor == FLAVOR_MYSQL ? "EXPLAIN FORMAT=TRADITIONAL" : "EXPLAIN");
    sb_c(&sql, " SELECT * FROM ");
    table_name_sql(x->schema->name, &sql);
    sb_c(&sql, " WHERE ");
    sb_str(&sql, where);
    sb_c(&sql, " ORDER BY ");
    chunk_key_order(x->key, false, &sql);
    if (!conn_query(x->conn, sb_view(&sql), &rows, &err)) die(sql.ptr, &err);
    CHECK(rows.n_columns <= ARRAY_LEN(values), "EXPLAIN has few columns");
    int type = rows_column(&rows, "type"), extra = rows_column(&rows, "Extra");
    if (!rows_next(&rows, values) || type < 0 || extra < 0) die("EXPLAIN", NULL);
    bool impossible = str_find(values[extra], STR("mpossible")) != SIZE_MAX ||
                      str_find(values[extra], STR("no matching row")) != SIZE_MAX;
    bool good =
        str_eqc(values[type], "range") || str_eqc(values[type], "const") || str_eqc(values[type], "ref");
    if (!impossible && (!good || str_find(values[extra], STR("filesort")) != SIZE_MAX))
        fault(x, "plan " STR_FMT ", " STR_FMT ", for " STR_FMT, STR_ARG(values[type]), STR_ARG(values[extra]),
              STR_ARG(where));
    rows_done(&rows);
}

static void check_bounds(Check *x, Str lo, Str hi)
{
    Err err = {0};
    StrBuf where CLEANUP(sb_done) = {0}, sql CLEANUP(sb_done) = {0};
    char *got;
    uint64_t n = 0;
    size_t want = count_between(x, lo, hi);
    chunk_key_where(x->key, lo, hi, &where);
    sb_c(&sql, "SELECT COUNT(*) FROM ");
    table_name_sql(x->schema->name, &sql);
    sb_c(&sql, " WHERE ");
    sb_str(&sql, sb_view(&where));
    if (!conn_scalar(x->conn, sb_view(&sql), &got, &err)) {
        fault(x, "%s: %s", where.ptr, err.message);
        err_clear(&err);
        return;
    }
    if (!str_to_u64(str_of(got), &n) || n != want)
        fault(x, "%s selects %s rows, not %zu", where.ptr, got, want);
    free(got);
    x->bounds++;
    if (want && want <= NARROW && lo.len && hi.len) explain(x, sb_view(&where));
}

static void check_middle(Check *x, Str lo, Str hi)
{
    StrBuf key CLEANUP(sb_done) = {0};
    if (!chunk_key_middle(x->key, lo, hi, &key)) {
        if (any_between(x, lo, hi)) fault(x, "no middle, though rows lie between");
        return;
    }
    Str middle = arena_str(&x->arena, sb_view(&key));
    if (chunk_key_cmp(lo, middle) >= 0 || chunk_key_cmp(middle, hi) >= 0)
        fault(x, "the middle is not between");
    check_bounds(x, lo, middle);
    check_bounds(x, middle, hi);
}

/* Halves the whole table until nothing lies between: every middle on the way to one row. */
static void check_descent(Check *x)
{
    Str lo = x->keys[0], hi = x->keys[x->n - 1];
    for (int depth = 0; depth < 400 && any_between(x, lo, hi); depth++) {
        StrBuf key CLEANUP(sb_done) = {0};
        if (!chunk_key_middle(x->key, lo, hi, &key)) {
            fault(x, "the descent ends with %zu rows between", count_between(x, lo, hi));
            return;
        }
        Str middle = arena_str(&x->arena, sb_view(&key));
        if (depth % 8 == 0) check_bounds(x, lo, middle);
        if (count_between(x, middle, hi) > count_between(x, lo, middle))
            lo = middle;
        else
            hi = middle;
    }
    if (any_between(x, lo, hi)) fault(x, "the descent does not end");
}

static void check_table(Check *x, TableName name)
{
    Err err = {0};
    if (!schema_read(x->conn, name, &x->schema, &err) || !x->schema ||
        !schema_table_map(x->schema, x->flavor, &x->arena, &x->map, &err) ||
        !row_encoder_new(x->schema, x->map, x->flavor, &x->encoder, &err))
        die("table", &err);
    if (!chunk_key_new(x->schema, x->map, &x->key)) {
        fault(x, "no chunk key");
        return;
    }
    read_keys(x);
    check_bounds(x, (Str){0}, (Str){0});
    for (int i = 0; i < PAIRS; i++) {
        size_t a = below(x, x->n), near = below(x, NARROW) + 1,
               b = i % 2 ? below(x, x->n) : MIN(a + near, x->n - 1);
        Str lo = x->keys[MIN(a, b)], hi = x->keys[MAX(a, b)];
        check_bounds(x, lo, hi);
        if (i % 10 == 0) check_bounds(x, lo, (Str){0});
        if (i % 10 == 1) check_bounds(x, (Str){0}, hi);
        if (chunk_key_cmp(lo, hi) < 0) check_middle(x, lo, hi);
    }
    check_descent(x);
    x->tables++;
    chunk_key_free(x->key);
    row_encoder_free(x->encoder);
    schema_free(x->schema);
    arena_done(&x->arena);
}

int main(int argc, char **argv)
{
    if (argc < 7) {
        fprintf(stderr, "key_check FLAVOR SOCKET USER PASSWORD SCHEMA SEED\n");
        return 2;
    }
    Check *x = mem_zalloc(sizeof *x);
    Err err = {0};
    Arena names = {0};
    TableName *tables;
    size_t n;
    x->flavor = str_eqc(str_of(argv[1]), "mysql") ? FLAVOR_MYSQL : FLAVOR_MARIADB;
    x->random = strtoull(argv[6], NULL, 10) | 1;
    conn_library_init();
    ConnOpts opts = {.role = "server", .socket = argv[2], .user = argv[3], .password = argv[4]};
    if (!conn_open(&opts, &x->conn, &err)) die("connect", &err);
    if (!conn_execf(
            x->conn, &err,
            "SET time_zone = '+00:00', character_set_results = NULL, sql_mode = 'ALLOW_INVALID_DATES'"))
        die("session", &err);
    if (!schema_list_tables(x->conn, &names, &tables, &n, &err)) die("tables", &err);
    for (size_t i = 0; i < n; i++)
        if (str_eqc(tables[i].schema, argv[5])) check_table(x, tables[i]);
    conn_close(x->conn);
    conn_library_end();
    printf("%lu tables, %lu bounds, %lu faults\n", x->tables, x->bounds, x->faults);
    return x->faults || !x->tables ? 1 : 0;
}
