#include "apply/remap_want.h"
#include <stdlib.h>
#include "apply/rowbulk.h"
#include "apply/rowsql.h"
#include "random.h"
#include "decode/row.h"
#include "track/keyplan.h"
#include "track/tables.h"
#include "unit.h"

/* id int PRIMARY KEY, remapped; parent bigint unsigned, of the same map, 0 stays 0; v int. */
static const Col columns[] = {INT_("id"),
                              {.name = "parent",
                               .type = "bigint(20) unsigned",
                               .wire = COLTYPE_LONGLONG,
                               .is_unsigned = true,
                               .null = true},
                              INT_("v")};
static const char *const primary[] = {"PRIMARY:id", NULL};

typedef struct Mapped {
    KeySpace space;
    TableSchema *target_schema, *schema;
    Target *target;
    Member member;
    KeyColumn key_columns[2];
    MemberKeys keys;
    Binding *binding;
} Mapped;

/* id_type: of the target's id. */
static Mapped *mapped_new(uint32_t space, const char *target, const char *id_type)
{
    Mapped *m = mem_zalloc(sizeof *m);
    Col target_columns[] = {columns[0], columns[1], columns[2]};
    Err err = {0};
    target_columns[0].type = id_type;
    target_columns[0].is_unsigned = strstr(id_type, "unsigned") != NULL;
    m->target_schema = table(target, COLS(target_columns), primary);
    m->schema = table("shard", COLS(columns), primary);
    ck_assert_msg(target_new(space, m->target_schema, &m->target, &err), "%s", err.message);
    m->space = (KeySpace){.id = space,
                          .source = STR("s1"),
                          .shard = m->schema->name,
                          .target = m->target_schema->name,
                          .column = STR("id")};
    KeyRewrite r = {
        .multiply = 1, .low = INT64_MIN, .high = INT64_MAX, .strategy = "remap", .space = &m->space};
    m->key_columns[0] = (KeyColumn){.column = STR("id"), .rewrite = r};
    r.keep_zero = true;
    m->key_columns[1] = (KeyColumn){.column = STR("parent"), .rewrite = r, .is_reference = true};
    m->keys = (MemberKeys){.strategy = KEY_STRATEGY_REMAP, .columns = m->key_columns, .n_columns = 2};
    m->member = (Member){.id = space, .name = m->schema->name, .target = m->target};
    target_choose_row_key(m->target, m->schema, &m->keys);
    BindOpts opts = {.source_flavor = FLAVOR_MARIADB, .keys = &m->keys};
    ck_assert_msg(binding_new(&m->member, map_of(m->schema, columns), m->schema, &opts, &m->binding, &err),
                  "%s", err.message);
    return m;
}

static void mapped_free(Mapped *m)
{
    binding_free(m->binding);
    target_free(m->target);
    schema_free(m->schema);
    schema_free(m->target_schema);
    free(m);
}

/* parent NULL: SQL NULL. */
static RowImage row(Txn *t, int32_t id, const uint64_t *parent, int32_t v)
{
    static const uint8_t all[] = {7};
    uint8_t bytes[1 + 4 + 8 + 4], *p = bytes;
    *p++ = parent ? 0 : 2;
    memcpy(p, &id, 4), p += 4;
    if (parent) memcpy(p, parent, 8), p += 8;
    memcpy(p, &v, 4), p += 4;
    return (RowImage){
        .bytes = arena_str(&t->arena, str_make(bytes, (size_t)(p - bytes))), .present = all, .full = true};
}

static void ops_of(Txn *t, const RowOp *ops, size_t n)
{
    t->ops = arena_array(&t->arena, RowOp, n);
    memcpy(t->ops, ops, n * sizeof *ops);
    t->n_ops = n;
}

/* Numbers from 1 by the order of the entries. */
static size_t give(RemapWants *w, RemapEntry **entries)
{
    size_t n = remap_wants_entries(w, entries);
    for (size_t i = 0; i < n; i++)
        (*entries)[i].new_id = i + 1;
    remap_wants_fill(w, *entries, n);
    return n;
}

