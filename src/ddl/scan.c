#include "ddl/scan.h"
#include "ddl/lex.h"
#include "base/poison.h"

/* One statement being read. Every parse_… function leaves out->kind at STMT_UNKNOWN when it meets what it
 * does not know; nothing is guessed. */
typedef struct Scan {
    Lex lex;
    Str default_schema;
    Arena *arena;
    StmtScan *out;
    size_t cap;
} Scan;

static bool is_word(const Scan *s, const char *word)
{
    return lex_is_word(&s->lex.tok, word);
}
static void next(Scan *s)
{
    lex_next(&s->lex);
}

static bool accept(Scan *s, const char *word)
{
    if (!is_word(s, word)) return false;
    next(s);
    return true;
}

static bool is_symbol(const Scan *s, char c)
{
    return s->lex.tok.kind == LEX_SYMBOL && s->lex.tok.text.ptr[0] == c;
}

static bool accept_symbol(Scan *s, char c)
{
    if (!is_symbol(s, c)) return false;
    next(s);
    return true;
}

static LexToken peek(const Scan *s)
{
    Lex ahead = s->lex;
    lex_next(&ahead);
    return ahead.tok;
}

static bool is_any(const LexToken *t, const char *const *words)
{
    for (; *words; words++)
        if (lex_is_word(t, *words)) return true;
    return false;
}

static bool read_name(Scan *s, Str *out)
{
    if (!lex_is_name(&s->lex.tok)) return false;
    *out = lex_name(&s->lex.tok, s->arena);
    next(s);
    return true;
}

/* Without quotes a name of digits alone stands only behind a dot. */
static bool is_number(const LexToken *t)
{
    if (t->kind != LEX_WORD) return false;
    for (size_t i = 0; i < t->text.len; i++)
        if (t->text.ptr[i] < '0' || t->text.ptr[i] > '9') return false;
    return true;
}

/* tbl | db.tbl | .tbl */
static bool read_table(Scan *s, TableName *out)
{
    Str first;
    *out = (TableName){.schema = s->default_schema};
    if (accept_symbol(s, '.')) return read_name(s, &out->table);
    if (is_number(&s->lex.tok) || !read_name(s, &first)) return false;
    out->table = first;
    if (!accept_symbol(s, '.')) return true;
    out->schema = first;
    return read_name(s, &out->table);
}

static void add_table(Scan *s, TableName t)
{
    StmtScan *o = s->out;
    if (o->n_tables == s->cap) {
        size_t cap = s->cap ? s->cap * 2 : 4;
        TableName *grown = arena_array(s->arena, TableName, cap);
        if (o->n_tables) memcpy(grown, o->tables, o->n_tables * sizeof *grown);
        o->tables = grown;
        s->cap = cap;
    }
    o->tables[o->n_tables++] = t;
}

static bool take_table(Scan *s)
{
    TableName t;
    if (!read_table(s, &t)) return false;
    add_table(s, t);
    return true;
}

static void accept_if_exists(Scan *s)
{
    if (!is_word(s, "IF")) return;
    LexToken t = peek(s);
    if (lex_is_word(&t, "EXISTS")) {
        next(s);
        next(s);
    } else if (lex_is_word(&t, "NOT")) {
        next(s);
        next(s);
        if (accept(s, "EXISTS")) s->out->if_not_exists = true;
    }
}

/* MariaDB: WAIT n | NOWAIT behind a table's name. */
static void accept_wait(Scan *s)
{
    if (accept(s, "NOWAIT")) return;
    if (is_word(s, "WAIT")) {
        LexToken t = peek(s);
        if (t.kind != LEX_WORD) return;
        next(s);
        next(s);
        if (accept_symbol(s, '.')) next(s); /* WAIT 1.5 */
    }
}

static void set_kind(Scan *s, StmtKind kind, StmtAction action, const char *what)
{
    s->out->kind = kind;
    s->out->action = action;
    s->out->what = what;
}

