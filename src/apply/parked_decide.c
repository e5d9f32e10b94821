/* What operators decide about parked rows: one transaction for each decision. */
#include <stdarg.h>
#include <stdlib.h>
#include "apply/applier_internal.h"
#include "apply/meta_sql.h"
#include "apply/parked_impl.h"
#include "base/fault.h"
#include "base/poison.h"

/* A decision under way. */
typedef struct Decide {
    Settle s;
    const MetaTask *meta;
    const ParkedDecision *what;
    uint64_t number;
    ParkedRank rank; /* of the row, as it was before */
    Decided d;       /* what is in force about it */
    StrBuf *words;
    bool sent; /* its COMMIT: it may be in force */
} Decide;

static bool refuse(const Decide *x, const char *remedy, Err *err, const char *fmt, ...) PRINTF_LIKE(4, 5);
static bool refuse(const Decide *x, const char *remedy, Err *err, const char *fmt, ...)
{
    CLEANUP(sb_done) StrBuf why = {0};
    va_list args;
    va_start(args, fmt);
    sb_vprintf(&why, fmt, args);
    va_end(args);
    return err_set_remedy(err, ERR_PARKED_DECISION, remedy, "target " STR_FMT ": %s",
                          STR_ARG(x->s.t->sql_name), why.ptr);
}

static const char see[] = "see shardmerge conflicts --show";

/* " of source s2, table db.t" */
static void put_row(const Decide *x, StrBuf *out)
{
    const ParkedWorld *w = &x->s.p->world;
    if (x->rank.source == UINT32_MAX)
        sb_c(out, " of a source that the task has no more");
    else
        sb_printf(out, " of source " STR_FMT, STR_ARG(w->source_id(w->ctx, x->rank.source)));
    sb_printf(out, ", table " STR_FMT "." STR_FMT, STR_ARG(x->rank.schema), STR_ARG(x->rank.table));
}

/* -- numbers and their history -- */

/* Behind the task's lock: nobody else takes it. */
static bool next_number(Decide *x, Err *err)
{
    bool found = false;
    sb_clear(&x->s.sql);
    sb_c(&x->s.sql, "SELECT COALESCE(MAX(n), 0) + 1 FROM ");
    meta_table(&x->s.sql, x->meta, "sm_decision");
    meta_where_task(&x->s.sql, x->meta);
    return settle_number(&x->s, &x->number, &found, err);
}

static const char *verb_name(ParkedVerb v)
{
    static const char *const names[] = {"keep", "swap", "rename", "undo"};
    return names[v];
}

bool parked_verb_of(Str name, ParkedVerb *out)
{
    for (ParkedVerb v = PARKED_KEEP; v <= PARKED_UNDO; v++)
        if (str_eqc(name, verb_name(v))) {
            *out = v;
            return true;
        }
    return false;
}

static bool write_history(Decide *x, Err *err)
{
    const ParkedWorld *w = &x->s.p->world;
    StrBuf *sql = &x->s.sql;
    CLEANUP(sb_done) StrBuf renames = {0};
    for (size_t i = 0; i < x->what->n_renames; i++)
        sb_printf(&renames, "%s" STR_FMT "=" STR_FMT, i ? "\n" : "", STR_ARG(x->what->renames[i].column),
                  STR_ARG(x->what->renames[i].value));
    sb_clear(sql);
    sb_c(sql, "INSERT INTO ");
    meta_table(sql, x->meta, "sm_decision");
    sb_c(sql, " (task,n,target_schema,target_table,decision,about,source,source_schema,source_table,renames,"
              "decided_by,decided) VALUES (");
    sb_quoted(sql, x->meta->task);
    sb_printf(sql, ",%llu,", (unsigned long long)x->number);
    sb_quoted(sql, x->s.t->name.schema);
    sb_ch(sql, ',');
    sb_quoted(sql, x->s.t->name.table);
    sb_printf(sql, ",'%s',%llu,", verb_name(x->what->verb), (unsigned long long)x->d.number);
    sb_quoted(sql, x->rank.source == UINT32_MAX ? STR("") : w->source_id(w->ctx, x->rank.source));
    sb_ch(sql, ',');
    sb_quoted(sql, x->rank.schema);
    sb_ch(sql, ',');
    sb_quoted(sql, x->rank.table);
    sb_ch(sql, ',');
    sb_quoted(sql, sb_view(&renames));
    sb_ch(sql, ',');
    sb_quoted(sql, x->what->by);
    sb_c(sql, ",UTC_TIMESTAMP())");
    return settle_run(&x->s, 1, err);
}

