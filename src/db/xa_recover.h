/* XA transactions that a server holds prepared. */
#ifndef SM_DB_XA_RECOVER_H
#define SM_DB_XA_RECOVER_H

#include "base/arena.h"
#include "db/conn.h"

typedef struct PreparedXids {
    Arena arena;
    Str *xids; /* X'…',X'…',format: as the servers write them into their binlogs */
    size_t n;
} PreparedXids;

/* XA RECOVER. A transaction stands there from its PREPARE until its COMMIT is done and visible, whoever's it
 * is. Blocks. ERR_DB_ACCESS_DENIED: MySQL wants XA_RECOVER_ADMIN. The caller calls xa_recover_done. */
NODISCARD bool xa_recover(Conn *c, PreparedXids *out, Err *err);
void xa_recover_done(PreparedXids *p);

#endif
