/* Members that leave their target: dropped or renamed out of it under a policy that gives them up, or
 * detached by an operator. From the moment that this is stored no row of them is written by anybody, now or
 * after a restart, and the lock takes no notice of them. What was on its way then is waited for before the
 * target changes.
 *
 * A table that is made again under the name is a new one: its rows wait in a fork from the statement that
 * made it, until the main stream's stored floor has come there (so that no row of the old table is read
 * again), and the member is then let into the lock as new. Mutex held. */
#include "base/log.h"
#include "pipeline/ddl_impl.h"
#include "base/poison.h"

const DdlStep *ddl_birth(const DdlMember *m)
{
    return m->n_steps && !m->steps[0]->step->before ? m->steps[0] : NULL;
}

void ddl_is_born(DdlMember *m)
{
    DdlStep *s = (DdlStep *)ddl_birth(m);
    if (s) s->told = s->passed = s->written = true;
}

void ddl_has_left(Ddl *d, DdlMember *m)
{
    if (m->left) return;
    m->left = true;
    m->joined = false;
    m->left_step = 0;
    for (size_t i = 0; i < m->n_steps; i++)
        if (m->steps[i]->told) m->left_step = m->steps[i]->number;
    m->left_round = 0;
    m->has_barrier = false;
    m->clean = true;
    atomic_fetch_add(&d->sources[m->source].n_left, 1);
    ddl_bump(d, m->source);
}

uint64_t ddl_made_behind(const DdlMember *m, uint64_t last)
{
    const DdlStep *dropped = NULL;
    for (size_t i = 0; i < m->n_steps; i++) {
        const DdlStep *s = m->steps[i];
        if (s->number == last) dropped = s;
        if (s->number > last && s->kind == LOCK_STEP_CREATE)
            return dropped && dropped->kind == LOCK_STEP_DROP ? s->number : 0;
    }
    return 0;
}

void ddl_leave(Ddl *d, DdlMember *m, uint64_t last)
{
    uint64_t back = ddl_made_behind(m, last);
    for (size_t i = 0; i < m->n_steps; i++)
        if (m->steps[i]->number > last)
            m->steps[i]->told = m->steps[i]->passed = m->steps[i]->written = false;
    for (DdlFork *f = d->sources[m->source].forks; back && f; f = f->next)
        if (f->member == m && !f->finished && !f->has_to && f->needs >= last && f->needs < back)
            f->needs = back;
    ddl_has_left(d, m);
    m->left_round = d->sources[m->source].round;
    m->clean = false;
    ddl_copy_left(d, m);
    log_write(LOGEV_SHARD_LEFT, LOG_STR("table", m->label), LOG_STR("target", m->target->label));
}

const DdlStep *ddl_step_back(const DdlMember *m)
{
    for (size_t i = 0; m->left && i < m->n_steps; i++)
        if (m->steps[i]->number > m->left_step && m->steps[i]->kind == LOCK_STEP_CREATE) return m->steps[i];
    return NULL;
}

void ddl_come_back(Ddl *d, DdlMember *m, const DdlStep *back)
{
    for (size_t i = 0; i < m->n_steps && m->steps[i]->number <= back->number; i++)
        m->steps[i]->told = m->steps[i]->passed = m->steps[i]->written = true;
    m->left = false;
    m->joined = true;
    m->has_barrier = false;
    point_done(&m->barrier);
    atomic_fetch_sub(&d->sources[m->source].n_left, 1);
    ddl_bump(d, m->source);
    log_write(LOGEV_SHARD_BACK, LOG_STR("table", m->label), LOG_STR("target", m->target->label));
}

bool ddl_given_up(const DdlFork *f)
{
    const DdlStep *back = ddl_step_back(f->member);
    return f->member->left && (!back || f->needs < back->number);
}

void ddl_set_barrier(DdlMember *m, const StreamPoint *at)
{
    if (m->has_barrier) return;
    point_copy(&m->barrier, at);
    m->has_barrier = true;
}

bool ddl_rests(Ddl *d, uint32_t stream, bool *runs)
{
    Pipeline *p = d->p;
    pthread_mutex_lock(&p->mutex);
    CtlState s = p->streams[stream].state;
    bool asks = p->streams[stream].holders != NULL; /* it rests already */
    pthread_mutex_unlock(&p->mutex);
    *runs = s == CTL_RUNNING;
    bool still =
        s == CTL_PAUSED || s == CTL_FAILED || s == CTL_UNBORN || s == CTL_GRACE || s == CTL_IDLE || asks;
    return still && merge_stream_is_quiet(p->merge, stream, true);
}

bool ddl_left_drained(Ddl *d, const DdlMember *m, bool *ask)
{
    bool runs;
    const DdlSource *s = &d->sources[m->source];
    if (m->clean) return true;
    if (m->left_round && m->left_round == s->round && !ddl_rests(d, d->n_sources + m->source, &runs))
        return false; /* its round ends first */
    if (ddl_rests(d, m->source, &runs)) return true;
    if (!runs) return false;
    if (!m->has_barrier) {
        *ask = true;
        return false;
    }
    WindowView view;
    window_snapshot(merge_window(d->p->merge, m->source), &view);
    bool passed = point_reaches(&view.floor, &m->barrier);
    point_done(&view.floor);
    return passed;
}
