#include "store/store_ddl.h"
#include "base/clock.h"
#include "base/fault.h"
#include "store/sql.h"
#include "store/store_impl.h"
#include "base/poison.h"

/* Several statements as one: `ok` is what they said. */
static bool end(sqlite3 *db, bool ok, Err *err)
{
    ok = ok && sql_script(db, "schema changes", "COMMIT", err);
    if (!ok) sqlite3_exec(db, "ROLLBACK", NULL, NULL, NULL);
    return ok;
}

static bool begin(sqlite3 *db, Err *err)
{
    return sql_script(db, "schema changes", "BEGIN IMMEDIATE", err);
}

/* -- forks -- */

static bool add_fork(sqlite3 *db, StoreFork *f, Err *err)
{
    bool ok =
        sql_run(db, err,
                "INSERT INTO fork (source_id, member_no, from_point, to_point, needs, round, finished, "
                "created_ms) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                BIND_S(f->source_id), BIND_I(f->member_no), BIND_S(f->from_json), BIND_S(f->to_json),
                BIND_I(f->needs), BIND_I(f->round), BIND_I(f->finished ? 1 : 0), BIND_I(clock_wall_ms()));
    if (ok) f->fork_no = (uint64_t)sqlite3_last_insert_rowid(db);
    return ok;
}

bool store_fork_add(Store *s, StoreFork *fork, Err *err)
{
    return store_leave(s, add_fork(store_enter(s), fork, err));
}

static bool fork_to(sqlite3 *db, uint64_t fork_no, Str to_json, StoreFork *next, Err *err)
{
    if (!begin(db, err)) return false;
    bool ok = sql_run(db, err, "UPDATE fork SET to_point = ? WHERE fork_no = ?", BIND_S(to_json),
                      BIND_I(fork_no)) &&
              (!next || add_fork(db, next, err));
    return end(db, ok, err);
}

bool store_fork_to(Store *s, uint64_t fork_no, Str to_json, StoreFork *next, Err *err)
{
    return store_leave(s, fork_to(store_enter(s), fork_no, to_json, next, err));
}

static bool forks_to(sqlite3 *db, const uint64_t *fork_nos, size_t n, Str to_json, Err *err)
{
    if (!begin(db, err)) return false;
    bool ok = true;
    for (size_t i = 0; ok && i < n; i++)
        ok = sql_run(db, err, "UPDATE fork SET to_point = ? WHERE fork_no = ?", BIND_S(to_json),
                     BIND_I(fork_nos[i]));
    return end(db, ok, err);
}

bool store_forks_to(Store *s, const uint64_t *fork_nos, size_t n, Str to_json, Err *err)
{
    return store_leave(s, forks_to(store_enter(s), fork_nos, n, to_json, err));
}

static bool fork_round(sqlite3 *db, const uint64_t *fork_nos, size_t n, uint64_t round, Err *err)
{
    if (!begin(db, err)) return false;
    bool ok = true;
    for (size_t i = 0; ok && i < n; i++)
        ok = sql_run(db, err, "UPDATE fork SET round = ? WHERE fork_no = ?", BIND_I(round),
                     BIND_I(fork_nos[i]));
    return end(db, ok, err);
}

bool store_fork_round(Store *s, const uint64_t *fork_nos, size_t n, uint64_t round, Err *err)
{
    return store_leave(s, fork_round(store_enter(s), fork_nos, n, round, err));
}

static bool round_end(sqlite3 *db, Str source_id, uint64_t round, const RowCounts *c, Err *err)
{
    if (!begin(db, err)) return false;
    bool ok =
        sql_run(db, err, "UPDATE fork SET finished = 1 WHERE source_id = ? AND round = ?", BIND_S(source_id),
                BIND_I(round)) &&
        sql_run(db, err,
                "INSERT INTO fork_total (source_id, last_round, applied, parked, missed, loaded) VALUES "
                "(?, ?, ?, ?, ?, ?) ON CONFLICT (source_id) DO UPDATE SET "
                "applied = applied + excluded.applied, parked = parked + excluded.parked, "
                "missed = missed + excluded.missed, loaded = loaded + excluded.loaded, "
                "last_round = excluded.last_round WHERE last_round < excluded.last_round",
                BIND_S(source_id), BIND_I(round), BIND_I(c->applied), BIND_I(c->parked), BIND_I(c->missed),
                BIND_I(c->loaded));
    return end(db, ok, err);
}

