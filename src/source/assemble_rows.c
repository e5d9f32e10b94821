#include "source/assemble_impl.h"
#include <stdlib.h>
#include "base/check.h"
#include "base/crc.h"
#include "base/varint.h"
#include "decode/event_rewrite.h"
#include "base/poison.h"

enum { TABLE_ID_DUMMY = 0x00FFFFFF, KEEP_OPS = 8192, SPILLED_PARTIAL = 0x80 };

/* ---- tables ---- */

void table_entry_free(TableEntry *e)
{
    arena_done(&e->arena);
    free(e);
}

/* The bytes behind the table id, which is 6 bytes wide, 4 in events of early 5.1 servers. */
static Str body_key(const FormatDescription *fmt, Str body)
{
    size_t id_len = fmt->post_header_len[EVENT_TABLE_MAP] == 6 ? 4 : 6;
    return body.len < id_len ? (Str){0} : (Str){body.ptr + id_len, body.len - id_len};
}

static void keep_entry(Assembler *a, TableEntry *e)
{
    if (a->n_tables == a->cap_tables) {
        a->cap_tables = a->cap_tables ? a->cap_tables * 2 : 16;
        a->tables = mem_realloc(a->tables, a->cap_tables * sizeof *a->tables);
    }
    e->index = (uint32_t)a->n_tables;
    a->tables[a->n_tables++] = e;
}

static bool table_new(Assembler *a, const FormatDescription *fmt, Str body, TableEntry **out, Err *err)
{
    const AssembleHooks *h = &a->opts.hooks;
    TableEntry *e = mem_zalloc(sizeof *e);
    if (!event_table_map(fmt, body, &e->arena, &e->wire, err)) {
        table_entry_free(e);
        return false;
    }
    e->map = e->wire;
    e->compressed = table_map_compressed(&e->wire);
    if (e->compressed) table_map_plain(&e->wire, &e->arena, &e->map);
    e->bitmap_len = (e->map.n_columns + 7) / 8;
    e->held = h->held && h->held(h->ctx, a->opts.source, &e->map, &a->point);
    if (!e->held && !h->resolve(h->ctx, a->opts.source, &e->map, &e->binding, err)) {
        if (err->code != ERR_CANCELLED)
            err_wrap(err, "table `" STR_FMT "`.`" STR_FMT "`", STR_ARG(e->map.name.schema),
                     STR_ARG(e->map.name.table));
        table_entry_free(e);
        return false;
    }
    if (e->binding)
        CHECK(e->binding->n_columns == e->map.n_columns, "a binding has the table map's columns");
    else
        e->map = e->wire; /* its rows are only counted */
    keep_entry(a, e);
    *out = e;
    return true;
}

bool assemble_named(Assembler *a, const FormatDescription *fmt, const RawEvent *ev, Err *err)
{
    const AssembleHooks *h = &a->opts.hooks;
    Str key = body_key(fmt, ev->body);
    if (map_get(&a->tables_by_body, key)) return true;
    TableEntry *e = mem_zalloc(sizeof *e);
    if (!event_table_map(fmt, ev->body, &e->arena, &e->wire, err)) {
        table_entry_free(e);
        return false;
    }
    map_put(&a->tables_by_body, e->wire.body, e);
    keep_entry(a, e);
    if (e->wire.has_names && h->routed(h->ctx, a->opts.source, e->wire.name))
        h->named(h->ctx, a->opts.source, &e->wire);
    return true;
}

static void set_current(Assembler *a, uint64_t id, TableEntry *e)
{
    for (size_t i = 0; i < a->n_current; i++) {
        if (a->current[i].id != id) continue;
        a->current[i].entry = e;
        return;
    }
    if (a->n_current == a->cap_current) {
        a->cap_current = a->cap_current ? a->cap_current * 2 : 8;
        a->current = mem_realloc(a->current, a->cap_current * sizeof *a->current);
    }
    a->current[a->n_current++] = (CurrentTable){id, e};
}

/* Who holds what, or what tables look like, has changed: every table is asked for again. The entries stay:
 * the open group's rows point to them. */
static void check_generation(Assembler *a)
{
    const AssembleHooks *h = &a->opts.hooks;
    uint64_t now = h->generation ? h->generation(h->ctx, a->opts.source) : 0;
    if (now == a->generation) return;
    a->generation = now;
    map_done(&a->tables_by_body);
    memset(a->recent, 0, sizeof a->recent);
}

