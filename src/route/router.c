#include "route/router.h"
#include <stdlib.h>
#include "route/pattern.h"
#include "route/template.h"
#include "base/poison.h"

enum { N_KINDS = ROUTER_RULE + 1 };

/* How one provenance column's value is made: by one of the two. */
typedef struct ProvenanceValue {
    Template *text;
    Pattern *regex;
} ProvenanceValue;

typedef struct Entry {
    RouterPattern pub;
    Str list;                    /* of the allow-list: "allow-list bw1: do-dbs" */
    Pattern *schema, *table;     /* table NULL: databases, schema-level rules */
    Template *target[2];         /* rules; indexed by TemplateSide; NULL: the source's name */
    ProvenanceValue *provenance; /* rules; one per rule->key.provenance */
    Template **reference_of;     /* rules; one per rule->key.references, NULL where `of` is not given */
} Entry;

typedef struct Mapping {
    const MappingRule *rule;
    Pattern *schema, *table; /* table NULL: the whole schema */
} Mapping;

struct Router {
    Arena arena;
    Str meta_schema, source_id;
    bool case_sensitive;
    Mapping *mappings;
    size_t n_mappings;
    Entry *entries; /* by kind, in the order of the file */
    size_t n;
    size_t first[N_KINDS + 1]; /* entries[first[k] .. first[k+1]) are of kind k */
};

/* TiDB's filter.IsSystemSchema, with the names of both server families. */
static const char *const system_schemas[] = {
    "information_schema", "mysql",          "performance_schema", "sys",
    "dm_heartbeat",       "metrics_schema", "inspection_schema"};

/* -- compiling -- */

static bool place_error(const RouterPattern *at, const char *part, Str text, Err *err)
{
    ConfigPlace p = at->place;
    if (p.file && p.line)
        return err_wrap(err, "%s:%u:%u: " STR_FMT ": %s \"" STR_FMT "\"", p.file, p.line, p.column,
                        STR_ARG(at->what), part, STR_ARG(text));
    return err_wrap(err, STR_FMT ": %s \"" STR_FMT "\"", STR_ARG(at->what), part, STR_ARG(text));
}

static bool compile_pattern(const Router *r, Entry *e, const char *part, Str text, Pattern **out, Err *err)
{
    return pattern_new(text, r->case_sensitive, out, err) || place_error(&e->pub, part, text, err);
}

static Entry *add_entry(Router *r, RouterPatternKind kind, Str schema, Str table, ConfigPlace place)
{
    Entry *e = &r->entries[r->n++];
    r->first[kind + 1] = r->n;
    e->pub.kind = kind;
    e->pub.place = place;
    e->pub.patterns = table.len
                          ? arena_printf(&r->arena, STR_FMT "." STR_FMT, STR_ARG(schema), STR_ARG(table))
                          : arena_str(&r->arena, schema);
    return e;
}

static bool add_dbs(Router *r, RouterPatternKind kind, const AllowList *list, Err *err)
{
    const char *key = kind == ROUTER_DO_DB ? "do-dbs" : "ignore-dbs";
    const Str *dbs = kind == ROUTER_DO_DB ? list->do_dbs : list->ignore_dbs;
    size_t n = kind == ROUTER_DO_DB ? list->n_do_dbs : list->n_ignore_dbs;
    for (size_t i = 0; i < n; i++) {
        Entry *e = add_entry(r, kind, dbs[i], (Str){0}, list->place);
        e->list = arena_printf(&r->arena, "allow-list " STR_FMT ": %s", STR_ARG(list->name), key);
        e->pub.what = arena_printf(&r->arena, STR_FMT "[%zu]", STR_ARG(e->list), i + 1);
        e->pub.identity = &dbs[i];
        if (!compile_pattern(r, e, "pattern", dbs[i], &e->schema, err)) return false;
    }
    return true;
}

