/* A source transaction whose fate is known, as the stages hand it on. */
#ifndef SM_MODEL_TXN_H
#define SM_MODEL_TXN_H

#include "base/arena.h"
#include "model/binding.h"
#include "model/gtid.h"
#include "model/point.h"

typedef enum RowKind { ROW_INSERT, ROW_UPDATE, ROW_DELETE } RowKind;

/* The row image as it stands in the event: null bitmap over the present columns, then their values. */
typedef struct RowImage {
    Str bytes;
    const uint8_t *present; /* bitmap over the map's columns, one bit each, LSB first; arena */
    bool full;              /* every column is present */
    /* new ids of the binding's mapped columns, one each (0: no value); set by the applier; arena */
    uint64_t *ids;
} RowImage;

typedef struct RowOp {
    const Binding *binding;
    RowKind kind;
    bool exclusive; /* conflicts with every other row of its target (no hashable key) */
    uint64_t
        row_no; /* within the transaction, counting all row changes before routing and filtering, from 0 */
    RowImage before;          /* UPDATE, DELETE */
    RowImage after;           /* INSERT, UPDATE */
    uint32_t keys_at, n_keys; /* its slice of Txn.keys */
    /* hash of the row key before and after, for ordering and folding inside a batch; 0 when exclusive */
    uint64_t row_hash_before, row_hash_after;
    bool keys_unchanged; /* UPDATE whose unique keys all keep their values */
} RowOp;

/* Identity of a transaction: (stream, GTID), or without GTID (stream, server, file, end position). */
typedef struct TxnId {
    bool has_gtid;
    Gtid gtid;
    Str file; /* always set when read from a server; end of the transaction */
    uint64_t end_pos;
    PointEvidence evidence; /* its last event */
    const char *
        server; /* identity of the server it was read from (model/point.h); interned for the process's life */
} TxnId;

/* Every row change read ends in exactly one of these. */
typedef struct RowCounts {
    uint64_t read, applied, filtered, held, parked, missed;
    uint64_t refused; /* 0: what stops its source lies behind the floor, and is not counted until it passes */
    uint64_t loaded;  /* the copy of existing rows contains, or will contain, this change */
} RowCounts;

static inline void row_counts_add(RowCounts *a, const RowCounts *b)
{
    a->read += b->read;
    a->applied += b->applied;
    a->filtered += b->filtered;
    a->held += b->held;
    a->parked += b->parked;
    a->missed += b->missed;
    a->refused += b->refused;
    a->loaded += b->loaded;
}

typedef struct TxnTarget {
    Target *target;
    bool exclusive; /* some row of the transaction is */
} TxnTarget;

typedef struct WaitFor {
    uint32_t applier;
    uint64_t order;
} WaitFor;

/* A chunk of existing rows on its way to the target: its transaction writes this row beside them. */
typedef struct TxnChunk {
    uint64_t id; /* unique in the stream, for ever */
    const Member *member;
    Str lo, hi;     /* chunk key bytes: lo < key <= hi; empty: no bound */
    uint64_t piece; /* of a table copied as one unit: 1, 2, …; 0: a chunk by key */
    Str point_json; /* the stream's point: what is before it is in the rows */
    uint64_t rows, bytes;
} TxnChunk;

/* What a transaction does to an XA transaction that is prepared in one and ended in another. */
typedef enum XaStep { XA_STEP_NONE, XA_STEP_PREPARE, XA_STEP_COMMIT } XaStep;

/* Owner: whoever holds the pointer. Made by a source thread, freed by txn_free (any thread). A transaction
 * beyond split_transaction_rows comes as several pieces: same id, consecutive row ranges, last_piece on the
 * last. */
typedef struct Txn {
    Arena arena;
    size_t budget_bytes; /* taken from the process budget; given back by whoever frees it */
    uint32_t source;     /* index of the source */
    uint32_t run;        /* the source's run number: a transaction of an earlier run is dropped */
    TxnId id;
    uint32_t timestamp;        /* seconds, of the commit, by the source's clock */
    uint32_t server_id;        /* of the server that wrote it first */
    uint64_t row_from, row_to; /* [from, to) of the transaction's row numbers that this piece covers */
    bool is_piece, last_piece; /* an unsplit transaction: is_piece false, last_piece true */
    uint32_t rows_crc;         /* pieces: CRC32 over all row image bytes of the range, filtered rows too */
    RowCounts counts;          /* read and filtered are set; the applier sets applied and missed */
    bool position_only;        /* no transaction: the stream has moved on (another file, a heartbeat) */
    bool already_applied; /* found in the applied set: only counts (recorded outcome) and position matter; no
                             ops */
    XaStep xa_step;
    Str xid; /* of that XA transaction: X'…',X'…',format as the servers print it; arena */
    RowOp *ops;
    size_t n_ops;
    bool has_ids;   /* the images' ids are set; the applier's */
    uint64_t *keys; /* write set: hashes of all ops, before and after */
    size_t n_keys;
    TxnTarget *targets; /* distinct */
    uint32_t n_targets;
    /* set by the dispatcher */
    uint64_t order;
    uint32_t applier;
    WaitFor *waits;
    uint32_t n_waits;
    uint64_t window_slot;
    int64_t read_mono_ms;  /* when its end was read, for latency */
    const TxnChunk *chunk; /* these are copied rows, not changes: they move no floor and no counter */
} Txn;

Txn *txn_new(void);
void txn_free(Txn *t);

#endif
