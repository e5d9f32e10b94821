#include "track/bind.h"
#include <stdlib.h>
#include "base/check.h"
#include "decode/event.h"
#include "model/charset.h"
#include "track/family.h"
#include "track/key_fit.h"
#include "track/keyplan.h"
#include "track/map_check.h"
#include "base/poison.h"

/* A Binding and the arena of all that hangs on it. */
typedef struct OwnedBinding {
    Binding binding;
    Arena arena;
    JsonKind json; /* of the target server's JSON type */
} OwnedBinding;

/* One side of the comparison, for messages. */
typedef struct Pair {
    TableName source;
    const TableSchema *schema;
    const Target *target;
    const BindOpts *opts;
} Pair;

/* -- definitions: does the shard table fit the target? -- */

static bool has_no_equality(const ColumnDef *c)
{
    TypeFamily f = family_of(c);
    return f == FAMILY_FLOAT || f == FAMILY_JSON || f == FAMILY_VECTOR;
}

static bool keyless_ok(const Pair *p, Err *err)
{
    if (p->target->row_key != NO_COLUMN) return true;
    if (!p->opts->allow_keyless)
        return err_set_remedy(
            err, ERR_TRACK_TARGET,
            "add a primary key or a unique key over NOT NULL columns to the target, or set "
            "allow-keyless-tables: true (slow: one row at a time, one transaction after the other)",
            "target " STR_FMT " has no key that finds rows", STR_ARG(p->target->sql_name));
    for (uint32_t i = 0; i < p->target->schema->n_columns; i++) {
        const ColumnDef *c = &p->target->schema->columns[i];
        if (!c->generated && has_no_equality(c))
            return err_set_remedy(err, ERR_TRACK_TARGET, "give the target a key",
                                  "target " STR_FMT
                                  " has no key, and rows cannot be compared by column `" STR_FMT "` (" STR_FMT
                                  ")",
                                  STR_ARG(p->target->sql_name), STR_ARG(c->name), STR_ARG(c->column_type));
    }
    return true;
}

/* The type that the target needs for this column, for a remedy. */
static void put_wanted_type(const ColumnDef *c, StrBuf *out)
{
    const char *elsewhere = family_elsewhere(c);
    sb_str(out, c->column_type);
    if (elsewhere) sb_printf(out, " or, where the server has no such type, %s,", elsewhere);
}

static bool missing_column(const Pair *p, const ColumnDef *c, Err *err)
{
    StrBuf remedy = {0};
    sb_c(&remedy, "ALTER TABLE ");
    sb_str(&remedy, p->target->sql_name);
    sb_c(&remedy, " ADD COLUMN ");
    sb_ident(&remedy, c->name);
    sb_ch(&remedy, ' ');
    put_wanted_type(c, &remedy);
    if (c->collation.len)
        sb_printf(&remedy, " CHARACTER SET " STR_FMT " COLLATE " STR_FMT, STR_ARG(c->charset),
                  STR_ARG(c->collation));
    sb_c(&remedy, c->not_null ? " NOT NULL" : " NULL");
    err_set_remedy(err, ERR_TRACK_TARGET, remedy.ptr,
                   "target " STR_FMT " has no column `" STR_FMT "`, which " STR_FMT "." STR_FMT " has",
                   STR_ARG(p->target->sql_name), STR_ARG(c->name), STR_ARG(p->source.schema),
                   STR_ARG(p->source.table));
    sb_done(&remedy);
    return false;
}

static bool misfit(const Pair *p, const ColumnDef *s, const ColumnDef *t, Str why, Err *err)
{
    StrBuf remedy = {0};
    sb_c(&remedy, "ALTER TABLE ");
    sb_str(&remedy, p->target->sql_name);
    sb_c(&remedy, " MODIFY COLUMN ");
    sb_ident(&remedy, t->name);
    sb_ch(&remedy, ' ');
    put_wanted_type(s, &remedy);
    if (s->collation.len)
        sb_printf(&remedy, " CHARACTER SET " STR_FMT " COLLATE " STR_FMT, STR_ARG(s->charset),
                  STR_ARG(s->collation));
    if (s->not_null && t->not_null) sb_c(&remedy, " NOT NULL");
    sb_c(&remedy, ", or a wider type of that kind");
    err_set_remedy(err, ERR_TRACK_TARGET, remedy.ptr,
                   "target " STR_FMT ", column `" STR_FMT "` " STR_FMT " cannot take all values of " STR_FMT
                   "." STR_FMT ", " STR_FMT ": " STR_FMT,
                   STR_ARG(p->target->sql_name), STR_ARG(t->name), STR_ARG(t->column_type),
                   STR_ARG(p->source.schema), STR_ARG(p->source.table), STR_ARG(s->column_type),
                   STR_ARG(why));
    sb_done(&remedy);
    return false;
}

