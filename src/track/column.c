#include "track/column.h"
#include "ddl/expr.h"
#include "model/charset.h"
#include "base/poison.h"

/* Width of display is no part of an integer's type, nor year(4) of YEAR; ZEROFILL stays written as it is. */
void column_type_words(const ColumnDef *c, StrBuf *out)
{
    static const char *const plain[] = {"tinyint", "smallint", "mediumint", "int", "bigint", "year"};
    for (size_t i = 0; i < ARRAY_LEN(plain); i++) {
        if (!str_ieq(c->data_type, str_of(plain[i])) || str_find(c->column_type, STR("zerofill")) != SIZE_MAX)
            continue;
        sb_c(out, plain[i]);
        if (c->is_unsigned) sb_c(out, " unsigned");
        return;
    }
    sb_str(out, c->column_type);
}

bool column_same_type(const ColumnDef *a, const ColumnDef *b)
{
    StrBuf x = {0}, y = {0};
    column_type_words(a, &x);
    column_type_words(b, &y);
    bool same = str_ieq(sb_view(&x), sb_view(&y));
    sb_done(&x);
    sb_done(&y);
    return same;
}

/* utf8 and utf8mb3 are one. */
bool column_same_collation(const ColumnDef *a, const ColumnDef *b)
{
    if (!a->collation.len || !b->collation.len) return true; /* the types differ, which says enough */
    const Collation *x = charset_collation_by_name(a->collation),
                    *y = charset_collation_by_name(b->collation);
    return x && y ? x == y : str_ieq(a->collation, b->collation);
}

/* Does the bracket that opens s close at its end? */
static bool is_bracketed(Str s)
{
    size_t depth = 0;
    if (s.len < 2 || s.ptr[0] != '(' || s.ptr[s.len - 1] != ')') return false;
    for (size_t i = 0; i + 1 < s.len; i++) {
        if (s.ptr[i] == '(') depth++;
        if (s.ptr[i] == ')' && --depth == 0) return false;
    }
    return true;
}

/* MySQL puts brackets around what MariaDB does not. */
static Str without_brackets(Str s)
{
    while (is_bracketed(s))
        s = (Str){s.ptr + 1, s.len - 2};
    return s;
}

/* current_timestamp() and CURRENT_TIMESTAMP are one. */
static Str normal_default(const ColumnDef *c)
{
    if (c->default_kind != DEFAULT_EXPR) return c->default_text;
    Str s = without_brackets(c->default_text);
    if (s.len > 2 && memcmp(s.ptr + s.len - 2, "()", 2) == 0) s.len -= 2;
    return s;
}

bool column_same_default(const ColumnDef *a, const ColumnDef *b)
{
    if (a->auto_increment || b->auto_increment) return true;
    if (a->default_kind != b->default_kind) return false;
    Str x = normal_default(a), y = normal_default(b);
    return a->default_kind == DEFAULT_EXPR ? str_ieq(x, y) : str_eq(x, y);
}

bool column_same_generation(const ColumnDef *a, const ColumnDef *b)
{
    return ddl_expr_equal(a->generation_expr, b->generation_expr);
}

bool column_stays_computed(const TableSchema *from, const ColumnDef *a, const TableSchema *to,
                           const ColumnDef *b, const uint32_t *columns)
{
    Arena arena = {0};
    Str expr = a->generation_expr;
    for (int back = 0; back < 2; back++) /* names may be exchanged: each goes by one of its own */
        for (uint32_t i = 0; i < to->n_columns; i++) {
            if (columns[i] == UINT32_MAX) continue;
            Str was = from->columns[columns[i]].name, is = to->columns[i].name;
            Str between = arena_printf(&arena, "sm_renamed_%u", i);
            if (!str_ieq(was, is))
                expr = ddl_expr_rename(expr, back ? between : was, back ? is : between, &arena);
        }
    bool same = a->generated && b->generated && ddl_expr_equal(expr, b->generation_expr);
    arena_done(&arena);
    return same;
}

bool column_same(const ColumnDef *a, const ColumnDef *b)
{
    if (!column_same_type(a, b) || !a->collation.len != !b->collation.len) return false;
    if (!column_same_collation(a, b) || a->not_null != b->not_null) return false;
    if (a->generated != b->generated || a->on_update_now != b->on_update_now) return false;
    return a->generated ? column_same_generation(a, b) : column_same_default(a, b);
}
