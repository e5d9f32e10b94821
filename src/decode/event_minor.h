/* Events beside rows and transactions: statement context, texts, notes of the server. Pure; views into body.
 */
#ifndef SM_DECODE_EVENT_MINOR_H
#define SM_DECODE_EVENT_MINOR_H

#include "decode/event.h"

/* INTVAR: kind 1 LAST_INSERT_ID, 2 INSERT_ID, for the statement that follows. */
NODISCARD bool event_intvar(Str body, unsigned *kind, uint64_t *value, Err *err);
/* RAND: both seeds. */
NODISCARD bool event_rand(Str body, uint64_t seed[2], Err *err);

typedef enum UserVarType {
    USER_VAR_STRING,
    USER_VAR_REAL,
    USER_VAR_INT,
    USER_VAR_ROW,
    USER_VAR_DECIMAL
} UserVarType;
typedef struct UserVarEvent {
    Str name;
    bool is_null, is_unsigned;
    unsigned type; /* UserVarType */
    uint32_t collation;
    Str value; /* REAL: a double; INT: 8 bytes; DECIMAL: precision, scale, packed digits; else text */
} UserVarEvent;
NODISCARD bool event_user_var(Str body, UserVarEvent *out, Err *err);
/* The value as people read it. ERR_DECODE_VALUE. */
NODISCARD bool event_user_var_text(const UserVarEvent *v, StrBuf *out, Err *err);

/* ROWS_QUERY and ANNOTATE_ROWS: the statement whose rows follow. */
NODISCARD bool event_rows_query(unsigned type, Str body, Str *sql, Err *err);
/* INCIDENT: its number and the server's words. */
NODISCARD bool event_incident(Str body, unsigned *number, Str *message, Err *err);
/* BINLOG_CHECKPOINT: the oldest file that a crash recovery needs. */
NODISCARD bool event_binlog_checkpoint(Str body, Str *file, Err *err);
/* BEGIN_LOAD_QUERY, APPEND_BLOCK, DELETE_FILE: a piece of a loaded file. */
NODISCARD bool event_load_block(unsigned type, Str body, uint32_t *file_id, Str *block, Err *err);
/* EXECUTE_LOAD_QUERY: a QUERY with 13 bytes of load data in front of its status variables; *query gets the
 * body without them, by way of scratch. */
NODISCARD bool event_load_query(Str body, StrBuf *scratch, uint32_t *file_id, QueryEvent *query, Err *err);
/* START_ENCRYPTION: version of the key. */
NODISCARD bool event_start_encryption(Str body, uint32_t *key_version, Err *err);

#endif
