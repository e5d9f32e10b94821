/* Who is in the target and who waits beside it; see parked.h for what holds. */
#include <stdlib.h>
#include "apply/applier_internal.h"
#include "apply/meta_sql.h"
#include "apply/parked_impl.h"
#include "base/fault.h"
#include "base/poison.h"

enum { TRIES = 4, RANK_COLUMNS = 7, HOLDER_OWN = 1 };

/* Of a parked row t: rank_from reads them. */
static const char rank_columns[] =
    "t.sm_source,t.sm_schema,t.sm_table,t.sm_decided,t.sm_pinned,t.sm_renamed,";

void settle_done(Settle *s)
{
    free(s->all);
    sb_done(&s->sql);
    arena_done(&s->arena);
}

uint64_t settle_new_id(Settle *s)
{
    atomic_store(&s->p->ever, true);
    return atomic_fetch_add(&s->p->next_id, 1);
}

/* -- statements -- */

bool settle_run(Settle *s, uint64_t expected, Err *err)
{
    uint64_t affected = 0;
    unsigned warnings = 0;
    if (s->applier) return applier_exec_rows(s->applier, sb_view(&s->sql), expected, err);
    return conn_exec_warn(s->conn, sb_view(&s->sql), &affected, &warnings, err) &&
           applier_check_answer(s->conn, expected, affected, warnings, err);
}

bool settle_number(Settle *s, uint64_t *out, bool *found, Err *err)
{
    Rows rows = {0};
    Str v[1];
    if (!conn_query(s->conn, sb_view(&s->sql), &rows, err)) return false;
    *found = rows_next(&rows, v);
    bool ok = !*found || meta_u64(v[0], out, err);
    rows_done(&rows);
    return ok;
}

/* " ON p.`a`=t.`a` AND …" over the columns of key k. */
static void join_on(StrBuf *out, const Target *t, uint32_t k)
{
    for (uint32_t i = 0; i < t->keys[k].n_parts; i++) {
        Str column = t->schema->columns[t->keys[k].parts[i].column].name;
        sb_c(out, i ? " AND p." : " ON p.");
        sb_ident(out, column);
        sb_c(out, "=t.");
        sb_ident(out, column);
    }
}

/* " FROM parked p JOIN x t ON …(key k)" */
static void put_join(const Settle *s, StrBuf *out, Str with, uint32_t k)
{
    sb_printf(out, " FROM " STR_FMT " p JOIN " STR_FMT " t", STR_ARG(s->p->table), STR_ARG(with));
    join_on(out, s->t, k);
}

/* The same, and " WHERE p.sm_id=id" */
static void from_join(Settle *s, Str with, uint32_t k, uint64_t id)
{
    put_join(s, &s->sql, with, k);
    sb_printf(&s->sql, " WHERE p.sm_id=%llu", (unsigned long long)id);
}

void settle_same_row(const Settle *s, StrBuf *out, const char *x, const char *y)
{
    const TargetKey *key = &s->t->keys[s->t->row_key];
    for (uint32_t i = 0; i < key->n_parts + s->p->n_provenance; i++) {
        uint32_t column = i < key->n_parts ? key->parts[i].column : s->p->provenance[i - key->n_parts];
        Str name = s->t->schema->columns[column].name;
        sb_printf(out, " AND %s.", x);
        sb_ident(out, name);
        sb_printf(out, "=%s.", y);
        sb_ident(out, name);
    }
}

void settle_insert_head(Settle *s)
{
    sb_clear(&s->sql);
    sb_printf(&s->sql, "INSERT INTO " STR_FMT " (" PARKED_BOOKKEEPING "," STR_FMT ") ", STR_ARG(s->p->table),
              STR_ARG(s->p->columns));
}

void settle_bookkeeping(StrBuf *out, const ParkedMark *m)
{
    sb_printf(out, "%llu,", (unsigned long long)m->id);
    sb_quoted(out, m->source);
    sb_ch(out, ',');
    sb_quoted(out, m->table.schema);
    sb_ch(out, ',');
    sb_quoted(out, m->table.table);
    sb_printf(out, ",UTC_TIMESTAMP(),%llu,%d,%d", (unsigned long long)m->decided, m->pinned, m->renamed);
}

