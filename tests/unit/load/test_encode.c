/* Rows that servers logged, taken apart into what a SELECT would send and encoded again: the same bytes. And
 * values that are none of their column's. */
#include "unit.h"
#include <stdio.h>
#include "decode/bytes.h"
#include "decode/fixture.h"
#include "decode/event.h"
#include "decode/row.h"
#include "decode/value.h"
#include "load/encode.h"
#include "model/charset.h"

enum { MAGIC = 4, MAX_COLUMNS = 64, MAX_MAPS = 64 };

typedef struct Replay {
    Arena arena;
    const char *name;
    Flavor flavor;
    FormatDescription fmt;
    TableMap maps[MAX_MAPS];
    uint32_t n_maps;
    unsigned rows;
} Replay;

static void number_at(const char **p, uint32_t *out)
{
    *out = 0;
    while (**p >= '0' && **p <= '9')
        *out = *out * 10 + (uint32_t)(*(*p)++ - '0');
    if (**p == '-' || **p == ':' || **p == ' ') (*p)++;
}

/* The parts of a temporal's text. */
static StmtTime time_of(const char *text, bool has_date, bool has_clock)
{
    StmtTime t = {0};
    const char *p = text;
    if (*p == '-' && !has_date) t.negative = true, p++;
    if (has_date) {
        number_at(&p, &t.year);
        number_at(&p, &t.month);
        number_at(&p, &t.day);
    }
    if (has_clock) {
        number_at(&p, &t.hour);
        number_at(&p, &t.minute);
        number_at(&p, &t.second);
    }
    if (*p == '.') {
        uint32_t unit = 100000;
        for (p++; *p; p++, unit /= 10)
            t.microsecond += (uint32_t)(*p - '0') * unit;
    }
    if (!has_date) t.day = t.hour / 24, t.hour %= 24;
    return t;
}

/* What a SELECT would send for the field. */
static StmtValue sent(Replay *x, const MapColumn *m, Field f)
{
    if (f.state == FIELD_NULL) return (StmtValue){.kind = STMT_NULL};
    StrBuf text = {0};
    Err err = {0};
    ColumnCodec codec = {.type = m->type, .meta = m->meta, .is_unsigned = m->is_unsigned, .text = TEXT_UTF8};
    ck_assert_msg(value_text(&text, &codec, f, &err), "%s: %s", x->name, err.message);
    Str plain = arena_str(&x->arena, sb_view(&text));
    sb_done(&text);
    StmtValue v = {.kind = STMT_BYTES};
    switch (m->type) {
    case COLTYPE_TINY:
    case COLTYPE_SHORT:
    case COLTYPE_INT24:
    case COLTYPE_LONG:
    case COLTYPE_LONGLONG:
    case COLTYPE_YEAR: v.kind = STMT_INT, v.i = value_int(&codec, f); break;
    case COLTYPE_ENUM:
    case COLTYPE_SET: v.kind = STMT_INT, v.i = 0, memcpy(&v.i, f.ptr, f.len); break;
    case COLTYPE_FLOAT: v.kind = STMT_FLOAT, memcpy(&v.f, f.ptr, 4); break;
    case COLTYPE_DOUBLE: v.kind = STMT_DOUBLE, memcpy(&v.d, f.ptr, 8); break;
    case COLTYPE_DATE:
    case COLTYPE_NEWDATE: v.kind = STMT_TIME, v.t = time_of(plain.ptr, true, false); break;
    case COLTYPE_DATETIME:
    case COLTYPE_DATETIME2:
    case COLTYPE_TIMESTAMP:
    case COLTYPE_TIMESTAMP2: v.kind = STMT_TIME, v.t = time_of(plain.ptr, true, true); break;
    case COLTYPE_TIME:
    case COLTYPE_TIME2: v.kind = STMT_TIME, v.t = time_of(plain.ptr, false, true); break;
    case COLTYPE_NEWDECIMAL: v.bytes = plain; break;
    case COLTYPE_STRING:
        v.bytes = str_make(f.ptr, f.len);
        if (m->collation != COLLATION_ID_BINARY) break;
        char *padded = arena_zalloc(&x->arena, m->meta + 1u);
        memcpy(padded, f.ptr, f.len);
        v.bytes = str_make(padded, m->meta);
        break;
    default: v.bytes = str_make(f.ptr, f.len); break;
    }
    return v;
}

