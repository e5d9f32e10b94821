#include "model/charset.h"
#include "base/poison.h"

enum CharsetIndex {
#define X(name, max_len, form, ascii) CS_##name,
#include "model/charset.def"
#undef X
};

static const Charset charsets[] = {
#define X(name_, max_len_, form_, ascii_)                                                                    \
    [CS_##name_] = {{#name_, sizeof #name_ - 1}, max_len_, CHARSET_##form_, ascii_},
#include "model/charset.def"
#undef X
};

static const Collation collations[] = {
#define X(family_, id_, charset_, name_)                                                                     \
    {FLAVOR_##family_, id_, {#name_, sizeof #name_ - 1}, &charsets[CS_##charset_]},
#include "model/collation.def"
#undef X
};

const Collation *charset_by_collation_id(Flavor flavor, uint32_t id)
{
    size_t low = 0, high = ARRAY_LEN(collations);
    while (low < high) {
        size_t mid = low + (high - low) / 2;
        if (collations[mid].id < id)
            low = mid + 1;
        else
            high = mid;
    }
    const Collation *found = NULL;
    for (; low < ARRAY_LEN(collations) && collations[low].id == id; low++) {
        const Collation *c = &collations[low];
        if (c->family == FLAVOR_UNKNOWN || c->family == flavor) return c;
        if (!found) found = c;
    }
    return found;
}

/* Names of servers before utf8mb3 was spelled out: utf8 → utf8mb3, utf8_bin → utf8mb3_bin. */
static bool name_eq(Str name, Str canonical)
{
    static const Str old = {"utf8", 4}, modern = {"utf8mb3", 7};
    if (str_ieq(name, canonical)) return true;
    if (!str_istarts(name, old) || !str_starts(canonical, modern)) return false;
    Str tail = {name.ptr + old.len, name.len - old.len};
    Str rest = {canonical.ptr + modern.len, canonical.len - modern.len};
    return (tail.len == 0 || tail.ptr[0] == '_') && str_ieq(tail, rest);
}

const Collation *charset_collation_by_name(Str name)
{
    for (size_t i = 0; i < ARRAY_LEN(collations); i++)
        if (name_eq(name, collations[i].name)) return &collations[i];
    return NULL;
}

const Charset *charset_by_name(Str name)
{
    for (size_t i = 0; i < ARRAY_LEN(charsets); i++)
        if (name_eq(name, charsets[i].name)) return &charsets[i];
    return NULL;
}

bool charset_same_bytes(const Charset *a, const Charset *b)
{
    return a == b || (a && b && a->form == CHARSET_UTF8 && b->form == CHARSET_UTF8);
}

/* What follows "<charset>_" in the names of collations whose fold is proven. */
static bool is_proven_ascii_ci(Str family)
{
    static const char *const proven[] = {
        "general_ci",          "general_nopad_ci",    "general_mysql500_ci", "general_cs",
        "unicode_ci",          "unicode_nopad_ci",    "unicode_520_ci",      "unicode_520_nopad_ci",
        "0900_ai_ci",          "0900_as_ci",          "0900_as_cs",          "uca1400_ai_ci",
        "uca1400_ai_cs",       "uca1400_as_ci",       "uca1400_as_cs",       "uca1400_nopad_ai_ci",
        "uca1400_nopad_ai_cs", "uca1400_nopad_as_ci", "uca1400_nopad_as_cs",
    };
    for (size_t i = 0; i < ARRAY_LEN(proven); i++)
        if (str_eqc(family, proven[i])) return true;
    return false;
}

/* Collations that are one weight a byte (or, for East Asian charsets, one weight a character): what holds for
 * all pairs of characters holds for strings. */
static bool is_proven_simple(Str name)
{
    static const char *const proven[] = {
        "latin1_swedish_ci",   "latin1_swedish_nopad_ci",   "latin1_danish_ci", "latin1_german1_ci",
        "latin1_spanish_ci",   "gb18030_chinese_ci",        "sjis_japanese_ci", "sjis_japanese_nopad_ci",
        "cp932_japanese_ci",   "cp932_japanese_nopad_ci",   "ujis_japanese_ci", "ujis_japanese_nopad_ci",
        "eucjpms_japanese_ci", "eucjpms_japanese_nopad_ci", "euckr_korean_ci",  "euckr_korean_nopad_ci",
        "dec8_swedish_ci",     "dec8_swedish_nopad_ci",     "hp8_english_ci",   "hp8_english_nopad_ci",
    };
    for (size_t i = 0; i < ARRAY_LEN(proven); i++)
        if (str_eqc(name, proven[i])) return true;
    return false;
}

static bool str_ends_bin(Str name)
{
    static const Str bin = {"_bin", 4};
    return name.len > bin.len && memcmp(name.ptr + name.len - bin.len, bin.ptr, bin.len) == 0;
}

KeyFold charset_key_fold(const Collation *c)
{
    /* Their general_ci calls some different printable ASCII characters equal, as measured. */
    static const uint8_t odd_general[] = {CS_koi8u, CS_macce, CS_geostd8};
    if (!c) return KEY_FOLD_UNKNOWN;
    if (c->charset->form == CHARSET_BINARY) return KEY_FOLD_BYTES;
    if (c->charset->form == CHARSET_WIDE || !c->charset->ascii_superset) return KEY_FOLD_UNKNOWN;
    if (c->name.len <= c->charset->name.len + 1) return KEY_FOLD_UNKNOWN;
    for (size_t i = 0; i < ARRAY_LEN(odd_general); i++)
        if (c->charset == &charsets[odd_general[i]] && !str_ends_bin(c->name)) return KEY_FOLD_UNKNOWN;
    Str family = {c->name.ptr + c->charset->name.len + 1, c->name.len - c->charset->name.len - 1};
    if (str_eqc(family, "bin") || str_eqc(family, "nopad_bin") || str_eqc(family, "0900_bin"))
        return KEY_FOLD_BIN_PAD;
    return is_proven_ascii_ci(family) || is_proven_simple(c->name) ? KEY_FOLD_ASCII_CI : KEY_FOLD_UNKNOWN;
}
