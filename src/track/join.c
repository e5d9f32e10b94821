#include "track/join.h"
#include <stdlib.h>
#include "base/check.h"
#include "track/column.h"
#include "track/version_pool.h"
#include "base/poison.h"

/* A join under construction. */
typedef struct Join {
    VersionPool *pool;
    Arena arena;
    const VersionView *in;
    uint32_t n;
    const JoinOpts *opts;
    TableSchema schema;
    ColumnOrigin *origins;
    bool *replaces;
    Clashes *why;
    bool failed;
} Join;

void clashes_done(Clashes *c)
{
    free(c->list);
    *c = (Clashes){0};
}

static void clash(Join *j, ClashKind kind, uint32_t a, uint32_t b, Str column)
{
    j->failed = true;
    if (!j->why) return;
    for (uint32_t i = 0; i < j->why->n; i++) {
        const Clash *c = &j->why->list[i];
        if (c->kind == kind && c->a == a && c->b == b && str_eq(c->column, column)) return;
    }
    if (j->why->n == j->why->cap) {
        j->why->cap = j->why->cap ? j->why->cap * 2 : 4;
        j->why->list = mem_realloc(j->why->list, j->why->cap * sizeof *j->why->list);
    }
    j->why->list[j->why->n++] = (Clash){kind, a, b, version_text(j->pool, column)};
}

static const TableSchema *schema_of(const Join *j, uint32_t i)
{
    return j->in[i].version->schema;
}

/* -- the list of columns -- */

static void put_column(Join *j, const ColumnDef *c)
{
    if (schema_column(&j->schema, c->name) == NO_COLUMN) j->schema.columns[j->schema.n_columns++] = *c;
}

/* The target's order first, then each new column behind its neighbour. */
static void list_columns(Join *j)
{
    uint32_t most = 0;
    for (uint32_t i = 0; i < j->n; i++)
        most += schema_of(j, i)->n_columns;
    j->schema = *schema_of(j, 0);
    schema_bare(&j->schema);
    j->schema.n_columns = 0;
    j->schema.columns = arena_array(&j->arena, ColumnDef, most + 1);
    j->origins = arena_array(&j->arena, ColumnOrigin, most + 1);
    j->replaces = arena_array(&j->arena, bool, most + 1);
    const TableSchema *target = j->opts->target ? j->opts->target->schema : NULL;
    if (target) {
        j->schema.name = target->name;
        j->schema.partitioning = target->partitioning;
    }
    for (uint32_t c = 0; target && c < target->n_columns; c++)
        for (uint32_t i = 0; i < j->n; i++)
            if (schema_column(schema_of(j, i), target->columns[c].name) != NO_COLUMN)
                put_column(j, &target->columns[c]);
    for (uint32_t i = 0; i < j->n; i++)
        for (uint32_t c = 0; c < schema_of(j, i)->n_columns; c++) {
            const ColumnDef *def = &schema_of(j, i)->columns[c];
            if (schema_column(&j->schema, def->name) != NO_COLUMN) continue;
            uint32_t at = 0, end = j->schema.n_columns;
            if (c) at = schema_column(&j->schema, schema_of(j, i)->columns[c - 1].name) + 1;
            put_column(j, def);
            ColumnDef own = j->schema.columns[end];
            memmove(&j->schema.columns[at + 1], &j->schema.columns[at], (end - at) * sizeof own);
            j->schema.columns[at] = own;
        }
}

/* -- one column -- */

static ClashKind origin_clash(const VersionView *a, uint32_t ca, const VersionView *b, uint32_t cb)
{
    const ColumnOrigin *x = &a->version->origins[ca], *y = &b->version->origins[cb];
    if (version_same_origin(a, ca, b, cb)) return CLASH_NONE;
    if (version_same_column(a, ca, b, cb)) return CLASH_LOSSY;
    if (x->kind == ORIGIN_BASE && y->kind == ORIGIN_BASE) return CLASH_RENAME;
    if (x->kind != y->kind) return CLASH_AGAIN;
    if (x->fill == FILL_VOLATILE || y->fill == FILL_VOLATILE) return CLASH_VOLATILE;
    return x->fill != y->fill || !str_eq(x->fill_text, y->fill_text) ? CLASH_FILL : CLASH_AGAIN;
}

