#include "track/version.h"
#include "base/check.h"
#include "track/column.h"
#include "track/version_pool.h"
#include "base/poison.h"

/* A version under construction. */
typedef struct Draft {
    VersionPool *pool;
    Arena arena;
    const Version *v;
    const SchemaStep *step;
    TableSchema schema; /* columns, keys in arena */
    ColumnOrigin *origins;
    uint32_t *from;  /* per new column: column of v->schema */
    uint32_t *feeds; /* per shape column */
    Str rows;
    bool gone;
} Draft;

static Str text_with(Arena *a, Str list, Str item)
{
    return arena_printf(a, STR_FMT STR_FMT ";", STR_ARG(list), STR_ARG(item));
}

static void draft_begin(Draft *d, VersionPool *p, const Version *v, const SchemaStep *step, uint32_t columns,
                        uint32_t keys)
{
    *d = (Draft){.pool = p, .v = v, .step = step, .rows = v->rows, .gone = v->gone};
    d->schema = *v->schema;
    schema_bare(&d->schema);
    d->schema.n_columns = d->schema.n_keys = 0;
    d->schema.columns = arena_array(&d->arena, ColumnDef, columns + 1);
    d->schema.keys = arena_array(&d->arena, KeyDef, keys + 1);
    d->origins = arena_array(&d->arena, ColumnOrigin, columns + 1);
    d->from = arena_array(&d->arena, uint32_t, columns + 1);
}

static const VersionStep *draft_end(Draft *d, const TableSchema *schema, const TableSchema *shape,
                                    const void *by)
{
    Version v = {.schema = version_schema(d->pool, schema),
                 .origins = d->origins,
                 .rows = d->rows,
                 .gone = d->gone,
                 .shape = version_schema(d->pool, shape),
                 .feeds = d->feeds};
    const VersionStep *s = version_step_intern(d->pool, d->v, by, version_intern(d->pool, &v), d->from);
    arena_done(&d->arena);
    return s;
}

const Version *version_start(VersionPool *p, const TableSchema *s, OriginKind kind)
{
    CHECK(kind != ORIGIN_ADDED, "a table starts with columns of the base or of any origin");
    Arena arena = {0};
    const TableSchema *own = version_schema(p, s);
    ColumnOrigin *origins = arena_array(&arena, ColumnOrigin, own->n_columns + 1);
    uint32_t *feeds = arena_array(&arena, uint32_t, own->n_columns + 1);
    for (uint32_t i = 0; i < own->n_columns; i++) {
        origins[i].kind = kind;
        if (kind == ORIGIN_BASE) origins[i].base = own->columns[i].name;
        feeds[i] = i;
    }
    Version v = {.schema = own, .origins = origins, .shape = own, .feeds = feeds};
    const Version *out = version_intern(p, &v);
    arena_done(&arena);
    return out;
}

/* -- a step on a table that is what the group takes it for -- */

/* Where the step takes the column of before: index in after, or NO_COLUMN. */
static uint32_t successor(const SchemaStep *s, uint32_t before)
{
    for (uint32_t i = 0; before != NO_COLUMN && i < s->after->n_columns; i++)
        if (s->columns[i].from == before) return i;
    return NO_COLUMN;
}

static ColumnOrigin kept_origin(Draft *d, const ColumnOrigin *was, uint32_t after)
{
    ColumnOrigin o = *was;
    const ColumnLineage *l = &d->step->columns[after];
    if (l->lossy) {
        const ColumnDef *c = &d->step->after->columns[after];
        StrBuf words = {0};
        column_type_words(c, &words);
        if (c->not_null) sb_c(&words, " not null");
        if (c->collation.len) sb_printf(&words, " " STR_FMT, STR_ARG(c->charset));
        o.lossy = text_with(&d->arena, o.lossy, sb_view(&words));
        sb_done(&words);
    }
    return o;
}

static ColumnOrigin added_origin(const SchemaStep *step, uint32_t after)
{
    const ColumnLineage *l = &step->columns[after];
    return (ColumnOrigin){.kind = ORIGIN_ADDED,
                          .base = step->after->columns[after].name,
                          .fill = l->fill,
                          .fill_text = l->fill_text};
}

static void step_plain(Draft *d)
{
    const TableSchema *after = d->step->after;
    for (uint32_t i = 0; i < after->n_columns; i++) {
        const ColumnLineage *l = &d->step->columns[i];
        uint32_t was = NO_COLUMN;
        if (l->from != NO_COLUMN) was = schema_column(d->v->schema, d->step->before->columns[l->from].name);
        d->from[i] = was;
        d->origins[i] = was == NO_COLUMN ? added_origin(d->step, i) : kept_origin(d, &d->v->origins[was], i);
        d->feeds[i] = i;
    }
}

