/* XA transactions: rows wait at PREPARE for their end, over restarts; the files they wait in. */
#include "assemble_world.h"
#include <dirent.h>
#include <fcntl.h>
#include "payload_writer.h"
#include "base/poison.h"

static TxnId covered_below; /* GTIDs up to gno are below the floor; by position: end_pos */

static bool world_covered(void *ctx, uint32_t source, const TxnId *id)
{
    (void)ctx;
    ck_assert_uint_eq(source, 3);
    if (!id->has_gtid) return id->end_pos <= covered_below.end_pos;
    return (id->gtid.flavor == FLAVOR_MARIADB ? id->gtid.seq : id->gtid.gno) <= covered_below.gtid.gno;
}

static unsigned n_files(const World *w, const char *suffix)
{
    unsigned n = 0;
    DIR *d = opendir(w->dir);
    ck_assert_ptr_nonnull(d);
    for (struct dirent *e; (e = readdir(d));) {
        Str name = str_of(e->d_name), end = str_of(suffix);
        n += name.len > end.len && str_eq((Str){name.ptr + name.len - end.len, end.len}, end);
    }
    closedir(d);
    return n;
}

static void remove_files(const World *w)
{
    DIR *d = opendir(w->dir);
    for (struct dirent *e; (e = readdir(d));)
        (void)unlinkat(dirfd(d), e->d_name, 0);
    closedir(d);
}

static const RawEvent *gtid_event(World *w, uint64_t n, unsigned flags)
{
    return w->opts.flavor == FLAVOR_MARIADB ? ew_gtid_maria(&w->w, 0, n, flags) : ew_gtid_mysql(&w->w, n);
}

/* GTID n, XA START, rows of db.a from id on, XA END; the PREPARE is the caller's. */
static void feed_xa_rows(World *w, uint64_t n, char xid, uint32_t id, unsigned rows)
{
    feed(w, gtid_event(w, n, MARIA_PREPARED_XA));
    if (w->opts.flavor == FLAVOR_MYSQL) feed(w, pw_xa_query(&w->w, "START", xid));
    if (rows) feed_insert(w, 70, "a", id, rows);
    feed(w, pw_xa_query(&w->w, "END", xid));
}

static void feed_prepared(World *w, uint64_t n, char xid, uint32_t id, unsigned rows)
{
    feed_xa_rows(w, n, xid, id, rows);
    feed(w, pw_xa_prepare(&w->w, xid, false));
}

static void feed_end(World *w, uint64_t n, const char *verb, char xid)
{
    feed(w, gtid_event(w, n, MARIA_COMPLETED_XA));
    feed(w, pw_xa_query(&w->w, verb, xid));
}

/* A new process whose floor is GTID `last` (or by position, pos). Events go on where the writer stands. */
static void restart(World *w, uint64_t last, uint64_t pos)
{
    EventWriter kept = w->w;
    kept.body = (StrBuf){0};
    assembler_free(w->a);
    w->a = assembler_new(&w->opts);
    StreamPoint from = {.flavor = w->opts.flavor, .server = str_dup(str_of(w->opts.server))};
    if (w->opts.use_gtid) {
        from.gtids = gtidset_new(w->opts.flavor);
        for (uint64_t i = 1; i <= last; i++) {
            Gtid g = {.flavor = w->opts.flavor, .gno = i, .seq = i, .server_id = 7};
            memset(g.uuid, 0x11, sizeof g.uuid);
            if (w->opts.flavor == FLAVOR_MARIADB) memset(g.uuid, 0, sizeof g.uuid), g.gno = 0;
            gtidset_add(from.gtids, &g);
        }
    } else {
        point_set_file(&from, STR("bin.000001"), pos);
    }
    assembler_set_point(w->a, &from);
    point_done(&from);
    ew_done(&w->w);
    w->w = kept;
}

static void last_is(const World *w, uint64_t gtid, uint32_t id, size_t rows)
{
    const Txn *t = w->txns[w->n_txns - 1];
    ck_assert_uint_eq(t->n_ops, rows);
    ck_assert_uint_eq(t->counts.read, rows);
    if (w->opts.use_gtid)
        ck_assert_uint_eq(w->opts.flavor == FLAVOR_MARIADB ? t->id.gtid.seq : t->id.gtid.gno, gtid);
    for (size_t i = 0; i < rows; i++) {
        ck_assert_uint_eq(image_id(&t->ops[i], &t->ops[i].after), id + i);
        ck_assert_uint_eq(t->ops[i].row_no, i);
    }
}

