#include "pipeline/errand.h"
#include "base/check.h"
#include "base/poison.h"

static void *errand_main(void *arg)
{
    Errand *e = arg;
    e->run(e->ctx, e->cancel);
    conn_thread_end();
    atomic_store(&e->over, true);
    return NULL;
}

bool errand_begin(Errand *e, void (*run)(void *ctx, ConnCancel *cancel), void *ctx, Err *err)
{
    CHECK(!e->under_way, "one errand at a time");
    e->run = run;
    e->ctx = ctx;
    e->cancel = conn_cancel_new();
    atomic_store(&e->over, false);
    e->under_way = pthread_create(&e->thread, NULL, errand_main, e) == 0;
    if (e->under_way) return true;
    conn_cancel_free(e->cancel);
    e->cancel = NULL;
    return err_set(err, ERR_IO, "no thread could be started");
}

static void gather(Errand *e)
{
    pthread_join(e->thread, NULL);
    conn_cancel_free(e->cancel);
    e->cancel = NULL;
    e->under_way = false;
}

bool errand_is_over(Errand *e)
{
    if (!e->under_way || !atomic_load(&e->over)) return false;
    gather(e);
    return true;
}

void errand_end(Errand *e)
{
    if (!e->under_way) return;
    conn_cancel_fire(e->cancel);
    gather(e);
}
