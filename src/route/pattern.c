#define PCRE2_CODE_UNIT_WIDTH 8
#include "route/pattern.h"
#include <pcre2.h>
#include <stdlib.h>
#include "base/check.h"
#include "base/poison.h"

/* Enough for any sane pattern on a name of 64 characters, and milliseconds at most for any other. */
enum { MATCH_LIMIT = 100000, DEPTH_LIMIT = 10000, HEAP_LIMIT_KIB = 1024, PATTERN_BYTES_MAX = 4096 };

struct Pattern {
    char *text;
    size_t text_len;
    bool regex;
    size_t n_groups;
    pcre2_code *code;
    pcre2_match_context *limits;
};

/* A character (UTF-8 sequence) of the wildcard as itself. */
static void add_literal(StrBuf *re, Str *rest)
{
    unsigned char c = (unsigned char)rest->ptr[0];
    size_t n = c < 0x80 ? 1 : c < 0xe0 ? 2 : c < 0xf0 ? 3 : 4;
    if (n > rest->len) n = rest->len;
    bool word = c >= 0x80 || c == '_' || (c >= '0' && c <= '9') || ((c | 0x20) >= 'a' && (c | 0x20) <= 'z');
    if (!word) sb_ch(re, '\\');
    sb_add(re, rest->ptr, n);
    *rest = (Str){rest->ptr + n, rest->len - n};
}

/* The body of [..]; DM's reading: ! first negates (alone it is itself), x-y is a range, - at an end is
 * itself. */
static bool add_class(StrBuf *re, Str body, Err *err)
{
    if (body.len == 0) return err_set(err, ERR_ROUTE_PATTERN, "the class [] matches nothing");
    sb_ch(re, '[');
    if (body.ptr[0] == '!' && body.len > 1) {
        sb_ch(re, '^');
        body = (Str){body.ptr + 1, body.len - 1};
    }
    while (body.len > 0) {
        add_literal(re, &body);
        if (body.len > 1 && body.ptr[0] == '-') {
            sb_ch(re, '-');
            body = (Str){body.ptr + 1, body.len - 1};
            add_literal(re, &body);
        }
    }
    sb_ch(re, ']');
    return true;
}

/* DM's wildcard as a regular expression that matches the whole name. */
static bool wildcard_to_regex(Str text, StrBuf *re, Err *err)
{
    Str rest = text;
    sb_c(re, "\\A");
    while (rest.len > 0) {
        char c = rest.ptr[0];
        size_t close = c == '[' ? str_find(rest, STR("]")) : SIZE_MAX;
        if (close != SIZE_MAX) {
            if (!add_class(re, (Str){rest.ptr + 1, close - 1}, err)) return false;
            rest = (Str){rest.ptr + close + 1, rest.len - close - 1};
        } else if (c == '*') {
            if (rest.len > 1)
                return err_set_remedy(err, ERR_ROUTE_PATTERN,
                                      "move * to the end, or write a regular expression: ~^a.*b$",
                                      "* stands at character %zu, but may only be the last one",
                                      (size_t)(rest.ptr - text.ptr) + 1);
            sb_c(re, ".*");
            break;
        } else if (c == '?') {
            sb_ch(re, '.');
            rest = (Str){rest.ptr + 1, rest.len - 1};
        } else {
            add_literal(re, &rest);
        }
    }
    sb_c(re, "\\z");
    return true;
}