static void xa_world(World *w, unsigned i)
{
    world_init(w, i < 2 ? FLAVOR_MYSQL : FLAVOR_MARIADB, i % 2 == 0);
    w->opts.hooks.covered = world_covered;
    covered_below = (TxnId){0};
    world_reopen(w);
}

static void xa_world_done(World *w)
{
    remove_files(w);
    world_done(w);
}

START_TEST(prepare_then_end)
{
    World w;
    xa_world(&w, (unsigned)_i);
    feed_prepared(&w, 1, 'a', 10, 3);
    last_is(&w, 1, 0, 0); /* its identity alone */
    ck_assert_uint_eq(n_files(&w, ".xa"), 1);
    feed_prepared(&w, 2, 'b', 20, 1);
    feed(&w, gtid_event(&w, 3, 0)); /* another transaction in between */
    feed(&w, ew_query(&w.w, "db", "BEGIN"));
    feed_insert(&w, 70, "a", 30, 1);
    feed(&w, ew_xid(&w.w));
    last_is(&w, 3, 30, 1);
    feed_end(&w, 4, "ROLLBACK", 'b');
    last_is(&w, 4, 0, 0);
    feed_end(&w, 5, "COMMIT", 'a');
    last_is(&w, 5, 10, 3);
    ck_assert_uint_eq(w.n_txns, 5);
    ck_assert_uint_eq(n_files(&w, ".xa"), 2);
    ck_assert_uint_eq(assembler_point(w.a)->pos, w.w.pos);
    covered_below = (TxnId){.gtid.gno = 5, .end_pos = w.w.pos};
    feed_prepared(&w, 6, 'c', 40, 1);
    ck_assert_uint_eq(n_files(&w, ".xa"), 1); /* those done are gone */
    feed_end(&w, 7, "COMMIT", 'c');
    ck_assert_uint_eq(n_files(&w, ".tmp"), 0);
    xa_world_done(&w);
}
END_TEST

START_TEST(one_phase)
{
    World w;
    xa_world(&w, 0);
    feed_xa_rows(&w, 1, 'a', 10, 3);
    feed(&w, pw_xa_prepare(&w.w, 'a', true));
    last_is(&w, 1, 10, 3);
    feed(&w, ew_gtid_mysql(&w.w, 2)); /* never prepared */
    feed(&w, pw_xa_query(&w.w, "START", 'a'));
    feed_insert(&w, 70, "a", 1, 2);
    feed(&w, pw_xa_query(&w.w, "END", 'a'));
    feed(&w, pw_xa_query(&w.w, "ROLLBACK", 'a'));
    last_is(&w, 2, 0, 0);
    ck_assert_uint_eq(n_files(&w, ""), 2); /* . and .. */
    xa_world_done(&w);
}
END_TEST

/* A new process at every place a floor may be; what was read again and what was not gives the same. */
START_TEST(restarts)
{
    World w;
    xa_world(&w, (unsigned)_i);
    w.w.file = "bin.000001";
    feed_prepared(&w, 1, 'a', 10, 3);
    uint64_t after_prepare = w.w.pos;
    /* the PREPARE is read again: its file is made again, and is one */
    uint64_t start = 4;
    restart(&w, 0, start);
    ck_assert_uint_eq(n_files(&w, ".xa"), 0);
    w.w.pos = start;
    feed_prepared(&w, 1, 'a', 10, 3);
    ck_assert_uint_eq(w.w.pos, after_prepare);
    ck_assert_uint_eq(n_files(&w, ".xa"), 1);
    /* the floor is behind it: it waits */
    restart(&w, 1, after_prepare);
    ck_assert_uint_eq(n_files(&w, ".xa"), 1);
    feed_end(&w, 2, "COMMIT", 'a');
    last_is(&w, 2, 10, 3);
    uint64_t after_commit = w.w.pos;
    /* the COMMIT was read, but is not below the floor: read again */
    restart(&w, 1, after_prepare);
    ck_assert_uint_eq(n_files(&w, ".xa"), 1);
    w.w.pos = after_prepare;
    feed_end(&w, 2, "COMMIT", 'a');
    last_is(&w, 2, 10, 3);
    ck_assert_uint_eq(w.w.pos, after_commit);
    restart(&w, 2, after_commit);
    ck_assert_uint_eq(n_files(&w, ".xa"), 0);
    xa_world_done(&w);
}
END_TEST

