/* The ledger of committed batches: which rows of sm_applied exist downstream, and when the floors cover them
 * wholly so that they may go. Appliers add, the coordinator asks. */
#ifndef SM_PIPELINE_LEDGER_H
#define SM_PIPELINE_LEDGER_H

#include <pthread.h>
#include "apply/meta.h"

/* A stream that is over for good: all of it is covered. */
enum { LEDGER_OVER = UINT32_MAX - 1 };

/* What one row holds of one stream. */
typedef struct LedgerPart {
    uint32_t stream; /* UINT32_MAX: a stream that is not in the task */
    uint32_t run;    /* 0: of an earlier process */
    uint64_t slot;   /* highest window slot */
} LedgerPart;

typedef struct LedgerRow {
    MetaRowKey key;
    LedgerPart *parts;
    uint32_t n_parts;
} LedgerRow;

typedef struct Ledger {
    pthread_mutex_t mutex;
    LedgerRow *rows; /* guarded by mutex */
    size_t n, cap;
} Ledger;

void ledger_init(Ledger *l);
void ledger_done(Ledger *l);
/* parts is copied. */
void ledger_add(Ledger *l, MetaRowKey key, const LedgerPart *parts, uint32_t n_parts);
/* Appends the keys of rows all of whose parts are covered; they stay in the ledger until ledger_forget. */
void ledger_covered(Ledger *l, bool (*is_covered)(void *ctx, const LedgerPart *part), void *ctx,
                    MetaRowKey **keys, size_t *n);
/* These rows are deleted downstream. */
void ledger_forget(Ledger *l, const MetaRowKey *keys, size_t n);

#endif
