/* What the sources' threads ask, and what they are told. */
#include <stdlib.h>
#include "base/fault.h"
#include "base/log.h"
#include "pipeline/ddl_impl.h"
#include "track/schema_json.h"
#include "track/step_json.h"
#include "base/poison.h"

/* -- whose rows -- */

/* Does the transaction lie in the fork? */
static bool fork_has(const DdlFork *f, const TxnId *id)
{
    return !point_covers(&f->from, id) && (!f->has_to || point_covers(&f->to, id));
}

/* Are there rows of the source that are not the main stream's? */
static bool keeps_rows(DdlSource *s)
{
    return atomic_load(&s->n_forks) || atomic_load(&s->n_left);
}

bool ddl_held(Ddl *d, uint32_t stream, const TableMap *map, const StreamPoint *at)
{
    uint32_t source = ddl_source(d, stream);
    DdlSource *s = &d->sources[source];
    bool catch_up = ddl_kind(d, stream) == DDL_CATCH_UP;
    if (!catch_up && !keeps_rows(s)) return false;
    pthread_mutex_lock(&d->mutex);
    const DdlMember *m = ddl_bearer(d, stream, map->name);
    bool held = catch_up || (m && m->left);
    for (const DdlFork *f = s->forks; f && !(m && m->left); f = f->next) {
        if (f->member != m) continue;
        /* rows of versions before the first one needed lie before the fork */
        bool before = f->member->cursor[DDL_CATCH_UP] < f->needs;
        if (catch_up && ddl_in_round(s, f) && !before && !(f->has_to && point_reaches(at, &f->to)))
            held = false;
        if (!catch_up && !f->has_to && point_reaches(at, &f->from)) held = true;
    }
    pthread_mutex_unlock(&d->mutex);
    return held;
}

uint64_t ddl_generation(Ddl *d, uint32_t stream)
{
    return atomic_load(&d->sources[ddl_source(d, stream)].generation);
}

typedef enum Whose { OURS, NOT_OURS, OURS_LATER } Whose;

static Whose whose_row(Ddl *d, uint32_t stream, const TxnId *id, const Member *member)
{
    const DdlSource *s = &d->sources[ddl_source(d, stream)];
    bool catch_up = ddl_kind(d, stream) == DDL_CATCH_UP, later = false;
    const DdlMember *m = ddl_member(d, member);
    if (m && m->left) return NOT_OURS;
    for (const DdlFork *f = s->forks; f; f = f->next) {
        if (f->member->m != member) continue;
        if (catch_up && ddl_in_round(s, f) && fork_has(f, id)) return OURS;
        if (catch_up) continue;
        if (fork_has(f, id)) return NOT_OURS;
        later |= f->has_to && !f->finished && !point_covers(&f->to, id);
    }
    return catch_up ? NOT_OURS : later ? OURS_LATER : OURS;
}

/* What is left of the transaction's targets. */
static void list_targets_again(Txn *t)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < t->n_targets; i++) {
        TxnTarget x = {.target = t->targets[i].target};
        bool any = false;
        for (size_t k = 0; k < t->n_ops; k++) {
            if (t->ops[k].binding->target != x.target) continue;
            any = true;
            x.exclusive |= t->ops[k].exclusive;
        }
        if (any) t->targets[n++] = x;
    }
    t->n_targets = n;
}

/* The main stream may take a member back only where it has passed everything that the round has written. */
static void add_kept(StreamPoint *kept, const TxnId *id)
{
    if (point_covers(kept, id))
        return; /* they come in no order; MariaDB's set knows one number of a domain */
    if (id->has_gtid && kept->gtids)
        gtidset_add(kept->gtids, &id->gtid);
    else if (id->file.len)
        point_set_file(kept, id->file, id->end_pos);
}

/* Keys of rows that went stay in the write set: they only make others wait a little longer. False: some rows
 * are ours, but have to wait. */
static bool take_out(Ddl *d, Txn *t)
{
    size_t kept = 0, gone = 0;
    for (size_t i = 0; i < t->n_ops; i++)
        if (whose_row(d, t->source, &t->id, t->ops[i].binding->member) == OURS_LATER) return false;
    for (size_t i = 0; i < t->n_ops; i++) {
        if (whose_row(d, t->source, &t->id, t->ops[i].binding->member) == OURS)
            t->ops[kept++] = t->ops[i];
        else
            gone++;
    }
    t->n_ops = kept;
    if (ddl_kind(d, t->source) == DDL_CATCH_UP && kept)
        add_kept(&d->sources[ddl_source(d, t->source)].kept, &t->id);
    if (ddl_kind(d, t->source) == DDL_CATCH_UP)
        t->counts = (RowCounts){.read = kept}; /* the others are counted where they belong */
    else
        t->counts.held += gone;
    if (gone) list_targets_again(t);
    return true;
}

