/* Locks and held members for people, and what they decide. */
#include <jansson.h>
#include <stdlib.h>
#include "base/log.h"
#include "pipeline/ddl_impl.h"
#include "base/poison.h"

static json_t *lock_json(const DdlTarget *t)
{
    StrBuf text = {0};
    lock_explain(t->lock, &text);
    json_t *o = json_loadb(text.ptr, text.len, 0, NULL);
    sb_done(&text);
    if (!o) return json_null();
    json_object_set_new(o, "schema", json_stringn(t->name.schema.ptr, t->name.schema.len));
    json_object_set_new(o, "table", json_stringn(t->name.table.ptr, t->name.table.len));
    json_object_set_new(o, "asks", t->ask.len ? json_stringn(t->ask.ptr, t->ask.len) : json_null());
    json_object_set_new(o, "changing", json_boolean(t->job.id != 0));
    return o;
}

static bool is_named(const DdlTarget *t, Str target)
{
    return !target.len || str_eq(t->label, target);
}

json_t *ddl_locks_json(Ddl *d, Str target)
{
    json_t *a = json_array();
    pthread_mutex_lock(&d->mutex);
    for (const DdlTarget *t = d->targets; t; t = t->next)
        if (t->lock && is_named(t, target)) json_array_append_new(a, lock_json(t));
    pthread_mutex_unlock(&d->mutex);
    return a;
}

json_t *ddl_target_lock_json(Ddl *d, TableName target)
{
    json_t *o = NULL;
    pthread_mutex_lock(&d->mutex);
    for (const DdlTarget *t = d->targets; t; t = t->next)
        if (t->lock && table_name_eq(t->name, target) && lock_state(t->lock) != LOCK_CLOSED) o = lock_json(t);
    pthread_mutex_unlock(&d->mutex);
    return o ? o : json_null();
}

json_t *ddl_held_json(Ddl *d, uint32_t source, RowCounts *rounds)
{
    json_t *a = json_array();
    const DdlSource *s = &d->sources[source];
    pthread_mutex_lock(&d->mutex);
    *rounds = s->total;
    for (const DdlFork *f = s->forks; f; f = f->next) {
        if (f->finished) continue;
        StrBuf from = {0};
        point_format_human(&f->from, &from);
        int64_t left_s = ddl_binlog_left_s(f);
        json_array_append_new(
            a, json_pack("{s:s%, s:s%, s:s, s:s%, s:I, s:s, s:o}", "schema", f->member->m->name.schema.ptr,
                         f->member->m->name.schema.len, "table", f->member->m->name.table.ptr,
                         f->member->m->name.table.len, "state", f->round ? "catching-up" : "held", "from",
                         from.ptr ? from.ptr : "", from.len, "since_ms", (json_int_t)f->since_ms, "binlog",
                         !f->binlog.asked   ? "not asked yet"
                         : f->binlog.purged ? "purged"
                         : left_s < 0       ? "kept"
                                            : "expires",
                         "binlog_left_s", left_s < 0 ? json_null() : json_integer((json_int_t)left_s)));
        sb_done(&from);
    }
    pthread_mutex_unlock(&d->mutex);
    return a;
}

/* -- decisions -- */

static const struct {
    const char *name;
    LockDecision decision;
} decisions[] = {{"release", LOCK_RELEASE}, {"skip", LOCK_SKIP},     {"detach", LOCK_DETACH},
                 {"replace", LOCK_REPLACE}, {"accept", LOCK_ACCEPT}, {"refill", LOCK_REFILL},
                 {"recopy", LOCK_RECOPY},   {"retry", LOCK_RETRY},   {"give-up", LOCK_GIVE_UP}};

static bool decision_of(Str name, LockDecision *out, Err *err)
{
    for (size_t i = 0; i < ARRAY_LEN(decisions); i++)
        if (str_eqc(name, decisions[i].name)) {
            *out = decisions[i].decision;
            return true;
        }
    return err_set(err, ERR_USAGE,
                   "no decision '" STR_FMT
                   "'; there are release, skip, replace, detach, accept, refill, recopy, retry and give-up",
                   STR_ARG(name));
}

