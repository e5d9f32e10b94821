/* Decoding of a binlog, in memory, one core: prints, asserts nothing.
 *   bench_decode FILE ROUNDS [DEPTH]                 ours, to each depth, or to one (for a profiler)
 *   bench_decode --peer SOCKET USER PASSWORD NAME    libmariadb's own row decoding of that file of a live
 *                                                    server, fetched before
 * Times are CPU seconds of the process; each measurement is the best of three. Depths:
 *   memory     every 8 bytes of the file are read, nothing is done with them: what the machine gives
 *   events     headers and bodies of all events
 *   checked    … and checksums verified
 *   rows       events, and rows split into their columns' bytes (what the peer does)
 *   all        … and checksums verified
 *   values     … and every value printed as SQL
 *   assembled  checksums, transactions with row operations, images in their own memory, write sets of keys:
 * all that a source's thread does behind the socket. The file makes its tables itself (CREATE TABLE in it).
 */
#include <mysql.h>
#include <mariadb_rpl.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include "base/check.h"
#include "ddl/parse.h"
#include "decode/row.h"
#include "decode/value.h"
#include "source/assemble.h"
#include "track/bind.h"
#include "track/schema_apply.h"

enum { MOST_COLUMNS = 64, MAGIC = 4, REPEATS = 3 };

typedef struct Tally {
    uint64_t bytes, rows, transactions;
    double seconds;
} Tally;

static double cpu_now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void report(const char *what, const Tally *t)
{
    printf("%s mb_s=%.0f rows_s=%.0f tx_s=%.0f bytes=%llu rows=%llu tx=%llu\n", what,
           (double)t->bytes / t->seconds / 1e6, (double)t->rows / t->seconds,
           (double)t->transactions / t->seconds, (unsigned long long)t->bytes, (unsigned long long)t->rows,
           (unsigned long long)t->transactions);
}

static NORETURN void broken(const Err *err)
{
    fprintf(stderr, "%s\n", err->message);
    exit(1);
}

/* -- ours -- */

typedef enum Depth { DEPTH_MEMORY, DEPTH_EVENTS, DEPTH_ROWS, DEPTH_VALUES, DEPTH_ASSEMBLED } Depth;

enum { MOST_TABLES = 8 };

/* A table of the file, routed to one of its own shape. */
typedef struct BenchTable {
    TableSchema *schema;
    Target *target;
    Member member;
    TableMap *map; /* of the binding */
    Binding *binding;
} BenchTable;

typedef struct World {
    Assembler *a;
    Budget budget;
    BenchTable tables[MOST_TABLES];
    unsigned n_tables;
    Arena arena;
    Tally *tally;
} World;

typedef struct Decoder {
    FormatDescription fmt;
    Arena arena, fmt_arena;
    TableMap map;
    bool verify;
    ColumnCodec codecs[MOST_COLUMNS];
    Field fields[MOST_COLUMNS];
    StrBuf out;
    World world;
    Tally tally;
} Decoder;

static void take_map(Decoder *d, Str body, Err *err)
{
    Str known = d->map.body; /* most maps repeat: as the assembler does, look before reading */
    if (known.len && body.len > known.len &&
        memcmp(body.ptr + body.len - known.len, known.ptr, known.len) == 0 &&
        event_table_id(&d->fmt, EVENT_TABLE_MAP, body) == d->map.table_id)
        return;
    arena_done(&d->arena);
    d->arena = (Arena){0};
    if (!event_table_map(&d->fmt, body, &d->arena, &d->map, err)) broken(err);
    CHECK(d->map.n_columns <= MOST_COLUMNS, "a table of the benchmark");
    for (uint32_t i = 0; i < d->map.n_columns; i++) {
        const MapColumn *c = &d->map.columns[i];
        bool text = c->type == COLTYPE_VARCHAR || c->type == COLTYPE_BLOB || c->type == COLTYPE_STRING;
        d->codecs[i] = (ColumnCodec){.type = c->type,
                                     .meta = c->meta,
                                     .is_unsigned = c->is_unsigned,
                                     .text = text ? TEXT_UTF8 : TEXT_NONE};
    }
}

