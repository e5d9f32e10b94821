/* Binlog files of real servers, read by an assembler that routes nothing: every transaction comes out once,
 * under its own GTID, and after the file the stream stands at the set that the server itself had. */
#include "unit.h"
#include <dirent.h>
#include <jansson.h>
#include <stdio.h>
#include <unistd.h>
#include <zlib.h>
#include "base/budget.h"
#include "source/assemble.h"
#include "base/poison.h"

typedef struct Reading {
    Assembler *a;
    Budget budget;
    FormatDescription fmt;
    Arena arena;
    Flavor flavor;
    GtidSet *delivered;
    unsigned n_txns;
    uint64_t rows;
} Reading;

static bool resolve_nothing(void *ctx, uint32_t source, const TableMap *map, const Binding **binding,
                            Err *err)
{
    (void)ctx;
    (void)source;
    (void)map;
    (void)err;
    *binding = NULL;
    return true;
}

static bool routed_never(void *ctx, uint32_t source, TableName name)
{
    (void)ctx;
    (void)source;
    return name.table.len == 0; /* a table without a name would be a mistake */
}

static bool schema_routed_never(void *ctx, uint32_t source, Str schema)
{
    (void)ctx;
    (void)source;
    (void)schema;
    return false;
}

static bool deliver_count(void *ctx, Txn *t)
{
    Reading *r = ctx;
    ck_assert(t->id.has_gtid);
    ck_assert(!gtidset_contains(r->delivered, &t->id.gtid));
    ck_assert_uint_eq(t->n_ops, 0);
    ck_assert_uint_eq(t->counts.read, t->counts.filtered);
    gtidset_add(r->delivered, &t->id.gtid);
    r->n_txns++;
    r->rows += t->counts.read;
    budget_give(&r->budget, t->budget_bytes);
    txn_free(t);
    return true;
}

/* name.binlog, or name.binlog.gz. */
static Str slurp(const char *name)
{
    char path[200];
    snprintf(path, sizeof path, "fixtures/binlog/%s.binlog", name);
    gzFile f = gzopen(path, "rb");
    if (!f) {
        snprintf(path, sizeof path, "fixtures/binlog/%s.binlog.gz", name);
        f = gzopen(path, "rb");
    }
    ck_assert_msg(f != NULL, "%s: run from the top of the repository", path);
    StrBuf b = {0};
    for (int n = 1; n > 0;) {
        sb_reserve(&b, 65536);
        n = gzread(f, b.ptr + b.len, 65536);
        ck_assert_int_ge(n, 0);
        sb_wrote(&b, (size_t)n);
    }
    gzclose(f);
    size_t len = b.len;
    return (Str){sb_take(&b), len};
}

static void start_at(Reading *r, GtidSet *set)
{
    StreamPoint p = {.flavor = r->flavor, .gtids = set};
    assembler_set_point(r->a, &p);
    point_done(&p);
}

static void take(Reading *r, const RawEvent *ev, const char *file)
{
    Err err = {0};
    unsigned type = ev->header.type;
    if (type == EVENT_FORMAT_DESCRIPTION) {
        ck_assert(event_format_description(ev->whole, &r->arena, &r->fmt, &err));
    } else if (type == EVENT_PREVIOUS_GTIDS || type == EVENT_GTID_LIST) {
        GtidSet *set;
        ck_assert(event_gtid_list(r->flavor, ev->body, &set, &err));
        gtidset_free(r->delivered);
        r->delivered = gtidset_clone(set);
        start_at(r, set);
    }
    ck_assert_msg(assembler_event(r->a, &r->fmt, ev, &err), "%s: %s", file, err.message);
}

