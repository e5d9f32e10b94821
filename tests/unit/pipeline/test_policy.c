#include "pipeline/policy.h"
#include "track/tables.h"
#include "unit.h"

/* A target with a provenance column of each kind, and the keys of shard tables that fill them. */
static const Col columns[] = {
    VARCHAR_("shard", 20, "utf8mb4_general_ci", 80),
    INT_("number"),
    INT_("id"),
};
static const char *const target_keys[] = {"PRIMARY:id", NULL};

enum { MOST = 4 };
typedef struct Shards {
    World *w;
    RouteRule rule;
    ProvenanceRule provenance[2];
    MemberKeys keys[MOST];
    KeyConstant constants[MOST][2];
    Member members[MOST];
    PolicyMember list[MOST];
    Task task;
    SourceConfig sources[2];
    size_t n;
} Shards;

static void add(Shards *s, const char *name, const char *shard, const char *number)
{
    size_t i = s->n++;
    s->constants[i][0] = (KeyConstant){&s->provenance[0], str_of(shard)};
    s->constants[i][1] = (KeyConstant){&s->provenance[1], str_of(number)};
    s->keys[i] = (MemberKeys){.rule = &s->rule, .constants = s->constants[i], .n_constants = 2};
    s->members[i] =
        (Member){.id = (uint32_t)i, .source = (uint32_t)(i % 2), .name = {STR("db"), str_of(name)}};
    s->list[i] = (PolicyMember){&s->members[i], &s->keys[i]};
}

static void setup(Shards *s, ConflictPolicy policy)
{
    *s = (Shards){.rule = {.key = {.on_conflict = policy}},
                  .provenance = {{.column = STR("shard")}, {.column = STR("number")}}};
    s->w = world(COLS(columns), target_keys, COLS(columns), target_keys);
    s->sources[0].id = STR("s1");
    s->sources[1].id = STR("s2");
    s->task.sources = s->sources;
    s->task.n_sources = 2;
}

static bool park_of(Shards *s, const char *refused)
{
    PolicyAnswer answer;
    Err err = {0};
    bool ok = policy_check(&s->task, s->w->target, s->list, s->n, &answer, &err);
    ck_assert_msg(ok == !refused, "%s", err.message ? err.message : "not refused");
    if (refused) {
        ck_assert_int_eq(err.code, ERR_KEY_STRATEGY);
        ck_assert_msg(strstr(err.message, refused), "%s", err.message);
    }
    err_clear(&err);
    return answer.policy != CONFLICT_STOP;
}

START_TEST(members_agree)
{
    Shards s;
    setup(&s, CONFLICT_TABLE);
    ck_assert(!park_of(&s, NULL)); /* none yet */
    add(&s, "a", "x", "1");
    add(&s, "b", "x", "2");
    add(&s, "c", "y", "1");
    ck_assert(park_of(&s, NULL));
    s.constants[2][0].value = STR("X"); /* other bytes, but the collation takes them for equal */
    park_of(&s, "same values, by the column's collation");
    s.constants[2][0].value = STR("\xc3\xa9"); /* unsure */
    park_of(&s, "same values, by the column's collation");
    s.constants[2][0].value = STR("y");
    add(&s, "d", "x ", "02"); /* CHAR is padded, numbers are numbers: as b */
    park_of(&s, "same values");
    s.list[3].keys = NULL; /* not resolved yet */
    ck_assert(park_of(&s, NULL));
    world_free(s.w);
}
END_TEST

