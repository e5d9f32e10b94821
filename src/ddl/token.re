/* Tokens of both server families' DDL. re2c makes C of this file.
 *
 * A word behind a dot is a name, whatever it says. The content of a conditional comment counts as text when the
 * server that ran the statement ran it: slash-star-! with up to six digits of a version not above its own (MariaDB
 * leaves those from 50700 to 99999 to MySQL), slash-star-M! on MariaDB alone. */
#include "ddl/parse_impl.h"
#include "ddl/scan.h"
#include <stdlib.h>
#include "ddl_grammar.h"

#define TAKE (l->at = (const char *)at)

static int word(DdlLex *l, DdlTok *tok, const char *from, int token)
{
    tok->text = str_make(from, (size_t)(l->at - from));
    return l->last == TK_DOT ? TK_ID : token;
}

static int symbol(DdlLex *l, DdlTok *tok, const char *from, int token)
{
    tok->text = str_make(from, (size_t)(l->at - from));
    return token;
}

static bool is_ident(char c)
{
    return c == '_' || c == '$' || (unsigned char)c >= 0x80 || (c >= '0' && c <= '9') || ((c | 0x20) >= 'a' && (c | 0x20) <= 'z');
}

static int broken(DdlLex *l)
{
    l->broken = true;
    return 0;
}

static char escaped(char c)
{
    switch (c) {
    case 'n': return '\n';
    case 't': return '\t';
    case 'r': return '\r';
    case 'b': return '\b';
    case '0': return 0;
    case 'Z': return 26;
    default: return c;
    }
}

/* A name that is given a value: an option nobody else knows. */
static bool assigned(const DdlLex *l)
{
    const char *p = l->at;
    while (p < l->end && (*p == ' ' || (*p >= '\t' && *p <= '\r')))
        p++;
    return p < l->end && *p == '=' && l->last != TK_DOT;
}

/* Behind the opening quote: the text up to the closing one, which doubles as its own escape; in strings a
 * backslash escapes too. */
static int quoted(DdlLex *l, DdlTok *tok, char quote, int token)
{
    bool backslash = token == TK_STRING && !l->no_backslash_escapes;
    char *out = arena_alloc(l->arena, (size_t)(l->end - l->at) + 1);
    size_t n = 0;
    while (l->at < l->end) {
        char c = *l->at++;
        if (c == quote) {
            if (l->at == l->end || *l->at != quote) {
                tok->text = str_make(out, n);
                return token == TK_QUOTED && assigned(l) ? TK_QUOTED_ASSIGNED : token;
            }
            l->at++;
        } else if (c == '\\' && backslash && l->at < l->end) {
            c = *l->at++;
            if (c == '%' || c == '_')
                out[n++] = '\\';
            else
                c = escaped(c);
        }
        out[n++] = c;
    }
    return broken(l);
}

/* Behind the opening slash-star: to behind its end, over one in another; false: it never ends. */
static bool skip_comment(DdlLex *l, bool nesting)
{
    unsigned depth = 1;
    while (l->at < l->end) {
        char c = *l->at++, d = l->at < l->end ? *l->at : 0;
        if (c == '*' && d == '/') {
            l->at++;
            if (--depth == 0) return true;
        } else if (nesting && c == '/' && d == '*') {
            l->at++;
            depth++;
        }
    }
    return false;
}

/* Behind slash-star-! or slash-star-M!. */
static bool conditional(DdlLex *l, bool maria)
{
    uint32_t version = 0;
    unsigned digits = 0;
    while (digits < 6 && l->end - l->at > (ptrdiff_t)digits && l->at[digits] >= '0' && l->at[digits] <= '9')
        version = version * 10 + (uint32_t)(l->at[digits++] - '0');
    if (digits < 5) {
        digits = 0;
        version = 0;
    }
    bool runs = !l->version || version <= l->version;
    if (maria && l->flavor == FLAVOR_MYSQL) runs = false;
    if (!maria && l->flavor == FLAVOR_MARIADB && version >= 50700 && version <= 99999) runs = false;
    if (!runs) return skip_comment(l, true);
    l->at += digits;
    l->conditional++;
    return true;
}

