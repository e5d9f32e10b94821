/* Table maps made of definitions against those that servers logged, and what is refused. */
#include "unit.h"
#include "decode/fixture.h"
#include "decode/event.h"
#include "model/charset.h"
#include "track/schema_map.h"

enum { MAGIC = 4 };

/* The first table map of table t in the fixture. */
static TableMap *logged_map(Arena *arena, const char *name)
{
    StrBuf file CLEANUP(sb_done) = fixture_read(name, ".binlog");
    TableMap *map = NULL;
    FormatDescription fmt;
    Err err = {0};
    for (size_t at = MAGIC; at < file.len && !map;) {
        uint32_t size;
        EventHeader h;
        Str body;
        memcpy(&size, file.ptr + at + 9, sizeof size);
        Str event = str_make(file.ptr + at, size);
        if (at == MAGIC) ck_assert(event_format_description(event, arena, &fmt, &err));
        ck_assert(event_split(event, fmt.checksum_crc32, &h, &body, &err));
        at += size;
        if (h.type != EVENT_TABLE_MAP) continue;
        map = arena_new(arena, TableMap);
        ck_assert(event_table_map(&fmt, body, arena, map, &err));
        if (!str_eqc(map->name.table, "t")) map = NULL;
    }
    ck_assert_msg(map != NULL, "%s has no map", name);
    return map;
}

static uint64_t parameter(Str type, unsigned n)
{
    uint64_t v = 0;
    Str rest = type;
    (void)str_split(&rest, '(');
    rest = str_split(&rest, ')');
    for (; n > 0; n--)
        (void)str_split(&rest, ',');
    return str_to_u64(str_split(&rest, ','), &v) ? v : 0;
}

/* As information_schema gives them, from COLUMN_TYPE. */
static void numbers_of(ColumnDef *c, Arena *arena)
{
    static const struct {
        const char *type;
        uint64_t length;
    } blobs[] = {{"tinytext", 255}, {"text", 65535}, {"tinyblob", 255}, {"blob", 65535}};
    Str t = c->data_type;
    c->is_unsigned = str_find(c->column_type, STR(" unsigned")) != SIZE_MAX;
    if (str_eqc(t, "decimal")) {
        c->precision = (uint32_t)parameter(c->column_type, 0);
        c->scale = (uint32_t)parameter(c->column_type, 1);
    } else if (str_eqc(t, "bit")) {
        c->precision = (uint32_t)parameter(c->column_type, 0);
    } else if (str_eqc(t, "time") || str_eqc(t, "datetime") || str_eqc(t, "timestamp")) {
        c->fsp = (uint32_t)parameter(c->column_type, 0);
    } else if (str_eqc(t, "enum") || str_eqc(t, "set")) { /* the lists hold no comma inside a member */
        Str rest = c->column_type;
        for (; rest.len; c->n_members++)
            (void)str_split(&rest, ',');
        c->members = arena_array(arena, Str, c->n_members);
    } else {
        c->char_length = parameter(c->column_type, 0);
        for (size_t i = 0; i < ARRAY_LEN(blobs); i++)
            if (str_eqc(t, blobs[i].type)) c->char_length = blobs[i].length;
    }
}

static ColumnDef definition(Arena *arena, Flavor flavor, const Str *cells)
{
    ColumnDef c = {.name = cells[0], .column_type = cells[1], .not_null = str_eqc(cells[2], "NO")};
    size_t end = 0;
    uint64_t id;
    while (end < c.column_type.len && c.column_type.ptr[end] >= 'a' && c.column_type.ptr[end] <= 'z')
        end++;
    c.data_type = str_make(c.column_type.ptr, end);
    c.invisible = str_find(cells[3], STR("INVISIBLE")) != SIZE_MAX;
    if (cells[4].ptr) {
        ck_assert(str_to_u64(cells[4], &id));
        const Collation *k = charset_by_collation_id(flavor, (uint32_t)id);
        ck_assert(k != NULL);
        c.collation = k->name;
        c.charset = k->charset->name;
    }
    numbers_of(&c, arena);
    return c;
}

