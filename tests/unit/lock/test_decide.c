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

/* Nothing is left to change, but what the job has done until it failed must not stay. */
START_TEST(job_that_failed_and_is_not_wanted_any_more)
{
    Group g;
    group_begin(&g, &(LockOpts)PESSIMISTIC, create, 2);
    for (uint32_t i = 0; i < 2; i++) {
        g.held_back = i == 1;
        ck_assert(group_run(&g, i, ALTER "ADD UNIQUE KEY k_a (a)"));
    }
    ck_assert(group_tell(&g, &(LockEvent){.kind = LOCK_EV_DRAINED, .job = g.job}));
    ck_assert(group_tell(&g, &(LockEvent){.kind = LOCK_EV_FAILED, .job = g.job, .words = STR("1062")}));
    for (uint32_t i = 0; i < 2; i++)
        ck_assert(group_run(&g, i, ALTER "DROP KEY k_a"));
    ck_assert_int_eq(lock_state(g.lock), LOCK_OPERATOR);
    int alters = g.alters;
    uint64_t failed = g.job;
    ck_assert(group_decide(&g, LOCK_RETRY, 0, 0));
    ck_assert_int_eq(lock_state(g.lock), LOCK_RELEASING);
    ck_assert_uint_gt(g.job, failed);
    check_json(&g);
    g.held_back = false;
    ck_assert(group_tell(&g, &(LockEvent){.kind = LOCK_EV_DRAINED, .job = g.job}));
    ck_assert_int_eq(g.alters, alters + 1);
    ck_assert(group_settle(&g));
    ck_assert_int_eq(lock_state(g.lock), LOCK_CLOSED);
    check_json(&g);
    for (uint32_t i = 0; i < 2; i++) /* and the next one that changes nothing wants none */
        ck_assert(group_run(&g, i, ALTER "COMMENT 'x'"));
    ck_assert_int_eq(g.alters, alters + 1);
    group_done(&g);
}
END_TEST

static uint64_t fails(Group *g)
{
    LockActions acts = {0};
    ck_assert(group_tell(g, &(LockEvent){.kind = LOCK_EV_DRAINED, .job = g->job}));
    check_json(g);
    lock_restart(g->lock, &acts);
    uint64_t left = act_of(&acts, LOCK_ACT_ALTER)->alter.left;
    lock_actions_done(&acts);
    ck_assert(group_tell(g, &(LockEvent){.kind = LOCK_EV_FAILED, .job = g->job, .words = STR("1062")}));
    return left;
}

/* What stands in the middle: all from the first one that did not go on, until one ends well. */
START_TEST(jobs_left_until_one_ends_well)
{
    Group g;
    group_begin(&g, &(LockOpts)PESSIMISTIC, create, 2);
    for (uint32_t i = 0; i < 2; i++) {
        g.held_back = i == 1;
        ck_assert(group_run(&g, i, ALTER "ADD c INT"));
    }
    uint64_t first = g.job;
    ck_assert_uint_eq(fails(&g), 0);
    for (int i = 0; i < 2; i++) {
        ck_assert(group_decide(&g, LOCK_RETRY, 0, 0));
        ck_assert_uint_eq(fails(&g), first);
    }
    ck_assert_uint_eq(g.job, first + 2);
    StrBuf text = {0};
    lock_to_json(g.lock, &text);
    char *said = strstr(text.ptr, "\"left\":1,");
    ck_assert_ptr_nonnull(said); /* an older state does not say which */
    CLEANUP(sb_done) StrBuf older = {0};
    sb_add(&older, text.ptr, (size_t)(said - text.ptr));
    sb_printf(&older, "\"left\":true,%s", said + strlen("\"left\":1,"));
    sb_done(&text);
    lock_free(g.lock);
    ck_assert(lock_from_json(g.pool, sb_view(&older), &g.opts, &g.lock, &g.err));
    check_json(&g);
    ck_assert(group_decide(&g, LOCK_GIVE_UP, 0, 0));
    ck_assert_uint_eq(fails(&g), first);
    ck_assert(group_decide(&g, LOCK_GIVE_UP, 0, 0));
    ck_assert(group_tell(&g, &(LockEvent){.kind = LOCK_EV_DRAINED, .job = g.job}));
    ck_assert(group_tell(&g, &(LockEvent){.kind = LOCK_EV_ALTERED, .job = g.job}));
    for (uint32_t i = 0; i < 2; i++)
        ck_assert(group_run(&g, i, ALTER "ADD d INT"));
    ck_assert_uint_eq(g.job, first + 3);
    ck_assert_uint_eq(fails(&g), 0);
    group_done(&g);
}
END_TEST

