#include "apply/parked_rekey.h"
#include <stdlib.h>
#include "apply/meta_sql.h"
#include "apply/parked_share.h"
#include "base/clock.h"
#include "base/fault.h"
#include "track/schema_beside.h"
#include "base/poison.h"

/* Of one transaction: others wait for the task's row meanwhile. */
enum { BATCH = 100, BATCH_MS = 300 };

/* -- may it change so? -- */

static bool refuse(const ParkedTarget *p, const char *remedy, Err *err, const char *fmt, ...)
    PRINTF_LIKE(4, 5);
static bool refuse(const ParkedTarget *p, const char *remedy, Err *err, const char *fmt, ...)
{
    CLEANUP(sb_done) StrBuf why = {0};
    va_list args;
    va_start(args, fmt);
    sb_vprintf(&why, fmt, args);
    va_end(args);
    return err_set_remedy(err, ERR_NOT_SUPPORTED, remedy,
                          "target " STR_FMT ": on-collision other than stop: %s",
                          STR_ARG(p->target->sql_name), why.ptr);
}

static const char by_hand[] =
    "undo the change on the shards; or change the target and both tables beside it by hand (sm_parked names "
    "the first), then shardmerge locks TASK.yaml --decide give-up --yes";

static uint32_t successor(const EmitChange *c, uint32_t column)
{
    for (uint32_t i = 0; i < c->to->n_columns; i++)
        if (c->columns[i] == column) return i;
    return NO_COLUMN;
}

static bool order_stays(const ParkedTarget *p, const EmitChange *c, Err *err)
{
    static const char remedy[] = "undo the change on the shards, or load the target anew with another "
                                 "collision-column";
    if (p->order_column == NO_COLUMN) return true;
    Str name = p->target->schema->columns[p->order_column].name;
    uint32_t now = successor(c, schema_column(c->from, name));
    if (now == NO_COLUMN)
        return refuse(p, remedy, err, "the collision-column `" STR_FMT "` is dropped", STR_ARG(name));
    if (!str_ieq(c->to->columns[now].name, name))
        return refuse(p, remedy, err, "the collision-column `" STR_FMT "` gets another name", STR_ARG(name));
    if (!parked_can_order(&c->to->columns[now]))
        return refuse(p, remedy, err,
                      "the collision-column `" STR_FMT "` becomes " STR_FMT ", whose values cannot be ranked",
                      STR_ARG(name), STR_ARG(c->to->columns[now].column_type));
    return true;
}

static bool in_unique_key(const TableSchema *s, uint32_t column)
{
    for (uint32_t k = 0; k < s->n_keys; k++)
        for (uint32_t i = 0; s->keys[k].unique && i < s->keys[k].n_parts; i++)
            if (s->keys[k].parts[i].column == column) return true;
    return false;
}

static bool ask(Conn *c, const StrBuf *sql, uint64_t *n, Err *err)
{
    char *text = NULL;
    *n = 0;
    bool ok = conn_scalar(c, sb_view(sql), &text, err) && (!text || meta_u64(str_of(text), n, err));
    free(text);
    return ok;
}

/* A renamed value stands in the target for the shard's; in a column of no unique key nobody would put the
 * shard's back. */
static bool renames_stay(Conn *c, const ParkedTarget *p, const EmitChange *change, Err *err)
{
    for (uint32_t i = 0; i < p->n_key_columns; i++) {
        Str name = p->target->schema->columns[p->key_columns[i]].name;
        uint32_t now = successor(change, schema_column(change->from, name));
        CLEANUP(sb_done) StrBuf sql = {0}, column = {0};
        uint64_t number = 0;
        if (now != NO_COLUMN && in_unique_key(change->to, now)) continue;
        sb_ident(&column, name);
        sb_printf(&sql,
                  "SELECT MIN(o.sm_id) FROM " STR_FMT " o JOIN " STR_FMT
                  " w ON w.sm_id=o.sm_id AND w.sm_side=%d WHERE o.sm_side=%d AND NOT (o.%s <=> w.%s)",
                  STR_ARG(p->decided_table), STR_ARG(p->decided_table), SIDE_WRITTEN, SIDE_OWN, column.ptr,
                  column.ptr);
        if (!ask(c, &sql, &number, err)) return false;
        if (number)
            return refuse(p, "undo that decision, then shardmerge locks TASK.yaml --decide retry --yes", err,
                          "decision %llu renames column `" STR_FMT "`, which is dropped, or is in no unique "
                          "key any more",
                          (unsigned long long)number, STR_ARG(name));
    }
    return true;
}

