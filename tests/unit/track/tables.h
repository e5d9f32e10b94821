/* Small tables for tests: definitions and table maps from lists of columns. */
#ifndef SM_TESTS_TRACK_TABLES_H
#define SM_TESTS_TRACK_TABLES_H

#include <check.h>
#include <stdlib.h>
#include "model/charset.h"
#include "track/bind.h"
#include "track/keyhash.h"

/* A column as tests write it; what is left out is 0. */
typedef struct Col {
    const char *name, *type; /* COLUMN_TYPE */
    uint8_t wire;
    uint16_t meta;
    const char *collation;
    bool null, is_unsigned, generated, auto_increment, on_update;
    uint64_t length;
    uint32_t precision, scale, fsp;
    const char *default_text; /* literal */
    const char *members[4];
} Col;

/* "PRIMARY:a,b" or "uk:c(10)"; a leading '-' = not unique. */
static inline void add_key(TableSchema *s, const char *spec)
{
    KeyDef *k = &s->keys[s->n_keys++];
    Str rest = str_of(spec);
    k->unique = rest.ptr[0] != '-';
    if (!k->unique) rest = (Str){rest.ptr + 1, rest.len - 1};
    k->name = arena_str(&s->arena, str_split(&rest, ':'));
    k->primary = str_eqc(k->name, "PRIMARY");
    k->index_type = STR("BTREE");
    k->parts = arena_array(&s->arena, KeyPart, 8);
    while (rest.len) {
        Str part = str_split(&rest, ','), name = str_split(&part, '(');
        KeyPart *p = &k->parts[k->n_parts++];
        uint64_t prefix = 0;
        if (part.len) ck_assert(str_to_u64((Str){part.ptr, part.len - 1}, &prefix));
        p->prefix = (uint32_t)prefix;
        p->column = schema_column(s, name);
    }
}

static inline TableSchema *table(const char *name, const Col *cols, size_t n, const char *const *keys)
{
    TableSchema *s = mem_zalloc(sizeof *s);
    s->name = (TableName){STR("db"), arena_str(&s->arena, str_of(name))};
    s->engine = STR("InnoDB");
    s->collation = STR("utf8mb4_bin");
    s->n_columns = (uint32_t)n;
    s->columns = arena_array(&s->arena, ColumnDef, n);
    for (size_t i = 0; i < n; i++) {
        ColumnDef *c = &s->columns[i];
        Str type = str_of(cols[i].type);
        size_t end = 0;
        while (end < type.len && ((type.ptr[end] >= 'a' && type.ptr[end] <= 'z') ||
                                  (type.ptr[end] >= '0' && type.ptr[end] <= '9')))
            end++;
        *c = (ColumnDef){.name = str_of(cols[i].name),
                         .data_type = {type.ptr, end},
                         .column_type = type,
                         .is_unsigned = cols[i].is_unsigned,
                         .not_null = !cols[i].null,
                         .generated = cols[i].generated,
                         .auto_increment = cols[i].auto_increment,
                         .on_update_now = cols[i].on_update,
                         .char_length = cols[i].length,
                         .precision = cols[i].precision,
                         .scale = cols[i].scale,
                         .fsp = cols[i].fsp};
        c->default_kind = cols[i].default_text ? DEFAULT_LITERAL : cols[i].null ? DEFAULT_NULL : DEFAULT_NONE;
        c->default_text = str_of(cols[i].default_text);
        if (cols[i].collation) {
            const Collation *collation = charset_collation_by_name(str_of(cols[i].collation));
            ck_assert_msg(collation != NULL, "%s", cols[i].collation);
            c->collation = collation->name;
            c->charset = collation->charset->name;
        }
        Str *members = arena_array(&s->arena, Str, 4);
        for (size_t m = 0; m < 4 && cols[i].members[m]; m++)
            members[c->n_members++] = str_of(cols[i].members[m]);
        c->members = members;
    }
    s->keys = arena_array(&s->arena, KeyDef, 8);
    for (; keys && *keys; keys++)
        add_key(s, *keys);
    return s;
}

/* The map that a server would send for it, without names. */
static inline TableMap *map_of(TableSchema *s, const Col *cols)
{
    TableMap *m = arena_new(&s->arena, TableMap);
    m->name = s->name;
    m->n_columns = s->n_columns;
    m->columns = arena_array(&s->arena, MapColumn, s->n_columns + 4);
    for (uint32_t i = 0; i < s->n_columns; i++)
        m->columns[i] = (MapColumn){
            .type = cols[i].wire, .meta = cols[i].meta, .nullable = cols[i].null, .visible = true};
    return m;
}

#define COLS(a) (a), ARRAY_LEN(a)

/* Common columns. */
#define INT_(n)                                                                                              \
    {                                                                                                        \
        .name = (n), .type = "int(11)", .wire = COLTYPE_LONG                                                 \
    }
#define BIGINT_(n)                                                                                           \
    {                                                                                                        \
        .name = (n), .type = "bigint(20)", .wire = COLTYPE_LONGLONG                                          \
    }
#define VARCHAR_(n, len, coll, bytes)                                                                        \
    {                                                                                                        \
        .name = (n), .type = "varchar(" #len ")", .wire = COLTYPE_VARCHAR, .length = (len),                  \
        .collation = (coll), .meta = (bytes)                                                                 \
    }

/* A target, one shard table and their binding. */
typedef struct World {
    TableSchema *target_schema, *schema;
    Target *target;
    Member member;
    Binding *binding;
    Arena arena;
    KeySink sink;
} World;

static inline World *world(const Col *target, size_t n_target, const char *const *target_keys,
                           const Col *shard, size_t n_shard, const char *const *shard_keys)
{
    World *w = mem_zalloc(sizeof *w);
    Err err = {0};
    w->target_schema = table("merged", target, n_target, target_keys);
    w->schema = table("shard", shard, n_shard, shard_keys);
    ck_assert_msg(target_new(3, w->target_schema, &w->target, &err), "%s", err.message);
    w->member = (Member){.id = 1, .name = w->schema->name, .target = w->target};
    BindOpts opts = {.source_flavor = FLAVOR_MARIADB, .allow_keyless = true};
    ck_assert_msg(binding_new(&w->member, map_of(w->schema, shard), w->schema, &opts, &w->binding, &err),
                  "%s", err.message);
    w->sink.arena = &w->arena;
    return w;
}

static inline void world_free(World *w)
{
    binding_free(w->binding);
    target_free(w->target);
    schema_free(w->target_schema);
    schema_free(w->schema);
    arena_done(&w->arena);
    free(w);
}

#define V(bytes) ((Field){(const uint8_t *)(bytes), sizeof(bytes) - 1, FIELD_VALUE})
#define T(text) ((Field){(const uint8_t *)(text), (uint32_t)strlen(text), FIELD_VALUE})
#define NIL ((Field){NULL, 0, FIELD_NULL})
#define GONE ((Field){NULL, 0, FIELD_ABSENT})

static inline RowOp hash_row(World *w, RowKind kind, const Field *before, const Field *after)
{
    RowOp op = {.binding = w->binding, .kind = kind};
    keyhash_row(&op, before, after, &w->sink);
    return op;
}

/* Hash of the row key of an inserted row; 0: exclusive. */
static inline uint64_t hash_insert(World *w, const Field *row)
{
    RowOp op = hash_row(w, ROW_INSERT, NULL, row);
    ck_assert(op.exclusive == (op.row_hash_after == 0));
    ck_assert_uint_eq(op.row_hash_before, 0);
    return op.row_hash_after;
}

#endif
