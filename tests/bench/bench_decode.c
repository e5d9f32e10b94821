/* Rows a second of row_image_split + value_sql on a table as applications have them; prints, asserts nothing.
 *   gcc -O2 -g -std=gnu17 -D_GNU_SOURCE -Isrc tests/bench/bench_decode.c <archives decode, model, base>
 * -ljansson -lz -lm id BIGINT, customer INT UNSIGNED, status TINYINT, name VARCHAR(60), email VARCHAR(100),
 * price DECIMAL(10,2), weight DOUBLE, created DATETIME(3), updated TIMESTAMP, note TEXT (NULL), flags
 * SMALLINT, day DATE */
#include <stdio.h>
#include <time.h>
#include "decode/row.h"
#include "decode/value.h"

enum { N_COLUMNS = 12, N_ROWS = 1000, ROUNDS = 1000 };

static MapColumn columns[N_COLUMNS] = {
    {.type = COLTYPE_LONGLONG},
    {.type = COLTYPE_LONG, .is_unsigned = true},
    {.type = COLTYPE_TINY},
    {.type = COLTYPE_VARCHAR, .meta = 240},
    {.type = COLTYPE_VARCHAR, .meta = 400},
    {.type = COLTYPE_NEWDECIMAL, .meta = 10 << 8 | 2},
    {.type = COLTYPE_DOUBLE, .meta = 8},
    {.type = COLTYPE_DATETIME2, .meta = 3},
    {.type = COLTYPE_TIMESTAMP2},
    {.type = COLTYPE_BLOB, .meta = 2},
    {.type = COLTYPE_SHORT},
    {.type = COLTYPE_DATE},
};

static void put(StrBuf *b, const void *p, size_t n)
{
    sb_add(b, p, n);
}

static void make_row(StrBuf *b, uint64_t i)
{
    static const uint8_t nulls[2] = {0, 2}; /* note is NULL */
    static const uint8_t price[5] = {0x80, 0x00, 0x30, 0x39, 0x2a},
                         created[7] = {0x99, 0xb2, 0x7a, 0xc8, 0xb8, 0x1e, 0xd2};
    static const uint8_t updated[4] = {0x65, 0xe0, 0x72, 0x10}, day[3] = {0x5d, 0xd0, 0x0f};
    uint64_t id = 1000000 + i;
    uint32_t customer = (uint32_t)(i * 7919 % 100000);
    double weight = (double)(i % 10000) / 100;
    put(b, nulls, 2);
    put(b, &id, 8);
    put(b, &customer, 4);
    put(b, &(uint8_t){(uint8_t)(i % 5)}, 1);
    put(b, "\x14Somebody O'Something", 21);
    put(b, "\x1a\0somebody.123@example.org..", 28);
    put(b, price, 5);
    put(b, &weight, 8);
    put(b, created, 7);
    put(b, updated, 4);
    put(b, &(uint16_t){(uint16_t)i}, 2);
    put(b, day, 3);
}

/* CPU seconds: other processes do not count. */
static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void report(const char *what, double seconds)
{
    double rows = (double)N_ROWS * ROUNDS;
    printf("%-28s %8.2f million rows/s  %6.1f ns/row  %5.1f ns/column\n", what, rows / seconds / 1e6,
           seconds / rows * 1e9, seconds / rows / N_COLUMNS * 1e9);
}

int main(void)
{
    static const uint8_t all[2] = {0xff, 0x0f};
    TableMap map = {.n_columns = N_COLUMNS, .columns = columns};
    ColumnCodec codecs[N_COLUMNS];
    Field fields[N_COLUMNS];
    StrBuf rows = {0}, out = {0};
    Err err = {0};
    Str image;
    for (unsigned i = 0; i < N_COLUMNS; i++) {
        bool text = columns[i].type == COLTYPE_VARCHAR || columns[i].type == COLTYPE_BLOB;
        codecs[i] = (ColumnCodec){.type = columns[i].type,
                                  .meta = columns[i].meta,
                                  .is_unsigned = columns[i].is_unsigned,
                                  .text = text ? TEXT_UTF8 : TEXT_NONE};
    }
    for (uint64_t i = 0; i < N_ROWS; i++)
        make_row(&rows, i);

    double start = now();
    for (unsigned round = 0; round < ROUNDS; round++)
        for (Reader r = reader_of(sb_view(&rows)); reader_left(&r);)
            if (!row_image_split(&map, all, &r, &image, NULL, &err)) goto broken;
    report("split, no fields", now() - start);

    start = now();
    for (unsigned round = 0; round < ROUNDS; round++)
        for (Reader r = reader_of(sb_view(&rows)); reader_left(&r);)
            if (!row_image_split(&map, all, &r, &image, fields, &err)) goto broken;
    report("split with fields", now() - start);

    start = now();
    for (unsigned round = 0; round < ROUNDS; round++) {
        sb_clear(&out);
        for (Reader r = reader_of(sb_view(&rows)); reader_left(&r);) {
            if (!row_image_split(&map, all, &r, &image, fields, &err)) goto broken;
            for (unsigned i = 0; i < N_COLUMNS; i++) {
                if (!value_sql(&out, &codecs[i], fields[i], &err)) goto broken;
                sb_ch(&out, ',');
            }
        }
    }
    report("split and value_sql", now() - start);
    printf("%.200s\n", out.ptr);

    for (unsigned c = 0; c < N_COLUMNS; c++) {
        StrBuf label = {0};
        start = now();
        for (unsigned n = 0; n < ROUNDS * N_ROWS / 10; n++) {
            if (n % 1000 == 0) sb_clear(&out);
            if (!value_sql(&out, &codecs[c], fields[c], &err)) goto broken;
        }
        printf("  value_sql type %3u %6.1f ns\n", columns[c].type,
               (now() - start) / (ROUNDS * N_ROWS / 10) * 1e9);
        sb_done(&label);
    }
    sb_done(&rows);
    sb_done(&out);
    return 0;
broken:
    fprintf(stderr, "%s\n", err.message);
    return 1;
}
