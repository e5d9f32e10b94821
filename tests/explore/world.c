#include "world.h"
#include <stdio.h>
#include <stdlib.h>
#include "base/check.h"
#include "model/binding.h"
#include "base/poison.h"

bool broken(Game *g, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(g->words, sizeof g->words, fmt, ap);
    va_end(ap);
    g->broken = g->words;
    return false;
}

/* -- what the coordinator does with actions -- */

/* Its numbers of columns are those of from; the table may have them in another order. */
static bool plan_alter(Game *g, World *w, const LockAlter *a)
{
    const TableSchema *from = a->from->schema, *now = w->table.schema;
    bool same = w->dropped || (from->n_columns == now->n_columns && from->n_keys == now->n_keys);
    w->alter_rows = version_text(g->pool, a->rows);
    w->alter_drop = a->drop;
    for (uint32_t i = 0; same && i < from->n_columns; i++)
        same = schema_column(now, from->columns[i].name) != NO_COLUMN;
    if (!same) return broken(g, "a change of the target starts from another table than stands there");
    for (uint32_t i = 0; i < a->to->schema->n_columns; i++)
        w->alter_columns[i] = a->columns[i] == NO_COLUMN || w->dropped
                                  ? NO_COLUMN
                                  : schema_column(now, from->columns[a->columns[i]].name);
    return true;
}

/* Pessimistic: rows before the first held step are written, and the floor has passed the step. Steps that
 * leave rows as they are go through at once. */
static bool is_due(Game *g, const World *w, int member, uint64_t number)
{
    const Stream *s = &w->streams[member];
    const Shard *shard = &g->shards[member];
    bool moves = false;
    int first = -1;
    for (int i = 0; i < s->read && s->gate != NO_GATE; i++) {
        const Event *e = &shard->events[i];
        if (e->kind != EVENT_DDL || (int64_t)e->version <= s->gate || e->version > number) continue;
        if (shard->program[i] == 'X' || shard->program[i] == 'x' || loss_of(g, w, member, i) == LOSS_NOT_OURS)
            continue;
        if (first < 0) first = i;
        moves = true;
    }
    if (!moves || g->opts.mode != LOCK_PESSIMISTIC || w->decided) return true;
    for (int i = s->applied; i < first; i++)
        if (is_row(&shard->events[i]))
            return broken(g, "member %d is let on while rows before its step wait", member);
    return s->passed >= number || broken(g, "member %d is let on before its floor has passed", member);
}

/* What is accepted can be written as it is. */
static bool can_be_written(Game *g, const World *w, int member, uint64_t number)
{
    const Stream *s = &w->streams[member];
    for (int i = s->applied; i < s->read; i++) {
        const Event *e = &g->shards[member].events[i];
        if (!is_row(e) || e->version > number) continue;
        Arena arena = {0};
        Err err = {0};
        RowMap map;
        bool ok = lock_row_map(w->lock, (uint32_t)member, e->version, &arena, &map, &err);
        if (!ok) broken(g, "rows that may be written cannot be: %s", err.message);
        err_clear(&err);
        arena_done(&arena);
        if (!ok) return false;
    }
    return true;
}

static bool act(Game *g, World *w, const LockAction *a)
{
    Stream *s = a->member < (uint32_t)w->n_members ? &w->streams[a->member] : NULL;
    switch (a->kind) {
    case LOCK_ACT_ACCEPT:
        if (!is_due(g, w, (int)a->member, a->number)) return false;
        if (!can_be_written(g, w, (int)a->member, a->number)) return false;
        s->gate = (int64_t)a->number;
        return true;
    case LOCK_ACT_HOLD: return true;
    case LOCK_ACT_SHUT:
        w->open = false;
        w->shut = a->job;
        return true;
    case LOCK_ACT_ALTER:
        w->alter = a->job;
        w->alter_to = a->alter.to;
        return a->job == w->altered || plan_alter(g, w, &a->alter);
    case LOCK_ACT_OPEN: w->open = true; return true;
    case LOCK_ACT_STOP:
    case LOCK_ACT_ASK:
    case LOCK_ACT_NOTE:
    case LOCK_ACT_CLOSED: return true;
    case LOCK_ACT_GONE: break; /* stored with the lock: see tell */
    case LOCK_ACT_WORK:
        if (!s || a->work == LOCK_WORK_NONE) break;
        s->work = a->work;
        s->work_step = a->number;
        s->worked = false;
        return true;
    }
    return broken(g, "an action that no program asks for");
}

