/* Jobs of a lock that fail, and what an operator decides then; other statements in place of a member's. */
#include "unit.h"
#include "lines.h"

/* -- replace: other statements count instead of a member's -- */

typedef struct Replaced {
    const char *name;
    LockOpts opts;
    Line lines[2];
    const char *sql[3];
    const char *then;          /* NULL: refused */
    const char *column, *feed; /* of member 0's rows after step 1: what the target's column gets */
} Replaced;

/* clang-format off: one line each */
static const Replaced replaced[] = {
    {"the type that the others have",
     PESSIMISTIC,
     {{0, ALTER "ADD c INT", "waiting H."}, {1, ALTER "ADD c BIGINT", "waiting HH"}},
     {ALTER "ADD c BIGINT"},
     "+closed ..",
     "c",
     "row"},
    {"another column: what it has is left out",
     PESSIMISTIC,
     {{0, ALTER "ADD c INT", "waiting H."}, {1, ALTER "ADD d INT", "waiting HH"}},
     {ALTER "ADD d INT"},
     "+closed ..",
     "d",
     "NULL"},
    {"another column with a default",
     PESSIMISTIC,
     {{0, ALTER "ADD c INT", "waiting H."}, {1, ALTER "ADD d INT NOT NULL DEFAULT 4", "waiting HH"}},
     {ALTER "ADD d INT NOT NULL DEFAULT 4"},
     "+closed ..",
     "d",
     "'4'"},
    {"a rename to another name",
     PESSIMISTIC,
     {{0, ALTER "RENAME COLUMN a TO x", "waiting H."}, {1, ALTER "RENAME COLUMN a TO y", "waiting HH"}},
     {ALTER "RENAME COLUMN a TO y"},
     "+closed ..",
     "y",
     "row"},
    {"two statements for one",
     PESSIMISTIC,
     {{0, ALTER "ADD c INT", "waiting H."}, {1, ALTER "ADD c INT, ADD d INT", "waiting HH"}},
     {ALTER "ADD c INT", ALTER "ADD d INT"},
     "+closed ..",
     "c",
     "row"},
    {"a rename after a rename",
     PESSIMISTIC,
     {{0, ALTER "RENAME COLUMN a TO x", "waiting H."}, {1, ALTER "RENAME COLUMN a TO z", "waiting HH"}},
     {ALTER "RENAME COLUMN a TO y", ALTER "RENAME COLUMN y TO z"},
     "+closed ..",
     "z",
     "row"},
    {"an index alone: nothing of it counts for rows",
     PESSIMISTIC,
     {{0, ALTER "ADD c INT", "waiting H."}},
     {ALTER "ADD KEY ia (a)"},
     "waiting ..",
     "a",
     "row"},
    {"optimistic: the target grows",
     OPTIMISTIC,
     {{0, ALTER "RENAME COLUMN a TO x", "waiting H."}},
     {ALTER "ADD x INT"},
     "+waiting ..",
     "a",
     "row"},
    {"rows do not fit the type",
     PESSIMISTIC,
     {{0, ALTER "ADD c VARCHAR(20)", "waiting H."}},
     {ALTER "ADD c INT"},
     NULL,
     NULL,
     NULL},
    {"NOT NULL without a value",
     PESSIMISTIC,
     {{0, ALTER "DROP a", "waiting H."}},
     {ALTER "MODIFY a INT NOT NULL"},
     NULL,
     NULL,
     NULL},
    {"no statement", PESSIMISTIC, {{0, ALTER "ADD c INT", "waiting H."}}, {NULL}, NULL, NULL, NULL},
    {"rows that go",
     PESSIMISTIC,
     {{0, ALTER "ADD c INT", "waiting H."}},
     {"TRUNCATE TABLE t"},
     NULL,
     NULL,
     NULL},
    {"instead of rows that went",
     PESSIMISTIC,
     {{0, "TRUNCATE TABLE t", "operator H."}},
     {ALTER "ADD c INT"},
     NULL,
     NULL,
     NULL},
    {"what was followed already",
     OPTIMISTIC,
     {{0, ALTER "ADD c INT", "+waiting .."}},
     {ALTER "ADD d INT"},
     NULL,
     NULL,
     NULL},
};
/* clang-format on */

