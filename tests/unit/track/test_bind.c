#include <stdio.h>
#include "tables.h"
#include "track/map_check.h"
#include "unit.h"

static const char *const pk_a[] = {"PRIMARY:a", NULL};

/* Binds shard (with its map, changed by `bend` first) to target; the error's code, or ERR_NONE. */
typedef struct Attempt {
    const Col *target;
    size_t n_target;
    const char *const *target_keys;
    const Col *shard;
    size_t n_shard;
    void (*bend)(TableMap *map, TableSchema *shard);
    BindOpts opts;
    ErrCode code;    /* answer */
    char text[1024]; /* message and remedy */
} Attempt;

static void attempt(Attempt *a)
{
    Err err = {0};
    Target *t = NULL;
    Binding *b = NULL;
    TableSchema *ts = table("merged", a->target, a->n_target, a->target_keys ? a->target_keys : pk_a);
    TableSchema *ss = table("shard", a->shard, a->n_shard, pk_a);
    TableMap *map = map_of(ss, a->shard);
    if (a->bend) a->bend(map, ss);
    ck_assert(target_new(0, ts, &t, &err));
    Member m = {.name = ss->name, .target = t};
    a->opts.source_flavor = a->opts.source_flavor ? a->opts.source_flavor : FLAVOR_MARIADB;
    bool ok = binding_new(&m, map, ss, &a->opts, &b, &err);
    ck_assert(ok == (b != NULL));
    a->code = err.code;
    snprintf(a->text, sizeof a->text, "%s / %s", err.message ? err.message : "", ok ? "" : err_remedy(&err));
    err_clear(&err);
    binding_free(b);
    target_free(t);
    schema_free(ts);
    schema_free(ss);
}

static Attempt pair(Col target, Col shard)
{
    Col t[] = {INT_("a"), target}, s[] = {INT_("a"), shard};
    Attempt a = {.target = t, .n_target = 2, .shard = s, .n_shard = 2};
    attempt(&a);
    return a;
}

#define INT(type_, wire_, u) ((Col){.name = "c", .type = (type_), .wire = (wire_), .is_unsigned = (u)})
#define DEC(p, s)                                                                                            \
    ((Col){.name = "c",                                                                                      \
           .type = "decimal(" #p "," #s ")",                                                                 \
           .wire = COLTYPE_NEWDECIMAL,                                                                       \
           .meta = (p) << 8 | (s),                                                                           \
           .precision = (p),                                                                                 \
           .scale = (s)})
