/* The stream's thread: what becomes of each change of a table that is being copied. */
#include <stdatomic.h>
#include <stdlib.h>
#include "base/check.h"
#include "base/clock.h"
#include "base/fault.h"
#include "decode/row.h"
#include "load/load_impl.h"
#include "load/unseen.h"
#include "model/applied_set.h"
#include "track/keyhash.h"
#include "base/poison.h"

/* ---- chunks that the stream has come to ---- */

/* Has everything in U been handed on? Then the transaction in hand, if any, lies behind U. */
static bool is_due(const Load *l, const Range *r)
{
    int c;
    if (place_cmp(r->u_file, r->u_pos, str_of(l->point.file), l->point.pos, &c) && c <= 0) return true;
    return l->has_current && place_cmp(r->u_file, r->u_pos, l->current.file, l->current.end_pos, &c) && c < 0;
}

static Str point_text(const StreamPoint *p, Arena *arena)
{
    StrBuf json = {0};
    point_format(p, &json);
    Str s = arena_str(arena, sb_view(&json));
    sb_done(&json);
    return s;
}

void chunk_hash(const LoadTable *t, Txn *txn)
{
    KeySink sink = {.arena = &txn->arena};
    uint32_t cap = 0;
    Field *fields = NULL;
    bool exclusive = false;
    for (size_t i = 0; i < txn->n_ops; i++) {
        RowOp *op = &txn->ops[i];
        const TableMap *map = op->binding->map;
        if (map->n_columns > cap) {
            cap = map->n_columns;
            fields = mem_realloc(fields, cap * sizeof *fields);
        }
        row_fields(map, op->after.present, op->after.bytes, fields);
        op->row_no = i;
        op->exclusive = false;
        keyhash_row(op, NULL, fields, &sink);
        exclusive |= op->exclusive;
    }
    free(fields);
    txn->keys = sink.keys;
    txn->n_keys = sink.n;
    txn->targets = arena_new(&txn->arena, TxnTarget);
    txn->targets[0] = (TxnTarget){.target = t->member->target, .exclusive = exclusive};
    txn->n_targets = 1;
}

void chunk_seal(Load *l, const LoadTable *t, const Range *r, Txn *txn, uint64_t piece, uint64_t bytes)
{
    TxnChunk *c = arena_new(&txn->arena, TxnChunk);
    *c = (TxnChunk){.id = l->next_chunk++,
                    .member = t->member,
                    .lo = arena_str(&txn->arena, r->lo),
                    .hi = arena_str(&txn->arena, r->hi),
                    .piece = piece,
                    .point_json = point_text(&r->until, &txn->arena),
                    .rows = txn->n_ops,
                    .bytes = bytes};
    txn->chunk = c;
    txn->source = l->opts.source;
    txn->run = l->run;
    txn->position_only = true; /* it moves no floor by itself */
    txn->last_piece = true;
    txn->read_mono_ms = clock_mono_ms();
    /* An identity for messages and for telling a collision that comes again; no place in the binlog. */
    txn->id = (TxnId){.end_pos = (uint64_t)t->member->id + 1};
}

/* Rows that the stream has taken out go; the others are hashed anew. */
static void chunk_mend(const LoadTable *t, Range *r, Txn *txn)
{
    size_t n = 0;
    for (size_t i = 0; i < txn->n_ops; i++)
        if (txn->ops[i].binding) txn->ops[n++] = txn->ops[i];
    txn->n_ops = n;
    chunk_hash(t, txn);
    range_forget_rows(r);
}

static void send_one(Load *l, const LoadTable *t, Range *r)
{
    Txn *txn = r->txn;
    r->txn = NULL;
    if (r->changed) chunk_mend(t, r, txn);
    r->rows = txn->n_ops;
    chunk_seal(l, t, r, txn, 0, r->bytes);
    r->id = txn->chunk->id;
    pthread_mutex_unlock(&l->mutex);
    (void)FAULT("load.before_send");
    bool sent = l->opts.hooks.deliver(l->opts.hooks.ctx, txn);
    if (!sent) txn_free(txn);
    pthread_mutex_lock(&l->mutex);
    if (!sent) l->stopping = true; /* the stream is closed: whoever closed it stops us as well */
}

