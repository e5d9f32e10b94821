/* Forks and the rounds in which they are read again. Coordinator, but where it says otherwise. */
#include <stdlib.h>
#include "base/fault.h"
#include "base/log.h"
#include "pipeline/ddl_impl.h"
#include "base/poison.h"

enum { NEAR_SECONDS = 2 };

/* -- forks; mutex held; also from sources' threads -- */

bool ddl_begin_fork(Ddl *d, DdlMember *m, const StreamPoint *from, uint64_t needs, Err *err)
{
    StrBuf json = {0};
    point_format(from, &json);
    StoreFork row = {.source_id = d->p->task->sources[m->source].id,
                     .member_no = m->no,
                     .from_json = sb_view(&json),
                     .needs = needs};
    bool ok = store_fork_add(d->p->store, &row, err);
    if (ok) {
        ddl_add_fork(d, m, from, needs, row.fork_no);
        ddl_bump(d, m->source);
    }
    sb_done(&json);
    return ok;
}

bool ddl_end_fork(Ddl *d, DdlFork *f, const StreamPoint *to, bool next_waits, uint64_t needs, Err *err)
{
    DdlMember *m = f->member;
    StrBuf json = {0};
    point_format(to, &json);
    StoreFork next = {.source_id = d->p->task->sources[m->source].id,
                      .member_no = m->no,
                      .from_json = sb_view(&json),
                      .needs = needs};
    bool ok = store_fork_to(d->p->store, f->no, sb_view(&json), next_waits ? &next : NULL, err);
    if (ok) {
        point_copy(&f->to, to);
        f->has_to = true;
        if (next_waits) ddl_add_fork(d, m, to, needs, next.fork_no);
        ddl_bump(d, m->source);
    }
    (void)FAULT("ddl.fork_end");
    sb_done(&json);
    return ok;
}

/* One that has run a step which is not accepted does not: the catch-up stream comes to that step, and the
 * fork ends there. */
static bool may_rejoin(const DdlMember *m)
{
    return m->cursor[DDL_MAIN] <= ddl_accepted(m);
}

/* All that can, or none: the main stream waits at the first row behind such an end until the whole round is
 * through, and another fork of it could not end any more. */
bool ddl_rejoin(Ddl *d, uint32_t source, const StreamPoint *at, Err *err)
{
    const DdlSource *s = &d->sources[source];
    uint64_t *nos = mem_alloc((atomic_load(&s->n_forks) + 1) * sizeof *nos);
    size_t n = 0;
    bool all = point_reaches(at, &s->kept), ok = true;
    for (const DdlFork *f = s->forks; all && f; f = f->next) {
        if (!ddl_in_round(s, f) || f->has_to || ddl_given_up(f) || !may_rejoin(f->member)) continue;
        all = point_reaches(at, &f->from);
        nos[n++] = f->no;
    }
    if (all && n) {
        StrBuf json = {0};
        point_format(at, &json);
        ok = store_forks_to(d->p->store, nos, n, sb_view(&json), err);
        (void)FAULT("ddl.rejoin");
        sb_done(&json);
        for (DdlFork *f = s->forks; ok && f; f = f->next)
            for (size_t i = 0; i < n; i++)
                if (f->no == nos[i]) {
                    point_copy(&f->to, at);
                    f->has_to = true;
                }
        if (ok) ddl_bump(d, source);
    }
    free(nos);
    return ok;
}

/* Can the fork's rows be written while this stream waits with that transaction? A fork of its own source that
 * begins behind it cannot; a round that waits itself takes no other. */
static bool goes_on_without(const Ddl *d, uint32_t stream, const DdlFork *f, const TxnId *waits)
{
    if (f->member->source != ddl_source(d, stream)) return true;
    return ddl_kind(d, stream) == DDL_MAIN && !(waits && point_covers(&f->from, waits));
}

uint64_t ddl_held_beside(Ddl *d, uint32_t stream, const Member *member, const TxnId *waits, StrBuf *who)
{
    enum { SHOWN = 5 };
    uint64_t sum = 0;
    size_t n = 0;
    pthread_mutex_lock(&d->mutex);
    const DdlMember *own = ddl_member(d, member), *last = NULL;
    for (const DdlMember *m = own ? d->members : NULL; m; m = m->next) {
        if (m == own || m->target != own->target) continue;
        for (const DdlFork *f = d->sources[m->source].forks; f; f = f->next) {
            if (f->member != m || f->finished || ddl_given_up(f)) continue;
            if (!goes_on_without(d, stream, f, waits)) continue;
            sum = sum * 31 + f->no * 2 + f->has_to;
            if (!who || m == last || n++ >= SHOWN) continue;
            last = m;
            sb_printf(who, "%s" STR_FMT, n > 1 ? ", " : "", STR_ARG(m->label));
        }
    }
    pthread_mutex_unlock(&d->mutex);
    return sum;
}

