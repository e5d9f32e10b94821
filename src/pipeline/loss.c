#include "pipeline/loss.h"
#include "base/poison.h"

static bool by_provenance(const Target *t, const MemberKeys *a, const MemberKeys *b)
{
    bool differ = false;
    if (a->n_constants != b->n_constants) return false;
    for (uint32_t i = 0; i < a->n_constants; i++) {
        Str column = a->constants[i].rule->column;
        if (!str_ieq(column, b->constants[i].rule->column)) return false;
        differ |= !policy_same_value(t, column, a->constants[i].value, b->constants[i].value);
    }
    return differ;
}

static bool has_ids_of_its_own(const MemberKeys *k)
{
    return (k->strategy == KEY_STRATEGY_PARTITION_ID || k->strategy == KEY_STRATEGY_STRIDE) &&
           k->own != NO_COLUMN;
}

static bool told_apart(const Target *t, const MemberKeys *a, const MemberKeys *b)
{
    return by_provenance(t, a, b) || (has_ids_of_its_own(a) && has_ids_of_its_own(b) && !keys_clash(a, b));
}

static LossPolicies losses_of(const MemberKeys *k)
{
    return k->rule ? k->rule->loss : (LossPolicies){0};
}

static void put_member(StrBuf *out, const Task *task, const Member *m)
{
    sb_printf(out, "source " STR_FMT " table ", STR_ARG(task->sources[m->source].id));
    table_name_plain(m->name, out);
}

static bool clash(const Task *task, const Target *t, const PolicyMember *a, const PolicyMember *b,
                  const char *why, Err *err)
{
    CLEANUP(sb_done) StrBuf text = {0};
    put_member(&text, task, a->member);
    sb_c(&text, " and ");
    put_member(&text, task, b->member);
    return err_set(err, ERR_KEY_STRATEGY, "target " STR_FMT ": %s: %s", STR_ARG(t->sql_name), text.ptr, why);
}

static bool same_policies(const LossPolicies *a, const LossPolicies *b)
{
    return a->on_drop == b->on_drop && a->on_truncate == b->on_truncate &&
           a->on_drop_partition == b->on_drop_partition && a->on_rename_out == b->on_rename_out;
}

static bool deletes(const LossPolicies *p)
{
    return p->on_drop == LOSS_DELETE_ROWS || p->on_truncate == LOSS_DELETE_ROWS ||
           p->on_rename_out == LOSS_DELETE_ROWS;
}

bool loss_check(const Task *task, const Target *t, const PolicyMember *members, size_t n, LossAnswer *out,
                Err *err)
{
    const PolicyMember *first = NULL;
    bool parks = false;
    *out = (LossAnswer){.tells_rows = n > 0};
    for (size_t i = 0; i < n; i++) {
        const PolicyMember *m = &members[i];
        if (!m->keys) continue;
        LossPolicies own = losses_of(m->keys);
        parks |= m->keys->rule && m->keys->rule->key.on_conflict != CONFLICT_STOP;
        if (!first) {
            first = m;
            out->policies = own;
            out->tells_rows = m->keys->n_constants || has_ids_of_its_own(m->keys);
        }
        if (!same_policies(&own, &out->policies))
            return clash(task, t, first, m,
                         "their rules differ in on-drop, on-truncate, on-drop-partition or on-rename-out",
                         err);
        for (size_t k = 0; k < i; k++) {
            if (!members[k].keys || told_apart(t, members[k].keys, m->keys)) continue;
            out->tells_rows = false;
            if (deletes(&out->policies))
                return clash(
                    task, t, &members[k], m,
                    "delete-shard-rows: neither their provenance columns nor their ids tell their rows apart",
                    err);
        }
    }
    out->can_refill = out->tells_rows && !parks;
    return true;
}

/* -- the condition -- */

static bool no_way(const Target *t, Str column, const char *why, Err *err)
{
    return err_set_remedy(
        err, ERR_KEY_STRATEGY, "delete the shard's rows by hand, then decide with the locks command",
        "target " STR_FMT " column `" STR_FMT "`: %s", STR_ARG(t->sql_name), STR_ARG(column), why);
}

/* Texts are compared by code points, whatever the column's collation takes for equal; the plain comparison
 * beside it lets the server use an index. */
static bool equal_to(const Target *t, const ColumnDef *c, Str value, StrBuf *sql, Err *err)
{
    int64_t number;
    sb_ident(sql, c->name);
    sb_c(sql, " = ");
    if (keys_is_integer(c->data_type)) {
        if (!str_to_i64(value, &number)) return no_way(t, c->name, "its provenance is no number", err);
        sb_i64(sql, number);
        return true;
    }
    if (str_eqc(c->data_type, "binary") || str_eqc(c->data_type, "varbinary")) {
        value = str_eqc(c->data_type, "binary") ? policy_trimmed(value) : value;
        sb_c(sql, "X'");
        sb_hex(sql, value.ptr, value.len);
        for (uint64_t i = value.len; str_eqc(c->data_type, "binary") && i < c->char_length; i++)
            sb_c(sql, "00");
        sb_ch(sql, '\'');
        return true;
    }
    if (!c->charset.len)
        return no_way(t, c->name, "its type says nothing exactly of whose rows are whose", err);
    sb_quoted(sql, value);
    sb_c(sql, " AND CONVERT(");
    sb_ident(sql, c->name);
    sb_c(sql, " USING utf8mb4) COLLATE utf8mb4_bin = ");
    sb_quoted(sql, value);
    return true;
}

static bool ids_of(const Target *t, const KeyColumn *k, StrBuf *sql, Err *err)
{
    const KeyRewrite *r = &k->rewrite;
    uint32_t at = schema_column(t->schema, k->column);
    uint64_t low, high;
    if (at == NO_COLUMN || !keys_is_integer(t->schema->columns[at].data_type))
        return no_way(t, k->column, "the ids of its shards are not there", err);
    if (r->low < 0 || __builtin_mul_overflow(r->high, r->multiply, &high) ||
        __builtin_add_overflow(high, r->add, &high))
        return no_way(t, k->column, "the shard's share of ids has no bounds", err);
    low = (uint64_t)r->low * r->multiply + r->add;
    sb_ident(sql, k->column);
    sb_printf(sql, " BETWEEN %llu AND %llu", (unsigned long long)low, (unsigned long long)high);
    if (r->multiply <= 1) return true;
    sb_c(sql, " AND ");
    sb_ident(sql, k->column);
    sb_printf(sql, " %% %llu = %llu", (unsigned long long)r->multiply,
              (unsigned long long)(r->add % r->multiply));
    return true;
}

bool loss_rows_of(const Target *t, const MemberKeys *k, StrBuf *sql, Err *err)
{
    size_t start = sql->len;
    for (uint32_t i = 0; i < k->n_constants; i++) {
        Str column = k->constants[i].rule->column;
        uint32_t at = schema_column(t->schema, column);
        if (at == NO_COLUMN) return no_way(t, column, "the provenance column is not there", err);
        if (sql->len > start) sb_c(sql, " AND ");
        if (!equal_to(t, &t->schema->columns[at], k->constants[i].value, sql, err)) return false;
    }
    if (has_ids_of_its_own(k)) {
        if (sql->len > start) sb_c(sql, " AND ");
        if (!ids_of(t, &k->columns[k->own], sql, err)) return false;
    }
    return sql->len > start || no_way(t, STR("?"), "nothing tells the rows of shards apart", err);
}
