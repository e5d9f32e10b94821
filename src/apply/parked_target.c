/* The table beside a target. */
#include <stdlib.h>
#include "apply/meta_sql.h"
#include "apply/parked_impl.h"
#include "base/clock.h"
#include "base/fault.h"
#include "db/schema_read.h"
#include "track/schema_beside.h"
#include "track/schema_json.h"
#include "base/poison.h"

#define PARKED_PREFIX "sm_parked_"
#define DECIDED_PREFIX "sm_decided_"
#define BEGAN_MS INT64_C(1767225600000) /* 2026-01-01 */
/* How many numbers a start takes for itself: more than a run can park, and 2^28 starts have some. */
#define NUMBERS_OF_A_RUN (UINT64_C(1) << 36)

static bool refuse(const Target *t, const char *why, const char *remedy, Err *err)
{
    return err_set_remedy(err, ERR_NOT_SUPPORTED, remedy,
                          "target " STR_FMT ": on-collision other than stop: %s", STR_ARG(t->sql_name), why);
}

bool parked_is_own_column(Str name)
{
    static const char *const own[] = {"sm_id",      "sm_source", "sm_schema",  "sm_table", "sm_since",
                                      "sm_decided", "sm_pinned", "sm_renamed", "sm_side"};
    for (size_t i = 0; i < ARRAY_LEN(own); i++)
        if (str_ieq(name, str_of(own[i]))) return true;
    return false;
}

/* Rows are compared by the server's own equality of columns, and wait for keys of whole columns. */
static bool can_park(const Target *t, Err *err)
{
    const char *key_remedy = "give it a key of whole columns, or leave on-collision at stop";
    for (uint32_t c = 0; c < t->schema->n_columns; c++)
        if (parked_is_own_column(t->schema->columns[c].name))
            return refuse(t, "a column has a name of the bookkeeping beside it",
                          "give the column another name than sm_id, sm_source and the like, or leave "
                          "on-collision at stop",
                          err);
    if (t->row_key == NO_COLUMN) return refuse(t, "the table has no key", key_remedy, err);
    for (uint32_t k = 0; k < t->schema->n_keys; k++) {
        const KeyDef *key = &t->schema->keys[k];
        for (uint32_t i = 0; key->unique && i < key->n_parts; i++)
            if (key->parts[i].column == UINT32_MAX || key->parts[i].prefix)
                return refuse(t, "a unique key has a prefix of a column, or an expression", key_remedy, err);
    }
    return true;
}

static ColumnDef own_column(const char *name, const char *data_type, const char *column_type, uint64_t chars)
{
    ColumnDef c = {.name = str_of(name),
                   .data_type = str_of(data_type),
                   .column_type = str_of(column_type),
                   .not_null = true,
                   .char_length = chars,
                   .default_kind = DEFAULT_NONE};
    if (chars) {
        c.charset = STR("utf8mb4");
        c.collation = STR("utf8mb4_bin");
    }
    return c;
}

/* What stands beside a target: two tables, told apart by their own columns and keys. */
typedef struct Beside {
    const ColumnDef *own;
    uint32_t n_own;
    uint32_t primary;  /* the first so many of them are the primary key */
    uint32_t index_on; /* this one has an index; NO_COLUMN: none */
} Beside;

