/* Events made by hand: what no fixture has. */
#include "unit.h"
#include <zlib.h>
#include "bytes.h"
#include "decode/event.h"

static const FormatDescription plain = {.binlog_version = 4, .post_header_len = {[EVENT_TABLE_MAP] = 8}};

static void put_le32(char *p, uint32_t v)
{
    for (unsigned i = 0; i < 4; i++)
        p[i] = (char)(v >> (8 * i));
}

/* Header and body as one event, with a CRC32 behind it. free() ptr. */
static Str event_of(uint8_t type, uint16_t flags, Str body)
{
    size_t n = EVENT_HEADER_LEN + body.len + 4;
    char *p = mem_zalloc(n);
    p[4] = (char)type;
    put_le32(p + 9, (uint32_t)n);
    p[17] = (char)(flags & 0xff), p[18] = (char)(flags >> 8);
    memcpy(p + EVENT_HEADER_LEN, body.ptr, body.len);
    uint16_t in_use = 1;
    if (type == EVENT_FORMAT_DESCRIPTION) p[17] = (char)(flags & ~in_use);
    put_le32(p + n - 4, (uint32_t)crc32(0, (const Bytef *)p, (uInt)(n - 4)));
    p[17] = (char)(flags & 0xff);
    return str_make(p, n);
}

START_TEST(names)
{
    ck_assert_str_eq(event_type_name(19), "TABLE_MAP");
    ck_assert_str_eq(event_type_name(162), "MARIADB_GTID");
    ck_assert_str_eq(event_type_name(99), "UNKNOWN");
    ck_assert_str_eq(event_type_name(100000), "UNKNOWN");
}
END_TEST

START_TEST(framing)
{
    Str e = event_of(EVENT_XID, 0x20, STR("\1\2\3\4\5\6\7\10")), body;
    EventHeader h;
    Err err = {0};
    uint64_t xid;
    ck_assert(event_split(e, true, &h, &body, &err));
    ck_assert(h.type == EVENT_XID && h.flags == EVENT_FLAG_ARTIFICIAL && h.size == e.len && body.len == 8);
    ck_assert(event_xid(body, &xid, &err) && xid == 0x0807060504030201);
    ck_assert(event_split(e, false, &h, &body, &err) && body.len == 12);
    for (size_t i = 0; i < e.len; i++) { /* any changed byte is seen */
        char *p = (char *)(uintptr_t)e.ptr;
        p[i] ^= 1;
        ck_assert_msg(!event_split(e, true, &h, &body, &err), "byte %zu", i);
        ck_assert(err.code == (i >= 9 && i < 13 ? ERR_DECODE_TRUNCATED : ERR_DECODE_CHECKSUM));
        err_clear(&err);
        p[i] ^= 1;
    }
    for (size_t n = 0; n < e.len; n++) {
        ck_assert(!event_split(str_make(e.ptr, n), true, &h, &body, &err));
        ck_assert_int_eq(err.code, ERR_DECODE_TRUNCATED);
        err_clear(&err);
    }
    bytes_free(e);
}
END_TEST

static Str fd_body(const char *version, uint8_t n_types, const char *tail)
{
    StrBuf b = {0};
    sb_add(&b, "\4\0", 2);
    char name[50] = {0};
    memcpy(name, version, strlen(version));
    sb_add(&b, name, sizeof name);
    sb_add(&b, "\0\0\0\0\x13", 5);
    for (unsigned i = 1; i <= n_types; i++)
        sb_ch(&b, (char)i);
    Str t = bytes_of(tail);
    sb_str(&b, t);
    bytes_free(t);
    return str_make(b.ptr, b.len);
}

