/* Large transactions: pieces, spill files, the applied set, memory. */
#include "assemble_world.h"
#include "base/fault.h"
#include "base/poison.h"

/* What a made transaction should come to. */
typedef struct MadeRow {
    uint64_t no;
    uint32_t id;
    RowKind kind;
    int table; /* 0 a, 1 b, 2 x (filtered) */
    Str bytes; /* images; arena */
} MadeRow;

typedef struct Made {
    Arena arena;
    MadeRow *rows; /* those that were not rolled back, in order */
    size_t n, cap;
    uint64_t total; /* row numbers given */
    uint64_t seq;   /* GTID */
} Made;

static void made_done(Made *m)
{
    arena_done(&m->arena);
    free(m->rows);
    *m = (Made){0};
}

static uint32_t rnd(uint64_t *state)
{
    *state = *state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (uint32_t)(*state >> 33);
}

static void made_event(World *w, Made *m, uint64_t *state, int table)
{
    static const char *const names[] = {"a", "b", "x"};
    static const unsigned types[] = {EVENT_WRITE_ROWS_V2, EVENT_UPDATE_ROWS_V2, EVENT_DELETE_ROWS_V2};
    unsigned kind = rnd(state) % 3, n = 1 + rnd(state) % 12;
    StrBuf rows = {0};
    for (unsigned i = 0; i < n; i++) {
        char v[64];
        uint32_t id = rnd(state) % 100000;
        size_t len = rnd(state) % 60, from = rows.len;
        memset(v, 'a' + (int)(id % 26), len);
        v[len] = 0;
        ew_image(&rows, FULL_ROW, id, len ? v : NULL);
        if (kind == ROW_UPDATE) ew_image(&rows, FULL_ROW, id, "after");
        if (m->n == m->cap) {
            m->cap = m->cap ? m->cap * 2 : 64;
            m->rows = mem_realloc(m->rows, m->cap * sizeof *m->rows);
        }
        m->rows[m->n++] = (MadeRow){m->total++, id, (RowKind)kind, table,
                                    arena_str(&m->arena, (Str){rows.ptr + from, rows.len - from})};
    }
    feed(w, ew_table_map(&w->w, 70 + (unsigned)table, "db", names[table]));
    feed(w, ew_rows(&w->w, types[kind], 70 + (unsigned)table, END_OF_STATEMENT, FULL_ROW, FULL_ROW,
                    sb_view(&rows)));
    sb_done(&rows);
}

/* Feeds a random transaction without its end. The same seed makes the same events at the same positions. */
static void make(World *w, Made *m, uint64_t seed, unsigned n_events)
{
    enum { SAVEPOINTS = 4 };
    uint64_t state = seed * 7919 + 1;
    size_t kept[SAVEPOINTS];
    bool set[SAVEPOINTS] = {false};
    unsigned order[SAVEPOINTS], n_set = 0;
    *m = (Made){.seq = 1};
    if (w->opts.flavor == FLAVOR_MARIADB) {
        feed(w, ew_gtid_maria(&w->w, 0, m->seq, 0));
    } else {
        feed(w, ew_gtid_mysql(&w->w, w->opts.use_gtid ? m->seq : 0));
        feed(w, ew_query(&w->w, "db", "BEGIN"));
    }
    unsigned lead = rnd(&state) % 3 ? 0 : rnd(&state) % 10; /* filtered events in front */
    for (unsigned e = 0; e < n_events; e++) {
        char sql[40];
        unsigned pick = rnd(&state) % 20, s = rnd(&state) % SAVEPOINTS;
        if (pick == 0) {
            snprintf(sql, sizeof sql, "SAVEPOINT `s%u`", s);
            feed(w, ew_query(&w->w, "db", sql));
            for (unsigned i = 0; set[s] && i < n_set; i++) /* takes the old one's place at the end */
                if (order[i] == s) {
                    memmove(order + i, order + i + 1, (n_set - i - 1) * sizeof *order);
                    n_set--;
                    break;
                }
            order[n_set++] = s;
            set[s] = true;
            kept[s] = m->n;
        } else if (pick == 1 && set[s]) {
            snprintf(sql, sizeof sql, "ROLLBACK TO `s%u`", s);
            feed(w, ew_query(&w->w, "db", sql));
            m->n = kept[s];
            while (order[n_set - 1] != s)
                set[order[--n_set]] = false;
        } else {
            made_event(w, m, &state, e < lead ? 2 : (int)(pick % 3));
        }
    }
}

