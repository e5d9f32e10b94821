#include <jansson.h>
#include <stdlib.h>
#include "lock/lock_impl.h"
#include "track/json_text.h"
#include "track/schema_json.h"
#include "base/poison.h"

static const LockNode *last_node(const LockMember *m)
{
    return &m->nodes[m->n_nodes - 1];
}

/* Whom the others are compared with: the first member that is held, else the first that ran something. */
static const LockMember *leader(const Lock *l)
{
    const LockMember *moved = NULL;
    for (uint32_t i = 0; i < l->n_members; i++) {
        const LockMember *m = &l->members[i];
        if (m->gate + 1 < (int32_t)m->n_nodes) return m;
        if (!moved && m->n_nodes > 1) moved = m;
    }
    return moved ? moved : &l->members[0];
}

static const char *member_state(const Lock *l, const LockMember *m, const LockMember *lead)
{
    if (m->gate + 1 < (int32_t)m->n_nodes) return "held";
    VersionView own = lock_view(l, m, m->n_nodes - 1), other = lock_view(l, lead, lead->n_nodes - 1);
    return m == lead || version_agreement(&own, &other, NULL) == AGREE_WHOLLY ? "agreed" : "behind";
}

static void put_difference(const Lock *l, const LockMember *m, const LockMember *lead, json_t *o)
{
    StrBuf words = {0};
    const Version *other = m == lead ? l->target : last_node(lead)->version;
    char *name = m == lead ? str_dup(STR("the target")) : str_dup(lead->name);
    schema_diff(last_node(m)->version->schema, "it", other->schema, name, &words);
    if (!words.len && m != lead) {
        VersionView a = lock_view(l, m, m->n_nodes - 1), b = lock_view(l, lead, lead->n_nodes - 1);
        version_agreement(&a, &b, &words);
    }
    json_object_set_new(o, "difference", json_of_text(str_trim(sb_view(&words))));
    free(name);
    sb_done(&words);
}

/* All agree, and all rows before what is held are written: nothing else is to come, and the target still
 * cannot become what they agree on. A shard converted values, and others count as having done so, by a
 * decision. */
static bool is_stuck(const Lock *l)
{
    bool held = false;
    if (lock_state(l) != LOCK_WAITING || !lock_all_agree(l, AGREE_ROWS)) return false;
    for (uint32_t i = 0; i < l->n_members; i++) {
        const LockMember *m = &l->members[i];
        if (m->gate != m->accepted) return false;
        if (m->accepted + 1 == (int32_t)m->n_nodes) continue;
        const LockNode *next = &m->nodes[m->accepted + 1];
        if (!next->written || !last_node(m)->passed || next->before) return false;
        held = true;
    }
    return held;
}

/* What keeps the member's next step from being followed. */
static void put_waits(const Lock *l, const LockMember *m, json_t *o)
{
    json_t *waits = json_array();
    const LockNode *next = m->accepted + 1 < (int32_t)m->n_nodes ? &m->nodes[m->accepted + 1] : NULL;
    if (m->gate_work)
        json_array_append_new(waits,
                              json_string(m->gate_work == LOCK_WORK_RECOPY
                                              ? "its rows in the target being deleted, to be copied again"
                                              : "rows of the target that are being set anew"));
    if (next && next->hold)
        json_array_append_new(waits, json_string("the operator: skip or release its step"));
    if (next && next->before)
        json_array_append_new(waits, json_string("its rows in the target being deleted"));
    if (next && !next->written && !next->early)
        json_array_append_new(waits, json_string("its own rows before the step"));
    for (uint32_t i = 0; next && i < l->n_members; i++) {
        const LockMember *other = &l->members[i];
        VersionView a = lock_view(l, m, m->n_nodes - 1), b = lock_view(l, other, other->n_nodes - 1);
        if (other != m && version_agreement(&a, &b, NULL) < AGREE_ROWS)
            json_array_append_new(waits, json_of_text(other->name));
    }
    if (next && is_stuck(l))
        json_array_append_new(waits,
                              json_string("a decision: the target's rows cannot be converted as those of "
                                          "one shard were, for others were accepted for it; copy that one's "
                                          "table again (recopy), or detach one of them"));
    json_object_set_new(o, "waits_for", waits);
}