bool ddl_filter(Ddl *d, Txn *t)
{
    DdlSource *s = &d->sources[ddl_source(d, t->source)];
    Source *source = d->p->streams[t->source].source;
    bool catch_up = ddl_kind(d, t->source) == DDL_CATCH_UP, ok;
    if (t->already_applied || t->position_only || (!catch_up && !keeps_rows(s))) return true;
    pthread_mutex_lock(&d->mutex);
    while (!(ok = take_out(d, t)) && !source_is_stopping(source))
        (void)clock_cond_wait_until(&d->changed, &d->mutex, clock_mono_ms() + 20);
    pthread_mutex_unlock(&d->mutex);
    return ok;
}

/* -- the point between two transactions -- */

uint64_t ddl_accepted(const DdlMember *m)
{
    uint64_t last, n = 0;
    return m->target->lock && lock_member(m->target->lock, (uint32_t)m->no, &last, &n) ? n : 0;
}

void ddl_boundary(Ddl *d, uint32_t stream, const StreamPoint *at)
{
    DdlSource *s = &d->sources[ddl_source(d, stream)];
    Err err = {0};
    bool ok = true;
    if (ddl_kind(d, stream) == DDL_CATCH_UP) return;
    pthread_mutex_lock(&d->mutex);
    /* Behind everything that it had written before: a round reads a fork's rows as never written. */
    bool hold = s->want_hold && point_reaches(at, &s->begun);
    for (DdlMember *m = d->members; hold && ok && m; m = m->next) {
        if (m->source != stream || !m->target->lock || lock_is_open(m->target->lock)) continue;
        if (m->left) {
            ddl_set_barrier(m, at);
            continue;
        }
        bool forked = false;
        for (const DdlFork *f = s->forks; f; f = f->next)
            forked |= f->member == m && !f->finished;
        if (!forked) ok = ddl_begin_fork(d, m, at, m->cursor[DDL_MAIN], &err);
    }
    if (s->want_rejoin && ok) ok = ddl_rejoin(d, stream, at, &err);
    if (!ok) err_move(&s->failed, &err);
    s->want_rejoin = false;
    s->want_hold &= !hold;
    pthread_mutex_unlock(&d->mutex);
}

bool ddl_stream_begins(Ddl *d, uint32_t stream, const StreamPoint *at, const AppliedSet *applied, Err *err)
{
    uint32_t source = ddl_source(d, stream);
    unsigned kind = ddl_kind(d, stream);
    pthread_mutex_lock(&d->mutex);
    DdlSource *s = &d->sources[source];
    StreamPoint *written = kind == DDL_CATCH_UP ? &s->kept : &s->begun;
    size_t iter = 0;
    point_done(written);
    point_copy(written, at);
    for (void *v; map_next(&applied->txns, &iter, NULL, &v);)
        add_kept(written, &((const AppliedTxn *)v)->id);
    if (kind == DDL_MAIN && !point_reaches(&s->followed, at)) {
        point_done(&s->followed);
        point_copy(&s->followed, at);
    }
    for (DdlMember *m = d->members; m; m = m->next) {
        if (m->source != source) continue;
        m->cursor[kind] = 0;
        for (size_t i = 0; i < m->n_steps; i++)
            if (point_covers(at, &m->steps[i]->id)) m->cursor[kind] = m->steps[i]->number;
    }
    bool ok =
        kind != DDL_MAIN || (ddl_strict_begins(d, source, err) && ddl_hold_newcomers(d, source, at, err));
    ddl_bump(d, source);
    pthread_mutex_unlock(&d->mutex);
    return ok;
}

/* A round whose main stream rests cannot end: it makes room for a target that is to change. */
static bool round_may_go_on(Ddl *d, uint32_t source)
{
    const DdlSource *s = &d->sources[source];
    bool runs, rests = ddl_rests(d, source, &runs);
    for (const DdlFork *f = s->forks; f; f = f->next) {
        const DdlTarget *t = f->member->target;
        if (!ddl_in_round(s, f) || ddl_given_up(f) || !t->lock) continue;
        if (t->altering || (rests && !lock_is_open(t->lock))) return false;
    }
    return true;
}

bool ddl_round_may_go_on(Ddl *d, uint32_t source)
{
    pthread_mutex_lock(&d->mutex);
    bool may = round_may_go_on(d, source);
    pthread_mutex_unlock(&d->mutex);
    return may;
}

