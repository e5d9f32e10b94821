/* Durable progress: the floors downstream, their copies in the state folder. Coordinator thread. */
#include <stdlib.h>
#include "base/clock.h"
#include "base/err_json.h"
#include "base/log.h"
#include "pipeline/pipeline_impl.h"
#include "base/poison.h"

enum { IDLE_CHECKPOINT_MS = 100 };

bool checkpoint_connect(Pipeline *p, Err *err)
{
    if (p->meta) return true;
    return session_open(&p->session, &p->meta, &p->dialect, err);
}

void checkpoint_disconnect(Pipeline *p)
{
    conn_close(p->meta);
    p->meta = NULL;
}

bool checkpoint_first_floor(Pipeline *p, Str stream, const StreamPoint *at, Err *err)
{
    StrBuf json = {0};
    point_format(at, &json);
    MetaFloor floor = {.stream = stream, .point_json = sb_view(&json)};
    bool ok = checkpoint_connect(p, err) &&
              meta_write_floors(p->meta, &p->dialect, &p->meta_task,
                                &(MetaCheckpoint){.epoch = p->epoch,
                                                  .checkpoint = p->checkpoint + 1,
                                                  .state_checkpoint = p->state_checkpoint,
                                                  .floors = &floor,
                                                  .n_floors = 1},
                                err);
    if (ok) p->checkpoint++;
    sb_done(&json);
    return ok;
}

/* What one checkpoint writes, taken in one moment. */
typedef struct Snapshot {
    Pipeline *p;
    WindowView *views; /* by stream */
    bool any_dirty, all_idle;
} Snapshot;

static void take_snapshot(Pipeline *p, Snapshot *s)
{
    *s = (Snapshot){.p = p, .all_idle = true};
    s->views = mem_zalloc((p->n_streams + 1) * sizeof *s->views);
    merge_collect(p->merge);
    for (uint32_t i = 0; i < p->n_streams; i++) {
        window_snapshot(merge_window(p->merge, i), &s->views[i]);
        s->any_dirty |= p->streams[i].has_floor && s->views[i].first != p->streams[i].written_first;
        s->all_idle &= s->views[i].open == 0;
    }
}

static void snapshot_done(Snapshot *s)
{
    for (uint32_t i = 0; i < s->p->n_streams; i++)
        point_done(&s->views[i].floor);
    free(s->views);
}

/* Below the floor that is written: slots of this run by number; those of earlier runs once the floor has
 * passed everything that the run found done when it began. */
static bool part_is_covered(void *ctx, const LedgerPart *part)
{
    const Snapshot *s = ctx;
    if (part->stream == UINT32_MAX) return false;
    if (part->stream == LEDGER_OVER || (s->p->ddl && ddl_round_is_over(s->p->ddl, part->stream, part->run)))
        return true;
    StreamCtl *c = &s->p->streams[part->stream];
    if (part->run && part->run == c->run) return part->slot < s->views[part->stream].first;
    pthread_mutex_lock(&s->p->mutex);
    bool running = c->state == CTL_RUNNING;
    pthread_mutex_unlock(&s->p->mutex);
    if (!c->applied || !running) return false;
    if (!c->digested) c->digested = applied_set_below(c->applied, &s->views[part->stream].floor);
    return c->digested;
}

/* Chunks that the new floors cover, of all streams. */
typedef struct Merged {
    LoadMerge **by_stream;
    size_t *n_by_stream;
    MetaChunkMerge *all;
    size_t n;
} Merged;

static void take_merges(Pipeline *p, const Snapshot *s, Arena *arena, Merged *m)
{
    *m = (Merged){.by_stream = arena_array(arena, LoadMerge *, p->n_streams + 1),
                  .n_by_stream = arena_array(arena, size_t, p->n_streams + 1)};
    size_t total = 0;
    for (uint32_t i = 0; i < p->n_streams; i++) {
        if (!p->streams[i].load || !p->streams[i].has_floor) continue;
        load_mergeable(p->streams[i].load, &s->views[i].floor, s->views[i].first, &m->by_stream[i],
                       &m->n_by_stream[i]);
        total += m->n_by_stream[i];
    }
    m->all = arena_array(arena, MetaChunkMerge, total + 1);
    for (uint32_t i = 0; i < p->n_streams; i++)
        for (size_t k = 0; k < m->n_by_stream[i]; k++) {
            const LoadMerge *x = &m->by_stream[i][k];
            m->all[m->n++] = (MetaChunkMerge){.stream = p->stream_ids[i],
                                              .keep = x->keep,
                                              .hi = x->hi,
                                              .rows = x->rows,
                                              .bytes = x->bytes,
                                              .gone = x->gone,
                                              .n_gone = x->n_gone};
        }
}

void stream_floor_written(Pipeline *p, StreamCtl *c, const StreamPoint *floor)
{
    StreamPoint copy;
    point_copy(&copy, floor);
    pthread_mutex_lock(&p->mutex);
    point_done(&c->written_floor);
    c->written_floor = copy;
    pthread_mutex_unlock(&p->mutex);
}

void stream_written_floor(const StreamCtl *c, StreamPoint *out)
{
    pthread_mutex_lock(&c->pipeline->mutex);
    point_copy(out, &c->written_floor);
    pthread_mutex_unlock(&c->pipeline->mutex);
}

