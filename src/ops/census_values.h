/* Which values of a key more than one shard table holds: by hashes of them. Pure. */
#ifndef SM_OPS_CENSUS_VALUES_H
#define SM_OPS_CENSUS_VALUES_H

#include <stddef.h>
#include <stdint.h>

typedef struct CensusValue {
    uint64_t hash;
    uint32_t shard; /* from 0 */
} CensusValue;

typedef struct CensusValues {
    CensusValue *list; /* heap */
    size_t n, cap;
} CensusValues;

/* Two shard tables, a < b, and how many values both hold. */
typedef struct CensusCommon {
    uint32_t a, b;
    uint64_t values;
} CensusCommon;

void census_values_add(CensusValues *v, uint64_t hash, uint32_t shard);
void census_values_done(CensusValues *v);
/* How many values are in more than one shard table. Sorts the list. */
uint64_t census_values_shared(CensusValues *v, size_t n_shards);
/* The pairs that hold most values in common, at most `most` of them (> 0), those with most first, then by
 * their numbers; returns how many. The list is sorted. Memory grows with the values and with the shard
 * tables, not with their pairs. */
size_t census_values_common(const CensusValues *v, size_t n_shards, CensusCommon *out, size_t most);

#endif
