#include "source/assemble_impl.h"
#include <stdlib.h>
#include "base/check.h"
#include "base/crc.h"
#include "base/clock.h"
#include "base/fault.h"
#include "base/poison.h"

/* ---- one transaction ---- */

static void stamp(const Assembler *a, const RawEvent *ev, Txn *t)
{
    const Group *g = &a->group;
    t->source = a->opts.source;
    t->run = a->opts.run;
    t->timestamp = ev->header.timestamp;
    t->server_id = ev->header.server_id;
    t->id = (TxnId){
        .has_gtid = g->has_gtid && a->opts.use_gtid,
        .gtid = g->gtid,
        .file = arena_str(&t->arena, ev->file),
        .end_pos = ev->end_pos,
        .evidence = {true, ev->start_pos, ev->header.size, ev->header.timestamp, ev->crc},
        .server = a->server_interned,
    };
    t->xa_step = g->xa_step;
    if (g->xa_step) t->xid = arena_str(&t->arena, sb_view(&a->xid));
    t->read_mono_ms = clock_mono_ms();
}

static void list_targets(Txn *t)
{
    uint32_t cap = 0, last = 0;
    for (size_t i = 0; i < t->n_ops; i++) {
        Target *target = t->ops[i].binding->target;
        if (last >= t->n_targets || t->targets[last].target != target) {
            for (last = 0; last < t->n_targets && t->targets[last].target != target;)
                last++;
        }
        if (last == t->n_targets) {
            if (t->n_targets == cap) {
                cap = cap ? cap * 2 : 2;
                TxnTarget *grown = arena_alloc(&t->arena, cap * sizeof *grown);
                if (t->n_targets) memcpy(grown, t->targets, t->n_targets * sizeof *grown);
                t->targets = grown;
            }
            t->targets[t->n_targets++] = (TxnTarget){.target = target};
        }
        t->targets[last].exclusive |= t->ops[i].exclusive;
    }
}

/* The operations move from the scratch into the transaction. */
static void take_ops(Assembler *a, Txn *t)
{
    t->n_ops = a->n_ops;
    t->n_keys = a->sink.n;
    if (t->n_ops) {
        t->ops = arena_alloc(&t->arena, t->n_ops * sizeof *t->ops);
        memcpy(t->ops, a->ops, t->n_ops * sizeof *t->ops);
    }
    if (t->n_keys) {
        t->keys = arena_alloc(&t->arena, t->n_keys * sizeof *t->keys);
        memcpy(t->keys, a->sink.keys, t->n_keys * sizeof *t->keys);
    }
    list_targets(t);
}

/* Hands t over; frees it when the run is being stopped. */
static bool hand_over(Assembler *a, Txn *t, Err *err)
{
    const AssembleHooks *h = &a->opts.hooks;
    size_t bytes = t->arena.bytes;
    if (!budget_take(a->opts.budget, bytes)) {
        txn_free(t);
        return err_set(err, ERR_CANCELLED, "stopping");
    }
    t->budget_bytes = bytes;
    if (h->deliver(h->ctx, t)) return true;
    budget_give(a->opts.budget, bytes);
    txn_free(t);
    return err_set(err, ERR_CANCELLED, "stopping");
}

/* ---- pieces ---- */

typedef struct Cutter {
    Assembler *a;
    const RawEvent *ev;
    const AppliedTxn *applied; /* NULL: no ranges */
    size_t next_range;
    uint64_t total; /* row numbers given in the group */
    /* the open piece */
    Txn *txn;
    const AppliedRange *range; /* it is this one, done already */
    uint64_t limit;            /* it ends here at the latest */
    uint64_t n_rows;
    uint32_t crc;
    /* rows of the present segment that belong to it, not yet in its memory */
    const uint8_t *chunk;
    size_t chunk_first_op;
} Cutter;

static void piece_open(Cutter *c, uint64_t from)
{
    const AppliedTxn *d = c->applied;
    const AppliedRange *next = d && c->next_range < d->n_ranges ? &d->ranges[c->next_range] : NULL;
    bool done = next && next->from <= from;
    c->txn = txn_new();
    c->txn->is_piece = true;
    c->txn->row_from = from;
    c->range = done ? next : NULL;
    c->limit = !next ? c->total : done ? next->to : next->from;
    c->next_range += done;
    c->n_rows = 0;
    c->crc = 0;
    ops_clear(c->a);
}

static bool check_range(const Cutter *c, Err *err)
{
    if (c->range->crc == c->crc) return true;
    return err_set(
        err, ERR_SOURCE_REREAD,
        "rows %llu to %llu of this transaction were applied before with another content (CRC32 %08x, now "
        "%08x)",
        (unsigned long long)c->range->from, (unsigned long long)c->range->to, c->range->crc, c->crc);
}

