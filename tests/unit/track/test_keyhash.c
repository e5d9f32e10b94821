#include "tables.h"
#include "unit.h"

static const char *const pk_a[] = {"PRIMARY:a", NULL};

/* Two shards whose column `a` has other types, one target: do their values meet? */
typedef struct Two {
    World *x, *y;
} Two;

static Two two(Col target, Col x, Col y)
{
    return (Two){world(&target, 1, pk_a, &x, 1, pk_a), world(&target, 1, pk_a, &y, 1, pk_a)};
}

static void two_free(Two t)
{
    world_free(t.x);
    world_free(t.y);
}

static void expect_equal(Two t, Field x, Field y)
{
    uint64_t hx = hash_insert(t.x, &x), hy = hash_insert(t.y, &y);
    ck_assert_msg(hx && hy, "exclusive: %d %d", !hx, !hy);
    ck_assert_uint_eq(hx, hy);
}

static void expect_other(Two t, Field x, Field y)
{
    uint64_t hx = hash_insert(t.x, &x), hy = hash_insert(t.y, &y);
    ck_assert_msg(hx && hy, "exclusive: %d %d", !hx, !hy);
    ck_assert_uint_ne(hx, hy);
}

START_TEST(test_integers_of_any_width)
{
    Two t = two((Col)BIGINT_("a"), (Col)INT_("a"), (Col)BIGINT_("a"));
    expect_equal(t, V("\x05\0\0\0"), V("\x05\0\0\0\0\0\0\0"));
    expect_equal(t, V("\xff\xff\xff\xff"), V("\xff\xff\xff\xff\xff\xff\xff\xff")); /* -1 */
    expect_other(t, V("\xff\xff\xff\xff"), V("\xff\xff\xff\xff\0\0\0\0"));         /* -1, 4294967295 */
    expect_other(t, V("\x05\0\0\0"), V("\x06\0\0\0\0\0\0\0"));
    two_free(t);
    Col wide = {.name = "a", .type = "bigint(20) unsigned", .wire = COLTYPE_LONGLONG, .is_unsigned = true};
    Col tiny = {.name = "a", .type = "tinyint(3) unsigned", .wire = COLTYPE_TINY, .is_unsigned = true};
    t = two(wide, tiny, wide);
    expect_equal(t, V("\xff"), V("\xff\0\0\0\0\0\0\0"));
    expect_other(t, V("\xff"), V("\xff\xff\xff\xff\xff\xff\xff\xff"));
    two_free(t);
    Col medium = {.name = "a", .type = "mediumint(9)", .wire = COLTYPE_INT24};
    t = two((Col)INT_("a"), medium, (Col)INT_("a"));
    expect_equal(t, V("\xfe\xff\xff"), V("\xfe\xff\xff\xff")); /* -2 */
    two_free(t);
}
END_TEST

START_TEST(test_decimals_by_value)
{
    Col wide = {.name = "a",
                .type = "decimal(20,4)",
                .wire = COLTYPE_NEWDECIMAL,
                .meta = 20 << 8 | 4,
                .precision = 20,
                .scale = 4};
    Col small = {.name = "a",
                 .type = "decimal(4,2)",
                 .wire = COLTYPE_NEWDECIMAL,
                 .meta = 4 << 8 | 2,
                 .precision = 4,
                 .scale = 2};
    Two t = two(wide, small, wide);
    /* 1.50: 01 32 with the first bit set; 1.5000: 16 digits in 1+... : 7 digits (4 bytes), 9 digits (4
     * bytes), 4 (2) */
    expect_equal(t, V("\x81\x32"), V("\x80\0\0\0\0\0\0\x01\x13\x88"));
    expect_other(t, V("\x81\x33"), V("\x80\0\0\0\0\0\0\x01\x13\x88"));
    /* -1.50: all bits inverted */
    expect_equal(t, V("\x7e\xcd"), V("\x7f\xff\xff\xff\xff\xff\xff\xfe\xec\x77"));
    expect_other(t, V("\x81\x32"), V("\x7f\xff\xff\xff\xff\xff\xff\xfe\xec\x77"));
    expect_equal(t, V("\x80\0"), V("\x80\0\0\0\0\0\0\0\0\0"));
    expect_equal(t, V("\x7f\xff"), V("\x80\0\0\0\0\0\0\0\0\0")); /* -0 */
    two_free(t);
    t = two(wide, (Col)INT_("a"), wide);
    expect_equal(t, V("\x01\0\0\0"), V("\x80\0\0\0\0\0\0\x01\0\0"));
    expect_equal(t, V("\xff\xff\xff\xff"), V("\x7f\xff\xff\xff\xff\xff\xff\xfe\xff\xff"));
    expect_other(t, V("\x01\0\0\0"), V("\x80\0\0\0\0\0\0\x01\x13\x88"));
    two_free(t);
}
END_TEST

