/* Rows that an operator has decided about: the table of decided rows, two sides for each decision. */
#include "apply/meta_sql.h"
#include "apply/parked_impl.h"
#include "base/poison.h"

/* Does the server change such a column by itself in an UPDATE that does not name it? */
static bool may_move(const ColumnDef *c)
{
    return str_eqc(c->data_type, "timestamp") || str_eqc(c->data_type, "datetime");
}

static void put_assignment(StrBuf *out, bool *any, const char *to, const char *from, Str column)
{
    sb_printf(out, "%s%s.", *any ? "," : "", to);
    sb_ident(out, column);
    sb_printf(out, "=%s.", from);
    sb_ident(out, column);
    *any = true;
}

/* "to.`a`=from.`a`,…" over the key columns that chosen marks (NULL: all); every other column stays. *any: it
 * is not empty. */
static void put_keys(const Settle *s, StrBuf *out, const char *to, const char *from, const bool *chosen,
                     bool none, bool *any)
{
    const TableSchema *schema = s->t->schema;
    for (uint32_t c = 0; c < schema->n_columns; c++) {
        bool set = false;
        for (uint32_t i = 0; i < s->p->n_key_columns; i++)
            set |= s->p->key_columns[i] == c && !none && (!chosen || chosen[i]);
        if (set)
            put_assignment(out, any, to, from, schema->columns[c].name);
        else if (may_move(&schema->columns[c]) && !schema->columns[c].generated)
            put_assignment(out, any, to, to, schema->columns[c].name);
    }
}

/* -- finding -- */

static bool find_parked(Settle *s, Decided *d, Err *err)
{
    sb_clear(&s->sql);
    sb_printf(&s->sql, "SELECT sm_id FROM " STR_FMT " WHERE sm_decided=%llu FOR UPDATE", STR_ARG(s->p->table),
              (unsigned long long)d->number);
    return settle_number(s, &d->id, &d->parked, err);
}

/* The decision that s->sql selects: the first, or (in_target) the one whose row is in the target. */
static bool pick(Settle *s, bool in_target, Decided *out, Err *err)
{
    Rows rows = {0};
    bool ok = conn_query(s->conn, sb_view(&s->sql), &rows, err);
    *out = (Decided){0};
    for (Str v[3]; ok && !out->number && rows_next(&rows, v);) {
        Decided d = {.pinned = str_eqc(v[1], "1"), .renamed = str_eqc(v[2], "1")};
        ok = meta_u64(v[0], &d.number, err) && find_parked(s, &d, err);
        if (ok && !(in_target && d.parked)) *out = d;
    }
    rows_done(&rows);
    return ok;
}

bool decided_find(Settle *s, int side, Str where, Decided *out, Err *err)
{
    sb_clear(&s->sql);
    sb_printf(&s->sql, "SELECT sm_id,sm_pinned,sm_renamed FROM " STR_FMT STR_FMT " AND sm_side=%d FOR UPDATE",
              STR_ARG(s->p->decided_table), STR_ARG(where), side);
    return pick(s, side == SIDE_WRITTEN, out, err);
}

bool decided_get(Settle *s, uint64_t number, Decided *out, Err *err)
{
    sb_clear(&s->sql);
    sb_printf(&s->sql,
              "SELECT sm_id,sm_pinned,sm_renamed FROM " STR_FMT " WHERE sm_id=%llu AND sm_side=%d FOR UPDATE",
              STR_ARG(s->p->decided_table), (unsigned long long)number, SIDE_OWN);
    return pick(s, false, out, err);
}

bool decided_in_target(Settle *s, Str joins, Str where, Decided *out, Err *err)
{
    sb_clear(&s->sql);
    sb_printf(&s->sql,
              "SELECT d.sm_id,d.sm_pinned,d.sm_renamed" STR_FMT " JOIN " STR_FMT " d ON d.sm_side=%d",
              STR_ARG(joins), STR_ARG(s->p->decided_table), SIDE_WRITTEN);
    settle_same_row(s, &s->sql, "d", "t");
    sb_printf(&s->sql, STR_FMT " FOR UPDATE", STR_ARG(where));
    return pick(s, true, out, err);
}

