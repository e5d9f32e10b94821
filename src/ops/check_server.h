/* The parts of `check`: one server at a time. Main thread; block on the server. */
#ifndef SM_OPS_CHECK_SERVER_H
#define SM_OPS_CHECK_SERVER_H

#include "base/map.h"
#include "config/task.h"
#include "ops/check_grants.h"
#include "ops/check_report.h"
#include "route/plan.h"

/* SHOW GLOBAL VARIABLES of one server. */
typedef struct ServerVars {
    Arena arena;
    Map map; /* name → Str in arena */
} ServerVars;

NODISCARD bool vars_read(Conn *c, ServerVars *out, Err *err);
/* *found (may be NULL) tells a server without the variable from an empty value. */
Str vars_get(const ServerVars *v, const char *name, bool *found);
bool vars_is(const ServerVars *v, const char *name, const char *value);
uint64_t vars_number(const ServerVars *v, const char *name, uint64_t fallback);
void vars_done(ServerVars *v);

/* "10.11.6-MariaDB…" → major * 100 + minor. */
unsigned version_number(const char *version);

typedef struct CheckedSource {
    const SourceConfig *config;
    Conn *conn; /* NULL: could not be reached */
    ServerVars vars;
    bool is_mariadb;
    bool copies;  /* the task copies existing rows: the copy decides where the stream starts */
    Str identity; /* server_uuid; empty on MariaDB */
} CheckedSource;

/* Settings, privileges, retention, start point of one source. */
void check_source(CheckReport *r, CheckedSource *s);
/* Settings, privileges, meta schema of the downstream. */
void check_downstream(CheckReport *r, const Task *task, Conn *c, bool is_tidb);
/* Every target and its members, definitions and write privileges. conn NULL: only what needs no downstream.
 */
typedef struct CheckTables {
    const Task *task;
    CheckedSource *sources; /* by index */
    Conn *target;           /* NULL: could not be reached */
    bool target_is_tidb, target_is_mariadb;
} CheckTables;
NODISCARD bool check_tables(CheckReport *r, const CheckTables *t, Err *err);

#endif
