#include "track/keyplan.h"
#include "base/check.h"
#include "track/family.h"
#include "base/poison.h"

static KeyCanon canon_of(TypeFamily source, TypeFamily target, const ColumnCodec *codec)
{
    if (source != target) {
        if (target == FAMILY_DECIMAL && source == FAMILY_INT) return KEY_CANON_INT_DECIMAL;
        if (target == FAMILY_TEXT && source == FAMILY_ENUM)
            return codec->members ? KEY_CANON_MEMBER : KEY_CANON_NONE;
        bool bytes = source == FAMILY_UUID || source == FAMILY_INET4 || source == FAMILY_INET6;
        if (target == FAMILY_BINARY && bytes) return KEY_CANON_BYTES;
        return KEY_CANON_NONE;
    }
    switch (target) {
    case FAMILY_INT:
    case FAMILY_YEAR: return KEY_CANON_INT;
    case FAMILY_DECIMAL: return KEY_CANON_DECIMAL;
    case FAMILY_FLOAT: return codec->type == COLTYPE_FLOAT ? KEY_CANON_FLOAT : KEY_CANON_DOUBLE;
    case FAMILY_BIT: return KEY_CANON_BIT;
    case FAMILY_ENUM: return KEY_CANON_ENUM;
    case FAMILY_SET: return KEY_CANON_SET;
    case FAMILY_DATE: return KEY_CANON_DATE;
    case FAMILY_TIME: return KEY_CANON_TIME;
    case FAMILY_DATETIME: return KEY_CANON_DATETIME;
    case FAMILY_TIMESTAMP: return KEY_CANON_TIMESTAMP;
    case FAMILY_TEXT: return KEY_CANON_TEXT;
    case FAMILY_UUID:
    case FAMILY_INET4:
    case FAMILY_INET6:
    case FAMILY_BINARY: return KEY_CANON_BYTES;
    case FAMILY_JSON:
    case FAMILY_GEOMETRY:
    case FAMILY_VECTOR:
    case FAMILY_UNKNOWN: return KEY_CANON_NONE;
    }
    return KEY_CANON_NONE;
}

/* Number (ENUM) or bit (SET) of each source member in the target's list. The binding has seen that all are
 * there. */
static const uint32_t *member_numbers(const ColumnDef *source, const ColumnDef *target, Arena *arena)
{
    uint32_t *numbers = arena_array(arena, uint32_t, source->n_members);
    bool set = family_of(target) == FAMILY_SET;
    for (uint32_t i = 0; i < source->n_members; i++) {
        uint32_t at = member_index(target, source->members[i]);
        CHECK(at != NO_COLUMN, "member list checked by the binding");
        numbers[i] = set ? at : at + 1;
    }
    return numbers;
}

static void part_fill(const Binding *b, uint32_t map_column, const ColumnDef *target, KeyPlanPart *p,
                      Arena *arena)
{
    const ColumnDef *source = &b->schema->columns[map_column];
    const ColumnCodec *codec = &b->columns[map_column].codec;
    TypeFamily from = family_of(source), to = target ? family_of(target) : from;
    p->column = map_column;
    p->canon = canon_of(from, to, codec);
    const ColumnDef *reference = target ? target : source;
    if (p->canon == KEY_CANON_ENUM || p->canon == KEY_CANON_SET) {
        p->numbers = member_numbers(source, reference, arena);
        p->n_numbers = source->n_members;
    } else if (p->canon == KEY_CANON_TEXT || p->canon == KEY_CANON_MEMBER) {
        const Charset *to_cs = charset_by_name(reference->charset);
        /* members are kept as utf8 */
        const Charset *from_cs =
            charset_by_name(p->canon == KEY_CANON_TEXT ? source->charset : STR("utf8mb4"));
        if (!from_cs || !to_cs) {
            p->canon = KEY_CANON_NONE;
            return;
        }
        p->form = from_cs->form;
        p->ascii_superset = from_cs->ascii_superset;
        p->same_bytes = charset_same_bytes(from_cs, to_cs);
    }
}

/* A value that every row of the shard table gets: utf8, bytes or a 64-bit integer (key_fit_constant). */
static void part_constant(const ColumnDef *target, KeyPlanPart *p)
{
    const Charset *utf8 = charset_by_name(STR("utf8mb4")), *to = charset_by_name(target->charset);
    switch (family_of(target)) {
    case FAMILY_INT: p->canon = KEY_CANON_INT; return;
    case FAMILY_BINARY: p->canon = KEY_CANON_BYTES; return;
    case FAMILY_TEXT:
        if (!to) return;
        p->canon = KEY_CANON_TEXT;
        p->form = utf8->form;
        p->ascii_superset = utf8->ascii_superset;
        p->same_bytes = charset_same_bytes(utf8, to);
        return;
    default: return;
    }
}

