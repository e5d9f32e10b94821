/* What a reader does next. A table is planned first: its gaps (what no range covers) become segments, each
 * read from its lower end by one reader at a time; a reader without a segment splits the rest of another
 * one's. */
#include <stdatomic.h>
#include <stdlib.h>
#include "base/check.h"
#include "base/clock.h"
#include "load/load_impl.h"
#include "load/unseen.h"
#include "base/poison.h"

enum {
    LEAST_CHUNK_ROWS = 16,
    MOST_HALVINGS = 48,
};

static Str keep(Str s)
{
    return s.len ? (Str){str_dup(s), s.len} : (Str){0};
}

static void set_key(Str *at, Str value)
{
    Str copy = keep(value);
    free((char *)at->ptr);
    *at = copy;
}

/* ---- segments ---- */

static void segment_drop(LoadTable *t, size_t at)
{
    Segment *s = &t->segments[at];
    free((char *)s->next.ptr);
    free((char *)s->hi.ptr);
    free((char *)s->mark_hi.ptr);
    memmove(s, s + 1, (t->n_segments - at - 1) * sizeof *s);
    t->n_segments--;
}

static Segment *segment_add(LoadTable *t, Str next, Str hi, unsigned halvings)
{
    t->segments = mem_realloc(t->segments, (t->n_segments + 1) * sizeof *t->segments);
    Segment *s = &t->segments[t->n_segments++];
    *s = (Segment){.next = keep(next), .hi = keep(hi), .halvings = halvings};
    return s;
}

void segments_free(LoadTable *t)
{
    while (t->n_segments)
        segment_drop(t, t->n_segments - 1);
    free(t->segments);
    t->segments = NULL;
}

/* Cuts (lo, hi] into 2^depth segments of about the same stretch of keys. */
static void cut(LoadTable *t, Str lo, Str hi, unsigned depth, unsigned halvings)
{
    StrBuf mid = {0};
    Str from = lo.len || !t->min.len ? lo : t->min, to = hi.len ? hi : t->max;
    if (depth && t->shape->key && chunk_key_middle(t->shape->key, from, to, &mid)) {
        cut(t, lo, sb_view(&mid), depth - 1, halvings);
        cut(t, sb_view(&mid), hi, depth - 1, halvings);
    } else {
        segment_add(t, lo, hi, halvings);
    }
    sb_done(&mid);
}

void work_planned(Load *l, const Work *w, Str min, Str max)
{
    unsigned depth = 0, halvings = 0;
    LoadTable *t = w->table;
    pthread_mutex_lock(&l->mutex);
    if (w->change_no != t->change_no) { /* of what it was before */
        pthread_mutex_unlock(&l->mutex);
        return;
    }
    uint64_t left = t->rows_estimated > t->rows ? t->rows_estimated - t->rows : 0;
    set_key(&t->min, min);
    set_key(&t->max, max);
    t->chunk_rows = l->opts.options->chunk_rows;
    if (t->rows_estimated && t->bytes_estimated / t->rows_estimated > 0)
        t->chunk_rows = MIN(t->chunk_rows, MAX(l->chunk_bytes / (t->bytes_estimated / t->rows_estimated),
                                               (uint64_t)LEAST_CHUNK_ROWS));
    while (depth < 5 && (1U << depth) < l->n_readers && left >> depth > 2 * t->chunk_rows)
        depth++;
    while (halvings < MOST_HALVINGS && left >> (depth + halvings) > 2 * t->chunk_rows)
        halvings++;
    Str from = {0};
    for (size_t i = 0; i < t->n_ranges; i++) {
        const Range *r = t->ranges[i];
        if (!str_eq(r->lo, from)) cut(t, from, r->lo, depth, halvings);
        from = r->hi;
        if (!r->hi.len) break;
    }
    if (!t->n_ranges || from.len) cut(t, from, (Str){0}, t->shape->key ? depth : 0, halvings);
    t->plan = PLAN_MADE;
    pthread_cond_broadcast(&l->changed);
    pthread_mutex_unlock(&l->mutex);
}

/* ---- choosing ---- */

static size_t free_segment(const LoadTable *t)
{
    for (size_t i = 0; i < t->n_segments; i++)
        if (!t->segments[i].busy) return i;
    return SIZE_MAX;
}

