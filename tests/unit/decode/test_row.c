/* Row images: bytes made by hand, and the guards of the walk. */
#include "unit.h"
#include "bytes.h"
#include "decode/row.h"

/* id INT, v VARCHAR(10), w VARCHAR(300), b BLOB, d DECIMAL(5,2), t TIME2(3), c CHAR(4), e ENUM, s SET(9), x
 * BIT(9) */
static MapColumn columns[] = {
    {.type = COLTYPE_LONG},
    {.type = COLTYPE_VARCHAR, .meta = 10},
    {.type = COLTYPE_VARCHAR, .meta = 300},
    {.type = COLTYPE_BLOB, .meta = 2},
    {.type = COLTYPE_NEWDECIMAL, .meta = 0x0502},
    {.type = COLTYPE_TIME2, .meta = 3},
    {.type = COLTYPE_STRING, .meta = 4},
    {.type = COLTYPE_ENUM, .meta = 1},
    {.type = COLTYPE_SET, .meta = 2},
    {.type = COLTYPE_BIT, .meta = 0x0101},
};
enum { N = ARRAY_LEN(columns) };
static const TableMap map = {.name = {{"s", 1}, {"t", 1}}, .n_columns = N, .columns = columns};
static const uint8_t all[] = {0xff, 0xff}; /* bits beyond the columns are noise */

static const char full_row[] = "0000 01000000 02'ab' 0300'xyz' 0100'q' 807b2d 8000000000 01'c' 01 0100 01ff";

START_TEST(full)
{
    static const uint32_t lengths[N] = {4, 2, 3, 1, 3, 5, 1, 1, 2, 2};
    Str b = bytes_of(full_row), image;
    Reader r = reader_of(b);
    Field f[N], again[N];
    Err err = {0};
    ck_assert(row_present_full(&map, all));
    ck_assert(row_image_split(&map, all, &r, &image, f, &err));
    ck_assert(image.ptr == b.ptr && image.len == b.len && reader_left(&r) == 0);
    for (unsigned i = 0; i < N; i++)
        ck_assert(f[i].state == FIELD_VALUE && f[i].len == lengths[i]);
    ck_assert(memcmp(f[1].ptr, "ab", 2) == 0 && memcmp(f[2].ptr, "xyz", 3) == 0 && f[3].ptr[0] == 'q' &&
              f[6].ptr[0] == 'c');
    row_fields(&map, all, image, again);
    ck_assert(memcmp(f, again, sizeof f) == 0);
    Reader r2 = reader_of(b);
    ck_assert(row_image_split(&map, all, &r2, &image, NULL, &err));
    ck_assert(image.len == b.len);
    bytes_free(b);
}
END_TEST

/* Two images behind each other, with absent columns and NULLs: bits of the null bitmap count present columns.
 */
START_TEST(minimal)
{
    static const uint8_t present[] = {0x91, 0x02}; /* columns 0, 4, 7, 9 */
    Str b = bytes_of("0a 07000000 02  00 08000000 7f84d2 01 0100"), image;
    Reader r = reader_of(b);
    Field f[N];
    Err err = {0};
    ck_assert(!row_present_full(&map, present));
    ck_assert(row_image_split(&map, present, &r, &image, f, &err));
    ck_assert_uint_eq(image.len, 6);
    ck_assert(f[0].state == FIELD_VALUE && f[0].ptr[0] == 7);
    ck_assert(f[4].state == FIELD_NULL && f[7].state == FIELD_VALUE && f[7].ptr[0] == 2 &&
              f[9].state == FIELD_NULL);
    for (unsigned i = 0; i < N; i++)
        if (i != 0 && i != 4 && i != 7 && i != 9) ck_assert(f[i].state == FIELD_ABSENT);
    ck_assert(row_image_split(&map, present, &r, &image, f, &err));
    ck_assert(f[4].state == FIELD_VALUE && f[4].len == 3 && f[9].len == 2 && reader_left(&r) == 0);
    static const uint32_t some[] = {0, 3, 9};
    Field g[3];
    row_fields_some(&map, present, image, some, 3, g);
    ck_assert(g[0].ptr[0] == 8 && g[1].state == FIELD_ABSENT && g[2].ptr == f[9].ptr);
    row_fields_some(&map, present, image, some, 1, g); /* stops behind the last */
    row_fields_some(&map, present, image, some, 0, g);
    bytes_free(b);
}
END_TEST

