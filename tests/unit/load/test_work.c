/* What readers are given to do, and what may be done meanwhile: a table without a key that can be cut goes
 * through one file, which one reader at a time has. No server, no threads: the test is the readers. */
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include "unit.h"
#include "decode/row.h"
#include "load/load_impl.h"
#include "load/unseen.h"
#include "model/point.h"
#include "track/schema_map.h"
#include "track/tables.h"

enum { MOST = 2 };

typedef struct Readers {
    Arena arena;
    LoadOptions options;
    TableSchema *schema;
    TableMap *map;
    RowEncoder *encoder;
    Member members[MOST];
    Binding bindings[MOST];
    Load *load;
    LoadReader readers[2];
    char dir[64];
    Txn *sent; /* guarded by load->mutex; NULL: none is on its way */
} Readers;

static const Col text_key[] = {
    {.name = "k", .type = "varchar(1000)", .collation = "utf8mb4_general_ci", .length = 1000}};
static Target keyless = {.row_key = NO_COLUMN};
static const Col int_key[] = {{.name = "k", .type = "int"}};

static bool hook_table(void *ctx, uint32_t source, const Member *m, const StreamPoint *at, LoadTableInfo *out,
                       Err *err)
{
    Readers *w = ctx;
    (void)source;
    (void)at;
    (void)err;
    *out = (LoadTableInfo){
        .schema = w->schema, .map = w->map, .binding = &w->bindings[MIN(m->id, MOST - 1U)], .name = m->name};
    return true;
}

static bool hook_is_behind(void *ctx, uint32_t source)
{
    (void)ctx;
    (void)source;
    return false;
}

static bool hook_deliver(void *ctx, Txn *t)
{
    (void)ctx;
    txn_free(t);
    return true;
}

/* It stays on its way. */
static bool hook_send(void *ctx, Txn *t)
{
    Readers *w = ctx;
    pthread_mutex_lock(&w->load->mutex);
    bool alone = !w->sent;
    w->sent = t;
    pthread_cond_broadcast(&w->load->changed);
    pthread_mutex_unlock(&w->load->mutex);
    return alone;
}

/* Two tables that are units each, looked at, in a run that has come to its start. */
static Readers *readers_world(void)
{
    Readers *w = mem_zalloc(sizeof *w);
    Err err = {0};
    w->options = (LoadOptions){.readers = 2, .chunk_rows = 100, .chunk_bytes = 65536, .chunk_ms = 1000};
    w->schema = table("t", text_key, 1, (const char *const[]){"PRIMARY:k", NULL});
    ck_assert(schema_table_map(w->schema, FLAVOR_MARIADB, &w->arena, &w->map, &err));
    ck_assert(row_encoder_new(w->schema, w->map, FLAVOR_MARIADB, &w->encoder, &err));
    snprintf(w->dir, sizeof w->dir, "/tmp/sm_work.XXXXXX");
    ck_assert(mkdtemp(w->dir));
    LoadOpts o = {.source_id = "s1",
                  .options = &w->options,
                  .memory_bytes = 1 << 20,
                  .dir = w->dir,
                  .follows = true,
                  .hooks = {.ctx = w, .table = hook_table, .is_behind = hook_is_behind}};
    w->load = load_new(&o);
    w->load->flavor = FLAVOR_MARIADB;
    w->load->started = true;
    w->load->next_chunk = 1;
    for (uint32_t i = 0; i < MOST; i++) {
        LoadShape *s;
        w->members[i] = (Member){.id = i, .name = {STR("db"), arena_printf(&w->arena, "t%u", i)}};
        w->bindings[i] = (Binding){.member = &w->members[i], .map = w->map, .target = &keyless};
        ck_assert(shape_ask(w->load, &w->members[i], NULL, &s, &err));
        ck_assert(!s->key);
        load_add_table(w->load, &w->members[i], s);
        w->readers[i] = (LoadReader){.load = w->load, .index = i};
    }
    return w;
}

static void end(Readers *w)
{
    load_free(w->load);
    row_encoder_free(w->encoder);
    schema_free(w->schema);
    arena_done(&w->arena);
    ck_assert_int_eq(rmdir(w->dir), 0); /* no file is left */
    free(w);
}