/* -- its row -- */

/* " FROM target t JOIN decided d ON … the written side of the decision … the same row" */
static void from_row(Settle *s, uint64_t number)
{
    sb_printf(&s->sql, " FROM " STR_FMT " t JOIN " STR_FMT " d ON d.sm_id=%llu AND d.sm_side=%d",
              STR_ARG(s->t->sql_name), STR_ARG(s->p->decided_table), (unsigned long long)number,
              SIDE_WRITTEN);
    settle_same_row(s, &s->sql, "d", "t");
}

/* "DELETE FROM target WHERE `id`=(SELECT `id` FROM decided WHERE …) AND …" by row key and provenance. */
static void delete_row(Settle *s, uint64_t number)
{
    const TargetKey *key = &s->t->keys[s->t->row_key];
    sb_clear(&s->sql);
    sb_printf(&s->sql, "DELETE FROM " STR_FMT " WHERE ", STR_ARG(s->t->sql_name));
    for (uint32_t i = 0; i < key->n_parts + s->p->n_provenance; i++) {
        uint32_t column = i < key->n_parts ? key->parts[i].column : s->p->provenance[i - key->n_parts];
        CLEANUP(sb_done) StrBuf name = {0};
        sb_ident(&name, s->t->schema->columns[column].name);
        sb_printf(&s->sql, "%s%s=(SELECT %s FROM " STR_FMT " WHERE sm_id=%llu AND sm_side=%d)",
                  i ? " AND " : "", name.ptr, name.ptr, STR_ARG(s->p->decided_table),
                  (unsigned long long)number, SIDE_WRITTEN);
    }
}

bool decided_take_out(Settle *s, Decided *d, Err *err)
{
    d->id = settle_new_id(s);
    settle_insert_head(s);
    sb_printf(&s->sql, "SELECT %llu,d.sm_source,d.sm_schema,d.sm_table,UTC_TIMESTAMP(),%llu,%d,%d," STR_FMT,
              (unsigned long long)d->id, (unsigned long long)d->number, d->pinned, d->renamed,
              STR_ARG(s->p->prefixed));
    from_row(s, d->number);
    if (!settle_run(s, 1, err)) return false;
    delete_row(s, d->number);
    if (!settle_run(s, 1, err)) return false;
    s->rows++;
    d->parked = true;
    return true;
}

/* "UPDATE parked p JOIN decided d ON d is that side of the decision SET " */
static void update_parked(Settle *s, const Decided *d, int side)
{
    sb_clear(&s->sql);
    sb_printf(&s->sql, "UPDATE " STR_FMT " p JOIN " STR_FMT " d ON d.sm_id=%llu AND d.sm_side=%d SET ",
              STR_ARG(s->p->table), STR_ARG(s->p->decided_table), (unsigned long long)d->number, side);
}

static bool write_parked(Settle *s, const Decided *d, int side, const bool *chosen, Err *err)
{
    bool any = false;
    update_parked(s, d, side);
    put_keys(s, &s->sql, "p", "d", chosen, false, &any);
    sb_printf(&s->sql, " WHERE p.sm_id=%llu", (unsigned long long)d->id);
    return settle_run(s, 1, err);
}

/* One side follows the parked row in the chosen columns. */
static bool write_side(Settle *s, const Decided *d, int side, const bool *chosen, Err *err)
{
    bool any = false;
    sb_clear(&s->sql);
    sb_printf(&s->sql, "UPDATE " STR_FMT " d JOIN " STR_FMT " p ON p.sm_id=%llu SET ",
              STR_ARG(s->p->decided_table), STR_ARG(s->p->table), (unsigned long long)d->id);
    put_keys(s, &s->sql, "d", "p", chosen, false, &any);
    if (!any) return true;
    sb_printf(&s->sql, " WHERE d.sm_id=%llu AND d.sm_side=%d", (unsigned long long)d->number, side);
    return settle_run(s, 1, err);
}

