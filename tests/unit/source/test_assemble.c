#include "assemble_world.h"
#include "base/poison.h"

START_TEST(commit_of_mysql)
{
    World w;
    world_init(&w, FLAVOR_MYSQL, true);
    feed(&w, ew_gtid_mysql(&w.w, 5));
    ck_assert(assembler_in_transaction(w.a));
    feed(&w, ew_query(&w.w, "db", "BEGIN"));
    feed(&w, ew_plain(&w.w, EVENT_ROWS_QUERY, 0x80, STR("\x05hello")));
    feed(&w, ew_table_map(&w.w, 70, "db", "a"));
    feed_rows(&w, EVENT_WRITE_ROWS_V2, 70, 10, 2, END_OF_STATEMENT);
    feed(&w, ew_table_map(&w.w, 70, "db", "a"));
    feed_rows(&w, EVENT_UPDATE_ROWS_V2, 70, 11, 1, END_OF_STATEMENT);
    feed(&w, ew_table_map(&w.w, 70, "db", "a"));
    feed_rows(&w, EVENT_DELETE_ROWS_V2, 70, 10, 1, END_OF_STATEMENT);
    ck_assert_uint_eq(w.n_txns, 0);
    const RawEvent *xid = ew_xid(&w.w);
    feed(&w, xid);
    ck_assert(!assembler_in_transaction(w.a));
    ck_assert_uint_eq(w.n_txns, 1);
    ck_assert_uint_eq(w.resolved, 1);

    const Txn *t = w.txns[0];
    ck_assert(t->id.has_gtid && t->id.gtid.gno == 5 && t->id.gtid.uuid[0] == 0x11);
    ck_assert(str_eqc(t->id.file, "bin.000001"));
    ck_assert_str_eq(t->id.server, "server-1");
    ck_assert_uint_eq(t->id.end_pos, xid->end_pos);
    ck_assert(t->id.evidence.set && t->id.evidence.event_pos == xid->start_pos);
    ck_assert_uint_eq(t->id.evidence.event_size, xid->header.size);
    ck_assert_uint_eq(t->id.evidence.crc, xid->crc);
    ck_assert_uint_eq(t->timestamp, xid->header.timestamp);
    ck_assert_uint_eq(t->server_id, 7);
    ck_assert_uint_eq(t->row_from, 0);
    ck_assert_uint_eq(t->row_to, 4);
    ck_assert(!t->is_piece && t->last_piece && !t->already_applied);
    ck_assert_uint_eq(t->counts.read, 4);
    ck_assert_uint_eq(t->counts.filtered, 0);
    ck_assert_uint_eq(t->n_ops, 4);
    ck_assert_uint_eq(t->n_targets, 1);
    ck_assert_ptr_eq(t->targets[0].target, w.targets[0]);
    ck_assert(!t->targets[0].exclusive);
    static const RowKind kinds[] = {ROW_INSERT, ROW_INSERT, ROW_UPDATE, ROW_DELETE};
    static const uint32_t ids[] = {10, 11, 11, 10};
    for (size_t i = 0; i < 4; i++) {
        const RowOp *op = &t->ops[i];
        ck_assert_int_eq(op->kind, kinds[i]);
        ck_assert_uint_eq(op->row_no, i);
        ck_assert_uint_ge(op->n_keys, 1);
        ck_assert_uint_le(op->keys_at + op->n_keys, t->n_keys);
        if (op->kind != ROW_INSERT) ck_assert_uint_eq(image_id(op, &op->before), ids[i]);
        if (op->kind != ROW_DELETE) ck_assert_uint_eq(image_id(op, &op->after), ids[i]);
        ck_assert(op->kind == ROW_DELETE || op->after.full);
    }
    ck_assert_uint_eq(t->ops[0].row_hash_after, t->ops[3].row_hash_before);
    ck_assert_uint_ne(t->ops[0].row_hash_after, t->ops[1].row_hash_after);

    const StreamPoint *p = assembler_point(w.a);
    ck_assert_str_eq(p->file, "bin.000001");
    ck_assert_uint_eq(p->pos, xid->end_pos);
    ck_assert_str_eq(p->server, "server-1");
    ck_assert(p->evidence.set && p->evidence.event_pos == xid->start_pos);
    ck_assert(gtidset_contains(p->gtids, &t->id.gtid));
    world_done(&w);
}
END_TEST

