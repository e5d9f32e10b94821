/* Random numbers from a seed that a failing test prints. */
#ifndef SM_TESTS_RANDOM_H
#define SM_TESTS_RANDOM_H

#include <stdint.h>

typedef struct Random {
    uint64_t state;
} Random;

/* splitmix64 */
static inline uint64_t random_next(Random *r)
{
    uint64_t z = r->state += 0x9e3779b97f4a7c15u;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
}
/* 0 … n-1 */
static inline uint32_t random_below(Random *r, uint32_t n)
{
    return (uint32_t)(random_next(r) % n);
}
static inline int random_chance(Random *r, uint32_t percent)
{
    return random_below(r, 100) < percent;
}

#endif
