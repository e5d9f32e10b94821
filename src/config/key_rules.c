#include "config/build.h"
#include "base/poison.h"

enum { ID_BITS = 63, MAPPING_ARGUMENTS = 4 };

static Arena *arena_of(Build *b)
{
    return &b->task->arena;
}

/* -- key -- */

static Str required(Build *b, Section section, const Node *map, const char *key, Str owner)
{
    build_require(b, map, key, owner);
    return keys_str(section, map, key);
}

static void strs_build(Build *b, const Node *map, const char *key, Str **out, size_t *n)
{
    const Node *list = node_get(map, key);
    if (!list) return;
    *out = arena_array(arena_of(b), Str, list->n + 1);
    for (const NodeEntry *e = list->first; e; e = e->next)
        (*out)[(*n)++] = e->value->text;
}

static void instances_of_key(Build *b, const Node *map, PartitionRule *p)
{
    const Node *vars = node_get(map, "instances");
    if (!vars) return;
    p->instances = arena_array(arena_of(b), InstanceNumber, vars->n + 1);
    for (const NodeEntry *e = vars->first; e; e = e->next) {
        InstanceNumber *i = &p->instances[p->n_instances++];
        i->source = e->key->text;
        if (!str_to_u64(e->value->text, &i->number))
            problem_add(&b->problems, ERR_CONFIG_VALUE, e->value->place, "write a whole number",
                        "instances: the number of " STR_FMT " is not one", STR_ARG(i->source));
    }
}

static void partition_build(Build *b, const Node *map, KeyRule *key)
{
    const Section s = SECTION_KEY;
    PartitionRule *p = &key->partition;
    p->instance_bits = (unsigned)keys_u64(s, map, "instance-bits");
    p->schema_bits = (unsigned)keys_u64(s, map, "schema-bits");
    p->table_bits = (unsigned)keys_u64(s, map, "table-bits");
    p->schema_prefix = keys_str(s, map, "schema-prefix");
    p->table_prefix = keys_str(s, map, "table-prefix");
    p->separator = keys_str(s, map, "separator");
    p->has_schema = p->schema_prefix.len > 0;
    p->has_table = p->table_prefix.len > 0;
    instances_of_key(b, map, p);
    if (key->strategy != KEY_STRATEGY_PARTITION_ID) return;
    if (p->instance_bits + p->schema_bits + p->table_bits >= ID_BITS)
        problem_add(&b->problems, ERR_CONFIG_VALUE, key->place, "lower one of the widths",
                    "instance-bits, schema-bits and table-bits leave nothing of 63 bits for the id");
    if (!p->n_instances && !p->has_schema && !p->has_table)
        problem_add(&b->problems, ERR_CONFIG_MISSING, key->place,
                    "add instances, schema-prefix or table-prefix, whatever tells the shard tables apart",
                    "partition-id: nothing gives the shard tables different numbers");
}

static KeyStrategy strategy_of(Str name)
{
    static const struct {
        const char *name;
        KeyStrategy strategy;
    } names[] = {{"error", KEY_STRATEGY_ERROR},
                 {"partition-id", KEY_STRATEGY_PARTITION_ID},
                 {"stride", KEY_STRATEGY_STRIDE},
                 {"composite", KEY_STRATEGY_COMPOSITE},
                 {"plain-index", KEY_STRATEGY_PLAIN_INDEX},
                 {"remap", KEY_STRATEGY_REMAP}};
    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        if (str_eqc(name, names[i].name)) return names[i].strategy;
    return KEY_STRATEGY_ERROR;
}

/* "first", "last" (also empty) or "after COLUMN" → as ProvenanceRule.position says. */
static Str position_of(Build *b, const Node *map)
{
    Str text = str_trim(keys_str(SECTION_PROVENANCE, map, "position"));
    if (str_eqc(text, "last")) return (Str){0};
    if (str_eqc(text, "first")) return text;
    if (str_istarts(text, STR("after "))) return str_trim((Str){text.ptr + 6, text.len - 6});
    problem_add(&b->problems, ERR_CONFIG_VALUE, keys_place(map, "position"),
                "write first, last, or after COLUMN", "position: not a place in a table");
    return (Str){0};
}