/* Which key columns are renamed, and has the shard left their own values alone? */
static bool still_renamed(Settle *s, const Decided *d, bool *stays, bool *any, Err *err)
{
    Rows rows = {0};
    *any = false;
    sb_clear(&s->sql);
    sb_c(&s->sql, "SELECT ");
    for (uint32_t i = 0; i < s->p->n_key_columns; i++) {
        CLEANUP(sb_done) StrBuf name = {0};
        sb_ident(&name, s->t->schema->columns[s->p->key_columns[i]].name);
        sb_printf(&s->sql, "%sNOT (o.%s<=>w.%s) AND (p.%s<=>o.%s)", i ? "," : "", name.ptr, name.ptr,
                  name.ptr, name.ptr);
    }
    sb_printf(&s->sql,
              " FROM " STR_FMT " p JOIN " STR_FMT " o ON o.sm_id=%llu AND o.sm_side=%d JOIN " STR_FMT
              " w ON w.sm_id=o.sm_id AND w.sm_side=%d WHERE p.sm_id=%llu FOR UPDATE",
              STR_ARG(s->p->table), STR_ARG(s->p->decided_table), (unsigned long long)d->number, SIDE_OWN,
              STR_ARG(s->p->decided_table), SIDE_WRITTEN, (unsigned long long)d->id);
    if (!conn_query(s->conn, sb_view(&s->sql), &rows, err)) return false;
    Str *v = arena_array(&s->arena, Str, rows.n_columns + 1);
    bool found = rows_next(&rows, v);
    for (uint32_t i = 0; found && i < s->p->n_key_columns; i++) {
        stays[i] = str_eqc(v[i], "1");
        *any |= stays[i];
    }
    rows_done(&rows);
    return found || err_set(err, ERR_APPLY_META, "decision %llu lacks one of its sides",
                            (unsigned long long)d->number);
}

bool decided_before_update(Settle *s, const Decided *d, Err *err)
{
    return !d->renamed || write_parked(s, d, SIDE_OWN, NULL, err);
}

/* What the bookkeeping says of the decision, in both places. */
static bool write_marks(Settle *s, const Decided *d, uint64_t number, Err *err)
{
    bool any = true;
    sb_clear(&s->sql);
    sb_printf(&s->sql, "UPDATE " STR_FMT " p SET p.sm_decided=%llu,p.sm_pinned=%d,p.sm_renamed=%d",
              STR_ARG(s->p->table), (unsigned long long)number, d->pinned, d->renamed);
    put_keys(s, &s->sql, "p", "p", NULL, true, &any);
    sb_printf(&s->sql, " WHERE p.sm_id=%llu", (unsigned long long)d->id);
    if (d->parked && !settle_run(s, 1, err)) return false;
    if (!number) return true;
    sb_clear(&s->sql);
    sb_printf(&s->sql, "UPDATE " STR_FMT " d SET d.sm_pinned=%d,d.sm_renamed=%d",
              STR_ARG(s->p->decided_table), d->pinned, d->renamed);
    put_keys(s, &s->sql, "d", "d", NULL, true, &any);
    sb_printf(&s->sql, " WHERE d.sm_id=%llu", (unsigned long long)number);
    return settle_run(s, 2, err);
}

bool decided_mark(Settle *s, const Decided *d, Err *err)
{
    return write_marks(s, d, d->number, err);
}

void decided_put_still(const Settle *s, StrBuf *out, Str but)
{
    for (uint32_t c = 0; c < s->t->schema->n_columns; c++) {
        const ColumnDef *column = &s->t->schema->columns[c];
        if (!may_move(column) || column->generated || str_eq(column->name, but)) continue;
        sb_ch(out, ',');
        sb_ident(out, column->name);
        sb_ch(out, '=');
        sb_ident(out, column->name);
    }
}