START_TEST(commit_of_mariadb)
{
    World w;
    world_init(&w, FLAVOR_MARIADB, true);
    feed(&w, ew_gtid_maria(&w.w, 0, 5, 0)); /* no BEGIN */
    feed(&w, ew_plain(&w.w, EVENT_ANNOTATE_ROWS, 0, STR("INSERT …")));
    feed(&w, ew_table_map(&w.w, 70, "db", "a"));
    feed_rows(&w, EVENT_WRITE_ROWS_V1, 70, 10, 3, END_OF_STATEMENT);
    feed(&w, ew_xid(&w.w));
    /* tables without transactions: ends with COMMIT */
    feed(&w, ew_gtid_maria(&w.w, 0, 6, 0));
    feed_insert(&w, 71, "b", 1, 1);
    feed(&w, ew_query(&w.w, "db", "COMMIT"));
    /* one statement of its own */
    feed(&w, ew_gtid_maria(&w.w, 0, 7, MARIA_STANDALONE | MARIA_DDL));
    feed(&w, ew_query(&w.w, "other", "CREATE TABLE t (id INT)"));
    /* CREATE … SELECT of a table that is not ours: DDL and rows in one group */
    feed(&w, ew_gtid_maria(&w.w, 1, 1, MARIA_DDL));
    feed(&w, ew_query(&w.w, "other", "CREATE TABLE t2 (id INT)"));
    feed(&w, ew_table_map(&w.w, 72, "other", "t2"));
    feed_rows(&w, EVENT_WRITE_ROWS_V1, 72, 1, 2, END_OF_STATEMENT);
    feed(&w, ew_xid(&w.w));
    ck_assert_uint_eq(w.n_txns, 4);
    ck_assert_uint_eq(w.txns[0]->n_ops, 3);
    ck_assert_uint_eq(w.txns[1]->n_ops, 1);
    ck_assert_ptr_eq(w.txns[1]->targets[0].target, w.targets[1]);
    ck_assert_uint_eq(w.txns[2]->n_ops, 0);
    ck_assert_uint_eq(w.txns[2]->id.gtid.seq, 7);
    ck_assert_uint_eq(w.txns[3]->counts.read, 2);
    ck_assert_uint_eq(w.txns[3]->counts.filtered, 2);
    StrBuf b = {0};
    gtidset_format(assembler_point(w.a)->gtids, &b);
    ck_assert_str_eq(b.ptr, "0-7-7,1-7-1");
    sb_done(&b);
    world_done(&w);
}
END_TEST

START_TEST(without_gtid)
{
    World w;
    world_init(&w, FLAVOR_MYSQL, false);
    feed(&w, ew_gtid_mysql(&w.w, 0));
    feed(&w, ew_query(&w.w, "db", "BEGIN"));
    feed_insert(&w, 70, "a", 1, 1);
    feed(&w, ew_xid(&w.w));
    feed(&w, ew_query(&w.w, "db", "BEGIN")); /* older servers: no such event at all */
    feed_insert(&w, 70, "a", 2, 1);
    feed(&w, ew_query(&w.w, "db", "COMMIT"));
    feed(&w, ew_query(&w.w, "db", "CREATE USER u"));
    feed(&w, ew_gtid_mysql(&w.w, 9)); /* has one, but is not followed by it */
    feed(&w, ew_query(&w.w, "db", "BEGIN"));
    feed_insert(&w, 70, "a", 3, 1);
    feed(&w, ew_xid(&w.w));
    ck_assert_uint_eq(w.n_txns, 4);
    for (size_t i = 0; i < 4; i++) {
        ck_assert(!w.txns[i]->id.has_gtid);
        ck_assert_uint_eq(w.txns[i]->n_ops, i != 2);
        if (i) ck_assert_uint_gt(w.txns[i]->id.end_pos, w.txns[i - 1]->id.end_pos);
    }
    ck_assert_ptr_null(assembler_point(w.a)->gtids);
    ck_assert_uint_eq(assembler_point(w.a)->pos, w.w.pos);
    world_done(&w);
}
END_TEST

