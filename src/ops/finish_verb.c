#include "ops/finish_verb.h"
#include <jansson.h>
#include <stdlib.h>
#include "apply/parked.h"
#include "apply/remap.h"
#include "base/err_json.h"
#include "db/schema_read.h"
#include "db/server.h"
#include "model/applied_set.h"
#include "ops/json_out.h"
#include "ops/text_table.h"
#include "pipeline/catalog.h"
#include "store/store.h"
#include "track/schema_json.h"
#include "base/poison.h"

enum { MDL_WAIT_S = 10 };

typedef enum TargetState {
    TARGET_READY,  /* the next id is above all */
    TARGET_TO_SET, /* statement is to be run */
    TARGET_SET,    /* was run, and looked at again */
    TARGET_NO_ID,  /* nothing counts here: ids come from the application */
    TARGET_STUCK,  /* why says what is in the way */
} TargetState;
static const char *const state_names[] = {"ready", "to-set", "set", "no-auto-increment", "problem"};

typedef struct FinishTarget {
    TableName name;
    Str column;                      /* that counts, or is to count again */
    Str type;                        /* COLUMN_TYPE */
    bool random;                     /* TiDB's AUTO_RANDOM */
    bool restore;                    /* AUTO_INCREMENT was left out when the target was made */
    uint64_t highest, present, next; /* present 0: not known */
    uint64_t limit;
    TargetState state;
    Str statement, why; /* in the arena */
} FinishTarget;

typedef struct Finish {
    const Task *task;
    const FinishOpts *opts;
    Store *store;
    Arena arena;
    Conn *conn;
    Dialect dialect;
    StrBuf warnings; /* why it is too early, one a line */
    FinishTarget *targets;
    size_t n_targets;
} Finish;

uint64_t finish_type_limit(Str data_type, bool is_unsigned)
{
    static const struct {
        const char *type;
        unsigned bits;
    } types[] = {{"tinyint", 8}, {"smallint", 16}, {"mediumint", 24}, {"int", 32}, {"bigint", 64}};
    for (size_t i = 0; i < ARRAY_LEN(types); i++)
        if (str_ieq(data_type, str_of(types[i].type)))
            return UINT64_MAX >> (64 - types[i].bits + (is_unsigned ? 0 : 1));
    return 0;
}

/* -- is it time? -- */

static void too_early(Finish *f, const char *fmt, ...) PRINTF_LIKE(2, 3);
static void too_early(Finish *f, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    sb_vprintf(&f->warnings, fmt, ap);
    va_end(ap);
    sb_ch(&f->warnings, '\n');
}

/* Has the floor that was kept last reached the server's present end? */
static void check_source(Finish *f, const SourceConfig *s, const StoreFloor *floors, size_t n)
{
    StreamPoint floor = {0}, end = {0};
    Flavor flavor = FLAVOR_UNKNOWN;
    Conn *conn = NULL;
    Err err = {0};
    const StoreFloor *kept = NULL;
    for (size_t i = 0; i < n; i++)
        if (str_eq(floors[i].source_id, s->id)) kept = &floors[i];
    if (!kept) {
        too_early(f, "source " STR_FMT " was never read", STR_ARG(s->id));
        return;
    }
    ConnOpts opts;
    endpoint_conn(&s->from, s->id.ptr, &opts);
    opts.read_timeout_s = opts.write_timeout_s = 30;
    bool ok = point_parse(kept->point_json, &floor, &err) && conn_open(&opts, &conn, &err) &&
              server_detect_flavor(conn, &flavor, &err) && server_current_point(conn, flavor, &end, &err);
    if (!ok)
        too_early(f, "source " STR_FMT " cannot be asked for its end: %s", STR_ARG(s->id), err.message);
    else if (!point_reaches(&floor, &end))
        too_early(f, "source " STR_FMT " has changes that are not merged", STR_ARG(s->id));
    conn_close(conn);
    err_clear(&err);
    point_done(&floor);
    point_done(&end);
}

static bool check_time(Finish *f, Err *err)
{
    StoreRun run = {0};
    StoreFloor *floors = NULL;
    size_t n = 0;
    bool found = false;
    if (!store_last_run(f->store, &f->arena, &run, &found, err) ||
        !store_floors(f->store, &f->arena, &floors, &n, err))
        return false;
    if (!found || !str_eqc(run.outcome, "caught-up"))
        too_early(f, "the last run did not end caught up: run it once more with --until caught-up");
    for (size_t i = 0; i < f->task->n_sources; i++)
        check_source(f, &f->task->sources[i], floors, n);
    return true;
}

/* -- what each target needs -- */