static void forget(World *w)
{
    w->running = w->open = false;
    w->shut = w->alter = 0;
    w->alter_to = NULL;
    for (int i = 0; i < w->n_members; i++) {
        Stream *s = &w->streams[i];
        s->gate = NO_GATE;
        s->dispatched = s->applied;
        s->read = s->floor;
        s->work = LOCK_WORK_NONE;
        s->worked = false;
        if (!s->in) s->given_up |= from_on(s->applied);
        memset(s->flying, 0, sizeof s->flying);
    }
}

/* Everything behind the statement that dropped its table is read again: it may be made anew there. */
static bool begin_behind(Game *g, World *w, uint32_t member, uint64_t dropped)
{
    Stream *s = &w->streams[member];
    for (int i = 0; i < s->read; i++) {
        const Event *e = &g->shards[member].events[i];
        if (is_row(e) && i >= s->applied && e->version < dropped)
            return broken(g, "member %u leaves while rows before that are not written", member);
        if (e->kind != EVENT_DDL || e->version != dropped) continue;
        s->read = s->dispatched = s->applied = i + 1;
        s->floor = MIN(s->floor, s->read);
        s->told = dropped;
        s->held_from = MOST_EVENTS;
        return true;
    }
    return broken(g, "member %u leaves with a step that it has not run", member);
}

/* The member has left: what of it has not been written never is. */
static bool go_away(Game *g, World *w, uint32_t member, bool by_itself)
{
    Stream *s = &w->streams[member];
    while (by_itself && s->applied < s->read) {
        const Event *e = &g->shards[member].events[s->applied];
        if (is_row(e)) return broken(g, "member %u leaves while rows before that are not written", member);
        s->dispatched = ++s->applied;
        if (e->step_kind == LOCK_STEP_DROP || e->step_kind == LOCK_STEP_RENAME_OUT) break;
    }
    s->given_up |= from_on(s->dispatched);
    return true;
}

static bool leave(Game *g, World *w, const LockEvent *e, const LockAction *a)
{
    Stream *s = &w->streams[a->member];
    bool out = a->member == e->member &&
               (e->kind == LOCK_EV_LEAVE || (e->kind == LOCK_EV_DECIDE && e->decision == LOCK_DETACH));
    s->in = false;
    s->work = LOCK_WORK_NONE;
    s->worked = false;
    s->gate = NO_GATE;
    if (!out && w->dropped && lock_target(w->lock)->gone) return begin_behind(g, w, a->member, a->number);
    return go_away(g, w, a->member, !out);
}

static bool tell(Game *g, World *w, const LockEvent *e, bool kill_after)
{
    LockActions acts = {0};
    Err err = {0};
    bool ok = lock_step(w->lock, e, &acts, &err);
    if (!ok) broken(g, "the lock refuses an event: %s", err.message);
    for (uint32_t i = 0; ok && i < acts.n; i++)
        if (acts.list[i].kind == LOCK_ACT_GONE)
            ok = leave(g, w, e, &acts.list[i]);
        else if (!kill_after)
            ok = act(g, w, &acts.list[i]);
    if (kill_after) {
        forget(w);
        w->kills--;
    }
    lock_actions_done(&acts);
    err_clear(&err);
    return ok;
}

