#include "load.h"

/* -- defaults and own keys -- */

START_TEST(defaults)
{
    Load l;
    load_init(&l);
    ck_loads(&l, LEAST);
    const Task *t = l.task;
    ck_str(t->name, "t");
    ck_assert_int_eq(t->mode, TASK_MODE_INCREMENTAL);
    ck_assert_int_eq(t->shard_mode, SHARD_MODE_NONE);
    ck_str(t->meta_schema, "dm_meta");
    ck_assert(!t->case_sensitive && !t->strict_optimistic && !t->allow_keyless_tables && t->create_tables);
    ck_assert_uint_eq(t->timezone.len, 0);
    ck_assert_uint_eq(t->target.port, 4000);
    ck_assert_uint_eq(t->worker_count, 4);
    ck_assert_uint_eq(t->batch_rows, 5000);
    ck_assert_uint_eq(t->queue_size, 1024);
    ck_assert_uint_eq(t->checkpoint_interval_ms, 1000);
    ck_assert_uint_eq(t->memory_limit, 128u << 20);
    ck_assert_uint_eq(t->split_transaction_rows, 50000);
    ck_assert_uint_eq(t->spill_bytes, 8u << 20);
    ck_assert_int_eq(t->on_missing_row, MISS_STOP);
    ck_assert_uint_eq(t->collision_grace_ms, 5000);
    ck_assert_uint_eq(t->heartbeat_ms, 1000);
    ck_assert_uint_eq(t->retry_max_seconds, 300);
    char *state = load_path(&l, "state/t");
    ck_str(t->state_dir, state);
    free(state);
    ck_assert_uint_eq(t->n_sources, 1);
    const SourceConfig *s = &t->sources[0];
    ck_str(s->id, "s1");
    ck_str(s->from.host, "up");
    ck_str(s->from.user, "repl");
    ck_assert_uint_eq(s->from.port, 3306);
    ck_assert_uint_eq(s->from.password.len, 0);
    ck_assert(!s->enable_gtid && !s->start.set && !s->allow_list && s->n_routes == 0);
    ck_assert_int_eq(s->case_sensitive, -1);
    ck_assert_int_eq(s->flavor, FLAVOR_UNKNOWN);
    ck_assert_uint_eq(s->server_id, 0);
    ck_assert_uint_eq(s->place.line, 7);
    load_done(&l);
}
END_TEST

START_TEST(own_keys)
{
    Load l;
    load_init(&l);
    ck_loads(&l, LEAST
             "state-dir: /var/lib/x\nmemory-limit: 64MiB\nsplit-transaction-rows: 10\nspill-bytes: 1MiB\n"
             "on-missing-row: record\non-collision: error\ncollision-grace: 1m\nallow-keyless-tables: yes\n"
             "create-tables: off\nheartbeat: 250ms\nretry-max: 90\n");
    const Task *t = l.task;
    ck_str(t->state_dir, "/var/lib/x");
    ck_assert_uint_eq(t->memory_limit, 64u << 20);
    ck_assert_uint_eq(t->split_transaction_rows, 10);
    ck_assert_uint_eq(t->spill_bytes, 1u << 20);
    ck_assert_int_eq(t->on_missing_row, MISS_RECORD);
    ck_assert_uint_eq(t->collision_grace_ms, 60000);
    ck_assert(t->allow_keyless_tables && !t->create_tables);
    ck_assert_uint_eq(t->heartbeat_ms, 250);
    ck_assert_uint_eq(t->retry_max_seconds, 90);
    ck_loads(&l, LEAST "memory-limit: 8MiB\n");
    ck_assert_uint_eq(l.task->spill_bytes, 2u << 20);
    ck_refused(&l, LEAST "memory-limit: 8MiB\nspill-bytes: 8MiB\n", ERR_CONFIG_VALUE,
               "quarter of memory-limit");
    ck_refused(&l, LEAST "on-missing-row: ignore\n", ERR_CONFIG_VALUE, "stop or record");
    ck_refused(&l, LEAST "retry-max: 0\n", ERR_CONFIG_VALUE, "at least 1");
    load_done(&l);
}
END_TEST

#define PROVENANCE "provenance: [{column: shard, value: '${source}'}]"

