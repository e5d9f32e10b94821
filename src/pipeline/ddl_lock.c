/* Locks: what happened is told to them, what they ask is done. Coordinator. */
#include <stdlib.h>
#include "base/fault.h"
#include "base/log.h"
#include "pipeline/ddl_impl.h"
#include "track/schema_json.h"
#include "base/poison.h"

/* -- actions -- */

void ddl_ask(DdlTarget *t, Str words)
{
    free((char *)t->ask.ptr);
    t->ask = words.len ? (Str){str_dup(words), words.len} : (Str){0};
}

static void keep_alter(DdlTarget *t, const LockAction *a)
{
    uint32_t n = a->alter.to->schema->n_columns;
    arena_done(&t->pending_arena);
    t->pending_job = a->job;
    t->pending = a->alter;
    t->pending.columns = arena_array(&t->pending_arena, uint32_t, n + 1);
    if (n) memcpy(t->pending.columns, a->alter.columns, n * sizeof(uint32_t));
    t->pending.rows = arena_str(&t->pending_arena, a->alter.rows);
    t->altering = true;
}

static void act(Ddl *d, DdlTarget *t, const LockAction *a)
{
    switch (a->kind) {
    case LOCK_ACT_HOLD:
    case LOCK_ACT_ACCEPT:
    case LOCK_ACT_OPEN:
    case LOCK_ACT_SHUT: break; /* the lock is asked where it matters */
    case LOCK_ACT_ALTER: keep_alter(t, a); break;
    case LOCK_ACT_WORK: ddl_owe_work(t, a); break;
    case LOCK_ACT_STOP:
        log_write(LOGEV_LOCK_ASKS, LOG_STR("target", t->label), LOG_STR("words", a->words));
        ddl_strict_stop(d, a->member, a->number);
        break;
    case LOCK_ACT_ASK:
        ddl_ask(t, a->words);
        if (a->job) t->failed_job = a->job;
        log_write(LOGEV_LOCK_ASKS, LOG_STR("target", t->label), LOG_STR("words", a->words));
        break;
    case LOCK_ACT_NOTE:
        log_write(LOGEV_LOCK_NOTE, LOG_STR("target", t->label), LOG_STR("words", a->words));
        break;
    case LOCK_ACT_GONE: {
        DdlMember *m = ddl_member_numbered(d, a->member);
        if (m) ddl_leave(d, m, a->number);
        break;
    }
    case LOCK_ACT_CLOSED:
        ddl_ask(t, (Str){0});
        log_write(LOGEV_LOCK_CLOSED, LOG_STR("target", t->label));
        break;
    }
}

static void act_all(Ddl *d, DdlTarget *t, const LockActions *actions)
{
    for (uint32_t i = 0; i < actions->n; i++)
        act(d, t, &actions->list[i]);
    for (uint32_t i = 0; i < d->n_sources; i++)
        ddl_bump(d, i);
}

/* -- the lock itself -- */

/* What is stored with the lock: an event that it took, and who has left by it. *left is heap. */
static StoreLockNews news_of(const Ddl *d, const LockEvent *e, const LockActions *actions, StoreLeft **left)
{
    StoreLockNews n = {0};
    *left = mem_zalloc((actions->n + 1) * sizeof **left);
    for (uint32_t i = 0; i < actions->n; i++) {
        const LockAction *a = &actions->list[i];
        if (a->kind != LOCK_ACT_GONE) continue;
        const DdlMember *m = ddl_member_numbered(d, a->member);
        (*left)[n.n_left++] = (StoreLeft){a->member, a->number, m ? ddl_made_behind(m, a->number) : 0};
    }
    n.left = *left;
    if (e && (e->kind == LOCK_EV_STEP || (e->kind == LOCK_EV_JOIN && e->number))) {
        n.member_no = e->member;
        n.number = e->number;
    }
    if (e && e->kind == LOCK_EV_JOIN) n.back = e->member;
    return n;
}

static bool put_lock(Ddl *d, DdlTarget *t, const LockEvent *e, const StoreDecision *decision,
                     const LockActions *actions, Err *err)
{
    StrBuf json = {0}, explained = {0};
    lock_to_json(t->lock, &json);
    lock_explain(t->lock, &explained);
    StoreLock row = {.target = t->name,
                     .state = str_of(lock_state_name(lock_state(t->lock))),
                     .lock_json = sb_view(&json),
                     .explained_json = sb_view(&explained)};
    StoreLeft *left;
    StoreLockNews news = news_of(d, e, actions, &left);
    news.decision = decision;
    bool ok = store_lock_put(d->p->store, &row, &news, err);
    free(left);
    sb_done(&json);
    sb_done(&explained);
    return ok;
}

