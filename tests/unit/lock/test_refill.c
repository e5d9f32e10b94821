/* Rows that were there get their own shard's values: when that can be, which columns, what values, and what
 * rows get that are written meanwhile. */
#include "unit.h"
#include "group.h"

#define ALTER "ALTER TABLE t "
#define OWN                                                                                                  \
    {                                                                                                        \
        .provenance = true, .refill_own = true                                                               \
    }
static const char create[] = "CREATE TABLE t (id INT PRIMARY KEY, a INT, b INT DEFAULT 7)";

enum { MOST_LINES = 6 };

typedef struct Line {
    uint32_t member;
    const char *sql;
} Line;

typedef struct Case {
    const char *name;
    LockOpts opts;
    Line lines[MOST_LINES];
    const char *fills[2]; /* of each member: "c=2,d=NULL"; "": none is owed */
    LockState then;       /* when the work has been done */
} Case;

static const Case cases[] = {
    {"two literals",
     OWN,
     {{0, ALTER "ADD c INT DEFAULT 1"}, {1, ALTER "ADD c INT DEFAULT 2"}, {1, ALTER "ALTER c SET DEFAULT 1"}},
     {"", "c='2'"},
     LOCK_CLOSED},
    {"the first to arrive counts in optimistic mode, whoever it is",
     {.mode = LOCK_OPTIMISTIC, .provenance = true, .refill_own = true},
     {{1, ALTER "ADD c INT DEFAULT 1"}, {0, ALTER "ADD c INT DEFAULT 2"}, {0, ALTER "ALTER c SET DEFAULT 1"}},
     {"c='2'", ""},
     LOCK_CLOSED},
    {"a literal and NULL",
     OWN,
     {{0, ALTER "ADD c INT DEFAULT 1"}, {1, ALTER "ADD c INT"}, {1, ALTER "ALTER c SET DEFAULT 1"}},
     {"", "c=NULL"},
     LOCK_CLOSED},
    {"only what differs",
     OWN,
     {{0, ALTER "ADD c INT DEFAULT 1, ADD d INT DEFAULT 5"},
      {1, ALTER "ADD c INT DEFAULT 2, ADD d INT DEFAULT 5"},
      {1, ALTER "ALTER c SET DEFAULT 1"}},
     {"", "c='2'"},
     LOCK_CLOSED},
    {"a wider integer",
     OWN,
     {{0, ALTER "ADD c BIGINT DEFAULT 1"},
      {1, ALTER "ADD c INT DEFAULT 2"},
      {1, ALTER "MODIFY c BIGINT DEFAULT 1"}},
     {"", "c='2'"},
     LOCK_CLOSED},
    {"a column renamed since",
     OWN,
     {{0, ALTER "ADD c INT DEFAULT 1"},
      {1, ALTER "ADD x INT DEFAULT 2"},
      {1, ALTER "CHANGE x c INT DEFAULT 1"}},
     {"", "c='2'"},
     LOCK_CLOSED},
    {"dropped and added again against untouched",
     OWN,
     {{0, ALTER "ADD z INT"},
      {1, ALTER "DROP b"},
      {1, ALTER "ADD b INT DEFAULT 9"},
      {1, ALTER "ALTER b SET DEFAULT 7, ADD z INT"}},
     {"", "b='9'"},
     LOCK_CLOSED},
    {"renamed against dropped and added",
     OWN,
     {{0, ALTER "CHANGE a r INT"}, {1, ALTER "DROP a"}, {1, ALTER "ADD r INT"}},
     {"", "r=NULL"},
     LOCK_CLOSED},
    {"dropped and added against renamed: the first has lost what it had",
     OWN,
     {{0, ALTER "DROP a, ADD r INT DEFAULT 3"}, {1, ALTER "CHANGE a r INT DEFAULT 3"}},
     {"r='3'", ""},
     LOCK_CLOSED},
    {"uuid() cannot be computed again",
     OWN,
     {{0, ALTER "ADD c CHAR(36) DEFAULT 'x'"},
      {1, ALTER "ADD c CHAR(36) DEFAULT (uuid())"},
      {1, ALTER "ALTER c SET DEFAULT 'x'"}},
     {"", ""},
     LOCK_DATA_DIFFERS},
    {"nor what was converted",
     OWN,
     {{0, ALTER "ADD c DOUBLE DEFAULT 1"},
      {1, ALTER "ADD c FLOAT DEFAULT 0.1"},
      {1, ALTER "MODIFY c DOUBLE DEFAULT 1"}},
     {"", ""},
     LOCK_DATA_DIFFERS},
    {"not asked for",
     {.provenance = true},
     {{0, ALTER "ADD c INT DEFAULT 1"}, {1, ALTER "ADD c INT DEFAULT 2"}, {1, ALTER "ALTER c SET DEFAULT 1"}},
     {"", ""},
     LOCK_DATA_DIFFERS},
};

