/* The inside of a source's copy, shared by load/ only.
 *
 *   load.c     life, members, what the outside asks
 *   range.c    the ranges of one table, in key order
 *   judge.c    the stream's thread: what becomes of each change; sending chunks the stream has come to
 *   work.c     what a reader does next: planning, segments, splitting
 *   reader.c   the reader's thread: one chunk from mark to resolve
 *   snapshot.c the three ways to read rows that are true to a position
 *   unit.c     tables without a chunk key: through a file
 *   shape.c    what a table looks like; tables that change while they are copied
 *   forget.c   a table that is to be copied again
 *
 * One mutex (Load.mutex) guards everything but what says otherwise. Nobody holds it while asking a server or
 * handing on a transaction.
 *
 * Who waits for whom, each only for what stands further down, so that no circle is closed:
 *   a reader before a chunk (choose)   for room in the memory share, rows-per-second, max-lag, the start, a
 *       place where the stream finds a schema change. Room is taken by what is read (MARKED), by what the
 *       stream comes to (READY), by what is being committed. In mode snapshot the stream may wait for such a
 *       reader: then it is behind the snapshot, so that no chunk is READY, and max-lag does not count.
 *   the stream (decide)                for a chunk that is being read; for the commit of what is SENT, as
 *       whoever waits for a frozen member. Never for a READY chunk: what is due it sends itself.
 *   a reader that plans or reads       for its server alone.
 *   a reader with a unit's pieces      for the commit of pieces that are on their way, when there is no room.
 *       Not for room alone: READY chunks take it until the stream moves, and the stream may wait for these
 *       pieces. They are chosen before all that holds chunks back, and need no connection.
 *   whoever delivers                   for the dispatcher's queue, which waits for appliers alone, as commits
 *       do; an applier waits for earlier orders (merge/merge.h) and takes nothing from here but the mutex. */
#ifndef SM_LOAD_LOAD_IMPL_H
#define SM_LOAD_LOAD_IMPL_H

#include <pthread.h>
#include "base/map.h"
#include "load/chunk_key.h"
#include "load/encode.h"
#include "load/load.h"

typedef enum RangeState { RANGE_MARKED, RANGE_READY, RANGE_SENT, RANGE_DONE } RangeState;

/* A version of a table, as it is copied. Immutable; lives as long as the run. */
typedef struct LoadShape {
    struct LoadShape *older;
    LoadTableInfo info;
    ChunkKey *key; /* NULL: a unit. The key of all versions is one, as far as anything was copied by it */
} LoadShape;

/* Part of a table's key space: lo < key <= hi. */
typedef struct Range {
    Str lo, hi; /* heap; empty: no bound */
    RangeState state;
    const LoadShape *shape; /* of its rows; NULL: committed before this run */
    bool thrown;            /* MARKED, and of no table any more: its reader frees it */
    uint64_t id;            /* chunk id, from SENT on */
    bool exact;   /* READY: the rows are exactly those at U; else changes up to U are put into them */
    char *u_file; /* READY: U, as the server said; heap */
    uint64_t u_pos;
    struct Doubt *doubt; /* READY: unseen.h; NULL: none */
    Txn *txn;            /* READY: the rows as INSERTs; owned */
    Map *by_key;       /* READY: row (chunk_key_row) → index of its operation + 1; made when first needed */
    size_t cap_ops;    /* READY: of txn->ops, once the stream has added some */
    size_t left_bytes; /* READY: of txn's memory, that nothing points to any more */
    bool changed;      /* READY: the stream has put something into txn */
    StreamPoint until; /* SENT, DONE and not covered: the stream's point when it was sent */
    bool covered;      /* DONE: the floor has passed until */
    bool has_slot;     /* committed in this run, in this slot of the window */
    uint64_t slot;
    uint64_t rows, bytes;
    size_t held; /* of the memory share, until committed */

    bool pieces_busy, pieces_sent; /* of a unit: a reader is at it; all are handed on */
    struct Unit *unit;             /* of a table without a key whose rows do not fit memory: READY, SENT */
} Range;

