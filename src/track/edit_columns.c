#include "ddl/expr.h"
#include "track/family.h"
#include "track/schema_edit.h"
#include "base/poison.h"

void edit_columns_load(Edit *e)
{
    EditColumn **tail = &e->columns;
    for (uint32_t i = 0; e->before && i < e->before->n_columns; i++) {
        EditColumn *c = arena_new(e->arena, EditColumn);
        c->def = e->before->columns[i];
        c->origin = i;
        *tail = c;
        tail = &c->next;
    }
}

static bool is_timestamp(const ColumnDef *c)
{
    return str_eqc(c->data_type, "timestamp");
}

/* explicit_defaults_for_timestamp=OFF: the first NOT NULL TIMESTAMP of the statement that says nothing
 * follows the clock, others without a default start at zero. */
static void implicit_timestamp(Edit *e, const DdlColumn *ddl, ColumnDef *c)
{
    if (ddl->generated || ddl->null == DDL_NULL_YES) return;
    c->not_null = true;
    bool first = true;
    for (const DdlChange *o = e->stmt->changes; o && o->column != ddl; o = o->next)
        if (o->column && str_eqc(o->column->type.name, "timestamp") && o->column->null != DDL_NULL_YES)
            first = false;
    if (ddl->dflt.kind != DDL_VALUE_NONE) return;
    if (first && !ddl->on_update_now) {
        DdlValue now = {.kind = DDL_VALUE_NOW, .fsp = c->fsp};
        Err none = {0};
        if (!column_set_default(c, &now, e->ctx, e->arena, &none)) err_clear(&none);
        c->on_update_now = true;
        return;
    }
    c->default_kind = DEFAULT_LITERAL;
    c->default_text = c->fsp ? arena_printf(e->arena, "0000-00-00 00:00:00.%0*d", (int)c->fsp, 0)
                             : STR("0000-00-00 00:00:00");
}

bool edit_column_new(Edit *e, const DdlColumn *ddl, EditColumn **out)
{
    EditColumn *c = *out = arena_new(e->arena, EditColumn);
    Str check;
    c->origin = UINT32_MAX;
    c->ddl = ddl;
    if (!column_build(ddl, e->table.collation, e->ctx, e->arena, &c->def, &check, e->err))
        return err_wrap(e->err, STR_FMT "." STR_FMT, STR_ARG(e->table.name.schema),
                        STR_ARG(e->table.name.table));
    c->def.name = ddl->name;
    c->def.comment = ddl->comment;
    if (check.len && !ddl->checks) edit_check_add(e, ddl->name, check, true, false);
    if (c->def.generated) return true;
    if (ddl->dflt.kind != DDL_VALUE_NONE) {
        if (!column_set_default(&c->def, &ddl->dflt, e->ctx, e->arena, e->err)) return false;
    } else {
        c->def.default_kind = c->def.not_null ? DEFAULT_NONE : DEFAULT_NULL;
    }
    if (e->ctx->implicit_timestamps && is_timestamp(&c->def)) implicit_timestamp(e, ddl, &c->def);
    return true;
}

/* Takes it out of the list. */
static void unlink_column(Edit *e, const EditColumn *c)
{
    EditColumn **at = &e->columns;
    while (*at != c)
        at = &(*at)->next;
    *at = c->next;
}

static bool place(Edit *e, EditColumn *c, const DdlColumn *ddl)
{
    EditColumn **at = &e->columns;
    if (ddl->place == DDL_PLACE_AFTER) {
        EditColumn *prev = edit_column(e, ddl->after);
        if (!prev) return edit_refuse(e, "AFTER a column that is not there:", ddl->after);
        at = &prev->next;
    } else if (ddl->place == DDL_PLACE_SAME) {
        while (*at)
            at = &(*at)->next;
    }
    c->next = *at;
    *at = c;
    return true;
}

