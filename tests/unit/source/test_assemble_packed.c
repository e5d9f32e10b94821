/* Events inside others and in compressed forms: payloads, MariaDB's compressed rows, statements and columns.
 */
#include "assemble_world.h"
#include "payload_writer.h"
#include "base/poison.h"

/* BEGIN, n rows of db.<table>, XID. */
static void add_group(World *w, StrBuf *payload, const char *table, uint32_t id, unsigned n)
{
    StrBuf rows = {0};
    for (unsigned i = 0; i < n; i++)
        ew_image(&rows, FULL_ROW, id + i, "some text that repeats");
    pw_add(payload, &w->w, ew_query(&w->w, "db", "BEGIN"));
    pw_add(payload, &w->w, ew_table_map(&w->w, 70, "db", table));
    pw_add(payload, &w->w,
           ew_rows(&w->w, EVENT_WRITE_ROWS_V2, 70, END_OF_STATEMENT, FULL_ROW, 0, sb_view(&rows)));
    pw_add(payload, &w->w, ew_xid(&w->w));
    sb_done(&rows);
}

START_TEST(payload)
{
    static const unsigned kinds[] = {PAYLOAD_ZSTD, PAYLOAD_NONE};
    World w;
    world_init(&w, FLAVOR_MYSQL, true);
    for (size_t k = 0; k < 2; k++) {
        StrBuf p = {0};
        feed(&w, ew_gtid_mysql(&w.w, 1 + k));
        add_group(&w, &p, "a", 10, 3);
        const RawEvent *ev = pw_event(&w.w, kinds[k], sb_view(&p));
        feed(&w, ev);
        sb_done(&p);
        ck_assert(!assembler_in_transaction(w.a));
        ck_assert_uint_eq(w.n_txns, 1 + k);
        const Txn *t = w.txns[k];
        ck_assert_uint_eq(t->n_ops, 3);
        ck_assert_uint_eq(t->counts.read, 3);
        for (uint32_t i = 0; i < 3; i++) {
            ck_assert_uint_eq(t->ops[i].row_no, i);
            ck_assert_uint_eq(image_id(&t->ops[i], &t->ops[i].after), 10 + i);
        }
        ck_assert_uint_eq(t->id.gtid.gno, 1 + k);
        ck_assert_uint_eq(t->id.end_pos, ev->end_pos);
        ck_assert_uint_eq(t->id.evidence.event_pos, ev->start_pos);
        ck_assert_uint_eq(t->id.evidence.event_size, ev->header.size);
        ck_assert_uint_eq(t->id.evidence.crc, ev->crc);
        ck_assert_uint_eq(assembler_point(w.a)->pos, w.w.pos);
    }
    world_done(&w);
}
END_TEST

/* Without GTID the end of the payload is the identity; filtered tables count inside as well. */
START_TEST(payload_by_position)
{
    World w;
    world_init(&w, FLAVOR_MYSQL, false);
    StrBuf p = {0};
    feed(&w, ew_gtid_mysql(&w.w, 0));
    add_group(&w, &p, "x", 1, 5);
    const RawEvent *ev = pw_event(&w.w, PAYLOAD_ZSTD, sb_view(&p));
    feed(&w, ev);
    sb_done(&p);
    ck_assert_uint_eq(w.n_txns, 1);
    ck_assert(!w.txns[0]->id.has_gtid);
    ck_assert_uint_eq(w.txns[0]->id.end_pos, ev->end_pos);
    ck_assert_uint_eq(w.txns[0]->counts.read, 5);
    ck_assert_uint_eq(w.txns[0]->counts.filtered, 5);
    world_done(&w);
}
END_TEST

