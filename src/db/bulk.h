/* A prepared INSERT that takes many rows of values in one command (MariaDB's COM_STMT_BULK_EXECUTE): the
 * server spends no time on reading text. The rows are written into the command as they go; the library would
 * want them in arrays first. One statement for the server: all rows or none. One thread at a time. */
#ifndef SM_DB_BULK_H
#define SM_DB_BULK_H

#include "db/conn.h"

/* How the server is to understand a column's values. */
typedef enum BulkType {
    BULK_INT,     /* 8 bytes, signed: bulk_put_u64 */
    BULK_UINT,    /* 8 bytes, unsigned: bulk_put_u64 */
    BULK_DOUBLE,  /* bulk_put_double */
    BULK_DECIMAL, /* digits as text: bulk_put_bytes */
    BULK_TEXT,    /* in the connection's charset: bulk_put_bytes */
    BULK_BYTES,   /* binary: bulk_put_bytes */
} BulkType;

typedef struct Bulk Bulk;

/* Does this server take it? Never MySQL or TiDB. */
bool bulk_is_offered(Conn *c);
/* Prepares the text, which has n_columns placeholders. ERR_DB_*. Blocks. */
NODISCARD bool bulk_open(Conn *c, Str sql, uint32_t n_columns, Bulk **out, Err *err);
/* Begins a command in out (cleared): then the rows' values follow, bulk_put_… for each placeholder in order.
 */
void bulk_begin(const Bulk *b, const BulkType *types, StrBuf *out);
/* Sends it. affected, warnings: of all rows together. ERR_DB_*. Blocks. */
NODISCARD bool bulk_exec(Bulk *b, Str command, uint64_t *affected, unsigned *warnings, Err *err);
/* Before the connection is closed. NULL allowed. */
void bulk_close(Bulk *b);

/* One value: an indicator (0 = given, 1 = NULL), then its bytes; numbers little-endian, others with a length
 * of 1, 3, 4 or 9 bytes. Source of truth: the server's documentation of COM_STMT_BULK_EXECUTE. */
void bulk_put_null(StrBuf *out);
void bulk_put_u64(StrBuf *out, uint64_t v);
void bulk_put_double(StrBuf *out, double v);
void bulk_put_bytes(StrBuf *out, Str bytes);
/* The same with `zeros` zero bytes at the end. */
void bulk_put_padded(StrBuf *out, Str bytes, size_t zeros);

#endif