START_TEST(format_descriptions)
{
    static const struct {
        const char *version, *tail;
        uint8_t n_types;
        bool mariadb, crc;
        ErrCode code;
    } t[] = {
        {"8.0.36", "01", 41, false, true, ERR_NONE},
        {"10.11.6-MariaDB-log", "01", 171, true, true, ERR_NONE},
        {"12.0.1-custom", "01", 171, true, true, ERR_NONE}, /* told by its event types */
        {"9.7.4", "02", 42, false, false, ERR_DECODE_UNSUPPORTED},
    };
    for (size_t i = 0; i < ARRAY_LEN(t); i++) {
        for (uint16_t in_use = 0; in_use < 2; in_use++) {
            Str body = fd_body(t[i].version, t[i].n_types, t[i].tail),
                e = event_of(EVENT_FORMAT_DESCRIPTION, in_use, body);
            Arena arena = {0};
            FormatDescription fd;
            Err err = {0};
            bool ok = event_format_description(e, &arena, &fd, &err);
            ck_assert_msg(err.code == t[i].code, "%s: %s", t[i].version, err.message ? err.message : "");
            if (ok) {
                ck_assert(fd.is_mariadb == t[i].mariadb && fd.checksum_crc32 == t[i].crc &&
                          str_eqc(fd.server_version, t[i].version));
                ck_assert(fd.post_header_len[19] == 19 && fd.post_header_len[t[i].n_types] == t[i].n_types &&
                          fd.post_header_len[t[i].n_types + 1] == 0);
                ((char *)(uintptr_t)e.ptr)[30] ^= 1;
                ck_assert(!event_format_description(e, &arena, &fd, &err) && err.code == ERR_DECODE_CHECKSUM);
            }
            err_clear(&err);
            arena_done(&arena);
            bytes_free(e);
            bytes_free(body);
        }
    }
}
END_TEST

START_TEST(heartbeats)
{
    EventHeader h = {.type = EVENT_HEARTBEAT, .next_pos = 1234};
    RotateEvent r;
    Err err = {0};
    ck_assert(event_heartbeat(&h, STR("bin.000001"), &r, &err) && r.pos == 1234 &&
              str_eqc(r.file, "bin.000001"));
    h.next_pos = 0; /* MariaDB beyond 4 GiB */
    ck_assert(event_heartbeat(&h, STR("\0\0\0\0\2\0\0\0bin.000001"), &r, &err) && r.pos == 1ull << 33 &&
              str_eqc(r.file, "bin.000001"));
    h.type = EVENT_HEARTBEAT_V2;
    Str b = bytes_of("01 0a 'bin.000002' 07 01 ff 02 09 fe 00000000 02000000 00");
    ck_assert(event_heartbeat(&h, b, &r, &err) && r.pos == 1ull << 33 && str_eqc(r.file, "bin.000002"));
    for (size_t n = 0; n < 12; n++) {
        ck_assert(!event_heartbeat(&h, str_make(b.ptr, n), &r, &err) && err.code == ERR_DECODE_TRUNCATED);
        err_clear(&err);
    }
    bytes_free(b);
    h.type = EVENT_XID;
    ck_assert(!event_heartbeat(&h, STR("x"), &r, &err) && err.code == ERR_DECODE_UNSUPPORTED);
    err_clear(&err);
}
END_TEST

START_TEST(small_bodies)
{
    Err err = {0};
    RotateEvent r;
    StrBuf xid = {0};
    bool one_phase;
    ck_assert(event_rotate(STR("\4\0\0\0\0\0\0\0f.1"), &r, &err) && r.pos == 4 && str_eqc(r.file, "f.1"));
    ck_assert(!event_rotate(STR("\4\0\0\0\0\0\0\0"), &r, &err) && err.code == ERR_DECODE_TRUNCATED);
    err_clear(&err);
    Str x = bytes_of("01 ffffffff 02000000 01000000 'abc'");
    ck_assert(event_xa_prepare(x, &one_phase, &xid, &err) && one_phase);
    ck_assert_str_eq(xid.ptr, "X'6162',X'63',-1");
    for (size_t n = 0; n < x.len; n++) {
        ck_assert(!event_xa_prepare(str_make(x.ptr, n), &one_phase, &xid, &err));
        err_clear(&err);
    }
    ck_assert_str_eq(xid.ptr, "X'6162',X'63',-1");
    Str big = bytes_of("01 ffffffff 41000000 01000000 'abc'");
    ck_assert(!event_xa_prepare(big, &one_phase, &xid, &err) && err.code == ERR_CORRUPT);
    err_clear(&err);
    bytes_free(x);
    bytes_free(big);
    sb_done(&xid);
}
END_TEST