/* The shard table that is meant; more than one may be: *n, and their names in words. */
static DdlMember *named_member(Ddl *d, const DdlTarget *t, const DdlDecision *w, size_t *n, StrBuf *words)
{
    DdlMember *found = NULL;
    *n = 0;
    for (DdlMember *m = d->members; m; m = m->next) {
        StrBuf name = {0};
        table_name_plain(m->m->name, &name);
        bool same = m->target == t && !m->left && str_eq(d->p->task->sources[m->source].id, w->source) &&
                    (!w->table.len || str_eq(sb_view(&name), w->table));
        if (same && words) sb_printf(words, "%s" STR_FMT, *n ? ", " : "", STR_ARG(sb_view(&name)));
        sb_done(&name);
        if (!same) continue;
        found = m;
        ++*n;
    }
    return found;
}

/* The one shard table that is meant, or NULL: none is named, and none need be. */
static bool find_member(Ddl *d, const DdlTarget *t, const DdlDecision *w, bool needed, const DdlMember **out,
                        Err *err)
{
    StrBuf names CLEANUP(sb_done) = {0};
    size_t n = 0;
    *out = w->source.len ? named_member(d, t, w, &n, &names) : NULL;
    if (n > 1)
        return err_set(err, ERR_USAGE,
                       "source " STR_FMT " has several shard tables of " STR_FMT
                       ": name one by --table: " STR_FMT,
                       STR_ARG(w->source), STR_ARG(t->label), STR_ARG(sb_view(&names)));
    return *out || !needed ||
           err_set(err, ERR_USAGE,
                   "name the shard by --source (and --table where it has several): no such "
                   "shard table goes to " STR_FMT,
                   STR_ARG(t->label));
}

/* Release and what is like it speak of the member's last step, skip and replace of the first one that is not
 * accepted. */
static uint64_t step_meant(const DdlTarget *t, const DdlMember *m, LockDecision what)
{
    uint64_t last = 0, accepted = 0;
    bool in = lock_member(t->lock, (uint32_t)m->no, &last, &accepted);
    return what == LOCK_SKIP || what == LOCK_REPLACE ? (in ? accepted + 1 : 1) : last;
}

/* Preview, or done and on record. */
static bool follow(Ddl *d, DdlTarget *t, const DdlDecision *w, const LockEvent *e, StrBuf *words, Err *err)
{
    if (!lock_preview(t->lock, e, words, err)) return false;
    if (w->preview) return true;
    StoreDecision row = {.decision = w->decision,
                         .asked_by = w->by,
                         .outcome = sb_view(words),
                         .member_no = e->member,
                         .number = e->number};
    if (!ddl_lock_decide(d, t, e, &row, err)) return false;
    log_write(LOGEV_LOCK_DECIDED, LOG_STR("schema", t->name.schema), LOG_STR("table", t->name.table),
              LOG_STR("decision", w->decision), LOG_STR("by", w->by));
    return true;
}

static bool replace(Ddl *d, DdlTarget *t, const DdlMember *m, const DdlDecision *w, LockEvent *e,
                    StrBuf *words, Err *err)
{
    const TableSchema *before;
    DdlReplacement r;
    Flavor flavor = d->p->streams[m->source].flavor;
    if (flavor == FLAVOR_UNKNOWN) flavor = d->p->task->sources[m->source].flavor;
    if (!w->n_sql)
        return err_set(err, ERR_USAGE,
                       "replace needs the statements that count instead: --sql \"ALTER TABLE …\"");
    if (flavor == FLAVOR_UNKNOWN)
        return err_set(err, ERR_LOCK_DECISION,
                       "source " STR_FMT " has not been reached yet: its kind is not known",
                       STR_ARG(w->source));
    if (!lock_schema_before(t->lock, e->member, e->number, &before))
        return err_set(err, ERR_LOCK_DECISION, STR_FMT ": no schema change of it waits", STR_ARG(m->label));
    if (!ddl_replacement(m, flavor, before, w, &r, err)) return false;
    e->steps = (const SchemaStep *const *)r.steps;
    e->n_steps = r.n;
    for (size_t i = 0; i < w->n_sql; i++)
        sb_printf(words, STR_FMT ": its change counts as: %s\n", STR_ARG(m->label), w->sql[i]);
    bool ok = follow(d, t, w, e, words, err);
    ddl_replacement_done(&r);
    return ok;
}

/* A change of the target that tables beside it have not followed has to end first: what else is decided may
 * leave it as it is, and the shards with a decision that cannot be taken back. A release is planned anew from
 * what the tables are. apart: why they have not followed; empty: they have. */
