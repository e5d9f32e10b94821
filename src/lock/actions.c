#include <stdlib.h>
#include "lock/lock_impl.h"
#include "base/poison.h"

LockStepKind lock_step_kind(const SchemaStep *step, bool leaves, bool swapped)
{
    bool renamed = step->before && step->after &&
                   (!str_ieq(step->name_before.schema, step->name_after.schema) ||
                    !str_ieq(step->name_before.table, step->name_after.table));
    if (!step->after) return LOCK_STEP_DROP;
    if (!step->before) return LOCK_STEP_CREATE;
    if (swapped) return LOCK_STEP_SWAP;
    if (leaves) return LOCK_STEP_RENAME_OUT;
    switch (step->rows) {
    case ROWS_ALL_GONE: return LOCK_STEP_TRUNCATE;
    case ROWS_SOME_GONE:
    case ROWS_UNKNOWN: return LOCK_STEP_PARTITION;
    case ROWS_KEPT: break;
    }
    return renamed ? LOCK_STEP_RENAME : LOCK_STEP_ALTER;
}

void lock_actions_done(LockActions *a)
{
    arena_done(&a->arena);
    free(a->list);
    *a = (LockActions){0};
}

LockAction *lock_act(LockActions *out, LockActionKind kind)
{
    if (out->n == out->cap) {
        out->cap = out->cap ? out->cap * 2 : 8;
        out->list = mem_realloc(out->list, out->cap * sizeof *out->list);
    }
    LockAction *a = &out->list[out->n++];
    *a = (LockAction){.kind = kind};
    return a;
}

void lock_act_words(LockActions *out, LockAction *a, const char *fmt, ...)
{
    StrBuf text = {0};
    va_list ap;
    va_start(ap, fmt);
    sb_vprintf(&text, fmt, ap);
    va_end(ap);
    a->words = arena_str(&out->arena, sb_view(&text));
    sb_done(&text);
}

void lock_act_member(LockActions *out, const LockMember *m)
{
    if (m->gate != LOCK_OUTSIDE) {
        LockAction *a = lock_act(out, LOCK_ACT_ACCEPT);
        a->member = m->id;
        a->number = m->nodes[m->gate].number;
    }
    for (int32_t i = m->gate + 1; i < (int32_t)m->n_nodes; i++) {
        if (m->gate != LOCK_OUTSIDE && m->nodes[i].number == m->nodes[m->gate].number)
            continue; /* a decision's */
        LockAction *a = lock_act(out, LOCK_ACT_HOLD);
        a->member = m->id;
        a->number = m->nodes[i].number;
        break;
    }
}

void lock_act_alter(const Lock *l, LockActions *out)
{
    LockAction *a = lock_act(out, LOCK_ACT_ALTER);
    a->job = l->job.id;
    a->alter = (LockAlter){.from = l->target,
                           .to = l->job.to,
                           .rows = arena_str(&out->arena, l->job.rows),
                           .drop = l->job.drop,
                           .as_is = l->job.as_is,
                           .left = l->left};
    uint32_t n = l->job.to->schema->n_columns;
    a->alter.columns = arena_array(&out->arena, uint32_t, n + 1);
    memcpy(a->alter.columns, l->job.columns, n * sizeof *a->alter.columns);
}

void lock_act_gone(LockActions *out, const LockMember *m, int32_t last)
{
    LockAction *a = lock_act(out, LOCK_ACT_GONE);
    a->member = m->id;
    a->number = m->nodes[last].number;
}

void lock_act_stop(const Lock *l, const LockMember *m, LockActions *out)
{
    const LockNode *n = &m->nodes[m->accepted + 1];
    StrBuf text = {0};
    lock_clash_words(l, m, &text);
    LockAction *a = lock_act(out, LOCK_ACT_STOP);
    a->member = m->id;
    a->number = n->number;
    lock_act_words(out, a, STR_FMT ": a schema change without a lossless join%s" STR_FMT, STR_ARG(m->name),
                   text.len ? ": " : "", STR_ARG(sb_view(&text)));
    sb_done(&text);
}

/* Work that waits for its turn is not owed yet; what was sent is. */
static void act_work(const LockMember *m, LockActions *out)
{
    if (m->gate_sent) {
        LockAction *a = lock_act(out, LOCK_ACT_WORK);
        a->member = m->id;
        a->number = m->nodes[m->accepted].number;
        a->work = m->gate_work;
    }
    if (m->before_sent) {
        LockAction *a = lock_act(out, LOCK_ACT_WORK);
        a->member = m->id;
        a->number = m->nodes[m->accepted + 1].number;
        a->work = m->nodes[m->accepted + 1].before;
    }
}

static void act_waits(const Lock *l, const LockMember *m, LockActions *out)
{
    for (uint32_t i = (uint32_t)(m->accepted + 1); i < m->n_nodes; i++)
        if (m->nodes[i].hold) {
            LockAction *a = lock_act(out, LOCK_ACT_ASK);
            a->member = m->id;
            a->number = m->nodes[i].number;
            lock_act_words(out, a, STR_FMT ": rows went away by \"" STR_FMT "\"; skip or release it",
                           STR_ARG(m->name), STR_ARG(m->nodes[i].step->statement));
        }
    if (m->stopped) lock_act_stop(l, m, out);
}

void lock_restart(const Lock *l, LockActions *out)
{
    if (!l->begun || l->opts.broken == LOCK_RULE_OWED) return;
    for (uint32_t i = 0; i < l->n_members; i++)
        lock_act_member(out, &l->members[i]);
    if (l->job.phase == JOB_DRAIN || l->job.phase == JOB_ALTER)
        lock_act(out, LOCK_ACT_SHUT)->job = l->job.id;
    else
        lock_act(out, LOCK_ACT_OPEN);
    if (l->job.phase == JOB_ALTER) lock_act_alter(l, out);
    if (l->job.phase == JOB_FAILED) {
        LockAction *a = lock_act(out, LOCK_ACT_ASK);
        a->job = l->job.id;
        lock_act_words(out, a, STR_FMT, STR_ARG(l->job.words));
    }
    for (uint32_t i = 0; i < l->n_members; i++) {
        act_work(&l->members[i], out);
        act_waits(l, &l->members[i], out);
    }
}