bool ddl_lock_event(Ddl *d, DdlTarget *t, const LockEvent *e, Err *err)
{
    return ddl_lock_decide(d, t, e, NULL, err);
}

bool ddl_lock_decide(Ddl *d, DdlTarget *t, const LockEvent *e, const StoreDecision *decision, Err *err)
{
    LockActions actions = {0};
    LockState before = lock_state(t->lock);
    Lock *kept = lock_clone(t->lock);
    bool ok = lock_step(t->lock, e, &actions, err);
    ok = ok && put_lock(d, t, e, decision, &actions, err);
    if (!ok) { /* as if it had not come */
        lock_free(t->lock);
        t->lock = kept;
        lock_actions_done(&actions);
        return false;
    }
    lock_free(kept);
    if (decision) (void)FAULT("ddl.decided");
    act_all(d, t, &actions);
    LockState now = lock_state(t->lock);
    if (now != before)
        log_write(LOGEV_LOCK_STATE, LOG_STR("schema", t->name.schema), LOG_STR("table", t->name.table),
                  LOG_S("state", lock_state_name(now)));
    lock_actions_done(&actions);
    return true;
}

static LockPolicy policy_of(LossPolicy p)
{
    switch (p) {
    case LOSS_HOLD: return LOCK_POLICY_HOLD;
    case LOSS_IGNORE: return LOCK_POLICY_IGNORE;
    case LOSS_DELETE_ROWS: return LOCK_POLICY_DELETE_ROWS;
    case LOSS_APPLY_WHEN_ALL: return LOCK_POLICY_APPLY_WHEN_ALL;
    }
    return LOCK_POLICY_HOLD;
}

static void lock_opts(const Ddl *d, const DdlTarget *t, LockOpts *out)
{
    const Task *task = d->p->task;
    *out = (LockOpts){.mode = task->shard_mode == SHARD_MODE_OPTIMISTIC ? LOCK_OPTIMISTIC : LOCK_PESSIMISTIC,
                      .strict = task->strict_optimistic,
                      .can_delete = t->loss.tells_rows,
                      .provenance = t->loss.can_refill,
                      .refill_own = t->loss.can_refill,
                      .can_recopy = ddl_can_recopy(d),
                      .on_drop = policy_of(t->loss.policies.on_drop),
                      .on_truncate = policy_of(t->loss.policies.on_truncate),
                      .on_partition = policy_of(t->loss.policies.on_drop_partition),
                      .on_rename = policy_of(t->loss.policies.on_rename_out)};
}

static bool load_dropped(Ddl *d, DdlTarget *t, Err *err)
{
    Arena arena = {0};
    Str json;
    bool ok = store_dropped_get(d->p->store, t->name, &arena, &json, err) &&
              (!json.len || schema_from_json(json, &t->dropped, err));
    arena_done(&arena);
    return ok || err_wrap(err, "kept definition of " STR_FMT "." STR_FMT, STR_ARG(t->name.schema),
                          STR_ARG(t->name.table));
}

bool ddl_load_lock(Ddl *d, const StoreLock *l, Err *err)
{
    DdlTarget *t = ddl_know_target(d, l->target);
    LockActions actions = {0};
    LockOpts opts;
    if (!catalog_target_losses(d->p->catalog, t->name, &t->loss, err)) return false;
    lock_opts(d, t, &opts);
    t->pool = version_pool_new();
    if (!lock_from_json(t->pool, l->lock_json, &opts, &t->lock, err)) {
        t->lock = NULL;
        return err_wrap(err, "kept lock of " STR_FMT "." STR_FMT, STR_ARG(l->target.schema),
                        STR_ARG(l->target.table));
    }
    for (DdlMember *m = d->members; m; m = m->next) {
        if (m->target == t) m->joined = lock_knows(t->lock, (uint32_t)m->no);
    }
    if (!load_dropped(d, t, err)) return false;
    lock_restart(t->lock, &actions);
    act_all(d, t, &actions);
    lock_actions_done(&actions);
    return true;
}

static bool join_member(Ddl *d, DdlTarget *t, DdlMember *m, bool fresh, Err *err)
{
    LockEvent e = {.kind = LOCK_EV_JOIN,
                   .member = (uint32_t)m->no,
                   .number = ddl_birth(m) ? ddl_birth(m)->number : 0,
                   .at_ms = clock_wall_ms(),
                   .name = m->label,
                   .schema = ddl_birth(m) ? ddl_birth(m)->step->after : m->first,
                   .fresh = fresh};
    LockActions actions = {0};
    if (fresh) {
        if (!ddl_lock_event(d, t, &e, err)) return false;
    } else if (!lock_step(t->lock, &e, &actions, err)) {
        return false;
    }
    lock_actions_done(&actions);
    m->joined = true;
    return true;
}

