/* Where losers of collisions are parked; a target's next definition, with what stands beside it. The
 * catalog's mutex held, or nothing runs yet, but where it says so. */
#include <stdlib.h>
#include "pipeline/catalog_impl.h"
#include "pipeline/policy.h"
#include "store/store_ddl.h"
#include "base/poison.h"

size_t catalog_policy_members(Catalog *c, const Target *t, PolicyMember **out)
{
    size_t n = 0;
    *out = mem_zalloc((c->n_members + 1) * sizeof **out);
    for (const CatalogMember *m = c->member_list; m; m = m->next)
        if (m->m.target == t) (*out)[n++] = (PolicyMember){&m->m, m->keys};
    return n;
}

/* Among those whose source does not answer, or that have left: their rows are there. */
static const Member *stored_owner(Catalog *c, const Target *t, const Str *provenance)
{
    const Member *owner = NULL;
    for (CatalogMember *m = c->member_list; m && !owner; m = m->next) {
        Err later = {0}; /* said when its rows come */
        if (!m->schema || !table_name_eq(m->goes_to, t->name)) continue;
        if (catalog_resolve_keys(c, m, &later)) {
            PolicyMember one = {&m->m, m->keys};
            owner = policy_owner(t, &one, 1, provenance);
        }
        err_clear(&later);
    }
    return owner;
}

static const Member *world_owner(void *ctx, const Target *t, const Str *provenance, uint32_t n)
{
    Catalog *c = ctx;
    PolicyMember *members;
    (void)n;
    pthread_mutex_lock(&c->mutex);
    const Target *now = catalog_find_target(c, t->name); /* t may be one that is yet to take its place */
    size_t n_members = catalog_policy_members(c, now ? now : t, &members);
    const Member *owner = policy_owner(t, members, n_members, provenance);
    free(members);
    if (!owner) owner = stored_owner(c, t, provenance);
    pthread_mutex_unlock(&c->mutex);
    return owner;
}

static uint32_t world_rank(void *ctx, Str source_id)
{
    return policy_source_rank(((Catalog *)ctx)->opts.task, source_id);
}

static Str world_source(void *ctx, uint32_t source)
{
    return policy_source_id(((Catalog *)ctx)->opts.task, source);
}

/* What is known of a target besides its definition. */
typedef struct Standing {
    bool may_differ; /* a change of it was under way when the task ended, or had failed */
    bool changes;    /* the first of these */
    bool gone;       /* it was dropped, and is not made again yet */
} Standing;

/* How what stands beside a target is to be opened; names: the task's. */
typedef struct Opening {
    bool any; /* else nothing does, or it is open */
    MetaTask meta;
    ParkedOpts opts;
    Str *names;
} Opening;

/* members: of the target, as it is now. */
static bool opening_of(Catalog *c, Target *t, const PolicyMember *members, size_t n, const Standing *standing,
                       Opening *o, Err *err)
{
    PolicyAnswer policy;
    *o = (Opening){0};
    if (!policy_check(c->opts.task, t, members, n, &policy, err)) return false;
    if (policy.policy == CONFLICT_STOP || t->parked) return true;
    const MemberKeys *keys = members[0].keys;
    o->any = true;
    o->meta = (MetaTask){.schema = c->opts.task->meta_schema, .task = c->opts.task->name};
    o->names = mem_zalloc((keys->n_constants + 1) * sizeof *o->names);
    for (uint32_t i = 0; i < keys->n_constants; i++)
        o->names[i] = keys->constants[i].rule->column;
    o->opts = (ParkedOpts){.target = t,
                           .provenance = o->names,
                           .n_provenance = keys->n_constants,
                           .order_column = policy.column,
                           .newest_wins = policy.policy == CONFLICT_KEEP_NEWEST,
                           .may_differ = standing->may_differ,
                           .gone = standing->gone,
                           .world = {world_owner, world_rank, world_source, c}};
    return true;
}

