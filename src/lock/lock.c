#include "lock/lock.h"
#include <stdlib.h>
#include "base/check.h"
#include "lock/lock_impl.h"
#include "track/version_pool.h"
#include "base/poison.h"

Lock *lock_new(VersionPool *pool, Str name, const TableSchema *target, const LockOpts *opts)
{
    Lock *l = mem_zalloc(sizeof *l);
    l->pool = pool;
    l->opts = *opts;
    l->name = version_text(pool, name);
    l->live = version_schema(pool, target);
    return l;
}

void lock_free(Lock *l)
{
    if (!l) return;
    lock_job_cancel(l);
    for (uint32_t i = 0; i < l->n_members; i++) {
        free(l->members[i].nodes);
        free(l->members[i].lost);
    }
    free(l->members);
    free(l);
}

static void *copy_of(const void *p, size_t n)
{
    void *own = mem_alloc(n + 1);
    if (n) memcpy(own, p, n);
    return own;
}

Lock *lock_clone(const Lock *l)
{
    Lock *c = copy_of(l, sizeof *l);
    c->members = copy_of(l->members, l->n_members * sizeof *l->members);
    c->cap_members = l->n_members;
    for (uint32_t i = 0; i < l->n_members; i++) {
        LockMember *m = &c->members[i];
        m->nodes = copy_of(m->nodes, m->n_nodes * sizeof *m->nodes);
        m->cap_nodes = m->n_nodes;
        m->lost = copy_of(m->lost, m->n_lost * sizeof *m->lost);
    }
    if (l->job.phase != JOB_NONE) {
        c->job.columns = copy_of(l->job.columns, l->job.to->schema->n_columns * sizeof *l->job.columns);
        c->job.accept = copy_of(l->job.accept, l->n_members * sizeof *l->job.accept);
    }
    return c;
}

/* -- the beginning -- */

static bool same_schema(VersionPool *p, const TableSchema *a, const TableSchema *b)
{
    VersionView x = version_view(version_start(p, a, ORIGIN_BASE)),
                y = version_view(version_start(p, b, ORIGIN_BASE));
    return version_agreement(&x, &y, NULL) >= AGREE_ROWS;
}

/* The columns that all members have, and the keys over them, as the first member defines them. */
static const TableSchema *common_schema(Lock *l)
{
    const TableSchema *first = l->members[0].nodes[0].version->schema;
    Arena arena = {0};
    TableSchema s = *first;
    schema_bare(&s);
    s.columns = arena_array(&arena, ColumnDef, first->n_columns + 1);
    s.keys = arena_array(&arena, KeyDef, first->n_keys + 1);
    s.n_columns = s.n_keys = 0;
    for (uint32_t c = 0; c < first->n_columns; c++) {
        bool all = true;
        for (uint32_t i = 1; i < l->n_members; i++)
            all &= schema_column(l->members[i].nodes[0].version->schema, first->columns[c].name) != NO_COLUMN;
        if (all) s.columns[s.n_columns++] = first->columns[c];
    }
    for (uint32_t k = 0; k < first->n_keys; k++) {
        KeyDef key = first->keys[k];
        bool all = true;
        key.parts = arena_array(&arena, KeyPart, key.n_parts);
        for (uint32_t p = 0; p < key.n_parts; p++) {
            key.parts[p] = first->keys[k].parts[p];
            if (key.parts[p].column == NO_COLUMN) continue;
            key.parts[p].column = schema_column(&s, first->columns[key.parts[p].column].name);
            all &= key.parts[p].column != NO_COLUMN;
        }
        if (all) s.keys[s.n_keys++] = key;
    }
    const TableSchema *own = version_schema(l->pool, &s);
    arena_done(&arena);
    return own;
}

