/* A change of a target, as the tables beside it need it (apply/parked.h): they have the target's columns and
 * some of their own, and its unique keys as ordinary indexes. And what a change does to the target's unique
 * keys. Pure. */
#ifndef SM_TRACK_SCHEMA_BESIDE_H
#define SM_TRACK_SCHEMA_BESIDE_H

#include "track/schema_onto.h"

/* live: a table beside the target; target: the target as it will be. The same change of the same columns; its
 * own columns and their keys stay; one ordinary index for each unique key that the target will have. Rows of
 * partitions that go are not asked for: there are none.
 * *out and what it points to: in arena, but for live, which it borrows. ERR_TRACK_TARGET: afterwards it would
 * not have the target's columns. */
NODISCARD bool schema_beside(const TableSchema *live, const OntoChange *c, const TableSchema *target,
                             Arena *arena, EmitChange *out, Err *err);
/* ERR_TRACK_TARGET names the first column that is not the same in both. */
NODISCARD bool schema_beside_fits(const TableSchema *target, const TableSchema *beside, Err *err);

/* New unique keys come in two steps: an ordinary index takes the key's place until no two rows share its
 * values any more. *first: c with such an index for each unique key that c->from has not, by columns and
 * collations; the primary key, and where there is none any key that was there, is changed as it is. Such
 * indexes that an earlier change left behind go. False: there is no such key. */
bool schema_keys_later(const EmitChange *c, Arena *arena, EmitChange *first);
/* The second step: from the table as the first has left it to the keys of `to`. In arena, but for from, which
 * it borrows. */
void schema_keys_now(const TableSchema *from, const TableSchema *to, Arena *arena, EmitChange *out);

/* What is an ordinary index for the time being counts as the unique key that it stands for. */
void schema_late_as_unique(TableSchema *s);

/* Do other rows share a unique key afterwards, or does the column (empty: none) have other values? columns:
 * one per column of to, its predecessor in from, or NO_COLUMN. */
bool schema_keys_change(const TableSchema *from, const TableSchema *to, const uint32_t *columns, Str column);
/* Does a column get a name that another column has now? Then it cannot be told from the table alone whether
 * the change was made. */
bool schema_reuses_names(const TableSchema *from, const TableSchema *to, const uint32_t *columns);
/* The key whose columns find rows, from before in the table afterwards: the same columns, whatever they are
 * called now. *was: its name; empty: none. */
bool schema_row_key_stays(const EmitChange *c, Str *was);

#endif