/* Many times what may stay in memory: spilled, and delivered in pieces. */
START_TEST(payload_beyond_memory)
{
    enum { EVENTS = 200, ROWS = 400 };
    World w;
    world_init(&w, FLAVOR_MYSQL, true);
    w.keep = false;
    w.opts.spill_bytes = 64 * 1024;
    world_reopen(&w);
    StrBuf p = {0}, rows = {0};
    for (unsigned i = 0; i < ROWS; i++)
        ew_image(&rows, FULL_ROW, i, "some text that repeats again and again");
    pw_add(&p, &w.w, ew_query(&w.w, "db", "BEGIN"));
    for (unsigned i = 0; i < EVENTS; i++) {
        pw_add(&p, &w.w, ew_table_map(&w.w, 70, "db", "a"));
        pw_add(&p, &w.w,
               ew_rows(&w.w, EVENT_WRITE_ROWS_V2, 70, END_OF_STATEMENT, FULL_ROW, 0, sb_view(&rows)));
    }
    pw_add(&p, &w.w, ew_xid(&w.w));
    feed(&w, ew_gtid_mysql(&w.w, 1));
    const RawEvent *ev = pw_event(&w.w, PAYLOAD_ZSTD, sb_view(&p));
    ck_assert_uint_gt(p.len, 40 * ev->body.len);
    sb_done(&rows);
    sb_done(&p);
    feed(&w, ev);
    ck_assert_uint_eq(w.rows, EVENTS * ROWS);
    ck_assert_uint_gt(w.pieces, 10);
    ck_assert_uint_lt(w.most_bytes, 4 * w.opts.spill_bytes);
    world_done(&w);
}
END_TEST

typedef struct Broken {
    const char *what;
    ErrCode code;
} Broken;

/* Makes the n-th broken payload; false: there is none of that number. */
static bool make_broken(World *w, unsigned n, StrBuf *body, Broken *out)
{
    StrBuf p = {0};
    add_group(w, &p, "a", 1, 2);
    Str whole = sb_view(&p);
    bool there = true;
    *out = (Broken){"", ERR_CORRUPT};
    switch (n) {
    case 0: out->what = "more bytes than it says", pw_body(body, PAYLOAD_ZSTD, whole, whole.len - 1); break;
    case 1: out->what = "it says", pw_body(body, PAYLOAD_ZSTD, whole, whole.len + 1); break;
    case 2:
        out->what = "of an event inside",
        pw_body(body, PAYLOAD_ZSTD, (Str){whole.ptr, whole.len - 1}, whole.len - 1);
        break;
    case 3:
        out->what = "of an event inside", pw_body(body, PAYLOAD_NONE, (Str){whole.ptr, whole.len - 1}, 0);
        break;
    case 4:
        out->what = "ends inside its transaction",
        pw_body(body, PAYLOAD_NONE, (Str){whole.ptr, whole.len - 27}, 0);
        break;
    case 5:
        out->what = "behind the end";
        pw_add(&p, &w->w, ew_query(&w->w, "db", "BEGIN"));
        pw_body(body, PAYLOAD_ZSTD, sb_view(&p), p.len);
        break;
    case 6:
        out->what = "inside a TRANSACTION_PAYLOAD";
        sb_clear(&p);
        pw_add(&p, &w->w, ew_gtid_mysql(&w->w, 77));
        pw_body(body, PAYLOAD_ZSTD, sb_view(&p), p.len);
        break;
    case 7:
        out->what = "compression 1";
        out->code = ERR_DECODE_UNSUPPORTED;
        pw_field(body, 2, 1), pw_field(body, 1, 4), pw_field(body, 3, 4), sb_c(body, "xxxxx");
        body->ptr[body->len - 5] = 0;
        break;
    case 8: out->what = "", out->code = ERR_DECODE_TRUNCATED, sb_c(body, "\2"); break;
    case 9: out->what = "has not the length", pw_body(body, PAYLOAD_NONE, whole, 0), sb_ch(body, 'x'); break;
    case 10: /* the end of the frame is missing */
        out->what = "cut off";
        pw_body(body, PAYLOAD_ZSTD, whole, whole.len);
        body->len -= 2;
        ck_assert_int_eq(body->ptr[3], 1);
        body->ptr[5] = (char)(body->ptr[5] - 2);
        break;
    case 11:
        out->what = "TRANSACTION_PAYLOAD event: ", pw_field(body, 2, PAYLOAD_ZSTD), pw_field(body, 1, 6),
        pw_field(body, 3, 100), sb_add(body, "\0nozstd", 7);
        break;
    case 12: out->what = "inside is cut off", pw_body(body, PAYLOAD_NONE, (Str){0}, 0); break;
    case 13:
        out->what = "does not say how long", pw_field(body, 2, PAYLOAD_ZSTD), pw_field(body, 1, 1),
        sb_add(body, "\0x", 2);
        break;
    default: there = false;
    }
    sb_done(&p);
    return there;
}