/* The first schema change of any member: all of them as they were at the start. */
static bool begin_lock(Ddl *d, DdlTarget *t, Err *err)
{
    LockActions actions = {0};
    LockOpts opts;
    lock_opts(d, t, &opts);
    t->pool = version_pool_new();
    t->lock = lock_new(t->pool, t->label, t->plain, &opts);
    bool ok = true;
    for (DdlMember *m = d->members; ok && m; m = m->next)
        if (m->target == t && !m->left) ok = join_member(d, t, m, false, err);
    ok = ok && lock_begin(t->lock, &actions, err) && put_lock(d, t, NULL, NULL, &actions, err);
    if (ok) {
        act_all(d, t, &actions);
        log_write(LOGEV_LOCK_STATE, LOG_STR("schema", t->name.schema), LOG_STR("table", t->name.table),
                  LOG_S("state", lock_state_name(lock_state(t->lock))));
    } else {
        lock_free(t->lock);
        t->lock = NULL;
        for (DdlMember *m = d->members; m; m = m->next)
            if (m->target == t) m->joined = false;
    }
    lock_actions_done(&actions);
    return ok;
}

/* -- what is told -- */

/* One that had left is in again from the step on that made its table anew, once nobody reads anything older
 * again: the main stream's stored floor has come to that step. */
static bool tell_back(Ddl *d, DdlMember *m, const StreamPoint *main, Err *err)
{
    const DdlStep *back = ddl_step_back(m);
    if (!back || !m->target->lock || !point_reaches(main, &back->before)) return true;
    for (const DdlFork *f = d->sources[m->source].forks; f; f = f->next)
        if (f->member == m && f->needs < back->number)
            return true; /* given up: nobody may take it for ours */
    for (const DdlWork *w = m->target->work; w; w = w->next)
        if (w->member_no == m->no) return true; /* it deletes rows of the table that was */
    LockEvent e = {.kind = LOCK_EV_JOIN,
                   .member = (uint32_t)m->no,
                   .number = back->number,
                   .at_ms = clock_wall_ms(),
                   .name = m->label,
                   .schema = back->step->after,
                   .fresh = true};
    if (!ddl_lock_event(d, m->target, &e, err)) return false;
    ddl_come_back(d, m, back);
    return true;
}

static bool tell_steps(Ddl *d, DdlMember *m, Err *err)
{
    DdlTarget *t = m->target;
    for (size_t i = 0; i < m->n_steps; i++) {
        DdlStep *s = m->steps[i];
        if (s->told) continue;
        if (!t->lock && (!t->plain || !begin_lock(d, t, err))) return !t->plain;
        StrBuf point = {0};
        point_format_human(&s->before, &point);
        LockEvent e = {.kind = LOCK_EV_STEP,
                       .member = (uint32_t)m->no,
                       .number = s->number,
                       .at_ms = clock_wall_ms(),
                       .identity = s->identity,
                       .point = sb_view(&point),
                       .step = s->step,
                       .step_kind = s->kind};
        s->told = true;
        bool ok = ddl_lock_event(d, t, &e, err);
        sb_done(&point);
        if (ok) continue;
        s->told = false;
        return err_wrap(err, STR_FMT ": " STR_FMT, STR_ARG(m->label), STR_ARG(s->step->statement));
    }
    return true;
}

bool ddl_tell_steps(Ddl *d, DdlTarget *t, Err *err)
{
    for (DdlMember *m = d->members; m; m = m->next)
        if (m->target == t && m->joined && !m->left && !tell_steps(d, m, err)) return false;
    return true;
}

/* Have all rows before the step been written? */
static bool is_written(const Ddl *d, const DdlMember *m, const DdlStep *s, const StreamPoint *round_floor)
{
    const DdlSource *src = &d->sources[m->source];
    for (const DdlFork *f = src->forks; f; f = f->next) {
        if (f->member != m || f->finished || point_reaches(&f->from, &s->before)) continue;
        bool passed =
            src->round && f->round == src->round &&
            (point_reaches(round_floor, &s->before) || (f->has_to && point_reaches(round_floor, &f->to)));
        if (!passed) return false;
    }
    return true;
}