/* The same xid twice; the floor stays between the first PREPARE and its COMMIT. */
START_TEST(an_xid_used_again)
{
    World w;
    xa_world(&w, (unsigned)_i);
    feed_prepared(&w, 1, 'a', 10, 1);
    uint64_t floor = w.w.pos;
    feed_end(&w, 2, "COMMIT", 'a');
    feed_prepared(&w, 3, 'a', 20, 2);
    restart(&w, 1, floor);
    ck_assert_uint_eq(n_files(&w, ".xa"), 1);
    w.w.pos = floor;
    feed_end(&w, 2, "COMMIT", 'a');
    last_is(&w, 2, 10, 1);
    feed_prepared(&w, 3, 'a', 20, 2);
    uint64_t second = w.w.pos;
    feed_end(&w, 4, "ROLLBACK", 'a');
    last_is(&w, 4, 0, 0);
    restart(&w, 3, second);
    feed_end(&w, 4, "COMMIT", 'a');
    last_is(&w, 4, 20, 2);
    xa_world_done(&w);
}
END_TEST

START_TEST(prepared_before_the_start)
{
    World w;
    xa_world(&w, 0);
    feed(&w, ew_gtid_mysql(&w.w, 1));
    const RawEvent *ev = pw_xa_query(&w.w, "COMMIT", 'z');
    ck_assert(!assembler_event(w.a, &w.w.fmt, ev, &w.err));
    ck_assert_int_eq(w.err.code, ERR_SOURCE_XA);
    ck_assert_ptr_nonnull(strstr(w.err.message, "X'7a',X'',1"));
    err_clear(&w.err);
    feed_end(&w, 1, "ROLLBACK", 'z'); /* whatever it was, it did not happen */
    last_is(&w, 1, 0, 0);
    ck_assert_uint_gt(w.noted, 0);
    feed(&w, ew_gtid_mysql(&w.w, 2));
    feed_fails(&w, ew_query(&w.w, "", "XA COMMIT 'text'"), ERR_SOURCE_XA);
    feed(&w, ew_gtid_mysql(&w.w, 2));
    feed(&w, ew_query(&w.w, "db", "BEGIN"));
    feed_fails(&w, pw_xa_prepare(&w.w, 'a', false), ERR_SOURCE_PROTOCOL);
    xa_world_done(&w);
}
END_TEST

/* Done above the floor: the COMMIT is only counted, whatever became of its rows. */
START_TEST(commit_that_is_applied)
{
    World w;
    xa_world(&w, 0);
    AppliedSet *set = applied_set_new();
    AppliedEncoder e = {0};
    Txn *done = txn_new();
    done->id = (TxnId){.has_gtid = true,
                       .gtid = {.flavor = FLAVOR_MYSQL, .gno = 2},
                       .file = STR("bin.000001"),
                       .end_pos = 9};
    memset(done->id.gtid.uuid, 0x11, sizeof done->id.gtid.uuid);
    done->last_piece = true;
    done->row_to = 3;
    done->counts = (RowCounts){.read = 3, .applied = 3};
    applied_encode(&e, STR("s"), done);
    StreamPoint floor = {.flavor = FLAVOR_MYSQL, .gtids = gtidset_new(FLAVOR_MYSQL)};
    size_t added = 0;
    ck_assert(applied_set_decode(set, sb_view(&e.out), STR("s"), &floor, &added, &w.err));
    ck_assert_uint_eq(added, 1);
    w.opts.applied = set;
    world_reopen(&w);
    feed_prepared(&w, 1, 'a', 10, 3);
    feed_end(&w, 2, "COMMIT", 'a');
    const Txn *t = w.txns[w.n_txns - 1];
    ck_assert(t->already_applied && t->n_ops == 0 && t->counts.applied == 3);
    ck_assert_uint_eq(w.n_txns, 2);
    point_done(&floor);
    sb_done(&e.out);
    txn_free(done);
    xa_world_done(&w);
    applied_set_free(set);
}
END_TEST

