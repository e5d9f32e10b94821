/* What a source says of itself: identity, settings, binlog files, replicas. */
#ifndef SM_DB_SERVER_H
#define SM_DB_SERVER_H

#include "base/arena.h"
#include "db/conn.h"
#include "model/flavor.h"
#include "model/point.h"

typedef struct ServerFacts {
    Arena arena;
    Flavor flavor;
    Str version, identity; /* identity: server_uuid, or "server_id:N" */
    uint32_t server_id;
    Str log_bin, binlog_format, gtid_mode; /* empty when the server does not have the variable */
} ServerFacts;

NODISCARD bool server_facts(Conn *c, ServerFacts *out, Err *err);
void server_facts_done(ServerFacts *f);

typedef struct ServerLog {
    Str name;
    uint64_t size;
} ServerLog;

typedef struct ServerLogs {
    Arena arena;
    ServerLog *logs; /* oldest first */
    size_t n;
} ServerLogs;

/* SHOW BINARY LOGS; needs REPLICATION CLIENT (BINLOG MONITOR on MariaDB). */
NODISCARD bool server_logs(Conn *c, ServerLogs *out, Err *err);
void server_logs_done(ServerLogs *l);
const ServerLog *server_logs_find(const ServerLogs *l, Str name);
/* Is a file that is not listed simply older than all that are (same base name, lower number)? Else the
 * numbering began anew, or it is another server's. Pure. */
bool server_logs_purged(const ServerLogs *l, Str name);

/* Does binlog `name` come after `than`? Another base name counts as newer. Pure. */
bool server_log_newer(Str name, Str than);

/* A server_id between 2^30 and 2^32 that neither the server nor any replica it lists uses. Not fatal when the
 * list is not allowed to be read: the server itself tells of clashes later. */
NODISCARD bool server_id_choose(Conn *c, const ServerFacts *facts, const char *source_id, uint32_t *out,
                                Err *err);

/* The server's current end as a point (for "caught up" and for starts at the end): executed GTID set and
 * file:pos. */
NODISCARD bool server_current_point(Conn *c, Flavor flavor, StreamPoint *out, Err *err);
NODISCARD bool server_detect_flavor(Conn *c, Flavor *out, Err *err);
NODISCARD bool server_identity(Conn *c, Flavor flavor, char **out, Err *err);

#endif
