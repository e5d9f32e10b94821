/* Target names with captures. One rule: in target-schema $n means group n of the schema pattern, in
 * target-table group n of the table pattern; ${schema:…} and ${table:…} name the pattern.
 *
 *   $1 … $9           group of the own pattern, by one digit
 *   ${12} ${name}     the same, by any number or by name
 *   ${schema:1} ${table:name}   of the pattern named
 *   $$                one $; any other $ is itself */
#ifndef SM_ROUTE_TEMPLATE_H
#define SM_ROUTE_TEMPLATE_H

#include "model/schema.h"
#include "route/pattern.h"

typedef enum TemplateSide { TEMPLATE_SCHEMA, TEMPLATE_TABLE } TemplateSide;

typedef struct Template Template;

/* Compiles text, the target-schema or target-table (own says which). patterns[TEMPLATE_TABLE] may be NULL (a
 * schema-level rule). ERR_ROUTE_PATTERN when a group does not exist, a reference is not closed, or a name
 * without references is longer than a server takes. Lives in arena. */
NODISCARD bool template_new(Str text, TemplateSide own, const Pattern *const patterns[2], Arena *arena,
                            Template **out, Err *err);
/* The name for these groups (indexed by TemplateSide); a group that took no part adds nothing. In arena. */
Str template_expand(const Template *t, const PatternGroups groups[2], Arena *arena);

/* The same language for a value that a row gets from its shard table: $1 is a group of the table-pattern, and
 * ${source}, ${schema}, ${table} are the source's id and the whole names. Any length. */
NODISCARD bool template_new_value(Str text, const Pattern *const patterns[2], Arena *arena, Template **out,
                                  Err *err);
Str template_expand_value(const Template *t, const PatternGroups groups[2], Str source_id, TableName shard,
                          Arena *arena);

/* Longest name of a schema or table, in characters. */
enum { NAME_CHARS_MAX = 64 };
/* Characters (code points) of an UTF-8 text. */
size_t name_chars(Str s);

#endif
