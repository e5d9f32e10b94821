/* A shard table that is made later and goes the same way as the others did long ago: none of its rows is in
 * the target yet, so each gets what its own table filled, and nobody has to decide. */
#include "unit.h"
#include "group.h"

#define ALTER "ALTER TABLE t "
static const char create[] = "CREATE TABLE t (id INT PRIMARY KEY, a INT)";

typedef struct Newcomer {
    const char *name;
    const char *others[3], *own[3]; /* statements */
    const char *column, *feed;      /* pessimistic: what a row from before all of its statements gets */
    LockState pessimistic, optimistic;
} Newcomer;

static const Newcomer newcomers[] = {
    {"the same statement",
     {ALTER "ADD c INT NOT NULL DEFAULT 5"},
     {ALTER "ADD c INT NOT NULL DEFAULT 5"},
     "c",
     "'5'",
     LOCK_CLOSED,
     LOCK_CLOSED},
    {"another fill, then one default",
     {ALTER "ADD c INT DEFAULT 5"},
     {ALTER "ADD c INT DEFAULT 7", ALTER "ALTER c SET DEFAULT 5"},
     "c",
     "'7'",
     LOCK_CLOSED,
     LOCK_DATA_DIFFERS},
    {"NULL, then one default",
     {ALTER "ADD c INT DEFAULT 5"},
     {ALTER "ADD c INT", ALTER "ALTER c SET DEFAULT 5"},
     "c",
     "NULL",
     LOCK_CLOSED,
     LOCK_DATA_DIFFERS}, /* its rows got what the others' got */
    {"it renames what the others have under that name",
     {ALTER "ADD c INT", ALTER "DROP a"},
     {ALTER "RENAME COLUMN a TO c"},
     "c",
     "row",
     LOCK_CLOSED,
     LOCK_DATA_DIFFERS},
    {"it goes further",
     {ALTER "ADD c INT DEFAULT 5"},
     {ALTER "ADD c INT DEFAULT 5", ALTER "ADD d INT"},
     "c",
     "'5'",
     LOCK_WAITING,
     LOCK_WAITING},
    {"values that nobody can compute",
     {ALTER "ADD c CHAR(36) DEFAULT 'x'"},
     {ALTER "ADD c CHAR(36) DEFAULT (uuid())", ALTER "ALTER c SET DEFAULT 'x'"},
     "c",
     NULL,
     LOCK_DATA_DIFFERS,
     LOCK_DATA_DIFFERS},
    {"emptied on the way",
     {ALTER "ADD c INT DEFAULT 5"},
     {"TRUNCATE TABLE t", ALTER "ADD c INT DEFAULT 5"},
     "c",
     NULL,
     LOCK_OPERATOR,
     LOCK_OPERATOR},
};

static void join_as(Group *g, uint32_t member, const char *made)
{
    LockActions acts = {0};
    g->members[member].now = group_table(g, made);
    g->n = MAX(g->n, member + 1);
    LockEvent e = {.kind = LOCK_EV_JOIN,
                   .member = member,
                   .name = STR("late"),
                   .schema = g->members[member].now,
                   .fresh = true};
    ck_assert_msg(group_tell(g, &e), "%s", g->err.message);
    lock_actions_done(&acts);
}

