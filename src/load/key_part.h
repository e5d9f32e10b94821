/* One column of a chunk key: its value as bytes that memcmp orders like the server, as a SQL literal, its
 * ends and middles. Pure; for this folder.
 *
 *   BINARY(n)      its n bytes
 *   VARBINARY(n)   its bytes, 0 → 0 255, then 0 0
 *   all others     8 bytes big-endian: a number that grows with the value, without gaps but those of the
 *                  calendar (every month has days 0 to 31, every year months 0 to 12):
 *                  integers (sign bit flipped when signed), YEAR as stored, TIMESTAMP microseconds since
 *                  1970, TIME microseconds (sign bit flipped), DATE and DATETIME microseconds since year 0 */
#ifndef SM_LOAD_KEY_PART_H
#define SM_LOAD_KEY_PART_H

#include "base/reader.h"
#include "model/codec.h"
#include "model/table_map.h"

typedef enum KeyPartKind {
    KEY_INT,
    KEY_UINT,
    KEY_YEAR,
    KEY_DATE,
    KEY_DATETIME,
    KEY_TIMESTAMP,
    KEY_TIME,
    KEY_BINARY,
    KEY_VARBINARY,
} KeyPartKind;

typedef struct KeyPartCodec {
    Str name;        /* the schema's */
    uint32_t column; /* of the map */
    KeyPartKind kind;
    uint32_t bytes; /* integers: width; binary: length at most */
    uint32_t fsp;
} KeyPartCodec;

/* A value taken from a key. */
typedef struct KeyValue {
    bool is_binary;
    uint64_t number;
    Str encoded; /* binary: as it stands in the key */
} KeyValue;

/* False: a column of this type is not compared here. Sets all but `column`. */
bool key_part_init(KeyPartCodec *p, const ColumnDef *c, const MapColumn *m);
/* Appends a field's value; false when there is none, or its bytes are none of the type. m: of the map that
 * the image was written by. */
bool key_part_put(const KeyPartCodec *p, const MapColumn *m, Field f, StrBuf *out);
/* Takes the next value off a key; false when there is none. */
bool key_part_take(const KeyPartCodec *p, Reader *key, KeyValue *out);
void key_part_put_value(const KeyPartCodec *p, const KeyValue *v, StrBuf *out);
void key_part_literal(const KeyPartCodec *p, const KeyValue *v, StrBuf *sql);
/* Appends the highest or lowest value of the type (of TIMESTAMP: of 32 bits with a sign). */
void key_part_edge(const KeyPartCodec *p, bool highest, StrBuf *out);
/* Appends a value strictly between, near the middle (of dates: one that exists); false, and out as it was,
 * when there is none. lo < hi. */
bool key_part_middle(const KeyPartCodec *p, const KeyValue *lo, const KeyValue *hi, StrBuf *out);

static inline bool key_value_eq(const KeyValue *a, const KeyValue *b)
{
    return a->is_binary ? str_eq(a->encoded, b->encoded) : a->number == b->number;
}

#endif