bool game_begin(Game *g, World *w)
{
    *w = (World){.n_members = g->n_members,
                 .kills = g->kills,
                 .fails = g->fails,
                 .decides = g->decides,
                 .running = true};
    const TableSchema *base = shard_base(g->pool);
    LockActions acts = {0};
    Err err = {0};
    w->lock = lock_new(g->pool, STR("shop.t"), base, &g->opts);
    for (int i = 0; i < g->n_members; i++) {
        w->streams[i] = (Stream){.held_from = MOST_EVENTS, .gate = NO_GATE};
        if (strchr(g->shards[i].program, 'J')) continue; /* later */
        w->streams[i].in = true;
        LockEvent join = {.kind = LOCK_EV_JOIN, .member = (uint32_t)i, .name = STR("m"), .schema = base};
        CHECK(lock_step(w->lock, &join, &acts, &err), "a member joins");
    }
    CHECK(lock_begin(w->lock, &acts, &err), "the lock begins");
    w->table.schema = lock_target(w->lock)->schema;
    bool ok = true;
    for (uint32_t i = 0; i < acts.n; i++)
        ok &= act(g, w, &acts.list[i]);
    lock_actions_done(&acts);
    return ok;
}

/* -- rows -- */

/* Is work owed that sets columns of the rows that are on their way now? */
static bool is_set_later(const World *w, int member)
{
    Arena arena = {0};
    Err err = {0};
    BindFill *fills;
    uint32_t n;
    bool owed = lock_fills(w->lock, (uint32_t)member, &arena, &fills, &n, &err) ||
                err.code == ERR_NOT_SUPPORTED; /* and those of what is copied again go */
    err_clear(&err);
    arena_done(&arena);
    return owed;
}

static bool bind_row(Game *g, const World *w, int member, const Event *e, Flight *f)
{
    Arena arena = {0};
    Err err = {0};
    RowMap map;
    bool ok = lock_row_map(w->lock, (uint32_t)member, e->version, &arena, &map, &err);
    if (!ok) {
        broken(g, "a row may not be written: %s", err.message);
    } else if (map.version->shape != g->shards[member].after[e - g->shards[member].events + 1].schema) {
        ok = broken(g, "a row is taken for one of another definition");
    } else {
        f->target = lock_target(w->lock);
        for (uint32_t i = 0; i < f->target->schema->n_columns; i++) {
            const ColumnFeed *c = &map.feeds[i];
            f->columns[i] = c->kind == FEED_COLUMN ? (int)c->column : NIL;
            f->fills[i] = c->kind == FEED_FILL && c->fill == FILL_VALUE ? shard_literal(c->fill_text) : NIL;
        }
        bool spooled = e - g->shards[member].events >= w->streams[member].held_from;
        for (uint32_t i = 0; i < map.version->shape->n_columns; i++)
            if (map.left_out[i] && !spooled && w->decides == g->decides && !is_set_later(w, member))
                ok = broken(g, "column %.*s of a row that was never held is left out",
                            STR_ARG(map.version->shape->columns[i].name));
    }
    err_clear(&err);
    arena_done(&arena);
    return ok;
}

static bool apply_row(Game *g, World *w, int member)
{
    Stream *s = &w->streams[member];
    const Event *e = &g->shards[member].events[s->applied];
    const Flight f = s->flying[0];
    if (w->dropped) return broken(g, "row %d is written to a table that is dropped", e->row.id);
    Row *at = NULL;
    for (int i = 0; i < w->table.n_rows; i++)
        if (w->table.rows[i].id == e->row.id) at = &w->table.rows[i];
    if ((e->kind == EVENT_INSERT) == (at != NULL))
        return broken(g, "row %d is written twice or lost", e->row.id);
    if (!at) {
        CHECK(w->table.n_rows < MOST_ROWS, "the target has room");
        at = &w->table.rows[w->table.n_rows++];
        *at = (Row){.id = e->row.id};
    }
    const TableSchema *then = f.target->schema, *now = w->table.schema;
    for (uint32_t i = 0; i < then->n_columns; i++) {
        uint32_t c = schema_column(now, then->columns[i].name);
        int v = f.columns[i] == NIL ? f.fills[i] : e->row.values[f.columns[i]];
        if (c == NO_COLUMN)
            return broken(g, "the target has lost column %.*s", STR_ARG(then->columns[i].name));
        if (shard_fit(&now->columns[c], v) != v)
            return broken(g, "a value does not fit column %.*s", STR_ARG(now->columns[c].name));
        if (e->kind == EVENT_UPDATE && f.columns[i] == NIL) continue;
        at->values[c] = v;
    }
    if (then->n_columns != now->n_columns)
        return broken(g, "a row meets another target than it was made for");
    s->flying[0] = s->flying[1];
    s->flying[1] = (Flight){0};
    s->applied++;
    return true;
}