static void admin(Scan *s, const char *what)
{
    set_kind(s, STMT_ADMIN, STMT_ACTION_OTHER, what);
}

/* Moves on one token, over a whole (…) group at once. */
static void next_flat(Scan *s)
{
    unsigned depth = 0;
    do {
        if (is_symbol(s, '('))
            depth++;
        else if (is_symbol(s, ')') && depth)
            depth--;
        next(s);
    } while (depth && s->lex.tok.kind != LEX_END);
}

static bool is_end(const Scan *s)
{
    return s->lex.tok.kind == LEX_END || is_symbol(s, ';');
}

/* Table names with commas between them, then perhaps RESTRICT, CASCADE, WAIT; nothing else. */
static bool table_list(Scan *s)
{
    do {
        if (!take_table(s)) return false;
        accept_wait(s);
    } while (accept_symbol(s, ','));
    while (accept(s, "RESTRICT") || accept(s, "CASCADE"))
        ;
    accept_wait(s);
    return is_end(s);
}

/* The clauses of an ALTER TABLE that name other tables. RENAME, EXCHANGE and CONVERT stand outside
 * parentheses; RENAME and CONVERT are reserved words, so that no column is called so without quotes. */
static bool alter_clauses(Scan *s)
{
    static const char *const not_table[] = {"COLUMN", "INDEX", "KEY", "CONSTRAINT", "PARTITION", NULL};
    while (!is_end(s)) {
        if (accept(s, "RENAME")) {
            if (is_any(&s->lex.tok, not_table)) continue;
            if (!accept(s, "TO") && !accept(s, "AS")) accept_symbol(s, '=');
            if (!take_table(s)) return false;
        } else if (is_word(s, "EXCHANGE")) {
            LexToken t = peek(s);
            next(s);
            if (!lex_is_word(&t, "PARTITION")) continue;
            while (!is_end(s) && !is_word(s, "TABLE"))
                next_flat(s);
            if (!accept(s, "TABLE") || !take_table(s)) return false;
        } else if (accept(s, "CONVERT")) { /* MariaDB: CONVERT PARTITION p TO TABLE t | CONVERT TABLE t TO
                                              PARTITION */
            if (!is_word(s, "PARTITION") && !is_word(s, "TABLE")) continue;
            while (!is_end(s) && !is_word(s, "TABLE"))
                next_flat(s);
            if (!accept(s, "TABLE") || !take_table(s)) return false;
        } else {
            next_flat(s);
        }
    }
    return true;
}

static void parse_database(Scan *s, StmtAction action, const char *what)
{
    static const char *const options[] = {"CHARACTER", "CHARSET", "COLLATE", "DEFAULT",   "ENCRYPTION",
                                          "READ",      "COMMENT", "UPGRADE", "PLACEMENT", NULL};
    TableName t = {.schema = s->default_schema};
    accept_if_exists(s);
    bool named = lex_is_name(&s->lex.tok);
    if (named && action == STMT_ACTION_ALTER && is_any(&s->lex.tok, options)) {
        LexToken after =
            peek(s); /* ALTER DATABASE CHARSET utf8 | ALTER DATABASE charset CHARACTER SET utf8 */
        named = is_any(&after, options);
    }
    if (named) {
        if (!read_name(s, &t.schema)) return;
    } else if (action != STMT_ACTION_ALTER || is_end(s)) {
        return;
    }
    add_table(s, t);
    set_kind(s, STMT_DATABASE_DDL, action, what);
}

