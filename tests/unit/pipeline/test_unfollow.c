#include "pipeline/unfollow.h"
#include <string.h>
#include "model/point.h"
#include "store/store_ddl.h"
#include "temp_dir.h"
#include "track/step_json.h"
#include "track/tables.h"
#include "unit.h"

#define OK(call)                                                                                             \
    do {                                                                                                     \
        Err err = {0};                                                                                       \
        ck_assert_msg((call), "%s", err.message ? err.message : "");                                         \
    } while (0)

static const TableName shard = {STR("shop"), STR("orders_1")}, target = {STR("all"), STR("orders")};

/* A state folder of a task with one shard table. */
typedef struct State {
    Store *store;
    uint64_t member;
    StrBuf point;
} State;

static void state_init(State *s)
{
    StreamPoint at = {.flavor = FLAVOR_MARIADB};
    *s = (State){0};
    point_set_file(&at, STR("binlog.000007"), 1234);
    point_format(&at, &s->point);
    point_done(&at);
    OK(store_open(temp_dir, false, &s->store, &err));
    OK(store_member(s->store, STR("s1"), shard, target, &s->member, &err));
}

static void state_done(State *s)
{
    store_close(s->store);
    sb_done(&s->point);
}

static void add_step(State *s, uint64_t number, bool before, const char *statement)
{
    static const Col columns[] = {INT_("id")};
    static const char *const keys[] = {"PRIMARY:id", NULL};
    TableSchema *schema = table("orders_1", COLS(columns), keys);
    ColumnLineage column = {.from = before ? 0 : UINT32_MAX};
    bool dropped = false;
    SchemaStep step = {.columns = &column,
                       .dropped = &dropped,
                       .before = before ? schema : NULL,
                       .after = schema,
                       .name_before = shard,
                       .name_after = shard,
                       .statement = str_of(statement)};
    StrBuf change = {0};
    step_to_json(&step, &change);
    StoreStep t = {.member_no = s->member,
                   .number = number,
                   .identity = str_of(statement),
                   .txn_json = STR("{}"),
                   .point_json = sb_view(&s->point),
                   .kind = before ? STR("alter") : STR("create"),
                   .change_json = sb_view(&change)};
    OK(store_step(s->store, &t, NULL, &err));
    sb_done(&change);
    schema_free(schema);
}

static void put_lock(State *s, const char *state, bool left)
{
    StoreLock lock = {
        .target = target, .state = str_of(state), .lock_json = STR("{}"), .explained_json = STR("{}")};
    StoreLeft gone = {.member_no = s->member, .last = 1};
    StoreLockNews news = {.left = &gone, .n_left = left};
    OK(store_lock_put(s->store, &lock, &news, &err));
}

static void add_fork(State *s)
{
    StoreFork fork = {
        .source_id = STR("s1"), .member_no = s->member, .from_json = sb_view(&s->point), .needs = 1};
    OK(store_fork_add(s->store, &fork, &err));
}

static void refuses(const State *s, const char *words)
{
    Err err = {0};
    ck_assert(!unfollow_check(s->store, &err));
    ck_assert_int_eq(err.code, ERR_STATE_TASK_CHANGED);
    ck_assert_msg(strstr(err.message, words), "'%s' lacks '%s'", err.message, words);
    ck_assert_msg(err.remedy && strstr(err.remedy, "set shard-mode back"), "%s", err.remedy);
    err_clear(&err);
}

START_TEST(what_was_only_made_needs_nobody)
{
    State s;
    state_init(&s);
    OK(unfollow_check(s.store, &err));
    add_step(&s, 1, false, "CREATE TABLE orders_1");
    OK(unfollow_check(s.store, &err));
    state_done(&s);
}
END_TEST

/* Each alone; what comes later in the list is also true from there on, and told first. */
START_TEST(what_is_on_record_is_told)
{
    State s;
    state_init(&s);
    put_lock(&s, "closed", false);
    refuses(&s, "the lock of target all.orders is closed");
    add_step(&s, 1, true, "ALTER TABLE orders_1 ADD n INT");
    refuses(&s, "shop.orders_1 of source s1 was followed (ALTER TABLE orders_1 ADD n INT)");
    put_lock(&s, "closed", true);
    refuses(&s, "shop.orders_1 of source s1 has left the target all.orders");
    put_lock(&s, "operator", false);
    refuses(&s, "the lock of target all.orders is operator");
    add_fork(&s);
    refuses(&s, "rows of table shop.orders_1 of source s1, from binlog.000007:1234 on, are held");
    state_done(&s);
}
END_TEST

START_TEST(rows_that_are_written_are_not_held)
{
    State s;
    state_init(&s);
    add_fork(&s);
    refuses(&s, "are held for the target all.orders");
    OK(store_fork_give_up(s.store, 1, &err));
    OK(unfollow_check(s.store, &err));
    state_done(&s);
}
END_TEST

/* A table that was made, and made again. */
START_TEST(only_the_first_statement_makes_a_table)
{
    State s;
    state_init(&s);
    add_step(&s, 1, false, "CREATE TABLE orders_1");
    add_step(&s, 2, false, "CREATE TABLE orders_1 again");
    refuses(&s, "CREATE TABLE orders_1 again");
    state_done(&s);
}
END_TEST

static Suite *unfollow_suite(void)
{
    Suite *s = suite_create("unfollow");
    TCase *t = tcase_create("unfollow");
    tcase_add_checked_fixture(t, temp_dir_setup, temp_dir_teardown);
    tcase_add_test(t, what_was_only_made_needs_nobody);
    tcase_add_test(t, what_is_on_record_is_told);
    tcase_add_test(t, rows_that_are_written_are_not_held);
    tcase_add_test(t, only_the_first_statement_makes_a_table);
    suite_add_tcase(s, t);
    return s;
}

UNIT_MAIN(unfollow_suite)
