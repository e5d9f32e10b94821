/* Input: byte n = number of columns (7 bits), n times (type, 2 bytes metadata), (n + 7) / 8 bytes of present
 * columns, then row images. Types and metadata go through event_table_map by way of an event made of them: it
 * takes as many of the metadata bytes as the types need. */
#include <stdlib.h>
#include "decode/event.h"
#include "decode/row.h"
#include "decode/value.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    enum { MAX_COLUMNS = 127 };
    static const FormatDescription fmt = {.binlog_version = 4};
    Reader r = reader_of(str_make(data, size));
    StrBuf types = {0}, metas = {0}, body = {0}, out = {0};
    Arena arena = {0};
    TableMap map;
    Err err = {0};
    Field fields[MAX_COLUMNS], again[MAX_COLUMNS];
    uint8_t n = reader_u8(&r) & MAX_COLUMNS;
    for (unsigned i = 0; i < n; i++) {
        sb_ch(&types, (char)reader_u8(&r));
        Str meta = reader_str(&r, 2);
        sb_str(&metas, meta);
    }
    sb_add(&body, "\1\0\0\0\0\0\0\0\1d\0\1t\0", 14);
    sb_ch(&body, (char)n);
    sb_str(&body, sb_view(&types));
    char len[4] = {(char)0xfd, (char)(metas.len & 255), (char)(metas.len >> 8), 0};
    sb_add(&body, len, sizeof len);
    sb_str(&body, sb_view(&metas));
    for (unsigned i = 0; i < (n + 7u) / 8; i++)
        sb_ch(&body, 0);
    const uint8_t *present = reader_bytes(&r, (n + 7u) / 8);
    if (present && reader_ok(&r) && event_table_map(&fmt, sb_view(&body), &arena, &map, &err)) {
        Str image;
        while (reader_left(&r)) {
            size_t left = reader_left(&r);
            if (!row_image_split(&map, present, &r, &image, fields, &err)) break;
            row_fields(&map, present, image, again);
            for (uint32_t i = 0; i < map.n_columns; i++) {
                ColumnCodec codec = {
                    .type = map.columns[i].type, .meta = map.columns[i].meta, .text = TEXT_BINARY};
                Err bad = {0};
                if (fields[i].state == FIELD_ABSENT) continue;
                sb_clear(&out);
                if (value_sql(&out, &codec, fields[i], &bad) == err_is_set(&bad)) abort();
                err_clear(&bad);
            }
            if (reader_left(&r) == left) break;
        }
    }
    err_clear(&err);
    arena_done(&arena);
    sb_done(&types);
    sb_done(&metas);
    sb_done(&body);
    sb_done(&out);
    return 0;
}
