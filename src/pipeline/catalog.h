/* What the task knows of tables: targets, their members, and the bindings between them. Built at start from
 * the live servers and the state folder, added to when the binlog shows a table not seen before. Any thread:
 * one mutex; it may hold it while asking a server (never while connecting), so it is called once per table,
 * never per row. */
#ifndef SM_PIPELINE_CATALOG_H
#define SM_PIPELINE_CATALOG_H

#include "apply/session.h"
#include "config/task.h"
#include "model/binding.h"
#include "load/load.h"
#include "model/flavor.h"
#include "route/plan.h"
#include "store/store.h"

typedef struct Catalog Catalog;

typedef struct CatalogOpts {
    const Task *task;
    Store *store;
    ConnCancel *cancel;          /* of what reads binlogs through; may be NULL */
    bool (*stopping)(void *ctx); /* asked meanwhile; may be NULL */
    void *ctx;
} CatalogOpts;

/* The connection settings of a source or the downstream. role is kept by the caller. */
void endpoint_conn(const Endpoint *e, const char *role, ConnOpts *out);
/* Behind a failed connection: access denied with a password that dmctl seems to have encrypted gets a remedy
 * that says so. */
void endpoint_hint(const Endpoint *e, Err *err);
/* The session settings of the downstream. vars is the caller's array of task->target.n_session. */
void target_session(const Task *task, SessionVarText *vars, SessionOpts *out);

/* Lists the sources' tables, routes them, reads or creates the targets. Blocks on servers. A source that
 * cannot be reached in passing is only noted; its tables are looked at when they appear. ERR_ROUTE_*,
 * ERR_TRACK_*, ERR_DB_*. */
NODISCARD bool catalog_open(const CatalogOpts *opts, Catalog **out, Err *err);
void catalog_free(Catalog *c); /* after every thread has ended: rows point to bindings and targets */

/* For the assembler: model/txn.h bindings. *binding NULL: filtered. stream: a source, or a source + the
 * number of sources: its catch-up stream. at: before the rows. ERR_TRACK_START: nobody knows what the table
 * looked like there. */
NODISCARD bool catalog_resolve(Catalog *c, uint32_t stream, const TableMap *map, const StreamPoint *at,
                               const Binding **binding, Err *err);
/* The member's target, made now if no row of it was read before: its schema changes concern it. Blocks. As
 * catalog_resolve. */
NODISCARD bool catalog_have_target(Catalog *c, const Member *member, Err *err);
/* Binds the member, whose definition is known, to its target, which is made if need be. Blocks. As
 * catalog_resolve. */
NODISCARD bool catalog_bind(Catalog *c, const Member *member, Err *err);
/* Where the stream of a source begins that was never read, final from now on: the definitions are true there.
 * conn: of the source. Blocks. ERR_CONFIG_VALUE, ERR_SOURCE_XA_OPEN, ERR_TRACK_START. */
NODISCARD bool catalog_start_point(Catalog *c, uint32_t source, Conn *conn, StreamPoint *out, Err *err);
bool catalog_routed(Catalog *c, uint32_t source, TableName name);
/* Is the table a member already (so that CREATE TABLE IF NOT EXISTS changes nothing)? */
bool catalog_member_exists(Catalog *c, uint32_t source, TableName name);
bool catalog_schema_routed(Catalog *c, uint32_t source, Str schema);
void catalog_set_flavor(Catalog *c, uint32_t source, Flavor flavor);

/* The tables of a source that could not be reached when the task started, as of where its stream begins.
 * Before the stream begins; blocks, unless they are known. cancel: of its connection to the source. As
 * catalog_open. */
NODISCARD bool catalog_list_late(Catalog *c, uint32_t source, ConnCancel *cancel, Err *err);
/* Need they not be listed? Not while that is under way. */
bool catalog_is_listed(Catalog *c, uint32_t source);
/* The members of one source, all of them; *out is heap, its pointers are valid as long as the catalog. */
size_t catalog_source_members(Catalog *c, uint32_t source, const Member ***out);
/* What copying a member needs, as the stream reads its table now, or (at not NULL) as it is at that point.
 * ERR_TRACK_*, ERR_NOT_SUPPORTED. */
NODISCARD bool catalog_load_table(Catalog *c, uint32_t stream, const Member *m, const StreamPoint *at,
                                  LoadTableInfo *out, Err *err);

/* Where a member's rows are, as far as its source has been read. */
typedef struct CatalogPlace {
    uint32_t source;
    TableName name;
} CatalogPlace;
/* Of the members of one target besides `except`, for asking who holds a key. Names are valid as long as the
 * catalog. */
size_t catalog_members(Catalog *c, const Target *t, const Member *except, CatalogPlace *out, size_t cap);
/* Does a key strategy write other values into this column than the shards have? */
bool catalog_rewrites(Catalog *c, const Target *t, Str column);

/* -- schema changes (catalog_ddl.c) -- */

struct Ddl;
/* From here on it is asked what rows look like. Before any stream runs. */
void catalog_follow(Catalog *c, struct Ddl *ddl);
typedef struct CatalogMemberInfo {
    const Member *member;
    uint64_t number;          /* durable */
    const TableSchema *first; /* as it was first known */
    TableName target;
} CatalogMemberInfo;
void catalog_each_member(Catalog *c, void (*fn)(void *ctx, const CatalogMemberInfo *info), void *ctx);
bool catalog_find_member(Catalog *c, uint32_t source, TableName name, CatalogMemberInfo *out);
/* All members of the state folder: a table that is not on its server any more was there where the stream
 * begins, and what became of it is still to be read. Nothing runs yet. */