START_TEST(broken_payloads)
{
    World w;
    Broken b;
    world_init(&w, FLAVOR_MYSQL, true);
    for (unsigned n = 0;; n++) {
        StrBuf body = {0};
        if (!make_broken(&w, n, &body, &b)) {
            ck_assert_uint_ge(n, 14);
            break;
        }
        feed(&w, ew_gtid_mysql(&w.w, 1));
        const RawEvent *ev = ew_plain(&w.w, EVENT_TRANSACTION_PAYLOAD, 0, sb_view(&body));
        bool ok = assembler_event(w.a, &w.w.fmt, ev, &w.err);
        ck_assert_msg(!ok, "%u was taken", n);
        ck_assert_msg(w.err.code == b.code && strstr(w.err.message, b.what), "%u: %s %s", n,
                      err_code_name(w.err.code), w.err.message);
        ck_assert_uint_eq(w.n_txns, 0);
        ck_assert(!assembler_in_transaction(w.a));
        err_clear(&w.err);
        sb_done(&body);
    }
    world_done(&w);
}
END_TEST

/* Every byte of a payload changed in turn: taken as it was, or refused; never a crash, nothing half
 * delivered. */
START_TEST(flipped_payloads)
{
    World w;
    world_init(&w, FLAVOR_MYSQL, true);
    StrBuf p = {0}, body = {0};
    add_group(&w, &p, "a", 1, 2);
    pw_body(&body, PAYLOAD_ZSTD, sb_view(&p), p.len);
    unsigned refused = 0;
    for (size_t i = 0; i < body.len; i++) {
        for (unsigned bit = 0; bit < 8; bit++) {
            body.ptr[i] ^= (char)(1 << bit);
            feed(&w, ew_gtid_mysql(&w.w, 1 + i * 8 + bit));
            size_t before = w.n_txns;
            bool ok = assembler_event(w.a, &w.w.fmt,
                                      ew_plain(&w.w, EVENT_TRANSACTION_PAYLOAD, 0, sb_view(&body)), &w.err);
            ck_assert_uint_eq(w.n_txns, before + ok);
            refused += !ok;
            err_clear(&w.err);
            body.ptr[i] ^= (char)(1 << bit);
        }
    }
    ck_assert_uint_gt(refused, body.len * 2);
    sb_done(&p);
    sb_done(&body);
    world_done(&w);
}
END_TEST