/* -- the end of forks -- */

/* The main stream's stored floor has passed its end: nobody asks whose its rows were. */
static bool forget_forks(Ddl *d, uint32_t source, Err *err)
{
    DdlSource *s = &d->sources[source];
    StreamPoint floor;
    bool ok = true;
    if (!atomic_load(&s->n_forks)) return true;
    stream_written_floor(&d->p->streams[source], &floor);
    pthread_mutex_lock(&d->mutex);
    for (DdlFork **at = &s->forks; ok && *at;) {
        DdlFork *f = *at;
        bool over = f->finished && f->has_to && point_reaches(&floor, &f->to);
        if (!over && (!ddl_given_up(f) || ddl_in_round(s, f))) {
            at = &f->next;
            continue;
        }
        ok = store_fork_drop(d->p->store, f->no, err);
        if (!ok) break;
        *at = f->next;
        point_done(&f->from);
        point_done(&f->to);
        free(f);
        atomic_fetch_sub(&s->n_forks, 1);
    }
    pthread_mutex_unlock(&d->mutex);
    point_done(&floor);
    return ok;
}

/* -- a round begins -- */

/* written: everything before it is, by the main stream. Rows of the member that stand before its fork come
 * first, also when the main stream was ejected or killed with them on their way. */
static bool is_ready(const Ddl *d, const DdlFork *f, const StreamPoint *written)
{
    const DdlTarget *t = f->member->target;
    uint64_t last, accepted;
    return !f->round && !f->has_to && point_reaches(written, &f->from) && ddl_copy_is_settled(d, f->member) &&
           t->lock && lock_is_open(t->lock) && f->member->joined &&
           lock_member(t->lock, (uint32_t)f->member->no, &last, &accepted) && accepted >= f->needs;
}

/* The oldest of those that are ready; NULL: none. */
static const DdlFork *first_ready(const Ddl *d, const DdlSource *s, const StreamPoint *written)
{
    const DdlFork *first = NULL;
    for (const DdlFork *f = s->forks; f; f = f->next)
        if (is_ready(d, f, written) && (!first || point_reaches(&first->from, &f->from))) first = f;
    return first;
}

static void round_id(const Ddl *d, uint32_t source, uint64_t round, StrBuf *out)
{
    sb_printf(out, STR_FMT "#%llu", STR_ARG(d->p->task->sources[source].id), (unsigned long long)round);
}

void ddl_start_round(Ddl *d, uint32_t source)
{
    StreamCtl *c = &d->p->streams[d->n_sources + source];
    StrBuf id = {0};
    round_id(d, source, d->sources[source].round, &id);
    stream_new_round(c, sb_view(&id));
    stream_set_state(c, CTL_UNBORN);
    sb_done(&id);
}

/* Not before it has run: which of its rows are written is known then. Nothing of a source that the user has
 * paused is written; it is paused by this thread. */
static bool main_allows_round(const StreamCtl *c)
{
    pthread_mutex_lock(&c->pipeline->mutex);
    bool allows = c->run && c->state != CTL_PAUSED;
    pthread_mutex_unlock(&c->pipeline->mutex);
    return allows;
}