static bool stuck(Finish *f, FinishTarget *t, const char *fmt, ...) PRINTF_LIKE(3, 4);
static bool stuck(Finish *f, FinishTarget *t, const char *fmt, ...)
{
    CLEANUP(sb_done) StrBuf text = {0};
    va_list ap;
    va_start(ap, fmt);
    sb_vprintf(&text, fmt, ap);
    va_end(ap);
    t->state = TARGET_STUCK;
    t->why = arena_str(&f->arena, sb_view(&text));
    return true;
}

static bool scalar_u64(Conn *c, Str sql, uint64_t *out, Err *err)
{
    char *text = NULL;
    *out = 0;
    bool ok = conn_scalar(c, sql, &text, err);
    if (ok && text) ok = str_to_u64(str_of(text), out) || err_set(err, ERR_BUG, "a number cannot be read");
    free(text);
    return ok;
}

/* The column that counts on some shard: its target's was made without AUTO_INCREMENT. */
static bool shards_count(Finish *f, const FinishTarget *t, const TableSchema *target, uint32_t *column,
                         Err *err)
{
    StoreMember *members = NULL;
    size_t n = 0;
    if (!store_members(f->store, &f->arena, &members, &n, err)) return false;
    for (size_t i = 0; i < n && *column == UINT32_MAX; i++) {
        char *json = NULL;
        bool found = false;
        TableSchema *schema = NULL;
        if (!table_name_eq(members[i].target, t->name)) continue;
        if (!store_schema_get(f->store, members[i].member_no, &json, &found, err)) return false;
        bool ok = !found || schema_from_json(str_of(json), &schema, err);
        free(json);
        if (!ok) return false;
        for (uint32_t k = 0; schema && k < schema->n_columns; k++)
            if (schema->columns[k].auto_increment) *column = schema_column(target, schema->columns[k].name);
        schema_free(schema);
    }
    return true;
}

/* The server counts only along an index that begins with the column. */
static bool leads_an_index(const TableSchema *s, uint32_t column)
{
    for (uint32_t i = 0; i < s->n_keys; i++)
        if (s->keys[i].n_parts && s->keys[i].parts[0].column == column && !s->keys[i].parts[0].prefix)
            return true;
    return false;
}

/* Table options that only TiDB has: SHOW TABLE … NEXT_ROW_ID names the allocator. */
static bool tidb_allocator(Finish *f, FinishTarget *t, const TableSchema *s, uint32_t *column, Err *err)
{
    CLEANUP(sb_done) StrBuf sql = {0};
    Rows rows = {0};
    sb_c(&sql, "SHOW TABLE ");
    table_name_sql(t->name, &sql);
    sb_c(&sql, " NEXT_ROW_ID");
    if (!conn_query(f->conn, sb_view(&sql), &rows, err)) return false;
    int name = rows_column(&rows, "COLUMN_NAME"), next = rows_column(&rows, "NEXT_GLOBAL_ROW_ID"),
        kind = rows_column(&rows, "ID_TYPE");
    Str *v = arena_array(&f->arena, Str, rows.n_columns + 1);
    while (rows_next(&rows, v)) {
        bool random = kind >= 0 && str_ieq(v[kind], STR("AUTO_RANDOM"));
        uint32_t at = name >= 0 ? schema_column(s, v[name]) : UINT32_MAX;
        if (at == UINT32_MAX || (!random && !s->columns[at].auto_increment)) continue;
        *column = at;
        t->random = random;
        if (next < 0 || !str_to_u64(v[next], &t->present)) t->present = 0;
    }
    rows_done(&rows);
    return true;
}

static bool present_next(Finish *f, FinishTarget *t, Err *err)
{
    CLEANUP(sb_done) StrBuf sql = {0};
    sb_c(&sql, "SELECT AUTO_INCREMENT FROM information_schema.TABLES WHERE TABLE_SCHEMA = ");
    sb_quoted(&sql, t->name.schema);
    sb_c(&sql, " AND TABLE_NAME = ");
    sb_quoted(&sql, t->name.table);
    return scalar_u64(f->conn, sb_view(&sql), &t->present, err);
}

static void write_statement(Finish *f, FinishTarget *t, const ColumnDef *c)
{
    CLEANUP(sb_done) StrBuf sql = {0};
    sb_c(&sql, "ALTER TABLE ");
    table_name_sql(t->name, &sql);
    if (t->restore) {
        sb_c(&sql, " MODIFY ");
        sb_ident(&sql, c->name);
        sb_printf(&sql, " " STR_FMT " NOT NULL AUTO_INCREMENT", STR_ARG(c->column_type));
        if (c->comment.len) {
            sb_c(&sql, " COMMENT ");
            sb_quoted(&sql, c->comment);
        }
        sb_ch(&sql, ',');
    }
    /* AUTO_RANDOM counts in a part of its bits: TiDB itself knows where that stands, 0 has every node ask. */
    if (t->random)
        sb_c(&sql, " AUTO_RANDOM_BASE = 0");
    else
        sb_printf(&sql, " AUTO_INCREMENT = %llu", (unsigned long long)t->next);
    t->statement = arena_str(&f->arena, sb_view(&sql));
}

