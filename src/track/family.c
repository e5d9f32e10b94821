#include "track/family.h"
#include "model/charset.h"
#include "base/poison.h"

/* DATA_TYPE → family, wire types it may have (0: none), and its capacity rank inside the family. */
typedef struct TypeRow {
    const char *data_type;
    TypeFamily family;
    uint8_t wire[2];
    uint8_t size; /* INT: bytes; TEXT and BLOB: bytes of the length; DOUBLE above FLOAT; GEOMETRY: kind, 0 =
                     any; UUID, INET: bytes */
} TypeRow;

static const TypeRow types[] = {
    {"tinyint", FAMILY_INT, {COLTYPE_TINY}, 1},
    {"smallint", FAMILY_INT, {COLTYPE_SHORT}, 2},
    {"mediumint", FAMILY_INT, {COLTYPE_INT24}, 3},
    {"int", FAMILY_INT, {COLTYPE_LONG}, 4},
    {"bigint", FAMILY_INT, {COLTYPE_LONGLONG}, 8},
    {"decimal", FAMILY_DECIMAL, {COLTYPE_NEWDECIMAL}, 0},
    {"float", FAMILY_FLOAT, {COLTYPE_FLOAT}, 4},
    {"double", FAMILY_FLOAT, {COLTYPE_DOUBLE}, 8},
    {"bit", FAMILY_BIT, {COLTYPE_BIT}, 0},
    {"year", FAMILY_YEAR, {COLTYPE_YEAR}, 0},
    {"date", FAMILY_DATE, {COLTYPE_DATE, COLTYPE_NEWDATE}, 0},
    {"time", FAMILY_TIME, {COLTYPE_TIME2, COLTYPE_TIME}, 0},
    {"datetime", FAMILY_DATETIME, {COLTYPE_DATETIME2, COLTYPE_DATETIME}, 0},
    {"timestamp", FAMILY_TIMESTAMP, {COLTYPE_TIMESTAMP2, COLTYPE_TIMESTAMP}, 0},
    {"char", FAMILY_TEXT, {COLTYPE_STRING}, 0},
    {"varchar", FAMILY_TEXT, {COLTYPE_VARCHAR, COLTYPE_VAR_STRING}, 0},
    {"tinytext", FAMILY_TEXT, {COLTYPE_BLOB}, 1},
    {"text", FAMILY_TEXT, {COLTYPE_BLOB}, 2},
    {"mediumtext", FAMILY_TEXT, {COLTYPE_BLOB}, 3},
    {"longtext", FAMILY_TEXT, {COLTYPE_BLOB}, 4},
    {"binary", FAMILY_BINARY, {COLTYPE_STRING}, 0},
    {"varbinary", FAMILY_BINARY, {COLTYPE_VARCHAR, COLTYPE_VAR_STRING}, 0},
    {"tinyblob", FAMILY_BINARY, {COLTYPE_BLOB}, 1},
    {"blob", FAMILY_BINARY, {COLTYPE_BLOB}, 2},
    {"mediumblob", FAMILY_BINARY, {COLTYPE_BLOB}, 3},
    {"longblob", FAMILY_BINARY, {COLTYPE_BLOB}, 4},
    {"enum", FAMILY_ENUM, {COLTYPE_ENUM}, 0},
    {"set", FAMILY_SET, {COLTYPE_SET}, 0},
    {"json", FAMILY_JSON, {COLTYPE_JSON, COLTYPE_BLOB}, 0}, /* a SELECT gives its text */
    {"geometry", FAMILY_GEOMETRY, {COLTYPE_GEOMETRY}, 0},
    {"point", FAMILY_GEOMETRY, {COLTYPE_GEOMETRY}, 1},
    {"linestring", FAMILY_GEOMETRY, {COLTYPE_GEOMETRY}, 2},
    {"polygon", FAMILY_GEOMETRY, {COLTYPE_GEOMETRY}, 3},
    {"multipoint", FAMILY_GEOMETRY, {COLTYPE_GEOMETRY}, 4},
    {"multilinestring", FAMILY_GEOMETRY, {COLTYPE_GEOMETRY}, 5},
    {"multipolygon", FAMILY_GEOMETRY, {COLTYPE_GEOMETRY}, 6},
    {"geometrycollection", FAMILY_GEOMETRY, {COLTYPE_GEOMETRY}, 7},
    {"geomcollection", FAMILY_GEOMETRY, {COLTYPE_GEOMETRY}, 7},
    {"vector", FAMILY_VECTOR, {COLTYPE_VECTOR, COLTYPE_VARCHAR}, 0},
    {"uuid", FAMILY_UUID, {COLTYPE_STRING}, 16},
    {"inet4", FAMILY_INET4, {COLTYPE_STRING}, 4},
    {"inet6", FAMILY_INET6, {COLTYPE_STRING}, 16},
};

