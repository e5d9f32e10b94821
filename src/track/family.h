/* Families of column types: inside one, every value of a narrower column fits a wider one unchanged. Pure. */
#ifndef SM_TRACK_FAMILY_H
#define SM_TRACK_FAMILY_H

#include "model/schema.h"
#include "model/table_map.h"

typedef enum TypeFamily {
    FAMILY_UNKNOWN, /* not replicated */
    FAMILY_INT,
    FAMILY_DECIMAL,
    FAMILY_FLOAT,
    FAMILY_BIT,
    FAMILY_YEAR,
    FAMILY_DATE,
    FAMILY_TIME,
    FAMILY_DATETIME,
    FAMILY_TIMESTAMP,
    FAMILY_TEXT,
    FAMILY_BINARY,
    FAMILY_ENUM,
    FAMILY_SET,
    FAMILY_JSON,
    FAMILY_GEOMETRY,
    FAMILY_VECTOR,
    FAMILY_UUID, /* MariaDB, as INET4 and INET6 */
    FAMILY_INET4,
    FAMILY_INET6,
} TypeFamily;

/* Every DATA_TYPE that is known here, by number; NULL behind the last one (static text). */
const char *family_type_name(size_t i);
/* By DATA_TYPE. */
TypeFamily family_of(const ColumnDef *c);
/* The wire type that servers of today write for such a column, and the bytes of an integer or of a TEXT's or
 * BLOB's length (else 0 or a rank). False: not known. */
bool family_wire(const ColumnDef *c, uint8_t *type, uint8_t *size);
/* May values of this wire type come from a column of this definition? NULL; else what does not fit, in words.
 */
const char *family_wire_mismatch(const ColumnDef *c, const MapColumn *m);
/* Does every value of source fit target unchanged? Otherwise why not goes to `why`. */
bool family_fits(const ColumnDef *source, const ColumnDef *target, StrBuf *why);
/* For a type that not every server has: the type that takes its values elsewhere (static text); else NULL. */
const char *family_elsewhere(const ColumnDef *c);
/* Dimensions of a VECTOR. */
uint64_t family_dimensions(const ColumnDef *c);
/* MariaDB's attribute of a text or binary column. */
bool family_is_compressed(const ColumnDef *c);
/* Index of a member in an ENUM or SET list, exactly; UINT32_MAX: not there. */
uint32_t member_index(const ColumnDef *c, Str member);

#endif
