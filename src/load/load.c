#include "load/load.h"
#include <stdatomic.h>
#include <stdlib.h>
#include "base/check.h"
#include "base/clock.h"
#include "load/load_impl.h"
#include "load/unseen.h"
#include "base/poison.h"

enum { SHARE_CHUNKS = 4 }; /* chunks that fit the memory share at least */

Load *load_new(const LoadOpts *opts)
{
    Load *l = mem_zalloc(sizeof *l);
    l->opts = *opts;
    l->chunk_bytes = MAX(MIN(opts->options->chunk_bytes, opts->memory_bytes / SHARE_CHUNKS), (size_t)16384);
    l->n_readers = opts->judges_only ? 0 : MAX(opts->options->readers, 1U);
    l->readers = mem_zalloc((l->n_readers + 1) * sizeof *l->readers);
    pthread_mutex_init(&l->mutex, NULL);
    pthread_mutex_init(&l->place_mutex, NULL);
    clock_cond_init(&l->changed);
    for (uint32_t i = 0; i < l->n_readers; i++) {
        l->readers[i] = (LoadReader){.load = l, .index = i, .doing = "idle"};
        l->readers[i].cancel = conn_cancel_new();
    }
    return l;
}

static void table_free(LoadTable *t)
{
    for (size_t i = 0; i < t->n_ranges; i++)
        range_free(t->ranges[i]);
    free(t->ranges);
    segments_free(t);
    shapes_free(t->shape);
    free(t->trouble_file);
    free((char *)t->min.ptr);
    free((char *)t->max.ptr);
    free(t);
}

/* What a run has made: tables, ranges, the stream's point. No reader looks at its table any more, and whoever
 * asks for the progress must not. */
static void forget_run(Load *l)
{
    for (uint32_t i = 0; i < l->n_readers; i++) {
        l->readers[i].table = NULL;
        l->readers[i].doing = "idle";
    }
    for (size_t i = 0; i < l->n_tables; i++)
        table_free(l->tables[i]);
    free(l->tables);
    free(l->by_member);
    free(l->ready);
    free(l->start_file);
    point_done(&l->point);
    unseen_forget(l);
    l->tables = NULL;
    l->by_member = NULL;
    l->ready = NULL;
    l->start_file = NULL;
    l->n_tables = l->cap_tables = l->n_by_member = l->n_ready = l->cap_ready = 0;
    l->held = l->held_pieces = 0;
    l->has_current = l->started = l->stream_waits = false;
    l->server = NULL;
}

void load_free(Load *l)
{
    if (!l) return;
    CHECK(!l->threads, "load_join comes first");
    forget_run(l);
    for (uint32_t i = 0; i < l->n_readers; i++)
        conn_cancel_free(l->readers[i].cancel);
    free(l->readers);
    pthread_mutex_destroy(&l->mutex);
    pthread_mutex_destroy(&l->place_mutex);
    free(l->current_file);
    pthread_cond_destroy(&l->changed);
    free(l);
}

/* ---- tables ---- */

LoadTable *load_table_of(const Load *l, const Member *m)
{
    return m->id < l->n_by_member ? l->by_member[m->id] : NULL;
}

LoadTable *load_add_table(Load *l, const Member *m, LoadShape *shape)
{
    LoadTable *t = mem_zalloc(sizeof *t);
    t->member = m;
    t->shape = shape;
    t->stale = !shape;
    if (m->id >= l->n_by_member) {
        size_t n = m->id + 16;
        l->by_member = mem_realloc(l->by_member, n * sizeof *l->by_member);
        memset(l->by_member + l->n_by_member, 0, (n - l->n_by_member) * sizeof *l->by_member);
        l->n_by_member = n;
    }
    if (l->n_tables == l->cap_tables) {
        l->cap_tables = l->cap_tables ? l->cap_tables * 2 : 16;
        l->tables = mem_realloc(l->tables, l->cap_tables * sizeof *l->tables);
    }
    l->tables[l->n_tables++] = t;
    l->by_member[m->id] = t;
    return t;
}

