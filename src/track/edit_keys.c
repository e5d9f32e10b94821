#include "model/charset.h"
#include "track/schema_edit.h"
#include "base/poison.h"

enum { MAX_KEY_BYTES = 3072 }; /* InnoDB */

void edit_keys_load(Edit *e)
{
    EditKey **tail = &e->keys;
    for (uint32_t i = 0; e->before && i < e->before->n_keys; i++) {
        const KeyDef *from = &e->before->keys[i];
        EditKey *k = arena_new(e->arena, EditKey);
        k->def = *from;
        k->old_name = from->name;
        k->n_parts = from->n_parts;
        k->parts = arena_array(e->arena, EditPart, from->n_parts + 1);
        for (uint32_t p = 0; p < from->n_parts; p++)
            k->parts[p] = (EditPart){.origin = from->parts[p].column, .part = from->parts[p]};
        *tail = k;
        tail = &k->next;
    }
}

static EditKey *find_key(const Edit *e, Str name)
{
    for (EditKey *k = e->keys; k; k = k->next)
        if (str_ieq(k->def.name, name)) return k;
    return NULL;
}

/* The changes of a statement name keys as they were before it. */
static EditKey *find_old_key(const Edit *e, Str name)
{
    for (EditKey *k = e->keys; k; k = k->next)
        if (str_ieq(k->old_name, name)) return k;
    return NULL;
}

static void remove_key(Edit *e, const EditKey *gone)
{
    EditKey **at = &e->keys;
    while (*at != gone)
        at = &(*at)->next;
    *at = gone->next;
}

static const EditColumn *part_column(const Edit *e, const EditPart *p)
{
    return p->origin != UINT32_MAX ? edit_column_from(e, p->origin) : edit_column(e, p->column);
}

/* MariaDB: an ordinary key over a POINT is over its bytes. */
static void fit_point(const Edit *e, EditPart *p)
{
    enum { POINT_BYTES = 25 };
    const EditColumn *c = part_column(e, p);
    if (c && !p->part.prefix && edit_is_mariadb(e) && str_eqc(c->def.data_type, "point"))
        p->part.prefix = POINT_BYTES;
}

/* ENUM and SET have the bytes of their number in a key; made a text, these become its prefix. */
static uint32_t member_prefix(const ColumnDef *c)
{
    const Charset *cs = charset_by_name(c->charset);
    uint32_t bytes = str_eqc(c->data_type, "enum") ? 1U + (c->n_members > 255) : (c->n_members + 7) / 8;
    if (bytes > 4) bytes = 8;
    return bytes / (cs ? cs->max_len : 1);
}

/* A prefix that the column's type cannot have, or that holds the whole column, is none. */
static void fit_prefix(const Edit *e, EditPart *p)
{
    const EditColumn *c = part_column(e, p);
    if (!c) return;
    const ColumnDef *was = p->origin != UINT32_MAX ? &e->before->columns[p->origin] : NULL;
    if (was && was->n_members && column_is_text(&c->def)) p->part.prefix = member_prefix(was);
    if (!p->part.prefix) return;
    bool blob = column_is_blob(&c->def), text = c->def.char_length && !c->def.n_members;
    if (!blob && (!text || c->def.char_length <= p->part.prefix)) p->part.prefix = 0;
}

/* Keys lose the columns that go; a key without columns goes too. */
static void follow_columns(Edit *e)
{
    for (EditKey *k = e->keys, *next; k; k = next) {
        next = k->next;
        uint32_t n = 0;
        for (uint32_t i = 0; i < k->n_parts; i++) {
            bool gone = k->parts[i].origin != UINT32_MAX && !edit_column_from(e, k->parts[i].origin);
            if (gone) continue;
            k->parts[n] = k->parts[i];
            fit_prefix(e, &k->parts[n++]);
        }
        k->n_parts = n;
        if (!n) remove_key(e, k);
    }
}

