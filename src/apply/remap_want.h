/* The new ids that transactions need: which, in what order, and where each is written. Pure. */
#ifndef SM_APPLY_REMAP_WANT_H
#define SM_APPLY_REMAP_WANT_H

#include "apply/remap_cache.h"
#include "model/txn.h"

/* One place that waits for a new id. */
typedef struct RemapWant {
    RemapOld old;
    const KeySpace *space;
    uint64_t *to; /* in an image's ids */
} RemapWant;

typedef struct RemapWants {
    RemapWant *list;
    size_t n, cap;
} RemapWants;

/* An id that is asked for once, however many places wait for it. */
typedef struct RemapEntry {
    RemapOld old;
    const KeySpace *space;
    uint64_t new_id; /* 0: not known yet */
} RemapEntry;

void remap_wants_done(RemapWants *w);
/* Gives all images of t with mapped columns their ids (in its arena): those that are no id (NULL, absent, a 0
 * that stays 0) are set, the others are added to w. A transaction without any is marked has_ids. */
void remap_wants_add(RemapWants *w, Txn *t);
/* Sorts by target, shard table and old id, and appends each id once to *out (heap, from n on); returns how
 * many there are. */
size_t remap_wants_entries(RemapWants *w, RemapEntry **out);
/* Writes the new ids to their places; entries: all of them, as remap_wants_entries made them, with new ids.
 */
void remap_wants_fill(const RemapWants *w, const RemapEntry *entries, size_t n);
/* The entry of that id among n entries of one shard table; NULL: none. */
RemapEntry *remap_entry_find(RemapEntry *entries, size_t n, bool negative, uint64_t value);

#endif