static void fills_of(Group *g, uint32_t member, StrBuf *out)
{
    Arena arena = {0};
    BindFill *list;
    uint32_t n;
    Err err = {0};
    sb_clear(out);
    sb_c(out, "");
    if (lock_fills(g->lock, member, &arena, &list, &n, &err))
        for (uint32_t i = 0; i < n; i++)
            sb_printf(out, "%s" STR_FMT "=" STR_FMT, i ? "," : "", STR_ARG(list[i].column),
                      STR_ARG(list[i].literal.len ? list[i].literal : STR("NULL")));
    else
        ck_assert_int_eq(err.code, ERR_LOCK_EVENT);
    err_clear(&err);
    arena_done(&arena);
}

static void same_when_read_back(Group *g)
{
    StrBuf json = {0};
    Lock *again = NULL;
    LockActions acts = {0};
    bool work = false;
    lock_to_json(g->lock, &json);
    ck_assert_msg(lock_from_json(g->pool, sb_view(&json), &g->opts, &again, &g->err), "%s", g->err.message);
    ck_assert_uint_eq(lock_hash(again), lock_hash(g->lock));
    lock_free(g->lock);
    g->lock = again;
    lock_restart(again, &acts);
    for (uint32_t i = 0; i < acts.n; i++)
        work |= acts.list[i].kind == LOCK_ACT_WORK && acts.list[i].work == LOCK_WORK_REFILL;
    ck_assert_msg(work, "a restart owes the work");
    lock_actions_done(&acts);
    sb_done(&json);
}

/* Drains and changes are answered, work is not. */
static void settle_but_work(Group *g)
{
    for (int i = 0; i < 4; i++) {
        g->held_back = true;
        ck_assert_msg(group_settle(g), "%s", g->err.message);
        uint64_t job;
        while (lock_job(g->lock, &job)) {
            ck_assert(group_tell(g, &(LockEvent){.kind = LOCK_EV_DRAINED, .job = job}));
            ck_assert(group_tell(g, &(LockEvent){.kind = LOCK_EV_ALTERED, .job = job}));
        }
    }
}

START_TEST(fills)
{
    const Case *c = &cases[_i];
    Group g;
    StrBuf text = {0};
    bool owed = c->fills[0][0] || c->fills[1][0];
    group_begin(&g, &c->opts, create, 2);
    for (int i = 0; i < MOST_LINES && c->lines[i].sql; i++) {
        ck_assert_msg(group_read(&g, c->lines[i].member, c->lines[i].sql), "%s: %s", c->name, g.err.message);
        settle_but_work(&g);
    }
    for (uint32_t m = 0; m < 2; m++) {
        fills_of(&g, m, &text);
        ck_assert_msg(strcmp(text.ptr, c->fills[m]) == 0, "%s: member %u: %s", c->name, m, text.ptr);
        uint64_t last, accepted;
        ck_assert(lock_member(g.lock, m, &last, &accepted));
        if (c->fills[m][0]) ck_assert_msg(accepted == 0 && last > 0, "%s: rows go before the work", c->name);
    }
    ck_assert_int_eq(g.works, owed);
    if (owed) same_when_read_back(&g);
    for (uint32_t m = 0; owed && m < 2; m++) {
        uint64_t last, accepted;
        if (!c->fills[m][0] || !lock_member(g.lock, m, &last, &accepted)) continue;
        for (uint64_t n = 1; n <= last; n++) /* a late report and a repeat do no harm */
            ck_assert(group_tell(&g, &(LockEvent){.kind = LOCK_EV_WORKED, .member = m, .number = n}));
        ck_assert(group_tell(&g, &(LockEvent){.kind = LOCK_EV_WORKED, .member = m, .number = last}));
    }
    g.held_back = false;
    ck_assert(group_settle(&g));
    ck_assert_msg(lock_state(g.lock) == c->then, "%s: %s", c->name, lock_state_name(lock_state(g.lock)));
    ck_assert_msg(group_is_held(&g, 1) == (c->then != LOCK_CLOSED), "%s", c->name);
    sb_done(&text);
    group_done(&g);
}
END_TEST

