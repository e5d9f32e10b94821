/* A shard's table is copied again: when that can be, whom it makes agree, and that a restart owes it. */
#include "unit.h"
#include "group.h"

#define ALTER "ALTER TABLE t "
#define MADE "CREATE TABLE t (id INT PRIMARY KEY, a INT, p DECIMAL(10,2), b INT DEFAULT 7)"

enum { MOST_LINES = 6 };

typedef struct Line {
    uint32_t member;
    const char *sql;
} Line;

typedef struct Case {
    const char *name;
    Line lines[MOST_LINES];
    LockState before;
    const char *refused; /* NULL: it is done for member 1 */
    LockState then;
    bool pessimistic; /* alone; the other mode lets it on */
    LockPolicy on_truncate;
} Case;

static const Case cases[] = {
    {"emptied", {{1, "TRUNCATE TABLE t"}}, LOCK_OPERATOR, NULL, LOCK_CLOSED, .pessimistic = false},
    {"emptied, and altered like the other",
     {{1, "TRUNCATE TABLE t"}, {1, ALTER "ADD c INT"}, {0, ALTER "ADD c INT"}},
     LOCK_OPERATOR,
     NULL,
     LOCK_CLOSED,
     .pessimistic = false},
    {"dropped and made again",
     {{1, "DROP TABLE t"}, {1, MADE}},
     LOCK_OPERATOR,
     NULL,
     LOCK_CLOSED,
     .pessimistic = false},
    {"imported",
     {{1, ALTER "DISCARD TABLESPACE"}, {1, ALTER "IMPORT TABLESPACE"}},
     LOCK_OPERATOR,
     NULL,
     LOCK_CLOSED,
     .pessimistic = false},
    {"made again otherwise",
     {{1, "DROP TABLE t"}, {1, "CREATE TABLE t (id INT PRIMARY KEY)"}},
     LOCK_OPERATOR,
     "no other member has an equal definition",
     LOCK_OPERATOR,
     .pessimistic = false},
    {"dropped",
     {{1, "DROP TABLE t"}},
     LOCK_OPERATOR,
     "the shard's table is gone",
     LOCK_OPERATOR,
     .pessimistic = false},
    {"converted where the other was not",
     {{0, ALTER "ADD c DOUBLE DEFAULT 1"},
      {1, ALTER "ADD c FLOAT DEFAULT 0.1"},
      {1, ALTER "MODIFY c DOUBLE DEFAULT 1"}},
     LOCK_DATA_DIFFERS,
     NULL,
     LOCK_CLOSED,
     .pessimistic = false},
    {"narrowed in two steps and in one",
     {{0, ALTER "MODIFY p DECIMAL(10,1)"},
      {1, ALTER "MODIFY p DECIMAL(10,0)"},
      {1, ALTER "MODIFY p DECIMAL(10,1)"}},
     LOCK_DATA_DIFFERS,
     NULL,
     LOCK_CLOSED,
     .pessimistic = false},
    {"the other lost rows",
     {{0, "TRUNCATE TABLE t"}, {0, ALTER "ADD c INT"}, {1, ALTER "ADD c INT"}},
     LOCK_OPERATOR,
     "decide about those first",
     LOCK_OPERATOR,
     .pessimistic = true},
    {"not alike yet",
     {{1, ALTER "ADD c INT"}},
     LOCK_WAITING,
     "no other member has an equal definition",
     LOCK_WAITING,
     .pessimistic = true},
    {"emptied, and the others are to follow",
     {{1, "TRUNCATE TABLE t"}},
     LOCK_DATA_DIFFERS,
     "or skip it",
     LOCK_DATA_DIFFERS,
     .pessimistic = false,
     .on_truncate = LOCK_POLICY_APPLY_WHEN_ALL},
    {"nobody is held", {{0, NULL}}, LOCK_CLOSED, "the member is not held", LOCK_CLOSED, .pessimistic = false},
};

static void begin(Group *g, const Case *c, const LockOpts *opts)
{
    group_begin(g, opts, MADE, 2);
    for (const Line *l = c->lines; l < c->lines + MOST_LINES && l->sql; l++)
        ck_assert_msg(group_run(g, l->member, l->sql), "%s: %s", c->name, g->err.message);
    ck_assert_msg(lock_state(g->lock) == c->before, "%s: %s", c->name, lock_state_name(lock_state(g->lock)));
}