/* The policy of the one rule: its own word, else the task's. */
START_TEST(collisions)
{
    static const struct {
        const char *task, *rule;
        ConflictPolicy policy;
        const char *column;
        ErrCode code; /* 0: it loads */
        const char *words;
    } cases[] = {
        {"", "", CONFLICT_STOP, "", 0, NULL},
        {"on-collision: error\n", "", CONFLICT_STOP, "", 0, NULL},
        {"", ", key: {on-collision: conflict-table, " PROVENANCE "}", CONFLICT_TABLE, "", 0, NULL},
        {"on-collision: conflict-table\n", ", key: {" PROVENANCE "}", CONFLICT_TABLE, "", 0, NULL},
        {"on-collision: conflict-table\n", "", 0, "", ERR_CONFIG_MISSING, "provenance columns in rule r"},
        {"on-collision: conflict-table\n", ", key: {on-collision: stop}", CONFLICT_STOP, "", 0, NULL},
        {"on-collision: conflict-table\n",
         ", key: {on-collision: keep-first, collision-column: a, " PROVENANCE "}", CONFLICT_KEEP_FIRST, "a",
         0, NULL},
        {"on-collision: keep-newest\ncollision-column: b\n", ", key: {" PROVENANCE "}", CONFLICT_KEEP_NEWEST,
         "b", 0, NULL},
        {"on-collision: keep-newest\ncollision-column: b\n", ", key: {collision-column: c, " PROVENANCE "}",
         CONFLICT_KEEP_NEWEST, "c", 0, NULL},
        {"on-collision: keep-newest\ncollision-column: b\n",
         ", key: {on-collision: conflict-table, " PROVENANCE "}", CONFLICT_TABLE, "", 0, NULL},
        {"collision-column: b\n", ", key: {on-collision: keep-first, " PROVENANCE "}", CONFLICT_KEEP_FIRST,
         "b", 0, NULL},
        {"on-collision: keep-newest\n", ", key: {" PROVENANCE "}", 0, "", ERR_CONFIG_MISSING,
         "needs collision-column in rule r"},
        {"", ", key: {on-collision: keep-first, " PROVENANCE "}", 0, "", ERR_CONFIG_MISSING, "arrives first"},
        {"", ", key: {collision-column: a, " PROVENANCE "}", 0, "", ERR_CONFIG_VALUE, "compares no column"},
        {"collision-column: b\n", "", 0, "", ERR_CONFIG_VALUE, "compares no column"},
    };
    Load l;
    load_init(&l);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        CLEANUP(sb_done) StrBuf text = {0};
        sb_printf(&text,
                  HEAD TARGET INSTANCE
                  "    route-rules: [r]\n" SOURCE
                  "%sroutes: {r: {schema-pattern: s, table-pattern: t, target-schema: m, "
                  "target-table: t%s}}\n",
                  cases[i].task, cases[i].rule);
        if (cases[i].code) {
            ck_refused(&l, text.ptr, cases[i].code, cases[i].words);
            continue;
        }
        ck_loads(&l, text.ptr);
        ck_assert_int_eq(l.task->routes[0].key.on_conflict, cases[i].policy);
        ck_str(l.task->routes[0].key.conflict_column, cases[i].column);
    }
    load_done(&l);
}
END_TEST

START_TEST(modes)
{
    Load l;
    load_init(&l);
    ck_loads(&l, LEAST "is-sharding: true\n");
    ck_assert_int_eq(l.task->shard_mode, SHARD_MODE_PESSIMISTIC);
    ck_loads(&l, LEAST "shard-mode: optimistic\nstrict-optimistic-shard-mode: true\nis-sharding: true\n");
    ck_assert_int_eq(l.task->shard_mode, SHARD_MODE_OPTIMISTIC);
    ck_assert(l.task->strict_optimistic);
    ck_loads(&l, LEAST "shard-mode: \"\"\ntimezone: '+08:00'\ncase-sensitive: true\nmeta-schema: m\n");
    ck_assert_int_eq(l.task->shard_mode, SHARD_MODE_NONE);
    ck_str(l.task->timezone, "+08:00");
    ck_str(l.task->meta_schema, "m");
    ck_assert(l.task->case_sensitive);
    ck_refused(&l, LEAST "timezone: '+25:00'\n", ERR_CONFIG_VALUE, "time zone");
    ck_refused(&l, LEAST "shard-mode: strict\n", ERR_CONFIG_VALUE, "pessimistic or optimistic");
    ck_loads(&l, "name: t\ntask-mode: full\n" TARGET INSTANCE SOURCE);
    ck_assert_int_eq(l.task->mode, TASK_MODE_FULL);
    ck_loads(&l, "name: t\ntask-mode: all\n" TARGET INSTANCE SOURCE);
    ck_assert_int_eq(l.task->mode, TASK_MODE_ALL);
    ck_refused(&l, "name: t\ntask-mode: dump\n" TARGET INSTANCE SOURCE, ERR_NOT_SUPPORTED,
               "full (copy, then end)");
    ck_refused(&l, "name: t\ntask-mode: load&sync\n" TARGET INSTANCE SOURCE, ERR_NOT_SUPPORTED, ":2:12: ");
    ck_refused(&l, "name: t\n" TARGET INSTANCE SOURCE, ERR_CONFIG_MISSING, "task-mode is missing");
    ck_refused(&l, LEAST "remove-meta: true\n", ERR_CONFIG_REFUSED_KEY, "state folder");
    load_done(&l);
}
END_TEST

