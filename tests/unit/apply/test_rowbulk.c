#include "apply/rowbulk.h"
#include "shards.h"
#include "unit.h"

static const Row a1 = {"a", 1, -10}, b_null = {"it's", NO_U, 20};

START_TEST(statement_and_types)
{
    Shards *s = shards_new(false);
    RowBulk r = {0};
    StrBuf sql = {0};
    ck_assert(rowbulk_plan(&r, s->w->binding));
    ck_assert_uint_eq(r.n, 3);
    ck_assert_int_eq(r.types[0], BULK_TEXT);
    ck_assert_int_eq(r.types[1], BULK_INT);
    ck_assert_int_eq(r.types[2], BULK_INT);
    rowbulk_sql(s->w->target, s->w->binding->full_shape, &sql);
    ck_assert_str_eq(sql.ptr, "INSERT INTO `db`.`merged`(`k`,`u`,`v`)VALUES(?,?,?)");
    sb_done(&sql);
    rowbulk_done(&r);
    shards_free(s);
}
END_TEST

/* Text with its length and no escapes, numbers of eight bytes, NULL by its indicator. */
START_TEST(values_of_rows)
{
    static const char want[] = "\0\1a"
                               "\0\1\0\0\0\0\0\0\0"
                               "\0\xf6\xff\xff\xff\xff\xff\xff\xff"
                               "\0\4it's"
                               "\1"
                               "\0\x14\0\0\0\0\0\0\0";
    Shards *s = shards_new(false);
    Arena arena = {0};
    RowBulk r = {0};
    StrBuf out = {0};
    Err err = {0};
    ck_assert(rowbulk_plan(&r, s->w->binding));
    RowImage first = row_image(&arena, &a1, 7), second = row_image(&arena, &b_null, 7);
    ck_assert_msg(rowbulk_add(&out, &r, &first, &err), "%s", err.message);
    ck_assert_msg(rowbulk_add(&out, &r, &second, &err), "%s", err.message);
    ck_assert_uint_eq(out.len, sizeof want - 1);
    ck_assert_mem_eq(out.ptr, want, sizeof want - 1);
    sb_done(&out);
    rowbulk_done(&r);
    arena_done(&arena);
    shards_free(s);
}
END_TEST

/* What the server would have to convert, and what is on record as SQL, stays with the text. */
START_TEST(some_columns_need_text)
{
    static const struct {
        ColumnCodec codec;
        bool takes;
        BulkType type;
    } cases[] = {
        {{.type = COLTYPE_VARCHAR, .text = TEXT_OTHER}, false, 0},
        {{.type = COLTYPE_VARCHAR, .text = TEXT_LITERAL}, false, 0},
        {{.type = COLTYPE_STRING, .text = TEXT_UUID}, false, 0},
        {{.type = COLTYPE_BLOB, .text = TEXT_UTF8, .json = JSON_DECIMALS}, false, 0},
        {{.type = COLTYPE_JSON}, false, 0},
        {{.type = COLTYPE_GEOMETRY, .text = TEXT_BINARY}, false, 0},
        {{.type = COLTYPE_BLOB, .text = TEXT_BINARY}, true, BULK_BYTES},
        {{.type = COLTYPE_ENUM}, true, BULK_UINT},
        {{.type = COLTYPE_BIT}, true, BULK_UINT},
        {{.type = COLTYPE_LONGLONG, .is_unsigned = true}, true, BULK_UINT},
        {{.type = COLTYPE_FLOAT}, true, BULK_DOUBLE},
        {{.type = COLTYPE_NEWDECIMAL}, true, BULK_DECIMAL},
        {{.type = COLTYPE_DATETIME2}, true, BULK_TEXT},
    };
    Shards *s = shards_new(false);
    RowBulk r = {0};
    BoundColumn *column = &s->w->binding->columns[2];
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        column->codec = cases[i].codec;
        ck_assert_msg(rowbulk_plan(&r, s->w->binding) == cases[i].takes, "case %zu", i);
        if (cases[i].takes) ck_assert_int_eq(r.types[2], cases[i].type);
    }
    rowbulk_done(&r);
    shards_free(s);
}
END_TEST

/* The error value of an ENUM must not become a member, nor '' of a text. */
START_TEST(enum_error_is_refused)
{
    Shards *s = shards_new(false);
    Arena arena = {0};
    RowBulk r = {0};
    StrBuf out = {0};
    Err err = {0};
    static const Row zero = {"z", NO_U, 0};
    s->w->binding->columns[2].codec = (ColumnCodec){.type = COLTYPE_ENUM};
    ck_assert(rowbulk_plan(&r, s->w->binding));
    RowImage image = row_image(&arena, &zero, 7);
    ck_assert(!rowbulk_add(&out, &r, &image, &err));
    ck_assert_int_eq(err.code, ERR_DECODE_VALUE);
    err_clear(&err);
    sb_done(&out);
    rowbulk_done(&r);
    arena_done(&arena);
    shards_free(s);
}
END_TEST

static Suite *rowbulk_suite(void)
{
    Suite *s = suite_create("apply/rowbulk");
    TCase *t = tcase_create("rowbulk");
    tcase_add_test(t, statement_and_types);
    tcase_add_test(t, values_of_rows);
    tcase_add_test(t, some_columns_need_text);
    tcase_add_test(t, enum_error_is_refused);
    suite_add_tcase(s, t);
    return s;
}
UNIT_MAIN(rowbulk_suite)