static bool add_tables(Router *r, RouterPatternKind kind, const AllowList *list, Err *err)
{
    const char *key = kind == ROUTER_DO_TABLE ? "do-tables" : "ignore-tables";
    const TablePattern *tables = kind == ROUTER_DO_TABLE ? list->do_tables : list->ignore_tables;
    size_t n = kind == ROUTER_DO_TABLE ? list->n_do_tables : list->n_ignore_tables;
    for (size_t i = 0; i < n; i++) {
        Entry *e = add_entry(r, kind, tables[i].schema, tables[i].table, tables[i].place);
        e->list = arena_printf(&r->arena, "allow-list " STR_FMT ": %s", STR_ARG(list->name), key);
        e->pub.what = arena_printf(&r->arena, STR_FMT "[%zu]", STR_ARG(e->list), i + 1);
        e->pub.identity = &tables[i];
        if (!compile_pattern(r, e, "db-name", tables[i].schema, &e->schema, err)) return false;
        if (!compile_pattern(r, e, "tbl-name", tables[i].table, &e->table, err)) return false;
    }
    return true;
}

static bool add_target(Router *r, Entry *e, TemplateSide side, Str text, Err *err)
{
    if (text.len == 0) return true;
    const Pattern *const patterns[2] = {e->schema, e->table};
    return template_new(text, side, patterns, &r->arena, &e->target[side], err) ||
           place_error(&e->pub, side == TEMPLATE_SCHEMA ? "target-schema" : "target-table", text, err);
}

/* DM's extract rules are regular expressions in Go's way: case counts. */
static bool add_provenance(Router *r, Entry *e, const ProvenanceRule *rule, ProvenanceValue *out, Err *err)
{
    const Pattern *const patterns[2] = {e->schema, e->table};
    bool ok;
    if (rule->kind == PROVENANCE_TEMPLATE)
        ok = template_new_value(rule->text, patterns, &r->arena, &out->text, err);
    else
        ok = pattern_new(arena_printf(&r->arena, "~" STR_FMT, STR_ARG(rule->text)), true, &out->regex, err);
    return ok || place_error(&e->pub, "provenance column", rule->column, err);
}

static bool add_key(Router *r, Entry *e, const KeyRule *key, Err *err)
{
    const Pattern *const patterns[2] = {e->schema, e->table};
    e->provenance = arena_array(&r->arena, ProvenanceValue, key->n_provenance + 1);
    e->reference_of = arena_array(&r->arena, Template *, key->n_references + 1);
    for (size_t i = 0; i < key->n_provenance; i++)
        if (!add_provenance(r, e, &key->provenance[i], &e->provenance[i], err)) return false;
    for (size_t i = 0; i < key->n_references; i++) {
        Str of = key->references[i].of;
        if (of.len && !template_new_value(of, patterns, &r->arena, &e->reference_of[i], err))
            return place_error(&e->pub, "reference", of, err);
    }
    return true;
}

static bool add_mapping(Router *r, const MappingRule *rule, Err *err)
{
    Mapping *m = &r->mappings[r->n_mappings++];
    m->rule = rule;
    bool ok =
        pattern_new(rule->schema_pattern, r->case_sensitive, &m->schema, err) &&
        (!rule->table_pattern.len || pattern_new(rule->table_pattern, r->case_sensitive, &m->table, err));
    if (ok) return true;
    return err_wrap(err, "%s:%u:%u: column mapping " STR_FMT, rule->place.file ? rule->place.file : "",
                    rule->place.line, rule->place.column, STR_ARG(rule->name));
}

static bool add_rule(Router *r, const RouteRule *rule, Err *err)
{
    Entry *e = add_entry(r, ROUTER_RULE, rule->schema_pattern, rule->table_pattern, rule->place);
    e->pub.what = arena_printf(&r->arena, "route rule " STR_FMT, STR_ARG(rule->name));
    e->pub.identity = e->pub.rule = rule;
    if (!compile_pattern(r, e, "schema-pattern", rule->schema_pattern, &e->schema, err)) return false;
    if (rule->table_pattern.len &&
        !compile_pattern(r, e, "table-pattern", rule->table_pattern, &e->table, err))
        return false;
    return add_target(r, e, TEMPLATE_SCHEMA, rule->target_schema, err) &&
           add_target(r, e, TEMPLATE_TABLE, rule->target_table, err) && add_key(r, e, &rule->key, err);
}

