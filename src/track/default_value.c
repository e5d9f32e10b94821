#include <stdlib.h>
#include "base/check.h"
#include "ddl/expr.h"
#include "track/column_build.h"
#include "track/family.h"
#include "base/poison.h"

/* A literal written as a default, on its way to the form the server shows. */
typedef struct Literal {
    ColumnDef *c;
    const DdlValue *v;
    const ApplyContext *ctx;
    Arena *arena;
    StrBuf out;
} Literal;

static bool is_mariadb(const ApplyContext *ctx)
{
    return ctx->flavor == FLAVOR_MARIADB;
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* -- numbers -- */

/* A decimal number as digits: value = 0.digits × 10^point. */
typedef struct Decimal {
    bool negative;
    StrBuf digits;
    long point;
} Decimal;

static bool decimal_parse(Str s, Decimal *d)
{
    size_t i = 0;
    bool any = false, dot = false;
    s = str_trim(s);
    *d = (Decimal){0};
    if (i < s.len && (s.ptr[i] == '-' || s.ptr[i] == '+')) d->negative = s.ptr[i++] == '-';
    for (; i < s.len && (is_digit(s.ptr[i]) || (s.ptr[i] == '.' && !dot)); i++) {
        if (s.ptr[i] == '.') {
            dot = true;
            continue;
        }
        any = true;
        sb_ch(&d->digits, s.ptr[i]);
        d->point += !dot;
    }
    if (any && i < s.len && (s.ptr[i] | 0x20) == 'e') {
        int64_t e;
        Str rest = {s.ptr + i + 1, s.len - i - 1};
        if (rest.len && rest.ptr[0] == '+') rest = (Str){rest.ptr + 1, rest.len - 1};
        if (!str_to_i64(rest, &e) || e > 400 || e < -400) return false;
        d->point += e;
        i = s.len;
    }
    return any && i == s.len;
}

/* Appends it with so many digits behind the point, rounded half away from zero. */
static void decimal_put(Decimal *d, uint32_t scale, StrBuf *out)
{
    long keep = d->point + (long)scale; /* digits that stay */
    StrBuf n = {0};
    for (long i = 0; i < keep; i++)
        sb_ch(&n, i < (long)d->digits.len ? d->digits.ptr[i] : '0');
    bool up = keep >= 0 && keep < (long)d->digits.len && d->digits.ptr[keep] >= '5';
    long i = (long)n.len;
    while (up && i > 0) {
        i--;
        up = n.ptr[i] == '9';
        n.ptr[i] = up ? '0' : (char)(n.ptr[i] + 1);
    }
    StrBuf all = {0};
    if (up) sb_ch(&all, '1');
    while ((long)(all.len + n.len) < (long)scale + 1)
        sb_ch(&all, '0');
    sb_str(&all, sb_view(&n));
    size_t whole = all.len - scale, from = 0;
    while (from + 1 < whole && all.ptr[from] == '0')
        from++;
    bool zero = true;
    for (size_t k = 0; k < all.len; k++)
        zero = zero && all.ptr[k] == '0';
    if (d->negative && !zero) sb_ch(out, '-');
    sb_add(out, all.ptr + from, whole - from);
    if (scale) {
        sb_ch(out, '.');
        sb_add(out, all.ptr + whole, scale);
    }
    sb_done(&n);
    sb_done(&all);
}

/* The text of a number, whatever form it was written in. */
static bool number_text(const Literal *l, StrBuf *out)
{
    uint64_t v = 0;
    switch (l->v->kind) {
    case DDL_VALUE_TRUE: sb_c(out, "1"); return true;
    case DDL_VALUE_FALSE: sb_c(out, "0"); return true;
    case DDL_VALUE_NUMBER:
    case DDL_VALUE_STRING: sb_str(out, l->v->text); return true;
    case DDL_VALUE_HEX:
        if (l->v->text.len > 8) return false;
        for (size_t i = 0; i < l->v->text.len; i++)
            v = v << 8 | (uint8_t)l->v->text.ptr[i];
        sb_u64(out, v);
        return true;
    case DDL_VALUE_BIT:
        if (l->v->text.len > 64) return false;
        for (size_t i = 0; i < l->v->text.len; i++)
            v = v << 1 | (uint64_t)(l->v->text.ptr[i] == '1');
        sb_u64(out, v);
        return true;
    default: return false;
    }
}

/* ZEROFILL pads to the width in brackets. */
static void zerofill(Literal *l)
{
    size_t open = str_find(l->c->column_type, STR("("));
    uint64_t width = 0;
    if (str_find(l->c->column_type, STR("zerofill")) == SIZE_MAX || open == SIZE_MAX) return;
    for (size_t i = open + 1; i < l->c->column_type.len && is_digit(l->c->column_type.ptr[i]); i++)
        width = width * 10 + (uint64_t)(l->c->column_type.ptr[i] - '0');
    if (l->c->scale) width++;
    StrBuf padded = {0};
    for (size_t i = l->out.len; i < width; i++)
        sb_ch(&padded, '0');
    sb_str(&padded, sb_view(&l->out));
    sb_done(&l->out);
    l->out = padded;
}

static bool put_decimal(Literal *l, uint32_t scale)
{
    CLEANUP(sb_done) StrBuf text = {0};
    Decimal d = {0};
    bool ok = number_text(l, &text) && decimal_parse(sb_view(&text), &d);
    if (ok) decimal_put(&d, scale, &l->out);
    if (ok) zerofill(l);
    sb_done(&d.digits);
    return ok;
}

/* As the servers print: the shortest text that reads back, without an exponent where that is short. */
static bool put_float(Literal *l)
{
    CLEANUP(sb_done) StrBuf text = {0}, shortest = {0};
    Decimal d = {0};
    if (!number_text(l, &text)) return false;
    if (str_find(l->c->column_type, STR(",")) != SIZE_MAX) return put_decimal(l, l->c->scale);
    bool ok = decimal_parse(str_trim(sb_view(&text)), &d);
    sb_done(&d.digits);
    if (!ok) return false;
    double v = strtod(text.ptr, NULL);
    bool single = str_eqc(l->c->data_type, "float");
    if (single) v = (double)(float)v;
    for (int digits = 1; digits <= 17; digits++) {
        sb_clear(&shortest);
        sb_printf(&shortest, "%.*e", digits - 1, v);
        double back = strtod(shortest.ptr, NULL);
        if (single ? (float)back == (float)v : !(back < v || back > v)) break;
        if (single && digits == 6) break; /* FLOAT shows six digits */
    }
    if (!decimal_parse(sb_view(&shortest), &d)) return false;
    while (d.digits.len > 1 && d.digits.ptr[d.digits.len - 1] == '0')
        d.digits.len--;
    long scale = (long)d.digits.len - d.point;
    bool plain = (d.point > -14 && d.point <= 15) || d.digits.ptr[0] == '0';
    if (plain) {
        decimal_put(&d, scale > 0 ? (uint32_t)scale : 0, &l->out);
    } else { /* 1.1e20 */
        if (d.negative) sb_ch(&l->out, '-');
        sb_ch(&l->out, d.digits.ptr[0]);
        if (d.digits.len > 1) sb_ch(&l->out, '.');
        sb_add(&l->out, d.digits.ptr + 1, d.digits.len - 1);
        sb_printf(&l->out, "e%ld", d.point - 1);
    }
    sb_done(&d.digits);
    return true;
}

/* b'101', without leading zeros. */
static bool put_bits(Literal *l)
{
    uint64_t v = 0;
    Decimal d = {0};
    CLEANUP(sb_done) StrBuf text = {0}, whole = {0};
    if (l->v->kind == DDL_VALUE_STRING) { /* its bytes */
        Str bytes = l->v->bytes.len ? l->v->bytes : l->v->text;
        if (bytes.len > 8) return false;
        for (size_t i = 0; i < bytes.len; i++)
            v = v << 8 | (uint8_t)bytes.ptr[i];
    } else {
        bool ok = number_text(l, &text) && decimal_parse(sb_view(&text), &d);
        if (ok) decimal_put(&d, 0, &whole);
        sb_done(&d.digits);
        if (!ok || !str_to_u64(sb_view(&whole), &v)) return false;
    }
    sb_c(&l->out, "b'");
    int top = 63;
    while (top > 0 && !(v >> top & 1))
        top--;
    for (; top >= 0; top--)
        sb_ch(&l->out, v >> top & 1 ? '1' : '0');
    sb_ch(&l->out, '\'');
    return true;
}

/* -- dates and times -- */

enum { MAX_GROUPS = 8 };

/* The groups of digits of a temporal literal. */
typedef struct Groups {
    bool negative;
    uint64_t value[MAX_GROUPS];
    unsigned digits[MAX_GROUPS];
    char before[MAX_GROUPS]; /* what stands in front: '.' opens a fraction */
    unsigned n;
} Groups;

static bool groups_parse(Str s, Groups *g)
{
    size_t i = 0;
    s = str_trim(s);
    *g = (Groups){0};
    if (i < s.len && s.ptr[i] == '-') g->negative = true, i++;
    char before = 0;
    while (i < s.len) {
        if (!is_digit(s.ptr[i])) {
            before = s.ptr[i++];
            continue;
        }
        if (g->n == MAX_GROUPS) return false;
        g->before[g->n] = before;
        for (; i < s.len && is_digit(s.ptr[i]); i++) {
            g->value[g->n] = g->value[g->n] * 10 + (uint64_t)(s.ptr[i] - '0');
            if (++g->digits[g->n] > 18) return false;
        }
        g->n++;
        before = 0;
    }
    return g->n > 0;
}

/* Takes the fraction off the end; microseconds. */
static uint64_t groups_fraction(Groups *g, unsigned whole)
{
    if (g->n <= 1 || g->before[g->n - 1] != '.' || (g->n - 1 != whole && g->n - 1 != 1)) return 0;
    g->n--;
    uint64_t v = g->value[g->n];
    for (unsigned d = g->digits[g->n]; d < 6; d++)
        v *= 10;
    for (unsigned d = g->digits[g->n]; d > 6; d--)
        v /= 10;
    return v;
}

static uint64_t full_year(uint64_t y, unsigned digits)
{
    return digits > 2 ? y : y < 70 ? 2000 + y : 1900 + y;
}

static void put_fraction(Literal *l, uint64_t micros)
{
    if (!l->c->fsp) return;
    uint64_t unit = 1;
    for (uint32_t d = 6; d > l->c->fsp; d--)
        unit *= 10;
    bool up = !is_mariadb(l->ctx) && micros % unit * 2 >= unit && micros / unit + 1 < 1000000 / unit;
    micros = micros / unit + up; /* MariaDB cuts; MySQL rounds */
    sb_printf(&l->out, ".%0*llu", (int)l->c->fsp, (unsigned long long)micros);
}

static bool put_datetime(Literal *l, bool with_time)
{
    CLEANUP(sb_done) StrBuf text = {0};
    Groups g;
    uint64_t part[6] = {0};
    if (!number_text(l, &text) || !groups_parse(sb_view(&text), &g)) return false;
    uint64_t micros = groups_fraction(&g, 6);
    if (g.n == 1) { /* YYYYMMDD…, YYMMDD…, 0 */
        uint64_t v = g.value[0];
        bool has_time = g.digits[0] > 8;
        bool long_year = g.digits[0] == 8 || g.digits[0] == 14;
        for (int i = has_time ? 5 : 2; i > 0; i--, v /= 100)
            part[i] = v % 100;
        part[0] =
            v || (l->v->kind == DDL_VALUE_STRING && g.digits[0] > 1) ? full_year(v, long_year ? 4 : 2) : 0;
    } else {
        if (g.n > 6 || g.n < 3) return false;
        for (unsigned i = 0; i < g.n; i++)
            part[i] = g.value[i];
        part[0] = full_year(part[0], g.digits[0]);
    }
    sb_printf(&l->out, "%04u-%02u-%02u", (unsigned)part[0], (unsigned)part[1], (unsigned)part[2]);
    if (!with_time) return true;
    sb_printf(&l->out, " %02u:%02u:%02u", (unsigned)part[3], (unsigned)part[4], (unsigned)part[5]);
    put_fraction(l, micros);
    return true;
}

static bool put_time(Literal *l)
{
    CLEANUP(sb_done) StrBuf text = {0};
    Groups g;
    uint64_t h = 0, m = 0, s = 0;
    if (!number_text(l, &text) || !groups_parse(sb_view(&text), &g)) return false;
    uint64_t micros = groups_fraction(&g, 3);
    unsigned at = 0;
    if (g.n > 1 && g.before[1] == ' ') h = g.value[at++] * 24;
    if (g.n - at == 1 && !at) { /* HHMMSS */
        s = g.value[0] % 100;
        m = g.value[0] / 100 % 100;
        h = g.value[0] / 10000;
    } else {
        if (at < g.n) h += g.value[at++];
        if (at < g.n) m = g.value[at++];
        if (at < g.n) s = g.value[at++];
        if (at < g.n) return false;
    }
    if (g.negative) sb_ch(&l->out, '-');
    sb_printf(&l->out, "%02u:%02u:%02u", (unsigned)h, (unsigned)m, (unsigned)s);
    put_fraction(l, micros);
    return true;
}

static bool put_year(Literal *l)
{
    CLEANUP(sb_done) StrBuf text = {0};
    uint64_t v;
    if (!number_text(l, &text) || !str_to_u64(str_trim(sb_view(&text)), &v)) return false;
    bool zero = v == 0 && (l->v->kind != DDL_VALUE_STRING || text.len >= 3);
    if (!zero && v < 100) v = full_year(v, 2);
    sb_printf(&l->out, "%04u", (unsigned)v);
    return true;
}

/* -- texts -- */

static Str without_blanks(Str s)
{
    while (s.len && s.ptr[s.len - 1] == ' ')
        s.len--;
    return s;
}

/* What the column's character set reads in bytes that come without one of their own. */
static bool text_of_bytes(Literal *l, Str bytes, StrBuf *out)
{
    Str text;
    if (!column_own_text(l->c, bytes, l->arena, &text)) return false;
    sb_str(out, text);
    return true;
}

static bool text_of(Literal *l, StrBuf *out)
{
    CLEANUP(sb_done) StrBuf bytes = {0};
    if (l->v->kind == DDL_VALUE_HEX || (l->v->kind == DDL_VALUE_STRING && l->v->raw)) {
        return text_of_bytes(l, l->v->text, out);
    } else if (l->v->kind == DDL_VALUE_BIT) {
        for (size_t i = 0; i < l->v->text.len; i += 8) {
            unsigned byte = 0;
            for (size_t k = i; k < i + 8 && k < l->v->text.len; k++)
                byte = byte << 1 | (unsigned)(l->v->text.ptr[k] == '1');
            sb_ch(&bytes, (char)byte);
        }
        return text_of_bytes(l, sb_view(&bytes), out);
    } else if (l->v->bytes.len && column_holds_bytes(l->c)) {
        sb_str(out, l->v->bytes);
        return true;
    }
    return number_text(l, out);
}

static uint64_t characters(Str s)
{
    uint64_t n = 0;
    for (size_t i = 0; i < s.len; i++)
        n += ((uint8_t)s.ptr[i] & 0xc0) != 0x80;
    return n;
}

static bool put_text(Literal *l)
{
    if (!text_of(l, &l->out)) return false;
    bool fixed = str_eqc(l->c->data_type, "char"), sized = str_eqc(l->c->data_type, "varchar");
    uint64_t n = sized ? characters(sb_view(&l->out)) : 0;
    while (l->out.len && l->out.ptr[l->out.len - 1] == ' ' && (fixed || n > l->c->char_length)) {
        l->out.ptr[--l->out.len] = 0; /* blanks beyond the length are cut */
        n--;
    }
    if (!str_eqc(l->c->data_type, "binary")) return true;
    while (is_mariadb(l->ctx) && l->out.len < l->c->char_length)
        sb_ch(&l->out, 0);
    while (!is_mariadb(l->ctx) && l->out.len && l->out.ptr[l->out.len - 1] == 0)
        l->out.len--;
    return true;
}

static uint32_t member(const ColumnDef *c, Str s)
{
    s = without_blanks(s);
    uint32_t i = member_index(c, s);
    for (uint32_t k = 0; i == UINT32_MAX && k < c->n_members; k++)
        if (str_ieq(c->members[k], s)) i = k;
    return i;
}

/* The members as the list spells and orders them. */
static bool put_members(Literal *l)
{
    CLEANUP(sb_done) StrBuf text = {0};
    if (!text_of(l, &text)) return false;
    Str rest = sb_view(&text);
    if (str_eqc(l->c->data_type, "enum")) {
        uint32_t i = member(l->c, rest);
        if (i == UINT32_MAX && rest.len) return false;
        if (i != UINT32_MAX) sb_str(&l->out, l->c->members[i]);
        return true;
    }
    uint64_t set = 0;
    while (rest.len) {
        uint32_t i = member(l->c, str_split(&rest, ','));
        if (i >= 64) return false;
        set |= (uint64_t)1 << i;
    }
    for (uint32_t i = 0; i < l->c->n_members; i++) {
        if (!(set >> i & 1)) continue;
        if (l->out.len) sb_ch(&l->out, ',');
        sb_str(&l->out, l->c->members[i]);
    }
    return true;
}

static bool put_literal(Literal *l)
{
    switch (family_of(l->c)) {
    case FAMILY_INT: return put_decimal(l, 0);
    case FAMILY_DECIMAL: return put_decimal(l, l->c->scale);
    case FAMILY_FLOAT: return put_float(l);
    case FAMILY_BIT: return put_bits(l);
    case FAMILY_YEAR: return put_year(l);
    case FAMILY_DATE: return put_datetime(l, false);
    case FAMILY_DATETIME:
    case FAMILY_TIMESTAMP: return put_datetime(l, true);
    case FAMILY_TIME: return put_time(l);
    case FAMILY_ENUM:
    case FAMILY_SET: return put_members(l);
    default: return put_text(l);
    }
}

/* -- expressions -- */

static void set_now(ColumnDef *c, uint32_t fsp, const ApplyContext *ctx, Arena *arena)
{
    const char *word = is_mariadb(ctx) ? "current_timestamp" : "CURRENT_TIMESTAMP";
    c->default_kind = DEFAULT_EXPR;
    if (fsp)
        c->default_text = arena_printf(arena, "%s(%u)", word, fsp);
    else
        c->default_text = arena_printf(arena, is_mariadb(ctx) ? "%s()" : "%s", word);
}

/* MariaDB takes (5) and ('x') for the literals they are. */
static bool bracketed_literal(const DdlValue *v, DdlValue *out, Arena *arena)
{
    Str s = v->text;
    Decimal d;
    *out = (DdlValue){0};
    if (decimal_parse(s, &d)) {
        *out = (DdlValue){.kind = DDL_VALUE_NUMBER, .text = s};
    } else if (str_ieq(s, STR("NULL"))) {
        out->kind = DDL_VALUE_NULL;
    } else if (s.len > 1 && s.ptr[0] == '\'' && !memchr(s.ptr + 1, '\'', s.len - 2) &&
               !memchr(s.ptr, '\\', s.len)) {
        *out = (DdlValue){.kind = DDL_VALUE_STRING, .text = arena_str(arena, (Str){s.ptr + 1, s.len - 2})};
        if (s.ptr[s.len - 1] != '\'') out->kind = DDL_VALUE_NONE;
    }
    sb_done(&d.digits);
    return out->kind != DDL_VALUE_NONE;
}

bool column_set_default(ColumnDef *c, const DdlValue *v, const ApplyContext *ctx, Arena *arena, Err *err)
{
    DdlValue inner;
    c->default_text = (Str){0};
    switch (v->kind) {
    case DDL_VALUE_NONE: c->default_kind = DEFAULT_NONE; return true;
    case DDL_VALUE_NULL: c->default_kind = DEFAULT_NULL; return true;
    case DDL_VALUE_NOW: set_now(c, v->fsp, ctx, arena); return true;
    case DDL_VALUE_EXPR:
        if (is_mariadb(ctx) && v->bracketed && bracketed_literal(v, &inner, arena))
            return column_set_default(c, &inner, ctx, arena, err);
        c->default_kind = DEFAULT_EXPR;
        c->default_text = arena_str(arena, v->text);
        return true;
    default: break;
    }
    Literal l = {.c = c, .v = v, .ctx = ctx, .arena = arena};
    bool ok = put_literal(&l);
    c->default_kind = DEFAULT_LITERAL;
    if (ok) c->default_text = arena_str(arena, sb_view(&l.out));
    sb_done(&l.out);
    if (!ok)
        return err_set(err, ERR_DDL_APPLY,
                       "column `" STR_FMT "`: its default cannot be read as a value of " STR_FMT,
                       STR_ARG(c->name), STR_ARG(c->column_type));
    return true;
}