static bool change_key(Edit *e, const DdlChange *c)
{
    EditKey *k;
    switch (c->kind) {
    case DDL_DROP_PRIMARY: k = find_old_key(e, STR("PRIMARY")); break;
    case DDL_DROP_KEY:
    case DDL_RENAME_KEY:
    case DDL_KEY_VISIBLE:
    case DDL_DROP_CONSTRAINT: k = find_old_key(e, c->name); break;
    default: return true;
    }
    if (c->kind == DDL_DROP_CONSTRAINT && (!k || !k->def.unique)) return true; /* a check or a foreign key */
    if (!k) return edit_refuse(e, "no such key:", c->name.len ? c->name : STR("PRIMARY"));
    if (c->kind == DDL_RENAME_KEY)
        k->def.name = c->to;
    else if (c->kind == DDL_KEY_VISIBLE)
        k->def.invisible = !c->flag;
    else
        remove_key(e, k);
    return true;
}

/* -- new keys -- */

/* column, column_2, column_3, … */
static Str free_name(Edit *e, Str base)
{
    Str name = base;
    bool reserved = str_ieq(base, STR("PRIMARY"));
    for (unsigned n = 2; reserved || find_key(e, name); n++, reserved = false)
        name = arena_printf(e->arena, STR_FMT "_%u", STR_ARG(base), n);
    return name;
}

static void name_key(Edit *e, EditKey *k, const DdlKey *ddl)
{
    const EditColumn *c = edit_column(e, k->parts[0].column);
    Str first = c ? c->def.name : k->parts[0].column;
    for (uint32_t i = 0; i < k->n_parts; i++)
        if (k->parts[i].part.expression.len) first = STR("functional_index");
    if (k->def.primary)
        k->def.name = STR("PRIMARY");
    else if (ddl && ddl->kind == DDL_KEY_FOREIGN && ddl->constraint.len)
        k->def.name = ddl->constraint;
    else if (ddl && ddl->name.len)
        k->def.name = ddl->name;
    else if (ddl && ddl->constraint.len)
        k->def.name = ddl->constraint;
    else
        k->def.name = free_name(e, first);
}

/* Bytes of the key in the index. */
static uint64_t key_bytes(const Edit *e, const EditKey *k)
{
    uint64_t bytes = 0;
    for (uint32_t i = 0; i < k->n_parts; i++) {
        const EditColumn *c = part_column(e, &k->parts[i]);
        if (!c) continue;
        const Charset *cs = charset_by_name(c->def.charset);
        uint64_t length = k->parts[i].part.prefix ? k->parts[i].part.prefix : c->def.char_length;
        if (c->def.n_members) length = 2;
        bytes += length * (cs && !c->def.n_members ? cs->max_len : 1);
    }
    return bytes;
}

/* MariaDB keeps a unique key that is too long for a tree as a hash. */
static bool is_long_unique(const Edit *e, const EditKey *k)
{
    if (!edit_is_mariadb(e) || !k->def.unique || k->def.primary) return false;
    for (uint32_t i = 0; i < k->n_parts; i++) {
        const EditColumn *c = part_column(e, &k->parts[i]);
        if (c && column_is_blob(&c->def) && !k->parts[i].part.prefix) return true;
    }
    return key_bytes(e, k) > MAX_KEY_BYTES;
}

static Str index_type(const Edit *e, const EditKey *k, DdlKeyKind kind, const DdlKey *ddl)
{
    if (kind == DDL_KEY_FULLTEXT) return STR("FULLTEXT");
    if (kind == DDL_KEY_SPATIAL) return STR("SPATIAL");
    if (kind == DDL_KEY_VECTOR) return STR("VECTOR");
    if (is_long_unique(e, k)) return STR("HASH");
    bool memory = str_ieq(e->table.engine, STR("MEMORY"));
    if (memory) return ddl && str_eqc(ddl->index_type, "BTREE") ? STR("BTREE") : STR("HASH");
    if (ddl && str_eqc(ddl->index_type, "RTREE")) return STR("RTREE");
    return STR("BTREE");
}