/* Input i has no column of that name, which input h has as its column c. */
static ClashKind lacking_clash(const Join *j, uint32_t i, uint32_t h, uint32_t c)
{
    const ColumnOrigin *o = &j->in[h].version->origins[c];
    const ColumnDef *def = &schema_of(j, h)->columns[c];
    const Version *v = j->in[i].version;
    if (def->generated) return CLASH_NONE;
    for (uint32_t k = 0; o->kind != ORIGIN_ANY && k < v->schema->n_columns; k++) {
        const ColumnOrigin *own = &v->origins[k];
        bool renamed = !str_ieq(def->name, o->base) || !str_ieq(v->schema->columns[k].name, own->base);
        if (renamed && own->kind == o->kind && str_ieq(own->base, o->base)) return CLASH_RENAME;
    }
    bool lost = o->kind == ORIGIN_ADDED && (o->fill == FILL_VOLATILE || o->fill == FILL_COMPUTED);
    return lost ? CLASH_VOLATILE : CLASH_NONE;
}

static bool column_in_unique(const TableSchema *s, uint32_t column)
{
    for (uint32_t k = 0; k < s->n_keys; k++)
        for (uint32_t p = 0; s->keys[k].unique && p < s->keys[k].n_parts; p++)
            if (s->keys[k].parts[p].column == column) return true;
    return false;
}

/* What the base says of the column, if it is the base's. */
static const ColumnDef *base_column(const Join *j, const ColumnOrigin *o)
{
    if (!j->opts->base || o->kind != ORIGIN_BASE) return NULL;
    uint32_t at = schema_column(j->opts->base->schema, o->base);
    return at == NO_COLUMN ? NULL : &j->opts->base->schema->columns[at];
}

static bool same_default(const ColumnDef *a, const ColumnDef *b)
{
    bool none_a = a->default_kind == DEFAULT_NONE || a->default_kind == DEFAULT_NULL;
    bool none_b = b->default_kind == DEFAULT_NONE || b->default_kind == DEFAULT_NULL;
    return (none_a && none_b) || column_same_default(a, b);
}

static bool same_on_update(const ColumnDef *a, const ColumnDef *b)
{
    return a->on_update_now == b->on_update_now;
}

/* Takes over what one side alone changed. False: both did, differently. */
static bool take_changed(bool (*same)(const ColumnDef *, const ColumnDef *), const ColumnDef *base,
                         const ColumnDef *mine, const ColumnDef *theirs, bool *take)
{
    *take = false;
    if (same(mine, theirs)) return true;
    if (base && same(base, theirs)) return true;
    *take = true;
    return base && same(base, mine);
}

/* Joins column c of input i into out, which came from input first. */
static void join_column(Join *j, ColumnDef *out, uint32_t first, uint32_t i, uint32_t c)
{
    const ColumnDef *def = &schema_of(j, i)->columns[c], mine = *out;
    const ColumnDef *base = base_column(j, &j->in[i].version->origins[c]);
    bool take;
    if (mine.generated != def->generated || (mine.generated && !column_same_generation(&mine, def))) {
        clash(j, CLASH_GENERATED, first, i, def->name);
        return;
    }
    if (!join_column_type(&j->arena, &mine, def, out)) {
        clash(j, CLASH_TYPE, first, i, def->name);
        *out = mine;
        return;
    }
    out->name = mine.name;
    out->comment = mine.comment;
    out->not_null = mine.not_null && def->not_null;
    out->auto_increment = mine.auto_increment && def->auto_increment;
    if (str_ieq(mine.charset, def->charset) && !column_same_collation(&mine, def)) {
        bool key = column_in_unique(schema_of(j, i), c);
        if (key || !take_changed(column_same_collation, base, &mine, def, &take))
            clash(j, CLASH_COLLATION, first, i, def->name);
        else
            out->collation = take ? def->collation : mine.collation;
    }
    if (!take_changed(same_default, base, &mine, def, &take)) clash(j, CLASH_DEFAULT, first, i, def->name);
    out->default_kind = take ? def->default_kind : mine.default_kind;
    out->default_text = take ? def->default_text : mine.default_text;
    if (!take_changed(same_on_update, base, &mine, def, &take)) clash(j, CLASH_DEFAULT, first, i, def->name);
    out->on_update_now = take ? def->on_update_now : mine.on_update_now;
    if (!out->not_null && out->default_kind == DEFAULT_NONE) out->default_kind = DEFAULT_NULL;
}

