#include "model/gtid.h"
#include "unit.h"

#define U1 "3e11fa47-71ca-11e1-9e33-c80aa9429562"
#define U2 "4350f323-7565-4e59-8763-4b1b83a0ce0e"

static GtidSet *set(Flavor flavor, const char *text)
{
    Err err = {0};
    GtidSet *s = NULL;
    if (!gtidset_parse(flavor, str_of(text), &s, &err)) ck_abort_msg("%s: %s", text, err.message);
    return s;
}

static GtidSet *my(const char *text)
{
    return set(FLAVOR_MYSQL, text);
}

static GtidSet *maria(const char *text)
{
    return set(FLAVOR_MARIADB, text);
}

static void check_text(const GtidSet *s, const char *want)
{
    StrBuf b = {0};
    gtidset_format(s, &b);
    ck_assert_str_eq(b.ptr ? b.ptr : "", want);
    sb_done(&b);
}

static Gtid gtid(Flavor flavor, const char *text)
{
    Err err = {0};
    Gtid g;
    if (!gtid_parse(flavor, str_of(text), &g, &err)) ck_abort_msg("%s: %s", text, err.message);
    return g;
}

typedef struct TextCase {
    Flavor flavor;
    const char *in, *out;
} TextCase;

static const TextCase texts[] = {
    {FLAVOR_MYSQL, "", ""},
    {FLAVOR_MYSQL, " \n ", ""},
    {FLAVOR_MYSQL, U1 ":1", U1 ":1"},
    {FLAVOR_MYSQL, U1 ":1-5:7", U1 ":1-5:7"},
    {FLAVOR_MYSQL, U1 ":7:1-5", U1 ":1-5:7"},
    {FLAVOR_MYSQL, U1 ":1-3:4-6", U1 ":1-6"},
    {FLAVOR_MYSQL, U1 ":1-3:2-9:5", U1 ":1-9"},
    {FLAVOR_MYSQL, U1 ":5-6:1-2:3-4", U1 ":1-6"},
    {FLAVOR_MYSQL, U2 ":9,\n" U1 ":1-5", U1 ":1-5," U2 ":9"},
    {FLAVOR_MYSQL, U1 ":1-2," U1 ":3", U1 ":1-3"},
    {FLAVOR_MYSQL, ", " U1 " : 1 - 5 ,,", U1 ":1-5"},
    {FLAVOR_MYSQL, "3E11FA47-71CA-11E1-9E33-C80AA9429562:1", U1 ":1"},
    {FLAVOR_MYSQL, "3e11fa4771ca11e19e33c80aa9429562:1", U1 ":1"},
    {FLAVOR_MYSQL, "{" U1 "}:1", U1 ":1"},
    {FLAVOR_MYSQL, U1 ":9223372036854775806", U1 ":9223372036854775806"},
    /* tags */
    {FLAVOR_MYSQL, U1 ":aaa:1-3", U1 ":aaa:1-3"},
    {FLAVOR_MYSQL, U1 ":1-5:aaa:1-3:7:b_2:4", U1 ":1-5:aaa:1-3:7:b_2:4"},
    {FLAVOR_MYSQL, U1 ":Zoo:2," U1 ":zoo:1", U1 ":zoo:1-2"},
    {FLAVOR_MYSQL, U1 ":b:1:a:1:1", U1 ":a:1:b:1"},
    {FLAVOR_MYSQL, U1 ":abcdefghijklmnopqrstuvwxyz_12345:1", U1 ":abcdefghijklmnopqrstuvwxyz_12345:1"},
    {FLAVOR_MARIADB, "", ""},
    {FLAVOR_MARIADB, "0-1-25", "0-1-25"},
    {FLAVOR_MARIADB, "1-2-9, 0-1-25", "0-1-25,1-2-9"},
    {FLAVOR_MARIADB, "4294967295-4294967295-18446744073709551615",
     "4294967295-4294967295-18446744073709551615"},
};