/* All status variables of both servers in one block; then an unknown one; then one that is cut. */
START_TEST(query_variables)
{
    static const char vars[] = "00 00000000  01 0400000000000000  06 03'std'  03 01000100  04 2d00 2d00 0800 "
                               " 05 06'+02:00'  07 0000  08 2d00"
                               "09 0000000000000000  0a 00000000  0b 01'u' 01'h'  0c 02'a'00'bc'00  0d "
                               "000000  10 01  11 0000000000000000"
                               "12 ff00  13 00  14 00  80 000000  81 0000000000000000  82 00  82 04 "
                               "0000000000000000  83 02 0800300021002e00"
                               "02 03'std'00 0c fe";
    for (int unknown = 0; unknown < 3; unknown++) {
        Str v = bytes_of(vars);
        StrBuf b = {0};
        sb_add(&b, "\7\0\0\0\11\0\0\0\2\xe9\3", 11);
        size_t n_vars = v.len + (unknown ? 3 : 0);
        sb_ch(&b, (char)(n_vars & 255));
        sb_ch(&b, (char)(n_vars >> 8));
        sb_str(&b, v);
        if (unknown == 1) sb_add(&b, "\xf0xy", 3);
        if (unknown == 2) sb_add(&b, "\1xy", 3);
        sb_add(&b, "db\0SELECT 1", 11);
        QueryEvent q;
        Err err = {0};
        bool ok = event_query(sb_view(&b), &q, &err);
        if (unknown == 2) {
            ck_assert(!ok && err.code == ERR_DECODE_TRUNCATED);
        } else {
            ck_assert_msg(ok, "%s", err.message);
            ck_assert(q.thread_id == 7 && q.exec_seconds == 9 && q.error_code == 1001 &&
                      str_eqc(q.schema, "db") && str_eqc(q.sql, "SELECT 1"));
            ck_assert(q.has_sql_mode && q.sql_mode == 4 && q.charset_client == 45 &&
                      str_eqc(q.time_zone, "+02:00"));
            ck_assert(q.vars_cut == (unknown == 1));
        }
        err_clear(&err);
        sb_done(&b);
        bytes_free(v);
    }
}
END_TEST

START_TEST(table_ids)
{
    FormatDescription old = {.post_header_len = {[EVENT_TABLE_MAP] = 6, [EVENT_WRITE_ROWS_V0] = 6}};
    Str id = STR("\1\2\3\4\5\6\7\10");
    ck_assert_uint_eq(event_table_id(&plain, EVENT_TABLE_MAP, id), 0x060504030201);
    ck_assert_uint_eq(event_table_id(&old, EVENT_TABLE_MAP, id), 0x04030201);
    ck_assert_uint_eq(event_table_id(&old, EVENT_WRITE_ROWS_V1, id), 0x060504030201);
}
END_TEST

START_TEST(rows_versions)
{
    static const struct {
        uint8_t type;
        const char *bytes;
        RowsKind kind;
        uint8_t before, after;
    } t[] = {
        {EVENT_WRITE_ROWS_V0, "010000000000 0100 03 07 aa", ROWS_WRITE, 7, 7},
        {EVENT_UPDATE_ROWS_V0, "010000000000 0100 03 07 aa", ROWS_UPDATE, 7, 7},
        {EVENT_DELETE_ROWS_V1, "010000000000 0100 03 05 aa", ROWS_DELETE, 5, 5},
        {EVENT_UPDATE_ROWS_V1, "010000000000 0100 03 05 06 aa", ROWS_UPDATE, 5, 6},
        {EVENT_UPDATE_ROWS_V2, "010000000000 0100 0200 03 05 06 aa", ROWS_UPDATE, 5, 6},
        {EVENT_WRITE_ROWS_V2, "010000000000 0100 0500 ffffff 03 05 aa", ROWS_WRITE, 5, 5},
    };
    for (size_t i = 0; i < ARRAY_LEN(t); i++) {
        Str b = bytes_of(t[i].bytes);
        EventHeader h = {.type = t[i].type};
        RowsEvent r;
        Err err = {0};
        ck_assert(event_rows(&h, &plain, b, &r, &err));
        ck_assert(r.kind == t[i].kind && r.table_id == 1 && r.statement_end && r.n_columns == 3 &&
                  r.rows.len == 1);
        ck_assert(r.present_before.ptr[0] == t[i].before && r.present_after.ptr[0] == t[i].after &&
                  r.present_after.len == 1);
        for (size_t n = 0; n + 1 < b.len; n++) {
            ck_assert(!event_rows(&h, &plain, str_make(b.ptr, n), &r, &err) &&
                      err.code == ERR_DECODE_TRUNCATED);
            err_clear(&err);
        }
        bytes_free(b);
    }
    static const uint8_t refused[] = {EVENT_PARTIAL_ROW_DATA, EVENT_TRANSACTION_PAYLOAD, EVENT_XID, 99};
    for (size_t i = 0; i < sizeof refused; i++) {
        EventHeader h = {.type = refused[i]};
        RowsEvent r;
        Err err = {0};
        ck_assert(!event_rows(&h, &plain, STR("0123456789"), &r, &err) && err.code == ERR_DECODE_UNSUPPORTED);
        err_clear(&err);
    }
    Str short_extra = bytes_of("010000000000 0100 0100 03 05 aa"); /* extra data shorter than its length */
    EventHeader h = {.type = EVENT_WRITE_ROWS_V2};
    RowsEvent r;
    Err err = {0};
    ck_assert(!event_rows(&h, &plain, short_extra, &r, &err));
    err_clear(&err);
    bytes_free(short_extra);
}
END_TEST

