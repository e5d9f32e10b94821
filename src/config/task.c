#include "config/task.h"
#include <stdlib.h>
#include "base/check.h"
#include "config/build.h"
#include "config/value.h"
#include "base/poison.h"

void build_require(Build *b, const Node *map, const char *key, Str owner)
{
    if (!keys_absent(map, key)) return;
    StrBuf remedy = {0};
    sb_printf(&remedy, "add %s:", key);
    problem_add(&b->problems, ERR_CONFIG_MISSING, map->place, remedy.ptr, "%s is missing%s" STR_FMT, key,
                owner.len ? " in " : "", STR_ARG(owner));
    sb_done(&remedy);
}

/* -- name and modes -- */

static void name_build(Build *b)
{
    build_require(b, b->root, "name", STR(""));
    Str name = b->task->name = keys_str(SECTION_TASK, b->root, "name");
    if (name.len && (memchr(name.ptr, '/', name.len) || name.ptr[0] == '.'))
        problem_add(&b->problems, ERR_CONFIG_VALUE, node_get(b->root, "name")->place, "choose another name",
                    "name: it names a folder, so it may not hold '/' or begin with '.'");
}

static void task_mode_build(Build *b)
{
    build_require(b, b->root, "task-mode", STR(""));
    Str mode = keys_str(SECTION_TASK, b->root, "task-mode");
    b->task->mode = str_eq(mode, STR("full"))  ? TASK_MODE_FULL
                    : str_eq(mode, STR("all")) ? TASK_MODE_ALL
                                               : TASK_MODE_INCREMENTAL;
    if (!mode.len || str_eq(mode, STR("incremental")) || b->task->mode != TASK_MODE_INCREMENTAL) return;
    problem_add(
        &b->problems, ERR_NOT_SUPPORTED, node_get(b->root, "task-mode")->place,
        "use full (copy, then end), all (copy, then follow) or incremental: nothing is written to files "
        "in between",
        "task-mode: " STR_FMT " cannot be had alone", STR_ARG(mode));
}

static void shard_mode_build(Build *b)
{
    const Section s = SECTION_TASK;
    Task *t = b->task;
    Str mode = keys_str(s, b->root, "shard-mode");
    if (str_eq(mode, STR("pessimistic")) || (!mode.len && keys_bool(s, b->root, "is-sharding")))
        t->shard_mode = SHARD_MODE_PESSIMISTIC;
    else if (str_eq(mode, STR("optimistic")))
        t->shard_mode = SHARD_MODE_OPTIMISTIC;
    t->strict_optimistic = keys_bool(s, b->root, "strict-optimistic-shard-mode");
    if (t->strict_optimistic && t->shard_mode != SHARD_MODE_OPTIMISTIC)
        problem_add(&b->problems, ERR_CONFIG_VALUE, keys_place(b->root, "strict-optimistic-shard-mode"),
                    "remove it, or set shard-mode: optimistic",
                    "strict-optimistic-shard-mode goes only with shard-mode: optimistic");
}

static void timezone_build(Build *b)
{
    Str zone = b->task->timezone = keys_str(SECTION_TASK, b->root, "timezone");
    if (zone.len && !value_is_timezone(zone))
        problem_add(&b->problems, ERR_CONFIG_VALUE, node_get(b->root, "timezone")->place,
                    "write a name such as Asia/Shanghai, or an offset such as +08:00",
                    "timezone: not a time zone");
}

/* -- own keys -- */

static void policies_build(Build *b)
{
    const Section s = SECTION_TASK;
    b->task->on_missing_row =
        str_eq(keys_str(s, b->root, "on-missing-row"), STR("record")) ? MISS_RECORD : MISS_STOP;
    b->task->on_collision = conflict_policy_of(keys_str(s, b->root, "on-collision"));
}

