#include "unit.h"
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>
#include "source/spill.h"
#include "base/poison.h"

static char dir[64];

static void setup(void)
{
    snprintf(dir, sizeof dir, "/tmp/test_spill.XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(dir));
}

static void teardown(void)
{
    ck_assert_int_eq(rmdir(dir), 0);
}

static unsigned files(void)
{
    unsigned n = 0;
    DIR *d = opendir(dir);
    for (struct dirent *e; (e = readdir(d));)
        n += e->d_name[0] != '.';
    closedir(d);
    return n;
}

/* Record i: a length and content that only i has. */
static void make_record(StrBuf *b, unsigned i)
{
    sb_clear(b);
    size_t len = i % 7 == 0 ? 0 : i % 50 == 1 ? 700000 : i * 37 % 3000;
    while (b->len < len)
        sb_ch(b, (char)(i + b->len % 251));
}

static void append(Spill *s, unsigned i)
{
    StrBuf b = {0};
    Err err = {0};
    make_record(&b, i);
    Str all = sb_view(&b);
    size_t head = MIN(all.len, (size_t)3);
    ck_assert(spill_append(s, (Str){all.ptr, head}, (Str){all.ptr + head, all.len - head}, &err));
    sb_done(&b);
}

static void expect(Spill *s, const unsigned *records, size_t n)
{
    StrBuf b = {0};
    Err err = {0};
    Str got;
    bool end = true;
    ck_assert(spill_rewind(s, &err));
    for (size_t i = 0; i < n; i++) {
        make_record(&b, records[i]);
        ck_assert(spill_next(s, &got, &end, &err));
        ck_assert(!end);
        ck_assert(str_eq(got, sb_view(&b)));
    }
    ck_assert(spill_next(s, &got, &end, &err));
    ck_assert(end);
    sb_done(&b);
}

START_TEST(write_cut_read)
{
    enum { N = 300 };
    Spill *s;
    Err err = {0};
    uint64_t at[N];
    unsigned order[2 * N] = {0};
    size_t n = 0;
    ck_assert(spill_open(dir, "shard/1", &s, &err));
    ck_assert_uint_eq(files(), 0); /* it has no name */
    expect(s, order, 0);
    for (unsigned i = 0; i < N; i++) {
        at[i] = spill_length(s);
        append(s, i);
    }
    static const unsigned cuts[] = {299, 298, 250, 120, 3, 0};
    for (size_t c = 0; c < ARRAY_LEN(cuts); c++) {
        ck_assert(spill_cut(s, at[cuts[c]], &err));
        ck_assert_uint_eq(spill_length(s), at[cuts[c]]);
        n = 0;
        for (unsigned i = 0; i < cuts[c]; i++)
            order[n++] = i;
        append(s, 1000 + cuts[c]);
        order[n++] = 1000 + cuts[c];
        expect(s, order, n);
        expect(s, order, n); /* again */
    }
    spill_close(s);
}
END_TEST

START_TEST(two_at_once)
{
    Spill *a, *b;
    Err err = {0};
    ck_assert(spill_open(dir, "s", &a, &err));
    ck_assert(spill_open(dir, "s", &b, &err));
    append(a, 5);
    append(b, 6);
    expect(a, (unsigned[]){5}, 1);
    expect(b, (unsigned[]){6}, 1);
    spill_close(a);
    spill_close(b);
}
END_TEST

static void touch(const char *name)
{
    char path[200];
    snprintf(path, sizeof path, "%s/%s", dir, name);
    int fd = open(path, O_CREAT | O_WRONLY, 0600);
    ck_assert_int_ge(fd, 0);
    close(fd);
}

START_TEST(sweep_takes_only_its_own)
{
    static const char *const others[] = {"s2.0.spill", "s.x.spill", "s..spill", "s.1.spool", "s.db"};
    touch("s.0.spill");
    touch("s.17.spill");
    for (size_t i = 0; i < ARRAY_LEN(others); i++)
        touch(others[i]);
    spill_sweep(dir, "s");
    ck_assert_uint_eq(files(), ARRAY_LEN(others));
    for (size_t i = 0; i < ARRAY_LEN(others); i++) {
        char path[200];
        snprintf(path, sizeof path, "%s/%s", dir, others[i]);
        ck_assert_int_eq(unlink(path), 0);
    }
    spill_sweep("/nonexistent/dir", "s");
}
END_TEST

START_TEST(names_the_path_it_cannot_make)
{
    Spill *s;
    Err err = {0};
    ck_assert(!spill_open("/nonexistent/dir", "s", &s, &err));
    ck_assert_int_eq(err.code, ERR_SOURCE_SPILL);
    ck_assert_ptr_nonnull(strstr(err.message, "/nonexistent/dir/s.0.spill"));
    err_clear(&err);
}
END_TEST

/* A disk that gives back other bytes is found out. */
START_TEST(changed_bytes)
{
    Spill *s;
    Err err = {0};
    Str got;
    bool end;
    ck_assert(spill_open(dir, "s", &s, &err));
    for (unsigned i = 1; i < 5; i++)
        append(s, i);
    ck_assert(spill_rewind(s, &err));
    /* the file has no name: it is the newest descriptor */
    int fd = dup(0);
    close(fd);
    char c;
    ck_assert_int_eq(pread(fd - 1, &c, 1, 30), 1);
    c = (char)(c ^ 1);
    ck_assert_int_eq(pwrite(fd - 1, &c, 1, 30), 1);
    ck_assert(!spill_next(s, &got, &end, &err));
    ck_assert_int_eq(err.code, ERR_SOURCE_SPILL);
    err_clear(&err);
    spill_close(s);
}
END_TEST

static Suite *spill_suite(void)
{
    Suite *s = suite_create("source/spill");
    TCase *c = tcase_create("spill");
    tcase_add_checked_fixture(c, setup, teardown);
    tcase_add_test(c, write_cut_read);
    tcase_add_test(c, two_at_once);
    tcase_add_test(c, sweep_takes_only_its_own);
    tcase_add_test(c, names_the_path_it_cannot_make);
    tcase_add_test(c, changed_bytes);
    suite_add_tcase(s, c);
    return s;
}

UNIT_MAIN(spill_suite)