static bool find_column(Finish *f, FinishTarget *t, const TableSchema *s, uint32_t *column, Err *err)
{
    *column = UINT32_MAX;
    for (uint32_t i = 0; i < s->n_columns; i++)
        if (s->columns[i].auto_increment) *column = i;
    if (f->dialect.is_tidb) {
        if (!tidb_allocator(f, t, s, column, err)) return false;
    } else if (*column != UINT32_MAX && !present_next(f, t, err)) {
        return false;
    }
    if (*column != UINT32_MAX) return true;
    t->restore = true;
    return shards_count(f, t, s, column, err);
}

static bool highest_id(Finish *f, FinishTarget *t, Err *err)
{
    CLEANUP(sb_done) StrBuf sql = {0};
    sb_c(&sql, "SELECT MAX(");
    sb_ident(&sql, t->column);
    sb_c(&sql, ") FROM ");
    table_name_sql(t->name, &sql);
    sb_c(&sql, " WHERE ");
    sb_ident(&sql, t->column);
    sb_c(&sql, " > 0");
    if (!scalar_u64(f->conn, sb_view(&sql), &t->highest, err)) return false;
    /* A row that refers to one that is gone, or never came, holds an id that the target does not. */
    MetaTask meta = {.schema = f->task->meta_schema, .task = f->task->name};
    uint64_t next = 0;
    if (!remap_next_id(f->conn, &meta, t->name, &next, err)) return false;
    if (next) t->highest = MAX(t->highest, next - 1);
    /* With --force there may be rows that come in later. */
    return parked_highest(f->conn, &meta, t->name, t->column, &t->highest, err);
}

static bool judge_target(Finish *f, FinishTarget *t, const TableSchema *s, Err *err)
{
    uint32_t column;
    if (!find_column(f, t, s, &column, err)) return false;
    if (column == UINT32_MAX) {
        t->state = TARGET_NO_ID;
        return true;
    }
    const ColumnDef *c = &s->columns[column];
    t->column = arena_str(&f->arena, c->name);
    t->type = arena_str(&f->arena, c->column_type);
    t->limit = finish_type_limit(c->data_type, c->is_unsigned);
    if (!t->limit) return stuck(f, t, "`" STR_FMT "` is no integer column", STR_ARG(t->column));
    if (!highest_id(f, t, err)) return false;
    if (t->highest >= t->limit)
        return stuck(f, t, "`" STR_FMT "` is full at %llu: give it a wider type first", STR_ARG(t->column),
                     (unsigned long long)t->highest);
    t->next = t->highest + 1;
    if (t->restore && f->dialect.is_tidb)
        return stuck(
            f, t, "TiDB cannot give AUTO_INCREMENT to `" STR_FMT "`: the application gives ids, from %llu on",
            STR_ARG(t->column), (unsigned long long)t->next);
    if (t->restore && !leads_an_index(s, column))
        return stuck(f, t, "no index begins with `" STR_FMT "`: add one, then finish gives it AUTO_INCREMENT",
                     STR_ARG(t->column));
    /* TiDB's nodes hold ranges of ids: they must forget them, whatever the number is. */
    t->state = !f->dialect.is_tidb && !t->restore && t->present >= t->next ? TARGET_READY : TARGET_TO_SET;
    if (t->state == TARGET_TO_SET) write_statement(f, t, c);
    return true;
}

static bool look_at(Finish *f, FinishTarget *t, Err *err)
{
    TableSchema *s = NULL;
    t->present = 0;
    t->restore = false;
    t->why = t->statement = (Str){0};
    if (!schema_read(f->conn, t->name, &s, err)) return false;
    bool ok = s ? judge_target(f, t, s, err) : stuck(f, t, "the table is not there");
    schema_free(s);
    if (!ok) err_wrap(err, "target " STR_FMT "." STR_FMT, STR_ARG(t->name.schema), STR_ARG(t->name.table));
    return ok;
}

