#include "track/keyed_schema.h"
#include "base/check.h"
#include "track/bind.h"
#include "track/family.h"
#include "base/poison.h"

enum { KEY_PARTS_MAX = 64 };

typedef struct Keyed {
    const TableSchema *shard;
    const MemberKeys *keys;
    bool target_is_tidb;
    TableSchema *out;
    uint32_t *place; /* by column of the shard: its column of out, or NO_COLUMN */
} Keyed;

/* -- columns -- */

static ColumnDef provenance_column(Keyed *k, const ProvenanceRule *r)
{
    Arena *arena = &k->out->arena;
    Str type = r->type.len ? r->type : STR("varchar(64)");
    size_t end = 0;
    while (end < type.len && ((type.ptr[end] | 0x20) >= 'a' && (type.ptr[end] | 0x20) <= 'z'))
        end++;
    char *word = arena_alloc(arena, end + 1);
    for (size_t i = 0; i < end; i++)
        word[i] = (char)(type.ptr[i] | 0x20);
    word[end] = 0;
    ColumnDef c = {.name = r->column,
                   .data_type = {word, end},
                   .column_type = type,
                   .is_unsigned = str_find(type, STR("unsigned")) != SIZE_MAX ||
                                  str_find(type, STR("UNSIGNED")) != SIZE_MAX,
                   .not_null = true,
                   .default_kind = DEFAULT_NONE};
    if (end < type.len && type.ptr[end] == '(') {
        Str digits = {type.ptr + end + 1, type.len - end - 2};
        if (!str_to_u64(str_trim(digits), &c.char_length)) c.char_length = 0;
    }
    if (family_of(&c) == FAMILY_TEXT) {
        c.charset = STR("utf8mb4");
        c.collation = STR("utf8mb4_bin");
    }
    return c;
}

static void put_provenance(Keyed *k, Str position, bool behind)
{
    for (uint32_t i = 0; i < k->keys->n_constants; i++) {
        const ProvenanceRule *r = k->keys->constants[i].rule;
        bool here = behind ? str_ieq(r->position, position) : str_eq(r->position, position);
        if (here && schema_column(k->out, r->column) == UINT32_MAX)
            k->out->columns[k->out->n_columns++] = provenance_column(k, r);
    }
}

/* Provenance columns whose place is no column of the table stand at the end. */
static void put_displaced(Keyed *k)
{
    for (uint32_t i = 0; i < k->keys->n_constants; i++) {
        const ProvenanceRule *r = k->keys->constants[i].rule;
        if (schema_column(k->out, r->column) == UINT32_MAX)
            k->out->columns[k->out->n_columns++] = provenance_column(k, r);
    }
}

static void put_columns(Keyed *k)
{
    const TableSchema *s = k->shard;
    k->out->columns = arena_array(&k->out->arena, ColumnDef, s->n_columns + k->keys->n_constants + 1);
    put_provenance(k, STR("first"), false);
    for (uint32_t i = 0; i < s->n_columns; i++) {
        k->place[i] = NO_COLUMN;
        if (keys_drop(k->keys, s->columns[i].name)) continue;
        k->place[i] = k->out->n_columns;
        ColumnDef *c = &k->out->columns[k->out->n_columns++];
        *c = s->columns[i];
        if (keys_column(k->keys, c->name)) {
            c->data_type = STR("bigint");
            c->column_type = c->is_unsigned ? STR("bigint unsigned") : STR("bigint");
        }
        put_provenance(k, c->name, true);
    }
    put_displaced(k);
}

/* -- keys -- */

static bool has_part(const KeyDef *key, uint32_t column)
{
    for (uint32_t i = 0; i < key->n_parts; i++)
        if (key->parts[i].column == column) return true;
    return false;
}

static void add_provenance(const Keyed *k, KeyDef *key)
{
    for (uint32_t i = 0; i < k->keys->n_constants; i++) {
        uint32_t at = schema_column(k->out, k->keys->constants[i].rule->column);
        CHECK(at != UINT32_MAX && key->n_parts < KEY_PARTS_MAX, "provenance columns are there");
        if (!has_part(key, at)) key->parts[key->n_parts++] = (KeyPart){.column = at};
    }
}

static bool is_listed(const Str *names, size_t n, Str name)
{
    for (size_t i = 0; i < n; i++)
        if (str_ieq(names[i], name)) return true;
    return false;
}

typedef enum Fate { FATE_SAME, FATE_SHARD, FATE_PLAIN } Fate;

static Fate fate_of(const MemberKeys *keys, const KeyDef *key)
{
    const KeyRule *rule = keys->rule ? &keys->rule->key : NULL;
    if (!rule || !(key->unique || key->primary)) return FATE_SAME;
    if (keys->strategy == KEY_STRATEGY_COMPOSITE)
        return is_listed(rule->global_keys, rule->n_global_keys, key->name) ? FATE_SAME : FATE_SHARD;
    if (keys->strategy != KEY_STRATEGY_PLAIN_INDEX) return FATE_SAME;
    bool plain = !rule->n_plain_keys || is_listed(rule->plain_keys, rule->n_plain_keys, key->name);
    return plain ? FATE_PLAIN : FATE_SAME;
}