START_TEST(rollback_drops)
{
    World w;
    world_init(&w, FLAVOR_MYSQL, true);
    feed(&w, ew_gtid_mysql(&w.w, 5));
    feed(&w, ew_query(&w.w, "db", "BEGIN"));
    feed_insert(&w, 70, "a", 1, 5);
    feed(&w, ew_query(&w.w, "db", "ROLLBACK"));
    ck_assert_uint_eq(w.n_txns, 1);
    ck_assert_uint_eq(w.txns[0]->n_ops, 0);
    ck_assert_uint_eq(w.txns[0]->counts.read, 0);
    ck_assert(w.txns[0]->id.has_gtid && w.txns[0]->id.gtid.gno == 5);
    ck_assert(!assembler_in_transaction(w.a));
    ck_assert_uint_eq(assembler_point(w.a)->pos, w.w.pos);
    world_done(&w);
}
END_TEST

static void check_rows(const World *w, size_t txn, size_t n, const uint32_t *ids, const uint64_t *numbers)
{
    const Txn *t = w->txns[txn];
    ck_assert_uint_eq(t->n_ops, n);
    for (size_t i = 0; i < n; i++) {
        ck_assert_uint_eq(image_id(&t->ops[i], &t->ops[i].after), ids[i]);
        ck_assert_uint_eq(t->ops[i].row_no, numbers[i]);
    }
}

START_TEST(savepoints)
{
    World w;
    world_init(&w, FLAVOR_MARIADB, true);
    feed(&w, ew_gtid_maria(&w.w, 0, 1, 0));
    feed_insert(&w, 70, "a", 100, 1);
    feed(&w, ew_query(&w.w, "db", "SAVEPOINT `a`"));
    feed_insert(&w, 70, "a", 101, 2);
    feed_insert(&w, 75, "x", 1, 3);
    feed(&w, ew_query(&w.w, "db", "SAVEPOINT b"));
    feed_insert(&w, 70, "a", 103, 1);
    feed(&w, ew_query(&w.w, "db", "ROLLBACK TO `A`"));
    feed_insert(&w, 71, "b", 104, 1);
    feed(&w, ew_query(&w.w, "db", "ROLLBACK TO a")); /* still there after one ROLLBACK TO */
    feed_insert(&w, 70, "a", 105, 1);
    feed(&w, ew_query(&w.w, "db", "SAVEPOINT a")); /* a new one of that name */
    feed_insert(&w, 70, "a", 106, 1);
    feed(&w, ew_query(&w.w, "db", "ROLLBACK TO a"));
    feed(&w, ew_query(&w.w, "db", "RELEASE SAVEPOINT a"));
    feed(&w, ew_xid(&w.w));
    check_rows(&w, 0, 2, (uint32_t[]){100, 105}, (uint64_t[]){0, 8});
    const Txn *t = w.txns[0];
    ck_assert_uint_eq(t->counts.read, 2);
    ck_assert_uint_eq(t->counts.filtered, 0);
    ck_assert_uint_eq(t->row_to, 10);
    ck_assert_uint_eq(t->n_targets, 1);
    for (size_t i = 0; i < t->n_ops; i++)
        ck_assert_uint_le(t->ops[i].keys_at + t->ops[i].n_keys, t->n_keys);

    feed(&w, ew_gtid_maria(&w.w, 0, 2, 0));
    feed_insert(&w, 70, "a", 1, 1);
    feed(&w, ew_query(&w.w, "db", "SAVEPOINT a"));
    feed(&w, ew_query(&w.w, "db", "SAVEPOINT b"));
    feed(&w, ew_query(&w.w, "db", "ROLLBACK TO a"));
    feed_fails(&w, ew_query(&w.w, "db", "ROLLBACK TO b"), ERR_SOURCE_PROTOCOL);
    world_done(&w);
}
END_TEST