static bool take_up_chunk(LoadTable *t, const LoadDone *d, Err *err)
{
    Range *r = range_new(d->chunk.lo, d->chunk.hi, RANGE_DONE);
    r->id = d->chunk.id;
    r->rows = d->chunk.rows;
    r->bytes = d->chunk.bytes;
    r->covered = d->chunk.point_json.len == 0;
    if (!r->covered && !point_parse(d->chunk.point_json, &r->until, err)) {
        range_free(r);
        return false;
    }
    t->rows += r->rows;
    t->bytes += r->bytes;
    range_insert(t, r);
    return true;
}

/* The first committed piece found: the rest is in the file, in the version that the table had there. */
static bool take_up_unit(Load *l, LoadTable *t, const LoadDone *d, const LoadShape *shape, Err *err)
{
    Range *r = range_new((Str){0}, (Str){0}, RANGE_SENT);
    r->shape = shape;
    bool ok = unit_open(l, t, shape, &r->unit, err) && point_parse(d->chunk.point_json, &r->until, err);
    if (ok && !r->unit)
        ok = err_set_remedy(err, ERR_SOURCE_SPILL,
                            "bring the file back, or delete the table's rows in sm_chunk and its copied rows",
                            "source %s: table " STR_FMT "." STR_FMT
                            " is copied in part, and the file in the state folder with the rest is gone",
                            l->opts.source_id, STR_ARG(t->member->name.schema),
                            STR_ARG(t->member->name.table));
    if (!ok) {
        range_free(r);
        return false;
    }
    range_insert(t, r);
    return true;
}

static bool take_up_piece(Load *l, LoadTable *t, const LoadDone *d, const LoadShape *shape, Err *err)
{
    if (!t->n_ranges && !take_up_unit(l, t, d, shape, err)) return false;
    Range *r = t->ranges[0];
    if (!r->unit || d->chunk.piece > unit_pieces(r->unit))
        return err_set(err, ERR_CORRUPT,
                       "source %s: a copied piece of table " STR_FMT "." STR_FMT
                       " is not of the file in the state folder",
                       l->opts.source_id, STR_ARG(t->member->name.schema), STR_ARG(t->member->name.table));
    unit_commit(r->unit, d->chunk.piece, d->chunk.id);
    r->rows += d->chunk.rows;
    r->bytes += d->chunk.bytes;
    t->rows += d->chunk.rows;
    t->bytes += d->chunk.bytes;
    if (unit_is_complete(r->unit)) r->state = RANGE_DONE;
    return true;
}

LoadTable *load_table_by_name(const Load *l, TableName name)
{
    for (size_t i = 0; i < l->n_tables; i++)
        if (table_name_eq(l->tables[i]->member->name, name)) return l->tables[i];
    return NULL;
}

/* What tables look like, asked before the mutex is taken. */
typedef struct Looks {
    LoadShape **now;   /* one for each member of the run; NULL: asked for when it is used */
    LoadShape **units; /* of a unit under way: as it was read; NULL: none */
    size_t n;
} Looks;

static void looks_done(Looks *k)
{
    for (size_t i = 0; i < k->n; i++) {
        shapes_free(k->now[i]);
        shapes_free(k->units[i]);
    }
    free(k->now);
    free(k->units);
}

static size_t member_at(const LoadRun *run, TableName name, size_t near)
{
    if (near < run->n_members && table_name_eq(member_copied_as(run->members[near]), name)) return near;
    for (size_t i = 0; i < run->n_members; i++)
        if (table_name_eq(member_copied_as(run->members[i]), name)) return i;
    return SIZE_MAX; /* a table that is not routed any more */
}

static bool look(const Load *l, const LoadRun *run, Looks *k, Err *err)
{
    bool ok = true;
    *k = (Looks){.now = mem_zalloc((run->n_members + 1) * sizeof *k->now),
                 .units = mem_zalloc((run->n_members + 1) * sizeof *k->units),
                 .n = run->n_members};
    for (size_t i = 0; ok && !l->opts.judges_only && i < run->n_members; i++)
        if (!run->frozen || !run->frozen[i]) ok = shape_ask(l, run->members[i], NULL, &k->now[i], err);
    for (size_t i = 0, at = 0; ok && !l->opts.judges_only && i < run->n_done; i++) {
        const TxnChunk *c = &run->done[i].chunk;
        StreamPoint point = {0};
        at = c->piece && c->point_json.len ? member_at(run, run->done[i].table, at) : SIZE_MAX;
        if (at == SIZE_MAX || k->units[at]) continue;
        ok = point_parse(c->point_json, &point, err) &&
             shape_ask(l, run->members[at], &point, &k->units[at], err);
        point_done(&point);
    }
    return ok;
}