bool settle_drop_parked(Settle *s, uint64_t id, Err *err)
{
    sb_clear(&s->sql);
    sb_printf(&s->sql, "DELETE FROM " STR_FMT " WHERE sm_id=%llu", STR_ARG(s->p->table),
              (unsigned long long)id);
    if (!settle_run(s, 1, err)) return false;
    s->rows--;
    return true;
}

/* -- ranks -- */

static bool order_of(Settle *s, Str text, ParkedRank *rank, Err *err)
{
    if (s->p->order_column == NO_COLUMN) return true;
    return parked_order_of(&s->t->schema->columns[s->p->order_column], s->p->newest_wins, text, rank, err);
}

/* v: rank_columns and the value that is compared. */
static bool rank_from(Settle *s, const Str *v, ParkedRank *out, Err *err)
{
    *out = (ParkedRank){.source = s->p->world.source_rank(s->p->world.ctx, v[0]),
                        .schema = arena_str(&s->arena, v[1]),
                        .table = arena_str(&s->arena, v[2]),
                        .pinned = str_eqc(v[4], "1"),
                        .renamed = str_eqc(v[5], "1")};
    return meta_u64(v[3], &out->decided, err) && order_of(s, v[6], out, err);
}

bool settle_find_rank(Settle *s, uint64_t id, ParkedRank *out, bool *found, Err *err)
{
    Rows rows = {0};
    Str v[RANK_COLUMNS];
    sb_clear(&s->sql);
    sb_printf(&s->sql, "SELECT %s" STR_FMT " FROM " STR_FMT " t WHERE t.sm_id=%llu FOR UPDATE", rank_columns,
              STR_ARG(s->p->order_value), STR_ARG(s->p->table), (unsigned long long)id);
    if (!conn_query(s->conn, sb_view(&s->sql), &rows, err)) return false;
    *found = rows_next(&rows, v);
    bool ok = !*found || rank_from(s, v, out, err);
    rows_done(&rows);
    return ok;
}

bool settle_rank(Settle *s, uint64_t id, ParkedRank *out, Err *err)
{
    bool found = false;
    return settle_find_rank(s, id, out, &found, err) &&
           (found || err_set(err, ERR_APPLY_MISSED, "a parked row is gone"));
}

/* -- candidates -- */

void settle_add(Settle *s, uint64_t id, const ParkedRank *rank)
{
    for (size_t i = 0; i < s->n; i++)
        if (s->all[i].id == id) return;
    if (s->n == s->cap) {
        s->cap = s->cap ? s->cap * 2 : 16;
        s->all = mem_realloc(s->all, s->cap * sizeof *s->all);
    }
    s->all[s->n++] = (Candidate){.id = id, .rank = *rank};
}

bool settle_is_parked(const Settle *s, uint64_t id)
{
    for (size_t i = 0; i < s->n; i++)
        if (s->all[i].id == id) return s->all[i].parked;
    return false;
}

bool settle_add_waiting(Settle *s, uint64_t id, const ParkedRank *left, Err *err)
{
    for (uint32_t k = 0; k < s->t->n_keys; k++) {
        Rows rows = {0};
        if (!parked_counts_key(&s->t->keys[k])) continue;
        sb_clear(&s->sql);
        sb_printf(&s->sql, "SELECT t.sm_id,%s" STR_FMT, rank_columns, STR_ARG(s->p->order_value));
        from_join(s, s->p->table, k, id);
        sb_printf(&s->sql, " AND t.sm_id<>%llu FOR UPDATE", (unsigned long long)id);
        if (!conn_query(s->conn, sb_view(&s->sql), &rows, err)) return false;
        bool ok = true;
        for (Str v[RANK_COLUMNS + 1]; ok && rows_next(&rows, v);) {
            uint64_t other = 0;
            ParkedRank rank = {0};
            ok = meta_u64(v[0], &other, err) && rank_from(s, v + 1, &rank, err);
            if (ok && parked_rank_cmp(&rank, left) > 0) settle_add(s, other, &rank);
        }
        rows_done(&rows);
        if (!ok) return false;
    }
    return true;
}

