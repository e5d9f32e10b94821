/* A definition as one text that is equal exactly when two tables are built alike, however the server spells
 * it: for the DDL journal, which must tell "not yet", "done" and "something else" apart after a crash. Pure.
 */
#ifndef SM_TRACK_SCHEMA_FINGERPRINT_H
#define SM_TRACK_SCHEMA_FINGERPRINT_H

#include "model/schema.h"

/* Appends columns in their order, keys, checks, options, partitions, comments, charset; a line each. Not: the
 * table's name, foreign keys, triggers, AUTO_INCREMENT's next value. */
void schema_fingerprint(const TableSchema *s, StrBuf *out);
bool schema_same_fingerprint(const TableSchema *a, const TableSchema *b);

#endif