#define DT(f)                                                                                                \
    ((Col){.name = "c", .type = "datetime(" #f ")", .wire = COLTYPE_DATETIME2, .meta = (f), .fsp = (f)})
#define VC(n, coll, per)                                                                                     \
    ((Col){.name = "c",                                                                                      \
           .type = "varchar(" #n ")",                                                                        \
           .wire = COLTYPE_VARCHAR,                                                                          \
           .length = (n),                                                                                    \
           .collation = (coll),                                                                              \
           .meta = (n) * (per)})
#define CH(n, coll, per)                                                                                     \
    ((Col){.name = "c",                                                                                      \
           .type = "char(" #n ")",                                                                           \
           .wire = COLTYPE_STRING,                                                                           \
           .length = (n),                                                                                    \
           .collation = (coll),                                                                              \
           .meta = (n) * (per)})
#define TX(type_, len, coll, m)                                                                              \
    ((Col){.name = "c",                                                                                      \
           .type = (type_),                                                                                  \
           .wire = COLTYPE_BLOB,                                                                             \
           .length = (len),                                                                                  \
           .collation = (coll),                                                                              \
           .meta = (m)})
#define BI(n)                                                                                                \
    ((Col){.name = "c", .type = "binary(" #n ")", .wire = COLTYPE_STRING, .length = (n), .meta = (n)})
#define VB(n)                                                                                                \
    ((Col){.name = "c", .type = "varbinary(" #n ")", .wire = COLTYPE_VARCHAR, .length = (n), .meta = (n)})
#define EN(...)                                                                                              \
    ((Col){.name = "c",                                                                                      \
           .type = "enum(…)",                                                                                \
           .wire = COLTYPE_ENUM,                                                                             \
           .meta = 1,                                                                                        \
           .collation = "utf8mb4_bin",                                                                       \
           .members = {__VA_ARGS__}})
#define FL ((Col){.name = "c", .type = "float", .wire = COLTYPE_FLOAT, .meta = 4})
#define FLMD ((Col){.name = "c", .type = "float(7,3)", .wire = COLTYPE_FLOAT, .meta = 4})
#define DB ((Col){.name = "c", .type = "double", .wire = COLTYPE_DOUBLE, .meta = 8})
#define SP(type_) ((Col){.name = "c", .type = (type_), .wire = COLTYPE_GEOMETRY, .meta = 4})
#define VE(type_) ((Col){.name = "c", .type = (type_), .wire = COLTYPE_VECTOR, .meta = 4})
#define NA(type_, n) ((Col){.name = "c", .type = (type_), .wire = COLTYPE_STRING, .meta = (n)})
#define JS ((Col){.name = "c", .type = "json", .wire = COLTYPE_JSON, .meta = 4})
#define BT(n)                                                                                                \
    ((Col){.name = "c",                                                                                      \
           .type = "bit(" #n ")",                                                                            \
           .wire = COLTYPE_BIT,                                                                              \
           .meta = (n) / 8 << 8 | (n) % 8,                                                                   \
           .precision = (n)})

START_TEST(test_what_fits)
{
    Col i1 = INT("tinyint(4)", COLTYPE_TINY, false), i4 = INT("int(11)", COLTYPE_LONG, false);
    Col i8 = INT("bigint(20)", COLTYPE_LONGLONG, false), u4 = INT("int(10) unsigned", COLTYPE_LONG, true);
    Col u8 = INT("bigint(20) unsigned", COLTYPE_LONGLONG, true);
    Col y = {.name = "c", .type = "year(4)", .wire = COLTYPE_YEAR},
        d = {.name = "c", .type = "date", .wire = COLTYPE_DATE};
    Col ts = {.name = "c", .type = "timestamp", .wire = COLTYPE_TIMESTAMP2};
    Col null4 = i4;
    null4.null = true;
    const struct {
        Col target, shard;
        bool fits;
    } cases[] = {
        {i8, i4, true},
        {i4, i8, false},
        {i4, i1, true},
        {u4, i4, false},
        {i4, u4, false},
        {i8, u4, true},
        {i8, u8, false},
        {u8, u4, true},
        {null4, i4, true},
        {i4, null4, false},
        {y, y, true},
        {i4, y, false},
        {DEC(10, 0), i4, true},
        {DEC(9, 0), i4, false},
        {DEC(20, 0), u8, true},
        {DEC(12, 2), DEC(10, 2), true},
        {DEC(10, 2), DEC(10, 3), false},
        {DEC(10, 3), DEC(10, 2), false},
        {i8, DEC(10, 0), false},
        {DT(6), DT(3), true},
        {DT(3), DT(6), false},
        {DT(0), d, true},
        {d, DT(0), false},
        {DT(0), ts, false},
        {ts, DT(0), false},
        {VC(20, "utf8mb4_bin", 4), VC(10, "utf8mb3_bin", 3), true},
        {VC(10, "utf8mb4_bin", 4), VC(20, "utf8mb4_bin", 4), false},
        {VC(20, "utf8mb3_bin", 3), VC(10, "utf8mb4_bin", 4), false},
        {VC(20, "utf8mb4_bin", 4), VC(10, "latin1_swedish_ci", 1), true},
        {VC(20, "latin1_swedish_ci", 1), VC(10, "utf8mb4_bin", 4), false},
        {VC(20, "latin1_bin", 1), VC(20, "latin2_bin", 1), false},
        {VC(20, "utf8mb3_bin", 3), VC(20, "latin2_bin", 1), true},
        {VC(20, "latin1_bin", 1), VC(20, "ascii_bin", 1), true},
        {VC(10, "utf8mb4_bin", 4), CH(10, "utf8mb4_bin", 4), true},
        {CH(10, "utf8mb4_bin", 4), VC(10, "utf8mb4_bin", 4), false},
        {TX("text", 65535, "utf8mb4_bin", 2), VC(10, "utf8mb4_bin", 4), true},
        {VC(10, "utf8mb4_bin", 4), TX("text", 65535, "utf8mb4_bin", 2), false},
        {TX("longtext", 4294967295, "utf8mb4_bin", 4), TX("text", 65535, "utf8mb4_bin", 2), true},
        {TX("text", 65535, "utf8mb4_bin", 2), TX("longtext", 4294967295, "utf8mb4_bin", 4), false},
        {TX("tinytext", 255, "utf8mb4_bin", 1), VC(64, "utf8mb4_bin", 4), false},
        {TX("blob", 65535, NULL, 2), TX("text", 65535, "utf8mb4_bin", 2), false},
        {VB(10), BI(10), true},
        {BI(10), VB(10), false},
        {BI(12), BI(10), false},
        {BI(10), BI(10), true},
        {VB(9), VB(10), false},
        {TX("blob", 65535, NULL, 2), VB(10), true},
        {EN("x", "y"), EN("y"), true},
        {EN("x"), EN("x", "y"), false},
        {VC(2, "utf8mb4_bin", 4), EN("xy"), true},
        {VC(1, "utf8mb4_bin", 4), EN("xy"), false},
        {EN("x"), VC(1, "utf8mb4_bin", 4), false},
        {DB, FL, true},
        {FL, DB, false},
        {FLMD, FL, false},
        {FLMD, FLMD, true},
        {FL, FLMD, true},
        {JS, JS, true},
        {TX("longtext", 4294967295, "utf8mb4_bin", 4), JS, true},
        {JS, TX("longtext", 4294967295, "utf8mb4_bin", 4), true},
        {JS, VC(10, "utf8mb4_bin", 4), false},
        {SP("geometry"), SP("point"), true},
        {SP("point"), SP("geometry"), false},
        {SP("geometrycollection"), SP("geomcollection"), true},
        {SP("polygon"), SP("point"), false},
        {TX("longblob", 4294967295, NULL, 4), SP("point"), true},
        {TX("mediumblob", 16777215, NULL, 3), SP("point"), false},
        {TX("longtext", 4294967295, "utf8mb4_bin", 4), SP("point"), false},
        {VE("vector(3)"), VE("vector(3)"), true},
        {VE("vector(4)"), VE("vector(3)"), false},
        {VE("vector(2048)"), VE("vector"), true},
        {VB(12), VE("vector(3)"), true},
        {VB(11), VE("vector(3)"), false},
        {NA("uuid", 16), NA("uuid", 16), true},
        {NA("inet6", 16), NA("inet6", 16), true},
        {NA("inet6", 16), NA("inet4", 4), false},
        {NA("inet4", 4), NA("inet4", 4), true},
        {BI(16), NA("uuid", 16), true},
        {BI(20), NA("uuid", 16), false},
        {VB(16), NA("inet6", 16), true},
        {VB(3), NA("inet4", 4), false},
        {CH(36, "ascii_bin", 1), NA("uuid", 16), true},
        {CH(35, "ascii_bin", 1), NA("uuid", 16), false},
        {VC(39, "utf8mb4_bin", 4), NA("inet6", 16), true},
        {VC(38, "utf8mb4_bin", 4), NA("inet6", 16), false},
        {VC(15, "latin1_bin", 1), NA("inet4", 4), true},
        {NA("uuid", 16), CH(36, "ascii_bin", 1), false},
        {BT(12), BT(8), true},
        {BT(8), BT(12), false},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        Attempt a = pair(cases[i].target, cases[i].shard);
        ck_assert_msg(a.code == (cases[i].fits ? ERR_NONE : ERR_TRACK_TARGET), "case %zu, %s ← %s: %s", i,
                      cases[i].target.type, cases[i].shard.type, a.text);
        if (!cases[i].fits)
            ck_assert_msg(strstr(a.text, "ALTER TABLE `db`.`merged` MODIFY COLUMN `c`"), "%s", a.text);
    }
}
END_TEST

START_TEST(test_unsupported_types)
{
    Col odd = {.name = "c", .type = "xmltype", .wire = COLTYPE_STRING};
    Attempt x = pair(odd, odd);
    ck_assert_int_eq(x.code, ERR_NOT_SUPPORTED);
    ck_assert_msg(strstr(x.text, "xmltype") && strstr(x.text, "leave the table out"), "%s", x.text);
    /* the definition looks fine, the binlog tells */
    static const struct {
        uint8_t wire;
        const char *says;
    } wires[] = {{COLTYPE_DECIMAL_OLD, "before MySQL 5.0"}, {COLTYPE_VAR_STRING, "before MySQL 5.0"}};
    for (size_t i = 0; i < ARRAY_LEN(wires); i++) {
        Col shard = VC(10, "utf8mb4_bin", 4), target = shard;
        shard.wire = wires[i].wire;
        Attempt a = pair(target, shard);
        ck_assert_int_eq(a.code, ERR_NOT_SUPPORTED);
        ck_assert_msg(strstr(a.text, wires[i].says) && strstr(a.text, "`c`"), "%s", a.text);
    }
    /* what is not written may be of any type */
    Col filled = VC(10, "utf8mb4_bin", 4);
    filled.generated = true;
    ck_assert_int_eq(pair(filled, odd).code, ERR_NONE);
}
END_TEST

/* COMPRESSED columns as the binlog has them, and as copied rows have them. */
START_TEST(test_compressed_wire)
{
    Col target = VC(100, "utf8mb4_bin", 4), shard = target;
    shard.type = "varchar(100) /*M!100301 COMPRESSED*/";
    ck_assert_int_eq(pair(target, shard).code, ERR_NONE);
    shard.wire = COLTYPE_VARCHAR_COMPRESSED;
    shard.meta = 401;
    ck_assert_int_eq(pair(target, shard).code, ERR_NONE);
    shard.meta = 400;
    ck_assert_int_eq(pair(target, shard).code, ERR_TRACK_MISMATCH);
    shard.meta = 401;
    shard.type = "varchar(100)";
    ck_assert_int_eq(pair(target, shard).code, ERR_TRACK_MISMATCH);
    Col blob = TX("blob", 65535, NULL, 2), packed = blob;
    packed.type = "blob /*M!100301 COMPRESSED*/";
    packed.wire = COLTYPE_BLOB_COMPRESSED;
    ck_assert_int_eq(pair(blob, packed).code, ERR_NONE);
}
END_TEST

/* What only some servers have: the remedy says what takes the values elsewhere. */
START_TEST(test_remedies_for_native_types)
{
    static const struct {
        const char *type;
        uint8_t wire;
        uint16_t meta;
        const char *remedy;
    } cases[] = {{"uuid", COLTYPE_STRING, 16, "CHAR(36) CHARACTER SET ascii"},
                 {"inet6", COLTYPE_STRING, 16, "BINARY(16)"},
                 {"inet4", COLTYPE_STRING, 4, "BINARY(4)"},
                 {"polygon", COLTYPE_GEOMETRY, 4, "LONGBLOB"},
                 {"vector(4)", COLTYPE_VECTOR, 4, "BLOB"}};
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        Attempt a =
            pair(INT("int(11)", COLTYPE_LONG, false),
                 (Col){.name = "c", .type = cases[i].type, .wire = cases[i].wire, .meta = cases[i].meta});
        ck_assert_int_eq(a.code, ERR_TRACK_TARGET);
        ck_assert_msg(strstr(a.text, cases[i].remedy) != NULL, "%s", a.text);
    }
}
END_TEST

/* Rows of one table that are its history, and tables that are none. */
START_TEST(test_kinds_of_tables)
{
    Col cols[] = {INT_("a"), INT_("c")};
    TableSchema *t = table("merged", COLS(cols), pk_a), *s = table("shard", COLS(cols), pk_a);
    Target *target = NULL;
    Err err = {0};
    BindOpts opts = {.source_flavor = FLAVOR_MARIADB};
    ck_assert(target_new(0, t, &target, &err));
    ck_assert(binding_check(s->name, s, target, &opts, &err));
    s->is_versioned = true;
    ck_assert(!binding_check(s->name, s, target, &opts, &err));
    ck_assert_int_eq(err.code, ERR_NOT_SUPPORTED);
    ck_assert(strstr(err.message, "db.shard is system-versioned") &&
              strstr(err.remedy, "DROP SYSTEM VERSIONING"));
    err_clear(&err);
    s->is_versioned = false;
    s->is_sequence = true;
    ck_assert(!binding_check(s->name, s, target, &opts, &err));
    ck_assert(strstr(err.message, "is a sequence") != NULL);
    err_clear(&err);
    s->is_sequence = false;
    s->columns[1].generated = true;
    s->columns[1].generation_expr = STR("ROW END");
    ck_assert(!binding_check(s->name, s, target, &opts, &err));
    ck_assert(strstr(err.message, "system-versioned") != NULL);
    err_clear(&err);
    target_free(target);
    schema_free(s);
    schema_free(t);
}
END_TEST

START_TEST(test_sequence_maps)
{
    Col cols[8];
    static const char *const names[] = {"next_not_cached_value", "minimum_value", "maximum_value",
                                        "start_value",           "increment",     "cache_size",
                                        "cycle_option",          "cycle_count"};
    for (size_t i = 0; i < 8; i++)
        cols[i] =
            (Col){.name = names[i], .type = "bigint(21)", .wire = i == 6 ? COLTYPE_TINY : COLTYPE_LONGLONG};
    TableSchema *s = table("numbers", COLS(cols), NULL);
    TableMap *m = map_of(s, cols);
    ck_assert(map_like_sequence(m));
    m->has_names = true;
    for (size_t i = 0; i < 8; i++)
        m->columns[i].name = str_of(names[i]);
    ck_assert(map_like_sequence(m));
    m->columns[0].name = STR("id");
    ck_assert(!map_like_sequence(m));
    m->has_names = false;
    m->columns[3].nullable = true;
    ck_assert(!map_like_sequence(m));
    m->columns[3].nullable = false;
    m->n_columns = 7;
    ck_assert(!map_like_sequence(m));
    schema_free(s);
}
END_TEST

static void other_type(TableMap *m, TableSchema *s)
{
    (void)s;
    m->columns[1].type = COLTYPE_LONGLONG;
}
static void other_null(TableMap *m, TableSchema *s)
{
    (void)s;
    m->columns[1].nullable = true;
}
static void other_sign(TableMap *m, TableSchema *s)
{
    (void)s;
    m->columns[1].has_sign = m->columns[1].is_unsigned = true;
}
static void names(TableMap *m, TableSchema *s)
{
    m->has_names = true;
    for (uint32_t i = 0; i < s->n_columns; i++)
        m->columns[i].name = s->columns[i].name;
}
static void upper_names(TableMap *m, TableSchema *s)
{
    names(m, s);
    m->columns[1].name = STR("C");
}
static void other_name(TableMap *m, TableSchema *s)
{
    names(m, s);
    m->columns[1].name = STR("d");
}
static void one_more(TableMap *m, TableSchema *s)
{
    (void)s;
    m->columns[m->n_columns++] = (MapColumn){.type = COLTYPE_LONG};
}
static void one_less(TableMap *m, TableSchema *s)
{
    names(m, s);
    m->n_columns--;
}
static void row_id(TableMap *m, TableSchema *s)
{
    one_more(m, s);
    names(m, s);
    m->columns[2].name = STR("my_row_id");
}
static void row_hash(TableMap *m, TableSchema *s)
{
    m->columns[m->n_columns++] = (MapColumn){.type = COLTYPE_LONGLONG};
    names(m, s);
    m->columns[2].name = STR("DB_ROW_HASH_1");
}
static void row_hash_unnamed(TableMap *m, TableSchema *s)
{
    m->columns[m->n_columns++] = (MapColumn){.type = COLTYPE_LONGLONG};
    s->keys[s->n_keys++] =
        (KeyDef){.name = STR("long"), .unique = true, .index_type = STR("HASH"), .n_parts = 0};
}

START_TEST(test_map_against_schema)
{
    const struct {
        void (*bend)(TableMap *, TableSchema *);
        ErrCode code;
        const char *says;
    } cases[] = {
        {other_type, ERR_TRACK_MISMATCH, "the binlog has BIGINT"},
        {other_null, ERR_TRACK_MISMATCH, "NULL allowed in the binlog"},
        {other_sign, ERR_TRACK_MISMATCH, "unsigned in the binlog"},
        {names, ERR_NONE, NULL},
        {upper_names, ERR_NONE, NULL},
        {other_name, ERR_TRACK_MISMATCH, "the binlog has `d` INT"},
        {one_more, ERR_TRACK_MISMATCH, "the binlog has 3 columns, the schema known for this position 2"},
        {one_less, ERR_TRACK_MISMATCH, "the binlog has (a); the schema has (a,c)"},
        {row_id, ERR_TRACK_MISMATCH, "show_gipk_in_create_table_and_information_schema"},
        {row_hash, ERR_NONE, NULL},
        {row_hash_unnamed, ERR_NONE, NULL},
    };
    Col cols[] = {INT_("a"), INT_("c")};
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        Attempt a = {.target = cols, .n_target = 2, .shard = cols, .n_shard = 2, .bend = cases[i].bend};
        attempt(&a);
        ck_assert_msg(a.code == cases[i].code, "case %zu: %s", i, a.text);
        if (cases[i].says) ck_assert_msg(strstr(a.text, cases[i].says), "case %zu: %s", i, a.text);
    }
    Attempt a = {.target = cols,
                 .n_target = 2,
                 .shard = cols,
                 .n_shard = 2,
                 .bend = row_hash,
                 .opts = {.source_flavor = FLAVOR_MYSQL}};
    attempt(&a);
    ck_assert_int_eq(a.code, ERR_TRACK_MISMATCH);
}
END_TEST

static void latin1_map(TableMap *m, TableSchema *s)
{
    (void)s;
    m->columns[1].collation = 8;
    m->columns[1].meta = 40;
}
static void mariadb_uca(TableMap *m, TableSchema *s)
{
    (void)s;
    m->columns[1].collation = 2304; /* utf8mb4_uca1400_ai_ci */
}

START_TEST(test_map_charset)
{
    Col cols[] = {INT_("a"), VC(10, "utf8mb4_bin", 4)};
    Attempt a = {.target = cols, .n_target = 2, .shard = cols, .n_shard = 2, .bend = latin1_map};
    attempt(&a);
    ck_assert_int_eq(a.code, ERR_TRACK_MISMATCH);
    ck_assert_msg(strstr(a.text, "another character set"), "%s", a.text);
    a.bend = mariadb_uca;
    attempt(&a);
    ck_assert_msg(a.code == ERR_NONE, "%s", a.text);
}
END_TEST

START_TEST(test_missing_and_extra_columns)
{
    Col full[] = {INT_("a"), VC(10, "utf8mb4_bin", 4)}, one[] = {INT_("a")};
    Attempt a = {.target = one, .n_target = 1, .shard = full, .n_shard = 2};
    attempt(&a);
    ck_assert_int_eq(a.code, ERR_TRACK_TARGET);
    ck_assert_msg(strstr(a.text, "ALTER TABLE `db`.`merged` ADD COLUMN `c` varchar(10) CHARACTER SET utf8mb4 "
                                 "COLLATE utf8mb4_bin NOT NULL"),
                  "%s", a.text);
    Attempt b = {.target = full, .n_target = 2, .shard = one, .n_shard = 1};
    attempt(&b);
    ck_assert_int_eq(b.code, ERR_TRACK_TARGET);
    ck_assert_msg(strstr(b.text, "NOT NULL without a default"), "%s", b.text);
    full[1].default_text = "x";
    attempt(&b);
    ck_assert_msg(b.code == ERR_NONE, "%s", b.text);
    full[1].default_text = NULL;
    full[1].generated = true;
    attempt(&b);
    ck_assert_msg(b.code == ERR_NONE, "%s", b.text);
    static const char *const pk_ac[] = {"PRIMARY:a,c", NULL};
    full[1].generated = false;
    full[1].default_text = "x";
    b.target_keys = pk_ac;
    attempt(&b);
    ck_assert_int_eq(b.code, ERR_TRACK_TARGET);
    ck_assert_msg(strstr(b.text, "finds rows by key PRIMARY, whose column `c`"), "%s", b.text);
}
END_TEST

START_TEST(test_keyless)
{
    static const char *const none[] = {NULL};
    Col cols[] = {INT_("a"), FL};
    Attempt a = {.target = cols, .n_target = 1, .target_keys = none, .shard = cols, .n_shard = 1};
    attempt(&a);
    ck_assert_int_eq(a.code, ERR_TRACK_TARGET);
    ck_assert_msg(strstr(a.text, "allow-keyless-tables"), "%s", a.text);
    a.opts.allow_keyless = true;
    attempt(&a);
    ck_assert_msg(a.code == ERR_NONE, "%s", a.text);
    a.n_target = a.n_shard = 2;
    attempt(&a);
    ck_assert_int_eq(a.code, ERR_TRACK_TARGET);
    ck_assert_msg(strstr(a.text, "rows cannot be compared by column `c`"), "%s", a.text);
}
END_TEST

START_TEST(test_tidb_takes_no_introducer)
{
    Col cols[] = {INT_("a"), VC(10, "latin1_bin", 1)}, target[] = {INT_("a"), VC(10, "utf8mb4_bin", 4)};
    Attempt a = {
        .target = target, .n_target = 2, .shard = cols, .n_shard = 2, .opts = {.target_is_tidb = true}};
    attempt(&a);
    ck_assert_int_eq(a.code, ERR_NOT_SUPPORTED);
    a.opts.target_is_tidb = false;
    attempt(&a);
    ck_assert_int_eq(a.code, ERR_NONE);
}
END_TEST

static void cascading(TableMap *m, TableSchema *s)
{
    (void)m;
    s->has_cascade = true;
}

START_TEST(test_cascades_need_a_server_that_logs_them)
{
    Col cols[] = {INT_("a")};
    Attempt a = {.target = cols, .n_target = 1, .shard = cols, .n_shard = 1, .bend = cascading};
    attempt(&a);
    ck_assert_int_eq(a.code, ERR_NOT_SUPPORTED);
    a.opts.source_logs_cascades = true;
    attempt(&a);
    ck_assert_msg(a.code == ERR_NONE, "%s", a.text);
}
END_TEST

START_TEST(test_columns_and_codecs)
{
    Col target[] = {VC(10, "utf8mb4_bin", 4),
                    INT_("a"),
                    {.name = "g", .type = "int(11)", .generated = true},
                    {.name = "u",
                     .type = "timestamp",
                     .wire = COLTYPE_TIMESTAMP2,
                     .on_update = true,
                     .default_text = "x"},
                    {.name = "b",
                     .type = "binary(4)",
                     .wire = COLTYPE_STRING,
                     .meta = 4,
                     .length = 4,
                     .default_text = "y"}};
    Col shard[] = {INT_("a"),
                   {.name = "g", .type = "int(11)", .wire = COLTYPE_LONG, .generated = true},
                   VC(10, "latin1_bin", 1),
                   {.name = "u", .type = "timestamp", .wire = COLTYPE_TIMESTAMP2, .default_text = "x"},
                   {.name = "b",
                    .type = "binary(4)",
                    .wire = COLTYPE_STRING,
                    .meta = 4,
                    .length = 4,
                    .default_text = "z"}};
    World *w = world(COLS(target), pk_a, COLS(shard), pk_a);
    const Binding *b = w->binding;
    ck_assert_uint_eq(b->columns[0].target_column, 1);
    ck_assert_uint_eq(b->columns[1].target_column, NO_COLUMN);
    ck_assert_uint_eq(b->columns[2].target_column, 0);
    ck_assert_int_eq(b->columns[2].codec.text, TEXT_OTHER);
    ck_assert(str_eqc(b->columns[2].codec.introducer, "_latin1"));
    ck_assert_int_eq(b->columns[4].codec.text, TEXT_BINARY);
    ck_assert_uint_eq(b->columns[4].codec.pad_to, 4);
    ck_assert(b->columns[3].on_update_now);
    ck_assert(!b->columns[3].default_differs);
    ck_assert(b->columns[4].default_differs);
    ck_assert(str_eqc(b->full_shape->column_list, "(`c`,`a`,`u`,`b`)"));
    uint32_t same[] = {0, 1, 3, 4}, few[] = {1};
    ck_assert_ptr_eq(target_shape(w->target, same, 4), b->full_shape);
    Shape *s = target_shape(w->target, few, 1);
    ck_assert_ptr_eq(target_shape(w->target, few, 1), s);
    ck_assert(w->target->primary_is_only_key);
    ck_assert_uint_eq(b->n_source_key, 0);
    world_free(w);
}
END_TEST

START_TEST(test_what_can_be_a_target)
{
    Col cols[] = {INT_("a"), {.name = "n", .type = "int(11)", .null = true}};
    static const char *const keys[] = {"PRIMARY:a", NULL}, *const second[] = {"x:n", "y:a", NULL},
                             *const plain[] = {"-i:a", NULL};
    Err err = {0};
    Target *t = NULL;
    TableSchema *s = table("t", COLS(cols), keys);
    s->has_triggers = true;
    ck_assert(!target_new(0, s, &t, &err) && err.code == ERR_APPLY_TARGET);
    err_clear(&err);
    s->has_triggers = false;
    s->engine = STR("MyISAM");
    ck_assert(!target_new(0, s, &t, &err) && err.code == ERR_APPLY_TARGET);
    err_clear(&err);
    s->engine = STR("InnoDB");
    s->is_view = true;
    ck_assert(!target_new(0, s, &t, &err) && err.code == ERR_TRACK_TARGET);
    err_clear(&err);
    s->is_view = false;
    s->has_foreign_keys = true;
    ck_assert(!target_new(0, s, &t, &err) && err.code == ERR_APPLY_TARGET);
    ck_assert_ptr_null(t);
    err_clear(&err);
    schema_free(s);
    s = table("t", COLS(cols), second);
    ck_assert(target_new(0, s, &t, &err));
    ck_assert_uint_eq(t->row_key, 1);
    ck_assert(!t->primary_is_only_key);
    ck_assert(!t->keys[0].all_not_null && t->keys[1].all_not_null);
    target_free(t);
    schema_free(s);
    s = table("t", COLS(cols), plain);
    ck_assert(target_new(0, s, &t, &err));
    ck_assert_uint_eq(t->row_key, NO_COLUMN);
    ck_assert_uint_eq(t->n_keys, 0);
    target_free(t);
    schema_free(s);
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("bind");
    TCase *t = tcase_create("bind");
    tcase_add_test(t, test_what_fits);
    tcase_add_test(t, test_unsupported_types);
    tcase_add_test(t, test_compressed_wire);
    tcase_add_test(t, test_remedies_for_native_types);
    tcase_add_test(t, test_kinds_of_tables);
    tcase_add_test(t, test_sequence_maps);
    tcase_add_test(t, test_map_against_schema);
    tcase_add_test(t, test_map_charset);
    tcase_add_test(t, test_missing_and_extra_columns);
    tcase_add_test(t, test_keyless);
    tcase_add_test(t, test_tidb_takes_no_introducer);
    tcase_add_test(t, test_cascades_need_a_server_that_logs_them);
    tcase_add_test(t, test_columns_and_codecs);
    tcase_add_test(t, test_what_can_be_a_target);
    suite_add_tcase(s, t);
    return s;
}
UNIT_MAIN(suite)