/* Stored floors of one source: main stream and round. What they cover is never read again. */
static void floors_of(Ddl *d, uint32_t source, StreamPoint *main, StreamPoint *round)
{
    pthread_mutex_lock(&d->p->mutex);
    point_copy(main, &d->p->streams[source].written_floor);
    point_copy(round, &d->p->streams[d->n_sources + source].written_floor);
    pthread_mutex_unlock(&d->p->mutex);
}

static bool tell_one(Ddl *d, DdlMember *m, const DdlStep *s, LockEventKind kind, Err *err)
{
    LockEvent e = {.kind = kind, .member = (uint32_t)m->no, .number = s->number, .at_ms = clock_wall_ms()};
    return ddl_lock_event(d, m->target, &e, err);
}

/* What is said of a step holds for those before it: the last that is written and the last that is passed are
 * told. A start tells all that is on record. */
static bool tell_progress(Ddl *d, DdlMember *m, const StreamPoint *main, const StreamPoint *round, Err *err)
{
    const DdlStep *written = NULL, *passed = NULL;
    for (size_t i = 0; i < m->n_steps; i++) {
        DdlStep *s = m->steps[i];
        if (s->written || !s->told) continue;
        DdlProgress p = {.told = s->told,
                         .passed = s->passed,
                         .written = s->written,
                         .covered = point_covers(main, &s->id) && !ddl_copy_carries(d, m, s->number)};
        p.all_written = p.covered && is_written(d, m, s, round);
        DdlNews news = ddl_news(&p);
        if (news == DDL_NEWS_WAIT) break;
        if (news == DDL_NEWS_NONE) continue;
        s->passed = true;
        s->written = news == DDL_NEWS_WRITTEN;
        *(s->written ? &written : &passed) = s;
    }
    return (!written || tell_one(d, m, written, LOCK_EV_WRITTEN, err)) &&
           (!passed || tell_one(d, m, passed, LOCK_EV_PASSED, err));
}

/* -- draining a target -- */

/* Is nothing of the member's round on its way? One that goes on is waited for. One that rests does not begin
 * while the target changes, nor does a main stream that has taken the member back and waits for it. */
static bool round_drained(Ddl *d, const DdlMember *m, bool main_rests)
{
    bool runs;
    for (const DdlFork *f = d->sources[m->source].forks; f; f = f->next) {
        if (f->member != m || f->finished || !(f->has_to || f->round)) continue;
        if ((f->has_to && !main_rests) || !ddl_rests(d, d->n_sources + m->source, &runs)) return false;
    }
    return true;
}

/* Is no row of this member on its way? Asks the member's stream to fork it where it has to. */
static bool member_drained(Ddl *d, DdlMember *m, bool *ask)
{
    Pipeline *p = d->p;
    const DdlFork *open = ddl_open_fork(d, m);
    bool runs, rests = ddl_rests(d, m->source, &runs);
    if (m->left) return ddl_left_drained(d, m, ask) && (rests || !ddl_copy_carries(d, m, UINT64_MAX));
    if (!round_drained(d, m, rests)) return false;
    if (!runs) return rests;
    if (!open) {
        *ask = true;
        return false;
    }
    WindowView view;
    window_snapshot(merge_window(p->merge, m->source), &view);
    bool passed = point_reaches(&view.floor, &open->from);
    point_done(&view.floor);
    return passed && ddl_copy_is_settled(d, m);
}

static bool tick_target(Ddl *d, DdlTarget *t, Err *err)
{
    uint64_t job = 0;
    pthread_mutex_lock(&d->mutex);
    bool locked = t->lock != NULL, works = t->work != NULL, pending = t->pending_job != 0;
    pthread_mutex_unlock(&d->mutex);
    if (!locked) return true;
    if (works && !ddl_work_tick(d, t, err)) return false;
    if (t->job.id) return !__atomic_load_n(&t->job.ended, __ATOMIC_ACQUIRE) || ddl_job_finish(d, t, err);
    if (pending) return ddl_job_start(d, t, err);
    pthread_mutex_lock(&d->mutex);
    bool shut = !lock_is_open(t->lock) && !t->altering && lock_job(t->lock, &job), drained = shut;
    for (DdlMember *m = d->members; shut && m; m = m->next) {
        bool ask = false;
        if (m->target != t) continue;
        drained &= member_drained(d, m, &ask);
        if (ask) d->sources[m->source].want_hold = true;
    }
    bool ok = true;
    if (drained) {
        LockEvent e = {.kind = LOCK_EV_DRAINED, .job = job, .at_ms = clock_wall_ms()};
        ok = ddl_lock_event(d, t, &e, err);
    }
    pthread_mutex_unlock(&d->mutex);
    for (uint32_t i = 0; shut && i < d->n_sources; i++)
        source_poke(d->p->streams[i].source);
    return ok;
}

