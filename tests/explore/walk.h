/* Random walks through games that are too long to be searched: members go through the same changes, each at
 * its own pace, with kills. */
#ifndef SM_TESTS_EXPLORE_WALK_H
#define SM_TESTS_EXPLORE_WALK_H

#include "world.h"

/* Plays so many games; prints each broken one with its seed and its way. How many were broken. */
size_t walk(size_t games, uint64_t seed);
/* Random walks through one game; false: a promise is broken, g->broken says which, and the way is printed. */
bool walk_game(Game *g, uint64_t seed, int walks);

#endif
