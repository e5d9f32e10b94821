#include "ddl/expr.h"
#include "ddl/parse_impl.h"
#include "base/poison.h"

/* -- canonical text -- */

static bool is_symbol(int token, const DdlTok *tok, char c)
{
    return token && ddl_tok_class(token) == DDL_CLASS_SYMBOL && tok->text.len == 1 && tok->text.ptr[0] == c;
}

static void put_token(int token, const DdlTok *tok, StrBuf *out)
{
    switch (ddl_tok_class(token)) {
    case DDL_CLASS_QUOTED: sb_ident(out, tok->text); break;
    case DDL_CLASS_STRING: sb_quoted(out, tok->text); break;
    case DDL_CLASS_HEX:
    case DDL_CLASS_BIT: sb_str(out, str_make(tok->at, (size_t)(tok->end - tok->at))); break;
    default: sb_str(out, tok->text);
    }
}

/* Between two tokens: does a blank stand there? */
static bool blank_between(int last, const DdlTok *a, int token, const DdlTok *b)
{
    if (!last || is_symbol(last, a, '(') || is_symbol(last, a, '.') || is_symbol(last, a, '@')) return false;
    if (is_symbol(token, b, ')') || is_symbol(token, b, ',') || is_symbol(token, b, '.')) return false;
    if (is_symbol(last, a, ',') || ddl_tok_class(last) == DDL_CLASS_INTRODUCED) return false;
    return !(is_symbol(token, b, '(') && ddl_tok_class(last) != DDL_CLASS_SYMBOL);
}

bool ddl_expr_text(Str sql, const DdlContext *ctx, StrBuf *out)
{
    Arena arena = {0};
    DdlLex lex;
    DdlTok tok, before = {0};
    size_t was = out->len;
    ddl_lex_init(&lex, sql, ctx, &arena);
    for (int last = 0, token; (token = ddl_lex_next(&lex, &tok)); last = token, before = tok) {
        if (blank_between(last, &before, token, &tok)) sb_ch(out, ' ');
        put_token(token, &tok, out);
    }
    bool ok = !lex.broken;
    if (!ok) {
        out->len = was;
        if (out->ptr) out->ptr[was] = 0;
    }
    arena_done(&arena);
    return ok;
}

/* -- normal form -- */

enum { MAX_DEPTH = 200 };

typedef struct Norm {
    DdlLex lex;
    int token;
    DdlTok tok;
    Arena arena;
    bool bad;
    unsigned depth;
} Norm;

/* A part of the form; op: "and", "or" when it is a bracketed list of these. */
typedef struct Part {
    Str text;
    const char *op;
} Part;

static void advance(Norm *n)
{
    n->token = ddl_lex_next(&n->lex, &n->tok);
    if (n->lex.broken) n->bad = true;
}

static bool at_symbol(const Norm *n, const char *s)
{
    return n->token && ddl_tok_class(n->token) == DDL_CLASS_SYMBOL && str_eqc(n->tok.text, s);
}

static bool at_word(const Norm *n, const char *w)
{
    return n->token && ddl_tok_class(n->token) == DDL_CLASS_WORD && str_ieq(n->tok.text, str_of(w));
}

static bool take_symbol(Norm *n, const char *s)
{
    if (!at_symbol(n, s)) return false;
    advance(n);
    return true;
}

static bool take_word(Norm *n, const char *w)
{
    if (!at_word(n, w)) return false;
    advance(n);
    return true;
}

static Part part(Str s)
{
    return (Part){s, NULL};
}

static Part bad(Norm *n)
{
    n->bad = true;
    return part(STR("?"));
}

static Str lower(Norm *n, Str s)
{
    char *out = arena_alloc(&n->arena, s.len + 1);
    for (size_t i = 0; i < s.len; i++)
        out[i] = s.ptr[i] >= 'A' && s.ptr[i] <= 'Z' ? (char)(s.ptr[i] | 0x20) : s.ptr[i];
    out[s.len] = 0;
    return str_make(out, s.len);
}

/* Loosest first, as both servers bind. */
typedef struct Operator {
    const char *symbol, *as;
    unsigned level;
    bool word;
} Operator;

