/* What a route says of rows that go without row events. */
#include "load.h"

#define ROUTE                                                                                                \
    "routes:\n  r:\n    schema-pattern: a\n    table-pattern: b\n    target-schema: x\n    target-table: "   \
    "y\n"
#define KEY "    key: {provenance: [{column: shard, value: \"${source}\"}]}\n"
#define WITH                                                                                                 \
    HEAD "shard-mode: optimistic\n" TARGET                                                                   \
         "mysql-instances:\n  - {source-id: s1, route-rules: [r]}\n" SOURCE ROUTE

START_TEST(policies)
{
    Load l;
    load_init(&l);
    ck_loads(&l, WITH);
    ck_assert_int_eq(l.task->routes[0].loss.on_drop, LOSS_HOLD);
    ck_assert_int_eq(l.task->routes[0].loss.on_rename_out, LOSS_HOLD);
    ck_loads(
        &l, WITH KEY
        "    on-drop: ignore\n    on-truncate: delete-shard-rows\n    on-drop-partition: apply-when-all\n"
        "    on-rename-out: delete-shard-rows\n");
    const LossPolicies *p = &l.task->routes[0].loss;
    ck_assert_int_eq(p->on_drop, LOSS_IGNORE);
    ck_assert_int_eq(p->on_truncate, LOSS_DELETE_ROWS);
    ck_assert_int_eq(p->on_drop_partition, LOSS_APPLY_WHEN_ALL);
    ck_assert_int_eq(p->on_rename_out, LOSS_DELETE_ROWS);
    load_done(&l);
}
END_TEST

START_TEST(refused)
{
    static const struct {
        const char *line;
        ErrCode code;
        const char *words;
    } cases[] = {
        {"    on-drop: keep\n", ERR_CONFIG_VALUE, "on-drop"},
        {"    on-drop-partition: delete-shard-rows\n", ERR_CONFIG_VALUE, "on-drop-partition"},
        {"    on-rename-out: apply-when-all\n", ERR_CONFIG_VALUE, "on-rename-out"},
        {"    on-drop: delete-shard-rows\n", ERR_CONFIG_MISSING, ":16:5: "},
        {"    on-truncate: delete-shard-rows\n", ERR_CONFIG_MISSING, "provenance columns"},
        {"    on-truncate: delete-shard-rows\n    key: {strategy: composite, on-collision: conflict-table, "
         "provenance: "
         "[{column: shard, value: x}]}\n",
         ERR_NOT_SUPPORTED, "on-collision"},
    };
    Load l;
    load_init(&l);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        StrBuf b = {0};
        sb_printf(&b, WITH "%s", cases[i].line);
        ck_refused(&l, b.ptr, cases[i].code, cases[i].words);
        sb_done(&b);
    }
    ck_refused(&l,
               HEAD TARGET "mysql-instances:\n  - {source-id: s1, route-rules: [r]}\n" SOURCE ROUTE
                           "    on-drop: ignore\n",
               ERR_CONFIG_MISSING, "shard-mode");
    /* ids that are each shard's own tell rows apart as well */
    ck_loads(&l, WITH "    on-truncate: delete-shard-rows\n    key: {strategy: stride, shards: 4}\n");
    load_done(&l);
}
END_TEST

static Suite *losses_suite(void)
{
    Suite *s = suite_create("config/losses");
    TCase *c = tcase_create("losses");
    tcase_add_test(c, policies);
    tcase_add_test(c, refused);
    suite_add_tcase(s, c);
    return s;
}

UNIT_MAIN(losses_suite)
