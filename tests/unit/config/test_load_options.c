#include "load.h"

/* The options of the copy. */

#define COPY "name: t\ntask-mode: all\n" TARGET

START_TEST(load_keys)
{
    Load l;
    load_init(&l);
    ck_loads(&l, COPY INSTANCE SOURCE);
    const LoadOptions *o = &l.task->load;
    ck_assert_uint_eq(o->readers, 4);
    ck_assert_uint_eq(o->chunk_rows, 20000);
    ck_assert_uint_eq(o->chunk_bytes, 4u << 20);
    ck_assert_uint_eq(o->chunk_ms, 1000);
    ck_assert_uint_eq(o->rows_per_second, 0);
    ck_assert_uint_eq(o->max_lag_ms, 0);
    ck_assert_int_eq(o->consistency, LOAD_CONSISTENCY_CHUNK);
    ck_loads(&l,
             COPY INSTANCE SOURCE "load: {readers: 2, chunk-rows: 500, chunk-bytes: 1MiB, chunk-time: 200ms, "
                                  "rows-per-second: 9000, max-lag: 1m, consistency: chunk}\n");
    o = &l.task->load;
    ck_assert_uint_eq(o->readers, 2);
    ck_assert_uint_eq(o->chunk_rows, 500);
    ck_assert_uint_eq(o->chunk_bytes, 1u << 20);
    ck_assert_uint_eq(o->chunk_ms, 200);
    ck_assert_uint_eq(o->rows_per_second, 9000);
    ck_assert_uint_eq(o->max_lag_ms, 60000);
    ck_assert_int_eq(o->consistency, LOAD_CONSISTENCY_CHUNK);
    ck_loads(&l, COPY INSTANCE SOURCE "load: {consistency: snapshot}\n");
    ck_assert_int_eq(l.task->load.consistency, LOAD_CONSISTENCY_SNAPSHOT);
    ck_loads(&l, COPY INSTANCE SOURCE "memory-limit: 8MiB\n");
    ck_assert_uint_eq(l.task->load.chunk_bytes, 2u << 20);
    ck_refused(&l, COPY INSTANCE SOURCE "memory-limit: 8MiB\nload: {chunk-bytes: 4MiB}\n", ERR_CONFIG_VALUE,
               "quarter of memory-limit");
    ck_refused(&l, COPY INSTANCE SOURCE "load: {readers: 0}\n", ERR_CONFIG_VALUE, "1 to 1024");
    ck_refused(&l, COPY INSTANCE SOURCE "load: {consistency: lock}\n", ERR_CONFIG_VALUE, "chunk or snapshot");
    ck_refused(&l, COPY INSTANCE SOURCE "load: {max-lag: 5}\n", ERR_CONFIG_VALUE, "with a unit");
    ck_refused(&l, COPY INSTANCE SOURCE "load: {chunk-row: 5}\n", ERR_CONFIG_UNKNOWN_KEY, "'chunk-rows'");
    load_done(&l);
}
END_TEST

/* The threads of the dump unit are our readers: the most of all instances, our own key wins. */
START_TEST(load_readers)
{
    static const struct {
        const char *instance, *more;
        unsigned readers;
    } cases[] = {
        {"    mydumper: {threads: 8}\n", "", 8},
        {"    mydumper: {threads: 0}\n", "", 4},
        {"    mydumper: {threads: 8}\n    mydumper-thread: 3\n", "", 3},
        {"    mydumper: {threads: 8, extra-args: '-t 6'}\n", "", 6},
        {"    mydumper: {threads: 8}\n", "load: {readers: 5}\n", 5},
        {"    mydumper: {threads: 2}\n  - {source-id: s2, mydumper: {threads: 7}}\n", "", 7},
        {"    mydumper-config-name: m\n", "mydumpers: {m: {threads: 9}}\n", 9},
    };
    Load l;
    load_init(&l);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        StrBuf b = {0};
        bool two = strstr(cases[i].instance, "s2") != NULL;
        sb_printf(&b, COPY INSTANCE "%s" SOURCE "%s%s", cases[i].instance,
                  two ? "  - {source-id: s2, from: {host: up2, user: r}}\n" : "", cases[i].more);
        ck_loads(&l, b.ptr);
        ck_assert_msg(l.task->load.readers == cases[i].readers, "%s: %u", cases[i].instance,
                      l.task->load.readers);
        sb_done(&b);
    }
    load_done(&l);
}
END_TEST

/* What the dump and load units of DM ask for: honoured, or refused where ignoring it would change the rows.
 */
