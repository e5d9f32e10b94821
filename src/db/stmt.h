/* A prepared SELECT whose rows stream in the binary protocol, value by value as the server sends them:
 * nothing is rounded (FLOAT), re-encoded (text comes as stored when character_set_results is NULL) or made
 * into text. One thread at a time; the connection is busy until stmt_close. */
#ifndef SM_DB_STMT_H
#define SM_DB_STMT_H

#include "db/conn.h"

typedef struct Stmt Stmt;

/* What the wire says a value is. */
typedef enum StmtValueKind {
    STMT_NULL,
    STMT_INT,    /* any integer type and YEAR: i, to be read as unsigned when the column is */
    STMT_FLOAT,  /* f: the four bytes as sent */
    STMT_DOUBLE, /* d */
    STMT_TIME,   /* t: DATE, DATETIME, TIMESTAMP (session's time zone), TIME */
    STMT_BYTES,  /* bytes: text, binary, DECIMAL as digits, BIT, JSON as text, ENUM and SET as text */
} StmtValueKind;

typedef struct StmtTime {
    uint32_t year, month, day; /* TIME: day holds the days, year and month are 0 */
    uint32_t hour, minute, second, microsecond;
    bool negative; /* TIME */
} StmtTime;

typedef struct StmtValue {
    StmtValueKind kind;
    union {
        int64_t i;
        uint32_t f;
        uint64_t d; /* the bits */
        StmtTime t;
        Str bytes; /* view until the next stmt_next */
    };
} StmtValue;

/* Prepares and executes; rows are not gathered on this side. ERR_DB_*. Blocks until the first answer. */
NODISCARD bool stmt_open(Conn *c, Str sql, Stmt **out, Err *err);
uint32_t stmt_columns(const Stmt *s);
typedef enum StmtResult { STMT_ROW, STMT_END, STMT_FAILED } StmtResult;
/* values: stmt_columns of them, owned by the statement, valid until the next call. Blocks. */
StmtResult stmt_next(Stmt *s, const StmtValue **values, Err *err);
/* Reads away what is left of the result and closes. False when the connection was lost doing so: it must be
 * closed then. NULL allowed. */
bool stmt_close(Stmt *s);

#endif
