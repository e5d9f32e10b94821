/* DDL text → syntax tree. The grammar is src/ddl/grammar.y (Lemon), the tokens are src/ddl/token.re (re2c).
 * It takes what the servers take, written a little wider: it is meant for statements that a server has run.
 * What it does not know is an error with its place, never a guess. Pure; any thread. */
#ifndef SM_DDL_PARSE_H
#define SM_DDL_PARSE_H

#include "base/err.h"
#include "ddl/stmt.h"
#include "model/flavor.h"

typedef struct DdlContext {
    Flavor flavor;
    uint32_t version; /* 80036, 101108; conditional comments for a higher one are passed over; 0: all count */
    unsigned modes;   /* STMT_ANSI_QUOTES, STMT_NO_BACKSLASH_ESCAPES (ddl/scan.h) */
    Str default_schema; /* of the session */
    Str charset;        /* character_set_client; empty: utf8mb4 */
    Str connection;     /* character_set_connection, which literals are converted to; empty: as charset */
    bool is_utf8;       /* the text was brought to UTF-8 already; charset is what it was written in */
} DdlContext;

/* What a server says its version is → DdlContext.version; 0: no version in it. "8.0.36-log" is 80036,
 * "5.5.5-10.11.8-MariaDB" 101108. */
uint32_t ddl_server_version(Str text);

/* *out in arena. A statement that stmt_scan takes for no change of a table or database is DDL_OTHER.
 * ERR_DDL_SYNTAX with the byte's offset and what stands there. */
NODISCARD bool ddl_parse(Str sql, const DdlContext *ctx, Arena *arena, DdlStmt **out, Err *err);

#endif
