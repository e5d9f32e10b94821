/* A reader's thread: takes what is to be read next, reads it, and hands it back. */
#include <stdlib.h>
#include "base/check.h"
#include "base/clock.h"
#include "base/fault.h"
#include "base/log.h"
#include "db/server.h"
#include "load/load_impl.h"
#include "base/poison.h"

enum { BACKOFF_FIRST_MS = 50, BACKOFF_LAST_MS = 3000 };

bool reader_sleep(LoadReader *r, int64_t ms)
{
    Load *l = r->load;
    int64_t until = clock_mono_ms() + ms;
    pthread_mutex_lock(&l->mutex);
    while (!l->stopping && clock_mono_ms() < until)
        (void)clock_cond_wait_until(&l->changed, &l->mutex, until);
    bool stop = l->stopping;
    pthread_mutex_unlock(&l->mutex);
    return stop;
}

/* UTC, bytes as stored, no mode that changes what is read or refuses a key's impossible date; a snapshot that
 * lasts for its statements. */
static const char *const session_sql[] = {
    "SET NAMES utf8mb4",
    "SET character_set_results = NULL",
    ("SET SESSION time_zone = '+00:00', sql_mode = 'ALLOW_INVALID_DATES', net_write_timeout = 3600, "
     "sql_select_limit = DEFAULT"),
    "SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ",
};

/* Positions are compared with the stream's: they have to be of the same server. The address may lead to
 * another one (a failover, a balancer) before the stream has noticed. */
static bool same_server_as_stream(LoadReader *r, Conn *c, Err *err)
{
    Load *l = r->load;
    char *identity = NULL;
    if (!server_identity(c, l->flavor, &identity, err)) return false;
    const char *mine = server_intern(identity);
    free(identity);
    pthread_mutex_lock(&l->mutex);
    if (!l->server) l->server = mine;
    const char *streams = l->server;
    pthread_mutex_unlock(&l->mutex);
    return mine == streams || err_set(err, ERR_DB_LOST,
                                      "source %s: a connection for the copy leads to server %s, the stream "
                                      "comes from server %s: it is tried again until they are the same",
                                      l->opts.source_id, mine, streams);
}

bool reader_connect(LoadReader *r, Conn **out, Err *err)
{
    ConnOpts o = r->load->opts.conn;
    o.cancel = r->cancel;
    o.connect_timeout_s = 10;
    o.read_timeout_s = o.write_timeout_s = 300;
    if (FAULT("load.connect")) return err_set(err, ERR_DB_LOST, "fault load.connect");
    if (!conn_open(&o, out, err)) return false;
    bool ok = true;
    for (size_t i = 0; ok && i < ARRAY_LEN(session_sql); i++)
        ok = conn_exec(*out, str_of(session_sql[i]), NULL, err);
    if (ok) {
        /* Not every server has the one or the other: a bound on statements would cut chunks. */
        Err ignored = {0};
        if (!conn_exec(*out, STR("SET SESSION max_statement_time = 0"), NULL, &ignored)) err_clear(&ignored);
        if (!conn_exec(*out, STR("SET SESSION max_execution_time = 0"), NULL, &ignored)) err_clear(&ignored);
        /* MySQL 8 shows statistics that may be a day old otherwise. */
        if (!conn_exec(*out, STR("SET SESSION information_schema_stats_expiry = 0"), NULL, &ignored))
            err_clear(&ignored);
        if (same_server_as_stream(r, *out, err)) return true;
    }
    conn_close(*out);
    *out = NULL;
    return false;
}

static bool ensure_connected(LoadReader *r, Err *err)
{
    if (r->conn) return true;
    if (!load_has_snapshot(r->load) || !r->load->start_file) return reader_connect(r, &r->conn, err);
    Err lost = {0};
    err_set(&lost, ERR_DB_LOST,
            "source %s: a connection was lost, and the snapshot with it: a new one is taken",
            r->load->opts.source_id);
    r->load->opts.hooks.failed(r->load->opts.hooks.ctx, r->load->opts.source, &lost);
    return err_set(err, ERR_CANCELLED, "the run begins anew");
}

