#include "ops/route_keys.h"
#include <stdlib.h>
#include "base/map.h"
#include "route/suspect.h"
#include "base/poison.h"

/* KeyWorld of one source of the plan. */
typedef struct Context {
    const RoutePlan *plan;
    TableSchema *const *shards;
    uint32_t source;
} Context;

static const RouteEntry *entry_of(const Context *c, TableName shard, uint32_t *at)
{
    for (uint32_t i = 0; i < c->plan->n; i++) {
        const RouteEntry *e = &c->plan->entries[i];
        if (e->source != c->source || !table_name_eq(e->table, shard)) continue;
        *at = i;
        return e;
    }
    return NULL;
}

/* The place among the target's members: what a new task gives. A table that is not there yet comes last. */
static bool number(void *ctx, TableName shard, TableName target, uint32_t *out, Err *err)
{
    const Context *c = ctx;
    uint32_t at = 0;
    const RouteEntry *e = entry_of(c, shard, &at);
    (void)err;
    *out = 0;
    for (size_t t = 0; t < c->plan->n_targets; t++) {
        const RouteTarget *rt = &c->plan->targets[t];
        if (!table_name_eq(rt->name, target)) continue;
        *out = (uint32_t)rt->n_members;
        for (size_t m = 0; e && m < rt->n_members; m++)
            if (rt->members[m] == at) *out = (uint32_t)m;
    }
    return true;
}

static const TableSchema *schema(void *ctx, TableName shard)
{
    const Context *c = ctx;
    uint32_t at = 0;
    return entry_of(c, shard, &at) ? c->shards[at] : NULL;
}

static bool next_shard(void *ctx, TableName target, size_t *iter, TableName *out)
{
    const Context *c = ctx;
    for (; *iter < c->plan->n; (*iter)++) {
        const RouteEntry *e = &c->plan->entries[*iter];
        if (e->source != c->source || e->target == ROUTE_NO_TARGET) continue;
        if (!table_name_eq(c->plan->targets[e->target].name, target)) continue;
        *out = e->table;
        (*iter)++;
        return true;
    }
    return false;
}

static void take_fault(KeyFault *f, Arena *arena, Err *err)
{
    *f = (KeyFault){err->code, arena_str(arena, str_of(err->message)),
                    arena_str(arena, str_of(err_remedy(err)))};
    err_clear(err);
}

static void compare_shares(const RoutePlan *plan, const Str *ids, Arena *arena, size_t target, RouteKeys *out)
{
    const RouteTarget *t = &plan->targets[target];
    for (size_t i = 0; i < t->n_members; i++)
        for (size_t j = 0; j < i; j++) {
            const MemberKeys *a = out->keys[t->members[j]], *b = out->keys[t->members[i]];
            const char *why = a && b ? keys_clash(a, b) : NULL;
            if (!why) continue;
            const RouteEntry *x = &plan->entries[t->members[j]], *y = &plan->entries[t->members[i]];
            Err err = {0};
            err_set(&err, ERR_KEY_SHARE,
                    STR_FMT " " STR_FMT "." STR_FMT " and " STR_FMT " " STR_FMT "." STR_FMT ": %s",
                    STR_ARG(ids[x->source]), STR_ARG(x->table.schema), STR_ARG(x->table.table),
                    STR_ARG(ids[y->source]), STR_ARG(y->table.schema), STR_ARG(y->table.table), why);
            take_fault(&out->shares[target], arena, &err);
            return;
        }
}

void route_keys_resolve(const RoutePlan *plan, const Str *source_ids, TableSchema *const *shards,
                        Arena *arena, RouteKeys *out)
{
    out->keys = arena_array(arena, MemberKeys *, plan->n + 1);
    out->faults = arena_array(arena, KeyFault, plan->n + 1);
    out->shares = arena_array(arena, KeyFault, plan->n_targets + 1);
    for (uint32_t i = 0; i < plan->n; i++) {
        const RouteEntry *e = &plan->entries[i];
        if (e->target == ROUTE_NO_TARGET || !shards[i]) continue;
        Context ctx = {plan, shards, e->source};
        KeyWorld world = {plan->routers[e->source], number, schema, next_shard, NULL, &ctx};
        Err err = {0};
        if (keys_resolve(&world, e->table, &e->answer, shards[i], arena, &out->keys[i], &err)) continue;
        out->keys[i] = NULL;
        take_fault(&out->faults[i], arena, &err);
    }
    for (size_t t = 0; t < plan->n_targets; t++)
        compare_shares(plan, source_ids, arena, t, out);
}

