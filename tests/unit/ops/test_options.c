#include "../unit.h"
#include "ops/options.h"

/* Words separated by blanks, as a command line behind the program's name. */
static bool parse(const char *line, CliOpts *out, Err *err)
{
    enum { WORDS = 16 };
    static char buf[256];
    char *argv[WORDS] = {(char *)"shardmerge"};
    int argc = 1;
    ck_assert_uint_lt(strlen(line), sizeof buf);
    memcpy(buf, line, strlen(line) + 1);
    for (char *save = NULL, *w = strtok_r(buf, " ", &save); w; w = strtok_r(NULL, " ", &save)) {
        ck_assert_int_lt(argc, WORDS);
        argv[argc++] = w;
    }
    return options_parse(argc, argv, out, err);
}

typedef struct Good {
    const char *line;
    CliVerb verb;
    const char *argument;
} Good;

static const Good good_lines[] = {
    {"run task.yaml", VERB_RUN, "task.yaml"},
    {"run --until caught-up task.yaml", VERB_RUN, "task.yaml"},
    {"run task.yaml --until=caught-up --log-format=json --log-level=debug --plain --json", VERB_RUN,
     "task.yaml"},
    {"run task.yaml --max-lag 1m30s --rows-per-second=5000", VERB_RUN, "task.yaml"},
    {"status task.yaml --json --wait caught-up --timeout 30", VERB_STATUS, "task.yaml"},
    {"status --state-dir /var/lib/x", VERB_STATUS, NULL},
    {"pause task.yaml --source s1", VERB_PAUSE, "task.yaml"},
    {"resume task.yaml --source s1 --source-file a.yaml", VERB_RESUME, "task.yaml"},
    {"stop task.yaml", VERB_STOP, "task.yaml"},
    {"check task.yaml --json --source a.yaml", VERB_CHECK, "task.yaml"},
    {"route task.yaml --tables - --all", VERB_ROUTE, "task.yaml"},
    {"locks task.yaml --decide release --source s1 --table a.t --json", VERB_LOCKS, "task.yaml"},
    {"schema task.yaml --source s1 --table a.t --set - --yes", VERB_SCHEMA, "task.yaml"},
    {"ddl task.yaml --target m.t --limit 5", VERB_DDL, "task.yaml"},
    {"version", VERB_VERSION, NULL},
    {"--version", VERB_VERSION, NULL},
    {"help", VERB_HELP, NULL},
    {"help run", VERB_HELP, "run"},
    {"-h", VERB_HELP, NULL},
    {"run --help", VERB_HELP, "run"},
    {"docs errors", VERB_DOCS, "errors"},
};

START_TEST(good_lines_are_read)
{
    const Good *g = &good_lines[_i];
    CliOpts o;
    Err err = {0};
    ck_assert_msg(parse(g->line, &o, &err), "%s: %s", g->line, err.message);
    ck_assert_int_eq(o.verb, g->verb);
    if (g->argument)
        ck_assert_str_eq(o.argument, g->argument);
    else
        ck_assert_ptr_null(o.argument);
    options_done(&o);
}
END_TEST

typedef struct Bad {
    const char *line;
    ErrCode code;
    const char *part; /* of the message */
} Bad;

static const Bad bad_lines[] = {
    {"", ERR_USAGE, "no verb given"},
    {"rum task.yaml", ERR_USAGE, "no verb 'rum'; the nearest is 'run'"},
    {"run", ERR_USAGE, "run needs TASK.yaml"},
    {"run a.yaml b.yaml", ERR_USAGE, "'b.yaml' is too much"},
    {"run a.yaml --jsn", ERR_USAGE, "no option '--jsn'; the nearest is '--json'"},
    {"run a.yaml --tables f", ERR_USAGE, "--tables does not go with run, only with route"},
    {"run a.yaml --until tomorrow", ERR_USAGE, "--until: 'tomorrow' is not one of: caught-up"},
    {"run a.yaml --until", ERR_USAGE, "--until needs a value"},
    {"run a.yaml --json=yes", ERR_USAGE, "--json takes no value"},
    {"run a.yaml --log-level loud", ERR_USAGE, "is not one of: debug, info, warn, error"},
    {"run a.yaml --log-format xml", ERR_USAGE, "is not one of: human, json"},
    {"run a.yaml --max-lag soon", ERR_USAGE, "--max-lag: 'soon' is not seconds or a duration"},
    {"run a.yaml --rows-per-second -1", ERR_USAGE, "not a whole number"},
    {"check a.yaml --max-lag 5s", ERR_USAGE, "--max-lag does not go with check, only with run"},
    {"status a.yaml --timeout 5", ERR_USAGE, "--wait"},
    {"status a.yaml --wait caught-up --timeout -5", ERR_USAGE, "not a number of seconds"},
    {"status a.yaml --wait caught-up --timeout 99999999999", ERR_USAGE, "not a number of seconds"},
    {"status", ERR_USAGE, "status needs TASK.yaml"},
    {"pause a.yaml --source a --source b", ERR_USAGE, "pause takes --source once"},
    {"version x", ERR_USAGE, "version takes no argument"},
    {"docs", ERR_USAGE, "docs needs PAGE"},
    {"doctor a.yaml", ERR_NOT_SUPPORTED, "doctor: not supported yet"},
    {"rehearse a.yaml --any", ERR_NOT_SUPPORTED, "rehearse: not supported yet"},
    {"ddl a.yaml --source s1", ERR_USAGE, "--source does not go with ddl"},
    {"locks a.yaml --set f", ERR_USAGE, "--set does not go with locks, only with schema"},
    {"events", ERR_USAGE, "events needs FILE"},
    {"events a b --rows --no-rows", ERR_USAGE, "exclude each other"},
    {"events a.yaml b --source s", ERR_USAGE, "give one task file"},
    {"events a --follow", ERR_USAGE, "--follow goes with --source"},
    {"events a --limit 0", ERR_USAGE, "--limit: '0' is not a number above 0"},
    {"events a --wait caught-up", ERR_USAGE, "--wait does not go with events"},
};