static void disconnect(LoadReader *r)
{
    conn_close(r->conn);
    conn_close(r->guard);
    r->conn = r->guard = NULL;
}

/* ---- where the server is at the begin ---- */

/* The stream may have transactions of an earlier run in front of it, which come without their rows: nothing
 * is marked before it has come to where the server is now. */
static bool ask_start(LoadReader *r, Err *err)
{
    Load *l = r->load;
    Snapshot at = {0};
    StreamPoint now = {0};
    bool ok = true;
    if (load_has_snapshot(l)) {
        ok = snapshot_of_task(r, &at, err);
    } else if ((ok = server_current_point(r->conn, l->flavor, &now, err))) {
        at = (Snapshot){.file = str_dup(str_of(now.file)), .pos = now.pos};
    }
    if (ok) {
        pthread_mutex_lock(&l->mutex);
        l->start_file = at.file;
        l->start_pos = at.pos;
        at.file = NULL;
        load_note_start(l);
        pthread_cond_broadcast(&l->changed);
        pthread_mutex_unlock(&l->mutex);
    }
    snapshot_done(&at);
    point_done(&now);
    return ok;
}

/* ---- planning ---- */

/* What the server's statistics say of the tables of a schema, or of one of them (table not empty). */
static bool estimate(LoadReader *r, TableName which, Err *err)
{
    Load *l = r->load;
    Rows rows;
    Str v[4];
    StrBuf sql = {0};
    sb_c(&sql,
         "SELECT TABLE_SCHEMA, TABLE_NAME, TABLE_ROWS, DATA_LENGTH FROM information_schema.TABLES WHERE "
         "TABLE_SCHEMA = ");
    sb_quoted(&sql, which.schema);
    if (which.table.len) {
        sb_c(&sql, " AND TABLE_NAME = ");
        sb_quoted(&sql, which.table);
    }
    bool ok = conn_query(r->conn, sb_view(&sql), &rows, err);
    sb_done(&sql);
    if (!ok) return false;
    pthread_mutex_lock(&l->mutex);
    while (rows_next(&rows, v)) {
        LoadTable *t = load_table_by_name(l, (TableName){v[0], v[1]});
        if (!t) continue;
        /* no estimate: nothing depends on it but the display and the first cuts */
        if (!v[2].ptr || !str_to_u64(v[2], &t->rows_estimated)) t->rows_estimated = 0;
        if (!v[3].ptr || !str_to_u64(v[3], &t->bytes_estimated)) t->bytes_estimated = 0;
        t->estimated = true;
    }
    pthread_mutex_unlock(&l->mutex);
    rows_done(&rows);
    return true;
}

/* Of all tables, before the first is read: percentages are of the whole from the beginning. */
static bool estimate_all(LoadReader *r, Err *err)
{
    Load *l = r->load;
    size_t n = 0;
    bool ok = true;
    pthread_mutex_lock(&l->mutex);
    Str *schemas = mem_zalloc((l->n_tables + 1) * sizeof *schemas); /* views of the members' names */
    for (size_t i = 0; i < l->n_tables; i++) {
        size_t k = 0;
        while (k < n && !str_eq(schemas[k], l->tables[i]->member->name.schema))
            k++;
        if (k == n) schemas[n++] = l->tables[i]->member->name.schema;
    }
    pthread_mutex_unlock(&l->mutex);
    for (size_t i = 0; ok && i < n; i++)
        ok = estimate(r, (TableName){.schema = schemas[i]}, err);
    free(schemas);
    return ok;
}

