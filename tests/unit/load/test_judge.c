/* What becomes of changes of tables that are copied in part: after a restart, when a schema change is read
 * again, for tables that come while the run goes on. No server: readers that cannot connect. */
#include "unit.h"
#include "db/conn.h"
#include "load/encode.h"
#include "load/load.h"
#include "model/point.h"
#include "track/schema_map.h"
#include "track/tables.h"

enum { MOST = 4 };

typedef struct Copy {
    Arena arena;
    LoadOptions options;
    TableSchema *schema;
    TableMap *map;
    RowEncoder *encoder;
    Member members[MOST];
    Binding bindings[MOST];
    const Member *list[MOST];
    Load *load;
    size_t left; /* operations of the last transaction that was handed on */
    size_t failures;
} Copy;

static const Col int_key[] = {{.name = "k", .type = "int"}};

static bool hook_deliver(void *ctx, Txn *t)
{
    ((Copy *)ctx)->left = t->n_ops;
    txn_free(t);
    return true;
}

static bool hook_table(void *ctx, uint32_t source, const Member *m, const StreamPoint *at, LoadTableInfo *out,
                       Err *err)
{
    Copy *w = ctx;
    (void)source;
    (void)at;
    (void)err;
    *out =
        (LoadTableInfo){.schema = w->schema, .map = w->map, .binding = &w->bindings[m->id], .name = m->name};
    return true;
}

static void hook_failed(void *ctx, uint32_t source, Err *err)
{
    (void)source;
    ((Copy *)ctx)->failures++;
    err_clear(err);
}

static bool hook_is_behind(void *ctx, uint32_t source)
{
    (void)ctx;
    (void)source;
    return false;
}

static Str point_json(Copy *w, uint64_t pos)
{
    StreamPoint p = {.flavor = FLAVOR_MARIADB};
    StrBuf b CLEANUP(sb_done) = {0};
    point_set_file(&p, STR("bin.000001"), pos);
    p.server = str_dup(STR("server_id:1"));
    point_format(&p, &b);
    point_done(&p);
    return arena_str(&w->arena, sb_view(&b));
}

/* Nothing is known yet but the definition; each table has one key column k. */
static Copy *copy_world(void)
{
    Copy *w = mem_zalloc(sizeof *w);
    Err err = {0};
    w->options = (LoadOptions){.readers = 1, .chunk_rows = 100, .chunk_bytes = 65536, .chunk_ms = 1000};
    w->schema = table("t", int_key, 1, (const char *const[]){"PRIMARY:k", NULL});
    ck_assert(schema_table_map(w->schema, FLAVOR_MARIADB, &w->arena, &w->map, &err));
    ck_assert(row_encoder_new(w->schema, w->map, FLAVOR_MARIADB, &w->encoder, &err));
    for (uint32_t i = 0; i < MOST; i++) {
        w->members[i] = (Member){.id = i, .name = {STR("db"), arena_printf(&w->arena, "t%u", i)}};
        w->bindings[i] = (Binding){.member = &w->members[i], .map = w->map};
        w->list[i] = &w->members[i];
    }
    return w;
}

static void begin(Copy *w, size_t n_members, const LoadDone *done, size_t n_done)
{
    LoadOpts o = {.source_id = "s1",
                  .conn = {.role = "test", .host = "127.0.0.1", .port = 1},
                  .options = &w->options,
                  .memory_bytes = 1 << 20,
                  .dir = "/nonexistent",
                  .retry_max_ms = 60000,
                  .follows = true,
                  .hooks = {.ctx = w,
                            .deliver = hook_deliver,
                            .table = hook_table,
                            .failed = hook_failed,
                            .is_behind = hook_is_behind}};
    StreamPoint from = {0};
    Err err = {0};
    ck_assert(point_parse(point_json(w, 100), &from, &err));
    LoadRun run = {.flavor = FLAVOR_MARIADB,
                   .from = &from,
                   .members = w->list,
                   .n_members = n_members,
                   .done = done,
                   .n_done = n_done};
    w->load = load_new(&o);
    ck_assert_msg(load_begin(w->load, &run, &err), "%s", err.message);
    point_done(&from);
}

