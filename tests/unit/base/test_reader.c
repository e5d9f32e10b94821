#include "base/reader.h"
#include "base/varint.h"
#include "random.h"
#include "unit.h"

START_TEST(reads_what_is_there)
{
    Reader r =
        reader_of(STR("\x01\x02\x03\x04\x05\x06\x07\x08\x09\x01\x02\x03\xff\xff\xff\xff\xff\xff\xff\xff"
                      "ab"));
    ck_assert_uint_eq(reader_u8(&r), 1);
    ck_assert_uint_eq(reader_u16(&r), 0x0302);
    ck_assert_uint_eq(reader_u32(&r), 0x07060504);
    ck_assert_uint_eq(reader_uint_be(&r, 2), 0x0809);
    ck_assert_uint_eq(reader_uint(&r, 3), 0x030201);
    ck_assert_uint_eq(reader_u64(&r), UINT64_MAX);
    ck_assert(str_eqc(reader_str(&r, 2), "ab"));
    ck_assert_uint_eq(reader_left(&r), 0);
    ck_assert(str_eqc(reader_str(&r, 0), ""));
    ck_assert(reader_ok(&r));
}
END_TEST

/* Past the end: zeros, failed for good, and no byte more is read. */
START_TEST(stops_at_the_end)
{
    for (unsigned n = 1; n <= 8; n++) {
        Reader r = reader_of(str_make("\x01\x02\x03\x04\x05\x06\x07", n - 1));
        ck_assert_uint_eq(reader_uint(&r, n), 0);
        ck_assert(!reader_ok(&r));
        ck_assert_uint_eq(reader_left(&r), 0);
        ck_assert_uint_eq(reader_u8(&r), 0);
        r = reader_of(str_make("\x01\x02\x03\x04\x05\x06\x07", n - 1));
        ck_assert_uint_eq(reader_uint_be(&r, n), 0);
        ck_assert(!reader_ok(&r));
    }
    Reader r = reader_of((Str){0});
    ck_assert_ptr_null(reader_bytes(&r, 1));
    r = reader_of(STR("abc"));
    ck_assert_ptr_null(reader_bytes(&r, SIZE_MAX));
    ck_assert(!reader_ok(&r));
    r = reader_of(STR("abc"));
    ck_assert_uint_eq(reader_str(&r, 4).len, 0);
    ck_assert(!reader_ok(&r));
}
END_TEST

static const struct {
    Str bytes;
    uint64_t value;
    bool ok;
} lenencs[] = {
    {{"\x00", 1}, 0, true},
    {{"\xfa", 1}, 250, true},
    {{"\xfb", 1}, 0, false}, /* NULL */
    {{"\xfc\xfb\x00", 3}, 251, true},
    {{"\xfd\x01\x02\x03", 4}, 0x030201, true},
    {{"\xfe\xff\xff\xff\xff\xff\xff\xff\xff", 9}, UINT64_MAX, true},
    {{"\xff", 1}, 0, false},
    {{"\xfc\x01", 2}, 0, false},
    {{"\xfe\x01\x02\x03", 4}, 0, false},
    {{"", 0}, 0, false},
};

START_TEST(length_encoded)
{
    Reader r = reader_of(lenencs[_i].bytes);
    uint64_t v = reader_lenenc(&r);
    ck_assert_int_eq(reader_ok(&r), lenencs[_i].ok);
    if (lenencs[_i].ok) ck_assert_uint_eq(v, lenencs[_i].value);
}
END_TEST

START_TEST(varints_come_back)
{
    Random rnd = {5};
    StrBuf b = {0};
    for (int i = 0; i < 20000; i++) {
        uint64_t v = i < 128 ? (UINT64_MAX >> i % 64) + (uint64_t)(i / 64)
                             : random_next(&rnd) >> random_below(&rnd, 64);
        sb_clear(&b);
        sb_varint(&b, v);
        Reader r = reader_of(sb_view(&b));
        ck_assert_uint_eq(reader_varint(&r), v);
        ck_assert(reader_ok(&r) && reader_left(&r) == 0);
        for (size_t cut = 0; cut < b.len; cut++) {
            r = reader_of(str_make(b.ptr, cut));
            (void)reader_varint(&r);
            ck_assert(!reader_ok(&r));
        }
    }
    sb_done(&b);
}
END_TEST

/* What does not fit 64 bits is not cut in silence. */
START_TEST(varints_too_large)
{
    Reader r = reader_of(STR("\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"));
    ck_assert_uint_eq(reader_varint(&r), UINT64_MAX);
    ck_assert(reader_ok(&r));
    r = reader_of(STR("\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02"));
    ck_assert_uint_eq(reader_varint(&r), 0);
    ck_assert(!reader_ok(&r));
    r = reader_of(STR("\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"));
    ck_assert_uint_eq(reader_varint(&r), 0);
    ck_assert(!reader_ok(&r));
}
END_TEST

static Suite *reader_suite(void)
{
    Suite *s = suite_create("base/reader, varint");
    TCase *t = tcase_create("reader");
    tcase_add_test(t, reads_what_is_there);
    tcase_add_test(t, stops_at_the_end);
    tcase_add_loop_test(t, length_encoded, 0, ARRAY_LEN(lenencs));
    tcase_add_test(t, varints_come_back);
    tcase_add_test(t, varints_too_large);
    suite_add_tcase(s, t);
    return s;
}
UNIT_MAIN(reader_suite)
