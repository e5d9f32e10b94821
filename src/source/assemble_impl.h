/* The assembler's inside, shared by assemble*.c only.
 *
 *   assemble.c         the switch over event types, framing of groups, the stream's point
 *   assemble_payload.c the events inside a TRANSACTION_PAYLOAD
 *   assemble_query.c   what a statement means: transaction control, and which ones pass or stop
 *   assemble_xa.c      XA transactions: kept at PREPARE, assembled at their COMMIT
 *   assemble_rows.c    table maps, row events, savepoints, spilling
 *   assemble_deliver.c a committed group → one transaction, or pieces
 *
 * A group's rows are kept in one of three ways (RowsMode):
 *   BUILD  in memory; row operations are made as the events come in. The usual case.
 *   RAW    events only, in memory or in the spill file: the group is cut into pieces at its commit, and the
 * operations are made then. From split_rows rows or spill_bytes bytes on, and where the applied set has
 * ranges of it. COUNT  nothing is kept: the whole group is in the applied set. Filtered rows in front of the
 * first routed one are never kept, only counted and summed up (lead_…), unless ranges of the applied set may
 * have to be compared. */
#ifndef SM_SOURCE_ASSEMBLE_IMPL_H
#define SM_SOURCE_ASSEMBLE_IMPL_H

#include "base/map.h"
#include "decode/event_payload.h"
#include "decode/row.h"
#include "source/assemble.h"
#include "source/spill.h"
#include "source/xa.h"
#include "track/keyhash.h"

/* One distinct TABLE_MAP body. Lives as long as the assembler. */
typedef struct TableEntry {
    Arena arena;
    TableMap wire;          /* as the event has it */
    TableMap map;           /* as rows are kept: bound tables' COMPRESSED columns are inflated */
    const Binding *binding; /* NULL: filtered, or held */
    bool held;
    bool compressed;   /* has COMPRESSED columns */
    uint32_t index;    /* in Assembler.tables */
    size_t bitmap_len; /* bytes of a present bitmap */
} TableEntry;

/* The rows of one event. */
typedef struct Segment {
    const TableEntry *table;
    RowsKind kind;
    const uint8_t *present_before, *present_after; /* of the images the kind has, else NULL */
    bool full_before, full_after;
    bool partial; /* after images may hold JSON diffs: filtered tables only, others' rows are rewritten */
    Str rows;
    uint64_t row_from;
    uint64_t n_rows;
} Segment;

/* What of a group goes back at ROLLBACK TO. */
typedef struct Mark {
    size_t n_ops, n_keys, n_segments;
    uint64_t spill_length;
    uint64_t read, filtered, held, lead_read, lead_held;
    uint32_t lead_crc;
} Mark;

typedef struct Savepoint {
    char *name;
    Mark mark;
} Savepoint;

typedef enum GroupState {
    GROUP_NONE,
    GROUP_GTID, /* a GTID was read; BEGIN or the group's only statement follows */
    GROUP_OPEN, /* ends at XID, COMMIT, ROLLBACK */
} GroupState;

typedef enum RowsMode { ROWS_BUILD, ROWS_RAW, ROWS_COUNT } RowsMode;

typedef struct Group {
    GroupState state;
    RowsMode mode;
    bool has_gtid;
    Gtid gtid;
    const AppliedTxn *applied; /* known at once by GTID, else only at the commit */
    AlterPhase alter;
    XaStep xa_step; /* what its end does to another group's XA transaction, whose xid is in Assembler.xid */
    bool xa;        /* its events are kept by the store of prepared transactions, not assembled */
    bool keep_all;  /* ranges may have to be compared: keep filtered rows as well */
    Txn *txn;       /* its arena holds the routed rows' bytes */
    Arena side;     /* filtered rows' bytes */
    Spill *spill;
    uint64_t row_no; /* of the next row; never goes back */
    uint64_t read, filtered, held;
    uint64_t lead_read; /* filtered and held rows in front of the first kept row */
    uint64_t lead_held; /* of these, the held ones */
    uint32_t lead_crc;
    size_t keys_arena_before; /* bytes that the keys' scratch held already */
} Group;

typedef struct CurrentTable {
    uint64_t id;
    TableEntry *entry;
} CurrentTable;

enum { RECENT_TABLES = 256 };

struct Assembler {
    AssembleOpts opts;
    char *server;
    const char *server_interned;
    StreamPoint point;
    GtidSet
        *domains; /* MariaDB: last GTID of every domain delivered, also where the stream runs by position */
    bool applied_has_ranges;

