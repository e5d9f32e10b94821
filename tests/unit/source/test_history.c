#include "source/history.h"
#include "unit.h"

static GtidSet *set(Flavor flavor, const char *text)
{
    Err err = {0};
    GtidSet *s = NULL;
    if (!text) return NULL;
    if (!gtidset_parse(flavor, str_of(text), &s, &err)) ck_abort_msg("%s", err.message);
    return s;
}

#define U "3e11fa47-71ca-11e1-9e33-c80aa9429562"
#define V "4350f323-7565-4e59-8763-4b1b83a0ce0e"

static const struct {
    Flavor flavor;
    const char *ours, *executed, *purged;
    ErrCode code;
} cases[] = {
    {FLAVOR_MYSQL, "", U ":1-9", "", ERR_NONE},
    {FLAVOR_MYSQL, U ":1-5", U ":1-9", U ":1-5", ERR_NONE},
    {FLAVOR_MYSQL, U ":1-5", U ":1-5", "", ERR_NONE},
    {FLAVOR_MYSQL, U ":1-5", U ":1-9", U ":1-6", ERR_SOURCE_PURGED},
    {FLAVOR_MYSQL, "", U ":1-9", U ":1", ERR_SOURCE_PURGED},
    {FLAVOR_MYSQL, U ":1-5", U ":1-9," V ":1-3", V ":1-3", ERR_SOURCE_PURGED}, /* purged of another origin */
    {FLAVOR_MYSQL, U ":1-5", U ":1-4", "", ERR_SOURCE_HISTORY},                /* reset or restored */
    {FLAVOR_MYSQL, U ":1-5", "", "", ERR_SOURCE_HISTORY},
    {FLAVOR_MYSQL, U ":1-5", V ":1-9", "", ERR_SOURCE_HISTORY},
    {FLAVOR_MYSQL, U ":1-5", U ":1-3:5-9", "", ERR_SOURCE_HISTORY},
    {FLAVOR_MARIADB, "0-1-5", "0-1-9", "0-1-5", ERR_NONE},
    {FLAVOR_MARIADB, "0-1-5", "0-2-9", NULL, ERR_NONE}, /* failover within the domain; purged not known */
    {FLAVOR_MARIADB, "0-1-5", "0-1-9", "0-1-6", ERR_SOURCE_PURGED},
    {FLAVOR_MARIADB, "0-1-5", "0-1-9,7-1-3", "7-1-2", ERR_SOURCE_PURGED},
    {FLAVOR_MARIADB, "0-1-5", "0-1-4", "", ERR_SOURCE_HISTORY},
    {FLAVOR_MARIADB, "0-1-5,7-1-1", "0-1-9", "", ERR_SOURCE_HISTORY},
};

START_TEST(sets_are_compared)
{
    GtidSet *ours = set(cases[_i].flavor, cases[_i].ours),
            *executed = set(cases[_i].flavor, cases[_i].executed),
            *purged = set(cases[_i].flavor, cases[_i].purged);
    Err err = {0};
    ck_assert_int_eq(history_compare(ours, executed, purged, &err), cases[_i].code == ERR_NONE);
    ck_assert_int_eq(err.code, cases[_i].code);
    err_clear(&err);
    gtidset_free(ours);
    gtidset_free(executed);
    gtidset_free(purged);
}
END_TEST

static ServerLog files[] = {{{"bin.000009", 10}, 1000}, {{"bin.000010", 10}, 500}, {{"bin.1000000", 11}, 70}};

static const struct {
    const char *file;
    uint64_t pos;
    ErrCode code;
} places[] = {
    {"bin.000009", 4, ERR_NONE},
    {"bin.000009", 1000, ERR_NONE},
    {"bin.000009", 1001, ERR_SOURCE_HISTORY}, /* the server lost its last transactions */
    {"bin.1000000", 70, ERR_NONE},
    {"bin.000008", 4, ERR_SOURCE_PURGED},
    {"bin.000011", 4, ERR_SOURCE_HISTORY},       /* neither there nor older */
    {"bin.1000001", 4, ERR_SOURCE_HISTORY},      /* RESET began the numbers anew */
    {"mysql-bin.000008", 4, ERR_SOURCE_HISTORY}, /* another server's */
    {"nonsense", 4, ERR_SOURCE_HISTORY},
};

START_TEST(positions_are_looked_up)
{
    ServerLogs logs = {.logs = files, .n = ARRAY_LEN(files)};
    Err err = {0};
    ck_assert_int_eq(history_check_position(&logs, str_of(places[_i].file), places[_i].pos, &err),
                     places[_i].code == ERR_NONE);
    ck_assert_int_eq(err.code, places[_i].code);
    if (err.code) ck_assert_ptr_nonnull(strstr(err.message, places[_i].file));
    err_clear(&err);
    ServerLogs none = {0};
    ck_assert(!history_check_position(&none, str_of(places[_i].file), places[_i].pos, &err));
    ck_assert_int_eq(err.code, ERR_SOURCE_HISTORY);
    err_clear(&err);
}
END_TEST

START_TEST(file_names_are_ordered_by_number)
{
    ck_assert(server_log_newer(STR("bin.000010"), STR("bin.000009")));
    ck_assert(server_log_newer(STR("bin.1000000"), STR("bin.999999")));
    ck_assert(!server_log_newer(STR("bin.000009"), STR("bin.000009")));
    ck_assert(!server_log_newer(STR("bin.000008"), STR("bin.000009")));
    ck_assert(server_log_newer(STR("other.000001"), STR("bin.000009")));
    ck_assert(server_log_newer(STR("a"), STR("b")));
    ck_assert(!server_log_newer(STR("a"), STR("a")));
}
END_TEST

static Suite *history_suite(void)
{
    Suite *s = suite_create("history");
    TCase *t = tcase_create("history");
    tcase_add_loop_test(t, sets_are_compared, 0, ARRAY_LEN(cases));
    tcase_add_loop_test(t, positions_are_looked_up, 0, ARRAY_LEN(places));
    tcase_add_test(t, file_names_are_ordered_by_number);
    suite_add_tcase(s, t);
    return s;
}
UNIT_MAIN(history_suite)