/* -- the target's side -- */

bool settle_holder(Settle *s, uint64_t id, uint32_t k, Holder *out, bool *found, Err *err)
{
    Rows rows = {0};
    sb_clear(&s->sql);
    sb_printf(&s->sql, "SELECT " STR_FMT "," STR_FMT, STR_ARG(s->p->order_value),
              STR_ARG(s->p->provenance_list));
    from_join(s, s->t->sql_name, k, id);
    sb_c(&s->sql, " FOR UPDATE");
    *out = (Holder){0};
    if (!conn_query(s->conn, sb_view(&s->sql), &rows, err)) return false;
    Str *v = arena_array(&s->arena, Str, rows.n_columns + 1);
    *found = rows_next(&rows, v);
    bool ok = true;
    if (*found) {
        const Member *m = out->owner =
            s->p->world.owner(s->p->world.ctx, s->t, v + HOLDER_OWN, s->p->n_provenance);
        if (m) {
            out->rank = (ParkedRank){.source = m->source, .schema = m->name.schema, .table = m->name.table};
            ok = order_of(s, v[0], &out->rank, err);
        }
    }
    rows_done(&rows);
    if (*found && !out->owner)
        return err_set(
            err, ERR_DB_DUPLICATE_KEY,
            "the row in the target belongs to no shard table that is known now, by its provenance");
    if (!ok || !*found || !settle_decides(s)) return ok;
    Decided d = {0};
    CLEANUP(sb_done) StrBuf joins = {0};
    CLEANUP(sb_done) StrBuf where = {0};
    put_join(s, &joins, s->t->sql_name, k);
    sb_printf(&where, " WHERE p.sm_id=%llu", (unsigned long long)id);
    if (!decided_in_target(s, sb_view(&joins), sb_view(&where), &d, err)) return false;
    out->rank.decided = d.number;
    out->rank.pinned = d.pinned;
    out->rank.renamed = d.renamed;
    return true;
}

static void tell(Settle *s, const char *what, const ParkedRank *r)
{
    const ParkedWorld *w = &s->p->world;
    if (!s->moves) return;
    sb_printf(s->moves, "  %s: a row of source " STR_FMT ", table " STR_FMT "." STR_FMT "\n", what,
              STR_ARG(r->source == UINT32_MAX ? STR("?") : w->source_id(w->ctx, r->source)),
              STR_ARG(r->schema), STR_ARG(r->table));
}

/* The row of the target that key k of a parked row meets becomes a parked one. */
static bool put_out(Settle *s, uint64_t by, uint32_t k, const Holder *h, Err *err)
{
    uint64_t id = settle_new_id(s);
    Str source = s->p->world.source_id(s->p->world.ctx, h->owner->source);
    ParkedMark mark = {.id = id,
                       .source = source,
                       .table = h->owner->name,
                       .decided = h->rank.decided,
                       .pinned = h->rank.pinned,
                       .renamed = h->rank.renamed};
    settle_insert_head(s);
    sb_c(&s->sql, "SELECT ");
    settle_bookkeeping(&s->sql, &mark);
    sb_printf(&s->sql, "," STR_FMT, STR_ARG(s->p->prefixed));
    from_join(s, s->t->sql_name, k, by);
    if (!settle_run(s, 1, err)) return false;
    sb_clear(&s->sql);
    sb_printf(&s->sql, "DELETE FROM " STR_FMT " WHERE ", STR_ARG(s->t->sql_name));
    for (uint32_t i = 0; i < s->t->keys[k].n_parts; i++) {
        Str column = s->t->schema->columns[s->t->keys[k].parts[i].column].name;
        if (i) sb_c(&s->sql, " AND ");
        sb_ident(&s->sql, column);
        sb_c(&s->sql, "=(SELECT ");
        sb_ident(&s->sql, column);
        sb_printf(&s->sql, " FROM " STR_FMT " WHERE sm_id=%llu)", STR_ARG(s->p->table),
                  (unsigned long long)by);
    }
    if (!settle_run(s, 1, err)) return false;
    s->rows++;
    if (FAULT("parked.put_out")) return err_set(err, ERR_DB_LOST, "fault parked.put_out");
    tell(s, "leaves the target", &h->rank);
    /* Looked at again when its turn comes: should the other one stay out after all, it comes back. */
    settle_add(s, id, &h->rank);
    return settle_add_waiting(s, id, &h->rank, err);
}