/* Bytes that only servers' own noise could tell apart: -0 of DECIMAL. */
static void same_image(const Replay *x, Str want, Str got)
{
    StrBuf a CLEANUP(sb_done) = {0}, b CLEANUP(sb_done) = {0};
    sb_hex(&a, want.ptr, want.len);
    sb_hex(&b, got.ptr, got.len);
    ck_assert_msg(str_eq(want, got), "%s row %u: logged %s, encoded %s", x->name, x->rows, a.ptr, b.ptr);
}

static void encode_rows(Replay *x, const TableMap *map, const RowsEvent *rows)
{
    Err err = {0};
    RowEncoder *e;
    ColumnDef defs[MAX_COLUMNS] = {0};
    TableSchema schema = {.columns = defs, .n_columns = map->n_columns};
    Field fields[MAX_COLUMNS];
    StmtValue values[MAX_COLUMNS];
    Str image;
    const uint8_t *present = (const uint8_t *)rows->present_before.ptr;
    if (!row_present_full(map, present)) return;
    ck_assert_uint_le(map->n_columns, MAX_COLUMNS);
    ck_assert_msg(row_encoder_new(&schema, map, x->flavor, &e, &err), "%s: %s", x->name, err.message);
    for (Reader r = reader_of(rows->rows); reader_left(&r);) {
        RowImage got;
        ck_assert(row_image_split(map, present, &r, &image, fields, &err));
        for (uint32_t i = 0; i < map->n_columns; i++)
            values[i] = sent(x, &map->columns[i], fields[i]);
        ck_assert_msg(row_encoder_row(e, values, &x->arena, &got, &err), "%s: %s", x->name, err.message);
        x->rows++;
        same_image(x, image, got.bytes);
        ck_assert(got.full && row_present_full(map, got.present));
    }
    row_encoder_free(e);
}

static bool has_json(const TableMap *map)
{
    for (uint32_t i = 0; i < map->n_columns; i++)
        if (map->columns[i].type == COLTYPE_JSON) return true;
    return false;
}

static void replay_event(Replay *x, Str event, bool first)
{
    Err err = {0};
    EventHeader h;
    Str body;
    RowsEvent rows;
    if (first) ck_assert(event_format_description(event, &x->arena, &x->fmt, &err));
    ck_assert(event_split(event, x->fmt.checksum_crc32, &h, &body, &err));
    if (h.type == EVENT_TABLE_MAP) {
        ck_assert_uint_lt(x->n_maps, MAX_MAPS);
        ck_assert(event_table_map(&x->fmt, body, &x->arena, &x->maps[x->n_maps++], &err));
    } else if (h.type == EVENT_WRITE_ROWS_V1 || h.type == EVENT_WRITE_ROWS_V2) {
        ck_assert(event_rows(&h, &x->fmt, body, &rows, &err));
        const TableMap *map = NULL;
        for (uint32_t i = 0; i < x->n_maps; i++)
            if (x->maps[i].table_id == rows.table_id) map = &x->maps[i];
        if (map && map->has_names && !has_json(map)) encode_rows(x, map, &rows);
    }
}

static const char *const names[] = {"bits",   "charsets", "decimals", "enums",    "floats",
                                    "images", "integers", "strings",  "temporals"};

static void replay(const char *flavor, const char *name)
{
    Replay *x = mem_zalloc(sizeof *x);
    StrBuf file_name CLEANUP(sb_done) = {0};
    sb_printf(&file_name, "%s_%s", flavor, name);
    x->name = file_name.ptr;
    x->flavor = strcmp(flavor, "mysql") == 0 ? FLAVOR_MYSQL : FLAVOR_MARIADB;
    StrBuf file CLEANUP(sb_done) = fixture_read(file_name.ptr, ".binlog");
    for (size_t at = MAGIC; at < file.len;) {
        uint32_t size;
        memcpy(&size, file.ptr + at + 9, sizeof size);
        replay_event(x, str_make(file.ptr + at, size), at == MAGIC);
        at += size;
    }
    ck_assert_msg(x->rows >= 2, "%s: %u rows", x->name, x->rows);
    arena_done(&x->arena);
    free(x);
}