static void parse_alter(Scan *s)
{
    static const char *const harmless[] = {"VIEW",     "EVENT",    "FUNCTION",   "PROCEDURE", "USER",
                                           "ROLE",     "SERVER",   "TABLESPACE", "UNDO",      "LOGFILE",
                                           "INSTANCE", "RESOURCE", "ALGORITHM",  "DEFINER",   "SQL",
                                           "PACKAGE",  "LIBRARY",  "JSON",       NULL};
    while (is_word(s, "ONLINE") || is_word(s, "OFFLINE") || is_word(s, "IGNORE"))
        next(s);
    if (accept(s, "TABLE")) {
        accept_if_exists(s);
        if (!take_table(s)) return;
        accept_wait(s);
        if (alter_clauses(s)) set_kind(s, STMT_TABLE_DDL, STMT_ACTION_ALTER, "ALTER TABLE");
    } else if (accept(s, "SEQUENCE")) {
        accept_if_exists(s);
        if (take_table(s)) set_kind(s, STMT_TABLE_DDL, STMT_ACTION_ALTER, "ALTER SEQUENCE");
    } else if (accept(s, "DATABASE") || accept(s, "SCHEMA")) {
        parse_database(s, STMT_ACTION_ALTER, "ALTER DATABASE");
    } else if (is_any(&s->lex.tok, harmless)) {
        admin(s, "ALTER (no table)");
    }
}

/* Behind CREATE [OR REPLACE] [TEMPORARY] TABLE. */
static void parse_create_table(Scan *s, bool replace, bool temporary)
{
    accept_if_exists(s);
    if (!take_table(s)) return;
    bool paren = false;
    if (is_symbol(s, '(')) {
        LexToken t = peek(s);
        paren = lex_is_word(&t, "LIKE");
        if (paren) next(s);
    }
    if ((paren || is_word(s, "LIKE")) && (next(s), !take_table(s))) return;
    /* CREATE OR REPLACE (MariaDB) drops what was there. */
    set_kind(s, temporary ? STMT_TEMPORARY : STMT_TABLE_DDL, STMT_ACTION_CREATE,
             temporary ? "CREATE TEMPORARY TABLE"
             : replace ? "CREATE OR REPLACE TABLE"
                       : "CREATE TABLE");
}

/* [IF …] name [USING …] … ON tbl */
static void parse_index(Scan *s, const char *what)
{
    accept_if_exists(s);
    s->out->if_not_exists = false;
    while (!is_end(s) && !is_word(s, "ON"))
        next_flat(s);
    if (accept(s, "ON") && take_table(s)) set_kind(s, STMT_TABLE_DDL, STMT_ACTION_ALTER, what);
}

static void parse_create(Scan *s)
{
    static const char *const index_words[] = {"UNIQUE", "FULLTEXT", "SPATIAL", "VECTOR",
                                              "ONLINE", "OFFLINE",  NULL};
    static const char *const harmless[] = {
        "VIEW",    "EVENT",   "FUNCTION", "AGGREGATE",  "LOADABLE",  "PROCEDURE", "TRIGGER",
        "USER",    "ROLE",    "SERVER",   "TABLESPACE", "UNDO",      "LOGFILE",   "RESOURCE",
        "PACKAGE", "LIBRARY", "JSON",     "DEFINER",    "ALGORITHM", "SQL",       NULL};
    bool replace = false;
    if (accept(s, "OR")) {
        if (!accept(s, "REPLACE")) return;
        replace = true;
    }
    bool temporary = accept(s, "TEMPORARY");
    if (!temporary && is_word(s, "EXTERNAL")) next(s); /* MySQL 9 HeatWave */
    if (accept(s, "TABLE")) {
        parse_create_table(s, replace, temporary);
    } else if (accept(s, "SEQUENCE")) {
        accept_if_exists(s);
        if (take_table(s))
            set_kind(s, temporary ? STMT_TEMPORARY : STMT_TABLE_DDL, STMT_ACTION_CREATE, "CREATE SEQUENCE");
    } else if (temporary) {
        return;
    } else if (accept(s, "DATABASE") || accept(s, "SCHEMA")) {
        /* CREATE OR REPLACE DATABASE (MariaDB) drops what was there. */
        parse_database(s, replace ? STMT_ACTION_DROP : STMT_ACTION_CREATE, "CREATE DATABASE");
    } else if (accept(s, "INDEX")) {
        parse_index(s, "CREATE INDEX");
    } else if (is_any(&s->lex.tok, harmless)) {
        admin(s, "CREATE (no table)");
    } else if (is_any(&s->lex.tok, index_words)) {
        while (is_any(&s->lex.tok, index_words))
            next(s);
        if (accept(s, "INDEX"))
            parse_index(s, "CREATE INDEX");
        else if (is_word(s, "REFERENCE")) /* CREATE [OR REPLACE] SPATIAL REFERENCE SYSTEM */
            admin(s, "CREATE (no table)");
    }
}

