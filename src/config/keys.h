/* The table of all keys (keys.def), and what follows from it for a section of a file: unknown keys, types,
 * ranges, verdicts, defaults. */
#ifndef SM_CONFIG_KEYS_H
#define SM_CONFIG_KEYS_H

#include "config/node.h"

typedef enum Section {
    SECTION_NONE,
#define S(section, title, where) SECTION_##section,
#define K(section, key, type, arg, sub, verdict, def, help)
#include "config/keys.def"
#undef S
#undef K
    SECTION_COUNT
} Section;

typedef enum KeyType {
    KEY_STR,
    KEY_NAME,
    KEY_BOOL,
    KEY_INT,
    KEY_DURATION,
    KEY_SECONDS,
    KEY_BYTES,
    KEY_ENUM,
    KEY_STRS,
    KEY_VARS,
    KEY_MAP,
    KEY_NAMED,
    KEY_LIST,
    KEY_BLOB,
    KEY_ANY,
} KeyType;

typedef enum KeyVerdict { KEY_USED, KEY_ACCEPTED, KEY_NOT_YET, KEY_REFUSED } KeyVerdict;

typedef struct KeyRow {
    Section section;
    const char *key;
    KeyType type;
    const char *arg; /* range or choices, see keys.def */
    Section sub;
    KeyVerdict verdict;
    const char *def; /* default as text; "" = none */
    const char *help;
} KeyRow;

/* Rows in the table's order; NULL at the end. */
const KeyRow *key_row(size_t i);
/* NULL when the section has no such key. */
const KeyRow *key_find(Section section, Str key);
const char *section_title(Section section);
const char *section_where(Section section);

/* Checks a whole section and those below it against the table: unknown keys, types, ranges, verdicts. Bad
 * values are marked and reported to ps. */
void keys_check(Section section, Node *map, Problems *ps);
/* The nearest of the names, or NULL when none is near enough to be meant. */
const char *keys_nearest(Str name, const char *const *names, size_t n);

/* Values of a checked section, by the table's type; the default where the key is absent, null or bad. The key
 * must be in the table. */
Str keys_str(Section section, const Node *map, const char *key);
bool keys_bool(Section section, const Node *map, const char *key);
uint64_t keys_u64(Section section, const Node *map,
                  const char *key); /* INT; BYTES; DURATION, SECONDS in ms */
/* Whether a required key must be asked for: not there, null or empty. False when it is there but bad: that
 * was reported. */
bool keys_absent(const Node *map, const char *key);
/* Where the key stands, else where the map does. */
ConfigPlace keys_place(const Node *map, const char *key);

#endif