START_TEST(parse_and_format)
{
    const TextCase *c = &texts[_i];
    GtidSet *s = set(c->flavor, c->in);
    check_text(s, c->out);
    ck_assert_int_eq(gtidset_is_empty(s), c->out[0] == 0);
    ck_assert_int_eq(gtidset_flavor(s), c->flavor);
    GtidSet *again = set(c->flavor, c->out), *copy = gtidset_clone(s);
    ck_assert(gtidset_equal(s, again));
    ck_assert(gtidset_equal(s, copy));
    gtidset_free(s);
    check_text(copy, c->out); /* owns its parts */
    gtidset_free(copy);
    gtidset_free(again);
}
END_TEST

static const TextCase malformed[] = {
    {FLAVOR_MYSQL, "0-1-5", NULL}, /* the other flavor */
    {FLAVOR_MYSQL, U1, NULL},
    {FLAVOR_MYSQL, U1 ":", NULL},
    {FLAVOR_MYSQL, U1 ":1:", NULL},
    {FLAVOR_MYSQL, U1 "::1", NULL},
    {FLAVOR_MYSQL, U1 ":0", NULL},
    {FLAVOR_MYSQL, U1 ":0-3", NULL},
    {FLAVOR_MYSQL, U1 ":5-3", NULL},
    {FLAVOR_MYSQL, U1 ":5-", NULL},
    {FLAVOR_MYSQL, U1 ":-5", NULL},
    {FLAVOR_MYSQL, U1 ":1-2-3", NULL},
    {FLAVOR_MYSQL, U1 ":9223372036854775807", NULL},
    {FLAVOR_MYSQL, U1 ":18446744073709551616", NULL},
    {FLAVOR_MYSQL, U1 ":tag", NULL},
    {FLAVOR_MYSQL, U1 ":1:tag", NULL},
    {FLAVOR_MYSQL, U1 ":ta-g:1", NULL},
    {FLAVOR_MYSQL, U1 ":1a:1", NULL},
    {FLAVOR_MYSQL, U1 ":abcdefghijklmnopqrstuvwxyz_123456:1", NULL},
    {FLAVOR_MYSQL, "3e11fa47-71ca-11e1-9e33-c80aa942956:1", NULL},
    {FLAVOR_MYSQL, "3e11fa47-71ca-11e1-9e33-c80aa942956g:1", NULL},
    {FLAVOR_MYSQL, "3e11fa4771ca-11e1-9e33-c80aa94295620:1", NULL},
    {FLAVOR_MYSQL, "{}:1", NULL},
    {FLAVOR_MYSQL, ":1", NULL},
    {FLAVOR_MARIADB, U1 ":1", NULL},
    {FLAVOR_MARIADB, "0-1", NULL},
    {FLAVOR_MARIADB, "0-1-", NULL},
    {FLAVOR_MARIADB, "0-1-2-3", NULL},
    {FLAVOR_MARIADB, "-1-2", NULL},
    {FLAVOR_MARIADB, "4294967296-1-1", NULL},
    {FLAVOR_MARIADB, "0-4294967296-1", NULL},
    {FLAVOR_MARIADB, "0-1-18446744073709551616", NULL},
    {FLAVOR_MARIADB, "0-1-5 0-2-6", NULL},
    {FLAVOR_MARIADB, "0-1-5,0-2-6", NULL}, /* a domain twice */
};

START_TEST(refuses_malformed)
{
    const TextCase *c = &malformed[_i];
    Err err = {0};
    GtidSet *s = (GtidSet *)&err;
    ck_assert_msg(!gtidset_parse(c->flavor, str_of(c->in), &s, &err), "%s was taken", c->in);
    ck_assert_int_eq(err.code, ERR_GTID_SYNTAX);
    ck_assert_ptr_null(s);
    err_clear(&err);
}
END_TEST

