/* What a table looks like as it is copied, and tables that change meanwhile (docs/adr/0035).
 *
 * Everything copied of a table is told by one chunk key. It is chosen when the table is first looked at and
 * carried from version to version; where it cannot be carried nothing has been copied yet (load_may_change),
 * and another one is chosen. So a restart finds the key that ranges were cut by from the versions alone. */
#include <stdatomic.h>
#include <stdlib.h>
#include "base/check.h"
#include "load/load_impl.h"
#include "load/unseen.h"
#include "model/applied_set.h"
#include "track/schema_map.h"
#include "base/poison.h"

/* ---- shapes ---- */

static ChunkKey *choose_key(const TableSchema *s, Flavor flavor)
{
    Arena arena = {0};
    Err err = {0};
    TableMap *map;
    ChunkKey *key = NULL;
    if (schema_table_map(s, flavor, &arena, &map, &err)) (void)chunk_key_new(s, map, &key);
    err_clear(&err); /* what cannot be copied at all is told where it is bound */
    arena_done(&arena);
    return key;
}

/* NULL: it cannot be carried. */
static ChunkKey *carry_key(const ChunkKey *key, const SchemaStep *step, Flavor flavor)
{
    Arena arena = {0};
    Err err = {0};
    TableMap *map;
    ChunkKey *next = NULL;
    if (key && step->after && schema_table_map(step->after, flavor, &arena, &map, &err))
        (void)chunk_key_carry(key, step, map, &next);
    err_clear(&err);
    arena_done(&arena);
    return next;
}

static ChunkKey *key_of(const LoadTableInfo *info, Flavor flavor)
{
    ChunkKey *key = choose_key(info->first ? info->first : info->schema, flavor);
    for (uint64_t i = 0; i < info->version; i++) {
        const SchemaStep *step = info->steps[i];
        if (!step->after) continue;
        ChunkKey *next = carry_key(key, step, flavor);
        chunk_key_free(key);
        key = next ? next : choose_key(step->after, flavor);
    }
    return key;
}

bool shape_ask(const Load *l, const Member *m, const StreamPoint *at, LoadShape **out, Err *err)
{
    LoadShape *s = mem_zalloc(sizeof *s);
    if (!l->opts.hooks.table(l->opts.hooks.ctx, l->opts.source, m, at, &s->info, err)) {
        free(s);
        return false;
    }
    s->key = key_of(&s->info, l->flavor);
    *out = s;
    return true;
}

void shapes_free(LoadShape *s)
{
    while (s) {
        LoadShape *older = s->older;
        chunk_key_free(s->key);
        free(s);
        s = older;
    }
}

static void take_shape(LoadTable *t, LoadShape *s)
{
    s->older = t->shape;
    t->shape = s;
    t->stale = false;
}

bool shape_refresh(Load *l, LoadTable *t, Err *err)
{
    while (t->stale && !l->stopping) {
        uint64_t no = t->change_no;
        LoadShape *s;
        pthread_mutex_unlock(&l->mutex);
        bool ok = shape_ask(l, t->member, NULL, &s, err);
        pthread_mutex_lock(&l->mutex);
        if (!ok) return false;
        if (no != t->change_no || !t->stale) { /* another one was quicker */
            shapes_free(s);
            continue;
        }
        take_shape(t, s);
        pthread_cond_broadcast(&l->changed);
    }
    return true;
}

/* ---- changes ---- */

void table_throw(Load *l, LoadTable *t)
{
    for (size_t i = t->n_ranges; i-- > 0;) {
        Range *r = t->ranges[i];
        if (r->state != RANGE_MARKED && r->state != RANGE_READY) continue;
        range_remove(t, r);
        l->held -= MIN(l->held, r->held);
        if (r->state == RANGE_MARKED) {
            r->thrown = true;
            r->held = 0;
            continue;
        }
        for (size_t k = 0; k < l->n_ready; k++)
            if (l->ready[k].range == r) l->ready[k--] = l->ready[--l->n_ready];
        if (r->unit) unit_remove(r->unit);
        r->unit = NULL;
        range_free(r);
    }
    segments_free(t);
    t->plan = PLAN_NONE;
    t->change_no++;
    free(t->trouble_file);
    t->trouble_file = NULL;
    t->trouble_again = false;
}