/* A row that lacks the column must have something to put there. */
static void make_fillable(ColumnDef *c, const ColumnOrigin *o)
{
    bool has_fill = o->fill == FILL_VALUE;
    if (c->generated || !c->not_null || has_fill || c->default_kind == DEFAULT_LITERAL) return;
    c->not_null = false;
    c->auto_increment = false;
    if (c->default_kind == DEFAULT_NONE) c->default_kind = DEFAULT_NULL;
}

/* Is it another column than the target's of that name? Else what rows without it get stays on record there:
 * in a table that had it all along nothing says so. */
static void keep_fill(Join *j, uint32_t at, const VersionView *in, uint32_t column)
{
    if (!j->opts->target) return;
    VersionView target = version_view(j->opts->target);
    ColumnOrigin *o = &j->origins[at];
    uint32_t old = schema_column(target.version->schema, j->schema.columns[at].name);
    j->replaces[at] = old != NO_COLUMN && !version_same_column(&target, old, in, column);
    if (old == NO_COLUMN || j->replaces[at] || o->kind == ORIGIN_ADDED || o->fill != FILL_NONE) return;
    const ColumnDef *was = &target.version->schema->columns[old], *is = &j->schema.columns[at];
    if (!column_same_type(was, is) || !str_eq(was->charset, is->charset))
        return; /* it may not fit any more */
    o->fill = target.version->origins[old].fill;
    o->fill_text = target.version->origins[old].fill_text;
}

/* The first inputs of each kind: agreement passes from one to the next among those of one kind alone, for a
 * table that was new, or has no rows, agrees with two that do not agree with each other. */
typedef struct Firsts {
    uint32_t in[4], column[4]; /* NO_COLUMN: none yet */
} Firsts;

static void compare_origins(Join *j, Firsts *f, uint32_t i, uint32_t c, Str name)
{
    bool any = j->in[i].version->origins[c].kind == ORIGIN_ANY;
    uint32_t kind = (any ? 1 : 0) + (j->in[i].no_rows ? 2 : 0);
    for (uint32_t k = 0; k < ARRAY_LEN(f->in); k++) {
        if (f->in[k] == NO_COLUMN) continue;
        ClashKind why = origin_clash(&j->in[f->in[k]], f->column[k], &j->in[i], c);
        if (!why) continue;
        clash(j, why, f->in[k], i, name);
        return;
    }
    if (f->in[kind] != NO_COLUMN) return;
    f->in[kind] = i;
    f->column[kind] = c;
}

static void join_by_name(Join *j, uint32_t at)
{
    ColumnDef *out = &j->schema.columns[at];
    uint32_t first = NO_COLUMN, first_column = 0;
    Firsts firsts = {.in = {NO_COLUMN, NO_COLUMN, NO_COLUMN, NO_COLUMN}};
    bool lacking = false;
    for (uint32_t i = 0; i < j->n; i++) {
        uint32_t c = schema_column(schema_of(j, i), out->name);
        if (c == NO_COLUMN) {
            lacking = true;
        } else if (first == NO_COLUMN) {
            Str name = out->name;
            first = i;
            first_column = c;
            compare_origins(j, &firsts, i, c, name);
            *out = schema_of(j, i)->columns[c];
            out->name = name;
            j->origins[at] = j->in[i].version->origins[c];
        } else {
            compare_origins(j, &firsts, i, c, out->name);
            if (j->origins[at].kind == ORIGIN_ANY) j->origins[at] = j->in[i].version->origins[c];
            join_column(j, out, first, i, c);
        }
    }
    CHECK(first != NO_COLUMN, "a column of the join comes from somewhere");
    j->origins[at].left = false;
    for (uint32_t i = 0; i < j->n && !out->generated; i++) {
        uint32_t c = schema_column(schema_of(j, i), out->name);
        const ColumnOrigin *origin = c == NO_COLUMN ? NULL : &j->in[i].version->origins[c];
        if (origin && origin->kind == ORIGIN_ADDED && origin->fill == FILL_VOLATILE)
            clash(j, CLASH_VOLATILE, i, i, out->name); /* not even for the member itself */
    }
    for (uint32_t i = 0; lacking && i < j->n; i++) {
        if (schema_column(schema_of(j, i), out->name) != NO_COLUMN) continue;
        ClashKind kind = lacking_clash(j, i, first, first_column);
        if (kind) clash(j, kind, first, i, out->name);
    }
    keep_fill(j, at, &j->in[first], first_column);
    if (lacking) make_fillable(out, &j->origins[at]);
}