/* With or without the mutex: only the new target is written. */
static bool opening_run(Opening *o, Conn *conn, const Dialect *d, Target *t, Err *err)
{
    ParkedTarget *parked = NULL;
    if (!o->any) return true;
    o->opts.meta = &o->meta;
    bool ok = parked_open(conn, d, &o->opts, &parked, err);
    t->parked = parked;
    free(o->names);
    return ok;
}

/* What stands beside the target is opened before the first row is bound to it. */
static bool park(Catalog *c, Conn *conn, const Dialect *d, Target *t, const PolicyMember *members, size_t n,
                 const Standing *standing, Err *err)
{
    Opening o;
    return opening_of(c, t, members, n, standing, &o, err) && opening_run(&o, conn, d, t, err);
}

static bool stands(Catalog *c, TableName name, Standing *out, Err *err)
{
    Arena arena = {0};
    Str json = {0};
    *out = (Standing){0};
    for (size_t i = 0; i < c->n_locked; i++) {
        if (!table_name_eq(c->locked[i].target, name)) continue;
        out->changes = str_eqc(c->locked[i].state, "releasing");
        out->may_differ = out->changes || str_eqc(c->locked[i].state, "operator");
    }
    bool ok = store_dropped_get(c->opts.store, name, &arena, &json, err);
    out->gone = json.len > 0;
    arena_done(&arena);
    return ok;
}

static bool park_members(Catalog *c, Conn *conn, const Dialect *d, Target *t, const PolicyMember *members,
                         size_t n, Err *err)
{
    Standing standing;
    bool was = t->parked != NULL;
    bool ok = stands(c, t->name, &standing, err) && park(c, conn, d, t, members, n, &standing, err);
    if (ok && !was && t->parked && standing.changes) parked_shut(t->parked); /* until that is over */
    return ok;
}

bool catalog_park(Catalog *c, Conn *conn, const Dialect *d, Target *t, Err *err)
{
    PolicyMember *members;
    size_t n = catalog_policy_members(c, t, &members);
    bool ok = park_members(c, conn, d, t, members, n, err);
    free(members);
    return ok;
}

bool catalog_parks(const CatalogMember *m)
{
    return m->keys && m->keys->rule && m->keys->rule->key.on_conflict != CONFLICT_STOP;
}

/* As their lock's record says; what is wrong with one is said when its rows come. */
static void bind_stored(Catalog *c, Target *t, const uint64_t *left, size_t n_left)
{
    for (CatalogMember *m = c->member_list; m; m = m->next) {
        Err later = {0};
        bool goes = m->schema && !m->m.target && table_name_eq(m->goes_to, t->name);
        for (size_t i = 0; goes && i < n_left; i++)
            goes = left[i] != m->number;
        if (goes && catalog_resolve_keys(c, m, &later) && catalog_shares_differ(c, t, m, &later)) {
            if (!t->n_members) target_choose_row_key(t, m->schema, m->keys);
            m->m.target = t;
            t->n_members++;
        }
        err_clear(&later);
    }
}

/* All have left: by any of them, their rules agree. */
static bool park_by_any(Catalog *c, Conn *conn, Target *t, Err *err)
{
    for (CatalogMember *m = c->member_list; m; m = m->next) {
        if (!m->schema || !table_name_eq(m->goes_to, t->name)) continue;
        if (!catalog_resolve_keys(c, m, err)) return false;
        PolicyMember one = {&m->m, m->keys};
        target_choose_row_key(t, m->schema, m->keys);
        return park_members(c, conn, &c->dialect, t, &one, 1, err);
    }
    return true;
}

bool catalog_bind_stored(Catalog *c, Err *err)
{
    Arena arena = {0};
    Conn *conn = NULL;
    Dialect dialect;
    uint64_t *left;
    size_t n_left;
    bool ok = store_left_members(c->opts.store, &arena, &left, &n_left, err);
    for (size_t i = 0; ok && i < c->n_targets; i++) {
        Target *t = c->target_list[i];
        if (t->n_members) continue;
        bind_stored(c, t, left, n_left);
        ok = (conn || catalog_target_connect(c, &conn, &dialect, err)) &&
             (t->n_members ? catalog_park(c, conn, &c->dialect, t, err) : park_by_any(c, conn, t, err));
    }
    conn_close(conn);
    arena_done(&arena);
    return ok;
}