const MemberKeys *route_keys_of_target(const RoutePlan *plan, const RouteKeys *k, size_t target)
{
    const RouteTarget *t = &plan->targets[target];
    for (size_t i = 0; i < t->n_members; i++)
        if (k->keys[t->members[i]]) return k->keys[t->members[i]];
    return NULL;
}

bool route_keys_matter(const MemberKeys *keys)
{
    if (!keys) return false;
    return keys->strategy != KEY_STRATEGY_ERROR || keys->n_columns || keys->n_constants ||
           (keys->rule && keys->rule->n_drop_columns);
}

/* -- columns that look like references -- */

/* A target whose ids are rewritten, as columns are compared with. */
typedef struct Parent {
    uint32_t target;
    SuspectParent ids;
} Parent;

static bool is_rewritten(const MemberKeys *keys, Str column)
{
    for (uint32_t i = 0; keys && i < keys->n_columns; i++)
        if (str_ieq(keys->columns[i].column, column)) return true;
    return false;
}

static size_t find_parents(const RoutePlan *plan, TableSchema *const *shards, const RouteKeys *k,
                           Arena *arena, Parent **out)
{
    size_t n = 0;
    *out = arena_array(arena, Parent, plan->n_targets + 1);
    for (uint32_t t = 0; t < plan->n_targets; t++) {
        const RouteTarget *rt = &plan->targets[t];
        for (size_t m = 0; m < rt->n_members; m++) {
            const MemberKeys *keys = k->keys[rt->members[m]];
            if (!keys || keys->own == NO_COLUMN) continue;
            Str id = keys->columns[keys->own].column;
            uint32_t at = schema_column(shards[rt->members[m]], id);
            Str type = shards[rt->members[m]]->columns[at].data_type;
            (*out)[n++] = (Parent){t, {rt->name.table, id, type}};
            break;
        }
    }
    return n;
}

typedef struct Search {
    const RoutePlan *plan;
    TableSchema *const *shards;
    const RouteKeys *k;
    Parent *parents;
    size_t n_parents;
    Arena *arena;
    Map seen; /* child target, parent target, column */
    KeySuspect *list;
    size_t n, cap;
} Search;

static void add_suspect(Search *s, KeySuspect found)
{
    uint32_t child = s->plan->entries[found.entry].target;
    Str key = arena_printf(s->arena, "%u %u " STR_FMT, child, found.parent, STR_ARG(found.column));
    if (map_put(&s->seen, key, s)) return;
    if (s->n == s->cap) {
        s->cap = s->cap ? s->cap * 2 : 16;
        s->list = mem_realloc(s->list, s->cap * sizeof *s->list);
    }
    s->list[s->n++] = found;
}

static void search_entry(Search *s, uint32_t entry)
{
    const RouteEntry *e = &s->plan->entries[entry];
    const TableSchema *t = s->shards[entry];
    for (uint32_t c = 0; c < t->n_columns; c++) {
        const ColumnDef *d = &t->columns[c];
        if (!keys_is_integer(d->data_type) || d->generated || is_rewritten(s->k->keys[entry], d->name))
            continue;
        for (size_t p = 0; p < s->n_parents; p++) {
            const Parent *parent = &s->parents[p];
            if (suspect_reference(d->name, d->data_type, &parent->ids, parent->target == e->target))
                add_suspect(s, (KeySuspect){entry, parent->target, d->name});
        }
    }
}

size_t route_keys_suspects(const RoutePlan *plan, TableSchema *const *shards, const RouteKeys *k,
                           Arena *arena, KeySuspect **out)
{
    Search s = {.plan = plan, .shards = shards, .k = k, .arena = arena};
    s.n_parents = find_parents(plan, shards, k, arena, &s.parents);
    for (uint32_t i = 0; s.n_parents && i < plan->n; i++)
        if (plan->entries[i].target != ROUTE_NO_TARGET && shards[i]) search_entry(&s, i);
    *out = arena_array(arena, KeySuspect, s.n + 1);
    if (s.n) memcpy(*out, s.list, s.n * sizeof *s.list);
    free(s.list);
    map_done(&s.seen);
    return s.n;
}
