#include "apply/target_ddl_impl.h"
#include <stdlib.h>
#include "apply/meta_sql.h"
#include "apply/parked.h"
#include "track/schema_fingerprint.h"
#include "base/fault.h"
#include "base/poison.h"

#define COLUMNS                                                                                              \
    "job, n, target_schema, target_table, statement, state, error, repeatable, fingerprint_before, "         \
    "fingerprint_after, attempts, epoch, planned, started, ended"
enum { N_COLUMNS = 15, PLACES = 0x800000 };

/* -- reading -- */

static Str keep(Arena *arena, Str s)
{
    return s.ptr ? arena_str(arena, s) : (Str){0};
}

static bool read_row(const Str *v, Arena *arena, TargetDdlRow *out, Err *err)
{
    uint64_t n = 0, attempts = 0;
    if (!meta_u64(v[0], &out->job, err) || !meta_u64(v[1], &n, err) || !meta_u64(v[10], &attempts, err) ||
        !meta_u64(v[11], &out->epoch, err))
        return false;
    out->n = (uint32_t)n;
    out->attempts = (uint32_t)attempts;
    out->target = (TableName){arena_str(arena, v[2]), arena_str(arena, v[3])};
    out->statement = arena_str(arena, v[4]);
    out->state = arena_str(arena, v[5]);
    out->error = keep(arena, v[6]);
    out->repeatable = !str_eqc(v[7], "0");
    out->before = keep(arena, v[8]);
    out->after = keep(arena, v[9]);
    out->planned = arena_str(arena, v[12]);
    out->started = keep(arena, v[13]);
    out->ended = keep(arena, v[14]);
    return true;
}

static bool read_rows(Conn *c, Str sql, Arena *arena, TargetDdlRow **out, size_t *n, Err *err)
{
    Rows rows;
    *n = 0;
    if (!conn_query(c, sql, &rows, err)) return false;
    *out = arena_array(arena, TargetDdlRow, rows.n_rows + 1);
    bool ok = true;
    for (Str v[N_COLUMNS]; ok && rows_next(&rows, v);)
        ok = read_row(v, arena, &(*out)[(*n)++], err);
    rows_done(&rows);
    return ok;
}

bool target_ddl_history(Conn *c, const MetaTask *m, size_t limit, Arena *arena, TargetDdlRow **out, size_t *n,
                        Err *err)
{
    CLEANUP(sb_done) StrBuf sql = {0};
    sb_c(&sql, "SELECT " COLUMNS " FROM ");
    meta_table(&sql, m, "sm_ddl");
    meta_where_task(&sql, m);
    sb_c(&sql, " ORDER BY planned DESC, job DESC, n DESC"); /* a number holds the place of its target */
    if (limit) sb_printf(&sql, " LIMIT %zu", limit);
    *out = NULL;
    return read_rows(c, sb_view(&sql), arena, out, n, err) || meta_nothing_there(err);
}

bool target_ddl_pending(Conn *c, const MetaTask *m, Arena *arena, TargetDdlPending **out, size_t *n, Err *err)
{
    CLEANUP(sb_done) StrBuf sql = {0};
    Rows rows;
    sb_c(&sql, "SELECT job, MIN(target_schema), MIN(target_table) FROM ");
    meta_table(&sql, m, "sm_ddl");
    meta_where_task(&sql, m);
    sb_c(&sql, " AND state NOT IN ('done', 'skipped') GROUP BY job ORDER BY job");
    *out = NULL;
    *n = 0;
    if (!conn_query(c, sb_view(&sql), &rows, err)) return meta_nothing_there(err);
    *out = arena_array(arena, TargetDdlPending, rows.n_rows + 1);
    bool ok = true;
    for (Str v[3]; ok && rows_next(&rows, v);) {
        TargetDdlPending *p = &(*out)[(*n)++];
        ok = meta_u64(v[0], &p->job, err);
        p->target = (TableName){arena_str(arena, v[1]), arena_str(arena, v[2])};
    }
    rows_done(&rows);
    return ok;
}

/* -- where a target's jobs stand -- */

static void where_place(StrBuf *sql, const MetaTask *m, uint64_t place)
{
    meta_where_task(sql, m);
    sb_printf(sql, " AND job BETWEEN %llu AND %llu", (unsigned long long)place,
              (unsigned long long)(place | UINT32_MAX));
}

