#include "ops/check_load.h"
#include <stdlib.h>
#include "load/chunk_key.h"
#include "ops/load_estimate.h"
#include "ops/load_text.h"
#include "ops/text_table.h"
#include "track/schema_map.h"
#include "base/poison.h"

enum {
    NAMES_SHOWN = 5,
    WRITE_BYTES_PER_S = 20 << 20, /* what a downstream takes: an assumption, said as one */
    SAMPLE_LEAST_ROWS = 500,      /* fewer rows tell nothing of a rate */
};

/* One source while it is looked at. */
typedef struct SourceLoad {
    uint64_t rows, bytes;
    double read_rows_per_s; /* one reader; 0: not measured */
    size_t n_tables, n_units;
    uint32_t largest; /* entry with the most rows */
} SourceLoad;

typedef struct Work {
    const CheckLoad *in;
    CheckReport *report;
    Arena arena;
    TableSize *sizes;    /* by entry */
    bool *units;         /* by entry: cannot be cut into chunks */
    SourceLoad *sources; /* by source */
    bool begun;          /* the task has run before */
} Work;

static bool is_routed(const Work *w, size_t entry)
{
    return w->in->plan->entries[entry].target != ROUTE_NO_TARGET && w->in->shards[entry];
}

static bool setting_is(const CheckedSource *s, const char *name, const char *wanted)
{
    bool found;
    Str value = vars_get(&s->vars, name, &found);
    return !found || str_ieq(value, str_of(wanted));
}

/* May chunks be read without any lock? */
static bool chunks_need_no_lock(const CheckedSource *s)
{
    bool full = setting_is(s, "binlog_row_image", "FULL");
    return full && (s->is_mariadb || (s->config->enable_gtid && vars_is(&s->vars, "gtid_mode", "ON")));
}

/* -- names in a finding -- */

/* The first few, then how many more. */
typedef struct Names {
    StrBuf text;
    size_t n;
} Names;

static void names_add(Names *names, Str name)
{
    if (names->n < NAMES_SHOWN) sb_printf(&names->text, "%s" STR_FMT, names->n ? ", " : "", STR_ARG(name));
    names->n++;
}

static const char *names_end(Names *names)
{
    if (names->n > NAMES_SHOWN) sb_printf(&names->text, " and %zu more", names->n - NAMES_SHOWN);
    return names->text.ptr ? names->text.ptr : "";
}

/* "GRANT … ON `a`.*, …": one statement for each schema, the first few. */
static void grants_add(StrBuf *remedy, Map *seen, const char *privileges, Str schema, Str user)
{
    if (map_put(seen, schema, remedy) || seen->count > NAMES_SHOWN) return;
    sb_printf(remedy, "%sGRANT %s ON ", remedy->len ? "; " : "", privileges);
    sb_ident(remedy, schema);
    sb_printf(remedy, ".* TO " STR_FMT, STR_ARG(user));
}

/* -- sources: what may be read, and how -- */

/* Asks the server itself: privileges may come from roles. */
static bool may_select(Conn *c, TableName name)
{
    CLEANUP(sb_done) StrBuf sql = {0};
    CLEANUP(err_clear) Err err = {0};
    sb_c(&sql, "SELECT * FROM ");
    table_name_sql(name, &sql);
    sb_c(&sql, " LIMIT 0");
    return conn_exec(c, sb_view(&sql), NULL, &err) || err.code != ERR_DB_ACCESS_DENIED;
}

static void check_select(Work *w, uint32_t source, const Grants *g)
{
    CheckedSource *s = &w->in->sources[source];
    const RoutePlan *p = w->in->plan;
    CLEANUP(sb_done) StrBuf remedy = {0};
    Names missing = {0};
    Map schemas = {0};
    for (size_t i = 0; i < p->n; i++) {
        TableName name = p->entries[i].table;
        if (p->entries[i].source != source || !is_routed(w, i)) continue;
        if (grants_have(g, "SELECT", name.schema, name.table) || may_select(s->conn, name)) continue;
        names_add(&missing,
                  arena_printf(&w->arena, STR_FMT "." STR_FMT, STR_ARG(name.schema), STR_ARG(name.table)));
        grants_add(&remedy, &schemas, "SELECT", name.schema, g->user);
    }
    if (missing.n)
        check_add(w->report, CHECK_FAIL, remedy.ptr, "%zu tables cannot be read, so not be copied: %s",
                  missing.n, names_end(&missing));
    else
        check_add(w->report, CHECK_OK, NULL, "may read all %zu tables that will be copied",
                  w->sources[source].n_tables);
    sb_done(&missing.text);
    map_done(&schemas);
}