static bool is_charset_name(const DdlTok *tok)
{
    return tok->text.len > 1 && tok->text.ptr[0] == '_';
}

static int skip_line(DdlLex *l)
{
    while (l->at < l->end && *l->at != '\n')
        l->at++;
    return -1;
}

typedef struct Keyword {
    const char *word;
    int token;
} Keyword;

/* By word. */
static const Keyword keywords[] = {
    {"ACTION", TK_ACTION},
    {"ADD", TK_ADD},
    {"AFTER", TK_AFTER},
    {"ALGORITHM", TK_ALGORITHM},
    {"ALL", TK_ALL},
    {"ALTER", TK_ALTER},
    {"ALWAYS", TK_ALWAYS},
    {"ANALYZE", TK_ANALYZE},
    {"AS", TK_AS},
    {"ASC", TK_ASC},
    {"ASCII", TK_ASCII},
    {"AUTO", TK_AUTO},
    {"AUTOEXTEND_SIZE", TK_OPTION},
    {"AUTO_INCREMENT", TK_AUTO_INCREMENT},
    {"AVG_ROW_LENGTH", TK_OPTION},
    {"BIGINT", TK_TYPE},
    {"BINARY", TK_BINARY},
    {"BIT", TK_TYPE},
    {"BLOB", TK_TYPE},
    {"BOOL", TK_TYPE},
    {"BOOLEAN", TK_TYPE},
    {"BY", TK_BY},
    {"BYTE", TK_BYTE},
    {"CASCADE", TK_CASCADE},
    {"CHANGE", TK_CHANGE},
    {"CHAR", TK_CHAR},
    {"CHARACTER", TK_CHAR},
    {"CHARSET", TK_CHARSET},
    {"CHECK", TK_CHECK},
    {"CHECKSUM", TK_OPTION},
    {"COALESCE", TK_COALESCE},
    {"COLLATE", TK_COLLATE},
    {"COLUMN", TK_COLUMN},
    {"COLUMNS", TK_COLUMNS},
    {"COLUMN_FORMAT", TK_COLUMN_FORMAT},
    {"COMMENT", TK_COMMENT},
    {"COMPRESSED", TK_COMPRESSED},
    {"COMPRESSION", TK_OPTION},
    {"CONNECTION", TK_OPTION},
    {"CONSTRAINT", TK_CONSTRAINT},
    {"CONVERT", TK_CONVERT},
    {"CREATE", TK_CREATE},
    {"CURRENT", TK_CURRENT},
    {"CURRENT_TIMESTAMP", TK_NOW},
    {"DATA", TK_DATA},
    {"DATABASE", TK_DATABASE},
    {"DATE", TK_TYPE},
    {"DATETIME", TK_TYPE},
    {"DEC", TK_TYPE},
    {"DECIMAL", TK_TYPE},
    {"DEFAULT", TK_DEFAULT},
    {"DELAY_KEY_WRITE", TK_OPTION},
    {"DELETE", TK_DELETE},
    {"DESC", TK_DESC},
    {"DIRECTORY", TK_DIRECTORY},
    {"DISABLE", TK_DISABLE},
    {"DISCARD", TK_DISCARD},
    {"DOUBLE", TK_DOUBLE},
    {"DROP", TK_DROP},
    {"ENABLE", TK_ENABLE},
    {"ENCRYPTED", TK_OPTION},
    {"ENCRYPTION", TK_OPTION},
    {"ENCRYPTION_KEY_ID", TK_OPTION},
    {"END", TK_END},
    {"ENFORCED", TK_ENFORCED},
    {"ENGINE", TK_ENGINE},
    {"ENGINE_ATTRIBUTE", TK_ENGINE_ATTRIBUTE},
    {"ENUM", TK_ENUM},
    {"EXCHANGE", TK_EXCHANGE},
    {"EXISTS", TK_EXISTS},
    {"EXTERNAL", TK_EXTERNAL},
    {"FALSE", TK_FALSE},
    {"FIELDS", TK_COLUMNS},
    {"FIRST", TK_FIRST},
    {"FIXED", TK_TYPE},
    {"FLOAT", TK_TYPE},
    {"FLOAT4", TK_TYPE},
    {"FLOAT8", TK_TYPE},
    {"FOR", TK_FOR},
    {"FORCE", TK_FORCE},
    {"FOREIGN", TK_FOREIGN},
    {"FULL", TK_FULL},
    {"FULLTEXT", TK_FULLTEXT},
    {"GENERATED", TK_GENERATED},
    {"GEOMCOLLECTION", TK_TYPE},
    {"GEOMETRY", TK_TYPE},
    {"GEOMETRYCOLLECTION", TK_TYPE},
    {"HASH", TK_HASH},
    {"HISTORY", TK_HISTORY},
    {"IETF_QUOTES", TK_OPTION},
    {"IF", TK_IF},
    {"IGNORE", TK_IGNORE},
    {"IGNORED", TK_IGNORED},
    {"IMPORT", TK_IMPORT},
    {"IN", TK_IN},
    {"INDEX", TK_INDEX},
    {"INET4", TK_TYPE},
    {"INET6", TK_TYPE},
    {"INSERT_METHOD", TK_OPTION},
    {"INT", TK_TYPE},
    {"INT1", TK_TYPE},
    {"INT2", TK_TYPE},
    {"INT3", TK_TYPE},
    {"INT4", TK_TYPE},
    {"INT8", TK_TYPE},
    {"INTEGER", TK_TYPE},
    {"INTERVAL", TK_INTERVAL},
    {"INTO", TK_INTO},
    {"INVISIBLE", TK_INVISIBLE},
    {"JSON", TK_TYPE},
    {"KEY", TK_KEY},
    {"KEYS", TK_KEYS},
    {"KEY_BLOCK_SIZE", TK_KEY_BLOCK_SIZE},
    {"LESS", TK_LESS},
    {"LIKE", TK_LIKE},
    {"LIMIT", TK_LIMIT},
    {"LINEAR", TK_LINEAR},
    {"LINESTRING", TK_TYPE},
    {"LIST", TK_LIST},
    {"LOCAL", TK_LOCAL},
    {"LOCALTIME", TK_NOW},
    {"LOCALTIMESTAMP", TK_NOW},
    {"LOCK", TK_LOCK},
    {"LONG", TK_LONG},
    {"LONGBLOB", TK_TYPE},
    {"LONGTEXT", TK_TYPE},
    {"MATCH", TK_MATCH},
    {"MAXVALUE", TK_MAXVALUE},
    {"MAX_ROWS", TK_OPTION},
    {"MEDIUMBLOB", TK_TYPE},
    {"MEDIUMINT", TK_TYPE},
    {"MEDIUMTEXT", TK_TYPE},
    {"MIDDLEINT", TK_TYPE},
    {"MIN_ROWS", TK_OPTION},
    {"MODIFY", TK_MODIFY},
    {"MULTILINESTRING", TK_TYPE},
    {"MULTIPOINT", TK_TYPE},
    {"MULTIPOLYGON", TK_TYPE},
    {"NATIONAL", TK_NATIONAL},
    {"NCHAR", TK_NCHAR},
    {"NEXT", TK_NEXT},
    {"NO", TK_NO},
    {"NODEGROUP", TK_OPTION},
    {"NOT", TK_NOT},
    {"NOW", TK_NOW},
    {"NOWAIT", TK_NOWAIT},
    {"NO_WRITE_TO_BINLOG", TK_NO_WRITE_TO_BINLOG},
    {"NULL", TK_NULL},
    {"NUMERIC", TK_TYPE},
    {"NVARCHAR", TK_NVARCHAR},
    {"OFFLINE", TK_OFFLINE},
    {"ON", TK_ON},
    {"ONLINE", TK_ONLINE},
    {"ONLY", TK_ONLY},
    {"OPTIMIZE", TK_OPTIMIZE},
    {"OR", TK_OR},
    {"ORDER", TK_ORDER},
    {"OVERLAPS", TK_OVERLAPS},
    {"PACK_KEYS", TK_OPTION},
    {"PAGE_CHECKSUM", TK_OPTION},
    {"PAGE_COMPRESSED", TK_OPTION},
    {"PAGE_COMPRESSION_LEVEL", TK_OPTION},
    {"PARSER", TK_PARSER},
    {"PARTIAL", TK_PARTIAL},
    {"PARTITION", TK_PARTITION},
    {"PARTITIONING", TK_PARTITIONING},
    {"PARTITIONS", TK_PARTITIONS},
    {"PASSWORD", TK_OPTION},
    {"PERIOD", TK_PERIOD},
    {"PERSISTENT", TK_PERSISTENT},
    {"POINT", TK_TYPE},
    {"POLYGON", TK_TYPE},
    {"PRECISION", TK_PRECISION},
    {"PREVIOUS", TK_PREVIOUS},
    {"PRIMARY", TK_PRIMARY},
    {"RANGE", TK_RANGE},
    {"READ", TK_READ},
    {"REAL", TK_TYPE},
    {"REBUILD", TK_REBUILD},
    {"REFERENCES", TK_REFERENCES},
    {"REF_SYSTEM_ID", TK_REF_SYSTEM_ID},
    {"REMOVE", TK_REMOVE},
    {"RENAME", TK_RENAME},
    {"REORGANIZE", TK_REORGANIZE},
    {"REPAIR", TK_REPAIR},
    {"REPLACE", TK_REPLACE},
    {"RESTRICT", TK_RESTRICT},
    {"ROW", TK_ROW},
    {"ROW_FORMAT", TK_OPTION},
    {"SCHEMA", TK_SCHEMA},
    {"SECONDARY", TK_SECONDARY},
    {"SECONDARY_ENGINE", TK_OPTION},
    {"SECONDARY_ENGINE_ATTRIBUTE", TK_SECONDARY_ENGINE_ATTRIBUTE},
    {"SECONDARY_LOAD", TK_SECONDARY_LOAD},
    {"SECONDARY_UNLOAD", TK_SECONDARY_UNLOAD},
    {"SELECT", TK_SELECT},
    {"SEQUENCE", TK_SEQUENCE},
    {"SERIAL", TK_SERIAL},
    {"SET", TK_SET},
    {"SIGNED", TK_SIGNED},
    {"SIMPLE", TK_SIMPLE},
    {"SMALLINT", TK_TYPE},
    {"SPATIAL", TK_SPATIAL},
    {"SRID", TK_SRID},
    {"START", TK_START},
    {"STARTS", TK_STARTS},
    {"STATEMENT", TK_STATEMENT},
    {"STATS_AUTO_RECALC", TK_OPTION},
    {"STATS_PERSISTENT", TK_OPTION},
    {"STATS_SAMPLE_PAGES", TK_OPTION},
    {"STORAGE", TK_STORAGE},
    {"STORED", TK_STORED},
    {"SUBPARTITION", TK_SUBPARTITION},
    {"SUBPARTITIONS", TK_SUBPARTITIONS},
    {"SYSTEM", TK_SYSTEM},
    {"SYSTEM_TIME", TK_SYSTEM_TIME},
    {"TABLE", TK_TABLE},
    {"TABLES", TK_TABLES},
    {"TABLESPACE", TK_TABLESPACE},
    {"TABLE_CHECKSUM", TK_OPTION},
    {"TEMPORARY", TK_TEMPORARY},
    {"TEXT", TK_TYPE},
    {"THAN", TK_THAN},
    {"TIME", TK_TYPE},
    {"TIMESTAMP", TK_TYPE},
    {"TINYBLOB", TK_TYPE},
    {"TINYINT", TK_TYPE},
    {"TINYTEXT", TK_TYPE},
    {"TO", TK_TO},
    {"TRANSACTION", TK_TRANSACTION},
    {"TRANSACTIONAL", TK_OPTION},
    {"TRUE", TK_TRUE},
    {"TRUNCATE", TK_TRUNCATE},
    {"TYPE", TK_OPTION},
    {"UNICODE", TK_UNICODE},
    {"UNION", TK_UNION},
    {"UNIQUE", TK_UNIQUE},
    {"UNSIGNED", TK_UNSIGNED},
    {"UPDATE", TK_UPDATE},
    {"UPGRADE", TK_UPGRADE},
    {"USING", TK_USING},
    {"UUID", TK_TYPE},
    {"VALIDATION", TK_VALIDATION},
    {"VALUE", TK_VALUE},
    {"VALUES", TK_VALUES},
    {"VARBINARY", TK_VARBINARY},
    {"VARCHAR", TK_VARCHAR},
    {"VARCHARACTER", TK_VARCHAR},
    {"VARYING", TK_VARYING},
    {"VECTOR", TK_VECTOR},
    {"VERSIONING", TK_VERSIONING},
    {"VIRTUAL", TK_VIRTUAL},
    {"VISIBLE", TK_VISIBLE},
    {"WAIT", TK_WAIT},
    {"WITH", TK_WITH},
    {"WITHOUT", TK_WITHOUT},
    {"XMLTYPE", TK_TYPE},
    {"YEAR", TK_TYPE},
    {"ZEROFILL", TK_ZEROFILL},
};

