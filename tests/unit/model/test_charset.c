#include "model/charset.h"
#include "unit.h"

START_TEST(test_ids)
{
    const struct {
        Flavor flavor;
        uint32_t id;
        const char *collation, *charset;
        uint8_t max_len;
    } cases[] = {
        {FLAVOR_MYSQL, 8, "latin1_swedish_ci", "latin1", 1},
        {FLAVOR_MARIADB, 8, "latin1_swedish_ci", "latin1", 1},
        {FLAVOR_MYSQL, 33, "utf8mb3_general_ci", "utf8mb3", 3},
        {FLAVOR_MYSQL, 45, "utf8mb4_general_ci", "utf8mb4", 4},
        {FLAVOR_MYSQL, 63, "binary", "binary", 1},
        {FLAVOR_MYSQL, 255, "utf8mb4_0900_ai_ci", "utf8mb4", 4},
        {FLAVOR_UNKNOWN, 255, "utf8mb4_0900_ai_ci", "utf8mb4", 4},
        {FLAVOR_MYSQL, 245, "utf8mb4_croatian_ci", "utf8mb4", 4},
        {FLAVOR_MARIADB, 245, "utf8mb4_croatian_mysql561_ci", "utf8mb4", 4},
        {FLAVOR_MYSQL, 248, "gb18030_chinese_ci", "gb18030", 4},
        {FLAVOR_MARIADB, 1070, "utf8mb4_nopad_bin", "utf8mb4", 4},
        {FLAVOR_MARIADB, 2304, "utf8mb4_uca1400_ai_ci", "utf8mb4", 4},
        {FLAVOR_MARIADB, 2048, "utf8mb3_uca1400_ai_ci", "utf8mb3", 3},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        const Collation *c = charset_by_collation_id(cases[i].flavor, cases[i].id);
        ck_assert_ptr_nonnull(c);
        ck_assert_str_eq(c->name.ptr, cases[i].collation);
        ck_assert_str_eq(c->charset->name.ptr, cases[i].charset);
        ck_assert_uint_eq(c->charset->max_len, cases[i].max_len);
    }
    ck_assert_ptr_null(charset_by_collation_id(FLAVOR_MYSQL, 0));
    ck_assert_ptr_null(charset_by_collation_id(FLAVOR_MYSQL, 17));
    ck_assert_ptr_null(charset_by_collation_id(FLAVOR_MARIADB, 65535));
    ck_assert_ptr_null(charset_by_collation_id(FLAVOR_MARIADB, UINT32_MAX));
}
END_TEST

START_TEST(test_every_id_is_found_by_id_and_name)
{
    size_t n = 0;
    for (uint32_t id = 1; id < 4096; id++)
        for (int f = FLAVOR_MYSQL; f <= FLAVOR_MARIADB; f++) {
            const Collation *c = charset_by_collation_id((Flavor)f, id);
            if (!c) continue;
            n++;
            ck_assert_uint_eq(c->id, id);
            const Collation *named =
                charset_collation_by_name(c->name); /* Croatian has other ids in the two families */
            ck_assert(named && str_eq(named->name, c->name) && named->charset == c->charset);
            ck_assert_ptr_eq(charset_by_name(c->charset->name), c->charset);
            if (id != COLLATION_ID_BINARY) ck_assert(str_starts(c->name, c->charset->name));
        }
    ck_assert_uint_gt(n, 2000);
}
END_TEST

START_TEST(test_old_names)
{
    ck_assert(str_eqc(charset_by_name(STR("utf8"))->name, "utf8mb3"));
    ck_assert(str_eqc(charset_by_name(STR("UTF8MB4"))->name, "utf8mb4"));
    ck_assert(str_eqc(charset_collation_by_name(STR("utf8_bin"))->name, "utf8mb3_bin"));
    ck_assert(str_eqc(charset_collation_by_name(STR("utf8mb4_bin"))->name, "utf8mb4_bin"));
    ck_assert_ptr_null(charset_collation_by_name(STR("utf8bin")));
    ck_assert_ptr_null(charset_by_name(STR("utf")));
    ck_assert_ptr_null(charset_by_name(STR("")));
}
END_TEST

