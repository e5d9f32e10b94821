#include "route/keys.h"
#include "base/poison.h"

enum { ID_BITS = 63, CHAIN_MAX = 8 /* a reference to a reference to … */ };

const char *keys_strategy_name(KeyStrategy s)
{
    static const char *const names[] = {
        [KEY_STRATEGY_ERROR] = "error",
        [KEY_STRATEGY_PARTITION_ID] = "partition-id",
        [KEY_STRATEGY_STRIDE] = "stride",
        [KEY_STRATEGY_COMPOSITE] = "composite",
        [KEY_STRATEGY_PLAIN_INDEX] = "plain-index",
        [KEY_STRATEGY_REMAP] = "remap",
    };
    return names[s];
}

bool keys_is_integer(Str data_type)
{
    static const char *const names[] = {"tinyint", "smallint", "mediumint", "int", "bigint"};
    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        if (str_ieq(data_type, str_of(names[i]))) return true;
    return false;
}

/* -- numbers -- */

/* The number of a name: 0 for the prefix itself, else the decimal number behind prefix and separator. */
static bool name_number(const PartitionRule *p, Str name, Str prefix, unsigned bits, const char *what,
                        uint64_t *out, Err *err)
{
    *out = 0;
    if (str_eq(name, prefix)) return true;
    Str rest = {name.ptr + MIN(prefix.len, name.len), name.len - MIN(prefix.len, name.len)};
    bool ok = str_starts(name, prefix) && str_starts(rest, p->separator);
    if (ok) rest = (Str){rest.ptr + p->separator.len, rest.len - p->separator.len};
    if (!ok || !str_to_u64(rest, out))
        return err_set_remedy(
            err, ERR_KEY_STRATEGY, "name the prefix so that only digits are left, or use the strategy stride",
            "partition-id: %s name \"" STR_FMT "\" is not \"" STR_FMT STR_FMT "\" and a decimal number", what,
            STR_ARG(name), STR_ARG(prefix), STR_ARG(p->separator));
    if (*out >> bits == 0) return true;
    return err_set_remedy(err, ERR_KEY_STRATEGY, "give the part more bits, or use the strategy stride",
                          "partition-id: the number of %s \"" STR_FMT "\" does not fit into %u bits", what,
                          STR_ARG(name), bits);
}

bool keys_partition(const PartitionRule *p, const uint64_t *instance, TableName shard, KeyRewrite *out,
                    Err *err)
{
    unsigned taken = p->instance_bits + p->schema_bits + p->table_bits, shift = ID_BITS;
    uint64_t number, share = 0;
    if (taken >= ID_BITS)
        return err_set(err, ERR_KEY_STRATEGY, "partition-id: the widths leave no bit for the id");
    if (instance) {
        if (*instance >> p->instance_bits)
            return err_set_remedy(err, ERR_KEY_STRATEGY, "give the part more bits, or a smaller number",
                                  "partition-id: instance number %llu does not fit into %u bits",
                                  (unsigned long long)*instance, p->instance_bits);
        shift -= p->instance_bits;
        share |= *instance << shift;
    }
    if (p->has_schema) {
        if (!name_number(p, shard.schema, p->schema_prefix, p->schema_bits, "schema", &number, err))
            return false;
        shift -= p->schema_bits;
        share |= number << shift;
    }
    if (p->has_table) {
        if (!name_number(p, shard.table, p->table_prefix, p->table_bits, "table", &number, err)) return false;
        shift -= p->table_bits;
        share |= number << shift;
    }
    *out = (KeyRewrite){.multiply = 1,
                        .add = share,
                        .low = 0,
                        .high = (UINT64_C(1) << (ID_BITS - taken)) - 1,
                        .strategy = keys_strategy_name(KEY_STRATEGY_PARTITION_ID)};
    return true;
}