static const TypeRow *row_of(const ColumnDef *c)
{
    for (size_t i = 0; i < ARRAY_LEN(types); i++)
        if (str_ieq(c->data_type, str_of(types[i].data_type))) return &types[i];
    return NULL;
}

const char *family_type_name(size_t i)
{
    return i < ARRAY_LEN(types) ? types[i].data_type : NULL;
}

TypeFamily family_of(const ColumnDef *c)
{
    const TypeRow *r = row_of(c);
    return r ? r->family : FAMILY_UNKNOWN;
}

bool family_wire(const ColumnDef *c, uint8_t *type, uint8_t *size)
{
    const TypeRow *r = row_of(c);
    if (!r) return false;
    *type = r->wire[0];
    *size = r->size;
    return true;
}

uint32_t member_index(const ColumnDef *c, Str member)
{
    for (uint32_t i = 0; i < c->n_members; i++)
        if (str_eq(c->members[i], member)) return i;
    return UINT32_MAX;
}

const char *family_elsewhere(const ColumnDef *c)
{
    switch (family_of(c)) {
    case FAMILY_GEOMETRY: return "LONGBLOB (SRID and WKB)";
    case FAMILY_VECTOR: return "BLOB (the floats as bytes)";
    case FAMILY_UUID: return "CHAR(36) CHARACTER SET ascii (text) or BINARY(16)";
    case FAMILY_INET4: return "VARCHAR(15) CHARACTER SET ascii (text) or BINARY(4)";
    case FAMILY_INET6: return "VARCHAR(45) CHARACTER SET ascii (text) or BINARY(16)";
    default: return NULL;
    }
}

uint64_t family_dimensions(const ColumnDef *c)
{
    enum { WITHOUT = 2048 }; /* what MySQL takes VECTOR for */
    uint64_t n;
    Str text = c->column_type;
    size_t open = str_find(text, STR("(")), close = str_find(text, STR(")"));
    if (open == SIZE_MAX || close == SIZE_MAX || close < open) return WITHOUT;
    return str_to_u64(str_make(text.ptr + open + 1, close - open - 1), &n) ? n : WITHOUT;
}

bool family_is_compressed(const ColumnDef *c)
{
    TypeFamily f = family_of(c);
    return (f == FAMILY_TEXT || f == FAMILY_BINARY) &&
           str_find(c->column_type, STR("COMPRESSED")) != SIZE_MAX;
}

static bool is_temporal2(uint8_t type)
{
    return type == COLTYPE_TIME2 || type == COLTYPE_DATETIME2 || type == COLTYPE_TIMESTAMP2;
}

/* A COMPRESSED column has a wire type of its own; rows that were copied have the ordinary one. */
static bool is_compressed_twin(const ColumnDef *c, uint8_t wire, const TypeRow *r)
{
    if (!family_is_compressed(c)) return false;
    return wire == (r->wire[0] == COLTYPE_BLOB ? COLTYPE_BLOB_COMPRESSED : COLTYPE_VARCHAR_COMPRESSED);
}

/* Character columns: the map tells their greatest length in bytes; VARCHAR COMPRESSED with its first byte. */
static const char *text_wire_mismatch(const ColumnDef *c, const MapColumn *m, const TypeRow *r)
{
    if (m->type == COLTYPE_BLOB || m->type == COLTYPE_BLOB_COMPRESSED)
        return m->meta == r->size ? NULL : "another TEXT or BLOB size";
    uint64_t per_char = 1;
    if (r->family == FAMILY_TEXT) {
        const Charset *cs = charset_by_name(c->charset);
        if (!cs) return NULL;
        per_char = cs->max_len;
    }
    return m->meta == c->char_length * per_char + (m->type == COLTYPE_VARCHAR_COMPRESSED) ? NULL
                                                                                          : "another length";
}

