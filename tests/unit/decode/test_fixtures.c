/* Binlogs written by real servers, read and replayed, against what the same servers say of them. */
#include "unit.h"
#include "fixture.h"
#include "base/reader.h"
#include "decode/event_inflate.h"
#include "decode/event_payload.h"
#include "decode/event_rewrite.h"
#include "decode/row.h"
#include "decode/value.h"
#include "model/charset.h"

enum { MAX_MAPS = 64, MAX_ROWS = 400, MAX_COLUMNS = 64, BINLOG_MAGIC_LEN = 4 };

typedef struct Replay {
    Arena arena;
    Flavor flavor;
    json_t *fixture;
    FormatDescription fmt;
    TableMap maps[MAX_MAPS], wires[MAX_MAPS]; /* as rows are read, and as the events have it */
    uint32_t n_maps;
    TableMap table; /* the last map of table t */
    bool has_table;
    Str text[MAX_ROWS][MAX_COLUMNS];    /* value_text; ptr NULL: NULL or not written */
    Str literal[MAX_ROWS][MAX_COLUMNS]; /* value_sql */
    bool live[MAX_ROWS];
    uint32_t n_rows;
    GtidSet *gtids;
    unsigned rows_events, packed_events; /* packed: payloads, compressed and partial events */
    StrBuf inflated, rewritten;
    Str lines; /* of the server's list, not met yet */
} Replay;

#define OK(call)                                                                                             \
    ck_assert_msg((call), "%s: %s", json_string_value(json_object_get(x->fixture, "name")), err.message)

static ColumnCodec codec_of(Replay *x, const MapColumn *c)
{
    ColumnCodec codec = {.type = c->type,
                         .meta = c->meta,
                         .is_unsigned = c->is_unsigned,
                         .members = c->members,
                         .n_members = c->n_members,
                         .as_text = true};
    switch (c->type) {
    case COLTYPE_STRING:
    case COLTYPE_VARCHAR:
    case COLTYPE_BLOB: {
        const Collation *k = charset_by_collation_id(x->flavor, c->collation);
        ck_assert_msg(k != NULL, "collation %u is not known", c->collation);
        codec.text = k->charset->form == CHARSET_BINARY ? TEXT_BINARY
                     : k->charset->form == CHARSET_UTF8 ? TEXT_UTF8
                                                        : TEXT_OTHER;
        codec.introducer = arena_printf(&x->arena, "_%.*s", STR_ARG(k->charset->name));
        if (codec.text == TEXT_BINARY && c->type == COLTYPE_STRING) codec.pad_to = c->meta;
        break;
    }
    default: break;
    }
    return codec;
}

static int hex_digit(char c)
{
    return c <= '9' ? c - '0' : (c | 32) - 'a' + 10;
}

/* What a SQL literal stands for, in value_text's form: an independent reading of MySQL's literal rules. */
static Str literal_meaning(Arena *arena, Str s)
{
    StrBuf out = {0};
    bool binary = str_starts(s, STR("_binary"));
    if (binary) s.ptr += 7, s.len -= 7;
    if (s.ptr[0] == '_') { /* _charset x'…' */
        size_t at = str_find(s, STR(" x'"));
        ck_assert(at != SIZE_MAX && s.ptr[s.len - 1] == '\'');
        for (size_t i = at + 3; i + 1 < s.len; i += 2)
            sb_ch(&out, (char)(hex_digit(s.ptr[i]) << 4 | hex_digit(s.ptr[i + 1])));
    } else if (s.ptr[0] == '\'') {
        ck_assert(s.len >= 2 && s.ptr[s.len - 1] == '\'');
        for (size_t i = 1; i + 1 < s.len; i++) {
            char c = s.ptr[i];
            ck_assert_msg(c != '\'' && c != 0, "a bare quote or zero byte inside a literal");
            if (c == '\\') {
                c = s.ptr[++i];
                c = c == 'n' ? '\n' : c == 'r' ? '\r' : c == 't' ? '\t' : c == '0' ? '\0' : c == 'Z' ? 26 : c;
            }
            sb_ch(&out, c);
        }
    } else {
        sb_str(&out, s);
    }
    StrBuf hex = {0};
    if (binary) {
        sb_c(&hex, "0x");
        sb_hex(&hex, out.ptr ? out.ptr : "", out.len);
    }
    Str got = arena_str(arena, binary ? sb_view(&hex) : sb_view(&out));
    sb_done(&out);
    sb_done(&hex);
    return got;
}