static void take_rows(Decoder *d, const EventHeader *h, Str body, Depth depth, Err *err)
{
    RowsEvent e;
    Str image;
    if (!event_rows(h, &d->fmt, body, &e, err)) broken(err);
    if (depth == DEPTH_EVENTS) return;
    sb_clear(&d->out);
    const uint8_t *present = (const uint8_t *)e.present_before.ptr;
    for (Reader r = reader_of(e.rows); reader_left(&r); d->tally.rows++) {
        if (!row_image_split(&d->map, present, &r, &image, d->fields, err)) broken(err);
        if (depth != DEPTH_VALUES) continue;
        for (uint32_t i = 0; i < d->map.n_columns; i++) {
            if (!value_sql(&d->out, &d->codecs[i], d->fields[i], err)) broken(err);
            sb_ch(&d->out, ',');
        }
    }
}

static void take_event(Decoder *d, const EventHeader *h, Str body, Depth depth)
{
    Err err = {0};
    GtidEvent gtid;
    QueryEvent query;
    uint64_t xid;
    switch (h->type) {
    case EVENT_TABLE_MAP: take_map(d, body, &err); break;
    case EVENT_MARIADB_GTID:
        if (!event_gtid(h, &d->fmt, body, &gtid, &err)) broken(&err);
        break;
    case EVENT_QUERY:
        if (!event_query(body, &query, &err)) broken(&err);
        break;
    case EVENT_XID:
        if (!event_xid(body, &xid, &err)) broken(&err);
        d->tally.transactions++;
        break;
    case EVENT_WRITE_ROWS_V1:
    case EVENT_WRITE_ROWS_V2: take_rows(d, h, body, depth, &err); break;
    default: break;
    }
}

/* -- the assembler, with every table routed -- */

static bool everything(void *ctx, uint32_t source, TableName name)
{
    (void)ctx;
    (void)source;
    (void)name;
    return true;
}

static bool every_schema(void *ctx, uint32_t source, Str schema)
{
    (void)ctx;
    (void)source;
    return schema.len > 0;
}

/* CREATE TABLE: the definition of a table to come. */
static bool take_ddl(void *ctx, uint32_t source, const DdlEvent *e, Err *err)
{
    World *w = ctx;
    (void)source;
    DdlContext ddl = {.flavor = FLAVOR_MARIADB, .default_schema = e->query->schema};
    ApplyContext apply = {.flavor = FLAVOR_MARIADB, .schema_collation = STR("utf8mb4_general_ci")};
    DdlStmt *stmt;
    SchemaStep *step = NULL;
    BenchTable *t = &w->tables[w->n_tables];
    if (e->of_database) return true;
    CHECK(w->n_tables < MOST_TABLES, "tables of the benchmark");
    if (!ddl_parse(e->query->sql, &ddl, &w->arena, &stmt, err) ||
        !schema_apply(NULL, stmt, &apply, &t->schema, &step, err))
        return false;
    schema_step_free(step);
    t->member = (Member){.name = t->schema->name};
    if (!target_new(w->n_tables + 1, t->schema, &t->target, err)) return false;
    t->member.target = t->target;
    w->n_tables++;
    return true;
}

static bool resolve(void *ctx, uint32_t source, const TableMap *map, const Binding **binding, Err *err)
{
    World *w = ctx;
    BenchTable *t = w->tables;
    (void)source;
    while (t < w->tables + w->n_tables && !table_name_eq(t->schema->name, map->name))
        t++;
    if (t == w->tables + w->n_tables) return err_set(err, ERR_BUG, "the file does not make its table");
    BindOpts opts = {.source_flavor = FLAVOR_MARIADB};
    t->map = table_map_copy(map, &w->arena);
    if (!binding_new(&t->member, t->map, t->schema, &opts, &t->binding, err)) return false;
    *binding = t->binding;
    return true;
}

static bool deliver(void *ctx, Txn *txn)
{
    World *w = ctx;
    w->tally->rows += txn->n_ops;
    w->tally->transactions += txn->n_ops > 0;
    budget_give(&w->budget, txn->budget_bytes);
    txn_free(txn);
    return true;
}

static void world_open(World *w, Tally *tally)
{
    *w = (World){.tally = tally};
    budget_init(&w->budget, UINT64_C(1) << 32);
    AssembleOpts opts = {.source_id = "bench",
                         .server = "server_id:1",
                         .flavor = FLAVOR_MARIADB,
                         .use_gtid = true,
                         .budget = &w->budget,
                         .hooks = {.ctx = w,
                                   .resolve = resolve,
                                   .routed = everything,
                                   .schema_routed = every_schema,
                                   .ddl = take_ddl,
                                   .deliver = deliver}};
    w->a = assembler_new(&opts);
    StreamPoint from = {.flavor = FLAVOR_MARIADB, .gtids = gtidset_new(FLAVOR_MARIADB)};
    assembler_set_point(w->a, &from);
    point_done(&from);
}

