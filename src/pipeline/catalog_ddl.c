/* The catalog while schemas change. */
#include <stdlib.h>
#include "base/check.h"
#include "pipeline/catalog_impl.h"
#include "pipeline/loss.h"
#include "base/poison.h"

void catalog_follow(Catalog *c, struct Ddl *ddl)
{
    c->ddl = ddl;
}

static void info_of(const CatalogMember *m, CatalogMemberInfo *out)
{
    *out =
        (CatalogMemberInfo){.member = &m->m, .number = m->number, .first = m->schema, .target = m->goes_to};
}

void catalog_each_member(Catalog *c, void (*fn)(void *ctx, const CatalogMemberInfo *info), void *ctx)
{
    pthread_mutex_lock(&c->mutex);
    for (const CatalogMember *m = c->member_list; m; m = m->next) {
        CatalogMemberInfo info;
        info_of(m, &info);
        if (m->schema) fn(ctx, &info);
    }
    pthread_mutex_unlock(&c->mutex);
}

bool catalog_find_member(Catalog *c, uint32_t source, TableName name, CatalogMemberInfo *out)
{
    StrBuf key = {0};
    catalog_member_key(source, name, &key);
    pthread_mutex_lock(&c->mutex);
    const CatalogMember *m = map_get(&c->members, sb_view(&key));
    bool there = m && m->schema;
    if (there) info_of(m, out);
    pthread_mutex_unlock(&c->mutex);
    sb_done(&key);
    return there;
}

bool catalog_know_stored(Catalog *c, Err *err)
{
    Arena arena = {0};
    StoreMember *list;
    size_t n;
    const Task *task = c->opts.task;
    pthread_mutex_lock(&c->mutex);
    bool ok = store_members(c->opts.store, &arena, &list, &n, err);
    for (size_t i = 0; ok && i < n; i++)
        for (uint32_t s = 0; ok && s < task->n_sources; s++) {
            CatalogMember *m;
            bool found;
            if (!str_eq(task->sources[s].id, list[i].source_id)) continue;
            ok = catalog_add_member(c, s, list[i].name, list[i].target, &m, err) &&
                 (m->schema || catalog_stored_schema(c, m, &found, err));
        }
    ok = ok && catalog_bind_stored(c, err);
    pthread_mutex_unlock(&c->mutex);
    arena_done(&arena);
    return ok;
}

bool catalog_know_member(Catalog *c, uint32_t source, TableName name, TableName target,
                         CatalogMemberInfo *out, Err *err)
{
    CatalogMember *m;
    pthread_mutex_lock(&c->mutex);
    bool found = false;
    bool ok =
        catalog_add_member(c, source, name, target, &m, err) && catalog_stored_schema(c, m, &found, err);
    if (ok && !found) ok = catalog_keep_schema(c, m, NULL, (Str){0}, err);
    if (ok) info_of(m, out);
    pthread_mutex_unlock(&c->mutex);
    return ok;
}

static bool routed_member(Catalog *c, uint32_t source, TableName name, CatalogMember **out, Err *err)
{
    Arena scratch = {0};
    RouteAnswer answer;
    router_table(c->plan->routers[source], name, &scratch, &answer);
    bool ok = answer.outcome != ROUTE_AMBIGUOUS ||
              err_set(err, ERR_ROUTE_AMBIGUOUS, "table " STR_FMT "." STR_FMT " matches two rules",
                      STR_ARG(name.schema), STR_ARG(name.table));
    ok = ok && catalog_add_member(c, source, name, answer.target, out, err);
    arena_done(&scratch);
    return ok;
}

bool catalog_new_member(Catalog *c, uint32_t source, TableName name, const TableSchema *schema,
                        CatalogMemberInfo *out, Err *err)
{
    CatalogMember *m;
    pthread_mutex_lock(&c->mutex);
    bool ok = routed_member(c, source, name, &m, err);
    if (ok && !m->schema) m->schema = schema_copy(schema);
    if (ok) info_of(m, out);
    pthread_mutex_unlock(&c->mutex);
    return ok;
}

bool catalog_enter_member(Catalog *c, uint32_t source, TableName name, const TableSchema *schema, bool locked,
                          CatalogMemberInfo *out, Err *err)
{
    return catalog_new_member(c, source, name, schema, out, err) &&
           (locked || catalog_bind(c, out->member, err));
}

/* The oldest keeps the name: it alone may have rows on record under it. */
void catalog_tell_apart(Catalog *c, CatalogMember *m)
{
    c->renamed |= !table_name_eq(m->now, m->m.name);
    if (!c->renamed) return; /* nobody can have had another one's name */
    for (CatalogMember *o = c->member_list; o; o = o->next) {
        CatalogMember *later = o->number > m->number ? o : m;
        if (o == m || o->m.source != m->m.source || !table_name_eq(o->m.name, m->m.name)) continue;
        later->m.copied_as.table = arena_printf(&c->arena, "#%llu", (unsigned long long)later->number);
    }
}

