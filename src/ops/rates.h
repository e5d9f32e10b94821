/* Rows per second of each source, from two status objects and the time between them. */
#ifndef SM_OPS_RATES_H
#define SM_OPS_RATES_H

#include <jansson.h>
#include "base/map.h"

/* {0} is a valid empty one. Owner: the watch thread. */
typedef struct Rates {
    Map sources; /* source id → sample, owned */
} Rates;

/* Adds "rows_per_s" to every source of the status object (row changes whose fate became durable, smoothed
 * over about two seconds) and returns their sum. now_ms: monotonic. */
uint64_t rates_update(Rates *r, json_t *status, int64_t now_ms);
void rates_done(Rates *r);

#endif