/* -- the target -- */

void clear_rows(const Game *g, World *w, int member, bool partition)
{
    int n = 0;
    for (int r = 0; r < w->table.n_rows; r++) {
        int own = w->table.rows[r].id / 10 - 1;
        bool goes = (member < 0 || own == member) && (!partition || shard_in_partition(w->table.rows[r].id));
        if (!goes) w->table.rows[n++] = w->table.rows[r];
    }
    w->table.n_rows = n;
    for (int m = 0; m < w->n_members; m++)
        for (int i = 0; i < w->streams[m].applied; i++) {
            const Event *e = &g->shards[m].events[i];
            bool goes = (member < 0 || m == member) && e->kind == EVENT_INSERT &&
                        (!partition || shard_in_partition(e->row.id));
            if (goes) w->streams[m].cleared |= (uint16_t)(1 << i);
        }
}

/* Was it a row of a table that its shard has dropped since? */
static bool is_of_former_table(const Game *g, const World *w, int member, int id)
{
    const Shard *s = &g->shards[member];
    bool came = false;
    for (int i = 0; i < w->streams[member].read; i++) {
        came |= s->events[i].kind == EVENT_INSERT && s->events[i].row.id == id;
        if (came && s->program[i] == 'O') return true;
    }
    return false;
}

static bool has_any_row(const Game *g, const World *w, int member, bool partition)
{
    for (int r = 0; r < w->table.n_rows; r++) {
        int id = w->table.rows[r].id;
        if (id / 10 - 1 == member && (!partition || shard_in_partition(id)) &&
            !is_of_former_table(g, w, member, id))
            return true;
    }
    return false;
}

/* The target's rows go because all members' have. */
static bool lose_rows(Game *g, World *w, bool partition)
{
    for (int m = 0; m < w->n_members; m++) {
        const Stream *s = &w->streams[m];
        bool lost = w->released || !s->in || !has_any_row(g, w, m, partition);
        for (int i = s->applied; i < s->read && !lost; i++) {
            char letter = g->shards[m].program[i];
            lost = (letter == 'p') == partition && shard_is_loss(letter);
        }
        if (!lost) return broken(g, "rows go from the target that member %d has", m);
    }
    clear_rows(g, w, -1, partition);
    return true;
}

static bool alter(Game *g, World *w)
{
    const Version *to = w->alter_to;
    StrBuf rows = {0};
    sb_str(&rows, w->alter_rows);
    bool all =
             w->alter_drop || (rows.len && (strstr(rows.ptr, "truncate") || strstr(rows.ptr, "drop table"))),
         some = rows.len && strstr(rows.ptr, "partition");
    sb_done(&rows);
    if (all && !lose_rows(g, w, false)) return false;
    if (some && !lose_rows(g, w, true)) return false;
    const Version *from = lock_target(w->lock);
    bool may_refuse = !w->decided && !w->dropped; /* what no shard's conversion changes */
    bool leaves = false, converts = false;        /* who goes on converts values of who has left */
    for (int i = 0; i < g->n_members; i++) {
        may_refuse &= !shard_joins_late(&g->shards[i]); /* its conversions come behind the others' */
        leaves |= strchr(g->shards[i].program, 'L') != NULL;
        converts |= strchr(g->shards[i].program, 'N') != NULL;
    }
    may_refuse &= !(leaves && converts);
    Table was = w->table;
    w->dropped = to->gone;
    w->table.schema = to->schema;
    for (int r = 0; r < was.n_rows; r++) {
        memset(w->table.rows[r].values, 0, sizeof w->table.rows[r].values);
        for (uint32_t c = 0; c < to->schema->n_columns; c++) {
            const ColumnDef *def = &to->schema->columns[c];
            const ColumnOrigin *o = &to->origins[c];
            int v = shard_default(def), old = NIL;
            if (w->alter_columns[c] != NO_COLUMN) {
                old = was.rows[r].values[w->alter_columns[c]];
                v = shard_fit(def, old);
                if (v != old && may_refuse && str_eq(o->lossy, from->origins[w->alter_columns[c]].lossy))
                    return broken(g, "the target refuses its change: %d in column " STR_FMT, old,
                                  STR_ARG(def->name));
            } else if (o->kind == ORIGIN_ADDED)
                v = o->fill == FILL_VALUE ? shard_literal(o->fill_text) : NIL;
            w->table.rows[r].values[c] = v;
        }
    }
    w->altered = w->alter;
    return g != NULL;
}

