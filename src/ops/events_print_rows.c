/* Table maps and rows for the verb events. */
#include "base/check.h"
#include "decode/event_rewrite.h"
#include "decode/row.h"
#include "ops/events_print_impl.h"
#include "base/poison.h"

enum { TABLES_KEPT = 1024 };

void events_tables_clear(EventsPrinter *p)
{
    size_t iter = 0;
    Str id;
    void *table;
    while (map_next(&p->tables, &iter, &id, &table))
        events_table_free(table);
    map_done(&p->tables);
    p->tables = (Map){0};
}

static Str id_key(const uint64_t *id)
{
    return str_make(id, sizeof *id);
}

/* The table of a TABLE_MAP, kept from before when it says the same. */
static bool take_map(EventsPrinter *p, const FormatDescription *fmt, const RawEvent *ev, EventsTable **out,
                     Err *err)
{
    enum { ID_LEN = 6 };
    uint64_t id = event_table_id(fmt, EVENT_TABLE_MAP, ev->body);
    EventsTable *t = map_get(&p->tables, id_key(&id));
    Str tail = t ? t->map.body : (Str){0};
    bool same = t && ev->body.len >= tail.len && ev->body.len - tail.len <= ID_LEN &&
                memcmp(ev->body.ptr + (ev->body.len - tail.len), tail.ptr, tail.len) == 0;
    *out = t;
    if (!same) {
        events_table_free(map_take(&p->tables, id_key(&id)));
        *out = NULL;
        if (!events_table_new(fmt, ev->body, &t, err)) return false;
        if (p->tables.count >= TABLES_KEPT) events_tables_clear(p);
        t->wanted = events_filter_table(p->filter, t->map.name);
        CHECK(!map_put(&p->tables, id_key(&id), t), "an id once");
        *out = t;
    }
    t->statement = p->statement;
    return true;
}

/* Names of ENUM and SET members, where the binlog has them. */
static void print_members(EventsOut *o, const EventsColumn *x, const MapColumn *c)
{
    if (!c->members) return;
    sb_c(&o->text, ",\"members\":[");
    for (uint32_t i = 0; i < c->n_members; i++) {
        if (i) sb_ch(&o->text, ',');
        events_out_string(o, c->members[i], x->charset, events_column_text(x));
    }
    sb_ch(&o->text, ']');
}

static void print_columns(EventsPrinter *p, const EventsTable *t)
{
    EventsOut *o = &p->out;
    CLEANUP(sb_done) StrBuf type = {0};
    if (!o->json) {
        events_out_count(o, "columns", t->map.n_columns);
        return;
    }
    sb_c(&o->text, ",\"columns\":[");
    for (uint32_t i = 0; i < t->map.n_columns; i++) {
        const MapColumn *c = &t->map.columns[i];
        sb_c(&o->text, i ? ",{" : "{");
        o->first = true;
        events_out_text(o, "name", t->columns[i].name);
        sb_clear(&type);
        events_table_type(c, &type);
        events_out_word(o, "type", sb_view(&type));
        if (c->nullable) events_out_flag(o, "nullable");
        if (!c->visible) events_out_flag(o, "invisible");
        if (t->columns[i].charset.len) events_out_word(o, "charset", t->columns[i].charset);
        if (c->collation) events_out_count(o, "collation", c->collation);
        print_members(o, &t->columns[i], c);
        sb_ch(&o->text, '}');
    }
    sb_ch(&o->text, ']');
    o->first = false;
    if (t->map.has_names) events_out_flag(o, "names");
}

void events_print_table_map(EventsPrinter *p, const FormatDescription *fmt, const RawEvent *ev)
{
    CLEANUP(err_clear) Err err = {0};
    EventsTable *t = NULL;
    bool ok = take_map(p, fmt, ev, &t, &err);
    if (ok && (!t->wanted || p->rows == EVENTS_ROWS_ONLY)) return;
    events_line_begin(p, ev);
    if (ok) {
        events_out_table(&p->out, t->map.name.schema, t->map.name.table);
        events_out_count(&p->out, "table_id", t->map.table_id);
        print_columns(p, t);
    }
    events_line_end(p, ev, &err);
}

/* -- rows -- */

static void print_image(EventsPrinter *p, const EventsTable *t, const Field *fields, bool after)
{
    events_out_image(&p->out, after);
    for (uint32_t i = 0; i < t->map.n_columns; i++) {
        if (fields[i].state == FIELD_ABSENT) continue;
        if (events_table_value(t, i, fields[i], &p->scratch, &p->out)) continue;
        CLEANUP(err_clear) Err err = {0};
        err_set(&err, ERR_DECODE_TYPE, STR_FMT "." STR_FMT "." STR_FMT ": a value could not be read",
                STR_ARG(t->map.name.schema), STR_ARG(t->map.name.table), STR_ARG(t->columns[i].name));
        events_problem(p, &err);
    }
    events_out_image_end(&p->out);
}

