#include "source/assemble_impl.h"
#include "base/check.h"
#include "ddl/scan.h"
#include "model/charset_text.h"
#include "base/poison.h"

/* The statement as it is judged. */
typedef struct Stmt {
    Assembler *a;
    const FormatDescription *fmt;
    const RawEvent *ev;
    const QueryEvent *raw; /* as in the event */
    const QueryEvent *q;   /* its text in UTF-8, unless odd_charset */
    QueryEvent text;
    StmtScan scan;
    bool odd_charset; /* its text cannot be brought to UTF-8: names outside ASCII cannot be compared */
    TableName hit;    /* the routed name that was found; arena */
    Arena arena;
} Stmt;

enum { QUOTED_STATEMENT_CHARS = 300 };

static Str shown(Str sql)
{
    if (sql.len <= QUOTED_STATEMENT_CHARS) return sql;
    sql.len = QUOTED_STATEMENT_CHARS;
    while (sql.len && ((unsigned char)sql.ptr[sql.len] & 0xC0) == 0x80) /* no half character at the end */
        sql.len--;
    return sql;
}

/* A server with lower_case_table_names writes statements as typed and table maps in lower case: both count.
 */
static Str lower(Arena *arena, Str s)
{
    char *p = arena_alloc(arena, s.len + 1);
    for (size_t i = 0; i < s.len; i++)
        p[i] = s.ptr[i] >= 'A' && s.ptr[i] <= 'Z' ? (char)(s.ptr[i] + 32) : s.ptr[i];
    p[s.len] = 0;
    return str_make(p, s.len);
}

static bool schema_routed(Stmt *s, Str schema)
{
    const AssembleHooks *h = &s->a->opts.hooks;
    uint32_t source = s->a->opts.source;
    if (!schema.len) return false;
    if (s->odd_charset && !charset_text_is_ascii(schema)) return true;
    return h->schema_routed(h->ctx, source, schema) ||
           h->schema_routed(h->ctx, source, lower(&s->arena, schema));
}

static bool table_routed(Stmt *s, TableName t)
{
    const AssembleHooks *h = &s->a->opts.hooks;
    uint32_t source = s->a->opts.source;
    TableName low = {lower(&s->arena, t.schema), lower(&s->arena, t.table)};
    bool routed = h->routed(h->ctx, source, t) || h->routed(h->ctx, source, low) ||
                  (s->odd_charset && !charset_text_is_ascii(t.table) && schema_routed(s, t.schema)) ||
                  (s->odd_charset && !charset_text_is_ascii(t.schema));
    if (routed) s->hit = (TableName){arena_str(&s->arena, t.schema), arena_str(&s->arena, t.table)};
    return routed;
}

static const char *charset_name(const Stmt *s)
{
    const Collation *c = charset_by_collation_id(s->a->opts.flavor, s->q->charset_client);
    return c ? c->charset->name.ptr : "(unknown)";
}

static bool refuse_ddl(Stmt *s, Err *err)
{
    StrBuf name = {0};
    if (s->hit.table.len)
        table_name_sql(s->hit, &name);
    else
        sb_ident(&name, s->hit.schema);
    Str text = shown(s->q->sql);
    const char *switch_on = "set shard-mode: pessimistic (or optimistic) and start again";
    const char *touches = s->scan.kind == STMT_UNKNOWN ? "may touch" : "touches";
    if (s->odd_charset && s->a->opts.hooks.ddl)
        err_set_remedy(err, ERR_SOURCE_DDL,
                       "do by hand on the merged table what it did, and start a new task behind it; run such "
                       "statements from a client of utf8mb4",
                       "%s %s %s, and its text cannot be read in its character set %s: " STR_FMT,
                       s->scan.what, touches, name.ptr, charset_name(s), STR_ARG(text));
    else
        err_set_remedy(err, ERR_SOURCE_DDL, s->a->opts.hooks.ddl ? NULL : switch_on, "%s %s %s: " STR_FMT,
                       s->scan.what, touches, name.ptr, STR_ARG(text));
    sb_done(&name);
    return false;
}

/* The statement's own transaction: it ends with it. */
static TxnId own_id(const Stmt *s)
{
    const Assembler *a = s->a;
    return (TxnId){.has_gtid = a->group.has_gtid && a->opts.use_gtid,
                   .gtid = a->group.gtid,
                   .file = s->ev->file,
                   .end_pos = s->ev->end_pos,
                   .server = a->server_interned};
}

/* Somebody follows schema changes: what it does to routed tables is theirs to say. hit: what is known is the
 * one name that was found. */
