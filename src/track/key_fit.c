#include "track/key_fit.h"
#include "base/check.h"
#include "model/coltype.h"
#include "track/bind.h"
#include "track/family.h"
#include "base/poison.h"

/* -- what the strategies say of a column -- */

const KeyColumn *keys_column(const MemberKeys *keys, Str shard_column)
{
    for (uint32_t i = 0; keys && i < keys->n_columns; i++)
        if (str_ieq(keys->columns[i].column, shard_column)) return &keys->columns[i];
    return NULL;
}

uint32_t keys_constant(const MemberKeys *keys, Str target_column)
{
    for (uint32_t i = 0; keys && i < keys->n_constants; i++)
        if (str_ieq(keys->constants[i].rule->column, target_column)) return i;
    return NO_COLUMN;
}

bool keys_drop(const MemberKeys *keys, Str shard_column)
{
    const RouteRule *rule = keys ? keys->rule : NULL;
    for (size_t i = 0; rule && i < rule->n_drop_columns; i++)
        if (str_ieq(rule->drop_columns[i], shard_column)) return true;
    return false;
}

/* -- texts of ALTER -- */

static void begin_alter(const KeyFit *f, StrBuf *sql)
{
    sb_c(sql, "ALTER TABLE ");
    sb_str(sql, f->target->sql_name);
}

static void key_name_words(const KeyDef *k, StrBuf *out)
{
    if (k->primary) {
        sb_c(out, "PRIMARY KEY");
    } else {
        sb_c(out, "KEY ");
        sb_ident(out, k->name);
    }
}

static void drop_words(const KeyDef *k, StrBuf *sql)
{
    if (k->primary) {
        sb_c(sql, " DROP PRIMARY KEY");
    } else {
        sb_c(sql, " DROP KEY ");
        sb_ident(sql, k->name);
    }
}

/* (`id`,`source`): the key's columns, then the provenance columns it lacks; on TiDB those first. */
static void key_columns_words(const KeyFit *f, const KeyDef *k, bool provenance, StrBuf *sql)
{
    const TableSchema *s = f->target->schema;
    const char *sep = "(";
    for (int pass = 0; pass < 2; pass++) {
        bool constants = (pass == 0) == f->target_is_tidb;
        for (uint32_t i = 0; constants && provenance && i < f->keys->n_constants; i++) {
            sb_c(sql, sep);
            sb_ident(sql, f->keys->constants[i].rule->column);
            sep = ",";
        }
        for (uint32_t i = 0; !constants && i < k->n_parts; i++) {
            if (k->parts[i].column >= s->n_columns) continue;
            sb_c(sql, sep);
            sb_ident(sql, s->columns[k->parts[i].column].name);
            if (k->parts[i].prefix) sb_printf(sql, "(%u)", k->parts[i].prefix);
            sep = ",";
        }
    }
    sb_ch(sql, ')');
}

/* -- rewritten ids -- */

static bool is_bigint(const ColumnDef *c)
{
    return str_ieq(c->data_type, STR("bigint"));
}

static bool rewritten_ok(const KeyFit *f, const KeyColumn *k, Err *err)
{
    uint32_t at = schema_column(f->target->schema, k->column);
    if (at == UINT32_MAX) return true; /* the binding tells */
    const ColumnDef *t = &f->target->schema->columns[at];
    uint32_t from = schema_column(f->schema, k->column);
    if (is_bigint(t) && !t->generated) return true;
    if (k->rewrite.space && keys_is_integer(t->data_type) && !t->generated) return true; /* small numbers */
    StrBuf sql = {0};
    begin_alter(f, &sql);
    sb_c(&sql, " MODIFY COLUMN ");
    sb_ident(&sql, t->name);
    sb_c(&sql, " BIGINT");
    if (t->is_unsigned) sb_c(&sql, " UNSIGNED");
    if (from != UINT32_MAX) sb_c(&sql, f->schema->columns[from].not_null ? " NOT NULL" : " NULL");
    err_set_remedy(err, ERR_TRACK_TARGET, sql.ptr,
                   "target " STR_FMT ", column `" STR_FMT "` is " STR_FMT ": ids rewritten by %s need %s",
                   STR_ARG(f->target->sql_name), STR_ARG(t->name), STR_ARG(t->column_type),
                   k->rewrite.strategy, k->rewrite.space ? "an integer" : "BIGINT");
    sb_done(&sql);
    return false;
}