/* Rows of before that are written while the work waits for them get what it sets: the order does not matter.
 */
START_TEST(rows_meanwhile)
{
    Group g;
    StrBuf feed = {0};
    group_begin(&g, &(LockOpts){.mode = LOCK_OPTIMISTIC, .provenance = true, .refill_own = true}, create, 2);
    ck_assert(group_run(&g, 0, ALTER "ADD c INT DEFAULT 1"));
    g.held_back = true;
    ck_assert(group_read(&g, 1, ALTER "ADD c INT DEFAULT 2"));
    ck_assert(group_read(&g, 1, ALTER "ALTER c SET DEFAULT 1"));
    ck_assert_int_eq(g.works, 0); /* not before its old rows are written */
    ck_assert_msg(group_feed(&g, 1, 0, "c", &feed), "%s", g.err.message);
    ck_assert_str_eq(feed.ptr, "'2'");
    ck_assert(!group_feed(&g, 1, 1, "c", &feed));
    err_clear(&g.err);
    g.err = (Err){0};
    ck_assert(group_tell(&g, &(LockEvent){.kind = LOCK_EV_WRITTEN, .member = 1, .number = 1}));
    ck_assert_int_eq(g.works, 1);
    ck_assert(group_tell(&g, &(LockEvent){.kind = LOCK_EV_WORKED, .member = 1, .number = 2}));
    ck_assert_msg(group_feed(&g, 1, 1, "c", &feed), "%s", g.err.message);
    ck_assert_str_eq(feed.ptr, "row");
    sb_done(&feed);
    group_done(&g);
}
END_TEST

/* Both are held behind the column, and the target has that of the first: only the second's rows lack theirs.
 */
START_TEST(who_needs_it)
{
    Group g;
    StrBuf text = {0};
    group_begin(&g, &(LockOpts){.mode = LOCK_OPTIMISTIC, .provenance = true}, create, 2);
    ck_assert(group_run(&g, 0, ALTER "ADD c INT DEFAULT 1"));
    ck_assert(group_run(&g, 0, ALTER "ALTER c SET DEFAULT 2"));
    ck_assert(group_run(&g, 0, ALTER "CHANGE a r INT"));
    ck_assert(group_run(&g, 1, ALTER "ADD c INT DEFAULT 2"));
    ck_assert(group_run(&g, 1, ALTER "CHANGE a r INT"));
    ck_assert_int_eq(lock_state(g.lock), LOCK_DATA_DIFFERS);
    ck_assert(group_is_held(&g, 0) && group_is_held(&g, 1));
    ck_assert(!group_decide(&g, LOCK_REFILL, 0, 3));
    ck_assert_int_eq(g.err.code, ERR_LOCK_DECISION);
    ck_assert_ptr_nonnull(strstr(g.err.message, "refill that one"));
    err_clear(&g.err);
    g.err = (Err){0};
    g.held_back = true;
    ck_assert_msg(group_tell(&g, &(LockEvent){.kind = LOCK_EV_DECIDE, .member = 1, .decision = LOCK_REFILL}),
                  "%s", g.err.message);
    settle_but_work(&g);
    fills_of(&g, 1, &text);
    ck_assert_str_eq(text.ptr, "c='2'");
    fills_of(&g, 0, &text);
    ck_assert_str_eq(text.ptr, "");
    sb_done(&text);
    group_done(&g);
}
END_TEST

