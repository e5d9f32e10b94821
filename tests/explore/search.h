/* Breadth first through all that can happen in a game. */
#ifndef SM_TESTS_EXPLORE_SEARCH_H
#define SM_TESTS_EXPLORE_SEARCH_H

#include "world.h"

typedef struct SearchResult {
    size_t states, ends, ends_in[LOCK_OPERATOR + 1]; /* by the lock's state */
    bool broken, cut;                                /* cut: the limit of states was reached */
    StrBuf trace; /* broken: the shortest way there, a move a line, and what is broken */
} SearchResult;

void search(Game *g, size_t most_states, SearchResult *out);
/* Programs with blanks between members: "iBi iBi". False: they make no sense. */
bool game_of(Game *g, const char *programs, const LockOpts *opts);
void game_done(Game *g);

#endif