/* Keys without effect are read and checked all the same. */
START_TEST(accepted_keys)
{
    Load l;
    load_init(&l);
    ck_loads(
        &l, LEAST
        "online-ddl: false\nonline-ddl-scheme: pt\ncollation_compatible: strict\nclean-dump-file: false\n"
        "ignore-checking-items: [all]\nexperimental: {async-checkpoint-flush: true}\n"
        "mariadb2tidb: {mode: off, strict-mode: false}\nansi-quotes: true\nenable-heartbeat: true\n");
    ck_refused(&l, LEAST "online-ddl-scheme: ghost\n", ERR_CONFIG_VALUE, "did you mean gh-ost");
    ck_refused(&l, LEAST "experimental: {async-checkpoint-flsh: true}\n", ERR_CONFIG_UNKNOWN_KEY,
               "'async-checkpoint-flush'");
    ck_refused(&l, LEAST "ignore-checking-items: all\n", ERR_CONFIG_VALUE, "list");
    ck_refused(&l, LEAST "shadow-table-rules: ['^_(.+)_new$']\n", ERR_NOT_SUPPORTED, "shadow-table-rules");
    ck_loads(&l, HEAD TARGET INSTANCE "    mydumper: {threads: 8}\n    loader: {import-mode: Physical}\n"
                                      "    mydumper-thread: 2\n    loader-thread: 2\n" SOURCE);
    ck_refused(&l, HEAD TARGET INSTANCE "    mydumper: {threads: many}\n" SOURCE, ERR_CONFIG_VALUE,
               "threads");
    load_done(&l);
}
END_TEST

/* -- endpoints -- */

START_TEST(passwords)
{
    Load l;
    load_init(&l);
    ck_loads(&l, HEAD "target-database: {host: h, user: u, password: 0123456}\n" INSTANCE SOURCE);
    ck_str(l.task->target.password, "0123456");
    ck_assert(!l.task->target.password_looks_encrypted);
    ck_loads(
        &l, HEAD
        "target-database: {host: h, user: u, password: MTIzNDU2Nzg5MDEyMzQ1NkBhYmNkZQ==}\n" INSTANCE SOURCE);
    ck_str(l.task->target.password, "MTIzNDU2Nzg5MDEyMzQ1NkBhYmNkZQ==");
    ck_assert(l.task->target.password_looks_encrypted);
    ck_assert_int_eq(setenv("SM_CONFIG_TEST_PW", "from env ", 1), 0);
    ck_loads(&l,
             HEAD "target-database: {host: h, user: u, password-env: SM_CONFIG_TEST_PW}\n" INSTANCE SOURCE);
    ck_str(l.task->target.password, "from env ");
    load_write(&l, "pw", STR("from file\n"), 0600);
    static const char from_file[] =
        HEAD "target-database: {host: h, user: u, password-file: pw}\n" INSTANCE SOURCE;
    ck_loads(&l, from_file);
    ck_str(l.task->target.password, "from file");
    load_write(&l, "pw", STR("two\n\n"), 0400);
    ck_loads(&l, from_file);
    ck_str(l.task->target.password, "two\n");
    load_write(&l, "pw", STR("dos\r\n"), 0600);
    ck_loads(&l, from_file);
    ck_str(l.task->target.password, "dos");
    load_write(&l, "pw", STR("open\n"), 0640);
    ck_refused(&l, from_file, ERR_CONFIG_FILE, "chmod 600");
    load_write(&l, "pw", STR("a\0b\n"), 0600);
    ck_refused(&l, from_file, ERR_CONFIG_FILE, "zero byte");
    /* Offline nobody asks for secrets. */
    l.offline = true;
    ck_loads(
        &l, HEAD
        "target-database: {host: h, user: u, password-file: none, security: {ssl-ca: none}}\n" INSTANCE
        "sources:\n  - source-id: s1\n    from: {host: h, user: u, password-env: NO_SUCH_VARIABLE_HERE}\n");
    ck_assert_uint_eq(l.task->target.password.len, 0);
    load_done(&l);
}
END_TEST

START_TEST(sockets)
{
    Load l;
    load_init(&l);
    ck_loads(&l, HEAD "target-database: {socket: run/db.sock, user: u}\n" INSTANCE SOURCE);
    char *path = load_path(&l, "run/db.sock");
    ck_str(l.task->target.socket, path);
    ck_assert_uint_eq(l.task->target.port, 0);
    free(path);
    ck_refused(&l, HEAD "target-database: {socket: x, host: h, port: 1, user: u}\n" INSTANCE SOURCE,
               ERR_CONFIG_VALUE, "both socket and port");
    ck_refused(&l, HEAD "target-database: {user: u}\n" INSTANCE SOURCE, ERR_CONFIG_MISSING,
               "host is missing");
    ck_refused(&l, HEAD "target-database: {host: '', user: u}\n" INSTANCE SOURCE, ERR_CONFIG_MISSING,
               "host is missing");
    load_done(&l);
}
END_TEST

