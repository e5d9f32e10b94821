#include "track/schema_apply.h"
#include <stdlib.h>
#include "base/check.h"
#include "track/schema_edit.h"
#include "base/poison.h"

bool edit_is_mariadb(const Edit *e)
{
    return e->ctx->flavor == FLAVOR_MARIADB;
}

bool edit_refuse(Edit *e, const char *what, Str name)
{
    return err_set(e->err, ERR_DDL_APPLY, STR_FMT "." STR_FMT ": %s `" STR_FMT "`",
                   STR_ARG(e->table.name.schema), STR_ARG(e->table.name.table), what, STR_ARG(name));
}

EditColumn *edit_column(const Edit *e, Str name)
{
    for (EditColumn *c = e->columns; c; c = c->next)
        if (str_ieq(c->def.name, name)) return c;
    return NULL;
}

EditColumn *edit_column_from(const Edit *e, uint32_t origin)
{
    for (EditColumn *c = e->columns; c && origin != UINT32_MAX; c = c->next)
        if (c->origin == origin) return c;
    return NULL;
}

uint32_t edit_before_column(const Edit *e, Str name)
{
    return e->before ? schema_column(e->before, name) : UINT32_MAX;
}

static bool has_key(const Edit *e, Str name)
{
    for (uint32_t i = 0; e->before && i < e->before->n_keys; i++)
        if (str_ieq(e->before->keys[i].name, name)) return true;
    return false;
}

static bool has_constraint(const Edit *e, Str name)
{
    for (uint32_t i = 0; e->before && i < e->before->n_foreign_keys; i++)
        if (str_ieq(e->before->foreign_keys[i].name, name)) return true;
    for (uint32_t i = 0; e->before && i < e->before->n_checks; i++)
        if (!e->before->checks[i].column_level && str_ieq(e->before->checks[i].name, name)) return true;
    return false;
}

bool edit_skips(const Edit *e, const DdlChange *c)
{
    if (c->if_not_exists) {
        switch (c->kind) {
        case DDL_ADD_COLUMN:
            for (const DdlChange *o = e->stmt->changes; o != c; o = o->next)
                if (o->kind == DDL_ADD_COLUMN && str_ieq(o->column->name, c->column->name)) return true;
            return edit_before_column(e, c->column->name) != UINT32_MAX;
        case DDL_ADD_CHECK: return has_constraint(e, c->check->name);
        case DDL_ADD_KEY: {
            Str name = c->key->name.len ? c->key->name : c->key->constraint;
            if (c->key->kind == DDL_KEY_PRIMARY) name = STR("PRIMARY");
            return name.len &&
                   (has_key(e, name) || (c->key->kind == DDL_KEY_FOREIGN && has_constraint(e, name)));
        }
        default: return false;
        }
    }
    if (!c->if_exists) return false;
    switch (c->kind) {
    case DDL_DROP_KEY:
    case DDL_RENAME_KEY:
    case DDL_KEY_VISIBLE: return !has_key(e, c->name);
    case DDL_DROP_PRIMARY: return !has_key(e, STR("PRIMARY"));
    case DDL_DROP_FOREIGN: return !has_constraint(e, c->name);
    case DDL_DROP_CONSTRAINT: return !has_constraint(e, c->name) && !has_key(e, c->name);
    case DDL_DROP_COLUMN:
        return !edit_column_from(e, edit_before_column(e, c->name)); /* or dropped just now */
    case DDL_CHANGE_COLUMN:
    case DDL_MODIFY_COLUMN:
    case DDL_RENAME_COLUMN:
    case DDL_SET_DEFAULT:
    case DDL_COLUMN_VISIBLE: return edit_before_column(e, c->name) == UINT32_MAX;
    default: return false;
    }
}

/* -- putting the new definition together -- */

static uint32_t index_of(const Edit *e, const EditColumn *wanted)
{
    uint32_t i = 0;
    for (const EditColumn *c = e->columns; c; c = c->next, i++)
        if (c == wanted) return i;
    return UINT32_MAX;
}

static const EditColumn *column_of(const Edit *e, const EditPart *p)
{
    return p->origin != UINT32_MAX ? edit_column_from(e, p->origin) : edit_column(e, p->column);
}

static int by_key(const void *x, const void *y)
{
    const KeyDef *a = x, *b = y;
    if (a->primary != b->primary) return a->primary ? -1 : 1;
    return str_cmp(a->name, b->name);
}

static int by_name(const void *x, const void *y)
{
    return str_cmp(*(const Str *)x, *(const Str *)y); /* the name is the first member */
}

