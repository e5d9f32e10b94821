/* How one column's bytes in a row image become a value in SQL text. Built once per binding, read by appliers.
 */
#ifndef SM_MODEL_CODEC_H
#define SM_MODEL_CODEC_H

#include "base/str.h"

/* One column of one row image: a view into the event's bytes. */
typedef enum FieldState { FIELD_ABSENT = 0, FIELD_NULL, FIELD_VALUE } FieldState;

typedef struct Field {
    const uint8_t *ptr; /* the value's bytes without its length prefix */
    uint32_t len;
    FieldState state;
} Field;

typedef enum TextKind {
    TEXT_NONE,   /* not a text or binary type */
    TEXT_BINARY, /* BINARY, VARBINARY, BLOB: bytes */
    TEXT_UTF8,   /* utf8mb3, utf8mb4, ascii: sent as they are */
    TEXT_OTHER,  /* another charset: sent with an introducer, the server converts */
    TEXT_UUID, /* MariaDB's UUID, INET4, INET6: bytes in network order, sent as the text the server prints */
    TEXT_INET4,
    TEXT_INET6,
    TEXT_LITERAL, /* an SQL literal, written as it stands: of a value on record, never of an image */
} TextKind;

/* What a JSON column of the target does to numbers that only a DECIMAL holds. */
typedef enum JsonKind {
    JSON_TEXT,     /* the target keeps the text, or the column is none of JSON */
    JSON_DECIMALS, /* it has decimals, but reads text as doubles: such documents are built from functions */
    JSON_DOUBLES,  /* it has none: such numbers are refused */
} JsonKind;

typedef struct ColumnCodec {
    uint8_t type; /* ColType */
    uint16_t meta;
    bool is_unsigned;
    TextKind text;
    Str introducer; /* "_latin1", for TEXT_OTHER */
    JsonKind json;
    bool as_text; /* ENUM: the target's column is text, which has '' for the error value */
    uint32_t
        pad_to; /* BINARY(n): n; the image has its trailing zeros cut. 0 = no padding. UUID, INET: 16, 4 */
    const Str *members; /* ENUM, SET: utf8 names; NULL = write the number */
    uint32_t n_members;
} ColumnCodec;

#endif
