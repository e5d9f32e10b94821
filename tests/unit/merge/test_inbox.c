#include "merge/inbox.h"
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <time.h>
#include "base/clock.h"
#include "unit.h"

static bool room[4]; /* of each stream's window */

static bool has_room(void *ctx, uint32_t stream)
{
    (void)ctx;
    return room[stream];
}

static void setup(Inbox *in, size_t items, size_t bytes)
{
    inbox_init(in, 3, items, bytes, has_room, NULL);
    for (uint32_t i = 0; i < 3; i++) {
        room[i] = true;
        inbox_stream_open(in, i, false);
    }
}

static Txn *txn(uint32_t stream, uint64_t no, size_t bytes)
{
    Txn *t = txn_new();
    t->source = stream;
    t->order = no;
    t->budget_bytes = bytes;
    return t;
}

static void expect(Inbox *in, uint32_t stream, uint64_t no)
{
    Txn *t = inbox_pop(in);
    ck_assert_ptr_nonnull(t);
    ck_assert_uint_eq(t->source, stream);
    ck_assert_uint_eq(t->order, no);
    txn_free(t);
}

static void sleep_ms(long ms)
{
    nanosleep(&(struct timespec){.tv_nsec = ms * 1000000}, NULL);
}

START_TEST(streams_take_turns)
{
    Inbox in;
    setup(&in, 8, 1000);
    for (uint64_t i = 0; i < 4; i++)
        ck_assert(inbox_push(&in, txn(0, i, 1)));
    ck_assert(inbox_push(&in, txn(2, 0, 1)));
    ck_assert(inbox_push(&in, txn(2, 1, 1)));
    expect(&in, 0, 0);
    expect(&in, 2, 0);
    ck_assert(inbox_push(&in, txn(1, 0, 1)));
    expect(&in, 0, 1);
    expect(&in, 1, 0);
    expect(&in, 2, 1);
    expect(&in, 0, 2);
    expect(&in, 0, 3);
    inbox_done(&in);
}
END_TEST

START_TEST(a_stream_without_room_is_passed_by)
{
    Inbox in;
    setup(&in, 8, 1000);
    room[0] = false;
    ck_assert(inbox_push(&in, txn(0, 0, 1)));
    ck_assert(inbox_push(&in, txn(1, 0, 1)));
    ck_assert(inbox_push(&in, txn(1, 1, 1)));
    expect(&in, 1, 0);
    expect(&in, 1, 1);
    ck_assert_uint_eq(inbox_count(&in, 0), 1);
    room[0] = true;
    expect(&in, 0, 0);
    inbox_done(&in);
}
END_TEST

typedef struct Pusher {
    Inbox *in;
    Txn *t;
    pthread_t thread;
    _Atomic int result; /* -1: blocked */
} Pusher;

static void *push_main(void *arg)
{
    Pusher *p = arg;
    bool pushed = inbox_push(p->in, p->t);
    if (!pushed) txn_free(p->t);
    atomic_store(&p->result, pushed);
    return NULL;
}

static void push_blocks(Pusher *p, Inbox *in, Txn *t)
{
    *p = (Pusher){.in = in, .t = t, .result = -1};
    ck_assert_int_eq(pthread_create(&p->thread, NULL, push_main, p), 0);
    sleep_ms(20);
    ck_assert_int_eq(atomic_load(&p->result), -1);
}

static bool push_ends(Pusher *p)
{
    pthread_join(p->thread, NULL);
    return atomic_load(&p->result);
}

START_TEST(full_by_items_or_bytes)
{
    Inbox in;
    Pusher p, q;
    setup(&in, 2, 100);
    ck_assert(inbox_push(&in, txn(0, 0, 1)));
    ck_assert(inbox_push(&in, txn(0, 1, 1)));
    push_blocks(&p, &in, txn(0, 2, 1));
    ck_assert(inbox_push(&in, txn(1, 0, 5000))); /* one piece beyond the bound passes alone */
    push_blocks(&q, &in, txn(1, 1, 1));
    expect(&in, 0, 0);
    ck_assert(push_ends(&p));
    expect(&in, 1, 0);
    ck_assert(push_ends(&q));
    expect(&in, 0, 1);
    inbox_done(&in); /* frees the rest */
}
END_TEST

static void count_drop(void *ctx, Txn *t)
{
    (*(unsigned *)ctx)++;
    txn_free(t);
}