static bool follow(Stmt *s, bool of_database, bool hit, Err *err)
{
    const AssembleHooks *h = &s->a->opts.hooks;
    DdlEvent e = {.query = s->q,
                  .point = &s->a->point,
                  .id = own_id(s),
                  .timestamp = s->ev->header.timestamp,
                  .server_version = s->fmt->server_version,
                  .what = s->scan.what,
                  .tables = hit ? &s->hit : s->scan.tables,
                  .n_tables = hit ? 1 : s->scan.n_tables,
                  .of_database = of_database};
    return h->ddl(h->ctx, s->a->opts.source, &e, err);
}

static bool follow_ddl(Stmt *s, bool of_database, Err *err)
{
    return follow(s, of_database, false, err);
}

static bool tables_policy(Stmt *s, Err *err)
{
    /* CREATE TABLE … LIKE t leaves t alone. */
    size_t n = s->scan.action == STMT_ACTION_CREATE ? MIN(s->scan.n_tables, (size_t)1) : s->scan.n_tables;
    const AssembleHooks *h = &s->a->opts.hooks;
    for (size_t i = 0; i < n; i++) {
        if (!table_routed(s, s->scan.tables[i])) continue;
        if (h->ddl && (!s->odd_charset || s->a->opts.only_statements)) return follow_ddl(s, false, err);
        if (h->ddl) return refuse_ddl(s, err);
        /* A table cannot have gone without a DROP or RENAME, which stops: so it is made here, empty, or
         * nothing happens. Its definition is looked at when its first rows come. */
        if (s->scan.action != STMT_ACTION_CREATE || strcmp(s->scan.what, "CREATE TABLE") != 0)
            return refuse_ddl(s, err);
        bool there = h->exists && h->exists(h->ctx, s->a->opts.source, s->scan.tables[i]);
        assemble_note(s->a, there ? "CREATE TABLE of a shard table that is known" : "a new shard table",
                      shown(s->q->sql));
    }
    return true;
}

/* CREATE makes an empty database, ALTER changes defaults for tables made later: both leave tables as they
 * are. */
static bool database_policy(Stmt *s, Err *err)
{
    if (s->scan.action != STMT_ACTION_DROP || !schema_routed(s, s->scan.tables[0].schema)) return true;
    bool readable = !s->odd_charset || charset_text_is_ascii(s->scan.tables[0].schema);
    if (s->a->opts.hooks.ddl && (readable || s->a->opts.only_statements)) return follow_ddl(s, true, err);
    s->hit = (TableName){.schema = s->scan.tables[0].schema};
    return refuse_ddl(s, err);
}

static bool name_passes(void *ctx, TableName name, bool qualified)
{
    (void)qualified;
    return !table_routed(ctx, name);
}

static bool unknown_policy(Stmt *s, Err *err)
{
    Str sql = s->q->sql, schema = s->q->schema;
    if (s->scan.unreadable && schema_routed(s, schema)) {
        s->hit = (TableName){.schema = schema};
        return s->a->opts.only_statements ? follow(s, true, true, err) : refuse_ddl(s, err);
    }
    if (!stmt_each_name(sql, schema, false, name_passes, s) ||
        (s->scan.unreadable && !stmt_each_name(sql, schema, true, name_passes, s)))
        return s->a->opts.only_statements ? follow(s, false, true, err) : refuse_ddl(s, err);
    assemble_note(s->a, "a statement that is not understood names no routed table", shown(s->q->sql));
    return true;
}

static bool is_system_schema(Str schema)
{
    return str_ieq(schema, STR("mysql")) || str_ieq(schema, STR("sys")) ||
           str_ieq(schema, STR("performance_schema")) || str_ieq(schema, STR("information_schema"));
}

static bool qualified_passes(void *ctx, TableName name, bool qualified)
{
    return !qualified || !table_routed(ctx, name);
}

/* Rows that a statement changes are not in the binlog, and its text does not tell all tables (triggers,
 * functions): where the database it ran in, or any table it names, may be routed, it stops. Tables of the
 * system schemas have no triggers that lead elsewhere: the servers' own heartbeats and accounts pass. */