START_TEST(test_temporals_of_any_precision)
{
    Col dt0 = {.name = "a", .type = "datetime", .wire = COLTYPE_DATETIME2};
    Col dt6 = {.name = "a", .type = "datetime(6)", .wire = COLTYPE_DATETIME2, .meta = 6, .fsp = 6};
    Col dt3 = {.name = "a", .type = "datetime(3)", .wire = COLTYPE_DATETIME2, .meta = 3, .fsp = 3};
    Col old = {.name = "a", .type = "datetime", .wire = COLTYPE_DATETIME};
    Two t = two(dt6, dt0, dt6);
    /* 2026-01-02 03:04:05 = ((2026*13+1)<<5|2)<<17 | 3<<12 | 4<<6 | 5, sign bit set */
    expect_equal(t, V("\x99\xb8\xc4\x31\x05"), V("\x99\xb8\xc4\x31\x05\0\0\0"));
    expect_other(t, V("\x99\xb8\xc4\x31\x05"), V("\x99\xb8\xc4\x31\x05\0\0\x01"));
    two_free(t);
    t = two(dt6, dt3, dt6);
    expect_equal(t, V("\x99\xb8\xc4\x31\x05\x13\x88"),
                 V("\x99\xb8\xc4\x31\x05\x07\xa1\x20")); /* .5000, .500000 */
    two_free(t);
    t = two(dt6, old, dt0);
    expect_equal(t, V("\x45\x44\x2f\x2c\x6d\x12\0\0"), V("\x99\xb8\xc4\x31\x05")); /* 20260102030405 */
    two_free(t);
    Col t0 = {.name = "a", .type = "time", .wire = COLTYPE_TIME2};
    Col t6 = {.name = "a", .type = "time(6)", .wire = COLTYPE_TIME2, .meta = 6, .fsp = 6};
    Col t2 = {.name = "a", .type = "time(2)", .wire = COLTYPE_TIME2, .meta = 2, .fsp = 2};
    t = two(t6, t2, t6);
    expect_equal(t, V("\x7f\xff\xff\xff"), V("\x7f\xff\xff\xff\xd8\xf0")); /* -00:00:00.01 */
    expect_equal(t, V("\x80\x10\x00\x32"), V("\x80\x10\x00\x07\xa1\x20")); /* 01:00:00.5 */
    two_free(t);
    t = two(t6, t0, t6);
    expect_equal(t, V("\x7f\xef\xff"), V("\x7f\xef\xff\0\0\0"));
    two_free(t);
    Col old_time = {.name = "a", .type = "time", .wire = COLTYPE_TIME};
    t = two(t6, old_time, t0);
    expect_equal(t, V("\x10\x27\x00"), V("\x80\x10\x00")); /* 010000 */
    expect_equal(t, V("\xf0\xd8\xff"), V("\x7f\xf0\x00")); /* -010000 */
    two_free(t);
    Col ts0 = {.name = "a", .type = "timestamp", .wire = COLTYPE_TIMESTAMP2};
    Col ts3 = {.name = "a", .type = "timestamp(3)", .wire = COLTYPE_TIMESTAMP2, .meta = 3, .fsp = 3};
    Col ts_old = {.name = "a", .type = "timestamp", .wire = COLTYPE_TIMESTAMP};
    t = two(ts3, ts0, ts3);
    expect_equal(t, V("\x65\x00\x00\x01"), V("\x65\x00\x00\x01\0\0"));
    two_free(t);
    t = two(ts3, ts_old, ts0);
    expect_equal(t, V("\x01\x00\x00\x65"), V("\x65\x00\x00\x01"));
    two_free(t);
}
END_TEST

