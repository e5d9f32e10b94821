/* Events → whole transactions whose fate is known, as arenas of row operations with their write sets.
 *
 * Fate first: nothing is delivered before COMMIT/XID; ROLLBACK drops, ROLLBACK TO drops back to the
 * savepoint; rows at an XA PREPARE wait in a synced file (source/xa.h) and are delivered as rows of the
 * transaction that has the XA COMMIT, under its identity, or dropped at the XA ROLLBACK. A transaction beyond
 * spill_bytes goes to a file until its fate is known, then is delivered in pieces of split_rows. What is in
 * the applied set is dropped (counted with its recorded outcome). What cannot be decoded or understood is an
 * error with file:position; there is no default branch that drops.
 *
 * Counts: the rows of an XA transaction count once, when its XA COMMIT is read; the transaction of its
 * PREPARE has none, and rows that are rolled back belong to no count, as those of any other ROLLBACK.
 *
 * Packed events: those inside a TRANSACTION_PAYLOAD stand where the payload stands (its end is their
 * position, its CRC their evidence); compressed rows, COMPRESSED columns and JSON diffs are rewritten to what
 * a plain event would have held, for tables that are routed. Of MariaDB's two-phase ALTER only the COMMIT
 * changes anything.
 *
 * What stops although it may not concern a routed table, because nobody could say so or count its rows:
 * rows events that the server has cut into parts, row events without any column, column types that cannot be
 * walked, an XA COMMIT whose PREPARE lies before the start of the stream; statements in a database that is
 * routed, or that name a routed table, whose rows are not in the binlog; statements that cannot be read and
 * might name one. What passes with a note: statements that are not understood and name no routed table,
 * statement-format changes elsewhere, unknown events that the server marks as ignorable.
 *
 * Rows rolled back to a savepoint keep their numbers but belong to no count and no CRC. Filtered rows in
 * front of the first routed one belong to the first piece whatever their number; a transaction with filtered
 * rows alone is never split. After an error the caller goes on from assembler_point: only errors that do not
 * retry come after the first piece of a transaction was delivered. */
#ifndef SM_SOURCE_ASSEMBLE_H
#define SM_SOURCE_ASSEMBLE_H

#include "base/budget.h"
#include "model/applied_set.h"
#include "model/txn.h"
#include "source/stream.h"

/* A statement that changes tables, some of them routed, as the binlog has it. Valid during the call. */
typedef struct DdlEvent {
    const QueryEvent *query;
    const StreamPoint *point; /* before it */
    TxnId id;                 /* its own */
    uint32_t timestamp;
    Str server_version; /* of the server that wrote it, as its binlog says: "10.11.8-MariaDB-log" */
    const char *what;   /* "ALTER TABLE" */
    const TableName *tables;
    size_t n_tables;
    bool of_database;     /* tables[0].schema goes */
    Str schema_collation; /* default of the database it makes a table in, where somebody asked; else empty */
} DdlEvent;

typedef struct AssembleHooks {
    void *ctx;
    /* Where do the rows of this table map go? *binding NULL: filtered. The map is the caller's; a hook that
     * keeps it (a new binding) copies it. Called once per distinct TABLE_MAP body; the assembler caches. May
     * read the store. */
    bool (*resolve)(void *ctx, uint32_t source, const TableMap *map, const Binding **binding, Err *err);
    /* Is this table routed (kept by the allow-list)? For DDL and statement-format DML. */
    bool (*routed)(void *ctx, uint32_t source, TableName name);
    /* May a table of this schema be routed, or exist as a member now? For DROP/ALTER DATABASE. */
    bool (*schema_routed)(void *ctx, uint32_t source, Str schema);
    /* Takes the transaction over; may block (backpressure). False: stopping; the transaction stays the
     * caller's. */
    bool (*deliver)(void *ctx, Txn *txn);
    /* Is this shard table known already? For the note that a CREATE TABLE leaves. NULL: nobody knows. */
    bool (*exists)(void *ctx, uint32_t source, TableName name);
    /* A schema change of routed tables. Called before anything behind it is read. ERR_SOURCE_DDL when nobody
     * can follow it. NULL: nobody can. */
    bool (*ddl)(void *ctx, uint32_t source, const DdlEvent *e, Err *err);
    /* With only_statements: a routed table's columns as the binlog names them here (FULL metadata). Once for
     * each distinct TABLE_MAP body. NULL: nobody asks. */
    void (*named)(void *ctx, uint32_t source, const TableMap *map);
    /* Are the rows of this table held from this point on? They are counted as held, and nothing else. Asked
     * instead of resolve where it says so. NULL: none are. */
    bool (*held)(void *ctx, uint32_t source, const TableMap *map, const StreamPoint *at);
    /* What resolve and held answered counts while this number stays. NULL: for ever. */
    uint64_t (*generation)(void *ctx, uint32_t source);
    /* A statement or event that passes without rows but is worth a note (unknown statement not touching us
     * …). NULL: nobody asks. */
    void (*note)(void *ctx, uint32_t source, const char *what, Str text);
    /* Is this transaction below the floor that a restart would begin at? NULL: not known; files of prepared
     * XA transactions then go at the next start only. Called any time. */
    bool (*covered)(void *ctx, uint32_t source, const TxnId *id);
    /* By GTID: the server has come to this place, between transactions, and sends nothing of what lies
     * before, because we have it. The point does not move. NULL: nobody asks. */
    void (*place)(void *ctx, uint32_t source, Str file, uint64_t pos);
} AssembleHooks;

typedef struct AssembleOpts {
    uint32_t source;       /* index */
    uint32_t run;          /* stamped into every transaction */
    const char *source_id; /* for messages */
    const char *server;    /* identity of the connected server, for positions' identities */
    Flavor flavor;
    bool use_gtid;             /* identities by GTID; false: file:end position */
    bool only_statements;      /* for looking through a stretch: rows, XA and statement-format changes are
                                  passed over, and what may change routed tables only tells hooks.ddl */
    const AppliedSet *applied; /* NULL: nothing above the floor is done */
    const char *spill_dir;
    uint64_t spill_bytes, split_rows;
    Budget *budget; /* taken before deliver, for the transaction's arena */
    AssembleHooks hooks;
} AssembleOpts;

typedef struct Assembler Assembler;

Assembler *assembler_new(const AssembleOpts *opts);
void assembler_free(Assembler *a); /* an open transaction is dropped: it will be read again */
/* After a reconnect to the same or another server: forgets the open transaction and table ids. */
void assembler_reset(Assembler *a, const char *server);
/* One event. May deliver. ERR_CANCELLED when deliver says stop. Every other error names file:pos and GTID. */
NODISCARD bool assembler_event(Assembler *a, const FormatDescription *fmt, const RawEvent *ev, Err *err);
/* The stream moved to another file outside transactions: delivers a position-only transaction (n_ops = 0, no
 * GTID).
 * evidence: the event that ends at pos (evidence->set false: not known). */
NODISCARD bool assembler_position(Assembler *a, Str file, uint64_t pos, uint32_t timestamp,
                                  const PointEvidence *evidence, Err *err);
bool assembler_in_transaction(const Assembler *a);
/* The point behind the last delivered transaction: where a reconnect goes on. Starts as the given point. */
void assembler_set_point(Assembler *a, const StreamPoint *p);
const StreamPoint *assembler_point(const Assembler *a);

#endif
