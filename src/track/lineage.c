#include "ddl/expr.h"
#include "model/charset.h"
#include "track/family.h"
#include "track/schema_apply.h"
#include "track/schema_edit.h"
#include "base/poison.h"

static bool is_strict(const ApplyContext *ctx)
{
    return ctx->sql_mode & (0x400000 /* STRICT_ALL_TABLES */ | 0x200000 /* STRICT_TRANS_TABLES */);
}

/* Width of display is no part of a type. */
static bool same_domain(const ColumnDef *a, const ColumnDef *b)
{
    bool integer = family_of(a) == FAMILY_INT || family_of(a) == FAMILY_YEAR;
    bool type = integer ? str_eq(a->data_type, b->data_type) && a->is_unsigned == b->is_unsigned
                        : str_ieq(a->column_type, b->column_type);
    return type && str_ieq(a->collation, b->collation) && a->not_null == b->not_null &&
           a->generated == b->generated &&
           (!a->generated || ddl_expr_equal(a->generation_expr, b->generation_expr));
}

/* Would a strict session have refused every value that does not fit? Rounding, cut blanks and padding are
 * silent. */
static bool strict_refuses(const ColumnDef *a, const ColumnDef *b)
{
    TypeFamily from = family_of(a), to = family_of(b);
    if (from != to) return false;
    switch (from) {
    case FAMILY_INT:
    case FAMILY_BIT:
    case FAMILY_ENUM:
    case FAMILY_SET:
    case FAMILY_YEAR:
    case FAMILY_DATE: return true;
    case FAMILY_DECIMAL: return b->scale >= a->scale;
    case FAMILY_TIME:
    case FAMILY_DATETIME:
    case FAMILY_TIMESTAMP: return b->fsp >= a->fsp;
    case FAMILY_TEXT: /* other characters are refused; a shorter column loses trailing blanks unasked */
        return str_eq(a->data_type, b->data_type) && b->char_length >= a->char_length;
    case FAMILY_BINARY: return str_eqc(a->data_type, "varbinary") && str_eqc(b->data_type, "varbinary");
    default: return false;
    }
}

static bool is_lossy(const ApplyContext *ctx, const ColumnDef *a, const ColumnDef *b)
{
    CLEANUP(sb_done) StrBuf why = {0};
    if (a->generated || b->generated)
        return a->generated != b->generated && !b->generated ? false : b->generated;
    if (family_of(a) == FAMILY_UNKNOWN && str_ieq(a->column_type, b->column_type)) return false;
    if (family_fits(a, b, &why)) return false;
    return !(is_strict(ctx) && strict_refuses(a, b));
}

/* What depends on the moment, the session or chance. */
static bool is_volatile(Str expr)
{
    static const char *const functions[] = {
        "uuid",           "uuid_short",
        "rand",           "now",
        "sysdate",        "current_timestamp",
        "localtime",      "localtimestamp",
        "curdate",        "current_date",
        "curtime",        "current_time",
        "utc_timestamp",  "utc_date",
        "utc_time",       "unix_timestamp",
        "user",           "current_user",
        "session_user",   "system_user",
        "connection_id",  "database",
        "schema",         "nextval",
        "lastval",        "setval",
        "last_insert_id", "random_bytes",
        "sys_guid",       "uuid_v4",
        "uuid_v7",        "current_role",
        "version",
    };
    CLEANUP(sb_done) StrBuf form = {0};
    ddl_expr_normal(expr, &form);
    for (size_t i = 0; i < ARRAY_LEN(functions); i++) {
        Str text = sb_view(&form), name = str_of(functions[i]);
        for (size_t at; (at = str_find(text, name)) != SIZE_MAX;) {
            bool starts = at == 0 || !((text.ptr[at - 1] | 0x20) >= 'a' && (text.ptr[at - 1] | 0x20) <= 'z');
            bool call = at + name.len < text.len && text.ptr[at + name.len] == '(';
            if (starts && call && !(at && text.ptr[at - 1] == '_')) return true;
            text = (Str){text.ptr + at + name.len, text.len - at - name.len};
        }
    }
    return false;
}

