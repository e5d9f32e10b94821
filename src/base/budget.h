/* One bound on memory for the whole process. Sources take before they hand a transaction on, appliers give
 * back when it is done; a taker waits while the budget is spent. */
#ifndef SM_BASE_BUDGET_H
#define SM_BASE_BUDGET_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/attrs.h"

typedef struct Budget {
    pthread_mutex_t mutex;
    pthread_cond_t room;
    size_t limit, used, peak; /* bytes; guarded by mutex */
    uint64_t next_ticket,
        serving; /* takers are served in the order they came: a large one is not starved by small ones */
    bool closed;
} Budget;

void budget_init(Budget *b, size_t limit_bytes);
void budget_done(Budget *b);
/* Blocks until n bytes fit; one piece larger than the limit passes when nothing else is out. False after
 * budget_close. Wake-up: budget_give, budget_close. */
NODISCARD bool budget_take(Budget *b, size_t n);
void budget_give(Budget *b, size_t n);
void budget_close(Budget *b);
size_t budget_used(Budget *b);

#endif
