/* Character sets and collations of both server families: names, ids as TABLE_MAP metadata carries them, and
 * what is proven about equality under each collation. One table (collation.def, charset.def). Pure; any
 * thread. */
#ifndef SM_MODEL_CHARSET_H
#define SM_MODEL_CHARSET_H

#include "model/binding.h"
#include "model/flavor.h"

/* How characters lie in bytes. */
typedef enum CharsetForm {
    CHARSET_BINARY, /* no characters */
    CHARSET_SINGLE, /* one byte each */
    CHARSET_UTF8,   /* utf8mb3, utf8mb4 */
    CHARSET_MULTI,  /* one or more bytes; a byte below 0x80 that starts a character is that character */
    CHARSET_WIDE,   /* ucs2, utf16, utf16le, utf32 */
} CharsetForm;

typedef struct Charset {
    Str name;        /* as modern servers print it: utf8mb3, never utf8 */
    uint8_t max_len; /* bytes of a character */
    CharsetForm form;
    bool ascii_superset; /* bytes 0x00–0x7F are ASCII */
} Charset;

typedef struct Collation {
    Flavor family; /* FLAVOR_UNKNOWN: the id means the same in both */
    uint16_t id;
    Str name;
    const Charset *charset;
} Collation;

enum { COLLATION_ID_BINARY = 63 };

/* The collation of that id on a server of that family; NULL: not known. An id that only the other family has
 * is found as well, since newer servers learn each other's ids. */
const Collation *charset_by_collation_id(Flavor flavor, uint32_t id);
/* By the name a server prints (utf8_ and utf8mb3_ prefixes alike; any letter case); NULL: not known. */
const Collation *charset_collation_by_name(Str name);
/* NULL: not known. "utf8" is utf8mb3. */
const Charset *charset_by_name(Str name);
/* Do both write every character with the same bytes (utf8mb3 and utf8mb4; a charset and itself)? */
bool charset_same_bytes(const Charset *a, const Charset *b);

/* The fold that is proven for a collation: values that it calls equal have equal folded bytes.
 *   binary           → KEY_FOLD_BYTES
 *   *_bin            → KEY_FOLD_BIN_PAD (also NO PAD: ignoring trailing spaces is only coarser)
 *   KEY_FOLD_ASCII_CI: printable ASCII strings that it calls equal differ at most in letter case and trailing
 * spaces (it may tell more apart). Shown on MariaDB 10.11 and MySQL 9.7 for all strings of one and two
 *                      printable characters and of three letters; by tests/e2e on whatever server the suite
 * runs with. Language tailorings with contractions (Danish, Hungarian, …) are left out. else             →
 * KEY_FOLD_UNKNOWN, NULL too. */
KeyFold charset_key_fold(const Collation *c);

#endif
