#include "decode/row.h"
#include "base/check.h"
#include "decode/decode_internal.h"
#include "base/poison.h"

static inline bool bit_at(const uint8_t *bits, uint32_t i)
{
    return bits[i >> 3] >> (i & 7) & 1;
}

static uint32_t count_present(const uint8_t *present, uint32_t n_columns)
{
    uint32_t n = 0, i = 0;
    for (; i + 64 <= n_columns; i += 64) {
        uint64_t word;
        memcpy(&word, present + i / 8, sizeof word);
        n += (uint32_t)__builtin_popcountll(word);
    }
    for (; i < n_columns; i += 8) {
        unsigned byte = present[i / 8];
        if (n_columns - i < 8) byte &= (1u << (n_columns - i)) - 1;
        n += (uint32_t)__builtin_popcount(byte);
    }
    return n;
}

static inline bool all_present(const uint8_t *present, uint32_t n_columns)
{
    uint32_t i = 0;
    for (; i + 8 <= n_columns; i += 8)
        if (present[i / 8] != 0xff) return false;
    unsigned rest = (1u << (n_columns - i)) - 1;
    return !rest || (present[i / 8] & rest) == rest;
}

bool row_present_full(const TableMap *map, const uint8_t *present)
{
    return all_present(present, map->n_columns);
}

static inline uint32_t load_le(const uint8_t *p, unsigned n)
{
    uint32_t v = 0;
    for (unsigned i = n; i-- > 0;)
        v = v << 8 | p[i];
    return v;
}

/* How long the column's value is, and how many bytes of length stand before it. p..end is what is left of the
 * image. SIZE_MAX: cut off, or a type without a known length. */
static inline size_t value_span(const MapColumn *c, const uint8_t *p, const uint8_t *end, unsigned *prefix)
{
    size_t left = (size_t)(end - p);
    *prefix = 0;
    switch (c->type) {
    case COLTYPE_NULL: return 0;
    case COLTYPE_TINY:
    case COLTYPE_YEAR: return 1;
    case COLTYPE_SHORT: return 2;
    case COLTYPE_INT24:
    case COLTYPE_DATE:
    case COLTYPE_NEWDATE:
    case COLTYPE_TIME: return 3;
    case COLTYPE_LONG:
    case COLTYPE_FLOAT:
    case COLTYPE_TIMESTAMP: return 4;
    case COLTYPE_LONGLONG:
    case COLTYPE_DOUBLE:
    case COLTYPE_DATETIME: return 8;
    case COLTYPE_TIMESTAMP2: return 4 + (c->meta + 1u) / 2;
    case COLTYPE_DATETIME2: return 5 + (c->meta + 1u) / 2;
    case COLTYPE_TIME2: return 3 + (c->meta + 1u) / 2;
    case COLTYPE_NEWDECIMAL: return decimal_bytes(c->meta >> 8, c->meta & 0xff);
    case COLTYPE_BIT: return (c->meta >> 8) + ((c->meta & 0xff) != 0);
    case COLTYPE_ENUM:
    case COLTYPE_SET: return c->meta;
    case COLTYPE_VARCHAR:
    case COLTYPE_VARCHAR_COMPRESSED:
    case COLTYPE_VAR_STRING:
    case COLTYPE_STRING:
        *prefix = c->meta > 255 ? 2 : 1;
        if (UNLIKELY(left < *prefix)) goto cut;
        return *prefix == 1 ? p[0] : load_le(p, 2);
    case COLTYPE_TINY_BLOB:
    case COLTYPE_MEDIUM_BLOB:
    case COLTYPE_LONG_BLOB:
    case COLTYPE_BLOB:
    case COLTYPE_BLOB_COMPRESSED:
    case COLTYPE_JSON:
    case COLTYPE_GEOMETRY:
    case COLTYPE_VECTOR:
        *prefix = c->meta;
        if (UNLIKELY(left < *prefix)) goto cut;
        return load_le(p, *prefix);
    default: return SIZE_MAX;
    }
cut:
    *prefix = 0;
    return SIZE_MAX;
}

static COLD bool image_cut(const TableMap *map, uint32_t column, Err *err)
{
    if (column == map->n_columns)
        return err_set(err, ERR_CORRUPT, "row of %.*s.%.*s: the null bitmap runs over the end of the event",
                       STR_ARG(map->name.schema), STR_ARG(map->name.table));
    const MapColumn *c = &map->columns[column];
    if (c->type == COLTYPE_DECIMAL_OLD)
        return err_set_remedy(err, ERR_DECODE_TYPE, "ALTER TABLE … FORCE on the source rewrites the column",
                              "%.*s.%.*s column %u: DECIMAL of before MySQL 5.0", STR_ARG(map->name.schema),
                              STR_ARG(map->name.table), column + 1);
    return err_set(err, ERR_CORRUPT,
                   "row of %.*s.%.*s: column %u of %u (type %u) runs over the end of the event",
                   STR_ARG(map->name.schema), STR_ARG(map->name.table), column + 1, map->n_columns, c->type);
}