/* Would the main stream write rows of a target that is being changed? Those before the member's fork are its
 * own, until its floor has come there. */
bool ddl_may_begin(Ddl *d, uint32_t stream)
{
    if (ddl_kind(d, stream) == DDL_CATCH_UP) return ddl_round_may_go_on(d, ddl_source(d, stream));
    bool may = !ddl_main_makes_room(d, stream);
    StreamPoint floor;
    stream_written_floor(&d->p->streams[stream], &floor);
    pthread_mutex_lock(&d->mutex);
    for (const DdlMember *m = d->members; m; m = m->next) {
        if (m->source != stream || !m->target->altering || m->left) continue;
        const DdlFork *f = ddl_open_fork(d, m);
        may &= f && point_reaches(&floor, &f->from);
    }
    pthread_mutex_unlock(&d->mutex);
    point_done(&floor);
    return may;
}

/* -- statements -- */

DdlStep *ddl_find_step(const DdlMember *m, Str identity)
{
    for (size_t i = 0; i < m->n_steps; i++)
        if (str_eq(m->steps[i]->identity, identity)) return m->steps[i];
    return NULL;
}

/* Has the main stream taken others of the round back, further on? It may wait for the whole round there, and
 * cannot take back any more then. Not in a stretch that is read again: what the round has written behind this
 * point stays its own. */
static bool is_taken_back(const DdlSource *s, const StreamPoint *at)
{
    if (!point_reaches(at, &s->kept)) return false;
    for (const DdlFork *f = s->forks; f; f = f->next)
        if (ddl_in_round(s, f) && f->has_to && !point_reaches(at, &f->to)) return true;
    return false;
}

/* The catch-up stream has come to a step: the member's fork goes no further when it is not accepted. */
static bool meet_step(Ddl *d, DdlMember *m, const DdlStep *s, const StreamPoint *at, Err *err)
{
    DdlSource *src = &d->sources[m->source];
    for (DdlFork *f = src->forks; f; f = f->next)
        if (f->member == m && ddl_in_round(src, f) && !f->has_to &&
            (s->number > ddl_accepted(m) || is_taken_back(src, at)))
            return ddl_end_fork(d, f, at, true, s->number, err);
    return true;
}

static bool known_step(Ddl *d, uint32_t stream, DdlMember *m, const DdlStep *s, const StreamPoint *at,
                       Err *err)
{
    unsigned kind = ddl_kind(d, stream);
    if (m->cursor[kind] < s->number) {
        m->cursor[kind] = s->number;
        ddl_bump(d, m->source);
        ddl_copy_changed(d, stream, m);
    }
    if (kind == DDL_CATCH_UP) return meet_step(d, m, s, at, err);
    /* read again, and taken back from its round since, before it came to this step; without a lock nothing
     * waits */
    bool waits = !m->left && m->target->lock && s->number > ddl_accepted(m) && !ddl_open_fork(d, m);
    return !waits || ddl_begin_fork(d, m, at, s->number, err);
}

/* fork: its rows wait from here on. */
static bool keep_step(Ddl *d, DdlMember *m, DdlStep *s, const char *what, bool forks, Err *err)
{
    StrBuf txn = {0}, point = {0}, change = {0}, first = {0};
    ddl_txn_json(&s->id, &txn);
    point_format(&s->before, &point);
    step_to_json(s->step, &change);
    StoreStep row = {.member_no = m->no,
                     .number = s->number,
                     .identity = s->identity,
                     .txn_json = sb_view(&txn),
                     .point_json = sb_view(&point),
                     .kind = str_of(ddl_step_kind_name(s->kind)),
                     .change_json = sb_view(&change)};
    if (s->number == 1 &&
        !s->step->before) { /* killed in between, it would be a table that was always there */
        schema_to_json(s->step->after, &first);
        row.first_json = sb_view(&first);
        row.why = str_of(what);
    }
    if (s->step->after && !table_name_eq(s->step->name_after, ddl_name_at(m, UINT64_MAX)))
        row.renamed = s->step->name_after;
    StoreFork fork = {.source_id = d->p->task->sources[m->source].id,
                      .member_no = m->no,
                      .from_json = sb_view(&point),
                      .needs = s->number};
    bool ok = store_step(d->p->store, &row, forks ? &fork : NULL, err);
    if (ok && forks) ddl_add_fork(d, m, &s->before, s->number, fork.fork_no);
    sb_done(&txn);
    sb_done(&point);
    sb_done(&change);
    sb_done(&first);
    return ok;
}