static int compare_keyword(const void *key, const void *entry)
{
    const Str *s = key;
    const char *word = ((const Keyword *)entry)->word;
    for (size_t i = 0; i < s->len; i++) {
        int c = s->ptr[i] >= 'a' && s->ptr[i] <= 'z' ? s->ptr[i] - 32 : s->ptr[i];
        if (c != word[i]) return c - word[i]; /* also where the keyword ends */
    }
    return -word[s->len];
}

static int keyword(Str s)
{
    const Keyword *k = bsearch(&s, keywords, sizeof keywords / sizeof *keywords, sizeof *keywords, compare_keyword);
    return k ? k->token : TK_ID;
}

/* A word; _charset and N before a string are introducers. */
static int name(DdlLex *l, DdlTok *tok, const char *from)
{
    tok->text = str_make(from, (size_t)(l->at - from));
    if (l->last == TK_DOT) return TK_ID;
    int token = keyword(tok->text);
    if (token != TK_ID) return token;
    bool national = str_ieq(tok->text, STR("N"));
    if (!national && !is_charset_name(tok)) return assigned(l) ? TK_ASSIGNED : TK_ID;
    const char *p = l->at;
    while (p < l->end && !national && (*p == ' ' || *p == '\t' || *p == '\n'))
        p++;
    bool string = p < l->end && (*p == '\'' || (*p == '"' && !l->ansi_quotes));
    bool hex = !national && l->end - p > 1 && (((*p | 0x20) == 'x' && p[1] == '\'') || (*p == '0' && p[1] == 'x'));
    return string || hex ? TK_INTRODUCER : assigned(l) ? TK_ASSIGNED : TK_ID;
}

