/* A group of shard tables for tests and for the page of outcomes: real statements go through the parser and
 * the tracker into a lock, and everything the lock asks for is done at once. */
#ifndef SM_TESTS_LOCK_GROUP_H
#define SM_TESTS_LOCK_GROUP_H

#include <stdio.h>
#include "base/check.h"
#include "ddl/parse.h"
#include "lock/lock.h"
#include "model/binding.h"
#include "track/schema_apply.h"

enum { GROUP_MOST = 4, GROUP_STRICT = 0x400000 | 0x200000 };

typedef struct GroupMember {
    const TableSchema *now; /* NULL: dropped */
    uint64_t steps;         /* run so far */
    bool stopped, gone;
} GroupMember;

typedef struct Group {
    VersionPool *pool;
    Lock *lock;
    LockOpts opts;
    uint32_t n;
    GroupMember members[GROUP_MOST];
    const char *now; /* what now() is for the next statement */
    bool held_back;  /* drains, changes and work are not answered */
    bool drop;       /* the target was dropped */
    int alters, asks, works;
    uint64_t job;
    LockWork work, work_of[GROUP_MOST]; /* the last, and the last of each member */
    StrBuf rows;                        /* what was done to the target's rows */
    Err err;
} Group;

static inline bool group_step_of(Group *g, const TableSchema *before, const char *sql, TableSchema **after,
                                 SchemaStep **step)
{
    Arena arena = {0};
    DdlStmt *stmt;
    DdlContext ddl = {.flavor = FLAVOR_MYSQL, .version = 80036, .default_schema = STR("shop")};
    ApplyContext ctx = {.flavor = FLAVOR_MYSQL,
                        .version = 80036,
                        .schema_collation = STR("utf8mb4_bin"),
                        .sql_mode = GROUP_STRICT,
                        .now_utc = str_of(g->now),
                        .now_local = str_of(g->now),
                        .text = str_of(sql)};
    bool ok = ddl_parse(str_of(sql), &ddl, &arena, &stmt, &g->err) &&
              schema_apply(before, stmt, &ctx, after, step, &g->err);
    arena_done(&arena);
    return ok;
}

/* The definition that CREATE TABLE makes; the pool's. */
static inline const TableSchema *group_table(Group *g, const char *create)
{
    TableSchema *after = NULL;
    SchemaStep *step = NULL;
    if (!group_step_of(g, NULL, create, &after, &step) || !after) fprintf(stderr, "%s\n", g->err.message);
    CHECK(after, "a CREATE TABLE that is understood");
    const TableSchema *own = version_schema(g->pool, after);
    schema_step_free(step);
    schema_free(after);
    return own;
}

static inline bool group_tell(Group *g, const LockEvent *e);

/* The member's table was made again: it joins with its last step. */
static inline bool group_join_again(Group *g, uint32_t member, const TableSchema *made)
{
    GroupMember *m = &g->members[member];
    LockEvent e = {.kind = LOCK_EV_JOIN,
                   .member = member,
                   .number = m->steps,
                   .name = STR("again"),
                   .schema = made,
                   .fresh = true,
                   .at_ms = 1000 + (int64_t)m->steps};
    m->gone = false;
    return group_tell(g, &e);
}

static inline bool group_act(Group *g, const LockAction *a)
{
    LockEvent answer = {.job = a->job, .member = a->member, .number = a->number};
    switch (a->kind) {
    case LOCK_ACT_SHUT: answer.kind = LOCK_EV_DRAINED; break;
    case LOCK_ACT_ALTER:
        g->alters++;
        g->drop |= a->alter.drop;
        sb_str(&g->rows, a->alter.rows);
        answer.kind = LOCK_EV_ALTERED;
        break;
    case LOCK_ACT_WORK:
        g->works++;
        g->work = g->work_of[a->member] = a->work;
        answer.kind = LOCK_EV_WORKED;
        break;
    case LOCK_ACT_ASK: g->asks++; return true;
    case LOCK_ACT_STOP: g->members[a->member].stopped = true; return true;
    case LOCK_ACT_GONE: {
        const GroupMember *m = &g->members[a->member];
        g->members[a->member].gone = true;
        return !m->now || m->steps <= a->number || group_join_again(g, a->member, m->now);
    }
    default: return true;
    }
    if (a->job) g->job = a->job;
    return g->held_back || group_tell(g, &answer);
}

static inline bool group_tell(Group *g, const LockEvent *e)
{
    LockActions acts = {0};
    bool ok = lock_step(g->lock, e, &acts, &g->err);
    for (uint32_t i = 0; ok && i < acts.n; i++)
        ok = group_act(g, &acts.list[i]);
    lock_actions_done(&acts);
    return ok;
}