static bool add_allow_list(Router *r, const AllowList *list, Err *err)
{
    return add_dbs(r, ROUTER_DO_DB, list, err) && add_dbs(r, ROUTER_IGNORE_DB, list, err) &&
           add_tables(r, ROUTER_DO_TABLE, list, err) && add_tables(r, ROUTER_IGNORE_TABLE, list, err);
}

bool router_new(const RouterOpts *opts, Router **out, Err *err)
{
    *out = NULL;
    const AllowList *list = opts->allow_list;
    Router *r = mem_zalloc(sizeof *r);
    r->meta_schema = arena_str(&r->arena, opts->meta_schema);
    r->source_id = arena_str(&r->arena, opts->source_id);
    r->mappings = arena_array(&r->arena, Mapping, opts->n_mappings + 1);
    r->case_sensitive = opts->case_sensitive;
    size_t n = opts->n_rules;
    if (list) n += list->n_do_dbs + list->n_ignore_dbs + list->n_do_tables + list->n_ignore_tables;
    r->entries = arena_array(&r->arena, Entry, n);
    bool ok = !list || add_allow_list(r, list, err);
    for (size_t i = 0; ok && i < opts->n_rules; i++)
        ok = add_rule(r, opts->rules[i], err);
    for (size_t i = 0; ok && i < opts->n_mappings; i++)
        ok = add_mapping(r, opts->mappings[i], err);
    if (!ok) {
        router_free(r);
        return false;
    }
    for (int k = 1; k <= N_KINDS; k++)
        r->first[k] = MAX(r->first[k], r->first[k - 1]);
    *out = r;
    return true;
}

void router_free(Router *r)
{
    if (!r) return;
    for (size_t i = 0; i < r->n; i++) {
        const Entry *e = &r->entries[i];
        pattern_free(e->schema);
        pattern_free(e->table);
        for (size_t p = 0; e->provenance && p < e->pub.rule->key.n_provenance; p++)
            pattern_free(e->provenance[p].regex);
    }
    for (size_t i = 0; i < r->n_mappings; i++) {
        pattern_free(r->mappings[i].schema);
        pattern_free(r->mappings[i].table);
    }
    arena_done(&r->arena);
    free(r);
}

/* -- deciding -- */

bool router_is_system_schema(const Router *r, Str schema)
{
    for (size_t i = 0; i < ARRAY_LEN(system_schemas); i++)
        if (str_ieq(schema, str_of(system_schemas[i]))) return true;
    return r->meta_schema.len && str_ieq(schema, r->meta_schema);
}

/* Matches an entry; groups may be NULL. The table is not looked at where the entry has no table pattern. */
static PatternResult entry_match(const Entry *e, TableName table, Arena *arena, PatternGroups groups[2])
{
    PatternGroups none[2];
    PatternGroups *g = groups ? groups : none;
    g[TEMPLATE_SCHEMA] = g[TEMPLATE_TABLE] = (PatternGroups){0};
    PatternResult result = pattern_match(e->schema, table.schema, arena, groups ? &g[TEMPLATE_SCHEMA] : NULL);
    if (result == PATTERN_HIT && e->table)
        result = pattern_match(e->table, table.table, arena, groups ? &g[TEMPLATE_TABLE] : NULL);
    return result;
}

/* The first entry of that kind that matches, or fails. */
static PatternResult first_match(const Router *r, RouterPatternKind kind, TableName table,
                                 const Entry **found)
{
    for (size_t i = r->first[kind]; i < r->first[kind + 1]; i++) {
        PatternResult result = entry_match(&r->entries[i], table, NULL, NULL);
        if (result == PATTERN_MISS) continue;
        *found = &r->entries[i];
        return result;
    }
    return PATTERN_MISS;
}

static size_t kind_count(const Router *r, RouterPatternKind kind)
{
    return r->first[kind + 1] - r->first[kind];
}

typedef enum Verdict { VERDICT_KEEP, VERDICT_DROP, VERDICT_FAILED } Verdict;

/* Which entry (or, when NULL, which list) decided. */
typedef struct Decision {
    Verdict verdict;
    const Entry *entry;
    RouterPatternKind list;
} Decision;