/* Halves what a busy segment has not marked yet; the upper half is free. */
static size_t split_segment(LoadTable *t)
{
    StrBuf mid = {0};
    size_t made = SIZE_MAX;
    for (size_t i = 0; t->shape->key && made == SIZE_MAX && i < t->n_segments; i++) {
        Segment *s = &t->segments[i];
        Str hi = s->hi.len ? s->hi : t->max;
        sb_clear(&mid);
        if (!s->busy || !s->mark_hi.len || !hi.len || chunk_key_cmp(s->mark_hi, hi) >= 0) continue;
        if (!chunk_key_middle(t->shape->key, s->mark_hi, hi, &mid)) continue;
        Str old_hi = keep(s->hi);
        unsigned halvings = s->halvings ? s->halvings - 1 : 0;
        set_key(&s->hi, sb_view(&mid));
        segment_add(t, sb_view(&mid), old_hi, halvings); /* s may have moved */
        free((char *)old_hi.ptr);
        made = t->n_segments - 1;
    }
    sb_done(&mid);
    return made;
}

static bool has_room(const Load *l)
{
    return l->held == 0 || l->held + l->chunk_bytes <= l->opts.memory_bytes;
}

/* rows-per-second: may another chunk begin now? */
static bool rate_allows(Load *l, int64_t now, int64_t *wait_until)
{
    uint64_t rate = l->opts.options->rows_per_second;
    if (!rate) return true;
    int64_t due = l->rate_from_ms + (int64_t)(l->rate_rows * 1000 / rate);
    if (due <= now) {
        if (now - due > 1000) { /* no saving up */
            l->rate_from_ms = now;
            l->rate_rows = 0;
        }
        return true;
    }
    *wait_until = MIN(*wait_until, due);
    return false;
}

/* What a read has to see: all that the stream has seen, the transaction in hand too. */
static void mark_point(const Load *l, StreamPoint *out)
{
    point_copy(out, &l->point);
    if (!l->has_current) return;
    if (l->current.has_gtid && out->gtids) gtidset_add(out->gtids, &l->current.gtid);
    if (l->current.file.len) point_set_file(out, l->current.file, l->current.end_pos);
}

static void mark_chunk(Load *l, LoadTable *t, size_t at, Work *out)
{
    Segment *s = &t->segments[at];
    StrBuf mid = {0};
    Str hi = s->hi;
    Str top = s->hi.len ? s->hi : t->max;
    if (t->shape->key && (!s->next.len || !top.len || chunk_key_cmp(s->next, top) < 0)) {
        Str low = s->next.len ? s->next : t->min;
        StrBuf best = {0};
        Str high = top;
        for (unsigned i = 0; i < s->halvings && low.len && high.len; i++) {
            sb_clear(&mid);
            if (!chunk_key_middle(t->shape->key, low, high, &mid)) break;
            sb_clear(&best);
            sb_str(&best, sb_view(&mid));
            high = sb_view(&best);
        }
        if (best.len) hi = sb_view(&best);
        set_key(&s->mark_hi, hi);
        sb_done(&best);
        hi = s->mark_hi;
    } else {
        set_key(&s->mark_hi, hi);
    }
    sb_done(&mid);
    s->busy = true;
    Range *r = range_new(s->next, hi, RANGE_MARKED);
    r->shape = t->shape;
    r->held = l->chunk_bytes;
    l->held += r->held;
    range_insert(t, r);
    t->unit_busy = !t->shape->key;
    *out = (Work){.kind = t->shape->key ? WORK_CHUNK : WORK_UNIT,
                  .table = t,
                  .shape = t->shape,
                  .change_no = t->change_no,
                  .range = r,
                  .limit = t->chunk_rows};
    mark_point(l, &out->mark);
}

/* A unit whose file is complete and that the stream has come to. */
static Range *sent_unit(const LoadTable *t)
{
    Range *r = t->n_ranges == 1 ? t->ranges[0] : NULL;
    return r && r->unit && r->state == RANGE_SENT && !r->pieces_busy && !r->pieces_sent ? r : NULL;
}

/* Did a read of it fail, and has the stream not come to where the server was then? */
static bool is_suspect(const Load *l, LoadTable *t)
{
    int c;
    if (!t->trouble_file) return false;
    if (!l->point.file ||
        !place_cmp(l->point.file, l->point.pos, str_of(t->trouble_file), t->trouble_pos, &c) || c < 0)
        return true;
    free(t->trouble_file);
    t->trouble_file = NULL;
    t->trouble_again = true;
    return false;
}

