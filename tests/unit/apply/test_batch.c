#include "apply/batch.h"
#include <strings.h>
#include "random.h"
#include "shards.h"
#include "unit.h"

#define ROW(k_, u_, v_) (&(Row){k_, u_, v_})

/* What a batch of these operations, in one transaction, comes down to. */
typedef struct Made {
    Shards *s;
    Txn *t;
    Batch b;
} Made;

static Made *made(bool u_is_unique)
{
    Made *m = mem_zalloc(sizeof *m);
    m->s = shards_new(u_is_unique);
    m->t = shards_txn();
    return m;
}

static void op(Made *m, unsigned shard, const Row *before, const Row *after)
{
    (void)shards_op(m->s, m->t, shard, before, after);
}

/* kinds: one letter an operation, I U D, with '<' where a level ends. */
static void expect(Made *m, const char *kinds)
{
    char got[64] = "";
    size_t n = 0;
    batch_add(&m->b, m->t);
    batch_sort(&m->b);
    for (size_t i = 0; i < m->b.n_ops; i++) {
        if (i && m->b.ops[i].level != m->b.ops[i - 1].level) got[n++] = '<';
        got[n++] = "IUD"[m->b.ops[i].kind];
    }
    ck_assert_str_eq(got, kinds);
    ck_assert_uint_eq(m->b.n_changes, m->t->n_ops);
    batch_done(&m->b);
    txn_free(m->t);
    shards_free(m->s);
    free(m);
}

START_TEST(levels_follow_shared_keys)
{
    Made *m = made(true);
    op(m, 0, NULL, ROW("a", 1, 0));
    op(m, 0, NULL, ROW("b", 2, 0));
    op(m, 0, ROW("b", 2, 0), ROW("b", 3, 0)); /* its key changes */
    op(m, 1, NULL, ROW("c", 2, 0));           /* takes what was freed */
    op(m, 0, ROW("x", 9, 0), NULL);
    op(m, 0, ROW("y", 8, 0), ROW("y", 8, 1));
    expect(m, "DUII<U<I");
}
END_TEST

START_TEST(changes_of_one_row_fold)
{
    Made *m = made(true);
    op(m, 0, NULL, ROW("a", 1, 0));
    op(m, 0, ROW("a", 1, 0), ROW("a", 1, 1));
    op(m, 0, ROW("a", 1, 1), ROW("a", 1, 2));
    op(m, 0, ROW("b", 2, 0), ROW("b", 2, 1));
    op(m, 0, ROW("b", 2, 1), NULL);
    batch_add(&m->b, m->t);
    ck_assert_uint_eq(m->b.n_ops, 2);
    ck_assert_int_eq(row_of(m->s->w->binding, &m->b.ops[0].after).v, 2);
    ck_assert_int_eq(m->b.ops[1].kind, ROW_DELETE);
    batch_clear(&m->b);
    expect(m, "DI");
}
END_TEST

/* An INSERT must still meet the row of another shard, though its own row is gone again. */
START_TEST(insert_and_delete_never_fold)
{
    Made *m = made(true);
    op(m, 0, NULL, ROW("a", 1, 0));
    op(m, 0, ROW("a", 1, 0), NULL);
    expect(m, "I<D");
    m = made(true);
    op(m, 0, NULL, ROW("a", 1, 0));
    op(m, 0, ROW("a", 1, 0), ROW("a", 1, 1));
    op(m, 0, ROW("a", 1, 1), NULL);
    expect(m, "I<D");
}
END_TEST

START_TEST(other_shard_tables_never_fold)
{
    Made *m = made(false);
    op(m, 0, NULL, ROW("a", 1, 0));
    op(m, 1, ROW("a", 1, 0), ROW("a", 1, 1));
    expect(m, "I<U");
    m = made(false);
    op(m, 0, ROW("a", 1, 0), NULL);
    op(m, 1, NULL, ROW("a", 1, 0));
    expect(m, "D<I");
}
END_TEST

START_TEST(changed_keys_never_fold)
{
    Made *m = made(true);
    op(m, 0, NULL, ROW("a", 1, 0));
    op(m, 0, ROW("a", 1, 0), ROW("a", 2, 0));
    op(m, 0, ROW("a", 2, 0), ROW("a", 2, 1));
    op(m, 0, ROW("a", 2, 1), NULL);
    expect(m, "I<U<D"); /* the last two are one */
    m = made(true);
    op(m, 0, ROW("a", 1, 0), ROW("b", 1, 0));
    op(m, 0, ROW("b", 1, 0), NULL);
    expect(m, "U<D");
}
END_TEST