/* Parked rows are in no target: the application would not see them, and their keys are not free. */
static bool check_parked(Finish *f, Err *err)
{
    MetaTask meta = {.schema = f->task->meta_schema, .task = f->task->name};
    for (size_t i = 0; i < f->n_targets; i++) {
        uint64_t n = 0;
        const TableName *name = &f->targets[i].name;
        if (!parked_count(f->conn, &meta, *name, &n, err)) return false;
        if (n)
            too_early(f, "target " STR_FMT "." STR_FMT ": %llu rows are parked beside it, see conflicts",
                      STR_ARG(name->schema), STR_ARG(name->table), (unsigned long long)n);
    }
    return true;
}

static bool find_targets(Finish *f, Err *err)
{
    StoreMember *members = NULL;
    size_t n = 0;
    if (!store_members(f->store, &f->arena, &members, &n, err)) return false;
    f->targets = arena_array(&f->arena, FinishTarget, n + 1);
    for (size_t i = 0; i < n; i++) {
        bool known = false;
        for (size_t k = 0; k < f->n_targets; k++)
            known |= table_name_eq(f->targets[k].name, members[i].target);
        if (!known) f->targets[f->n_targets++].name = members[i].target;
    }
    return true;
}

/* -- doing it -- */

static bool run_statement(Finish *f, FinishTarget *t, Err *err)
{
    Err failed = {0};
    bool ok = conn_exec(f->conn, t->statement, NULL, &failed);
    if (ok && f->dialect.is_tidb && !t->random) {
        CLEANUP(sb_done) StrBuf sql = {0};
        sb_c(&sql, "ALTER TABLE ");
        table_name_sql(t->name, &sql);
        sb_c(&sql, " AUTO_INCREMENT = 0"); /* every node drops the ids it holds */
        ok = conn_exec(f->conn, sb_view(&sql), NULL, &failed);
    }
    if (!ok) {
        if (err_class(&failed) == ERR_CLASS_RETRY && failed.code == ERR_DB_LOST) {
            err_move(err, &failed);
            return false;
        }
        stuck(f, t, "%s", failed.message);
        err_clear(&failed);
        return true;
    }
    Str statement = t->statement;
    if (!look_at(f, t, err) || !store_event(f->store, (Str){0}, STR("finish"), statement, err)) return false;
    bool there =
        f->dialect.is_tidb ? t->random || !t->present || t->present >= t->next : t->state == TARGET_READY;
    if (there && t->state != TARGET_STUCK) {
        t->state = TARGET_SET;
        t->statement = statement;
        return true;
    }
    return stuck(f, t, "the statement went through, but the next id is %llu, not above %llu",
                 (unsigned long long)t->present, (unsigned long long)t->highest);
}

static bool run_all(Finish *f, Err *err)
{
    for (size_t i = 0; i < f->n_targets; i++)
        if (f->targets[i].state == TARGET_TO_SET && !run_statement(f, &f->targets[i], err)) return false;
    return true;
}

/* -- telling -- */

static void put_json(const Finish *f, bool refused, bool ok, StrBuf *out)
{
    json_t *targets = json_array(), *warnings = json_array();
    for (size_t i = 0; i < f->n_targets; i++) {
        const FinishTarget *t = &f->targets[i];
        json_t *o =
            json_pack("{s:s#, s:s#, s:s, s:o, s:I, s:o, s:o, s:o, s:o}", "schema", t->name.schema.ptr,
                      (int)t->name.schema.len, "table", t->name.table.ptr, (int)t->name.table.len, "state",
                      state_names[t->state], "column",
                      t->column.len ? json_stringn(t->column.ptr, t->column.len) : json_null(), "highest",
                      (json_int_t)t->highest, "present",
                      t->present ? json_integer((json_int_t)t->present) : json_null(), "next",
                      t->next ? json_integer((json_int_t)t->next) : json_null(), "statement",
                      t->statement.len ? json_stringn(t->statement.ptr, t->statement.len) : json_null(),
                      "why", t->why.len ? json_stringn(t->why.ptr, t->why.len) : json_null());
        json_array_append_new(targets, o);
    }
    for (Str rest = sb_view(&f->warnings); rest.len;) {
        Str line = str_split(&rest, '\n');
        if (line.len) json_array_append_new(warnings, json_stringn(line.ptr, line.len));
    }
    json_t *root = json_pack("{s:s#, s:b, s:b, s:b, s:o, s:o}", "task", f->task->name.ptr,
                             (int)f->task->name.len, "ok", (int)ok, "preview", (int)!f->opts->yes, "refused",
                             (int)refused, "warnings", warnings, "targets", targets);
    json_out(root, out);
    json_decref(root);
}

