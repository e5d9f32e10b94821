#include "ddl/expr.h"
#include "track/schema_edit.h"
#include "base/poison.h"

static void load_foreign(Edit *e)
{
    EditForeign **tail = &e->foreign;
    for (uint32_t i = 0; e->before && i < e->before->n_foreign_keys; i++) {
        const ForeignKey *from = &e->before->foreign_keys[i];
        EditForeign *f = arena_new(e->arena, EditForeign);
        f->name = from->name;
        f->parent = from->parent;
        f->parent_columns = from->parent_columns;
        f->n_columns = from->n_columns;
        f->on_update = from->on_update;
        f->on_delete = from->on_delete;
        f->columns = arena_array(e->arena, EditPart, f->n_columns + 1);
        for (uint32_t k = 0; k < f->n_columns; k++)
            f->columns[k] = (EditPart){.origin = from->columns[k]};
        *tail = f;
        tail = &f->next;
    }
}

void edit_constraints_load(Edit *e)
{
    EditCheck **tail = &e->checks;
    for (uint32_t i = 0; e->before && i < e->before->n_checks; i++) {
        EditCheck *c = arena_new(e->arena, EditCheck);
        c->def = e->before->checks[i];
        c->origin = c->def.column_level ? edit_before_column(e, c->def.name) : UINT32_MAX;
        *tail = c;
        tail = &c->next;
    }
    load_foreign(e);
}

void edit_check_add(Edit *e, Str name, Str expr, bool column_level, bool not_enforced)
{
    EditCheck *c = arena_new(e->arena, EditCheck), **at = &e->checks;
    c->def =
        (CheckDef){.name = name, .expr = expr, .column_level = column_level, .not_enforced = not_enforced};
    c->origin = UINT32_MAX;
    while (*at)
        at = &(*at)->next;
    *at = c;
}

/* N of table_chk_N or table_ibfk_N; 0: another name. */
static uint64_t generated_number(Str name, Str table, const char *tail)
{
    uint64_t n;
    size_t len = table.len + strlen(tail);
    if (name.len <= len || !str_istarts(name, table)) return 0;
    if (memcmp(name.ptr + table.len, tail, strlen(tail)) != 0) return 0;
    return str_to_u64((Str){name.ptr + len, name.len - len}, &n) ? n : 0;
}

static bool has_check(const Edit *e, Str name)
{
    for (const EditCheck *c = e->checks; c; c = c->next)
        if (!c->def.column_level && str_ieq(c->def.name, name)) return true;
    return false;
}

/* MariaDB: the first CONSTRAINT_N that is free. MySQL: above the highest table_chk_N there was. */
static Str check_name(Edit *e, uint64_t *number)
{
    Str name;
    if (edit_is_mariadb(e)) {
        uint64_t n = 0;
        do
            name = arena_printf(e->arena, "CONSTRAINT_%u", (unsigned)++n);
        while (has_check(e, name));
        return name;
    }
    return arena_printf(e->arena, STR_FMT "_chk_%u", STR_ARG(e->table.name.table), (unsigned)++*number);
}

/* A check goes with the only column it uses. */
static void follow_columns(Edit *e)
{
    for (EditCheck **at = &e->checks; *at;) {
        EditCheck *c = *at;
        bool gone = c->def.column_level && c->origin != UINT32_MAX && !edit_column_from(e, c->origin);
        bool others = false, used = false;
        for (uint32_t i = 0; e->before && !c->def.column_level && i < e->before->n_columns; i++) {
            Str name = e->before->columns[i].name;
            if (!ddl_expr_uses(c->def.expr, name)) continue;
            if (edit_column_from(e, i))
                others = true;
            else
                used = true;
        }
        if (gone || (used && !others))
            *at = c->next;
        else
            at = &c->next;
    }
}

static void drop_check(Edit *e, Str name, bool *found)
{
    for (EditCheck **at = &e->checks; *at; at = &(*at)->next) {
        if ((*at)->def.column_level || !str_ieq((*at)->def.name, name)) continue;
        *at = (*at)->next;
        *found = true;
        return;
    }
}

static void drop_foreign(Edit *e, Str name, bool *found)
{
    for (EditForeign **at = &e->foreign; *at; at = &(*at)->next) {
        if (!str_ieq((*at)->name, name)) continue;
        *at = (*at)->next;
        *found = true;
        return;
    }
}

static bool drop_constraint(Edit *e, const DdlChange *c)
{
    bool found = false;
    if (c->kind != DDL_DROP_FOREIGN) drop_check(e, c->name, &found);
    if (!found && c->kind != DDL_DROP_CHECK) drop_foreign(e, c->name, &found);
    if (found) return true;
    if (c->kind == DDL_DROP_FOREIGN && e->before && e->before->has_foreign_keys && !e->before->n_foreign_keys)
        return true; /* its foreign keys could not be read */
    if (c->kind == DDL_DROP_CONSTRAINT) {
        for (uint32_t i = 0; i < e->before->n_keys; i++)
            if (str_ieq(e->before->keys[i].name, c->name)) return true;
    }
    for (uint32_t i = 0; e->before && i < e->before->n_checks;
         i++) /* MySQL: dropped twice in one statement */
        if (str_ieq(e->before->checks[i].name, c->name)) return true;
    return edit_refuse(e, "no such constraint:", c->name);
}