static bool collect_keys(Edit *e)
{
    TableSchema *t = &e->table;
    t->n_keys = 0;
    for (EditKey *k = e->keys; k; k = k->next)
        t->n_keys++;
    t->keys = arena_array(e->arena, KeyDef, t->n_keys + 1);
    uint32_t n = 0;
    for (EditKey *k = e->keys; k; k = k->next) {
        KeyDef *d = &t->keys[n++];
        *d = k->def;
        d->n_parts = k->n_parts;
        d->has_expression = false;
        d->parts = arena_array(e->arena, KeyPart, k->n_parts + 1);
        for (uint32_t i = 0; i < k->n_parts; i++) {
            d->parts[i] = k->parts[i].part;
            d->parts[i].column = UINT32_MAX;
            if (d->parts[i].expression.len) {
                d->has_expression = true;
                continue;
            }
            const EditColumn *c = column_of(e, &k->parts[i]);
            if (!c) return edit_refuse(e, "a key names a column that is not there:", k->parts[i].column);
            d->parts[i].column = index_of(e, c);
        }
    }
    if (n) qsort(t->keys, n, sizeof *t->keys, by_key);
    return true;
}

static bool collect_foreign(Edit *e)
{
    TableSchema *t = &e->table;
    t->n_foreign_keys = 0;
    for (EditForeign *f = e->foreign; f; f = f->next)
        t->n_foreign_keys++;
    t->foreign_keys = arena_array(e->arena, ForeignKey, t->n_foreign_keys + 1);
    uint32_t n = 0;
    if (e->foreign || !t->n_foreign_keys) t->has_foreign_keys = t->has_cascade = false;
    for (EditForeign *f = e->foreign; f; f = f->next) {
        ForeignKey *d = &t->foreign_keys[n++];
        *d = (ForeignKey){.parent = f->parent,
                          .columns = arena_array(e->arena, uint32_t, f->n_columns + 1),
                          .parent_columns = f->parent_columns,
                          .n_columns = f->n_columns,
                          .name = f->name,
                          .on_update = f->on_update,
                          .on_delete = f->on_delete};
        for (uint32_t i = 0; i < f->n_columns; i++) {
            const EditColumn *c = column_of(e, &f->columns[i]);
            if (!c)
                return edit_refuse(e,
                                   "a foreign key names a column that is not there:", f->columns[i].column);
            d->columns[i] = index_of(e, c);
        }
        t->has_foreign_keys = true;
        Str act[] = {f->on_update, f->on_delete};
        for (size_t i = 0; i < 2; i++)
            if (str_eqc(act[i], "CASCADE") || str_starts(act[i], STR("SET"))) t->has_cascade = true;
    }
    return true;
}

static int by_foreign(const void *x, const void *y)
{
    return str_cmp(((const ForeignKey *)x)->name, ((const ForeignKey *)y)->name);
}

static bool collect(Edit *e)
{
    TableSchema *t = &e->table;
    t->n_columns = t->n_checks = 0;
    for (EditColumn *c = e->columns; c; c = c->next)
        t->n_columns++;
    for (EditCheck *c = e->checks; c; c = c->next)
        t->n_checks++;
    t->columns = arena_array(e->arena, ColumnDef, t->n_columns + 1);
    t->checks = arena_array(e->arena, CheckDef, t->n_checks + 1);
    uint32_t n = 0;
    for (EditColumn *c = e->columns; c; c = c->next)
        t->columns[n++] = c->def;
    n = 0;
    for (EditCheck *c = e->checks; c; c = c->next)
        t->checks[n++] = c->def;
    if (n) qsort(t->checks, n, sizeof *t->checks, by_name);
    if (!collect_keys(e) || !collect_foreign(e)) return false;
    if (t->n_foreign_keys) qsort(t->foreign_keys, t->n_foreign_keys, sizeof *t->foreign_keys, by_foreign);
    if (t->n_options) qsort(t->options, t->n_options, sizeof *t->options, by_name);
    return true;
}

/* -- statements -- */

static void finish(Edit *e, TableSchema **after, SchemaStep **step)
{
    *after = schema_copy(&e->table);
    *step = lineage_step(e, *after);
}

static bool run_changes(Edit *e)
{
    edit_columns_load(e);
    edit_keys_load(e);
    edit_constraints_load(e);
    edit_options_charset(e);
    if (!edit_columns_change(e) || !edit_keys_change(e) || !edit_constraints_change(e) ||
        !edit_options_change(e) || !edit_partitions_change(e))
        return false;
    edit_keys_finish(e);
    edit_constraints_finish(e);
    return collect(e);
}

/* The name after all changes: RENAME TO of ALTER, the pairs of RENAME TABLE. */
static TableName renamed(TableName name, const DdlStmt *stmt, bool (*same)(TableName, TableName))
{
    if (stmt->kind == DDL_RENAME_TABLES) {
        for (const DdlTable *t = stmt->tables; t && t->next; t = t->next->next)
            if (same(t->name, name)) name = t->next->name;
        return name;
    }
    for (const DdlChange *c = stmt->changes; c; c = c->next)
        if (c->kind == DDL_RENAME_TABLE) name = c->table;
    return name;
}

static bool same_exactly(TableName a, TableName b)
{
    return table_name_eq(a, b);
}

static bool same_in_any_case(TableName a, TableName b)
{
    return str_ieq(a.schema, b.schema) && str_ieq(a.table, b.table);
}