static json_t *member_value(const Lock *l, const LockMember *m, const LockMember *lead)
{
    json_t *o = json_object(), *ddl = json_array();
    json_object_set_new(o, "id", json_integer(m->id));
    json_object_set_new(o, "name", json_of_text(m->name));
    json_object_set_new(o, "state", json_string(member_state(l, m, lead)));
    put_difference(l, m, lead, o);
    json_object_set_new(o, "step", json_integer((json_int_t)last_node(m)->number));
    json_object_set_new(o, "accepted",
                        json_integer(m->gate == LOCK_OUTSIDE ? -1 : (json_int_t)m->nodes[m->gate].number));
    json_object_set_new(o, "point", json_of_text(last_node(m)->point));
    json_object_set_new(o, "since_ms", json_integer(m->nodes[m->n_nodes > 1 ? 1 : 0].at_ms));
    for (uint32_t i = 1; i < m->n_nodes; i++)
        if (m->nodes[i].step) json_array_append_new(ddl, json_of_text(m->nodes[i].step->statement));
    json_object_set_new(o, "ddl", ddl);
    put_waits(l, m, o);
    return o;
}

static bool any_asks(const Lock *l)
{
    for (uint32_t i = 0; i < l->n_members; i++)
        if (lock_member_asks(&l->members[i])) return true;
    return false;
}

static void put_choices(const Lock *l, json_t *o)
{
    json_t *choices = json_array();
    LockState s = lock_state(l);
    if (s == LOCK_WAITING || s == LOCK_OPERATOR || s == LOCK_DATA_DIFFERS) {
        json_array_append_new(choices, json_string("release"));
        json_array_append_new(choices, json_string("skip"));
        json_array_append_new(choices, json_string("replace"));
        json_array_append_new(choices, json_string("detach"));
    }
    if (s == LOCK_DATA_DIFFERS) json_array_append_new(choices, json_string("accept"));
    if (s == LOCK_DATA_DIFFERS && l->opts.provenance) json_array_append_new(choices, json_string("refill"));
    if ((s == LOCK_DATA_DIFFERS || any_asks(l) || is_stuck(l)) && l->opts.provenance && l->opts.can_recopy)
        json_array_append_new(choices, json_string("recopy"));
    if (l->job.phase == JOB_FAILED) {
        json_array_append_new(choices, json_string("retry"));
        json_array_append_new(choices, json_string("give-up"));
    }
    json_object_set_new(o, "choices", choices);
}

void lock_explain(const Lock *l, StrBuf *json)
{
    json_t *o = json_object(), *members = json_array(), *ddl = json_array();
    json_object_set_new(o, "target", json_of_text(l->name));
    json_object_set_new(o, "state", json_string(lock_state_name(lock_state(l))));
    if (l->since_ms) json_object_set_new(o, "since_ms", json_integer(l->since_ms));
    const LockMember *lead = l->n_members ? leader(l) : NULL;
    for (uint32_t i = 1; lead && i < lead->n_nodes; i++)
        if (lead->nodes[i].step) json_array_append_new(ddl, json_of_text(lead->nodes[i].step->statement));
    json_object_set_new(o, "ddl", ddl);
    for (uint32_t i = 0; i < l->n_members; i++)
        json_array_append_new(members, member_value(l, &l->members[i], lead));
    json_object_set_new(o, "members", members);
    if (l->job.phase == JOB_FAILED) json_object_set_new(o, "failed", json_of_text(l->job.words));
    put_choices(l, o);
    char *text = json_dumps(o, JSON_COMPACT);
    sb_c(json, text);
    free(text);
    json_decref(o);
}

/* -- preview -- */

