/* Who wins: a total order, and values of columns that count as the server counts them. */
#include "apply/parked_rank.h"
#include "unit.h"

static ColumnDef column(const char *type, bool is_unsigned)
{
    return (ColumnDef){.name = STR("c"), .data_type = str_of(type), .is_unsigned = is_unsigned};
}

static ParkedRank valued(const char *type, bool is_unsigned, bool newest, const char *text)
{
    ColumnDef c = column(type, is_unsigned);
    ParkedRank r = {0};
    Err err = {0};
    ck_assert_msg(parked_order_of(&c, newest, str_of(text), &r, &err), "%s %s: %s", type, text, err.message);
    return r;
}

/* Ascending values, as text. */
START_TEST(values_in_order)
{
    static const struct {
        const char *type;
        bool is_unsigned;
        const char *values[9];
    } rows[] = {
        {"bigint",
         false,
         {"-9223372036854775808", "-10", "-9", "-1", "0", "1", "9", "10", "9223372036854775807"}},
        {"bigint",
         true,
         {"0", "9", "10", "9223372036854775807", "9223372036854775808", "18446744073709551615"}},
        {"tinyint", false, {"-128", "-3", "0", "127"}},
        {"date", false, {"0000-00-00", "1000-01-01", "1999-12-31", "2026-02-09", "2026-02-10", "9999-12-31"}},
        {"datetime",
         false,
         {"0000-00-00 00:00:00", "0999-01-02 00:00:00.000001", "2026-01-01 00:00:59", "2026-01-01 00:01:00",
          "2026-01-01 23:59:59.000000", "2026-01-01 23:59:59.000001", "2026-01-01 23:59:59.1",
          "2026-01-02 00:00:00", "9999-12-31 23:59:59.999999"}},
        {"timestamp",
         false,
         {"1970-01-01 00:00:01.001", "1970-01-01 00:00:01.010", "1970-01-01 00:00:01.999",
          "1970-01-01 00:00:02.000", "2038-01-19 03:14:07.999"}},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        for (size_t k = 0; k + 1 < ARRAY_LEN(rows[i].values) && rows[i].values[k + 1]; k++)
            for (int newest = 0; newest < 2; newest++) {
                const char *low = rows[i].values[k], *high = rows[i].values[k + 1];
                ParkedRank a = valued(rows[i].type, rows[i].is_unsigned, newest, low);
                ParkedRank b = valued(rows[i].type, rows[i].is_unsigned, newest, high);
                ck_assert_msg((parked_rank_cmp(&a, &b) < 0) == !newest, "%s: %s, %s", rows[i].type, low,
                              high);
                ck_assert_msg((parked_rank_cmp(&b, &a) < 0) == newest, "%s: %s, %s", rows[i].type, high, low);
            }
}
END_TEST

START_TEST(no_values)
{
    static const struct {
        const char *type, *text;
    } bad[] = {{"datetime", ""}, {"datetime", "2026"}, {"datetime", "2026-01-01 00:00:00.1234567"},
               {"bigint", ""},   {"bigint", "1.5"},    {"bigint", "9223372036854775808"}};
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        ColumnDef c = column(bad[i].type, false);
        ParkedRank r = {0};
        Err err = {0};
        ck_assert_msg(!parked_order_of(&c, false, str_of(bad[i].text), &r, &err), "%s", bad[i].text);
        ck_assert_int_eq(err.code, ERR_CORRUPT);
        err_clear(&err);
    }
    ColumnDef plain = column("bigint", false), text = column("varchar", false),
              real = column("double", false);
    ck_assert(parked_can_order(&plain) && !parked_can_order(&text) && !parked_can_order(&real));
    plain.generated = true;
    ck_assert(!parked_can_order(&plain));
}
END_TEST

/* Each row of the table wins against all below it. */
START_TEST(ranks_in_order)
{
    const Str a = STR("a"), b = STR("b");
    const ParkedRank ranks[] = {
        {.pinned = true, .has_order = true, .order = 9, .source = 5, .schema = a, .table = a, .decided = 3},
        {.pinned = true, .source = 0, .schema = a, .table = a, .decided = 4},
        {.has_order = true, .order = 1, .source = 1, .schema = b, .table = b},
        {.has_order = true, .order = 2, .source = 0, .schema = a, .table = a},
        {.source = 0, .schema = a, .table = a},
        {.source = 0, .schema = a, .table = a, .decided = 7, .renamed = true},
        {.source = 0, .schema = a, .table = a, .decided = 8, .renamed = true},
        {.source = 0, .schema = a, .table = b},
        {.source = 0, .schema = b, .table = a},
        {.source = 1, .schema = a, .table = a},
        {.source = UINT32_MAX, .schema = a, .table = a},
    };
    for (size_t i = 0; i < ARRAY_LEN(ranks); i++)
        for (size_t k = 0; k < ARRAY_LEN(ranks); k++) {
            int cmp = parked_rank_cmp(&ranks[i], &ranks[k]);
            ck_assert_msg(i == k ? cmp == 0 : i < k ? cmp < 0 : cmp > 0, "%zu, %zu: %d", i, k, cmp);
        }
    ck_assert(parked_same_table(&ranks[4], &ranks[5]) && !parked_same_table(&ranks[4], &ranks[7]));
}
END_TEST

static Suite *rank_suite(void)
{
    Suite *s = suite_create("parked_rank");
    TCase *c = tcase_create("all");
    tcase_add_test(c, values_in_order);
    tcase_add_test(c, no_values);
    tcase_add_test(c, ranks_in_order);
    suite_add_tcase(s, c);
    return s;
}

UNIT_MAIN(rank_suite)