bool store_round_end(Store *s, Str source_id, uint64_t round, const RowCounts *counts, Err *err)
{
    return store_leave(s, round_end(store_enter(s), source_id, round, counts, err));
}

bool store_fork_give_up(Store *s, uint64_t fork_no, Err *err)
{
    return store_leave(
        s, sql_run(store_enter(s), err, "UPDATE fork SET finished = 1 WHERE fork_no = ?", BIND_I(fork_no)));
}

bool store_fork_drop(Store *s, uint64_t fork_no, Err *err)
{
    return store_leave(s,
                       sql_run(store_enter(s), err, "DELETE FROM fork WHERE fork_no = ?", BIND_I(fork_no)));
}

static Str kept(sqlite3_stmt *stmt, int column, Arena *arena)
{
    return arena_str(arena, sql_text(stmt, column));
}

static bool count_rows(sqlite3 *db, const char *sql, size_t *n, Err *err)
{
    CLEANUP(sql_end) sqlite3_stmt *stmt = NULL;
    bool row;
    if (!sql_begin(db, sql, NULL, &stmt, err) || !sql_step(stmt, &row, err)) return false;
    *n = row ? (size_t)sqlite3_column_int64(stmt, 0) : 0;
    return true;
}

static bool read_forks(sqlite3 *db, Arena *arena, StoreFork **out, size_t *n, Err *err)
{
    size_t cap;
    if (!count_rows(db, "SELECT count(*) FROM fork", &cap, err)) return false;
    CLEANUP(sql_end) sqlite3_stmt *stmt = NULL;
    if (!sql_begin(db,
                   "SELECT fork_no, source_id, member_no, from_point, to_point, needs, round, finished, "
                   "fork.created_ms, schema_name, table_name, target_schema, target_table "
                   "FROM fork JOIN member USING (source_id, member_no) ORDER BY fork_no",
                   NULL, &stmt, err))
        return false;
    *out = arena_array(arena, StoreFork, cap + 1);
    *n = 0;
    for (bool row = true; row;) {
        if (!sql_step(stmt, &row, err)) return false;
        if (!row || *n == cap) break;
        (*out)[(*n)++] = (StoreFork){.fork_no = (uint64_t)sqlite3_column_int64(stmt, 0),
                                     .source_id = kept(stmt, 1, arena),
                                     .member_no = (uint64_t)sqlite3_column_int64(stmt, 2),
                                     .from_json = kept(stmt, 3, arena),
                                     .to_json = kept(stmt, 4, arena),
                                     .needs = (uint64_t)sqlite3_column_int64(stmt, 5),
                                     .round = (uint64_t)sqlite3_column_int64(stmt, 6),
                                     .finished = sqlite3_column_int64(stmt, 7) != 0,
                                     .since_ms = sqlite3_column_int64(stmt, 8),
                                     .member = {kept(stmt, 9, arena), kept(stmt, 10, arena)},
                                     .target = {kept(stmt, 11, arena), kept(stmt, 12, arena)}};
    }
    return true;
}

bool store_forks(Store *s, Arena *arena, StoreFork **out, size_t *n, Err *err)
{
    return store_leave(s, read_forks(store_enter(s), arena, out, n, err));
}

static bool read_total(sqlite3 *db, Str source_id, uint64_t *last_round, RowCounts *c, Err *err)
{
    CLEANUP(sql_end) sqlite3_stmt *stmt = NULL;
    const Bind key[] = {BIND_S(source_id), {.kind = BIND_END}};
    bool row;
    *last_round = 0;
    *c = (RowCounts){0};
    if (!sql_begin(db,
                   "SELECT last_round, applied, parked, missed, loaded FROM fork_total WHERE source_id = ?",
                   key, &stmt, err) ||
        !sql_step(stmt, &row, err))
        return false;
    if (!row) return true;
    *last_round = (uint64_t)sqlite3_column_int64(stmt, 0);
    c->applied = (uint64_t)sqlite3_column_int64(stmt, 1);
    c->parked = (uint64_t)sqlite3_column_int64(stmt, 2);
    c->missed = (uint64_t)sqlite3_column_int64(stmt, 3);
    c->loaded = (uint64_t)sqlite3_column_int64(stmt, 4);
    return true;
}