void catalog_rename(Catalog *c, const Member *member, TableName name)
{
    CatalogMember *m = (CatalogMember *)member;
    StrBuf old = {0}, now = {0};
    pthread_mutex_lock(&c->mutex);
    if (!table_name_eq(m->now, name)) {
        TableName was = m->now;
        c->renamed = true;
        catalog_member_key(m->m.source, was, &old);
        catalog_member_key(m->m.source, name, &now);
        CatalogMember *other = map_take(&c->members, sb_view(&now));
        map_take(&c->members, sb_view(&old));
        m->now = (TableName){arena_str(&c->arena, name.schema), arena_str(&c->arena, name.table)};
        map_put(&c->members, sb_view(&now), m);
        if (other) {
            other->now = was;
            if (!other->schema) { /* nobody has ever read it */
                other->m.name = was;
                catalog_tell_apart(c, other);
            }
            map_put(&c->members, sb_view(&old), other);
        }
    }
    pthread_mutex_unlock(&c->mutex);
    sb_done(&old);
    sb_done(&now);
}

bool catalog_routes_to(Catalog *c, uint32_t source, TableName name, TableName target)
{
    Arena scratch = {0};
    RouteAnswer answer;
    router_table(c->plan->routers[source], name, &scratch, &answer);
    bool same = answer.outcome != ROUTE_FILTERED && answer.outcome != ROUTE_AMBIGUOUS &&
                table_name_eq(answer.target, target);
    arena_done(&scratch);
    return same;
}

bool catalog_adopt(Catalog *c, CatalogMember *m, Err *err)
{
    Target *t = catalog_find_target(c, m->goes_to);
    if (!t || !m->schema || !ddl_has_lock(c->ddl, &m->m)) return true;
    if (!catalog_resolve_keys(c, m, err)) return false;
    if (catalog_parks(m) && !t->parked) return true; /* what stands beside it is opened first */
    if (!catalog_shares_differ(c, t, m, err)) return false;
    m->m.target = t;
    t->n_members++;
    return true;
}

/* -- rows that go -- */

/* All that have ever gone there, those that left too: their rows may be there still. members: room for all.
 */
static bool ever_members(Catalog *c, const Target *t, PolicyMember *members, size_t *n, Err *err)
{
    bool ok = true;
    for (CatalogMember *m = c->member_list; ok && m; m = m->next) {
        if (!table_name_eq(m->goes_to, t->name) || !m->schema) continue;
        ok = catalog_resolve_keys(c, m, err);
        members[(*n)++] = (PolicyMember){&m->m, m->keys};
    }
    return ok;
}

bool catalog_target_losses(Catalog *c, TableName target, LossAnswer *out, Err *err)
{
    PolicyMember *members;
    *out = (LossAnswer){0};
    pthread_mutex_lock(&c->mutex);
    const Target *t = catalog_find_target(c, target);
    bool ok = true;
    if (t) {
        size_t n = catalog_policy_members(c, t, &members);
        if (!n) ok = ever_members(c, t, members, &n, err);
        ok = ok && loss_check(c->opts.task, t, members, n, out, err);
        free(members);
    }
    pthread_mutex_unlock(&c->mutex);
    return ok;
}

static bool others_differ(Catalog *c, const Target *t, Err *err)
{
    PolicyMember *members = mem_zalloc((c->n_members + 1) * sizeof *members);
    size_t n = 0;
    bool ok = ever_members(c, t, members, &n, err);
    LossAnswer answer;
    ok = ok && loss_check(c->opts.task, t, members, n, &answer, err);
    if (ok && !answer.tells_rows)
        ok = err_set(err, ERR_KEY_STRATEGY, "target " STR_FMT ": nothing tells the rows of its shards apart",
                     STR_ARG(t->sql_name));
    free(members);
    return ok;
}

static void order_of(const Target *t, StrBuf *order, StrBuf *first)
{
    if (t->row_key == NO_COLUMN || t->keys[t->row_key].logical) return;
    const TargetKey *k = &t->keys[t->row_key];
    for (uint32_t i = 0; i < k->n_parts; i++) {
        if (i) sb_ch(order, ',');
        sb_ident(order, t->schema->columns[k->parts[i].column].name);
    }
    const ColumnDef *c = &t->schema->columns[k->parts[0].column];
    if (keys_is_integer(c->data_type) || str_eqc(c->data_type, "char") || str_eqc(c->data_type, "varchar"))
        sb_ident(first, c->name);
}

