#include "ddl/parse.h"
#include <stdlib.h>
#include "base/check.h"
#include "ddl/parse_impl.h"
#include "ddl/scan.h"
#include "model/charset_text.h"
#include "base/poison.h"

/* The statement in UTF-8. */
static bool to_utf8(Str sql, const DdlContext *ctx, Arena *arena, Str *out, Err *err)
{
    *out = sql;
    if (ctx->is_utf8 || !ctx->charset.len) return true;
    const Charset *c = charset_by_name(ctx->charset);
    if (c ? c->form == CHARSET_UTF8 || charset_text_to_utf8(c, sql, arena, out) : charset_text_is_ascii(sql))
        return true;
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
    if (p.unread)
        return err_set(err, ERR_DDL_SYNTAX, "byte %zu: a literal of %s cannot be read: %.*s",
                       (size_t)(tok.at - from), p.unread, (int)MIN((size_t)(tok.end - tok.at), 40), tok.at);
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
