#include <stdlib.h>
#include "config/task.h"
#include "base/poison.h"

/* The lines of a fingerprint while they are gathered. */
typedef struct Lines {
    char **line;
    size_t n, cap;
} Lines;

static void line_add(Lines *l, StrBuf *text)
{
    if (l->n == l->cap) {
        l->cap = l->cap ? l->cap * 2 : 32;
        l->line = mem_realloc(l->line, l->cap * sizeof *l->line);
    }
    l->line[l->n++] = sb_take(text);
}

/* Text in double quotes, so that no name can look like another line or field. */
static void quoted(StrBuf *out, Str s)
{
    sb_ch(out, '"');
    for (size_t i = 0; i < s.len; i++) {
        unsigned char c = (unsigned char)s.ptr[i];
        if (c < ' ' || c == 0x7f) {
            sb_printf(out, "\\x%02x", c);
        } else {
            if (c == '"' || c == '\\') sb_ch(out, '\\');
            sb_ch(out, (char)c);
        }
    }
    sb_ch(out, '"');
}

static void scalar_line(Lines *l, const char *key, Str value)
{
    StrBuf b = {0};
    sb_printf(&b, "%s: ", key);
    quoted(&b, value);
    line_add(l, &b);
}

static void bool_line(Lines *l, const char *key, bool value)
{
    StrBuf b = {0};
    sb_printf(&b, "%s: %s", key, value ? "true" : "false");
    line_add(l, &b);
}

/* `source "s1" what: ` */
static void source_key(StrBuf *b, Str id, const char *what)
{
    sb_c(b, "source ");
    quoted(b, id);
    sb_printf(b, " %s: ", what);
}

/* Rules count by what they say: their names mean nothing. */
static void route_line(Lines *l, Str id, const RouteRule *r)
{
    StrBuf b = {0};
    source_key(&b, id, "route");
    quoted(&b, r->schema_pattern);
    sb_ch(&b, '.');
    quoted(&b, r->table_pattern);
    sb_c(&b, " -> ");
    quoted(&b, r->target_schema);
    sb_ch(&b, '.');
    quoted(&b, r->target_table);
    line_add(l, &b);
}

static void list_words(StrBuf *b, const char *what, const Str *list, size_t n)
{
    if (!n) return;
    sb_printf(b, " %s", what);
    for (size_t i = 0; i < n; i++) {
        sb_ch(b, i ? ',' : ' ');
        quoted(b, list[i]);
    }
}

static void partition_words(StrBuf *b, const PartitionRule *p)
{
    sb_printf(b, " bits %u %u %u prefixes ", p->instance_bits, p->schema_bits, p->table_bits);
    quoted(b, p->schema_prefix);
    quoted(b, p->table_prefix);
    quoted(b, p->separator);
    for (size_t i = 0; i < p->n_instances; i++) {
        sb_c(b, i ? "," : " instances ");
        quoted(b, p->instances[i].source);
        sb_printf(b, "=%llu", (unsigned long long)p->instances[i].number);
    }
}

/* What a rule makes of keys and columns; nothing for a rule that changes none. */
static void key_words(StrBuf *b, const RouteRule *r)
{
    const KeyRule *k = &r->key;
    if (k->strategy == KEY_STRATEGY_ERROR && !k->n_provenance && !r->n_drop_columns && !k->n_references &&
        !k->no_foreign_keys)
        return;
    sb_printf(b, " strategy %d column ", (int)k->strategy);
    quoted(b, k->column);
    if (k->strategy == KEY_STRATEGY_PARTITION_ID) partition_words(b, &k->partition);
    if (k->strategy == KEY_STRATEGY_STRIDE) sb_printf(b, " shards %llu", (unsigned long long)k->shards);
    for (size_t i = 0; i < k->n_provenance; i++) {
        sb_printf(b, " provenance %d ", (int)k->provenance[i].kind);
        quoted(b, k->provenance[i].column);
        quoted(b, k->provenance[i].text);
    }
    list_words(b, "global", k->global_keys, k->n_global_keys);
    list_words(b, "plain", k->plain_keys, k->n_plain_keys);
    for (size_t i = 0; i < k->n_references; i++) {
        const ReferenceRule *ref = &k->references[i];
        sb_c(b, " reference ");
        quoted(b, ref->column);
        quoted(b, ref->schema);
        quoted(b, ref->table);
        quoted(b, ref->of);
        sb_c(b, ref->map_zero ? "z" : "");
    }
    if (k->on_conflict) sb_printf(b, " on-collision %d", (int)k->on_conflict);
    if (k->conflict_column.len) {
        sb_c(b, " by ");
        quoted(b, k->conflict_column);
    }
    if (k->no_foreign_keys) sb_c(b, " without foreign keys");
    list_words(b, "drop", r->drop_columns, r->n_drop_columns);
}

static void key_line(Lines *l, Str id, const RouteRule *r)
{
    CLEANUP(sb_done) StrBuf words = {0};
    key_words(&words, r);
    if (!words.len) return;
    StrBuf b = {0};
    source_key(&b, id, "key");
    quoted(&b, r->schema_pattern);
    sb_ch(&b, '.');
    quoted(&b, r->table_pattern);
    sb_str(&b, sb_view(&words));
    line_add(l, &b);
}