/* It does not count, but its rows have to go somewhere. */
START_TEST(skipped_widening)
{
    Group g;
    group_begin(&g, &(LockOpts)PESSIMISTIC, create, 2);
    ck_assert(group_run(&g, 0, ALTER "MODIFY a BIGINT"));
    ck_assert(group_is_held(&g, 0));
    ck_assert(group_decide(&g, LOCK_SKIP, 0, 1));
    ck_assert(!group_is_held(&g, 0));
    ck_assert_int_eq(g.alters, 1);
    ck_assert(str_eqc(group_column(&g, "a")->data_type, "bigint"));
    ck_assert(group_run(&g, 0, ALTER "ADD c INT") && group_run(&g, 1, ALTER "ADD c INT"));
    ck_assert(!group_is_held(&g, 0) && !group_is_held(&g, 1));
    ck_assert(str_eqc(group_column(&g, "a")->data_type, "bigint"));
    check_json(&g);
    group_done(&g);
}
END_TEST

/* Its table has a column of that name again, and other values in it than the target. */
START_TEST(skipped_drop_then_added_again)
{
    for (int accepted = 0; accepted < 2; accepted++) {
        Group g;
        group_begin(&g, &(LockOpts)PESSIMISTIC, create, 2);
        ck_assert(group_run(&g, 0, ALTER "DROP a"));
        ck_assert(group_is_held(&g, 0));
        if (!accepted) ck_assert(group_read(&g, 0, ALTER "ADD a INT AFTER id"));
        ck_assert(group_decide(&g, LOCK_SKIP, 0, 1));
        if (accepted) {
            ck_assert_int_eq(lock_state(g.lock), LOCK_CLOSED);
            check_json(&g);
            ck_assert(group_run(&g, 0, ALTER "ADD a INT AFTER id"));
        }
        ck_assert_int_eq(lock_state(g.lock), LOCK_DATA_DIFFERS);
        ck_assert(group_is_held(&g, 0) && !group_is_held(&g, 1));
        check_json(&g);
        ck_assert(group_decide(&g, LOCK_ACCEPT, 0, 2));
        ck_assert_int_eq(lock_state(g.lock), LOCK_CLOSED);
        group_done(&g);
    }
}
END_TEST