static uint64_t plan_seed(uint64_t space, uint64_t id, uint64_t key)
{
    return (space << 56 ^ id << 16 ^ key) * UINT64_C(0x9E3779B97F4A7C15) + 1;
}

/* Does the target compute this part, and not as the shard does, so that the images do not show its changes?
 */
static bool is_computed(const Binding *b, uint32_t map_column, const ColumnDef *target)
{
    if (target && !target->generated) return false;
    if (!target || map_column == NO_COLUMN) return true;
    const ColumnDef *source = &b->schema->columns[map_column];
    return !source->generated || !str_eq(source->generation_expr, target->generation_expr);
}

/* A column that this shard table does not feed: NULL, or a number that the target gives itself. */
static bool never_meets(const ColumnDef *target)
{
    if (target->auto_increment) return true;
    return !target->generated && target->default_kind == DEFAULT_NULL && !target->not_null;
}

static void plan_target_key(const Binding *b, uint32_t k, KeyPlan *plan, Arena *arena)
{
    const TargetKey *key = &b->target->keys[k];
    plan->seed = plan_seed(1, b->target->id, k);
    plan->parts = arena_array(arena, KeyPlanPart, key->n_parts);
    plan->columns = arena_array(arena, uint32_t, key->n_parts);
    plan->is_row_key = k == b->target->row_key;
    plan->exclusive = !key->hashable;
    for (uint32_t i = 0; i < key->n_parts; i++) {
        const TargetKeyPart *t = &key->parts[i];
        const ColumnDef *target = t->column == NO_COLUMN ? NULL : &b->target->schema->columns[t->column];
        uint32_t map_column = b->key_columns[k][i];
        bool constant = map_column != NO_COLUMN && map_column >= b->n_columns;
        if (map_column != NO_COLUMN && !constant) plan->columns[plan->n_columns++] = map_column;
        if (map_column == NO_COLUMN && target && never_meets(target)) plan->always_null = true;
        if (is_computed(b, map_column, target)) plan->computed = true;
        if (t->fold == KEY_FOLD_UNKNOWN) continue; /* adds nothing, whatever shard the row is from */
        if (map_column == NO_COLUMN) {
            plan->exclusive = true; /* other shards feed it */
            continue;
        }
        KeyPlanPart *p = &plan->parts[plan->n_parts++];
        p->fold = t->fold;
        p->prefix = t->prefix;
        p->column = map_column;
        if (constant)
            part_constant(target, p);
        else
            part_fill(b, map_column, target, p, arena);
        p->rewrite = b->columns[map_column].rewrite;
        if (p->canon == KEY_CANON_NONE) plan->exclusive = true;
    }
    if (plan->n_parts == 0) plan->exclusive = true;
}

/* The shard's own key orders changes of one row besides the target's keys, which already do: it is left out
 * where it has no exact fold. False: left out. */
static bool plan_source_key(const Binding *b, KeyPlan *plan, Arena *arena)
{
    plan->seed = plan_seed(2, b->member->id, 0);
    plan->parts = arena_array(arena, KeyPlanPart, b->n_source_key);
    plan->columns = arena_array(arena, uint32_t, b->n_source_key);
    for (uint32_t i = 0; i < b->n_source_key; i++) {
        KeyFold fold = b->source_key_parts[i].fold;
        KeyPlanPart *p = &plan->parts[plan->n_parts++];
        plan->columns[plan->n_columns++] = b->source_key[i];
        p->fold = fold;
        p->prefix = b->source_key_parts[i].prefix;
        part_fill(b, b->source_key[i], NULL, p, arena);
        if (p->canon == KEY_CANON_NONE || fold == KEY_FOLD_UNKNOWN || fold == KEY_FOLD_ASCII_CI) return false;
    }
    return plan->n_parts > 0;
}

void keyplan_build(Binding *b, Arena *arena)
{
    uint32_t n = b->target->n_keys;
    KeyPlan *plans = arena_array(arena, KeyPlan, n + 1);
    for (uint32_t k = 0; k < n; k++)
        plan_target_key(b, k, &plans[k], arena);
    if (b->n_source_key && plan_source_key(b, &plans[n], arena)) n++;
    b->key_plans = plans;
    b->n_key_plans = n;
}