bool catalog_may_park(const Target *t, Err *err)
{
    const struct ParkedTarget *p = t->parked;
    if (!p || !parked_is_apart(p)) return true;
    return err_set_remedy(
        err, ERR_DDL_DIFFERS,
        "end the change of the target: shardmerge locks TASK.yaml shows whether to decide retry "
        "or give-up; where it asks nothing, give the tables beside the target its columns by "
        "hand and start the task again; then resume the source",
        "a change of the target was made by half: %s", p->apart.message);
}

/* -- a definition that is to come; takes the mutex -- */

static bool prepare(Catalog *c, TableSchema *schema, Target **out, Opening *o, Err *err)
{
    PolicyMember *members;
    bool chosen = false;
    const Target *old = catalog_find_target(c, schema->name);
    *out = NULL;
    if (!old)
        return err_set(err, ERR_BUG, "no target " STR_FMT "." STR_FMT, STR_ARG(schema->name.schema),
                       STR_ARG(schema->name.table));
    if (!target_new(old->id, schema, out, err)) return false;
    (*out)->n_members = old->n_members;
    for (CatalogMember *m = c->member_list; m && !chosen; m = m->next) {
        if (m->m.target != old || !m->keys) continue;
        target_choose_row_key(*out, m->schema, m->keys);
        chosen = true;
    }
    size_t n = catalog_policy_members(c, old, &members);
    for (CatalogMember *m = c->member_list; m && !n; m = m->next) { /* no source answers */
        if (!m->keys || !table_name_eq(m->goes_to, old->name)) continue;
        target_choose_row_key(*out, m->schema, m->keys);
        members[n++] = (PolicyMember){&m->m, m->keys};
    }
    bool ok = opening_of(c, *out, members, n, &(Standing){.may_differ = true}, o, err);
    free(members);
    return ok;
}

bool catalog_prepare_target(Catalog *c, Conn *conn, const Dialect *d, TableSchema *schema, Target **out,
                            Err *err)
{
    Opening o = {0};
    pthread_mutex_lock(&c->mutex);
    bool ok = prepare(c, schema, out, &o, err);
    pthread_mutex_unlock(&c->mutex);
    ok = ok && opening_run(&o, conn, d, *out, err); /* the server may be slow: nobody waits for it */
    if (ok) return true;
    if (*out) target_free(*out);
    *out = NULL;
    schema_free(schema);
    return false;
}

void catalog_prepared_free(Target *t)
{
    if (!t) return;
    TableSchema *schema = (TableSchema *)t->schema;
    parked_free(t->parked);
    target_free(t);
    schema_free(schema);
}

void catalog_set_apart(Catalog *c, struct ParkedTarget *parked, const Err *why)
{
    pthread_mutex_lock(&c->mutex);
    if (!parked_is_apart(parked)) err_copy(&parked->apart, why);
    pthread_mutex_unlock(&c->mutex);
}

void catalog_target_apart(Catalog *c, TableName name, StrBuf *why)
{
    pthread_mutex_lock(&c->mutex);
    const Target *t = catalog_find_target(c, name);
    if (t && t->parked && parked_is_apart(t->parked)) sb_c(why, t->parked->apart.message);
    pthread_mutex_unlock(&c->mutex);
}

void catalog_take_prepared(Catalog *c, Target *t)
{
    pthread_mutex_lock(&c->mutex);
    Target *old = catalog_find_target(c, t->name);
    catalog_put_target(c, old, t);
    pthread_mutex_unlock(&c->mutex);
}

struct ParkedTarget *catalog_target_parks(Catalog *c, TableName name)
{
    pthread_mutex_lock(&c->mutex);
    const Target *t = catalog_find_target(c, name);
    struct ParkedTarget *parks = t ? t->parked : NULL;
    pthread_mutex_unlock(&c->mutex);
    return parks;
}
