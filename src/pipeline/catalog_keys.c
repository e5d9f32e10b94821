/* The keys of shard tables in their targets, as the routes say. The catalog's mutex held, or nothing runs
 * yet; catalog_rewrites takes it. */
#include <stdlib.h>
#include "pipeline/catalog_impl.h"
#include "pipeline/policy.h"
#include "base/map.h"
#include "base/poison.h"

/* KeyWorld of one source. */
typedef struct KeyContext {
    Catalog *c;
    uint32_t source;
    const CatalogMember *member; /* whose keys are asked for */
} KeyContext;

static bool key_number(void *ctx, TableName shard, TableName target, uint32_t *out, Err *err)
{
    const KeyContext *k = ctx;
    CatalogMember *m;
    return catalog_add_member(k->c, k->source, shard, target, &m, err) &&
           store_shard_number(k->c->opts.store, m->number, target, out, err);
}

static const TableSchema *key_schema(void *ctx, TableName shard)
{
    const KeyContext *k = ctx;
    StrBuf key = {0};
    catalog_member_key(k->source, shard, &key);
    const CatalogMember *m = map_get(&k->c->members, sb_view(&key));
    sb_done(&key);
    return m ? m->schema : NULL;
}

/* *iter: how many members of the list were passed. */
static bool key_next_shard(void *ctx, TableName target, size_t *iter, TableName *out)
{
    const KeyContext *k = ctx;
    size_t i = 0;
    for (const CatalogMember *m = k->c->member_list; m; m = m->next) {
        if (i++ < *iter || m->m.source != k->source || !table_name_eq(m->goes_to, target)) continue;
        *iter = i;
        *out = m->m.name;
        return true;
    }
    return false;
}

static Str space_text(Arena *a, Str s)
{
    return s.len ? arena_str(a, s) : (Str){0};
}

/* A map knows a shard table by the name that it was first known by; a foreign key may name it as it is called
 * now. */
static TableName space_shard(const KeyContext *k, TableName shard)
{
    CLEANUP(sb_done) StrBuf key = {0};
    if (table_name_eq(shard, k->member->m.name)) return shard;
    catalog_member_key(k->source, shard, &key);
    const CatalogMember *m = map_get(&k->c->members, sb_view(&key));
    return m ? m->m.name : shard;
}

static const KeySpace *key_space(void *ctx, const KeySpace *like)
{
    const KeyContext *k = ctx;
    Catalog *c = k->c;
    TableName shard = space_shard(k, like->shard);
    CLEANUP(sb_done) StrBuf key = {0};
    sb_printf(&key, STR_FMT "\n", STR_ARG(like->source));
    table_name_sql(shard, &key);
    table_name_sql(like->target, &key);
    KeySpace *s = map_get(&c->spaces, sb_view(&key));
    if (s) return s;
    s = arena_new(&c->arena, KeySpace);
    *s = (KeySpace){
        .id = (uint32_t)c->spaces.count,
        .source = space_text(&c->arena, like->source),
        .shard = {space_text(&c->arena, shard.schema), space_text(&c->arena, shard.table)},
        .target = {space_text(&c->arena, like->target.schema), space_text(&c->arena, like->target.table)},
        .column = space_text(&c->arena, like->column)};
    map_put(&c->spaces, sb_view(&key), s);
    return s;
}

bool catalog_resolve_keys(Catalog *c, CatalogMember *m, Err *err)
{
    if (m->keys) return true;
    KeyContext ctx = {c, m->m.source, m};
    KeyWorld world = {c->plan->routers[m->m.source], key_number, key_schema, key_next_shard, key_space, &ctx};
    RouteAnswer *answer = arena_new(&c->arena, RouteAnswer);
    router_table(world.router, m->m.name, &c->arena, answer);
    return keys_resolve(&world, m->m.name, answer, m->schema, &c->arena, &m->keys, err) ||
           err_wrap(err, "source " STR_FMT, STR_ARG(c->opts.task->sources[m->m.source].id));
}

bool catalog_shares_differ(Catalog *c, const Target *t, const CatalogMember *m, Err *err)
{
    for (const CatalogMember *other = c->member_list; other; other = other->next) {
        if (other == m || other->m.target != t || !other->keys) continue;
        const char *why = keys_clash(other->keys, m->keys);
        if (!why) continue;
        return err_set(err, ERR_KEY_SHARE,
                       "target " STR_FMT ": source " STR_FMT " table " STR_FMT "." STR_FMT
                       " and source " STR_FMT " table " STR_FMT "." STR_FMT ": %s",
                       STR_ARG(t->sql_name), STR_ARG(c->opts.task->sources[other->m.source].id),
                       STR_ARG(other->m.name.schema), STR_ARG(other->m.name.table),
                       STR_ARG(c->opts.task->sources[m->m.source].id), STR_ARG(m->m.name.schema),
                       STR_ARG(m->m.name.table), why);
    }
    return true;
}

bool catalog_rewrites(Catalog *c, const Target *t, Str column)
{
    PolicyMember *members;
    pthread_mutex_lock(&c->mutex);
    size_t n = catalog_policy_members(c, t, &members);
    bool yes = policy_rewrites(members, n, column);
    pthread_mutex_unlock(&c->mutex);
    free(members);
    return yes;
}