/* Nothing is on its way, of what this stream's changes are asked for: a unit is copied or is not. */
static void take_up_for_judging(LoadTable *t, const LoadDone *d)
{
    if (d->chunk.piece && t->n_ranges) return;
    Range *r = d->chunk.piece ? range_new((Str){0}, (Str){0}, RANGE_DONE)
                              : range_new(d->chunk.lo, d->chunk.hi, RANGE_DONE);
    r->id = d->chunk.id;
    r->covered = true; /* all of it lies before the forks that are read again */
    range_insert(t, r);
}

static bool take_up(Load *l, const LoadRun *run, Looks *looks, Err *err)
{
    bool ok = true;
    l->next_chunk = 1;
    for (size_t i = 0; i < run->n_members; i++) {
        LoadTable *t = load_add_table(l, run->members[i], looks->now[i]);
        t->frozen = run->frozen && run->frozen[i];
        LoadShape **oldest = t->shape ? &t->shape->older : &t->shape;
        *oldest = looks->units[i];
        looks->now[i] = NULL; /* the table's; units[i] too, below */
    }
    for (size_t i = 0, at = 0; ok && i < run->n_done; i++) {
        const LoadDone *d = &run->done[i];
        l->next_chunk = MAX(l->next_chunk, d->chunk.id + 1);
        size_t member = member_at(run, d->table, at);
        if (member == SIZE_MAX) continue;
        at = member;
        LoadTable *t = l->tables[at];
        if (l->opts.judges_only)
            take_up_for_judging(t, d);
        else
            ok = d->chunk.piece ? take_up_piece(l, t, d, looks->units[at], err) : take_up_chunk(t, d, err);
    }
    memset(looks->units, 0, looks->n * sizeof *looks->units);
    return ok;
}

/* The coordinator's; others read it under the mutex. */
static void set_threads(Load *l, bool run)
{
    pthread_mutex_lock(&l->mutex);
    l->threads = run;
    pthread_mutex_unlock(&l->mutex);
}

bool load_begin(Load *l, const LoadRun *run, Err *err)
{
    Looks looks;
    CHECK(!l->threads, "load_join comes before the next run");
    pthread_mutex_lock(&l->mutex);
    forget_run(l);
    l->flavor = run->flavor;
    pthread_mutex_unlock(&l->mutex);
    bool ok = look(l, run, &looks, err);
    pthread_mutex_lock(&l->mutex);
    l->run = run->run;
    l->use_gtid = run->from->gtids != NULL;
    l->stopping = false;
    l->rate_from_ms = clock_mono_ms();
    l->rate_rows = 0;
    point_copy(&l->point, run->from);
    ok = ok && take_up(l, run, &looks, err);
    if (ok) {
        atomic_store(&l->active, true);
        for (size_t i = 0; i < l->n_tables; i++)
            work_note_done(l, l->tables[i]);
        if (!l->n_tables) atomic_store(&l->active, false);
    }
    pthread_mutex_unlock(&l->mutex);
    looks_done(&looks);
    if (!ok) return false;
    for (uint32_t i = 0; i < l->n_readers; i++) {
        LoadReader *r = &l->readers[i];
        conn_cancel_reset(r->cancel);
        r->trouble_since_ms = 0;
        CHECK(pthread_create(&r->thread, NULL, reader_main, r) == 0, "threads can be started");
    }
    set_threads(l, true);
    return true;
}

void load_stop(Load *l)
{
    pthread_mutex_lock(&l->mutex);
    l->stopping = true;
    pthread_cond_broadcast(&l->changed);
    pthread_mutex_unlock(&l->mutex);
    for (uint32_t i = 0; i < l->n_readers; i++)
        conn_cancel_fire(l->readers[i].cancel);
}

void load_join(Load *l)
{
    if (!l->threads) return;
    for (uint32_t i = 0; i < l->n_readers; i++)
        pthread_join(l->readers[i].thread, NULL);
    set_threads(l, false);
}

