#include "route/template.h"
#include "base/poison.h"

typedef enum PieceKind { PIECE_LITERAL, PIECE_GROUP, PIECE_SOURCE, PIECE_SCHEMA, PIECE_TABLE } PieceKind;

typedef struct Piece {
    Str literal;    /* before the reference */
    PieceKind kind; /* of the reference; LITERAL: there is none */
    TemplateSide side;
    size_t group; /* from 1 */
} Piece;

struct Template {
    Piece *pieces;
    size_t n;
};

static const char *const side_names[] = {"schema-pattern", "table-pattern"};

size_t name_chars(Str s)
{
    size_t n = 0;
    for (size_t i = 0; i < s.len; i++)
        if (((unsigned char)s.ptr[i] & 0xc0) != 0x80) n++;
    return n;
}

/* Checks the group against its pattern; what is the reference as written. */
static bool resolve(Piece *piece, Str what, Str name, const Pattern *p, Err *err)
{
    if (!p)
        return err_set_remedy(err, ERR_ROUTE_PATTERN,
                              "name the pattern: ${schema:1}; or write $$ for a dollar sign",
                              STR_FMT " refers to the table-pattern, but the rule has none", STR_ARG(what));
    if (!pattern_is_regex(p))
        return err_set_remedy(err, ERR_ROUTE_PATTERN,
                              "make the pattern a ~regex with groups; or write $$ for a dollar sign",
                              STR_FMT " refers to %s \"" STR_FMT "\", a wildcard without groups",
                              STR_ARG(what), side_names[piece->side], STR_ARG(pattern_text(p)));
    uint64_t number = 0;
    if (str_to_u64(name, &number))
        piece->group = number <= pattern_n_groups(p) ? (size_t)number : 0;
    else
        piece->group = pattern_group_named(p, name);
    if (piece->group == 0)
        return err_set_remedy(
            err, ERR_ROUTE_PATTERN,
            "groups count from 1; put a group into the pattern; or write $$ for a dollar sign",
            STR_FMT " refers to a group that %s \"" STR_FMT "\" does not have (it has %zu)", STR_ARG(what),
            side_names[piece->side], STR_ARG(pattern_text(p)), pattern_n_groups(p));
    return true;
}

/* What a template is for. */
typedef struct Use {
    TemplateSide own;
    bool value; /* of a row, not a name */
    const Pattern *const *patterns;
} Use;

/* ${source} and so on, in values. */
static bool whole_name(Str name, PieceKind *kind)
{
    static const char *const names[] = {
        [PIECE_SOURCE] = "source", [PIECE_SCHEMA] = "schema", [PIECE_TABLE] = "table"};
    for (PieceKind k = PIECE_SOURCE; k <= PIECE_TABLE; k++)
        if (str_eqc(name, names[k])) return *kind = k, true;
    return false;
}

/* Reads the reference at the head of *rest (a $ and a digit, or ${…}). */
static bool read_reference(Str *rest, const Use *use, Piece *piece, Err *err)
{
    Str what, name;
    piece->kind = PIECE_GROUP;
    piece->side = use->own;
    if (rest->ptr[1] != '{') {
        what = (Str){rest->ptr, 2};
        name = (Str){rest->ptr + 1, 1};
    } else {
        size_t close = str_find(*rest, STR("}"));
        if (close == SIZE_MAX)
            return err_set_remedy(err, ERR_ROUTE_PATTERN, "close it with }; or write $$ for a dollar sign",
                                  "${ is not closed");
        what = (Str){rest->ptr, close + 1};
        name = (Str){rest->ptr + 2, close - 2};
        if (use->value && whole_name(name, &piece->kind)) {
            *rest = (Str){rest->ptr + what.len, rest->len - what.len};
            return true;
        }
        Str tail = name;
        Str head = str_split(&tail, ':');
        if (head.len < name.len) {
            bool schema = str_eqc(head, "schema");
            if (!schema && !str_eqc(head, "table"))
                return err_set_remedy(err, ERR_ROUTE_PATTERN, "write ${schema:1} or ${table:1}",
                                      STR_FMT " names neither schema nor table", STR_ARG(what));
            piece->side = schema ? TEMPLATE_SCHEMA : TEMPLATE_TABLE;
            name = tail;
        }
    }
    *rest = (Str){rest->ptr + what.len, rest->len - what.len};
    return resolve(piece, what, name, use->patterns[piece->side], err);
}

static bool is_reference(Str s)
{
    return s.len >= 2 && s.ptr[0] == '$' && (s.ptr[1] == '{' || (s.ptr[1] >= '0' && s.ptr[1] <= '9'));
}

static bool compile(Str text, const Use *use, Arena *arena, Template **out, Err *err)
{
    *out = NULL;
    Template *t = arena_new(arena, Template);
    t->pieces = arena_array(arena, Piece, text.len + 1);
    StrBuf literal = {0};
    Str rest = text;
    bool ok = true;
    while (ok && rest.len > 0) {
        if (is_reference(rest)) {
            Piece *piece = &t->pieces[t->n++];
            piece->literal = arena_str(arena, sb_view(&literal));
            sb_clear(&literal);
            ok = read_reference(&rest, use, piece, err);
            continue;
        }
        size_t skip = rest.len >= 2 && rest.ptr[0] == '$' && rest.ptr[1] == '$' ? 2 : 1;
        sb_ch(&literal, rest.ptr[0]);
        rest = (Str){rest.ptr + skip, rest.len - skip};
    }
    t->pieces[t->n++].literal = arena_str(arena, sb_view(&literal));
    sb_done(&literal);
    if (!ok) return false;
    if (!use->value && t->n == 1 && name_chars(t->pieces[0].literal) > NAME_CHARS_MAX)
        return err_set_remedy(err, ERR_ROUTE_PATTERN, "choose a shorter name",
                              "the name has %zu characters, at most %d fit", name_chars(t->pieces[0].literal),
                              NAME_CHARS_MAX);
    *out = t;
    return true;
}

bool template_new(Str text, TemplateSide own, const Pattern *const patterns[2], Arena *arena, Template **out,
                  Err *err)
{
    return compile(text, &(Use){.own = own, .patterns = patterns}, arena, out, err);
}

bool template_new_value(Str text, const Pattern *const patterns[2], Arena *arena, Template **out, Err *err)
{
    return compile(text, &(Use){TEMPLATE_TABLE, true, patterns}, arena, out, err);
}

Str template_expand_value(const Template *t, const PatternGroups groups[2], Str source_id, TableName shard,
                          Arena *arena)
{
    StrBuf b = {0};
    for (size_t i = 0; i < t->n; i++) {
        const Piece *piece = &t->pieces[i];
        const PatternGroups *g = &groups[piece->side];
        sb_str(&b, piece->literal);
        switch (piece->kind) {
        case PIECE_LITERAL: break;
        case PIECE_GROUP:
            if (piece->group <= g->n) sb_str(&b, g->groups[piece->group - 1]);
            break;
        case PIECE_SOURCE: sb_str(&b, source_id); break;
        case PIECE_SCHEMA: sb_str(&b, shard.schema); break;
        case PIECE_TABLE: sb_str(&b, shard.table); break;
        }
    }
    Str out = arena_str(arena, sb_view(&b));
    sb_done(&b);
    return out;
}

Str template_expand(const Template *t, const PatternGroups groups[2], Arena *arena)
{
    return template_expand_value(t, groups, (Str){0}, (TableName){{0}, {0}}, arena);
}
