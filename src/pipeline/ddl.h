/* Schema changes of shard tables, while the task runs. This comment is the law.
 *
 * A shard table that runs a DDL statement FORKS at the point before it: from there on the main stream of its
 * source passes over its rows (counted as held) and goes on with everything else. The step is stored together
 * with the fork, before anything behind it is read. The lock of the target (lock/lock.h) then says what
 * becomes of it: which versions of whose rows may be written, and when the target itself changes.
 *
 *   main stream ──────┬──────────────────────────────────────────┬────── rows of the member again
 *                     │ from: before the DDL                  to │
 *                     └── fork: waits … round: read again ───────┘
 *
 * A fork whose first version is accepted is read again from the source's binlog by the source's CATCH-UP
 * stream: an ordinary stream of its own (own dump connection, floor, applied set, identity "SOURCE#ROUND")
 * that delivers rows of forked members alone. One round at a time takes all forks of the source that are
 * ready; everything before them is written then. When it comes to a step that is not accepted, that member's
 * fork ends there and another one waits from there on. Steps are the main stream's to make: the catch-up
 * stream comes to no statement before it. When it is near the main stream, the main stream fixes the point up
 * to which the fork goes, between two of its transactions, durably; a row of that member behind it waits
 * until the round is through.
 *
 * Who writes a row of member M in transaction t, now and after any restart, whatever was read before:
 *     a fork of M with t not before `from`, and (no `to` yet, or t before `to`)   → its round
 *     else                                                                        → the main stream
 * Membership of sets, never order. A fork stays on record until the main stream's stored floor has passed its
 * `to`: then nobody asks again.
 *
 * The target changes while no row of it is on the way: its members fork (at any point between two
 * transactions), and when everything before their forks is written, the statement runs, journalled
 * (apply/target_ddl.h); then the forks catch up. So nothing but rows of that target ever waits.
 *
 * Held rows lie in the source's binlog, nowhere else: a source that purges it while a member is held needs
 * that member copied again. Status tells how long each fork waits.
 *
 * Threads: the sources' (statement, held, filter, boundary), the coordinator (tick); one mutex, taken after
 * the catalog's and before the pipeline's and the copy's, never held while asking a server. */
#ifndef SM_PIPELINE_DDL_H
#define SM_PIPELINE_DDL_H

#include <jansson.h>
#include "load/load.h"
#include "source/source.h"
#include "track/bind.h"

typedef struct Ddl Ddl;
struct Pipeline;

Ddl *ddl_new(struct Pipeline *p);
void ddl_free(Ddl *d);
/* Reads steps, forks, rounds and locks from the state folder; the catalog is open, nothing runs. */
NODISCARD bool ddl_open(Ddl *d, Err *err);

/* Members of a source that could not be reached when the task started. Coordinator. */
void ddl_know_source(Ddl *d, uint32_t source);

/* -- streams; stream: index, main streams first, then one catch-up stream for each -- */

/* The stream begins to run at this point; applied: what of it is done above. Coordinator. */
NODISCARD bool ddl_stream_begins(Ddl *d, uint32_t stream, const StreamPoint *at, const AppliedSet *applied,
                                 Err *err);
/* May it? Not while a target changes and its members of this source are not forked. Coordinator. */
bool ddl_may_begin(Ddl *d, uint32_t stream);
NODISCARD bool ddl_statement(Ddl *d, uint32_t stream, const DdlEvent *e, Err *err);
bool ddl_held(Ddl *d, uint32_t stream, const TableMap *map, const StreamPoint *at);
uint64_t ddl_generation(Ddl *d, uint32_t stream);
/* Have other shard tables of this one's target rows that are held, and that can be written while this stream
 * waits with that transaction (NULL: a copied row)? They may give up a key that is taken. 0: none; else a
 * number that is another one when something of them was written. who: their names, may be NULL. Any thread.
 */
