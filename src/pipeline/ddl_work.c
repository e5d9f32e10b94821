/* Work on rows that are in a target: a member's rows are deleted, because its table lost them and the route's
 * policy says so, or because it is copied again; or they get the values that they have in the member's own
 * table, in columns that other members filled otherwise. The lock orders it: everything the member wrote
 * before is in the target, and nothing that it wrote afterwards is, until the work is reported as done. It is
 * owed as long as the lock says so, which is stored; a run that was killed is simply made again. One thread
 * for each piece of work. Coordinator. */
#include <stdlib.h>
#include "base/check.h"
#include "base/fault.h"
#include "base/log.h"
#include "pipeline/ddl_impl.h"
#include "base/poison.h"

enum { BATCH_ROWS = 1000, RETRY_MS = 5000 };

void ddl_owe_work(DdlTarget *t, const LockAction *a)
{
    for (const DdlWork *w = t->work; w; w = w->next)
        if (w->member_no == a->member && w->number == a->number) return;
    DdlWork *w = mem_zalloc(sizeof *w);
    w->target = t;
    w->member_no = a->member;
    w->number = a->number;
    w->kind = a->work;
    waker_init(&w->wake);
    w->next = t->work;
    t->work = w;
}

static void work_free(DdlWork *w)
{
    if (w->running) pthread_join(w->thread, NULL);
    sb_done(&w->table);
    sb_done(&w->where);
    sb_done(&w->order);
    sb_done(&w->first);
    refill_sql_done(&w->sql);
    row_refill_place_done(&w->place);
    sb_done(&w->place_of);
    err_clear(&w->err);
    waker_done(&w->wake);
    free(w);
}

void ddl_work_done(DdlTarget *t)
{
    for (DdlWork *w = t->work, *next; w; w = next) {
        next = w->next;
        work_free(w);
    }
    t->work = NULL;
}

void ddl_work_wake(DdlTarget *t)
{
    for (DdlWork *w = t->work; w; w = w->next)
        if (w->running) waker_wake(&w->wake);
}

static void *work_main(void *arg)
{
    DdlWork *w = arg;
    w->ok = w->kind == LOCK_WORK_REFILL ? row_refill_run(&w->refill, &w->place, &w->rows, &w->err)
                                        : row_delete_run(&w->job, &w->rows, &w->err);
    conn_thread_end();
    __atomic_store_n(&w->ended, true, __ATOMIC_RELEASE);
    return NULL;
}

static const DdlMember *member_of(Ddl *d, uint64_t no)
{
    pthread_mutex_lock(&d->mutex);
    const DdlMember *m = ddl_member_numbered(d, no);
    pthread_mutex_unlock(&d->mutex);
    return m;
}

static bool make_delete(Pipeline *p, DdlWork *w, const DdlMember *m)
{
    if (!catalog_rows_of(p->catalog, m->m, &w->where, &w->order, &w->first, &w->err)) return false;
    w->job = (RowDeleteJob){.meta = p->meta_task,
                            .epoch = p->epoch,
                            .session = p->session,
                            .table = sb_view(&w->table),
                            .where = sb_view(&w->where),
                            .order = sb_view(&w->order),
                            .first = sb_view(&w->first),
                            .batch_rows = BATCH_ROWS,
                            .wake = &w->wake};
    return true;
}

/* A try goes on behind what the one before it has set, unless it sets other values or goes another way. */
static void keep_place(DdlWork *w)
{
    CLEANUP(sb_done) StrBuf of = {0};
    sb_printf(&of, STR_FMT "; " STR_FMT ";", STR_ARG(sb_view(&w->sql.set)), STR_ARG(sb_view(&w->sql.where)));
    for (uint32_t i = 0; i < w->sql.n_keys; i++)
        sb_printf(&of, " " STR_FMT " %d", STR_ARG(w->sql.keys[i].column), (int)w->sql.keys[i].literal);
    if (str_eq(sb_view(&of), sb_view(&w->place_of))) return;
    row_refill_place_done(&w->place);
    sb_clear(&w->place_of);
    sb_str(&w->place_of, sb_view(&of));
}

