#include "route/suspect.h"
#include "unit.h"

static const SuspectParent orders = {STR("orders"), STR("id"), STR("bigint")};
static const SuspectParent own_id = {STR("t_categories"), STR("category_no"), STR("int")};
static const SuspectParent number = {STR("boxes"), STR("no"), STR("smallint")};

static const struct {
    const char *column, *type;
    const SuspectParent *parent;
    bool same_table, yes;
} cases[] = {
    /* names */
    {"order_id", "bigint", &orders, false, true},
    {"orders_id", "bigint", &orders, false, true},
    {"orderId", "bigint", &orders, false, true},
    {"OrderID", "bigint", &orders, false, true},
    {"orderid", "bigint", &orders, false, true},
    {"ORDER_ID", "bigint", &orders, false, true},
    {"id_order", "bigint", &orders, false, true},
    {"billing_order_id", "bigint", &orders, false, true},
    {"billingOrderId", "bigint", &orders, false, true},
    {"first_orderid", "bigint", &orders, false, true},
    {"fk_order", "bigint", &orders, false, true},
    {"order_fk", "bigint", &orders, false, true},
    {"order_ref", "bigint", &orders, false, true},
    {"linked_order_id", "bigint", &orders, true, true},
    {"id", "bigint", &orders, false, false},
    {"order", "bigint", &orders, false, false},
    {"reorder_id", "bigint", &orders, false, false},
    {"reorderid", "bigint", &orders, false, false},
    {"order_idx", "bigint", &orders, false, false},
    {"order_count", "bigint", &orders, false, false},
    {"parent_id", "bigint", &orders, false, false},
    {"", "bigint", &orders, true, false},
    {"_", "bigint", &orders, true, false},
    {"category_no", "int", &own_id, false, true},
    {"old_category_no", "int", &own_id, false, true},
    {"category_id", "int", &own_id, false, true},
    {"categories_category_no", "int", &own_id, false, true},
    {"t_category_id", "int", &own_id, false, true},
    {"no", "int", &own_id, false, false},
    {"no", "int", &number, false, true},
    {"invoice_no", "int", &number, false, false},
    {"box_no", "int", &number, false, true},
    {"red_box_id", "int", &number, false, true},
    /* in its own table */
    {"parent", "bigint", &orders, true, true},
    {"parent_id", "bigint", &orders, true, true},
    {"parentId", "bigint", &orders, true, true},
    {"parent_order", "bigint", &orders, true, true},
    {"parent_order_id", "bigint", &orders, true, true},
    {"old_parent_id", "bigint", &orders, true, true},
    {"parent_category_no", "int", &own_id, true, true},
    {"reply_to", "bigint", &orders, true, true},
    {"in_reply_to_id", "bigint", &orders, true, true},
    {"manager_id", "bigint", &orders, true, true},
    {"root_id", "bigint", &orders, true, true},
    {"prev_id", "bigint", &orders, true, true},
    {"next_id", "bigint", &orders, true, true},
    {"replaced_by", "bigint", &orders, true, true},
    {"next", "bigint", &orders, true, false},
    {"is_root", "int", &orders, true, false},
    {"rootlevel", "int", &orders, true, false},
    {"parents", "int", &orders, true, false},
    {"amount", "bigint", &orders, true, false},
    /* types: an INT at least, or as wide as the ids; the sign says nothing */
    {"order_id", "int", &orders, false, true},
    {"order_id", "INT", &orders, false, true},
    {"order_id", "mediumint", &orders, false, false},
    {"order_id", "tinyint", &orders, false, false},
    {"order_id", "varchar", &orders, false, false},
    {"order_id", "decimal", &orders, false, false},
    {"box_id", "smallint", &number, false, true},
    {"box_id", "mediumint", &number, false, true},
    {"box_id", "bigint", &number, false, true},
    {"box_id", "tinyint", &number, false, false},
};

START_TEST(by_name_and_type)
{
    ck_assert_msg(suspect_reference(str_of(cases[_i].column), str_of(cases[_i].type), cases[_i].parent,
                                    cases[_i].same_table) == cases[_i].yes,
                  "%s %s for " STR_FMT "%s", cases[_i].column, cases[_i].type,
                  STR_ARG(cases[_i].parent->table), cases[_i].same_table ? ", its own" : "");
}
END_TEST

static Suite *suspect_suite(void)
{
    Suite *s = suite_create("route/suspect");
    TCase *t = tcase_create("suspect");
    tcase_add_loop_test(t, by_name_and_type, 0, ARRAY_LEN(cases));
    suite_add_tcase(s, t);
    return s;
}

UNIT_MAIN(suspect_suite)
