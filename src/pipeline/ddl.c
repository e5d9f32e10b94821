/* The state of schema changes: made, read from the state folder, taken down. */
#include <jansson.h>
#include <stdlib.h>
#include "base/check.h"
#include "pipeline/ddl_impl.h"
#include "track/step_json.h"
#include "base/poison.h"

Ddl *ddl_new(Pipeline *p)
{
    Ddl *d = mem_zalloc(sizeof *d);
    d->p = p;
    d->n_sources = p->n_sources;
    d->sources = mem_zalloc((d->n_sources + 1) * sizeof *d->sources);
    CHECK(pthread_mutex_init(&d->mutex, NULL) == 0, "mutex");
    clock_cond_init(&d->changed);
    return d;
}

void ddl_step_done(DdlStep *s)
{
    free((char *)s->identity.ptr);
    free((char *)s->id.file.ptr);
    point_done(&s->before);
    step_free(s->step);
    free(s);
}

void ddl_free(Ddl *d)
{
    if (!d) return;
    for (DdlMember *m = d->members; m; m = m->next) {
        for (size_t i = 0; i < m->n_steps; i++)
            ddl_step_done(m->steps[i]);
        free(m->steps);
        point_done(&m->barrier);
    }
    for (uint32_t i = 0; i < d->n_sources; i++) {
        for (DdlFork *f = d->sources[i].forks, *next; f; f = next) {
            next = f->next;
            point_done(&f->from);
            point_done(&f->to);
            free(f);
        }
        point_done(&d->sources[i].kept);
        point_done(&d->sources[i].begun);
        point_done(&d->sources[i].followed);
        err_clear(&d->sources[i].failed);
        ddl_strict_done(&d->sources[i]);
    }
    for (DdlTarget *t = d->targets; t; t = t->next) {
        ddl_job_done(&t->job);
        ddl_work_done(t);
        lock_free(t->lock);
        version_pool_free(t->pool);
        arena_done(&t->pending_arena);
        free((char *)t->ask.ptr);
        schema_free(t->dropped);
    }
    arena_done(&d->arena);
    free(d->by_id);
    free(d->sources);
    pthread_cond_destroy(&d->changed);
    pthread_mutex_destroy(&d->mutex);
    free(d);
}

/* -- members, targets -- */

DdlMember *ddl_member(Ddl *d, const Member *m)
{
    return m->id < d->n_by_id ? d->by_id[m->id] : NULL;
}

DdlMember *ddl_member_numbered(const Ddl *d, uint64_t no)
{
    for (DdlMember *m = d->members; m; m = m->next)
        if (m->no == no) return m;
    return NULL;
}

DdlTarget *ddl_know_target(Ddl *d, TableName name)
{
    for (DdlTarget *t = d->targets; t; t = t->next)
        if (table_name_eq(t->name, name)) return t;
    DdlTarget *t = arena_new(&d->arena, DdlTarget);
    t->name = (TableName){arena_str(&d->arena, name.schema), arena_str(&d->arena, name.table)};
    t->label = arena_printf(&d->arena, STR_FMT "." STR_FMT, STR_ARG(name.schema), STR_ARG(name.table));
    t->next = d->targets;
    d->targets = t;
    return t;
}

DdlMember *ddl_know_member(Ddl *d, const Member *m, uint64_t no, const TableSchema *first, TableName target)
{
    DdlMember *out = ddl_member(d, m);
    if (out) return out;
    out = arena_new(&d->arena, DdlMember);
    out->m = m;
    out->source = m->source;
    out->no = no;
    out->first = first;
    out->label =
        arena_printf(&d->arena, STR_FMT " " STR_FMT "." STR_FMT, STR_ARG(d->p->task->sources[m->source].id),
                     STR_ARG(m->name.schema), STR_ARG(m->name.table));
    out->target = ddl_know_target(d, target);
    out->next = d->members;
    d->members = out;
    if (m->id >= d->n_by_id) {
        size_t n = m->id + 64;
        d->by_id = mem_realloc(d->by_id, n * sizeof *d->by_id);
        memset(d->by_id + d->n_by_id, 0, (n - d->n_by_id) * sizeof *d->by_id);
        d->n_by_id = n;
    }
    d->by_id[m->id] = out;
    return out;
}

