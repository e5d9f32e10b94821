#include <stdio.h>
#include "tables.h"
#include "track/family.h"
#include "track/schema_json.h"
#include "unit.h"

static const char *const pk_a[] = {"PRIMARY:a", NULL};

static TableSchema *rich(void)
{
    static const char *const keys[] = {"PRIMARY:a", "u:t(10),e", "-i:e", NULL};
    Col cols[] = {{.name = "a",
                   .type = "bigint(20) unsigned",
                   .is_unsigned = true,
                   .auto_increment = true,
                   .precision = 20},
                  VARCHAR_("t", 40, "utf8mb4_general_ci", 160),
                  {.name = "e",
                   .type = "enum('x','y\"')",
                   .collation = "latin1_swedish_ci",
                   .members = {"x", "y\""},
                   .null = true},
                  {.name = "d",
                   .type = "datetime(3)",
                   .fsp = 3,
                   .on_update = true,
                   .default_text = "2020-01-01 00:00:00.000"},
                  {.name = "g", .type = "int(11)", .generated = true, .null = true},
                  {.name = "b", .type = "varbinary(4)", .length = 4, .default_text = "\xff\x00\x01"}};
    TableSchema *s = table("täble", COLS(cols), keys);
    s->comment = STR("it's a \"comment\"");
    s->columns[4].generation_expr = STR("`a` + 1");
    s->columns[4].generated_stored = true;
    s->columns[3].default_kind = DEFAULT_EXPR;
    s->columns[3].default_text = STR("current_timestamp(3)");
    s->columns[5].default_text = (Str){"\xff\x00\x01", 3};
    s->columns[1].invisible = true;
    s->columns[1].comment = STR("note");
    s->keys[2].has_expression = true;
    s->keys[2].parts[0].column = UINT32_MAX;
    s->has_cascade = s->has_foreign_keys = true;
    return s;
}

START_TEST(test_round_trip)
{
    TableSchema *s = rich(), *back = NULL;
    StrBuf one = {0}, two = {0}, diff = {0};
    Err err = {0};
    schema_to_json(s, &one);
    ck_assert_msg(schema_from_json(sb_view(&one), &back, &err), "%s", err.message);
    schema_to_json(back, &two);
    ck_assert_str_eq(one.ptr, two.ptr);
    ck_assert_uint_eq(schema_diff(s, "one", back, "two", &diff), 0);
    ck_assert(str_eq(back->columns[5].default_text, s->columns[5].default_text));
    ck_assert(str_eq(back->comment, s->comment));
    ck_assert_uint_eq(back->columns[2].n_members, 2);
    ck_assert(str_eqc(back->columns[2].members[1], "y\""));
    ck_assert(back->columns[0].auto_increment && back->columns[0].is_unsigned && back->columns[1].invisible);
    ck_assert_uint_eq(back->keys[1].parts[0].prefix, 10);
    ck_assert_uint_eq(back->keys[2].parts[0].column, UINT32_MAX);
    ck_assert(back->has_cascade && back->has_foreign_keys && !back->has_triggers);
    schema_free(s);
    schema_free(back);
    sb_done(&one);
    sb_done(&two);
}
END_TEST

START_TEST(test_broken_json)
{
    static const char *const broken[] = {
        "",
        "{",
        "[]",
        "{\"format\":2}",
        "{\"format\":1,\"schema\":\"a\",\"table\":\"b\"}",
        "{\"format\":1,\"schema\":\"a\",\"table\":\"b\",\"columns\":[{}],\"keys\":[]}",
        "{\"format\":1,\"schema\":\"a\",\"table\":{\"hex\":\"0\"},\"columns\":[],\"keys\":[]}",
        "{\"format\":1,\"schema\":\"a\",\"table\":{\"hex\":\"zz\"},\"columns\":[],\"keys\":[]}",
        "{\"format\":1,\"schema\":\"a\",\"table\":\"b\",\"columns\":[],\"keys\":[{\"name\":\"k\",\"parts\":[{"
        "\"column\":0}]}]}",
        "{\"format\":1,\"schema\":\"a\",\"table\":\"b\",\"columns\":[{\"name\":\"c\",\"data_type\":\"int\","
        "\"column_type\":\"int\","
        "\"default_kind\":\"odd\"}],\"keys\":[]}",
        "{\"format\":1,\"schema\":\"a\",\"table\":\"b\",\"columns\":[{\"name\":\"c\",\"data_type\":\"int\","
        "\"column_type\":\"int\","
        "\"default_kind\":\"none\",\"fsp\":-1}],\"keys\":[]}",
    };
    for (size_t i = 0; i < ARRAY_LEN(broken); i++) {
        TableSchema *s = NULL;
        Err err = {0};
        ck_assert_msg(!schema_from_json(str_of(broken[i]), &s, &err), "case %zu", i);
        ck_assert_int_eq(err.code, ERR_CORRUPT);
        ck_assert_ptr_null(s);
        err_clear(&err);
    }
}
END_TEST

