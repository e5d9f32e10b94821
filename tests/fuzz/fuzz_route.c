/* Patterns, targets with captures and table lists from arbitrary bytes. Input: pattern, target, name, list,
 * one a line (the list is the rest). */
#include "ops/route_list.h"
#include "route/template.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    Str rest = str_make(data, size);
    Str pattern = str_split(&rest, '\n'), target = str_split(&rest, '\n'), name = str_split(&rest, '\n');
    Arena arena = {0};
    Err err = {0};
    Pattern *p = NULL;
    if (pattern_new(pattern, false, &p, &err)) {
        const Pattern *const both[2] = {p, p};
        Template *t;
        Str lint[PATTERN_LINT_MAX];
        pattern_lint(p, &arena, lint);
        PatternGroups g[2] = {0};
        PatternResult hit = pattern_match(p, name, &arena, &g[0]);
        g[1] = g[0];
        if (template_new(target, TEMPLATE_TABLE, both, &arena, &t, &err) && hit == PATTERN_HIT)
            template_expand(t, g, &arena);
    }
    err_clear(&err);
    pattern_free(p);
    const Str sources[] = {STR("a"), STR("b")};
    RouteList lists[2];
    if (!route_list_parse("list", rest, sources, 2, &arena, lists, &err)) err_clear(&err);
    arena_done(&arena);
    return 0;
}