START_TEST(test_floats_bits_years)
{
    Col f = {.name = "a", .type = "float", .wire = COLTYPE_FLOAT, .meta = 4};
    Col d = {.name = "a", .type = "double", .wire = COLTYPE_DOUBLE, .meta = 8};
    Two t = two(d, f, d);
    expect_equal(t, V("\0\0\xc0\x3f"), V("\0\0\0\0\0\0\xf8\x3f")); /* 1.5 */
    expect_equal(t, V("\0\0\0\x80"), V("\0\0\0\0\0\0\0\0"));       /* -0 */
    two_free(t);
    Col b1 = {.name = "a", .type = "bit(4)", .wire = COLTYPE_BIT, .meta = 4, .precision = 4};
    Col b2 = {.name = "a", .type = "bit(12)", .wire = COLTYPE_BIT, .meta = 1 << 8 | 4, .precision = 12};
    t = two(b2, b1, b2);
    expect_equal(t, V("\x05"), V("\x00\x05"));
    expect_other(t, V("\x05"), V("\x01\x05"));
    two_free(t);
}
END_TEST

START_TEST(test_members_by_the_targets_list)
{
    Col target = {.name = "a",
                  .type = "enum('x','y','z')",
                  .wire = COLTYPE_ENUM,
                  .meta = 1,
                  .collation = "utf8mb4_bin",
                  .members = {"x", "y", "z"}};
    Col other = {.name = "a",
                 .type = "enum('z','x')",
                 .wire = COLTYPE_ENUM,
                 .meta = 1,
                 .collation = "utf8mb4_bin",
                 .members = {"z", "x"}};
    Two t = two(target, target, other);
    expect_equal(t, V("\x01"), V("\x02"));
    expect_equal(t, V("\x03"), V("\x01"));
    expect_other(t, V("\x02"), V("\x02"));
    ck_assert_ptr_null(t.x->binding->columns[0].codec.members);
    ck_assert_uint_eq(t.y->binding->columns[0].codec.n_members, 2);
    Field beyond = V("\x09");
    ck_assert_uint_eq(hash_insert(t.x, &beyond), 0);
    two_free(t);
    Col set = target, set2 = other;
    set.type = "set('x','y','z')";
    set2.type = "set('z','x')";
    set.wire = set2.wire = COLTYPE_SET;
    t = two(set, set, set2);
    expect_equal(t, V("\x05"), V("\x03"));
    expect_other(t, V("\x01"), V("\x01"));
    two_free(t);
    Col text = VARCHAR_("a", 10, "utf8mb4_general_ci", 40);
    t = two(text, text, other);
    expect_equal(t, T("X"), V("\x02"));
    two_free(t);
}
END_TEST

static Two texts(const char *target, const char *x, uint16_t x_bytes, const char *y, uint16_t y_bytes)
{
    return two((Col)VARCHAR_("a", 10, target, 40), (Col)VARCHAR_("a", 10, x, x_bytes),
               (Col)VARCHAR_("a", 10, y, y_bytes));
}

START_TEST(test_text_case_insensitive)
{
    Two t = texts("utf8mb4_general_ci", "utf8mb4_general_ci", 40, "latin1_swedish_ci", 10);
    expect_equal(t, T("aBc"), T("Abc  "));
    expect_equal(t, T(""), T("  "));
    expect_other(t, T("abc"), T("abd"));
    Field sharp = T("\xc3\x9f"), tab = T("a\t"), del = T("a\x7f");
    ck_assert_uint_eq(hash_insert(t.x, &sharp), 0);
    ck_assert_uint_eq(hash_insert(t.x, &tab), 0);
    ck_assert_uint_eq(hash_insert(t.x, &del), 0);
    two_free(t);
}
END_TEST

