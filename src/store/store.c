#include "store/store_impl.h"
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/clock.h"
#include "base/fault.h"
#include "store/migrations.h"
#include "store/sql.h"
#include "base/poison.h"

enum {
    APPLICATION_ID = 0x53684d67, /* "ShMg" in the file's header: tells our database from somebody else's */
    BUSY_TIMEOUT_MS = 5000,      /* an operator's shell may hold a lock for a moment */
    EVENTS_KEPT = 10000,
};

/* ---- opening
 * ------------------------------------------------------------------------------------------------- */

/* mkdir -p; folders that are made are private. */
static bool make_folder(const char *dir, Err *err)
{
    CLEANUP(sb_done) StrBuf path = {0};
    Str rest = str_of(dir);
    if (rest.len && rest.ptr[0] == '/') sb_ch(&path, '/');
    while (rest.len) {
        Str part = str_split(&rest, '/');
        if (!part.len) continue;
        if (path.len && path.ptr[path.len - 1] != '/') sb_ch(&path, '/');
        sb_str(&path, part);
        if (mkdir(path.ptr, 0700) != 0 && errno != EEXIST)
            return err_set(err, ERR_IO, "state folder %s: cannot make %s: %s", dir, path.ptr,
                           strerror(errno));
    }
    struct stat st;
    if (stat(dir, &st) != 0) return err_set(err, ERR_IO, "state folder %s: %s", dir, strerror(errno));
    if (!S_ISDIR(st.st_mode)) return err_set(err, ERR_IO, "state folder %s: is not a folder", dir);
    return true;
}

static void read_holder(int fd, StrBuf *pid)
{
    char text[24];
    ssize_t n = pread(fd, text, sizeof text, 0);
    Str s = str_trim(str_make(text, n > 0 ? (size_t)n : 0));
    uint64_t v;
    if (str_to_u64(s, &v))
        sb_printf(pid, "process %llu", (unsigned long long)v);
    else
        sb_c(pid, "another process");
}