static void parse_drop(Scan *s)
{
    static const char *const harmless[] = {
        "VIEW", "EVENT",   "FUNCTION", "PROCEDURE", "TRIGGER", "USER",    "ROLE",    "SERVER", "TABLESPACE",
        "UNDO", "LOGFILE", "RESOURCE", "PACKAGE",   "LIBRARY", "SPATIAL", "PREPARE", NULL};
    bool temporary = accept(s, "TEMPORARY");
    while (is_word(s, "ONLINE") || is_word(s, "OFFLINE"))
        next(s);
    bool table = is_word(s, "TABLE") || is_word(s, "TABLES"), sequence = is_word(s, "SEQUENCE");
    if (table || sequence) {
        next(s);
        accept_if_exists(s);
        if (!table_list(s)) return;
        set_kind(s, temporary ? STMT_TEMPORARY : STMT_TABLE_DDL, STMT_ACTION_DROP,
                 sequence    ? "DROP SEQUENCE"
                 : temporary ? "DROP TEMPORARY TABLE"
                             : "DROP TABLE");
    } else if (temporary) {
        return;
    } else if (accept(s, "DATABASE") || accept(s, "SCHEMA")) {
        parse_database(s, STMT_ACTION_DROP, "DROP DATABASE");
    } else if (accept(s, "INDEX")) {
        parse_index(s, "DROP INDEX");
    } else if (is_any(&s->lex.tok, harmless)) {
        admin(s, "DROP (no table)");
    }
}

static void parse_rename(Scan *s)
{
    if (is_word(s, "USER")) {
        admin(s, "RENAME USER");
        return;
    }
    if (!accept(s, "TABLE") && !accept(s, "TABLES")) return;
    accept_if_exists(s);
    do {
        if (!take_table(s)) return;
        accept_wait(s);
        if (!accept(s, "TO") || !take_table(s)) return;
    } while (accept_symbol(s, ','));
    if (is_end(s)) set_kind(s, STMT_TABLE_DDL, STMT_ACTION_RENAME, "RENAME TABLE");
}

static void parse_truncate(Scan *s)
{
    accept(s, "TABLE");
    if (!take_table(s)) return;
    accept_wait(s);
    if (is_end(s)) set_kind(s, STMT_TABLE_DDL, STMT_ACTION_TRUNCATE, "TRUNCATE TABLE");
}

static void parse_rollback(Scan *s)
{
    accept(s, "WORK");
    if (accept(s, "TO")) {
        if (is_word(s, "SAVEPOINT")) { /* also a legal name: ROLLBACK TO savepoint */
            LexToken t = peek(s);
            if (lex_is_name(&t)) next(s);
        }
        if (read_name(s, &s->out->savepoint))
            set_kind(s, STMT_ROLLBACK_TO, STMT_ACTION_OTHER, "ROLLBACK TO SAVEPOINT");
        return;
    }
    if (is_end(s) || is_word(s, "AND") || is_word(s, "NO") || is_word(s, "RELEASE"))
        set_kind(s, STMT_ROLLBACK, STMT_ACTION_OTHER, "ROLLBACK");
}