static void end(Copy *w)
{
    load_stop(w->load);
    load_join(w->load);
    ck_assert_uint_eq(w->failures, 0);
    load_free(w->load);
    row_encoder_free(w->encoder);
    schema_free(w->schema);
    arena_done(&w->arena);
    free(w);
}

/* Is an INSERT of this key at this place applied? */
static bool applied(Copy *w, uint32_t member, int key, uint64_t pos)
{
    Txn *t = txn_new();
    t->id = (TxnId){.file = STR("bin.000001"), .end_pos = pos, .server = server_intern("server_id:1")};
    t->last_piece = true;
    t->ops = arena_array(&t->arena, RowOp, 1);
    RowImage row;
    Err err = {0};
    StmtValue v = {.kind = STMT_INT, .i = key};
    ck_assert(row_encoder_row(w->encoder, &v, &t->arena, &row, &err));
    row.full = true;
    t->ops[0] = (RowOp){.binding = &w->bindings[member], .kind = ROW_INSERT, .after = row};
    t->n_ops = 1;
    w->left = 99;
    ck_assert(load_deliver(w->load, t));
    ck_assert(w->left != 99);
    return w->left == 1;
}

static LoadDone chunk(Copy *w, uint32_t member, Str hi, uint64_t id, uint64_t until)
{
    return (LoadDone){.chunk = {.id = id, .hi = hi, .point_json = until ? point_json(w, until) : (Str){0}},
                      .table = w->members[member].name};
}

/* The stream reads a schema change again that it came to before chunks were committed: what they contain
 * counts as contained still. */
START_TEST(a_change_is_read_again)
{
    static const struct {
        uint64_t until;
        bool first, second; /* is a change at 300, at 600 applied? */
    } cases[] = {
        {0, true, true}, {90, true, true}, {100, true, true}, {500, false, true}, {900, false, false}};
    Copy *w = copy_world();
    LoadDone done = chunk(w, 0, (Str){0}, 1, cases[_i].until);
    begin(w, 1, &done, 1);
    load_changed(w->load, &w->members[0]);
    ck_assert_int_eq(applied(w, 0, 5, 300), cases[_i].first);
    ck_assert_int_eq(applied(w, 0, 5, 600), cases[_i].second);
    end(w);
}
END_TEST

/* It is read later, so that what the stream brings of it is dropped; one that is known is left alone. */
START_TEST(a_table_comes_with_rows)
{
    Copy *w = copy_world();
    LoadDone done = chunk(w, 0, (Str){0}, 1, 0);
    LoadProgress p;
    begin(w, 1, &done, 1);
    ck_assert(load_is_complete(w->load));
    load_take_in(w->load, &w->members[1]);
    load_take_in(w->load, &w->members[1]);
    load_take_in(w->load, &w->members[0]);
    load_progress(w->load, &p);
    ck_assert_uint_eq(p.n_tables, 2);
    load_progress_done(&p);
    ck_assert(!load_is_complete(w->load));
    ck_assert(!load_has_some(w->load, &w->members[1]) && load_has_some(w->load, &w->members[0]));
    ck_assert(!applied(w, 1, 5, 300));
    ck_assert(applied(w, 0, 5, 310));
    end(w);
}
END_TEST

/* Two tables that had the same name first are told apart by what is on record. */
START_TEST(one_name_for_two)
{
    Copy *w = copy_world();
    w->members[1].name = w->members[0].name;
    w->members[1].copied_as.table = STR("#7");
    LoadDone done[2] = {chunk(w, 0, STR("\x80\0\0\0\0\0\0\x0a"), 1, 0), chunk(w, 0, (Str){0}, 2, 0)};
    done[1].table = w->members[1].copied_as;
    begin(w, 2, done, 2);
    ck_assert(applied(w, 0, 10, 300) && !applied(w, 0, 11, 310));
    ck_assert(applied(w, 1, 10, 320) && applied(w, 1, 11, 330));
    end(w);
}
END_TEST

/* Copied again: nothing of it counts as copied, only while it is frozen may that be said, and no merge meets
 * what was. Other tables are left alone. */