/* The types a provenance column may have; CHAR and the like with a length. */
static bool type_usable(Str type)
{
    static const char *const sized[] = {"char(", "varchar(", "binary(", "varbinary("};
    static const char *const whole[] = {"tinyint", "smallint", "mediumint", "int", "bigint"};
    if (!type.len) return true;
    for (size_t i = 0; i < ARRAY_LEN(sized); i++)
        if (str_istarts(type, str_of(sized[i])) && type.ptr[type.len - 1] == ')') return true;
    for (size_t i = 0; i < ARRAY_LEN(whole); i++) {
        Str rest = type, head = str_split(&rest, ' ');
        if (str_ieq(head, str_of(whole[i])) && (!rest.len || str_ieq(rest, STR("unsigned")))) return true;
    }
    return false;
}

static void provenance_add(Build *b, RouteRule *out, ProvenanceRule rule)
{
    KeyRule *key = &out->key;
    for (size_t i = 0; i < key->n_provenance; i++)
        if (rule.column.len && str_ieq(key->provenance[i].column, rule.column))
            problem_add(&b->problems, ERR_CONFIG_VALUE, rule.place, "remove one of the two",
                        "column " STR_FMT " is filled twice", STR_ARG(rule.column));
    key->provenance[key->n_provenance++] = rule;
}

static void extract_build(Build *b, const Node *route, RouteRule *out, Section s, const char *key,
                          const char *regexp, ProvenanceKind kind)
{
    const Node *map = node_get(route, key);
    if (!map) return;
    provenance_add(b, out,
                   (ProvenanceRule){.column = required(b, s, map, "target-column", str_of(key)),
                                    .kind = kind,
                                    .text = required(b, s, map, regexp, str_of(key)),
                                    .place = keys_place(route, key)});
}

static void provenance_build(Build *b, const Node *map, RouteRule *out)
{
    const Section s = SECTION_PROVENANCE;
    const Node *list = map ? node_get(map, "provenance") : NULL;
    for (const NodeEntry *e = list ? list->first : NULL; e; e = e->next) {
        ProvenanceRule r = {.column = required(b, s, e->value, "column", STR("provenance")),
                            .text = required(b, s, e->value, "value", STR("provenance")),
                            .type = keys_str(s, e->value, "type"),
                            .position = position_of(b, e->value),
                            .place = e->value->place};
        if (!type_usable(r.type))
            problem_add(&b->problems, ERR_CONFIG_VALUE, keys_place(e->value, "type"),
                        "write an integer type, or CHAR(n), VARCHAR(n), BINARY(n) or VARBINARY(n)",
                        "type: not one that a provenance column may have");
        provenance_add(b, out, r);
    }
}

static void references_build(Build *b, const Node *map, KeyRule *key)
{
    const Section s = SECTION_REFERENCE;
    const Node *list = node_get(map, "references");
    if (!list) return;
    key->references = arena_array(arena_of(b), ReferenceRule, list->n + 1);
    for (const NodeEntry *e = list->first; e; e = e->next) {
        Str table = required(b, s, e->value, "table", STR("references")), rest = table;
        Str head = str_split(&rest, '.');
        bool full = head.len < table.len;
        key->references[key->n_references++] =
            (ReferenceRule){.column = required(b, s, e->value, "column", STR("references")),
                            .schema = full ? head : (Str){0},
                            .table = full ? rest : table,
                            .of = keys_str(s, e->value, "of"),
                            .map_zero = keys_bool(s, e->value, "map-zero"),
                            .place = e->value->place};
    }
}

ConflictPolicy conflict_policy_of(Str name)
{
    static const struct {
        const char *name;
        ConflictPolicy policy;
    } names[] = {{"conflict-table", CONFLICT_TABLE},
                 {"keep-first", CONFLICT_KEEP_FIRST},
                 {"keep-newest", CONFLICT_KEEP_NEWEST}};
    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        if (str_eqc(name, names[i].name)) return names[i].policy;
    return CONFLICT_STOP;
}