/* All rows that may be written are, all floors pass. */
static inline bool group_settle(Group *g)
{
    for (int round = 0; round < 8; round++)
        for (uint32_t i = 0; i < g->n; i++) {
            uint64_t last, accepted;
            if (g->members[i].gone) continue;
            bool inside = lock_member(g->lock, i, &last, &accepted);
            LockEvent e = {.kind = LOCK_EV_PASSED, .member = i, .number = last};
            if (!group_tell(g, &e)) return false;
            if (!inside || g->members[i].gone) continue;
            e = (LockEvent){.kind = LOCK_EV_WRITTEN, .member = i, .number = MIN(last, accepted + 1)};
            if (!group_tell(g, &e)) return false;
        }
    return true;
}

/* creates: one per member. False: the lock does not begin; g->err. */
static inline bool group_begin_each(Group *g, const LockOpts *opts, const char *const *creates, uint32_t n,
                                    const char *target)
{
    LockActions acts = {0};
    g->pool = version_pool_new();
    g->opts = *opts;
    g->n = n;
    g->lock = lock_new(g->pool, STR("shop.t"), group_table(g, target), opts);
    bool ok = true;
    for (uint32_t i = 0; i < n; i++) {
        char name[8];
        snprintf(name, sizeof name, "s%u.t", i + 1);
        g->members[i].now = group_table(g, creates[i]);
        LockEvent e = {.kind = LOCK_EV_JOIN, .member = i, .name = str_of(name), .schema = g->members[i].now};
        ok = ok && lock_step(g->lock, &e, &acts, &g->err);
    }
    ok = ok && lock_begin(g->lock, &acts, &g->err);
    for (uint32_t i = 0; ok && i < acts.n; i++)
        ok = group_act(g, &acts.list[i]);
    lock_actions_done(&acts);
    return ok && group_settle(g);
}

static inline void group_begin(Group *g, const LockOpts *opts, const char *create, uint32_t n)
{
    const char *creates[GROUP_MOST] = {create, create, create};
    *g = (Group){0};
    CHECK(group_begin_each(g, opts, creates, n, create), "equal tables begin");
}

/* A statement runs on a member's server and is read. */
static inline bool group_read(Group *g, uint32_t member, const char *sql)
{
    GroupMember *m = &g->members[member];
    TableSchema *after = NULL;
    SchemaStep *step = NULL;
    char identity[32];
    if (!group_step_of(g, m->now, sql, &after, &step) || !step) return false;
    snprintf(identity, sizeof identity, "s%u:%llu", member + 1, (unsigned long long)++m->steps);
    bool leaves = after && str_starts(after->name.table, STR("out"));
    LockEvent e = {.kind = LOCK_EV_STEP,
                   .member = member,
                   .identity = str_of(identity),
                   .point = str_of(identity),
                   .at_ms = 1000 + (int64_t)m->steps,
                   .step = step,
                   .step_kind = lock_step_kind(step, leaves, false)};
    bool again = m->gone && !step->before,
         ok = again ? group_join_again(g, member, after) : group_tell(g, &e);
    m->now = version_schema(g->pool, after);
    schema_step_free(step);
    schema_free(after);
    return ok;
}

static inline bool group_run(Group *g, uint32_t member, const char *sql)
{
    return group_read(g, member, sql) && group_settle(g);
}

static inline bool group_decide(Group *g, LockDecision d, uint32_t member, uint64_t number)
{
    LockEvent e = {.kind = LOCK_EV_DECIDE,
                   .member = member,
                   .number = number,
                   .decision = d,
                   .words = STR("root: because")};
    return group_tell(g, &e) && group_settle(g);
}

static inline bool group_is_held(const Group *g, uint32_t member)
{
    uint64_t last, accepted;
    return !g->members[member].gone && (!lock_member(g->lock, member, &last, &accepted) || accepted < last);
}

static inline const ColumnDef *group_column(const Group *g, const char *name)
{
    const TableSchema *s = lock_target(g->lock)->schema;
    uint32_t at = schema_column(s, str_of(name));
    return at == NO_COLUMN ? NULL : &s->columns[at];
}

/* What a row of the member's version gets in the target's column: "row", "target", "NULL" or a literal. */
static inline bool group_feed(Group *g, uint32_t member, uint64_t number, const char *column, StrBuf *out)
{
    Arena arena = {0};
    RowMap map;
    bool ok = lock_row_map(g->lock, member, number, &arena, &map, &g->err);
    uint32_t at = schema_column(lock_target(g->lock)->schema, str_of(column));
    sb_clear(out);
    if (ok && at == NO_COLUMN) {
        sb_c(out, "none");
    } else if (ok) {
        const ColumnFeed *f = &map.feeds[at];
        if (f->kind == FEED_COLUMN)
            sb_c(out, "row");
        else if (f->kind == FEED_TARGET)
            sb_c(out, "target");
        else if (f->fill == FILL_NULL)
            sb_c(out, "NULL");
        else
            sb_str(out, f->fill_text);
    }
    arena_done(&arena);
    return ok;
}

static inline void group_done(Group *g)
{
    lock_free(g->lock);
    version_pool_free(g->pool);
    sb_done(&g->rows);
    err_clear(&g->err);
}

#endif
