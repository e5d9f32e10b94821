/* Chunk keys: which key is taken, order, conditions, middles. */
#include "unit.h"
#include "load/chunk_key.h"
#include "load/encode.h"
#include "random.h"
#include "track/schema_map.h"
#include "track/tables.h"

/* One table, its key and an encoder of its rows. */
typedef struct Keyed {
    Arena arena;
    TableSchema *schema;
    TableMap *map;
    RowEncoder *encoder;
    ChunkKey *key; /* NULL: none */
} Keyed;

static Keyed *key_world(const Col *cols, size_t n, const char *const *keys)
{
    Keyed *w = mem_zalloc(sizeof *w);
    Err err = {0};
    w->schema = table("t", cols, n, keys);
    ck_assert_msg(schema_table_map(w->schema, FLAVOR_MARIADB, &w->arena, &w->map, &err), "%s", err.message);
    ck_assert(row_encoder_new(w->schema, w->map, FLAVOR_MARIADB, &w->encoder, &err));
    ck_assert(chunk_key_new(w->schema, w->map, &w->key) == (w->key != NULL));
    return w;
}

static void key_world_free(Keyed *w)
{
    chunk_key_free(w->key);
    row_encoder_free(w->encoder);
    schema_free(w->schema);
    arena_done(&w->arena);
    free(w);
}

/* The key of a row, in the world's arena. */
static Str key_of(Keyed *w, const StmtValue *values)
{
    RowImage image;
    Err err = {0};
    StrBuf b CLEANUP(sb_done) = {0};
    ck_assert_msg(row_encoder_row(w->encoder, values, &w->arena, &image, &err), "%s", err.message);
    ck_assert(chunk_key_of(w->key, w->map, &image, &b));
    return arena_str(&w->arena, sb_view(&b));
}

static Str where_of(Keyed *w, Str lo, Str hi)
{
    StrBuf b CLEANUP(sb_done) = {0};
    chunk_key_where(w->key, lo, hi, &b);
    return arena_str(&w->arena, sb_view(&b));
}

#define KEYS(...) ((const char *const[]){__VA_ARGS__, NULL})
#define INTEGER(n)                                                                                           \
    {                                                                                                        \
        .kind = STMT_INT, .i = (int64_t)(n)                                                                  \
    }
#define BYTES(s)                                                                                             \
    {                                                                                                        \
        .kind = STMT_BYTES, .bytes = {(s), sizeof(s) - 1 }                                                   \
    }
#define COL_BIN(n, len)                                                                                      \
    {                                                                                                        \
        .name = (n), .type = "binary(" #len ")", .length = (len)                                             \
    }
#define COL_VARBIN(n, len)                                                                                   \
    {                                                                                                        \
        .name = (n), .type = "varbinary(" #len ")", .length = (len)                                          \
    }
#define COL_TYPE(n, t)                                                                                       \
    {                                                                                                        \
        .name = (n), .type = (t)                                                                             \
    }
#define COL_UNSIGNED(n, t)                                                                                   \
    {                                                                                                        \
        .name = (n), .type = (t), .is_unsigned = true                                                        \
    }

/* -- which key -- */

static const Col many[] = {
    BIGINT_("id"),
    INT_("a"),
    {.name = "n", .type = "int(11)", .null = true},
    VARCHAR_("s", 20, "utf8mb4_bin", 80),
    COL_VARBIN("vb", 30),
    {.name = "g", .type = "int(11)", .generated = true},
    COL_TYPE("d", "date"),
    {.name = "dec", .type = "decimal(10,2)", .precision = 10, .scale = 2},
};

static const struct {
    const char *keys[4];
    const char *order; /* NULL: no chunk key */
    bool complete;
} choices[] = {
    {{"PRIMARY:id"}, "`id`", true},
    {{"PRIMARY:a,id"}, "`a`,`id`", true},
    {{"PRIMARY:vb,d"}, "`vb`,`d`", true},
    {{"PRIMARY:a,s"}, "`a`", false},
    {{"PRIMARY:a,s", "uk:id"}, "`id`", true}, /* one that tells all rows apart goes first */
    {{"PRIMARY:s"}, NULL, false},
    {{"PRIMARY:s", "uk:id,a"}, "`id`,`a`", true},
    {{"PRIMARY:s", "uk:n"}, NULL, false}, /* may hold NULLs */
    {{"PRIMARY:s", "uk:id,n"}, NULL, false},
    {{"PRIMARY:s", "-k:id"}, NULL, false}, /* not unique */
    {{"PRIMARY:g"}, NULL, false},
    {{"PRIMARY:id,g"}, "`id`", false},
    {{"PRIMARY:vb(10)"}, NULL, false},
    {{"PRIMARY:a,vb(10)"}, "`a`", false},
    {{"PRIMARY:dec"}, NULL, false},
    {{"-k:id"}, NULL, false},
    {{NULL}, NULL, false},
};