static void find_base(Lock *l)
{
    bool equal = true;
    for (uint32_t i = 1; i < l->n_members; i++)
        equal &= same_schema(l->pool, l->members[0].nodes[0].version->schema,
                             l->members[i].nodes[0].version->schema);
    const TableSchema *common = equal ? l->members[0].nodes[0].version->schema : common_schema(l);
    l->base = version_start(l->pool, common, ORIGIN_BASE);
    for (uint32_t i = 0; i < l->n_members; i++) {
        LockNode *n = &l->members[i].nodes[0];
        const TableSchema *own = n->version->schema;
        n->version = equal
                         ? version_start(l->pool, own, ORIGIN_BASE)
                         : version_step(l->pool, l->base, version_step_between(l->pool, common, own))->after;
    }
}

/* Does the live target have every column of the version? */
static bool live_has(const Lock *l, const Version *v)
{
    for (uint32_t i = 0; i < v->schema->n_columns; i++)
        if (schema_column(l->live, v->schema->columns[i].name) == NO_COLUMN) return false;
    return true;
}

/* Shards that have always differed in what rows do not depend on (spelling of types, collations, indexes,
 * wider types on one of them) are taken as agreed when they begin with the same columns and all rows fit what
 * they have in common: from here on their changes are compared, not where they come from. */
static void settle_start(Lock *l)
{
    const Version *model = version_start(l->pool, l->target->schema, ORIGIN_BASE);
    Arena arena = {0};
    bool fit = !lock_all_agree(l, AGREE_WHOLLY);
    for (uint32_t i = 0; fit && i < l->n_members; i++) {
        const TableSchema *own = l->members[i].nodes[0].version->shape;
        RowsOf rows = {.version = version_start(l->pool, own, ORIGIN_BASE)};
        RowMap map;
        fit = l->members[i].accepted == 0 && own->n_columns == model->schema->n_columns &&
              row_map(&rows, model, &arena, &map, NULL);
        for (uint32_t c = 0; fit && c < own->n_columns; c++)
            fit = schema_column(model->schema, own->columns[c].name) != NO_COLUMN;
    }
    arena_done(&arena);
    if (!fit) return;
    for (uint32_t i = 0; i < l->n_members; i++) {
        LockNode *n = &l->members[i].nodes[0];
        n->version =
            version_adopt(l->pool, version_start(l->pool, n->version->shape, ORIGIN_BASE), model)->after;
    }
    l->base = l->target = model;
}

bool lock_begin(Lock *l, LockActions *out, Err *err)
{
    if (l->begun) return err_set(err, ERR_LOCK_EVENT, STR_FMT ": begun twice", STR_ARG(l->name));
    l->begun = true;
    if (!l->n_members) {
        l->target = l->base = version_start(l->pool, l->live, ORIGIN_ANY);
        lock_act(out, LOCK_ACT_OPEN);
        return true;
    }
    find_base(l);
    /* the first that fits the live target says what the target is; the others are let in as they fit */
    int32_t *accept = mem_alloc(l->n_members * sizeof *accept);
    for (uint32_t i = 0; i < l->n_members; i++)
        accept[i] = LOCK_OUTSIDE;
    bool any = false;
    l->target = NULL;
    for (uint32_t i = 0; i < l->n_members; i++) {
        const Version *to;
        bool *replaces;
        accept[i] = 0;
        if (live_has(l, l->members[i].nodes[0].version) && lock_join(l, accept, &to, &replaces, NULL)) {
            free(replaces);
            any = true;
            l->members[i].accepted = l->members[i].gate = 0;
            l->target = to;
            continue;
        }
        accept[i] = LOCK_OUTSIDE;
    }
    free(accept);
    if (!any) {
        l->begun = false;
        return err_set(err, ERR_TRACK_TARGET,
                       STR_FMT ": the target lacks columns of every shard table that is routed to it",
                       STR_ARG(l->name));
    }
    TableSchema named = *l->target->schema;
    named.name = l->live->name;
    Version v = *l->target;
    v.schema = v.shape = version_schema(l->pool, &named);
    l->target = version_intern(l->pool, &v);
    settle_start(l);
    lock_act(out, LOCK_ACT_OPEN);
    for (uint32_t i = 0; i < l->n_members; i++)
        lock_act_member(out, &l->members[i]);
    lock_plan(l, out);
    return true;
}