static bool put_key(Keyed *k, const KeyDef *own, Err *err)
{
    KeyDef *key = &k->out->keys[k->out->n_keys];
    Fate fate = fate_of(k->keys, own);
    *key = *own;
    key->n_parts = 0;
    key->parts = arena_array(&k->out->arena, KeyPart, KEY_PARTS_MAX);
    if (fate == FATE_SHARD && k->target_is_tidb) add_provenance(k, key);
    for (uint32_t i = 0; i < own->n_parts; i++) {
        KeyPart part = own->parts[i];
        if (part.column < k->shard->n_columns) part.column = k->place[part.column];
        if (own->parts[i].column < k->shard->n_columns && part.column == NO_COLUMN) {
            if (!own->unique && !own->primary) continue;
            return err_set(err, ERR_KEY_STRATEGY,
                           STR_FMT "." STR_FMT ": drop-columns names a column of the unique key `" STR_FMT
                                   "`",
                           STR_ARG(k->shard->name.schema), STR_ARG(k->shard->name.table), STR_ARG(own->name));
        }
        CHECK(key->n_parts < KEY_PARTS_MAX, "a key of the shard");
        key->parts[key->n_parts++] = part;
    }
    if (fate != FATE_SAME) add_provenance(k, key);
    if (fate == FATE_PLAIN) {
        if (own->primary) key->name = STR("idx_primary");
        key->unique = key->primary = false;
    }
    if (key->n_parts) k->out->n_keys++;
    return true;
}

bool keyed_schema(const TableSchema *shard, const MemberKeys *keys, bool target_is_tidb, TableSchema **out,
                  Err *err)
{
    static const MemberKeys nothing = {.own = NO_COLUMN};
    Keyed k = {shard, keys ? keys : &nothing, target_is_tidb, mem_zalloc(sizeof *k.out), NULL};
    k.out->name = shard->name;
    k.out->engine = STR("InnoDB");
    k.out->collation = shard->collation;
    k.out->comment = shard->comment;
    k.out->is_view = shard->is_view;
    k.place = arena_array(&k.out->arena, uint32_t, shard->n_columns + 1);
    put_columns(&k);
    k.out->keys = arena_array(&k.out->arena, KeyDef, shard->n_keys + 1);
    bool ok = true;
    for (uint32_t i = 0; ok && i < shard->n_keys; i++)
        ok = put_key(&k, &shard->keys[i], err);
    if (ok)
        *out = k.out;
    else
        schema_free(k.out);
    return ok;
}

/* -- what a statement says besides -- */

/* Rows of no primary key go by hidden row ids: spread over regions. */
static const char spread_rows[] = " /*T! SHARD_ROW_ID_BITS=4 PRE_SPLIT_REGIONS=4 */";
static const char clustered[] = " /*T![clustered_index] CLUSTERED */";
static const char nonclustered[] = " /*T![clustered_index] NONCLUSTERED */";

/* Does one end of the primary key take the writes of all shards? */
static bool grows_at_one_end(KeyStrategy s)
{
    switch (s) {
    case KEY_STRATEGY_STRIDE: /* ids of all shards grow together */
    case KEY_STRATEGY_REMAP:
    case KEY_STRATEGY_PLAIN_INDEX: return true;
    case KEY_STRATEGY_COMPOSITE: /* every shard has a range of its own: writes spread by themselves */
    case KEY_STRATEGY_PARTITION_ID:
    case KEY_STRATEGY_ERROR: return false; /* as far as is known: see the advice */
    }
    return false;
}

void keyed_words(const MemberKeys *keys, const TableSchema *keyed, CreateOpts *opts)
{
    if (!keys || !opts->target_is_tidb) return;
    bool primary = schema_primary(keyed) != NULL, one_end = grows_at_one_end(keys->strategy);
    /* Always said: what TiDB takes by itself depends on its version and settings. */
    if (primary) opts->primary_words = one_end ? nonclustered : clustered;
    if (!primary || one_end) opts->table_words = spread_rows;
}

/* -- advice -- */

static const char *provenance_name(const MemberKeys *keys)
{
    return keys->n_constants ? keys->constants[0].rule->column.ptr : "";
}

/* The column that counts: rewritten, or by the shards' AUTO_INCREMENT. NO_COLUMN: none. */
static uint32_t counting_column(const MemberKeys *keys, const TableSchema *keyed)
{
    if (keys->own != NO_COLUMN) return schema_column(keyed, keys->columns[keys->own].column);
    for (uint32_t i = 0; i < keyed->n_columns; i++)
        if (keyed->columns[i].auto_increment) return i;
    return NO_COLUMN;
}

