#include "db/shown_text.h"
#include "base/reader.h"
#include "base/poison.h"

/* A quoted literal at the reader's place without its quotes: '' is a quote, a backslash escapes as the
 * servers write it. False when it does not start with a quote or does not end. */
static bool unquote(Reader *r, StrBuf *out)
{
    if (reader_u8(r) != '\'') return false;
    while (reader_left(r)) {
        uint8_t ch = reader_u8(r);
        if (ch == '\'') {
            if (!reader_left(r) || *r->at != '\'') return true;
            ch = reader_u8(r);
        } else if (ch == '\\' && reader_left(r)) {
            ch = reader_u8(r);
            ch = ch == 'n' ? '\n' : ch == 'r' ? '\r' : ch == 't' ? '\t' : ch == '0' ? 0 : ch == 'Z' ? 26 : ch;
        }
        sb_ch(out, (char)ch);
    }
    return false;
}

bool shown_members(ColumnDef *c, Arena *arena)
{
    size_t open = str_find(c->column_type, STR("("));
    if (open == SIZE_MAX) return false;
    Str rest = str_make(c->column_type.ptr + open + 1, c->column_type.len - open - 1);
    for (int pass = 0; pass < 2; pass++) { /* count, then fill */
        Str *members = pass ? arena_array(arena, Str, c->n_members + 1) : NULL;
        uint32_t n = 0;
        Reader r = reader_of(rest);
        for (;;) {
            StrBuf text = {0};
            bool ok = unquote(&r, &text);
            if (ok && members) members[n] = arena_str(arena, sb_view(&text));
            sb_done(&text);
            if (!ok) return false;
            n++;
            uint8_t sep = reader_u8(&r);
            if (sep == ')') break;
            if (sep != ',') return false;
        }
        c->n_members = n;
        c->members = members;
    }
    return true;
}

/* Are all characters that are not ASCII of two bytes, U+0080 to U+00FF? */
static bool is_bytewise(Str s)
{
    for (size_t i = 0; i < s.len; i++) {
        uint8_t c = (uint8_t)s.ptr[i];
        if (c < 0x80) continue;
        if ((c != 0xc2 && c != 0xc3) || ++i == s.len) return false;
    }
    return true;
}

Str shown_expression(Arena *arena, Str text, bool escaped)
{
    if (!escaped) return arena_str(arena, text);
    StrBuf b = {0};
    bool twice = is_bytewise(text);
    for (size_t i = 0; i < text.len; i++) {
        if (text.ptr[i] == '\\' && i + 1 < text.len && (text.ptr[i + 1] == '\'' || text.ptr[i + 1] == '\\'))
            i++;
        if (twice && (uint8_t)text.ptr[i] >= 0x80) {
            sb_ch(&b, (char)((uint8_t)text.ptr[i] << 6 | ((uint8_t)text.ptr[i + 1] & 0x3f)));
            i++;
            continue;
        }
        sb_ch(&b, text.ptr[i]);
    }
    Str out = arena_str(arena, sb_view(&b));
    sb_done(&b);
    return out;
}

static bool looks_like_number(Str s)
{
    bool digits = false;
    for (size_t i = 0; i < s.len; i++) {
        char ch = s.ptr[i];
        if (ch >= '0' && ch <= '9')
            digits = true;
        else if (!((ch == '-' || ch == '+') && i == 0) && ch != '.' &&
                 !(digits && (ch == 'e' || ch == 'E' || ch == '-' || ch == '+')))
            return false;
    }
    return digits;
}

static bool is_temporal_now(const ColumnDef *c, Str text)
{
    return (str_eqc(c->data_type, "timestamp") || str_eqc(c->data_type, "datetime")) &&
           str_istarts(text, STR("current_timestamp"));
}

/* The bytes that hex digits stand for. */
static Str bytes_of(Arena *arena, Str hex)
{
    StrBuf bytes = {0};
    for (size_t i = 0; i + 1 < hex.len; i += 2) {
        unsigned v = 0;
        for (size_t k = i; k < i + 2; k++) {
            char ch = hex.ptr[k];
            v = v << 4 | (unsigned)(ch >= '0' && ch <= '9' ? ch - '0' : (ch | 0x20) - 'a' + 10);
        }
        sb_ch(&bytes, (char)v);
    }
    Str out = arena_str(arena, sb_view(&bytes));
    sb_done(&bytes);
    return out;
}

void shown_default_mariadb(ColumnDef *c, Arena *arena, Str text)
{
    StrBuf plain = {0};
    Reader r = reader_of(text);
    if (!text.ptr)
        c->default_kind = DEFAULT_NONE;
    else if (str_ieq(text, STR("NULL")))
        c->default_kind = DEFAULT_NULL;
    else if (text.len && text.ptr[0] == '\'' && unquote(&r, &plain) && !reader_left(&r)) {
        c->default_kind = DEFAULT_LITERAL;
        c->default_text = arena_str(arena, sb_view(&plain));
    } else if (text.len > 2 && str_istarts(text, STR("x'")) &&
               text.ptr[text.len - 1] == '\'') { /* 11: of binary types */
        c->default_kind = DEFAULT_LITERAL;
        c->default_text = bytes_of(arena, (Str){text.ptr + 2, text.len - 3});
    } else {
        bool literal = looks_like_number(text) || str_istarts(text, STR("b'"));
        c->default_kind = literal ? DEFAULT_LITERAL : DEFAULT_EXPR;
        c->default_text = arena_str(arena, text);
    }
    sb_done(&plain);
}

void shown_default_mysql(ColumnDef *c, Arena *arena, Str text, Str extra, bool escaped)
{
    if (!text.ptr) {
        c->default_kind = c->not_null ? DEFAULT_NONE : DEFAULT_NULL;
        return;
    }
    bool expr = str_find(extra, STR("DEFAULT_GENERATED")) != SIZE_MAX || is_temporal_now(c, text);
    bool binary = str_eqc(c->data_type, "binary") || str_eqc(c->data_type, "varbinary");
    c->default_kind = expr ? DEFAULT_EXPR : DEFAULT_LITERAL;
    if (expr)
        c->default_text = shown_expression(arena, text, escaped);
    else if (binary && escaped && str_starts(text, STR("0x")))
        c->default_text = bytes_of(arena, (Str){text.ptr + 2, text.len - 2}); /* BINARY, VARBINARY */
    else
        c->default_text = arena_str(arena, text);
}