/* A stretch of a table that is read from its lower end upwards, by one reader at a time. */
typedef struct Segment {
    Str next, hi; /* heap: rows up to next are in ranges; empty: no bound */
    Str mark_hi;  /* heap; of the chunk being read */
    bool busy;
    unsigned halvings; /* how often (next, hi] is halved for one chunk's mark */
} Segment;

typedef enum TablePlan { PLAN_NONE, PLAN_BUSY, PLAN_MADE } TablePlan;

typedef struct LoadTable {
    const Member *member;
    LoadShape *shape;   /* the newest */
    bool stale;         /* it is of a version before: asked for again before it is used */
    bool frozen;        /* its rows are held */
    bool left;          /* it takes part no more: what is not copied stays so */
    bool behind;        /* complete, and the stream has passed all that was copied */
    uint64_t change_no; /* goes up with every change of the above */
    char *trouble_file; /* a read failed before the server stood here: the stream may have a schema change in
                           front of it; NULL: none did */
    uint64_t trouble_pos;
    bool trouble_again; /* the stream has passed there and found none */
    TablePlan plan;
    Range **ranges; /* ascending, disjoint */
    size_t n_ranges, cap_ranges;
    Segment *segments;
    size_t n_segments;
    Str min, max;        /* heap: the keys' bounds when it was planned; empty: not known */
    uint64_t chunk_rows; /* LIMIT of the next chunk, adapted to bytes and time */
    bool estimated;      /* the server was asked for what follows */
    uint64_t rows_estimated, bytes_estimated;
    uint64_t rows, bytes; /* committed */
    uint64_t unread;      /* changes dropped because the range is not read yet */
    bool complete;        /* everything is committed */
    bool following;       /* and covered: the stream asks no more */
    bool moved;           /* a chunk was committed in this run */
    bool unit_busy;       /* a reader has the table's file, also when its range was thrown away meanwhile */
} LoadTable;

typedef struct LoadReader {
    struct Load *load;
    uint32_t index;
    pthread_t thread;
    ConnCancel *cancel; /* fired by load_stop */
    Conn *conn;         /* this and below: the reader's thread */
    Conn *guard;        /* keeps a table's definition for a moment; NULL: not needed yet */
    int64_t trouble_since_ms;
    /* guarded by Load.mutex */
    LoadTable *table; /* at work on; NULL: idle */
    const char *doing;
    uint64_t chunks;
} LoadReader;

typedef struct ReadyChunk {
    LoadTable *table;
    Range *range;
} ReadyChunk;

struct Load {
    LoadOpts opts;
    Flavor flavor;
    bool use_gtid; /* the stream runs by GTID */
    LoadReader *readers;
    uint32_t n_readers;

    pthread_mutex_t place_mutex; /* held while a server is asked where a snapshot stands; nothing else */
    pthread_mutex_t mutex;
    pthread_cond_t changed;
    bool stopping, threads;
    uint32_t run;
    LoadTable **tables; /* in the order they are copied */
    size_t n_tables, cap_tables;
    LoadTable **by_member; /* by member id; NULL: not here */
    size_t n_by_member;
    struct ReadyChunk *ready; /* ranges in state READY */
    size_t n_ready, cap_ready;
    size_t held;        /* bytes of chunks marked, read and sent */
    size_t held_pieces; /* of these: of pieces of units on their way */
    size_t chunk_bytes; /* the bound for one chunk; constant */
    uint64_t next_chunk;
    int64_t rate_from_ms; /* rows-per-second: since then rate_rows were read */
    uint64_t rate_rows;

    /* where the stream is */
    StreamPoint point;  /* behind the last transaction handed on */
    TxnId current;      /* of the transaction in hand, when there is one */
    char *current_file; /* its file, when it is not point's; heap */
    bool has_current;
    const char *server; /* interned; NULL: nothing read yet */
    Map unseen;         /* unseen.h: xid → its number in the order they came */
    uint64_t n_unseen;
    unsigned unnoted;   /* goes up when a table is to be read: the stream came past others, not noted */
    unsigned outlasted; /* unnoted, when a reader knew that they can be seen */
    char *start_file;   /* where the server was when the run began; NULL: not asked yet */
    uint64_t start_pos;
    bool started;        /* the stream has come there: before, nothing is marked */
    bool stream_waits;   /* for rows to be copied */
    _Atomic bool active; /* false: every table follows, or no copy is asked for */
};

