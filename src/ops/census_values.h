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

void census_values_add(CensusValues *v, uint64_t hash, uint32_t shard);
void census_values_done(CensusValues *v);
/* How many values are in more than one shard table. pairs (NULL: nobody asks): n_shards × n_shards numbers;
 * at [i * n_shards + j], i < j, is added how many values both hold. Sorts the list. */
uint64_t census_values_shared(CensusValues *v, size_t n_shards, uint64_t *pairs);

#endif