START_TEST(multi_table_statement)
{
    World w;
    world_init(&w, FLAVOR_MYSQL, true);
    feed(&w, ew_gtid_mysql(&w.w, 1));
    feed(&w, ew_query(&w.w, "db", "BEGIN"));
    feed(&w, ew_table_map(&w.w, 70, "db", "a"));
    feed(&w, ew_table_map(&w.w, 71, "db", "b"));
    feed(&w, ew_table_map(&w.w, 72, "db", "x"));
    feed_rows(&w, EVENT_WRITE_ROWS_V2, 70, 1, 2, 0);
    feed_rows(&w, EVENT_WRITE_ROWS_V2, 72, 1, 4, 0);
    feed_rows(&w, EVENT_WRITE_ROWS_V2, 71, 3, 1, 0);
    feed_rows(&w, EVENT_WRITE_ROWS_V2, 70, 5, 1, END_OF_STATEMENT);
    /* the same id for another table afterwards */
    feed(&w, ew_table_map(&w.w, 70, "db", "b"));
    feed_rows(&w, EVENT_WRITE_ROWS_V2, 70, 9, 1, END_OF_STATEMENT);
    feed(&w, ew_xid(&w.w));
    check_rows(&w, 0, 5, (uint32_t[]){1, 2, 3, 5, 9}, (uint64_t[]){0, 1, 6, 7, 8});
    const Txn *t = w.txns[0];
    ck_assert_uint_eq(t->n_targets, 2);
    ck_assert_ptr_eq(t->ops[2].binding->target, w.targets[1]);
    ck_assert_ptr_eq(t->ops[3].binding->target, w.targets[0]);
    ck_assert_ptr_eq(t->ops[4].binding->target, w.targets[1]);
    ck_assert_uint_eq(t->counts.read, 9);
    ck_assert_uint_eq(t->counts.filtered, 4);
    ck_assert_uint_eq(w.resolved, 3);

    feed(&w, ew_gtid_mysql(&w.w, 2));
    feed(&w, ew_query(&w.w, "db", "BEGIN"));
    feed_insert(&w, 70, "a", 1, 1); /* ends the statement */
    StrBuf rows = {0};
    ew_image(&rows, FULL_ROW, 2, "x");
    feed_fails(&w, ew_rows(&w.w, EVENT_WRITE_ROWS_V2, 70, 0, FULL_ROW, 0, sb_view(&rows)),
               ERR_SOURCE_PROTOCOL);
    sb_done(&rows);
    world_done(&w);
}
END_TEST

START_TEST(partial_images)
{
    World w;
    world_init(&w, FLAVOR_MYSQL, true);
    feed(&w, ew_gtid_mysql(&w.w, 1));
    feed(&w, ew_query(&w.w, "db", "BEGIN"));
    feed(&w, ew_table_map(&w.w, 70, "db", "a"));
    StrBuf rows = {0};
    ew_image(&rows, HAS_ID, 5, NULL);
    ew_image(&rows, HAS_V, 0, "new");
    ew_image(&rows, HAS_ID, 6, NULL);
    ew_image(&rows, HAS_V, 0, NULL);
    feed(&w, ew_rows(&w.w, EVENT_UPDATE_ROWS_V2, 70, 0, HAS_ID, HAS_V, sb_view(&rows)));
    sb_clear(&rows);
    ew_image(&rows, HAS_ID, 7, NULL);
    feed(&w, ew_rows(&w.w, EVENT_DELETE_ROWS_V2, 70, 0, HAS_ID, 0, sb_view(&rows)));
    sb_clear(&rows);
    ew_image(&rows, HAS_ID, 8, NULL);
    feed(&w, ew_rows(&w.w, EVENT_WRITE_ROWS_V2, 70, END_OF_STATEMENT, HAS_ID, 0, sb_view(&rows)));
    feed(&w, ew_xid(&w.w));
    const Txn *t = w.txns[0];
    ck_assert_uint_eq(t->n_ops, 4);
    ck_assert(!t->ops[0].before.full && !t->ops[0].after.full);
    ck_assert_uint_eq(t->ops[0].before.present[0] & 3, HAS_ID);
    ck_assert_uint_eq(t->ops[0].after.present[0] & 3, HAS_V);
    ck_assert_uint_eq(image_id(&t->ops[1], &t->ops[1].before), 6);
    Field f[2];
    row_fields(t->ops[0].binding->map, t->ops[0].after.present, t->ops[0].after.bytes, f);
    ck_assert_int_eq(f[0].state, FIELD_ABSENT);
    ck_assert(f[1].state == FIELD_VALUE && f[1].len == 3 && memcmp(f[1].ptr, "new", 3) == 0);
    row_fields(t->ops[1].binding->map, t->ops[1].after.present, t->ops[1].after.bytes, f);
    ck_assert_int_eq(f[1].state, FIELD_NULL);
    ck_assert_int_eq(t->ops[2].kind, ROW_DELETE);
    ck_assert_uint_eq(image_id(&t->ops[3], &t->ops[3].after), 8);

    /* rows without any column: nobody can count them */
    static const unsigned types[] = {EVENT_WRITE_ROWS_V2, EVENT_UPDATE_ROWS_V2};
    for (size_t i = 0; i < 2; i++) {
        feed(&w, ew_gtid_mysql(&w.w, 2 + i));
        feed(&w, ew_query(&w.w, "db", "BEGIN"));
        feed(&w, ew_table_map(&w.w, 70, "db", i ? "x" : "a"));
        feed_fails(&w, ew_rows(&w.w, types[i], 70, 1, 0, 0, i ? STR("x") : STR("")), ERR_DECODE_UNSUPPORTED);
    }
    sb_done(&rows);
    world_done(&w);
}
END_TEST

