/* A member's table is copied again: its rows go from the target, nothing that it wrote is written until it is
 * held no longer, and then its rows come as its table has them. The copy is one move here: how it is joined
 * to the stream is no affair of the lock's. */
#include "world.h"
#include "base/check.h"
#include "model/binding.h"
#include "base/poison.h"

bool recopy_clear(Game *g, World *w, int member)
{
    Stream *s = &w->streams[member];
    const Event *e = &g->shards[member].events[s->applied];
    bool all = s->applied == s->dispatched && s->applied < s->read && e->kind == EVENT_DDL;
    if (!all) return broken(g, "member %d's rows go while older ones wait", member);
    clear_rows(g, w, member, false);
    s->uncopied = true;
    s->recopied = false;
    s->worked = true;
    return true;
}

void recopy_pass(const Game *g, World *w, int member)
{
    Stream *s = &w->streams[member];
    CHECK(s->applied == s->dispatched, "nothing of it is on its way");
    if (g->shards[member].events[s->applied].kind == EVENT_INSERT) s->cleared |= (uint16_t)(1 << s->applied);
    s->dispatched = ++s->applied;
}

/* Of the rows that stand in its table where its stream is. */
static uint64_t version_now(const Game *g, const World *w, int member)
{
    uint64_t version = 0;
    for (int i = 0; i < w->streams[member].read; i++) {
        const Event *e = &g->shards[member].events[i];
        if (e->kind == EVENT_DDL) version = e->version;
    }
    return version;
}

bool recopy_may_begin(const Game *g, const World *w, int member)
{
    const Stream *s = &w->streams[member];
    const Table *t = &g->shards[member].after[s->read];
    bool still = s->in && s->uncopied && !s->work && w->open && !w->dropped;
    return still && s->applied == s->read && s->gate >= (int64_t)version_now(g, w, member) && t->schema;
}

static bool is_there(const Table *t, int id)
{
    for (int i = 0; i < t->n_rows; i++)
        if (t->rows[i].id == id) return true;
    return false;
}

static bool copy_row(Game *g, World *w, const RowMap *map, const Row *row)
{
    CHECK(w->table.n_rows < MOST_ROWS, "the target has room");
    Row *at = &w->table.rows[w->table.n_rows++];
    *at = (Row){.id = row->id};
    for (uint32_t i = 0; i < map->target->schema->n_columns; i++) {
        const ColumnFeed *f = &map->feeds[i];
        uint32_t c = schema_column(w->table.schema, map->target->schema->columns[i].name);
        if (c == NO_COLUMN) return broken(g, "the target has lost a column");
        int v = f->kind == FEED_COLUMN                          ? row->values[f->column]
                : f->kind == FEED_FILL && f->fill == FILL_VALUE ? shard_literal(f->fill_text)
                                                                : NIL;
        if (shard_fit(&w->table.schema->columns[c], v) != v)
            return broken(g, "a value that is copied again does not fit");
        at->values[c] = v;
    }
    return true;
}

bool recopy_copy(Game *g, World *w, int member)
{
    Stream *s = &w->streams[member];
    const Shard *shard = &g->shards[member];
    const Table *t = &shard->after[s->read];
    Arena arena = {0};
    Err err = {0};
    RowMap map;
    bool ok = lock_row_map(w->lock, (uint32_t)member, version_now(g, w, member), &arena, &map, &err);
    if (!ok) broken(g, "a table cannot be copied again: %s", err.message);
    for (int i = 0; ok && i < t->n_rows; i++)
        ok = copy_row(g, w, &map, &t->rows[i]);
    for (int i = 0; ok && i < s->read; i++) {
        const Event *e = &shard->events[i];
        if (e->kind != EVENT_INSERT) continue;
        uint16_t bit = (uint16_t)(1 << i);
        s->cleared = is_there(t, e->row.id) ? s->cleared & (uint16_t)~bit : s->cleared | bit;
    }
    s->uncopied = false;
    s->recopied = true;
    err_clear(&err);
    arena_done(&arena);
    return ok;
}