/* -- a step on a table that a decision made differ from its shape -- */

/* The column of step->before that feeds a column of v->schema, or NO_COLUMN. */
static uint32_t feeder_before(const Draft *d, uint32_t column)
{
    for (uint32_t j = 0; j < d->v->shape->n_columns; j++)
        if (d->v->feeds[j] == column) return schema_column(d->step->before, d->v->shape->columns[j].name);
    return NO_COLUMN;
}

/* What the step did to the member's column, done to the group's: attributes that the step left alone stay the
 * group's, which may always have been others (a collation, a wider type). */
static ColumnDef changed_column(const ColumnDef *def, const ColumnDef *was, const ColumnDef *is)
{
    ColumnDef out = *is;
    if (str_ieq(was->name, is->name)) out.name = def->name;
    if (column_same_type(was, is) && !was->collation.len == !def->collation.len) {
        out.data_type = def->data_type;
        out.column_type = def->column_type;
        out.is_unsigned = def->is_unsigned;
        out.char_length = def->char_length;
        out.precision = def->precision;
        out.scale = def->scale;
        out.fsp = def->fsp;
        out.members = def->members;
        out.n_members = def->n_members;
        out.has_srid = def->has_srid;
        out.srid = def->srid;
    }
    if (was->collation.len && is->collation.len && def->collation.len && str_ieq(was->charset, is->charset) &&
        column_same_collation(was, is)) {
        out.charset = def->charset;
        out.collation = def->collation;
    }
    if (was->not_null == is->not_null && was->on_update_now == is->on_update_now &&
        column_same_default(was, is)) {
        out.not_null = def->not_null;
        out.on_update_now = def->on_update_now;
        out.default_kind = def->default_kind;
        out.default_text = def->default_text;
    }
    return out;
}

static void keep_column(Draft *d, uint32_t column)
{
    uint32_t before = feeder_before(d, column), at = d->schema.n_columns;
    const ColumnDef *def = &d->v->schema->columns[column];
    d->origins[at] = d->v->origins[column];
    if (before != NO_COLUMN) {
        uint32_t after = successor(d->step, before);
        if (after == NO_COLUMN) return; /* dropped */
        const ColumnDef *was = &d->step->before->columns[before], *is = &d->step->after->columns[after];
        d->origins[at] = kept_origin(d, &d->v->origins[column], after);
        if (!column_same(was, is) || !str_ieq(was->name, is->name)) {
            d->schema.columns[at] = changed_column(def, was, is);
            d->from[at] = column;
            d->schema.n_columns++;
            return;
        }
    }
    d->schema.columns[at] = *def;
    d->from[at] = column;
    d->schema.n_columns++;
}

/* A column that the group has already taken for done keeps its origin when it was filled as was said. */
static void add_column(Draft *d, uint32_t after)
{
    const ColumnDef *def = &d->step->after->columns[after];
    const ColumnLineage *l = &d->step->columns[after];
    uint32_t at = schema_column(&d->schema, def->name);
    if (at == NO_COLUMN) {
        at = d->schema.n_columns++;
        d->from[at] = NO_COLUMN;
        d->origins[at] = added_origin(d->step, after);
    } else if (d->origins[at].left) { /* its rows hold the fill now, whatever they held before */
        d->from[at] = NO_COLUMN;
        d->origins[at] = added_origin(d->step, after);
    } else if (d->origins[at].fill != l->fill || !str_eq(d->origins[at].fill_text, l->fill_text)) {
        d->origins[at] = added_origin(d->step, after);
    }
    d->schema.columns[at] = *def;
}

bool key_same_parts(const TableSchema *a, const KeyDef *ka, const TableSchema *b, const KeyDef *kb)
{
    if (ka->n_parts != kb->n_parts || ka->primary != kb->primary || ka->unique != kb->unique) return false;
    for (uint32_t i = 0; i < ka->n_parts; i++) {
        const KeyPart *x = &ka->parts[i], *y = &kb->parts[i];
        if ((x->column == NO_COLUMN) != (y->column == NO_COLUMN) || x->prefix != y->prefix) return false;
        if (x->column == NO_COLUMN ? !str_eq(x->expression, y->expression)
                                   : !str_ieq(a->columns[x->column].name, b->columns[y->column].name))
            return false;
    }
    return true;
}

