/* The applied set: transactions of one stream done above its floor, with the row ranges of split ones and the
 * recorded outcome of each. Loaded from the downstream when a stream starts, then only read: the source's
 * assembler drops what is in it. One entry is also the unit that appliers write beside their rows. */
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
    TxnId id;
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
/* Writes the entries of one `applied` row; what repeats from entry to entry is written once. {0} starts a
 * row. */
typedef struct AppliedEncoder {
    StrBuf out;
    char stream[64];
    Gtid last;
    Str file; /* of the entry before; valid while that transaction lives */
    const char *server;
    bool has_gtid, has_file;
} AppliedEncoder;
/* One transaction or piece, with its counts as recorded outcome. */
void applied_encode(AppliedEncoder *e, Str stream, const Txn *t);

/* Adds the entries of one row that belong to stream and are not below floor; *added counts them up.
 * ERR_CORRUPT on bytes that are not entries. */
NODISCARD bool applied_set_decode(AppliedSet *s, Str bytes, Str stream, const StreamPoint *floor,
                                  size_t *added, Err *err);
/* The streams that have entries in one row, for pruning: calls fn for each entry's stream. */
NODISCARD bool applied_row_streams(Str bytes, void (*fn)(void *ctx, Str stream), void *ctx, Err *err);
/* Is the transaction below the point? GTID: membership; else same server and file:pos not behind the point's.
 */
bool point_covers(const StreamPoint *p, const TxnId *id);
/* Is everything up to a server's end in it? */
bool point_reaches(const StreamPoint *floor, const StreamPoint *end);
/* Is every transaction of the set below the point by now? */
bool applied_set_below(const AppliedSet *s, const StreamPoint *p);
/* NULL: not in the set. */
const AppliedTxn *applied_set_find(const AppliedSet *s, const TxnId *id, const char *server);

#endif