static void expect_diff(const Col *x, const char *const *x_keys, const Col *y, const char *const *y_keys,
                        const char *lines)
{
    TableSchema *a = table("t", x, 2, x_keys), *b = table("t", y, 2, y_keys);
    StrBuf out = {0};
    size_t n = schema_diff(a, "s1", b, "s2", &out), newlines = 0;
    for (size_t i = 0; i < out.len; i++)
        newlines += out.ptr[i] == '\n';
    ck_assert_uint_eq(n, newlines);
    ck_assert_str_eq(out.ptr ? out.ptr : "", lines);
    sb_done(&out);
    schema_free(a);
    schema_free(b);
}

START_TEST(test_differences)
{
    static const char *const pk_b[] = {"PRIMARY:b", NULL}, *const uk[] = {"PRIMARY:a", "k1:b", NULL},
                             *const uk_other_name[] = {"PRIMARY:a", "k2:b", NULL},
                             *const index[] = {"PRIMARY:a", "-k:b", NULL};
    Col ints[] = {INT_("a"), INT_("b")},
        plain[] = {{.name = "a", .type = "int"}, {.name = "b", .type = "int"}};
    expect_diff(ints, pk_a, plain, pk_a, "");
    expect_diff(ints, pk_a, ints, index, "");
    expect_diff(ints, uk, ints, uk_other_name, "");
    expect_diff(ints, uk, ints, pk_a, "unique key k1(b) in s1, missing in s2\n");
    expect_diff(ints, pk_a, ints, pk_b,
                "primary key (a) in s1, missing in s2\nprimary key (b) in s2, missing in s1\n");
    Col big[] = {INT_("a"), BIGINT_("b")};
    expect_diff(ints, pk_a, big, pk_a, "column `b`: int(11) in s1 against bigint(20) in s2\n");
    Col other[] = {INT_("a"), INT_("c")};
    expect_diff(ints, pk_a, other, pk_a,
                "column `b`: int(11) in s1, missing in s2\ncolumn `c`: int(11) in s2, missing in s1\n");
    Col null[] = {INT_("a"), {.name = "b", .type = "int(11)", .null = true}};
    expect_diff(ints, pk_a, null, pk_a, "column `b`: NOT NULL in s1 against NULL in s2\n");
    Col with_default[] = {INT_("a"), {.name = "b", .type = "int(11)", .default_text = "0"}};
    expect_diff(ints, pk_a, with_default, pk_a, "column `b`: no default in s1 against DEFAULT '0' in s2\n");
    Col bin[] = {INT_("a"), VARCHAR_("b", 10, "utf8mb4_bin", 40)},
        ci[] = {INT_("a"), VARCHAR_("b", 10, "utf8mb4_general_ci", 40)};
    expect_diff(bin, pk_a, ci, pk_a,
                "column `b`: collation utf8mb4_bin in s1 against utf8mb4_general_ci in s2\n");
    Col generated[] = {INT_("a"), {.name = "b", .type = "int(11)", .generated = true}};
    expect_diff(ints, pk_a, generated, pk_a, "column `b`: ordinary in s1 against generated in s2\n");
    Col updating[] = {INT_("a"), {.name = "b", .type = "int(11)", .on_update = true}};
    expect_diff(ints, pk_a, updating, pk_a, "column `b`: no ON UPDATE in s1 against ON UPDATE in s2\n");
}
END_TEST