/* Large ones, with savepoints, filtered rows, compressed rows; delivered in pieces. */
START_TEST(large_and_rolled_back)
{
    World w;
    xa_world(&w, 0);
    w.opts.spill_bytes = 32 * 1024;
    w.opts.split_rows = 500;
    world_reopen(&w);
    feed(&w, ew_gtid_mysql(&w.w, 1));
    feed(&w, pw_xa_query(&w.w, "START", 'a'));
    feed_insert(&w, 75, "x", 1, 10);
    for (unsigned i = 0; i < 30; i++)
        feed_insert(&w, 70, "a", 1000 + i * 100, 100);
    feed(&w, ew_query(&w.w, "db", "SAVEPOINT s"));
    feed_insert(&w, 70, "a", 9000, 100);
    feed(&w, ew_query(&w.w, "db", "ROLLBACK TO s"));
    feed_insert(&w, 70, "a", 9500, 1);
    feed(&w, pw_xa_query(&w.w, "END", 'a'));
    feed(&w, pw_xa_prepare(&w.w, 'a', false));
    ck_assert_uint_eq(w.n_txns, 1);
    restart(&w, 1, 0);
    feed_end(&w, 2, "COMMIT", 'a');
    uint64_t rows = 0, read = 0, filtered = 0;
    for (size_t i = 1; i < w.n_txns; i++) {
        rows += w.txns[i]->n_ops;
        read += w.txns[i]->counts.read;
        filtered += w.txns[i]->counts.filtered;
        ck_assert(w.txns[i]->is_piece);
        ck_assert_uint_eq(w.txns[i]->id.gtid.gno, 2);
        ck_assert_int_eq(w.txns[i]->last_piece, i + 1 == w.n_txns);
    }
    ck_assert_uint_gt(w.n_txns, 6);
    ck_assert_uint_eq(rows, 3001);
    ck_assert_uint_eq(read, 3011);
    ck_assert_uint_eq(filtered, 10);
    const Txn *last = w.txns[w.n_txns - 1];
    ck_assert_uint_eq(image_id(&last->ops[last->n_ops - 1], &last->ops[last->n_ops - 1].after), 9500);
    xa_world_done(&w);
}
END_TEST

/* XA inside a payload, as MySQL writes it with binlog_transaction_compression. */
START_TEST(inside_a_payload)
{
    World w;
    xa_world(&w, 0);
    StrBuf p = {0}, rows = {0};
    ew_image(&rows, FULL_ROW, 10, "v");
    pw_add(&p, &w.w, pw_xa_query(&w.w, "START", 'a'));
    pw_add(&p, &w.w, ew_table_map(&w.w, 70, "db", "a"));
    pw_add(&p, &w.w, ew_rows(&w.w, EVENT_WRITE_ROWS_V2, 70, END_OF_STATEMENT, FULL_ROW, 0, sb_view(&rows)));
    pw_add(&p, &w.w, pw_xa_query(&w.w, "END", 'a'));
    pw_add(&p, &w.w, pw_xa_prepare(&w.w, 'a', false));
    feed(&w, ew_gtid_mysql(&w.w, 1));
    feed(&w, pw_event(&w.w, PAYLOAD_ZSTD, sb_view(&p)));
    last_is(&w, 1, 0, 0);
    feed_end(&w, 2, "COMMIT", 'a');
    last_is(&w, 2, 10, 1);
    sb_done(&p);
    sb_done(&rows);
    xa_world_done(&w);
}
END_TEST

static void name_of_the_file(const World *w, char *path, size_t size)
{
    DIR *d = opendir(w->dir);
    path[0] = 0;
    for (struct dirent *e; (e = readdir(d));)
        if (strstr(e->d_name, ".xa")) snprintf(path, size, "%s/%s", w->dir, e->d_name);
    closedir(d);
    ck_assert(path[0] != 0);
}