static const KeyDef *find_key(const TableSchema *in, const TableSchema *of, const KeyDef *k)
{
    for (uint32_t i = 0; i < in->n_keys; i++)
        if (key_same_parts(in, &in->keys[i], of, k) && str_ieq(in->keys[i].name, k->name))
            return &in->keys[i];
    return NULL;
}

/* Adds a key with its columns looked up by name in the draft; parts whose column is gone fall off, as on the
 * servers. names: old name → new one through from. */
static void put_key(Draft *d, const TableSchema *of, const KeyDef *k, bool through_from)
{
    KeyDef own = *k;
    own.parts = arena_array(&d->arena, KeyPart, k->n_parts);
    own.n_parts = 0;
    for (uint32_t i = 0; i < k->n_parts; i++) {
        KeyPart part = k->parts[i];
        if (part.column != NO_COLUMN) {
            uint32_t at = NO_COLUMN;
            for (uint32_t c = 0; through_from && c < d->schema.n_columns; c++)
                if (d->from[c] == part.column) at = c;
            if (!through_from) at = schema_column(&d->schema, of->columns[part.column].name);
            if (at == NO_COLUMN) continue;
            part.column = at;
        }
        own.parts[own.n_parts++] = part;
    }
    if (own.n_parts && !find_key(&d->schema, &d->schema, &own)) d->schema.keys[d->schema.n_keys++] = own;
}

static void step_keys(Draft *d)
{
    const TableSchema *before = d->step->before, *after = d->step->after, *was = d->v->schema;
    for (uint32_t i = 0; i < was->n_keys; i++) {
        const KeyDef *old = find_key(before, was, &was->keys[i]);
        bool same_name = false;
        for (uint32_t k = 0; old && k < after->n_keys; k++)
            same_name |= str_ieq(after->keys[k].name, old->name);
        if (!old || same_name || find_key(after, before, old)) put_key(d, was, &was->keys[i], true);
    }
    for (uint32_t i = 0; i < after->n_keys; i++)
        if (!find_key(before, after, &after->keys[i])) put_key(d, after, &after->keys[i], false);
}

static void step_parted(Draft *d)
{
    for (uint32_t i = 0; i < d->v->schema->n_columns; i++)
        keep_column(d, i);
    for (uint32_t i = 0; i < d->step->after->n_columns; i++)
        if (d->step->columns[i].from == NO_COLUMN) add_column(d, i);
    step_keys(d);
    for (uint32_t i = 0; i < d->step->after->n_columns; i++) {
        uint32_t before = d->step->columns[i].from, was = NO_COLUMN;
        d->feeds[i] = NO_COLUMN;
        if (before == NO_COLUMN) {
            d->feeds[i] = schema_column(&d->schema, d->step->after->columns[i].name);
            continue;
        }
        uint32_t shape = schema_column(d->v->shape, d->step->before->columns[before].name);
        if (shape != NO_COLUMN) was = d->v->feeds[shape];
        for (uint32_t c = 0; was != NO_COLUMN && c < d->schema.n_columns; c++)
            if (d->from[c] == was) d->feeds[i] = c;
    }
}

/* Nothing of the table's form changes: it is gone, or its rows alone changed. */
static const VersionStep *step_same_form(Draft *d, const void *by)
{
    const Version *v = d->v;
    for (uint32_t i = 0; i < v->schema->n_columns; i++) {
        d->from[i] = i;
        d->origins[i] = v->origins[i];
    }
    d->feeds = arena_array(&d->arena, uint32_t, v->shape->n_columns + 1);
    if (v->shape->n_columns) memcpy(d->feeds, v->feeds, v->shape->n_columns * sizeof *d->feeds);
    return draft_end(d, v->schema, v->shape, by);
}

/* The table came again: nothing is known of what it replaced. */
static const VersionStep *step_create(Draft *d)
{
    const TableSchema *after = d->step->after;
    d->gone = false;
    for (uint32_t i = 0; i < after->n_columns; i++) {
        d->from[i] = NO_COLUMN;
        d->origins[i] = (ColumnOrigin){.kind = ORIGIN_ANY};
        d->feeds[i] = i;
    }
    return draft_end(d, after, after, d->step);
}

/* Its rows are all that the group takes the table for. */
static bool is_plain(const Version *v)
{
    bool plain = v->schema == v->shape;
    for (uint32_t i = 0; plain && i < v->shape->n_columns; i++)
        plain = v->feeds[i] == i;
    return plain;
}