uint64_t ddl_held_beside(Ddl *d, uint32_t stream, const Member *m, const TxnId *waits, StrBuf *who);
/* Takes rows that are not this stream's out of the transaction, and waits for a round that has to be through
 * first. False: the stream is being stopped. */
NODISCARD bool ddl_filter(Ddl *d, Txn *t);
void ddl_boundary(Ddl *d, uint32_t stream, const StreamPoint *at);

/* Does a shard table bear this name (or lie in this schema) where the stream is now? */
bool ddl_bears(Ddl *d, uint32_t stream, TableName name);
bool ddl_bears_schema(Ddl *d, uint32_t stream, Str schema);
/* Whose table it is; NULL: of nobody who has ever changed. The catalog's mutex may be held. */
const Member *ddl_member_named(Ddl *d, uint32_t stream, TableName name);
/* Does the member's target have a lock that knows it? The catalog's mutex is held. */
bool ddl_has_lock(Ddl *d, const Member *m);
/* What rows that the stream reads now look like, and where they go. */
typedef struct DdlVersion {
    uint64_t number;
    const TableSchema *schema;
    const BindFeeds *feeds; /* NULL: by name */
} DdlVersion;
/* *known false: the member never changed and its target has no lock. Memory: arena. The catalog's mutex is
 * held. */
NODISCARD bool ddl_version(Ddl *d, uint32_t stream, const Member *m, Arena *arena, bool *known,
                           DdlVersion *out, Err *err);

/* -- the copy of existing rows -- */

/* Which members are held, so that nothing of them is read. Coordinator. */
void ddl_copy_frozen(Ddl *d, const Member *const *members, size_t n, bool *frozen);
/* What is copied is known: can the rest be read as the task says? ERR_NOT_SUPPORTED. Coordinator. */
NODISCARD bool ddl_copy_may_begin(Ddl *d, uint32_t source, Err *err);
/* A run of the copy has begun. Coordinator. */
void ddl_copy_begun(Ddl *d, uint32_t source);
/* What the copy (of a catch-up stream: its judge) has to know of the table as the stream reads it now, or (at
 * not NULL) as it is at that point. Leaves *v and *out alone for a member that is not known. Memory: arena.
 * The catalog's mutex is held. */
NODISCARD bool ddl_copy_look(Ddl *d, uint32_t stream, const Member *m, const StreamPoint *at, Arena *arena,
                             DdlVersion *v, LoadTableInfo *out, Err *err);

/* -- coordinator -- */

/* One step of everything. False: the state folder or the meta schema fails. */
NODISCARD bool ddl_tick(Ddl *d, Err *err);
/* The threads that change targets end: called when no stream runs any more. */
void ddl_stop(Ddl *d);
/* Does anything wait or run that keeps rows from the targets? Any thread. */
bool ddl_is_quiet(Ddl *d);
/* Is this row of sm_applied of a round that is through? */
bool ddl_round_is_over(Ddl *d, uint32_t stream, uint32_t run);
/* Is the stream's name one of a finished round of a known source? */
bool ddl_is_old_round(Ddl *d, Str stream_id);

/* -- operators; any thread -- */

/* [{"target","state",…}], new reference; target empty: all. */
json_t *ddl_locks_json(Ddl *d, Str target);
/* The lock of a target that is not closed; JSON null otherwise. */
json_t *ddl_target_lock_json(Ddl *d, TableName target);
/* Forks of a source: [{"table","state","since"}], and rows written by rounds, new references. */
json_t *ddl_held_json(Ddl *d, uint32_t source, RowCounts *rounds);

typedef struct DdlDecision {
    Str target, decision, source, table, by;
    const char *const *sql; /* replace: the statements */
    size_t n_sql;
    bool preview;
} DdlDecision;
/* Durable and recorded. words: what it does, one line each. ERR_LOCK_DECISION, ERR_LOCK_EVENT. */
NODISCARD bool ddl_decide(Ddl *d, const DdlDecision *decision, StrBuf *words, Err *err);

#endif
