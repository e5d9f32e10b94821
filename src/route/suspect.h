/* Columns that look like references to ids, by their names and types alone. One table of rules, explained in
 * docs/guide/keys.md. Pure; any thread. */
#ifndef SM_ROUTE_SUSPECT_H
#define SM_ROUTE_SUSPECT_H

#include <stdbool.h>
#include "base/str.h"

/* Whose ids the column may hold. */
typedef struct SuspectParent {
    Str table;     /* the target's */
    Str id;        /* its column of ids */
    Str data_type; /* of the ids */
} SuspectParent;

/* same_table: the column is one of the parent's own (not its id). */
bool suspect_reference(Str column, Str data_type, const SuspectParent *p, bool same_table);

#endif
