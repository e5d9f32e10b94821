#include <stdlib.h>
#include "base/clock.h"
#include "model/point.h"
#include "ops/check_server.h"
#include "db/server.h"
#include "db/xa_recover.h"
#include "source/stream.h"
#include "base/poison.h"

static void check_version(CheckReport *r, const CheckedSource *s)
{
    const char *text = conn_server_version(s->conn);
    unsigned v = version_number(text);
    bool known = s->is_mariadb ? v >= 1003 && v < 1300 : v >= 507 && v < 1000;
    check_add(r, known ? CHECK_OK : CHECK_WARN,
              known ? NULL : "MySQL 5.7 to 9.x and MariaDB 10.3 to 12.x are what this program is made for",
              "%s %s", s->is_mariadb ? "MariaDB" : "MySQL", text);
    if (vars_is(&s->vars, "binlog_storage_engine", "innodb"))
        check_add(r, CHECK_WARN, "start by GTID, never by file and position",
                  "the binlog is kept inside InnoDB: file positions mean something else there");
}

/* A variable that must have one value; servers without it are right as they are. */
static void check_setting(CheckReport *r, const CheckedSource *s, const char *name, const char *wanted,
                          CheckLevel level, const char *why)
{
    bool found;
    Str value = vars_get(&s->vars, name, &found);
    if (!found) return;
    if (str_ieq(value, str_of(wanted))) {
        check_add(r, CHECK_OK, NULL, "%s is " STR_FMT, name, STR_ARG(value.len ? value : STR("empty")));
        return;
    }
    Str remedy = arena_printf(&r->arena, "SET GLOBAL %s = %s%s%s; and in the server's configuration file",
                              name, *wanted ? "" : "'", wanted, *wanted ? "" : "'");
    check_add(r, level, remedy.ptr, "%s is " STR_FMT ": %s", name, STR_ARG(value), why);
}

static void check_binlog(CheckReport *r, const CheckedSource *s)
{
    if (!vars_is(&s->vars, "log_bin", "ON") && !vars_is(&s->vars, "log_bin", "1")) {
        check_add(r, CHECK_FAIL,
                  "set log_bin and server_id in the server's configuration and restart it; on RDS and Aurora "
                  "switch "
                  "automated backups on and use the writer endpoint",
                  "log_bin is off: there is nothing to follow");
        return;
    }
    check_add(r, CHECK_OK, NULL, "log_bin is ON");
    check_setting(r, s, "binlog_format", "ROW", CHECK_FAIL, "rows are not in the binlog");
    check_setting(r, s, "binlog_row_image", "FULL", CHECK_WARN,
                  "partial images are applied exactly, but rows whose unique keys are not all in the image "
                  "go one at a time");
    check_setting(
        r, s, "binlog_row_metadata", "FULL", CHECK_NOTE,
        "column names are not in the binlog, so a schema change that was missed shows only by its types");
    if (!vars_is(&s->vars, "binlog_row_image", "FULL"))
        check_setting(
            r, s, "binlog_row_value_options", "", CHECK_FAIL,
            "a JSON diff needs the document in the before image, which only binlog_row_image=FULL has");
    check_setting(r, s, "binlog_checksum", "CRC32", CHECK_WARN, "damage on the way would not be seen");
    check_add(r, CHECK_NOTE, NULL,
              "a session may still choose another binlog format or image for itself: it is seen in the "
              "stream, and a "
              "change of a routed table that has no rows stops the source");
}

static void check_server_id(CheckReport *r, const CheckedSource *s)
{
    uint64_t id = vars_number(&s->vars, "server_id", 0);
    if (id == 0)
        check_add(r, CHECK_FAIL, "SET GLOBAL server_id = N, another N on every server", "server_id is 0");
    else if (s->config->server_id && s->config->server_id == id)
        check_add(r, CHECK_FAIL, "choose another server-id in the source configuration, or leave it out",
                  "server-id %u is the server's own", s->config->server_id);
    else
        check_add(r, CHECK_OK, NULL, "server_id is %llu", (unsigned long long)id);
}