static void print_row(EventsPrinter *p, const EventsTable *t, const RawEvent *ev, RowsKind kind, uint64_t row)
{
    static const char *const changes[] = {
        [ROWS_WRITE] = "insert", [ROWS_UPDATE] = "update", [ROWS_DELETE] = "delete"};
    if (p->out.json) {
        EventPlace at = events_place(p, ev);
        events_out_row(&p->out, &at, "ROW", t->map.name.schema, t->map.name.table);
        if (p->inner) events_out_count(&p->out, "inner", p->inner);
        events_out_change(&p->out, row, changes[kind]);
    }
    if (kind != ROWS_WRITE) print_image(p, t, t->before, false);
    if (kind != ROWS_DELETE) print_image(p, t, t->after, true);
    if (p->out.json) events_out_end(&p->out);
    p->counts.rows++;
}

/* One row's images off the reader. */
static bool take_row(const EventsTable *t, const RowsEvent *e, Reader *r, Err *err)
{
    Str image;
    if (e->kind != ROWS_WRITE &&
        !row_image_split(&t->map, (const uint8_t *)e->present_before.ptr, r, &image, t->before, err))
        return false;
    return e->kind == ROWS_DELETE ||
           row_image_split(&t->map, (const uint8_t *)e->present_after.ptr, r, &image, t->after, err);
}

/* Walks all rows; without printing: counts them. */
static bool walk_rows(EventsPrinter *p, const EventsTable *t, const RawEvent *ev, const RowsEvent *e,
                      bool print, uint64_t *n, Err *err)
{
    Reader r = reader_of(e->rows);
    for (*n = 0; reader_left(&r);) {
        size_t left = reader_left(&r);
        if (!take_row(t, e, &r, err)) return false;
        if (reader_left(&r) == left) return err_set(err, ERR_CORRUPT, "row images without any column");
        ++*n;
        bool full = p->limit && p->rows == EVENTS_ROWS_ONLY && p->counts.rows >= p->limit;
        if (print && !full) print_row(p, t, ev, e->kind, *n);
    }
    return true;
}

/* Inflates, applies diffs: *e->rows are plain images then. */
static bool plain_rows(EventsPrinter *p, const EventsTable *t, RowsEvent *e, Err *err)
{
    if (!event_rows_inflate(e, &p->inflated, err)) return false;
    if (!e->partial) return true;
    sb_clear(&p->rewritten);
    if (!event_rows_rewrite(&t->map, e, &p->rewritten, err)) return false;
    e->rows = sb_view(&p->rewritten);
    return true;
}

static bool find_table(EventsPrinter *p, const RowsEvent *e, EventsTable **out, Err *err)
{
    enum { DUMMY_ID = 0xffffff }; /* ends a statement without rows */
    EventsTable *t = map_get(&p->tables, id_key(&e->table_id));
    *out = t;
    if (e->table_id == DUMMY_ID && !t) return true;
    if (!t || t->statement != p->statement)
        return err_set_remedy(err, ERR_CORRUPT,
                              "begin at an earlier position: --from must not cut a statement",
                              "rows of table id %llu, for which no TABLE_MAP was read in this statement",
                              (unsigned long long)e->table_id);
    if (t->map.n_columns != e->n_columns)
        return err_set(err, ERR_CORRUPT, "rows with %u columns, their TABLE_MAP has %u", e->n_columns,
                       t->map.n_columns);
    return true;
}

void events_print_rows(EventsPrinter *p, const FormatDescription *fmt, const RawEvent *ev)
{
    CLEANUP(err_clear) Err err = {0};
    RowsEvent e;
    EventsTable *t = NULL;
    uint64_t n = 0;
    bool ok = event_rows(&ev->header, fmt, ev->body, &e, &err) && find_table(p, &e, &t, &err);
    if (ok && t && !t->wanted) {
        p->statement += e.statement_end;
        return;
    }
    ok = ok && t && plain_rows(p, t, &e, &err) && walk_rows(p, t, ev, &e, false, &n, &err);
    bool broken = err_is_set(&err);
    if (broken || p->rows != EVENTS_ROWS_ONLY) {
        events_line_begin(p, ev);
        if (t) events_out_table(&p->out, t->map.name.schema, t->map.name.table);
        if (ok) events_out_count(&p->out, "rows", n);
        if (ok && e.statement_end) events_out_flag(&p->out, "statement_end");
        events_line_end(p, ev, &err);
    }
    if (t && p->rows != EVENTS_NO_ROWS && (ok || n)) { /* those in front of a broken one as well */
        (void)walk_rows(p, t, ev, &e, true, &n, &err);
    }
    p->statement += e.statement_end;
}

static bool is_rows(unsigned type)
{
    return (type >= EVENT_WRITE_ROWS_V0 && type <= EVENT_DELETE_ROWS_V1) ||
           (type >= EVENT_WRITE_ROWS_V2 && type <= EVENT_DELETE_ROWS_V2) ||
           type == EVENT_PARTIAL_UPDATE_ROWS ||
           (type >= EVENT_WRITE_ROWS_COMPRESSED_V1 && type <= EVENT_DELETE_ROWS_COMPRESSED_V2);
}

void events_pass(EventsPrinter *p, const FormatDescription *fmt, const RawEvent *ev)
{
    CLEANUP(err_clear) Err err = {0}; /* outside of what was asked for: not a problem of it */
    EventsTable *t;
    RowsEvent e;
    if (ev->header.type == EVENT_TABLE_MAP)
        (void)take_map(p, fmt, ev, &t, &err);
    else if (is_rows(ev->header.type) && event_rows(&ev->header, fmt, ev->body, &e, &err))
        p->statement += e.statement_end;
}
