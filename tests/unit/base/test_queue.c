/* What blocks: queue, budget, waker. A helper thread does one blocking call; the test sees whether it is
 * back. */
#include "base/queue.h"
#include <stdatomic.h>
#include "base/budget.h"
#include "base/clock.h"
#include "unit.h"

typedef struct Call {
    void (*fn)(struct Call *c);
    void *on, *item;
    size_t n;
    pthread_t thread;
    _Atomic int result; /* -1: blocked */
} Call;

static void call_push(Call *c)
{
    atomic_store(&c->result, queue_push(c->on, c->item, c->n));
}
static void call_pop(Call *c)
{
    void *p = queue_pop(c->on);
    atomic_store(&c->result, p == c->item);
}
static void call_take(Call *c)
{
    atomic_store(&c->result, budget_take(c->on, c->n));
}
static void call_sleep(Call *c)
{
    atomic_store(&c->result, waker_sleep(c->on, 30000));
}

static void *call_main(void *arg)
{
    ((Call *)arg)->fn(arg);
    return NULL;
}

static void nap(long ms)
{
    nanosleep(&(struct timespec){.tv_nsec = ms * 1000000}, NULL);
}

static void call_blocks(Call *c, void (*fn)(Call *), void *on, void *item, size_t n)
{
    *c = (Call){.fn = fn, .on = on, .item = item, .n = n, .result = -1};
    ck_assert_int_eq(pthread_create(&c->thread, NULL, call_main, c), 0);
    nap(15);
    ck_assert_int_eq(atomic_load(&c->result), -1);
}

static int call_result(Call *c)
{
    pthread_join(c->thread, NULL);
    return atomic_load(&c->result);
}

static int items[16];

START_TEST(bounded_by_items)
{
    Queue q;
    Call c;
    queue_init(&q, 2, 1000);
    ck_assert(queue_push(&q, &items[0], 1) && queue_push(&q, &items[1], 1));
    call_blocks(&c, call_push, &q, &items[2], 1);
    ck_assert_ptr_eq(queue_pop(&q), &items[0]);
    ck_assert_int_eq(call_result(&c), 1);
    ck_assert_uint_eq(queue_count(&q), 2);
    ck_assert_ptr_eq(queue_pop_now(&q), &items[1]);
    ck_assert_ptr_eq(queue_pop_now(&q), &items[2]);
    ck_assert_ptr_null(queue_pop_now(&q));
    queue_done(&q);
}
END_TEST

START_TEST(bounded_by_bytes)
{
    Queue q;
    Call c, d;
    queue_init(&q, 10, 100);
    ck_assert(queue_push(&q, &items[0], 5000)); /* beyond the bound, but alone */
    call_blocks(&c, call_push, &q, &items[1], 50);
    call_blocks(&d, call_push, &q, &items[2], 50);
    ck_assert_ptr_eq(queue_pop(&q), &items[0]); /* room for both */
    ck_assert_int_eq(call_result(&c), 1);
    ck_assert_int_eq(call_result(&d), 1);
    call_blocks(&c, call_push, &q, &items[3], 1);
    ck_assert_ptr_nonnull(queue_pop(&q));
    ck_assert_int_eq(call_result(&c), 1);
    queue_done(&q);
}
END_TEST

START_TEST(close_drains)
{
    Queue q;
    Call c, d;
    queue_init(&q, 1, 100);
    ck_assert(queue_push(&q, &items[0], 1));
    call_blocks(&c, call_push, &q, &items[1], 1);
    queue_close(&q);
    ck_assert_int_eq(call_result(&c), 0); /* stays the caller's */
    ck_assert(!queue_push(&q, &items[1], 1));
    ck_assert(!queue_is_done(&q));
    ck_assert_ptr_eq(queue_pop(&q), &items[0]);
    ck_assert(queue_is_done(&q));
    ck_assert_ptr_null(queue_pop(&q));
    queue_done(&q);
    queue_init(&q, 1, 100);
    call_blocks(&c, call_pop, &q, NULL, 0);
    call_blocks(&d, call_pop, &q, NULL, 0);
    queue_close(&q);
    ck_assert_int_eq(call_result(&c), 1);
    ck_assert_int_eq(call_result(&d), 1);
    queue_done(&q);
}
END_TEST

START_TEST(abort_drops)
{
    Queue q;
    Call c, d;
    queue_init(&q, 1, 100);
    ck_assert(queue_push(&q, &items[0], 1));
    call_blocks(&c, call_push, &q, &items[1], 1);
    queue_abort(&q);
    ck_assert_int_eq(call_result(&c), 0);
    ck_assert_ptr_null(queue_pop(&q));
    ck_assert(queue_is_done(&q));
    ck_assert_ptr_eq(queue_pop_now(&q), &items[0]); /* to free what is left */
    queue_done(&q);
    queue_init(&q, 1, 100);
    call_blocks(&d, call_pop, &q, NULL, 0);
    queue_abort(&q);
    ck_assert_int_eq(call_result(&d), 1);
    queue_done(&q);
}
END_TEST

START_TEST(a_push_wakes_a_pop)
{
    Queue q;
    Call c;
    queue_init(&q, 2, 100);
    call_blocks(&c, call_pop, &q, &items[3], 0);
    ck_assert(queue_push(&q, &items[3], 1));
    ck_assert_int_eq(call_result(&c), 1);
    int64_t start = clock_mono_ms();
    ck_assert_ptr_null(queue_pop_until(&q, start + 20));
    ck_assert_int_ge(clock_mono_ms() - start, 19);
    ck_assert_ptr_null(queue_pop_until(&q, start)); /* already over */
    ck_assert(queue_push(&q, &items[4], 1));
    ck_assert_ptr_eq(queue_pop_until(&q, start), &items[4]);
    queue_done(&q);
}
END_TEST

