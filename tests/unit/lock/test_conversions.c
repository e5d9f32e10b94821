/* Conversions that change values: shards run the same ones in orders of their own, or decide about them. */
#include "unit.h"
#include "lines.h"
#include "lock/lock_impl.h"

static const char priced[] = "CREATE TABLE t (id INT PRIMARY KEY, p DECIMAL(10,2))";

#define NARROW ALTER "MODIFY p DECIMAL(10,1)"
#define WIDEN ALTER "MODIFY p DECIMAL(12,2)"
#define ADD_D ALTER "ADD d INT"
#define ADD_E ALTER "ADD e INT"

/* The target's values have to be converted as each shard's were, so all go there by way of the narrow type.
 */
static const struct {
    const char *of[3][4];
} orders[] = {
    {{{NARROW, WIDEN, ADD_D}, {ADD_D, NARROW, WIDEN}}},
    {{{ADD_D, NARROW, WIDEN}, {NARROW, WIDEN, ADD_D}}},
    {{{NARROW, WIDEN, ADD_D, ADD_E}, {ADD_E, ADD_D, NARROW, WIDEN}}},
    {{{NARROW, WIDEN, ADD_D}, {ADD_D, NARROW, WIDEN}, {NARROW, ADD_D, WIDEN}}},
    {{{NARROW, ADD_D, WIDEN}, {ADD_D, NARROW, WIDEN}, {NARROW, WIDEN, ADD_D}}},
    {{{ADD_D, NARROW, WIDEN}, {NARROW, WIDEN, ADD_D}, {NARROW, WIDEN, ADD_D}}},
};

static void run_order(size_t i, LockMode mode)
{
    Group g;
    uint32_t n = orders[i].of[2][0] ? 3 : 2;
    group_begin(&g, &(LockOpts){.mode = mode}, priced, n);
    for (uint32_t m = 0; m < n; m++)
        for (int k = 0; k < 4 && orders[i].of[m][k]; k++)
            ck_assert_msg(group_run(&g, m, orders[i].of[m][k]), "%s", g.err.message);
    ck_assert_str_eq(lock_state_name(lock_state(g.lock)), "closed");
    ck_assert(group_column(&g, "p") && group_column(&g, "d"));
    check_json(&g);
    group_done(&g);
}

START_TEST(in_another_order)
{
    run_order((size_t)_i, LOCK_PESSIMISTIC);
    run_order((size_t)_i, LOCK_OPTIMISTIC);
}
END_TEST

/* The target follows on the way, but not for an index that some lack, of shards that differ from the start.
 */
START_TEST(index_of_one_that_differs)
{
    static const char *const creates[] = {"CREATE TABLE t (id INT PRIMARY KEY, a INT)",
                                          "CREATE TABLE t (id INT PRIMARY KEY, a INT, b INT)"};
    Group g = {0};
    ck_assert_msg(group_begin_each(&g, &(LockOpts)PESSIMISTIC, creates, 2, creates[1]), "%s", g.err.message);
    ck_assert(group_run(&g, _i, ALTER "ADD INDEX i (a)"));
    ck_assert_int_eq(g.alters, 0);
    group_done(&g);
}
END_TEST

static bool says(const Group *g, const char *what)
{
    StrBuf json = {0};
    lock_explain(g->lock, &json);
    bool found = strstr(json.ptr, what) != NULL;
    sb_done(&json);
    return found;
}

START_TEST(accepted)
{
    Group g;
    group_begin(&g, &(LockOpts){.mode = (LockMode)_i}, priced, 2);
    ck_assert(group_run(&g, 0, NARROW) && group_run(&g, 0, WIDEN) && group_run(&g, 1, WIDEN));
    ck_assert_str_eq(lock_state_name(lock_state(g.lock)), "data-differs");
    ck_assert(group_decide(&g, LOCK_ACCEPT, 0, 2));
    ck_assert_str_eq(lock_state_name(lock_state(g.lock)), "closed");
    group_done(&g);
}
END_TEST

/* Who ran no conversion counts as one who did: its rows cannot be converted with the others. The lock says
 * so, and what ends that. */
