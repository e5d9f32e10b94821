#include "track/family.h"
#include "track/join.h"
#include "model/charset.h"
#include "base/poison.h"

static bool fits(const ColumnDef *from, const ColumnDef *into)
{
    StrBuf why = {0};
    ColumnDef s = *from, t = *into;
    s.not_null = t.not_null = false;
    bool ok = family_fits(&s, &t, &why);
    sb_done(&why);
    return ok;
}

/* Digits before the point that a type may need. */
static uint32_t whole_digits(const ColumnDef *c)
{
    static const struct {
        const char *type;
        uint32_t digits;
    } ints[] = {{"tinyint", 3}, {"smallint", 5}, {"mediumint", 8}, {"int", 10}, {"bigint", 20}};
    for (size_t i = 0; i < ARRAY_LEN(ints); i++)
        if (str_ieq(c->data_type, str_of(ints[i].type))) return ints[i].digits;
    return c->precision - c->scale;
}

static bool decimal_of(Arena *arena, const ColumnDef *a, const ColumnDef *b, ColumnDef *out)
{
    uint32_t sa = family_of(a) == FAMILY_INT ? 0 : a->scale, sb = family_of(b) == FAMILY_INT ? 0 : b->scale;
    uint32_t wa = whole_digits(a), wb = whole_digits(b);
    *out = *a;
    out->scale = MAX(sa, sb);
    out->precision = MAX(wa, wb) + out->scale;
    out->is_unsigned = a->is_unsigned && b->is_unsigned;
    if (out->precision > 65 || out->scale > 30) return false;
    out->data_type = STR("decimal");
    out->column_type = arena_printf(arena, "decimal(%u,%u)%s", out->precision, out->scale,
                                    out->is_unsigned ? " unsigned" : "");
    return true;
}

/* Signed and unsigned: a signed type above both. */
static bool int_of(Arena *arena, const ColumnDef *a, const ColumnDef *b, ColumnDef *out)
{
    static const char *const types[] = {"smallint", "mediumint", "int", "bigint"};
    for (size_t i = 0; i < ARRAY_LEN(types); i++) {
        *out = *a;
        out->is_unsigned = false;
        out->data_type = out->column_type = str_of(types[i]);
        if (fits(a, out) && fits(b, out)) return true;
    }
    return decimal_of(arena, a, b, out);
}

static bool is_var(const ColumnDef *c)
{
    return str_ieq(c->data_type, STR("char")) || str_ieq(c->data_type, STR("varchar"));
}

static bool text_of(Arena *arena, const ColumnDef *a, const ColumnDef *b, ColumnDef *out)
{
    const ColumnDef *wide = a;
    const Charset *ca = charset_by_name(a->charset), *cb = charset_by_name(b->charset);
    if (!ca || !cb) return false;
    if (cb->max_len > ca->max_len) wide = b;
    *out = *wide;
    if (is_var(a) && is_var(b)) {
        out->char_length = MAX(a->char_length, b->char_length);
        out->data_type = STR("varchar");
        out->column_type = arena_printf(arena, "varchar(%llu)", (unsigned long long)out->char_length);
    } else {
        static const struct {
            const char *type;
            uint64_t bytes;
        } texts[] = {{"text", 65535}, {"mediumtext", 16777215}, {"longtext", 4294967295}};
        for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
            out->data_type = out->column_type = str_of(texts[i].type);
            out->char_length = texts[i].bytes;
            if (fits(a, out) && fits(b, out)) return true;
        }
        return false;
    }
    return fits(a, out) && fits(b, out);
}

static bool binary_of(Arena *arena, const ColumnDef *a, const ColumnDef *b, ColumnDef *out)
{
    *out = *a;
    out->char_length = MAX(a->char_length, b->char_length);
    out->data_type = STR("varbinary");
    out->column_type = arena_printf(arena, "varbinary(%llu)", (unsigned long long)out->char_length);
    return fits(a, out) && fits(b, out);
}

static void put_member(StrBuf *type, Str member)
{
    if (type->ptr[type->len - 1] != '(') sb_ch(type, ',');
    sb_ch(type, '\'');
    for (size_t i = 0; i < member.len; i++) {
        if (member.ptr[i] == '\'') sb_ch(type, '\'');
        sb_ch(type, member.ptr[i]);
    }
    sb_ch(type, '\'');
}

/* ENUM and SET: the members of a, then what b has besides. Values travel as texts, so the order is free. */
static bool members_of(Arena *arena, const ColumnDef *a, const ColumnDef *b, ColumnDef *out)
{
    if (!str_ieq(a->charset, b->charset)) return false;
    Str *members = arena_array(arena, Str, a->n_members + b->n_members);
    uint32_t n = 0;
    for (uint32_t i = 0; i < a->n_members; i++)
        members[n++] = a->members[i];
    for (uint32_t i = 0; i < b->n_members; i++)
        if (member_index(a, b->members[i]) == UINT32_MAX) members[n++] = b->members[i];
    if (family_of(a) == FAMILY_SET && n > 64) return false;
    StrBuf type = {0};
    sb_str(&type, a->data_type);
    sb_ch(&type, '(');
    for (uint32_t i = 0; i < n; i++)
        put_member(&type, members[i]);
    sb_ch(&type, ')');
    *out = *a;
    out->members = members;
    out->n_members = n;
    out->column_type = arena_str(arena, sb_view(&type));
    sb_done(&type);
    return true;
}

bool join_column_type(Arena *arena, const ColumnDef *a, const ColumnDef *b, ColumnDef *out)
{
    if (fits(a, b) && (!fits(b, a) || str_eq(a->column_type, b->column_type))) {
        *out = *b;
        return true;
    }
    if (fits(b, a)) {
        *out = *a;
        return true;
    }
    TypeFamily x = family_of(a), y = family_of(b);
    bool numbers = (x == FAMILY_INT || x == FAMILY_DECIMAL) && (y == FAMILY_INT || y == FAMILY_DECIMAL);
    if (x == FAMILY_INT && y == FAMILY_INT) return int_of(arena, a, b, out);
    if (numbers) return decimal_of(arena, a, b, out);
    if (x != y) return false;
    switch (x) {
    case FAMILY_TEXT: return text_of(arena, a, b, out);
    case FAMILY_BINARY: return binary_of(arena, a, b, out);
    case FAMILY_ENUM:
    case FAMILY_SET: return members_of(arena, a, b, out);
    default: return false;
    }
}