START_TEST(one_gtid)
{
    static const TextCase good[] = {{FLAVOR_MYSQL, U1 ":5", U1 ":5"},
                                    {FLAVOR_MYSQL, " " U1 ":Tag:5\n", U1 ":tag:5"},
                                    {FLAVOR_MARIADB, " 1-2-3", "1-2-3"}};
    static const TextCase bad[] = {{FLAVOR_MYSQL, U1 ":1-2", NULL}, {FLAVOR_MYSQL, U1 ":1:3", NULL},
                                   {FLAVOR_MYSQL, "", NULL},        {FLAVOR_MYSQL, U1 ":1:a:1", NULL},
                                   {FLAVOR_MARIADB, "", NULL},      {FLAVOR_MARIADB, "0-1-2,1-1-2", NULL}};
    for (size_t i = 0; i < ARRAY_LEN(good); i++) {
        Gtid g = gtid(good[i].flavor, good[i].in), same = gtid(good[i].flavor, good[i].out);
        StrBuf b = {0};
        gtid_format(&g, &b);
        ck_assert_str_eq(b.ptr, good[i].out);
        ck_assert(gtid_equal(&g, &same));
        sb_done(&b);
    }
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        Err err = {0};
        Gtid g;
        ck_assert_msg(!gtid_parse(bad[i].flavor, str_of(bad[i].in), &g, &err), "%s was taken", bad[i].in);
        ck_assert_int_eq(err.code, ERR_GTID_SYNTAX);
        err_clear(&err);
    }
    Gtid a = gtid(FLAVOR_MYSQL, U1 ":5"), b = gtid(FLAVOR_MYSQL, U1 ":x:5"),
         c = gtid(FLAVOR_MARIADB, "0-1-5");
    ck_assert(!gtid_equal(&a, &b));
    ck_assert(!gtid_equal(&a, &c));
}
END_TEST

START_TEST(add_and_contains_mysql)
{
    GtidSet *s = my("");
    static const char *const order[] = {U1 ":5",   U1 ":3", U1 ":4", U1 ":1",
                                        U1 ":t:2", U2 ":8", U1 ":6", U1 ":6"};
    for (size_t i = 0; i < ARRAY_LEN(order); i++) {
        Gtid g = gtid(FLAVOR_MYSQL, order[i]);
        gtidset_add(s, &g);
        ck_assert(gtidset_contains(s, &g));
    }
    check_text(s, U1 ":1:3-6:t:2," U2 ":8");
    static const char *const out[] = {U1 ":2", U1 ":7", U1 ":t:1", U1 ":t:3", U1 ":u:2", U2 ":7", U2 ":9"};
    for (size_t i = 0; i < ARRAY_LEN(out); i++) {
        Gtid g = gtid(FLAVOR_MYSQL, out[i]);
        ck_assert_msg(!gtidset_contains(s, &g), "%s", out[i]);
    }
    Gtid g = gtid(FLAVOR_MYSQL, U1 ":2");
    gtidset_add(s, &g);
    check_text(s, U1 ":1-6:t:2," U2 ":8");
    gtidset_free(s);
}
END_TEST

/* Every subset of 1..10 added in a scrambled order must hold exactly its members. */
START_TEST(intervals_hold_exactly_what_was_added)
{
    enum { N = 10 };
    for (unsigned mask = 0; mask < 1u << N; mask++) {
        GtidSet *s = gtidset_new(FLAVOR_MYSQL), *odd = gtidset_new(FLAVOR_MYSQL),
                *even = gtidset_new(FLAVOR_MYSQL);
        for (unsigned step = 0; step < N; step++) {
            unsigned n = step * 7 % N; /* 7 and 10 share no factor */
            if (!(mask >> n & 1)) continue;
            Gtid g = {.flavor = FLAVOR_MYSQL, .gno = n + 1};
            gtidset_add(s, &g);
            gtidset_add(n % 2 ? odd : even, &g);
        }
        for (unsigned n = 0; n < N; n++) {
            Gtid g = {.flavor = FLAVOR_MYSQL, .gno = n + 1};
            ck_assert_int_eq(gtidset_contains(s, &g), mask >> n & 1);
        }
        GtidSet *sum = gtidset_clone(odd);
        gtidset_merge(sum, even);
        ck_assert(gtidset_equal(sum, s));
        ck_assert(gtidset_subset(odd, s) && gtidset_subset(even, s));
        ck_assert_int_eq(gtidset_subset(s, odd), gtidset_is_empty(even));
        gtidset_subtract(sum, odd);
        ck_assert(gtidset_equal(sum, even));
        gtidset_free(s);
        gtidset_free(odd);
        gtidset_free(even);
        gtidset_free(sum);
    }
}
END_TEST