START_TEST(broken_rows)
{
    World w;
    world_init(&w, FLAVOR_MYSQL, true);
    for (unsigned i = 0; i < 4; i++) {
        StrBuf rows = {0};
        ew_image(&rows, FULL_ROW, 1, "value");
        feed(&w, ew_gtid_mysql(&w.w, 1));
        feed(&w, ew_query(&w.w, "db", "BEGIN"));
        feed(&w, ew_table_map(&w.w, 70, "db", i & 1 ? "x" : "a"));
        Str cut = {rows.ptr, rows.len - 2};
        const RawEvent *ev = ew_rows(&w.w, EVENT_WRITE_ROWS_V2, 70, 1, FULL_ROW, 0, cut);
        if (i >= 2) w.w.body.ptr[10] = 3; /* one column more than the map has */
        feed_fails(&w, ev, ERR_CORRUPT);
        sb_done(&rows);
    }
    world_done(&w);
}
END_TEST

START_TEST(table_maps_are_resolved_once)
{
    World w;
    world_init(&w, FLAVOR_MARIADB, true);
    for (uint64_t i = 1; i <= 20; i++) {
        feed(&w, ew_gtid_maria(&w.w, 0, i, 0));
        feed_insert(&w, 70 + 256 * i, "a", (uint32_t)i, 1); /* ids that share a slot */
        feed_insert(&w, 71, i & 1 ? "b" : "x", (uint32_t)i, 1);
        feed(&w, ew_xid(&w.w));
    }
    ck_assert_uint_eq(w.resolved, 3);
    assembler_reset(w.a, "server-2");
    feed(&w, ew_gtid_maria(&w.w, 0, 21, 0));
    feed_insert(&w, 5, "a", 1, 1);
    feed(&w, ew_xid(&w.w));
    ck_assert_uint_eq(w.resolved, 3);
    ck_assert_str_eq(w.txns[20]->id.server, "server-2");
    ck_assert_str_eq(assembler_point(w.a)->server, "server-2");
    w.resolve_fails = true;
    feed(&w, ew_gtid_maria(&w.w, 0, 22, 0));
    const RawEvent *ev = ew_table_map(&w.w, 5, "db", "new");
    ck_assert(!assembler_event(w.a, &w.w.fmt, ev, &w.err));
    ck_assert_int_eq(w.err.code, ERR_TRACK_MISMATCH);
    ck_assert_ptr_nonnull(strstr(w.err.message, "`db`.`new`"));
    ck_assert_ptr_nonnull(strstr(w.err.message, "GTID 0-7-22"));
    world_done(&w);
}
END_TEST