START_TEST(session_variables)
{
    Load l;
    load_init(&l);
    ck_loads(&l, HEAD "target-database:\n  host: h\n  user: u\n  session: {wait_timeout: 100, tidb_x: 'a b', "
                      "TIME_ZONE: '+00:00', foreign_key_checks: off, unique_checks: 1}\n" INSTANCE SOURCE);
    ck_assert_uint_eq(l.task->target.n_session, 5);
    ck_str(l.task->target.session[1].name, "tidb_x");
    ck_str(l.task->target.session[1].value, "a b");
    static const char *const fights[] = {"sql_mode: ''",          "time_zone: '+08:00'",
                                         "Foreign_Key_Checks: 1", "tidb_txn_mode: optimistic",
                                         "autocommit: 0",         "transaction_isolation: SERIALIZABLE"};
    for (size_t i = 0; i < ARRAY_LEN(fights); i++) {
        StrBuf b = {0};
        sb_printf(&b, HEAD "target-database: {host: h, user: u, session: {%s}}\n" INSTANCE SOURCE, fights[i]);
        ck_refused(&l, b.ptr, ERR_CONFIG_REFUSED_KEY, "set by the program itself");
        sb_done(&b);
    }
    ck_refused(&l, HEAD "target-database: {host: h, user: u, session: {'a=1, b': 1}}\n" INSTANCE SOURCE,
               ERR_CONFIG_VALUE, "name of a variable");
    ck_refused(&l, HEAD "target-database: {host: h, user: u, session: {a: [1]}}\n" INSTANCE SOURCE,
               ERR_CONFIG_VALUE, "single value");
    ck_refused(&l,
               HEAD TARGET INSTANCE "sources: [{source-id: s1, from: {host: h, user: u, session: {a: 1}}}]\n",
               ERR_NOT_SUPPORTED, "not supported yet for a source");
    load_done(&l);
}
END_TEST

static void check_file(const char *path, const char *content)
{
    char text[64] = {0};
    struct stat st;
    int fd = open(path, O_RDONLY);
    ck_assert_msg(fd >= 0, "%s", path);
    ck_assert_int_ge(read(fd, text, sizeof text - 1), 0);
    ck_assert_str_eq(text, content);
    ck_assert_int_eq(fstat(fd, &st), 0);
    ck_assert_uint_eq(st.st_mode & 0777, 0600);
    close(fd);
}

START_TEST(tls)
{
    Load l;
    load_init(&l);
    load_write(&l, "ca.pem", STR("the ca\n"), 0644);
    ck_loads(&l, HEAD "target-database: {host: h, user: u, security: {ssl-ca: ca.pem}}\n" INSTANCE SOURCE);
    const TlsOpts *o = &l.task->target.tls;
    char *path = load_path(&l, "ca.pem");
    ck_assert_str_eq(o->ca, path);
    free(path);
    ck_assert(o->verify && o->required && !o->cert && !o->key && !l.task->private_dir);
    ck_assert(!l.task->sources[0].from.tls.required);
    ck_loads(&l, HEAD
             "target-database:\n  host: h\n  user: u\n  security:\n    ssl-ca-base64: dGhlIGNhCg==\n"
             "    ssl-cert-bytes: |\n      the cert\n    ssl-key-bytes: [107, 101, 121]\n" INSTANCE SOURCE);
    o = &l.task->target.tls;
    check_file(o->ca, "the ca\n");
    check_file(o->cert, "the cert\n");
    check_file(o->key, "key");
    char *dir = str_dup(str_of(l.task->private_dir));
    struct stat st;
    ck_assert_int_eq(stat(dir, &st), 0);
    ck_assert_uint_eq(st.st_mode & 0777, 0700);
    task_free(l.task);
    l.task = NULL;
    ck_assert_int_ne(stat(dir, &st), 0);
    free(dir);
    ck_refused(
        &l,
        HEAD "target-database: {host: h, user: u, security: {ssl-ca: ca.pem, ssl-ca-base64: YQ==}}\n" INSTANCE
            SOURCE,
        ERR_CONFIG_VALUE, "both ssl-ca and ssl-ca-base64");
    ck_refused(
        &l,
        HEAD
        "target-database: {host: h, user: u, security: {ssl-key-bytes: [300], ssl-cert-bytes: x}}\n" INSTANCE
            SOURCE,
        ERR_CONFIG_VALUE, "byte values");
    ck_refused(
        &l, HEAD "target-database: {host: h, user: u, security: {cert-allowed-cn: [me]}}\n" INSTANCE SOURCE,
        ERR_NOT_SUPPORTED, "cert-allowed-cn");
    ck_refused(&l, HEAD "target-database: {host: h, user: u, security: {ssl-ca: gone.pem}}\n" INSTANCE SOURCE,
               ERR_CONFIG_FILE, "gone.pem cannot be read");
    load_done(&l);
}
END_TEST

/* -- rules and references -- */

