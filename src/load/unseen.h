/* XA transactions whose COMMIT the stream has read but which a snapshot may not show yet.
 *
 * MariaDB writes an XA COMMIT of another connection into its binlog first and commits its rows afterwards,
 * and a consistent snapshot taken in between names a position behind the COMMIT without having the rows: what
 * is said to be exact is not (measured on 11.8: 3 of 578 snapshots beside twelve busy writers). Until the
 * rows can be seen the transaction stands in XA RECOVER. So
 *   - before a snapshot is taken the reader waits until none that the stream has come past stands there;
 *   - of those that end between the mark and the snapshot's position, the ones in doubt are put into the
 * chunk (judge.c), and all that comes behind them as well: right whether the snapshot had them or not. In
 * doubt is what stood in XA RECOVER just before the snapshot, and what ended behind the server's position of
 * just before that: anything else was over. */
#ifndef SM_LOAD_UNSEEN_H
#define SM_LOAD_UNSEEN_H

#include "load/load_impl.h"

/* Which transactions a snapshot may lack. */
typedef struct Doubt {
    char *file; /* of the server's position; heap */
    uint64_t pos;
    char *xids; /* prepared then, a line each; heap */
} Doubt;

/* A table is to be read that was not: from here on they are noted. What the stream has come past is outlasted
 * before the first snapshot, if nobody noted it; so is what runs before this one came past. Mutex held. */
void unseen_from_here(Load *l);
/* Just before the snapshot, on its connection. Blocks. */
NODISCARD bool doubt_read(LoadReader *r, Doubt **out, Err *err);
void doubt_free(Doubt *d); /* NULL allowed */

/* So many are noted at most: nobody takes them out while no table is read. Beyond that all are forgotten, and
 * outlasted like those that nobody noted. */
enum { UNSEEN_MOST = 65536 };
/* The stream has come to t. Mutex held. */
void unseen_note(Load *l, const Txn *t);
/* May what was read for the range lack t's rows, although its position is behind t? Mutex held. */
bool unseen_maybe(const Range *r, const Txn *t);
/* Blocks until everything that the stream had come past when it was called can be seen. Reader thread, mutex
 * not held. ERR_DB_RETRY, ERR_CANCELLED. */
NODISCARD bool unseen_wait(LoadReader *r, Err *err);
void unseen_forget(Load *l);

#endif