/* -- events -- */

static bool wrong(const Lock *l, Err *err, const char *what)
{
    return err_set(err, ERR_LOCK_EVENT, STR_FMT ": %s", STR_ARG(l->name), what);
}

static bool anybody_has(const Lock *l, Str column)
{
    bool any = schema_column(l->target->schema, column) != NO_COLUMN;
    for (uint32_t i = 0; i < l->n_members; i++)
        for (uint32_t k = 0; k < l->members[i].n_nodes; k++)
            any |= schema_column(l->members[i].nodes[k].version->schema, column) != NO_COLUMN;
    return any;
}

/* An empty table is what it would be if it had gone the way of those that have, or had, its definition: its
 * changes are compared from there. Where they came to it in different ways, and where nobody can compute what
 * their rows hold, its columns are like anybody's. */
static const Version *like_others(Lock *l, const Version *any)
{
    Arena arena = {0};
    Version v = *any;
    VersionView own = version_view(any);
    uint32_t n = v.schema->n_columns, found = 0;
    ColumnOrigin *origins = arena_array(&arena, ColumnOrigin, n + 1);
    v.origins = origins;
    for (uint32_t i = 0; i < l->n_members; i++)
        for (uint32_t k = l->members[i].n_nodes; k-- > 0;) {
            VersionView other = version_view(l->members[i].nodes[k].version), now = version_view(&v);
            if (version_agreement(&own, &other, NULL) < AGREE_DATA) continue;
            for (uint32_t c = 0; c < n; c++) {
                uint32_t at = schema_column(other.version->schema, v.schema->columns[c].name);
                const ColumnOrigin *o = &other.version->origins[at];
                bool differs = found && !version_same_origin(&now, c, &other, at);
                if (!found) origins[c] = *o;
                if (differs || o->fill == FILL_VOLATILE) origins[c] = any->origins[c];
                origins[c].left = false;
            }
            found++;
        }
    if (found) any = version_intern(l->pool, &v);
    arena_done(&arena);
    return found ? any : NULL;
}

/* Rows of the others that lack the column have got what the target filled: whoever adds it later and fills it
 * with something else is told, also when the one that brought it has left. */
static void like_the_target(const Lock *l, Str name, ColumnOrigin *o)
{
    uint32_t at = schema_column(l->target->schema, name);
    if (at == NO_COLUMN || l->target->origins[at].kind != ORIGIN_ADDED) return;
    const ColumnOrigin *is = &l->target->origins[at];
    if (is->fill != FILL_VALUE && is->fill != FILL_NULL) return;
    *o = (ColumnOrigin){.kind = ORIGIN_ADDED, .base = is->base, .fill = is->fill, .fill_text = is->fill_text};
}

/* A new table is as the others are or were. Else its columns are like anybody's; one that nobody else has
 * counts as added now, by its default: rows of the others get that, and a shard that adds it later and fills
 * it with something else is told. */
static const Version *joining_version(Lock *l, const TableSchema *own)
{
    const Version *any = version_start(l->pool, own, ORIGIN_ANY);
    if (!l->begun || !l->n_members) return any;
    const Version *known = like_others(l, any);
    if (known) return known;
    Arena arena = {0};
    Version v = *any;
    const SchemaStep *added = version_step_between(l->pool, l->target->schema, own);
    ColumnOrigin *origins = arena_array(&arena, ColumnOrigin, own->n_columns + 1);
    for (uint32_t i = 0; i < own->n_columns; i++) {
        Str name = own->columns[i].name;
        const ColumnLineage *fill = &added->columns[i];
        bool plain = fill->fill == FILL_VALUE || fill->fill == FILL_NULL;
        origins[i] = any->origins[i];
        if (own->columns[i].generated) continue;
        if (anybody_has(l, name)) {
            like_the_target(l, name, &origins[i]);
            continue;
        }
        origins[i] = (ColumnOrigin){.kind = ORIGIN_ADDED,
                                    .base = name,
                                    .fill = plain ? fill->fill : FILL_NULL,
                                    .fill_text = plain ? fill->fill_text : (Str){0}};
    }
    v.origins = origins;
    any = version_intern(l->pool, &v);
    arena_done(&arena);
    return any;
}

