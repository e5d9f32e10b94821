#include "track/schema_recall.h"
#include "model/charset.h"
#include "model/coltype.h"
#include "track/ddl_tables.h"
#include "track/family.h"
#include "unit.h"
#include "base/poison.h"

/* What the server's binlog says of the table's columns. */
static TableMap map_of(const TableSchema *t, Arena *arena)
{
    TableMap m = {.name = t->name, .n_columns = t->n_columns, .has_names = true};
    m.columns = arena_array(arena, MapColumn, t->n_columns + 1);
    for (uint32_t i = 0; i < t->n_columns; i++) {
        const ColumnDef *c = &t->columns[i];
        MapColumn *out = &m.columns[i];
        uint8_t size;
        ck_assert(family_wire(c, &out->type, &size));
        out->name = c->name;
        out->nullable = !c->not_null;
        out->has_sign = true;
        out->is_unsigned = c->is_unsigned;
        out->visible = !c->invisible;
        out->members = c->members;
        out->n_members = c->n_members;
        const Collation *coll = charset_collation_by_name(c->collation.len ? c->collation : STR("binary"));
        ck_assert_ptr_nonnull(coll);
        out->collation = coll->id;
        switch (family_of(c)) {
        case FAMILY_DECIMAL: out->meta = (uint16_t)(c->precision << 8 | c->scale); break;
        case FAMILY_BIT: out->meta = (uint16_t)(c->precision / 8 << 8 | c->precision % 8); break;
        case FAMILY_TIME:
        case FAMILY_DATETIME:
        case FAMILY_TIMESTAMP: out->meta = (uint16_t)c->fsp; break;
        case FAMILY_TEXT:
        case FAMILY_BINARY:
            out->meta =
                out->type == COLTYPE_BLOB ? size : (uint16_t)(c->char_length * coll->charset->max_len);
            break;
        default: break;
        }
    }
    const KeyDef *key = schema_primary(t);
    m.n_key_columns = key ? key->n_parts : 0;
    m.key_columns = arena_array(arena, uint32_t, m.n_key_columns + 1);
    for (uint32_t i = 0; i < m.n_key_columns; i++)
        m.key_columns[i] = key->parts[i].column;
    return m;
}

typedef struct Case {
    const char *table, *sql[4];
} Case;

/* The definition behind the statements, and the map before them: is the definition before them found again?
 */
static bool recalled(const Case *c, Flavor flavor)
{
    ApplyContext ctx = ddl_context(flavor);
    Arena arena = {0};
    TableSchema *before = ddl_table(c->table, &ctx), *now = schema_copy(before), *after;
    DdlStmt *stmts[4];
    size_t n = 0;
    TableMap map = map_of(before, &arena);
    for (; n < 4 && c->sql[n]; n++) {
        DdlContext parse = {.flavor = flavor, .version = ctx.version, .default_schema = STR("db")};
        SchemaStep *step;
        Err err = {0};
        ck_assert_msg(ddl_parse(str_of(c->sql[n]), &parse, &arena, &stmts[n], &err), "%s", err.message);
        ck_assert_msg(ddl_run(now, c->sql[n], &ctx, &after, &step, &err), "%s: %s", c->sql[n], err.message);
        schema_step_free(step);
        schema_free(now);
        now = after;
    }
    TableSchema *back = schema_recall(now, (const DdlStmt *const *)stmts, n, &map, &ctx);
    bool same = back && schema_same_fingerprint(back, before);
    schema_free(back);
    schema_free(now);
    schema_free(before);
    arena_done(&arena);
    return same;
}

