/* Time. Pure modules never call it; stages pass times in. */
#ifndef SM_BASE_CLOCK_H
#define SM_BASE_CLOCK_H

#include <pthread.h>
#include <stdint.h>
#include <time.h>
#include "base/str.h"

/* Milliseconds since an arbitrary start; never goes back. */
int64_t clock_mono_ms(void);
/* Milliseconds since 1970-01-01 UTC. */
int64_t clock_wall_ms(void);
/* Appends 2026-01-31T23:59:59.123Z. */
void clock_format_utc(StrBuf *out, int64_t wall_ms);
/* Initialises a condition variable that waits on the monotonic clock. */
void clock_cond_init(pthread_cond_t *cond);
/* Waits on cond (from clock_cond_init) until signalled or until the monotonic time deadline_ms; false on
 * time-out. */
bool clock_cond_wait_until(pthread_cond_t *cond, pthread_mutex_t *mutex, int64_t deadline_ms);

/* A sleep that another thread can end: stopping never waits for a backoff. */
typedef struct Waker {
    pthread_mutex_t mutex;
    pthread_cond_t cond;
    bool woken; /* guarded by mutex; sticky until waker_reset */
} Waker;
void waker_init(Waker *w);
void waker_done(Waker *w);
/* Sleeps ms, or less when woken; true if woken. Blocks; wake-up: waker_wake. */
bool waker_sleep(Waker *w, int64_t ms);
void waker_wake(Waker *w);
void waker_reset(Waker *w);

#endif