const VersionStep *version_step(VersionPool *p, const Version *v, const SchemaStep *given)
{
    const SchemaStep *step = version_keep_step(p, given);
    const VersionStep *known = version_step_find(p, v, step);
    if (known) return known;
    const TableSchema *after = step->after;
    Draft d;
    draft_begin(&d, p, v, step, v->schema->n_columns + (after ? after->n_columns : 0),
                v->schema->n_keys + (after ? after->n_keys : 0));
    if (step->rows != ROWS_KEPT) d.rows = text_with(&d.arena, v->rows, step->rows_what);
    if (!after) {
        d.gone = true;
        return step_same_form(&d, step);
    }
    d.feeds = arena_array(&d.arena, uint32_t, after->n_columns + 1);
    if (!step->before || v->gone) return step_create(&d);
    if (is_plain(v)) {
        step_plain(&d);
        return draft_end(&d, after, after, step);
    }
    step_parted(&d);
    return draft_end(&d, &d.schema, after, step);
}

const VersionStep *version_skip(VersionPool *p, const Version *v, const SchemaStep *given)
{
    const SchemaStep *step = version_keep_step(p, given);
    const void *by = (const char *)step + 1; /* another key than version_step's */
    const VersionStep *known = version_step_find(p, v, by);
    if (known) return known;
    Draft d;
    draft_begin(&d, p, v, step, v->schema->n_columns, 0);
    if (!step->after || !step->before) {
        const TableSchema *shape = step->after ? step->after : v->shape;
        for (uint32_t i = 0; i < v->schema->n_columns; i++) {
            d.from[i] = i;
            d.origins[i] = v->origins[i];
        }
        d.feeds = arena_array(&d.arena, uint32_t, shape->n_columns + 1);
        for (uint32_t i = 0; i < shape->n_columns; i++)
            d.feeds[i] = schema_column(v->schema, shape->columns[i].name);
        return draft_end(&d, v->schema, shape, by);
    }
    for (uint32_t i = 0; i < v->schema->n_columns; i++) {
        d.from[i] = i;
        d.origins[i] = v->origins[i];
        uint32_t before = feeder_before(&d, i);
        if (before == NO_COLUMN || successor(step, before) != NO_COLUMN) continue;
        d.origins[i].left = true; /* no row feeds it any more */
        if (d.origins[i].fill == FILL_NONE) d.origins[i].fill = FILL_NULL;
    }
    d.feeds = arena_array(&d.arena, uint32_t, step->after->n_columns + 1);
    for (uint32_t i = 0; i < step->after->n_columns; i++) {
        uint32_t before = step->columns[i].from;
        uint32_t shape =
            before == NO_COLUMN ? NO_COLUMN : schema_column(v->shape, step->before->columns[before].name);
        d.feeds[i] = shape == NO_COLUMN ? NO_COLUMN : v->feeds[shape];
    }
    return draft_end(&d, v->schema, step->after, by);
}

/* -- other ways to a version -- */

static const Version *with_origins(VersionPool *p, const Version *v, const ColumnOrigin *origins, Str rows)
{
    Version out = *v;
    out.origins = origins;
    out.rows = rows;
    return version_intern(p, &out);
}

/* The column of v that counts as model's: the same one (added: of one history), else the one of its name. */
static uint32_t counterpart(const Version *v, const Version *model, uint32_t column, bool added)
{
    VersionView a = version_view(v), b = version_view(model);
    bool told = model->origins[column].kind != ORIGIN_ANY; /* else its history is that of every column */
    for (uint32_t i = 0; told && i < v->schema->n_columns; i++)
        if ((v->origins[i].kind == ORIGIN_BASE || (added && v->origins[i].kind == ORIGIN_ADDED)) &&
            version_same_column(&a, i, &b, column))
            return i;
    return schema_column(v->schema, model->schema->columns[column].name);
}

/* Columns of rows that feed nothing, by their names. */
static void feed_by_name(Draft *d, const TableSchema *shape, const TableSchema *model)
{
    for (uint32_t i = 0; i < shape->n_columns; i++) {
        uint32_t at = schema_column(model, shape->columns[i].name);
        bool taken = d->feeds[i] != NO_COLUMN || at == NO_COLUMN;
        for (uint32_t k = 0; !taken && k < shape->n_columns; k++)
            taken = d->feeds[k] == at;
        if (!taken) d->feeds[i] = at;
    }
}

