#include "track/schema_undo.h"
#include "base/poison.h"

static bool has_expressions(const TableSchema *s)
{
    for (uint32_t i = 0; i < s->n_columns; i++)
        if (s->columns[i].generated || s->columns[i].default_kind == DEFAULT_EXPR) return true;
    for (uint32_t i = 0; i < s->n_keys; i++)
        if (s->keys[i].has_expression) return true;
    return s->n_checks || s->partitioning.method.len;
}

static void remove_key(TableSchema *s, uint32_t at)
{
    s->n_keys--;
    for (uint32_t i = at; i < s->n_keys; i++)
        s->keys[i] = s->keys[i + 1];
}

/* Of that name and over these columns. */
static bool undo_add_key(TableSchema *s, const DdlKey *k)
{
    bool plain = k->kind == DDL_KEY_UNIQUE || k->kind == DDL_KEY_PLAIN || k->kind == DDL_KEY_FULLTEXT ||
                 k->kind == DDL_KEY_SPATIAL;
    Str name = k->name.len ? k->name : k->constraint;
    if (!plain || k->if_not_exists || !name.len) return false;
    for (uint32_t i = 0; i < s->n_keys; i++) {
        if (s->keys[i].primary || !str_ieq(s->keys[i].name, name)) continue;
        remove_key(s, i);
        return true;
    }
    return false;
}

static bool is_plain_column(const DdlColumn *c)
{
    return !c->if_not_exists && !c->unique && !c->primary && !c->auto_increment && !c->serial_default &&
           !c->checks && !c->references && !c->row_start && !c->row_end && !c->with_versioning &&
           !c->without_versioning && !str_eqc(c->type.name, "serial");
}

/* False: a key or a reference still has it. */
static bool close_gap(TableSchema *s, uint32_t column)
{
    for (uint32_t i = 0; i < s->n_keys; i++)
        for (uint32_t k = 0; k < s->keys[i].n_parts; k++) {
            uint32_t *at = &s->keys[i].parts[k].column;
            if (*at == column) return false;
            if (*at != UINT32_MAX && *at > column) --*at;
        }
    for (uint32_t i = 0; i < s->n_foreign_keys; i++)
        for (uint32_t k = 0; k < s->foreign_keys[i].n_columns; k++) {
            uint32_t *at = &s->foreign_keys[i].columns[k];
            if (*at == column) return false;
            if (*at > column) --*at;
        }
    return true;
}

static bool undo_add_column(TableSchema *s, const DdlColumn *c)
{
    uint32_t at = schema_column(s, c->name);
    if (!is_plain_column(c) || at == UINT32_MAX || s->n_columns == 1 || !close_gap(s, at)) return false;
    s->n_columns--;
    for (uint32_t i = at; i < s->n_columns; i++)
        s->columns[i] = s->columns[i + 1];
    return true;
}

/* All at once: names may change places. */
static bool undo_renames(TableSchema *s, const TableSchema *after, const DdlStmt *stmt)
{
    for (const DdlChange *c = stmt->changes; c; c = c->next) {
        if (c->kind != DDL_RENAME_COLUMN) continue;
        uint32_t at = schema_column(after, c->to);
        if (c->if_exists || at == UINT32_MAX || has_expressions(after)) return false;
        s->columns[at].name = arena_str(&s->arena, c->name);
    }
    return true;
}

static bool undo_rename_key(TableSchema *s, const DdlChange *c)
{
    for (uint32_t i = 0; i < s->n_keys; i++) {
        if (!str_ieq(s->keys[i].name, c->to)) continue;
        s->keys[i].name = arena_str(&s->arena, c->name);
        return !c->if_exists;
    }
    return false;
}

/* What no row depends on. */
static bool is_harmless(const DdlChange *c)
{
    static const char *const options[] = {"auto_increment", "comment", "row_format"};
    if (c->kind == DDL_FORCE || c->kind == DDL_MAINTAIN_PARTITION || c->kind == DDL_KEY_VISIBLE) return true;
    if (c->kind != DDL_OPTION) return false;
    for (size_t i = 0; i < ARRAY_LEN(options); i++)
        if (str_ieq(c->option->name, str_of(options[i]))) return true;
    return false;
}

static bool undo_keys(TableSchema *s, const DdlStmt *stmt)
{
    for (const DdlChange *c = stmt->changes; c; c = c->next) {
        bool ok = true;
        switch (c->kind) {
        case DDL_ADD_KEY: ok = !c->if_not_exists && undo_add_key(s, c->key); break;
        case DDL_RENAME_KEY: ok = undo_rename_key(s, c); break;
        case DDL_ADD_COLUMN:
        case DDL_RENAME_COLUMN: break;
        default: ok = is_harmless(c);
        }
        if (!ok) return false;
    }
    return true;
}

static bool undo_columns(TableSchema *s, const DdlStmt *stmt)
{
    for (const DdlChange *c = stmt->changes; c; c = c->next)
        if (c->kind == DDL_ADD_COLUMN && (c->if_not_exists || !undo_add_column(s, c->column))) return false;
    return true;
}

TableSchema *schema_undo(const TableSchema *after, const DdlStmt *stmt)
{
    bool moves_rows = stmt->kind == DDL_TRUNCATE_TABLE;
    if (!moves_rows && (stmt->kind != DDL_ALTER_TABLE || stmt->if_exists || stmt->ignore)) return NULL;
    TableSchema *s = schema_copy(after);
    bool ok = moves_rows || (undo_keys(s, stmt) && undo_renames(s, after, stmt) && undo_columns(s, stmt));
    if (ok) return s;
    schema_free(s);
    return NULL;
}
