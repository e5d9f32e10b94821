#include "model/applied_set.h"
#include "random.h"
#include "unit.h"

static const char server_a[] = "server_id:1", server_b[] = "3e11fa47-71ca-11e1-9e33-c80aa9429562";

static Txn mysql(uint8_t uuid, const char *tag, uint64_t gno)
{
    Txn t = {.id = {.has_gtid = true, .gtid = {.flavor = FLAVOR_MYSQL, .gno = gno}}, .last_piece = true};
    memset(t.id.gtid.uuid, uuid, 16);
    memcpy(t.id.gtid.tag, tag, strlen(tag) + 1);
    t.counts = (RowCounts){.read = 7, .filtered = 1, .applied = 3, .missed = 1, .parked = 2};
    return t;
}

static Txn mariadb(uint32_t domain, uint32_t server, uint64_t seq)
{
    Txn t = {.id = {.has_gtid = true, .gtid = {.flavor = FLAVOR_MARIADB, .domain = domain}},
             .last_piece = true};
    t.id.gtid.server_id = server;
    t.id.gtid.seq = seq;
    t.counts = (RowCounts){.read = 300, .applied = 300};
    return t;
}

static Txn position(const char *server, const char *file, uint64_t pos)
{
    Txn t = {.id = {.file = str_of(file), .end_pos = pos, .server = server_intern(server)},
             .last_piece = true};
    t.counts.read = t.counts.applied = 1;
    return t;
}

static Txn piece(Txn t, uint64_t from, uint64_t to, uint32_t crc)
{
    t.is_piece = true;
    t.row_from = from;
    t.row_to = to;
    t.rows_crc = crc;
    return t;
}

typedef struct Entry {
    const char *stream;
    Txn txn;
} Entry;

static void encode(AppliedEncoder *e, const Entry *entries, size_t n)
{
    *e = (AppliedEncoder){0};
    for (size_t i = 0; i < n; i++)
        applied_encode(e, str_of(entries[i].stream), &entries[i].txn);
}

static AppliedSet *decode(Str bytes, const char *stream, const StreamPoint *floor, size_t expected)
{
    AppliedSet *s = applied_set_new();
    Err err = {0};
    size_t added = 0;
    static const StreamPoint none;
    bool ok = applied_set_decode(s, bytes, str_of(stream), floor ? floor : &none, &added, &err);
    ck_assert_msg(ok, "%s", err.message);
    ck_assert_uint_eq(added, expected);
    return s;
}

static const AppliedTxn *find(const AppliedSet *s, const Txn *t)
{
    return applied_set_find(s, &t->id, t->id.server);
}

START_TEST(every_identity_comes_back)
{
    Entry in[] = {
        {"a", mysql(1, "", 7)},
        {"a", mysql(1, "", 8)},
        {"a", mysql(1, "nightly", 8)},
        {"a", mysql(2, "", 1)},
        {"b", mariadb(0, 1, 25)},
        {"b", mariadb(0, 1, UINT64_MAX)},
        {"b", mariadb(1, 1, 26)},
        {"b", mariadb(UINT32_MAX, UINT32_MAX, 26)},
        {"c", position(server_a, "bin.000001", 100)},
        {"c", position(server_a, "bin.000001", 5000000000)},
        {"c", position(server_a, "bin.000002", 100)},
        {"c", position(server_b, "bin.000002", 100)},
        {"a", mysql(2, "", 2)}, /* a stream again */
        {"c", position(server_b, "bin.000002", 200)},
    };
    AppliedEncoder e;
    encode(&e, in, ARRAY_LEN(in));
    static const struct {
        const char *stream;
        size_t n;
    } streams[] = {{"a", 5}, {"b", 4}, {"c", 5}, {"d", 0}, {"", 0}};
    for (size_t k = 0; k < ARRAY_LEN(streams); k++) {
        AppliedSet *s = decode(sb_view(&e.out), streams[k].stream, NULL, streams[k].n);
        for (size_t i = 0; i < ARRAY_LEN(in); i++) {
            const AppliedTxn *t = find(s, &in[i].txn);
            ck_assert_msg((t != NULL) == !strcmp(in[i].stream, streams[k].stream), "entry %zu", i);
            if (!t) continue;
            ck_assert(t->whole);
            ck_assert_uint_eq(t->n_ranges, 1);
            ck_assert_uint_eq(t->ranges[0].from, 0);
            ck_assert_uint_eq(t->ranges[0].to, in[i].txn.counts.read);
            ck_assert_uint_eq(t->ranges[0].counts.filtered, in[i].txn.counts.filtered);
            ck_assert_uint_eq(t->ranges[0].counts.applied, in[i].txn.counts.applied);
            ck_assert_uint_eq(t->ranges[0].counts.missed, in[i].txn.counts.missed);
            ck_assert_uint_eq(t->ranges[0].counts.parked, in[i].txn.counts.parked);
        }
        applied_set_free(s);
    }
    sb_done(&e.out);
}
END_TEST

