/* Log lines of both forms, and fault points. */
#include "base/log.h"
#include <jansson.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>
#include "base/clock.h"
#include "base/fault.h"
#include "unit.h"

static StrBuf lines;
static unsigned n_lines;

static void keep(void *ctx, Str text)
{
    ck_assert_ptr_eq(ctx, &lines);
    sb_str(&lines, text);
    sb_ch(&lines, '\n');
    n_lines++;
}

static void setup(LogFormat format, LogLevel least)
{
    log_init(2, format, least);
    log_divert(keep, &lines);
}

/* The only line so far, without its time and line break. */
static const char *only_line(void)
{
    ck_assert_uint_eq(n_lines, 1);
    lines.ptr[--lines.len] = 0;
    ck_assert_uint_gt(lines.len, 25);
    ck_assert_int_eq(lines.ptr[23], 'Z');
    return lines.ptr + 25;
}

START_TEST(human_line)
{
    setup(LOG_FORMAT_HUMAN, LOG_INFO);
    log_write(LOGEV_SOURCE_CONNECTED, LOG_S("source", "s-1"), LOG_STR("none", (Str){0}), LOG_I("lag", -3),
              LOG_U("port", UINT64_MAX));
    ck_assert_str_eq(only_line(), "info  source.connected: reading the binlog source=s-1 none= lag=-3 "
                                  "port=18446744073709551615");
}
END_TEST

START_TEST(human_error)
{
    Err err = {0};
    setup(LOG_FORMAT_HUMAN, LOG_INFO);
    err_set_remedy(&err, ERR_IO, "look there", "cannot read");
    log_error(LOGEV_TASK_FAILED, &err, LOG_S("source", "s"));
    ck_assert_str_eq(only_line(),
                     "error task.failed: the task cannot go on source=s [SM-1002 IO, stop-task] cannot "
                     "read; look there");
    err_clear(&err);
}
END_TEST

/* One line an event, whatever a server's message holds. */
START_TEST(line_breaks_do_not_make_lines)
{
    Err err = {0};
    setup(LOG_FORMAT_HUMAN, LOG_INFO);
    err_set(&err, ERR_IO, "first\nsecond\r\x1b[31m");
    log_error(LOGEV_TASK_FAILED, &err, LOG_S("source", "a\nb"));
    const char *line = only_line();
    ck_assert_ptr_null(strpbrk(line, "\n\r\x1b"));
    ck_assert_ptr_nonnull(strstr(line, "first"));
    ck_assert_ptr_nonnull(strstr(line, "second"));
    err_clear(&err);
}
END_TEST

START_TEST(json_line)
{
    Err err = {0};
    json_error_t where;
    const char *level, *event, *source, *broken, *cls, *code, *error, *message, *remedy;
    json_int_t lag, port;
    setup(LOG_FORMAT_JSON, LOG_DEBUG);
    err_set(&err, ERR_IO, "not UTF-8: \xff");
    log_error(LOGEV_TASK_FAILED, &err, LOG_S("source", "a\"\n"), LOG_STR("broken", STR("\xff")),
              LOG_I("lag", -3), LOG_U("port", 3306));
    ck_assert_uint_eq(n_lines, 1);
    json_t *o = json_loads(lines.ptr, 0, &where);
    ck_assert_msg(o != NULL, "%s", where.text);
    int bad = json_unpack_ex(o, &where, 0, "{s:s,s:s,s:s,s:s,s:I,s:I,s:s,s:s,s:s,s:s,s:s,s:s}", "time",
                             &level, "level", &level, "event", &event, "source", &source, "lag", &lag, "port",
                             &port, "class", &cls, "code", &code, "error", &error, "message", &message,
                             "remedy", &remedy, "broken", &broken);
    ck_assert_msg(!bad, "%s", where.text);
    ck_assert_str_eq(level, "error");
    ck_assert_str_eq(event, "task.failed");
    ck_assert_str_eq(source, "a\"\n");
    ck_assert_str_eq(broken, "\xef\xbf\xbd");
    ck_assert(lag == -3 && port == 3306);
    ck_assert_str_eq(cls, "stop-task");
    ck_assert_str_eq(code, "SM-1002");
    ck_assert_str_eq(error, "IO");
    ck_assert_str_eq(message, "not UTF-8: \xef\xbf\xbd");
    ck_assert_uint_eq(strlen(strchr(lines.ptr, '\n')), 1);
    json_decref(o);
    err_clear(&err);
}
END_TEST

START_TEST(levels_below_are_dropped)
{
    setup(LOG_FORMAT_HUMAN, LOG_WARN);
    log_write(LOGEV_TASK_STARTED);
    log_write(LOGEV_APPLIER_CONNECTED);
    ck_assert_uint_eq(n_lines, 0);
    log_write(LOGEV_SOURCE_RETRY);
    log_write(LOGEV_TASK_FAILED);
    ck_assert_uint_eq(n_lines, 2);
}
END_TEST