static void decide_one(const Case *c, LockMode mode)
{
    Group g;
    /* whatever the policy: rows that came in are not those that may go */
    LockPolicy p = strcmp(c->name, "imported") == 0 ? LOCK_POLICY_IGNORE : LOCK_POLICY_HOLD;
    begin(&g, c,
          &(LockOpts){.mode = mode,
                      .provenance = true,
                      .can_recopy = true,
                      .on_partition = p,
                      .on_truncate = c->on_truncate});
    uint64_t last = 0, accepted = 0, was = lock_hash(g.lock);
    ck_assert(lock_member(g.lock, 1, &last, &accepted));
    bool ok = group_decide(&g, LOCK_RECOPY, 1, last);
    ck_assert_msg(ok == !c->refused, "%s: %s", c->name, g.err.message ? g.err.message : "it was done");
    if (c->refused) {
        ck_assert_int_eq(g.err.code, ERR_LOCK_DECISION);
        ck_assert_msg(strstr(g.err.message, c->refused), "%s: %s", c->name, g.err.message);
        ck_assert_uint_eq(lock_hash(g.lock), was);
    }
    ck_assert_int_eq(g.works, !c->refused);
    if (!c->refused) ck_assert_int_eq(g.work, LOCK_WORK_RECOPY);
    ck_assert_msg(lock_state(g.lock) == c->then, "%s: %s", c->name, lock_state_name(lock_state(g.lock)));
    ck_assert_uint_eq(g.rows.len, 0); /* nothing goes from the target but the member's own rows */
    group_done(&g);
}

START_TEST(decided)
{
    for (int mode = LOCK_PESSIMISTIC; mode <= (cases[_i].pessimistic ? LOCK_PESSIMISTIC : LOCK_OPTIMISTIC);
         mode++)
        decide_one(&cases[_i], (LockMode)mode);
}
END_TEST

/* A release is a place behind the rows that it reads now: they go on, nothing of it is held. */
START_TEST(not_what_a_release_waits_for)
{
    Group g;
    group_begin(&g, &(LockOpts){.provenance = true, .can_recopy = true}, MADE, 2);
    ck_assert(group_read(&g, 0, ALTER "ADD c INT")); /* its rows of before are still to be written */
    LockEvent e = {
        .kind = LOCK_EV_DECIDE, .member = 0, .number = 1, .decision = LOCK_RELEASE, .words = STR("x")};
    ck_assert(group_tell(&g, &e));
    uint64_t was = lock_hash(g.lock);
    e = (LockEvent){.kind = LOCK_EV_DECIDE, .member = 1, .decision = LOCK_RECOPY, .words = STR("x")};
    ck_assert(!group_tell(&g, &e));
    ck_assert_int_eq(g.err.code, ERR_LOCK_DECISION);
    ck_assert_ptr_nonnull(strstr(g.err.message, "the member is not held"));
    ck_assert_uint_eq(lock_hash(g.lock), was);
    ck_assert(group_settle(&g));
    ck_assert_int_eq(lock_state(g.lock), LOCK_CLOSED);
    group_done(&g);
}
END_TEST

/* What is decided afterwards, by itself or by hand, does not take the copy back. */
static const struct {
    const char *name;
    Line before[4], after[4];
    LockDecision then; /* of member 2; RECOPY: none */
} kept[] = {
    {"the others set their values",
     {{0, ALTER "ADD c INT DEFAULT 1"},
      {1, ALTER "ADD c INT DEFAULT 2"},
      {2, "TRUNCATE TABLE t"},
      {2, ALTER "ADD c INT DEFAULT 2"}},
     {{0, ALTER "ALTER c SET DEFAULT 2"}},
     LOCK_RECOPY},
    {"it differs in a later column",
     {{0, ALTER "ADD c INT DEFAULT 1"}, {2, "TRUNCATE TABLE t"}, {2, ALTER "ADD c INT DEFAULT 1"}},
     {{0, ALTER "ADD d INT DEFAULT 1"},
      {2, ALTER "ADD d INT DEFAULT 2"},
      {2, ALTER "ALTER d SET DEFAULT 1"},
      {1, ALTER "ADD c INT DEFAULT 1, ADD d INT DEFAULT 1"}},
     LOCK_RECOPY},
    {"accepted",
     {{0, ALTER "ADD c INT DEFAULT 1"},
      {1, ALTER "ADD c CHAR(36) DEFAULT (uuid())"},
      {2, "TRUNCATE TABLE t"},
      {2, ALTER "ADD c INT DEFAULT 1"}},
     {{1, ALTER "DROP c"}, {1, ALTER "ADD c INT DEFAULT 3"}, {1, ALTER "ALTER c SET DEFAULT 1"}},
     LOCK_ACCEPT},
};

