/* Compressed records, statements and column values, as MariaDB writes them. */
#include "unit.h"
#include "bytes.h"
#include "decode/event.h"
#include "decode/event_inflate.h"

typedef bool (*Inflate)(Str, StrBuf *, Err *);

typedef struct Case {
    Inflate fn;
    const char *bytes, *want; /* want NULL: refused */
    ErrCode code;
} Case;

START_TEST(records_and_columns)
{
    /* from a server's own events: column_compression_zlib_wrap OFF and ON */
    static const Case cases[] = {
        {column_inflate, "00 'abc'", "abc", ERR_NONE},
        {column_inflate, "", "", ERR_NONE},
        {column_inflate, "89 64 aba4 3d00 00", NULL, ERR_CORRUPT},
        {column_inflate, "89 64 aba4", NULL, ERR_CORRUPT},
        {column_inflate, "89", NULL, ERR_CORRUPT},
        {column_inflate, "88 64", NULL, ERR_CORRUPT},
        {column_inflate, "8d 64", NULL, ERR_CORRUPT},
        {column_inflate, "91 64 00", NULL, ERR_DECODE_UNSUPPORTED},
        {column_inflate, "01 64 00", NULL, ERR_DECODE_UNSUPPORTED},
        {event_inflate, "00 'abc'", NULL, ERR_CORRUPT},
        {event_inflate, "", NULL, ERR_CORRUPT},
        {event_inflate, "91 01 00", NULL, ERR_DECODE_UNSUPPORTED},
        {event_inflate, "84 ffffffff 789c", NULL, ERR_CORRUPT}, /* more than these bytes could ever make */
        {event_query_inflate, "00000000 00000000 05 0000 0000", NULL, ERR_DECODE_TRUNCATED},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        Str b = bytes_of(cases[i].bytes);
        StrBuf out = {0};
        Err err = {0};
        sb_c(&out, "kept");
        bool ok = cases[i].fn(b, &out, &err);
        ck_assert_msg(ok == (cases[i].want != NULL) && err.code == cases[i].code, "%zu: %d", i, err.code);
        ck_assert_mem_eq(out.ptr, "kept", 4);
        ck_assert_str_eq(out.ptr + 4, ok ? cases[i].want : "");
        ck_assert_uint_eq(out.len, strlen(out.ptr));
        err_clear(&err);
        sb_done(&out);
        bytes_free(b);
    }
}
END_TEST

static Suite *inflate_suite(void)
{
    Suite *s = suite_create("decode/event_inflate");
    TCase *c = tcase_create("inflate");
    tcase_add_test(c, records_and_columns);
    suite_add_tcase(s, c);
    return s;
}

UNIT_MAIN(inflate_suite)
