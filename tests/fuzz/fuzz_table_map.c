/* Input: byte 0 bit 0: MariaDB's reading of the optional metadata, bit 1: table ids of 4 bytes; then the body
 * of a TABLE_MAP event. Whatever it says, memory stays in proportion to its length, and a copy is equal to
 * it. */
#include <stdlib.h>
#include "decode/event.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool ok)
{
    if (!ok) abort();
}

static void check_column(const MapColumn *a, const MapColumn *b)
{
    const char *why;
    check(decode_type_supported(a, &why) == (why == NULL));
    check(a->type == b->type && a->meta == b->meta && a->collation == b->collation &&
          a->nullable == b->nullable && a->is_unsigned == b->is_unsigned && a->visible == b->visible);
    check(str_eq(a->name, b->name) && a->n_members == b->n_members && (a->n_members == 0 || a->members));
    for (uint32_t i = 0; i < a->n_members; i++)
        check(str_eq(a->members[i], b->members[i]));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    /* a MapColumn for one byte of type, a chunk of the arena for anything at all */
    enum { MOST_MEMORY_A_BYTE = 256, LEAST = 64 << 10 };
    if (size < 1) return 0;
    FormatDescription fmt = {.binlog_version = 4, .is_mariadb = data[0] & 1};
    fmt.post_header_len[EVENT_TABLE_MAP] = data[0] & 2 ? 6 : 8;
    Arena arena = {0}, second = {0};
    Err err = {0};
    TableMap map;
    bool ok = event_table_map(&fmt, str_make(data + 1, size - 1), &arena, &map, &err);
    check(ok != err_is_set(&err));
    check(arena.bytes <= size * MOST_MEMORY_A_BYTE + LEAST);
    if (ok) {
        TableMap *copy = table_map_copy(&map, &second);
        check(copy->n_columns == map.n_columns && copy->n_key_columns == map.n_key_columns &&
              str_eq(copy->body, map.body) && table_name_eq(copy->name, map.name));
        for (uint32_t i = 0; i < map.n_columns; i++)
            check_column(&map.columns[i], &copy->columns[i]);
    }
    err_clear(&err);
    arena_done(&arena);
    arena_done(&second);
    return 0;
}