static Work next(Readers *w, uint32_t reader, WorkKind kind, uint32_t table)
{
    Work out;
    ck_assert(work_next(w->load, &w->readers[reader], &out));
    ck_assert_int_eq(out.kind, kind);
    ck_assert_ptr_eq(out.table, w->load->tables[table]);
    if (kind == WORK_PLAN) work_planned(w->load, &out, (Str){0}, (Str){0});
    return out;
}

/* So many rows, in the file. */
static Unit *fill(Readers *w, const Work *k, unsigned rows)
{
    Err err = {0};
    Unit *u;
    ck_assert_msg(unit_create(w->load, k->table, k->shape, &u, &err), "%s", err.message);
    for (unsigned i = 0; i < rows; i++) {
        RowImage row;
        StmtValue v = {.kind = STMT_BYTES, .bytes = arena_printf(&w->arena, "row %u", i)};
        ck_assert_msg(row_encoder_row(w->encoder, &v, &w->arena, &row, &err), "%s", err.message);
        ck_assert(unit_add(u, &row, &err));
    }
    ck_assert(unit_seal(u, &err));
    return u;
}

static size_t files(const Readers *w)
{
    StrBuf path CLEANUP(sb_done) = {0};
    size_t n = 0;
    for (uint32_t i = 0; i < MOST; i++) {
        sb_clear(&path);
        sb_printf(&path, "%s/unit-s1-", w->dir);
        StrBuf name CLEANUP(sb_done) = {0};
        table_name_plain(w->members[i].name, &name);
        sb_hex(&path, name.ptr, name.len);
        sb_c(&path, ".rows");
        n += access(path.ptr, F_OK) == 0;
    }
    return n;
}

/* The table changes while its reader writes the file: nobody begins another before that one is through with
 * it, for it will remove what it made. */
START_TEST(one_reader_has_the_file)
{
    Readers *w = readers_world();
    next(w, 0, WORK_PLAN, 0);
    Work first = next(w, 0, WORK_UNIT, 0);
    Unit *u = fill(w, &first, 3);
    load_freeze(w->load, &w->members[0], true);
    load_freeze(w->load, &w->members[0], false);
    ck_assert(first.range->thrown);
    next(w, 1, WORK_PLAN, 1); /* the other table's */
    Work other = next(w, 1, WORK_UNIT, 1);
    if (_i == 0) { /* it could not be read */
        unit_remove(u);
        ck_assert(work_failed(w->load, &first));
    } else { /* it was */
        work_read(w->load, &first, &(ReadChunk){.all = true, .unit = u});
    }
    ck_assert_uint_eq(files(w), 0);
    point_done(&first.mark);
    Work again = next(w, 0, WORK_SHAPE, 0);
    Err err = {0};
    pthread_mutex_lock(&w->load->mutex);
    ck_assert(shape_refresh(w->load, again.table, &err));
    pthread_mutex_unlock(&w->load->mutex);
    work_shaped(w->load, &again);
    next(w, 0, WORK_PLAN, 0);
    Work second = next(w, 0, WORK_UNIT, 0);
    ck_assert(!work_failed(w->load, &second) && !work_failed(w->load, &other));
    point_done(&second.mark);
    point_done(&other.mark);
    end(w);
}
END_TEST

/* The rows of a unit, handed on and committed, while its reader has not come back. Its file is merged away,
 * or the table forgotten, only when it has; and what is forgotten leaves its file until nothing is on record.
 */