bool assemble_table_map(Assembler *a, const FormatDescription *fmt, const RawEvent *ev, Err *err)
{
    if (a->group.state != GROUP_OPEN)
        return err_set(err, ERR_SOURCE_PROTOCOL, "TABLE_MAP event outside a transaction");
    if (a->group.xa) return xa_keep(a, ev->header.type, ev->body, err);
    check_generation(a);
    uint64_t id = event_table_id(fmt, ev->header.type, ev->body);
    Str key = body_key(fmt, ev->body);
    TableEntry **recent = &a->recent[id % RECENT_TABLES];
    TableEntry *e = *recent;
    if (!e || !str_eq(e->map.body, key)) {
        e = map_get(&a->tables_by_body, key);
        if (!e) {
            if (!table_new(a, fmt, ev->body, &e, err)) return false;
            map_put(&a->tables_by_body, key, e);
        }
        *recent = e;
    }
    set_current(a, id, e);
    return true;
}

static TableEntry *find_current(const Assembler *a, uint64_t id)
{
    for (size_t i = a->n_current; i-- > 0;)
        if (a->current[i].id == id) return a->current[i].entry;
    return NULL;
}

/* ---- rows ---- */

void ops_clear(Assembler *a)
{
    a->n_ops = 0;
    a->sink.n = 0;
    if (a->cap_ops > KEEP_OPS) {
        free(a->ops);
        a->ops = NULL;
        a->cap_ops = 0;
    }
    /* A key's bytes may lie in the arena besides the growing array: both go when they have become large. */
    if (a->keys_arena.bytes > KEEP_OPS * sizeof(RowOp)) {
        arena_done(&a->keys_arena);
        a->sink = (KeySink){.arena = &a->keys_arena};
    }
}

static RowOp *op_add(Assembler *a)
{
    if (a->n_ops == a->cap_ops) {
        a->cap_ops = a->cap_ops ? a->cap_ops * 2 : 64;
        a->ops = mem_realloc(a->ops, a->cap_ops * sizeof *a->ops);
    }
    RowOp *op = &a->ops[a->n_ops++];
    memset(op, 0, sizeof *op);
    return op;
}

static RowKind row_kind(RowsKind k)
{
    return k == ROWS_WRITE ? ROW_INSERT : k == ROWS_UPDATE ? ROW_UPDATE : ROW_DELETE;
}

bool segment_row(Assembler *a, const Segment *s, Reader *r, uint64_t row_no, bool build, Err *err)
{
    const TableMap *map = &s->table->map;
    const uint8_t *start = r->at;
    build = build && s->table->binding;
    Field *before = build && s->present_before ? a->fields : NULL;
    Field *after = build && s->present_after ? a->fields + map->n_columns : NULL;
    RowImage images[2] = {{.present = s->present_before, .full = s->full_before},
                          {.present = s->present_after, .full = s->full_after}};
    if (s->present_before && !row_image_split(map, s->present_before, r, &images[0].bytes, before, err))
        return false;
    const uint8_t *diffs;
    if (s->partial && !row_partial_head(map, r, &diffs, err)) return false;
    if (s->present_after && !row_image_split(map, s->present_after, r, &images[1].bytes, after, err))
        return false;
    if (r->at == start)
        return err_set_remedy(err, ERR_DECODE_UNSUPPORTED, "set binlog_row_image=FULL on the source",
                              "rows without any column cannot be counted");
    if (!build) return true;
    RowOp *op = op_add(a);
    op->binding = s->table->binding;
    op->kind = row_kind(s->kind);
    op->row_no = row_no;
    if (s->present_before) op->before = images[0];
    if (s->present_after) op->after = images[1];
    keyhash_row(op, before, after, &a->sink);
    return true;
}

static void fields_reserve(Assembler *a, size_t n_columns)
{
    if (a->cap_fields >= 2 * n_columns) return;
    a->cap_fields = MAX(2 * n_columns, (size_t)64);
    a->fields = mem_realloc(a->fields, a->cap_fields * sizeof *a->fields);
}

/* ---- spilling ---- */

static void pack_bitmap(StrBuf *b, const uint8_t *bitmap, size_t n)
{
    sb_ch(b, bitmap != NULL);
    if (bitmap) sb_add(b, bitmap, n);
}