static void try(const Newcomer *c, LockMode mode)
{
    Group g;
    StrBuf words = {0}, feed = {0};
    LockState as = mode == LOCK_OPTIMISTIC ? c->optimistic : c->pessimistic;
    group_begin(&g, &(LockOpts){.mode = mode}, create, 2);
    for (int i = 0; i < 3 && c->others[i]; i++)
        for (uint32_t m = 0; m < 2; m++)
            ck_assert_msg(group_run(&g, m, c->others[i]), "%s: %s", c->name, g.err.message);
    ck_assert_msg(lock_state(g.lock) == LOCK_CLOSED, "%s: %s", c->name, lock_state_name(lock_state(g.lock)));
    join_as(&g, 2, create);
    for (int i = 0; i < 3 && c->own[i]; i++)
        ck_assert_msg(group_read(&g, 2, c->own[i]), "%s: %s", c->name, g.err.message);
    for (uint64_t n = 1; n <= g.members[2].steps;
         n++) { /* floors pass; the rows from before are still to be written */
        LockEvent e = {.kind = LOCK_EV_PASSED, .member = 2, .number = n};
        ck_assert(group_tell(&g, &e));
    }
    if (c->feed && mode == LOCK_PESSIMISTIC) {
        ck_assert_msg(group_feed(&g, 2, 0, c->column, &feed), "%s: %s", c->name, g.err.message);
        ck_assert_msg(strcmp(feed.ptr, c->feed) == 0, "%s: %s, not %s", c->name, feed.ptr, c->feed);
    }
    ck_assert(group_settle(&g));
    lock_explain(g.lock, &words);
    ck_assert_msg(lock_state(g.lock) == as, "%s: %s, not %s: %s", c->name,
                  lock_state_name(lock_state(g.lock)), lock_state_name(as), words.ptr ? words.ptr : "");
    sb_done(&words);
    sb_done(&feed);
    group_done(&g);
}

START_TEST(pessimistic)
{
    try(&newcomers[_i], LOCK_PESSIMISTIC);
}
END_TEST

START_TEST(optimistic)
{
    try(&newcomers[_i], LOCK_OPTIMISTIC);
}
END_TEST

/* One that has a column from its beginning which the target lacks waits outside. Rows of one that was there
 * when the lock began may be in the target, from earlier, with what the target gave them. */
static const struct {
    const char *name, *made;
    bool fresh;
    const char *others[2], *own[2];
    const char *column;
    LockState then; /* DATA_DIFFERS: it can be accepted */
} outside[] = {
    {"it renames its column, new",
     "CREATE TABLE t (id INT PRIMARY KEY, a INT, z INT)",
     true,
     {NULL},
     {ALTER "DROP a", ALTER "RENAME COLUMN z TO a"},
     "a",
     LOCK_CLOSED},
    {"it renames its column",
     "CREATE TABLE t (id INT PRIMARY KEY, a INT, z INT)",
     false,
     {NULL},
     {ALTER "DROP a", ALTER "RENAME COLUMN z TO a"},
     "a",
     LOCK_DATA_DIFFERS},
    {"the others fill theirs otherwise",
     "CREATE TABLE t (id INT PRIMARY KEY, a INT, c INT DEFAULT 5)",
     false,
     {ALTER "ADD c INT DEFAULT 7", ALTER "ALTER c SET DEFAULT 5"},
     {NULL},
     "c",
     LOCK_DATA_DIFFERS},
    {"the others fill theirs otherwise, new",
     "CREATE TABLE t (id INT PRIMARY KEY, a INT, c INT DEFAULT 5)",
     true,
     {ALTER "ADD c INT DEFAULT 7", ALTER "ALTER c SET DEFAULT 5"},
     {NULL},
     "c",
     LOCK_DATA_DIFFERS},
};

static void read_back(Group *g)
{
    StrBuf text = {0};
    Lock *again = NULL;
    lock_to_json(g->lock, &text);
    ck_assert_msg(lock_from_json(g->pool, sb_view(&text), &g->opts, &again, &g->err), "%s", g->err.message);
    ck_assert_uint_eq(lock_hash(again), lock_hash(g->lock));
    lock_free(g->lock);
    g->lock = again;
    sb_done(&text);
}