/* Start of the values behind the null bitmap; NULL when the bitmap does not fit. */
static inline const uint8_t *image_values(uint32_t n_present, const uint8_t *p, const uint8_t *end)
{
    size_t n = ((size_t)n_present + 7) / 8;
    return (size_t)(end - p) < n ? NULL : p + n;
}

/* Walks all columns; returns the end of the image, or NULL with *bad = the column that does not fit
 * (n_columns: the null bitmap). Inlined for each combination of: all columns present, and fields wanted. */
static inline __attribute__((always_inline)) const uint8_t *walk(const TableMap *map, const uint8_t *present,
                                                                 bool full, const uint8_t *start,
                                                                 const uint8_t *end, Field *fields,
                                                                 uint32_t *bad)
{
    const uint32_t n_columns = map->n_columns;
    const uint8_t *p = image_values(full ? n_columns : count_present(present, n_columns), start, end);
    uint32_t k = 0; /* index among the present columns */
    if (UNLIKELY(!p)) {
        *bad = n_columns;
        return NULL;
    }
    for (uint32_t i = 0; i < n_columns; i++) {
        if (!full && !bit_at(present, i)) {
            if (fields) fields[i] = (Field){.state = FIELD_ABSENT};
            continue;
        }
        if (bit_at(start, k++)) {
            if (fields) fields[i] = (Field){.state = FIELD_NULL};
            continue;
        }
        unsigned prefix;
        size_t n = value_span(&map->columns[i], p, end, &prefix);
        if (UNLIKELY(n > (size_t)(end - p) - prefix)) {
            *bad = i;
            return NULL;
        }
        p += prefix;
        if (fields) fields[i] = (Field){.ptr = p, .len = (uint32_t)n, .state = FIELD_VALUE};
        p += n;
    }
    return p;
}

static const uint8_t *walk_any(const TableMap *map, const uint8_t *present, const uint8_t *start,
                               const uint8_t *end, Field *fields, uint32_t *bad)
{
    bool full = all_present(present, map->n_columns);
    if (fields)
        return full ? walk(map, present, true, start, end, fields, bad)
                    : walk(map, present, false, start, end, fields, bad);
    return full ? walk(map, present, true, start, end, NULL, bad)
                : walk(map, present, false, start, end, NULL, bad);
}

bool row_image_split(const TableMap *map, const uint8_t *present, Reader *r, Str *image, Field *fields,
                     Err *err)
{
    uint32_t bad = 0;
    const uint8_t *start = r->at, *p = walk_any(map, present, start, r->end, fields, &bad);
    if (UNLIKELY(!p)) return image_cut(map, bad, err);
    *image = str_make(start, (size_t)(p - start));
    r->at = p;
    return true;
}

void row_fields(const TableMap *map, const uint8_t *present, Str image, Field *fields)
{
    const uint8_t *p = (const uint8_t *)image.ptr, *end = p + image.len;
    uint32_t bad = 0;
    CHECK(walk_any(map, present, p, end, fields, &bad) == end, "an image that was split before");
}

void row_fields_some(const TableMap *map, const uint8_t *present, Str image, const uint32_t *columns,
                     uint32_t n, Field *fields)
{
    const uint8_t *nulls = (const uint8_t *)image.ptr, *end = nulls + image.len;
    const uint8_t *p = image_values(count_present(present, map->n_columns), nulls, end);
    uint32_t k = 0, found = 0;
    CHECK(p, "an image that was split before");
    for (uint32_t i = 0; found < n; i++) {
        CHECK(i < map->n_columns, "columns ascend and are the table's");
        bool wanted = columns[found] == i;
        if (!bit_at(present, i)) {
            if (wanted) fields[found++] = (Field){.state = FIELD_ABSENT};
            continue;
        }
        if (bit_at(nulls, k++)) {
            if (wanted) fields[found++] = (Field){.state = FIELD_NULL};
            continue;
        }
        unsigned prefix;
        size_t len = value_span(&map->columns[i], p, end, &prefix);
        CHECK(len <= (size_t)(end - p) - prefix, "an image that was split before");
        if (wanted) fields[found++] = (Field){.ptr = p + prefix, .len = (uint32_t)len, .state = FIELD_VALUE};
        p += prefix + len;
    }
}