/* The highest number of an integer column. */
static uint64_t type_limit(const ColumnDef *t)
{
    static const struct {
        const char *type;
        unsigned bits;
    } types[] = {{"tinyint", 8}, {"smallint", 16}, {"mediumint", 24}, {"int", 32}};
    for (size_t i = 0; i < ARRAY_LEN(types); i++)
        if (str_ieq(t->data_type, str_of(types[i].type)))
            return UINT64_MAX >> (64 - types[i].bits + (t->is_unsigned ? 0 : 1));
    return t->is_unsigned ? UINT64_MAX : (uint64_t)INT64_MAX;
}

const KeyRewrite *key_fit_rewrite(const ColumnDef *t, const KeyRewrite *r, Arena *arena)
{
    KeyRewrite *out = arena_new(arena, KeyRewrite);
    *out = *r;
    if (r->space) {
        out->high = MIN(type_limit(t), (uint64_t)INT64_MAX);
        return out;
    }
    __int128 lowest = t->is_unsigned ? 0 : (__int128)INT64_MIN;
    __int128 highest = t->is_unsigned ? (__int128)UINT64_MAX : (__int128)INT64_MAX;
    __int128 multiply = (__int128)r->multiply, add = (__int128)r->add;
    CHECK(r->multiply > 0 && highest >= add, "a share of the target's numbers");
    __int128 high = (highest - add) / multiply;
    __int128 low = lowest - add < 0 ? -((add - lowest) / multiply) : lowest - add;
    if (high < (__int128)r->high) out->high = (uint64_t)high;
    if (low > (__int128)r->low) out->low = (int64_t)low;
    return out;
}

/* -- provenance columns -- */

static bool constant_type_ok(const ColumnDef *t, Str value, StrBuf *why)
{
    int64_t i;
    uint64_t u;
    size_t chars = 0;
    switch (family_of(t)) {
    case FAMILY_INT:
        if (t->is_unsigned ? str_to_u64(value, &u) : str_to_i64(value, &i)) return true;
        sb_c(why, "its value is not a whole number of that sign");
        return false;
    case FAMILY_TEXT:
        for (size_t k = 0; k < value.len; k++)
            chars += ((unsigned char)value.ptr[k] & 0xc0) != 0x80;
        if (chars <= t->char_length) return true;
        sb_printf(why, "its value has %zu characters", chars);
        return false;
    case FAMILY_BINARY:
        if (value.len <= t->char_length) return true;
        sb_printf(why, "its value has %zu bytes", value.len);
        return false;
    default: sb_c(why, "a provenance column is an integer, a text or a binary string"); return false;
    }
}

static void provenance_type(const ProvenanceRule *r, StrBuf *out)
{
    if (r->type.len)
        sb_str(out, r->type);
    else
        sb_c(out, "VARCHAR(64) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin");
    sb_c(out, " NOT NULL");
}

