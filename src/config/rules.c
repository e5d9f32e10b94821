#include "config/build.h"
#include "base/poison.h"

static Str required_str(Build *b, Section section, const Node *map, const char *key, Str owner)
{
    build_require(b, map, key, owner);
    return keys_str(section, map, key);
}

static LossPolicy loss_of(Str name)
{
    if (str_eqc(name, "ignore")) return LOSS_IGNORE;
    if (str_eqc(name, "delete-shard-rows")) return LOSS_DELETE_ROWS;
    if (str_eqc(name, "apply-when-all")) return LOSS_APPLY_WHEN_ALL;
    return LOSS_HOLD;
}

/* Only rows that say whose they are can be deleted: by provenance, or by the share of ids that they are in.
 */
static void delete_check(Build *b, const Node *map, const char *key, const KeyRule *k)
{
    bool tells =
        k->n_provenance || k->strategy == KEY_STRATEGY_PARTITION_ID || k->strategy == KEY_STRATEGY_STRIDE;
    if (!tells)
        problem_add(&b->problems, ERR_CONFIG_MISSING, keys_place(map, key),
                    "add key: {provenance: [{column: shard, value: \"${source}\"}]}, or use hold",
                    "%s: delete-shard-rows needs provenance columns, or a key strategy that gives each shard "
                    "ids of its own: they say whose row a row is",
                    key);
    if (k->on_conflict == CONFLICT_STOP) return;
    problem_add(&b->problems, ERR_NOT_SUPPORTED, keys_place(map, key), "use hold, or on-collision: stop",
                "%s: delete-shard-rows together with another on-collision than stop", key);
}

static void loss_build(Build *b, const Node *map, RouteRule *out)
{
    const struct {
        const char *key;
        LossPolicy *policy;
    } keys[] = {{"on-drop", &out->loss.on_drop},
                {"on-truncate", &out->loss.on_truncate},
                {"on-drop-partition", &out->loss.on_drop_partition},
                {"on-rename-out", &out->loss.on_rename_out}};
    for (size_t i = 0; i < ARRAY_LEN(keys); i++) {
        *keys[i].policy = loss_of(keys_str(SECTION_ROUTE, map, keys[i].key));
        if (*keys[i].policy == LOSS_HOLD) continue;
        if (*keys[i].policy == LOSS_DELETE_ROWS) delete_check(b, map, keys[i].key, &out->key);
        if (b->task->shard_mode == SHARD_MODE_NONE)
            problem_add(&b->problems, ERR_CONFIG_MISSING, keys_place(map, keys[i].key),
                        "set shard-mode: pessimistic (or optimistic), or remove it",
                        "%s goes only with shard-mode: without it a source stops before such a statement",
                        keys[i].key);
    }
}

static void route_build(Build *b, const NodeEntry *e, RouteRule *out)
{
    const Section s = SECTION_ROUTE;
    const Node *map = e->value;
    out->name = e->key->text;
    out->place = e->key->place;
    out->schema_pattern = required_str(b, s, map, "schema-pattern", out->name);
    out->table_pattern = keys_str(s, map, "table-pattern");
    out->target_schema = required_str(b, s, map, "target-schema", out->name);
    out->target_table = keys_str(s, map, "target-table");
    if (out->target_table.len && !out->table_pattern.len && node_get(map, "schema-pattern"))
        problem_add(&b->problems, ERR_CONFIG_MISSING, keys_place(map, "target-table"),
                    "add table-pattern: \"*\" to send every table there, or remove target-table",
                    "target-table without table-pattern in " STR_FMT, STR_ARG(out->name));
    key_rule_build(b, map, out);
    loss_build(b, map, out);
}

/* A map of keys stands under this name; an empty entry (name:) has no keys at all. */
static bool entry_usable(Build *b, const NodeEntry *e)
{
    if (e->value->bad) return false;
    if (e->value->kind == NODE_MAP) return true;
    return problem_add(&b->problems, ERR_CONFIG_MISSING, e->key->place,
                       "write its keys below it, or remove it", "'" STR_FMT "' is empty",
                       STR_ARG(e->key->text));
}

static void routes_build(Build *b)
{
    const Node *routes = node_get(b->root, "routes");
    if (!routes) return;
    b->task->routes = arena_array(&b->task->arena, RouteRule, routes->n + 1);
    for (const NodeEntry *e = routes->first; e; e = e->next)
        if (entry_usable(b, e)) {
            RouteRule *rule = &b->task->routes[b->task->n_routes++];
            route_build(b, e, rule);
            map_put(&b->routes, rule->name, rule);
        }
}

static void dbs_build(Build *b, const Node *map, const char *key, Str **out, size_t *n)
{
    const Node *list = node_get(map, key);
    if (!list) return;
    *out = arena_array(&b->task->arena, Str, list->n + 1);
    for (const NodeEntry *e = list->first; e; e = e->next) {
        if (e->value->text.len)
            (*out)[(*n)++] = e->value->text;
        else
            problem_add(&b->problems, ERR_CONFIG_VALUE, e->value->place, "remove the entry",
                        "%s: an entry is empty", key);
    }
}

static void tables_build(Build *b, const Node *map, const char *key, TablePattern **out, size_t *n)
{
    const Node *list = node_get(map, key);
    if (!list) return;
    *out = arena_array(&b->task->arena, TablePattern, list->n + 1);
    for (const NodeEntry *e = list->first; e; e = e->next)
        (*out)[(*n)++] = (TablePattern){
            .schema = required_str(b, SECTION_TABLE, e->value, "db-name", str_of(key)),
            .table = required_str(b, SECTION_TABLE, e->value, "tbl-name", str_of(key)),
            .place = e->value->place,
        };
}

static void allow_list_build(Build *b, const NodeEntry *e, AllowList *out)
{
    const Node *map = e->value;
    out->name = e->key->text;
    out->place = e->key->place;
    dbs_build(b, map, "do-dbs", &out->do_dbs, &out->n_do_dbs);
    dbs_build(b, map, "ignore-dbs", &out->ignore_dbs, &out->n_ignore_dbs);
    tables_build(b, map, "do-tables", &out->do_tables, &out->n_do_tables);
    tables_build(b, map, "ignore-tables", &out->ignore_tables, &out->n_ignore_tables);
}

static void allow_lists_build(Build *b)
{
    const Node *new_name = node_get(b->root, "block-allow-list");
    const Node *old_name = node_get(b->root, "black-white-list");
    if (new_name && new_name->n && old_name && old_name->n)
        problem_add(&b->problems, ERR_CONFIG_VALUE, keys_place(b->root, "black-white-list"),
                    "move its lists into block-allow-list",
                    "both block-allow-list and black-white-list are given: two names of one section");
    const Node *lists = new_name && new_name->n ? new_name : old_name;
    if (!lists) return;
    b->task->allow_lists = arena_array(&b->task->arena, AllowList, lists->n + 1);
    for (const NodeEntry *e = lists->first; e; e = e->next)
        if (entry_usable(b, e)) allow_list_build(b, e, &b->task->allow_lists[b->task->n_allow_lists++]);
}

void rules_build(Build *b)
{
    routes_build(b);
    mappings_build(b);
    allow_lists_build(b);
}

const AllowList *rules_allow_list(const Build *b, Str name)
{
    for (size_t i = 0; i < b->task->n_allow_lists; i++)
        if (str_eq(b->task->allow_lists[i].name, name)) return &b->task->allow_lists[i];
    return NULL;
}
