#include "unit.h"
#include "track/ddl_tables.h"
#include "track/schema_onto.h"
#include "base/poison.h"

typedef enum Kind { PLAIN, KEYED, BEGUN } Kind;

/* The target as it is, what the shards have in common, what they do, and what the target must become: NULL:
 * it is refused. */
typedef struct Case {
    const char *live, *before, *change, *after;
    Kind kind;
} Case;

#define S "CREATE TABLE t (id INT PRIMARY KEY, a INT, b VARCHAR(9))"
#define G "CREATE TABLE t (id INT PRIMARY KEY, v INT, g INT AS (v + 1) STORED)"
#define G_PLAIN "CREATE TABLE t (id INT PRIMARY KEY, v INT, g INT DEFAULT 4)"

static const Case cases[] = {
    {S, S, "ALTER TABLE t ADD c INT NOT NULL DEFAULT 3 AFTER a",
     "CREATE TABLE t (id INT PRIMARY KEY, a INT, c INT NOT NULL DEFAULT 3, b VARCHAR(9))", PLAIN},
    {S, S, "ALTER TABLE t DROP b", "CREATE TABLE t (id INT PRIMARY KEY, a INT)", PLAIN},
    {S, S, "ALTER TABLE t RENAME COLUMN a TO x", "CREATE TABLE t (id INT PRIMARY KEY, x INT, b VARCHAR(9))",
     PLAIN},
    {S, S, "ALTER TABLE t RENAME COLUMN a TO b, RENAME COLUMN b TO a",
     "CREATE TABLE t (id INT PRIMARY KEY, b INT, a VARCHAR(9))", PLAIN},
    {S, S, "ALTER TABLE t ADD KEY k (a)",
     "CREATE TABLE t (id INT PRIMARY KEY, a INT, b VARCHAR(9), KEY k (a))", PLAIN},
    {S, S, "ALTER TABLE t ADD UNIQUE k (a)",
     "CREATE TABLE t (id INT PRIMARY KEY, a INT, b VARCHAR(9), UNIQUE KEY k (a))", PLAIN},
    /* a key of the old name over other columns is another one */
    {"CREATE TABLE t (id INT PRIMARY KEY, a INT, b VARCHAR(9), UNIQUE KEY k (a))",
     "CREATE TABLE t (id INT PRIMARY KEY, a INT, b VARCHAR(9), UNIQUE KEY k (a))",
     "ALTER TABLE t DROP KEY k, ADD UNIQUE KEY k (b)",
     "CREATE TABLE t (id INT PRIMARY KEY, a INT, b VARCHAR(9), UNIQUE KEY k (b))", PLAIN},
    {"CREATE TABLE t (id INT, a INT, b VARCHAR(9), PRIMARY KEY (id, a))",
     "CREATE TABLE t (id INT, a INT, b VARCHAR(9), PRIMARY KEY (id, a))",
     "ALTER TABLE t DROP PRIMARY KEY, ADD PRIMARY KEY (id)",
     "CREATE TABLE t (id INT, a INT NOT NULL, b VARCHAR(9), PRIMARY KEY (id))", PLAIN},
    {"CREATE TABLE t (id INT PRIMARY KEY, a INT, b VARCHAR(9), UNIQUE KEY k (a, b))",
     "CREATE TABLE t (id INT PRIMARY KEY, a INT, b VARCHAR(9), UNIQUE KEY k (a, b))",
     "ALTER TABLE t DROP COLUMN b, RENAME COLUMN a TO x",
     "CREATE TABLE t (id INT PRIMARY KEY, x INT, UNIQUE KEY k (x))", PLAIN},
    /* more columns, wider types, other indexes of the target stay */
    {"CREATE TABLE t (src VARCHAR(9), id BIGINT PRIMARY KEY, a BIGINT, b VARCHAR(99), z INT DEFAULT 1, KEY "
     "kz (z))",
     S, "ALTER TABLE t DROP b, MODIFY a SMALLINT, ADD c INT",
     "CREATE TABLE t (src VARCHAR(9), id BIGINT PRIMARY KEY, a BIGINT, c INT, z INT DEFAULT 1, KEY kz (z))",
     PLAIN},
    {"CREATE TABLE t (id BIGINT PRIMARY KEY, a INT, b VARCHAR(9))", S, "ALTER TABLE t MODIFY id BIGINT",
     "CREATE TABLE t (id BIGINT PRIMARY KEY, a INT, b VARCHAR(9))", PLAIN},
    /* what the target has already is not added again */
    {"CREATE TABLE t (id INT PRIMARY KEY, a INT, b VARCHAR(9), c INT)", S, "ALTER TABLE t ADD c INT",
     "CREATE TABLE t (id INT PRIMARY KEY, a INT, b VARCHAR(9), c INT)", PLAIN},
    {"CREATE TABLE t (id INT PRIMARY KEY, a INT, b VARCHAR(9), KEY mine (a))", S,
     "ALTER TABLE t ADD KEY k (a)", "CREATE TABLE t (id INT PRIMARY KEY, a INT, b VARCHAR(9), KEY mine (a))",
     PLAIN},
    {"CREATE TABLE t (id INT PRIMARY KEY, a INT, b VARCHAR(9), c INT DEFAULT 3)", S,
     "ALTER TABLE t ADD c INT NOT NULL DEFAULT 3",
     "CREATE TABLE t (id INT PRIMARY KEY, a INT, b VARCHAR(9), c INT DEFAULT 3)", PLAIN},
    {"CREATE TABLE t (id INT PRIMARY KEY, a INT, b VARCHAR(9), c SMALLINT NOT NULL DEFAULT 3)", S,
     "ALTER TABLE t ADD c BIGINT DEFAULT 3",
     "CREATE TABLE t (id INT PRIMARY KEY, a INT, b VARCHAR(9), c BIGINT DEFAULT 3)", PLAIN},
    {"CREATE TABLE t (id INT PRIMARY KEY, a INT, b VARCHAR(9), c VARCHAR(9))", S, "ALTER TABLE t ADD c INT",
     NULL, PLAIN},
    /* … unless rows that are there hold something else in it */
    {"CREATE TABLE t (id INT PRIMARY KEY, a INT, b VARCHAR(9), c INT DEFAULT 0)", S,
     "ALTER TABLE t ADD c INT DEFAULT 5", NULL, PLAIN},
    {"CREATE TABLE t (id INT PRIMARY KEY, a INT, b VARCHAR(9), c INT)", S,
     "ALTER TABLE t ADD c INT DEFAULT 5", NULL, PLAIN},
    {"CREATE TABLE t (id INT PRIMARY KEY, a INT, b VARCHAR(9), c INT DEFAULT 5)", S,
     "ALTER TABLE t ADD c INT", NULL, PLAIN},
    {"CREATE TABLE t (id INT PRIMARY KEY, a INT, b VARCHAR(9), c VARCHAR(36) DEFAULT '')", S,
     "ALTER TABLE t ADD c VARCHAR(36) DEFAULT (uuid())", NULL, PLAIN},
    {"CREATE TABLE t (id INT PRIMARY KEY, a INT, b VARCHAR(9), c INT NOT NULL)", S,
     "ALTER TABLE t ADD c INT NOT NULL DEFAULT 5", NULL, PLAIN},
    {"CREATE TABLE t (id INT PRIMARY KEY, a INT, b VARCHAR(9), c DECIMAL(12,4) DEFAULT 0.0000)", S,
     "ALTER TABLE t ADD c DECIMAL(8,2) DEFAULT 0",
     "CREATE TABLE t (id INT PRIMARY KEY, a INT, b VARCHAR(9), c DECIMAL(12,4) DEFAULT 0.0000)", PLAIN},
    {"CREATE TABLE t (id INT PRIMARY KEY, a INT, b VARCHAR(9), c INT AS (a + 1))", S,
     "ALTER TABLE t ADD c INT", NULL, PLAIN},
    {"CREATE TABLE t (id INT PRIMARY KEY, a INT, b VARCHAR(9), c INT)", S,
     "ALTER TABLE t ADD c INT AS (a + 1)", NULL, PLAIN},
    /* it has begun: what is there may be its own */
    {"CREATE TABLE t (id INT PRIMARY KEY, a INT, b VARCHAR(9), c INT DEFAULT 7)", S,
     "ALTER TABLE t ADD c INT DEFAULT 5",
     "CREATE TABLE t (id INT PRIMARY KEY, a INT, b VARCHAR(9), c INT DEFAULT 7)", BEGUN},
    {"CREATE TABLE t (id INT PRIMARY KEY, a INT, b VARCHAR(9), c INT NOT NULL)", S,
     "ALTER TABLE t ADD c INT NOT NULL",
     "CREATE TABLE t (id INT PRIMARY KEY, a INT, b VARCHAR(9), c INT NOT NULL)", BEGUN},
    /* a conversion that may have changed values is followed, or somebody has to */
    {"CREATE TABLE t (id INT PRIMARY KEY, a DECIMAL(20,6), b VARCHAR(9))",
     "CREATE TABLE t (id INT PRIMARY KEY, a DECIMAL(10,4), b VARCHAR(9))",
     "ALTER TABLE t MODIFY a DECIMAL(10,2)", NULL, PLAIN},
    {"CREATE TABLE t (id INT PRIMARY KEY, a DECIMAL(10,2), b VARCHAR(9))",
     "CREATE TABLE t (id INT PRIMARY KEY, a DECIMAL(10,4), b VARCHAR(9))",
     "ALTER TABLE t MODIFY a DECIMAL(10,2)",
     "CREATE TABLE t (id INT PRIMARY KEY, a DECIMAL(10,2), b VARCHAR(9))", BEGUN},
    {"CREATE TABLE t (id INT PRIMARY KEY, a DECIMAL(10,4), b VARCHAR(9))",
     "CREATE TABLE t (id INT PRIMARY KEY, a DECIMAL(10,4) NOT NULL, b VARCHAR(9))",
     "ALTER TABLE t MODIFY a DECIMAL(10,2) NOT NULL",
     "CREATE TABLE t (id INT PRIMARY KEY, a DECIMAL(10,2), b VARCHAR(9))", PLAIN},
    /* what the shards compute, the target computes as they do */
    {G, G, "ALTER TABLE t MODIFY g INT AS (v * 2) STORED",
     "CREATE TABLE t (id INT PRIMARY KEY, v INT, g INT AS (v * 2) STORED)", PLAIN},
    {"CREATE TABLE t (id INT PRIMARY KEY, v INT, g BIGINT AS (v + 1) VIRTUAL)", G,
     "ALTER TABLE t MODIFY g INT AS (v * 2) STORED",
     "CREATE TABLE t (id INT PRIMARY KEY, v INT, g BIGINT AS (v * 2) VIRTUAL)", PLAIN},
    {G, G, "ALTER TABLE t MODIFY g BIGINT AS (v * 2) STORED",
     "CREATE TABLE t (id INT PRIMARY KEY, v INT, g BIGINT AS (v * 2) STORED)", PLAIN},
    /* … or its rows would keep what they hold */
    {G_PLAIN, G, "ALTER TABLE t MODIFY g INT AS (v * 2) STORED", NULL, PLAIN},
    {G_PLAIN, G, "ALTER TABLE t MODIFY g INT AS (v * 2) STORED", G_PLAIN, BEGUN},
    {G_PLAIN, "CREATE TABLE t (id INT PRIMARY KEY, v INT, g INT)",
     "ALTER TABLE t MODIFY g INT AS (v * 2) STORED", NULL, PLAIN},
    {G_PLAIN, G, "ALTER TABLE t MODIFY g BIGINT AS (v + 1) STORED",
     "CREATE TABLE t (id INT PRIMARY KEY, v INT, g BIGINT DEFAULT 4)", PLAIN},
    {G_PLAIN, G, "ALTER TABLE t MODIFY g INT AS (v + 1) STORED COMMENT 'x'",
     "CREATE TABLE t (id INT PRIMARY KEY, v INT, g INT DEFAULT 4 COMMENT 'x')", PLAIN},
    {"CREATE TABLE t (id INT PRIMARY KEY, v DECIMAL(9,2), g INT DEFAULT 4)",
     "CREATE TABLE t (id INT PRIMARY KEY, v DECIMAL(9,2), g INT AS (v * 100) STORED)",
     "ALTER TABLE t MODIFY v DECIMAL(9,1)", NULL, PLAIN},
    {G_PLAIN, G, "ALTER TABLE t RENAME COLUMN v TO w, MODIFY g INT AS (w + 1) STORED",
     "CREATE TABLE t (id INT PRIMARY KEY, w INT, g INT DEFAULT 4)", PLAIN},
    /* the keys of a key strategy are not the shards' */
    {"CREATE TABLE t (src VARCHAR(9), id INT, a INT, b VARCHAR(9), PRIMARY KEY (src, id))", S,
     "ALTER TABLE t ADD c INT, ADD KEY k (a)",
     "CREATE TABLE t (src VARCHAR(9), id INT, a INT, b VARCHAR(9), c INT, PRIMARY KEY (src, id), KEY k (a))",
     KEYED},
    {"CREATE TABLE t (src VARCHAR(9), id INT, a INT, b VARCHAR(9), PRIMARY KEY (src, id))", S,
     "ALTER TABLE t ADD UNIQUE k (a)", NULL, KEYED},
};

