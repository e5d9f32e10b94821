/* Texts of information_schema.COLUMNS and its like → what they mean. Pure; texts live in the arena. */
#ifndef SM_DB_SHOWN_TEXT_H
#define SM_DB_SHOWN_TEXT_H

#include "model/schema.h"

/* Fills the members of c from its column_type: enum('a','b'). False: the text is not such a list. */
NODISCARD bool shown_members(ColumnDef *c, Arena *arena);
/* An expression. escaped: as MySQL 8 shows it, with quotes and backslashes escaped and each byte taken for a
 * character, so that what is not ASCII is encoded twice. */
Str shown_expression(Arena *arena, Str text, bool escaped);
/* MariaDB shows a default as SQL: 'quoted', NULL, a number, b'101', or an expression; SQL NULL means none. */
void shown_default_mariadb(ColumnDef *c, Arena *arena, Str text);
/* MySQL and TiDB show the bare value; expressions are marked in EXTRA (5.7: only the current time exists). */
void shown_default_mysql(ColumnDef *c, Arena *arena, Str text, Str extra, bool escaped);

#endif
