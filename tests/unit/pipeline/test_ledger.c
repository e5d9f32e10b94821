#include "pipeline/ledger.h"
#include <stdlib.h>
#include "unit.h"

/* Covered: slots below the floor of their stream; ctx holds one floor a stream. */
static bool below(void *ctx, const LedgerPart *part)
{
    const uint64_t *floors = ctx;
    return part->slot < floors[part->stream];
}

static void expect(Ledger *l, const uint64_t *floors, const MetaRowKey *want, size_t n_want, bool forget)
{
    MetaRowKey *keys = NULL;
    size_t n = 99;
    ledger_covered(l, below, (void *)floors, &keys, &n);
    ck_assert_uint_eq(n, n_want);
    for (size_t i = 0; i < n; i++) {
        ck_assert_uint_eq(keys[i].applier, want[i].applier);
        ck_assert_uint_eq(keys[i].commit_seq, want[i].commit_seq);
    }
    if (forget) ledger_forget(l, keys, n);
    free(keys);
}

static void add(Ledger *l, uint32_t applier, uint64_t seq, uint64_t slot0, uint64_t slot1)
{
    LedgerPart parts[2] = {{.stream = 0, .run = 1, .slot = slot0}, {.stream = 1, .run = 1, .slot = slot1}};
    ledger_add(l, (MetaRowKey){applier, seq}, parts, 2);
    parts[0].slot = parts[1].slot = UINT64_MAX; /* it has copies */
}

START_TEST(a_row_goes_when_all_its_parts_are_covered)
{
    Ledger l;
    ledger_init(&l);
    expect(&l, (uint64_t[]){100, 100}, NULL, 0, true);
    add(&l, 0, 1, 5, 50);
    add(&l, 1, 1, 6, 10);
    add(&l, 0, 2, 7, 11);
    ledger_add(&l, (MetaRowKey){2, 9}, NULL, 0); /* nothing to wait for */
    ck_assert_uint_eq(l.n, 4);
    static const MetaRowKey first[] = {{1, 1}, {2, 9}}, then[] = {{0, 1}, {0, 2}};
    expect(&l, (uint64_t[]){7, 12}, first, 2, false);
    expect(&l, (uint64_t[]){7, 12}, first, 2, true); /* they stay until forgotten */
    ck_assert_uint_eq(l.n, 2);
    expect(&l, (uint64_t[]){7, 12}, NULL, 0, true);
    expect(&l, (uint64_t[]){8, 51}, then, 2, true);
    ck_assert_uint_eq(l.n, 0);
    ledger_done(&l);
}
END_TEST

/* Rows that appliers add between asking and forgetting stay. */
START_TEST(forgets_only_what_was_asked)
{
    Ledger l;
    MetaRowKey *keys;
    size_t n;
    ledger_init(&l);
    for (uint64_t i = 0; i < 1000; i++)
        add(&l, (uint32_t)(i % 3), i, i, i);
    ledger_covered(&l, below, (uint64_t[]){400, 500}, &keys, &n);
    ck_assert_uint_eq(n, 400);
    for (uint64_t i = 1000; i < 1100; i++)
        add(&l, (uint32_t)(i % 3), i, i, 0);
    ledger_forget(&l, keys, n);
    free(keys);
    ck_assert_uint_eq(l.n, 700);
    ledger_covered(&l, below, (uint64_t[]){UINT64_MAX, UINT64_MAX}, &keys, &n);
    ck_assert_uint_eq(n, 700);
    for (size_t i = 0; i < n; i++)
        ck_assert_uint_eq(keys[i].commit_seq, 400 + i);
    free(keys);
    ledger_done(&l);
}
END_TEST

static Suite *ledger_suite(void)
{
    Suite *s = suite_create("pipeline/ledger");
    TCase *t = tcase_create("ledger");
    tcase_add_test(t, a_row_goes_when_all_its_parts_are_covered);
    tcase_add_test(t, forgets_only_what_was_asked);
    suite_add_tcase(s, t);
    return s;
}
UNIT_MAIN(ledger_suite)