START_TEST(a_reader_is_at_the_file)
{
    Readers *w = readers_world();
    next(w, 0, WORK_PLAN, 0);
    Work read = next(w, 0, WORK_UNIT, 0);
    Unit *u = fill(w, &read, 3);
    ck_assert_uint_eq(unit_pieces(u), 1);
    Err err = {0};
    point_set_file(&w->load->point, STR("bin.000001"), 500);
    work_read(w->load, &read,
              &(ReadChunk){.all = true, .unit = u, .exact = true, .u_file = STR("bin.000001"), .u_pos = 400});
    point_done(&read.mark);
    Work pieces = next(w, 0, WORK_PIECES, 0);
    Txn *t = txn_new();
    uint64_t bytes = unit_piece_bytes(u, 1);
    ck_assert_msg(unit_piece(u, 1, &pieces.shape->info, t, &err), "%s", err.message);
    pthread_mutex_lock(&w->load->mutex);
    chunk_seal(w->load, pieces.table, pieces.range, t, 1, bytes);
    pthread_mutex_unlock(&w->load->mutex);
    load_committed(w->load, t->chunk, 7);
    txn_free(t);
    ck_assert(pieces.table->complete);

    LoadMerge *merges;
    size_t n;
    StreamPoint floor = {.flavor = FLAVOR_MARIADB};
    point_set_file(&floor, STR("bin.000001"), 600);
    load_freeze(w->load, &w->members[0], true);
    load_mergeable(w->load, &floor, 8, &merges, &n);
    ck_assert_uint_eq(n, 0);
    load_merged(w->load, merges, n, true);
    ck_assert(!load_forget(w->load, &w->members[0]));
    ck_assert_uint_eq(unit_pieces(u), 1);

    pthread_mutex_lock(&w->load->mutex);
    pieces.range->pieces_sent = true;
    pieces.range->pieces_busy = false;
    pthread_mutex_unlock(&w->load->mutex);
    if (_i == 0) {
        load_mergeable(w->load, &floor, 8, &merges, &n);
        ck_assert_uint_eq(n, 1);
        load_merged(w->load, merges, n, true);
    } else {
        ck_assert(load_forget(w->load, &w->members[0]));
        ck_assert(!load_has_some(w->load, &w->members[0]));
        ck_assert_uint_eq(files(w), 1);
        load_forgotten(w->load, &w->members[0]);
    }
    ck_assert_uint_eq(files(w), 0);
    point_done(&floor);
    end(w);
}
END_TEST

/* Chunks that the stream has not come to fill the share, and it will not come there before the unit is
 * written, since a change of a row of the unit is in its hands. */
START_TEST(pieces_that_find_no_room)
{
    enum { ROWS = 2200, PIECES = 3 };
    Readers *w = readers_world();
    Load *l = w->load;
    pthread_t reader;
    Err err = {0};
    next(w, 0, WORK_PLAN, 0);
    Work unit = next(w, 0, WORK_UNIT, 0);
    next(w, 1, WORK_PLAN, 1);
    Work other = next(w, 1, WORK_UNIT, 1);
    Unit *u;
    ck_assert_msg(unit_create(l, unit.table, unit.shape, &u, &err), "%s", err.message);
    RowImage row;
    StmtValue v = {.kind = STMT_BYTES, .bytes = {arena_zalloc(&w->arena, 4000), 4000}};
    ck_assert(row_encoder_row(w->encoder, &v, &w->arena, &row, &err));
    for (unsigned i = 0; i < ROWS; i++)
        ck_assert(unit_add(u, &row, &err));
    ck_assert(unit_seal(u, &err));
    ck_assert_uint_eq(unit_pieces(u), PIECES);
    point_set_file(&l->point, STR("bin.000001"), 500);
    ReadChunk ahead = {
        .txn = txn_new(), .all = true, .exact = true, .u_file = STR("bin.000001"), .u_pos = 900};
    (void)arena_zalloc(&ahead.txn->arena, l->opts.memory_bytes);
    work_read(l, &other, &ahead);
    work_read(l, &unit,
              &(ReadChunk){.unit = u, .all = true, .exact = true, .u_file = ahead.u_file, .u_pos = 400});
    point_done(&unit.mark);
    point_done(&other.mark);
    ck_assert(l->held >= l->opts.memory_bytes && l->n_ready == 1);

    l->opts.hooks.deliver = hook_send;
    ck_assert_int_eq(pthread_create(&reader, NULL, reader_main, &w->readers[1]), 0);
    for (unsigned i = 1; i <= PIECES; i++) {
        pthread_mutex_lock(&l->mutex);
        while (!w->sent)
            pthread_cond_wait(&l->changed, &l->mutex);
        Txn *t = w->sent;
        ck_assert(!l->stopping); /* it came alone */
        ck_assert_uint_eq(l->held_pieces, t->chunk->bytes);
        w->sent = NULL;
        pthread_mutex_unlock(&l->mutex);
        ck_assert_uint_eq(t->chunk->piece, i);
        load_committed(l, t->chunk, i);
        txn_free(t);
    }
    ck_assert(unit.table->complete);
    load_stop(l);
    pthread_join(reader, NULL);
    ck_assert_uint_eq(l->held_pieces, 0);
    unit_remove(u);
    unit.range->unit = NULL;
    end(w);
}
END_TEST