static TableSchema *definition_of(Arena *arena, const char *name, Flavor flavor)
{
    StrBuf file = fixture_read(name, ".columns.tsv");
    Str lines = arena_str(arena, sb_view(&file));
    TableSchema *s = arena_new(arena, TableSchema);
    sb_done(&file);
    s->name = (TableName){STR("f"), STR("t")};
    s->columns = arena_array(arena, ColumnDef, 64);
    (void)str_split(&lines, '\n');
    while (lines.len) {
        Str line = str_split(&lines, '\n'), cells[5];
        for (unsigned i = 0; i < 5; i++)
            cells[i] = fixture_cell(arena, str_split(&line, '\t'));
        ck_assert_uint_lt(s->n_columns, 64);
        s->columns[s->n_columns++] = definition(arena, flavor, cells);
    }
    return s;
}

static void compare(const char *name, const TableMap *want, const TableMap *got)
{
    ck_assert_uint_eq(want->n_columns, got->n_columns);
    ck_assert(got->has_names);
    for (uint32_t i = 0; i < want->n_columns; i++) {
        const MapColumn *a = &want->columns[i], *b = &got->columns[i];
        bool same = a->type == b->type && a->meta == b->meta && a->nullable == b->nullable &&
                    a->has_sign == b->has_sign && a->is_unsigned == b->is_unsigned;
        if (want->has_names)
            same =
                same && a->collation == b->collation && a->visible == b->visible && str_eq(a->name, b->name);
        ck_assert_msg(
            same,
            "%s column " STR_FMT ": logged type %u meta %04x null %d sign %d %d collation %u visible %d, "
            "made %u %04x %d %d %d %u %d",
            name, STR_ARG(b->name), a->type, a->meta, a->nullable, a->has_sign, a->is_unsigned, a->collation,
            a->visible, b->type, b->meta, b->nullable, b->has_sign, b->is_unsigned, b->collation, b->visible);
    }
}

static const char *const names[] = {
    "mariadb_bits",        "mariadb_charsets",       "mariadb_decimals",
    "mariadb_enums",       "mariadb_enums_minimal",  "mariadb_floats",
    "mariadb_images",      "mariadb_integers",       "mariadb_integers_minimal",
    "mariadb_strings",     "mariadb_temporals",      "mysql_bits",
    "mysql_charsets",      "mysql_decimals",         "mysql_enums",
    "mysql_enums_minimal", "mysql_floats",           "mysql_images",
    "mysql_integers",      "mysql_integers_minimal", "mysql_strings",
    "mysql_temporals",
};

START_TEST(as_logged)
{
    const char *name = names[_i];
    Flavor flavor = strncmp(name, "mysql", 5) == 0 ? FLAVOR_MYSQL : FLAVOR_MARIADB;
    Arena arena = {0};
    Err err = {0};
    TableMap *want = logged_map(&arena, name), *got;
    TableSchema *s = definition_of(&arena, name, flavor);
    ck_assert_msg(schema_table_map(s, flavor, &arena, &got, &err), "%s: %s", name, err.message);
    compare(name, want, got);
    arena_done(&arena);
}
END_TEST

static TableSchema *one_column(Arena *arena, ColumnDef c)
{
    TableSchema *s = arena_new(arena, TableSchema);
    s->name = (TableName){STR("db"), STR("tab")};
    s->n_columns = 1;
    s->columns = arena_new(arena, ColumnDef);
    s->columns[0] = c;
    return s;
}

START_TEST(json_is_text)
{
    Arena arena = {0};
    Err err = {0};
    TableMap *map;
    TableSchema *s = one_column(
        &arena, (ColumnDef){.name = STR("j"), .data_type = STR("json"), .column_type = STR("json")});
    ck_assert(schema_table_map(s, FLAVOR_MYSQL, &arena, &map, &err));
    ck_assert_uint_eq(map->columns[0].type, COLTYPE_BLOB);
    ck_assert_uint_eq(map->columns[0].meta, 4);
    const Collation *k = charset_by_collation_id(FLAVOR_MYSQL, map->columns[0].collation);
    ck_assert(str_eqc(k->charset->name, "utf8mb4"));
    arena_done(&arena);
}
END_TEST

