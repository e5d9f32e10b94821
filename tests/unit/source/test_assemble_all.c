/* Nothing is skipped: every type an event may have, known or not, goes through the assembler, and the rows
 * that went in are those applied, filtered, dropped by a rollback, or refused with an error that names the
 * place. */
#include "assemble_world.h"
#include "payload_writer.h"
#include "base/poison.h"

enum { N_ROWS = 6 };

/* Writes n row changes of the kind that the type has; -1 when it has none. */
static bool rows_of(unsigned type, StrBuf *rows, bool *update, bool *compressed)
{
    *update = type == EVENT_UPDATE_ROWS_V0 || type == EVENT_UPDATE_ROWS_V1 || type == EVENT_UPDATE_ROWS_V2 ||
              type == EVENT_PARTIAL_UPDATE_ROWS || type == EVENT_UPDATE_ROWS_COMPRESSED_V1 ||
              type == EVENT_UPDATE_ROWS_COMPRESSED_V2;
    *compressed = type >= EVENT_WRITE_ROWS_COMPRESSED_V1 && type <= EVENT_DELETE_ROWS_COMPRESSED_V2;
    bool plain = (type >= EVENT_WRITE_ROWS_V0 && type <= EVENT_DELETE_ROWS_V1) ||
                 (type >= EVENT_WRITE_ROWS_V2 && type <= EVENT_DELETE_ROWS_V2) ||
                 type == EVENT_PARTIAL_UPDATE_ROWS;
    if (!plain && !*compressed) return false;
    for (uint32_t i = 0; i < N_ROWS; i++) {
        ew_image(rows, FULL_ROW, 10 + i, "v");
        if (!*update) continue;
        if (type == EVENT_PARTIAL_UPDATE_ROWS) sb_ch(rows, 0); /* no value options */
        ew_image(rows, FULL_ROW, 10 + i, "w");
    }
    return true;
}

static const RawEvent *rows_event(World *w, unsigned type)
{
    bool update, compressed;
    StrBuf rows = {0};
    ck_assert(rows_of(type, &rows, &update, &compressed));
    const RawEvent *ev;
    if (compressed) {
        ev = pw_rows(&w->w, type, 70, FULL_ROW, sb_view(&rows));
    } else {
        StrBuf *b = ew_start(&w->w);
        ew_uint(b, 70, 6);
        ew_uint(b, END_OF_STATEMENT, 2);
        if (type >= EVENT_WRITE_ROWS_V2) ew_uint(b, 2, 2);
        ew_uint(b, 2, 1);
        ew_uint(b, FULL_ROW, 1);
        if (update && type != EVENT_UPDATE_ROWS_V0) ew_uint(b, FULL_ROW, 1);
        sb_str(b, sb_view(&rows));
        ev = ew_event(&w->w, type, 0);
    }
    sb_done(&rows);
    return ev;
}

static bool has_rows(unsigned type)
{
    StrBuf rows = {0};
    bool update, compressed, has = rows_of(type, &rows, &update, &compressed);
    sb_done(&rows);
    return has;
}

typedef enum Fate { FATE_COMMIT, FATE_ROLLBACK, FATE_SAVEPOINT, FATES } Fate;

/* Every row-bearing type, on routed and filtered tables, through every fate. */
START_TEST(rows_of_every_type)
{
    World w;
    uint64_t gtid = 0;
    unsigned types = 0;
    world_init(&w, _i ? FLAVOR_MARIADB : FLAVOR_MYSQL, true);
    for (unsigned type = 0; type < 256; type++) {
        if (!has_rows(type)) continue;
        types++;
        for (unsigned round = 0; round < 2 * FATES; round++) {
            bool filtered = round % 2;
            Fate fate = round / 2;
            feed(&w, _i ? ew_gtid_maria(&w.w, 0, ++gtid, 0) : ew_gtid_mysql(&w.w, ++gtid));
            if (!_i) feed(&w, ew_query(&w.w, "db", "BEGIN"));
            if (fate == FATE_SAVEPOINT) feed(&w, ew_query(&w.w, "db", "SAVEPOINT s"));
            feed(&w, ew_table_map(&w.w, 70, "db", filtered ? "x" : "a"));
            feed(&w, rows_event(&w, type));
            if (fate == FATE_SAVEPOINT) feed(&w, ew_query(&w.w, "db", "ROLLBACK TO s"));
            feed(&w, fate == FATE_ROLLBACK ? ew_query(&w.w, "db", "ROLLBACK") : ew_xid(&w.w));
            const Txn *t = w.txns[w.n_txns - 1];
            unsigned applied = fate == FATE_COMMIT && !filtered ? N_ROWS : 0;
            ck_assert_uint_eq(w.n_txns, gtid);
            ck_assert_uint_eq(t->n_ops, applied);
            ck_assert_uint_eq(t->counts.filtered, fate == FATE_COMMIT && filtered ? N_ROWS : 0);
            ck_assert_uint_eq(t->counts.read, applied + t->counts.filtered);
        }
    }
    ck_assert_uint_eq(types, 16);
    world_done(&w);
}
END_TEST

/* What passes without rows, whatever its bytes are. Everything else that is not listed must be refused: a
 * type that somebody adds must be put here on purpose. */