static Decision decision_of(Verdict verdict, const Entry *entry, RouterPatternKind list)
{
    return (Decision){verdict, entry, list};
}

/* Step 1 of the allow-list: the schema. do-dbs, when given, must match and ignore-dbs is not looked at. */
static Decision allow_schema(const Router *r, Str schema)
{
    const Entry *found = NULL;
    RouterPatternKind kind = kind_count(r, ROUTER_DO_DB) ? ROUTER_DO_DB : ROUTER_IGNORE_DB;
    PatternResult result = first_match(r, kind, (TableName){schema, {0}}, &found);
    if (result == PATTERN_FAILED) return decision_of(VERDICT_FAILED, found, kind);
    bool drop = kind == ROUTER_DO_DB ? result == PATTERN_MISS : result == PATTERN_HIT;
    return decision_of(drop ? VERDICT_DROP : VERDICT_KEEP, found, kind);
}

/* Steps 2 to 5: do-tables keeps, then ignore-tables drops, else keep only without do-tables. */
static Decision allow_table(const Router *r, TableName table)
{
    const Entry *found = NULL;
    PatternResult result = first_match(r, ROUTER_DO_TABLE, table, &found);
    if (result != PATTERN_MISS)
        return decision_of(result == PATTERN_HIT ? VERDICT_KEEP : VERDICT_FAILED, found, ROUTER_DO_TABLE);
    result = first_match(r, ROUTER_IGNORE_TABLE, table, &found);
    if (result != PATTERN_MISS)
        return decision_of(result == PATTERN_HIT ? VERDICT_DROP : VERDICT_FAILED, found, ROUTER_IGNORE_TABLE);
    return decision_of(kind_count(r, ROUTER_DO_TABLE) ? VERDICT_DROP : VERDICT_KEEP, NULL, ROUTER_DO_TABLE);
}

static void answer_failed(const Entry *e, const char *why, Arena *arena, RouteAnswer *out)
{
    out->outcome = ROUTE_FAILED;
    out->rule = e->pub.rule;
    out->by = arena_printf(arena, STR_FMT " \"" STR_FMT "\": %s", STR_ARG(e->pub.what),
                           STR_ARG(e->pub.patterns), why);
}

static const char limit_text[] = "the regular expression needs too much work on this name";

/* Turns a verdict of the allow-list into an answer; true when the table is kept. */
static bool answer_allowed(const Router *r, Decision d, Arena *arena, RouteAnswer *out)
{
    if (d.verdict == VERDICT_KEEP) return true;
    if (d.verdict == VERDICT_FAILED) {
        answer_failed(d.entry, limit_text, arena, out);
        return false;
    }
    out->outcome = ROUTE_FILTERED;
    if (d.entry) {
        out->by = arena_printf(arena, STR_FMT " \"" STR_FMT "\"", STR_ARG(d.entry->pub.what),
                               STR_ARG(d.entry->pub.patterns));
        return false;
    }
    out->by = arena_printf(arena, STR_FMT " has no match", STR_ARG(r->entries[r->first[d.list]].list));
    return false;
}

/* NULL when the name can be a target, else why not. */
static const char *target_fault(const Router *r, TableName target)
{
    if (target.schema.len == 0) return "the target schema's name comes out empty";
    if (target.table.len == 0) return "the target table's name comes out empty";
    if (name_chars(target.schema) > NAME_CHARS_MAX)
        return "the target schema's name comes out longer than 64 characters";
    if (name_chars(target.table) > NAME_CHARS_MAX)
        return "the target table's name comes out longer than 64 characters";
    if (router_is_system_schema(r, target.schema))
        return "the target is in a system schema or the meta schema";
    return NULL;
}

static void copy_captures(const PatternGroups groups[2], Arena *arena, RouteAnswer *out)
{
    static const TemplateSide order[2] = {TEMPLATE_TABLE, TEMPLATE_SCHEMA};
    out->n_captures = groups[0].n + groups[1].n;
    out->captures = arena_array(arena, Str, out->n_captures);
    size_t n = 0;
    for (size_t k = 0; k < 2; k++)
        for (size_t i = 0; i < groups[order[k]].n; i++)
            out->captures[n++] = arena_str(arena, groups[order[k]].groups[i]);
}

