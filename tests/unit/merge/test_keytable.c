#include "merge/keytable.h"
#include "random.h"
#include "unit.h"

START_TEST(an_entry_lives_until_its_order_is_done)
{
    _Atomic uint64_t committed[2] = {0, 0};
    KeyTable t;
    keytable_init(&t, committed);
    ck_assert_ptr_null(keytable_find(&t, 5));
    keytable_put(&t, 5, 1, 0);
    keytable_put(&t, 5 + 4096, 2, 1); /* the same slot */
    ck_assert_uint_eq(keytable_find(&t, 5)->order, 1);
    ck_assert_uint_eq(keytable_find(&t, 5 + 4096)->applier, 1);
    atomic_store(&committed[0], 1);
    ck_assert_ptr_null(keytable_find(&t, 5));
    ck_assert_uint_eq(keytable_find(&t, 5 + 4096)->order, 2); /* behind a stale one */
    keytable_put(&t, 5, 3, 1);
    ck_assert_uint_eq(keytable_find(&t, 5)->order, 3);
    ck_assert_uint_eq(keytable_find(&t, 5)->applier, 1);
    keytable_put(&t, 0, 4, 0); /* a key like any other */
    ck_assert_uint_eq(keytable_find(&t, 0)->order, 4);
    keytable_done(&t);
}
END_TEST

/* Against a plain array, through many rebuilds; stale entries do not make it grow. */
START_TEST(rebuilds_keep_what_lives)
{
    enum { KEYS = 20000, STEPS = 300000, WINDOW = 3000 };
    static struct {
        uint64_t order;
        uint32_t applier;
    } model[KEYS];
    _Atomic uint64_t committed[3] = {0, 0, 0};
    Random r = {21};
    KeyTable t;
    keytable_init(&t, committed);
    for (uint64_t order = 1; order <= STEPS; order++) {
        uint32_t k = random_below(&r, KEYS), applier = random_below(&r, 3);
        keytable_put(&t, k * 0x9e3779b97f4a7c15u, order, applier);
        model[k].order = order;
        model[k].applier = applier;
        if (order > WINDOW) atomic_store(&committed[random_below(&r, 3)], order - WINDOW);
        k = random_below(&r, KEYS);
        const KeyEntry *e = keytable_find(&t, k * 0x9e3779b97f4a7c15u);
        bool lives = model[k].order > atomic_load(&committed[model[k].applier]);
        ck_assert_int_eq(e != NULL, lives);
        if (e) ck_assert(e->order == model[k].order && e->applier == model[k].applier);
    }
    ck_assert_uint_le(t.cap, 32768);
    keytable_done(&t);
}
END_TEST

static Suite *keytable_suite(void)
{
    Suite *s = suite_create("merge/keytable");
    TCase *t = tcase_create("keytable");
    tcase_add_test(t, an_entry_lives_until_its_order_is_done);
    tcase_add_test(t, rebuilds_keep_what_lives);
    suite_add_tcase(s, t);
    return s;
}
UNIT_MAIN(keytable_suite)
