#include "track/schema_fingerprint.h"
#include "ddl/expr.h"
#include "model/charset_text.h"
#include "track/column.h"
#include "track/family.h"
#include "base/poison.h"

static void lower(StrBuf *out, Str s)
{
    for (size_t i = 0; i < s.len; i++)
        sb_ch(out, s.ptr[i] >= 'A' && s.ptr[i] <= 'Z' ? (char)(s.ptr[i] | 0x20) : s.ptr[i]);
}

static void put_collation(StrBuf *out, Str collation)
{
    const Collation *c = charset_collation_by_name(collation);
    sb_str(out, c ? c->name : collation);
}

static void put_expr(StrBuf *out, Str expr)
{
    ddl_expr_normal(expr, out);
}

static void put_default(StrBuf *out, const ColumnDef *c)
{
    switch (c->default_kind) {
    case DEFAULT_NONE: sb_c(out, c->not_null || c->generated ? "" : " default null"); break;
    case DEFAULT_NULL: sb_c(out, " default null"); break;
    case DEFAULT_LITERAL: {
        Str text = c->default_text;
        bool padded = str_ieq(c->data_type, STR("binary")); /* MySQL does not show the padding */
        while (padded && text.len && text.ptr[text.len - 1] == 0)
            text.len--;
        sb_c(out, " default ");
        if (charset_text_is_utf8(text)) {
            sb_quoted(out, text);
        } else { /* the journal downstream keeps it as text */
            sb_c(out, "x'");
            sb_hex(out, text.ptr, text.len);
            sb_ch(out, '\'');
        }
        break;
    }
    case DEFAULT_EXPR:
        sb_c(out, " default (");
        put_expr(out, c->default_text);
        sb_ch(out, ')');
        break;
    }
    if (c->on_update_now) sb_c(out, " on update now");
}

static void put_column(StrBuf *out, const ColumnDef *c)
{
    CLEANUP(sb_done) StrBuf type = {0};
    sb_c(out, "column ");
    lower(out, c->name);
    sb_ch(out, ' ');
    column_type_words(c, &type);
    if (c->n_members) /* members tell letters apart */
        sb_str(out, sb_view(&type));
    else
        lower(out, sb_view(&type));
    if (c->collation.len && !str_ieq(c->data_type, STR("json"))) {
        sb_ch(out, ' ');
        put_collation(out, c->collation);
    }
    sb_c(out, c->not_null ? " not null" : " null");
    if (c->auto_increment) sb_c(out, " auto_increment");
    if (c->generated) {
        sb_c(out, c->generated_stored ? " stored as (" : " virtual as (");
        put_expr(out, c->generation_expr);
        sb_ch(out, ')');
    } else {
        put_default(out, c);
    }
    if (c->invisible) sb_c(out, " invisible");
    if (c->has_srid) sb_printf(out, " srid %u", c->srid);
    if (c->unversioned) sb_c(out, " unversioned");
    if (c->comment.len) {
        sb_c(out, " comment ");
        sb_quoted(out, c->comment);
    }
    sb_ch(out, '\n');
}

static void put_key(StrBuf *out, const TableSchema *s, const KeyDef *k)
{
    sb_printf(out, "%s key ", k->primary ? "primary" : k->unique ? "unique" : "plain");
    lower(out, k->name);
    sb_ch(out, ' ');
    lower(out, k->index_type);
    for (uint32_t i = 0; i < k->n_parts; i++) {
        const KeyPart *p = &k->parts[i];
        sb_c(out, i ? "," : " (");
        if (p->column != UINT32_MAX)
            lower(out, s->columns[p->column].name);
        else
            put_expr(out, p->expression);
        if (p->prefix) sb_printf(out, "(%u)", p->prefix);
        if (p->descending) sb_c(out, " desc");
    }
    sb_ch(out, ')');
    if (k->invisible) sb_c(out, " invisible");
    if (k->comment.len) {
        sb_c(out, " comment ");
        sb_quoted(out, k->comment);
    }
    sb_ch(out, '\n');
}

static void put_partitions(StrBuf *out, const Partitioning *by)
{
    if (!by->method.len) return;
    sb_c(out, "partitions ");
    lower(out, by->method);
    sb_c(out, " (");
    put_expr(out, by->expr);
    sb_c(out, ") ");
    lower(out, by->sub_method);
    sb_ch(out, ' ');
    put_expr(out, by->sub_expr);
    sb_ch(out, '\n');
    for (uint32_t i = 0; i < by->n_parts; i++) {
        const PartitionDef *p = &by->parts[i];
        sb_c(out, "partition ");
        lower(out, p->name);
        sb_printf(out, " (" STR_FMT ")", STR_ARG(p->values));
        for (uint32_t k = 0; k < p->n_subpartitions; k++) {
            sb_ch(out, ' ');
            lower(out, p->subpartitions[k]);
        }
        if (p->comment.len) {
            sb_c(out, " comment ");
            sb_quoted(out, p->comment);
        }
        sb_ch(out, '\n');
    }
}

void schema_fingerprint(const TableSchema *s, StrBuf *out)
{
    for (uint32_t i = 0; i < s->n_columns; i++)
        put_column(out, &s->columns[i]);
    for (uint32_t i = 0; i < s->n_keys; i++)
        put_key(out, s, &s->keys[i]);
    for (uint32_t i = 0; i < s->n_checks; i++) {
        sb_c(out, "check ");
        lower(out, s->checks[i].name);
        sb_c(out, s->checks[i].not_enforced ? " not enforced (" : " (");
        put_expr(out, s->checks[i].expr);
        sb_c(out, ")\n");
    }
    sb_c(out, "engine ");
    lower(out, s->engine);
    sb_c(out, "\ncollation ");
    put_collation(out, s->collation);
    sb_ch(out, '\n');
    for (uint32_t i = 0; i < s->n_options; i++) {
        sb_c(out, "option ");
        lower(out, s->options[i].name);
        sb_ch(out, '=');
        lower(out, s->options[i].value);
        sb_ch(out, '\n');
    }
    if (s->is_versioned) sb_c(out, "system versioned\n");
    put_partitions(out, &s->partitioning);
    if (s->comment.len) {
        sb_c(out, "comment ");
        sb_quoted(out, s->comment);
        sb_ch(out, '\n');
    }
}

bool schema_same_fingerprint(const TableSchema *a, const TableSchema *b)
{
    CLEANUP(sb_done) StrBuf x = {0}, y = {0};
    schema_fingerprint(a, &x);
    schema_fingerprint(b, &y);
    return str_eq(sb_view(&x), sb_view(&y));
}
