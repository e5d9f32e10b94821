/* Dates and times as one number that grows with them (load/key_part.h). Pure; for this folder. */
#ifndef SM_LOAD_MOMENT_H
#define SM_LOAD_MOMENT_H

#include "load/key_part.h"

/* The number of a temporal column's field; false when its bytes are none of the kind. */
bool moment_of_field(KeyPartKind kind, const MapColumn *m, Field f, uint64_t *out);
/* Appends its text with fsp fraction digits: TIMESTAMP as UTC. */
void moment_text(KeyPartKind kind, uint32_t fsp, uint64_t number, StrBuf *out);
uint64_t moment_highest(KeyPartKind kind, uint32_t fsp);
uint64_t moment_lowest_time(uint32_t fsp);
/* A number near the middle of the two that a column with these fraction digits can hold; lo itself when there
 * is none between. Of dates, one that exists, unless only others lie between. */
uint64_t moment_middle(KeyPartKind kind, uint32_t fsp, uint64_t lo, uint64_t hi);

#endif
