/* When nothing can happen any more: is all as it was promised? */
#include <string.h>
#include "world.h"
#include "lock/lock_impl.h"
#include "base/poison.h"

/* -- what the programs are -- */

static void ddl_of(const char *program, char *out)
{
    for (; *program; program++)
        if (shard_is_ddl(*program)) *out++ = *program;
    *out = 0;
}

static bool only_letters(const char *program, const char *letters)
{
    char ddl[MOST_EVENTS + 1];
    ddl_of(program, ddl);
    return strspn(ddl, letters) == strlen(ddl);
}

/* Nobody joins or leaves, no rows go away, nobody has decided anything. */
static bool is_plain(const Game *g, const World *w)
{
    bool plain = !w->decided;
    for (int i = 0; i < g->n_members; i++)
        plain &= w->streams[i].in && !strpbrk(g->shards[i].program, "ZpOMEJL");
    return plain;
}

/* What counts for the target of a member's statements. */
static void counting_ddl(const Game *g, const World *w, int member, char *out)
{
    const char *program = g->shards[member].program;
    for (int i = 0; program[i]; i++)
        if (shard_is_ddl(program[i]) && loss_of(g, w, member, i) != LOSS_NOT_OURS) *out++ = program[i];
    *out = 0;
}

/* Members that are in ran the same. Other changes of different things, in any order, are the same. */
static bool same_programs(const Game *g, const World *w)
{
    char first[MOST_EVENTS + 1], own[MOST_EVENTS + 1];
    bool any = false;
    for (int i = 0; i < g->n_members; i++) {
        if (!w->streams[i].in) continue;
        counting_ddl(g, w, i, any ? own : first);
        if (any && strcmp(first, own) != 0) {
            bool apart = strlen(first) == strlen(own);
            for (const char *p = own; *p; p++)
                apart &= strchr("BCDXUWR", *p) && strchr(first, *p) && strchr(own, *p) == p &&
                         strrchr(own, *p) == p && !(*p == 'R' && strchr(own, 'W'));
            if (!apart) return false;
        }
        any = true;
    }
    return true;
}

/* A column filled by the moment; or one that is dropped and added again: a member that undid it before
 * another began is a round ahead. What the other then gives up stands in the target already, and only people
 * can tell what it should be. */
static bool may_hold_other_values(const char *program)
{
    static const char *const pairs[] = {"bB", "cC", "dD", "bP"};
    char ddl[MOST_EVENTS + 1];
    ddl_of(program, ddl);
    for (size_t i = 0; i < ARRAY_LEN(pairs); i++) {
        const char *drop = strchr(ddl, pairs[i][0]);
        if (drop && strchr(drop, pairs[i][1])) return true;
    }
    bool name_again = strchr(ddl, 'Q') && strpbrk(ddl, "Rk"); /* r is another column then */
    return strchr(ddl, 'T') != NULL || name_again;
}

/* Everything that optimistic mode has no reason to hold. */
static bool is_lossless(const Game *g)
{
    for (int i = 0; i < g->n_members; i++)
        if (!only_letters(g->shards[i].program, "BCDWXUa") || strstr(g->shards[i].program, "Wa"))
            return false;
    return true;
}

/* A member waits for somebody to decide, and the lock says so. */
static bool asks(const Game *g, const World *w)
{
    bool any = g->opts.strict;
    for (int m = 0; m < g->n_members; m++) {
        const Stream *s = &w->streams[m];
        for (int i = s->applied; s->in && i < g->shards[m].n_events; i++)
            any |= loss_of(g, w, m, i) == LOSS_ASKS;
    }
    return any;
}

Loss loss_of(const Game *g, const World *w, int member, int event)
{
    const Event *e = &g->shards[member].events[event];
    LockPolicy p = LOCK_POLICY_HOLD;
    if (e->kind != EVENT_DDL || !shard_is_loss(g->shards[member].program[event])) return LOSS_NONE;
    if (w->streams[member].skipped >> e->version & 1) return LOSS_NOT_OURS;
    switch (e->step_kind) {
    case LOCK_STEP_TRUNCATE: p = g->opts.on_truncate; break;
    case LOCK_STEP_PARTITION: p = g->opts.on_partition; break;
    case LOCK_STEP_DROP: p = g->opts.on_drop; break;
    case LOCK_STEP_RENAME_OUT: p = g->opts.on_rename; break;
    default: break;
    }
    bool partition = e->step_kind == LOCK_STEP_PARTITION, out = e->step_kind == LOCK_STEP_RENAME_OUT;
    if (p == LOCK_POLICY_IGNORE || (p == LOCK_POLICY_DELETE_ROWS && g->opts.can_delete && !partition))
        return LOSS_NOT_OURS;
    return p == LOCK_POLICY_APPLY_WHEN_ALL && !out ? LOSS_OF_ALL : LOSS_ASKS;
}

