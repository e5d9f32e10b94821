/* Inside store/: the handle. */
#ifndef SM_STORE_IMPL_H
#define SM_STORE_IMPL_H

#include <pthread.h>
#include <sqlite3.h>
#include "store/store.h"

/* Any thread: mutex guards db and run_no. */
struct Store {
    pthread_mutex_t mutex;
    sqlite3 *db;
    char *dir;
    int lock_fd; /* -1 when read-only */
    uint64_t run_no;
};

static inline sqlite3 *store_enter(Store *s)
{
    pthread_mutex_lock(&s->mutex);
    return s->db;
}

static inline bool store_leave(Store *s, bool result)
{
    pthread_mutex_unlock(&s->mutex);
    return result;
}

#endif
