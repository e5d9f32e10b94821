#include "pipeline/stream_ask.h"
#include <stdlib.h>
#include "db/server.h"
#include "pipeline/catalog.h"
#include "pipeline/errand.h"
#include "base/poison.h"

/* The thread's, until the errand is over. */
struct StreamAsk {
    Errand errand;
    StreamCtl *stream;
    StreamAskKind kind;
    bool has_floor, ok;
    StreamPoint at;
    Err err;
};

static bool ask_place(StreamAsk *a, ConnCancel *cancel)
{
    StreamCtl *c = a->stream;
    Conn *conn = NULL;
    Flavor flavor = FLAVOR_UNKNOWN;
    bool ok = stream_connect_until(c, cancel, &conn, &a->err);
    if (ok && a->kind == STREAM_ASK_FIRST)
        ok = catalog_start_point(c->pipeline->catalog, c->index, conn, &a->at, &a->err);
    else if (ok)
        ok = server_detect_flavor(conn, &flavor, &a->err) &&
             server_current_point(conn, flavor, &a->at, &a->err);
    conn_close(conn);
    return ok;
}

static void ask(void *ctx, ConnCancel *cancel)
{
    StreamAsk *a = ctx;
    StreamCtl *c = a->stream;
    bool first = a->kind == STREAM_ASK_FIRST;
    a->ok = ((first && a->has_floor) || ask_place(a, cancel)) &&
            (!first || !(c->load || c->pipeline->ddl) ||
             catalog_list_late(c->pipeline->catalog, c->index, cancel, &a->err));
}

StreamAsk *stream_ask(StreamCtl *c, StreamAskKind kind, Err *err)
{
    StreamAsk *a = mem_zalloc(sizeof *a);
    a->stream = c;
    a->kind = kind;
    a->has_floor = c->has_floor;
    if (errand_begin(&a->errand, ask, a, err)) return a;
    stream_ask_free(a);
    return NULL;
}

bool stream_ask_is_over(StreamAsk *a)
{
    return errand_is_over(&a->errand);
}

bool stream_ask_take(StreamAsk *a, StreamPoint *at, Err *err)
{
    bool ok = a->ok;
    if (ok) {
        *at = a->at;
        a->at = (StreamPoint){0};
    } else {
        err_move(err, &a->err);
    }
    stream_ask_free(a);
    return ok;
}

void stream_ask_free(StreamAsk *a)
{
    if (!a) return;
    errand_end(&a->errand);
    point_done(&a->at);
    err_clear(&a->err);
    free(a);
}