/* Rows of the target and of the tables beside it. */
static void put_own(StrBuf *sql, const MetaTask *m, TableName target)
{
    Arena arena = {0};
    Str beside[2];
    parked_names(m, target, &arena, beside);
    sb_c(sql, "((target_schema = ");
    sb_quoted(sql, target.schema);
    sb_c(sql, " AND target_table = ");
    sb_quoted(sql, target.table);
    sb_c(sql, ") OR (target_schema = ");
    sb_quoted(sql, m->schema);
    sb_c(sql, " AND target_table IN (");
    sb_quoted(sql, beside[0]);
    sb_c(sql, ", ");
    sb_quoted(sql, beside[1]);
    sb_c(sql, ")))");
    arena_done(&arena);
}

/* The number of a target's job holds the target's place in its upper half: the first from its name's hash on
 * where no other target has rows. A target that has had a job keeps rows, so it keeps its place. */
static bool find_place(Conn *c, const MetaTask *m, TableName target, bool locks, uint64_t *place, Err *err)
{
    CLEANUP(sb_done) StrBuf name = {0}, sql = {0};
    table_name_plain(target, &name);
    for (uint64_t at = str_hash(sb_view(&name)) % PLACES;; at = (at + 1) % PLACES) {
        char *others = NULL;
        *place = at << 32;
        sb_clear(&sql);
        sb_c(&sql, "SELECT 1 FROM ");
        meta_table(&sql, m, "sm_ddl");
        where_place(&sql, m, *place);
        sb_c(&sql, " AND NOT ");
        put_own(&sql, m, target);
        sb_c(&sql, locks ? " LIMIT 1 FOR UPDATE" : " LIMIT 1");
        if (!conn_scalar(c, sb_view(&sql), &others, err)) return false;
        bool taken = others != NULL;
        free(others);
        if (!taken) return true;
    }
}

static uint64_t number_at(uint64_t place, uint64_t job)
{
    return place | (job & UINT32_MAX);
}

/* -- writing -- */

static void where_job(StrBuf *sql, const MetaTask *m, uint64_t job)
{
    meta_where_task(sql, m);
    sb_printf(sql, " AND job = %llu", (unsigned long long)job);
}

static bool begin(Conn *c, const Dialect *d, const MetaTask *m, uint64_t epoch, Err *err)
{
    return conn_exec(c, str_of(session_begin_sql(d)), NULL, err) && meta_lock_epoch(c, m, epoch, err);
}

static bool end(Conn *c, bool ok, Err *err)
{
    if (ok && conn_exec(c, STR("COMMIT"), NULL, err)) return true;
    meta_rollback(c);
    return false;
}

static void put_print(const TableSchema *s, StrBuf *sql)
{
    if (!s) {
        sb_c(sql, "NULL");
        return;
    }
    CLEANUP(sb_done) StrBuf print = {0};
    schema_fingerprint(s, &print);
    sb_quoted(sql, sb_view(&print));
}

static TableName table_of(const TargetDdlJob *j, const EmitStep *step)
{
    return step->table.table.len ? step->table : j->target;
}

/* The table before the plan's step n; NULL: there is none. */
static const TableSchema *before_step(const TargetDdlJob *j, TableName table, uint32_t n)
{
    for (uint32_t i = n; i > 0; i--)
        if (table_name_eq(table_of(j, &j->plan->steps[i - 1]), table)) return j->plan->steps[i - 1].after;
    for (uint32_t i = 0; i < j->n_beside; i++)
        if (table_name_eq(j->beside[i].name, table)) return j->beside[i].before;
    return j->before;
}

static bool insert_step(Conn *c, const TargetDdlJob *j, uint64_t number, uint32_t n, Err *err)
{
    const EmitStep *step = &j->plan->steps[n];
    TableName table = table_of(j, step);
    CLEANUP(sb_done) StrBuf sql = {0};
    sb_c(&sql, "INSERT INTO ");
    meta_table(&sql, &j->meta, "sm_ddl");
    sb_c(&sql, " (task, job, n, target_schema, target_table, statement, repeatable, fingerprint_before, "
               "fingerprint_after, state, attempts, epoch, planned) VALUES (");
    sb_quoted(&sql, j->meta.task);
    sb_printf(&sql, ", %llu, %u, ", (unsigned long long)number, n);
    sb_quoted(&sql, table.schema);
    sb_c(&sql, ", ");
    sb_quoted(&sql, table.table);
    sb_c(&sql, ", ");
    sb_quoted(&sql, step->sql);
    sb_printf(&sql, ", %d, ", step->repeatable);
    put_print(before_step(j, table, n), &sql);
    sb_c(&sql, ", ");
    put_print(step->after, &sql);
    sb_printf(&sql, ", 'planned', 0, %llu, UTC_TIMESTAMP())", (unsigned long long)j->epoch);
    return conn_exec(c, sb_view(&sql), NULL, err);
}

