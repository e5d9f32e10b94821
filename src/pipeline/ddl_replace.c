/* An operator's statements in place of a shard table's step: text → what they make of the table as the group
 * takes it before that step. They mean what they would mean to the shard's kind of server, in its newest
 * version and in a strict session. */
#include <stdlib.h>
#include "pipeline/ddl_impl.h"
#include "base/poison.h"

enum { STRICT_MODES = 0x400000 | 0x200000 }; /* STRICT_ALL_TABLES, STRICT_TRANS_TABLES */

void ddl_replacement_done(DdlReplacement *r)
{
    for (uint32_t i = 0; i < r->n; i++) {
        schema_step_free(r->steps[i]);
        schema_free(r->after[i]);
    }
    free(r->steps);
    free(r->after);
    *r = (DdlReplacement){0};
}

static bool is_meant(TableName name, TableName one)
{
    return str_ieq(name.table, one.table) && (!name.schema.len || str_ieq(name.schema, one.schema));
}

/* The statement names the shard table, or the target; it is applied to the table at hand. */
static bool aim(DdlStmt *stmt, const DdlMember *m, TableName at_hand, Str sql, Err *err)
{
    TableName last = ddl_name_at(m, UINT64_MAX);
    if (stmt->kind != DDL_ALTER_TABLE)
        return err_set(err, ERR_USAGE,
                       "replace takes ALTER TABLE, CREATE INDEX and DROP INDEX, not: " STR_FMT, STR_ARG(sql));
    for (DdlTable *t = stmt->tables; t; t = t->next) {
        if (!is_meant(t->name, m->m->name) && !is_meant(t->name, last) && !is_meant(t->name, m->target->name))
            return err_set(err, ERR_USAGE,
                           "the statement changes " STR_FMT "." STR_FMT
                           ", and neither the shard table " STR_FMT " nor its target " STR_FMT,
                           STR_ARG(t->name.schema), STR_ARG(t->name.table), STR_ARG(m->label),
                           STR_ARG(m->target->label));
        t->name = at_hand;
    }
    return true;
}

static bool one_step(const DdlMember *m, Flavor flavor, const TableSchema *before, Str sql, DdlReplacement *r,
                     Err *err)
{
    Arena arena = {0};
    DdlStmt *stmt;
    DdlReading read;
    QueryEvent query = {.sql = sql,
                        .time_zone = STR("+00:00"),
                        .has_sql_mode = true,
                        .sql_mode = STRICT_MODES,
                        .flags2 = QUERY_EXPLICIT_TIMESTAMPS};
    DdlEvent e = {.query = &query,
                  .timestamp = (uint32_t)(clock_wall_ms() / 1000),
                  .schema_collation = before->collation};
    ddl_read_event(flavor, &e, &read);
    if (str_starts(before->collation, STR("utf8mb4_"))) read.apply.utf8mb4_collation = before->collation;
    bool ok = ddl_parse(sql, &read.parse, &arena, &stmt, err) && aim(stmt, m, before->name, sql, err) &&
              schema_apply(before, stmt, &read.apply, &r->after[r->n], &r->steps[r->n], err);
    if (ok && !r->steps[r->n])
        ok = err_set(err, ERR_USAGE, "the statement does nothing to " STR_FMT ": " STR_FMT, STR_ARG(m->label),
                     STR_ARG(sql));
    if (ok) r->n++;
    arena_done(&arena);
    return ok || err_wrap(err, "--sql");
}

bool ddl_replacement(const DdlMember *m, Flavor flavor, const TableSchema *before, const DdlDecision *w,
                     DdlReplacement *out, Err *err)
{
    *out = (DdlReplacement){.after = mem_zalloc((w->n_sql + 1) * sizeof *out->after),
                            .steps = mem_zalloc((w->n_sql + 1) * sizeof *out->steps)};
    bool ok = true;
    for (size_t i = 0; ok && i < w->n_sql; i++) {
        const TableSchema *at_hand = out->n ? out->after[out->n - 1] : before;
        ok = at_hand ? one_step(m, flavor, at_hand, str_of(w->sql[i]), out, err)
                     : err_set(err, ERR_USAGE, "--sql: the table is gone before the last statement");
    }
    if (!ok) ddl_replacement_done(out);
    return ok;
}
