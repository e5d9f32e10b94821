/* JSON text for a server with a JSON type: numbers that only a DECIMAL holds. */
#include "unit.h"
#include "decode/json_sql.h"

typedef struct Case {
    const char *text;
    const char *decimals; /* SQL for JSON_DECIMALS; NULL: the quoted text */
    bool refused;         /* with JSON_DOUBLES */
} Case;

static const Case cases[] = {
    {"1.1", NULL, false},
    {"1.0", NULL, false},
    {"-0.0", NULL, false},
    {"0.1", NULL, false},
    {"1e100", NULL, false},
    {"1.2345678901234568e29", NULL, false},
    {"18446744073709551615", NULL, false},
    {"-9223372036854775808", NULL, false},
    {"\"1.10\"", NULL, false},
    {"\"a\\\"1.10\"", NULL, false},
    {"", NULL, false},
    {"{\"1.10\": \"2.20\"}", NULL, false},
    {"[1.5, 0.25, 100000.0]", NULL, false},
    {"1.10", "CAST(1.10 AS JSON)", false},
    {"-5.000", "CAST(-5.000 AS JSON)", false},
    {"18446744073709551616", "CAST(18446744073709551616 AS JSON)", true},
    {"-9223372036854775809", "CAST(-9223372036854775809 AS JSON)", true},
    {"0.1234567890123456789", "CAST(0.1234567890123456789 AS JSON)", true},
    {"[1.10]", "JSON_ARRAY(1.10)", false},
    {"[1.10, \"it's\", null, true, 1.5, {}]",
     "JSON_ARRAY(1.10,CAST('\"it\\'s\"' AS JSON),CAST('null' AS JSON),CAST('true' AS JSON),CAST('1.5' AS "
     "JSON),CAST('{}' AS JSON))",
     false},
    {"{\"a\\\"b\": {\"c\": [2.50, [1.5]]}, \"d\": [1]}",
     "JSON_OBJECT(JSON_UNQUOTE('\"a\\\\\"b\"'),JSON_OBJECT(JSON_UNQUOTE('\"c\"'),JSON_ARRAY(2.50,CAST('[1.5]'"
     " AS "
     "JSON))),JSON_UNQUOTE('\"d\"'),CAST('[1]' AS JSON))",
     false},
    {"[ 1.10 , [] ]", "JSON_ARRAY(1.10,CAST('[]' AS JSON))", false},
    /* no JSON: the server is to say so */
    {"[1.10", NULL, false},
    {"[1.10 2]", NULL, false},
    {"{\"a\" 1.10}", NULL, false},
    {"{1.10}", NULL, false},
    {"[1.10,", NULL, false},
    {"\"1.10", NULL, false},
};

static void quoted(const char *text, StrBuf *out)
{
    sb_clear(out);
    sb_quoted(out, str_of(text));
}

START_TEST(numbers_keep_their_digits)
{
    const Case *c = &cases[_i];
    StrBuf out = {0}, want = {0};
    Err err = {0};
    quoted(c->text, &want);
    ck_assert(json_sql(str_of(c->text), JSON_TEXT, &out, &err));
    ck_assert_str_eq(out.ptr, want.ptr);
    sb_clear(&out);
    ck_assert(json_sql(str_of(c->text), JSON_DECIMALS, &out, &err));
    ck_assert_str_eq(out.ptr, c->decimals ? c->decimals : want.ptr);
    sb_clear(&out);
    bool ok = json_sql(str_of(c->text), JSON_DOUBLES, &out, &err);
    ck_assert_msg(ok == !c->refused, "%s", c->text);
    if (ok) {
        ck_assert_str_eq(out.ptr, want.ptr);
    } else {
        ck_assert_int_eq(err.code, ERR_DECODE_VALUE);
        ck_assert_msg(!strstr(err.message, c->text), "the message shows the value");
        err_clear(&err);
    }
    sb_done(&out);
    sb_done(&want);
}
END_TEST

/* A deep document costs no more than its depth. */
START_TEST(depth)
{
    StrBuf text = {0}, out = {0};
    Err err = {0};
    for (int i = 0; i < 100; i++)
        sb_ch(&text, '[');
    sb_c(&text, "1.10");
    for (int i = 0; i < 100; i++)
        sb_ch(&text, ']');
    ck_assert(json_sql(sb_view(&text), JSON_DECIMALS, &out, &err));
    ck_assert(str_starts(sb_view(&out), STR("JSON_ARRAY(JSON_ARRAY(")));
    sb_clear(&text);
    sb_clear(&out);
    for (int i = 0; i < 100000; i++)
        sb_ch(&text, '[');
    sb_c(&text, "1.10");
    ck_assert(json_sql(sb_view(&text), JSON_DECIMALS, &out, &err));
    ck_assert_int_eq(out.ptr[0], '\'');
    sb_done(&text);
    sb_done(&out);
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("decode/json_sql");
    TCase *t = tcase_create("json_sql");
    tcase_add_loop_test(t, numbers_keep_their_digits, 0, (int)ARRAY_LEN(cases));
    tcase_add_test(t, depth);
    suite_add_tcase(s, t);
    return s;
}
UNIT_MAIN(suite)