START_TEST(test_now_is_spelled_in_two_ways)
{
    Col cols[] = {{.name = "a", .type = "timestamp"}, {.name = "b", .type = "timestamp"}};
    TableSchema *x = table("t", COLS(cols), pk_a), *y = table("t", COLS(cols), pk_a);
    StrBuf out = {0};
    x->columns[1].default_kind = y->columns[1].default_kind = DEFAULT_EXPR;
    x->columns[1].default_text = STR("current_timestamp()");
    y->columns[1].default_text = STR("CURRENT_TIMESTAMP");
    ck_assert_uint_eq(schema_diff(x, "x", y, "y", &out), 0);
    for (int i = 0; i < 2; i++) {
        TableSchema *t = i ? y : x;
        t->columns[0].generated = true;
        t->columns[0].generation_expr = i ? STR("((`b` + 1) * (2))") : STR("(`b` + 1) * (2)");
    }
    ck_assert_uint_eq(schema_diff(x, "x", y, "y", &out), 0);
    y->columns[1].default_text = STR("CURRENT_TIMESTAMP(3)");
    ck_assert_uint_eq(schema_diff(x, "x", y, "y", &out), 1);
    sb_done(&out);
    schema_free(x);
    schema_free(y);
}
END_TEST

START_TEST(test_create)
{
    TableSchema *s = rich();
    s->n_keys = 2; /* without the index over an expression */
    StrBuf sql = {0};
    Err err = {0};
    CreateOpts opts = {.name = {STR("m`x"), STR("all")}, .target_is_mariadb = true};
    ck_assert_msg(schema_create_sql(s, &opts, &sql, &err), "%s", err.message);
    ck_assert_str_eq(
        sql.ptr,
        "CREATE TABLE `m``x`.`all` (\n"
        "  `a` bigint(20) unsigned NOT NULL,\n"
        "  `t` varchar(40) CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci NOT NULL COMMENT 'note',\n"
        "  `e` enum('x','y\"') CHARACTER SET latin1 COLLATE latin1_swedish_ci NULL DEFAULT NULL,\n"
        "  `d` datetime(3) NOT NULL DEFAULT current_timestamp(3) ON UPDATE CURRENT_TIMESTAMP(3),\n"
        "  `g` int(11) GENERATED ALWAYS AS (`a` + 1) STORED,\n"
        "  `b` varbinary(4) NOT NULL DEFAULT X'ff0001',\n"
        "  PRIMARY KEY (`a`),\n"
        "  UNIQUE KEY `u` (`t`(10),`e`)\n"
        ") ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin COMMENT='it\\'s a \"comment\"' "
        "/* AUTO_INCREMENT of `a` left out while shards feed it */");
    sb_done(&sql);
    schema_free(s);
}
END_TEST

static const char *create(const Col *cols, size_t n, const char *const *keys, CreateOpts opts, ErrCode *code)
{
    static char text[2048];
    TableSchema *s = table("t", cols, n, keys);
    StrBuf sql = {0};
    Err err = {0};
    opts.name = s->name;
    *code = schema_create_sql(s, &opts, &sql, &err) ? ERR_NONE : err.code;
    snprintf(text, sizeof text, "%s", *code ? err.message : sql.ptr);
    err_clear(&err);
    sb_done(&sql);
    schema_free(s);
    return text;
}