const char *family_wire_mismatch(const ColumnDef *c, const MapColumn *m)
{
    const TypeRow *r = row_of(c);
    if (!r) return NULL;
    if (m->type != r->wire[0] && (!r->wire[1] || m->type != r->wire[1]) && !is_compressed_twin(c, m->type, r))
        return "another type";
    if (m->nullable == c->not_null)
        return m->nullable ? "NULL allowed in the binlog" : "NOT NULL in the binlog";
    if (m->has_sign && m->is_unsigned != c->is_unsigned &&
        (r->family == FAMILY_INT || r->family == FAMILY_DECIMAL || r->family == FAMILY_FLOAT))
        return m->is_unsigned ? "unsigned in the binlog" : "signed in the binlog";
    switch (r->family) {
    case FAMILY_DECIMAL: return m->meta == (c->precision << 8 | c->scale) ? NULL : "another precision";
    case FAMILY_BIT: return m->meta == (c->precision / 8 << 8 | c->precision % 8) ? NULL : "another width";
    case FAMILY_TIME:
    case FAMILY_DATETIME:
    case FAMILY_TIMESTAMP:
        return !is_temporal2(m->type) || m->meta == c->fsp ? NULL : "other fraction digits";
    case FAMILY_TEXT:
    case FAMILY_BINARY: return text_wire_mismatch(c, m, r);
    case FAMILY_ENUM:
    case FAMILY_SET: return !m->members || m->n_members == c->n_members ? NULL : "another list of members";
    case FAMILY_VECTOR:
        return m->type != COLTYPE_VARCHAR || m->meta == family_dimensions(c) * 4 ? NULL : "other dimensions";
    case FAMILY_UUID:
    case FAMILY_INET4:
    case FAMILY_INET6: return m->meta == r->size ? NULL : "another length";
    default: return NULL;
    }
}

static bool is_wide_repertoire(const Charset *cs)
{
    return cs->max_len == 4; /* utf8mb4, utf16, utf16le, utf32, gb18030: all of Unicode */
}

/* Every character of `from` exists in `to`. */
static bool charset_fits(const Charset *from, const Charset *to)
{
    if (from == to || is_wide_repertoire(to)) return true;
    if (str_eqc(from->name, "ascii")) return to->form != CHARSET_BINARY && !str_eqc(to->name, "swe7");
    bool bmp = str_eqc(to->name, "utf8mb3") || str_eqc(to->name, "ucs2");
    return bmp && !is_wide_repertoire(from);
}

static bool says(StrBuf *why, const char *text)
{
    sb_c(why, text);
    return false;
}

static bool int_fits(const ColumnDef *s, const ColumnDef *t, StrBuf *why)
{
    unsigned from = row_of(s)->size, to = row_of(t)->size;
    if (s->is_unsigned == t->is_unsigned) return to >= from ? true : says(why, "it is narrower");
    if (!s->is_unsigned) return says(why, "it is unsigned and the shard's is signed");
    return to > from ? true : says(why, "it is signed and too narrow for the shard's unsigned values");
}

static bool decimal_fits(const ColumnDef *s, const ColumnDef *t, StrBuf *why)
{
    static const uint8_t digits[] = {0, 3, 5, 8, 10, 0, 0, 0, 20};
    uint32_t whole = s->precision - s->scale, scale = s->scale;
    if (family_of(s) == FAMILY_INT) {
        whole = digits[row_of(s)->size];
        scale = 0;
    }
    if (t->is_unsigned && !s->is_unsigned) return says(why, "it is unsigned and the shard's is signed");
    if (t->precision - t->scale < whole) return says(why, "it holds fewer digits before the point");
    return t->scale >= scale ? true : says(why, "it holds fewer digits behind the point");
}

/* FLOAT(M,D) rounds what is written. */
static bool float_fits(const ColumnDef *s, const ColumnDef *t, StrBuf *why)
{
    if (row_of(t)->size < row_of(s)->size) return says(why, "it is less precise");
    if (t->is_unsigned && !s->is_unsigned) return says(why, "it is unsigned and the shard's is signed");
    bool rounds = str_find(t->column_type, STR(",")) != SIZE_MAX;
    if (rounds && !str_eq(s->column_type, t->column_type)) return says(why, "it rounds to other digits");
    return true;
}

static bool is_fixed(const ColumnDef *c)
{
    return str_ieq(c->data_type, STR("char")) || str_ieq(c->data_type, STR("binary"));
}

static bool text_fits(const ColumnDef *s, const ColumnDef *t, StrBuf *why)
{
    const Charset *from = charset_by_name(s->charset), *to = charset_by_name(t->charset);
    if (!from || !to) return says(why, "its character set is not known here");
    if (!charset_fits(from, to)) return says(why, "its character set lacks characters of the shard's");
    if (is_fixed(t) && !is_fixed(s))
        return says(why, "CHAR loses trailing spaces that the shard's column keeps");
    unsigned from_size = row_of(s)->size, to_size = row_of(t)->size;
    if (from_size && to_size) return to_size >= from_size ? true : says(why, "it is shorter");
    uint64_t want = s->char_length;
    if (to_size) want *= to->max_len; /* TEXT counts bytes */
    return t->char_length >= want ? true : says(why, "it is shorter");
}

