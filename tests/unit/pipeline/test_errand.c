#include "pipeline/errand.h"
#include <time.h>
#include "unit.h"

static void nap(void)
{
    nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
}

static void answer(void *ctx, ConnCancel *cancel)
{
    ck_assert(!conn_cancel_fired(cancel));
    *(int *)ctx += 1;
}

/* A server that never answers. */
static void hang(void *ctx, ConnCancel *cancel)
{
    while (!conn_cancel_fired(cancel))
        nap();
    *(int *)ctx += 100;
}

START_TEST(comes_back_by_itself)
{
    Errand e = {0};
    Err err = {0};
    int n = 0;
    ck_assert(!errand_is_over(&e));
    for (int i = 1; i <= 3; i++) {
        ck_assert(errand_begin(&e, answer, &n, &err));
        while (!errand_is_over(&e))
            nap();
        ck_assert_int_eq(n, i);
        ck_assert(!errand_is_over(&e)); /* told once */
    }
    errand_end(&e);
}
END_TEST

START_TEST(is_cut_short)
{
    Errand e = {0};
    Err err = {0};
    int n = 0;
    ck_assert(errand_begin(&e, hang, &n, &err));
    ck_assert(!errand_is_over(&e));
    errand_end(&e);
    ck_assert_int_eq(n, 100);
    errand_end(&e);
    ck_assert(errand_begin(&e, answer, &n, &err)); /* with a fresh cancel */
    while (!errand_is_over(&e))
        nap();
    ck_assert_int_eq(n, 101);
}
END_TEST

static Suite *errand_suite(void)
{
    Suite *s = suite_create("pipeline/errand");
    TCase *t = tcase_create("errand");
    tcase_add_test(t, comes_back_by_itself);
    tcase_add_test(t, is_cut_short);
    suite_add_tcase(s, t);
    return s;
}
UNIT_MAIN(errand_suite)