/* Where rows go, and where writes meet. */
static void advise_regions(const MemberKeys *keys, const TableSchema *keyed, StrBuf *out)
{
    if (!schema_primary(keyed)) {
        sb_c(out, "TiDB: without a primary key rows go by hidden row ids, which are spread "
                  "(SHARD_ROW_ID_BITS)\n");
        return;
    }
    switch (keys->strategy) {
    case KEY_STRATEGY_COMPOSITE:
        sb_printf(
            out,
            "TiDB: the primary key begins with the provenance columns, so that each shard writes to a region "
            "of its own; add KEY (id) for look-ups that do not name %s\n",
            provenance_name(keys));
        break;
    case KEY_STRATEGY_STRIDE:
    case KEY_STRATEGY_REMAP:
    case KEY_STRATEGY_PLAIN_INDEX:
        sb_c(out, "TiDB: ids of all shards grow together at one end: the primary key is NONCLUSTERED and row "
                  "ids are spread (SHARD_ROW_ID_BITS); its index still has a hot end while all shards "
                  "insert\n");
        break;
    case KEY_STRATEGY_PARTITION_ID:
        sb_c(out, "TiDB: each shard has a range of ids of its own, so that its writes go to a region of its "
                  "own (CLUSTERED)\n");
        break;
    case KEY_STRATEGY_ERROR:
        sb_c(out, "TiDB: rows are stored under their primary key (CLUSTERED), which spreads them when each "
                  "shard counts in a range of its own; where all count at one end (odd and even numbers, one "
                  "common counter), write NONCLUSTERED and SHARD_ROW_ID_BITS=4 instead, before the load\n");
        break;
    }
}

/* An index along time takes all writes at its end, however the rows are spread. */
static void advise_growing_indexes(const TableSchema *keyed, StrBuf *out)
{
    for (uint32_t k = 0; k < keyed->n_keys; k++) {
        const KeyDef *key = &keyed->keys[k];
        if (key->primary || !key->n_parts || key->parts[0].column >= keyed->n_columns) continue;
        const ColumnDef *c = &keyed->columns[key->parts[0].column];
        if (!str_eqc(c->data_type, "timestamp") && !str_eqc(c->data_type, "datetime")) continue;
        sb_printf(out,
                  "TiDB: index `" STR_FMT "` begins with a time (`" STR_FMT
                  "`): where that is the present one, all shards write to its end; begin it with another "
                  "column if that is too hot\n",
                  STR_ARG(key->name), STR_ARG(c->name));
    }
}

/* Ids that the merged table gives itself. */
static void advise_counting(const MemberKeys *keys, const TableSchema *keyed, StrBuf *out)
{
    uint32_t id = counting_column(keys, keyed);
    const KeyDef *primary = schema_primary(keyed);
    if (id == NO_COLUMN) return;
    bool random = primary && primary->parts[0].column == id && !grows_at_one_end(keys->strategy) &&
                  str_eqc(keyed->columns[id].data_type, "bigint");
    sb_c(out, "TiDB: for ids given by the merged table itself after cut-over, choose before the load: "
              "AUTO_INCREMENT with AUTO_ID_CACHE 1 (MySQL-like)");
    if (random)
        sb_c(out, ", or AUTO_RANDOM (spread; loading into it needs allow_auto_random_explicit_insert in "
                  "target-database's session)\n");
    else
        sb_c(out, "; AUTO_RANDOM needs a CLUSTERED primary key that begins with the id, a BIGINT\n");
}

static void advise_strategy(const MemberKeys *keys, bool is_tidb, StrBuf *out)
{
    switch (keys->strategy) {
    case KEY_STRATEGY_ERROR:
        sb_c(out, "a value of a unique key that two shards hold stops the source that comes second, or is "
                  "parked (on-collision): shardmerge route --census tells whether there are any\n");
        break;
    case KEY_STRATEGY_COMPOSITE:
        if (!is_tidb)
            sb_c(out, "the provenance columns stand last in the keys, so that look-ups by id alone still use "
                      "them\n");
        break;
    case KEY_STRATEGY_REMAP:
        sb_c(out, "which id each row had on its shard stands in the map that sm_remap in the meta schema "
                  "names\n");
        break;
    case KEY_STRATEGY_PARTITION_ID:
    case KEY_STRATEGY_STRIDE:
    case KEY_STRATEGY_PLAIN_INDEX: break;
    }
}

void keyed_advice(const MemberKeys *keys, const TableSchema *keyed, const CreateOpts *opts, StrBuf *out)
{
    if (!keys) return;
    if (opts->target_is_tidb) {
        advise_regions(keys, keyed, out);
        advise_growing_indexes(keyed, out);
        advise_counting(keys, keyed, out);
    }
    advise_strategy(keys, opts->target_is_tidb, out);
    if (counting_column(keys, keyed) != NO_COLUMN)
        sb_c(out, "AUTO_INCREMENT stays off while the shards feed the table; at cut-over its next value must "
                  "be above every id there is: shardmerge finish\n");
    if (keys->own == NO_COLUMN) return;
    for (uint32_t i = 0; i < keyed->n_keys; i++)
        if (keyed->keys[i].unique && !keyed->keys[i].primary)
            sb_printf(out,
                      "unique key `" STR_FMT
                      "` is not mended by the ids: two shards that hold one value in it "
                      "still collide\n",
                      STR_ARG(keyed->keys[i].name));
}