START_TEST(compressed_rows)
{
    static const unsigned types[] = {EVENT_WRITE_ROWS_COMPRESSED_V1,  EVENT_UPDATE_ROWS_COMPRESSED_V1,
                                     EVENT_DELETE_ROWS_COMPRESSED_V1, EVENT_WRITE_ROWS_COMPRESSED_V2,
                                     EVENT_UPDATE_ROWS_COMPRESSED_V2, EVENT_DELETE_ROWS_COMPRESSED_V2};
    static const RowKind kinds[] = {ROW_INSERT, ROW_UPDATE, ROW_DELETE};
    World w;
    world_init(&w, FLAVOR_MARIADB, true);
    for (size_t i = 0; i < ARRAY_LEN(types); i++) {
        for (unsigned filtered = 0; filtered < 2; filtered++) {
            StrBuf rows = {0};
            for (uint32_t k = 0; k < 4; k++)
                ew_image(&rows, FULL_ROW, 7, "text");
            feed(&w, ew_gtid_maria(&w.w, 0, 1 + 2 * i + filtered, 0));
            feed(&w, ew_table_map(&w.w, 70, "db", filtered ? "x" : "a"));
            feed(&w, pw_rows(&w.w, types[i], 70, FULL_ROW, sb_view(&rows)));
            feed(&w, ew_xid(&w.w));
            sb_done(&rows);
            const Txn *t = w.txns[w.n_txns - 1];
            unsigned n = i % 3 == 1 ? 2 : 4;
            ck_assert_uint_eq(t->counts.read, n);
            ck_assert_uint_eq(t->counts.filtered, filtered ? n : 0);
            ck_assert_uint_eq(t->n_ops, filtered ? 0 : n);
            if (filtered) continue;
            ck_assert_int_eq(t->ops[0].kind, kinds[i % 3]);
            const RowImage *image = i % 3 == 2 ? &t->ops[0].before : &t->ops[0].after;
            ck_assert_uint_eq(image_id(&t->ops[0], image), 7);
        }
    }
    StrBuf rows = {0};
    ew_image(&rows, FULL_ROW, 7, "text");
    feed(&w, ew_gtid_maria(&w.w, 0, 100, 0));
    feed(&w, ew_table_map(&w.w, 70, "db", "a"));
    const RawEvent *ev = pw_rows(&w.w, EVENT_WRITE_ROWS_COMPRESSED_V1, 70, FULL_ROW, sb_view(&rows));
    w.w.body.ptr[w.w.body.len - 1] ^= 1;
    feed_fails(&w, ev, ERR_CORRUPT);
    sb_done(&rows);
    world_done(&w);
}
END_TEST

START_TEST(compressed_statements)
{
    World w;
    world_init(&w, FLAVOR_MARIADB, true);
    feed(&w, ew_gtid_maria(&w.w, 0, 1, MARIA_STANDALONE | MARIA_DDL));
    feed(&w, pw_query(&w.w, "other", "CREATE TABLE t (id INT)"));
    ck_assert_uint_eq(w.n_txns, 1);
    feed(&w, ew_gtid_maria(&w.w, 0, 2, MARIA_STANDALONE | MARIA_DDL));
    feed_fails(&w, pw_query(&w.w, "db", "ALTER TABLE a ADD c INT"), ERR_SOURCE_DDL);
    feed(&w, ew_gtid_maria(&w.w, 0, 2, 0));
    feed_fails(&w, pw_query(&w.w, "db", "UPDATE a SET v = 'x'"), ERR_SOURCE_STATEMENT);
    world_done(&w);
}
END_TEST

/* The table map of a, with v VARCHAR(80) COMPRESSED. */
static const RawEvent *compressed_map(World *w, const char *table)
{
    const RawEvent *ev = ew_table_map(&w->w, 70, "db", table);
    char *types = memchr(w->w.body.ptr, COLTYPE_VARCHAR, w->w.body.len);
    ck_assert_ptr_nonnull(types);
    types[0] = (char)COLTYPE_VARCHAR_COMPRESSED;
    types[2]++; /* the byte in front of the value */
    return ev;
}