START_TEST(test_text_by_code_point)
{
    Two t = texts("utf8mb4_bin", "utf8mb4_bin", 40, "utf8mb3_bin", 30);
    expect_equal(t, T("\xc3\x9f "), T("\xc3\x9f"));
    expect_other(t, T("a"), T("A"));
    expect_other(t, T("a\t"), T("a"));
    two_free(t);
    t = texts("utf8mb4_bin", "utf8mb4_bin", 40, "latin1_bin", 10);
    expect_equal(t, T("abc\n"), T("abc\n"));
    Field e = T("\xe9");
    ck_assert_uint_eq(hash_insert(t.y, &e), 0); /* other bytes for the same character */
    two_free(t);
    t = texts("utf8mb4_bin", "utf8mb4_bin", 40, "utf16_bin", 40);
    Field wide = V("\0a");
    ck_assert_uint_eq(hash_insert(t.y, &wide), 0);
    two_free(t);
}
END_TEST

START_TEST(test_unknown_fold_is_exclusive)
{
    Two t = texts("utf8mb4_danish_ci", "utf8mb4_bin", 40, "utf8mb4_bin", 40);
    Field a = T("a");
    ck_assert(!t.x->target->keys[0].hashable);
    ck_assert_uint_eq(hash_insert(t.x, &a), 0);
    two_free(t);
}
END_TEST

/* A part without a fold adds nothing; the others still tell rows apart. */
START_TEST(test_unknown_part_adds_nothing)
{
    static const char *const keys[] = {"PRIMARY:a,b", NULL};
    Col cols[] = {INT_("a"), VARCHAR_("b", 10, "utf8mb4_danish_ci", 40)};
    World *w = world(COLS(cols), keys, COLS(cols), keys);
    Field r1[] = {V("\1\0\0\0"), T("aa")}, r2[] = {V("\1\0\0\0"), T("\xc3\xa5")},
          r3[] = {V("\2\0\0\0"), T("aa")};
    ck_assert_uint_eq(hash_insert(w, r1), hash_insert(w, r2));
    ck_assert_uint_ne(hash_insert(w, r1), hash_insert(w, r3));
    world_free(w);
}
END_TEST

START_TEST(test_prefixes)
{
    static const char *const keys[] = {"PRIMARY:a(2)", NULL};
    Col utf8[] = {VARCHAR_("a", 10, "utf8mb4_bin", 40)}, ci[] = {VARCHAR_("a", 10, "utf8mb4_general_ci", 40)};
    World *w = world(COLS(utf8), keys, COLS(utf8), keys);
    Field r1 = T("\xc3\x9f\xc3\x9fx"), r2 = T("\xc3\x9f\xc3\x9fy"), r3 = T("\xc3\x9fz"), r4 = T("\xc3\x9f");
    ck_assert_uint_eq(hash_insert(w, &r1), hash_insert(w, &r2));
    ck_assert_uint_ne(hash_insert(w, &r1), hash_insert(w, &r3));
    ck_assert_uint_ne(hash_insert(w, &r3), hash_insert(w, &r4));
    Field r5 = T("\xf0\x9f\x98\x80\xf0\x9f\x98\x80q"), r6 = T("\xf0\x9f\x98\x80\xf0\x9f\x98\x80");
    ck_assert_uint_eq(hash_insert(w, &r5), hash_insert(w, &r6));
    world_free(w);
    w = world(COLS(ci), keys, COLS(ci), keys);
    Field c1 = T("ab\xc3\x9f"), c2 = T("ABc"), c3 = T("a\xc3\x9f");
    ck_assert_uint_eq(hash_insert(w, &c1), hash_insert(w, &c2));
    ck_assert_uint_eq(hash_insert(w, &c3), 0);
    world_free(w);
    Col gbk[] = {VARCHAR_("a", 10, "gbk_bin", 20)};
    w = world(COLS(gbk), keys, COLS(gbk), keys);
    Field g1 = T("abc"), g2 = T("abd"), g3 = T("\x81\x40\x81");
    ck_assert_uint_eq(hash_insert(w, &g1), hash_insert(w, &g2));
    ck_assert_uint_eq(hash_insert(w, &g3), 0);
    world_free(w);
    Col blob[] = {{.name = "a", .type = "varbinary(9)", .wire = COLTYPE_VARCHAR, .meta = 9, .length = 9}};
    w = world(COLS(blob), keys, COLS(blob), keys);
    Field b1 = V("ab\0"), b2 = V("abc"), b3 = V("a\0"), b4 = V("a");
    ck_assert_uint_eq(hash_insert(w, &b1), hash_insert(w, &b2));
    ck_assert_uint_eq(hash_insert(w, &b3), hash_insert(w, &b4));
    world_free(w);
}
END_TEST

