#include "../unit.h"
#include "../temp_dir.h"
#include <fcntl.h>
#include <signal.h>
#include <sqlite3.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include "base/fault.h"
#include "store/migrations.h"
#include "store/store_ddl.h"
#include "store/store.h"

static Store *open_ok(bool read_only)
{
    Store *s;
    Err err = {0};
    ck_assert_msg(store_open(temp_dir, read_only, &s, &err), "%s", err.message);
    return s;
}

static void open_fails(bool read_only, ErrCode code, const char *part)
{
    Store *s;
    Err err = {0};
    ck_assert(!store_open(temp_dir, read_only, &s, &err));
    ck_assert_ptr_null(s);
    ck_assert_str_eq(err_code_name(err.code), err_code_name(code));
    ck_assert_msg(strstr(err.message, part), "'%s' lacks '%s'", err.message, part);
    err_clear(&err);
}

#define OK(call)                                                                                             \
    do {                                                                                                     \
        Err err = {0};                                                                                       \
        ck_assert_msg((call), "%s", err.message ? err.message : "");                                         \
    } while (0)

/* What somebody else with the sqlite3 shell does or sees. */
static char *shell(const char *sql)
{
    StrBuf path = {0}, out = {0};
    sqlite3 *db;
    sqlite3_stmt *stmt;
    const char *rest = sql;
    sb_printf(&path, "%s/state.db", temp_dir);
    ck_assert_int_eq(sqlite3_open(path.ptr, &db), SQLITE_OK);
    while (*rest) {
        ck_assert_msg(sqlite3_prepare_v2(db, rest, -1, &stmt, &rest) == SQLITE_OK, "%s", sqlite3_errmsg(db));
        while (sqlite3_step(stmt) == SQLITE_ROW)
            for (int i = 0; i < sqlite3_column_count(stmt); i++) {
                const char *v = (const char *)sqlite3_column_text(stmt, i);
                sb_printf(&out, "%s%s", out.len ? "|" : "", v ? v : "NULL");
            }
        ck_assert_int_eq(sqlite3_finalize(stmt), SQLITE_OK);
    }
    sqlite3_close(db);
    sb_done(&path);
    return sb_take(&out);
}

static void shell_is(const char *sql, const char *expected)
{
    char *got = shell(sql);
    ck_assert_str_eq(got, expected);
    free(got);
}

static void with_task(Store *s)
{
    OK(store_task_create(s, STR("orders"), STR("name: orders\n"), &err));
}

static StoreFloor floor_of(const char *source, uint64_t read)
{
    return (StoreFloor){
        .source_id = str_of(source),
        .point_json =
            STR("{\"flavor\":\"mariadb\",\"gtid\":\"0-1-7\",\"file\":\"b.000002\",\"pos\":5000000000}"),
        .counts = {.read = read, .applied = read - 3, .filtered = 2, .missed = 1},
        .state = STR("streaming")};
}

START_TEST(opening_makes_private_folder_and_runs_all_migrations)
{
    StrBuf deep = {0};
    sb_printf(&deep, "%s/a/b", temp_dir);
    free(temp_dir);
    temp_dir = strdup(deep.ptr);
    store_close(open_ok(false));
    struct stat st;
    ck_assert_int_eq(stat(temp_dir, &st), 0);
    ck_assert_int_eq(st.st_mode & 0777, 0700);
    StrBuf count = {0};
    sb_printf(&count, "%zu|%zu|wal", migration_count, migration_count);
    shell_is("SELECT count(*) FROM migration; PRAGMA user_version; PRAGMA journal_mode", count.ptr);
    store_close(open_ok(false)); /* the second time there is nothing to do */
    shell_is("SELECT count(*) FROM migration WHERE program <> ''; PRAGMA user_version; PRAGMA journal_mode",
             count.ptr);
    sb_done(&count);
    deep.ptr[deep.len - 4] = 0;
    free(temp_dir);
    temp_dir = sb_take(&deep);
}
END_TEST

START_TEST(migrations_are_numbered_without_gaps)
{
    ck_assert_uint_ge(migration_count, 1);
    for (size_t i = 0; i < migration_count; i++)
        ck_assert_uint_eq(migrations[i].number, i + 1);
}
END_TEST