/* The step, stored; takes it over. */
static DdlStep *store_new_step(Ddl *d, DdlMember *m, Str identity, const DdlEvent *e, SchemaStep *step,
                               LockStepKind what, bool forks, Err *err)
{
    DdlStep *s = mem_zalloc(sizeof *s);
    s->number = m->n_steps + 1;
    s->identity = (Str){str_dup(identity), identity.len};
    s->id = e->id;
    s->id.file = (Str){str_dup(e->id.file), e->id.file.len};
    s->step = step;
    s->kind = what;
    point_copy(&s->before, e->point);
    if (!keep_step(d, m, s, e->what, forks, err)) {
        ddl_step_done(s);
        return NULL;
    }
    ddl_add_step(m, s);
    return s;
}

/* As it is on the server, when nothing has changed it since. */
bool ddl_made_there(Ddl *d, uint32_t stream, TableName name, const DdlEvent *e, TableSchema **out, Err *err)
{
    StreamPoint after;
    point_copy(&after, e->point);
    add_kept(&after, &e->id);
    bool ok = catalog_made_table(d->p->catalog, ddl_source(d, stream), name, e->point, &after, out, err);
    point_done(&after);
    return ok;
}

static bool made_as(Ddl *d, uint32_t stream, TableName name, const DdlEvent *e, TableSchema **out, Err *err);

/* A table that was dropped is made again by a statement that does not tell its definition, or not its
 * charset; *out NULL: not so. Mutex not held. */
static bool made_again(Ddl *d, uint32_t stream, const CatalogMemberInfo *info, Str identity,
                       const DdlEvent *e, TableSchema **out, Err *err)
{
    DdlLook look;
    *out = NULL;
    if (!ddl_creates(e) || !ddl_look(d->p->streams[stream].flavor, e, &look)) return true;
    if (!look.by_others && !look.by_default) return true;
    pthread_mutex_lock(&d->mutex);
    const DdlMember *m = ddl_member(d, info->member);
    bool asked = m && !ddl_find_step(m, identity) && ddl_gone_at(m, UINT64_MAX);
    pthread_mutex_unlock(&d->mutex);
    return !asked || made_as(d, stream, e->tables[0], e, out, err);
}

/* What the statement does to the member's table. A table that has left is followed as far as that goes: what
 * cannot be told of it stops nobody. made: what it makes, where its text does not tell; or NULL. */
static bool step_of(Ddl *d, uint32_t stream, const DdlMember *m, const DdlEvent *e, const TableSchema *made,
                    SchemaStep **step, LockStepKind *what, Err *err)
{
    if (made) {
        *what = LOCK_STEP_CREATE;
        return (*step = ddl_creation(made, ddl_name_at(m, UINT64_MAX), e, err)) != NULL;
    }
    Flavor flavor = d->p->streams[stream].flavor;
    bool gone = ddl_gone_at(m, UINT64_MAX);
    const TableSchema *before = gone ? NULL : ddl_schema_at(m, UINT64_MAX);
    TableName name = ddl_name_at(m, UINT64_MAX);
    if (!ddl_make_step(flavor, before, name, e, step, what, err)) {
        if (!m->left) return false;
        err_clear(err);
        *step = NULL;
        return !ddl_creates(e) || ddl_make_step(flavor, NULL, name, e, step, what, err);
    }
    if (*step && (*step)->before && (*step)->after) ddl_judge_rename(d, m, e, *step, what);
    return true;
}

static bool new_step(Ddl *d, uint32_t stream, DdlMember *m, Str identity, const DdlEvent *e,
                     const TableSchema *made, Err *err)
{
    DdlFork *open = ddl_open_fork(d, m);
    SchemaStep *step;
    LockStepKind what;
    if (!step_of(d, stream, m, e, made, &step, &what, err)) return false;
    if (!step) return true;
    if (!ddl_copy_allows(d, stream, m, step, what, e, err)) {
        step_free(step);
        return false;
    }
    bool forks = !open && (!m->left || what == LOCK_STEP_CREATE);
    DdlStep *s = store_new_step(d, m, identity, e, step, what, forks, err);
    if (!s) return false;
    if (what == LOCK_STEP_RENAME || what == LOCK_STEP_RENAME_OUT || what == LOCK_STEP_SWAP) {
        if (!ddl_take_name(d, stream, m, e, err)) return false;
    }
    log_write(LOGEV_SCHEMA_CHANGED, LOG_STR("table", m->label), LOG_U("number", s->number),
              LOG_STR("statement", e->query->sql));
    return known_step(d, stream, m, s, e->point, err);
}