START_TEST(test_create_elsewhere)
{
    ErrCode code;
    CreateOpts mysql = {0}, mariadb = {.target_is_mariadb = true}, tidb = {.target_is_tidb = true};
    Col c0900[] = {INT_("a"), VARCHAR_("b", 10, "utf8mb4_0900_ai_ci", 40)};
    ck_assert(
        strstr(create(COLS(c0900), pk_a, mariadb, &code), "COLLATE utf8mb4_uca1400_nopad_ai_ci NOT NULL"));
    ck_assert(strstr(create(COLS(c0900), pk_a, mariadb, &code),
                     "utf8mb4_0900_ai_ci became utf8mb4_uca1400_nopad_ai_ci"));
    ck_assert(strstr(create(COLS(c0900), pk_a, mysql, &code), "COLLATE utf8mb4_0900_ai_ci"));
    ck_assert(strstr(create(COLS(c0900), pk_a, tidb, &code), "COLLATE utf8mb4_0900_ai_ci"));
    Col uca[] = {INT_("a"), VARCHAR_("b", 10, "utf8mb4_uca1400_ai_ci", 40)};
    ck_assert(strstr(create(COLS(uca), pk_a, mysql, &code), "COLLATE utf8mb4_0900_ai_ci"));
    Col swedish[] = {INT_("a"), VARCHAR_("b", 10, "latin1_swedish_ci", 10)};
    ck_assert(
        strstr(create(COLS(swedish), pk_a, tidb, &code), "CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci"));
    Col phonebook[] = {INT_("a"), VARCHAR_("b", 10, "utf8mb4_de_pb_0900_ai_ci", 40)};
    create(COLS(phonebook), pk_a, mariadb, &code);
    ck_assert_int_eq(code, ERR_TRACK_TARGET);
    Col odd[] = {INT_("a"), {.name = "b", .type = "xmltype"}};
    create(COLS(odd), pk_a, mariadb, &code);
    ck_assert_int_eq(code, ERR_TRACK_TARGET);
    Col text[] = {
        INT_("a"),
        {.name = "b", .type = "text", .collation = "utf8mb4_bin", .length = 65535, .default_text = "x"}};
    ck_assert(strstr(create(COLS(text), pk_a, mariadb, &code), "DEFAULT 'x'"));
    ck_assert(strstr(create(COLS(text), pk_a, mysql, &code), "DEFAULT ('x')"));
    ck_assert(strstr(create(COLS(text), pk_a, tidb, &code), "default of `b` left out"));
    static const char *const long_key[] = {"PRIMARY:a", "u:b", NULL};
    create(COLS(text), long_key, mysql, &code);
    ck_assert_int_eq(code, ERR_TRACK_TARGET);
    create(COLS(text), long_key, mariadb, &code);
    ck_assert_int_eq(code, ERR_NONE);
    Col sneaky[] = {INT_("a"), {.name = "b*/", .type = "int(11)", .auto_increment = true}};
    const char *sql = create(COLS(sneaky), pk_a, mysql, &code);
    ck_assert_ptr_eq(strstr(strstr(sql, "/* "), "*/"), sql + strlen(sql) - 2);
}
END_TEST

/* Which downstream has which type; where it has not, the message says what to do. */
START_TEST(test_create_native_types)
{
    static const struct {
        const char *type, *sql;
        bool mariadb, mysql, tidb;
    } cases[] = {{"point", "`b` point NOT NULL", true, true, false},
                 {"geomcollection", "`b` geometrycollection NOT NULL", true, true, false},
                 {"vector(4)", "`b` vector(4) NOT NULL", true, true, false},
                 {"uuid", "`b` uuid NOT NULL", true, false, false},
                 {"inet4", "`b` inet4 NOT NULL", true, false, false},
                 {"inet6", "`b` inet6 NOT NULL", true, false, false}};
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        Col cols[] = {INT_("a"), {.name = "b", .type = cases[i].type}};
        for (int server = 0; server < 3; server++) {
            CreateOpts opts = {.target_is_mariadb = server == 0, .target_is_tidb = server == 2};
            bool has = server == 0 ? cases[i].mariadb : server == 1 ? cases[i].mysql : cases[i].tidb;
            ErrCode code;
            const char *text = create(COLS(cols), pk_a, opts, &code);
            ck_assert_msg((code == ERR_NONE) == has, "%s on %d: %s", cases[i].type, server, text);
            ck_assert_msg(strstr(text, has ? cases[i].sql : "the downstream has no type"), "%s", text);
        }
    }
    ErrCode code;
    Col packed[] = {INT_("a"),
                    {.name = "b",
                     .type = "varchar(10) /*M!100301 COMPRESSED*/",
                     .collation = "utf8mb4_bin",
                     .length = 10}};
    const char *text = create(COLS(packed), pk_a, (CreateOpts){.target_is_mariadb = true}, &code);
    ck_assert_msg(strstr(text, "`b` varchar(10) CHARACTER SET") && strstr(text, "COMPRESSED of `b` left out"),
                  "%s", text);
}
END_TEST

/* Every type that a source may have is one that TiDB has, or is refused with what takes its values; and so is
 * every type code of a TABLE_MAP that the decoder reads. */