static bool begin_round(Ddl *d, uint32_t source, Err *err)
{
    DdlSource *s = &d->sources[source];
    uint64_t nos[1024], round = s->last_round + 1;
    size_t n = 0;
    if (!main_allows_round(&d->p->streams[source])) return true;
    StreamPoint from = {0};
    WindowView main;
    window_snapshot(merge_window(d->p->merge, source), &main);
    pthread_mutex_lock(&d->mutex);
    const DdlFork *first = first_ready(d, s, &main.floor);
    if (first) point_copy(&from, &first->from);
    for (const DdlFork *f = s->forks; first && f && n < 1024; f = f->next)
        if (is_ready(d, f, &main.floor) && point_reaches(&f->from, &first->from)) nos[n++] = f->no;
    pthread_mutex_unlock(&d->mutex);
    point_done(&main.floor);
    if (!n) return true;
    StrBuf id = {0};
    round_id(d, source, round, &id);
    bool ok = checkpoint_first_floor(d->p, sb_view(&id), &from, err);
    (void)FAULT("ddl.round_floor");
    ok = ok && store_fork_round(d->p->store, nos, n, round, err);
    (void)FAULT("ddl.round");
    if (ok) {
        pthread_mutex_lock(&d->mutex);
        for (DdlFork *f = s->forks; f; f = f->next)
            for (size_t i = 0; i < n; i++)
                if (f->no == nos[i]) f->round = round;
        s->round = s->last_round = round;
        ddl_bump(d, source);
        pthread_mutex_unlock(&d->mutex);
        pthread_mutex_lock(&d->p->mutex);
        ddl_start_round(d, source);
        pthread_mutex_unlock(&d->p->mutex);
        log_write(LOGEV_CATCH_UP_BEGUN, LOG_STR("source", d->p->task->sources[source].id),
                  LOG_U("round", round), LOG_U("tables", n));
    }
    sb_done(&id);
    point_done(&from);
    return ok;
}

/* -- a round ends -- */

/* Is what the catch-up stream reads about as old as what the main stream reads? */
static bool is_near(Ddl *d, uint32_t source)
{
    SourceStatus main, own;
    source_status(d->p->streams[source].source, &main);
    source_status(d->p->streams[d->n_sources + source].source, &own);
    bool near = own.at_server_end || point_reaches(&own.read, &main.read) ||
                (own.last_timestamp && own.last_timestamp + NEAR_SECONDS >= main.last_timestamp);
    point_done(&main.read);
    point_done(&own.read);
    err_clear(&main.error);
    err_clear(&own.error);
    return near;
}

/* *open: forks of the round have no end yet. *through: everything of the round is written. */
static void look_at_round(Ddl *d, uint32_t source, bool *open, bool *through)
{
    DdlSource *s = &d->sources[source];
    WindowView view;
    *open = false;
    *through = true;
    window_snapshot(merge_window(d->p->merge, d->n_sources + source), &view);
    pthread_mutex_lock(&d->mutex);
    for (const DdlFork *f = s->forks; f; f = f->next) {
        if (!ddl_in_round(s, f) || ddl_given_up(f)) continue;
        *open |= !f->has_to;
        *through &= f->has_to && point_reaches(&view.floor, &f->to);
    }
    pthread_mutex_unlock(&d->mutex);
    point_done(&view.floor);
}

/* The round is over in the state folder: nobody asks for its floor any more. One that stays because the
 * connection is lost goes at the next start. */
static bool drop_floor(Ddl *d, uint32_t source, Err *err)
{
    Pipeline *p = d->p;
    Str stream = str_of(p->streams[d->n_sources + source].id);
    if (checkpoint_connect(p, err) &&
        meta_drop_floors(p->meta, &p->dialect, &p->meta_task, p->epoch, &stream, 1, err))
        return true;
    if (err_class(err) != ERR_CLASS_RETRY) return false;
    checkpoint_disconnect(p);
    err_clear(err);
    return true;
}

static bool end_round(Ddl *d, uint32_t source, Err *err)
{
    DdlSource *s = &d->sources[source];
    WindowView view;
    window_snapshot(merge_window(d->p->merge, d->n_sources + source), &view);
    point_done(&view.floor);
    (void)FAULT("ddl.round_through");
    if (!store_round_end(d->p->store, d->p->task->sources[source].id, s->round, &view.counts, err))
        return false;
    (void)FAULT("ddl.round_over");
    log_write(LOGEV_CATCH_UP_ENDED, LOG_STR("source", d->p->task->sources[source].id),
              LOG_U("round", s->round), LOG_U("rows", view.counts.applied));
    pthread_mutex_lock(&d->mutex);
    for (DdlFork *f = s->forks; f; f = f->next)
        if (f->round == s->round) f->finished = true;
    s->total.applied += view.counts.applied;
    s->total.parked += view.counts.parked;
    s->total.missed += view.counts.missed;
    s->total.loaded += view.counts.loaded;
    d->p->streams[d->n_sources + source].has_floor = false;
    ddl_copy_round_over(d, source, s->round);
    s->round = 0;
    s->ending = false;
    ddl_bump(d, source);
    pthread_mutex_unlock(&d->mutex);
    return drop_floor(d, source, err);
}