    Group group;
    Savepoint *savepoints;
    size_t n_savepoints, cap_savepoints;

    Map tables_by_body; /* bytes behind the table id → TableEntry */
    TableEntry **tables;
    size_t n_tables, cap_tables;
    uint64_t generation;               /* of the answers in tables_by_body */
    TableEntry *recent[RECENT_TABLES]; /* by table id: saves the hash where a statement repeats */
    CurrentTable *current;             /* table ids of the running statement */
    size_t n_current, cap_current;

    XaStore *xa;                /* NULL: not opened yet */
    StrBuf xid;                 /* while Group.xa_step is set */
    PayloadReader *payload;     /* made when the first one comes */
    bool payload_rest;          /* events stand behind this one in the payload that it came in */
    StrBuf inflated, rewritten; /* of the event being read */

    /* scratch of the open group, kept from group to group */
    Segment *segments;
    size_t n_segments, cap_segments;
    RowOp *ops;
    size_t n_ops, cap_ops;
    Arena keys_arena;
    KeySink sink;
    Field *fields; /* before, then after */
    size_t cap_fields;
};

/* assemble.c */
void assemble_note(Assembler *a, const char *what, Str text);
/* Drops the open group without delivering anything. */
void group_drop(Assembler *a);
void group_begin(Assembler *a, GroupState state);

/* One event by its type; assembler_event adds the place to an error. */
NODISCARD bool assemble_switch(Assembler *a, const FormatDescription *fmt, const RawEvent *ev, Err *err);

/* assemble_payload.c */
NODISCARD bool assemble_payload(Assembler *a, const FormatDescription *fmt, const RawEvent *ev, Err *err);

/* assemble_query.c */
NODISCARD bool assemble_query(Assembler *a, const FormatDescription *fmt, const RawEvent *ev,
                              const QueryEvent *q, bool is_load, Err *err);

/* assemble_xa.c */
/* Opens the store at the point the stream starts from, if there is a folder; a failure is told again when it
 * is needed. */
void xa_look(Assembler *a);
/* The open group is an XA transaction: from here on its events are only kept. */
NODISCARD bool xa_start(Assembler *a, Err *err);
NODISCARD bool xa_keep(Assembler *a, unsigned type, Str body, Err *err);
NODISCARD bool assemble_xa_prepare(Assembler *a, const FormatDescription *fmt, const RawEvent *ev, Err *err);
NODISCARD bool assemble_xa_statement(Assembler *a, const FormatDescription *fmt, const RawEvent *ev, Str sql,
                                     Err *err);

/* assemble_rows.c */
/* Of who looks for statements alone. */
NODISCARD bool assemble_named(Assembler *a, const FormatDescription *fmt, const RawEvent *ev, Err *err);
NODISCARD bool assemble_table_map(Assembler *a, const FormatDescription *fmt, const RawEvent *ev, Err *err);
NODISCARD bool assemble_rows(Assembler *a, const FormatDescription *fmt, const RawEvent *ev, Err *err);
void savepoint_set(Assembler *a, Str name);
NODISCARD bool savepoint_rollback(Assembler *a, Str name, Err *err);
void savepoint_release(Assembler *a, Str name);
void savepoints_clear(Assembler *a);
void table_entry_free(TableEntry *e);
/* Rows of this table that no transaction carries, into the right count. */
static inline void count_unbound(const TableEntry *t, uint64_t n, uint64_t *filtered, uint64_t *held)
{
    if (t->binding) return;
    if (t->held)
        *held += n;
    else
        *filtered += n;
}
/* One row off the reader; with build its operation (and keys) are appended to the scratch. */
NODISCARD bool segment_row(Assembler *a, const Segment *s, Reader *r, uint64_t row_no, bool build, Err *err);
/* A record of the spill file as a segment; views into the record. */
NODISCARD bool segment_unpack(const Assembler *a, Str record, Segment *s, Err *err);
void ops_clear(Assembler *a);

/* assemble_deliver.c */
/* ev ended the group: delivers what it holds (nothing but its identity when there are no rows), moves the
 * point. */
NODISCARD bool group_commit(Assembler *a, const RawEvent *ev, Err *err);
NODISCARD bool deliver_position(Assembler *a, Str file, uint64_t pos, uint32_t timestamp,
                                const PointEvidence *evidence, Err *err);

#endif