static Work look_again(Readers *w, WorkKind kind)
{
    Err err = {0};
    load_freeze(w->load, &w->members[0], true);
    load_freeze(w->load, &w->members[0], false);
    Work shape = next(w, 0, WORK_SHAPE, 0);
    pthread_mutex_lock(&w->load->mutex);
    ck_assert(shape_refresh(w->load, shape.table, &err));
    pthread_mutex_unlock(&w->load->mutex);
    work_shaped(w->load, &shape);
    next(w, 0, WORK_PLAN, 0);
    return next(w, 0, kind, 0);
}

/* A chunk by a key that the table had before comes back while a reader has the file. */
START_TEST(a_chunk_of_before)
{
    Readers *w = readers_world();
    TableSchema *text = w->schema;
    TableMap *text_map = w->map;
    Err err = {0};
    w->schema = table("t", int_key, 1, (const char *const[]){"PRIMARY:k", NULL});
    ck_assert(schema_table_map(w->schema, FLAVOR_MARIADB, &w->arena, &w->map, &err));
    Work chunk = look_again(w, WORK_CHUNK);
    schema_free(w->schema);
    w->schema = text;
    w->map = text_map;
    Work unit = look_again(w, WORK_UNIT);
    ck_assert(chunk.range->thrown && unit.table->unit_busy);
    if (_i)
        ck_assert(work_failed(w->load, &chunk));
    else
        work_read(w->load, &chunk, &(ReadChunk){.all = true, .txn = txn_new()});
    ck_assert(unit.table->unit_busy);
    ck_assert(!work_failed(w->load, &unit));
    ck_assert(!unit.table->unit_busy);
    point_done(&chunk.mark);
    point_done(&unit.mark);
    end(w);
}
END_TEST

static void note(Load *l, XaStep step, unsigned xid)
{
    Txn t = {.xa_step = step};
    char text[16];
    snprintf(text, sizeof text, "'%u'", xid);
    t.xid = str_of(text);
    unseen_note(l, &t);
}

/* No table is read for long, so that nobody takes out what was noted. */
START_TEST(more_than_anybody_notes)
{
    Readers *w = readers_world();
    Load *l = w->load;
    unsigned unnoted = l->unnoted;
    for (unsigned i = 0; i < UNSEEN_MOST; i++)
        note(l, XA_STEP_COMMIT, i);
    ck_assert_uint_eq(l->unseen.count, UNSEEN_MOST);
    ck_assert_uint_eq(l->unnoted, unnoted);
    note(l, XA_STEP_PREPARE, 7);
    ck_assert_uint_eq(l->unseen.count, UNSEEN_MOST - 1);
    note(l, XA_STEP_COMMIT, 7);
    note(l, XA_STEP_COMMIT, UNSEEN_MOST);
    ck_assert_uint_eq(l->unseen.count, 1);
    ck_assert_uint_eq(l->unnoted, unnoted + 1); /* what is prepared is outlasted */
    l->opts.judges_only = true;                 /* there is no reader that could see too little */
    note(l, XA_STEP_COMMIT, 1);
    ck_assert_uint_eq(l->unseen.count, 1);
    end(w);
}
END_TEST

/* Copies wait on MariaDB until XA transactions can be seen that the stream has come past. Nobody notes them
 * while all tables are copied: a table that comes then waits for whatever is prepared. */
