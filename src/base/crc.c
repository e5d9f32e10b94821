#include "base/crc.h"
#include <string.h>
#include <zlib.h>
#if defined(__x86_64__)
#include <immintrin.h>
#endif
#include "base/attrs.h"
#include "base/poison.h"

static uint32_t sum_plain(uint32_t crc, const uint8_t *p, size_t n)
{
    return n ? (uint32_t)crc32_z(crc, p, n) : crc; /* without bytes zlib begins anew */
}

#if defined(__x86_64__)

/* Blocks of 16 bytes are polynomials over GF(2). A block that stands d bits in front of another may be added
 * to it once it was multiplied by x^d mod P: each of its halves with a constant of its own. Source of truth:
 * "Fast CRC Computation for Generic Polynomials Using PCLMULQDQ" (Intel, 2009); the constants are its x^n mod
 * P with the bits reflected, shifted by one. */
#define FAST __attribute__((target("pclmul,sse4.1")))
#define FAST_INLINE FAST static inline __attribute__((always_inline))

enum { BLOCK = 16, STRIDE = 4 * BLOCK };

FAST_INLINE __m128i load(const uint8_t *p)
{
    return _mm_loadu_si128((const __m128i *)(const void *)p);
}

FAST_INLINE __m128i fold(__m128i block, __m128i by, __m128i onto)
{
    __m128i low = _mm_clmulepi64_si128(block, by, 0x00), high = _mm_clmulepi64_si128(block, by, 0x11);
    return _mm_xor_si128(_mm_xor_si128(low, high), onto);
}

/* The last n = 1..15 bytes, which end at end. Behind the block they make 16 + n bytes: the first n are folded
 * onto the other 16. At least 16 bytes stand in front of end. */
FAST_INLINE __m128i fold_tail(__m128i block, const uint8_t *end, size_t n, __m128i by)
{
    /* a shuffle takes bytes by number; numbers with the high bit give zeros */
    static const uint8_t window[3 * BLOCK] = {
        0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80,
        0,    1,    2,    3,    4,    5,    6,    7,    8,    9,    10,   11,   12,   13,   14,   15,
        0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80};
    __m128i up = load(window + n), down = load(window + BLOCK + n);
    __m128i first = _mm_shuffle_epi8(block, up);  /* its first n bytes, at the end of a block of zeros */
    __m128i rest = _mm_shuffle_epi8(block, down); /* the others, at the beginning of one */
    /* of the last 16 bytes before end, those that are not the block's own */
    __m128i keep = _mm_cmplt_epi8(down, _mm_setzero_si128());
    return fold(first, by, _mm_or_si128(rest, _mm_and_si128(load(end - BLOCK), keep)));
}

/* 128 bits → their remainder of 32. */
FAST_INLINE uint32_t remainder_of(__m128i block, __m128i by)
{
    const __m128i by_32 = _mm_set_epi64x(0, 0x163cd6124), low_32 = _mm_set_epi32(0, 0, 0, -1);
    const __m128i barrett = _mm_set_epi64x(0x1f7011641, 0x1db710641); /* x^64 / P, P */
    block = _mm_xor_si128(_mm_srli_si128(block, 8), _mm_clmulepi64_si128(block, by, 0x10));
    __m128i low = _mm_and_si128(block, low_32);
    block = _mm_xor_si128(_mm_srli_si128(block, 4), _mm_clmulepi64_si128(low, by_32, 0x00));
    low = _mm_clmulepi64_si128(_mm_and_si128(block, low_32), barrett, 0x10);
    low = _mm_clmulepi64_si128(_mm_and_si128(low, low_32), barrett, 0x00);
    return (uint32_t)_mm_extract_epi32(_mm_xor_si128(block, low), 1);
}

/* n is at least BLOCK. */
FAST static uint32_t sum_fast(uint32_t crc, const uint8_t *p, size_t n)
{
    const __m128i by_stride = _mm_set_epi64x(0x1c6e41596, 0x154442bd4); /* 4 blocks on */
    const __m128i by_block = _mm_set_epi64x(0x0ccaa009e, 0x1751997d0);  /* 1 block on */
    const uint8_t *end = p + n;
    __m128i x = _mm_xor_si128(load(p), _mm_cvtsi32_si128((int)~crc));
    if (n >= STRIDE) {
        __m128i y = load(p + BLOCK), z = load(p + 2 * BLOCK), w = load(p + 3 * BLOCK);
        for (p += STRIDE; end - p >= STRIDE; p += STRIDE) {
            x = fold(x, by_stride, load(p));
            y = fold(y, by_stride, load(p + BLOCK));
            z = fold(z, by_stride, load(p + 2 * BLOCK));
            w = fold(w, by_stride, load(p + 3 * BLOCK));
        }
        x = fold(fold(fold(x, by_block, y), by_block, z), by_block, w);
    } else {
        p += BLOCK;
    }
    for (; end - p >= BLOCK; p += BLOCK)
        x = fold(x, by_block, load(p));
    if (p < end) x = fold_tail(x, end, (size_t)(end - p), by_block);
    return ~remainder_of(x, by_block);
}

uint32_t crc_sum(uint32_t crc, const void *p, size_t n)
{
    if (n >= BLOCK && __builtin_cpu_supports("pclmul") && __builtin_cpu_supports("sse4.1"))
        return sum_fast(crc, p, n);
    return sum_plain(crc, p, n);
}
#else
uint32_t crc_sum(uint32_t crc, const void *p, size_t n)
{
    return sum_plain(crc, p, n);
}
#endif
