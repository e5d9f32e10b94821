/* A column's definition in a statement → the definition the server makes of it. Pure. */
#ifndef SM_TRACK_COLUMN_BUILD_H
#define SM_TRACK_COLUMN_BUILD_H

#include "track/schema_apply.h"

/* The collation that a charset name, a collation name, or both mean; the given default when neither is
 * written. charset "default" is the default too. Empty: not known. */
Str collation_resolve(Str charset, Str collation, Str dflt, const ApplyContext *ctx);
/* The server's own default collation. */
Str collation_of_server(const ApplyContext *ctx);
Str charset_of_collation(Str collation);
/* Has it no character set, or binary? */
bool column_holds_bytes(const ColumnDef *c);
/* Bytes that a statement gives without a character set of their own (x'…', or under SET NAMES binary), as the
 * column reads them: UTF-8, or as they are where it holds bytes. False: they are no text of its character
 * set. */
bool column_own_text(const ColumnDef *c, Str bytes, Arena *arena, Str *out);

/* Fills *out but for name and comment; texts live in arena. table_collation: the table's default. *check is
 * the text of MariaDB's own CHECK on JSON, else empty. False: ERR_DDL_APPLY. */
NODISCARD bool column_build(const DdlColumn *ddl, Str table_collation, const ApplyContext *ctx, Arena *arena,
                            ColumnDef *out, Str *check, Err *err);
/* The default as the server keeps and shows it. False: ERR_DDL_APPLY. */
NODISCARD bool column_set_default(ColumnDef *c, const DdlValue *v, const ApplyContext *ctx, Arena *arena,
                                  Err *err);
/* column_type, charset and length anew after the charset changed by CONVERT TO; TEXT grows where its bytes
 * would not suffice. ERR_NOT_SUPPORTED: members of ENUM and SET from or to UCS2, UTF16, UTF32, which the
 * servers spoil. */
NODISCARD bool column_convert(ColumnDef *c, Str collation, Arena *arena, Err *err);

bool column_is_text(const ColumnDef *c); /* CHAR, VARCHAR, TEXT with characters */
bool column_is_blob(const ColumnDef *c); /* *TEXT, *BLOB, JSON, spatial: keys need a prefix */

#endif