static bool piece_close(Cutter *c, uint64_t to, Err *err)
{
    Txn *t = c->txn;
    t->row_to = to;
    t->last_piece = to == c->total;
    t->rows_crc = c->crc;
    if (c->range) {
        if (!check_range(c, err)) return false;
        t->already_applied = true;
        t->counts = c->range->counts; /* as recorded: the routes may be others now */
    } else {
        take_ops(c->a, t);
    }
    stamp(c->a, c->ev, t);
    c->txn = NULL;
    return hand_over(c->a, t, err);
}

/* The rows since chunk go into the piece's memory, and its operations with them. */
static void chunk_settle(Cutter *c, const Segment *s, const uint8_t *end)
{
    size_t n = (size_t)(end - c->chunk), bitmap = s->table->bitmap_len;
    c->crc = crc_sum(c->crc, c->chunk, n);
    if (c->a->n_ops > c->chunk_first_op) {
        uint8_t *to = arena_alloc(&c->txn->arena, n + 2 * bitmap);
        memcpy(to, c->chunk, n);
        uint8_t *before = to + n, *after = before + bitmap;
        if (s->present_before) memcpy(before, s->present_before, bitmap);
        if (s->present_after) memcpy(after, s->present_after, bitmap);
        for (size_t i = c->chunk_first_op; i < c->a->n_ops; i++) {
            RowOp *op = &c->a->ops[i];
            RowImage *images[2] = {&op->before, &op->after};
            for (size_t k = 0; k < 2; k++) {
                if (!images[k]->present) continue;
                images[k]->bytes.ptr = (char *)to + ((const uint8_t *)images[k]->bytes.ptr - c->chunk);
                images[k]->present = k == 0 ? before : after;
            }
        }
    }
    c->chunk = end;
    c->chunk_first_op = c->a->n_ops;
}

/* Must the piece end in front of row no? At recorded ranges' borders, and when it is full. */
static bool piece_full(const Cutter *c, uint64_t no, const uint8_t *at)
{
    const AssembleOpts *o = &c->a->opts;
    if (no >= c->limit) return true;
    if (c->range || c->n_rows == 0) return false;
    uint64_t bytes = c->txn->arena.bytes + (uint64_t)(at - c->chunk) + c->a->n_ops * sizeof(RowOp) +
                     c->a->sink.n * sizeof(uint64_t);
    return c->n_rows >= o->split_rows || bytes >= o->spill_bytes;
}

static bool cut_segment(Cutter *c, const Segment *s, Err *err)
{
    Reader r = reader_of(s->rows);
    uint64_t no = s->row_from;
    c->chunk = r.at;
    c->chunk_first_op = c->a->n_ops;
    for (; reader_left(&r); no++) {
        while (piece_full(c, no, r.at)) {
            uint64_t end = MIN(no, c->limit);
            chunk_settle(c, s, r.at);
            if (!piece_close(c, end, err)) return false;
            piece_open(c, end);
            c->chunk_first_op = c->a->n_ops;
        }
        if (!segment_row(c->a, s, &r, no, c->range == NULL, err)) return false;
        c->n_rows++;
        c->txn->counts.read++;
        count_unbound(s->table, 1, &c->txn->counts.filtered, &c->txn->counts.held);
    }
    chunk_settle(c, s, r.at);
    return true;
}

static bool cut_all(Cutter *c, Err *err)
{
    Assembler *a = c->a;
    Group *g = &a->group;
    for (bool end = g->spill == NULL; !end;) {
        Str record;
        Segment s;
        if (!spill_next(g->spill, &record, &end, err)) return false;
        if (!end && (!segment_unpack(a, record, &s, err) || !cut_segment(c, &s, err))) return false;
    }
    for (size_t i = 0; i < a->n_segments; i++)
        if (!cut_segment(c, &a->segments[i], err)) return false;
    /* Row numbers at the end may all have been rolled back. */
    while (c->limit < c->total) {
        uint64_t end = c->limit;
        if (!piece_close(c, end, err)) return false;
        piece_open(c, end);
    }
    return piece_close(c, c->total, err);
}

static bool ranges_fit(const Cutter *c, Err *err)
{
    uint64_t end = 0;
    for (size_t i = 0; c->applied && i < c->applied->n_ranges; i++) {
        const AppliedRange *r = &c->applied->ranges[i];
        if (r->from < end || r->to <= r->from)
            return err_set(err, ERR_CORRUPT,
                           "the applied set holds overlapping row ranges of this transaction");
        end = r->to;
    }
    if (end <= c->total) return true;
    return err_set(err, ERR_SOURCE_REREAD,
                   "%llu rows of this transaction were applied before, now it has only %llu",
                   (unsigned long long)end, (unsigned long long)c->total);
}