/* The lock is the kernel's and goes with the process; the pid in the file is for people. */
static bool take_lock(Store *s, Err *err)
{
    CLEANUP(sb_done) StrBuf path = {0};
    sb_printf(&path, "%s/lock", s->dir);
    s->lock_fd = open(path.ptr, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (s->lock_fd < 0) return err_set(err, ERR_IO, "%s: %s", path.ptr, strerror(errno));
    if (flock(s->lock_fd, LOCK_EX | LOCK_NB) != 0) {
        if (errno != EWOULDBLOCK) return err_set(err, ERR_IO, "%s: flock: %s", path.ptr, strerror(errno));
        CLEANUP(sb_done) StrBuf holder = {0};
        read_holder(s->lock_fd, &holder);
        return err_set(err, ERR_STORE_LOCKED, "%s: held by %s", path.ptr, holder.ptr);
    }
    CLEANUP(sb_done) StrBuf pid = {0};
    sb_printf(&pid, "%d\n", (int)getpid());
    if (ftruncate(s->lock_fd, 0) != 0 || pwrite(s->lock_fd, pid.ptr, pid.len, 0) != (ssize_t)pid.len)
        return err_set(err, ERR_IO, "%s: cannot write: %s", path.ptr, strerror(errno));
    return true;
}

static bool read_pragma(sqlite3 *db, const char *sql, int64_t *out, Err *err)
{
    CLEANUP(sql_end) sqlite3_stmt *stmt = NULL;
    bool row;
    if (!sql_begin(db, sql, NULL, &stmt, err) || !sql_step(stmt, &row, err)) return false;
    *out = row ? sqlite3_column_int64(stmt, 0) : 0;
    return true;
}

static bool set_pragmas(sqlite3 *db, Err *err)
{
    return sql_script(db, "journal_mode",
                      "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA foreign_keys=ON", err);
}

static bool migrate_one(sqlite3 *db, const Migration *m, Err *err)
{
    CLEANUP(sb_done) StrBuf number = {0};
    sb_printf(&number, "PRAGMA user_version=%u; PRAGMA application_id=%d", m->number, APPLICATION_ID);
    bool ok = sql_script(db, m->name, m->sql, err) &&
              sql_run(db, err, "INSERT INTO migration VALUES (?, ?, ?, ?)", BIND_I(m->number),
                      BIND_S(str_of(m->name)), BIND_I(clock_wall_ms()), BIND_S(str_of(SHARDMERGE_VERSION))) &&
              sql_script(db, m->name, number.ptr, err);
    if (ok && FAULT("store.migrate")) ok = err_set(err, ERR_STORE_SQL, "%s: injected failure", m->name);
    return ok;
}

/* All that are due are one transaction: a kill in between leaves the version before, and who reads at the
 * same time (`status` while the task first starts) never meets one in between. */
static bool migrate(sqlite3 *db, size_t from, Err *err)
{
    if (from == migration_count) return true;
    bool ok = sql_script(db, "migrations", "BEGIN IMMEDIATE", err);
    for (size_t i = from; ok && i < migration_count; i++)
        ok = migrate_one(db, &migrations[i], err);
    ok = ok && sql_script(db, "migrations", "COMMIT", err);
    if (!ok) sqlite3_exec(db, "ROLLBACK", NULL, NULL, NULL);
    return ok;
}

static bool check_version(Store *s, bool read_only, int64_t *version, Err *err)
{
    int64_t application = 0;
    if (!read_pragma(s->db, "PRAGMA user_version", version, err) ||
        !read_pragma(s->db, "PRAGMA application_id", &application, err))
        return false;
    if (*version > (int64_t)migration_count)
        return err_set(err, ERR_STORE_VERSION,
                       "%s/state.db has schema %lld, this program (%s) knows up to %zu", s->dir,
                       (long long)*version, SHARDMERGE_VERSION, migration_count);
    if (*version != 0 && application != APPLICATION_ID)
        return err_set(err, ERR_STORE_SQL, "%s/state.db is not a state of this program", s->dir);
    if (read_only && *version == 0)
        return err_set(err, ERR_STORE_NONE, "%s/state.db has no schema yet", s->dir);
    if (read_only && *version < (int64_t)migration_count)
        return err_set_remedy(err, ERR_STORE_VERSION,
                              "start the task once with run: it brings the state up to date",
                              "%s/state.db has schema %lld, older than this program's %zu", s->dir,
                              (long long)*version, migration_count);
    return true;
}

static bool open_database(Store *s, bool read_only, Err *err)
{
    CLEANUP(sb_done) StrBuf path = {0};
    sb_printf(&path, "%s/state.db", s->dir);
    if (read_only && access(path.ptr, F_OK) != 0)
        return err_set(err, ERR_STORE_NONE, "%s: %s", path.ptr, strerror(errno));
    int flags =
        SQLITE_OPEN_NOMUTEX | (read_only ? SQLITE_OPEN_READONLY : SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE);
    if (sqlite3_open_v2(path.ptr, &s->db, flags, NULL) != SQLITE_OK)
        return s->db ? sql_failed(s->db, "open", err)
                     : err_set(err, ERR_STORE_SQL, "%s: cannot open", path.ptr);
    sqlite3_busy_timeout(s->db, BUSY_TIMEOUT_MS);
    int64_t version = 0;
    if (!check_version(s, read_only, &version, err)) return false;
    if (read_only) return true;
    return set_pragmas(s->db, err) && migrate(s->db, (size_t)version, err);
}

bool store_open(const char *dir, bool read_only, Store **out, Err *err)
{
    *out = NULL;
    Store *s = mem_zalloc(sizeof *s);
    pthread_mutex_init(&s->mutex, NULL);
    s->dir = str_dup(str_of(dir));
    s->lock_fd = -1;
    if ((!read_only && (!make_folder(dir, err) || !take_lock(s, err))) || !open_database(s, read_only, err)) {
        store_close(s);
        return false;
    }
    *out = s;
    return true;
}

void store_close(Store *s)
{
    if (!s) return;
    sqlite3_close(s->db);
    if (s->lock_fd >= 0) close(s->lock_fd);
    pthread_mutex_destroy(&s->mutex);
    free(s->dir);
    free(s);
}

const char *store_dir(const Store *s)
{
    return s->dir;
}

/* ---- task
 * ---------------------------------------------------------------------------------------------------- */

static bool task_row(sqlite3 *db, StoreTask *out, bool *found, Err *err)
{
    CLEANUP(sql_end) sqlite3_stmt *stmt = NULL;
    if (!sql_begin(db, "SELECT name, uuid, fingerprint, checkpoint, downstream_checkpoint FROM task", NULL,
                   &stmt, err) ||
        !sql_step(stmt, found, err))
        return false;
    *out = (StoreTask){0};
    if (!*found) return true;
    out->name = str_dup(sql_text(stmt, 0));
    out->uuid = str_dup(sql_text(stmt, 1));
    out->fingerprint = str_dup(sql_text(stmt, 2));
    out->checkpoint = (uint64_t)sqlite3_column_int64(stmt, 3);
    out->downstream_checkpoint = (uint64_t)sqlite3_column_int64(stmt, 4);
    return true;
}

bool store_task_read(Store *s, StoreTask *out, bool *found, Err *err)
{
    return store_leave(s, task_row(store_enter(s), out, found, err));
}

void store_task_done(StoreTask *t)
{
    free(t->name);
    free(t->uuid);
    free(t->fingerprint);
    *t = (StoreTask){0};
}

/* RFC 9562 version 4: 122 random bits. */
static bool new_uuid(StrBuf *out, Err *err)
{
    uint8_t b[16];
    if (getrandom(b, sizeof b, 0) != (ssize_t)sizeof b)
        return err_set(err, ERR_IO, "no random bytes from the system: %s", strerror(errno));
    b[6] = (uint8_t)((b[6] & 0x0f) | 0x40);
    b[8] = (uint8_t)((b[8] & 0x3f) | 0x80);
    for (size_t i = 0; i < sizeof b; i++) {
        if (i == 4 || i == 6 || i == 8 || i == 10) sb_ch(out, '-');
        sb_hex(out, &b[i], 1);
    }
    return true;
}

bool store_task_create(Store *s, Str name, Str fingerprint, Err *err)
{
    CLEANUP(sb_done) StrBuf uuid = {0};
    if (!new_uuid(&uuid, err)) return false;
    sqlite3 *db = store_enter(s);
    return store_leave(
        s,
        sql_run(db, err, "INSERT INTO task (one, name, uuid, fingerprint, created_ms) VALUES (1, ?, ?, ?, ?)",
                BIND_S(name), BIND_S(sb_view(&uuid)), BIND_S(fingerprint), BIND_I(clock_wall_ms())));
}

static bool has_begun(sqlite3 *db, bool *begun, Err *err)
{
    CLEANUP(sql_end) sqlite3_stmt *stmt = NULL;
    const Bind none[] = {{.kind = BIND_END}};
    bool row;
    if (!sql_begin(db,
                   "SELECT EXISTS (SELECT 1 FROM source_floor) OR EXISTS (SELECT 1 FROM shard_step) OR "
                   "EXISTS (SELECT 1 FROM source_start WHERE final) OR "
                   "EXISTS (SELECT 1 FROM task WHERE checkpoint > 0 OR downstream_checkpoint > 0)",
                   none, &stmt, err) ||
        !sql_step(stmt, &row, err))
        return false;
    *begun = !row || sqlite3_column_int64(stmt, 0) != 0;
    return true;
}

bool store_task_has_begun(Store *s, bool *begun, Err *err)
{
    return store_leave(s, has_begun(store_enter(s), begun, err));
}

static bool renew(sqlite3 *db, Str name, Str fingerprint, Err *err)
{
    if (!sql_script(db, "a task anew", "BEGIN IMMEDIATE", err)) return false;
    bool ok =
        sql_script(db, "a task anew",
                   "DELETE FROM source_start; DELETE FROM schema_version; DELETE FROM shard_number; "
                   "DELETE FROM member",
                   err) &&
        sql_run(db, err, "UPDATE task SET name = ?, fingerprint = ?", BIND_S(name), BIND_S(fingerprint)) &&
        sql_script(db, "a task anew", "COMMIT", err);
    if (!ok) sqlite3_exec(db, "ROLLBACK", NULL, NULL, NULL);
    return ok;
}

bool store_task_renew(Store *s, Str name, Str fingerprint, Err *err)
{
    return store_leave(s, renew(store_enter(s), name, fingerprint, err));
}

/* ---- members and schemas
 * ------------------------------------------------------------------------------------- */

static bool find_member(sqlite3 *db, const Bind *key, uint64_t *member_no, bool *found, Err *err)
{
    CLEANUP(sql_end) sqlite3_stmt *stmt = NULL;
    if (!sql_begin(db,
                   "SELECT member_no FROM member WHERE source_id = ? AND schema_name = ? AND table_name = ? "
                   "AND target_schema = ? AND target_table = ?",
                   key, &stmt, err) ||
        !sql_step(stmt, found, err))
        return false;
    if (*found) *member_no = (uint64_t)sqlite3_column_int64(stmt, 0);
    return true;
}

static bool member_row(sqlite3 *db, const Bind *key, uint64_t *member_no, Err *err)
{
    bool found;
    if (!find_member(db, key, member_no, &found, err)) return false;
    if (found) return true;
    if (!sql_run(db, err,
                 "INSERT INTO member (source_id, schema_name, table_name, target_schema, target_table, "
                 "created_ms) "
                 "VALUES (?, ?, ?, ?, ?, ?)",
                 key[0], key[1], key[2], key[3], key[4], BIND_I(clock_wall_ms())))
        return false;
    *member_no = (uint64_t)sqlite3_last_insert_rowid(db);
    return true;
}

bool store_member(Store *s, Str source_id, TableName name, TableName target, uint64_t *member_no, Err *err)
{
    const Bind key[] = {BIND_S(source_id),     BIND_S(name.schema),  BIND_S(name.table),
                        BIND_S(target.schema), BIND_S(target.table), {.kind = BIND_END}};
    return store_leave(s, member_row(store_enter(s), key, member_no, err));
}

static bool number_row(sqlite3 *db, const char *sql, const Bind *key, bool *found, int64_t *number, Err *err)
{
    CLEANUP(sql_end) sqlite3_stmt *stmt = NULL;
    if (!sql_begin(db, sql, key, &stmt, err) || !sql_step(stmt, found, err)) return false;
    if (*found) *number = sqlite3_column_int64(stmt, 0);
    return true;
}

static bool shard_number(sqlite3 *db, uint64_t member_no, TableName target, uint32_t *number, Err *err)
{
    const Bind member[] = {BIND_I(member_no), {.kind = BIND_END}};
    const Bind group[] = {BIND_S(target.schema), BIND_S(target.table), {.kind = BIND_END}};
    int64_t n = 0;
    bool found = false;
    if (!number_row(db, "SELECT number FROM shard_number WHERE member_no = ?", member, &found, &n, err))
        return false;
    if (!found &&
        (!number_row(db,
                     "SELECT coalesce(max(number) + 1, 0) FROM shard_number WHERE target_schema = ? AND "
                     "target_table = ?",
                     group, &found, &n, err) ||
         !sql_run(db, err,
                  "INSERT INTO shard_number (member_no, target_schema, target_table, number) "
                  "VALUES (?, ?, ?, ?)",
                  BIND_I(member_no), BIND_S(target.schema), BIND_S(target.table), BIND_I(n))))
        return false;
    *number = (uint32_t)n;
    return true;
}

bool store_shard_number(Store *s, uint64_t member_no, TableName target, uint32_t *number, Err *err)
{
    return store_leave(s, shard_number(store_enter(s), member_no, target, number, err));
}

bool store_schema_put(Store *s, uint64_t member_no, Str point_json, Str schema_json, Str why, Err *err)
{
    sqlite3 *db = store_enter(s);
    return store_leave(s,
                       sql_run(db, err,
                               "INSERT INTO schema_version (member_no, point, definition, why, created_ms) "
                               "VALUES (?, ?, ?, ?, ?)",
                               BIND_I(member_no), BIND_S(point_json), BIND_S(schema_json), BIND_S(why),
                               BIND_I(clock_wall_ms())));
}

static bool schema_row(sqlite3 *db, uint64_t member_no, char **schema_json, bool *found, Err *err)
{
    CLEANUP(sql_end) sqlite3_stmt *stmt = NULL;
    const Bind key[] = {BIND_I(member_no), {.kind = BIND_END}};
    if (!sql_begin(
            db, "SELECT definition FROM schema_version WHERE member_no = ? ORDER BY version_no DESC LIMIT 1",
            key, &stmt, err) ||
        !sql_step(stmt, found, err))
        return false;
    *schema_json = *found ? str_dup(sql_text(stmt, 0)) : NULL;
    return true;
}

bool store_schema_get(Store *s, uint64_t member_no, char **schema_json, bool *found, Err *err)
{
    return store_leave(s, schema_row(store_enter(s), member_no, schema_json, found, err));
}

/* ---- checkpoints
 * --------------------------------------------------------------------------------------------- */

static bool put_floor(sqlite3 *db, uint64_t checkpoint, const StoreFloor *f, Err *err)
{
    const RowCounts *c = &f->counts;
    return sql_run(
        db, err,
        "INSERT OR REPLACE INTO source_floor VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, "
        "?14, coalesce(nullif(?15, ''), (SELECT copy FROM source_floor WHERE source_id = ?1), ''))",
        BIND_S(f->source_id), BIND_I(checkpoint), BIND_S(f->point_json), BIND_S(f->state),
        BIND_S(f->error_json), BIND_I(c->read), BIND_I(c->applied), BIND_I(c->filtered), BIND_I(c->held),
        BIND_I(c->parked), BIND_I(c->missed), BIND_I(c->refused), BIND_I(clock_wall_ms()), BIND_I(c->loaded),
        BIND_S(f->copy_json));
}

static bool put_checkpoint(sqlite3 *db, uint64_t checkpoint, uint64_t downstream, const StoreFloor *floors,
                           size_t n, Err *err)
{
    if (!sql_run(db, err,
                 "UPDATE task SET checkpoint = ?1, downstream_checkpoint = max(downstream_checkpoint, ?2) "
                 "WHERE checkpoint <= ?1",
                 BIND_I(checkpoint), BIND_I(downstream)))
        return false;
    if (sqlite3_changes(db) != 1)
        return err_set(err, ERR_BUG, "checkpoint %llu is below the one kept, or there is no task row",
                       (unsigned long long)checkpoint);
    for (size_t i = 0; i < n; i++)
        if (!put_floor(db, checkpoint, &floors[i], err)) return false;
    if (FAULT("store.checkpoint")) return err_set(err, ERR_STORE_SQL, "store.checkpoint: injected failure");
    return true;
}

bool store_checkpoint(Store *s, uint64_t checkpoint, uint64_t downstream_checkpoint, const StoreFloor *floors,
                      size_t n, Err *err)
{
    sqlite3 *db = store_enter(s);
    if (!sql_script(db, "begin", "BEGIN IMMEDIATE", err)) return store_leave(s, false);
    bool ok = put_checkpoint(db, checkpoint, downstream_checkpoint, floors, n, err) &&
              sql_script(db, "commit", "COMMIT", err);
    if (!ok) sqlite3_exec(db, "ROLLBACK", NULL, NULL, NULL);
    return store_leave(s, ok);
}

static void read_floor(sqlite3_stmt *stmt, Arena *arena, StoreFloor *f)
{
    uint64_t *const counts[] = {&f->counts.read,    &f->counts.applied, &f->counts.filtered,
                                &f->counts.held,    &f->counts.parked,  &f->counts.missed,
                                &f->counts.refused, &f->counts.loaded};
    f->source_id = arena_str(arena, sql_text(stmt, 0));
    f->point_json = arena_str(arena, sql_text(stmt, 1));
    f->state = arena_str(arena, sql_text(stmt, 2));
    f->error_json = arena_str(arena, sql_text(stmt, 3));
    f->updated_ms = sqlite3_column_int64(stmt, 4);
    f->copy_json = arena_str(arena, sql_text(stmt, 5 + ARRAY_LEN(counts)));
    for (size_t i = 0; i < ARRAY_LEN(counts); i++)
        *counts[i] = (uint64_t)sqlite3_column_int64(stmt, 5 + (int)i);
}

static bool floor_rows(sqlite3 *db, Arena *arena, StoreFloor **out, size_t *n, Err *err)
{
    int64_t count;
    *out = NULL;
    *n = 0;
    if (!read_pragma(db, "SELECT count(*) FROM source_floor", &count, err)) return false;
    CLEANUP(sql_end) sqlite3_stmt *stmt = NULL;
    if (!sql_begin(
            db,
            "SELECT source_id, point, state, error, updated_ms, rows_read, rows_applied, "
            "rows_filtered, rows_held, "
            "rows_parked, rows_missed, rows_refused, rows_loaded, copy FROM source_floor ORDER BY source_id",
            NULL, &stmt, err))
        return false;
    *out = arena_array(arena, StoreFloor, (size_t)count);
    bool row;
    while (sql_step(stmt, &row, err)) {
        if (!row || *n == (size_t)count) return true;
        read_floor(stmt, arena, &(*out)[(*n)++]);
    }
    return false;
}

/* Both reads see one moment. */
static bool floors_at_once(sqlite3 *db, Arena *arena, StoreFloor **out, size_t *n, Err *err)
{
    if (!sql_script(db, "begin", "BEGIN", err)) return false;
    bool ok = floor_rows(db, arena, out, n, err);
    sqlite3_exec(db, ok ? "COMMIT" : "ROLLBACK", NULL, NULL, NULL);
    return ok;
}

bool store_floors(Store *s, Arena *arena, StoreFloor **out, size_t *n, Err *err)
{
    return store_leave(s, floors_at_once(store_enter(s), arena, out, n, err));
}

static bool member_rows(sqlite3 *db, Arena *arena, StoreMember **out, size_t *n, Err *err)
{
    CLEANUP(sql_end) sqlite3_stmt *stmt = NULL;
    size_t cap = 0;
    *out = NULL;
    *n = 0;
    if (!sql_begin(
            db,
            "SELECT member_no, source_id, schema_name, table_name, target_schema, target_table FROM member "
            "ORDER BY member_no",
            NULL, &stmt, err))
        return false;
    bool row;
    while (sql_step(stmt, &row, err)) {
        if (!row) return true;
        if (*n == cap) {
            StoreMember *more = arena_array(arena, StoreMember, cap * 2 + 16);
            if (cap) memcpy(more, *out, cap * sizeof *more);
            *out = more;
            cap = cap * 2 + 16;
        }
        (*out)[(*n)++] = (StoreMember){
            .member_no = (uint64_t)sqlite3_column_int64(stmt, 0),
            .source_id = arena_str(arena, sql_text(stmt, 1)),
            .name = {arena_str(arena, sql_text(stmt, 2)), arena_str(arena, sql_text(stmt, 3))},
            .target = {arena_str(arena, sql_text(stmt, 4)), arena_str(arena, sql_text(stmt, 5))}};
    }
    return false;
}

bool store_members(Store *s, Arena *arena, StoreMember **out, size_t *n, Err *err)
{
    return store_leave(s, member_rows(store_enter(s), arena, out, n, err));
}

/* ---- pauses, runs, events
 * ------------------------------------------------------------------------------------ */

bool store_pause_set(Store *s, Str source_id, bool paused, Str by, Err *err)
{
    sqlite3 *db = store_enter(s);
    return store_leave(s, paused
                              ? sql_run(db, err, "INSERT OR IGNORE INTO pause VALUES (?, ?, ?)",
                                        BIND_S(source_id), BIND_S(by), BIND_I(clock_wall_ms()))
                              : sql_run(db, err, "DELETE FROM pause WHERE source_id = ?", BIND_S(source_id)));
}

static bool pause_row(sqlite3 *db, Str source_id, bool *paused, Err *err)
{
    CLEANUP(sql_end) sqlite3_stmt *stmt = NULL;
    const Bind key[] = {BIND_S(source_id), {.kind = BIND_END}};
    return sql_begin(db, "SELECT 1 FROM pause WHERE source_id = ?", key, &stmt, err) &&
           sql_step(stmt, paused, err);
}

bool store_pause_get(Store *s, Str source_id, bool *paused, Err *err)
{
    return store_leave(s, pause_row(store_enter(s), source_id, paused, err));
}

static bool begin_run(sqlite3 *db, uint64_t epoch, Str version, uint64_t *run_no, Err *err)
{
    if (!sql_run(db, err, "UPDATE run SET outcome = 'killed' WHERE outcome IS NULL") ||
        !sql_run(db, err, "INSERT INTO run (epoch, version, pid, started_ms) VALUES (?, ?, ?, ?)",
                 BIND_I(epoch), BIND_S(version), BIND_I(getpid()), BIND_I(clock_wall_ms())))
        return false;
    *run_no = (uint64_t)sqlite3_last_insert_rowid(db);
    return true;
}

bool store_run_begin(Store *s, uint64_t epoch, Str version, uint64_t *run_no, Err *err)
{
    bool ok = begin_run(store_enter(s), epoch, version, run_no, err);
    if (ok) s->run_no = *run_no;
    return store_leave(s, ok);
}

bool store_run_end(Store *s, uint64_t run_no, Str outcome, Str error_json, Err *err)
{
    sqlite3 *db = store_enter(s);
    bool ok = sql_run(db, err, "UPDATE run SET ended_ms = ?, outcome = ?, error = ? WHERE run_no = ?",
                      BIND_I(clock_wall_ms()), BIND_S(outcome),
                      error_json.len ? BIND_S(error_json) : BIND_N(), BIND_I(run_no));
    if (s->run_no == run_no) s->run_no = 0;
    return store_leave(s, ok);
}

static bool run_row(sqlite3 *db, Arena *arena, StoreRun *out, bool *found, Err *err)
{
    CLEANUP(sql_end) sqlite3_stmt *stmt = NULL;
    if (!sql_begin(db,
                   "SELECT run_no, epoch, version, outcome, error, started_ms, ended_ms FROM run "
                   "ORDER BY run_no DESC LIMIT 1",
                   NULL, &stmt, err) ||
        !sql_step(stmt, found, err))
        return false;
    if (!*found) return true;
    *out = (StoreRun){.run_no = (uint64_t)sqlite3_column_int64(stmt, 0),
                      .epoch = (uint64_t)sqlite3_column_int64(stmt, 1),
                      .version = arena_str(arena, sql_text(stmt, 2)),
                      .outcome = arena_str(arena, sql_text(stmt, 3)),
                      .error_json = arena_str(arena, sql_text(stmt, 4)),
                      .started_ms = sqlite3_column_int64(stmt, 5),
                      .ended_ms = sqlite3_column_int64(stmt, 6)};
    return true;
}

bool store_last_run(Store *s, Arena *arena, StoreRun *out, bool *found, Err *err)
{
    return store_leave(s, run_row(store_enter(s), arena, out, found, err));
}

static bool put_event(Store *s, Str source_id, Str kind, Str text, Err *err)
{
    return sql_run(s->db, err,
                   "INSERT INTO event (at_ms, run_no, source_id, kind, text) VALUES (?, ?, ?, ?, ?)",
                   BIND_I(clock_wall_ms()), s->run_no ? BIND_I(s->run_no) : BIND_N(), BIND_S(source_id),
                   BIND_S(kind), BIND_S(text)) &&
           sql_run(s->db, err, "DELETE FROM event WHERE event_no <= ?",
                   BIND_I(sqlite3_last_insert_rowid(s->db) - EVENTS_KEPT));
}

bool store_event(Store *s, Str source_id, Str kind, Str text, Err *err)
{
    store_enter(s);
    return store_leave(s, put_event(s, source_id, kind, text, err));
}
