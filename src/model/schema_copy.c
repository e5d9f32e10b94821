#include "model/schema.h"
#include "base/poison.h"

static void own(Arena *a, Str *s)
{
    if (s->ptr) *s = arena_str(a, *s);
}

static const Str *own_list(Arena *a, const Str *list, uint32_t n)
{
    Str *copy = arena_array(a, Str, n + 1);
    for (uint32_t i = 0; i < n; i++)
        copy[i] = arena_str(a, list[i]);
    return copy;
}

static void *own_array(Arena *a, const void *items, size_t size, uint32_t n)
{
    void *copy = arena_zalloc(a, size * (n + 1U));
    if (n) memcpy(copy, items, size * n);
    return copy;
}

static void copy_columns(TableSchema *t, const TableSchema *s)
{
    Arena *a = &t->arena;
    t->columns = own_array(a, s->columns, sizeof *s->columns, s->n_columns);
    for (uint32_t i = 0; i < t->n_columns; i++) {
        ColumnDef *c = &t->columns[i];
        own(a, &c->name);
        own(a, &c->data_type);
        own(a, &c->column_type);
        own(a, &c->charset);
        own(a, &c->collation);
        own(a, &c->default_text);
        own(a, &c->generation_expr);
        own(a, &c->comment);
        c->members = own_list(a, c->members, c->n_members);
    }
}

static void copy_keys(TableSchema *t, const TableSchema *s)
{
    Arena *a = &t->arena;
    t->keys = own_array(a, s->keys, sizeof *s->keys, s->n_keys);
    for (uint32_t i = 0; i < t->n_keys; i++) {
        KeyDef *k = &t->keys[i];
        own(a, &k->name);
        own(a, &k->index_type);
        own(a, &k->comment);
        k->parts = own_array(a, k->parts, sizeof *k->parts, k->n_parts);
        for (uint32_t p = 0; p < k->n_parts; p++)
            own(a, &k->parts[p].expression);
    }
}

static void copy_constraints(TableSchema *t, const TableSchema *s)
{
    Arena *a = &t->arena;
    t->checks = own_array(a, s->checks, sizeof *s->checks, s->n_checks);
    for (uint32_t i = 0; i < t->n_checks; i++) {
        own(a, &t->checks[i].name);
        own(a, &t->checks[i].expr);
    }
    t->foreign_keys = own_array(a, s->foreign_keys, sizeof *s->foreign_keys, s->n_foreign_keys);
    for (uint32_t i = 0; i < t->n_foreign_keys; i++) {
        ForeignKey *f = &t->foreign_keys[i];
        own(a, &f->name);
        own(a, &f->parent.schema);
        own(a, &f->parent.table);
        f->columns = own_array(a, f->columns, sizeof *f->columns, f->n_columns);
        f->parent_columns = own_array(a, f->parent_columns, sizeof *f->parent_columns, f->n_columns);
        for (uint32_t k = 0; k < f->n_columns; k++)
            own(a, &f->parent_columns[k]);
        own(a, &f->on_update);
        own(a, &f->on_delete);
    }
}

static void copy_partitions(TableSchema *t, const TableSchema *s)
{
    Arena *a = &t->arena;
    Partitioning *by = &t->partitioning;
    own(a, &by->method);
    own(a, &by->expr);
    own(a, &by->sub_method);
    own(a, &by->sub_expr);
    by->parts = own_array(a, s->partitioning.parts, sizeof *by->parts, by->n_parts);
    for (uint32_t i = 0; i < by->n_parts; i++) {
        PartitionDef *p = &by->parts[i];
        own(a, &p->name);
        own(a, &p->values);
        own(a, &p->comment);
        p->subpartitions = own_list(a, p->subpartitions, p->n_subpartitions);
    }
}

TableSchema *schema_copy(const TableSchema *s)
{
    TableSchema *t = mem_alloc(sizeof *t);
    *t = *s;
    t->arena = (Arena){0};
    own(&t->arena, &t->name.schema);
    own(&t->arena, &t->name.table);
    own(&t->arena, &t->engine);
    own(&t->arena, &t->collation);
    own(&t->arena, &t->comment);
    copy_columns(t, s);
    copy_keys(t, s);
    copy_constraints(t, s);
    t->options = own_array(&t->arena, s->options, sizeof *s->options, s->n_options);
    for (uint32_t i = 0; i < t->n_options; i++) {
        own(&t->arena, &t->options[i].name);
        own(&t->arena, &t->options[i].value);
    }
    copy_partitions(t, s);
    return t;
}
