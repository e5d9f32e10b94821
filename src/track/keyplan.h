/* Which bytes of a shard table's rows make up the hash of each key: prepared once per binding, read by
 * keyhash. Pure. */
#ifndef SM_TRACK_KEYPLAN_H
#define SM_TRACK_KEYPLAN_H

#include "model/binding.h"
#include "model/charset.h"

/* How the bytes of a map column become bytes that are equal for equal values of the TARGET column. */
typedef enum KeyCanon {
    KEY_CANON_NONE,        /* no common form with what other shards write there: the row is exclusive */
    KEY_CANON_INT,         /* TINY…LONGLONG, YEAR: 64 bits and a sign byte */
    KEY_CANON_DECIMAL,     /* digits without leading and trailing zeros */
    KEY_CANON_INT_DECIMAL, /* an integer that is written into a DECIMAL column: the same digits */
    KEY_CANON_FLOAT,       /* FLOAT and DOUBLE: the double's bits, -0 as 0 */
    KEY_CANON_DOUBLE,
    KEY_CANON_BIT,    /* big-endian number of any width */
    KEY_CANON_ENUM,   /* number in the target's list */
    KEY_CANON_SET,    /* mask over the target's list */
    KEY_CANON_MEMBER, /* ENUM written into a text column: its member's text */
    KEY_CANON_DATE,
    KEY_CANON_TIME, /* the *2 forms and the old ones: one number in microseconds' packing */
    KEY_CANON_DATETIME,
    KEY_CANON_TIMESTAMP,
    KEY_CANON_TEXT,
    KEY_CANON_BYTES,
} KeyCanon;

typedef struct KeyPlanPart {
    uint32_t column; /* of the map, or a constant's; NO_COLUMN: nothing feeds it */
    KeyCanon canon;
    const KeyRewrite *rewrite; /* INT: what the target has instead of the shard's value; NULL: the same */
    KeyFold fold;              /* for TEXT and MEMBER */
    uint32_t prefix;           /* characters or bytes; 0 = whole */
    CharsetForm form;          /* of the source's text */
    bool ascii_superset;       /* of the source's text */
    bool same_bytes;           /* source and target write all characters alike */
    const uint32_t *numbers;   /* ENUM: target number by source number; SET: target bit by source bit */
    uint32_t n_numbers;
} KeyPlanPart;

/* One key of the binding's write set. Parts without a proven fold are left out: they add nothing. */
struct KeyPlan {
    uint64_t seed;
    KeyPlanPart *parts;
    uint32_t n_parts;
    uint32_t *columns; /* all map columns that feed the key, those left out of parts too */
    uint32_t n_columns;
    bool is_row_key;
    bool always_null; /* a column that nothing feeds defaults to NULL: never collides */
    bool exclusive;   /* cannot be hashed for this shard table */
    bool
        computed; /* the target computes a part that no map column shows: whether it changed cannot be told */
};
typedef struct KeyPlan KeyPlan;

/* Builds b->key_plans from the finished binding (columns, key_columns, source key), allocating in arena. */
void keyplan_build(Binding *b, Arena *arena);

#endif