/* Of the parked rows nobody knows in which partition they would be. */
static bool rows_stay(Conn *c, const ParkedTarget *p, const EmitChange *change, Err *err)
{
    CLEANUP(sb_done) StrBuf sql = {0};
    uint64_t n = 0;
    if (str_find(change->rows, STR("partition ")) == SIZE_MAX) return true;
    sb_printf(&sql, "SELECT (SELECT COUNT(*) FROM " STR_FMT ") + (SELECT COUNT(*) FROM " STR_FMT ")",
              STR_ARG(p->table), STR_ARG(p->decided_table));
    if (!ask(c, &sql, &n, err)) return false;
    return !n ||
           refuse(p,
                  "let the parked rows in, undo the decisions, then shardmerge locks TASK.yaml --decide "
                  "retry --yes",
                  err, "rows of partitions go, and there are parked or decided rows beside it");
}

static bool names_are_free(const ParkedTarget *p, const EmitChange *change, Err *err)
{
    for (uint32_t i = 0; i < change->to->n_columns; i++)
        if (parked_is_own_column(change->to->columns[i].name))
            return refuse(p, "undo the change on the shards, and give the column another name", err,
                          "column `" STR_FMT "` would have a name of the bookkeeping beside the target",
                          STR_ARG(change->to->columns[i].name));
    return true;
}

bool parked_may_change(Conn *c, const ParkedTarget *p, const EmitChange *change, Err *err)
{
    Str key = {0};
    if (change->drop) return true;
    if (!names_are_free(p, change, err)) return false;
    for (uint32_t k = 0; k < change->to->n_keys; k++) {
        const KeyDef *key_def = &change->to->keys[k];
        for (uint32_t i = 0; key_def->unique && i < key_def->n_parts; i++)
            if (key_def->parts[i].column == NO_COLUMN || key_def->parts[i].prefix)
                return refuse(p, by_hand, err,
                              "unique key `" STR_FMT "` would have a prefix of a column, or an expression",
                              STR_ARG(key_def->name));
    }
    if (!schema_row_key_stays(change, &key))
        return refuse(p, by_hand, err, "key `" STR_FMT "`, which finds its rows, gets other columns",
                      STR_ARG(key));
    if (!order_stays(p, change, err) || !rows_stay(c, p, change, err)) return false;
    return parked_is_apart(p) || renames_stay(c, p, change, err); /* apart: it was asked before */
}

/* -- one transaction -- */

bool rekey_begin(Conn *c, const Dialect *d, const ParkedRekey *r, Err *err)
{
    return conn_exec(c, str_of(session_begin_sql(d)), NULL, err) &&
           meta_lock_epoch(c, &r->meta, r->epoch, err);
}

bool rekey_end(Conn *c, bool ok, Err *err)
{
    if (ok && conn_exec(c, STR("COMMIT"), NULL, err)) return true;
    meta_rollback(c);
    return false;
}

Settle rekey_settle(Conn *c, const ParkedRekey *r)
{
    return (Settle){.conn = c, .p = r->parked, .t = r->parked->target};
}

/* -- the keys of decided rows -- */

static bool is_decided_column(const ParkedTarget *p, uint32_t column)
{
    for (uint32_t i = 0; i < p->n_key_columns; i++)
        if (p->key_columns[i] == column) return true;
    return parked_is_provenance(p, column);
}

/* "d.`a`=x.`a`,…": those that were none until now are taken from the row. Renamed ones stay. */
static void set_keys(const Settle *s, int side, StrBuf *out)
{
    const ParkedTarget *p = s->p;
    for (uint32_t i = 0; i < p->n_key_columns; i++) {
        CLEANUP(sb_done) StrBuf name = {0};
        sb_ident(&name, s->t->schema->columns[p->key_columns[i]].name);
        if (side == SIDE_OWN)
            sb_printf(out, "%sd.%s=IF(d.%s <=> w.%s,x.%s,d.%s)", i ? "," : "", name.ptr, name.ptr, name.ptr,
                      name.ptr, name.ptr);
        else
            sb_printf(out, "%sd.%s=x.%s", i ? "," : "", name.ptr, name.ptr);
    }
}

/* The others, all of them: the server would change some by itself. */
static void set_others(const Settle *s, StrBuf *out)
{
    const TableSchema *schema = s->t->schema;
    bool any = false;
    for (uint32_t c = 0; c < schema->n_columns; c++) {
        CLEANUP(sb_done) StrBuf name = {0};
        if (schema->columns[c].generated) continue;
        sb_ident(&name, schema->columns[c].name);
        sb_printf(out, "%sd.%s=%s.%s", any ? "," : "", name.ptr, is_decided_column(s->p, c) ? "d" : "x",
                  name.ptr);
        any = true;
    }
}

