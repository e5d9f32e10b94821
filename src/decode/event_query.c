/* QUERY events and their status variables. */
#include "decode/event.h"
#include "decode/decode_internal.h"
#include "base/poison.h"

/* Status variables: code, then a value whose length the code defines. Source of truth: Query_log_event of
 * both servers. */
typedef enum StatusVar {
    VAR_FLAGS2 = 0,
    VAR_SQL_MODE = 1,
    VAR_CATALOG = 2,
    VAR_AUTO_INCREMENT = 3,
    VAR_CHARSET = 4,
    VAR_TIME_ZONE = 5,
    VAR_CATALOG_NZ = 6,
    VAR_LC_TIME_NAMES = 7,
    VAR_CHARSET_DATABASE = 8,
    VAR_TABLE_MAP_FOR_UPDATE = 9,
    VAR_MASTER_DATA_WRITTEN = 10,
    VAR_INVOKER = 11,
    VAR_UPDATED_DB_NAMES = 12,
    VAR_MICROSECONDS = 13,
    VAR_EXPLICIT_DEFAULTS_TS = 16,
    VAR_DDL_LOGGED_WITH_XID = 17,
    VAR_DEFAULT_COLLATION_UTF8MB4 = 18,
    VAR_SQL_REQUIRE_PRIMARY_KEY = 19,
    VAR_DEFAULT_TABLE_ENCRYPTION = 20,
    VAR_MARIADB_HRNOW = 128,
    VAR_MARIADB_XID = 129,
    VAR_MARIADB_GTID_FLAGS3 = 130,
    VAR_MARIADB_CHARSET_COLLATIONS = 131,
} StatusVar;

static void skip(Reader *r, size_t n)
{
    (void)reader_bytes(r, n);
}

/* Names of databases, each ended by a zero byte; a count of 254 means "too many to list". */
static void skip_db_names(Reader *r)
{
    enum { OVER_MAX = 254 };
    uint8_t n = reader_u8(r);
    for (uint8_t i = 0; n != OVER_MAX && i < n; i++) {
        const uint8_t *zero = reader_left(r) ? memchr(r->at, 0, reader_left(r)) : NULL;
        if (!zero) {
            r->failed = true;
            return;
        }
        r->at = zero + 1;
    }
}

static void skip_gtid_flags3(Reader *r)
{
    enum { COMMIT_ALTER = 4, ROLLBACK_ALTER = 8 };
    if (reader_u8(r) & (COMMIT_ALTER | ROLLBACK_ALTER)) skip(r, 8);
}

/* Reads one variable's value; false when the code is unknown. */
static bool status_var(Reader *r, uint8_t code, QueryEvent *out)
{
    switch ((StatusVar)code) {
    case VAR_SQL_MODE:
        out->sql_mode = reader_u64(r);
        out->has_sql_mode = reader_ok(r);
        return true;
    case VAR_CHARSET: /* client charset, connection and server collation */
        out->charset_client = reader_u16(r);
        out->collation_connection = reader_u16(r);
        skip(r, 2);
        return true;
    case VAR_TIME_ZONE: out->time_zone = reader_str(r, reader_u8(r)); return true;
    case VAR_CATALOG: skip(r, (size_t)reader_u8(r) + 1); return true;
    case VAR_CATALOG_NZ: skip(r, reader_u8(r)); return true;
    case VAR_FLAGS2: out->flags2 = reader_u32(r); return true;
    case VAR_AUTO_INCREMENT:
    case VAR_MASTER_DATA_WRITTEN: skip(r, 4); return true;
    case VAR_LC_TIME_NAMES: skip(r, 2); return true;
    case VAR_CHARSET_DATABASE: out->collation_database = reader_u16(r); return true;
    case VAR_DEFAULT_COLLATION_UTF8MB4: out->collation_utf8mb4 = reader_u16(r); return true;
    case VAR_TABLE_MAP_FOR_UPDATE:
    case VAR_DDL_LOGGED_WITH_XID:
    case VAR_MARIADB_XID: skip(r, 8); return true;
    case VAR_INVOKER:
        skip(r, reader_u8(r));
        skip(r, reader_u8(r));
        return true;
    case VAR_UPDATED_DB_NAMES: skip_db_names(r); return true;
    case VAR_MICROSECONDS:
    case VAR_MARIADB_HRNOW: skip(r, 3); return true;
    case VAR_EXPLICIT_DEFAULTS_TS: out->implicit_timestamps = reader_u8(r) == 0; return true;
    case VAR_SQL_REQUIRE_PRIMARY_KEY:
    case VAR_DEFAULT_TABLE_ENCRYPTION: skip(r, 1); return true;
    case VAR_MARIADB_GTID_FLAGS3: skip_gtid_flags3(r); return true;
    case VAR_MARIADB_CHARSET_COLLATIONS: skip(r, (size_t)reader_u8(r) * 4); return true;
    }
    return false;
}

/* QUERY body:
 *   offset length meaning
 *   0      4      thread id
 *   4      4      execution time, seconds
 *   8      1      length of the default database's name (d)
 *   9      2      error code
 *   11     2      length of the status variables (s)
 *   13     s      status variables
 *   13+s   d+1    default database, zero byte
 *   …      …      the statement to the end */
bool event_query(Str body, QueryEvent *out, Err *err)
{
    Reader r = reader_of(body);
    *out = (QueryEvent){0};
    out->thread_id = reader_u32(&r);
    out->exec_seconds = reader_u32(&r);
    uint8_t n_schema = reader_u8(&r);
    out->error_code = reader_u16(&r);
    Reader vars = reader_of(reader_str(&r, reader_u16(&r)));
    out->schema = reader_str(&r, n_schema);
    (void)reader_u8(&r);
    if (!reader_ok(&r)) return decode_event_cut(err, EVENT_QUERY);
    out->sql = reader_str(&r, reader_left(&r));
    while (reader_left(&vars)) {
        if (!status_var(&vars, reader_u8(&vars), out)) {
            out->vars_cut = true;
            break;
        }
    }
    if (!reader_ok(&vars))
        return err_set(err, ERR_DECODE_TRUNCATED, "QUERY event: a status variable runs over its block");
    return true;
}