static bool on_join(Lock *l, const LockEvent *e, LockActions *out, Err *err)
{
    if (lock_find(l, e->member)) return wrong(l, err, "a member joins twice");
    if (!e->schema) return wrong(l, err, "a member joins without a definition");
    const Version *version = joining_version(l, e->schema);
    if (l->begun && !l->n_members && l->target->gone) l->base = version; /* it begins anew with this one */
    LockMember *m = lock_add_member(l, e->member, e->name, e->at_ms);
    m->fresh = e->fresh;
    m->nodes[0].number = e->number;
    m->nodes[0].version = version;
    if (!l->begun) return true;
    if (!l->since_ms) l->since_ms = e->at_ms;
    lock_plan(l, out);
    m = lock_find(l, e->member);
    if (m && m->accepted == LOCK_OUTSIDE) lock_act_member(out, m);
    return true;
}

static bool on_leave(Lock *l, const LockEvent *e, LockActions *out, Err *err)
{
    LockMember *m = lock_find(l, e->member);
    if (!m) return wrong(l, err, "an unknown member leaves");
    if (l->job.phase == JOB_FAILED) lock_job_leave(l);
    lock_member_leaves(l, m, true, out);
    lock_plan(l, out);
    return true;
}

static bool names_match(const TableSchema *a, const TableSchema *b)
{
    if (a->n_columns != b->n_columns) return false;
    for (uint32_t i = 0; i < a->n_columns; i++)
        if (schema_column(b, a->columns[i].name) == NO_COLUMN) return false;
    return true;
}

/* What the route's policy makes of a step that takes rows or the table away. */
static void apply_policy(const Lock *l, LockMember *m, LockNode *n)
{
    LockPolicy p = LOCK_POLICY_APPLY_WHEN_ALL;
    switch (n->kind) {
    case LOCK_STEP_ALTER:
    case LOCK_STEP_CREATE:
    case LOCK_STEP_RENAME: return;
    case LOCK_STEP_TRUNCATE: p = l->opts.on_truncate; break;
    case LOCK_STEP_PARTITION: /* rows that came in are in nobody's events */
        p = n->step->rows == ROWS_UNKNOWN ? LOCK_POLICY_HOLD : l->opts.on_partition;
        break;
    case LOCK_STEP_DROP: p = l->opts.on_drop; break;
    case LOCK_STEP_RENAME_OUT: p = l->opts.on_rename; break;
    case LOCK_STEP_SWAP: p = LOCK_POLICY_HOLD; break;
    }
    bool leaves = n->kind == LOCK_STEP_DROP || n->kind == LOCK_STEP_RENAME_OUT;
    bool can_delete = (l->opts.provenance || l->opts.can_delete) && n->kind != LOCK_STEP_PARTITION;
    if (p == LOCK_POLICY_DELETE_ROWS && !can_delete) p = LOCK_POLICY_HOLD;
    /* its rows live on elsewhere: nothing follows for the target from all having done so */
    if (p == LOCK_POLICY_APPLY_WHEN_ALL && n->kind == LOCK_STEP_RENAME_OUT) p = LOCK_POLICY_HOLD;
    n->hold = p == LOCK_POLICY_HOLD;
    n->skip = p == LOCK_POLICY_IGNORE || p == LOCK_POLICY_DELETE_ROWS;
    if (p == LOCK_POLICY_DELETE_ROWS) n->before = LOCK_WORK_DELETE;
    if (leaves && n->skip) m->leaving = true;
}

static bool is_known_step(const Lock *l, const LockMember *m, const LockEvent *e)
{
    if (l->opts.broken == LOCK_RULE_REPEAT) return false;
    for (uint32_t i = 0; i < m->n_nodes; i++)
        if (m->nodes[i].identity.len && str_eq(m->nodes[i].identity, e->identity)) return true;
    return false;
}