/* The target's columns and its unique keys as ordinary indexes, then the bookkeeping. */
static bool create_table(Conn *c, const Dialect *d, const Target *t, const Beside *b, TableName name,
                         Err *err)
{
    TableSchema *s = schema_copy(t->schema);
    ColumnDef *columns = arena_array(&s->arena, ColumnDef, s->n_columns + b->n_own);
    KeyDef *keys = arena_array(&s->arena, KeyDef, s->n_keys + 2);
    KeyPart *parts = arena_array(&s->arena, KeyPart, b->n_own);
    uint32_t n_keys = 0;
    memcpy(columns, s->columns, s->n_columns * sizeof *columns);
    memcpy(columns + s->n_columns, b->own, b->n_own * sizeof *columns);
    for (uint32_t i = 0; i < b->n_own; i++)
        parts[i].column = s->n_columns + i;
    keys[n_keys++] = (KeyDef){.name = STR("PRIMARY"),
                              .primary = true,
                              .unique = true,
                              .index_type = STR("BTREE"),
                              .parts = parts,
                              .n_parts = b->primary};
    if (b->index_on != NO_COLUMN)
        keys[n_keys++] = (KeyDef){
            .name = STR("sm_own"), .index_type = STR("BTREE"), .parts = parts + b->index_on, .n_parts = 1};
    for (uint32_t k = 0; k < s->n_keys; k++) {
        if (!s->keys[k].unique) continue;
        keys[n_keys] = s->keys[k];
        keys[n_keys].primary = keys[n_keys].unique = false;
        keys[n_keys].name = arena_printf(&s->arena, "sm_key_%u", k);
        n_keys++;
    }
    s->columns = columns;
    s->n_columns += b->n_own;
    s->keys = keys;
    s->n_keys = n_keys;
    s->n_checks = 0;
    s->partitioning = (Partitioning){0};
    CLEANUP(sb_done) StrBuf sql = {0};
    CreateOpts opts = {.name = name,
                       .target_is_tidb = d->is_tidb,
                       .target_is_mariadb = d->is_mariadb,
                       .source_is_mariadb = d->is_mariadb};
    bool ok = schema_create_sql(s, &opts, &sql, err) && conn_exec(c, sb_view(&sql), NULL, err);
    schema_free(s);
    return ok;
}

static bool is_of_this_version(const TableSchema *parked, Err *err)
{
    if (schema_column(parked, STR("sm_decided")) != UINT32_MAX ||
        schema_column(parked, STR("sm_side")) != UINT32_MAX)
        return true;
    return err_set_remedy(err, ERR_NOT_SUPPORTED,
                          "when it is empty, drop it, and delete its row of sm_parked: it is made anew",
                          "table " STR_FMT "." STR_FMT
                          ", where losers of collisions are parked, was made by an earlier version",
                          STR_ARG(parked->name.schema), STR_ARG(parked->name.table));
}

/* *out: heap; NULL where none is registered. */
static bool registered_table(Conn *c, const MetaTask *m, TableName target, char **out, Err *err)
{
    CLEANUP(sb_done) StrBuf sql = {0};
    sb_c(&sql, "SELECT parked_table FROM ");
    meta_table(&sql, m, "sm_parked");
    meta_where_target(&sql, m, target);
    return conn_scalar(c, sb_view(&sql), out, err);
}

/* Of the meta schema, whatever its version, or whoever has dropped a table there. */
static bool is_there(Conn *c, const MetaTask *m, Str table, Str column, bool *yes, Err *err)
{
    CLEANUP(sb_done) StrBuf sql = {0};
    char *one = NULL;
    sb_c(&sql, "SELECT 1 FROM information_schema.COLUMNS WHERE TABLE_SCHEMA = ");
    sb_quoted(&sql, m->schema);
    sb_c(&sql, " AND TABLE_NAME = ");
    sb_quoted(&sql, table);
    if (column.len) {
        sb_c(&sql, " AND COLUMN_NAME = ");
        sb_quoted(&sql, column);
    }
    sb_c(&sql, " LIMIT 1");
    bool ok = conn_scalar(c, sb_view(&sql), &one, err);
    *yes = ok && one;
    free(one);
    return ok;
}

/* As registered_table, in a meta schema of any version. */
static bool find_beside(Conn *c, const MetaTask *m, TableName target, char **out, Err *err)
{
    bool there = false;
    *out = NULL;
    if (!is_there(c, m, STR("sm_parked"), (Str){0}, &there, err)) return false;
    return !there || registered_table(c, m, target, out, err);
}

/* The number that the statement answers with; 0: NULL, or no row. */
static bool ask_number(Conn *c, const StrBuf *sql, uint64_t *n, Err *err)
{
    char *text = NULL;
    *n = 0;
    bool ok = conn_scalar(c, sb_view(sql), &text, err) && (!text || meta_u64(str_of(text), n, err));
    free(text);
    return ok;
}

bool parked_count(Conn *c, const MetaTask *m, TableName target, uint64_t *n, Err *err)
{
    char *table = NULL;
    bool there = false;
    *n = 0;
    bool ok = find_beside(c, m, target, &table, err) &&
              (!table || is_there(c, m, str_of(table), (Str){0}, &there, err));
    if (ok && there) {
        CLEANUP(sb_done) StrBuf sql = {0};
        sb_c(&sql, "SELECT COUNT(*) FROM ");
        table_name_sql((TableName){m->schema, str_of(table)}, &sql);
        ok = ask_number(c, &sql, n, err);
    }
    free(table);
    return ok;
}