static void alter_words(const LockAction *a, StrBuf *words)
{
    const TableSchema *from = a->alter.from->schema, *to = a->alter.to->schema;
    sb_c(words, a->alter.as_is
                    ? "take the target as it is, if it then holds the rows of its shard tables; its "
                      "statement was to change it"
                    : "change the target");
    StrBuf diff = {0};
    schema_diff(from, "now", to, "then", &diff);
    for (Str rest = sb_view(&diff); rest.len;) {
        Str line = str_split(&rest, '\n');
        if (line.len) sb_printf(words, "; " STR_FMT, STR_ARG(line));
    }
    for (uint32_t i = 0; i < to->n_columns; i++) {
        uint32_t was = a->alter.columns[i];
        if (was != NO_COLUMN && !str_ieq(from->columns[was].name, to->columns[i].name))
            sb_printf(words, "; `" STR_FMT "` is renamed to `" STR_FMT "`", STR_ARG(from->columns[was].name),
                      STR_ARG(to->columns[i].name));
        uint32_t same = schema_column(from, to->columns[i].name);
        if (was == NO_COLUMN && same != NO_COLUMN)
            sb_printf(words, "; `" STR_FMT "` is dropped and added anew: its values are lost",
                      STR_ARG(to->columns[i].name));
    }
    if (a->alter.rows.len) sb_printf(words, "; its rows: " STR_FMT, STR_ARG(a->alter.rows));
    if (a->alter.drop) sb_c(words, "; DROP TABLE");
    sb_done(&diff);
}

static Str name_of(const Lock *l, uint32_t member)
{
    const LockMember *m = lock_find(l, member);
    return m ? m->name : STR("?");
}

static void action_words(const Lock *l, const LockAction *a, StrBuf *words)
{
    static const char *const works[] = {[LOCK_WORK_NONE] = "nothing",
                                        [LOCK_WORK_DELETE] = "delete its rows from the target",
                                        [LOCK_WORK_REFILL] = "set its rows in the target to its own fills",
                                        [LOCK_WORK_RECOPY] =
                                            "delete its rows from the target and copy it again"};
    Str name = name_of(l, a->member);
    unsigned long long number = a->number;
    switch (a->kind) {
    case LOCK_ACT_HOLD:
        sb_printf(words, STR_FMT ": hold rows from step %llu on", STR_ARG(name), number);
        break;
    case LOCK_ACT_ACCEPT:
        sb_printf(words, STR_FMT ": write rows up to step %llu", STR_ARG(name), number);
        break;
    case LOCK_ACT_SHUT: sb_c(words, "drain the target"); break;
    case LOCK_ACT_ALTER: alter_words(a, words); break;
    case LOCK_ACT_OPEN: sb_c(words, "write into the target again"); break;
    case LOCK_ACT_WORK: sb_printf(words, STR_FMT ": %s", STR_ARG(name), works[a->work]); break;
    case LOCK_ACT_STOP: sb_printf(words, STR_FMT ": stop before step %llu", STR_ARG(name), number); break;
    case LOCK_ACT_GONE:
        sb_printf(words, STR_FMT ": leaves; rows that it still holds are given up", STR_ARG(name));
        break;
    case LOCK_ACT_ASK:
    case LOCK_ACT_NOTE: sb_str(words, a->words); break;
    case LOCK_ACT_CLOSED: sb_c(words, "all agree: the lock is gone"); break;
    }
    sb_ch(words, '\n');
}

static const LockAction *find_action(const LockActions *a, LockActionKind kind)
{
    for (uint32_t i = 0; i < a->n; i++)
        if (a->list[i].kind == kind) return &a->list[i];
    return NULL;
}

/* As if drains, changes and work went well at once, until nothing follows any more. */
bool lock_preview(const Lock *l, const LockEvent *e, StrBuf *words, Err *err)
{
    enum { MOST = 100 };
    Lock *c = lock_clone(l);
    LockEvent next = *e;
    bool ok = true;
    for (int i = 0; ok && i < MOST; i++) {
        LockActions acts = {0};
        ok = lock_step(c, &next, &acts, err);
        for (uint32_t k = 0; k < acts.n; k++)
            action_words(l, &acts.list[k], words);
        const LockAction *shut = find_action(&acts, LOCK_ACT_SHUT),
                         *alter = find_action(&acts, LOCK_ACT_ALTER);
        const LockAction *work = find_action(&acts, LOCK_ACT_WORK);
        if (shut)
            next = (LockEvent){.kind = LOCK_EV_DRAINED, .job = shut->job};
        else if (alter)
            next = (LockEvent){.kind = LOCK_EV_ALTERED, .job = alter->job};
        else if (work)
            next = (LockEvent){.kind = LOCK_EV_WORKED, .member = work->member, .number = work->number};
        bool more = shut || alter || work;
        lock_actions_done(&acts);
        if (!more) break;
    }
    lock_free(c);
    return ok;
}