START_TEST(task_identity_is_made_once)
{
    Store *s = open_ok(false);
    StoreTask t;
    bool found;
    OK(store_task_read(s, &t, &found, &err));
    ck_assert(!found);
    with_task(s);
    OK(store_task_read(s, &t, &found, &err));
    ck_assert(found);
    ck_assert_str_eq(t.name, "orders");
    ck_assert_str_eq(t.fingerprint, "name: orders\n");
    ck_assert_uint_eq(strlen(t.uuid), 36);
    ck_assert_int_eq(t.uuid[14], '4');
    Err bad = {0};
    ck_assert(!store_task_create(s, STR("other"), STR(""), &bad));
    ck_assert_int_eq(bad.code, ERR_STORE_SQL);
    err_clear(&bad);
    uint64_t no, other;
    bool begun;
    OK(store_member(s, STR("s1"), (TableName){STR("a"), STR("t")}, (TableName){STR("m"), STR("t")}, &no,
                    &err));
    OK(store_task_has_begun(s, &begun, &err));
    ck_assert(!begun);
    OK(store_task_renew(s, STR("bills"), STR("name: bills\nmore: 1\n"), &err));
    store_close(s);
    s = open_ok(false);
    StoreTask again;
    OK(store_task_read(s, &again, &found, &err));
    ck_assert_str_eq(again.uuid, t.uuid);
    ck_assert_str_eq(again.name, "bills");
    ck_assert_str_eq(again.fingerprint, "name: bills\nmore: 1\n");
    OK(store_member(s, STR("s1"), (TableName){STR("a"), STR("t")}, (TableName){STR("m2"), STR("t")}, &other,
                    &err));
    ck_assert_uint_ne(no, other); /* never given twice */
    OK(store_checkpoint(s, 1, 1, NULL, 0, &err));
    OK(store_task_has_begun(s, &begun, &err));
    ck_assert(begun);
    store_task_done(&t);
    store_task_done(&again);
    store_close(s);
}
END_TEST

START_TEST(members_keep_their_number_and_none_is_given_twice)
{
    Store *s = open_ok(false);
    const TableName t1 = {STR("shop_1"), STR("orders")}, t2 = {STR("shop_2"), STR("orders")};
    const TableName to = {STR("shop"), STR("orders")}, elsewhere = {STR("shop"), STR("old_orders")};
    uint64_t a, b, c, d, again;
    OK(store_member(s, STR("s1"), t1, to, &a, &err));
    OK(store_member(s, STR("s1"), t2, to, &b, &err));
    OK(store_member(s, STR("s2"), t1, to, &c, &err));
    OK(store_member(s, STR("s1"), t1, elsewhere, &d, &err));
    OK(store_member(s, STR("s1"), t1, to, &again, &err));
    ck_assert_uint_eq(a, again);
    ck_assert(a != b && b != c && a != c && d > c);
    store_close(s);
    shell_is("DELETE FROM member WHERE target_table = 'old_orders'", "");
    s = open_ok(false);
    OK(store_member(s, STR("s1"), t1, elsewhere, &again, &err));
    ck_assert_uint_gt(again, d);
    store_close(s);
}
END_TEST

START_TEST(the_newest_schema_counts)
{
    Store *s = open_ok(false);
    const TableName name = {STR("a"), STR("t")};
    uint64_t member;
    char *json;
    bool found;
    OK(store_member(s, STR("s1"), name, name, &member, &err));
    OK(store_schema_get(s, member, &json, &found, &err));
    ck_assert(!found);
    ck_assert_ptr_null(json);
    OK(store_schema_put(s, member, STR("{\"file\":\"b.1\",\"pos\":4}"), STR("{\"v\":1}"), STR("start"),
                        &err));
    OK(store_schema_put(s, member, STR("{}"), STR("{\"v\":2}"), STR("ALTER"), &err));
    OK(store_schema_get(s, member, &json, &found, &err));
    ck_assert(found);
    ck_assert_str_eq(json, "{\"v\":2}");
    free(json);
    Err bad = {0};
    ck_assert(!store_schema_put(s, member + 1, STR("{}"), STR("{}"), STR(""), &bad)); /* no such member */
    err_clear(&bad);
    store_close(s);
    shell_is("SELECT shard_table, version, is_present, why, from_binlog_position FROM v_schemas",
             "a.t|1|0|start|4|a.t|2|1|ALTER|NULL");
}
END_TEST