static bool raise_to_highest(Conn *c, const MetaTask *m, Str table, Str column, uint64_t *highest, Err *err)
{
    CLEANUP(sb_done) StrBuf sql = {0};
    uint64_t n = 0;
    bool there = false;
    if (!is_there(c, m, table, column, &there, err)) return false;
    if (!there) return true;
    sb_c(&sql, "SELECT MAX(");
    sb_ident(&sql, column);
    sb_c(&sql, ") FROM ");
    table_name_sql((TableName){m->schema, table}, &sql);
    sb_c(&sql, " WHERE ");
    sb_ident(&sql, column);
    sb_c(&sql, " > 0");
    if (!ask_number(c, &sql, &n, err)) return false;
    *highest = MAX(*highest, n);
    return true;
}

bool parked_highest(Conn *c, const MetaTask *m, TableName target, Str column, uint64_t *highest, Err *err)
{
    CLEANUP(sb_done) StrBuf decided = {0};
    char *table = NULL;
    if (!find_beside(c, m, target, &table, err)) return false;
    bool ok = true;
    if (table) {
        Str parked = str_of(table);
        sb_printf(&decided, DECIDED_PREFIX STR_FMT,
                  STR_ARG(str_make(parked.ptr + MIN(parked.len, strlen(PARKED_PREFIX)),
                                   parked.len - MIN(parked.len, strlen(PARKED_PREFIX)))));
        ok = raise_to_highest(c, m, parked, column, highest, err) &&
             raise_to_highest(c, m, sb_view(&decided), column, highest, err);
    }
    free(table);
    return ok;
}

static void unregister_sql(const MetaTask *m, TableName target, StrBuf *sql)
{
    sb_c(sql, "DELETE FROM ");
    meta_table(sql, m, "sm_parked");
    meta_where_target(sql, m, target);
}

bool parked_forget(Conn *c, const MetaTask *m, TableName target, Err *err)
{
    CLEANUP(sb_done) StrBuf sql = {0};
    unregister_sql(m, target, &sql);
    return conn_exec(c, sb_view(&sql), NULL, err);
}

static bool is_registered(Conn *c, const MetaTask *m, TableName target, bool *yes, Err *err)
{
    char *there = NULL;
    bool ok = registered_table(c, m, target, &there, err);
    *yes = there != NULL;
    free(there);
    return ok;
}

/* Both stand: from here on no start does without one of them. */
static bool register_table(Conn *c, const MetaTask *m, const Target *t, Str name, Err *err)
{
    CLEANUP(sb_done) StrBuf sql = {0};
    bool known = false;
    (void)FAULT("parked.made");
    if (!is_registered(c, m, t->name, &known, err)) return false;
    if (known) return true;
    sb_c(&sql, "INSERT INTO ");
    meta_table(&sql, m, "sm_parked");
    sb_c(&sql, " (task, target_schema, target_table, parked_table) VALUES (");
    sb_quoted(&sql, m->task);
    sb_ch(&sql, ',');
    sb_quoted(&sql, t->name.schema);
    sb_ch(&sql, ',');
    sb_quoted(&sql, t->name.table);
    sb_ch(&sql, ',');
    sb_quoted(&sql, name);
    sb_ch(&sql, ')');
    return conn_exec(c, sb_view(&sql), NULL, err);
}

static void add_list(StrBuf *out, const char *prefix, Str column)
{
    if (out->len) sb_ch(out, ',');
    sb_c(out, prefix);
    sb_ident(out, column);
}

/* Columns of unique keys that may get another value: no provenance, nothing that the server computes. */
static void find_key_columns(ParkedTarget *p, const Target *t)
{
    const TableSchema *s = t->schema;
    p->key_columns = arena_array(&p->arena, uint32_t, s->n_columns + 1);
    for (uint32_t c = 0; c < s->n_columns; c++) {
        bool in_key = false;
        for (uint32_t k = 0; k < t->n_keys; k++)
            for (uint32_t i = 0; parked_counts_key(&t->keys[k]) && i < t->keys[k].n_parts; i++)
                in_key |= t->keys[k].parts[i].column == c;
        if (in_key && !s->columns[c].generated && !parked_is_provenance(p, c))
            p->key_columns[p->n_key_columns++] = c;
    }
}

