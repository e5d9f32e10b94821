/* The key along which a table is cut into chunks, as bytes that memcmp orders like the server orders the key:
 * the leading integer, temporal and binary columns of the primary key (or of a unique key without NULLs).
 * Text is never compared here: a table keyed by text alone has no chunk key. Pure.
 *
 *   BINARY(n)     its n bytes
 *   VARBINARY(n)  its bytes escaped so that a shorter string sorts first (0 → 0 255, end → 0 0)
 *   the others    8 bytes big-endian (load/key_part.h)
 * A key of several columns is their concatenation. Empty bytes stand for "before everything".
 *
 * The primary key is taken when all of it is comparable, else another such key, else the first with a
 * comparable beginning. The session that runs the conditions has time_zone +00:00 and a sql_mode with
 * ALLOW_INVALID_DATES and without NO_ZERO_DATE and NO_ZERO_IN_DATE: a key may hold any date. */
#ifndef SM_LOAD_CHUNK_KEY_H
#define SM_LOAD_CHUNK_KEY_H

#include "base/err.h"
#include "model/lineage.h"
#include "model/table_map.h"
#include "model/txn.h"

typedef struct ChunkKey ChunkKey;

/* False: the table has no such key (all of it is one unit). Both must outlive the key. */
bool chunk_key_new(const TableSchema *schema, const TableMap *map, ChunkKey **out);
/* The same key after a schema change, in a form that orders and writes keys as before, so that keys kept from
 * before stay true: its columns are there with their values (renamed, or of a wider type of the same kind)
 * and begin a unique key without NULLs. False: they do not. step->after is the new definition; both must
 * outlive the key. */
bool chunk_key_carry(const ChunkKey *k, const SchemaStep *step, const TableMap *map, ChunkKey **out);
/* Do the two write their keys alike, whatever their columns are called? What was kept of one can be read as
 * the other's. */
bool chunk_key_same_form(const ChunkKey *a, const ChunkKey *b);
void chunk_key_free(ChunkKey *k);
/* Do the columns identify a row (the whole key is comparable), or may several rows share the bytes? */
bool chunk_key_is_complete(const ChunkKey *k);
uint32_t chunk_key_n_columns(const ChunkKey *k);
/* Appends the key of a row image. map: the image's own (the stream's map may differ from the select's in
 * metadata, not in columns). False when the image lacks a key column. */
NODISCARD bool chunk_key_of(const ChunkKey *k, const TableMap *map, const RowImage *image, StrBuf *out);
/* Appends what tells a row from all others, also where the chunk key alone does not: its bytes, and those of
 * the key's other columns as they lie in the image. Two images of one row have the same; a value that is
 * equal only under its collation counts as another row, which the change that wrote it has taken out before.
 * False when the image lacks a column of the key. */
NODISCARD bool chunk_key_row(const ChunkKey *k, const TableMap *map, const RowImage *image, StrBuf *out);
/* -1, 0, 1 */
int chunk_key_cmp(Str a, Str b);
/* Appends "lo < key AND key <= hi" in a form that MySQL and MariaDB read as one index range, literals in the
 * columns' types. lo empty: no lower bound; hi empty: no upper bound; both: "TRUE". */
void chunk_key_where(const ChunkKey *k, Str lo, Str hi, StrBuf *sql);
/* Appends " FORCE INDEX (`name`)", to stand behind the table: by its statistics a server may take a scan and
 * a sort for less work than a range of this index. Nothing for an index that the server hides. */
void chunk_key_index(const ChunkKey *k, StrBuf *sql);
/* Appends "`a`,`b`" for ORDER BY; descending: "`a` DESC,`b` DESC". */
void chunk_key_order(const ChunkKey *k, bool descending, StrBuf *sql);
/* Appends a key strictly between the two, near the middle of the values' range (by the first column that
 * differs); either may be empty only if min/max are not known: then false. False when there is nothing
 * between. */
bool chunk_key_middle(const ChunkKey *k, Str lo, Str hi, StrBuf *out);
/* The key for people: "(17,'2024-01-01')", binary as hex. */
void chunk_key_format(const ChunkKey *k, Str key, StrBuf *out);

#endif