static bool on_step(Lock *l, const LockEvent *e, LockActions *out, Err *err)
{
    LockMember *m = lock_find(l, e->member);
    if (!m || !e->step) return wrong(l, err, "a step of an unknown member, or none");
    if (is_known_step(l, m, e)) return true;
    const LockNode *last = &m->nodes[m->n_nodes - 1];
    bool here = !last->version->gone && e->step->before;
    if (here && !names_match(e->step->before, last->version->shape))
        return wrong(l, err, "a step on another table than its member's last");
    uint64_t number = last->number + 1;
    LockNode *n = lock_add_node(m);
    *n = (LockNode){.number = number,
                    .at_ms = e->at_ms,
                    .identity = version_text(l->pool, e->identity),
                    .point = version_text(l->pool, e->point),
                    .step = version_keep_step(l->pool, e->step),
                    .kind = e->step_kind};
    bool back = n->kind == LOCK_STEP_CREATE || n->kind == LOCK_STEP_RENAME;
    if (back) m->leaving = false; /* it is there again before it has gone */
    apply_policy(l, m, n);
    lock_recompute(l, m, m->n_nodes - 1);
    if (!l->since_ms) l->since_ms = e->at_ms;
    if (n->hold) {
        LockAction *a = lock_act(out, LOCK_ACT_ASK);
        a->member = m->id;
        a->number = number;
        lock_act_words(out, a, STR_FMT ": rows went away by \"" STR_FMT "\"; skip or release it",
                       STR_ARG(m->name), STR_ARG(n->step->statement));
    }
    lock_plan(l, out);
    m = lock_find(l, e->member);
    if (m && m->gate + 1 < (int32_t)m->n_nodes) lock_act_member(out, m);
    return true;
}

/* A number below the history's first is of a step long agreed on. */
static bool on_progress(Lock *l, const LockEvent *e, LockActions *out, Err *err)
{
    LockMember *m = lock_find(l, e->member);
    if (!m) return wrong(l, err, "progress of an unknown member");
    if (e->number > m->nodes[m->n_nodes - 1].number) return wrong(l, err, "progress over a step not read");
    bool changed = false;
    for (uint32_t i = 0; i < m->n_nodes && m->nodes[i].number <= e->number; i++) {
        changed |= !m->nodes[i].passed || (e->kind == LOCK_EV_WRITTEN && !m->nodes[i].written);
        m->nodes[i].passed = true;
        if (e->kind == LOCK_EV_WRITTEN) m->nodes[i].written = true;
    }
    if (changed) lock_plan(l, out);
    return true;
}

/* Reports of a job that is not the present one are late repeats. */
static bool on_job(Lock *l, const LockEvent *e, LockActions *out)
{
    if (e->job != l->job.id || l->job.phase == JOB_NONE) return true;
    if (e->kind == LOCK_EV_DRAINED && l->job.phase == JOB_DRAIN) {
        l->job.phase = JOB_ALTER;
        lock_act_alter(l, out);
    } else if (e->kind == LOCK_EV_ALTERED && l->job.phase == JOB_ALTER) {
        lock_job_done(l, out);
        lock_plan(l, out);
    } else if (e->kind == LOCK_EV_FAILED && l->job.phase == JOB_ALTER) {
        l->job.phase = JOB_FAILED;
        l->job.words = version_text(l->pool, e->words);
        LockAction *a = lock_act(out, LOCK_ACT_ASK);
        a->job = e->job;
        lock_act_words(out, a, STR_FMT, STR_ARG(e->words));
        lock_act(out, LOCK_ACT_OPEN);
    }
    return true;
}