START_TEST(logged_rows)
{
    replay(_i % 2 ? "mysql" : "mariadb", names[_i / 2]);
}
END_TEST

START_TEST(old_temporals)
{
    replay("mariadb", "old_temporals");
}
END_TEST

/* -- values that are none -- */

static MapColumn columns[] = {
    {.type = COLTYPE_LONG, .name = {"id", 2}},
    {.type = COLTYPE_VARCHAR, .meta = 3, .name = {"v", 1}, .nullable = true},
    {.type = COLTYPE_YEAR, .name = {"y", 1}, .nullable = true},
    {.type = COLTYPE_BIT, .meta = 0x0101, .name = {"b`t", 3}, .nullable = true},
    {.type = COLTYPE_ENUM, .meta = 1, .name = {"e", 1}, .nullable = true},
    {.type = COLTYPE_STRING, .meta = 4, .collation = COLLATION_ID_BINARY, .name = {"x", 1}, .nullable = true},
    {.type = COLTYPE_BLOB, .meta = 1, .name = {"t", 1}, .nullable = true},
    {.type = COLTYPE_TIMESTAMP2, .name = {"ts", 2}, .nullable = true},
};
enum { N = ARRAY_LEN(columns) };
static TableMap map = {.name = {{"s", 1}, {"t", 1}}, .n_columns = N, .columns = columns, .has_names = true};
static ColumnDef defs[N];
static const TableSchema schema = {.columns = defs, .n_columns = N};

static RowEncoder *encoder(Flavor flavor)
{
    Err err = {0};
    RowEncoder *e;
    ck_assert_msg(row_encoder_new(&schema, &map, flavor, &e, &err), "%s", err.message);
    return e;
}

#define INTEGER(n)                                                                                           \
    {                                                                                                        \
        .kind = STMT_INT, .i = (n)                                                                           \
    }
#define BYTES(s)                                                                                             \
    {                                                                                                        \
        .kind = STMT_BYTES, .bytes = {(s), sizeof(s) - 1 }                                                   \
    }
static const StmtValue nil = {.kind = STMT_NULL};

START_TEST(select_list)
{
    RowEncoder *e = encoder(FLAVOR_MYSQL);
    ck_assert(str_eqc(row_encoder_select_list(e), "`id`,`v`,`y`,`b``t`,CAST(`e` AS UNSIGNED),`x`,`t`,`ts`"));
    row_encoder_free(e);
}
END_TEST

START_TEST(one_row)
{
    static const StmtValue row[N] = {INTEGER(-2), BYTES("ab"),     INTEGER(2024), BYTES("\1\2"),
                                     INTEGER(0),  BYTES("a\0b\0"), BYTES(""),     {.kind = STMT_NULL}};
    Arena arena = {0};
    Err err = {0};
    RowImage got;
    RowEncoder *e = encoder(_i ? FLAVOR_MYSQL : FLAVOR_MARIADB);
    ck_assert_msg(row_encoder_row(e, row, &arena, &got, &err), "%s", err.message);
    Str want = bytes_of("80 feffffff 02'ab' 7c 0102 00 03'a'00'b' 00");
    ck_assert(str_eq(got.bytes, want));
    bytes_free(want);
    row_encoder_free(e);
    arena_done(&arena);
}
END_TEST

/* Eight columns leave no unused bits; five do. */
START_TEST(unused_null_bits)
{
    StmtValue row[5] = {INTEGER(1), nil, nil, nil, nil};
    TableMap five = map;
    TableSchema five_columns = schema;
    Arena arena = {0};
    Err err = {0};
    RowImage got;
    RowEncoder *e;
    five.n_columns = five_columns.n_columns = 5;
    ck_assert(row_encoder_new(&five_columns, &five, _i ? FLAVOR_MYSQL : FLAVOR_MARIADB, &e, &err));
    ck_assert(row_encoder_row(e, row, &arena, &got, &err));
    ck_assert_uint_eq(got.bytes.len, 5);
    ck_assert_uint_eq((uint8_t)got.bytes.ptr[0], _i ? 0x1e : 0xfe);
    row_encoder_free(e);
    arena_done(&arena);
}
END_TEST

