#include "base/str.h"
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>
#define XXH_INLINE_ALL
#include <xxhash.h>
#include "base/check.h"
#include "base/poison.h"

void *mem_alloc(size_t n)
{
    void *p = malloc(n ? n : 1);
    CHECK(p, "out of memory");
    return p;
}

void *mem_zalloc(size_t n)
{
    void *p = calloc(1, n ? n : 1);
    CHECK(p, "out of memory");
    return p;
}

void *mem_realloc(void *p, size_t n)
{
    void *q = realloc(p, n ? n : 1);
    CHECK(q, "out of memory");
    return q;
}

bool str_ieq(Str a, Str b)
{
    return a.len == b.len && (a.len == 0 || strncasecmp(a.ptr, b.ptr, a.len) == 0);
}

bool str_starts(Str s, Str prefix)
{
    return s.len >= prefix.len && (prefix.len == 0 || memcmp(s.ptr, prefix.ptr, prefix.len) == 0);
}

bool str_istarts(Str s, Str prefix)
{
    return s.len >= prefix.len && (prefix.len == 0 || strncasecmp(s.ptr, prefix.ptr, prefix.len) == 0);
}

int str_cmp(Str a, Str b)
{
    size_t n = MIN(a.len, b.len);
    int c = n ? memcmp(a.ptr, b.ptr, n) : 0;
    if (c) return c;
    return a.len < b.len ? -1 : a.len > b.len;
}

static bool is_space(char c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

Str str_trim(Str s)
{
    while (s.len && is_space(s.ptr[0]))
        s.ptr++, s.len--;
    while (s.len && is_space(s.ptr[s.len - 1]))
        s.len--;
    return s;
}

Str str_split(Str *s, char sep)
{
    const char *at = s->len ? memchr(s->ptr, sep, s->len) : NULL;
    Str head = *s;
    if (!at) {
        *s = s->len ? (Str){s->ptr + s->len, 0} : (Str){0}; /* nothing is added to a NULL */
        return head;
    }
    head.len = (size_t)(at - s->ptr);
    *s = (Str){at + 1, s->len - head.len - 1};
    return head;
}

size_t str_find(Str s, Str needle)
{
    if (needle.len == 0) return 0;
    const char *at = s.len ? memmem(s.ptr, s.len, needle.ptr, needle.len) : NULL;
    return at ? (size_t)(at - s.ptr) : SIZE_MAX;
}

bool str_to_u64(Str s, uint64_t *out)
{
    uint64_t v = 0;
    if (s.len == 0) return false;
    for (size_t i = 0; i < s.len; i++) {
        if (s.ptr[i] < '0' || s.ptr[i] > '9') return false;
        unsigned d = (unsigned)(s.ptr[i] - '0');
        if (v > (UINT64_MAX - d) / 10) return false;
        v = v * 10 + d;
    }
    *out = v;
    return true;
}

bool str_to_i64(Str s, int64_t *out)
{
    bool neg = s.len && s.ptr[0] == '-';
    uint64_t v;
    if (neg) s.ptr++, s.len--;
    if (!str_to_u64(s, &v)) return false;
    if (neg ? v > (uint64_t)INT64_MAX + 1 : v > INT64_MAX) return false;
    *out = neg ? (int64_t)(0 - v) : (int64_t)v;
    return true;
}

char *str_dup(Str s)
{
    char *p = mem_alloc(s.len + 1);
    if (s.len) memcpy(p, s.ptr, s.len);
    p[s.len] = 0;
    return p;
}

static char lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c + 32) : c;
}

unsigned str_distance(Str a, Str b)
{
    enum { MAX_LEN = 64 };
    unsigned row[MAX_LEN + 1];
    a.len = MIN(a.len, (size_t)MAX_LEN);
    b.len = MIN(b.len, (size_t)MAX_LEN);
    for (size_t j = 0; j <= b.len; j++)
        row[j] = (unsigned)j;
    for (size_t i = 1; i <= a.len; i++) {
        unsigned diagonal = row[0];
        row[0] = (unsigned)i;
        for (size_t j = 1; j <= b.len; j++) {
            unsigned up = row[j];
            unsigned swap = diagonal + (lower(a.ptr[i - 1]) != lower(b.ptr[j - 1]));
            row[j] = MIN(swap, MIN(up, row[j - 1]) + 1);
            diagonal = up;
        }
    }
    return row[b.len];
}

uint64_t str_hash(Str s)
{
    return XXH3_64bits(s.ptr, s.len);
}

void sb_done(StrBuf *b)
{
    free(b->ptr);
    *b = (StrBuf){0};
}

