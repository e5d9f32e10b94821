/* Locks driven by real statements: what waits, what the target becomes, what decisions do. */
#include "unit.h"
#include "lines.h"

typedef struct Story {
    const char *name;
    LockOpts opts;
    uint32_t n;
    Line lines[7];
} Story;

static const Story stories[] = {
    {"add column, one after the other",
     PESSIMISTIC,
     2,
     {{0, ALTER "ADD c INT", "waiting H."}, {1, ALTER "ADD COLUMN c INT NULL DEFAULT NULL", "+closed .."}}},
    {"add column grows the target at once",
     OPTIMISTIC,
     2,
     {{0, ALTER "ADD c INT", "+waiting .."}, {1, ALTER "ADD c INT", "closed .."}}},
    {"another order of independent changes",
     PESSIMISTIC,
     2,
     {{0, ALTER "ADD c INT", "waiting H."},
      {0, ALTER "ADD d INT", "waiting H."},
      {1, ALTER "ADD d INT", "waiting HH"},
      {1, ALTER "ADD c INT", "+closed .."}}},
    {"one statement or two",
     PESSIMISTIC,
     2,
     {{0, ALTER "ADD c INT, ADD d INT", "waiting H."},
      {1, ALTER "ADD d INT", "waiting HH"},
      {1, ALTER "ADD c INT", "+closed .."}}},
    {"a member beyond the common version stays held",
     PESSIMISTIC,
     2,
     {{0, ALTER "ADD c INT", "waiting H."},
      {0, ALTER "ADD d INT", "waiting H."},
      {1, ALTER "ADD c INT", "+waiting H."},
      {1, ALTER "ADD d INT", "+closed .."}}},
    {"a change that is taken back leaves no lock",
     PESSIMISTIC,
     2,
     {{0, ALTER "ADD c INT", "waiting H."}, {0, ALTER "DROP c", "closed .."}}},
    {"drop column: the target shrinks with the last member",
     OPTIMISTIC,
     2,
     {{0, ALTER "DROP a", "waiting .."}, {1, ALTER "DROP a", "+closed .."}}},
    {"drop of a NOT NULL column without default makes it nullable for the others",
     OPTIMISTIC,
     2,
     {{0, ALTER "MODIFY b INT NOT NULL", "+waiting .."},
      {1, ALTER "MODIFY b INT NOT NULL", "closed .."},
      {0, ALTER "DROP b", "+waiting .."},
      {1, ALTER "DROP b", "+closed .."}}},
    {"rename waits alone",
     OPTIMISTIC,
     3,
     {{0, ALTER "RENAME COLUMN a TO r", "waiting H.."},
      {1, ALTER "RENAME COLUMN a TO r", "waiting HH."},
      {2, ALTER "CHANGE a r INT", "+closed ..."}}},
    {"rename against drop and add",
     PESSIMISTIC,
     2,
     {{0, ALTER "RENAME COLUMN a TO r", "waiting H."},
      {1, ALTER "DROP a, ADD r INT AFTER id", "data-differs HH"}}},
    {"strict stops instead of waiting",
     {.mode = LOCK_OPTIMISTIC, .strict = true},
     2,
     {{0, ALTER "ADD c INT", "+waiting .."}, {1, ALTER "RENAME COLUMN a TO r", "operator .S"}}},
    {"widening grows the target",
     OPTIMISTIC,
     2,
     {{0, ALTER "MODIFY a BIGINT", "+waiting .."}, {1, ALTER "MODIFY a BIGINT", "closed .."}}},
    {"one widens, one narrows; both narrow in the end",
     OPTIMISTIC,
     2,
     {{0, ALTER "MODIFY a BIGINT", "+waiting .."},
      {1, ALTER "MODIFY a SMALLINT", "waiting .."},
      {0, ALTER "MODIFY a SMALLINT", "+closed .."}}},
    {"what one gave up keeps its type",
     OPTIMISTIC,
     2,
     {{0, ALTER "MODIFY a BIGINT", "+waiting .."},
      {0, ALTER "DROP a", "waiting .."},
      {1, ALTER "DROP a", "+closed .."}}},
    {"what one gave up keeps its NULLs",
     OPTIMISTIC,
     2,
     {{0, ALTER "MODIFY b INT DEFAULT 7", "+waiting .."},
      {0, ALTER "DROP b", "waiting .."},
      {1, ALTER "MODIFY b INT DEFAULT 7", "waiting .."},
      {1, ALTER "DROP b", "+closed .."}}},
    {"a column renamed to what another added stands under the other name",
     OPTIMISTIC,
     2,
     {{0, ALTER "ADD c INT", "+waiting .."},
      {1, ALTER "ADD d INT", "+waiting .."},
      {1, ALTER "RENAME COLUMN d TO c", "data-differs .H"}}},
    {"no type holds both",
     OPTIMISTIC,
     2,
     {{0, ALTER "ADD c DATE", "+waiting .."}, {1, ALTER "ADD c INT", "waiting .H"}}},
    {"indexes never hold",
     PESSIMISTIC,
     2,
     {{0, ALTER "ADD INDEX ia (a)", "waiting .."},
      {1, ALTER "ADD INDEX ia (a)", "+closed .."},
      {0, ALTER "DROP INDEX ib", "waiting .."},
      {1, ALTER "DROP INDEX ib", "+closed .."}}},
    {"indexes of one name over other columns: both are kept apart from rows",
     OPTIMISTIC,
     2,
     {{0, ALTER "ADD INDEX ix (a)", "+waiting .."}, {1, ALTER "ADD INDEX ix (s)", "waiting .."}}},
    {"an index that comes and goes leaves no lock",
     OPTIMISTIC,
     2,
     {{0, ALTER "ADD INDEX ix (a)", "+waiting .."}, {0, ALTER "DROP INDEX ix", "+closed .."}}},
    {"a unique key comes with the last member",
     OPTIMISTIC,
     2,
     {{0, ALTER "ADD UNIQUE ua (a, id)", "waiting .."}, {1, ALTER "ADD UNIQUE ua (a, id)", "+closed .."}}},
    {"a unique key goes with the first",
     OPTIMISTIC,
     2,
     {{0, ALTER "DROP INDEX us", "+waiting .."}, {1, ALTER "DROP INDEX us", "closed .."}}},
    {"comments and spelling do not matter",
     PESSIMISTIC,
     2,
     {{0, ALTER "COMMENT 'x'", "closed .."}, {1, "alter table `t` engine=InnoDB", "closed .."}}},
    {"truncate asks", PESSIMISTIC, 2, {{0, "TRUNCATE TABLE t", "operator H."}}},
    {"truncate, ignored", {.on_truncate = LOCK_POLICY_IGNORE}, 2, {{0, "TRUNCATE TABLE t", "closed .."}}},
    {"truncate, when all did",
     {.on_truncate = LOCK_POLICY_APPLY_WHEN_ALL},
     2,
     {{0, "TRUNCATE TABLE t", "data-differs H."}, {1, "TRUNCATE TABLE t", "+closed .."}}},
    {"truncate deletes the member's rows",
     {.on_truncate = LOCK_POLICY_DELETE_ROWS, .provenance = true},
     2,
     {{0, "TRUNCATE TABLE t", "closed .."}}},
    {"truncate cannot delete rows that nobody can tell",
     {.on_truncate = LOCK_POLICY_DELETE_ROWS},
     2,
     {{0, "TRUNCATE TABLE t", "operator H."}}},
    {"drop table, ignored: the member leaves",
     {.on_drop = LOCK_POLICY_IGNORE},
     2,
     {{0, "DROP TABLE t", "closed G."}}},
    {"drop table while others wait for it",
     {.on_drop = LOCK_POLICY_IGNORE},
     3,
     {{0, ALTER "ADD c INT", "waiting H.."},
      {1, ALTER "ADD c INT", "waiting HH."},
      {2, "DROP TABLE t", "+closed ..G"}}},
    {"drop table, when all did",
     {.on_drop = LOCK_POLICY_APPLY_WHEN_ALL},
     2,
     {{0, "DROP TABLE t", "waiting H."}, {1, "DROP TABLE t", "+closed GG"}}},
    {"truncated and altered in another order: rows before the loss are written first",
     {.on_truncate = LOCK_POLICY_APPLY_WHEN_ALL},
     2,
     {{0, ALTER "ADD c INT", "waiting H."},
      {0, "TRUNCATE TABLE t", "waiting H."},
      {1, "TRUNCATE TABLE t", "waiting HH"},
      {1, ALTER "ADD c INT", "+closed .."}}},
    {"dropped and made again: the target goes when all have dropped, and comes with the first",
     {.on_drop = LOCK_POLICY_APPLY_WHEN_ALL},
     2,
     {{0, "DROP TABLE t", "waiting H."},
      {0, create, "data-differs H."},
      {1, "DROP TABLE t", "+closed .G"},
      {1, create, "closed .."}}},
    {"the target is made again with what the first has; the second comes to that",
     {.on_drop = LOCK_POLICY_APPLY_WHEN_ALL},
     2,
     {{0, "DROP TABLE t", "waiting H."},
      {1, "DROP TABLE t", "+closed GG"},
      {0, "CREATE TABLE t (id INT PRIMARY KEY, z INT NOT NULL DEFAULT 3)", "+closed .G"},
      {1, "CREATE TABLE t (id INT PRIMARY KEY)", "waiting .H"},
      {1, ALTER "ADD z INT NOT NULL DEFAULT 3", "closed .."}}},
    {"optimistic: the second joins with less than the first",
     {.mode = LOCK_OPTIMISTIC, .on_drop = LOCK_POLICY_APPLY_WHEN_ALL},
     2,
     {{0, "DROP TABLE t", "waiting H."},
      {1, "DROP TABLE t", "+closed GG"},
      {1, "CREATE TABLE t (id INT PRIMARY KEY, z INT NOT NULL DEFAULT 3)", "+closed G."},
      {0, "CREATE TABLE t (id INT PRIMARY KEY)", "waiting .."},
      {1, ALTER "DROP z", "+closed .."}}},
    {"rename inside the group changes nothing", PESSIMISTIC, 2, {{0, "RENAME TABLE t TO t9", "closed .."}}},
    {"rename out of the group is never applied to the target",
     {.on_rename = LOCK_POLICY_APPLY_WHEN_ALL},
     2,
     {{0, "RENAME TABLE t TO out1", "operator H."}}},
    {"rename out of the group, ignored: the member leaves",
     {.on_rename = LOCK_POLICY_IGNORE},
     2,
     {{0, "RENAME TABLE t TO out1", "closed G."}}},
    {"rename out of the group asks", PESSIMISTIC, 2, {{0, "RENAME TABLE t TO out1", "operator H."}}},
};

