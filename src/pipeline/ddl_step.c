/* A statement of the binlog → what it does to one shard table. Pure. */
#include <stdlib.h>
#include <time.h>
#include "ddl/parse.h"
#include "ddl/scan.h"
#include "model/charset.h"
#include "pipeline/ddl_impl.h"
#include "track/schema_apply.h"
#include "track/step_json.h"
#include "base/poison.h"

static const char *const kind_names[] = {
    [LOCK_STEP_ALTER] = "alter",           [LOCK_STEP_TRUNCATE] = "truncate",
    [LOCK_STEP_PARTITION] = "partition",   [LOCK_STEP_DROP] = "drop",
    [LOCK_STEP_CREATE] = "create",         [LOCK_STEP_RENAME] = "rename",
    [LOCK_STEP_RENAME_OUT] = "rename-out", [LOCK_STEP_SWAP] = "swap"};

const char *ddl_step_kind_name(LockStepKind k)
{
    return kind_names[k];
}

bool ddl_step_kind_of(Str name, LockStepKind *out)
{
    for (size_t i = 0; i < sizeof kind_names / sizeof *kind_names; i++)
        if (str_eqc(name, kind_names[i])) {
            *out = (LockStepKind)i;
            return true;
        }
    return false;
}

static LockStepKind kind_of(const DdlStmt *stmt, const SchemaStep *s)
{
    switch (stmt->kind) {
    case DDL_CREATE_TABLE: return LOCK_STEP_CREATE;
    case DDL_DROP_TABLES:
    case DDL_DROP_DATABASE: return LOCK_STEP_DROP;
    case DDL_TRUNCATE_TABLE: return LOCK_STEP_TRUNCATE;
    case DDL_RENAME_TABLES: return LOCK_STEP_RENAME;
    case DDL_ALTER_TABLE:
    case DDL_ALTER_DATABASE:
    case DDL_CREATE_DATABASE:
    case DDL_SEQUENCE:
    case DDL_OTHER: break;
    }
    return s->rows == ROWS_KEPT ? LOCK_STEP_ALTER : LOCK_STEP_PARTITION;
}

/* The step and what it refers to, as one object: its JSON form read back. */
static SchemaStep *own_step(const SchemaStep *s, Err *err)
{
    StrBuf json = {0};
    SchemaStep *out = NULL;
    step_to_json(s, &json);
    if (!step_from_json(sb_view(&json), &out, err)) out = NULL;
    sb_done(&json);
    return out;
}

SchemaStep *ddl_creation(const TableSchema *made, TableName name, const DdlEvent *e, Err *err)
{
    ColumnLineage *columns = mem_zalloc((made->n_columns + 1) * sizeof *columns);
    for (uint32_t i = 0; i < made->n_columns; i++)
        columns[i] = (ColumnLineage){.from = UINT32_MAX, .fill = FILL_NULL};
    SchemaStep s = {.after = made,
                    .columns = columns,
                    .name_before = name,
                    .name_after = name,
                    .rows = ROWS_KEPT,
                    .statement = e->query->sql};
    SchemaStep *own = own_step(&s, err);
    free(columns);
    return own;
}

static void utc_text(uint32_t timestamp, char *out, size_t cap)
{
    time_t t = timestamp;
    struct tm tm;
    out[0] = 0;
    if (timestamp && gmtime_r(&t, &tm)) strftime(out, cap, "%Y-%m-%d %H:%M:%S", &tm);
}

static Str collation_name(Flavor flavor, uint16_t id)
{
    const Collation *c = id ? charset_by_collation_id(flavor, id) : NULL;
    return c ? c->name : (Str){0};
}

void ddl_read_event(Flavor flavor, const DdlEvent *e, DdlReading *out)
{
    const QueryEvent *q = e->query;
    bool utc = str_eqc(q->time_zone, "+00:00") || str_eqc(q->time_zone, "UTC");
    const Collation *client = charset_by_collation_id(flavor, q->charset_client);
    const Collation *literals =
        q->collation_connection ? charset_by_collation_id(flavor, q->collation_connection) : NULL;
    uint32_t version = ddl_server_version(e->server_version);
    utc_text(e->timestamp, out->now, sizeof out->now);
    out->parse = (DdlContext){.flavor = flavor,
                              .version = version,
                              .charset = client ? client->charset->name : (Str){0},
                              .connection = literals ? literals->charset->name : (Str){0},
                              .is_utf8 = q->sql_is_utf8,
                              .modes = q->has_sql_mode ? stmt_modes(q->sql_mode) : 0,
                              .default_schema = q->schema};
    Str schema_collation = e->schema_collation;
    if (!schema_collation.len) schema_collation = collation_name(flavor, q->collation_database);
    bool implicit =
        flavor == FLAVOR_MARIADB ? !(q->flags2 & QUERY_EXPLICIT_TIMESTAMPS) : q->implicit_timestamps;
    out->apply = (ApplyContext){.flavor = flavor,
                                .version = version,
                                .schema_collation = schema_collation,
                                .utf8mb4_collation = collation_name(flavor, q->collation_utf8mb4),
                                .implicit_timestamps = implicit,
                                .sql_mode = q->has_sql_mode ? q->sql_mode : 0,
                                .now_utc = str_of(out->now),
                                .now_local = utc ? str_of(out->now) : (Str){0},
                                .text = q->sql};
}