/* An ordinary key over more bytes than the index takes is cut to a prefix. */
static void cut_prefix(const Edit *e, EditPart *p)
{
    fit_point(e, p);
    const EditColumn *c = part_column(e, p);
    const Charset *cs = c ? charset_by_name(c->def.charset) : NULL;
    if (!c || p->part.prefix || p->part.expression.len || c->def.n_members || !c->def.char_length) return;
    uint32_t width = cs ? cs->max_len : 1;
    bool blob = column_is_blob(&c->def);
    if (blob && c->def.char_length <= 255)
        p->part.prefix = 255;
    else if ((blob ? UINT32_MAX : c->def.char_length * width) > MAX_KEY_BYTES)
        p->part.prefix = MAX_KEY_BYTES / width;
}

static void add_key(Edit *e, EditKey *k)
{
    EditKey **at = &e->keys;
    while (*at)
        at = &(*at)->next;
    *at = k;
}

static void new_key(Edit *e, const DdlKey *ddl)
{
    EditKey *k = arena_new(e->arena, EditKey);
    k->is_new = true;
    k->ddl = ddl;
    k->def.primary = ddl->kind == DDL_KEY_PRIMARY;
    k->def.unique = k->def.primary || ddl->kind == DDL_KEY_UNIQUE;
    k->def.for_foreign_key = ddl->kind == DDL_KEY_FOREIGN;
    k->def.comment = ddl->comment;
    k->def.invisible = ddl->invisible;
    for (const DdlKeyPart *p = ddl->parts; p; p = p->next)
        k->n_parts++;
    k->parts = arena_array(e->arena, EditPart, k->n_parts + 1);
    uint32_t n = 0;
    for (const DdlKeyPart *p = ddl->parts; p; p = p->next) {
        EditPart *q = &k->parts[n++];
        bool plain = ddl->kind != DDL_KEY_FULLTEXT && ddl->kind != DDL_KEY_SPATIAL;
        *q = (EditPart){.origin = UINT32_MAX, .column = p->column};
        q->part = (KeyPart){
            .prefix = plain ? p->prefix : 0, .descending = plain && p->descending, .expression = p->expr};
        fit_prefix(e, q);
        if (plain) fit_point(e, q);
    }
    name_key(e, k, ddl);
    k->def.index_type = index_type(e, k, ddl->kind, ddl);
    bool hash = str_eqc(k->def.index_type, "HASH");
    for (uint32_t i = 0; i < k->n_parts; i++) {
        if (ddl->kind == DDL_KEY_PLAIN) cut_prefix(e, &k->parts[i]);
        if (hash) k->parts[i].part.descending = false;
    }
    add_key(e, k);
}

/* UNIQUE, PRIMARY KEY and SERIAL of a column. */
static void column_keys(Edit *e, const DdlColumn *c)
{
    bool serial = str_eqc(c->type.name, "serial") || c->serial_default;
    if (!c->primary && !c->unique && !serial) return;
    DdlKey *ddl = arena_new(e->arena, DdlKey);
    ddl->kind = c->primary ? DDL_KEY_PRIMARY : DDL_KEY_UNIQUE;
    ddl->parts = arena_new(e->arena, DdlKeyPart);
    ddl->parts->column = c->name;
    new_key(e, ddl);
    if (!c->primary || (!c->unique && !serial)) return;
    ddl = arena_new(e->arena, DdlKey);
    ddl->kind = DDL_KEY_UNIQUE;
    ddl->parts = arena_new(e->arena, DdlKeyPart);
    ddl->parts->column = c->name;
    new_key(e, ddl);
}

/* MariaDB 10.5+ and MySQL 9 make a foreign key of REFERENCES behind a column. */
static void column_reference(Edit *e, const DdlColumn *c)
{
    bool mariadb = edit_is_mariadb(e);
    uint32_t since = mariadb ? 100500 : 90000;
    if (!c->references || (e->ctx->version && e->ctx->version < since)) return;
    DdlKey *ddl = arena_new(e->arena, DdlKey);
    *ddl = *c->references;
    ddl->parts = arena_new(e->arena, DdlKeyPart);
    ddl->parts->column = c->name;
    new_key(e, ddl);
}