START_TEST(story)
{
    const Story *s = &stories[_i];
    Group g;
    StrBuf now = {0};
    group_begin(&g, &s->opts, create, s->n);
    ck_assert_int_eq(lock_state(g.lock), LOCK_CLOSED);
    for (const Line *line = s->lines; line->sql; line++) {
        int alters = g.alters;
        ck_assert_msg(group_run(&g, line->member, line->sql), "%s: %s: %s", s->name, line->sql,
                      g.err.message);
        marks(&g, alters, &now);
        StrBuf why = {0};
        lock_explain(g.lock, &why);
        ck_assert_msg(strcmp(now.ptr, line->then) == 0, "%s: %s: %s, not %s\n%s", s->name, line->sql, now.ptr,
                      line->then, why.ptr);
        sb_done(&why);
        check_json(&g);
    }
    sb_done(&now);
    group_done(&g);
}
END_TEST

/* -- decisions -- */

typedef struct Decided {
    const char *name;
    LockOpts opts;
    Line lines[4];
    LockDecision decision;
    uint32_t member;
    uint64_t number;
    const char *then; /* as in stories; NULL: refused */
    LockWork work;
    const char *column; /* of member 0's rows after step 1 … */
    const char *feed;   /* … what the target gets */
} Decided;

static const Decided decided[] = {
    {"skip: the group takes no notice",
     PESSIMISTIC,
     {{0, ALTER "ADD c INT", "waiting H."}},
     LOCK_SKIP,
     0,
     1,
     "closed ..",
     .column = "c",
     .feed = "none"},
    {"skip of a rename: rows go under the old name",
     PESSIMISTIC,
     {{0, ALTER "RENAME COLUMN a TO r", "waiting H."}},
     LOCK_SKIP,
     0,
     1,
     "closed ..",
     .column = "a",
     .feed = "row"},
    {"skip of a drop: rows get NULL",
     PESSIMISTIC,
     {{0, ALTER "DROP a", "waiting H."}},
     LOCK_SKIP,
     0,
     1,
     "closed ..",
     .column = "a",
     .feed = "NULL"},
    {"release: the others are taken to have it",
     PESSIMISTIC,
     {{0, ALTER "ADD c INT", "waiting H."}},
     LOCK_RELEASE,
     0,
     1,
     "+closed ..",
     .column = "c",
     .feed = "row"},
    {"release of a rename",
     OPTIMISTIC,
     {{0, ALTER "RENAME COLUMN a TO r", "waiting H."}},
     LOCK_RELEASE,
     0,
     1,
     "+closed ..",
     .column = "r",
     .feed = "row"},
    {"release of a rename to the name of what was dropped",
     PESSIMISTIC,
     {{0, ALTER "DROP a, RENAME COLUMN b TO a", "waiting H."}},
     LOCK_RELEASE,
     0,
     1,
     "+closed ..",
     .column = "a",
     .feed = "row"},
    {"detach of who lags",
     PESSIMISTIC,
     {{0, ALTER "ADD c INT", "waiting H."}},
     LOCK_DETACH,
     1,
     0,
     "+closed .G",
     .column = "c",
     .feed = "row"},
    {"truncate, skipped",
     PESSIMISTIC,
     {{0, "TRUNCATE TABLE t", "operator H."}},
     LOCK_SKIP,
     0,
     1,
     "closed ..",
     .column = "a",
     .feed = "row"},
    {"accept of what differs",
     PESSIMISTIC,
     {{0, ALTER "ADD c INT NOT NULL DEFAULT 1", "waiting H."},
      {1, ALTER "ADD c INT NOT NULL DEFAULT 2", "waiting HH"},
      {1, ALTER "ALTER c SET DEFAULT 1", "data-differs HH"}},
     LOCK_ACCEPT,
     1,
     0,
     "+closed ..",
     .column = "c",
     .feed = "row"},
    {"refill needs rows that tell their shard",
     PESSIMISTIC,
     {{0, ALTER "ADD c INT NOT NULL DEFAULT 1", "waiting H."},
      {1, ALTER "ADD c INT NOT NULL DEFAULT 2", "waiting HH"},
      {1, ALTER "ALTER c SET DEFAULT 1", "data-differs HH"}},
     LOCK_REFILL,
     1,
     0,
     .then = NULL},
    {"refill",
     {.provenance = true},
     {{0, ALTER "ADD c INT NOT NULL DEFAULT 1", "waiting H."},
      {1, ALTER "ADD c INT NOT NULL DEFAULT 2", "waiting HH"},
      {1, ALTER "ALTER c SET DEFAULT 1", "data-differs HH"}},
     LOCK_REFILL,
     1,
     0,
     "+closed ..",
     LOCK_WORK_REFILL,
     .column = "c",
     .feed = "row"},
    {"recopy",
     {.provenance = true},
     {{0, ALTER "ADD c INT NOT NULL DEFAULT 1", "waiting H."},
      {1, ALTER "ADD c INT NOT NULL DEFAULT 2", "waiting HH"},
      {1, ALTER "ALTER c SET DEFAULT 1", "data-differs HH"}},
     LOCK_RECOPY,
     1,
     0,
     "+closed ..",
     LOCK_WORK_RECOPY,
     .column = "c",
     .feed = "row"},
    {"accept where nothing differs", PESSIMISTIC, {{0}}, LOCK_ACCEPT, 0, 0, .then = NULL},
    {"retry where nothing failed", PESSIMISTIC, {{0}}, LOCK_RETRY, 0, 0, .then = NULL},
    {"skip of what was followed",
     OPTIMISTIC,
     {{0, ALTER "ADD c INT", "+waiting .."}},
     LOCK_SKIP,
     0,
     1,
     .then = NULL},
    {"skip of no step", PESSIMISTIC, {{0}}, LOCK_SKIP, 0, 9, .then = NULL},
    {"release of no step", PESSIMISTIC, {{0}}, LOCK_RELEASE, 0, 9, .then = NULL},
    {"detach of nobody", PESSIMISTIC, {{0}}, LOCK_DETACH, 2, 0, .then = NULL},
};

