#include "model/table_map.h"
#include "unit.h"

/* Everything a map points to is copied: the event it was read from may go. */
START_TEST(a_copy_stands_alone)
{
    Arena gone = {0}, kept = {0};
    TableMap m = {.table_id = 9, .flags = 1, .n_columns = 2, .has_names = true, .n_key_columns = 1};
    m.name = (TableName){arena_str(&gone, STR("db")), arena_str(&gone, STR("t"))};
    m.body = arena_str(&gone, STR("\0body"));
    m.columns = arena_array(&gone, MapColumn, 2);
    Str *members = arena_array(&gone, Str, 2);
    members[0] = arena_str(&gone, STR("red"));
    members[1] = arena_str(&gone, STR(""));
    m.columns[0] = (MapColumn){.type = COLTYPE_LONG, .visible = true, .name = arena_str(&gone, STR("id"))};
    m.columns[1] = (MapColumn){.type = COLTYPE_ENUM, .meta = 1, .nullable = true, .collation = 45};
    m.columns[1].name = arena_str(&gone, STR("colour"));
    m.columns[1].members = members;
    m.columns[1].n_members = 2;
    m.key_columns = arena_array(&gone, uint32_t, 1);
    m.key_columns[0] = 1;
    TableMap *c = table_map_copy(&m, &kept);
    for (uint32_t i = 0; i < 2; i++)
        memset(&m.columns[i], 0xee, sizeof *m.columns);
    arena_done(&gone);
    ck_assert_uint_eq(c->table_id, 9);
    ck_assert(c->has_names && c->flags == 1 && c->n_columns == 2);
    ck_assert(str_eqc(c->name.schema, "db") && str_eqc(c->name.table, "t"));
    ck_assert(str_eq(c->body, STR("\0body")));
    ck_assert(str_eqc(c->columns[0].name, "id") && c->columns[0].visible && !c->columns[0].n_members);
    ck_assert(str_eqc(c->columns[1].name, "colour") && c->columns[1].nullable);
    ck_assert_uint_eq(c->columns[1].collation, 45);
    ck_assert_uint_eq(c->columns[1].n_members, 2);
    ck_assert(str_eqc(c->columns[1].members[0], "red") && str_eqc(c->columns[1].members[1], ""));
    ck_assert(c->n_key_columns == 1 && c->key_columns[0] == 1);
    arena_done(&kept);
}
END_TEST

START_TEST(a_map_without_columns)
{
    Arena a = {0};
    TableMap *c = table_map_copy(&(TableMap){.name = {STR("d"), STR("t")}}, &a);
    ck_assert_uint_eq(c->n_columns, 0);
    ck_assert(str_eqc(c->name.table, "t") && str_eqc(c->body, ""));
    arena_done(&a);
}
END_TEST

static Suite *table_map_suite(void)
{
    Suite *s = suite_create("model/table_map");
    TCase *t = tcase_create("table_map");
    tcase_add_test(t, a_copy_stands_alone);
    tcase_add_test(t, a_map_without_columns);
    suite_add_tcase(s, t);
    return s;
}
UNIT_MAIN(table_map_suite)