static void check_after(const TableSchema *got, const char *want, const ApplyContext *ctx, const char *change)
{
    StrBuf a = {0}, b = {0};
    TableSchema *expected = ddl_table(want, ctx);
    schema_fingerprint(got, &a);
    schema_fingerprint(expected, &b);
    ck_assert_msg(str_eq(sb_view(&a), sb_view(&b)), "%s\ngot\n%s\nnot\n%s", change, a.ptr, b.ptr);
    schema_free(expected);
    sb_done(&a);
    sb_done(&b);
}

/* A statement of the shards, laid onto a live table. */
typedef struct Laid {
    TableSchema *live, *before, *after;
    SchemaStep *step;
    VersionPool *pool;
    Arena arena;
    Err err;
    EmitChange out;
    bool ok;
} Laid;

static void lay(Laid *l, const char *live, const char *before, const char *change, Kind kind,
                const ApplyContext *ctx)
{
    *l = (Laid){.live = ddl_table(live, ctx), .before = ddl_table(before, ctx), .pool = version_pool_new()};
    ck_assert(ddl_run(l->before, change, ctx, &l->after, &l->step, &l->err));
    const VersionStep *v = version_step(l->pool, version_start(l->pool, l->before, ORIGIN_BASE), l->step);
    OntoChange onto = {.from = v->before,
                       .to = v->after,
                       .columns = v->from,
                       .keyed = kind == KEYED,
                       .begun = kind == BEGUN};
    l->ok = schema_onto(l->live, &onto, &l->arena, &l->out, &l->err);
}