static int literal(DdlLex *l, DdlTok *tok, const char *from, size_t head, size_t tail, int token)
{
    tok->text = str_make(from + head, (size_t)(l->at - from) - head - tail);
    return token;
}

/* One token; -1: blanks or a comment were passed. */
static int scan(DdlLex *l, DdlTok *tok)
{
    const char *from = l->at;
    const unsigned char *at = (const unsigned char *)l->at, *limit = (const unsigned char *)l->end, *marker;
    if (l->last == TK_DOT && *from >= '0' && *from <= '9') { /* db.12 */
        while (is_ident(*l->at))
            l->at++;
        return word(l, tok, from, TK_ID);
    }
    if (*from == '.' && l->last && (is_ident(from[-1]) || from[-1] == '`' || from[-1] == '"')) {
        l->at++;
        return symbol(l, tok, from, TK_DOT);
    }
    /*!re2c
    re2c:define:YYCTYPE = "unsigned char";
    re2c:define:YYCURSOR = at;
    re2c:define:YYMARKER = marker;
    re2c:define:YYLIMIT = limit;
    re2c:yyfill:enable = 0;
    re2c:eof = 0;

    ident = [a-zA-Z0-9_$\x80-\xff];
    digit = [0-9];
    other = [*/%&|^~!<>?{}@:\x5b\x5d\x5c];
    operator = "<=>" | "<=" | ">=" | "<>" | "!=" | "<<" | ">>" | "||" | "&&" | "->>" | "->" | "::";

    $ { TAKE; return 0; }
    * { TAKE; return broken(l); }
    [ \t-\r]+ { TAKE; return -1; }
    "#" { TAKE; return skip_line(l); }
    "--" { TAKE; return l->at == l->end || (unsigned char)*l->at <= ' ' ? skip_line(l) : (l->at--, symbol(l, tok, from, TK_MINUS)); }
    "/*!" { TAKE; return conditional(l, false) ? -1 : broken(l); }
    "/*M!" { TAKE; return conditional(l, true) ? -1 : broken(l); }
    "/*" { TAKE; return skip_comment(l, false) ? -1 : broken(l); }
    "*/" { TAKE; if (!l->conditional) { l->at--; return symbol(l, tok, from, TK_SYMBOL); } l->conditional--; return -1; }

    "'" { TAKE; return quoted(l, tok, '\'', TK_STRING); }
    "\"" { TAKE; return quoted(l, tok, '"', l->ansi_quotes ? TK_QUOTED : TK_STRING); }
    "`" { TAKE; return quoted(l, tok, '`', TK_QUOTED); }
    'x' "'" [0-9a-fA-F]* "'" { TAKE; return literal(l, tok, from, 2, 1, TK_HEX); }
    "0x" [0-9a-fA-F]+ { TAKE; return literal(l, tok, from, 2, 0, TK_HEX); }
    'b' "'" [01]* "'" { TAKE; return literal(l, tok, from, 2, 1, TK_BITS); }
    "0b" [01]+ { TAKE; return literal(l, tok, from, 2, 0, TK_BITS); }
    digit+ { TAKE; return word(l, tok, from, TK_INTEGER); }
    digit* "." digit+ | digit+ "." { TAKE; return symbol(l, tok, from, TK_DECIMAL); }
    (digit+ | digit* "." digit+ | digit+ ".") 'e' [+-]? digit+ { TAKE; return word(l, tok, from, TK_DECIMAL); }

    "(" { TAKE; return symbol(l, tok, from, TK_LP); }
    ")" { TAKE; return symbol(l, tok, from, TK_RP); }
    "," { TAKE; return symbol(l, tok, from, TK_COMMA); }
    "." { TAKE; return symbol(l, tok, from, TK_DOT); }
    ";" { TAKE; return symbol(l, tok, from, TK_SEMI); }
    "=" | ":=" { TAKE; return symbol(l, tok, from, TK_EQ); }
    "-" { TAKE; return symbol(l, tok, from, TK_MINUS); }
    "+" { TAKE; return symbol(l, tok, from, TK_PLUS); }
    operator | other { TAKE; return symbol(l, tok, from, TK_SYMBOL); }


    ident+ { TAKE; return name(l, tok, from); }
    */
}

