#include "ddl/lex.h"
#include "base/poison.h"

static bool is_space(char c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}
static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}
static bool is_ident(char c)
{
    return is_digit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || c == '$' ||
           (unsigned char)c >= 0x80;
}

static char ahead(const Lex *l, size_t n)
{
    return (size_t)(l->end - l->at) > n ? l->at[n] : 0;
}

static void skip_line(Lex *l)
{
    while (l->at < l->end && *l->at != '\n')
        l->at++;
}

/* At slash-star: a conditional comment opens and its marker is passed; a plain one is passed whole. */
static void comment(Lex *l)
{
    bool maria = ahead(l, 2) == 'M' && ahead(l, 3) == '!' && !l->mode.mysql_comments;
    if (ahead(l, 2) == '!' || maria) {
        l->at += maria ? 4 : 3;
        for (unsigned i = 0; i < 6 && l->at < l->end && is_digit(*l->at); i++)
            l->at++;
        l->conditional++;
        return;
    }
    for (l->at += 2; l->end - l->at >= 2; l->at++) {
        if (l->at[0] == '*' && l->at[1] == '/') {
            l->at += 2;
            return;
        }
    }
    l->at = l->end;
    l->broken = true;
}

static void skip_blanks(Lex *l)
{
    while (l->at < l->end) {
        char c = *l->at;
        if (is_space(c) || (l->mode.flat && memchr("`'\"/*#", c, 6))) {
            l->at++;
        } else if (c == '#') {
            skip_line(l);
        } else if (c == '-' && ahead(l, 1) == '-' && !l->mode.flat &&
                   (l->end - l->at == 2 || is_space(l->at[2]) || (unsigned char)l->at[2] < 0x20)) {
            skip_line(l);
        } else if (c == '/' && ahead(l, 1) == '*') {
            comment(l);
        } else if (c == '*' && ahead(l, 1) == '/' && l->conditional) {
            l->at += 2;
            l->conditional--;
        } else {
            return;
        }
    }
}

/* Text up to the closing quote, which doubles as its own escape; in strings a backslash escapes too. */
static void quoted(Lex *l, char quote, LexKind kind)
{
    const char *from = ++l->at;
    for (; l->at < l->end; l->at++) {
        if (*l->at == '\\' && kind == LEX_STRING && !l->mode.no_backslash_escapes && l->at + 1 < l->end) {
            l->at++;
        } else if (*l->at == quote) {
            if (ahead(l, 1) != quote) break;
            l->at++;
        }
    }
    l->tok = (LexToken){kind, quote, str_make(from, (size_t)(l->at - from))};
    if (l->at < l->end)
        l->at++;
    else
        l->broken = true;
}

void lex_next(Lex *l)
{
    skip_blanks(l);
    if (l->at >= l->end) {
        l->tok = (LexToken){.kind = LEX_END};
        return;
    }
    char c = *l->at;
    if (c == '`') {
        quoted(l, '`', LEX_QUOTED);
    } else if (c == '"') {
        quoted(l, '"', l->mode.ansi_quotes ? LEX_QUOTED : LEX_STRING);
    } else if (c == '\'') {
        quoted(l, '\'', LEX_STRING);
    } else if (is_ident(c)) {
        const char *from = l->at;
        while (l->at < l->end && is_ident(*l->at))
            l->at++;
        l->tok = (LexToken){LEX_WORD, 0, str_make(from, (size_t)(l->at - from))};
    } else {
        l->tok = (LexToken){LEX_SYMBOL, 0, str_make(l->at, 1)};
        l->at++;
    }
}

void lex_init(Lex *l, Str sql, LexMode mode)
{
    if (!sql.ptr) sql = STR("");
    *l = (Lex){.at = sql.ptr, .end = sql.ptr + sql.len, .mode = mode};
    lex_next(l);
}

bool lex_is_word(const LexToken *t, const char *word)
{
    return t->kind == LEX_WORD && str_ieq(t->text, str_of(word));
}

bool lex_is_name(const LexToken *t)
{
    return t->kind == LEX_WORD || t->kind == LEX_QUOTED;
}

Str lex_name(const LexToken *t, Arena *arena)
{
    if (t->kind != LEX_QUOTED || !t->text.len || !memchr(t->text.ptr, t->quote, t->text.len)) return t->text;
    char *out = arena_alloc(arena, t->text.len);
    size_t n = 0;
    for (size_t i = 0; i < t->text.len; i++) {
        out[n++] = t->text.ptr[i];
        if (t->text.ptr[i] == t->quote) i++;
    }
    return str_make(out, n);
}
