/* Statements on targets whose losers are parked: no row is found without its provenance. */
#include "apply/parked.h"
#include "apply/rowsql.h"
#include "decode/row.h"
#include "track/tables.h"
#include "unit.h"

static const Col target_columns[] = {
    VARCHAR_("shard", 20, "utf8mb4_bin", 80),
    INT_("id"),
    INT_("v"),
};
static const Col shard_columns[] = {INT_("id"), INT_("v")};
static const char *const keys_of[] = {"PRIMARY:id", NULL};

typedef struct Fixture {
    TableSchema *target_schema, *schema;
    Target *target;
    Member member;
    Binding *binding;
    ParkedTarget parked;
    uint32_t provenance[1];
} Fixture;

static void setup(Fixture *f)
{
    static const ProvenanceRule rule = {.column = {"shard", 5}};
    static KeyConstant constant = {.rule = &rule, .value = {"s'1", 3}};
    static const MemberKeys keys = {.constants = &constant, .n_constants = 1, .own = NO_COLUMN};
    Err err = {0};
    *f = (Fixture){0};
    f->target_schema = table("merged", COLS(target_columns), keys_of);
    f->schema = table("t", COLS(shard_columns), keys_of);
    ck_assert_msg(target_new(0, f->target_schema, &f->target, &err), "%s", err.message);
    f->member = (Member){.name = f->schema->name, .target = f->target};
    BindOpts opts = {.source_flavor = FLAVOR_MARIADB, .keys = &keys};
    ck_assert_msg(
        binding_new(&f->member, map_of(f->schema, shard_columns), f->schema, &opts, &f->binding, &err), "%s",
        err.message);
    f->parked.provenance = f->provenance;
    f->parked.n_provenance = 1;
}

static void teardown(Fixture *f)
{
    binding_free(f->binding);
    target_free(f->target);
    schema_free(f->schema);
    schema_free(f->target_schema);
}

static RowImage image(int id, int v)
{
    static const uint8_t present = 3;
    static char bytes[4][9];
    static unsigned turn;
    char *b = bytes[turn++ % 4];
    b[0] = 0;
    memcpy(b + 1, &id, 4);
    memcpy(b + 5, &v, 4);
    return (RowImage){.bytes = {b, 9}, .present = &present, .full = true};
}

static void expect(const StrBuf *got, const char *want)
{
    ck_assert_str_eq(got->ptr, want);
}

START_TEST(rows_are_found_with_their_provenance)
{
    Fixture f;
    Err err = {0};
    StrBuf sql = {0};
    setup(&f);
    RowOp op = {.binding = f.binding, .kind = ROW_UPDATE, .before = image(1, 2), .after = image(1, 3)};
    ck_assert(rowsql_delete_one(&sql, &op, &err));
    expect(&sql, "DELETE FROM `db`.`merged` WHERE `id`=1");
    f.target->parked = &f.parked;
    sb_clear(&sql);
    ck_assert(rowsql_delete_one(&sql, &op, &err));
    expect(&sql, "DELETE FROM `db`.`merged` WHERE `id`=1 AND `shard`='s\\'1'");
    sb_clear(&sql);
    ck_assert(rowsql_update_one(&sql, &op, &op.after, &err));
    expect(&sql, "UPDATE `db`.`merged` SET `id`=1,`v`=3 WHERE `id`=1 AND `shard`='s\\'1'");
    sb_clear(&sql);
    ck_assert(rowsql_where(&sql, &op, &err));
    expect(&sql, " WHERE `id`=1 AND `shard`='s\\'1'");
    sb_clear(&sql);
    ck_assert(rowsql_assignments(&sql, &op, &err));
    expect(&sql, "`id`=1,`v`=3");
    sb_done(&sql);
    teardown(&f);
}
END_TEST

START_TEST(many_rows_of_one_shard_table_go_together)
{
    static const Dialect mariadb = {.is_mariadb = true};
    Fixture f;
    Err err = {0};
    SqlStatement st = {0};
    setup(&f);
    f.target->parked = &f.parked;
    rowsql_begin(&st, SQL_DELETE, f.target, NULL);
    for (int id = 1; id < 3; id++) {
        RowImage row = image(id, 0);
        ck_assert(rowsql_add_row(&st, f.binding, &row, &err));
    }
    rowsql_end(&st, &mariadb);
    expect(&st.sql, "DELETE FROM `db`.`merged` WHERE `id` IN (1,2) AND `shard`='s\\'1'");
    sb_done(&st.sql);
    teardown(&f);
}
END_TEST

START_TEST(a_row_into_a_table_with_more_columns)
{
    Fixture f;
    Err err = {0};
    StrBuf sql = {0};
    setup(&f);
    RowOp op = {.binding = f.binding, .kind = ROW_INSERT, .after = image(7, -8)};
    RowsqlMore more = {STR("`m`.`p`"), STR("sm_id,sm_source"), STR("5,'s1'")};
    ck_assert(rowsql_insert_more(&sql, &op, &more, &err));
    expect(&sql, "INSERT INTO `m`.`p` (sm_id,sm_source,`shard`,`id`,`v`) VALUES (5,'s1','s\\'1',7,-8)");
    sb_done(&sql);
    teardown(&f);
}
END_TEST

/* What may give a row another rank, and what cannot. */
START_TEST(a_column_changes_or_does_not)
{
    enum { SHARD, ID, V };
    static const uint8_t id_alone = 1;
    Fixture f;
    setup(&f);
    RowImage same = image(1, 2), other = image(1, 3), key = image(1, 0), nothing = image(1, 2);
    char null_v[] = {2, 1, 0, 0, 0};
    nothing.bytes = (Str){null_v, sizeof null_v};
    key.bytes.len = 5;
    key.present = &id_alone;
    key.full = false;
    const struct {
        uint32_t column;
        const RowImage *before, *after;
        bool changes;
    } rows[] = {
        {V, &same, &same, false},      {V, &same, &other, true},    {ID, &same, &other, false},
        {V, &same, &key, false},       {V, &key, &other, true}, /* the old value is not known */
        {V, &same, &nothing, true},    {V, &nothing, &other, true}, {V, &nothing, &nothing, false},
        {SHARD, &same, &other, false}, /* the same in all rows of the shard table */
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        ck_assert_msg(rowsql_changes_column(f.binding, rows[i].column, rows[i].before, rows[i].after) ==
                          rows[i].changes,
                      "row %zu", i);
    teardown(&f);
}
END_TEST

static Suite *parked_suite(void)
{
    Suite *s = suite_create("parked");
    TCase *t = tcase_create("statements");
    tcase_add_test(t, rows_are_found_with_their_provenance);
    tcase_add_test(t, many_rows_of_one_shard_table_go_together);
    tcase_add_test(t, a_row_into_a_table_with_more_columns);
    tcase_add_test(t, a_column_changes_or_does_not);
    suite_add_tcase(s, t);
    return s;
}

UNIT_MAIN(parked_suite)