enum { PRODUCERS = 3, CONSUMERS = 3, EACH = 5000 };

typedef struct Crowd {
    Queue q;
    _Atomic uint64_t popped;
    _Atomic uint8_t seen[PRODUCERS * EACH];
    char base[PRODUCERS * EACH];
    _Atomic unsigned next;
} Crowd;

static void *produce(void *arg)
{
    Crowd *c = arg;
    unsigned me = atomic_fetch_add(&c->next, 1);
    for (unsigned i = 0; i < EACH; i++)
        if (!queue_push(&c->q, &c->base[me * EACH + i], i % 40)) return NULL;
    return NULL;
}

static void *consume(void *arg)
{
    Crowd *c = arg;
    for (char *p; (p = queue_pop(&c->q));) {
        atomic_fetch_add(&c->seen[p - c->base], 1);
        atomic_fetch_add(&c->popped, 1);
    }
    return NULL;
}

START_TEST(a_crowd_loses_nothing)
{
    Crowd *c = mem_zalloc(sizeof *c);
    pthread_t p[PRODUCERS], k[CONSUMERS];
    queue_init(&c->q, 4, 90);
    for (int i = 0; i < PRODUCERS; i++)
        ck_assert_int_eq(pthread_create(&p[i], NULL, produce, c), 0);
    for (int i = 0; i < CONSUMERS; i++)
        ck_assert_int_eq(pthread_create(&k[i], NULL, consume, c), 0);
    for (int i = 0; i < PRODUCERS; i++)
        pthread_join(p[i], NULL);
    queue_close(&c->q);
    for (int i = 0; i < CONSUMERS; i++)
        pthread_join(k[i], NULL);
    ck_assert_uint_eq(atomic_load(&c->popped), PRODUCERS * EACH);
    for (int i = 0; i < PRODUCERS * EACH; i++)
        ck_assert_uint_eq(atomic_load(&c->seen[i]), 1);
    queue_done(&c->q);
    free(c);
}
END_TEST

START_TEST(a_budget_is_shared)
{
    Budget b;
    Call c, d;
    budget_init(&b, 100);
    ck_assert(budget_take(&b, 60) && budget_take(&b, 40));
    call_blocks(&c, call_take, &b, NULL, 50);
    budget_give(&b, 40);
    nap(15);
    ck_assert_int_eq(atomic_load(&c.result), -1); /* 60 + 50 */
    budget_give(&b, 20);
    ck_assert_int_eq(call_result(&c), 1);
    ck_assert_uint_eq(budget_used(&b), 90);
    call_blocks(&c, call_take, &b, NULL, 5000);
    call_blocks(&d, call_take, &b, NULL, 1); /* first come, first served: a large one is not starved */
    budget_give(&b, 90);
    ck_assert_int_eq(call_result(&c), 1); /* more than the limit, alone */
    nap(15);
    ck_assert_int_eq(atomic_load(&d.result), -1);
    budget_close(&b);
    ck_assert_int_eq(call_result(&d), 0);
    ck_assert(!budget_take(&b, 1));
    budget_give(&b, 5000);
    ck_assert_uint_eq(budget_used(&b), 0);
    ck_assert_uint_eq(b.peak, 5000);
    budget_done(&b);
}
END_TEST

START_TEST(a_sleep_ends_when_woken)
{
    Waker w;
    Call c;
    waker_init(&w);
    int64_t start = clock_mono_ms();
    ck_assert(!waker_sleep(&w, 20));
    ck_assert_int_ge(clock_mono_ms() - start, 19);
    call_blocks(&c, call_sleep, &w, NULL, 0);
    waker_wake(&w);
    ck_assert_int_eq(call_result(&c), 1);
    ck_assert(waker_sleep(&w, 30000)); /* it stays woken */
    waker_reset(&w);
    ck_assert(!waker_sleep(&w, 1));
    ck_assert(!waker_sleep(&w, 0));
    ck_assert_int_lt(clock_mono_ms() - start, 5000);
    waker_done(&w);
}
END_TEST

START_TEST(times_as_text)
{
    StrBuf b = {0};
    clock_format_utc(&b, 0);
    sb_ch(&b, ' ');
    clock_format_utc(&b, 1769903999123);
    ck_assert_str_eq(b.ptr, "1970-01-01T00:00:00.000Z 2026-01-31T23:59:59.123Z");
    sb_done(&b);
    ck_assert_int_gt(clock_wall_ms(), 1769903999123);
}
END_TEST

static Suite *queue_suite(void)
{
    Suite *s = suite_create("base/queue, budget, clock");
    TCase *t = tcase_create("queue");
    tcase_set_timeout(t, 20);
    tcase_add_test(t, bounded_by_items);
    tcase_add_test(t, bounded_by_bytes);
    tcase_add_test(t, close_drains);
    tcase_add_test(t, abort_drops);
    tcase_add_test(t, a_push_wakes_a_pop);
    tcase_add_test(t, a_crowd_loses_nothing);
    tcase_add_test(t, a_budget_is_shared);
    tcase_add_test(t, a_sleep_ends_when_woken);
    tcase_add_test(t, times_as_text);
    suite_add_tcase(s, t);
    return s;
}
UNIT_MAIN(queue_suite)
