/* Shared by the files that read and write the meta schema; apply/ only. */
#ifndef SM_APPLY_META_SQL_H
#define SM_APPLY_META_SQL_H

#include "apply/meta.h"

/* Appends `schema`.sm_x. */
void meta_table(StrBuf *out, const MetaTask *m, const char *name);
/* Appends " WHERE task = '…'". */
void meta_where_task(StrBuf *sql, const MetaTask *m);
/* Appends " WHERE task = '…' AND target_schema = '…' AND target_table = '…'". */
void meta_where_target(StrBuf *sql, const MetaTask *m, TableName target);
/* Appends "'task','schema','table'". */
void meta_target_values(StrBuf *sql, const MetaTask *m, TableName target);
/* A connection that is gone is no error: its server rolls back by itself. */
void meta_rollback(Conn *c);
/* A meta schema, or a table of it, that nobody has made yet holds nothing: then the error is cleared. */
bool meta_nothing_there(Err *err);
NODISCARD bool meta_u64(Str s, uint64_t *out, Err *err);
/* Locks the task row and compares the epoch: ERR_APPLY_FENCED. Inside a transaction. */
NODISCARD bool meta_lock_epoch(Conn *c, const MetaTask *m, uint64_t epoch, Err *err);
/* Inside a transaction. */
NODISCARD bool meta_merge_chunks(Conn *c, const MetaTask *m, const MetaChunkMerge *merge, Err *err);

#endif