/* The literal must say the same as the text. */
static void check_literal(Replay *x, const ColumnCodec *codec, Str text, Str literal)
{
    Str meaning = literal_meaning(&x->arena, literal);
    if (codec->type == COLTYPE_DOUBLE) {
        double a = strtod(meaning.ptr, NULL), b = strtod(text.ptr, NULL);
        ck_assert_msg(memcmp(&a, &b, sizeof a) == 0, "%s and %s", meaning.ptr, text.ptr);
        ck_assert_msg(memchr(literal.ptr, 'e', literal.len) != NULL, "%s has no exponent", literal.ptr);
    } else if (codec->type == COLTYPE_FLOAT) {
        ck_assert(strtof(meaning.ptr, NULL) == strtof(text.ptr, NULL));
        ck_assert_msg(memchr(literal.ptr, 'e', literal.len) != NULL, "%s has no exponent", literal.ptr);
    } else if (codec->type == COLTYPE_YEAR && str_eqc(text, "0000")) {
        ck_assert(str_eqc(literal, "0"));
    } else if (codec->text == TEXT_BINARY && text.len == 2) {
        ck_assert(str_eqc(literal, "''"));
    } else {
        ck_assert_msg(str_eq(meaning, text), "type %u: literal %s for %s", codec->type, literal.ptr,
                      text.ptr);
    }
}

static void store(Replay *x, const TableMap *map, const Field *fields, uint32_t row)
{
    Err err = {0};
    for (uint32_t i = 0; i < map->n_columns; i++) {
        if (fields[i].state == FIELD_ABSENT) continue;
        ColumnCodec codec = codec_of(x, &map->columns[i]);
        StrBuf text = {0}, literal = {0};
        OK(value_text(&text, &codec, fields[i], &err));
        OK(value_sql(&literal, &codec, fields[i], &err));
        if (fields[i].state == FIELD_NULL) {
            ck_assert_str_eq(literal.ptr, "NULL");
            x->text[row][i] = x->literal[row][i] = (Str){0};
        } else {
            x->text[row][i] = arena_str(&x->arena, sb_view(&text));
            x->literal[row][i] = arena_str(&x->arena, sb_view(&literal));
            check_literal(x, &codec, x->text[row][i], x->literal[row][i]);
        }
        sb_done(&text);
        sb_done(&literal);
    }
}

/* The row whose key columns (the map's, else the first) equal the before image's. */
static uint32_t find_row(Replay *x, const TableMap *map, const Field *fields)
{
    static const uint32_t first[] = {0};
    const uint32_t *key = map->n_key_columns ? map->key_columns : first;
    uint32_t n_key = map->n_key_columns ? map->n_key_columns : 1;
    Err err = {0};
    for (uint32_t r = 0; r < x->n_rows; r++) {
        bool same = x->live[r];
        for (uint32_t k = 0; same && k < n_key; k++) {
            StrBuf text CLEANUP(sb_done) = {0};
            ColumnCodec codec = codec_of(x, &map->columns[key[k]]);
            ck_assert_msg(fields[key[k]].state == FIELD_VALUE, "a key column is absent from a before image");
            OK(value_text(&text, &codec, fields[key[k]], &err));
            same = str_eq(sb_view(&text), x->text[r][key[k]]);
        }
        if (same) return r;
    }
    ck_abort_msg("%s: a before image of no row", json_string_value(json_object_get(x->fixture, "name")));
    return 0;
}

/* The fields of an image read again, whole and in part, are the same. */
static void check_rereads(const TableMap *map, const uint8_t *present, Str image, const Field *fields)
{
    Field again[MAX_COLUMNS], some[MAX_COLUMNS];
    uint32_t odd[MAX_COLUMNS], n_odd = 0;
    Err err = {0};
    row_fields(map, present, image, again);
    for (uint32_t i = 0; i < map->n_columns; i++) {
        ck_assert(again[i].ptr == fields[i].ptr && again[i].len == fields[i].len &&
                  again[i].state == fields[i].state);
        if (i % 2) odd[n_odd++] = i;
    }
    row_fields_some(map, present, image, odd, n_odd, some);
    for (uint32_t i = 0; i < n_odd; i++)
        ck_assert(some[i].ptr == fields[odd[i]].ptr && some[i].len == fields[odd[i]].len &&
                  some[i].state == fields[odd[i]].state);
    for (size_t cut = 0; cut < image.len; cut++) { /* every shorter image is an error */
        Reader r = reader_of(str_make(image.ptr, cut));
        Str got;
        ck_assert(!row_image_split(map, present, &r, &got, cut % 2 ? again : NULL, &err));
        ck_assert_int_eq(err.code, ERR_CORRUPT);
        err_clear(&err);
        if (image.len > 3000) cut += image.len / 50;
    }
}