static const Case known[] = {
    {"CREATE TABLE t (id BIGINT PRIMARY KEY, a INT)", {"ALTER TABLE t DROP COLUMN a"}},
    {"CREATE TABLE t (id BIGINT PRIMARY KEY, a INT UNSIGNED NOT NULL, b VARCHAR(20))",
     {"ALTER TABLE t MODIFY a BIGINT UNSIGNED NOT NULL, ADD c INT FIRST", "ALTER TABLE t DROP b"}},
    {"CREATE TABLE t (id BIGINT PRIMARY KEY, a INT, b INT)",
     {"ALTER TABLE t CHANGE a b BIGINT, CHANGE b a INT"}},
    {"CREATE TABLE t (id BIGINT PRIMARY KEY, a INT)",
     {"ALTER TABLE t ADD KEY k (a)", "ALTER TABLE t MODIFY a BIGINT"}},
    {"CREATE TABLE t (id BIGINT PRIMARY KEY, a INT, KEY k (a))",
     {"ALTER TABLE t RENAME INDEX k TO l, MODIFY a INT NOT NULL"}},
    {"CREATE TABLE t (id BIGINT PRIMARY KEY, a VARCHAR(10) CHARACTER SET latin1 COLLATE latin1_bin, b "
     "VARBINARY(9), "
     "c CHAR(3) NOT NULL, d MEDIUMTEXT, e BLOB, f DECIMAL(12,3) NOT NULL, g DATETIME(3), h TIME, i YEAR, j "
     "DATE, "
     "k ENUM('a','b''c'), l BIT(11), m DOUBLE, n TINYINT UNSIGNED, o BINARY(7), p SET('x','y'), q TINYBLOB)",
     {"ALTER TABLE t DROP a, DROP b, DROP c, DROP d", "ALTER TABLE t DROP e, DROP f, DROP g, DROP h, DROP i",
      "ALTER TABLE t DROP j, DROP k, DROP l, DROP m, DROP n, DROP o", "ALTER TABLE t DROP p, DROP q"}},
    {"CREATE TABLE t (id BIGINT PRIMARY KEY, e ENUM('a','b'), s SET('x','y'))",
     {"ALTER TABLE t MODIFY e ENUM('b','a')", "ALTER TABLE t MODIFY s SET('y','x')"}},
    {"CREATE TABLE t (id BIGINT PRIMARY KEY, a TEXT CHARACTER SET latin1)",
     {"ALTER TABLE t MODIFY a TEXT CHARACTER SET utf8mb4"}},
    {"CREATE TABLE t (id BIGINT, a INT, PRIMARY KEY (id, a))",
     {"ALTER TABLE t ADD b INT AFTER id", "ALTER TABLE t ALTER b SET DEFAULT 5"}},
};

START_TEST(columns_that_the_binlog_names_are_found_again)
{
    ck_assert_msg(recalled(&known[_i], FLAVOR_MYSQL), "MySQL: %s", known[_i].sql[0]);
    ck_assert_msg(recalled(&known[_i], FLAVOR_MARIADB), "MariaDB: %s", known[_i].sql[0]);
}
END_TEST

/* Nothing, or what does not lead to the present definition: an index that went, a default that went, a type
 * that can be one of two, another primary key. */
static const Case lost[] = {
    {"CREATE TABLE t (id BIGINT PRIMARY KEY, a INT, KEY k (a))", {"ALTER TABLE t DROP INDEX k"}},
    {"CREATE TABLE t (id BIGINT PRIMARY KEY, a INT DEFAULT 5)", {"ALTER TABLE t DROP COLUMN a"}},
    {"CREATE TABLE t (id BIGINT PRIMARY KEY, a INT NOT NULL)",
     {"ALTER TABLE t DROP PRIMARY KEY, ADD PRIMARY KEY (id, a)"}},
};

START_TEST(what_the_binlog_does_not_name_is_not_found)
{
    ck_assert_msg(!recalled(&lost[_i], FLAVOR_MYSQL), "%s", lost[_i].sql[0]);
}
END_TEST

START_TEST(a_type_that_can_be_one_of_two)
{
    const Case uuid = {"CREATE TABLE t (id BIGINT PRIMARY KEY, a BINARY(16))",
                       {"ALTER TABLE t DROP COLUMN a"}};
    ck_assert(recalled(&uuid, FLAVOR_MYSQL));
    ck_assert(!recalled(&uuid, FLAVOR_MARIADB)); /* UUID looks like it */
}
END_TEST

START_TEST(without_names_nothing)
{
    ApplyContext ctx = ddl_context(FLAVOR_MYSQL);
    Arena arena = {0};
    TableSchema *t = ddl_table("CREATE TABLE t (id BIGINT PRIMARY KEY, a INT)", &ctx);
    TableMap map = map_of(t, &arena);
    map.has_names = false;
    ck_assert_ptr_null(schema_recall(t, NULL, 0, &map, &ctx));
    arena_done(&arena);
    schema_free(t);
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("track/schema_recall");
    TCase *c = tcase_create("recall");
    tcase_add_loop_test(c, columns_that_the_binlog_names_are_found_again, 0, ARRAY_LEN(known));
    tcase_add_loop_test(c, what_the_binlog_does_not_name_is_not_found, 0, ARRAY_LEN(lost));
    tcase_add_test(c, a_type_that_can_be_one_of_two);
    tcase_add_test(c, without_names_nothing);
    suite_add_tcase(s, c);
    return s;
}

UNIT_MAIN(suite)
