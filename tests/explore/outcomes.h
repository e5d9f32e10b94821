/* The page of outcomes: docs/reference/ddl-outcomes.md, from what the lock does. */
#ifndef SM_TESTS_EXPLORE_OUTCOMES_H
#define SM_TESTS_EXPLORE_OUTCOMES_H

void outcomes_print(void);

#endif
