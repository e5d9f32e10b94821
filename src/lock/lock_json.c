#include <stdlib.h>
#include "lock/lock_impl.h"
#include "track/json_text.h"
#include "track/version_json.h"
#include "base/poison.h"

/* {"format":1,"name","begun","live","base","target","last_job","left","since_ms",
 *  "members":[{"id","name","at_ms","accepted","gate","gate_work","gate_sent","before_sent","stopped","fresh",
 *   "leaving","lost":[…],"nodes":[{"number","at_ms","identity","point","kind","passed","written","hold","skip",
 *   "replaced","early","deleted","before","after","step","model","version" in the first}]}],
 *  "job":{"phase","id","to","columns":[…],"accept":[…],"rows","words","drop",
 *  "as_is"}}. */
enum { FORMAT = 1 };

/* -- writing -- */

static void put_int(json_t *o, const char *key, int64_t v)
{
    json_object_set_new(o, key, json_integer((json_int_t)v));
}

static void put_flag(json_t *o, const char *key, bool v)
{
    if (v) json_object_set_new(o, key, json_true());
}

static void put_text(json_t *o, const char *key, Str s)
{
    if (s.len) json_object_set_new(o, key, json_of_text(s));
}

static json_t *node_value(const LockNode *n, bool first)
{
    json_t *o = json_object();
    put_int(o, "number", (int64_t)n->number);
    put_int(o, "at_ms", n->at_ms);
    put_text(o, "identity", n->identity);
    put_text(o, "point", n->point);
    put_int(o, "kind", n->kind);
    put_flag(o, "passed", n->passed);
    put_flag(o, "written", n->written);
    put_flag(o, "hold", n->hold);
    put_flag(o, "skip", n->skip);
    put_flag(o, "replaced", n->replaced);
    put_flag(o, "early", n->early);
    put_flag(o, "deleted", n->deleted);
    put_flag(o, "decided", n->decided);
    put_int(o, "before", n->before);
    put_int(o, "after", n->after);
    if (n->step) json_object_set_new(o, "step", version_step_to_json(n->step));
    if (n->model) json_object_set_new(o, "model", version_to_json(n->model));
    if (first) json_object_set_new(o, "version", version_to_json(n->version));
    return o;
}

static json_t *member_value(const LockMember *m)
{
    json_t *o = json_object(), *nodes = json_array(), *lost = json_array();
    put_int(o, "id", m->id);
    put_text(o, "name", m->name);
    put_int(o, "at_ms", m->at_ms);
    put_int(o, "accepted", m->accepted);
    put_int(o, "gate", m->gate);
    put_int(o, "gate_work", m->gate_work);
    put_flag(o, "gate_sent", m->gate_sent);
    put_flag(o, "before_sent", m->before_sent);
    put_flag(o, "stopped", m->stopped);
    put_flag(o, "fresh", m->fresh);
    put_flag(o, "leaving", m->leaving);
    for (uint32_t i = 0; i < m->n_lost; i++)
        json_array_append_new(lost, json_of_text(m->lost[i]));
    for (uint32_t i = 0; i < m->n_nodes; i++)
        json_array_append_new(nodes, node_value(&m->nodes[i], i == 0));
    json_object_set_new(o, "lost", lost);
    json_object_set_new(o, "nodes", nodes);
    return o;
}

static json_t *job_value(const Lock *l)
{
    json_t *o = json_object(), *columns = json_array(), *accept = json_array();
    put_int(o, "phase", l->job.phase);
    put_int(o, "id", (int64_t)l->job.id);
    json_object_set_new(o, "to", version_to_json(l->job.to));
    for (uint32_t i = 0; i < l->job.to->schema->n_columns; i++)
        json_array_append_new(
            columns, json_integer(l->job.columns[i] == NO_COLUMN ? -1 : (json_int_t)l->job.columns[i]));
    for (uint32_t i = 0; i < l->n_members; i++)
        json_array_append_new(accept, json_integer(l->job.accept[i]));
    json_object_set_new(o, "columns", columns);
    json_object_set_new(o, "accept", accept);
    put_text(o, "rows", l->job.rows);
    put_text(o, "words", l->job.words);
    put_flag(o, "drop", l->job.drop);
    put_flag(o, "as_is", l->job.as_is);
    return o;
}