/* Do the columns of a come first in b, in the same order? */
static bool is_prefix(const Edit *e, const EditKey *a, const EditKey *b)
{
    if (a->n_parts > b->n_parts || str_eqc(b->def.index_type, "FULLTEXT") ||
        str_eqc(b->def.index_type, "SPATIAL"))
        return false;
    for (uint32_t i = 0; i < a->n_parts; i++) {
        const EditColumn *x = part_column(e, &a->parts[i]), *y = part_column(e, &b->parts[i]);
        if (!x || x != y || b->parts[i].part.prefix || b->parts[i].part.expression.len) return false;
    }
    return true;
}

/* A key made for a foreign key goes when another one serves. */
static void drop_covered(Edit *e)
{
    for (EditKey *k = e->keys, *next; k; k = next) {
        next = k->next;
        if (!k->def.for_foreign_key) continue;
        bool covered = false;
        for (EditKey *o = e->keys; o && !covered; o = o->next) {
            if (o == k || !is_prefix(e, k, o)) continue;
            bool twin = o->def.for_foreign_key && o->n_parts == k->n_parts;
            covered = !twin || !k->is_new || o->is_new;
            if (twin && k->is_new == o->is_new) { /* the earlier one stays */
                covered = false;
                for (EditKey *p = e->keys; p != k; p = p->next)
                    covered = covered || p == o;
            }
        }
        if (covered) remove_key(e, k);
    }
}

bool edit_keys_change(Edit *e)
{
    for (const DdlChange *c = e->stmt->changes; c; c = c->next)
        if (!edit_skips(e, c) && !change_key(e, c)) return false;
    follow_columns(e);
    for (const DdlChange *c = e->stmt->changes; c; c = c->next) {
        if (edit_skips(e, c)) continue;
        if (c->kind == DDL_ADD_KEY) new_key(e, c->key);
        if (!c->column) continue;
        column_keys(e, c->column);
        column_reference(e, c->column);
    }
    drop_covered(e);
    return true;
}

/* Columns that changed their length: unique keys become a hash or a tree again, others are cut. */
static void follow_lengths(const Edit *e, EditKey *k)
{
    bool hash = str_eqc(k->def.index_type, "HASH"), tree = str_eqc(k->def.index_type, "BTREE");
    if (str_ieq(e->table.engine, STR("MEMORY")) || !(hash || tree)) return;
    if (k->def.unique) {
        k->def.index_type = is_long_unique(e, k) ? STR("HASH") : STR("BTREE");
        return;
    }
    for (uint32_t i = 0; i < k->n_parts; i++)
        cut_prefix(e, &k->parts[i]);
}

/* MariaDB: in a table with system versioning the row's end joins every unique key. */
static void add_row_end(Edit *e, EditKey *k)
{
    const EditColumn *end = e->columns;
    while (end && !str_eqc(end->def.generation_expr, "ROW END"))
        end = end->next;
    if (!end || !k->def.unique || !e->table.is_versioned) return;
    for (uint32_t i = 0; i < k->n_parts; i++)
        if (part_column(e, &k->parts[i]) == end) return;
    EditPart *parts = arena_array(e->arena, EditPart, k->n_parts + 1U);
    memcpy(parts, k->parts, sizeof *parts * k->n_parts);
    parts[k->n_parts++] = (EditPart){.origin = UINT32_MAX, .column = end->def.name};
    k->parts = parts;
}

void edit_keys_finish(Edit *e)
{
    for (EditKey *k = e->keys; k; k = k->next) {
        add_row_end(e, k);
        for (uint32_t i = 0; k->def.primary && i < k->n_parts; i++) {
            EditColumn *c = k->parts[i].origin != UINT32_MAX ? edit_column_from(e, k->parts[i].origin)
                                                             : edit_column(e, k->parts[i].column);
            if (!c) continue;
            c->def.not_null = true;
            if (c->def.default_kind == DEFAULT_NULL) c->def.default_kind = DEFAULT_NONE;
        }
        follow_lengths(e, k);
    }
}