/* Three shards, three values: one counts, the two others keep theirs. */
START_TEST(three)
{
    Group g;
    StrBuf text = {0};
    group_begin(&g, &(LockOpts)OWN, create, 3);
    ck_assert(
        group_run(&g, 0, ALTER "ADD c INT DEFAULT 1") && group_run(&g, 1, ALTER "ADD c INT DEFAULT 2") &&
        group_run(&g, 2, ALTER "ADD c INT DEFAULT 3") && group_run(&g, 0, ALTER "ALTER c SET DEFAULT 4") &&
        group_run(&g, 1, ALTER "ALTER c SET DEFAULT 4"));
    ck_assert_int_eq(g.works, 0);
    g.held_back = true;
    ck_assert(group_read(&g, 2, ALTER "ALTER c SET DEFAULT 4"));
    settle_but_work(&g);
    ck_assert_int_eq(g.works, 2);
    fills_of(&g, 1, &text);
    ck_assert_str_eq(text.ptr, "c='2'");
    fills_of(&g, 2, &text);
    ck_assert_str_eq(text.ptr, "c='3'");
    sb_done(&text);
    group_done(&g);
}
END_TEST

/* Which indexes a shard's table has is not what others' fills count for: one that it alone has is told until
 * the others have it too, whenever they come to it. Nobody is held for it. */
static const struct {
    Line lines[8];
    LockState then;
} indexes[] = {
    {{{0, ALTER "ADD c INT DEFAULT 1"},
      {1, ALTER "ADD c INT DEFAULT 2, ADD INDEX (a)"},
      {1, ALTER "ALTER c SET DEFAULT 1"}},
     LOCK_WAITING},
    {{{0, ALTER "ADD c INT DEFAULT 1"},
      {1, ALTER "ADD c INT DEFAULT 2, ADD INDEX (a)"},
      {1, ALTER "ALTER c SET DEFAULT 1"},
      {0, ALTER "ADD INDEX (a)"}},
     LOCK_CLOSED},
    {{{0, ALTER "ADD c INT DEFAULT 1"},
      {1, ALTER "ADD d INT FIRST, ADD c INT DEFAULT 2 FIRST, ADD INDEX (c, b)"},
      {0, ALTER "ADD d INT"},
      {1, ALTER "ALTER c SET DEFAULT 1"},
      {0, ALTER "ADD INDEX (c, b)"}},
     LOCK_CLOSED},
    {{{0, ALTER "ADD c INT DEFAULT 1"},
      {1, ALTER "ADD c INT DEFAULT 2, ADD INDEX (a)"},
      {1, ALTER "ALTER c SET DEFAULT 1"},
      {1, ALTER "DROP INDEX a"}},
     LOCK_CLOSED},
    {{{0, ALTER "ADD c INT DEFAULT 1, ADD INDEX (a)"},
      {1, ALTER "ADD c INT DEFAULT 2"},
      {1, ALTER "ALTER c SET DEFAULT 1"},
      {1, ALTER "ADD INDEX (a)"}},
     LOCK_CLOSED},
};

START_TEST(indexes_of_their_own)
{
    Group g;
    group_begin(&g,
                &(LockOpts){.mode = _i % 2 ? LOCK_OPTIMISTIC : LOCK_PESSIMISTIC,
                            .provenance = true,
                            .refill_own = true},
                create, 2);
    for (const Line *line = indexes[_i / 2].lines; line->sql; line++)
        ck_assert_msg(group_run(&g, line->member, line->sql), "%s: %s", line->sql, g.err.message);
    ck_assert(group_settle(&g));
    ck_assert_uint_eq(g.works, 1);
    ck_assert_msg(lock_state(g.lock) == indexes[_i / 2].then, "%s", lock_state_name(lock_state(g.lock)));
    ck_assert(!group_is_held(&g, 0) && !group_is_held(&g, 1));
    group_done(&g);
}
END_TEST

/* A column given up and added again with the same fill, while the target keeps it for the other: rows that
 * brought values of their own for it hold those, also when nothing in the history tells of them any more. */