void lock_to_json(const Lock *l, StrBuf *out)
{
    json_t *o = json_object(), *members = json_array();
    put_int(o, "format", FORMAT);
    put_text(o, "name", l->name);
    put_flag(o, "begun", l->begun);
    put_int(o, "last_job", (int64_t)l->last_job);
    put_int(o, "left", (int64_t)l->left);
    put_int(o, "since_ms", l->since_ms);
    if (l->base) json_object_set_new(o, "base", version_to_json(l->base));
    if (l->target) json_object_set_new(o, "target", version_to_json(l->target));
    json_object_set_new(o, "live", version_to_json(version_start(l->pool, l->live, ORIGIN_ANY)));
    for (uint32_t i = 0; i < l->n_members; i++)
        json_array_append_new(members, member_value(&l->members[i]));
    json_object_set_new(o, "members", members);
    if (l->job.phase != JOB_NONE) json_object_set_new(o, "job", job_value(l));
    char *text = json_dumps(o, JSON_COMPACT);
    sb_c(out, text);
    free(text);
    json_decref(o);
}

/* -- reading -- */

typedef struct Load {
    Lock *l;
    Arena arena;
    Err *err;
    bool bad;
} Load;

static int64_t get_int(Load *d, const json_t *o, const char *key, int64_t least, int64_t most)
{
    const json_t *v = json_object_get(o, key);
    if (!json_is_integer(v) || json_integer_value(v) < least || json_integer_value(v) > most) {
        d->bad = true;
        return least;
    }
    return json_integer_value(v);
}

static bool get_flag(const json_t *o, const char *key)
{
    return json_is_true(json_object_get(o, key));
}

static Str get_text(Load *d, const json_t *v)
{
    Str s;
    if (!json_to_text(&d->arena, v, &s)) d->bad = true;
    return version_text(d->l->pool, s);
}

static const Version *get_version(Load *d, const json_t *v)
{
    const Version *out = NULL;
    if (v && !d->bad && !version_from_json(d->l->pool, v, &out, d->err)) d->bad = true;
    return out;
}

static void load_node(Load *d, LockMember *m, const json_t *o, bool first)
{
    LockNode *n = lock_add_node(m);
    n->number = (uint64_t)get_int(d, o, "number", 0, INT64_MAX);
    n->at_ms = get_int(d, o, "at_ms", INT64_MIN, INT64_MAX);
    n->identity = get_text(d, json_object_get(o, "identity"));
    n->point = get_text(d, json_object_get(o, "point"));
    n->kind = (LockStepKind)get_int(d, o, "kind", 0, LOCK_STEP_SWAP);
    n->passed = get_flag(o, "passed");
    n->written = get_flag(o, "written");
    n->hold = get_flag(o, "hold");
    n->skip = get_flag(o, "skip");
    n->replaced = get_flag(o, "replaced");
    n->early = get_flag(o, "early");
    n->deleted = get_flag(o, "deleted");
    n->decided = get_flag(o, "decided");
    n->before = (LockWork)get_int(d, o, "before", 0, LOCK_WORK_RECOPY);
    n->after = (LockWork)get_int(d, o, "after", 0, LOCK_WORK_RECOPY);
    n->model = get_version(d, json_object_get(o, "model"));
    const json_t *step = json_object_get(o, "step");
    if (step && !d->bad && !version_step_from_json(d->l->pool, step, &n->step, d->err)) d->bad = true;
    if (first) n->version = get_version(d, json_object_get(o, "version"));
    if (first ? !n->version : !n->step && !n->model) d->bad = true;
}

static void load_member(Load *d, const json_t *o)
{
    const json_t *nodes = json_object_get(o, "nodes"), *lost = json_object_get(o, "lost");
    int64_t n = (int64_t)json_array_size(nodes);
    LockMember *m = lock_add_member(d->l, (uint32_t)get_int(d, o, "id", 0, UINT32_MAX),
                                    get_text(d, json_object_get(o, "name")),
                                    get_int(d, o, "at_ms", INT64_MIN, INT64_MAX));
    m->n_nodes = 0;
    m->gate_work = (LockWork)get_int(d, o, "gate_work", 0, LOCK_WORK_RECOPY);
    m->gate_sent = get_flag(o, "gate_sent");
    m->before_sent = get_flag(o, "before_sent");
    m->stopped = get_flag(o, "stopped") && d->l->opts.strict; /* it may have been switched off */
    m->fresh = get_flag(o, "fresh");                          /* an older state does not say: it is not */
    m->leaving = get_flag(o, "leaving");
    if (!n) d->bad = true;
    for (int64_t i = 0; i < n && !d->bad; i++)
        load_node(d, m, json_array_get(nodes, (size_t)i), i == 0);
    m->accepted = (int32_t)get_int(d, o, "accepted", LOCK_OUTSIDE, n - 1);
    m->gate = (int32_t)get_int(d, o, "gate", LOCK_OUTSIDE, m->accepted);
    bool owed = m->gate_sent || m->gate != m->accepted, next = m->accepted + 1 < (int32_t)n;
    m->stopped &= next; /* an older state kept it when the step was skipped */
    if ((owed && m->gate == m->accepted) || (m->before_sent && !next)) d->bad = true;
    m->lost = mem_zalloc((json_array_size(lost) + 1) * sizeof *m->lost);
    for (size_t i = 0; i < json_array_size(lost); i++)
        m->lost[m->n_lost++] = get_text(d, json_array_get(lost, i));
    if (!d->bad) lock_recompute(d->l, m, 1);
}