START_TEST(nobody_noted_them)
{
    Readers *w = readers_world();
    Load *l = w->load;
    Txn *t = txn_new();
    for (uint32_t i = 0; i < MOST; i++)
        l->tables[i]->complete = l->tables[i]->following = true;
    l->threads = true;
    l->opts.hooks.deliver = hook_deliver;
    l->outlasted = l->unnoted;
    load_freeze(l, &w->members[0], true);
    load_freeze(l, &w->members[0], false); /* nothing of it is read */
    ck_assert_uint_eq(l->unnoted, l->outlasted);
    Member late = {.id = MOST, .name = {STR("db"), STR("late")}}, later = {.id = MOST + 1};
    later.name = (TableName){STR("db"), STR("later")};
    Binding binding = {.member = &late, .map = w->map};
    switch (_i) {
    case 0: load_take_in(l, &late); break;
    case 1: load_freeze(l, &late, false); break;
    case 2: /* its first rows come by an XA COMMIT */
        t->id = (TxnId){.file = STR("bin.000001"), .end_pos = 300};
        t->last_piece = true;
        t->xa_step = XA_STEP_COMMIT;
        t->xid = STR("'a'");
        t->ops = arena_zalloc(&t->arena, sizeof(RowOp));
        t->ops[0] = (RowOp){.binding = &binding, .kind = ROW_INSERT};
        t->n_ops = 1;
        ck_assert(load_deliver(l, t));
        t = NULL;
        break;
    case 3:
        load_freeze(l, &w->members[0], true);
        ck_assert(load_forget(l, &w->members[0]));
        break;
    }
    ck_assert(l->unnoted == l->outlasted + 1 && l->active);
    load_take_in(l, &later); /* they are noted now */
    ck_assert(l->unnoted == l->outlasted + 1);
    l->threads = false;
    if (t) txn_free(t);
    end(w);
}
END_TEST

/* A piece of a large transaction, or its last: a change of t0 that is not read yet. */
static void deliver_piece(Readers *w, bool last)
{
    Txn *t = txn_new();
    t->id = (TxnId){.file = STR("bin.000002"), .end_pos = 300};
    t->last_piece = last;
    t->ops = arena_zalloc(&t->arena, sizeof(RowOp));
    t->ops[0] = (RowOp){.binding = &w->bindings[0], .kind = ROW_INSERT};
    t->n_ops = 1;
    ck_assert(load_deliver(w->load, t));
}

/* The read to come sees what was dropped because of it: the whole transaction, also between its pieces. */
START_TEST(in_hand_between_its_pieces)
{
    Readers *w = readers_world();
    Load *l = w->load;
    w->load->opts.hooks.deliver = hook_deliver;
    point_set_file(&l->point, STR("bin.000001"), 4);
    atomic_store(&l->active, true);
    next(w, 0, WORK_PLAN, 0);
    deliver_piece(w, false);
    Work k = next(w, 0, WORK_UNIT, 0);
    ck_assert_str_eq(k.mark.file, "bin.000002");
    ck_assert_uint_eq(k.mark.pos, 300);
    ck_assert_str_eq(l->point.file, "bin.000001"); /* it is not through */
    ck_assert(!work_failed(l, &k));
    point_done(&k.mark);
    deliver_piece(w, true);
    ck_assert_str_eq(l->point.file, "bin.000002");
    ck_assert(!l->has_current);
    end(w);
}
END_TEST

static Suite *work_suite(void)
{
    Suite *s = suite_create("load/work");
    TCase *t = tcase_create("units");
    tcase_set_timeout(t, 60);
    tcase_add_loop_test(t, one_reader_has_the_file, 0, 2);
    tcase_add_loop_test(t, a_reader_is_at_the_file, 0, 2);
    tcase_add_loop_test(t, nobody_noted_them, 0, 4);
    tcase_add_test(t, in_hand_between_its_pieces);
    tcase_add_loop_test(t, a_chunk_of_before, 0, 2);
    tcase_add_test(t, more_than_anybody_notes);
    suite_add_tcase(s, t);
    t = tcase_create("room");
    tcase_set_timeout(t, 20);
    tcase_add_test(t, pieces_that_find_no_room);
    suite_add_tcase(s, t);
    return s;
}

UNIT_MAIN(work_suite)