/* The lowest or highest key; empty when there is no row. */
static bool end_key(LoadReader *r, const Work *w, RowEncoder *e, bool highest, StrBuf *key, Err *err)
{
    StrBuf sql = {0};
    Stmt *stmt = NULL;
    const StmtValue *values;
    Arena arena = {0};
    RowImage image;
    sb_c(&sql, "SELECT ");
    sb_str(&sql, row_encoder_select_list(e));
    sb_c(&sql, " FROM ");
    table_name_sql(w->shape->info.name, &sql);
    chunk_key_index(w->shape->key, &sql);
    sb_c(&sql, " ORDER BY ");
    chunk_key_order(w->shape->key, highest, &sql);
    sb_c(&sql, " LIMIT 1");
    bool ok = stmt_open(r->conn, sb_view(&sql), &stmt, err);
    if (ok) {
        StmtResult result = stmt_next(stmt, &values, err);
        ok = result != STMT_FAILED;
        if (result == STMT_ROW) {
            ok = row_encoder_row(e, values, &arena, &image, err);
            if (ok) {
                bool has = chunk_key_of(w->shape->key, w->shape->info.map, &image, key);
                CHECK(has, "a whole row has its key");
            }
        }
    }
    if (!stmt_close(stmt)) disconnect(r);
    if (!ok) err_wrap(err, "looking for the ends of the key");
    arena_done(&arena);
    sb_done(&sql);
    return ok && (r->conn || err_set(err, ERR_DB_LOST, "the connection was lost"));
}

static bool plan_table(LoadReader *r, const Work *w, Err *err)
{
    StrBuf min = {0}, max = {0};
    RowEncoder *e = NULL;
    const LoadTableInfo *info = &w->shape->info;
    bool ok = row_encoder_new(info->schema, info->map, r->load->flavor, &e, err) &&
              (w->table->estimated || estimate(r, w->table->member->name, err));
    if (ok && w->shape->key) ok = end_key(r, w, e, false, &min, err) && end_key(r, w, e, true, &max, err);
    row_encoder_free(e);
    if (ok) work_planned(r->load, w, sb_view(&min), sb_view(&max));
    sb_done(&min);
    sb_done(&max);
    return ok;
}

/* What it looks like since its schema has changed. */
static bool look_again(LoadReader *r, const Work *w, Err *err)
{
    Load *l = r->load;
    pthread_mutex_lock(&l->mutex);
    bool ok = shape_refresh(l, w->table, err);
    pthread_mutex_unlock(&l->mutex);
    if (ok) work_shaped(l, w);
    return ok;
}

/* ---- rows ---- */

typedef struct Gather {
    LoadTable *table;
    const LoadShape *shape;
    Txn *txn;
    RowOp *ops; /* heap, until the end */
    size_t n, cap;
    uint64_t bytes;
    const uint8_t *present; /* in the transaction's memory */
} Gather;

static void gather_begin(Gather *g, LoadTable *t, const LoadShape *shape)
{
    *g = (Gather){.table = t, .shape = shape, .txn = txn_new()};
}

static void gather_drop(Gather *g)
{
    if (g->txn) txn_free(g->txn);
    free(g->ops);
    *g = (Gather){0};
}

static void gather_add(Gather *g, const RowImage *image)
{
    if (!g->present) {
        size_t n = (g->shape->info.map->n_columns + 7) / 8;
        uint8_t *p = arena_alloc(&g->txn->arena, n);
        memcpy(p, image->present, n);
        g->present = p;
    }
    if (g->n == g->cap) {
        g->cap = g->cap ? g->cap * 2 : 256;
        g->ops = mem_realloc(g->ops, g->cap * sizeof *g->ops);
    }
    g->ops[g->n] = (RowOp){.binding = g->shape->info.binding, .kind = ROW_INSERT, .after = *image};
    g->ops[g->n++].after.present = g->present;
    g->bytes += image->bytes.len;
}

/* The transaction, with its write set. */
static Txn *gather_end(Gather *g)
{
    Txn *t = g->txn;
    t->n_ops = g->n;
    t->ops = arena_array(&t->arena, RowOp, g->n + 1);
    if (g->n) memcpy(t->ops, g->ops, g->n * sizeof *g->ops);
    free(g->ops);
    g->ops = NULL;
    g->txn = NULL;
    chunk_hash(g->table, t);
    return t;
}

static void gather_key(const Gather *g, size_t i, StrBuf *key)
{
    sb_clear(key);
    bool ok = chunk_key_of(g->shape->key, g->shape->info.map, &g->ops[i].after, key);
    CHECK(ok, "a whole row has its key");
}