static const Operator operators[] = {
    {"or", "or", 1, true},
    {"||", "or", 1, false},
    {"xor", "xor", 2, true},
    {"and", "and", 3, true},
    {"&&", "and", 3, false},
    {"=", "=", 6, false},
    {"<=>", "<=>", 6, false},
    {">=", ">=", 6, false},
    {">", ">", 6, false},
    {"<=", "<=", 6, false},
    {"<", "<", 6, false},
    {"<>", "<>", 6, false},
    {"!=", "<>", 6, false},
    {"like", "like", 6, true},
    {"regexp", "regexp", 6, true},
    {"rlike", "regexp", 6, true},
    {"|", "|", 7, false},
    {"&", "&", 8, false},
    {"<<", "<<", 9, false},
    {">>", ">>", 9, false},
    {"+", "+", 10, false},
    {"-", "-", 10, false},
    {"*", "*", 11, false},
    {"/", "/", 11, false},
    {"%", "%", 11, false},
    {"mod", "%", 11, true},
    {"div", "div", 11, true},
    {"^", "^", 12, false},
    {"collate", "collate", 15, true},
    {"->", "->", 16, false},
    {"->>", "->>", 16, false},
};

enum { LEVEL_NOT = 4, LEVEL_COMPARE = 6, LEVEL_UNARY = 13, LEVEL_LOOSEST = 1 };

static const Operator *operator_here(const Norm *n)
{
    for (size_t i = 0; i < ARRAY_LEN(operators); i++)
        if (operators[i].word ? at_word(n, operators[i].symbol) : at_symbol(n, operators[i].symbol))
            return &operators[i];
    return NULL;
}

static Part expression(Norm *n, unsigned level);

static Part two(Norm *n, Part a, const char *op, Part b)
{
    bool list = strcmp(op, "and") == 0 || strcmp(op, "or") == 0;
    if (list) { /* one flat list */
        if (a.op && strcmp(a.op, op) == 0) a.text = (Str){a.text.ptr + 1, a.text.len - 2};
        if (b.op && strcmp(b.op, op) == 0) b.text = (Str){b.text.ptr + 1, b.text.len - 2};
    }
    Str text = arena_printf(&n->arena, "(" STR_FMT " %s " STR_FMT ")", STR_ARG(a.text), op, STR_ARG(b.text));
    return (Part){text, list ? op : NULL};
}

/* a,b,c up to the closing bracket, which is passed. */
static Str arguments(Norm *n)
{
    StrBuf out = {0};
    while (!n->bad && !at_symbol(n, ")")) {
        if (out.len) sb_ch(&out, ',');
        if (take_symbol(n, "*"))
            sb_ch(&out, '*');
        else
            sb_str(&out, expression(n, LEVEL_LOOSEST).text);
        if (!at_symbol(n, ")") && !take_symbol(n, ",")) n->bad = true;
    }
    if (!take_symbol(n, ")")) n->bad = true;
    Str s = arena_str(&n->arena, sb_view(&out));
    sb_done(&out);
    return s;
}

static Str function_name(Str name)
{
    static const char *const same[][2] = {
        {"substring", "substr"},
        {"mid", "substr"},
        {"ucase", "upper"},
        {"lcase", "lower"},
        {"now", "current_timestamp"},
        {"localtime", "current_timestamp"},
        {"localtimestamp", "current_timestamp"},
        {"current_date", "curdate"},
        {"current_time", "curtime"},
        {"character_length", "char_length"},
        {"power", "pow"},
        {"ceiling", "ceil"},
        {"dayofmonth", "day"},
        {"schema", "database"},
        {"octet_length", "length"},
        {"sha", "sha1"},
    };
    for (size_t i = 0; i < ARRAY_LEN(same); i++)
        if (str_eqc(name, same[i][0])) return str_of(same[i][1]);
    return name;
}