START_TEST(replacement)
{
    const Replaced *d = &replaced[_i];
    Group g;
    TableSchema *after[3] = {0};
    SchemaStep *steps[3] = {0};
    const TableSchema *before = NULL;
    LockEvent e = {.kind = LOCK_EV_DECIDE,
                   .number = 1,
                   .decision = LOCK_REPLACE,
                   .steps = (const SchemaStep *const *)steps};
    StrBuf now = {0}, preview = {0};
    group_begin(&g, &d->opts, create, 2);
    run_lines(&g, d->lines, ARRAY_LEN(d->lines));
    if (!lock_schema_before(g.lock, 0, 1, &before)) before = g.members[0].now; /* agreed on meanwhile */
    for (; e.n_steps < 3 && d->sql[e.n_steps]; e.n_steps++) {
        ck_assert(group_step_of(&g, e.n_steps ? after[e.n_steps - 1] : before, d->sql[e.n_steps],
                                &after[e.n_steps], &steps[e.n_steps]));
    }
    uint64_t hash = lock_hash(g.lock);
    bool shown = lock_preview(g.lock, &e, &preview, &g.err);
    ck_assert_uint_eq(lock_hash(g.lock), hash);
    err_clear(&g.err);
    g.err = (Err){0};
    int alters = g.alters;
    bool ok = group_tell(&g, &e);
    ck_assert_msg(ok == (d->then != NULL) && shown == ok, "%s: %s", d->name, g.err.message);
    if (!ok) {
        ck_assert_int_eq(g.err.code, ERR_LOCK_DECISION);
        ck_assert_uint_eq(lock_hash(g.lock), hash);
    } else {
        marks(&g, alters, &now);
        ck_assert_msg(strcmp(now.ptr, d->then) == 0, "%s: %s, not %s", d->name, now.ptr, d->then);
        ck_assert_msg(strstr(preview.ptr, "is taken for another change"), "%s", preview.ptr);
        ck_assert_msg(group_feed(&g, 0, 1, d->column, &now), "%s", g.err.message);
        ck_assert_msg(strcmp(now.ptr, d->feed) == 0, "%s: %s, not %s", d->name, now.ptr, d->feed);
        check_json(&g);
    }
    for (uint32_t i = 0; i < e.n_steps; i++) {
        schema_step_free(steps[i]);
        schema_free(after[i]);
    }
    sb_done(&now);
    sb_done(&preview);
    group_done(&g);
}
END_TEST

/* What was replaced keeps its values when another shard's version counts for all afterwards; a skip gives
 * them up. */
START_TEST(replaced_then_released)
{
    for (int skips = 0; skips < 2; skips++) {
        Group g;
        TableSchema *after = NULL;
        SchemaStep *step = NULL;
        StrBuf feed = {0};
        group_begin(&g, &(LockOpts)PESSIMISTIC, create, 2);
        ck_assert(group_run(&g, 0, ALTER "ADD c INT"));
        ck_assert(group_run(&g, 1, ALTER "ADD c BIGINT, ADD d INT"));
        const TableSchema *before = NULL;
        ck_assert(lock_schema_before(g.lock, 0, 1, &before));
        ck_assert(group_step_of(&g, before, ALTER "ADD c BIGINT", &after, &step));
        const SchemaStep *const steps[] = {step};
        LockEvent e = {
            .kind = LOCK_EV_DECIDE, .number = 1, .decision = LOCK_REPLACE, .steps = steps, .n_steps = 1};
        ck_assert_msg(group_tell(&g, &e), "%s", g.err.message);
        if (skips) ck_assert(group_decide(&g, LOCK_SKIP, 0, 1));
        check_json(&g);
        ck_assert_msg(group_decide(&g, LOCK_RELEASE, 1, 1), "%s", g.err.message);
        ck_assert_int_eq(lock_state(g.lock), LOCK_CLOSED);
        ck_assert_msg(group_feed(&g, 0, 1, "c", &feed), "%s", g.err.message);
        ck_assert_str_eq(feed.ptr, skips ? "NULL" : "row");
        check_json(&g);
        schema_step_free(step);
        schema_free(after);
        sb_done(&feed);
        group_done(&g);
    }
}
END_TEST

/* The failed job goes on without its statement; the target may still not hold the rows. */
static void given_up(Group *g, uint64_t job)
{
    LockActions acts = {0};
    g->held_back = true;
    for (int i = 0; i < 2; i++) {
        ck_assert(group_decide(g, LOCK_GIVE_UP, 0, 0));
        ck_assert_int_eq(lock_state(g->lock), LOCK_RELEASING);
        ck_assert_uint_eq(g->job, job);
        check_json(g);
        ck_assert(group_tell(g, &(LockEvent){.kind = LOCK_EV_DRAINED, .job = job}));
        lock_restart(g->lock, &acts);
        ck_assert(act_of(&acts, LOCK_ACT_ALTER)->alter.as_is);
        lock_actions_done(&acts);
        LockEventKind end = i ? LOCK_EV_ALTERED : LOCK_EV_FAILED;
        ck_assert(group_tell(g, &(LockEvent){.kind = end, .job = job, .words = STR("no c")}));
        ck_assert_int_eq(lock_state(g->lock), i ? LOCK_WAITING : LOCK_OPERATOR);
        check_json(g);
    }
    ck_assert_ptr_nonnull(group_column(g, "c"));
    ck_assert(!group_decide(g, LOCK_GIVE_UP, 0, 0));
}

