#include "model/charset_text.h"
#include <iconv.h>
#include "base/poison.h"

bool charset_text_is_ascii(Str s)
{
    for (size_t i = 0; i < s.len; i++)
        if ((unsigned char)s.ptr[i] >= 0x80) return false;
    return true;
}

/* -- UTF-8 -- */

/* The character at the beginning; 0: none that is well-formed. NUL is 1 byte long too. */
static size_t utf8_char(Str s, uint32_t *code)
{
    static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
    unsigned char c = (unsigned char)s.ptr[0];
    size_t n = c < 0x80 ? 1 : c < 0xC2 ? 0 : c < 0xE0 ? 2 : c < 0xF0 ? 3 : c < 0xF5 ? 4 : 0;
    if (!n || n > s.len) return 0;
    uint32_t u = n == 1 ? c : c & (0x7FU >> n);
    for (size_t i = 1; i < n; i++) {
        if (((unsigned char)s.ptr[i] & 0xC0) != 0x80) return 0;
        u = u << 6 | ((unsigned char)s.ptr[i] & 0x3F);
    }
    if (u < least[n] || u > 0x10FFFF || (u >= 0xD800 && u <= 0xDFFF)) return 0;
    *code = u;
    return n;
}

static Str rest_of(Str s, size_t from)
{
    return (Str){s.ptr + from, s.len - from};
}

bool charset_text_is_utf8(Str s)
{
    uint32_t code;
    for (size_t i = 0, n; i < s.len; i += n)
        if (!(n = utf8_char(rest_of(s, i), &code))) return false;
    return true;
}

static bool is_bmp(Str s)
{
    for (size_t i = 0; i < s.len; i++)
        if ((unsigned char)s.ptr[i] >= 0xF0) return false;
    return true;
}

/* -- one byte a character -- */

static const struct {
    const char *name;
    uint16_t code[128]; /* of the bytes from 0x80 on; 0: none */
} bytes_of[] = {
#define X(name, ...) {#name, {__VA_ARGS__}},
#include "model/charset_bytes.def"
#undef X
};

static const uint16_t *high_bytes(const Charset *c)
{
    for (size_t i = 0; i < ARRAY_LEN(bytes_of); i++)
        if (str_eqc(c->name, bytes_of[i].name)) return bytes_of[i].code;
    return NULL;
}

static bool single_to_utf8(const Charset *from, Str in, Arena *arena, Str *out)
{
    const uint16_t *high = high_bytes(from);
    char *to = arena_alloc(arena, in.len * 3 + 1);
    size_t n = 0;
    for (size_t i = 0; i < in.len; i++) {
        unsigned char c = (unsigned char)in.ptr[i];
        uint32_t u = c < 0x80 ? c : high ? high[c - 0x80] : 0;
        if (c >= 0x80 && !u) return false;
        if (u >= 0x800) to[n++] = (char)(0xE0 | u >> 12);
        if (u >= 0x80) to[n++] = (char)(u >= 0x800 ? 0x80 | (u >> 6 & 0x3F) : 0xC0 | u >> 6);
        to[n++] = (char)(u >= 0x80 ? 0x80 | (u & 0x3F) : u);
    }
    *out = str_make(to, n);
    return true;
}

static bool single_from_utf8(const Charset *to, Str in, Arena *arena, Str *out)
{
    const uint16_t *high = high_bytes(to);
    char *bytes = arena_alloc(arena, in.len + 1);
    size_t n = 0;
    uint32_t u;
    for (size_t i = 0, len; i < in.len; i += len) {
        if (!(len = utf8_char(rest_of(in, i), &u)) || (u >= 0x80 && !high)) return false;
        unsigned b = 0;
        while (u >= 0x80 && b < 128 && high[b] != u)
            b++;
        if (b == 128) return false;
        bytes[n++] = (char)(u < 0x80 ? u : 0x80 + b);
    }
    *out = str_make(bytes, n);
    return true;
}

/* -- iconv -- */