/* Equal hashes, other bytes. */
START_TEST(keys_equal_but_for_case_never_fold)
{
    Made *m = made(true);
    op(m, 0, NULL, ROW("a", 1, 0));
    op(m, 0, ROW("A", 1, 0), ROW("A", 1, 1));
    ck_assert_uint_eq(m->t->ops[0].row_hash_after, m->t->ops[1].row_hash_before);
    expect(m, "I<U");
    m = made(false);
    op(m, 0, ROW("a", 1, 0), NULL);
    op(m, 0, NULL, ROW("A", 1, 0));
    expect(m, "D<I");
    m = made(true);
    op(m, 0, ROW("a", 1, 0), ROW("A", 1, 0));
    op(m, 0, ROW("A", 1, 0), NULL);
    expect(m, "U<D");
}
END_TEST

START_TEST(delete_and_insert_are_an_update_where_one_key_is_all)
{
    Made *m = made(false);
    op(m, 0, ROW("a", 1, 0), NULL);
    op(m, 0, NULL, ROW("a", 2, 5));
    batch_add(&m->b, m->t);
    ck_assert_uint_eq(m->b.n_ops, 1);
    ck_assert(m->b.ops[0].replaced);
    ck_assert_int_eq(row_of(m->s->w->binding, &m->b.ops[0].after).v, 5);
    batch_clear(&m->b);
    op(m, 0, ROW("a", 2, 5), NULL);
    expect(m, "D");
    m = made(true);
    op(m, 0, ROW("a", 1, 0), NULL);
    op(m, 0, NULL, ROW("a", 1, 5));
    expect(m, "D<I");
}
END_TEST

START_TEST(an_exclusive_row_is_a_level_of_its_own)
{
    Made *m = made(true);
    op(m, 0, NULL, ROW("a", 1, 0));
    op(m, 0, NULL, ROW("\xc3\xa4", 2, 0)); /* no proven folding */
    op(m, 0, NULL, ROW("b", 3, 0));
    op(m, 0, ROW("a", 1, 0), ROW("a", 1, 1)); /* no fold over it */
    ck_assert(m->t->ops[1].exclusive);
    expect(m, "I<I<UI");
}
END_TEST

START_TEST(groups)
{
    Made *m = made(true);
    op(m, 0, NULL, ROW("a", 1, 0));
    op(m, 1, NULL, ROW("b", 2, 0));
    op(m, 0, ROW("c", 3, 0), NULL);
    op(m, 0, ROW("b", 2, 0), NULL);
    batch_add(&m->b, m->t);
    ck_assert(batch_same_group(&m->b.ops[0], &m->b.ops[1])); /* whatever the shard */
    ck_assert(!batch_same_group(&m->b.ops[0], &m->b.ops[2]));
    ck_assert(!batch_same_group(&m->b.ops[2], &m->b.ops[3]));
    batch_clear(&m->b);
    expect(m, "DII<D");
}
END_TEST

/* -- against a table in memory -- */

typedef enum Outcome { DONE, TAKEN, MISSED } Outcome;

enum { TABLE_ROWS = 40 };
typedef struct Table {
    Row rows[TABLE_ROWS];
    size_t n;
    bool u_is_unique;
} Table;

static size_t row_at(const Table *t, const char *k)
{
    for (size_t i = 0; i < t->n; i++)
        if (strcasecmp(t->rows[i].k, k) == 0) return i;
    return SIZE_MAX;
}

/* May `r` stand in the table, in place of row `self`? */
static bool is_free(const Table *t, const Row *r, size_t self)
{
    for (size_t i = 0; i < t->n; i++) {
        if (i == self) continue;
        if (strcasecmp(t->rows[i].k, r->k) == 0) return false;
        if (t->u_is_unique && r->u != NO_U && t->rows[i].u == r->u) return false;
    }
    return true;
}

static Outcome apply(Table *t, RowKind kind, const Row *before, const Row *after)
{
    size_t at = kind == ROW_INSERT ? t->n : row_at(t, before->k);
    if (at == SIZE_MAX) return MISSED;
    if (kind == ROW_DELETE) {
        t->rows[at] = t->rows[--t->n];
        return DONE;
    }
    if (!is_free(t, after, at)) return TAKEN;
    ck_assert_uint_lt(t->n, TABLE_ROWS);
    t->rows[at] = *after;
    t->n += kind == ROW_INSERT;
    return DONE;
}

static Row random_row(Random *r)
{
    Row row = {.u = random_chance(r, 25) ? NO_U : (int)random_below(r, 7), .v = (int)random_below(r, 1000)};
    row.k[0] = "aAbBcde"[random_below(r, 7)];
    return row;
}

/* One change, mostly one that the table takes; a before image is a row as it stands, or of a row that is not
 * there. */
