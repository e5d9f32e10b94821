/* Columns that shards add with different defaults, NULL-ness or computed values: what each shard's rows hold
 * in the target, before and after. */
#include "unit.h"
#include "group.h"

#define ALTER "ALTER TABLE t "
static const char create[] = "CREATE TABLE t (id INT PRIMARY KEY, a INT)";

/* Member 0 runs first at noon, member 1 second a minute later, then perhaps makes the definition that of
 * member 0. What rows get: of member 1 before its step, once the first has run (optimistic). */
typedef struct Fill {
    const char *name, *first, *second, *then;
    const char *before; /* what a row of member 1 gets after `first` alone; "held": 0 is held */
    LockState optimistic, pessimistic; /* after both */
    bool held;                         /* optimistic: member 1 in the end */
    LockState own;                     /* pessimistic with provenance and refill-own: after all */
    bool refills;
} Fill;

static const Fill fills[] = {
    {"equal literals", ALTER "ADD c INT DEFAULT 1", ALTER "ADD c INT DEFAULT 1", NULL, "'1'", LOCK_CLOSED,
     LOCK_CLOSED, false, LOCK_CLOSED, false},
    {"different literals", ALTER "ADD c INT DEFAULT 1", ALTER "ADD c INT DEFAULT 2", NULL, "'1'",
     LOCK_WAITING, LOCK_WAITING, true, LOCK_WAITING, false},
    {"different literals, then one default", ALTER "ADD c INT DEFAULT 1", ALTER "ADD c INT DEFAULT 2",
     ALTER "ALTER c SET DEFAULT 1", "'1'", LOCK_DATA_DIFFERS, LOCK_DATA_DIFFERS, true, LOCK_CLOSED, true},
    {"NULL against a literal", ALTER "ADD c INT", ALTER "ADD c INT DEFAULT 2", NULL, "NULL", LOCK_WAITING,
     LOCK_WAITING, true, LOCK_WAITING, false},
    {"NULL against a literal, then one default", ALTER "ADD c INT", ALTER "ADD c INT DEFAULT 2",
     ALTER "ALTER c DROP DEFAULT, MODIFY c INT", "NULL", LOCK_DATA_DIFFERS, LOCK_DATA_DIFFERS, true,
     LOCK_CLOSED, true},
    {"NULL against NOT NULL", ALTER "ADD c INT", ALTER "ADD c INT NOT NULL", NULL, "NULL", LOCK_WAITING,
     LOCK_WAITING, true, LOCK_WAITING, false},
    {"NOT NULL without default: the type's zero", ALTER "ADD c INT NOT NULL", ALTER "ADD c INT NOT NULL",
     NULL, "0", LOCK_CLOSED, LOCK_CLOSED, false, LOCK_CLOSED, false},
    {"now(): each shard its own moment", ALTER "ADD c DATETIME DEFAULT now()",
     ALTER "ADD c DATETIME DEFAULT now()", NULL, "'2026-01-01 12:00:00'", LOCK_DATA_DIFFERS,
     LOCK_DATA_DIFFERS, true, LOCK_CLOSED, true},
    {"uuid(): nobody can compute it", ALTER "ADD c CHAR(36) DEFAULT (uuid())",
     ALTER "ADD c CHAR(36) DEFAULT (uuid())", NULL, "held", LOCK_DATA_DIFFERS, LOCK_DATA_DIFFERS, true,
     LOCK_DATA_DIFFERS, false},
    {"rand() against a literal", ALTER "ADD c DOUBLE DEFAULT (rand())", ALTER "ADD c DOUBLE DEFAULT 0", NULL,
     "held", LOCK_WAITING, LOCK_WAITING, false, LOCK_WAITING, false},
    {"generated: computed by the target", ALTER "ADD c INT AS (a + 1)", ALTER "ADD c INT AS (a + 1)", NULL,
     "target", LOCK_CLOSED, LOCK_CLOSED, false, LOCK_CLOSED, false},
    {"generated in two ways", ALTER "ADD c INT AS (a + 1)", ALTER "ADD c INT AS (a + 2)", NULL, "target",
     LOCK_WAITING, LOCK_WAITING, true, LOCK_WAITING, false},
};

static void run(Group *g, const Fill *f, bool all)
{
    g->now = "2026-01-01 12:00:00";
    ck_assert_msg(group_run(g, 0, f->first), "%s: %s", f->name, g->err.message);
    if (!all) return;
    g->now = "2026-01-01 12:01:00";
    ck_assert_msg(group_run(g, 1, f->second), "%s: %s", f->name, g->err.message);
    if (f->then) ck_assert_msg(group_run(g, 1, f->then), "%s: %s", f->name, g->err.message);
}

static void ends_as(const Group *g, const Fill *f, LockState as)
{
    StrBuf why = {0};
    lock_explain(g->lock, &why);
    ck_assert_msg(lock_state(g->lock) == as, "%s: %s, not %s: %s", f->name,
                  lock_state_name(lock_state(g->lock)), lock_state_name(as), why.ptr);
    sb_done(&why);
}

START_TEST(optimistic)
{
    const Fill *f = &fills[_i];
    Group g;
    StrBuf feed = {0};
    group_begin(&g, &(LockOpts){.mode = LOCK_OPTIMISTIC}, create, 2);
    run(&g, f, false);
    if (strcmp(f->before, "held") == 0) {
        ck_assert(group_is_held(&g, 0));
    } else {
        ck_assert_msg(group_feed(&g, 1, 0, "c", &feed), "%s", g.err.message);
        ck_assert_msg(strcmp(feed.ptr, f->before) == 0, "%s: %s", f->name, feed.ptr);
        ck_assert(!group_is_held(&g, 0));
    }
    group_done(&g);
    group_begin(&g, &(LockOpts){.mode = LOCK_OPTIMISTIC}, create, 2);
    run(&g, f, true);
    ends_as(&g, f, f->optimistic);
    ck_assert_msg(group_is_held(&g, 1) == f->held, "%s", f->name);
    sb_done(&feed);
    group_done(&g);
}
END_TEST

