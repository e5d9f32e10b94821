#ifndef SM_TESTS_EXPLORE_ORDERS_H
#define SM_TESTS_EXPLORE_ORDERS_H

#include <stddef.h>

/* Two members run the same `most` changes, in any two orders: random walks. Returns how many games broke a
 * promise; they are printed. */
size_t walk_orders(int most);

#endif
