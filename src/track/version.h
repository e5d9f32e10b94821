/* Versions of a shard table: its definition together with how every column came about since the base that all
 * members of the group had in common. Two members agree on a version when the definitions are equal in what
 * matters and their columns came about in the same way: then the same data stands in both. Pure.
 *
 * Versions, definitions and steps are interned in a pool: equal content has one address and one id, so that
 * states that hold them can be copied and compared by their numbers. A pool only grows; it belongs to one
 * thread. Whoever keeps many versions for long writes the state down and reads it into a new pool. */
#ifndef SM_TRACK_VERSION_H
#define SM_TRACK_VERSION_H

#include "base/err.h"
#include "model/lineage.h"

typedef enum OriginKind {
    ORIGIN_BASE,  /* the base's column of that name (renames followed) */
    ORIGIN_ADDED, /* added since; rows that were there got fill */
    ORIGIN_ANY,   /* the table was new and empty, or is copied whole: equal to any origin */
} OriginKind;

typedef struct ColumnOrigin {
    OriginKind kind;
    Str base; /* BASE: the name in the base; ADDED: the name under which it was added */
    FillKind fill;
    Str fill_text;
    Str lossy; /* conversions since that may have changed values: the types in order, each followed by ';' */
    bool left; /* the shard's table gave the column up, and a decision says that this does not count: one of
                  that name which it adds later is another one. In a target: shard tables that have left the
                  group have values in it. No part of how it came about */
} ColumnOrigin;

/* What rows look like (shape) and what the group takes the table for (schema). They are one but after an
 * operator's decision: a skipped change is in the shape alone, a change done in advance in the schema alone.
 */
typedef struct Version {
    uint32_t id; /* dense in its pool, from 1 */
    const TableSchema *schema;
    const ColumnOrigin *origins; /* one per column of schema */
    Str rows;  /* what happened to rows without row events, in order, each followed by ';' */
    bool gone; /* the table was dropped; schema is the last it had */
    const TableSchema *shape;
    const uint32_t
        *feeds; /* one per column of shape: the column of schema, or NO_COLUMN: a decision left it out */
} Version;

/* From a version to the next. */
typedef struct VersionStep {
    const Version *before, *after;
    const uint32_t
        *from; /* one per column of after->schema: its predecessor in before->schema, or NO_COLUMN */
} VersionStep;

typedef struct VersionPool VersionPool;

VersionPool *version_pool_new(void);
void version_pool_free(VersionPool *p);

/* Copies of what is not there yet. The content given may go away afterwards. */
const TableSchema *version_schema(VersionPool *p, const TableSchema *s);
const SchemaStep *version_keep_step(VersionPool *p, const SchemaStep *s);
Str version_text(VersionPool *p, Str text);

/* The version of a table that has been there all the time (ORIGIN_BASE: each column is the base's of its
 * name) or is new (ORIGIN_ANY). */
const Version *version_start(VersionPool *p, const TableSchema *s, OriginKind kind);
/* The version after a step. The step is applied to v->schema column by column, so that a step whose
 * predecessor was skipped, or that was done in advance, still gives the right table. */
const VersionStep *version_step(VersionPool *p, const Version *v, const SchemaStep *step);
/* As version_step, but the group takes no notice: only the shape changes. */
const VersionStep *version_skip(VersionPool *p, const Version *v, const SchemaStep *step);
/* The step that leads from one definition to another by the names of their columns: a new column is filled by
 * its literal default, else by NULL: rows that lack it have no other value. For a table whose history is not
 * known. */
const SchemaStep *version_step_between(VersionPool *p, const TableSchema *before, const TableSchema *after);
/* "Take it as agreed": v's table counts as model from here on. Columns that are the same, else those of one
 * name, go on feeding; what model lacks is left out; what v lacks takes the fill on record. */
const VersionStep *version_adopt(VersionPool *p, const Version *v, const Version *model);
/* "Take another statement for this one": v is the version after a step that was skipped, model what the other
 * statement made of the version before. As version_adopt; besides, columns of the rows that feed nothing go
 * into those of their name in model. */
const VersionStep *version_replace(VersionPool *p, const Version *v, const Version *model);
/* v seen from a new base that it agrees with: every column is the base's. */
const Version *version_rebase(VersionPool *p, const Version *v);

/* v as if its rows looked like what the group takes the table for. */
const Version *version_plain(VersionPool *p, const Version *v);

typedef enum Agreement {
    AGREE_NOT,  /* the definitions differ: in columns or unique keys */
    AGREE_DATA, /* the definitions are equal, what stands in the tables is not */
    AGREE_ROWS, /* rows mean the same; they differ in ordinary indexes alone */
    AGREE_WHOLLY,
} Agreement;

/* A version of a member together with the columns that the member gave up while the target still carried
 * them: a column of that name which it adds later is another one. */
typedef struct VersionView {
    const Version *version;
    const Str *lost;
    uint32_t n_lost;
    bool no_rows; /* it has none in the target: nothing there is other than what it adds */
} VersionView;

/* Has the member given up a column of that name that the target still has? */
bool version_is_lost(const VersionView *v, Str name);
/* Are they the same column: the base's, or added with the same fill? Two that were filled with what nobody
 * can compute are not, even when the versions are one. */
bool version_same_column(const VersionView *a, uint32_t ca, const VersionView *b, uint32_t cb);
/* The same column, converted in the same way: so that equal rows hold equal values in them. */
bool version_same_origin(const VersionView *a, uint32_t ca, const VersionView *b, uint32_t cb);
/* What differs goes to words (may be NULL), one line each. */
Agreement version_agreement(const VersionView *a, const VersionView *b, StrBuf *words);
static inline VersionView version_view(const Version *v)
{
    return (VersionView){.version = v};
}

/* -- definitions -- */

/* The same columns in the same order, by name and prefix or expression. */
bool key_same_parts(const TableSchema *a, const KeyDef *ka, const TableSchema *b, const KeyDef *kb);

#endif