static bool constant_ok(const KeyFit *f, const KeyConstant *k, Err *err)
{
    StrBuf text = {0};
    Str name = k->rule->column;
    uint32_t at = schema_column(f->target->schema, name);
    bool ok = false;
    if (schema_column(f->schema, name) != UINT32_MAX && !keys_drop(f->keys, name)) {
        err_set_remedy(err, ERR_KEY_STRATEGY,
                       "name the provenance column otherwise, or name it in drop-columns",
                       STR_FMT "." STR_FMT " has a column `" STR_FMT "` of its own, which the rule fills",
                       STR_ARG(f->source.schema), STR_ARG(f->source.table), STR_ARG(name));
    } else if (at == UINT32_MAX) {
        begin_alter(f, &text);
        sb_c(&text, " ADD COLUMN ");
        sb_ident(&text, name);
        sb_ch(&text, ' ');
        provenance_type(k->rule, &text);
        err_set_remedy(err, ERR_TRACK_TARGET, text.ptr,
                       "target " STR_FMT " has no column `" STR_FMT "`, which the rule fills",
                       STR_ARG(f->target->sql_name), STR_ARG(name));
    } else if (f->target->schema->columns[at].generated) {
        err_set_remedy(err, ERR_TRACK_TARGET, "make it a plain column",
                       "target " STR_FMT ", column `" STR_FMT "` is generated, but the rule fills it",
                       STR_ARG(f->target->sql_name), STR_ARG(name));
    } else if (constant_type_ok(&f->target->schema->columns[at], k->value, &text)) {
        ok = true;
    } else {
        err_set_remedy(
            err, ERR_TRACK_TARGET, "ALTER TABLE … MODIFY COLUMN with a type that holds it",
            "target " STR_FMT ", provenance column `" STR_FMT "` " STR_FMT " for " STR_FMT "." STR_FMT ": %s",
            STR_ARG(f->target->sql_name), STR_ARG(name), STR_ARG(f->target->schema->columns[at].column_type),
            STR_ARG(f->source.schema), STR_ARG(f->source.table), text.ptr);
    }
    sb_done(&text);
    return ok;
}

void key_fit_constant(const ColumnDef *t, Str value, Arena *arena, ColumnCodec *codec, Field *field)
{
    uint64_t bits = 0;
    int64_t i = 0;
    *codec = (ColumnCodec){.type = COLTYPE_VARCHAR, .text = TEXT_UTF8};
    Str bytes = arena_str(arena, value);
    if (family_of(t) == FAMILY_INT) {
        *codec = (ColumnCodec){.type = COLTYPE_LONGLONG, .is_unsigned = t->is_unsigned};
        bool ok = t->is_unsigned ? str_to_u64(value, &bits) : str_to_i64(value, &i);
        CHECK(ok, "a provenance value checked by key_fit_check");
        if (!t->is_unsigned) bits = (uint64_t)i;
        bytes = str_make(&bits, sizeof bits);
        bytes = arena_str(arena, bytes);
    } else if (family_of(t) == FAMILY_BINARY) {
        codec->text = TEXT_BINARY;
        if (str_ieq(t->data_type, STR("binary"))) codec->pad_to = (uint32_t)t->char_length;
    }
    *field = (Field){(const uint8_t *)bytes.ptr, (uint32_t)bytes.len, FIELD_VALUE};
}

/* -- keys -- */

static bool has_constant(const KeyFit *f, const KeyDef *k)
{
    for (uint32_t i = 0; i < k->n_parts; i++)
        if (k->parts[i].column < f->target->schema->n_columns &&
            keys_constant(f->keys, f->target->schema->columns[k->parts[i].column].name) != NO_COLUMN)
            return true;
    return false;
}

/* Are all columns of the target's key columns of the shard's key? Then rows that the shard's key tells apart
 * only together with their shard would meet in it. */
static bool within(const KeyFit *f, const KeyDef *target_key, const KeyDef *shard_key)
{
    for (uint32_t i = 0; i < target_key->n_parts; i++) {
        if (target_key->parts[i].column >= f->target->schema->n_columns) return false;
        Str name = f->target->schema->columns[target_key->parts[i].column].name;
        bool found = false;
        for (uint32_t j = 0; j < shard_key->n_parts && !found; j++)
            found = shard_key->parts[j].column < f->schema->n_columns &&
                    str_ieq(f->schema->columns[shard_key->parts[j].column].name, name);
        if (!found) return false;
    }
    return target_key->n_parts > 0;
}