START_TEST(choice)
{
    Keyed *w = key_world(COLS(many), choices[_i].keys);
    ck_assert_int_eq(w->key != NULL, choices[_i].order != NULL);
    if (w->key) {
        StrBuf order CLEANUP(sb_done) = {0};
        chunk_key_order(w->key, false, &order);
        ck_assert_str_eq(order.ptr, choices[_i].order);
        ck_assert_int_eq(chunk_key_is_complete(w->key), choices[_i].complete);
    }
    key_world_free(w);
}
END_TEST

START_TEST(a_hash_key_has_no_order)
{
    TableSchema *s = table("t", COLS(many), KEYS("PRIMARY:id"));
    Arena arena = {0};
    Err err = {0};
    TableMap *map;
    ChunkKey *k;
    s->keys[0].index_type = STR("HASH");
    ck_assert(schema_table_map(s, FLAVOR_MARIADB, &arena, &map, &err));
    ck_assert(!chunk_key_new(s, map, &k) && k == NULL);
    schema_free(s);
    arena_done(&arena);
}
END_TEST

START_TEST(order_both_ways)
{
    Keyed *w = key_world(COLS(many), KEYS("PRIMARY:a,id"));
    StrBuf order CLEANUP(sb_done) = {0};
    chunk_key_order(w->key, true, &order);
    ck_assert_str_eq(order.ptr, "`a` DESC,`id` DESC");
    ck_assert_uint_eq(chunk_key_n_columns(w->key), 2);
    key_world_free(w);
}
END_TEST

/* -- which row -- */

static const Col tenants[] = {INT_("tenant"), COL_VARBIN("b", 4), VARCHAR_("name", 20, "utf8mb4_bin", 80)};

static Str row_of(Keyed *w, const StmtValue *values)
{
    RowImage image;
    Err err = {0};
    StrBuf b CLEANUP(sb_done) = {0};
    ck_assert_msg(row_encoder_row(w->encoder, values, &w->arena, &image, &err), "%s", err.message);
    ck_assert(chunk_key_row(w->key, w->map, &image, &b));
    return arena_str(&w->arena, sb_view(&b));
}

/* Rows that share what is comparable of the key are told apart by the rest of it. */
START_TEST(rows_of_a_key_that_is_compared_in_part)
{
    Keyed *w = key_world(COLS(tenants), KEYS("PRIMARY:tenant,name,b"));
    StmtValue rows[][3] = {{INTEGER(1), BYTES("x"), BYTES("one")},
                           {INTEGER(1), BYTES("x"), BYTES("two")},
                           {INTEGER(1), BYTES("xo"), BYTES("ne")},
                           {INTEGER(2), BYTES("x"), BYTES("one")}};
    ck_assert(w->key && !chunk_key_is_complete(w->key));
    ck_assert(str_eq(key_of(w, rows[0]), key_of(w, rows[1])));
    for (unsigned i = 0; i < ARRAY_LEN(rows); i++)
        for (unsigned k = 0; k < ARRAY_LEN(rows); k++)
            ck_assert_int_eq(str_eq(row_of(w, rows[i]), row_of(w, rows[k])), i == k);
    key_world_free(w);
}
END_TEST

START_TEST(a_complete_key_is_the_row)
{
    Keyed *w = key_world(COLS(tenants), KEYS("PRIMARY:tenant,b"));
    StmtValue row[] = {INTEGER(1), BYTES("x"), BYTES("one")};
    ck_assert(str_eq(row_of(w, row), key_of(w, row)));
    key_world_free(w);
}
END_TEST

START_TEST(the_index_is_named)
{
    Keyed *w = key_world(COLS(tenants), KEYS("PRIMARY:name", "by_tenant:tenant"));
    StrBuf sql CLEANUP(sb_done) = {0};
    chunk_key_index(w->key, &sql);
    ck_assert_str_eq(sql.ptr, " FORCE INDEX (`by_tenant`)");
    key_world_free(w);
}
END_TEST