bool ddl_one_table(Ddl *d, uint32_t stream, const CatalogMemberInfo *info, const DdlEvent *e, Err *err)
{
    StrBuf identity = {0};
    TableSchema *made;
    LossAnswer says = {0};
    bool asks = ddl_copy_asks(d, stream, info->member);
    if (!catalog_have_target(d->p->catalog, info->member, err)) return false;
    if (asks && !catalog_target_losses(d->p->catalog, info->target, &says, err)) return false;
    txn_identity(&e->id, e->id.server, &identity);
    if (!made_again(d, stream, info, sb_view(&identity), e, &made, err)) {
        sb_done(&identity);
        return false;
    }
    pthread_mutex_lock(&d->mutex);
    DdlMember *m = ddl_know_member(d, info->member, info->number, info->first, info->target);
    if (asks) m->target->says = says;
    const DdlStep *s = ddl_find_step(m, sb_view(&identity));
    bool ok = s ? known_step(d, stream, m, s, e->point, err)
                : new_step(d, stream, m, sb_view(&identity), e, made, err);
    TableName now = ddl_name_at(m, UINT64_MAX);
    pthread_mutex_unlock(&d->mutex);
    schema_free(made);
    sb_done(&identity);
    if (ok) catalog_rename(d->p->catalog, info->member, now);
    return ok;
}

static bool refuse(const DdlEvent *e, const char *remedy, Err *err)
{
    return err_set_remedy(err, ERR_SOURCE_DDL, remedy, "%s of a routed table: " STR_FMT, e->what,
                          STR_ARG(e->query->sql));
}

/* What a statement makes; *out NULL: nothing. Where its text leaves the charset to the database, the server
 * knows better what that was. */
static bool made_as(Ddl *d, uint32_t stream, TableName name, const DdlEvent *e, TableSchema **out, Err *err)
{
    Flavor flavor = d->p->streams[stream].flavor;
    DdlEvent told = *e;
    SchemaStep *step;
    LockStepKind kind;
    DdlLook look;
    char *collation = NULL;
    *out = NULL;
    bool known = ddl_look(flavor, e, &look);
    if (known && look.by_others) return ddl_made_there(d, stream, name, e, out, err);
    if (known && look.by_default) {
        if (ddl_made_there(d, stream, name, e, out, err)) return true;
        if (err->code != ERR_TRACK_START) return false;
        err_clear(err);
        if (!catalog_schema_collation(d->p->catalog, ddl_source(d, stream), name.schema, &collation, err))
            return false;
        if (collation) told.schema_collation = str_of(collation);
    }
    bool ok = ddl_make_step(flavor, NULL, name, &told, &step, &kind, err);
    free(collation);
    if (!ok) return false;
    if (step && step->after) *out = schema_copy(step->after);
    step_free(step);
    return true;
}

/* The statement that made its table is a member's first step, which the lock does not see: it joins with it.
 */
bool ddl_begin_member(Ddl *d, uint32_t stream, const CatalogMemberInfo *info, const DdlEvent *e,
                      SchemaStep *step, Err *err)
{
    StrBuf identity = {0};
    txn_identity(&e->id, e->id.server, &identity);
    DdlMember *m = ddl_know_member(d, info->member, info->number, info->first, info->target);
    bool waits = m->target->lock && !m->joined; /* until it is let in */
    DdlStep *s = store_new_step(d, m, sb_view(&identity), e, step, LOCK_STEP_CREATE, waits, err);
    sb_done(&identity);
    if (!s) return false;
    ddl_is_born(m);
    return known_step(d, stream, m, s, e->point, err);
}

/* A table that is made: it belongs to its target from here on, with this definition. */
static bool new_table(Ddl *d, uint32_t stream, TableName name, const DdlEvent *e, Err *err)
{
    TableSchema *made;
    CatalogMemberInfo info;
    if (!made_as(d, stream, name, e, &made, err)) return false;
    if (!made) return true;
    SchemaStep *step = ddl_creation(made, name, e, err);
    bool ok = step && catalog_new_member(d->p->catalog, stream, name, made, &info, err);
    schema_free(made);
    if (!ok) {
        step_free(step);
        return false;
    }
    pthread_mutex_lock(&d->mutex);
    bool was =
        ddl_member(d, info.member) != NULL; /* its name went to one that is gone: it is that one again */
    ok = was || ddl_begin_member(d, stream, &info, e, step, err);
    pthread_mutex_unlock(&d->mutex);
    if (!was) return ok;
    step_free(step);
    return ddl_one_table(d, stream, &info, e, err);
}