static void replay_rows(Replay *x, const EventHeader *h, Str body)
{
    Err err = {0};
    RowsEvent rows;
    const TableMap *map = NULL, *wire = NULL;
    OK(event_rows(h, &x->fmt, body, &rows, &err));
    x->packed_events += rows.compressed || rows.partial;
    OK(event_rows_inflate(&rows, &x->inflated, &err));
    ck_assert_uint_eq(rows.table_id, event_table_id(&x->fmt, h->type, body));
    for (uint32_t i = 0; i < x->n_maps; i++)
        if (x->maps[i].table_id == rows.table_id) map = &x->maps[i], wire = &x->wires[i];
    ck_assert_msg(map != NULL, "rows without their table map");
    ck_assert_uint_eq(rows.n_columns, map->n_columns);
    x->rows_events++;
    if (!json_is_true(json_object_get(x->fixture, "rows"))) return;
    if (!str_eqc(map->name.table, "t")) return;
    if (rows.partial || table_map_compressed(wire)) {
        sb_clear(&x->rewritten);
        OK(event_rows_rewrite(wire, &rows, &x->rewritten, &err));
        rows.rows = sb_view(&x->rewritten);
    }
    Reader r = reader_of(rows.rows);
    Field fields[MAX_COLUMNS];
    Str image;
    const uint8_t *before = (const uint8_t *)rows.present_before.ptr,
                  *after = (const uint8_t *)rows.present_after.ptr;
    while (reader_left(&r)) {
        uint32_t row = x->n_rows;
        if (rows.kind != ROWS_WRITE) {
            OK(row_image_split(map, before, &r, &image, fields, &err));
            check_rereads(map, before, image, fields);
            row = find_row(x, map, fields);
            if (rows.kind == ROWS_DELETE) x->live[row] = false;
        }
        if (rows.kind == ROWS_DELETE) continue;
        OK(row_image_split(map, after, &r, &image, fields, &err));
        check_rereads(map, after, image, fields);
        if (rows.kind == ROWS_WRITE) {
            ck_assert_uint_lt(x->n_rows, MAX_ROWS);
            memset(x->text[row], 0, sizeof x->text[row]);
            x->live[row] = true;
            x->n_rows++;
        }
        store(x, map, fields, row);
    }
}

static void replay_gtid(Replay *x, const EventHeader *h, Str body, Str info)
{
    Err err = {0};
    GtidEvent g;
    StrBuf text CLEANUP(sb_done) = {0};
    OK(event_gtid(h, &x->fmt, body, &g, &err));
    ck_assert(g.gtid.flavor == x->flavor);
    gtid_format(&g.gtid, &text);
    ck_assert_msg(str_find(info, sb_view(&text)) != SIZE_MAX, "%s is not in %.*s", text.ptr, STR_ARG(info));
    if (x->flavor == FLAVOR_MARIADB) {
        bool grouped = str_starts(info, STR("BEGIN ")) || str_starts(info, STR("XA START"));
        ck_assert_int_eq(g.standalone, !grouped);
    } else {
        ck_assert_uint_gt(g.transaction_length, h->size);
    }
    gtidset_add(x->gtids, &g.gtid);
}

static void replay_query(Replay *x, const EventHeader *h, Str body, Str info)
{
    Err err = {0};
    QueryEvent q;
    if (h->type == EVENT_QUERY_COMPRESSED) {
        x->packed_events++;
        sb_clear(&x->inflated);
        OK(event_query_inflate(body, &x->inflated, &err));
        body = sb_view(&x->inflated);
    }
    OK(event_query(body, &q, &err));
    ck_assert_msg(str_find(info, q.sql) != SIZE_MAX, "%.*s is not in %.*s", STR_ARG(q.sql), STR_ARG(info));
    ck_assert(!q.vars_cut);
    ck_assert(q.has_sql_mode && q.charset_client != 0);
    bool ansi = str_find(q.sql, STR("\"q t\"")) != SIZE_MAX;
    ck_assert_msg(!(q.sql_mode & 4) == !ansi, "ANSI_QUOTES only around the quoted table");
    if (ansi && q.time_zone.len) ck_assert(str_eqc(q.time_zone, "+05:30"));
}

static void replay_event(Replay *x, const EventHeader *h, Str body, Str info);

/* One line of the server's list of events; its last cell is left in *line. */
static void next_line(Replay *x, Str *line, uint64_t *pos, uint64_t *end)
{
    *line = str_split(&x->lines, '\n');
    ck_assert(str_to_u64(str_split(line, '\t'), pos));
    (void)str_split(line, '\t');
    ck_assert(str_to_u64(str_split(line, '\t'), end));
}