START_TEST(decision)
{
    const Decided *d = &decided[_i];
    Group g;
    StrBuf now = {0}, preview = {0};
    group_begin(&g, &d->opts, create, 2);
    run_lines(&g, d->lines, ARRAY_LEN(d->lines));
    LockEvent e = {.kind = LOCK_EV_DECIDE, .member = d->member, .number = d->number, .decision = d->decision};
    uint64_t before = lock_hash(g.lock);
    bool shown = lock_preview(g.lock, &e, &preview, &g.err);
    ck_assert_uint_eq(lock_hash(g.lock), before);
    err_clear(&g.err);
    g.err = (Err){0};
    int alters = g.alters;
    bool ok = group_decide(&g, d->decision, d->member, d->number);
    ck_assert_msg(ok == (d->then != NULL) && shown == ok, "%s: %s", d->name, g.err.message);
    if (!ok) {
        ck_assert_int_eq(g.err.code, ERR_LOCK_DECISION);
        ck_assert_uint_eq(lock_hash(g.lock), before);
    } else {
        marks(&g, alters, &now);
        ck_assert_msg(strcmp(now.ptr, d->then) == 0, "%s: %s, not %s", d->name, now.ptr, d->then);
        ck_assert_int_eq(g.work, d->work);
        ck_assert_uint_gt(preview.len, 0);
        ck_assert_msg(group_feed(&g, 0, 1, d->column, &now), "%s", g.err.message);
        ck_assert_msg(strcmp(now.ptr, d->feed) == 0, "%s: %s, not %s", d->name, now.ptr, d->feed);
        check_json(&g);
    }
    sb_done(&now);
    sb_done(&preview);
    group_done(&g);
}
END_TEST