START_TEST(forgotten)
{
    Copy *w = copy_world();
    LoadDone done[3] = {chunk(w, 0, STR("\x80\0\0\0\0\0\0\x0a"), 1, 90), chunk(w, 0, (Str){0}, 2, 90),
                        chunk(w, 1, (Str){0}, 3, 90)};
    StreamPoint floor = {0};
    LoadProgress p;
    LoadMerge *merges;
    size_t n;
    Err err = {0};
    done[0].chunk.rows = 7;
    done[1].chunk.lo = done[0].chunk.hi;
    begin(w, 2, done, 3);
    ck_assert(load_is_complete(w->load) && applied(w, 0, 5, 300));
    ck_assert(!load_forget(w->load, &w->members[0]));
    ck_assert(applied(w, 0, 5, 310));
    load_freeze(w->load, &w->members[0], true);
    ck_assert(load_forget(w->load, &w->members[0]) && load_forget(w->load, &w->members[0]));
    ck_assert(load_forget(w->load, &w->members[2])); /* not known here */
    ck_assert(!load_is_complete(w->load) && !load_member_is_complete(w->load, &w->members[0]));
    ck_assert(!load_has_some(w->load, &w->members[0]) && load_is_settled(w->load, &w->members[0]));
    ck_assert(!applied(w, 0, 5, 320) && !applied(w, 0, 500, 330) && applied(w, 1, 5, 340));
    load_progress(w->load, &p);
    ck_assert_int_eq(p.tables[0].phase, LOAD_HELD);
    ck_assert_uint_eq(p.tables[0].rows, 0);
    load_progress_done(&p);
    ck_assert(point_parse(point_json(w, 400), &floor, &err));
    load_mergeable(w->load, &floor, 1, &merges, &n);
    ck_assert_uint_eq(n, 1);
    ck_assert_uint_eq(merges[0].keep, 3);
    load_merged(w->load, merges, n, true);
    point_done(&floor);
    load_freeze(w->load, &w->members[0], false);
    ck_assert(!applied(w, 0, 5, 350));
    end(w);
}
END_TEST

/* Made anew under its name: the ranges of the one before tell the rows of the new one, if their keys are
 * written alike. */
START_TEST(made_anew)
{
    static const struct {
        Col cols[2];
        const char *key;
        bool may;
    } cases[] = {
        {{{.name = "k", .type = "int"}}, "PRIMARY:k", true},
        {{{.name = "other", .type = "int"}}, "PRIMARY:other", true},
        {{{.name = "k", .type = "int"}, {.name = "v", .type = "int"}}, "PRIMARY:k,v", false},
        {{{.name = "k", .type = "date"}}, "PRIMARY:k", false},
        {{{.name = "k", .type = "int", .is_unsigned = true}}, "PRIMARY:k", false},
        {{{.name = "k", .type = "int", .null = true}}, "-iv:k", false},
    };
    Copy *w = copy_world();
    LoadDone done = chunk(w, 0, STR("\x80\0\0\0\0\0\0\x0a"), 1, 0);
    LoadTableInfo history = {.schema = w->schema, .first = w->schema};
    begin(w, 1, &done, 1);
    TableSchema *after = table("t", cases[_i].cols, cases[_i].cols[1].name ? 2 : 1,
                               (const char *const[]){cases[_i].key, NULL});
    SchemaStep step = {.after = after};
    ck_assert_int_eq(load_may_change(w->load, &w->members[0], &history, &step), cases[_i].may);
    step.after = NULL; /* dropped */
    step.before = w->schema;
    ck_assert(load_may_change(w->load, &w->members[0], &history, &step));
    schema_free(after);
    end(w);
}
END_TEST

static Suite *judge_suite(void)
{
    Suite *s = suite_create("load/judge");
    TCase *t = tcase_create("changes");
    tcase_set_timeout(t, 60);
    tcase_add_loop_test(t, a_change_is_read_again, 0, 5);
    tcase_add_test(t, a_table_comes_with_rows);
    tcase_add_test(t, one_name_for_two);
    tcase_add_test(t, forgotten);
    tcase_add_loop_test(t, made_anew, 0, 6);
    suite_add_tcase(s, t);
    return s;
}

UNIT_MAIN(judge_suite)
