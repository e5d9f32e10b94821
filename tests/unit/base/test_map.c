#include "base/map.h"
#include "random.h"
#include "unit.h"

enum { NAMES = 400 };

static Str name_of(char *buf, uint32_t i)
{
    StrBuf b = {0};
    for (uint32_t k = 0; k < i % 5; k++)
        sb_ch(&b, 0); /* bytes, not text; 0 is the empty key */
    if (i) sb_u64(&b, i);
    memcpy(buf, sb_view(&b).ptr, b.len);
    size_t n = b.len;
    sb_done(&b);
    return str_make(buf, n);
}

START_TEST(does_what_an_array_does)
{
    static int values[16];
    int *model[NAMES] = {0};
    Map m = {0};
    Random r = {(uint64_t)_i + 1};
    char buf[32];
    size_t count = 0;
    for (int step = 0; step < 30000; step++) {
        uint32_t i = random_below(&r, NAMES);
        Str key = name_of(buf, i);
        /* grows for a while, shrinks for a while */
        uint32_t what = random_below(&r, 10) + (step / 5000 % 2 ? 3 : 0);
        ck_assert_ptr_eq(map_get(&m, key), model[i]);
        if (what < 6) {
            int *v = &values[random_below(&r, 16)];
            ck_assert_ptr_eq(map_put(&m, key, v), model[i]);
            count += model[i] == NULL;
            model[i] = v;
        } else {
            ck_assert_ptr_eq(map_take(&m, key), model[i]);
            count -= model[i] != NULL;
            model[i] = NULL;
        }
        memset(buf, 'x', sizeof buf); /* keys are copies */
        ck_assert_uint_eq(m.count, count);
    }
    size_t iter = 0, seen = 0;
    void *v;
    Str key;
    while (map_next(&m, &iter, &key, &v)) {
        ck_assert_ptr_eq(map_get(&m, key), v);
        seen++;
    }
    ck_assert_uint_eq(seen, count);
    for (uint32_t i = 0; i < NAMES; i++)
        ck_assert_ptr_eq(map_get(&m, name_of(buf, i)), model[i]);
    map_done(&m);
    ck_assert_ptr_null(map_get(&m, STR("1")));
}
END_TEST

START_TEST(an_empty_map)
{
    Map m = {0};
    size_t iter = 0;
    void *v;
    ck_assert_ptr_null(map_get(&m, STR("a")));
    ck_assert_ptr_null(map_take(&m, STR("a")));
    ck_assert(!map_next(&m, &iter, NULL, &v));
    map_done(&m);
}
END_TEST

static Suite *map_suite(void)
{
    Suite *s = suite_create("base/map");
    TCase *t = tcase_create("map");
    tcase_add_loop_test(t, does_what_an_array_does, 0, 3);
    tcase_add_test(t, an_empty_map);
    suite_add_tcase(s, t);
    return s;
}
UNIT_MAIN(map_suite)
