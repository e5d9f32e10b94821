/* Rows of a SELECT → row images, byte for byte what a row event would carry (design, promise 5). Pure. */
#ifndef SM_LOAD_ENCODE_H
#define SM_LOAD_ENCODE_H

#include "db/stmt.h"
#include "model/flavor.h"
#include "model/table_map.h"
#include "model/txn.h"

typedef struct RowEncoder RowEncoder;

/* map is schema_table_map's; both must outlive the encoder. */
NODISCARD bool row_encoder_new(const TableSchema *schema, const TableMap *map, Flavor flavor,
                               RowEncoder **out, Err *err);
void row_encoder_free(RowEncoder *e);
/* The expressions of the SELECT, one per map column, in its order: "`a`,CAST(`b` AS UNSIGNED),…". The session
 * that runs it has time_zone +00:00, character_set_results NULL and a sql_mode without
 * PAD_CHAR_TO_FULL_LENGTH. */
Str row_encoder_select_list(const RowEncoder *e);
/* One row; out->bytes in arena, out->present shared by all rows of the encoder, out->full true.
 * ERR_DECODE_VALUE names the column, never the value. */
NODISCARD bool row_encoder_row(RowEncoder *e, const StmtValue *values, Arena *arena, RowImage *out, Err *err);

#endif