const TableSchema *ddl_schema_at(const DdlMember *m, uint64_t number)
{
    const TableSchema *s = m->first;
    for (size_t i = 0; i < m->n_steps && m->steps[i]->number <= number; i++)
        if (m->steps[i]->step->after) s = m->steps[i]->step->after;
    return s;
}

void ddl_add_step(DdlMember *m, DdlStep *s)
{
    if (m->n_steps == m->cap_steps) {
        m->cap_steps = m->cap_steps ? m->cap_steps * 2 : 8;
        m->steps = mem_realloc(m->steps, m->cap_steps * sizeof(DdlStep *));
    }
    m->steps[m->n_steps++] = s;
}

/* -- forks -- */

DdlFork *ddl_add_fork(Ddl *d, DdlMember *m, const StreamPoint *from, uint64_t needs, uint64_t no)
{
    DdlSource *s = &d->sources[m->source];
    DdlFork *f = mem_zalloc(sizeof *f), **at = &s->forks;
    *f = (DdlFork){.member = m, .no = no, .needs = needs, .since_ms = clock_wall_ms()};
    point_copy(&f->from, from);
    while (*at)
        at = &(*at)->next;
    *at = f;
    atomic_fetch_add(&s->n_forks, 1);
    ddl_copy_forked(d, m);
    return f;
}

DdlFork *ddl_open_fork(const Ddl *d, const DdlMember *m)
{
    for (DdlFork *f = d->sources[m->source].forks; f; f = f->next)
        if (f->member == m && !f->has_to && !ddl_given_up(f)) return f;
    return NULL;
}

void ddl_bump(Ddl *d, uint32_t source)
{
    atomic_fetch_add(&d->sources[source].generation, 1);
    pthread_cond_broadcast(&d->changed);
}

/* -- transactions as JSON -- */

void ddl_txn_json(const TxnId *id, StrBuf *out)
{
    StrBuf gtid = {0};
    if (id->has_gtid) gtid_format(&id->gtid, &gtid);
    json_t *o = json_pack("{s:s%,s:s%,s:I,s:s}", "gtid", gtid.ptr ? gtid.ptr : "", gtid.len, "file",
                          id->file.ptr ? id->file.ptr : "", id->file.len, "end_pos", (json_int_t)id->end_pos,
                          "server", id->server ? id->server : "");
    char *text = json_dumps(o, JSON_COMPACT);
    CHECK(text, "a transaction has a JSON form");
    sb_c(out, text);
    free(text);
    json_decref(o);
    sb_done(&gtid);
}

static bool txn_from_json(Str json, Flavor flavor, TxnId *out, Err *err)
{
    json_error_t where;
    json_t *o = json_loadb(json.ptr, json.len, 0, &where);
    const char *gtid = NULL, *file = NULL, *server = NULL;
    json_int_t end = 0;
    bool ok = o && json_unpack(o, "{s:s,s:s,s:I,s:s}", "gtid", &gtid, "file", &file, "end_pos", &end,
                               "server", &server) == 0;
    *out = (TxnId){0};
    if (!ok) err_set(err, ERR_CORRUPT, "the state folder holds a transaction that cannot be read");
    if (ok && gtid[0]) ok = out->has_gtid = gtid_parse(flavor, str_of(gtid), &out->gtid, err);
    if (ok) {
        out->file = (Str){str_dup(str_of(file)), strlen(file)};
        out->end_pos = (uint64_t)end;
        out->server = server_intern(server);
    }
    json_decref(o);
    return ok;
}

/* -- start -- */

static bool source_of(const Ddl *d, Str id, uint32_t *out)
{
    for (*out = 0; *out < d->n_sources; ++*out)
        if (str_eq(d->p->task->sources[*out].id, id)) return true;
    return false;
}

/* Members of the state folder may have no table on their server any more. */
static bool stored_member(Ddl *d, Str source_id, TableName name, TableName target, DdlMember **out, Err *err)
{
    uint32_t source;
    CatalogMemberInfo info;
    *out = NULL;
    if (!source_of(d, source_id, &source)) return true; /* its source is no more in the task */
    if (!catalog_know_member(d->p->catalog, source, name, target, &info, err)) return false;
    *out = ddl_know_member(d, info.member, info.number, info.first, target);
    return true;
}

