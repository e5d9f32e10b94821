#include "pipeline/refill.h"
#include "pipeline/catalog_impl.h"
#include "track/family.h"
#include "base/poison.h"

void refill_sql_done(RefillSql *r)
{
    sb_done(&r->where);
    sb_done(&r->set);
    arena_done(&r->arena);
    *r = (RefillSql){0};
}

static bool literal_of(const ColumnDef *c, RowLiteral *out)
{
    switch (family_of(c)) {
    case FAMILY_INT: *out = ROW_LITERAL_NUMBER; return true;
    case FAMILY_DATE:
    case FAMILY_DATETIME:
    case FAMILY_TIMESTAMP: *out = ROW_LITERAL_TEXT; return true;
    case FAMILY_TEXT: *out = ROW_LITERAL_TEXT; return c->charset.len > 0;
    case FAMILY_BINARY: *out = ROW_LITERAL_BYTES; return true;
    default: return false;
    }
}

static bool is_filled(const ColumnDef *c, const BindFill *fills, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++)
        if (str_ieq(fills[i].column, c->name)) return true;
    return false;
}

/* The target's key that finds rows, when its values can be compared as literals and do not change here. */
static void put_keys(const Target *t, const BindFill *fills, uint32_t n, RefillSql *out)
{
    if (t->row_key == NO_COLUMN || t->keys[t->row_key].logical || !t->keys[t->row_key].all_not_null) return;
    const TargetKey *k = &t->keys[t->row_key];
    RowRefillKey *keys = arena_array(&out->arena, RowRefillKey, k->n_parts + 1);
    for (uint32_t i = 0; i < k->n_parts; i++) {
        const ColumnDef *c = &t->schema->columns[k->parts[i].column];
        bool stays = !c->on_update_now && !is_filled(c, fills, n);
        if (k->parts[i].prefix || !stays || !literal_of(c, &keys[i].literal)) return;
        StrBuf name = {0};
        sb_ident(&name, c->name);
        keys[i].column = arena_str(&out->arena, sb_view(&name));
        sb_done(&name);
    }
    out->keys = keys;
    out->n_keys = k->n_parts;
}

static bool put_set(const Target *t, const MemberKeys *keys, const BindFill *fills, uint32_t n,
                    RefillSql *out, Err *err)
{
    for (uint32_t i = 0; i < n; i++) {
        uint32_t at = schema_column(t->schema, fills[i].column);
        if (at == NO_COLUMN)
            return err_set(err, ERR_TRACK_TARGET, "target " STR_FMT " has no column `" STR_FMT "`",
                           STR_ARG(t->sql_name), STR_ARG(fills[i].column));
        if (keys_column(keys, fills[i].column))
            return err_set_remedy(
                err, ERR_NOT_SUPPORTED,
                "set it by hand, then decide with the locks command: detach, or start the task anew",
                "target " STR_FMT " column `" STR_FMT "`: a refill of a column that a key strategy rewrites",
                STR_ARG(t->sql_name), STR_ARG(fills[i].column));
        if (i) sb_ch(&out->set, ',');
        sb_ident(&out->set, fills[i].column);
        sb_c(&out->set, " = ");
        sb_str(&out->set, fills[i].literal.len ? fills[i].literal : STR("NULL"));
    }
    for (uint32_t i = 0; i < t->schema->n_columns; i++) {
        const ColumnDef *c = &t->schema->columns[i];
        if (!c->on_update_now || is_filled(c, fills, n)) continue;
        sb_ch(&out->set, ',');
        sb_ident(&out->set, c->name);
        sb_c(&out->set, " = ");
        sb_ident(&out->set, c->name);
    }
    return true;
}

bool refill_sql_of(Catalog *c, const Member *member, const BindFill *fills, uint32_t n, RefillSql *out,
                   Err *err)
{
    CatalogMember *m = (CatalogMember *)member;
    StrBuf order = {0}, first = {0};
    *out = (RefillSql){0};
    bool ok = catalog_rows_of(c, member, &out->where, &order, &first, err);
    sb_done(&order);
    sb_done(&first);
    if (!ok) return false;
    pthread_mutex_lock(&c->mutex);
    const Target *t = catalog_find_target(c, m->goes_to);
    ok = t ? put_set(t, m->keys, fills, n, out, err)
           : err_set(err, ERR_BUG, "no target " STR_FMT "." STR_FMT, STR_ARG(m->goes_to.schema),
                     STR_ARG(m->goes_to.table));
    if (ok) put_keys(t, fills, n, out);
    pthread_mutex_unlock(&c->mutex);
    return ok;
}