/* Types that pass between transactions and inside them, without effect. */
START_TEST(events_that_pass)
{
    static const unsigned types[] = {
        EVENT_ROTATE,
        EVENT_STOP,
        EVENT_HEARTBEAT,
        EVENT_HEARTBEAT_V2,
        EVENT_PREVIOUS_GTIDS,
        EVENT_GTID_LIST,
        EVENT_BINLOG_CHECKPOINT,
        EVENT_TRANSACTION_CONTEXT,
        EVENT_VIEW_CHANGE,
        EVENT_START_ENCRYPTION,
        EVENT_ANNOTATE_ROWS,
        EVENT_ROWS_QUERY,
        EVENT_INTVAR,
        EVENT_RAND,
        EVENT_USER_VAR,
        EVENT_BEGIN_LOAD_QUERY,
        EVENT_APPEND_BLOCK,
        EVENT_DELETE_FILE,
    };
    World w;
    world_init(&w, FLAVOR_MYSQL, true);
    for (size_t i = 0; i < ARRAY_LEN(types); i++)
        feed(&w, ew_plain(&w.w, types[i], 0, STR("x")));
    feed(&w, ew_plain(&w.w, EVENT_FORMAT_DESCRIPTION, 0, STR("x")));
    feed(&w, ew_gtid_mysql(&w.w, 1));
    feed(&w, ew_query(&w.w, "db", "BEGIN"));
    feed_insert(&w, 70, "a", 1, 1);
    for (size_t i = 0; i < ARRAY_LEN(types); i++)
        feed(&w, ew_plain(&w.w, types[i], 0, STR("x")));
    feed(&w, ew_plain(&w.w, EVENT_FORMAT_DESCRIPTION, EVENT_FLAG_ARTIFICIAL, STR("x")));
    feed(&w, ew_plain(&w.w, 200, EVENT_FLAG_IGNORABLE, STR("x")));
    feed(&w, ew_plain(&w.w, EVENT_IGNORABLE, EVENT_FLAG_IGNORABLE, STR("x")));
    ck_assert_uint_eq(w.noted, 2);
    feed(&w, ew_xid(&w.w));
    ck_assert_uint_eq(w.n_txns, 1);
    ck_assert_uint_eq(w.txns[0]->n_ops, 1);
    world_done(&w);
}
END_TEST

START_TEST(events_that_stop)
{
    static const struct {
        unsigned type;
        ErrCode code;
    } cases[] = {
        {200, ERR_DECODE_UNSUPPORTED},
        {0, ERR_DECODE_UNSUPPORTED},
        {EVENT_IGNORABLE, ERR_DECODE_UNSUPPORTED},
        {EVENT_INCIDENT, ERR_SOURCE_INCIDENT},
        {EVENT_PARTIAL_ROW_DATA, ERR_DECODE_UNSUPPORTED},
        {EVENT_START_V3, ERR_DECODE_UNSUPPORTED},
        {EVENT_LOAD, ERR_DECODE_UNSUPPORTED},
        {EVENT_SLAVE, ERR_DECODE_UNSUPPORTED},
        {EVENT_CREATE_FILE, ERR_DECODE_UNSUPPORTED},
        {EVENT_EXEC_LOAD, ERR_DECODE_UNSUPPORTED},
        {EVENT_NEW_LOAD, ERR_DECODE_UNSUPPORTED},
    };
    World w;
    world_init(&w, FLAVOR_MARIADB, true);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        for (unsigned inside = 0; inside < 2; inside++) {
            if (inside) {
                feed(&w, ew_gtid_maria(&w.w, 0, 1, 0));
                feed_insert(&w, 70, "a", 1, 1);
            }
            feed_fails(&w, ew_plain(&w.w, cases[i].type, 0, STR("some bytes of it")), cases[i].code);
        }
    }
    ck_assert_uint_eq(w.n_txns, 0);
    ck_assert_ptr_null(assembler_point(w.a)->file); /* still before all of it */
    world_done(&w);
}
END_TEST