static bool choose(Load *l, Work *out, int64_t now, int64_t *wait_until, const char **why)
{
    for (size_t i = 0; i < l->n_tables; i++) {
        LoadTable *t = l->tables[i];
        Range *unit = sent_unit(t);
        if (unit) {
            unit->pieces_busy = true;
            *out = (Work){.kind = WORK_PIECES, .table = t, .shape = unit->shape, .range = unit};
            return true;
        }
    }
    *why = "waiting for the stream";
    if (!l->started) return false;
    *why = "waiting for room";
    if (!has_room(l)) return false;
    *why = "held back by rows-per-second";
    if (!rate_allows(l, now, wait_until)) return false;
    *why = "held back by max-lag";
    /* In mode snapshot the stream waits for whatever is not copied yet: its lag is the copy's then. */
    bool lag_is_ours = l->stream_waits && load_has_snapshot(l);
    if (l->opts.options->max_lag_ms && !lag_is_ours &&
        l->opts.hooks.is_behind(l->opts.hooks.ctx, l->opts.source)) {
        *wait_until = MIN(*wait_until, now + 200);
        return false;
    }
    *why = "idle";
    for (size_t i = 0; i < l->n_tables; i++) {
        LoadTable *t = l->tables[i];
        if (t->complete || t->frozen || t->left || t->unit_busy) continue;
        if (is_suspect(l, t)) {
            *wait_until = MIN(*wait_until, now + 100);
            continue;
        }
        if (t->plan == PLAN_NONE) {
            t->plan = PLAN_BUSY;
            *out = (Work){.kind = t->stale ? WORK_SHAPE : WORK_PLAN,
                          .table = t,
                          .shape = t->shape,
                          .change_no = t->change_no};
            return true;
        }
        if (t->plan != PLAN_MADE) continue;
        size_t at = free_segment(t);
        if (at == SIZE_MAX) at = split_segment(t);
        if (at == SIZE_MAX) continue;
        mark_chunk(l, t, at, out);
        return true;
    }
    return false;
}

static bool nothing_left(const Load *l)
{
    for (size_t i = 0; i < l->n_tables; i++)
        if (!l->tables[i]->complete && !l->tables[i]->left) return false;
    return true;
}

bool work_next(Load *l, LoadReader *r, Work *out)
{
    *out = (Work){0};
    pthread_mutex_lock(&l->mutex);
    r->table = NULL;
    for (;;) {
        int64_t now = clock_mono_ms(), wait_until = INT64_MAX;
        bool found = !l->stopping && choose(l, out, now, &wait_until, &r->doing);
        if (found || l->stopping) break;
        /* Before the start is known, the first reader may be opening the others' connections. */
        if (l->started && r->conn && nothing_left(l)) break; /* WORK_NONE: the connection is not needed */
        if (wait_until == INT64_MAX)
            pthread_cond_wait(&l->changed, &l->mutex);
        else
            (void)clock_cond_wait_until(&l->changed, &l->mutex, wait_until);
    }
    bool stop = l->stopping;
    if (!stop) {
        r->table = out->table;
        r->doing = out->kind == WORK_NONE     ? "idle"
                   : out->kind == WORK_SHAPE  ? "planning"
                   : out->kind == WORK_PLAN   ? "planning"
                   : out->kind == WORK_PIECES ? "writing"
                                              : "reading";
    }
    pthread_mutex_unlock(&l->mutex);
    return !stop;
}

/* ---- what came of it ---- */

static size_t busy_segment(const LoadTable *t, const Range *r)
{
    for (size_t i = 0; i < t->n_segments; i++)
        if (t->segments[i].busy && str_eq(t->segments[i].next, r->lo)) return i;
    CHECK(false, "a marked range has its segment");
}

/* The next chunk shall hold as many rows as fit the bounds of bytes and time. */
static void adapt(Load *l, LoadTable *t, Segment *s, const ReadChunk *c, uint64_t limit)
{
    uint64_t rows = c->txn ? c->txn->n_ops : 0;
    const LoadOptions *o = l->opts.options;
    if (rows && c->bytes) {
        uint64_t by_bytes = l->chunk_bytes / MAX(c->bytes / rows, (uint64_t)1);
        uint64_t next = MIN(o->chunk_rows, MAX(by_bytes, (uint64_t)1));
        if (o->chunk_ms && c->took_ms > o->chunk_ms)
            next = MIN(next, MAX(rows * o->chunk_ms / (uint64_t)c->took_ms, (uint64_t)LEAST_CHUNK_ROWS));
        t->chunk_rows = MIN(next, t->chunk_rows * 2);
    }
    if (!c->all)
        s->halvings += s->halvings < MOST_HALVINGS;
    else if (rows * 4 < limit && s->halvings)
        s->halvings -= rows ? 1 : MIN(s->halvings, 4U);
}

/* The table has changed since the range was marked. */
static void throw_chunk(Work *w, const ReadChunk *c)
{
    if (c->txn) txn_free(c->txn);
    if (c->unit) unit_remove(c->unit);
    doubt_free(c->doubt);
    range_free(w->range);
}