/* -- range.c (mutex held) -- */
Range *range_new(Str lo, Str hi, RangeState state);
void range_free(Range *r);
/* The range that holds the key; NULL: none. key empty (units): the first. */
Range *range_find(const LoadTable *t, Str key);
void range_insert(LoadTable *t, Range *r);
void range_remove(LoadTable *t, Range *r); /* does not free */
void range_forget_rows(Range *r);          /* by_key */
/* Gives r a new upper bound. */
void range_set_hi(Range *r, Str hi);
bool ranges_cover_all(const LoadTable *t, bool (*is)(const Range *r));
/* -1, 0, 1 of two binlog places of one server; false: they cannot be compared. */
bool place_cmp(const char *file, uint64_t pos, Str file2, uint64_t pos2, int *out);

/* -- load.c -- */
/* A member that is to be copied; takes shape over, NULL: asked for when it is used. Mutex held. */
LoadTable *load_add_table(Load *l, const Member *m, LoadShape *shape);
LoadTable *load_table_of(const Load *l, const Member *m);     /* NULL: none. Mutex held */
LoadTable *load_table_by_name(const Load *l, TableName name); /* NULL: none. Mutex held */

/* -- shape.c -- */
/* at NULL: as the stream reads it now. No mutex held. */
NODISCARD bool shape_ask(const Load *l, const Member *m, const StreamPoint *at, LoadShape **out, Err *err);
void shapes_free(LoadShape *newest);
/* Makes the table's shape the stream's. Mutex held; gives it up meanwhile. */
NODISCARD bool shape_refresh(Load *l, LoadTable *t, Err *err);
/* What was read of the table and not sent goes; its reader notices. Mutex held. */
void table_throw(Load *l, LoadTable *t);

/* -- judge.c -- */
/* Hands on every READY chunk that the stream has come to. Mutex held; gives it up meanwhile. False:
 * stopping. */
NODISCARD bool load_send_due(Load *l);
/* The write set of a chunk's rows. No mutex needed: the transaction is the caller's. */
void chunk_hash(const LoadTable *t, Txn *txn);
/* Makes txn the transaction of a chunk (or a unit's piece) of r. Mutex held. */
void chunk_seal(Load *l, const LoadTable *t, const Range *r, Txn *txn, uint64_t piece, uint64_t bytes);
/* Has the stream come to where the server was at the begin? Mutex held. */
void load_note_start(Load *l);

/* -- unit.c: a table without a chunk key, too large for memory -- */
typedef struct Unit Unit;
/* The file of a table's unit, empty and open for writing. */
NODISCARD bool unit_create(const Load *l, const LoadTable *t, const LoadShape *s, Unit **out, Err *err);
NODISCARD bool unit_add(Unit *u, const RowImage *row, Err *err);
/* All rows are there: fsynced, with an end record. */
NODISCARD bool unit_seal(Unit *u, Err *err);
/* The sealed file of an earlier run; *out NULL: there is none, or it was never sealed. */
NODISCARD bool unit_open(const Load *l, const LoadTable *t, const LoadShape *s, Unit **out, Err *err);
uint64_t unit_pieces(const Unit *u);
uint64_t unit_piece_bytes(const Unit *u, uint64_t piece);
/* The rows of a piece (from 1) as INSERTs. */
NODISCARD bool unit_piece(Unit *u, uint64_t piece, const LoadTableInfo *info, Txn *txn, Err *err);
/* Which pieces are committed, and by which chunk ids. Mutex held. */
bool unit_is_committed(const Unit *u, uint64_t piece);
void unit_commit(Unit *u, uint64_t piece, uint64_t chunk_id);
bool unit_is_complete(const Unit *u);
const uint64_t *unit_chunk_ids(const Unit *u); /* by piece - 1 */
void unit_remove(Unit *u);                     /* the file too; frees */
void unit_close(Unit *u);                      /* NULL allowed */
/* The file of a member's unit goes, if there is one; nobody has it open. */
void unit_discard(const Load *l, const Member *m);