START_TEST(from_outside)
{
    Group g = {0};
    StrBuf feed = {0};
    const char *creates[GROUP_MOST] = {create, create, outside[_i].made};
    ck_assert(group_begin_each(&g, &(LockOpts){0}, creates, outside[_i].fresh ? 2 : 3, create));
    if (outside[_i].fresh) join_as(&g, 2, outside[_i].made);
    read_back(&g);
    for (uint32_t k = 0; k < 2 && outside[_i].others[k]; k++)
        ck_assert(group_run(&g, 0, outside[_i].others[k]) && group_run(&g, 1, outside[_i].others[k]));
    for (uint32_t k = 0; k < 2 && outside[_i].own[k]; k++)
        ck_assert_msg(group_run(&g, 2, outside[_i].own[k]), "%s: %s", outside[_i].name, g.err.message);
    ck_assert_msg(lock_state(g.lock) == outside[_i].then, "%s: %s", outside[_i].name,
                  lock_state_name(lock_state(g.lock)));
    if (outside[_i].then == LOCK_DATA_DIFFERS)
        ck_assert_msg(group_decide(&g, LOCK_ACCEPT, 2, g.members[2].steps), "%s", g.err.message);
    ck_assert_msg(lock_state(g.lock) == LOCK_CLOSED, "%s: in the end %s", outside[_i].name,
                  lock_state_name(lock_state(g.lock)));
    ck_assert_msg(group_feed(&g, 2, g.members[2].steps, outside[_i].column, &feed), "%s", g.err.message);
    ck_assert_str_eq(feed.ptr, "row");
    read_back(&g);
    sb_done(&feed);
    group_done(&g);
}
END_TEST

/* One that is made while others have changed and the rest has not: as the former are, or as the latter. */
static const struct {
    const char *name, *sql, *made, *then; /* then: what the new one runs, too */
} midway[] = {
    {"a column again", ALTER "DROP a, ADD a INT DEFAULT 1",
     "CREATE TABLE t (id INT PRIMARY KEY, a INT DEFAULT 1)", NULL},
    {"another name", ALTER "RENAME COLUMN a TO x", "CREATE TABLE t (id INT PRIMARY KEY, x INT)", NULL},
    {"another name, as before", ALTER "RENAME COLUMN a TO x", create, ALTER "RENAME COLUMN a TO x"},
    {"a column, as before", ALTER "ADD c INT DEFAULT 5", create, ALTER "ADD c INT DEFAULT 5"},
};

static void come_midway(size_t i, LockMode mode)
{
    Group g;
    group_begin(&g, &(LockOpts){.mode = mode}, create, 2);
    ck_assert_msg(group_run(&g, 0, midway[i].sql), "%s: %s", midway[i].name, g.err.message);
    join_as(&g, 2, midway[i].made);
    read_back(&g);
    ck_assert_msg(group_run(&g, 1, midway[i].sql), "%s: %s", midway[i].name, g.err.message);
    if (midway[i].then)
        ck_assert_msg(group_run(&g, 2, midway[i].then), "%s: %s", midway[i].name, g.err.message);
    ck_assert_msg(lock_state(g.lock) == LOCK_CLOSED, "%s: %s", midway[i].name,
                  lock_state_name(lock_state(g.lock)));
    group_done(&g);
}

START_TEST(made_midway)
{
    come_midway((size_t)_i, LOCK_PESSIMISTIC);
    come_midway((size_t)_i, LOCK_OPTIMISTIC);
}
END_TEST

/* Its rows hold nothing that a loss of the others could take: that is not counted as its own. */
START_TEST(made_after_a_loss)
{
    Group g;
    group_begin(&g, &(LockOpts){0}, create, 2);
    ck_assert(group_run(&g, 0, "TRUNCATE TABLE t"));
    join_as(&g, 2, create);
    ck_assert_int_eq(lock_state(g.lock), LOCK_OPERATOR);
    ck_assert_msg(group_decide(&g, LOCK_SKIP, 0, 1), "%s", g.err.message);
    ck_assert_int_eq(lock_state(g.lock), LOCK_CLOSED);
    group_done(&g);
}
END_TEST

/* A shard has given up a column that the target keeps for others, and adds it again. A table that came later
 * is in no doubt about its own rows, whatever they hold there: that says nothing of that shard's rows, which
 * hold what they brought before. */
