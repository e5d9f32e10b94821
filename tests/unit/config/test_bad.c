/* Every file of fixtures/bad/config gives exactly the problems that EXPECTED names. */
#include <dirent.h>
#include "load.h"

#define FOLDER "fixtures/bad/config/"

static char *file_text(const char *path)
{
    FILE *f = fopen(path, "rb");
    ck_assert_msg(f != NULL, "%s: run the tests from the top folder of the repository", path);
    StrBuf b = {0};
    for (size_t n = 1; n;) {
        sb_reserve(&b, 4096);
        n = fread(b.ptr + b.len, 1, 4096, f);
        sb_wrote(&b, n);
    }
    fclose(f);
    return sb_take(&b);
}

/* "path:3:1: [SM-1202 …" → "SM-1202\t3:1\n" */
static void problem_short(Str line, Str path, StrBuf *out)
{
    ck_assert_msg(str_starts(line, path) && line.ptr[path.len] == ':', STR_FMT, STR_ARG(line));
    Str rest = {line.ptr + path.len + 1, line.len - path.len - 1};
    size_t bracket = str_find(rest, STR(": ["));
    ck_assert_uint_ne(bracket, SIZE_MAX);
    Str place = {rest.ptr, bracket}, code = {rest.ptr + bracket + 3, rest.len - bracket - 3};
    code = str_split(&code, ' ');
    sb_printf(out, STR_FMT "\t" STR_FMT "\n", STR_ARG(code), STR_ARG(place));
    ck_assert_msg(str_find(line, STR("; ")) != SIZE_MAX, "no remedy: " STR_FMT, STR_ARG(line));
}

/* The lines of EXPECTED for a file, without its name. */
static void expected_of(const char *expected, const char *name, StrBuf *out)
{
    Str rest = str_of(expected);
    while (rest.len) {
        Str line = str_split(&rest, '\n');
        Str file = str_split(&line, '\t');
        if (str_eqc(file, name)) sb_printf(out, STR_FMT "\n", STR_ARG(line));
    }
}

static void check_file(const char *expected, const char *name)
{
    StrBuf path = {0}, problems = {0}, got = {0}, want = {0};
    Err err = {0};
    Task *task = NULL;
    sb_printf(&path, FOLDER "%s", name);
    ck_assert_msg(!task_load(path.ptr, NULL, &task, &problems, &err), "%s loads", name);
    ck_assert_ptr_null(task);
    for (Str rest = sb_view(&problems); rest.len;)
        problem_short(str_split(&rest, '\n'), sb_view(&path), &got);
    expected_of(expected, name, &want);
    ck_assert_msg(want.len > 0, "%s is not in EXPECTED", name);
    ck_assert_msg(str_eq(sb_view(&got), sb_view(&want)), "%s\ngot:\n%swant:\n%s%s", name, got.ptr, want.ptr,
                  problems.ptr);
    /* The error itself is the first of them. */
    StrBuf first = {0};
    sb_printf(&first, "SM-%d\t", (int)err.code);
    ck_assert(str_starts(sb_view(&want), sb_view(&first)));
    ck_assert(str_starts(str_of(err.message), sb_view(&path)));
    ck_assert_int_eq(err_exit_status(&err), 2);
    sb_done(&first);
    sb_done(&path);
    sb_done(&problems);
    sb_done(&got);
    sb_done(&want);
    err_clear(&err);
}

START_TEST(all_files)
{
    char *expected = file_text(FOLDER "EXPECTED");
    char *manifest = file_text(FOLDER "MANIFEST");
    DIR *dir = opendir(FOLDER);
    ck_assert_ptr_nonnull(dir);
    unsigned n = 0;
    for (struct dirent *e; (e = readdir(dir));) {
        if (!strstr(e->d_name, ".yaml")) continue;
        check_file(expected, e->d_name);
        ck_assert_msg(strstr(manifest, e->d_name) != NULL, "%s is not in MANIFEST", e->d_name);
        n++;
    }
    closedir(dir);
    free(expected);
    free(manifest);
    ck_assert_uint_ge(n, 28);
}
END_TEST

/* What is too large for a fixture. */
START_TEST(large_files)
{
    Load l;
    load_init(&l);
    StrBuf b = {0};
    sb_c(&b, LEAST "state-dir: ");
    for (unsigned i = 0; i < 900000; i++)
        sb_c(&b, "0123456789");
    ck_assert(!load_bytes(&l, sb_view(&b)));
    ck_assert_int_eq(l.err.code, ERR_CONFIG_FILE);
    sb_clear(&b);
    sb_c(&b, "task-mode: incremental\n" TARGET INSTANCE SOURCE "name: ");
    for (unsigned i = 0; i < 100000; i++)
        sb_c(&b, "0123456789");
    ck_assert(!load_bytes(&l, sb_view(&b)));
    ck_assert_int_eq(l.err.code, ERR_CONFIG_VALUE);
    ck_assert_uint_lt(l.problems.len, 500);
    sb_done(&b);
    load_done(&l);
}
END_TEST

START_TEST(unreadable_files)
{
    static const char *const paths[] = {"no/such/task.yaml", "fixtures", "/dev/null/task.yaml"};
    for (size_t i = 0; i < ARRAY_LEN(paths); i++) {
        Task *task = NULL;
        Err err = {0};
        StrBuf problems = {0};
        ck_assert(!task_load(paths[i], NULL, &task, &problems, &err));
        ck_assert_int_eq(err.code, ERR_CONFIG_FILE);
        ck_assert(str_starts(str_of(err.message), str_of(paths[i])));
        sb_done(&problems);
        err_clear(&err);
    }
}
END_TEST

/* Passwords and TLS texts never show in a report, whatever is wrong around them. */
START_TEST(no_secrets)
{
    Load l;
    load_init(&l);
    ck_refused(&l,
               HEAD INSTANCE SOURCE
               "target-database:\n  host: h\n  user: u\n  password: [hush-hush]\n  port: 0\n"
               "  security: {ssl-key-base64: 'hush-hush'}\n",
               ERR_CONFIG_VALUE, "password: a single value");
    ck_assert_ptr_null(strstr(l.problems.ptr, "hush"));
    ck_refused(&l,
               HEAD INSTANCE SOURCE
               "target-database: {host: h, user: u, password: hush-hush, passwrd: hush-hush}\n",
               ERR_CONFIG_UNKNOWN_KEY, "did you mean 'password'");
    ck_assert_ptr_null(strstr(l.problems.ptr, "hush"));
    load_done(&l);
}
END_TEST

static Suite *bad_suite(void)
{
    Suite *s = suite_create("config/bad");
    TCase *c = tcase_create("bad");
    tcase_set_timeout(c, 60);
    tcase_add_test(c, all_files);
    tcase_add_test(c, large_files);
    tcase_add_test(c, unreadable_files);
    tcase_add_test(c, no_secrets);
    suite_add_tcase(s, c);
    return s;
}

UNIT_MAIN(bad_suite)
