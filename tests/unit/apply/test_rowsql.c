#include "apply/rowsql.h"
#include "apply/meta.h"
#include "shards.h"
#include "unit.h"

static const Dialect mariadb = {.is_mariadb = true}, mysql = {.upsert_alias = true}, tidb = {.is_tidb = true};

static const Row a1 = {"a", 1, 10}, b_null = {"it's", NO_U, -20};

static void add(SqlStatement *s, const Shards *shards, Arena *arena, const Row *r)
{
    Err err = {0};
    RowImage image = row_image(arena, r, 7);
    ck_assert_msg(rowsql_add_row(s, shards_binding(shards, 0), &image, &err), "%s", err.message);
}

static void expect_statement(SqlKind kind, const Dialect *d, const char *want)
{
    Shards *s = shards_new(false);
    Arena arena = {0};
    SqlStatement st = {0};
    for (int again = 0; again < 2; again++) { /* it can be begun anew */
        rowsql_begin(&st, kind, s->w->target, s->w->binding->full_shape);
        add(&st, s, &arena, &a1);
        add(&st, s, &arena, &b_null);
        rowsql_end(&st, d);
        ck_assert_str_eq(st.sql.ptr, want);
        ck_assert_uint_eq(st.rows, 2);
    }
    sb_done(&st.sql);
    arena_done(&arena);
    shards_free(s);
}

START_TEST(statements_of_several_rows)
{
    expect_statement(SQL_INSERT, &mariadb,
                     "INSERT INTO `db`.`merged`(`k`,`u`,`v`)VALUES('a',1,10),('it\\'s',NULL,-20)");
    expect_statement(SQL_DELETE, &mysql, "DELETE FROM `db`.`merged` WHERE `k` IN ('a','it\\'s')");
    expect_statement(SQL_LOCK, &tidb, "SELECT 1 FROM `db`.`merged` WHERE `k` IN ('a','it\\'s') FOR UPDATE");
}
END_TEST

/* k is compared without case: an UPDATE of 'a' to 'A' must be stored, so the key is assigned as well. */
START_TEST(upserts_of_each_dialect)
{
    expect_statement(
        SQL_UPSERT, &mariadb,
        "INSERT INTO `db`.`merged`(`k`,`u`,`v`)VALUES('a',1,10),('it\\'s',NULL,-20) ON DUPLICATE KEY "
        "UPDATE `k`=VALUES(`k`),`u`=VALUES(`u`),`v`=VALUES(`v`)");
    expect_statement(
        SQL_UPSERT, &tidb,
        "INSERT INTO `db`.`merged`(`k`,`u`,`v`)VALUES('a',1,10),('it\\'s',NULL,-20) ON DUPLICATE KEY "
        "UPDATE `k`=VALUES(`k`),`u`=VALUES(`u`),`v`=VALUES(`v`)");
    expect_statement(
        SQL_UPSERT, &mysql,
        "INSERT INTO `db`.`merged`(`k`,`u`,`v`)VALUES('a',1,10),('it\\'s',NULL,-20) AS n ON DUPLICATE "
        "KEY UPDATE `k`=n.`k`,`u`=n.`u`,`v`=n.`v`");
}
END_TEST

static void expect_one(const Shards *s, const Row *before, uint8_t before_has, const Row *after,
                       uint8_t after_has, const char *want)
{
    Arena arena = {0};
    StrBuf sql = {0};
    Err err = {0};
    RowOp op = {.binding = shards_binding(s, 0)};
    if (before) op.before = row_image(&arena, before, before_has);
    if (after) op.after = row_image(&arena, after, after_has);
    bool ok = !before  ? rowsql_insert_one(&sql, &op, &err)
              : !after ? rowsql_delete_one(&sql, &op, &err)
                       : rowsql_update_one(&sql, &op, &op.after, &err);
    if (want) {
        ck_assert_msg(ok, "%s", err.message);
        ck_assert_str_eq(sql.ptr, want);
    } else {
        ck_assert(!ok);
        ck_assert_int_eq(err.code, ERR_TRACK_TARGET);
        ck_assert_ptr_nonnull(strstr(err_remedy(&err), "binlog_row_image=FULL"));
        ck_assert_ptr_null(strstr(err.message, "it's")); /* never values */
    }
    err_clear(&err);
    sb_done(&sql);
    arena_done(&arena);
}