/* May both lead to one target? Captures and names that a table keeps are not known here. */
static bool may_meet(Str a, Str b)
{
    bool fixed = a.len && b.len && !memchr(a.ptr, '$', a.len) && !memchr(b.ptr, '$', b.len);
    return !fixed || str_eq(a, b);
}

static bool has_key(const RouteRule *r)
{
    return r->key.n_provenance || r->key.strategy != KEY_STRATEGY_ERROR;
}

/* Of two rules that match a table and lead to one target the first counts (docs/adr/0022), unless only the
 * second has a key: where they say different things of keys and columns, their order is a part of them. */
static void order_of_rules(Lines *l, Str id, const RouteRule *first, const RouteRule *second)
{
    CLEANUP(sb_done) StrBuf a = {0};
    CLEANUP(sb_done) StrBuf c = {0};
    if (has_key(first) != has_key(second) || !first->table_pattern.len != !second->table_pattern.len) return;
    if (!may_meet(first->target_schema, second->target_schema) ||
        !may_meet(first->target_table, second->target_table))
        return;
    key_words(&a, first);
    key_words(&c, second);
    if (str_eq(sb_view(&a), sb_view(&c))) return;
    StrBuf b = {0};
    source_key(&b, id, "route");
    quoted(&b, first->schema_pattern);
    sb_ch(&b, '.');
    quoted(&b, first->table_pattern);
    sb_c(&b, " before ");
    quoted(&b, second->schema_pattern);
    sb_ch(&b, '.');
    quoted(&b, second->table_pattern);
    line_add(l, &b);
}

static void mapping_line(Lines *l, Str id, const MappingRule *m)
{
    StrBuf b = {0};
    source_key(&b, id, "column-mapping");
    quoted(&b, m->schema_pattern);
    sb_ch(&b, '.');
    quoted(&b, m->table_pattern);
    sb_c(&b, " column ");
    quoted(&b, m->column);
    if (m->has_instance) sb_printf(&b, " instance %llu", (unsigned long long)m->instance);
    partition_words(&b, &m->partition);
    line_add(l, &b);
}

static void dbs_lines(Lines *l, Str id, const char *what, const Str *dbs, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        StrBuf b = {0};
        source_key(&b, id, what);
        quoted(&b, dbs[i]);
        line_add(l, &b);
    }
}

static void tables_lines(Lines *l, Str id, const char *what, const TablePattern *tables, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        StrBuf b = {0};
        source_key(&b, id, what);
        quoted(&b, tables[i].schema);
        sb_ch(&b, '.');
        quoted(&b, tables[i].table);
        line_add(l, &b);
    }
}

static void source_lines(Lines *l, const SourceConfig *s)
{
    StrBuf b = {0};
    source_key(&b, s->id, "case-sensitive");
    sb_c(&b, s->case_sensitive < 0 ? "detected" : s->case_sensitive ? "true" : "false");
    line_add(l, &b);
    for (size_t i = 0; i < s->n_routes; i++)
        route_line(l, s->id, s->routes[i]);
    for (size_t i = 0; i < s->n_routes; i++)
        key_line(l, s->id, s->routes[i]);
    for (size_t i = 0; i < s->n_routes; i++)
        for (size_t j = i + 1; j < s->n_routes; j++)
            order_of_rules(l, s->id, s->routes[i], s->routes[j]);
    for (size_t i = 0; i < s->n_mappings; i++)
        mapping_line(l, s->id, s->mappings[i]);
    const AllowList *a = s->allow_list;
    if (!a) return;
    dbs_lines(l, s->id, "do-dbs", a->do_dbs, a->n_do_dbs);
    dbs_lines(l, s->id, "ignore-dbs", a->ignore_dbs, a->n_ignore_dbs);
    tables_lines(l, s->id, "do-tables", a->do_tables, a->n_do_tables);
    tables_lines(l, s->id, "ignore-tables", a->ignore_tables, a->n_ignore_tables);
}

static int by_text(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* The order of the sources decides who keeps a key, where losers are parked. */
static void order_line(Lines *l, const Task *t)
{
    bool matters = false;
    for (size_t i = 0; i < t->n_routes; i++)
        matters |= t->routes[i].key.on_conflict != CONFLICT_STOP;
    if (!matters) return;
    StrBuf b = {0};
    sb_c(&b, "conflict order:");
    for (size_t i = 0; i < t->n_sources; i++) {
        sb_ch(&b, ' ');
        quoted(&b, t->sources[i].id);
    }
    line_add(l, &b);
}

void task_fingerprint(const Task *t, StrBuf *out)
{
    Lines l = {0};
    scalar_line(&l, "name", t->name);
    scalar_line(&l, "meta-schema", t->meta_schema);
    bool_line(&l, "case-sensitive", t->case_sensitive);
    scalar_line(&l, "key-strategy", STR("error"));
    /* Which rows the targets hold rests on it; full and all differ only in when they end. */
    scalar_line(&l, "task-mode", t->mode == TASK_MODE_INCREMENTAL ? STR("incremental") : STR("all or full"));
    for (size_t i = 0; i < t->n_sources; i++)
        source_lines(&l, &t->sources[i]);
    order_line(&l, t);
    if (l.n) qsort(l.line, l.n, sizeof *l.line, by_text);
    for (size_t i = 0; i < l.n; i++) {
        sb_c(out, l.line[i]);
        sb_ch(out, '\n');
        free(l.line[i]);
    }
    free(l.line);
}