Str lineage_zero(const ColumnDef *c, Arena *arena)
{
    switch (family_of(c)) {
    case FAMILY_INT:
    case FAMILY_DECIMAL:
    case FAMILY_FLOAT: return STR("0");
    case FAMILY_BIT: return STR("b'0'");
    case FAMILY_YEAR: return STR("0000");
    case FAMILY_DATE: return STR("'0000-00-00'");
    case FAMILY_TIME: return STR("'00:00:00'");
    case FAMILY_DATETIME:
    case FAMILY_TIMESTAMP: return STR("'0000-00-00 00:00:00'");
    case FAMILY_JSON: return STR("'null'");
    case FAMILY_ENUM: {
        StrBuf b = {0};
        sb_quoted(&b, c->n_members ? c->members[0] : (Str){0});
        Str s = arena_str(arena, sb_view(&b));
        sb_done(&b);
        return s;
    }
    default: return STR("''");
    }
}

Str lineage_literal(Str s, bool binary, Arena *arena)
{
    StrBuf b = {0};
    if (binary) {
        sb_c(&b, "x'");
        sb_hex(&b, s.ptr, s.len);
        sb_ch(&b, '\'');
    } else {
        sb_quoted(&b, s);
    }
    Str out = arena_str(arena, sb_view(&b));
    sb_done(&b);
    return out;
}

static bool is_now(const ColumnDef *c)
{
    return str_istarts(c->default_text, STR("current_timestamp"));
}

/* The moment of the statement, where it is known: now() is one value for all rows. */
static bool fill_now(const ApplyContext *ctx, const ColumnDef *c, ColumnLineage *l, Arena *arena)
{
    bool instant = family_of(c) == FAMILY_TIMESTAMP;
    Str now = instant ? ctx->now_utc : ctx->now_local;
    if (!is_now(c) || !now.len || (!instant && family_of(c) != FAMILY_DATETIME)) return false;
    Str whole = {now.ptr, MIN(now.len, 19 + (c->fsp ? c->fsp + 1 : 0))};
    l->fill = FILL_VALUE;
    l->fill_text = lineage_literal(whole, false, arena);
    return true;
}

static void fill(const ApplyContext *ctx, const ColumnDef *c, ColumnLineage *l, Arena *arena)
{
    if (c->generated) {
        l->fill = is_volatile(c->generation_expr) ? FILL_VOLATILE : FILL_COMPUTED;
        l->fill_text = arena_str(arena, c->generation_expr);
    } else if (c->auto_increment) {
        l->fill = FILL_VOLATILE;
        l->fill_text = STR("AUTO_INCREMENT");
    } else if (c->default_kind == DEFAULT_NULL || (c->default_kind == DEFAULT_NONE && !c->not_null)) {
        l->fill = FILL_NULL;
    } else if (c->default_kind == DEFAULT_NONE) {
        l->fill = FILL_VALUE;
        l->fill_text = lineage_zero(c, arena);
    } else if (c->default_kind == DEFAULT_LITERAL) {
        bool bits = family_of(c) == FAMILY_BIT;
        l->fill = FILL_VALUE;
        l->fill_text = bits ? arena_str(arena, c->default_text)
                            : lineage_literal(c->default_text, family_of(c) == FAMILY_BINARY, arena);
    } else if (!fill_now(ctx, c, l, arena)) {
        l->fill = is_volatile(c->default_text) || is_now(c) ? FILL_VOLATILE : FILL_COMPUTED;
        l->fill_text = arena_str(arena, c->default_text);
    }
}

static void list_names(StrBuf *b, const DdlName *names)
{
    for (const DdlName *n = names; n; n = n->next) {
        sb_c(b, n == names ? " " : ",");
        sb_str(b, n->name);
    }
}

