/* Definitions made of DDL texts, for tests. */
#ifndef SM_TESTS_TRACK_DDL_TABLES_H
#define SM_TESTS_TRACK_DDL_TABLES_H

#include <check.h>
#include "ddl/parse.h"
#include "ddl/scan.h"
#include "track/schema_apply.h"
#include "track/schema_fingerprint.h"

static inline ApplyContext ddl_context(Flavor flavor)
{
    return (ApplyContext){.flavor = flavor,
                          .version = flavor == FLAVOR_MARIADB ? 101108 : 90700,
                          .schema_collation = STR("utf8mb4_bin"),
                          .sql_mode = 0x200000};
}

/* The statement on before (which goes away unless it fails). */
static inline bool ddl_run(TableSchema *before, const char *sql, const ApplyContext *ctx, TableSchema **after,
                           SchemaStep **step, Err *err)
{
    Arena arena = {0};
    DdlStmt *stmt;
    DdlContext parse = {.flavor = ctx->flavor,
                        .version = ctx->version,
                        .modes = stmt_modes(ctx->sql_mode),
                        .default_schema = STR("db")};
    *after = NULL;
    *step = NULL;
    bool ok = ddl_parse(str_of(sql), &parse, &arena, &stmt, err) &&
              schema_apply(before, stmt, ctx, after, step, err);
    arena_done(&arena);
    return ok;
}

/* The definition that statements, parted by ";;", lead to. */
static inline TableSchema *ddl_table(const char *statements, const ApplyContext *ctx)
{
    TableSchema *t = NULL, *after;
    SchemaStep *step;
    Err err = {0};
    Str rest = str_of(statements);
    while (rest.len) {
        size_t end = str_find(rest, STR(";;"));
        StrBuf sql = {0};
        sb_str(&sql, end == SIZE_MAX ? rest : (Str){rest.ptr, end});
        rest = end == SIZE_MAX ? (Str){0} : (Str){rest.ptr + end + 2, rest.len - end - 2};
        ck_assert_msg(ddl_run(t, sql.ptr, ctx, &after, &step, &err), "%s: %s", sql.ptr, err.message);
        if (step) {
            schema_step_free(step);
            schema_free(t);
            t = after;
        }
        sb_done(&sql);
    }
    return t;
}

#endif