START_TEST(routes_and_lists)
{
    Load l;
    load_init(&l);
    ck_loads(
        &l, HEAD TARGET INSTANCE
        "    route-rules: [b, a]\n    block-allow-list: w\n" SOURCE
        "routes:\n  a: {schema-pattern: 's_*', table-pattern: '~^t_([0-9]+)$', target-schema: d, "
        "target-table: t$1}\n"
        "  b: {schema-pattern: 's_*', target-schema: d}\n"
        "block-allow-list:\n  w:\n    do-dbs: [x, '~y']\n    ignore-dbs: [z]\n"
        "    do-tables: [{db-name: x, tbl-name: 't*'}]\n    ignore-tables: [{db-name: x, tbl-name: u}]\n");
    const SourceConfig *s = &l.task->sources[0];
    ck_assert_uint_eq(l.task->n_routes, 2);
    ck_assert_uint_eq(s->n_routes, 2);
    ck_str(s->routes[0]->name, "b");
    ck_str(s->routes[1]->table_pattern, "~^t_([0-9]+)$");
    ck_str(s->routes[1]->target_table, "t$1");
    ck_assert_ptr_eq(s->routes[1], &l.task->routes[0]);
    ck_assert_uint_eq(s->routes[1]->place.line, 12);
    ck_assert_uint_eq(s->routes[0]->table_pattern.len, 0);
    const AllowList *w = s->allow_list;
    ck_assert_ptr_nonnull(w);
    ck_assert(w->n_do_dbs == 2 && w->n_ignore_dbs == 1 && w->n_do_tables == 1 && w->n_ignore_tables == 1);
    ck_str(w->do_dbs[1], "~y");
    ck_str(w->do_tables[0].table, "t*");
    ck_str(w->ignore_tables[0].table, "u");
    ck_refused(&l,
               HEAD TARGET INSTANCE "    route-rules: [a]\n" SOURCE
                                    "routes: {a: {schema-pattern: s, target-schema: d, target-table: t}}\n",
               ERR_CONFIG_MISSING, "target-table without table-pattern");
    ck_refused(&l,
               HEAD TARGET INSTANCE "    route-rules: [a, a]\n" SOURCE
                                    "routes: {a: {schema-pattern: s, target-schema: d}}\n",
               ERR_CONFIG_VALUE, "stands twice");
    ck_refused(&l, HEAD TARGET INSTANCE "    route-rules: [a]\n" SOURCE "routes: {a: }\n", ERR_CONFIG_MISSING,
               "'a' is empty");
    ck_refused(&l, HEAD TARGET INSTANCE "    route-rules: [a]\n" SOURCE "routes: {a: x}\n", ERR_CONFIG_VALUE,
               "each name must hold");
    ck_refused(&l, LEAST "block-allow-list: {w: {do-dbs: [x]}}\n", ERR_CONFIG_REFERENCE,
               "used by no instance");
    ck_refused(&l,
               HEAD TARGET INSTANCE "    block-allow-list: w\n" SOURCE
                                    "block-allow-list: {w: {do-dbs: [''], do-tables: [{tbl-name: t}]}}\n",
               ERR_CONFIG_VALUE, "db-name is missing");
    ck_refused(&l,
               HEAD TARGET INSTANCE "    block-allow-list: w\n" SOURCE
                                    "block-allow-list: {w: {ignore-tables: [{db-name: x}]}}\n",
               ERR_CONFIG_MISSING, "tbl-name is missing in ignore-tables");
    load_done(&l);
}
END_TEST

START_TEST(old_spellings)
{
    Load l;
    load_init(&l);
    /* Either name here and there. */
    static const char *const sections[] = {"block-allow-list", "black-white-list"};
    for (size_t i = 0; i < 4; i++) {
        StrBuf b = {0};
        sb_printf(&b, HEAD TARGET INSTANCE "    %s: w\n" SOURCE "%s: {w: {do-dbs: [x]}}\n", sections[i & 1],
                  sections[i >> 1]);
        ck_loads(&l, b.ptr);
        ck_str(l.task->sources[0].allow_list->do_dbs[0], "x");
        sb_done(&b);
    }
    ck_refused(&l,
               HEAD TARGET INSTANCE "    block-allow-list: w\n    black-white-list: w\n" SOURCE
                                    "block-allow-list: {w: {do-dbs: [x]}}\n",
               ERR_CONFIG_VALUE, "two names of one key");
    ck_refused(&l,
               HEAD TARGET INSTANCE
               "    block-allow-list: w\n" SOURCE
               "block-allow-list: {w: {do-dbs: [x]}}\nblack-white-list: {v: {do-dbs: [x]}}\n",
               ERR_CONFIG_VALUE, "two names of one section");
    ck_refused(
        &l, HEAD TARGET INSTANCE "    block-allow-list: wv\n" SOURCE "black-white-list: {w: {do-dbs: [x]}}\n",
        ERR_CONFIG_REFERENCE, "black-white-list has no 'wv'");
    load_done(&l);
}
END_TEST