/* Does the caller's plan set out from a place on the journal's way? Then that way is gone to its end: a plan
 * made anew in the middle takes what stands there for what has always stood there. */
static bool is_on_way(const TargetDdlJob *j, TableName table, const TargetDdlRow *rows, size_t n)
{
    const TableSchema *before = before_step(j, table, 0);
    CLEANUP(sb_done) StrBuf print = {0};
    if (before) schema_fingerprint(before, &print);
    Str from = print.len ? sb_view(&print) : (Str){0};
    bool on = false;
    for (size_t i = 0; i < n && !on; i++)
        on = table_name_eq(rows[i].target, table) &&
             (ddl_same_print(rows[i].before, from) || ddl_same_print(rows[i].after, from));
    return on;
}

/* The journal's plan and the caller's must lead to the same table when they set out from different places. */
static bool same_end_of(const TargetDdlJob *j, TableName table, const TargetDdlRow *rows, size_t n, Err *err)
{
    const TableSchema *to = before_step(j, table, j->plan->n);
    const TargetDdlRow *last = NULL;
    CLEANUP(sb_done) StrBuf print = {0}, words = {0};
    Str want = {0};
    for (size_t i = 0; i < n; i++)
        if (table_name_eq(rows[i].target, table)) last = &rows[i];
    if (!last) return true; /* the journal leaves it alone */
    if (to) {
        schema_fingerprint(to, &print);
        want = sb_view(&print);
    }
    if (ddl_same_print(last->after, want) || (j->by_number && is_on_way(j, table, rows, n))) return true;
    ddl_difference(last->after, want, &words);
    return err_set_remedy(err, ERR_DDL_JOURNAL,
                          "somebody has changed the table, or it was made anew: shardmerge locks TASK.yaml "
                          "--decide release --source ID plans the change again from what the tables are",
                          STR_FMT "." STR_FMT ", schema change %llu: the journal's plan leads elsewhere: %s",
                          STR_ARG(table.schema), STR_ARG(table.table), (unsigned long long)rows[0].job,
                          words.len ? words.ptr : "another table");
}

static bool same_end(const TargetDdlJob *j, const TargetDdlRow *rows, size_t n, Err *err)
{
    for (uint32_t i = 0; i < j->n_beside; i++)
        if (!same_end_of(j, j->beside[i].name, rows, n, err)) return false;
    return same_end_of(j, j->target, rows, n, err);
}

bool ddl_journal_open(Conn *c, const Dialect *d, const TargetDdlJob *j, Arena *arena, TargetDdlRow **rows,
                      size_t *n, Err *err)
{
    CLEANUP(sb_done) StrBuf sql = {0};
    uint64_t place = 0;
    bool ok = begin(c, d, &j->meta, j->epoch, err) && find_place(c, &j->meta, j->target, true, &place, err);
    uint64_t number = number_at(place, j->job);
    sb_c(&sql, "SELECT " COLUMNS " FROM ");
    meta_table(&sql, &j->meta, "sm_ddl");
    where_job(&sql, &j->meta, number);
    sb_c(&sql, " ORDER BY n FOR UPDATE");
    ok = ok && read_rows(c, sb_view(&sql), arena, rows, n, err);
    bool fresh = ok && *n == 0;
    for (uint32_t i = 0; ok && fresh && i < j->plan->n; i++)
        ok = insert_step(c, j, number, i, err);
    if (ok && fresh) ok = read_rows(c, sb_view(&sql), arena, rows, n, err);
    if (!end(c, ok, err)) return false;
    if (fresh && FAULT("ddl.planned")) return err_set(err, ERR_DB_LOST, "fault ddl.planned");
    /* an operator's skip ends the job wherever it was to lead */
    return *n == 0 || ddl_first_open(*rows, *n) == *n || same_end(j, *rows, *n, err);
}