static void column_lists(ParkedTarget *p, const ParkedOpts *o)
{
    StrBuf plain = {0}, prefixed = {0}, provenance = {0};
    const TableSchema *s = o->target->schema;
    for (uint32_t i = 0; i < s->n_columns; i++) {
        if (s->columns[i].generated) continue;
        add_list(&plain, "", s->columns[i].name);
        add_list(&prefixed, "t.", s->columns[i].name);
    }
    p->provenance = arena_array(&p->arena, uint32_t, o->n_provenance + 1);
    for (uint32_t i = 0; i < o->n_provenance; i++) {
        p->provenance[p->n_provenance++] = schema_column(s, o->provenance[i]);
        add_list(&provenance, "t.", o->provenance[i]);
    }
    p->columns = arena_str(&p->arena, sb_view(&plain));
    p->prefixed = arena_str(&p->arena, sb_view(&prefixed));
    p->provenance_list = arena_str(&p->arena, sb_view(&provenance));
    find_key_columns(p, o->target);
    sb_done(&plain);
    sb_done(&prefixed);
    sb_done(&provenance);
}

/* Whose values rank the rows. */
static bool order_column(ParkedTarget *p, const ParkedOpts *o, Err *err)
{
    p->order_column = NO_COLUMN;
    p->order_value = STR("NULL");
    if (!o->order_column.len) return true;
    uint32_t at = schema_column(o->target->schema, o->order_column);
    if (at == UINT32_MAX || !parked_can_order(&o->target->schema->columns[at]))
        return err_set_remedy(err, ERR_KEY_STRATEGY,
                              "name an integer, DATE, DATETIME or TIMESTAMP column that the shards write",
                              "target " STR_FMT ": collision-column " STR_FMT " %s",
                              STR_ARG(o->target->sql_name), STR_ARG(o->order_column),
                              at == UINT32_MAX ? "is not there" : "has no values that can be ranked");
    CLEANUP(sb_done) StrBuf value = {0};
    add_list(&value, "t.", o->target->schema->columns[at].name);
    p->order_column = at;
    p->newest_wins = o->newest_wins;
    p->order_value = arena_str(&p->arena, sb_view(&value));
    return true;
}

/* An empty one in its place would keep silent about the rows. */
static bool refuse_lost(const ParkedOpts *o, TableName name, Err *err)
{
    CLEANUP(sb_done) StrBuf remedy = {0};
    sb_c(&remedy, "restore it as it was; or go on without what stood there, and set the rows of the target "
                  "right by hand: ");
    unregister_sql(o->meta, o->target->name, &remedy);
    sb_c(&remedy, "; then the next start makes it anew, empty");
    return err_set_remedy(
        err, ERR_STATE_BEHIND, remedy.ptr,
        "table " STR_FMT "." STR_FMT
        " is not there: somebody dropped it, or restored a backup. The rows of target " STR_FMT
        " that were parked there, or the decisions about them, are lost to the task",
        STR_ARG(name.schema), STR_ARG(name.table), STR_ARG(o->target->sql_name));
}

/* One of the tables beside the target, made when it is not there, and never was. */
static bool open_beside(Conn *c, const Dialect *d, const ParkedOpts *o, const Beside *b, TableName name,
                        ParkedTarget *p, Err *err)
{
    TableSchema *there = NULL;
    const Target *t = o->target;
    bool ok = schema_read(c, name, &there, err);
    if (ok && !there && o->gone) return p->missing = true;
    if (ok && !there && p->registered) return refuse_lost(o, name, err);
    if (ok && !there) ok = create_table(c, d, t, b, name, err) && schema_read(c, name, &there, err);
    if (ok && !there)
        ok = err_set(err, ERR_APPLY_META, "table " STR_FMT "." STR_FMT " cannot be read",
                     STR_ARG(name.schema), STR_ARG(name.table));
    ok = ok && is_of_this_version(there, err);
    if (ok && !err_is_set(&p->apart)) (void)!schema_beside_fits(t->schema, there, &p->apart);
    schema_free(there);
    return ok;
}