bool load_send_due(Load *l)
{
    for (size_t i = 0; i < l->n_ready && !l->stopping;) {
        ReadyChunk c = l->ready[i];
        if (!is_due(l, c.range)) {
            i++;
            continue;
        }
        l->ready[i] = l->ready[--l->n_ready];
        c.range->state = RANGE_SENT;
        point_copy(&c.range->until, &l->point);
        if (!c.range->unit) /* a unit's pieces are handed on by a reader */
            send_one(l, c.table, c.range);
        pthread_cond_broadcast(&l->changed);
        i = 0; /* the mutex was given up */
    }
    return !l->stopping;
}

/* ---- one change ---- */

typedef enum Verdict { V_NONE, V_APPLY, V_LOADED, V_PUT, V_WAIT, V_ANEW } Verdict;

/* What becomes of a change to the row with this key, as part of t. */
static Verdict judge(const Load *l, const LoadTable *table, Str key, const Txn *t, Range **range)
{
    Range *r = range_find(table, key);
    int c;
    *range = r;
    if (l->opts.judges_only) return r ? V_APPLY : V_LOADED;
    if (!r) {
        /* Not read yet. The read to come will see it; the snapshot of a moment sees what lies before that,
         * and nobody can say before it is taken. */
        bool behind = load_has_snapshot(l) &&
                      !(l->start_file && t->id.file.len &&
                        place_cmp(l->start_file, l->start_pos, t->id.file, t->id.end_pos, &c) && c >= 0);
        return behind ? V_WAIT : V_LOADED;
    }
    switch (r->state) {
    case RANGE_MARKED: return V_WAIT;
    case RANGE_READY:
        if (!t->id.file.len || !place_cmp(r->u_file, r->u_pos, t->id.file, t->id.end_pos, &c)) return V_WAIT;
        if (c < 0) return V_WAIT; /* behind U: the chunk is due, and sent first */
        if (r->exact && unseen_maybe(r, t)) {
            if (!table->shape->key) return V_ANEW;
            r->exact = false; /* all that comes behind it is put into the chunk in its order */
        }
        return r->exact ? V_LOADED : V_PUT;
    case RANGE_SENT: return point_covers(&r->until, &t->id) ? V_LOADED : V_WAIT;
    case RANGE_DONE: return !r->covered && point_covers(&r->until, &t->id) ? V_LOADED : V_APPLY;
    }
    return V_WAIT;
}

static bool stop_for(Load *l, const LoadTable *t, const char *why)
{
    Err err = {0};
    StrBuf name = {0};
    table_name_plain(t->member->name, &name);
    err_set_remedy(&err, ERR_NOT_SUPPORTED, "set binlog_row_image=FULL on the source while tables are copied",
                   "source %s: table %s: %s", l->opts.source_id, name.ptr, why);
    sb_done(&name);
    l->stopping = true;
    pthread_mutex_unlock(&l->mutex);
    l->opts.hooks.failed(l->opts.hooks.ctx, l->opts.source, &err);
    pthread_mutex_lock(&l->mutex);
    return false;
}

/* The rows of a chunk by what tells them apart, once a change has to be put among them. */
static void index_rows(const LoadTable *t, Range *r)
{
    StrBuf key = {0};
    r->by_key = mem_zalloc(sizeof *r->by_key);
    for (size_t i = 0; i < r->txn->n_ops; i++) {
        if (!r->txn->ops[i].binding) continue;
        sb_clear(&key);
        bool ok = chunk_key_row(t->shape->key, r->txn->ops[i].binding->map, &r->txn->ops[i].after, &key);
        CHECK(ok, "a copied row has its key");
        map_put(r->by_key, sb_view(&key), (void *)(uintptr_t)(i + 1));
    }
    sb_done(&key);
}

/* The rows in memory of their own: what changes have left behind goes. */
static void compact(Range *r)
{
    Txn *old = r->txn, *x = txn_new();
    x->ops = arena_array(&x->arena, RowOp, old->n_ops + 1);
    for (size_t i = 0; i < old->n_ops; i++) {
        RowOp op = old->ops[i];
        if (!op.binding) continue;
        size_t bitmap = (op.binding->map->n_columns + 7) / 8;
        uint8_t *present = arena_alloc(&x->arena, bitmap);
        memcpy(present, op.after.present, bitmap);
        op.after.present = present;
        op.after.bytes = arena_str(&x->arena, op.after.bytes);
        x->ops[x->n_ops++] = op;
    }
    r->txn = x;
    r->cap_ops = x->n_ops;
    r->left_bytes = 0;
    txn_free(old);
    range_forget_rows(r);
}