bool keys_stride(uint64_t shards, uint32_t number, KeyRewrite *out, Err *err)
{
    if (number >= shards)
        return err_set_remedy(err, ERR_KEY_STRATEGY,
                              "a larger `shards` gives every id another value: load the target anew with it",
                              "stride: the shard would have number %u, but `shards` is %llu", number,
                              (unsigned long long)shards);
    *out = (KeyRewrite){.multiply = shards,
                        .add = number,
                        .low = INT64_MIN,
                        .high = UINT64_MAX,
                        .strategy = keys_strategy_name(KEY_STRATEGY_STRIDE)};
    return true;
}

/* -- one table -- */

Str keys_id_column(const KeyRule *key, const TableSchema *schema)
{
    if (key->column.len) return key->column;
    for (uint32_t i = 0; i < schema->n_columns; i++)
        if (schema->columns[i].auto_increment) return schema->columns[i].name;
    const KeyDef *primary = schema_primary(schema);
    Str found = {0};
    for (uint32_t i = 0; primary && i < primary->n_parts; i++) {
        const KeyPart *p = &primary->parts[i];
        if (p->column >= schema->n_columns || !keys_is_integer(schema->columns[p->column].data_type))
            continue;
        if (found.len) return (Str){0};
        found = schema->columns[p->column].name;
    }
    return found;
}

/* A shard table on whose columns something is decided; schema NULL: not known. */
typedef struct Subject {
    TableName shard;
    const RouteAnswer *answer;
    const TableSchema *schema;
} Subject;

typedef struct Resolver {
    const KeyWorld *w;
    Arena *arena;
} Resolver;

static bool rewrites_ids(KeyStrategy s)
{
    return s == KEY_STRATEGY_PARTITION_ID || s == KEY_STRATEGY_STRIDE || s == KEY_STRATEGY_REMAP;
}

static bool rewrites(const RouteAnswer *a)
{
    if (a->mapping) return true;
    return a->rule && rewrites_ids(a->rule->key.strategy);
}

static bool instance_of(const Resolver *r, const KeyRule *key, uint64_t *number, bool *has, Err *err)
{
    Str source = router_source_id(r->w->router);
    *has = key->partition.n_instances > 0;
    for (size_t i = 0; i < key->partition.n_instances; i++)
        if (str_eq(key->partition.instances[i].source, source)) {
            *number = key->partition.instances[i].number;
            return true;
        }
    if (!*has) return true;
    return err_set_remedy(err, ERR_KEY_STRATEGY, "add it to `instances`",
                          "partition-id: `instances` has no number for source " STR_FMT, STR_ARG(source));
}

/* Any id may have a new one; which, the map says. */
static void remap_rewrite(const Resolver *r, const Subject *s, KeyRewrite *out)
{
    const KeyRule *key = &s->answer->rule->key;
    Str column = key->column.len || !s->schema ? key->column : keys_id_column(key, s->schema);
    KeySpace like = {.source = router_source_id(r->w->router),
                     .shard = s->shard,
                     .target = s->answer->target,
                     .column = column};
    const KeySpace *space = r->w->space ? r->w->space(r->w->ctx, &like) : NULL;
    if (!space) {
        KeySpace *own = arena_new(r->arena, KeySpace);
        *own = like;
        space = own;
    }
    *out = (KeyRewrite){.multiply = 1,
                        .low = INT64_MIN,
                        .high = INT64_MAX,
                        .strategy = keys_strategy_name(KEY_STRATEGY_REMAP),
                        .space = space};
}

