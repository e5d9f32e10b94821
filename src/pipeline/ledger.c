#include "pipeline/ledger.h"
#include <stdlib.h>
#include "base/poison.h"

void ledger_init(Ledger *l)
{
    *l = (Ledger){0};
    pthread_mutex_init(&l->mutex, NULL);
}

void ledger_done(Ledger *l)
{
    for (size_t i = 0; i < l->n; i++)
        free(l->rows[i].parts);
    free(l->rows);
    pthread_mutex_destroy(&l->mutex);
}

void ledger_add(Ledger *l, MetaRowKey key, const LedgerPart *parts, uint32_t n_parts)
{
    LedgerPart *copy = mem_alloc((n_parts + 1) * sizeof *copy);
    if (n_parts) memcpy(copy, parts, n_parts * sizeof *copy);
    pthread_mutex_lock(&l->mutex);
    if (l->n == l->cap) {
        l->cap = l->cap ? l->cap * 2 : 256;
        l->rows = mem_realloc(l->rows, l->cap * sizeof *l->rows);
    }
    l->rows[l->n++] = (LedgerRow){.key = key, .parts = copy, .n_parts = n_parts};
    pthread_mutex_unlock(&l->mutex);
}

void ledger_covered(Ledger *l, bool (*is_covered)(void *ctx, const LedgerPart *part), void *ctx,
                    MetaRowKey **keys, size_t *n)
{
    pthread_mutex_lock(&l->mutex);
    *keys = mem_alloc((l->n + 1) * sizeof **keys);
    *n = 0;
    for (size_t i = 0; i < l->n; i++) {
        bool covered = true;
        for (uint32_t p = 0; covered && p < l->rows[i].n_parts; p++)
            covered = is_covered(ctx, &l->rows[i].parts[p]);
        if (covered) (*keys)[(*n)++] = l->rows[i].key;
    }
    pthread_mutex_unlock(&l->mutex);
}

/* keys stand in the ledger's own order: ledger_covered made them. */
void ledger_forget(Ledger *l, const MetaRowKey *keys, size_t n)
{
    pthread_mutex_lock(&l->mutex);
    size_t kept = 0, k = 0;
    for (size_t i = 0; i < l->n; i++) {
        if (k < n && l->rows[i].key.applier == keys[k].applier &&
            l->rows[i].key.commit_seq == keys[k].commit_seq) {
            free(l->rows[i].parts);
            k++;
        } else {
            l->rows[kept++] = l->rows[i];
        }
    }
    l->n = kept;
    pthread_mutex_unlock(&l->mutex);
}