START_TEST(statements_of_one_row)
{
    Shards *s = shards_new(true);
    expect_one(s, NULL, 0, &a1, 7, "INSERT INTO `db`.`merged`(`k`,`u`,`v`)VALUES('a',1,10)");
    expect_one(s, &a1, 7, NULL, 0, "DELETE FROM `db`.`merged` WHERE `k`='a'");
    expect_one(s, &a1, 7, &b_null, 7, "UPDATE `db`.`merged` SET `k`='it\\'s',`u`=NULL,`v`=-20 WHERE `k`='a'");
    shards_free(s);
}
END_TEST

START_TEST(partial_images)
{
    Shards *s = shards_new(true);
    expect_one(s, NULL, 0, &a1, 5, "INSERT INTO `db`.`merged`(`k`,`v`)VALUES('a',10)");
    expect_one(s, &b_null, 1, NULL, 0, "DELETE FROM `db`.`merged` WHERE `k`='it\\'s'");
    expect_one(s, &a1, 1, &b_null, 2, "UPDATE `db`.`merged` SET `u`=NULL WHERE `k`='a'");
    expect_one(s, &b_null, 6, NULL, 0, NULL);
    expect_one(s, &b_null, 6, &a1, 7, NULL);
    shards_free(s);
}
END_TEST

START_TEST(composite_key)
{
    static const Col cols[] = {VARCHAR_("k", 5, "utf8mb4_bin", 20), INT_("u"), INT_("v")};
    static const char *const keys[] = {"PRIMARY:u,k", NULL};
    Shards s = {.w = world(COLS(cols), keys, COLS(cols), keys)};
    Arena arena = {0};
    SqlStatement st = {0};
    StrBuf names = {0};
    expect_one(&s, &a1, 7, NULL, 0, "DELETE FROM `db`.`merged` WHERE `u`=1 AND `k`='a'");
    expect_one(&s, &b_null, 5, NULL, 0, NULL);
    rowsql_begin(&st, SQL_DELETE, s.w->target, NULL);
    add(&st, &s, &arena, &a1);
    add(&st, &s, &arena, &(Row){"b", 2, 0});
    rowsql_end(&st, &mysql);
    ck_assert_str_eq(st.sql.ptr, "DELETE FROM `db`.`merged` WHERE (`u`,`k`) IN ((1,'a'),(2,'b'))");
    rowsql_key_names(s.w->target, &names);
    ck_assert_str_eq(names.ptr, "(`u`,`k`)");
    sb_done(&names);
    sb_done(&st.sql);
    arena_done(&arena);
    world_free(s.w);
}
END_TEST

START_TEST(without_a_key)
{
    Shards s = {.w = world(COLS(shards_columns), NULL, COLS(shards_columns), NULL)};
    StrBuf names = {0};
    expect_one(&s, &b_null, 7, NULL, 0,
               "DELETE FROM `db`.`merged` WHERE CAST(CONVERT(`k` USING utf8mb4) AS BINARY) <=> "
               "CAST(CONVERT('it\\'s' USING utf8mb4) AS BINARY) AND `u` <=> NULL AND `v` <=> -20 LIMIT 1");
    expect_one(&s, &b_null, 3, NULL, 0, NULL); /* a part of a row may be many */
    rowsql_key_names(s.w->target, &names);
    ck_assert_str_eq(names.ptr, "(none)");
    sb_done(&names);
    world_free(s.w);
}
END_TEST