/* All groups of the first match, one after the other. */
static Str extract(const Pattern *p, Str name, Arena *arena)
{
    PatternGroups groups = {0};
    StrBuf b = {0};
    if (pattern_match(p, name, arena, &groups) == PATTERN_HIT)
        for (size_t i = 0; i < groups.n; i++)
            sb_str(&b, groups.groups[i]);
    Str out = arena_str(arena, sb_view(&b));
    sb_done(&b);
    return out;
}

/* What the rule's `key` says of this table. */
static void answer_key(const Router *r, const Entry *e, const PatternGroups groups[2], TableName source,
                       Arena *arena, RouteAnswer *out)
{
    const KeyRule *key = &e->pub.rule->key;
    out->provenance = arena_array(arena, Str, key->n_provenance + 1);
    out->reference_of = arena_array(arena, Str, key->n_references + 1);
    for (size_t i = 0; i < key->n_provenance; i++) {
        const ProvenanceValue *v = &e->provenance[i];
        Str from = key->provenance[i].kind == PROVENANCE_TABLE    ? source.table
                   : key->provenance[i].kind == PROVENANCE_SCHEMA ? source.schema
                                                                  : r->source_id;
        out->provenance[i] = v->text ? template_expand_value(v->text, groups, r->source_id, source, arena)
                                     : extract(v->regex, from, arena);
    }
    for (size_t i = 0; i < key->n_references; i++)
        if (e->reference_of[i])
            out->reference_of[i] =
                template_expand_value(e->reference_of[i], groups, r->source_id, source, arena);
}

/* Does a second rule to the same target say more? DM takes the first rule that extracts anything. */
static bool adds_key(const RouteRule *first, const RouteRule *second)
{
    return !first->key.n_provenance && first->key.strategy == KEY_STRATEGY_ERROR &&
           (second->key.n_provenance || second->key.strategy != KEY_STRATEGY_ERROR);
}

/* Rules of one level (with or without table pattern). False when none matches; else *out is the answer. */
static bool decide_level(const Router *r, bool table_level, TableName source, Arena *arena, RouteAnswer *out)
{
    bool any = false;
    for (size_t i = r->first[ROUTER_RULE]; i < r->first[ROUTER_RULE + 1]; i++) {
        const Entry *e = &r->entries[i];
        if ((e->table != NULL) != table_level) continue;
        PatternGroups groups[2];
        PatternResult result = entry_match(e, source, arena, groups);
        if (result == PATTERN_MISS) continue;
        if (result == PATTERN_FAILED) {
            answer_failed(e, limit_text, arena, out);
            return true;
        }
        TableName target = source;
        if (e->target[TEMPLATE_SCHEMA])
            target.schema = template_expand(e->target[TEMPLATE_SCHEMA], groups, arena);
        if (e->target[TEMPLATE_TABLE])
            target.table = template_expand(e->target[TEMPLATE_TABLE], groups, arena);
        const char *fault = target_fault(r, target);
        if (fault) {
            answer_failed(e, fault, arena, out);
            return true;
        }
        bool same = any && table_name_eq(target, out->target);
        if (same && !adds_key(out->rule, e->pub.rule)) continue;
        if (any && !same) {
            *out = (RouteAnswer){.outcome = ROUTE_AMBIGUOUS, .rule = out->rule, .other = e->pub.rule};
            return true;
        }
        any = true;
        *out = (RouteAnswer){.outcome = ROUTE_MATCHED, .target = target, .rule = e->pub.rule};
        copy_captures(groups, arena, out);
        answer_key(r, e, groups, source, arena, out);
    }
    return any;
}