static bool change_table(Ddl *d, uint32_t stream, const CatalogMemberInfo *info, const DdlEvent *e, Err *err)
{
    return ddl_one_table(d, stream, info, e, err);
}

/* A table of which nobody knows what it looks like here: CREATE TABLE says it, and one that DROP … IF EXISTS
 * may have dropped has none. ERR_TRACK_START. */
static bool is_clear(Ddl *d, uint32_t stream, TableName name, const DdlEvent *e, Err *err)
{
    DdlLook look;
    uint32_t source = ddl_source(d, stream);
    bool drop = strncmp(e->what, "DROP TABLE", 10) == 0;
    if (!catalog_is_unknown(d->p->catalog, source, name)) return true;
    if (ddl_look(d->p->streams[stream].flavor, e, &look) &&
        (ddl_creates(e) ? !look.conditional : drop && look.conditional))
        return true;
    return catalog_unknown(d->p->catalog, source, name, e->point, err);
}

/* The member that the statement is known to have made, whatever it was called before. */
static bool find_made(Ddl *d, uint32_t stream, const DdlEvent *e, CatalogMemberInfo *out)
{
    StrBuf identity = {0};
    const DdlMember *found = NULL;
    txn_identity(&e->id, e->id.server, &identity);
    pthread_mutex_lock(&d->mutex);
    for (const DdlMember *m = d->members; m && !found; m = m->next)
        if (m->source == ddl_source(d, stream) && ddl_find_step(m, sb_view(&identity))) found = m;
    if (found)
        *out = (CatalogMemberInfo){
            .member = found->m, .number = found->no, .first = found->first, .target = found->target->name};
    pthread_mutex_unlock(&d->mutex);
    sb_done(&identity);
    return found != NULL;
}

static bool create_table(Ddl *d, uint32_t stream, const DdlEvent *e, Err *err)
{
    CatalogMemberInfo info;
    bool there;
    if (find_made(d, stream, e, &info)) return ddl_one_table(d, stream, &info, e, err); /* read again */
    if (!ddl_find(d, stream, e->tables[0], &info, &there))
        return !catalog_routed(d->p->catalog, ddl_source(d, stream), e->tables[0]) ||
               (is_clear(d, stream, e->tables[0], e, err) && new_table(d, stream, e->tables[0], e, err));
    return there || ddl_one_table(d, stream, &info, e, err); /* IF NOT EXISTS */
}

/* Every shard table of the database is dropped, one after the other. */
static bool drop_database(Ddl *d, uint32_t stream, const DdlEvent *e, Err *err)
{
    size_t n;
    CatalogMemberInfo *list = ddl_of_database(d, stream, e->tables[0].schema, &n);
    bool ok = true;
    for (size_t i = 0; ok && i < n; i++)
        ok = change_table(d, stream, &list[i], e, err);
    free(list);
    return ok;
}

static bool may_rename(Ddl *d, uint32_t stream, const CatalogMemberInfo *info, const DdlRename *r,
                       const DdlEvent *e, Err *err)
{
    return ddl_may_rename(d, stream, info, r) ||
           refuse(e,
                  "a table with rows of its own got the name of a shard table: begin anew, so that it is "
                  "copied; or bring its rows by hand and go on behind it, " ERR_PAST,
                  err);
}

/* One after the other, but the names are those before the statement. */
static bool rename_tables(Ddl *d, uint32_t stream, const DdlEvent *e, Err *err)
{
    DdlRename list[DDL_MOST_RENAMES];
    CatalogMemberInfo infos[DDL_MOST_RENAMES];
    bool found[DDL_MOST_RENAMES], ok = true, there;
    uint32_t n = ddl_renames(e, list, DDL_MOST_RENAMES);
    if (n > DDL_MOST_RENAMES) return refuse(e, "rename fewer tables with one statement", err);
    for (uint32_t i = 0; i < n; i++)
        found[i] = ddl_find(d, stream, list[i].from, &infos[i], &there);
    for (uint32_t i = 0; i < n; i++)
        if (!found[i] && !is_clear(d, stream, list[i].from, e, err)) return false;
    for (uint32_t i = 0; i < n; i++) {
        bool enters = !found[i] && catalog_routed(d->p->catalog, ddl_source(d, stream), list[i].to);
        if (enters && !ddl_may_enter(d, stream, list[i].to, list, n, e, err)) return false;
        if (!enters && !may_rename(d, stream, &infos[i], &list[i], e, err)) return false;
    }
    for (uint32_t i = 0; ok && i < n; i++)
        if (found[i]) ok = change_table(d, stream, &infos[i], e, err);
    for (uint32_t i = 0; ok && i < n; i++)
        if (!found[i] && catalog_routed(d->p->catalog, ddl_source(d, stream), list[i].to))
            ok = ddl_enter(d, stream, list[i].to, e, err);
    return ok;
}