typedef struct PairCase {
    const char *a, *b;
    bool subset;
    const char *merged, *minus; /* a + b, a - b */
} PairCase;

static const PairCase pairs[] = {
    {"", "", true, "", ""},
    {"", U1 ":1", true, U1 ":1", ""},
    {U1 ":1", "", false, U1 ":1", U1 ":1"},
    {U1 ":1-5", U1 ":1-5", true, U1 ":1-5", ""},
    {U1 ":2-4", U1 ":1-5", true, U1 ":1-5", ""},
    {U1 ":1-5", U1 ":2-4", false, U1 ":1-5", U1 ":1:5"},
    {U1 ":1-6", U1 ":1-3:5-9", false, U1 ":1-9", U1 ":4"},
    {U1 ":1-3:5-9", U1 ":1-9", true, U1 ":1-9", ""},
    {U1 ":1-10", U1 ":2:4:6:8:10", false, U1 ":1-10", U1 ":1:3:5:7:9"},
    {U1 ":1-3", U1 ":4-6", false, U1 ":1-6", U1 ":1-3"},
    {U1 ":1-3", U2 ":1-3", false, U1 ":1-3," U2 ":1-3", U1 ":1-3"},
    {U1 ":1-3," U2 ":5", U2 ":1-9," U1 ":1-4", true, U1 ":1-4," U2 ":1-9", ""},
    {U1 ":x:1-3", U1 ":1-3", false, U1 ":1-3:x:1-3", U1 ":x:1-3"},
    {U1 ":1-3:x:1", U1 ":1-3:x:1-2", true, U1 ":1-3:x:1-2", ""},
};

START_TEST(set_operations_mysql)
{
    const PairCase *c = &pairs[_i];
    GtidSet *a = my(c->a), *b = my(c->b), *sum = gtidset_clone(a), *rest = gtidset_clone(a);
    ck_assert_int_eq(gtidset_subset(a, b), c->subset);
    ck_assert_int_eq(gtidset_equal(a, b), strcmp(c->a, c->b) == 0);
    gtidset_merge(sum, b);
    check_text(sum, c->merged);
    ck_assert(gtidset_subset(a, sum) && gtidset_subset(b, sum));
    gtidset_subtract(rest, b);
    check_text(rest, c->minus);
    gtidset_free(a);
    gtidset_free(b);
    gtidset_free(sum);
    gtidset_free(rest);
}
END_TEST

START_TEST(mariadb_domains)
{
    GtidSet *s = maria("0-1-25,7-3-9");
    Gtid last, in = gtid(FLAVOR_MARIADB, "0-2-25"), above = gtid(FLAVOR_MARIADB, "0-1-26"),
               other = gtid(FLAVOR_MARIADB, "3-1-1");
    ck_assert(gtidset_contains(s, &in)); /* by sequence, whoever wrote it */
    ck_assert(!gtidset_contains(s, &above));
    ck_assert(!gtidset_contains(s, &other));
    ck_assert(!gtidset_domain_last(s, 3, &last));
    ck_assert(gtidset_domain_last(s, 7, &last));
    ck_assert_uint_eq(last.seq, 9);
    gtidset_add(s, &above);
    gtidset_add(s, &other);
    check_text(s, "0-1-26,3-1-1,7-3-9");
    Gtid moved = gtid(FLAVOR_MARIADB, "0-2-27"); /* failover within a domain */
    gtidset_add(s, &moved);
    check_text(s, "0-2-27,3-1-1,7-3-9");
    gtidset_free(s);
}
END_TEST