static void laid_done(Laid *l)
{
    err_clear(&l->err);
    arena_done(&l->arena);
    version_pool_free(l->pool);
    schema_step_free(l->step);
    schema_free(l->after);
    schema_free(l->before);
    schema_free(l->live);
}

START_TEST(changes_are_laid_onto_the_target)
{
    const Case *c = &cases[_i];
    ApplyContext ctx = ddl_context(FLAVOR_MYSQL);
    Laid l;
    lay(&l, c->live, c->before, c->change, c->kind, &ctx);
    ck_assert_msg(l.ok == (c->after != NULL), "%s: %s", c->change,
                  l.err.message ? l.err.message : "went well");
    if (l.ok) check_after(l.out.to, c->after, &ctx, c->change);
    for (uint32_t i = 0; l.ok && i < l.out.to->n_columns; i++)
        ck_assert(l.out.columns[i] == UINT32_MAX || l.out.columns[i] < l.live->n_columns);
    laid_done(&l);
}
END_TEST

/* A key whose name the target has for another one gets a suffix: in 64 characters, whatever their bytes. */
#define TEN(x) x x x x x x x x x x
#define SIXTY(x) TEN(x) TEN(x) TEN(x) TEN(x) TEN(x) TEN(x)
static const struct {
    const char *name, *also, *becomes; /* also: another key of the target; or NULL */
} names[] = {
    {"k", NULL, "k_2"},
    {"k", "K_2", "k_3"},
    {SIXTY("n") "ab", NULL, SIXTY("n") "ab_2"},
    {SIXTY("n") "abcd", NULL, SIXTY("n") "ab_2"},
    {SIXTY("n") "abcd", SIXTY("N") "AB_3", SIXTY("n") "ab_4"},
    {SIXTY("ä") "öü", NULL, SIXTY("ä") "öü_2"},
    {SIXTY("ä") "öüßx", NULL, SIXTY("ä") "öü_2"},
    {SIXTY("名") "前の鍵名", NULL, SIXTY("名") "前の_2"},
    {SIXTY("名") "前の鍵名", SIXTY("名") "前の_3", SIXTY("名") "前の_4"},
};