/* -- jobs, repeats, restarts -- */

START_TEST(repeated_step)
{
    Group g;
    group_begin(&g, &(LockOpts)PESSIMISTIC, create, 2);
    ck_assert(group_run(&g, 0, ALTER "ADD c INT"));
    uint64_t before = lock_hash(g.lock);
    g.members[0].steps = 0;
    g.members[0].now = group_table(&g, create);
    ck_assert(group_run(&g, 0, ALTER "ADD c INT")); /* the same identity */
    ck_assert_uint_eq(lock_hash(g.lock), before);
    ck_assert(!group_tell(&g, &(LockEvent){.kind = LOCK_EV_PASSED, .member = 0, .number = 9}));
    ck_assert_int_eq(g.err.code, ERR_LOCK_EVENT);
    group_done(&g);
}
END_TEST

START_TEST(rows_of_versions)
{
    Group g;
    StrBuf feed = {0};
    group_begin(&g, &(LockOpts)PESSIMISTIC, create, 2);
    ck_assert(group_run(&g, 0, ALTER "ADD c INT NOT NULL DEFAULT 3"));
    ck_assert(!group_feed(&g, 0, 1, "c", &feed)); /* held */
    ck_assert_int_eq(g.err.code, ERR_LOCK_EVENT);
    err_clear(&g.err);
    g.err = (Err){0};
    ck_assert(group_feed(&g, 0, 0, "c", &feed));
    ck_assert_str_eq(feed.ptr, "none");
    ck_assert(group_run(&g, 1, ALTER "ADD c INT NOT NULL DEFAULT 3"));
    ck_assert(group_feed(&g, 0, 1, "c", &feed));
    ck_assert_str_eq(feed.ptr, "row");
    group_done(&g);
    group_begin(&g, &(LockOpts)OPTIMISTIC, create, 2);
    ck_assert(group_run(&g, 0, ALTER "ADD c INT NOT NULL DEFAULT 3"));
    ck_assert(group_feed(&g, 1, 0, "c", &feed));
    ck_assert_str_eq(feed.ptr, "'3'"); /* the fill on record, not the target's default */
    sb_done(&feed);
    group_done(&g);
}
END_TEST