static bool names_charset(const DdlStmt *stmt)
{
    for (const DdlChange *c = stmt->changes; c; c = c->next)
        if (c->kind == DDL_OPTION && !c->option->is_default &&
            (str_eqc(c->option->name, "charset") || str_eqc(c->option->name, "collate")))
            return true;
    return false;
}

static bool has_change(const DdlStmt *stmt, DdlChangeKind kind)
{
    for (const DdlChange *c = stmt->changes; c; c = c->next)
        if (c->kind == kind) return true;
    return false;
}

bool ddl_look(Flavor flavor, const DdlEvent *e, DdlLook *out)
{
    Arena arena = {0};
    DdlStmt *stmt;
    DdlReading read;
    Err ignored = {0};
    ddl_read_event(flavor, e, &read);
    bool ok = ddl_parse(e->query->sql, &read.parse, &arena, &stmt, &ignored);
    *out = (DdlLook){0};
    if (ok)
        *out = (DdlLook){.conditional = stmt->if_exists || stmt->if_not_exists || stmt->replace,
                         .by_others = stmt->like || stmt->as_select,
                         .renames = has_change(stmt, DDL_RENAME_TABLE),
                         .exchanges = has_change(stmt, DDL_EXCHANGE_PARTITION),
                         .by_default = !e->query->collation_database && !names_charset(stmt)};
    err_clear(&ignored);
    arena_done(&arena);
    return ok;
}

/* Its rows changed places with those of a partition of another table, which the statement alters. */
static bool is_exchanged(const DdlStmt *stmt, TableName name, Str default_schema)
{
    for (const DdlChange *c = stmt->changes; c; c = c->next) {
        TableName with = c->table;
        if (!with.schema.len) with.schema = default_schema;
        if (c->kind == DDL_EXCHANGE_PARTITION && table_name_eq(with, name)) return true;
    }
    return false;
}

static bool exchange(const TableSchema *t, TableName name, const DdlEvent *e, SchemaStep **out, Err *err)
{
    Arena arena = {0};
    SchemaStep s = {.before = t,
                    .after = t,
                    .columns = arena_array(&arena, ColumnLineage, t->n_columns + 1),
                    .dropped = arena_array(&arena, bool, t->n_columns + 1),
                    .name_before = name,
                    .name_after = name,
                    .rows = ROWS_UNKNOWN,
                    .rows_what = STR("exchanged for a partition"),
                    .statement = e->query->sql};
    for (uint32_t i = 0; i < t->n_columns; i++)
        s.columns[i].from = i;
    *out = own_step(&s, err);
    arena_done(&arena);
    return *out != NULL;
}

bool ddl_make_step(Flavor flavor, const TableSchema *before, TableName name, const DdlEvent *e,
                   SchemaStep **out, LockStepKind *kind, Err *err)
{
    Arena arena = {0};
    DdlStmt *stmt;
    TableSchema *after = NULL;
    SchemaStep *step = NULL;
    const QueryEvent *q = e->query;
    DdlReading read;
    *out = NULL;
    ddl_read_event(flavor, e, &read);
    bool ok = ddl_parse(q->sql, &read.parse, &arena, &stmt, err) &&
              schema_apply(before, stmt, &read.apply, &after, &step, err);
    if (ok && step) {
        *kind = kind_of(stmt, step);
        ok = (*out = own_step(step, err)) != NULL;
    } else if (ok && before && is_exchanged(stmt, name, q->schema)) {
        *kind = LOCK_STEP_PARTITION;
        ok = exchange(before, name, e, out, err);
    }
    schema_step_free(step);
    schema_free(after);
    arena_done(&arena);
    if (ok) return true;
    return err_wrap(err, "`" STR_FMT "`.`" STR_FMT "`: " STR_FMT, STR_ARG(name.schema), STR_ARG(name.table),
                    STR_ARG(q->sql));
}
