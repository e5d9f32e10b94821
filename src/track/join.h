/* The join of schemas: the least definition that holds every row of several shard tables, when there is one;
 * and how rows of one version are written into a table of another. Pure.
 *
 * The join grows where it loses nothing: columns are united, types widened, NULL allowed, a unique key is
 * kept only while all have it. It never invents data: a column that some lack takes the fill that is on
 * record. */
#ifndef SM_TRACK_JOIN_H
#define SM_TRACK_JOIN_H

#include "track/version.h"

/* Why two versions have no lossless join. */
typedef enum ClashKind {
    CLASH_NONE,
    CLASH_RENAME,    /* one renamed a column that the other still has under the old name */
    CLASH_AGAIN,     /* one dropped a column and added it anew, the other still has the first */
    CLASH_FILL,      /* a column was added with different values for the rows that were there */
    CLASH_VOLATILE,  /* a column was added with values that cannot be computed for those who lack it */
    CLASH_LOSSY,     /* a conversion changed values on one side only */
    CLASH_TYPE,      /* no type holds both */
    CLASH_COLLATION, /* both changed a collation, differently; or that of a unique key's column */
    CLASH_DEFAULT,   /* both changed a default, differently */
    CLASH_GENERATED, /* generated on one side, or by another expression */
    CLASH_KEY,       /* the key that finds rows differs */
    CLASH_ROWS,      /* rows went away on one side without row events */
    CLASH_GONE,      /* one was dropped */
} ClashKind;

typedef struct Clash {
    ClashKind kind;
    uint32_t a, b; /* the two inputs */
    Str column;    /* or key; empty: the table */
} Clash;

typedef struct Clashes {
    Clash *list;
    uint32_t n, cap;
} Clashes;

void clashes_done(Clashes *c);
const char *clash_name(ClashKind kind); /* "rename", "again", … */
/* One line: column `b`: renamed from `a` in x, while y still has `a`. */
void clash_words(const Clash *c, const char *const *names, StrBuf *out);

typedef struct JoinOpts {
    const Version *base;   /* what all had in common: a default that one side alone changed is no clash */
    const Version *target; /* or NULL: order of columns, names of keys are taken from it where they fit */
} JoinOpts;

/* Joins n >= 1 versions. *out: its origins are the common ones. replaces (may be NULL; one per column of
 * *out) tells columns that stand for another column than the target's of that name, because of lost ones.
 * False: there is no join; every clash is in *why (may be NULL). */
NODISCARD bool join_versions(VersionPool *p, const VersionView *in, uint32_t n, const JoinOpts *opts,
                             const Version **out, bool **replaces, Clashes *why);

/* Rows that were made under chain[0]->before and stand in a table that has become chain[n-1]->after (n = 0:
 * `version` itself). */
typedef struct RowsOf {
    const Version *version;
    const VersionStep *const *chain;
    uint32_t n;
} RowsOf;

typedef enum FeedKind {
    FEED_COLUMN, /* from the row */
    FEED_FILL,   /* the value on record: NULL, or a literal */
    FEED_TARGET, /* the target computes it: generated, AUTO_INCREMENT, default from other columns */
} FeedKind;

typedef struct ColumnFeed {
    FeedKind kind;
    uint32_t column; /* COLUMN: of version->shape */
    FillKind fill;   /* FILL: FILL_NULL or FILL_VALUE */
    Str fill_text;
} ColumnFeed;

/* How rows of a version go into a target. Memory: the arena given. */
typedef struct RowMap {
    const Version *version, *target;
    ColumnFeed *feeds; /* one per column of target->schema */
    bool *left_out;    /* one per column of version->shape: not written; a decision dropped it */
} RowMap;

/* The column of v that is the same as that of the other: under its name, or, renamed on the way, of one
 * history that is known; NO_COLUMN: none. */
uint32_t join_same_column(const Version *v, const Version *other, uint32_t column);

/* May every row be written into target as it is? False: why says which column does not fit. The map is made
 * in either case. */
bool row_map(const RowsOf *rows, const Version *target, Arena *arena, RowMap *out, StrBuf *why);

/* The least change of *t that lets rows be written: wider types, NULL, fewer unique keys; a column of the
 * rows that carried (a former target) has and nobody needs any more is kept. False: there is none. */
NODISCARD bool join_widen(VersionPool *p, const Version **t, const RowsOf *rows, const Version *carried);

/* The column of *t goes on holding what the former one may: rows that were written have such values, and
 * their own table has given the column up. False: no type holds both. */
NODISCARD bool join_keep(VersionPool *p, const Version **t, uint32_t column, const ColumnDef *former);

/* *t with the column of `carried` that none of its own stands for, as it is there; NULL where rows lack it.
 */
void join_carry(VersionPool *p, const Version **t, const Version *carried, uint32_t column);

/* The column comes to hold the values of the other; its name and default stay (strings in arena). False: it
 * cannot. */
NODISCARD bool join_hold_both(Arena *arena, ColumnDef *t, const ColumnDef *other);

/* The least type that holds both columns' values, into *out (strings in arena). False: none. */
NODISCARD bool join_column_type(Arena *arena, const ColumnDef *a, const ColumnDef *b, ColumnDef *out);

#endif