static void check_gtid(CheckReport *r, const CheckedSource *s)
{
    if (s->is_mariadb) {
        if (vars_is(&s->vars, "gtid_strict_mode", "ON"))
            check_add(r, CHECK_OK, NULL, "gtid_strict_mode is ON");
        else
            check_add(r, CHECK_NOTE, "SET GLOBAL gtid_strict_mode = ON",
                      "gtid_strict_mode is OFF: a GTID that goes back in its domain would stop this source");
        return;
    }
    Str mode = vars_get(&s->vars, "gtid_mode", NULL);
    bool wanted = s->config->enable_gtid || s->config->start.binlog_gtid.len;
    if (str_ieq(mode, STR("ON")))
        check_add(r, CHECK_OK, NULL, "gtid_mode is ON");
    else
        check_add(
            r, wanted ? CHECK_FAIL : CHECK_NOTE,
            "SET GLOBAL enforce_gtid_consistency = ON, then gtid_mode OFF_PERMISSIVE, ON_PERMISSIVE, ON",
            "gtid_mode is " STR_FMT ": %s", STR_ARG(mode),
            wanted ? "the task asks for GTIDs" : "positions hold on this server only, not after a failover");
}

static void check_retention(CheckReport *r, const CheckedSource *s)
{
    uint64_t seconds = vars_number(&s->vars, "binlog_expire_logs_seconds", 0);
    if (!seconds) seconds = vars_number(&s->vars, "expire_logs_days", 0) * 86400;
    if (vars_is(&s->vars, "binlog_expire_logs_auto_purge", "OFF")) seconds = 0;
    enum { DAY = 86400 };
    const char *remedy =
        "SET GLOBAL binlog_expire_logs_seconds = 604800, or more than the longest stop you plan for";
    if (!seconds)
        check_add(r, CHECK_OK, NULL, "binlog files are not purged by age");
    else
        check_add(r,
                  seconds < DAY       ? CHECK_WARN
                  : seconds < 3 * DAY ? CHECK_NOTE
                                      : CHECK_OK,
                  seconds < 3 * DAY ? remedy : NULL, "binlog files are kept for %llu hours",
                  (unsigned long long)(seconds / 3600));
    if (vars_number(&s->vars, "max_binlog_total_size", 0))
        check_add(r, CHECK_NOTE, "SET GLOBAL max_binlog_total_size = 0, or watch the lag",
                  "max_binlog_total_size purges by size, whatever their age");
    Rows rows;
    Err none = {0}; /* the table exists on RDS only */
    if (!conn_query(s->conn,
                    STR("SELECT value FROM mysql.rds_configuration WHERE name = 'binlog retention hours'"),
                    &rows, &none)) {
        err_clear(&none);
        return;
    }
    Str v[1] = {{0}};
    bool row = rows.n_columns == 1 && rows_next(&rows, v);
    uint64_t hours = 0;
    bool number = row && v[0].ptr && str_to_u64(v[0], &hours);
    check_add(r, !number || hours < 24 ? CHECK_WARN : CHECK_OK,
              !number || hours < 24 ? "CALL mysql.rds_set_configuration('binlog retention hours', 72)" : NULL,
              number ? "RDS keeps binlog files for %llu hours"
                     : "RDS purges binlog files as soon as it can (retention %llu)",
              (unsigned long long)hours);
    rows_done(&rows);
}

static void check_clock(CheckReport *r, const CheckedSource *s)
{
    char *text = NULL;
    Err none = {0};
    uint64_t server = 0;
    if (conn_scalar(s->conn, STR("SELECT UNIX_TIMESTAMP()"), &text, &none) && text &&
        str_to_u64(str_of(text), &server)) {
        int64_t skew = (int64_t)server - clock_wall_ms() / 1000;
        if (skew > 5 || skew < -5)
            check_add(r, CHECK_WARN, "run NTP on both machines",
                      "its clock is %lld seconds %s ours: lag figures are off by that",
                      (long long)(skew < 0 ? -skew : skew), skew < 0 ? "behind" : "ahead of");
    } else {
        check_add_err(r, CHECK_WARN, &none);
    }
    free(text);
}

static void need(CheckReport *r, const Grants *g, const char *const *any, size_t n, const char *what)
{
    for (size_t i = 0; i < n; i++)
        if (grants_have(g, any[i], (Str){0}, (Str){0})) {
            check_add(r, CHECK_OK, NULL, "may %s", what);
            return;
        }
    Str remedy = arena_printf(&r->arena, "GRANT %s ON *.* TO " STR_FMT, any[0], STR_ARG(g->user));
    if (g->has_roles)
        check_add(r, CHECK_WARN, remedy.ptr, STR_FMT " may not %s, unless a role brings it", STR_ARG(g->user),
                  what);
    else
        check_add(r, CHECK_FAIL, remedy.ptr, STR_FMT " may not %s", STR_ARG(g->user), what);
}