static void world_close(World *w)
{
    assembler_free(w->a);
    for (unsigned i = 0; i < w->n_tables; i++) {
        binding_free(w->tables[i].binding);
        target_free(w->tables[i].target);
        schema_free(w->tables[i].schema);
    }
    budget_done(&w->budget);
    arena_done(&w->arena);
}

static void assemble(Decoder *d, const EventHeader *h, Str whole, Str body, uint64_t pos)
{
    Err err = {0};
    RawEvent ev = {.header = *h,
                   .body = body,
                   .whole = whole,
                   .file = STR("binlog.000001"),
                   .start_pos = pos,
                   .end_pos = pos + h->size};
    if (!assembler_event(d->world.a, &d->fmt, &ev, &err)) broken(&err);
}

static void read_memory(Decoder *d, Str file)
{
    uint64_t sum = 0;
    for (size_t at = 0; at + 8 <= file.len; at += 8) {
        uint64_t word;
        memcpy(&word, file.ptr + at, sizeof word);
        sum += word;
    }
    d->tally.rows += sum == 1; /* the sum is used */
    d->tally.bytes += file.len;
}

static void pass(Decoder *d, Str file, Depth depth)
{
    if (depth == DEPTH_MEMORY) {
        read_memory(d, file);
        return;
    }
    if (depth == DEPTH_ASSEMBLED) world_open(&d->world, &d->tally);
    Reader r = reader_of(file);
    (void)reader_bytes(&r, MAGIC);
    while (reader_left(&r)) {
        Err err = {0};
        EventHeader h;
        Str body, rest = str_make(r.at, reader_left(&r));
        enum { SIZE_AT = 9 };
        Reader size_at = reader_of(rest);
        (void)reader_bytes(&size_at, SIZE_AT);
        Str event = reader_str(&r, reader_u32(&size_at));
        bool first = event.len > 4 && event.ptr[4] == EVENT_FORMAT_DESCRIPTION;
        if (first && !event_format_description(event, &d->fmt_arena, &d->fmt, &err)) broken(&err);
        if (!event_split(event, d->verify && !first && d->fmt.checksum_crc32, &h, &body, &err)) broken(&err);
        if (!d->verify && d->fmt.checksum_crc32) body.len -= 4;
        if (depth == DEPTH_ASSEMBLED)
            assemble(d, &h, event, body, (uint64_t)(event.ptr - file.ptr));
        else
            take_event(d, &h, body, depth);
    }
    if (depth == DEPTH_ASSEMBLED) world_close(&d->world);
    d->tally.bytes += file.len;
}

static void measure(const char *what, Str file, unsigned rounds, bool verify, Depth depth, const char *only)
{
    if (only && strcmp(only, what) != 0) return;
    Tally best = {0};
    for (unsigned i = 0; i < REPEATS; i++) {
        Decoder d = {.verify = verify};
        double start = cpu_now();
        for (unsigned round = 0; round < rounds; round++)
            pass(&d, file, depth);
        d.tally.seconds = cpu_now() - start;
        if (i == 0 || d.tally.seconds < best.seconds) best = d.tally;
        arena_done(&d.arena);
        arena_done(&d.fmt_arena);
        sb_done(&d.out);
    }
    report(what, &best);
}

static int ours(const char *path, unsigned rounds, const char *only)
{
    StrBuf file = {0};
    FILE *f = fopen(path, "rb");
    for (size_t n = 1; f && n > 0;) {
        enum { CHUNK = 1 << 20 };
        sb_reserve(&file, CHUNK);
        n = fread(file.ptr + file.len, 1, CHUNK, f);
        sb_wrote(&file, n);
    }
    if (!f || file.len <= MAGIC) {
        fprintf(stderr, "%s cannot be read\n", path);
        return 1;
    }
    fclose(f);
    Str all = sb_view(&file);
    measure("memory", all, rounds, false, DEPTH_MEMORY, only);
    measure("events", all, rounds, false, DEPTH_EVENTS, only);
    measure("checked", all, rounds, true, DEPTH_EVENTS, only);
    measure("rows", all, rounds, false, DEPTH_ROWS, only);
    measure("all", all, rounds, true, DEPTH_ROWS, only);
    measure("values", all, rounds, true, DEPTH_VALUES, only);
    measure("assembled", all, rounds, true, DEPTH_ASSEMBLED, only);
    sb_done(&file);
    return 0;
}