/* MariaDB follows a new name in the expressions of others; MySQL refuses it there. */
static void rename_in_expressions(Edit *e, Str from, Str to)
{
    if (str_ieq(from, to) && str_eq(from, to)) return;
    for (EditColumn *c = e->columns; c; c = c->next) {
        if (c->def.generated && ddl_expr_uses(c->def.generation_expr, from))
            c->def.generation_expr = ddl_expr_rename(c->def.generation_expr, from, to, e->arena);
        if (c->def.default_kind == DEFAULT_EXPR && ddl_expr_uses(c->def.default_text, from))
            c->def.default_text = ddl_expr_rename(c->def.default_text, from, to, e->arena);
    }
    for (EditCheck *c = e->checks; c; c = c->next)
        if (ddl_expr_uses(c->def.expr, from)) c->def.expr = ddl_expr_rename(c->def.expr, from, to, e->arena);
    Partitioning *by = &e->table.partitioning;
    if (ddl_expr_uses(by->expr, from)) by->expr = ddl_expr_rename(by->expr, from, to, e->arena);
    if (ddl_expr_uses(by->sub_expr, from)) by->sub_expr = ddl_expr_rename(by->sub_expr, from, to, e->arena);
}

/* In place, or out of the list to be placed later. */
static bool replace_column(Edit *e, const DdlChange *c)
{
    EditColumn *old = edit_column_from(e, edit_before_column(e, c->name)), *new;
    if (!old) return edit_refuse(e, "no such column:", c->name);
    for (EditCheck **k = &e->checks; *k;) {
        if ((*k)->def.column_level && (*k)->origin == old->origin)
            *k = (*k)->next;
        else
            k = &(*k)->next;
    }
    if (!edit_column_new(e, c->column, &new)) return false;
    new->origin = old->origin;
    new->next = old->next;
    EditColumn **at = &e->columns;
    while (*at != old)
        at = &(*at)->next;
    *at = new;
    /* a column of the primary key stays NOT NULL */
    rename_in_expressions(e, e->before->columns[old->origin].name, new->def.name);
    return true;
}

/* SET DEFAULT, DROP DEFAULT */
static bool set_default(Edit *e, ColumnDef *c, const DdlValue *v)
{
    if (c->generated) return true; /* MariaDB takes it and forgets it */
    if (edit_is_mariadb(e)) c->on_update_now = false;
    if (v->kind != DDL_VALUE_NONE) {
        if (!column_set_default(c, v, e->ctx, e->arena, e->err)) return false;
        if (c->auto_increment && c->default_kind == DEFAULT_LITERAL) c->default_kind = DEFAULT_NONE;
        return true;
    }
    /* without a default at all; read back, a column that may be NULL has none but NULL */
    c->default_kind = c->not_null ? DEFAULT_NONE : DEFAULT_NULL;
    c->default_text = (Str){0};
    return true;
}

static bool change_old(Edit *e, const DdlChange *c)
{
    if (c->kind == DDL_CHANGE_COLUMN || c->kind == DDL_MODIFY_COLUMN) return replace_column(e, c);
    EditColumn *old = edit_column_from(e, edit_before_column(e, c->name));
    if (!old) return edit_refuse(e, "no such column:", c->name);
    switch (c->kind) {
    case DDL_DROP_COLUMN: unlink_column(e, old); return true;
    case DDL_RENAME_COLUMN:
        rename_in_expressions(e, e->before->columns[old->origin].name, c->to);
        old->def.name = c->to;
        for (EditCheck *k = e->checks; k; k = k->next)
            if (k->def.column_level && k->origin == old->origin) k->def.name = c->to;
        return true;
    case DDL_COLUMN_VISIBLE: old->def.invisible = !c->flag; return true;
    default: break;
    }
    return set_default(e, &old->def, &c->value);
}

static bool is_old_change(DdlChangeKind k)
{
    return k == DDL_DROP_COLUMN || k == DDL_RENAME_COLUMN || k == DDL_COLUMN_VISIBLE ||
           k == DDL_SET_DEFAULT || k == DDL_CHANGE_COLUMN || k == DDL_MODIFY_COLUMN;
}

static bool place_new(Edit *e, const DdlChange *c)
{
    EditColumn *col;
    if (c->kind == DDL_ADD_COLUMN) {
        if (edit_column(e, c->column->name))
            return edit_refuse(e, "the column is there already:", c->column->name);
        return edit_column_new(e, c->column, &col) && place(e, col, c->column);
    }
    if (c->column->place == DDL_PLACE_SAME) return true;
    col = edit_column(e, c->column->name);
    if (!col) return edit_refuse(e, "no such column:", c->column->name); /* dropped by the same statement */
    unlink_column(e, col);
    return place(e, col, c->column);
}