static bool deliver_pieces(Assembler *a, const RawEvent *ev, const AppliedTxn *applied, Err *err)
{
    Group *g = &a->group;
    Cutter c = {.a = a, .ev = ev, .applied = applied, .total = g->row_no};
    if (!ranges_fit(&c, err)) return false;
    if (g->spill && !spill_rewind(g->spill, err)) return false;
    piece_open(&c, 0);
    c.txn->counts.read = g->lead_read;
    c.txn->counts.filtered = g->lead_read - g->lead_held;
    c.txn->counts.held = g->lead_held;
    c.crc = g->lead_crc;
    bool ok = cut_all(&c, err);
    if (c.txn) txn_free(c.txn);
    return ok;
}

/* ---- groups ---- */

/* Nothing to split: everything is in memory. */
static bool deliver_whole(Assembler *a, const RawEvent *ev, Err *err)
{
    Group *g = &a->group;
    Txn *t = g->txn;
    g->txn = NULL;
    take_ops(a, t);
    stamp(a, ev, t);
    t->row_to = g->row_no;
    t->counts.read = g->read;
    t->counts.filtered = g->filtered;
    t->counts.held = g->held;
    return hand_over(a, t, err);
}

static bool deliver_applied(Assembler *a, const RawEvent *ev, const AppliedTxn *applied, Err *err)
{
    const Group *g = &a->group;
    Txn *t = txn_new();
    stamp(a, ev, t);
    t->row_to = g->row_no;
    t->already_applied = true;
    for (size_t i = 0; i < applied->n_ranges; i++)
        row_counts_add(&t->counts, &applied->ranges[i].counts);
    return hand_over(a, t, err);
}

static void point_move(Assembler *a, Str file, uint64_t pos, const PointEvidence *evidence)
{
    StreamPoint *p = &a->point;
    if (p->file && str_eqc(file, p->file))
        p->pos = pos;
    else
        point_set_file(p, file, pos);
    p->evidence = *evidence;
    if (a->server && (!p->server || strcmp(p->server, a->server) != 0)) {
        char *copy = str_dup(str_of(a->server));
        free(p->server);
        p->server = copy;
    }
}

bool group_commit(Assembler *a, const RawEvent *ev, Err *err)
{
    Group *g = &a->group;
    if (a->payload_rest)
        return err_set(err, ERR_CORRUPT, "events stand behind the end of the transaction in its payload");
    TxnId id = {.has_gtid = g->has_gtid && a->opts.use_gtid,
                .gtid = g->gtid,
                .file = ev->file,
                .end_pos = ev->end_pos,
                .server = a->server_interned};
    const AppliedTxn *applied = g->applied;
    if (!applied && a->opts.applied) applied = applied_set_find(a->opts.applied, &id, a->server);
    if (FAULT("assemble.before_deliver"))
        return err_set(err, ERR_DB_LOST, "the connection was lost (injected)");
    bool ok;
    if (applied && applied->whole)
        ok = deliver_applied(a, ev, applied, err);
    else if (applied || (g->mode == ROWS_RAW && (a->n_segments || (g->spill && spill_length(g->spill)))))
        ok = deliver_pieces(a, ev, applied, err);
    else
        ok = deliver_whole(a, ev, err);
    if (!ok) return false;
    if (g->has_gtid && a->point.gtids) gtidset_add(a->point.gtids, &g->gtid);
    if (g->has_gtid && a->domains) gtidset_add(a->domains, &g->gtid);
    PointEvidence evidence = {true, ev->start_pos, ev->header.size, ev->header.timestamp, ev->crc};
    point_move(a, ev->file, ev->end_pos, &evidence);
    group_drop(a);
    return true;
}

bool deliver_position(Assembler *a, Str file, uint64_t pos, uint32_t timestamp, const PointEvidence *evidence,
                      Err *err)
{
    Txn *t = txn_new();
    t->source = a->opts.source;
    t->run = a->opts.run;
    t->timestamp = timestamp;
    t->position_only = true;
    t->id = (TxnId){.file = arena_str(&t->arena, file),
                    .end_pos = pos,
                    .evidence = *evidence,
                    .server = a->server_interned};
    t->read_mono_ms = clock_mono_ms();
    if (!hand_over(a, t, err)) return false;
    point_move(a, file, pos, evidence);
    return true;
}