static bool enforce(Edit *e, const DdlChange *c)
{
    for (EditCheck *k = e->checks; k; k = k->next) {
        if (!str_ieq(k->def.name, c->name)) continue;
        k->def.not_enforced = !c->flag;
        return true;
    }
    return edit_refuse(e, "no such constraint:", c->name);
}

static void add_check(Edit *e, const DdlCheck *c, uint64_t *number)
{
    Str name = c->name.len ? c->name : check_name(e, number);
    edit_check_add(e, name, c->expr, false, c->not_enforced);
}

/* Inline checks are listed from the last to the first. */
static void column_checks(Edit *e, const DdlColumn *col, const DdlCheck *c, uint64_t *number)
{
    if (!c) return;
    column_checks(e, col, c->next, number);
    if (edit_is_mariadb(e))
        edit_check_add(e, col->name, c->expr, true, false);
    else
        add_check(e, c, number);
}

/* -- foreign keys -- */

static Str foreign_name(Edit *e, const DdlKey *k, uint64_t *number)
{
    if (k->constraint.len) return k->constraint;
    if (k->name.len && edit_is_mariadb(e)) return k->name;
    return arena_printf(e->arena, STR_FMT "_ibfk_%u", STR_ARG(e->table.name.table), (unsigned)++*number);
}

static void add_foreign(Edit *e, const DdlKey *k, Str column, uint64_t *number)
{
    EditForeign *f = arena_new(e->arena, EditForeign), **at = &e->foreign;
    Str none = edit_is_mariadb(e) ? STR("RESTRICT") : STR("NO ACTION");
    f->name = foreign_name(e, k, number);
    f->parent = k->ref;
    f->on_update = k->on_update.len ? k->on_update : none;
    f->on_delete = k->on_delete.len ? k->on_delete : none;
    for (const DdlKeyPart *p = k->parts; p; p = p->next)
        f->n_columns++;
    if (column.len) f->n_columns = 1;
    f->columns = arena_array(e->arena, EditPart, f->n_columns + 1);
    f->parent_columns = arena_array(e->arena, Str, f->n_columns + 1);
    uint32_t n = 0;
    for (const DdlKeyPart *p = k->parts; p && !column.len; p = p->next)
        f->columns[n++] = (EditPart){.origin = UINT32_MAX, .column = p->column};
    if (column.len) f->columns[0] = (EditPart){.origin = UINT32_MAX, .column = column};
    n = 0;
    for (const DdlName *r = k->ref_columns; r && n < f->n_columns; r = r->next)
        f->parent_columns[n++] = r->name;
    while (*at)
        at = &(*at)->next;
    *at = f;
}

static void add_foreign_keys(Edit *e, const DdlChange *c, uint64_t *number)
{
    uint32_t since = edit_is_mariadb(e) ? 100500 : 90000;
    if (c->kind == DDL_ADD_KEY && c->key->kind == DDL_KEY_FOREIGN) add_foreign(e, c->key, (Str){0}, number);
    if (c->column && c->column->references && (!e->ctx->version || e->ctx->version >= since))
        add_foreign(e, c->column->references, c->column->name, number);
}

static bool is_drop(DdlChangeKind k)
{
    return k == DDL_DROP_FOREIGN || k == DDL_DROP_CONSTRAINT || k == DDL_DROP_CHECK;
}

bool edit_constraints_change(Edit *e)
{
    uint64_t checks = 0, foreign = 0;
    for (const EditForeign *f = e->foreign; f; f = f->next)
        foreign = MAX(foreign, generated_number(f->name, e->table.name.table, "_ibfk_"));
    for (const DdlChange *c = e->stmt->changes; c; c = c->next)
        if (is_drop(c->kind) && !edit_skips(e, c) && !drop_constraint(e, c)) return false;
    follow_columns(e);
    for (const EditCheck *c = e->checks; c; c = c->next)
        checks = MAX(checks, generated_number(c->def.name, e->table.name.table, "_chk_"));
    for (const DdlChange *c = e->stmt->changes; c; c = c->next) {
        if (edit_skips(e, c)) continue;
        if (c->kind == DDL_CHECK_ENFORCED && !enforce(e, c)) return false;
        if (c->kind == DDL_ADD_CHECK) add_check(e, c->check, &checks);
        if (c->column) column_checks(e, c->column, c->column->checks, &checks);
        add_foreign_keys(e, c, &foreign);
    }
    return true;
}

/* Names made of the table's name follow it. */
static void follow_table(Edit *e, Str *name, const char *tail)
{
    uint64_t n = generated_number(*name, e->before->name.table, tail);
    if (n) *name = arena_printf(e->arena, STR_FMT "%s%u", STR_ARG(e->table.name.table), tail, (unsigned)n);
}

void edit_constraints_finish(Edit *e)
{
    if (!e->before || str_eq(e->before->name.table, e->table.name.table)) return;
    for (EditCheck *c = e->checks; c && !edit_is_mariadb(e); c = c->next)
        if (!c->def.column_level) follow_table(e, &c->def.name, "_chk_");
    for (EditForeign *f = e->foreign; f; f = f->next)
        follow_table(e, &f->name, "_ibfk_");
}