/* Columns: CHAR(255) utf8mb4 (1020 bytes), ENUM, SET, VARCHAR(10), INT UNSIGNED, DECIMAL; metadata in odd
 * order with unknown fields in the middle. */
static const char map_bytes[] =
    "0a0000000000 0100 02'db'00 01't'00 06 fe fe fe 0f 03 f6 0a cefc f701 f808 2800 0502 15"
    "c8 03 ffffff  01 01 80  f0 00  02 03 fcff00 0a03 08 00 2d  04 10 01'a' 01'b' 01'c' 02'dd' 03'eee' 02'ff'"
    "06 05 02 01'x' 01'y' 05 03 01 01'z' 09 04 04 00 03 05 0c 01 f8";

START_TEST(table_map)
{
    Str b = bytes_of(map_bytes);
    Arena arena = {0};
    TableMap m;
    Err err = {0};
    ck_assert_msg(event_table_map(&plain, b, &arena, &m, &err), "%s", err.message);
    ck_assert(m.table_id == 10 && str_eqc(m.name.schema, "db") && str_eqc(m.name.table, "t") &&
              m.n_columns == 6 && m.has_names);
    ck_assert(m.columns[0].type == COLTYPE_STRING && m.columns[0].meta == 1020 &&
              m.columns[0].collation == 255);
    ck_assert(m.columns[1].type == COLTYPE_ENUM && m.columns[1].meta == 1 && m.columns[1].collation == 45 &&
              m.columns[1].n_members == 2 && str_eqc(m.columns[1].members[1], "y"));
    ck_assert(m.columns[2].type == COLTYPE_SET && m.columns[2].meta == 8 && m.columns[2].collation == 8 &&
              str_eqc(m.columns[2].members[0], "z"));
    ck_assert(m.columns[3].type == COLTYPE_VARCHAR && m.columns[3].meta == 40 &&
              m.columns[3].collation == 255);
    ck_assert(m.columns[4].has_sign && m.columns[4].is_unsigned && m.columns[5].has_sign &&
              !m.columns[5].is_unsigned);
    ck_assert(m.columns[5].meta == 0x0502 && str_eqc(m.columns[5].name, "ff"));
    ck_assert(m.columns[0].nullable && !m.columns[1].nullable && m.columns[2].nullable &&
              m.columns[4].nullable);
    ck_assert(m.n_key_columns == 2 && m.key_columns[0] == 4 && m.key_columns[1] == 3);
    ck_assert(m.columns[4].visible && !m.columns[5].visible);
    ck_assert(m.body.len == b.len - 6);
    for (size_t n = 0; n < b.len; n++) {
        char *copy = mem_alloc(n);
        memcpy(copy, b.ptr, n);
        bool ok = event_table_map(&plain, str_make(copy, n), &arena, &m, &err);
        ck_assert(ok == !err_is_set(&err));
        if (n <= 34) ck_assert(ok == (n == 34)); /* 34: in front of the optional metadata */
        err_clear(&err);
        free(copy);
    }
    bytes_free(b);
    arena_done(&arena);
}
END_TEST