START_TEST(long_names_are_cut)
{
    ApplyContext ctx = ddl_context(FLAVOR_MYSQL);
    CLEANUP(sb_done) StrBuf own = {0};
    CLEANUP(sb_done) StrBuf change = {0};
    CLEANUP(sb_done) StrBuf sql = {0};
    sb_printf(&own, "CREATE TABLE t (id INT PRIMARY KEY, a INT, b VARCHAR(9), KEY `%s` (b)", names[_i].name);
    if (names[_i].also) sb_printf(&own, ", KEY `%s` (b, a)", names[_i].also);
    sb_c(&own, ")");
    sb_printf(&change, "ALTER TABLE t ADD KEY `%s` (a)", names[_i].name);
    Laid l;
    EmitPlan plan = {0};
    lay(&l, own.ptr, S, change.ptr, PLAIN, &ctx);
    ck_assert_msg(l.ok, "%s", l.err.message);
    const KeyDef *added = &l.out.to->keys[l.out.to->n_keys - 1];
    ck_assert_uint_eq(l.out.to->n_keys, l.live->n_keys + 1);
    ck_assert_msg(str_eqc(added->name, names[_i].becomes), STR_FMT, STR_ARG(added->name));
    ck_assert(
        schema_emit_change(&l.out, &(TextOpts){.dialect = DIALECT_MYSQL, .version = 80036}, &plan, &l.err));
    sb_printf(&sql, "`%s`", names[_i].becomes);
    ck_assert_uint_eq(plan.n, 1);
    ck_assert_ptr_nonnull(strstr(plan.steps[0].sql.ptr, sql.ptr));
    emit_plan_done(&plan);
    laid_done(&l);
}
END_TEST