/* The server lists the events inside with no length, where the payload ends. */
static void replay_payload(Replay *x, const EventHeader *h, Str body)
{
    Err err = {0};
    PayloadReader *p = payload_new();
    OK(payload_begin(p, body, &err));
    x->packed_events++;
    for (bool last = false; !last;) {
        EventHeader inner;
        Str line;
        uint64_t pos, end;
        OK(payload_next(p, &inner, &body, &last, &err));
        next_line(x, &line, &pos, &end);
        ck_assert(pos == end && end == h->next_pos);
        replay_event(x, &inner, body, fixture_cell(&x->arena, line));
    }
    payload_free(p);
}

static void replay_event(Replay *x, const EventHeader *h, Str body, Str info)
{
    Err err = {0};
    StrBuf text CLEANUP(sb_done) = {0};
    switch (h->type) {
    case EVENT_TABLE_MAP: {
        TableMap map, wire;
        OK(event_table_map(&x->fmt, body, &x->arena, &wire, &err));
        table_map_plain(&wire, &x->arena, &map);
        ck_assert_uint_eq(map.table_id, event_table_id(&x->fmt, h->type, body));
        sb_printf(&text, "table_id: %llu (", (unsigned long long)map.table_id);
        sb_printf(&text, "%.*s.%.*s)", STR_ARG(map.name.schema), STR_ARG(map.name.table));
        ck_assert_msg(str_eq(sb_view(&text), info), "%s, not %.*s", text.ptr, STR_ARG(info));
        ck_assert_uint_lt(x->n_maps, MAX_MAPS);
        x->wires[x->n_maps] = wire;
        x->maps[x->n_maps++] = map;
        if (str_eqc(map.name.table, "t")) x->table = map, x->has_table = true;
        return;
    }
    case EVENT_QUERY:
    case EVENT_QUERY_COMPRESSED: replay_query(x, h, body, info); return;
    case EVENT_XID: {
        uint64_t xid;
        OK(event_xid(body, &xid, &err));
        sb_printf(&text, "COMMIT /* xid=%llu */", (unsigned long long)xid);
        ck_assert(str_eq(sb_view(&text), info));
        return;
    }
    case EVENT_XA_PREPARE: {
        bool one_phase;
        OK(event_xa_prepare(body, &one_phase, &text, &err));
        ck_assert_int_eq(one_phase, str_find(info, STR("ONE PHASE")) != SIZE_MAX);
        ck_assert_msg(str_find(info, sb_view(&text)) != SIZE_MAX, "%s is not in %.*s", text.ptr,
                      STR_ARG(info));
        return;
    }
    case EVENT_ROTATE: {
        RotateEvent rot;
        OK(event_rotate(body, &rot, &err));
        sb_printf(&text, "%.*s;pos=%llu", STR_ARG(rot.file), (unsigned long long)rot.pos);
        ck_assert(str_eq(sb_view(&text), info));
        return;
    }
    case EVENT_GTID:
    case EVENT_GTID_TAGGED:
    case EVENT_MARIADB_GTID: replay_gtid(x, h, body, info); return;
    case EVENT_GTID_LIST:
    case EVENT_PREVIOUS_GTIDS: {
        GtidSet *set;
        OK(event_gtid_list(x->flavor, body, &set, &err));
        gtidset_merge(x->gtids, set);
        gtidset_free(set);
        return;
    }
    case EVENT_WRITE_ROWS_V1:
    case EVENT_UPDATE_ROWS_V1:
    case EVENT_DELETE_ROWS_V1:
    case EVENT_WRITE_ROWS_V2:
    case EVENT_UPDATE_ROWS_V2:
    case EVENT_DELETE_ROWS_V2:
    case EVENT_PARTIAL_UPDATE_ROWS:
    case EVENT_WRITE_ROWS_COMPRESSED_V1:
    case EVENT_UPDATE_ROWS_COMPRESSED_V1:
    case EVENT_DELETE_ROWS_COMPRESSED_V1: replay_rows(x, h, body); return;
    case EVENT_TRANSACTION_PAYLOAD: replay_payload(x, h, body); return;
    default: return;
    }
}

static uint32_t le32(const char *p)
{
    uint32_t v;
    memcpy(&v, p, sizeof v);
    return v;
}