START_TEST(test_tidb_answers_for_every_type)
{
    CreateOpts tidb = {.target_is_tidb = true};
    const char *name;
    bool wire[256] = {false};
    unsigned has = 0, has_not = 0;
    for (size_t i = 0; (name = family_type_name(i)); i++) {
        Col cols[] = {INT_("a"), {.name = "b", .type = name}};
        ColumnDef def = {.name = STR("b"), .data_type = str_of(name), .column_type = str_of(name)};
        const char *elsewhere = family_elsewhere(&def);
        ErrCode code;
        uint8_t type, size;
        const char *text = create(COLS(cols), pk_a, tidb, &code);
        ck_assert(family_of(&def) != FAMILY_UNKNOWN && family_wire(&def, &type, &size));
        wire[type] = true;
        ck_assert_msg((code == ERR_NONE) != (elsewhere != NULL), "%s: %s, and elsewhere %s", name, text,
                      elsewhere ? elsewhere : "nothing");
        if (code == ERR_NONE) {
            has++;
            continue;
        }
        has_not++;
        ck_assert_int_eq(code, ERR_TRACK_TARGET);
        ck_assert_msg(strstr(text, "the downstream has no type"), "%s: %s", name, text);
    }
    ck_assert_uint_eq(has, 29);
    ck_assert_uint_eq(has_not, 13);
    static const uint8_t codes[] = {COLTYPE_TINY,      COLTYPE_SHORT,      COLTYPE_INT24,  COLTYPE_LONG,
                                    COLTYPE_LONGLONG,  COLTYPE_NEWDECIMAL, COLTYPE_FLOAT,  COLTYPE_DOUBLE,
                                    COLTYPE_BIT,       COLTYPE_YEAR,       COLTYPE_DATE,   COLTYPE_TIME2,
                                    COLTYPE_DATETIME2, COLTYPE_TIMESTAMP2, COLTYPE_STRING, COLTYPE_VARCHAR,
                                    COLTYPE_BLOB,      COLTYPE_ENUM,       COLTYPE_SET,    COLTYPE_JSON,
                                    COLTYPE_GEOMETRY,  COLTYPE_VECTOR};
    for (size_t i = 0; i < ARRAY_LEN(codes); i++)
        ck_assert_msg(wire[codes[i]], "no type writes code %u", codes[i]);
}
END_TEST

/* Every collation of either family: TiDB has it, has one near it, or the column is refused by its name. */
START_TEST(test_tidb_answers_for_every_collation)
{
    static const char *const all[] = {
#define X(family, id, charset, collation) #collation,
#include "model/collation.def"
#undef X
    };
    static const char *const tidb_has[] = {
#define TIDB_COLLATION(n) " COLLATE " #n " ",
#include "model/tidb.def"
    };
    unsigned as_is = 0, refused = 0;
    for (size_t i = 0; i < ARRAY_LEN(all); i++) {
        Col cols[] = {INT_("a"), VARCHAR_("b", 10, all[i], 40)};
        ErrCode code;
        const char *text = create(COLS(cols), pk_a, (CreateOpts){.target_is_tidb = true}, &code);
        bool known = false;
        for (size_t j = 0; j < ARRAY_LEN(tidb_has); j++)
            known = known || strstr(text, tidb_has[j]);
        if (code == ERR_NONE) {
            ck_assert_msg(known || str_eqc(STR("binary"), all[i]), "%s: %s", all[i], text);
            as_is += !strstr(text, " became ");
            continue;
        }
        refused++;
        ck_assert_int_eq(code, ERR_TRACK_TARGET);
        ck_assert_msg(strstr(text, "no collation") && strstr(text, all[i]), "%s: %s", all[i], text);
    }
    ck_assert_uint_ge(as_is, ARRAY_LEN(tidb_has));
    ck_assert_uint_gt(refused, 0);
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("schema_json");
    TCase *t = tcase_create("schema_json");
    tcase_add_test(t, test_round_trip);
    tcase_add_test(t, test_broken_json);
    tcase_add_test(t, test_differences);
    tcase_add_test(t, test_now_is_spelled_in_two_ways);
    tcase_add_test(t, test_create);
    tcase_add_test(t, test_create_elsewhere);
    tcase_add_test(t, test_create_native_types);
    tcase_add_test(t, test_tidb_answers_for_every_type);
    tcase_add_test(t, test_tidb_answers_for_every_collation);
    suite_add_tcase(s, t);
    return s;
}
UNIT_MAIN(suite)