/* One SELECT into g. hi, limit 0: without bound. *cut: the bound of bytes ended it, and the connection with
 * it. */
static bool read_rows(LoadReader *r, Gather *g, RowEncoder *e, Str lo, Str hi, uint64_t limit, bool bounded,
                      bool *cut, Err *err)
{
    StrBuf sql = {0};
    Stmt *stmt = NULL;
    StmtResult result = STMT_END;
    const StmtValue *values;
    *cut = false;
    sb_c(&sql, "SELECT ");
    sb_str(&sql, row_encoder_select_list(e));
    sb_c(&sql, " FROM ");
    table_name_sql(g->shape->info.name, &sql);
    if (g->shape->key) {
        chunk_key_index(g->shape->key, &sql);
        sb_c(&sql, " WHERE ");
        chunk_key_where(g->shape->key, lo, hi, &sql);
        sb_c(&sql, " ORDER BY ");
        chunk_key_order(g->shape->key, false, &sql);
        if (limit) sb_printf(&sql, " LIMIT %llu", (unsigned long long)limit);
    }
    bool ok = stmt_open(r->conn, sb_view(&sql), &stmt, err);
    while (ok && !*cut && (result = stmt_next(stmt, &values, err)) == STMT_ROW) {
        RowImage image;
        ok = row_encoder_row(e, values, &g->txn->arena, &image, err);
        if (ok) gather_add(g, &image);
        *cut = bounded && g->bytes >= r->load->chunk_bytes;
    }
    ok = ok && result != STMT_FAILED;
    bool leave = *cut && !load_has_snapshot(r->load); /* what is left may be long; a snapshot is worth it */
    if (leave) conn_kill_socket(r->conn);
    if (!stmt_close(stmt) || leave) disconnect(r);
    sb_done(&sql);
    return ok;
}

/* The key does not tell rows apart: rows that share the last value read may be missing. They go to the next
 * chunk; when there is nothing else, they are read as a whole. */
static bool whole_groups(LoadReader *r, Gather *g, RowEncoder *e, const Work *w, StrBuf *hi, Err *err)
{
    StrBuf key = {0};
    bool cut = false, ok = true;
    size_t n = g->n;
    gather_key(g, n - 1, hi);
    while (n) {
        gather_key(g, n - 1, &key);
        if (!str_eq(sb_view(&key), sb_view(hi))) break;
        n--;
    }
    if (n) {
        g->n = n;
        gather_key(g, n - 1, hi);
    } else if (!r->conn) {
        ok = err_set_remedy(err, ERR_NOT_SUPPORTED, "raise chunk-bytes of load",
                            "source %s: table " STR_FMT "." STR_FMT
                            ": more rows than a chunk may hold share the comparable part of the key",
                            r->load->opts.source_id, STR_ARG(g->table->member->name.schema),
                            STR_ARG(g->table->member->name.table));
    } else {
        LoadTable *t = g->table;
        gather_drop(g);
        gather_begin(g, t, w->shape);
        ok = read_rows(r, g, e, w->range->lo, sb_view(hi), 0, false, &cut, err);
    }
    sb_done(&key);
    return ok;
}

static bool read_chunk_rows(LoadReader *r, const Work *w, RowEncoder *e, Gather *g, ReadChunk *c, StrBuf *hi,
                            Err *err)
{
    bool cut = false;
    if (!read_rows(r, g, e, w->range->lo, w->range->hi, w->limit, true, &cut, err)) return false;
    c->all = !cut && g->n < w->limit;
    if (c->all) return true;
    if (!chunk_key_is_complete(w->shape->key)) {
        if (!whole_groups(r, g, e, w, hi, err)) return false;
    } else {
        gather_key(g, g->n - 1, hi);
    }
    c->hi = sb_view(hi);
    const Range *range = w->range; /* constant while it is marked */
    bool inside =
        chunk_key_cmp(range->lo, c->hi) < 0 && (!range->hi.len || chunk_key_cmp(c->hi, range->hi) <= 0);
    return inside || err_set(err, ERR_DECODE_VALUE,
                             "source %s: table " STR_FMT "." STR_FMT
                             ": a row whose key is not in the range it was read by",
                             r->load->opts.source_id, STR_ARG(w->table->member->name.schema),
                             STR_ARG(w->table->member->name.table));
}