static void replay_file(Replay *x, const char *name)
{
    StrBuf file CLEANUP(sb_done) = fixture_read(name, ".binlog"),
                events CLEANUP(sb_done) = fixture_read(name, ".events.tsv");
    x->lines = sb_view(&events);
    size_t at = BINLOG_MAGIC_LEN;
    Err err = {0};
    ck_assert(memcmp(file.ptr,
                     "\xfe"
                     "bin",
                     BINLOG_MAGIC_LEN) == 0);
    while (at < file.len) {
        ck_assert_uint_ge(file.len - at, EVENT_HEADER_LEN);
        Str event = str_make(file.ptr + at, le32(file.ptr + at + 9));
        ck_assert_uint_le(event.len, file.len - at);
        if (at == BINLOG_MAGIC_LEN) {
            OK(event_format_description(event, &x->arena, &x->fmt, &err));
            ck_assert_int_eq(x->fmt.is_mariadb, x->flavor == FLAVOR_MARIADB);
            bool off = strstr(name, "nochecksum") != NULL;
            ck_assert_int_eq(x->fmt.checksum_crc32, !off);
            ck_assert_uint_eq(x->fmt.post_header_len[EVENT_TABLE_MAP], 8);
        }
        EventHeader h;
        Str body, line;
        OK(event_split(event, x->fmt.checksum_crc32, &h, &body, &err));
        uint64_t pos, end;
        next_line(x, &line, &pos, &end);
        ck_assert_msg(
            pos == at && (h.next_pos == at + event.len || (h.next_pos == 0 && x->flavor == FLAVOR_MARIADB)),
            "%s: the event at %zu ends at %u", name, at, h.next_pos); /* 0: MariaDB 11.4 and later */
        ck_assert(end == h.next_pos || end == at + event.len);
        replay_event(x, &h, body, fixture_cell(&x->arena, line));
        at += event.len;
    }
    ck_assert_msg(x->lines.len == 0, "%s: the server lists more events", name);
}

static uint32_t split_line(Arena *arena, Str line, Str *cells, uint32_t max)
{
    uint32_t n = 0;
    for (bool more = true; more;) {
        more = line.len && memchr(line.ptr, '\t', line.len);
        ck_assert_uint_lt(n, max);
        cells[n++] = fixture_cell(arena, str_split(&line, '\t'));
    }
    return n;
}

/* The map has a binary string; only the definition knows better. want: hex, a blank, the server's text. */
static void compare_native(Replay *x, uint32_t row, uint32_t i, Str type, Str want)
{
    Str got = x->text[row][i], hex = str_split(&want, ' ');
    ck_assert_msg(str_ieq(str_make(got.ptr + 2, got.len - 2), hex), "row %u: %s, not %.*s", row + 1, got.ptr,
                  STR_ARG(hex));
    uint8_t bytes[16];
    size_t n = hex.len / 2;
    ck_assert_uint_le(n, sizeof bytes);
    for (size_t k = 0; k < n; k++)
        bytes[k] = (uint8_t)(hex_digit(hex.ptr[2 * k]) << 4 | hex_digit(hex.ptr[2 * k + 1]));
    while (n && bytes[n - 1] == 0)
        n--; /* as the image has it */
    ColumnCodec codec = {.type = COLTYPE_STRING,
                         .text = str_eqc(type, "uuid")    ? TEXT_UUID
                                 : str_eqc(type, "inet4") ? TEXT_INET4
                                                          : TEXT_INET6};
    StrBuf text CLEANUP(sb_done) = {0};
    Err err = {0};
    OK(value_text(&text, &codec, (Field){bytes, (uint32_t)n, FIELD_VALUE}, &err));
    ck_assert_msg(str_eq(sb_view(&text), want), "row %u: %s, not %.*s", row + 1, text.ptr, STR_ARG(want));
}

static void compare_cell(Replay *x, uint32_t row, uint32_t i, Str mode, Str want)
{
    const char *name = json_string_value(json_object_get(x->fixture, "name"));
    Str got = x->text[row][i];
    if (str_eqc(mode, "skip")) return;
    ck_assert_msg(!got.ptr == !want.ptr, "%s row %u column %u: NULL or not", name, row + 1, i + 1);
    if (!got.ptr) return;
    if (str_eqc(mode, "double")) {
        double a = strtod(x->literal[row][i].ptr, NULL), b = strtod(want.ptr, NULL);
        ck_assert_msg(a == b, "%s row %u column %u: %s, not %s", name, row + 1, i + 1, x->literal[row][i].ptr,
                      want.ptr);
        return;
    }
    if (str_eqc(mode, "uuid") || str_eqc(mode, "inet4") || str_eqc(mode, "inet6")) {
        compare_native(x, row, i, mode, want);
        return;
    }
    if (str_eqc(mode, "bytes")) {
        ck_assert_msg(str_ieq(str_make(got.ptr + 2, got.len - 2), want), "%s row %u column %u: %s, not %.*s",
                      name, row + 1, i + 1, got.ptr, STR_ARG(want));
        return;
    }
    if (str_eqc(mode, "hex")) {
        StrBuf hex CLEANUP(sb_done) = {0};
        if (x->table.columns[i].collation == COLLATION_ID_BINARY)
            sb_str(&hex, str_make(got.ptr + 2, got.len - 2));
        else
            sb_hex(&hex, got.ptr, got.len);
        ck_assert_msg(str_ieq(sb_view(&hex), want), "%s row %u column %u: %s, not %.*s", name, row + 1, i + 1,
                      hex.ptr ? hex.ptr : "", STR_ARG(want));
        return;
    }
    ck_assert_msg(str_eq(got, want), "%s row %u column %u (type %u): %.*s, not %.*s", name, row + 1, i + 1,
                  x->table.columns[i].type, STR_ARG(got), STR_ARG(want));
}

