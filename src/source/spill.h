/* A file for what does not fit into memory: an append-only list of records that can be cut back to an earlier
 * length, then read from its start. Known to nobody else: unlinked as soon as it is open, so that it goes
 * with the process; prepared XA transactions keep theirs (spill_create, spill_attach). Format: per record u32
 * length, u32 CRC32 of the payload (little-endian), payload. Owned by one thread; blocks on disk. */
#ifndef SM_SOURCE_SPILL_H
#define SM_SOURCE_SPILL_H

#include "base/err.h"
#include "base/str.h"

typedef struct Spill Spill;

/* dir/<source_id>.<n>.spill, other characters than letters, digits, - and _ as _. ERR_SOURCE_SPILL. */
NODISCARD bool spill_open(const char *dir, const char *source_id, Spill **out, Err *err);
/* Empty, with a name that stays. */
NODISCARD bool spill_create(const char *path, Spill **out, Err *err);
/* One that spill_create made and that was closed, standing before its first record; more may be appended. */
NODISCARD bool spill_attach(const char *path, Spill **out, Err *err);
/* Everything appended is on the disk. */
NODISCARD bool spill_sync(Spill *s, Err *err);
/* "<source_id>." as files begin with; free() it. */
char *spill_prefix(const char *source_id);
void spill_close(Spill *s);
/* Removes what a killed process left between open and unlink. */
void spill_sweep(const char *dir, const char *source_id);
/* One record, head and body put together. ERR_SOURCE_SPILL (disk full, …). */
NODISCARD bool spill_append(Spill *s, Str head, Str body, Err *err);
/* Length in bytes, buffered ones included. */
uint64_t spill_length(const Spill *s);
/* Forgets everything behind `length`, which spill_length said before. */
NODISCARD bool spill_cut(Spill *s, uint64_t length, Err *err);
/* Writes what is buffered and stands before the first record. */
NODISCARD bool spill_rewind(Spill *s, Err *err);
/* The next record (a view until the next call), or *end. ERR_SOURCE_SPILL when the file is not what was
 * written. */
NODISCARD bool spill_next(Spill *s, Str *record, bool *end, Err *err);

#endif