static bool read_chunk(LoadReader *r, Work *w, Err *err)
{
    Load *l = r->load;
    LoadTable *t = w->table;
    ReadWay way;
    Snapshot s = {0};
    Gather g = {0};
    RowEncoder *e = NULL;
    StrBuf hi = {0};
    ReadChunk c = {0};
    int64_t began = clock_mono_ms();
    bool ok = snapshot_way(l, r->conn, w, &way, err) && snapshot_begin(r, way, w, &s, err) &&
              row_encoder_new(w->shape->info.schema, w->shape->info.map, l->flavor, &e, err);
    if (ok && FAULT("load.after_snapshot")) ok = err_set(err, ERR_DB_LOST, "fault load.after_snapshot");
    if (ok) {
        gather_begin(&g, t, w->shape);
        ok = read_chunk_rows(r, w, e, &g, &c, &hi, err);
    }
    if (ok && !r->conn && way == READ_WINDOW) ok = reader_connect(r, &r->conn, err);
    if (ok && r->conn) ok = snapshot_end(r, way, &s, err);
    if (ok && FAULT("load.after_read")) ok = err_set(err, ERR_DB_LOST, "fault load.after_read");
    if (ok) {
        c.bytes = g.bytes;
        c.txn = gather_end(&g);
        c.took_ms = clock_mono_ms() - began;
        c.exact = s.exact;
        c.u_file = str_of(s.file);
        c.u_pos = s.pos;
        c.doubt = s.doubt;
        s.doubt = NULL;
        work_read(l, w, &c);
    }
    gather_drop(&g);
    row_encoder_free(e);
    snapshot_done(&s);
    sb_done(&hi);
    return ok;
}

/* ---- units ---- */

/* The rows gathered so far, and the rest of the result, go to a file, unless nobody wants them any more. */
static bool spill(LoadReader *r, Gather *g, const Range *range, Unit **unit, Err *err)
{
    LoadTable *t = g->table;
    pthread_mutex_lock(&r->load->mutex);
    bool thrown = range->thrown;
    pthread_mutex_unlock(&r->load->mutex);
    if (thrown) return err_set(err, ERR_CANCELLED, "the table has changed since it was read");
    const LoadShape *shape = g->shape;
    if (!*unit && !unit_create(r->load, t, shape, unit, err)) return false;
    for (size_t i = 0; i < g->n; i++)
        if (!unit_add(*unit, &g->ops[i].after, err)) return false;
    gather_drop(g);
    gather_begin(g, t, shape);
    return true;
}

static bool read_unit_rows(LoadReader *r, Gather *g, const Range *range, RowEncoder *e, Unit **unit,
                           uint64_t *bytes, Err *err)
{
    StrBuf sql = {0};
    Stmt *stmt = NULL;
    StmtResult result = STMT_END;
    const StmtValue *values;
    sb_c(&sql, "SELECT ");
    sb_str(&sql, row_encoder_select_list(e));
    sb_c(&sql, " FROM ");
    table_name_sql(g->shape->info.name, &sql);
    bool ok = stmt_open(r->conn, sb_view(&sql), &stmt, err);
    while (ok && (result = stmt_next(stmt, &values, err)) == STMT_ROW) {
        RowImage image;
        ok = row_encoder_row(e, values, &g->txn->arena, &image, err);
        if (!ok) break;
        gather_add(g, &image);
        *bytes += image.bytes.len;
        if (g->bytes >= r->load->chunk_bytes) ok = spill(r, g, range, unit, err);
    }
    ok = ok && result != STMT_FAILED;
    if (!ok) conn_kill_socket(r->conn);
    if (!stmt_close(stmt) || !ok) disconnect(r);
    sb_done(&sql);
    if (ok && *unit) ok = spill(r, g, range, unit, err) && unit_seal(*unit, err);
    return ok;
}

