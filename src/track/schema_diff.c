#include "track/column.h"
#include "track/schema_json.h"
#include "base/poison.h"

typedef struct Side {
    const TableSchema *schema;
    const char *name;
} Side;

typedef struct Diff {
    Side a, b;
    StrBuf *out;
    size_t lines;
} Diff;

static void default_words(const ColumnDef *c, StrBuf *out)
{
    switch (c->default_kind) {
    case DEFAULT_NONE: sb_c(out, "no default"); break;
    case DEFAULT_NULL: sb_c(out, "DEFAULT NULL"); break;
    case DEFAULT_LITERAL:
        sb_c(out, "DEFAULT ");
        sb_quoted(out, c->default_text);
        break;
    case DEFAULT_EXPR: sb_printf(out, "DEFAULT (" STR_FMT ")", STR_ARG(c->default_text)); break;
    }
}

static void line_begin(Diff *d, const ColumnDef *c)
{
    sb_c(d->out, "column ");
    sb_ident(d->out, c->name);
    sb_c(d->out, ": ");
}

static void line_end(Diff *d)
{
    sb_ch(d->out, '\n');
    d->lines++;
}

static void line_two(Diff *d, const ColumnDef *c, const char *x, const char *y)
{
    line_begin(d, c);
    sb_printf(d->out, "%s in %s against %s in %s", x, d->a.name, y, d->b.name);
    line_end(d);
}

static void generation_diff(Diff *d, const ColumnDef *x, const ColumnDef *y)
{
    if (x->generated != y->generated)
        line_two(d, x, x->generated ? "generated" : "ordinary", y->generated ? "generated" : "ordinary");
    else if (x->generated && !column_same_generation(x, y)) {
        line_begin(d, x);
        sb_printf(d->out, "generated as (" STR_FMT ") in %s against (" STR_FMT ") in %s",
                  STR_ARG(x->generation_expr), d->a.name, STR_ARG(y->generation_expr), d->b.name);
        line_end(d);
    }
}

static void column_diff(Diff *d, const ColumnDef *x, const ColumnDef *y)
{
    if (!column_same_type(x, y)) {
        line_begin(d, x);
        sb_printf(d->out, STR_FMT " in %s against " STR_FMT " in %s", STR_ARG(x->column_type), d->a.name,
                  STR_ARG(y->column_type), d->b.name);
        line_end(d);
    }
    if (!column_same_collation(x, y)) {
        line_begin(d, x);
        sb_printf(d->out, "collation " STR_FMT " in %s against " STR_FMT " in %s", STR_ARG(x->collation),
                  d->a.name, STR_ARG(y->collation), d->b.name);
        line_end(d);
    }
    if (x->not_null != y->not_null)
        line_two(d, x, x->not_null ? "NOT NULL" : "NULL", y->not_null ? "NOT NULL" : "NULL");
    if (!x->generated && !y->generated && !column_same_default(x, y) && x->not_null == y->not_null) {
        line_begin(d, x);
        default_words(x, d->out);
        sb_printf(d->out, " in %s against ", d->a.name);
        default_words(y, d->out);
        sb_printf(d->out, " in %s", d->b.name);
        line_end(d);
    }
    if (x->on_update_now != y->on_update_now)
        line_two(d, x, x->on_update_now ? "ON UPDATE" : "no ON UPDATE",
                 y->on_update_now ? "ON UPDATE" : "no ON UPDATE");
    generation_diff(d, x, y);
}

static void missing_columns(Diff *d, Side has, Side lacks)
{
    for (uint32_t i = 0; i < has.schema->n_columns; i++) {
        const ColumnDef *c = &has.schema->columns[i];
        if (schema_column(lacks.schema, c->name) != UINT32_MAX) continue;
        line_begin(d, c);
        sb_printf(d->out, STR_FMT " in %s, missing in %s", STR_ARG(c->column_type), has.name, lacks.name);
        line_end(d);
    }
}

/* name(a,b(10)) by column names, so that two tables can be compared. */
static void key_words(const TableSchema *s, const KeyDef *k, StrBuf *out)
{
    sb_ch(out, '(');
    for (uint32_t i = 0; i < k->n_parts; i++) {
        if (i) sb_ch(out, ',');
        if (k->parts[i].column < s->n_columns)
            sb_str(out, s->columns[k->parts[i].column].name);
        else
            sb_c(out, "<expression>");
        if (k->parts[i].prefix) sb_printf(out, "(%u)", k->parts[i].prefix);
    }
    sb_ch(out, ')');
}

static bool has_key(const TableSchema *s, Str words, bool primary)
{
    for (uint32_t i = 0; i < s->n_keys; i++) {
        if (!s->keys[i].unique && !s->keys[i].primary) continue;
        if (primary && !s->keys[i].primary) continue;
        StrBuf own = {0};
        key_words(s, &s->keys[i], &own);
        bool same = str_ieq(sb_view(&own), words);
        sb_done(&own);
        if (same) return true;
    }
    return false;
}

/* Only unique keys: others do not change what the data may be. */
static void missing_keys(Diff *d, Side has, Side lacks)
{
    for (uint32_t i = 0; i < has.schema->n_keys; i++) {
        const KeyDef *k = &has.schema->keys[i];
        if (!k->unique && !k->primary) continue;
        StrBuf words = {0};
        key_words(has.schema, k, &words);
        if (!has_key(lacks.schema, sb_view(&words), k->primary)) {
            sb_printf(d->out, "%s " STR_FMT "%s in %s, missing in %s",
                      k->primary ? "primary key" : "unique key", STR_ARG(k->primary ? (Str){0} : k->name),
                      words.ptr, has.name, lacks.name);
            line_end(d);
        }
        sb_done(&words);
    }
}

size_t schema_diff(const TableSchema *a, const char *a_name, const TableSchema *b, const char *b_name,
                   StrBuf *out)
{
    Diff d = {.a = {a, a_name}, .b = {b, b_name}, .out = out};
    missing_columns(&d, d.a, d.b);
    missing_columns(&d, d.b, d.a);
    for (uint32_t i = 0; i < a->n_columns; i++) {
        uint32_t at = schema_column(b, a->columns[i].name);
        if (at != UINT32_MAX) column_diff(&d, &a->columns[i], &b->columns[at]);
    }
    missing_keys(&d, d.a, d.b);
    missing_keys(&d, d.b, d.a);
    return d.lines;
}
