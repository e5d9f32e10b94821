/* Comparing column definitions by what matters to data, however the server or the statement spelled them.
 * Pure. */
#ifndef SM_TRACK_COLUMN_H
#define SM_TRACK_COLUMN_H

#include "model/schema.h"

/* Appends the type without what is no part of it: display width of integers, year(4). */
void column_type_words(const ColumnDef *c, StrBuf *out);
bool column_same_type(const ColumnDef *a, const ColumnDef *b);
/* True too when one has none: then the types differ. utf8 and utf8mb3 are one. */
bool column_same_collation(const ColumnDef *a, const ColumnDef *b);
bool column_same_default(const ColumnDef *a, const ColumnDef *b);
bool column_same_generation(const ColumnDef *a, const ColumnDef *b);
/* The same, where b is of `to`, whose columns have these predecessors in a's table. */
bool column_stays_computed(const TableSchema *from, const ColumnDef *a, const TableSchema *to,
                           const ColumnDef *b, const uint32_t *columns);
/* All of these, nullability and ON UPDATE. Not: comment, visibility, AUTO_INCREMENT, stored or virtual. */
bool column_same(const ColumnDef *a, const ColumnDef *b);

#endif