/* -- the row -- */

static bool find_row(Decide *x, Err *err)
{
    uint64_t ignored = 0;
    bool found = false;
    sb_clear(&x->s.sql);
    sb_printf(&x->s.sql, "SELECT sm_id FROM " STR_FMT " WHERE sm_id=%llu FOR UPDATE", STR_ARG(x->s.p->table),
              (unsigned long long)x->what->id);
    if (!settle_number(&x->s, &ignored, &found, err)) return false;
    if (!found)
        return refuse(x, see, err, "no row %llu is parked beside it (any more)",
                      (unsigned long long)x->what->id);
    if (FAULT("decision.row_locked")) return err_set(err, ERR_DB_LOST, "fault decision.row_locked");
    return settle_rank(&x->s, x->what->id, &x->rank, err);
}

/* Both sides of a new decision are what the row is now. */
static bool add_sides(Decide *x, Err *err)
{
    if (!decided_own_is_free(&x->s, x->what->id, NULL, err)) return false;
    for (int side = SIDE_OWN; side <= SIDE_WRITTEN; side++) {
        sb_clear(&x->s.sql);
        sb_printf(&x->s.sql,
                  "INSERT INTO " STR_FMT
                  " (sm_id,sm_side,sm_source,sm_schema,sm_table,sm_since,sm_pinned,sm_renamed," STR_FMT
                  ") SELECT %llu,%d,sm_source,sm_schema,sm_table,UTC_TIMESTAMP(),0,0," STR_FMT
                  " FROM " STR_FMT " WHERE sm_id=%llu",
                  STR_ARG(x->s.p->decided_table), STR_ARG(x->s.p->columns), (unsigned long long)x->number,
                  side, STR_ARG(x->s.p->columns), STR_ARG(x->s.p->table), (unsigned long long)x->what->id);
        if (!settle_run(&x->s, 1, err)) return false;
    }
    x->d = (Decided){.number = x->number, .parked = true, .id = x->what->id};
    return true;
}

/* The decision in force about the row, or a new one. */
static bool begin_decision(Decide *x, Err *err)
{
    if (!x->rank.decided) return add_sides(x, err);
    if (!decided_get(&x->s, x->rank.decided, &x->d, err)) return false;
    return x->d.number ||
           err_set(err, ERR_APPLY_META, "decision %llu is not there", (unsigned long long)x->rank.decided);
}

/* The row takes its place, by its rank and keys as they are now. */
static bool settle_row(Decide *x, uint64_t id, Err *err)
{
    ParkedRank now;
    if (!settle_rank(&x->s, id, &now, err)) return false;
    settle_add(&x->s, id, &now);
    return settle_all(&x->s, err);
}

/* -- keep, swap -- */

/* A row in its place that is kept itself: a second decision contradicts the first; swap takes it back. */
static bool meet_pinned(Decide *x, const Holder *h, Err *err)
{
    Decided d = {0};
    if (x->what->verb != PARKED_SWAP)
        return refuse(x, "decide swap, or undo that decision", err,
                      "row %llu cannot be kept: decision %llu keeps the row in its place",
                      (unsigned long long)x->what->id, (unsigned long long)h->rank.decided);
    sb_printf(x->words, "decision %llu, which kept the row in its place, ends\n",
              (unsigned long long)h->rank.decided);
    /* Out of the target and back by its own rank: others may have waited for it, and rank between the two. */
    ParkedRank left, now;
    Settle *s = &x->s;
    if (!decided_get(s, h->rank.decided, &d, err) || !decided_take_out(s, &d, err) ||
        !settle_rank(s, d.id, &left, err) || !settle_add_waiting(s, d.id, &left, err))
        return false;
    d.pinned = false;
    if (!(d.renamed ? decided_mark(s, &d, err) : decided_forget(s, &d, err))) return false;
    if (!settle_rank(s, d.id, &now, err)) return false;
    settle_add(s, d.id, &now);
    return true;
}