static bool compile(Pattern *p, Str re, bool case_sensitive, Err *err)
{
    uint32_t options = PCRE2_UTF | PCRE2_MATCH_INVALID_UTF | PCRE2_DOLLAR_ENDONLY | PCRE2_NEVER_BACKSLASH_C |
                       (case_sensitive ? 0 : PCRE2_CASELESS) | (p->regex ? 0 : PCRE2_DOTALL);
    int code = 0;
    PCRE2_SIZE at = 0;
    p->code = pcre2_compile((PCRE2_SPTR)re.ptr, re.len, options, &code, &at, NULL);
    if (!p->code) {
        char why[256];
        if (pcre2_get_error_message(code, (PCRE2_UCHAR *)why, sizeof why) < 0) why[0] = 0;
        if (!p->regex) return err_set(err, ERR_ROUTE_PATTERN, "%s", why);
        return err_set(err, ERR_ROUTE_PATTERN, "%s at character %zu", why, (size_t)at + 1);
    }
    p->limits = pcre2_match_context_create(NULL);
    CHECK(p->limits != NULL, "out of memory");
    pcre2_set_match_limit(p->limits, MATCH_LIMIT);
    pcre2_set_depth_limit(p->limits, DEPTH_LIMIT);
    pcre2_set_heap_limit(p->limits, HEAP_LIMIT_KIB);
    /* Without JIT (no executable memory) the interpreter gives the same answers under the same limits. */
    (void)pcre2_jit_compile(p->code, PCRE2_JIT_COMPLETE);
    uint32_t groups = 0;
    if (p->regex) pcre2_pattern_info(p->code, PCRE2_INFO_CAPTURECOUNT, &groups);
    p->n_groups = groups;
    return true;
}

bool pattern_new(Str text, bool case_sensitive, Pattern **out, Err *err)
{
    *out = NULL;
    if (text.len == 0 || str_eqc(text, "~")) return err_set(err, ERR_ROUTE_PATTERN, "the pattern is empty");
    if (text.len > PATTERN_BYTES_MAX)
        return err_set(err, ERR_ROUTE_PATTERN, "the pattern has %zu bytes, at most %d are taken", text.len,
                       PATTERN_BYTES_MAX);
    Pattern *p = mem_zalloc(sizeof *p);
    p->text = str_dup(text);
    p->text_len = text.len;
    p->regex = text.ptr[0] == '~';
    StrBuf re = {0};
    bool ok = true;
    if (p->regex)
        sb_add(&re, text.ptr + 1, text.len - 1);
    else
        ok = wildcard_to_regex(text, &re, err);
    ok = ok && compile(p, sb_view(&re), case_sensitive, err);
    sb_done(&re);
    if (!ok) {
        pattern_free(p);
        return false;
    }
    *out = p;
    return true;
}

void pattern_free(Pattern *p)
{
    if (!p) return;
    pcre2_code_free(p->code);
    pcre2_match_context_free(p->limits);
    free(p->text);
    free(p);
}

static void take_groups(const Pattern *p, const pcre2_match_data *data, int rc, Str name, Arena *arena,
                        PatternGroups *groups)
{
    const PCRE2_SIZE *ovector = pcre2_get_ovector_pointer((pcre2_match_data *)data);
    *groups = (PatternGroups){arena_array(arena, Str, p->n_groups), p->n_groups};
    for (size_t g = 1; g <= p->n_groups && g < (size_t)rc; g++)
        if (ovector[2 * g] != PCRE2_UNSET)
            groups->groups[g - 1] = (Str){name.ptr + ovector[2 * g], ovector[2 * g + 1] - ovector[2 * g]};
}

PatternResult pattern_match(const Pattern *p, Str name, Arena *arena, PatternGroups *groups)
{
    if (groups) *groups = (PatternGroups){0};
    if (!name.ptr) name = STR(""); /* a group may take the empty name */
    pcre2_match_data *data = pcre2_match_data_create_from_pattern(p->code, NULL);
    CHECK(data != NULL, "out of memory");
    PCRE2_SPTR subject = (PCRE2_SPTR)name.ptr;
    int rc = pcre2_match(p->code, subject, name.len, 0, 0, data, p->limits);
    if (rc == PCRE2_ERROR_JIT_STACKLIMIT)
        rc = pcre2_match(p->code, subject, name.len, 0, PCRE2_NO_JIT, data, p->limits);
    PatternResult result = rc > 0 ? PATTERN_HIT : rc == PCRE2_ERROR_NOMATCH ? PATTERN_MISS : PATTERN_FAILED;
    if (result == PATTERN_HIT && groups) take_groups(p, data, rc, name, arena, groups);
    pcre2_match_data_free(data);
    return result;
}

