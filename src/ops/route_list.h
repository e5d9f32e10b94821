/* A list of table names for the dry run without servers. */
#ifndef SM_OPS_ROUTE_LIST_H
#define SM_OPS_ROUTE_LIST_H

#include "base/arena.h"
#include "base/err.h"
#include "model/schema.h"

/* Tables of one source. */
typedef struct RouteList {
    TableName *tables; /* in the arena given */
    size_t n;
} RouteList;

/* Reads text: one name a line, `source.schema.table` (of that source) or `schema.table` (of every source); a
 * part in back quotes may hold dots (a back quote in it is doubled); empty lines and lines that begin with #
 * do not count. lists[i] gets the tables of sources[i]. ERR_ROUTE_LIST with name:line:column;
 * ERR_OPS_NO_SUCH_SOURCE. Pure. */
NODISCARD bool route_list_parse(const char *name, Str text, const Str *sources, size_t n_sources,
                                Arena *arena, RouteList *lists, Err *err);

/* The bytes of a file, or of standard input for "-". ERR_ROUTE_LIST; more than 64 MiB is refused. Blocks on
 * the file. */
NODISCARD bool route_list_read(const char *path, StrBuf *out, Err *err);

#endif