static uint32_t made_crc(const Made *m, uint64_t from, uint64_t to)
{
    uLong crc = crc32(0, Z_NULL, 0);
    for (size_t i = 0; i < m->n; i++)
        if (m->rows[i].no >= from && m->rows[i].no < to)
            crc = crc32_z(crc, (const Bytef *)m->rows[i].bytes.ptr, m->rows[i].bytes.len);
    return (uint32_t)crc;
}

static void check_op(const World *w, const RowOp *op, const MadeRow *r)
{
    ck_assert_uint_eq(op->row_no, r->no);
    ck_assert_int_eq(op->kind, r->kind);
    ck_assert_ptr_eq(op->binding->target, w->targets[r->table]);
    StrBuf b = {0};
    sb_str(&b, op->before.bytes);
    sb_str(&b, op->after.bytes);
    ck_assert(str_eq(sb_view(&b), r->bytes));
    sb_done(&b);
    ck_assert_uint_eq(image_id(op, op->kind == ROW_INSERT ? &op->after : &op->before), r->id);
}

/* One delivered piece against the rows in its range. Returns how many kept rows lie in it. */
static void check_piece(const World *w, const Txn *t, const Made *m)
{
    uint64_t read = 0, filtered = 0;
    size_t op = 0;
    for (size_t i = 0; i < m->n; i++) {
        const MadeRow *r = &m->rows[i];
        if (r->no < t->row_from || r->no >= t->row_to) continue;
        read++;
        if (r->table == 2)
            filtered++;
        else if (!t->already_applied)
            check_op(w, &t->ops[op++], r);
    }
    ck_assert_uint_eq(t->n_ops, op);
    ck_assert_uint_eq(t->counts.read, read);
    ck_assert_uint_eq(t->counts.filtered, filtered);
    if (t->is_piece) ck_assert_uint_eq(t->rows_crc, made_crc(m, t->row_from, t->row_to));
    if (t->already_applied) ck_assert_uint_eq(t->counts.applied, read - filtered);
    for (size_t i = 0; i < t->n_ops; i++)
        ck_assert_uint_le(t->ops[i].keys_at + t->ops[i].n_keys, t->n_keys);
}

static void check_all(const World *w, const Made *m)
{
    uint64_t at = 0;
    ck_assert_uint_ge(w->n_txns, 1);
    for (size_t i = 0; i < w->n_txns; i++) {
        const Txn *t = w->txns[i];
        ck_assert_uint_eq(t->row_from, at);
        at = t->row_to;
        ck_assert(t->last_piece == (i == w->n_txns - 1));
        ck_assert(t->is_piece || w->n_txns == 1);
        ck_assert(t->id.has_gtid == w->opts.use_gtid);
        ck_assert_uint_eq(t->id.end_pos, w->w.pos);
        check_piece(w, t, m);
    }
    ck_assert_uint_eq(at, m->total);
}

static const struct {
    uint64_t split_rows, spill_bytes;
} limits[] = {
    {1000000, 1 << 26}, /* neither */
    {7, 1 << 26},       /* pieces from memory */
    {1, 1 << 26},
    {100, 12000}, /* to disk on the way */
    {1000000, 1}, /* to disk at once */
    {50, 1},
};