static bool write_downstream(Pipeline *p, Snapshot *s, Err *err)
{
    Arena arena = {0};
    MetaFloor *floors = arena_array(&arena, MetaFloor, p->n_streams + 1);
    MetaRowKey *covered = NULL;
    size_t n_floors = 0, n_covered = 0;
    for (uint32_t i = 0; i < p->n_streams; i++) {
        if (!p->streams[i].has_floor || s->views[i].first == p->streams[i].written_first) continue;
        StrBuf json = {0};
        point_format(&s->views[i].floor, &json);
        floors[n_floors++] = (MetaFloor){.stream = p->stream_ids[i],
                                         .point_json = arena_str(&arena, sb_view(&json)),
                                         .counts = s->views[i].counts,
                                         .transactions = s->views[i].transactions};
        sb_done(&json);
    }
    ledger_covered(&p->ledger, part_is_covered, s, &covered, &n_covered);
    Merged merged;
    take_merges(p, s, &arena, &merged);
    bool ok = checkpoint_connect(p, err) &&
              meta_write_floors(p->meta, &p->dialect, &p->meta_task,
                                &(MetaCheckpoint){.epoch = p->epoch,
                                                  .checkpoint = p->checkpoint + 1,
                                                  .state_checkpoint = p->state_checkpoint,
                                                  .floors = floors,
                                                  .n_floors = n_floors,
                                                  .covered = covered,
                                                  .n_covered = n_covered,
                                                  .merges = merged.all,
                                                  .n_merges = merged.n},
                                err);
    if (ok) {
        p->checkpoint++;
        ledger_forget(&p->ledger, covered, n_covered);
        for (uint32_t i = 0; i < p->n_streams; i++) {
            StreamCtl *c = &p->streams[i];
            if (!c->has_floor || s->views[i].first == c->written_first) continue;
            c->written_first = s->views[i].first;
            stream_floor_written(p, c, &s->views[i].floor);
        }
    }
    for (uint32_t i = 0; i < p->n_streams; i++)
        if (p->streams[i].load)
            load_merged(p->streams[i].load, merged.by_stream[i], merged.n_by_stream[i], ok);
    free(covered);
    arena_done(&arena);
    return ok;
}

/* How far the copy of a source is, for status while nothing runs; empty: not known, or nothing to copy. */
static Str copy_text(StreamCtl *c, Arena *arena)
{
    LoadProgress g;
    StrBuf json CLEANUP(sb_done) = {0};
    size_t done = 0;
    if (!c->load) return (Str){0};
    load_progress(c->load, &g);
    for (size_t i = 0; i < g.n_tables; i++)
        done += g.tables[i].phase == LOAD_FOLLOWING;
    if (g.n_tables)
        sb_printf(&json,
                  "{\"rows\":%llu,\"bytes\":%llu,\"rows_estimated\":%llu,\"bytes_estimated\":%llu,"
                  "\"tables\":%zu,\"tables_done\":%zu}",
                  (unsigned long long)g.rows, (unsigned long long)g.bytes,
                  (unsigned long long)g.rows_estimated, (unsigned long long)g.bytes_estimated, g.n_tables,
                  done);
    load_progress_done(&g);
    return arena_str(arena, sb_view(&json));
}

static bool write_state(Pipeline *p, Snapshot *s, Err *err)
{
    Arena arena = {0};
    StoreFloor *floors = arena_array(&arena, StoreFloor, p->n_streams + 1);
    size_t n = 0;
    pthread_mutex_lock(&p->mutex);
    for (uint32_t i = 0; i < p->n_sources; i++) {
        if (!p->streams[i].has_floor) continue;
        StrBuf point = {0}, error = {0};
        point_format(&s->views[i].floor, &point);
        err_json_text(&p->streams[i].error, &error);
        floors[n++] = (StoreFloor){.source_id = p->stream_ids[i],
                                   .point_json = arena_str(&arena, sb_view(&point)),
                                   .counts = s->views[i].counts,
                                   .state = str_of(ctl_state_name(p, &p->streams[i])),
                                   .copy_json = copy_text(&p->streams[i], &arena),
                                   .error_json = arena_str(&arena, sb_view(&error))};
        sb_done(&point);
        sb_done(&error);
    }
    pthread_mutex_unlock(&p->mutex);
    bool ok = store_checkpoint(p->store, p->checkpoint, p->checkpoint, floors, n, err);
    if (ok) p->state_checkpoint = p->checkpoint;
    arena_done(&arena);
    return ok;
}

bool checkpoint_tick(Pipeline *p, bool force, Err *err)
{
    Snapshot s;
    int64_t now = clock_mono_ms(), waited = now - p->last_checkpoint_ms;
    take_snapshot(p, &s);
    bool due = waited >= p->task->checkpoint_interval_ms || (s.all_idle && waited >= IDLE_CHECKPOINT_MS);
    bool ok = true;
    if (force || (s.any_dirty && due)) {
        p->last_checkpoint_ms = now;
        ok = write_downstream(p, &s, err) && write_state(p, &s, err);
        if (ok) log_write(LOGEV_FLOOR_MOVED, LOG_U("checkpoint", p->checkpoint));
    }
    snapshot_done(&s);
    return ok;
}