static bool dml_policy(Stmt *s, Err *err)
{
    Str text = shown(s->q->sql);
    if (s->a->opts.only_statements) return true; /* no definition is changed by it */
    if (s->scan.n_tables == 1 && is_system_schema(s->scan.tables[0].schema)) return true;
    if (schema_routed(s, s->q->schema)) {
        return err_set(err, ERR_SOURCE_STATEMENT, "in database `" STR_FMT "`: " STR_FMT,
                       STR_ARG(s->q->schema), STR_ARG(text));
    }
    if (!stmt_each_name(s->q->sql, s->q->schema, false, qualified_passes, s)) {
        return err_set(err, ERR_SOURCE_STATEMENT, "names `" STR_FMT "`.`" STR_FMT "`: " STR_FMT,
                       STR_ARG(s->hit.schema), STR_ARG(s->hit.table), STR_ARG(text));
    }
    assemble_note(s->a, "a statement-format change outside routed databases", text);
    return true;
}

static bool same_scan(const StmtScan *a, const StmtScan *b)
{
    if (a->kind != b->kind || a->action != b->action || a->n_tables != b->n_tables) return false;
    for (size_t i = 0; i < a->n_tables; i++)
        if (!table_name_eq(a->tables[i], b->tables[i])) return false;
    return str_eq(a->savepoint, b->savepoint);
}

/* The servers write out CREATE TABLE … SELECT, and … LIKE a temporary table, by themselves: in UTF-8,
 * whatever the client's character set, which the event goes on to tell. */
static bool has_form_of_server(Str sql)
{
    return str_istarts(sql, STR("CREATE ")) && str_find(sql, STR("TABLE ")) < 32 &&
           str_find(sql, STR("` (\n  ")) != SIZE_MAX && charset_text_is_utf8(sql);
}

static bool by_server(const Stmt *s, Flavor flavor)
{
    static const Str end = {") START TRANSACTION", 19};
    Str sql = s->raw->sql;
    if (flavor == FLAVOR_MARIADB) return s->a->group.state == GROUP_OPEN; /* with its rows */
    return sql.len > end.len && memcmp(sql.ptr + sql.len - end.len, end.ptr, end.len) == 0;
}

/* The statement in UTF-8. Its default database is in UTF-8 always. */
static void read_text(Stmt *s, Flavor flavor)
{
    const QueryEvent *q = s->q = s->raw;
    if (!q->charset_client) return;
    const Collation *c = charset_by_collation_id(flavor, q->charset_client);
    if (c && c->charset->form == CHARSET_UTF8) return;
    s->text = *q;
    bool of_server = !charset_text_is_ascii(q->sql) && has_form_of_server(q->sql);
    if (of_server && by_server(s, flavor))
        s->text.charset_client = s->text.collation_connection = 0;
    else if (of_server && !(c && c->charset->form == CHARSET_BINARY))
        s->odd_charset = true; /* who wrote it, nobody can tell */
    else if (c)
        s->odd_charset = !charset_text_to_utf8(c->charset, q->sql, &s->arena, &s->text.sql);
    else
        s->odd_charset = !charset_text_is_ascii(q->sql);
    s->text.sql_is_utf8 = !s->odd_charset;
    s->q = &s->text;
}

/* Without the session's sql_mode the statement must mean the same in all of them. */
static void scan(Stmt *s, Flavor flavor)
{
    read_text(s, flavor);
    const QueryEvent *q = s->q;
    stmt_scan(q->sql, q->schema, flavor, q->has_sql_mode ? stmt_modes(q->sql_mode) : 0, &s->arena, &s->scan);
    for (unsigned modes = 1; !q->has_sql_mode && modes <= (STMT_ANSI_QUOTES | STMT_NO_BACKSLASH_ESCAPES);
         modes++) {
        StmtScan other;
        stmt_scan(q->sql, q->schema, flavor, modes, &s->arena, &other);
        if (!same_scan(&s->scan, &other))
            s->scan = (StmtScan){.kind = STMT_UNKNOWN, .what = "ambiguous statement", .unreadable = true};
    }
    const Collation *c = s->odd_charset ? charset_by_collation_id(flavor, q->charset_client) : NULL;
    /* A backslash or quote may be the second byte of a character there, or another character. */
    if (s->odd_charset && (!c || c->charset->form != CHARSET_SINGLE || !c->charset->ascii_superset))
        s->scan = (StmtScan){.kind = STMT_UNKNOWN, .what = "unreadable statement", .unreadable = true};
}

static bool begin(Assembler *a, Err *err)
{
    if (a->group.state == GROUP_OPEN && a->group.row_no)
        return err_set(err, ERR_SOURCE_PROTOCOL, "BEGIN inside a transaction");
    group_begin(a, GROUP_OPEN);
    return true;
}

/* Nothing of the group stays, but its identity and position are passed. */
static bool rolled_back(Assembler *a, const RawEvent *ev, Err *err)
{
    Group kept = a->group;
    bool was_open = kept.state != GROUP_NONE;
    group_drop(a);
    group_begin(a, GROUP_OPEN);
    if (was_open) {
        a->group.has_gtid = kept.has_gtid;
        a->group.gtid = kept.gtid;
    }
    return group_commit(a, ev, err);
}