void ddl_lex_init(DdlLex *l, Str sql, const DdlContext *ctx, Arena *arena)
{
    Str text = arena_str(arena, sql.ptr ? sql : STR(""));
    *l = (DdlLex){.at = text.ptr,
                  .end = text.ptr + text.len,
                  .arena = arena,
                  .flavor = ctx->flavor,
                  .version = ctx->version,
                  .ansi_quotes = ctx->modes & STMT_ANSI_QUOTES,
                  .no_backslash_escapes = ctx->modes & STMT_NO_BACKSLASH_ESCAPES};
}

int ddl_lex_next(DdlLex *l, DdlTok *tok)
{
    int token;
    do {
        *tok = (DdlTok){.at = l->at, .end = l->at};
        token = scan(l, tok);
    } while (token < 0);
    tok->end = l->at;
    l->last = token;
    return token;
}

DdlTokClass ddl_tok_class(int token)
{
    switch (token) {
    case TK_QUOTED:
    case TK_QUOTED_ASSIGNED: return DDL_CLASS_QUOTED;
    case TK_STRING: return DDL_CLASS_STRING;
    case TK_INTRODUCER: return DDL_CLASS_INTRODUCED;
    case TK_INTEGER:
    case TK_DECIMAL: return DDL_CLASS_NUMBER;
    case TK_HEX: return DDL_CLASS_HEX;
    case TK_BITS: return DDL_CLASS_BIT;
    case TK_LP:
    case TK_RP:
    case TK_COMMA:
    case TK_DOT:
    case TK_SEMI:
    case TK_EQ:
    case TK_MINUS:
    case TK_PLUS:
    case TK_SYMBOL: return DDL_CLASS_SYMBOL;
    default: return DDL_CLASS_WORD;
    }
}