START_TEST(checkpoints_keep_floors_and_only_rise)
{
    Store *s = open_ok(false);
    Arena arena = {0};
    StoreFloor *got;
    size_t n;
    const StoreFloor floors[] = {floor_of("s2", 100), floor_of("s1", UINT32_MAX)};
    with_task(s);
    OK(store_checkpoint(s, 5, 9, floors, 2, &err));
    OK(store_floors(s, &arena, &got, &n, &err));
    ck_assert_uint_eq(n, 2);
    ck_assert(str_eqc(got[0].source_id, "s1") && str_eqc(got[1].source_id, "s2"));
    ck_assert_uint_eq(got[0].counts.read, UINT32_MAX);
    ck_assert_uint_eq(got[1].counts.applied, 97);
    ck_assert_uint_eq(got[1].counts.filtered, 2);
    ck_assert_uint_eq(got[1].counts.missed, 1);
    ck_assert(str_eq(got[0].point_json, floors[0].point_json));
    ck_assert(str_eqc(got[0].state, "streaming"));
    ck_assert_int_gt(got[0].updated_ms, 0);
    OK(store_checkpoint(s, 6, 3, floors, 1, &err));
    StoreTask t;
    bool found;
    OK(store_task_read(s, &t, &found, &err));
    ck_assert_uint_eq(t.checkpoint, 6);
    ck_assert_uint_eq(t.downstream_checkpoint, 9);
    store_task_done(&t);
    Err bad = {0};
    ck_assert(!store_checkpoint(s, 5, 9, floors, 1, &bad));
    ck_assert_int_eq(bad.code, ERR_BUG);
    err_clear(&bad);
    arena_done(&arena);
    store_close(s);
    shell_is("SELECT source, last_state, gtid, binlog_file, binlog_position, rows_read, rows_unaccounted "
             "FROM v_sources "
             "WHERE source = 's2'",
             "s2|streaming|0-1-7|b.000002|5000000000|100|0");
}
END_TEST

START_TEST(views_take_states_without_point_or_error)
{
    Store *s = open_ok(false);
    with_task(s);
    StoreFloor f = {.source_id = STR("s1"), .state = STR("starting")};
    OK(store_checkpoint(s, 1, 0, &f, 1, &err));
    f.error_json = STR("{\"code\":\"SM-1301\",\"message\":\"m\",\"remedy\":\"r\"}");
    f.source_id = STR("s2");
    OK(store_checkpoint(s, 2, 0, &f, 1, &err));
    OK(store_pause_set(s, STR("s2"), true, STR("anna"), &err));
    store_close(s);
    shell_is("SELECT source, paused, gtid, binlog_file, error_code, error_remedy FROM v_sources",
             "s1|no|NULL|NULL|NULL|NULL|s2|yes, by anna|NULL|NULL|SM-1301|r");
}
END_TEST

START_TEST(pauses_outlive_the_process)
{
    Store *s = open_ok(false);
    bool paused;
    OK(store_pause_get(s, STR("s1"), &paused, &err));
    ck_assert(!paused);
    OK(store_pause_set(s, STR("s1"), true, STR("anna"), &err));
    OK(store_pause_set(s, STR("s1"), true, STR("ben"), &err));
    OK(store_pause_set(s, STR(""), true, STR("ben"), &err));
    store_close(s);
    s = open_ok(false);
    OK(store_pause_get(s, STR("s1"), &paused, &err));
    ck_assert(paused);
    OK(store_pause_get(s, STR("s2"), &paused, &err));
    ck_assert(!paused);
    OK(store_pause_set(s, STR("s1"), false, STR("anna"), &err));
    OK(store_pause_get(s, STR("s1"), &paused, &err));
    ck_assert(!paused);
    OK(store_pause_get(s, STR(""), &paused, &err));
    ck_assert(paused);
    store_close(s);
    shell_is("SELECT paused_by FROM pause", "ben");
}
END_TEST

