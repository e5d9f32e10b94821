/* Two shard tables of one target, their rows as images, and transactions of them:
 *   k varchar(5) PRIMARY KEY, compared without case; u int UNIQUE or not; v int */
#ifndef SM_TESTS_APPLY_SHARDS_H
#define SM_TESTS_APPLY_SHARDS_H

#include "decode/row.h"
#include "model/txn.h"
#include "track/tables.h"

enum { NO_U = -1, ROW_COLUMNS = 3 };

typedef struct Row {
    char k[6];
    int u; /* NO_U: NULL */
    int v;
} Row;

typedef struct Shards {
    World *w; /* the first shard table, and the target */
    TableSchema *second_schema;
    Member second_member;
    Binding *second;
} Shards;

static const Col shards_columns[] = {
    VARCHAR_("k", 5, "utf8mb4_general_ci", 20),
    {.name = "u", .type = "int(11)", .wire = COLTYPE_LONG, .null = true},
    INT_("v"),
};

static inline Shards *shards_new(bool u_is_unique)
{
    static const char *const one[] = {"PRIMARY:k", NULL}, *const two[] = {"PRIMARY:k", "u:u", NULL};
    const char *const *keys = u_is_unique ? two : one;
    Shards *s = mem_zalloc(sizeof *s);
    Err err = {0};
    s->w = world(COLS(shards_columns), keys, COLS(shards_columns), keys);
    s->second_schema = table("shard2", COLS(shards_columns), keys);
    s->second_member = (Member){.id = 2, .name = s->second_schema->name, .target = s->w->target};
    BindOpts opts = {.source_flavor = FLAVOR_MARIADB};
    bool ok = binding_new(&s->second_member, map_of(s->second_schema, shards_columns), s->second_schema,
                          &opts, &s->second, &err);
    ck_assert_msg(ok, "%s", err.message);
    return s;
}

static inline void shards_free(Shards *s)
{
    binding_free(s->second);
    schema_free(s->second_schema);
    world_free(s->w);
    free(s);
}

static inline const Binding *shards_binding(const Shards *s, unsigned shard)
{
    return shard ? s->second : s->w->binding;
}

/* present: bit i = column i is in the image. */
static inline RowImage row_image(Arena *a, const Row *r, uint8_t present)
{
    StrBuf b = {0};
    unsigned n = 0, nulls = 0;
    sb_ch(&b, 0);
    if (present & 1) {
        sb_ch(&b, (char)strlen(r->k));
        sb_c(&b, r->k);
        n++;
    }
    if (present & 2) {
        if (r->u == NO_U)
            nulls |= 1u << n;
        else
            sb_add(&b, &r->u, 4);
        n++;
    }
    if (present & 4) sb_add(&b, &r->v, 4);
    b.ptr[0] = (char)nulls;
    RowImage image = {.bytes = arena_str(a, sb_view(&b)), .full = present == 7};
    uint8_t *bits = arena_alloc(a, 1);
    *bits = present;
    image.present = bits;
    sb_done(&b);
    return image;
}

enum { TXN_OPS = 32 };

static inline Txn *shards_txn(void)
{
    Txn *t = txn_new();
    t->ops = arena_array(&t->arena, RowOp, TXN_OPS);
    return t;
}

/* Adds a row change with its write set, as the assembler does; before, after: NULL where the kind has none.
 */
static inline RowOp *shards_op(const Shards *s, Txn *t, unsigned shard, const Row *before, const Row *after)
{
    ck_assert_uint_lt(t->n_ops, TXN_OPS);
    RowOp *op = &t->ops[t->n_ops++];
    Field was[ROW_COLUMNS], is[ROW_COLUMNS];
    KeySink sink = {.arena = &t->arena, .keys = t->keys, .n = t->n_keys, .cap = t->n_keys};
    *op = (RowOp){.binding = shards_binding(s, shard),
                  .kind = !before ? ROW_INSERT
                          : after ? ROW_UPDATE
                                  : ROW_DELETE};
    if (before) op->before = row_image(&t->arena, before, 7);
    if (after) op->after = row_image(&t->arena, after, 7);
    if (before) row_fields(op->binding->map, op->before.present, op->before.bytes, was);
    if (after) row_fields(op->binding->map, op->after.present, op->after.bytes, is);
    keyhash_row(op, before ? was : NULL, after ? is : NULL, &sink);
    t->keys = sink.keys;
    t->n_keys = sink.n;
    return op;
}

static inline Row row_of(const Binding *b, const RowImage *image)
{
    Field f[ROW_COLUMNS];
    Row r = {.u = NO_U};
    row_fields(b->map, image->present, image->bytes, f);
    memcpy(r.k, f[0].ptr, f[0].len);
    if (f[1].state == FIELD_VALUE) memcpy(&r.u, f[1].ptr, 4);
    memcpy(&r.v, f[2].ptr, 4);
    return r;
}

#endif