/* Anonymous transactions between those with a GTID: each kind keeps its own context. */
START_TEST(kinds_take_turns)
{
    Entry in[] = {
        {"a", mysql(1, "", 7)},  {"a", position(server_b, "bin.000001", 100)},
        {"a", mysql(1, "", 8)},  {"a", position(server_b, "bin.000001", 200)},
        {"a", mariadb(3, 4, 5)}, {"a", position(server_b, "bin.000001", 300)},
        {"a", mariadb(3, 4, 6)},
    };
    AppliedEncoder e;
    encode(&e, in, ARRAY_LEN(in));
    AppliedSet *s = decode(sb_view(&e.out), "a", NULL, ARRAY_LEN(in));
    for (size_t i = 0; i < ARRAY_LEN(in); i++)
        ck_assert_msg(find(s, &in[i].txn) != NULL, "entry %zu", i);
    applied_set_free(s);
    sb_done(&e.out);
}
END_TEST

START_TEST(pieces_are_ranges_of_one_transaction)
{
    Txn t = mariadb(0, 1, 9);
    Entry in[] = {{"a", piece(t, 2000, 3000, 0xffffffff)},
                  {"a", piece(t, 0, 1000, 7)},
                  {"a", mariadb(0, 1, 10)},
                  {"a", piece(t, 1000, 2000, 0)}};
    AppliedEncoder e;
    encode(&e, in, ARRAY_LEN(in));
    AppliedSet *s = decode(sb_view(&e.out), "a", NULL, 4);
    const AppliedTxn *x = find(s, &t);
    ck_assert_ptr_nonnull(x);
    ck_assert(!x->whole);
    ck_assert_uint_eq(x->n_ranges, 3);
    for (size_t i = 0; i < 3; i++) {
        ck_assert_uint_eq(x->ranges[i].from, i * 1000);
        ck_assert_uint_eq(x->ranges[i].to, (i + 1) * 1000);
    }
    ck_assert_uint_eq(x->ranges[0].crc, 7);
    ck_assert_uint_eq(x->ranges[2].crc, 0xffffffff);
    ck_assert_uint_eq(x->ranges[1].counts.applied, 300);
    applied_set_free(s);
    sb_done(&e.out);
}
END_TEST