/* One renames a column, another does and drops it: the target has it once, under its new name, and rows from
 * before the rename still go into it. */
START_TEST(renamed_and_given_up)
{
    Group g;
    StrBuf feed = {0};
    group_begin(&g, &(LockOpts)OPTIMISTIC, create, 2);
    g.held_back = true;
    ck_assert(group_read(&g, 1, ALTER "RENAME COLUMN a TO c"));
    ck_assert(group_read(&g, 0, ALTER "RENAME COLUMN a TO c"));
    ck_assert(group_read(&g, 0, ALTER "DROP COLUMN c"));
    LockEvent drained = {.kind = LOCK_EV_DRAINED, .job = g.job},
              altered = {.kind = LOCK_EV_ALTERED, .job = g.job};
    ck_assert(group_tell(&g, &drained) && group_tell(&g, &altered));
    const TableSchema *target = lock_target(g.lock)->schema;
    ck_assert_int_eq(schema_column(target, STR("a")), NO_COLUMN);
    ck_assert_int_ne(schema_column(target, STR("c")), NO_COLUMN);
    ck_assert(group_feed(&g, 0, 0, "c", &feed));
    ck_assert_str_eq(feed.ptr, "row");
    sb_done(&feed);
    group_done(&g);
}
END_TEST

START_TEST(begins_with_differences)
{
    static const char *const creates[] = {"CREATE TABLE t (id INT PRIMARY KEY, a INT)",
                                          "CREATE TABLE t (id INT PRIMARY KEY, a INT, b INT)"};
    Group g = {0};
    ck_assert_msg(group_begin_each(&g, &(LockOpts)OPTIMISTIC, creates, 2, creates[1]), "%s", g.err.message);
    ck_assert(!group_is_held(&g, 0) && !group_is_held(&g, 1));
    ck_assert_int_eq(lock_state(g.lock), LOCK_WAITING);
    ck_assert(group_run(&g, 0, ALTER "ADD b INT"));
    ck_assert_int_eq(lock_state(g.lock), LOCK_CLOSED);
    group_done(&g);
    g = (Group){0};
    ck_assert(
        !group_begin_each(&g, &(LockOpts)OPTIMISTIC, creates, 2, "CREATE TABLE t (id INT PRIMARY KEY)"));
    ck_assert_int_eq(g.err.code, ERR_TRACK_TARGET);
    group_done(&g);
}
END_TEST

