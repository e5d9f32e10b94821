#include "ddl/parse.h"
#include <errno.h>
#include <iconv.h>
#include <stdlib.h>
#include "base/check.h"
#include "ddl/parse_impl.h"
#include "ddl/scan.h"
#include "base/poison.h"

static bool is_ascii(Str s)
{
    for (size_t i = 0; i < s.len; i++)
        if ((unsigned char)s.ptr[i] >= 0x80) return false;
    return true;
}

/* The name that iconv has for a charset of the servers; NULL: bytes are taken as they are (UTF-8). */
static bool iconv_name(Str charset, const char **out)
{
    static const char *const names[][2] = {
        {"latin1", "CP1252"},     {"latin2", "ISO-8859-2"},
        {"latin5", "ISO-8859-9"}, {"latin7", "ISO-8859-13"},
        {"greek", "ISO-8859-7"},  {"hebrew", "ISO-8859-8"},
        {"cp850", "CP850"},       {"cp852", "CP852"},
        {"cp866", "CP866"},       {"cp1250", "CP1250"},
        {"cp1251", "CP1251"},     {"cp1256", "CP1256"},
        {"cp1257", "CP1257"},     {"koi8r", "KOI8-R"},
        {"koi8u", "KOI8-U"},      {"tis620", "TIS-620"},
        {"gbk", "CP936"},         {"gb2312", "GB2312"},
        {"gb18030", "GB18030"},   {"big5", "BIG5"},
        {"sjis", "SHIFT_JIS"},    {"cp932", "CP932"},
        {"ujis", "EUC-JP"},       {"eucjpms", "EUC-JP-MS"},
        {"euckr", "EUC-KR"},      {"macce", "MAC-CENTRALEUROPE"},
    };
    *out = NULL;
    if (!charset.len || str_istarts(charset, STR("utf8")) || str_ieq(charset, STR("ascii")) ||
        str_ieq(charset, STR("binary")))
        return true;
    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        if (str_ieq(charset, str_of(names[i][0]))) *out = names[i][1];
    return *out != NULL;
}

static bool converted(Str sql, const char *from, Arena *arena, Str *out)
{
    iconv_t cd = iconv_open("UTF-8", from);
    if (cd == (iconv_t)-1) return false;
    size_t room = sql.len * 4 + 4, left = room, in_left = sql.len;
    char *text = arena_alloc(arena, room), *to = text, *in = (char *)(uintptr_t)sql.ptr;
    bool ok = iconv(cd, &in, &in_left, &to, &left) != (size_t)-1 && !in_left;
    iconv_close(cd);
    *out = str_make(text, room - left);
    return ok;
}

/* The statement in UTF-8. */
static bool to_utf8(Str sql, const DdlContext *ctx, Arena *arena, Str *out, Err *err)
{
    const char *from;
    *out = sql;
    if (is_ascii(sql)) return true;
    if (iconv_name(ctx->charset, &from) && (!from || converted(sql, from, arena, out))) return true;
    return err_set(err, ERR_DDL_SYNTAX, "the statement's text cannot be read in its character set " STR_FMT,
                   STR_ARG(ctx->charset));
}

static bool syntax_error(const DdlLex *lex, const DdlTok *tok, const char *from, Err *err)
{
    size_t at = (size_t)(tok->at - from), len = (size_t)(tok->end - tok->at);
    if (lex->broken)
        return err_set(err, ERR_DDL_SYNTAX,
                       "byte %zu: a quote or comment that never ends, or a byte out of place", at);
    if (!len) return err_set(err, ERR_DDL_SYNTAX, "byte %zu: the statement ends too early", at);
    return err_set(err, ERR_DDL_SYNTAX, "byte %zu: not understood at %.*s", at, (int)MIN(len, 40), tok->at);
}

static bool run_grammar(Str sql, const DdlContext *ctx, Arena *arena, DdlStmt *stmt, Err *err)
{
    DdlLex lex;
    DdlTok tok = {0};
    DdlParse p = {.ctx = ctx, .arena = arena, .stmt = stmt};
    p.change_tail = &stmt->changes;
    p.table_tail = &stmt->tables;
    p.option_tail = &stmt->options;
    ddl_lex_init(&lex, sql, ctx, arena);
    const char *from = lex.at;
    void *grammar = DdlGrammarAlloc(mem_alloc);
    size_t n = 0;
    for (int token = -1; token && !p.failed && !lex.broken; n += token != 0) {
        token = ddl_lex_next(&lex, &tok);
        if (token == 0 && n == 0) break; /* all of it in comments for other servers: DDL_OTHER */
        if (!lex.broken) DdlGrammar(grammar, token, tok, &p);
    }
    DdlGrammarFree(grammar, free);
    if (!p.failed && !lex.broken && !lex.conditional) return true;
    if (lex.conditional && !p.failed) lex.broken = true;
    return syntax_error(&lex, &tok, from, err);
}

uint32_t ddl_server_version(Str text)
{
    static const Str replication = {"5.5.5-", 6}; /* MariaDB 10 puts it in front for old replicas */
    uint64_t part[3] = {0};
    if (!text.len) return 0;
    if (str_starts(text, replication)) text = (Str){text.ptr + replication.len, text.len - replication.len};
    for (size_t i = 0, at = 0; i < 3; i++, at++) {
        size_t from = at;
        while (at < text.len && text.ptr[at] >= '0' && text.ptr[at] <= '9')
            at++;
        if (!str_to_u64((Str){text.ptr + from, at - from}, &part[i]) || part[i] > 99) return 0;
        if (i < 2 && (at == text.len || text.ptr[at] != '.')) return 0;
    }
    return (uint32_t)(part[0] * 10000 + part[1] * 100 + part[2]);
}

bool ddl_parse(Str sql, const DdlContext *ctx, Arena *arena, DdlStmt **out, Err *err)
{
    StmtScan scan;
    Str text;
    *out = arena_new(arena, DdlStmt);
    (*out)->kind = DDL_OTHER;
    if (!to_utf8(sql, ctx, arena, &text, err)) return false;
    stmt_scan(text, ctx->default_schema, ctx->flavor, ctx->modes, arena, &scan);
    switch (scan.kind) {
    case STMT_TABLE_DDL:
    case STMT_DATABASE_DDL:
    case STMT_TEMPORARY: return run_grammar(text, ctx, arena, *out, err);
    case STMT_UNKNOWN: /* the grammar knows the place */
        return run_grammar(text, ctx, arena, *out, err) &&
               err_set(err, ERR_DDL_SYNTAX, "byte 0: no statement that is known");
    default: return true;
    }
}