/* A row that changes often leaves an image behind each time. */
static void note_left(Load *l, Range *r, size_t bytes)
{
    r->left_bytes += bytes;
    if (r->left_bytes > l->chunk_bytes && r->left_bytes > r->txn->arena.bytes / 2) compact(r);
    l->held = l->held - r->held + r->txn->arena.bytes;
    r->held = r->txn->arena.bytes;
}

static void row_out(Load *l, const LoadTable *t, Range *r, Str key)
{
    if (!r->by_key) index_rows(t, r);
    size_t at = (size_t)(uintptr_t)map_take(r->by_key, key);
    if (!at) return;
    r->changed = true;
    r->txn->ops[at - 1].binding = NULL; /* taken out when the chunk is sent */
    note_left(l, r, r->txn->ops[at - 1].after.bytes.len + sizeof(RowOp));
}

static void row_in(Load *l, const LoadTable *t, Range *r, Str key, const RowOp *op)
{
    Txn *x = r->txn;
    size_t left = 0;
    r->changed = true;
    if (!r->by_key) index_rows(t, r);
    size_t at = (size_t)(uintptr_t)map_get(r->by_key, key);
    if (at) left = x->ops[at - 1].after.bytes.len;
    if (!at) {
        if (x->n_ops >= r->cap_ops) {
            r->cap_ops = x->n_ops * 2 + 64;
            RowOp *ops = arena_alloc(&x->arena, r->cap_ops * sizeof *ops);
            left += x->n_ops * sizeof *ops;
            if (x->n_ops) memcpy(ops, x->ops, x->n_ops * sizeof *ops);
            x->ops = ops;
        }
        at = ++x->n_ops;
        map_put(r->by_key, key, (void *)(uintptr_t)at);
    }
    size_t bitmap = (op->binding->map->n_columns + 7) / 8;
    uint8_t *present = arena_alloc(&x->arena, bitmap);
    memcpy(present, op->after.present, bitmap);
    x->ops[at - 1] =
        (RowOp){.binding = op->binding,
                .kind = ROW_INSERT,
                .after = {.bytes = arena_str(&x->arena, op->after.bytes), .present = present, .full = true}};
    note_left(l, r, left);
}

typedef struct Sides {
    StrBuf before, after; /* keys */
    Verdict vb, va;
    Range *rb, *ra;
} Sides;

/* False: the image lacks its key and it cannot be told from the other one. */
static bool keys_of(const LoadTable *t, const RowOp *op, Sides *s)
{
    sb_clear(&s->before);
    sb_clear(&s->after);
    if (!t->shape->key) return true;
    const TableMap *map = op->binding->map;
    if (op->kind != ROW_INSERT && !chunk_key_of(t->shape->key, map, &op->before, &s->before)) return false;
    if (op->kind == ROW_DELETE) return true;
    if (chunk_key_of(t->shape->key, map, &op->after, &s->after)) return true;
    sb_clear(&s->after);
    if (op->kind != ROW_UPDATE || !op->keys_unchanged) return false;
    sb_str(&s->after, sb_view(&s->before));
    return true;
}

/* The rows of a unit cannot be mended: they are read again, in a run that begins anew. */
static bool read_anew(Load *l, const LoadTable *t)
{
    Err err = {0};
    Range *r = t->ranges[0];
    StrBuf name = {0};
    table_name_plain(t->member->name, &name);
    err_set(&err, ERR_DB_RETRY,
            "source %s: table %s: an XA transaction ended while its snapshot was taken; it is read again",
            l->opts.source_id, name.ptr);
    sb_done(&name);
    if (r->unit) unit_remove(r->unit);
    r->unit = NULL;
    l->stopping = true;
    pthread_mutex_unlock(&l->mutex);
    l->opts.hooks.failed(l->opts.hooks.ctx, l->opts.source, &err);
    pthread_mutex_lock(&l->mutex);
    return false;
}