START_TEST(syncers)
{
    Load l;
    load_init(&l);
    ck_loads(&l, HEAD TARGET INSTANCE
             "    syncer-config-name: g\n" SOURCE
             "syncers: {g: {worker-count: 16, batch: 100, queue-size: 2, checkpoint-flush-interval: 30}}\n");
    ck_assert_uint_eq(l.task->worker_count, 16);
    ck_assert_uint_eq(l.task->batch_rows, 100);
    ck_assert_uint_eq(l.task->queue_size, 2);
    ck_assert_uint_eq(l.task->checkpoint_interval_ms, 30000);
    /* syncer-thread wins over worker-count; among instances the largest counts; 0 is the default. */
    ck_loads(&l, HEAD TARGET
             "mysql-instances:\n"
             "  - {source-id: s1, syncer: {worker-count: 9, batch: 0, enable-gtid: true}, syncer-thread: 2}\n"
             "  - {source-id: s2, syncer: {queue-size: 7, checkpoint-flush-interval: 50ms}}\n" SOURCE
             "  - {source-id: s2, from: {host: h, user: u}}\n");
    ck_assert_uint_eq(l.task->worker_count, 2);
    ck_assert_uint_eq(l.task->batch_rows, 5000);
    ck_assert_uint_eq(l.task->queue_size, 7);
    ck_assert_uint_eq(l.task->checkpoint_interval_ms, 50);
    ck_assert(l.task->sources[0].enable_gtid && !l.task->sources[1].enable_gtid);
    ck_loads(&l, HEAD TARGET INSTANCE "    syncer-config-name: g\n" SOURCE "syncers: {g: }\n");
    ck_assert_uint_eq(l.task->worker_count, 4);
    ck_refused(&l, LEAST "syncers: {g: {worker-count: 16}}\n", ERR_CONFIG_REFERENCE, "'g' of syncers");
    ck_refused(&l, HEAD TARGET INSTANCE "    syncer-config-name: globl\n" SOURCE "syncers: {global: {}}\n",
               ERR_CONFIG_REFERENCE, "did you mean 'global'");
    ck_refused(&l, HEAD TARGET INSTANCE "    syncer: {worker-count: -1}\n" SOURCE, ERR_CONFIG_VALUE,
               "worker-count");
    static const char *const both[] = {"mydumper-config-name: g\n    mydumper: {}",
                                       "loader-config-name: g\n    loader: {}"};
    for (size_t i = 0; i < ARRAY_LEN(both); i++) {
        StrBuf b = {0};
        sb_printf(&b, HEAD TARGET INSTANCE "    %s\n" SOURCE "%s: {g: {}}\n", both[i],
                  i ? "loaders" : "mydumpers");
        ck_refused(&l, b.ptr, ERR_CONFIG_VALUE, "both ");
        sb_done(&b);
    }
    load_done(&l);
}
END_TEST

/* What a later version does is refused wherever it is used. */
START_TEST(later_features)
{
    static const char *const instance[] = {"filter-rules: [f]", "expression-filters: [f]"};
    static const char *const top[] = {
        "filters: {f: {schema-pattern: x, action: Ignore}}",
        "expression-filter: {f: {schema: x, table: y, insert-value-expr: c = 1}}"};
    Load l;
    load_init(&l);
    for (size_t i = 0; i < ARRAY_LEN(top); i++) {
        StrBuf b = {0};
        sb_printf(&b, HEAD TARGET INSTANCE "    %s\n" SOURCE "%s\n", instance[i], top[i]);
        ck_refused(&l, b.ptr, ERR_NOT_SUPPORTED, ":6:5: [SM-1003");
        ck_assert_ptr_nonnull(strstr(l.problems.ptr, ":10:1: [SM-1003"));
        sb_done(&b);
    }
    ck_refused(&l, LEAST "    filters: [{schema-pattern: x, action: Ignore}]\n", ERR_NOT_SUPPORTED,
               "filters");
    ck_loads(&l, LEAST "    filters: []\n");
    ck_refused(&l, LEAST "    enable: false\n", ERR_CONFIG_REFUSED_KEY, "mysql-instances");
    ck_refused(&l, LEAST "    enable-relay: on\n", ERR_CONFIG_REFUSED_KEY, "retention");
    ck_loads(&l, LEAST "    enable-relay: off\n    relay-dir: x\n    relay-binlog-name: mysql-bin.000001\n");
    load_done(&l);
}
END_TEST

/* -- start points -- */

#define WITH_META(meta) HEAD TARGET INSTANCE "    meta: {" meta "}\n" SOURCE

START_TEST(start_points)
{
    Load l;
    load_init(&l);
    ck_loads(&l, WITH_META("binlog-name: mysql-bin.000007, binlog-pos: 154"));
    const SourceConfig *s = &l.task->sources[0];
    ck_assert(s->start.set && !s->enable_gtid);
    ck_str(s->start.binlog_name, "mysql-bin.000007");
    ck_assert_uint_eq(s->start.binlog_pos, 154);
    ck_loads(&l, WITH_META("binlog-name: mysql-bin.000007"));
    ck_assert_uint_eq(l.task->sources[0].start.binlog_pos, 4);
    ck_loads(&l, WITH_META("binlog-name: mysql-bin.000007, binlog-pos: 5000000000"));
    ck_assert_uint_eq(l.task->sources[0].start.binlog_pos, 5000000000u);
    ck_loads(&l, WITH_META("binlog-gtid: '0-1-25,7-2-9'"));
    ck_assert(l.task->sources[0].enable_gtid);
    ck_str(l.task->sources[0].start.binlog_gtid, "0-1-25,7-2-9");
    ck_loads(
        &l, WITH_META("binlog-gtid: '03fc0263-28c7-11e7-a653-6c0b84d59f30:1-7041423'") "    flavor: mysql\n");
    ck_loads(&l, WITH_META("binlog-name: a.000001, binlog-gtid: '0-1-25'") "    enable-gtid: true\n");
    ck_assert(l.task->sources[0].enable_gtid);
    ck_refused(&l, WITH_META("binlog-gtid: '0-1-25'") "    flavor: mysql\n", ERR_CONFIG_VALUE,
               "not a GTID set of MySQL");
    ck_refused(&l, WITH_META("binlog-gtid: '0-1-25'") "    enable-gtid: false\n", ERR_CONFIG_VALUE,
               "enable-gtid: true");
    ck_refused(&l, WITH_META("binlog-name: mysql-bin|000001.000003"), ERR_CONFIG_VALUE, "SHOW BINARY LOGS");
    ck_refused(&l, WITH_META(""), ERR_CONFIG_MISSING, "present end");
    load_done(&l);
}
END_TEST