START_TEST(bad_lines_are_refused_by_name)
{
    const Bad *b = &bad_lines[_i];
    CliOpts o;
    Err err = {0};
    ck_assert_msg(!parse(b->line, &o, &err), "%s was taken", b->line);
    ck_assert_int_eq(err.code, b->code);
    ck_assert_msg(strstr(err.message, b->part), "'%s' lacks '%s'", err.message, b->part);
    ck_assert_int_eq(err_exit_status(&err), 2);
    options_done(&o);
    err_clear(&err);
}
END_TEST

START_TEST(values_arrive)
{
    CliOpts o;
    Err err = {0};
    ck_assert(parse("run t.yaml --source a --source-file=b --source c --log-format json --log-level warn", &o,
                    &err));
    ck_assert_uint_eq(o.n_source_files, 3);
    ck_assert_str_eq(o.source_files[0], "a");
    ck_assert_str_eq(o.source_files[1], "b");
    ck_assert_str_eq(o.source_files[2], "c");
    ck_assert_ptr_null(o.source_id);
    ck_assert(o.log_format == LOG_FORMAT_JSON && o.log_level == LOG_WARN && !o.until_caught_up);
    ck_assert(o.max_lag_ms == -1 && o.rows_per_second == -1);
    options_done(&o);
    ck_assert(parse("run t.yaml --max-lag 90 --rows-per-second 0", &o, &err));
    ck_assert(o.max_lag_ms == 90000 && o.rows_per_second == 0);
    options_done(&o);
    ck_assert(parse("stop t.yaml --source s1 --source-file a", &o, &err));
    ck_assert_str_eq(o.source_id, "s1");
    ck_assert_uint_eq(o.n_source_files, 1);
    options_done(&o);
    ck_assert(parse("status t.yaml --wait caught-up --timeout 7", &o, &err));
    ck_assert(o.wait_caught_up && o.timeout_ms == 7000);
    options_done(&o);
    ck_assert(parse("status t.yaml", &o, &err));
    ck_assert(!o.wait_caught_up && o.timeout_ms == -1);
    options_done(&o);
}
END_TEST

START_TEST(help_and_reference_name_every_verb)
{
    StrBuf help = {0}, page = {0};
    options_help(&help);
    options_reference(&page);
    for (unsigned v = 0; v < VERB_COUNT; v++) {
        StrBuf heading = {0};
        sb_printf(&heading, "\n## %s\n", options_verb_name((CliVerb)v));
        ck_assert_ptr_nonnull(strstr(help.ptr, options_verb_name((CliVerb)v)));
        ck_assert_ptr_nonnull(strstr(page.ptr, heading.ptr));
        sb_done(&heading);
    }
    ck_assert_ptr_nonnull(strstr(page.ptr, "`--until caught-up|POINT`"));
    for (Str rest = sb_view(&help); rest.len;)
        ck_assert_uint_le(str_split(&rest, '\n').len, 110);
    sb_clear(&help);
    options_verb_help(VERB_ROUTE, &help);
    ck_assert_ptr_nonnull(strstr(help.ptr, "--tables FILE"));
    ck_assert_ptr_null(strstr(help.ptr, "--until"));
    sb_done(&help);
    sb_done(&page);
}
END_TEST

static Suite *options_suite(void)
{
    Suite *s = suite_create("options");
    TCase *t = tcase_create("options");
    tcase_add_loop_test(t, good_lines_are_read, 0, (int)ARRAY_LEN(good_lines));
    tcase_add_loop_test(t, bad_lines_are_refused_by_name, 0, (int)ARRAY_LEN(bad_lines));
    tcase_add_test(t, values_arrive);
    tcase_add_test(t, help_and_reference_name_every_verb);
    suite_add_tcase(s, t);
    return s;
}

UNIT_MAIN(options_suite)