START_TEST(set_operations_mariadb)
{
    static const struct {
        const char *a, *b;
        bool subset;
        const char *merged;
    } cases[] = {
        {"", "", true, ""},
        {"", "0-1-5", true, "0-1-5"},
        {"0-1-5", "", false, "0-1-5"},
        {"0-1-5", "0-1-5", true, "0-1-5"},
        {"0-1-5", "0-2-6", true, "0-2-6"},
        {"0-2-6", "0-1-5", false, "0-2-6"},
        {"0-1-5,1-1-1", "0-1-9", false, "0-1-9,1-1-1"},
        {"0-1-5", "0-1-9,1-1-1", true, "0-1-9,1-1-1"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        GtidSet *a = maria(cases[i].a), *b = maria(cases[i].b);
        ck_assert_int_eq(gtidset_subset(a, b), cases[i].subset);
        gtidset_merge(a, b);
        check_text(a, cases[i].merged);
        gtidset_free(a);
        gtidset_free(b);
    }
    GtidSet *a = maria("0-1-5"), *b = maria("0-2-5");
    ck_assert(!gtidset_equal(a, b));
    gtidset_free(a);
    gtidset_free(b);
}
END_TEST

static void check_encoded(const char *text, const char *hex)
{
    GtidSet *s = my(text);
    StrBuf bytes = {0}, got = {0};
    gtidset_encode(s, &bytes);
    sb_hex(&got, bytes.ptr, bytes.len);
    ck_assert_str_eq(got.ptr ? got.ptr : "", hex);
    sb_done(&bytes);
    sb_done(&got);
    gtidset_free(s);
}

START_TEST(encodes_for_the_wire)
{
#define H1 "3e11fa4771ca11e19e33c80aa9429562"
#define H2 "4350f32375654e5987634b1b83a0ce0e"
    check_encoded("", "0000000000000000");
    check_encoded(U1 ":1-5:7", "0100000000000000" H1 "0200000000000000"
                               "0100000000000000"
                               "0600000000000000"
                               "0700000000000000"
                               "0800000000000000");
    check_encoded(U1 ":1," U2 ":258", "0200000000000000" H1 "0100000000000000"
                                      "0100000000000000"
                                      "0200000000000000" H2 "0100000000000000"
                                      "0201000000000000"
                                      "0301000000000000");
    /* tagged: as PREVIOUS_GTIDS of MySQL 9.7 holds them */
    check_encoded(U1 ":1:ab:2", "0102000000000001" H1 "00"
                                "0100000000000000"
                                "0100000000000000"
                                "0200000000000000" H1 "046162"
                                "0100000000000000"
                                "0200000000000000"
                                "0300000000000000");
}
END_TEST

static Suite *gtid_suite(void)
{
    Suite *s = suite_create("gtid");
    TCase *t = tcase_create("gtid");
    tcase_add_loop_test(t, parse_and_format, 0, ARRAY_LEN(texts));
    tcase_add_loop_test(t, refuses_malformed, 0, ARRAY_LEN(malformed));
    tcase_add_test(t, one_gtid);
    tcase_add_test(t, add_and_contains_mysql);
    tcase_add_test(t, intervals_hold_exactly_what_was_added);
    tcase_add_loop_test(t, set_operations_mysql, 0, ARRAY_LEN(pairs));
    tcase_add_test(t, mariadb_domains);
    tcase_add_test(t, set_operations_mariadb);
    tcase_add_test(t, encodes_for_the_wire);
    suite_add_tcase(s, t);
    return s;
}
UNIT_MAIN(gtid_suite)