static bool may_decide(const DdlTarget *t, LockDecision what, Str apart, Err *err)
{
    uint64_t job = 0;
    bool failed = !lock_job(t->lock, &job) && job;
    bool ends_it = what == LOCK_RETRY || what == LOCK_GIVE_UP || what == LOCK_RELEASE;
    if (!apart.len || !failed || ends_it) return true;
    return err_set_remedy(err, ERR_LOCK_DECISION,
                          "mend what the server refused there, then decide retry; or change the tables "
                          "beside the target as the "
                          "target was changed, then decide give-up; or change the target back by hand, start "
                          "the task again, and "
                          "decide then",
                          "the last change of target " STR_FMT " was made by half: " STR_FMT,
                          STR_ARG(t->label), STR_ARG(apart));
}

static bool decide(Ddl *d, DdlTarget *t, const DdlDecision *w, Str apart, StrBuf *words, Err *err)
{
    LockDecision what = LOCK_RETRY;
    if (!decision_of(w->decision, &what, err) || !may_decide(t, what, apart, err)) return false;
    if (w->n_sql && what != LOCK_REPLACE)
        return err_set(err, ERR_USAGE, "--sql goes with --decide replace alone");
    const DdlMember *m;
    if (!ddl_tell_steps(d, t, err)) return false;
    if (!find_member(d, t, w, what != LOCK_RETRY && what != LOCK_GIVE_UP, &m, err)) return false;
    LockEvent e = {.kind = LOCK_EV_DECIDE,
                   .member = m ? (uint32_t)m->no : 0,
                   .number = m ? step_meant(t, m, what) : 0,
                   .at_ms = clock_wall_ms(),
                   .decision = what,
                   .words = w->by};
    if (what == LOCK_REPLACE) return replace(d, t, m, w, &e, words, err);
    if (what == LOCK_RECOPY) {
        if (!ddl_recopy_allowed(d, m, err) || !ddl_recopy_is_held(d, t, m, err)) return false;
        ddl_recopy_words(d, m, words);
    }
    if (what == LOCK_SKIP) ddl_copy_skip_words(d, m, e.number, words);
    return follow(d, t, w, &e, words, err);
}

/* Without a target: a lock that waits for such a decision. */
static bool is_meant(Ddl *d, const DdlTarget *t, const DdlDecision *w)
{
    size_t n;
    if (!t->lock || !is_named(t, w->target)) return false;
    if (w->target.len) return true;
    if (w->source.len) return lock_state(t->lock) != LOCK_CLOSED && named_member(d, t, w, &n, NULL);
    bool of_job = str_eqc(w->decision, "retry") || str_eqc(w->decision, "give-up");
    return of_job ? lock_state(t->lock) == LOCK_OPERATOR && t->failed_job
                  : lock_state(t->lock) != LOCK_CLOSED;
}

/* Why tables beside the target are not as it is, as long as no job of it ends. The mutex is held, and given
 * up meanwhile: the catalog's comes before it. */
static void ask_apart(Ddl *d, const DdlTarget *t, StrBuf *out)
{
    uint64_t ended;
    do {
        ended = t->jobs_ended;
        sb_clear(out);
        pthread_mutex_unlock(&d->mutex);
        catalog_target_apart(d->p->catalog, t->name, out);
        pthread_mutex_lock(&d->mutex);
    } while (ended != t->jobs_ended);
}

bool ddl_decide(Ddl *d, const DdlDecision *w, StrBuf *words, Err *err)
{
    StrBuf names CLEANUP(sb_done) = {0}, apart CLEANUP(sb_done) = {0};
    DdlTarget *meant = NULL;
    size_t n = 0;
    bool ok = false;
    pthread_mutex_lock(&d->mutex);
    for (DdlTarget *t = d->targets; t; t = t->next) {
        if (!is_meant(d, t, w)) continue;
        sb_printf(&names, "%s" STR_FMT, n++ ? ", " : "", STR_ARG(t->label));
        meant = t;
    }
    if (n == 1) {
        sb_printf(words, "target " STR_FMT "\n", STR_ARG(meant->label));
        ask_apart(d, meant, &apart);
        ok = decide(d, meant, w, sb_view(&apart), words, err);
    }
    pthread_mutex_unlock(&d->mutex);
    if (n == 1) return ok;
    if (n)
        return err_set(err, ERR_USAGE, "%zu locks wait for a decision: name one by --target: " STR_FMT, n,
                       STR_ARG(sb_view(&names)));
    if (w->target.len)
        return err_set(err, ERR_LOCK_DECISION, "no lock of target '" STR_FMT "'", STR_ARG(w->target));
    return err_set(err, ERR_LOCK_DECISION, "no lock waits for the decision " STR_FMT "%s" STR_FMT,
                   STR_ARG(w->decision), w->source.len ? " about a shard table of source " : "",
                   STR_ARG(w->source));
}