START_TEST(floods_are_counted)
{
    setup(LOG_FORMAT_HUMAN, LOG_INFO);
    while (clock_mono_ms() % 1000 > 500) /* all within one second */
        usleep(10000);
    for (int i = 0; i < 50; i++)
        log_write(LOGEV_SOURCE_RETRY);
    ck_assert_uint_eq(n_lines, 20);
    log_write(LOGEV_TASK_STARTED); /* another event is not held back */
    ck_assert_uint_eq(n_lines, 21);
    usleep(1050000);
    log_write(LOGEV_SOURCE_RETRY);
    ck_assert_ptr_nonnull(strstr(lines.ptr, "(30 like it not shown)"));
    ck_assert_uint_eq(n_lines, 22);
}
END_TEST

START_TEST(writes_to_its_file)
{
    int ends[2];
    char got[200] = "";
    ck_assert_int_eq(pipe(ends), 0);
    log_init(ends[1], LOG_FORMAT_HUMAN, LOG_INFO);
    log_divert(keep, &lines);
    log_divert(NULL, NULL);
    log_write(LOGEV_TASK_STOPPED);
    ck_assert_int_gt(read(ends[0], got, sizeof got - 1), 0);
    ck_assert_str_eq(got + 25, "info  task.stopped: the task has stopped\n");
    ck_assert_uint_eq(n_lines, 0);
}
END_TEST

START_TEST(the_event_table_is_sound)
{
    const char *name, *text;
    LogLevel level;
    size_t n = 0;
    for (; log_table_row(n, &name, &level, &text); n++)
        ck_assert_msg(strchr(name, '.') && *text && level <= LOG_ERROR, "%s", name);
    ck_assert_uint_eq(n, LOGEV_COUNT);
}
END_TEST

/* -- faults -- */

static void faults(const char *text)
{
    Err err = {0};
    setenv("SHARDMERGE_FAULTS", text, 1);
    ck_assert_msg(fault_init(&err), "%s", err.message);
}

START_TEST(without_faults_nothing_happens)
{
    Err err = {0};
    unsetenv("SHARDMERGE_FAULTS");
    ck_assert(fault_init(&err));
    ck_assert_ptr_null(fault_set);
    ck_assert(!FAULT("a"));
    faults("");
    ck_assert_ptr_null(fault_set);
}
END_TEST

START_TEST(fires_at_its_passage)
{
    faults(" a.b = error@3 ; ; c=error@*;d=error;e=delay:30@2; a.b=error@5;");
    for (int i = 1; i <= 6; i++) {
        ck_assert_int_eq(FAULT("a.b"), i == 3 || i == 5);
        ck_assert(FAULT("c"));
        ck_assert_int_eq(FAULT("d"), i == 1);
        ck_assert(!FAULT("a"));
    }
    ck_assert(!FAULT("e"));
    int64_t start = clock_mono_ms();
    ck_assert(!FAULT("e"));
    ck_assert_int_ge(clock_mono_ms() - start, 29);
}
END_TEST

START_TEST(a_kill_kills)
{
    faults("a=kill@2");
    if (FAULT("a")) exit(0);
    (void)FAULT("a");
    exit(0);
}
END_TEST

static const char *const bad_faults[] = {"a",         "a=",        "a=explode",       "a=delay",
                                         "a=delay:",  "a=delay:x", "a=error@x",       "a=error@-1",
                                         "a=error@0", "=error",    "b=error;a=killed"};

START_TEST(refuses_what_it_cannot_do)
{
    Err err = {0};
    setenv("SHARDMERGE_FAULTS", bad_faults[_i], 1);
    ck_assert_msg(!fault_init(&err), "%s was taken", bad_faults[_i]);
    ck_assert_int_eq(err.code, ERR_USAGE);
    ck_assert_ptr_nonnull(strstr(err.message, "SHARDMERGE_FAULTS"));
    ck_assert_ptr_null(fault_set);
    err_clear(&err);
}
END_TEST

static Suite *log_suite(void)
{
    Suite *s = suite_create("base/log, fault");
    TCase *t = tcase_create("log");
    tcase_add_test(t, human_line);
    tcase_add_test(t, human_error);
    tcase_add_test(t, line_breaks_do_not_make_lines);
    tcase_add_test(t, json_line);
    tcase_add_test(t, levels_below_are_dropped);
    tcase_add_test(t, floods_are_counted);
    tcase_add_test(t, writes_to_its_file);
    tcase_add_test(t, the_event_table_is_sound);
    tcase_add_test(t, without_faults_nothing_happens);
    tcase_add_test(t, fires_at_its_passage);
    tcase_add_test_raise_signal(t, a_kill_kills, SIGKILL);
    tcase_add_loop_test(t, refuses_what_it_cannot_do, 0, ARRAY_LEN(bad_faults));
    suite_add_tcase(s, t);
    return s;
}
UNIT_MAIN(log_suite)
