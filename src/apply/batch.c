#include "apply/batch.h"
#include <stdlib.h>
#include "apply/rowsql.h"
#include "base/check.h"
#include "base/poison.h"

typedef struct BatchKey {
    uint64_t key;
    uint32_t op; /* index + 1; 0 = free */
} BatchKey;

typedef struct BatchTarget {
    const Target *target;
    uint32_t max_level; /* highest given so far */
    uint32_t floor;     /* levels below are before the last exclusive operation */
} BatchTarget;

void batch_clear(Batch *b)
{
    b->n_ops = 0;
    b->n_changes = 0;
    b->n_targets = 0;
    if (b->keys_used) memset(b->keys, 0, b->keys_cap * sizeof *b->keys);
    b->keys_used = 0;
}

void batch_done(Batch *b)
{
    free(b->ops);
    free(b->keys);
    free(b->targets);
    *b = (Batch){0};
}

static BatchKey *key_slot(BatchKey *keys, size_t cap, uint64_t key)
{
    size_t i = key & (cap - 1);
    while (keys[i].op && keys[i].key != key)
        i = (i + 1) & (cap - 1);
    return &keys[i];
}

static void keys_reserve(Batch *b, size_t more)
{
    if ((b->keys_used + more) * 2 <= b->keys_cap) return;
    size_t cap = b->keys_cap ? b->keys_cap : 1024;
    while ((b->keys_used + more) * 2 > cap)
        cap *= 2;
    BatchKey *keys = mem_zalloc(cap * sizeof *keys);
    for (size_t i = 0; i < b->keys_cap; i++)
        if (b->keys[i].op) *key_slot(keys, cap, b->keys[i].key) = b->keys[i];
    free(b->keys);
    b->keys = keys;
    b->keys_cap = cap;
}

static BatchTarget *target_of(Batch *b, const Target *t)
{
    for (size_t i = b->n_targets; i-- > 0;)
        if (b->targets[i].target == t) return &b->targets[i];
    if (b->n_targets == b->targets_cap) {
        b->targets_cap = b->targets_cap ? b->targets_cap * 2 : 16;
        b->targets = mem_realloc(b->targets, b->targets_cap * sizeof *b->targets);
    }
    b->targets[b->n_targets] = (BatchTarget){.target = t};
    return &b->targets[b->n_targets++];
}

/* The one operation that was last on all keys of op, or NULL when they differ or some key is new. */
static BatchOp *sole_predecessor(Batch *b, const Txn *t, const RowOp *op)
{
    uint32_t sole = 0;
    for (uint32_t k = 0; k < op->n_keys; k++) {
        uint32_t last = key_slot(b->keys, b->keys_cap, t->keys[op->keys_at + k])->op;
        if (!last || (sole && last != sole)) return NULL;
        sole = last;
    }
    return sole ? &b->ops[sole - 1] : NULL;
}

static bool is_fold_partner(const BatchOp *p, const RowOp *op, const RowImage *now, const RowImage *next)
{
    return p->op->binding == op->binding && rowsql_same_row_key(op->binding, now, next);
}

/* Folds op into its predecessor where that keeps every collision visible. INSERT + DELETE is never folded:
 * the INSERT must still meet a row that another shard owns. */
static bool fold(BatchOp *p, const RowOp *op)
{
    if (p->op->exclusive || op->exclusive || !op->binding->full_shape) return false;
    switch (op->kind) {
    case ROW_UPDATE:
        if (!op->keys_unchanged || !op->after.full) return false;
        if (p->kind == ROW_DELETE || !p->after.full) return false;
        if (p->kind == ROW_UPDATE && !p->op->keys_unchanged && !p->replaced) return false;
        if (!is_fold_partner(p, op, &p->after, &op->before)) return false;
        p->after = op->after;
        return true;
    case ROW_DELETE:
        if (p->kind != ROW_UPDATE || (!p->op->keys_unchanged && !p->replaced)) return false;
        if (!is_fold_partner(p, op, &p->op->before, &op->before)) return false;
        p->kind = ROW_DELETE;
        p->replaced = false;
        return true;
    case ROW_INSERT:
        if (p->kind != ROW_DELETE || !op->after.full || !op->binding->target->primary_is_only_key)
            return false;
        if (!is_fold_partner(p, op, &p->op->before, &op->after)) return false;
        p->kind = ROW_UPDATE;
        p->after = op->after;
        p->replaced = true;
        return true;
    }
    return false;
}

static void add_op(Batch *b, const Txn *t, const RowOp *op)
{
    BatchTarget *bt = target_of(b, op->binding->target);
    keys_reserve(b, op->n_keys);
    if (!op->exclusive) {
        BatchOp *before = sole_predecessor(b, t, op);
        if (before && before->level >= bt->floor && fold(before, op)) return;
    }
    if (b->n_ops == b->cap) {
        b->cap = b->cap ? b->cap * 2 : 256;
        b->ops = mem_realloc(b->ops, b->cap * sizeof *b->ops);
    }
    uint32_t index = (uint32_t)b->n_ops++, level = bt->floor;
    if (op->exclusive) level = MAX(level, bt->max_level + 1);
    for (uint32_t k = 0; k < op->n_keys; k++) {
        BatchKey *slot = key_slot(b->keys, b->keys_cap, t->keys[op->keys_at + k]);
        /* A row may have one key twice (before and after): it does not come after itself. */
        /* NOLINTNEXTLINE(clang-analyzer-core.NullDereference): a slot's op is one of b->ops */
        if (slot->op && slot->op != index + 1) level = MAX(level, b->ops[slot->op - 1].level + 1);
        if (!slot->op) b->keys_used++;
        *slot = (BatchKey){.key = t->keys[op->keys_at + k], .op = index + 1};
    }
    b->ops[index] = (BatchOp){.op = op, .kind = op->kind, .after = op->after, .level = level};
    bt->max_level = MAX(bt->max_level, level);
    if (op->exclusive) bt->floor = level + 1;
}

void batch_add(Batch *b, const Txn *t)
{
    for (size_t i = 0; i < t->n_ops; i++)
        add_op(b, t, &t->ops[i]);
    b->n_changes += t->n_ops;
}

/* Within a level: DELETE, UPDATE, INSERT; the order does not matter for the result, but freeing first never
 * collides. */
static int kind_rank(RowKind k)
{
    return k == ROW_DELETE ? 0 : k == ROW_UPDATE ? 1 : 2;
}

static int cmp_ops(const void *a, const void *b)
{
    const BatchOp *x = a, *y = b;
    const Target *tx = x->op->binding->target, *ty = y->op->binding->target;
    if (tx != ty) return tx->id < ty->id ? -1 : 1;
    if (x->level != y->level) return x->level < y->level ? -1 : 1;
    if (x->kind != y->kind) return kind_rank(x->kind) - kind_rank(y->kind);
    if (x->op->binding != y->op->binding) return x->op->binding < y->op->binding ? -1 : 1;
    return x->op < y->op ? -1 : x->op > y->op;
}

void batch_sort(Batch *b)
{
    if (b->n_ops) qsort(b->ops, b->n_ops, sizeof *b->ops, cmp_ops);
}

bool batch_same_group(const BatchOp *x, const BatchOp *y)
{
    return x->op->binding->target == y->op->binding->target && x->level == y->level && x->kind == y->kind;
}
