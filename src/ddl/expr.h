/* Texts of SQL expressions (defaults, generated columns, checks, key parts, partitions): canonical text that
 * means the same in every session, comparison across spellings, and columns in them. Pure; any thread. */
#ifndef SM_DDL_EXPR_H
#define SM_DDL_EXPR_H

#include "ddl/parse.h"

/* Appends the text with one blank between tokens, no comments, names in back quotes where they were quoted,
 * strings as '…' with backslash escapes: what a session with an ordinary sql_mode reads as the same. False:
 * a quote or comment never ends; nothing is appended then. */
bool ddl_expr_text(Str sql, const DdlContext *ctx, StrBuf *out);

/* Appends a form that does not depend on who wrote it: server or user, MySQL or MariaDB. Brackets by
 * precedence, names and words in lower case, operators and functions under one name, no charset introducers.
 * A text that cannot be read as an expression is only cut to tokens. Two texts of the same form mean the
 * same; not the other way round. */
void ddl_expr_normal(Str text, StrBuf *out);
bool ddl_expr_equal(Str a, Str b);

/* Does it use the column? (Not as a function's or schema's name.) */
bool ddl_expr_uses(Str text, Str column);
/* The canonical text with the column renamed, in arena. */
Str ddl_expr_rename(Str text, Str from, Str to, Arena *arena);

#endif
