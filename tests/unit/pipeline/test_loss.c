#include "pipeline/loss.h"
#include "track/tables.h"
#include "unit.h"

static const Col columns[] = {
    VARCHAR_("shard", 20, "utf8mb4_general_ci", 80),
    INT_("number"),
    INT_("id"),
};
static const char *const target_keys[] = {"PRIMARY:id", NULL};

enum { MOST = 3 };
typedef struct Shards {
    World *w;
    RouteRule rule;
    ProvenanceRule provenance[2];
    MemberKeys keys[MOST];
    KeyConstant constants[MOST][2];
    KeyColumn ids[MOST];
    Member members[MOST];
    PolicyMember list[MOST];
    Task task;
    SourceConfig sources[2];
    size_t n;
} Shards;

static void setup(Shards *s)
{
    *s = (Shards){.rule = {.loss = {.on_drop = LOSS_DELETE_ROWS}},
                  .provenance = {{.column = STR("shard")}, {.column = STR("number")}}};
    s->w = world(COLS(columns), target_keys, COLS(columns), target_keys);
    s->sources[0].id = STR("s1");
    s->sources[1].id = STR("s2");
    s->task.sources = s->sources;
    s->task.n_sources = 2;
}

static MemberKeys *add(Shards *s, const char *shard, const char *number)
{
    size_t i = s->n++;
    s->constants[i][0] = (KeyConstant){&s->provenance[0], str_of(shard)};
    s->constants[i][1] = (KeyConstant){&s->provenance[1], str_of(number)};
    s->keys[i] =
        (MemberKeys){.rule = &s->rule, .own = NO_COLUMN, .constants = s->constants[i], .n_constants = 2};
    s->members[i] = (Member){.id = (uint32_t)i, .source = (uint32_t)(i % 2), .name = {STR("db"), STR("t")}};
    s->list[i] = (PolicyMember){&s->members[i], &s->keys[i]};
    return &s->keys[i];
}

static MemberKeys *add_ids(Shards *s, KeyStrategy strategy, uint64_t multiply, uint64_t add_)
{
    size_t i = s->n;
    MemberKeys *k = add(s, "", "");
    k->n_constants = 0;
    k->strategy = strategy;
    k->own = 0;
    k->n_columns = 1;
    s->ids[i] =
        (KeyColumn){.column = STR("id"), .rewrite = {.multiply = multiply, .add = add_, .high = 1000}};
    k->columns = &s->ids[i];
    return k;
}

static void check(Shards *s, const char *refused, bool tells)
{
    LossAnswer answer;
    Err err = {0};
    bool ok = loss_check(&s->task, s->w->target, s->list, s->n, &answer, &err);
    ck_assert_msg(ok == !refused, "%s", err.message ? err.message : "not refused");
    if (refused)
        ck_assert_msg(err.code == ERR_KEY_STRATEGY && strstr(err.message, refused), "%s", err.message);
    if (ok) ck_assert(answer.tells_rows == tells);
    err_clear(&err);
}

START_TEST(told_apart)
{
    Shards s;
    setup(&s);
    check(&s, NULL, false); /* nobody: nothing to tell */
    add(&s, "a", "1");
    check(&s, NULL, true);
    add(&s, "a", "2");
    check(&s, NULL, true);
    MemberKeys *third = add(&s, "a ", "02"); /* CHAR is padded, numbers are numbers */
    check(&s, "source s2 table db.t and source s1 table db.t: delete-shard-rows", false);
    third->n_constants = 1; /* rows without the second column may have any value there */
    check(&s, "delete-shard-rows", false);
    s.rule.loss.on_drop = LOSS_IGNORE; /* nobody deletes */
    check(&s, NULL, false);
    world_free(s.w);
}
END_TEST

START_TEST(by_ids)
{
    Shards s;
    setup(&s);
    add_ids(&s, KEY_STRATEGY_STRIDE, 4, 0);
    add_ids(&s, KEY_STRATEGY_STRIDE, 4, 3);
    check(&s, NULL, true);
    s.ids[1].rewrite.add = 0;
    check(&s, "delete-shard-rows", false);
    world_free(s.w);
}
END_TEST

START_TEST(rules_differ)
{
    Shards s;
    RouteRule other = {.loss = {.on_truncate = LOSS_IGNORE}};
    setup(&s);
    add(&s, "a", "1");
    add(&s, "b", "1")->rule = &other;
    check(&s, "their rules differ in on-drop", false);
    world_free(s.w);
}
END_TEST

START_TEST(conditions)
{
    Shards s;
    StrBuf sql = {0};
    Err err = {0};
    setup(&s);
    add(&s, "it's", "07");
    ck_assert(loss_rows_of(s.w->target, &s.keys[0], &sql, &err));
    ck_assert_str_eq(
        sql.ptr, "`shard` = 'it\\'s' AND CONVERT(`shard` USING utf8mb4) COLLATE utf8mb4_bin = 'it\\'s' AND "
                 "`number` = 7");
    sb_clear(&sql);
    add_ids(&s, KEY_STRATEGY_STRIDE, 4, 3);
    ck_assert(loss_rows_of(s.w->target, &s.keys[1], &sql, &err));
    ck_assert_str_eq(sql.ptr, "`id` BETWEEN 3 AND 4003 AND `id` % 4 = 3");
    sb_clear(&sql);
    add_ids(&s, KEY_STRATEGY_PARTITION_ID, 1, 1ull << 40);
    ck_assert(loss_rows_of(s.w->target, &s.keys[2], &sql, &err));
    ck_assert_str_eq(sql.ptr, "`id` BETWEEN 1099511627776 AND 1099511628776");
    sb_clear(&sql);
    s.keys[2].own = NO_COLUMN; /* nothing is left that tells its rows */
    ck_assert(!loss_rows_of(s.w->target, &s.keys[2], &sql, &err));
    ck_assert_int_eq(err.code, ERR_KEY_STRATEGY);
    err_clear(&err);
    s.provenance[1].column = STR("gone");
    ck_assert(!loss_rows_of(s.w->target, &s.keys[0], &sql, &err));
    err_clear(&err);
    sb_done(&sql);
    world_free(s.w);
}
END_TEST

static Suite *loss_suite(void)
{
    Suite *s = suite_create("loss");
    TCase *t = tcase_create("loss");
    tcase_add_test(t, told_apart);
    tcase_add_test(t, by_ids);
    tcase_add_test(t, rules_differ);
    tcase_add_test(t, conditions);
    suite_add_tcase(s, t);
    return s;
}

UNIT_MAIN(loss_suite)