static Outcome random_change(const Shards *s, Txn *t, Table *now, Random *r)
{
    Row before, after;
    Outcome o = TAKEN;
    RowKind kind = ROW_INSERT;
    Table next = *now;
    for (unsigned tries = 0; o != DONE && tries < 12; tries++) {
        next = *now;
        kind = (RowKind)random_below(r, 3);
        before = random_row(r);
        if (now->n && !random_chance(r, 3)) before = now->rows[random_below(r, (uint32_t)now->n)];
        size_t there = row_at(now, before.k);
        if (there != SIZE_MAX) before = now->rows[there];
        after = random_row(r);
        if (random_chance(r, 40)) memcpy(after.k, before.k, sizeof after.k);
        if (random_chance(r, 40)) after.u = before.u;
        o = apply(&next, kind, &before, &after);
        if (random_chance(r, 3)) break;
    }
    *now = next;
    shards_op(s, t, random_chance(r, 15), kind == ROW_INSERT ? NULL : &before,
              kind == ROW_DELETE ? NULL : &after);
    return o;
}

static Outcome apply_batch(Table *t, const Batch *b)
{
    for (size_t i = 0; i < b->n_ops; i++) {
        const BatchOp *o = &b->ops[i];
        Row before = {0}, after = {0};
        if (o->kind != ROW_INSERT) before = row_of(o->op->binding, &o->op->before);
        if (o->kind != ROW_DELETE) after = row_of(o->op->binding, &o->after);
        Outcome r = apply(t, o->kind, &before, &after);
        if (r != DONE) return r;
    }
    return DONE;
}

static void check_equal(const Table *want, const Table *got, uint64_t seed)
{
    ck_assert_msg(want->n == got->n, "seed %llu: %zu rows, %zu", (unsigned long long)seed, want->n, got->n);
    for (size_t i = 0; i < want->n; i++) {
        size_t at = row_at(got, want->rows[i].k);
        ck_assert_msg(at != SIZE_MAX && memcmp(&want->rows[i], &got->rows[at], sizeof(Row)) == 0, "seed %llu",
                      (unsigned long long)seed);
    }
}

START_TEST(a_batch_does_what_its_operations_do)
{
    enum { ROUNDS = 6000 };
    Shards *s = shards_new(_i);
    unsigned outcomes[3] = {0};
    uint64_t folded = 0;
    Batch b = {0};
    for (uint64_t seed = 1; seed <= ROUNDS; seed++) {
        Random r = {seed * 2 + (uint64_t)_i};
        Table start = {.u_is_unique = _i};
        for (unsigned i = random_below(&r, 5); i > 0; i--) {
            Row row = random_row(&r);
            (void)apply(&start, ROW_INSERT, NULL, &row);
        }
        Table one = start, all = start;
        Outcome o = DONE;
        Txn *t[2] = {shards_txn(), shards_txn()};
        unsigned n = 1 + random_below(&r, 20);
        for (unsigned i = 0; i < n && o == DONE; i++)
            o = random_change(s, t[i > n / 2], &one, &r);
        batch_clear(&b);
        batch_add(&b, t[0]);
        batch_add(&b, t[1]);
        folded += b.n_changes - b.n_ops;
        batch_sort(&b);
        Outcome got = apply_batch(&all, &b);
        ck_assert_msg((got == DONE) == (o == DONE), "seed %llu: %d one by one, %d as a batch",
                      (unsigned long long)seed, o, got);
        if (o == DONE) check_equal(&one, &all, seed);
        outcomes[o]++;
        txn_free(t[0]);
        txn_free(t[1]);
    }
    ck_assert_msg(outcomes[DONE] > ROUNDS / 4 && outcomes[TAKEN] > ROUNDS / 20 &&
                      outcomes[MISSED] > ROUNDS / 50 && folded > ROUNDS / 10,
                  "the mix tests little: %u %u %u, %llu folded", outcomes[DONE], outcomes[TAKEN],
                  outcomes[MISSED], (unsigned long long)folded);
    batch_done(&b);
    shards_free(s);
}
END_TEST

static Suite *batch_suite(void)
{
    Suite *s = suite_create("apply/batch");
    TCase *t = tcase_create("batch");
    tcase_set_timeout(t, 30);
    tcase_add_test(t, levels_follow_shared_keys);
    tcase_add_test(t, changes_of_one_row_fold);
    tcase_add_test(t, insert_and_delete_never_fold);
    tcase_add_test(t, other_shard_tables_never_fold);
    tcase_add_test(t, changed_keys_never_fold);
    tcase_add_test(t, keys_equal_but_for_case_never_fold);
    tcase_add_test(t, delete_and_insert_are_an_update_where_one_key_is_all);
    tcase_add_test(t, an_exclusive_row_is_a_level_of_its_own);
    tcase_add_test(t, groups);
    tcase_add_loop_test(t, a_batch_does_what_its_operations_do, 0, 2);
    suite_add_tcase(s, t);
    return s;
}
UNIT_MAIN(batch_suite)
