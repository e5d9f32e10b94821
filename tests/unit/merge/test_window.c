#include "merge/window.h"
#include <signal.h>
#include "unit.h"

static const RowCounts one_row = {.read = 1, .applied = 1};

static void setup(Window *w, size_t limit)
{
    StreamPoint floor = {.flavor = FLAVOR_MARIADB, .gtids = gtidset_new(FLAVOR_MARIADB)};
    window_init(w, limit);
    window_reset(w, &floor, &(RowCounts){.read = 100}, 7);
    point_done(&floor);
}

/* Opens a slot for transaction n of domain 0, or one of its pieces. */
static uint64_t open_slot(Window *w, uint64_t n, bool is_piece, bool last_piece)
{
    Txn t = {.is_piece = is_piece, .last_piece = last_piece, .timestamp = (uint32_t)n};
    t.id = (TxnId){.has_gtid = true, .file = STR("bin.000001"), .end_pos = n * 10, .server = "server_id:1"};
    t.id.gtid = (Gtid){.flavor = FLAVOR_MARIADB, .server_id = 1, .seq = n};
    return window_open(w, &t);
}

/* The floor's last transaction, 0 for none; and what it covers. */
static uint64_t floor_of(Window *w, uint64_t transactions, uint64_t rows)
{
    WindowView v;
    Gtid last = {0};
    window_snapshot(w, &v);
    ck_assert_uint_eq(v.transactions, 7 + transactions);
    ck_assert_uint_eq(v.counts.read, 100 + rows);
    bool any = gtidset_domain_last(v.floor.gtids, 0, &last);
    if (any) {
        ck_assert_uint_eq(v.floor_timestamp, last.seq);
        ck_assert_uint_eq(v.floor.pos, last.seq * 10);
        ck_assert_str_eq(v.floor.file, "bin.000001");
        ck_assert_str_eq(v.floor.server, "server_id:1");
    }
    point_done(&v.floor);
    return any ? last.seq : 0;
}

static bool is_empty(Window *w)
{
    WindowView v;
    window_snapshot(w, &v);
    point_done(&v.floor);
    return v.open == 0;
}

START_TEST(the_floor_moves_over_done_prefixes_alone)
{
    Window w;
    uint64_t slots[5];
    setup(&w, 10);
    ck_assert(is_empty(&w));
    for (uint64_t i = 0; i < 5; i++)
        slots[i] = open_slot(&w, i + 1, false, true);
    ck_assert(!is_empty(&w));
    window_finish(&w, slots[1], &one_row);
    window_finish(&w, slots[4], &one_row);
    ck_assert(!window_collect(&w));
    ck_assert_uint_eq(floor_of(&w, 0, 0), 0);
    window_finish(&w, slots[0], &one_row);
    ck_assert_uint_eq(floor_of(&w, 0, 0), 0); /* not before it is collected */
    ck_assert(window_collect(&w));
    ck_assert(!window_collect(&w));
    ck_assert_uint_eq(floor_of(&w, 2, 2), 2);
    window_finish(&w, slots[2], &one_row);
    ck_assert(window_collect(&w));
    ck_assert_uint_eq(floor_of(&w, 3, 3), 3);
    window_finish(&w, slots[3], &one_row);
    ck_assert(window_collect(&w));
    ck_assert_uint_eq(floor_of(&w, 5, 5), 5);
    ck_assert(is_empty(&w));
    window_done(&w);
}
END_TEST

START_TEST(pieces_leave_together)
{
    Window w;
    WindowView v;
    setup(&w, 2);
    uint64_t whole = open_slot(&w, 1, false, true), a = open_slot(&w, 2, true, false);
    ck_assert(window_has_room(&w)); /* a half transaction must not wait for room */
    uint64_t b = open_slot(&w, 2, true, false), c = open_slot(&w, 2, true, true);
    ck_assert(!window_has_room(&w));
    window_finish(&w, whole, &one_row);
    window_finish(&w, a, &one_row);
    window_finish(&w, c, &one_row);
    ck_assert(window_collect(&w));
    ck_assert_uint_eq(floor_of(&w, 1, 1), 1);
    window_finish(&w, b, &one_row);
    ck_assert(window_collect(&w));
    ck_assert_uint_eq(floor_of(&w, 2, 4), 2);
    window_snapshot(&w, &v);
    ck_assert_uint_eq(v.split, 1);
    ck_assert_uint_eq(v.open, 0);
    point_done(&v.floor);
    ck_assert(window_has_room(&w));
    window_done(&w);
}
END_TEST

START_TEST(bounds)
{
    Window w;
    uint64_t first = 0;
    setup(&w, 200); /* more than the ring begins with */
    for (uint64_t i = 1; i <= 200; i++) {
        ck_assert(window_has_room(&w));
        ck_assert_int_eq(window_is_half_full(&w), i > 100);
        uint64_t slot = open_slot(&w, i, false, true);
        if (i == 1) first = slot;
        if (i > 1) window_finish(&w, slot, &one_row);
    }
    ck_assert(!window_has_room(&w));
    ck_assert(!window_collect(&w));
    window_finish(&w, first, &one_row);
    ck_assert(window_collect(&w));
    ck_assert_uint_eq(floor_of(&w, 200, 200), 200);
    ck_assert(window_has_room(&w));
    window_done(&w);
}
END_TEST

START_TEST(a_reset_forgets_the_run_before)
{
    Window w;
    setup(&w, 10);
    uint64_t old = open_slot(&w, 1, false, true);
    StreamPoint floor = {.flavor = FLAVOR_MARIADB, .gtids = gtidset_new(FLAVOR_MARIADB)};
    window_reset(&w, &floor, &(RowCounts){.read = 100}, 7);
    point_done(&floor);
    ck_assert(is_empty(&w));
    uint64_t fresh = open_slot(&w, 1, false, true);
    ck_assert_uint_ne(fresh, old); /* numbers are never used twice */
    window_finish(&w, old, &one_row);
    ck_assert(!window_collect(&w));
    window_finish(&w, fresh, &one_row);
    ck_assert(window_collect(&w));
    ck_assert_uint_eq(floor_of(&w, 1, 1), 1);
    window_done(&w);
}
END_TEST

START_TEST(done_twice_is_a_bug)
{
    Window w;
    setup(&w, 10);
    (void)open_slot(&w, 1, false, true);
    uint64_t slot = open_slot(&w, 2, false, true);
    window_finish(&w, slot, &one_row);
    window_finish(&w, slot, &one_row);
}
END_TEST

static Suite *window_suite(void)
{
    Suite *s = suite_create("merge/window");
    TCase *t = tcase_create("window");
    tcase_add_test(t, the_floor_moves_over_done_prefixes_alone);
    tcase_add_test(t, pieces_leave_together);
    tcase_add_test(t, bounds);
    tcase_add_test(t, a_reset_forgets_the_run_before);
    tcase_add_test_raise_signal(t, done_twice_is_a_bug, SIGABRT);
    suite_add_tcase(s, t);
    return s;
}
UNIT_MAIN(window_suite)