static void check_privileges(CheckReport *r, const CheckedSource *s)
{
    Grants g;
    Err err = {0};
    if (!grants_read(s->conn, &g, &err)) {
        check_add_err(r, CHECK_WARN, &err);
        return;
    }
    static const char *const dump[] = {"REPLICATION SLAVE"};
    static const char *const status_mysql[] = {"REPLICATION CLIENT", "SUPER"};
    static const char *const status_mariadb[] = {"BINLOG MONITOR", "REPLICATION CLIENT", "SUPER"};
    bool renamed = s->is_mariadb && version_number(conn_server_version(s->conn)) >= 1005;
    need(r, &g, dump, 1, "read the binlog (REPLICATION SLAVE)");
    need(r, &g, renamed ? status_mariadb : status_mysql, renamed ? 3 : 2,
         renamed ? "ask for binlog positions (BINLOG MONITOR)"
                 : "ask for binlog positions (REPLICATION CLIENT)");
    grants_done(&g);
}

/* XA transactions that are prepared now. Their rows stand in the binlog already, before any start point that
 * is taken now; a copy waits until none is left. */
static void check_prepared(CheckReport *r, const CheckedSource *s)
{
    PreparedXids p;
    Err err = {0};
    if (!xa_recover(s->conn, &p, &err)) {
        check_add_err(r, s->copies ? CHECK_WARN : CHECK_NOTE, &err);
        return;
    }
    if (p.n)
        check_add(r, CHECK_WARN, "XA RECOVER on the source; end each by XA COMMIT or XA ROLLBACK",
                  "%zu XA transactions are prepared now, one of them " STR_FMT ": %s", p.n,
                  STR_ARG(p.xids[0]),
                  s->copies ? "the copy does not begin before they have ended"
                            : "a stream that starts behind a PREPARE stops where that transaction ends");
    else
        check_add(r, CHECK_OK, NULL, "no XA transaction is prepared");
    xa_recover_done(&p);
}

/* -- the start point -- */

static void check_start_file(CheckReport *r, const CheckedSource *s, const StartPoint *start)
{
    ServerLogs logs;
    Err err = {0};
    if (!server_logs(s->conn, &logs, &err)) {
        check_add_err(r, CHECK_WARN, &err);
        return;
    }
    const ServerLog *log = server_logs_find(&logs, start->binlog_name);
    if (!log)
        check_add(r, CHECK_FAIL, "copy this shard by hand again and set meta to where the copy was made",
                  "%s:%u:%u: binlog file " STR_FMT " is not on the server%s",
                  start->place.file ? start->place.file : "task", start->place.line, start->place.column,
                  STR_ARG(start->binlog_name),
                  server_logs_purged(&logs, start->binlog_name) ? " any more (purged)" : "");
    else if (start->binlog_pos > log->size)
        check_add(r, CHECK_FAIL, "write the position as the server printed it",
                  "start position %llu is behind the end of " STR_FMT " (%llu bytes)",
                  (unsigned long long)start->binlog_pos, STR_ARG(start->binlog_name),
                  (unsigned long long)log->size);
    else
        check_add(r, CHECK_OK, NULL, "the start point " STR_FMT ":%llu is on the server",
                  STR_ARG(start->binlog_name), (unsigned long long)start->binlog_pos);
    server_logs_done(&logs);
}

/* A set the server prints; *out NULL and a finding when it cannot be had. */
static void read_set(CheckReport *r, const CheckedSource *s, const char *sql, GtidSet **out)
{
    char *text = NULL;
    Err err = {0};
    *out = NULL;
    Flavor flavor = s->is_mariadb ? FLAVOR_MARIADB : FLAVOR_MYSQL;
    if (!conn_scalar(s->conn, str_of(sql), &text, &err) || !gtidset_parse(flavor, str_of(text), out, &err))
        check_add_err(r, CHECK_WARN, &err);
    free(text);
}