Str pattern_text(const Pattern *p)
{
    return (Str){p->text, p->text_len};
}
bool pattern_is_regex(const Pattern *p)
{
    return p->regex;
}
size_t pattern_n_groups(const Pattern *p)
{
    return p->n_groups;
}

size_t pattern_group_named(const Pattern *p, Str name)
{
    if (!p->regex || name.len == 0) return 0;
    char *key = str_dup(name);
    int n = pcre2_substring_number_from_name(p->code, (PCRE2_SPTR)key);
    free(key);
    return n > 0 ? (size_t)n : 0;
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* A class with a range of digits and one more digit beside it is meant as a range of numbers. */
static bool class_means_numbers(Str body)
{
    size_t digits = 0, ranges = 0;
    for (size_t i = 0; i < body.len; i++) {
        if (is_digit(body.ptr[i])) digits++;
        if (body.ptr[i] == '-' && i > 0 && i + 1 < body.len && is_digit(body.ptr[i - 1]) &&
            is_digit(body.ptr[i + 1]))
            ranges++;
    }
    return ranges > 0 && digits > 2 * ranges;
}

static bool find_number_class(const Pattern *p, Str *found)
{
    for (size_t i = 0; i < p->text_len; i++) {
        if (p->regex && p->text[i] == '\\') {
            i++;
            continue;
        }
        if (p->text[i] != '[') continue;
        Str rest = {p->text + i, p->text_len - i};
        size_t close = str_find(rest, STR("]"));
        if (close == SIZE_MAX) return false;
        if (class_means_numbers((Str){rest.ptr + 1, close - 1})) {
            *found = (Str){rest.ptr, close + 1};
            return true;
        }
        i += close;
    }
    return false;
}

static bool has_any(Str text, const char *chars)
{
    for (size_t i = 0; i < text.len; i++)
        if (strchr(chars, text.ptr[i])) return true;
    return false;
}

size_t pattern_lint(const Pattern *p, Arena *arena, Str out[PATTERN_LINT_MAX])
{
    size_t n = 0;
    Str text = pattern_text(p), class;
    if (find_number_class(p, &class))
        out[n++] = arena_printf(arena,
                                "\"" STR_FMT "\": a class stands for one character, so " STR_FMT
                                " is one digit, not a range of numbers; write \\d+ in a ~regex",
                                STR_ARG(text), STR_ARG(class));
    if (p->regex) {
        if (!has_any(text, "^$") && str_find(text, STR("\\A")) == SIZE_MAX &&
            str_find(text, STR("\\z")) == SIZE_MAX)
            out[n++] =
                arena_printf(arena,
                             "\"" STR_FMT "\": without ^ and $ it matches anywhere in the name, backups and "
                             "temporary tables too",
                             STR_ARG(text));
        return n;
    }
    if (has_any(text, "^\\(|+"))
        out[n++] =
            arena_printf(arena,
                         "\"" STR_FMT "\": looks like a regular expression, but without ~ in front its signs "
                         "stand for themselves",
                         STR_ARG(text));
    if (has_any(text, "%"))
        out[n++] =
            arena_printf(arena, "\"" STR_FMT "\": %% stands for itself; the wildcard is *", STR_ARG(text));
    size_t open = str_find(text, STR("["));
    if (open != SIZE_MAX && str_find((Str){text.ptr + open, text.len - open}, STR("]")) == SIZE_MAX)
        out[n++] = arena_printf(arena, "\"" STR_FMT "\": [ without ] stands for itself", STR_ARG(text));
    return n;
}
