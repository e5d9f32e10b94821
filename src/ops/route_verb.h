/* The verb `route`: says where every table would go, live or for a list of names; it changes nothing. */
#ifndef SM_OPS_ROUTE_VERB_H
#define SM_OPS_ROUTE_VERB_H

#include "base/err.h"
#include "config/task.h"

typedef struct RouteVerbOpts {
    bool json;
    bool all;           /* human output lists every filtered table, not only how many */
    bool ddl;           /* the CREATE TABLE of every target instead, as a script */
    bool census;        /* what the shards' keys look like instead, and which strategy fits them */
    const char *tables; /* --tables: file with one `source.schema.table` or `schema.table` (of every source) a
                           line, `-` = standard input; NULL = ask the servers */
} RouteVerbOpts;

/* Appends the answer to out and returns the exit status: 0 nothing to mend, 1 problems found (listed in out);
 * any other with *err set: the answer could not be made (bad pattern, unreadable list, server not reachable).
 * Live: blocks on every source and the downstream, reads only. Main thread. */
NODISCARD int route_verb(const Task *task, const RouteVerbOpts *opts, StrBuf *out, Err *err);

#endif