/* CAST(x AS type): the type's words up to the bracket. */
static Part cast(Norm *n)
{
    Part x = expression(n, LEVEL_LOOSEST);
    StrBuf type = {0};
    if (!take_word(n, "as") && !take_symbol(n, ",")) n->bad = true;
    for (unsigned depth = 0; n->token && !n->bad && (depth || !at_symbol(n, ")")); advance(n)) {
        if (at_symbol(n, "(")) depth++;
        if (at_symbol(n, ")")) depth--;
        if (type.len && ddl_tok_class(n->token) == DDL_CLASS_WORD) sb_ch(&type, ' ');
        sb_str(&type, lower(n, n->tok.text));
    }
    if (!take_symbol(n, ")")) n->bad = true;
    static const char *const natural[] = {" charset utf8mb4", " charset utf8mb3"};
    Str t = sb_view(&type);
    for (size_t i = 0; i < ARRAY_LEN(natural); i++) {
        size_t len = strlen(natural[i]);
        if (t.len > len && memcmp(t.ptr + t.len - len, natural[i], len) == 0) t.len -= len;
    }
    Part out = part(arena_printf(&n->arena, "cast(" STR_FMT " as " STR_FMT ")", STR_ARG(x.text), STR_ARG(t)));
    sb_done(&type);
    return out;
}

/* CASE [x] WHEN a THEN b … [ELSE c] END */
static Part case_of(Norm *n)
{
    StrBuf out = {0};
    sb_c(&out, "case(");
    if (!at_word(n, "when")) sb_str(&out, expression(n, LEVEL_LOOSEST).text);
    while (!n->bad && take_word(n, "when")) {
        sb_printf(&out, " when " STR_FMT, STR_ARG(expression(n, LEVEL_LOOSEST).text));
        if (!take_word(n, "then")) n->bad = true;
        sb_printf(&out, " then " STR_FMT, STR_ARG(expression(n, LEVEL_LOOSEST).text));
    }
    if (take_word(n, "else")) sb_printf(&out, " else " STR_FMT, STR_ARG(expression(n, LEVEL_LOOSEST).text));
    if (!take_word(n, "end")) n->bad = true;
    sb_ch(&out, ')');
    Part p = part(arena_str(&n->arena, sb_view(&out)));
    sb_done(&out);
    return p;
}

/* INTERVAL x unit */
static Part interval(Norm *n)
{
    Part x = expression(n, LEVEL_LOOSEST);
    if (!n->token || ddl_tok_class(n->token) != DDL_CLASS_WORD) return bad(n);
    Str unit = lower(n, n->tok.text);
    advance(n);
    return part(arena_printf(&n->arena, "interval " STR_FMT " " STR_FMT, STR_ARG(x.text), STR_ARG(unit)));
}

/* date_add(a, interval …) is a + interval …; the like. */
static Part call(Norm *n, Str name)
{
    name = function_name(name);
    if (str_eqc(name, "cast") || str_eqc(name, "convert")) return cast(n);
    bool add = str_eqc(name, "date_add") || str_eqc(name, "adddate"),
         sub = str_eqc(name, "date_sub") || str_eqc(name, "subdate"), mod = str_eqc(name, "mod");
    if (add || sub || mod) {
        Part a = expression(n, LEVEL_LOOSEST);
        if (!take_symbol(n, ",")) return bad(n);
        Part b = expression(n, LEVEL_LOOSEST);
        if (!take_symbol(n, ")")) return bad(n);
        return two(n, a, mod ? "%" : add ? "+" : "-", b);
    }
    Str args = arguments(n);
    if (str_eqc(name, "isnull")) return part(arena_printf(&n->arena, "(" STR_FMT " is null)", STR_ARG(args)));
    return part(arena_printf(&n->arena, STR_FMT "(" STR_FMT ")", STR_ARG(name), STR_ARG(args)));
}

static Part word(Norm *n)
{
    Str name = lower(n, n->tok.text);
    bool plain = ddl_tok_class(n->token) == DDL_CLASS_WORD;
    advance(n);
    if (plain && str_eqc(name, "case")) return case_of(n);
    if (plain && str_eqc(name, "interval") && !at_symbol(n, "(")) return interval(n);
    if (plain && str_eqc(name, "not")) {
        Part x = expression(n, LEVEL_NOT);
        return part(arena_printf(&n->arena, "(not " STR_FMT ")", STR_ARG(x.text)));
    }
    if (take_symbol(n, "(")) return call(n, name);
    if (plain && str_eqc(name, "true")) return part(STR("1"));
    if (plain && str_eqc(name, "false")) return part(STR("0"));
    static const char *const bare[] = {"current_timestamp", "localtime",    "localtimestamp",
                                       "current_date",      "current_time", "current_user"};
    for (size_t i = 0; i < ARRAY_LEN(bare); i++)
        if (plain && str_eqc(name, bare[i]))
            return part(arena_printf(&n->arena, STR_FMT "()", STR_ARG(function_name(name))));
    StrBuf out = {0};
    sb_ident(&out, name);
    while (take_symbol(n, ".")) { /* the column counts, its table does not */
        sb_clear(&out);
        if (!n->token) n->bad = true;
        sb_ident(&out, lower(n, n->tok.text));
        advance(n);
    }
    Part p = part(arena_str(&n->arena, sb_view(&out)));
    sb_done(&out);
    return p;
}

