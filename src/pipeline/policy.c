#include "pipeline/policy.h"
#include "base/poison.h"

Str policy_trimmed(Str s)
{
    while (s.len && (s.ptr[s.len - 1] == ' ' || s.ptr[s.len - 1] == 0))
        s.len--; /* CHAR and BINARY are padded */
    return s;
}

bool policy_same_value(const Target *t, Str column, Str a, Str b)
{
    uint32_t at = schema_column(t->schema, column);
    int64_t x, y;
    if (at != UINT32_MAX && keys_is_integer(t->schema->columns[at].data_type) && str_to_i64(a, &x) &&
        str_to_i64(b, &y))
        return x == y;
    return str_eq(policy_trimmed(a), policy_trimmed(b));
}

static bool is_ascii(Str s)
{
    for (size_t i = 0; i < s.len; i++)
        if ((unsigned char)s.ptr[i] > 0x7f) return false;
    return true;
}

/* May the server take two texts for one value of this column? Statements find rows by its equality. Unsure:
 * true. */
static bool may_be_one(const Target *t, Str column, Str a, Str b)
{
    uint32_t at = schema_column(t->schema, column);
    Str collation = at == UINT32_MAX ? (Str){0} : t->schema->columns[at].collation;
    if (policy_same_value(t, column, a, b)) return true;
    if (!collation.len || str_eqc(collation, "binary") ||
        (collation.len > 4 && memcmp(collation.ptr + collation.len - 4, "_bin", 4) == 0))
        return false;
    return !is_ascii(a) || !is_ascii(b) || str_ieq(policy_trimmed(a), policy_trimmed(b));
}

static bool same_provenance(const Target *t, const MemberKeys *a, const MemberKeys *b)
{
    for (uint32_t i = 0; i < a->n_constants; i++)
        if (!may_be_one(t, a->constants[i].rule->column, a->constants[i].value, b->constants[i].value))
            return false;
    return true;
}

static bool same_columns(const MemberKeys *a, const MemberKeys *b)
{
    if (a->n_constants != b->n_constants) return false;
    for (uint32_t i = 0; i < a->n_constants; i++)
        if (!str_ieq(a->constants[i].rule->column, b->constants[i].rule->column)) return false;
    return true;
}

static ConflictPolicy policy_of(const MemberKeys *k)
{
    return k->rule ? k->rule->key.on_conflict : CONFLICT_STOP;
}

static void put_member(StrBuf *out, const Task *task, const Member *m)
{
    sb_printf(out, "source " STR_FMT " table ", STR_ARG(task->sources[m->source].id));
    table_name_plain(m->name, out);
}

static bool clash(const Task *task, const Target *t, const Member *a, const Member *b, const char *why,
                  Err *err)
{
    CLEANUP(sb_done) StrBuf text = {0};
    put_member(&text, task, a);
    sb_c(&text, " and ");
    put_member(&text, task, b);
    return err_set(err, ERR_KEY_STRATEGY, "target " STR_FMT ": %s: %s", STR_ARG(t->sql_name), text.ptr, why);
}

/* The policy for the whole task holds for rules; a table that no rule routes has no provenance. */
static bool covered_by_task(const Task *task, const Target *t, const PolicyMember *members, size_t n,
                            Err *err)
{
    if (task->on_collision == CONFLICT_STOP || n < 2) return true;
    for (size_t i = 0; i < n; i++)
        if (members[i].keys && !members[i].keys->rule)
            return clash(task, t, members[i].member, members[i ? 0 : 1].member,
                         "the task's on-collision asks for provenance, and no rule gives it to the first "
                         "table: route it by a rule",
                         err);
    return true;
}

static Str column_of(const MemberKeys *k)
{
    return k->rule ? k->rule->key.conflict_column : (Str){0};
}

bool policy_check(const Task *task, const Target *t, const PolicyMember *members, size_t n, PolicyAnswer *out,
                  Err *err)
{
    const PolicyMember *first = NULL;
    *out = (PolicyAnswer){0};
    if (!covered_by_task(task, t, members, n, err)) return false;
    for (size_t i = 0; i < n; i++) {
        const PolicyMember *m = &members[i];
        if (!m->keys) continue;
        if (!first) {
            first = m;
            out->policy = policy_of(m->keys);
            out->column = column_of(m->keys);
            continue;
        }
        if (policy_of(m->keys) != policy_of(first->keys))
            return clash(task, t, first->member, m->member, "their rules differ in on-collision", err);
        if (!str_ieq(column_of(m->keys), out->column))
            return clash(task, t, first->member, m->member, "their rules differ in collision-column", err);
        if (out->policy == CONFLICT_STOP) continue;
        if (!same_columns(first->keys, m->keys))
            return clash(task, t, first->member, m->member, "their provenance columns differ", err);
        for (size_t j = 0; j < i; j++)
            if (members[j].keys && same_provenance(t, members[j].keys, m->keys))
                return clash(
                    task, t, members[j].member, m->member,
                    "on-collision: their provenance columns have the same values, by the column's collation",
                    err);
    }
    return true;
}

const Member *policy_owner(const Target *t, const PolicyMember *members, size_t n, const Str *values)
{
    for (size_t i = 0; i < n; i++) {
        const MemberKeys *k = members[i].keys;
        bool same = k != NULL;
        for (uint32_t c = 0; same && c < k->n_constants; c++)
            same = values[c].ptr &&
                   policy_same_value(t, k->constants[c].rule->column, k->constants[c].value, values[c]);
        if (same) return members[i].member;
    }
    return NULL;
}

bool policy_rewrites(const PolicyMember *members, size_t n, Str column)
{
    for (size_t i = 0; i < n; i++)
        for (uint32_t k = 0; members[i].keys && k < members[i].keys->n_columns; k++)
            if (str_ieq(members[i].keys->columns[k].column, column)) return true;
    return false;
}

uint32_t policy_source_rank(const Task *task, Str source_id)
{
    for (uint32_t i = 0; i < task->n_sources; i++)
        if (str_eq(task->sources[i].id, source_id)) return i;
    return UINT32_MAX;
}

Str policy_source_id(const Task *task, uint32_t source)
{
    return task->sources[source].id;
}