START_TEST(load_units)
{
    static const struct {
        const char *instance;
        ErrCode code;
        const char *what; /* NULL: it loads, with this consistency */
        LoadConsistency consistency;
    } cases[] = {
        {"mydumper: {rows: 200000, chunk-filesize: 64, statement-size: 1000, skip-tz-utc: true}", 0, NULL, 0},
        {"mydumper: {extra-args: '--consistency none'}", 0, NULL, LOAD_CONSISTENCY_CHUNK},
        {"mydumper: {extra-args: '--consistency=auto --loglevel debug -F 64MiB'}", 0, NULL,
         LOAD_CONSISTENCY_CHUNK},
        {"mydumper: {extra-args: '--consistency flush'}", 0, NULL, LOAD_CONSISTENCY_CHUNK},
        {"mydumper: {extra-args: '--consistency \"lock\"'}", 0, NULL, LOAD_CONSISTENCY_CHUNK},
        {"mydumper: {extra-args: '--consistency snapshot'}", 0, NULL, LOAD_CONSISTENCY_CHUNK},
        {"mydumper: {extra-args: '--no-locks --no-views -r 1000 -s1000 --no-data=false'}", 0, NULL, 0},
        {"mydumper: {extra-args: '--consistency sometimes'}", ERR_CONFIG_VALUE, "auto, none, flush", 0},
        {"mydumper: {extra-args: '--consistency'}", ERR_CONFIG_VALUE, "has no value", 0},
        {"mydumper: {extra-args: \"--where 'id > 5'\"}", ERR_CONFIG_REFUSED_KEY, "--where cannot", 0},
        {"mydumper: {extra-args: '-T a.b,c.d'}", ERR_CONFIG_REFUSED_KEY, "block-allow-list", 0},
        {"mydumper: {extra-args: '-Ta.b'}", ERR_CONFIG_REFUSED_KEY, "--tables-list cannot", 0},
        {"mydumper: {extra-args: '-B shop'}", ERR_CONFIG_REFUSED_KEY, "block-allow-list", 0},
        {"mydumper: {extra-args: '-m'}", ERR_CONFIG_REFUSED_KEY, "create-tables: false", 0},
        {"mydumper: {extra-args: '--no-data'}", ERR_CONFIG_REFUSED_KEY, "incremental", 0},
        {"mydumper: {extra-args: '--no-such-thing 1'}", ERR_CONFIG_VALUE, "'--no-such-thing'", 0},
        {"mydumper: {extra-args: 'stray'}", ERR_CONFIG_VALUE, "'stray'", 0},
        {"mydumper: {extra-args: '--loglevel \"info'}", ERR_CONFIG_VALUE, "quote", 0},
        {"mydumper: {extra-args: '-t many'}", ERR_CONFIG_VALUE, "--threads", 0},
        {"mydumper: {where: 'id > 5'}", ERR_CONFIG_REFUSED_KEY, "where cannot", 0},
        {"mydumper: {where: ''}", 0, NULL, 0},
        {"loader: {import-mode: sql, dir: x, pool-size: 8}", 0, NULL, 0},
        {"loader: {import-mode: Physical}", ERR_CONFIG_REFUSED_KEY, "set it to logical", 0},
        {"loader: {import-mode: import-into}", ERR_CONFIG_REFUSED_KEY, "import-into cannot", 0},
        {"loader: {on-duplicate: error, on-duplicate-logical: error}", 0, NULL, 0},
        {"loader: {on-duplicate-physical: manual, analyze: 'off', checksum-physical: required}", 0, NULL, 0},
        {"loader: {on-duplicate: replace}", ERR_CONFIG_REFUSED_KEY, "on-collision", 0},
        {"loader: {on-duplicate-logical: ignore}", ERR_CONFIG_REFUSED_KEY, "on-duplicate-logical: ignore", 0},
    };
    Load l;
    load_init(&l);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        StrBuf b = {0};
        sb_printf(&b, COPY INSTANCE "    %s\n" SOURCE, cases[i].instance);
        if (cases[i].what) {
            ck_refused(&l, b.ptr, cases[i].code, cases[i].what);
            ck_assert_msg(strstr(l.problems.ptr, "task.yaml:6:") != NULL, "%s", l.problems.ptr);
        } else {
            ck_loads(&l, b.ptr);
            ck_assert_int_eq(l.task->load.consistency, cases[i].consistency);
        }
        /* Nothing of it matters where nothing is copied. */
        sb_clear(&b);
        sb_printf(&b, HEAD TARGET INSTANCE "    %s\n" SOURCE, cases[i].instance);
        ck_loads(&l, b.ptr);
        sb_done(&b);
    }
    load_done(&l);
}
END_TEST

/* A start point is checked but not used where the copy decides. */
START_TEST(load_ignores_meta)
{
    Load l;
    load_init(&l);
    ck_loads(&l, COPY INSTANCE "    meta: {binlog-name: b.000001, binlog-pos: 4}\n" SOURCE);
    ck_assert(!l.task->sources[0].start.set);
    ck_assert_uint_eq(l.task->sources[0].start.place.line, 6);
    ck_loads(&l, COPY INSTANCE "    meta: {binlog-gtid: 0-1-4}\n" SOURCE);
    ck_assert(!l.task->sources[0].start.set && !l.task->sources[0].enable_gtid);
    ck_loads(&l, COPY INSTANCE "    meta: {}\n" SOURCE);
    ck_refused(&l, COPY INSTANCE "    meta: {binlog-gtid: x}\n" SOURCE, ERR_CONFIG_VALUE, "GTID set");
    ck_refused(&l, COPY INSTANCE "    meta: {binlog-pos: x}\n" SOURCE, ERR_CONFIG_VALUE, "binlog-pos");
    load_done(&l);
}
END_TEST

static Suite *load_options_suite(void)
{
    Suite *s = suite_create("config/load options");
    TCase *c = tcase_create("load options");
    tcase_set_timeout(c, 30);
    tcase_add_test(c, load_keys);
    tcase_add_test(c, load_readers);
    tcase_add_test(c, load_units);
    tcase_add_test(c, load_ignores_meta);
    suite_add_tcase(s, c);
    return s;
}

UNIT_MAIN(load_options_suite)