/* A release is a place of its own in the history, behind rows of the step before it. */
START_TEST(work_waits_for_rows_behind_a_decision)
{
    Group g;
    group_begin(&g, &(LockOpts){.provenance = true, .refill_own = true}, create, 2);
    const LockEvent written[] = {{.kind = LOCK_EV_WRITTEN, .member = 0, .number = 1},
                                 {.kind = LOCK_EV_WRITTEN, .member = 1, .number = 1},
                                 {.kind = LOCK_EV_WRITTEN, .member = 0, .number = 3},
                                 {.kind = LOCK_EV_PASSED, .member = 1, .number = 2},
                                 {.kind = LOCK_EV_WRITTEN, .member = 1, .number = 2}};
    LockEvent release = {
        .kind = LOCK_EV_DECIDE, .member = 0, .number = 2, .decision = LOCK_RELEASE, .words = STR("x")};
    ck_assert(group_read(&g, 0, ALTER "ADD c INT"));
    ck_assert(group_read(&g, 0, ALTER "ADD d INT"));
    ck_assert(group_read(&g, 1, ALTER "ADD c INT"));
    ck_assert(group_tell(&g, &written[0]) && group_tell(&g, &written[1]));
    ck_assert_int_eq(g.alters, 1);
    ck_assert(group_tell(&g, &release)); /* member 1 counts as having d; its rows of step 1 still wait */
    for (uint32_t i = 0; i < 2; i++) {
        g.now = i ? "2026-01-01 12:01:00" : "2026-01-01 12:00:00";
        ck_assert(group_read(&g, i, ALTER "ADD n DATETIME DEFAULT now()"));
    }
    ck_assert(group_tell(&g, &written[2]) && group_tell(&g, &written[3]));
    ck_assert_int_eq(g.works, 0);
    ck_assert(group_tell(&g, &written[4]));
    ck_assert_int_eq(g.works, 1);
    ck_assert_int_eq(g.work, LOCK_WORK_REFILL);
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

#define UUID ALTER "ADD u CHAR(36) DEFAULT (uuid())"

/* Rows that went away are no value that nobody can compute: what is accepted for one shard says nothing about
 * another's, and no shard's rows go because it is accepted. */
static const struct {
    const char *name;
    LockPolicy on_truncate;
    uint32_t n;
    Line lines[4];
    uint32_t accepted;
    bool refused;
    LockState then;
    const char *ends; /* decisions that end it: who, 'a'ccept or 's'kip of step 2 */
} rows_lost[] = {
    {"another's waits for the operator",
     LOCK_POLICY_HOLD,
     3,
     {{0, UUID, NULL}, {1, UUID, NULL}, {2, UUID, NULL}, {1, "TRUNCATE TABLE t", NULL}},
     0,
     false,
     LOCK_OPERATOR,
     "1s1a"},
    {"another's waits for all",
     LOCK_POLICY_APPLY_WHEN_ALL,
     3,
     {{0, UUID, NULL}, {1, UUID, NULL}, {2, UUID, NULL}, {1, "TRUNCATE TABLE t", NULL}},
     0,
     false,
     LOCK_DATA_DIFFERS,
     "1s1a"},
    {"its own waits for the operator",
     LOCK_POLICY_HOLD,
     2,
     {{0, UUID, NULL}, {1, UUID, NULL}, {0, "TRUNCATE TABLE t", NULL}},
     0,
     true,
     LOCK_OPERATOR,
     "0s0a"},
    {"it does not count as one that lost them",
     LOCK_POLICY_APPLY_WHEN_ALL,
     2,
     {{0, UUID, NULL}, {1, UUID, NULL}, {0, "TRUNCATE TABLE t", NULL}},
     1,
     false,
     LOCK_DATA_DIFFERS,
     "0s0a"},
    {"nor when that alone agrees",
     LOCK_POLICY_APPLY_WHEN_ALL,
     2,
     {{0, ALTER "ADD c INT DEFAULT 1", NULL},
      {0, "TRUNCATE TABLE t", NULL},
      {1, ALTER "ADD c INT DEFAULT 2", NULL},
      {1, ALTER "ALTER c SET DEFAULT 1", NULL}},
     1,
     true,
     LOCK_DATA_DIFFERS,
     "0s1a"},
    {"its own alone differs",
     LOCK_POLICY_APPLY_WHEN_ALL,
     2,
     {{0, ALTER "ADD c INT", NULL}, {0, "TRUNCATE TABLE t", NULL}, {1, ALTER "ADD c INT", NULL}},
     0,
     false,
     LOCK_CLOSED,
     ""},
};

START_TEST(accept_takes_no_rows)
{
    Group g;
    group_begin(&g, &(LockOpts){.on_truncate = rows_lost[_i].on_truncate}, create, rows_lost[_i].n);
    for (int i = 0; i < 4 && rows_lost[_i].lines[i].sql; i++)
        ck_assert(group_read(&g, rows_lost[_i].lines[i].member, rows_lost[_i].lines[i].sql));
    ck_assert(group_settle(&g));
    uint32_t who = rows_lost[_i].accepted;
    bool ok = group_decide(&g, LOCK_ACCEPT, who, g.members[who].steps);
    ck_assert_msg(ok != rows_lost[_i].refused, "%s: %s", rows_lost[_i].name, ok ? "done" : g.err.message);
    ck_assert_msg(lock_state(g.lock) == rows_lost[_i].then, "%s: %s", rows_lost[_i].name,
                  lock_state_name(lock_state(g.lock)));
    check_json(&g);
    for (const char *p = rows_lost[_i].ends; *p; p += 2)
        ck_assert_msg(group_decide(&g, p[1] == 's' ? LOCK_SKIP : LOCK_ACCEPT, (uint32_t)(*p - '0'), 2),
                      "%s: %s: %s", rows_lost[_i].name, p, g.err.message);
    ck_assert_msg(lock_state(g.lock) == LOCK_CLOSED, "%s: in the end %s", rows_lost[_i].name,
                  lock_state_name(lock_state(g.lock)));
    ck_assert_uint_eq(g.rows.len, 0);
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
    tcase_add_test(t, job_that_failed_and_is_not_wanted_any_more);
    tcase_add_test(t, jobs_left_until_one_ends_well);
    tcase_add_test(t, released_early);
    tcase_add_test(t, skipped_widening);
    tcase_add_test(t, skipped_drop_then_added_again);
    tcase_add_loop_test(t, accept_takes_no_rows, 0, ARRAY_LEN(rows_lost));
    tcase_add_test(t, work_waits_for_rows_behind_a_decision);
    suite_add_tcase(s, t);
    return s;
}

UNIT_MAIN(decide_suite)