START_TEST(split_and_spilled_alike)
{
    for (unsigned flavor = 0; flavor < 4; flavor++) {
        World w;
        world_init(&w, flavor & 1 ? FLAVOR_MARIADB : FLAVOR_MYSQL, flavor & 2);
        for (uint64_t seed = 0; seed < 40; seed++) {
            for (size_t l = 0; l < ARRAY_LEN(limits); l++) {
                Made m;
                w.opts.split_rows = limits[l].split_rows;
                w.opts.spill_bytes = limits[l].spill_bytes;
                world_reopen(&w);
                make(&w, &m, seed, 3 + (unsigned)(seed % 40));
                feed(&w, ew_xid(&w.w));
                check_all(&w, &m);
                size_t kept_rows = 0;
                for (size_t i = 0; i < m.n; i++)
                    kept_rows += m.rows[i].table != 2;
                if (l == 0) ck_assert(w.n_txns == 1 && !w.txns[0]->is_piece);
                if (limits[l].split_rows == 1) ck_assert_uint_ge(w.n_txns, kept_rows ? kept_rows : 1);
                world_forget(&w);
                made_done(&m);
            }
        }
        world_done(&w);
    }
}
END_TEST

/* Some of what was delivered becomes the applied set, as an applier would have recorded it. */
static AppliedSet *record(const World *w, uint64_t *state, bool all)
{
    AppliedSet *set = applied_set_new();
    AppliedEncoder e = {0};
    size_t added = 0;
    Err err = {0};
    StreamPoint floor = {.flavor = w->opts.flavor};
    for (size_t i = 0; i < w->n_txns; i++) {
        w->txns[i]->counts.applied = w->txns[i]->n_ops;
        if (all || rnd(state) % 2) applied_encode(&e, STR("shard-3"), w->txns[i]);
    }
    ck_assert(applied_set_decode(set, sb_view(&e.out), STR("shard-3"), &floor, &added, &err));
    sb_done(&e.out);
    return set;
}

static bool was_recorded(const AppliedSet *set, uint64_t row)
{
    size_t iter = 0;
    void *v;
    while (map_next(&set->txns, &iter, NULL, &v)) {
        const AppliedTxn *t = v;
        for (size_t i = 0; i < t->n_ranges; i++)
            if (t->whole || (row >= t->ranges[i].from && row < t->ranges[i].to)) return true;
    }
    return false;
}

START_TEST(applied_ranges_are_cut_out)
{
    uint64_t state = 42;
    for (unsigned flavor = 0; flavor < 4; flavor++) {
        World w;
        world_init(&w, flavor & 1 ? FLAVOR_MARIADB : FLAVOR_MYSQL, flavor & 2);
        for (uint64_t seed = 0; seed < 120; seed++) {
            Made m;
            size_t first = rnd(&state) % ARRAY_LEN(limits), second = rnd(&state) % ARRAY_LEN(limits);
            unsigned n_events = 3 + (unsigned)(seed % 30);
            w.opts.split_rows = limits[first].split_rows;
            w.opts.spill_bytes = limits[first].spill_bytes;
            w.opts.applied = NULL;
            world_reopen(&w);
            make(&w, &m, seed, n_events);
            feed(&w, ew_xid(&w.w));
            AppliedSet *set = record(&w, &state, seed % 5 == 0);
            made_done(&m);
            world_forget(&w);

            w.opts.applied = set;
            w.opts.split_rows = limits[second].split_rows;
            w.opts.spill_bytes = limits[second].spill_bytes;
            world_reopen(&w);
            make(&w, &m, seed, n_events);
            feed(&w, ew_xid(&w.w));
            check_all(&w, &m);
            for (size_t i = 0; i < w.n_txns; i++) {
                const Txn *t = w.txns[i];
                for (uint64_t row = t->row_from; row < t->row_to; row++)
                    ck_assert(t->already_applied == was_recorded(set, row));
            }
            world_forget(&w);
            made_done(&m);
            w.opts.applied = NULL;
            world_reopen(&w);
            applied_set_free(set);
        }
        world_done(&w);
    }
}
END_TEST

/* One INSERT event of n rows, ids from `id`. */
static void one_event(World *w, uint64_t seq, uint32_t id, unsigned n)
{
    feed(w, ew_gtid_maria(&w->w, 0, seq, 0));
    feed_insert(w, 70, "a", id, n);
}