/* A hint that names an index the server hides is refused by it. */
START_TEST(a_hidden_index_is_not_named)
{
    TableSchema *s = table("t", COLS(tenants), KEYS("by_tenant:tenant"));
    Arena arena = {0};
    Err err = {0};
    TableMap *map;
    ChunkKey *k;
    StrBuf sql CLEANUP(sb_done) = {0};
    s->keys[0].invisible = true;
    ck_assert(schema_table_map(s, FLAVOR_MARIADB, &arena, &map, &err));
    ck_assert(chunk_key_new(s, map, &k));
    chunk_key_index(k, &sql);
    ck_assert_uint_eq(sql.len, 0);
    chunk_key_free(k);
    schema_free(s);
    arena_done(&arena);
}
END_TEST

/* -- conditions -- */

static const Col three[] = {COL_TYPE("v", "int(11)"), INT_("a"), COL_UNSIGNED("b", "bigint(20) unsigned"),
                            COL_VARBIN("c", 4)};

START_TEST(conditions)
{
    Keyed *w = key_world(COLS(three), KEYS("PRIMARY:a,b,c"));
    StmtValue rows[][4] = {
        {INTEGER(0), INTEGER(-1), INTEGER(5), BYTES("x")},
        {INTEGER(0), INTEGER(-1), INTEGER(5), BYTES("y\0")},
        {INTEGER(0), INTEGER(-1), INTEGER(UINT64_MAX), BYTES("")},
        {INTEGER(0), INTEGER(7), INTEGER(0), BYTES("")},
    };
    Str k[4];
    for (unsigned i = 0; i < 4; i++)
        k[i] = key_of(w, rows[i]);
    ck_assert_str_eq(where_of(w, (Str){0}, (Str){0}).ptr, "TRUE");
    ck_assert_str_eq(where_of(w, k[0], k[1]).ptr,
                     "(`a` = -1 AND `b` = 5 AND `c` > x'78' AND `c` <= x'7900')");
    ck_assert_str_eq(
        where_of(w, k[1], k[2]).ptr,
        "(`a` = -1 AND ((`b` > 5 AND `b` < 18446744073709551615) OR (`b` = 5 AND (`c` > x'7900')) OR "
        "(`b` = 18446744073709551615 AND (`c` <= x''))))");
    ck_assert_str_eq(where_of(w, k[0], k[3]).ptr,
                     "(((`a` > -1 AND `a` < 7) OR (`a` = -1 AND (`b` > 5 OR (`b` = 5 AND (`c` > x'78')))) OR "
                     "(`a` = 7 AND (`b` < 0 OR (`b` = 0 AND (`c` <= x''))))))");
    ck_assert_str_eq(where_of(w, k[0], (Str){0}).ptr,
                     "(`a` > -1 OR (`a` = -1 AND (`b` > 5 OR (`b` = 5 AND (`c` > x'78')))))");
    ck_assert_str_eq(where_of(w, (Str){0}, k[3]).ptr,
                     "(`a` < 7 OR (`a` = 7 AND (`b` < 0 OR (`b` = 0 AND (`c` <= x'')))))");
    StrBuf text CLEANUP(sb_done) = {0};
    chunk_key_format(w->key, k[1], &text);
    ck_assert_str_eq(text.ptr, "(-1,5,x'7900')");
    sb_clear(&text);
    chunk_key_format(w->key, (Str){0}, &text);
    ck_assert_str_eq(text.ptr, "()");
    key_world_free(w);
}
END_TEST

/* -- order, by type -- */

typedef struct TypeCase {
    Col col;
    StmtValueKind kind;
    int64_t low, high; /* integers */
} TypeCase;

#define TEMPORAL(t, f)                                                                                       \
    {                                                                                                        \
        {.name = "k", .type = (t), .fsp = (f)}, STMT_TIME, 0, 0                                              \
    }