/* A text charset that has to be converted by the downstream with an introducer TiDB has not. */
static bool needs_introducer(const ColumnDef *c)
{
    const Charset *cs = charset_by_name(c->charset);
    return family_of(c) == FAMILY_TEXT && cs && cs->form != CHARSET_UTF8 && !str_eqc(cs->name, "ascii");
}

/* The primary key that MySQL adds to a table without one: a target with a key of its own needs it not. */
static bool is_invisible_key(const ColumnDef *s)
{
    return s->invisible && s->auto_increment && str_eqc(s->name, "my_row_id");
}

static bool column_ok(const Pair *p, const ColumnDef *s, Err *err)
{
    if (!s->name.len) return true; /* left out */
    uint32_t at = schema_column(p->target->schema, s->name);
    if (keys_drop(p->opts->keys, s->name)) return true;
    if (at == UINT32_MAX) return s->generated || is_invisible_key(s) ? true : missing_column(p, s, err);
    const ColumnDef *t = &p->target->schema->columns[at];
    if (t->generated || keys_column(p->opts->keys, s->name))
        return true; /* key_fit has looked at the latter */
    if (family_of(s) == FAMILY_UNKNOWN)
        return err_set_remedy(
            err, ERR_NOT_SUPPORTED, "leave the table out by a rule",
            STR_FMT "." STR_FMT ", column `" STR_FMT "`: type " STR_FMT " is not replicated",
            STR_ARG(p->source.schema), STR_ARG(p->source.table), STR_ARG(s->name), STR_ARG(s->column_type));
    if (p->opts->target_is_tidb && needs_introducer(s))
        return err_set_remedy(
            err, ERR_NOT_SUPPORTED, "convert the shard's column to utf8mb4, or leave the table out",
            STR_FMT "." STR_FMT ", column `" STR_FMT "`: text in " STR_FMT " cannot be sent to TiDB yet",
            STR_ARG(p->source.schema), STR_ARG(p->source.table), STR_ARG(s->name), STR_ARG(s->charset));
    StrBuf why = {0};
    bool ok = family_fits(s, t, &why) || misfit(p, s, t, sb_view(&why), err);
    sb_done(&why);
    return ok;
}

/* Does this shard table write that column of the target? */
static bool feeds(const Pair *p, Str name)
{
    const BindFeeds *f = p->opts->feeds;
    if (keys_constant(p->opts->keys, name) != NO_COLUMN) return true;
    for (uint32_t i = 0; f && i < f->n_fills; i++)
        if (str_ieq(f->fills[i].column, name)) return true;
    return schema_column(p->schema, name) != UINT32_MAX && !keys_drop(p->opts->keys, name);
}

/* Target columns that the shard lacks must fill themselves. */
static bool extra_ok(const Pair *p, Err *err)
{
    for (uint32_t i = 0; i < p->target->schema->n_columns; i++) {
        const ColumnDef *t = &p->target->schema->columns[i];
        if (t->generated || t->auto_increment || !t->not_null || t->default_kind != DEFAULT_NONE) continue;
        if (feeds(p, t->name)) continue;
        return err_set_remedy(err, ERR_TRACK_TARGET, "give it a default, or allow NULL",
                              "target " STR_FMT ", column `" STR_FMT
                              "` is NOT NULL without a default, and " STR_FMT "." STR_FMT
                              " has no such column",
                              STR_ARG(p->target->sql_name), STR_ARG(t->name), STR_ARG(p->source.schema),
                              STR_ARG(p->source.table));
    }
    return true;
}