/* Shards whose columns compare by different rules since ever: a step on each that leaves the rules alone
 * keeps them agreed. */
START_TEST(goes_on_with_differences)
{
    static const char *const creates[] = {"CREATE TABLE t (id INT PRIMARY KEY, a VARCHAR(9) COLLATE "
                                          "utf8mb4_general_ci, b INT) DEFAULT CHARSET utf8mb4",
                                          "CREATE TABLE t (id INT PRIMARY KEY, a VARCHAR(9) COLLATE "
                                          "utf8mb4_unicode_ci, b INT) DEFAULT CHARSET utf8mb4"};
    static const char *const steps[] = {ALTER "RENAME COLUMN a TO c", ALTER "ALTER c SET DEFAULT 'x'",
                                        ALTER "ADD INDEX i (c)"};
    static const LockOpts opts[] = {PESSIMISTIC, OPTIMISTIC};
    for (size_t mode = 0; mode < ARRAY_LEN(opts); mode++) {
        Group g = {0};
        ck_assert_msg(group_begin_each(&g, &opts[mode], creates, 2, creates[0]), "%s", g.err.message);
        for (size_t i = 0; i < ARRAY_LEN(steps); i++) {
            ck_assert(group_run(&g, 0, steps[i]) && group_run(&g, 1, steps[i]) && group_settle(&g));
            ck_assert_msg(lock_state(g.lock) == LOCK_CLOSED, "mode %zu, %s: %s", mode, steps[i],
                          lock_state_name(lock_state(g.lock)));
        }
        group_done(&g);
    }
}
END_TEST

/* A new table that has a column which no other has yet: rows of the others get its default, and whoever fills
 * it with something else is told. */
START_TEST(new_member_is_ahead)
{
    static const struct {
        const char *step;
        LockState then;
    } cases[] = {{ALTER "ADD n INT NOT NULL DEFAULT 5", LOCK_CLOSED},
                 {ALTER "ADD n INT NOT NULL DEFAULT 6", LOCK_WAITING}};
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        Group g;
        StrBuf feed = {0};
        TableSchema *after = NULL;
        SchemaStep *step = NULL;
        group_begin(&g, &(LockOpts)OPTIMISTIC, create, 2);
        g.n = 3;
        ck_assert(group_step_of(&g, g.members[0].now, ALTER "ADD n INT NOT NULL DEFAULT 5", &after, &step));
        g.members[2].now = version_schema(g.pool, after);
        schema_step_free(step);
        schema_free(after);
        ck_assert(group_tell(&g, &(LockEvent){.kind = LOCK_EV_JOIN,
                                              .member = 2,
                                              .name = STR("s3.t"),
                                              .schema = g.members[2].now,
                                              .fresh = true,
                                              .at_ms = 5}));
        ck_assert(!group_is_held(&g, 2) && group_column(&g, "n"));
        ck_assert(group_feed(&g, 0, 0, "n", &feed));
        ck_assert_str_eq(feed.ptr, "'5'");
        ck_assert(group_run(&g, 0, cases[i].step) && group_run(&g, 1, cases[i].step) && group_settle(&g));
        ck_assert_int_eq(lock_state(g.lock), cases[i].then);
        sb_done(&feed);
        group_done(&g);
    }
}
END_TEST