START_TEST(old_temporals)
{
    static const char *const marks[] = {" /* mariadb-5.3 */", " /* 5.5 binary format */"};
    static const struct {
        const char *type;
        uint8_t wire;
    } types[] = {{"time", COLTYPE_TIME}, {"datetime", COLTYPE_DATETIME}, {"timestamp", COLTYPE_TIMESTAMP}};
    for (size_t m = 0; m < ARRAY_LEN(marks); m++) {
        for (size_t i = 0; i < ARRAY_LEN(types); i++) {
            Arena arena = {0};
            Err err = {0};
            TableMap *map;
            ColumnDef c = {.name = STR("t"), .data_type = str_of(types[i].type)};
            c.column_type = arena_printf(&arena, "%s%s", types[i].type, marks[m]);
            ck_assert(schema_table_map(one_column(&arena, c), FLAVOR_MARIADB, &arena, &map, &err));
            ck_assert(map->columns[0].type == types[i].wire && map->columns[0].meta == 0);
            c.fsp = 3;
            ck_assert(!schema_table_map(one_column(&arena, c), FLAVOR_MARIADB, &arena, &map, &err));
            ck_assert_int_eq(err.code, ERR_NOT_SUPPORTED);
            ck_assert(strstr(err_remedy(&err), "FORCE") != NULL);
            err_clear(&err);
            arena_done(&arena);
        }
    }
}
END_TEST

static const struct {
    const char *data_type, *column_type, *charset;
    uint64_t length;
} refused[] = {
    {"made_up", "made_up(3)", "", 0},
    {"varchar", "varchar(10)", "klingon", 10},
    {"varchar", "varchar(70000)", "utf8mb4", 70000},
};

START_TEST(refusals)
{
    Arena arena = {0};
    Err err = {0};
    TableMap *map;
    ColumnDef c = {.name = STR("c"),
                   .data_type = str_of(refused[_i].data_type),
                   .column_type = str_of(refused[_i].column_type),
                   .charset = str_of(refused[_i].charset),
                   .char_length = refused[_i].length};
    ck_assert(!schema_table_map(one_column(&arena, c), FLAVOR_MARIADB, &arena, &map, &err));
    ck_assert_int_eq(err.code, ERR_NOT_SUPPORTED);
    ck_assert_msg(strstr(err.message, "db.tab") && strstr(err.message, "`c`"), "%s", err.message);
    err_clear(&err);
    arena_done(&arena);
}
END_TEST

/* MySQL's maps say which columns are invisible, MariaDB's do not; the key's columns in its order. */
START_TEST(visibility_and_key)
{
    static const KeyPart parts[] = {{.column = 1}, {.column = 0, .prefix = 5}};
    static const KeyDef key = {
        .name = {"PRIMARY", 7}, .primary = true, .parts = (KeyPart *)(uintptr_t)parts, .n_parts = 2};
    ColumnDef columns[] = {
        {.name = STR("a"), .data_type = STR("int"), .column_type = STR("int"), .not_null = true},
        {.name = STR("b"),
         .data_type = STR("int"),
         .column_type = STR("int"),
         .not_null = true,
         .invisible = true},
    };
    KeyDef keys[] = {key};
    TableSchema s = {
        .name = {STR("d"), STR("t")}, .columns = columns, .n_columns = 2, .keys = keys, .n_keys = 1};
    Flavor flavor = _i ? FLAVOR_MYSQL : FLAVOR_MARIADB;
    Arena arena = {0};
    Err err = {0};
    TableMap *map;
    ck_assert(schema_table_map(&s, flavor, &arena, &map, &err));
    ck_assert(map->columns[0].visible && map->columns[1].visible == (flavor == FLAVOR_MARIADB));
    ck_assert(map->n_key_columns == 2 && map->key_columns[0] == 1 && map->key_columns[1] == 0);
    s.is_view = true;
    ck_assert(!schema_table_map(&s, flavor, &arena, &map, &err));
    ck_assert_int_eq(err.code, ERR_NOT_SUPPORTED);
    err_clear(&err);
    arena_done(&arena);
}
END_TEST

static Suite *map_suite(void)
{
    Suite *s = suite_create("track/schema_map");
    TCase *t = tcase_create("maps");
    tcase_add_loop_test(t, as_logged, 0, ARRAY_LEN(names));
    tcase_add_test(t, json_is_text);
    tcase_add_test(t, old_temporals);
    tcase_add_loop_test(t, refusals, 0, ARRAY_LEN(refused));
    tcase_add_loop_test(t, visibility_and_key, 0, 2);
    suite_add_tcase(s, t);
    return s;
}

UNIT_MAIN(map_suite)