/* -- keys -- */

static const KeyDef *key_like(const TableSchema *in, const TableSchema *of, const KeyDef *k)
{
    for (uint32_t i = 0; i < in->n_keys; i++)
        if (key_same_parts(in, &in->keys[i], of, k)) return &in->keys[i];
    return NULL;
}

static bool finds_rows(const TableSchema *s, const KeyDef *k)
{
    if (!k->unique || k->has_expression) return false;
    for (uint32_t i = 0; i < k->n_parts; i++)
        if (k->parts[i].column == NO_COLUMN || !s->columns[k->parts[i].column].not_null) return false;
    return true;
}

static bool has_row_key(const TableSchema *s)
{
    for (uint32_t i = 0; i < s->n_keys; i++)
        if (finds_rows(s, &s->keys[i])) return true;
    return false;
}

/* With the join's column numbers. A name that is taken is passed over. */
static void put_key(Join *j, const TableSchema *of, const KeyDef *k)
{
    KeyDef own = *k;
    own.parts = arena_array(&j->arena, KeyPart, k->n_parts);
    for (uint32_t i = 0; i < k->n_parts; i++) {
        own.parts[i] = k->parts[i];
        if (k->parts[i].column != NO_COLUMN)
            own.parts[i].column = schema_column(&j->schema, of->columns[k->parts[i].column].name);
    }
    for (uint32_t i = 0; i < j->schema.n_keys; i++)
        if (str_ieq(j->schema.keys[i].name, own.name) ||
            (own.unique && key_same_parts(&j->schema, &j->schema.keys[i], &j->schema, &own)))
            return;
    j->schema.keys[j->schema.n_keys++] = own;
}

static bool all_have(const Join *j, const TableSchema *of, const KeyDef *k)
{
    for (uint32_t i = 0; i < j->n; i++)
        if (!key_like(schema_of(j, i), of, k)) return false;
    return true;
}

static bool somebody_has(const Join *j, const TableSchema *of, const KeyDef *k)
{
    for (uint32_t i = 0; i < j->n; i++) {
        const KeyDef *own = key_like(schema_of(j, i), of, k);
        if (own && str_ieq(own->name, k->name)) return true;
    }
    return false;
}

/* Unique keys that all have; of the others the target's and whatever some have. */
static void join_keys(Join *j)
{
    uint32_t most = j->opts->target ? j->opts->target->schema->n_keys : 0;
    for (uint32_t i = 0; i < j->n; i++)
        most += schema_of(j, i)->n_keys;
    j->schema.n_keys = 0;
    j->schema.keys = arena_array(&j->arena, KeyDef, most + 1);
    for (int unique = 1; unique >= 0; unique--) {
        const TableSchema *t = j->opts->target ? j->opts->target->schema : NULL;
        for (uint32_t k = 0; t && k < t->n_keys; k++) {
            if (t->keys[k].unique != unique || !somebody_has(j, t, &t->keys[k])) continue;
            if (!unique || all_have(j, t, &t->keys[k])) put_key(j, t, &t->keys[k]);
        }
        for (uint32_t i = 0; i < j->n; i++)
            for (uint32_t k = 0; k < schema_of(j, i)->n_keys; k++) {
                const KeyDef *key = &schema_of(j, i)->keys[k];
                if (key->unique != unique) continue;
                if (!unique || all_have(j, schema_of(j, i), key)) put_key(j, schema_of(j, i), key);
            }
    }
}