START_TEST(what_the_floor_covers_is_left_out)
{
    Entry in[] = {
        {"a", mariadb(0, 1, 4)}, {"a", mariadb(0, 1, 5)}, {"a", mariadb(0, 1, 6)}, {"a", mariadb(1, 1, 1)}};
    AppliedEncoder e;
    Err err = {0};
    StreamPoint floor = {.flavor = FLAVOR_MARIADB};
    ck_assert(gtidset_parse(FLAVOR_MARIADB, STR("0-1-5"), &floor.gtids, &err));
    encode(&e, in, ARRAY_LEN(in));
    AppliedSet *s = decode(sb_view(&e.out), "a", &floor, 2);
    ck_assert_ptr_null(find(s, &in[0].txn));
    ck_assert_ptr_null(find(s, &in[1].txn));
    ck_assert_ptr_nonnull(find(s, &in[2].txn));
    ck_assert(!applied_set_below(s, &floor));
    gtidset_add(floor.gtids, &in[2].txn.id.gtid);
    ck_assert(!applied_set_below(s, &floor));
    gtidset_add(floor.gtids, &in[3].txn.id.gtid);
    ck_assert(applied_set_below(s, &floor));
    applied_set_free(s);
    point_done(&floor);
    sb_done(&e.out);
}
END_TEST

START_TEST(an_empty_set)
{
    AppliedSet *s = decode((Str){0}, "a", NULL, 0);
    StreamPoint p = {0};
    Txn t = mariadb(0, 1, 4);
    ck_assert(applied_set_below(s, &p));
    ck_assert_ptr_null(find(s, &t));
    ck_assert_ptr_null(applied_set_find(NULL, &t.id, NULL));
    applied_set_free(s);
    applied_set_free(NULL);
}
END_TEST

static const struct {
    const char *floor_file, *file;
    uint64_t floor_pos, pos;
    bool covered;
} positions[] = {
    {"bin.000002", "bin.000002", 100, 99, true},
    {"bin.000002", "bin.000002", 100, 100, true},
    {"bin.000002", "bin.000002", 100, 101, false},
    {"bin.000002", "bin.000001", 100, 5000, true},
    {"bin.000002", "bin.000003", 100, 4, false},
    {"mysql-bin.1000000", "mysql-bin.999999", 4, 5000, true},
    {"mysql-bin.999999", "mysql-bin.1000000", 5000, 4, false},
    {"bin.000010", "bin.000009", 4, 9, true},
    {"odd", "odd", 4, 4, false}, /* nobody can say */
    {"new-bin.000002", "old-bin.000001", 100, 4, false},
    {"odd", "odd", 4, 5, false},
};

START_TEST(positions_count_on_one_server)
{
    StreamPoint p = {.flavor = FLAVOR_MYSQL, .server = str_dup(str_of(server_b))};
    point_set_file(&p, str_of(positions[_i].floor_file), positions[_i].floor_pos);
    Txn t = position(server_b, positions[_i].file, positions[_i].pos);
    ck_assert_int_eq(point_covers(&p, &t.id), positions[_i].covered);
    t.id.server = server_a;
    ck_assert(!point_covers(&p, &t.id));
    t.id.server = NULL;
    ck_assert(!point_covers(&p, &t.id));
    t.id.has_gtid = true; /* a GTID asks the set alone */
    ck_assert(!point_covers(&p, &t.id));
    point_done(&p);
    ck_assert(!point_covers(&p, &t.id));
}
END_TEST

START_TEST(identities_as_text)
{
    Txn t[] = {mariadb(0, 1, 25), mysql(0x3e, "", 5), position(server_a, "bin.000001", 100)};
    static const char *const want[] = {"0-1-25", "3e3e3e3e-3e3e-3e3e-3e3e-3e3e3e3e3e3e:5",
                                       "bin.000001:100@server_id:1"};
    for (size_t i = 0; i < ARRAY_LEN(t); i++) {
        StrBuf b = {0};
        txn_identity(&t[i].id, t[i].id.server, &b);
        ck_assert_str_eq(b.ptr, want[i]);
        sb_done(&b);
    }
}
END_TEST

static void count_stream(void *ctx, Str stream)
{
    ((unsigned *)ctx)[stream.len == 1 ? stream.ptr[0] - 'a' : 3]++;
}