static void load_job(Load *d, const json_t *o)
{
    LockJob *j = &d->l->job;
    const json_t *columns = json_object_get(o, "columns"), *accept = json_object_get(o, "accept");
    j->to = get_version(d, json_object_get(o, "to"));
    j->id = (uint64_t)get_int(d, o, "id", 1, INT64_MAX);
    j->rows = get_text(d, json_object_get(o, "rows"));
    j->words = get_text(d, json_object_get(o, "words"));
    j->drop = get_flag(o, "drop");
    j->as_is = get_flag(o, "as_is");
    if (!j->to || !d->l->target || json_array_size(columns) != j->to->schema->n_columns ||
        json_array_size(accept) != d->l->n_members) {
        d->bad = true;
        return;
    }
    j->phase = (LockPhase)get_int(d, o, "phase", JOB_DRAIN, JOB_FAILED);
    j->columns = mem_zalloc((json_array_size(columns) + 1) * sizeof *j->columns);
    j->accept = mem_zalloc((d->l->n_members + 1) * sizeof *j->accept);
    for (size_t i = 0; i < json_array_size(columns); i++) {
        json_int_t v = json_integer_value(json_array_get(columns, i));
        if (v < -1 || v >= (json_int_t)d->l->target->schema->n_columns) d->bad = true;
        j->columns[i] = v < 0 ? NO_COLUMN : (uint32_t)v;
    }
    for (uint32_t i = 0; i < d->l->n_members; i++) {
        json_int_t v = json_integer_value(json_array_get(accept, i));
        if (v < d->l->members[i].accepted || v >= (json_int_t)d->l->members[i].n_nodes) d->bad = true;
        j->accept[i] = (int32_t)v;
    }
}

/* An older state says only whether there is one. */
static uint64_t get_left(Load *d, const json_t *o)
{
    if (json_is_boolean(json_object_get(o, "left"))) return get_flag(o, "left");
    return (uint64_t)get_int(d, o, "left", 0, INT64_MAX);
}

static void load(Load *d, const json_t *o)
{
    Lock *l = d->l;
    const json_t *members = json_object_get(o, "members"), *job = json_object_get(o, "job");
    if (get_int(d, o, "format", 0, INT64_MAX) != FORMAT || !json_is_array(members)) d->bad = true;
    l->name = get_text(d, json_object_get(o, "name"));
    l->begun = get_flag(o, "begun");
    l->last_job = (uint64_t)get_int(d, o, "last_job", 0, INT64_MAX);
    l->left = get_left(d, o);
    l->since_ms = get_int(d, o, "since_ms", INT64_MIN, INT64_MAX);
    const Version *live = get_version(d, json_object_get(o, "live"));
    l->base = get_version(d, json_object_get(o, "base"));
    l->target = get_version(d, json_object_get(o, "target"));
    if (!live || (l->begun && (!l->base || !l->target))) d->bad = true;
    if (live) l->live = live->schema;
    for (size_t i = 0; i < json_array_size(members) && !d->bad; i++)
        load_member(d, json_array_get(members, i));
    if (job && !d->bad) load_job(d, job);
}

bool lock_from_json(VersionPool *pool, Str json, const LockOpts *opts, Lock **out, Err *err)
{
    *out = NULL;
    json_error_t why;
    json_t *o = json_loadb(json.ptr ? json.ptr : "", json.len, JSON_REJECT_DUPLICATES, &why);
    if (!o) return err_set(err, ERR_CORRUPT, "stored lock: not JSON at byte %d: %s", why.position, why.text);
    Load d = {.l = mem_zalloc(sizeof *d.l), .err = err};
    d.l->pool = pool;
    d.l->opts = *opts;
    load(&d, o);
    json_decref(o);
    arena_done(&d.arena);
    if (d.bad) {
        if (!err_is_set(err)) err_set(err, ERR_CORRUPT, "stored lock: a field is missing or out of range");
        lock_free(d.l);
        return false;
    }
    *out = d.l;
    return true;
}
