#include "base/clock.h"
#include "base/check.h"
#include "base/poison.h"

static int64_t now_ms(clockid_t id)
{
    struct timespec t;
    clock_gettime(id, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

int64_t clock_mono_ms(void)
{
    return now_ms(CLOCK_MONOTONIC);
}
int64_t clock_wall_ms(void)
{
    return now_ms(CLOCK_REALTIME);
}

void clock_format_utc(StrBuf *out, int64_t wall_ms)
{
    time_t s = (time_t)(wall_ms / 1000);
    struct tm tm;
    gmtime_r(&s, &tm);
    sb_printf(out, "%04d-%02d-%02dT%02d:%02d:%02d.%03dZ", tm.tm_year + 1900, tm.tm_mon + 1, tm.tm_mday,
              tm.tm_hour, tm.tm_min, tm.tm_sec, (int)(wall_ms % 1000));
}

void clock_cond_init(pthread_cond_t *cond)
{
    pthread_condattr_t attr;
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    CHECK(pthread_cond_init(cond, &attr) == 0, "condition variable");
    pthread_condattr_destroy(&attr);
}

bool clock_cond_wait_until(pthread_cond_t *cond, pthread_mutex_t *mutex, int64_t deadline_ms)
{
    struct timespec t = {.tv_sec = deadline_ms / 1000, .tv_nsec = deadline_ms % 1000 * 1000000};
    return pthread_cond_timedwait(cond, mutex, &t) == 0;
}

void waker_init(Waker *w)
{
    pthread_mutex_init(&w->mutex, NULL);
    clock_cond_init(&w->cond);
    w->woken = false;
}

void waker_done(Waker *w)
{
    pthread_mutex_destroy(&w->mutex);
    pthread_cond_destroy(&w->cond);
}

bool waker_sleep(Waker *w, int64_t ms)
{
    int64_t deadline = clock_mono_ms() + ms;
    pthread_mutex_lock(&w->mutex);
    while (!w->woken && clock_cond_wait_until(&w->cond, &w->mutex, deadline)) {
    }
    bool woken = w->woken;
    pthread_mutex_unlock(&w->mutex);
    return woken;
}

void waker_wake(Waker *w)
{
    pthread_mutex_lock(&w->mutex);
    w->woken = true;
    pthread_cond_broadcast(&w->cond);
    pthread_mutex_unlock(&w->mutex);
}

void waker_reset(Waker *w)
{
    pthread_mutex_lock(&w->mutex);
    w->woken = false;
    pthread_mutex_unlock(&w->mutex);
}