START_TEST(added_again)
{
    Group g;
    StrBuf text = {0};
    uint64_t job;
    group_begin(&g, &(LockOpts){.mode = LOCK_OPTIMISTIC, .provenance = true, .refill_own = true}, create, 2);
    g.held_back = true;
    ck_assert(group_read(&g, 0, ALTER "ADD c INT DEFAULT 1"));
    ck_assert(group_read(&g, 1, ALTER "ADD c INT DEFAULT 1") && group_read(&g, 1, ALTER "DROP c"));
    while (lock_job(g.lock, &job)) {
        ck_assert(group_tell(&g, &(LockEvent){.kind = LOCK_EV_DRAINED, .job = job}));
        ck_assert(group_tell(&g, &(LockEvent){.kind = LOCK_EV_ALTERED, .job = job}));
    }
    if (_i) ck_assert(group_tell(&g, &(LockEvent){.kind = LOCK_EV_WRITTEN, .member = 1, .number = 2}));
    ck_assert(group_tell(&g, &(LockEvent){.kind = LOCK_EV_WRITTEN, .member = 0, .number = 1}));
    ck_assert(group_read(&g, 1, ALTER "ADD c INT DEFAULT 1"));
    ck_assert(group_tell(&g, &(LockEvent){.kind = LOCK_EV_WRITTEN, .member = 1, .number = 3}));
    ck_assert_uint_eq(g.works, 1);
    fills_of(&g, 1, &text);
    ck_assert_str_eq(text.ptr, "c='1'");
    ck_assert(group_tell(&g, &(LockEvent){.kind = LOCK_EV_WORKED, .member = 1, .number = 3}));
    g.held_back = false;
    ck_assert(group_settle(&g));
    ck_assert_int_eq(lock_state(g.lock), LOCK_CLOSED);
    sb_done(&text);
    group_done(&g);
}
END_TEST

/* The same with a column that was converted since, so that no refill can set it, and with a table made later
 * that agrees with it: another column that is to be set makes nobody believe that this one is right. */
START_TEST(converted_since)
{
    Group g;
    uint64_t job;
    const char *add = ALTER "ADD c VARCHAR(10) DEFAULT 'x'",
               *wider = ALTER "MODIFY c VARCHAR(20) DEFAULT 'x'";
    group_begin(&g, &(LockOpts){.mode = LOCK_OPTIMISTIC, .provenance = true, .refill_own = true}, create, 2);
    g.held_back = true;
    ck_assert(group_read(&g, 0, add) && group_read(&g, 1, add) && group_read(&g, 1, ALTER "DROP c"));
    while (lock_job(g.lock, &job)) {
        ck_assert(group_tell(&g, &(LockEvent){.kind = LOCK_EV_DRAINED, .job = job}));
        ck_assert(group_tell(&g, &(LockEvent){.kind = LOCK_EV_ALTERED, .job = job}));
    }
    ck_assert(group_tell(&g, &(LockEvent){.kind = LOCK_EV_WRITTEN, .member = 1, .number = 2}));
    ck_assert(group_tell(&g, &(LockEvent){.kind = LOCK_EV_WRITTEN, .member = 0, .number = 1}));
    g.held_back = false;
    ck_assert(group_run(&g, 0, wider));
    g.n = 3;
    g.members[2].now = group_table(&g, "CREATE TABLE t (id INT PRIMARY KEY, a INT, b INT DEFAULT 7,"
                                       " c VARCHAR(20) DEFAULT 'x', d INT DEFAULT 1)");
    ck_assert(group_join_again(&g, 2, g.members[2].now) && group_settle(&g));
    ck_assert(group_run(&g, 0, ALTER "ADD d INT DEFAULT 1"));
    ck_assert(!group_is_held(&g, 0) && !group_is_held(&g, 1) && !group_is_held(&g, 2));
    ck_assert(group_run(&g, 1, add) && group_run(&g, 1, wider) &&
              group_run(&g, 1, ALTER "ADD d INT DEFAULT 2") &&
              group_run(&g, 1, ALTER "ALTER d SET DEFAULT 1"));
    ck_assert_int_eq(g.works, 0);
    ck_assert(group_is_held(&g, 1));
    ck_assert_int_eq(lock_state(g.lock), LOCK_DATA_DIFFERS);
    ck_assert(!group_decide(&g, LOCK_REFILL, 1, 6));
    ck_assert_ptr_nonnull(strstr(g.err.message, "was converted since it was added"));
    group_done(&g);
}
END_TEST

static Suite *refill_suite(void)
{
    Suite *s = suite_create("lock/refill");
    TCase *t = tcase_create("refill");
    tcase_add_loop_test(t, fills, 0, ARRAY_LEN(cases));
    tcase_add_test(t, rows_meanwhile);
    tcase_add_test(t, who_needs_it);
    tcase_add_test(t, three);
    tcase_add_loop_test(t, added_again, 0, 2);
    tcase_add_test(t, converted_since);
    tcase_add_loop_test(t, indexes_of_their_own, 0, 2 * ARRAY_LEN(indexes));
    suite_add_tcase(s, t);
    return s;
}

UNIT_MAIN(refill_suite)
