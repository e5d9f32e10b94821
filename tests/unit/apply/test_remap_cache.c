#include "apply/remap_cache.h"
#include "random.h"
#include "unit.h"

START_TEST(an_id_is_its_shard_table_sign_and_value)
{
    static const RemapOld olds[] = {
        {0, false, 5}, {1, false, 5}, {0, false, 6}, {0, true, (uint64_t)-5}, {0, false, (uint64_t)-5},
        {0, false, 0}};
    RemapCache *c = remap_cache_new(64);
    for (size_t i = 0; i < ARRAY_LEN(olds); i++)
        ck_assert_uint_eq(remap_cache_get(c, &olds[i]), 0);
    for (size_t i = 0; i < ARRAY_LEN(olds); i++)
        remap_cache_put(c, &olds[i], 100 + i);
    for (size_t i = 0; i < ARRAY_LEN(olds); i++)
        ck_assert_uint_eq(remap_cache_get(c, &olds[i]), 100 + i);
    remap_cache_free(c);
}
END_TEST

/* Many more ids than it holds: what it knows is right, and what was put last is there. */
START_TEST(forgets_and_never_mistakes)
{
    enum { ENTRIES = 256, ROUNDS = 200000 };
    RemapCache *c = remap_cache_new(ENTRIES);
    Random random = {7};
    uint64_t hits = 0;
    for (int i = 0; i < ROUNDS; i++) {
        RemapOld old = {(uint32_t)random_below(&random, 3), random_below(&random, 2) == 1,
                        random_below(&random, 2000)};
        uint64_t is = 1 + ((uint64_t)old.space << 40 | (uint64_t)old.negative << 39 | old.value);
        uint64_t got = remap_cache_get(c, &old);
        ck_assert(got == 0 || got == is);
        hits += got != 0;
        remap_cache_put(c, &old, is);
        ck_assert_uint_eq(remap_cache_get(c, &old), is);
    }
    ck_assert_uint_gt(hits, 0);
    uint64_t kept = 0;
    for (uint32_t space = 0; space < 3; space++)
        for (int negative = 0; negative < 2; negative++)
            for (uint64_t v = 0; v < 2000; v++)
                kept += remap_cache_get(c, &(RemapOld){space, negative, v}) != 0;
    ck_assert_uint_le(kept, ENTRIES);
    remap_cache_free(c);
}
END_TEST

START_TEST(neighbours_fit_together)
{
    enum { ENTRIES = 4096 };
    RemapCache *c = remap_cache_new(ENTRIES);
    for (uint64_t v = 0; v < ENTRIES; v++)
        remap_cache_put(c, &(RemapOld){2, false, 1000000 + v}, v + 1);
    for (uint64_t v = 0; v < ENTRIES; v++)
        ck_assert_uint_eq(remap_cache_get(c, &(RemapOld){2, false, 1000000 + v}), v + 1);
    remap_cache_free(c);
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("apply/remap_cache");
    TCase *t = tcase_create("cache");
    tcase_add_test(t, an_id_is_its_shard_table_sign_and_value);
    tcase_add_test(t, forgets_and_never_mistakes);
    tcase_add_test(t, neighbours_fit_together);
    suite_add_tcase(s, t);
    return s;
}

UNIT_MAIN(suite)