/* What moves rows or schemas: true when it may pass. */
static bool policy(Stmt *s, bool is_load, Err *err)
{
    switch (is_load ? STMT_DML : s->scan.kind) {
    case STMT_TABLE_DDL: return tables_policy(s, err);
    case STMT_DATABASE_DDL: return database_policy(s, err);
    case STMT_DML: return dml_policy(s, err);
    case STMT_UNKNOWN: return unknown_policy(s, err);
    case STMT_XA:
    case STMT_TEMPORARY:
    case STMT_ADMIN:
    case STMT_NOOP:
    case STMT_BEGIN:
    case STMT_COMMIT:
    case STMT_ROLLBACK:
    case STMT_SAVEPOINT:
    case STMT_ROLLBACK_TO:
    case STMT_RELEASE_SAVEPOINT: return true;
    }
    return true;
}

/* A statement that is no transaction control; outside BEGIN it is a group of its own. */
static bool plain_statement(Stmt *s, bool is_load, Err *err)
{
    Assembler *a = s->a;
    AlterPhase alter = a->group.alter;
    bool no_change = alter == ALTER_START || alter == ALTER_ROLLBACK; /* COMMIT has the statement again */
    if (!no_change && !policy(s, is_load, err)) return false;
    if (a->group.state == GROUP_OPEN) return true;
    /* "# Dum…" stands for an event that was not sent; the group's own statement still comes. */
    if (s->scan.kind == STMT_NOOP && str_starts(s->q->sql, STR("# Dum"))) return true;
    group_begin(a, GROUP_OPEN);
    return group_commit(a, s->ev, err);
}

static bool in_transaction(const Stmt *s, Err *err)
{
    if (s->a->group.state == GROUP_OPEN) return true;
    return err_set(err, ERR_SOURCE_PROTOCOL, "%s outside a transaction", s->scan.what);
}

/* The body of the QUERY that is judged. */
static Str query_body(const Stmt *s)
{
    return s->ev->header.type == EVENT_QUERY_COMPRESSED ? sb_view(&s->a->inflated) : s->ev->body;
}

static bool savepoint_statement(Stmt *s, Err *err)
{
    Assembler *a = s->a;
    if (!in_transaction(s, err)) return false;
    if (a->group.xa) return xa_keep(a, EVENT_QUERY, query_body(s), err);
    if (s->scan.kind == STMT_ROLLBACK_TO) return savepoint_rollback(a, s->scan.savepoint, err);
    if (s->scan.kind == STMT_SAVEPOINT)
        savepoint_set(a, s->scan.savepoint);
    else
        savepoint_release(a, s->scan.savepoint);
    return true;
}

static bool transaction_statement(Stmt *s, bool is_load, Err *err)
{
    Assembler *a = s->a;
    switch (is_load ? STMT_DML : s->scan.kind) {
    case STMT_BEGIN: return begin(a, err);
    case STMT_COMMIT:
        if (a->group.state == GROUP_NONE) return in_transaction(s, err);
        return group_commit(a, s->ev, err);
    case STMT_ROLLBACK: return rolled_back(a, s->ev, err);
    case STMT_SAVEPOINT:
    case STMT_ROLLBACK_TO:
    case STMT_RELEASE_SAVEPOINT: return savepoint_statement(s, err);
    case STMT_XA: return assemble_xa_statement(a, s->fmt, s->ev, s->raw->sql, err);
    case STMT_DML:
    case STMT_TABLE_DDL:
    case STMT_DATABASE_DDL:
    case STMT_TEMPORARY:
    case STMT_ADMIN:
    case STMT_NOOP:
    case STMT_UNKNOWN: break;
    }
    return plain_statement(s, is_load, err);
}

bool assemble_query(Assembler *a, const FormatDescription *fmt, const RawEvent *ev, const QueryEvent *q,
                    bool is_load, Err *err)
{
    /* By far the most frequent two need no scan. */
    if (!is_load && str_eq(q->sql, STR("BEGIN"))) return begin(a, err);
    if (!is_load && str_eq(q->sql, STR("COMMIT")) && a->group.state != GROUP_NONE)
        return group_commit(a, ev, err);
    Stmt s = {.a = a, .fmt = fmt, .ev = ev, .raw = q};
    scan(&s, a->opts.flavor);
    bool ok = transaction_statement(&s, is_load, err);
    arena_done(&s.arena);
    return ok;
}
