/* Input: one byte (bit 0: MySQL, else MariaDB; bits 1, 2: sql_mode's quotes; bit 3: a server that ignores
 * case; bit 4: implicit timestamps), then statements about one table, each ended by ";\n". Each is parsed and
 * applied to the definition so far. What comes of it is kept as JSON and written as SQL for every target, and
 * is the same when it is read again. */
#include <stdlib.h>
#include "ddl/parse.h"
#include "ddl/scan.h"
#include "track/schema_apply.h"
#include "track/schema_emit.h"
#include "track/schema_fingerprint.h"
#include "track/schema_json.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { FLAG_MYSQL = 1, FLAG_MODES = 2, FLAG_CASE = 8, FLAG_TIMESTAMPS = 16 };

static void check(bool ok)
{
    if (!ok) abort();
}

static void check_json(const TableSchema *s)
{
    StrBuf a = {0}, b = {0};
    TableSchema *back = NULL;
    Err err = {0};
    schema_to_json(s, &a);
    bool ok = schema_from_json(sb_view(&a), &back, &err);
    check(ok != err_is_set(&err));
    if (ok) {
        schema_to_json(back, &b);
        check(str_eq(sb_view(&a), sb_view(&b)) && schema_same_fingerprint(s, back));
    }
    schema_free(back);
    err_clear(&err);
    sb_done(&a);
    sb_done(&b);
}

/* CREATE TABLE for every target; that in its own dialect can be read. */
static void check_text(const TableSchema *s, Flavor flavor)
{
    static const TextDialect dialects[] = {DIALECT_MYSQL, DIALECT_MARIADB, DIALECT_TIDB};
    for (size_t i = 0; i < ARRAY_LEN(dialects); i++) {
        StrBuf sql = {0};
        Err err = {0};
        Arena arena = {0};
        DdlStmt *stmt;
        TextOpts opts = {.dialect = dialects[i], .auto_increment = true, .foreign_keys = true};
        bool ok = schema_emit_create(s, &opts, &sql, &err);
        check(ok != err_is_set(&err));
        err_clear(&err);
        DdlContext ddl = {.flavor = flavor, .default_schema = STR("db")};
        if (ok && dialects[i] == (flavor == FLAVOR_MYSQL ? DIALECT_MYSQL : DIALECT_MARIADB))
            check(ddl_parse(sb_view(&sql), &ddl, &arena, &stmt, &err) == !err_is_set(&err));
        err_clear(&err);
        arena_done(&arena);
        sb_done(&sql);
    }
}

/* The plan that makes the one out of the other. */
static void check_change(const TableSchema *from, const TableSchema *to)
{
    static const TextDialect dialects[] = {DIALECT_MYSQL, DIALECT_MARIADB, DIALECT_TIDB};
    uint32_t *columns = calloc(to->n_columns + 1, sizeof *columns);
    for (uint32_t i = 0; i < to->n_columns; i++)
        columns[i] = schema_column(from, to->columns[i].name);
    for (size_t i = 0; i < ARRAY_LEN(dialects); i++) {
        EmitPlan plan = {0};
        Err err = {0};
        TextOpts opts = {.dialect = dialects[i], .auto_increment = true, .foreign_keys = true};
        EmitChange c = {.from = from, .to = to, .columns = columns, .move = true};
        check(schema_emit_change(&c, &opts, &plan, &err) != err_is_set(&err));
        err_clear(&err);
        emit_plan_done(&plan);
    }
    free(columns);
}

static TableSchema *apply(TableSchema *now, const DdlStmt *stmt, ApplyContext *ctx)
{
    TableSchema *after = NULL;
    SchemaStep *step = NULL;
    Err err = {0};
    bool ok = schema_apply(now, stmt, ctx, &after, &step, &err);
    check(ok != err_is_set(&err) && err_class(&err) != ERR_CLASS_BUG && (!after || (ok && step)));
    if (after) {
        check_json(after);
        check_text(after, ctx->flavor);
        if (now) check_change(now, after);
    }
    bool gone = step && !after;
    schema_step_free(step);
    err_clear(&err);
    if (!after && !gone) return now;
    schema_free(now);
    return after;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    enum { MOST_MEMORY_A_BYTE = 2048, LEAST = 64 << 10, MODE_ANSI_QUOTES = 4, MODE_NO_BACKSLASH = 0x100000 };
    if (size < 1) return 0;
    unsigned flags = data[0], modes = flags / FLAG_MODES & (STMT_ANSI_QUOTES | STMT_NO_BACKSLASH_ESCAPES);
    Str rest = str_make(data + 1, size - 1);
    Flavor flavor = flags & FLAG_MYSQL ? FLAVOR_MYSQL : FLAVOR_MARIADB;
    DdlContext ddl = {.flavor = flavor, .modes = modes, .default_schema = STR("db")};
    ApplyContext ctx = {.flavor = flavor,
                        .sql_mode = (modes & STMT_ANSI_QUOTES ? MODE_ANSI_QUOTES : 0) |
                                    (modes & STMT_NO_BACKSLASH_ESCAPES ? MODE_NO_BACKSLASH : 0),
                        .ignores_case = flags & FLAG_CASE,
                        .implicit_timestamps = flags & FLAG_TIMESTAMPS,
                        .now_utc = STR("2026-01-02 03:04:05"),
                        .now_local = STR("2026-01-02 05:04:05")};
    TableSchema *now = NULL;
    while (rest.len) {
        Arena arena = {0};
        DdlStmt *stmt;
        Err err = {0};
        size_t end = str_find(rest, STR(";\n"));
        Str sql = str_make(rest.ptr, MIN(end, rest.len));
        rest = end == SIZE_MAX ? (Str){0} : str_make(rest.ptr + end + 2, rest.len - end - 2);
        bool ok = ddl_parse(sql, &ddl, &arena, &stmt, &err);
        check(ok != err_is_set(&err) && err_class(&err) != ERR_CLASS_BUG);
        check(arena.bytes <= sql.len * MOST_MEMORY_A_BYTE + LEAST);
        ctx.text = sql;
        if (ok) now = apply(now, stmt, &ctx);
        err_clear(&err);
        arena_done(&arena);
    }
    schema_free(now);
    return 0;
}
