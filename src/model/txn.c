#include "model/txn.h"
#include <stdlib.h>
#include "base/poison.h"

Txn *txn_new(void)
{
    Txn *t = mem_zalloc(sizeof *t);
    t->last_piece = true;
    return t;
}

void txn_free(Txn *t)
{
    if (!t) return;
    arena_done(&t->arena);
    free(t);
}