START_TEST(stays_owed)
{
    Group g;
    bool own = kept[_i].then == LOCK_RECOPY;
    group_begin(&g, &(LockOpts){.provenance = true, .can_recopy = true, .refill_own = own}, MADE, 3);
    for (int i = 0; i < 4 && kept[_i].before[i].sql; i++)
        ck_assert(group_run(&g, kept[_i].before[i].member, kept[_i].before[i].sql));
    ck_assert_msg(group_decide(&g, LOCK_RECOPY, 2, 2), "%s", g.err.message);
    ck_assert_int_eq(g.works, 0);
    for (int i = 0; i < 4 && kept[_i].after[i].sql; i++)
        ck_assert_msg(group_run(&g, kept[_i].after[i].member, kept[_i].after[i].sql), "%s", g.err.message);
    if (!own) {
        ck_assert_msg(group_decide(&g, LOCK_ACCEPT, 2, 2), "%s", g.err.message);
        ck_assert_msg(group_decide(&g, LOCK_ACCEPT, 0, 1), "%s", g.err.message);
    }
    ck_assert_msg(g.work_of[2] == LOCK_WORK_RECOPY, "%s: %d", kept[_i].name, (int)g.work_of[2]);
    ck_assert_msg(lock_state(g.lock) == LOCK_CLOSED, "%s: %s", kept[_i].name,
                  lock_state_name(lock_state(g.lock)));
    group_done(&g);
}
END_TEST

/* Its rows wait behind the gate until the work is told, over a restart. */
START_TEST(owed_until_told)
{
    Group g;
    uint64_t last, accepted;
    begin(&g, &cases[0], &(LockOpts){.provenance = true});
    g.held_back = true;
    ck_assert_msg(group_decide(&g, LOCK_RECOPY, 1, 1), "%s", g.err.message);
    ck_assert(lock_member(g.lock, 1, &last, &accepted));
    ck_assert_uint_eq(last, 1);
    ck_assert_uint_eq(accepted, 0);
    StrBuf json = {0};
    Lock *again = NULL;
    LockActions acts = {0};
    uint64_t number = 0;
    lock_to_json(g.lock, &json);
    ck_assert_msg(lock_from_json(g.pool, sb_view(&json), &g.opts, &again, &g.err), "%s", g.err.message);
    lock_restart(again, &acts);
    for (uint32_t i = 0; i < acts.n; i++)
        if (acts.list[i].kind == LOCK_ACT_WORK && acts.list[i].work == LOCK_WORK_RECOPY)
            number = acts.list[i].number;
    ck_assert_uint_eq(number, 1);
    lock_free(g.lock);
    g.lock = again;
    ck_assert(!group_decide(&g, LOCK_RECOPY, 1, 1)); /* not twice */
    ck_assert(group_tell(&g, &(LockEvent){.kind = LOCK_EV_WORKED, .member = 1, .number = number}));
    ck_assert(!lock_member(g.lock, 1, &last, &accepted) || accepted == last);
    lock_actions_done(&acts);
    sb_done(&json);
    group_done(&g);
}
END_TEST

/* Shown as a choice where rows tell their shard and the task copies. */
START_TEST(is_a_choice)
{
    static const struct {
        bool provenance, can, shown;
    } all[] = {{true, true, true}, {true, false, false}, {false, true, false}};
    Group g;
    StrBuf json = {0};
    begin(&g, &cases[0], &(LockOpts){.provenance = all[_i].provenance, .can_recopy = all[_i].can});
    lock_explain(g.lock, &json);
    ck_assert_int_eq(strstr(json.ptr, "recopy") != NULL, all[_i].shown);
    ck_assert_int_eq(group_decide(&g, LOCK_RECOPY, 1, 1), all[_i].provenance);
    sb_done(&json);
    group_done(&g);
}
END_TEST

static Suite *recopy_suite(void)
{
    Suite *s = suite_create("lock/recopy");
    TCase *t = tcase_create("recopy");
    tcase_add_loop_test(t, decided, 0, ARRAY_LEN(cases));
    tcase_add_test(t, not_what_a_release_waits_for);
    tcase_add_loop_test(t, stays_owed, 0, ARRAY_LEN(kept));
    tcase_add_test(t, owed_until_told);
    tcase_add_loop_test(t, is_a_choice, 0, 3);
    suite_add_tcase(s, t);
    return s;
}

UNIT_MAIN(recopy_suite)