/* -- moves -- */

static const Event *next_unapplied(const Game *g, const World *w, int m)
{
    return &g->shards[m].events[w->streams[m].dispatched];
}

/* The columns and values that the lock names, in all rows of the member that are there. */
static bool set_rows(Game *g, World *w, int m)
{
    Arena arena = {0};
    Err err = {0};
    BindFill *fills;
    uint32_t n;
    bool ok = lock_fills(w->lock, (uint32_t)m, &arena, &fills, &n, &err);
    if (!ok) broken(g, "member %d's rows cannot be set: %s", m, err.message);
    for (uint32_t i = 0; ok && i < n; i++) {
        uint32_t c = schema_column(w->table.schema, fills[i].column);
        if (c == NO_COLUMN) ok = broken(g, "the target lacks a column that is to be set");
        for (int r = 0; ok && r < w->table.n_rows; r++)
            if (w->table.rows[r].id / 10 - 1 == m)
                w->table.rows[r].values[c] = fills[i].literal.len ? shard_literal(fills[i].literal) : NIL;
    }
    err_clear(&err);
    arena_done(&arena);
    return ok;
}

/* Work on its rows that are in the target: all are there, and none of a later version. */
static bool work(Game *g, World *w, int m)
{
    Stream *s = &w->streams[m];
    const Event *e = &g->shards[m].events[s->applied];
    bool all = s->applied == s->dispatched && s->applied < s->read && e->kind == EVENT_DDL;
    if (s->work == LOCK_WORK_RECOPY) return recopy_clear(g, w, m);
    if (s->work == LOCK_WORK_REFILL) {
        s->worked = true;
        if (!all) return broken(g, "member %d's rows are set while older ones wait", m);
        return set_rows(g, w, m);
    }
    bool due = s->applied == s->dispatched && s->applied < s->read && e->kind == EVENT_DDL &&
               e->version == s->work_step && loss_of(g, w, m, s->applied) == LOSS_NOT_OURS &&
               !(s->skipped >> e->version & 1);
    if (!due) return broken(g, "member %d's rows are deleted when they should not be", m);
    clear_rows(g, w, m, false);
    s->worked = true;
    return true;
}

/* DDL events count as done when those before them are. */
static void pass_ddl(const Game *g, Stream *s, int m)
{
    while (s->dispatched < s->read && g->shards[m].events[s->dispatched].kind == EVENT_DDL &&
           s->applied == s->dispatched && s->gate >= (int64_t)g->shards[m].events[s->dispatched].version)
        s->applied = ++s->dispatched;
}

/* The last step read of which everything before is durable (or written). */
static uint64_t step_passed(const Game *g, const World *w, int m, bool written)
{
    const Stream *s = &w->streams[m];
    uint64_t last = 0;
    for (int i = 0; i < s->read; i++) {
        const Event *e = &g->shards[m].events[i];
        if (e->kind == EVENT_DDL) last = e->version;
        if (!is_row(e) || i < s->applied) continue;
        if (written || i < s->held_from) break;
    }
    return last;
}