bool store_fork_total(Store *s, Str source_id, uint64_t *last_round, RowCounts *counts, Err *err)
{
    return store_leave(s, read_total(store_enter(s), source_id, last_round, counts, err));
}

/* -- steps -- */

/* Its present name is the one it was first known by; of a table that nobody has ever read it does not matter.
 */
#define IS_FIRST                                                                                             \
    "x.origin_table = '' AND EXISTS (SELECT 1 FROM schema_version AS v WHERE v.member_no = x.member_no)"

/* Names of a source's tables stay different: who had the new name gets the old one. */
static bool rename_member(sqlite3 *db, uint64_t member_no, TableName name, Err *err)
{
    return sql_run(db, err,
                   "UPDATE member SET origin_schema = schema_name, origin_table = table_name WHERE "
                   "origin_table = '' AND member_no = ?",
                   BIND_I(member_no)) &&
           sql_run(db, err,
                   "UPDATE member AS x SET origin_schema = iif(" IS_FIRST
                   ", x.schema_name, x.origin_schema), "
                   "origin_table = iif(" IS_FIRST ", x.table_name, x.origin_table), "
                   "schema_name = m.schema_name, table_name = char(1) || m.table_name FROM member AS m "
                   "WHERE m.member_no = ? AND x.member_no <> m.member_no AND x.source_id = m.source_id AND "
                   "x.schema_name = ? AND x.table_name = ?",
                   BIND_I(member_no), BIND_S(name.schema), BIND_S(name.table)) &&
           sql_run(db, err, "UPDATE member SET schema_name = ?, table_name = ? WHERE member_no = ?",
                   BIND_S(name.schema), BIND_S(name.table), BIND_I(member_no)) &&
           sql_run(db, err,
                   "UPDATE member SET table_name = ltrim(table_name, char(1)) WHERE table_name GLOB char(1) "
                   "|| '*'");
}

static bool add_step(sqlite3 *db, const StoreStep *t, StoreFork *fork, Err *err)
{
    if (!begin(db, err)) return false;
    bool ok =
        sql_run(db, err,
                "INSERT INTO shard_step (member_no, number, identity, transact, point, kind, change, "
                "created_ms) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                BIND_I(t->member_no), BIND_I(t->number), BIND_S(t->identity), BIND_S(t->txn_json),
                BIND_S(t->point_json), BIND_S(t->kind), BIND_S(t->change_json), BIND_I(clock_wall_ms())) &&
        (!t->first_json.len ||
         sql_run(db, err,
                 "INSERT INTO schema_version (member_no, point, definition, why, created_ms) "
                 "VALUES (?, '{}', ?, ?, ?)",
                 BIND_I(t->member_no), BIND_S(t->first_json), BIND_S(t->why), BIND_I(clock_wall_ms()))) &&
        (!fork || add_fork(db, fork, err)) &&
        (!t->renamed.table.len || rename_member(db, t->member_no, t->renamed, err));
    (void)FAULT("ddl.step");
    return end(db, ok, err);
}

bool store_step(Store *s, const StoreStep *step, StoreFork *fork, Err *err)
{
    return store_leave(s, add_step(store_enter(s), step, fork, err));
}

static bool read_steps(sqlite3 *db, Arena *arena, StoreStep **out, size_t *n, Err *err)
{
    size_t cap;
    if (!count_rows(db, "SELECT count(*) FROM shard_step", &cap, err)) return false;
    CLEANUP(sql_end) sqlite3_stmt *stmt = NULL;
    if (!sql_begin(db,
                   "SELECT member_no, number, identity, transact, point, kind, change, told, source_id, "
                   "schema_name, table_name, target_schema, target_table "
                   "FROM shard_step JOIN member USING (member_no) ORDER BY step_no",
                   NULL, &stmt, err))
        return false;
    *out = arena_array(arena, StoreStep, cap + 1);
    *n = 0;
    for (bool row = true; row;) {
        if (!sql_step(stmt, &row, err)) return false;
        if (!row || *n == cap) break;
        (*out)[(*n)++] = (StoreStep){.member_no = (uint64_t)sqlite3_column_int64(stmt, 0),
                                     .number = (uint64_t)sqlite3_column_int64(stmt, 1),
                                     .identity = kept(stmt, 2, arena),
                                     .txn_json = kept(stmt, 3, arena),
                                     .point_json = kept(stmt, 4, arena),
                                     .kind = kept(stmt, 5, arena),
                                     .change_json = kept(stmt, 6, arena),
                                     .told = sqlite3_column_int64(stmt, 7) != 0,
                                     .source_id = kept(stmt, 8, arena),
                                     .member = {kept(stmt, 9, arena), kept(stmt, 10, arena)},
                                     .target = {kept(stmt, 11, arena), kept(stmt, 12, arena)}};
    }
    return true;
}