START_TEST(pessimistic)
{
    const Fill *f = &fills[_i];
    Group g;
    group_begin(&g, &(LockOpts){.mode = LOCK_PESSIMISTIC}, create, 2);
    run(&g, f, false);
    ck_assert(group_is_held(&g, 0) && !group_is_held(&g, 1));
    ck_assert_ptr_null(group_column(&g, "c"));
    group_done(&g);
}
END_TEST

START_TEST(pessimistic_both)
{
    const Fill *f = &fills[_i];
    Group g;
    group_begin(&g, &(LockOpts){.mode = LOCK_PESSIMISTIC}, create, 2);
    run(&g, f, true);
    ends_as(&g, f, f->pessimistic);
    group_done(&g);
}
END_TEST

START_TEST(own_values)
{
    const Fill *f = &fills[_i];
    Group g;
    group_begin(&g, &(LockOpts){.provenance = true, .refill_own = true}, create, 2);
    run(&g, f, true);
    ends_as(&g, f, f->own);
    ck_assert_int_eq(g.work, f->refills ? LOCK_WORK_REFILL : LOCK_WORK_NONE);
    ck_assert_int_eq(g.works, f->refills);
    group_done(&g);
}
END_TEST

/* Nothing can compute uuid() again: a refill is refused, a copy helps. */
START_TEST(volatile_recipes)
{
    const char *sql = ALTER "ADD c CHAR(36) DEFAULT (uuid())";
    Group g;
    group_begin(&g, &(LockOpts){.provenance = true}, create, 2);
    ck_assert(group_run(&g, 0, sql) && group_run(&g, 1, sql));
    ck_assert(!group_decide(&g, LOCK_REFILL, 1, 1));
    ck_assert_int_eq(g.err.code, ERR_LOCK_DECISION);
    err_clear(&g.err);
    g.err = (Err){0};
    ck_assert_msg(group_decide(&g, LOCK_RECOPY, 1, 1), "%s", g.err.message);
    ck_assert_int_eq(lock_state(g.lock), LOCK_DATA_DIFFERS); /* the first member's values are as unknown */
    ck_assert_msg(group_decide(&g, LOCK_RECOPY, 0, 1), "%s", g.err.message);
    StrBuf why = {0};
    lock_explain(g.lock, &why);
    ck_assert_msg(lock_state(g.lock) == LOCK_CLOSED, "%s", why.ptr);
    ck_assert_int_eq(g.work, LOCK_WORK_RECOPY);
    ck_assert_int_eq(g.works, 2);
    sb_done(&why);
    group_done(&g);
}
END_TEST

/* A table alone in its group: its rows in the target cannot follow either. */
START_TEST(volatile_alone)
{
    for (int mode = LOCK_PESSIMISTIC; mode <= LOCK_OPTIMISTIC; mode++) {
        Group g;
        group_begin(&g, &(LockOpts){.mode = (LockMode)mode}, create, 1);
        ck_assert(group_run(&g, 0, ALTER "ADD c CHAR(36) DEFAULT (uuid())"));
        ck_assert_int_eq(lock_state(g.lock), LOCK_DATA_DIFFERS);
        ck_assert(group_is_held(&g, 0));
        ck_assert_msg(group_decide(&g, mode ? LOCK_ACCEPT : LOCK_RELEASE, 0, 1), "%s", g.err.message);
        ck_assert_int_eq(lock_state(g.lock), LOCK_CLOSED);
        ck_assert_ptr_nonnull(group_column(&g, "c"));
        group_done(&g);
    }
}
END_TEST

/* now() at different moments before the start: columns some lack are no reason to hold anybody. */
START_TEST(differs_at_start)
{
    static const char *const creates[] = {
        create, "CREATE TABLE t (id INT PRIMARY KEY, a INT, n DATETIME DEFAULT now())"};
    Group g = {0};
    StrBuf feed = {0};
    ck_assert_msg(group_begin_each(&g, &(LockOpts){.mode = LOCK_OPTIMISTIC}, creates, 2, creates[1]), "%s",
                  g.err.message);
    ck_assert(!group_is_held(&g, 0) && !group_is_held(&g, 1));
    ck_assert_msg(group_feed(&g, 0, 0, "n", &feed), "%s", g.err.message);
    ck_assert_str_eq(feed.ptr, "NULL");
    sb_done(&feed);
    group_done(&g);
}
END_TEST

static Suite *fills_suite(void)
{
    Suite *s = suite_create("lock/fills");
    TCase *t = tcase_create("fills");
    tcase_add_loop_test(t, optimistic, 0, ARRAY_LEN(fills));
    tcase_add_loop_test(t, pessimistic, 0, ARRAY_LEN(fills));
    tcase_add_loop_test(t, pessimistic_both, 0, ARRAY_LEN(fills));
    tcase_add_loop_test(t, own_values, 0, ARRAY_LEN(fills));
    tcase_add_test(t, volatile_recipes);
    tcase_add_test(t, volatile_alone);
    tcase_add_test(t, differs_at_start);
    suite_add_tcase(s, t);
    return s;
}

UNIT_MAIN(fills_suite)