static bool passes(unsigned type)
{
    static const uint8_t list[] = {EVENT_STOP,
                                   EVENT_ROTATE,
                                   EVENT_INTVAR,
                                   EVENT_APPEND_BLOCK,
                                   EVENT_DELETE_FILE,
                                   EVENT_RAND,
                                   EVENT_USER_VAR,
                                   EVENT_FORMAT_DESCRIPTION,
                                   EVENT_BEGIN_LOAD_QUERY,
                                   EVENT_HEARTBEAT,
                                   EVENT_ROWS_QUERY,
                                   EVENT_PREVIOUS_GTIDS,
                                   EVENT_TRANSACTION_CONTEXT,
                                   EVENT_VIEW_CHANGE,
                                   EVENT_HEARTBEAT_V2,
                                   EVENT_ANNOTATE_ROWS,
                                   EVENT_BINLOG_CHECKPOINT,
                                   EVENT_GTID_LIST,
                                   EVENT_START_ENCRYPTION};
    return memchr(list, (int)type, sizeof list) != NULL;
}

/* Bytes that mean nothing, in a transaction with rows: the event passes and the rows stay what they are, or
 * it is refused and nothing of the transaction is delivered. Only what the server marks as ignorable passes
 * unknown. */
START_TEST(every_type_with_meaningless_bytes)
{
    static const char *const bytes[] = {"", "\1", "some bytes that are no body of anything at all",
                                        "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"};
    static const size_t lens[] = {0, 1, 45, 20};
    World w;
    uint64_t gtid = 1, received = 0, refused = 0, cut = 0;
    world_init(&w, _i ? FLAVOR_MARIADB : FLAVOR_MYSQL, true);
    for (unsigned type = 0; type < 256; type++) {
        for (unsigned k = 0; k < 2 * ARRAY_LEN(bytes); k++) {
            bool ignorable = k % 2;
            size_t before = w.n_txns;
            feed(&w, _i ? ew_gtid_maria(&w.w, 0, gtid, 0) : ew_gtid_mysql(&w.w, gtid));
            if (!_i) feed(&w, ew_query(&w.w, "db", "BEGIN"));
            feed_insert(&w, 70, "a", 1, 3);
            feed_insert(&w, 71, "x", 1, 2); /* filtered */
            received += 3 + 2;
            const RawEvent *ev = ew_plain(&w.w, type, ignorable ? EVENT_FLAG_IGNORABLE : 0,
                                          str_make(bytes[k / 2], lens[k / 2]));
            bool unknown = strcmp(event_type_name(type), "UNKNOWN") == 0 || type == EVENT_IGNORABLE;
            bool taken = assembler_event(w.a, &w.w.fmt, ev, &w.err);
            if (!taken) {
                ck_assert_msg(!passes(type) && !(unknown && ignorable), "type %u was refused: %s", type,
                              w.err.message);
                ck_assert_ptr_nonnull(strstr(w.err.message, "source shard-3, bin.000001:"));
                ck_assert_ptr_nonnull(strstr(w.err.message, ", GTID "));
                ck_assert_uint_eq(w.n_txns, before); /* refused: all of it */
                ck_assert(!assembler_in_transaction(w.a));
                err_clear(&w.err);
                refused += 3 + 2;
                continue;
            }
            if (type == EVENT_FORMAT_DESCRIPTION) { /* the server crashed there and rolled it back */
                ck_assert(!assembler_in_transaction(w.a));
                cut += 3 + 2;
                continue;
            }
            if (type == EVENT_XID) { /* any eight bytes are one: the end */
                ck_assert_uint_eq(w.n_txns, before + 1);
                gtid++;
                continue;
            }
            bool statement = type == EVENT_QUERY || type == EVENT_TABLE_MAP; /* an empty one may be read */
            ck_assert_msg(passes(type) || (unknown && ignorable) || statement, "type %u passed", type);
            feed(&w, ew_xid(&w.w));
            ck_assert_uint_eq(w.n_txns, before + 1);
            ck_assert_uint_eq(w.txns[before]->n_ops, 3);
            ck_assert_uint_eq(w.txns[before]->counts.read, 5);
            ck_assert_uint_eq(w.txns[before]->counts.filtered, 2);
            gtid++;
        }
    }
    RowCounts sum = {0};
    for (size_t i = 0; i < w.n_txns; i++) {
        row_counts_add(&sum, &w.txns[i]->counts);
        sum.applied += w.txns[i]->n_ops;
    }
    ck_assert_uint_gt(refused, 0);
    ck_assert_uint_eq(sum.held, 0);
    ck_assert_uint_eq(sum.read, sum.applied + sum.filtered + sum.held);
    ck_assert_uint_eq(received, sum.applied + sum.filtered + sum.held + refused + cut);
    world_done(&w);
}
END_TEST

static Suite *all_suite(void)
{
    Suite *s = suite_create("source/assemble_all");
    TCase *c = tcase_create("every type");
    tcase_add_loop_test(c, rows_of_every_type, 0, 2);
    tcase_add_loop_test(c, every_type_with_meaningless_bytes, 0, 2);
    suite_add_tcase(s, c);
    return s;
}

UNIT_MAIN(all_suite)
