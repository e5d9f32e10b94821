#include "pipeline/unfollow.h"
#include "model/lineage.h"
#include "model/point.h"
#include "store/store_ddl.h"
#include "track/step_json.h"
#include "base/poison.h"

#define SOURCE_TABLE "table " STR_FMT "." STR_FMT " of source " STR_FMT
#define TABLE_ARG(t) STR_ARG((t).schema), STR_ARG((t).table)

static const char remedy[] =
    "set shard-mode back (to either of the two); only a task that has followed no schema change can do "
    "without it: to begin anew take another task name, an empty state folder and empty targets";

static bool no_rows_wait(Store *s, Arena *arena, Err *err)
{
    StoreFork *forks;
    size_t n;
    if (!store_forks(s, arena, &forks, &n, err)) return false;
    for (size_t i = 0; i < n; i++) {
        const StoreFork *f = &forks[i];
        CLEANUP(sb_done) StrBuf from = {0};
        StreamPoint at = {0};
        if (f->finished) continue;
        if (!point_parse(f->from_json, &at, err)) return false;
        point_format_human(&at, &from);
        point_done(&at);
        return err_set_remedy(err, ERR_STATE_TASK_CHANGED, remedy,
                              "shard-mode is not set any more, but rows of " SOURCE_TABLE
                              ", from %s on, are held for the target " STR_FMT "." STR_FMT
                              ": they would never be written",
                              TABLE_ARG(f->member), STR_ARG(f->source_id), from.ptr ? from.ptr : "its start",
                              TABLE_ARG(f->target));
    }
    return true;
}

static bool no_lock(Store *s, Arena *arena, bool closed, Err *err)
{
    StoreLock *locks;
    size_t n;
    if (!store_locks(s, arena, &locks, &n, err)) return false;
    for (size_t i = 0; i < n; i++)
        if (str_eqc(locks[i].state, "closed") == closed)
            return err_set_remedy(err, ERR_STATE_TASK_CHANGED, remedy,
                                  "shard-mode is not set any more, but the lock of target " STR_FMT
                                  "." STR_FMT " is " STR_FMT
                                  ": it says how rows of its shard tables go into it",
                                  TABLE_ARG(locks[i].target), STR_ARG(locks[i].state));
    return true;
}

static bool nobody_left(Store *s, Arena *arena, Err *err)
{
    uint64_t *left;
    StoreMember *members;
    size_t n_left, n;
    if (!store_left_members(s, arena, &left, &n_left, err) || !store_members(s, arena, &members, &n, err))
        return false;
    for (size_t i = 0; i < n; i++)
        if (n_left && members[i].member_no == left[0])
            return err_set_remedy(
                err, ERR_STATE_TASK_CHANGED, remedy,
                "shard-mode is not set any more, but " SOURCE_TABLE " has left the target " STR_FMT
                "." STR_FMT ": its rows would be written there again",
                TABLE_ARG(members[i].name), STR_ARG(members[i].source_id), TABLE_ARG(members[i].target));
    return true;
}

/* The statement that made a table is on record with the definition; every other changes one. */
static bool no_change(Store *s, Arena *arena, Err *err)
{
    StoreStep *steps;
    size_t n;
    bool ok = store_steps(s, arena, &steps, &n, err);
    for (size_t i = 0; ok && i < n; i++) {
        const StoreStep *t = &steps[i];
        SchemaStep *step;
        if (!step_from_json(t->change_json, &step, err)) return false;
        if (t->number > 1 || step->before)
            ok = err_set_remedy(err, ERR_STATE_TASK_CHANGED, remedy,
                                "shard-mode is not set any more, but a schema change of " SOURCE_TABLE
                                " was followed (" STR_FMT "): without it rows would be read by the "
                                "definition of before",
                                TABLE_ARG(t->member), STR_ARG(t->source_id), STR_ARG(step->statement));
        step_free(step);
    }
    return ok;
}

bool unfollow_check(Store *s, Err *err)
{
    Arena arena = {0};
    bool ok = no_rows_wait(s, &arena, err) && no_lock(s, &arena, false, err) && nobody_left(s, &arena, err) &&
              no_change(s, &arena, err) && no_lock(s, &arena, true, err);
    arena_done(&arena);
    return ok;
}