static const TypeCase types[] = {
    {COL_TYPE("k", "tinyint(4)"), STMT_INT, -128, 127},
    {COL_UNSIGNED("k", "tinyint(3) unsigned"), STMT_INT, 0, 255},
    {COL_TYPE("k", "smallint(6)"), STMT_INT, -32768, 32767},
    {COL_TYPE("k", "mediumint(9)"), STMT_INT, -8388608, 8388607},
    {COL_UNSIGNED("k", "mediumint(8) unsigned"), STMT_INT, 0, 16777215},
    {COL_TYPE("k", "int(11)"), STMT_INT, INT32_MIN, INT32_MAX},
    {COL_UNSIGNED("k", "int(10) unsigned"), STMT_INT, 0, UINT32_MAX},
    {COL_TYPE("k", "bigint(20)"), STMT_INT, INT64_MIN, INT64_MAX},
    {COL_UNSIGNED("k", "bigint(20) unsigned"), STMT_INT, 0, -1},
    {COL_TYPE("k", "year(4)"), STMT_INT, 1901, 2155},
    {COL_BIN("k", 3), STMT_BYTES, 0, 0},
    {COL_VARBIN("k", 5), STMT_BYTES, 0, 0},
    {COL_VARBIN("k", 1), STMT_BYTES, 0, 0},
    TEMPORAL("date", 0),
    TEMPORAL("datetime", 0),
    TEMPORAL("datetime(3)", 3),
    TEMPORAL("datetime(6)", 6),
    TEMPORAL("timestamp", 0),
    TEMPORAL("timestamp(6)", 6),
    TEMPORAL("time", 0),
    TEMPORAL("time(2)", 2),
    TEMPORAL("time(6)", 6),
};

static bool is_time(const TypeCase *t)
{
    return strncmp(t->col.type, "time", 4) == 0 && strncmp(t->col.type, "timestamp", 9) != 0;
}

static StmtValue random_time(Random *r, const TypeCase *t)
{
    static const uint32_t unit[] = {1000000, 100000, 10000, 1000, 100, 10, 1};
    StmtValue v = {.kind = STMT_TIME};
    bool timestamp = strncmp(t->col.type, "timestamp", 9) == 0;
    if (!is_time(t)) {
        v.t.year = timestamp              ? 1971 + random_below(r, 66)
                   : random_chance(r, 50) ? 2024
                                          : random_below(r, 10000);
        v.t.month = timestamp ? 1 + random_below(r, 12) : random_below(r, 13);
        v.t.day = timestamp ? 1 + random_below(r, 28) : random_below(r, 32);
    } else {
        v.t.negative = random_chance(r, 50);
        v.t.day = random_below(r, 34);
    }
    if (strcmp(t->col.type, "date") == 0) return v;
    v.t.hour = random_below(r, 24);
    v.t.minute = random_below(r, 60);
    v.t.second = random_below(r, 60);
    v.t.microsecond = random_below(r, 1000000) / unit[t->col.fsp] * unit[t->col.fsp];
    uint32_t any = v.t.day | v.t.hour | v.t.minute | v.t.second | v.t.microsecond;
    if (is_time(t) && !any) v.t.negative = false;
    return v;
}

static StmtValue random_value(Random *r, const TypeCase *t, Arena *arena)
{
    StmtValue v = {.kind = t->kind};
    if (t->kind == STMT_TIME) return random_time(r, t);
    if (t->kind == STMT_INT) {
        uint64_t span = (uint64_t)t->high - (uint64_t)t->low, by = random_next(r);
        if (random_chance(r, 20)) by = random_below(r, 3);
        if (random_chance(r, 20)) by = span - random_below(r, 3);
        v.i = (int64_t)((uint64_t)t->low + (span == UINT64_MAX ? by : by % (span + 1)));
        return v;
    }
    size_t most = t->col.length, n = t->col.type[0] == 'b' ? most : random_below(r, (uint32_t)most + 1);
    char *bytes = arena_zalloc(arena, most + 1);
    for (size_t i = 0; i < n; i++)
        bytes[i] = (char)(random_chance(r, 40) ? 0 : random_chance(r, 30) ? 0xff : random_below(r, 3));
    v.bytes = str_make(bytes, n);
    return v;
}

#define ORDER(a, b)                                                                                          \
    if ((a) != (b)) return (a) < (b) ? -1 : 1

static int compare_times(const StmtTime *a, const StmtTime *b)
{
    if (a->negative != b->negative) return a->negative ? -1 : 1;
    if (a->negative) {
        StmtTime x = *b, y = *a;
        x.negative = y.negative = false;
        return compare_times(&x, &y);
    }
    ORDER(a->year, b->year);
    ORDER(a->month, b->month);
    ORDER(a->day, b->day);
    ORDER(a->hour, b->hour);
    ORDER(a->minute, b->minute);
    ORDER(a->second, b->second);
    ORDER(a->microsecond, b->microsecond);
    return 0;
}