static bool segment_spill(Assembler *a, const Segment *s, Err *err)
{
    StrBuf head = {0};
    sb_varint(&head, s->table->index);
    sb_ch(&head, (char)(s->kind | (s->partial ? SPILLED_PARTIAL : 0)));
    pack_bitmap(&head, s->present_before, s->table->bitmap_len);
    pack_bitmap(&head, s->present_after, s->table->bitmap_len);
    sb_varint(&head, s->row_from);
    sb_varint(&head, s->n_rows);
    bool ok = spill_append(a->group.spill, sb_view(&head), s->rows, err);
    sb_done(&head);
    return ok;
}

bool segment_unpack(const Assembler *a, Str record, Segment *s, Err *err)
{
    Reader r = reader_of(record);
    uint64_t index = reader_varint(&r);
    uint8_t kind = reader_u8(&r);
    *s = (Segment){.kind = (RowsKind)(kind & ~SPILLED_PARTIAL), .partial = kind & SPILLED_PARTIAL};
    if (!reader_ok(&r) || index >= a->n_tables) goto broken;
    s->table = a->tables[index];
    if (reader_u8(&r)) s->present_before = reader_bytes(&r, s->table->bitmap_len);
    if (reader_u8(&r)) s->present_after = reader_bytes(&r, s->table->bitmap_len);
    s->row_from = reader_varint(&r);
    s->n_rows = reader_varint(&r);
    s->rows = reader_str(&r, reader_left(&r));
    if (!reader_ok(&r)) goto broken;
    s->full_before = s->present_before && row_present_full(&s->table->map, s->present_before);
    s->full_after = s->present_after && row_present_full(&s->table->map, s->present_after);
    return true;
broken:
    return err_set(err, ERR_SOURCE_SPILL, "a record of the spill file makes no sense");
}

/* From here on only the events are kept; the operations are made when the group is cut into pieces. */
static void go_raw(Assembler *a)
{
    a->group.mode = ROWS_RAW;
    ops_clear(a);
}

/* Moves everything kept to the file. Savepoints set before learn where in it they stand. */
static bool go_to_disk(Assembler *a, Err *err)
{
    Group *g = &a->group;
    if (g->mode == ROWS_BUILD) go_raw(a);
    if (!g->spill && !spill_open(a->opts.spill_dir, a->opts.source_id, &g->spill, err)) return false;
    size_t mark = 0;
    while (mark < a->n_savepoints && a->savepoints[mark].mark.n_segments == 0)
        mark++;
    for (size_t i = 0; i < a->n_segments; i++) {
        for (; mark < a->n_savepoints && a->savepoints[mark].mark.n_segments == i; mark++)
            a->savepoints[mark].mark.spill_length = spill_length(g->spill);
        if (!segment_spill(a, &a->segments[i], err)) return false;
    }
    for (; mark < a->n_savepoints; mark++)
        a->savepoints[mark].mark.spill_length = spill_length(g->spill);
    for (size_t i = 0; i < a->n_savepoints; i++)
        a->savepoints[i].mark.n_segments = 0;
    a->n_segments = 0;
    arena_done(&g->side);
    arena_done(&g->txn->arena);
    return true;
}

static uint64_t held_bytes(const Assembler *a)
{
    const Group *g = &a->group;
    size_t keys = a->keys_arena.bytes > g->keys_arena_before ? a->keys_arena.bytes - g->keys_arena_before : 0;
    return g->txn->arena.bytes + g->side.bytes + a->n_ops * sizeof *a->ops + keys +
           a->n_segments * sizeof *a->segments;
}

/* ---- one event ---- */

static bool check_columns(const RowsEvent *e, const TableEntry *t, Err *err)
{
    if (e->n_columns == t->map.n_columns) return true;
    return err_set(err, ERR_CORRUPT,
                   "rows of %u columns for table `" STR_FMT "`.`" STR_FMT "`, whose map has %u", e->n_columns,
                   STR_ARG(t->map.name.schema), STR_ARG(t->map.name.table), t->map.n_columns);
}

/* A segment whose bytes are still the event's. */
static bool segment_of(const RowsEvent *e, const TableEntry *t, uint64_t row_from, Segment *s, Err *err)
{
    const uint8_t *first = (const uint8_t *)e->present_before.ptr,
                  *second = (const uint8_t *)e->present_after.ptr;
    bool update = e->kind == ROWS_UPDATE;
    if (e->present_before.len < t->bitmap_len || (update && e->present_after.len < t->bitmap_len))
        return err_set(err, ERR_CORRUPT, "a row event's column bitmap is too short");
    *s = (Segment){.table = t, .kind = e->kind, .rows = e->rows, .row_from = row_from, .partial = e->partial};
    if (e->kind == ROWS_WRITE) {
        s->present_after = first;
    } else {
        s->present_before = first;
        if (update) s->present_after = second;
    }
    s->full_before = s->present_before && row_present_full(&t->map, s->present_before);
    s->full_after = s->present_after && row_present_full(&t->map, s->present_after);
    return true;
}

