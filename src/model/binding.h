/* How a shard table is written into its target: built once per (shard table, table map), immutable, lives as
 * long as the process, so that row operations may point to it from any stage. */
#ifndef SM_MODEL_BINDING_H
#define SM_MODEL_BINDING_H

#include <pthread.h>
#include "base/str.h"
#include "model/codec.h"
#include "model/schema.h"
#include "model/table_map.h"

enum { NO_COLUMN = UINT32_MAX };

/* How equality of a key column's values is folded into the write-set hash: too coarse is safe, too fine is
 * not. */
typedef enum KeyFold {
    KEY_FOLD_EXACT,    /* numbers, temporals: equal values have equal canonical bytes */
    KEY_FOLD_BYTES,    /* binary strings (BINARY padded, VARBINARY as is) */
    KEY_FOLD_BIN_PAD,  /* text compared by code point, trailing spaces ignored */
    KEY_FOLD_ASCII_CI, /* case-insensitive text: folds plain ASCII; any other character makes the row
                          exclusive */
    KEY_FOLD_UNKNOWN,  /* no proven folding: adds nothing to the hash */
} KeyFold;

typedef struct TargetKeyPart {
    uint32_t column; /* of the target */
    uint32_t prefix; /* characters or bytes; 0 = whole */
    KeyFold fold;
} TargetKeyPart;

typedef struct TargetKey {
    Str name;
    bool primary;
    bool all_not_null;
    bool hashable; /* false: a write of this key makes the row exclusive on its table */
    bool logical;  /* no unique index stands behind it: provenance and the shard's own key, see plain-index */
    TargetKeyPart *parts;
    uint32_t n_parts;
} TargetKey;

/* A merged table. Built at start; immutable but for shapes. Lives as long as the process. */
typedef struct Target {
    uint32_t id; /* dense, from 0: index into per-target arrays */
    TableName name;
    Str sql_name; /* `schema`.`table` */
    const TableSchema *schema;
    TargetKey *keys; /* every unique key, primary first */
    uint32_t n_keys;
    uint32_t row_key; /* index of the key that finds rows: the primary, else the first unique NOT NULL;
                         NO_COLUMN: keyless */
    bool primary_is_only_key; /* the fast UPDATE (multi-row upsert) is allowed */
    pthread_mutex_t shapes_mutex;
    struct Shape *shapes; /* list, guarded by shapes_mutex; the shapes themselves are immutable */
    uint32_t n_members;   /* shard tables routed to it */
    bool changes;         /* its lock has changed it: that says what fits. Guarded by the catalog's mutex */
    /* Its losers of collisions are parked (apply/parked.h); NULL: a collision stops. Where it is set, every
     * statement that finds a row asks for its provenance too: another shard's row may stand in its place. Set
     * once, before the first row is bound to the target; any thread reads it. */
    struct ParkedTarget *_Atomic parked;
} Target;

/* A column list of a target: rows of one shape may share a statement whatever shard they come from. */
typedef struct Shape {
    struct Shape *next;
    uint32_t n_columns;
    uint32_t *columns; /* of the target, ascending */
    Str column_list;   /* (`a`,`b`) */
} Shape;

/* The ids of one shard table under the strategy remap: each has one new id in the target, for ever
 * (apply/remap.h). Immutable; lives as long as the process; equal ids are the same space. */
typedef struct KeySpace {
    uint32_t id; /* dense, from 0, process-wide */
    Str source;
    TableName shard, target;
    Str column; /* of the ids, in the target */
} KeySpace;

/* How an id of a shard becomes the target's: id × multiply + add, for ids from low to high. Different shards
 * have different shares of the target's numbers, so that no two ids meet; ids outside would leave the share
 * and are refused. With a space the new id stands in a map instead, and high bounds the new id. */
typedef struct KeyRewrite {
    uint64_t multiply, add;
    int64_t low;
    uint64_t high;
    bool keep_zero;        /* a reference whose 0 means "none" */
    const char *strategy;  /* for messages */
    const KeySpace *space; /* remap; NULL: computed */
} KeyRewrite;

typedef struct BoundColumn {
    ColumnCodec codec;
    uint32_t target_column; /* NO_COLUMN: not written (generated downstream) */
    Str sql_name;           /* `name` downstream */
    bool default_differs; /* an INSERT image without this column would get another value downstream: refuse it
                           */
    bool on_update_now;   /* the target sets it by itself: an UPDATE whose image lacks it adds `c`=`c` */
    const KeyRewrite *rewrite; /* an integer column whose values are written as others; NULL: as they are */
} BoundColumn;

/* One shard table: the durable identity of a member of its target's group. */
typedef struct Member {
    uint32_t id;     /* dense, from 0, process-wide */
    uint32_t source; /* index of the source in the task */
    TableName name;
    TableName copied_as; /* empty, but for one whose name another table of the source had first before */
    Target *target;
} Member;

/* The name by which what was copied of it is on record. */
static inline TableName member_copied_as(const Member *m)
{
    return m->copied_as.table.len ? m->copied_as : m->name;
}

typedef struct Binding {
    const Member *member;
    Target *target;
    const TableMap *map;
    const TableSchema *schema; /* of the shard table at this map */
    BoundColumn *columns;      /* one per map column, then one per constant */
    uint32_t n_columns;        /* of the map */
    /* Provenance: values that every row of this shard table gets. Columns n_columns … n_columns + n_constants
     * - 1 of `columns` are theirs, wherever a map column is asked for. */
    const Field *constants;
    uint32_t n_constants;
    /* key_columns[k][p]: the map column (or constant) that feeds part p of the target's key k; NO_COLUMN if
     * none does */
    uint32_t **key_columns;
    /* columns of the shard table's own row key, when no target key consists of the same columns; n = 0: not
     * needed */
    uint32_t *source_key;
    TargetKeyPart *source_key_parts; /* fold and prefix of each */
    uint32_t n_source_key;
    Shape *full_shape;               /* all written columns */
    const struct KeyPlan *key_plans; /* one per target key, then the source key's; track/keyplan.h */
    uint32_t n_key_plans;
    const uint32_t *mapped; /* map columns whose ids have a space, ascending */
    uint32_t n_mapped;
} Binding;

/* Applies r to a value as it stands in an image (two's complement in 64 bits, negative says how to read
 * them). False: outside low … high; nothing is changed then. Not for a rewriting with a space. */
bool key_rewrite(const KeyRewrite *r, bool *negative, uint64_t *value);

#endif