START_TEST(framing_errors)
{
    World w;
    world_init(&w, FLAVOR_MYSQL, true);
    StrBuf rows = {0};
    ew_image(&rows, FULL_ROW, 2, "x");
    feed_fails(&w, ew_xid(&w.w), ERR_SOURCE_PROTOCOL);
    feed_fails(&w, ew_query(&w.w, "db", "COMMIT"), ERR_SOURCE_PROTOCOL);
    feed_fails(&w, ew_query(&w.w, "db", "SAVEPOINT a"), ERR_SOURCE_PROTOCOL);
    feed_fails(&w, ew_query(&w.w, "db", "ROLLBACK TO a"), ERR_SOURCE_PROTOCOL);
    feed_fails(&w, ew_table_map(&w.w, 70, "db", "a"), ERR_SOURCE_PROTOCOL);
    feed_fails(&w, ew_rows(&w.w, EVENT_WRITE_ROWS_V2, 70, 1, FULL_ROW, 0, sb_view(&rows)),
               ERR_SOURCE_PROTOCOL);
    feed(&w, ew_gtid_mysql(&w.w, 1));
    feed_fails(&w, ew_table_map(&w.w, 70, "db", "a"), ERR_SOURCE_PROTOCOL);
    feed(&w, ew_gtid_mysql(&w.w, 1));
    feed_fails(&w, ew_gtid_mysql(&w.w, 2), ERR_SOURCE_PROTOCOL);
    feed(&w, ew_gtid_mysql(&w.w, 1));
    feed(&w, ew_query(&w.w, "db", "BEGIN"));
    feed_insert(&w, 70, "a", 1, 1);
    feed_fails(&w, ew_query(&w.w, "db", "BEGIN"), ERR_SOURCE_PROTOCOL);
    feed_fails(&w, ew_gtid_maria(&w.w, 0, 1, 0), ERR_SOURCE_PROTOCOL);
    feed_fails(&w, ew_gtid_mysql(&w.w, 0), ERR_SOURCE_SETTING); /* anonymous in a stream by GTID */
    sb_done(&rows);
    world_done(&w);
}
END_TEST

START_TEST(gtid_order)
{
    for (unsigned use_gtid = 0; use_gtid < 2; use_gtid++) {
        World w;
        world_init(&w, FLAVOR_MARIADB, use_gtid);
        feed(&w, ew_gtid_maria(&w.w, 0, 5, MARIA_STANDALONE));
        feed(&w, ew_query(&w.w, "other", "CREATE TABLE t (id INT)"));
        feed(&w, ew_gtid_maria(&w.w, 1, 2, MARIA_STANDALONE)); /* domains are apart */
        feed(&w, ew_query(&w.w, "other", "CREATE TABLE t (id INT)"));
        feed_fails(&w, ew_gtid_maria(&w.w, 0, 5, 0), ERR_SOURCE_GTID_ORDER);
        feed_fails(&w, ew_gtid_maria(&w.w, 0, 4, 0), ERR_SOURCE_GTID_ORDER);
        feed(&w, ew_gtid_maria(&w.w, 0, 9, 0));
        world_done(&w);
    }
    World w;
    world_init(&w, FLAVOR_MYSQL, true);
    feed(&w, ew_gtid_mysql(&w.w, 5));
    feed(&w, ew_query(&w.w, "other", "CREATE TABLE t (id INT)"));
    feed_fails(&w, ew_gtid_mysql(&w.w, 5), ERR_SOURCE_HISTORY);
    feed(&w, ew_gtid_mysql(&w.w, 4)); /* gaps are filled in any order */
    world_done(&w);
}
END_TEST

START_TEST(server_crash_cuts_a_transaction)
{
    World w;
    world_init(&w, FLAVOR_MARIADB, true);
    feed(&w, ew_gtid_maria(&w.w, 0, 1, 0));
    feed_insert(&w, 70, "a", 1, 3);
    feed(&w, ew_plain(&w.w, EVENT_FORMAT_DESCRIPTION, 0, STR("x")));
    ck_assert(!assembler_in_transaction(w.a));
    ck_assert_uint_eq(w.n_txns, 0);
    feed(&w, ew_gtid_maria(&w.w, 0, 1, 0));
    feed_insert(&w, 70, "a", 1, 1);
    feed(&w, ew_xid(&w.w));
    ck_assert_uint_eq(w.n_txns, 1);
    ck_assert_uint_eq(w.txns[0]->n_ops, 1);
    world_done(&w);
}
END_TEST