void parked_names(const MetaTask *m, TableName target, Arena *arena, Str out[2])
{
    static const char *const prefixes[] = {PARKED_PREFIX, DECIDED_PREFIX};
    CLEANUP(sb_done) StrBuf id = {0};
    sb_str(&id, m->task);
    sb_ch(&id, '\n');
    table_name_sql(target, &id);
    for (size_t i = 0; i < ARRAY_LEN(prefixes); i++)
        out[i] = arena_printf(arena, "%s%016llx", prefixes[i], (unsigned long long)str_hash(sb_view(&id)));
}

static bool open_tables(Conn *c, const Dialect *d, const ParkedOpts *o, ParkedTarget *p, Err *err)
{
    CLEANUP(sb_done) StrBuf text = {0};
    const ColumnDef parked[] = {own_column("sm_id", "bigint", "bigint unsigned", 0),
                                own_column("sm_source", "varchar", "varchar(64)", 64),
                                own_column("sm_schema", "varchar", "varchar(64)", 64),
                                own_column("sm_table", "varchar", "varchar(64)", 64),
                                own_column("sm_since", "datetime", "datetime", 0),
                                own_column("sm_decided", "bigint", "bigint unsigned", 0),
                                own_column("sm_pinned", "tinyint", "tinyint(1)", 0),
                                own_column("sm_renamed", "tinyint", "tinyint(1)", 0)};
    const ColumnDef decided[] = {parked[0], own_column("sm_side", "tinyint", "tinyint(1)", 0),
                                 parked[1], parked[2],
                                 parked[3], parked[4],
                                 parked[6], parked[7]};
    const Beside beside[] = {{parked, ARRAY_LEN(parked), 1, 5}, {decided, ARRAY_LEN(decided), 2, NO_COLUMN}};
    Str plain[2];
    Str *const names[] = {&p->table, &p->decided_table};
    if (!is_registered(c, o->meta, o->target->name, &p->registered, err)) return false;
    parked_names(o->meta, o->target->name, &p->arena, plain);
    for (size_t i = 0; i < ARRAY_LEN(beside); i++) {
        TableName name = {o->meta->schema, plain[i]};
        sb_clear(&text);
        table_name_sql(name, &text);
        *names[i] = arena_str(&p->arena, sb_view(&text));
        *(i ? &p->decided_name : &p->name) = name.table;
        if (!open_beside(c, d, o, &beside[i], name, p, err)) return false;
    }
    /* those that go with the target are made again with it, or go at last */
    return p->missing ? parked_forget(c, o->meta, o->target->name, err)
                      : register_table(c, o->meta, o->target, p->name, err);
}

bool parked_open(Conn *c, const Dialect *d, const ParkedOpts *o, ParkedTarget **out, Err *err)
{
    const Target *t = o->target;
    *out = NULL;
    if (!can_park(t, err)) return false;
    for (uint32_t i = 0; i < o->n_provenance; i++)
        if (schema_column(t->schema, o->provenance[i]) == UINT32_MAX)
            return refuse(t, "a provenance column is not there", "see shardmerge route --ddl", err);
    ParkedTarget *p = mem_zalloc(sizeof *p);
    pthread_mutex_init(&p->gate, NULL);
    pthread_cond_init(&p->left, NULL);
    p->target = t;
    p->world = o->world;
    column_lists(p, o);
    bool ok = order_column(p, o, err) && meta_create(c, o->meta, err) && open_tables(c, d, o, p, err) &&
              parked_load(c, d, o->meta, p, err);
    p->shut = parked_is_apart(p) || p->missing;
    if (ok && parked_is_apart(p) && !o->may_differ) {
        err_move(err, &p->apart);
        ok = false;
    }
    if (ok)
        *out = p;
    else
        parked_free(p);
    return ok;
}

void parked_free(ParkedTarget *p)
{
    if (!p) return;
    pthread_mutex_destroy(&p->gate);
    pthread_cond_destroy(&p->left);
    err_clear(&p->apart);
    arena_done(&p->arena);
    free(p);
}

/* -- the gate -- */

