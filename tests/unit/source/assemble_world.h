/* An assembler with two routed tables (db.a → m.a, db.b → m.b), one that is filtered (db.x, and all of
 * other.*), and everything it delivers in a list. */
#ifndef SM_TESTS_ASSEMBLE_WORLD_H
#define SM_TESTS_ASSEMBLE_WORLD_H

#include "unit.h"
#include <malloc.h>
#include <stdio.h>
#include <unistd.h>
#include <zlib.h>
#include "decode/row.h"
#include "event_writer.h"
#include "model/schema.h"
#include "source/assemble.h"
#include "track/bind.h"

enum { WORLD_TABLES = 2 };

typedef struct World {
    EventWriter w;
    AssembleOpts opts;
    Assembler *a;
    Budget budget;
    char dir[64];
    TableSchema *schemas[WORLD_TABLES]; /* of the targets */
    TableSchema *members[WORLD_TABLES]; /* of the shard tables */
    Target *targets[WORLD_TABLES];
    Member member[WORLD_TABLES];
    Arena maps; /* copies of table maps that bindings keep */
    Binding *bindings[16];
    size_t n_bindings;
    Txn **txns;
    size_t n_txns;
    unsigned resolved, noted;
    bool keep;   /* false: a delivered transaction is freed at once, like an applier would */
    bool refuse; /* deliver says stop */
    bool resolve_fails;
    bool a_exists;
    size_t most_bytes; /* largest arena delivered */
    size_t most_heap;  /* most heap in use at a delivery */
    uint64_t rows, pieces;
    Err err;
} World;

static inline TableSchema *world_schema(const char *schema, const char *table)
{
    TableSchema *s = mem_zalloc(sizeof *s);
    s->name = (TableName){arena_str(&s->arena, str_of(schema)), arena_str(&s->arena, str_of(table))};
    s->n_columns = 2;
    s->columns = arena_array(&s->arena, ColumnDef, 2);
    s->columns[0] = (ColumnDef){
        .name = STR("id"), .data_type = STR("int"), .column_type = STR("int(11)"), .not_null = true};
    s->columns[1] = (ColumnDef){.name = STR("v"),
                                .data_type = STR("varchar"),
                                .column_type = STR("varchar(20)"),
                                .char_length = 20,
                                .charset = STR("utf8mb4"),
                                .collation = STR("utf8mb4_general_ci"),
                                .default_kind = DEFAULT_NULL};
    s->n_keys = 1;
    s->keys = arena_array(&s->arena, KeyDef, 1);
    s->keys[0] = (KeyDef){
        .name = STR("PRIMARY"), .primary = true, .unique = true, .index_type = STR("BTREE"), .n_parts = 1};
    s->keys[0].parts = arena_array(&s->arena, KeyPart, 1);
    s->engine = STR("InnoDB");
    s->collation = STR("utf8mb4_general_ci");
    return s;
}

static inline bool world_routed(void *ctx, uint32_t source, TableName n)
{
    (void)ctx;
    ck_assert_uint_eq(source, 3);
    return str_eqc(n.schema, "db") &&
           (str_eqc(n.table, "a") || str_eqc(n.table, "b") || str_eqc(n.table, "größe"));
}

static inline bool world_schema_routed(void *ctx, uint32_t source, Str schema)
{
    (void)ctx;
    ck_assert_uint_eq(source, 3);
    return str_eqc(schema, "db");
}

static inline bool world_exists(void *ctx, uint32_t source, TableName n)
{
    World *world = ctx;
    (void)source;
    return world->a_exists && str_eqc(n.table, "a");
}

