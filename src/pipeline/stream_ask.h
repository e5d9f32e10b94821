/* What the coordinator asks of a stream's source, by a thread of its own: a source that does not answer holds
 * up nothing else. Coordinator, but where it says otherwise. */
#ifndef SM_PIPELINE_STREAM_ASK_H
#define SM_PIPELINE_STREAM_ASK_H

#include "pipeline/pipeline_impl.h"

typedef struct StreamAsk StreamAsk;

typedef enum StreamAskKind {
    STREAM_ASK_FIRST, /* of one that never ran in this process: where it begins, if it has no floor; what
                         tables there are, if they are copied or may change. Never while it runs */
    STREAM_ASK_END,   /* where the server is now */
} StreamAskKind;

/* Begins; NULL: ERR_IO. Never blocks. */
StreamAsk *stream_ask(StreamCtl *c, StreamAskKind kind, Err *err);
/* Has it come back? Never blocks. */
bool stream_ask_is_over(StreamAsk *a);
/* Then: *at is set where it asked for a place (point_done). Frees. False: what it met. */
NODISCARD bool stream_ask_take(StreamAsk *a, StreamPoint *at, Err *err);
/* Cuts it short; NULL allowed. */
void stream_ask_free(StreamAsk *a);

#endif
