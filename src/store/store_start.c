#include "store/store_start.h"
#include "base/clock.h"
#include "base/fault.h"
#include "store/sql.h"
#include "store/store_impl.h"
#include "base/poison.h"

static bool end(sqlite3 *db, bool ok, Err *err)
{
    ok = ok && sql_script(db, "the start of a stream", "COMMIT", err);
    if (!ok) sqlite3_exec(db, "ROLLBACK", NULL, NULL, NULL);
    return ok;
}

static bool get_start(sqlite3 *db, Str source_id, Arena *arena, StoreStart *out, bool *found, Err *err)
{
    CLEANUP(sql_end) sqlite3_stmt *stmt = NULL;
    const Bind key[] = {BIND_S(source_id), {.kind = BIND_END}};
    if (!sql_begin(db, "SELECT point, final FROM source_start WHERE source_id = ?", key, &stmt, err) ||
        !sql_step(stmt, found, err))
        return false;
    if (*found)
        *out = (StoreStart){.source_id = source_id,
                            .point_json = arena_str(arena, sql_text(stmt, 0)),
                            .final = sqlite3_column_int64(stmt, 1) != 0};
    return true;
}

bool store_start_get(Store *s, Str source_id, Arena *arena, StoreStart *out, bool *found, Err *err)
{
    return store_leave(s, get_start(store_enter(s), source_id, arena, out, found, err));
}

static bool forget(sqlite3 *db, Str source_id, Err *err)
{
    if (!sql_script(db, "the start of a stream", "BEGIN IMMEDIATE", err)) return false;
    bool ok =
        sql_run(db, err,
                "DELETE FROM schema_version WHERE why NOT LIKE '" STORE_WHY_SET "%' AND member_no IN "
                "(SELECT member_no FROM member WHERE source_id = ?)",
                BIND_S(source_id)) &&
        sql_run(db, err, "DELETE FROM source_start WHERE source_id = ? AND NOT final", BIND_S(source_id));
    return end(db, ok, err);
}

bool store_start_forget(Store *s, Str source_id, Err *err)
{
    return store_leave(s, forget(store_enter(s), source_id, err));
}

static bool put(sqlite3 *db, const StoreStart *t, const StoreDefinition *definitions, size_t n, Err *err)
{
    if (!sql_script(db, "the start of a stream", "BEGIN IMMEDIATE", err)) return false;
    bool ok = sql_run(db, err, "INSERT OR REPLACE INTO source_start VALUES (?, ?, ?, ?)",
                      BIND_S(t->source_id), BIND_S(t->point_json), BIND_I(t->final), BIND_I(clock_wall_ms()));
    for (size_t i = 0; ok && i < n; i++)
        ok = sql_run(db, err,
                     "INSERT INTO schema_version (member_no, point, definition, why, created_ms) "
                     "VALUES (?, ?, ?, ?, ?)",
                     BIND_I(definitions[i].member_no), BIND_S(t->point_json),
                     BIND_S(definitions[i].schema_json), BIND_S(definitions[i].why), BIND_I(clock_wall_ms()));
    if (t->final)
        (void)FAULT("start.final");
    else
        (void)FAULT("start.definitions");
    return end(db, ok, err);
}

bool store_start_put(Store *s, const StoreStart *start, const StoreDefinition *definitions, size_t n,
                     Err *err)
{
    return store_leave(s, put(store_enter(s), start, definitions, n, err));
}

static bool definition(sqlite3 *db, uint64_t member_no, Arena *arena, StoreDefinition *out, bool *found,
                       Err *err)
{
    CLEANUP(sql_end) sqlite3_stmt *stmt = NULL;
    const Bind key[] = {BIND_I(member_no), {.kind = BIND_END}};
    if (!sql_begin(db,
                   "SELECT definition, why FROM schema_version WHERE member_no = ? "
                   "ORDER BY version_no DESC LIMIT 1",
                   key, &stmt, err) ||
        !sql_step(stmt, found, err))
        return false;
    if (*found)
        *out = (StoreDefinition){.member_no = member_no,
                                 .schema_json = arena_str(arena, sql_text(stmt, 0)),
                                 .why = arena_str(arena, sql_text(stmt, 1))};
    return true;
}

bool store_definition(Store *s, uint64_t member_no, Arena *arena, StoreDefinition *out, bool *found, Err *err)
{
    return store_leave(s, definition(store_enter(s), member_no, arena, out, found, err));
}