START_TEST(test_same_bytes)
{
    const Charset *mb3 = charset_by_name(STR("utf8mb3")), *mb4 = charset_by_name(STR("utf8mb4"));
    const Charset *latin1 = charset_by_name(STR("latin1")), *latin2 = charset_by_name(STR("latin2"));
    ck_assert(charset_same_bytes(mb3, mb4) && charset_same_bytes(latin1, latin1));
    ck_assert(!charset_same_bytes(latin1, latin2) && !charset_same_bytes(latin1, mb4) &&
              !charset_same_bytes(NULL, mb4));
}
END_TEST

START_TEST(test_folds)
{
    const struct {
        const char *name;
        KeyFold fold;
    } cases[] = {
        {"binary", KEY_FOLD_BYTES},
        {"utf8mb4_bin", KEY_FOLD_BIN_PAD},
        {"utf8mb4_0900_bin", KEY_FOLD_BIN_PAD},
        {"latin1_bin", KEY_FOLD_BIN_PAD},
        {"utf8mb4_nopad_bin", KEY_FOLD_BIN_PAD},
        {"gbk_bin", KEY_FOLD_BIN_PAD},
        {"utf8mb4_general_ci", KEY_FOLD_ASCII_CI},
        {"utf8_unicode_ci", KEY_FOLD_ASCII_CI},
        {"utf8mb4_0900_ai_ci", KEY_FOLD_ASCII_CI},
        {"utf8mb4_0900_as_cs", KEY_FOLD_ASCII_CI},
        {"utf8mb4_uca1400_ai_ci", KEY_FOLD_ASCII_CI},
        {"latin1_swedish_ci", KEY_FOLD_ASCII_CI},
        {"ascii_general_ci", KEY_FOLD_ASCII_CI},
        {"latin1_general_cs", KEY_FOLD_ASCII_CI},
        {"utf8mb4_danish_ci", KEY_FOLD_UNKNOWN},
        {"utf8mb4_roman_ci", KEY_FOLD_UNKNOWN},
        {"utf8mb4_de_pb_0900_ai_ci", KEY_FOLD_UNKNOWN},
        {"latin1_german2_ci", KEY_FOLD_UNKNOWN},
        {"utf8mb4_uca1400_danish_ai_ci", KEY_FOLD_UNKNOWN},
        {"utf8mb4_hungarian_ci", KEY_FOLD_UNKNOWN},
        /* measured: two different printable ASCII characters are equal there */
        {"gbk_chinese_ci", KEY_FOLD_UNKNOWN},
        {"big5_chinese_ci", KEY_FOLD_UNKNOWN},
        {"macce_general_ci", KEY_FOLD_UNKNOWN},
        {"koi8u_general_ci", KEY_FOLD_UNKNOWN},
        {"geostd8_general_nopad_ci", KEY_FOLD_UNKNOWN},
        {"koi8u_bin", KEY_FOLD_BIN_PAD},
        {"swe7_bin", KEY_FOLD_UNKNOWN},
        {"utf16_bin", KEY_FOLD_UNKNOWN},
        {"ucs2_general_ci", KEY_FOLD_UNKNOWN},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        const Collation *c = charset_collation_by_name(str_of(cases[i].name));
        ck_assert_msg(c != NULL, "%s", cases[i].name);
        ck_assert_msg(charset_key_fold(c) == cases[i].fold, "%s: %d", cases[i].name, charset_key_fold(c));
    }
    ck_assert_int_eq(charset_key_fold(NULL), KEY_FOLD_UNKNOWN);
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("charset");
    TCase *t = tcase_create("charset");
    tcase_add_test(t, test_ids);
    tcase_add_test(t, test_every_id_is_found_by_id_and_name);
    tcase_add_test(t, test_old_names);
    tcase_add_test(t, test_same_bytes);
    tcase_add_test(t, test_folds);
    suite_add_tcase(s, t);
    return s;
}
UNIT_MAIN(suite)