/* Keeps the newest rows of the job's target; whole jobs go, and only such as are older than every unfinished
 * one and than the newest, which nobody may have been told of yet. */
static bool prune(Conn *c, const MetaTask *m, uint64_t job, Err *err)
{
    CLEANUP(sb_done) StrBuf sql = {0};
    uint64_t bound = job, place = job & ~(uint64_t)UINT32_MAX;
    char *text = NULL;
    for (int i = 0; i < 2; i++) {
        uint64_t at;
        sb_clear(&sql);
        sb_c(&sql, i ? "SELECT MIN(job) FROM " : "SELECT job FROM ");
        meta_table(&sql, m, "sm_ddl");
        where_place(&sql, m, place);
        if (i)
            sb_c(&sql, " AND state NOT IN ('done', 'skipped')");
        else
            sb_printf(&sql, " ORDER BY job DESC, n DESC LIMIT 1 OFFSET %d", TARGET_DDL_KEEP_ROWS - 1);
        if (!conn_scalar(c, sb_view(&sql), &text, err)) return false;
        bool found = text != NULL, read = found && meta_u64(str_of(text), &at, err);
        free(text);
        if (!found && i == 0) return true; /* not that many */
        if (!found) continue;
        if (!read) return false;
        bound = MIN(bound, at);
    }
    sb_clear(&sql);
    sb_c(&sql, "DELETE FROM ");
    meta_table(&sql, m, "sm_ddl");
    where_place(&sql, m, place);
    sb_printf(&sql, " AND job < %llu", (unsigned long long)bound);
    return conn_exec(c, sb_view(&sql), NULL, err);
}

/* Rows that had left the target for the refused statement's key are let back, perhaps by half: before that
 * statement is sent again they leave again. */
static bool unsettle(Conn *c, const DdlMarking *m, Err *err)
{
    CLEANUP(sb_done) StrBuf sql = {0};
    const TargetDdlRow *row = m->row;
    if (!row->before.ptr) return true;
    sb_c(&sql, "UPDATE ");
    meta_table(&sql, m->meta, "sm_ddl");
    sb_c(&sql, " SET state = 'planned', ended = NULL, fingerprint_before = ");
    sb_quoted(&sql, row->before);
    sb_c(&sql, ", fingerprint_after = ");
    sb_quoted(&sql, row->before);
    where_job(&sql, m->meta, row->job);
    sb_printf(&sql, " AND n < %u AND state = 'done' AND statement = '" TARGET_DDL_SETTLE "'", row->n);
    sb_c(&sql, " AND target_schema = ");
    sb_quoted(&sql, row->target.schema);
    sb_c(&sql, " AND target_table = ");
    sb_quoted(&sql, row->target.table);
    return conn_exec(c, sb_view(&sql), NULL, err);
}

bool ddl_journal_mark(Conn *c, const Dialect *d, const DdlMarking *m, Err *err)
{
    CLEANUP(sb_done) StrBuf sql = {0};
    uint64_t matched = 0;
    sb_c(&sql, "UPDATE ");
    meta_table(&sql, m->meta, "sm_ddl");
    switch (m->mark) {
    case DDL_MARK_INTENT:
        sb_c(&sql, " SET state = 'intent', attempts = attempts + 1, error = NULL, ended = NULL, started = "
                   "COALESCE(started, UTC_TIMESTAMP())");
        break;
    case DDL_MARK_DONE: sb_c(&sql, " SET state = 'done', error = NULL, ended = UTC_TIMESTAMP()"); break;
    case DDL_MARK_FAILED:
    case DDL_MARK_ERROR:
        sb_c(&sql, m->mark == DDL_MARK_FAILED ? " SET state = 'failed', ended = UTC_TIMESTAMP(), error = "
                                              : " SET error = ");
        sb_quoted(&sql, str_of(m->error ? m->error : ""));
        break;
    }
    sb_printf(&sql, ", epoch = %llu", (unsigned long long)m->epoch);
    where_job(&sql, m->meta, m->row->job);
    sb_printf(&sql, " AND n = %u AND state NOT IN ('done', 'skipped')", m->row->n);
    bool ok = begin(c, d, m->meta, m->epoch, err) && conn_exec(c, sb_view(&sql), &matched, err);
    if (ok && matched != 1)
        ok = err_set(err, ERR_DDL_JOURNAL, "schema change %llu.%u: its row in sm_ddl was changed meanwhile",
                     (unsigned long long)m->row->job, m->row->n);
    if (ok && m->mark == DDL_MARK_FAILED) ok = unsettle(c, m, err);
    if (ok && m->mark == DDL_MARK_DONE && m->last) ok = prune(c, m->meta, m->row->job, err);
    return end(c, ok, err);
}