START_TEST(other_rows_than_before)
{
    for (unsigned spill = 0; spill < 2; spill++) {
        World w;
        uint64_t state = 1;
        world_init(&w, FLAVOR_MARIADB, true);
        w.opts.split_rows = 10;
        w.opts.spill_bytes = spill ? 1 : 1 << 20;
        world_reopen(&w);
        one_event(&w, 1, 100, 35);
        feed(&w, ew_xid(&w.w));
        ck_assert_uint_eq(w.n_txns, spill ? 35 : 4);
        AppliedSet *set = record(&w, &state, true);
        world_forget(&w);
        w.opts.applied = set;
        /* other values */
        world_reopen(&w);
        one_event(&w, 1, 101, 35);
        feed_fails(&w, ew_xid(&w.w), ERR_SOURCE_REREAD);
        /* fewer rows */
        one_event(&w, 1, 100, 12);
        feed_fails(&w, ew_xid(&w.w), ERR_SOURCE_REREAD);
        /* more rows: the rest is new */
        one_event(&w, 1, 100, 40);
        feed(&w, ew_xid(&w.w));
        const Txn *last = w.txns[w.n_txns - 1];
        ck_assert(!last->already_applied && last->last_piece && last->row_to == 40);
        ck_assert(w.txns[0]->already_applied);
        world_forget(&w);
        w.opts.applied = NULL;
        world_reopen(&w);
        applied_set_free(set);
        world_done(&w);
    }
}
END_TEST

START_TEST(whole_transactions_are_not_applied_twice)
{
    for (unsigned use_gtid = 0; use_gtid < 2; use_gtid++) {
        World w;
        uint64_t state = 1;
        world_init(&w, FLAVOR_MARIADB, use_gtid);
        one_event(&w, 1, 100, 5);
        feed_insert(&w, 75, "x", 1, 2);
        feed(&w, ew_xid(&w.w));
        w.txns[0]->counts.missed = 1;
        AppliedSet *set = record(&w, &state, true);
        world_forget(&w);
        w.opts.applied = set;
        world_reopen(&w);
        one_event(&w, 1, 100, 5);
        feed_insert(&w, 75, "x", 1, 2);
        feed(&w, ew_xid(&w.w));
        one_event(&w, 2, 100, 5);
        feed(&w, ew_xid(&w.w));
        ck_assert_uint_eq(w.n_txns, 2);
        const Txn *t = w.txns[0];
        ck_assert(t->already_applied && t->last_piece && !t->is_piece);
        ck_assert_uint_eq(t->n_ops, 0);
        ck_assert_uint_eq(t->counts.read, 7);
        ck_assert_uint_eq(t->counts.filtered, 2);
        ck_assert_uint_eq(t->counts.applied, 5);
        ck_assert_uint_eq(t->counts.missed, 1);
        ck_assert(!w.txns[1]->already_applied && w.txns[1]->n_ops == 5);
        ck_assert_uint_eq(assembler_point(w.a)->pos, w.w.pos);
        world_forget(&w);
        w.opts.applied = NULL;
        world_reopen(&w);
        applied_set_free(set);
        world_done(&w);
    }
}
END_TEST

/* Only filtered rows: one transaction without operations, nothing kept, however many there are. */
START_TEST(filtered_rows_cost_no_memory)
{
    World w;
    world_init(&w, FLAVOR_MYSQL, true);
    w.opts.spill_dir = "/nonexistent";
    w.opts.split_rows = 10;
    world_reopen(&w);
    feed(&w, ew_gtid_mysql(&w.w, 1));
    feed(&w, ew_query(&w.w, "db", "BEGIN"));
    for (unsigned i = 0; i < 2000; i++)
        feed_insert(&w, 75, "x", i * 100, 100);
    feed(&w, ew_xid(&w.w));
    ck_assert_uint_eq(w.n_txns, 1);
    ck_assert_uint_eq(w.txns[0]->counts.filtered, 200000);
    ck_assert(!w.txns[0]->is_piece);
    ck_assert_uint_lt(w.txns[0]->arena.bytes, 10000);
    world_done(&w);
}
END_TEST