/* A column that the same statement writes is as if it had been written with that charset. */
static bool convert_written(Edit *e, EditColumn *col, Str collation)
{
    DdlColumn ddl = *col->ddl;
    ColumnDef def = {0};
    Str check;
    ddl.charset = (Str){0};
    ddl.collation = collation;
    ddl.type.national = ddl.ascii = ddl.unicode = ddl.binary = false;
    if (!column_build(&ddl, collation, e->ctx, e->arena, &def, &check, e->err)) return false;
    col->def.data_type = def.data_type;
    col->def.column_type = def.column_type;
    col->def.char_length = def.char_length;
    col->def.charset = def.charset;
    col->def.collation = def.collation;
    return true;
}

/* MySQL makes a BLOB or TEXT of the old column's length where MODIFY and CONVERT TO come together. */
static bool is_spoiled(const Edit *e, const EditColumn *c)
{
    return !edit_is_mariadb(e) && c->ddl && c->origin != UINT32_MAX && column_is_blob(&c->def) &&
           e->before->columns[c->origin].collation.len;
}

static bool convert_column(Edit *e, EditColumn *c, Str collation)
{
    if (is_spoiled(e, c))
        return err_set(e->err, ERR_NOT_SUPPORTED,
                       "column `" STR_FMT "`: its type cannot be told from MODIFY with CONVERT TO",
                       STR_ARG(c->def.name));
    bool written = c->ddl && column_is_text(&c->def) && !str_eqc(c->ddl->type.name, "json");
    return written ? convert_written(e, c, collation) : column_convert(&c->def, collation, e->arena, e->err);
}

static bool convert_columns(Edit *e, const DdlChange *c)
{
    Str collation = collation_resolve(c->charset, c->collation, e->ctx->schema_collation, e->ctx);
    for (EditColumn *col = e->columns; col && collation.len; col = col->next)
        if (!convert_column(e, col, collation))
            return err_wrap(e->err, STR_FMT "." STR_FMT, STR_ARG(e->table.name.schema),
                            STR_ARG(e->table.name.table));
    return true;
}

/* ADD SYSTEM VERSIONING without columns of its own keeps hidden ones. */
static void versioning(Edit *e, DdlChangeKind kind)
{
    e->table.is_versioned = kind == DDL_ADD_VERSIONING;
    if (kind == DDL_ADD_VERSIONING) return;
    for (EditColumn *c = e->columns, *next; c; c = next) {
        next = c->next;
        if (str_starts(c->def.generation_expr, STR("ROW "))) unlink_column(e, c);
    }
}

bool edit_columns_change(Edit *e)
{
    for (int defaults = 0; defaults < 2; defaults++) /* of columns that the same statement changes: last */
        for (const DdlChange *c = e->stmt->changes; c; c = c->next)
            if (is_old_change(c->kind) && (c->kind == DDL_SET_DEFAULT) == defaults && !edit_skips(e, c) &&
                !change_old(e, c))
                return false;
    for (const DdlChange *c = e->stmt->changes; c; c = c->next) {
        bool placed =
            c->kind == DDL_ADD_COLUMN || c->kind == DDL_CHANGE_COLUMN || c->kind == DDL_MODIFY_COLUMN;
        if (placed && !edit_skips(e, c) && !place_new(e, c)) return false;
    }
    for (const DdlChange *c = e->stmt->changes; c; c = c->next) {
        if (c->kind == DDL_CONVERT_CHARSET && !convert_columns(e, c)) return false;
        if (c->kind == DDL_ADD_VERSIONING || c->kind == DDL_DROP_VERSIONING) versioning(e, c->kind);
        if (c->kind == DDL_ADD_PERIOD && !str_ieq(c->name, STR("SYSTEM_TIME")))
            return err_set(e->err, ERR_NOT_SUPPORTED,
                           STR_FMT "." STR_FMT ": application-time periods are not tracked yet",
                           STR_ARG(e->table.name.schema), STR_ARG(e->table.name.table));
    }
    return true;
}