/* In words that are equal when the same went. */
static void rows_words(const DdlStmt *s, StrBuf *b)
{
    static const char *const words[] = {
        [DDL_DROP_PARTITION] = "drop partition",
        [DDL_TRUNCATE_PARTITION] = "truncate partition",
        [DDL_EXCHANGE_PARTITION] = "exchange partition",
        [DDL_CONVERT_PARTITION] = "convert partition",
        [DDL_CONVERT_TABLE] = "convert table to partition",
        [DDL_TABLESPACE] = "tablespace",
    };
    switch (s->kind) {
    case DDL_TRUNCATE_TABLE: sb_c(b, "truncate"); return;
    case DDL_DROP_TABLES: sb_c(b, "drop table"); return;
    case DDL_DROP_DATABASE: sb_c(b, "drop database"); return;
    case DDL_CREATE_TABLE: sb_c(b, "create or replace table"); return;
    default: break;
    }
    for (const DdlChange *c = s->changes; c; c = c->next) {
        if ((size_t)c->kind >= ARRAY_LEN(words) || !words[c->kind]) continue;
        if (b->len) sb_c(b, ", ");
        sb_c(b, c->kind == DDL_TABLESPACE && c->flag ? "import tablespace"
                : c->kind == DDL_TABLESPACE          ? "discard tablespace"
                                                     : words[c->kind]);
        list_names(b, c->names);
        if (c->name.len) sb_printf(b, " " STR_FMT, STR_ARG(c->name));
        if (c->parts) sb_printf(b, " " STR_FMT, STR_ARG(c->parts->name));
    }
    if (!b->len && s->ignore) sb_c(b, "unique key by ignore");
    if (!b->len) sb_c(b, "engine without rows");
}

/* ALTER IGNORE … ADD UNIQUE removes rows. */
static bool ignores_duplicates(const DdlStmt *s)
{
    for (const DdlChange *c = s->changes; s->ignore && c; c = c->next) {
        bool key =
            c->kind == DDL_ADD_KEY && (c->key->kind == DDL_KEY_PRIMARY || c->key->kind == DDL_KEY_UNIQUE);
        if (key || (c->column && (c->column->primary || c->column->unique))) return true;
    }
    return false;
}

SchemaStep *lineage_step(const Edit *e, const TableSchema *after)
{
    SchemaStep *s = mem_zalloc(sizeof *s);
    StrBuf words = {0};
    s->before = e->before;
    s->after = after;
    s->name_before = e->before ? e->before->name : after->name;
    s->name_after = after ? after->name : s->name_before;
    s->statement = arena_str(&s->arena, e->ctx->text);
    s->rows = e->rows == ROWS_KEPT && ignores_duplicates(e->stmt) ? ROWS_SOME_GONE : e->rows;
    if (s->rows != ROWS_KEPT) rows_words(e->stmt, &words);
    s->rows_what = arena_str(&s->arena, sb_view(&words));
    sb_done(&words);
    uint32_t n_before = e->before ? e->before->n_columns : 0;
    s->dropped = arena_array(&s->arena, bool, n_before + 1);
    for (uint32_t i = 0; i < n_before; i++)
        s->dropped[i] = true;
    if (!after) return s;
    s->columns = arena_array(&s->arena, ColumnLineage, after->n_columns + 1);
    uint32_t i = 0;
    for (const EditColumn *c = e->columns; c && i < after->n_columns; c = c->next, i++) {
        ColumnLineage *l = &s->columns[i];
        const ColumnDef *new = &after->columns[i];
        l->from = c->origin;
        if (c->origin == UINT32_MAX) {
            if (e->before && s->rows != ROWS_ALL_GONE) fill(e->ctx, new, l, &s->arena);
            continue;
        }
        const ColumnDef *old = &e->before->columns[c->origin];
        s->dropped[c->origin] = false;
        l->renamed = !str_ieq(old->name, new->name);
        l->converted = !same_domain(old, new);
        l->lossy = l->converted && is_lossy(e->ctx, old, new);
    }
    for (; i < after->n_columns; i++)
        s->columns[i].from = UINT32_MAX; /* CREATE … LIKE */
    return s;
}
