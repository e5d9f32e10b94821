/* Prepared XA transactions of one source, on disk until their end is below the floor.
 *
 * A prepared transaction's rows stand in the binlog at its PREPARE, its fate at an XA COMMIT or XA ROLLBACK,
 * which may come days later, when the floor is far beyond the PREPARE and the server has purged it. So its
 * events are kept in a file of the state folder, which is whole and synced before the PREPARE counts as done:
 *
 *   <source>.<hash of source>-<hash of xid>-<hash of the PREPARE's identity>.xa
 *
 * One record (source/spill.h) per event, then an end record that says whose they are. It has another name
 * until all of it is on the disk. When the end of the transaction has been read, a last record says which
 * transaction that was (not synced: without it a file only stays longer; it is synced before the xid is in
 * force anew).
 *
 * What a start at point P finds:
 *   PREPARE not in P            it will be read again: removed
 *   end known and in P          done: removed
 *   else                        in force: the transaction waits for its end
 * An xid may be used again after its end; then there are two files, told apart by the PREPARE. Files of an
 * older PREPARE of an xid that is prepared again had their end in between. Owned by one thread; blocks on
 * disk. All errors: ERR_SOURCE_SPILL with the path. */
#ifndef SM_SOURCE_XA_H
#define SM_SOURCE_XA_H

#include "decode/event.h"
#include "model/applied_set.h"

typedef struct XaStore XaStore;

NODISCARD bool xa_open(const char *dir, const char *source_id, const StreamPoint *from, XaStore **out,
                       Err *err);
void xa_close(XaStore *s); /* what is being written is dropped */

/* Writing one: begin, its events, then prepared or dropped. fmt: of the events. */
NODISCARD bool xa_begin(XaStore *s, Err *err);
NODISCARD bool xa_add(XaStore *s, unsigned event_type, Str body, Err *err);
void xa_drop(XaStore *s);
/* Whole, synced and in force when it returns. */
NODISCARD bool xa_prepared(XaStore *s, Str xid, const TxnId *prepare, const FormatDescription *fmt, Err *err);

/* Is a transaction of that xid prepared? */
bool xa_is_prepared(const XaStore *s, Str xid);
size_t xa_n_prepared(const XaStore *s);
/* Calls fn for each event: of the prepared transaction xid, or with an empty xid of the one being written
 * (which stays so). fmt: only what reading tables and rows needs is set. */
typedef bool (*XaEventFn)(void *ctx, const FormatDescription *fmt, unsigned event_type, Str body, Err *err);
NODISCARD bool xa_replay(XaStore *s, Str xid, const FormatDescription *now, XaEventFn fn, void *ctx,
                         Err *err);
/* Its end was read in that transaction: no longer prepared; the file stays until collect. */
NODISCARD bool xa_ended(XaStore *s, Str xid, const TxnId *end, Err *err);
/* Removes files whose end is done for good, as long as the oldest is. */
typedef bool (*XaCoveredFn)(void *ctx, const TxnId *end);
void xa_collect(XaStore *s, XaCoveredFn covered, void *ctx);

#endif