START_TEST(keys_compared_and_asked_for)
{
    Shards *s = shards_new(true);
    const Binding *b = shards_binding(s, 0);
    Arena arena = {0};
    StrBuf sql = {0};
    RowImage a = row_image(&arena, &a1, 7), same = row_image(&arena, &(Row){"a", 2, 3}, 7),
             upper = row_image(&arena, &(Row){"A", 1, 10}, 7), null = row_image(&arena, &b_null, 7),
             part = row_image(&arena, &a1, 6);
    ck_assert(rowsql_same_row_key(b, &a, &same));
    ck_assert(!rowsql_same_row_key(b, &a, &upper)); /* bytes */
    ck_assert(!rowsql_same_row_key(b, &a, &part));
    ck_assert(rowsql_same_key(b, 1, &a, &upper));
    ck_assert(!rowsql_same_key(b, 1, &null, &null));
    ck_assert(rowsql_key_condition(b, 1, &a, false, &sql));
    ck_assert_str_eq(sql.ptr, "`u`=1");
    sb_clear(&sql);
    ck_assert(!rowsql_key_condition(b, 1, &null, true, &sql));
    ck_assert(!rowsql_key_condition(b, 0, &part, true, &sql));
    sb_done(&sql);
    arena_done(&arena);
    shards_free(s);
}
END_TEST

START_TEST(images_as_json)
{
    Shards *s = shards_new(true);
    Arena arena = {0};
    StrBuf out = {0};
    Err err = {0};
    RowImage full = row_image(&arena, &b_null, 7), part = row_image(&arena, &a1, 4);
    ck_assert(rowsql_image_json(shards_binding(s, 0), &full, &out, &err));
    ck_assert_str_eq(out.ptr, "{\"k\":\"it's\",\"u\":null,\"v\":\"-20\"}");
    sb_clear(&out);
    ck_assert(rowsql_image_json(shards_binding(s, 0), &part, &out, &err));
    ck_assert_str_eq(out.ptr, "{\"v\":\"10\"}");
    sb_done(&out);
    arena_done(&arena);
    shards_free(s);
}
END_TEST

START_TEST(statements_of_the_meta_schema)
{
    MetaTask m = {.schema = STR("me`ta"), .task = STR("o'task"), .uuid = "u"};
    StrBuf sql = {0};
    meta_fence_sql(&m, 3, 7, 41, &sql);
    ck_assert_str_eq(sql.ptr,
                     "UPDATE `me``ta`.sm_progress SET commit_seq = commit_seq + 1 WHERE task = 'o\\'task' "
                     "AND applier = 3 AND commit_seq = 41 AND epoch = 7");
    sb_clear(&sql);
    meta_applied_sql(&m, 3, UINT64_MAX, STR("\0\xff'"), &sql);
    ck_assert_str_eq(sql.ptr,
                     "INSERT INTO `me``ta`.sm_applied VALUES ('o\\'task',3,18446744073709551615,x'00ff27')");
    sb_clear(&sql);
    MetaMissed r = {.stream = STR("s-1"),
                    .identity = STR("0-1-2"),
                    .kind = STR("DELETE"),
                    .source_table = STR("db.a"),
                    .target = STR("m.t"),
                    .row_no = 5,
                    .before_json = STR("{\"k\":\"it's\"}")};
    meta_missed_sql(&m, &r, &sql);
    ck_assert_str_eq(sql.ptr,
                     "INSERT INTO `me``ta`.sm_missed (task, stream, source_transaction, row_no, kind, "
                     "source_table, target, before_image, after_image, recorded) VALUES "
                     "('o\\'task','s-1','0-1-2',5,'DELETE','db.a','m.t','{\"k\":\"it\\'s\"}',NULL,"
                     "UTC_TIMESTAMP())");
    sb_done(&sql);
    ck_assert_str_eq(session_begin_sql(&tidb), "BEGIN PESSIMISTIC");
    ck_assert_str_eq(session_begin_sql(&mariadb), "BEGIN");
}
END_TEST

static Suite *rowsql_suite(void)
{
    Suite *s = suite_create("apply/rowsql");
    TCase *t = tcase_create("rowsql");
    tcase_add_test(t, statements_of_several_rows);
    tcase_add_test(t, upserts_of_each_dialect);
    tcase_add_test(t, statements_of_one_row);
    tcase_add_test(t, partial_images);
    tcase_add_test(t, composite_key);
    tcase_add_test(t, without_a_key);
    tcase_add_test(t, keys_compared_and_asked_for);
    tcase_add_test(t, images_as_json);
    tcase_add_test(t, statements_of_the_meta_schema);
    suite_add_tcase(s, t);
    return s;
}
UNIT_MAIN(rowsql_suite)
