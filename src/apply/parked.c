/* One row of a target whose losers are parked; see parked.h for what holds. Inside an applier's transaction.
 */
#include "apply/parked.h"
#include <stdlib.h>
#include "apply/applier_internal.h"
#include "apply/meta_sql.h"
#include "base/fault.h"
#include "base/poison.h"

enum { LOOKS = 8, TRIES = 4, CONDITIONS = 100 };

typedef struct Rank {
    uint32_t source;
    Str schema, table;
} Rank;

/* A parked row that may come in. */
typedef struct Candidate {
    uint64_t id;
    Rank rank;
    bool decided, parked;
} Candidate;

typedef struct Settle {
    Applier *a;
    ParkedTarget *p;
    const Target *t;
    Arena arena;
    Candidate *all;
    size_t n, cap;
    StrBuf sql;
} Settle;

static int rank_cmp(const Rank *a, const Rank *b)
{
    if (a->source != b->source) return a->source < b->source ? -1 : 1;
    int by_schema = str_cmp(a->schema, b->schema);
    return by_schema ? by_schema : str_cmp(a->table, b->table);
}

static Rank rank_of(const Member *m)
{
    return (Rank){m->source, m->name.schema, m->name.table};
}

static uint64_t new_id(Settle *s)
{
    atomic_store(&s->p->ever, true);
    return atomic_fetch_add(&s->p->next_id, 1);
}

/* -- statements -- */