/* Decides both sides in one moment; waits, with the mutex given up, until both can be decided. */
static bool decide(Load *l, LoadTable *t, const Txn *txn, const RowOp *op, Sides *s)
{
    if (!keys_of(t, op, s)) return stop_for(l, t, "a row image lacks columns of its key");
    for (;;) {
        if (!load_send_due(l)) return false;
        s->vb = s->va = V_NONE;
        if (op->kind != ROW_INSERT) s->vb = judge(l, t, sb_view(&s->before), txn, &s->rb);
        if (op->kind != ROW_DELETE) s->va = judge(l, t, sb_view(&s->after), txn, &s->ra);
        if (s->vb == V_ANEW || s->va == V_ANEW) return read_anew(l, t);
        if (s->vb != V_WAIT && s->va != V_WAIT) return true;
        if (l->stopping) return false;
        l->stream_waits = true;
        pthread_cond_wait(&l->changed, &l->mutex);
        l->stream_waits = false;
    }
}

/* Puts the change into the chunks that it concerns. */
static bool put(Load *l, LoadTable *t, const RowOp *op, const Sides *s)
{
    StrBuf row = {0};
    const TableMap *map = op->binding->map;
    bool whole = op->kind == ROW_DELETE || op->after.full, ok = true;
    if (s->vb == V_PUT) {
        ok = chunk_key_row(t->shape->key, map, &op->before, &row);
        if (ok) row_out(l, t, s->rb, sb_view(&row));
    }
    sb_clear(&row);
    if (ok && s->va == V_PUT) {
        ok = whole && chunk_key_row(t->shape->key, map, &op->after, &row);
        if (ok) row_in(l, t, s->ra, sb_view(&row), op);
    }
    sb_done(&row);
    return ok || stop_for(l, t, "a change of a row that is being copied has a partial image");
}

/* False in *keep: nothing of the operation is left for the target. */
static bool settle(Load *l, LoadTable *t, RowOp *op, Sides *s, bool *keep)
{
    bool whole_after = op->kind == ROW_DELETE || op->after.full;
    if ((s->vb == V_PUT || s->va == V_PUT) && !put(l, t, op, s)) return false;
    bool before = s->vb == V_APPLY, after = s->va == V_APPLY;
    *keep = before || after;
    if (op->kind != ROW_UPDATE || before == after) return true;
    if (before) { /* the row leaves what is copied */
        op->kind = ROW_DELETE;
        op->after = (RowImage){0};
        op->row_hash_after = 0;
    } else {
        if (!whole_after)
            return stop_for(l, t, "a row that changes its key while it is copied has a partial image");
        op->kind = ROW_INSERT;
        op->before = (RowImage){0};
        op->row_hash_before = 0;
    }
    op->keys_unchanged = false;
    return true;
}

static bool failed(Load *l, Err *err)
{
    l->stopping = true;
    pthread_mutex_unlock(&l->mutex);
    l->opts.hooks.failed(l->opts.hooks.ctx, l->opts.source, err);
    pthread_mutex_lock(&l->mutex);
    return false;
}

/* A table that the stream shows for the first time is copied like the others. */
static bool add_late(Load *l, const Member *m, LoadTable **out)
{
    Err err = {0};
    LoadShape *shape;
    pthread_mutex_unlock(&l->mutex);
    bool ok = shape_ask(l, m, NULL, &shape, &err);
    pthread_mutex_lock(&l->mutex);
    if (!ok) return failed(l, &err);
    *out = load_table_of(l, m);
    if (*out) { /* it has been thawed meanwhile */
        shapes_free(shape);
    } else {
        *out = load_add_table(l, m, shape);
        unseen_from_here(l);
    }
    pthread_cond_broadcast(&l->changed);
    return true;
}

/* The stream is behind everything that was copied of it: or else it is known what the table looks like. */
static bool is_known(Load *l, LoadTable *t)
{
    Err err = {0};
    return !t->stale || shape_refresh(l, t, &err) || failed(l, &err);
}

static bool asks_no_more(const LoadTable *t)
{
    return t->following || (t->complete && t->behind);
}

static bool judge_all(Load *l, Txn *t)
{
    Sides s = {0};
    size_t n = 0;
    bool ok = true;
    for (size_t i = 0; ok && i < t->n_ops; i++) {
        RowOp *op = &t->ops[i];
        LoadTable *table = load_table_of(l, op->binding->member);
        bool keep = true;
        if (!table) ok = add_late(l, op->binding->member, &table);
        if (ok && !asks_no_more(table))
            ok = is_known(l, table) && decide(l, table, t, op, &s) && settle(l, table, op, &s, &keep);
        if (!ok) break;
        if (keep)
            t->ops[n++] = *op;
        else
            t->counts.loaded++;
    }
    if (ok) t->n_ops = n;
    sb_done(&s.before);
    sb_done(&s.after);
    return ok;
}