/* No column present: an image of no bytes. */
START_TEST(nothing_present)
{
    static const uint8_t none[] = {0, 0xfc};
    Reader r = reader_of(STR(""));
    Str image;
    Field f[N];
    Err err = {0};
    ck_assert(row_image_split(&map, none, &r, &image, f, &err));
    ck_assert_uint_eq(image.len, 0);
    for (unsigned i = 0; i < N; i++)
        ck_assert(f[i].state == FIELD_ABSENT);
}
END_TEST

START_TEST(cut_everywhere)
{
    Str b = bytes_of(full_row);
    for (size_t n = 0; n < b.len; n++) {
        char *copy = mem_alloc(n);
        memcpy(copy, b.ptr, n);
        for (int with = 0; with < 2; with++) {
            Reader r = reader_of(str_make(copy, n));
            Str image;
            Field f[N];
            Err err = {0};
            ck_assert_msg(!row_image_split(&map, all, &r, &image, with ? f : NULL, &err), "%zu bytes", n);
            ck_assert_int_eq(err.code, ERR_CORRUPT);
            ck_assert(strstr(err.message, "s.t") != NULL);
            err_clear(&err);
        }
        free(copy);
    }
    bytes_free(b);
}
END_TEST

/* Types of all codes over few bytes: never a read behind the end. */
START_TEST(any_type)
{
    static const uint8_t one[] = {1};
    MapColumn c = {.type = (uint8_t)_i};
    TableMap m = {.n_columns = 1, .columns = &c};
    for (unsigned meta = 0; meta < 5; meta++) {
        for (size_t n = 0; n < 12; n++) {
            char *p = mem_alloc(n);
            memset(p, 0, n);
            if (n > 1) p[1] = (char)(n * 3);
            c.meta = (uint16_t)(c.type == COLTYPE_NEWDECIMAL ? meta << 8 : meta * 100);
            if (c.type >= COLTYPE_JSON || c.type == COLTYPE_BLOB_COMPRESSED || c.type == COLTYPE_VECTOR)
                c.meta = (uint16_t)meta;
            Reader r = reader_of(str_make(p, n));
            Str image;
            Field f;
            Err err = {0};
            if (row_image_split(&m, one, &r, &image, &f, &err)) {
                ck_assert_uint_le(image.len, n);
                ck_assert(f.ptr + f.len <= (const uint8_t *)p + n);
            } else {
                ck_assert(err_is_set(&err));
                err_clear(&err);
            }
            free(p);
        }
    }
}
END_TEST

START_TEST(wide_table)
{
    enum { WIDE = 203 };
    static MapColumn many[WIDE];
    uint8_t present[26], bytes[26 + WIDE];
    TableMap m = {.n_columns = WIDE, .columns = many};
    Field f[WIDE];
    for (unsigned i = 0; i < WIDE; i++)
        many[i].type = COLTYPE_TINY;
    memset(present, 0xff, sizeof present);
    ck_assert(row_present_full(&m, present));
    present[3] = 0x7f; /* without column 31: 202 columns, 26 bytes of null bits */
    ck_assert(!row_present_full(&m, present));
    memset(bytes, 0, 26);
    bytes[25] = 2; /* the last present column is NULL */
    for (unsigned i = 0; i < WIDE; i++)
        bytes[26 + i] = (uint8_t)i;
    Reader r = reader_of(str_make(bytes, 26 + 201));
    Str image;
    Err err = {0};
    ck_assert(row_image_split(&m, present, &r, &image, f, &err));
    ck_assert(reader_left(&r) == 0 && f[31].state == FIELD_ABSENT && f[202].state == FIELD_NULL);
    ck_assert(f[30].ptr[0] == 30 && f[32].ptr[0] == 31 && f[201].ptr[0] == 200);
}
END_TEST

START_TEST(broken_image_is_a_mistake)
{
    Field f[N];
    row_fields(&map, all, STR("\0\0\1"), f);
}
END_TEST

static Suite *row_suite(void)
{
    Suite *s = suite_create("decode/row");
    TCase *t = tcase_create("images");
    tcase_add_test(t, full);
    tcase_add_test(t, minimal);
    tcase_add_test(t, nothing_present);
    tcase_add_test(t, cut_everywhere);
    tcase_add_loop_test(t, any_type, 0, 256);
    tcase_add_test(t, wide_table);
    tcase_add_test_raise_signal(t, broken_image_is_a_mistake, 6);
    suite_add_tcase(s, t);
    return s;
}

UNIT_MAIN(row_suite)