static bool run(Settle *s, uint64_t expected, Err *err)
{
    return applier_exec_rows(s->a, sb_view(&s->sql), expected, err);
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

/* "FROM parked p JOIN x t ON …(key k) WHERE p.sm_id=id" */
static void from_join(Settle *s, Str with, uint32_t k, uint64_t id)
{
    sb_printf(&s->sql, " FROM " STR_FMT " p JOIN " STR_FMT " t", STR_ARG(s->p->table), STR_ARG(with));
    join_on(&s->sql, s->t, k);
    sb_printf(&s->sql, " WHERE p.sm_id=%llu", (unsigned long long)id);
}

static void parked_insert_head(Settle *s)
{
    sb_clear(&s->sql);
    sb_printf(&s->sql, "INSERT INTO " STR_FMT " (sm_id,sm_source,sm_schema,sm_table,sm_since," STR_FMT ") ",
              STR_ARG(s->p->table), STR_ARG(s->p->columns));
}

static void bookkeeping(StrBuf *out, uint64_t id, Str source, TableName table)
{
    sb_printf(out, "%llu,", (unsigned long long)id);
    sb_quoted(out, source);
    sb_ch(out, ',');
    sb_quoted(out, table.schema);
    sb_ch(out, ',');
    sb_quoted(out, table.table);
    sb_c(out, ",UTC_TIMESTAMP()");
}

static void count_parked(Settle *s, int64_t rows)
{
    Applier *a = s->a;
    for (size_t i = 0; i < a->n_parked; i++)
        if (a->parked[i].target == s->p) {
            a->parked[i].rows += rows;
            return;
        }
    a->parked = mem_realloc(a->parked, (a->n_parked + 1) * sizeof *a->parked);
    a->parked[a->n_parked++] = (ParkedChange){s->p, rows};
}

static bool drop_parked(Settle *s, uint64_t id, Err *err)
{
    sb_clear(&s->sql);
    sb_printf(&s->sql, "DELETE FROM " STR_FMT " WHERE sm_id=%llu", STR_ARG(s->p->table),
              (unsigned long long)id);
    if (!run(s, 1, err)) return false;
    count_parked(s, -1);
    return true;
}

/* -- candidates -- */

static void add_candidate(Settle *s, uint64_t id, Rank rank)
{
    for (size_t i = 0; i < s->n; i++)
        if (s->all[i].id == id) return;
    if (s->n == s->cap) {
        s->cap = s->cap ? s->cap * 2 : 16;
        s->all = mem_realloc(s->all, s->cap * sizeof *s->all);
    }
    s->all[s->n++] = (Candidate){
        .id = id, .rank = {rank.source, arena_str(&s->arena, rank.schema), arena_str(&s->arena, rank.table)}};
}

/* Parked rows that share a key with the parked row `id`, which was in the target until now: those of higher
 * rank may have waited for it. */
static bool add_waiting(Settle *s, uint64_t id, const Rank *left, Err *err)
{
    for (uint32_t k = 0; k < s->t->n_keys; k++) {
        Rows rows = {0};
        if (!parked_counts_key(&s->t->keys[k])) continue;
        sb_clear(&s->sql);
        sb_c(&s->sql, "SELECT t.sm_id,t.sm_source,t.sm_schema,t.sm_table");
        from_join(s, s->p->table, k, id);
        sb_printf(&s->sql, " AND t.sm_id<>%llu FOR UPDATE", (unsigned long long)id);
        if (!conn_query(s->a->conn, sb_view(&s->sql), &rows, err)) return false;
        bool ok = true;
        for (Str v[4]; ok && rows_next(&rows, v);) {
            uint64_t other = 0;
            Rank rank = {s->p->world.source_rank(s->p->world.ctx, v[1]), v[2], v[3]};
            ok = meta_u64(v[0], &other, err);
            if (ok && rank_cmp(&rank, left) > 0) add_candidate(s, other, rank);
        }
        rows_done(&rows);
        if (!ok) return false;
    }
    return true;
}

/* -- the target's side -- */

/* The row of the target that has key k of a parked row; locked. */
static bool find_holder(Settle *s, uint64_t id, uint32_t k, const Member **out, bool *found, Err *err)
{
    Rows rows = {0};
    sb_clear(&s->sql);
    sb_printf(&s->sql, "SELECT " STR_FMT, STR_ARG(s->p->provenance_list));
    from_join(s, s->t->sql_name, k, id);
    sb_c(&s->sql, " FOR UPDATE");
    if (!conn_query(s->a->conn, sb_view(&s->sql), &rows, err)) return false;
    Str *v = arena_array(&s->arena, Str, rows.n_columns + 1);
    *found = rows_next(&rows, v);
    *out = *found ? s->p->world.owner(s->p->world.ctx, s->t, v, s->p->n_provenance) : NULL;
    rows_done(&rows);
    if (*found && !*out)
        return err_set(
            err, ERR_DB_DUPLICATE_KEY,
            "the row in the target belongs to no shard table that is known now, by its provenance");
    return true;
}

/* The row of the target that key k of a parked row meets becomes a parked one. */
static bool put_out(Settle *s, uint64_t by, uint32_t k, const Member *owner, Err *err)
{
    uint64_t id = new_id(s);
    Rank rank = rank_of(owner);
    parked_insert_head(s);
    sb_c(&s->sql, "SELECT ");
    bookkeeping(&s->sql, id, s->p->world.source_id(s->p->world.ctx, owner->source), owner->name);
    sb_printf(&s->sql, "," STR_FMT, STR_ARG(s->p->prefixed));
    from_join(s, s->t->sql_name, k, by);
    if (!run(s, 1, err)) return false;
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
    if (!run(s, 1, err)) return false;
    count_parked(s, 1);
    if (FAULT("parked.put_out")) return err_set(err, ERR_DB_LOST, "fault parked.put_out");
    /* Looked at again when its turn comes: should the other one stay out after all, it comes back. */
    add_candidate(s, id, rank);
    return add_waiting(s, id, &rank, err);
}

static bool let_in(Settle *s, uint64_t id, Err *err)
{
    sb_clear(&s->sql);
    sb_printf(&s->sql,
              "INSERT INTO " STR_FMT " (" STR_FMT ") SELECT " STR_FMT " FROM " STR_FMT " WHERE sm_id=%llu",
              STR_ARG(s->t->sql_name), STR_ARG(s->p->columns), STR_ARG(s->p->columns), STR_ARG(s->p->table),
              (unsigned long long)id);
    return run(s, 1, err) && drop_parked(s, id, err);
}

/* -- settling -- */

/* Does a row of lower rank keep this one out? */
static bool is_kept_out(Settle *s, const Candidate *c, bool *kept_out, Err *err)
{
    *kept_out = false;
    for (uint32_t k = 0; !*kept_out && k < s->t->n_keys; k++) {
        const Member *owner = NULL;
        bool found = false;
        if (!parked_counts_key(&s->t->keys[k])) continue;
        if (!find_holder(s, c->id, k, &owner, &found, err)) return false;
        if (!found) continue;
        Rank rank = rank_of(owner);
        int cmp = rank_cmp(&rank, &c->rank);
        if (cmp == 0) return err_set(err, ERR_DB_DUPLICATE_KEY, "two rows of one shard table have one key");
        *kept_out = cmp < 0;
    }
    return true;
}

static bool put_all_out(Settle *s, const Candidate *c, Err *err)
{
    for (uint32_t k = 0; k < s->t->n_keys; k++) {
        const Member *owner = NULL;
        bool found = false;
        if (!parked_counts_key(&s->t->keys[k])) continue;
        if (!find_holder(s, c->id, k, &owner, &found, err)) return false;
        if (!found) continue;
        Rank rank = rank_of(owner);
        if (rank_cmp(&rank, &c->rank) <= 0) return true; /* came just now: it is looked at again */
        if (!put_out(s, c->id, k, owner, err)) return false;
    }
    return true;
}

/* A row that another applier has put in since its key was looked at shows itself by a duplicate key. */
static bool decide(Settle *s, size_t at, Err *err)
{
    for (unsigned tries = TRIES; tries > 0; tries--) {
        Candidate c = s->all[at];
        bool kept_out = false;
        err_clear(err);
        if (!is_kept_out(s, &c, &kept_out, err)) return false;
        if (kept_out) {
            s->all[at].decided = s->all[at].parked = true;
            return true;
        }
        if (!put_all_out(s, &c, err)) return false;
        if (let_in(s, c.id, err)) {
            s->all[at].decided = true;
            return true;
        }
        if (err->code != ERR_DB_DUPLICATE_KEY) return false;
    }
    return false;
}

static bool settle(Settle *s, Err *err)
{
    for (;;) {
        size_t at = SIZE_MAX;
        for (size_t i = 0; i < s->n; i++)
            if (!s->all[i].decided && (at == SIZE_MAX || rank_cmp(&s->all[i].rank, &s->all[at].rank) < 0))
                at = i;
        if (at == SIZE_MAX) return true;
        if (!decide(s, at, err)) return false;
    }
}

/* -- one operation -- */

typedef enum Place { NOWHERE, IN_TARGET, IS_PARKED } Place;

static bool first_number(Settle *s, uint64_t *out, bool *found, Err *err)
{
    Rows rows = {0};
    Str v[1];
    if (!conn_query(s->a->conn, sb_view(&s->sql), &rows, err)) return false;
    *found = rows_next(&rows, v);
    bool ok = !*found || meta_u64(v[0], out, err);
    rows_done(&rows);
    return ok;
}

/* The row of the before image, locked. It may be moved from one side to the other between two looks. */
static bool locate(Settle *s, const RowOp *op, Place *place, uint64_t *id, Err *err)
{
    *place = NOWHERE;
    for (unsigned look = 0; look < LOOKS && *place == NOWHERE; look++) {
        bool parked = look % 2 == 0, found = false;
        sb_clear(&s->sql);
        sb_printf(&s->sql, "SELECT %s FROM " STR_FMT, parked ? "sm_id" : "1",
                  STR_ARG(parked ? s->p->table : s->t->sql_name));
        if (!rowsql_where(&s->sql, op, err)) return false;
        sb_c(&s->sql, " FOR UPDATE");
        if (!first_number(s, id, &found, err)) return false;
        if (found) *place = parked ? IS_PARKED : IN_TARGET;
    }
    return true;
}

static Str source_of(const Settle *s, const Member *m)
{
    return s->p->world.source_id(s->p->world.ctx, m->source);
}

/* The row of the before image leaves the target for the other side: *id. Who waited for its keys are
 * candidates. */
static bool take_out(Settle *s, const RowOp *op, uint64_t *id, Err *err)
{
    Rank rank = rank_of(op->binding->member);
    *id = new_id(s);
    parked_insert_head(s);
    sb_c(&s->sql, "SELECT ");
    bookkeeping(&s->sql, *id, source_of(s, op->binding->member), op->binding->member->name);
    sb_printf(&s->sql, "," STR_FMT " FROM " STR_FMT, STR_ARG(s->p->columns), STR_ARG(s->t->sql_name));
    if (!rowsql_where(&s->sql, op, err) || !run(s, 1, err)) return false;
    sb_clear(&s->sql);
    sb_printf(&s->sql, "DELETE FROM " STR_FMT, STR_ARG(s->t->sql_name));
    if (!rowsql_where(&s->sql, op, err) || !run(s, 1, err)) return false;
    count_parked(s, 1);
    return add_waiting(s, *id, &rank, err);
}

static bool slow_insert(Settle *s, const RowOp *op, uint64_t *id, Err *err)
{
    CLEANUP(sb_done) StrBuf values = {0};
    *id = new_id(s);
    bookkeeping(&values, *id, source_of(s, op->binding->member), op->binding->member->name);
    RowsqlMore more = {.table = s->p->table,
                       .columns = STR("sm_id,sm_source,sm_schema,sm_table,sm_since"),
                       .values = sb_view(&values)};
    sb_clear(&s->sql);
    if (!rowsql_insert_more(&s->sql, op, &more, err) || !run(s, 1, err)) return false;
    count_parked(s, 1);
    add_candidate(s, *id, rank_of(op->binding->member));
    return true;
}

static bool slow_change(Settle *s, const RowOp *op, uint64_t *id, Err *err)
{
    Place place;
    if (!locate(s, op, &place, id, err)) return false;
    if (place == NOWHERE)
        return err_set(err, ERR_APPLY_MISSED, "the row is neither in the target nor parked beside it");
    if (place == IN_TARGET && !take_out(s, op, id, err)) return false;
    if (op->kind == ROW_DELETE) return drop_parked(s, *id, err);
    sb_clear(&s->sql);
    sb_printf(&s->sql, "UPDATE " STR_FMT " SET ", STR_ARG(s->p->table));
    if (!rowsql_assignments(&s->sql, op, err)) return false;
    sb_printf(&s->sql, " WHERE sm_id=%llu", (unsigned long long)*id);
    if (!run(s, 1, err)) return false;
    add_candidate(s, *id, rank_of(op->binding->member));
    return true;
}

static bool slow(Applier *a, const RowOp *op, bool *parked, Err *err)
{
    Settle s = {.a = a, .p = op->binding->target->parked, .t = op->binding->target};
    uint64_t id = 0;
    bool ok = (op->kind == ROW_INSERT ? slow_insert(&s, op, &id, err) : slow_change(&s, op, &id, err)) &&
              settle(&s, err);
    for (size_t i = 0; i < s.n; i++)
        if (s.all[i].id == id) *parked = s.all[i].parked;
    free(s.all);
    sb_done(&s.sql);
    arena_done(&s.arena);
    return ok;
}

/* Nothing can wait for what this operation frees, so that it may be tried as it is. */
static bool frees_nothing(const RowOp *op)
{
    if (op->kind == ROW_INSERT || (op->kind == ROW_UPDATE && op->keys_unchanged)) return true;
    return !atomic_load(&op->binding->target->parked->ever);
}

bool parked_apply(Applier *a, const RowOp *op, bool *parked, Err *err)
{
    *parked = false;
    if (frees_nothing(op)) {
        bool ok = false;
        sb_clear(&a->text);
        switch (op->kind) {
        case ROW_INSERT: ok = rowsql_insert_one(&a->text, op, err); break;
        case ROW_UPDATE: ok = rowsql_update_one(&a->text, op, &op->after, err); break;
        case ROW_DELETE: ok = rowsql_delete_one(&a->text, op, err); break;
        }
        if (!ok) return false;
        if (applier_exec_rows(a, sb_view(&a->text), 1, err)) return true;
        if (err->code != ERR_DB_DUPLICATE_KEY && err->code != ERR_APPLY_MISSED) return false;
        err_clear(err);
    }
    return slow(a, op, parked, err);
}

/* -- a batch -- */

static bool frees_keys(const BatchOp *o)
{
    const ParkedTarget *p = o->op->binding->target->parked;
    if (!p || !atomic_load(&p->ever)) return false;
    return o->kind == ROW_DELETE || (o->kind == ROW_UPDATE && !o->op->keys_unchanged && !o->replaced);
}

static bool none_waits(Applier *a, const ParkedTarget *p, StrBuf *conditions, Err *err)
{
    Rows rows = {0};
    StrBuf sql = {0};
    if (!conditions->len) return true;
    sb_printf(&sql, "SELECT 1 FROM " STR_FMT " WHERE %s LIMIT 1 FOR UPDATE", STR_ARG(p->table),
              conditions->ptr);
    bool ok = conn_query(a->conn, sb_view(&sql), &rows, err);
    bool waits = ok && rows.n_rows > 0;
    rows_done(&rows);
    sb_done(&sql);
    sb_clear(conditions);
    return ok && (!waits || err_set(err, ERR_APPLY_MISSED, "a parked row waits for a key that is freed"));
}

/* The operations of one target, in a row. */
static bool check_target(Applier *a, const BatchOp *ops, size_t n, Err *err)
{
    const Target *t = ops[0].op->binding->target;
    StrBuf conditions = {0}, one = {0};
    bool ok = true;
    for (uint32_t k = 0; ok && k < t->n_keys; k++) {
        size_t gathered = 0;
        for (size_t i = 0; ok && i < n; i++) {
            if (!parked_counts_key(&t->keys[k]) || !frees_keys(&ops[i])) continue;
            const RowImage *before = &ops[i].op->before;
            sb_clear(&one);
            if (rowsql_key_condition(ops[i].op->binding, k, before, false, &one))
                sb_printf(&conditions, "%s(%s)", conditions.len ? " OR " : "", one.ptr);
            else if (!before->full) /* the key is not known: row by row it is read from the target */
                ok = err_set(err, ERR_APPLY_MISSED, "a key that is freed is not in the row image");
            if (ok && ++gathered % CONDITIONS == 0) ok = none_waits(a, t->parked, &conditions, err);
        }
        ok = ok && none_waits(a, t->parked, &conditions, err);
    }
    sb_done(&conditions);
    sb_done(&one);
    return ok;
}

bool parked_check_batch(Applier *a, Err *err)
{
    const Batch *b = &a->batch;
    for (size_t i = 0, end; i < b->n_ops; i = end) {
        const Target *t = b->ops[i].op->binding->target;
        bool frees = false;
        for (end = i; end < b->n_ops && b->ops[end].op->binding->target == t; end++)
            frees |= frees_keys(&b->ops[end]);
        if (frees && !check_target(a, &b->ops[i], end - i, err)) return false;
    }
    return true;
}

void parked_committed(Applier *a)
{
    for (size_t i = 0; i < a->n_parked; i++)
        atomic_fetch_add(&a->parked[i].target->n_rows, a->parked[i].rows);
    a->n_parked = 0;
}