/* MySQL without a consistent snapshot that tells its position: the moment is held by LOCK TABLES. */
static void check_lock_tables(Work *w, uint32_t source, const Grants *g)
{
    const CheckedSource *s = &w->in->sources[source];
    const RoutePlan *p = w->in->plan;
    bool all = !chunks_need_no_lock(s);
    CLEANUP(sb_done) StrBuf remedy = {0};
    Names missing = {0};
    Map schemas = {0};
    size_t locked = 0;
    for (size_t i = 0; i < p->n; i++) {
        TableName name = p->entries[i].table;
        if (p->entries[i].source != source || !is_routed(w, i) || !(all || w->units[i])) continue;
        locked++;
        if (grants_have(g, "LOCK TABLES", name.schema, (Str){0})) continue;
        names_add(&missing,
                  arena_printf(&w->arena, STR_FMT "." STR_FMT, STR_ARG(name.schema), STR_ARG(name.table)));
        grants_add(&remedy, &schemas, "LOCK TABLES", name.schema, g->user);
    }
    const char *why = !all ? "tables without a usable key"
                           : "gtid_mode is not ON with enable-gtid: true, or "
                             "binlog_row_image is not FULL, so all tables";
    if (!missing.n) {
        if (locked)
            check_add(w->report, CHECK_NOTE, NULL,
                      "%s: LOCK TABLES … READ is held for the moment in which a read begins (%zu tables)",
                      why, locked);
    } else {
        if (all)
            sb_c(&remedy, "; or set gtid_mode = ON, binlog_row_image = FULL and enable-gtid: true: then none "
                          "is locked");
        check_add(w->report, g->has_roles ? CHECK_WARN : CHECK_FAIL, remedy.ptr,
                  "LOCK TABLES is not granted%s, and %s need it for the moment in which a read begins: %s",
                  g->has_roles ? ", unless a role brings it" : "", why, names_end(&missing));
    }
    sb_done(&missing.text);
    map_done(&schemas);
}

static void check_way(Work *w, uint32_t source, const Grants *g)
{
    const CheckedSource *s = &w->in->sources[source];
    if (!setting_is(s, "log_bin", "ON") && !setting_is(s, "log_bin", "1")) return; /* said already */
    if (s->is_mariadb)
        check_add(w->report, CHECK_OK, NULL,
                  "rows are read without a lock: a snapshot tells its binlog position");
    else if (chunks_need_no_lock(s))
        check_add(w->report, CHECK_OK, NULL, "rows are read without a lock, between two GTID positions");
    if (!s->is_mariadb) check_lock_tables(w, source, g);
    if (!setting_is(s, "binlog_row_image", "FULL"))
        check_add(w->report, CHECK_WARN, "SET GLOBAL binlog_row_image = FULL, at least until all is copied",
                  "binlog_row_image is not FULL: changes cannot be put into rows that are being copied");
}

/* Tables without transactions are locked while they are read, chunk by chunk. */
static void check_engines(Work *w, uint32_t source, const Grants *g)
{
    const RoutePlan *p = w->in->plan;
    bool snapshot = w->in->task->load.consistency == LOAD_CONSISTENCY_SNAPSHOT;
    CLEANUP(sb_done) StrBuf remedy = {0};
    Names odd = {0}, missing = {0};
    Map schemas = {0};
    for (size_t i = 0; i < p->n; i++) {
        TableName name = p->entries[i].table;
        if (p->entries[i].source != source || !is_routed(w, i)) continue;
        Str engine = w->in->shards[i]->engine;
        if (engine_has_transactions(engine)) continue;
        Str text = arena_printf(&w->arena, STR_FMT "." STR_FMT " (" STR_FMT ")", STR_ARG(name.schema),
                                STR_ARG(name.table), STR_ARG(engine));
        names_add(&odd, text);
        if (grants_have(g, "LOCK TABLES", name.schema, (Str){0})) continue;
        names_add(&missing, text);
        grants_add(&remedy, &schemas, "LOCK TABLES", name.schema, g->user);
    }
    if (odd.n && snapshot)
        check_add(w->report, CHECK_FAIL,
                  "ALTER TABLE … ENGINE=InnoDB, leave them out by a rule, or take consistency: chunk",
                  "tables without transactions have no place in a snapshot of the task: %s", names_end(&odd));
    else if (missing.n)
        check_add(w->report, g->has_roles ? CHECK_WARN : CHECK_FAIL, remedy.ptr,
                  "LOCK TABLES is not granted%s, and tables without transactions are read under it: %s",
                  g->has_roles ? ", unless a role brings it" : "", names_end(&missing));
    else if (odd.n)
        check_add(
            w->report, CHECK_WARN, "ALTER TABLE … ENGINE=InnoDB",
            "tables without transactions are locked against writers for as long as each chunk is read: %s",
            names_end(&odd));
    sb_done(&odd.text);
    sb_done(&missing.text);
    map_done(&schemas);
}