START_TEST(runs_that_end_without_a_word_are_closed_by_the_next)
{
    Store *s = open_ok(false);
    uint64_t first, second;
    Arena arena = {0};
    StoreRun run;
    bool found;
    OK(store_last_run(s, &arena, &run, &found, &err));
    ck_assert(!found);
    OK(store_run_begin(s, 3, STR("1.0"), &first, &err));
    OK(store_event(s, STR("s1"), STR("eject"), STR("collision"), &err));
    OK(store_run_begin(s, 4, STR("1.1"), &second, &err));
    ck_assert_uint_gt(second, first);
    OK(store_last_run(s, &arena, &run, &found, &err));
    ck_assert(found && run.run_no == second && run.epoch == 4 && run.outcome.len == 0 && run.ended_ms == 0);
    OK(store_run_end(s, second, STR("failed"), STR("{\"code\":\"SM-1002\"}"), &err));
    OK(store_event(s, STR(""), STR("note"), STR("between runs"), &err));
    OK(store_last_run(s, &arena, &run, &found, &err));
    ck_assert(str_eqc(run.outcome, "failed") && str_eqc(run.version, "1.1") &&
              run.ended_ms >= run.started_ms);
    arena_done(&arena);
    store_close(s);
    shell_is("SELECT outcome, error_code FROM v_runs", "killed|NULL|failed|SM-1002");
    shell_is("SELECT run, source, kind, text FROM v_events", "1|s1|eject|collision|NULL||note|between runs");
}
END_TEST

START_TEST(events_are_bounded)
{
    Store *s = open_ok(false);
    store_close(s);
    free(shell("INSERT INTO event (event_no, at_ms, source_id, kind, text) VALUES (1, 0, '', 'old', ''), "
               "(20000, 0, '', 'new', '')"));
    s = open_ok(false);
    OK(store_event(s, STR("s1"), STR("kind"), STR("text"), &err));
    store_close(s);
    shell_is("SELECT kind FROM v_events", "new|kind");
}
END_TEST

/* In a child: runs body, then waits to be killed. The parent gets a byte once body is done. */
static pid_t child_with(void (*body)(void), int *ready)
{
    int fds[2];
    ck_assert_int_eq(pipe(fds), 0);
    pid_t pid = fork();
    ck_assert_int_ge(pid, 0);
    if (pid == 0) {
        body();
        if (write(fds[1], "x", 1) != 1) _exit(1);
        pause();
        _exit(0);
    }
    close(fds[1]);
    *ready = fds[0];
    return pid;
}

