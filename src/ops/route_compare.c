#include "ops/route_compare.h"
#include <stdlib.h>
#include "track/bind.h"
#include "track/keyed_schema.h"
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
    if (c->n_problems == ARRAY_LEN(c->problems)) return;
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

static CreateOpts create_opts(const RouteCompareOpts *o, const RouteTarget *t, const RouteComparison *c)
{
    return (CreateOpts){.name = t->name,
                        .target_is_tidb = o->target_is_tidb,
                        .target_is_mariadb = o->target_is_mariadb,
                        .source_is_mariadb =
                            o->source_is_mariadb[o->plan->entries[c->groups[0].members[0]].source]};
}

/* The statement for a target that fits the key strategy, with what there is to know of it. */
static void write_fit(const RouteCompareOpts *o, const RouteTarget *t, size_t i, Arena *arena,
                      RouteComparison *c, Err *err)
{
    const MemberKeys *keys = route_keys_of_target(o->plan, o->keys, i);
    TableSchema *keyed = NULL;
    StrBuf sql = {0}, advice = {0};
    if (!keyed_schema(c->groups[0].schema, keys, o->target_is_tidb, &keyed, err)) return;
    CreateOpts opts = create_opts(o, t, c);
    keyed_words(keys, keyed, &opts);
    if (schema_create_sql(keyed, &opts, &sql, err)) c->fit_sql = arena_str(arena, sb_view(&sql));
    if (route_keys_matter(keys) || t->n_members > 1) keyed_advice(keys, keyed, &opts, &advice);
    c->advice = arena_str(arena, sb_view(&advice));
    schema_free(keyed);
    sb_done(&sql);
    sb_done(&advice);
}

static void plan_creation(const RouteCompareOpts *o, const RouteTarget *t, Arena *arena, RouteComparison *c,
                          const Err *unfit)
{
    const char *why = NULL;
    if (!o->create_tables)
        why = "the task does not create tables";
    else if (c->n_groups != 1)
        why = c->n_groups ? "its shard tables differ" : "no shard table could be read";
    else if (!c->fit_sql.len)
        why = unfit->message;
    c->state = why ? TARGET_MISSING : TARGET_CREATABLE;
    if (why)
        add_problem(c, ERR_ROUTE_TARGET,
                    arena_printf(arena,
                                 "target " STR_FMT "." STR_FMT " is missing and would not be created: %s",
                                 STR_ARG(t->name.schema), STR_ARG(t->name.table), why));
    else
        c->create_sql = c->fit_sql;
}

/* A target with a key strategy is not like its shards: it must take their rows. */
static void check_fit(const RouteCompareOpts *o, size_t i, Arena *arena, RouteComparison *c)
{
    const RouteTarget *t = &o->plan->targets[i];
    Target *target = NULL;
    Err err = {0};
    bool ok = target_new((uint32_t)i, o->targets[i], &target, &err);
    if (ok) target_choose_row_key(target, c->groups[0].schema, route_keys_of_target(o->plan, o->keys, i));
    for (size_t m = 0; ok && m < t->n_members; m++) {
        uint32_t at = t->members[m];
        if (!o->shards[at] || !o->keys->keys[at]) continue;
        const RouteEntry *e = &o->plan->entries[at];
        BindOpts opts = {.source_flavor = o->source_is_mariadb[e->source] ? FLAVOR_MARIADB : FLAVOR_MYSQL,
                         .target_is_tidb = o->target_is_tidb,
                         .allow_keyless = o->allow_keyless,
                         .source_logs_cascades = true, /* check looks at that */
                         .keys = o->keys->keys[at]};
        ok = binding_check(e->table, o->shards[at], target, &opts, &err);
    }
    c->state = ok ? TARGET_EQUAL : TARGET_DIFFERS;
    if (!ok) {
        c->misfit = arena_str(arena, str_of(err.message));
        c->remedy = arena_str(arena, str_of(err_remedy(&err)));
        c->differences =
            arena_printf(arena, STR_FMT "\nto run: " STR_FMT, STR_ARG(c->misfit), STR_ARG(c->remedy));
        add_problem(c, ERR_ROUTE_TARGET,
                    arena_printf(arena,
                                 "target " STR_FMT "." STR_FMT " does not fit its key strategy: " STR_FMT,
                                 STR_ARG(t->name.schema), STR_ARG(t->name.table), STR_ARG(c->misfit)));
    }
    target_free(target);
    err_clear(&err);
}

static void compare_target(const RouteCompareOpts *o, size_t i, Arena *arena, RouteComparison *c)
{
    const RouteTarget *t = &o->plan->targets[i];
    Err unfit = {0};
    if (c->n_groups) write_fit(o, t, i, arena, c, &unfit);
    if (!o->targets) {
        err_clear(&unfit);
        return;
    }
    if (!o->targets[i]) plan_creation(o, t, arena, c, &unfit);
    err_clear(&unfit);
    if (!o->targets[i]) return;
    c->state = TARGET_EQUAL;
    if (c->n_groups == 0) return;
    if (route_keys_matter(route_keys_of_target(o->plan, o->keys, i))) {
        check_fit(o, i, arena, c);
        return;
    }
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

/* What the strategies make impossible. */
static void compare_keys(const RouteCompareOpts *o, size_t i, Arena *arena, RouteComparison *c)
{
    const RouteTarget *t = &o->plan->targets[i];
    const KeyFault *f = &o->keys->shares[i];
    for (size_t m = 0; m < t->n_members && !f->text.len; m++)
        f = &o->keys->faults[t->members[m]];
    if (!f->text.len) return;
    add_problem(c, f->code,
                arena_printf(arena, "target " STR_FMT "." STR_FMT ": " STR_FMT, STR_ARG(t->name.schema),
                             STR_ARG(t->name.table), STR_ARG(f->text)));
}

RouteComparison *route_compare(const RouteCompareOpts *opts, Arena *arena)
{
    RouteComparison *list = arena_array(arena, RouteComparison, opts->plan->n_targets);
    for (size_t i = 0; i < opts->plan->n_targets; i++) {
        compare_shards(opts, &opts->plan->targets[i], arena, &list[i]);
        compare_keys(opts, i, arena, &list[i]);
        compare_target(opts, i, arena, &list[i]);
    }
    return list;
}