/* The share of the subject's own ids. */
static bool own_rewrite(const Resolver *r, const Subject *s, KeyRewrite *out, Err *err)
{
    const RouteAnswer *a = s->answer;
    if (a->mapping)
        return keys_partition(&a->mapping->partition, a->mapping->has_instance ? &a->mapping->instance : NULL,
                              s->shard, out, err);
    const KeyRule *key = &a->rule->key;
    uint64_t instance = 0;
    uint32_t number = 0;
    bool has = false;
    if (key->strategy == KEY_STRATEGY_REMAP) {
        remap_rewrite(r, s, out);
        return true;
    }
    if (key->strategy == KEY_STRATEGY_STRIDE)
        return r->w->number(r->w->ctx, s->shard, a->target, &number, err) &&
               keys_stride(key->shards, number, out, err);
    return instance_of(r, key, &instance, &has, err) &&
           keys_partition(&key->partition, has ? &instance : NULL, s->shard, out, err);
}

static const ReferenceRule *declared_for(const RouteAnswer *a, Str column, Str *of)
{
    const KeyRule *key = a->rule ? &a->rule->key : NULL;
    for (size_t i = 0; key && i < key->n_references; i++)
        if (str_ieq(key->references[i].column, column)) {
            *of = a->reference_of ? a->reference_of[i] : (Str){0};
            return &key->references[i];
        }
    return NULL;
}

static bool is_own_id(const Subject *s, Str column)
{
    if (s->answer->mapping) return str_ieq(s->answer->mapping->column, column);
    if (s->schema) return str_ieq(keys_id_column(&s->answer->rule->key, s->schema), column);
    Str named = s->answer->rule->key.column;
    return !named.len || str_ieq(named, column);
}

typedef enum Found { FOUND_NOTHING, FOUND_OWN, FOUND_REFERENCE, FOUND_ERROR } Found;

static Found column_rewrite(const Resolver *r, const Subject *s, Str column, unsigned depth, KeyRewrite *out,
                            Err *err);

/* The rewriting that a column of another shard table of the same source has. */
static Found parent_rewrite(const Resolver *r, TableName parent, Str column, unsigned depth, KeyRewrite *out,
                            Err *err)
{
    RouteAnswer *answer = arena_new(r->arena, RouteAnswer);
    router_table(r->w->router, parent, r->arena, answer);
    if (answer->outcome != ROUTE_MATCHED && answer->outcome != ROUTE_UNMATCHED) return FOUND_NOTHING;
    Subject s = {parent, answer, r->w->schema(r->w->ctx, parent)};
    if (!column.len && s.schema && answer->rule && !answer->mapping)
        column = keys_id_column(&answer->rule->key, s.schema);
    if (!column.len && answer->mapping) column = answer->mapping->column;
    if (!column.len && answer->rule) column = answer->rule->key.column;
    return column_rewrite(r, &s, column, depth, out, err);
}

/* schema.table, or table in the shard's own schema. */
static TableName name_in(Str text, TableName shard)
{
    Str rest = text, head = str_split(&rest, '.');
    return head.len < text.len ? (TableName){head, rest} : (TableName){shard.schema, text};
}

static Str trailing_digits(Str name)
{
    size_t n = name.len;
    while (n && name.ptr[n - 1] >= '0' && name.ptr[n - 1] <= '9')
        n--;
    return (Str){name.ptr + n, name.len - n};
}

/* The shard table whose ids a declared reference holds: of the same source and schema; of several the one
 * whose name ends in the same digits. */
static bool find_parent(const Resolver *r, const Subject *s, const ReferenceRule *ref, TableName target,
                        TableName *out, Err *err)
{
    size_t iter = 0, same_schema = 0, same_digits = 0;
    TableName t, digits = {{0}, {0}};
    while (r->w->next_shard(r->w->ctx, target, &iter, &t)) {
        if (!str_eq(t.schema, s->shard.schema)) continue;
        *out = t;
        same_schema++;
        if (!str_eq(trailing_digits(t.table), trailing_digits(s->shard.table))) continue;
        digits = t;
        same_digits++;
    }
    if (same_schema == 1) return true;
    if (same_digits == 1) {
        *out = digits;
        return true;
    }
    return err_set_remedy(
        err, ERR_KEY_STRATEGY, "say which with `of`: \"orders_$1\", or \"${schema}.orders\"",
        STR_FMT "." STR_FMT ", reference `" STR_FMT "`: %zu tables of its schema go into " STR_FMT "." STR_FMT
                ": which one's ids does it hold?",
        STR_ARG(s->shard.schema), STR_ARG(s->shard.table), STR_ARG(ref->column), same_schema,
        STR_ARG(target.schema), STR_ARG(target.table));
}

