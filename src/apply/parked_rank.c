#include "apply/parked_rank.h"
#include "base/poison.h"

bool parked_same_table(const ParkedRank *a, const ParkedRank *b)
{
    return a->source == b->source && str_eq(a->schema, b->schema) && str_eq(a->table, b->table);
}

int parked_rank_cmp(const ParkedRank *a, const ParkedRank *b)
{
    if (a->pinned != b->pinned) return a->pinned ? -1 : 1;
    if (a->has_order != b->has_order) return a->has_order ? -1 : 1;
    if (a->order != b->order) return a->order < b->order ? -1 : 1;
    if (a->source != b->source) return a->source < b->source ? -1 : 1;
    int by_schema = str_cmp(a->schema, b->schema);
    int by_name = by_schema ? by_schema : str_cmp(a->table, b->table);
    if (by_name) return by_name;
    if (a->renamed != b->renamed) return a->renamed ? 1 : -1;
    return a->decided < b->decided ? -1 : a->decided > b->decided;
}

static bool is_temporal(Str data_type)
{
    return str_eqc(data_type, "date") || str_eqc(data_type, "datetime") || str_eqc(data_type, "timestamp");
}

static bool is_integer(Str data_type)
{
    static const char *const types[] = {"tinyint", "smallint", "mediumint", "int", "bigint"};
    for (size_t i = 0; i < ARRAY_LEN(types); i++)
        if (str_eqc(data_type, types[i])) return true;
    return false;
}

bool parked_can_order(const ColumnDef *c)
{
    return !c->generated && (is_temporal(c->data_type) || is_integer(c->data_type));
}

/* The next digits of *rest, at most n of them, and what separates them from the next. */
static uint64_t digits(Str *rest, size_t n)
{
    uint64_t v = 0;
    while (n > 0 && rest->len && rest->ptr[0] >= '0' && rest->ptr[0] <= '9') {
        v = v * 10 + (uint64_t)(rest->ptr[0] - '0');
        *rest = (Str){rest->ptr + 1, rest->len - 1};
        n--;
    }
    if (rest->len && (rest->ptr[0] < '0' || rest->ptr[0] > '9')) *rest = (Str){rest->ptr + 1, rest->len - 1};
    return v;
}

/* YYYY-MM-DD[ HH:MM:SS[.ffffff]] → a number that counts as the moments do: fields of fixed widths, the
 * largest first. */
static bool temporal_order(Str text, uint64_t *out)
{
    enum { FRACTION = 6 };
    static const struct {
        size_t digits;
        unsigned bits;
    } fields[] = {{4, 14}, {2, 4}, {2, 5}, {2, 5}, {2, 6}, {2, 6}};
    uint64_t v = 0;
    Str rest = text;
    if (text.len < sizeof "0000-00-00" - 1) return false;
    for (size_t i = 0; i < ARRAY_LEN(fields); i++)
        v = v << fields[i].bits | digits(&rest, fields[i].digits);
    size_t given = rest.len;
    if (given > FRACTION) return false;
    uint64_t fraction = digits(&rest, FRACTION);
    for (size_t i = given; given && i < FRACTION; i++)
        fraction *= 10;
    *out = v << 20 | fraction;
    return rest.len == 0;
}

bool parked_order_of(const ColumnDef *c, bool newest_wins, Str text, ParkedRank *rank, Err *err)
{
    int64_t i = 0;
    bool ok = true;
    rank->has_order = text.ptr != NULL;
    rank->order = 0;
    if (!text.ptr) return true;
    if (is_temporal(c->data_type)) {
        ok = temporal_order(text, &rank->order);
    } else if (c->is_unsigned) {
        ok = str_to_u64(text, &rank->order);
    } else {
        ok = str_to_i64(text, &i);
        rank->order = (uint64_t)i ^ (uint64_t)1 << 63;
    }
    if (newest_wins) rank->order = ~rank->order;
    return ok || err_set(err, ERR_CORRUPT, "column " STR_FMT ": not a value of its type", STR_ARG(c->name));
}