START_TEST(new_member)
{
    Group g;
    group_begin(&g, &(LockOpts)PESSIMISTIC, create, 2);
    g.n = 3;
    g.members[2].now = group_table(&g, create);
    ck_assert(group_tell(&g, &(LockEvent){.kind = LOCK_EV_JOIN,
                                          .member = 2,
                                          .name = STR("s3.t"),
                                          .schema = g.members[2].now,
                                          .fresh = true,
                                          .at_ms = 5}));
    ck_assert(!group_is_held(&g, 2));
    ck_assert_int_eq(lock_state(g.lock), LOCK_CLOSED);
    ck_assert(group_run(&g, 0, ALTER "ADD c INT") && group_run(&g, 1, ALTER "ADD c INT"));
    ck_assert_int_eq(lock_state(g.lock), LOCK_WAITING);
    ck_assert(group_tell(&g, &(LockEvent){.kind = LOCK_EV_LEAVE, .member = 2}));
    g.n = 2;
    ck_assert(group_settle(&g));
    ck_assert_int_eq(lock_state(g.lock), LOCK_CLOSED);
    ck_assert_int_eq(g.alters, 1);
    group_done(&g);
}
END_TEST

/* The table is made again before the member has left: it does not leave any more. */
START_TEST(comes_back_before_it_left)
{
    Group g;
    LockOpts opts = {.on_drop = LOCK_POLICY_DELETE_ROWS, .can_delete = true};
    group_begin(&g, &opts, create, 2);
    g.held_back = true;
    ck_assert(group_read(&g, 0, "DROP TABLE t"));
    ck_assert(group_read(&g, 0, create));
    ck_assert_int_eq(g.works, 0); /* rows from before the DROP are not written yet */
    ck_assert(group_settle(&g));
    ck_assert_int_eq(g.works, 1);
    ck_assert_int_eq(g.work, LOCK_WORK_DELETE);
    ck_assert_msg(group_is_held(&g, 0), "rows of the new table wait until those of the old one are deleted");
    LockEvent worked = {.kind = LOCK_EV_WORKED, .member = 0, .number = 1};
    ck_assert(group_tell(&g, &worked) && group_settle(&g));
    ck_assert(!g.members[0].gone && !group_is_held(&g, 0));
    ck_assert_int_eq(lock_state(g.lock), LOCK_CLOSED);
    group_done(&g);
}
END_TEST

START_TEST(broken_json)
{
    static const char *const bad[] = {"", "{}", "[]", "{\"format\":2}", "{\"format\":1,\"members\":[]}"};
    VersionPool *pool = version_pool_new();
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        Lock *l;
        Err err = {0};
        ck_assert(!lock_from_json(pool, str_of(bad[i]), &(LockOpts)PESSIMISTIC, &l, &err));
        ck_assert_int_eq(err.code, ERR_CORRUPT);
        ck_assert_ptr_null(l);
        err_clear(&err);
    }
    version_pool_free(pool);
}
END_TEST

/* -- strict -- */

static bool clashes(const Lock *l, uint32_t member)
{
    uint64_t number = 0;
    StrBuf words = {0};
    bool does = lock_clashes(l, member, &number, &words);
    ck_assert_uint_eq(number, does ? 1 : 0);
    ck_assert_msg(!does || strstr(words.ptr, "renamed"), "%s", does ? words.ptr : "");
    sb_done(&words);
    return does;
}

static Lock *read_again(const Group *g, const LockOpts *opts, LockActions *owed)
{
    StrBuf text = {0};
    Lock *l;
    Err err = {0};
    lock_to_json(g->lock, &text);
    ck_assert_msg(lock_from_json(g->pool, sb_view(&text), opts, &l, &err), "%s", err.message);
    lock_restart(l, owed);
    sb_done(&text);
    return l;
}

static bool stops(const LockActions *a)
{
    for (uint32_t i = 0; i < a->n; i++)
        if (a->list[i].kind == LOCK_ACT_STOP) return true;
    return false;
}