/* Behind the rules. */
static void collision_column_check(Build *b)
{
    ConflictPolicy all = b->task->on_collision;
    if (!keys_str(SECTION_TASK, b->root, "collision-column").len) return;
    if (all == CONFLICT_KEEP_FIRST || all == CONFLICT_KEEP_NEWEST) return;
    for (size_t i = 0; i < b->task->n_routes; i++)
        if (b->task->routes[i].key.conflict_column.len) return;
    problem_add(&b->problems, ERR_CONFIG_VALUE, keys_place(b->root, "collision-column"),
                "remove it, or set on-collision to keep-first or keep-newest",
                "collision-column: on-collision compares no column");
}

static void limits_build(Build *b)
{
    const Section s = SECTION_TASK;
    Task *t = b->task;
    t->memory_limit = keys_u64(s, b->root, "memory-limit");
    t->split_transaction_rows = keys_u64(s, b->root, "split-transaction-rows");
    t->spill_bytes = keys_u64(s, b->root, "spill-bytes");
    t->heartbeat_ms = keys_u64(s, b->root, "heartbeat");
    t->collision_grace_ms = (unsigned)keys_u64(s, b->root, "collision-grace");
    uint64_t retry_ms = keys_u64(s, b->root, "retry-max");
    t->retry_max_seconds = (unsigned)MIN((retry_ms + 999) / 1000, (uint64_t)UINT32_MAX);
    if (t->spill_bytes <= t->memory_limit / 4) return;
    const Node *written = node_get(b->root, "spill-bytes");
    t->spill_bytes = t->memory_limit / 4;
    if (written)
        problem_add(&b->problems, ERR_CONFIG_VALUE, written->place, "lower it, or raise memory-limit",
                    "spill-bytes: more than a quarter of memory-limit");
}

static void state_dir_build(Build *b)
{
    Task *t = b->task;
    const Node *written = node_get(b->root, "state-dir");
    if (written && written->text.len)
        t->state_dir = build_path(b, t->path, written->text);
    else
        t->state_dir = arena_printf(&t->arena, STR_FMT "state/" STR_FMT, STR_ARG(build_folder_of(t->path)),
                                    STR_ARG(t->name));
}

static void target_build(Build *b)
{
    build_require(b, b->root, "target-database", STR(""));
    const Node *target = node_get(b->root, "target-database");
    if (target) endpoint_build(b, target, true, &b->task->target);
}

static void task_build(Build *b)
{
    const Section s = SECTION_TASK;
    keys_check(s, b->root, &b->problems);
    name_build(b);
    task_mode_build(b);
    shard_mode_build(b);
    timezone_build(b);
    b->task->meta_schema = keys_str(s, b->root, "meta-schema");
    b->task->case_sensitive = keys_bool(s, b->root, "case-sensitive");
    b->task->allow_keyless_tables = keys_bool(s, b->root, "allow-keyless-tables");
    b->task->create_tables = keys_bool(s, b->root, "create-tables");
    policies_build(b);
    limits_build(b);
    state_dir_build(b);
    target_build(b);
    rules_build(b);
    collision_column_check(b);
    build_require(b, b->root, "mysql-instances", STR(""));
    sources_collect(b);
    instances_build(b);
    load_options_build(b);
}

bool task_load(const char *path, const TaskOpts *opts, Task **out, StrBuf *problems, Err *err)
{
    static const TaskOpts none;
    Task *t = mem_zalloc(sizeof *t);
    t->path = arena_str(&t->arena, str_of(path)).ptr;
    Build b = {.task = t, .opts = opts ? opts : &none};
    b.root = node_read_file(&t->arena, t->path, &b.problems);
    if (b.root) task_build(&b);
    bool ok = problems_report(&b.problems, problems, err);
    problems_done(&b.problems);
    map_done(&b.sources);
    map_done(&b.routes);
    map_done(&b.named);
    map_done(&b.used);
    if (!ok) {
        task_free(t);
        return false;
    }
    *out = t;
    return true;
}

void task_free(Task *t)
{
    if (!t) return;
    tls_private_remove(t);
    arena_done(&t->arena);
    free(t);
}