START_TEST(accepted_the_wrong_way)
{
    Group g;
    LockOpts opts = {.provenance = true, .can_delete = true, .can_recopy = true};
    group_begin(&g, &opts, priced, 2);
    ck_assert(group_run(&g, 0, NARROW) && group_run(&g, 0, WIDEN));
    ck_assert(!says(&g, "a decision:") && !says(&g, "\"recopy\""));
    ck_assert(group_run(&g, 1, WIDEN));
    ck_assert_str_eq(lock_state_name(lock_state(g.lock)), "data-differs");
    ck_assert(!says(&g, "a decision:"));
    ck_assert(group_decide(&g, LOCK_ACCEPT, 1, 1));
    ck_assert_str_eq(lock_state_name(lock_state(g.lock)), "waiting");
    ck_assert(says(&g, "a decision: ") && says(&g, "\"recopy\""));
    if (_i) { /* the other one's rows are right: those of the first are not yet */
        ck_assert(group_decide(&g, LOCK_RECOPY, 1, 1));
        ck_assert(says(&g, "a decision: ") && says(&g, "\"recopy\""));
    }
    ck_assert(group_decide(&g, LOCK_RECOPY, 0, 2));
    ck_assert_str_eq(lock_state_name(lock_state(g.lock)), "closed");
    ck_assert_int_eq(g.work_of[0], LOCK_WORK_RECOPY);
    group_done(&g);
}
END_TEST

/* What a decision lets go on is stopped no longer, and the state says so when it is read again. */
START_TEST(skip_of_a_stop)
{
    Group g;
    group_begin(&g, &(LockOpts){.mode = LOCK_OPTIMISTIC, .strict = true}, create, 2);
    ck_assert(group_run(&g, 1, ALTER "RENAME COLUMN a TO r"));
    ck_assert_str_eq(lock_state_name(lock_state(g.lock)), "operator");
    check_json(&g);
    ck_assert(group_decide(&g, LOCK_SKIP, 1, 1));
    ck_assert(lock_state(g.lock) != LOCK_OPERATOR && !group_is_held(&g, 1));
    check_json(&g);
    group_done(&g);
}
END_TEST

/* One that an older version wrote. */
START_TEST(stopped_with_nothing_left)
{
    static const char was[] = "\"accepted\":0", then[] = "\"accepted\":0,\"stopped\":true";
    Group g;
    StrBuf text = {0}, old = {0};
    Lock *l;
    LockOpts opts = {.mode = LOCK_OPTIMISTIC, .strict = true};
    group_begin(&g, &opts, create, 2);
    lock_to_json(g.lock, &text);
    const char *at = strstr(text.ptr, was);
    ck_assert_ptr_nonnull(at);
    sb_str(&old, (Str){text.ptr, (size_t)(at - text.ptr)});
    sb_c(&old, then);
    sb_c(&old, at + strlen(was));
    ck_assert_msg(lock_from_json(g.pool, sb_view(&old), &opts, &l, &g.err), "%s", g.err.message);
    ck_assert_str_eq(lock_state_name(lock_state(l)), "closed");
    lock_free(l);
    sb_done(&text);
    sb_done(&old);
    group_done(&g);
}
END_TEST

/* Whether a table outside has rows in the target decides about a join: one found is for tables like it. */
START_TEST(join_of_a_fresh_table)
{
    Group g;
    bool found[2], *replaces;
    const Version *to;
    group_begin(&g, &(LockOpts){.mode = LOCK_OPTIMISTIC}, create, 2);
    ck_assert(group_run(&g, 0, ALTER "ADD z INT"));
    ck_assert(group_run(&g, 0, ALTER "ADD c INT") && group_run(&g, 1, ALTER "ADD c INT"));
    ck_assert(group_run(&g, 0, ALTER "DROP c") && group_run(&g, 0, ALTER "ADD c INT"));
    LockMember *m = &g.lock->members[1];
    int32_t accept[] = {(int32_t)g.lock->members[0].n_nodes - 1, (int32_t)m->n_nodes - 1};
    m->accepted = m->gate = LOCK_OUTSIDE;
    for (int fresh = 0; fresh < 2; fresh++) {
        m->fresh = fresh;
        found[fresh] = lock_join(g.lock, accept, &to, &replaces, NULL);
        if (found[fresh]) free(replaces);
    }
    ck_assert(found[0] != found[1]);
    group_done(&g);
}
END_TEST

static Suite *conversions_suite(void)
{
    Suite *s = suite_create("lock/conversions");
    TCase *t = tcase_create("conversions");
    tcase_add_loop_test(t, in_another_order, 0, ARRAY_LEN(orders));
    tcase_add_loop_test(t, index_of_one_that_differs, 0, 2);
    tcase_add_loop_test(t, accepted, 0, 2);
    tcase_add_loop_test(t, accepted_the_wrong_way, 0, 2);
    tcase_add_test(t, skip_of_a_stop);
    tcase_add_test(t, stopped_with_nothing_left);
    tcase_add_test(t, join_of_a_fresh_table);
    suite_add_tcase(s, t);
    return s;
}

UNIT_MAIN(conversions_suite)