static bool meet_holders(Decide *x, Err *err)
{
    for (uint32_t k = 0; k < x->s.t->n_keys; k++) {
        Holder h;
        bool found = false;
        if (!parked_counts_key(&x->s.t->keys[k])) continue;
        if (!settle_holder(&x->s, x->what->id, k, &h, &found, err)) return false;
        if (!found) continue;
        if (parked_same_table(&h.rank, &x->rank) && !h.rank.renamed && !x->rank.renamed)
            return refuse(x, "change one of them on the shard", err,
                          "the row in the place of row %llu is of the same shard table",
                          (unsigned long long)x->what->id);
        if (h.rank.pinned && !meet_pinned(x, &h, err)) return false;
    }
    return true;
}

static bool keep(Decide *x, Err *err)
{
    if (!find_row(x, err)) return false;
    if (x->rank.pinned && x->what->verb != PARKED_SWAP)
        return refuse(x, "decide swap", err,
                      "row %llu is kept by decision %llu; it waits for a row that is kept, too",
                      (unsigned long long)x->what->id, (unsigned long long)x->rank.decided);
    sb_printf(x->words, "row %llu", (unsigned long long)x->what->id);
    put_row(x, x->words);
    sb_c(x->words, " takes its keys, and keeps them until its shard deletes it\n");
    if (!begin_decision(x, err)) return false;
    x->d.pinned = true;
    if (!decided_mark(&x->s, &x->d, err) || !meet_holders(x, err) || !settle_row(x, x->what->id, err))
        return false;
    if (!settle_is_parked(&x->s, x->what->id)) return true;
    return refuse(x, see, err, "row %llu would not stay in the target", (unsigned long long)x->what->id);
}

/* -- rename -- */

/* Index into the key columns; UINT32_MAX: not one. */
static uint32_t key_column(const ParkedTarget *p, Str name)
{
    uint32_t at = schema_column(p->target->schema, name);
    for (uint32_t i = 0; i < p->n_key_columns; i++)
        if (p->key_columns[i] == at) return i;
    return UINT32_MAX;
}

/* The parked row gets the value, and the server must have taken it as it was written. */
static bool write_value(Decide *x, const ParkedRename *r, Str column, Err *err)
{
    CLEANUP(sb_done) StrBuf name = {0};
    char *now = NULL;
    sb_ident(&name, column);
    sb_clear(&x->s.sql);
    sb_printf(&x->s.sql, "UPDATE " STR_FMT " SET %s=", STR_ARG(x->s.p->table), name.ptr);
    sb_quoted(&x->s.sql, r->value);
    decided_put_still(&x->s, &x->s.sql, column);
    sb_printf(&x->s.sql, " WHERE sm_id=%llu", (unsigned long long)x->what->id);
    if (!settle_run(&x->s, 1, err)) return err_wrap(err, "column %s", name.ptr);
    sb_clear(&x->s.sql);
    sb_printf(&x->s.sql, "SELECT %s FROM " STR_FMT " WHERE sm_id=%llu", name.ptr, STR_ARG(x->s.p->table),
              (unsigned long long)x->what->id);
    if (!conn_scalar(x->s.conn, sb_view(&x->s.sql), &now, err)) return false;
    bool same = now && str_eqc(r->value, now);
    free(now);
    return same || refuse(x, "write it as the server shows it", err,
                          "column %s: the value would be stored as another one", name.ptr);
}

/* Does another row have key k of this one, in that table, besides those that `but` excludes? */
static bool taken_in(Decide *x, Str table, uint32_t k, const char *but, uint64_t but_id, bool *taken,
                     Err *err)
{
    const TargetKey *key = &x->s.t->keys[k];
    uint64_t ignored = 0;
    sb_clear(&x->s.sql);
    sb_printf(&x->s.sql, "SELECT 1 FROM " STR_FMT " p JOIN " STR_FMT " t ON ", STR_ARG(x->s.p->table),
              STR_ARG(table));
    for (uint32_t i = 0; i < key->n_parts; i++) {
        Str column = x->s.t->schema->columns[key->parts[i].column].name;
        sb_c(&x->s.sql, i ? " AND p." : "p.");
        sb_ident(&x->s.sql, column);
        sb_c(&x->s.sql, "=t.");
        sb_ident(&x->s.sql, column);
    }
    sb_printf(&x->s.sql, " WHERE p.sm_id=%llu", (unsigned long long)x->what->id);
    if (but) sb_printf(&x->s.sql, " AND t.%s<>%llu", but, (unsigned long long)but_id);
    sb_c(&x->s.sql, " LIMIT 1 FOR UPDATE");
    return settle_number(&x->s, &ignored, taken, err);
}