static int compare_values(const TypeCase *t, const StmtValue *a, const StmtValue *b)
{
    if (t->kind == STMT_TIME) return compare_times(&a->t, &b->t);
    if (t->kind == STMT_BYTES) return chunk_key_cmp(a->bytes, b->bytes);
    if (t->col.is_unsigned) {
        ORDER((uint64_t)a->i, (uint64_t)b->i);
    } else {
        ORDER(a->i, b->i);
    }
    return 0;
}

START_TEST(order_of_type)
{
    const TypeCase *t = &types[_i];
    Keyed *w = key_world(&t->col, 1, KEYS("PRIMARY:k"));
    Random r = {(uint64_t)_i + 5};
    ck_assert(w->key != NULL && chunk_key_is_complete(w->key));
    for (int i = 0; i < 4000; i++) {
        StmtValue a = random_value(&r, t, &w->arena), b = random_value(&r, t, &w->arena);
        if (random_chance(&r, 10)) b = a;
        int want = compare_values(t, &a, &b), got = chunk_key_cmp(key_of(w, &a), key_of(w, &b));
        ck_assert_msg(want == got, "%s, pair %d: %d, not %d", t->col.type, i, got, want);
    }
    key_world_free(w);
}
END_TEST

/* A middle lies between; there is one whenever a value lies between. */
START_TEST(middle_of_type)
{
    const TypeCase *t = &types[_i];
    Keyed *w = key_world(&t->col, 1, KEYS("PRIMARY:k"));
    Random r = {(uint64_t)_i + 50};
    for (int i = 0; i < 600; i++) {
        Str k[3];
        for (unsigned n = 0; n < 3; n++) {
            StmtValue v = random_value(&r, t, &w->arena);
            k[n] = key_of(w, &v);
        }
        for (unsigned n = 0; n < 3; n++) { /* sort three */
            unsigned at = n % 2;
            if (chunk_key_cmp(k[at], k[at + 1]) > 0) {
                Str swap = k[at];
                k[at] = k[at + 1];
                k[at + 1] = swap;
            }
        }
        StrBuf m CLEANUP(sb_done) = {0};
        sb_c(&m, "kept");
        bool between = chunk_key_cmp(k[0], k[1]) < 0 && chunk_key_cmp(k[1], k[2]) < 0;
        bool got = chunk_key_middle(w->key, k[0], k[2], &m);
        ck_assert_msg(got || !between, "%s, round %d: no middle", t->col.type, i);
        ck_assert(str_starts(sb_view(&m), STR("kept")));
        if (!got) {
            ck_assert_uint_eq(m.len, 4);
            continue;
        }
        Str middle = str_make(m.ptr + 4, m.len - 4);
        ck_assert(chunk_key_cmp(k[0], middle) < 0 && chunk_key_cmp(middle, k[2]) < 0);
    }
    key_world_free(w);
}
END_TEST

/* Halving ends at neighbours, and soon. */
START_TEST(halving)
{
    static const Col cols[] = {COL_TYPE("a", "tinyint(4)"), COL_VARBIN("b", 3), COL_TYPE("d", "date")};
    Keyed *w = key_world(COLS(cols), KEYS("PRIMARY:a,b,d"));
    StmtValue low[] = {INTEGER(-128), BYTES(""), {.kind = STMT_TIME}};
    StmtValue high[] = {INTEGER(127),
                        BYTES("\xff\xff\xff"),
                        {.kind = STMT_TIME, .t = {.year = 9999, .month = 12, .day = 31}}};
    Random r = {3};
    Str lo = key_of(w, low), hi = key_of(w, high);
    int steps = 0;
    for (;; steps++) {
        StrBuf m CLEANUP(sb_done) = {0};
        if (!chunk_key_middle(w->key, lo, hi, &m)) break;
        Str middle = arena_str(&w->arena, sb_view(&m));
        ck_assert(chunk_key_cmp(lo, middle) < 0 && chunk_key_cmp(middle, hi) < 0);
        if (random_chance(&r, 50))
            lo = middle;
        else
            hi = middle;
    }
    ck_assert_int_lt(steps, 8 + 33 + 25);
    ck_assert_int_gt(steps, 8);
    key_world_free(w);
}
END_TEST