static void parse_transaction(Scan *s, Str verb)
{
    if (str_ieq(verb, STR("BEGIN"))) {
        accept(s, "WORK");
        if (is_end(s)) set_kind(s, STMT_BEGIN, STMT_ACTION_OTHER, "BEGIN");
    } else if (str_ieq(verb, STR("START"))) {
        if (is_word(s, "TRANSACTION"))
            set_kind(s, STMT_BEGIN, STMT_ACTION_OTHER, "START TRANSACTION");
        else
            admin(s, "START (no transaction)");
    } else if (str_ieq(verb, STR("COMMIT"))) {
        set_kind(s, STMT_COMMIT, STMT_ACTION_OTHER, "COMMIT");
    } else if (str_ieq(verb, STR("SAVEPOINT"))) {
        if (read_name(s, &s->out->savepoint)) set_kind(s, STMT_SAVEPOINT, STMT_ACTION_OTHER, "SAVEPOINT");
    } else if (str_ieq(verb, STR("RELEASE"))) {
        if (accept(s, "SAVEPOINT") && read_name(s, &s->out->savepoint))
            set_kind(s, STMT_RELEASE_SAVEPOINT, STMT_ACTION_OTHER, "RELEASE SAVEPOINT");
    } else {
        parse_rollback(s);
    }
}

static void accept_all(Scan *s, const char *const *words)
{
    while (is_any(&s->lex.tok, words))
        next(s);
}

/* The written table, for the plain one-table forms only. */
static void dml_target(Scan *s, Str verb)
{
    static const char *const insert_words[] = {"LOW_PRIORITY", "DELAYED", "HIGH_PRIORITY",
                                               "IGNORE",       "INTO",    NULL};
    static const char *const update_words[] = {"LOW_PRIORITY", "IGNORE", NULL};
    static const char *const delete_words[] = {"LOW_PRIORITY", "QUICK", "IGNORE", NULL};
    TableName t;
    bool insert = str_ieq(verb, STR("INSERT")) || str_ieq(verb, STR("REPLACE"));
    if (insert) {
        accept_all(s, insert_words);
        if (!read_table(s, &t)) return;
    } else if (str_ieq(verb, STR("UPDATE"))) {
        accept_all(s, update_words);
        if (!read_table(s, &t)) return;
        if (!is_word(s, "SET")) { /* UPDATE t [AS] x SET … */
            accept(s, "AS");
            if (!lex_is_name(&s->lex.tok)) return;
            next(s);
            if (!is_word(s, "SET")) return;
        }
    } else if (str_ieq(verb, STR("DELETE"))) {
        accept_all(s, delete_words);
        if (!accept(s, "FROM") || !read_table(s, &t)) return;
        if (!is_end(s) && !is_word(s, "WHERE") && !is_word(s, "ORDER") && !is_word(s, "LIMIT")) return;
    } else {
        return;
    }
    add_table(s, t);
}

static void parse_dml(Scan *s, Str verb)
{
    LexToken t = s->lex.tok;
    if (str_ieq(verb, STR("LOAD")) && lex_is_word(&t, "INDEX")) {
        admin(s, "LOAD INDEX INTO CACHE");
        return;
    }
    set_kind(s, STMT_DML, STMT_ACTION_OTHER, "DML");
    dml_target(s, verb);
}

static void statement(Scan *s);

/* SET STATEMENT a=1, b=2 FOR stmt (MariaDB): what counts is stmt. */
static void parse_set(Scan *s)
{
    LexToken t = peek(s);
    if (!is_word(s, "STATEMENT") || t.kind == LEX_SYMBOL) {
        admin(s, "SET");
        return;
    }
    while (s->lex.tok.kind != LEX_END && !is_word(s, "FOR"))
        next_flat(s);
    if (accept(s, "FOR")) statement(s);
}