static Found declared_rewrite(const Resolver *r, const Subject *s, const ReferenceRule *ref, Str of,
                              unsigned depth, KeyRewrite *out, Err *err)
{
    TableName target = {ref->schema.len ? ref->schema : s->answer->target.schema, ref->table}, parent;
    if (of.len)
        parent = name_in(of, s->shard);
    else if (table_name_eq(target, s->answer->target))
        parent = s->shard;
    else if (!find_parent(r, s, ref, target, &parent, err))
        return FOUND_ERROR;
    RouteAnswer answer;
    router_table(r->w->router, parent, r->arena, &answer);
    bool routed = answer.outcome == ROUTE_MATCHED || answer.outcome == ROUTE_UNMATCHED;
    if (!routed || !table_name_eq(answer.target, target)) {
        err_set_remedy(err, ERR_KEY_STRATEGY, "name a shard table that is routed there",
                       STR_FMT "." STR_FMT ", reference `" STR_FMT "`: " STR_FMT "." STR_FMT
                               " is not routed to " STR_FMT "." STR_FMT,
                       STR_ARG(s->shard.schema), STR_ARG(s->shard.table), STR_ARG(ref->column),
                       STR_ARG(parent.schema), STR_ARG(parent.table), STR_ARG(target.schema),
                       STR_ARG(target.table));
        return FOUND_ERROR;
    }
    Found f = parent_rewrite(r, parent, (Str){0}, depth + 1, out, err);
    if (f == FOUND_NOTHING || f == FOUND_ERROR) return f;
    out->keep_zero = !ref->map_zero;
    return FOUND_REFERENCE;
}

/* By the foreign keys of the shard: whatever the parent's column becomes, this one becomes. */
static Found foreign_rewrite(const Resolver *r, const Subject *s, Str column, unsigned depth, KeyRewrite *out,
                             Err *err)
{
    if (!s->schema || (s->answer->rule && s->answer->rule->key.no_foreign_keys)) return FOUND_NOTHING;
    for (uint32_t k = 0; k < s->schema->n_foreign_keys; k++) {
        const ForeignKey *fk = &s->schema->foreign_keys[k];
        for (uint32_t i = 0; i < fk->n_columns; i++) {
            if (!str_ieq(s->schema->columns[fk->columns[i]].name, column)) continue;
            if (table_name_eq(fk->parent, s->shard) && str_ieq(fk->parent_columns[i], column)) continue;
            Found f = parent_rewrite(r, fk->parent, fk->parent_columns[i], depth + 1, out, err);
            if (f == FOUND_ERROR) return f;
            if (f != FOUND_NOTHING) return FOUND_REFERENCE;
        }
    }
    return FOUND_NOTHING;
}

/* What becomes of a column: a declared reference, the id that the rule names, a foreign key, the id that the
 * rule takes by itself; the first that holds. */
static Found column_rewrite(const Resolver *r, const Subject *s, Str column, unsigned depth, KeyRewrite *out,
                            Err *err)
{
    Str of = {0};
    if (depth > CHAIN_MAX) {
        err_set_remedy(err, ERR_KEY_STRATEGY, "declare the ids' home with `column` in its rule",
                       STR_FMT "." STR_FMT ", column `" STR_FMT "`: its references go in a circle",
                       STR_ARG(s->shard.schema), STR_ARG(s->shard.table), STR_ARG(column));
        return FOUND_ERROR;
    }
    const ReferenceRule *ref = declared_for(s->answer, column, &of);
    if (ref) return declared_rewrite(r, s, ref, of, depth, out, err);
    bool own = rewrites(s->answer) && is_own_id(s, column);
    bool named = own && (s->answer->mapping || s->answer->rule->key.column.len);
    if (named) return own_rewrite(r, s, out, err) ? FOUND_OWN : FOUND_ERROR;
    Found f = foreign_rewrite(r, s, column, depth, out, err);
    if (f != FOUND_NOTHING) return f;
    if (own) return own_rewrite(r, s, out, err) ? FOUND_OWN : FOUND_ERROR;
    return FOUND_NOTHING;
}

