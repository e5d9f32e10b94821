/* Rows as a server's binlog holds them against the same rows read by SELECT and encoded: byte by byte.
 *   image_check FLAVOR SOCKET USER PASSWORD SCHEMA BINLOG…
 * Each table of the schema was filled by INSERTs in the order of its first column and not changed since. Also
 * compares the table maps that the definitions give with those of the binlog. Prints each difference; the
 * last line counts; exit status 1 when anything differs. JSON of MySQL, which SELECT gives as text, is
 * compared as text. */
#include <stdio.h>
#include <stdlib.h>
#include "db/schema_read.h"
#include "decode/event.h"
#include "decode/row.h"
#include "decode/value.h"
#include "load/encode.h"
#include "track/schema_map.h"

enum { MAX_TABLES = 200, MAGIC = 4 };

typedef struct Seen {
    Str name;
    TableMap *map;
    Str *images;
    const uint8_t **present;
    size_t n, cap;
} Seen;

typedef struct Check {
    Arena arena;
    Flavor flavor;
    Str schema;
    FormatDescription fmt;
    TableMap *maps[4096]; /* by table id modulo */
    Seen seen[MAX_TABLES];
    size_t n_seen;
    unsigned long tables, rows, differences;
} Check;

static void die(const char *what, const Err *err)
{
    fprintf(stderr, "image_check: %s: %s\n", what, err && err->message ? err->message : "");
    exit(2);
}

static void differs(Check *x, Str table, const char *fmt, ...) PRINTF_LIKE(3, 4);
static void differs(Check *x, Str table, const char *fmt, ...)
{
    va_list ap;
    x->differences++;
    printf(STR_FMT ": ", STR_ARG(table));
    va_start(ap, fmt);
    vprintf(fmt, ap);
    va_end(ap);
    printf("\n");
}

/* -- the binlog -- */

static Seen *seen_of(Check *x, Str name)
{
    for (size_t i = 0; i < x->n_seen; i++)
        if (str_eq(x->seen[i].name, name)) return &x->seen[i];
    if (x->n_seen == MAX_TABLES) die("too many tables", NULL);
    Seen *s = &x->seen[x->n_seen++];
    s->name = arena_str(&x->arena, name);
    return s;
}

static void take_rows(Check *x, const EventHeader *h, Str body)
{
    RowsEvent rows;
    Err err = {0};
    if (!event_rows(h, &x->fmt, body, &rows, &err)) die("rows event", &err);
    if (rows.kind != ROWS_WRITE) return;
    TableMap *map = x->maps[rows.table_id % ARRAY_LEN(x->maps)];
    if (!map || !str_eq(map->name.schema, x->schema)) return;
    Seen *s = seen_of(x, map->name.table);
    s->map = map;
    const uint8_t *present = (const uint8_t *)arena_str(&x->arena, rows.present_after).ptr;
    for (Reader r = reader_of(rows.rows); reader_left(&r);) {
        Str image;
        if (!row_image_split(map, present, &r, &image, NULL, &err)) die("row image", &err);
        if (s->n == s->cap) {
            s->cap = s->cap ? s->cap * 2 : 64;
            s->images = mem_realloc(s->images, s->cap * sizeof *s->images);
            s->present = mem_realloc(s->present, s->cap * sizeof *s->present);
        }
        s->present[s->n] = present;
        s->images[s->n++] = arena_str(&x->arena, image);
    }
}

static void read_event(Check *x, Str event, bool first)
{
    Err err = {0};
    EventHeader h;
    Str body;
    if (first && !event_format_description(event, &x->arena, &x->fmt, &err)) die("format description", &err);
    if (!event_split(event, x->fmt.checksum_crc32, &h, &body, &err)) die("event", &err);
    if (h.type == EVENT_TABLE_MAP) {
        TableMap *map = arena_new(&x->arena, TableMap);
        if (!event_table_map(&x->fmt, body, &x->arena, map, &err)) die("table map", &err);
        x->maps[map->table_id % ARRAY_LEN(x->maps)] = map;
    } else if (h.type == EVENT_WRITE_ROWS_V2 || h.type == EVENT_WRITE_ROWS_V1) {
        take_rows(x, &h, body);
    }
}

