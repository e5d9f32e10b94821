#include "unit.h"
#include "config/value.h"

START_TEST(bools)
{
    static const char *const yes[] = {"true", "True", "TRUE", "yes", "on", "Y"};
    static const char *const no[] = {"false", "No", "off", "OFF", "n"};
    static const char *const neither[] = {"", "1", "0", "tru", "maybe", "true "};
    bool b;
    for (size_t i = 0; i < ARRAY_LEN(yes); i++)
        ck_assert_msg(value_bool(str_of(yes[i]), &b) && b, "%s", yes[i]);
    for (size_t i = 0; i < ARRAY_LEN(no); i++)
        ck_assert_msg(value_bool(str_of(no[i]), &b) && !b, "%s", no[i]);
    for (size_t i = 0; i < ARRAY_LEN(neither); i++)
        ck_assert_msg(!value_bool(str_of(neither[i]), &b), "%s", neither[i]);
}
END_TEST

typedef struct Case {
    const char *text;
    bool ok;
    uint64_t value;
} Case;

START_TEST(durations)
{
    static const Case cases[] = {
        {"0", true, 0},
        {"0s", true, 0},
        {"500ms", true, 500},
        {"5s", true, 5000},
        {"1m30s", true, 90000},
        {"5m0s", true, 300000},
        {"1.5h", true, 5400000},
        {"2h45m10s", true, 9910000},
        {"100us", true, 1},
        {".5s", true, 500},
        {"", false, 0},
        {"5", false, 0},
        {"s", false, 0},
        {"5x", false, 0},
        {"5s3", false, 0},
        {"-5s", false, 0},
        {"5 s", false, 0},
        {"99999999999999999999s", false, 0},
        {"1099511627776h1099511627776h", false, 0},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        uint64_t v = 77;
        ck_assert_msg(value_duration_ms(str_of(cases[i].text), &v) == cases[i].ok, "%s", cases[i].text);
        if (cases[i].ok) ck_assert_msg(v == cases[i].value, "%s", cases[i].text);
    }
    uint64_t v;
    ck_assert(value_seconds_ms(STR("30"), &v) && v == 30000);
    ck_assert(value_seconds_ms(STR("200ms"), &v) && v == 200);
    ck_assert(!value_seconds_ms(STR("18446744073709551615"), &v));
}
END_TEST

START_TEST(sizes)
{
    static const Case cases[] = {
        {"0", true, 0},
        {"1024", true, 1024},
        {"128MiB", true, 128u << 20},
        {"128 MiB", true, 128u << 20},
        {"64K", true, 65536},
        {"64k", true, 65536},
        {"500m", true, 500u << 20},
        {"2MB", true, 2000000},
        {"1GiB", true, 1u << 30},
        {"3b", true, 3},
        {"", false, 0},
        {"MiB", false, 0},
        {"-1", false, 0},
        {"1.5G", false, 0},
        {"12Q", false, 0},
        {"12MiBs", false, 0},
        {"12Mi", false, 0},
        {"18446744073709551615K", false, 0},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        uint64_t v = 77;
        ck_assert_msg(value_bytes(str_of(cases[i].text), &v) == cases[i].ok, "%s", cases[i].text);
        if (cases[i].ok) ck_assert_msg(v == cases[i].value, "%s", cases[i].text);
    }
}
END_TEST

static void check_base64(const char *text, const char *expected)
{
    StrBuf b = {0};
    bool ok = value_base64(str_of(text), &b);
    ck_assert_msg(ok == (expected != NULL), "%s", text);
    if (expected) ck_assert_msg(str_eqc(sb_view(&b), expected), "%s", text);
    sb_done(&b);
}

START_TEST(base64)
{
    check_base64("", "");
    check_base64("YQ==", "a");
    check_base64("YWI=", "ab");
    check_base64("YWJj", "abc");
    check_base64("YWJj\nZGVm\n", "abcdef");
    check_base64("YWJjZA==\n", "abcd");
    check_base64("YQ", NULL);
    check_base64("YQ=", NULL);
    check_base64("Y===", NULL);
    check_base64("YQ==YQ==", NULL);
    check_base64("YQ=a", NULL);
    check_base64("Y*==", NULL);
}
END_TEST

START_TEST(encrypted_passwords)
{
    /* 16 bytes, '@', 5 bytes */
    ck_assert(value_looks_encrypted(STR("MTIzNDU2Nzg5MDEyMzQ1NkBhYmNkZQ==")));
    ck_assert(!value_looks_encrypted(STR("MTIzNDU2Nzg5MDEyMzQ1NmFhYmNkZQ==")));
    ck_assert(!value_looks_encrypted(STR("secret")));
    ck_assert(!value_looks_encrypted(STR("")));
    ck_assert(!value_looks_encrypted(STR("a longer password, with blanks in it")));
}
END_TEST

START_TEST(time_zones)
{
    static const char *const good[] = {"+08:00", "-03:30",        "+0:00",     "+14:00",
                                       "UTC",    "Asia/Shanghai", "Etc/GMT+8", "America/Port-au-Prince"};
    static const char *const wrong[] = {"",      "+8",       "+15:00", "+08:61", "08:00", "Asia Shanghai",
                                        "'UTC'", "+08:00:00"};
    for (size_t i = 0; i < ARRAY_LEN(good); i++)
        ck_assert_msg(value_is_timezone(str_of(good[i])), "%s", good[i]);
    for (size_t i = 0; i < ARRAY_LEN(wrong); i++)
        ck_assert_msg(!value_is_timezone(str_of(wrong[i])), "%s", wrong[i]);
}
END_TEST

static Suite *value_suite(void)
{
    Suite *s = suite_create("config/value");
    TCase *c = tcase_create("value");
    tcase_add_test(c, bools);
    tcase_add_test(c, durations);
    tcase_add_test(c, sizes);
    tcase_add_test(c, base64);
    tcase_add_test(c, encrypted_passwords);
    tcase_add_test(c, time_zones);
    suite_add_tcase(s, c);
    return s;
}

UNIT_MAIN(value_suite)