/* *none: every row holds its values, or nobody asks for it any more. */
static bool make_refill(Ddl *d, DdlWork *w, const DdlMember *m, bool *none)
{
    Pipeline *p = d->p;
    Arena arena = {0};
    BindFill *fills = NULL;
    uint32_t n = 0;
    pthread_mutex_lock(&d->mutex);
    bool left = !lock_knows(w->target->lock, (uint32_t)w->member_no);
    bool ok = left || lock_fills(w->target->lock, (uint32_t)w->member_no, &arena, &fills, &n, &w->err);
    pthread_mutex_unlock(&d->mutex);
    *none = ok && !n;
    refill_sql_done(&w->sql);
    if (ok && n) ok = refill_sql_of(p->catalog, m->m, fills, n, &w->sql, &w->err);
    arena_done(&arena);
    if (ok && n) keep_place(w);
    w->refill = (RowRefillJob){.meta = p->meta_task,
                               .epoch = p->epoch,
                               .session = p->session,
                               .table = sb_view(&w->table),
                               .where = sb_view(&w->sql.where),
                               .set = sb_view(&w->sql.set),
                               .keys = w->sql.keys,
                               .n_keys = w->sql.n_keys,
                               .batch_rows = BATCH_ROWS,
                               .wake = &w->wake};
    return ok;
}

static bool make_job(Ddl *d, DdlWork *w, const DdlMember *m, bool *none)
{
    w->where.len = w->order.len = w->first.len = w->table.len = 0;
    table_name_sql(w->target->name, &w->table);
    CHECK(m, "work is owed for a shard table that is known");
    if (w->kind == LOCK_WORK_RECOPY && !ddl_recopy_allowed(d, m, &w->err)) return false;
    return w->kind == LOCK_WORK_REFILL ? make_refill(d, w, m, none) : make_delete(d->p, w, m);
}

/* What is said of it: when it begins, when it is done, and in the history. */
typedef struct Words {
    LogEvent begins, done;
    const char *event, *went;
} Words;

static const Words *words_of(const DdlWork *w)
{
    static const Words all[] = {
        [LOCK_WORK_DELETE] = {LOGEV_ROWS_GO, LOGEV_ROWS_WENT, "shard-rows-deleted", "deleted from"},
        [LOCK_WORK_REFILL] = {LOGEV_ROWS_REFILL, LOGEV_ROWS_REFILLED, "shard-rows-refilled", "set in"},
        [LOCK_WORK_RECOPY] = {LOGEV_ROWS_RECOPY, LOGEV_ROWS_CLEARED, "shard-rows-cleared",
                              "deleted, to be copied again, from"},
    };
    return &all[w->kind];
}

/* It may have gone after the copy was decided. */
static bool is_there(Ddl *d, DdlWork *w, const DdlMember *m)
{
    if (w->kind != LOCK_WORK_RECOPY) return true;
    pthread_mutex_lock(&d->mutex);
    bool there = ddl_recopy_begins(m, &w->err);
    pthread_mutex_unlock(&d->mutex);
    return there;
}

static bool start_work(Ddl *d, DdlWork *w, Err *err)
{
    const DdlMember *m = member_of(d, w->member_no);
    bool none = false;
    w->ended = w->ok = false;
    w->rows = 0;
    if (!is_there(d, w, m) || !make_job(d, w, m, &none) || none) {
        w->ok = none;
        w->ended = true;
        return true;
    }
    log_write(words_of(w)->begins, LOG_STR("table", m->label), LOG_STR("target", w->target->label));
    if (pthread_create(&w->thread, NULL, work_main, w) != 0)
        return err_set(err, ERR_IO, "no thread could be started");
    w->running = true;
    return true;
}

/* It is tried again for ever, for nothing else can follow; the operator sees why. */
static bool work_failed(Ddl *d, DdlWork *w, Err *err)
{
    if (w->err.code == ERR_APPLY_FENCED || w->err.code == ERR_CANCELLED) {
        err_move(err, &w->err);
        return err->code == ERR_CANCELLED;
    }
    CLEANUP(sb_done) StrBuf words = {0};
    sb_printf(&words, "rows of a shard table could not be %s: %s%s%s",
              w->kind == LOCK_WORK_REFILL ? "set" : "deleted", w->err.message ? w->err.message : "?",
              w->err.remedy ? "; " : "", w->err.remedy ? w->err.remedy : "");
    pthread_mutex_lock(&d->mutex);
    ddl_ask(w->target, sb_view(&words));
    pthread_mutex_unlock(&d->mutex);
    err_clear(&w->err);
    w->again_ms = clock_mono_ms() + RETRY_MS;
    return true;
}