static inline bool world_resolve(void *ctx, uint32_t source, const TableMap *map, const Binding **binding,
                                 Err *err)
{
    World *world = ctx;
    world->resolved++;
    *binding = NULL;
    if (world->resolve_fails) return err_set(err, ERR_TRACK_MISMATCH, "told to fail");
    if (!world_routed(ctx, source, map->name)) return true;
    for (size_t k = 0; k < world->n_bindings; k++) {
        if (!str_eq(world->bindings[k]->map->body, map->body)) continue;
        *binding = world->bindings[k];
        return true;
    }
    size_t i = str_eqc(map->name.table, "b");
    TableMap *kept = arena_new(&world->maps, TableMap);
    *kept = *map;
    kept->body = arena_str(&world->maps, map->body);
    kept->name =
        (TableName){arena_str(&world->maps, map->name.schema), arena_str(&world->maps, map->name.table)};
    kept->columns = arena_alloc(&world->maps, map->n_columns * sizeof *kept->columns);
    memcpy(kept->columns, map->columns, map->n_columns * sizeof *kept->columns);
    BindOpts opts = {.source_flavor = world->opts.flavor};
    ck_assert_uint_lt(world->n_bindings, ARRAY_LEN(world->bindings));
    if (!binding_new(&world->member[i], kept, world->members[i], &opts, &world->bindings[world->n_bindings],
                     err))
        return false;
    *binding = world->bindings[world->n_bindings++];
    return true;
}

static inline void world_free_txn(World *world, Txn *t)
{
    budget_give(&world->budget, t->budget_bytes);
    txn_free(t);
}

static inline bool world_deliver(void *ctx, Txn *t)
{
    World *world = ctx;
    struct mallinfo2 heap = mallinfo2();
    world->most_heap = MAX(world->most_heap, heap.uordblks + heap.hblkhd);
    world->most_bytes = MAX(world->most_bytes, t->arena.bytes);
    if (world->refuse) return false;
    ck_assert_uint_eq(t->budget_bytes, t->arena.bytes);
    ck_assert_uint_eq(t->source, 3);
    ck_assert_uint_eq(t->run, 9);
    world->rows += t->n_ops;
    world->pieces++;
    if (!world->keep) {
        world_free_txn(world, t);
        return true;
    }
    world->txns = mem_realloc(world->txns, (world->n_txns + 1) * sizeof(Txn *));
    world->txns[world->n_txns++] = t;
    return true;
}

static inline void world_note(void *ctx, uint32_t source, const char *what, Str text)
{
    (void)source;
    (void)what;
    (void)text;
    ((World *)ctx)->noted++;
}

static inline void world_forget(World *world)
{
    for (size_t i = 0; i < world->n_txns; i++)
        world_free_txn(world, world->txns[i]);
    world->n_txns = 0;
}

/* Closes the assembler and opens another from opts, at an empty point. */
static inline void world_reopen(World *world)
{
    assembler_free(world->a);
    world->a = assembler_new(&world->opts);
    StreamPoint from = {.flavor = world->opts.flavor, .server = str_dup(str_of(world->opts.server))};
    if (world->opts.use_gtid) from.gtids = gtidset_new(world->opts.flavor);
    assembler_set_point(world->a, &from);
    point_done(&from);
    bool maria = world->opts.flavor == FLAVOR_MARIADB;
    ew_done(&world->w);
    ew_init(&world->w, maria);
}

