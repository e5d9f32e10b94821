#include "apply/remap_want.h"
#include <stdlib.h>
#include "base/check.h"
#include "decode/row.h"
#include "decode/value.h"
#include "base/poison.h"

enum { FEW_COLUMNS = 128 };

void remap_wants_done(RemapWants *w)
{
    free(w->list);
    *w = (RemapWants){0};
}

static void want_push(RemapWants *w, RemapWant want)
{
    if (w->n == w->cap) {
        w->cap = w->cap ? w->cap * 2 : 1024;
        w->list = mem_realloc(w->list, w->cap * sizeof *w->list);
    }
    w->list[w->n++] = want;
}

static void add_image(RemapWants *w, const Binding *b, RowImage *image, Arena *arena)
{
    Field few[FEW_COLUMNS],
        *fields = b->n_columns <= FEW_COLUMNS ? few : mem_alloc(b->n_columns * sizeof *fields);
    /* When it is tried again the image has its place already, and nothing in it counts. */
    uint64_t *ids = image->ids ? image->ids : arena_array(arena, uint64_t, b->n_mapped);
    row_fields(b->map, image->present, image->bytes, fields);
    for (uint32_t i = 0; i < b->n_mapped; i++) {
        const BoundColumn *c = &b->columns[b->mapped[i]];
        Field f = fields[b->mapped[i]];
        ids[i] = 0;
        if (f.state != FIELD_VALUE) continue;
        uint64_t v = (uint64_t)value_int(&c->codec, f);
        if (v == 0 && c->rewrite->keep_zero) continue;
        const KeySpace *space = c->rewrite->space;
        RemapOld old = {space->id, !c->codec.is_unsigned && (int64_t)v < 0, v};
        want_push(w, (RemapWant){old, space, &ids[i]});
    }
    image->ids = ids;
    if (fields != few) free(fields);
}

void remap_wants_add(RemapWants *w, Txn *t)
{
    bool any = false;
    for (size_t i = 0; i < t->n_ops; i++) {
        RowOp *op = &t->ops[i];
        if (!op->binding->n_mapped) continue;
        any = true;
        if (op->kind != ROW_INSERT) add_image(w, op->binding, &op->before, &t->arena);
        if (op->kind != ROW_DELETE) add_image(w, op->binding, &op->after, &t->arena);
    }
    if (!any) t->has_ids = true;
}

static int cmp_old(const RemapOld *a, const RemapOld *b)
{
    if (a->negative != b->negative) return a->negative ? -1 : 1;
    return a->value < b->value ? -1 : a->value > b->value; /* of two negative ones, too */
}

static int cmp_wants(const void *x, const void *y)
{
    const RemapWant *a = x, *b = y;
    if (a->space != b->space) {
        int by_target = str_cmp(a->space->target.schema, b->space->target.schema);
        if (!by_target) by_target = str_cmp(a->space->target.table, b->space->target.table);
        if (by_target) return by_target;
        return a->old.space < b->old.space ? -1 : 1;
    }
    return cmp_old(&a->old, &b->old);
}

size_t remap_wants_entries(RemapWants *w, RemapEntry **out)
{
    size_t n = 0;
    if (w->n) qsort(w->list, w->n, sizeof *w->list, cmp_wants);
    *out = mem_alloc((w->n + 1) * sizeof **out);
    for (size_t i = 0; i < w->n; i++) {
        const RemapWant *want = &w->list[i];
        if (n && remap_old_eq(&(*out)[n - 1].old, &want->old)) continue;
        (*out)[n++] = (RemapEntry){want->old, want->space, 0};
    }
    return n;
}

void remap_wants_fill(const RemapWants *w, const RemapEntry *entries, size_t n)
{
    size_t at = 0;
    for (size_t i = 0; i < w->n; i++) {
        while (at < n && !remap_old_eq(&entries[at].old, &w->list[i].old))
            at++;
        CHECK(at < n && entries[at].new_id, "every id that is wanted has a new one");
        *w->list[i].to = entries[at].new_id;
    }
}

RemapEntry *remap_entry_find(RemapEntry *entries, size_t n, bool negative, uint64_t value)
{
    RemapOld old = {.negative = negative, .value = value};
    size_t from = 0, to = n;
    while (from < to) {
        size_t mid = (from + to) / 2;
        int c = cmp_old(&entries[mid].old, &old);
        if (c == 0) return &entries[mid];
        if (c < 0)
            from = mid + 1;
        else
            to = mid;
    }
    return NULL;
}