START_TEST(positions_without_transactions)
{
    World w;
    PointEvidence evidence = {.set = true, .event_pos = 4, .crc = 99};
    world_init(&w, FLAVOR_MARIADB, true);
    ck_assert(assembler_position(w.a, STR("bin.000002"), 4, 77, &evidence, &w.err));
    ck_assert(assembler_position(w.a, STR("bin.000002"), 4, 78, &evidence, &w.err)); /* nothing new */
    ck_assert_uint_eq(w.n_txns, 1);
    const Txn *t = w.txns[0];
    ck_assert(!t->id.has_gtid && str_eqc(t->id.file, "bin.000002") && t->id.end_pos == 4);
    ck_assert(t->id.evidence.set && t->id.evidence.crc == 99);
    ck_assert_uint_eq(t->timestamp, 77);
    ck_assert_uint_eq(t->n_ops, 0);
    ck_assert_str_eq(assembler_point(w.a)->file, "bin.000002");
    w.w.file = "bin.000002";
    feed(&w, ew_gtid_maria(&w.w, 0, 1, 0));
    ck_assert(assembler_position(w.a, STR("bin.000002"), 900, 79, &evidence,
                                 &w.err)); /* inside a group: says nothing */
    ck_assert_uint_eq(w.n_txns, 1);
    ck_assert(assembler_in_transaction(w.a));
    ck_assert(
        assembler_position(w.a, STR("bin.000003"), 4, 80, &evidence, &w.err)); /* the group was cut off */
    ck_assert_uint_eq(w.n_txns, 2);
    ck_assert(!assembler_in_transaction(w.a));
    world_done(&w);
}
END_TEST

START_TEST(stopping)
{
    World w;
    PointEvidence evidence = {0};
    world_init(&w, FLAVOR_MARIADB, true);
    w.refuse = true;
    feed(&w, ew_gtid_maria(&w.w, 0, 1, 0));
    feed_insert(&w, 70, "a", 1, 3);
    ck_assert(!assembler_event(w.a, &w.w.fmt, ew_xid(&w.w), &w.err));
    ck_assert_int_eq(w.err.code, ERR_CANCELLED);
    ck_assert_uint_eq(budget_used(&w.budget), 0);
    ck_assert_ptr_null(assembler_point(w.a)->file);
    err_clear(&w.err);
    w.refuse = false;
    budget_close(&w.budget);
    feed(&w, ew_gtid_maria(&w.w, 0, 1, 0));
    feed_insert(&w, 70, "a", 1, 3);
    ck_assert(!assembler_event(w.a, &w.w.fmt, ew_xid(&w.w), &w.err));
    ck_assert_int_eq(w.err.code, ERR_CANCELLED);
    err_clear(&w.err);
    ck_assert(!assembler_position(w.a, STR("bin.000009"), 4, 0, &evidence, &w.err));
    ck_assert_int_eq(w.err.code, ERR_CANCELLED);
    ck_assert_uint_eq(w.n_txns, 0);
    world_done(&w);
}
END_TEST

static Suite *assemble_suite(void)
{
    Suite *s = suite_create("source/assemble");
    TCase *c = tcase_create("assemble");
    tcase_add_test(c, commit_of_mysql);
    tcase_add_test(c, commit_of_mariadb);
    tcase_add_test(c, without_gtid);
    tcase_add_test(c, rollback_drops);
    tcase_add_test(c, savepoints);
    tcase_add_test(c, multi_table_statement);
    tcase_add_test(c, partial_images);
    tcase_add_test(c, broken_rows);
    tcase_add_test(c, table_maps_are_resolved_once);
    tcase_add_test(c, events_that_pass);
    tcase_add_test(c, events_that_stop);
    tcase_add_test(c, framing_errors);
    tcase_add_test(c, gtid_order);
    tcase_add_test(c, server_crash_cuts_a_transaction);
    tcase_add_test(c, positions_without_transactions);
    tcase_add_test(c, stopping);
    suite_add_tcase(s, c);
    return s;
}

UNIT_MAIN(assemble_suite)
