#include "ops/route_compare.h"
#include <stdlib.h>
#include "base/poison.h"

static Str member_words(const RouteCompareOpts *o, uint32_t entry, Arena *arena)
{
    const RouteEntry *e = &o->plan->entries[entry];
    return arena_printf(arena, STR_FMT " " STR_FMT "." STR_FMT, STR_ARG(o->source_ids[e->source]),
                        STR_ARG(e->table.schema), STR_ARG(e->table.table));
}

static bool equal(const TableSchema *a, const TableSchema *b)
{
    StrBuf lines = {0};
    size_t n = schema_diff(a, "", b, "", &lines);
    sb_done(&lines);
    return n == 0;
}

static void add_problem(RouteComparison *c, ErrCode code, Str text)
{
    c->problems[c->n_problems++] = (RouteProblem){.level = ROUTE_PROBLEM, .code = code, .text = text};
}

/* Sorts the members into groups of equal schemas and brings the largest (the first of equals) to the front.
 */
static void group_members(const RouteCompareOpts *o, const RouteTarget *t, Arena *arena, RouteComparison *c)
{
    c->groups = arena_array(arena, SchemaGroup, t->n_members);
    for (size_t m = 0; m < t->n_members; m++) {
        const TableSchema *s = o->shards[t->members[m]];
        if (!s) continue;
        size_t g = 0;
        while (g < c->n_groups && !equal(c->groups[g].schema, s))
            g++;
        SchemaGroup *group = &c->groups[g];
        if (g == c->n_groups) {
            *group = (SchemaGroup){.members = arena_array(arena, uint32_t, t->n_members - m), .schema = s};
            c->n_groups++;
        }
        group->members[group->n++] = t->members[m];
    }
    size_t largest = 0;
    for (size_t g = 1; g < c->n_groups; g++)
        if (c->groups[g].n > c->groups[largest].n) largest = g;
    if (largest == 0) return;
    SchemaGroup first = c->groups[largest];
    memmove(&c->groups[1], &c->groups[0], largest * sizeof first);
    c->groups[0] = first;
}

static void compare_shards(const RouteCompareOpts *o, const RouteTarget *t, Arena *arena, RouteComparison *c)
{
    group_members(o, t, arena, c);
    if (c->n_groups < 2) return;
    Str first = member_words(o, c->groups[0].members[0], arena);
    for (size_t g = 1; g < c->n_groups; g++) {
        StrBuf lines = {0};
        Str name = member_words(o, c->groups[g].members[0], arena);
        schema_diff(c->groups[0].schema, first.ptr, c->groups[g].schema, name.ptr, &lines);
        c->groups[g].differences = arena_str(arena, sb_view(&lines));
        sb_done(&lines);
    }
    add_problem(c, ERR_ROUTE_SHARDS,
                arena_printf(arena,
                             "target " STR_FMT "." STR_FMT
                             ": its %zu shard tables have %zu different definitions",
                             STR_ARG(t->name.schema), STR_ARG(t->name.table), t->n_members, c->n_groups));
}

static void plan_creation(const RouteCompareOpts *o, const RouteTarget *t, Arena *arena, RouteComparison *c)
{
    const char *why = NULL;
    Err err = {0};
    StrBuf sql = {0};
    if (!o->create_tables)
        why = "the task does not create tables";
    else if (c->n_groups != 1)
        why = c->n_groups ? "its shard tables differ" : "no shard table could be read";
    else {
        CreateOpts opts = {.name = t->name,
                           .target_is_tidb = o->target_is_tidb,
                           .target_is_mariadb = o->target_is_mariadb,
                           .source_is_mariadb =
                               o->source_is_mariadb[o->plan->entries[c->groups[0].members[0]].source]};
        if (!schema_create_sql(c->groups[0].schema, &opts, &sql, &err)) why = err.message;
    }
    c->state = why ? TARGET_MISSING : TARGET_CREATABLE;
    if (why)
        add_problem(c, ERR_ROUTE_TARGET,
                    arena_printf(arena,
                                 "target " STR_FMT "." STR_FMT " is missing and would not be created: %s",
                                 STR_ARG(t->name.schema), STR_ARG(t->name.table), why));
    else
        c->create_sql = arena_str(arena, sb_view(&sql));
    sb_done(&sql);
    err_clear(&err);
}

static void compare_target(const RouteCompareOpts *o, size_t i, Arena *arena, RouteComparison *c)
{
    const RouteTarget *t = &o->plan->targets[i];
    if (!o->targets) return;
    if (!o->targets[i]) {
        plan_creation(o, t, arena, c);
        return;
    }
    c->state = TARGET_EQUAL;
    if (c->n_groups == 0) return;
    StrBuf lines = {0};
    Str first = member_words(o, c->groups[0].members[0], arena);
    if (schema_diff(c->groups[0].schema, first.ptr, o->targets[i], "the target", &lines) > 0) {
        c->state = TARGET_DIFFERS;
        c->differences = arena_str(arena, sb_view(&lines));
        add_problem(c, ERR_ROUTE_TARGET,
                    arena_printf(arena, "target " STR_FMT "." STR_FMT " differs from its shard tables",
                                 STR_ARG(t->name.schema), STR_ARG(t->name.table)));
    }
    sb_done(&lines);
}

RouteComparison *route_compare(const RouteCompareOpts *opts, Arena *arena)
{
    RouteComparison *list = arena_array(arena, RouteComparison, opts->plan->n_targets);
    for (size_t i = 0; i < opts->plan->n_targets; i++) {
        compare_shards(opts, &opts->plan->targets[i], arena, &list[i]);
        compare_target(opts, i, arena, &list[i]);
    }
    return list;
}