START_TEST(streams_of_a_row)
{
    Entry in[] = {{"a", mariadb(0, 1, 1)},
                  {"b", mysql(1, "", 1)},
                  {"b", mysql(1, "", 2)},
                  {"c", position(server_a, "f", 4)}};
    AppliedEncoder e;
    Err err = {0};
    unsigned n[4] = {0};
    encode(&e, in, ARRAY_LEN(in));
    ck_assert(applied_row_streams(sb_view(&e.out), count_stream, n, &err));
    ck_assert(n[0] == 1 && n[1] == 2 && n[2] == 1 && n[3] == 0);
    ck_assert(!applied_row_streams(STR("\xff"), count_stream, n, &err));
    ck_assert_int_eq(err.code, ERR_CORRUPT);
    err_clear(&err);
    sb_done(&e.out);
}
END_TEST

/* Bytes of an exact heap block, so that a sanitizer sees one read too many. */
static bool try_bytes(const char *bytes, size_t n)
{
    char *copy = mem_alloc(n);
    memcpy(copy, bytes, n);
    Err err = {0};
    StreamPoint floor = {0};
    size_t added = 0;
    AppliedSet *s = applied_set_new();
    bool ok = applied_set_decode(s, str_make(copy, n), STR("a"), &floor, &added, &err);
    if (!ok) ck_assert_int_eq(err.code, ERR_CORRUPT);
    err_clear(&err);
    applied_set_free(s);
    free(copy);
    return ok;
}

START_TEST(broken_bytes_are_refused)
{
    Entry in[] = {{"a", mysql(1, "tag", 70000)},
                  {"b", mariadb(500, 600, 1)},
                  {"a", position(server_a, "bin.000001", 100)},
                  {"a", piece(mysql(2, "", 1), 1, 400, 5)}};
    AppliedEncoder e;
    encode(&e, in, ARRAY_LEN(in));
    size_t ends = 0;
    for (size_t n = 0; n <= e.out.len; n++)
        ends += try_bytes(e.out.ptr, n);
    ck_assert_uint_eq(ends, ARRAY_LEN(in) + 1); /* cut between entries, or not at all */
    Random r = {11};
    for (int i = 0; i < 20000; i++) {
        size_t at = random_below(&r, (uint32_t)e.out.len);
        char was = e.out.ptr[at];
        e.out.ptr[at] = (char)random_next(&r);
        (void)try_bytes(e.out.ptr, e.out.len);
        if (random_chance(&r, 60)) e.out.ptr[at] = was;
    }
    sb_done(&e.out);
}
END_TEST

START_TEST(servers_are_interned_once)
{
    char text[] = "server_id:77";
    const char *kept = server_intern(text);
    ck_assert_ptr_ne(kept, text);
    ck_assert_str_eq(kept, text);
    ck_assert_ptr_eq(server_intern("server_id:77"), kept);
    text[0] = 'x';
    ck_assert_str_eq(kept, "server_id:77");
    ck_assert_ptr_ne(server_intern(""), kept);
    ck_assert_ptr_null(server_intern(NULL));
}
END_TEST

static Suite *applied_set_suite(void)
{
    Suite *s = suite_create("model/applied_set");
    TCase *t = tcase_create("applied_set");
    tcase_add_test(t, every_identity_comes_back);
    tcase_add_test(t, kinds_take_turns);
    tcase_add_test(t, pieces_are_ranges_of_one_transaction);
    tcase_add_test(t, what_the_floor_covers_is_left_out);
    tcase_add_test(t, an_empty_set);
    tcase_add_loop_test(t, positions_count_on_one_server, 0, ARRAY_LEN(positions));
    tcase_add_test(t, identities_as_text);
    tcase_add_test(t, streams_of_a_row);
    tcase_add_test(t, broken_bytes_are_refused);
    tcase_add_test(t, servers_are_interned_once);
    suite_add_tcase(s, t);
    return s;
}
UNIT_MAIN(applied_set_suite)