/* -- what is written must make sense -- */

static bool column_usable(const Subject *s, Str column, const char *what, Err *err)
{
    uint32_t at = schema_column(s->schema, column);
    if (at == UINT32_MAX)
        return err_set_remedy(err, ERR_KEY_STRATEGY, "name a column that every shard table has",
                              "%s `" STR_FMT "` is not a column of " STR_FMT "." STR_FMT, what,
                              STR_ARG(column), STR_ARG(s->shard.schema), STR_ARG(s->shard.table));
    const ColumnDef *c = &s->schema->columns[at];
    if (keys_is_integer(c->data_type) && !c->generated) return true;
    return err_set_remedy(err, ERR_NOT_SUPPORTED, "use the strategy composite, which rewrites nothing",
                          "%s `" STR_FMT "` of " STR_FMT "." STR_FMT " is " STR_FMT
                          "%s: only plain integer columns are rewritten",
                          what, STR_ARG(column), STR_ARG(s->shard.schema), STR_ARG(s->shard.table),
                          STR_ARG(c->column_type), c->generated ? ", generated" : "");
}

static bool rule_usable(const Subject *s, Err *err)
{
    const RouteAnswer *a = s->answer;
    const KeyRule *key = a->rule ? &a->rule->key : NULL;
    if (a->mapping && !column_usable(s, a->mapping->column, "source-column", err)) return false;
    if (a->mapping && key && rewrites_ids(key->strategy))
        return err_set_remedy(err, ERR_KEY_STRATEGY, "keep one of the two",
                              STR_FMT "." STR_FMT
                                      " has a column mapping and a key strategy that rewrites ids",
                              STR_ARG(s->shard.schema), STR_ARG(s->shard.table));
    if (!key) return true;
    for (size_t i = 0; i < key->n_references; i++)
        if (!column_usable(s, key->references[i].column, "reference", err)) return false;
    bool needs_provenance =
        key->strategy == KEY_STRATEGY_COMPOSITE || key->strategy == KEY_STRATEGY_PLAIN_INDEX;
    if (needs_provenance && !key->n_provenance)
        return err_set_remedy(err, ERR_KEY_STRATEGY, "add `provenance` to the key map",
                              "key strategy %s has no provenance columns", keys_strategy_name(key->strategy));
    if (!rewrites_ids(key->strategy)) return true;
    Str id = keys_id_column(key, s->schema);
    if (id.len) return column_usable(s, id, "column", err);
    return err_set_remedy(err, ERR_KEY_STRATEGY, "name the column of the ids with `column`",
                          STR_FMT "." STR_FMT " has no AUTO_INCREMENT column and no single integer in its "
                                  "primary key: which column holds the ids?",
                          STR_ARG(s->shard.schema), STR_ARG(s->shard.table));
}

static bool fill_columns(const Resolver *r, const Subject *s, MemberKeys *m, Err *err)
{
    m->columns = arena_array(r->arena, KeyColumn, s->schema->n_columns + 1);
    for (uint32_t i = 0; i < s->schema->n_columns; i++) {
        const ColumnDef *c = &s->schema->columns[i];
        if (!keys_is_integer(c->data_type) || c->generated) continue;
        KeyColumn *k = &m->columns[m->n_columns];
        *k = (KeyColumn){.column = c->name};
        Found f = column_rewrite(r, s, c->name, 0, &k->rewrite, err);
        if (f == FOUND_ERROR) return false;
        if (f == FOUND_NOTHING) continue;
        k->is_reference = f == FOUND_REFERENCE;
        if (f == FOUND_OWN) m->own = m->n_columns;
        m->n_columns++;
    }
    return true;
}

