#include <pthread.h>
#include "base/map.h"
#include "model/point.h"
#include "base/poison.h"

/* Never freed: a handful of server identities, pointed to by transactions in every stage. */
static struct {
    pthread_mutex_t mutex;
    Map texts; /* text → heap copy; guarded by mutex */
} interned = {.mutex = PTHREAD_MUTEX_INITIALIZER};

const char *server_intern(const char *text)
{
    if (!text) return NULL;
    pthread_mutex_lock(&interned.mutex);
    char *copy = map_get(&interned.texts, str_of(text));
    if (!copy) {
        copy = str_dup(str_of(text));
        map_put(&interned.texts, str_of(text), copy);
    }
    pthread_mutex_unlock(&interned.mutex);
    return copy;
}