/* ANALYZE [LOCAL] TABLE … is maintenance; MariaDB's ANALYZE UPDATE … runs the statement. */
static void parse_analyze(Scan *s)
{
    static const char *const local[] = {"LOCAL", "NO_WRITE_TO_BINLOG", NULL};
    accept_all(s, local);
    if (is_word(s, "TABLE") || is_word(s, "TABLES"))
        admin(s, "ANALYZE TABLE");
    else
        set_kind(s, STMT_DML, STMT_ACTION_OTHER, "ANALYZE statement");
}

typedef enum Verb {
    VERB_ALTER,
    VERB_CREATE,
    VERB_DROP,
    VERB_RENAME,
    VERB_TRUNCATE,
    VERB_TRANSACTION,
    VERB_XA,
    VERB_DML,
    VERB_SET,
    VERB_ANALYZE,
    VERB_ADMIN,
} Verb;

static const struct {
    const char *word;
    Verb verb;
} verbs[] = {
    {"ALTER", VERB_ALTER},
    {"CREATE", VERB_CREATE},
    {"DROP", VERB_DROP},
    {"RENAME", VERB_RENAME},
    {"TRUNCATE", VERB_TRUNCATE},
    {"BEGIN", VERB_TRANSACTION},
    {"START", VERB_TRANSACTION},
    {"COMMIT", VERB_TRANSACTION},
    {"ROLLBACK", VERB_TRANSACTION},
    {"SAVEPOINT", VERB_TRANSACTION},
    {"RELEASE", VERB_TRANSACTION},
    {"XA", VERB_XA},
    {"INSERT", VERB_DML},
    {"UPDATE", VERB_DML},
    {"DELETE", VERB_DML},
    {"REPLACE", VERB_DML},
    {"LOAD", VERB_DML},
    {"CALL", VERB_DML},
    {"WITH", VERB_DML},
    {"DO", VERB_DML},
    {"SELECT", VERB_DML},
    {"HANDLER", VERB_DML},
    {"VALUES", VERB_DML},
    {"TABLE", VERB_DML},
    {"SET", VERB_SET},
    {"ANALYZE", VERB_ANALYZE},
    {"GRANT", VERB_ADMIN},
    {"REVOKE", VERB_ADMIN},
    {"FLUSH", VERB_ADMIN},
    {"OPTIMIZE", VERB_ADMIN},
    {"REPAIR", VERB_ADMIN},
    {"CHECK", VERB_ADMIN},
    {"CHECKSUM", VERB_ADMIN},
    {"CACHE", VERB_ADMIN},
    {"INSTALL", VERB_ADMIN},
    {"UNINSTALL", VERB_ADMIN},
    {"KILL", VERB_ADMIN},
    {"RESET", VERB_ADMIN},
    {"PURGE", VERB_ADMIN},
    {"CHANGE", VERB_ADMIN},
    {"STOP", VERB_ADMIN},
    {"SHUTDOWN", VERB_ADMIN},
    {"RESTART", VERB_ADMIN},
    {"LOCK", VERB_ADMIN},
    {"UNLOCK", VERB_ADMIN},
    {"USE", VERB_ADMIN},
    {"SHOW", VERB_ADMIN},
    {"HELP", VERB_ADMIN},
    {"BACKUP", VERB_ADMIN},
    {"SIGNAL", VERB_ADMIN},
};

static void dispatch(Scan *s, size_t v, Str verb)
{
    switch (verbs[v].verb) {
    case VERB_ALTER: parse_alter(s); break;
    case VERB_CREATE: parse_create(s); break;
    case VERB_DROP: parse_drop(s); break;
    case VERB_RENAME: parse_rename(s); break;
    case VERB_TRUNCATE: parse_truncate(s); break;
    case VERB_TRANSACTION: parse_transaction(s, verb); break;
    case VERB_XA: set_kind(s, STMT_XA, STMT_ACTION_OTHER, "XA"); break;
    case VERB_DML: parse_dml(s, verb); break;
    case VERB_SET: parse_set(s); break;
    case VERB_ANALYZE: parse_analyze(s); break;
    case VERB_ADMIN: admin(s, verbs[v].word); break;
    }
}

