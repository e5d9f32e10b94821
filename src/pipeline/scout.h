/* Looks through a stretch of a source's binlog for statements that change routed tables: whether a definition
 * read from the server now was true at an earlier point as well. On a dump connection of its own; blocks as
 * long as the stretch takes to read. */
#ifndef SM_PIPELINE_SCOUT_H
#define SM_PIPELINE_SCOUT_H

#include "config/task.h"
#include "source/assemble.h"

/* One statement, in the order of the binlog. All memory: the scout's. */
typedef struct ScoutChange {
    QueryEvent query;
    TxnId id;
    uint32_t timestamp;
    Str server_version;
    Str what; /* "ALTER TABLE" */
    TableName *tables;
    size_t n_tables;
    bool of_database; /* tables[0].schema: all of its tables */
    Str place;        /* "mysql-bin.000003:1234" */
} ScoutChange;

/* A table as the binlog named its columns, at the first of its rows behind so many of the statements. */
typedef struct ScoutMap {
    const TableMap *map;
    size_t after;
} ScoutMap;

/* What is known of one source. A stretch that was looked through is not read again; it only grows at its end.
 * Owner: the thread that asks, one at a time. */
typedef struct Scout {
    Arena arena;
    ScoutChange *changes;
    size_t n, cap;
    ScoutMap *maps;
    size_t n_maps, cap_maps;
    bool looked;
    StreamPoint from, to;
} Scout;
void scout_done(Scout *s);

typedef struct ScoutOpts {
    const SourceConfig *config;
    uint32_t source; /* given to the hooks */
    void *ctx;
    bool (*routed)(void *ctx, uint32_t source, TableName name);
    bool (*schema_routed)(void *ctx, uint32_t source, Str schema);
    ConnCancel *cancel; /* ends what blocks on the network; may be NULL */
    /* Asked all the time while it reads: true ends it with ERR_CANCELLED. May be NULL. */
    bool (*stopping)(void *ctx);
    void *stop_ctx;
} ScoutOpts;

/* Afterwards changes holds every statement behind `from` and up to `end` (and perhaps others); end is the
 * server's, with file and position. The errors of stream_open and of reading, ERR_CANCELLED; what the
 * statements mean for anybody is not judged here. */
NODISCARD bool scout_look(Scout *s, const ScoutOpts *opts, const StreamPoint *from, const StreamPoint *end,
                          Err *err);
/* Walks the statements behind `at` that may concern the table, from *iter = 0 on; NULL at the end. */
const ScoutChange *scout_next(const Scout *s, const StreamPoint *at, TableName table, size_t *iter);
/* What the binlog names the table's columns (FULL metadata) where no statement of `at` or later has changed
 * them; NULL: it does not. */
const TableMap *scout_map(const Scout *s, const StreamPoint *at, TableName table);
/* The statement as the stream would tell it. */
void scout_event(const ScoutChange *c, const StreamPoint *before, DdlEvent *out);

#endif
