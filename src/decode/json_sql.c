#include "decode/json_sql.h"
#include <stdlib.h>
#include "decode/decode_internal.h"
#include "base/poison.h"

enum { MAX_DEPTH = 128, DECIMAL_DIGITS = 65, DECIMAL_SCALE = 30 };

/* Cursor over the text; at == end: nothing left. */
typedef struct Text {
    const char *at, *end;
} Text;

static bool is_number_char(char c)
{
    return (c >= '0' && c <= '9') || c == '-' || c == '+' || c == '.' || c == 'e' || c == 'E';
}

static void skip_space(Text *t)
{
    while (t->at < t->end && (*t->at == ' ' || *t->at == '\n' || *t->at == '\r' || *t->at == '\t'))
        t->at++;
}

/* Over a string that begins at t->at; its quotes are part of what is returned. */
static Str take_string(Text *t)
{
    const char *from = t->at++;
    while (t->at < t->end && *t->at != '"')
        t->at += *t->at == '\\' && t->at + 1 < t->end ? 2 : 1;
    if (t->at < t->end) t->at++;
    return str_make(from, (size_t)(t->at - from));
}

static Str take_number(Text *t)
{
    const char *from = t->at;
    while (t->at < t->end && is_number_char(*t->at))
        t->at++;
    return str_make(from, (size_t)(t->at - from));
}

/* What is left of a number's text: digits, and digits behind the point. False: an exponent, or no number. */
static bool plain_digits(Str n, unsigned *whole, unsigned *fraction)
{
    bool point = false;
    *whole = *fraction = 0;
    for (size_t i = n.len && n.ptr[0] == '-'; i < n.len; i++) {
        if (n.ptr[i] == '.' && !point)
            point = true;
        else if (n.ptr[i] < '0' || n.ptr[i] > '9')
            return false;
        else if (point)
            ++*fraction;
        else
            ++*whole;
    }
    return *whole > 0;
}

/* The text that the server prints of the double nearest to this number, compared with it. */
static bool prints_back(Str n, bool any_zeros)
{
    char copy[DECIMAL_DIGITS + 4];
    if (n.len >= sizeof copy) return false;
    memcpy(copy, n.ptr, n.len);
    copy[n.len] = 0;
    StrBuf back = {0};
    double_text(&back, strtod(copy, NULL));
    Str text = sb_view(&back);
    if (!memchr(text.ptr, '.', text.len) && !memchr(text.ptr, 'e', text.len)) {
        sb_c(&back, ".0");
        text = sb_view(&back);
    }
    while (any_zeros && n.len > 3 && n.ptr[n.len - 1] == '0' && n.ptr[n.len - 2] != '.')
        n.len--;
    bool same = str_eq(text, n);
    sb_done(&back);
    return same;
}

/* A number that a double does not print back, but a DECIMAL holds. any_zeros: 1.10 is as good as 1.1, and
 * what no DECIMAL holds counts too. */
static bool needs_decimal(Str n, bool any_zeros)
{
    unsigned whole, fraction;
    if (!plain_digits(n, &whole, &fraction)) return false;
    if (whole + fraction > DECIMAL_DIGITS || fraction > DECIMAL_SCALE) return any_zeros;
    if (fraction) return !prints_back(n, any_zeros);
    uint64_t u;
    int64_t i;
    return !str_to_u64(n, &u) && !str_to_i64(n, &i);
}

static bool any_needs_decimal(Str text, bool any_zeros)
{
    Text t = {text.ptr, text.ptr + text.len};
    while (t.at < t.end) {
        if (*t.at == '"')
            (void)take_string(&t);
        else if ((*t.at >= '0' && *t.at <= '9') || *t.at == '-') {
            if (needs_decimal(take_number(&t), any_zeros)) return true;
        } else {
            t.at++;
        }
    }
    return false;
}

bool json_sql_needs_decimals(Str text)
{
    return any_needs_decimal(text, false);
}

/* One value with all that belongs to it, by brackets; empty: the text ends. */
static Str take_value(Text *t)
{
    skip_space(t);
    const char *from = t->at;
    unsigned depth = 0;
    while (t->at < t->end) {
        char c = *t->at;
        if (c == '"') {
            (void)take_string(t);
        } else if (c == '{' || c == '[') {
            depth++, t->at++;
        } else if (c == '}' || c == ']') {
            if (!depth) break;
            depth--, t->at++;
        } else if (!depth && (c == ',' || c == ':')) {
            break;
        } else {
            t->at++;
            if (depth || (t->at < t->end && !strchr(",:]} \n\r\t", *t->at))) continue;
        }
        if (!depth) break;
    }
    return str_make(from, (size_t)(t->at - from));
}

static void cast_text(Str value, StrBuf *out)
{
    sb_c(out, "CAST(");
    sb_quoted(out, value);
    sb_c(out, " AS JSON)");
}

/* False: no JSON after all. */
static bool build(Str value, unsigned depth, StrBuf *out)
{
    if (!value.len || depth > MAX_DEPTH) return false;
    char open = value.ptr[0];
    if (!any_needs_decimal(value, false)) {
        cast_text(value, out);
        return true;
    }
    if (open != '{' && open != '[') {
        if (depth == 0) sb_c(out, "CAST(");
        sb_str(out, value);
        if (depth == 0) sb_c(out, " AS JSON)");
        return true;
    }
    Text t = {value.ptr + 1, value.ptr + value.len};
    sb_c(out, open == '{' ? "JSON_OBJECT(" : "JSON_ARRAY(");
    for (bool first = true;; first = false) {
        skip_space(&t);
        if (t.at == t.end) return false;
        if (*t.at == (open == '{' ? '}' : ']')) break;
        if (!first) {
            if (*t.at++ != ',') return false;
            sb_ch(out, ',');
        }
        if (open == '{') {
            skip_space(&t);
            if (t.at == t.end || *t.at != '"') return false;
            sb_c(out, "JSON_UNQUOTE(");
            sb_quoted(out, take_string(&t));
            sb_c(out, "),");
            skip_space(&t);
            if (t.at == t.end || *t.at++ != ':') return false;
        }
        if (!build(take_value(&t), depth + 1, out)) return false;
    }
    sb_ch(out, ')');
    return true;
}

bool json_sql(Str text, JsonKind kind, StrBuf *out, Err *err)
{
    size_t start = out->len;
    if (kind == JSON_DOUBLES && any_needs_decimal(text, true))
        return err_set_remedy(
            err, ERR_DECODE_VALUE, "round the number on the shard, or make the target's column LONGTEXT",
            "a JSON document holds a number with more digits than a DOUBLE has, and the target's JSON type "
            "knows no other kind");
    if (kind == JSON_DECIMALS && json_sql_needs_decimals(text)) {
        Text t = {text.ptr, text.ptr + text.len};
        if (build(take_value(&t), 0, out)) return true;
        out->len = start;
        out->ptr[start] = 0;
    }
    sb_quoted(out, text);
    return true;
}