bool store_steps(Store *s, Arena *arena, StoreStep **out, size_t *n, Err *err)
{
    return store_leave(s, read_steps(store_enter(s), arena, out, n, err));
}

/* -- locks -- */

static bool put_decision(sqlite3 *db, TableName target, const StoreDecision *d, Err *err)
{
    return sql_run(db, err,
                   "INSERT INTO lock_decision (target_schema, target_table, decision, member_no, number, "
                   "asked_by, asked_ms, outcome) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                   BIND_S(target.schema), BIND_S(target.table), BIND_S(d->decision), BIND_I(d->member_no),
                   BIND_I(d->number), BIND_S(d->asked_by), BIND_I(clock_wall_ms()), BIND_S(d->outcome)) &&
           (!FAULT("ddl.decision") || err_set(err, ERR_STORE_SQL, "fault ddl.decision"));
}

static bool put_left(sqlite3 *db, const StoreLeft *m, Err *err)
{
    return sql_run(db, err, "UPDATE member SET left_ms = ? WHERE member_no = ?", BIND_I(clock_wall_ms()),
                   BIND_I(m->member_no)) &&
           sql_run(db, err, "UPDATE shard_step SET told = 0 WHERE member_no = ? AND number > ?",
                   BIND_I(m->member_no), BIND_I(m->last)) &&
           (!m->back ||
            sql_run(db, err,
                    "UPDATE fork SET needs = ? WHERE member_no = ? AND NOT finished AND to_point = '' AND "
                    "needs >= ? AND needs < ?",
                    BIND_I(m->back), BIND_I(m->member_no), BIND_I(m->last), BIND_I(m->back)));
}

static bool put_lock(sqlite3 *db, const StoreLock *l, const StoreLockNews *n, Err *err)
{
    if (!begin(db, err)) return false;
    bool ok =
        sql_run(db, err, "INSERT OR REPLACE INTO shard_lock VALUES (?, ?, ?, ?, ?, ?)",
                BIND_S(l->target.schema), BIND_S(l->target.table), BIND_S(l->state), BIND_S(l->lock_json),
                BIND_S(l->explained_json), BIND_I(clock_wall_ms())) &&
        (!n->member_no ||
         sql_run(db, err, "UPDATE shard_step SET told = 1 WHERE member_no = ? AND number <= ?",
                 BIND_I(n->member_no), BIND_I(n->number))) &&
        (!n->back || sql_run(db, err, "UPDATE member SET left_ms = 0 WHERE member_no = ?", BIND_I(n->back)));
    for (size_t i = 0; ok && i < n->n_left; i++)
        ok = put_left(db, &n->left[i], err);
    ok = ok && (!n->decision || put_decision(db, l->target, n->decision, err));
    (void)FAULT("ddl.lock");
    return end(db, ok, err);
}

bool store_lock_put(Store *s, const StoreLock *lock, const StoreLockNews *news, Err *err)
{
    return store_leave(s, put_lock(store_enter(s), lock, news, err));
}

static bool read_left(sqlite3 *db, Arena *arena, uint64_t **out, size_t *n, Err *err)
{
    size_t cap;
    if (!count_rows(db, "SELECT count(*) FROM member WHERE left_ms > 0", &cap, err)) return false;
    CLEANUP(sql_end) sqlite3_stmt *stmt = NULL;
    if (!sql_begin(db, "SELECT member_no FROM member WHERE left_ms > 0 ORDER BY 1", NULL, &stmt, err))
        return false;
    *out = arena_array(arena, uint64_t, cap + 1);
    *n = 0;
    for (bool row = true; row;) {
        if (!sql_step(stmt, &row, err)) return false;
        if (!row || *n == cap) break;
        (*out)[(*n)++] = (uint64_t)sqlite3_column_int64(stmt, 0);
    }
    return true;
}