/* ---- commits and merges ---- */

static Range *range_by_id(const LoadTable *t, const TxnChunk *c)
{
    Range *r = range_find(t, c->hi.len ? c->hi : c->lo);
    if (!c->hi.len && t->n_ranges) r = t->ranges[t->n_ranges - 1];
    return r && r->id == c->id ? r : NULL;
}

void load_committed(Load *l, const TxnChunk *c, uint64_t slot)
{
    pthread_mutex_lock(&l->mutex);
    LoadTable *t = c->member->id < l->n_by_member ? l->by_member[c->member->id] : NULL;
    Range *r = !t ? NULL : c->piece ? t->ranges[0] : range_by_id(t, c);
    if (r && r->state == RANGE_SENT) {
        t->rows += c->rows;
        t->bytes += c->bytes;
        t->moved = true;
        r->has_slot = true;
        r->slot = MAX(r->slot, slot);
        if (c->piece) {
            unit_commit(r->unit, c->piece, c->id);
            r->rows += c->rows;
            r->bytes += c->bytes;
            load_give_piece(l, c->bytes);
            if (unit_is_complete(r->unit)) r->state = RANGE_DONE;
        } else {
            l->held -= MIN(l->held, r->held);
            r->held = 0;
            r->state = RANGE_DONE;
        }
        work_note_done(l, t);
    }
    pthread_mutex_unlock(&l->mutex);
}

static bool may_cover(const Range *r, const StreamPoint *floor, uint64_t window_first)
{
    if (r->state != RANGE_DONE || r->pieces_busy) return false; /* its reader looks at the file still */
    if (r->covered) return true;
    if (r->has_slot) return r->slot < window_first;
    if (r->until.gtids) return floor->gtids && gtidset_subset(r->until.gtids, floor->gtids);
    int c;
    return r->until.server && floor->server && strcmp(r->until.server, floor->server) == 0 &&
           place_cmp(r->until.file, r->until.pos, str_of(floor->file), floor->pos, &c) && c <= 0;
}

typedef struct Merges {
    LoadMerge *all;
    size_t n;
} Merges;

/* Ranges [from, to) of one table become one. */
static void add_merge(Merges *m, const LoadTable *t, size_t from, size_t to)
{
    const Range *first = t->ranges[from];
    size_t extra = first->unit ? (size_t)unit_pieces(first->unit) : 0;
    if (to - from == 1 && first->covered) return;
    m->all = mem_realloc(m->all, (m->n + 1) * sizeof *m->all);
    LoadMerge *x = &m->all[m->n++];
    *x = (LoadMerge){.keep = first->unit ? unit_chunk_ids(first->unit)[0] : first->id,
                     .hi = t->ranges[to - 1]->hi};
    x->gone = mem_alloc((to - from + extra) * sizeof *x->gone);
    for (size_t i = from; i < to; i++) {
        x->rows += t->ranges[i]->rows;
        x->bytes += t->ranges[i]->bytes;
        if (i > from) x->gone[x->n_gone++] = t->ranges[i]->id;
    }
    for (size_t i = 1; i < extra; i++)
        x->gone[x->n_gone++] = unit_chunk_ids(first->unit)[i];
}

void load_mergeable(Load *l, const StreamPoint *floor, uint64_t window_first, LoadMerge **out, size_t *n)
{
    Merges m = {0};
    pthread_mutex_lock(&l->mutex);
    for (size_t i = 0; i < l->n_tables; i++) {
        const LoadTable *t = l->tables[i];
        if (t->following) continue;
        for (size_t from = 0, to; from < t->n_ranges; from = to) {
            to = from + 1;
            if (!may_cover(t->ranges[from], floor, window_first)) continue;
            while (to < t->n_ranges && str_eq(t->ranges[to - 1]->hi, t->ranges[to]->lo) &&
                   may_cover(t->ranges[to], floor, window_first))
                to++;
            add_merge(&m, t, from, to);
        }
    }
    pthread_mutex_unlock(&l->mutex);
    *out = m.all;
    *n = m.n;
}