void sb_reserve(StrBuf *b, size_t n)
{
    if (LIKELY(b->cap - b->len > n)) return;
    size_t cap = b->cap ? b->cap : 64;
    while (cap - b->len <= n)
        cap += cap / 2;
    b->ptr = mem_realloc(b->ptr, cap);
    b->cap = cap;
}

void sb_add(StrBuf *b, const void *p, size_t n)
{
    sb_reserve(b, n);
    if (n) memcpy(b->ptr + b->len, p, n);
    sb_wrote(b, n);
}

void sb_u64(StrBuf *b, uint64_t v)
{
    char tmp[20];
    size_t i = sizeof tmp;
    do {
        tmp[--i] = (char)('0' + v % 10);
        v /= 10;
    } while (v);
    sb_add(b, tmp + i, sizeof tmp - i);
}

void sb_i64(StrBuf *b, int64_t v)
{
    if (v < 0) sb_ch(b, '-');
    sb_u64(b, v < 0 ? 0 - (uint64_t)v : (uint64_t)v);
}

void sb_hex(StrBuf *b, const void *p, size_t n)
{
    static const char digit[] = "0123456789abcdef";
    const uint8_t *u = p;
    sb_reserve(b, n * 2);
    for (size_t i = 0; i < n; i++) {
        b->ptr[b->len + 2 * i] = digit[u[i] >> 4];
        b->ptr[b->len + 2 * i + 1] = digit[u[i] & 15];
    }
    sb_wrote(b, n * 2);
}

void sb_ident(StrBuf *b, Str name)
{
    sb_ch(b, '`');
    for (size_t i = 0; i < name.len; i++) {
        if (name.ptr[i] == '`') sb_ch(b, '`');
        sb_ch(b, name.ptr[i]);
    }
    sb_ch(b, '`');
}

void sb_quoted(StrBuf *b, Str text)
{
    sb_reserve(b, text.len * 2 + 2);
    char *o = b->ptr + b->len, *start = o;
    *o++ = '\'';
    for (size_t i = 0; i < text.len; i++) {
        char c = text.ptr[i];
        switch (c) {
        case '\'':
        case '\\': *o++ = '\\'; break;
        case 0: *o++ = '\\', c = '0'; break;
        case '\n': *o++ = '\\', c = 'n'; break;
        case '\r': *o++ = '\\', c = 'r'; break;
        case 26: *o++ = '\\', c = 'Z'; break;
        default: break;
        }
        *o++ = c;
    }
    *o++ = '\'';
    sb_wrote(b, (size_t)(o - start));
}

/* Bytes of the well-formed character at p; 0: none. */
static size_t utf8_char(const unsigned char *p, size_t left)
{
    if (p[0] < 0x80) return 1;
    size_t n = p[0] >= 0xc2 && p[0] <= 0xdf   ? 2
               : (p[0] & 0xf0) == 0xe0        ? 3
               : p[0] >= 0xf0 && p[0] <= 0xf4 ? 4
                                              : 0;
    if (!n || n > left) return 0;
    for (size_t i = 1; i < n; i++)
        if ((p[i] & 0xc0) != 0x80) return 0;
    bool longer = (p[0] == 0xe0 && p[1] < 0xa0) || (p[0] == 0xf0 && p[1] < 0x90); /* than it has to be */
    bool surrogate = p[0] == 0xed && p[1] > 0x9f, beyond = p[0] == 0xf4 && p[1] > 0x8f;
    return longer || surrogate || beyond ? 0 : n;
}

void sb_utf8(StrBuf *b, Str text)
{
    for (size_t i = 0; i < text.len;) {
        size_t n = utf8_char((const unsigned char *)text.ptr + i, text.len - i);
        sb_add(b, n ? text.ptr + i : "\xef\xbf\xbd", n ? n : 3);
        i += n ? n : 1;
    }
}

void sb_vprintf(StrBuf *b, const char *fmt, va_list ap)
{
    va_list again;
    va_copy(again, ap);
    int n = vsnprintf(NULL, 0, fmt, ap);
    CHECK(n >= 0, "format string");
    sb_reserve(b, (size_t)n + 1);
    vsnprintf(b->ptr + b->len, (size_t)n + 1, fmt, again);
    sb_wrote(b, (size_t)n);
    va_end(again);
}

void sb_printf(StrBuf *b, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    sb_vprintf(b, fmt, ap);
    va_end(ap);
}

char *sb_take(StrBuf *b)
{
    sb_reserve(b, 0);
    b->ptr[b->len] = 0;
    char *p = b->ptr;
    *b = (StrBuf){0};
    return p;
}
