#include "db/server.h"
#include <stdlib.h>
#include <sys/random.h>
#include <unistd.h>
#include "base/check.h"
#include "base/poison.h"

bool server_facts(Conn *c, ServerFacts *out, Err *err)
{
    *out = (ServerFacts){0};
    Rows rows;
    if (!conn_query(c,
                    STR("SHOW GLOBAL VARIABLES WHERE Variable_name IN ('version', 'server_id', "
                        "'server_uuid', 'log_bin', "
                        "'binlog_format', 'gtid_mode', 'gtid_domain_id')"),
                    &rows, err))
        return err_wrap(err, "reading the source's settings");
    CHECK(rows.n_columns == 2, "SHOW VARIABLES has two columns");
    Str v[2], uuid = {0};
    bool domains = false;
    while (rows_next(&rows, v)) {
        Str value = arena_str(&out->arena, v[1]);
        uint64_t number;
        if (str_eqc(v[0], "version")) out->version = value;
        if (str_eqc(v[0], "server_uuid")) uuid = value;
        if (str_eqc(v[0], "log_bin")) out->log_bin = value;
        if (str_eqc(v[0], "binlog_format")) out->binlog_format = value;
        if (str_eqc(v[0], "gtid_mode")) out->gtid_mode = value;
        if (str_eqc(v[0], "gtid_domain_id")) domains = true;
        if (str_eqc(v[0], "server_id") && str_to_u64(value, &number)) out->server_id = (uint32_t)number;
    }
    rows_done(&rows);
    out->flavor = domains ? FLAVOR_MARIADB : FLAVOR_MYSQL; /* GTID domains exist on MariaDB only */
    out->identity = domains ? arena_printf(&out->arena, "server_id:%u", out->server_id) : uuid;
    return true;
}

void server_facts_done(ServerFacts *f)
{
    arena_done(&f->arena);
    *f = (ServerFacts){0};
}

bool server_detect_flavor(Conn *c, Flavor *out, Err *err)
{
    ServerFacts f;
    if (!server_facts(c, &f, err)) return false;
    *out = f.flavor;
    server_facts_done(&f);
    return true;
}

bool server_identity(Conn *c, Flavor flavor, char **out, Err *err)
{
    enum { UNKNOWN_VARIABLE = 1193 };
    /* Asked for every chunk of a copy: MySQL takes milliseconds to list variables, however few are wanted. */
    bool maria = flavor == FLAVOR_MARIADB;
    *out = NULL;
    if (conn_scalar(
            c,
            maria ? STR("SELECT CONCAT('server_id:', @@global.server_id, LEFT(@@global.gtid_domain_id, 0))")
                  : STR("SELECT @@global.server_uuid"),
            out, err))
        return true;
    if (err->server_errno != UNKNOWN_VARIABLE) return err_wrap(err, "reading the source's settings");
    err_clear(err); /* a server of the other flavor is there now: the caller sees that it is another one */
    ServerFacts f;
    if (!server_facts(c, &f, err)) return false;
    *out = str_dup(f.identity);
    server_facts_done(&f);
    return true;
}

/* Sends the spellings of one statement, newest first, until the server knows one. */
static bool query_spellings(Conn *c, const char *const *sql, size_t n, Rows *out, Err *err)
{
    for (size_t i = 0; i < n; i++) {
        err_clear(err);
        if (conn_query(c, str_of(sql[i]), out, err)) return true;
        enum { PARSE_ERROR = 1064 };
        if (err->server_errno != PARSE_ERROR) return false;
    }
    return false;
}

/* -- the current end -- */

static bool read_status(Conn *c, StreamPoint *out, char **executed, Err *err)
{
    static const char *const spellings[] = {"SHOW BINARY LOG STATUS", "SHOW MASTER STATUS",
                                            "SHOW BINLOG STATUS"};
    Rows rows;
    if (!query_spellings(c, spellings, ARRAY_LEN(spellings), &rows, err))
        return err_wrap(err, "reading the source's binlog position");
    Str *v = mem_zalloc(sizeof *v * (rows.n_columns + 1));
    int file = rows_column(&rows, "File"), pos = rows_column(&rows, "Position");
    int gtids = rows_column(&rows, "Executed_Gtid_Set");
    uint64_t at = 0;
    bool ok = rows_next(&rows, v);
    if (!ok)
        err_set(err, ERR_SOURCE_SETTING, "the source writes no binlog (log_bin is off)");
    else if (file < 0 || pos < 0 || !str_to_u64(v[pos], &at))
        ok = err_set(err, ERR_SOURCE_PROTOCOL, "the source's binlog status lacks File or Position");
    if (ok) point_set_file(out, v[file], at);
    if (ok && gtids >= 0 && executed) *executed = str_dup(v[gtids]);
    free(v);
    rows_done(&rows);
    return ok;
}