/* ('a','bc') is not ('ab','c'). */
START_TEST(test_parts_do_not_run_together)
{
    static const char *const keys[] = {"PRIMARY:a,b", NULL};
    Col cols[] = {VARCHAR_("a", 10, "utf8mb4_bin", 40), VARCHAR_("b", 10, "utf8mb4_bin", 40)};
    World *w = world(COLS(cols), keys, COLS(cols), keys);
    Field r1[] = {T("a"), T("bc")}, r2[] = {T("ab"), T("c")};
    ck_assert_uint_ne(hash_insert(w, r1), hash_insert(w, r2));
    world_free(w);
}
END_TEST

START_TEST(test_long_key_leaves_the_stack)
{
    Col cols[] = {VARCHAR_("a", 700, "utf8mb4_bin", 2800)};
    World *w = world(COLS(cols), pk_a, COLS(cols), pk_a);
    char text[701];
    memset(text, 'x', 700);
    text[700] = 0;
    Field f = T(text);
    uint64_t h = hash_insert(w, &f);
    text[699] = 'y';
    ck_assert_uint_ne(hash_insert(w, &f), h);
    text[699] = 'x';
    ck_assert_uint_eq(hash_insert(w, &f), h);
    world_free(w);
}
END_TEST

/* id, u (nullable unique), v */
static const char *const id_u[] = {"PRIMARY:id", "u:u", NULL};
static const Col id_u_v[] = {
    INT_("id"), {.name = "u", .type = "int(11)", .wire = COLTYPE_LONG, .null = true}, INT_("v")};

START_TEST(test_keys_of_a_row)
{
    World *w = world(COLS(id_u_v), id_u, COLS(id_u_v), id_u);
    Field a[] = {V("\1\0\0\0"), V("\7\0\0\0"), V("\0\0\0\0")};
    Field b[] = {V("\1\0\0\0"), V("\x08\0\0\0"), V("\0\0\0\0")};
    Field nil[] = {V("\1\0\0\0"), NIL, V("\0\0\0\0")};
    RowOp op = hash_row(w, ROW_INSERT, NULL, a);
    ck_assert_uint_eq(op.n_keys, 2);
    ck_assert(!op.keys_unchanged);
    uint64_t first_u = w->sink.keys[op.keys_at + 1];
    op = hash_row(w, ROW_UPDATE, a, b);
    ck_assert_uint_eq(op.n_keys, 3); /* id once, u twice */
    ck_assert_uint_eq(op.keys_at, 2);
    ck_assert_uint_eq(w->sink.keys[op.keys_at + 1], first_u);
    ck_assert(!op.keys_unchanged);
    ck_assert_uint_eq(op.row_hash_before, op.row_hash_after);
    op = hash_row(w, ROW_UPDATE, a, a);
    ck_assert(op.keys_unchanged);
    ck_assert_uint_eq(op.n_keys, 2);
    op = hash_row(w, ROW_UPDATE, a, nil);
    ck_assert_uint_eq(op.n_keys, 2);
    ck_assert(!op.keys_unchanged);
    op = hash_row(w, ROW_DELETE, nil, NULL);
    ck_assert_uint_eq(op.n_keys, 1);
    ck_assert_uint_ne(op.row_hash_before, 0);
    ck_assert_uint_eq(op.row_hash_after, 0);
    world_free(w);
}
END_TEST