/* -- libmariadb -- */

typedef struct Fetched {
    MARIADB_RPL_EVENT **events; /* a row event follows its table map */
    size_t n, cap;
    uint64_t bytes;
} Fetched;

static bool fetch_all(MYSQL *mysql, const char *name, MARIADB_RPL **rpl, Fetched *out)
{
    *rpl = mariadb_rpl_init(mysql);
    mariadb_rpl_optionsv(*rpl, MARIADB_RPL_SERVER_ID, 987654);
    mariadb_rpl_optionsv(*rpl, MARIADB_RPL_FILENAME, name, strlen(name));
    mariadb_rpl_optionsv(*rpl, MARIADB_RPL_START, 4UL);
    mariadb_rpl_optionsv(*rpl, MARIADB_RPL_FLAGS, 1U); /* end at the end */
    if (mariadb_rpl_open(*rpl)) return false;
    for (MARIADB_RPL_EVENT *e; (e = mariadb_rpl_fetch(*rpl, NULL));) {
        bool rotate = e->event_type == ROTATE_EVENT && e->timestamp;
        out->bytes += e->event_length;
        if (out->n == out->cap) {
            out->cap = out->cap ? out->cap * 2 : 1024;
            out->events = mem_realloc(out->events, out->cap * sizeof(MARIADB_RPL_EVENT *));
        }
        out->events[out->n++] = e;
        if (rotate) break; /* the next file */
    }
    return out->n > 0;
}

static Tally extract(MARIADB_RPL *rpl, const Fetched *f)
{
    Tally t = {.bytes = f->bytes};
    MARIADB_RPL_EVENT *map = NULL;
    double start = cpu_now();
    for (size_t i = 0; i < f->n; i++) {
        MARIADB_RPL_EVENT *e = f->events[i];
        if (e->event_type == TABLE_MAP_EVENT) map = e;
        if (e->event_type == XID_EVENT) t.transactions++;
        if (!IS_ROW_EVENT(e)) continue;
        MARIADB_RPL_ROW *row = mariadb_rpl_extract_rows(rpl, map, e);
        if (!row) {
            fprintf(stderr, "libmariadb: %s\n", mariadb_rpl_error(rpl));
            exit(1);
        }
        for (; row; row = row->next)
            t.rows++;
    }
    t.seconds = cpu_now() - start;
    return t;
}

static int peer(char **argv)
{
    Tally best = {0};
    for (unsigned i = 0; i < REPEATS; i++) {
        MYSQL *mysql = mysql_init(NULL);
        MARIADB_RPL *rpl = NULL;
        Fetched f = {0};
        if (!mysql_real_connect(mysql, NULL, argv[1], argv[2], NULL, 0, argv[0], 0) ||
            mysql_query(mysql, "SET @master_binlog_checksum = 'NONE', @mariadb_slave_capability = 4") ||
            !fetch_all(mysql, argv[3], &rpl, &f)) {
            fprintf(stderr, "libmariadb: %s %s\n", mysql_error(mysql), rpl ? mariadb_rpl_error(rpl) : "");
            return 1;
        }
        Tally t = extract(rpl, &f);
        if (i == 0 || t.seconds < best.seconds) best = t;
        for (size_t k = 0; k < f.n; k++)
            mariadb_free_rpl_event(f.events[k]);
        free(f.events);
        mariadb_rpl_close(rpl);
        mysql_close(mysql);
    }
    report("peer", &best);
    return 0;
}

int main(int argc, char **argv)
{
    uint64_t rounds;
    if (argc == 6 && strcmp(argv[1], "--peer") == 0) return peer(argv + 2);
    if ((argc == 3 || argc == 4) && str_to_u64(str_of(argv[2]), &rounds) && rounds > 0 && rounds < 100000)
        return ours(argv[1], (unsigned)rounds, argv[3]);
    fprintf(stderr,
            "usage: bench_decode FILE ROUNDS [DEPTH] | bench_decode --peer SOCKET USER PASSWORD NAME\n");
    return 2;
}
