#include "route/suspect.h"
#include "base/poison.h"

/* What a column is called that holds ids of table {T}, whose own ids are called {I}. Words are told apart by
 * underscores or capitals; a column may leave them out (orderid). */
static const struct {
    const char *form;
    bool prefixed; /* words may stand in front: billing_order_id */
} names[] = {
    {"{T}_id", true}, {"{T}_{I}", true}, {"id_{T}", false}, {"{T}_ref", true},
    {"{T}_fk", true}, {"fk_{T}", false}, {"{I}", true}, /* of an id that is no mere "id" */
};

/* What a column is called that holds ids of its own table. */
static const struct {
    const char *word;
    bool alone; /* also without an "id" behind it */
} roles[] = {
    {"parent", true},        {"reply_to", true},     {"root", true},       {"manager", true},
    {"boss", true},          {"supervisor", true},   {"reports_to", true}, {"ancestor", true},
    {"predecessor", true},   {"successor", true},    {"replaces", true},   {"replaced_by", true},
    {"superseded_by", true}, {"duplicate_of", true}, {"copy_of", true},    {"merged_into", true},
    {"referrer", true},      {"referred_by", true},  {"invited_by", true}, {"prev", false},
    {"previous", false},     {"next", false},        {"origin", false},    {"original", false},
    {"first", false},        {"last", false},        {"head", false},      {"master", false},
    {"leader", false},
};
static const char *const role_forms[] = {"{R}_id", "{R}_{I}", "{R}_{T}", "{R}_{T}_id"};

/* Words that say only that a table is one. */
static const char *const table_marks[] = {"t_", "tb_", "tbl_", "tab_"};

static bool is_upper(char c)
{
    return c >= 'A' && c <= 'Z';
}

/* Lower case, one underscore between two words. */
static void put_words(StrBuf *out, Str s)
{
    for (size_t i = 0; i < s.len; i++) {
        char c = s.ptr[i];
        bool begins = is_upper(c) && i && !is_upper(s.ptr[i - 1]);
        bool between = out->len && out->ptr[out->len - 1] != '_';
        if ((c == '_' || begins) && between) sb_ch(out, '_');
        if (c != '_') sb_ch(out, is_upper(c) ? (char)(c + 32) : c);
    }
}

/* The same letters, wherever underscores stand? */
static bool same_letters(Str a, Str b)
{
    size_t i = 0, j = 0;
    for (;; i++, j++) {
        while (i < a.len && a.ptr[i] == '_')
            i++;
        while (j < b.len && b.ptr[j] == '_')
            j++;
        if (i == a.len || j == b.len) return i == a.len && j == b.len;
        if (a.ptr[i] != b.ptr[j]) return false;
    }
}

static bool matches(Str column, Str form, bool prefixed)
{
    if (same_letters(column, form)) return true;
    for (size_t i = 1; prefixed && i < column.len; i++)
        if (column.ptr[i - 1] == '_' && same_letters((Str){column.ptr + i, column.len - i}, form))
            return true;
    return false;
}

/* The form with its {T}, {I} and {R} filled in. */
static void put_form(StrBuf *out, const char *form, Str table, Str id, const char *role)
{
    sb_clear(out);
    for (const char *p = form; *p; p++) {
        if (*p != '{') {
            sb_ch(out, *p);
            continue;
        }
        if (p[1] == 'T') sb_str(out, table);
        if (p[1] == 'I') sb_str(out, id);
        if (p[1] == 'R') sb_c(out, role);
        p += 2;
    }
}

static bool has_name(Str column, Str table, Str id)
{
    CLEANUP(sb_done) StrBuf form = {0};
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        bool by_id = strcmp(names[i].form, "{I}") == 0, many_words = memchr(id.ptr, '_', id.len) != NULL;
        if (by_id && str_eqc(id, "id")) continue;
        put_form(&form, names[i].form, table, id, NULL);
        if (matches(column, sb_view(&form), names[i].prefixed && (!by_id || many_words))) return true;
    }
    return false;
}

static bool has_role(Str column, Str table, Str id)
{
    CLEANUP(sb_done) StrBuf form = {0};
    for (size_t i = 0; i < ARRAY_LEN(roles); i++) {
        if (roles[i].alone && matches(column, str_of(roles[i].word), false)) return true;
        for (size_t f = 0; f < ARRAY_LEN(role_forms); f++) {
            put_form(&form, role_forms[f], table, id, roles[i].word);
            if (matches(column, sb_view(&form), true)) return true;
        }
    }
    return false;
}

static bool ends_with(Str s, const char *tail)
{
    size_t n = strlen(tail);
    return s.len >= n && memcmp(s.ptr + s.len - n, tail, n) == 0;
}

/* A plural's singular, by the endings of English; the word itself when it has none of them. */
static void put_singular(StrBuf *out, Str s)
{
    bool es = ends_with(s, "ses") || ends_with(s, "xes") || ends_with(s, "ches") || ends_with(s, "shes");
    size_t drop = s.len > 4 && ends_with(s, "ies") ? 3 : s.len > 4 && es ? 2 : s.len > 3 && ends_with(s, "s");
    sb_add(out, s.ptr, s.len - drop);
    if (drop == 3) sb_ch(out, 'y');
}

static unsigned bits_of(Str data_type)
{
    static const struct {
        const char *type;
        unsigned bits;
    } types[] = {{"tinyint", 8}, {"smallint", 16}, {"mediumint", 24}, {"int", 32}, {"bigint", 64}};
    for (size_t i = 0; i < ARRAY_LEN(types); i++)
        if (str_ieq(data_type, str_of(types[i].type))) return types[i].bits;
    return 0;
}

/* As wide as the ids, or an INT at least: many a reference was made narrower than the BIGINT that it refers
 * to, and signed where that is not. A TINYINT beside them is a flag. */
static bool can_hold(Str data_type, Str ids)
{
    enum { ENOUGH_BITS = 32 };
    unsigned bits = bits_of(data_type), parent = bits_of(ids);
    return bits && parent && bits >= MIN(parent, (unsigned)ENOUGH_BITS);
}

bool suspect_reference(Str column, Str data_type, const SuspectParent *p, bool same_table)
{
    CLEANUP(sb_done) StrBuf c = {0};
    CLEANUP(sb_done) StrBuf t = {0};
    CLEANUP(sb_done) StrBuf i = {0};
    CLEANUP(sb_done) StrBuf one = {0};
    if (!can_hold(data_type, p->data_type)) return false;
    put_words(&c, column);
    put_words(&t, p->table);
    put_words(&i, p->id);
    Str table = sb_view(&t);
    for (size_t m = 0; m < ARRAY_LEN(table_marks); m++) {
        size_t n = strlen(table_marks[m]);
        if (table.len > n && memcmp(table.ptr, table_marks[m], n) == 0) {
            table = (Str){table.ptr + n, table.len - n};
            break;
        }
    }
    put_singular(&one, table);
    Str forms[] = {table, sb_view(&one)};
    for (size_t f = 0; f < ARRAY_LEN(forms); f++) {
        if (has_name(sb_view(&c), forms[f], sb_view(&i))) return true;
        if (same_table && has_role(sb_view(&c), forms[f], sb_view(&i))) return true;
    }
    return false;
}