/* -- where sources come from -- */

START_TEST(source_files)
{
    static const char two[] = HEAD TARGET "mysql-instances: [{source-id: s1}, {source-id: s2}]\n";
    static const char one[] =
        "source-id: s1\nfrom: {host: one, user: u}\nserver-id: 77\ncase-sensitive: true\nflavor: mariadb\n";
    Load l;
    load_init(&l);
    ck_refused(&l, two, ERR_CONFIG_REFERENCE, "--source FILE");
    char *dir = load_path(&l, "sources");
    ck_assert_int_eq(mkdir(dir, 0700), 0);
    free(dir);
    load_write(&l, "sources/b.yaml", str_of(one), 0600);
    load_write(&l, "sources/a.yml", STR("source-id: s2\nfrom: {host: two, user: u}\n"), 0600);
    load_write(&l, "sources/other.yaml", STR("source-id: other\nenable-relay: true\nno-such-key: 1\n"), 0600);
    load_write(&l, "sources/notes.txt", STR("not: [yaml"), 0600);
    ck_loads(&l, two);
    ck_assert_uint_eq(l.task->n_sources, 2);
    ck_str(l.task->sources[0].from.host, "one");
    ck_assert_uint_eq(l.task->sources[0].server_id, 77);
    ck_assert_int_eq(l.task->sources[0].case_sensitive, 1);
    ck_assert_int_eq(l.task->sources[0].flavor, FLAVOR_MARIADB);
    ck_str(l.task->sources[1].from.host, "two");
    /* A file that cannot be read as YAML is a problem even there: it might have been the one. */
    load_write(&l, "sources/c.yaml", STR("a: [\n"), 0600);
    ck_refused(&l, two, ERR_CONFIG_SYNTAX, "sources/c.yaml:2:1:");
    load_write(&l, "sources/c.yaml", STR("source-id: s1\n"), 0600);
    ck_refused(&l, two, ERR_CONFIG_REFERENCE, "defined twice");
    /* --source and inline sources leave the folder alone, and go together. */
    load_write(&l, "x.yaml", str_of(one), 0600);
    char *x = load_path(&l, "x.yaml");
    l.files[l.n_files++] = x;
    ck_loads(&l, HEAD TARGET INSTANCE);
    ck_str(l.task->sources[0].from.host, "one");
    ck_loads(&l, HEAD TARGET "mysql-instances: [{source-id: s1}, {source-id: s2}]\n"
                             "sources: [{source-id: s2, from: {host: inline, user: u}}]\n");
    ck_str(l.task->sources[1].from.host, "inline");
    ck_refused(&l, LEAST, ERR_CONFIG_REFERENCE, "defined twice");
    l.files[l.n_files++] = "/no/such/source.yaml";
    ck_refused(&l, HEAD TARGET INSTANCE, ERR_CONFIG_FILE, "/no/such/source.yaml: [SM-1201");
    free(x);
    load_done(&l);
}
END_TEST

/* Problems of a source file that is used carry that file's name; passwords are looked for beside it. */
START_TEST(source_file_problems)
{
    Load l;
    load_init(&l);
    char *dir = load_path(&l, "sources");
    ck_assert_int_eq(mkdir(dir, 0700), 0);
    free(dir);
    load_write(&l, "sources/s1.yaml", STR("source-id: s1\nform: {host: one, user: u}\n"), 0600);
    ck_refused(&l, HEAD TARGET INSTANCE, ERR_CONFIG_MISSING, "from is missing in s1");
    ck_assert_ptr_nonnull(strstr(l.problems.ptr, "sources/s1.yaml:2:1: [SM-1203"));
    ck_assert_ptr_nonnull(strstr(l.problems.ptr, "did you mean 'from'"));
    load_write(&l, "sources/pw", STR("beside\n"), 0600);
    load_write(&l, "sources/s1.yaml", STR("source-id: s1\nfrom: {host: one, user: u, password-file: pw}\n"),
               0600);
    ck_loads(&l, HEAD TARGET INSTANCE);
    ck_str(l.task->sources[0].from.password, "beside");
    load_write(&l, "sources/s1.yaml", STR("source-id:\nfrom: {host: one, user: u}\n"), 0600);
    ck_refused(&l, HEAD TARGET INSTANCE, ERR_CONFIG_MISSING, "source-id is missing");
    load_done(&l);
}
END_TEST

/* -- all problems at once, in order -- */