/* Nobody but the coordinator, which calls this, takes ranges that are done away. */
static void merge_here(Load *l, const LoadMerge *m)
{
    for (size_t i = 0; i < l->n_tables; i++) {
        LoadTable *t = l->tables[i];
        for (size_t k = 0; !t->following && k < t->n_ranges; k++) {
            Range *r = t->ranges[k];
            if (r->unit ? unit_chunk_ids(r->unit)[0] != m->keep : r->id != m->keep) continue;
            if (r->unit) {
                unit_remove(r->unit);
                r->unit = NULL;
                r->id = m->keep;
            } else {
                for (size_t g = 0; g < m->n_gone; g++) {
                    Range *gone = t->ranges[k + 1];
                    CHECK(gone->id == m->gone[g], "merged ranges follow each other");
                    range_set_hi(r, gone->hi);
                    range_remove(t, gone);
                    range_free(gone);
                }
            }
            r->rows = m->rows;
            r->bytes = m->bytes;
            r->covered = true;
            point_done(&r->until);
            work_note_done(l, t);
            return;
        }
    }
}

void load_merged(Load *l, LoadMerge *merges, size_t n, bool written)
{
    pthread_mutex_lock(&l->mutex);
    for (size_t i = 0; i < n; i++) {
        if (written) merge_here(l, &merges[i]);
        free(merges[i].gone);
    }
    free(merges);
    pthread_mutex_unlock(&l->mutex);
}

/* ---- what the outside asks ---- */

bool load_is_complete(Load *l)
{
    pthread_mutex_lock(&l->mutex);
    bool all = l->threads;
    for (size_t i = 0; all && i < l->n_tables; i++)
        all = l->tables[i]->complete || l->tables[i]->left;
    pthread_mutex_unlock(&l->mutex);
    return all;
}

bool load_member_moved(Load *l, const Member *m)
{
    pthread_mutex_lock(&l->mutex);
    const LoadTable *t = m->id < l->n_by_member ? l->by_member[m->id] : NULL;
    bool moved = t && t->moved;
    pthread_mutex_unlock(&l->mutex);
    return moved;
}

const char *load_phase_name(LoadPhase p)
{
    static const char *const names[] = {"waiting", "copying", "unit", "following", "held"};
    return names[p];
}

static LoadPhase phase_of(const LoadTable *t)
{
    if (t->complete || t->left) return LOAD_FOLLOWING;
    if (t->frozen) return LOAD_HELD;
    if (t->plan != PLAN_MADE && !t->n_ranges) return LOAD_WAITING;
    return t->shape && !t->shape->key ? LOAD_UNIT : LOAD_COPYING;
}

void load_progress(Load *l, LoadProgress *out)
{
    pthread_mutex_lock(&l->mutex);
    *out = (LoadProgress){.begun = l->threads,
                          .complete = l->threads,
                          .n_tables = l->n_tables,
                          .n_readers = l->n_readers,
                          .tables = mem_zalloc((l->n_tables + 1) * sizeof *out->tables),
                          .readers = mem_zalloc((l->n_readers + 1) * sizeof *out->readers)};
    for (size_t i = 0; i < l->n_tables; i++) {
        const LoadTable *t = l->tables[i];
        LoadTableProgress *p = &out->tables[i];
        *p = (LoadTableProgress){.member = t->member,
                                 .phase = phase_of(t),
                                 .rows = t->rows,
                                 .bytes = t->bytes,
                                 .rows_estimated = t->complete ? t->rows : MAX(t->rows_estimated, t->rows),
                                 .bytes_estimated =
                                     t->complete ? t->bytes : MAX(t->bytes_estimated, t->bytes)};
        out->complete &= t->complete || t->left;
        out->rows += p->rows;
        out->bytes += p->bytes;
        out->rows_estimated += p->rows_estimated;
        out->bytes_estimated += p->bytes_estimated;
    }
    for (uint32_t i = 0; i < l->n_readers; i++)
        out->readers[i] =
            (LoadReaderProgress){.member = l->readers[i].table ? l->readers[i].table->member : NULL,
                                 .doing = l->readers[i].doing,
                                 .chunks = l->readers[i].chunks};
    pthread_mutex_unlock(&l->mutex);
}

void load_progress_done(LoadProgress *p)
{
    free(p->tables);
    free(p->readers);
    *p = (LoadProgress){0};
}
