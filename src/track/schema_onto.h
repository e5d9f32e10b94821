/* A change between two versions of what shards have in common, laid onto the live target: which may have more
 * columns, wider types, other indexes, and the keys of a key strategy. What the change does not speak of
 * stays as it is. Pure. */
#ifndef SM_TRACK_SCHEMA_ONTO_H
#define SM_TRACK_SCHEMA_ONTO_H

#include "track/schema_emit.h"
#include "track/version.h"

typedef struct OntoChange {
    const Version *from, *to;
    const uint32_t *columns; /* one per column of to: its predecessor in from, or NO_COLUMN */
    Str rows;
    bool drop;
    bool keyed;  /* a key strategy has changed the target's ids and keys: unique keys cannot follow */
    bool begun;  /* it is on its way already: what is there may be its own work, and is not judged */
    bool beside; /* the table holds rows that are not in the target: what they hold is as it was */
} OntoChange;

/* *out and what it points to: in arena, but for live, which it borrows. ERR_TRACK_TARGET: a unique key of a
 * keyed target; a type that the live column cannot become; and what would leave wrong values in rows that are
 * there, without a word: a new column that the target has of its own, with another default than what the
 * shards' rows got; a conversion that changed the shards' values of a column that is of another type here; a
 * new column in the place of one in which shard tables that have left have values. */
NODISCARD bool schema_onto(const TableSchema *live, const OntoChange *c, Arena *arena, EmitChange *out,
                           Err *err);

#endif