static inline void world_init(World *world, Flavor flavor, bool use_gtid)
{
    *world = (World){.keep = true};
    snprintf(world->dir, sizeof world->dir, "/tmp/test_assemble.XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(world->dir));
    budget_init(&world->budget, 1 << 30);
    for (uint32_t i = 0; i < WORLD_TABLES; i++) {
        const char *name = i ? "b" : "a";
        world->schemas[i] = world_schema("m", name);
        world->members[i] = world_schema("db", name);
        ck_assert(target_new(i, world->schemas[i], &world->targets[i], &world->err));
        world->member[i] =
            (Member){.id = i, .source = 3, .name = world->members[i]->name, .target = world->targets[i]};
    }
    world->opts = (AssembleOpts){
        .source = 3,
        .run = 9,
        .source_id = "shard-3",
        .server = "server-1",
        .flavor = flavor,
        .use_gtid = use_gtid,
        .spill_dir = world->dir,
        .spill_bytes = 1 << 20,
        .split_rows = 1000,
        .budget = &world->budget,
        .hooks = {.ctx = world,
                  .resolve = world_resolve,
                  .routed = world_routed,
                  .schema_routed = world_schema_routed,
                  .deliver = world_deliver,
                  .exists = world_exists,
                  .note = world_note},
    };
    world_reopen(world);
}

static inline void world_done(World *world)
{
    world_forget(world);
    free(world->txns);
    assembler_free(world->a);
    ck_assert_uint_eq(budget_used(&world->budget), 0);
    budget_done(&world->budget);
    for (size_t i = 0; i < world->n_bindings; i++)
        binding_free(world->bindings[i]);
    for (size_t i = 0; i < WORLD_TABLES; i++) {
        target_free(world->targets[i]);
        schema_free(world->schemas[i]);
        schema_free(world->members[i]);
    }
    arena_done(&world->maps);
    ew_done(&world->w);
    err_clear(&world->err);
    ck_assert_int_eq(rmdir(world->dir), 0); /* no spill file is left */
}

/* The event must be taken. */
static inline void feed(World *world, const RawEvent *ev)
{
    bool ok = assembler_event(world->a, &world->w.fmt, ev, &world->err);
    ck_assert_msg(ok, "%s event: %s", event_type_name(ev->header.type), world->err.message);
}

/* The event must be refused with that code, naming source, file and position; nothing is delivered for it. */
static inline void feed_fails(World *world, const RawEvent *ev, ErrCode code)
{
    size_t before = world->n_txns;
    char place[100];
    snprintf(place, sizeof place, "source shard-3, bin.000001:%llu", (unsigned long long)ev->start_pos);
    bool ok = assembler_event(world->a, &world->w.fmt, ev, &world->err);
    ck_assert_msg(!ok, "%s event was taken", event_type_name(ev->header.type));
    ck_assert_msg(world->err.code == code, "want %s, got %s: %s", err_code_name(code),
                  err_code_name(world->err.code), world->err.message);
    ck_assert_msg(strstr(world->err.message, place) != NULL, "%s has not %s", world->err.message, place);
    ck_assert_uint_eq(world->n_txns, before);
    ck_assert(!assembler_in_transaction(world->a));
    err_clear(&world->err);
}

/* n rows of one kind in one event, ids from `id` on; updates keep the id and change v. */
static inline void feed_rows(World *world, unsigned type, uint64_t table_id, uint32_t id, unsigned n,
                             unsigned flags)
{
    StrBuf rows = {0};
    for (unsigned i = 0; i < n; i++) {
        char v[32];
        snprintf(v, sizeof v, "v%u", (unsigned)(id + i));
        ew_image(&rows, FULL_ROW, id + i, v);
        if (type == EVENT_UPDATE_ROWS_V1 || type == EVENT_UPDATE_ROWS_V2)
            ew_image(&rows, FULL_ROW, id + i, "new");
    }
    feed(world, ew_rows(&world->w, type, table_id, flags, FULL_ROW, FULL_ROW, sb_view(&rows)));
    sb_done(&rows);
}

/* TABLE_MAP and an INSERT of n rows as one statement. */
static inline void feed_insert(World *world, uint64_t table_id, const char *table, uint32_t id, unsigned n)
{
    feed(world, ew_table_map(&world->w, table_id, "db", table));
    feed_rows(world, EVENT_WRITE_ROWS_V2, table_id, id, n, END_OF_STATEMENT);
}

/* The id in an image. */
static inline uint32_t image_id(const RowOp *op, const RowImage *image)
{
    Field fields[2];
    row_fields(op->binding->map, image->present, image->bytes, fields);
    ck_assert_int_eq(fields[0].state, FIELD_VALUE);
    Reader r = reader_of(str_make(fields[0].ptr, fields[0].len));
    return reader_u32(&r);
}

#endif