/* The replayed table against the server's SELECT. */
static void compare_rows(Replay *x, const char *name)
{
    StrBuf file CLEANUP(sb_done) = fixture_read(name, ".rows.tsv");
    Str lines = sb_view(&file), heads[MAX_COLUMNS], cells[MAX_COLUMNS];
    uint32_t n = split_line(&x->arena, str_split(&lines, '\n'), heads, MAX_COLUMNS), seen = 0, live = 0;
    ck_assert_uint_eq(n, x->table.n_columns);
    for (uint32_t r = 0; r < x->n_rows; r++)
        live += x->live[r];
    while (lines.len) {
        ck_assert_uint_eq(split_line(&x->arena, str_split(&lines, '\n'), cells, MAX_COLUMNS), n);
        uint32_t row = UINT32_MAX;
        for (uint32_t r = 0; r < x->n_rows; r++)
            if (x->live[r] && str_eq(x->text[r][0], cells[0])) row = r;
        ck_assert_msg(row != UINT32_MAX, "%s: no row with key %.*s", name, STR_ARG(cells[0]));
        for (uint32_t i = 0; i < n; i++) {
            Str mode = heads[i];
            Str column = str_split(&mode, ':');
            if (x->table.has_names) ck_assert(str_eq(column, x->table.columns[i].name));
            compare_cell(x, row, i, mode, cells[i]);
        }
        seen++;
    }
    ck_assert_uint_eq(seen, live);
    ck_assert_uint_ge(seen, 2);
}

static bool is_integer_like(uint8_t type)
{
    switch (type) {
    case COLTYPE_TINY:
    case COLTYPE_SHORT:
    case COLTYPE_INT24:
    case COLTYPE_LONG:
    case COLTYPE_LONGLONG:
    case COLTYPE_FLOAT:
    case COLTYPE_DOUBLE:
    case COLTYPE_NEWDECIMAL: return true;
    default: return false;
    }
}

/* enum('a','it''s') → the members, against the map's (bytes of the column's charset: compared when they are
 * ASCII). */
static void compare_members(const MapColumn *c, Str type)
{
    uint32_t n = 0;
    Str rest = str_make(type.ptr + str_find(type, STR("(")) + 1, type.len - str_find(type, STR("(")) - 2);
    while (rest.len) {
        StrBuf member CLEANUP(sb_done) = {0};
        ck_assert(rest.ptr[0] == '\'');
        size_t i = 1;
        bool ascii = true;
        for (; rest.ptr[i] != '\'' || (i + 1 < rest.len && rest.ptr[i + 1] == '\''); i++) {
            if (rest.ptr[i] == '\'') i++;
            ascii = ascii && (unsigned char)rest.ptr[i] < 128;
            sb_ch(&member, rest.ptr[i]);
        }
        ck_assert_uint_lt(n, c->n_members);
        if (ascii) ck_assert_msg(str_eq(c->members[n], sb_view(&member)), "member %u", n);
        n++;
        rest = str_make(rest.ptr + i + 1, rest.len - i - 1);
        if (rest.len) (void)str_split(&rest, ',');
    }
    ck_assert_uint_eq(n, c->n_members);
}

