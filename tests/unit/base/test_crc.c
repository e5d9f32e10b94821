#include "unit.h"
#include <zlib.h>
#include "base/crc.h"
#include "base/str.h"
#include "base/poison.h"

enum { MOST = 700, LARGE = 1 << 20 };

static void fill(uint8_t *p, size_t n, uint64_t seed)
{
    for (size_t i = 0; i < n; i++) {
        seed = seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
        p[i] = (uint8_t)(seed >> 56);
    }
}

/* zlib is the oracle; the bytes end where the block ends, so that the address sanitizer sees a read behind.
 */
START_TEST(every_length_is_what_zlib_says)
{
    for (size_t n = 0; n <= MOST; n++) {
        uint8_t *p = mem_alloc(n + n % 2 + (n == 0)), *at = p + n % 2; /* aligned or not */
        fill(at, n, n);
        for (uint32_t crc = 0, i = 0; i < 3; crc = crc * 31 + 0x9e3779b9, i++)
            ck_assert_uint_eq(crc_sum(crc, at, n), n ? crc32_z(crc, at, n) : crc);
        free(p);
    }
}
END_TEST

START_TEST(pieces_add_up)
{
    uint8_t *p = mem_alloc(LARGE);
    fill(p, LARGE, 4711);
    uint32_t whole = (uint32_t)crc32_z(0, p, LARGE), crc = 0;
    ck_assert_uint_eq(crc_sum(0, p, LARGE), whole);
    for (size_t at = 0, n = 0; at < LARGE; at += n, n = (n * 7 + 3) % 5000) {
        n = MIN(n, LARGE - at);
        crc = crc_sum(crc, p + at, n);
    }
    ck_assert_uint_eq(crc, whole);
    free(p);
}
END_TEST

START_TEST(known_values)
{
    ck_assert_uint_eq(crc_sum(0, "123456789", 9), 0xcbf43926);
    ck_assert_uint_eq(crc_sum(0, NULL, 0), 0);
    ck_assert_uint_eq(crc_sum(5, NULL, 0), 5);
    ck_assert_uint_eq(crc_sum(0, "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0", 16), 0xecbb4b55);
}
END_TEST

static Suite *crc_suite(void)
{
    Suite *s = suite_create("base/crc");
    TCase *t = tcase_create("crc");
    tcase_add_test(t, every_length_is_what_zlib_says);
    tcase_add_test(t, pieces_add_up);
    tcase_add_test(t, known_values);
    suite_add_tcase(s, t);
    return s;
}
UNIT_MAIN(crc_suite)