static bool any_on_its_way(const LoadTable *t, uint64_t before)
{
    bool any = false;
    for (size_t i = 0; i < t->n_ranges; i++) {
        const Range *r = t->ranges[i];
        any |= r->state == RANGE_SENT && r->shape->info.version < before;
    }
    return any;
}

void load_freeze(Load *l, const Member *m, bool frozen)
{
    pthread_mutex_lock(&l->mutex);
    LoadTable *t = load_table_of(l, m);
    if (!t && !frozen && l->threads) {
        t = load_add_table(l, m, NULL);
        unseen_from_here(l);
    }
    if (t) {
        t->frozen = frozen;
        t->left = false;
        if (frozen) {
            table_throw(l, t);
        } else {
            t->stale = true;
            t->change_no++;
            t->behind &= t->complete;
            atomic_store(&l->active, true);
            work_note_done(l, t);
        }
    }
    pthread_cond_broadcast(&l->changed);
    pthread_mutex_unlock(&l->mutex);
}

void load_take_in(Load *l, const Member *m)
{
    pthread_mutex_lock(&l->mutex);
    if (!load_table_of(l, m) && l->threads) {
        load_add_table(l, m, NULL);
        unseen_from_here(l);
    }
    pthread_cond_broadcast(&l->changed);
    pthread_mutex_unlock(&l->mutex);
}

void load_leave(Load *l, const Member *m)
{
    pthread_mutex_lock(&l->mutex);
    LoadTable *t = load_table_of(l, m);
    if (t) {
        table_throw(l, t);
        t->left = true;
        work_note_done(l, t);
    }
    pthread_mutex_unlock(&l->mutex);
}

/* Has the stream come past everything that is committed of the table? */
static bool is_passed(const Load *l, const LoadTable *t)
{
    for (size_t i = 0; i < t->n_ranges; i++)
        if (!t->ranges[i]->covered && !point_reaches(&l->point, &t->ranges[i]->until)) return false;
    return true;
}

void load_changed(Load *l, const Member *m)
{
    pthread_mutex_lock(&l->mutex);
    LoadTable *t = load_table_of(l, m);
    if (t) {
        table_throw(l, t);
        t->stale = true;
        t->behind =
            t->complete && is_passed(l, t); /* else it is read again, and the chunks hold some of it */
    }
    pthread_cond_broadcast(&l->changed);
    pthread_mutex_unlock(&l->mutex);
}

bool load_has_some(Load *l, const Member *m)
{
    pthread_mutex_lock(&l->mutex);
    const LoadTable *t = load_table_of(l, m);
    bool any = false;
    for (size_t i = 0; t && i < t->n_ranges; i++)
        any |= t->ranges[i]->state >= RANGE_SENT;
    pthread_mutex_unlock(&l->mutex);
    return any;
}

bool load_may_change(Load *l, const Member *m, const LoadTableInfo *history, const SchemaStep *step)
{
    bool any = !load_member_is_complete(l, m) && load_has_some(l, m);
    if (!any || !step->after) return true;
    ChunkKey *key = key_of(history, l->flavor), *next;
    next = step->before ? carry_key(key, step, l->flavor) : choose_key(step->after, l->flavor);
    bool may = !key || next; /* a unit is wholly copied, or not at all */
    if (key && next && !step->before) may = chunk_key_same_form(key, next);
    chunk_key_free(key);
    chunk_key_free(next);
    return may;
}

bool load_carries(Load *l, const Member *m, uint64_t version)
{
    pthread_mutex_lock(&l->mutex);
    const LoadTable *t = load_table_of(l, m);
    bool any = l->threads ? t && any_on_its_way(t, version) : !t || !t->complete;
    pthread_mutex_unlock(&l->mutex);
    return any;
}

bool load_is_settled(Load *l, const Member *m)
{
    pthread_mutex_lock(&l->mutex);
    const LoadTable *t = load_table_of(l, m);
    bool still = t ? t->complete || (t->frozen && l->threads && !any_on_its_way(t, UINT64_MAX)) : l->threads;
    pthread_mutex_unlock(&l->mutex);
    return still;
}

bool load_member_is_complete(Load *l, const Member *m)
{
    pthread_mutex_lock(&l->mutex);
    const LoadTable *t = load_table_of(l, m);
    bool complete = t ? t->complete : l->threads;
    pthread_mutex_unlock(&l->mutex);
    return complete;
}