static bool on_worked(Lock *l, const LockEvent *e, LockActions *out, Err *err)
{
    LockMember *m = lock_find(l, e->member);
    if (!m) return wrong(l, err, "work for an unknown member");
    if (m->gate_sent && m->nodes[m->accepted].number == e->number) {
        m->gate_sent = false;
        m->gate_work = LOCK_WORK_NONE;
        m->gate = m->accepted;
        lock_act_member(out, m);
    } else if (m->before_sent && m->nodes[m->accepted + 1].number == e->number) {
        LockNode *n = &m->nodes[m->accepted + 1];
        m->before_sent = false;
        n->deleted = n->before == LOCK_WORK_DELETE;
        n->before = LOCK_WORK_NONE;
    } else {
        return true; /* a late repeat */
    }
    lock_plan(l, out);
    return true;
}

bool lock_step(Lock *l, const LockEvent *e, LockActions *out, Err *err)
{
    if (!l->begun && e->kind != LOCK_EV_JOIN) return wrong(l, err, "an event before the beginning");
    switch (e->kind) {
    case LOCK_EV_JOIN: return on_join(l, e, out, err);
    case LOCK_EV_LEAVE: return on_leave(l, e, out, err);
    case LOCK_EV_STEP: return on_step(l, e, out, err);
    case LOCK_EV_PASSED:
    case LOCK_EV_WRITTEN: return on_progress(l, e, out, err);
    case LOCK_EV_DRAINED:
    case LOCK_EV_ALTERED:
    case LOCK_EV_FAILED: return on_job(l, e, out);
    case LOCK_EV_WORKED: return on_worked(l, e, out, err);
    case LOCK_EV_DECIDE: return lock_decide(l, e, out, err);
    }
    return wrong(l, err, "an unknown event");
}

/* -- questions -- */

bool lock_member(const Lock *l, uint32_t member, uint64_t *last, uint64_t *accepted)
{
    const LockMember *m = lock_find(l, member);
    if (!m) return false;
    *last = m->nodes[m->n_nodes - 1].number;
    *accepted = m->gate == LOCK_OUTSIDE ? 0 : m->nodes[m->gate].number;
    return m->gate != LOCK_OUTSIDE;
}

bool lock_knows(const Lock *l, uint32_t member)
{
    return lock_find(l, member) != NULL;
}

bool lock_is_newcomer(const Lock *l, uint32_t member)
{
    const LockMember *m = lock_find(l, member);
    return m && m->fresh && m->gate == LOCK_OUTSIDE;
}

bool lock_job(const Lock *l, uint64_t *job)
{
    *job = l->job.id;
    return l->job.phase == JOB_DRAIN || l->job.phase == JOB_ALTER;
}

bool lock_clashes(const Lock *l, uint32_t member, uint64_t *number, StrBuf *words)
{
    enum { MOST = 100 };
    if (!l->begun || !l->opts.strict) return false;
    Lock *c = lock_clone(l);
    LockActions ignored = {0};
    for (int i = 0; i < MOST && c->job.phase != JOB_NONE; i++) {
        lock_job_done(c, &ignored);
        lock_plan(c, &ignored);
    }
    const LockMember *m = lock_find(c, member);
    bool clashes = m && m->stopped;
    if (clashes) {
        *number = m->nodes[m->accepted + 1].number;
        lock_clash_words(c, m, words);
    }
    lock_actions_done(&ignored);
    lock_free(c);
    return clashes;
}

bool lock_is_open(const Lock *l)
{
    return l->begun && l->job.phase != JOB_DRAIN && l->job.phase != JOB_ALTER;
}

const Version *lock_target(const Lock *l)
{
    return l->target;
}

bool lock_row_map(const Lock *l, uint32_t member, uint64_t number, Arena *arena, RowMap *out, Err *err)
{
    const LockMember *m = lock_find(l, member);
    if (!m) return wrong(l, err, "a row of an unknown member");
    int32_t at = -1;
    for (int32_t i = 0; i <= m->gate; i++)
        if (m->nodes[i].number <= number) at = i;
    if (m->gate == LOCK_OUTSIDE || number > m->nodes[m->gate].number)
        return wrong(l, err, "a row of a version that is not accepted");
    /* while work after an acceptance runs, the target is one for what is accepted */
    RowsOf rows = lock_rows_of(m, (uint32_t)MAX(at, 0), (uint32_t)m->accepted, arena);
    StrBuf why = {0};
    bool ok = row_map(&rows, l->target, arena, out, &why);
    if (!ok) err_set(err, ERR_LOCK_EVENT, STR_FMT ": " STR_FMT, STR_ARG(l->name), STR_ARG(sb_view(&why)));
    sb_done(&why);
    return ok;
}