/* MySQL: the checks of a table made LIKE another are called after the new one. */
static void name_checks_anew(Edit *e)
{
    TableSchema *t = &e->table;
    CheckDef *checks = arena_array(e->arena, CheckDef, t->n_checks + 1);
    for (uint32_t i = 0; i < t->n_checks; i++) {
        checks[i] = t->checks[i];
        checks[i].name = arena_printf(e->arena, STR_FMT "_chk_%u", STR_ARG(t->name.table), i + 1);
    }
    t->checks = checks;
}

static bool create(Edit *e, TableSchema **after, SchemaStep **step)
{
    const DdlStmt *s = e->stmt;
    e->table.name = s->tables->name;
    e->table.engine = STR("InnoDB");
    if (s->as_select)
        return err_set(e->err, ERR_NOT_SUPPORTED,
                       STR_FMT "." STR_FMT
                               ": CREATE TABLE … SELECT: the columns cannot be told from the text",
                       STR_ARG(e->table.name.schema), STR_ARG(e->table.name.table));
    if (s->like) {
        if (!e->ctx->like)
            return err_set(e->err, ERR_DDL_APPLY,
                           STR_FMT "." STR_FMT ": CREATE TABLE … LIKE: the model's definition is not known",
                           STR_ARG(e->table.name.schema), STR_ARG(e->table.name.table));
        TableName name = e->table.name;
        e->table = *e->ctx->like;
        e->table.arena = (Arena){0};
        e->table.name = name;
        e->table.n_foreign_keys = 0;
        e->table.has_foreign_keys = e->table.has_cascade = e->table.has_triggers = false;
        e->table.auto_increment = 0;
        if (!edit_is_mariadb(e)) name_checks_anew(e);
        finish(e, after, step);
        return true;
    }
    const TableSchema *before = e->before;
    e->before = NULL;
    bool ok = run_changes(e);
    e->before = before;
    if (!ok) return false;
    e->rows = before ? ROWS_ALL_GONE : ROWS_KEPT;
    for (EditColumn *c = e->columns; c; c = c->next)
        c->origin = UINT32_MAX;
    finish(e, after, step);
    return true;
}

static bool alter(Edit *e, TableSchema **after, SchemaStep **step)
{
    e->table = *e->before;
    e->table.arena = (Arena){0};
    e->table.partitioning = e->before->partitioning;
    if (e->stmt->kind == DDL_TRUNCATE_TABLE) {
        e->rows = ROWS_ALL_GONE;
        e->table.auto_increment = 0;
        edit_columns_load(e);
    } else if (!run_changes(e)) {
        return false;
    }
    finish(e, after, step);
    return true;
}

/* Is the table among those that the statement names? */
static bool names(const DdlStmt *s, TableName name, bool (*same)(TableName, TableName))
{
    for (const DdlTable *t = s->tables; t; t = t->next)
        if (same(t->name, name)) return true;
    return false;
}

static bool apply_to(Edit *e, bool (*same)(TableName, TableName), TableSchema **after, SchemaStep **step)
{
    const DdlStmt *s = e->stmt;
    const TableSchema *before = e->before;
    switch (s->kind) {
    case DDL_CREATE_TABLE:
        if (before && !s->replace)
            return s->if_not_exists || edit_refuse(e, "the table is there already:", before->name.table);
        return create(e, after, step);
    case DDL_DROP_DATABASE:
        if (!before || !str_eq(before->name.schema, s->database)) return true;
        break;
    case DDL_DROP_TABLES:
        if (!before || !names(s, before->name, same)) return true;
        break;
    case DDL_ALTER_TABLE:
    case DDL_TRUNCATE_TABLE:
        if (!before || !same(s->tables->name, before->name)) return true;
        return alter(e, after, step);
    case DDL_RENAME_TABLES:
        if (!before || table_name_eq(renamed(before->name, s, same), before->name)) return true;
        e->table = *before;
        e->table.arena = (Arena){0};
        edit_columns_load(e);
        edit_keys_load(e);
        edit_constraints_load(e);
        e->table.name = renamed(before->name, s, same);
        edit_constraints_finish(e);
        if (!collect(e)) return false;
        finish(e, after, step);
        return true;
    default: return true;
    }
    e->rows = ROWS_ALL_GONE;
    *step = lineage_step(e, NULL);
    return true;
}

bool schema_apply(const TableSchema *before, const DdlStmt *stmt, const ApplyContext *ctx,
                  TableSchema **after, SchemaStep **step, Err *err)
{
    Arena arena = {0};
    Edit e = {.before = before, .stmt = stmt, .ctx = ctx, .arena = &arena, .err = err};
    *after = NULL;
    *step = NULL;
    if (before) e.table.name = before->name;
    bool ok =
        stmt->temporary || apply_to(&e, ctx->ignores_case ? same_in_any_case : same_exactly, after, step);
    arena_done(&arena);
    return ok;
}

void schema_step_free(SchemaStep *step)
{
    if (!step) return;
    arena_done(&step->arena);
    free(step);
}