START_TEST(no_witness_for_others)
{
    Group g;
    group_begin(&g, &(LockOpts){.mode = LOCK_OPTIMISTIC}, create, 1);
    join_as(&g, 1, "CREATE TABLE t (id INT PRIMARY KEY, a INT, y INT)");
    ck_assert(group_settle(&g));
    join_as(&g, 2, "CREATE TABLE t (id INT PRIMARY KEY, a INT, z INT)");
    ck_assert(group_settle(&g));
    ck_assert(group_decide(&g, LOCK_DETACH, 0, 0));
    ck_assert(group_run(&g, 2, ALTER "DROP a"));
    ck_assert(!group_is_held(&g, 2));
    int alters = g.alters;
    ck_assert(group_run(&g, 2, ALTER "ADD a INT AFTER id"));
    ck_assert(group_is_held(&g, 2));
    ck_assert(group_run(&g, 2, ALTER "ADD y INT") && group_run(&g, 1, ALTER "ADD z INT"));
    ck_assert_int_eq(lock_state(g.lock), LOCK_DATA_DIFFERS);
    ck_assert(group_is_held(&g, 2) && !group_is_held(&g, 1));
    ck_assert_int_eq(g.alters, alters);
    group_done(&g);
}
END_TEST

/* Nor is one that has no rows at all, though it agrees with each of two that do not agree. */
START_TEST(no_witness_outside)
{
    Group g;
    group_begin(&g, &(LockOpts){.mode = LOCK_OPTIMISTIC}, create, 1);
    join_as(&g, 1, "CREATE TABLE t (id INT NOT NULL, a INT, PRIMARY KEY (id, a))");
    for (uint32_t i = 2; i <= 3; i++)
        join_as(&g, i, create);
    ck_assert(group_settle(&g));
    ck_assert(group_is_held(&g, 1) && !group_is_held(&g, 2) && !group_is_held(&g, 3));
    ck_assert(group_decide(&g, LOCK_DETACH, 0, 0));
    g.members[0].gone = true;
    ck_assert(group_run(&g, 3, ALTER "DROP a"));
    ck_assert(!group_is_held(&g, 3));
    ck_assert(group_run(&g, 3, ALTER "ADD a INT"));
    ck_assert(group_is_held(&g, 3));
    ck_assert(group_run(&g, 1, ALTER "DROP PRIMARY KEY, ADD PRIMARY KEY (id), MODIFY a INT"));
    ck_assert(group_is_held(&g, 3) && !group_is_held(&g, 1) && !group_is_held(&g, 2));
    group_done(&g);
}
END_TEST

/* A column that the target filled for others, and whose shard has left since: the later table that has it too
 * does not stand for what the others fill it with now. */
START_TEST(no_witness_for_leavers)
{
    Group g;
    StrBuf feed = {0};
    group_begin(&g, &(LockOpts){.mode = LOCK_OPTIMISTIC}, create, 2);
    ck_assert(group_run(&g, 0, ALTER "ADD c INT DEFAULT 5"));
    join_as(&g, 2, "CREATE TABLE t (id INT PRIMARY KEY, a INT, c INT DEFAULT 5, y INT)");
    ck_assert(group_settle(&g));
    ck_assert(group_decide(&g, LOCK_DETACH, 0, 0));
    g.members[0].gone = true;
    ck_assert(group_feed(&g, 1, 0, "c", &feed));
    ck_assert_str_eq(feed.ptr, "'5'");
    ck_assert(group_run(&g, 1, ALTER "ADD c INT DEFAULT 7"));
    ck_assert(group_run(&g, 1, ALTER "ALTER c SET DEFAULT 5, ADD y INT"));
    ck_assert_int_eq(lock_state(g.lock), LOCK_DATA_DIFFERS);
    ck_assert(group_is_held(&g, 1) && !group_is_held(&g, 2));
    sb_done(&feed);
    group_done(&g);
}
END_TEST

static Suite *newcomer_suite(void)
{
    Suite *s = suite_create("lock/newcomer");
    TCase *t = tcase_create("newcomer");
    tcase_add_loop_test(t, pessimistic, 0, ARRAY_LEN(newcomers));
    tcase_add_loop_test(t, optimistic, 0, ARRAY_LEN(newcomers));
    tcase_add_loop_test(t, from_outside, 0, ARRAY_LEN(outside));
    tcase_add_loop_test(t, made_midway, 0, ARRAY_LEN(midway));
    tcase_add_test(t, made_after_a_loss);
    tcase_add_test(t, no_witness_for_others);
    tcase_add_test(t, no_witness_outside);
    tcase_add_test(t, no_witness_for_leavers);
    suite_add_tcase(s, t);
    return s;
}

UNIT_MAIN(newcomer_suite)