static bool listed(const Str *names, size_t n, Str name)
{
    for (size_t i = 0; i < n; i++)
        if (str_ieq(names[i], name)) return true;
    return false;
}

typedef enum KeyFate { KEY_FATE_GLOBAL, KEY_FATE_SHARD, KEY_FATE_PLAIN } KeyFate;

static KeyFate fate_of(const KeyFit *f, const KeyDef *shard_key)
{
    const KeyRule *rule = &f->keys->rule->key;
    if (f->keys->strategy == KEY_STRATEGY_COMPOSITE)
        return listed(rule->global_keys, rule->n_global_keys, shard_key->name) ? KEY_FATE_GLOBAL
                                                                               : KEY_FATE_SHARD;
    bool plain = !rule->n_plain_keys || listed(rule->plain_keys, rule->n_plain_keys, shard_key->name);
    return plain ? KEY_FATE_PLAIN : KEY_FATE_GLOBAL;
}

static bool too_strict(const KeyFit *f, const KeyDef *key, KeyFate fate, Err *err)
{
    StrBuf sql = {0}, name = {0};
    begin_alter(f, &sql);
    drop_words(key, &sql);
    sb_c(&sql, ", ADD ");
    if (fate == KEY_FATE_SHARD) {
        sb_c(&sql, key->primary ? "" : "UNIQUE ");
        key_name_words(key, &sql);
        sb_ch(&sql, ' ');
        key_columns_words(f, key, true, &sql);
    } else {
        sb_c(&sql, "KEY ");
        sb_ident(&sql, key->primary ? STR("idx_primary") : key->name);
        sb_ch(&sql, ' ');
        key_columns_words(f, key, true, &sql);
    }
    if (key->primary && f->target_is_tidb)
        sb_c(&sql, "; a clustered primary key cannot be changed on TiDB: make the table anew, see shardmerge "
                   "route --ddl");
    key_name_words(key, &name);
    err_set_remedy(err, ERR_TRACK_TARGET, sql.ptr,
                   "target " STR_FMT
                   ": its %s%s is unique over columns that only one shard keeps unique; under "
                   "%s it %s",
                   STR_ARG(f->target->sql_name), key->primary ? "" : "unique ", name.ptr,
                   keys_strategy_name(f->keys->strategy),
                   fate == KEY_FATE_SHARD ? "must hold a provenance column" : "must be an ordinary index");
    sb_done(&sql);
    sb_done(&name);
    return false;
}

static bool missing_global(const KeyFit *f, const KeyDef *shard_key, Err *err)
{
    StrBuf sql = {0};
    begin_alter(f, &sql);
    sb_c(&sql, shard_key->primary ? " ADD " : " ADD UNIQUE ");
    key_name_words(shard_key, &sql);
    for (uint32_t i = 0; i < shard_key->n_parts; i++) {
        sb_c(&sql, i ? "," : " (");
        if (shard_key->parts[i].column < f->schema->n_columns)
            sb_ident(&sql, f->schema->columns[shard_key->parts[i].column].name);
    }
    sb_ch(&sql, ')');
    err_set_remedy(err, ERR_TRACK_TARGET, sql.ptr,
                   "target " STR_FMT " has no unique key over the columns of `" STR_FMT
                   "`, which the rule declares unique over all shards",
                   STR_ARG(f->target->sql_name), STR_ARG(shard_key->name));
    sb_done(&sql);
    return false;
}