bool parked_enter(ParkedTarget *p)
{
    pthread_mutex_lock(&p->gate);
    bool may = !p->shut && !p->inside;
    p->inside |= may;
    pthread_mutex_unlock(&p->gate);
    return may;
}

void parked_leave(ParkedTarget *p)
{
    pthread_mutex_lock(&p->gate);
    p->inside = false;
    pthread_cond_broadcast(&p->left);
    pthread_mutex_unlock(&p->gate);
}

void parked_shut(ParkedTarget *p)
{
    pthread_mutex_lock(&p->gate);
    p->shut = true;
    while (p->inside)
        pthread_cond_wait(&p->left, &p->gate);
    pthread_mutex_unlock(&p->gate);
}

void parked_reopen(ParkedTarget *p)
{
    pthread_mutex_lock(&p->gate);
    p->shut = parked_is_apart(p) || p->missing;
    pthread_mutex_unlock(&p->gate);
}

/* -- numbers -- */

/* In a transaction: the target's row in sm_parked_number is locked, or made. */
static bool lock_number(Conn *c, const MetaTask *m, TableName target, uint64_t *next, Err *err)
{
    CLEANUP(sb_done) StrBuf sql = {0};
    sb_c(&sql, "INSERT INTO ");
    meta_table(&sql, m, "sm_parked_number");
    sb_c(&sql, " (task, target_schema, target_table, next_number) VALUES (");
    meta_target_values(&sql, m, target);
    sb_c(&sql, ",0) ON DUPLICATE KEY UPDATE next_number = next_number");
    if (!conn_exec(c, sb_view(&sql), NULL, err)) return false;
    sb_clear(&sql);
    sb_c(&sql, "SELECT next_number FROM ");
    meta_table(&sql, m, "sm_parked_number");
    meta_where_target(&sql, m, target);
    sb_c(&sql, " FOR UPDATE");
    return ask_number(c, &sql, next, err);
}

static bool keep_number(Conn *c, const MetaTask *m, TableName target, uint64_t next, Err *err)
{
    CLEANUP(sb_done) StrBuf sql = {0};
    sb_c(&sql, "UPDATE ");
    meta_table(&sql, m, "sm_parked_number");
    sb_printf(&sql, " SET next_number = %llu", (unsigned long long)next);
    meta_where_target(&sql, m, target);
    return conn_exec(c, sb_view(&sql), NULL, err) && conn_exec(c, STR("COMMIT"), NULL, err);
}

/* The numbers of this run: above all that were ever given, whatever the clock says, as an operator may still
 * name a row that is parked no more. Earlier versions gave them by the clock. */
static bool take_numbers(Conn *c, const Dialect *d, const MetaTask *m, ParkedTarget *p, uint64_t last,
                         Err *err)
{
    uint64_t next = 0;
    bool ok = conn_exec(c, str_of(session_begin_sql(d)), NULL, err) &&
              lock_number(c, m, p->target->name, &next, err);
    if (ok && next == 0) next = (uint64_t)MAX(clock_wall_ms() - BEGAN_MS, INT64_C(1));
    next = MAX(next, last + 1);
    ok = ok && keep_number(c, m, p->target->name, next + NUMBERS_OF_A_RUN, err);
    if (!ok) meta_rollback(c);
    if (ok) atomic_store(&p->next_id, next);
    return ok;
}

bool parked_load(Conn *c, const Dialect *d, const MetaTask *m, ParkedTarget *p, Err *err)
{
    Rows rows = {0};
    Str v[3];
    uint64_t n = 0, last = 0, decided = 0;
    if (p->missing) return true;
    bool ok = conn_queryf(c, &rows, err,
                          "SELECT COUNT(*), COALESCE(MAX(sm_id), 0), (SELECT COUNT(*) FROM " STR_FMT
                          ") FROM " STR_FMT,
                          STR_ARG(p->decided_table), STR_ARG(p->table));
    ok = ok && rows_next(&rows, v) && meta_u64(v[0], &n, err) && meta_u64(v[1], &last, err) &&
         meta_u64(v[2], &decided, err);
    rows_done(&rows);
    if (!ok || !take_numbers(c, d, m, p, last, err)) return false;
    atomic_store(&p->decisions, decided > 0);
    atomic_store(&p->ever, n > 0 || decided > 0);
    atomic_store(&p->n_rows, (int64_t)n);
    return true;
}