/* -- rows -- */

/* Events before this one, of p0 alone or of all, whose rows a statement at that place takes from the target.
 */
static uint16_t taken_by(const Game *g, const World *w, int member, int event)
{
    const Event *e = &g->shards[member].events[event];
    Loss loss = loss_of(g, w, member, event);
    bool by_work = loss == LOSS_NOT_OURS && !(w->streams[member].skipped >> e->version & 1);
    LockPolicy p = e->step_kind == LOCK_STEP_TRUNCATE ? g->opts.on_truncate
                   : e->step_kind == LOCK_STEP_DROP   ? g->opts.on_drop
                                                      : g->opts.on_rename;
    if (loss == LOSS_NONE || (loss == LOSS_NOT_OURS && !by_work)) return 0;
    if (by_work && (p != LOCK_POLICY_DELETE_ROWS || e->step_kind == LOCK_STEP_PARTITION)) return 0;
    if (e->step_kind == LOCK_STEP_RENAME_OUT && !by_work) return 0; /* released: its rows stay */
    uint16_t taken = 0;
    for (int i = 0; i < event; i++) {
        const Event *row = &g->shards[member].events[i];
        bool goes = e->step_kind != LOCK_STEP_PARTITION || shard_in_partition(row->row.id);
        if (row->kind == EVENT_INSERT && goes) taken |= (uint16_t)(1 << i);
    }
    return taken;
}

static const Row *row_of(const World *w, int id)
{
    for (int i = 0; i < w->table.n_rows; i++)
        if (w->table.rows[i].id == id) return &w->table.rows[i];
    return NULL;
}

/* Each row that was written stands there once, and nothing else of the member; *n counts them. */
static bool has_rows(Game *g, const World *w, int member, int *n)
{
    const Shard *s = &g->shards[member];
    const Stream *st = &w->streams[member];
    uint16_t taken = 0;
    for (int i = 0; i < st->applied; i++) {
        if (st->given_up >> i & 1) continue;
        taken |= taken_by(g, w, member, i);
        if (loss_of(g, w, member, i) == LOSS_ASKS && !w->released)
            return broken(g, "member %d went past what somebody was to decide about", member);
    }
    for (int i = 0; i < s->n_events; i++) {
        if (s->events[i].kind != EVENT_INSERT) continue;
        int id = s->events[i].row.id;
        bool here = row_of(w, id) != NULL, cleared = st->cleared >> i & 1;
        bool written = i < st->applied && !(st->given_up >> i & 1);
        if (!here && written && !cleared) return broken(g, "at the end row %d is missing", id);
        if (here && (!written || cleared)) return broken(g, "at the end row %d should not be there", id);
        if (here && taken >> i & 1) return broken(g, "at the end row %d is there that its shard lost", id);
        *n += here;
    }
    return true;
}

static bool same_row(Game *g, const World *w, const Table *t, const Row *r)
{
    const Row *own = row_of(w, r->id);
    if (!own) return true; /* told by has_rows, when it should be there */
    for (uint32_t c = 0; c < t->schema->n_columns; c++) {
        const ColumnDef *def = &t->schema->columns[c];
        uint32_t at = schema_column(w->table.schema, def->name);
        if (at == NO_COLUMN) return broken(g, "at the end the target lacks column %.*s", STR_ARG(def->name));
        if (own->values[at] != r->values[c])
            return broken(g, "at the end row %d has %d in column %.*s, its shard has %d", r->id,
                          own->values[at], STR_ARG(def->name), r->values[c]);
    }
    return true;
}

/* -- members -- */

/* One that waits has a reason to. */
static bool may_wait(Game *g, const World *w, int member, LockState state)
{
    const Shard *s = &g->shards[member];
    bool plain = is_plain(g, w), moved = !only_letters(s->program, "");
    if (state == LOCK_CLOSED) return broken(g, "the lock is closed and member %d is held", member);
    if (!moved && !strchr(s->program, 'J') && !w->decided)
        return broken(g, "member %d ran no DDL and is held", member);
    if (plain && g->opts.mode == LOCK_OPTIMISTIC && is_lossless(g))
        return broken(g, "member %d is held though its steps lose nothing", member);
    return true;
}

