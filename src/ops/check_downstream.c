#include <stdlib.h>
#include "ops/check_server.h"
#include "base/poison.h"

static void check_durability(CheckReport *r, const ServerVars *v)
{
    bool found;
    Str flush = vars_get(v, "innodb_flush_log_at_trx_commit", &found);
    if (found && !str_eqc(flush, "1"))
        check_add(r, CHECK_NOTE, "SET GLOBAL innodb_flush_log_at_trx_commit = 1",
                  "innodb_flush_log_at_trx_commit is " STR_FMT
                  ": after a crash of the server, rows and progress are lost together; what was lost is "
                  "applied again",
                  STR_ARG(flush));
    else if (found)
        check_add(r, CHECK_OK, NULL, "commits are flushed to disk");
    if (!vars_is(v, "log_bin", "ON")) return;
    if (!vars_is(v, "sync_binlog", "1"))
        check_add(r, CHECK_NOTE, "SET GLOBAL sync_binlog = 1",
                  "sync_binlog is " STR_FMT ": after a crash, replicas of the downstream may differ from it",
                  STR_ARG(vars_get(v, "sync_binlog", NULL)));
    if (vars_is(v, "binlog_format", "STATEMENT"))
        check_add(r, CHECK_FAIL, "SET GLOBAL binlog_format = ROW",
                  "binlog_format is STATEMENT: the server refuses writes in READ COMMITTED, which this "
                  "program uses");
}

static void check_limits(CheckReport *r, const Task *task, const ServerVars *v)
{
    enum { MIB = 1024 * 1024 };
    uint64_t packet = vars_number(v, "max_allowed_packet", 0);
    bool small = packet && packet < 64 * MIB;
    check_add(r,
              small && packet < 16 * MIB ? CHECK_WARN
              : small                    ? CHECK_NOTE
                                         : CHECK_OK,
              small ? "SET GLOBAL max_allowed_packet = 1073741824" : NULL,
              small ? "max_allowed_packet is %llu bytes: a larger row stops its source"
                    : "max_allowed_packet is %llu bytes",
              (unsigned long long)packet);
    uint64_t most = vars_number(v, "max_connections", 0); /* TiDB: 0 = no limit */
    enum { BESIDE = 3 };                                  /* coordinator, checks, an operator */
    if (most && most < task->worker_count + BESIDE)
        check_add(r, CHECK_FAIL, "SET GLOBAL max_connections, or lower worker-count",
                  "max_connections is %llu, the task opens %u", (unsigned long long)most,
                  task->worker_count + BESIDE);
}

static void check_writable(CheckReport *r, const ServerVars *v)
{
    static const char *const switches[] = {"super_read_only", "read_only", "innodb_read_only",
                                           "tidb_super_read_only", "tidb_restricted_read_only"};
    for (size_t i = 0; i < ARRAY_LEN(switches); i++) {
        Str value = vars_get(v, switches[i], NULL);
        if (!value.len || str_ieq(value, STR("OFF")) || str_eqc(value, "0")) continue;
        Str remedy = arena_printf(&r->arena, "SET GLOBAL %s = OFF, or connect to the writer", switches[i]);
        check_add(r, CHECK_FAIL, remedy.ptr, "%s is " STR_FMT, switches[i], STR_ARG(value));
    }
}

static void check_tidb(CheckReport *r, Conn *c, const ServerVars *v)
{
    static const char *const pieces[] = {"tidb_batch_insert", "tidb_batch_delete", "tidb_batch_commit",
                                         "tidb_enable_batch_dml"};
    check_add(r, CHECK_NOTE, NULL,
              "the downstream is TiDB: its own paths are unproven here, no TiDB was at hand");
    for (size_t i = 0; i < ARRAY_LEN(pieces); i++)
        if (vars_is(v, pieces[i], "ON")) {
            Str remedy = arena_printf(&r->arena, "SET GLOBAL %s = OFF", pieces[i]);
            check_add(r, CHECK_FAIL, remedy.ptr, "%s is ON: statements are committed in pieces", pieces[i]);
        }
    char *text = NULL;
    Err none = {0};
    if (!conn_scalar(
            c, STR("SELECT VARIABLE_VALUE FROM mysql.tidb WHERE VARIABLE_NAME = 'new_collation_enabled'"),
            &text, &none))
        check_add(r, CHECK_NOTE, "GRANT SELECT ON mysql.tidb",
                  "new_collation_enabled cannot be read: are _ci keys compared as such?");
    else if (text && !str_ieq(str_of(text), STR("True")))
        check_add(r, CHECK_WARN, "it is fixed when a cluster is made",
                  "new_collation_enabled is %s: all text keys are compared as bytes", text);
    err_clear(&none);
    free(text);
}

/* Which of the wanted privileges are missing on a schema or table. False: all there. */
static bool missing_privileges(const Grants *g, const char *const *wanted, size_t n, TableName on,
                               StrBuf *out)
{
    for (size_t i = 0; i < n; i++) {
        if (grants_have(g, wanted[i], on.schema, on.table)) continue;
        if (out->len) sb_c(out, ", ");
        sb_c(out, wanted[i]);
    }
    return out->len > 0;
}

static void check_meta_schema(CheckReport *r, const Task *task, Conn *c)
{
    static const char *const wanted[] = {"CREATE", "SELECT", "INSERT", "UPDATE", "DELETE"};
    Grants g;
    Err err = {0};
    if (!grants_read(c, &g, &err)) {
        check_add_err(r, CHECK_WARN, &err);
        return;
    }
    StrBuf missing = {0}, remedy = {0};
    if (missing_privileges(&g, wanted, ARRAY_LEN(wanted), (TableName){task->meta_schema, {0}}, &missing)) {
        sb_printf(&remedy, "GRANT CREATE, SELECT, INSERT, UPDATE, DELETE ON ");
        sb_ident(&remedy, task->meta_schema);
        sb_c(&remedy, ".* TO ");
        sb_str(&remedy, g.user);
        check_add(r, g.has_roles ? CHECK_WARN : CHECK_FAIL, remedy.ptr,
                  "meta schema " STR_FMT ": %s is not granted%s", STR_ARG(task->meta_schema), missing.ptr,
                  g.has_roles ? ", unless a role brings it" : "");
    } else {
        check_add(r, CHECK_OK, NULL, "may create and write the meta schema " STR_FMT,
                  STR_ARG(task->meta_schema));
    }
    sb_done(&missing);
    sb_done(&remedy);
    grants_done(&g);
}

void check_downstream(CheckReport *r, const Task *task, Conn *c, bool is_tidb)
{
    ServerVars v;
    Err err = {0};
    check_where(r, "downstream");
    check_add(r, CHECK_OK, NULL, "%s, the connection is %s", conn_server_version(c),
              conn_has_tls(c) ? "encrypted" : "not encrypted");
    if (!vars_read(c, &v, &err)) {
        check_add_err(r, CHECK_FAIL, &err);
        return;
    }
    if (is_tidb) check_tidb(r, c, &v);
    check_writable(r, &v);
    if (!is_tidb) check_durability(r, &v);
    check_limits(r, task, &v);
    check_meta_schema(r, task, c);
    vars_done(&v);
}
