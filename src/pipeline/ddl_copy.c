/* Members whose schema changes while they are copied: between forks and the copy (docs/adr/0035). Mutex held,
 * but where it says otherwise. */
#include <stdlib.h>
#include "pipeline/ddl_impl.h"
#include "base/poison.h"

static Load *copy_of(const Ddl *d, const DdlMember *m)
{
    return d->p->streams[m->source].load;
}

static bool is_forked(const Ddl *d, const DdlMember *m)
{
    for (const DdlFork *f = d->sources[m->source].forks; f; f = f->next)
        if (f->member == m && !f->finished && !ddl_given_up(f)) return true;
    return false;
}

void ddl_copy_forked(Ddl *d, const DdlMember *m)
{
    if (copy_of(d, m)) load_freeze(copy_of(d, m), m->m, true);
}

/* Its table is gone, and its rows of then are written: there is nothing to read, unless it is made again. */
static bool has_ended(const Ddl *d, const DdlMember *m)
{
    return m->left || (!is_forked(d, m) && m->n_steps && ddl_gone_at(m, UINT64_MAX));
}

void ddl_copy_round_over(Ddl *d, uint32_t source, uint64_t round)
{
    for (const DdlFork *f = d->sources[source].forks; f; f = f->next) {
        const DdlMember *m = f->member;
        if (f->round != round || !copy_of(d, m) || m->left || is_forked(d, m)) continue;
        if (has_ended(d, m))
            ddl_copy_left(d, m);
        else
            load_freeze(copy_of(d, m), m->m, false);
    }
}

void ddl_copy_left(Ddl *d, const DdlMember *m)
{
    if (copy_of(d, m)) load_leave(copy_of(d, m), m->m);
}

void ddl_copy_changed(Ddl *d, uint32_t stream, const DdlMember *m)
{
    Load *l = stream_load(&d->p->streams[stream]);
    if (l) load_changed(l, m->m);
}

bool ddl_copy_is_settled(const Ddl *d, const DdlMember *m)
{
    return !copy_of(d, m) || load_is_settled(copy_of(d, m), m->m);
}

bool ddl_copy_carries(const Ddl *d, const DdlMember *m, uint64_t version)
{
    return copy_of(d, m) && load_carries(copy_of(d, m), m->m, version);
}

static void history_of(const DdlMember *m, uint64_t number, Arena *arena, LoadTableInfo *out)
{
    const SchemaStep **steps = arena_array(arena, const SchemaStep *, m->n_steps + 1);
    out->version = 0;
    for (size_t i = 0; i < m->n_steps && m->steps[i]->number <= number; i++)
        steps[out->version++] = m->steps[i]->step;
    out->first = m->first;
    out->steps = steps;
    out->name = ddl_name_at(m, number);
}

static bool refuse(const DdlMember *m, const DdlEvent *e, const char *why, const char *remedy, Err *err)
{
    return err_set_remedy(err, ERR_SOURCE_DDL, remedy, "%s of " STR_FMT ", %s: " STR_FMT, e->what,
                          STR_ARG(m->label), why, STR_ARG(e->query->sql));
}

/* Rows that go while a part of the table is copied: the part that was not read is gone from the server, so
 * the part that was has to go from the target. */
static bool rows_may_go(const Ddl *d, const DdlMember *m, const SchemaStep *step, LockStepKind kind,
                        const DdlEvent *e, Err *err)
{
    const LossAnswer *says = &m->target->says;
    bool tells = says->tells_rows, parts = kind == LOCK_STEP_PARTITION;
    LossPolicy p = LOSS_HOLD;
    const char *key = NULL;
    switch (kind) {
    case LOCK_STEP_TRUNCATE: p = says->policies.on_truncate, key = "on-truncate"; break;
    case LOCK_STEP_DROP: p = says->policies.on_drop, key = "on-drop"; break;
    case LOCK_STEP_PARTITION: p = says->policies.on_drop_partition, key = "on-drop-partition"; break;
    case LOCK_STEP_RENAME_OUT: p = says->policies.on_rename_out, key = "on-rename-out"; break;
    case LOCK_STEP_SWAP:
        return refuse(m, e, "which is being copied",
                      "start the task anew: tables that are copied may not change places", err);
    case LOCK_STEP_CREATE:
        if (ddl_gone_at(m, UINT64_MAX) || !load_has_some(copy_of(d, m), m->m)) return true;
        return refuse(
            m, e, "which is copied in part",
            "start the task anew: a table that is copied may be dropped and made again, not replaced", err);
    case LOCK_STEP_ALTER:
    case LOCK_STEP_RENAME: return true;
    }
    bool moves_in = step->rows == ROWS_UNKNOWN; /* EXCHANGE, IMPORT: rows that were never copied */
    bool all = p == LOSS_APPLY_WHEN_ALL && kind != LOCK_STEP_RENAME_OUT && !moves_in;
    bool own = p == LOSS_DELETE_ROWS && tells && !parts;
    if (all || own) return true;
    if (p == LOSS_HOLD && !moves_in && !load_has_some(copy_of(d, m), m->m)) return true;
    CLEANUP(sb_done) StrBuf remedy = {0};
    sb_printf(
        &remedy,
        "what was not copied is gone: set %s of its route to %s, which %s, and start the task again; or "
        "start it anew",
        key, parts ? "apply-when-all" : "delete-shard-rows",
        parts                          ? "removes them everywhere when all shards have removed theirs"
        : kind != LOCK_STEP_RENAME_OUT ? "deletes what was copied (or to apply-when-all)"
                                       : "deletes what was copied");
    return refuse(m, e, "which is copied in part", remedy.ptr, err);
}

