/* What operators decide about parked rows of the running task. Control's thread. */
#include "pipeline/pipeline.h"
#include <stdlib.h>
#include "apply/parked.h"
#include "base/clock.h"
#include "base/log.h"
#include "pipeline/pipeline_impl.h"
#include "base/poison.h"

/* The thread that decides answers every other question too, and whoever asks waits a minute at most. */
enum { ANSWER_MS = 15000, TRY_AGAIN_MS = 50 };

/* The target of this name, or the only one that parks. */
static bool find_target(Pipeline *p, const char *name, const Target **out, Err *err)
{
    const Target *t;
    size_t members, n = 0;
    for (size_t i = 0; catalog_target(p->catalog, i, &t, &members); i++) {
        CLEANUP(sb_done) StrBuf plain = {0};
        table_name_plain(t->name, &plain);
        if (!t->parked || (name && !str_eqc(sb_view(&plain), name))) continue;
        *out = t;
        n++;
    }
    if (n == 1) return true;
    if (name)
        return err_set_remedy(err, ERR_USAGE, "see shardmerge conflicts",
                              "no target %s parks the losers of "
                              "collisions",
                              name);
    if (n == 0)
        return err_set_remedy(err, ERR_USAGE, "see on-collision", "no target parks the losers of collisions");
    return err_set_remedy(err, ERR_USAGE, "name one: --target SCHEMA.TABLE",
                          "%zu targets park the losers of collisions", n);
}

/* COLUMN=VALUE */
static bool read_renames(const PipelineConflict *c, ParkedRename *out, Err *err)
{
    for (size_t i = 0; i < c->n_set; i++) {
        Str rest = str_of(c->set[i]);
        out[i].column = str_split(&rest, '=');
        out[i].value = rest;
        if (out[i].column.len == strlen(c->set[i]))
            return err_set(err, ERR_USAGE, "--value: COLUMN=VALUE is expected");
    }
    return true;
}

static bool read_decision(const PipelineConflict *c, ParkedDecision *d, Err *err)
{
    if (!parked_verb_of(str_of(c->decision), &d->verb))
        return err_set_remedy(err, ERR_USAGE, "decide keep, swap, rename or undo",
                              "there is no such decision about a parked row");
    if (!c->id)
        return err_set_remedy(err, ERR_USAGE, "see shardmerge conflicts for the numbers",
                              d->verb == PARKED_UNDO ? "--id: the number of the decision is missing"
                                                     : "--id: the number of the parked row is missing");
    if (d->verb != PARKED_RENAME && c->n_set)
        return err_set(err, ERR_USAGE, "--value goes with --decide rename alone");
    return true;
}

/* An id that a strategy gives out is no operator's to change: references hold it, the map of remap and the
 * shares of the shards say whose row it is, and its number may still be given to another row. */
static bool check_renames(Pipeline *p, const Target *t, const ParkedDecision *d, Err *err)
{
    for (size_t i = 0; i < d->n_renames; i++)
        if (catalog_rewrites(p->catalog, t, d->renames[i].column))
            return err_set_remedy(
                err, ERR_PARKED_DECISION,
                "rename another column of its keys, keep the row, or change it on its shard",
                "target " STR_FMT ": column " STR_FMT
                " cannot be renamed: its values are ids that the key strategy gives",
                STR_ARG(t->sql_name), STR_ARG(d->renames[i].column));
    return true;
}

/* Behind a commit whose answer was lost. *over: it is known. */
static bool look_it_up(Pipeline *p, const ParkedDecideOpts *o, const ParkedOutcome *outcome, bool *decided,
                       Err *err)
{
    Conn *conn = NULL;
    Dialect dialect;
    bool ok = false;
    for (int64_t until = clock_mono_ms() + ANSWER_MS;;) {
        err_clear(err);
        ok = session_open(&p->session, &conn, &dialect, err) &&
             parked_was_decided(conn, &dialect, o, outcome, decided, err);
        conn_close(conn);
        conn = NULL;
        if (ok || err_class(err) != ERR_CLASS_RETRY || clock_mono_ms() >= until) break;
        nanosleep(&(struct timespec){.tv_nsec = TRY_AGAIN_MS * 1000000L}, NULL);
    }
    return ok || err_wrap(err, "the outcome of the decision is not known yet: see shardmerge conflicts");
}

/* One attempt, and what became of it. *again: another may pass. */
static bool try_once(Pipeline *p, const ParkedDecideOpts *o, ParkedOutcome *outcome, StrBuf *words,
                     bool *again, Err *err)
{
    Conn *conn = NULL;
    Dialect dialect;
    *again = false;
    *outcome = (ParkedOutcome){0};
    sb_clear(words);
    bool ok = session_open(&p->session, &conn, &dialect, err);
    ok = ok && parked_decide(conn, &dialect, o, outcome, words, err);
    conn_close(conn);
    if (ok) return true;
    if (err->code == ERR_DB_LOST && outcome->number && !o->decision.preview) {
        bool decided = false;
        if (!look_it_up(p, o, outcome, &decided, err)) return false;
        err_clear(err);
        if (decided) return true;
        *again = true;
        return err_set(err, ERR_DB_LOST, "the connection was lost before the decision was made");
    }
    *again = err_class(err) == ERR_CLASS_RETRY;
    return false;
}

bool pipeline_conflict(Pipeline *p, const PipelineConflict *c, StrBuf *words, Err *err)
{
    const Target *t = NULL;
    ParkedDecideOpts o = {.meta = &p->meta_task, .epoch = p->epoch};
    ParkedDecision *d = &o.decision;
    ParkedRename *renames = mem_zalloc((c->n_set + 1) * sizeof *renames);
    *d = (ParkedDecision){.id = c->id,
                          .renames = renames,
                          .n_renames = c->n_set,
                          .by = c->by ? str_of(c->by) : STR("operator"),
                          .preview = c->preview};
    ParkedOutcome outcome = {0};
    bool ok = read_decision(c, d, err) && read_renames(c, renames, err) &&
              find_target(p, c->target, &t, err) && check_renames(p, t, d, err);
    bool again = ok;
    o.parked = ok ? t->parked : NULL;
    bool entered = ok && parked_enter(o.parked);
    if (ok && !entered)
        again = ok = err_set_remedy(
            err, ERR_PARKED_DECISION, "see shardmerge locks; ask again when that is over",
            "target " STR_FMT ": its definition is being changed, or could not be", STR_ARG(t->sql_name));
    for (int64_t until = clock_mono_ms() + ANSWER_MS; again && clock_mono_ms() < until;) {
        if (err_is_set(err)) nanosleep(&(struct timespec){.tv_nsec = TRY_AGAIN_MS * 1000000L}, NULL);
        err_clear(err);
        ok = try_once(p, &o, &outcome, words, &again, err);
        if (ok) break;
    }
    if (entered) parked_leave(o.parked);
    free(renames);
    if (!ok) return false;
    sb_printf(words, "decision %llu on target " STR_FMT "\n", (unsigned long long)outcome.number,
              STR_ARG(t->sql_name));
    if (!c->preview)
        log_write(LOGEV_CONFLICT_DECIDED, LOG_STR("target", t->sql_name), LOG_S("decision", c->decision),
                  LOG_U("id", c->id), LOG_U("number", outcome.number), LOG_STR("by", d->by));
    return true;
}