/* A file is cut at every length, and every byte of it is changed: refused when the source starts or at the
 * COMMIT, or as it was. Never other rows. */
START_TEST(broken_files)
{
    World w;
    char path[400];
    xa_world(&w, 0);
    feed_prepared(&w, 1, 'a', 10, 3);
    name_of_the_file(&w, path, sizeof path);
    char bytes[4096];
    int fd = open(path, O_RDONLY);
    ssize_t n = read(fd, bytes, sizeof bytes);
    close(fd);
    ck_assert(n > 100 && n < (ssize_t)sizeof bytes);
    for (ssize_t cut = 0; cut < 2 * n; cut++) {
        fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
        if (cut >= n) bytes[cut - n] ^= 0x40;
        ssize_t len = cut < n ? cut : n;
        ck_assert_int_eq(write(fd, bytes, (size_t)len), len);
        if (cut >= n) bytes[cut - n] ^= 0x40;
        close(fd);
        restart(&w, 1, 0);
        feed(&w, ew_gtid_mysql(&w.w, 2));
        const RawEvent *ev = pw_xa_query(&w.w, "COMMIT", 'a');
        size_t before = w.n_txns;
        ck_assert_msg(!assembler_event(w.a, &w.w.fmt, ev, &w.err), "cut at %zd was taken", cut);
        ck_assert_msg(w.err.code == ERR_SOURCE_SPILL && strstr(w.err.message, path), "%zd: %s", cut,
                      w.err.message);
        ck_assert_uint_eq(w.n_txns, before);
        err_clear(&w.err);
    }
    xa_world_done(&w);
}
END_TEST

/* What a killed process left half written, and the files of another source. */
START_TEST(leftovers)
{
    World w;
    xa_world(&w, 0);
    feed_xa_rows(&w, 1, 'a', 10, 1);
    ck_assert_uint_eq(n_files(&w, ".tmp"), 1);
    feed_fails(&w, ew_plain(&w.w, EVENT_INCIDENT, 0, STR("")), ERR_SOURCE_INCIDENT);
    ck_assert_uint_eq(n_files(&w, ".tmp"), 0); /* dropped with its group */
    feed_prepared(&w, 1, 'a', 10, 1);
    w.opts.source_id = "shard-3.b";
    restart(&w, 1, 0);
    feed(&w, ew_gtid_mysql(&w.w, 2));
    ck_assert(!assembler_event(w.a, &w.w.fmt, pw_xa_query(&w.w, "COMMIT", 'a'), &w.err));
    ck_assert_int_eq(w.err.code, ERR_SOURCE_XA);
    err_clear(&w.err);
    ck_assert_uint_eq(n_files(&w, ".xa"), 1);
    w.opts.source_id = "shard-3";
    w.opts.spill_dir = "/nonexistent/dir";
    restart(&w, 1, 0);
    feed(&w, ew_gtid_mysql(&w.w, 2));
    feed_fails(&w, pw_xa_query(&w.w, "START", 'a'), ERR_SOURCE_SPILL);
    w.opts.spill_dir = NULL;
    restart(&w, 1, 0);
    feed(&w, ew_gtid_mysql(&w.w, 2));
    feed_fails(&w, pw_xa_query(&w.w, "START", 'a'), ERR_SOURCE_SPILL);
    w.opts.spill_dir = w.dir;
    xa_world_done(&w);
}
END_TEST

static Suite *xa_suite(void)
{
    Suite *s = suite_create("source/assemble_xa");
    TCase *c = tcase_create("xa");
    tcase_set_timeout(c, 30);
    tcase_add_loop_test(c, prepare_then_end, 0, 4);
    tcase_add_test(c, one_phase);
    tcase_add_loop_test(c, restarts, 0, 4);
    tcase_add_loop_test(c, an_xid_used_again, 0, 4);
    tcase_add_test(c, prepared_before_the_start);
    tcase_add_test(c, commit_that_is_applied);
    tcase_add_test(c, large_and_rolled_back);
    tcase_add_test(c, inside_a_payload);
    tcase_add_test(c, broken_files);
    tcase_add_test(c, leftovers);
    suite_add_tcase(s, c);
    return s;
}

UNIT_MAIN(xa_suite)