START_TEST(compressed_columns)
{
    World w;
    world_init(&w, FLAVOR_MARIADB, true);
    StrBuf value = {0}, rows = {0};
    uLongf n = 200;
    char plain[80], packed[200];
    memset(plain, 'y', sizeof plain);
    ck_assert_int_eq(compress((Bytef *)packed, &n, (const Bytef *)plain, sizeof plain), Z_OK);
    sb_add(&value, "\x81\x50", 2);
    sb_add(&value, packed, n);
    sb_add(&rows, "\0\1\0\0\0", 5);
    ew_uint(&rows, value.len, 1);
    sb_str(&rows, sb_view(&value));
    sb_add(&rows, "\0\2\0\0\0\4\0abc", 10); /* as it is */
    sb_add(&rows, "\0\3\0\0\0\0", 6);       /* empty */
    sb_add(&rows, "\2\4\0\0\0", 5);         /* NULL */
    for (unsigned filtered = 0; filtered < 2; filtered++) {
        feed(&w, ew_gtid_maria(&w.w, 0, 1 + filtered, 0));
        feed(&w, compressed_map(&w, filtered ? "x" : "a"));
        feed(&w, ew_rows(&w.w, EVENT_WRITE_ROWS_V1, 70, END_OF_STATEMENT, FULL_ROW, 0, sb_view(&rows)));
        feed(&w, ew_xid(&w.w));
        ck_assert_uint_eq(w.txns[filtered]->counts.read, 4);
    }
    const Txn *t = w.txns[0];
    static const unsigned lens[] = {80, 3, 0};
    ck_assert_uint_eq(t->n_ops, 4);
    ck_assert_int_eq(t->ops[0].binding->map->columns[1].type, COLTYPE_VARCHAR);
    ck_assert_uint_eq(t->ops[0].binding->map->columns[1].meta, 80);
    for (size_t i = 0; i < 4; i++) {
        Field f[2];
        row_fields(t->ops[i].binding->map, t->ops[i].after.present, t->ops[i].after.bytes, f);
        ck_assert_uint_eq(image_id(&t->ops[i], &t->ops[i].after), i + 1);
        if (i == 3) {
            ck_assert_int_eq(f[1].state, FIELD_NULL);
            continue;
        }
        ck_assert_uint_eq(f[1].len, lens[i]);
        if (i == 0) ck_assert_mem_eq(f[1].ptr, plain, sizeof plain);
        if (i == 1) ck_assert_mem_eq(f[1].ptr, "abc", 3);
    }
    ck_assert_uint_eq(w.txns[1]->counts.filtered, 4);
    rows.ptr[7]++; /* says another length */
    feed(&w, ew_gtid_maria(&w.w, 0, 3, 0));
    feed(&w, compressed_map(&w, "a"));
    feed_fails(&w, ew_rows(&w.w, EVENT_WRITE_ROWS_V1, 70, END_OF_STATEMENT, FULL_ROW, 0, sb_view(&rows)),
               ERR_CORRUPT);
    sb_done(&value);
    sb_done(&rows);
    world_done(&w);
}
END_TEST

/* MariaDB's two-phase ALTER: only the COMMIT changes the table. */
START_TEST(two_phase_alter)
{
    enum { START = 2, COMMIT = 4, ROLLBACK = 8 };
    World w;
    world_init(&w, FLAVOR_MARIADB, true);
    for (unsigned i = 0; i < 3; i++) {
        static const unsigned flags[] = {START, ROLLBACK, COMMIT};
        ew_gtid_maria(&w.w, 0, 1 + i, MARIA_STANDALONE | MARIA_DDL);
        w.w.body.len -= 6; /* the padding */
        w.w.pos = w.w.ev.start_pos;
        sb_ch(&w.w.body, (char)flags[i]);
        ew_uint(&w.w.body, 1, 8);
        feed(&w, ew_event(&w.w, EVENT_MARIADB_GTID, 0));
        const RawEvent *ev = ew_query(&w.w, "db", "ALTER TABLE a ADD c INT");
        if (flags[i] == COMMIT)
            feed_fails(&w, ev, ERR_SOURCE_DDL);
        else
            feed(&w, ev);
    }
    ck_assert_uint_eq(w.n_txns, 2);
    world_done(&w);
}
END_TEST

static Suite *packed_suite(void)
{
    Suite *s = suite_create("source/assemble_packed");
    TCase *c = tcase_create("packed");
    tcase_add_test(c, payload);
    tcase_add_test(c, payload_by_position);
    tcase_add_test(c, payload_beyond_memory);
    tcase_add_test(c, broken_payloads);
    tcase_add_test(c, flipped_payloads);
    tcase_add_test(c, compressed_rows);
    tcase_add_test(c, compressed_statements);
    tcase_add_test(c, compressed_columns);
    tcase_add_test(c, two_phase_alter);
    suite_add_tcase(s, c);
    return s;
}

UNIT_MAIN(packed_suite)