/* One unique key of the shard against all keys of the target. */
static bool shard_key_ok(const KeyFit *f, const KeyDef *own, Err *err)
{
    const TableSchema *t = f->target->schema;
    KeyFate fate = fate_of(f, own);
    bool covered = false;
    for (uint32_t i = 0; i < t->n_keys; i++) {
        const KeyDef *k = &t->keys[i];
        if (!(k->unique || k->primary) || has_constant(f, k) || !within(f, k, own)) continue;
        if (fate != KEY_FATE_GLOBAL) return too_strict(f, k, fate, err);
        covered = covered || k->n_parts == own->n_parts;
    }
    bool declared = f->keys->strategy == KEY_STRATEGY_COMPOSITE && fate == KEY_FATE_GLOBAL;
    return !declared || covered || missing_global(f, own, err);
}

/* Rows of a target without a unique key for them are found through an ordinary index. */
static bool plain_index_ok(const KeyFit *f, Err *err)
{
    const KeyDef *own = source_row_key(f->schema);
    const TableSchema *t = f->target->schema;
    if (!own)
        return err_set_remedy(err, ERR_KEY_STRATEGY, "give the shard tables a primary key",
                              STR_FMT "." STR_FMT
                                      " has no key over NOT NULL columns by which plain-index could "
                                      "find its rows",
                              STR_ARG(f->source.schema), STR_ARG(f->source.table));
    for (uint32_t i = 0; i < t->n_keys; i++) {
        if (!t->keys[i].n_parts || t->keys[i].parts[0].column >= t->n_columns) continue;
        Str first = t->columns[t->keys[i].parts[0].column].name;
        for (uint32_t j = 0; j < own->n_parts; j++)
            if (str_ieq(f->schema->columns[own->parts[j].column].name, first)) return true;
        if (has_constant(f, &t->keys[i]) && t->keys[i].n_parts > 1) return true;
    }
    StrBuf sql = {0};
    begin_alter(f, &sql);
    sb_c(&sql, " ADD KEY (");
    for (uint32_t j = 0; j < own->n_parts; j++) {
        if (j) sb_ch(&sql, ',');
        sb_ident(&sql, f->schema->columns[own->parts[j].column].name);
    }
    sb_ch(&sql, ')');
    err_set_remedy(err, ERR_TRACK_TARGET, sql.ptr,
                   "target " STR_FMT
                   " has no index that begins with a column of the shards' key: every UPDATE "
                   "and DELETE would read the whole table",
                   STR_ARG(f->target->sql_name));
    sb_done(&sql);
    return false;
}

static bool dropped_ok(const KeyFit *f, Err *err)
{
    for (uint32_t i = 0; f->keys->rule && i < f->keys->rule->n_drop_columns; i++) {
        Str name = f->keys->rule->drop_columns[i];
        if (!keys_column(f->keys, name)) continue;
        return err_set_remedy(err, ERR_KEY_STRATEGY, "remove it from one of the two",
                              STR_FMT "." STR_FMT ", column `" STR_FMT "` is in drop-columns and holds ids",
                              STR_ARG(f->source.schema), STR_ARG(f->source.table), STR_ARG(name));
    }
    return true;
}

bool key_fit_check(const KeyFit *f, Err *err)
{
    if (!f->keys) return true;
    if (!dropped_ok(f, err)) return false;
    for (uint32_t i = 0; i < f->keys->n_columns; i++)
        if (!rewritten_ok(f, &f->keys->columns[i], err)) return false;
    for (uint32_t i = 0; i < f->keys->n_constants; i++)
        if (!constant_ok(f, &f->keys->constants[i], err)) return false;
    bool by_provenance =
        f->keys->strategy == KEY_STRATEGY_COMPOSITE || f->keys->strategy == KEY_STRATEGY_PLAIN_INDEX;
    if (!by_provenance) return true;
    for (uint32_t i = 0; i < f->schema->n_keys; i++) {
        const KeyDef *k = &f->schema->keys[i];
        if ((k->unique || k->primary) && !shard_key_ok(f, k, err)) return false;
    }
    return f->keys->strategy != KEY_STRATEGY_PLAIN_INDEX || plain_index_ok(f, err);
}
