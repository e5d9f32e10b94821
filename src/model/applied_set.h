/* The applied set: transactions of one stream done above its floor, with the row ranges of split ones and the
 * recorded outcome of each. Loaded from the downstream when a stream starts, then only read: the source's assembler
 * drops what is in it. One entry is also the unit that appliers write beside their rows. */
#ifndef SM_MODEL_APPLIED_SET_H
#define SM_MODEL_APPLIED_SET_H

#include "base/err.h"
#include "base/map.h"
#include "model/txn.h"

typedef struct AppliedRange {
    uint64_t from, to; /* row numbers [from, to) */
    uint32_t crc;      /* over the row images of the range; 0 for a whole transaction */
    RowCounts counts;  /* recorded outcome of the range */
} AppliedRange;

typedef struct AppliedTxn {
    AppliedRange *ranges; /* ascending, disjoint */
    size_t n_ranges;
    bool whole; /* one range that covers the whole transaction */
} AppliedTxn;

typedef struct AppliedSet {
    Arena arena;
    Map txns; /* identity text → AppliedTxn */
} AppliedSet;

AppliedSet *applied_set_new(void);
void applied_set_free(AppliedSet *s);
/* The identity as text: "uuid:gno", "d-s-seq" or "file:end_pos@server". */
void txn_identity(const TxnId *id, const char *server, StrBuf *out);
/* Entry of one transaction (or piece) in the bytes of an `applied` row. */
void applied_entry_encode(StrBuf *out, Str stream, const Txn *t, const char *server);
/* Adds the entries of one row that belong to stream. ERR_CORRUPT on bytes that are not entries. */
NODISCARD bool applied_set_decode(AppliedSet *s, Str bytes, Str stream, Err *err);
/* NULL: not in the set. */
const AppliedTxn *applied_set_find(const AppliedSet *s, const TxnId *id, const char *server);

#endif