/* The servers' names and iconv's, as measured for every character (MariaDB 10.11, MySQL 9.7; glibc 2.36). */
static const char *iconv_name(const Charset *c)
{
    static const char *const names[][2] = {
        {"gbk", "CP936"},      {"gb2312", "GB2312"}, {"gb18030", "GB18030"}, {"big5", "BIG5"},
        {"sjis", "SJIS"},      {"cp932", "CP932"},   {"ujis", "EUC-JP"},     {"eucjpms", "EUC-JP-MS"},
        {"euckr", "UHC"},      {"ucs2", "UCS-2BE"},  {"utf16", "UTF-16BE"},  {"utf16le", "UTF-16LE"},
        {"utf32", "UTF-32BE"},
    };
    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        if (str_eqc(c->name, names[i][0])) return names[i][1];
    return NULL;
}

/* Characters that the servers take for others than iconv does: from … to, of two or three bytes. */
static bool is_disputed(const Charset *c, Str character)
{
    static const struct {
        const char *name;
        uint32_t from, to;
    } ranges[] = {
        {"big5", 0xA145, 0xA145}, {"big5", 0xA14E, 0xA14E},    {"big5", 0xA15A, 0xA15A},
        {"big5", 0xA1C2, 0xA1C5}, {"big5", 0xA1E3, 0xA1E3},    {"big5", 0xA1F2, 0xA1F3},
        {"big5", 0xA1FE, 0xA1FE}, {"big5", 0xA240, 0xA247},    {"big5", 0xA2CC, 0xA2CE},
        {"big5", 0xC6A1, 0xC8FE}, {"gb18030", 0xA6D9, 0xA6F3}, {"gb18030", 0xFE51, 0xFEA0},
        {"sjis", 0x815F, 0x815F}, {"ujis", 0xA1C0, 0xA1C0},    {"ujis", 0x8FA2B7, 0x8FA2B7},
    };
    uint32_t v = 0;
    for (size_t i = 0; i < character.len; i++)
        v = v << 8 | (unsigned char)character.ptr[i];
    for (size_t i = 0; i < ARRAY_LEN(ranges); i++)
        if (str_eqc(c->name, ranges[i].name) && v >= ranges[i].from && v <= ranges[i].to) return true;
    return false;
}

/* The length of the character that begins there, by its first two bytes. */
static size_t multi_len(const Charset *c, Str s)
{
    unsigned char first = (unsigned char)s.ptr[0];
    bool euc = str_eqc(c->name, "ujis") || str_eqc(c->name, "eucjpms");
    bool shift = str_eqc(c->name, "sjis") || str_eqc(c->name, "cp932");
    if (first < 0x80 || (shift && first >= 0xA1 && first <= 0xDF)) return 1;
    if (euc && first == 0x8F) return 3;
    if (str_eqc(c->name, "gb18030") && s.len > 1 && s.ptr[1] >= '0' && s.ptr[1] <= '9') return 4;
    return 2;
}

static bool convert(iconv_t cd, Str in, char **to, size_t *room)
{
    char *from = (char *)(uintptr_t)in.ptr;
    size_t left = in.len;
    iconv(cd, NULL, NULL, NULL, NULL);
    return iconv(cd, &from, &left, to, room) == 0 && !left;
}

/* Character by character: iconv may take a byte below 0x80 for another character than the servers, and two
 * bytes for two characters. */
static bool multi_to_utf8(const Charset *from, iconv_t cd, Str in, Arena *arena, Str *out)
{
    size_t room = in.len * 4 + 1;
    char *text = arena_alloc(arena, room), *to = text;
    uint32_t code;
    for (size_t i = 0, n; i < in.len; i += n) {
        n = multi_len(from, rest_of(in, i));
        if (n > in.len - i) return false;
        Str character = {in.ptr + i, n};
        if ((unsigned char)in.ptr[i] < 0x80) {
            *to++ = in.ptr[i];
            room--;
            continue;
        }
        char *at = to;
        if (is_disputed(from, character) || !convert(cd, character, &to, &room)) return false;
        Str got = {at, (size_t)(to - at)};
        if (!got.len || utf8_char(got, &code) != got.len || code < 0x80 || code == 0xFFFD) return false;
    }
    *out = str_make(text, (size_t)(to - text));
    return true;
}