static void kill_child(pid_t pid)
{
    int status;
    kill(pid, SIGKILL);
    ck_assert_int_eq(waitpid(pid, &status, 0), pid);
    ck_assert(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
}

static void hold_the_store(void)
{
    Store *s;
    Err bad = {0};
    if (!store_open(temp_dir, false, &s, &bad) || !store_task_create(s, STR("orders"), STR("x"), &bad))
        _exit(1);
}

START_TEST(a_second_process_is_refused_and_a_reader_is_not)
{
    int ready;
    char byte;
    pid_t pid = child_with(hold_the_store, &ready);
    ck_assert_int_eq(read(ready, &byte, 1), 1);
    StrBuf holder = {0};
    sb_printf(&holder, "held by process %d", (int)pid);
    open_fails(false, ERR_STORE_LOCKED, holder.ptr);
    Store *s = open_ok(true);
    StoreTask t;
    bool found;
    OK(store_task_read(s, &t, &found, &err));
    ck_assert(found);
    store_task_done(&t);
    Err bad = {0};
    ck_assert(!store_pause_set(s, STR("s1"), true, STR("anna"), &bad));
    ck_assert_int_eq(bad.code, ERR_STORE_SQL);
    err_clear(&bad);
    store_close(s);
    kill_child(pid);
    close(ready);
    s = open_ok(false); /* the lock goes with the process */
    OK(store_task_read(s, &t, &found, &err));
    ck_assert(found);
    store_task_done(&t);
    store_close(s);
    sb_done(&holder);
}
END_TEST

START_TEST(a_newer_state_is_refused)
{
    store_close(open_ok(false));
    free(shell("PRAGMA user_version = 9999"));
    open_fails(false, ERR_STORE_VERSION, "9999");
    open_fails(true, ERR_STORE_VERSION, "9999");
    shell_is("PRAGMA user_version", "9999");
}
END_TEST

START_TEST(a_foreign_database_is_refused)
{
    free(shell("PRAGMA user_version = 1; CREATE TABLE customers (id INTEGER)"));
    open_fails(false, ERR_STORE_SQL, "not a state");
}
END_TEST

START_TEST(bytes_that_are_no_database_are_refused)
{
    StrBuf path = {0};
    sb_printf(&path, "%s/state.db", temp_dir);
    FILE *f = fopen(path.ptr, "w");
    for (int i = 0; i < 1000; i++)
        fputs("no database at all ", f);
    fclose(f);
    open_fails(false, ERR_STORE_SQL, "not a database");
    sb_done(&path);
}
END_TEST

START_TEST(nothing_to_read_is_said)
{
    open_fails(true, ERR_STORE_NONE, "state.db");
    StrBuf deep = {0};
    sb_printf(&deep, "%s/none", temp_dir);
    Store *s;
    Err err = {0};
    ck_assert(!store_open(deep.ptr, true, &s, &err));
    ck_assert_int_eq(err.code, ERR_STORE_NONE);
    ck_assert_int_ne(access(deep.ptr, F_OK), 0);
    err_clear(&err);
    sb_done(&deep);
}
END_TEST

static void run_until_fault(const char *faults, void (*body)(void))
{
    pid_t pid = fork();
    ck_assert_int_ge(pid, 0);
    if (pid == 0) {
        Err err = {0};
        setenv("SHARDMERGE_FAULTS", faults, 1);
        if (!fault_init(&err)) _exit(1);
        body();
        _exit(0);
    }
    int status;
    ck_assert_int_eq(waitpid(pid, &status, 0), pid);
    ck_assert_msg(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL, "the fault point was not reached");
}

static void three_checkpoints(void)
{
    Store *s;
    Err err = {0};
    if (!store_open(temp_dir, false, &s, &err) || !store_task_create(s, STR("orders"), STR("x"), &err))
        _exit(1);
    for (uint64_t i = 1; i <= 3; i++) {
        const StoreFloor floors[] = {floor_of("s1", i * 100), floor_of("s2", i * 1000)};
        if (!store_checkpoint(s, i, i, floors, 2, &err)) _exit(1);
    }
}

START_TEST(a_kill_inside_a_checkpoint_leaves_the_one_before)
{
    run_until_fault("store.checkpoint=kill@2", three_checkpoints);
    Store *s = open_ok(false);
    Arena arena = {0};
    StoreFloor *floors;
    StoreTask t;
    size_t n;
    bool found;
    OK(store_task_read(s, &t, &found, &err));
    ck_assert_uint_eq(t.checkpoint, 1);
    ck_assert_uint_eq(t.downstream_checkpoint, 1);
    OK(store_floors(s, &arena, &floors, &n, &err));
    ck_assert_uint_eq(n, 2);
    ck_assert_uint_eq(floors[0].counts.read, 100);
    ck_assert_uint_eq(floors[1].counts.read, 1000);
    store_task_done(&t);
    arena_done(&arena);
    store_close(s);
    shell_is("PRAGMA integrity_check", "ok");
}
END_TEST

START_TEST(a_failing_checkpoint_changes_nothing_and_the_store_goes_on)
{
    Err bad = {0};
    setenv("SHARDMERGE_FAULTS", "store.checkpoint=error@2", 1);
    ck_assert(fault_init(&bad));
    Store *s = open_ok(false);
    with_task(s);
    const StoreFloor one = floor_of("s1", 100), two = floor_of("s1", 200);
    OK(store_checkpoint(s, 1, 1, &one, 1, &err));
    ck_assert(!store_checkpoint(s, 2, 2, &two, 1, &bad));
    ck_assert_int_eq(bad.code, ERR_STORE_SQL);
    err_clear(&bad);
    Arena arena = {0};
    StoreFloor *floors;
    size_t n;
    OK(store_floors(s, &arena, &floors, &n, &err));
    ck_assert_uint_eq(floors[0].counts.read, 100);
    OK(store_checkpoint(s, 2, 2, &two, 1, &err));
    OK(store_floors(s, &arena, &floors, &n, &err));
    ck_assert_uint_eq(floors[0].counts.read, 200);
    arena_done(&arena);
    store_close(s);
}
END_TEST

static void open_once(void)
{
    Store *s;
    Err bad = {0};
    if (!store_open(temp_dir, false, &s, &bad)) _exit(1);
}

START_TEST(a_kill_inside_a_migration_leaves_the_version_before)
{
    run_until_fault("store.migrate=kill@3", open_once);
    shell_is("PRAGMA user_version; SELECT count(*) FROM sqlite_master", "0|0");
    open_fails(true, ERR_STORE_NONE, "no schema");
    store_close(open_ok(false));
    shell_is("SELECT count(*) FROM task", "0");
}
END_TEST

/* Kills at moments of no choosing, while checkpoints run as fast as they can. */
static void endless_checkpoints(void)
{
    Store *s;
    Err err = {0};
    if (!store_open(temp_dir, false, &s, &err)) _exit(1);
    StoreTask t;
    bool found;
    if (!store_task_read(s, &t, &found, &err)) _exit(1);
    if (!found && !store_task_create(s, STR("orders"), STR("x"), &err)) _exit(1);
    for (uint64_t i = t.checkpoint + 1;; i++) {
        const StoreFloor floors[] = {floor_of("s1", 10 + i), floor_of("s2", 10 + i)};
        if (!store_checkpoint(s, i, i, floors, 2, &err)) _exit(1);
    }
}

START_TEST(kills_at_any_moment_leave_both_floors_of_one_checkpoint)
{
    uint64_t before = 0;
    for (int round = 0; round < 8; round++) {
        pid_t pid = fork();
        ck_assert_int_ge(pid, 0);
        if (pid == 0) {
            endless_checkpoints();
            _exit(1);
        }
        usleep(20000 + 7919u * (unsigned)round);
        kill_child(pid);
        Store *s = open_ok(false);
        Arena arena = {0};
        StoreFloor *floors;
        StoreTask t;
        size_t n;
        bool found;
        OK(store_task_read(s, &t, &found, &err));
        OK(store_floors(s, &arena, &floors, &n, &err));
        ck_assert_uint_ge(t.checkpoint, before);
        if (t.checkpoint) {
            ck_assert_uint_eq(n, 2);
            ck_assert_uint_eq(floors[0].counts.read, 10 + t.checkpoint);
            ck_assert_uint_eq(floors[1].counts.read, 10 + t.checkpoint);
        }
        before = t.checkpoint;
        store_task_done(&t);
        arena_done(&arena);
        store_close(s);
    }
    ck_assert_uint_gt(before, 0);
}
END_TEST

/* The statement that made a table, its fork and its first definition are one. */
START_TEST(a_table_begins_with_its_definition)
{
    Store *s = open_ok(false);
    const TableName t = {STR("shop"), STR("t")}, target = {STR("all"), STR("t")};
    uint64_t member;
    bool found = true;
    char *json = NULL;
    OK(store_member(s, STR("s1"), t, target, &member, &err));
    StoreFork fork = {.source_id = STR("s1"), .member_no = member, .from_json = STR("{}"), .needs = 1};
    StoreStep step = {.member_no = member,
                      .number = 1,
                      .identity = STR("a"),
                      .txn_json = STR("{}"),
                      .point_json = STR("{}"),
                      .kind = STR("create"),
                      .change_json = STR("{}"),
                      .first_json = STR("{\"columns\":[]}"),
                      .why = STR("CREATE TABLE")};
    OK(store_schema_get(s, member, &json, &found, &err));
    ck_assert(!found);
    OK(store_step(s, &step, &fork, &err));
    OK(store_schema_get(s, member, &json, &found, &err));
    ck_assert(found);
    ck_assert_str_eq(json, "{\"columns\":[]}");
    free(json);
    step.number = 1; /* once more: none of it */
    step.first_json = STR("{}");
    Err again = {0};
    ck_assert(!store_step(s, &step, &fork, &again));
    err_clear(&again);
    OK(store_schema_get(s, member, &json, &found, &err));
    ck_assert_str_eq(json, "{\"columns\":[]}");
    free(json);
    store_close(s);
}
END_TEST

START_TEST(a_table_made_anew_goes_on_in_the_fork_that_waits)
{
    Store *s = open_ok(false);
    Arena arena = {0};
    const TableName t = {STR("shop"), STR("t")}, target = {STR("all"), STR("t")};
    StoreFork *forks, before = {.source_id = STR("s1"), .from_json = STR("{}"), .needs = 1};
    StoreFork at = {.source_id = STR("s1"), .from_json = STR("{}"), .needs = 2};
    StoreStep *steps;
    uint64_t *left, member;
    size_t n;
    OK(store_member(s, STR("s1"), t, target, &member, &err));
    before.member_no = at.member_no = member;
    for (uint64_t i = 1; i <= 3; i++) {
        StoreStep step = {.member_no = member,
                          .number = i,
                          .identity = str_of((const char *[]){"a", "b", "c"}[i - 1]),
                          .txn_json = STR("{}"),
                          .point_json = STR("{}"),
                          .kind = STR("alter"),
                          .change_json = STR("{}")};
        OK(store_step(s, &step, i == 1 ? &before : i == 2 ? &at : NULL, &err));
    }
    StoreLock lock = {target, STR("closed"), STR("{}"), STR("{}")};
    StoreLeft gone = {.member_no = member, .last = 2, .back = 3};
    OK(store_lock_put(s, &lock, &(StoreLockNews){.member_no = member, .number = 3}, &err));
    OK(store_lock_put(s, &lock, &(StoreLockNews){.left = &gone, .n_left = 1}, &err));
    OK(store_left_members(s, &arena, &left, &n, &err));
    ck_assert_uint_eq(n, 1);
    OK(store_steps(s, &arena, &steps, &n, &err));
    ck_assert_uint_eq(n, 3);
    for (size_t i = 0; i < n; i++)
        ck_assert_msg(steps[i].told == (i < 2), "step %zu is%s told", i + 1, steps[i].told ? "" : " not");
    OK(store_forks(s, &arena, &forks, &n, &err));
    ck_assert_uint_eq(n, 2);
    ck_assert_uint_eq(forks[0].needs, 1); /* rows of the table that was */
    ck_assert_uint_eq(forks[1].needs, 3);
    arena_done(&arena);
    store_close(s);
}
END_TEST

START_TEST(a_dropped_target_is_kept_until_it_is_forgotten)
{
    Store *s = open_ok(false);
    Arena arena = {0};
    const TableName one = {STR("all"), STR("t")}, other = {STR("all"), STR("u")};
    Str json;
    OK(store_dropped_put(s, one, STR("{\"a\":1}"), &err));
    OK(store_dropped_put(s, one, STR("{\"a\":2}"), &err));
    OK(store_dropped_get(s, one, &arena, &json, &err));
    ck_assert(str_eqc(json, "{\"a\":2}"));
    OK(store_dropped_get(s, other, &arena, &json, &err));
    ck_assert_uint_eq(json.len, 0);
    OK(store_dropped_put(s, one, (Str){0}, &err));
    OK(store_dropped_get(s, one, &arena, &json, &err));
    ck_assert_uint_eq(json.len, 0);
    arena_done(&arena);
    store_close(s);
}
END_TEST

static Suite *store_suite(void)
{
    Suite *s = suite_create("store");
    TCase *t = tcase_create("store");
    tcase_add_checked_fixture(t, temp_dir_setup, temp_dir_teardown);
    tcase_set_timeout(t, 30);
    tcase_add_test(t, opening_makes_private_folder_and_runs_all_migrations);
    tcase_add_test(t, migrations_are_numbered_without_gaps);
    tcase_add_test(t, task_identity_is_made_once);
    tcase_add_test(t, members_keep_their_number_and_none_is_given_twice);
    tcase_add_test(t, the_newest_schema_counts);
    tcase_add_test(t, checkpoints_keep_floors_and_only_rise);
    tcase_add_test(t, views_take_states_without_point_or_error);
    tcase_add_test(t, pauses_outlive_the_process);
    tcase_add_test(t, runs_that_end_without_a_word_are_closed_by_the_next);
    tcase_add_test(t, events_are_bounded);
    tcase_add_test(t, a_second_process_is_refused_and_a_reader_is_not);
    tcase_add_test(t, a_newer_state_is_refused);
    tcase_add_test(t, a_foreign_database_is_refused);
    tcase_add_test(t, bytes_that_are_no_database_are_refused);
    tcase_add_test(t, nothing_to_read_is_said);
    tcase_add_test(t, a_kill_inside_a_checkpoint_leaves_the_one_before);
    tcase_add_test(t, a_failing_checkpoint_changes_nothing_and_the_store_goes_on);
    tcase_add_test(t, a_table_begins_with_its_definition);
    tcase_add_test(t, a_table_made_anew_goes_on_in_the_fork_that_waits);
    tcase_add_test(t, a_dropped_target_is_kept_until_it_is_forgotten);
    tcase_add_test(t, a_kill_inside_a_migration_leaves_the_version_before);
    tcase_add_test(t, kills_at_any_moment_leave_both_floors_of_one_checkpoint);
    suite_add_tcase(s, t);
    return s;
}

UNIT_MAIN(store_suite)