static bool read_unit(LoadReader *r, Work *w, Err *err)
{
    Load *l = r->load;
    LoadTable *t = w->table;
    ReadWay way;
    Snapshot s = {0};
    Gather g = {0};
    RowEncoder *e = NULL;
    ReadChunk c = {.all = true};
    int64_t began = clock_mono_ms();
    bool ok = snapshot_way(l, r->conn, w, &way, err) && snapshot_begin(r, way, w, &s, err) &&
              row_encoder_new(w->shape->info.schema, w->shape->info.map, l->flavor, &e, err);
    if (ok) {
        gather_begin(&g, t, w->shape);
        ok = read_unit_rows(r, &g, w->range, e, &c.unit, &c.bytes, err) && snapshot_end(r, way, &s, err);
    }
    if (ok && FAULT("load.unit_read")) ok = err_set(err, ERR_DB_LOST, "fault load.unit_read");
    if (ok) {
        if (!c.unit) c.txn = gather_end(&g);
        c.took_ms = clock_mono_ms() - began;
        c.exact = true;
        c.u_file = str_of(s.file);
        c.u_pos = s.pos;
        c.doubt = s.doubt;
        s.doubt = NULL;
        work_read(l, w, &c);
    } else if (c.unit) {
        unit_remove(c.unit);
    }
    gather_drop(&g);
    row_encoder_free(e);
    snapshot_done(&s);
    return ok;
}

/* Waits until a piece fits the memory share, or is the only one on its way: no more than one goes over the
 * share. False: stopping. */
static bool take_room(Load *l, uint64_t bytes)
{
    pthread_mutex_lock(&l->mutex);
    while (!l->stopping && l->held_pieces && l->held + bytes > l->opts.memory_bytes)
        pthread_cond_wait(&l->changed, &l->mutex);
    bool go = !l->stopping;
    l->held += go ? bytes : 0;
    l->held_pieces += go ? bytes : 0;
    pthread_mutex_unlock(&l->mutex);
    return go;
}

void load_give_piece(Load *l, uint64_t bytes)
{
    l->held -= MIN(l->held, (size_t)bytes);
    l->held_pieces -= MIN(l->held_pieces, (size_t)bytes);
}

/* It could not be read, or sent. The run ends: another reader would send again what is on its way. */
static bool drop_piece(Load *l, Txn *txn, uint64_t bytes)
{
    txn_free(txn);
    pthread_mutex_lock(&l->mutex);
    load_give_piece(l, bytes);
    l->stopping = true;
    pthread_cond_broadcast(&l->changed);
    pthread_mutex_unlock(&l->mutex);
    return false;
}

static bool send_pieces(LoadReader *r, Work *w, Err *err)
{
    Load *l = r->load;
    Unit *u = w->range->unit;
    for (uint64_t piece = 1; piece <= unit_pieces(u); piece++) {
        if (unit_is_committed(u, piece)) continue;
        uint64_t bytes = unit_piece_bytes(u, piece);
        if (!take_room(l, bytes)) return err_set(err, ERR_CANCELLED, "stopping");
        Txn *txn = txn_new();
        if (!unit_piece(u, piece, &w->shape->info, txn, err)) return drop_piece(l, txn, bytes);
        chunk_hash(w->table, txn);
        pthread_mutex_lock(&l->mutex);
        chunk_seal(l, w->table, w->range, txn, piece, bytes);
        pthread_mutex_unlock(&l->mutex);
        if (!l->opts.hooks.deliver(l->opts.hooks.ctx, txn))
            return drop_piece(l, txn, bytes) || err_set(err, ERR_CANCELLED, "stopping");
    }
    pthread_mutex_lock(&l->mutex);
    w->range->pieces_sent = true;
    w->range->pieces_busy = false;
    pthread_mutex_unlock(&l->mutex);
    return true;
}

/* ---- the thread ---- */

