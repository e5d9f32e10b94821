/* Which key is in flight where: the last order and applier that wrote each key. Only the dispatcher touches
 * it. Entries are never removed one by one: an entry whose order its applier has committed is stale, and
 * stale entries go when the table is rebuilt. */
#ifndef SM_MERGE_KEYTABLE_H
#define SM_MERGE_KEYTABLE_H

#include <stdatomic.h>
#include "base/str.h"

typedef struct KeyEntry {
    uint64_t key;
    uint64_t order; /* 0: free slot */
    uint32_t applier;
} KeyEntry;

typedef struct KeyTable {
    KeyEntry *entries;
    size_t cap, count;
    const _Atomic uint64_t *committed; /* by applier: orders up to here are done */
} KeyTable;

void keytable_init(KeyTable *t, const _Atomic uint64_t *committed);
void keytable_done(KeyTable *t);
/* The live entry of key, or NULL. */
const KeyEntry *keytable_find(const KeyTable *t, uint64_t key);
void keytable_put(KeyTable *t, uint64_t key, uint64_t order, uint32_t applier);

#endif