START_TEST(table_maps_refused)
{
    static const struct {
        const char *bytes;
        ErrCode code;
    } t[] = {
        {"010000000000 0000 01'd'00 01't'00 01 14 00 00", ERR_DECODE_TYPE},      /* type 20 */
        {"010000000000 0000 01'd'00 01't'00 01 f4 01 00 00", ERR_DECODE_TYPE},   /* type 244 */
        {"010000000000 0000 01'd'00 01't'00 01 0f 01 0a 00", ERR_CORRUPT},       /* metadata too short */
        {"010000000000 0000 01'd'00 01't'00 01 13 01 07 00", ERR_CORRUPT},       /* TIME(7) */
        {"010000000000 0000 01'd'00 01't'00 01 f6 02 4100 00", ERR_NONE},        /* DECIMAL(65,0) */
        {"010000000000 0000 01'd'00 01't'00 01 f6 02 4200 00", ERR_CORRUPT},     /* DECIMAL(66,0) */
        {"010000000000 0000 01'd'00 01't'00 01 fc 01 05 00", ERR_CORRUPT},       /* 5 length bytes */
        {"010000000000 0000 01'd'00 01't'00 fd ffffff 00", ERR_CORRUPT},         /* 16777215 columns */
        {"010000000000 0000 01'd'00 01't'00 01 03 00 00 08 01 01", ERR_CORRUPT}, /* key of column 1 of 1 */
        {"010000000000 0000 01'd'00 01't'00 01 03 00 00 04 00", ERR_CORRUPT},    /* no name */
        {"010000000000 0000 01'd'00 01't'00 01 03 00 00 02 03 08 00 08",
         ERR_CORRUPT}, /* charset of no column */
        {"010000000000 0000 01'd'00 01't'00 01 03 00 00 01 09 80", ERR_CORRUPT},
        {"010000000000 0000 01'd'00 01't'00 01 ff 01 04 00", ERR_NONE}, /* geometry can be walked over */
        {"010000000000 0000 01'd'00 01't'00 01 f2 01 04 00", ERR_NONE},
        {"010000000000 0000 01'd'00 01't'00 01 8c 01 02 00", ERR_NONE},
        {"010000000000 0000 01'd'00 01't'00 00 00", ERR_NONE},
    };
    for (size_t i = 0; i < ARRAY_LEN(t); i++) {
        Str b = bytes_of(t[i].bytes);
        Arena arena = {0};
        TableMap m;
        Err err = {0};
        bool ok = event_table_map(&plain, b, &arena, &m, &err);
        ck_assert_msg(ok == (t[i].code == ERR_NONE) && err.code == t[i].code, "%s: %d", t[i].bytes, err.code);
        if (!ok) ck_assert(strstr(err.message, "d.t") != NULL);
        err_clear(&err);
        arena_done(&arena);
        bytes_free(b);
    }
}
END_TEST

static void gtid_is(uint8_t type, const char *bytes, const char *text, const char *what)
{
    Str b = bytes_of(bytes);
    EventHeader h = {.type = type, .server_id = 7};
    GtidEvent g;
    Err err = {0};
    StrBuf out = {0};
    static const char *phases[] = {"", "+", "C", "R"};
    ck_assert_msg(event_gtid(&h, &plain, b, &g, &err), "%s: %s", bytes, err.message);
    gtid_format(&g.gtid, &out);
    ck_assert_str_eq(out.ptr, text);
    sb_clear(&out);
    sb_printf(&out, "%s%s%s%s%s%s%llu", g.anonymous ? "a" : "", g.standalone ? "s" : "", g.is_ddl ? "d" : "",
              g.prepared_xa ? "p" : "", g.completed_xa ? "c" : "", phases[g.alter],
              (unsigned long long)g.transaction_length);
    ck_assert_str_eq(out.ptr, what);
    sb_done(&out);
    bytes_free(b);
}

START_TEST(gtids)
{
#define SID "000102030405060708090a0b0c0d0e0f"
#define SID_TEXT "00010203-0405-0607-0809-0a0b0c0d0e0f"
    gtid_is(EVENT_GTID, "01" SID "0500000000000000", SID_TEXT ":5", "0");
    gtid_is(EVENT_GTID, "01" SID "0500000000000000 02 0000000000000000 0100000000000000", SID_TEXT ":5",
            "0"); /* 5.7 */
    gtid_is(EVENT_GTID,
            "01" SID "0500000000000000 02 0000000000000000 0100000000000000 00000000000000 fc0102 00000000",
            SID_TEXT ":5", "513");
    gtid_is(EVENT_GTID,
            "01" SID "0500000000000000 02 0000000000000000 0100000000000000 00000000000080 00000000000000 0a",
            SID_TEXT ":5", "10");
    gtid_is(EVENT_MARIADB_GTID, "0900000000000000 02000000 01 000000000000", "2-7-9", "s0");
    gtid_is(EVENT_MARIADB_GTID, "0900000000000000 02000000 21 000000000000", "2-7-9", "sd0");
    gtid_is(EVENT_MARIADB_GTID, "0900000000000000 02000000 0e 1122334455667788", "2-7-9", "0");
    gtid_is(EVENT_MARIADB_GTID, "0900000000000000 02000000 40 01000000 02 01 'abc' 00", "2-7-9", "p0");
    gtid_is(EVENT_MARIADB_GTID, "0900000000000000 02000000 80 01000000 02 01 'abc'", "2-7-9", "c0");
    gtid_is(EVENT_MARIADB_GTID, "0900000000000000 02000000 29 02 0000000000", "2-7-9", "sd+0");
    gtid_is(EVENT_MARIADB_GTID, "0900000000000000 02000000 29 04 0800000000000000", "2-7-9", "sdC0");
    gtid_is(EVENT_MARIADB_GTID, "0900000000000000 02000000 29 09 02 0800000000000000", "2-7-9", "sdR0");
    EventHeader h = {.type = EVENT_XID};
    GtidEvent g;
    Err err = {0};
    ck_assert(!event_gtid(&h, &plain, STR("x"), &g, &err) && err.code == ERR_DECODE_UNSUPPORTED);
    err_clear(&err);
    h.type = EVENT_GTID_TAGGED;
    Str newer = bytes_of("04 08 00 00"); /* format version 2 */
    ck_assert(!event_gtid(&h, &plain, newer, &g, &err) && err.code == ERR_DECODE_UNSUPPORTED);
    err_clear(&err);
    bytes_free(newer);
}
END_TEST