/* Table t's map against information_schema. */
static void compare_columns(Replay *x, const char *name)
{
    StrBuf file CLEANUP(sb_done) = fixture_read(name, ".columns.tsv");
    Str lines = sb_view(&file), cells[8];
    bool full = str_eqc(str_of(json_string_value(json_object_get(x->fixture, "metadata"))), "FULL");
    ck_assert_int_eq(x->table.has_names, full);
    (void)str_split(&lines, '\n');
    for (uint32_t i = 0; i < x->table.n_columns; i++) {
        const MapColumn *c = &x->table.columns[i];
        ck_assert_uint_eq(split_line(&x->arena, str_split(&lines, '\n'), cells, 8), 5);
        const char *column = cells[0].ptr;
        if (full)
            ck_assert_msg(str_eq(c->name, cells[0]), "%s: %.*s, not %s", name, STR_ARG(c->name), column);
        ck_assert_msg(c->nullable == str_eqc(cells[2], "YES"), "%s %s: nullable", name, column);
        ck_assert_msg(c->has_sign == is_integer_like(c->type) || c->type == COLTYPE_YEAR, "%s %s: sign", name,
                      column);
        if (is_integer_like(c->type))
            ck_assert_msg(c->is_unsigned == (str_find(cells[1], STR("unsigned")) != SIZE_MAX),
                          "%s %s: unsigned", name, column);
        uint64_t collation = 0;
        bool character = c->type != COLTYPE_ENUM && c->type != COLTYPE_SET;
        bool text = c->type == COLTYPE_STRING || c->type == COLTYPE_VARCHAR || c->type == COLTYPE_BLOB;
        if (cells[4].ptr && (full || character)) {
            ck_assert(str_to_u64(cells[4], &collation));
            ck_assert_msg(c->collation == collation, "%s %s: collation %u, not %llu", name, column,
                          c->collation, (unsigned long long)collation);
        } else if (text) {
            ck_assert_msg(c->collation == COLLATION_ID_BINARY, "%s %s: collation %u, not binary", name,
                          column, c->collation);
        }
        if (full && !character) compare_members(c, cells[1]);
        /* MariaDB 10.11 has no visibility metadata */
        if (full && x->flavor == FLAVOR_MYSQL)
            ck_assert_msg(c->visible == (str_find(cells[3], STR("INVISIBLE")) == SIZE_MAX), "%s %s: visible",
                          name, column);
    }
    ck_assert_msg(lines.len == 0, "%s: the table has more columns", name);
}

static void check_gtids(Replay *x)
{
    Err err = {0};
    GtidSet *want;
    OK(gtidset_parse(x->flavor, str_of(json_string_value(json_object_get(x->fixture, "gtids_after"))), &want,
                     &err));
    StrBuf a CLEANUP(sb_done) = {0};
    gtidset_format(x->gtids, &a);
    ck_assert_msg(gtidset_equal(x->gtids, want), "the events add up to %s", a.ptr);
    gtidset_free(want);
}

static void replay_fixture(json_t *fixture)
{
    Replay *x = mem_zalloc(sizeof *x);
    const char *name = json_string_value(json_object_get(fixture, "name"));
    size_t i;
    json_t *file;
    x->fixture = fixture;
    x->flavor = strcmp(json_string_value(json_object_get(fixture, "flavor")), "mysql") == 0 ? FLAVOR_MYSQL
                                                                                            : FLAVOR_MARIADB;
    x->gtids = gtidset_new(x->flavor);
    ck_assert_uint_ge(json_array_size(json_object_get(fixture, "files")), 1);
    json_array_foreach(json_object_get(fixture, "files"), i, file) replay_file(x, json_string_value(file));
    bool packed =
        strstr(name, "_ev_payload") || strstr(name, "_ev_partial") || strstr(name, "_ev_compressed");
    ck_assert_msg(packed == (x->packed_events > 0), "%s: %u packed events", name, x->packed_events);
    ck_assert(x->has_table && x->rows_events > 0);
    compare_columns(x, name);
    check_gtids(x);
    if (json_is_true(json_object_get(fixture, "rows"))) compare_rows(x, name);
    gtidset_free(x->gtids);
    sb_done(&x->inflated);
    sb_done(&x->rewritten);
    arena_done(&x->arena);
    free(x);
}

START_TEST(fixtures_of_flavor)
{
    json_t *root = fixture_manifest(), *fixture;
    const char *flavor = _i ? "mysql" : "mariadb";
    size_t i, n = 0;
    json_array_foreach(json_object_get(root, "fixtures"), i, fixture)
    {
        if (strcmp(json_string_value(json_object_get(fixture, "flavor")), flavor) != 0) continue;
        replay_fixture(fixture);
        n++;
    }
    ck_assert_uint_ge(n, 15);
    json_decref(root);
}
END_TEST

/* Sign and charset lists count other columns on MariaDB (YEAR, geometry) than on MySQL: the fixture mixes
 * them all; key parts and prefixes as well. */
static void load_metadata(Replay *x, const char *flavor)
{
    json_t *root = fixture_manifest(), *fixture, *found = NULL;
    size_t i;
    json_array_foreach(json_object_get(root, "fixtures"), i,
                       fixture) if (str_eqc(str_of(json_string_value(json_object_get(fixture, "name"))),
                                            flavor)) found = fixture;
    ck_assert(found != NULL);
    x->fixture = found;
    x->flavor = strstr(flavor, "mysql") ? FLAVOR_MYSQL : FLAVOR_MARIADB;
    x->gtids = gtidset_new(x->flavor);
    replay_file(x, flavor);
    x->fixture = NULL;
    gtidset_free(x->gtids);
    json_decref(root);
}