START_TEST(rules_differ)
{
    Shards s;
    setup(&s, CONFLICT_STOP);
    add(&s, "a", "x", "1");
    add(&s, "b", "x", "1"); /* nobody asks whose row is whose */
    ck_assert(!park_of(&s, NULL));
    RouteRule other = {.key = {.on_conflict = CONFLICT_TABLE}};
    s.keys[1].rule = &other;
    park_of(&s, "source s1 table db.a and source s2 table db.b: their rules differ");
    s.keys[0].rule = &other;
    s.keys[1].n_constants = 1;
    park_of(&s, "their provenance columns differ");
    RouteRule first = other, newest = other;
    first.key.on_conflict = newest.key.on_conflict = CONFLICT_KEEP_NEWEST;
    first.key.conflict_column = STR("a");
    newest.key.conflict_column = STR("A");
    s.keys[0].rule = &first;
    s.keys[1] = s.keys[0];
    s.keys[1].constants = s.constants[1];
    s.constants[1][1].value = STR("7");
    s.keys[1].rule = &newest;
    ck_assert(park_of(&s, NULL));
    newest.key.conflict_column = STR("b");
    park_of(&s, "their rules differ in collision-column");
    s.keys[1].rule = NULL; /* a table without a rule stops */
    park_of(&s, "their rules differ");
    s.task.on_collision = CONFLICT_TABLE; /* which is not what the task says */
    park_of(&s, "no rule gives it to the first table");
    s.n = 1;
    s.keys[0].rule = NULL; /* alone it meets nobody */
    ck_assert(!park_of(&s, NULL));
    world_free(s.w);
}
END_TEST

START_TEST(whose_row_it_is)
{
    Shards s;
    setup(&s, CONFLICT_TABLE);
    add(&s, "a", "x", "1");
    add(&s, "b", "x", "2");
    static const struct {
        const char *shard, *number;
        int member; /* -1: nobody's */
    } rows[] = {{"x", "1", 0},  {"x", "2", 1}, {"x", "0002", 1}, {"x  ", "1", 0}, {"x", "3", -1},
                {"X", "1", -1}, {"", "1", -1}, {NULL, "1", -1},  {"x", NULL, -1}};
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        const Str values[] = {str_of(rows[i].shard), str_of(rows[i].number)};
        const Member *m = policy_owner(s.w->target, s.list, s.n, values);
        ck_assert_msg(m == (rows[i].member < 0 ? NULL : &s.members[rows[i].member]), "row %zu", i);
    }
    ck_assert_uint_eq(policy_source_rank(&s.task, STR("s2")), 1);
    ck_assert_uint_eq(policy_source_rank(&s.task, STR("gone")), UINT32_MAX);
    ck_assert(str_eqc(policy_source_id(&s.task, 0), "s1"));
    world_free(s.w);
}
END_TEST

START_TEST(what_strategies_rewrite)
{
    Shards s;
    KeyColumn ids[] = {{.column = STR("id")}, {.column = STR("Number"), .is_reference = true}};
    setup(&s, CONFLICT_TABLE);
    add(&s, "a", "x", "1");
    add(&s, "b", "x", "2");
    ck_assert(!policy_rewrites(s.list, s.n, STR("id")));
    s.keys[1].columns = ids; /* in one shard table is enough */
    s.keys[1].n_columns = ARRAY_LEN(ids);
    static const struct {
        const char *column;
        bool yes;
    } cases[] = {{"id", true}, {"ID", true}, {"number", true}, {"shard", false}, {"i", false}, {"", false}};
    for (size_t i = 0; i < ARRAY_LEN(cases); i++)
        ck_assert_msg(policy_rewrites(s.list, s.n, str_of(cases[i].column)) == cases[i].yes, "%s",
                      cases[i].column);
    s.list[1].keys = NULL; /* not resolved yet */
    ck_assert(!policy_rewrites(s.list, s.n, STR("id")));
    world_free(s.w);
}
END_TEST

static Suite *policy_suite(void)
{
    Suite *s = suite_create("policy");
    TCase *t = tcase_create("policy");
    tcase_add_test(t, members_agree);
    tcase_add_test(t, rules_differ);
    tcase_add_test(t, whose_row_it_is);
    tcase_add_test(t, what_strategies_rewrite);
    suite_add_tcase(s, t);
    return s;
}

UNIT_MAIN(policy_suite)
