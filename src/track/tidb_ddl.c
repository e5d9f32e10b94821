#include "ddl/expr.h"
#include "model/charset.h"
#include "track/column.h"
#include "track/family.h"
#include "track/schema_emit_impl.h"
#include "base/poison.h"

typedef enum Refusal {
#define X(name, what, remedy, source) REFUSE_##name,
#include "track/tidb_ddl.def"
#undef X
} Refusal;

static const struct {
    const char *what, *remedy, *source;
} refusals[] = {
#define X(name, what, remedy, source) {what, remedy, source},
#include "track/tidb_ddl.def"
#undef X
};

static bool refuse(const TableSchema *s, Str column, Refusal r, Err *err)
{
    return err_set_remedy(err, ERR_TRACK_TARGET, refusals[r].remedy,
                          STR_FMT "." STR_FMT ": `" STR_FMT "`: %s (%s)", STR_ARG(s->name.schema),
                          STR_ARG(s->name.table), STR_ARG(column), refusals[r].what, refusals[r].source);
}

static bool in_key(const TableSchema *s, uint32_t column, bool primary_only)
{
    for (uint32_t i = 0; i < s->n_keys; i++) {
        if (primary_only && !s->keys[i].primary) continue;
        for (uint32_t p = 0; p < s->keys[i].n_parts; p++)
            if (s->keys[i].parts[p].column == column) return true;
    }
    return false;
}

bool tidb_may_add(const TableSchema *s, const ColumnDef *c, Err *err)
{
    return !(c->generated && c->generated_stored) || refuse(s, c->name, REFUSE_ADD_STORED, err);
}

bool tidb_may_drop(const TableSchema *s, uint32_t column, Err *err)
{
    return !in_key(s, column, true) || refuse(s, s->columns[column].name, REFUSE_DROP_KEY_COLUMN, err);
}

bool tidb_may_change_primary(const TableSchema *s, Err *err)
{
    return refuse(s, STR("PRIMARY"), REFUSE_PRIMARY_KEY, err);
}

bool tidb_may_partition(const Partitioning *by, Err *err)
{
    static const char *const kinds[] = {"HASH",         "RANGE", "RANGE COLUMNS", "LIST",
                                        "LIST COLUMNS", "KEY",   "LINEAR HASH",   "LINEAR KEY"};
    TableSchema none = {0};
    if (by->sub_method.len) return refuse(&none, by->sub_method, REFUSE_SUBPARTITION, err);
    for (size_t i = 0; i < ARRAY_LEN(kinds); i++)
        if (str_ieq(by->method, str_of(kinds[i]))) return true;
    return refuse(&none, by->method, REFUSE_PARTITION_TYPE, err);
}

/* -- MODIFY -- */

static bool is_clock(TypeFamily f)
{
    return f == FAMILY_DATE || f == FAMILY_TIME || f == FAMILY_DATETIME || f == FAMILY_TIMESTAMP;
}

/* Types that the documents say cannot become each other. */
static bool types_may(const ColumnDef *a, const ColumnDef *b)
{
    TypeFamily from = family_of(a), to = family_of(b);
    bool list = from == FAMILY_ENUM || from == FAMILY_SET;
    bool number = from == FAMILY_DECIMAL || from == FAMILY_FLOAT || from == FAMILY_BIT;
    if (from == to) return true;
    if (from == FAMILY_UNKNOWN || to == FAMILY_UNKNOWN) return false;
    if (to == FAMILY_BIT)
        return !(is_clock(from) || from == FAMILY_YEAR || from == FAMILY_TEXT || from == FAMILY_BINARY ||
                 from == FAMILY_JSON);
    if (to == FAMILY_ENUM || to == FAMILY_SET)
        return !(is_clock(from) || from == FAMILY_YEAR || number || from == FAMILY_JSON);
    if (to == FAMILY_DATE || to == FAMILY_DATETIME || to == FAMILY_TIMESTAMP) return !(list || number);
    if (to == FAMILY_TIME) return !(list || from == FAMILY_BIT);
    return true;
}

