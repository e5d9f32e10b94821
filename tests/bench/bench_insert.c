/* How fast a MariaDB downstream takes rows from an array-bound INSERT: the ceiling that the copy of existing
 * rows is measured against. Rows are read into memory first; then THREADS connections insert them, ROWS a
 * statement, BATCH statements a transaction. Prints the seconds from the first row sent to the last commit.
 *
 *   bench_insert HOST PORT USER PASSWORD TABLE THREADS ROWS BATCH FILE…
 *
 * A file holds lines "id <tab> k <tab> c <tab> pad" without escapes; the table has these four columns. */
#include <mysql.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include "base/check.h"
#include "base/clock.h"
#include "base/str.h"
#include "base/poison.h"

enum { COLUMNS = 4, FIRST_FILE = 9 };

typedef struct Row {
    Str value[COLUMNS];
} Row;

typedef struct File {
    char *text;
    Row *rows;
    size_t n;
} File;

/* Read-only once the threads run, but for the counter. */
typedef struct Bench {
    char **argv;
    File *files;
    size_t n_files, rows, batch;
    _Atomic size_t next;
} Bench;

static size_t number(const char *text)
{
    uint64_t v = 0;
    CHECK(str_to_u64(str_of(text), &v) && v > 0, "an argument is not a number");
    return (size_t)v;
}

static void file_read(const char *path, File *out)
{
    FILE *f = fopen(path, "rb");
    StrBuf b = {0};
    CHECK(f, "a file of rows cannot be read");
    for (size_t n = 1; n;) {
        sb_reserve(&b, 1 << 20);
        n = fread(b.ptr + b.len, 1, 1 << 20, f);
        sb_wrote(&b, n);
    }
    fclose(f);
    size_t cap = 0;
    for (Str rest = sb_view(&b); rest.len;) {
        Str line = str_split(&rest, '\n');
        if (out->n == cap) out->rows = mem_realloc(out->rows, (cap = cap ? cap * 2 : 1024) * sizeof(Row));
        for (size_t i = 0; i < COLUMNS; i++)
            out->rows[out->n].value[i] = str_split(&line, '\t');
        out->n++;
    }
    out->text = sb_take(&b);
}

static void must(MYSQL *c, int failed)
{
    if (!failed) return;
    fprintf(stderr, "bench_insert: %s\n", mysql_error(c));
    exit(1);
}

/* One statement: rows as they are, text for every column (the server converts, as for LOAD DATA). */
static void rows_insert(MYSQL *c, MYSQL_STMT *s, const Row *rows, unsigned n)
{
    MYSQL_BIND bind[COLUMNS];
    char **values[COLUMNS];
    unsigned long *lengths[COLUMNS];
    memset(bind, 0, sizeof bind);
    for (size_t i = 0; i < COLUMNS; i++) {
        values[i] = mem_alloc(n * sizeof **values);
        lengths[i] = mem_alloc(n * sizeof **lengths);
        for (unsigned r = 0; r < n; r++) {
            values[i][r] = (char *)rows[r].value[i].ptr;
            lengths[i][r] = rows[r].value[i].len;
        }
        bind[i] = (MYSQL_BIND){.buffer_type = MYSQL_TYPE_STRING, .buffer = values[i], .length = lengths[i]};
    }
    must(c, mysql_stmt_attr_set(s, STMT_ATTR_ARRAY_SIZE, &n));
    must(c, mysql_stmt_bind_param(s, bind));
    must(c, mysql_stmt_execute(s));
    for (size_t i = 0; i < COLUMNS; i++) {
        free((void *)values[i]);
        free(lengths[i]);
    }
}

static void *worker(void *arg)
{
    Bench *b = arg;
    char *const *a = b->argv;
    MYSQL *c = mysql_init(NULL);
    CHECK(mysql_real_connect(c, a[1], a[3], a[4], NULL, (unsigned)number(a[2]), NULL, 0), "no connection");
    must(c, mysql_autocommit(c, 0));
    must(c, mysql_query(c, "SET SESSION foreign_key_checks = 0, tx_isolation = 'READ-COMMITTED'"));
    StrBuf sql = {0};
    sb_printf(&sql, "INSERT INTO %s (id, k, c, pad) VALUES (?, ?, ?, ?)", a[5]);
    MYSQL_STMT *s = mysql_stmt_init(c);
    must(c, mysql_stmt_prepare(s, sql.ptr, sql.len));
    for (size_t i; (i = atomic_fetch_add(&b->next, 1)) < b->n_files;) {
        const File *f = &b->files[i];
        size_t statements = 0;
        for (size_t at = 0; at < f->n; at += b->rows) {
            rows_insert(c, s, f->rows + at, (unsigned)MIN(b->rows, f->n - at));
            if (++statements % b->batch == 0) must(c, mysql_commit(c));
        }
        must(c, mysql_commit(c));
    }
    mysql_stmt_close(s);
    mysql_close(c);
    mysql_thread_end();
    sb_done(&sql);
    return NULL;
}

int main(int argc, char **argv)
{
    if (argc <= FIRST_FILE) {
        fprintf(stderr, "usage: bench_insert HOST PORT USER PASSWORD TABLE THREADS ROWS BATCH FILE…\n");
        return 2;
    }
    Bench b = {.argv = argv,
               .n_files = (size_t)(argc - FIRST_FILE),
               .rows = number(argv[7]),
               .batch = number(argv[8])};
    size_t n_threads = number(argv[6]);
    pthread_t *threads = mem_alloc(n_threads * sizeof *threads);
    b.files = mem_zalloc(b.n_files * sizeof *b.files);
    for (size_t i = 0; i < b.n_files; i++)
        file_read(argv[FIRST_FILE + i], &b.files[i]);
    CHECK(mysql_library_init(0, NULL, NULL) == 0, "the client library does not start");
    int64_t begin_ms = clock_mono_ms();
    for (size_t i = 0; i < n_threads; i++)
        CHECK(pthread_create(&threads[i], NULL, worker, &b) == 0, "no thread");
    for (size_t i = 0; i < n_threads; i++)
        pthread_join(threads[i], NULL);
    printf("%.3f\n", (double)(clock_mono_ms() - begin_ms) / 1000);
    for (size_t i = 0; i < b.n_files; i++) {
        free(b.files[i].text);
        free(b.files[i].rows);
    }
    free(b.files);
    free(threads);
    mysql_library_end();
    return 0;
}
