/* What the connected user may do, as SHOW GRANTS says it. Main thread. */
#ifndef SM_OPS_CHECK_GRANTS_H
#define SM_OPS_CHECK_GRANTS_H

#include "base/arena.h"
#include "db/conn.h"

typedef struct GrantLine {
    Str privileges;    /* "SELECT, INSERT (`a`)", "ALL PRIVILEGES" */
    Str schema, table; /* * = all; schema may hold the wildcards % and _ */
} GrantLine;

typedef struct Grants {
    Arena arena;
    Str user; /* 'u'@'host', quoted for a GRANT */
    GrantLine *lines;
    size_t n;
    bool has_roles; /* privileges may come from roles that are not spelled out here */
} Grants;

NODISCARD bool grants_read(Conn *c, Grants *out, Err *err);
/* One SHOW GRANTS line; false when it grants no privilege on anything (PROXY, roles). Pure. */
bool grants_parse(Str line, Arena *arena, GrantLine *out);
/* Is the privilege granted on all of schema.table (table empty: all tables of the schema; schema empty:
 * globally)? Pure. */
bool grants_have(const Grants *g, const char *privilege, Str schema, Str table);
void grants_done(Grants *g);

#endif
