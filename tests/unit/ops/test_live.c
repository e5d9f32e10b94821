#include "../unit.h"
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <unistd.h>
#include "base/log.h"
#include "ops/live.h"
#include "ops/text_table.h"

static int master, terminal;

/* A pseudo terminal of that size stands for the operator's. */
static void setup(void)
{
    const struct winsize size = {.ws_row = 8, .ws_col = 20};
    master = posix_openpt(O_RDWR | O_NOCTTY);
    ck_assert_int_ge(master, 0);
    ck_assert_int_eq(grantpt(master), 0);
    ck_assert_int_eq(unlockpt(master), 0);
    terminal = open(ptsname(master), O_RDWR | O_NOCTTY);
    ck_assert_int_ge(terminal, 0);
    ck_assert_int_eq(ioctl(terminal, TIOCSWINSZ, &size), 0);
    setenv("TERM", "xterm", 1);
}

static void teardown(void)
{
    close(terminal);
    close(master);
}

/* All that was written to the terminal since the last call. */
static char *seen(void)
{
    StrBuf out = {0};
    struct pollfd p = {.fd = master, .events = POLLIN};
    while (poll(&p, 1, 50) == 1) {
        sb_reserve(&out, 4096);
        ssize_t n = read(master, out.ptr + out.len, 4096);
        if (n <= 0) break;
        sb_wrote(&out, (size_t)n);
    }
    return sb_take(&out);
}

static void seen_is(const char *expected)
{
    char *got = seen();
    ck_assert_str_eq(got, expected);
    free(got);
}

START_TEST(the_page_is_redrawn_in_place_and_cut_to_the_terminal)
{
    Live *l = live_open(terminal);
    seen_is("\x1b[?25l");
    live_show(l, STR("one\ntwo\n"));
    seen_is("\r\x1b[Jone\r\ntwo\r\n");
    live_show(l, STR("0123456789012345678901234\nü2345678901234567890\n3\n4\n5\n6\n7\n8\n9\n"));
    seen_is(
        "\x1b[2A\r\x1b[J0123456789012345678\x1b[0m\r\nü234567890123456789\x1b[0m\r\n3\r\n4\r\n5\r\n6\r\n");
    live_show(l, STR(""));
    seen_is("\x1b[6A\r\x1b[J");
    live_close(l);
    seen_is("\x1b[?25h");
}
END_TEST

START_TEST(log_lines_scroll_above_the_page)
{
    Live *l = live_open(terminal);
    live_show(l, STR("page\n"));
    free(seen());
    log_write(LOGEV_TASK_STARTED);
    char *got = seen();
    ck_assert_ptr_eq(strstr(got, "\x1b[1A\r\x1b[J"), got);
    ck_assert_ptr_nonnull(strstr(got, "task.started"));
    ck_assert_ptr_nonnull(strstr(got, "\r\npage\r\n"));
    free(got);
    live_close(l);
    free(seen());
    log_init(terminal, LOG_FORMAT_HUMAN, LOG_INFO);
    log_write(LOGEV_TASK_STOPPED); /* the log has its own place back */
    got = seen();
    ck_assert_ptr_nonnull(strstr(got, "task.stopped"));
    ck_assert_ptr_null(strchr(got, '\x1b'));
    free(got);
}
END_TEST

START_TEST(only_a_terminal_that_can_shows_it)
{
    ck_assert(live_possible(terminal));
    setenv("TERM", "dumb", 1);
    ck_assert(!live_possible(terminal));
    unsetenv("TERM");
    ck_assert(!live_possible(terminal));
    setenv("TERM", "xterm", 1);
    int file = open("/dev/null", O_WRONLY);
    ck_assert(!live_possible(file));
    close(file);
    unsetenv("NO_COLOR");
    ck_assert(live_color_wanted());
    setenv("NO_COLOR", "", 1);
    ck_assert(live_color_wanted());
    setenv("NO_COLOR", "1", 1);
    ck_assert(!live_color_wanted());
}
END_TEST

START_TEST(columns_are_aligned_by_what_is_seen)
{
    TextTable t = {.columns = 3};
    StrBuf out = {0};
    table_text(&t, STR("größe"));
    table_right(&t, STR("n"));
    table_text(&t, STR("last"));
    table_tone(&t, STR("x"), TONE_BAD);
    table_count(&t, 1234567);
    table_text(&t, STR("z"));
    table_print(&t, false, &out);
    ck_assert_str_eq(out.ptr, "größe          n  last\nx      1,234,567  z\n");
    sb_clear(&out);
    table_print(&t, true, &out);
    ck_assert_str_eq(out.ptr, "größe          n  last\n\x1b[31mx\x1b[0m      1,234,567  z\n");
    table_done(&t);
    sb_done(&out);
}
END_TEST

typedef struct Cut {
    const char *text;
    size_t width, shown;
    const char *cut;
} Cut;

static const Cut cuts[] = {
    {"", 3, 0, ""},
    {"abc", 3, 3, "abc"},
    {"abcd", 3, 4, "abc"},
    {"ééé", 2, 3, "éé"},
    {"\x1b[31mabc\x1b[0m", 3, 3, "\x1b[31mabc\x1b[0m"},
    {"\x1b[31mabc\x1b[0m", 2, 3, "\x1b[31mab"},
    {"a\x1b[", 5, 1, "a\x1b["},
    {"abc", 0, 3, ""},
};

START_TEST(width_counts_what_is_seen)
{
    const Cut *c = &cuts[_i];
    ck_assert_uint_eq(text_width(str_of(c->text)), c->shown);
    Str got = text_cut(str_of(c->text), c->width);
    ck_assert_msg(str_eqc(got, c->cut), "'" STR_FMT "'", STR_ARG(got));
}
END_TEST

START_TEST(counts_have_separators)
{
    const uint64_t numbers[] = {0, 999, 1000, 1234567, UINT64_MAX};
    const char *texts[] = {"0", "999", "1,000", "1,234,567", "18,446,744,073,709,551,615"};
    for (size_t i = 0; i < ARRAY_LEN(numbers); i++) {
        StrBuf out = {0};
        text_count(&out, numbers[i]);
        ck_assert_str_eq(out.ptr, texts[i]);
        sb_done(&out);
    }
}
END_TEST

static Suite *live_suite(void)
{
    Suite *s = suite_create("live");
    TCase *t = tcase_create("live");
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_test(t, the_page_is_redrawn_in_place_and_cut_to_the_terminal);
    tcase_add_test(t, log_lines_scroll_above_the_page);
    tcase_add_test(t, only_a_terminal_that_can_shows_it);
    tcase_add_test(t, columns_are_aligned_by_what_is_seen);
    tcase_add_loop_test(t, width_counts_what_is_seen, 0, (int)ARRAY_LEN(cuts));
    tcase_add_test(t, counts_have_separators);
    suite_add_tcase(s, t);
    return s;
}

UNIT_MAIN(live_suite)
