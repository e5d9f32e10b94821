/* Routing rules as the task file says them: text, not yet compiled. route/ compiles them. */
#ifndef SM_MODEL_RULE_H
#define SM_MODEL_RULE_H

#include "base/str.h"

/* Where in which file something was written; line and column from 1, 0 = not known. */
typedef struct ConfigPlace {
    const char *file;
    unsigned line, column;
} ConfigPlace;

typedef struct TablePattern {
    Str schema, table; /* DM wildcards, or ~regex; table empty = the schema itself */
    ConfigPlace place;
} TablePattern;

/* DM's block-allow-list, behaviour document 5.2. */
typedef struct AllowList {
    Str name; /* of the rule in the task file */
    Str *do_dbs, *ignore_dbs;
    size_t n_do_dbs, n_ignore_dbs;
    TablePattern *do_tables, *ignore_tables;
    size_t n_do_tables, n_ignore_tables;
    ConfigPlace place;
} AllowList;

/* DM's route rule, 4.1. Targets may hold $1…$9 / ${name} of the regex captures. */
typedef struct RouteRule {
    Str name;
    Str schema_pattern, table_pattern;
    Str target_schema, target_table;
    ConfigPlace place;
} RouteRule;

#endif
