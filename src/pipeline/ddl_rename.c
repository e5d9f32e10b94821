/* The names of shard tables. A member keeps its identity and follows its table's name; what it is called
 * depends on how far a stream has read. Mutex held. */
#include "pipeline/ddl_impl.h"
#include "base/poison.h"

TableName ddl_name_at(const DdlMember *m, uint64_t number)
{
    TableName name = m->m->name;
    for (size_t i = 0; i < m->n_steps && m->steps[i]->number <= number; i++)
        if (m->steps[i]->step->after) name = m->steps[i]->step->name_after;
    return name;
}

bool ddl_gone_at(const DdlMember *m, uint64_t number)
{
    bool gone = ddl_birth(m) != NULL; /* not there yet */
    for (size_t i = 0; i < m->n_steps && m->steps[i]->number <= number; i++)
        gone = !m->steps[i]->step->after;
    return gone;
}

DdlMember *ddl_bearer(const Ddl *d, uint32_t stream, TableName name)
{
    unsigned kind = ddl_kind(d, stream);
    DdlMember *gone = NULL;
    for (DdlMember *m = d->members; m; m = m->next) {
        if (m->source != ddl_source(d, stream)) continue;
        uint64_t at = m->cursor[kind];
        if (m->was_no_table || !table_name_eq(ddl_name_at(m, at), name)) continue;
        if (!ddl_gone_at(m, at)) return m;
        gone = m;
    }
    return gone;
}

bool ddl_bears(Ddl *d, uint32_t stream, TableName name)
{
    pthread_mutex_lock(&d->mutex);
    bool any = ddl_bearer(d, stream, name) != NULL;
    pthread_mutex_unlock(&d->mutex);
    return any;
}

const Member *ddl_member_named(Ddl *d, uint32_t stream, TableName name)
{
    pthread_mutex_lock(&d->mutex);
    const DdlMember *m = ddl_bearer(d, stream, name);
    pthread_mutex_unlock(&d->mutex);
    return m ? m->m : NULL;
}

/* -- RENAME TABLE a TO b, b TO c -- */

uint32_t ddl_renames(const DdlEvent *e, DdlRename *out, uint32_t cap)
{
    uint32_t n = 0;
    if (strncmp(e->what, "RENAME", 6) != 0) return 0;
    for (size_t i = 0; i + 1 < e->n_tables; i += 2) {
        uint32_t k = 0;
        while (k < n && !table_name_eq(out[k].to, e->tables[i]))
            k++;
        if (k == n) {
            if (n == cap) return UINT32_MAX;
            out[n++] = (DdlRename){e->tables[i], e->tables[i]};
        }
        out[k].to = e->tables[i + 1];
    }
    return n;
}

static bool takes_name(const DdlRename *list, uint32_t n, TableName name)
{
    for (uint32_t i = 0; i < n; i++)
        if (table_name_eq(list[i].to, name) && !table_name_eq(list[i].from, name)) return true;
    return false;
}

bool ddl_creates(const DdlEvent *e)
{
    return strncmp(e->what, "CREATE TABLE", 12) == 0;
}

void ddl_judge_rename(Ddl *d, const DdlMember *m, const DdlEvent *e, const SchemaStep *step,
                      LockStepKind *what)
{
    DdlRename list[DDL_MOST_RENAMES];
    if (table_name_eq(step->name_before, step->name_after)) return;
    uint32_t n = ddl_renames(e, list, DDL_MOST_RENAMES);
    bool swapped = n != UINT32_MAX && takes_name(list, n, step->name_before);
    bool leaves = !catalog_routes_to(d->p->catalog, m->source, step->name_after, m->target->name);
    *what = lock_step_kind(step, leaves, swapped);
}

