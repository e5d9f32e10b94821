/* What a task may not change once it has begun. */
#include <string.h>
#include "load.h"
#include "unit.h"

static char *fingerprint_of(Load *l, const char *text)
{
    StrBuf b = {0};
    ck_loads(l, text);
    task_fingerprint(l->task, &b);
    return sb_take(&b);
}

START_TEST(what_belongs_to_it)
{
    Load l;
    load_init(&l);
    char *base = fingerprint_of(&l, HEAD TARGET INSTANCE
                                "    route-rules: [a]\n" SOURCE
                                "routes: {a: {schema-pattern: \"x\\\"\\n\", target-schema: d}}\n");
    ck_assert_str_eq(base,
                     "case-sensitive: false\nkey-strategy: \"error\"\nmeta-schema: \"dm_meta\"\nname: \"t\"\n"
                     "source \"s1\" case-sensitive: detected\n"
                     "source \"s1\" route: \"x\\\"\\x0a\".\"\" -> \"d\".\"\"\n"
                     "task-mode: \"incremental\"\n");
    /* Neither names of rules nor settings of the run belong to it. */
    char *same = fingerprint_of(
        &l, HEAD "target-database: {host: other, user: root, password: p}\n" INSTANCE
                 "    route-rules: [b]\n    syncer: {worker-count: 9}\n" SOURCE
                 "routes: {b: {schema-pattern: \"x\\\"\\n\", target-schema: d}}\nmemory-limit: 9MiB\n");
    ck_assert_str_eq(base, same);
    static const char *const others[] = {
        HEAD TARGET INSTANCE "    route-rules: [a]\n" SOURCE
                             "routes: {a: {schema-pattern: x, target-schema: e}}\n",
        LEAST,
        LEAST "case-sensitive: true\n",
        LEAST "meta-schema: other\n",
        LEAST "    case-sensitive: false\n",
        HEAD TARGET INSTANCE "    block-allow-list: w\n" SOURCE "block-allow-list: {w: {ignore-dbs: [x]}}\n",
        HEAD TARGET INSTANCE "    block-allow-list: w\n" SOURCE "block-allow-list: {w: {do-dbs: [x]}}\n"};
    char *seen[ARRAY_LEN(others)];
    for (size_t i = 0; i < ARRAY_LEN(others); i++) {
        seen[i] = fingerprint_of(&l, others[i]);
        ck_assert_str_ne(base, seen[i]);
        for (size_t j = 0; j < i; j++)
            ck_assert_str_ne(seen[j], seen[i]);
    }
    for (size_t i = 0; i < ARRAY_LEN(others); i++)
        free(seen[i]);
    free(base);
    free(same);
    load_done(&l);
}
END_TEST

#define WITH(rules, routes) HEAD TARGET INSTANCE "    route-rules: [" rules "]\n" SOURCE "routes:\n" routes

static void tells_apart(const char *before, const char *now, bool apart)
{
    Load l;
    load_init(&l);
    char *a = fingerprint_of(&l, before), *b = fingerprint_of(&l, now);
    ck_assert_msg((strcmp(a, b) != 0) == apart, "%s\nand\n%s", a, b);
    free(a);
    free(b);
    load_done(&l);
}

/* Ids of rows that come later would be others than those of before. */
START_TEST(references_by_foreign_keys)
{
#define RULE(key)                                                                                            \
    WITH("a", "  a: {schema-pattern: x, table-pattern: t, target-schema: d, target-table: t" key "}\n")
    tells_apart(RULE(""), RULE(", key: {foreign-keys: false}"), true);
    tells_apart(RULE(""), RULE(", key: {foreign-keys: true}"), false);
}
END_TEST

/* Of rules that lead to one target the first counts (docs/adr/0022). */
START_TEST(the_order_of_rules)
{
#define STRIDE(n) ", key: {strategy: stride, shards: " #n "}}\n"
#define PAIR(rules, a, b) WITH(rules, "  a: {schema-pattern: x, " a "  b: {schema-pattern: x, " b)
#define BOTH(a, b, apart) tells_apart(PAIR("a, b", a, b), PAIR("b, a", a, b), apart)
#define TABLE(pattern, target) "table-pattern: " pattern ", target-schema: d, target-table: " target
    BOTH(TABLE("t*", "t") STRIDE(4), TABLE("t_?", "t") STRIDE(8), true);
    BOTH(TABLE("t*", "t") STRIDE(4), TABLE("~^(t).*", "$1") STRIDE(8), true); /* who knows */
    BOTH(TABLE("t*", "t") ", drop-columns: [a]}\n", TABLE("t_?", "t") "}\n", true);
    BOTH(TABLE("t*", "t") STRIDE(4), TABLE("t_?", "t") STRIDE(4), false);  /* the same */
    BOTH(TABLE("t*", "t") STRIDE(4), TABLE("u*", "u") STRIDE(8), false);   /* another target */
    BOTH(TABLE("t*", "t") STRIDE(4), TABLE("t_?", "t") "}\n", false);      /* the one with a key counts */
    BOTH(TABLE("t*", "t") STRIDE(4), "target-schema: d" STRIDE(8), false); /* the one for tables counts */
}
END_TEST

static Suite *fingerprint_suite(void)
{
    Suite *s = suite_create("fingerprint");
    TCase *t = tcase_create("fingerprint");
    tcase_add_test(t, what_belongs_to_it);
    tcase_add_test(t, references_by_foreign_keys);
    tcase_add_test(t, the_order_of_rules);
    suite_add_tcase(s, t);
    return s;
}

UNIT_MAIN(fingerprint_suite)