/* The stream comes to rest, and begins again when it may. */
static void rest(Ddl *d, StreamCtl *c)
{
    pthread_mutex_lock(&d->p->mutex);
    bool running = c->state == CTL_RUNNING;
    if (running) {
        c->after_closing = CTL_GRACE;
        c->retry_at_ms = clock_mono_ms();
        stream_set_state(c, CTL_CLOSING);
    }
    pthread_mutex_unlock(&d->p->mutex);
    if (running) stream_halt(c);
}

/* A main stream that has taken members back waits with a row of theirs, bound to the target as it is, until
 * the round has written the others. When the round has failed, that may take long, and nothing else of the
 * source goes on either: the main stream makes room for a target that is to change. */
bool ddl_main_makes_room(Ddl *d, uint32_t source)
{
    const DdlSource *s = &d->sources[source];
    pthread_mutex_lock(&d->p->mutex);
    CtlState state = d->p->streams[d->n_sources + source].state;
    pthread_mutex_unlock(&d->p->mutex);
    bool room = false;
    if (state != CTL_FAILED && state != CTL_PAUSED) return false;
    pthread_mutex_lock(&d->mutex);
    for (const DdlFork *f = s->forks; f; f = f->next) {
        const Lock *lock = f->member->target->lock;
        room |= ddl_in_round(s, f) && f->has_to && !ddl_given_up(f) && lock && !lock_is_open(lock);
    }
    pthread_mutex_unlock(&d->mutex);
    return room;
}

static bool tick_round(Ddl *d, uint32_t source, Err *err)
{
    DdlSource *s = &d->sources[source];
    StreamCtl *main = &d->p->streams[source], *c = &d->p->streams[d->n_sources + source];
    pthread_mutex_lock(&d->p->mutex);
    CtlState state = c->state, main_state = main->state;
    pthread_mutex_unlock(&d->p->mutex);
    if (s->ending) return state != CTL_IDLE || end_round(d, source, err);
    if (main_state == CTL_RUNNING && ddl_main_makes_room(d, source)) rest(d, main);
    if (state != CTL_RUNNING) return true;
    if (main_state != CTL_RUNNING && !ddl_round_may_go_on(d, source)) {
        rest(d, c);
        return true;
    }
    bool open, through;
    look_at_round(d, source, &open, &through);
    if (open && main_state == CTL_RUNNING && is_near(d, source)) {
        pthread_mutex_lock(&d->mutex);
        s->want_rejoin = true;
        pthread_mutex_unlock(&d->mutex);
        source_poke(main->source);
    }
    if (!through) return true;
    s->ending = true;
    pthread_mutex_lock(&d->p->mutex);
    c->after_closing = CTL_IDLE;
    stream_set_state(c, CTL_CLOSING);
    pthread_mutex_unlock(&d->p->mutex);
    stream_halt(c);
    return true;
}

bool ddl_rounds_tick(Ddl *d, Err *err)
{
    for (uint32_t i = 0; i < d->n_sources; i++) {
        DdlSource *s = &d->sources[i];
        pthread_mutex_lock(&d->mutex);
        if (err_is_set(&s->failed)) err_move(err, &s->failed);
        bool failed = err_is_set(err), runs = s->round != 0;
        pthread_mutex_unlock(&d->mutex);
        if (failed || !forget_forks(d, i, err)) return false;
        if (!atomic_load(&s->n_forks)) continue;
        if (!(runs ? tick_round(d, i, err) : begin_round(d, i, err))) return false;
    }
    return true;
}

bool ddl_round_is_over(Ddl *d, uint32_t stream, uint32_t run)
{
    if (ddl_kind(d, stream) != DDL_CATCH_UP) return false;
    StreamCtl *c = &d->p->streams[stream];
    return !d->sources[ddl_source(d, stream)].round || run < c->round_run;
}

bool ddl_is_old_round(Ddl *d, Str stream_id)
{
    const char *hash = stream_id.len ? memchr(stream_id.ptr, '#', stream_id.len) : NULL;
    uint64_t round;
    if (!hash) return false;
    Str source = {stream_id.ptr, (size_t)(hash - stream_id.ptr)};
    Str number = {hash + 1, stream_id.len - source.len - 1};
    for (uint32_t i = 0; i < d->n_sources; i++)
        if (str_eq(d->p->task->sources[i].id, source) && str_to_u64(number, &round))
            return round <= d->sources[i].last_round && round != d->sources[i].round;
    return false;
}