static void add(Move *moves, int *n, MoveKind kind, int member, bool kill_after)
{
    CHECK(*n < MOST_MOVES, "room for all that can happen");
    moves[(*n)++] = (Move){.kind = (uint8_t)kind, .member = (uint8_t)member, .kill_after = kill_after};
}

static void add_told(const World *w, Move *moves, int *n, MoveKind kind, int member)
{
    add(moves, n, kind, member, false);
    if (w->kills) add(moves, n, kind, member, true);
}

static void member_moves(const Game *g, const World *w, int m, Move *moves, int *n)
{
    const Stream *s = &w->streams[m];
    const Shard *shard = &g->shards[m];
    if (s->applied < s->dispatched) add(moves, n, MOVE_APPLY, m, false);
    if (s->read < shard->n_events && (s->in || s->applied == s->dispatched)) {
        if (!is_row(&shard->events[s->read]))
            add_told(w, moves, n, MOVE_READ, m);
        else
            add(moves, n, MOVE_READ, m, false);
    }
    if (!s->in) return;
    if (s->dispatched < s->read) {
        const Event *e = next_unapplied(g, w, m);
        bool ready = is_row(e) && w->open && s->gate >= (int64_t)e->version;
        if (ready && s->dispatched - s->applied < MOST_FLYING) add(moves, n, MOVE_DISPATCH, m, false);
    }
    if (s->work && !s->worked) add(moves, n, MOVE_WORK, m, false);
    if (s->worked) add_told(w, moves, n, MOVE_WORKED, m);
    if (recopy_may_begin(g, w, m)) add(moves, n, MOVE_COPY, m, false);
    if (step_passed(g, w, m, true) > s->written) add_told(w, moves, n, MOVE_WRITTEN, m);
    if (step_passed(g, w, m, false) > s->passed) add_told(w, moves, n, MOVE_PASSED, m);
}

/* As the operator would mean it: the step to skip is the first that is not accepted, else the last. */
static LockEvent decision_of(const World *w, Move m)
{
    static const LockDecision all[] = {['r'] = LOCK_RELEASE,
                                       ['s'] = LOCK_SKIP,
                                       ['d'] = LOCK_DETACH,
                                       ['a'] = LOCK_ACCEPT,
                                       ['c'] = LOCK_RECOPY};
    uint64_t last = 0, accepted = 0;
    LockEvent e = {.kind = LOCK_EV_DECIDE, .member = m.member, .words = STR("root: because")};
    e.decision = m.kind == MOVE_RETRY ? LOCK_RETRY : all[(unsigned char)m.of];
    bool inside = lock_member(w->lock, m.member, &last, &accepted);
    e.number = e.decision != LOCK_SKIP ? last : inside ? accepted + 1 : 1;
    return e;
}

/* Adds what the lock does not refuse. */
static void add_decision(const World *w, Move *moves, int *n, Move m)
{
    Err err = {0};
    StrBuf words = {0};
    LockEvent e = decision_of(w, m);
    CHECK(*n + 1 < MOST_MOVES, "room for all that can happen");
    if (lock_preview(w->lock, &e, &words, &err)) {
        moves[(*n)++] = m;
        m.kill_after = true;
        if (w->kills) moves[(*n)++] = m;
    }
    sb_done(&words);
    err_clear(&err);
}

static void operator_moves(const Game *g, const World *w, Move *moves, int *n)
{
    if (lock_state(w->lock) == LOCK_OPERATOR && g->fails)
        add_decision(w, moves, n, (Move){.kind = MOVE_RETRY});
    for (const char *p = g->decisions; p && *p && w->decides; p++)
        for (int m = 0; m < w->n_members; m++)
            if (w->streams[m].in)
                add_decision(w, moves, n, (Move){.kind = MOVE_DECIDE, .member = (uint8_t)m, .of = *p});
}