static void read_binlog(Check *x, const char *path)
{
    StrBuf b = {0};
    FILE *f = fopen(path, "rb");
    if (!f) die(path, NULL);
    for (size_t n = 1; n > 0;) {
        enum { CHUNK = 1 << 20 };
        sb_reserve(&b, CHUNK);
        n = fread(b.ptr + b.len, 1, CHUNK, f);
        sb_wrote(&b, n);
    }
    fclose(f);
    for (size_t at = MAGIC; at + EVENT_HEADER_LEN <= b.len;) {
        uint32_t size;
        memcpy(&size, b.ptr + at + 9, sizeof size);
        if (size < EVENT_HEADER_LEN || size > b.len - at) break; /* being written */
        read_event(x, str_make(b.ptr + at, size), at == MAGIC);
        at += size;
    }
    sb_done(&b);
}

/* -- table maps -- */

static void compare_column(Check *x, Str table, const MapColumn *want, const MapColumn *got)
{
    bool json = want->type == COLTYPE_JSON;
#define SAME(field, fmt)                                                                                     \
    if (want->field != got->field)                                                                           \
    differs(x, table, "column " STR_FMT ": " #field " is " fmt " in the binlog, " fmt " here",               \
            STR_ARG(want->name), want->field, got->field)
    if (!json) {
        SAME(type, "%u");
        SAME(meta, "%04x");
        SAME(collation, "%u");
        SAME(has_sign, "%d");
    }
    SAME(nullable, "%d");
    SAME(visible, "%d");
    if (want->has_sign) SAME(is_unsigned, "%d");
#undef SAME
    if (!str_eq(want->name, got->name))
        differs(x, table, "column " STR_FMT " is " STR_FMT " here", STR_ARG(want->name), STR_ARG(got->name));
}

static void compare_maps(Check *x, Str table, const TableMap *want, const TableMap *got)
{
    if (want->n_columns != got->n_columns) {
        differs(x, table, "%u columns in the binlog, %u here", want->n_columns, got->n_columns);
        return;
    }
    for (uint32_t i = 0; i < want->n_columns; i++)
        compare_column(x, table, &want->columns[i], &got->columns[i]);
    bool same = want->n_key_columns == got->n_key_columns;
    for (uint32_t i = 0; same && i < want->n_key_columns; i++)
        same = want->key_columns[i] == got->key_columns[i];
    if (!same) differs(x, table, "another primary key");
}

/* -- rows -- */

static Str plain(Check *x, const MapColumn *m, Field f)
{
    StrBuf text = {0};
    Err err = {0};
    ColumnCodec codec = {.type = m->type, .meta = m->meta, .is_unsigned = m->is_unsigned, .text = TEXT_UTF8};
    if (f.state == FIELD_VALUE && !value_text(&text, &codec, f, &err)) die("value", &err);
    Str out = arena_str(&x->arena, f.state == FIELD_VALUE ? sb_view(&text) : STR("NULL"));
    sb_done(&text);
    return out;
}

static Str hex(Check *x, Field f)
{
    enum { MOST = 60 };
    StrBuf text = {0};
    if (f.state == FIELD_VALUE) sb_hex(&text, f.ptr, MIN(f.len, (uint32_t)MOST));
    Str out = arena_str(&x->arena, f.state == FIELD_VALUE ? sb_view(&text) : STR("NULL"));
    sb_done(&text);
    return out;
}

static bool field_eq(Check *x, const MapColumn *want_map, Field want, const MapColumn *got_map, Field got)
{
    if (want.state != got.state) return false;
    if (want.state != FIELD_VALUE) return true;
    if (want_map->type == COLTYPE_JSON) return str_eq(plain(x, want_map, want), plain(x, got_map, got));
    return want.len == got.len && memcmp(want.ptr, got.ptr, want.len) == 0;
}