/* Rows are found by the row key: the shard must write all of it. */
static bool row_key_ok(const Pair *p, Err *err)
{
    if (p->target->row_key == NO_COLUMN) return true;
    const TargetKey *k = &p->target->keys[p->target->row_key];
    for (uint32_t i = 0; i < k->n_parts; i++) {
        Str name = p->target->schema->columns[k->parts[i].column].name;
        if (feeds(p, name)) continue;
        return err_set_remedy(err, ERR_TRACK_TARGET,
                              "make the target's first NOT NULL unique key one that all shards have",
                              "target " STR_FMT " finds rows by key " STR_FMT ", whose column `" STR_FMT
                              "` " STR_FMT "." STR_FMT " lacks",
                              STR_ARG(p->target->sql_name), STR_ARG(k->name), STR_ARG(name),
                              STR_ARG(p->source.schema), STR_ARG(p->source.table));
    }
    return true;
}

/* What InnoDB changes by ON … CASCADE or SET NULL never reaches most servers' binlogs. */
static bool cascade_ok(const Pair *p, Err *err)
{
    if (!p->schema->has_cascade || p->opts->source_logs_cascades) return true;
    return err_set_remedy(
        err, ERR_NOT_SUPPORTED,
        "drop the cascading foreign key, or leave the table out by a rule (MySQL 9.6 and later log such "
        "changes while innodb_native_foreign_keys is OFF)",
        STR_FMT "." STR_FMT " is a child of ON … CASCADE or SET NULL, and its server does not log "
                "the rows that it changes by that",
        STR_ARG(p->source.schema), STR_ARG(p->source.table));
}

/* MariaDB logs the old rows of a system-versioned table too, and a DELETE as an UPDATE that ends a row. */
static bool kind_ok(const Pair *p, Err *err)
{
    const TableSchema *s = p->schema;
    bool versioned = s->is_versioned;
    for (uint32_t i = 0; i < s->n_columns; i++)
        versioned =
            versioned || (s->columns[i].generated && str_ieq(s->columns[i].generation_expr, STR("ROW END")));
    if (versioned)
        return err_set_remedy(
            err, ERR_NOT_SUPPORTED,
            "ALTER TABLE … DROP SYSTEM VERSIONING on the shard, or leave the table out by a rule",
            STR_FMT "." STR_FMT " is system-versioned: the history of its rows is not replicated",
            STR_ARG(p->source.schema), STR_ARG(p->source.table));
    if (s->is_sequence)
        return err_set_remedy(err, ERR_NOT_SUPPORTED, "leave it out by a rule",
                              STR_FMT "." STR_FMT " is a sequence: those of several shards cannot be merged",
                              STR_ARG(p->source.schema), STR_ARG(p->source.table));
    return true;
}

static bool pair_ok(const Pair *p, Err *err)
{
    KeyFit fit = {p->source, p->schema, p->target, p->opts->keys, p->opts->target_is_tidb};
    if (!cascade_ok(p, err) || !key_fit_check(&fit, err)) return false;
    for (uint32_t i = 0; i < p->schema->n_columns; i++)
        if (!column_ok(p, &p->schema->columns[i], err)) return false;
    return extra_ok(p, err) && row_key_ok(p, err) && keyless_ok(p, err);
}

bool binding_check(TableName source, const TableSchema *schema, const Target *target, const BindOpts *opts,
                   Err *err)
{
    Pair p = {source, schema, target, opts};
    return kind_ok(&p, err) && pair_ok(&p, err);
}

/* -- the binding -- */

static bool members_equal(const ColumnDef *a, const ColumnDef *b)
{
    if (a->n_members != b->n_members) return false;
    for (uint32_t i = 0; i < a->n_members; i++)
        if (!str_eq(a->members[i], b->members[i])) return false;
    return true;
}

/* Text for its like and for text columns, bytes for the others. */
static void native_codec(ColumnCodec *codec, const ColumnDef *t, TextKind text, uint32_t bytes)
{
    codec->text = t && family_of(t) == FAMILY_BINARY ? TEXT_BINARY : text;
    codec->pad_to = bytes;
}