bool keys_resolve(const KeyWorld *w, TableName shard, const RouteAnswer *answer, const TableSchema *schema,
                  Arena *arena, MemberKeys **out, Err *err)
{
    Resolver r = {w, arena};
    Subject s = {shard, answer, schema};
    MemberKeys *m = arena_new(arena, MemberKeys);
    const KeyRule *key = answer->rule ? &answer->rule->key : NULL;
    *out = m;
    m->own = NO_COLUMN;
    m->rule = answer->rule;
    m->strategy = key ? key->strategy : KEY_STRATEGY_ERROR;
    if (answer->mapping) m->strategy = KEY_STRATEGY_PARTITION_ID;
    bool ok = rule_usable(&s, err) && fill_columns(&r, &s, m, err);
    if (!ok) {
        const ConfigPlace *p = answer->mapping ? &answer->mapping->place : key ? &key->place : NULL;
        if (p && p->file && p->line) return err_wrap(err, "%s:%u:%u", p->file, p->line, p->column);
        return false;
    }
    m->constants = arena_array(arena, KeyConstant, (key ? key->n_provenance : 0) + 1);
    for (size_t i = 0; key && i < key->n_provenance; i++)
        m->constants[m->n_constants++] =
            (KeyConstant){&key->provenance[i], arena_str(arena, answer->provenance[i])};
    return true;
}

/* -- two tables -- */

static bool same_provenance(const MemberKeys *a, const MemberKeys *b)
{
    if (a->n_constants != b->n_constants) return false;
    for (uint32_t i = 0; i < a->n_constants; i++)
        if (!str_ieq(a->constants[i].value, b->constants[i].value)) return false;
    return true;
}

/* New ids are told apart by their map alone: a column must hold ids of one map in every row of the target. */
static bool same_maps(const MemberKeys *a, const MemberKeys *b)
{
    for (uint32_t i = 0; i < a->n_columns; i++) {
        const KeySpace *x = a->columns[i].rewrite.space, *y = NULL;
        for (uint32_t j = 0; x && j < b->n_columns; j++)
            if (str_ieq(a->columns[i].column, b->columns[j].column)) y = b->columns[j].rewrite.space;
        if (x && (!y || !table_name_eq(x->target, y->target))) return false;
    }
    return true;
}

const char *keys_clash(const MemberKeys *a, const MemberKeys *b)
{
    if (a->strategy != b->strategy) return "their rules have different key strategies";
    if (!same_maps(a, b) || !same_maps(b, a))
        return "a column holds remapped ids of one target in one of them, and none or another's in the "
               "other: "
               "declare the reference for both";
    bool by_provenance = a->strategy == KEY_STRATEGY_COMPOSITE || a->strategy == KEY_STRATEGY_PLAIN_INDEX;
    if (by_provenance) return same_provenance(a, b) ? "their provenance columns have the same values" : NULL;
    if (a->own == NO_COLUMN || b->own == NO_COLUMN) return NULL;
    const KeyRewrite *x = &a->columns[a->own].rewrite, *y = &b->columns[b->own].rewrite;
    if (!str_ieq(a->columns[a->own].column, b->columns[b->own].column)) return "their id columns differ";
    if (x->space) { /* each has its own entries */
        bool same =
            str_eq(x->space->source, y->space->source) && table_name_eq(x->space->shard, y->space->shard);
        return same ? "their ids would have the same entries of the map" : NULL;
    }
    if (x->multiply != y->multiply || x->high != y->high) return "their ids are packed with different widths";
    return x->add == y->add ? "their ids would get the same share of the target's" : NULL;
}