/* -- one step -- */

/* Targets are only added, in front. */
static DdlTarget *first_target(Ddl *d)
{
    pthread_mutex_lock(&d->mutex);
    DdlTarget *t = d->targets;
    pthread_mutex_unlock(&d->mutex);
    return t;
}

static bool has_lock(Ddl *d, const DdlTarget *t)
{
    pthread_mutex_lock(&d->mutex);
    bool has = t->lock != NULL;
    pthread_mutex_unlock(&d->mutex);
    return has;
}

/* What targets look like whose lock is about to begin: asked of the catalog without the mutex. */
static bool look_at_targets(Ddl *d, Err *err)
{
    for (DdlTarget *t = first_target(d); t; t = t->next) {
        if (t->plain || has_lock(d, t)) continue;
        if (!catalog_target_losses(d->p->catalog, t->name, &t->loss, err)) return false;
        if (!catalog_target_plain(d->p->catalog, t->name, &t->plain)) t->plain = NULL;
    }
    return true;
}

static bool tell_source(Ddl *d, uint32_t source, Err *err)
{
    StreamPoint main, round;
    bool ok = true;
    floors_of(d, source, &main, &round);
    pthread_mutex_lock(&d->mutex);
    for (DdlMember *m = d->members; ok && m; m = m->next) {
        if (m->source != source) continue;
        if (m->left) ok = tell_back(d, m, &main, err);
        if (!ok || m->left) continue;
        if (m->target->lock && !m->joined) ok = join_member(d, m->target, m, true, err);
        ok = ok && tell_steps(d, m, err) && tell_progress(d, m, &main, &round, err);
    }
    pthread_mutex_unlock(&d->mutex);
    point_done(&main);
    point_done(&round);
    return ok;
}

/* Steps are told and written in order. */
static bool has_work(Ddl *d)
{
    pthread_mutex_lock(&d->mutex);
    bool any = false;
    for (const DdlTarget *t = d->targets; t && !any; t = t->next)
        any = t->lock && (!lock_is_open(t->lock) || t->pending_job || t->job.id || t->work);
    for (const DdlMember *m = d->members; m && !any; m = m->next)
        any = m->left ? ddl_step_back(m) != NULL
                      : (m->target->lock && !m->joined) || (m->n_steps && !m->steps[m->n_steps - 1]->written);
    pthread_mutex_unlock(&d->mutex);
    return any;
}

bool ddl_locks_tick(Ddl *d, Err *err)
{
    if (!has_work(d)) return true;
    if (!look_at_targets(d, err)) return false;
    for (uint32_t i = 0; i < d->n_sources; i++)
        if (!tell_source(d, i, err)) return false;
    for (DdlTarget *t = first_target(d); t; t = t->next)
        if (!tick_target(d, t, err)) return false;
    return true;
}

bool ddl_tick(Ddl *d, Err *err)
{
    ddl_binlog_tick(d);
    return ddl_locks_tick(d, err) && ddl_rounds_tick(d, err);
}

void ddl_stop(Ddl *d)
{
    bool runs = false;
    ddl_binlog_stop(d);
    pthread_mutex_lock(&d->mutex); /* against questions and decisions: none of these threads takes it */
    for (DdlTarget *t = d->targets; t; t = t->next) {
        if (t->job.running) waker_wake(&t->job.wake);
        ddl_work_wake(t);
        runs |= t->job.running || t->work;
    }
    if (runs) conn_cancel_fire(d->p->cancel); /* the coordinator's own connection ends too */
    for (DdlTarget *t = d->targets; t; t = t->next)
        ddl_job_done(&t->job);
    for (DdlTarget *t = d->targets; t; t = t->next)
        ddl_work_done(t);
    pthread_mutex_unlock(&d->mutex);
    conn_cancel_reset(d->p->cancel);
}

bool ddl_is_quiet(Ddl *d)
{
    bool quiet = true;
    pthread_mutex_lock(&d->mutex);
    for (uint32_t i = 0; i < d->n_sources; i++) {
        quiet &= d->sources[i].round == 0;
        for (const DdlFork *f = d->sources[i].forks; f; f = f->next)
            quiet &= f->finished || ddl_given_up(f);
    }
    for (const DdlMember *m = d->members; m; m = m->next)
        quiet &= m->left ? !ddl_step_back(m) : !m->n_steps || m->steps[m->n_steps - 1]->written;
    for (const DdlTarget *t = d->targets; t; t = t->next)
        quiet &= (!t->lock || lock_is_open(t->lock)) && !t->work;
    pthread_mutex_unlock(&d->mutex);
    return quiet;
}