static void sample(Work *w, uint32_t source)
{
    SourceLoad *l = &w->sources[source];
    Conn *c = w->in->sources[source].conn;
    ReadSample got;
    CLEANUP(err_clear) Err none = {0}; /* what cannot be read was reported: there is no estimate then */
    if (!l->rows ||
        !load_sample_read(c, w->in->plan->entries[l->largest].table, w->sizes[l->largest], &got, &none))
        return;
    if (got.rows >= SAMPLE_LEAST_ROWS) l->read_rows_per_s = (double)got.rows / got.seconds;
}

/* Can the table be cut along a key? What it cannot be read as is reported with its target. */
static bool find_unit(Work *w, size_t entry, Err *err)
{
    const TableSchema *schema = w->in->shards[entry];
    const CheckedSource *s = &w->in->sources[w->in->plan->entries[entry].source];
    TableMap *map = NULL;
    ChunkKey *key = NULL;
    if (!schema_table_map(schema, s->is_mariadb ? FLAVOR_MARIADB : FLAVOR_MYSQL, &w->arena, &map, err))
        return false;
    w->units[entry] = !chunk_key_new(schema, map, &key);
    chunk_key_free(key);
    return true;
}

static bool look_at_source(Work *w, uint32_t source, Err *err)
{
    const RoutePlan *p = w->in->plan;
    SourceLoad *l = &w->sources[source];
    CheckedSource *s = &w->in->sources[source];
    TableName *names = arena_array(&w->arena, TableName, p->n + 1);
    TableSize *sizes = arena_array(&w->arena, TableSize, p->n + 1);
    size_t *places = arena_array(&w->arena, size_t, p->n + 1);
    for (size_t i = 0; i < p->n; i++) {
        if (p->entries[i].source != source || !is_routed(w, i)) continue;
        places[l->n_tables] = i;
        names[l->n_tables++] = p->entries[i].table;
    }
    if (!s->conn || !l->n_tables) return true;
    if (!load_sizes_read(s->conn, names, l->n_tables, sizes, err)) return false;
    for (size_t i = 0; i < l->n_tables; i++) {
        size_t entry = places[i];
        w->sizes[entry] = sizes[i];
        l->rows += sizes[i].rows;
        l->bytes += sizes[i].bytes;
        if (i == 0 || sizes[i].rows > w->sizes[l->largest].rows) l->largest = (uint32_t)entry;
        CLEANUP(err_clear) Err odd = {0};
        check_where(w->report, "source " STR_FMT, STR_ARG(s->config->id));
        if (!find_unit(w, entry, &odd)) check_add_err(w->report, CHECK_FAIL, &odd);
        l->n_units += w->units[entry];
    }
    return true;
}

static bool check_one_source(Work *w, uint32_t source, Err *err)
{
    CheckedSource *s = &w->in->sources[source];
    Grants g;
    if (!s->conn || !w->sources[source].n_tables) return true;
    check_where(w->report, "source " STR_FMT, STR_ARG(s->config->id));
    if (!grants_read(s->conn, &g, err)) return false;
    check_select(w, source, &g);
    check_way(w, source, &g);
    check_engines(w, source, &g);
    grants_done(&g);
    sample(w, source);
    return true;
}

/* -- targets -- */

static void size_text(StrBuf *out, uint64_t rows, uint64_t bytes)
{
    sb_c(out, "about ");
    text_count(out, rows);
    sb_c(out, " rows, ");
    text_bytes(out, bytes);
}