START_TEST(neighbours_of_a_composite_key)
{
    Keyed *w = key_world(COLS(three), KEYS("PRIMARY:a,b"));
    StmtValue rows[][4] = {
        {INTEGER(0), INTEGER(1), INTEGER(500), BYTES("")},
        {INTEGER(0), INTEGER(2), INTEGER(30), BYTES("")},
        {INTEGER(0), INTEGER(1), INTEGER(UINT64_MAX), BYTES("")},
        {INTEGER(0), INTEGER(2), INTEGER(0), BYTES("")},
        {INTEGER(0), INTEGER(1), INTEGER(501), BYTES("")},
    };
    StrBuf m CLEANUP(sb_done) = {0}, text CLEANUP(sb_done) = {0};
    Str k[5];
    for (unsigned i = 0; i < 5; i++)
        k[i] = key_of(w, rows[i]);
    ck_assert(chunk_key_middle(w->key, k[0], k[1], &m)); /* all of a = 1 */
    chunk_key_format(w->key, sb_view(&m), &text);
    ck_assert_str_eq(text.ptr, "(1,18446744073709551615)");
    sb_clear(&m), sb_clear(&text);
    ck_assert(chunk_key_middle(w->key, k[2], k[1], &m)); /* nothing of a = 2 */
    chunk_key_format(w->key, sb_view(&m), &text);
    ck_assert_str_eq(text.ptr, "(2,0)");
    ck_assert(!chunk_key_middle(w->key, k[2], k[3], &m));
    ck_assert(!chunk_key_middle(w->key, k[0], k[4], &m));
    ck_assert(!chunk_key_middle(w->key, k[0], k[0], &m));
    ck_assert(!chunk_key_middle(w->key, k[1], k[0], &m));
    ck_assert(!chunk_key_middle(w->key, (Str){0}, k[0], &m));
    ck_assert(!chunk_key_middle(w->key, k[0], (Str){0}, &m));
    key_world_free(w);
}
END_TEST