/* Its member was detached meanwhile: what is written of it stays, so what is not deleted yet stays too. After
 * a restart nobody owes the work. */
static bool is_given_up(Ddl *d, const DdlWork *w)
{
    pthread_mutex_lock(&d->mutex);
    bool known = lock_knows(w->target->lock, (uint32_t)w->member_no);
    pthread_mutex_unlock(&d->mutex);
    return !known;
}

static bool finish_work(Ddl *d, DdlWork *w, bool given_up, bool *done, Err *err)
{
    if (w->running) pthread_join(w->thread, NULL);
    w->running = w->ended = false;
    w->total += w->rows;
    const DdlMember *m = member_of(d, w->member_no);
    if (w->ok && w->kind == LOCK_WORK_RECOPY && !given_up) w->ok = ddl_recopy_forget(d, m, &w->err);
    bool stopped = !w->ok && given_up && w->err.code != ERR_APPLY_FENCED;
    if (!w->ok && !stopped) return work_failed(d, w, err);
    err_clear(&w->err);
    if (w->kind == LOCK_WORK_REFILL)
        (void)FAULT("ddl.refilled");
    else
        (void)FAULT("loss.done");
    LockEvent e = {.kind = LOCK_EV_WORKED,
                   .member = (uint32_t)w->member_no,
                   .number = w->number,
                   .at_ms = clock_wall_ms()};
    pthread_mutex_lock(&d->mutex);
    ddl_ask(w->target, (Str){0});
    bool ok = !lock_knows(w->target->lock, (uint32_t)w->member_no) || ddl_lock_event(d, w->target, &e, err);
    pthread_mutex_unlock(&d->mutex);
    if (!ok) return false;
    const Words *say = words_of(w);
    if (!stopped)
        log_write(say->done, LOG_STR("table", m->label), LOG_STR("target", w->target->label),
                  LOG_U("rows", w->total));
    *done = true;
    CLEANUP(sb_done) StrBuf text = {0};
    sb_printf(&text, "%llu rows of " STR_FMT " %s " STR_FMT "%s", (unsigned long long)w->total,
              STR_ARG(m->label), say->went, STR_ARG(w->target->label),
              stopped ? "; detached, the rest stays" : "");
    return store_event(d->p->store, d->p->task->sources[m->source].id, str_of(say->event), sb_view(&text),
                       err);
}

/* Others put work in front, under the mutex; only the coordinator takes it out. */
static DdlWork *first_work(Ddl *d, const DdlTarget *t)
{
    pthread_mutex_lock(&d->mutex);
    DdlWork *w = t->work;
    pthread_mutex_unlock(&d->mutex);
    return w;
}

static void take_out(Ddl *d, DdlTarget *t, DdlWork *w)
{
    pthread_mutex_lock(&d->mutex);
    DdlWork **at = &t->work;
    while (*at != w)
        at = &(*at)->next;
    *at = w->next;
    pthread_mutex_unlock(&d->mutex);
    work_free(w);
}

bool ddl_work_tick(Ddl *d, DdlTarget *t, Err *err)
{
    for (DdlWork *w = first_work(d, t), *next; w; w = next) {
        next = w->next;
        bool done = false, ok = true, given_up = is_given_up(d, w);
        if (given_up && w->running) waker_wake(&w->wake);
        if (__atomic_load_n(&w->ended, __ATOMIC_ACQUIRE))
            ok = finish_work(d, w, given_up, &done, err);
        else if (given_up && !w->running)
            done = true;
        else if (!w->running && clock_mono_ms() >= w->again_ms)
            ok = start_work(d, w, err);
        if (!ok) return false;
        if (done) take_out(d, t, w);
    }
    return true;
}