bool catalog_rows_of(Catalog *c, const Member *member, StrBuf *where, StrBuf *order, StrBuf *first, Err *err)
{
    CatalogMember *m = (CatalogMember *)member;
    pthread_mutex_lock(&c->mutex);
    const Target *t = catalog_find_target(c, m->goes_to);
    bool ok = t != NULL || err_set(err, ERR_KEY_STRATEGY, "no target " STR_FMT "." STR_FMT,
                                   STR_ARG(m->goes_to.schema), STR_ARG(m->goes_to.table));
    ok = ok && others_differ(c, t, err) && catalog_resolve_keys(c, m, err) &&
         loss_rows_of(t, m->keys, where, err);
    if (ok) order_of(t, order, first);
    pthread_mutex_unlock(&c->mutex);
    return ok;
}

/* -- targets -- */

bool catalog_target_live(Catalog *c, TableName name, const TableSchema **out)
{
    pthread_mutex_lock(&c->mutex);
    const Target *t = catalog_find_target(c, name);
    if (t) *out = t->schema;
    pthread_mutex_unlock(&c->mutex);
    return t != NULL;
}

bool catalog_target_plain(Catalog *c, TableName name, const TableSchema **out)
{
    pthread_mutex_lock(&c->mutex);
    const Target *t = catalog_find_target(c, name);
    if (t) *out = t->schema;
    for (const CatalogMember *m = c->member_list; t && m; m = m->next) {
        if (m->m.target != t || !m->keys || (!m->keys->n_columns && !m->keys->n_constants)) continue;
        *out = m->schema; /* the list is newest first: the last one counts */
    }
    pthread_mutex_unlock(&c->mutex);
    return t != NULL;
}

bool catalog_target_keyed(Catalog *c, TableName name)
{
    pthread_mutex_lock(&c->mutex);
    const Target *t = catalog_find_target(c, name);
    bool keyed = false;
    for (const CatalogMember *m = c->member_list; t && m && !keyed; m = m->next) {
        if (m->m.target != t || !m->keys) continue;
        KeyStrategy s = m->keys->strategy;
        keyed = m->keys->n_columns || s == KEY_STRATEGY_COMPOSITE || s == KEY_STRATEGY_PLAIN_INDEX ||
                (m->keys->n_constants && !t->parked);
    }
    pthread_mutex_unlock(&c->mutex);
    return keyed;
}

void catalog_put_target(Catalog *c, Target *old, Target *t)
{
    CLEANUP(sb_done) StrBuf key = {0};
    table_name_plain(old->name, &key);
    map_put(&c->targets, sb_view(&key), t);
    for (size_t i = 0; i < c->n_targets; i++)
        if (c->target_list[i] == old) c->target_list[i] = t;
    bool chosen = false;
    t->changes = true;
    for (CatalogMember *m = c->member_list; m; m = m->next) {
        if (m->m.target != old) continue;
        m->m.target = t;
        if (!chosen && m->keys) target_choose_row_key(t, m->schema, m->keys);
        chosen |= m->keys != NULL;
    }
    c->old_targets = mem_realloc(c->old_targets, (c->n_old_targets + 1) * sizeof(Target *));
    c->old_targets[c->n_old_targets++] = old;
}

/* The new definition takes the old one's place and number. */
static bool replace_target(Catalog *c, Target *old, TableSchema *schema, Err *err)
{
    Target *t;
    if (old->parked) /* what stands beside it has the old columns, and statements without provenance are not
                        safe */
        return err_set(err, ERR_BUG, "target " STR_FMT ": its new definition was not prepared",
                       STR_ARG(old->sql_name));
    if (!target_new(old->id, schema, &t, err)) return false;
    t->n_members = old->n_members;
    catalog_put_target(c, old, t);
    return true;
}

bool catalog_set_target(Catalog *c, TableName name, TableSchema *schema, Err *err)
{
    pthread_mutex_lock(&c->mutex);
    Target *old = catalog_find_target(c, name);
    bool ok = old ? replace_target(c, old, schema, err)
                  : err_set(err, ERR_BUG, "no target " STR_FMT "." STR_FMT, STR_ARG(name.schema),
                            STR_ARG(name.table));
    pthread_mutex_unlock(&c->mutex);
    return ok;
}

bool catalog_fits(Catalog *c, const Member *member, const DdlVersion *v, Err *err)
{
    CatalogMember *m = (CatalogMember *)member;
    pthread_mutex_lock(&c->mutex);
    const Target *t = catalog_find_target(c, m->goes_to);
    bool ok = t != NULL || err_set(err, ERR_BUG, "no target " STR_FMT "." STR_FMT, STR_ARG(m->goes_to.schema),
                                   STR_ARG(m->goes_to.table));
    ok = ok && catalog_resolve_keys(c, m, err);
    if (ok) {
        BindOpts opts = catalog_bind_opts(c, m->m.source, &c->dialect);
        opts.keys = m->keys;
        opts.feeds = v->feeds;
        ok = binding_check(m->m.name, v->schema, t, &opts, err);
    }
    pthread_mutex_unlock(&c->mutex);
    return ok;
}