/* Middles of dates exist: no error where a server takes only such. */
START_TEST(middles_are_days)
{
    static const Col col = COL_TYPE("k", "date");
    Keyed *w = key_world(&col, 1, KEYS("PRIMARY:k"));
    static const struct {
        StmtTime lo, hi;
        const char *middle; /* NULL: none */
    } cases[] = {
        {{.year = 2024, .month = 2, .day = 28}, {.year = 2024, .month = 3, .day = 1}, "('2024-02-29')"},
        {{.year = 2023, .month = 12, .day = 1}, {.year = 2024, .month = 1, .day = 31}, "('2024-01-16')"},
        {{.year = 2023, .month = 12, .day = 31}, {.year = 2024, .month = 1, .day = 2}, "('2024-01-01')"},
        {{.year = 2024, .month = 2, .day = 30}, {.year = 2024, .month = 3, .day = 0}, "('2024-02-31')"},
        {{.year = 2024, .month = 5, .day = 6}, {.year = 2024, .month = 5, .day = 7}, NULL},
        {{.year = 2023, .month = 12, .day = 30}, {.year = 2024, .month = 1, .day = 1}, "('2023-12-31')"},
        {{0}, {.year = 2000, .month = 1, .day = 1}, "('1000-01-16')"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        StrBuf m CLEANUP(sb_done) = {0}, text CLEANUP(sb_done) = {0};
        StmtValue lo = {.kind = STMT_TIME, .t = cases[i].lo}, hi = {.kind = STMT_TIME, .t = cases[i].hi};
        bool got = chunk_key_middle(w->key, key_of(w, &lo), key_of(w, &hi), &m);
        ck_assert_msg(got == (cases[i].middle != NULL), "%zu", i);
        if (!got) continue;
        chunk_key_format(w->key, sb_view(&m), &text);
        ck_assert_str_eq(text.ptr, cases[i].middle);
    }
    key_world_free(w);
}
END_TEST

START_TEST(literals)
{
    static const struct {
        Col col;
        StmtValue value;
        const char *text;
    } cases[] = {
        {{.name = "k", .type = "time(3)", .fsp = 3},
         {.kind = STMT_TIME, .t = {.negative = true, .day = 34, .hour = 22, .microsecond = 5000}},
         "(TIME'-838:00:00.005')"},
        {COL_TYPE("k", "year(4)"), INTEGER(0), "(0)"},
        {COL_TYPE("k", "year(4)"), INTEGER(2155), "(2155)"},
        {COL_BIN("k", 4), BYTES("a\0\0\0"), "(x'61000000')"},
        {COL_TYPE("k", "bigint(20)"), INTEGER(INT64_MIN), "(-9223372036854775808)"},
        {{.name = "k", .type = "timestamp(1)", .fsp = 1}, {.kind = STMT_TIME}, "('0000-00-00 00:00:00.0')"},
        {{.name = "k", .type = "timestamp"},
         {.kind = STMT_TIME, .t = {.year = 2000, .month = 2, .day = 29, .hour = 1}},
         "('2000-02-29 01:00:00')"},
        {{.name = "k", .type = "datetime(6)", .fsp = 6},
         {.kind = STMT_TIME, .t = {.year = 9999, .month = 12, .day = 31, .microsecond = 1}},
         "('9999-12-31 00:00:00.000001')"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        Keyed *w = key_world(&cases[i].col, 1, KEYS("PRIMARY:k"));
        StrBuf text CLEANUP(sb_done) = {0};
        chunk_key_format(w->key, key_of(w, &cases[i].value), &text);
        ck_assert_str_eq(text.ptr, cases[i].text);
        key_world_free(w);
    }
}
END_TEST

/* The stream may write an old column's values in the old form: the key is the same. */
START_TEST(old_forms_have_the_same_key)
{
    static const struct {
        const char *type;
        uint8_t old;
        StmtTime t;
    } cases[] = {
        {"time", COLTYPE_TIME, {.negative = true, .hour = 12, .minute = 34, .second = 56}},
        {"datetime", COLTYPE_DATETIME, {.year = 2024, .month = 2, .day = 31, .second = 9}},
        {"timestamp", COLTYPE_TIMESTAMP, {.year = 2024, .month = 2, .day = 29, .hour = 5}},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        Col col = {.name = "k", .type = cases[i].type};
        Keyed *w = key_world(&col, 1, KEYS("PRIMARY:k"));
        StmtValue v = {.kind = STMT_TIME, .t = cases[i].t};
        TableMap *old = table_map_copy(w->map, &w->arena);
        RowEncoder *e;
        RowImage image;
        Err err = {0};
        StrBuf b CLEANUP(sb_done) = {0};
        old->columns[0].type = cases[i].old;
        ck_assert(row_encoder_new(w->schema, old, FLAVOR_MARIADB, &e, &err));
        ck_assert(row_encoder_row(e, &v, &w->arena, &image, &err));
        ck_assert(chunk_key_of(w->key, old, &image, &b));
        ck_assert(str_eq(sb_view(&b), key_of(w, &v)));
        ck_assert(!chunk_key_of(
            w->key, w->map, &(RowImage){.bytes = STR("\0\1\2\3\4\5\6\7"), .present = (const uint8_t *)"\0"},
            &b));
        row_encoder_free(e);
        key_world_free(w);
    }
}
END_TEST

static Suite *chunk_key_suite(void)
{
    Suite *s = suite_create("load/chunk_key");
    TCase *t = tcase_create("keys");
    tcase_set_timeout(t, 60);
    tcase_add_loop_test(t, choice, 0, ARRAY_LEN(choices));
    tcase_add_test(t, a_hash_key_has_no_order);
    tcase_add_test(t, order_both_ways);
    tcase_add_test(t, rows_of_a_key_that_is_compared_in_part);
    tcase_add_test(t, a_complete_key_is_the_row);
    tcase_add_test(t, the_index_is_named);
    tcase_add_test(t, a_hidden_index_is_not_named);
    tcase_add_test(t, conditions);
    tcase_add_loop_test(t, order_of_type, 0, ARRAY_LEN(types));
    tcase_add_loop_test(t, middle_of_type, 0, ARRAY_LEN(types));
    tcase_add_test(t, halving);
    tcase_add_test(t, neighbours_of_a_composite_key);
    tcase_add_test(t, middles_are_days);
    tcase_add_test(t, literals);
    tcase_add_test(t, old_forms_have_the_same_key);
    suite_add_tcase(s, t);
    return s;
}

UNIT_MAIN(chunk_key_suite)
