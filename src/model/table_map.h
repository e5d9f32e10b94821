/* What a TABLE_MAP event says of a table: wire types of its columns, and with FULL metadata their names.
 * Immutable. */
#ifndef SM_MODEL_TABLE_MAP_H
#define SM_MODEL_TABLE_MAP_H

#include "base/arena.h"
#include "base/str.h"
#include "model/coltype.h"
#include "model/schema.h"

typedef struct MapColumn {
    uint8_t type;  /* ColType, the real one: ENUM and SET are taken out of STRING's metadata */
    uint16_t meta; /* as the type defines: STRING: max bytes; ENUM/SET: bytes a value; NEWDECIMAL:
                      precision<<8|scale; BIT: bytes<<8|bits; VARCHAR: max bytes; BLOB: length bytes; *2
                      temporals: fraction digits */
    bool nullable;
    bool has_sign; /* is_unsigned is known (signedness metadata was there) */
    bool is_unsigned;
    bool visible;       /* true unless metadata says otherwise */
    uint32_t collation; /* id; 0 = not said. 63 = binary */
    Str name;           /* empty without FULL metadata */
    const Str *members; /* ENUM/SET, FULL metadata only */
    uint32_t n_members;
} MapColumn;

typedef struct TableMap {
    uint64_t table_id;
    TableName name;
    uint16_t flags;
    uint32_t n_columns;
    MapColumn *columns;
    bool has_names;
    uint32_t n_key_columns; /* primary key columns when said (FULL), else 0 */
    uint32_t *key_columns;
    Str body; /* the event's bytes behind the table id (arena copy): equal bodies are equal maps */
} TableMap;

/* A copy whose strings and arrays live in arena. */
TableMap *table_map_copy(const TableMap *m, Arena *arena);

#endif