/* rows: jobs, the newest first. */
static bool stand_of(uint64_t own, Rows *rows, TargetDdlStand *out, Err *err)
{
    Str v[3];
    for (bool others = false; rows_next(rows, v);) {
        uint64_t number, done, undone;
        if (!meta_u64(v[0], &number, err) || !meta_u64(v[1], &done, err) || !meta_u64(v[2], &undone, err))
            return false;
        if (number == own) {
            out->begun = true;
            continue;
        }
        if (!undone) return true; /* nothing of those before it is left */
        if (!others) out->left = true;
        others = true;
        if (done) out->left_midway = true;
    }
    return true;
}

/* By the jobs' numbers: rows of the tables beside the target bear these tables' names. */
bool target_ddl_stands(Conn *c, const TargetDdlAsked *a, TargetDdlStand *out, Err *err)
{
    CLEANUP(sb_done) StrBuf sql = {0};
    Rows rows = {0};
    uint64_t place;
    *out = (TargetDdlStand){0};
    if (!find_place(c, &a->meta, a->target, false, &place, err)) return meta_nothing_there(err);
    uint64_t own = number_at(place, a->job), since = a->left ? number_at(place, a->left) : own;
    sb_c(&sql, "SELECT job, SUM(state = 'done'), SUM(state <> 'done') FROM ");
    meta_table(&sql, &a->meta, "sm_ddl");
    where_place(&sql, &a->meta, place);
    sb_printf(&sql, " AND job >= %llu GROUP BY job ORDER BY job DESC", (unsigned long long)since);
    if (!conn_query(c, sb_view(&sql), &rows, err)) return meta_nothing_there(err);
    bool ok = stand_of(own, &rows, out, err);
    rows_done(&rows);
    return ok;
}

bool target_ddl_skip(Conn *c, const Dialect *d, const TargetDdlSkip *s, uint32_t *n, Err *err)
{
    CLEANUP(sb_done) StrBuf sql = {0}, lock = {0};
    char *got = NULL;
    uint64_t matched = 0;
    *n = 0;
    target_ddl_lock_name(&s->meta, s->target, &lock);
    sb_printf(&sql, "SELECT GET_LOCK('%s', %u)", lock.ptr, s->wait_s);
    if (!conn_scalar(c, sb_view(&sql), &got, err)) return false;
    bool held = got && str_eqc(str_of(got), "1");
    free(got);
    if (!held)
        return err_set_remedy(err, ERR_DB_RETRY, "wait for its end, or KILL its connection on the server",
                              STR_FMT "." STR_FMT ": a statement of schema change %llu still runs downstream",
                              STR_ARG(s->target.schema), STR_ARG(s->target.table),
                              (unsigned long long)s->job);
    uint64_t place = 0;
    bool ok = begin(c, d, &s->meta, s->epoch, err) && find_place(c, &s->meta, s->target, true, &place, err);
    sb_clear(&sql);
    sb_c(&sql, "UPDATE ");
    meta_table(&sql, &s->meta, "sm_ddl");
    sb_printf(&sql, " SET state = 'skipped', ended = UTC_TIMESTAMP(), epoch = %llu",
              (unsigned long long)s->epoch);
    where_job(&sql, &s->meta, number_at(place, s->job));
    sb_c(&sql, " AND state NOT IN ('done', 'skipped')");
    ok = ok && conn_exec(c, sb_view(&sql), &matched, err);
    ok = end(c, ok, err);
    Err ignored = {0}; /* a lost connection gives the lock back by itself */
    sb_clear(&sql);
    sb_printf(&sql, "DO RELEASE_LOCK('%s')", lock.ptr);
    if (!conn_exec(c, sb_view(&sql), NULL, &ignored)) err_clear(&ignored);
    *n = ok ? (uint32_t)matched : 0;
    return ok;
}