START_TEST(report_is_sorted)
{
    Load l;
    load_init(&l);
    ck_refused(&l, "zzzz: 1\nname: [t]\n" TARGET "aaaa: 2\ntask-mode: load\n" INSTANCE SOURCE,
               ERR_CONFIG_UNKNOWN_KEY, "aaaa");
    unsigned last = 0, n = 0;
    for (Str rest = sb_view(&l.problems); rest.len; n++) {
        Str line = str_split(&rest, '\n');
        str_split(&line, ':');
        uint64_t number;
        ck_assert(str_to_u64(str_split(&line, ':'), &number));
        ck_assert_uint_ge(number, last);
        last = (unsigned)number;
    }
    ck_assert_uint_eq(n, 4);
    ck_assert(strstr(l.err.message, "task.yaml:1:1: unknown key 'zzzz'") != NULL);
    load_done(&l);
}
END_TEST

/* -- the fixtures that load -- */

static Task *fixture(const char *path, const char *const *files, size_t n)
{
    Task *t = NULL;
    StrBuf problems = {0};
    Err err = {0};
    TaskOpts opts = {.source_files = files, .n_source_files = n};
    ck_assert_msg(task_load(path, &opts, &t, &problems, &err), "%s", problems.ptr);
    sb_done(&problems);
    return t;
}

START_TEST(full_size_example)
{
    static const char *const files[] = {"fixtures/config/dm-full/source1.yaml",
                                        "fixtures/config/dm-full/source2.yaml"};
    ck_assert_int_eq(setenv("SHARDMERGE_FIXTURE_PASSWORD", "pw", 1), 0);
    Task *t = fixture("fixtures/config/dm-full/task.yaml", files, 2);
    ck_str(t->name, "orders-merge");
    ck_assert_int_eq(t->shard_mode, SHARD_MODE_OPTIMISTIC);
    ck_str(t->meta_schema, "dm_meta_orders");
    ck_str(t->target.password, "secret:with #signs");
    ck_assert_uint_eq(t->target.n_session, 4);
    ck_assert_str_eq(t->target.tls.ca, "fixtures/config/dm-full/ca.pem");
    ck_assert_uint_eq(t->worker_count, 24);
    ck_assert_uint_eq(t->batch_rows, 100);
    ck_assert_uint_eq(t->queue_size, 2048);
    ck_assert_uint_eq(t->checkpoint_interval_ms, 30000);
    ck_assert_uint_eq(t->n_sources, 2);
    const SourceConfig *one = &t->sources[0], *two = &t->sources[1];
    ck_str(one->id, "mysql-replica-01");
    ck_assert_int_eq(one->flavor, FLAVOR_MYSQL);
    ck_assert_uint_eq(one->server_id, 429523137);
    ck_assert(one->enable_gtid && one->start.set && one->n_routes == 2);
    ck_str(one->allow_list->name, "shops");
    ck_assert_int_eq(one->case_sensitive, 0);
    ck_assert_int_eq(two->flavor, FLAVOR_MARIADB);
    ck_assert(two->enable_gtid && !two->start.set && two->n_routes == 1);
    ck_str(two->from.password, "pw");
    ck_assert(two->from.tls.required && two->from.tls.verify);
    ck_assert_str_eq(two->place.file, files[1]);
    task_free(t);
}
END_TEST

START_TEST(small_examples)
{
    static const char *const files[] = {"fixtures/config/minimal/shard1.yaml"};
    Task *t = fixture("fixtures/config/minimal/task.yaml", files, 1);
    ck_assert_uint_eq(t->n_sources, 1);
    task_free(t);
    t = fixture("fixtures/config/folder/task.yaml", NULL, 0);
    ck_assert_uint_eq(t->sources[0].from.port, 3307);
    ck_assert(t->sources[1].enable_gtid);
    task_free(t);
    t = fixture("fixtures/config/inline/task.yaml", NULL, 0);
    ck_assert_uint_eq(t->sources[1].from.port, 3308);
    ck_str(t->sources[1].from.host, "127.0.0.1");
    ck_assert_uint_eq(t->retry_max_seconds, 600);
    ck_str(t->state_dir, "fixtures/config/inline/var/inline");
    task_free(t);
}
END_TEST

static Suite *task_suite(void)
{
    Suite *s = suite_create("config/task");
    TCase *c = tcase_create("task");
    tcase_set_timeout(c, 30);
    tcase_add_test(c, defaults);
    tcase_add_test(c, own_keys);
    tcase_add_test(c, collisions);
    tcase_add_test(c, modes);
    tcase_add_test(c, accepted_keys);
    tcase_add_test(c, passwords);
    tcase_add_test(c, sockets);
    tcase_add_test(c, session_variables);
    tcase_add_test(c, tls);
    tcase_add_test(c, routes_and_lists);
    tcase_add_test(c, old_spellings);
    tcase_add_test(c, syncers);
    tcase_add_test(c, later_features);
    tcase_add_test(c, start_points);
    tcase_add_test(c, source_files);
    tcase_add_test(c, source_file_problems);
    tcase_add_test(c, report_is_sorted);
    tcase_add_test(c, full_size_example);
    tcase_add_test(c, small_examples);
    suite_add_tcase(s, c);
    return s;
}

UNIT_MAIN(task_suite)