START_TEST(wants_of_rows)
{
    Mapped *m = mapped_new(0, "merged", "bigint(20)");
    Txn *t = txn_new();
    uint64_t zero = 0, seven = 7, huge = UINT64_MAX;
    RowOp ops[] = {{.binding = m->binding, .kind = ROW_INSERT, .after = row(t, 7, NULL, 1)},
                   {.binding = m->binding,
                    .kind = ROW_UPDATE,
                    .before = row(t, -1, &zero, 1),
                    .after = row(t, 0, &seven, 1)},
                   {.binding = m->binding, .kind = ROW_DELETE, .before = row(t, 7, &huge, 1)}};
    ck_assert_uint_eq(m->binding->n_mapped, 2);
    ops_of(t, ops, 3);
    RemapWants w = {0};
    RemapEntry *e;
    remap_wants_add(&w, t);
    ck_assert(!t->has_ids);
    size_t n = give(&w, &e);
    /* -1, 0, 7, 2^64-1: a 0 of a reference and a NULL are no ids */
    ck_assert_uint_eq(n, 4);
    ck_assert(e[0].old.negative && e[1].old.value == 0 && e[2].old.value == 7 &&
              e[3].old.value == UINT64_MAX && !e[3].old.negative);
    ck_assert(t->ops[0].after.ids[0] == 3 && t->ops[0].after.ids[1] == 0);
    ck_assert(t->ops[1].before.ids[0] == 1 && t->ops[1].before.ids[1] == 0);
    ck_assert(t->ops[1].after.ids[0] == 2 && t->ops[1].after.ids[1] == 3);
    ck_assert(t->ops[2].before.ids[0] == 3 && t->ops[2].before.ids[1] == 4);
    ck_assert(t->ops[0].before.ids == NULL && t->ops[2].after.ids == NULL);
    ck_assert(remap_entry_find(e, n, false, 7) == &e[2] && remap_entry_find(e, n, true, UINT64_MAX) == &e[0]);
    ck_assert(remap_entry_find(e, n, false, 8) == NULL);
    free(e);
    remap_wants_done(&w);
    txn_free(t);
    mapped_free(m);
}
END_TEST

/* A transaction whose ids could not be had asks again, as often as it takes, and no answer of before counts.
 */
START_TEST(asked_again)
{
    Mapped *m = mapped_new(0, "merged", "bigint(20)");
    Txn *t = txn_new();
    uint64_t zero = 0, seven = 7;
    RowOp ops[] = {{.binding = m->binding,
                    .kind = ROW_UPDATE,
                    .before = row(t, 3, &seven, 1),
                    .after = row(t, 4, &zero, 1)}};
    ops_of(t, ops, 1);
    const uint64_t *before = NULL, *after = NULL;
    for (unsigned attempt = 0; attempt < 3; attempt++) {
        RemapWants w = {0};
        RemapEntry *e;
        remap_wants_add(&w, t);
        ck_assert_uint_eq(w.n, 3);
        const RowOp *op = &t->ops[0];
        ck_assert(op->before.ids[0] == 0 && op->before.ids[1] == 0);
        ck_assert(op->after.ids[0] == 0 && op->after.ids[1] == 0);
        if (attempt) ck_assert_msg(op->before.ids == before && op->after.ids == after, "memory grows");
        before = op->before.ids;
        after = op->after.ids;
        ck_assert_uint_eq(give(&w, &e), 3);
        ck_assert(op->before.ids[0] == 1 && op->before.ids[1] == 3);
        ck_assert(op->after.ids[0] == 2 && op->after.ids[1] == 0);
        free(e);
        remap_wants_done(&w);
    }
    txn_free(t);
    mapped_free(m);
}
END_TEST

/* Random rows of several shard tables and targets: one new id for each id, another for another; entries stand
 * by target and shard table, in the order of the old ids. */
START_TEST(one_for_each)
{
    enum { TABLES = 4, ROWS = 3000 };
    Random random = {20261122};
    Mapped *m[TABLES];
    for (uint32_t i = 0; i < TABLES; i++)
        m[i] = mapped_new(i, i % 2 ? "one" : "two", "bigint(20)");
    Txn *t = txn_new();
    t->ops = arena_array(&t->arena, RowOp, ROWS);
    t->n_ops = ROWS;
    for (size_t i = 0; i < ROWS; i++) {
        uint64_t parent = random_below(&random, 300);
        t->ops[i] = (RowOp){.binding = m[random_below(&random, TABLES)]->binding,
                            .kind = ROW_INSERT,
                            .after = row(t, (int32_t)random_below(&random, 600) - 300,
                                         random_below(&random, 5) ? &parent : NULL, 0)};
    }
    RemapWants w = {0};
    RemapEntry *e;
    remap_wants_add(&w, t);
    size_t n = give(&w, &e);
    for (size_t i = 1; i < n; i++) {
        const RemapEntry *a = &e[i - 1], *b = &e[i];
        int by_target = str_cmp(a->space->target.table, b->space->target.table);
        bool after = by_target < 0 || (by_target == 0 && a->space->id < b->space->id) ||
                     (a->space == b->space && (int64_t)a->old.value < (int64_t)b->old.value);
        ck_assert_msg(after, "entry %zu", i);
    }
    for (size_t i = 0; i < ROWS; i++) {
        const RowOp *op = &t->ops[i];
        int32_t id;
        memcpy(&id, op->after.bytes.ptr + 1, sizeof id);
        uint64_t new_id = op->after.ids[0];
        ck_assert(new_id >= 1 && new_id <= n);
        ck_assert_int_eq((int64_t)e[new_id - 1].old.value, id);
        ck_assert_ptr_eq(e[new_id - 1].space, op->binding->columns[0].rewrite->space);
    }
    free(e);
    remap_wants_done(&w);
    txn_free(t);
    for (uint32_t i = 0; i < TABLES; i++)
        mapped_free(m[i]);
}
END_TEST