static void read_file(Reading *r, const char *name)
{
    Str whole = slurp(name);
    for (uint64_t pos = 4; pos < whole.len;) {
        Reader head = reader_of((Str){whole.ptr + pos, whole.len - pos});
        (void)reader_bytes(&head, 9);
        uint32_t size = reader_u32(&head);
        ck_assert_uint_ge(size, EVENT_HEADER_LEN);
        RawEvent ev = {
            .whole = {whole.ptr + pos, size}, .file = STR("file"), .start_pos = pos, .end_pos = pos + size};
        Err err = {0};
        bool sums = pos != 4 && r->fmt.checksum_crc32;
        ck_assert_msg(event_split(ev.whole, sums, &ev.header, &ev.body, &err), "%s: %s", name, err.message);
        take(r, &ev, name);
        pos += size;
    }
    free((char *)whole.ptr);
}

static void remove_folder(const char *dir)
{
    DIR *d = opendir(dir);
    ck_assert_ptr_nonnull(d);
    for (struct dirent *e; (e = readdir(d));)
        (void)unlinkat(dirfd(d), e->d_name, 0);
    closedir(d);
    ck_assert_int_eq(rmdir(dir), 0);
}

/* Every file of one fixture, each with an assembler of its own. */
static void read_fixture(json_t *f)
{
    const char *name = json_string_value(json_object_get(f, "name"));
    const char *after = json_string_value(json_object_get(f, "gtids_after"));
    json_t *files = json_object_get(f, "files");
    Reading r = {0};
    char dir[] = "/tmp/test_assemble_real.XXXXXX";
    ck_assert_ptr_nonnull(mkdtemp(dir));
    r.flavor =
        strcmp(json_string_value(json_object_get(f, "flavor")), "mysql") == 0 ? FLAVOR_MYSQL : FLAVOR_MARIADB;
    budget_init(&r.budget, 1 << 30);
    AssembleOpts opts = {.source_id = "real",
                         .server = "server",
                         .flavor = r.flavor,
                         .use_gtid = true,
                         .spill_dir = dir,
                         .spill_bytes = 1 << 20,
                         .split_rows = 1000,
                         .budget = &r.budget,
                         .hooks = {.ctx = &r,
                                   .resolve = resolve_nothing,
                                   .routed = routed_never,
                                   .schema_routed = schema_routed_never,
                                   .deliver = deliver_count}};
    r.delivered = gtidset_new(r.flavor);
    for (size_t i = 0; i < json_array_size(files); i++) {
        assembler_free(r.a);
        r.a = assembler_new(&opts);
        start_at(&r, gtidset_new(r.flavor));
        read_file(&r, json_string_value(json_array_get(files, i)));
        ck_assert(!assembler_in_transaction(r.a));
    }
    GtidSet *want;
    Err err = {0};
    ck_assert(gtidset_parse(r.flavor, str_of(after), &want, &err));
    ck_assert_msg(gtidset_equal(assembler_point(r.a)->gtids, want), "%s: does not end at %s", name, after);
    ck_assert_msg(gtidset_equal(r.delivered, want), "%s: not every transaction was delivered", name);
    ck_assert_uint_gt(r.n_txns, 0);
    if (json_is_true(json_object_get(f, "rows"))) ck_assert_uint_gt(r.rows, 0);
    gtidset_free(want);
    gtidset_free(r.delivered);
    assembler_free(r.a);
    arena_done(&r.arena);
    remove_folder(dir);
    ck_assert_uint_eq(budget_used(&r.budget), 0);
    budget_done(&r.budget);
}

START_TEST(every_transaction_once)
{
    json_error_t e;
    json_t *manifest = json_load_file("fixtures/binlog/MANIFEST.json", 0, &e);
    ck_assert_msg(manifest != NULL, "%s", e.text);
    json_t *fixtures = json_object_get(manifest, "fixtures");
    ck_assert_uint_ge(json_array_size(fixtures), 20);
    for (size_t i = 0; i < json_array_size(fixtures); i++)
        read_fixture(json_array_get(fixtures, i));
    json_decref(manifest);
}
END_TEST

static Suite *real_suite(void)
{
    Suite *s = suite_create("source/assemble_real");
    TCase *c = tcase_create("real binlogs");
    tcase_add_test(c, every_transaction_once);
    suite_add_tcase(s, c);
    return s;
}

UNIT_MAIN(real_suite)