/* It was copied again, and nothing else was decided. */
static bool is_own(const Game *g, const Stream *s)
{
    return s->recopied && g->decisions && strcmp(g->decisions, "c") == 0;
}

/* Has the target a column with values of a table that has left? */
static bool any_left(const World *w)
{
    const Version *t = lock_target(w->lock);
    bool any = false;
    for (uint32_t i = 0; i < t->schema->n_columns; i++)
        any |= t->origins[i].left;
    return any;
}

/* Nobody converts values, renames columns, or drops one and adds it again. */
static bool keeps_values(const Game *g)
{
    for (int i = 0; i < g->n_members; i++)
        if (strpbrk(g->shards[i].program, "NRrQkTPMJ") || may_hold_other_values(g->shards[i].program))
            return false;
    return true;
}

/* Of one that has left: rows of it that stand there still have what they had when the last was written. */
static bool check_left(Game *g, const World *w, int member)
{
    const Shard *s = &g->shards[member];
    const Stream *st = &w->streams[member];
    int last = 0;
    if (!st->given_up || w->decided || w->table.schema == NULL || w->dropped || !keeps_values(g)) return true;
    for (int i = 0; i < st->applied && !(st->given_up >> i & 1); i++)
        if (is_row(&s->events[i])) last = i + 1;
    const Table *t = &s->after[last];
    if (strpbrk(s->program + last, "abcdk")) return true; /* it gave a column up itself */
    for (int r = 0; t->schema && r < t->n_rows; r++)
        if (!same_row(g, w, t, &t->rows[r])) return false;
    return true;
}

static bool check_member(Game *g, const World *w, int member, LockState state)
{
    const Shard *s = &g->shards[member];
    const Stream *st = &w->streams[member];
    const Table *t = &s->after[st->applied];
    if (st->applied < s->n_events && !may_wait(g, w, member, state)) return false;
    if (!t->schema) return true;
    if (st->uncopied && st->applied == s->n_events) return broken(g, "member %d is not copied again", member);
    for (int r = 0; r < t->n_rows && (!w->decided || is_own(g, st)); r++)
        if (!same_row(g, w, t, &t->rows[r])) return false;
    bool others = any_left(w) ? t->schema->n_columns > w->table.schema->n_columns
                              : t->schema->n_columns != w->table.schema->n_columns;
    if (state == LOCK_CLOSED && !w->decided && others)
        return broken(g, "the lock is closed, and the target has other columns than member %d", member);
    if (is_plain(g, w) && g->opts.mode == LOCK_PESSIMISTIC && only_letters(s->program, "") &&
        w->table.schema->n_columns != shard_base(g->pool)->n_columns)
        return broken(g, "the target changed before all members had");
    return true;
}

bool world_check_end(Game *g, const World *w)
{
    LockState state = lock_state(w->lock);
    bool asked = asks(g, w), may_differ = false;
    int rows = 0;
    if (state == LOCK_RELEASING) return broken(g, "it ends in the middle of a change of the target");
    if (!w->open) return broken(g, "it ends and the target is shut");
    if (state == LOCK_OPERATOR && !asked && !w->decided)
        return broken(g, "somebody is asked, and there is nothing to ask");
    for (int i = 0; i < g->n_members; i++)
        may_differ |= shard_joins_late(&g->shards[i]) ||
                      (may_hold_other_values(g->shards[i].program) && state == LOCK_DATA_DIFFERS);
    if (same_programs(g, w) && state != LOCK_CLOSED && !may_differ && !asked && !w->decided)
        return broken(g, "all members ran the same, and the lock is %s", lock_state_name(state));
    if (state == LOCK_WAITING && !w->decided && lock_all_agree(w->lock, AGREE_WHOLLY))
        return broken(g, "all agree, and the lock is waiting");
    for (int i = 0; i < g->n_members; i++) {
        if (!has_rows(g, w, i, &rows)) return false;
        if (!w->streams[i].in && !check_left(g, w, i)) return false;
        if (w->streams[i].in && !check_member(g, w, i, state)) return false;
    }
    return rows == w->table.n_rows || broken(g, "the target has rows too many");
}