START_TEST(rows_are_written_with_new_ids)
{
    Mapped *m = mapped_new(0, "merged", "bigint(20)");
    Txn *t = txn_new();
    uint64_t zero = 0, seven = 7;
    RowOp ops[] = {{.binding = m->binding,
                    .kind = ROW_UPDATE,
                    .before = row(t, -1, &zero, 1),
                    .after = row(t, 5, &seven, 2)}};
    ops_of(t, ops, 1);
    RemapWants w = {0};
    RemapEntry *e;
    StrBuf sql = {0};
    Err err = {0};
    remap_wants_add(&w, t);
    give(&w, &e);
    ck_assert(rowsql_update_one(&sql, &t->ops[0], &t->ops[0].after, &err));
    ck_assert_str_eq(sql.ptr, "UPDATE `db`.`merged` SET `id`=2,`parent`=3,`v`=2 WHERE `id`=1");
    sb_clear(&sql);
    ck_assert(rowsql_image_json(m->binding, &t->ops[0].before, &sql, &err));
    ck_assert_msg(strstr(sql.ptr, "\"id\":\"-1\"") != NULL, "%s", sql.ptr); /* on record it is the shard's */
    sb_done(&sql);
    free(e);
    remap_wants_done(&w);
    txn_free(t);
    mapped_free(m);
}
END_TEST

START_TEST(beyond_the_columns_type)
{
    static const struct {
        const char *type;
        uint64_t high;
    } cases[] = {{"tinyint(4)", 127},       {"tinyint(3) unsigned", 255},
                 {"smallint(6)", 32767},    {"mediumint(9)", 8388607},
                 {"int(11)", 2147483647},   {"int(10) unsigned", 4294967295U},
                 {"bigint(20)", INT64_MAX}, {"bigint(20) unsigned", INT64_MAX}};
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        Mapped *m = mapped_new(0, "merged", cases[i].type);
        Txn *t = txn_new();
        RowOp ops[] = {{.binding = m->binding, .kind = ROW_INSERT, .after = row(t, 1, NULL, 1)}};
        uint64_t ids[2] = {cases[i].high, 0};
        StrBuf sql = {0};
        RowBulk bulk = {0};
        Err err = {0};
        ck_assert_uint_eq(m->binding->columns[0].rewrite->high, cases[i].high);
        ops_of(t, ops, 1);
        t->ops[0].after.ids = ids;
        ck_assert(rowsql_insert_one(&sql, &t->ops[0], &err));
        ck_assert(rowbulk_plan(&bulk, m->binding) && rowbulk_add(&sql, &bulk, &t->ops[0].after, &err));
        ids[0]++;
        ck_assert(!rowsql_insert_one(&sql, &t->ops[0], &err) && err.code == ERR_KEY_RANGE);
        err_clear(&err);
        ck_assert(!rowbulk_add(&sql, &bulk, &t->ops[0].after, &err) && err.code == ERR_KEY_RANGE);
        err_clear(&err);
        rowbulk_done(&bulk);
        sb_done(&sql);
        txn_free(t);
        mapped_free(m);
    }
}
END_TEST

/* The write set knows which rows meet without asking for the new ids: equal hashes where shard table and id
 * are equal. */
START_TEST(write_set_keys)
{
    Mapped *m[2] = {mapped_new(0, "merged", "bigint(20)"), mapped_new(1, "merged", "bigint(20)")};
    static const int32_t ids[] = {-2, -1, 0, 1, 2, 300};
    uint64_t hash[2][ARRAY_LEN(ids)];
    Txn *t = txn_new();
    KeySink sink = {.arena = &t->arena};
    /* one target, as both shard tables see it */
    m[1]->binding->target = m[0]->target;
    keyplan_build(m[1]->binding, &t->arena);
    for (int s = 0; s < 2; s++)
        for (size_t i = 0; i < ARRAY_LEN(ids); i++) {
            RowOp op = {.binding = m[s]->binding, .kind = ROW_INSERT, .after = row(t, ids[i], NULL, 1)};
            Field fields[3];
            row_fields(m[s]->binding->map, op.after.present, op.after.bytes, fields);
            keyhash_row(&op, NULL, fields, &sink);
            ck_assert(!op.exclusive && op.row_hash_after);
            hash[s][i] = op.row_hash_after;
        }
    for (size_t a = 0; a < 2 * ARRAY_LEN(ids); a++)
        for (size_t b = 0; b < a; b++)
            ck_assert_uint_ne(((uint64_t *)hash)[a], ((uint64_t *)hash)[b]);
    txn_free(t);
    mapped_free(m[0]);
    mapped_free(m[1]);
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("apply/remap_want");
    TCase *t = tcase_create("want");
    tcase_add_test(t, wants_of_rows);
    tcase_add_test(t, asked_again);
    tcase_add_test(t, one_for_each);
    tcase_add_test(t, rows_are_written_with_new_ids);
    tcase_add_test(t, beyond_the_columns_type);
    tcase_add_test(t, write_set_keys);
    suite_add_tcase(s, t);
    return s;
}

UNIT_MAIN(suite)