bool server_current_point(Conn *c, Flavor flavor, StreamPoint *out, Err *err)
{
    *out = (StreamPoint){.flavor = flavor};
    char *gtids = NULL;
    bool ok = read_status(c, out, flavor == FLAVOR_MYSQL ? &gtids : NULL, err);
    if (ok && flavor == FLAVOR_MARIADB)
        ok = conn_scalar(c, STR("SELECT @@global.gtid_binlog_pos"), &gtids, err);
    if (ok && gtids) ok = gtidset_parse(flavor, str_of(gtids), &out->gtids, err);
    if (ok) ok = server_identity(c, flavor, &out->server, err);
    free(gtids);
    if (!ok) point_done(out);
    return ok;
}

/* -- binlog files -- */

bool server_logs(Conn *c, ServerLogs *out, Err *err)
{
    *out = (ServerLogs){0};
    Rows rows;
    if (!conn_query(c, STR("SHOW BINARY LOGS"), &rows, err))
        return err_wrap(err, "listing the source's binlog files");
    int name = rows_column(&rows, "Log_name"), size = rows_column(&rows, "File_size");
    bool ok = name >= 0 && size >= 0;
    out->logs = arena_array(&out->arena, ServerLog, rows.n_rows + 1);
    Str *v = mem_zalloc(sizeof *v * (rows.n_columns + 1));
    while (ok && rows_next(&rows, v)) {
        ServerLog *l = &out->logs[out->n++];
        l->name = arena_str(&out->arena, v[name]);
        ok = str_to_u64(v[size], &l->size);
    }
    free(v);
    rows_done(&rows);
    if (!ok) return err_set(err, ERR_SOURCE_PROTOCOL, "SHOW BINARY LOGS lacks Log_name or File_size");
    return true;
}

void server_logs_done(ServerLogs *l)
{
    arena_done(&l->arena);
    *l = (ServerLogs){0};
}

const ServerLog *server_logs_find(const ServerLogs *l, Str name)
{
    for (size_t i = 0; i < l->n; i++)
        if (str_eq(l->logs[i].name, name)) return &l->logs[i];
    return NULL;
}

/* "mysql-bin.000012" → "mysql-bin", 12 */
static bool log_number(Str name, Str *base, uint64_t *number)
{
    size_t dot = name.len;
    while (dot > 0 && name.ptr[dot - 1] != '.')
        dot--;
    if (dot == 0) return false;
    *base = str_make(name.ptr, dot - 1);
    return str_to_u64(str_make(name.ptr + dot, name.len - dot), number);
}

bool server_logs_purged(const ServerLogs *l, Str name)
{
    Str base, first_base;
    uint64_t number, first;
    if (!l->n || !log_number(name, &base, &number) || !log_number(l->logs[0].name, &first_base, &first))
        return false;
    return str_eq(base, first_base) && number < first;
}

bool server_log_newer(Str name, Str than)
{
    Str base, than_base;
    uint64_t number, than_number;
    if (!log_number(name, &base, &number) || !log_number(than, &than_base, &than_number))
        return !str_eq(name, than);
    return !str_eq(base, than_base) || number > than_number;
}

/* -- server_id -- */

static bool read_taken(Conn *c, uint32_t **taken, size_t *n, Err *err)
{
    static const char *const spellings[] = {"SHOW REPLICAS", "SHOW REPLICA HOSTS", "SHOW SLAVE HOSTS"};
    Rows rows;
    *taken = NULL;
    *n = 0;
    if (!query_spellings(c, spellings, ARRAY_LEN(spellings), &rows, err)) {
        if (err->code != ERR_DB_ACCESS_DENIED) return err_wrap(err, "listing the source's replicas");
        err_clear(err);
        return true;
    }
    int id = rows_column(&rows, "Server_id");
    Str *v = mem_zalloc(sizeof *v * (rows.n_columns + 1));
    *taken = mem_alloc(sizeof **taken * (rows.n_rows + 1));
    uint64_t number;
    while (rows_next(&rows, v))
        if (id >= 0 && str_to_u64(v[id], &number)) (*taken)[(*n)++] = (uint32_t)number;
    free(v);
    rows_done(&rows);
    return true;
}

bool server_id_choose(Conn *c, const ServerFacts *facts, const char *source_id, uint32_t *out, Err *err)
{
    uint32_t *taken;
    size_t n;
    if (!read_taken(c, &taken, &n, err)) return false;
    char host[256] = "";
    (void)gethostname(host, sizeof host - 1);
    for (bool free_id = false; !free_id;) {
        uint64_t noise = 0;
        CHECK(getrandom(&noise, sizeof noise, 0) == (ssize_t)sizeof noise, "no randomness");
        StrBuf seed = {0};
        sb_printf(&seed, "%s/%ld/%s/%llx", host, (long)getpid(), source_id, (unsigned long long)noise);
        uint32_t id = (uint32_t)str_hash(sb_view(&seed));
        sb_done(&seed);
        *out = id | UINT32_C(1) << 30; /* above what people give to their servers by hand */
        free_id = *out != facts->server_id && *out != UINT32_MAX;
        for (size_t i = 0; i < n; i++)
            free_id &= taken[i] != *out;
    }
    free(taken);
    return true;
}