static Part literal(Norm *n)
{
    StrBuf out = {0};
    while (n->token && ddl_tok_class(n->token) == DDL_CLASS_INTRODUCED)
        advance(n);
    switch (n->token ? ddl_tok_class(n->token) : DDL_CLASS_SYMBOL) {
    case DDL_CLASS_STRING: sb_quoted(&out, n->tok.text); break;
    case DDL_CLASS_NUMBER: sb_str(&out, lower(n, n->tok.text)); break;
    case DDL_CLASS_HEX: sb_printf(&out, "0x" STR_FMT, STR_ARG(lower(n, n->tok.text))); break;
    case DDL_CLASS_BIT: sb_printf(&out, "0b" STR_FMT, STR_ARG(n->tok.text)); break;
    default: n->bad = true;
    }
    advance(n);
    Part p = part(arena_str(&n->arena, sb_view(&out)));
    sb_done(&out);
    return p;
}

static Part unary(Norm *n, const char *op)
{
    Part x = expression(n, LEVEL_UNARY);
    bool number = op[0] == '-' && x.text.len && x.text.ptr[0] >= '0' && x.text.ptr[0] <= '9';
    return part(arena_printf(&n->arena, number ? "%s" STR_FMT : "(%s" STR_FMT ")", op, STR_ARG(x.text)));
}

static Part primary(Norm *n)
{
    if (take_symbol(n, "(")) {
        Part x = expression(n, LEVEL_LOOSEST);
        if (at_symbol(n, ",")) { /* a row */
            advance(n);
            Str rest = arguments(n);
            return part(arena_printf(&n->arena, "(" STR_FMT "," STR_FMT ")", STR_ARG(x.text), STR_ARG(rest)));
        }
        if (!take_symbol(n, ")")) n->bad = true;
        return x;
    }
    if (take_symbol(n, "-")) return unary(n, "-");
    if (take_symbol(n, "+")) return expression(n, LEVEL_UNARY);
    if (take_symbol(n, "~")) return unary(n, "~");
    if (take_symbol(n, "!")) {
        Part x = expression(n, LEVEL_UNARY);
        return part(arena_printf(&n->arena, "(not " STR_FMT ")", STR_ARG(x.text)));
    }
    if (!n->token) return bad(n);
    DdlTokClass c = ddl_tok_class(n->token);
    if (c == DDL_CLASS_WORD || c == DDL_CLASS_QUOTED) return word(n);
    return literal(n);
}

/* IS, IN, BETWEEN and their NOT behind left; false: none of them stands here. */
static bool comparison(Norm *n, Part *left)
{
    Str l = left->text;
    if (take_word(n, "is")) {
        bool no = take_word(n, "not");
        if (!n->token) n->bad = true;
        Str what = lower(n, n->tok.text);
        advance(n);
        *left = part(arena_printf(&n->arena, "(" STR_FMT " is %s" STR_FMT ")", STR_ARG(l), no ? "not " : "",
                                  STR_ARG(what)));
        return true;
    }
    bool no = take_word(n, "not");
    const char *not = no ? "not " : "";
    if (take_word(n, "in")) {
        if (!take_symbol(n, "(")) n->bad = true;
        Str list = arguments(n);
        *left =
            part(arena_printf(&n->arena, "(" STR_FMT " %sin(" STR_FMT "))", STR_ARG(l), not, STR_ARG(list)));
    } else if (take_word(n, "between")) {
        Part a = expression(n, LEVEL_COMPARE + 1);
        if (!take_word(n, "and")) n->bad = true;
        Part b = expression(n, LEVEL_COMPARE + 1);
        *left = part(arena_printf(&n->arena, "(" STR_FMT " %sbetween " STR_FMT " and " STR_FMT ")",
                                  STR_ARG(l), not, STR_ARG(a.text), STR_ARG(b.text)));
    } else if (no && (at_word(n, "like") || at_word(n, "regexp") || at_word(n, "rlike"))) {
        const char *op = at_word(n, "like") ? "like" : "regexp";
        advance(n);
        Part x = two(n, *left, op, expression(n, LEVEL_COMPARE + 1));
        *left = part(arena_printf(&n->arena, "(not " STR_FMT ")", STR_ARG(x.text)));
    } else {
        if (no) n->bad = true;
        return no;
    }
    return true;
}