static void codec_fill(OwnedBinding *o, const ColumnDef *s, const ColumnDef *t, const MapColumn *m,
                       ColumnCodec *codec)
{
    *codec = (ColumnCodec){.type = m->type, .meta = m->meta, .is_unsigned = s->is_unsigned};
    const Charset *cs = charset_by_name(s->charset);
    codec->json = t && str_ieq(t->data_type, STR("json")) ? o->json : JSON_TEXT;
    codec->as_text = t && family_of(t) == FAMILY_TEXT;
    switch (family_of(s)) {
    case FAMILY_TEXT:
        codec->text = cs && (cs->form == CHARSET_UTF8 || str_eqc(cs->name, "ascii")) ? TEXT_UTF8 : TEXT_OTHER;
        if (codec->text == TEXT_OTHER) {
            /* names of old servers do for all: they never had utf8mb3 spelled out, which is not TEXT_OTHER */
            codec->introducer = arena_printf(&o->arena, "_" STR_FMT, STR_ARG(s->charset));
        }
        break;
    case FAMILY_BINARY:
        codec->text = TEXT_BINARY;
        if (str_ieq(s->data_type, STR("binary"))) codec->pad_to = (uint32_t)s->char_length;
        break;
    case FAMILY_GEOMETRY:
    case FAMILY_VECTOR: codec->text = TEXT_BINARY; break;
    case FAMILY_UUID: native_codec(codec, t, TEXT_UUID, 16); break;
    case FAMILY_INET4: native_codec(codec, t, TEXT_INET4, 4); break;
    case FAMILY_INET6: native_codec(codec, t, TEXT_INET6, 16); break;
    case FAMILY_JSON: /* as text where it was read by SELECT */
        if (m->type != COLTYPE_JSON) codec->text = TEXT_UTF8;
        break;
    case FAMILY_ENUM:
    case FAMILY_SET:
        if (t && (family_of(t) != family_of(s) || !members_equal(s, t))) {
            codec->members = s->members;
            codec->n_members = s->n_members;
        }
        break;
    default: break;
    }
}

static bool default_differs(const ColumnDef *s, const ColumnDef *t)
{
    if (s->generated || s->auto_increment || t->auto_increment) return true;
    if (s->default_kind != t->default_kind) return true;
    if (s->default_kind == DEFAULT_EXPR) return true; /* not the same value twice */
    return s->default_kind == DEFAULT_LITERAL && !str_eq(s->default_text, t->default_text);
}

static Str sql_name_of(Arena *arena, Str column)
{
    StrBuf name = {0};
    sb_ident(&name, column);
    Str out = arena_str(arena, sb_view(&name));
    sb_done(&name);
    return out;
}

/* Columns n_columns … of the binding: one for each value that every row gets. key_fit has seen that it fits.
 */
static void constants_fill(OwnedBinding *o, const MemberKeys *keys, uint32_t *feeder)
{
    Binding *b = &o->binding;
    Field *fields = arena_array(&o->arena, Field, b->n_constants + 1);
    for (uint32_t i = 0; i < b->n_constants; i++) {
        const KeyConstant *k = &keys->constants[i];
        BoundColumn *c = &b->columns[b->n_columns + i];
        uint32_t at = schema_column(b->target->schema, k->rule->column);
        CHECK(at != UINT32_MAX && feeder[at] == 0, "provenance column checked by key_fit");
        const ColumnDef *t = &b->target->schema->columns[at];
        c->target_column = at;
        c->sql_name = sql_name_of(&o->arena, t->name);
        key_fit_constant(t, k->value, &o->arena, &c->codec, &fields[i]);
        feeder[at] = b->n_columns + i + 1;
    }
    b->constants = fields;
}

/* Behind the constants of the keys: values on record for columns that this version of the shard table lacks.
 */
static void fills_fill(OwnedBinding *o, const BindFeeds *feeds, uint32_t *feeder)
{
    Binding *b = &o->binding;
    uint32_t n = b->n_constants;
    Field *fields = arena_array(&o->arena, Field, n + feeds->n_fills + 1);
    if (n) memcpy(fields, b->constants, n * sizeof *fields);
    for (uint32_t i = 0; i < feeds->n_fills; i++) {
        const BindFill *f = &feeds->fills[i];
        uint32_t at = schema_column(b->target->schema, f->column);
        if (at == UINT32_MAX || feeder[at] || b->target->schema->columns[at].generated) continue;
        BoundColumn *c = &b->columns[b->n_columns + n];
        Str literal = arena_str(&o->arena, f->literal);
        *c = (BoundColumn){.target_column = at, .codec = {.type = COLTYPE_VARCHAR, .text = TEXT_LITERAL}};
        c->sql_name = sql_name_of(&o->arena, b->target->schema->columns[at].name);
        fields[n++] = (Field){.ptr = (const uint8_t *)literal.ptr,
                              .len = (uint32_t)literal.len,
                              .state = literal.len ? FIELD_VALUE : FIELD_NULL};
        feeder[at] = b->n_columns + n;
    }
    b->constants = fields;
    b->n_constants = n;
}