bool decided_rename(Settle *s, Decided *d, const bool *chosen, bool *differs, Err *err)
{
    Rows rows = {0};
    if (!write_side(s, d, SIDE_WRITTEN, chosen, err)) return false;
    sb_clear(&s->sql);
    sb_c(&s->sql, "SELECT ");
    for (uint32_t i = 0; i < s->p->n_key_columns; i++) {
        Str name = s->t->schema->columns[s->p->key_columns[i]].name;
        sb_c(&s->sql, i ? ",NOT (o." : "NOT (o.");
        sb_ident(&s->sql, name);
        sb_c(&s->sql, "<=>w.");
        sb_ident(&s->sql, name);
        sb_ch(&s->sql, ')');
    }
    sb_printf(&s->sql,
              " FROM " STR_FMT " o JOIN " STR_FMT
              " w ON w.sm_id=o.sm_id AND w.sm_side=%d WHERE o.sm_id=%llu AND "
              "o.sm_side=%d",
              STR_ARG(s->p->decided_table), STR_ARG(s->p->decided_table), SIDE_WRITTEN,
              (unsigned long long)d->number, SIDE_OWN);
    if (!conn_query(s->conn, sb_view(&s->sql), &rows, err)) return false;
    Str *v = arena_array(&s->arena, Str, rows.n_columns + 1);
    *differs = rows_next(&rows, v);
    for (uint32_t i = 0; *differs && i < s->p->n_key_columns; i++)
        *differs = !chosen[i] || str_eqc(v[i], "1");
    rows_done(&rows);
    d->renamed = true;
    return decided_mark(s, d, err);
}

bool decided_after_update(Settle *s, Decided *d, Err *err)
{
    bool *stays = arena_array(&s->arena, bool, s->p->n_key_columns + 1);
    bool *follows = arena_array(&s->arena, bool, s->p->n_key_columns + 1), any = false;
    if (d->renamed && !still_renamed(s, d, stays, &any, err)) return false;
    for (uint32_t i = 0; i < s->p->n_key_columns; i++)
        follows[i] = !stays[i];
    if (!write_side(s, d, SIDE_OWN, NULL, err) || !write_side(s, d, SIDE_WRITTEN, follows, err)) return false;
    if (any) return write_parked(s, d, SIDE_WRITTEN, stays, err);
    if (!d->renamed) return true;
    d->renamed = false; /* the shard has given the row other keys: nothing is renamed any more */
    return d->pinned ? decided_mark(s, d, err) : decided_forget(s, d, err);
}

bool decided_forget(Settle *s, const Decided *d, Err *err)
{
    const Decided nothing = {.id = d->id, .parked = d->parked};
    sb_clear(&s->sql);
    sb_printf(&s->sql, "DELETE FROM " STR_FMT " WHERE sm_id=%llu", STR_ARG(s->p->decided_table),
              (unsigned long long)d->number);
    return settle_run(s, 2, err) && (!d->parked || write_marks(s, &nothing, 0, err));
}

bool decided_own_is_free(Settle *s, uint64_t id, const Decided *but, Err *err)
{
    uint64_t ignored = 0;
    bool found = false;
    sb_clear(&s->sql);
    sb_printf(&s->sql, "SELECT o.sm_id FROM " STR_FMT " p JOIN " STR_FMT " o ON o.sm_side=%d",
              STR_ARG(but ? s->p->decided_table : s->p->table), STR_ARG(s->p->decided_table), SIDE_OWN);
    settle_same_row(s, &s->sql, "o", "p");
    if (but)
        sb_printf(&s->sql, " WHERE p.sm_id=%llu AND p.sm_side=%d AND o.sm_id<>p.sm_id",
                  (unsigned long long)but->number, SIDE_OWN);
    else
        sb_printf(&s->sql, " WHERE p.sm_id=%llu", (unsigned long long)id);
    sb_c(&s->sql, " LIMIT 1 FOR UPDATE");
    if (!settle_number(s, &ignored, &found, err)) return false;
    return !found || err_set(err, ERR_DB_DUPLICATE_KEY, "two rows of one shard table have one key");
}