static const uint8_t *copy_bitmap(uint8_t **at, const uint8_t *from, size_t n)
{
    if (!from) return NULL;
    uint8_t *to = memcpy(*at, from, n);
    *at += n;
    return to;
}

/* The event's rows and bitmaps into the group's memory, in one piece. */
static void segment_keep(Assembler *a, Segment *s)
{
    Arena *arena = s->table->binding ? &a->group.txn->arena : &a->group.side;
    size_t n = s->table->bitmap_len;
    uint8_t *p = arena_alloc(arena, s->rows.len + 2 * n);
    if (s->rows.len) memcpy(p, s->rows.ptr, s->rows.len);
    s->rows.ptr = (const char *)p;
    p += s->rows.len;
    s->present_before = copy_bitmap(&p, s->present_before, n);
    s->present_after = copy_bitmap(&p, s->present_after, n);
    if (a->n_segments == a->cap_segments) {
        a->cap_segments = a->cap_segments ? a->cap_segments * 2 : 32;
        a->segments = mem_realloc(a->segments, a->cap_segments * sizeof *a->segments);
    }
    a->segments[a->n_segments++] = *s;
}

/* Counts the rows, and makes their operations with build. */
static bool walk(Assembler *a, Segment *s, bool build, Err *err)
{
    Reader r = reader_of(s->rows);
    uint64_t no = s->row_from;
    while (reader_left(&r)) {
        if (segment_row(a, s, &r, no, build, err)) {
            no++;
            continue;
        }
        const TableName *t = &s->table->map.name;
        return err_wrap(err, "table `" STR_FMT "`.`" STR_FMT "`", STR_ARG(t->schema), STR_ARG(t->table));
    }
    s->n_rows = no - s->row_from;
    return true;
}

/* Rows that nobody will look at again: counted, and summed up in case the group is split later. */
static bool take_lead(Assembler *a, Segment *s, Err *err)
{
    Group *g = &a->group;
    if (!walk(a, s, false, err)) return false;
    if (g->mode == ROWS_COUNT) return true;
    g->lead_read += s->n_rows;
    if (s->table->held) g->lead_held += s->n_rows;
    g->lead_crc = crc_sum(g->lead_crc, s->rows.ptr, s->rows.len);
    return true;
}

static bool take_rows(Assembler *a, Segment *s, Err *err)
{
    Group *g = &a->group;
    bool kept_any = a->n_segments || (g->spill && spill_length(g->spill));
    if (g->mode == ROWS_COUNT || (!s->table->binding && !kept_any && !g->keep_all))
        return take_lead(a, s, err);
    if (g->mode == ROWS_RAW && g->spill) return walk(a, s, false, err) && segment_spill(a, s, err);
    segment_keep(a, s);
    if (!walk(a, s, g->mode == ROWS_BUILD, err)) return false;
    a->segments[a->n_segments - 1].n_rows = s->n_rows;
    if (g->mode == ROWS_BUILD && s->row_from + s->n_rows - g->lead_read > a->opts.split_rows) go_raw(a);
    return held_bytes(a) <= a->opts.spill_bytes || go_to_disk(a, err);
}

/* Rows as everybody behind reads them. Those of filtered tables are only counted, and stay as they are. */
static bool make_plain(Assembler *a, RowsEvent *e, const TableEntry *t, Err *err)
{
    if (!event_rows_inflate(e, &a->inflated, err)) return false;
    if (!t->binding || (!t->compressed && !e->partial)) return true;
    sb_clear(&a->rewritten);
    if (!event_rows_rewrite(&t->wire, e, &a->rewritten, err))
        return err_wrap(err, "table `" STR_FMT "`.`" STR_FMT "`", STR_ARG(t->map.name.schema),
                        STR_ARG(t->map.name.table));
    e->rows = sb_view(&a->rewritten);
    e->partial = false;
    return true;
}

