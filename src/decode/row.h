/* Row images: where each column's bytes are. Lazy: a row is bytes until it is written. Pure; hot path. */
#ifndef SM_DECODE_ROW_H
#define SM_DECODE_ROW_H

#include "base/err.h"
#include "base/reader.h"
#include "model/codec.h"
#include "model/table_map.h"

/* Takes one image off the reader: *image is its bytes (null bitmap and values); fields[map->n_columns], when
 * not NULL, get their views. present: bitmap of map->n_columns bits, LSB first.
 *   null bitmap: (present columns + 7) / 8 bytes, bit i = i-th PRESENT column is NULL; then the values.
 * Without any present column an image has no bytes: a loop over images must not rely on the reader moving.
 * ERR_CORRUPT when a value runs over the end. */
NODISCARD bool row_image_split(const TableMap *map, const uint8_t *present, Reader *r, Str *image,
                               Field *fields, Err *err);
/* The fields of an image taken before: cannot fail on bytes that row_image_split has accepted (CHECK). */
void row_fields(const TableMap *map, const uint8_t *present, Str image, Field *fields);
/* Only the given columns (ascending), for key hashing; stops after the last. fields[i] belongs to
 * columns[i]. */
void row_fields_some(const TableMap *map, const uint8_t *present, Str image, const uint32_t *columns,
                     uint32_t n, Field *fields);
/* Every column present? */
bool row_present_full(const TableMap *map, const uint8_t *present);

#endif
