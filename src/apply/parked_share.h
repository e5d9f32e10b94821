/* Inside the part that follows a target's schema changes: parked_rekey.c, and what it parks for keys to come,
 * parked_share.c. */
#ifndef SM_APPLY_PARKED_SHARE_H
#define SM_APPLY_PARKED_SHARE_H

#include "apply/parked_impl.h"
#include "apply/parked_rekey.h"

/* All rows of the target that share a key which is not unique there yet become parked ones. They are looked
 * for outside of a transaction, which nobody waits for: nobody writes to the target. Some at a time are
 * parked in one that locks the task's row, and that looks at just their values again. Done again when it was
 * interrupted. *moved: raised by the rows. Errors as parked_rekey. */
NODISCARD bool parked_share(Conn *c, const Dialect *d, const ParkedRekey *r, int64_t *moved, Err *err);

/* -- parked_rekey.c: one transaction; it locks the task's row -- */
NODISCARD bool rekey_begin(Conn *c, const Dialect *d, const ParkedRekey *r, Err *err);
/* Commits, or (not ok) rolls back; true: committed. */
NODISCARD bool rekey_end(Conn *c, bool ok, Err *err);
Settle rekey_settle(Conn *c, const ParkedRekey *r);

#endif
