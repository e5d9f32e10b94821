#include <stdlib.h>
#include "model/charset.h"
#include "track/bind.h"
#include "track/family.h"
#include "base/poison.h"

/* A Target and the arena of all that hangs on it, shapes too (guarded by its shapes_mutex then). */
typedef struct OwnedTarget {
    Target target;
    Arena arena;
} OwnedTarget;

static KeyFold fold_of(const ColumnDef *c)
{
    if (c->generated) return KEY_FOLD_UNKNOWN; /* the shard may compute it in another way */
    switch (family_of(c)) {
    case FAMILY_UNKNOWN:
    case FAMILY_GEOMETRY:
    case FAMILY_VECTOR:
    case FAMILY_JSON: return KEY_FOLD_UNKNOWN;
    case FAMILY_TEXT: return charset_key_fold(charset_collation_by_name(c->collation));
    case FAMILY_BINARY: return KEY_FOLD_BYTES;
    case FAMILY_FLOAT: /* FLOAT(M,D) rounds what it is given */
        return str_find(c->column_type, STR(",")) == SIZE_MAX ? KEY_FOLD_EXACT : KEY_FOLD_UNKNOWN;
    default: return KEY_FOLD_EXACT;
    }
}

TargetKeyPart target_key_part(const TableSchema *s, KeyPart part)
{
    bool expression = part.column >= s->n_columns;
    return (TargetKeyPart){
        .column = expression ? NO_COLUMN : part.column,
        .prefix = part.prefix,
        .fold = expression ? KEY_FOLD_UNKNOWN : fold_of(&s->columns[part.column]),
    };
}

/* Can rows be found by this key: all parts plain NOT NULL columns that hold what the shards wrote? */
bool target_key_finds_rows(const TableSchema *s, const KeyDef *k)
{
    if (!k->unique && !k->primary) return false;
    for (uint32_t i = 0; i < k->n_parts; i++) {
        if (k->parts[i].column >= s->n_columns) return false;
        const ColumnDef *c = &s->columns[k->parts[i].column];
        TypeFamily f = family_of(c);
        if (!c->not_null || c->generated || f == FAMILY_UNKNOWN || f == FAMILY_GEOMETRY || f == FAMILY_VECTOR)
            return false;
    }
    return k->n_parts > 0;
}

static void keys_build(OwnedTarget *o, const TableSchema *s)
{
    Target *t = &o->target;
    t->row_key = NO_COLUMN;
    t->keys = arena_array(&o->arena, TargetKey, s->n_keys + 1); /* room for a logical one */
    for (uint32_t i = 0; i < s->n_keys; i++) {
        const KeyDef *def = &s->keys[i];
        if (!def->unique && !def->primary) continue;
        TargetKey *k = &t->keys[t->n_keys];
        k->name = def->name;
        k->primary = def->primary;
        k->n_parts = def->n_parts;
        k->parts = arena_array(&o->arena, TargetKeyPart, def->n_parts);
        k->all_not_null = true;
        for (uint32_t p = 0; p < def->n_parts; p++) {
            k->parts[p] = target_key_part(s, def->parts[p]);
            if (k->parts[p].column == NO_COLUMN || !s->columns[k->parts[p].column].not_null)
                k->all_not_null = false;
            if (k->parts[p].fold != KEY_FOLD_UNKNOWN) k->hashable = true;
        }
        if (t->row_key == NO_COLUMN && target_key_finds_rows(s, def)) t->row_key = t->n_keys;
        t->n_keys++;
    }
    t->primary_is_only_key = t->n_keys == 1 && t->keys[0].primary && t->row_key == 0;
}

static bool can_be_target(const TableSchema *s, Str sql_name, Err *err)
{
    if (s->is_view)
        return err_set_remedy(err, ERR_TRACK_TARGET, "route to a base table", "target " STR_FMT " is a view",
                              STR_ARG(sql_name));
    if (!engine_has_transactions(s->engine))
        return err_set_remedy(err, ERR_APPLY_TARGET, "ALTER TABLE … ENGINE=InnoDB",
                              "target " STR_FMT ": engine " STR_FMT " has no transactions", STR_ARG(sql_name),
                              STR_ARG(s->engine));
    if (s->has_triggers)
        return err_set_remedy(err, ERR_APPLY_TARGET, "drop the triggers while the task runs",
                              "target " STR_FMT " has triggers, which would change what the shards wrote",
                              STR_ARG(sql_name));
    if (s->has_foreign_keys)
        return err_set_remedy(err, ERR_APPLY_TARGET, "drop its foreign keys while the task runs",
                              "target " STR_FMT " has foreign keys, which are not checked or cascaded here",
                              STR_ARG(sql_name));
    return true;
}

