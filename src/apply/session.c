#include "apply/session.h"
#include <stdlib.h>
#include <stdio.h>
#include "base/poison.h"

#define PINNED_SQL_MODE                                                                                      \
    "STRICT_TRANS_TABLES,STRICT_ALL_TABLES,NO_AUTO_VALUE_ON_ZERO,ALLOW_INVALID_DATES,NO_ENGINE_SUBSTITUTION"

/* Each is set and, where `expect` is given, read back. */
static const struct {
    const char *set, *read, *expect;
} pins[] = {
    {"SET NAMES utf8mb4 COLLATE utf8mb4_bin", "SELECT @@collation_connection", "utf8mb4_bin"},
    {"SET SESSION time_zone = '+00:00'", "SELECT @@session.time_zone", "+00:00"},
    {"SET SESSION foreign_key_checks = 0", "SELECT @@session.foreign_key_checks", "0"},
    {"SET SESSION unique_checks = 1", "SELECT @@session.unique_checks", "1"},
    {"SET SESSION autocommit = 1", "SELECT @@session.autocommit", "1"},
    {"SET SESSION innodb_lock_wait_timeout = 20", NULL, NULL},
    {"SET SESSION wait_timeout = 28800", NULL, NULL},
};

/* The sql_mode comes back in the server's own order: every pinned word must be there, and none of the bad
 * ones. */
static bool check_sql_mode(Conn *c, Err *err)
{
    char *mode = NULL;
    if (!conn_scalar(c, STR("SELECT @@session.sql_mode"), &mode, err)) return false;
    Str have = str_of(mode ? mode : ""), want = STR(PINNED_SQL_MODE);
    bool good = str_find(have, STR("NO_ZERO_")) == SIZE_MAX &&
                str_find(have, STR("NO_BACKSLASH_ESCAPES")) == SIZE_MAX &&
                str_find(have, STR("ANSI_QUOTES")) == SIZE_MAX;
    while (want.len) {
        Str one = str_split(&want, ',');
        good = good && str_find(have, one) != SIZE_MAX;
    }
    if (!good)
        err_set(err, ERR_APPLY_TARGET, "downstream: sql_mode does not stay as set, it is '%s'",
                mode ? mode : "");
    free(mode);
    return good;
}

static bool pin(Conn *c, const Dialect *d, const SessionOpts *opts, Err *err)
{
    for (size_t i = 0; i < ARRAY_LEN(pins); i++) {
        if (!conn_exec(c, str_of(pins[i].set), NULL, err)) return false;
        if (!pins[i].read) continue;
        char *value = NULL;
        if (!conn_scalar(c, str_of(pins[i].read), &value, err)) return false;
        bool same = value && strcmp(value, pins[i].expect) == 0;
        if (!same)
            err_set(err, ERR_APPLY_TARGET, "downstream: '%s' does not stick, '%s' gives '%s'", pins[i].set,
                    pins[i].read, value ? value : "NULL");
        free(value);
        if (!same) return false;
    }
    if (!conn_exec(c, STR("SET SESSION sql_mode = '" PINNED_SQL_MODE "'"), NULL, err) ||
        !check_sql_mode(c, err))
        return false;
    if (d->is_tidb) {
        if (!conn_exec(c, STR("SET SESSION tidb_txn_mode = 'pessimistic'"), NULL, err)) return false;
        if (!conn_exec(c, STR("SET SESSION tidb_constraint_check_in_place_pessimistic = ON"), NULL, err))
            return false;
    } else if (!conn_exec(c, STR("SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED"), NULL, err)) {
        return false;
    }
    for (size_t i = 0; i < opts->n_vars; i++) {
        StrBuf sql = {0};
        sb_printf(&sql, "SET SESSION " STR_FMT " = ", STR_ARG(opts->vars[i].name));
        sb_quoted(&sql, opts->vars[i].value);
        bool ok = conn_exec(c, sb_view(&sql), NULL, err);
        sb_done(&sql);
        if (!ok) return err_wrap(err, "downstream: session variable " STR_FMT, STR_ARG(opts->vars[i].name));
    }
    return true;
}

static bool detect(Conn *c, Dialect *d, Err *err)
{
    char *text = NULL;
    if (!conn_scalar(c, STR("SELECT CONCAT(VERSION(), ' ', @@version_comment)"), &text, err)) return false;
    Str version = str_of(text ? text : "");
    snprintf(d->version, sizeof d->version, STR_FMT, STR_ARG(version));
    d->is_mariadb = str_find(version, STR("MariaDB")) != SIZE_MAX;
    free(text);
    /* TIDB_VERSION() is the probe that a configured server-version cannot hide; others answer 1305 or 1046.
     */
    Err probe = {0};
    text = NULL;
    d->is_tidb = conn_scalar(c, STR("SELECT TIDB_VERSION()"), &text, &probe) && text;
    free(text);
    if (err_is_set(&probe) && probe.code == ERR_DB_LOST) {
        err_move(err, &probe);
        return false;
    }
    err_clear(&probe);
    unsigned major = 0, minor = 0, patch = 0;
    int n = sscanf(d->version, "%u.%u.%u", &major, &minor, &patch);
    unsigned number = n == 3 ? major * 10000 + minor * 100 + patch : 0;
    d->upsert_alias = !d->is_mariadb && !d->is_tidb && number >= 80019;
    d->multi_statements = !d->is_tidb;
    text = NULL;
    if (!conn_scalar(c, STR("SELECT @@max_allowed_packet"), &text, err)) return false;
    uint64_t packet = 0;
    if (!text || !str_to_u64(str_of(text), &packet)) packet = 1 << 20;
    free(text);
    d->max_packet = (size_t)packet;
    return true;
}

bool session_open(const SessionOpts *opts, Conn **out, Dialect *dialect, Err *err)
{
    ConnOpts conn = opts->conn;
    conn.found_rows = true;
    conn.multi_statements = true;
    Conn *c = NULL;
    *dialect = (Dialect){0};
    if (!conn_open(&conn, &c, err)) return false;
    if (!detect(c, dialect, err) || !pin(c, dialect, opts, err)) {
        conn_close(c);
        return false;
    }
    *out = c;
    return true;
}

const char *session_begin_sql(const Dialect *d)
{
    return d->is_tidb ? "BEGIN PESSIMISTIC" : "BEGIN";
}
