/* The closed list of statement shapes that write replicated rows. Every value goes through value_sql. Pure.
 *
 *   INSERT INTO t (cols) VALUES (…),(…)
 *   DELETE FROM t WHERE key IN (…)            key = (a,b) for several columns
 *   SELECT 1 FROM t WHERE key IN (…) FOR UPDATE, then
 *   INSERT INTO t (cols) VALUES (…),(…) ON DUPLICATE KEY UPDATE …     only where the primary key is the only
 * unique one UPDATE t SET … WHERE key = …              one row UPDATE / DELETE t … WHERE every column <=> …
 * LIMIT 1              tables without a key */
#ifndef SM_APPLY_ROWSQL_H
#define SM_APPLY_ROWSQL_H

#include "apply/session.h"
#include "base/err.h"
#include "model/txn.h"

/* The columns one image writes, as a shape: the binding's full shape, or one for a partial image. */
NODISCARD bool rowsql_shape(const Binding *b, const RowImage *image, Shape **out, Err *err);

/* Statement being built: rows are added until it is full, then it is sent and begun anew. */
typedef enum SqlKind { SQL_INSERT, SQL_UPSERT, SQL_DELETE, SQL_LOCK } SqlKind;

typedef struct SqlStatement {
    SqlKind kind;
    const Target *target;
    const Shape *shape;     /* INSERT, UPSERT */
    const Binding *binding; /* of the last row: where losers are parked, all rows of a DELETE are of one */
    StrBuf sql;
    size_t rows;
} SqlStatement;

void rowsql_begin(SqlStatement *s, SqlKind kind, const Target *target, const Shape *shape);
/* INSERT and UPSERT take the after image, DELETE and LOCK the key of the before image. */
NODISCARD bool rowsql_add_row(SqlStatement *s, const Binding *b, const RowImage *image, Err *err);
/* Closes the text: sql is then complete. */
void rowsql_end(SqlStatement *s, const Dialect *d);

/* One row's UPDATE / DELETE / INSERT as a whole statement, appended. */
NODISCARD bool rowsql_update_one(StrBuf *out, const RowOp *op, const RowImage *after, Err *err);
NODISCARD bool rowsql_delete_one(StrBuf *out, const RowOp *op, Err *err);
NODISCARD bool rowsql_insert_one(StrBuf *out, const RowOp *op, Err *err);

/* " WHERE …" that finds the row of the before image, in the target or beside it. */
NODISCARD bool rowsql_where(StrBuf *out, const RowOp *op, Err *err);
/* `a`=v,… of the after image. */
NODISCARD bool rowsql_assignments(StrBuf *out, const RowOp *op, Err *err);
/* An INSERT of the after image into another table with more columns: "`x`,`y`" and their values stand before.
 */
typedef struct RowsqlMore {
    Str table, columns, values;
} RowsqlMore;
NODISCARD bool rowsql_insert_more(StrBuf *out, const RowOp *op, const RowsqlMore *more, Err *err);

/* From column *at on, the next column of the image whose text the server has to convert: its value as a SQL
 * literal replaces out's text, *at is moved to it. False: there is none. */
bool rowsql_next_converted(const Binding *b, const RowImage *image, uint32_t *at, StrBuf *out);

/* The row key of an image for messages: names and values are for explicit requests only; this gives names. */
void rowsql_key_names(const Target *t, StrBuf *out);
/* {"column":"value",…} of an image, for recorded rows. */
NODISCARD bool rowsql_image_json(const Binding *b, const RowImage *image, StrBuf *out, Err *err);
/* Do two images of one binding have the same bytes in the columns of the target's key k (or of its row key)?
 * False when they cannot be compared. */
bool rowsql_same_key(const Binding *b, uint32_t k, const RowImage *x, const RowImage *y);
/* Does an UPDATE give that column of the target another value? Unsure, as without its old value: true. */
bool rowsql_changes_column(const Binding *b, uint32_t target_column, const RowImage *before,
                           const RowImage *after);
bool rowsql_same_row_key(const Binding *b, const RowImage *x, const RowImage *y);
/* WHERE condition (without WHERE) that finds rows with the unique key k of the image's row, for looking up
 * the holders of a key: on the target (names of target columns) or on a shard table (shard_names: the
 * member's own names). False when the image lacks a column of the key, the key holds a NULL, or (shard_names)
 * the key has another value in every shard: a rewritten id or a provenance column. */
bool rowsql_key_condition(const Binding *b, uint32_t k, const RowImage *image, bool shard_names, StrBuf *out);

#endif