NODISCARD bool catalog_know_stored(Catalog *c, Err *err);
/* A member of the state folder, whose table may be gone. ERR_TRACK_NO_TABLE. */
NODISCARD bool catalog_know_member(Catalog *c, uint32_t source, TableName name, TableName target,
                                   CatalogMemberInfo *out, Err *err);
/* Is the table on the server, and its definition not known at the point that is read? */
bool catalog_is_unknown(Catalog *c, uint32_t source, TableName name);
/* Nobody knows what the table looked like at this point: ERR_TRACK_START with the statement that changed it
 * since. Returns false. */
NODISCARD bool catalog_unknown(Catalog *c, uint32_t source, TableName name, const StreamPoint *at, Err *err);
/* The definition with which a statement (CREATE … LIKE, … SELECT) made a table, from the server: what changed
 * behind that point can be undone. before: the statement's transaction. schema_free. Blocks. ERR_TRACK_START.
 */
NODISCARD bool catalog_made_table(Catalog *c, uint32_t source, TableName name, const StreamPoint *before,
                                  const StreamPoint *after, TableSchema **out, Err *err);
/* The default collation that a database of the source has now; NULL: there is none. Heap. Blocks. */
NODISCARD bool catalog_schema_collation(Catalog *c, uint32_t source, Str schema, char **out, Err *err);
/* A shard table is made with this definition, which the statement's step keeps. */
NODISCARD bool catalog_new_member(Catalog *c, uint32_t source, TableName name, const TableSchema *schema,
                                  CatalogMemberInfo *out, Err *err);
/* A table with rows of its own has become a shard table, with this definition. locked: a lock of the target
 * says what fits; else it is bound to it now. Blocks. ERR_TRACK_TARGET and the like. */
NODISCARD bool catalog_enter_member(Catalog *c, uint32_t source, TableName name, const TableSchema *schema,
                                    bool locked, CatalogMemberInfo *out, Err *err);
/* From here on the shard table is called so; who was called so before gets its old name. */
void catalog_rename(Catalog *c, const Member *m, TableName name);
/* Does a table of this name go to that target? */
bool catalog_routes_to(Catalog *c, uint32_t source, TableName name, TableName target);
struct LossAnswer;
/* What the routes of a target say of rows that go without row events; nothing for one that is not known yet.
 */
NODISCARD bool catalog_target_losses(Catalog *c, TableName target, struct LossAnswer *out, Err *err);
/* The condition that exactly the member's rows in its target meet, and the order of a key to go by: "`a`,`b`"
 * and "`a`" (order empty: none; first empty: not to be compared). ERR_KEY_STRATEGY. */
NODISCARD bool catalog_rows_of(Catalog *c, const Member *m, StrBuf *where, StrBuf *order, StrBuf *first,
                               Err *err);
/* The live definition of a target; valid as long as the catalog. False: no such target. */
bool catalog_target_live(Catalog *c, TableName name, const TableSchema **out);
/* The target without what a key strategy made of it: then the definition that its first shard table had. */
bool catalog_target_plain(Catalog *c, TableName name, const TableSchema **out);
/* Are the target's keys other than the shards', so that a change of those says nothing of it? Where losers of
 * collisions are parked, provenance alone does not make them so. */
bool catalog_target_keyed(Catalog *c, TableName name);
/* Rows may be written there but while the tables beside it are of another definition. ERR_DDL_DIFFERS. */
NODISCARD bool catalog_may_park(const Target *t, Err *err);
/* Appends why they may not; nothing where they may. Takes the mutex. */
void catalog_target_apart(Catalog *c, TableName name, StrBuf *why);
/* What stands beside it, for the losers of collisions; NULL: nothing. Valid as long as the catalog. */
struct ParkedTarget *catalog_target_parks(Catalog *c, TableName name);
/* What stands beside the target may have other columns than it, nobody knows: no rows until a job has looked.
 */
void catalog_set_apart(Catalog *c, struct ParkedTarget *parked, const Err *why);
/* A definition of a target that parks, not in its place yet: with what stands beside it, which may be apart
 * from it. Takes schema over. Asks the downstream while the catalog is locked. */
NODISCARD bool catalog_prepare_target(Catalog *c, Conn *conn, const Dialect *d, TableSchema *schema,
                                      Target **out, Err *err);
void catalog_prepared_free(Target *t); /* one that did not take its place, or NULL */
/* It takes the target's place. No row of it is on its way. */
void catalog_take_prepared(Catalog *c, Target *t);
struct DdlVersion;
/* Do rows of this version go into the member's target as it is now? ERR_TRACK_TARGET and the like. */
NODISCARD bool catalog_fits(Catalog *c, const Member *member, const struct DdlVersion *v, Err *err);
/* The target has changed; takes schema over. No row of it is on its way. */
NODISCARD bool catalog_set_target(Catalog *c, TableName name, TableSchema *schema, Err *err);

/* Walks the targets; false at the end. */
bool catalog_target(Catalog *c, size_t i, const Target **out, size_t *n_members);

#endif