/* DM's column mapping of the table: table level before schema level; two of one level are an error. */
static void answer_mapping(const Router *r, TableName source, Arena *arena, RouteAnswer *out)
{
    for (int table_level = 1; table_level >= 0 && !out->mapping; table_level--)
        for (size_t i = 0; i < r->n_mappings; i++) {
            const Mapping *m = &r->mappings[i];
            if ((m->table != NULL) != table_level) continue;
            if (pattern_match(m->schema, source.schema, NULL, NULL) != PATTERN_HIT) continue;
            if (m->table && pattern_match(m->table, source.table, NULL, NULL) != PATTERN_HIT) continue;
            if (out->mapping) {
                Str by = arena_printf(arena, "column mappings " STR_FMT " and " STR_FMT " both match",
                                      STR_ARG(out->mapping->name), STR_ARG(m->rule->name));
                *out = (RouteAnswer){.outcome = ROUTE_FAILED, .rule = out->rule, .by = by};
                return;
            }
            out->mapping = m->rule;
        }
}

void router_table(const Router *r, TableName source, Arena *arena, RouteAnswer *out)
{
    *out = (RouteAnswer){0};
    if (router_is_system_schema(r, source.schema)) {
        out->outcome = ROUTE_FILTERED;
        out->by = str_ieq(source.schema, r->meta_schema) ? STR("meta schema") : STR("system schema");
        return;
    }
    if (!answer_allowed(r, allow_schema(r, source.schema), arena, out)) return;
    if (!answer_allowed(r, allow_table(r, source), arena, out)) return;
    TableName own = {arena_str(arena, source.schema), arena_str(arena, source.table)};
    if (!decide_level(r, true, own, arena, out) && !decide_level(r, false, own, arena, out))
        *out = (RouteAnswer){.outcome = ROUTE_UNMATCHED, .target = own};
    if (out->outcome == ROUTE_MATCHED || out->outcome == ROUTE_UNMATCHED) answer_mapping(r, own, arena, out);
}

Str router_source_id(const Router *r)
{
    return r->source_id;
}

bool router_schema_wanted(const Router *r, Str schema)
{
    return !router_is_system_schema(r, schema) && allow_schema(r, schema).verdict != VERDICT_DROP;
}

/* -- for the dry run -- */

size_t router_n_patterns(const Router *r)
{
    return r->n;
}
const RouterPattern *router_pattern(const Router *r, size_t i)
{
    return &r->entries[i].pub;
}

bool router_pattern_matches(const Router *r, size_t i, TableName table)
{
    return entry_match(&r->entries[i], table, NULL, NULL) != PATTERN_MISS;
}

bool router_pattern_is_for_system(const Router *r, size_t i)
{
    const Entry *e = &r->entries[i];
    if (e->pub.kind == ROUTER_IGNORE_TABLE) return router_is_system_schema(r, pattern_text(e->schema));
    if (e->pub.kind != ROUTER_IGNORE_DB) return false;
    for (size_t k = 0; k < ARRAY_LEN(system_schemas); k++)
        if (pattern_match(e->schema, str_of(system_schemas[k]), NULL, NULL) == PATTERN_HIT) return true;
    return r->meta_schema.len && pattern_match(e->schema, r->meta_schema, NULL, NULL) == PATTERN_HIT;
}

static void warn(Arena *arena, RouterWarning *list, size_t *n, const RouterPattern *at, Str text)
{
    list[(*n)++] = (RouterWarning){
        at->place, arena_printf(arena, STR_FMT ": " STR_FMT, STR_ARG(at->what), STR_ARG(text))};
}

size_t router_lint(const Router *r, Arena *arena, RouterWarning **out)
{
    RouterWarning *list = arena_array(arena, RouterWarning, r->n * 2 * PATTERN_LINT_MAX + 1);
    size_t n = 0;
    for (size_t i = 0; i < r->n; i++) {
        const Pattern *both[2] = {r->entries[i].schema, r->entries[i].table};
        for (size_t k = 0; k < 2 && both[k]; k++) {
            Str texts[PATTERN_LINT_MAX];
            size_t found = pattern_lint(both[k], arena, texts);
            for (size_t j = 0; j < found; j++)
                warn(arena, list, &n, &r->entries[i].pub, texts[j]);
        }
    }
    if (kind_count(r, ROUTER_DO_DB) && kind_count(r, ROUTER_IGNORE_DB))
        warn(arena, list, &n, &r->entries[r->first[ROUTER_IGNORE_DB]].pub,
             STR("ignore-dbs is not looked at, because do-dbs is given"));
    *out = list;
    return n;
}