int world_moves(const Game *g, const World *w, Move *moves)
{
    int n = 0;
    if (!w->running) {
        add(moves, &n, MOVE_START, 0, false);
        return n;
    }
    bool idle = true;
    for (int m = 0; m < w->n_members; m++) {
        member_moves(g, w, m, moves, &n);
        idle &= w->streams[m].applied == w->streams[m].dispatched;
    }
    if (w->shut && idle) add_told(w, moves, &n, MOVE_DRAINED, 0);
    if (w->alter && w->altered != w->alter) add(moves, &n, MOVE_ALTER, 0, false);
    if (w->alter && w->altered != w->alter && w->fails) add_told(w, moves, &n, MOVE_FAILED, 0);
    if (w->alter && w->altered == w->alter) add_told(w, moves, &n, MOVE_ALTERED, 0);
    operator_moves(g, w, moves, &n);
    if (w->kills && n) add(moves, &n, MOVE_KILL, 0, false);
    return n;
}

/* Of a member that the lock does not know (any more): it joins, or is made again, or nobody is told. */
static bool read_outside(Game *g, World *w, int m, bool kill_after)
{
    Stream *s = &w->streams[m];
    const Event *e = &g->shards[m].events[s->read];
    bool made = e->kind == EVENT_DDL && e->step_kind == LOCK_STEP_CREATE && e->version > s->told;
    int at = s->read++;
    s->applied = s->dispatched = MAX(s->applied, s->read);
    s->floor = s->read;
    if (e->kind != EVENT_JOIN && !made) return true;
    s->in = true;
    s->told = s->passed = s->written = e->version;
    s->held_from = MOST_EVENTS;
    s->given_up &= (uint16_t)~from_on(at);
    LockEvent told = {.kind = LOCK_EV_JOIN,
                      .member = (uint32_t)m,
                      .number = e->version,
                      .name = STR("m"),
                      .schema = g->shards[m].after[s->read].schema,
                      .fresh = true,
                      .at_ms = 1};
    return tell(g, w, &told, kill_after);
}

static bool read_event(Game *g, World *w, int m, bool kill_after)
{
    Stream *s = &w->streams[m];
    const Event *e = &g->shards[m].events[s->read];
    if (!s->in) {
        if (!kill_after || !is_row(e)) return read_outside(g, w, m, kill_after);
    }
    if (e->kind == EVENT_LEAVE) {
        LockEvent told = {.kind = LOCK_EV_LEAVE, .member = (uint32_t)m, .at_ms = 1};
        s->read++;
        return tell(g, w, &told, kill_after);
    }
    if (e->kind != EVENT_DDL) {
        if (s->gate < (int64_t)e->version && s->held_from > s->read) s->held_from = s->read;
        s->read++;
        return true;
    }
    char identity[16];
    snprintf(identity, sizeof identity, "%d:%d", m, s->read);
    s->read++;
    s->told = MAX(s->told, e->version);
    LockEvent told = {.kind = LOCK_EV_STEP,
                      .member = (uint32_t)m,
                      .identity = str_of(identity),
                      .step = e->step,
                      .step_kind = e->step_kind,
                      .at_ms = 1};
    return tell(g, w, &told, kill_after);
}

static bool report_progress(Game *g, World *w, Move mv)
{
    Stream *s = &w->streams[mv.member];
    bool written = mv.kind == MOVE_WRITTEN;
    uint64_t number = step_passed(g, w, mv.member, written);
    LockEvent told = {
        .kind = written ? LOCK_EV_WRITTEN : LOCK_EV_PASSED, .member = mv.member, .number = number};
    s->passed = MAX(s->passed, number);
    if (written) s->written = number;
    for (int i = 0; i < s->read; i++)
        if (g->shards[mv.member].events[i].kind == EVENT_DDL &&
            g->shards[mv.member].events[i].version <= number)
            s->floor = MAX(s->floor, i + 1);
    return tell(g, w, &told, mv.kill_after);
}

