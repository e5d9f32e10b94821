/* Who holds the key of a collision: the sources of the other shard tables are asked. */
#ifndef SM_PIPELINE_HOLDERS_H
#define SM_PIPELINE_HOLDERS_H

#include "pipeline/pipeline_impl.h"

typedef struct Holders Holders;

/* Begins to ask, by a thread of its own, one connection a source, for at most some seconds in all; NULL: the
 * stream's error is no collision, or (err is set) no thread could be started. Coordinator. */
Holders *holders_ask(Pipeline *p, const StreamCtl *c, Err *err);
/* Has everybody answered who does? Never blocks. */
bool holders_have_answered(Holders *h);
/* Then: "the other side is …". *nobody: no other shard table holds the key now, of those that answered. */
void holders_say(const Holders *h, StrBuf *text, bool *nobody);
void holders_free(Holders *h); /* cuts it short; NULL allowed */

#endif