bool ddl_take_name(Ddl *d, uint32_t stream, const DdlMember *m, const DdlEvent *e, Err *err)
{
    DdlRename list[DDL_MOST_RENAMES];
    TableName name = ddl_name_at(m, UINT64_MAX);
    uint32_t n = ddl_renames(e, list, DDL_MOST_RENAMES);
    for (DdlMember *o = d->members; o; o = o->next) {
        uint64_t at = o->cursor[ddl_kind(d, stream)];
        bool bears = o != m && o->source == m->source && !ddl_gone_at(o, at) && !o->was_no_table &&
                     table_name_eq(ddl_name_at(o, at), name);
        for (uint32_t i = 0; bears && n != UINT32_MAX && i < n; i++)
            bears = !table_name_eq(list[i].from, name); /* its own turn comes with this statement */
        if (!bears) continue;
        LockEvent leave = {.kind = LOCK_EV_LEAVE, .member = (uint32_t)o->no, .at_ms = clock_wall_ms()};
        if (o->joined && !ddl_lock_event(d, o->target, &leave, err)) return false;
        ddl_has_left(d, o);
        o->clean = o->was_no_table = true;
    }
    return true;
}

/* -- finding -- */

bool ddl_find(Ddl *d, uint32_t stream, TableName name, CatalogMemberInfo *out, bool *there)
{
    uint32_t source = ddl_source(d, stream);
    *there = true;
    pthread_mutex_lock(&d->mutex);
    const DdlMember *m = ddl_bearer(d, stream, name);
    if (m) {
        *out = (CatalogMemberInfo){
            .member = m->m, .number = m->no, .first = m->first, .target = m->target->name};
        *there = !m->left && !ddl_gone_at(m, m->cursor[ddl_kind(d, stream)]);
    }
    pthread_mutex_unlock(&d->mutex);
    if (m) return true;
    if (!catalog_routed(d->p->catalog, source, name) ||
        !catalog_find_member(d->p->catalog, source, name, out))
        return false;
    pthread_mutex_lock(&d->mutex);
    bool fresh = !ddl_member(d, out->member); /* who is known here bears another name */
    pthread_mutex_unlock(&d->mutex);
    return fresh;
}

bool ddl_may_rename(Ddl *d, uint32_t stream, const CatalogMemberInfo *info, const DdlRename *r)
{
    uint32_t source = ddl_source(d, stream);
    if (!catalog_routed(d->p->catalog, source, r->to)) return true;
    if (!catalog_routes_to(d->p->catalog, source, r->to, info->target)) return false;
    pthread_mutex_lock(&d->mutex);
    const DdlMember *m = ddl_member(d, info->member);
    bool comes_in = m && m->left && !catalog_routes_to(d->p->catalog, source, r->from, info->target);
    pthread_mutex_unlock(&d->mutex);
    return !comes_in;
}

typedef struct InDatabase {
    Ddl *d;
    uint32_t stream;
    Str schema;
    CatalogMemberInfo *list;
    size_t n;
} InDatabase;

/* The catalog's mutex is held. */
static void in_database(void *ctx, const CatalogMemberInfo *info)
{
    InDatabase *in = ctx;
    if (info->member->source != ddl_source(in->d, in->stream)) return;
    pthread_mutex_lock(&in->d->mutex);
    const DdlMember *m = ddl_member(in->d, info->member);
    uint64_t at = m ? m->cursor[ddl_kind(in->d, in->stream)] : 0;
    TableName name = m ? ddl_name_at(m, at) : info->member->name;
    bool there = !m || (!ddl_gone_at(m, at) && !m->was_no_table);
    pthread_mutex_unlock(&in->d->mutex);
    if (!there || !str_eq(name.schema, in->schema)) return;
    in->list = mem_realloc(in->list, (in->n + 1) * sizeof *in->list);
    in->list[in->n++] = *info;
}

CatalogMemberInfo *ddl_of_database(Ddl *d, uint32_t stream, Str schema, size_t *n)
{
    InDatabase in = {.d = d, .stream = stream, .schema = schema};
    catalog_each_member(d->p->catalog, in_database, &in);
    *n = in.n;
    return in.list;
}

bool ddl_bears_schema(Ddl *d, uint32_t stream, Str schema)
{
    bool any = false;
    unsigned kind = ddl_kind(d, stream);
    pthread_mutex_lock(&d->mutex);
    for (const DdlMember *m = d->members; m && !any; m = m->next)
        any = m->source == ddl_source(d, stream) && !ddl_gone_at(m, m->cursor[kind]) &&
              str_eq(ddl_name_at(m, m->cursor[kind]).schema, schema);
    pthread_mutex_unlock(&d->mutex);
    return any;
}