/* Longer of the same type, wider integers of the same sign, ENUM and SET grown at the end: metadata alone. */
static bool only_grows(const ColumnDef *a, const ColumnDef *b)
{
    CLEANUP(sb_done) StrBuf why = {0};
    if (family_of(a) != family_of(b)) return false;
    switch (family_of(a)) {
    case FAMILY_INT: return a->is_unsigned == b->is_unsigned && family_fits(a, b, &why);
    case FAMILY_TEXT:
    case FAMILY_BINARY: {
        bool fixed = str_ieq(a->data_type, STR("char")) || str_ieq(b->data_type, STR("char")) ||
                     str_ieq(a->data_type, STR("binary")) || str_ieq(b->data_type, STR("binary"));
        bool same = str_ieq(a->data_type, b->data_type);
        return (!fixed || (same && str_ieq(a->data_type, STR("char")))) && b->char_length >= a->char_length;
    }
    case FAMILY_ENUM:
    case FAMILY_SET:
        if (b->n_members < a->n_members) return false;
        for (uint32_t i = 0; i < a->n_members; i++)
            if (!str_eq(a->members[i], b->members[i])) return false;
        return true;
    default: return column_same_type(a, b);
    }
}

static bool charset_may(Str a, Str b)
{
    if (!a.len || !b.len) return true;
    const Collation *from_collation = charset_collation_by_name(a),
                    *to_collation = charset_collation_by_name(b);
    if (!from_collation || !to_collation) return false;
    const Charset *x = from_collation->charset, *y = to_collation->charset;
    if (x == y) return true;
    bool from = str_eqc(x->name, "utf8mb3") || str_eqc(x->name, "latin1") || str_eqc(x->name, "ascii");
    return from && str_eqc(y->name, "utf8mb4");
}

/* Collations that order alike. */
static bool same_order(Str a, Str b)
{
    static const char *const tails[] = {"_general_ci", "_bin", "_unicode_ci"};
    if (str_ieq(a, b)) return true;
    for (size_t i = 0; i < ARRAY_LEN(tails); i++) {
        size_t n = strlen(tails[i]);
        if (a.len > n && b.len > n && memcmp(a.ptr + a.len - n, tails[i], n) == 0 &&
            memcmp(b.ptr + b.len - n, tails[i], n) == 0)
            return str_find(a, STR("0900")) == SIZE_MAX && str_find(b, STR("0900")) == SIZE_MAX;
    }
    return false;
}

static bool generated_uses(const TableSchema *s, Str column)
{
    for (uint32_t i = 0; i < s->n_columns; i++)
        if (s->columns[i].generated && ddl_expr_uses(s->columns[i].generation_expr, column)) return true;
    return false;
}

bool tidb_may_rename(const TableSchema *s, uint32_t column, Err *err)
{
    Str name = s->columns[column].name;
    bool parts = ddl_expr_uses(s->partitioning.expr, name);
    return !(parts || generated_uses(s, name)) || refuse(s, name, REFUSE_RENAME_USED, err);
}

bool tidb_may_collate(const TableSchema *s, Str collation, Err *err)
{
    return charset_may(s->collation, collation) || refuse(s, s->name.table, REFUSE_TABLE_CHARSET, err);
}

bool tidb_may_modify(const TableSchema *s, uint32_t column, const ColumnDef *to, Err *err)
{
    const ColumnDef *from = &s->columns[column];
    bool stored = from->generated_stored || to->generated_stored;
    if (from->generated != to->generated ||
        (from->generated && from->generated_stored != to->generated_stored) ||
        (from->generated && stored && !column_same_generation(from, to)))
        return refuse(s, from->name, REFUSE_CHANGE_GENERATED, err);
    if (to->auto_increment && !from->auto_increment) return refuse(s, from->name, REFUSE_AUTO_INCREMENT, err);
    if (!types_may(from, to)) return refuse(s, from->name, REFUSE_MODIFY_TYPE, err);
    if (!charset_may(from->collation, to->collation))
        return refuse(s, from->name, REFUSE_MODIFY_CHARSET, err);
    if (in_key(s, column, false) && from->collation.len && to->collation.len &&
        !same_order(from->collation, to->collation))
        return refuse(s, from->name, REFUSE_MODIFY_COLLATION, err);
    if (only_grows(from, to)) return true;
    if (in_key(s, column, true)) return refuse(s, from->name, REFUSE_MODIFY_PRIMARY, err);
    if (s->partitioning.method.len) return refuse(s, from->name, REFUSE_MODIFY_PARTITIONED, err);
    if (from->generated || generated_uses(s, from->name))
        return refuse(s, from->name, REFUSE_MODIFY_GENERATED, err);
    return true;
}