static bool is_closed(const Lock *l)
{
    for (uint32_t i = 0; i < l->n_members; i++) {
        const LockMember *m = &l->members[i];
        if (m->n_nodes > 1 || m->accepted != 0 || m->gate != 0) return false;
    }
    return lock_all_agree(l, AGREE_WHOLLY);
}

LockState lock_state(const Lock *l)
{
    if (l->job.phase == JOB_FAILED) return LOCK_OPERATOR;
    if (l->job.phase != JOB_NONE) return LOCK_RELEASING;
    if (is_closed(l)) return LOCK_CLOSED;
    for (uint32_t i = 0; i < l->n_members; i++) {
        const LockMember *m = &l->members[i];
        if (m->stopped) return LOCK_OPERATOR;
        for (uint32_t k = 0; k < m->n_nodes; k++)
            if ((int32_t)k > m->accepted && m->nodes[k].hold) return LOCK_OPERATOR;
    }
    bool same = lock_all_agree(l, AGREE_DATA);
    return same && !lock_all_agree(l, AGREE_ROWS) ? LOCK_DATA_DIFFERS : LOCK_WAITING;
}

const char *lock_state_name(LockState s)
{
    static const char *const names[] = {[LOCK_CLOSED] = "closed",
                                        [LOCK_WAITING] = "waiting",
                                        [LOCK_DATA_DIFFERS] = "data-differs",
                                        [LOCK_RELEASING] = "releasing",
                                        [LOCK_OPERATOR] = "operator"};
    return names[s];
}

static uint64_t mix(uint64_t h, uint64_t v)
{
    h ^= v + 0x9e3779b97f4a7c15u + (h << 6) + (h >> 2);
    h *= 0xff51afd7ed558ccdu;
    return h ^ h >> 33;
}

uint64_t lock_hash(const Lock *l)
{
    uint64_t h = mix(l->target->id, l->base->id);
    h = mix(h, (uint64_t)l->job.phase | (uint64_t)l->job.as_is << 8 | (uint64_t)(l->left != 0) << 9);
    if (l->job.phase != JOB_NONE) h = mix(h, l->job.to->id);
    for (uint32_t i = 0; i < l->n_members; i++) {
        const LockMember *m = &l->members[i];
        h = mix(mix(mix(h, m->id), (uint64_t)(m->accepted + 1)), (uint64_t)(m->gate + 1));
        h = mix(h, (uint64_t)m->fresh << 8 | (uint64_t)m->gate_work << 4 | (uint64_t)m->gate_sent << 3 |
                       (uint64_t)m->before_sent << 2 | (uint64_t)m->stopped << 1 | m->leaving);
        if (l->job.phase != JOB_NONE) h = mix(h, (uint64_t)(l->job.accept[i] + 1));
        for (uint32_t k = 0; k < m->n_nodes; k++) {
            const LockNode *n = &m->nodes[k];
            h = mix(mix(h, n->version->id), n->number);
            h = mix(h, (uint64_t)n->passed | (uint64_t)n->written << 1 | (uint64_t)n->hold << 2 |
                           (uint64_t)n->skip << 3 | (uint64_t)n->before << 4 | (uint64_t)n->after << 8 |
                           (uint64_t)n->replaced << 12 | (uint64_t)n->early << 16 |
                           (uint64_t)n->deleted << 17 | (uint64_t)n->decided << 18);
        }
        for (uint32_t k = 0; k < m->n_lost; k++)
            h = mix(h, str_hash(m->lost[k]));
    }
    return h;
}