/* What stays of a table that is copied in part, when a step that took rows away is not to count. */
void ddl_copy_skip_words(const Ddl *d, const DdlMember *m, uint64_t number, StrBuf *words)
{
    LoadProgress g;
    Load *copy = copy_of(d, m);
    const DdlStep *s = number && number <= m->n_steps ? m->steps[number - 1] : NULL;
    bool takes =
        s && s->kind != LOCK_STEP_ALTER && s->kind != LOCK_STEP_RENAME && s->kind != LOCK_STEP_CREATE;
    if (!takes || !copy || load_member_is_complete(copy, m->m) || !load_has_some(copy, m->m)) return;
    load_progress(copy, &g);
    for (size_t i = 0; i < g.n_tables; i++)
        if (g.tables[i].member == m->m)
            sb_printf(words,
                      STR_FMT
                      ": it is copied in part: %llu rows of it that were copied before the statement "
                      "stay in " STR_FMT
                      ", those that were not copied by then do not come; it holds then what the shard "
                      "never had\n",
                      STR_ARG(m->label), (unsigned long long)g.tables[i].rows, STR_ARG(m->target->label));
    load_progress_done(&g);
}

bool ddl_copy_asks(Ddl *d, uint32_t stream, const Member *m)
{
    Load *l = d->p->streams[stream].load;
    return l && !load_member_is_complete(l, m);
}

bool ddl_copy_allows(Ddl *d, uint32_t stream, const DdlMember *m, const SchemaStep *step, LockStepKind kind,
                     const DdlEvent *e, Err *err)
{
    Load *copy = copy_of(d, m), *l = stream_load(&d->p->streams[stream]);
    Arena arena = {0};
    LoadTableInfo history = {0};
    if (!copy || (m->left && kind != LOCK_STEP_CREATE) || load_member_is_complete(copy, m->m)) return true;
    if (d->p->task->load.consistency == LOAD_CONSISTENCY_SNAPSHOT)
        return refuse(
            m, e, "which is being copied from a snapshot",
            "start the task anew with consistency: chunk, or change schemas when the copy is through", err);
    if (l)
        load_freeze(copy, m->m, true); /* it will be: no chunk may slip out between the answer and the fork */
    if (!rows_may_go(d, m, step, kind, e, err)) return false;
    history_of(m, UINT64_MAX, &arena, &history);
    bool may = !l || load_may_change(l, m->m, &history, step);
    arena_done(&arena);
    return may ||
           refuse(
               m, e, "which is copied in part along a key that this changes",
               "start the task anew: while a table is copied, the columns of the key that it is copied "
               "by must stay the first of a unique key without NULLs, with their values and kinds of types",
               err);
}

void ddl_copy_frozen(Ddl *d, const Member *const *members, size_t n, bool *frozen)
{
    pthread_mutex_lock(&d->mutex);
    for (size_t i = 0; i < n; i++) {
        const DdlMember *m = ddl_member(d, members[i]);
        frozen[i] = m && (has_ended(d, m) || is_forked(d, m));
    }
    pthread_mutex_unlock(&d->mutex);
}

void ddl_copy_begun(Ddl *d, uint32_t source)
{
    pthread_mutex_lock(&d->mutex);
    for (const DdlMember *m = d->members; m; m = m->next)
        if (m->source == source && has_ended(d, m)) ddl_copy_left(d, m);
    pthread_mutex_unlock(&d->mutex);
}

/* So many steps lie before the point. */
static uint64_t version_at(const DdlMember *m, const StreamPoint *at)
{
    uint64_t n = 0;
    for (size_t i = 0; i < m->n_steps; i++)
        if (point_covers(at, &m->steps[i]->id)) n = m->steps[i]->number;
    return n;
}

bool ddl_copy_look(Ddl *d, uint32_t stream, const Member *member, const StreamPoint *at, Arena *arena,
                   DdlVersion *v, LoadTableInfo *out, Err *err)
{
    bool ok = true, known = false;
    pthread_mutex_lock(&d->mutex);
    const DdlMember *m = ddl_member(d, member);
    if (m) {
        uint64_t number = at ? version_at(m, at) : m->cursor[ddl_kind(d, stream)];
        ok = ddl_version_at(d, m, number, arena, &known, v, err);
        history_of(m, number, arena, out);
    }
    pthread_mutex_unlock(&d->mutex);
    return ok;
}