static void put_targets(const Finish *f, StrBuf *out)
{
    CLEANUP(table_done) TextTable table = {.columns = 5};
    static const char *const heads[] = {"target", "column", "highest id", "next id", "state"};
    for (size_t i = 0; i < ARRAY_LEN(heads); i++)
        table_tone(&table, str_of(heads[i]), TONE_DIM);
    for (size_t i = 0; i < f->n_targets; i++) {
        const FinishTarget *t = &f->targets[i];
        CLEANUP(sb_done) StrBuf name = {0};
        table_name_plain(t->name, &name);
        table_text(&table, sb_view(&name));
        table_text(&table, t->column);
        table_count(&table, t->highest);
        table_count(&table,
                    t->state == TARGET_READY || t->state == TARGET_SET ? MAX(t->present, t->next) : t->next);
        table_tone(&table, str_of(state_names[t->state]),
                   t->state == TARGET_STUCK    ? TONE_BAD
                   : t->state == TARGET_TO_SET ? TONE_WARN
                                               : TONE_GOOD);
    }
    table_print(&table, f->opts->color, out);
}

static void put_human(const Finish *f, bool refused, StrBuf *out)
{
    put_targets(f, out);
    sb_ch(out, '\n');
    for (size_t i = 0; i < f->n_targets; i++) {
        const FinishTarget *t = &f->targets[i];
        if (t->statement.len)
            sb_printf(out, "%s: " STR_FMT "\n", t->state == TARGET_SET ? "done" : "to run",
                      STR_ARG(t->statement));
        if (t->why.len)
            sb_printf(out, STR_FMT "." STR_FMT ": " STR_FMT "\n", STR_ARG(t->name.schema),
                      STR_ARG(t->name.table), STR_ARG(t->why));
    }
    for (Str rest = sb_view(&f->warnings); rest.len;) {
        Str line = str_split(&rest, '\n');
        if (line.len) sb_printf(out, "too early: " STR_FMT "\n", STR_ARG(line));
    }
    if (refused)
        sb_c(out, "nothing was changed: mend what is too early, or give --force\n");
    else if (!f->opts->yes)
        sb_c(out, "a preview, nothing was changed: give --yes to do it\n");
}

static bool open_all(Finish *f, const char *dir, Err *err)
{
    /* A folder without a state stays without one. */
    if (!store_open(dir, true, &f->store, err)) return false;
    store_close(f->store);
    f->store = NULL;
    if (!store_open(dir, false, &f->store, err)) {
        if (err->code != ERR_STORE_LOCKED || (f->opts->yes && !f->opts->force)) return false;
        too_early(f, "the task runs: stop it first");
        err_clear(err);
        if (!store_open(dir, true, &f->store, err)) return false;
    }
    SessionVarText *vars = arena_array(&f->arena, SessionVarText, f->task->target.n_session + 1);
    SessionOpts opts;
    target_session(f->task, vars, &opts);
    opts.conn.read_timeout_s = opts.conn.write_timeout_s = 0; /* an ALTER may rebuild the table */
    if (!session_open(&opts, &f->conn, &f->dialect, err)) {
        endpoint_hint(&f->task->target, err);
        return false;
    }
    /* MySQL keeps statistics of tables for a day; other servers do not know the variable. */
    CLEANUP(err_clear) Err unknown = {0};
    bool ignored = conn_exec(f->conn, STR("SET SESSION information_schema_stats_expiry = 0"), NULL, &unknown);
    (void)ignored;
    return conn_execf(f->conn, err, "SET SESSION lock_wait_timeout = %d", MDL_WAIT_S);
}

static bool do_all(Finish *f, bool *refused, Err *err)
{
    if (!check_time(f, err) || !find_targets(f, err) || !check_parked(f, err)) return false;
    for (size_t i = 0; i < f->n_targets; i++)
        if (!look_at(f, &f->targets[i], err)) return false;
    *refused = f->warnings.len && !f->opts->force;
    return *refused || !f->opts->yes || run_all(f, err);
}

int finish_verb(const Task *task, const char *dir, const FinishOpts *opts, StrBuf *out, Err *err)
{
    Finish f = {.task = task, .opts = opts};
    bool refused = false;
    int status = 0;
    if (open_all(&f, dir, err) && do_all(&f, &refused, err)) {
        bool ok = !refused;
        for (size_t i = 0; i < f.n_targets; i++)
            ok &= f.targets[i].state != TARGET_STUCK;
        if (opts->json)
            put_json(&f, refused, ok, out);
        else
            put_human(&f, refused, out);
        status = ok ? 0 : 1;
    } else {
        status = err_exit_status(err);
    }
    conn_close(f.conn);
    store_close(f.store);
    sb_done(&f.warnings);
    arena_done(&f.arena);
    return status;
}