/* The state read from what was written must be the state; asked once for each. */
static bool read_back(Game *g, World *w)
{
    uint64_t hash = lock_hash(w->lock);
    Str key = str_make(&hash, sizeof hash);
    if (map_get(&g->read_back, key)) return true;
    StrBuf text = {0};
    Err err = {0};
    Lock *l = NULL;
    lock_to_json(w->lock, &text);
    bool ok = lock_from_json(g->pool, sb_view(&text), &g->opts, &l, &err);
    if (!ok)
        broken(g, "the state cannot be read: %s", err.message);
    else if (lock_hash(l) != hash)
        ok = broken(g, "the state read is not the state written");
    if (ok) {
        lock_free(w->lock);
        w->lock = l;
        map_put(&g->read_back, key, g);
    }
    sb_done(&text);
    err_clear(&err);
    return ok;
}

static bool start(Game *g, World *w)
{
    LockActions acts = {0};
    bool ok = read_back(g, w);
    w->running = true;
    if (ok) lock_restart(w->lock, &acts);
    for (uint32_t i = 0; ok && i < acts.n; i++)
        ok = act(g, w, &acts.list[i]);
    lock_actions_done(&acts);
    return ok;
}

static bool decide(Game *g, World *w, Move m)
{
    LockEvent told = decision_of(w, m);
    if (m.kind == MOVE_DECIDE) w->decides--;
    w->decided |= m.kind == MOVE_DECIDE && m.of != 'd';
    w->released |= m.of == 'r';
    if (m.of == 'a' || m.of == 'c') /* its rows stay, whatever the shard did; or come again */
        w->streams[m.member].skipped |= (uint16_t)((2u << told.number) - 1);
    if (m.of == 's') w->streams[m.member].skipped |= (uint16_t)(1 << told.number);
    return tell(g, w, &told, m.kill_after);
}

static bool do_move(Game *g, World *w, Move m)
{
    Stream *s = &w->streams[m.member];
    LockEvent told = {.job = w->shut};
    switch ((MoveKind)m.kind) {
    case MOVE_READ: return read_event(g, w, m.member, m.kill_after);
    case MOVE_DISPATCH:
        if (!bind_row(g, w, m.member, next_unapplied(g, w, m.member), &s->flying[s->dispatched - s->applied]))
            return false;
        if (s->uncopied)
            recopy_pass(g, w, m.member);
        else
            s->dispatched++;
        return true;
    case MOVE_COPY: return recopy_copy(g, w, m.member);
    case MOVE_APPLY: return apply_row(g, w, m.member);
    case MOVE_PASSED:
    case MOVE_WRITTEN: return report_progress(g, w, m);
    case MOVE_WORK: return work(g, w, m.member);
    case MOVE_WORKED:
        told = (LockEvent){.kind = LOCK_EV_WORKED, .member = m.member, .number = s->work_step};
        s->work = LOCK_WORK_NONE;
        s->worked = false;
        return tell(g, w, &told, m.kill_after);
    case MOVE_DECIDE:
    case MOVE_RETRY: return decide(g, w, m);
    case MOVE_FAILED:
        told = (LockEvent){.kind = LOCK_EV_FAILED, .job = w->alter, .words = STR("no space")};
        w->alter = w->shut = 0;
        w->alter_to = NULL;
        w->fails--;
        return tell(g, w, &told, m.kill_after);
    case MOVE_DRAINED:
        told.kind = LOCK_EV_DRAINED;
        w->shut = 0;
        return tell(g, w, &told, m.kill_after);
    case MOVE_ALTER: return alter(g, w);
    case MOVE_ALTERED:
        told = (LockEvent){.kind = LOCK_EV_ALTERED, .job = w->alter};
        w->alter = w->shut = 0;
        w->alter_to = NULL;
        return tell(g, w, &told, m.kill_after);
    case MOVE_KILL:
        forget(w);
        w->kills--;
        return true;
    case MOVE_START: return start(g, w);
    case MOVE_KINDS: break;
    }
    return false;
}

bool world_move(Game *g, const World *w, Move m, World *out)
{
    *out = *w;
    out->lock = lock_clone(w->lock);
    bool ok = do_move(g, out, m);
    for (int i = 0; ok && i < out->n_members; i++)
        pass_ddl(g, &out->streams[i], i);
    return ok;
}

/* -- small things -- */

void world_free(World *w)
{
    lock_free(w->lock);
    w->lock = NULL;
}
