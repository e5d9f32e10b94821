/* Definitions as SQL text in the dialect of a server: columns, keys, checks, options, partitions. Pure. */
#ifndef SM_TRACK_SCHEMA_TEXT_H
#define SM_TRACK_SCHEMA_TEXT_H

#include "base/err.h"
#include "model/schema.h"

typedef enum TextDialect { DIALECT_MYSQL, DIALECT_MARIADB, DIALECT_TIDB } TextDialect;

typedef struct TextOpts {
    TextDialect dialect;
    uint32_t version;    /* 80036, 101108, TiDB 70500; 0: the newest */
    bool auto_increment; /* write the attribute */
    bool foreign_keys;
    Str literal_default; /* an SQL literal in place of the column's own default; empty: its own */
} TextOpts;

/* `name` type … as in CREATE TABLE and MODIFY; c belongs to s. ERR_TRACK_TARGET: the dialect has no such
 * type, collation or default. */
NODISCARD bool text_column(const TableSchema *s, const ColumnDef *c, const TextOpts *o, StrBuf *out,
                           Err *err);
/* DEFAULT …, with a blank in front; nothing where there is none. */
NODISCARD bool text_default(const ColumnDef *c, const TextOpts *o, StrBuf *out, Err *err);
/* UNIQUE KEY `name` (…) … */
NODISCARD bool text_key(const TableSchema *s, const KeyDef *k, const TextOpts *o, StrBuf *out, Err *err);
/* False: the dialect cannot have it, and rows do not depend on it: it is left out. */
bool text_key_possible(const TableSchema *s, const KeyDef *k, const TextOpts *o);
void text_check(const CheckDef *c, const TextOpts *o, StrBuf *out);
void text_foreign_key(const TableSchema *s, const ForeignKey *f, StrBuf *out);
/* ENGINE=… and so on, without the charset; each with a blank in front. */
void text_options(const TableSchema *s, const TextOpts *o, StrBuf *out);
/* ` DEFAULT CHARSET=… COLLATE=…` */
NODISCARD bool text_charset(const TableSchema *s, const TextOpts *o, StrBuf *out, Err *err);
/* `PARTITION BY …`, or nothing. ERR_NOT_SUPPORTED: by system time. */
NODISCARD bool text_partitions(const TableSchema *s, StrBuf *out, Err *err);
/* `PARTITION p VALUES …`, one partition. */
void text_partition(const Partitioning *by, const PartitionDef *p, StrBuf *out);
/* The collation that stands for it in the dialect; empty: none. */
Str text_collation(Str collation, const TextOpts *o);

#endif
