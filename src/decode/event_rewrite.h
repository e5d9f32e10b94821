/* Row images that cannot be read column by column as they stand: MariaDB's COMPRESSED columns, and MySQL's
 * partial updates, whose after images hold JSON diffs. They are rewritten to what a plain rows event would
 * have held, so that nobody behind has to know of them. Pure. */
#ifndef SM_DECODE_EVENT_REWRITE_H
#define SM_DECODE_EVENT_REWRITE_H

#include "decode/event.h"

/* Has a COMPRESSED column? */
bool table_map_compressed(const TableMap *wire);
/* The same table with BLOB and VARCHAR for the COMPRESSED columns; shares wire's strings, columns in arena.
 */
void table_map_plain(const TableMap *wire, Arena *arena, TableMap *plain);

/* What stands in front of the after image of a PARTIAL_UPDATE_ROWS event:
 *   0   1…9  options, length-encoded; bit 0: JSON columns may hold diffs
 *   …   j/8  with bit 0: bit i = i-th JSON column of the table holds a diff, LSB first
 * *diffs: those bits, NULL when there are none. ERR_CORRUPT, ERR_DECODE_UNSUPPORTED (another option). */
NODISCARD bool row_partial_head(const TableMap *map, Reader *r, const uint8_t **diffs, Err *err);

/* Appends e's row images as plain images of table_map_plain(wire): columns are inflated, diffs applied to the
 * before image. e: not compressed (event_rows_inflate). ERR_DECODE_PARTIAL: a diff whose before image lacks
 * the document; the caller adds the table. ERR_CORRUPT, ERR_DECODE_VALUE. On an error out holds a part. */
NODISCARD bool event_rows_rewrite(const TableMap *wire, const RowsEvent *e, StrBuf *out, Err *err);

#endif