/* False: the reader ends. */
static bool after_error(LoadReader *r, const Work *w, Err *err)
{
    Load *l = r->load;
    int64_t now = clock_mono_ms();
    disconnect(r);
    if (err->code == ERR_CANCELLED) {
        err_clear(err);
        return !reader_sleep(r, 0);
    }
    if (w && w->table)
        err_wrap(err, "copying " STR_FMT "." STR_FMT, STR_ARG(w->table->member->name.schema),
                 STR_ARG(w->table->member->name.table));
    if (!r->trouble_since_ms) r->trouble_since_ms = now;
    int64_t lasted = now - r->trouble_since_ms;
    if (err_class(err) == ERR_CLASS_RETRY && lasted < l->opts.retry_max_ms) {
        log_error(LOGEV_SOURCE_RETRY, err, LOG_S("source", l->opts.source_id));
        err_clear(err);
        return !reader_sleep(r, MIN(MAX(lasted / 2, (int64_t)BACKOFF_FIRST_MS), (int64_t)BACKOFF_LAST_MS));
    }
    if (err_class(err) == ERR_CLASS_RETRY) { /* it has been passing for too long */
        Err last = {0};
        err_move(&last, err);
        err_set(err, ERR_SOURCE_SETTING, "%s", last.message);
        err_clear(&last);
    }
    l->opts.hooks.failed(l->opts.hooks.ctx, l->opts.source, err);
    return false;
}

/* What was read is not what was expected: the table may have changed since the stream saw it. Then the stream
 * is waited for. False: it has not, or nobody follows. */
static bool may_have_changed(LoadReader *r, const Work *w, const Err *err)
{
    Load *l = r->load;
    Err ignored = {0};
    StreamPoint now = {0};
    ErrClass class = err_class(err);
    bool asks = l->opts.follows && !load_has_snapshot(l) && w->kind != WORK_PIECES && w->kind != WORK_SHAPE &&
                class != ERR_CLASS_RETRY && err->code != ERR_CANCELLED;
    if (!asks) return false;
    disconnect(r);
    bool suspect = reader_connect(r, &r->conn, &ignored) &&
                   server_current_point(r->conn, l->flavor, &now, &ignored) &&
                   work_suspect(l, w, now.file, now.pos);
    err_clear(&ignored);
    point_done(&now);
    return suspect;
}

static bool do_work(LoadReader *r, Work *w, Err *err)
{
    if (w->kind == WORK_NONE) {
        disconnect(r);
        return true;
    }
    if (w->kind == WORK_PIECES) return send_pieces(r, w, err); /* from a file */
    if (!ensure_connected(r, err)) return false;
    switch (w->kind) {
    case WORK_SHAPE: return look_again(r, w, err);
    case WORK_PLAN: return plan_table(r, w, err);
    case WORK_CHUNK: return read_chunk(r, w, err);
    case WORK_UNIT: return read_unit(r, w, err);
    case WORK_PIECES:
    case WORK_NONE: break;
    }
    return true;
}

void *reader_main(void *arg)
{
    LoadReader *r = arg;
    Load *l = r->load;
    bool alive = true, asked = r->index != 0;
    while (alive && !asked) { /* the first one asks for all */
        Err err = {0};
        asked = ensure_connected(r, &err) && estimate_all(r, &err) && ask_start(r, &err);
        if (asked)
            r->trouble_since_ms = 0;
        else
            alive = after_error(r, NULL, &err);
        err_clear(&err);
    }
    Work w = {0};
    while (alive && work_next(l, r, &w)) {
        Err err = {0};
        if (do_work(r, &w, &err)) {
            r->trouble_since_ms = 0;
        } else if (work_failed(l, &w)) {
            disconnect(r);
        } else {
            alive = may_have_changed(r, &w, &err) || after_error(r, &w, &err);
        }
        err_clear(&err);
        point_done(&w.mark);
        pthread_mutex_lock(&l->mutex);
        r->chunks += w.kind == WORK_CHUNK || w.kind == WORK_UNIT;
        pthread_mutex_unlock(&l->mutex);
    }
    disconnect(r);
    conn_thread_end();
    return NULL;
}