static bool binary_fits(const ColumnDef *s, const ColumnDef *t, StrBuf *why)
{
    if (is_fixed(t)) {
        if (!is_fixed(s) || s->char_length != t->char_length)
            return says(why, "BINARY pads to another length");
        return true;
    }
    return t->char_length >= s->char_length ? true : says(why, "it is shorter");
}

static bool members_fit(const ColumnDef *s, const ColumnDef *t, StrBuf *why)
{
    for (uint32_t i = 0; i < s->n_members; i++)
        if (member_index(t, s->members[i]) == UINT32_MAX)
            return says(why, "its list lacks a member of the shard's list");
    return true;
}

static uint64_t utf8_length(Str s)
{
    uint64_t n = 0;
    for (size_t i = 0; i < s.len; i++)
        n += ((uint8_t)s.ptr[i] & 0xc0) != 0x80;
    return n;
}

/* What only some servers have goes elsewhere as its bytes, UUID and INET also as the text that SELECT gives.
 */
static bool native_fits(const ColumnDef *s, const ColumnDef *t, StrBuf *why)
{
    TypeFamily from = family_of(s), to = family_of(t);
    uint64_t bytes = from == FAMILY_VECTOR     ? family_dimensions(s) * 4
                     : from == FAMILY_GEOMETRY ? UINT32_MAX
                                               : row_of(s)->size;
    bool has_text = from == FAMILY_UUID || from == FAMILY_INET4 || from == FAMILY_INET6;
    if (to == FAMILY_BINARY && is_fixed(t) && (!has_text || t->char_length != bytes))
        return says(why, "BINARY pads to another length");
    if (to == FAMILY_BINARY) return t->char_length >= bytes ? true : says(why, "it is shorter");
    if (to != FAMILY_TEXT || !has_text) return says(why, "it is of another kind");
    const Charset *cs = charset_by_name(t->charset);
    if (!cs || cs->form == CHARSET_BINARY) return says(why, "its character set is not known here");
    uint64_t chars = from == FAMILY_UUID ? 36 : from == FAMILY_INET4 ? 15 : 39;
    return t->char_length >= chars * (row_of(t)->size ? cs->max_len : 1) ? true : says(why, "it is shorter");
}

static bool across_families(const ColumnDef *s, const ColumnDef *t, StrBuf *why)
{
    TypeFamily from = family_of(s), to = family_of(t);
    if (from == FAMILY_INT && to == FAMILY_DECIMAL) return decimal_fits(s, t, why);
    if (from == FAMILY_ENUM && to == FAMILY_TEXT && !is_fixed(t)) {
        for (uint32_t i = 0; i < s->n_members; i++)
            if (utf8_length(s->members[i]) > t->char_length) return says(why, "it is shorter than a member");
        return true;
    }
    if (from == FAMILY_DATE && to == FAMILY_DATETIME) return true; /* at midnight */
    if (from >= FAMILY_GEOMETRY) return native_fits(s, t, why);
    /* MariaDB's JSON is LONGTEXT */
    if (from == FAMILY_JSON && str_ieq(t->data_type, STR("longtext"))) return true;
    if (to == FAMILY_JSON && str_ieq(s->data_type, STR("longtext"))) return true;
    return says(why, "it is of another kind");
}

bool family_fits(const ColumnDef *s, const ColumnDef *t, StrBuf *why)
{
    TypeFamily from = family_of(s), to = family_of(t);
    if (from == FAMILY_UNKNOWN || to == FAMILY_UNKNOWN) return says(why, "its type is not replicated");
    if (t->not_null && !s->not_null) return says(why, "it is NOT NULL and the shard's column is not");
    if (from != to) return across_families(s, t, why);
    switch (from) {
    case FAMILY_INT: return int_fits(s, t, why);
    case FAMILY_DECIMAL: return decimal_fits(s, t, why);
    case FAMILY_FLOAT: return float_fits(s, t, why);
    case FAMILY_BIT: return t->precision >= s->precision ? true : says(why, "it is narrower");
    case FAMILY_TIME:
    case FAMILY_DATETIME:
    case FAMILY_TIMESTAMP: return t->fsp >= s->fsp ? true : says(why, "it keeps fewer fraction digits");
    case FAMILY_TEXT: return text_fits(s, t, why);
    case FAMILY_BINARY: return binary_fits(s, t, why);
    case FAMILY_ENUM:
    case FAMILY_SET: return members_fit(s, t, why);
    case FAMILY_GEOMETRY:
        return row_of(t)->size == 0 || row_of(t)->size == row_of(s)->size
                   ? true
                   : says(why, "it takes other shapes");
    case FAMILY_VECTOR:
        return family_dimensions(t) == family_dimensions(s) ? true : says(why, "it has other dimensions");
    default: return true;
    }
}
