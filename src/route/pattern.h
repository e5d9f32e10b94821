/* One name pattern: DM's wildcards, or a regular expression after a tilde. Compiled once, immutable; any
 * thread.
 *
 *   *        zero or more characters, only as the last one
 *   ?        exactly one character
 *   [a-z]    one character of the class; [abc], [!a-z]; `[` without `]` stands for itself
 *   ~regex   PCRE2, found anywhere in the name unless anchored with ^ and $
 *
 * Characters are code points (UTF-8), not bytes. Source of truth: TiDB's table-rule-selector (trie) for
 * wildcards; the regular expressions differ from Go's RE2 only by what PCRE2 can do beyond it. */
#ifndef SM_ROUTE_PATTERN_H
#define SM_ROUTE_PATTERN_H

#include "base/arena.h"
#include "base/err.h"
#include "base/str.h"

typedef struct Pattern Pattern;

typedef enum PatternResult {
    PATTERN_MISS,
    PATTERN_HIT,
    PATTERN_FAILED, /* the regular expression met its limit of work on this name: nothing can be said */
} PatternResult;

/* What the capture groups of a regex took, views into the name; a group that took no part is {NULL,0}. */
typedef struct PatternGroups {
    Str *groups; /* group 1 is groups[0]; in the caller's arena */
    size_t n;
} PatternGroups;

/* Compiles text. ERR_ROUTE_PATTERN says what is wrong and at which character; the caller adds the place in
 * the file. */
NODISCARD bool pattern_new(Str text, bool case_sensitive, Pattern **out, Err *err);
void pattern_free(Pattern *p); /* NULL allowed */

/* Whole name against a wildcard; anywhere in the name for a regex. groups and arena may be NULL together.
 * Bounded work whatever the pattern: PATTERN_FAILED instead of a hang. Does not block. */
PatternResult pattern_match(const Pattern *p, Str name, Arena *arena, PatternGroups *groups);

Str pattern_text(const Pattern *p); /* as written, with the tilde */
bool pattern_is_regex(const Pattern *p);
size_t pattern_n_groups(const Pattern *p);
/* Number (from 1) of the group of that name, 0 if there is none. */
size_t pattern_group_named(const Pattern *p, Str name);

/* What is legal but hardly meant (a class like [0-63] is one digit, % is no wildcard, …): one text each, into
 * arena. Returns how many; at most PATTERN_LINT_MAX. */
enum { PATTERN_LINT_MAX = 4 };
size_t pattern_lint(const Pattern *p, Arena *arena, Str out[PATTERN_LINT_MAX]);

#endif
