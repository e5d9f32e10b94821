/* Shard tables in memory: small programs of rows and DDL, run beforehand, give the events of a stream and
 * what stands in the table after each of them. */
#ifndef SM_TESTS_EXPLORE_SHARD_H
#define SM_TESTS_EXPLORE_SHARD_H

#include "lock/lock.h"

enum { MOST_COLUMNS = 6, MOST_ROWS = 16, MOST_EVENTS = 12, NIL = -1, MOST_MEMBERS = 3 };

/* A row by the columns of some definition; NIL is NULL. */
typedef struct Row {
    int id;
    int values[MOST_COLUMNS];
} Row;

typedef struct Table {
    const TableSchema *schema;
    int n_rows;
    Row rows[MOST_ROWS];
} Table;

typedef enum EventKind { EVENT_INSERT, EVENT_UPDATE, EVENT_DDL, EVENT_JOIN, EVENT_LEAVE } EventKind;

typedef struct Event {
    EventKind kind;
    Row row; /* the new image */
    const SchemaStep *step;
    LockStepKind step_kind;
    uint64_t version; /* rows: DDL before it; DDL: its own number */
} Event;

/* A member's program, run. */
typedef struct Shard {
    const char *program;
    int n_events;
    Event events[MOST_EVENTS];
    Table after[MOST_EVENTS + 1]; /* what stands there after that many events */
} Shard;

/* Letters: i insert, u update the last row; DDL:
 *   B add b int default 1   P add b int default 2   b drop b     C add c int null    c drop c
 *   a drop a                R rename a to r         r rename r to a   k drop r   Q add r int null
 *   W widen a to bigint     N narrow a to smallint, values change
 *   D add d int not null    d drop d                X add index on a   U add unique key on a   x, y drop them
 *   T add t int null default now(): filled by the moment at which the member runs it
 *   Z TRUNCATE   p DROP PARTITION p0 (its first row)   O DROP TABLE   M CREATE TABLE again   E RENAME out of
 * the group J it joins here, empty: what stands before is not read   L it leaves the task A row's id is given
 * once. False: a letter makes no sense where it stands. */
bool shard_run(VersionPool *pool, int member, const char *program, Shard *out);
/* The table that all begin with: id int primary key, a int null. */
const TableSchema *shard_base(VersionPool *pool);
bool shard_is_ddl(char letter);
/* Rows, or the table, go away by it. */
bool shard_is_loss(char letter);
/* Its table is made as the others were before: what those had in common is not its own. */
bool shard_joins_late(const Shard *s);
bool shard_in_partition(int id); /* p0 */
/* What a column of that type keeps of a value: smallint holds up to 100, int up to 1000. */
int shard_fit(const ColumnDef *c, int value);
int shard_default(const ColumnDef *c);
int shard_literal(Str text); /* '7' or 7 */

#endif
