/* A table that is to be copied again. */
#include <stdatomic.h>
#include <stdlib.h>
#include "load/load_impl.h"
#include "load/unseen.h"
#include "base/poison.h"

/* What is on its way goes into the target behind this; nor may a reader begin anything. */
static bool is_still(const Load *l, const LoadTable *t)
{
    bool still = t->frozen || t->left || l->opts.judges_only || !l->threads;
    for (size_t i = 0; still && i < t->n_ranges; i++)
        still = t->ranges[i]->state != RANGE_SENT && !t->ranges[i]->pieces_busy;
    return still;
}

bool load_forget(Load *l, const Member *m)
{
    pthread_mutex_lock(&l->mutex);
    LoadTable *t = load_table_of(l, m);
    bool still = !t || is_still(l, t);
    if (t && still) {
        table_throw(l, t);
        while (t->n_ranges) {
            Range *r = t->ranges[t->n_ranges - 1];
            range_remove(t, r);
            range_free(r); /* a unit's file stays, for a start that finds its pieces on record */
        }
        t->stale = true;
        t->rows = t->bytes = t->unread = 0;
        t->complete = t->following = t->behind = t->moved = false;
        unseen_from_here(l);
        pthread_cond_broadcast(&l->changed);
    }
    pthread_mutex_unlock(&l->mutex);
    return still;
}

void load_forgotten(Load *l, const Member *m)
{
    pthread_mutex_lock(&l->mutex);
    LoadTable *t = load_table_of(l, m);
    if (!t || (!t->n_ranges && !t->unit_busy)) unit_discard(l, m);
    pthread_mutex_unlock(&l->mutex);
}
