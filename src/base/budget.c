#include "base/budget.h"
#include "base/check.h"
#include "base/poison.h"

void budget_init(Budget *b, size_t limit_bytes)
{
    *b = (Budget){.limit = limit_bytes};
    pthread_mutex_init(&b->mutex, NULL);
    pthread_cond_init(&b->room, NULL);
}

void budget_done(Budget *b)
{
    pthread_mutex_destroy(&b->mutex);
    pthread_cond_destroy(&b->room);
}

bool budget_take(Budget *b, size_t n)
{
    pthread_mutex_lock(&b->mutex);
    uint64_t ticket = b->next_ticket++;
    while (!b->closed && (ticket != b->serving || (b->used && b->used + n > b->limit)))
        pthread_cond_wait(&b->room, &b->mutex);
    bool open = !b->closed;
    if (open) {
        b->used += n;
        b->serving++;
        pthread_cond_broadcast(&b->room);
    }
    if (b->used > b->peak) b->peak = b->used;
    pthread_mutex_unlock(&b->mutex);
    return open;
}

void budget_give(Budget *b, size_t n)
{
    pthread_mutex_lock(&b->mutex);
    CHECK(b->used >= n, "more memory given back than taken");
    b->used -= n;
    pthread_cond_broadcast(&b->room);
    pthread_mutex_unlock(&b->mutex);
}

void budget_close(Budget *b)
{
    pthread_mutex_lock(&b->mutex);
    b->closed = true;
    pthread_cond_broadcast(&b->room);
    pthread_mutex_unlock(&b->mutex);
}

size_t budget_used(Budget *b)
{
    pthread_mutex_lock(&b->mutex);
    size_t n = b->used;
    pthread_mutex_unlock(&b->mutex);
    return n;
}