static void columns_fill(OwnedBinding *o, const MemberKeys *keys, const BindFeeds *feeds)
{
    Binding *b = &o->binding;
    uint32_t most = (keys ? keys->n_constants : 0) + (feeds ? feeds->n_fills : 0);
    b->n_columns = b->map->n_columns;
    b->n_constants = keys ? keys->n_constants : 0;
    b->columns = arena_array(&o->arena, BoundColumn, b->n_columns + most);
    uint32_t *feeder = arena_array(&o->arena, uint32_t, b->target->schema->n_columns); /* map column + 1 */
    uint32_t *mapped = arena_array(&o->arena, uint32_t, (keys ? keys->n_columns : 0) + 1);
    b->mapped = mapped;
    for (uint32_t i = 0; i < b->n_columns; i++) {
        BoundColumn *c = &b->columns[i];
        c->target_column = NO_COLUMN;
        if (i >= b->schema->n_columns) { /* hidden: its bytes are only passed by */
            c->codec = (ColumnCodec){.type = b->map->columns[i].type, .meta = b->map->columns[i].meta};
            continue;
        }
        const ColumnDef *s = &b->schema->columns[i];
        uint32_t at = schema_column(b->target->schema, s->name);
        const ColumnDef *t = at == UINT32_MAX ? NULL : &b->target->schema->columns[at];
        codec_fill(o, s, t, &b->map->columns[i], &c->codec);
        c->sql_name = sql_name_of(&o->arena, t ? t->name : s->name);
        if (!t || t->generated || keys_drop(keys, s->name)) continue;
        CHECK(feeder[at] == 0, "two columns of one name");
        feeder[at] = i + 1;
        c->target_column = at;
        c->default_differs = default_differs(s, t);
        c->on_update_now = t->on_update_now;
        const KeyColumn *k = keys_column(keys, s->name);
        if (!k) continue;
        c->rewrite = key_fit_rewrite(t, &k->rewrite, &o->arena);
        if (c->rewrite->space) mapped[b->n_mapped++] = i;
        c->default_differs = true; /* the shard's default is rewritten as well */
    }
    constants_fill(o, keys, feeder);
    if (feeds) fills_fill(o, feeds, feeder);
    uint32_t *written = arena_array(&o->arena, uint32_t, b->target->schema->n_columns), n = 0;
    for (uint32_t at = 0; at < b->target->schema->n_columns; at++)
        if (feeder[at]) written[n++] = at;
    b->full_shape = target_shape(b->target, written, n);
}

/* The map column (or constant) of that target column, generated ones too where the image carries them. */
static uint32_t feeder_of(const Binding *b, uint32_t target_column)
{
    if (target_column == NO_COLUMN) return NO_COLUMN;
    for (uint32_t i = 0; i < b->n_constants; i++) {
        const BoundColumn *c = &b->columns[b->n_columns + i];
        if (c->target_column != target_column) continue;
        return c->codec.text == TEXT_LITERAL ? NO_COLUMN : b->n_columns + i; /* a literal has no key bytes */
    }
    uint32_t at = schema_column(b->schema, b->target->schema->columns[target_column].name);
    if (at == UINT32_MAX) return NO_COLUMN;
    bool left_out =
        b->columns[at].target_column == NO_COLUMN && !b->target->schema->columns[target_column].generated;
    return left_out ? NO_COLUMN : at;
}

/* Is the target's key k made of these map columns, and constants? */
static bool same_columns(const Binding *b, uint32_t k, const uint32_t *own, uint32_t n_own)
{
    const TargetKey *key = &b->target->keys[k];
    uint32_t others = 0;
    for (uint32_t i = 0; i < n_own; i++) {
        bool found = false;
        for (uint32_t j = 0; j < key->n_parts; j++)
            found = found || own[i] == b->key_columns[k][j];
        if (!found) return false;
    }
    for (uint32_t j = 0; j < key->n_parts; j++)
        if (b->key_columns[k][j] < b->n_columns || b->key_columns[k][j] == NO_COLUMN) others++;
    return others == n_own;
}