START_TEST(a_closed_stream_drops_and_refuses)
{
    Inbox in;
    Pusher p;
    unsigned dropped = 0;
    setup(&in, 2, 100);
    ck_assert(inbox_push(&in, txn(0, 0, 1)));
    ck_assert(inbox_push(&in, txn(0, 1, 1)));
    ck_assert(inbox_push(&in, txn(1, 0, 1)));
    push_blocks(&p, &in, txn(0, 2, 1));
    inbox_stream_close(&in, 0, count_drop, &dropped);
    ck_assert(!push_ends(&p));
    ck_assert_uint_eq(dropped, 2);
    Txn *t = txn(0, 3, 1);
    ck_assert(!inbox_push(&in, t));
    inbox_stream_open(&in, 0, false);
    ck_assert(inbox_push(&in, t));
    expect(&in, 0, 3);
    expect(&in, 1, 0);
    inbox_done(&in);
}
END_TEST

static void *close_later(void *arg)
{
    sleep_ms(20);
    inbox_close(arg);
    return NULL;
}

START_TEST(closing_wakes_everybody)
{
    Inbox in;
    Pusher p;
    pthread_t thread;
    setup(&in, 1, 100);
    room[0] = false;
    ck_assert(inbox_push(&in, txn(0, 0, 1)));
    push_blocks(&p, &in, txn(0, 1, 1));
    ck_assert_int_eq(pthread_create(&thread, NULL, close_later, &in), 0);
    ck_assert_ptr_null(inbox_pop(&in));
    pthread_join(thread, NULL);
    ck_assert(!push_ends(&p));
    Txn *t = txn(1, 0, 1);
    ck_assert(!inbox_push(&in, t));
    txn_free(t);
    inbox_done(&in);
}
END_TEST

static void *poke_later(void *arg)
{
    sleep_ms(20);
    pthread_mutex_lock(&((Inbox *)arg)->mutex);
    room[0] = true;
    pthread_mutex_unlock(&((Inbox *)arg)->mutex);
    inbox_poke(arg);
    return NULL;
}

START_TEST(a_poke_makes_it_look_again)
{
    Inbox in;
    pthread_t thread;
    setup(&in, 4, 100);
    room[0] = false;
    ck_assert(inbox_push(&in, txn(0, 0, 1)));
    ck_assert_int_eq(pthread_create(&thread, NULL, poke_later, &in), 0);
    expect(&in, 0, 0);
    pthread_join(thread, NULL);
    inbox_done(&in);
}
END_TEST

START_TEST(a_gathering_stream_comes_in_bunches)
{
    Inbox in;
    inbox_init(&in, 2, 3, 100, has_room, NULL);
    room[0] = room[1] = true;
    inbox_stream_open(&in, 0, true);
    inbox_stream_open(&in, 1, false);
    int64_t start = clock_mono_ms();
    ck_assert(inbox_push(&in, txn(0, 0, 1)));
    ck_assert(inbox_push(&in, txn(0, 1, 1)));
    ck_assert(inbox_push(&in, txn(1, 0, 1)));
    expect(&in, 1, 0);
    expect(&in, 0, 0); /* when nothing new came for a while */
    ck_assert_int_ge(clock_mono_ms() - start, 150);
    expect(&in, 0, 1); /* and the rest of the bunch at once */
    /* a full ring does not wait for time */
    Pusher p;
    for (uint64_t i = 2; i < 5; i++)
        ck_assert(inbox_push(&in, txn(0, i, 1)));
    push_blocks(&p, &in, txn(0, 5, 1));
    expect(&in, 0, 2);
    ck_assert(push_ends(&p));
    inbox_stream_ungather(&in, 0);
    for (uint64_t i = 3; i < 6; i++)
        expect(&in, 0, i);
    ck_assert(inbox_push(&in, txn(0, 6, 1)));
    expect(&in, 0, 6);
    inbox_done(&in);
}
END_TEST

static Suite *inbox_suite(void)
{
    Suite *s = suite_create("merge/inbox");
    TCase *t = tcase_create("inbox");
    tcase_add_test(t, streams_take_turns);
    tcase_add_test(t, a_stream_without_room_is_passed_by);
    tcase_add_test(t, full_by_items_or_bytes);
    tcase_add_test(t, a_closed_stream_drops_and_refuses);
    tcase_add_test(t, closing_wakes_everybody);
    tcase_add_test(t, a_poke_makes_it_look_again);
    tcase_add_test(t, a_gathering_stream_comes_in_bunches);
    suite_add_tcase(s, t);
    return s;
}
UNIT_MAIN(inbox_suite)