static void list_is(Flavor flavor, const char *bytes, const char *text)
{
    Str b = bytes_of(bytes);
    GtidSet *set = NULL;
    Err err = {0};
    StrBuf out = {0};
    bool ok = event_gtid_list(flavor, b, &set, &err);
    ck_assert_msg(ok == (text != NULL), "%s: %s", bytes, err.message ? err.message : "accepted");
    if (ok) {
        gtidset_format(set, &out);
        ck_assert_str_eq(out.ptr ? out.ptr : "", text);
        for (size_t n = 0; n < b.len; n++) {
            GtidSet *cut = NULL;
            ck_assert_msg(!event_gtid_list(flavor, str_make(b.ptr, n), &cut, &err), "%zu bytes of %s", n,
                          bytes);
            err_clear(&err);
        }
    }
    gtidset_free(set);
    err_clear(&err);
    sb_done(&out);
    bytes_free(b);
}

START_TEST(gtid_lists)
{
    list_is(FLAVOR_MARIADB, "00000000", "");
    list_is(FLAVOR_MARIADB, "02000000 00000000 01000000 0500000000000000 03000000 02000000 0000000001000000",
            "0-1-5,3-2-4294967296");
    list_is(FLAVOR_MARIADB, "02000010 00000000 01000000 0500000000000000 00000000 02000000 0400000000000000",
            "0-2-4");
    list_is(FLAVOR_MARIADB, "ffffff0f 00000000 01000000 0500000000000000", NULL);
    list_is(FLAVOR_MYSQL, "0000000000000000", "");
    list_is(FLAVOR_MYSQL,
            "0100000000000000" SID
            "0200000000000000 0100000000000000 0600000000000000 0800000000000000 0900000000000000",
            SID_TEXT ":1-5:8");
    list_is(FLAVOR_MYSQL,
            "01 010000000000 01" SID "06'abc' 0100000000000000 0100000000000000 0600000000000000",
            SID_TEXT ":abc:1-5");
    list_is(FLAVOR_MYSQL, "0100000000000000" SID "0100000000000000 0600000000000000 0600000000000000",
            NULL); /* empty interval */
    list_is(FLAVOR_MYSQL, "0100000000000000" SID "ffffffffffffffff 0100000000000000 0600000000000000", NULL);
    list_is(FLAVOR_MYSQL, "ffffffffffff0000" SID, NULL);
}
END_TEST

static Suite *event_suite(void)
{
    Suite *s = suite_create("decode/event");
    TCase *t = tcase_create("bodies");
    tcase_add_test(t, names);
    tcase_add_test(t, framing);
    tcase_add_test(t, format_descriptions);
    tcase_add_test(t, heartbeats);
    tcase_add_test(t, small_bodies);
    tcase_add_test(t, query_variables);
    tcase_add_test(t, table_ids);
    tcase_add_test(t, rows_versions);
    tcase_add_test(t, table_map);
    tcase_add_test(t, table_maps_refused);
    tcase_add_test(t, gtids);
    tcase_add_test(t, gtid_lists);
    suite_add_tcase(s, t);
    return s;
}

UNIT_MAIN(event_suite)