const KeyDef *source_row_key(const TableSchema *s)
{
    for (uint32_t i = 0; i < s->n_keys; i++)
        if (target_key_finds_rows(s, &s->keys[i])) return &s->keys[i];
    return NULL;
}

static void keys_fill(OwnedBinding *o)
{
    Binding *b = &o->binding;
    b->key_columns = arena_array(&o->arena, uint32_t *, b->target->n_keys);
    for (uint32_t k = 0; k < b->target->n_keys; k++) {
        const TargetKey *key = &b->target->keys[k];
        b->key_columns[k] = arena_array(&o->arena, uint32_t, key->n_parts);
        for (uint32_t i = 0; i < key->n_parts; i++)
            b->key_columns[k][i] = feeder_of(b, key->parts[i].column);
    }
    const KeyDef *own = source_row_key(b->schema);
    if (!own) return;
    uint32_t *columns = arena_array(&o->arena, uint32_t, own->n_parts);
    TargetKeyPart *parts = arena_array(&o->arena, TargetKeyPart, own->n_parts);
    for (uint32_t i = 0; i < own->n_parts; i++) {
        columns[i] = own->parts[i].column;
        parts[i] = target_key_part(b->schema, own->parts[i]);
    }
    for (uint32_t k = 0; k < b->target->n_keys; k++)
        if (same_columns(b, k, columns, own->n_parts)) return;
    b->source_key = columns;
    b->source_key_parts = parts;
    b->n_source_key = own->n_parts;
}

/* What is written must be readable in the binlog, whatever the definition calls it. */
static bool types_ok(const Pair *p, const TableMap *map, Err *err)
{
    if (map->n_columns < p->schema->n_columns) return true; /* map_check tells */
    for (uint32_t i = 0; i < p->schema->n_columns; i++) {
        const char *why;
        if (decode_type_supported(&map->columns[i], &why)) continue;
        const ColumnDef *s = &p->schema->columns[i];
        uint32_t at = schema_column(p->target->schema, s->name);
        if (at == UINT32_MAX || p->target->schema->columns[at].generated) continue;
        if (keys_drop(p->opts->keys, s->name)) continue;
        return err_set_remedy(err, ERR_NOT_SUPPORTED,
                              "change the column's type on the shard, or leave the table out by a rule",
                              STR_FMT "." STR_FMT ", column `" STR_FMT "` " STR_FMT
                                      ": the binlog has it as %s, which is not replicated yet",
                              STR_ARG(p->source.schema), STR_ARG(p->source.table), STR_ARG(s->name),
                              STR_ARG(s->column_type), why);
    }
    return true;
}

/* The shard table with its columns under the target's names; lives as long as the binding. */
static const TableSchema *fed_schema(OwnedBinding *o, const TableSchema *s, const BindFeeds *feeds)
{
    if (!feeds) return s;
    TableSchema *out = arena_new(&o->arena, TableSchema);
    *out = *s;
    out->arena = (Arena){0};
    out->columns = arena_array(&o->arena, ColumnDef, s->n_columns + 1);
    for (uint32_t i = 0; i < s->n_columns; i++) {
        out->columns[i] = s->columns[i];
        out->columns[i].name = arena_str(&o->arena, feeds->columns[i]);
    }
    return out;
}

bool binding_new(const Member *member, const TableMap *map, const TableSchema *schema, const BindOpts *opts,
                 Binding **out, Err *err)
{
    *out = NULL;
    OwnedBinding *o = mem_zalloc(sizeof *o);
    Binding *b = &o->binding;
    Pair p = {member->name, fed_schema(o, schema, opts->feeds), member->target, opts};
    if (!kind_ok(&p, err) || !types_ok(&p, map, err) ||
        !map_check(member->name, map, schema, opts->source_flavor, err) || !pair_ok(&p, err)) {
        binding_free(b);
        return false;
    }
    b->member = member;
    b->target = member->target;
    b->map = map;
    b->schema = p.schema;
    o->json = opts->target_is_tidb ? JSON_DOUBLES : JSON_DECIMALS;
    columns_fill(o, opts->keys, opts->feeds);
    keys_fill(o);
    keyplan_build(b, &o->arena);
    *out = b;
    return true;
}

void binding_free(Binding *b)
{
    if (!b) return;
    OwnedBinding *o = (OwnedBinding *)b; /* its first member */
    arena_done(&o->arena);
    free(o);
}