bool store_left_members(Store *s, Arena *arena, uint64_t **out, size_t *n, Err *err)
{
    return store_leave(s, read_left(store_enter(s), arena, out, n, err));
}

static bool read_origin(sqlite3 *db, uint64_t member_no, Arena *arena, TableName *out, Err *err)
{
    CLEANUP(sql_end) sqlite3_stmt *stmt = NULL;
    const Bind key[] = {BIND_I(member_no), {.kind = BIND_END}};
    bool row;
    *out = (TableName){0};
    if (!sql_begin(db, "SELECT origin_schema, origin_table FROM member WHERE member_no = ?", key, &stmt,
                   err) ||
        !sql_step(stmt, &row, err))
        return false;
    if (row) *out = (TableName){kept(stmt, 0, arena), kept(stmt, 1, arena)};
    return true;
}

bool store_member_origin(Store *s, uint64_t member_no, Arena *arena, TableName *out, Err *err)
{
    return store_leave(s, read_origin(store_enter(s), member_no, arena, out, err));
}

static bool read_locks(sqlite3 *db, Arena *arena, StoreLock **out, size_t *n, Err *err)
{
    size_t cap;
    if (!count_rows(db, "SELECT count(*) FROM shard_lock", &cap, err)) return false;
    CLEANUP(sql_end) sqlite3_stmt *stmt = NULL;
    if (!sql_begin(db,
                   "SELECT target_schema, target_table, state, lock, explained FROM shard_lock ORDER BY 1, 2",
                   NULL, &stmt, err))
        return false;
    *out = arena_array(arena, StoreLock, cap + 1);
    *n = 0;
    for (bool row = true; row;) {
        if (!sql_step(stmt, &row, err)) return false;
        if (!row || *n == cap) break;
        StoreLock *l = &(*out)[(*n)++];
        l->target.schema = kept(stmt, 0, arena);
        l->target.table = kept(stmt, 1, arena);
        l->state = kept(stmt, 2, arena);
        l->lock_json = kept(stmt, 3, arena);
        l->explained_json = kept(stmt, 4, arena);
    }
    return true;
}

bool store_locks(Store *s, Arena *arena, StoreLock **out, size_t *n, Err *err)
{
    return store_leave(s, read_locks(store_enter(s), arena, out, n, err));
}

/* -- dropped targets -- */

static bool put_dropped(sqlite3 *db, TableName target, Str json, Err *err)
{
    if (!json.len)
        return sql_run(db, err, "DELETE FROM dropped_target WHERE target_schema = ? AND target_table = ?",
                       BIND_S(target.schema), BIND_S(target.table));
    return sql_run(db, err, "INSERT OR REPLACE INTO dropped_target VALUES (?, ?, ?, ?)",
                   BIND_S(target.schema), BIND_S(target.table), BIND_S(json), BIND_I(clock_wall_ms()));
}

bool store_dropped_put(Store *s, TableName target, Str json, Err *err)
{
    return store_leave(s, put_dropped(store_enter(s), target, json, err));
}

static bool get_dropped(sqlite3 *db, TableName target, Arena *arena, Str *json, Err *err)
{
    CLEANUP(sql_end) sqlite3_stmt *stmt = NULL;
    const Bind key[] = {BIND_S(target.schema), BIND_S(target.table), {.kind = BIND_END}};
    bool row;
    *json = (Str){0};
    if (!sql_begin(db, "SELECT definition FROM dropped_target WHERE target_schema = ? AND target_table = ?",
                   key, &stmt, err) ||
        !sql_step(stmt, &row, err))
        return false;
    if (row) *json = kept(stmt, 0, arena);
    return true;
}

bool store_dropped_get(Store *s, TableName target, Arena *arena, Str *json, Err *err)
{
    return store_leave(s, get_dropped(store_enter(s), target, arena, json, err));
}