/* What the target says in other words is no change. */
static const char *const words[][2] = {
    {"CREATE TABLE t (id INT PRIMARY KEY, v INT, g INT GENERATED ALWAYS AS ((`v` * 2)) STORED)",
     "ALTER TABLE t MODIFY g INT AS (v * 2) STORED"},
    {"CREATE TABLE t (id INT PRIMARY KEY, v INT, g INT GENERATED ALWAYS AS (((`V` + 1))) VIRTUAL)",
     "ALTER TABLE t MODIFY g INT AS ((v + 1)) STORED"},
};

START_TEST(the_same_in_other_words)
{
    ApplyContext ctx = ddl_context(FLAVOR_MYSQL);
    Laid l;
    EmitPlan plan = {0};
    lay(&l, words[_i][0], G, words[_i][1], PLAIN, &ctx);
    ck_assert_msg(l.ok, "%s", l.err.message);
    ck_assert(
        schema_emit_change(&l.out, &(TextOpts){.dialect = DIALECT_TIDB, .version = 80036}, &plan, &l.err));
    ck_assert_uint_eq(plan.n, 0);
    emit_plan_done(&plan);
    laid_done(&l);
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("track/schema_onto");
    TCase *c = tcase_create("onto");
    tcase_add_loop_test(c, changes_are_laid_onto_the_target, 0, ARRAY_LEN(cases));
    tcase_add_loop_test(c, long_names_are_cut, 0, ARRAY_LEN(names));
    tcase_add_loop_test(c, the_same_in_other_words, 0, ARRAY_LEN(words));
    suite_add_tcase(s, c);
    return s;
}

UNIT_MAIN(suite)
