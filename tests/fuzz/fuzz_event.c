/* Input: the bytes of a binlog behind its magic, event after event. The first FORMAT_DESCRIPTION says how to
 * read the rest; rows are split by the table maps seen. Checksums are cut off, not verified, so that
 * mutations get through. */
#include <stdlib.h>
#include "decode/event.h"
#include "decode/row.h"
#include "decode/value.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { FUZZ_MAPS = 16 };

typedef struct FuzzBinlog {
    Arena arena;
    FormatDescription fmt;
    TableMap maps[FUZZ_MAPS];
    unsigned n_maps;
    StrBuf text;
} FuzzBinlog;

static void fuzz_values(FuzzBinlog *x, const TableMap *map, const Field *fields)
{
    for (uint32_t i = 0; i < map->n_columns; i++) {
        const MapColumn *c = &map->columns[i];
        ColumnCodec codec = {.type = c->type,
                             .meta = c->meta,
                             .is_unsigned = c->is_unsigned,
                             .text = i % 2 ? TEXT_BINARY : TEXT_UTF8,
                             .members = c->members,
                             .n_members = c->n_members,
                             .pad_to = c->type == COLTYPE_STRING ? c->meta : 0};
        Err err = {0};
        if (fields[i].state == FIELD_ABSENT) continue;
        sb_clear(&x->text);
        if (!value_sql(&x->text, &codec, fields[i], &err)) err_clear(&err);
        if (!value_text(&x->text, &codec, fields[i], &err)) err_clear(&err);
        value_key_bytes(&x->text, &codec, fields[i]);
    }
}

static void fuzz_rows(FuzzBinlog *x, const EventHeader *h, Str body)
{
    RowsEvent rows;
    Err err = {0};
    const TableMap *map = NULL;
    if (!event_rows(h, &x->fmt, body, &rows, &err)) {
        err_clear(&err);
        return;
    }
    for (unsigned i = 0; i < x->n_maps && i < FUZZ_MAPS; i++)
        if (x->maps[i].table_id == rows.table_id) map = &x->maps[i];
    if (!map || map->n_columns != rows.n_columns) return;
    Field *fields = calloc(map->n_columns ? map->n_columns : 1, sizeof *fields),
          *again = calloc(map->n_columns ? map->n_columns : 1, sizeof *again);
    Reader r = reader_of(rows.rows);
    for (unsigned n = 0; reader_left(&r); n++) {
        Str image, present = n % 2 && rows.kind == ROWS_UPDATE ? rows.present_after : rows.present_before;
        size_t left = reader_left(&r);
        if (!row_image_split(map, (const uint8_t *)present.ptr, &r, &image, fields, &err)) break;
        row_fields(map, (const uint8_t *)present.ptr, image, again);
        fuzz_values(x, map, fields);
        if (reader_left(&r) == left) break;
    }
    err_clear(&err);
    free(fields);
    free(again);
}

static void fuzz_one(FuzzBinlog *x, const EventHeader *h, Str event, Str body)
{
    Err err = {0};
    GtidEvent gtid;
    QueryEvent query;
    RotateEvent rotate;
    GtidSet *set = NULL;
    uint64_t xid;
    bool ok = true, one_phase;
    switch (h->type) {
    case EVENT_FORMAT_DESCRIPTION: {
        FormatDescription fmt;
        ok = event_format_description(event, &x->arena, &fmt, &err);
        if (ok) x->fmt = fmt;
        break;
    }
    case EVENT_TABLE_MAP: {
        TableMap *map = &x->maps[x->n_maps % FUZZ_MAPS];
        ok = event_table_map(&x->fmt, body, &x->arena, map, &err);
        if (ok)
            x->n_maps++;
        else
            *map = (TableMap){.table_id = UINT64_MAX};
        break;
    }
    case EVENT_QUERY: ok = event_query(body, &query, &err); break;
    case EVENT_ROTATE: ok = event_rotate(body, &rotate, &err); break;
    case EVENT_XID: ok = event_xid(body, &xid, &err); break;
    case EVENT_HEARTBEAT:
    case EVENT_HEARTBEAT_V2: ok = event_heartbeat(h, body, &rotate, &err); break;
    case EVENT_XA_PREPARE:
        sb_clear(&x->text);
        ok = event_xa_prepare(body, &one_phase, &x->text, &err);
        break;
    case EVENT_GTID:
    case EVENT_ANONYMOUS_GTID:
    case EVENT_GTID_TAGGED:
    case EVENT_MARIADB_GTID: ok = event_gtid(h, &x->fmt, body, &gtid, &err); break;
    case EVENT_GTID_LIST:
    case EVENT_PREVIOUS_GTIDS:
        ok = event_gtid_list(h->type == EVENT_GTID_LIST ? FLAVOR_MARIADB : FLAVOR_MYSQL, body, &set, &err);
        if (ok) gtidset_free(set);
        break;
    default: fuzz_rows(x, h, body); break;
    }
    if (ok == err_is_set(&err)) abort(); /* false exactly when there is an error */
    err_clear(&err);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    FuzzBinlog x = {.fmt = {.binlog_version = 4}};
    enum { SIZE_AT = 9, CRC_LEN = 4 };
    while (size >= EVENT_HEADER_LEN) {
        uint32_t n = (uint32_t)data[SIZE_AT] | (uint32_t)data[SIZE_AT + 1] << 8 |
                     (uint32_t)data[SIZE_AT + 2] << 16 | (uint32_t)data[SIZE_AT + 3] << 24;
        if (n < EVENT_HEADER_LEN || n > size) break;
        Str event = str_make(data, n), body;
        EventHeader h;
        Err err = {0};
        if (event_split(event, false, &h, &body, &err)) {
            if (x.fmt.checksum_crc32 && body.len >= CRC_LEN) body.len -= CRC_LEN;
            fuzz_one(&x, &h, event, body);
        }
        err_clear(&err);
        data += n;
        size -= n;
    }
    sb_done(&x.text);
    arena_done(&x.arena);
    return 0;
}