static bool check_free(Decide *x, const bool *chosen, Err *err)
{
    for (uint32_t k = 0; k < x->s.t->n_keys; k++) {
        const TargetKey *key = &x->s.t->keys[k];
        bool touched = false, taken = false;
        for (uint32_t i = 0; parked_counts_key(key) && i < key->n_parts; i++)
            for (uint32_t c = 0; c < x->s.p->n_key_columns; c++)
                touched |= chosen[c] && x->s.p->key_columns[c] == key->parts[i].column;
        if (!touched) continue;
        if (!taken_in(x, x->s.t->sql_name, k, NULL, 0, &taken, err) ||
            (!taken && !taken_in(x, x->s.p->table, k, "sm_id", x->what->id, &taken, err)) ||
            (!taken && !taken_in(x, x->s.p->decided_table, k, "sm_id", x->d.number, &taken, err)))
            return false;
        if (taken)
            return refuse(x, "name a value that is free", err,
                          "key `" STR_FMT
                          "`: the value is taken, by a row of the target, beside it, or of another "
                          "decision",
                          STR_ARG(key->name));
    }
    return true;
}

/* Which of its keys keeps it out? */
static bool still_taken(Decide *x, Err *err)
{
    for (uint32_t k = 0; k < x->s.t->n_keys; k++) {
        Holder h;
        bool found = false;
        if (!parked_counts_key(&x->s.t->keys[k])) continue;
        if (!settle_holder(&x->s, x->what->id, k, &h, &found, err)) return false;
        if (found)
            return refuse(x, "rename that as well (--value may be given several times)", err,
                          "row %llu would stay parked: key `" STR_FMT "` is taken, too",
                          (unsigned long long)x->what->id, STR_ARG(x->s.t->keys[k].name));
    }
    return refuse(x, see, err, "row %llu would stay parked", (unsigned long long)x->what->id);
}

static bool write_values(Decide *x, bool *chosen, Err *err)
{
    for (size_t i = 0; i < x->what->n_renames; i++) {
        const ParkedRename *r = &x->what->renames[i];
        uint32_t c = key_column(x->s.p, r->column);
        if (c == UINT32_MAX)
            return refuse(x, "name a column of a unique key that comes from the shard", err,
                          "column " STR_FMT " cannot be renamed", STR_ARG(r->column));
        if (chosen[c])
            return refuse(x, "name each column once", err, "column " STR_FMT " is named twice",
                          STR_ARG(r->column));
        chosen[c] = true;
        Str column = x->s.t->schema->columns[x->s.p->key_columns[c]].name;
        sb_printf(x->words, "  column " STR_FMT " is written as " STR_FMT "\n", STR_ARG(column),
                  STR_ARG(r->value));
        if (!write_value(x, r, column, err)) return false;
    }
    return true;
}

static bool rename_row(Decide *x, Err *err)
{
    bool *chosen = arena_array(&x->s.arena, bool, x->s.p->n_key_columns + 1), differs = false;
    if (!find_row(x, err)) return false;
    if (x->rank.renamed)
        return refuse(x, "undo that decision first", err, "row %llu was renamed by decision %llu",
                      (unsigned long long)x->what->id, (unsigned long long)x->rank.decided);
    if (!x->what->n_renames)
        return refuse(x, "add --value COLUMN=VALUE", err, "no column is named that gets another value");
    sb_printf(x->words, "row %llu", (unsigned long long)x->what->id);
    put_row(x, x->words);
    sb_c(x->words, " gets other keys in the target, until its shard gives it others or deletes it\n");
    if (!begin_decision(x, err) || !write_values(x, chosen, err) || !check_free(x, chosen, err)) return false;
    if (!decided_rename(&x->s, &x->d, chosen, &differs, err)) return false;
    if (!differs)
        return refuse(x, "name another value", err, "row %llu has these values",
                      (unsigned long long)x->what->id);
    if (!settle_row(x, x->what->id, err)) return false;
    return !settle_is_parked(&x->s, x->what->id) || still_taken(x, err);
}