/* A clash stands over restarts until it is decided, or until strict is switched off. */
START_TEST(clash_stands)
{
    static const LockDecision decisions[] = {LOCK_SKIP, LOCK_RELEASE};
    LockOpts strict = {.mode = LOCK_OPTIMISTIC, .strict = true}, waits = OPTIMISTIC;
    LockActions owed = {0}, none = {0};
    Group g;
    group_begin(&g, &strict, create, 2);
    ck_assert(group_run(&g, 0, ALTER "RENAME COLUMN a TO r"));
    ck_assert(clashes(g.lock, 0) && !clashes(g.lock, 1));
    Lock *again = read_again(&g, &strict, &owed), *off = read_again(&g, &waits, &none);
    ck_assert(clashes(again, 0) && stops(&owed));
    ck_assert(!clashes(off, 0) && !stops(&none));
    ck_assert_int_eq(lock_state(off), LOCK_WAITING);
    lock_free(again);
    lock_free(off);
    lock_actions_done(&owed);
    lock_actions_done(&none);
    ck_assert(group_decide(&g, decisions[_i], 0, 1));
    again = read_again(&g, &strict, &owed);
    ck_assert(!clashes(again, 0) && !clashes(again, 1) && !stops(&owed));
    lock_free(again);
    lock_actions_done(&owed);
    group_done(&g);
}
END_TEST

/* What the target is being changed for counts. */
START_TEST(clash_during_a_job)
{
    LockOpts strict = {.mode = LOCK_OPTIMISTIC, .strict = true};
    Group g;
    LockActions acts = {0};
    SchemaStep *step = NULL;
    TableSchema *after = NULL;
    group_begin(&g, &strict, create, 2);
    ck_assert(group_step_of(&g, g.members[1].now, ALTER "ADD c INT", &after, &step));
    LockEvent add = {.kind = LOCK_EV_STEP, .member = 1, .identity = STR("x"), .step = step};
    ck_assert(lock_step(g.lock, &add, &acts, &g.err)); /* nobody answers: the job runs */
    ck_assert(!lock_is_open(g.lock));
    ck_assert(group_run(&g, 0, ALTER "RENAME COLUMN a TO r"));
    ck_assert(clashes(g.lock, 0) && !clashes(g.lock, 1));
    lock_actions_done(&acts);
    schema_step_free(step);
    schema_free(after);
    group_done(&g);
}
END_TEST

/* -- kinds of steps -- */

static const struct {
    const char *sql;
    bool leaves, swapped;
    LockStepKind kind;
} kinds[] = {
    {ALTER "ADD c INT", false, false, LOCK_STEP_ALTER},
    {"CREATE INDEX x ON t (a)", false, false, LOCK_STEP_ALTER},
    {"TRUNCATE TABLE t", false, false, LOCK_STEP_TRUNCATE},
    {"DROP TABLE t", false, false, LOCK_STEP_DROP},
    {"DROP DATABASE shop", false, false, LOCK_STEP_DROP},
    {ALTER "DISCARD TABLESPACE", false, false, LOCK_STEP_PARTITION},
    {"RENAME TABLE t TO t2", false, false, LOCK_STEP_RENAME},
    {"RENAME TABLE t TO other.t2", true, false, LOCK_STEP_RENAME_OUT},
    {"RENAME TABLE t TO t2", false, true, LOCK_STEP_SWAP},
};

START_TEST(kind_of_step)
{
    Group g;
    TableSchema *after = NULL;
    SchemaStep *step = NULL;
    group_begin(&g, &(LockOpts)PESSIMISTIC, create, 1);
    ck_assert_msg(group_step_of(&g, g.members[0].now, kinds[_i].sql, &after, &step), "%s", g.err.message);
    ck_assert_ptr_nonnull(step);
    ck_assert_int_eq(lock_step_kind(step, kinds[_i].leaves, kinds[_i].swapped), kinds[_i].kind);
    schema_step_free(step);
    schema_free(after);
    group_done(&g);
}
END_TEST

static Suite *lock_suite(void)
{
    Suite *s = suite_create("lock/lock");
    TCase *t = tcase_create("stories");
    tcase_add_loop_test(t, story, 0, ARRAY_LEN(stories));
    tcase_add_loop_test(t, decision, 0, ARRAY_LEN(decided));
    tcase_add_loop_test(t, kind_of_step, 0, ARRAY_LEN(kinds));
    tcase_add_loop_test(t, clash_stands, 0, 2);
    tcase_add_test(t, clash_during_a_job);
    tcase_add_test(t, repeated_step);
    tcase_add_test(t, rows_of_versions);
    tcase_add_test(t, renamed_and_given_up);
    tcase_add_test(t, begins_with_differences);
    tcase_add_test(t, goes_on_with_differences);
    tcase_add_test(t, new_member);
    tcase_add_test(t, new_member_is_ahead);
    tcase_add_test(t, broken_json);
    tcase_add_test(t, comes_back_before_it_left);
    suite_add_tcase(s, t);
    return s;
}

UNIT_MAIN(lock_suite)