static bool read_step(Ddl *d, const StoreStep *t, Err *err)
{
    DdlMember *m;
    if (!stored_member(d, t->source_id, t->member, t->target, &m, err)) return false;
    if (!m) return true;
    DdlStep *s = mem_zalloc(sizeof *s);
    s->number = t->number;
    s->identity = (Str){str_dup(t->identity), t->identity.len};
    s->told = t->told;
    bool ok = point_parse(t->point_json, &s->before, err) &&
              txn_from_json(t->txn_json, s->before.flavor, &s->id, err) &&
              step_from_json(t->change_json, &s->step, err);
    if (ok && !ddl_step_kind_of(t->kind, &s->kind))
        ok = err_set(err, ERR_CORRUPT,
                     "the state folder holds a schema change of an unknown kind '" STR_FMT "'",
                     STR_ARG(t->kind));
    if (ok && t->number != m->n_steps + 1)
        ok = err_set(err, ERR_CORRUPT, "the state folder lacks a schema change of " STR_FMT,
                     STR_ARG(m->label));
    if (ok)
        ddl_add_step(m, s);
    else
        ddl_step_done(s);
    return ok;
}

static bool read_fork(Ddl *d, const StoreFork *t, Err *err)
{
    DdlMember *m;
    StreamPoint from = {0};
    if (!stored_member(d, t->source_id, t->member, t->target, &m, err)) return false;
    if (!m) return true;
    if (!point_parse(t->from_json, &from, err)) return false;
    DdlFork *f = ddl_add_fork(d, m, &from, t->needs, t->fork_no);
    point_done(&from);
    f->round = t->round;
    f->finished = t->finished;
    f->since_ms = t->since_ms;
    f->has_to = t->to_json.len > 0;
    if (f->round && !f->finished) d->sources[m->source].round = f->round;
    return !f->has_to || point_parse(t->to_json, &f->to, err);
}

/* Every live member: so that a lock that begins knows all of its target's. */
static bool read_left(Ddl *d, Arena *arena, Err *err)
{
    uint64_t *left;
    size_t n;
    if (!store_left_members(d->p->store, arena, &left, &n, err)) return false;
    for (DdlMember *m = d->members; m; m = m->next)
        for (size_t i = 0; i < n; i++)
            if (m->no == left[i]) ddl_has_left(d, m);
    for (DdlMember *m = d->members; m; m = m->next)
        if (!m->left) ddl_is_born(m);
    return true;
}

static void live_member(void *ctx, const CatalogMemberInfo *info)
{
    ddl_know_member(ctx, info->member, info->number, info->first, info->target);
}

typedef struct OfSource {
    Ddl *d;
    uint32_t source;
} OfSource;

/* The catalog's mutex is held. */
static void late_member(void *ctx, const CatalogMemberInfo *info)
{
    OfSource *of = ctx;
    if (info->member->source != of->source) return;
    pthread_mutex_lock(&of->d->mutex);
    ddl_know_member(of->d, info->member, info->number, info->first, info->target);
    pthread_mutex_unlock(&of->d->mutex);
}

void ddl_know_source(Ddl *d, uint32_t source)
{
    OfSource of = {d, source};
    catalog_each_member(d->p->catalog, late_member, &of);
}

bool ddl_open(Ddl *d, Err *err)
{
    Arena arena = {0};
    StoreStep *steps;
    StoreFork *forks;
    StoreLock *locks;
    size_t n_steps, n_forks, n_locks;
    if (!catalog_know_stored(d->p->catalog, err)) return false;
    catalog_each_member(d->p->catalog, live_member, d);
    bool ok = store_steps(d->p->store, &arena, &steps, &n_steps, err) &&
              store_forks(d->p->store, &arena, &forks, &n_forks, err) &&
              store_locks(d->p->store, &arena, &locks, &n_locks, err);
    for (size_t i = 0; ok && i < n_steps; i++)
        ok = read_step(d, &steps[i], err);
    for (size_t i = 0; ok && i < n_forks; i++)
        ok = read_fork(d, &forks[i], err);
    ok = ok && read_left(d, &arena, err);
    for (size_t i = 0; ok && i < n_locks; i++)
        ok = ddl_load_lock(d, &locks[i], err);
    for (uint32_t i = 0; ok && i < d->n_sources; i++) {
        DdlSource *s = &d->sources[i];
        ok = store_fork_total(d->p->store, d->p->task->sources[i].id, &s->last_round, &s->total, err);
        s->last_round = MAX(s->last_round, s->round);
        if (ok && s->round) ddl_start_round(d, i);
        atomic_store(&s->generation, 1);
    }
    arena_done(&arena);
    return ok;
}