/* Rows that are there before the copy collide with it, or stay beside it. */
static void check_empty(Work *w, size_t target, TableName name)
{
    if (w->begun || !w->in->target || !w->in->targets[target]) return;
    CLEANUP(sb_done) StrBuf sql = {0};
    Rows rows;
    Err err = {0};
    sb_c(&sql, "SELECT 1 FROM ");
    table_name_sql(name, &sql);
    sb_c(&sql, " LIMIT 1");
    if (!conn_query(w->in->target, sb_view(&sql), &rows, &err)) {
        err_clear(&err); /* a target that cannot be read was reported */
        return;
    }
    if (rows.n_rows)
        check_add(w->report, CHECK_WARN, "empty it, unless these rows are meant to stay beside the shards'",
                  "holds rows already: a copied row with one of their keys is a collision");
    rows_done(&rows);
}

static void check_units(Work *w, const RouteTarget *rt)
{
    Names units = {0};
    uint64_t bytes = 0;
    for (size_t i = 0; i < rt->n_members; i++) {
        const RouteEntry *e = &w->in->plan->entries[rt->members[i]];
        if (!w->units[rt->members[i]]) continue;
        bytes += w->sizes[rt->members[i]].bytes;
        names_add(&units, arena_printf(&w->arena, STR_FMT ":" STR_FMT "." STR_FMT,
                                       STR_ARG(w->in->sources[e->source].config->id),
                                       STR_ARG(e->table.schema), STR_ARG(e->table.table)));
    }
    if (units.n) {
        CLEANUP(sb_done) StrBuf size = {0};
        text_bytes(&size, bytes);
        check_add(
            w->report, CHECK_NOTE,
            "a primary key, or a unique key of NOT NULL columns, that begins with an integer, date, time or "
            "binary column",
            "%zu of its shard tables have no key to cut them along and are copied as one unit each, while "
            "the stream of their source waits; a large one goes through a file in the state folder (%s in "
            "all): %s",
            units.n, size.ptr, names_end(&units));
    }
    sb_done(&units.text);
}

static json_t *check_target(Work *w, size_t target)
{
    const RouteTarget *rt = &w->in->plan->targets[target];
    TableSize all = {0};
    json_t *units = json_array();
    for (size_t i = 0; i < rt->n_members; i++) {
        uint32_t at = rt->members[i];
        const RouteEntry *e = &w->in->plan->entries[at];
        all.rows += w->sizes[at].rows;
        all.bytes += w->sizes[at].bytes;
        if (w->units[at])
            json_array_append_new(
                units, json_pack("{s:s%, s:s%, s:s%}", "source", w->in->sources[e->source].config->id.ptr,
                                 w->in->sources[e->source].config->id.len, "schema", e->table.schema.ptr,
                                 e->table.schema.len, "table", e->table.table.ptr, e->table.table.len));
    }
    CLEANUP(sb_done) StrBuf size = {0}, name = {0};
    table_name_sql(rt->name, &name);
    size_text(&size, all.rows, all.bytes);
    check_where(w->report, "target %s", name.ptr);
    check_add(w->report, CHECK_OK, NULL, "%s to copy from %zu shard tables", size.ptr, rt->n_members);
    check_units(w, rt);
    check_empty(w, target, rt->name);
    return json_pack("{s:s%, s:s%, s:I, s:I, s:I, s:o}", "schema", rt->name.schema.ptr, rt->name.schema.len,
                     "table", rt->name.table.ptr, rt->name.table.len, "shard_tables",
                     (json_int_t)rt->n_members, "rows", (json_int_t)all.rows, "bytes", (json_int_t)all.bytes,
                     "units", units);
}

/* -- the whole -- */

/* Seconds that reading takes when every source's readers run beside each other; < 0: not known. */
static double read_seconds(const Work *w)
{
    const LoadOptions *o = &w->in->task->load;
    double longest = 0;
    for (size_t i = 0; i < w->in->task->n_sources; i++) {
        const SourceLoad *l = &w->sources[i];
        if (!l->rows) continue;
        double rate = l->read_rows_per_s * o->readers;
        if (o->rows_per_second && (rate <= 0 || rate > (double)o->rows_per_second))
            rate = (double)o->rows_per_second;
        if (rate <= 0) return -1;
        double seconds = (double)l->rows / rate;
        if (seconds > longest) longest = seconds;
    }
    return longest;
}