/* What the server has thrown away already, as a set. */
static void read_purged(CheckReport *r, const CheckedSource *s, GtidSet **out)
{
    *out = NULL;
    if (!s->is_mariadb) {
        read_set(r, s, "SELECT @@global.gtid_purged", out);
        return;
    }
    ServerLogs logs;
    Err err = {0};
    if (!server_logs(s->conn, &logs, &err)) {
        check_add_err(r, CHECK_WARN, &err);
        return;
    }
    if (logs.n) {
        StrBuf sql = {0};
        sb_c(&sql, "SELECT BINLOG_GTID_POS(");
        sb_quoted(&sql, logs.logs[0].name);
        sb_c(&sql, ", 4)");
        read_set(r, s, sql.ptr, out);
        sb_done(&sql);
    }
    server_logs_done(&logs);
}

static void check_start_gtid(CheckReport *r, const CheckedSource *s, const StartPoint *start)
{
    Flavor flavor = s->is_mariadb ? FLAVOR_MARIADB : FLAVOR_MYSQL;
    GtidSet *at = NULL, *have = NULL, *purged = NULL;
    Err err = {0};
    if (!gtidset_parse(flavor, start->binlog_gtid, &at, &err)) {
        check_add_err(r, CHECK_FAIL, &err);
        return;
    }
    read_set(r, s, s->is_mariadb ? "SELECT @@global.gtid_binlog_pos" : "SELECT @@global.gtid_executed",
             &have);
    read_purged(r, s, &purged);
    if (have && !gtidset_subset(at, have))
        check_add(r, CHECK_FAIL, "start with a GTID set that this server has",
                  "the start point has GTIDs that the server has not");
    else if (purged && !gtidset_subset(purged, at))
        check_add(r, CHECK_FAIL, "copy this shard by hand again and set meta to where the copy was made",
                  "the server has purged transactions behind the start point");
    else if (have && purged)
        check_add(r, CHECK_OK, NULL, "the start point's GTIDs are on the server");
    gtidset_free(at);
    gtidset_free(have);
    gtidset_free(purged);
}

static void check_start(CheckReport *r, const CheckedSource *s)
{
    const StartPoint *start = &s->config->start;
    if (s->copies) {
        if (start->place.file)
            check_add(r, CHECK_NOTE, NULL,
                      "%s:%u:%u: meta is not used in this mode: the copy decides where the stream starts",
                      start->place.file, start->place.line, start->place.column);
        return;
    }
    if (start->set && start->binlog_gtid.len) {
        check_start_gtid(r, s, start);
        return;
    }
    if (start->set && start->binlog_name.len) {
        check_start_file(r, s, start);
        return;
    }
    StreamPoint now;
    Err err = {0};
    if (!server_current_point(s->conn, s->is_mariadb ? FLAVOR_MARIADB : FLAVOR_MYSQL, &now, &err)) {
        check_add_err(r, CHECK_FAIL, &err);
        return;
    }
    StrBuf text = {0};
    point_format_human(&now, &text);
    check_add(r, CHECK_NOTE, "meta: in mysql-instances sets a start point",
              "no start point: a new task begins at the server's end, now %s", text.ptr ? text.ptr : "");
    sb_done(&text);
    point_done(&now);
}

void check_source(CheckReport *r, CheckedSource *s)
{
    Err err = {0};
    check_where(r, "source " STR_FMT, STR_ARG(s->config->id));
    if (!vars_read(s->conn, &s->vars, &err)) {
        check_add_err(r, CHECK_FAIL, &err);
        return;
    }
    vars_get(&s->vars, "gtid_domain_id", &s->is_mariadb);
    s->identity = vars_get(&s->vars, "server_uuid", NULL);
    Flavor flavor = s->is_mariadb ? FLAVOR_MARIADB : FLAVOR_MYSQL;
    if (s->config->flavor != FLAVOR_UNKNOWN && s->config->flavor != flavor)
        check_add(r, CHECK_FAIL, "correct flavor: in the source configuration, or leave it out",
                  "the source configuration says %s, the server is %s", flavor_name(s->config->flavor),
                  flavor_name(flavor));
    check_version(r, s);
    check_add(r, CHECK_OK, NULL, "the connection is %s",
              conn_has_tls(s->conn) ? "encrypted" : "not encrypted");
    check_privileges(r, s);
    check_binlog(r, s);
    check_server_id(r, s);
    check_gtid(r, s);
    check_retention(r, s);
    check_clock(r, s);
    check_prepared(r, s);
    check_start(r, s);
}