static const struct {
    unsigned column;
    StmtValue value;
} wrong[] = {
    {0, {.kind = STMT_NULL}},
    {0, BYTES("1")},
    {0, {.kind = STMT_DOUBLE}},
    {1, BYTES("abcd")},
    {1, INTEGER(1)},
    {2, INTEGER(1900)},
    {2, INTEGER(2156)},
    {2, INTEGER(-1)},
    {3, BYTES("\1")},
    {3, BYTES("\1\2\3")},
    {4, BYTES("a")},
    {5, BYTES("abcde")},
    {7, {.kind = STMT_TIME, .t = {.year = 1900, .month = 1, .day = 1}}},
    {7, INTEGER(5)},
};

START_TEST(wrong_values)
{
    StmtValue row[N] = {INTEGER(1), nil, nil, nil, nil, nil, nil, nil};
    Arena arena = {0};
    Err err = {0};
    RowImage got;
    RowEncoder *e = encoder(FLAVOR_MYSQL);
    ck_assert(row_encoder_row(e, row, &arena, &got, &err));
    row[wrong[_i].column] = wrong[_i].value;
    ck_assert(!row_encoder_row(e, row, &arena, &got, &err));
    ck_assert_int_eq(err.code, ERR_DECODE_VALUE);
    StrBuf name CLEANUP(sb_done) = {0};
    sb_printf(&name, "`" STR_FMT "`", STR_ARG(columns[wrong[_i].column].name));
    ck_assert_msg(strstr(err.message, name.ptr) != NULL, "%s", err.message);
    ck_assert_msg(strstr(err.message, "abcd") == NULL, "the message shows the value: %s", err.message);
    err_clear(&err);
    row_encoder_free(e);
    arena_done(&arena);
}
END_TEST

/* The longest TINYBLOB goes in, a byte more does not. */
START_TEST(longest)
{
    StmtValue row[N] = {INTEGER(1), nil, nil, nil, nil, nil, nil, nil};
    char bytes[256] = {0};
    Arena arena = {0};
    Err err = {0};
    RowImage got;
    RowEncoder *e = encoder(FLAVOR_MYSQL);
    row[6] = (StmtValue){.kind = STMT_BYTES, .bytes = {bytes, 255}};
    ck_assert(row_encoder_row(e, row, &arena, &got, &err));
    ck_assert_uint_eq(got.bytes.len, 1 + 4 + 1 + 255);
    row[6].bytes.len = 256;
    ck_assert(!row_encoder_row(e, row, &arena, &got, &err));
    err_clear(&err);
    row_encoder_free(e);
    arena_done(&arena);
}
END_TEST

START_TEST(unknown_type)
{
    MapColumn odd[] = {{.type = COLTYPE_JSON, .meta = 4, .name = {"j", 1}}};
    ColumnDef def[] = {{.column_type = {"json", 4}}};
    TableMap m = {.name = {{"s", 1}, {"t", 1}}, .n_columns = 1, .columns = odd, .has_names = true};
    TableSchema s = {.columns = def, .n_columns = 1};
    Err err = {0};
    RowEncoder *e;
    ck_assert(!row_encoder_new(&s, &m, FLAVOR_MYSQL, &e, &err));
    ck_assert_int_eq(err.code, ERR_NOT_SUPPORTED);
    ck_assert(strstr(err.message, "`j`") && e == NULL);
    err_clear(&err);
}
END_TEST

static Suite *encode_suite(void)
{
    Suite *s = suite_create("load/encode");
    TCase *t = tcase_create("rows");
    tcase_add_loop_test(t, logged_rows, 0, 2 * ARRAY_LEN(names));
    tcase_add_test(t, old_temporals);
    tcase_add_test(t, select_list);
    tcase_add_loop_test(t, one_row, 0, 2);
    tcase_add_loop_test(t, unused_null_bits, 0, 2);
    tcase_add_loop_test(t, wrong_values, 0, ARRAY_LEN(wrong));
    tcase_add_test(t, longest);
    tcase_add_test(t, unknown_type);
    suite_add_tcase(s, t);
    return s;
}

UNIT_MAIN(encode_suite)