static json_t *sources_json(const Work *w)
{
    json_t *list = json_array();
    for (size_t i = 0; i < w->in->task->n_sources; i++) {
        const SourceLoad *l = &w->sources[i];
        Str id = w->in->task->sources[i].id;
        json_array_append_new(
            list,
            json_pack("{s:s%, s:I, s:I, s:I, s:I, s:o}", "id", id.ptr, id.len, "tables",
                      (json_int_t)l->n_tables, "units", (json_int_t)l->n_units, "rows", (json_int_t)l->rows,
                      "bytes", (json_int_t)l->bytes, "read_rows_per_s",
                      l->read_rows_per_s > 0 ? json_integer((json_int_t)l->read_rows_per_s) : json_null()));
    }
    return list;
}

static void check_whole(Work *w, json_t *targets)
{
    TableSize all = {0};
    for (size_t i = 0; i < w->in->task->n_sources; i++) {
        all.rows += w->sources[i].rows;
        all.bytes += w->sources[i].bytes;
    }
    double reading = read_seconds(w), writing = (double)all.bytes / WRITE_BYTES_PER_S;
    double seconds = reading > writing ? reading : writing;
    CLEANUP(sb_done) StrBuf size = {0}, time = {0}, read = {0}, write = {0};
    size_text(&size, all.rows, all.bytes);
    text_duration(&time, (uint64_t)(seconds + 0.999));
    text_duration(&write, (uint64_t)(writing + 0.999));
    if (reading >= 0)
        text_duration(&read, (uint64_t)(reading + 0.999));
    else
        sb_c(&read, "a time that a sample of so few rows does not tell");
    check_where(w->report, "copy");
    if (w->begun)
        check_add(w->report, CHECK_NOTE, NULL,
                  "the task has begun before: what is copied is not copied again");
    check_add(w->report, CHECK_OK, NULL, "%s in all, by the servers' statistics", size.ptr);
    check_add(
        w->report, CHECK_OK, NULL,
        "estimate: %s. Reading takes %s with %u readers a source (by a sample of each), writing %s if the "
        "downstream takes 20 MiB a second (an assumption: indexes, disks and its load decide)",
        time.ptr, read.ptr, w->in->task->load.readers, write.ptr);
    json_decref(w->report->load);
    w->report->load =
        json_pack("{s:I, s:I, s:I, s:o, s:I, s:I, s:b, s:o, s:o}", "rows", (json_int_t)all.rows, "bytes",
                  (json_int_t)all.bytes, "seconds", (json_int_t)(seconds + 0.999), "read_seconds",
                  reading >= 0 ? json_integer((json_int_t)(reading + 0.999)) : json_null(), "write_seconds",
                  (json_int_t)(writing + 0.999), "assumed_write_bytes_per_s", (json_int_t)WRITE_BYTES_PER_S,
                  "begun", (int)w->begun, "sources", sources_json(w), "targets", targets);
}

/* Is there stored progress? Then the targets are meant to hold rows. */
static bool has_begun(const Work *w)
{
    const Task *t = w->in->task;
    CLEANUP(sb_done) StrBuf sql = {0};
    CLEANUP(err_clear) Err none = {0}; /* no meta schema: it has not begun */
    char *text = NULL;
    if (!w->in->target) return false;
    sb_c(&sql, "SELECT 1 FROM ");
    table_name_sql((TableName){t->meta_schema, STR("sm_task")}, &sql);
    sb_c(&sql, " WHERE task = ");
    sb_quoted(&sql, t->name);
    bool yes = conn_scalar(w->in->target, sb_view(&sql), &text, &none) && text;
    free(text);
    return yes;
}

bool check_load(CheckReport *r, const CheckLoad *in, Err *err)
{
    Work w = {.in = in, .report = r};
    size_t n = in->plan->n;
    bool ok = true;
    w.sizes = arena_array(&w.arena, TableSize, n + 1);
    w.units = arena_array(&w.arena, bool, n + 1);
    w.sources = arena_array(&w.arena, SourceLoad, in->task->n_sources + 1);
    w.begun = has_begun(&w);
    for (uint32_t i = 0; ok && i < in->task->n_sources; i++)
        ok = look_at_source(&w, i, err) && check_one_source(&w, i, err);
    if (ok) {
        json_t *targets = json_array();
        for (size_t i = 0; i < in->plan->n_targets; i++)
            json_array_append_new(targets, check_target(&w, i));
        check_whole(&w, targets);
    }
    arena_done(&w.arena);
    return ok;
}