/* ALTER TABLE may name a second table: it is renamed to that, or takes over its rows. A shard table that
 * exchanges its rows for a partition of another table asks what that means, as that other one does. */
static bool other_table(Ddl *d, uint32_t stream, const CatalogMemberInfo *first, TableName name,
                        const DdlEvent *e, Err *err)
{
    CatalogMemberInfo other;
    bool there, known = ddl_find(d, stream, name, &other, &there);
    if (known && first && other.member == first->member) return true;
    DdlLook look;
    if (!known && !catalog_routed(d->p->catalog, ddl_source(d, stream), name)) return true;
    if (known && there && ddl_look(d->p->streams[stream].flavor, e, &look) && look.exchanges)
        return change_table(d, stream, &other, e, err);
    if (!first && ddl_look(d->p->streams[stream].flavor, e, &look) && look.renames)
        return ddl_may_enter(d, stream, name, NULL, 0, e, err) && ddl_enter(d, stream, name, e, err);
    return refuse(
        e,
        "rows of its own came into a shard table without row events: begin anew, so that it is copied; or "
        "bring them by hand and go on behind it, " ERR_PAST,
        err);
}

/* ALTER TABLE … RENAME TO, of a shard table. */
static bool may_alter(Ddl *d, uint32_t stream, const CatalogMemberInfo *info, const DdlEvent *e, Err *err)
{
    DdlLook look;
    if (e->n_tables < 2 || !ddl_look(d->p->streams[stream].flavor, e, &look) || !look.renames) return true;
    return may_rename(d, stream, info, &(DdlRename){e->tables[0], e->tables[1]}, e, err);
}

/* Read by the main stream. */
static bool follow(Ddl *d, uint32_t stream, const DdlEvent *e, Err *err)
{
    CatalogMemberInfo first;
    bool alter = strncmp(e->what, "ALTER TABLE", 11) == 0, known = false, there;
    if (ddl_creates(e)) return create_table(d, stream, e, err);
    if (e->of_database) return drop_database(d, stream, e, err);
    if (strncmp(e->what, "RENAME", 6) == 0) return rename_tables(d, stream, e, err);
    for (size_t i = 0; i < e->n_tables; i++) {
        CatalogMemberInfo info;
        if (alter && i) {
            if (!other_table(d, stream, known ? &first : NULL, e->tables[i], e, err)) return false;
            continue;
        }
        if (!ddl_find(d, stream, e->tables[i], &info, &there)) {
            if (!is_clear(d, stream, e->tables[i], e, err)) return false;
            continue;
        }
        known = true;
        first = info;
        if (alter && !may_alter(d, stream, &info, e, err)) return false;
        if (!change_table(d, stream, &info, e, err)) return false;
    }
    return true;
}

/* Has the main stream followed the statement, so that all of its steps are stored? */
static bool is_followed(Ddl *d, uint32_t source, const TxnId *id)
{
    SourceStatus main;
    if (point_covers(&d->sources[source].followed, id)) return true;
    source_status(d->p->streams[source].source, &main);
    bool passed = point_covers(&main.read, id);
    point_done(&main.read);
    err_clear(&main.error);
    return passed;
}

/* Does nothing behind this point belong to the round? */
static bool is_behind_round(const DdlSource *s, const StreamPoint *at)
{
    for (const DdlFork *f = s->forks; f; f = f->next)
        if (ddl_in_round(s, f) && !ddl_given_up(f) && !(f->has_to && point_reaches(at, &f->to))) return false;
    return true;
}

/* The catch-up stream makes no steps: it goes by those on record, whatever the tables are called meanwhile. A
 * round may be ahead of a main stream that reads a stretch again, so it waits for it here. The main stream
 * waits for the round only behind a point where this one need not wait any more. */