/* The rule's own word, else the task's. map may be NULL. */
static Str own_or_task(Build *b, const Node *map, const char *key, ConfigPlace *place)
{
    Str own = map && node_get(map, key) ? keys_str(SECTION_KEY, map, key) : (Str){0};
    if (own.len) {
        *place = keys_place(map, key);
        return own;
    }
    if (node_get(b->root, key)) *place = keys_place(b->root, key);
    return keys_str(SECTION_TASK, b->root, key);
}

/* What the task says for all rules must hold for this one, too: a policy that does not is never passed over.
 */
static void conflict_build(Build *b, const Node *map, RouteRule *out)
{
    KeyRule *key = &out->key;
    ConfigPlace place = key->place, column_place = key->place;
    Str policy = own_or_task(b, map, "on-collision", &place);
    Str column = own_or_task(b, map, "collision-column", &column_place);
    key->on_conflict = conflict_policy_of(policy);
    bool by_column = key->on_conflict == CONFLICT_KEEP_FIRST || key->on_conflict == CONFLICT_KEEP_NEWEST;
    if (key->on_conflict != CONFLICT_STOP && !key->n_provenance)
        problem_add(&b->problems, ERR_CONFIG_MISSING, place,
                    "add provenance: [{column: shard, value: \"${source}\"}] to the rule's key, or "
                    "on-collision: stop there",
                    "on-collision: " STR_FMT " needs provenance columns in rule " STR_FMT
                    ": they say whose row a row is",
                    STR_ARG(policy), STR_ARG(out->name));
    if (by_column && !column.len)
        problem_add(&b->problems, ERR_CONFIG_MISSING, place,
                    "add collision-column: created_at (or updated_at, version, …), or use conflict-table",
                    "on-collision: " STR_FMT " needs collision-column in rule " STR_FMT
                    ": which row arrives first is not the same after a restart, nor for rows that are copied",
                    STR_ARG(policy), STR_ARG(out->name));
    else if (by_column)
        key->conflict_column = column;
    else if (map && node_get(map, "collision-column"))
        problem_add(&b->problems, ERR_CONFIG_VALUE, column_place,
                    "remove it, or set on-collision to keep-first or keep-newest",
                    "collision-column: on-collision: " STR_FMT " compares no column", STR_ARG(policy));
}

static void strategy_build(Build *b, const Node *map, RouteRule *out)
{
    const Section s = SECTION_KEY;
    KeyRule *key = &out->key;
    key->strategy = strategy_of(keys_str(s, map, "strategy"));
    key->column = keys_str(s, map, "column");
    key->shards = keys_u64(s, map, "shards");
    key->no_foreign_keys = !keys_bool(s, map, "foreign-keys");
    partition_build(b, map, key);
    strs_build(b, map, "global-keys", &key->global_keys, &key->n_global_keys);
    strs_build(b, map, "plain-keys", &key->plain_keys, &key->n_plain_keys);
    references_build(b, map, key);
    if (key->strategy == KEY_STRATEGY_STRIDE) build_require(b, map, "shards", STR("key"));
    bool needs = key->strategy == KEY_STRATEGY_COMPOSITE || key->strategy == KEY_STRATEGY_PLAIN_INDEX;
    if (needs && !key->n_provenance)
        problem_add(&b->problems, ERR_CONFIG_MISSING, key->place,
                    "add provenance: [{column: shard, value: \"${source}\"}]",
                    "strategy " STR_FMT " needs provenance columns", STR_ARG(keys_str(s, map, "strategy")));
}