static void statement(Scan *s)
{
    while (is_symbol(s, ';'))
        next(s);
    if (s->lex.tok.kind == LEX_END) {
        set_kind(s, STMT_NOOP, STMT_ACTION_OTHER, "empty");
        return;
    }
    if (is_symbol(s, '(')) { /* (SELECT f()) */
        set_kind(s, STMT_DML, STMT_ACTION_OTHER, "DML");
        return;
    }
    if (s->lex.tok.kind != LEX_WORD) return;
    Str verb = s->lex.tok.text;
    for (size_t i = 0; i < ARRAY_LEN(verbs); i++) {
        if (!lex_is_word(&s->lex.tok, verbs[i].word)) continue;
        next(s);
        dispatch(s, i, verb);
        return;
    }
}

void stmt_scan(Str sql, Str default_schema, Flavor flavor, unsigned modes, Arena *arena, StmtScan *out)
{
    *out = (StmtScan){.kind = STMT_UNKNOWN, .what = "unknown statement"};
    Scan s = {.default_schema = default_schema, .arena = arena, .out = out};
    lex_init(&s.lex, sql,
             (LexMode){.ansi_quotes = modes & STMT_ANSI_QUOTES,
                       .no_backslash_escapes = modes & STMT_NO_BACKSLASH_ESCAPES,
                       .mysql_comments = flavor == FLAVOR_MYSQL});
    statement(&s);
    if (s.lex.broken) out->kind = STMT_UNKNOWN;
    if (out->kind == STMT_UNKNOWN) { /* half-read names are no answer */
        *out = (StmtScan){.kind = STMT_UNKNOWN, .what = "unknown statement", .unreadable = s.lex.broken};
    }
}

/* MariaDB's comments are text for one family and none for the other: a quote in one makes two readings of all
 * that follows. */
static bool depends_on_flavor(Str sql)
{
    return str_find(sql, STR("/*M!")) != SIZE_MAX;
}

bool stmt_each_name(Str sql, Str default_schema, bool flat,
                    bool (*fn)(void *ctx, TableName name, bool qualified), void *ctx)
{
    Arena arena = {0};
    bool go = true;
    Lex lex;
    lex_init(&lex, sql, (LexMode){.ansi_quotes = true, .flat = flat});
    while (go && lex.tok.kind != LEX_END) {
        bool name = lex_is_name(&lex.tok) && !is_number(&lex.tok);
        Str first = name ? lex_name(&lex.tok, &arena) : (Str){0};
        lex_next(&lex);
        if (!name) continue;
        go = fn(ctx, (TableName){default_schema, first}, false);
        if (!go || lex.tok.kind != LEX_SYMBOL || lex.tok.text.ptr[0] != '.') continue;
        lex_next(&lex); /* the name behind the dot is looked at once more as a first one: db.t.column */
        if (lex_is_name(&lex.tok)) go = fn(ctx, (TableName){first, lex_name(&lex.tok, &arena)}, true);
    }
    arena_done(&arena);
    if (go && !flat && depends_on_flavor(sql)) go = stmt_each_name(sql, default_schema, true, fn, ctx);
    return go;
}

static bool mentions(Str sql, Str identifier, bool flat)
{
    Arena arena = {0};
    bool found = false;
    Lex lex;
    lex_init(&lex, sql, (LexMode){.ansi_quotes = true, .flat = flat});
    for (; lex.tok.kind != LEX_END && !found; lex_next(&lex))
        found = lex_is_name(&lex.tok) && str_ieq(lex_name(&lex.tok, &arena), identifier);
    arena_done(&arena);
    return found;
}

bool stmt_mentions(Str sql, Str identifier)
{
    return mentions(sql, identifier, false) || (depends_on_flavor(sql) && mentions(sql, identifier, true));
}