bool assemble_rows(Assembler *a, const FormatDescription *fmt, const RawEvent *ev, Err *err)
{
    Group *g = &a->group;
    RowsEvent e;
    Segment s;
    if (g->state != GROUP_OPEN) return err_set(err, ERR_SOURCE_PROTOCOL, "row event outside a transaction");
    if (g->xa) return xa_keep(a, ev->header.type, ev->body, err);
    if (!event_rows(&ev->header, fmt, ev->body, &e, err)) return false;
    if (e.table_id == TABLE_ID_DUMMY && e.rows.len == 0) { /* only ends the statement */
        a->n_current = 0;
        return true;
    }
    TableEntry *t = find_current(a, e.table_id);
    if (!t)
        return err_set(err, ERR_SOURCE_PROTOCOL,
                       "row event for table id %llu, of which this statement has no TABLE_MAP",
                       (unsigned long long)e.table_id);
    if (!check_columns(&e, t, err) || !make_plain(a, &e, t, err) || !segment_of(&e, t, g->row_no, &s, err))
        return false;
    if (e.rows.len ==
        0) /* a row without columns is a row without bytes: how many there were cannot be said */
        return err_set_remedy(err, ERR_DECODE_UNSUPPORTED, "set binlog_row_image=FULL on the source",
                              "a row event without bytes for table `" STR_FMT "`.`" STR_FMT "`",
                              STR_ARG(t->map.name.schema), STR_ARG(t->map.name.table));
    fields_reserve(a, t->map.n_columns);
    if (!take_rows(a, &s, err)) return false;
    g->row_no += s.n_rows;
    g->read += s.n_rows;
    count_unbound(t, s.n_rows, &g->filtered, &g->held);
    if (e.statement_end) a->n_current = 0;
    return true;
}

/* ---- savepoints ---- */

void savepoints_clear(Assembler *a)
{
    while (a->n_savepoints)
        free(a->savepoints[--a->n_savepoints].name);
}

/* The servers compare savepoint names without regard to case. */
static size_t savepoint_find(const Assembler *a, Str name)
{
    for (size_t i = a->n_savepoints; i-- > 0;)
        if (str_ieq(str_of(a->savepoints[i].name), name)) return i;
    return SIZE_MAX;
}

void savepoint_set(Assembler *a, Str name)
{
    const Group *g = &a->group;
    size_t old = savepoint_find(a, name);
    if (old != SIZE_MAX) { /* the new one takes its place, at the end */
        free(a->savepoints[old].name);
        memmove(a->savepoints + old, a->savepoints + old + 1,
                (a->n_savepoints - old - 1) * sizeof *a->savepoints);
        a->n_savepoints--;
    }
    if (a->n_savepoints == a->cap_savepoints) {
        a->cap_savepoints = a->cap_savepoints ? a->cap_savepoints * 2 : 8;
        a->savepoints = mem_realloc(a->savepoints, a->cap_savepoints * sizeof *a->savepoints);
    }
    a->savepoints[a->n_savepoints++] = (Savepoint){
        .name = str_dup(name),
        .mark = {.n_ops = a->n_ops,
                 .n_keys = a->sink.n,
                 .n_segments = a->n_segments,
                 .spill_length = g->spill ? spill_length(g->spill) : 0,
                 .read = g->read,
                 .filtered = g->filtered,
                 .held = g->held,
                 .lead_held = g->lead_held,
                 .lead_read = g->lead_read,
                 .lead_crc = g->lead_crc},
    };
}

/* Rows since then never happened; their numbers stay taken. */
bool savepoint_rollback(Assembler *a, Str name, Err *err)
{
    Group *g = &a->group;
    size_t at = savepoint_find(a, name);
    if (at == SIZE_MAX)
        return err_set(err, ERR_SOURCE_PROTOCOL, "ROLLBACK TO a savepoint that the transaction has not set");
    const Mark *m = &a->savepoints[at].mark;
    if (g->spill && !spill_cut(g->spill, m->spill_length, err)) return false;
    CHECK(m->n_segments <= a->n_segments, "a savepoint lies within what is kept");
    a->n_segments = m->n_segments;
    if (g->mode == ROWS_BUILD) {
        a->n_ops = m->n_ops;
        a->sink.n = m->n_keys;
    }
    g->read = m->read;
    g->filtered = m->filtered;
    g->held = m->held;
    g->lead_held = m->lead_held;
    g->lead_read = m->lead_read;
    g->lead_crc = m->lead_crc;
    a->n_current = 0;
    while (a->n_savepoints > at + 1)
        free(a->savepoints[--a->n_savepoints].name);
    return true;
}

void savepoint_release(Assembler *a, Str name)
{
    size_t at = savepoint_find(a, name);
    if (at == SIZE_MAX) return; /* nothing depends on it */
    while (a->n_savepoints > at)
        free(a->savepoints[--a->n_savepoints].name);
}
