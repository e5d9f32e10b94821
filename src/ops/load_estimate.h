/* How much there is to copy, and how fast it can be read: the servers' statistics and a short sample. */
#ifndef SM_OPS_LOAD_ESTIMATE_H
#define SM_OPS_LOAD_ESTIMATE_H

#include "db/conn.h"
#include "model/schema.h"

typedef struct TableSize {
    uint64_t rows, bytes; /* of the server's statistics: estimates */
} TableSize;

/* out[i]: of names[i]; zeros where the server says nothing. One statement. */
NODISCARD bool load_sizes_read(Conn *c, const TableName *names, size_t n, TableSize *out, Err *err);

typedef struct ReadSample {
    uint64_t rows;
    double seconds;
} ReadSample;

/* Reads the first rows of a table, at most 5,000 and about 4 MiB by the estimate of their size, and takes the
 * time. Prepared and row by row, as the copy does. */
NODISCARD bool load_sample_read(Conn *c, TableName name, TableSize size, ReadSample *out, Err *err);

#endif