void key_rule_build(Build *b, const Node *route, RouteRule *out)
{
    enum { EXTRACTS = 3 };
    const Node *map = node_get(route, "key"), *list = map ? node_get(map, "provenance") : NULL;
    out->key.partition = (PartitionRule){.instance_bits = 4, .schema_bits = 7, .table_bits = 8};
    out->key.place = map ? keys_place(route, "key") : out->place;
    out->key.provenance = arena_array(arena_of(b), ProvenanceRule, EXTRACTS + (list ? list->n : 0));
    extract_build(b, route, out, SECTION_EXTRACT_TABLE, "extract-table", "table-regexp", PROVENANCE_TABLE);
    extract_build(b, route, out, SECTION_EXTRACT_SCHEMA, "extract-schema", "schema-regexp",
                  PROVENANCE_SCHEMA);
    extract_build(b, route, out, SECTION_EXTRACT_SOURCE, "extract-source", "source-regexp",
                  PROVENANCE_SOURCE);
    provenance_build(b, map, out);
    if (map) strategy_build(b, map, out);
    conflict_build(b, map, out);
    strs_build(b, route, "drop-columns", &out->drop_columns, &out->n_drop_columns);
}

/* -- column-mappings -- */

static void arguments_build(Build *b, const Node *map, MappingRule *out)
{
    const Node *list = node_get(map, "arguments");
    Str text[MAPPING_ARGUMENTS] = {{0}};
    size_t n = 0;
    for (const NodeEntry *e = list ? list->first : NULL; e; e = e->next, n++)
        if (n < MAPPING_ARGUMENTS) text[n] = e->value->text;
    ConfigPlace place = keys_place(map, "arguments");
    if (n != 3 && n != MAPPING_ARGUMENTS) {
        problem_add(&b->problems, ERR_CONFIG_VALUE, place,
                    "write [instance number, schema prefix, table prefix] or the same with a separator",
                    "arguments: partition id takes three or four of them, not %zu", n);
        return;
    }
    out->has_instance = text[0].len > 0;
    if (out->has_instance && (!str_to_u64(text[0], &out->instance) || out->instance > 15))
        problem_add(&b->problems, ERR_CONFIG_VALUE, place, "write a number from 0 to 15, or the empty text",
                    "arguments: the instance number does not fit into 4 bits");
    out->partition = (PartitionRule){.instance_bits = 4,
                                     .schema_bits = 7,
                                     .table_bits = 8,
                                     .has_schema = text[1].len > 0,
                                     .has_table = text[2].len > 0,
                                     .schema_prefix = text[1],
                                     .table_prefix = text[2],
                                     .separator = text[3]};
}

static void mapping_build(Build *b, const NodeEntry *e, MappingRule *out)
{
    const Section s = SECTION_COLUMN_MAPPING;
    const Node *map = e->value;
    out->name = e->key->text;
    out->place = e->key->place;
    out->schema_pattern = required(b, s, map, "schema-pattern", out->name);
    out->table_pattern = keys_str(s, map, "table-pattern");
    out->column = required(b, s, map, "source-column", out->name);
    Str expression = required(b, s, map, "expression", out->name), target = keys_str(s, map, "target-column");
    if (expression.len && !str_ieq(expression, STR("partition id"))) {
        problem_add(&b->problems, ERR_NOT_SUPPORTED, keys_place(map, "expression"),
                    "use partition id, or a provenance column",
                    "expression: only `partition id` is supported");
        return;
    }
    if (target.len && !str_ieq(target, out->column))
        problem_add(&b->problems, ERR_NOT_SUPPORTED, keys_place(map, "target-column"),
                    "name the source-column", "target-column: another column than source-column");
    arguments_build(b, map, out);
}

void mappings_build(Build *b)
{
    const Node *all = node_get(b->root, "column-mappings");
    if (!all) return;
    b->task->mappings = arena_array(arena_of(b), MappingRule, all->n + 1);
    for (const NodeEntry *e = all->first; e; e = e->next) {
        if (e->value->bad) continue;
        if (e->value->kind == NODE_MAP)
            mapping_build(b, e, &b->task->mappings[b->task->n_mappings++]);
        else
            problem_add(&b->problems, ERR_CONFIG_MISSING, e->key->place,
                        "write its keys below it, or remove it", "'" STR_FMT "' is empty",
                        STR_ARG(e->key->text));
    }
}

MappingRule *mapping_named(const Build *b, Str name)
{
    for (size_t i = 0; i < b->task->n_mappings; i++)
        if (str_eq(b->task->mappings[i].name, name)) return &b->task->mappings[i];
    return NULL;
}