static void compare_row(Check *x, const Seen *s, size_t row, const TableMap *map, const RowImage *image)
{
    Field want[4096], got[4096];
    bool has_json = false, same = true;
    row_fields(s->map, s->present[row], s->images[row], want);
    row_fields(map, image->present, image->bytes, got);
    for (uint32_t i = 0; i < map->n_columns; i++) {
        has_json |= s->map->columns[i].type == COLTYPE_JSON;
        if (field_eq(x, &s->map->columns[i], want[i], &map->columns[i], got[i])) continue;
        same = false;
        differs(x, s->name, "row %zu, column " STR_FMT ": " STR_FMT " in the binlog, " STR_FMT " here",
                row + 1, STR_ARG(map->columns[i].name), STR_ARG(hex(x, want[i])), STR_ARG(hex(x, got[i])));
    }
    if (same && !has_json && !str_eq(s->images[row], image->bytes))
        differs(x, s->name, "row %zu: the fields are the same, the image is not", row + 1);
}

static void compare_rows(Check *x, Conn *c, const Seen *s, const TableMap *map, RowEncoder *e)
{
    Err err = {0};
    StrBuf sql = {0};
    Stmt *stmt;
    const StmtValue *values;
    size_t row = 0;
    sb_c(&sql, "SELECT ");
    sb_str(&sql, row_encoder_select_list(e));
    sb_c(&sql, " FROM ");
    table_name_sql(map->name, &sql);
    sb_c(&sql, " ORDER BY 1");
    if (!stmt_open(c, sb_view(&sql), &stmt, &err)) die(sql.ptr, &err);
    StmtResult got;
    while ((got = stmt_next(stmt, &values, &err)) == STMT_ROW) {
        RowImage image;
        if (!row_encoder_row(e, values, &x->arena, &image, &err)) die("encode", &err);
        if (row < s->n) compare_row(x, s, row, map, &image);
        row++;
    }
    if (got == STMT_FAILED) die(sql.ptr, &err);
    if (!stmt_close(stmt)) die("close", NULL);
    if (row != s->n) differs(x, s->name, "%zu rows in the binlog, %zu in the table", s->n, row);
    x->rows += row;
    sb_done(&sql);
}

static void check_table(Check *x, Conn *c, const Seen *s)
{
    Err err = {0};
    TableSchema *schema;
    TableMap *map;
    RowEncoder *e;
    TableName name = {x->schema, s->name};
    if (!schema_read(c, name, &schema, &err)) die("schema", &err);
    if (!schema) return; /* dropped since */
    if (!schema_table_map(schema, x->flavor, &x->arena, &map, &err)) die("table map", &err);
    compare_maps(x, s->name, s->map, map);
    if (s->map->n_columns == map->n_columns) {
        if (!row_encoder_new(schema, map, x->flavor, &e, &err)) die("encoder", &err);
        compare_rows(x, c, s, map, e);
        row_encoder_free(e);
    }
    x->tables++;
    schema_free(schema);
}

int main(int argc, char **argv)
{
    if (argc < 7) {
        fprintf(stderr, "image_check FLAVOR SOCKET USER PASSWORD SCHEMA BINLOG…\n");
        return 2;
    }
    Check *x = mem_zalloc(sizeof *x);
    Err err = {0};
    Conn *c;
    x->flavor = str_eqc(str_of(argv[1]), "mysql") ? FLAVOR_MYSQL : FLAVOR_MARIADB;
    x->schema = str_of(argv[5]);
    for (int i = 6; i < argc; i++)
        read_binlog(x, argv[i]);
    conn_library_init();
    ConnOpts opts = {.role = "server", .socket = argv[2], .user = argv[3], .password = argv[4]};
    if (!conn_open(&opts, &c, &err)) die("connect", &err);
    if (!conn_execf(c, &err, "SET time_zone = '+00:00', character_set_results = NULL, sql_mode = ''"))
        die("session", &err);
    for (size_t i = 0; i < x->n_seen; i++)
        check_table(x, c, &x->seen[i]);
    conn_close(c);
    conn_library_end();
    printf("%lu tables, %lu rows, %lu differences\n", x->tables, x->rows, x->differences);
    return x->differences || !x->rows ? 1 : 0;
}