static bool wide_to_utf8(const Charset *from, iconv_t cd, Str in, Arena *arena, Str *out)
{
    size_t unit = str_eqc(from->name, "utf32") ? 4 : 2, pad = (unit - in.len % unit) % unit;
    char *padded = arena_zalloc(arena, in.len + pad + 1);
    if (in.len) memcpy(padded + pad, in.ptr, in.len);
    size_t room = in.len * 2 + 8;
    char *text = arena_alloc(arena, room), *to = text;
    if (!convert(cd, (Str){padded, in.len + pad}, &to, &room)) return false;
    *out = str_make(text, (size_t)(to - text));
    return charset_text_is_utf8(*out);
}

static bool by_iconv(const Charset *from, Str in, Arena *arena, Str *out)
{
    const char *name = iconv_name(from);
    iconv_t cd = name ? iconv_open("UTF-8", name) : (iconv_t)-1;
    if (cd == (iconv_t)-1) return false;
    bool wide = from->form == CHARSET_WIDE;
    bool ok = wide ? wide_to_utf8(from, cd, in, arena, out) : multi_to_utf8(from, cd, in, arena, out);
    iconv_close(cd);
    return ok;
}

/* There and back: only what comes back as the same was surely meant. */
static bool by_iconv_from(const Charset *to, Str in, Arena *arena, Str *out)
{
    const char *name = iconv_name(to);
    iconv_t cd = name ? iconv_open(name, "UTF-8") : (iconv_t)-1;
    Str back;
    if (cd == (iconv_t)-1) return false;
    size_t room = in.len * 4 + 4;
    char *bytes = arena_alloc(arena, room), *at = bytes;
    bool ok = convert(cd, in, &at, &room);
    iconv_close(cd);
    *out = str_make(bytes, (size_t)(at - bytes));
    return ok && by_iconv(to, *out, arena, &back) && str_eq(back, in);
}

/* -- all -- */

/* Bytes below 0x80 that are other characters there. The servers still take ` for a quote. */
static bool has_odd_ascii(const Charset *c, Str s)
{
    bool strings = memchr(s.ptr, '\'', s.len) || memchr(s.ptr, '"', s.len);
    for (size_t i = 0; i < s.len && !c->ascii_superset; i++)
        if (memchr("@[\\]^{|}~\x7F", s.ptr[i], 10) || (s.ptr[i] == '`' && strings)) return true;
    return false;
}

bool charset_text_to_utf8(const Charset *from, Str in, Arena *arena, Str *out)
{
    *out = in;
    if (!in.len) return true;
    if (from->form == CHARSET_WIDE) return by_iconv(from, in, arena, out);
    if (has_odd_ascii(from, in)) return false;
    if (charset_text_is_ascii(in)) return true;
    switch (from->form) {
    case CHARSET_BINARY:
    case CHARSET_UTF8: return charset_text_is_utf8(in);
    case CHARSET_SINGLE: return single_to_utf8(from, in, arena, out);
    case CHARSET_MULTI:
    case CHARSET_WIDE: break;
    }
    return by_iconv(from, in, arena, out);
}

bool charset_text_from_utf8(const Charset *to, Str in, Arena *arena, Str *out)
{
    *out = in;
    if (!in.len || to->form == CHARSET_BINARY) return true;
    if (to->form == CHARSET_WIDE) return by_iconv_from(to, in, arena, out);
    if (has_odd_ascii(to, in)) return false;
    if (charset_text_is_ascii(in)) return true;
    switch (to->form) {
    case CHARSET_BINARY:
    case CHARSET_UTF8: return charset_text_is_utf8(in) && (to->max_len > 3 || is_bmp(in));
    case CHARSET_SINGLE: return single_from_utf8(to, in, arena, out);
    case CHARSET_MULTI:
    case CHARSET_WIDE: break;
    }
    return by_iconv_from(to, in, arena, out);
}