/* -- undo -- */

static bool undo(Decide *x, Err *err)
{
    Settle *s = &x->s;
    if (!decided_get(s, x->what->id, &x->d, err)) return false;
    if (!x->d.number)
        return refuse(x, see, err, "decision %llu is not in force", (unsigned long long)x->what->id);
    if (!x->d.parked) {
        if (!decided_take_out(s, &x->d, err) || !settle_rank(s, x->d.id, &x->rank, err) ||
            !settle_add_waiting(s, x->d.id, &x->rank, err))
            return false;
    } else if (!settle_rank(s, x->d.id, &x->rank, err)) {
        return false;
    }
    sb_printf(x->words, "decision %llu ends: its row", (unsigned long long)x->d.number);
    put_row(x, x->words);
    sb_c(x->words, " has its own keys and rank again\n");
    return decided_before_update(s, &x->d, err) && decided_forget(s, &x->d, err) &&
           settle_row(x, x->d.id, err);
}

/* -- the transaction -- */

static bool run(Decide *x, const Dialect *d, uint64_t epoch, Err *err)
{
    Settle *s = &x->s;
    if (!conn_exec(s->conn, str_of(session_begin_sql(d)), NULL, err) ||
        !meta_lock_epoch(s->conn, x->meta, epoch, err) || !next_number(x, err))
        return false;
    bool ok = false;
    switch (x->what->verb) {
    case PARKED_KEEP:
    case PARKED_SWAP: ok = keep(x, err); break;
    case PARKED_RENAME: ok = rename_row(x, err); break;
    case PARKED_UNDO: ok = undo(x, err); break;
    }
    if (!ok) return false;
    sb_str(x->words, sb_view(s->moves));
    if (x->what->preview) return true;
    if (!write_history(x, err)) return false;
    if (FAULT("decision.before_commit")) return err_set(err, ERR_DB_LOST, "fault decision.before_commit");
    x->sent = true;
    if (!conn_exec(s->conn, STR("COMMIT"), NULL, err)) return false;
    if (FAULT("decision.after_commit")) return err_set(err, ERR_DB_LOST, "fault decision.after_commit");
    return true;
}

bool parked_decide(Conn *c, const Dialect *d, const ParkedDecideOpts *o, ParkedOutcome *out, StrBuf *words,
                   Err *err)
{
    StrBuf moves = {0};
    Decide x = {.s = {.deciding = true, .conn = c, .p = o->parked, .t = o->parked->target, .moves = &moves},
                .meta = o->meta,
                .what = &o->decision,
                .words = words};
    /* The appliers look for decisions before the first one is there; a preview's never is. */
    bool before = atomic_load(&o->parked->decisions);
    if (!o->decision.preview) atomic_store(&o->parked->decisions, true);
    bool ok = run(&x, d, o->epoch, err);
    if (!ok || o->decision.preview) meta_rollback(c);
    if (!x.sent) atomic_store(&o->parked->decisions, before);
    *out = (ParkedOutcome){.number = x.number, .rows = x.s.rows};
    if (ok && !o->decision.preview) atomic_fetch_add(&o->parked->n_rows, x.s.rows);
    settle_done(&x.s);
    sb_done(&moves);
    return ok;
}

bool parked_was_decided(Conn *c, const Dialect *d, const ParkedDecideOpts *o, const ParkedOutcome *outcome,
                        bool *yes, Err *err)
{
    CLEANUP(sb_done) StrBuf sql = {0};
    char *there = NULL;
    sb_c(&sql, "SELECT 1 FROM ");
    meta_table(&sql, o->meta, "sm_decision");
    meta_where_task(&sql, o->meta);
    sb_printf(&sql, " AND n=%llu FOR UPDATE", (unsigned long long)outcome->number);
    bool ok = conn_exec(c, str_of(session_begin_sql(d)), NULL, err) &&
              meta_lock_epoch(c, o->meta, o->epoch, err) && conn_scalar(c, sb_view(&sql), &there, err);
    meta_rollback(c);
    *yes = ok && there;
    free(there);
    if (*yes) atomic_fetch_add(&o->parked->n_rows, outcome->rows);
    return ok;
}
