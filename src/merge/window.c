#include "merge/window.h"
#include <stdlib.h>
#include "base/check.h"
#include "base/poison.h"

/* What the floor needs of a transaction once its rows are gone. */
struct WindowSlot {
    Gtid gtid;
    const char *file; /* interned with the servers' identities: few distinct names */
    const char *server;
    uint64_t end_pos;
    PointEvidence evidence;
    RowCounts counts;
    uint32_t timestamp;
    bool has_gtid, done, last_piece, is_piece, position_only;
};

void window_init(Window *w, size_t limit_slots)
{
    *w = (Window){.limit = limit_slots};
    pthread_mutex_init(&w->mutex, NULL);
}

void window_done(Window *w)
{
    free(w->ring);
    point_done(&w->floor);
    pthread_mutex_destroy(&w->mutex);
}

void window_reset(Window *w, const StreamPoint *floor, const RowCounts *counts, uint64_t transactions)
{
    pthread_mutex_lock(&w->mutex);
    w->first = w->next; /* slot numbers are never used twice in a process */
    point_done(&w->floor);
    point_copy(&w->floor, floor);
    w->counts = *counts;
    w->transactions = transactions;
    pthread_mutex_unlock(&w->mutex);
}

static WindowSlot *slot_at(Window *w, uint64_t n)
{
    return &w->ring[n & (w->cap - 1)];
}

static void grow(Window *w)
{
    size_t cap = w->cap ? w->cap * 2 : 64;
    WindowSlot *ring = mem_zalloc(cap * sizeof *ring);
    for (uint64_t n = w->first; n < w->next; n++)
        ring[n & (cap - 1)] = *slot_at(w, n);
    free(w->ring);
    w->ring = ring;
    w->cap = cap;
}

/* File names repeat for thousands of transactions; the interned text outlives the transaction's arena. */
static const char *intern_file(Window *w, Str file)
{
    if (w->next > w->first) {
        const char *before = slot_at(w, w->next - 1)->file;
        if (before && str_eqc(file, before)) return before;
    }
    char *copy = str_dup(file);
    const char *kept = server_intern(copy);
    free(copy);
    return kept;
}

uint64_t window_open(Window *w, const Txn *t)
{
    pthread_mutex_lock(&w->mutex);
    if (w->next - w->first == w->cap) grow(w);
    WindowSlot *s = slot_at(w, w->next);
    *s = (WindowSlot){.has_gtid = t->id.has_gtid,
                      .gtid = t->id.gtid,
                      .file = t->id.file.len ? intern_file(w, t->id.file) : NULL,
                      .server = t->id.server,
                      .end_pos = t->id.end_pos,
                      .evidence = t->id.evidence,
                      .timestamp = t->timestamp,
                      .is_piece = t->is_piece,
                      .last_piece = t->last_piece,
                      .position_only = t->position_only};
    uint64_t slot = w->next++;
    pthread_mutex_unlock(&w->mutex);
    return slot;
}

void window_finish(Window *w, uint64_t slot, const RowCounts *counts)
{
    pthread_mutex_lock(&w->mutex);
    /* A slot of an earlier run was forgotten by window_reset. */
    if (slot >= w->first && slot < w->next) {
        WindowSlot *s = slot_at(w, slot);
        CHECK(!s->done, "a transaction is done once");
        s->done = true;
        s->counts = *counts;
    }
    pthread_mutex_unlock(&w->mutex);
}

/* By file:position the floor may only go forward: a step back would have a restart apply rows twice. */
static bool goes_back(const Window *w, const WindowSlot *s)
{
    return !w->floor.gtids && s->file && w->floor.file && s->server && w->floor.server &&
           strcmp(s->server, w->floor.server) == 0 && strcmp(s->file, w->floor.file) == 0 &&
           s->end_pos < w->floor.pos;
}

static void move_floor(Window *w, const WindowSlot *s)
{
    row_counts_add(&w->counts, &s->counts);
    if (!s->last_piece) return;
    if (goes_back(w, s)) {
        CHECK(s->position_only, "positions are monotonic");
        return;
    }
    w->transactions += !s->position_only;
    if (s->is_piece) w->split++;
    if (s->timestamp) w->floor_timestamp = s->timestamp;
    if (s->has_gtid && w->floor.gtids) gtidset_add(w->floor.gtids, &s->gtid);
    if (s->file) {
        point_set_file(&w->floor, str_of(s->file), s->end_pos);
        w->floor.evidence = s->evidence;
        if (s->server && (!w->floor.server || strcmp(w->floor.server, s->server) != 0)) {
            free(w->floor.server);
            w->floor.server = str_dup(str_of(s->server));
        }
    }
}

/* The first slot after which no split transaction is half under the floor. */
static uint64_t whole_prefix(Window *w)
{
    uint64_t end = w->first;
    for (uint64_t n = w->first; n < w->next && slot_at(w, n)->done; n++)
        if (slot_at(w, n)->last_piece) end = n + 1;
    return end;
}

bool window_collect(Window *w)
{
    pthread_mutex_lock(&w->mutex);
    uint64_t end = whole_prefix(w);
    bool moved = end > w->first;
    for (; w->first < end; w->first++)
        move_floor(w, slot_at(w, w->first));
    pthread_mutex_unlock(&w->mutex);
    return moved;
}

bool window_has_room(Window *w)
{
    pthread_mutex_lock(&w->mutex);
    uint64_t used = w->next - w->first;
    /* The pieces of one transaction leave the window together: a half one must never wait for room. */
    bool half = used > 0 && !slot_at(w, w->next - 1)->last_piece;
    pthread_mutex_unlock(&w->mutex);
    return used < w->limit || half;
}

bool window_is_half_full(Window *w)
{
    pthread_mutex_lock(&w->mutex);
    bool half = (w->next - w->first) * 2 >= w->limit;
    pthread_mutex_unlock(&w->mutex);
    return half;
}

void window_snapshot(Window *w, WindowView *out)
{
    pthread_mutex_lock(&w->mutex);
    *out = (WindowView){.counts = w->counts,
                        .transactions = w->transactions,
                        .split = w->split,
                        .floor_timestamp = w->floor_timestamp,
                        .open = w->next - w->first,
                        .first = w->first};
    point_copy(&out->floor, &w->floor);
    pthread_mutex_unlock(&w->mutex);
}