/* The reader of a unit is through with the file: another may begin one. A chunk of a version that had a key
 * may come back while that one is at it. Mutex held. */
static void free_file(Load *l, const Work *w)
{
    if (w->kind != WORK_UNIT) return;
    w->table->unit_busy = false;
    pthread_cond_broadcast(&l->changed);
}

void work_read(Load *l, Work *w, const ReadChunk *c)
{
    LoadTable *t = w->table;
    Range *r = w->range;
    pthread_mutex_lock(&l->mutex);
    if (r->thrown) {
        pthread_mutex_unlock(&l->mutex);
        throw_chunk(w, c);
        pthread_mutex_lock(&l->mutex);
        free_file(l, w);
        pthread_mutex_unlock(&l->mutex);
        return;
    }
    free_file(l, w);
    t->trouble_again = false;
    size_t at = busy_segment(t, r);
    Segment *s = &t->segments[at];
    if (!c->all) range_set_hi(r, c->hi);
    adapt(l, t, s, c, w->limit);
    l->rate_rows += c->txn ? c->txn->n_ops : 0;
    s->busy = false;
    if (r->hi.len && (!s->hi.len || chunk_key_cmp(r->hi, s->hi) < 0))
        set_key(&s->next, r->hi);
    else
        segment_drop(t, at);
    r->state = RANGE_READY;
    r->exact = c->exact;
    r->u_file = str_dup(c->u_file);
    r->u_pos = c->u_pos;
    r->doubt = c->doubt;
    r->txn = c->txn;
    r->unit = c->unit;
    r->bytes = c->bytes;
    l->held -= r->held;
    r->held = c->txn ? c->txn->arena.bytes : 0;
    l->held += r->held;
    if (l->n_ready == l->cap_ready) {
        l->cap_ready = l->cap_ready ? l->cap_ready * 2 : 16;
        l->ready = mem_realloc(l->ready, l->cap_ready * sizeof *l->ready);
    }
    l->ready[l->n_ready++] = (ReadyChunk){t, r};
    pthread_cond_broadcast(&l->changed);
    l->stopping |= !load_send_due(l);
    pthread_mutex_unlock(&l->mutex);
}

bool work_failed(Load *l, Work *w)
{
    LoadTable *t = w->table;
    bool unwanted = false;
    pthread_mutex_lock(&l->mutex);
    switch (w->kind) {
    case WORK_SHAPE:
    case WORK_PLAN:
        unwanted = w->change_no != t->change_no;
        if (!unwanted) t->plan = PLAN_NONE;
        break;
    case WORK_CHUNK:
    case WORK_UNIT:
        unwanted = w->range->thrown;
        if (!unwanted) {
            t->segments[busy_segment(t, w->range)].busy = false;
            range_remove(t, w->range);
            l->held -= w->range->held;
            t->chunk_rows = MAX(t->chunk_rows / 2, (uint64_t)1);
        }
        range_free(w->range);
        free_file(l, w);
        break;
    case WORK_PIECES: w->range->pieces_busy = false; break;
    case WORK_NONE: break;
    }
    pthread_cond_broadcast(&l->changed);
    pthread_mutex_unlock(&l->mutex);
    return unwanted;
}

void work_shaped(Load *l, const Work *w)
{
    pthread_mutex_lock(&l->mutex);
    if (w->change_no == w->table->change_no) w->table->plan = PLAN_NONE;
    pthread_cond_broadcast(&l->changed);
    pthread_mutex_unlock(&l->mutex);
}

bool work_suspect(Load *l, const Work *w, const char *file, uint64_t pos)
{
    LoadTable *t = w->table;
    pthread_mutex_lock(&l->mutex);
    bool changed = t->frozen || t->stale, again = t->trouble_again && !changed;
    if (!changed && !again) {
        free(t->trouble_file);
        t->trouble_file = str_dup(str_of(file));
        t->trouble_pos = pos;
    }
    pthread_mutex_unlock(&l->mutex);
    return !again;
}

static bool is_done(const Range *r)
{
    return r->state == RANGE_DONE;
}
static bool is_covered(const Range *r)
{
    return r->state == RANGE_DONE && r->covered;
}

void work_note_done(Load *l, LoadTable *t)
{
    if (!t->complete && ranges_cover_all(t, is_done)) {
        t->complete = true;
        segments_free(t);
    }
    if (t->complete && !t->following && ranges_cover_all(t, is_covered)) t->following = true;
    bool all = true;
    for (size_t i = 0; all && i < l->n_tables; i++)
        all = l->tables[i]->following || l->tables[i]->left;
    if (all && l->n_tables) atomic_store(&l->active, false);
    pthread_cond_broadcast(&l->changed);
}