bool target_new(uint32_t id, const TableSchema *schema, Target **out, Err *err)
{
    *out = NULL;
    OwnedTarget *o = mem_zalloc(sizeof *o);
    Target *t = &o->target;
    StrBuf sql_name = {0};
    table_name_sql(schema->name, &sql_name);
    t->id = id;
    t->schema = schema;
    t->name =
        (TableName){arena_str(&o->arena, schema->name.schema), arena_str(&o->arena, schema->name.table)};
    t->sql_name = arena_str(&o->arena, sb_view(&sql_name));
    sb_done(&sql_name);
    pthread_mutex_init(&t->shapes_mutex, NULL);
    keys_build(o, schema);
    if (!can_be_target(schema, t->sql_name, err)) {
        target_free(t);
        return false;
    }
    *out = t;
    return true;
}

void target_free(Target *t)
{
    if (!t) return;
    OwnedTarget *o = (OwnedTarget *)t; /* its first member */
    pthread_mutex_destroy(&t->shapes_mutex);
    arena_done(&o->arena);
    free(o);
}

/* Does this shard table write every column of the target's key k? */
static bool is_fed(const Target *t, const TargetKey *k, const TableSchema *shard, const MemberKeys *keys)
{
    for (uint32_t i = 0; i < k->n_parts; i++) {
        if (k->parts[i].column == NO_COLUMN) return false;
        Str name = t->schema->columns[k->parts[i].column].name;
        if (keys_constant(keys, name) != NO_COLUMN) continue;
        if (schema_column(shard, name) == UINT32_MAX || keys_drop(keys, name)) return false;
    }
    return true;
}

/* Provenance columns and the shard's own key: no index of the target need keep it unique. */
static bool add_logical_key(OwnedTarget *o, const TableSchema *shard, const MemberKeys *keys)
{
    Target *t = &o->target;
    const KeyDef *own = source_row_key(shard);
    if (!own) return false;
    TargetKey *k = &t->keys[t->n_keys];
    *k = (TargetKey){.name = STR("(provenance and the shard's key)"), .all_not_null = true, .logical = true};
    k->parts = arena_array(&o->arena, TargetKeyPart, own->n_parts + keys->n_constants);
    for (uint32_t i = 0; i < own->n_parts + keys->n_constants; i++) {
        bool constant = i >= own->n_parts;
        Str name = constant ? keys->constants[i - own->n_parts].rule->column
                            : shard->columns[own->parts[i].column].name;
        uint32_t at = schema_column(t->schema, name);
        if (at == UINT32_MAX || t->schema->columns[at].generated) return false; /* the binding tells */
        /* the shards compare rows by what they call equal; the target's values are compared here */
        k->parts[k->n_parts] = target_key_part(t->schema, (KeyPart){.column = at});
        if (k->parts[k->n_parts++].fold != KEY_FOLD_UNKNOWN) k->hashable = true;
    }
    t->row_key = t->n_keys++;
    t->primary_is_only_key = false;
    return true;
}

void target_choose_row_key(Target *t, const TableSchema *shard, const MemberKeys *keys)
{
    bool logical = t->n_keys && t->keys[t->n_keys - 1].logical;
    if (logical || t->shapes) return;
    if (keys && keys->strategy == KEY_STRATEGY_PLAIN_INDEX && add_logical_key((OwnedTarget *)t, shard, keys))
        return;
    if (t->row_key != NO_COLUMN && is_fed(t, &t->keys[t->row_key], shard, keys)) return;
    uint32_t key = 0; /* of the target's unique keys, which come in the order of its definition */
    for (uint32_t i = 0; i < t->schema->n_keys; i++) {
        const KeyDef *def = &t->schema->keys[i];
        if (!def->unique && !def->primary) continue;
        if (target_key_finds_rows(t->schema, def) && is_fed(t, &t->keys[key], shard, keys)) {
            t->row_key = key;
            return;
        }
        key++;
    }
}

static void shape_texts(OwnedTarget *o, Shape *s)
{
    const Target *t = &o->target;
    StrBuf list = {0};
    for (uint32_t i = 0; i < s->n_columns; i++) {
        Str name = t->schema->columns[s->columns[i]].name;
        sb_ch(&list, i ? ',' : '(');
        sb_ident(&list, name);
    }
    sb_c(&list, s->n_columns ? ")" : "()");
    s->column_list = arena_str(&o->arena, sb_view(&list));
    sb_done(&list);
}

Shape *target_shape(Target *t, const uint32_t *columns, uint32_t n)
{
    OwnedTarget *o = (OwnedTarget *)t;
    pthread_mutex_lock(&t->shapes_mutex);
    Shape *s = t->shapes;
    while (s && !(s->n_columns == n && (n == 0 || memcmp(s->columns, columns, n * sizeof *columns) == 0)))
        s = s->next;
    if (!s) {
        s = arena_new(&o->arena, Shape);
        s->n_columns = n;
        s->columns = arena_array(&o->arena, uint32_t, n);
        if (n) memcpy(s->columns, columns, n * sizeof *columns);
        shape_texts(o, s);
        s->next = t->shapes;
        t->shapes = s;
    }
    pthread_mutex_unlock(&t->shapes_mutex);
    return s;
}