START_TEST(test_minimal_images)
{
    World *w = world(COLS(id_u_v), id_u, COLS(id_u_v), id_u);
    Field full[] = {V("\1\0\0\0"), V("\7\0\0\0"), V("\0\0\0\0")};
    Field key[] = {V("\1\0\0\0"), GONE, GONE};
    Field new_v[] = {GONE, GONE, V("\3\0\0\0")}, new_u[] = {GONE, V("\3\0\0\0"), GONE};
    Field new_id[] = {V("\2\0\0\0"), GONE, GONE};
    RowOp insert = hash_row(w, ROW_INSERT, NULL, full);
    RowOp op = hash_row(w, ROW_UPDATE, key, new_v);
    ck_assert(!op.exclusive);
    ck_assert(op.keys_unchanged);
    ck_assert_uint_eq(op.n_keys, 1);
    ck_assert_uint_eq(op.row_hash_before, insert.row_hash_after);
    ck_assert_uint_eq(op.row_hash_after, insert.row_hash_after);
    op = hash_row(w, ROW_UPDATE, key, new_u); /* the old u is not known */
    ck_assert(op.exclusive);
    ck_assert_uint_eq(op.n_keys, 0);
    ck_assert(!op.keys_unchanged);
    op = hash_row(w, ROW_UPDATE, key, new_id);
    ck_assert(!op.exclusive);
    ck_assert_uint_eq(op.n_keys, 2);
    ck_assert(!op.keys_unchanged);
    op = hash_row(w, ROW_DELETE, key, NULL);
    ck_assert(op.exclusive);
    op = hash_row(w, ROW_INSERT, NULL, key); /* u gets its default */
    ck_assert(op.exclusive);
    world_free(w);
}
END_TEST

/* A fold hides no change from keys_unchanged. */
START_TEST(test_case_change_is_a_change)
{
    Col cols[] = {VARCHAR_("a", 10, "utf8mb4_general_ci", 40)};
    World *w = world(COLS(cols), pk_a, COLS(cols), pk_a);
    Field lower = T("a"), upper = T("A");
    RowOp op = hash_row(w, ROW_UPDATE, &lower, &upper);
    ck_assert_uint_eq(op.row_hash_before, op.row_hash_after);
    ck_assert(!op.keys_unchanged);
    world_free(w);
}
END_TEST

START_TEST(test_unhashable_value_of_an_untouched_key)
{
    static const char *const keys[] = {"PRIMARY:id", "u:s", NULL};
    Col cols[] = {INT_("id"), VARCHAR_("s", 10, "utf8mb4_general_ci", 40), INT_("v")};
    World *w = world(COLS(cols), keys, COLS(cols), keys);
    Field a[] = {V("\1\0\0\0"), T("\xc3\x9f"), V("\1\0\0\0")},
          b[] = {V("\1\0\0\0"), T("\xc3\x9f"), V("\2\0\0\0")};
    Field c[] = {V("\1\0\0\0"), T("x"), V("\2\0\0\0")};
    RowOp op = hash_row(w, ROW_UPDATE, a, b);
    ck_assert(!op.exclusive);
    ck_assert_uint_eq(op.n_keys, 1);
    ck_assert(hash_row(w, ROW_UPDATE, a, c).exclusive);
    ck_assert(hash_row(w, ROW_UPDATE, c, a).exclusive);
    ck_assert(hash_row(w, ROW_INSERT, NULL, a).exclusive);
    ck_assert(hash_row(w, ROW_DELETE, a, NULL).exclusive);
    world_free(w);
}
END_TEST

START_TEST(test_keyless_is_exclusive)
{
    Col cols[] = {INT_("a")};
    World *w = world(COLS(cols), NULL, COLS(cols), pk_a);
    Field r = V("\1\0\0\0");
    RowOp op = hash_row(w, ROW_UPDATE, &r, &r);
    ck_assert(op.exclusive);
    ck_assert(!op.keys_unchanged);
    ck_assert_uint_eq(op.n_keys, 0);
    world_free(w);
}
END_TEST