START_TEST(job)
{
    Group g;
    LockActions acts = {0};
    group_begin(&g, &(LockOpts)OPTIMISTIC, create, 2);
    g.held_back = true;
    ck_assert(group_read(&g, 0, ALTER "ADD c INT"));
    ck_assert_int_eq(lock_state(g.lock), LOCK_RELEASING);
    ck_assert(!lock_is_open(g.lock));
    lock_restart(g.lock, &acts);
    ck_assert_uint_eq(act_of(&acts, LOCK_ACT_SHUT)->job, g.job);
    ck_assert_ptr_null(act_of(&acts, LOCK_ACT_OPEN));
    lock_actions_done(&acts);
    ck_assert(group_tell(&g, &(LockEvent){.kind = LOCK_EV_ALTERED, .job = g.job}));     /* not drained yet */
    ck_assert(group_tell(&g, &(LockEvent){.kind = LOCK_EV_DRAINED, .job = g.job + 7})); /* another's */
    ck_assert_int_eq(g.alters, 0);
    ck_assert(group_tell(&g, &(LockEvent){.kind = LOCK_EV_DRAINED, .job = g.job}));
    ck_assert_int_eq(g.alters, 1);
    check_json(&g);
    ck_assert(group_tell(&g, &(LockEvent){.kind = LOCK_EV_FAILED, .job = g.job, .words = STR("1062")}));
    ck_assert_int_eq(lock_state(g.lock), LOCK_OPERATOR);
    ck_assert(lock_is_open(g.lock));
    ck_assert_int_eq(g.asks, 1);
    check_json(&g);
    lock_restart(g.lock, &acts);
    ck_assert(str_eqc(act_of(&acts, LOCK_ACT_ASK)->words, "1062"));
    ck_assert_ptr_nonnull(act_of(&acts, LOCK_ACT_OPEN));
    lock_actions_done(&acts);
    g.held_back = false;
    Lock *kept = lock_clone(g.lock);
    uint64_t number = g.job;
    ck_assert(group_decide(&g, LOCK_RETRY, 0, 0));
    ck_assert_int_eq(g.alters, 2);
    ck_assert_uint_gt(g.job, number);
    ck_assert_int_eq(lock_state(g.lock), LOCK_WAITING);
    ck_assert_ptr_nonnull(group_column(&g, "c"));
    lock_free(g.lock);
    g.lock = kept;
    given_up(&g, number);
    group_done(&g);
}
END_TEST

/* A member's rows before its step may wait for the one that waits for them: released, the target holds both.
 */
START_TEST(released_early)
{
    Group g;
    StrBuf feed = {0};
    uint64_t last, accepted;
    group_begin(&g, &(LockOpts)PESSIMISTIC, create, 2);
    ck_assert(group_run(&g, 0, ALTER "ADD c INT DEFAULT 5, DROP a"));
    ck_assert(group_read(&g, 1, ALTER "ADD c INT DEFAULT 5, DROP a")); /* nothing before it is written */
    ck_assert_int_eq(lock_state(g.lock), LOCK_WAITING);
    ck_assert(group_is_held(&g, 0) && group_is_held(&g, 1));
    LockEvent e = {
        .kind = LOCK_EV_DECIDE, .member = 0, .number = 1, .decision = LOCK_RELEASE, .words = STR("x")};
    ck_assert(group_tell(&g, &e));
    ck_assert(lock_member(g.lock, 1, &last, &accepted) && accepted == 1);
    ck_assert_int_eq(lock_state(g.lock), LOCK_WAITING);
    ck_assert(!group_is_held(&g, 0));
    ck_assert(group_feed(&g, 1, 0, "a", &feed)); /* its rows before the step go whole into the target */
    ck_assert_str_eq(feed.ptr, "row");
    ck_assert(group_feed(&g, 1, 0, "c", &feed));
    ck_assert_str_eq(feed.ptr, "'5'");
    check_json(&g);
    ck_assert(group_settle(&g));
    ck_assert_int_eq(lock_state(g.lock), LOCK_CLOSED);
    ck_assert_ptr_null(group_column(&g, "a"));
    sb_done(&feed);
    group_done(&g);
}
END_TEST

static Suite *decide_suite(void)
{
    Suite *s = suite_create("lock/decide");
    TCase *t = tcase_create("decisions");
    tcase_add_loop_test(t, replacement, 0, ARRAY_LEN(replaced));
    tcase_add_test(t, replaced_then_released);
    tcase_add_test(t, job);
    tcase_add_test(t, released_early);
    suite_add_tcase(s, t);
    return s;
}

UNIT_MAIN(decide_suite)