START_TEST(large_transaction_in_little_memory)
{
    enum { SPILL = 1 << 20, EVENTS = 6000, ROWS = 300 };
    World w;
    world_init(&w, FLAVOR_MYSQL, true);
    w.opts.spill_bytes = SPILL;
    w.opts.split_rows = 20000;
    w.keep = false;
    world_reopen(&w);
    feed(&w, ew_gtid_mysql(&w.w, 1));
    feed(&w, ew_query(&w.w, "db", "BEGIN"));
    StrBuf rows = {0};
    for (unsigned i = 0; i < ROWS; i++)
        ew_image(&rows, FULL_ROW, i, "some text");
    struct mallinfo2 heap = mallinfo2();
    size_t start = heap.uordblks + heap.hblkhd, most = 0;
    for (unsigned e = 0; e < EVENTS; e++) {
        feed(&w, ew_table_map(&w.w, 70, "db", "a"));
        feed(&w, ew_rows(&w.w, EVENT_WRITE_ROWS_V2, 70, END_OF_STATEMENT, FULL_ROW, 0, sb_view(&rows)));
        heap = mallinfo2();
        most = MAX(most, heap.uordblks + heap.hblkhd);
    }
    feed(&w, ew_xid(&w.w));
    ck_assert_uint_eq(w.rows, (uint64_t)EVENTS * ROWS);
    ck_assert_uint_gt(w.pieces, 50);
    /* rows, operations and keys of one piece are in memory twice while it is put together */
    ck_assert_uint_le(MAX(most, w.most_heap) - start, 3 * SPILL);
    ck_assert_uint_le(w.most_bytes, 2 * SPILL);
    sb_done(&rows);
    world_done(&w);
}
END_TEST

START_TEST(disk_full)
{
    World w;
    world_init(&w, FLAVOR_MARIADB, true);
    setenv("SHARDMERGE_FAULTS", "spill.write=error@*", 1);
    ck_assert(fault_init(&w.err));
    w.opts.spill_bytes = 1;
    world_reopen(&w);
    one_event(&w, 1, 100, 5);
    feed_fails(&w, ew_xid(&w.w), ERR_SOURCE_SPILL);
    w.opts.spill_dir = "/nonexistent/dir";
    world_reopen(&w);
    feed(&w, ew_gtid_maria(&w.w, 0, 1, 0));
    feed(&w, ew_table_map(&w.w, 70, "db", "a"));
    StrBuf rows = {0};
    ew_image(&rows, FULL_ROW, 1, "x");
    feed_fails(&w, ew_rows(&w.w, EVENT_WRITE_ROWS_V2, 70, 1, FULL_ROW, 0, sb_view(&rows)), ERR_SOURCE_SPILL);
    sb_done(&rows);
    world_done(&w);
}
END_TEST

START_TEST(lost_before_deliver)
{
    World w;
    world_init(&w, FLAVOR_MARIADB, true);
    setenv("SHARDMERGE_FAULTS", "assemble.before_deliver=error@2", 1);
    ck_assert(fault_init(&w.err));
    one_event(&w, 1, 100, 5);
    feed(&w, ew_xid(&w.w));
    uint64_t pos = w.w.pos;
    one_event(&w, 2, 100, 5);
    feed_fails(&w, ew_xid(&w.w), ERR_DB_LOST);
    ck_assert_uint_eq(assembler_point(w.a)->pos, pos);
    w.w.pos = pos; /* as after a reconnect */
    one_event(&w, 2, 100, 5);
    feed(&w, ew_xid(&w.w));
    ck_assert_uint_eq(w.n_txns, 2);
    ck_assert_uint_eq(w.txns[1]->id.gtid.seq, 2);
    world_done(&w);
}
END_TEST

static Suite *split_suite(void)
{
    Suite *s = suite_create("source/assemble_split");
    TCase *c = tcase_create("split");
    tcase_set_timeout(c, 60);
    tcase_add_test(c, split_and_spilled_alike);
    tcase_add_test(c, applied_ranges_are_cut_out);
    tcase_add_test(c, other_rows_than_before);
    tcase_add_test(c, whole_transactions_are_not_applied_twice);
    tcase_add_test(c, filtered_rows_cost_no_memory);
    tcase_add_test(c, large_transaction_in_little_memory);
    tcase_add_test(c, disk_full);
    tcase_add_test(c, lost_before_deliver);
    suite_add_tcase(s, c);
    return s;
}

UNIT_MAIN(split_suite)