/* The target finds rows by (shard-wide) key b, the shard by its own id: both order the row. */
START_TEST(test_source_key)
{
    static const char *const target_keys[] = {"b:b", NULL};
    Col cols[] = {INT_("a"), INT_("b")};
    World *w = world(COLS(cols), target_keys, COLS(cols), pk_a);
    ck_assert_uint_eq(w->binding->n_source_key, 1);
    Field r1[] = {V("\1\0\0\0"), V("\2\0\0\0")}, r2[] = {V("\1\0\0\0"), V("\3\0\0\0")};
    RowOp op1 = hash_row(w, ROW_INSERT, NULL, r1);
    ck_assert_uint_eq(op1.n_keys, 2);
    RowOp op2 = hash_row(w, ROW_INSERT, NULL, r2);
    ck_assert_uint_eq(w->sink.keys[op1.keys_at + 1], w->sink.keys[op2.keys_at + 1]);
    ck_assert_uint_ne(op1.row_hash_after, op2.row_hash_after);
    world_free(w);
}
END_TEST

/* Another unique key of the target over a column that this shard has not. */
START_TEST(test_unfed_key)
{
    static const char *const keys[] = {"PRIMARY:a", "x:x", NULL};
    Col with_null[] = {INT_("a"), {.name = "x", .type = "int(11)", .wire = COLTYPE_LONG, .null = true}};
    Col with_default[] = {INT_("a"),
                          {.name = "x", .type = "int(11)", .wire = COLTYPE_LONG, .default_text = "0"}};
    Col shard[] = {INT_("a")};
    Field r = V("\1\0\0\0");
    World *w = world(COLS(with_null), keys, COLS(shard), pk_a);
    ck_assert_uint_ne(hash_insert(w, &r), 0);
    world_free(w);
    w = world(COLS(with_default), keys, COLS(shard), pk_a);
    ck_assert_uint_eq(hash_insert(w, &r), 0);
    world_free(w);
}
END_TEST

/* A key over a column that the target computes: only a shard that computes it alike shows whether it changed.
 */
START_TEST(test_computed_key)
{
    static const char *const keys[] = {"PRIMARY:a", "g:g", NULL};
    Col target[] = {INT_("a"), {.name = "g", .type = "int(11)", .generated = true, .null = true}};
    Col plain[] = {INT_("a"), {.name = "g", .type = "int(11)", .wire = COLTYPE_LONG, .null = true}};
    Col alike[] = {INT_("a"),
                   {.name = "g", .type = "int(11)", .wire = COLTYPE_LONG, .generated = true, .null = true}};
    Field r[] = {V("\1\0\0\0"), V("\1\0\0\0")};
    World *w = world(COLS(target), keys, COLS(plain), pk_a);
    ck_assert(hash_row(w, ROW_UPDATE, r, r).exclusive);
    world_free(w);
    w = world(COLS(target), keys, COLS(alike), pk_a);
    RowOp op = hash_row(w, ROW_UPDATE, r, r);
    ck_assert(!op.exclusive && op.keys_unchanged);
    ck_assert(hash_row(w, ROW_INSERT, NULL, r).exclusive);
    world_free(w);
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("keyhash");
    TCase *t = tcase_create("keyhash");
    tcase_add_test(t, test_integers_of_any_width);
    tcase_add_test(t, test_decimals_by_value);
    tcase_add_test(t, test_temporals_of_any_precision);
    tcase_add_test(t, test_floats_bits_years);
    tcase_add_test(t, test_members_by_the_targets_list);
    tcase_add_test(t, test_text_case_insensitive);
    tcase_add_test(t, test_text_by_code_point);
    tcase_add_test(t, test_unknown_fold_is_exclusive);
    tcase_add_test(t, test_unknown_part_adds_nothing);
    tcase_add_test(t, test_prefixes);
    tcase_add_test(t, test_parts_do_not_run_together);
    tcase_add_test(t, test_long_key_leaves_the_stack);
    tcase_add_test(t, test_keys_of_a_row);
    tcase_add_test(t, test_minimal_images);
    tcase_add_test(t, test_case_change_is_a_change);
    tcase_add_test(t, test_unhashable_value_of_an_untouched_key);
    tcase_add_test(t, test_keyless_is_exclusive);
    tcase_add_test(t, test_source_key);
    tcase_add_test(t, test_unfed_key);
    tcase_add_test(t, test_computed_key);
    suite_add_tcase(s, t);
    return s;
}
UNIT_MAIN(suite)