/* ---- a transaction ---- */

/* Positions of another server say nothing about chunks that were read from the one before: the run begins
 * anew, with what is committed. */
static bool same_server(Load *l, const Txn *t)
{
    if (!t->id.server || t->id.server == l->server || l->opts.judges_only) return true;
    if (!l->server) {
        l->server = t->id.server;
        return true;
    }
    Err err = {0};
    err_set(&err, ERR_DB_LOST,
            "source %s: the stream comes from another server now, the copy begins there anew",
            l->opts.source_id);
    l->stopping = true;
    pthread_mutex_unlock(&l->mutex);
    l->opts.hooks.failed(l->opts.hooks.ctx, l->opts.source, &err);
    pthread_mutex_lock(&l->mutex);
    return false;
}

void load_note_start(Load *l)
{
    int c;
    if (l->started || !l->start_file) return;
    bool there = l->point.file &&
                 place_cmp(l->point.file, l->point.pos, str_of(l->start_file), l->start_pos, &c) && c >= 0;
    /* The transaction in hand lies behind: so everything up to the start has been handed on. */
    there |= l->has_current &&
             place_cmp(l->start_file, l->start_pos, l->current.file, l->current.end_pos, &c) && c < 0;
    if (!there) return;
    l->started = true;
    pthread_cond_broadcast(&l->changed);
}

/* The stream has come past the transaction. */
static void move_point(Load *l, const TxnId *id)
{
    if (id->has_gtid && l->point.gtids) gtidset_add(l->point.gtids, &id->gtid);
    if (id->file.len) {
        if (l->point.file && str_eqc(id->file, l->point.file))
            l->point.pos = id->end_pos;
        else
            point_set_file(&l->point, id->file, id->end_pos);
        l->point.evidence = id->evidence;
    }
    if (id->server && (!l->point.server || strcmp(l->point.server, id->server) != 0)) {
        free(l->point.server);
        l->point.server = str_dup(str_of(id->server));
    }
    load_note_start(l);
}

void load_place(Load *l, Str file, uint64_t pos)
{
    int c;
    pthread_mutex_lock(&l->mutex);
    if (!l->stopping && l->point.file && place_cmp(l->point.file, l->point.pos, file, pos, &c) && c < 0) {
        point_set_file(&l->point, file, pos);
        l->point.evidence = (PointEvidence){0}; /* it is of the place before */
        load_note_start(l);
        l->stopping |= !load_send_due(l); /* told at the next transaction */
    }
    pthread_mutex_unlock(&l->mutex);
}

static bool all_known(const Load *l, const Txn *t)
{
    for (size_t i = 0; i < t->n_ops; i++)
        if (!load_table_of(l, t->ops[i].binding->member)) return false;
    return true;
}

bool load_deliver(Load *l, Txn *t)
{
    const LoadHooks *h = &l->opts.hooks;
    bool last = t->last_piece || t->position_only, ok = true;
    pthread_mutex_lock(&l->mutex);
    l->current = t->id;
    /* It has to outlive the transaction; mostly it is the file the stream is in already. */
    if (l->point.file && str_eqc(t->id.file, l->point.file)) {
        l->current.file.ptr = l->point.file;
    } else {
        free(l->current_file);
        l->current.file.ptr = l->current_file = str_dup(t->id.file);
    }
    l->has_current = true;
    if (t->xa_step && atomic_load(&l->active)) unseen_note(l, t);
    load_note_start(l);
    if (atomic_load(&l->active) || !all_known(l, t))
        ok = same_server(l, t) && load_send_due(l) && judge_all(l, t);
    pthread_mutex_unlock(&l->mutex);
    bool taken = ok && h->deliver(h->ctx, t);
    pthread_mutex_lock(&l->mutex);
    l->has_current = taken && !last; /* in hand until its last piece: what is marked in between must see it */
    if (taken && last) {
        move_point(l, &l->current);
        l->stopping |= !load_send_due(l); /* told at the next transaction */
    }
    pthread_mutex_unlock(&l->mutex);
    return taken;
}