static void check_row_keys(Join *j)
{
    const KeyDef *first = schema_primary(schema_of(j, 0));
    bool had = has_row_key(schema_of(j, 0));
    for (uint32_t i = 1; i < j->n; i++) {
        const KeyDef *own = schema_primary(schema_of(j, i));
        had |= has_row_key(schema_of(j, i));
        if (!first != !own || (own && !key_same_parts(schema_of(j, 0), first, schema_of(j, i), own)))
            clash(j, CLASH_KEY, 0, i, STR("PRIMARY"));
    }
    for (uint32_t i = 1; i < j->n && had && !j->failed && !has_row_key(&j->schema); i++)
        clash(j, CLASH_KEY, 0, i, (Str){0});
}

static void check_tables(Join *j)
{
    for (uint32_t i = 1; i < j->n; i++) {
        if (j->in[i].version->gone != j->in[0].version->gone) clash(j, CLASH_GONE, 0, i, (Str){0});
        if (!str_eq(j->in[i].version->rows, j->in[0].version->rows)) clash(j, CLASH_ROWS, 0, i, (Str){0});
    }
}

bool join_versions(VersionPool *p, const VersionView *in, uint32_t n, const JoinOpts *opts,
                   const Version **out, bool **replaces, Clashes *why)
{
    CHECK(n > 0, "a join of something");
    Join j = {.pool = p, .in = in, .n = n, .opts = opts, .why = why};
    list_columns(&j);
    for (uint32_t c = 0; c < j.schema.n_columns; c++)
        join_by_name(&j, c);
    join_keys(&j);
    check_row_keys(&j);
    check_tables(&j);
    if (!j.failed) {
        uint32_t *feeds = arena_array(&j.arena, uint32_t, j.schema.n_columns + 1);
        for (uint32_t i = 0; i < j.schema.n_columns; i++)
            feeds[i] = i;
        const TableSchema *s = version_schema(p, &j.schema);
        Version v = {.schema = s,
                     .origins = j.origins,
                     .rows = in[0].version->rows,
                     .gone = in[0].version->gone,
                     .shape = s,
                     .feeds = feeds};
        *out = version_intern(p, &v);
        if (replaces) {
            *replaces = mem_zalloc(j.schema.n_columns + 1);
            memcpy(*replaces, j.replaces, j.schema.n_columns);
        }
    }
    arena_done(&j.arena);
    return !j.failed;
}

/* -- words -- */

static const struct {
    const char *name, *words;
} clash_table[] = {
    [CLASH_NONE] = {"none", "nothing"},
    [CLASH_RENAME] = {"rename", "renamed on one side, under its old name on the other"},
    [CLASH_AGAIN] = {"again", "dropped and added anew on one side, kept on the other"},
    [CLASH_FILL] = {"fill", "added with different values for the rows that were there"},
    [CLASH_VOLATILE] = {"volatile", "added with values that nobody else can compute"},
    [CLASH_LOSSY] = {"lossy", "converted on one side in a way that may have changed values"},
    [CLASH_TYPE] = {"type", "no type holds the values of both"},
    [CLASH_COLLATION] = {"collation", "compared by different rules"},
    [CLASH_DEFAULT] = {"default", "given different defaults"},
    [CLASH_GENERATED] = {"generated", "generated in different ways"},
    [CLASH_KEY] = {"key", "the key that finds rows differs"},
    [CLASH_ROWS] = {"rows", "rows went away on one side without row events"},
    [CLASH_GONE] = {"gone", "dropped on one side"},
};

const char *clash_name(ClashKind kind)
{
    return clash_table[kind].name;
}

void clash_words(const Clash *c, const char *const *names, StrBuf *out)
{
    if (c->kind == CLASH_ROWS || c->kind == CLASH_GONE || c->kind == CLASH_KEY) {
        sb_c(out, "table");
    } else {
        sb_c(out, "column ");
        sb_ident(out, c->column);
    }
    sb_printf(out, ": %s (%s, %s)\n", clash_table[c->kind].words, names[c->a], names[c->b]);
}
