/* Something that is asked of servers for the coordinator, by a thread of its own: one that does not answer
 * holds up nothing else. Owner: the coordinator. */
#ifndef SM_PIPELINE_ERRAND_H
#define SM_PIPELINE_ERRAND_H

#include <pthread.h>
#include <stdatomic.h>
#include "db/conn.h"

/* Zeroed: nothing is under way. */
typedef struct Errand {
    pthread_t thread;
    bool under_way;
    _Atomic bool over;
    ConnCancel *cancel; /* of the connections that `run` opens */
    void (*run)(void *ctx, ConnCancel *cancel);
    void *ctx;
} Errand;

/* ctx is the thread's until errand_is_over or errand_end. None may be under way. ERR_IO: no thread. */
NODISCARD bool errand_begin(Errand *e, void (*run)(void *ctx, ConnCancel *cancel), void *ctx, Err *err);
/* Has it come back? Then another may begin. False also when none is under way. Never blocks. */
bool errand_is_over(Errand *e);
/* Cuts it short, if one is under way; blocks until its thread has ended. */
void errand_end(Errand *e);

#endif