/* What a decision knows of its row are the values of key columns; the others are what they were then. */
static bool refresh_side(Settle *s, int side, bool parked, bool keys, Err *err)
{
    const ParkedTarget *p = s->p;
    sb_clear(&s->sql);
    sb_printf(&s->sql, "UPDATE " STR_FMT " d JOIN " STR_FMT " w ON w.sm_id=d.sm_id AND w.sm_side=%d",
              STR_ARG(p->decided_table), STR_ARG(p->decided_table), SIDE_WRITTEN);
    if (parked) {
        sb_printf(&s->sql, " JOIN " STR_FMT " x ON x.sm_decided=d.sm_id", STR_ARG(p->table));
    } else {
        sb_printf(&s->sql, " JOIN " STR_FMT " x ON 1", STR_ARG(s->t->sql_name));
        settle_same_row(s, &s->sql, "w", "x");
        sb_printf(&s->sql, " LEFT JOIN " STR_FMT " y ON y.sm_decided=d.sm_id", STR_ARG(p->table));
    }
    sb_c(&s->sql, " SET ");
    if (keys)
        set_keys(s, side, &s->sql);
    else
        set_others(s, &s->sql);
    sb_printf(&s->sql, " WHERE d.sm_side=%d%s", side, parked ? "" : " AND y.sm_id IS NULL");
    return conn_exec(s->conn, sb_view(&s->sql), NULL, err);
}

static bool refresh_decided(Conn *c, const Dialect *d, const ParkedRekey *r, bool keys, Err *err)
{
    Settle s = rekey_settle(c, r);
    bool ok = rekey_begin(c, d, r, err);
    for (int parked = 0; ok && r->parked->n_key_columns && parked <= 1; parked++)
        ok = refresh_side(&s, SIDE_OWN, parked, keys, err) &&
             refresh_side(&s, SIDE_WRITTEN, parked, keys, err);
    settle_done(&s);
    return rekey_end(c, ok, err);
}

bool parked_refresh(Conn *c, const Dialect *d, const ParkedRekey *r, Err *err)
{
    return parked_is_apart(r->parked) || refresh_decided(c, d, r, false, err);
}

/* -- parked rows take their places -- */

/* The next numbers behind last, up to `most`. */
static bool next_ids(Settle *s, uint64_t last, uint64_t most, uint64_t *ids, size_t *n, Err *err)
{
    Rows rows = {0};
    Str v[1];
    *n = 0;
    if (!conn_queryf(s->conn, &rows, err,
                     "SELECT sm_id FROM " STR_FMT " WHERE sm_id>%llu AND sm_id<=%llu ORDER BY sm_id LIMIT %d",
                     STR_ARG(s->p->table), (unsigned long long)last, (unsigned long long)most, BATCH))
        return false;
    bool ok = true;
    while (ok && rows_next(&rows, v))
        ok = meta_u64(v[0], &ids[(*n)++], err);
    rows_done(&rows);
    return ok;
}

/* A row that has come in with another one is parked no more. */
static bool settle_one(Conn *c, const ParkedRekey *r, uint64_t id, int64_t *rows, Err *err)
{
    Settle s = rekey_settle(c, r);
    ParkedRank rank;
    bool found = false;
    bool ok = settle_find_rank(&s, id, &rank, &found, err);
    if (ok && found) settle_add(&s, id, &rank);
    ok = ok && settle_all(&s, err);
    *rows += s.rows;
    settle_done(&s);
    return ok;
}

/* In one transaction, up to a number of rows and a time. *n: how many; *last: the number of the last one. */
static bool settle_some(Conn *c, const Dialect *d, const ParkedRekey *r, uint64_t most, uint64_t *last,
                        size_t *n, int64_t *moved, Err *err)
{
    Settle s = rekey_settle(c, r);
    uint64_t ids[BATCH], at = *last;
    size_t found = 0;
    int64_t rows = 0, began = clock_mono_ms();
    *n = 0;
    bool ok = rekey_begin(c, d, r, err) && next_ids(&s, at, most, ids, &found, err);
    while (ok && *n < found && (*n == 0 || clock_mono_ms() - began < BATCH_MS)) {
        at = ids[(*n)++];
        ok = settle_one(c, r, at, &rows, err);
    }
    ok = rekey_end(c, ok, err);
    settle_done(&s);
    if (!ok) return false;
    *last = at;
    *moved += rows;
    return !*n || !FAULT("parked.rekey_in") || err_set(err, ERR_DB_LOST, "fault parked.rekey_in");
}

static bool settle_parked(Conn *c, const Dialect *d, const ParkedRekey *r, int64_t *moved, Err *err)
{
    CLEANUP(sb_done) StrBuf sql = {0};
    uint64_t last = 0, most = 0;
    sb_printf(&sql, "SELECT COALESCE(MAX(sm_id), 0) FROM " STR_FMT, STR_ARG(r->parked->table));
    bool ok = ask(c, &sql, &most, err);
    for (size_t n = 1; ok && n;)
        ok = settle_some(c, d, r, most, &last, &n, moved, err);
    return ok;
}

bool parked_rekey(Conn *c, const Dialect *d, const ParkedRekey *r, int64_t *moved, Err *err)
{
    *moved = 0;
    bool ok = refresh_decided(c, d, r, true, err) && parked_share(c, d, r, moved, err) &&
              settle_parked(c, d, r, moved, err);
    atomic_fetch_add(&r->parked->n_rows, *moved);
    return ok;
}