static bool follow_known(Ddl *d, uint32_t stream, const DdlEvent *e, Err *err)
{
    uint32_t source = ddl_source(d, stream);
    Source *own = d->p->streams[stream].source;
    CLEANUP(sb_done) StrBuf identity = {0};
    bool may, ok = true;
    txn_identity(&e->id, e->id.server, &identity);
    pthread_mutex_lock(&d->mutex);
    while (!(may = is_followed(d, source, &e->id) || is_behind_round(&d->sources[source], e->point)) &&
           !source_is_stopping(own))
        (void)clock_cond_wait_until(&d->changed, &d->mutex, clock_mono_ms() + 20);
    for (DdlMember *m = d->members; may && ok && m; m = m->next) {
        const DdlStep *s = m->source == source ? ddl_find_step(m, sb_view(&identity)) : NULL;
        if (s) ok = known_step(d, stream, m, s, e->point, err);
    }
    pthread_mutex_unlock(&d->mutex);
    return may ? ok : err_set(err, ERR_CANCELLED, "stopping");
}

bool ddl_statement(Ddl *d, uint32_t stream, const DdlEvent *e, Err *err)
{
    DdlSource *s = &d->sources[ddl_source(d, stream)];
    if (ddl_kind(d, stream) == DDL_CATCH_UP) return follow_known(d, stream, e, err);
    ddl_strict_meets(d, stream, e);
    if (!follow(d, stream, e, err)) return false;
    pthread_mutex_lock(&d->mutex);
    if (!point_covers(&s->followed, &e->id)) {
        point_done(&s->followed);
        point_copy(&s->followed, e->point);
        add_kept(&s->followed, &e->id);
    }
    pthread_cond_broadcast(&d->changed);
    pthread_mutex_unlock(&d->mutex);
    return ddl_strict_passes(d, stream, err);
}

/* -- versions -- */

/* The rows' way into the target, from the lock's map of columns. */
static const BindFeeds *feeds_of(const RowMap *map, const TableSchema *schema, Arena *arena)
{
    const TableSchema *target = map->target->schema;
    BindFeeds *out = arena_new(arena, BindFeeds);
    Str *columns = arena_array(arena, Str, schema->n_columns + 1);
    BindFill *fills = arena_array(arena, BindFill, target->n_columns + 1);
    bool plain = true;
    for (uint32_t i = 0; i < target->n_columns; i++) {
        const ColumnFeed *f = &map->feeds[i];
        Str name = arena_str(arena, target->columns[i].name);
        if (f->kind == FEED_COLUMN && f->column < schema->n_columns) columns[f->column] = name;
        if (f->kind == FEED_FILL)
            fills[out->n_fills++] =
                (BindFill){name, f->fill == FILL_VALUE ? arena_str(arena, f->fill_text) : (Str){0}};
        if (f->kind != FEED_TARGET) continue;
        uint32_t same = schema_column(schema, name); /* both compute it */
        if (same != NO_COLUMN) columns[same] = name;
    }
    for (uint32_t i = 0; i < schema->n_columns; i++)
        plain &= str_eq(columns[i], schema->columns[i].name);
    out->columns = columns;
    out->fills = fills;
    return plain && !out->n_fills ? NULL : out;
}

bool ddl_version_by(const Lock *l, const DdlMember *m, uint64_t number, Arena *arena, DdlVersion *out,
                    Err *err)
{
    RowMap map;
    *out = (DdlVersion){.number = number, .schema = ddl_schema_at(m, number)};
    if (!lock_row_map(l, (uint32_t)m->no, number, arena, &map, err))
        return err_wrap(err, STR_FMT, STR_ARG(m->label));
    out->feeds = feeds_of(&map, out->schema, arena);
    return true;
}

bool ddl_version_at(Ddl *d, const DdlMember *m, uint64_t number, Arena *arena, bool *known, DdlVersion *out,
                    Err *err)
{
    (void)d;
    *known = m->n_steps || m->target->lock;
    if (!*known) return true;
    *out = (DdlVersion){.number = number, .schema = ddl_schema_at(m, number)};
    return !m->target->lock || !m->joined || ddl_version_by(m->target->lock, m, number, arena, out, err);
}

bool ddl_version(Ddl *d, uint32_t stream, const Member *member, Arena *arena, bool *known, DdlVersion *out,
                 Err *err)
{
    bool ok = true;
    pthread_mutex_lock(&d->mutex);
    const DdlMember *m = ddl_member(d, member);
    *known = false;
    if (m) ok = ddl_version_at(d, m, m->cursor[ddl_kind(d, stream)], arena, known, out, err);
    pthread_mutex_unlock(&d->mutex);
    return ok;
}

bool ddl_has_lock(Ddl *d, const Member *member)
{
    pthread_mutex_lock(&d->mutex);
    const DdlMember *m = ddl_member(d, member);
    bool has = m && m->target->lock && m->joined;
    pthread_mutex_unlock(&d->mutex);
    return has;
}