static Part arrow(Norm *n, Part left, const Operator *op, Part path)
{
    Str text = arena_printf(&n->arena, "json_extract(" STR_FMT "," STR_FMT ")", STR_ARG(left.text),
                            STR_ARG(path.text));
    if (op->as[2] == '>') text = arena_printf(&n->arena, "json_unquote(" STR_FMT ")", STR_ARG(text));
    return part(text);
}

static Part expression(Norm *n, unsigned level)
{
    if (++n->depth > MAX_DEPTH) return bad(n);
    Part left = primary(n);
    while (!n->bad && n->token) {
        if (level <= LEVEL_COMPARE && comparison(n, &left)) continue;
        const Operator *op = operator_here(n);
        if (!op || op->level < level) break;
        advance(n);
        if (op->as[0] == '-' && op->as[1] == '>')
            left = arrow(n, left, op, literal(n));
        else
            left = two(n, left, op->as, expression(n, op->level + 1));
    }
    n->depth--;
    return left;
}

/* The tokens alone. */
static void cut(Str text, StrBuf *out)
{
    Arena arena = {0};
    DdlLex lex;
    DdlTok tok;
    DdlContext ctx = {0};
    ddl_lex_init(&lex, text, &ctx, &arena);
    for (int token; (token = ddl_lex_next(&lex, &tok));) {
        if (ddl_tok_class(token) == DDL_CLASS_INTRODUCED) continue;
        if (out->len) sb_ch(out, ' ');
        put_token(token, &tok, out);
    }
    arena_done(&arena);
}

void ddl_expr_normal(Str text, StrBuf *out)
{
    Norm n = {0};
    DdlContext ctx = {0};
    ddl_lex_init(&n.lex, text, &ctx, &n.arena);
    advance(&n);
    Part p = expression(&n, LEVEL_LOOSEST);
    if (!n.bad && !n.token)
        sb_str(out, p.text);
    else
        cut(text, out);
    arena_done(&n.arena);
}

bool ddl_expr_equal(Str a, Str b)
{
    if (str_eq(a, b)) return true;
    CLEANUP(sb_done) StrBuf x = {0}, y = {0};
    ddl_expr_normal(a, &x);
    ddl_expr_normal(b, &y);
    return str_eq(sb_view(&x), sb_view(&y));
}

/* -- columns -- */

/* Calls for each token whether it is that column; *out gets the text with the column under another name. */
static bool walk(Str text, Str column, Str to, StrBuf *out)
{
    Arena arena = {0};
    DdlLex lex;
    DdlTok tok, next;
    DdlContext ctx = {0};
    bool found = false;
    const char *done;
    ddl_lex_init(&lex, text, &ctx, &arena);
    done = lex.at;
    int token = ddl_lex_next(&lex, &tok), after;
    for (; token; token = after, tok = next) {
        after = ddl_lex_next(&lex, &next);
        DdlTokClass c = ddl_tok_class(token);
        bool name = c == DDL_CLASS_WORD || c == DDL_CLASS_QUOTED;
        if (!name || !str_ieq(tok.text, column) || is_symbol(after, &next, '.') ||
            (c == DDL_CLASS_WORD && is_symbol(after, &next, '(')))
            continue;
        found = true;
        if (!out) break;
        sb_add(out, done, (size_t)(tok.at - done));
        sb_ident(out, to);
        done = tok.end;
    }
    if (out) sb_add(out, done, (size_t)(lex.end - done));
    arena_done(&arena);
    return found;
}

bool ddl_expr_uses(Str text, Str column)
{
    return walk(text, column, (Str){0}, NULL);
}

Str ddl_expr_rename(Str text, Str from, Str to, Arena *arena)
{
    StrBuf out = {0};
    walk(text, from, to, &out);
    Str s = arena_str(arena, sb_view(&out));
    sb_done(&out);
    return s;
}
