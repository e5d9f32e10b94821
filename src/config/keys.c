#include "config/keys.h"
#include <stdlib.h>
#include "base/check.h"
#include "config/value.h"
#include "base/poison.h"

static const KeyRow table[] = {
#define S(section, title, where)
#define K(section, key, type, arg, sub, verdict, def, help)                                                  \
    {SECTION_##section, key, KEY_##type, arg, SECTION_##sub, KEY_##verdict, def, help},
#include "config/keys.def"
#undef S
#undef K
};

static const struct {
    const char *title, *where;
} sections[SECTION_COUNT] = {
#define S(section, title, where) [SECTION_##section] = {title, where},
#define K(section, key, type, arg, sub, verdict, def, help)
#include "config/keys.def"
#undef S
#undef K
};

const KeyRow *key_row(size_t i)
{
    return i < ARRAY_LEN(table) ? &table[i] : NULL;
}

const KeyRow *key_find(Section section, Str key)
{
    for (size_t i = 0; i < ARRAY_LEN(table); i++)
        if (table[i].section == section && str_eqc(key, table[i].key)) return &table[i];
    return NULL;
}

const char *section_title(Section section)
{
    return sections[section].title;
}
const char *section_where(Section section)
{
    return sections[section].where;
}

const char *keys_nearest(Str name, const char *const *names, size_t n)
{
    const char *best = NULL;
    unsigned best_distance = (unsigned)MAX((size_t)2, MIN(name.len, (size_t)64) / 3) + 1;
    for (size_t i = 0; i < n; i++) {
        unsigned d = str_distance(name, str_of(names[i]));
        /* As many changes as letters is another word. */
        if (d >= best_distance || d >= strlen(names[i])) continue;
        best = names[i];
        best_distance = d;
    }
    return best;
}

/* -- unknown keys -- */

/* Where else the key is known, or NULL. */
static const KeyRow *elsewhere(Section section, Str key)
{
    for (size_t i = 0; i < ARRAY_LEN(table); i++)
        if (table[i].section != section && str_eqc(key, table[i].key)) return &table[i];
    return NULL;
}

/* Text of a file that may go into a message: short, and free of control characters. */
static Str shown(Str s)
{
    for (size_t i = 0; i < s.len; i++)
        if ((unsigned char)s.ptr[i] < ' ' || s.ptr[i] == 0x7f) s.len = i;
    s.len = MIN(s.len, (size_t)80);
    /* Not in the middle of a character. */
    while (s.len && s.len == 80 && ((unsigned char)s.ptr[s.len - 1] & 0xC0) == 0x80)
        s.len--;
    return s;
}

static void unknown_key(Section section, const Node *key, Problems *ps)
{
    const char *names[ARRAY_LEN(table)];
    size_t n = 0;
    for (size_t i = 0; i < ARRAY_LEN(table); i++)
        if (table[i].section == section) names[n++] = table[i].key;
    const char *near = keys_nearest(key->text, names, n);
    const KeyRow *other = elsewhere(section, key->text);
    StrBuf remedy = {0};
    if (near)
        sb_printf(&remedy, "did you mean '%s'?", near);
    else if (other)
        sb_printf(&remedy, "it belongs to %s", sections[other->section].where);
    else
        sb_c(&remedy, "remove it");
    problem_add(ps, ERR_CONFIG_UNKNOWN_KEY, key->place, remedy.ptr, "unknown key '" STR_FMT "' (section: %s)",
                STR_ARG(shown(key->text)), sections[section].where);
    sb_done(&remedy);
}

/* -- types -- */

static bool bad(Node *value, Problems *ps, const char *key, const char *remedy, const char *what)
{
    value->bad = true;
    return problem_add(ps, ERR_CONFIG_VALUE, value->place, remedy, "%s: %s", key, what);
}

/* Numbers of all kinds: the parser of the row's type. */
static bool number_parse(KeyType type, Str text, uint64_t *out)
{
    switch (type) {
    case KEY_INT: return str_to_u64(text, out);
    case KEY_BYTES: return value_bytes(text, out);
    case KEY_SECONDS: return value_seconds_ms(text, out);
    case KEY_DURATION: return value_duration_ms(text, out);
    default: return false;
    }
}

/* "least..largest" of the row; 0 and UINT64_MAX where missing. */
static void range_of(const KeyRow *row, uint64_t *least, uint64_t *largest, Str *least_text,
                     Str *largest_text)
{
    Str arg = str_of(row->arg);
    size_t dots = str_find(arg, STR(".."));
    *least = 0;
    *largest = UINT64_MAX;
    *least_text = *largest_text = (Str){0};
    if (dots == SIZE_MAX) return;
    *least_text = (Str){arg.ptr, dots};
    *largest_text = (Str){arg.ptr + dots + 2, arg.len - dots - 2};
    CHECK(!least_text->len || number_parse(row->type, *least_text, least), "range of keys.def");
    CHECK(!largest_text->len || number_parse(row->type, *largest_text, largest), "range of keys.def");
}

static bool number_check(const KeyRow *row, Node *value, Problems *ps)
{
    static const char *const form[] = {
        [KEY_INT] = "write a whole number without quotes",
        [KEY_DURATION] = "write a number with a unit: 500ms, 5s, 1m30s",
        [KEY_SECONDS] = "write whole seconds, or a duration such as 500ms or 1m30s",
        [KEY_BYTES] = "write bytes, or a number with a unit: 512KiB, 128MiB, 2GiB",
    };
    uint64_t v, least, largest;
    Str least_text, largest_text;
    if ((row->type == KEY_INT && !value->plain) || !number_parse(row->type, value->text, &v))
        return bad(value, ps, row->key, form[row->type], "not a value of its form");
    range_of(row, &least, &largest, &least_text, &largest_text);
    if (v >= least && v <= largest) return true;
    StrBuf remedy = {0};
    if (largest_text.len)
        sb_printf(&remedy, "write " STR_FMT " to " STR_FMT, STR_ARG(least_text), STR_ARG(largest_text));
    else
        sb_printf(&remedy, "write at least " STR_FMT, STR_ARG(least_text));
    bad(value, ps, row->key, remedy.ptr, "out of range");
    sb_done(&remedy);
    return false;
}

static bool enum_check(const KeyRow *row, Node *value, Problems *ps)
{
    const char *names[16];
    StrBuf copy = {0}, remedy = {0};
    size_t n = 0;
    bool ok = value->text.len == 0;
    for (Str rest = str_of(row->arg); rest.len && !ok;) {
        Str choice = str_split(&rest, '|');
        /* DM takes the words of the load unit in any case */
        bool any_case = row->verdict == KEY_ACCEPTED || row->section == SECTION_LOADER;
        bool same = any_case ? str_ieq(choice, value->text) : str_eq(choice, value->text);
        ok = ok || same;
    }
    if (ok) return true;
    sb_c(&copy, row->arg);
    for (char *at = copy.ptr; at;) {
        CHECK(n < ARRAY_LEN(names), "too many choices in keys.def");
        names[n++] = at;
        at = strchr(at, '|');
        if (at) *at++ = 0;
    }
    const char *near = keys_nearest(value->text, names, n);
    if (near) sb_printf(&remedy, "did you mean %s? ", near);
    sb_c(&remedy, "It may be ");
    for (size_t i = 0; i < n; i++)
        sb_printf(&remedy, "%s%s", i ? (i + 1 == n ? " or " : ", ") : "", names[i]);
    value->bad = true;
    problem_add(ps, ERR_CONFIG_VALUE, value->place, remedy.ptr, "%s: '" STR_FMT "' is not one of its values",
                row->key, STR_ARG(shown(value->text)));
    sb_done(&copy);
    sb_done(&remedy);
    return false;
}

static bool name_check(const char *key, Node *value, Problems *ps)
{
    if (value->text.len > 64) return bad(value, ps, key, "shorten it", "longer than 64 bytes");
    for (size_t i = 0; i < value->text.len; i++)
        if ((unsigned char)value->text.ptr[i] < ' ' || value->text.ptr[i] == 0x7f)
            return bad(value, ps, key, "write it in one line", "holds a control character");
    return true;
}

static bool text_check(const char *key, Node *value, Problems *ps)
{
    if (value->kind != NODE_SCALAR)
        return bad(value, ps, key, "write a single value", "a single value is expected");
    if (value->text.len && memchr(value->text.ptr, 0, value->text.len))
        return bad(value, ps, key, "remove it", "holds a zero byte");
    return true;
}

static bool scalar_check(const KeyRow *row, Node *value, Problems *ps)
{
    bool b;
    if (!text_check(row->key, value, ps)) return false;
    switch (row->type) {
    case KEY_NAME: return name_check(row->key, value, ps);
    case KEY_BOOL:
        if (value->plain && value_bool(value->text, &b)) return true;
        return bad(value, ps, row->key, "write true or false, without quotes", "not true or false");
    case KEY_INT:
    case KEY_DURATION:
    case KEY_SECONDS:
    case KEY_BYTES: return number_check(row, value, ps);
    case KEY_ENUM: return enum_check(row, value, ps);
    default: return true;
    }
}

static bool list_check(const KeyRow *row, Node *value, Problems *ps)
{
    if (value->kind != NODE_LIST)
        return bad(value, ps, row->key, "write a list: [a, b], or lines that begin with '-'",
                   "a list is expected");
    bool ok = true;
    for (NodeEntry *e = value->first; e; e = e->next) {
        Node *item = e->value;
        if (row->type == KEY_LIST) {
            if (item->kind == NODE_MAP) {
                keys_check(row->sub, item, ps);
                continue;
            }
            ok = bad(item, ps, row->key, "write `- key: value` entries", "each entry must be a map of keys");
        } else if (node_is_null(item)) {
            ok = bad(item, ps, row->key, "remove the entry", "an entry is empty");
        } else {
            ok = text_check(row->key, item, ps) && ok;
        }
    }
    /* One bad entry spoils the whole: whoever builds on the list need not look at each. */
    value->bad = value->bad || !ok;
    return ok;
}

static bool vars_check(const KeyRow *row, Node *value, Problems *ps)
{
    if (value->kind != NODE_MAP)
        return bad(value, ps, row->key, "write `name: value` lines", "a map is expected");
    bool ok = true;
    for (NodeEntry *e = value->first; e; e = e->next)
        ok = text_check(row->key, e->value, ps) && ok;
    value->bad = value->bad || !ok;
    return ok;
}

static bool map_check(const KeyRow *row, Node *value, Problems *ps)
{
    if (value->kind != NODE_MAP)
        return bad(value, ps, row->key, "write its keys below it, indented", "a map of keys is expected");
    if (row->type == KEY_MAP) {
        keys_check(row->sub, value, ps);
        return true;
    }
    for (NodeEntry *e = value->first; e; e = e->next) {
        if (e->value->kind == NODE_MAP) {
            keys_check(row->sub, e->value, ps);
        } else if (!node_is_null(e->value)) {
            bad(e->value, ps, row->key, "write the keys of the entry below its name, indented",
                "each name must hold a map of keys");
        }
    }
    return true;
}

/* A list of byte values, or text. */
static bool blob_check(const KeyRow *row, Node *value, Problems *ps)
{
    if (value->kind == NODE_MAP) return bad(value, ps, row->key, "write the text itself", "text is expected");
    for (NodeEntry *e = value->first; e; e = e->next) {
        uint64_t v;
        if (e->value->kind != NODE_SCALAR || !str_to_u64(e->value->text, &v) || v > 255)
            return bad(value, ps, row->key, "write numbers from 0 to 255, or the text itself",
                       "not a list of byte values");
    }
    return true;
}

static bool type_check(const KeyRow *row, Node *value, Problems *ps)
{
    switch (row->type) {
    case KEY_STRS:
    case KEY_LIST: return list_check(row, value, ps);
    case KEY_VARS: return vars_check(row, value, ps);
    case KEY_MAP:
    case KEY_NAMED: return map_check(row, value, ps);
    case KEY_BLOB: return blob_check(row, value, ps);
    case KEY_ANY: return true;
    default: return scalar_check(row, value, ps);
    }
}

/* -- verdicts -- */

/* Does the value say nothing but the default? */
static bool is_default(const KeyRow *row, const Node *value)
{
    if (value->kind != NODE_SCALAR) return value->n == 0;
    if (value->text.len == 0) return true;
    bool a, b;
    if (row->type == KEY_BOOL && value_bool(value->text, &a) && value_bool(str_of(row->def), &b))
        return a == b;
    return str_eqc(value->text, row->def);
}

static void verdict_check(const KeyRow *row, const Node *key, const Node *value, Problems *ps)
{
    if (row->verdict == KEY_USED || row->verdict == KEY_ACCEPTED || is_default(row, value)) return;
    if (row->verdict == KEY_NOT_YET) {
        StrBuf remedy = {0};
        Str help = {row->help, strlen(row->help) - 1}; /* without its full stop */
        if (row->def[0])
            sb_printf(&remedy, "remove it, or set it to %s", row->def);
        else
            sb_c(&remedy, "remove it");
        problem_add(ps, ERR_NOT_SUPPORTED, key->place, remedy.ptr, "%s: not supported yet (" STR_FMT ")",
                    row->key, STR_ARG(help));
        sb_done(&remedy);
        return;
    }
    problem_add(ps, ERR_CONFIG_REFUSED_KEY, key->place, row->help, "%s: " STR_FMT " cannot be honoured",
                row->key, STR_ARG(shown(value->text)));
}

void keys_check(Section section, Node *map, Problems *ps)
{
    for (NodeEntry *e = map->first; e; e = e->next) {
        const KeyRow *row = key_find(section, e->key->text);
        if (!row) {
            unknown_key(section, e->key, ps);
            continue;
        }
        if (node_is_null(e->value)) continue;
        if (type_check(row, e->value, ps)) verdict_check(row, e->key, e->value, ps);
    }
}

/* -- values -- */

static const KeyRow *row_must(Section section, const char *key)
{
    const KeyRow *row = key_find(section, str_of(key));
    CHECK(row, "key is not in keys.def");
    return row;
}

/* The text that counts: the file's, or the default's. */
static Str text_of(const KeyRow *row, const Node *map)
{
    const Node *n = node_get(map, row->key);
    bool has = n && n->kind == NODE_SCALAR && (n->text.len || row->type == KEY_STR);
    return has ? n->text : str_of(row->def);
}

Str keys_str(Section section, const Node *map, const char *key)
{
    return text_of(row_must(section, key), map);
}

bool keys_bool(Section section, const Node *map, const char *key)
{
    bool b = false;
    CHECK(value_bool(keys_str(section, map, key), &b), "an unchecked bool");
    return b;
}

uint64_t keys_u64(Section section, const Node *map, const char *key)
{
    const KeyRow *row = row_must(section, key);
    Str text = text_of(row, map);
    uint64_t v = 0;
    CHECK(text.len == 0 || number_parse(row->type, text, &v), "an unchecked number");
    return v;
}

bool keys_absent(const Node *map, const char *key)
{
    for (const NodeEntry *e = map->first; e; e = e->next)
        if (str_eqc(e->key->text, key))
            return !e->value->bad &&
                   (node_is_null(e->value) || (e->value->kind == NODE_SCALAR && !e->value->text.len));
    return true;
}

ConfigPlace keys_place(const Node *map, const char *key)
{
    for (const NodeEntry *e = map->first; e; e = e->next)
        if (e->key && str_eqc(e->key->text, key)) return e->key->place;
    return map->place;
}