/* -- work.c -- */
typedef enum WorkKind { WORK_NONE, WORK_SHAPE, WORK_PLAN, WORK_CHUNK, WORK_UNIT, WORK_PIECES } WorkKind;
typedef struct Work {
    WorkKind kind;
    LoadTable *table;
    const LoadShape *shape;
    uint64_t change_no; /* the table's, when it was given out */
    Range *range;       /* CHUNK: marked; UNIT: marked; PIECES: SENT */
    uint64_t limit;     /* CHUNK: rows */
    StreamPoint mark;   /* P: what the read has to see; the reader calls point_done */
} Work;
/* Blocks until there is something to do; WORK_NONE: nothing is left, and the connection may go. False:
 * stopping. */
NODISCARD bool work_next(Load *l, LoadReader *r, Work *out);
/* The plan of a table is made: its segments. min, max: empty when the table is empty. */
void work_planned(Load *l, const Work *w, Str min, Str max);
/* What was read. */
typedef struct ReadChunk {
    Txn *txn; /* the rows; taken over */
    Str hi;   /* rows up to here were read; the range's own bound when all of it was */
    bool all; /* the range was read to its end */
    uint64_t bytes;
    int64_t took_ms;
    bool exact;
    Str u_file;
    uint64_t u_pos;
    struct Doubt *doubt; /* taken over */
    Unit *unit;          /* instead of txn */
} ReadChunk;
void work_read(Load *l, Work *w, const ReadChunk *c);
/* It was not; somebody will try again. True: nobody wants it any more, and why it failed does not matter. */
bool work_failed(Load *l, Work *w);
/* SHAPE is done. */
void work_shaped(Load *l, const Work *w);
/* It failed before the server stood at this place: nobody tries again before the stream has come there,
 * since it may find a schema change in between. False: it has, and found none. */
bool work_suspect(Load *l, const Work *w, const char *file, uint64_t pos);
void segments_free(LoadTable *t);
/* A range has become DONE or covered: is the table complete? Mutex held. */
void work_note_done(Load *l, LoadTable *t);

/* -- snapshot.c: reader thread, mutex not held -- */
typedef enum ReadWay {
    READ_SNAPSHOT, /* MariaDB: the snapshot says its own position */
    READ_WINDOW,   /* MySQL with GTIDs: between two positions */
    READ_LOCK,     /* one table locked for a moment: exact */
    READ_TASK,     /* every connection of the source sees one moment: Load.start_file, start_pos */
    READ_HELD,     /* a table without transactions: locked while the rows are read; exact */
} ReadWay;
typedef struct Snapshot {
    bool exact;
    char *file; /* U; heap. WINDOW: set by snapshot_end */
    uint64_t pos;
    struct Doubt *doubt; /* SNAPSHOT: unseen.h; owned */
} Snapshot;
/* How this table can be read; ERR_SOURCE_SETTING with what to grant or set, ERR_NOT_SUPPORTED. */
NODISCARD bool snapshot_way(Load *l, Conn *c, const Work *w, ReadWay *out, Err *err);
/* Makes the connection see a state that contains everything before mark. Blocks until it does. */
NODISCARD bool snapshot_begin(LoadReader *r, ReadWay way, const Work *w, Snapshot *out, Err *err);
/* consistency: snapshot: gives every reader's connection its snapshot of one moment; *out is where. By the
 * first reader, while the others wait. */
NODISCARD bool snapshot_of_task(LoadReader *first, Snapshot *out, Err *err);
static inline bool load_has_snapshot(const Load *l)
{
    return l->opts.options->consistency == LOAD_CONSISTENCY_SNAPSHOT;
}
NODISCARD bool snapshot_end(LoadReader *r, ReadWay way, Snapshot *s, Err *err);
void snapshot_done(Snapshot *s);
NODISCARD bool reader_connect(LoadReader *r, Conn **out, Err *err);
/* Sleeps; true when the load is stopping. */
bool reader_sleep(LoadReader *r, int64_t ms);

/* -- reader.c -- */
void *reader_main(void *arg);
/* A piece of a unit needs its share of the memory no more. Mutex held. */
void load_give_piece(Load *l, uint64_t bytes);

#endif