START_TEST(keys_and_types)
{
    Replay *x = mem_zalloc(sizeof *x);
    load_metadata(x, _i ? "mysql_metadata" : "mariadb_metadata");
    ck_assert_uint_eq(x->table.n_key_columns, 2); /* (id, l(5)) */
    ck_assert(str_eqc(x->table.columns[x->table.key_columns[0]].name, "id"));
    ck_assert(str_eqc(x->table.columns[x->table.key_columns[1]].name, "l"));
    const TableMap *k = &x->maps[x->n_maps - 1];
    ck_assert(str_eqc(k->name.table, "k") && k->n_key_columns == 2 && k->key_columns[0] == 2 &&
              k->key_columns[1] == 0);
    for (uint32_t i = 0; i < x->table.n_columns; i++) {
        const char *why;
        ck_assert_msg(decode_type_supported(&x->table.columns[i], &why), "%.*s",
                      STR_ARG(x->table.columns[i].name));
        ck_assert_ptr_null(why);
    }
    arena_done(&x->arena);
    free(x);
}
END_TEST

/* Every cut of every event, with its size and checksum mended, is an error or a valid shorter event; never a
 * crash. */
START_TEST(cut_events)
{
    static const char *const names[] = {
        "mariadb_metadata",       "mysql_metadata",         "mysql_transactions_1", "mysql_transactions_2",
        "mariadb_transactions_1", "mariadb_transactions_2", "mysql_enums",          "mariadb_images"};
    StrBuf file = fixture_read(names[_i], ".binlog");
    Arena arena = {0};
    FormatDescription fmt;
    Err err = {0};
    unsigned errors = 0;
    ck_assert(event_format_description(str_make(file.ptr + 4, le32(file.ptr + 13)), &arena, &fmt, &err));
    for (size_t at = 4; at < file.len;) {
        uint32_t size = le32(file.ptr + at + 9);
        for (uint32_t cut = EVENT_HEADER_LEN; cut < size - 4; cut++) {
            char *copy = mem_alloc(cut); /* its own block, so that a read behind it is seen */
            memcpy(copy, file.ptr + at, cut);
            for (unsigned i = 0; i < 4; i++)
                copy[9 + i] = (char)(cut >> (8 * i));
            EventHeader h;
            Str body;
            ck_assert(event_split(str_make(copy, cut), false, &h, &body, &err));
            TableMap map;
            RowsEvent rows;
            QueryEvent query;
            GtidEvent gtid;
            RotateEvent rotate;
            GtidSet *set = NULL;
            FormatDescription fd;
            bool ok = true;
            switch (h.type) {
            case EVENT_TABLE_MAP: ok = event_table_map(&fmt, body, &arena, &map, &err); break;
            case EVENT_QUERY: ok = event_query(body, &query, &err); break;
            case EVENT_GTID:
            case EVENT_GTID_TAGGED:
            case EVENT_MARIADB_GTID: ok = event_gtid(&h, &fmt, body, &gtid, &err); break;
            case EVENT_ROTATE: ok = event_rotate(body, &rotate, &err); break;
            case EVENT_FORMAT_DESCRIPTION:
                ok = event_format_description(str_make(copy, cut), &arena, &fd, &err);
                break;
            case EVENT_GTID_LIST:
            case EVENT_PREVIOUS_GTIDS:
                ok = event_gtid_list(fmt.is_mariadb ? FLAVOR_MARIADB : FLAVOR_MYSQL, body, &set, &err);
                ck_assert(!ok);
                break;
            default:
                if (strstr(event_type_name(h.type), "_ROWS_")) ok = event_rows(&h, &fmt, body, &rows, &err);
                break;
            }
            ck_assert(ok == !err_is_set(&err));
            errors += !ok;
            err_clear(&err);
            free(copy);
        }
        at += size;
    }
    ck_assert_uint_gt(errors, 50);
    arena_done(&arena);
    sb_done(&file);
}
END_TEST

static Suite *fixtures_suite(void)
{
    Suite *s = suite_create("decode/fixtures");
    TCase *t = tcase_create("servers");
    tcase_set_timeout(t, 120);
    tcase_add_loop_test(t, fixtures_of_flavor, 0, 2);
    tcase_add_loop_test(t, keys_and_types, 0, 2);
    tcase_add_loop_test(t, cut_events, 0, 8);
    suite_add_tcase(s, t);
    return s;
}

UNIT_MAIN(fixtures_suite)