static const VersionStep *adopt(VersionPool *p, const Version *v, const Version *model, bool replaces)
{
    const void *by = (const char *)model + replaces; /* two keys */
    const VersionStep *known = version_step_find(p, v, by);
    if (known) return known;
    uint32_t n = model->schema->n_columns;
    Draft d;
    draft_begin(&d, p, v, NULL, n, 0);
    d.rows = model->rows;
    d.gone = model->gone;
    d.feeds = arena_array(&d.arena, uint32_t, v->shape->n_columns + 1);
    for (uint32_t i = 0; i < v->shape->n_columns; i++)
        d.feeds[i] = NO_COLUMN;
    for (uint32_t c = 0; c < n; c++) {
        d.from[c] = counterpart(v, model, c, replaces);
        d.origins[c] = model->origins[c];
        if (d.origins[c].fill == FILL_VOLATILE) d.origins[c] = (ColumnOrigin){.kind = ORIGIN_ANY};
        d.origins[c].left = d.from[c] != NO_COLUMN && v->origins[d.from[c]].left;
        for (uint32_t i = 0; d.from[c] != NO_COLUMN && i < v->shape->n_columns; i++)
            if (v->feeds[i] == d.from[c]) d.feeds[i] = c;
    }
    if (replaces) feed_by_name(&d, v->shape, model->schema);
    return draft_end(&d, model->schema, v->shape, by);
}

const VersionStep *version_adopt(VersionPool *p, const Version *v, const Version *model)
{
    return adopt(p, v, model, false);
}

const VersionStep *version_replace(VersionPool *p, const Version *v, const Version *model)
{
    return adopt(p, v, model, true);
}

static bool is_fed(const Version *v, uint32_t column)
{
    for (uint32_t i = 0; i < v->shape->n_columns; i++)
        if (v->feeds[i] == column) return true;
    return false;
}

const Version *version_rebase(VersionPool *p, const Version *v)
{
    Arena arena = {0};
    ColumnOrigin *origins = arena_array(&arena, ColumnOrigin, v->schema->n_columns + 1);
    for (uint32_t i = 0; i < v->schema->n_columns; i++) {
        origins[i] = (ColumnOrigin){.kind = ORIGIN_BASE, .base = v->schema->columns[i].name};
        if (is_fed(v, i)) continue;
        origins[i].fill = v->origins[i].fill; /* what rows without it get stays on record */
        origins[i].fill_text = v->origins[i].fill_text;
        origins[i].left = v->origins[i].left;
    }
    const Version *out = with_origins(p, v, origins, (Str){0});
    arena_done(&arena);
    return out;
}

const Version *version_plain(VersionPool *p, const Version *v)
{
    Arena arena = {0};
    Version out = *v;
    uint32_t *feeds = arena_array(&arena, uint32_t, v->schema->n_columns + 1);
    for (uint32_t i = 0; i < v->schema->n_columns; i++)
        feeds[i] = i;
    out.shape = v->schema;
    out.feeds = feeds;
    const Version *own = version_intern(p, &out);
    arena_done(&arena);
    return own;
}

static void fill_by_default(const ColumnDef *c, ColumnLineage *l)
{
    *l = (ColumnLineage){.from = NO_COLUMN, .fill = FILL_NULL};
    if (c->generated)
        l->fill = FILL_COMPUTED;
    else if (c->default_kind == DEFAULT_LITERAL)
        l->fill = FILL_VALUE;
    if (l->fill == FILL_COMPUTED) l->fill_text = c->generation_expr;
}

const SchemaStep *version_step_between(VersionPool *p, const TableSchema *before, const TableSchema *after)
{
    SchemaStep s = {.before = version_schema(p, before),
                    .after = version_schema(p, after),
                    .name_before = before->name,
                    .name_after = after->name,
                    .statement = STR("definition found at start")};
    s.columns = arena_array(&s.arena, ColumnLineage, after->n_columns + 1);
    s.dropped = arena_array(&s.arena, bool, before->n_columns + 1);
    for (uint32_t i = 0; i < before->n_columns; i++)
        s.dropped[i] = schema_column(after, before->columns[i].name) == NO_COLUMN;
    for (uint32_t i = 0; i < after->n_columns; i++) {
        const ColumnDef *c = &after->columns[i];
        uint32_t at = schema_column(before, c->name);
        fill_by_default(c, &s.columns[i]);
        if (s.columns[i].fill == FILL_VALUE) {
            StrBuf literal = {0};
            sb_quoted(&literal, c->default_text);
            s.columns[i].fill_text = arena_str(&s.arena, sb_view(&literal));
            sb_done(&literal);
        }
        if (at == NO_COLUMN) continue;
        s.columns[i] = (ColumnLineage){.from = at, .converted = !column_same(&before->columns[at], c)};
    }
    const SchemaStep *own = version_keep_step(p, &s);
    arena_done(&s.arena);
    return own;
}