static bool let_in(Settle *s, const Candidate *c, Err *err)
{
    sb_clear(&s->sql);
    sb_printf(&s->sql,
              "INSERT INTO " STR_FMT " (" STR_FMT ") SELECT " STR_FMT " FROM " STR_FMT " WHERE sm_id=%llu",
              STR_ARG(s->t->sql_name), STR_ARG(s->p->columns), STR_ARG(s->p->columns), STR_ARG(s->p->table),
              (unsigned long long)c->id);
    if (!settle_run(s, 1, err) || !settle_drop_parked(s, c->id, err)) return false;
    tell(s, "is in the target", &c->rank);
    return true;
}

/* -- settling -- */

/* Two rows of one shard table are told apart only when one was renamed. */
static bool check_apart(const ParkedRank *a, const ParkedRank *b, Err *err)
{
    if (!parked_same_table(a, b) || a->renamed || b->renamed) return true;
    return err_set(err, ERR_DB_DUPLICATE_KEY, "two rows of one shard table have one key");
}

/* Does a row of lower rank keep this one out? *any: a row of the target shares a key with it. */
static bool is_kept_out(Settle *s, const Candidate *c, bool *kept_out, bool *any, Err *err)
{
    *kept_out = *any = false;
    for (uint32_t k = 0; !*kept_out && k < s->t->n_keys; k++) {
        Holder h;
        bool found = false;
        if (!parked_counts_key(&s->t->keys[k])) continue;
        if (!settle_holder(s, c->id, k, &h, &found, err)) return false;
        if (!found) continue;
        *any = true;
        if (!check_apart(&h.rank, &c->rank, err)) return false;
        *kept_out = parked_rank_cmp(&h.rank, &c->rank) < 0;
    }
    return true;
}

static bool put_all_out(Settle *s, const Candidate *c, Err *err)
{
    for (uint32_t k = 0; k < s->t->n_keys; k++) {
        Holder h;
        bool found = false;
        if (!parked_counts_key(&s->t->keys[k])) continue;
        if (!settle_holder(s, c->id, k, &h, &found, err)) return false;
        if (!found) continue;
        if (parked_rank_cmp(&h.rank, &c->rank) <= 0) return true; /* came just now: it is looked at again */
        if (!put_out(s, c->id, k, &h, err)) return false;
    }
    return true;
}

/* A row that another applier has put in since its key was looked at shows itself by a duplicate key. */
static bool decide(Settle *s, size_t at, Err *err)
{
    for (unsigned tries = TRIES; tries > 0; tries--) {
        Candidate c = s->all[at];
        bool kept_out = false, any = false;
        err_clear(err);
        if (!is_kept_out(s, &c, &kept_out, &any, err)) return false;
        if (kept_out) {
            s->all[at].decided = s->all[at].parked = true;
            return true;
        }
        if (any && !put_all_out(s, &c, err)) return false;
        if (let_in(s, &c, err)) {
            s->all[at].decided = true;
            return true;
        }
        if (err->code != ERR_DB_DUPLICATE_KEY) return false;
    }
    return false;
}

bool settle_all(Settle *s, Err *err)
{
    for (;;) {
        size_t at = SIZE_MAX;
        for (size_t i = 0; i < s->n; i++)
            if (!s->all[i].decided &&
                (at == SIZE_MAX || parked_rank_cmp(&s->all[i].rank, &s->all[at].rank) < 0))
                at = i;
        if (at == SIZE_MAX) return true;
        if (!decide(s, at, err)) return false;
    }
}
